import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.simulate.dials import resolve_dials
from corticode.simulate.haemodynamics import blood_response, simulate_blood


def test_blood_starts_after_half_a_second_peaks_at_one_and_a_half_and_recovers():
    impulse = np.zeros(300)
    impulse[30] = 1
    response = blood_response(impulse, 30.0)
    peak = (response.argmax() - 30) / 30
    assert peak == pytest.approx(1.5, abs=0.1)
    assert response[30 + 15] < 0.4 * response.max()
    assert response[30 + 150] < 0.05 * response.max()
    assert response.sum() == pytest.approx(1, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(st.floats(-5, 5), st.integers(10, 200))
def test_what_does_not_change_is_followed_as_it_is(level, n_frames):
    np.testing.assert_allclose(blood_response(np.full(n_frames, level), 30.0), level, atol=1e-9)


def test_blood_darkens_after_neurons_and_running():
    calcium = np.zeros((900, 2), np.float32)
    calcium[300:, 0] = 4.0
    running = np.arange(900) >= 300
    blood = simulate_blood(np.random.default_rng(0), calcium, running, 30.0, resolve_dials(None))
    assert blood.neural[-1, 0] == pytest.approx(-0.6, abs=0.01)
    assert not blood.neural[:, 1].any()
    assert blood.locomotion[299] == 0
    assert blood.locomotion[-1] == pytest.approx(-0.6, abs=0.01)
    power = np.abs(np.fft.rfft(blood.vasomotion)) ** 2
    frequency = np.fft.rfftfreq(900, 1 / 30)
    assert power[(frequency >= 0.05) & (frequency <= 0.15)].sum() > 0.99 * power.sum()
    assert blood.vasomotion.std() == pytest.approx(0.5)


def test_dials_switch_blood_off():
    calcium = np.ones((300, 2), np.float32)
    dials = resolve_dials({"haemodynamics": 0, "vasomotion": 0})
    blood = simulate_blood(np.random.default_rng(0), calcium, np.ones(300, bool), 30.0, dials)
    assert not any(part.any() for part in (blood.neural, blood.locomotion, blood.vasomotion))
