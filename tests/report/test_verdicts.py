import pandas as pd

from corticode.evaluate.comparisons import Comparison, compare
from corticode.report.verdicts import verdicts_of


def scores():
    rows = [(c, a, "auc", v) for c, v in (("gru", 0.9), ("raw", 0.8)) for a in ("m1", "m2")]
    table = pd.DataFrame(rows, columns=["condition", "animal", "metric", "value"])
    table.loc[0, "value"] = 0.95
    return table


def test_both_verdicts():
    splits = pd.concat([scores()] * 4).rename(columns={"value": "auc"})
    found = verdicts_of(compare(scores(), [Comparison("4E", ("gru", "raw"))], split_scores=splits))
    assert len(found) == 1
    assert found[0].as_published.startswith("8 splits, as published: p")
    assert found[0].over_animals == "2 animals: +0.125 [-0.193, 0.443]"


def test_one_figure_alone():
    table = compare(scores(), [Comparison("a", ("gru", "raw")), Comparison("b", ("raw", "gru"))])
    found = verdicts_of(table, "b")
    assert [(one.condition_a, one.condition_b) for one in found] == [("raw", "gru")]
    assert found[0].as_published == ""


def test_one_animal_has_no_interval():
    one = scores()[scores()["animal"] == "m1"]
    found = verdicts_of(compare(one, [Comparison("a", ("gru", "raw"))]))
    assert found[0].over_animals == "1 animals: +0.150"
