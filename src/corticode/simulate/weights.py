"""How strongly each source drives each of the 50 regions, and how simulated mice differ in it."""

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from corticode.data.layouts.study2024 import read_published_regions

LIMB_REGIONS = (6, 8, 31, 33)
REDUNDANT_REGIONS = (6, 31)
PRODUCT_REGIONS = (8, 33)
GROOMING_PER_MINUTE = 0.75
LEADS_S = {"arousal, motor": 1.5, "arousal, midline": 1.0, "arousal, elsewhere": 0.5}
LIMBS = ("limb, left", "limb, right")
SPREAD = ("spread, neighbours", "spread, motor", "spread, elsewhere")
SHARED = ("shared, whole cortex", "shared, front to back", "shared, middle to side")
PRODUCT = ("product, first", "product, second")
SOURCES = (*LIMBS, *SPREAD, *LEADS_S, *SHARED, "redundant", *PRODUCT)
"""What drives the regions, in the order of the axis `source`."""

_LIMB_PERCENT = {6: 1.3, 8: 1.5, 31: 1.3, 33: 1.5}
_NEIGHBOURS = (7, 9, 32, 34)
_SPREAD_PERCENT = 1.0
_AROUSAL_PERCENT = {
    **dict.fromkeys((1, 2, 26, 27, 13, 38, 17, 42), 5.8),
    **dict.fromkeys((3, 4, 28, 29, 16, 41), 3.8),
    **dict.fromkeys((11, 25, 36, 50), 2.4),
    **dict.fromkeys(LIMB_REGIONS, 1.1),
}
_AROUSAL_ELSEWHERE_PERCENT = 4.7
_SHARED_PERCENT = 2.7
_PRIVATE_PERCENT = 1.0
_PRIVATE_SPREAD = 0.15  # of the logarithm, between mice
_GROOMING_SPREAD = 0.5
_PLANTED_PERCENT = 3.0


@cache
def typical_weights() -> NDArray[np.float64]:
    """How strongly each source drives each region of a typical mouse, in percent dF/F.

    The limb regions 6, 8, 31 and 33 follow the limbs of their side, strides included; in stretches
    of time the strides spread to their neighbours, to motor cortex and, seldom, to the rest, left
    and right with opposite signs. Motor, midline and retrosplenial regions follow arousal most; the
    whole cortex shares slow fluctuations. The sources of the dials `redundant` and `nonlinear` come
    last.

    Returns
    -------
    NDArray
        Shape (source, region), sources as in `SOURCES`.

    Examples
    --------
    >>> typical_weights().shape
    (14, 50)
    """
    regions = read_published_regions()
    numbers = np.arange(1, len(regions.names) + 1)
    sides = np.array(regions.sides)
    motor = np.array(["M2&M1" in groups for groups in regions.groups])
    midline = np.isin(numbers, (13, 38))
    rows, columns = np.array(regions.rows), np.array(regions.columns)
    to_back = (rows - rows.mean()) / rows.std()
    to_side = np.abs(columns - 64)
    to_side = (to_side - to_side.mean()) / to_side.std()
    limb = np.array([_LIMB_PERCENT.get(k, 0.0) for k in numbers.tolist()])
    neighbour = np.isin(numbers, _NEIGHBOURS)
    # Left and right limbs stride in turn.
    spread = _SPREAD_PERCENT * np.where(sides == "left", 1.0, -1.0)
    arousal = np.array(
        [_AROUSAL_PERCENT.get(k, _AROUSAL_ELSEWHERE_PERCENT) for k in numbers.tolist()]
    )
    weights = np.stack(
        [
            limb * (sides == "left"),
            limb * (sides == "right"),
            spread * neighbour,
            spread * motor,
            spread * ~(neighbour | motor | (limb > 0)),
            arousal * motor,
            arousal * midline,
            arousal * ~(motor | midline),
            _SHARED_PERCENT * (1 + 0.12 * np.sin(2.4 * numbers)),
            0.4 * to_back,
            0.4 * to_side,
            _PLANTED_PERCENT * np.isin(numbers, REDUNDANT_REGIONS),
            _PLANTED_PERCENT * (numbers == PRODUCT_REGIONS[0]),
            _PLANTED_PERCENT * (numbers == PRODUCT_REGIONS[1]),
        ]
    )
    weights.flags.writeable = False
    return weights


def make_weights(
    rng: np.random.Generator, dials: Mapping[str, float], *, one_sided: bool = False
) -> NDArray[np.float64]:
    """One mouse's weights: the typical ones, with its own gain of arousal.

    Parameters
    ----------
    rng
        Source of all randomness.
    dials
        A value for every dial, those of this mouse.
    one_sided
        The right hemisphere has no signal.

    Returns
    -------
    NDArray
        Shape (source, region), dF/F in percent for a source at 1.

    Examples
    --------
    >>> from corticode.simulate.dials import resolve_dials
    >>> make_weights(np.random.default_rng(0), resolve_dials({"signal": 0}))[:8].any()
    np.False_
    """
    weights = typical_weights().copy()
    n_regions = weights.shape[1]
    spread = 0.3 * rng.standard_normal() + 0.12 * rng.standard_normal(n_regions)
    limb_spread = 0.05 * rng.standard_normal(n_regions)
    is_confined = bool(dials["redundant"] or dials["nonlinear"])
    gains = {
        "limb": dials["limb"] * np.exp(limb_spread) * (not is_confined),
        "spread": dials["limb"] * dials["spread"] * np.exp(limb_spread) * (not is_confined),
        "arousal": dials["arousal"] * np.exp(dials["mouse_gain"] * spread) * (not is_confined),
        "redundant": dials["redundant"],
        "product": dials["nonlinear"],
    }
    is_right = np.array(read_published_regions().sides) == "right"
    for k, source in enumerate(SOURCES):
        kind = source.split(",")[0]
        if kind == "shared":
            weights[k] *= dials["shared"]
        else:
            weights[k] *= dials["signal"] * gains[kind]
            weights[k, is_right & one_sided] = 0
    return weights


def private_noise(rng: np.random.Generator, dials: Mapping[str, float]) -> float:
    """SD of each region's own fast fluctuations in one mouse, in percent: about 1."""
    spread = dials["mouse_gain"] * _PRIVATE_SPREAD * rng.standard_normal()
    return float(_PRIVATE_PERCENT * dials["noise"] * np.exp(spread))


def grooming_rate(rng: np.random.Generator, dials: Mapping[str, float]) -> float:
    """Episodes a minute in which one mouse grooms at rest: about 0.75."""
    spread = dials["mouse_gain"] * _GROOMING_SPREAD * rng.standard_normal()
    return float(GROOMING_PER_MINUTE * dials["grooming"] * np.exp(spread))
