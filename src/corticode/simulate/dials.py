"""The dials of a simulated cohort: what each scales, and which are on unless said otherwise."""

from collections.abc import Mapping
from difflib import get_close_matches

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
"""Features that are there unless switched off: 1 is typical."""

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
"""What is off, at 0, unless asked for."""

DIALS: Mapping[str, str] = {**TYPICAL, **SPECIAL}
"""What each dial scales."""

BEHAVIOR_DRIVEN = ("haemodynamics", "motion", "defocus", "heart", "breathing")
"""What follows behaviour without being neural."""

NEGATIVE_ALLOWED = ("lag_s",)
MOUSE_NUMBERS = ("only_mouse", "one_sided")
N_MICE = 5  # in a cohort of any size


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
            raise StudyError(f"there is no dial {name!r}; dials are {', '.join(DIALS)}{guess}")
        if not np.isfinite(value) or (value < 0 and name not in NEGATIVE_ALLOWED):
            raise StudyError(f"dial {name!r} is {value}; it must be 0 (off) or more (1: typical)")
        if name in MOUSE_NUMBERS and value not in range(N_MICE + 1):
            raise StudyError(
                f"dial {name!r} is {value:g}; it names a mouse: 1 to {N_MICE}, or 0: no such mouse"
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
