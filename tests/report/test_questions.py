"""Tests."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from corticode.evaluate.intervals import detectable_difference
from corticode.report.page_figures import page_figures
from corticode.report.questions import (
    AUTHORS,
    ITEMS,
    QUESTIONS,
    answer_questions,
    blood_words,
    checklist,
    detectable_words,
    detection_passages,
    excluded_words,
    label_rule_words,
    not_shown_words,
    saw_test_words,
    session_means,
    tried_words,
)
from corticode.report.values import RunValues


def said(values, words):
    return next(one for one in answer_questions(values) if words in one.question)


def test_every_question_has_an_answer_or_is_not_done(make_values):
    found = answer_questions(make_values())
    assert len(found) == len(QUESTIONS)
    assert all(one.answer for one in found)
    assert all(one.answer.startswith("not done: ") for one in found if not one.is_done)


def detection_of(values=((2.0, np.nan, 0.9, 0.4), (0.0, 0.75, 0.8, np.inf))):
    rows = [
        {"condition": "gru", "animal": f"m{k + 1}", "false_alarms_per_min": rate,
         "upper_limit_per_min": limit, "rest_min": 4.0, "rest_above": 0.1, "n_onsets": 9,
         "detected": detected, "detected_by_chance": 0.25, "above_at_onset": 0.5,
         "median_latency_s": latency, "window_ahead_s": 0.5, "note": ""}
        for k, (rate, limit, detected, latency) in enumerate(values)
    ]  # fmt: skip
    worst = {"animal": "cohort", "detected": 0.8, "median_latency_s": np.inf}
    worst = rows[0] | worst | {"note": "the worst of 2 animals; with 2 exchangeable animals"}
    return pd.DataFrame([*rows, worst])


def test_what_a_detector_would_do_in_each_animal(make_values):
    values = make_values(tables={"detection": detection_of()})
    detection, calibration = detection_passages(values)
    assert [row[:2] for row in detection.rows] == [
        ("m1", "2.00"),
        ("m2", "none seen (95 %: below 0.75)"),
    ]
    assert [row[-1] for row in detection.rows] == ["0.40 s", "later than 2 s"]
    assert "reaches 0.50 s beyond the decoded frame" in detection.paragraphs[1]
    assert "each of these is the worst of 2 animals" in detection.paragraphs[2]
    assert calibration.paragraphs[0].startswith("not done: ")
    answer = said(values, "false alarm").answer
    assert answer.startswith("0.00 to 2.00 false alarms a minute of rest by animal")
    assert "85 % of onsets detected within 2 s (by chance 25 %)" in answer
    assert {one.name for one in page_figures(values)} >= {"detection"}


def test_calibration_is_told_by_animal(make_values):
    table = pd.DataFrame(
        {"condition": "gru", "animal": ["m1", "m2"], "base_rate": 0.4, "intercept": [0.1, -0.2],
         "slope": [0.8, np.nan], "brier_skill": [0.5, -0.1], "threshold_carried": 0.4,
         "balanced_accuracy_carried": 0.8, "balanced_accuracy_best": 0.9, "lost": [0.05, 0.15]}
    )  # fmt: skip
    values = make_values(tables={"calibration": table})
    rows = detection_passages(values)[1].rows
    assert rows[1] == ("m2", "0.40", "-0.20", "", "-0.10", "0.40", "0.80", "0.90", "0.15")
    answer = said(values, "trusted").answer
    assert "calibration slope 0.80 to 0.80" in answer
    assert "loses 0.100 of balanced accuracy in the mean (most 0.150)" in answer


def test_permuted_labels(make_values):
    answer = said(make_values(), "permuted labels").answer
    assert answer.startswith("with permuted labels (“permuted”) 0.510; difference +0.400")


def test_linear(make_values):
    assert "+0.050" in said(make_values(), "linear model").answer


def test_how_much(make_values):
    assert said(make_values(), "How much data").answer.startswith("3 animals, 6 sessions, 54 bouts")


def test_not_done_says_what_to_do(make_values):
    answer = said(make_values(), "Is it cortex")
    assert not answer.is_done
    assert "[[confounds]]" in answer.answer


def test_whole_session_statistics(make_values):
    values = make_values()
    values.tables["scores"] = values.tables["scores"].assign(look_ahead_s=np.inf)
    assert said(values, "future").answer.startswith("yes: statistics of the whole session")


def test_shift_references(make_values):
    table = pd.DataFrame(
        {"condition": "x", "shift": 30, "animal": ["m1", "m2"], "above_both": [True, False]}
    )
    values = make_values(tables={"shift_references": table}, extra=["x"])
    assert not said(values, "predict").is_done
    values.study["condition"][0]["window"] = {"shift": 0}
    shifted = {**values.study["condition"][0], "name": "x", "window": {"shift": 30}}
    values.study["condition"][-1] = shifted
    assert said(values, "predict").answer == "30 frames: 1 of 2 animals above both lines"


def test_regions_chosen_on_test_animals(make_values):
    values = make_values()
    values.study["condition"][1]["regions"] = {"top": 4, "from": "gru", "on": "test"}
    assert said(values, "regions chosen").answer.startswith("yes, as in the 2024 study")


def test_days_count_within_an_animal(make_values):
    table = session_means(make_values(), "gru")
    assert table["day"].tolist() == [1, 2] * 3


def test_nothing_done():
    assert {one.answer for one in answer_questions(RunValues("r"))} == {"not done: no score yet"}


def test_where_the_variance_comes_from(make_values):
    values = make_values()
    scores = values.tables["scores"]
    other = scores.assign(fold=scores["fold"] + "_b", auc_session_mean=scores["auc"] + 0.02)
    values.tables["scores"] = pd.concat([scores, other], ignore_index=True)
    values.tables["animal_scores"] = values.tables["animal_scores"].assign(
        sd_decoders=0.014, n_decoders=2
    )
    answer = said(values, "training animals and seeds").answer
    assert "of the variance over decoders test animal 0%, training set and seed 100%" in answer


def test_one_animal_has_no_spread_over_animals(make_values):
    values = make_values(animals=["m1"])
    values.tables["animal_scores"] = values.tables["animal_scores"].assign(
        sd_decoders=0.01, n_decoders=2
    )
    assert "over animals none: 1 animal" in said(values, "training animals").answer
    assert said(values, "How much data").answer.startswith("1 animal, 2 sessions")
    assert not [one for one in answer_questions(values) if "nan" in one.answer]


def test_decoders_tested_on_one_class_have_no_skill(make_values):
    values = make_values()
    scores = values.tables["scores"]
    values.tables["scores"] = scores.assign(
        base_rate=scores["base_rate"].where(scores["test_animal"] != "m1", 1.0)
    )
    answer = said(values, "probabilities").answer
    # Brier 0.1 at base rates 0.5 and 0.6: 1 - 0.1 / 0.25 and 1 - 0.1 / 0.24.
    assert answer == (
        "Brier score 0.100, skill over the base rate 0.59 (decoders 0.58 to 0.60); 1 tested on one "
        "class aside"
    )
    values.tables["scores"] = scores.assign(base_rate=1.0)
    assert said(values, "probabilities").answer == (
        "not done: no decoder was tested on both classes"
    )


def test_what_is_not_known_is_not_asserted(make_values):
    values = make_values()
    del values.tables["excluded"]
    assert said(values, "kept out of training").answer == (
        "not done: excluded.csv is missing, which says whether leaks were found"
    )
    nameless = RunValues("r", tables=make_values().tables)
    for question in ("kept out of training", "saw test data", "regions chosen"):
        assert "the study file is missing" in said(nameless, question).answer


def test_the_cohort_says_of_which_condition_it_was_asked(make_values):
    row = {"animal": "cohort", "value": 0.8, "permuted_mean": 0.5, "n_orders": 36, "p": 1 / 36}
    row |= {"smallest_p": 1 / 36, "exchanged": "all sessions", "note": "a caveat"}
    row |= {"decoder": "linear decoders refitted"}
    own = make_values(tables={"nulls": pd.DataFrame([{"condition": "gru"} | row])})
    assert said(own, "cohort").answer == (
        "p = 0.0278 by linear decoders refitted (36 permutations of session labels, all sessions; "
        "the smallest possible 0.028); AUC 0.800, 0.500 where no session keeps its labels; a caveat"
    )
    other = make_values(tables={"nulls": pd.DataFrame([{"condition": "linear"} | row])})
    assert said(other, "cohort").answer.startswith("asked of “linear”: p = 0.0278")


def test_the_map_of_the_condition_in_question_is_told_first(make_values):
    rows = [
        {"condition": condition, "map": "deep-shap", "rank": 1, "region": region, "share": 0.4}
        for condition, region in (("linear", "9"), ("gru", "6"))
    ]
    values = make_values(tables={"map_regions": pd.DataFrame(rows)})
    assert said(values, "Which cortex").answer == (
        "first four regions of “deep-shap” in “gru”: 6, 0.40 of the map"
    )
    values.tables["map_regions"] = pd.DataFrame(rows[:1])
    assert "in “linear”: 9" in said(values, "Which cortex").answer


def test_confounds_asked_of_the_linear_twin_are_told_of_it(make_values):
    table = pd.DataFrame(
        {"condition": ["linear"], "words": ["not separable"], "input": "confounds only",
         "animal": "cohort", "value": 0.8, "verdict": "not separable"}
    )  # fmt: skip
    answer = said(make_values(tables={"confounds": table}), "Is it cortex").answer
    assert answer == "asked of “linear”: not separable"


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
    scores = values.tables["session_scores"]
    scores.loc[(scores["condition"] == "gru"), "auc"] = np.repeat([0.90, 0.92, 0.97], 2)
    linear = scores.loc[scores["condition"] == "linear", "auc"].to_numpy()[::2]
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
    assert said.startswith("the animals are simulated")
    assert ("never saw" in said) == (by == "session")
    assert "blood, motion and light" in said


def test_confounds_of_another_condition_are_none_of_this_one(make_values):
    for condition, is_open in (("gru", False), ("linear", True)):
        row = {"condition": condition, "input": "confounds only", "animal": "cohort", "value": 0.6}
        words = not_shown_words(make_values(tables={"confounds": pd.DataFrame([row])}), "gru")
        only = "blood, motion and light were set against “linear” alone, not against this decoder"
        assert (only in words) == is_open
        assert "were not set against cortex" not in words


def test_behaviour_columns_as_confounds_are_no_blood_motion_or_light(make_values):
    row = {"condition": "gru", "input": "confounds only", "animal": "cohort", "value": 0.6}
    tables = [pd.DataFrame([row | {"confounds": which}]) for which in ("whisking", "measured")]
    for table, is_open in zip((tables[0], pd.concat(tables)), (True, False), strict=True):
        words = not_shown_words(make_values(tables={"confounds": table}), "gru")
        assert ("were not set against cortex" in words) == is_open


def test_states(make_values):
    rows = {row[0]: row[1:] for row in checklist(make_values()).rows}
    assert rows["Animals and sessions tested"][0] == "reported"
    assert rows["A control with permuted labels"] == ("reported", "permuted")
    assert rows["Confounds"] == ("not done", "")
    assert rows["Indicator"][0] == "to be filled in"
    assert len(rows) == len(ITEMS) + len(AUTHORS)


def test_more_than_one_seed(make_values):
    rows = {row[0]: row[1] for row in checklist(make_values(provenance={"seeds": [0, 1]})).rows}
    assert rows["More than one seed"] == "reported"


def test_checklist_of_nothing_done():
    states = {row[1] for row in checklist(RunValues("run")).rows}
    assert states == {"not done", "to be filled in"}
