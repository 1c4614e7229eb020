"""Tests."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from corticode.data.layouts.study2024 import read_published_regions
from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap
from corticode.report.canvas import picture
from corticode.report.map_figures import (
    MOST_IMAGES,
    MOST_MASKS,
    UNGROUPED_COLOUR,
    circle,
    draw_correlations,
    draw_group_layout,
    draw_heat_map,
    draw_mask_costs,
    draw_mean_images,
    draw_region_bars,
    draw_session_maps,
    draw_square_map,
    group_colour,
    outline,
    outlines_of,
)

NONE = pd.DataFrame({"name": [], "row": [], "column": []})


def shares(*values):
    regions = [f"{k}" for k in range(len(values))]
    return pd.DataFrame({"animal": "m1", "region": regions, "share": values})


class TestHeatMap:
    def test_pixels_lie_at_their_times(self):
        found = ImportanceMap(
            "deep-shap", "share", ("frame", "region"), np.eye(3), names=("a", "b", "c"),
            frames=(-1, 0, 1), frame_rate_hz=10.0,
        )  # fmt: skip
        drawn = draw_heat_map(found).axes[0]
        assert drawn.images[0].get_extent() == pytest.approx([-0.15, 0.15, 2.5, -0.5])

    def test_a_map_over_squares_is_refused(self):
        found = ImportanceMap("occlusion", "AUC", ("row", "column"), np.eye(8))
        with pytest.raises(DataError, match="a map over row, column is no heat map"):
            draw_heat_map(found)


class TestRegionBars:
    def test_heights_are_means_over_animals(self):
        table = pd.concat([shares(0.75, 0.25), shares(0.25, 0.75).assign(animal="m2")])
        bars = draw_region_bars(table).axes[0].patches[:2]
        assert [bar.get_height() for bar in bars] == [0.5, 0.5]

    def test_the_control_stands_beside(self):
        for name in ("permuted labels", "random weights"):
            figure = draw_region_bars(shares(0.75, 0.25), shares(0.5, 0.5), control_name=name)
            labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
            assert labels == [name, "even share"]
        default = draw_region_bars(shares(0.75, 0.25), shares(0.5, 0.5)).axes[0].get_legend()
        assert default.get_texts()[0].get_text() == "permuted labels"

    def test_many_regions_with_odd_names(self):
        table = shares(*np.full(300, 1 / 300)).assign(region=[f"$r{k}<" for k in range(300)])
        assert picture(draw_region_bars(table))


def test_groups_are_the_regions_own_shapes_where_those_are_known():
    table = pd.DataFrame({"name": ["1", "2"], "group": ["a", "b"], "row": np.nan, "column": np.nan})
    labels = np.array([[1, 1, 0, 2]])
    drawn = draw_group_layout(table, outlines=outlines_of(table, labels)).axes[0]
    filled = [patch.get_xy() for patch in drawn.patches if len(patch.get_xy())]
    assert [sorted({x for x, _ in corners}) for corners in filled] == [[-0.5, 1.5], [2.5, 3.5]]
    assert [text.get_text() for text in drawn.texts[:2]] == ["1", "2"]


def test_groups():
    table = pd.DataFrame(
        {"name": ["1", "2"], "group": ["M1", "none"], "row": [5, 9], "column": [3, 6]}
    )
    assert len(draw_group_layout(table).axes) == 1
    assert group_colour(["M1", "none"], "none") == UNGROUPED_COLOUR


def test_correlations_with_a_flat_region():
    table = pd.DataFrame(
        {"animal": "m1", "session": "a", "region": ["1", "2"], "pearson_r": [0.2, np.nan]}
    )
    assert picture(draw_correlations(table))


@pytest.mark.parametrize("image", [None, np.arange(64.0 * 64).reshape(64, 64)])
def test_squares(image):
    figure = draw_square_map(np.zeros((8, 8)), mean_image=image)
    assert len(figure.axes) == (2 if image is None else 3)
    assert picture(figure)


def outlines(*centres):
    table = pd.DataFrame(centres, columns=["row", "column"]).assign(name=range(len(centres)))
    return outlines_of(table)


def test_centres_of_another_size_of_image_are_left_out():
    for size, n_lines in ((4, 2), (3, 0)):
        drawn = draw_mean_images({"m1/a": np.eye(size)}, outlines((1, 2), (3, 3))).axes[0]
        assert len(drawn.lines) == n_lines
        assert drawn.get_xlim() == (-0.5, size - 0.5)


def test_the_overlay_has_the_outlines_and_keeps_the_image_s_size():
    labels = np.zeros((128, 128), np.int64)
    labels[16:32, 64:96] = 3
    found = outlines_of(pd.DataFrame(), labels)
    over = draw_square_map(np.eye(8), mean_image=np.eye(64), outlines=found).axes[1]
    # The same place in an image of half the size.
    assert sorted(set(over.lines[0].get_xdata())) == [31.5, 47.5]
    assert sorted(set(over.lines[0].get_ydata())) == [7.5, 15.5]
    assert over.get_ylim() == (63.5, -0.5)


def test_maps_of_sessions_share_their_scale():
    figure = draw_session_maps({"m2/a": np.eye(8), "m10/b": -3 * np.eye(8)})
    assert [axes.get_title() for axes in figure.axes[:2]] == ["m2\na", "m10\nb"]
    assert {axes.images[0].get_clim() for axes in figure.axes[:2]} == {(-3.0, 3.0)}


def test_costs_of_masks_with_and_without_an_interval():
    table = pd.DataFrame(
        {"mask": [f"<mask> {k}" for k in range(50)], "metric": "r2", "score": 0.1, "low": np.nan,
         "high": np.nan}
    )  # fmt: skip
    drawn = draw_mask_costs(table).axes[0]
    assert drawn.get_xlabel() == "loss of R² where it is covered"
    assert len(drawn.get_yticklabels()) == MOST_MASKS


def test_a_hot_pixel_does_not_take_the_contrast():
    image = np.tile(np.linspace(0, 1, 64), (64, 1))
    image[3, 3] = 1e6
    shown = draw_mean_images({"m1/a": image}).axes[0].images[0]
    assert shown.get_clim()[1] < 2


def test_a_row_an_animal_in_order_and_six_sessions_at_most():
    images = {f"m{k}/{s}": np.eye(4) for k in (10, 2) for s in range(8)}
    figure = draw_mean_images(images)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 2 * MOST_IMAGES
    assert titles[0] == "m2\n0"
    assert picture(figure)


def area(line):
    """Of a closed line, by the shoelace formula; above 0 clockwise as seen on a screen."""
    rows, columns = line.T
    return 0.5 * np.sum(columns * np.roll(rows, -1) - np.roll(columns, -1) * rows)


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
