"""Is a set of regions special? Its linear decoder against those of other sets of the same size.

Each set is a ridge regression from means over short blocks of frames. The products of all inputs
with each other and with the label are taken once a session; a set's decoder needs only its own
rows and columns of them, so that hundreds of sets take seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from corticode.data.regions import RegionTable, select_regions
from corticode.data.windows import Windows
from corticode.errors import DataError, Finding, StudyError
from corticode.evaluate.region_draws import RegionSet, draw_sets, mirror_pairs
from corticode.evaluate.ridge_orders import PENALTY, cohort_values, column_aucs
from corticode.evaluate.scorable_sessions import scorable_windows
from corticode.evaluate.usable_sessions import mean_known

N_SETS = 200
EVERY = 3
BLOCK_FRAMES = 3

# Flat inputs differ from their mean by rounding.
ROUNDING = 1e-6

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class RegionSets:
    """The score of a set of regions among those of other sets of the same size.

    Parameters
    ----------
    regions
        Names of the set.
    value
        Mean over animals of the mean within-session AUC of its decoder.
    by_animal
        The same, apart for each animal.
    value_of_all
        That of all regions the windows keep.
    random, symmetric
        Values of random sets, and of those made of whole pairs of mirrored regions; shape (set,),
        empty where there is none.
    random_sets, symmetric_sets
        Their regions.
    percentile, percentile_symmetric
        Percentage of them whose value is below that of the set; NaN for none.
    held_out
        ``"animal"``, or ``"session"`` where there is one animal.
    findings
        Sessions that were left out, and why.
    words
        All of it as a sentence.
    """

    regions: tuple[str, ...]
    value: float
    by_animal: dict[str, float]
    value_of_all: float
    random: NDArray[np.float64]
    symmetric: NDArray[np.float64]
    random_sets: tuple[tuple[str, ...], ...]
    symmetric_sets: tuple[tuple[str, ...], ...]
    percentile: float
    percentile_symmetric: float
    held_out: str
    findings: tuple[Finding, ...]
    words: str


def compare_region_sets(
    windows: Windows,
    regions: Sequence[int | str],
    table: RegionTable | None = None,
    *,
    n_sets: int = N_SETS,
    every: int = EVERY,
    block_frames: int = BLOCK_FRAMES,
    penalty: float = PENALTY,
    seed: int = 0,
) -> RegionSets:
    """The value of a set of regions among those of random sets of the same size.

    Each animal (with one animal: each session) is left out in turn; ridge regression is fitted
    to the others and scored on it. Inputs are means over blocks of frames of the window, each
    standardised within its session, so that a decoder of a set is a linear decoder of its whole
    windows at a coarser time. It tells whether the regions are special to a linear decoder, not
    to a network.

    Parameters
    ----------
    windows
        Windows of traces with a binary target.
    regions
        The set: numbers, names, groups or sides of regions.
    table
        Where groups, sides and mirrors are looked up. None, or one without mirrors: no symmetric
        sets are drawn.
    n_sets
        Sets to draw of each kind, all different and none the given one; all there are, where
        there are fewer.
    every
        Only windows of every so many frames are used: neighbouring windows hold nearly the same.
    block_frames
        Frames of a block. Where the window is no multiple of it, its last block is shorter.
    penalty
        L2 penalty as a share of the mean sum of squares of a set's inputs; the same for all sets.
    seed
        Of the draws.

    Raises
    ------
    DataError
        The target is not binary, windows hold movies, or there are not two animals or sessions.
    StudyError
        The set holds what is no region, or all of them; a number out of range.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> rng = np.random.default_rng(0)
    >>> run = np.arange(400) // 20 % 2
    >>> sessions = [
    ...     Session(f"m{k}", "a", rng.normal(size=(400, 6)) + run[:, None] * [0, 2, 0, 0, 2, 0],
    ...             tuple("abcdef"), {"run": run}, np.zeros(400, int))
    ...     for k in range(3)
    ... ]
    >>> windows = cut_windows(sessions, Target("run"), WindowShape(2, 2))
    >>> found = compare_region_sets(windows, ["b", "e"])
    >>> found.random.size, found.percentile, found.value > 0.9
    (14, 100.0, True)
    """
    _check_request(windows, n_sets, every, block_frames, penalty)
    names = windows.recipe.regions
    kept = _kept(windows)
    chosen = _chosen(windows, regions, table, kept)
    scorable, findings = scorable_windows(windows, "the comparison of region sets")
    scorable = scorable.where(scorable.frame % every == 0)
    blocks = _SessionBlocks(scorable, block_frames)
    rng = np.random.default_rng(seed)
    random = draw_sets([(int(k),) for k in kept], len(chosen), n_sets, rng, without=chosen)
    pairs = mirror_pairs(names, kept, table)
    symmetric = draw_sets(pairs, len(chosen), n_sets, rng, without=chosen)
    aucs = blocks.score([chosen, tuple(map(int, kept)), *random, *symmetric], penalty)
    values = cohort_values(aucs, blocks.animals)
    n_random = 2 + len(random)
    drawn = {"random": values[2:n_random], "mirror-symmetric": values[n_random:]}
    below = {name: _percentile(values[0], others) for name, others in drawn.items()}
    return RegionSets(
        regions=tuple(names[k] for k in chosen),
        value=float(values[0]),
        by_animal=_by_animal(aucs[0], blocks.animals),
        value_of_all=float(values[1]),
        random=drawn["random"],
        symmetric=drawn["mirror-symmetric"],
        random_sets=tuple(tuple(names[k] for k in one) for one in random),
        symmetric_sets=tuple(tuple(names[k] for k in one) for one in symmetric),
        percentile=below["random"],
        percentile_symmetric=below["mirror-symmetric"],
        held_out=blocks.held_out,
        findings=tuple(findings),
        words=_words(len(chosen), len(kept), float(values[0]), float(values[1]), drawn),
    )


class _SessionBlocks:
    """The inputs of each session, made anew when asked for, and what is left out together."""

    def __init__(self, windows: Windows, block_frames: int) -> None:
        self.windows = windows
        n_frames = windows.recipe.window.n_frames
        self.edges = [*range(0, n_frames, block_frames), n_frames]
        codes = [int(k) for k in np.unique(windows.session)]
        self.rows = [np.flatnonzero(windows.session == k) for k in codes]
        self.animals = [windows.animal_names[windows.animal[own[0]]] for own in self.rows]
        groups = pd.factorize(np.array(self.animals))[0]
        self.held_out = "animal" if groups.max() > 0 else "session"
        self.groups = groups if groups.max() > 0 else np.arange(len(codes))
        if len(codes) < 2:
            raise DataError(
                "one session can be scored, and a decoder of its regions needs another to be "
                "fitted on; give a second animal or session"
            )

    def inputs(self, session: int) -> Floats:
        """Block means of a session, standardised, (window, region * block)."""
        windows, start = self.windows, self.windows.start[self.rows[session]]
        n_regions = windows.traces.shape[1]
        kept = np.asarray(windows.recipe.kept_regions)
        means = np.empty((start.size, n_regions, len(self.edges) - 1), np.float32)
        for k, (first, stop) in enumerate(zip(self.edges[:-1], self.edges[1:], strict=True)):
            frames = start[:, None] + np.arange(first, stop)
            means[..., k] = np.where(kept, windows.traces[frames].mean(axis=1), 0)
        flat = means.reshape(start.size, -1)
        about = flat - flat.mean(axis=0)
        spread = about.std(axis=0)
        varies = spread > ROUNDING * np.abs(flat).max(axis=0)
        return np.asarray(np.divide(about, spread, out=np.zeros_like(about), where=varies))

    def score(self, sets: Sequence[RegionSet], penalty: float) -> NDArray[np.float64]:
        """AUC of each set's decoder in each session, (set, session)."""
        weights = self._weights(sets, penalty)
        aucs = np.empty((len(sets), len(self.rows)))
        for k, own in enumerate(self.rows):
            label = np.repeat(self.windows.target[own][:, None], len(sets), axis=1)
            aucs[:, k] = column_aucs(self.inputs(k) @ weights[self.groups[k]], label)
        return aucs

    def _weights(self, sets: Sequence[RegionSet], penalty: float) -> Floats:
        """Weights without each group, (group, input, set); 0 for inputs of other regions."""
        grams, moments = self._products()
        gram, moment = grams.sum(axis=0), moments.sum(axis=0)
        n_blocks = len(self.edges) - 1
        weights = np.zeros((len(grams), moment.size, len(sets)), np.float32)
        for group in range(len(grams)):
            left, aim = gram - grams[group], moment - moments[group]
            for k, one in enumerate(sets):
                own = (np.array(one)[:, None] * n_blocks + np.arange(n_blocks)).ravel()
                weights[group, own, k] = _ridge(left[np.ix_(own, own)], aim[own], penalty)
        return weights

    def _products(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each group: inputs with inputs, and with the label about its session's mean."""
        n_groups = int(self.groups.max()) + 1
        n_inputs = self.windows.traces.shape[1] * (len(self.edges) - 1)
        grams = np.zeros((n_groups, n_inputs, n_inputs))
        moments = np.zeros((n_groups, n_inputs))
        for k, own in enumerate(self.rows):
            inputs, label = self.inputs(k), self.windows.target[own]
            grams[self.groups[k]] += inputs.T @ inputs
            moments[self.groups[k]] += inputs.T @ (label - label.mean())
        return grams, moments


def _ridge(
    gram: NDArray[np.float64], moment: NDArray[np.float64], penalty: float
) -> NDArray[np.float64]:
    strength = penalty * np.trace(gram) / len(gram)
    # Flat inputs alone leave nothing to divide by; their weights are 0 then.
    gram[np.diag_indices_from(gram)] += strength if strength > 0 else 1.0
    return np.asarray(cho_solve(cho_factor(gram), moment))


def _check_request(
    windows: Windows, n_sets: int, every: int, block_frames: int, penalty: float
) -> None:
    if windows.recipe.target.kind != "binary" or windows.movies:
        raise DataError(
            f"windows hold {'movies' if windows.movies else 'traces'} and a target of kind "
            f"{windows.recipe.target.kind!r}; comparing sets of regions needs traces and kind "
            "'binary'"
        )
    if n_sets < 1 or every < 1 or block_frames < 1 or not penalty > 0:
        raise StudyError(
            f"n_sets is {n_sets}, every {every}, block_frames {block_frames} and penalty "
            f"{penalty:g}; give whole numbers from 1 and a penalty above 0"
        )


def _kept(windows: Windows) -> NDArray[np.intp]:
    return np.flatnonzero(np.asarray(windows.recipe.kept_regions))


def _chosen(
    windows: Windows,
    regions: Sequence[int | str],
    table: RegionTable | None,
    kept: NDArray[np.intp],
) -> RegionSet:
    names = windows.recipe.regions
    chosen = np.flatnonzero(select_regions(regions, names, table))
    absent = [names[k] for k in np.setdiff1d(chosen, kept)]
    if absent:
        raise StudyError(
            f"the set holds {', '.join(absent[:5])}, which the windows do not keep; take some of "
            f"{', '.join(names[k] for k in kept[:8])}{', ...' * (kept.size > 8)}"
        )
    if chosen.size == kept.size:
        raise StudyError(
            f"the set holds all {kept.size} regions, so there is no other of its size; name fewer"
        )
    return tuple(int(k) for k in chosen)


def _by_animal(aucs: NDArray[np.float64], animals: Sequence[str]) -> dict[str, float]:
    owner = np.array(animals)
    return {name: float(mean_known(aucs[owner == name])) for name in dict.fromkeys(animals)}


def _percentile(value: float, others: NDArray[np.float64]) -> float:
    return 100 * float(np.mean(others < value)) if others.size else float("nan")


def _words(
    size: int, n_regions: int, value: float, of_all: float, drawn: dict[str, NDArray[np.float64]]
) -> str:
    found = (
        f"a linear decoder of these {size} of {n_regions} regions reads {value:.3f} "
        f"(of all: {of_all:.3f})"
    )
    for name, others in drawn.items():
        if others.size:
            found += (
                f"; {np.count_nonzero(others < value)} of {others.size} {name} sets of the same "
                f"size read less (median {np.median(others):.3f})"
            )
    if not drawn["mirror-symmetric"].size:
        found += "; no mirror-symmetric set was drawn"
    return found
