import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter1d

from corticode.errors import StudyError
from corticode.simulate.behavior import (
    add_grooming,
    session_run_fractions,
    simulate_behavior,
)


def onsets(is_running):
    return np.count_nonzero(np.diff(is_running.astype(int)) == 1)


@given(st.integers(0, 10_000), st.floats(0.2, 0.95), st.integers(1000, 4000))
def test_every_session_has_the_fraction_and_bouts_it_was_asked_for(seed, fraction, n_frames):
    behavior = simulate_behavior(np.random.default_rng(seed), n_frames, 30.0, fraction)
    assert abs(behavior.is_running.mean() - min(fraction, 0.9)) < 0.09
    assert onsets(behavior.is_running) >= 5
    assert onsets(~behavior.is_running) >= 5


def test_the_label_follows_from_the_speed():
    behavior = simulate_behavior(np.random.default_rng(1), 3000, 30.0, 0.5)
    expected = uniform_filter1d(behavior.speed_cm_per_s, 5) > 0.5
    np.testing.assert_array_equal(behavior.is_running, expected)


def test_speed_is_that_of_a_mouse_on_a_wheel():
    drawn = [simulate_behavior(np.random.default_rng(k), 18_000, 30.0, 0.6) for k in range(4)]
    speed = np.concatenate([behavior.speed_cm_per_s for behavior in drawn])
    running = np.concatenate([behavior.is_running for behavior in drawn])
    assert 10 < np.median(speed[running]) < 20
    assert np.percentile(speed, 95) < 45
    assert speed.max() < 61
    assert 0.005 < np.mean(speed < -0.3) < 0.03
    assert all(30 < onsets(behavior.is_running) < 80 for behavior in drawn)


def test_strides_advance_in_running_alone():
    behavior = simulate_behavior(np.random.default_rng(2), 3000, 30.0, 0.5)
    strides_hz = np.diff(behavior.stride_phase) * 30 / (2 * np.pi)
    assert strides_hz.min() == 0
    assert np.mean(strides_hz[behavior.is_running[1:]] > 1.9) > 0.95
    assert strides_hz.max() <= 4 + 1e-9


@given(st.integers(0, 1000), st.integers(3, 15), st.floats(-1, 1))
def test_sessions_of_a_mouse_have_its_fraction_scatter_and_trend(seed, n_sessions, trend):
    rng = np.random.default_rng(seed)
    fractions = session_run_fractions(rng, 0.5, 0.05, trend, n_sessions)
    assert fractions.mean() == pytest.approx(0.5)
    assert fractions.std() == pytest.approx(0.05)
    assert np.corrcoef(np.arange(n_sessions), fractions)[0, 1] == pytest.approx(trend, abs=1e-6)


def test_fractions_stay_where_both_classes_are_found():
    fractions = session_run_fractions(np.random.default_rng(3), 0.9, 0.3, 0.0, 12)
    assert fractions.max() == 0.95
    assert fractions.min() >= 0.2


def test_an_encoder_without_noise_is_still_at_rest():
    drawn = simulate_behavior(np.random.default_rng(1), 3000, 30.0, 0.5, encoder_noise=0)
    assert np.mean(drawn.speed_cm_per_s == 0) > 0.3


def test_the_body_moves_at_rest_and_the_wheel_does_not_know():
    behavior = simulate_behavior(np.random.default_rng(0), 18_000, 30.0, 0.5)
    body = add_grooming(np.random.default_rng(0), behavior, 30.0, 2.0)
    groomed = body.is_running & ~behavior.is_running
    # Two episodes a minute of 4.5 s are 15 % of the time at rest.
    assert 0.08 < groomed.sum() / (~behavior.is_running).sum() < 0.22
    assert np.all(body.is_running >= behavior.is_running)
    np.testing.assert_array_equal(body.speed_cm_per_s, behavior.speed_cm_per_s)
    strides_hz = np.diff(body.stride_phase)[groomed[1:]] * 30 / (2 * np.pi)
    assert strides_hz.min() >= 2.8 - 1e-9
    assert add_grooming(np.random.default_rng(0), behavior, 30.0, 0.0).is_running.sum() == (
        behavior.is_running.sum()
    )


@pytest.mark.parametrize(("n_frames", "fraction"), [(999, 0.5), (3000, 0.1), (3000, 0.96)])
def test_what_cannot_be_simulated_is_refused(n_frames, fraction):
    with pytest.raises(StudyError, match="take at least 1000 frames and a fraction of 0"):
        simulate_behavior(np.random.default_rng(0), n_frames, 30.0, fraction)
