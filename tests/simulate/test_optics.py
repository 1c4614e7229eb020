"""Tests."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.movies.brain import find_brain
from corticode.simulate.dials import resolve_dials
from corticode.simulate.optics import (
    OFFSET_COUNTS,
    Pose,
    courses,
    make_anatomy,
    make_scene,
    noise_counts,
    patterns,
    reference_patterns,
    region_centres,
    region_radius,
    region_slopes,
    region_traces,
    shift_pose,
    take_frames,
)
from corticode.simulate.session import simulate_mouse, simulate_session

STILL = {"shot_noise": 0, "read_noise": 0, "motion": 0, "jitter": 0, "jumps": 0, "defocus": 0}
AS_PUBLISHED = Pose(0.0, 0.0, 0.0, 1.0)


def session_of(**dials):
    values = resolve_dials(dials)
    return simulate_session(simulate_mouse(1, 3, 0, values), 0, 1000, 32, 0), values


@pytest.fixture(scope="module")
def session():
    return session_of()[0]


def test_a_trace_is_the_mean_of_what_its_pixels_show():
    still, dials = session_of(**STILL)
    by_pixel = courses(still.physiology) @ patterns(still.scene)
    brightness = 100 + by_pixel @ still.scene.rois.T + still.physiology.light[:, :1]
    expected = 100 * (brightness / brightness.mean(axis=0) - 1)
    traces = region_traces(np.random.default_rng(0), still.physiology, still.scene, dials)
    np.testing.assert_allclose(traces, expected, atol=1e-3)


def test_the_reference_channel_shows_blood_and_little_calcium(session):
    shown, scene = reference_patterns(session.scene, 1.0), session.scene
    np.testing.assert_allclose(shown[:50], 0.05 * scene.footprints)
    np.testing.assert_allclose(shown[100], scene.vessel_gain * scene.blood_scale)
    assert not reference_patterns(scene, 0.0)[:50].any()


def test_noise_of_the_camera_is_that_of_photons():
    counts = np.full((50, 40, 40), 6000.0, np.float32)
    read = noise_counts(np.random.default_rng(0), counts, resolve_dials(None))
    assert read.mean() == pytest.approx(6000 + OFFSET_COUNTS, abs=1)
    # 6,000 counts of 5 electrons: sqrt(30,000) / 5 = 34.6 counts, and 3 of reading.
    assert read.std() == pytest.approx(np.hypot(34.6, 3), rel=0.01)
    quiet = resolve_dials({"shot_noise": 0, "read_noise": 0})
    exact = noise_counts(np.random.default_rng(0), counts, quiet)
    np.testing.assert_array_equal(exact, 6000 + OFFSET_COUNTS)


def test_slopes_are_those_of_the_image():
    still, _ = session_of(vessels=0, mouse_position=0, day_position=0)
    ramp = np.broadcast_to(1000.0 + 10 * np.arange(32)[:, None], (32, 32)).astype(np.float32)
    slopes, bend = region_slopes(replace(still.scene, brightness=ramp))
    brightness = still.scene.rois @ ramp.ravel()
    # Down the image by a pixel of 128, a quarter pixel here, shows what is 2.5 counts dimmer.
    np.testing.assert_allclose(slopes[0], -100 * 2.5 / brightness, rtol=0.02)
    np.testing.assert_allclose(slopes[1], 0, atol=1e-6)
    inner = np.abs(bend) < 1e-3
    assert inner.mean() > 0.8


@settings(max_examples=10)
@given(frames=st.lists(st.integers(0, 999), min_size=1, max_size=20))
def test_frames_are_taken_from_everything(session, frames):
    taken = take_frames(session.physiology, np.array(frames))
    np.testing.assert_array_equal(courses(taken), courses(session.physiology)[frames])
    np.testing.assert_array_equal(taken.movement.shift, session.physiology.movement.shift[frames])
    assert taken.light.shape == (len(frames), 2)


def scene_of(seed=0, n_pixels=64, **dials):
    values = resolve_dials(dials)
    anatomy = make_anatomy(np.random.default_rng(seed), 1, values)
    return make_scene(anatomy, anatomy.pose, n_pixels, values)


def test_regions_lie_as_published_and_move_with_the_pose():
    # Region 1 is published at row 13.8, column 41.6, counted from 1.
    np.testing.assert_allclose(region_centres(AS_PUBLISHED, 128)[0], [12.8, 40.6])
    np.testing.assert_allclose(region_centres(AS_PUBLISHED, 64)[0], [6.15, 20.05])
    moved = region_centres(replace(AS_PUBLISHED, rows=2.0, columns=-1.0), 128)
    np.testing.assert_allclose(moved[0], [14.8, 39.6])
    turned = region_centres(replace(AS_PUBLISHED, turn=np.pi / 2), 128)
    np.testing.assert_allclose(turned[0] - 63.5, [-(40.6 - 63.5), 12.8 - 63.5])


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_footprints_share_the_brain_and_traces_are_means(seed):
    scene = scene_of(seed)
    whole = scene.footprints.sum(axis=0)
    assert whole.min() >= 0
    assert whole.max() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(scene.rois.sum(axis=1), 1, atol=1e-5)
    # Most of what a region's pixels show is its own.
    own = np.diag(scene.footprints @ scene.rois.T)
    assert own.min() > 0.5


def test_the_brain_is_brighter_than_its_surround_and_dims_to_the_corners():
    scene = scene_of()
    mask, separation = find_brain(scene.brightness * scene.vignetting)
    assert separation > 0.8
    inside = scene.footprints.sum(axis=0).reshape(64, 64) > 0.5
    assert np.mean(mask == inside) > 0.95
    assert scene.vignetting.max() / scene.vignetting.min() == pytest.approx(2, abs=0.05)
    assert np.ptp(scene_of(vignetting=0).vignetting) == 0


def test_vessels_are_dark_and_full_of_blood():
    scene, bare = scene_of(), scene_of(vessels=0)
    ratio = scene.brightness / bare.brightness
    assert ratio.min() < 0.7
    assert bare.vessel_gain.max() == 1
    assert scene.vessel_gain.max() == pytest.approx(2, abs=0.05)
    assert np.corrcoef(ratio.ravel(), scene.vessel_gain)[0, 1] < -0.3


def test_mice_differ_by_a_few_pixels_and_days_by_less():
    dials = resolve_dials(None)
    poses = [make_anatomy(np.random.default_rng(k), 1, dials).pose for k in range(20)]
    assert all(1 <= abs(pose.rows) <= 4 and abs(pose.scale - 1) <= 0.05 for pose in poses)
    day = shift_pose(np.random.default_rng(0), poses[0], 1.0)
    assert 0.3 <= np.hypot(day.rows - poses[0].rows, day.columns - poses[0].columns) <= 1
    assert shift_pose(np.random.default_rng(0), poses[0], 0.0) == poses[0]


def test_the_fourth_mouse_is_partly_out_of_view():
    values = resolve_dials({"mouse_position": 0})
    fourth = make_anatomy(np.random.default_rng(0), 4, values)
    assert fourth.pose.columns == -5
    scene = make_scene(fourth, fourth.pose, 128, values)
    n_pixels = (scene.rois > 0).sum(axis=1)
    assert n_pixels[24] < 0.8 * n_pixels[49]
    assert region_radius(128) == 4
