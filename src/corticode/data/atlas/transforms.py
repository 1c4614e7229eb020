"""Transforms from atlas to image: 3 x 3 matrices that take a point (x, y, 1), fitted to landmarks.

Points are (x, y): column and row in pixels, from 0 at the middle of the first pixel.
"""

import numpy as np
from numpy.typing import NDArray

from corticode.errors import DataError, StudyError

KINDS = ("similarity", "affine")
FEWEST_POINTS = {"similarity": 3, "affine": 4}
# Of the spread of landmarks along their line: what is less across it is noise of clicking.
LEAST_ACROSS = 0.05


def apply_transform(
    transform: NDArray[np.float64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where a 3 x 3 transform takes points, (point, 2) as x and y.

    Examples
    --------
    >>> shift = np.array([[1.0, 0, 10], [0, 1, 20], [0, 0, 1]])
    >>> apply_transform(shift, np.array([[1.0, 2.0]])).tolist()
    [[11.0, 22.0]]
    """
    return np.asarray(points @ transform[:2, :2].T + transform[:2, 2])


def fit_transform(
    atlas_points: NDArray[np.float64], image_points: NDArray[np.float64], kind: str = "similarity"
) -> NDArray[np.float64]:
    """The transform from atlas to image with the least squared distance of landmarks.

    Parameters
    ----------
    atlas_points, image_points
        (landmark, 2): x and y of the same landmarks.
    kind
        ``"similarity"`` (shift, rotation, one scale; never mirrored) or ``"affine"`` (two scales
        and a shear too).

    Returns
    -------
    NDArray
        3 x 3: atlas (x, y, 1) to image (x, y, 1).

    Raises
    ------
    StudyError
        The kind is unknown.
    DataError
        There are fewer than 3 landmarks (affine: 4), they lie on one line, or left and right are
        exchanged.

    Examples
    --------
    >>> atlas = np.array([[0.0, 0], [10, 0], [0, 10]])
    >>> print(fit_transform(atlas, [5, 7] + atlas @ [[0, 2], [-2, 0]]).round(6))
    [[ 0. -2.  5.]
     [ 2.  0.  7.]
     [ 0.  0.  1.]]
    """
    if kind not in KINDS:
        raise StudyError(f"transform is {kind!r}; it must be one of {', '.join(KINDS)}")
    _check_spread(atlas_points, image_points, kind)
    if kind == "affine":
        transform = _affine(atlas_points, image_points)
        is_mirrored = bool(np.linalg.det(transform) < 0)
    else:
        flipped = atlas_points * [-1, 1]
        transform, mirrored = (
            _similarity(points, image_points) for points in (atlas_points, flipped)
        )
        is_mirrored = _rms(mirrored, flipped, image_points) < _rms(
            transform, atlas_points, image_points
        )
    if is_mirrored:
        raise DataError(
            "the landmarks fit the atlas's mirror image: left and right are exchanged, or the "
            "image is flipped. Exchange the names if left was marked as right (x is the column, y "
            "the row, the animal's left is on the image's left where it is seen from above); flip "
            "the recording if the camera mirrors it"
        )
    return transform


def _similarity(
    atlas_points: NDArray[np.float64], image_points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """As numbers x + iy: image = turn * atlas + shift, by least squares."""
    a, b = (points @ np.array([1, 1j]) for points in (atlas_points, image_points))
    turn = np.vdot(a - a.mean(), b - b.mean()) / np.vdot(a - a.mean(), a - a.mean())
    shift = b.mean() - turn * a.mean()
    return np.array(
        [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag], [0, 0, 1]]
    )


def _affine(
    atlas_points: NDArray[np.float64], image_points: NDArray[np.float64]
) -> NDArray[np.float64]:
    centre = atlas_points.mean(axis=0)
    known = np.column_stack([atlas_points - centre, np.ones(len(atlas_points))])
    solved = np.linalg.lstsq(known, image_points, rcond=None)[0].T
    solved[:, 2] -= solved[:, :2] @ centre
    return np.vstack([solved, [0, 0, 1]])


def _rms(
    transform: NDArray[np.float64],
    atlas_points: NDArray[np.float64],
    image_points: NDArray[np.float64],
) -> float:
    away = apply_transform(transform, atlas_points) - image_points
    return float(np.sqrt((away**2).sum(axis=1).mean()))


def _check_spread(
    atlas_points: NDArray[np.float64], image_points: NDArray[np.float64], kind: str
) -> None:
    fewest = FEWEST_POINTS[kind]
    way_out = "mark one more to the side, as front-left or front-right"
    if len(atlas_points) < fewest:
        raise DataError(
            f"{len(atlas_points)} landmarks were given; a transform of kind {kind!r} needs "
            f"{fewest} or more that do not lie on one line: {way_out}"
        )
    for points, where in ((atlas_points, "atlas"), (image_points, "image")):
        along, across = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
        if across <= LEAST_ACROSS * along:
            raise DataError(
                f"the {len(points)} landmarks lie on one line in the {where}, and which side is "
                f"which cannot be told; {way_out}"
            )
