import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from corticode.data.movies.motion import measure_motion
from corticode.errors import DataError

SIDE = 64
MARGIN = 8


def scene(seed=0, side=SIDE + 2 * MARGIN):
    """A dim surround, and a vignetted brain with vessels, wider than the frames."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:side, :side] / side - 0.5
    brain = ndimage.gaussian_filter((np.hypot(row / 0.42, column / 0.4) < 1).astype(float), 1)
    vessels = np.abs(ndimage.gaussian_filter(rng.normal(size=(side, side)), 4)) < 0.005
    vessels = ndimage.gaussian_filter(vessels.astype(float), 0.8)
    return 100 + 5000 * brain * (1 - 0.4 * vessels) * (1 - row**2 - column**2)


def moved(image, shifts, noise=0.0, seed=0):
    """Frames that see the image shifted, cut from its middle, with shot noise, as counts."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(image)
    row = np.fft.fftfreq(image.shape[0])[:, None]
    column = np.fft.rfftfreq(image.shape[1])
    frames = []
    for down, right in shifts:
        turned = spectrum * np.exp(-2j * np.pi * (row * down + column * right))
        frame = np.fft.irfft2(turned, image.shape)[MARGIN:-MARGIN, MARGIN:-MARGIN]
        frames.append(frame + noise * np.sqrt(5000 * np.abs(frame)) * rng.normal(size=frame.shape))
    return np.asarray(frames).clip(0).astype(np.uint16)


def test_directions_by_hand():
    movie = moved(scene(), [(0, 0)] * 38 + [(0.5, 0), (0, -1.0)])
    shifts = measure_motion(movie)
    assert shifts.shape == (40, 2)
    np.testing.assert_allclose(shifts[:38], 0, atol=0.04)
    # Down is positive, so is right.
    np.testing.assert_allclose(shifts[38], [0.5, 0], atol=0.05)
    np.testing.assert_allclose(shifts[39], [0, -1.0], atol=0.05)


@pytest.mark.parametrize("largest", [0.1, 0.3, 1.0])
def test_planted_shifts_are_recovered(largest):
    planted = np.random.default_rng(1).uniform(-largest, largest, (120, 2))
    measured = measure_motion(moved(scene(), planted, noise=0.003))
    np.testing.assert_allclose(measured, planted - planted.mean(axis=0), atol=0.05)


@settings(max_examples=15)
@given(down=st.floats(-1, 1), right=st.floats(-1, 1), seed=st.integers(0, 3))
def test_one_shift_is_found_whatever_the_scene(down, right, seed):
    movie = moved(scene(seed), [(0, 0)] * 30 + [(down, right)], noise=0.003)
    np.testing.assert_allclose(measure_motion(movie)[-1], [down, right], atol=0.06)


def test_light_and_activity_are_no_motion():
    image = scene()[MARGIN:-MARGIN, MARGIN:-MARGIN]
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    blob = np.exp(-((row - 0.1) ** 2 + (column + 0.2) ** 2) / 0.03)
    brightness = rng.normal(size=(100, 1, 1)) * 0.05
    movie = image * (1 + brightness + 0.03 * rng.normal(size=(100, 1, 1)) * blob)
    assert np.abs(measure_motion(movie)).max() < 0.03


def test_frames_without_a_place():
    movie = moved(scene(), [(0, 0)] * 20).astype(np.float64)
    movie[3, 10, 10] = np.nan
    movie[5] = 7.0
    shifts = measure_motion(movie)
    assert np.flatnonzero(np.isnan(shifts).any(axis=1)).tolist() == [3, 5]


def test_pixels_without_values_are_left_out():
    movie = moved(scene(), [(0, 0)] * 30 + [(0, 0.5)]).astype(np.float64)
    movie[:, :6] = np.nan
    np.testing.assert_allclose(measure_motion(movie)[-1], [0, 0.5], atol=0.1)


def test_refusals():
    with pytest.raises(DataError, match="frames have 15 x 64 pixels; brain motion needs 16 x 16"):
        measure_motion(np.ones((5, 15, 64)))
    for value in (1.0, np.nan):
        with pytest.raises(DataError, match="the mean image has no structure"):
            measure_motion(np.full((5, 20, 20), value))


class TestOddPixels:
    def test_dead_and_saturated_pixels_do_not_hold_the_image(self):
        """They stay on the camera while the brain moves; one of each hid all motion before."""
        rng = np.random.default_rng(3)
        image = 2000 + 600 * ndimage.gaussian_filter(rng.normal(size=(80, 80)), 1.5)
        down = np.repeat([0, 1], 40)
        movie = np.stack([image[8 - k : 72 - k, 8:72] for k in down])
        movie = rng.poisson(movie).astype(np.uint16)
        clean = measure_motion(movie)
        movie[:, 20, 30], movie[:, 44, 12] = 65_535, 0
        shift = measure_motion(movie)
        assert shift[down == 1, 0].mean() - shift[down == 0, 0].mean() > 0.9
        np.testing.assert_allclose(shift, clean, atol=0.03)
