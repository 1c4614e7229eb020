"""Sessions that are decoded together: preprocessed and laid end to end."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corticode.data.clocks import is_same_rate
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.movies.normalised_movie import NormalisedMovie
from corticode.data.preprocess import Preprocessing, preprocess_traces
from corticode.data.session import Session
from corticode.data.signals import holds_numbers
from corticode.errors import DataError, Finding

NO_PREPROCESSING = Preprocessing(scale="none")


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
    run
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
    run: NDArray[np.int32]
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
    first_frame = first_frames(sessions)
    traces = np.empty((int(first_frame[-1]), len(regions)), dtype=np.float32)

    def put(k: int, prepared: NDArray[np.float32]) -> None:
        traces[first_frame[k] : first_frame[k + 1]] = prepared

    valid, found = prepare_each(sessions, regions, preprocessing, put)
    return lay_out(traces, valid, sessions, regions, preprocessing, findings + found)


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
    rate_hz = sessions[0].frame_rate_hz
    if not all(is_same_rate(session.frame_rate_hz, rate_hz) for session in sessions):
        shown = ", ".join(f"{s.name} {s.frame_rate_hz or 'unknown'}" for s in sessions[:6])
        raise DataError(f"frame rates differ ({shown}); bring all to one with [data] resample_hz")
    if preprocessing.detrend_frames:
        done = [session for session in sessions if "detrend" in session.history]
        if done:
            raise DataError(
                f"session {done[0].name} was detrended before it was read ({done[0].history}); "
                "leave detrend_frames out, or name the raw traces in the catalogue"
            )
    return shared_regions(sessions)


def first_frames(sessions: Iterable[Session]) -> NDArray[np.int64]:
    """Where each session begins and the last one ends, end to end, shape (session + 1,)."""
    return np.concatenate([[0], np.cumsum([session.n_frames for session in sessions])])


def prepare_each(
    sessions: Sequence[Session],
    regions: tuple[str, ...],
    preprocessing: Preprocessing,
    put: Callable[[int, NDArray[np.float32]], object],
) -> tuple[NDArray[np.bool_], list[Finding]]:
    """Which frames are valid, shape (frame,), and what was found while sessions were prepared.

    Parameters
    ----------
    sessions, regions, preprocessing
        What is prepared and how.
    put
        Is given each session's place and its traces, float32, shape (frame, region).

    Raises
    ------
    DataError
        No region varies in any session.
    """
    findings = []
    valid = []
    varies = np.zeros(len(regions), dtype=np.bool_)
    for k, session in enumerate(sessions):
        columns = [session.regions.index(name) for name in regions]
        recorded = np.asarray(session.traces)
        if columns != list(range(recorded.shape[1])):
            recorded = recorded[:, columns]
        prepared, flat = preprocess_traces(recorded, preprocessing)
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


def lay_out(
    traces: NDArray[np.float32],
    valid: NDArray[np.bool_],
    sessions: Sequence[Session],
    regions: tuple[str, ...],
    preprocessing: Preprocessing,
    findings: Sequence[Finding],
) -> PreparedSessions:
    """Sessions end to end, given their prepared traces and which of the frames are valid."""
    signals = set(sessions[0].behavior).intersection(*(s.behavior for s in sessions))
    runs: list[NDArray[np.int32]] = []
    for session in sessions:
        above = int(runs[-1][-1]) + 1 if runs else 0
        runs.append((session.segment - session.segment[0] + above).astype(np.int32))
    return PreparedSessions(
        traces,
        first_frames(sessions),
        tuple(session.animal for session in sessions),
        tuple(session.session for session in sessions),
        regions,
        np.concatenate(runs),
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
