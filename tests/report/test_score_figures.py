"""Tests."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from corticode.errors import DataError
from corticode.evaluate.comparisons import compare_pair, with_families
from corticode.evaluate.confounds import ROWS
from corticode.report.canvas import picture
from corticode.report.score_figures import (
    Verdict,
    draw_confounds,
    draw_learning_curves,
    draw_onset,
    draw_points_by_split,
    draw_reliability,
    draw_roc,
    draw_session_scores,
    draw_session_traces,
    draw_sweep,
    verdicts_of,
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
        figure = draw_session_traces([make_trace(), make_trace("m2")], ["median", "worst"])
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


def scores():
    rows = [(c, a, "auc", v) for c, v in (("gru", 0.9), ("raw", 0.8)) for a in ("m1", "m2")]
    table = pd.DataFrame(rows, columns=["condition", "animal", "metric", "value"])
    table.loc[0, "value"] = 0.95
    return table


def test_both_verdicts():
    splits = pd.concat([scores()] * 4).rename(columns={"value": "auc"})
    found = verdicts_of(
        with_families(compare_pair(scores(), "4E", ("gru", "raw"), split_scores=splits))
    )
    assert len(found) == 1
    assert found[0].as_published.startswith("8 splits, as published: p")
    assert found[0].over_animals == "2 animals: +0.125 [-0.193, 0.443]"


def test_one_figure_alone():
    pairs = (("a", ("gru", "raw")), ("b", ("raw", "gru")))
    table = with_families(pd.concat([compare_pair(scores(), *pair) for pair in pairs]))
    found = verdicts_of(table, "b")
    assert [(one.condition_a, one.condition_b) for one in found] == [("raw", "gru")]
    assert found[0].as_published == ""


def test_one_animal_has_no_interval():
    one = scores()[scores()["animal"] == "m1"]
    found = verdicts_of(with_families(compare_pair(one, "a", ("gru", "raw"))))
    assert found[0].over_animals == "1 animals: +0.150"


def beside_confounds(block="measured", cleaned=0.7):
    means = dict(zip(ROWS, (0.6, 0.65, 0.9, 0.92, 0.3, 0.8, cleaned), strict=True))
    rows = [
        [block, ROWS[name], animal, value + shift, value - 0.1, value + 0.1]
        for name, value in means.items()
        for animal, shift in (("cohort", 0.0), ("m1", 0.01), ("m2", -0.01))
    ]
    heads = ["confounds", "input", "animal", "value", "low", "high"]
    return pd.DataFrame(rows, columns=heads)


class TestConfounds:
    def test_a_dot_an_animal_and_an_interval_over_them(self):
        drawn = draw_confounds(beside_confounds()).axes[0]
        dots = [line for line in drawn.lines if line.get_marker() == "o" and len(line.get_ydata())]
        # In the order of the axis; what both tell beyond confounds is no score and stands nowhere.
        assert dots[0].get_ydata().tolist() == pytest.approx([0.61, 0.66, 0.91, 0.93, 0.71, 0.81])
        bars = [path.vertices[:, 1] for c in drawn.collections for path in c.get_paths()]
        assert sorted(bar.mean() for bar in bars) == pytest.approx([0.6, 0.65, 0.7, 0.8, 0.9, 0.92])
        assert all(np.ptp(bar) == pytest.approx(0.2) for bar in bars)

    def test_what_was_not_refitted_says_so_in_its_own_panel(self):
        both = pd.concat([beside_confounds(), beside_confounds("whisking", np.nan)])
        measured, named = draw_confounds(both).axes
        assert [text.get_text() for text in named.texts] == ["not done"]
        assert not measured.texts
        assert [one.get_title(loc="left") for one in (measured, named)] == [
            "measured confounds", "whisking",
        ]  # fmt: skip

    def test_without_any_value(self):
        assert picture(draw_confounds(beside_confounds().assign(value=np.nan)))
