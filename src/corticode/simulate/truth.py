"""What was planted in a simulated cohort, to be set against what is found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.simulate.activity import (
    INDICATOR_DECAY_S,
    INDICATOR_RISE_S,
)
from corticode.simulate.brain import make_scene, region_centres, region_radius
from corticode.simulate.ideal import (
    Decoder,
    area_under_curve,
    inner_frames,
    region_weights,
)
from corticode.simulate.session import FRAME_RATE_HZ, Mouse, SimulatedSession
from corticode.simulate.sizes import CohortSize
from corticode.simulate.weights import LEADS_S, LIMB_REGIONS, SOURCES

TRUTH = "truth.json"


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
    aligned = is_running[np.minimum(session.frames, is_running.size - 1)]
    return {
        "session": name,
        "animal": f"m{mouse.number}",
        "run_fraction": float(is_running.mean()),
        "n_frames": int(session.frames.size),
        "ideal_auc": _or_none(area_under_curve(inner_frames(aligned), ideal(session.traces))),
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
    mean of. ``ideal_auc`` is what `corticode.simulate.ideal.ideal_decoder` scores in each
    session, averaged over an animal's sessions, then over animals.
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
