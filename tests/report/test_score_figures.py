import numpy as np
import pandas as pd
import pytest

from corticode.errors import DataError
from corticode.report.canvas import picture
from corticode.report.score_figures import (
    Verdict,
    draw_points_by_split,
    draw_session_scores,
    draw_sweep,
)


def by_split(conditions=("gru", "rnn"), animals=("m1", "m2"), value=0.9):
    rows = [(c, a, value - 0.1 * k) for c in conditions for k, a in enumerate(animals)]
    return pd.DataFrame(rows, columns=["condition", "test_animal", "value"])


class TestPointsBySplit:
    def test_every_split_is_a_point(self):
        drawn = draw_points_by_split(by_split()).axes[0]
        points = [
            line for line in drawn.lines if line.get_marker() == "o" and len(line.get_xdata())
        ]
        assert sorted(float(y) for line in points for y in line.get_ydata()) == pytest.approx(
            [0.8, 0.8, 0.9, 0.9]
        )

    def test_both_verdicts_are_written(self):
        verdict = Verdict("gru", "rnn", "splits: p = 0.003", "5 mice: +0.02 [-0.01, 0.05]")
        words = [
            text.get_text()
            for text in draw_points_by_split(by_split(), "auc", [verdict]).axes[0].texts
        ]
        assert words == ["splits: p = 0.003\n5 mice: +0.02 [-0.01, 0.05]"]  # fmt: skip

    def test_no_tick_above_the_scores(self):
        verdicts = [Verdict("gru", "rnn", "a", "b")] * 3
        drawn = draw_points_by_split(by_split(), "auc", verdicts).axes[0]
        assert max(drawn.get_yticks()) <= 1

    def test_one_value_and_none(self):
        table = by_split(("gru",), ("m1",))
        assert picture(draw_points_by_split(table))
        assert picture(draw_points_by_split(table.assign(value=np.nan)))

    def test_the_first_sixteen_of_a_thousand(self):
        table = by_split([f"condition {k}" for k in range(1000)])
        assert len(draw_points_by_split(table).axes[0].get_xticks()) == 16

    def test_a_missing_column(self):
        with pytest.raises(DataError, match="the scores by split have no column value"):
            draw_points_by_split(by_split().drop(columns="value"))


class TestSweep:
    def test_lines_of_reference(self):
        table = pd.DataFrame({"setting": [0, 30], "animal": "m1", "value": [0.9, 0.8]})
        lines = {"persistence": pd.Series({0: 1.0, 30: 0.7})}
        drawn = draw_sweep(table, "shift", lines=lines).axes[0]
        labels = [text.get_text() for text in drawn.get_legend().get_texts()]
        assert labels == ["m1", "mean of animals", "persistence"]

    def test_a_setting_that_is_no_number(self):
        table = pd.DataFrame({"setting": [100, "none"], "animal": "m1", "value": [0.9, 0.8]})
        drawn = draw_sweep(table, "filter").axes[0]
        assert [label.get_text() for label in drawn.get_xticklabels()] == ["100", "none"]


def test_sessions_in_the_order_of_days():
    table = pd.DataFrame(
        {"animal": "m1", "day": [2, 1], "base_rate": [0.4, 0.6], "value": [0.8, 0.9]}
    )
    line = draw_session_scores(table).axes[1].lines[0]
    assert list(line.get_ydata()) == [0.9, 0.8]
