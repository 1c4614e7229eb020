"""A user's own study without any signal: her sessions, her behaviour, and traces made of noise.

Whatever a pipeline finds there it has made up itself.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from corticode.data.catalogue import Recording, write_catalogue
from corticode.data.files import write_text, write_with
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.session import Session
from corticode.errors import DataError, StudyError
from corticode.simulate.cohort import TRUTH, check_destination

DEFAULT_RATE_HZ = 30.0
SHARED_S = (0.4, 4.0, 30.0, 60.0)
OWN_S = (0.1, 0.4, 60.0)
N_SHARED = 4
SEGMENT = "segment"


def simulate_like(sessions: Sequence[Session], destination: Path, seed: int = 0) -> Path:
    """A catalogue with the user's sessions, whose traces have nothing to do with behaviour.

    Lengths, frame rates, gaps, behaviour and region names are those of the sessions given. Traces
    are slow and quick fluctuations (0.1 to 60 s) that regions share in part, of the scale of dF/F
    in percent; each session's are drawn on their own, whatever was recorded.

    Parameters
    ----------
    sessions
        What `corticode.data.session.read_session` gave for each recording.
    destination
        A folder that does not exist or is empty.
    seed
        The same seed gives the same traces.

    Returns
    -------
    Path
        The catalogue, ``sessions.csv`` in the destination.

    Raises
    ------
    DataError
        The destination holds something already, there are no sessions, or one has no traces.
    StudyError
        The seed is negative.
    RunError
        The files cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from corticode.data.catalogue import read_catalogue
    >>> traces, running = np.zeros((90, 2)), np.repeat([0.0, 1.0], 45)
    >>> session = Session("m1", "a", traces, ("M1", "V1"), {"run": running}, np.zeros(90, np.int32))
    >>> path = simulate_like([session], Path(tempfile.mkdtemp()) / "like")
    >>> read_catalogue(path)[0].name
    'm1/a'
    """
    if seed < 0:
        raise StudyError(f"seed is {seed}; it must be 0 or more")
    if not sessions:
        raise DataError("there are no sessions to simulate the like of; give at least one")
    for session in sessions:
        if session.traces is None:
            raise DataError(
                f"session {session.name} has no region traces; only traces can be simulated like "
                "a study's, so extract them from its movie first"
            )
    check_destination(destination)
    recordings = [
        _write_session(session, destination, k, np.random.default_rng([seed, k]))
        for k, session in enumerate(sessions)
    ]
    path = destination / "sessions.csv"
    write_catalogue(path, recordings)
    # By this file a report knows that what it shows is simulated.
    write_text(destination / TRUTH, json.dumps({"signal": "none was planted"}) + "\n")
    return path


def adapt_study(study: Mapping[str, Any], regions: str | None = None) -> dict[str, Any]:
    """The content of a study file that decodes what `simulate_like` wrote instead.

    Parameters
    ----------
    study
        As TOML reads it.
    regions
        The region table's path as seen from the new study file, if it has one.

    Returns
    -------
    dict
        Its catalogue is ``sessions.csv`` beside it. Lengths and frame rates were brought into
        line already, so nothing is trimmed or resampled again.

    Examples
    --------
    >>> adapt_study({"data": {"catalogue": "../sessions.csv", "trim_frames": 2}})
    {'data': {'catalogue': 'sessions.csv'}}
    """
    done = ("catalogue", "regions", "trim_frames", "resample_hz")
    data = {name: value for name, value in study["data"].items() if name not in done}
    data["catalogue"] = "sessions.csv"
    if regions is not None:
        data["regions"] = regions
    return {**study, "data": data}


def simulate_noise_traces(
    rng: np.random.Generator, n_frames: int, n_regions: int, frame_rate_hz: float
) -> NDArray[np.float32]:
    """Traces with the autocorrelation and shared structure of cortex and no signal.

    Returns
    -------
    NDArray
        float32, shape (frame, region), percent.
    """
    spread = rng.standard_normal((N_SHARED, n_regions)) * 0.4
    spread[0] += 1.5
    shared = sum(_fluctuate(rng, n_frames, N_SHARED, s * frame_rate_hz) for s in SHARED_S)
    own = sum(_fluctuate(rng, n_frames, n_regions, s * frame_rate_hz) for s in OWN_S)
    noise = rng.standard_normal((n_frames, n_regions))
    return np.asarray(0.5 * shared @ spread + 0.5 * own + 0.5 * noise, dtype=np.float32)


def _fluctuate(
    rng: np.random.Generator, n_frames: int, n_traces: int, decay_frames: float
) -> NDArray[np.float64]:
    """Fluctuations of unit SD that forget themselves over `decay_frames`; (frame, trace)."""
    keep = np.exp(-1 / decay_frames)
    steps = np.sqrt(1 - keep**2) * rng.standard_normal((n_frames, n_traces))
    start = keep * rng.standard_normal((1, n_traces))
    fluctuations, _ = lfilter([1.0], [1.0, -keep], steps, axis=0, zi=start)
    return np.asarray(fluctuations)


def _write_session(
    session: Session, destination: Path, number: int, rng: np.random.Generator
) -> Recording:
    rate_hz = session.frame_rate_hz or DEFAULT_RATE_HZ
    traces = simulate_noise_traces(rng, session.n_frames, len(session.regions), rate_hz)
    traces_path = destination / "traces" / f"{number + 1:03}.npy"
    write_with(traces_path, lambda file: np.save(file, traces))
    behavior, segment = dict(session.behavior), None
    if np.ptp(session.segment) > 0:
        segment = SEGMENT if SEGMENT not in behavior else f"{SEGMENT}_of_frames"
        behavior[segment] = session.segment
    behavior_path = destination / "behavior" / f"{number + 1:03}.csv"
    write_text(behavior_path, _to_csv(behavior))
    regions_path = destination / "regions" / f"{number + 1:03}.txt"
    write_text(regions_path, "\n".join(session.regions) + "\n")
    return Recording(
        session.animal,
        session.session,
        behavior=ArrayLocation(behavior_path) if behavior else None,
        traces=ArrayLocation(traces_path),
        frame_rate_hz=session.frame_rate_hz,
        regions=regions_path,
        segment=segment,
    )


def _to_csv(columns: Mapping[str, NDArray[Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_cells(values) for values in columns.values()), strict=True))
    return text.getvalue()


def _cells(values: NDArray[Any]) -> list[Any]:
    """Values as they are written: whole numbers without a point, what is not finite left blank."""
    if values.dtype.kind != "f":
        return list(values.astype(int) if values.dtype.kind == "b" else values)
    return [f"{value:.9g}" if np.isfinite(value) else "" for value in values.tolist()]
