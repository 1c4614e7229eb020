"""Confounds measured twice, and traces cleaned of them without what they share with behaviour.

Regressing a confound out takes out everything that follows behaviour, as soon as the confound
follows behaviour; and a confound that is measured with noise explains too little of what it does
(Westfall & Yarkoni 2016, doi:10.1371/journal.pone.0152719). So behaviour is a covariate here, of
which nothing is subtracted, and each confound is measured in two disjoint parts of the image,
whose errors are independent: the covariances of one measurement with the other are those of the
confound itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.cues import (
    MOTION_TERMS,
    check_input,
    lagged,
    outside_brain,
    seen_pixels,
    shift_terms,
)
from corticode.data.movies.motion import SMALLEST_SIDE, measure_motion
from corticode.data.movies.passes import means_over_pixels
from corticode.data.session import Session
from corticode.data.signals import holds_numbers
from corticode.data.targets import Target, TargetTrace, collect_classes, make_target
from corticode.errors import DataError, MissingDataError, some

# Seconds by which cortex may follow a confound, and behaviour; single frames about 0 besides.
CONFOUND_S = (-0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
BEHAVIOR_S = (-2, -1.5, -1, -0.75, -0.5, -0.35, -0.2, -0.1, 0, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2)
# Of the mean square of a column: directions in which two measurements agree less are noise.
RIDGE = 0.01
FRAMES_A_COLUMN = 10
# Below it the measurements hold too little of the confound for any claim (statistics, rule 15).
LEAST_RELIABILITY = 0.3
SHIFTS = ("rows", "columns")
# A behaviour column that goes with what is decoded as closely as this is what is decoded.
MOST_CORRELATED = 0.98

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class MeasuredTwice:
    """Confounds of one session, each from two disjoint sets of pixels.

    Parameters
    ----------
    names
        Of the terms: ``"motion rows"``, ``"motion rows squared"``, ``"outside brain"``...
    first, second
        Shape (frame, term).
    """

    names: tuple[str, ...]
    first: NDArray[np.float64]
    second: NDArray[np.float64]


def measure_twice(session: Session, *, brain: NDArray[np.bool_] | None = None) -> MeasuredTwice:
    """Motion, light around the brain and the reference channel, each measured twice.

    Motion is measured in the left and in the right half of the image (of images too small for
    that once, in the whole: both measurements are then the same), the mean of pixels around the
    brain (and of the reference channel) over every other pixel, as on a chessboard. Of the
    motion along rows and columns there are its deviation from the median, this unsigned and
    squared, and its change from frame to frame.

    Parameters
    ----------
    session
        Its movie may be memory-mapped and is never held whole.
    brain
        (row, column), True where the brain is; None finds it in the mean image.

    Raises
    ------
    MissingDataError
        The session has no movie.
    DataError
        The image is smaller than 16 x 16 pixels, or nothing lies around the brain.
    """
    if session.movie is None:
        raise MissingDataError(
            f"session {session.name} has no movie, in which confounds are measured; name it in the "
            "catalogue's column 'movie'"
        )
    movie = np.asarray(session.movie)
    board = np.indices(movie.shape[1:]).sum(axis=0) % 2 == 0
    middle = movie.shape[2] // 2
    parts = [slice(middle), slice(middle, None)] if middle >= SMALLEST_SIDE else [slice(None)]
    try:
        outside = outside_brain(session, movie, brain)[0]
        light = means_over_pixels(movie, [outside & board, outside & ~board])
        halves = [measure_motion(movie[:, :, part]) for part in parts]
    except DataError as error:
        raise DataError(f"session {session.name}, its confounds measured twice: {error}") from error
    sides = [np.column_stack([shift_terms(halves[k % len(halves)]), light[:, k]]) for k in (0, 1)]
    names = [*MOTION_TERMS, "outside brain"]
    if session.reference is not None:
        frames = np.asarray(session.reference)
        seen = seen_pixels(frames)
        reference = means_over_pixels(frames, [seen & board, seen & ~board])
        sides = [np.column_stack([side, reference[:, k]]) for k, side in enumerate(sides)]
        names.append("reference")
    return MeasuredTwice(tuple(names), sides[0], sides[1])


def reliability(
    first: Floats,
    second: Floats,
    behavior: Floats,
    frame_rate_hz: float,
    segment: NDArray[np.integer] | None = None,
) -> NDArray[np.float64]:
    """How far two measurements agree beyond what both owe to behaviour: a partial correlation.

    Parameters
    ----------
    first, second
        Shape (frame, term).
    behavior
        Shape (frame, column); enters at lags of -2 to 2 s.
    frame_rate_hz
        Frames per second.

    Returns
    -------
    NDArray
        Shape (term,): near 1 where the confound is measured well, 0 where the two share noise
        alone; NaN where one is constant, or both are one measurement.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> true, run = rng.normal(size=(2000, 1)), rng.random((2000, 1)) > 0.5
    >>> noisy = [true + rng.normal(size=true.shape) for _ in range(2)]
    >>> reliability(*noisy, run, 30.0).round(1).tolist()
    [0.5]
    """
    covariates = lagged(behavior, frame_rate_hz, segment, BEHAVIOR_S)
    known = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    basis = np.linalg.qr(np.column_stack([covariates, np.ones(len(covariates))])[known])[0]
    left = [part[known] - basis @ (basis.T @ part[known]) for part in (first, second)]
    products = np.sum(left[0] * left[1], axis=0)
    sizes = np.sqrt(np.prod([np.sum(part**2, axis=0) for part in left], axis=0))
    found = np.full(products.shape, np.nan)
    twice = (first[known] != second[known]).any(axis=0)
    np.divide(products, sizes, out=found, where=twice & (sizes > 1e-12 * known.sum()))
    return found


def least_reliable(measured: Mapping[str, float]) -> tuple[str, float]:
    """The confound that is measured worst, and its reliability: the one that counts.

    Of motion it is the direction which is measured better: along the other the brain may hardly
    move. Terms that are made of the shift (squared, ...) do not count for themselves.

    Parameters
    ----------
    measured
        By term, as from `without_confounds`.

    Examples
    --------
    >>> least_reliable({"motion rows": 0.9, "motion columns": 0.1, "outside brain": 0.7})
    ('outside brain', 0.7)
    """

    def known(name: str) -> float:
        return -1.0 if np.isnan(measured[name]) else measured[name]

    motion = [f"motion {axis}" for axis in SHIFTS if f"motion {axis}" in measured]
    counted = [max(motion, key=known)] if motion else []
    counted += [name for name in ("outside brain", "reference") if name in measured]
    worst = min(counted, key=known)
    return worst, measured[worst]


def remove_confounds(
    traces: Sequence[Floats],
    first: Sequence[Floats],
    second: Sequence[Floats],
    behavior: Sequence[Floats],
    frame_rate_hz: float,
    segments: Sequence[NDArray[np.integer] | None] | None = None,
) -> list[NDArray[np.float32]]:
    """Traces of one animal less what its confounds put into them.

    Each trace is regressed on the confounds at lags of -0.25 to 3 s and on behaviour at lags of
    -2 to 2 s together, over all sessions, each less its means; the confounds' part alone is
    subtracted. Products of confounds with one another are taken between the two measurements
    (each is the other's instrument), so that noise in them does not weaken the estimate. What
    the subtracted part holds beside the confound is noise that knows nothing of behaviour.

    Parameters
    ----------
    traces
        One a session, shape (frame, region).
    first, second
        The two measurements, shape (frame, term).
    behavior
        What is decoded, shape (frame, column): a label, a value, or a column a class.
    frame_rate_hz
        Frames per second.
    segments
        Shape (frame,) each, as for `reliability`; None: no session has a gap.

    Returns
    -------
    list
        float32, shaped like `traces`.

    Raises
    ------
    DataError
        Too few frames for so many confounds.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> run = np.repeat(rng.random(400) > 0.5, 50).astype(float)[:, None]
    >>> moved = run + rng.normal(size=run.shape)
    >>> twice = [moved + 0.5 * rng.normal(size=run.shape) for _ in range(2)]
    >>> neural, artefact = run + rng.normal(size=run.shape), 3 * moved
    >>> left = remove_confounds(
    ...     [np.hstack([neural, artefact])], [twice[0]], [twice[1]], [run], 30.0)[0]
    >>> [abs(round(float(np.corrcoef(column, run[:, 0])[0, 1]), 1)) for column in left.T]
    [0.4, 0.0]
    """
    sides, covariates, known = [], [], []
    segments = [None] * len(traces) if segments is None else segments
    for own, a, b, label, cut in zip(traces, first, second, behavior, segments, strict=True):
        sides.append([lagged(side, frame_rate_hz, cut, CONFOUND_S) for side in (a, b)])
        covariates.append(lagged(label, frame_rate_hz, cut, BEHAVIOR_S))
        finite = [np.isfinite(one).all(axis=1) for one in (own, a, b, label)]
        known.append(np.logical_and.reduce(finite))
    n_columns = sides[0][0].shape[1] + covariates[0].shape[1]
    n_known = int(sum(map(np.count_nonzero, known)))
    if n_known < FRAMES_A_COLUMN * n_columns:
        raise DataError(
            f"{n_known} frames of the animal are too few to estimate what "
            f"{first[0].shape[1]} confounds do to its traces; {FRAMES_A_COLUMN * n_columns} are "
            "needed: give longer sessions, or leave the animal out"
        )

    def joined(parts: Sequence[Floats]) -> NDArray[np.float64]:
        centred = [p[k] - p[k].mean(axis=0) for p, k in zip(parts, known, strict=True)]
        return np.concatenate(centred).astype(np.float64)

    # Behaviour is projected out of all: what is estimated is the confounds' part beside it.
    basis = _basis(joined(covariates))
    one, other, outputs = (
        part - basis @ (basis.T @ part)
        for part in (*(joined([pair[k] for pair in sides]) for k in (0, 1)), joined(traces))
    )
    mean = (one + other) / 2
    spread = mean.std(axis=0)
    spread[spread == 0] = 1.0
    one, other, mean = one / spread, other / spread, mean / spread
    # As if the confounds had been measured without error: noise of the two is independent.
    between = (one.T @ other + other.T @ one) / (2 * len(mean))
    size, axes = np.linalg.eigh(between)
    used = size > 0
    inverse = axes[:, used] / (size[used] + RIDGE) @ axes[:, used].T
    of_confounds = inverse @ (mean.T @ outputs / len(mean)) / spread[:, None]
    left = []
    for own, (a, b), which in zip(traces, sides, known, strict=True):
        both = (a + b) / 2
        part = (both - both[which].mean(axis=0)) @ of_confounds
        left.append(np.asarray(own - part, dtype=np.float32))
    return left


def _basis(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal columns that span the same, shape (frame, rank)."""
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, size > 1e-6 * max(size.max(initial=0), 1e-12)]


def without_confounds(
    sessions: Sequence[Session], target: Target
) -> tuple[list[Session], dict[str, float]]:
    """Sessions with the confounds removed from their traces, animal by animal.

    Parameters
    ----------
    sessions
        With traces, movies and a frame rate.
    target
        What is decoded: the covariate of which nothing is subtracted.

    Returns
    -------
    list, dict
        The sessions, without movies; how well each term was measured (`reliability`), the mean
        over sessions.

    Raises
    ------
    MissingDataError
        A session has no movie or no traces.
    DataError
        An animal has too few frames, a session no frame rate, an image is too small.
    """
    check_input(sessions, "traces+cues")
    named = [s.name for s in sessions if s.frame_rate_hz is None]
    if named:
        raise DataError(
            f"sessions {some(named, 3)} have no frame rate, and confounds are removed at lags in "
            "seconds; give frame_rate_hz in the catalogue"
        )
    twice = [measure_twice(session) for session in sessions]
    # A reference channel that some sessions lack is none that can be removed from all.
    names = [name for name in twice[0].names if all(name in one.names for one in twice)]
    sides = [
        [side[:, [one.names.index(name) for name in names]] for side in (one.first, one.second)]
        for one in twice
    ]
    signals = [session.behavior[target.signal] for session in sessions]
    classes = collect_classes(signals) if target.kind == "classes" else None
    labels = [
        _columns(make_target(signal, target, segment=session.segment, classes=classes))
        for signal, session in zip(signals, sessions, strict=True)
    ]
    rates = [float(session.frame_rate_hz or 0) for session in sessions]
    found = [
        reliability(pair[0], pair[1], np.nan_to_num(label), rate, session.segment)
        for pair, label, rate, session in zip(sides, labels, rates, sessions, strict=True)
    ]
    cleaned = list(sessions)
    for animal in dict.fromkeys(session.animal for session in sessions):
        own = [k for k, session in enumerate(sessions) if session.animal == animal]
        try:
            left = remove_confounds(
                [np.asarray(sessions[k].traces) for k in own],
                [sides[k][0] for k in own],
                [sides[k][1] for k in own],
                [labels[k] for k in own],
                rates[own[0]],
                [sessions[k].segment for k in own],
            )
        except DataError as error:
            raise DataError(f"animal {animal}: {error}") from error
        for k, traces in zip(own, left, strict=True):
            cleaned[k] = replace(sessions[k], traces=traces, movie=None, reference=None)
    # A term that some session measures once is measured once.
    return cleaned, dict(zip(names, np.mean(found, axis=0).tolist(), strict=True))


def check_columns(sessions: Sequence[Session], columns: Sequence[str], target: Target) -> None:
    """Refuse behaviour columns that can be no confounds of a target, all of them at once.

    A column is what is decoded, or contains it, where its correlation with the decoded signal (or
    with the label, or with one of its classes) is above 0.98 in the median session.

    Parameters
    ----------
    sessions
        With the columns and the target's signal in their behaviour.
    columns
        Names of behaviour signals.
    target
        What is decoded.

    Raises
    ------
    DataError
        A column holds text, varies in no session, or contains what is decoded.

    Examples
    --------
    >>> run = np.tile([0, 1, 1], 30)
    >>> behavior = {"run": run, "wheel": 3.0 * run, "pupil": np.arange(90.0)}
    >>> session = Session("m1", "a", None, (), behavior, np.zeros(90, np.int32))
    >>> check_columns([session], ["pupil"], Target("run"))
    >>> check_columns([session], ["wheel"], Target("run"))
    Traceback (most recent call last):
    corticode.errors.DataError: behaviour columns cannot be confounds of 'run': 'wheel' contains ...
    """
    if not columns:
        return
    faults = []
    decoded = [_decoded_columns(session, target, sessions) for session in sessions]
    for name in columns:
        signals = [session.behavior[name] for session in sessions]
        if not all(holds_numbers(signal) for signal in signals):
            faults.append(f"{name!r} holds text; give a column of 0 and 1 for each state")
            continue
        values = [np.asarray(signal, np.float64) for signal in signals]
        known = [one[np.isfinite(one)] for one in values]
        varies = [one.size > 0 and bool(np.ptp(one) > 0) for one in known]
        if not any(varies):
            faults.append(f"{name!r} varies in no session")
            continue
        closest = [
            _closest(one, other)
            for one, other, does in zip(values, decoded, varies, strict=True)
            if does
        ]
        if (closeness := float(np.median(closest))) > MOST_CORRELATED:
            faults.append(
                f"{name!r} contains what is decoded (correlation {closeness:.3f} in the median "
                f"session; at most {MOST_CORRELATED:g} is a confound)"
            )
    if faults:
        raise DataError(
            f"behaviour columns cannot be confounds of {target.signal!r}: {'; '.join(faults)}; "
            "take them out of [[confounds]] behavior"
        )


def _decoded_columns(
    session: Session, target: Target, sessions: Sequence[Session]
) -> NDArray[np.float64]:
    """The decoded signal as it was recorded, where it holds numbers, and what is decoded of it."""
    signal = session.behavior[target.signal]
    classes = None
    if target.kind == "classes":
        classes = collect_classes([one.behavior[target.signal] for one in sessions])
    made = make_target(signal, target, segment=session.segment, classes=classes)
    if len(made.classes) > 2:
        codes = made.values.astype(np.float64)[:, None]
        columns = np.where(np.isfinite(codes), codes == np.arange(len(made.classes)), np.nan)
    else:
        columns = made.values.astype(np.float64)[:, None]
    if holds_numbers(signal):
        columns = np.column_stack([columns, np.asarray(signal, np.float64)])
    return columns


def _closest(values: NDArray[np.float64], decoded: NDArray[np.float64]) -> float:
    """The largest |r| of one column with several, over frames that both know; 0 without any."""
    largest = 0.0
    for other in decoded.T:
        known = np.isfinite(values) & np.isfinite(other)
        a, b = values[known], other[known]
        if known.sum() > 2 and np.ptp(a) > 0 and np.ptp(b) > 0:
            largest = max(largest, abs(float(np.corrcoef(a, b)[0, 1])))
    return largest


def _columns(made: TargetTrace) -> NDArray[np.float64]:
    """What is decoded as numbers, shape (frame, column): of classes one each but for the first."""
    target = made.values.astype(np.float64)
    if len(made.classes) <= 2:
        return target[:, None]
    columns = (target[:, None] == np.arange(1, len(made.classes))).astype(np.float64)
    return np.where(np.isfinite(target)[:, None], columns, np.nan)
