"""Is an animal decoded above chance? Fitted decoders against whole label traces of other sessions.

The decoders stay as they are; only the labels they are scored on change places among an animal's
sessions. That gives each animal its own p. It gives no p for the cohort, as animals share
training data: `corticode.evaluate.refits` fits anew in every draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.decode.predictions import Predictions
from corticode.errors import DataError, Finding, StudyError
from corticode.evaluate.comparisons import cannot_reach
from corticode.evaluate.session_orders import (
    FEWEST_SESSIONS,
    LEVEL,
    N_DRAWS,
    day_trends,
    draw_orders,
    order_blocks,
    order_p,
    smallest_p,
)
from corticode.evaluate.usable_sessions import (
    Days,
    Name,
    day_of,
    is_session,
    mean_known,
    slope_over_frames,
    usable_sessions,
)

COLUMNS = (
    "animal",
    "value",
    "chance",
    "n_sessions",
    "exchanged",
    "n_orders",
    "p",
    "smallest_p",
    "note",
)
WITHIN = ("auto", "all", "pairs")
# The row of nulls.csv that is of all animals together.
COHORT = "cohort"


@dataclass(frozen=True)
class LabelNull:
    """What permuting the labels of fitted decoders' test sessions found.

    Parameters
    ----------
    animals
        One row an animal: animal, value (mean within-session AUC), chance (its mean over the
        orders), n_sessions, exchanged (``"all sessions"`` or ``"pairs of neighbouring
        sessions"``), n_orders (with the observed one), p, smallest_p and note.
    trends
        As from `corticode.evaluate.session_orders.day_trends`.
    findings
        Sessions that were left out, and why.
    """

    animals: pd.DataFrame
    trends: pd.DataFrame
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        above = int((self.animals["p"] < LEVEL).sum())
        tested = int(self.animals["p"].notna().sum())
        return f"{above} of {tested} animals above chance (p < {LEVEL:g} each, labels permuted)"


@dataclass(frozen=True)
class _SessionScores:
    """One decoder's test windows of one session: frames, and codes that sort as scores do."""

    frame: NDArray[np.int64]
    code: NDArray[np.intp]
    score: NDArray[np.float64]


@dataclass(frozen=True)
class _TestSession:
    """A session: its labels by frame (NaN where none) and what each decoder said of it."""

    label: NDArray[np.float64]
    said: tuple[_SessionScores, ...]


def permute_test_labels(
    predictions: Sequence[Predictions],
    *,
    days: Days | None = None,
    within: str = "auto",
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> LabelNull:
    """Each animal's p that decoders tell its own labels better than those of its other sessions.

    The statistic is the mean within-session AUC, over sessions and the decoders that test them.
    Traces of unequal length are cut to the shorter, frame by frame. Left out are sessions under
    60 % of the animal's median length and those with too few bouts or seconds of a class
    (`corticode.evaluate.tables.score_sessions`).

    Parameters
    ----------
    predictions
        Of the decoders of one condition (folds and seeds), each with a test part, binary.
    days
        The day of each (animal, session); ``None``: sessions are one after the other in the
        order of their names in the predictions.
    within
        ``"all"``: sessions change places in all orders. ``"pairs"``: only within pairs of
        neighbouring sessions. ``"auto"``: within pairs for animals of which run fraction, mean
        score or a slope within sessions trends over days, which takes six sessions to tell.
    n_draws, seed
        As for `corticode.evaluate.session_orders.draw_orders`.

    Returns
    -------
    LabelNull
        p-values by animal, trends over days, sessions left out. ``str()`` of it counts the
        animals above chance.

    Raises
    ------
    DataError
        No predictions, none of a test part, targets that are not binary, or a day is missing.
    StudyError
        An unknown `within`.

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
    1 of 1 animals above chance (p < 0.05 each, labels permuted)
    """
    if within not in WITHIN:
        raise StudyError(f"within is {within!r}; it must be one of {', '.join(WITHIN)}")
    _check_binary(predictions)
    table, findings = usable_sessions(predictions)
    sessions = {name: _collect(predictions, name) for name in table}
    day = {name: day_of(name, place, days) for place, name in enumerate(table)}
    trends = day_trends(_session_table(sessions, day), n_draws=n_draws, seed=seed)
    trending = set(trends.loc[trends["trends"], "animal"])
    rows = []
    for animal in dict.fromkeys(animal for animal, _ in sessions):
        own = [name for name in sessions if name[0] == animal]
        pairs = within == "pairs" or (within == "auto" and animal in trending)
        blocks = order_blocks([animal] * len(own), [day[name] for name in own], [animal] * pairs)
        aucs = _pair_aucs([sessions[name] for name in own])
        orders = draw_orders(blocks, n_draws, seed=seed)
        statistics = mean_known(aucs[np.arange(len(own)), orders])
        chance = float(mean_known(statistics))
        row = {"animal": animal, "value": statistics[0], "chance": chance}
        rows.append(row | _verdict(statistics, blocks, n_draws, pairs, within))
    return LabelNull(pd.DataFrame(rows, columns=list(COLUMNS)), trends, tuple(findings))


def _check_binary(predictions: Sequence[Predictions]) -> None:
    if not predictions:
        raise DataError("no predictions were given; give those of at least one decoder")
    kinds = sorted({said.kind for said in predictions} - {"binary"})
    if kinds:
        raise DataError(
            f"labels of kind {', '.join(kinds)} have no within-session AUC to permute for; "
            "give predictions of a binary target"
        )


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
        code = np.unique(part.score, return_inverse=True)[1]
        frame = part.frame.astype(np.int64)
        scores.append(_SessionScores(frame, code, part.score.astype(np.float64)))
    return _TestSession(label, tuple(scores))


def _session_table(
    sessions: Mapping[Name, _TestSession], day: Mapping[Name, float]
) -> pd.DataFrame:
    """What may trend over days: run fraction, mean score, and both slopes within sessions."""
    rows = []
    for (animal, session), one in sessions.items():
        frame = np.flatnonzero(~np.isnan(one.label))
        label = one.label[frame]
        row = {"animal": animal, "session": session, "day": day[animal, session]}
        row["run_fraction"] = label.mean()
        row["mean_score"] = np.mean([said.score.mean() for said in one.said])
        row["label_slope"] = slope_over_frames(frame, label)
        row["score_slope"] = np.mean(
            [slope_over_frames(said.frame, said.score) for said in one.said]
        )
        rows.append(row)
    columns = ["animal", "session", "day", "run_fraction", "mean_score"]
    return pd.DataFrame(rows, columns=[*columns, "label_slope", "score_slope"])


def _pair_aucs(sessions: Sequence[_TestSession]) -> NDArray[np.float64]:
    """AUC of each session's scores (rows) for each session's labels (columns), decoders' mean."""
    aucs = np.empty((len(sessions), len(sessions)))
    for i, scored in enumerate(sessions):
        for j, labelled in enumerate(sessions):
            found = [_auc_of(said, labelled.label) for said in scored.said]
            aucs[i, j] = mean_known(np.array(found))
    return aucs


def _auc_of(said: _SessionScores, label: NDArray[np.float64]) -> float:
    """AUC over the frames that both have; ties count one half."""
    shared = said.frame < label.size
    code, true = said.code[shared], label[said.frame[shared]]
    # Sorted once a session: counting codes leaves out frames without sorting again.
    n_true, n_false = np.bincount(code[true == 1]), np.bincount(code[true == 0])
    if n_true.size == 0 or n_false.size == 0:
        return float("nan")
    length = max(n_true.size, n_false.size)
    n_true = np.pad(n_true, (0, length - n_true.size))
    n_false = np.pad(n_false, (0, length - n_false.size))
    twice_area = int(np.sum(n_true * (2 * np.cumsum(n_false) - n_false)))
    return twice_area / (2 * int(n_true.sum()) * int(n_false.sum()))


def _verdict(
    statistics: NDArray[np.float64],
    blocks: NDArray[np.int64],
    n_draws: int,
    pairs: bool,
    within: str,
) -> dict[str, object]:
    floor = smallest_p(blocks, n_draws)
    notes = []
    if pairs and within == "auto":
        notes.append("sessions trend over days: labels change places between neighbours only")
    if not pairs and blocks.size < FEWEST_SESSIONS:
        notes.append(
            f"exchangeability could not be checked with {blocks.size} sessions (it takes "
            f"{FEWEST_SESSIONS})"
        )
    notes.append(cannot_reach(floor, f"{blocks.size} sessions{' in pairs' if pairs else ''}"))
    return {
        "n_sessions": blocks.size,
        "exchanged": "pairs of neighbouring sessions" if pairs else "all sessions",
        "n_orders": statistics.size,
        "p": order_p(statistics),
        "smallest_p": floor,
        "note": "; ".join(note for note in notes if note),
    }
