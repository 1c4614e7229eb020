"""Whole simulated cohorts, in the files of the 2024 study, with the planted truth beside them."""

import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from corticode.data.files import write_bytes, write_text
from corticode.data.synthetic.activity import (
    INDICATOR_DECAY_S,
    INDICATOR_RISE_S,
    LEADS_S,
    LIMB_REGIONS,
    SOURCES,
    Mouse,
    make_mouse,
    resolve_dials,
    simulate_sources,
    simulate_traces,
)
from corticode.data.synthetic.behavior import (
    SimulatedBehavior,
    session_run_fraction,
    simulate_behavior,
)
from corticode.data.synthetic.ideal import fit_ideal_filter, score_ideal_filter
from corticode.errors import DataError, RunError, StudyError

FRAME_RATE_HZ = 30.0
RUN_FRACTIONS = (0.36, 0.66, 0.65, 0.58, 0.80)
SUFFIXES = ("LR", "non", "R", "L", "non")
"""As in the study, `non` is two mice: a session's id does not tell its mouse."""
FIRST_DAYS = ("2018-01-25", "2018-01-25", "2018-01-25", "2018-03-21", "2018-03-21")
LONG_DRAW_FRAMES = 24_000


@dataclass(frozen=True)
class CohortSize:
    """How much of each mouse is simulated.

    Parameters
    ----------
    n_sessions
        Number of sessions of each mouse.
    n_frames
        Frames a session.
    """

    n_sessions: tuple[int, ...]
    n_frames: int


SIZES: Mapping[str, CohortSize] = {"tiny": CohortSize((3, 3, 3, 3, 3), 3_000)}


@dataclass(frozen=True)
class SimulatedSession:
    """One simulated session.

    Parameters
    ----------
    session
        Its id, in the study's style.
    mouse
        Number of the mouse, from 1.
    behavior
        What the mouse did.
    traces
        float32, shape (frame, region), dF/F in percent.
    """

    session: str
    mouse: int
    behavior: SimulatedBehavior
    traces: NDArray[np.float32]


def simulate_cohort(
    destination: Path,
    *,
    size: str = "tiny",
    seed: int = 0,
    dials: Mapping[str, float] | None = None,
) -> Path:
    """A folder with a simulated cohort: the files of the 2024 study, and ``truth.json``.

    The folder holds ``data_<n>_5mice.csv`` (which session is whose), behaviour and traces as one
    MAT file a session, and the planted truth: weights, leads, dials, run fractions and
    ``ideal_auc``, what `corticode.data.synthetic.ideal.fit_ideal_filter` scores in each session,
    averaged over the sessions of an animal, then over animals. The same size, seed and dials give
    the same bytes; a session's arrays do not depend on how many others there are.

    Parameters
    ----------
    destination
        A folder that does not exist or is empty.
    size
        ``"tiny"``: 5 mice of 3 sessions of 3,000 frames at 30 Hz, 50 regions.
    seed
        Source of all randomness.
    dials
        What to scale, by name: 1 is typical, 0 switches off; see
        `corticode.data.synthetic.activity.DIALS`.

    Returns
    -------
    Path
        The destination.

    Raises
    ------
    DataError
        The destination holds something already.
    StudyError
        The size or a dial is unknown, or the seed is negative.
    RunError
        The files cannot be written.

    Examples
    --------
    >>> folder = simulate_cohort(Path(tempfile.mkdtemp()) / "cohort")
    >>> sorted(path.name for path in folder.iterdir())[:2]
    ['data_15_5mice.csv', 'data_of_behavior_15_5mice']
    """
    if size not in SIZES:
        raise StudyError(f"there is no size {size!r}; sizes are {', '.join(SIZES)}")
    if seed < 0:
        raise StudyError(f"seed is {seed}; it must be 0 or more")
    values = resolve_dials(dials)
    _check_destination(destination)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
        try:
            _write_cohort(staging, size, seed, values)
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


def simulate_mouse(mouse: int, seed: int, dials: Mapping[str, float]) -> Mouse:
    """The cortex of mouse number `mouse` (from 1) of the cohort that `seed` gives."""
    return make_mouse(_stream(seed, mouse, 0), dials)


def simulate_session(
    mouse: int, session: int, n_frames: int, seed: int, dials: Mapping[str, float]
) -> SimulatedSession:
    """Session number `session` (from 0) of mouse number `mouse` (from 1).

    Examples
    --------
    >>> simulated = simulate_session(2, 0, 3000, 0, resolve_dials(None))
    >>> simulated.session, simulated.traces.shape
    ('20180125_Emx1G6_non_1', (3000, 50))
    """
    fraction = session_run_fraction(_stream(seed, mouse, 1), RUN_FRACTIONS[mouse - 1], session)
    behavior = simulate_behavior(
        _stream(seed, mouse, 2, session), n_frames, FRAME_RATE_HZ, fraction
    )
    cortex = simulate_mouse(mouse, seed, dials)
    traces = _simulate_activity(_stream(seed, mouse, 3, session), cortex, behavior)
    day = np.datetime64(FIRST_DAYS[mouse - 1]) + session
    name = f"{str(day).replace('-', '')}_Emx1G6_{SUFFIXES[mouse - 1]}_1"
    return SimulatedSession(name, mouse, behavior, traces)


def _simulate_activity(
    rng: np.random.Generator, mouse: Mouse, behavior: SimulatedBehavior
) -> NDArray[np.float32]:
    sources = simulate_sources(rng, behavior, FRAME_RATE_HZ)
    return simulate_traces(rng, mouse, sources, FRAME_RATE_HZ)


def _ideal_filter(mouse: int, seed: int, cortex: Mouse) -> NDArray[np.float64]:
    """The filter that knows the generator, from frames that are in no session."""
    behavior = simulate_behavior(
        _stream(seed, mouse, 4), LONG_DRAW_FRAMES, FRAME_RATE_HZ, RUN_FRACTIONS[mouse - 1]
    )
    traces = _simulate_activity(_stream(seed, mouse, 5), cortex, behavior)
    return fit_ideal_filter(traces, behavior.is_running, cortex)


def _stream(seed: int, *place: int) -> np.random.Generator:
    """Random numbers of one mouse, stage and session, whatever else is simulated."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


def _write_cohort(folder: Path, size: str, seed: int, dials: Mapping[str, float]) -> None:
    extent = SIZES[size]
    label = f"{sum(extent.n_sessions)}_{len(extent.n_sessions)}mice"
    truths: list[dict[str, Any]] = []
    for mouse, n_sessions in enumerate(extent.n_sessions, start=1):
        cortex = simulate_mouse(mouse, seed, dials)
        weights = _ideal_filter(mouse, seed, cortex)
        for k in range(n_sessions):
            session = simulate_session(mouse, k, extent.n_frames, seed, dials)
            _write_session(folder, label, session)
            is_running = session.behavior.is_running
            truths.append(
                {
                    "session": session.session,
                    "animal": f"m{mouse}",
                    "run_fraction": float(is_running.mean()),
                    "ideal_auc": score_ideal_filter(weights, session.traces, is_running, cortex),
                }
            )
    truths.sort(key=lambda truth: truth["session"])
    rows = [f"{truth['session']},{truth['animal'][1:]}" for truth in truths]
    write_text(folder / f"data_{label}.csv", "\n".join(["Data_ID,Mouse_#", *rows]) + "\n")
    truth = _describe_truth(size, seed, dials, truths)
    write_text(folder / "truth.json", json.dumps(truth, indent=1) + "\n")


def _write_session(folder: Path, label: str, session: SimulatedSession) -> None:
    behavior = {
        "runrest": session.behavior.is_running.astype(np.float64)[None],
        "speed_rs": session.behavior.speed_cm_per_s[None],
    }
    name = session.session
    _write_mat(folder / f"data_of_behavior_{label}" / f"{name}_behavior.mat", behavior)
    _write_mat(folder / f"data_of_traces_{label}" / f"{name}.mat", {"dat_roi": session.traces.T})


def _write_mat(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    savemat(cast(Any, buffer), dict(arrays), do_compression=True)
    content = buffer.getvalue()
    # The header's text holds the time of writing; without it the same seed gives the same bytes.
    write_bytes(path, b"MATLAB 5.0 MAT-file, simulated".ljust(116) + content[116:])


def _describe_truth(
    size: str, seed: int, dials: Mapping[str, float], sessions: list[dict[str, Any]]
) -> dict[str, Any]:
    animals: dict[str, dict[str, Any]] = {
        f"m{mouse}": {
            "ideal_auc": _mean(
                truth["ideal_auc"] for truth in sessions if truth["animal"] == f"m{mouse}"
            ),
            "weights": _by_source(simulate_mouse(mouse, seed, dials).weights),
        }
        for mouse in range(1, len(SIZES[size].n_sessions) + 1)
    }
    return {
        "data": "simulated",
        "size": size,
        **asdict(SIZES[size]),
        "seed": seed,
        "dials": dict(dials),
        "frame_rate_hz": FRAME_RATE_HZ,
        "limb_regions": list(LIMB_REGIONS),
        "arousal_leads_running_s": dict(LEADS_S),
        "indicator_s": {"rise": INDICATOR_RISE_S, "decay": INDICATOR_DECAY_S},
        "ideal_auc": _mean(animal["ideal_auc"] for animal in animals.values()),
        "animals": animals,
        "sessions": sessions,
    }


def _by_source(weights: NDArray[np.float64]) -> dict[str, list[float]]:
    return {source: np.round(row, 4).tolist() for source, row in zip(SOURCES, weights, strict=True)}


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
