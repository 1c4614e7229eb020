import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.simulate.dials import resolve_dials
from corticode.simulate.movement import move_frames, run_shift, simulate_movement

RUNNING = np.repeat([False, True, False], 300)


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


@settings(max_examples=20, deadline=None)
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
