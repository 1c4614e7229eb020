"""Movies of sessions decoded together: their statistics kept, their pixels left on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.clocks import is_same_rate
from corticode.data.imaging import read_imaging
from corticode.data.movies.normalise import PixelPreprocessing, normalise_movie
from corticode.data.movies.normalised_movie import NormalisedMovie
from corticode.data.movies.statistics import (
    MovieStatistics,
    load_statistics,
    measure_movie,
    save_statistics,
)
from corticode.data.prepared import NO_PREPROCESSING, PreparedSessions, lay_out
from corticode.data.session import Session
from corticode.errors import DataError, Finding, RunError


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
    """

    recording: Recording
    path: Path
    key: str


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
    rate_hz = sessions[0].frame_rate_hz
    if not all(is_same_rate(session.frame_rate_hz, rate_hz) for session in sessions):
        shown = ", ".join(f"{s.name} {s.frame_rate_hz or 'unknown'}" for s in sessions[:6])
        raise DataError(f"frame rates of movies differ ({shown}); bring all to one rate")
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
        imaging, _ = read_imaging(replace(where.recording, traces=None))
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
    valid: NDArray[np.bool_] = np.ones(n_frames, np.bool_)
    if movies:
        valid = np.concatenate([movie.valid for movie in movies])
    bare = [replace(session, traces=None, regions=()) for session in sessions]
    traces = np.zeros((n_frames, 0), np.float32)
    prepared = lay_out(traces, valid, bare, (), NO_PREPROCESSING, findings)
    return replace(prepared, movies=tuple(movies), pixels=pixels, image_shape=shape)
