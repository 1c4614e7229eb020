import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.simulate.dials import resolve_dials
from corticode.simulate.light import simulate_body, simulate_light

DARK = {"bleaching": 0, "warm_up": 0, "flicker": 0}


def light(seed=0, n_frames=18_000, **dials):
    rng = np.random.default_rng(seed)
    return simulate_light(rng, n_frames, 30.0, resolve_dials({**DARK, **dials}))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_bleaching_loses_one_to_three_percent_in_a_minute_and_then_less(seed):
    course = light(seed, bleaching=1)
    first, later = course[0] - course[1800], course[1800] - course[-1]
    assert 0.9 < first < 3.5
    assert 0.1 < later / 9 < 0.5
    assert np.all(np.diff(course) < 0)


def test_the_source_warms_up_and_flickers():
    assert 0.2 < light(warm_up=1)[-1] - light(warm_up=1)[0] < 0.8
    assert light(flicker=1).std() == pytest.approx(0.07, rel=0.05)
    assert not light().any()


def test_heart_and_breathing_quicken_in_running():
    dials, quick = resolve_dials(None), []
    for running in (False, True):
        label = np.full(6000, running)
        body = simulate_body(np.random.default_rng(0), label, 30.0, dials)
        frequency = np.fft.rfftfreq(6000, 1 / 30)
        quick.append(
            [
                np.average(frequency, weights=np.abs(np.fft.rfft(course)) ** 2)
                for course in (body.heart, body.breathing)
            ]
        )
    (heart, breath), (heart_run, breath_run) = quick
    assert heart == pytest.approx(10.5, abs=0.3)
    assert 1.1 < heart_run / heart < 1.2
    assert (breath, breath_run) == (pytest.approx(2.5, abs=0.3), pytest.approx(5, abs=0.3))


def test_a_slow_camera_shows_the_heart_at_another_rate():
    rng = np.random.default_rng(0)
    body = simulate_body(rng, np.zeros(4000, bool), 10.0, resolve_dials(None))
    power = np.abs(np.fft.rfft(body.heart)) ** 2
    frequency = np.fft.rfftfreq(4000, 1 / 10)
    # 10.5 Hz seen 10 times a second is 0.5 Hz.
    assert np.average(frequency, weights=power) < 1.5
