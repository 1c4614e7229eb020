"""Whole simulated cohorts, as files of the 2024 study or in memory, with the planted truth."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from corticode.data.catalogue import Recording, write_catalogue
from corticode.data.files import filling, holds_files, write_bytes, write_text
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.session import Session
from corticode.errors import DataError, StudyError
from corticode.simulate.cortex import (
    INDICATOR_DECAY_S,
    INDICATOR_RISE_S,
    LEADS_S,
    LIMB_REGIONS,
    SOURCES,
)
from corticode.simulate.dials import SIZES, CohortSize, published_sessions, resolve_dials
from corticode.simulate.ideal import (
    Decoder,
    ceiling,
    ideal_decoder,
    inner_frames,
    region_weights,
)
from corticode.simulate.movie import bad_pixels, movie_blocks, write_movie
from corticode.simulate.optics import (
    make_scene,
    region_centres,
    region_radius,
)
from corticode.simulate.session import (
    FRAME_RATE_HZ,
    RUN_FRACTIONS,
    Mouse,
    SimulatedSession,
    simulate_mouse,
    simulate_session,
    stream,
)

TRUTH = "truth.json"
TIMED = ("dropped_frames", "missing_end", "clock_drift")
N_PIXELS = 64
FEWEST_SESSIONS = 3


def is_simulated(recording: Recording) -> bool:
    """Whether a recording's files lie in a simulated cohort: ``truth.json`` beside or above them.

    Examples
    --------
    >>> is_simulated(Recording("m1", "a"))
    False
    """
    named = (recording.traces, recording.movie, recording.behavior)
    folders = {location.path.parent for location in named if location is not None}
    return any((one / TRUTH).is_file() for folder in folders for one in (folder, folder.parent))


def describe_session(name: str, mouse: Mouse, session: SimulatedSession, ideal: Decoder) -> Any:
    """What is true of one session: whose it is, how much it ran, how well it can be decoded."""
    is_running = session.behavior.is_running
    at = inner_frames(np.minimum(session.frames, is_running.size - 1))
    ideal_auc = ceiling(is_running[at], session.is_grooming[at], ideal(session.traces))
    return {
        "session": name,
        "animal": f"m{mouse.number}",
        "run_fraction": float(is_running.mean()),
        "n_frames": int(session.frames.size),
        "ideal_auc": _or_none(ideal_auc),
    }


def describe_cohort(
    size: str,
    extent: CohortSize,
    seed: int,
    dials: Mapping[str, float],
    mice: Sequence[Mouse],
    sessions: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What is true of a cohort, for ``truth.json``.

    Weights are those of each region's trace, in percent dF/F for a source at 1; leads are seconds
    by which arousal comes before running, to which the dial `lag_s` is added; footprints are the
    centres (row, column, in pixels of the movie, from 0) and radius of the pixels a trace is the
    mean of. ``ideal_auc`` is the `corticode.simulate.ideal.ceiling` of each session, averaged over
    an animal's sessions, then over animals: no decoder is above it.
    """
    animals = {
        f"m{mouse.number}": {
            "ideal_auc": _mean(
                s["ideal_auc"] for s in sessions if s["animal"] == f"m{mouse.number}"
            ),
            **_describe_mouse(mouse, extent.n_pixels),
        }
        for mouse in mice
    }
    return {
        "data": "simulated",
        "size": size,
        **asdict(extent),
        "seed": seed,
        "dials": dict(dials),
        "frame_rate_hz": FRAME_RATE_HZ,
        "limb_regions": list(LIMB_REGIONS),
        "arousal_leads_running_s": dict(LEADS_S),
        "lag_s": dials["lag_s"],
        "indicator_s": {
            "rise": INDICATOR_RISE_S * dials["indicator"],
            "decay": INDICATOR_DECAY_S * dials["indicator"],
        },
        "ideal_auc": _mean(animal["ideal_auc"] for animal in animals.values()),
        "animals": animals,
        "sessions": list(sessions),
    }


def _describe_mouse(mouse: Mouse, n_pixels: int) -> dict[str, Any]:
    pose = mouse.anatomy.pose
    weights = region_weights(mouse, make_scene(mouse.anatomy, pose, n_pixels, mouse.dials))
    return {
        "weights": {s: _rounded(row) for s, row in zip(SOURCES, weights, strict=True)},
        "footprints": {
            "centres": _rounded(region_centres(pose, n_pixels)),
            "radius": region_radius(n_pixels),
        },
        "pose": asdict(pose),
        "run_shift_pixels_of_128": _rounded(mouse.dials["motion"] * mouse.run_shift),
        "noise_percent": round(mouse.noise, 4),
    }


def _rounded(values: NDArray[np.float64]) -> Any:
    return np.round(values, 4).tolist()


def _mean(values: Iterable[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return float(np.mean(told)) if told else None


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return value if np.isfinite(value) else None


"""Mishaps after which frames and behaviour need times to be brought together."""


@dataclass(frozen=True)
class _Request:
    """What is written, and where."""

    folder: Path
    size: str
    seed: int
    dials: Mapping[str, float]
    has_movies: bool
    reference_channel: bool

    @property
    def extent(self) -> CohortSize:
        return SIZES[self.size]

    @property
    def label(self) -> str:
        n_sessions = self.extent.n_sessions
        return f"{sum(n_sessions)}_{len(n_sessions)}mice"

    @property
    def is_timed(self) -> bool:
        return any(self.dials[name] for name in TIMED)


def simulate_cohort(
    destination: Path,
    *,
    size: str = "tiny",
    seed: int = 0,
    dials: Mapping[str, float] | None = None,
    traces_only: bool | None = None,
    reference_channel: bool = False,
) -> Path:
    """A folder with a simulated cohort: the files of the 2024 study, and ``truth.json``.

    The folder holds ``data_<n>_5mice.csv`` (which session is whose), behaviour, traces and, where
    movies are written, ``data_of_image_<n>_5mice/{id}.tif``. ``truth.json`` tells what was
    planted, see `corticode.simulate.cohort.describe_cohort`. The same size, seed and dials
    give the same arrays, with movies or without. Where a movie interleaves a reference channel, or
    frames and behaviour need times to be brought together, ``sessions.csv`` is a catalogue that
    says so and spares the import.

    Parameters
    ----------
    destination
        A folder that does not exist or is empty.
    size
        ``"tiny"``: 5 mice of 3 sessions of 3,000 frames at 30 Hz, 50 regions; ``"small"``: of 4
        sessions of 6,000 frames, movies of 64 x 64 pixels; ``"study"``: the published 64 sessions
        of 18,000 frames, 128 x 128 pixels, 38 GB; ``"grid"``: of 3 sessions of 1,000 frames, to
        try out many fits.
    seed
        Source of all randomness.
    dials
        What to scale, by name: 1 is typical, 0 switches off; see
        `corticode.simulate.dials.DIALS`.
    traces_only
        Whether movies are left out; None leaves them out at sizes tiny and grid.
    reference_channel
        Each frame of a movie is followed by one at 405 nm, which shows blood and motion and
        hardly any calcium.

    Returns
    -------
    Path
        The destination.

    Raises
    ------
    DataError
        The destination holds something already.
    StudyError
        The size or a dial is unknown, the seed is negative, or a reference channel is asked for
        without movies.
    RunError
        The files cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = simulate_cohort(Path(tempfile.mkdtemp()) / "cohort", size="grid")
    >>> sorted(path.name for path in folder.iterdir())[:2]
    ['data_15_5mice.csv', 'data_of_behavior_15_5mice']
    """
    if size not in SIZES:
        raise StudyError(f"there is no size {size!r}; sizes are {', '.join(SIZES)}")
    if seed < 0:
        raise StudyError(f"seed is {seed}; it must be 0 or more")
    has_movies = SIZES[size].has_movies if traces_only is None else not traces_only
    if traces_only is None and reference_channel:
        has_movies = True
    if reference_channel and not has_movies:
        raise StudyError("a reference channel is part of a movie; do not ask for traces only")
    values = resolve_dials(dials)
    check_destination(destination)
    with filling(destination, "free some space or choose another folder") as staging:
        _write_cohort(_Request(staging, size, seed, values, has_movies, reference_channel))
    return destination


def check_destination(destination: Path) -> None:
    """Refuse, with a `DataError`, a folder that holds something."""
    if holds_files(destination):
        raise DataError(
            f"{destination} exists and is not an empty folder; "
            "name a folder that does not exist yet, or empty this one"
        )


def _write_cohort(request: _Request) -> None:
    extent, seed = request.extent, request.seed
    mice, truths, recordings = [], [], []
    for number, n_sessions in enumerate(extent.n_sessions, start=1):
        mouse = simulate_mouse(number, n_sessions, seed, request.dials)
        ideal = ideal_decoder(mouse, seed, extent.n_pixels)
        mice.append(mouse)
        for k, name in enumerate(published_sessions()[number][:n_sessions]):
            session = simulate_session(mouse, k, extent.n_frames, extent.n_pixels, seed)
            recordings.append(_write_session(request, mouse, k, name, session))
            truths.append(describe_session(name, mouse, session, ideal))
    truths.sort(key=lambda truth: str(truth["session"]))
    rows = [f"{truth['session']},{truth['animal'][1:]}" for truth in truths]
    table = request.folder / f"data_{request.label}.csv"
    write_text(table, "\n".join(["Data_ID,Mouse_#", *rows]) + "\n")
    if request.is_timed or request.reference_channel:
        write_catalogue(request.folder / "sessions.csv", recordings)
    truth = describe_cohort(request.size, extent, seed, request.dials, mice, truths)
    write_text(request.folder / "truth.json", json.dumps(truth, indent=1) + "\n")


def _write_session(
    request: _Request, mouse: Mouse, number: int, name: str, session: SimulatedSession
) -> Recording:
    """Write one session's files; what a catalogue says of them."""
    label, folder = request.label, request.folder
    behavior_path = folder / f"data_of_behavior_{label}" / f"{name}_behavior.mat"
    traces_path = folder / f"data_of_traces_{label}" / f"{name}.mat"
    movie_path = folder / f"data_of_image_{label}" / f"{name}.tif"
    behavior = {
        "runrest": session.behavior.is_running.astype(np.float64)[None],
        "speed_rs": session.behavior.speed_cm_per_s[None],
    }
    if request.is_timed:
        behavior["frame_times"] = session.frames[None] / FRAME_RATE_HZ
        behavior["behavior_times"] = session.behavior_times[None]
    _write_mat(behavior_path, behavior)
    _write_mat(traces_path, {"dat_roi": session.traces.T})
    if request.has_movies:
        _write_movie(request, mouse, number, movie_path, session)

    def times(dataset: str) -> ArrayLocation | None:
        return ArrayLocation(behavior_path, dataset) if request.is_timed else None

    return Recording(
        f"m{mouse.number}",
        name,
        behavior=ArrayLocation(behavior_path),
        traces=ArrayLocation(traces_path, "dat_roi"),
        movie=ArrayLocation(movie_path) if request.has_movies else None,
        frame_rate_hz=FRAME_RATE_HZ,
        frame_times=times("frame_times"),
        behavior_times=times("behavior_times"),
        traces_axes=("region", "time"),
        channels=("calcium", "reference") if request.reference_channel else (),
    )


def _write_movie(
    request: _Request, mouse: Mouse, number: int, path: Path, session: SimulatedSession
) -> None:
    n_side = request.extent.n_pixels
    n_bad = mouse.dials["bad_pixels"]
    blocks = movie_blocks(
        stream(request.seed, mouse.number, 10, number),
        session.physiology,
        session.scene,
        mouse.dials,
        bad=bad_pixels(stream(request.seed, mouse.number, 11), n_side, n_bad),
        reference_channel=request.reference_channel,
    )
    n_pages = session.frames.size * (2 if request.reference_channel else 1)
    write_movie(path, blocks, (n_pages, n_side, n_side))


def _write_mat(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    savemat(cast(Any, buffer), dict(arrays), do_compression=True)
    content = buffer.getvalue()
    # The header's text holds the time of writing; without it the same seed gives the same bytes.
    write_bytes(path, b"MATLAB 5.0 MAT-file, simulated".ljust(116) + content[116:])


def simulate_sessions(
    n_frames: int = 3000,
    n_sessions: int = 3,
    *,
    n_mice: int = len(RUN_FRACTIONS),
    seed: int = 0,
    dials: Mapping[str, float] | None = None,
) -> list[Session]:
    """Sessions of simulated mice: traces of 50 regions at 30 Hz, running and speed.

    The mice are those that `corticode.simulate.cohort.simulate_cohort` writes for the same
    seed, dials and lengths.

    Parameters
    ----------
    n_frames, n_sessions
        Frames a session, 1,000 or more; sessions a mouse, three or more.
    n_mice
        How many, at most five.
    seed
        Source of all randomness.
    dials
        What to scale, by name: 1 is typical, 0 switches off; see
        `corticode.simulate.dials.DIALS`.

    Returns
    -------
    list of Session
        Mouse by mouse, in the order of days. Behaviour ``runrest`` is 0 or 1, ``speed_rs`` in cm/s.

    Raises
    ------
    StudyError
        Too many mice, too few sessions, an unknown dial, or one that loses frames or sets clocks
        apart.

    Examples
    --------
    >>> sessions = simulate_sessions(1000, n_mice=2)
    >>> [session.name for session in sessions[2:4]], sessions[0].traces.shape
    (['m1/day 3', 'm2/day 1'], (1000, 50))
    """
    if not 1 <= n_mice <= len(RUN_FRACTIONS):
        raise StudyError(f"{n_mice} mice; 1 to {len(RUN_FRACTIONS)} can be simulated")
    if n_sessions < FEWEST_SESSIONS:
        raise StudyError(
            f"{n_sessions} sessions a mouse; at least {FEWEST_SESSIONS} are needed, over which the "
            "share of running trends"
        )
    values = resolve_dials(dials)
    timed = [name for name in TIMED if values[name]]
    if timed:
        raise StudyError(
            f"simulation parameter {timed[0]!r} needs files, which tell the times; use "
            "simulate_cohort, or leave it out"
        )
    mice = [simulate_mouse(number + 1, n_sessions, seed, values) for number in range(n_mice)]
    return [_session(mouse, day, n_frames, seed) for mouse in mice for day in range(n_sessions)]


def _session(mouse: Mouse, day: int, n_frames: int, seed: int) -> Session:
    simulated = simulate_session(mouse, day, n_frames, N_PIXELS, seed)
    behavior = simulated.behavior
    return Session(
        f"m{mouse.number}",
        f"day {day + 1}",
        simulated.traces,
        tuple(str(k + 1) for k in range(simulated.traces.shape[1])),
        {
            "runrest": behavior.is_running.astype(np.float64),
            "speed_rs": behavior.speed_cm_per_s,
        },
        np.zeros(n_frames, np.int32),
        FRAME_RATE_HZ,
        history="simulated",
    )
