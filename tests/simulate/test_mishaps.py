import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.simulate.behavior import simulate_behavior
from corticode.simulate.dials import resolve_dials
from corticode.simulate.mishaps import (
    interictal_events,
    light_leak,
    recorded_frames,
    sample_behavior,
    unplug_wheel,
    wheel_clock,
)


@given(st.integers(0, 1000))
def test_frames_are_lost_at_random_and_at_the_end(seed):
    rng = np.random.default_rng(seed)
    frames = recorded_frames(rng, 20_000, resolve_dials({"dropped_frames": 1, "missing_end": 1}))
    assert 0 < 20_000 - frames.size < 60
    assert frames[0] == 0
    assert np.all(np.diff(frames) >= 1)
    rng = np.random.default_rng(seed)
    cut = recorded_frames(rng, 100, resolve_dials({"missing_end": 1}))
    assert 97 <= cut.size <= 99
    assert cut[-1] == cut.size - 1


def test_clocks_differ_by_10_to_100_ppm():
    off = wheel_clock(np.random.default_rng(0), 18_001, 30.0, resolve_dials({"clock_drift": 1}))
    assert 10e-6 <= abs(off[-1] / 600 - 1) <= 100e-6
    exact = wheel_clock(np.random.default_rng(0), 18_001, 30.0, resolve_dials(None))
    assert exact[-1] == 600


def test_behaviour_is_what_it_was_when_it_was_sampled():
    behavior = simulate_behavior(np.random.default_rng(0), 1000, 30.0, 0.5)
    later = sample_behavior(behavior, np.arange(1000) / 30 + 0.1, 30.0)
    np.testing.assert_array_equal(later.speed_cm_per_s[:-3], behavior.speed_cm_per_s[3:])
    unplugged = unplug_wheel(np.random.default_rng(0), behavior)
    assert not unplugged.is_running.any()
    assert unplugged.speed_cm_per_s.std() == pytest.approx(0.1, rel=0.1)
    np.testing.assert_array_equal(unplugged.stride_phase, behavior.stride_phase)


def test_leaking_light_goes_on_and_off_and_discharges_are_brief():
    leak = light_leak(np.random.default_rng(0), 18_000, 30.0)
    assert 0.2 < np.mean(leak > 0) < 0.8
    assert leak.max() < 200
    events = interictal_events(np.random.default_rng(0), 18_000, 30.0)
    n_events = np.count_nonzero(np.diff((events > 0).astype(int)) == 1)
    assert 8 < n_events < 35
    assert events.max() == pytest.approx(4)
