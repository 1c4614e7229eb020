"""Deletion and insertion of movies: the cells of a map of squares go in its order, and elsewhere.

As `corticode.explain.deletion` does with regions. Random orders of cells would leave an image full
of holes where the map's own leaves one: what stands beside is the map itself, put elsewhere.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder
from corticode.decode.predict import check_recipe
from corticode.errors import StudyError
from corticode.evaluate.metrics import primary
from corticode.evaluate.scores import scorable_windows
from corticode.explain.deletion import (
    N_RANDOM,
    DeletionCurves,
    check_numbers,
    count_steps,
    curves_of,
    score_within_sessions,
)
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.masks import donor_rows, thin_windows
from corticode.explain.occlusion import covered_versions, scores_of_versions

# What is around a cell is no fill where all cells go.
DELETION_FILLS = ("shuffled", "other-session", "zero")
N_STEPS = 6


def delete_squares(
    decoder: Decoder,
    windows: Windows,
    order: ImportanceMap | NDArray[np.floating],
    *,
    fill: str = "shuffled",
    n_random: int = N_RANDOM,
    every_n_frames: int = 1,
    seed: int = 0,
    device: str = "cpu",
) -> DeletionCurves:
    """Deletion and insertion curves of a map of squares for a fitted decoder of movies.

    The cells of the map are covered one after the other, those first whose covering costs most. In
    the random orders the same map is shifted around the edges of the image, by which squares wrap
    too, and turned upside down or left to right: as many pixels go, in patches of the same form.
    The decoder is not trained again. Give windows of other sessions than made the map, or the map
    is judged by what it was made of.

    Parameters
    ----------
    decoder
        A fitted decoder of movies.
    windows
        Windows cut with the decoder's recipe.
    order
        A map over row and column, such as that of squares, or its values, shape (cell down, cell
        across).
    fill
        What stands in the place of cells: see `corticode.explain.occlusion.occlude`.
    n_random
        Random orders; below 20 no p can reach 0.05. Each costs ten CNN passes a frame.
    every_n_frames
        One image in so many passes the CNN.
    seed
        Of the random orders, the fill, and of which windows are decoded.
    device
        ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    DecoderError
        The windows were not cut with the decoder's recipe.
    StudyError
        A decoder of traces; a map that does not tile the images; an unknown fill; a number out of
        range.
    DataError
        No session can be scored.

    References
    ----------
    Petsiuk, Das and Saenko (2018), "RISE: randomized input sampling for explanation of black-box
    models", BMVC.
    """
    check_recipe(decoder, windows)
    _check_request(decoder, fill)
    check_numbers(n_random, N_STEPS)
    values = _values(order)
    cells = _cells(decoder.recipe.image_shape or (0, 0), values.shape)
    scorable, findings = scorable_windows(windows, "the deletion curves")
    chosen = thin_windows(scorable, every_n_frames, seed=seed)
    counts = count_steps(values.size, N_STEPS)
    orders = [_falling(values), *map(_falling, moved_maps(values, n_random, seed=seed))]
    sets = {
        (k, gone, int(n)): np.isin(cells, one[:n] if gone else one[n:])
        for k, one in enumerate(orders)
        for gone in (True, False)
        for n in counts
    }
    donors = None if fill == "zero" else donor_rows(windows, fill, seed=seed)
    score = _scores(decoder, chosen, list(sets.values()), fill, donors, device)
    curves = np.array([score[covered.tobytes()] for covered in sets.values()])
    curves = curves.reshape(len(orders), 2, counts.size)
    return curves_of(
        [f"cell {k // values.shape[1] + 1}-{k % values.shape[1] + 1}" for k in orders[0]],
        counts,
        curves[:, 0],
        curves[:, 1],
        metric=primary(decoder.kind),
        findings=findings,
        parts="cells",
    )


def moved_maps(
    values: NDArray[np.floating], n_maps: int, *, seed: int = 0
) -> list[NDArray[np.floating]]:
    """A map put elsewhere at random: shifted around the edges, turned over; never as it was.

    Parameters
    ----------
    values
        Shape (cell down, cell across).
    n_maps
        How many; each is another one, as long as there are others.
    seed
        Fixes the draw.

    Examples
    --------
    >>> moved = moved_maps(np.array([[1, 0], [0, 0]]), 3)
    >>> sorted(one.tolist() for one in moved)
    [[[0, 0], [0, 1]], [[0, 0], [1, 0]], [[0, 1], [0, 0]]]
    """
    mirrored = [values, values[::-1], values[:, ::-1], values[::-1, ::-1]]
    places = [(i, j) for i in range(values.shape[0]) for j in range(values.shape[1])]
    made = [np.roll(one, place, axis=(0, 1)) for one in mirrored for place in places]
    others = {one.tobytes(): one for one in made if not np.array_equal(one, values)}
    if not others:
        raise StudyError(
            "the map has one value in all cells, so that no order is its own; give another map"
        )
    drawn = np.random.default_rng(seed).permutation(len(others))
    # Small maps have few places to go.
    return [list(others.values())[k] for k in np.resize(drawn, n_maps)]


def _scores(
    decoder: Decoder,
    windows: Windows,
    parts: Sequence[NDArray[np.bool_]],
    fill: str,
    donors: NDArray[np.int64] | None,
    device: str,
) -> dict[bytes, float]:
    """Mean within-session score with each part covered, by the part's bytes; each decoded once."""
    single = {covered.tobytes(): covered for covered in parts if covered.any()}
    versions = covered_versions(list(single.values()), fill, donors, device)
    said = scores_of_versions(decoder, windows, versions, 1 + len(single), device)
    # The first version is the frames as they are.
    keys = [np.zeros_like(parts[0]).tobytes(), *single]
    return {
        key: score_within_sessions(windows, one, decoder.kind)
        for key, one in zip(keys, said, strict=True)
    }


def _check_request(decoder: Decoder, fill: str) -> None:
    if not decoder.settings.sees_movies:
        raise StudyError(
            "these curves take squares of movies away, and this decoder reads traces; take regions "
            "away with delete_regions"
        )
    if fill not in DELETION_FILLS:
        raise StudyError(
            f"fill {fill!r} cannot stand for a whole image; take one of {', '.join(DELETION_FILLS)}"
        )


def _values(order: ImportanceMap | NDArray[np.floating]) -> NDArray[np.float64]:
    """What covering each cell costs, shape (cell down, cell across)."""
    given: NDArray[np.floating]
    if isinstance(order, ImportanceMap):
        given = order.absolute if order.signed is None else order.signed
    else:
        given = np.asarray(order)
    if given.ndim != 2 or not np.isfinite(given).all():
        raise StudyError(
            f"the order has shape {given.shape}; give a map of squares, one finite value a cell, "
            "(cell down, cell across)"
        )
    return np.asarray(given, np.float64)


def _falling(values: NDArray[np.floating]) -> NDArray[np.intp]:
    return np.argsort(-values.ravel(), kind="stable")


def _cells(image_shape: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The cell each pixel lies in, row by row, shape (row, column)."""
    down, across = shape
    steps = (image_shape[0] // down, image_shape[1] // across)
    if (steps[0] * down, steps[1] * across) != image_shape or 0 in steps:
        raise StudyError(
            f"a map of {down} x {across} cells does not tile images of {image_shape}; give one "
            "whose numbers of cells divide theirs, such as 8 x 8"
        )
    row, column = np.indices(image_shape)
    return np.asarray(row // steps[0] * across + column // steps[1])
