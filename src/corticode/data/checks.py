"""What is wrong with the sessions of a catalogue, all of it at once."""

import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.clocks import is_same_rate
from corticode.data.files import fingerprint, remember
from corticode.data.movies.alternation import Turns, find_turns, frame_pairs
from corticode.data.movies.frames import (
    CORRUPT,
    DARK,
    FROZEN,
    JUMP,
    KINDS,
    LEAST_FRAMES,
    ROBUST,
    SATURATED,
    FrameLooks,
    clipped_share,
    find_bad_frames,
    joined,
    listed_frames,
    look_at_frames,
    repeated_frames,
)
from corticode.data.session import Session, listed, read_movie_file, read_session
from corticode.data.trials import TrialTimes
from corticode.errors import (
    BAD,
    CorticodeError,
    DataError,
    Finding,
    MissingDataError,
    StudyError,
    numbered,
    some,
)

SHOWN_SESSIONS = 5
MOST_THREADS = 4
PARITY_SHARE = 0.01  # a heart beat that a camera catches in turns is weaker
PARITY_ACTIVITY = 0.7  # of one wavelength's frames as of both together: twice
WRAPPED = 16_384
MOST_CLIPPED = 0.5
EXTREME_SDS, MOST_EXTREMES = 50.0, 1e-4
BAD_FRAMES = ("report", "exclude")
# What was learnt of a movie is learnt anew whenever this changes.
EXAMINED = "frames 3"
WORDS = {
    DARK: "{frames} of the movie {are} dark, less than half as bright as the frames around",
    SATURATED: "{frames} of the movie {are} saturated",
    FROZEN: "{frames} of the movie {are} the same as the one before",
    CORRUPT: "{frames} of the movie {are} corrupt (another image, noise, 0 in a part, or moved "
    "by several pixels)",
    JUMP: "{frames} of the movie {are} brighter or darker than the one before by 10 % or more",
}


@dataclass(frozen=True)
class Examined:
    """What the pixels of a recording's movie say.

    Parameters
    ----------
    fault
        Why the movie cannot be used as the catalogue describes it; empty where it can.
    doubt
        Why the wavelengths that the catalogue names may not be there; empty where they are.
    flips
        Frames of its file at which two wavelengths in turn are exchanged.
    bad
        Frames of the session that cannot be used, by what is wrong with them.
    findings
        What looks odd beside: pixels at the camera's ceiling.
    """

    fault: str = ""
    doubt: str = ""
    flips: tuple[int, ...] = ()
    bad: Mapping[str, NDArray[np.intp]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def examine_movie(recording: Recording) -> Examined:
    """What the pixels of a recording's movie say, every frame of it, in one pass.

    It is remembered as long as the file is the same (`corticode.data.files`).

    Raises
    ------
    MissingDataError, DataError
        The movie cannot be read.
    """
    if recording.movie is None:
        return Examined()
    told = _learnt(recording, is_reference=False)
    turns = Turns(**told["turns"] | {"flips": tuple(told["turns"]["flips"])})
    parts = list(told["bad"])
    fault, flips = _turn_fault(recording, turns, told["n_frames"])
    if recording.movie_reference is not None:
        other = _learnt(recording, is_reference=True)
        fault = fault or _turn_fault(recording, Turns(**other["turns"]), other["n_frames"])[0]
        parts += other["bad"]
    bad: dict[str, NDArray[np.intp]] = {}
    for kind in KINDS:
        frames = sorted({frame for part in parts for frame in part.get(kind, ())})
        if frames:
            bad[kind] = np.array(frames, np.intp)
    findings = _clipped(recording, told["clipped"])
    fault = fault or told["fault"] or _clip_fault(told["clipped"])
    return Examined(fault, _doubt(recording, turns), flips, bad, findings)


def _learnt(recording: Recording, *, is_reference: bool) -> dict[str, Any]:
    """What one movie file says, as JSON keeps it."""
    location = recording.movie_reference if is_reference else recording.movie
    what = [EXAMINED, location.dataset if location else None, recording.movie_axes]
    what += [() if is_reference else recording.channels]

    def learn() -> dict[str, Any]:
        return _look(
            np.asarray(read_movie_file(recording, is_reference=is_reference)),
            () if is_reference else recording.channels,
        )

    try:
        found: dict[str, Any] = remember(location.path if location else Path(), str(what), learn)
    except FileNotFoundError as error:
        if isinstance(error, MissingDataError):
            raise
        raise MissingDataError(
            f"session {recording.name}: {location} does not exist; paths are relative to the "
            "catalogue"
        ) from error
    return found


def _look(movie: NDArray[Any], channels: Sequence[str]) -> dict[str, Any]:
    """What the frames of a movie file say: turns, and what is wrong with frames of each channel."""
    looks = look_at_frames(movie)
    turns = find_turns(looks.cells)
    lag = len(channels) if len(channels) > 1 else 1
    repeated = repeated_frames(movie, looks, 1)
    if lag > 1:
        repeated |= repeated_frames(movie, looks, lag)
    if lag == 1:
        parts = [find_bad_frames(looks, repeated)]
    else:
        doubled = [k for k in turns.flips if np.array_equal(movie[k], movie[k - 1])]
        pairs, _ = frame_pairs(len(movie), turns.flips if turns.are_clear else (), doubled)
        parts = [find_bad_frames(looks.where(column), repeated[column]) for column in pairs.T]
    return {
        "n_frames": len(movie),
        "turns": asdict(turns),
        "bad": [{kind: frames.tolist() for kind, frames in part.items()} for part in parts],
        "clipped": [clipped_share(looks), looks.top],
        "fault": _sign_fault(movie, looks),
    }


def _sign_fault(movie: NDArray[Any], looks: FrameLooks) -> str:
    """That counts above 32,767 were read as negative ones; empty where they were not."""
    if movie.dtype.kind != "i" or looks.lowest > -WRAPPED:
        return ""
    if float(np.median(looks.brightness)) >= 0 and looks.top < WRAPPED:
        return ""
    return (
        f"its values run from {looks.lowest:g} to {looks.top:g}, as where counts above 32,767 were "
        "written as signed 16-bit numbers and became negative; write the movie as unsigned 16-bit"
    )


def _clip_fault(told: tuple[float, float]) -> str:
    """That most pixels are saturated all the time; empty where they are not."""
    share, top = told
    if share <= MOST_CLIPPED:
        return ""
    return (
        f"{100 * share:.0f} % of its pixels stand at {top:g}, the highest value that the camera "
        "counts to, in most frames: it is overexposed, and nothing can be decoded from that; take "
        "the session out of the catalogue"
    )


def _clipped(recording: Recording, told: tuple[float, float]) -> tuple[Finding, ...]:
    share, top = told
    if not share or share > MOST_CLIPPED:
        return ()
    reason = (
        f"{100 * share:.2g} % of the movie's pixels stand at {top:g}, the highest value that the "
        "camera counts to, in most frames; what they do is lost"
    )
    return (Finding("session", reason, recording.animal, recording.session),)


def _turn_fault(recording: Recording, turns: Turns, n_frames: int) -> tuple[str, tuple[int, ...]]:
    """Why the frames do not come as the catalogue says, and where the turns break off."""
    if len(recording.channels) < 2:
        return in_turn_fault(turns), ()
    both = " and ".join(recording.channels)
    if turns.are_clear:
        return "", turns.flips
    if turns.split is not None:
        return (
            f"channels says that {both} take turns, but they do not: the first {turns.split:,} of "
            f"its {n_frames:,} frames are of one wavelength and the others of another; split the "
            "file into two, name them 'movie' and 'movie_reference', and leave channels blank"
        ), ()
    return "", ()


def _doubt(recording: Recording, turns: Turns) -> str:
    """That two wavelengths in turn could not be told from each other; empty where they could."""
    if len(recording.channels) < 2 or turns.are_clear or turns.split is not None:
        return ""
    both = " and ".join(recording.channels)
    if turns.are_alike:
        return (
            f"channels says that {both} take turns, but even and odd frames of the movie look "
            f"alike (their brightness differs by {100 * abs(turns.brightness):.1g} %): leave "
            "channels blank if it is of one wavelength"
        )
    if turns.are_steady or not turns.brightness:
        return ""
    return (
        f"whether {both} take turns all through the movie could not be seen: its even and odd "
        "frames differ too little"
    )


def in_turn_fault(turns: Turns) -> str:
    """That a movie of one wavelength looks like two in turn; empty where it does not."""
    apart = (
        abs(turns.brightness) > PARITY_SHARE,
        turns.pattern > PARITY_SHARE,
        abs(turns.activity) > PARITY_ACTIVITY,
    )
    if not turns.are_clear or not any(apart):
        return ""
    how = f"differ by {100 * abs(turns.brightness):.2g} %"
    if not apart[0]:
        how += f" in brightness and show another image (by {100 * turns.pattern:.2g} %)"
    return (
        f"even and odd frames of its movie {how}; it looks like two interleaved wavelengths: give "
        "channels = calcium,reference (or reference,calcium) in the catalogue, or split the file"
    )


def check_parity(movie: NDArray[Any], name: str) -> None:
    """Refuse a movie whose even and odd frames are of two brightnesses, as of two wavelengths.

    Every frame is looked at, see `corticode.data.movies.alternation.find_turns`. Bleaching, single
    bright frames and a heart beat at half the frame rate are no wavelengths.

    Parameters
    ----------
    movie
        (frame, row, column), of one wavelength as far as the catalogue says.
    name
        The session's, for the message.

    Raises
    ------
    DataError
        It looks like two interleaved wavelengths.

    Examples
    --------
    >>> frames = 100.0 + np.random.default_rng(0).normal(size=(100, 1, 1))
    >>> check_parity(frames, "m1/a")
    >>> frames[1::2] *= 0.6
    >>> check_parity(frames, "m1/a")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    corticode.errors.DataError: session m1/a: even and odd frames of its movie differ by 5... %; ...
    """
    fault = in_turn_fault(find_turns(look_at_frames(movie).cells))
    if fault:
        raise DataError(f"session {name}: {fault}")


def flip_fault(flips: Mapping[str, Sequence[int]], way_out: str) -> str:
    """That wavelengths are exchanged from a frame on, in each session; the way out."""
    together: dict[str, list[str]] = {}
    for name, frames in flips.items():
        word = "frame" if len(frames) == 1 else "frames"
        together.setdefault(f"{word} {listed(frames)}", []).append(name)
    places = [f"{where} of {some(names, SHOWN_SESSIONS)}" for where, names in together.items()]
    return (
        f"at {some(places, SHOWN_SESSIONS)}, counted from 0 in the movie's file, two frames of one "
        "wavelength follow each other, as where the camera lost a frame between them: from there "
        f"on each wavelength would be taken for the other. {way_out} leaves the broken pair out "
        "and puts those after it in order again"
    )


def check_choice(bad_frames: str) -> None:
    """Refuse what is no choice of what is done about bad frames.

    Raises
    ------
    StudyError
        It is neither ``"report"`` nor ``"exclude"``.
    """
    if bad_frames not in BAD_FRAMES:
        raise StudyError(f"bad_frames is {bad_frames!r}; it must be one of {', '.join(BAD_FRAMES)}")


def with_bad_frames(session: Session, found: Examined, bad_frames: str) -> Session:
    """A session with a word on frames that cannot be used, which are left out if that is asked for.

    Parameters
    ----------
    session
        As read.
    found
        What its movie says.
    bad_frames
        ``"report"`` or ``"exclude"``: no window holds such a frame of the movie and its statistics
        do not count it; of traces it becomes NaN.

    """
    check_choice(bad_frames)
    excludes = bad_frames == "exclude"
    findings = list(found.findings)
    if found.doubt:
        findings.append(Finding("session", found.doubt, session.animal, session.session))
    way_out = (
        "windows avoid {them}" if excludes else '[data] bad_frames = "exclude" leaves {them} out'
    )
    for kind, numbers in found.bad.items():
        frames = numbers[numbers < session.n_frames]
        if frames.size:
            findings.append(_bad_finding(session, WORDS[kind], frames, way_out))
    left_out = session.left_out
    if excludes and found.bad and session.movie is not None:
        bad = joined(found.bad, session.n_frames)
        left_out = bad if left_out is None else left_out | bad
    session = replace(session, left_out=left_out, findings=(*session.findings, *findings))
    return _with_extremes(session, way_out, excludes=excludes)


def _with_extremes(session: Session, way_out: str, *, excludes: bool) -> Session:
    """A session with a word on single extreme values of its traces, which become NaN or not."""
    traces = session.traces
    if traces is None:
        return session
    extreme = _extreme_values(traces)
    frames = np.flatnonzero(extreme.any(axis=1))
    if not frames.size:
        return session
    regions = [session.regions[k] for k in np.flatnonzero(extreme.any(axis=0))]
    what = (
        f"{{frames}} of the traces {{have}} a value beyond {EXTREME_SDS:g} robust SD in "
        f"{'region' if len(regions) == 1 else 'regions'} {some(regions, SHOWN_SESSIONS)}"
    )
    finding = _bad_finding(session, what, frames, way_out)
    session = replace(session, findings=(*session.findings, finding))
    if not excludes:
        return session
    traces = traces.astype(np.promote_types(traces.dtype, np.float32))
    traces[frames] = np.nan
    return replace(session, traces=traces, left_out_traces=tuple(frames.tolist()))


def _bad_finding(session: Session, what: str, frames: NDArray[np.intp], way_out: str) -> Finding:
    one = frames.size == 1
    said = what.format(
        frames="1 frame" if one else f"{frames.size:,} frames",
        have="has" if one else "have",
        are="is" if one else "are",
    )
    reason = f"{said} ({listed_frames(frames)}); {way_out.format(them='it' if one else 'them')}"
    return Finding(
        "frames", reason, session.animal, session.session, count=int(frames.size), code=BAD
    )


def _extreme_values(traces: NDArray[Any]) -> NDArray[np.bool_]:
    """Single values that lie far beyond all others of their region, (frame, region)."""
    if len(traces) < LEAST_FRAMES:
        return np.zeros(traces.shape, np.bool_)
    values = np.asarray(traces, np.float64)
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # regions without a value
        middle = np.nanmedian(values, axis=0)
        spread = ROBUST * np.nanmedian(np.abs(values - middle), axis=0)
        extreme = np.abs(values - middle) > EXTREME_SDS * spread
    extreme &= (spread > 0) & np.isfinite(values)
    # Where many are, that is how the signal is: sparse, or made of events.
    extreme &= extreme.sum(axis=0) <= max(3, MOST_EXTREMES * len(values))
    return np.asarray(extreme)


def examine_all(
    recordings: Sequence[Recording], *, resynchronise: bool = False
) -> dict[str, Examined]:
    """What the movies of all recordings say, by the recordings' names.

    Raises
    ------
    DataError, MissingDataError
        Lists every movie that cannot be used as the catalogue describes it; those of two
        wavelengths that lost a frame too, unless they are to be put in order again.
    """
    looked = _looked_at(recordings)
    faults = [
        str(found) if isinstance(found, CorticodeError) else f"session {name}: {found.fault}"
        for name, found in looked.items()
        if isinstance(found, CorticodeError) or found.fault
    ]
    examined = {name: found for name, found in looked.items() if isinstance(found, Examined)}
    flips = {name: found.flips for name, found in examined.items() if found.flips}
    if flips and not resynchronise:
        faults.append(
            flip_fault(flips, "resynchronise (--resynchronise of corticode extract and preprocess)")
        )
    if faults:
        raise DataError(list_faults("the movies have", faults))
    return {recording.name: examined.get(recording.name, Examined()) for recording in recordings}


def _looked_at(recordings: Sequence[Recording]) -> dict[str, Examined | CorticodeError]:
    """What the movies of each recording say, several looked at at a time."""

    def examined(recording: Recording) -> Examined | CorticodeError:
        try:
            # Its hash is asked for later on. Reading it now, from end to end, is quicker than
            # page by page as frames are looked at, and these are then still in memory.
            for location in (recording.movie, recording.movie_reference):
                if location is not None:
                    fingerprint(location.path)
            return examine_movie(recording)
        except CorticodeError as error:
            return error

    with_movies = [recording for recording in recordings if recording.movie is not None]
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        found = list(threads.map(examined, with_movies))
    return {one.name: told for one, told in zip(with_movies, found, strict=True)}


def read_all(  # noqa: PLR0913  what is read of each session, and what is looked for
    recordings: Sequence[Recording],
    *,
    signals: Sequence[str] | None = None,
    trim_frames: int = 0,
    resample_hz: float | None = None,
    regions: Sequence[str] | None = None,
    on_frames: Mapping[str, str] | None = None,
    examine: bool = True,
    resynchronise: bool = False,
    bad_frames: str = "report",
    trials: TrialTimes | None = None,
) -> list[Session]:
    """Every session of a catalogue; where some cannot be read, what is wrong with each of them.

    Parameters are those of `corticode.data.session.open_session`, and

    Parameters
    ----------
    examine
        Whether every frame of the movies is looked at, see `examine_movie`.
    resynchronise
        Where a movie of two wavelengths lost a frame: put the others in order again.
    bad_frames
        ``"report"`` frames that are dark, saturated, frozen, corrupt or jump in brightness, and
        extreme values of traces; or ``"exclude"`` them too.

    Raises
    ------
    StudyError
        `bad_frames` is no choice.
    DataError
        Lists every session that cannot be used as it is, movies whose frames are not of the
        wavelengths that the catalogue says, and unequal frame rates.
    """
    check_choice(bad_frames)
    sessions: list[Session] = []
    faults: dict[str, list[tuple[str, str]]] = {}
    flips: dict[str, tuple[int, ...]] = {}
    looked = _looked_at(recordings) if examine else {}
    for recording in recordings:
        try:
            found = looked.get(recording.name, Examined())
            if isinstance(found, CorticodeError):
                raise found
            if found.flips and not resynchronise:
                flips[recording.name] = found.flips
                continue
            if found.fault and len(recording.channels) > 1:
                # What it says of lengths would be advice for another fault.
                raise DataError(f"session {recording.name}: {found.fault}")
            session = _read_despite(
                found.doubt,
                recording,
                signals=signals,
                trim_frames=trim_frames,
                resample_hz=resample_hz,
                regions=regions,
                on_frames=on_frames,
                flips=found.flips if resynchronise else (),
                trials=trials,
            )
            sessions.append(with_bad_frames(session, found, bad_frames))
            if found.fault:
                raise DataError(f"session {recording.name}: {found.fault}")
        except CorticodeError as error:
            # Of one cause, or in the same words but for names.
            same = getattr(error, "cause", "") or _but_for_names(str(error), recording)
            alike = faults.setdefault(same, [])
            alike.append((str(error), recording.name))
    listed_faults = [
        first
        + (f" (the same in {some([name for _, name in others], SHOWN_SESSIONS)})" if others else "")
        for (first, _), *others in faults.values()
    ]
    if flips:
        listed_faults.append(flip_fault(flips, "[data] resynchronise = true"))
    listed_faults += _unequal_rates(sessions)
    if listed_faults:
        raise DataError(list_faults("the catalogue's sessions have", listed_faults))
    return sessions


def read_looked_at(
    recording: Recording,
    *,
    signals: Sequence[str] | None = None,
    on_frames: Mapping[str, str] | None = None,
    trials: TrialTimes | None = None,
) -> Session:
    """A session whose movie was looked at, in order again where it lost a frame; to be predicted.

    Frames that cannot be used are left out.

    Raises
    ------
    MissingDataError, DataError
        As `read_all`.
    """
    if recording.movie is None:
        return read_session(recording, signals=signals, on_frames=on_frames, trials=trials)
    found = examine_movie(recording)
    if found.fault:
        raise DataError(f"session {recording.name}: {found.fault}")
    session = read_session(
        recording, signals=signals, on_frames=on_frames, flips=found.flips, trials=trials
    )
    return with_bad_frames(session, found, "exclude")


def _read_despite(doubt: str, recording: Recording, **settings: Any) -> Session:
    """A session read; where it cannot be, what was doubted of its movie is part of the reason."""
    try:
        return read_session(recording, **settings)
    except DataError as error:
        if not doubt:
            raise
        raise DataError(f"{error}; {doubt}") from error


def _but_for_names(fault: str, recording: Recording) -> str:
    """A session's fault without what names the session: the same where others have it too."""
    for location in (recording.behavior, recording.traces, recording.movie):
        if location is not None:
            fault = fault.replace(str(location.path), "")
    return fault.replace(recording.name, "")


def list_faults(head: str, faults: Sequence[str]) -> str:
    """Faults as one message: a single one as it is, several numbered below a heading.

    Examples
    --------
    >>> print(list_faults("the file has", ["no name", "no date"]))
    the file has 2 faults:
      1. no name
      2. no date
    """
    if len(faults) == 1:
        return faults[0]
    return f"{head} {len(faults)} faults:\n{numbered(faults)}"


def _unequal_rates(sessions: Sequence[Session]) -> list[str]:
    by_rate: dict[float | None, list[str]] = {}
    for session in sessions:
        by_rate.setdefault(session.frame_rate_hz, []).append(session.name)
    if all(is_same_rate(rate, sessions[0].frame_rate_hz) for rate in by_rate):
        return []
    shown = ", ".join(
        f"{'unknown' if rate is None else f'{rate:g}'} in {len(names)} (first {names[0]})"
        for rate, names in by_rate.items()
    )
    known = [rate for rate in by_rate if rate is not None]
    if None in by_rate and all(is_same_rate(rate, known[0]) for rate in known):
        unknown = some(by_rate[None], SHOWN_SESSIONS)
        return [f"frame rates (Hz) differ: {shown}; fill in frame_rate_hz for {unknown}"]
    return [f"frame rates (Hz) differ: {shown}; bring all to one with [data] resample_hz"]
