import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from corticode.data.layouts.study2024 import read_published_regions
from corticode.report.region_outlines import circle, outline, outlines_of

NONE = pd.DataFrame({"name": [], "row": [], "column": []})


def area(line):
    """Of a closed line, by the shoelace formula; above 0 clockwise as seen on a screen."""
    rows, columns = line.T
    return 0.5 * np.sum(columns * np.roll(rows, -1) - np.roll(columns, -1) * rows)


@settings(max_examples=60)
@given(arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_lines_hold_as_many_pixels_as_the_mask(mask):
    lines = outline(mask)
    assert sum(map(area, lines)) == pytest.approx(mask.sum())
    # Lines have corners alone: no two steps go the same way.
    for line in lines:
        steps = np.sign(np.diff(line, axis=0, append=line[:1]))
        assert (steps != np.roll(steps, 1, axis=0)).any(axis=1).all()


def test_a_hole_is_a_line_of_its_own():
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert sorted(map(area, outline(ring))) == [-1, 9]


def test_pixels_that_touch_by_a_corner_are_two_lines():
    assert [area(line) for line in outline(np.eye(2, dtype=bool))] == [1, 1]


def test_numbers_are_names_or_places():
    table = pd.DataFrame({"name": ["2", "b", "1"], "row": np.nan, "column": np.nan})
    found = outlines_of(table, np.array([[1, 1], [0, 2]]))
    assert list(found.lines) == ["1", "2"]
    assert found.words.startswith("Outlines: the pixels of each region")
    assert list(outlines_of(table, np.array([[1, 3]])).lines) == ["2", "1"]
    assert list(outlines_of(table, np.array([[4, 12]])).lines) == ["4", "12"]
    assert list(outlines_of(NONE, np.array([[1, 2]])).lines) == ["1", "2"]


def test_outlines_of_a_label_image_are_scaled_to_other_sizes():
    found = outlines_of(NONE, np.array([[0, 1], [0, 1]]))
    assert found.on((4, 4))["1"][0].tolist() == [[-0.5, 1.5], [-0.5, 3.5], [3.5, 3.5], [3.5, 1.5]]


def test_published_centres_know_their_image():
    known = read_published_regions()
    table = pd.DataFrame({"name": known.names, "row": known.rows, "column": known.columns})
    found = outlines_of(table)
    assert found.shape == (128, 128)
    assert "no shapes were published" in found.words
    first = found.on((64, 64))["1"][0].mean(axis=0)
    assert first == pytest.approx((np.array([13.8, 41.6]) - 0.5) / 2 - 0.5)


def test_centres_that_are_not_known():
    assert outlines_of(NONE) is None
    assert outlines_of(pd.DataFrame({"name": ["a"], "row": [1.0], "column": [np.nan]})) is None


def test_circles_are_round():
    drawn = circle(np.array([3.0, 4.0]), 2.0)
    assert np.hypot(*(drawn - [3, 4]).T) == pytest.approx(2.0)
