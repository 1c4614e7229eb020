import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays

from corticode.errors import MissingDataError, StudyError
from corticode.explain.pixel_masks import Circle, pixel_masks, read_drawn_mask


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_a_drawn_mask_is_kept_to_the_pixel(tmp_path_factory, image):
    path = tmp_path_factory.getbasetemp() / "drawn.npy"
    np.save(path, image)
    np.testing.assert_array_equal(read_drawn_mask(path).covered, image)


def test_settings_follow_what_is_drawn_not_where_it_lies(tmp_path):
    image = np.zeros((6, 8), np.uint8)
    image[2:4, 5:] = 255
    tifffile.imwrite(tmp_path / "a.tif", image)
    np.save(tmp_path / "b.npy", image > 0)
    assert read_drawn_mask(tmp_path / "a.tif") == read_drawn_mask(tmp_path / "b.npy")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3, 3)), "it needs one number a pixel"),
        (np.full((3, 3), np.nan), "it needs one number a pixel"),
        (np.full((3, 3), "a"), "it needs one number a pixel"),
        (np.array([["a", None]], dtype=object), "cannot be read"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path, values, message):
    np.save(tmp_path / "mask.npy", values)
    with pytest.raises(StudyError, match=message):
        read_drawn_mask(tmp_path / "mask.npy")


def test_files_that_are_none(tmp_path):
    with pytest.raises(MissingDataError, match="does not exist; give the path"):
        read_drawn_mask(tmp_path / "mask.npy")
    for name in ("mask.png", "mask.tif", "mask.npy"):
        (tmp_path / name).write_bytes(b"no image")
        with pytest.raises(StudyError, match=r"is no \.npy or|cannot be read"):
            read_drawn_mask(tmp_path / name)


def test_masks_have_to_suit_the_movie(tmp_path):
    np.save(tmp_path / "left.npy", np.arange(20).reshape(4, 5) < 3)
    drawn = read_drawn_mask(tmp_path / "left.npy")
    both = pixel_masks([("left", drawn), ("spot", Circle(1, 1, 1))], (4, 5))
    assert [(mask.name, int(mask.covered.sum())) for mask in both] == [("left", 3), ("spot", 5)]
    with pytest.raises(StudyError, match="make the mask for that shape"):
        pixel_masks([("left", drawn)], (4, 6))
    with pytest.raises(StudyError, match="covers nothing"):
        pixel_masks([("off", Circle(-9, 0, 1))], (4, 5))
    with pytest.raises(StudyError, match="covers everything"):
        pixel_masks([("all", Circle(0, 0, 99))], (4, 5))
