"""Sessions of one animal laid over each other by their mean images."""

import numpy as np
import pytest
from scipy import ndimage

from corticode.data.atlas.sessions import check_sessions, register_sessions, warp_image
from corticode.errors import DataError

SIDE = 96


def scene(side=SIDE, margin=30):
    """A brain with vessels on a canvas with room around, from one seed."""
    rng = np.random.default_rng(3)
    size = side + 2 * margin
    rows, columns = np.indices((size, size)) - size / 2
    brain = 1 / (1 + np.exp((np.hypot(rows, columns * 1.15) - 0.42 * side) / 1.5))
    veins = ndimage.gaussian_filter(rng.normal(size=(size, size)), 2.5)
    veins = np.abs(veins / veins.std()) < 0.35
    return 200 + 3000 * brain * (1 - 0.25 * ndimage.gaussian_filter(veins.astype(float), 0.8))


def seen(degrees, down, right, noise=0.0, seed=0, gain=1.0, spot=0.0):
    """The scene as a session shows it: turned about the middle, lower, further right."""
    whole = scene()
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = (np.array(whole.shape) - 1) / 2
    # Pixel q of the session shows the scene at turn^-1 (q - middle - shift) + middle.
    back = turn.T
    offset = middle - back @ (middle + np.array([down, right]))
    image = ndimage.affine_transform(whole, back, offset, order=3)[30:-30, 30:-30]
    rows, columns = np.indices(image.shape)
    image = image * (1 + spot * np.exp(-((rows - 30) ** 2 + (columns - 60) ** 2) / 200))
    return gain * image + np.random.default_rng(seed).normal(0, noise, image.shape)


@pytest.mark.parametrize(
    ("degrees", "down", "right"), [(0, 0, 0), (0, 3.3, -2.6), (2.4, -1.5, 4.2), (-6.3, 7, 5.5)]
)
def test_a_planted_shift_and_rotation_are_found(degrees, down, right):
    first = seen(0, 0, 0, noise=15)
    other = seen(degrees, down, right, noise=15, seed=1, gain=1.4, spot=0.15)
    found, findings = register_sessions([first, other])
    assert findings == []
    assert np.array_equal(found.transforms[0], np.eye(3))
    np.testing.assert_allclose(found.shifts[1], [down, right], atol=0.1)
    assert found.rotations_degrees[1] == pytest.approx(degrees, abs=0.1)
    assert found.correlations[1] > 0.8
    # Warped onto the first session's pixels it shows the same.
    shifts, findings = check_sessions([first, other], found.transforms)
    assert np.abs(shifts).max() < 0.1
    assert findings == []


def test_sessions_that_lie_apart_are_named():
    images = [seen(0, 0, 0), seen(0, 5, -1)]
    shifts, (finding,) = check_sessions(images, [np.eye(3), np.eye(3)], ["day 1", "day 2"])
    np.testing.assert_allclose(shifts, [[0, 0], [5, -1]], atol=0.1)
    assert finding.item == "day 2"
    assert "lies 5.1 pixels from the animal's first session" in finding.reason


def test_another_animal_is_found_out():
    rng = np.random.default_rng(5)
    other = 1000 + 300 * ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2)
    _, (finding,) = register_sessions([seen(0, 0, 0), other])
    assert finding.item == "2"
    assert "hardly looks like that of the animal's first session" in finding.reason


def test_pixels_without_a_value_take_no_part():
    first, other = seen(0, 0, 0), seen(0, 2, 1)
    other[:, :9] = np.nan
    found, _ = register_sessions([first, other])
    np.testing.assert_allclose(found.shifts[1], [2, 1], atol=0.2)


def test_images_that_cannot_be_laid_over_each_other():
    with pytest.raises(DataError, match=r"mean images of sessions have 40 x 40, 48 x 40 pixels"):
        register_sessions([np.eye(40), np.eye(48)[:, :40]])
    with pytest.raises(DataError, match="8 x 8 pixels; they need to be of one size, 32 x 32"):
        register_sessions([np.eye(8), np.eye(8)])
    with pytest.raises(DataError, match="have none pixels"):
        register_sessions([])
    with pytest.raises(DataError, match="a mean image is the same everywhere"):
        register_sessions([np.ones((40, 40))])


def test_warping_by_hand():
    image = np.arange(12.0).reshape(3, 4)
    # The canvas shows the image one pixel further left and half a pixel higher.
    transform = np.array([[1, 0, 1], [0, 1, 0.5], [0, 0, 1]])
    expected = [[3, 4, 5, np.nan], [7, 8, 9, np.nan], [np.nan] * 4]
    np.testing.assert_allclose(warp_image(image, transform), expected)
    assert warp_image(image, np.eye(3), (2, 5)).shape == (2, 5)
