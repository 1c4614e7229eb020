import numpy as np
import pandas as pd
import pytest

from corticode.errors import DataError
from corticode.report.canvas import picture
from corticode.report.session_figures import MOST_TRACES, draw_class_shares, draw_region_traces


class TestClassShares:
    def test_points_are_sessions_and_lines_their_means(self):
        table = pd.DataFrame({"animal": ["m10", "m2", "m2"], "base_rate": [0.9, 0.2, 0.4]})
        drawn = draw_class_shares(table).axes[0]
        assert [text.get_text() for text in drawn.get_xticklabels()] == ["m2", "m10"]
        assert drawn.lines[0].get_ydata().tolist() == [0.2, 0.4]
        means = [lines.get_segments()[0][0, 1] for lines in drawn.collections]
        assert means == pytest.approx([0.3, 0.9])

    def test_an_animal_of_which_no_share_is_known(self):
        table = pd.DataFrame({"animal": ["a", "b"], "base_rate": [np.nan, 0.5]})
        assert picture(draw_class_shares(table))


class TestRegionTraces:
    def test_each_has_its_own_line_and_scale(self):
        rng = np.random.default_rng(0)
        traces = rng.normal(size=(90, 3)) * [1, 100, 0]
        drawn = draw_region_traces(traces, ("a", "b", "c"), np.arange(90), np.zeros(90)).axes[0]
        assert [np.std(line.get_ydata()) for line in drawn.lines[:3]] == pytest.approx([1, 1, 0])
        assert np.mean(drawn.lines[1].get_ydata()) == pytest.approx(-5)

    def test_without_classes_nothing_is_shaded(self):
        traces, times = np.eye(3), np.arange(3)
        for target, n_shades in ((None, 0), (np.ones(3), 1)):
            drawn = draw_region_traces(traces, ("a", "b", "c"), times, target).axes[0]
            assert len(drawn.collections) == n_shades
            assert (drawn.get_legend() is not None) == bool(n_shades)

    def test_the_first_ten(self):
        names = [f"r{k}" for k in range(30)]
        figure = draw_region_traces(np.ones((9, 30)), names, np.arange(9), np.ones(9))
        assert len(figure.axes[0].get_yticklabels()) == MOST_TRACES
        assert picture(figure)

    def test_arrays_that_do_not_belong_together(self):
        with pytest.raises(DataError, match="2 names, 3 times and 3 targets do not belong"):
            draw_region_traces(np.ones((3, 1)), ("a", "b"), np.arange(3), np.ones(3))
