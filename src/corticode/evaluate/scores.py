"""Scores by session, by fold and by animal: tables made from predictions.

A session's score is trusted only where each class comes in enough separate bouts and for long
enough, or a value varies; elsewhere it is blank, and `blank_because` says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import floor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.windows import Windows
from corticode.decode.predictions import PART_NAMES, Predictions
from corticode.errors import NO_SCORE, DataError, Finding, some, warn_about
from corticode.evaluate.metrics import best_threshold, primary, score_windows

if TYPE_CHECKING:
    import pandas as pd

FEWEST_BOUTS = 3
# Trials of a class that a session needs for a score, and trials for a score of values.
FEWEST_TRIALS, FEWEST_VALUES = 5, 10
SHORTEST_S = 5.0
# What a session with too few bouts cannot give: scores over all pairs or all thresholds.
BLANKED = {"binary": ("auc", "average_precision"), "classes": ("auc",), "value": ("r2",)}
# A session whose target's SD is a smaller share of the training windows' SD has no R2: its sum of
# squares goes to 0, and R2 to minus infinity.
LEAST_SD = 0.1
SHOWN = 3
# Of all windows of a split together.
POOLED = (
    "auc",
    "average_precision",
    "balanced_accuracy",
    "accuracy",
    "brier",
    "r2",
    "mae",
    "pearson_r",
)
# Beside R2, which sets errors against what varies in one session: 1 - squared errors / those of the
# mean of the training windows. Over several sessions it is their mean, weighted by the latter.
SKILL, SKILL_WEIGHT = "skill", "training_mean_mse"


def score(predictions: Predictions) -> pd.DataFrame:
    """The scores of each test session, one row a session.

    Where validation windows are there, the threshold that is best on them is carried to the test
    windows. The value of an animal is the mean over its sessions, not the score of all its
    windows pooled: ``score(predictions).groupby("animal")["auc"].mean()``.

    Parameters
    ----------
    predictions
        Predictions with a test part.

    Returns
    -------
    DataFrame
        See `score_sessions`; where windows said to be tested trained or validated the decoder,
        also scored_on: ``"training"``, ``"validation"`` or ``"training, validation"`` windows,
        empty for sessions that are new to it.

    Raises
    ------
    DataError
        There is no test window.

    Warns
    -----
    CorticodeWarning
        Windows said to be tested trained or validated the decoder.

    Examples
    --------
    >>> target = np.tile(np.array([0, 1], np.float32), 3)
    >>> said = Predictions(
    ...     part=np.full(6, 2, np.int8),
    ...     animal=np.zeros(6, np.int16),
    ...     session=np.zeros(6, np.int16),
    ...     frame=np.arange(6, dtype=np.int32),
    ...     target=target,
    ...     score=0.2 + 0.6 * target,
    ...     kind="binary",
    ...     animal_names=("m1",),
    ...     session_names=("monday",),
    ... )
    >>> score(said)[["animal", "session", "n_windows", "auc", "n_bouts_1"]]
      animal session  n_windows  auc  n_bouts_1
    0     m1  monday          6  1.0          3
    """
    table = score_sessions(predictions, threshold=_carried_threshold(predictions))
    seen = [_seen_parts(session) for session in _sessions(_part(predictions, "test"))]
    if not any(seen):
        return table
    names = [f"{row.animal}/{row.session}" for row in table.itertuples()]
    named = some([name for name, one in zip(names, seen, strict=True) if one], SHOWN)
    reason = (
        f"{sum(map(bool, seen))} of {len(seen)} sessions ({named}) hold windows that trained the "
        "decoder or chose its epoch: their scores say nothing of what is new to it (column "
        "scored_on)"
    )
    warn_about([Finding("session", reason)])
    return table.assign(scored_on=seen)


def _seen_parts(session: Predictions) -> str:
    """What of a fit the windows of a session took part in, in words; empty where in nothing."""
    if session.seen is None:
        return ""
    words = {0: "training", 1: "validation"}
    return ", ".join(word for code, word in words.items() if (session.seen == code).any())


def score_sessions(
    predictions: Predictions, *, part: str = "test", threshold: float | None = None
) -> pd.DataFrame:
    """The scores of each session of a part, one row a session.

    A bout is a run of one class in consecutive frames; a frame left out ends it. Where a class
    has fewer than 3 bouts, or less than 5 s (judged only with a frame rate), the session's auc
    and, for binary targets, its average precision are NaN, and `blank_because` says so. With
    several classes those that do not occur in a session play no part in it. Of values, r2 is NaN
    where the target's SD is below a tenth of that over the training windows: R2 sets errors against
    what varies in the session, and has no floor where hardly anything does. Beside it stands skill,
    1 - squared errors / squared errors of the training windows' mean, which no session blanks.

    Parameters
    ----------
    predictions
        Predictions of one decoder.
    part
        ``"train"``, ``"valid"`` or ``"test"``.
    threshold
        Threshold carried from validation (`corticode.evaluate.metrics.best_threshold`), for
        binary targets; ``None``: the carried scores are not given.

    Returns
    -------
    DataFrame
        Columns animal, session, first_frame, last_frame, n_windows (those with a known target),
        base_rate (share of class 1; of the commonest of several classes; NaN for values), the
        scores by name, ``n_bouts_<class>`` (of trials ``n_trials_<class>``, of values of trials
        ``n_trials``) and blank_because (empty where nothing is blanked).

    Raises
    ------
    DataError
        The part holds no window.
    """
    import pandas as pd

    return pd.DataFrame(session_rows(predictions, part=part, threshold=threshold))


def session_rows(
    predictions: Predictions, *, part: str = "test", threshold: float | None = None
) -> list[dict[str, Any]]:
    """The rows of `score_sessions`, all with the same names."""
    chosen = _part(predictions, part)
    return [_score_session(session, threshold) for session in _sessions(chosen)]


def score_fold(predictions: Predictions) -> dict[str, float]:
    """The scores of one decoder over all test windows, and their mean over sessions.

    Parameters
    ----------
    predictions
        Predictions of one decoder; where they hold validation windows, the threshold that is
        best there is carried to the test windows.

    Returns
    -------
    dict
        n_windows (those with a known target), base_rate, the scores of the pooled windows,
        threshold_carried (for binary targets with validation windows; NaN where these are of one
        class), and auc_session_mean, or r2_session_mean for values: the mean over the sessions
        that are not blank (`score_sessions`), NaN where all are.

    Raises
    ------
    DataError
        The part holds no window.
    """
    threshold = _carried_threshold(predictions)
    chosen = _part(predictions, "test")
    metric = primary(predictions.kind)
    rows = session_rows(predictions, threshold=threshold)
    by_session = np.array([row[metric] for row in rows], dtype=np.float64)
    known = np.isfinite(by_session)
    carried = {} if threshold is None else {"threshold_carried": threshold}
    return {
        "n_windows": int(np.count_nonzero(~np.isnan(chosen.target))),
        "base_rate": _base_rate(chosen),
        **score_windows(chosen.target, chosen.score, chosen.kind, threshold=threshold),
        **_beside_training_mean(chosen),
        **carried,
        f"{metric}_session_mean": float(np.where(known, by_session, 0).sum() / known.sum())
        if known.any()
        else np.nan,
    }


def score_animals(session_scores: pd.DataFrame, metric: str | None = None) -> pd.DataFrame:
    """The value of each animal under each condition: its mean within-session score.

    Sessions weigh alike within a decoder (a fold and a seed), and decoders weigh alike within an
    animal. Decoders all of whose sessions are blank are left out; with none left the value is
    NaN.

    Parameters
    ----------
    session_scores
        Tables of `score_sessions`, one below the other, with the columns condition, fold and
        seed added.
    metric
        Which score; ``None``: AUC, or R2 of values. ``"skill"`` is over all of an animal's windows
        (of each decoder that tests them), not a mean over sessions.

    Returns
    -------
    DataFrame
        One row a condition and animal, in the order of `session_scores`: condition, animal,
        metric, value, sd_decoders (n - 1 in the denominator; NaN for one
        decoder), n_decoders (those that enter the value), n_sessions, n_bouts: the bouts of
        all classes in the frames tested, each stretch of frames counted once, however many folds
        and seeds test it; NaN for values. Where there are values also skill: against the mean of
        the training windows, over all windows of the animal. Where trials are decoded also
        n_trials, counted as bouts are.

    Raises
    ------
    DataError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> several = pd.DataFrame({"condition": "gru", "fold": ["f1", "f1", "f2", "f2"], "seed": 0,
    ...     "animal": "m1", "session": ["a", "b", "a", "b"], "first_frame": 0, "last_frame": 99,
    ...     "n_bouts_0": 4, "n_bouts_1": 3, "auc": [0.75, 0.25, 1.0, np.nan]})
    >>> score_animals(several)[["animal", "value", "n_decoders", "n_sessions", "n_bouts"]]
      animal  value  n_decoders  n_sessions  n_bouts
    0     m1   0.75           2           2       14
    """
    import pandas as pd

    _check_columns(session_scores)
    rows = [
        _score_animal(str(condition), str(animal), of_animal, metric)
        for (condition, animal), of_animal in session_scores.groupby(
            ["condition", "animal"], sort=False
        )
    ]
    columns = ["condition", "animal", "metric", "value", "sd_decoders"]
    columns += ["n_decoders", "n_sessions", "n_bouts"]
    columns += [SKILL] * (SKILL in session_scores)
    return pd.DataFrame(rows, columns=columns + ["n_trials"] * _counts_trials(session_scores))


def score_conditions(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and SD over splits of each condition's pooled scores, as S1 Table of the 2024 study has.

    Splits share animals: what is to be judged is `score_animals`.

    Parameters
    ----------
    scores
        As in ``scores.csv``: one row a condition, fold and seed, scores of all windows of a split
        pooled.

    Returns
    -------
    DataFrame
        One row a condition and metric that it has: condition, metric, mean (over seeds within a
        split, then over splits), sd (over splits, n - 1; NaN with one) and n_splits.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({"condition": "gru", "fold": ["a", "a", "b"], "seed": [0, 1, 0],
    ...     "auc": [0.9, 0.8, 0.95]})
    >>> score_conditions(scores).round(3).values.tolist()
    [['gru', 'auc', 0.9, 0.071, 2]]
    """
    import pandas as pd

    rows = []
    for condition, own in scores.groupby("condition", sort=False):
        for metric in (name for name in POOLED if name in own):
            by_split = own.groupby("fold", sort=False)[metric].mean().dropna()
            if by_split.size:
                mean, sd = by_split.mean(), by_split.std(ddof=1)
                rows.append((condition, metric, mean, sd, by_split.size))
    return pd.DataFrame(rows, columns=["condition", "metric", "mean", "sd", "n_splits"])


def _part(predictions: Predictions, part: str) -> Predictions:
    chosen = predictions.of_part(part)
    if chosen.n_windows == 0:
        found = [PART_NAMES[code] for code in np.unique(predictions.part)]
        raise DataError(
            f"predictions hold no {part!r} window, only {', '.join(found) or 'none at all'}; "
            "predict that part, or name one that is there"
        )
    return chosen


def _carried_threshold(predictions: Predictions) -> float | None:
    """The best threshold on validation windows; None without them, or for other kinds."""
    valid = predictions.of_part("valid")
    if predictions.kind != "binary" or valid.n_windows == 0:
        return None
    return best_threshold(valid.target, valid.score)


def _sessions(predictions: Predictions) -> Iterator[Predictions]:
    """The rows of each session, in the order of the name tables."""
    n_names = len(predictions.session_names)
    key = predictions.animal.astype(np.int64) * n_names + predictions.session
    order = np.argsort(key, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        yield predictions.where(rows)


def _score_session(session: Predictions, threshold: float | None) -> dict[str, object]:
    """One row of `score_sessions`."""
    scores = score_windows(session.target, session.score, session.kind, threshold=threshold)
    scores |= _beside_training_mean(session)
    n_bouts, n_frames = _count_bouts(session)
    counted = "n_trials" if session.of_trials else "n_bouts"
    if session.of_trials:
        n_bouts = n_frames  # one window a trial, whatever lies between
        reasons = _too_few_trials(session, n_bouts)
        if session.kind == "value":
            scores |= {"n_trials": int(np.count_nonzero(~np.isnan(session.target)))}
    else:
        reasons = _too_little(session, n_bouts, n_frames)
    if reasons:
        scores |= dict.fromkeys(BLANKED[session.kind], float("nan"))
    return {
        "animal": session.animal_names[session.animal[0]],
        "session": session.session_names[session.session[0]],
        "first_frame": int(session.frame.min()),
        "last_frame": int(session.frame.max()),
        "n_windows": int(np.count_nonzero(~np.isnan(session.target))),
        "base_rate": _base_rate(session),
        **scores,
        **{
            f"{counted}_{name}": int(count)
            for name, count in zip(_class_names(session), n_bouts, strict=True)
        },
        "blank_because": "; ".join(reasons),
    }


def _beside_training_mean(chosen: Predictions) -> dict[str, float]:
    """Of values: the skill against the training mean, and the mean squared error of that mean."""
    if chosen.kind != "value":
        return {}
    known = ~np.isnan(chosen.target)
    if chosen.train_mean is None or not known.any():
        return dict.fromkeys((SKILL, SKILL_WEIGHT), float("nan"))
    target = chosen.target[known].astype(np.float64)
    error = float(np.mean((chosen.score[known].astype(np.float64) - target) ** 2))
    of_mean = float(np.mean((target - chosen.train_mean) ** 2))
    return {SKILL: 1 - error / of_mean if of_mean > 0 else float("nan"), SKILL_WEIGHT: of_mean}


def blank_findings(animal_scores: pd.DataFrame, session_scores: pd.DataFrame) -> list[Finding]:
    """Animals that a condition has no score of, each with the commonest reason.

    Parameters
    ----------
    animal_scores
        As from `score_animals`.
    session_scores
        What it was made from.
    """
    findings = []
    for row in animal_scores[animal_scores["value"].isna()].itertuples():
        own = session_scores[
            (session_scores["condition"] == row.condition)
            & (session_scores["animal"] == row.animal)
        ]
        reasons = own.loc[own["blank_because"].fillna("") != "", "blank_because"]
        if reasons.empty:
            continue
        reason = f"no {row.metric} in {row.condition!r}: {reasons.mode().iloc[0]}"
        if any(str(column).startswith("n_trials_") and own[column].notna().any() for column in own):
            reason += f" (a score needs {FEWEST_TRIALS} trials of each class in a test part)"
        elif row.metric != "r2":
            reason += (
                f" (a score needs {FEWEST_BOUTS} bouts and {SHORTEST_S:g} s of each class in a "
                "test part)"
            )
        findings.append(
            Finding("session", reason, str(row.animal), count=len(reasons), code=NO_SCORE)
        )
    return findings


def _class_names(predictions: Predictions) -> tuple[str, ...]:
    return predictions.classes or (("0", "1") if predictions.kind == "binary" else ())


def _count_bouts(session: Predictions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bouts and frames of each class of one session."""
    n_classes = len(_class_names(session))
    if n_classes == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    known = ~np.isnan(session.target)
    frame, first = np.unique(session.frame[known], return_index=True)
    target = session.target[known][first].astype(np.int64)
    begins = np.ones(frame.size, dtype=bool)
    begins[1:] = (np.diff(frame) > 1) | (np.diff(target) != 0)
    return (
        np.bincount(target[begins], minlength=n_classes),
        np.bincount(target, minlength=n_classes),
    )


def _too_little(
    session: Predictions, n_bouts: NDArray[np.int64], n_frames: NDArray[np.int64]
) -> list[str]:
    """What there is too little of for a score over this session alone, in words."""
    reasons = _hardly_varies(session)
    rate_hz = session.frame_rate_hz
    for name, bouts, frames in zip(_class_names(session), n_bouts, n_frames, strict=True):
        if session.kind == "classes" and bouts == 0:
            continue
        if bouts < FEWEST_BOUTS:
            reasons.append(f"{bouts} {'bout' if bouts == 1 else 'bouts'} of {name}")
        # The margin keeps 151 frames at 30.2 Hz, 5 s that floating point makes a little less.
        if rate_hz is not None and frames < SHORTEST_S * rate_hz - 1e-6:
            # Cut, not rounded: 4.98 s must not read "5.0 s".
            reasons.append(f"{floor(10 * frames / rate_hz + 1e-9) / 10:.1f} s of {name}")
    if session.kind == "classes" and np.count_nonzero(n_bouts) < 2:
        reasons.append("fewer than two classes")
    return reasons


def _hardly_varies(session: Predictions) -> list[str]:
    """That the values of a session hardly vary, in words."""
    known = session.target[~np.isnan(session.target)]
    if session.kind != "value" or session.train_sd is None or not known.size:
        return []
    sd = float(np.std(known, dtype=np.float64))
    if sd >= LEAST_SD * session.train_sd:
        return []
    return [
        f"its target hardly varies: SD {sd:.3g}, below {LEAST_SD:.0%} of the training "
        f"windows' {session.train_sd:.3g}"
    ]


def _too_few_trials(session: Predictions, n_trials: NDArray[np.int64]) -> list[str]:
    """The same of trials: how many there are of each class, or of values at all."""
    reasons = _hardly_varies(session)
    n_known = int(np.count_nonzero(~np.isnan(session.target)))
    if session.kind == "value" and n_known < FEWEST_VALUES:
        reasons.append(f"{n_known} trials, fewer than {FEWEST_VALUES}")
    for name, n in zip(_class_names(session), n_trials, strict=True):
        if n < FEWEST_TRIALS and not (session.kind == "classes" and n == 0):
            reasons.append(f"{n} {'trial' if n == 1 else 'trials'} of {name}")
    if session.kind == "classes" and np.count_nonzero(n_trials) < 2:
        reasons.append("fewer than two classes")
    return reasons


def _base_rate(predictions: Predictions) -> float:
    """Share of class 1, or of the commonest of several classes; NaN for values."""
    known = predictions.target[~np.isnan(predictions.target)]
    if predictions.kind == "value" or known.size == 0:
        return float("nan")
    if predictions.kind == "binary":
        return float(np.count_nonzero(known == 1) / known.size)
    return float(np.bincount(known.astype(np.int64)).max() / known.size)


def _check_columns(session_scores: pd.DataFrame) -> None:
    needed = ["condition", "fold", "seed", "animal", "session", "first_frame", "last_frame"]
    missing = [name for name in needed if name not in session_scores]
    if "auc" not in session_scores and "r2" not in session_scores:
        missing.append("auc or r2")
    if missing:
        raise DataError(
            f"the session scores have no column {', '.join(missing)}; join tables of "
            "score_sessions and add condition, fold and seed"
        )


def _score_animal(
    condition: str, animal: str, rows: pd.DataFrame, metric: str | None
) -> dict[str, object]:
    """One row of `score_animals`."""
    import pandas as pd

    metric = metric or _metric(rows)
    # A table read back from JSON holds None, not NaN, in a column that is blank throughout.
    values = rows.assign(**{metric: rows[metric].astype(np.float64)})
    decoders = values.groupby(["fold", "seed"])
    if metric == SKILL:
        by_decoder = pd.Series([_skill(own) for _, own in decoders], dtype=np.float64).dropna()
        value = _skill(rows)
    else:
        by_decoder = decoders[metric].mean().dropna()
        value = float(by_decoder.mean())
    return {
        "condition": condition,
        "animal": animal,
        "metric": metric,
        "value": value,
        "sd_decoders": float(by_decoder.std(ddof=1)),
        "n_decoders": int(by_decoder.size),
        "n_sessions": int(rows["session"].nunique()),
        **({SKILL: _skill(rows)} if SKILL in rows else {}),
        "n_bouts": _total(rows, "n_bouts_"),
        "n_trials": _total(rows, "n_trials"),
    }


def _skill(rows: pd.DataFrame) -> float:
    """1 - squared errors / those of the training mean, over all windows of some rows."""
    known = rows[[SKILL, SKILL_WEIGHT]].astype(np.float64).notna().all(axis=1)
    own = rows[known]
    weight = own[SKILL_WEIGHT].astype(np.float64) * own["n_windows"]
    total = float(weight.sum())
    return float((weight * own[SKILL].astype(np.float64)).sum() / total) if total > 0 else np.nan


def _metric(rows: pd.DataFrame) -> str:
    """Which score the rows of one condition carry; a table may hold conditions of several kinds."""
    if "auc" not in rows:
        return "r2"
    # Both scores may be blank; the mean absolute error of values never is.
    is_value = "mae" in rows and bool(rows["mae"].notna().any())
    return "r2" if is_value else "auc"


def _counts_trials(session_scores: pd.DataFrame) -> bool:
    return any(str(column).startswith("n_trials") for column in session_scores)


def _total(rows: pd.DataFrame, counted: str) -> float:
    """Bouts, or trials, in the frames tested, each stretch of frames once."""
    counts = rows.filter(regex=f"^{counted}").dropna(axis="columns", how="all").columns
    if counts.empty:
        return float("nan")
    # One seed a fold first: where labels are permuted by seed, so are the frames with a target.
    one_seed = rows.sort_values("seed", kind="stable").drop_duplicates(["fold", "session"])
    stretches = one_seed.drop_duplicates(["session", "first_frame", "last_frame"])
    return int(stretches[counts].sum().sum())


def as_empty_predictions(windows: Windows) -> Predictions:
    """The windows as test predictions that say nothing, to ask which sessions can be scored.

    Parameters
    ----------
    windows
        Windows whose recipe holds the kind of target and its classes.
    """
    recipe = windows.recipe
    is_classes = recipe.target.kind == "classes"
    n_classes = max(1, len(recipe.classes)) if is_classes else 2
    shape = (windows.n_windows, n_classes) if is_classes else (windows.n_windows,)
    return Predictions(
        part=np.full(windows.n_windows, PART_NAMES.index("test"), np.int8),
        animal=windows.animal,
        session=windows.session,
        frame=windows.frame,
        target=windows.target,
        score=np.full(shape, 1 / n_classes, np.float32),
        kind=recipe.target.kind,
        animal_names=windows.animal_names,
        session_names=windows.session_names,
        classes=recipe.classes,
        frame_rate_hz=recipe.frame_rate_hz,
        of_trials=recipe.target.events is not None,
    )


def scorable_windows(windows: Windows, left_out_of: str) -> tuple[Windows, list[Finding]]:
    """The windows of sessions that can be scored, and which sessions cannot, and why.

    Parameters
    ----------
    windows
        Windows of some sessions; those whose target is not known are left out.
    left_out_of
        What the other sessions are left out of, for the findings: ``"the occlusion"``.

    Returns
    -------
    Windows, list
        Those of sessions that `corticode.evaluate.scores.score_sessions` would not leave blank.

    Raises
    ------
    DataError
        No session can be scored.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> sessions = [
    ...     Session("m1", name, np.random.default_rng(0).normal(size=(80, 2)), ("1", "2"),
    ...             {"run": run}, np.zeros(80, int))
    ...     for name, run in (("a", np.arange(80) // 10 % 2), ("b", np.arange(80) // 60))
    ... ]
    >>> kept, findings = scorable_windows(
    ...     cut_windows(sessions, Target("run"), WindowShape(1, 1)), "the curves")
    >>> kept.n_windows, str(findings[0])
    (78, "animal 'm1', session 'b': left out of the curves: 1 bout of 0; 1 bout of 1")
    """
    known = windows.where(np.isfinite(windows.target))
    reasons = {}
    if known.n_windows:
        table = score_sessions(as_empty_predictions(known))
        names = zip(table["animal"], table["session"], strict=True)
        reasons = dict(zip(names, table["blank_because"], strict=True))
    findings = []
    kept = np.zeros(known.n_windows, np.bool_)
    for k in np.unique(windows.session):
        animal = windows.animal_names[windows.animal[windows.session == k][0]]
        session = windows.session_names[k]
        reason = reasons.get((animal, session), "its behaviour is not known")
        if reason:
            findings.append(
                Finding("session", f"left out of {left_out_of}: {reason}", animal, session)
            )
        else:
            kept |= known.session == k
    if not kept.any():
        listed = "; ".join(str(finding) for finding in findings[:SHOWN])
        raise DataError(f"no session can be scored, so none is left for {left_out_of}: {listed}")
    return known.where(kept), findings
