"""The ceiling of a simulated mouse: a decoder that knows how its traces were made."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from corticode.simulate.behavior import simulate_behavior
from corticode.simulate.cortex import PRODUCT_REGIONS, SOURCES
from corticode.simulate.optics import (
    Scene,
    make_scene,
    patterns,
    region_slopes,
    region_traces,
)
from corticode.simulate.session import (
    FRAME_RATE_HZ,
    RUN_FRACTIONS,
    Mouse,
    add_body,
    simulate_physiology,
    stream,
)

HALF_WINDOW_FRAMES = 15
STEP_FRAMES = 3
DETREND_FRAMES = 1000
# Strides, breathing and, at 30 frames a second, the heart.
RHYTHMS_HZ = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 10.5, 12.0)
RHYTHM_WINDOWS = ((0, 31), (0, 16), (8, 24), (15, 31))
LONG_DRAW_FRAMES = 48_000
EVERY = 6
N_STEPS = 20

Decoder = Callable[[NDArray[np.float32]], NDArray[np.float64]]


def region_weights(mouse: Mouse, scene: Scene) -> NDArray[np.float64]:
    """How strongly each source drives each region's trace, in percent; (source, region).

    A trace is the mean over pixels, which neighbouring regions share.
    """
    return np.asarray(mouse.weights @ (scene.footprints @ scene.rois.T).astype(np.float64))


def known_patterns(mouse: Mouse, scene: Scene) -> NDArray[np.float64]:
    """Everything that is planted with a pattern over regions; (pattern, region).

    The difference of left and right limbs, the sources, blood, heart beat, breathing, motion,
    blur, light.
    """
    weights = region_weights(mouse, scene)
    left, right = (weights[SOURCES.index(f"limb, {side}")] for side in ("left", "right"))
    alike = patterns(scene)[2 * len(scene.footprints) :] @ scene.rois.T
    slopes, bend = region_slopes(scene)
    every = [left - right, *weights, *alike, *slopes, bend, np.ones(weights.shape[1])]
    return np.stack([pattern for pattern in every if pattern.any()])


def ideal_decoder(
    mouse: Mouse,
    seed: int,
    n_pixels: int,
    *,
    speed: bool = False,
    regions: Sequence[int] | None = None,
) -> Decoder:
    """A function from traces to scores that knows the generator of one mouse.

    It is a matched filter. Its spatial part is exact: the mouse's true weights, against the
    covariance of what scatters. Its temporal part (the courses of all patterns around running and
    rest, lags included, and the amplitudes of the rhythms of strides, breathing and heart) is
    weighed by a long draw of the same mouse that is no part of the cohort.

    Parameters
    ----------
    mouse
        Whose.
    seed
        The cohort's.
    n_pixels
        Side of the movie's frames.
    speed
        Whether speed in cm/s is read in the place of running.
    regions
        Numbers of the regions it sees, from 1; all if None.

    Returns
    -------
    callable
        From traces, shape (frame, region), to scores of frames 15 to the 16th from the end; speed
        in cm/s where speed is read.
    """
    scene = make_scene(mouse.anatomy, mouse.anatomy.pose, n_pixels, mouse.dials)
    behavior = simulate_behavior(
        stream(seed, mouse.number, 4),
        LONG_DRAW_FRAMES,
        FRAME_RATE_HZ,
        RUN_FRACTIONS[mouse.number - 1],
    )
    rng = stream(seed, mouse.number, 5)
    physiology = simulate_physiology(rng, mouse, add_body(rng, mouse, behavior))
    is_seen = np.ones(len(scene.rois), np.float32)
    if regions is not None:
        is_seen = np.isin(np.arange(1, is_seen.size + 1), regions).astype(np.float32)
    traces = is_seen * region_traces(rng, physiology, scene, mouse.dials)
    known = known_patterns(mouse, scene) * is_seen
    filters = matched_filters(traces, behavior.is_running, known)
    asked = inner_frames(behavior.speed_cm_per_s if speed else behavior.is_running)[::EVERY]
    features = window_features(traces, known, filters, EVERY)
    weights = fit_least_squares(features, asked.astype(np.float64))
    steps = _steps(features @ weights, asked) if speed else None

    def read(traces: NDArray[np.float32]) -> NDArray[np.float64]:
        found = window_features(is_seen * traces, known, filters) @ weights
        return np.asarray(found if steps is None else np.interp(found, *steps), dtype=np.float64)

    return read


def ceiling(
    is_running: NDArray[np.bool_], is_grooming: NDArray[np.bool_], score: NDArray[np.float64]
) -> float:
    """The AUC of the `ideal_decoder` of a mouse that is told, too, when the mouse grooms.

    The limbs of a mouse that grooms at rest move as in running. That is nearly all that the ideal
    decoder takes for running, and no decoder of traces can know it: none is above this ceiling, and
    none will reach it.

    Parameters
    ----------
    is_running, is_grooming, score
        Of the frames that have a whole window, shape (window,).

    Returns
    -------
    float
        NaN where the mouse only runs or only rests.

    Examples
    --------
    >>> running, grooming = np.array([0, 0, 1], bool), np.array([0, 1, 0], bool)
    >>> ceiling(running, grooming, np.array([0.0, 2.0, 1.0]))
    1.0
    """
    told = np.where(is_grooming & ~is_running, score.min(), score)
    return area_under_curve(is_running, told)


def window_features(
    traces: NDArray[np.float32],
    known: NDArray[np.float64],
    filters: NDArray[np.float64],
    every: int = 1,
) -> NDArray[np.float32]:
    """What the regions say about each planted pattern, in windows of +-15 frames (0.5 s at 30 Hz).

    Parameters
    ----------
    traces
        Shape (frame, region).
    known
        Shape (pattern, region), as `known_patterns` gives.
    filters
        The same, as `matched_filters` gives.
    every
        Every how many frames a window is taken.

    Returns
    -------
    NDArray
        float32, shape (window, feature): 11 lags of each pattern's course, and of the product of
        the two regions that the dial `nonlinear` plants in; then, in the whole window and in three
        halves of it, each pattern's amplitude at eight rhythms. The first window is that of frame
        15.

    Examples
    --------
    >>> known = np.ones((9, 50))
    >>> window_features(np.zeros((100, 50), np.float32), known, known).shape
    (70, 398)
    """
    level = uniform_filter1d(traces, min(DETREND_FRAMES, len(traces)), axis=0)
    detrended = (traces - level).astype(np.float64)
    courses = detrended @ known.T
    product = np.prod(detrended[:, np.array(PRODUCT_REGIONS) - 1], axis=1)
    courses = np.column_stack([courses, product])
    length = 2 * HALF_WINDOW_FRAMES + 1
    smoothed = uniform_filter1d(courses, STEP_FRAMES, axis=0)
    lags = sliding_window_view(smoothed, length, axis=0)[::every, :, ::STEP_FRAMES]
    found = [lags.reshape(len(lags), -1)]
    filtered = sliding_window_view(detrended @ filters.T, length, axis=0)[::every]
    for start, stop in RHYTHM_WINDOWS:
        seconds = np.arange(stop - start) / FRAME_RATE_HZ
        waves = np.exp(2j * np.pi * np.outer(seconds, RHYTHMS_HZ))
        waves *= np.hanning(stop - start + 2)[1:-1, None]
        waves -= waves.mean(axis=0)
        amplitudes = np.abs(filtered[:, :, start:stop] @ waves)
        found.append(amplitudes.reshape(len(lags), -1))
    return np.concatenate(found, axis=1).astype(np.float32)


def matched_filters(
    traces: NDArray[np.float32], is_running: NDArray[np.bool_], known: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights over regions that tell each pattern best from quick fluctuations at rest.

    Parameters
    ----------
    traces
        Shape (frame, region).
    is_running
        Shape (frame,).
    known
        Shape (pattern, region).

    Returns
    -------
    NDArray
        Shape (pattern, region), of unit length each.
    """
    quick = traces - uniform_filter1d(traces, 2 * HALF_WINDOW_FRAMES + 1, axis=0)
    covariance = np.atleast_2d(np.cov(quick[~is_running].T.astype(np.float64)))
    # A region out of view has no variance: the pseudo-inverse leaves it out.
    filters = known @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True)
    return np.asarray(filters / np.maximum(np.linalg.norm(filters, axis=1, keepdims=True), 1e-12))


def fit_least_squares(
    features: NDArray[np.float32], told: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Weights that tell a value best from features, as Fisher's discriminant where it is 0 or 1.

    Examples
    --------
    >>> features = np.column_stack([np.arange(900), np.ones(900)]).astype(np.float32)
    >>> fit_least_squares(features, 2.0 * np.arange(900)).round(2).tolist()
    [2.0, 0.0]
    """
    centred = (features - features.mean(axis=0)).astype(np.float64)
    # Brought to unit variance, so that small features count as much as large ones.
    scale = np.maximum(centred.std(axis=0), 1e-6)
    centred /= scale
    gram = centred.T @ centred + np.eye(len(scale))
    weights = np.linalg.solve(gram, centred.T @ (told - told.mean()))
    return np.asarray(weights / scale, dtype=np.float32)


def inner_frames(values: NDArray[Any]) -> NDArray[Any]:
    """The frames that have a whole window."""
    return values[HALF_WINDOW_FRAMES:-HALF_WINDOW_FRAMES]


def area_under_curve(is_running: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """The area under the ROC curve, run against rest; ties count half, NaN where one is missing.

    Examples
    --------
    >>> area_under_curve(np.array([False, True, True]), np.array([0.0, 0.0, 1.0]))
    0.75
    """
    if is_running.all() or not is_running.any():
        return float("nan")
    rest, run = np.sort(scores[~is_running]), scores[is_running]
    below = np.searchsorted(rest, run, "left") + np.searchsorted(rest, run, "right")
    return float(below.mean() / (2 * rest.size))


def _steps(
    score: NDArray[np.float32], speed: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores, rising, and the mean speed at each: speed at rest does not fall below 0."""
    parts = np.array_split(np.argsort(score), N_STEPS)
    return (
        np.array([score[part].mean() for part in parts]),
        np.array([speed[part].mean() for part in parts]),
    )
