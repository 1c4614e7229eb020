from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.simulate.dials import resolve_dials
from corticode.simulate.optics import (
    OFFSET_COUNTS,
    courses,
    noise_counts,
    patterns,
    reference_patterns,
    region_slopes,
    region_traces,
    take_frames,
)
from corticode.simulate.session import simulate_mouse, simulate_session

STILL = {"shot_noise": 0, "read_noise": 0, "motion": 0, "jitter": 0, "jumps": 0, "defocus": 0}


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


@settings(max_examples=10, deadline=None)
@given(frames=st.lists(st.integers(0, 999), min_size=1, max_size=20))
def test_frames_are_taken_from_everything(session, frames):
    taken = take_frames(session.physiology, np.array(frames))
    np.testing.assert_array_equal(courses(taken), courses(session.physiology)[frames])
    np.testing.assert_array_equal(taken.movement.shift, session.physiology.movement.shift[frames])
    assert taken.light.shape == (len(frames), 2)
