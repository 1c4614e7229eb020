"""From physiology to light: the same sums for every pixel of a movie and for region traces."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.ndimage import laplace

from corticode.data.layouts.study2024 import read_published_regions
from corticode.simulate.physiology import Blood, Body, Movement

REFERENCE_PIXELS = 128
HALF_BRAIN = 62.0  # from the midline to the outline
OUTLINE_POWER = 3.5  # 2 would be an ellipse
FOOTPRINT_SD = 4.5
REGION_RADIUS = 4.0
SURROUND = 0.12
PEAK_COUNTS = 6_000.0
REFERENCE_BRIGHTNESS = 0.6  # of the 405 nm channel, against 470 nm
VESSEL_DARKNESS = 0.35
HIDDEN_MOUSE = 4
OFFSET_COUNTS = 100.0
ELECTRONS_PER_COUNT = 5.0  # shot noise of 0.6 % at 6,000 counts
READ_NOISE_COUNTS = 3.0
LEAK_SHARE = 0.05
HEART_IN_VESSELS = 2.0  # more than in tissue, in tissue's units


"""Side of the image in which positions are given: pixels of about 80 um."""


@dataclass(frozen=True)
class Pose:
    """Where a brain lies in the image, against the published regions.

    Parameters
    ----------
    rows, columns
        Shift down and to the right, in pixels of 128.
    turn
        Rotation about the centre, radians.
    scale
        Size; 1 as published.
    """

    rows: float
    columns: float
    turn: float
    scale: float


@dataclass(frozen=True)
class Anatomy:
    """What is particular to a mouse's brain, drawn on the reference image of 128 x 128 pixels.

    Parameters
    ----------
    pose
        Where it lies on the first day, and where its regions are looked for on all days.
    vessels
        Shape (row, column), 0 to 1.
    texture
        Shape (row, column), SD 1: how bright the tissue is.
    blood_scale
        Shape (row, column), 0.6 to 1.5: how strongly blood shows in the reference channel.
    """

    pose: Pose
    vessels: NDArray[np.float64]
    texture: NDArray[np.float64]
    blood_scale: NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """A brain in its place in the image on one day.

    Parameters
    ----------
    brightness
        Counts at even light, shape (row, column).
    vignetting
        Light by pixel, 1 at the brightest, shape (row, column).
    footprints
        How much each region shows in each pixel, shape (region, pixel); sums to 1 over regions
        inside the brain, to 0 outside.
    vessel_gain
        How much stronger blood shows than in tissue, shape (pixel,); 0 outside the brain.
    blood_scale
        Blood in the reference channel against the calcium channel, shape (pixel,).
    rois
        Weights with which pixels make region traces, shape (region, pixel); sum to 1 over pixels,
        or all 0 for a region out of view.
    """

    brightness: NDArray[np.float32]
    vignetting: NDArray[np.float32]
    footprints: NDArray[np.float32]
    vessel_gain: NDArray[np.float32]
    blood_scale: NDArray[np.float32]
    rois: NDArray[np.float32]


def make_anatomy(rng: np.random.Generator, mouse: int, dials: Mapping[str, float]) -> Anatomy:
    """One mouse's brain: its pose, vessels and texture.

    Parameters
    ----------
    rng
        Source of all randomness.
    mouse
        Its number, from 1; the left edge of the fourth is partly out of view.
    dials
        A value for every dial.

    Examples
    --------
    >>> from corticode.simulate.dials import resolve_dials
    >>> anatomy = make_anatomy(np.random.default_rng(0), 1, resolve_dials(None))
    >>> 0.95 < anatomy.pose.scale < 1.05, anatomy.vessels.shape
    (True, (128, 128))
    """
    shift = rng.uniform(1, 3, 2) * rng.choice([-1, 1], 2)
    turn, size = np.deg2rad(rng.uniform(-3, 3)), rng.uniform(-0.04, 0.04)
    amount = dials["mouse_position"]
    hidden = -5.0 * dials["out_of_view"] * (mouse == HIDDEN_MOUSE)
    pose = Pose(
        float(amount * shift[0]),
        float(amount * shift[1] + hidden),
        float(amount * turn),
        float(1 + amount * size),
    )
    # Where a smooth random field passes through 0 it draws long, winding, branching lines.
    field = _smooth_field(rng, 7.0)
    slope = np.hypot(*np.gradient(field))
    vessels = np.exp(-((field / (1.2 * slope + 0.02)) ** 2))
    columns = np.arange(REFERENCE_PIXELS) - (REFERENCE_PIXELS - 1) / 2
    sinus = np.exp(-((columns / 1.5) ** 2))
    blood_scale = np.clip(1.0 + 0.2 * _smooth_field(rng, 6.0), 0.6, 1.5)
    return Anatomy(pose, np.maximum(vessels, sinus), _smooth_field(rng, 1.5), blood_scale)


def shift_pose(rng: np.random.Generator, pose: Pose, day_position: float) -> Pose:
    """The pose on another day: shifted by 0.3 to 1 pixel of 128, times the dial's value."""
    far, angle = day_position * rng.uniform(0.3, 1.0), rng.uniform(0, 2 * np.pi)
    return Pose(
        float(pose.rows + far * np.sin(angle)),
        float(pose.columns + far * np.cos(angle)),
        pose.turn,
        pose.scale,
    )


def region_centres(pose: Pose, n_pixels: int) -> NDArray[np.float64]:
    """Where the 50 regions lie in an image of `n_pixels` x `n_pixels`; (region, 2): row, column."""
    regions = read_published_regions()
    # Published centres count pixels from 1.
    reference = np.stack([regions.rows, regions.columns], axis=1) - 1 - _middle()
    turned = pose.scale * reference @ _rotation(pose.turn).T
    placed = turned + _middle() + (pose.rows, pose.columns)
    return np.asarray((placed + 0.5) * n_pixels / REFERENCE_PIXELS - 0.5)


def make_scene(anatomy: Anatomy, pose: Pose, n_pixels: int, dials: Mapping[str, float]) -> Scene:
    """The brain in its pose of one day, on an image of `n_pixels` x `n_pixels`.

    Parameters
    ----------
    anatomy
        Whose brain; regions are looked for where they lay on its first day.
    pose
        Where it lies now.
    n_pixels
        Side of the image.
    dials
        A value for every dial.

    Returns
    -------
    Scene
        Pixels in the order of rows.

    Examples
    --------
    >>> from corticode.simulate.dials import resolve_dials
    >>> dials = resolve_dials(None)
    >>> anatomy = make_anatomy(np.random.default_rng(0), 1, dials)
    >>> make_scene(anatomy, anatomy.pose, 64, dials).footprints.shape
    (50, 4096)
    """
    at = _reference_positions(pose, n_pixels)
    inside = _inside(at)
    vessels = _look_up(anatomy.vessels, at) * inside
    texture = 1 + 0.06 * _look_up(anatomy.texture, at)
    tissue = SURROUND + (1 - SURROUND) * inside
    darkness = np.clip(1 - VESSEL_DARKNESS * dials["vessels"] * vessels, 0.05, 1)
    brightness = PEAK_COUNTS * tissue * texture * darkness
    places = np.indices((n_pixels, n_pixels)).reshape(2, -1).T
    far = np.hypot(*(places - (n_pixels - 1) / 2).T) / (n_pixels / np.sqrt(2))
    vignetting = 1 / (1 + dials["vignetting"] * far**2)
    centres = region_centres(anatomy.pose, n_pixels)
    distance = np.hypot(*(places[None] - centres[:, None]).transpose(2, 0, 1))
    rois = np.where(distance <= region_radius(n_pixels), brightness * vignetting * inside, 0)
    shape = (n_pixels, n_pixels)
    return Scene(
        brightness.reshape(shape).astype(np.float32),
        vignetting.reshape(shape).astype(np.float32),
        (_footprints(at) * inside).astype(np.float32),
        (inside * (1 + dials["vessels"] * vessels)).astype(np.float32),
        _look_up(anatomy.blood_scale, at).astype(np.float32),
        (rois / np.maximum(rois.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32),
    )


def region_radius(n_pixels: int) -> float:
    """Radius of the pixels that make a region's trace, in an image of that side."""
    return REGION_RADIUS * n_pixels / REFERENCE_PIXELS


def _middle() -> float:
    return (REFERENCE_PIXELS - 1) / 2


def _rotation(turn: float) -> NDArray[np.float64]:
    return np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])


def _reference_positions(pose: Pose, n_pixels: int) -> NDArray[np.float64]:
    """Which point of the reference image each pixel shows; (2, pixel): rows, columns."""
    places = np.indices((n_pixels, n_pixels)).reshape(2, -1).T
    placed = (places + 0.5) * REFERENCE_PIXELS / n_pixels - 0.5
    turned = (placed - _middle() - (pose.rows, pose.columns)) / pose.scale
    return np.asarray((turned @ _rotation(pose.turn) + _middle()).T)


def _inside(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 in the brain, 0 outside, with an edge of about a pixel; (pixel,)."""
    far = (np.abs((at - _middle()) / HALF_BRAIN) ** OUTLINE_POWER).sum(axis=0)
    return np.asarray(np.clip((1 - far) * HALF_BRAIN / OUTLINE_POWER + 0.5, 0, 1))


def _look_up(image: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(ndimage.map_coordinates(image, at, order=1, mode="nearest"))


def _footprints(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each region's share in each pixel, summing to 1; (region, pixel)."""
    centres = region_centres(Pose(0.0, 0.0, 0.0, 1.0), REFERENCE_PIXELS)
    squared = ((at.T[None] - centres[:, None]) ** 2).sum(axis=2)
    # Against the nearest region, so that pixels far from all are still somebody's.
    shares = np.exp(-(squared - squared.min(axis=0)) / (2 * FOOTPRINT_SD**2))
    return np.asarray(shares / shares.sum(axis=0))


def _smooth_field(rng: np.random.Generator, sd_pixels: float) -> NDArray[np.float64]:
    """A random field of SD 1 on the reference image."""
    noise = rng.standard_normal((REFERENCE_PIXELS, REFERENCE_PIXELS))
    field = ndimage.gaussian_filter(noise, sd_pixels, mode="wrap")
    return np.asarray(field / field.std())


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
