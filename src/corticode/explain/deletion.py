"""Deletion and insertion: a decoder should get worse sooner where a map's first regions go first.

Regions are taken from a fitted decoder's input one after the other in the order of a map, and in
random orders. A map of what the decoder uses makes its score fall sooner when regions go, and
rise sooner when they come to an empty input, than random orders do.
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
from corticode.explain.masks import thin_windows

N_RANDOM = 20
N_STEPS = 12
LEVEL = 0.05

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
    >>> decoder = fit(windows, windows, "linear-window")
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
    return curves_of(
        [decoder.recipe.regions[k] for k in ranked],
        counts,
        deletion,
        insertion,
        metric=primary(decoder.kind),
        findings=findings,
    )


def curves_of(
    order: Sequence[str],
    counts: NDArray[np.int64],
    deletion: Curve,
    insertion: Curve,
    *,
    metric: str,
    findings: Sequence[Finding] = (),
    parts: str = "regions",
) -> DeletionCurves:
    """What curves along a map's order and along random ones say.

    Parameters
    ----------
    order
        Names of the parts, the map's first one first.
    counts
        Parts taken away, or left, at each point, shape (point,).
    deletion, insertion
        Scores with so many taken away, or left, shape (1 + order, point): the map's order first.
    metric, findings, parts
        As `DeletionCurves` has them.
    """
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
    check_numbers(n_random, n_steps)


def check_numbers(n_random: int, n_steps: int) -> None:
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
