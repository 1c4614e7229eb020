"""The packaged map, and which region lies under each pixel of an image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.atlas.maps import (
    Atlas,
    find_regions,
    label_pixels,
    read_atlas,
    to_atlas_transform,
)
from corticode.data.atlas.transforms import apply_transform
from corticode.data.regions import RegionTable
from corticode.errors import DataError, StudyError

ATLAS = read_atlas()
SIDES = np.array(["", *ATLAS.regions.sides])


def turned(degrees, scale, x, y):
    """A similarity that takes bregma of the atlas to (x, y)."""
    a, b = scale * np.cos(np.deg2rad(degrees)), scale * np.sin(np.deg2rad(degrees))
    turn = np.array([[a, -b], [b, a]])
    shift = [x, y] - turn @ ATLAS.landmarks["bregma"]
    return np.vstack([np.column_stack([turn, shift]), [0, 0, 1]])


def test_the_packaged_map():
    assert ATLAS.labels.shape == (512, 512)
    counts = np.bincount(ATLAS.labels.ravel())[1:]
    assert counts.size == 44
    assert counts.sum() == 134_358
    # Pixels of the first, of the smallest and of the last mask.
    assert (counts[0], counts[15], counts[43]) == (4680, 505, 5729)
    names, mirrors = ATLAS.regions.names, ATLAS.regions.mirrors
    assert [names[names.index(mirror)] for mirror in mirrors] == list(mirrors)
    assert all(
        name.endswith(f"_{side}") for name, side in zip(names, ATLAS.regions.sides, strict=True)
    )
    assert ATLAS.regions.groups[8] == ("somatosensory", "SSp-ul")
    assert ATLAS.regions.groups[22] == ("posterior parietal", "visual", "VISa")
    assert len(ATLAS.landmarks) == 10
    with pytest.raises(StudyError, match="there is no atlas 'allen'; there is allen-44"):
        read_atlas("allen")


def test_every_region_lies_on_its_side():
    rows, columns = np.nonzero(ATLAS.labels)
    sides = SIDES[ATLAS.labels[rows, columns]]
    assert columns[sides == "left"].max() < ATLAS.landmarks["bregma"][0]
    assert columns[sides == "right"].min() > ATLAS.landmarks["bregma"][0]


def test_pixels_of_the_map_in_millimetres():
    corner = apply_transform(ATLAS.to_mm, np.array([[256.0, 256], [356, 156]]))
    np.testing.assert_allclose(corner, [[0, 0], [2.06, -2.06]])
    # Where wfield has the same landmarks, to the 5 % that the size of a pixel is good to.
    given = {"front-left": (-1.95, -3.45), "front": (0, -3.45), "back": (0, 3.2)}
    for name, expected in given.items():
        found = apply_transform(ATLAS.to_mm, np.array([ATLAS.landmarks[name]]))[0]
        np.testing.assert_allclose(found, expected, rtol=0.05, atol=1e-9)


def test_labels_are_those_of_the_nearest_pixel_of_the_map():
    table = RegionTable(("a", "b"))
    small = Atlas("small", np.array([[1, 2], [0, 1]], np.uint8), table, {}, 1.0)
    # Twice as large, half a pixel to the right: image x is 2 x + 0.5.
    found = label_pixels(small, np.array([[2.0, 0, 0.5], [0, 2, 0], [0, 0, 1]]), (4, 6))
    assert found.tolist() == [
        [1, 1, 2, 2, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_the_map_itself_comes_back():
    assert np.array_equal(label_pixels(ATLAS, np.eye(3), (512, 512)), ATLAS.labels)
    shifted = label_pixels(ATLAS, np.array([[1.0, 0, 7], [0, 1, -3], [0, 0, 1]]), (512, 512))
    assert np.array_equal(shifted[:-3, 7:], ATLAS.labels[3:, :-7])


@given(st.floats(-30, 30), st.floats(0.15, 0.3), st.floats(55, 75), st.floats(55, 75))
def test_left_stays_left_and_centres_go_there_and_back(degrees, scale, x, y):
    transform = turned(degrees, scale, x, y)
    labels, table, _ = find_regions(ATLAS, transform, (128, 128))
    front, back = (ATLAS.landmarks[name] for name in ("front", "back"))
    (fx, fy), (bx, by) = apply_transform(transform, np.array([front, back]))
    rows, columns = np.nonzero(labels)
    # Which side of the line from back to front each pixel lies on.
    across = (fx - bx) * (rows - by) - (fy - by) * (columns - bx)
    sides = SIDES[labels[rows, columns]]
    assert (across[sides == "left"] < 0).all()
    assert (across[sides == "right"] > 0).all()
    # Whole regions: their centre, taken back to the map, is the centre there.
    for k in np.flatnonzero(np.array(table.pixels) > 0.98 * scale**2 * counts_of_map())[:5]:
        at = np.array([[table.columns[k], table.rows[k]]])
        on_map = apply_transform(np.linalg.inv(transform), at)[0]
        row, column = np.argwhere(ATLAS.labels == k + 1).mean(axis=0)
        assert np.hypot(*(on_map - [column, row])) < 2.5


def counts_of_map():
    return np.bincount(ATLAS.labels.ravel())[1:]


def test_small_regions_are_left_out_by_name():
    labels, table, (finding,) = find_regions(ATLAS, turned(0, 0.08, 32, 32), (64, 64))
    assert set(np.unique(labels)) - {0} == {k + 1 for k, n in enumerate(table.pixels) if n}
    assert min(n for n in table.pixels if n) >= 12
    left_out = [name for name, n in zip(table.names, table.pixels, strict=True) if n == 0]
    assert "SSp-un_left" in left_out
    assert finding.count == len(left_out)
    assert all(name in finding.reason for name in left_out)
    assert np.isnan(table.rows[table.names.index("SSp-un_left")])
    # An image that shows the left hemisphere alone.
    _, table, (finding,) = find_regions(ATLAS, turned(0, 0.25, 127, 64), (128, 128))
    assert all(
        (n > 0) == (side == "left") for n, side in zip(table.pixels, table.sides, strict=True)
    )


def test_an_image_without_regions_is_refused():
    with pytest.raises(
        DataError, match="no region of the atlas has 12 pixels or more in the image"
    ):
        find_regions(ATLAS, turned(0, 0.25, 900, 900), (128, 128))


def test_a_canvas_shows_the_same_place_in_every_animal():
    """Warped onto the canvas, images of two animals become the map, as it is when binned."""
    binned = ATLAS.labels[2::4, 2::4]
    for transform in (turned(5, 0.5, 120, 130), turned(-8, 0.4, 150, 120)):
        labels = label_pixels(ATLAS, transform, (260, 260))
        to_image = to_atlas_transform(transform, ATLAS, (128, 128))
        rows, columns = np.indices((128, 128))
        x, y = apply_transform(to_image, np.stack([columns.ravel(), rows.ravel()], axis=1)).T
        there = np.clip(np.round([y, x]).astype(int), 0, 259)
        found = labels[there[0], there[1]].reshape(128, 128)
        assert (found == binned).mean() > 0.94
        sides = SIDES[found]
        assert (sides[:, :62] != "right").all()
        assert (sides[:, 66:] != "left").all()
