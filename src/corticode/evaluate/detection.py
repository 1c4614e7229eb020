"""A decoder as a detector in an animal it never saw: false alarms, onsets found, latency, trust.

A threshold that lets a known fraction of rest pass in the validation animal lets another fraction
pass in the next: what each test animal really gets is counted here, and how far the probabilities
that a decoder gives may be taken at their word there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.targets import bouts
from corticode.decode.predictions import Predictions
from corticode.errors import DataError
from corticode.evaluate.metrics import best_threshold, binary_scores
from corticode.evaluate.nulls import COHORT

# A bout must last, and be preceded by rest, so long; rest that is compared is so far from both.
# Onsets are looked for so long after they come, as every bout that counts lasts so long.
STEADY_S = 2.0
# The fraction of frames of steady rest in the validation part that the threshold lets pass.
ALLOWED = 0.05
# Of a process without an event in so many minutes the rate is below 3 / minutes (95 %).
NONE_SEEN = 3.0
# Probabilities of 0 and 1 have no logit.
CLOSEST = 1e-6
STEPS, ENOUGH, STEEPEST = 50, 1e-9, 1e3
DETECTION = (
    "animal",
    "n_decoders",
    "rest_min",
    "n_onsets",
    "threshold",
    "false_alarms_per_min",
    "upper_limit_per_min",
    "rest_above",
    "detected",
    "detected_by_chance",
    "above_at_onset",
    "median_latency_s",
    "window_ahead_s",
    "note",
)
CALIBRATION = (
    "animal",
    "n_decoders",
    "base_rate",
    "intercept",
    "slope",
    "brier",
    "brier_skill",
    "threshold_carried",
    "balanced_accuracy_carried",
    "balanced_accuracy_best",
    "lost",
)


def onsets_after_rest(target: NDArray[np.floating], steady: int) -> NDArray[np.intp]:
    """First frames of bouts of 1 of some length that follow a bout of 0 of that length at once.

    Parameters
    ----------
    target
        0, 1 or NaN, frame after frame, shape (frame,).
    steady
        The length, frames.

    Examples
    --------
    >>> onsets_after_rest(np.array([0, 0, 1, 1, 0, 1.0]), 2).tolist()
    [2]
    """
    start, stop, value = bouts(target)
    long = stop - start >= steady
    follows = (value[1:] == 1) & (value[:-1] == 0) & (start[1:] == stop[:-1])
    found: NDArray[np.intp] = start[1:][follows & long[1:] & long[:-1]]
    return found


def steady_rest(target: NDArray[np.floating], steady: int) -> NDArray[np.bool_]:
    """Which frames of rest are so many frames or more from any change, shape (frame,).

    Examples
    --------
    >>> steady_rest(np.array([1, 0, 0, 0, 0, 0, 1.0]), 2).nonzero()[0].tolist()
    [3]
    """
    far = np.zeros(target.size, dtype=np.bool_)
    for start, stop, value in zip(*bouts(target), strict=True):
        if value == 0:
            far[start + steady : max(stop - steady, start)] = True
    return far


def auc_around_onset(
    target: NDArray[np.floating],
    score: NDArray[np.floating],
    frame_rate_hz: float,
    lags_s: NDArray[np.floating],
) -> pd.DataFrame:
    """How well frames at some time from the onset of a bout are distinguished from steady rest.

    Counted are onsets of bouts of at least 2 s after at least 2 s of rest. A lag's AUC sets the
    frames so long after (below 0: before) each such onset against the frames of rest that are
    2 s and more from any change.

    Parameters
    ----------
    target, score
        Of one session, frame after frame, NaN where there is no window, shape (frame,).
    frame_rate_hz
        Frames per second.
    lags_s
        Seconds from the onset, shape (lag,).

    Returns
    -------
    DataFrame
        One row a lag: lag_s, auc (NaN without an onset or without steady rest) and n_onsets.

    Raises
    ------
    DataError
        Target and score differ in length.
    """
    if target.shape != score.shape:
        raise DataError(
            f"target has shape {target.shape}, score {score.shape}; give one value a frame of both"
        )
    steady = round(STEADY_S * frame_rate_hz)
    onsets = onsets_after_rest(target, steady)
    rest = score[steady_rest(target, steady) & ~np.isnan(score)]
    rows = []
    for lag_s in lags_s:
        frames = onsets + round(float(lag_s) * frame_rate_hz)
        frames = frames[(frames >= 0) & (frames < score.size)]
        said = score[frames][~np.isnan(score[frames])]
        auc = float("nan")
        if said.size and rest.size:
            both = np.concatenate([said, rest])
            auc = binary_scores(np.repeat([1.0, 0.0], [said.size, rest.size]), both)["auc"]
        rows.append({"lag_s": float(lag_s), "auc": auc, "n_onsets": int(said.size)})
    return pd.DataFrame(rows, columns=["lag_s", "auc", "n_onsets"])


def rest_threshold(valid: Predictions) -> float:
    """The lowest threshold that at most 5 % of the frames of steady rest lie above.

    Parameters
    ----------
    valid
        Predictions of validation windows, for a binary target, with a frame rate.

    Returns
    -------
    float
        NaN where there is no steady rest.

    Raises
    ------
    DataError
        The target is not binary, or no frame rate is known.
    """
    steady = _steady_frames(valid)
    scores = [score[steady_rest(target, steady)] for _, _, target, score in _traces(valid)]
    rest = np.sort(np.concatenate(scores)) if scores else np.zeros(0)
    if rest.size == 0:
        return float("nan")
    return float(rest[rest.size - 1 - int(ALLOWED * rest.size)])


def first_crossings(
    score: NDArray[np.floating], onsets: NDArray[np.intp], threshold: float, within: int
) -> NDArray[np.float64]:
    """Frames from each onset to the first above the threshold; infinite where none is in time.

    Parameters
    ----------
    score
        Frame after frame, shape (frame,).
    onsets
        Their frames, shape (onset,).
    threshold
        A frame is an alarm above it.
    within
        How many frames from the onset on are looked at.

    Examples
    --------
    >>> first_crossings(np.array([0, 0, 1, 1, 0.0]), np.array([0, 2, 4]), 0.5, 3).tolist()
    [2.0, 0.0, inf]
    """
    found = np.full(onsets.size, np.inf)
    for k, onset in enumerate(onsets):
        above = np.flatnonzero(score[onset : onset + within] > threshold)
        if above.size:
            found[k] = above[0]
    return found


@dataclass
class _Counts:
    """What is counted in one animal, over its sessions and decoders."""

    thresholds: list[float] = field(default_factory=list)
    alarms: int = 0
    rest: int = 0
    rest_above: int = 0
    stretches: int = 0
    stretches_above: int = 0
    latencies_s: list[NDArray[np.float64]] = field(default_factory=list)
    # Frames that several decoders test are one stretch of time.
    rest_frames: dict[str, set[int]] = field(default_factory=dict)
    onset_frames: dict[str, set[int]] = field(default_factory=dict)
    rates_hz: float = 0.0

    def add(
        self,
        session: str,
        first: int,
        trace: tuple[NDArray[np.floating], NDArray[np.floating]],
        threshold: float,
        steady: int,
    ) -> None:
        """Count one decoder's test windows of one session."""
        target, score = trace
        rest = steady_rest(target, steady)
        above = score > threshold
        alarm = rest & above
        # An alarm is a stretch of frames above the threshold; rest that begins above is one too.
        self.alarms += int(np.count_nonzero(alarm[1:] & ~alarm[:-1])) + int(alarm[:1].sum())
        self.rest += int(rest.sum())
        self.rest_above += int(alarm.sum())
        whole = _stretches(rest, steady)
        self.stretches += whole.size
        counted = np.concatenate([[0], np.cumsum(above)])
        self.stretches_above += int(np.count_nonzero(counted[whole + steady] > counted[whole]))
        onsets = onsets_after_rest(target, steady)
        self.latencies_s.append(first_crossings(score, onsets, threshold, steady) / self.rates_hz)
        self.rest_frames.setdefault(session, set()).update((first + np.flatnonzero(rest)).tolist())
        self.onset_frames.setdefault(session, set()).update((first + onsets).tolist())


def _stretches(rest: NDArray[np.bool_], steady: int) -> NDArray[np.intp]:
    """First frames of the stretches of steady rest of some length, one after the other."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], rest.astype(np.int8), [0]])))
    found = [
        np.arange(start, stop - steady + 1, steady)
        for start, stop in zip(edges[::2], edges[1::2], strict=True)
    ]
    return np.concatenate(found).astype(np.intp) if found else np.zeros(0, np.intp)


def detect_by_animal(
    predictions: Sequence[Predictions], *, window_ahead_s: float = 0.0, new_animals: bool = True
) -> pd.DataFrame:
    """What each test animal gets from thresholds that were set on validation rest.

    The threshold is that of `rest_threshold` in each decoder's validation part. Rest is steady: two
    seconds and more from any change. Onsets are those of bouts of at least 2 s after at least 2 s
    of rest; one is detected where a frame of its first 2 s lies above the threshold.

    Parameters
    ----------
    predictions
        Of the decoders of one condition (folds and seeds), for a binary target, each with a
        validation and a test part.
    window_ahead_s
        By how much a decoder's window lies after the frame that it decodes, seconds.
    new_animals
        Whether animals were tested that trained nothing: the last row is then of the worst of them.

    Returns
    -------
    DataFrame
        One row an animal. rest_min and n_onsets: minutes of steady rest and onsets, those that
        several decoders test once. false_alarms_per_min: stretches of frames above the threshold,
        a minute of steady rest; upper_limit_per_min: 3 / rest_min where there was none, else NaN.
        rest_above: fraction of the frames of steady rest above the threshold, which is 0.05 in the
        validation part. detected: fraction of onsets; detected_by_chance: fraction of stretches of
        rest as long that hold an alarm; above_at_onset: fraction of onsets whose first frame is
        above. median_latency_s: of all onsets, a miss being later than 2 s; infinite where more
        than half are missed. The row ``"cohort"`` holds the worst of each over two animals or more.

    Raises
    ------
    DataError
        No predictions, targets that are not binary, or no frame rate.

    Examples
    --------
    >>> target = np.tile(np.repeat(np.array([0, 1], np.float32), 60), 4)
    >>> said = Predictions(
    ...     part=np.repeat(np.array([1, 2], np.int8), 480),
    ...     animal=np.repeat(np.array([1, 0], np.int16), 480),
    ...     session=np.zeros(960, np.int16),
    ...     frame=np.tile(np.arange(480, dtype=np.int32), 2),
    ...     target=np.tile(target, 2),
    ...     score=np.tile(0.2 + 0.6 * np.roll(target, 5), 2),
    ...     kind="binary", animal_names=("m1", "m2"), session_names=("monday",), frame_rate_hz=10.0,
    ... )
    >>> found = detect_by_animal([said])
    >>> found[["animal", "n_onsets", "false_alarms_per_min", "detected", "median_latency_s"]]
      animal  n_onsets  false_alarms_per_min  detected  median_latency_s
    0     m1         4                   0.0       1.0               0.5
    """
    if not predictions:
        raise DataError("no predictions were given; give those of at least one decoder")
    counts: dict[str, _Counts] = {}
    for one in predictions:
        steady = _steady_frames(one)
        threshold = rest_threshold(one.of_part("valid"))
        test = one.of_part("test")
        for code in np.unique(test.animal):
            own = counts.setdefault(
                test.animal_names[code], _Counts(rates_hz=float(one.frame_rate_hz or 1))
            )
            own.thresholds += [] if np.isnan(threshold) else [threshold]
        if not np.isnan(threshold):
            for (animal, session), first, target, score in _traces(test):
                counts[animal].add(session, first, (target, score), threshold, steady)
    rows = [_detected(animal, own, window_ahead_s) for animal, own in counts.items()]
    table = pd.DataFrame(rows, columns=list(DETECTION))
    known = table.dropna(subset=["false_alarms_per_min"])
    if new_animals and len(known) > 1:
        table = pd.concat([table, pd.DataFrame([_worst(known)])], ignore_index=True)
    return table


def _detected(animal: str, own: _Counts, window_ahead_s: float) -> dict[str, object]:
    """One row of `detect_by_animal`."""
    n_frames = sum(map(len, own.rest_frames.values()))
    rest_min = n_frames / own.rates_hz / 60
    latency = np.concatenate([np.zeros(0), *own.latencies_s])
    if not own.thresholds:
        notes = ["no threshold: the validation part has no rest 2 s and more from any change"]
    else:
        notes = ["no rest 2 s and more from any change"] if n_frames == 0 else []
        notes += ["no bout of 2 s or more after 2 s of rest"] if latency.size == 0 else []
    return {
        "animal": animal,
        "n_decoders": len(own.thresholds),
        "rest_min": rest_min,
        "n_onsets": sum(map(len, own.onset_frames.values())),
        "threshold": float(np.mean(own.thresholds)) if own.thresholds else np.nan,
        "false_alarms_per_min": _ratio(own.alarms, own.rest / own.rates_hz / 60),
        "upper_limit_per_min": NONE_SEEN / rest_min if n_frames and not own.alarms else np.nan,
        "rest_above": _ratio(own.rest_above, own.rest),
        "detected": float(np.isfinite(latency).mean()) if latency.size else np.nan,
        "detected_by_chance": _ratio(own.stretches_above, own.stretches),
        "above_at_onset": float((latency == 0).mean()) if latency.size else np.nan,
        "median_latency_s": _median(latency),
        "window_ahead_s": window_ahead_s,
        "note": "; ".join(notes),
    }


def _median(latency: NDArray[np.float64]) -> float:
    """The median, of an even number the mean of the middle two; infinite where one of them is."""
    if latency.size == 0:
        return float("nan")
    middle = np.sort(latency)[[(latency.size - 1) // 2, latency.size // 2]]
    return float(middle.mean())


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _worst(table: pd.DataFrame) -> dict[str, object]:
    """The row of the worst animal in each, and what follows for a new one."""
    row: dict[str, object] = dict.fromkeys(DETECTION, np.nan)
    highest = ("false_alarms_per_min", "rest_above", "median_latency_s", "window_ahead_s")
    lowest = ("detected",)
    row |= {name: float(table[name].max()) for name in highest}
    row |= {name: float(table[name].min()) for name in lowest}
    row |= {name: table[name].sum() for name in ("n_decoders", "rest_min", "n_onsets")}
    if table["false_alarms_per_min"].max() == 0:
        row["upper_limit_per_min"] = float(table["upper_limit_per_min"].max())
    # Of animals without an onset nothing is known of latencies: what fewer animals bound is said.
    n = int(table[[*highest, *lowest]].notna().sum().min())
    return row | {"animal": COHORT, "note": new_animal_words(n)}


def new_animal_words(n_animals: int) -> str:
    """What the worst of so many test animals says of a new one.

    Examples
    --------
    >>> print(new_animal_words(5))
    the worst of 5 animals; with 5 exchangeable animals it bounds a new one with probability 5/6
    """
    return (
        f"the worst of {n_animals} animals; with {n_animals} exchangeable animals it bounds a new "
        f"one with probability {n_animals}/{n_animals + 1}"
    )


def _steady_frames(predictions: Predictions) -> int:
    if predictions.kind != "binary":
        raise DataError(
            f"the target is of kind {predictions.kind!r}; onsets and false alarms are of targets "
            "with two classes"
        )
    if predictions.frame_rate_hz is None:
        raise DataError(
            "no frame rate is known, and rest and latency are in seconds; give frame_rate_hz in "
            "the catalogue"
        )
    return round(STEADY_S * predictions.frame_rate_hz)


Trace = tuple[tuple[str, str], int, NDArray[np.float64], NDArray[np.float64]]


def _traces(predictions: Predictions) -> Iterator[Trace]:
    """Of each session its names, first frame, and target and score frame after frame."""
    names = max(len(predictions.session_names), 1)
    key = predictions.animal.astype(np.int64) * names + predictions.session
    for code in np.unique(key):
        own = key == code
        frame = predictions.frame[own]
        first = int(frame.min())
        target, score = np.full((2, int(frame.max()) - first + 1), np.nan)
        target[frame - first] = predictions.target[own]
        score[frame - first] = predictions.score[own]
        animal, session = divmod(int(code), names)
        named = predictions.animal_names[animal], predictions.session_names[session]
        yield named, first, target, score


def calibrate(target: NDArray[np.floating], score: NDArray[np.floating]) -> tuple[float, float]:
    """Calibration intercept and slope of probabilities: 0 and 1 where they are to be believed.

    The intercept is that of a logistic regression on the logit with slope 1: above 0 where class 1
    is more frequent than predicted. The slope is that of a logistic regression on the logit: below
    1 where probabilities are too extreme.

    Parameters
    ----------
    target
        0 or 1, NaN where it is not known, shape (window,).
    score
        Probability of 1, shape (window,); brought within 1e-6 of 0 and 1.

    Returns
    -------
    float, float
        NaN where one class is absent; the slope also where probabilities are all alike, or
        separate the classes without error, so that no slope is steep enough.

    References
    ----------
    Cox 1958, https://doi.org/10.1093/biomet/45.3-4.562; Van Calster et al. 2019,
    https://doi.org/10.1186/s12916-019-1466-7.

    Examples
    --------
    >>> target = np.repeat([0.0, 1, 0, 1], [3, 1, 1, 3])
    >>> [round(one, 3) for one in calibrate(target, np.repeat([0.25, 0.75], 4))]
    [0.0, 1.0]
    """
    known = ~np.isnan(target)
    y = target[known].astype(np.float64)
    p = np.clip(score[known].astype(np.float64), CLOSEST, 1 - CLOSEST)
    x = np.log(p / (1 - p))
    if y.size == 0 or np.ptp(y) == 0:
        return float("nan"), float("nan")
    return _logistic(x, y, slope=False)[0], _logistic(x, y, slope=True)[1]


def _logistic(
    x: NDArray[np.float64], y: NDArray[np.float64], *, slope: bool
) -> tuple[float, float]:
    """Intercept and slope (1 where it is not asked for) of a logistic regression, by Newton."""
    if slope and np.ptp(x) == 0:
        return float("nan"), float("nan")
    inputs = np.stack([np.ones_like(x), x] if slope else [np.ones_like(x)])
    weights = np.array([0.0, 1.0])[: len(inputs)]
    offset = 0.0 if slope else x

    def loss(at: NDArray[np.float64]) -> float:
        z = at @ inputs + offset
        return float(np.mean(np.logaddexp(0, z) - y * z))

    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(weights @ inputs + offset, -500, 500)))
        gradient = inputs @ (p - y)
        curvature = (inputs * (p * (1 - p))) @ inputs.T
        step = np.linalg.solve(curvature + 1e-9 * y.size * np.eye(len(weights)), gradient)
        # Newton's step may pass the lowest point where the curve is flat.
        while loss(weights - step) > loss(weights) + ENOUGH and np.abs(step).max() > ENOUGH:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() < ENOUGH or np.abs(weights).max() > STEEPEST:
            break
    found = float(weights[0]), float(weights[1]) if slope else 1.0
    perfect = slope and loss(weights) < ENOUGH
    return (float("nan"), float("nan")) if perfect else found


def calibrate_by_animal(groups: Sequence[Sequence[Predictions]]) -> pd.DataFrame:
    """How far a decoder's probabilities and its threshold hold in each test animal.

    Parameters
    ----------
    groups
        Decoders of one condition, for a binary target. Those of a group test different windows of
        the same animals (folds within animals) and count as one; folds by animal are groups of one.

    Returns
    -------
    DataFrame
        One row an animal, means over its groups: intercept and slope (`calibrate`), brier and
        brier_skill (1 - brier / that of the animal's base rate), the threshold that is best on
        validation windows, what it reaches in the animal, what the animal's own best would, and
        what is lost (best - carried), in balanced accuracy.

    Raises
    ------
    DataError
        A target is not binary.
    """
    found: dict[str, list[dict[str, float]]] = {}
    for group in groups:
        parts: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64], float]]] = {}
        for one in group:
            if one.kind != "binary":
                raise DataError(
                    f"the target is of kind {one.kind!r}; calibration needs two classes"
                )
            valid, test = one.of_part("valid"), one.of_part("test")
            threshold = best_threshold(valid.target, valid.score)
            for code in np.unique(test.animal):
                own = (test.animal == code) & ~np.isnan(test.target)
                target, score = test.target[own].astype(float), test.score[own].astype(float)
                parts.setdefault(test.animal_names[code], []).append((target, score, threshold))
        for animal, own_parts in parts.items():
            target, score = (np.concatenate([part[k] for part in own_parts]) for k in (0, 1))
            above = np.concatenate([part[1] > part[2] for part in own_parts])
            thresholds = [part[2] for part in own_parts]
            found.setdefault(animal, []).append(_calibrated(target, score, above, thresholds))
    rows = []
    for animal, several in found.items():
        means = pd.DataFrame(several).mean().to_dict()
        rows.append({"animal": animal, "n_decoders": len(several), **means})
    return pd.DataFrame(rows, columns=list(CALIBRATION))


def _calibrated(
    target: NDArray[np.float64],
    score: NDArray[np.float64],
    above: NDArray[np.bool_],
    thresholds: Sequence[float],
) -> dict[str, float]:
    """Numbers of one animal and decoder."""
    base_rate = float(target.mean()) if target.size else float("nan")
    intercept, slope = calibrate(target, score)
    own = binary_scores(target, score, threshold=best_threshold(target, score))
    carried = float("nan")
    if not np.isnan(thresholds).any():
        carried = binary_scores(target, above.astype(np.float64))["balanced_accuracy"]
    of_base_rate = base_rate * (1 - base_rate)
    best = own["balanced_accuracy_carried"]
    return {
        "base_rate": base_rate,
        "intercept": intercept,
        "slope": slope,
        "brier": own["brier"],
        "brier_skill": 1 - own["brier"] / of_base_rate if of_base_rate > 0 else float("nan"),
        "threshold_carried": float(np.mean(thresholds)),
        "balanced_accuracy_carried": carried,
        "balanced_accuracy_best": best,
        "lost": best - carried,
    }
