"""From physiology to light: the same sums for every pixel of a movie and for region traces."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import laplace

from corticode.simulate.brain import REFERENCE_PIXELS, Scene
from corticode.simulate.haemodynamics import Blood
from corticode.simulate.light import Body
from corticode.simulate.movement import Movement

OFFSET_COUNTS = 100.0
ELECTRONS_PER_COUNT = 5.0  # shot noise of 0.6 % at 6,000 counts
READ_NOISE_COUNTS = 3.0
LEAK_SHARE = 0.05
HEART_IN_VESSELS = 2.0  # more than in tissue, in tissue's units


@dataclass(frozen=True)
class Physiology:
    """What happens in a brain and to its light in one session, frame by frame.

    Parameters
    ----------
    calcium
        dF/F of each region in percent, shape (frame, region).
    blood, body, movement
        As their modules have them.
    light
        Of the calcium channel and of the reference channel, in percent, shape (frame, 2).
    leak
        Counts that stray light adds everywhere, shape (frame,).
    """

    calcium: NDArray[np.float32]
    blood: Blood
    body: Body
    movement: Movement
    light: NDArray[np.float64]
    leak: NDArray[np.float64]


def take_frames(physiology: Physiology, frames: NDArray[np.int64]) -> Physiology:
    """The physiology of some frames alone."""
    blood, body, movement = physiology.blood, physiology.body, physiology.movement
    return Physiology(
        physiology.calcium[frames],
        Blood(blood.neural[frames], blood.locomotion[frames], blood.vasomotion[frames]),
        Body(body.heart[frames], body.breathing[frames]),
        Movement(movement.shift[frames], movement.blur[frames]),
        physiology.light[frames],
        physiology.leak[frames],
    )


def courses(physiology: Physiology) -> NDArray[np.float32]:
    """Everything that changes brightness in place, in percent; (frame, course).

    Calcium by region, blood driven by each region, blood driven by locomotion and of its own
    accord, heart beat, breathing.
    """
    blood, body = physiology.blood, physiology.body
    alike = [blood.locomotion + blood.vasomotion, body.heart, body.breathing]
    return np.column_stack([physiology.calcium, blood.neural, *alike]).astype(np.float32)


def patterns(scene: Scene) -> NDArray[np.float32]:
    """How each of the `courses` shows in each pixel of the calcium channel; (course, pixel)."""
    inside = scene.footprints.sum(axis=0)
    heart = inside + HEART_IN_VESSELS * (scene.vessel_gain - inside)
    return np.concatenate(
        [
            scene.footprints,
            scene.footprints * scene.vessel_gain,
            [scene.vessel_gain, heart, inside],
        ]
    ).astype(np.float32)


def reference_patterns(scene: Scene, leak: float) -> NDArray[np.float32]:
    """The same for the reference channel (405 nm): blood scaled by pixel, little calcium."""
    shown = patterns(scene) * scene.blood_scale
    shown[: len(scene.footprints)] = LEAK_SHARE * leak * scene.footprints
    return shown


def region_traces(
    rng: np.random.Generator,
    physiology: Physiology,
    scene: Scene,
    dials: Mapping[str, float],
) -> NDArray[np.float32]:
    """dF/F of every region as it would be measured in the movie, in percent; (frame, region).

    Each is the mean over its pixels, weighted by brightness, of what `courses` and `patterns`
    make of them. Motion and blur act through the image's slope and curvature at the region, which
    holds for shifts well below a region's size; the noise of photons and camera is averaged.
    """
    traces = courses(physiology) @ (patterns(scene) @ scene.rois.T)
    slopes, bend = region_slopes(scene)
    traces += (physiology.movement.shift @ slopes).astype(np.float32)
    traces += np.outer(physiology.movement.blur, bend).astype(np.float32)
    counts = _region_counts(scene)
    traces += physiology.light[:, :1].astype(np.float32)
    traces += (100 * np.outer(physiology.leak, 1 / counts)).astype(np.float32)
    noise = rng.standard_normal(traces.shape, dtype=np.float32)
    traces += noise * _region_noise(scene, dials).astype(np.float32)
    # As measured: against the session's mean brightness.
    traces += 100
    traces *= 100 / traces.mean(axis=0, dtype=np.float64).astype(np.float32)
    return np.asarray(traces - 100)


def noise_counts(
    rng: np.random.Generator, counts: NDArray[np.float32], dials: Mapping[str, float]
) -> NDArray[np.float32]:
    """Counts as the camera reads them: with shot noise and read noise, and its offset.

    Photons are many, so that their number is as good as normally distributed.
    """
    shot = dials["shot_noise"] ** 2 / ELECTRONS_PER_COUNT
    read = (READ_NOISE_COUNTS * dials["read_noise"]) ** 2
    noise = rng.standard_normal(counts.shape, dtype=np.float32)
    noise *= np.sqrt(np.maximum(counts, 0) * np.float32(shot) + np.float32(read))
    noise += counts
    noise += np.float32(OFFSET_COUNTS)
    return noise


def _region_counts(scene: Scene) -> NDArray[np.float64]:
    """Mean counts of each region's pixels; infinite for a region out of view."""
    counts = (scene.rois > 0) @ (scene.brightness * scene.vignetting).ravel().astype(np.float64)
    n_pixels = (scene.rois > 0).sum(axis=1)
    return np.where(n_pixels > 0, counts / np.maximum(n_pixels, 1), np.inf)


def _region_noise(scene: Scene, dials: Mapping[str, float]) -> NDArray[np.float64]:
    """SD of a region's noise of photons and camera, in percent."""
    shot = dials["shot_noise"] ** 2 / ELECTRONS_PER_COUNT
    read = (READ_NOISE_COUNTS * dials["read_noise"]) ** 2
    n_pixels = np.maximum((scene.rois > 0).sum(axis=1), 1)
    counts = _region_counts(scene)
    return np.asarray(100 * np.sqrt((shot / counts + read / counts**2) / n_pixels))


def region_slopes(scene: Scene) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percent of brightness for a shift by one pixel of 128, (2, region), and a blur, (region,)."""
    per_reference = scene.brightness.shape[0] / REFERENCE_PIXELS
    brightness = scene.brightness.astype(np.float64)
    weights = 100 * scene.rois / brightness.ravel()
    slopes = [-weights @ slope.ravel() for slope in np.gradient(brightness)]
    bend = 0.5 * weights @ laplace(brightness, mode="wrap").ravel()
    return per_reference * np.stack(slopes), per_reference**2 * bend
