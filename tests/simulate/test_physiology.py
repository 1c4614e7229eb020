"""Tests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.simulate.dials import resolve_dials
from corticode.simulate.physiology import (
    blood_response,
    move_frames,
    run_shift,
    simulate_blood,
    simulate_body,
    simulate_light,
    simulate_movement,
)

RUNNING = np.repeat([False, True, False], 300)
DARK = {"bleaching": 0, "warm_up": 0, "flicker": 0}


def movement(seed=0, **dials):
    far = np.array([0.1, 0.02])
    return simulate_movement(np.random.default_rng(seed), far, RUNNING, 30.0, resolve_dials(dials))


def test_running_shifts_the_brain_within_a_tenth_of_a_second():
    still = movement(jitter=0, jumps=0)
    assert np.all(still.shift[: 300 - 5] == 0)
    assert still.shift[303, 0] > 0.1
    np.testing.assert_allclose(still.shift[590], [0.1, 0.02], atol=1e-3)
    assert still.blur[590] == pytest.approx(0.04, abs=1e-3)
    assert not movement(motion=0, jitter=0, jumps=0, defocus=0).shift.any()


def test_jitter_is_small_and_jumps_are_rare_and_of_one_pixel():
    assert movement(motion=0, jumps=0).shift.std() == pytest.approx(0.02, rel=0.1)
    jumps = np.concatenate([movement(seed, motion=0, jitter=0).shift for seed in range(40)])
    size = np.hypot(*jumps.T)
    assert 0 < np.mean(size > 0) < 0.01
    assert size[size > 0].min() == pytest.approx(1)


def test_mice_move_by_different_amounts_mainly_along_rows():
    far = np.array([run_shift(np.random.default_rng(seed)) for seed in range(50)])
    assert 0.02 <= np.abs(far[:, 0]).min() < np.abs(far[:, 0]).max() <= 0.5
    assert np.median(np.abs(far[:, 1])) < 0.3 * np.median(np.abs(far[:, 0]))


@settings(max_examples=20)
@given(st.floats(-2, 2), st.floats(-2, 2))
def test_a_shift_there_and_back_changes_nothing(rows, columns):
    down, across = 2 * np.pi * np.indices((16, 16)) / 16
    image = (np.sin(down) * np.cos(3 * across) + 2)[None]
    image = image.astype(np.float32)
    shift = np.array([[rows, columns]])
    back = move_frames(move_frames(image, shift, np.zeros(1)), -shift, np.zeros(1))
    np.testing.assert_allclose(back, image, atol=1e-4)


def test_whole_pixels_are_a_roll_and_blur_spreads_a_point():
    image = np.random.default_rng(1).normal(size=(2, 8, 8)).astype(np.float32)
    moved = move_frames(image, np.array([[1.0, -2.0], [0.0, 3.0]]), np.zeros(2))
    np.testing.assert_allclose(moved[0], np.roll(image[0], (1, -2), (0, 1)), atol=1e-5)
    np.testing.assert_allclose(moved[1], np.roll(image[1], 3, 1), atol=1e-5)
    point = np.zeros((1, 15, 15), np.float32)
    point[0, 7, 7] = 1
    spread = move_frames(point, np.zeros((1, 2)), np.array([1.0]))[0]
    assert spread[7, 7] == pytest.approx(1 / (2 * np.pi), abs=0.002)
    assert spread.sum() == pytest.approx(1, abs=1e-5)


def test_blood_starts_after_half_a_second_peaks_at_one_and_a_half_and_recovers():
    impulse = np.zeros(300)
    impulse[30] = 1
    response = blood_response(impulse, 30.0)
    peak = (response.argmax() - 30) / 30
    assert peak == pytest.approx(1.5, abs=0.1)
    assert response[30 + 15] < 0.4 * response.max()
    assert response[30 + 150] < 0.05 * response.max()
    assert response.sum() == pytest.approx(1, abs=0.01)


@settings(max_examples=20)
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


def light(seed=0, n_frames=18_000, **dials):
    rng = np.random.default_rng(seed)
    return simulate_light(rng, n_frames, 30.0, resolve_dials({**DARK, **dials}))


@settings(max_examples=10)
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
