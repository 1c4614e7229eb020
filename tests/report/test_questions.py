import numpy as np
import pandas as pd

from corticode.report.page_values import RunValues
from corticode.report.questions import QUESTIONS, answer_questions, session_means


def said(values, words):
    return next(one for one in answer_questions(values) if words in one.question)


def test_every_question_has_an_answer_or_is_not_done(make_values):
    found = answer_questions(make_values())
    assert len(found) == len(QUESTIONS)
    assert all(one.answer for one in found)
    assert all(one.answer.startswith("not done: ") for one in found if not one.is_done)


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
    assert "[[artefacts]]" in answer.answer


def test_whole_session_statistics(make_values):
    values = make_values()
    values.tables["scores"] = values.tables["scores"].assign(look_ahead_s=np.inf)
    assert said(values, "future").answer.startswith("yes: statistics of the whole session")


def test_shift_references(make_values):
    table = pd.DataFrame(
        {"condition": "x", "shift": 30, "animal": ["m1", "m2"], "above_both": [True, False]}
    )
    values = make_values(tables={"shift_references": table})
    assert said(values, "predict").answer == "30 frames: 1 of 2 animals above both lines"


def test_regions_chosen_on_test_animals(make_values):
    values = make_values()
    values.study["condition"][1]["regions"] = {"top": 4, "from": "gru", "on": "test"}
    assert said(values, "regions chosen").answer.startswith("yes, as published")


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
