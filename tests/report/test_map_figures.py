import numpy as np
import pandas as pd
import pytest

from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap
from corticode.report.canvas import picture
from corticode.report.map_figures import (
    UNGROUPED_COLOUR,
    draw_correlations,
    draw_group_layout,
    draw_heat_map,
    draw_region_bars,
    group_colour,
)
from corticode.report.region_outlines import outlines_of


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
