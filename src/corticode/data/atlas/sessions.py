"""Sessions of one animal laid over each other by their mean images, and whether they lie well.

Give mean images of rest: what is active differs between sessions, vessels and outlines do not. The
animal's atlas then serves all of its sessions: atlas to first session, first to each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from corticode.errors import DataError, Finding

FINE_PIXELS, BROAD_PIXELS = 1.0, 8.0
DARKEST = 0.05  # of the brightest: what is added before dividing, so that dark noise stays small
ANGLES_DEGREES = np.arange(-8.0, 8.5, 1.0)
MOST_STEPS, LEAST_STEP = 30, 1e-3
MOST_SHIFT_PIXELS, LEAST_CORRELATION = 2.0, 0.5
SMALLEST_SIDE = 32

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SessionRegistration:
    """How sessions lie against the first.

    Parameters
    ----------
    transforms
        (session, 3, 3): pixels of the first session (x, y, 1) to pixels of each (x, y, 1).
    shifts
        (session, 2): rows and columns by which the image's middle lies lower and further right.
    rotations_degrees
        (session,): positive where the brain's front turns to the right.
    correlations
        (session,): of vessels and outlines with those of the first, once laid over it.
    """

    transforms: Array
    shifts: Array
    rotations_degrees: Array
    correlations: Array


def register_sessions(images: Sequence[NDArray[Any]]) -> tuple[SessionRegistration, list[Finding]]:
    """Shift and rotation that lay mean images of one animal's sessions over the first.

    Images are compared in what is finer than 8 pixels, relative to the brightness around. Rotations
    of up to 8 degrees are tried, each with the shift at the peak of the cross-correlation; from the
    best, least squares find rotation and shift to a fraction of a pixel (Lucas and Kanade).

    Parameters
    ----------
    images
        (row, column) each, of the same size.

    Returns
    -------
    registration
        The first session's transform is the identity.
    findings
        Sessions that do not look like the first.

    Raises
    ------
    DataError
        There is no image, or they differ in size, are smaller than 32 x 32 pixels, or one has no
        structure.

    References
    ----------
    Lucas & Kanade (1981), Proc. 7th IJCAI, 674-679.

    Examples
    --------
    >>> from scipy import ndimage
    >>> scene = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(72, 72)), 2) + 1
    >>> found, _ = register_sessions([scene[4:68, 4:68], scene[1:65, 6:70]])
    >>> found.shifts[1].round(1).tolist()
    [3.0, -2.0]
    """
    shapes = {image.shape for image in images}
    if len(shapes) != 1 or min(*next(iter(shapes)), 99) < SMALLEST_SIDE:
        sizes = ", ".join(" x ".join(map(str, shape)) for shape in sorted(shapes)) or "none"
        raise DataError(
            f"mean images of sessions have {sizes} pixels; they need to be of one size, "
            f"{SMALLEST_SIDE} x {SMALLEST_SIDE} or more: bin or crop them alike"
        )
    details = [_details(image) for image in images]
    transforms = np.stack([np.eye(3), *(_register(details[0], one) for one in details[1:])])
    correlations = np.array(
        [
            _correlation(details[0], warp_image(one, transform))
            for one, transform in zip(details, transforms, strict=True)
        ]
    )
    found = SessionRegistration(
        transforms,
        _shifts_of(transforms, details[0].shape),
        np.degrees(np.arctan2(transforms[:, 1, 0], transforms[:, 0, 0])),
        correlations,
    )
    return found, _unlike(correlations)


def _shifts_of(transforms: Array, shape: tuple[int, ...]) -> Array:
    """(session, 2): rows and columns by which the image's middle moves."""
    middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2, 1])
    return np.asarray((transforms @ middle - middle)[:, 1::-1])


def _unlike(correlations: Array) -> list[Finding]:
    reason = (
        "its mean image hardly looks like that of the animal's first session (vessels and outlines "
        "correlate by {:.2f}, less than 0.5): is it the same animal, field of view and wavelength?"
    )
    return [
        Finding("session", reason.format(value), item=str(k + 1))
        for k, value in enumerate(correlations)
        if not value >= LEAST_CORRELATION
    ]


def check_sessions(
    images: Sequence[NDArray[Any]], transforms: Sequence[Array], names: Sequence[str] = ()
) -> tuple[Array, list[Finding]]:
    """How far mean images still lie from the first when all are warped onto one canvas.

    Parameters
    ----------
    images
        (row, column) each, of one size.
    transforms
        3 x 3 each: pixels of the canvas (x, y, 1), which is as large as the images, to pixels of
        the image.
    names
        Of the sessions, for warnings.

    Returns
    -------
    shifts
        (session, 2): rows and columns of the image's middle.
    findings
        Sessions that lie more than 2 pixels away.

    Examples
    --------
    >>> from scipy import ndimage
    >>> scene = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(72, 72)), 2) + 1
    >>> shifts, (finding,) = check_sessions([scene[:64, :64], scene[4:68, :64]], [np.eye(3)] * 2)
    >>> (shifts[1].round(1) + 0.0).tolist()
    [-4.0, 0.0]
    """
    warped = [
        _details(warp_image(image, transform))
        for image, transform in zip(images, transforms, strict=True)
    ]
    shifts = _shifts_of(np.stack([_register(warped[0], one) for one in warped]), warped[0].shape)
    findings = []
    for k, away in enumerate(np.hypot(*shifts.T)):
        if away > MOST_SHIFT_PIXELS:
            reason = (
                f"lies {away:.1f} pixels from the animal's first session once both are warped "
                f"(rows {shifts[k, 0]:.1f}, columns {shifts[k, 1]:.1f}; more than 2): look at its "
                "landmarks"
            )
            findings.append(Finding("session", reason, item=names[k] if names else str(k + 1)))
    return shifts, findings


def warp_image(
    image: NDArray[Any], transform: Array, shape: tuple[int, int] | None = None
) -> Array:
    """An image on another canvas; NaN where the canvas shows nothing of it.

    Parameters
    ----------
    image
        (row, column).
    transform
        3 x 3: pixels of the canvas (x, y, 1) to pixels of the image (x, y, 1).
    shape
        Rows and columns of the canvas; None: as the image.

    Examples
    --------
    >>> warp_image(np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 1]]))
    array([[ 2., nan],
           [ 4., nan]])
    """
    # scipy counts (row, column).
    matrix, shift = transform[1::-1, 1::-1], transform[1::-1, 2]
    return np.asarray(
        scipy.ndimage.affine_transform(
            image.astype(np.float64), matrix, shift, shape or image.shape, order=1, cval=np.nan
        )
    )


def _details(image: NDArray[Any]) -> Array:
    """What is finer than a few pixels, relative to the brightness around; 0 where not finite."""
    seen = np.isfinite(image)
    known = image[seen].astype(np.float64)
    if not known.size or np.ptp(known) == 0:
        raise DataError("a mean image is the same everywhere; sessions cannot be laid over it")
    lowest = known.min()
    values = np.where(seen, image - lowest, 0.0)
    weights = seen.astype(np.float64)
    fine, broad = (
        scipy.ndimage.gaussian_filter(values, size)
        / np.maximum(scipy.ndimage.gaussian_filter(weights, size), 1e-9)
        for size in (FINE_PIXELS, BROAD_PIXELS)
    )
    return np.asarray(np.where(seen, (fine - broad) / (broad + DARKEST * np.ptp(known)), 0.0))


def _tapered(details: Array) -> Array:
    taper = np.outer(*(np.hanning(length + 2)[1:-1] for length in details.shape))
    values = (details - details.mean()) * taper
    return np.asarray(values / np.linalg.norm(values))


def _peak(first: Array, other: Array) -> tuple[float, Array]:
    """Height and place (rows, columns) of the highest cross-correlation, to the pixel."""
    spectra = [scipy.fft.rfft2(one) for one in (first, other)]
    surface = scipy.fft.irfft2(np.conj(spectra[0]) * spectra[1], first.shape)
    at = np.array(np.unravel_index(surface.argmax(), surface.shape))
    sides = np.array(surface.shape)
    return float(surface.max()), np.where(at > sides // 2, at - sides, at).astype(np.float64)


def _rigid(angle: float, shift: Array, shape: tuple[int, ...]) -> Array:
    """3 x 3: turned about the image's middle, then shifted by rows and columns."""
    x, y = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    offset = np.array([x, y]) - turn @ [x, y] + shift[::-1]
    return np.vstack([np.column_stack([turn, offset]), [0, 0, 1]])


def _register(first: Array, other: Array) -> Array:
    """3 x 3 from pixels of the first to pixels of the other."""
    reference, best = _tapered(first), (-np.inf, 0.0, np.zeros(2))
    for angle in np.deg2rad(ANGLES_DEGREES):
        turned = np.nan_to_num(warp_image(other, _rigid(float(angle), np.zeros(2), first.shape)))
        height, shift = _peak(reference, _tapered(turned))
        if height > best[0]:
            # A shift before the turn is another one behind it.
            cos, sin = np.cos(angle), np.sin(angle)
            best = (height, float(angle), np.array([[cos, sin], [-sin, cos]]) @ shift)
    return _refine(first, other, best[1], best[2])


def _refine(first: Array, other: Array, angle: float, shift: Array) -> Array:
    """Least squares over rotation and shift, from where the search ended."""
    rows, columns = np.indices(first.shape) - np.reshape(np.array(first.shape) - 1, (2, 1, 1)) / 2
    taper = np.outer(*(np.hanning(length + 2)[1:-1] for length in first.shape))
    slopes = np.gradient(other)
    radius = np.hypot(*first.shape) / 4
    for _ in range(MOST_STEPS):
        transform = _rigid(angle, shift, first.shape)
        there, down, across = (warp_image(one, transform) for one in (other, *slopes))
        seen = np.isfinite(there)
        weight = taper[seen]
        cos, sin = np.cos(angle), np.sin(angle)
        by_angle = down * (cos * columns - sin * rows) + across * (-sin * columns - cos * rows)
        steps = np.stack([by_angle[seen] / radius, down[seen], across[seen], first[seen]], axis=1)
        # The last column is a gain: one session may have more contrast than the other.
        solved = np.linalg.lstsq(steps * weight[:, None], -(there[seen]) * weight, rcond=None)[0]
        angle, shift = angle + float(solved[0]) / radius, shift + solved[1:3]
        if np.abs(solved[:3]).max() < LEAST_STEP:
            break
    return _rigid(angle, shift, first.shape)


def _correlation(first: Array, other: Array) -> float:
    seen = np.isfinite(other)
    if not seen.any() or np.ptp(other[seen]) == 0:
        return float("nan")
    return float(np.corrcoef(first[seen], other[seen])[0, 1])
