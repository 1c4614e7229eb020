"""One session in memory: its arrays on one clock, in one order of axes, with units."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from corticode.data.alignment import AlignedArrays, FileArrays, align, read_times, resample
from corticode.data.catalogue import MOVIE_AXES, TRACES_AXES, Recording
from corticode.data.clocks import frame_period, is_same_rate
from corticode.data.movies.alternation import frame_pairs
from corticode.data.on_frames import Placed
from corticode.data.readers.arrays import (
    ArrayLocation,
    list_signals,
    read_array,
    read_movie,
    read_signal,
)
from corticode.data.readers.lookup import guess
from corticode.data.regions import read_region_names
from corticode.data.signals import check_signals
from corticode.data.trials import FrameClock, TrialTimes, columns_of_trials, trials_on_frames
from corticode.errors import DataError, Finding, MissingDataError, RunError, warn_about

GATHERED_FRAMES = 256
SHOWN_FRAMES = 6


def read_imaging(
    recording: Recording, *, flips: Sequence[int] = ()
) -> tuple[dict[str, NDArray[np.generic]], list[Finding]]:
    """Traces, movie and reference movie of a recording, whichever there are, time first.

    A movie that interleaves two wavelengths becomes two, every other frame each, as views of the
    same memory-mapped file. A last frame whose pair is missing is cut off.

    Parameters
    ----------
    recording
        One row of a catalogue.
    flips
        Frames of an interleaved movie at which a lost frame exchanged the wavelengths, see
        `corticode.data.movies.alternation.find_turns`: pairs are put in order again, and a pair
        that lost a frame keeps its place.

    Returns
    -------
    arrays
        ``"traces"``, shape (frame, region), ``"movie"`` and ``"reference"``, shape
        (frame, row, column). With flips, ``"whole"``, shape (frame,): False where a pair lost a
        frame, and ``"first"``, shape (frame,): the frame of the file that begins each pair.
    findings
        The frame that was cut off, or those that lost their pair; a recording that was stopped
        early.

    Raises
    ------
    MissingDataError
        There are neither traces nor a movie, or a file is not there.
    DataError
        An array does not hold numbers or has other axes than the catalogue says, or the two
        wavelengths' frames differ in size.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "movie.npy"
    >>> np.save(path, np.arange(5)[:, None, None] * np.ones((5, 2, 2)))
    >>> recording = Recording(
    ...     "m1", "a", movie=ArrayLocation(path), channels=("calcium", "reference"))
    >>> arrays, findings = read_imaging(recording)
    >>> arrays["movie"][:, 0, 0].tolist(), arrays["reference"][:, 0, 0].tolist()
    ([0.0, 2.0], [1.0, 3.0])
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    findings: list[Finding] = []
    if recording.traces is not None:
        traces = read_array(recording.traces)
        arrays["traces"] = _ordered(
            recording, "traces", recording.traces, traces, recording.traces_axes
        )
    if recording.movie is not None:
        n_channels = max(1, len(recording.channels))
        movie, findings = _read_movie(recording, "movie", recording.movie, n_channels)
        arrays["movie"] = movie
    if not arrays:
        raise MissingDataError(
            f"session {recording.name} has neither traces nor a movie; name one in the "
            "catalogue's column 'traces' or 'movie'"
        )
    if recording.movie_reference is not None and recording.movie is not None:
        reference, odd = _read_movie(recording, "reference", recording.movie_reference, 1)
        findings += odd
        if reference.shape[1:] != arrays["movie"].shape[1:]:
            raise DataError(
                f"session {recording.name}: {recording.movie_reference} has frames of "
                f"{reference.shape[1:]} pixels, its movie of {arrays['movie'].shape[1:]}; a "
                "reference movie needs the same rows and columns"
            )
        arrays["reference"] = reference
    elif len(recording.channels) > 1 and recording.movie is not None:
        if flips:
            parted, cut = _resynchronise(recording, arrays["movie"], flips)
        else:
            parted, cut = _part_channels(recording, arrays["movie"])
        arrays |= parted
        findings += cut
    return arrays, findings


def _read_movie(
    recording: Recording, name: str, location: ArrayLocation, n_channels: int
) -> tuple[NDArray[np.generic], list[Finding]]:
    """A movie with time first, and a word on a file that is not what it says."""
    movie, notes = read_movie(location, n_channels)
    movie = _ordered(recording, name, location, movie, recording.movie_axes)
    findings = [
        Finding("frames", f"{location.path.name} {note}", recording.animal, recording.session)
        for note in notes
    ]
    return movie, findings


def _ordered(
    recording: Recording,
    name: str,
    location: ArrayLocation,
    array: NDArray[np.generic],
    axes: Sequence[str],
) -> NDArray[np.generic]:
    """An array of numbers with its axes in the order that is wanted."""
    wanted = TRACES_AXES if name == "traces" else MOVIE_AXES
    if array.ndim != len(wanted):
        raise DataError(
            f"session {recording.name}: {location} has shape {array.shape}; {name} must "
            f"have {len(wanted)} axes, {', '.join(wanted)}"
        )
    if array.dtype.kind not in "iuf":
        raise DataError(
            f"session {recording.name}: {location} holds {array.dtype} values; "
            f"{name} must be numbers"
        )
    return array.transpose([axes.index(axis) for axis in wanted])


def _part_channels(
    recording: Recording, movie: NDArray[np.generic]
) -> tuple[dict[str, NDArray[np.generic]], list[Finding]]:
    """The two wavelengths of an interleaved movie, as views; a last frame without a pair is cut."""
    n_frames, n_channels = movie.shape[0] // 2 * 2, len(recording.channels)
    names = {"calcium": "movie", "reference": "reference"}
    parted = {
        names[channel]: movie[k:n_frames:n_channels] for k, channel in enumerate(recording.channels)
    }
    if n_frames == movie.shape[0]:
        return parted, []
    reason = (
        f"1 frame was cut from the tail of the movie: its {movie.shape[0]} frames hold "
        f"{' and '.join(recording.channels)} in turn, and the last has no pair"
    )
    return parted, [Finding("frames", reason, recording.animal, recording.session)]


def read_movie_file(recording: Recording, *, is_reference: bool = False) -> NDArray[np.generic]:
    """The movie of a recording as its file holds it, both wavelengths in turn, time first.

    Raises
    ------
    MissingDataError, DataError
        As `read_imaging`.
    """
    location = recording.movie_reference if is_reference else recording.movie
    if location is None:
        raise MissingDataError(
            f"session {recording.name} has no movie; name one in the catalogue's column 'movie'"
        )
    name, n_channels = ("reference", 1) if is_reference else ("movie", len(recording.channels) or 1)
    return _read_movie(recording, name, location, n_channels)[0]


def _resynchronise(
    recording: Recording, movie: NDArray[np.generic], flips: Sequence[int]
) -> tuple[dict[str, NDArray[np.generic]], list[Finding]]:
    """The two wavelengths of a movie that lost frames, each pair in its place."""
    doubled = [k for k in flips if np.array_equal(movie[k], movie[k - 1])]
    pairs, is_whole = frame_pairs(len(movie), flips, doubled)
    names = {"calcium": "movie", "reference": "reference"}
    parted = {
        names[channel]: _gathered(movie, pairs[:, k])
        for k, channel in enumerate(recording.channels)
    }
    parted |= {"whole": is_whole, "first": np.where(is_whole, pairs[:, 0], pairs.max(axis=1))}
    findings = []
    n_lost = int((~is_whole).sum())
    if n_lost:
        lost = "1 frame" if n_lost == 1 else f"{n_lost} frames"
        verb, theirs = ("is", "its") if n_lost == 1 else ("are", "their")
        reason = (
            f"{lost} of one wavelength {verb} missing in the movie's file, before frame "
            f"{listed(sorted(set(flips) - set(doubled)))}: {theirs} pair is left out, and those "
            "that follow are put in order again (resynchronise = true)"
        )
        findings.append(
            Finding("frames", reason, recording.animal, recording.session, count=n_lost)
        )
    if doubled:
        reason = (
            f"frame {listed(doubled)} of the movie's file is the one before once more and is "
            "passed over (resynchronise = true)"
        )
        findings.append(
            Finding("frames", reason, recording.animal, recording.session, count=len(doubled))
        )
    return parted, findings


def listed(numbers: Sequence[int]) -> str:
    """Numbers in words: the first few, and how many more.

    Examples
    --------
    >>> listed([3, 9])
    '3 and 9'
    """
    shown = [str(number) for number in numbers[:SHOWN_FRAMES]]
    if len(numbers) > SHOWN_FRAMES:
        return ", ".join(shown) + f" and {len(numbers) - SHOWN_FRAMES} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _gathered(movie: NDArray[np.generic], frames: NDArray[np.intp]) -> NDArray[np.generic]:
    """Frames of a movie in another order: no view can be that, so they lie in a file of their own.

    It has no name, and is gone when nothing reads it any more.
    """
    try:
        with tempfile.TemporaryFile() as file:
            for first in range(0, frames.size, GATHERED_FRAMES):
                some = movie[frames[first : first + GATHERED_FRAMES]]
                file.write(np.ascontiguousarray(some).data)
            file.flush()
            return np.memmap(file, movie.dtype, "r", shape=(frames.size, *movie.shape[1:]))
    except OSError as error:
        raise RunError(
            f"a movie that is resynchronised needs {movie[0].nbytes * frames.size / 1e9:.1f} GB in "
            f"{tempfile.gettempdir()}: {error.strerror or error}; free some space, or name another "
            "folder in the environment variable TMPDIR"
        ) from error


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
    reference
        The reference wavelength's movie, memory-mapped, shape (frame, row, column), or None.
    placed
        How each signal that had a clock of its own came onto frames.
    left_out
        Frames of the movie that no window may hold and no statistics count, shape (frame,); None:
        none.
    left_out_traces
        Frames whose traces became NaN, as they held extreme values.
    flips
        Frames of the movie's file at which wavelengths were put in order again.

    Raises
    ------
    DataError
        An array has another number of frames than `segment`, or `regions` does not name each
        region once.
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
    reference: NDArray[np.generic] | None = None
    placed: Mapping[str, Placed] = field(default_factory=dict)
    left_out: NDArray[np.bool_] | None = None
    left_out_traces: tuple[int, ...] = ()
    flips: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        arrays = {"traces": self.traces, "movie": self.movie, "reference": self.reference}
        arrays |= {"left_out": self.left_out}
        arrays |= {f"behaviour {name!r}": values for name, values in self.behavior.items()}
        for name, array in arrays.items():
            if array is not None and array.shape[:1] != (self.n_frames,):
                raise DataError(
                    f"session {self.name}: {name} of shape {array.shape} and a segment column of "
                    f"{self.n_frames} frames; each array needs the frames first, all of them"
                )
            if name in ("traces", "movie", "reference") and (
                array is not None and array.dtype.kind not in "biuf"
            ):
                raise DataError(
                    f"session {self.name}: {name} are of type {array.dtype}; numbers (integers or "
                    "floating point) are needed"
                )
        n_regions = 0 if self.traces is None else self.traces.shape[-1]
        if len(self.regions) != n_regions or len(set(self.regions)) != n_regions:
            raise DataError(
                f"session {self.name}: {n_regions} regions in its traces and "
                f"{len(set(self.regions))} different names; name each region once"
            )

    @property
    def name(self) -> str:
        """Animal and session, for messages."""
        return f"{self.animal}/{self.session}"

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.segment.size)


def open_session(
    recording: Recording,
    *,
    signals: Sequence[str] | None = None,
    trim_frames: int = 0,
    resample_hz: float | None = None,
    regions: Sequence[str] | None = None,
    on_frames: str | Mapping[str, str] | None = None,
    trials: TrialTimes | None = None,
) -> Session:
    """A session read from its files, on one clock, checked.

    Movies stay memory-mapped. Where `frame_times` and `behavior_times` are given, behaviour is
    brought onto frames (`on_frames`) and dropped frames become gaps in time; where they are not,
    frames and behaviour must be equally many, up to `trim_frames` cut from the longer tail.

    Parameters
    ----------
    recording
        One row of a catalogue.
    signals
        The behaviour signals to read; None reads every one-dimensional array that there is.
    trim_frames
        How many frames may be cut from the tail of whatever is longer.
    resample_hz
        Bring traces and behaviour to this lower rate: traces of a new frame are the mean of those
        it spans, behaviour follows `on_frames`.
    regions
        Region names for recordings without a list of their own; None numbers them from 1.
    on_frames
        How signals on their own clock, or at a higher rate, come onto frames: ``"mean"`` over a
        frame's exposure, ``"any"`` (its largest sample), ``"count"`` (the sum) or ``"middle"``
        (the sample that holds there); a rule for all that hold numbers, or a dict by signal. None:
        text by the middle, numbers by the mean; `cut_windows` makes 0 and 1 of the means of a
        signal of 0 and 1 where its target asks for that.
    trials
        Which column of the catalogue's table of trials is their event: it becomes a signal that is
        1 at the frames of events, and the table's other columns signals that hold their values
        there. None: the table is not read.

    Raises
    ------
    MissingDataError
        A file or an array is not there.
    DataError
        The arrays do not fit together; the message says which and what to do. Or `recording` is
        no row of a catalogue.

    Warns
    -----
    CorticodeWarning
        For each finding: dropped or trimmed frames, a region without values.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from corticode.data.catalogue import read_catalogue
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.save(folder / "traces.npy", np.random.default_rng(0).normal(size=(90, 4)))
    >>> pd.DataFrame({"run": np.repeat([0, 1], 45)}).to_csv(folder / "wheel.csv", index=False)
    >>> row = {"animal": "m1", "session": "monday", "traces": "traces.npy",
    ...        "behavior": "wheel.csv", "frame_rate_hz": 30}
    >>> pd.DataFrame([row]).to_csv(folder / "sessions.csv", index=False)
    >>> session = open_session(read_catalogue(folder / "sessions.csv")[0])
    >>> session.traces.shape, session.behavior["run"].shape, session.frame_rate_hz
    ((90, 4), (90,), 30.0)
    """
    if not isinstance(recording, Recording):
        raise DataError(
            f"open_session was given {recording!r:.80}, which is no Recording; read them from a "
            "catalogue, as in open_session(read_catalogue('sessions.csv')[0])"
        )
    session = read_session(
        recording,
        signals=signals,
        trim_frames=trim_frames,
        resample_hz=resample_hz,
        regions=regions,
        on_frames=on_frames,
        trials=trials,
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
    on_frames: str | Mapping[str, str] | None = None,
    flips: Sequence[int] = (),
    trials: TrialTimes | None = None,
) -> Session:
    """What `open_session` returns, with its findings kept in the session and not warned of.

    Parameters, returns and raises are those of `open_session`; `flips` is that of `read_imaging`.
    """
    imaging, cut = read_imaging(recording, flips=flips)
    whole, first = imaging.pop("whole", None), imaging.pop("first", None)
    of_trials = () if trials is None else _columns_of_trials(recording, trials.column)
    behavior = _read_behavior(recording, signals, of_trials)
    frame_times, behavior_times = map(read_times, (recording.frame_times, recording.behavior_times))
    if behavior_times is None and recording.trials is not None and not behavior:
        behavior_times = frame_times  # of trials alone: no signal has to come onto frames
    files = FileArrays(recording, imaging, behavior, frame_times, behavior_times)
    if first is not None:
        files, shortened = _pairs_in_time(files, np.asarray(first), len(flips))
        cut += shortened
    aligned = align(files, trim_frames, on_frames)
    if resample_hz is not None:
        aligned = resample(aligned, resample_hz, recording.name, on_frames, recording.segment)
    odd = check_signals(aligned.behavior, recording.animal, recording.session)
    placed: dict[str, NDArray[np.generic]] = {}
    if trials is not None and of_trials:
        asked = None if signals is None else [name for name in signals if name in of_trials]
        clock = _frame_clock(files, aligned, resample_hz)
        placed, lost = trials_on_frames(recording, trials, clock, asked)
        odd += lost
    traces = aligned.arrays.get("traces")
    session = Session(
        recording.animal,
        recording.session,
        traces,
        _region_names(recording, traces, regions),
        {**aligned.behavior, **placed},
        aligned.segment,
        aligned.frame_rate_hz,
        aligned.arrays.get("movie"),
        (*cut, *aligned.findings, *odd),
        recording.history,
        aligned.arrays.get("reference"),
        aligned.placed,
        None if whole is None else ~np.asarray(whole[: aligned.segment.size], np.bool_),
        flips=tuple(flips),
    )
    return _without_empty_regions(session)


def _columns_of_trials(recording: Recording, event: str) -> tuple[str, ...]:
    """Columns of the table of trials; none where trials begin in a column of the behaviour file.

    Raises
    ------
    MissingDataError
        Neither has the column at which trials begin.
    """
    columns = columns_of_trials(recording)
    if not columns or event in columns:
        return columns
    signals = () if recording.behavior is None else list_signals(recording.behavior)
    if event in signals:
        return ()
    raise MissingDataError(
        f"session {recording.name}: neither its trials ({recording.trials}) nor its behaviour have "
        f"{event!r}, at which trials begin; the trials' columns are {', '.join(columns)}"
        f"{guess(event, [*columns, *signals])}"
    )


def _frame_clock(
    files: FileArrays, aligned: AlignedArrays, resample_hz: float | None
) -> FrameClock:
    """When the frames of a session were recorded, as many as are left of them."""
    rate_hz, ratio = files.recording.frame_rate_hz, 1.0
    times, n_frames = files.frame_times, aligned.segment.size
    if rate_hz is None and times is not None:
        rate_hz = 1 / frame_period(times)
    if resample_hz is not None and rate_hz is not None and not is_same_rate(rate_hz, resample_hz):
        ratio = rate_hz / resample_hz
    return FrameClock(n_frames, rate_hz, times, ratio)


def _pairs_in_time(
    files: FileArrays, first: NDArray[np.intp], n_flips: int
) -> tuple[FileArrays, list[Finding]]:
    """Files whose pairs of frames are in order again, with the times and behaviour that they have.

    A lost camera frame takes no time away: its pair keeps its place, so that behaviour, and times
    from the pulses of one wavelength, fit as they are. Times of every other frame of the file are
    half a pair late behind a lost frame; they are those of the frames that begin the pairs.
    Whoever counted pairs in the file has one less for a lost frame: the tail is cut to that.
    """
    times = files.frame_times
    if times is not None:
        given = times.size
    elif files.behavior:
        given = min(len(values) for values in files.behavior.values())
    else:
        return files, []
    n_less = first.size - given
    if not 0 < n_less <= n_flips:
        return files, []
    arrays = {name: array[:given] for name, array in files.arrays.items()}
    if times is not None:
        times = np.interp(first[:given], 2 * np.arange(given), times)
    pairs = "1 pair was" if n_less == 1 else f"{n_less} pairs were"
    what = "behaviour" if times is None else "frame_times"
    reason = f"{pairs} cut from the tail of the movie: {what} counted the pairs of its file"
    recording = files.recording
    finding = Finding("frames", reason, recording.animal, recording.session, count=n_less)
    return replace(files, arrays=arrays, frame_times=times), [finding]


def _read_behavior(
    recording: Recording, signals: Sequence[str] | None, of_trials: Sequence[str] = ()
) -> dict[str, NDArray[np.generic]]:
    """Signals of the behaviour file; those that its table of trials gives are not looked for."""
    location, segment = recording.behavior, recording.segment
    wanted = [name for name in signals or () if name not in of_trials]
    wanted += [segment] if segment is not None else []
    if location is None:
        if wanted:
            raise MissingDataError(
                f"session {recording.name} has no behaviour file, so "
                f"{', '.join(map(repr, wanted))} cannot be read; "
                "name one in the catalogue's column 'behavior'"
            )
        return {}
    if signals is not None:
        return {name: read_signal(location, name) for name in dict.fromkeys(wanted)}
    clocks = {str(recording.frame_times), str(recording.behavior_times)}
    within = f"{location}/" if location.dataset else f"{location}::"
    behavior = {
        name: read_signal(location, name)
        for name in list_signals(location)
        if within + name not in clocks
    }
    # A number that stands alone in the file, a frame rate say, is no signal.
    behavior = {name: values for name, values in behavior.items() if values.size != 1}
    # Nor is a clock of other samples, say of the frames before they were binned.
    times = read_times(recording.behavior_times)
    if times is not None:
        behavior = {
            name: values
            for name, values in behavior.items()
            if len(values) == times.size or not _is_clock(values)
        }
    if segment is not None and segment not in behavior:
        behavior[segment] = read_signal(location, segment)
    return behavior


def _is_clock(values: NDArray[np.generic]) -> bool:
    return values.dtype.kind in "iuf" and values.ndim == 1 and bool((np.diff(values) > 0).all())


def _region_names(
    recording: Recording, traces: NDArray[np.generic] | None, regions: Sequence[str] | None
) -> tuple[str, ...]:
    if traces is None:
        return ()
    n_regions = traces.shape[1]
    if recording.regions is not None:
        names, source = read_region_names(recording.regions), str(recording.regions)
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


def _without_empty_regions(session: Session) -> Session:
    """The session without regions that have no finite value, and a word on NaN frames."""
    if session.traces is None or session.traces.dtype.kind != "f":
        return session
    finite = np.isfinite(session.traces)
    kept = finite.any(axis=0)
    if not kept.any():
        raise DataError(
            f"session {session.name} has no finite value in any region; check the file of its "
            "traces, or take it out of the catalogue"
        )
    findings = [
        Finding(
            "region", "has no finite value and is left out", session.animal, session.session, name
        )
        for name, has_values in zip(session.regions, kept, strict=True)
        if not has_values
    ]
    n_invalid = int((~finite[:, kept].all(axis=1)).sum())
    if n_invalid:
        reason = f"{n_invalid} of {session.n_frames} frames have a region without a finite value"
        findings.append(
            Finding(
                "frames",
                f"{reason}; windows avoid them",
                session.animal,
                session.session,
                count=n_invalid,
            )
        )
    if not kept.all():
        names = tuple(name for name, is_kept in zip(session.regions, kept, strict=True) if is_kept)
        session = replace(session, traces=session.traces[:, kept], regions=names)
    return replace(session, findings=(*session.findings, *findings))
