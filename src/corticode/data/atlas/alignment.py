"""How an atlas lies on an image by its landmarks, and what tells a good alignment from a bad."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from corticode.data.atlas.landmarks import Landmarks, canonical_names
from corticode.data.atlas.maps import LEAST_PIXELS, Atlas
from corticode.data.atlas.transforms import apply_transform, fit_transform
from corticode.data.movies.brain import find_brain
from corticode.errors import DataError, Finding, some

AS_GIVEN = "as given"
MOST_RESIDUAL_MM, MOST_SCALE_DIFFERENCE, MOST_ROTATION_DEGREES = 0.3, 0.1, 15.0
LEAST_IN_BRAIN, LEAST_SEPARATION = 0.9, 0.8


@dataclass(frozen=True)
class Alignment:
    """How an atlas lies on an image, and the landmarks that say so.

    Parameters
    ----------
    atlas
        Its name.
    kind
        ``"similarity"``, ``"affine"``, or ``"as given"`` by the file of landmarks.
    transform
        3 x 3: pixels of the atlas (x, y, 1) to pixels of the image (x, y, 1).
    names
        Of the landmarks, the atlas's own.
    atlas_points, image_points
        (landmark, 2): x and y of each, on the map and as marked in the image.
    shape
        Rows and columns of the image.
    """

    atlas: str
    kind: str
    transform: NDArray[np.float64]
    names: tuple[str, ...]
    atlas_points: NDArray[np.float64]
    image_points: NDArray[np.float64]
    shape: tuple[int, int]

    @property
    def inverse(self) -> NDArray[np.float64]:
        """3 x 3: pixels of the image (x, y, 1) to pixels of the atlas (x, y, 1)."""
        return np.linalg.inv(self.transform).astype(np.float64)

    @property
    def residuals(self) -> NDArray[np.float64]:
        """(landmark,): how far each lies from where the transform puts it, pixels of the image."""
        away = apply_transform(self.transform, self.atlas_points) - self.image_points
        return np.asarray(np.hypot(*away.T))


@dataclass(frozen=True)
class AlignmentChecks:
    """What tells a good alignment from a bad one; None where it cannot be known.

    Parameters
    ----------
    n_landmarks
        How many were marked.
    residual_rms_px, residual_rms_mm
        Root mean square distance of landmarks from where the transform puts them.
    left_out_rms_px
        The same of each landmark when the others alone are fitted.
    mm_per_pixel
        Of the image, as the atlas has it.
    known_mm_per_pixel
        Of the image, as stated.
    stretch
        The larger scale over the smaller one, 1 for a similarity.
    rotation_degrees
        Of the atlas on the image, positive where its front turns to the right.
    in_view
        Fraction of the map's labelled pixels that lie in the image.
    in_brain
        Fraction of the image's labelled pixels that show the brain.
    brain_separation
        How clearly the brain stands out, see `corticode.data.movies.brain.find_brain`.
    mirrored_correlation
        Of the image's labelled pixels left of the midline with their mirror image, Pearson's r.
    n_regions
        With enough pixels.
    smallest_pixels
        Of the smallest of them.
    """

    n_landmarks: int
    residual_rms_px: float
    residual_rms_mm: float
    left_out_rms_px: float | None
    mm_per_pixel: float
    known_mm_per_pixel: float | None
    stretch: float
    rotation_degrees: float
    in_view: float
    in_brain: float | None
    brain_separation: float | None
    mirrored_correlation: float | None
    n_regions: int
    smallest_pixels: int


def align(
    atlas: Atlas, landmarks: Landmarks, shape: tuple[int, int], kind: str | None = None
) -> Alignment:
    """An atlas laid on an image by landmarks.

    Parameters
    ----------
    atlas, landmarks
        Names of landmarks may be those of wfield, mesoscopy or MesoNet.
    shape
        Rows and columns of the image.
    kind
        ``"similarity"`` or ``"affine"``; None: the transform that came with the landmarks, if one
        did, else a similarity.

    Raises
    ------
    DataError
        A landmark lies outside the image, or as `fit_transform`.
    StudyError
        A landmark or the kind is unknown.

    Examples
    --------
    >>> from corticode.data.atlas.landmarks import read_landmarks
    >>> from corticode.data.atlas.maps import read_atlas
    >>> given = read_landmarks("front-left=42,22 front=64,22 front-right=87,22 back=64,103")
    >>> found = align(read_atlas(), given, (128, 128))
    >>> float(found.residuals.max().round(2))
    0.32
    """
    names = canonical_names(landmarks.names, tuple(atlas.landmarks))
    _check_inside(names, landmarks.points, shape)
    atlas_points = np.array([atlas.landmarks[name] for name in names]).reshape(-1, 2)
    if landmarks.from_mm is not None and kind is None:
        transform, kind = landmarks.from_mm @ atlas.to_mm, AS_GIVEN
        if np.linalg.det(transform[:2, :2]) <= 0:
            raise DataError(
                "the transform that came with the landmarks exchanges left and right (its "
                "determinant is below 0); fit it anew with --transform similarity"
            )
    else:
        kind = kind or "similarity"
        transform = fit_transform(atlas_points, landmarks.points, kind)
    return Alignment(atlas.name, kind, transform, names, atlas_points, landmarks.points, shape)


def _check_inside(
    names: Sequence[str], points: NDArray[np.float64], shape: tuple[int, int]
) -> None:
    rows, columns = shape
    size = np.array([columns, rows])
    outside = np.flatnonzero(((points < -0.5) | (points > size - 0.5)).any(axis=1))
    if not outside.size:
        return
    shown = some([f"{names[int(k)]} (x {points[k, 0]:g}, y {points[k, 1]:g})" for k in outside], 3)
    is_swapped = not ((points < -0.5) | (points > size[::-1] - 0.5)).any()
    hint = "; row and column seem to be exchanged" if is_swapped and rows != columns else ""
    raise DataError(
        f"outside the image of {rows} rows x {columns} columns: {shown}{hint}. x is the column, y "
        "the row, in pixels of this image from 0; points marked in a binned or cropped copy have "
        "to be scaled back"
    )


def check_alignment(
    atlas: Atlas,
    alignment: Alignment,
    image: NDArray[Any],
    labels: NDArray[np.int16],
    mm_per_pixel: float | None = None,
) -> tuple[AlignmentChecks, list[Finding]]:
    """What tells a good alignment from a bad one, and warnings.

    Warned of are landmarks that miss by more than 0.3 mm (root mean square), a scale more than
    10 % off the stated size of a pixel, a rotation of more than 15 degrees, and labelled pixels of
    which less than 90 % show the brain.

    Parameters
    ----------
    image
        (row, column): the mean image that landmarks were marked in.
    labels
        (row, column), as `find_regions` returns them.
    mm_per_pixel
        Of the image, where it is known.
    """
    matrix = alignment.transform[:2, :2]
    large, small = np.linalg.svd(matrix, compute_uv=False)
    own_mm = atlas.mm_per_pixel / float(np.sqrt(large * small))
    rms = float(np.sqrt((alignment.residuals**2).mean()))
    counts = np.bincount(labels.ravel())[1:]
    in_brain, separation = _in_brain(image, labels)
    checks = AlignmentChecks(
        n_landmarks=len(alignment.names),
        residual_rms_px=rms,
        residual_rms_mm=rms * (mm_per_pixel or own_mm),
        left_out_rms_px=_left_out_rms(alignment),
        mm_per_pixel=own_mm,
        known_mm_per_pixel=mm_per_pixel,
        stretch=float(large / small),
        rotation_degrees=float(
            np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1]))
        ),
        in_view=_in_view(atlas, alignment),
        in_brain=in_brain,
        brain_separation=separation,
        mirrored_correlation=_mirrored_correlation(atlas, alignment, image, labels),
        n_regions=int((counts > 0).sum()),
        smallest_pixels=int(counts[counts > 0].min()),
    )
    return checks, [Finding("region", reason) for reason in _warnings(checks, alignment)]


def _warnings(checks: AlignmentChecks, alignment: Alignment) -> list[str]:
    found = []
    if checks.residual_rms_mm > MOST_RESIDUAL_MM:
        worst = int(alignment.residuals.argmax())
        found.append(
            f"landmarks miss the atlas by {checks.residual_rms_mm:.2f} mm (root mean square, more "
            f"than {MOST_RESIDUAL_MM} mm), {alignment.names[worst]} by "
            f"{alignment.residuals[worst]:.1f} pixels: mark it again"
        )
    known = checks.known_mm_per_pixel
    if known is not None and abs(checks.mm_per_pixel / known - 1) > MOST_SCALE_DIFFERENCE:
        found.append(
            f"a pixel has {checks.mm_per_pixel:.4f} mm by the landmarks and {known:g} mm as "
            "stated, more than 10 % off: is the image binned, or a landmark elsewhere?"
        )
    if abs(checks.rotation_degrees) > MOST_ROTATION_DEGREES:
        found.append(
            f"the atlas is turned by {checks.rotation_degrees:.0f} degrees on the image, more than "
            f"{MOST_ROTATION_DEGREES:.0f}: is the front of the brain at the top?"
        )
    separation = checks.brain_separation
    if separation is not None and separation < LEAST_SEPARATION:
        found.append(
            "the brain does not stand out from its surround, so that it cannot be said whether "
            "regions lie on it"
        )
    elif checks.in_brain is not None and checks.in_brain < LEAST_IN_BRAIN:
        found.append(
            f"{100 * checks.in_brain:.0f} % of the pixels in regions show the brain, fewer than "
            "90 %: look at the overlay"
        )
    return found


def checks_in_words(checks: AlignmentChecks, alignment: Alignment) -> list[str]:
    """One line a check, numbers and units, whether or not a limit is passed."""

    def shown(value: float | None, form: str) -> str:
        return "not known" if value is None else format(value, form)

    each = ", ".join(
        f"{name} {away:.2f}"
        for name, away in zip(alignment.names, alignment.residuals, strict=True)
    )
    separation = shown(checks.brain_separation, ".2f")
    return [
        f"transform: {alignment.kind}, from {checks.n_landmarks} landmarks",
        f"landmarks miss by {checks.residual_rms_px:.2f} pixels, {checks.residual_rms_mm:.3f} mm "
        f"(rms; {each})",
        f"each predicted by the others: {shown(checks.left_out_rms_px, '.2f')} pixels (rms)",
        f"size of a pixel: {checks.mm_per_pixel:.4f} mm by the landmarks (to about 5 %), "
        f"{shown(checks.known_mm_per_pixel, 'g')} as stated",
        f"rotation: {checks.rotation_degrees:.1f} degrees; stretch: {checks.stretch:.3f}; not "
        "mirrored",
        f"in view: {checks.in_view:.2f} of the map's labelled pixels",
        f"on the brain: {shown(checks.in_brain, '.2f')} of the image's labelled pixels (brain and "
        f"surround separated by {separation})",
        "left and right halves of the image, mirrored about the midline: r = "
        f"{shown(checks.mirrored_correlation, '.2f')}",
        f"regions: {checks.n_regions}, the smallest of {checks.smallest_pixels} pixels",
    ]


def _left_out_rms(alignment: Alignment) -> float | None:
    """Each landmark's miss when the others are fitted; None where they do not suffice."""
    kind = "similarity" if alignment.kind == AS_GIVEN else alignment.kind
    missed = []
    for k in range(len(alignment.names)):
        kept = np.arange(len(alignment.names)) != k
        try:
            transform = fit_transform(
                alignment.atlas_points[kept], alignment.image_points[kept], kind
            )
        except DataError:
            continue
        away = (
            apply_transform(transform, alignment.atlas_points[~kept])
            - alignment.image_points[~kept]
        )
        missed.append(float((away**2).sum()))
    return float(np.sqrt(np.mean(missed))) if missed else None


def _in_view(atlas: Atlas, alignment: Alignment) -> float:
    rows, columns = np.nonzero(atlas.labels)
    points = apply_transform(alignment.transform, np.stack([columns, rows], axis=1).astype(float))
    size = np.array(alignment.shape[::-1]) - 0.5
    return float(((points >= -0.5) & (points < size)).all(axis=1).mean())


def _in_brain(image: NDArray[Any], labels: NDArray[np.int16]) -> tuple[float | None, float | None]:
    try:
        brain, separation = find_brain(image)
    except DataError:
        return None, None
    return float(brain[labels > 0].mean()), separation


def _mirrored_correlation(
    atlas: Atlas, alignment: Alignment, image: NDArray[Any], labels: NDArray[np.int16]
) -> float | None:
    """Of pixels in regions left of the midline with the image at their mirror places."""
    rows, columns = np.nonzero(labels)
    places = np.stack([columns, rows], axis=1).astype(np.float64)
    points = apply_transform(alignment.inverse, places)
    midline = atlas.landmarks["bregma"][0]
    is_left = points[:, 0] < midline
    mirrored = points[is_left] * [-1, 1] + [2 * midline, 0]
    x, y = apply_transform(alignment.transform, mirrored).T
    there = scipy.ndimage.map_coordinates(
        image.astype(np.float64), [y, x], order=1, cval=np.nan, mode="constant"
    )
    here = image[rows[is_left], columns[is_left]].astype(np.float64)
    known = np.isfinite(here) & np.isfinite(there)
    if known.sum() < LEAST_PIXELS or here[known].std() == 0 or there[known].std() == 0:
        return None
    return float(np.corrcoef(here[known], there[known])[0, 1])
