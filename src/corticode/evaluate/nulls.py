"""Is an animal decoded above chance? Fitted decoders against whole label traces of other sessions.

The decoders stay as they are; only the labels they are scored on change places among an animal's
sessions. That gives each animal its own p. It gives no p for the cohort, as animals share
training data: `corticode.evaluate.refits` fits anew in every draw.

Sessions of one animal are exchanged, in all orders or within pairs of neighbours. The observed
order is one of them and is always counted: leaving out the orders in which a session keeps its
own labels makes p-values far too small with few sessions.

Of an animal with one session, blocks of it are exchanged, so long that what is slow in labels and
scores does not join neighbouring ones; where there are few, or something drifts, there is no p.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations, product
from math import exp, factorial, lgamma, prod
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from corticode.data.windows import Windows
from corticode.decode.predictions import Predictions, join
from corticode.errors import TOO_SHORT, DataError, Finding
from corticode.evaluate.comparisons import cannot_reach
from corticode.evaluate.intervals import holm
from corticode.evaluate.metrics import auc_of_counts, score_windows
from corticode.evaluate.scores import score_sessions

N_DRAWS = 999
# Fewer sessions of an animal can show no trend over days; from so many on, one that is there is
# seen often enough that both p-values are given, of all orders and of pairs of neighbours.
FEWEST_SESSIONS, ENOUGH_SESSIONS = 6, 10
LEVEL = 0.05
UNCHECKED = (
    "with {n} sessions, exchangeability of days cannot be checked: under a trend of slope over "
    "days this p is too small (0.85 to 1.00 false positives in simulation)"
)
DERANGED_DRAWS = 40
# Within one session: how many autocorrelation times a block lasts, and how many blocks there have
# to be. Blocks by the time of the label alone gave 0.17 false positives with slow scores.
BLOCK_TIMES, FEWEST_BLOCKS = 5, 20
NO_VALID_P = "no valid p"
# How labels of trials change places, in the column `exchanged`.
TRIALS = "trials within sessions"
TRIALS_ALIKE = (
    "labels of neighbouring trials are more alike than by chance (p = {p:.2g}, Holm over animals): "
    "trials may not be exchangeable, and this p may be too small"
)
# Means of the same numbers in another order differ by rounding only.
ROUNDING = 1e-12
SHORTEST_SHARE = 0.6
SHORT = f"under {SHORTEST_SHARE:.0%} of the median of its animal"
# What is compared of each kind of target: scores of a session, whatever its level.
STATISTICS = {"binary": "auc", "classes": "auc", "value": "pearson_r"}
COLUMNS = (
    "animal",
    "metric",
    "value",
    "permuted_mean",
    "n_sessions",
    "exchanged",
    "n_orders",
    "p",
    "p_pairs",
    "smallest_p",
    "n_blocks",
    "p_shift",
    "decoder",
    "note",
)
# The row of nulls.csv that is of all animals together.
COHORT = "cohort"


def order_blocks(
    animals: Sequence[str], days: ArrayLike, paired: Sequence[str] = ()
) -> NDArray[np.int64]:
    """The block of each session; labels change places within a block only.

    Parameters
    ----------
    animals
        The animal of each session.
    days
        Day, or any number that sorts an animal's sessions, shape (session,).
    paired
        Animals whose blocks are pairs of neighbouring sessions, from the first on; with an odd
        number the last session keeps its labels. Of the others a block is all sessions.

    Returns
    -------
    array
        Shape (session,), whole numbers from 0.

    Examples
    --------
    >>> order_blocks(["m1"] * 3 + ["m2"] * 2, [1, 3, 2, 1, 2], paired=["m1"]).tolist()
    [0, 1, 0, 2, 2]
    """
    days = np.asarray(days, dtype=np.float64)
    if days.shape != (len(animals),):
        raise DataError(f"{len(animals)} sessions came with days of shape {days.shape}")
    blocks = np.zeros(len(animals), dtype=np.int64)
    first = 0
    for animal in dict.fromkeys(animals):
        own = np.array([k for k, owner in enumerate(animals) if owner == animal])
        in_turn = own[np.argsort(days[own], kind="stable")]
        blocks[in_turn] = first + (np.arange(own.size) // 2 if animal in paired else 0)
        first = int(blocks[own].max()) + 1
    return blocks


def draw_orders(
    blocks: Sequence[Hashable] | NDArray[np.int64], n_draws: int = N_DRAWS, *, seed: int = 0
) -> NDArray[np.intp]:
    """Orders of label traces, the observed one first.

    Parameters
    ----------
    blocks
        The block of each session, shape (session,).
    n_draws
        Orders drawn, each with equal chances, beside the observed one. Where there are no more
        orders than would be drawn, all are given, each once.
    seed
        Seed of the draws.

    Returns
    -------
    array
        Shape (order, session): which session's labels each session has.

    Examples
    --------
    >>> draw_orders(["m1", "m1", "m2"]).tolist()
    [[0, 1, 2], [1, 0, 2]]
    """
    members = _members(blocks)
    observed = np.arange(len(blocks))
    if n_orders(blocks) <= n_draws + 1:
        orders = np.tile(observed, (n_orders(blocks), 1))
        for order, chosen in zip(orders, product(*map(permutations, members)), strict=True):
            for own, placed in zip(members, chosen, strict=True):
                order[own] = placed
        return orders
    rng = np.random.default_rng(seed)
    orders = np.tile(observed, (n_draws + 1, 1))
    for own in members:
        orders[1:, own] = rng.permuted(orders[1:, own], axis=1)
    return orders


def draw_derangements(
    blocks: Sequence[Hashable] | NDArray[np.int64], n_draws: int = DERANGED_DRAWS, *, seed: int = 0
) -> NDArray[np.intp]:
    """Orders of label traces in which no session keeps its own, but for those alone in a block.

    They show the level that permuted labels give; they give no p-value, which counts all orders.

    Parameters
    ----------
    blocks
        The block of each session, shape (session,).
    n_draws
        How many are drawn, each with equal chances.
    seed
        Seed of the draws.

    Returns
    -------
    array
        Shape (order, session); no order at all where no session can change places.

    Examples
    --------
    >>> draw_derangements(["m1", "m1", "m2"], 2).tolist()
    [[1, 0, 2], [1, 0, 2]]
    """
    members = [own for own in _members(blocks) if own.size > 1]
    orders = np.tile(np.arange(len(blocks)), (n_draws if members else 0, 1))
    rng = np.random.default_rng(seed)
    for order in orders:
        for own in members:
            while (order[own] == own).any():
                order[own] = rng.permutation(own)
    return orders


def n_orders(blocks: Sequence[Hashable] | NDArray[np.int64]) -> int:
    """How many orders there are: the product of the factorials of the blocks' sizes.

    Examples
    --------
    >>> n_orders(["m1"] * 3 + ["m2"] * 2)
    12
    """
    return prod(factorial(own.size) for own in _members(blocks))


def smallest_p(blocks: Sequence[Hashable] | NDArray[np.int64], n_draws: int | None = None) -> float:
    """The smallest p that any data can give; with `n_draws`, that so many draws can give.

    Examples
    --------
    >>> smallest_p(["m1"] * 3), smallest_p(["m1"] * 12, n_draws=999)
    (0.16666666666666666, 0.001)
    """
    possible = n_orders(blocks)
    return 1 / (possible if n_draws is None else min(possible, n_draws + 1))


def order_p(statistics: ArrayLike) -> float:
    """The p of the first, observed statistic among those of all orders: how many are as large.

    It counts itself: (1 + b) / (B + 1) with b of B draws as large. NaN where the observed
    statistic is NaN; orders whose statistic is NaN count as large.

    Parameters
    ----------
    statistics
        One an order, that of the observed order first, shape (order,).

    Examples
    --------
    >>> order_p([0.9, 0.5, 0.9, 0.2])
    0.5
    """
    found = np.asarray(statistics, dtype=np.float64)
    if np.isnan(found[0]):
        return float("nan")
    below = found < found[0] - ROUNDING * max(1.0, abs(found[0]))
    return float(np.count_nonzero(~below) / found.size)


def day_trends(sessions: pd.DataFrame, *, n_draws: int = N_DRAWS, seed: int = 0) -> pd.DataFrame:
    """How quantities of an animal's sessions go with the day, each against its own permutations.

    Sessions that trend over days are not exchangeable. With six or more, a correlation is
    tested by permuting days (in all orders where there are few enough); with fewer, no test
    would find a trend. The tests of one table are one family, corrected by Holm's method. That
    none is significant establishes nothing.

    Parameters
    ----------
    sessions
        One row a session: animal, session, day, and one column a quantity; NaN is left out.
    n_draws, seed
        As for `draw_orders`.

    Returns
    -------
    DataFrame
        One row an animal and quantity: animal, quantity, n_sessions, pearson_r (NaN where the
        quantity or the day is constant), p (two-sided; NaN where it was not tested), p_holm and
        trends (p_holm < 0.05).

    Raises
    ------
    DataError
        A column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"animal": "m1", "session": list("abcdefg"), "day": range(7),
    ...     "run_fraction": [0.9, 0.8, 0.8, 0.6, 0.5, 0.3, 0.2]})
    >>> day_trends(table).round(4)
      animal      quantity  n_sessions  pearson_r      p  p_holm  trends
    0     m1  run_fraction           7    -0.9815  0.002   0.002    True
    """
    missing = {"animal", "session", "day"} - set(sessions)
    if missing:
        raise DataError(f"the table of sessions has no column {', '.join(sorted(missing))}")
    quantities = [name for name in sessions if name not in ("animal", "session", "day")]
    rows = []
    for animal, own in sessions.groupby("animal", sort=False):
        for quantity in quantities:
            known = own[["day", quantity]].dropna().to_numpy(dtype=np.float64)
            r, p = _trend(known[:, 0], known[:, 1], n_draws, seed)
            row = {"animal": animal, "quantity": quantity, "n_sessions": len(known)}
            rows.append(row | {"pearson_r": r, "p": p})
    columns = ["animal", "quantity", "n_sessions", "pearson_r", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = holm(table["p"])
    table["trends"] = table["p_holm"] < LEVEL
    return table


def _members(blocks: Sequence[Hashable] | NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """The sessions of each block, in the order in which the blocks first come."""
    codes = pd.factorize(pd.Series(list(blocks)))[0]
    return [np.flatnonzero(codes == code) for code in range(codes.max(initial=-1) + 1)]


def _trend(
    days: NDArray[np.float64], values: NDArray[np.float64], n_draws: int, seed: int
) -> tuple[float, float]:
    """Correlation with day and, with sessions enough, its p."""
    if days.size < 2 or np.ptp(days) == 0 or np.ptp(values) == 0:
        return float("nan"), float("nan")
    about_day, about_value = days - days.mean(), values - values.mean()
    scale = np.sqrt(np.sum(about_day**2) * np.sum(about_value**2))
    if days.size < FEWEST_SESSIONS:
        return float(about_day @ about_value / scale), float("nan")
    orders = draw_orders(np.zeros(days.size, dtype=np.int64), n_draws, seed=seed)
    correlations = about_value[orders] @ about_day / scale
    return float(correlations[0]), order_p(np.abs(correlations))


Name = tuple[str, str]


Days = Mapping[Name, float]


def usable_sessions(predictions: Sequence[Predictions]) -> tuple[list[Name], list[Finding]]:
    """Names of the test sessions that take part, animal by animal, and why others do not.

    Parameters
    ----------
    predictions
        Each with a test part.

    Returns
    -------
    list, list
        (animal, session) in the order of the name tables; a finding for each session that is
        under 60 % of its animal's median length (of trials, which change places within sessions,
        however few) or blank for every decoder.
    """
    tables = pd.concat([score_sessions(said) for said in predictions])
    rows = {
        (str(animal), str(session)): own
        for (animal, session), own in tables.groupby(["animal", "session"], sort=False)
    }
    for name, own in rows.items():
        if len(own.drop_duplicates(["first_frame", "last_frame"])) > 1:
            # Decoders of folds by block test a part each: the session is judged as a whole.
            rows[name] = score_sessions(_once(predictions, name))
    places = _places(predictions)
    ordered = sorted(rows, key=lambda name: places[name])
    lengths = {name: int(rows[name]["n_windows"].max()) for name in ordered}
    findings = [] if any(said.of_trials for said in predictions) else short_findings(lengths)
    left_out = {(finding.animal, finding.session) for finding in findings}
    for name in ordered:
        reasons = rows[name]["blank_because"]
        # Blank for one decoder only: the others still test it.
        if (reasons != "").all() and name not in left_out:
            left_out.add(name)
            reason = f"has {reasons.iloc[0]}: left out of the permutations"
            findings.append(Finding("session", reason, name[0], name[1]))
    return [name for name in ordered if name not in left_out], findings


def _once(predictions: Sequence[Predictions], name: Name) -> Predictions:
    """The test windows of a session over all decoders, each frame once."""
    parts = [said.where(is_session(said, name) & (said.part == 2)) for said in predictions]
    whole = join([part for part in parts if part.n_windows])
    return whole.where(np.unique(whole.frame, return_index=True)[1])


def short_sessions(lengths: Mapping[Name, int]) -> list[Name]:
    """Sessions under 60 % of the median length of their animal's sessions.

    Parameters
    ----------
    lengths
        Windows or frames of each (animal, session).

    Examples
    --------
    >>> short_sessions({("m1", "a"): 100, ("m1", "b"): 90, ("m1", "c"): 50})
    [('m1', 'c')]
    """
    series = pd.Series([*lengths.values()], dtype=np.float64)
    median = series.groupby([animal for animal, _ in lengths]).transform("median")
    short = (series < SHORTEST_SHARE * median).to_numpy()
    return [name for name, is_short in zip(lengths, short, strict=True) if is_short]


def short_findings(lengths: Mapping[Name, int]) -> list[Finding]:
    """A finding for each of `short_sessions`."""
    return [
        Finding(
            "session",
            f"has {lengths[animal, session]} windows, {SHORT}: left out of the permutations",
            animal,
            session,
            code=TOO_SHORT,
        )
        for animal, session in short_sessions(lengths)
    ]


def is_session(table: Predictions | Windows, name: Name) -> NDArray[np.bool_]:
    """Which windows are of a session, shape (window,).

    Parameters
    ----------
    table
        Predictions or windows. Their name table may hold a session's name once an animal.
    name
        Animal and session.
    """
    animals = [k for k, animal in enumerate(table.animal_names) if animal == name[0]]
    sessions = [k for k, session in enumerate(table.session_names) if session == name[1]]
    return np.isin(table.animal, animals) & np.isin(table.session, sessions)


def day_of(name: Name, place: int, days: Days | None) -> float:
    """The day of a session, or its place where no days are known.

    Raises
    ------
    DataError
        There are days, but none of this session.
    """
    if days is None:
        return float(place)
    if name not in days:
        raise DataError(f"session {name[1]!r} of animal {name[0]!r} has no day; give one for each")
    return float(days[name])


def slope_over_frames(frame: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """Least-squares slope of values over frames; NaN with fewer than two frames."""
    about = frame - frame.mean()
    squares = float(about @ about)
    return float(about @ values) / squares if squares else float("nan")


def mean_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean along the last axis over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    n_known = known.sum(axis=-1)
    total = np.where(known, values, 0).sum(axis=-1)
    mean: NDArray[np.float64] = np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan)
    return mean


def _places(predictions: Sequence[Predictions]) -> dict[Name, tuple[int, int]]:
    """Where the name tables put each session, animal by animal."""
    places: dict[Name, tuple[int, int]] = {}
    for said in predictions:
        test = said.of_part("test")
        for animal, session in np.unique(np.stack([test.animal, test.session]), axis=1).T:
            name = said.animal_names[animal], said.session_names[session]
            places.setdefault(name, (int(animal), int(session)))
    return places


@dataclass(frozen=True)
class LabelNull:
    """What permuting the labels of fitted decoders' test sessions found.

    Parameters
    ----------
    animals
        One row an animal: animal, metric (``"auc"``, of values ``"pearson_r"``), value (its mean
        within sessions), permuted_mean (its mean over label permutations in which no session
        keeps its labels, of trials over all drawn; chance is an AUC of 0.5, an r of 0), n_sessions,
        exchanged (``"all sessions"``, ``"pairs of neighbouring sessions"``, blocks of the one
        session or ``"trials within sessions"``), n_orders (with the observed one), p, p_pairs
        (within pairs of neighbouring sessions, from 10 sessions on; else NaN), smallest_p, n_blocks
        and p_shift (of one session: how many blocks, and the p of circular shifts, too liberal
        under drift), decoder and note.
    trends
        As from `corticode.evaluate.nulls.day_trends`.
    findings
        Sessions that were left out, and why.
    """

    animals: pd.DataFrame
    trends: pd.DataFrame
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        above = int((self.animals["p"] < LEVEL).sum())
        tested = int(self.animals["p"].notna().sum())
        of_trials = len(self.animals) and bool((self.animals["exchanged"] == TRIALS).all())
        what = TRIALS if of_trials else "whole sessions"
        return (
            f"{above} of {tested} animals with p < {LEVEL:g} by permuting {what} "
            f"(expected by chance: {LEVEL * tested:g})"
        )


@dataclass(frozen=True)
class _SessionScores:
    """One decoder's test windows of one session: frames, scores, and codes that sort as they do.

    Codes are of binary targets alone; of classes scores have shape (window, class).
    """

    frame: NDArray[np.int64]
    code: NDArray[np.intp]
    score: NDArray[np.float64]


@dataclass(frozen=True)
class _TestSession:
    """A session: its labels by frame (NaN where none) and what each decoder said of it."""

    label: NDArray[np.float64]
    said: tuple[_SessionScores, ...]

    @property
    def scores(self) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Frames and scores of each decoder."""
        return [(one.frame, one.score) for one in self.said]


def permute_test_labels(
    predictions: Sequence[Predictions],
    *,
    days: Days | None = None,
) -> LabelNull:
    """Each animal's p that decoders tell its own labels better than those of its other sessions.

    The statistic is the mean within-session AUC (of several classes the mean over classes, of
    values Pearson's r), over sessions and the decoders that test them.
    Traces of unequal length are cut to the shorter, frame by frame. Sessions change places in all
    orders, or only within pairs of neighbours for animals of which run fraction, mean score or a
    slope within sessions trends over days, which takes six sessions to tell; from ten on the p of
    pairs is given beside that of all orders. Left out are sessions
    under 60 % of the animal's median length and those with too few bouts or seconds of a class
    (`corticode.evaluate.scores.score_sessions`). Where trials were decoded, their labels change
    places within each session instead: 999 drawn orders and the observed one.

    Of an animal with one session, blocks of frames change places (`permute_blocks`).

    Parameters
    ----------
    predictions
        Of the decoders of one condition (folds and seeds), each with a test part.
    days
        The day of each (animal, session); ``None``: sessions are one after the other in the
        order of their names in the predictions.

    Returns
    -------
    LabelNull
        p-values by animal, trends over days, sessions left out. ``str()`` of it counts the
        animals above chance.

    Raises
    ------
    DataError
        No predictions, none of a test part, targets of several kinds, or a day is missing.

    Examples
    --------
    >>> label = np.repeat([0, 1, 0, 1, 0, 1], [9, 6, 4, 8, 3, 7])
    >>> target = np.concatenate([np.roll(label, 6 * k) for k in range(5)]).astype(np.float32)
    >>> said = Predictions(
    ...     part=np.full(185, 2, np.int8), animal=np.zeros(185, np.int16),
    ...     session=np.repeat(np.arange(5), 37).astype(np.int16),
    ...     frame=np.tile(np.arange(37), 5).astype(np.int32),
    ...     target=target, score=0.2 + 0.6 * target, kind="binary",
    ...     animal_names=("m1",), session_names=("a", "b", "c", "d", "e"),
    ... )
    >>> found = permute_test_labels([said])
    >>> found.animals[["animal", "value", "n_orders", "p"]].round(4)
      animal  value  n_orders       p
    0     m1    1.0       120  0.0083
    >>> print(found)
    1 of 1 animals with p < 0.05 by permuting whole sessions (expected by chance: 0.05)
    """
    kind = _kind_of(predictions)
    table, findings = usable_sessions(predictions)
    sessions = {name: _collect(predictions, name) for name in table}
    if all(said.of_trials for said in predictions):
        return LabelNull(_permute_trials(sessions, kind), day_trends(_NO_TRENDS), tuple(findings))
    day = {name: day_of(name, place, days) for place, name in enumerate(table)}
    trends = day_trends(_session_table(sessions, day, kind))
    trending = set(trends.loc[trends["trends"], "animal"])
    rows = []
    for animal in dict.fromkeys(animal for animal, _ in sessions):
        own = [name for name in sessions if name[0] == animal]
        if len(own) == 1:
            null = permute_blocks(sessions[own[0]].label, sessions[own[0]].scores, kind)
            rows.append({"animal": animal, "metric": STATISTICS[kind]} | _of_blocks(null))
            continue
        pairs = animal in trending
        days_of = [day[name] for name in own]
        in_pairs = order_blocks([animal] * len(own), days_of, [animal])
        blocks = in_pairs if pairs else np.zeros(len(own), np.int64)
        found = _pair_scores([sessions[name] for name in own], kind)
        statistics, beside = (
            mean_known(found[np.arange(len(own)), draw_orders(one)]) for one in (blocks, in_pairs)
        )
        row = {"animal": animal, "metric": STATISTICS[kind], "value": statistics[0]}
        row["permuted_mean"] = _others(found, blocks)
        p_pairs = order_p(beside) if len(own) >= ENOUGH_SESSIONS else float("nan")
        rows.append(row | _verdict(statistics, blocks, pairs) | {"p_pairs": p_pairs})
    return LabelNull(pd.DataFrame(rows, columns=list(COLUMNS)), trends, tuple(findings))


_NO_TRENDS = pd.DataFrame(columns=["animal", "session", "day"])


def _permute_trials(
    sessions: Mapping[Name, _TestSession], kind: str, n_draws: int = N_DRAWS, seed: int = 0
) -> pd.DataFrame:
    """One row an animal: its labels permuted among the trials of each session."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    serial: list[float] = []
    for animal in dict.fromkeys(animal for animal, _ in sessions):
        own = [one for (owner, _), one in sessions.items() if owner == animal]
        found, alike, floor = [], [], 1.0
        for one in own:
            trials = np.flatnonzero(~np.isnan(one.label))
            labels = draw_trial_orders(one.label[trials], n_draws, rng)
            places = {int(frame): k for k, frame in enumerate(trials)}
            said = []
            for scored in one.said:
                own_trials = [places[int(frame)] for frame in scored.frame]
                said.append(score_orders(scored.score, labels[own_trials], kind))
            found.append(mean_known(np.stack(said, axis=1)))
            alike.append(_neighbours_alike(labels, kind))
            floor *= 1 / n_trial_orders(one.label[trials], kind)
        statistics = mean_known(np.stack(found, axis=1))
        serial.append(order_p(mean_known(np.stack(alike, axis=1))))
        floor = max(floor, 1 / (n_draws + 1))
        rows.append(
            {
                "animal": animal,
                "metric": STATISTICS[kind],
                "value": statistics[0],
                "permuted_mean": float(mean_known(statistics[1:])),
                "n_sessions": len(own),
                "exchanged": TRIALS,
                "n_orders": statistics.size,
                "p": order_p(statistics),
                "p_pairs": float("nan"),
                "smallest_p": floor,
                "decoder": "the condition's own, as trained",
                "note": cannot_reach(floor, f"trials of {len(own)} sessions"),
            }
        )
    for row, p in zip(rows, holm(serial), strict=True):
        if p < LEVEL:
            row["note"] = "; ".join(filter(None, [TRIALS_ALIKE.format(p=p), row["note"]]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def draw_trial_orders(
    labels: NDArray[np.floating], n_draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The labels of a session's trials in drawn orders, the observed one first.

    Parameters
    ----------
    labels
        Shape (trial,).
    n_draws
        Orders drawn from all, each with equal chances, beside the observed one.
    rng
        Draws them.

    Returns
    -------
    array
        Shape (trial, order).

    Examples
    --------
    >>> draw_trial_orders(np.array([0.0, 1.0, 1.0]), 4, np.random.default_rng(0)).shape
    (3, 5)
    """
    orders = np.tile(labels.astype(np.float64)[:, None], n_draws + 1)
    orders[:, 1:] = rng.permuted(orders[:, 1:], axis=0)
    return orders


def n_trial_orders(labels: NDArray[np.floating], kind: str) -> float:
    """How many orders of labels differ; infinite beyond what a float holds.

    Examples
    --------
    >>> n_trial_orders(np.array([0.0, 0.0, 1.0, 1.0]), "binary")
    6.0
    """
    counts = np.unique(labels, return_counts=True)[1]
    logarithm = lgamma(labels.size + 1) - sum(lgamma(n + 1) for n in counts)
    return round(exp(logarithm)) * 1.0 if logarithm < 30 else float("inf")


def score_orders(
    scores: NDArray[np.floating], labels: NDArray[np.floating], kind: str
) -> NDArray[np.float64]:
    """What `STATISTICS` names, of the same scores against labels in several orders.

    Parameters
    ----------
    scores
        Shape (trial,); of classes (trial, class).
    labels
        Shape (trial, order).
    kind
        Of the target.

    Returns
    -------
    array
        Shape (order,); NaN where the labels are of one class, or do not vary.

    Examples
    --------
    >>> labels = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    >>> score_orders(np.array([0.1, 0.2, 0.3]), labels, "binary").tolist()
    [1.0, 0.0]
    """
    if kind == "binary":
        return _aucs_of_ranks(_ranks(scores), labels == 1)
    if kind == "classes":
        one_by_one = [
            _aucs_of_ranks(_ranks(column), labels == k) for k, column in enumerate(scores.T)
        ]
        return mean_known(np.stack(one_by_one, axis=1))
    about, of_label = scores - scores.mean(), labels - labels.mean(axis=0)
    scale = np.sqrt(np.sum(about**2) * np.sum(of_label**2, axis=0))
    found = np.full(labels.shape[1], np.nan)
    np.divide(about @ of_label, scale, out=found, where=scale > 0)
    return found


def _ranks(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ranks from 1, ties their mean, shape (trial,)."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return ranks


def _aucs_of_ranks(ranks: NDArray[np.float64], is_one: NDArray[np.bool_]) -> NDArray[np.float64]:
    """AUC by the rank sum of the ones in each order, shape (order,)."""
    n_ones = is_one.sum(axis=0)
    n_pairs = n_ones * (len(is_one) - n_ones)
    wins = ranks @ is_one - n_ones * (n_ones + 1) / 2
    aucs = np.full(n_ones.shape, np.nan)
    np.divide(wins, n_pairs, out=aucs, where=n_pairs > 0)
    return aucs


def _neighbours_alike(labels: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """How alike labels of successive trials are in each order, shape (order,).

    Their correlation; of classes the fraction of neighbours of one class.
    """
    if len(labels) < 3:
        return np.full(labels.shape[1], np.nan)
    if kind == "classes":
        same: NDArray[np.float64] = (labels[1:] == labels[:-1]).mean(axis=0)
        return same
    about = labels - labels.mean(axis=0)
    squares = np.sum(about**2, axis=0)
    found = np.full(labels.shape[1], np.nan)
    np.divide(np.sum(about[1:] * about[:-1], axis=0), squares, out=found, where=squares > 0)
    return found


def _others(scores: NDArray[np.float64], blocks: NDArray[np.int64]) -> float:
    """The mean over all orders in which no session keeps its labels.

    In these each session has the labels of any other of its block as often as of the next.
    """
    of_others = (blocks[:, None] == blocks) & ~np.eye(blocks.size, dtype=bool)
    return float(mean_known(mean_known(np.where(of_others, scores, np.nan))))


def _kind_of(predictions: Sequence[Predictions]) -> str:
    if not predictions:
        raise DataError("no predictions were given; give those of at least one decoder")
    kinds = sorted({said.kind for said in predictions})
    if len(kinds) > 1:
        raise DataError(
            f"predictions are of kinds {', '.join(kinds)}; give those of one condition's decoders"
        )
    return kinds[0]


def _collect(predictions: Sequence[Predictions], name: Name) -> _TestSession:
    """Labels and scores of one session from all decoders that test it."""
    parts = []
    for said in predictions:
        own = is_session(said, name) & (said.part == 2) & ~np.isnan(said.target)
        if own.any():
            parts.append(said.where(own))
    label = np.full(1 + max(int(part.frame.max()) for part in parts), np.nan)
    for part in parts:
        label[part.frame] = part.target
    scores = []
    for part in parts:
        scores.append(_coded(part.frame.astype(np.int64), part.score.astype(float), part.kind))
    return _TestSession(label, tuple(scores))


def _coded(frame: NDArray[np.int64], score: NDArray[np.float64], kind: str) -> _SessionScores:
    code = np.zeros(0, np.intp)
    if kind == "binary":
        code = np.unique(score, return_inverse=True)[1]
    return _SessionScores(frame, code, score)


@dataclass(frozen=True)
class BlockNull:
    """What exchanging blocks of one session found.

    Parameters
    ----------
    value
        The statistic as observed, the mean over decoders.
    permuted_mean
        Its mean over the permutations; NaN where none were made.
    block_frames, n_blocks
        Frames of a block, and how many whole ones the session holds.
    n_orders
        Permutations, the observed order counted; 0 where none were made.
    p, smallest_p
        Of the permutations; NaN where there is no valid p, and `reason` says why.
    p_shift
        The p of circular shifts of the labels, which is too small where something drifts.
    reason
        Why there is no valid p; empty where there is one.
    """

    value: float
    permuted_mean: float
    block_frames: int
    n_blocks: int
    n_orders: int
    p: float
    smallest_p: float
    p_shift: float
    reason: str


def autocorrelation_time(values: NDArray[np.floating]) -> int:
    """The lag, in frames, at which the autocorrelation falls below 1/e.

    Parameters
    ----------
    values
        Frame after frame, NaN where there is none, shape (frame,).

    Returns
    -------
    int
        At least 1; the number of frames where it never falls so low, or all values are alike.

    Examples
    --------
    >>> autocorrelation_time(np.tile(np.repeat([0.0, 1.0], 10), 20))
    4
    """
    known = ~np.isnan(values)
    if not known.any() or np.ptp(values[known]) == 0:
        return max(int(values.size), 1)
    about = np.where(known, values - values[known].mean(), 0.0)
    size = 1 << (2 * values.size - 1).bit_length()
    products, pairs = (
        np.fft.irfft(np.abs(np.fft.rfft(one, size)) ** 2, size)[: values.size]
        for one in (about, known.astype(np.float64))
    )
    # Lags that no two known frames have say nothing.
    found = np.where(pairs > 0.5, products / np.maximum(pairs, 0.5), np.nan)
    below = np.flatnonzero(found < found[0] / np.e)
    return int(below[0]) if below.size else int(values.size)


def permute_blocks(
    label: NDArray[np.floating],
    scores: Sequence[tuple[NDArray[np.int64], NDArray[np.floating]]],
    kind: str = "binary",
    *,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> BlockNull:
    """Whether decoders tell one session's labels better than those of its other stretches of time.

    Blocks of labels change places; they last five times the longer autocorrelation time of label
    and score (the lag at which it falls below 1/e). Frames without a label or a prediction, as in
    gaps between the parts of folds, stay in their block. There is no valid p with fewer than 20
    blocks, or where label or score drifts: means of blocks that go with time, by a permutation test
    of their own (Holm over the two, p < 0.05).

    Parameters
    ----------
    label
        Class or value of each frame of the session, NaN where not known, shape (frame,).
    scores
        Of each decoder its frames, shape (window,), and what it said of them, shape (window,) or
        (window, class). Each decoder's level is its own.
    kind
        ``"binary"``, ``"classes"`` or ``"value"``.
    n_draws, seed
        As for `draw_orders`.

    Returns
    -------
    BlockNull
        With the p of circular shifts beside.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> label = (np.convolve(rng.normal(size=2009), np.ones(10), "valid") > 0).astype(float)
    >>> found = permute_blocks(label, [(np.arange(2000), label + rng.normal(size=2000))])
    >>> found.n_blocks >= 20, found.p, found.reason
    (True, 0.001, '')
    """
    trace: NDArray[np.float64] = np.asarray(label, np.float64)
    said = [_coded(frame, np.asarray(score, np.float64), kind) for frame, score in scores]
    statistic = _auc_of if kind == "binary" else partial(_score_of, kind=kind)
    centred, time = _centred_traces(trace, said)
    times = [autocorrelation_time(one) for one in (_tested(trace, centred, kind), centred)]
    length = BLOCK_TIMES * max(times)
    first = int(min(one.frame.min() for one in said))
    last = int(max(one.frame.max() for one in said)) + 1
    n_blocks = (last - first) // length
    value = _over_decoders(statistic, said, trace)
    inside = slice(first, first + n_blocks * length)
    reason = ""
    if n_blocks < FEWEST_BLOCKS:
        longer = "score" if times[1] > times[0] else "label"
        reason = (
            f"the session holds {n_blocks} blocks of {length} frames ({BLOCK_TIMES} times the "
            f"autocorrelation time of the {longer}), and {FEWEST_BLOCKS} are needed: record for "
            "longer, or several sessions"
        )
    else:
        traces = {"label": _tested(trace, centred, kind), "score": centred}
        reason = _drift(traces, time, inside, length, seed)
    shifted = _shifts(statistic, said, trace, slice(first, last), length, n_draws)
    p_shift = order_p([value, *shifted]) if shifted else float("nan")
    if reason:
        nan = float("nan")
        return BlockNull(value, nan, length, n_blocks, 0, nan, nan, p_shift, reason)
    orders = draw_orders(np.zeros(n_blocks, np.int64), n_draws, seed=seed)
    blocks = trace[inside].reshape(n_blocks, length)
    found = []
    for order in orders:
        permuted = np.full(trace.size, np.nan)
        permuted[inside] = blocks[order].ravel()
        found.append(_over_decoders(statistic, said, permuted))
    smallest = smallest_p(np.zeros(n_blocks, np.int64), n_draws)
    mean = float(mean_known(np.array(found[1:])))
    p = order_p(found)
    return BlockNull(value, mean, length, n_blocks, len(orders), p, smallest, p_shift, "")


def _over_decoders(
    statistic: Callable[[_SessionScores, NDArray[np.float64]], float],
    said: Sequence[_SessionScores],
    label: NDArray[np.float64],
) -> float:
    return float(mean_known(np.array([statistic(one, label) for one in said])))


def _centred_traces(
    label: NDArray[np.floating], said: Sequence[_SessionScores]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score and time of each frame, each decoder's about its own mean, averaged; NaN where none."""
    total, time, counts = np.zeros((3, label.size))
    for one in said:
        score = one.score if one.score.ndim == 1 else one.score[:, -1]
        total[one.frame] += score - score.mean()
        time[one.frame] += one.frame - one.frame.mean()
        counts[one.frame] += 1
    known = counts > 0
    total[~known] = time[~known] = np.nan
    return total / np.maximum(counts, 1), time / np.maximum(counts, 1)


def _tested(
    label: NDArray[np.floating], score: NDArray[np.float64], kind: str
) -> NDArray[np.float64]:
    """The labels of frames that were predicted; of several classes whether it is the last."""
    values = np.where(np.isnan(score), np.nan, label)
    if kind != "classes":
        return values
    return np.where(np.isnan(values), np.nan, values == np.nanmax(values))


def _drift(
    traces: Mapping[str, NDArray[np.float64]],
    time: NDArray[np.float64],
    inside: slice,
    length: int,
    seed: int,
) -> str:
    """Which of label and score goes with time over the session's blocks; empty where neither."""
    own = np.arange(time.size, dtype=np.float64)
    found = {}
    for name, values in traces.items():
        # A decoder's level is its own, so that only what drifts within its part is drift.
        along = time if name == "score" else own
        means = [
            mean_known(np.where(np.isnan(values), np.nan, one)[inside].reshape(-1, length))
            for one in (along, values)
        ]
        known = ~np.isnan(means[1])
        found[name] = _trend(means[0][known], means[1][known], N_DRAWS, seed)
    adjusted = holm([p for _, p in found.values()])
    drifting = [
        f"the {name} drifts over the session (r with time {r:+.2f})"
        for (name, (r, _)), p in zip(found.items(), adjusted, strict=True)
        if p < LEVEL
    ]
    return " and ".join(drifting)


def _shifts(
    statistic: Callable[[_SessionScores, NDArray[np.float64]], float],
    said: Sequence[_SessionScores],
    label: NDArray[np.float64],
    tested: slice,
    length: int,
    n_draws: int,
) -> list[float]:
    """The statistic with labels shifted in a circle, by a block or more either way."""
    n_frames = tested.stop - tested.start
    steps = np.unique(np.linspace(length, n_frames - length, n_draws).astype(np.int64))
    found = []
    for step in steps if n_frames > 2 * length else ():
        shifted = np.full(label.size, np.nan)
        shifted[tested] = np.roll(label[tested], step)
        found.append(_over_decoders(statistic, said, shifted))
    return found


def _of_blocks(null: BlockNull) -> dict[str, object]:
    """The row of an animal with one session."""
    shift = "p_shift is of circular shifts: too liberal where something drifts"
    notes = [f"{NO_VALID_P}: {null.reason}" if null.reason else "", shift]
    return {
        "value": null.value,
        "permuted_mean": null.permuted_mean,
        "n_sessions": 1,
        "exchanged": f"blocks of {null.block_frames} frames within the session",
        "n_orders": null.n_orders,
        "p": null.p,
        "p_pairs": float("nan"),
        "smallest_p": null.smallest_p,
        "n_blocks": null.n_blocks,
        "p_shift": null.p_shift,
        "decoder": "the condition's own, as trained",
        "note": "; ".join(note for note in notes if note),
    }


def _session_table(
    sessions: Mapping[Name, _TestSession], day: Mapping[Name, float], kind: str
) -> pd.DataFrame:
    """What may trend over days: mean label and score, and both slopes within sessions.

    Of several classes it is whether the commonest one holds, and its probability.
    """
    column = 0
    if kind == "classes":
        labels = np.concatenate([one.label[~np.isnan(one.label)] for one in sessions.values()])
        column = int(np.argmax(np.bincount(labels.astype(np.int64))))
    first = {"binary": "run_fraction", "classes": "class_fraction", "value": "mean_value"}[kind]
    rows = []
    for (animal, session), one in sessions.items():
        frame = np.flatnonzero(~np.isnan(one.label))
        label = one.label[frame]
        label = (label == column).astype(np.float64) if kind == "classes" else label
        said = [(s.frame, s.score[:, column] if s.score.ndim > 1 else s.score) for s in one.said]
        row = {"animal": animal, "session": session, "day": day[animal, session]}
        row[first] = label.mean()
        row["mean_score"] = np.mean([score.mean() for _, score in said])
        row["label_slope"] = slope_over_frames(frame, label)
        row["score_slope"] = np.mean([slope_over_frames(at, score) for at, score in said])
        rows.append(row)
    columns = ["animal", "session", "day", first, "mean_score", "label_slope", "score_slope"]
    return pd.DataFrame(rows, columns=columns)


def _pair_scores(sessions: Sequence[_TestSession], kind: str) -> NDArray[np.float64]:
    """Each session's scores (rows) against each session's labels (columns), decoders' mean."""
    score = _auc_of if kind == "binary" else partial(_score_of, kind=kind)
    scores = np.empty((len(sessions), len(sessions)))
    for i, scored in enumerate(sessions):
        for j, labelled in enumerate(sessions):
            found = [score(said, labelled.label) for said in scored.said]
            scores[i, j] = mean_known(np.array(found))
    return scores


def _auc_of(said: _SessionScores, label: NDArray[np.float64]) -> float:
    """AUC over the frames that both have; ties count one half."""
    shared = said.frame < label.size
    code, true = said.code[shared], label[said.frame[shared]]
    # Sorted once a session: counting codes leaves out frames without sorting again.
    n_codes = int(code.max(initial=-1)) + 1
    n_true, n_false = (np.bincount(code[true == k], minlength=n_codes) for k in (1, 0))
    return auc_of_counts(np.cumsum(n_true[::-1]), np.cumsum(n_false[::-1]))


def _score_of(said: _SessionScores, label: NDArray[np.float64], kind: str) -> float:
    """The statistic of classes or values over the frames that both have."""
    shared = said.frame < label.size
    true = label[said.frame[shared]]
    return score_windows(true, said.score[shared], kind)[STATISTICS[kind]]


def _verdict(
    statistics: NDArray[np.float64], blocks: NDArray[np.int64], pairs: bool
) -> dict[str, object]:
    floor = smallest_p(blocks, N_DRAWS)
    notes = []
    if pairs:
        notes.append("sessions trend over days: labels change places between neighbours only")
    elif blocks.size < ENOUGH_SESSIONS:
        notes.append(UNCHECKED.format(n=blocks.size))
    notes.append(cannot_reach(floor, f"{blocks.size} sessions{' in pairs' if pairs else ''}"))
    return {
        "n_sessions": blocks.size,
        "exchanged": "pairs of neighbouring sessions" if pairs else "all sessions",
        "n_orders": statistics.size,
        "p": order_p(statistics),
        "smallest_p": floor,
        "decoder": "the condition's own, as trained",
        "note": "; ".join(note for note in notes if note),
    }
