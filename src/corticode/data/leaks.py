"""What makes scores too good though every file can be read, found before anything is trained.

Slips of a catalogue that agree in length, compared as it was read: a recording that stands there
twice, whatever its format and number type; one behaviour under two sessions; one animal's name
written in two ways; a region that is the target itself. And ways from test to training: filters and
statistics that reach from one part of a fold into another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.files import fingerprint
from corticode.data.folds import ROLES, Fold
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.preprocess import Preprocessing
from corticode.data.preprocessing.steps import WHOLE_SESSION
from corticode.data.readers.lookup import spelling
from corticode.data.session import Session
from corticode.data.signals import holds_numbers
from corticode.data.targets import Target, TargetTrace
from corticode.data.windows import WindowShape
from corticode.errors import DataError, Finding, some

SHOWN_SESSIONS = 5
# Steps from frame to frame of two recordings of one thing correlate so closely, at least; those of
# two days hardly at all. Behaviour has no artefacts of its own, and may be as smooth as a wave.
SAME_STEPS, SAME_BEHAVIOR = 0.95, 0.999
# And most of their frequencies lie in phase: a heart beat, or light that flickers, may be alike.
IN_PHASE = 0.3
FEWEST_STEPS = 40
TEMPLATE_STEPS = 512
CLIPPED_SIZES = 5.0
# A schedule of equal trials has no more lengths of bouts than these, and may be that of every day.
SCHEDULE_LENGTHS = 3
FEWEST_CHANGES = 6
# A region that is the target: correlation, or AUC of its single frames.
SAME_AS_TARGET, TELLS_TARGET = 0.98, 0.995
MOST_FRAMES = 3000
FEWEST_OF_CLASS = 10
# Of movies, the means of so many frames at both ends stand for the whole.
END_FRAMES = 64

Steps = NDArray[np.float64]


@dataclass(frozen=True)
class Twice:
    """Two sessions, by their places in a list, that hold one thing."""

    one: int
    other: int


def same_recordings(sessions: Sequence[Session]) -> list[Twice]:
    """Pairs of sessions whose traces (of movies: whose first and last frames) are one recording.

    Compared are steps from frame to frame, so that number type, file format, scale, offset,
    slow trends, the order of regions, and frames cut from either end make no difference.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(300, 4))
    >>> sessions = [
    ...     Session(f"m{k}", "a", traces, ("1", "2", "3", "4"), {}, np.zeros(len(traces), int))
    ...     for k, traces in enumerate((noise, noise[::-1], 100 + 3 * noise[20:].astype("f4")))
    ... ]
    >>> same_recordings(sessions)
    [Twice(one=0, other=2)]
    """
    traces = {k: _steps_of_traces(s) for k, s in enumerate(sessions) if s.traces is not None}
    found = list(_pairs(traces))
    movies = [k for k, s in enumerate(sessions) if s.traces is None and s.movie is not None]
    ends = {k: _ends_of_movie(np.asarray(sessions[k].movie)) for k in movies}
    for one, other in combinations(movies, 2):
        first, last = zip(ends[one], ends[other], strict=True)
        if _agree(*first) or _agree(*last):
            found.append(Twice(one, other))
    return found


def same_behavior(
    sessions: Sequence[Session], signals: Sequence[str], *, but_for: Sequence[Twice] = ()
) -> list[Finding]:
    """Sessions whose behaviour is one and the same, but for those whose recordings are.

    A schedule (bouts of a few lengths that come again and again) may be that of every day and is
    passed over.

    Examples
    --------
    >>> run = (np.random.default_rng(0).random(40) > 0.5).repeat(10)
    >>> sessions = [
    ...     Session("m1", name, None, (), {"run": run}, np.zeros(400, int)) for name in ("a", "b")
    ... ]
    >>> print(same_behavior(sessions, ["run"])[0])
    signal 'run' is the same, frame by frame, in m1/a, m1/b: two days of behaviour never are; ...
    """
    findings = []
    for signal in signals:
        steps = {
            k: _steps_of_signal(session.behavior[signal])
            for k, session in enumerate(sessions)
            if signal in session.behavior and not _is_schedule(session.behavior[signal])
        }
        pairs = [pair for pair in _pairs(steps, SAME_BEHAVIOR) if pair not in but_for]
        for group in _groups(pairs):
            names = [sessions[k].name for k in group]
            reason = (
                f"signal {signal!r} is the same, frame by frame, in {some(names, SHOWN_SESSIONS)}: "
                "two days of behaviour never are; give each session its own behaviour file in the "
                "catalogue"
            )
            findings.append(Finding("leak", reason, count=len(names)))
    return findings


def alike_names(recordings: Sequence[Recording]) -> list[Finding]:
    """Sessions of one animal whose names differ in case, blanks, _, - or leading zeros alone."""
    findings = []
    by_name: dict[tuple[str, str], list[str]] = {}
    for recording in recordings:
        names = by_name.setdefault((recording.animal, spelling(recording.session)), [])
        if recording.session not in names:
            names.append(recording.session)
    for (animal, _), names in by_name.items():
        if len(names) > 1 and not _is_sign(names):
            reason = (
                f"sessions {some([repr(name) for name in names], SHOWN_SESSIONS)} differ in case, "
                "blanks, '_', '-' or leading zeros alone: if they are one session, take one row "
                "out of the catalogue"
            )
            findings.append(Finding("leak", reason, animal))
    return findings


def alike_classes(traces: Sequence[TargetTrace], signal: str) -> list[Finding]:
    """Classes of a target whose names differ in case, blanks, _, - or leading zeros alone.

    Parameters
    ----------
    traces
        The target in each session.
    signal
        What it is made from.

    Examples
    --------
    >>> trace = TargetTrace(np.zeros(3, np.float32), ("Left", "left", "right"))
    >>> print(alike_classes([trace], "choice")[0])  # doctest: +ELLIPSIS
    classes 'Left' and 'left' of 'choice' differ in case, blanks, '_', '-' or leading zeros ...
    """
    by_name: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for trace in traces for name in trace.classes):
        by_name.setdefault(spelling(name), []).append(name)
    return [
        Finding(
            "leak",
            f"classes {' and '.join(map(repr, names))} of {signal!r} differ in case, blanks, '_', "
            "'-' or leading zeros alone: if they are one class, spell it alike in all behaviour "
            "files",
        )
        for names in by_name.values()
        if len(names) > 1 and not _is_sign(names)
    ]


def target_among_regions(
    sessions: Sequence[Session], targets: Sequence[TargetTrace], signal: str
) -> list[Finding]:
    """Regions that follow the target as no brain does: a column of behaviour among the traces.

    Named are regions whose correlation with the target is above 0.98, or whose single frames tell
    a class from the others with an AUC above 0.995, in two sessions or more (or in the only one).

    Parameters
    ----------
    sessions
        With traces as they were recorded.
    targets
        What is decoded in each.
    signal
        What it is made from.

    Examples
    --------
    >>> run = np.arange(400) // 10 % 2
    >>> traces = np.random.default_rng(0).normal(size=(400, 3))
    >>> traces[:, 1] = 5 - run
    >>> session = Session("m1", "a", traces, ("A", "B", "C"), {"run": run}, np.zeros(400, int))
    >>> target = TargetTrace(run.astype(np.float32), ("0", "1"))
    >>> print(target_among_regions([session], [target], "run")[0])
    region 'B' follows the target 'run' in 1 of 1 sessions as no brain does (|r| up to 1.000, ...
    """
    hits: dict[str, list[tuple[float, float]]] = {}
    n_asked = 0
    for session, target in zip(sessions, targets, strict=True):
        if session.traces is None:
            continue
        n_asked += 1
        closest = _likeness(np.asarray(session.traces), target, session.behavior.get(signal))
        for name, correlation, auc in zip(session.regions, *closest, strict=True):
            if correlation > SAME_AS_TARGET or auc > TELLS_TARGET:
                hits.setdefault(name, []).append((correlation, auc))
    needed = min(2, n_asked)
    findings = []
    for name, found in hits.items():
        if len(found) >= needed:
            correlation, auc = np.nanmax(np.array(found), axis=0)
            told = f", its single frames tell it with AUC {auc:.3f}" if auc > 0 else ""
            reason = (
                f"region {name!r} follows the target {signal!r} in {len(found)} of {n_asked} "
                f"sessions as no brain does (|r| up to {correlation:.3f}{told}); if it is a column "
                "of behaviour among the traces, take it out of their files"
            )
            findings.append(Finding("leak", reason, count=len(found)))
    return findings


def _steps_of_traces(session: Session) -> Steps:
    """Steps of the mean over regions, each in units of its own SD, shape (frame - 1,)."""
    traces = np.asarray(session.traces, dtype=np.float64)
    traces = np.where(np.isfinite(traces), traces, np.nan)
    spread = np.nanstd(traces, axis=0, dtype=np.float64)
    gain = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    # Frames with a gap say nothing: a mean over other regions would be a step of its own.
    return _clipped(traces @ gain)


def _steps_of_signal(signal: NDArray[Any]) -> Steps:
    if holds_numbers(signal):
        return _clipped(np.asarray(signal, dtype=np.float64))
    _, codes = np.unique(np.asarray(signal).astype(np.str_), return_inverse=True)
    return _clipped(codes.astype(np.float64))


def _ends_of_movie(movie: NDArray[Any]) -> tuple[Steps, Steps]:
    """Steps of the mean brightness of the first and of the last frames."""
    ends = movie[:END_FRAMES], movie[-END_FRAMES:]
    first, last = (
        _clipped(end.reshape(len(end), -1).mean(axis=1, dtype=np.float64)) for end in ends
    )
    return first, last


def _clipped(values: NDArray[np.float64]) -> Steps:
    """Steps in units of their usual size, the largest cut; NaN where one is not known."""
    steps = np.diff(values)
    steps[~np.isfinite(steps)] = np.nan
    # Of a straight line, what rounding leaves is no step.
    largest = np.fmax.reduce(np.abs(values), initial=0.0)
    known = steps[np.isfinite(steps)]
    if not known.size or np.ptp(known) <= 1e-9 * largest:
        return np.zeros_like(steps)
    sizes = np.abs(steps[np.nan_to_num(steps) != 0])
    if sizes.size:
        # A single artefact must not be all that two sessions are compared by.
        steps = np.clip(steps / np.median(sizes), -CLIPPED_SIZES, CLIPPED_SIZES)
    return np.asarray(steps, dtype=np.float64)


def _pairs(steps: dict[int, Steps], least: float = SAME_STEPS) -> Iterator[Twice]:
    """Pairs that are one thing, at whatever lag."""
    usable = {k: one for k, one in steps.items() if _n_changes(one) >= FEWEST_CHANGES}
    if len(usable) < 2:
        return
    longest = max(one.size for one in usable.values())
    n_points = 1 << int(longest + TEMPLATE_STEPS).bit_length()
    filled = {k: np.nan_to_num(one) for k, one in usable.items()}
    spectra = {k: np.fft.rfft(one, n_points) for k, one in filled.items()}
    pieces = {k: _template(one) for k, one in filled.items()}
    searched = {k: np.conj(np.fft.rfft(piece, n_points)) for k, (_, piece) in pieces.items()}
    for one, other in combinations(usable, 2):
        a, b = usable[one], usable[other]
        # A piece of the shorter one is looked for in the longer.
        short, long = (one, other) if a.size <= b.size else (other, one)
        at = int(np.argmax(np.fft.irfft(spectra[long] * searched[short], n_points)[:longest]))
        shift = at - pieces[short][0]
        lags = {0, usable[long].size - usable[short].size, shift}
        if any(_agree_at(usable[short], usable[long], lag, least) for lag in lags):
            yield Twice(one, other)


def _template(steps: Steps) -> tuple[int, Steps]:
    """The middle of a session, and where it begins."""
    n_steps = min(TEMPLATE_STEPS, steps.size // 2)
    first = (steps.size - n_steps) // 2
    return first, steps[first : first + n_steps]


def _agree_at(short: Steps, long: Steps, lag: int, least: float) -> bool:
    """Whether the shorter, laid over the longer from `lag` on, is the same where both are there."""
    first, stop = max(lag, 0), min(lag + short.size, long.size)
    if stop - first < max(FEWEST_STEPS, short.size // 2):
        return False
    return _agree(short[first - lag : stop - lag], long[first:stop], least)


def _agree(one: Steps, other: Steps, least: float = SAME_STEPS) -> bool:
    """Whether steps are the same, but for single frames, where both are known."""
    if one.size != other.size or min(_n_changes(one), _n_changes(other)) < FEWEST_CHANGES:
        return False
    known = np.isfinite(one) & np.isfinite(other)
    if np.count_nonzero(known) < FEWEST_STEPS:
        return False
    a, b = one[known] - one[known].mean(), other[known] - other[known].mean()
    # Sums, not matrix products: those wait for threads where other work goes on.
    size = np.sqrt(np.sum(a**2) * np.sum(b**2))
    alike = size > 0 and np.sum(a * b) > least * size
    return bool(alike and _share_in_phase(one, other) > IN_PHASE)


def _share_in_phase(one: Steps, other: Steps) -> float:
    """How much of the spectrum lies in phase, each frequency counted alike; 1: all of it."""
    window = np.hanning(one.size)
    cross = np.fft.rfft(np.nan_to_num(one) * window) * np.conj(
        np.fft.rfft(np.nan_to_num(other) * window)
    )
    cross = cross[1:]
    size = np.abs(cross)
    return float(np.mean(np.divide(cross.real, size, out=np.zeros_like(size), where=size > 0)))


def _n_changes(steps: Steps) -> int:
    return int(np.count_nonzero(np.nan_to_num(steps)))


def _is_schedule(signal: NDArray[Any]) -> bool:
    """Whether a signal changes at a few intervals alone, or at every frame by the same step."""
    changes = np.flatnonzero(signal[1:] != signal[:-1])
    if changes.size < FEWEST_CHANGES:
        return True
    lengths = np.unique(np.diff(changes))
    if lengths.size == 1 and lengths[0] == 1:
        steps = np.diff(np.asarray(signal, dtype=np.float64)) if holds_numbers(signal) else lengths
        steps = steps[np.isfinite(steps)]
        return bool(np.ptp(steps) <= 1e-6 * np.abs(steps).max(initial=0.0)) if steps.size else True
    return lengths.size <= SCHEDULE_LENGTHS


def _groups(pairs: Sequence[Twice]) -> list[list[int]]:
    """Sessions that pairs join, each group once, in order."""
    groups: list[set[int]] = []
    for pair in pairs:
        joined = {pair.one, pair.other}
        for group in [group for group in groups if group & joined]:
            joined |= group
            groups.remove(group)
        groups.append(joined)
    return [sorted(group) for group in groups]


def _is_sign(names: Sequence[str]) -> bool:
    """Whether names differ by a minus before a number: ``day-1`` and ``day1`` are two days."""
    bare = {name.replace("-", "") for name in names}
    return len(names) == 2 and len(bare) == 1 and len(bare & {*names}) == 1


def _likeness(
    traces: NDArray[Any], target: TargetTrace, signal: NDArray[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest |r| of each region with target or signal, and largest AUC of a class, (region,)."""
    n_classes = len(target.classes)
    wanted = [np.asarray(target.values, dtype=np.float64)] if n_classes < 3 else []
    if signal is not None and holds_numbers(signal) and n_classes < 3:
        wanted.append(np.asarray(signal, dtype=np.float64))
    correlation = np.zeros(traces.shape[1])
    for values in wanted:
        known = np.flatnonzero(np.isfinite(values))
        known = known[:: max(1, known.size // MOST_FRAMES)]
        if known.size > FEWEST_STEPS:
            correlation = np.fmax(correlation, _correlations(_filled(traces[known]), values[known]))
    if not n_classes:
        return correlation, np.zeros(traces.shape[1])
    known = np.flatnonzero(np.isfinite(target.values))
    thinned = known[:: max(1, known.size // MOST_FRAMES)]
    return correlation, _class_aucs(_filled(traces[thinned]), target.values[thinned])


def _filled(traces: NDArray[Any]) -> NDArray[np.float64]:
    """Traces with their mean where a value is not finite, 0 where a region has none at all."""
    rows = np.asarray(traces, dtype=np.float64)
    finite = np.isfinite(rows)
    if finite.all():
        return rows
    rows = np.where(finite, rows, 0.0)
    return np.where(finite, rows, rows.sum(axis=0) / np.maximum(finite.sum(axis=0), 1))


def _correlations(rows: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """|r| of each region with values, without what drifts in both, shape (region,)."""
    time = np.linspace(-1, 1, len(values))
    # Bleaching, and a count that rises all day, follow each other without knowing of it.
    drift, _ = np.linalg.qr(np.stack([np.ones_like(time), time, time**2], axis=1))
    spread = values.std()
    about = values - drift @ (drift.T @ values)
    rows = rows - drift @ (drift.T @ rows)
    size = np.sqrt((rows**2).sum(axis=0) * (about @ about))
    # What rounding leaves of a straight line is no signal.
    is_signal = (size > 0) & (about.std() > 1e-6 * spread)
    found = np.zeros(rows.shape[1])
    np.divide(about @ rows, size, out=found, where=is_signal)
    return np.abs(found)


def _class_aucs(rows: NDArray[np.float64], codes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The largest AUC, either way round, with which single frames tell a class from the others."""
    best = np.zeros(rows.shape[1])
    # Of equals, first by order and then against it: the mean gives each the middle rank.
    ranks = (_ranks(rows) + _ranks(rows[::-1])[::-1]) / 2
    for code in np.unique(codes):
        own = codes == code
        n_own, n_other = np.count_nonzero(own), np.count_nonzero(~own)
        if min(n_own, n_other) >= FEWEST_OF_CLASS:
            auc = (ranks[own].sum(axis=0) - n_own * (n_own + 1) / 2) / (n_own * n_other)
            best = np.maximum(best, np.maximum(auc, 1 - auc))
    return best


def _ranks(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rank of each frame in its region, from 1, of equals in their order."""
    order = np.argsort(rows, axis=0, kind="stable")
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, len(rows) + 1)[:, None], axis=0)
    return ranks


def find_leaks(
    preprocessing: Preprocessing,
    window: WindowShape,
    folds: Sequence[Fold],
    recordings: Sequence[Recording],
    target: Target | None = None,
    pixels: PixelPreprocessing | None = None,
    same: Sequence[Twice] = (),
) -> list[Finding]:
    """Ways in which training could know of the test part.

    Parameters
    ----------
    preprocessing, window
        What is done to traces before they are decoded.
    folds
        Who trains and who is tested.
    recordings
        The catalogue.
    target
        What is decoded; its smoothing reaches between blocks too.
    pixels
        What is done to movies, where they are decoded; traces are then not.
    same
        Recordings that hold the same data as they were read, whatever their files are (see
        `same_recordings`), by their places.

    Returns
    -------
    list of Finding
        Risks that the work may go on with: filters and whole-session statistics that reach from
        one block of a session into another; one recording under two names in one part.

    Raises
    ------
    DataError
        The same recorded data stand in two parts of a fold.
    """
    pairs = _same_files(recordings)
    pairs += [pair for k in same if (pair := (recordings[k.one], recordings[k.other])) not in pairs]
    twice = _refuse_same_data(folds, pairs)
    gap = _smallest_gap(folds)
    if gap is None:
        return twice
    if pixels is None:
        findings = twice + _reach_between_blocks(preprocessing, window, gap, _shortest_block(folds))
    else:
        findings = twice + _pixels_between_blocks(pixels)
    if any(f"({WHOLE_SESSION})" in recording.history for recording in recordings):
        reason = (
            "the recordings were preprocessed with what was fitted on whole sessions (their "
            "history says so), test blocks too; causal = true in [preprocess], or folds by session "
            "or animal, keep them apart"
        )
        findings.append(Finding("leak", reason))
    if target is not None and gap < target.smooth_frames - 1:
        findings.append(
            Finding(
                "leak",
                f"smoothing {target.signal!r} over {target.smooth_frames} frames lets targets of "
                f"training and test blocks share behaviour across the gap of {gap} frames; [folds] "
                f"gap_frames = {target.smooth_frames - 1} keeps them apart",
            )
        )
    return findings


def _same_files(recordings: Sequence[Recording]) -> list[tuple[Recording, Recording]]:
    """Pairs of recordings whose traces, or movies, are files of one content."""
    by_content: dict[tuple[str, str | None], list[Recording]] = {}
    for recording in recordings:
        location = recording.traces or recording.movie
        if location is not None:
            content = (fingerprint(location.path), location.dataset)
            by_content.setdefault(content, []).append(recording)
    return [pair for same in by_content.values() for pair in combinations(same, 2)]


def _refuse_same_data(
    folds: Sequence[Fold], pairs: Sequence[tuple[Recording, Recording]]
) -> list[Finding]:
    """Recordings that stand twice in one part; in two parts they are trained on and tested.

    Raises
    ------
    DataError
        Some do.
    """
    for one, other in pairs:
        for fold in folds:
            roles = (_roles(fold, one), _roles(fold, other))
            if all(roles) and roles[0] != roles[1]:
                raise DataError(
                    f"recordings {one.name} and {other.name} hold the same data; fold "
                    f"{fold.name!r} would have one in its {roles[0][0]} part and the other in "
                    f"its {roles[1][0]} part: correct the catalogue"
                )
    return [
        Finding(
            "leak",
            f"recordings {one.name} and {other.name} hold the same data, which counts twice; take "
            "one of their rows out of the catalogue",
        )
        for one, other in pairs
    ]


def _roles(fold: Fold, recording: Recording) -> list[str]:
    """What a fold uses a recording for; several things where it is cut into blocks."""
    return [
        role
        for role in ROLES
        if any(
            part.animal == recording.animal and part.session in (None, recording.session)
            for part in getattr(fold, role)
        )
    ]


def _pixels_between_blocks(pixels: PixelPreprocessing) -> list[Finding]:
    seen = "all earlier frames" if pixels.causal else "the whole session"
    reason = (
        f"each pixel's mean and the scale are those of {seen}, so training blocks know the level "
        "of test blocks; folds by session or animal keep them apart"
    )
    return [Finding("leak", reason)]


def _way_out(reach: int, shortest: int) -> str:
    """What keeps blocks apart that a filter brings together."""
    if reach < shortest:
        return f"[folds] gap_frames = {reach} keeps them apart"
    return (
        f"blocks of {shortest} frames leave no room for a gap of {reach}: take shorter filters "
        "(detrend_frames = 0 for none), or folds by session or animal"
    )


def _reach_between_blocks(
    preprocessing: Preprocessing, window: WindowShape, gap: int, shortest: int
) -> list[Finding]:
    findings = []
    if preprocessing.scale != "none" and preprocessing.scale_over != "training":
        seen = (
            "the whole session" if preprocessing.scale_over == "session" else "all earlier frames"
        )
        findings.append(
            Finding(
                "leak",
                f"{preprocessing.scale} scaling uses {seen}, so training blocks know the level "
                "and spread of test blocks; scale_over = 'training' avoids it",
            )
        )
    filters = [
        (name, length)
        for name, length in (
            ("detrending", preprocessing.detrend_frames),
            ("smoothing", preprocessing.smooth_frames),
        )
        if length
    ]
    # Moving means look back and ahead, or back alone; the sum of both is all that counts.
    reach = window.n_frames - 1 + sum(length - 1 for _, length in filters)
    if filters and gap < reach:
        named = " and ".join(f"{name} over {length} frames" for name, length in filters)
        findings.append(
            Finding(
                "leak",
                f"{named} and the window of {window.n_frames} frames reach from training into "
                f"test blocks across the gap of {gap} frames; {_way_out(reach, shortest)}",
            )
        )
    return findings


def _shortest_block(folds: Sequence[Fold]) -> int:
    """Frames of the shortest block, half of the gaps beside it included."""
    return min(
        part.stop_frame - part.first_frame
        for fold in folds
        for part in fold.test
        if part.stop_frame is not None
    )


def _smallest_gap(folds: Sequence[Fold]) -> int | None:
    """Frames between neighbouring blocks of different roles; None where there are no blocks."""
    gaps = []
    for fold in folds:
        parts = [
            (part.animal, str(part.session), part.first_frame, part.stop_frame, role)
            for role in ROLES
            for part in getattr(fold, role)
            if part.stop_frame is not None
        ]
        for one, other in pairwise(sorted(parts)):
            if one[:2] == other[:2] and one[4] != other[4]:
                gaps.append(other[2] - one[3])
    return min(gaps, default=None)
