"""One session in memory: its arrays on one clock, with units and what was found on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.clocks import (
    check_times,
    count_dropped,
    resample_amounts,
    resample_categories,
    sample_on_frames,
)
from corticode.data.readers.arrays import ArrayLocation, list_signals, read_array, read_signal
from corticode.data.regions import read_region_names
from corticode.data.signals import is_category
from corticode.errors import DataError, Finding, MissingDataError, warn_about

RATE_TOLERANCE = 0.05


@dataclass(frozen=True)
class Session:
    """One session: what the cortex and the animal did, frame by frame.

    Parameters
    ----------
    animal, session
        Who and when; the pair is unique in a catalogue.
    traces
        Region traces, shape (frame, region), as recorded; None where only a movie is given.
    regions
        One name a region.
    behavior
        Signals by name, each of shape (frame,), brought to the frames' clock.
    segment
        Shape (frame,); the number changes wherever time has a gap. No window crosses a change.
    frame_rate_hz
        Frames per second; None where it is not known.
    movie
        Memory-mapped movie, shape (frame, row, column), or None.
    findings
        What was left out or looks odd.
    history
        What was done to the traces before they were read.
    """

    animal: str
    session: str
    traces: NDArray[np.generic] | None
    regions: tuple[str, ...]
    behavior: Mapping[str, NDArray[np.generic]]
    segment: NDArray[np.int32]
    frame_rate_hz: float | None = None
    movie: NDArray[np.generic] | None = None
    findings: tuple[Finding, ...] = ()
    history: str = ""

    @property
    def name(self) -> str:
        """Animal and session, for messages."""
        return f"{self.animal}/{self.session}"

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.segment.size)


@dataclass
class _Reading:
    """What is known of a session while its files are brought together."""

    recording: Recording
    arrays: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    behavior: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def found(self, what: str, reason: str, count: int = 1, item: str = "") -> None:
        recording = self.recording
        self.findings.append(
            Finding(what, reason, recording.animal, recording.session, item, count)
        )


def open_session(
    recording: Recording,
    *,
    signals: Sequence[str] | None = None,
    trim_frames: int = 0,
    resample_hz: float | None = None,
    regions: Sequence[str] | None = None,
) -> Session:
    """A session read from its files, on one clock, checked.

    Movies stay memory-mapped. Where `frame_times` and `behavior_times` are given, behaviour is
    averaged over each frame's exposure and dropped frames become gaps in time; where they are
    not, frames and behaviour must be equally many, up to `trim_frames` cut from the longer tail.

    Parameters
    ----------
    recording
        One row of a catalogue.
    signals
        The behaviour signals to read; None reads every one-dimensional array that there is.
    trim_frames
        How many frames may be cut from the tail of whatever is longer.
    resample_hz
        Bring traces and behaviour to this lower rate, each new frame the mean of those it spans.
    regions
        Region names for recordings without a list of their own; None numbers them from 1.

    Raises
    ------
    MissingDataError
        A file or an array is not there.
    DataError
        The arrays do not fit together; the message says which and what to do.

    Warns
    -----
    CorticodeWarning
        For each finding: dropped or trimmed frames, a region without values.

    Examples
    --------
    >>> import tempfile
    >>> from corticode.data.synthetic.cohort import simulate_cohort
    >>> from corticode.data.layouts import import_study2024
    >>> from corticode.data.catalogue import read_catalogue
    >>> folder = Path(tempfile.mkdtemp())
    >>> cohort = simulate_cohort(folder / "cohort", seed=0)
    >>> _ = import_study2024(cohort, folder / "study")
    >>> session = open_session(read_catalogue(folder / "study" / "sessions.csv")[0])
    >>> session.traces.shape, session.behavior["runrest"].shape
    ((3000, 50), (3000,))
    """
    session = read_session(
        recording,
        signals=signals,
        trim_frames=trim_frames,
        resample_hz=resample_hz,
        regions=regions,
    )
    warn_about(session.findings)
    return session


def read_session(
    recording: Recording,
    *,
    signals: Sequence[str] | None = None,
    trim_frames: int = 0,
    resample_hz: float | None = None,
    regions: Sequence[str] | None = None,
) -> Session:
    """What `open_session` returns, with its findings kept in the session and not warned of."""
    reading = _Reading(recording)
    _read_imaging(reading)
    _read_behavior(reading, signals)
    frame_times = _trim(reading, trim_frames)
    rate = _frame_rate(recording, frame_times)
    segment = _segments(reading)
    if frame_times is not None:
        segment = segment + _place_on_frames(reading, frame_times, rate)
    session = Session(
        recording.animal,
        recording.session,
        reading.arrays.get("traces"),
        _region_names(reading, regions),
        reading.behavior,
        segment.astype(np.int32),
        rate,
        reading.arrays.get("movie"),
        tuple(reading.findings),
        recording.history,
    )
    session = _drop_empty_regions(session)
    return session if resample_hz is None else resample_session(session, resample_hz)


def valid_frames(session: Session) -> NDArray[np.bool_]:
    """Frames in which every region has a finite value, shape (frame,)."""
    if session.traces is None:
        return np.ones(session.n_frames, dtype=np.bool_)
    return np.asarray(np.isfinite(session.traces).all(axis=1))


def resample_session(session: Session, rate_hz: float) -> Session:
    """A session at a lower frame rate.

    Raises
    ------
    DataError
        The session has no frame rate or a lower one: frames cannot be invented.
    """
    if session.frame_rate_hz is None:
        raise DataError(
            f"session {session.name} has no frame_rate_hz, which resample_hz needs; "
            "add it to the catalogue"
        )
    if rate_hz > session.frame_rate_hz * (1 + 1e-6):
        raise DataError(
            f"session {session.name} has {session.frame_rate_hz:g} frames/s; resample_hz = "
            f"{rate_hz:g} would invent frames: choose at most the lowest rate of the study"
        )
    ratio = session.frame_rate_hz / rate_hz
    n_new = int(session.n_frames / ratio + 1e-6)
    if session.movie is not None:
        raise DataError(f"session {session.name} holds a movie; resample_hz serves traces alone")
    middle = resample_categories(session.segment, ratio, n_new)
    crossing = _span_crosses(session.segment, ratio, n_new)
    traces = None
    if session.traces is not None:
        traces = resample_amounts(session.traces, ratio, n_new)
        traces[crossing] = np.nan
    behavior = {
        name: resample_categories(values, ratio, n_new)
        if is_category(values)
        else resample_amounts(values, ratio, n_new)
        for name, values in session.behavior.items()
    }
    return replace(
        session,
        traces=traces,
        behavior=behavior,
        segment=middle.astype(np.int32),
        frame_rate_hz=rate_hz,
    )


def _span_crosses(segment: NDArray[np.int32], ratio: float, n_new: int) -> NDArray[np.bool_]:
    edges = np.minimum(np.arange(n_new + 1) * ratio, segment.size)
    first = np.minimum((edges[:-1] + 1e-6).astype(np.int64), segment.size - 1)
    last = np.minimum((np.ceil(edges[1:] - 1e-6) - 1).astype(np.int64), segment.size - 1)
    return np.asarray(segment[first] != segment[np.maximum(last, first)])


def _read_imaging(reading: _Reading) -> None:
    recording = reading.recording
    for key, axes, wanted in (
        ("traces", recording.traces_axes, ("time", "region")),
        ("movie", recording.movie_axes, ("time", "row", "column")),
    ):
        location: ArrayLocation | None = getattr(recording, key)
        if location is None:
            continue
        array = read_array(location)
        if array.ndim != len(wanted):
            raise DataError(
                f"session {recording.name}: {location} has shape {array.shape}; {key} need "
                f"{len(wanted)} axes, {', '.join(wanted)}"
            )
        if array.dtype.kind not in "iuf":
            raise DataError(
                f"session {recording.name}: {location} holds {array.dtype} values; "
                f"{key} must be numbers"
            )
        reading.arrays[key] = array.transpose([axes.index(axis) for axis in wanted])


def _read_behavior(reading: _Reading, signals: Sequence[str] | None) -> None:
    recording = reading.recording
    location = recording.behavior
    if location is None:
        if signals or recording.segment:
            raise MissingDataError(
                f"session {recording.name} has no behaviour file, so "
                f"{', '.join(signals or [str(recording.segment)])!r} cannot be read; "
                "name one in the catalogue's column 'behavior'"
            )
        return
    names = list(signals) if signals is not None else list(list_signals(location))
    if recording.segment and recording.segment not in names:
        names.append(recording.segment)
    for name in names:
        reading.behavior[name] = read_signal(location, name)


def _trim(reading: _Reading, trim_frames: int) -> NDArray[np.float64] | None:
    """Cut what is longer, within what is allowed; return the frames' times if they are known."""
    recording = reading.recording
    frame_times = _read_times(recording.frame_times)
    sample_times = _read_times(recording.behavior_times)
    lengths = {key: array.shape[0] for key, array in reading.arrays.items()}
    if frame_times is not None and sample_times is not None:
        lengths["frame_times"] = frame_times.size
        for name, values in reading.behavior.items():
            if values.shape[0] != sample_times.size:
                raise DataError(
                    f"session {recording.name}: behaviour {name!r} has {values.shape[0]} samples, "
                    f"behavior_times {sample_times.size}; they must be equally many"
                )
    else:
        lengths |= {f"behaviour {name!r}": len(v) for name, v in reading.behavior.items()}
    shortest, longest = min(lengths.values()), max(lengths.values())
    if longest - shortest > trim_frames:
        raise DataError(_length_message(reading, lengths, trim_frames))
    if longest > shortest:
        reading.found(
            "frames",
            f"{longest - shortest} frames were cut from the tail of "
            f"{', '.join(key for key, n in lengths.items() if n > shortest)}",
            longest - shortest,
        )
    reading.arrays = {key: array[:shortest] for key, array in reading.arrays.items()}
    if frame_times is None or sample_times is None:
        reading.behavior = {name: values[:shortest] for name, values in reading.behavior.items()}
        return None
    return frame_times[:shortest]


def _length_message(reading: _Reading, lengths: Mapping[str, int], trim_frames: int) -> str:
    recording = reading.recording
    counts = ", ".join(f"{key} {n}" for key, n in lengths.items())
    message = f"session {recording.name} has unequal numbers of frames: {counts}"
    traces = reading.arrays.get("traces")
    others = {n for key, n in lengths.items() if key != "traces"}
    if traces is not None and others == {traces.shape[1]}:
        turned = ",".join(reversed(recording.traces_axes))
        return f"{message}; the traces look turned: give traces_axes = {turned!r} in the catalogue"
    spread = max(lengths.values()) - min(lengths.values())
    allowed = f"[data] trim_frames = {trim_frames}" if trim_frames else "no [data] trim_frames"
    return (
        f"{message} ({allowed}); give frame_times and behavior_times, or allow the longer to be "
        f"cut with [data] trim_frames = {spread} if the ends are all that differs"
    )


def _read_times(location: ArrayLocation | None) -> NDArray[np.float64] | None:
    if location is None:
        return None
    times = np.asarray(read_array(location))
    if times.dtype.kind not in "iuf":
        raise DataError(f"{location} holds {times.dtype} values; times must be seconds")
    times = times.astype(np.float64).squeeze()
    check_times(times, str(location))
    return times


def _frame_rate(recording: Recording, frame_times: NDArray[np.float64] | None) -> float | None:
    rate = recording.frame_rate_hz
    if frame_times is None:
        return rate
    measured = 1 / float(np.median(np.diff(frame_times)))
    if rate is not None and abs(measured / rate - 1) > RATE_TOLERANCE:
        raise DataError(
            f"session {recording.name}: frame_rate_hz is {rate:g} but frame_times step at "
            f"{measured:.4g} frames/s; correct one of them (times are in seconds)"
        )
    return measured if rate is None else rate


def _segments(reading: _Reading) -> NDArray[np.int64]:
    """Numbers that rise by one at each change of the segment column; zeros without one."""
    n_frames = next(iter(reading.arrays.values())).shape[0]
    column = reading.recording.segment
    if column is None or reading.recording.frame_times is not None:
        return np.zeros(n_frames, dtype=np.int64)
    return _change_numbers(reading.behavior[column])


def _change_numbers(values: NDArray[np.generic]) -> NDArray[np.int64]:
    changes: NDArray[np.bool_] = np.asarray(values[1:] != values[:-1])
    if values.dtype.kind == "f":
        missing = np.isnan(values.astype(np.float64))
        changes &= ~(missing[1:] & missing[:-1])
    numbers: NDArray[np.int64] = np.concatenate([[0], np.cumsum(changes)]).astype(np.int64)
    return numbers


def _place_on_frames(
    reading: _Reading, frame_times: NDArray[np.float64], rate: float | None
) -> NDArray[np.int64]:
    """Behaviour onto the frames' clock; return numbers that rise at each gap in time."""
    recording = reading.recording
    sample_times = _read_times(recording.behavior_times)
    period_s = 1 / rate if rate else float(np.median(np.diff(frame_times)))
    after_gap, n_dropped = count_dropped(frame_times, period_s)
    if n_dropped:
        reading.found(
            "frames",
            f"{n_dropped} frames were dropped in {int(after_gap.sum())} places; no window "
            "crosses them",
            n_dropped,
        )
    if sample_times is not None:
        reading.behavior = {
            name: sample_on_frames(values, sample_times, frame_times, period_s)
            for name, values in reading.behavior.items()
        }
    gaps = np.cumsum(after_gap)
    if recording.segment is not None:
        gaps = gaps + _change_numbers(reading.behavior[recording.segment])
    return gaps


def _region_names(reading: _Reading, regions: Sequence[str] | None) -> tuple[str, ...]:
    traces = reading.arrays.get("traces")
    if traces is None:
        return ()
    recording = reading.recording
    n_regions = traces.shape[1]
    if recording.regions is not None:
        names = read_region_names(recording.regions)
        source = str(recording.regions)
    elif regions is not None:
        names, source = tuple(regions), "[data] regions"
    else:
        return tuple(str(k + 1) for k in range(n_regions))
    if len(names) != n_regions:
        raise DataError(
            f"session {recording.name}: {source} names {len(names)} regions, its traces of shape "
            f"{traces.shape} hold {n_regions}; check the list and traces_axes"
        )
    return names


def _drop_empty_regions(session: Session) -> Session:
    if session.traces is None or session.traces.dtype.kind != "f":
        return session
    finite = np.isfinite(session.traces)
    findings = list(session.findings)
    kept = finite.any(axis=0)
    if not kept.all():
        findings += [
            Finding(
                "region",
                "has no finite value and is left out",
                session.animal,
                session.session,
                name,
            )
            for name, has_values in zip(session.regions, kept, strict=True)
            if not has_values
        ]
        if not kept.any():
            raise DataError(f"session {session.name} has no finite value in any region")
    n_invalid = int((~finite[:, kept].all(axis=1)).sum())
    if n_invalid:
        findings.append(
            Finding(
                "frames",
                f"{n_invalid} of {session.n_frames} frames hold NaN or Inf; windows avoid them",
                session.animal,
                session.session,
                count=n_invalid,
            )
        )
    if kept.all():
        return replace(session, findings=tuple(findings))
    return replace(
        session,
        traces=session.traces[:, kept],
        regions=tuple(n for n, k in zip(session.regions, kept, strict=True) if k),
        findings=tuple(findings),
    )
