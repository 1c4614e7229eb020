"""Sessions of simulated mice in memory, for notebooks, examples and tests; nothing is written."""

from collections.abc import Mapping

import numpy as np

from corticode.data.session import Session
from corticode.errors import StudyError
from corticode.simulate.cohort import TIMED
from corticode.simulate.dials import resolve_dials
from corticode.simulate.session import (
    FRAME_RATE_HZ,
    RUN_FRACTIONS,
    Mouse,
    simulate_mouse,
    simulate_session,
)

N_PIXELS = 64
FEWEST_SESSIONS = 3


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
            f"dial {timed[0]!r} needs files, which tell the times; use simulate_cohort, or leave "
            "it out"
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
