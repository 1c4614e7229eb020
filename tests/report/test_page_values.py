import pandas as pd

from corticode.report.page_values import RunValues, alike_but, headline_condition, without_key


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
