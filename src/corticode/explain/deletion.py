"""Deletion and insertion: a decoder should get worse sooner where a map's first regions go first.

Regions are taken from a fitted decoder's input one after the other in the order of a map, and in
random orders. A map of what the decoder uses makes its score fall sooner when regions go, and
rise sooner when they come to an empty input, than random orders do.

As `corticode.explain.deletion` does with regions. Random orders of cells would leave an image full
of holes where the map's own leaves one: what stands beside is the map itself, put elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder
from corticode.decode.predict import check_recipe, predict
from corticode.errors import DataError, Finding, StudyError
from corticode.evaluate.metrics import primary, score_windows
from corticode.evaluate.refits import cohort_values
from corticode.evaluate.scores import scorable_windows
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.masks import donor_rows, thin_windows
from corticode.explain.occlusion import covered_versions, scores_of_versions

N_RANDOM = 20
N_STEPS = 12
LEVEL = 0.05
# What is around a cell is no fill where all cells go.
DELETION_FILLS = ("shuffled", "other-session", "zero")
N_CELL_STEPS = 6


Curve = NDArray[np.float64]


@dataclass(frozen=True)
class DeletionCurves:
    """What a decoder scores with regions taken away, or given, in the order of a map.

    Parameters
    ----------
    order
        The regions, the map's first one first.
    counts
        Regions taken away (deletion), or left (insertion), at each point; shape (point,), from 0
        to all.
    deletion, insertion
        Mean within-session score, shape (point,).
    random_deletion, random_insertion
        The same in random orders, shape (order, point).
    area_deletion, area_insertion
        By how much the score lies lower (deletion) or higher (insertion) than the mean of random
        orders, as a mean over the share of regions, from 0 to 1; positive where the map is right.
    p_deletion, p_insertion
        Share of orders, the map's own counted, that do as well: (1 + b) / (1 + n).
    metric
        ``"auc"`` or ``"r2"``.
    findings
        Sessions that were left out, and why.
    words
        All of it as a sentence.
    parts
        What is taken away: ``"regions"``, or ``"cells"`` of a map of squares.
    """

    order: tuple[str, ...]
    counts: NDArray[np.int64]
    deletion: Curve
    insertion: Curve
    random_deletion: Curve
    random_insertion: Curve
    area_deletion: float
    area_insertion: float
    p_deletion: float
    p_insertion: float
    metric: str
    findings: tuple[Finding, ...]
    words: str
    parts: str = "regions"

    def table(self) -> pd.DataFrame:
        """One row a point: n_parts, then each curve, and of random orders mean and 5 to 95 %."""
        columns = {"n_parts": self.counts}
        for name in ("deletion", "insertion"):
            drawn = getattr(self, f"random_{name}")
            columns[name] = getattr(self, name)
            columns[f"{name}_random"] = drawn.mean(axis=0)
            columns[f"{name}_random_low"], columns[f"{name}_random_high"] = np.quantile(
                drawn, (0.05, 0.95), axis=0
            )
        return pd.DataFrame(columns)


def delete_regions(
    decoder: Decoder,
    windows: Windows,
    order: ImportanceMap | Sequence[str],
    *,
    n_random: int = N_RANDOM,
    n_steps: int = N_STEPS,
    every_n_frames: int = 1,
    seed: int = 0,
    device: str = "cpu",
) -> DeletionCurves:
    """Deletion and insertion curves of a map for a fitted decoder of traces.

    A region that is taken away enters as what the decoder scales to 0, as regions that were left
    out of its training do; the decoder is not trained again. Such input is off the data's
    distribution, in random orders as in the map's. Give windows of animals that neither trained
    the decoder nor made the map, or the map is judged by what it was made of.

    Parameters
    ----------
    decoder
        A fitted decoder of traces.
    windows
        Windows cut with the decoder's recipe.
    order
        A map over regions, or their names, the most important first. Regions that the decoder
        does not see are passed over.
    n_random
        Random orders; below 20 no p can reach 0.05.
    n_steps
        Points of a curve besides the first: numbers of regions that grow by about the same
        factor, so that few regions are told apart and many are not. Each costs two predictions
        of all windows, and two more a random order.
    every_n_frames
        Predict every n-th window only.
    seed
        Of the random orders, and of which windows are predicted.
    device
        ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    DecoderError
        The windows were not cut with the decoder's recipe.
    StudyError
        A decoder of movies; an order that lacks a region the decoder sees; a number out of range.
    DataError
        No session can be scored; a map that is not over regions.

    References
    ----------
    Petsiuk, Das and Saenko (2018), "RISE: randomized input sampling for explanation of black-box
    models", BMVC.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> from corticode.decode.fit import fit
    >>> run = np.arange(400) // 20 % 2
    >>> traces = np.random.default_rng(0).normal(size=(400, 4)) + 2 * run[:, None] * [0, 0, 1, 0]
    >>> session = Session("m1", "a", traces, tuple("abcd"), {"run": run}, np.zeros(400, int))
    >>> windows = cut_windows([session], Target("run"), WindowShape(1, 1))
    >>> early, late = windows.where(windows.frame < 200), windows.where(windows.frame > 210)
    >>> decoder = fit(early, late, "linear-window")
    >>> found = delete_regions(decoder, windows, ["c", "a", "b", "d"])
    >>> found.counts.tolist(), bool(found.deletion[1] < 0.65), bool(found.insertion[1] > 0.9)
    ([0, 1, 2, 3, 4], True, True)
    """
    check_recipe(decoder, windows)
    _check_request(decoder, n_random, n_steps)
    scorable, findings = scorable_windows(windows, "the deletion curves")
    ranked = _places(decoder, order)
    counts = count_steps(ranked.size, n_steps)
    score = _Scores(decoder, thin_windows(scorable, every_n_frames, seed=seed), device)
    rng = np.random.default_rng(seed)
    orders = [ranked, *(rng.permutation(ranked) for _ in range(n_random))]
    deletion = np.array([[score.without(one[:n]) for n in counts] for one in orders])
    insertion = np.array([[score.without(one[n:]) for n in counts] for one in orders])
    return _curves_of(
        [decoder.recipe.regions[k] for k in ranked],
        counts,
        deletion,
        insertion,
        metric=primary(decoder.kind),
        findings=findings,
    )


def _curves_of(
    order: Sequence[str],
    counts: NDArray[np.int64],
    deletion: Curve,
    insertion: Curve,
    *,
    metric: str,
    findings: Sequence[Finding] = (),
    parts: str = "regions",
) -> DeletionCurves:
    """What curves along a map's order and along random ones say."""
    share = counts / counts[-1]
    # Upwards is what a true map does.
    told = {"deletion": -_area(deletion, share), "insertion": _area(insertion, share)}
    area = {name: float(found[0] - found[1:].mean()) for name, found in told.items()}
    p = {name: float(np.mean(found >= found[0])) for name, found in told.items()}
    return DeletionCurves(
        order=tuple(order),
        counts=counts,
        deletion=deletion[0],
        insertion=insertion[0],
        random_deletion=deletion[1:],
        random_insertion=insertion[1:],
        area_deletion=area["deletion"],
        area_insertion=area["insertion"],
        p_deletion=p["deletion"],
        p_insertion=p["insertion"],
        metric=metric,
        findings=tuple(findings),
        words=_words(metric, len(deletion) - 1, area, p, parts),
        parts=parts,
    )


def count_steps(n_regions: int, n_steps: int) -> NDArray[np.int64]:
    """Numbers of regions from 0 to all, which grow by about the same factor, shape (point,).

    Examples
    --------
    >>> count_steps(50, 8).tolist()
    [0, 1, 2, 3, 5, 9, 16, 29, 50]
    >>> count_steps(4, 12).tolist()
    [0, 1, 2, 3, 4]
    """
    if n_regions <= n_steps:
        return np.arange(n_regions + 1)
    grown = np.round(np.geomspace(1, n_regions, n_steps)).astype(np.int64)
    return np.unique(np.concatenate([[0], grown]))


class _Scores:
    """Mean within-session scores of a decoder, each input predicted once."""

    def __init__(self, decoder: Decoder, windows: Windows, device: str) -> None:
        self.decoder, self.windows, self.device = decoder, windows, device
        # What the network scales to 0, as it does regions that are left out.
        self.empty = decoder.network.input_offset.cpu().numpy()
        self.known: dict[bytes, float] = {}

    def without(self, places: NDArray[np.intp]) -> float:
        """The mean over animals of their sessions' mean, with some regions taken away."""
        taken = np.zeros(self.empty.size, np.bool_)
        taken[places] = True
        if taken.tobytes() not in self.known:
            self.known[taken.tobytes()] = self._score(taken)
        return self.known[taken.tobytes()]

    def _score(self, taken: NDArray[np.bool_]) -> float:
        traces = np.where(taken, self.empty, self.windows.traces)
        changed = replace(self.windows, traces=traces)
        said = predict(self.decoder, changed, part=None, device=self.device).score
        return score_within_sessions(self.windows, said, self.decoder.kind)


def score_within_sessions(windows: Windows, said: NDArray[np.float32], kind: str) -> float:
    """The mean over animals of their sessions' mean score.

    Parameters
    ----------
    windows
        What was decoded.
    said
        What was said of each window, shape (window,) or (window, class).
    kind
        Of the target.

    Raises
    ------
    DataError
        No session can be scored.
    """
    sessions = [np.flatnonzero(windows.session == k) for k in np.unique(windows.session)]
    by_session = np.array(
        [score_windows(windows.target[rows], said[rows], kind)[primary(kind)] for rows in sessions]
    )
    animals = [str(windows.animal[rows[0]]) for rows in sessions]
    value = float(cohort_values(by_session[None], animals)[0])
    if np.isnan(value):
        raise DataError("no session can be scored from so few windows; lower every_n_frames")
    return value


def _check_request(decoder: Decoder, n_random: int, n_steps: int) -> None:
    if decoder.settings.sees_movies:
        raise StudyError(
            "these curves take regions away, and this decoder reads movies; take squares of them "
            "away with delete_squares"
        )
    _check_numbers(n_random, n_steps)


def _check_numbers(n_random: int, n_steps: int) -> None:
    """Refuse, with a `StudyError`, fewer than one random order or two steps."""
    if n_random < 1 or n_steps < 2:
        raise StudyError(
            f"n_random is {n_random} and n_steps {n_steps}; give at least 1 and 2 "
            f"({N_RANDOM} random orders, for a p below 0.05)"
        )


def _places(decoder: Decoder, order: ImportanceMap | Sequence[str]) -> NDArray[np.intp]:
    """Places of the regions that the decoder sees, the most important first."""
    recipe = decoder.recipe
    given = list(order.ranking()["region"]) if isinstance(order, ImportanceMap) else list(order)
    seen = [name for name, kept in zip(recipe.regions, recipe.kept_regions, strict=True) if kept]
    ranked = [name for name in dict.fromkeys(given) if name in seen]
    missing = [name for name in seen if name not in ranked]
    if missing:
        raise StudyError(
            f"the order lacks {', '.join(missing[:5])}{', ...' * (len(missing) > 5)}, which the "
            "decoder sees; give a map of this decoder, or every region once"
        )
    return np.array([recipe.regions.index(name) for name in ranked])


def _area(curves: Curve, share: Curve) -> Curve:
    """Area under curves over the share of regions, by trapezoids, shape (curve,)."""
    return np.asarray(((curves[:, 1:] + curves[:, :-1]) / 2) @ np.diff(share))


def _words(
    metric: str, n_random: int, area: dict[str, float], p: dict[str, float], what: str
) -> str:
    verbs = {"deletion": "taken away", "insertion": "given"}
    parts = []
    for name, verb in verbs.items():
        sooner = {True: "lower" if name == "deletion" else "higher"}
        sooner[False] = "higher" if name == "deletion" else "lower"
        parts.append(
            f"with {what} {verb} in the map's order {metric} lies {abs(area[name]):.3f} "
            f"{sooner[area[name] >= 0]} on average than in {n_random} random ones "
            f"(p = {p[name]:.3f})"
        )
    found = "; ".join(parts)
    if n_random < N_RANDOM:
        return f"{found}; too few random orders to say, {N_RANDOM} are needed"
    if p["deletion"] > LEVEL or p["insertion"] > LEVEL:
        found += ": the map's order is not shown to be that of what the decoder uses"
    return found


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
    _check_square_request(decoder, fill)
    _check_numbers(n_random, N_CELL_STEPS)
    values = _values(order)
    cells = _cells(decoder.recipe.image_shape or (0, 0), values.shape)
    scorable, findings = scorable_windows(windows, "the deletion curves")
    chosen = thin_windows(scorable, every_n_frames, seed=seed)
    counts = count_steps(values.size, N_CELL_STEPS)
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
    return _curves_of(
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


def _check_square_request(decoder: Decoder, fill: str) -> None:
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
