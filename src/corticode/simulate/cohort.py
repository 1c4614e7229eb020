"""Whole simulated cohorts, in the files of the 2024 study, with the planted truth beside them."""

import io
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from corticode.data.catalogue import Recording, write_catalogue
from corticode.data.files import write_bytes, write_text
from corticode.data.readers.arrays import ArrayLocation
from corticode.errors import DataError, RunError, StudyError
from corticode.simulate.dials import resolve_dials
from corticode.simulate.ideal import ideal_decoder
from corticode.simulate.movie import bad_pixels, movie_blocks, write_movie
from corticode.simulate.session import (
    FRAME_RATE_HZ,
    Mouse,
    SimulatedSession,
    simulate_mouse,
    simulate_session,
    stream,
)
from corticode.simulate.sizes import SIZES, CohortSize, published_sessions
from corticode.simulate.truth import describe_cohort, describe_session

TIMED = ("dropped_frames", "missing_end", "clock_drift")
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
    planted, see `corticode.simulate.truth.describe_cohort`. The same size, seed and dials
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
    _check_destination(destination)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
        try:
            _write_cohort(_Request(staging, size, seed, values, has_movies, reference_channel))
            staging.chmod(0o755)
            if destination.exists():
                destination.rmdir()
            staging.rename(destination)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise RunError(
            f"cannot write {destination}: {error.strerror or error}; "
            "free some space or choose another folder"
        ) from error
    return destination


def _check_destination(destination: Path) -> None:
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
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
