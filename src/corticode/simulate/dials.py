"""The dials of a simulated cohort: what each scales, and which are on unless said otherwise."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources

import numpy as np

from corticode.errors import StudyError

TYPICAL: Mapping[str, str] = {
    "signal": "everything neural that follows behaviour: limb and arousal together",
    "limb": "small fast signals of the limb regions",
    "spread": "strides that spread in stretches to regions other than the limbs'",
    "grooming": "body movements at rest that are like those of running",
    "arousal": "large slow signals of motor, midline and retrosplenial cortex",
    "shared": "slow fluctuations that all regions share",
    "noise": "fluctuations of each region on its own",
    "drift": "slow drift of each region's baseline",
    "indicator": "rise and decay time of the calcium indicator; 2.5 is that of GCaMP6s",
    "haemodynamics": "blood that follows neurons and locomotion",
    "vasomotion": "blood that fluctuates at 0.05 to 0.15 Hz",
    "vessels": "how dark vessels are, and how much more blood they show",
    "leak": "calcium signal in the reference channel",
    "motion": "brain motion with running",
    "jitter": "brain motion at rest",
    "jumps": "rare shifts of one pixel",
    "defocus": "blur with running",
    "heart": "heart beat, faster in running",
    "breathing": "breathing, faster in running",
    "bleaching": "bleaching of the indicator",
    "warm_up": "light source warming up",
    "flicker": "light source flickering",
    "shot_noise": "noise of counting photons",
    "read_noise": "noise of reading the camera",
    "vignetting": "dimmer light towards the corners",
    "bad_pixels": "saturated and dead pixels",
    "mouse_gain": "how much the gain of arousal differs between mice",
    "mouse_position": "shift, rotation and scale between mice",
    "day_position": "shift between days",
    "out_of_view": "how far the fourth mouse's left edge is out of view",
    "day_trend": "trend of the run fraction over days",
    "encoder_noise": "noise of the wheel's encoder",
}
SPECIAL: Mapping[str, str] = {
    "only_mouse": "number of the one mouse with a signal; 0: all",
    "one_sided": "number of the mouse whose right hemisphere has no signal; 0: none",
    "lag_s": "seconds by which signals follow behaviour; negative: they lead it",
    "redundant": "all signal twice, in regions 6 and 31, and nowhere else",
    "nonlinear": "all signal in the product of regions 8 and 33, and nowhere else",
    "dropped_frames": "share of frames the camera lost, in units of 0.1 %",
    "missing_end": "1 to 3 frames missing at the end of the imaging",
    "clock_drift": "clocks of camera and wheel 10 to 100 ppm apart",
    "unplugged_wheel": "above 0: the wheel is unplugged in the third mouse's second session",
    "light_leak": "light leaking into the second mouse's second session",
    "interictal": "interictal-like events",
}
DIALS: Mapping[str, str] = {**TYPICAL, **SPECIAL}
BEHAVIOR_DRIVEN = ("haemodynamics", "motion", "defocus", "heart", "breathing")
NEGATIVE_ALLOWED = ("lag_s",)
MOUSE_NUMBERS = ("only_mouse", "one_sided")
N_MICE = 5  # in a cohort of any size


"""Features that are there unless switched off: 1 is typical."""


"""What is off, at 0, unless asked for."""


"""What each dial scales."""


"""What follows behaviour without being neural."""


def resolve_dials(dials: Mapping[str, float] | None) -> dict[str, float]:
    """Every dial's value: as given, else 1 for what is typical and 0 for what is special.

    Where the signal is switched off, or confined to two regions (`redundant`, `nonlinear`), what
    follows behaviour without being neural (blood, motion, defocus, heart, breathing) is off as
    well, unless its own dial is given: so ``signal=0`` alone leaves nothing to decode, and
    ``signal=0, motion=3`` leaves motion.

    Raises
    ------
    StudyError
        A name is unknown, or a value not a number, or negative where that has no meaning, or not
        the number of a mouse where one is named.

    Examples
    --------
    >>> resolve_dials({"limb": 0})["limb"], resolve_dials(None)["motion"]
    (0.0, 1.0)
    >>> resolve_dials({"signal": 0})["motion"], resolve_dials({"signal": 0, "motion": 3})["motion"]
    (0.0, 3.0)
    """
    given = dict(dials or {})
    values = dict.fromkeys(TYPICAL, 1.0) | dict.fromkeys(SPECIAL, 0.0)
    for name, value in given.items():
        if name not in DIALS:
            near = get_close_matches(name, DIALS, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            raise StudyError(
                f"there is no simulation parameter {name!r}{guess}; there are {', '.join(DIALS)}"
            )
        if not np.isfinite(value) or (value < 0 and name not in NEGATIVE_ALLOWED):
            raise StudyError(
                f"simulation parameter {name!r} is {value}; it must be 0 (off) or more (1: typical)"
            )
        if name in MOUSE_NUMBERS and value not in range(N_MICE + 1):
            raise StudyError(
                f"simulation parameter {name!r} is {value:g}; it names a mouse: 1 to "
                f"{N_MICE}, or 0: no such mouse"
            )
        values[name] = float(value)
    if values["signal"] == 0 or values["redundant"] or values["nonlinear"]:
        values |= {name: 0.0 for name in BEHAVIOR_DRIVEN if name not in given}
    return values


def dials_of_mouse(dials: Mapping[str, float], mouse: int) -> dict[str, float]:
    """The dials as they are for one mouse: nothing that follows behaviour, if it is another's.

    Parameters
    ----------
    dials
        A value for every dial, as `resolve_dials` gives.
    mouse
        Its number, from 1.

    Examples
    --------
    >>> dials = resolve_dials({"only_mouse": 2})
    >>> [dials_of_mouse(dials, mouse)["signal"] for mouse in (1, 2)]
    [0.0, 1.0]
    """
    if dials["only_mouse"] in (0, mouse):
        return dict(dials)
    return dict(dials) | dict.fromkeys(("signal", *BEHAVIOR_DRIVEN), 0.0)


@dataclass(frozen=True)
class CohortSize:
    """How much of each mouse is simulated.

    Parameters
    ----------
    n_sessions
        Number of sessions of each mouse.
    n_frames
        Frames a session.
    n_pixels
        Side of a movie's frames.
    has_movies
        Whether movies are written unless traces alone are asked for.
    """

    n_sessions: tuple[int, ...]
    n_frames: int
    n_pixels: int
    has_movies: bool


SIZES: Mapping[str, CohortSize] = {
    "tiny": CohortSize((3, 3, 3, 3, 3), 3_000, 64, has_movies=False),
    "small": CohortSize((4, 4, 4, 4, 4), 6_000, 64, has_movies=True),
    "study": CohortSize((11, 12, 14, 15, 12), 18_000, 128, has_movies=True),
    "grid": CohortSize((3, 3, 3, 3, 3), 1_000, 64, has_movies=False),
}


@cache
def published_sessions() -> Mapping[int, tuple[str, ...]]:
    """Ids of the study's 64 sessions by number of the mouse, in the order of days.

    References
    ----------
    Ajioka T, Nakai N, Yamashita O, Takumi T (2024), PLoS Comput Biol 20(3): e1011074,
    https://doi.org/10.1371/journal.pcbi.1011074

    Examples
    --------
    >>> {mouse: len(ids) for mouse, ids in published_sessions().items()}
    {1: 11, 2: 12, 3: 14, 4: 15, 5: 12}
    """
    text = resources.files("corticode.published").joinpath("sessions_64.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    mice = sorted({int(row["animal"]) for row in rows})
    return {m: tuple(row["session"] for row in rows if int(row["animal"]) == m) for m in mice}
