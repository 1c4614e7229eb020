"""Sets of regions that a study asks about."""

import pytest

from corticode.errors import StudyError
from corticode.study.study import read_study


def test_a_planted_set_is_needed_and_enough(mapped):
    _, run, _, _ = mapped
    table = run.read_table("region_sets").set_index("set")
    planted, idle = table.loc["planted"], table.loc["idle"]
    assert (planted["needed"], planted["enough"]) == ("yes", "yes")
    assert planted["n_animals"] == 3
    assert planted["n_random"] == 14  # of 15 pairs of six regions, all but the set itself
    assert planted["percentile"] == 100
    assert (idle["needed"], idle["enough"]) == ("no", "no")
    assert idle["linear_words"] == ""
    assert "planted" in planted["words"]


def test_conditions_are_added_once(mapped):
    folder, run, summary, _ = mapped
    names = summary.animal_scores["condition"].unique().tolist()
    assert {"linear: without planted", "linear: planted only"} <= set(names)
    again = read_study(run.study_path)
    assert again.region_sets == read_study(folder / "study.toml").region_sets
    assert [c.name for c in again.conditions].count("linear: planted only") == 1


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('condition = "liner"', "is of 'liner', which is no condition; did you mean 'linear'?"),
        ('condition = "linear"\nn_set = 3', "unknown key 'n_set'; did you mean 'n_sets'?"),
        ('condition = "some"', "is of 'some'; give one of traces that sees all regions"),
    ],
)
def test_faults(linear_cohort, keys, message):
    path = linear_cohort / "study.toml"
    some = '[[condition]]\nname = "some"\nlike = "linear"\nregions = [1]\n'
    added = f'[[region_set]]\nname = "a"\nregions = [1, 2]\n{keys}\n'
    path.write_text(path.read_text("utf-8") + some + added, "utf-8")
    with pytest.raises(StudyError) as caught:
        read_study(path)
    assert message in str(caught.value)


def test_sets_of_one_name_and_turned_round(linear_cohort):
    path = linear_cohort / "study.toml"
    one = '[[region_set]]\nname = "a"\nregions = ["not", 2]\ncondition = "linear"\n'
    path.write_text(path.read_text("utf-8") + one + one, "utf-8")
    with pytest.raises(StudyError) as caught:
        read_study(path)
    assert "several region sets of 'linear' are named 'a'" in str(caught.value)
    assert "region set 'a' begins with 'not'" in str(caught.value)
