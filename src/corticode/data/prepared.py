"""Sessions that are decoded together: preprocessed, laid end to end, and kept on disk."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.clocks import is_same_rate
from corticode.data.files import altered, hashes_of, write_text, write_with, writing
from corticode.data.movies.normalise import NormalisedMovie, PixelPreprocessing, normalise_movie
from corticode.data.movies.statistics import (
    MovieStatistics,
    load_statistics,
    measure_movie,
    save_statistics,
)
from corticode.data.preprocess import Preprocessing, preprocess_traces
from corticode.data.readers.lookup import LIBRARY_ERRORS, spelling
from corticode.data.session import Session, read_imaging
from corticode.data.signals import holds_numbers
from corticode.errors import DataError, Finding, RunError

NO_PREPROCESSING = Preprocessing(scale="none")
# Arrays that are kept, and the files they are kept in.
ARRAYS = {"traces": "traces", "first_frame": "first_frame", "segment": "run", "valid": "valid"}


@dataclass(frozen=True)
class PreparedSessions:
    """Sessions that share their regions, preprocessed and laid end to end.

    Parameters
    ----------
    traces
        float32, shape (frame, region), all sessions one after the other.
    first_frame
        Where each session begins and the last one ends, shape (session + 1,).
    animals, sessions
        Names, one a session.
    regions
        Region names.
    segment
        Shape (frame,); changes at each session's start and at each gap in time.
    valid
        Shape (frame,); False where a region has no finite value.
    behavior
        Signals by name, shape (frame,).
    preprocessing
        What was done to the traces.
    frame_rate_hz
        Frames per second, or None.
    findings
        What was left out or looks odd.
    left_out_regions
        Regions that some sessions have and others lack.
    movies
        One a session, where movies are decoded; `traces` then hold no region.
    pixels
        What is done to the movies when their frames are read.
    image_shape
        Rows and columns of the movies' frames.
    """

    traces: NDArray[np.float32]
    first_frame: NDArray[np.int64]
    animals: tuple[str, ...]
    sessions: tuple[str, ...]
    regions: tuple[str, ...]
    segment: NDArray[np.int32]
    valid: NDArray[np.bool_]
    behavior: Mapping[str, NDArray[np.generic]]
    preprocessing: Preprocessing
    frame_rate_hz: float | None
    findings: tuple[Finding, ...] = ()
    left_out_regions: tuple[str, ...] = ()
    movies: tuple[NormalisedMovie, ...] = ()
    pixels: PixelPreprocessing | None = None
    image_shape: tuple[int, int] | None = None

    @property
    def n_sessions(self) -> int:
        """Number of sessions."""
        return len(self.sessions)

    def rows(self, k: int) -> slice:
        """Where session `k` stands in the arrays."""
        return slice(int(self.first_frame[k]), int(self.first_frame[k + 1]))


def shared_regions(sessions: Sequence[Session]) -> tuple[tuple[str, ...], list[Finding]]:
    """The regions that every session has, in the first one's order, and what is left out.

    Raises
    ------
    DataError
        No region is common to all.
    """
    everywhere = set(sessions[0].regions)
    for session in sessions[1:]:
        everywhere &= set(session.regions)
    names = list(dict.fromkeys(name for session in sessions for name in session.regions))
    _refuse_alike_regions([name for name in names if name not in everywhere], sessions)
    findings = []
    for name in names:
        if name not in everywhere:
            lacking = [session for session in sessions if name not in session.regions]
            animals = sorted({session.animal for session in lacking})
            findings.append(
                Finding(
                    "region",
                    f"is missing in {len(lacking)} of {len(sessions)} sessions "
                    f"({', '.join(animals)}) and left out of all that are decoded together",
                    animal=animals[0] if len(animals) == 1 else "",
                    item=name,
                    count=len(lacking),
                )
            )
    kept = tuple(name for name in sessions[0].regions if name in everywhere)
    if not kept:
        counts = ", ".join(f"{s.name}: {len(s.regions)}" for s in sessions[:5])
        raise DataError(
            f"no region is common to all {len(sessions)} sessions ({counts}); give them the same "
            "names, or decode within animals with [folds] by = 'block'"
        )
    return kept, findings


def _refuse_alike_regions(left_out: Sequence[str], sessions: Sequence[Session]) -> None:
    """Refuse one region whose name is written in two ways: it would be left out of all sessions.

    Raises
    ------
    DataError
        There is one.
    """
    first: dict[str, tuple[str, Session]] = {}
    for session in sessions:
        for name in session.regions:
            if name not in left_out:
                continue
            known, other = first.setdefault(spelling(name), (name, session))
            if known != name and known not in session.regions:
                raise DataError(
                    f"region {known!r} of session {other.name} is {name!r} in session "
                    f"{session.name}: they differ in case, blanks, '_', '-' or leading zeros "
                    "alone, and would both be left out; write a region's name in one way"
                )


def prepare_sessions(
    sessions: Sequence[Session], preprocessing: Preprocessing = NO_PREPROCESSING
) -> PreparedSessions:
    """Sessions preprocessed and laid end to end in memory.

    Raises
    ------
    DataError
        Frame rates differ, no region is shared or none varies, or traces that were detrended
        before they were read would be detrended again.
    """
    regions, findings = check_together(sessions, preprocessing)
    first_frame = _first_frames(sessions)
    traces = np.empty((int(first_frame[-1]), len(regions)), dtype=np.float32)

    def put(k: int, prepared: NDArray[np.float32]) -> None:
        traces[first_frame[k] : first_frame[k + 1]] = prepared

    valid, found = _prepare_each(sessions, regions, preprocessing, put)
    return lay_end_to_end(traces, valid, sessions, regions, preprocessing, findings + found)


def _check_rates(sessions: Sequence[Session], what: str, way_out: str) -> None:
    rate_hz = sessions[0].frame_rate_hz
    if not all(is_same_rate(session.frame_rate_hz, rate_hz) for session in sessions):
        shown = ", ".join(f"{s.name} {s.frame_rate_hz or 'unknown'}" for s in sessions[:6])
        raise DataError(f"{what} differ ({shown}); {way_out}")


def check_together(
    sessions: Sequence[Session], preprocessing: Preprocessing
) -> tuple[tuple[str, ...], list[Finding]]:
    """The regions that sessions to be decoded together share, and what is left out.

    Raises
    ------
    DataError
        As `prepare_sessions`.
    """
    if not sessions:
        raise DataError("no sessions were given; at least one is needed")
    without = [session.name for session in sessions if session.traces is None]
    if without:
        raise DataError(
            f"session {without[0]} has no traces; name them in the catalogue's column 'traces', "
            "make them from its movie with 'corticode extract', or decode movies: input = 'movie'"
        )
    _check_rates(sessions, "frame rates", "bring all to one with [data] resample_hz")
    if preprocessing.detrend_frames:
        done = [session for session in sessions if "detrend" in session.history]
        if done:
            raise DataError(
                f"session {done[0].name} was detrended before it was read ({done[0].history}); "
                "leave detrend_frames out, or name the raw traces in the catalogue"
            )
    return shared_regions(sessions)


def _first_frames(sessions: Iterable[Session]) -> NDArray[np.int64]:
    """Where each session begins and the last one ends, end to end, shape (session + 1,)."""
    return np.concatenate([[0], np.cumsum([session.n_frames for session in sessions])])


def _prepare_each(
    sessions: Sequence[Session],
    regions: tuple[str, ...],
    preprocessing: Preprocessing,
    put: Callable[[int, NDArray[np.float32]], object],
) -> tuple[NDArray[np.bool_], list[Finding]]:
    """Which frames are valid, shape (frame,), and what was found while sessions were prepared."""
    findings = []
    valid = []
    varies = np.zeros(len(regions), dtype=np.bool_)
    for k, session in enumerate(sessions):
        columns = [session.regions.index(name) for name in regions]
        recorded = np.asarray(session.traces)
        if columns != list(range(recorded.shape[1])):
            recorded = recorded[:, columns]
        prepared, flat = preprocess_traces(recorded, preprocessing, session.segment)
        put(k, prepared)
        valid.append(np.isfinite(prepared).all(axis=1))
        varies |= ~flat
        findings += [
            Finding("region", "is flat and enters as 0", session.animal, session.session, name)
            for name, is_flat in zip(regions, flat, strict=True)
            if is_flat
        ]
    if not varies.any():
        raise DataError(
            f"no region varies in any of the {len(sessions)} sessions; check that the catalogue's "
            "traces hold fluorescence and traces_axes are right"
        )
    return np.concatenate(valid), findings


def lay_end_to_end(
    traces: NDArray[np.float32],
    valid: NDArray[np.bool_],
    sessions: Sequence[Session],
    regions: tuple[str, ...],
    preprocessing: Preprocessing,
    findings: Sequence[Finding],
) -> PreparedSessions:
    """Sessions end to end, given their prepared traces and which of the frames are valid."""
    signals = set(sessions[0].behavior).intersection(*(s.behavior for s in sessions))
    segments: list[NDArray[np.int32]] = []
    for session in sessions:
        above = int(segments[-1][-1]) + 1 if segments else 0
        segments.append((session.segment - session.segment[0] + above).astype(np.int32))
    return PreparedSessions(
        traces,
        _first_frames(sessions),
        tuple(session.animal for session in sessions),
        tuple(session.session for session in sessions),
        regions,
        np.concatenate(segments),
        valid,
        {name: _join_signal(name, sessions) for name in sorted(signals)},
        preprocessing,
        sessions[0].frame_rate_hz,
        (*(finding for session in sessions for finding in session.findings), *findings),
        tuple(dict.fromkeys(n for s in sessions for n in s.regions if n not in regions)),
    )


def _join_signal(name: str, sessions: Sequence[Session]) -> NDArray[np.generic]:
    """One signal of all sessions, end to end."""
    holding = {holds_numbers(session.behavior[name]): session.name for session in sessions}
    if len(holding) > 1:
        raise DataError(
            f"signal {name!r} holds numbers in session {holding[True]} and text in session "
            f"{holding[False]}; write it the same way in all behaviour files"
        )
    return np.concatenate([session.behavior[name] for session in sessions])


def store_sessions(
    folder: Path, sessions: Sequence[Session], preprocessing: Preprocessing, key: str
) -> None:
    """Write prepared sessions to a folder, ``prepared.json`` last: it is whole or absent.

    Raises
    ------
    DataError
        As `prepare_sessions`.
    RunError
        The disk is full or cannot be written.
    """
    regions, findings = check_together(sessions, preprocessing)
    n_frames = int(_first_frames(sessions)[-1])
    with writing(folder / "traces.npy") as file:
        # Written, not memory-mapped: on a full disk a mapped page kills the process.
        _write_header(file, (n_frames, len(regions)))
        valid, found = _prepare_each(
            sessions,
            regions,
            preprocessing,
            lambda _, traces: file.write(np.ascontiguousarray(traces).data),
        )
        # What described the old arrays must not stand beside the new ones.
        (folder / "prepared.json").unlink(missing_ok=True)
    traces = np.load(folder / "traces.npy", mmap_mode="r", allow_pickle=False)
    prepared = lay_end_to_end(traces, valid, sessions, regions, preprocessing, findings + found)
    _store_frames(folder, prepared, key)


def store_movies(folder: Path, prepared: PreparedSessions, key: str) -> None:
    """Write what `prepare_movies` gave, but for the movies themselves.

    Raises
    ------
    RunError
        The disk is full or cannot be written.
    """
    with writing(folder / "traces.npy") as file:
        _write_header(file, prepared.traces.shape)
        (folder / "prepared.json").unlink(missing_ok=True)
    _store_frames(folder, prepared, key)


def _store_frames(folder: Path, prepared: PreparedSessions, key: str) -> None:
    """Write all that there is beside the traces, the description last."""
    signals = sorted(prepared.behavior)
    arrays: dict[str, NDArray[np.generic]] = {
        f"behavior-{k}": prepared.behavior[signal] for k, signal in enumerate(signals)
    }
    arrays |= {
        ARRAYS[name]: getattr(prepared, name) for name in ("first_frame", "segment", "valid")
    }
    for name, array in arrays.items():
        write_with(folder / f"{name}.npy", partial(np.save, arr=array, allow_pickle=False))
    description = {
        "key": key,
        "files": hashes_of(folder, [f"{name}.npy" for name in ("traces", *arrays)]),
        "animals": prepared.animals,
        "sessions": prepared.sessions,
        "regions": prepared.regions,
        "left_out_regions": prepared.left_out_regions,
        "signals": signals,
        "preprocessing": asdict(prepared.preprocessing),
        "pixels": None if prepared.pixels is None else asdict(prepared.pixels),
        "image_shape": prepared.image_shape,
        "frame_rate_hz": prepared.frame_rate_hz,
        "findings": [asdict(finding) for finding in prepared.findings],
    }
    write_text(folder / "prepared.json", json.dumps(description, indent=1))


def is_stored(folder: Path, key: str) -> bool:
    """Whether `folder` holds prepared sessions, whole, made from the same files in the same way."""
    try:
        if json.loads((folder / "prepared.json").read_text("utf-8"))["key"] != key:
            return False
        load_sessions(folder)
        return True
    except LIBRARY_ERRORS:
        return False


def load_sessions(folder: Path) -> PreparedSessions:
    """Prepared sessions from disk, their arrays memory-mapped.

    Raises
    ------
    RunError
        The folder is damaged; the message says what to delete.
    """
    try:
        described = json.loads((folder / "prepared.json").read_text("utf-8"))
        # Empty in runs of older versions, which recorded none.
        if names := altered(folder, described.get("files", {})):
            raise ValueError(f"missing, or not as written: {', '.join(names)}")
        arrays = {
            name: np.load(folder / f"{file}.npy", mmap_mode="r", allow_pickle=False)
            for name, file in ARRAYS.items()
        }
        behavior = {
            signal: np.load(folder / f"behavior-{k}.npy", mmap_mode="r", allow_pickle=False)
            for k, signal in enumerate(described["signals"])
        }
        pixels, shape = described["pixels"], described["image_shape"]
        prepared = PreparedSessions(
            animals=tuple(described["animals"]),
            sessions=tuple(described["sessions"]),
            regions=tuple(described["regions"]),
            left_out_regions=tuple(described["left_out_regions"]),
            behavior=behavior,
            preprocessing=Preprocessing(**described["preprocessing"]),
            frame_rate_hz=described["frame_rate_hz"],
            findings=tuple(Finding(**finding) for finding in described["findings"]),
            pixels=None if pixels is None else PixelPreprocessing(**pixels),
            image_shape=None if shape is None else (int(shape[0]), int(shape[1])),
            **arrays,
        )
        _check_sizes(prepared)
    except LIBRARY_ERRORS as error:
        raise RunError(
            f"prepared sessions in {folder} cannot be read ({error}); delete the folder and run "
            "the same command again"
        ) from error
    return prepared


def _check_sizes(prepared: PreparedSessions) -> None:
    n_frames, n_regions = int(prepared.first_frame[-1]), len(prepared.regions)
    frames = [prepared.segment, prepared.valid, *prepared.behavior.values()]
    if prepared.traces.shape != (n_frames, n_regions) or any(
        array.shape != (n_frames,) for array in frames
    ):
        raise ValueError(f"its arrays do not all hold {n_frames} frames and {n_regions} regions")
    if not len(prepared.animals) == prepared.n_sessions == prepared.first_frame.size - 1:
        raise ValueError(f"it does not hold {prepared.n_sessions} sessions")


def _write_header(file: IO[bytes], shape: tuple[int, int]) -> None:
    descr = dtype_to_descr(np.dtype(np.float32))
    write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})


@dataclass(frozen=True)
class StoredStatistics:
    """Where the statistics of a session's movie are kept.

    Parameters
    ----------
    recording
        The files of the session.
    path
        Where the statistics are kept.
    key
        Hash of what the files hold: statistics with another key are taken again.
    flips
        Frames of the movie's file at which wavelengths are put in order again.
    """

    recording: Recording
    path: Path
    key: str
    flips: tuple[int, ...] = ()


def check_movies(sessions: Sequence[Session], pixels: PixelPreprocessing) -> tuple[int, int]:
    """Rows and columns of the movies' frames, which can be decoded together.

    Raises
    ------
    DataError
        A session has no movie, or no reference channel where one is asked for; frames differ in
        size, or frame rates do.
    """
    if not sessions:
        raise DataError("no sessions were given; at least one is needed")
    without = [session.name for session in sessions if session.movie is None]
    if without:
        raise DataError(
            f"session {without[0]} has no movie; name it in the catalogue's column 'movie'"
        )
    shapes = {
        session.name: session.movie.shape[1:] for session in sessions if session.movie is not None
    }
    if len(set(shapes.values())) > 1:
        shown = ", ".join(f"{name} {r} x {c}" for name, (r, c) in list(shapes.items())[:6])
        raise DataError(
            f"movies have frames of different sizes ({shown}); bring all to one size, or decode "
            "within animals with [folds] by = 'block'"
        )
    _check_rates(sessions, "frame rates of movies", "bring all to one rate")
    lacking = [session.name for session in sessions if session.reference is None]
    if pixels.correction == "reference-regression" and lacking:
        raise DataError(
            f"session {lacking[0]} has no reference channel; give channels = 'calcium,reference' "
            "or movie_reference in the catalogue, or correction = 'none' or 'done-elsewhere'"
        )
    shape = shapes[sessions[0].name]
    return int(shape[0]), int(shape[1])


def prepare_movies(
    sessions: Sequence[Session],
    pixels: PixelPreprocessing,
    stored: Sequence[StoredStatistics] | None = None,
) -> PreparedSessions:
    """Sessions whose movies are decoded: their movies normalised when read, behaviour end to end.

    Parameters
    ----------
    sessions
        Sessions with movies of one size.
    pixels
        What is done to the movies.
    stored
        Where statistics are kept, one a session; None takes them anew and keeps them nowhere.

    Raises
    ------
    DataError
        As `check_movies`, or no pixel of a movie ever changes.
    RunError
        The disk is full or cannot be written.
    """
    shape = check_movies(sessions, pixels)
    movies, findings = [], []
    for k, session in enumerate(sessions):
        where = None if stored is None else stored[k]
        statistics, found = _statistics(session, pixels, where)
        findings += found
        movie, found = _normalised(session, pixels, statistics)
        findings += found
        movies.append(movie)
    return _laid_out(sessions, movies, pixels, shape, findings)


def stand_in_movies(sessions: Sequence[Session], pixels: PixelPreprocessing) -> PreparedSessions:
    """Sessions as from `prepare_movies`, without their movies, none of which is read.

    What can go wrong before a run is looked for in these.
    """
    shape = check_movies(sessions, pixels)
    return _laid_out(sessions, [], pixels, shape, [])


def attach_movies(
    prepared: PreparedSessions, stored: Sequence[StoredStatistics]
) -> PreparedSessions:
    """Stored sessions with their movies, opened again.

    Raises
    ------
    RunError
        The statistics of a movie are gone or are those of other content.
    """
    if prepared.pixels is None:
        return prepared
    movies = []
    for k, where in enumerate(stored):
        rows = prepared.rows(k)
        statistics = load_statistics(where.path, where.key)
        if statistics is None:
            raise RunError(
                f"the statistics of a movie in {where.path} are gone or of other content; run the "
                "same command again"
            )
        imaging, _ = read_imaging(replace(where.recording, traces=None), flips=where.flips)
        session = Session(
            where.recording.animal,
            where.recording.session,
            None,
            (),
            {},
            np.zeros(rows.stop - rows.start, np.int32),
            movie=imaging["movie"][: rows.stop - rows.start],
            reference=imaging["reference"][: rows.stop - rows.start]
            if "reference" in imaging
            else None,
        )
        movies.append(_normalised(session, prepared.pixels, statistics)[0])
    return replace(prepared, movies=tuple(movies))


def _statistics(
    session: Session, pixels: PixelPreprocessing, where: StoredStatistics | None
) -> tuple[MovieStatistics, list[Finding]]:
    """Statistics of a session's movie, as kept or taken now, and a word on those that were old."""
    if where is not None:
        statistics = load_statistics(where.path, where.key)
        if statistics is not None:
            return statistics, []
    was_there = where is not None and where.path.exists()
    corrects = pixels.correction == "reference-regression"
    try:
        statistics = measure_movie(
            np.asarray(session.movie),
            np.asarray(session.reference) if corrects else None,
            lowpass_frames=pixels.lowpass_frames,
            causal=pixels.causal,
            frame_rate_hz=session.frame_rate_hz,
            detrend_frames=pixels.detrend_frames,
            left_out=session.left_out,
        )
    except DataError as error:
        raise DataError(f"session {session.name}: {error}") from error
    if where is not None:
        save_statistics(where.path, statistics, where.key)
    if not was_there:
        return statistics, []
    reason = "its files changed since statistics of the movie were taken; they were taken again"
    return statistics, [Finding("session", reason, session.animal, session.session)]


def _normalised(
    session: Session, pixels: PixelPreprocessing, statistics: MovieStatistics
) -> tuple[NormalisedMovie, list[Finding]]:
    try:
        movie, reasons = normalise_movie(
            np.asarray(session.movie),
            None if session.reference is None else np.asarray(session.reference),
            statistics,
            pixels,
        )
    except DataError as error:
        raise DataError(f"session {session.name}: {error}") from error
    return movie, [replace(r, animal=session.animal, session=session.session) for r in reasons]


def _laid_out(
    sessions: Sequence[Session],
    movies: Sequence[NormalisedMovie],
    pixels: PixelPreprocessing,
    shape: tuple[int, int],
    findings: Sequence[Finding],
) -> PreparedSessions:
    n_frames = sum(session.n_frames for session in sessions)
    if movies:
        valid = np.concatenate([movie.valid for movie in movies])
    else:
        masks = [
            np.zeros(s.n_frames, np.bool_) if s.left_out is None else s.left_out for s in sessions
        ]
        valid = ~np.concatenate(masks)
    bare = [replace(session, traces=None, regions=()) for session in sessions]
    traces = np.zeros((n_frames, 0), np.float32)
    prepared = lay_end_to_end(traces, valid, bare, (), NO_PREPROCESSING, findings)
    return replace(prepared, movies=tuple(movies), pixels=pixels, image_shape=shape)
