from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from corticode.errors import DataError
from corticode.report.canvas import picture
from corticode.report.curve_figures import (
    draw_learning_curves,
    draw_onset,
    draw_reliability,
    draw_roc,
    draw_session_traces,
)


def test_roc_says_mean_and_spread():
    rows = [
        {"part": "test", "decoder": d, "animal": d, "auc": a, "false_share": x, "true_share": x}
        for d, a in (("a", 0.8), ("b", 0.9))
        for x in (0, 1)
    ]
    assert draw_roc(pd.DataFrame(rows)).axes[0].get_title() == "test animal\nAUC 0.850 ± 0.071"


def test_kept_epochs_are_marked():
    table = pd.DataFrame(
        {"decoder": "a", "epoch": [1, 2], "train_loss": [0.6, 0.5], "valid_loss": [0.6, 0.7],
         "is_best": [True, False]}
    )  # fmt: skip
    marks = draw_learning_curves(table).axes[1].lines[-1]
    assert (list(marks.get_xdata()), list(marks.get_ydata())) == ([1], [0.6])


def test_reliability_and_onset_are_drawn():
    table = pd.DataFrame({"animal": ["m1", "m2"], "score": 0.5, "share": 0.4, "n_windows": 9})
    assert picture(draw_reliability(table))
    lags = pd.DataFrame({"animal": "m1", "lag_s": [0, 1], "auc": [np.nan, 0.9]})
    assert draw_onset(lags, np.inf).axes[0].get_title().startswith("the decoder sees the whole")
    assert draw_onset(lags, -0.1).axes[0].get_title() == ""


class TestSessionTraces:
    def test_titles_say_the_rule(self, make_trace):
        figure = draw_session_traces([make_trace(), make_trace("m2")], ["median", "worst"], 300)
        titles = [axes.get_title(loc="left") for axes in figure.axes]
        assert titles == ["median: animal m1, session monday", "worst: animal m2, session monday"]

    def test_without_a_rate_time_is_in_frames(self, make_trace):
        figure = draw_session_traces([replace(make_trace(), frame_rate_hz=None)], ["median"])
        assert figure.axes[0].get_xlabel() == "time in the session (frames)"

    def test_values_and_speed(self, make_trace):
        trace = make_trace()
        trace = replace(trace, kind="value", speed=trace.target)
        assert picture(draw_session_traces([trace], ["median"]))


def test_a_missing_column():
    with pytest.raises(DataError, match="the reliabilities have no column n_windows"):
        draw_reliability(pd.DataFrame({"animal": [], "score": [], "share": []}))
