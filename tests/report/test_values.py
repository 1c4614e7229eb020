"""Tests."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.decode.predictions import Predictions
from corticode.errors import DataError
from corticode.report.values import (
    RunValues,
    SessionTrace,
    alike_but,
    choose_by_rule,
    choose_stretch,
    headline_condition,
    trace_sessions,
    without_key,
    worst_stretch,
)


def test_the_first_condition_that_has_a_score(make_values):
    assert headline_condition(make_values()) == "gru"


def test_a_condition_without_a_score_is_passed_over(make_values):
    values = make_values()
    table = values.tables["animal_scores"]
    table.loc[table["condition"] == "gru", "value"] = float("nan")
    assert headline_condition(values) == "linear"


def test_a_cue_is_no_headline(make_values):
    values = make_values()
    values.study["condition"][0]["input"] = "border"
    assert headline_condition(values) == "linear"


def test_a_control_where_there_is_nothing_else(make_values):
    values = make_values()
    table = values.tables["animal_scores"]
    values.tables["animal_scores"] = table[table["condition"] == "permuted"]
    assert headline_condition(values) == "permuted"


def test_without_a_study_file_conditions_are_those_of_the_scores():
    table = pd.DataFrame({"condition": ["b", "a"], "value": [0.9, 0.8]})
    values = RunValues("r", tables={"animal_scores": table})
    assert [one["name"] for one in values.conditions] == ["b", "a"]
    assert headline_condition(values) == "b"


def test_nothing_at_all():
    assert headline_condition(RunValues("r")) is None


def test_alike_but_for_the_shift():
    conditions = [
        {"name": "now", "window": {"before": 5, "shift": 0}},
        {"name": "later", "window": {"before": 5, "shift": 30}},
        {"name": "longer", "window": {"before": 9, "shift": 30}},
    ]
    values = RunValues("r", study={"condition": conditions})
    assert [one["name"] for one in alike_but(values, "now", "window.shift")] == ["later"]


def test_decoders_of_another_kind_may_train_otherwise():
    assert without_key(
        {"network": {}, "training": {"epochs": 3}, "input": "traces"}, "network"
    ) == {"input": "traces"}


def said(score, *, target=(0, 1, 1), frames=(5, 6, 8), kind="binary", animals=("m1",), **fields):
    n = len(frames)
    zero = np.zeros(n, np.int16)
    score = np.asarray(score, np.float32)
    return Predictions(
        np.full(n, 2, np.int8), zero, zero, np.array(frames, np.int32),
        np.array(target, np.float32), score, kind, animals, ("a",), **fields,
    )  # fmt: skip


def test_averaged_over_decoders_and_laid_out_by_frame():
    trace = trace_sessions("gru", [said([0.1, 0.8, 0.9]), said([0.3, 0.6, 0.7])])[0]
    assert trace.first_frame == 5
    assert trace.score == pytest.approx([0.2, 0.7, np.nan, 0.8], nan_ok=True)
    assert trace.auc == 1


def test_labels_that_differ_between_seeds_are_unknown():
    trace = trace_sessions("p", [said([0.1] * 3), said([0.1] * 3, target=(1, 1, 1))])[0]
    assert trace.target == pytest.approx([np.nan, 1, np.nan, 1], nan_ok=True)


def test_of_several_classes_that_which_was():
    scores = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]
    trace = trace_sessions("c", [said(scores, kind="classes", classes=("x", "y", "z"))])[0]
    assert trace.score == pytest.approx([0.7, 0.8, np.nan, 0.2], nan_ok=True)
    assert np.isnan(trace.auc)


def test_kinds_that_differ():
    with pytest.raises(DataError, match="'gru' has predictions of kind 'binary' and 'value'"):
        trace_sessions("gru", [said([0.1] * 3), said([0.1] * 3, kind="value")])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_the_worst_is_the_lowest_and_half_lie_above_the_median(aucs):
    empty = np.zeros(1, np.float32)
    traces = [SessionTrace("g", "m", f"{k}", 0, empty, empty, auc=a) for k, a in enumerate(aucs)]
    median, worst = choose_by_rule(traces)
    assert worst.auc == min(aucs)
    assert sum(a >= median.auc for a in aucs) >= len(aucs) / 2


def test_nothing_to_choose_from():
    assert choose_by_rule([]) is None


def test_the_stretch_with_most_of_both():
    target = np.repeat([0, 1], [70, 30]).astype(np.float32)
    stretch = choose_stretch(SessionTrace("g", "m", "s", 0, target, target), 20)
    assert (stretch.start, stretch.stop) == (60, 80)


def test_a_session_shorter_than_the_stretch():
    target = np.zeros(5, np.float32)
    assert choose_stretch(SessionTrace("g", "m", "s", 0, target, target), 20).start == 0


class TestWorstStretch:
    def test_of_values_and_of_classes(self, make_trace):
        trace = make_trace(noise=0)
        wrong = trace.score.copy()
        wrong[300:400] = 1 - wrong[300:400]
        assert worst_stretch(replace(trace, score=wrong), 100) == slice(300, 400)
        # Of classes the probability of the one that was: least where it is worst.
        said = np.ones(600, np.float32)
        said[500:] = 0.1
        assert worst_stretch(replace(trace, kind="classes", score=said), 100) == slice(500, 600)

    def test_where_nothing_is_known(self, make_trace):
        trace = make_trace()
        assert worst_stretch(replace(trace, score=trace.score * np.nan), 100) == slice(0, 100)
