"""Is the cohort decoded above chance? A linear decoder refitted for every order of the labels.

Animals share training data, so their p-values cannot be put together: labels of all animals
change places at once, and everything is fitted again, by ridge regression on whole windows, which
takes seconds (`corticode.evaluate.refits`).

The products of a session's inputs with themselves do not depend on the labels and are taken
once; those with labels once for each pairing of a session with a label trace.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from corticode.data.windows import Windows
from corticode.errors import DataError, Finding, StudyError
from corticode.evaluate.comparisons import cannot_reach
from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.nulls import (
    ENOUGH_SESSIONS,
    N_DRAWS,
    TRIALS,
    UNCHECKED,
    Days,
    Name,
    day_of,
    day_trends,
    draw_derangements,
    draw_orders,
    draw_trial_orders,
    is_session,
    mean_known,
    order_blocks,
    order_p,
    slope_over_frames,
    smallest_p,
    usable_sessions,
)
from corticode.evaluate.scores import as_empty_predictions

PENALTY = 0.1
UNEXCHANGEABLE = (
    "trials of a session are taken as exchangeable: where labels and cortex both change slowly "
    "over a session this p is too small"
)
EVERY = 10


Floats = NDArray[np.floating[Any]]


def refit_aucs(
    read_inputs: Callable[[int], Floats],
    labels: Sequence[Floats],
    held_out: NDArray[np.int64],
    orders: NDArray[np.intp],
    penalty: float = PENALTY,
    kind: str = "binary",
) -> NDArray[np.float64]:
    """Within-session scores of ridge decoders that are fitted in every order without that group.

    They are AUCs, of values Pearson's r.

    Parameters
    ----------
    read_inputs
        Gives the inputs of a session, shape (window, input), by its number; called twice each,
        so that no more than one session's need be in memory.
    labels
        For each session, the label that its windows have from each session: 0, 1 or a value, or
        NaN, shape (window, session).
    held_out
        The group of each session that is left out together, whole numbers from 0.
    orders
        Which session's labels each session has, shape (order, session).
    penalty
        L2 penalty as a share of the inputs' mean sum of squares.
    kind
        ``"binary"`` or ``"value"``.

    Returns
    -------
    array
        Shape (order, session); NaN where a session has labels of one class, or one value.

    Examples
    --------
    >>> x = [np.array([[0.0], [1.0], [2.0], [3.0]])] * 2
    >>> y = [np.array([[0, 0], [0, 1], [1, 0], [1, 1]])] * 2
    >>> refit_aucs(lambda k: x[k], y, np.array([0, 1]), np.array([[0, 1], [1, 0]])).tolist()
    [[1.0, 0.75], [0.75, 1.0]]
    """
    weights = _fit_orders(read_inputs, labels, held_out, orders, penalty)
    aucs = np.empty(orders.shape)
    for k, own in enumerate(labels):
        scores = _centred(read_inputs(k)) @ weights[held_out[k]].astype(np.float32)
        statistic = column_aucs if kind == "binary" else column_correlations
        aucs[:, k] = statistic(scores, np.asarray(own)[:, orders[:, k]])
    return aucs


def cohort_values(aucs: NDArray[np.float64], animals: Sequence[str]) -> NDArray[np.float64]:
    """The mean over animals of their mean over sessions, shape (order,).

    Parameters
    ----------
    aucs
        Shape (order, session); NaN is left out.
    animals
        The animal of each session.
    """
    codes, names = pd.factorize(np.array(animals))
    return mean_known(
        np.stack([mean_known(aucs[:, codes == k]) for k in range(len(names))], axis=1)
    )


def column_aucs(scores: Floats, labels: Floats) -> NDArray[np.float64]:
    """AUC of each column of scores for the same column of labels; ties count one half.

    Parameters
    ----------
    scores, labels
        Shape (window, order); windows whose label is NaN are left out.

    Returns
    -------
    array
        Shape (order,); NaN where one class is absent.

    Examples
    --------
    >>> column_aucs(np.array([[0.1, 1], [0.2, 1], [0.3, 1]]), np.array([[0, 0], [1, 1], [1, 1]]))
    array([1. , 0.5])
    """
    place = np.argsort(scores, axis=0)
    ordered = np.take_along_axis(scores, place, axis=0)
    label = np.take_along_axis(labels, place, axis=0)
    true, false = label == 1, label == 0
    n_pairs = true.sum(axis=0) * false.sum(axis=0)
    right = np.sum(np.cumsum(false, axis=0) * true, axis=0)
    aucs = np.full(scores.shape[1], np.nan)
    np.divide(right, n_pairs, out=aucs, where=n_pairs > 0)
    # Ties are rare among linear scores: only the columns that have some are counted exactly.
    tied = np.any(ordered[1:] == ordered[:-1], axis=0) & (n_pairs > 0)
    for k in np.flatnonzero(tied):
        aucs[k] = binary_scores(labels[:, k], scores[:, k])["auc"]
    return aucs


def column_correlations(scores: Floats, labels: Floats) -> NDArray[np.float64]:
    """Pearson's r of each column of scores with the same column of labels.

    Parameters
    ----------
    scores, labels
        Shape (window, order); windows whose label is NaN are left out.

    Returns
    -------
    array
        Shape (order,); NaN where either is constant.

    Examples
    --------
    >>> scores, labels = np.array([[1.0, 1], [2, 1], [3, 1]]), np.array([[2.0, 0], [4, 1], [6, 1]])
    >>> column_correlations(scores, labels)
    array([ 1., nan])
    """
    known = ~np.isnan(labels)
    counts = np.maximum(known.sum(axis=0), 1)
    about = []
    for one in (scores, labels):
        held = np.where(known, one, 0).astype(np.float64)
        about.append(np.where(known, held - held.sum(axis=0) / counts, 0))
    squares = np.sum(about[0] ** 2, axis=0) * np.sum(about[1] ** 2, axis=0)
    found = np.full(scores.shape[1], np.nan)
    np.divide(np.sum(about[0] * about[1], axis=0), np.sqrt(squares), out=found, where=squares > 0)
    return found


def _fit_orders(
    read_inputs: Callable[[int], Floats],
    labels: Sequence[Floats],
    held_out: NDArray[np.int64],
    orders: NDArray[np.intp],
    penalty: float,
) -> NDArray[np.float64]:
    """Weights without each group in each order, shape (group, input, order)."""
    n_groups = int(held_out.max()) + 1
    grams: list[Any] = [0.0] * n_groups
    moments: list[Any] = [0.0] * n_groups
    for k, own in enumerate(labels):
        inputs = _centred(read_inputs(k))
        grams[held_out[k]] = grams[held_out[k]] + (inputs.T @ inputs).astype(np.float64)
        used, place = np.unique(orders[:, k], return_inverse=True)
        # A window without a label counts as the mean label: the inputs' products stay the same.
        chosen = np.asarray(own)[:, used].astype(np.float64)
        label = np.nan_to_num(chosen - mean_known(chosen.T))
        products = inputs.T @ label.astype(np.float32)
        moments[held_out[k]] = moments[held_out[k]] + products[:, place].astype(np.float64)
    gram, moment = sum(grams), sum(moments)
    weights = []
    for k in range(n_groups):
        weights.append(ridge_weights(gram - grams[k], moment - moments[k], penalty))
    return np.stack(weights)


def ridge_weights(
    gram: NDArray[np.float64], moment: NDArray[np.float64], penalty: float
) -> NDArray[np.float64]:
    """Weights of a ridge regression; `gram` is changed.

    Parameters
    ----------
    gram
        Products of the inputs with themselves, (input, input).
    moment
        Their products with what is to be said, (input,) or (input, order).
    penalty
        As a share of the inputs' mean sum of squares.
    """
    strength = penalty * np.trace(gram) / len(gram)
    # Flat inputs alone leave nothing to divide by; their weights are 0 then.
    gram[np.diag_indices_from(gram)] += strength if strength > 0 else 1.0
    return np.asarray(cho_solve(cho_factor(gram), moment))


def _centred(inputs: Floats) -> NDArray[np.float32]:
    """Inputs less their session's mean: levels of sessions play no part in within-session AUC."""
    return np.asarray(inputs - inputs.mean(axis=0), dtype=np.float32)


@dataclass(frozen=True)
class CohortNull:
    """What permuting labels and fitting anew found.

    Parameters
    ----------
    value
        Mean over animals of the mean within-session AUC (of values Pearson's r), with the labels
        as observed.
    p
        Share of the orders, the observed one among them, whose value is as large.
    smallest_p
        The smallest p that this design and this many draws can give.
    permuted_mean
        Mean over label permutations in which no session keeps its labels; NaN where none can
        change places.
    values
        The value of each order, the observed one first, shape (order,).
    held_out
        ``"animal"``, or ``"session"`` where there is one animal.
    exchanged
        By animal, ``"all sessions"`` or ``"pairs of neighbouring sessions"``.
    trends
        As from `corticode.evaluate.nulls.day_trends`, of the labels.
    findings
        Sessions that were left out, and why.
    note
        What the design cannot show, the caveats of its animals among it; else empty.
    """

    value: float
    p: float
    smallest_p: float
    permuted_mean: float
    values: NDArray[np.float64]
    held_out: str
    exchanged: dict[str, str]
    trends: pd.DataFrame
    findings: tuple[Finding, ...]
    note: str


def permute_and_refit(
    windows: Windows,
    *,
    days: Days | None = None,
    n_draws: int = N_DRAWS,
    every: int = EVERY,
    seed: int = 0,
) -> CohortNull:
    """The cohort's p that a linear decoder reads labels from windows of animals it never saw.

    Each animal (with one animal: each session) is left out in turn; ridge regression on whole
    windows, standardised within each session, is fitted to the others and scored on it. Labels
    change places between neighbours only for animals whose run fraction or slope of labels within
    sessions trends over days. All
    sessions of an animal are cut to the shortest of those that take part, so that every order
    weighs the same frames; see `corticode.evaluate.nulls.permute_test_labels` for those left out.

    Parameters
    ----------
    windows
        Windows of traces with a binary target, or a value.
    days
        The day of each (animal, session); ``None``: their order in the windows' name tables.
    n_draws, seed
        As for `corticode.evaluate.nulls.draw_orders`.
    every
        Only windows of every so many frames are used: neighbouring windows hold nearly the same.

    Raises
    ------
    DataError
        The target is of several classes, windows hold movies, a day is missing, or fewer than
        two sessions can be used.
    StudyError
        `every` is out of range.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> rng = np.random.default_rng(0)
    >>> run = [np.repeat(rng.random(40) > 0.5, 10) for _ in range(8)]
    >>> sessions = [
    ...     Session(f"m{k % 2}", f"s{k}", rng.normal(size=(400, 3)) + run[k][:, None],
    ...             ("1", "2", "3"), {"run": run[k]}, np.zeros(400, int))
    ...     for k in range(8)
    ... ]
    >>> windows = cut_windows(sessions, Target("run"), WindowShape(2, 2))
    >>> found = permute_and_refit(windows, every=2)
    >>> found.values.size, round(found.smallest_p, 4), found.p < 0.01
    (576, 0.0017, True)
    """
    if every < 1:
        raise StudyError(f"every is {every}; give 1 frame or more")
    check_traces(windows, "refitting", ("binary", "value"))
    names, findings = usable_sessions([as_empty_predictions(windows)])
    if len(names) < 2:
        raise DataError(
            f"{len(names)} sessions can be used of the 2 or more that permuting labels needs; "
            + "; ".join(map(str, findings[:3]))
        )
    rows = _common_rows(windows, names, every)
    traces = [_labels_by_frame(windows, own) for own in rows]
    animals = [animal for animal, _ in names]
    day = [day_of(name, place, days) for place, name in enumerate(names)]
    trends = day_trends(_label_table(names, day, traces), n_draws=n_draws, seed=seed)
    paired = trends.loc[trends["trends"], "animal"].unique().tolist()
    blocks = order_blocks(animals, day, paired)
    orders = draw_orders(blocks, n_draws, seed=seed)
    deranged = draw_derangements(blocks, seed=seed)
    held_out = "animal" if len(set(animals)) > 1 else "session"
    aucs = refit_aucs(
        lambda k: standardised_inputs(windows, rows[k]),
        [_pairings(windows.frame[own], traces, animals, k) for k, own in enumerate(rows)],
        pd.factorize(np.array(animals))[0] if held_out == "animal" else np.arange(len(names)),
        np.concatenate([orders, deranged]),
        kind=windows.recipe.target.kind,
    )
    values, of_others = np.split(cohort_values(aucs, animals), [len(orders)])
    floor = smallest_p(blocks, n_draws)
    return CohortNull(
        float(values[0]),
        order_p(values),
        floor,
        float(of_others.mean()) if of_others.size else float("nan"),
        values,
        held_out,
        {a: f"{'pairs of neighbouring' if a in paired else 'all'} sessions" for a in set(animals)},
        trends,
        tuple(findings),
        "; ".join(
            filter(None, [_unchecked(animals, paired), cannot_reach(floor, _design(animals))])
        ),
    )


def permute_trials_and_refit(
    windows: Windows, *, n_draws: int = N_DRAWS, seed: int = 0
) -> CohortNull:
    """The cohort's p of trials: `permute_and_refit`, labels permuted within each session.

    Parameters
    ----------
    windows
        Windows of traces, one a trial, with a binary target, or a value.
    n_draws, seed
        Orders drawn beside the observed one, and the seed of the draws.

    Raises
    ------
    DataError
        The target is of several classes, windows hold movies, or fewer than two sessions can be
        used.
    """
    check_traces(windows, "refitting", ("binary", "value"))
    names, findings = usable_sessions([as_empty_predictions(windows)])
    if len(names) < 2:
        raise DataError(
            f"{len(names)} sessions can be used of the 2 or more that refitting needs; "
            + "; ".join(map(str, findings[:3]))
        )
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(is_session(windows, name)) for name in names]
    labels = [draw_trial_orders(windows.target[own], n_draws, rng) for own in rows]
    animals = [animal for animal, _ in names]
    held_out = "animal" if len(set(animals)) > 1 else "session"
    aucs = refit_aucs(
        lambda k: standardised_inputs(windows, rows[k]),
        labels,
        pd.factorize(np.array(animals))[0] if held_out == "animal" else np.arange(len(names)),
        np.tile(np.arange(n_draws + 1)[:, None], len(names)),
        kind=windows.recipe.target.kind,
    )
    values = cohort_values(aucs, animals)
    floor = 1 / (n_draws + 1)
    return CohortNull(
        float(values[0]),
        order_p(values),
        floor,
        float(values[1:].mean()),
        values,
        held_out,
        dict.fromkeys(animals, TRIALS),
        day_trends(pd.DataFrame(columns=["animal", "session", "day"])),
        tuple(findings),
        UNEXCHANGEABLE,
    )


def _unchecked(animals: Sequence[str], paired: Sequence[str]) -> str:
    """The caveat of the animals whose sessions may trend over days unseen; else empty."""
    counts = [animals.count(name) for name in dict.fromkeys(animals) if name not in paired]
    few = [n for n in counts if n < ENOUGH_SESSIONS]
    return UNCHECKED.format(n=_range(few)) if few else ""


def _range(counts: Sequence[int]) -> str:
    return f"{min(counts)}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"


def check_traces(windows: Windows, what: str, kinds: Sequence[str] = ("binary",)) -> None:
    """Refuse windows of movies and targets of other kinds, which `what` cannot do with."""
    if windows.recipe.target.kind not in kinds or windows.movies:
        raise DataError(
            f"windows hold {'movies' if windows.movies else 'traces'} and a target of kind "
            f"{windows.recipe.target.kind!r}; {what} needs traces and kind "
            f"{' or '.join(map(repr, kinds))}"
        )


def _common_rows(windows: Windows, names: Sequence[Name], every: int) -> list[NDArray[np.intp]]:
    """The windows of each session, thinned and cut to the shortest of its animal's sessions."""
    own = []
    for name in names:
        own.append(np.flatnonzero(is_session(windows, name) & (windows.frame % every == 0)))
    last = {
        name: int(windows.frame[rows].max(initial=0)) for name, rows in zip(names, own, strict=True)
    }
    shortest = {
        animal: min(frame for (owner, _), frame in last.items() if owner == animal)
        for animal, _ in names
    }
    return [
        rows[windows.frame[rows] <= shortest[animal]]
        for (animal, _), rows in zip(names, own, strict=True)
    ]


def _labels_by_frame(windows: Windows, rows: NDArray[np.intp]) -> NDArray[np.floating]:
    """Labels of one session by frame, NaN where there is no window."""
    n_frames = int(windows.frame[rows].max(initial=0)) + 1
    trace = np.full(n_frames, np.nan, windows.target.dtype)
    trace[windows.frame[rows]] = windows.target[rows]
    return trace


def _label_table(
    names: Sequence[Name], day: Sequence[float], traces: Sequence[NDArray[np.float32]]
) -> pd.DataFrame:
    rows = []
    for (animal, session), on, trace in zip(names, day, traces, strict=True):
        frame = np.flatnonzero(~np.isnan(trace))
        label = trace[frame].astype(np.float64)
        slope = slope_over_frames(frame, label)
        rows.append([animal, session, on, label.mean(), slope])
    columns = ["animal", "session", "day", "run_fraction", "label_slope"]
    return pd.DataFrame(rows, columns=columns)


def _design(animals: Sequence[str]) -> str:
    n_animals = len(set(animals))
    return f"{len(animals)} sessions of {n_animals} {'animal' if n_animals == 1 else 'animals'}"


def _pairings(
    frame: NDArray[np.int32], traces: Sequence[NDArray[np.float32]], animals: Sequence[str], k: int
) -> NDArray[np.float32]:
    """What each session's labels say at the frames of session `k`; NaN for other animals'."""
    labels = np.full((frame.size, len(traces)), np.nan, np.float32)
    for j, trace in enumerate(traces):
        if animals[j] == animals[k]:
            shared = frame < trace.size
            labels[shared, j] = trace[frame[shared]]
    return labels


def standardised_inputs(windows: Windows, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Windows of one session as rows, each input standardised; flat or missing ones are 0.

    Parameters
    ----------
    windows
        Windows of traces or confounds.
    rows
        Which, of one session.

    Returns
    -------
    NDArray
        float32, shape (row, frame x trace).
    """
    values = windows.values(rows).reshape(rows.size, -1)
    about = values - values.mean(axis=0)
    spread = about.std(axis=0)
    scaled = np.divide(about, spread, out=np.zeros_like(about), where=spread > 0)
    return np.asarray(np.nan_to_num(scaled), dtype=np.float32)
