from dataclasses import replace

import pandas as pd
import pytest

from corticode.evaluate.intervals import detectable_difference
from corticode.report.page_values import RunValues
from corticode.report.study_questions import (
    blood_words,
    detectable_words,
    excluded_words,
    label_rule_words,
    not_shown_words,
    saw_test_words,
    tried_words,
)


def test_labels(make_values):
    assert label_rule_words(make_values(), "gru").startswith("“runrest” holds")
    assert label_rule_words(RunValues("run"), "gru").startswith("not done")


def test_excluded(make_values):
    rows = pd.DataFrame({"what": ["session", "frames", "session"], "reason": ""})
    assert "session: 2, frames: 1" in excluded_words(make_values(tables={"excluded": rows}), "gru")
    assert excluded_words(make_values(), "gru") == "nothing was left out"
    assert excluded_words(RunValues("run"), "gru").startswith("not done")


def test_blood(make_values):
    values = make_values()
    assert blood_words(values, "gru").startswith("not done: traces come as they were given")
    values.study["condition"][0] |= {
        "input": "movie", "preprocess": {"correction": "reference-regression"},
    }  # fmt: skip
    assert blood_words(values, "gru").startswith("movies: the low-passed reference channel")


def test_conditions_tried(make_values):
    values = make_values()
    assert "3 in the study (1 with permuted labels), 3 with scores" in tried_words(values, "gru")
    assert "fits of 2 more" in tried_words(replace(values, n_other_conditions=2), "gru")


def test_choices_that_saw_test_data(make_values):
    values = make_values()
    assert saw_test_words(values, "gru").startswith("none that the study file holds")
    values.study["condition"][0]["preprocess"] = {"scale": "z-score", "scale_over": "session",
                                                  "detrend_s": 3.0}  # fmt: skip
    values.study["condition"][1]["regions"] = {"top": 4, "from": "gru", "on": "test"}
    said = saw_test_words(values, "gru")
    assert "(circular): linear" in said
    assert "moving means that look ahead, scaling" in said
    values.study["condition"][0]["preprocess"]["causal"] = True
    assert "moving means" not in saw_test_words(values, "gru")


def test_detectable_difference(make_values):
    values = make_values()
    scores = values.tables["animal_scores"]
    scores.loc[(scores["condition"] == "gru"), "value"] = [0.90, 0.92, 0.97]
    linear = scores.loc[scores["condition"] == "linear", "value"].to_numpy()
    sd = pd.Series([0.90, 0.92, 0.97] - linear).std()
    said = detectable_words(values, "gru")
    assert said.startswith("with 3 animals a paired t test finds 3.26 SD")
    assert "sign-flip test is 0.25" in said
    assert f"SD {sd:.3f}, detectable {detectable_difference(3, sd):.3f}" in said


def test_one_animal(make_values):
    assert detectable_words(make_values(("m1",)), "gru").startswith("not done: it takes two")


@pytest.mark.parametrize("by", ["animal", "session"])
def test_what_is_not_shown(make_values, by):
    values = make_values(provenance={"simulated": True})
    values.study["folds"]["by"] = by
    said = not_shown_words(values, "gru")
    assert said.startswith("the mice are simulated")
    assert ("never saw" in said) == (by == "session")
    assert "blood, motion and light" in said


def test_artefacts_of_another_condition_are_none_of_this_one(make_values):
    for condition, is_open in (("gru", False), ("linear", True)):
        table = pd.DataFrame([{"condition": condition, "input": "cues only", "mean": 0.6}])
        words = not_shown_words(make_values(tables={"artefacts": table}), "gru")
        assert ("were not set against cortex" in words) == is_open
