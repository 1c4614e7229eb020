"""Leaving regions out, and keeping them alone, side by side."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.errors import DataError, StudyError
from corticode.evaluate.intervals import interval
from corticode.evaluate.necessity import SetConditions, set_side_by_side

ANIMALS = ("m1", "m2", "m3", "m4", "m5")
NOISE = np.array([0.0, 0.01, -0.01, 0.005, -0.005])
A = SetConditions("A", "all", "without A", "only A")
B = SetConditions("B", "all", "without B", "only B")


def scores(metric="auc", **means):
    """Animal scores of conditions around their means; the noise differs between them."""
    parts = [
        pd.DataFrame(
            {
                "condition": name.replace("_", " "),
                "metric": metric,
                "animal": ANIMALS,
                "value": mean + np.roll(NOISE, k),
            }
        )
        for k, (name, mean) in enumerate(means.items())
    ]
    return pd.concat(parts)


def test_two_redundant_sets_are_named():
    table = scores(all=0.95, without_A=0.94, only_A=0.93, without_B=0.945, only_B=0.92)
    found = set_side_by_side(table, [A, B])
    assert found.table["needed"].tolist() == ["no", "no"]
    assert found.table["enough"].tolist() == ["yes", "yes"]
    assert found.table["necessity"].tolist() == pytest.approx([0.01, 0.005])
    assert found.table["share_kept"].tolist() == pytest.approx([0.43 / 0.45, 0.42 / 0.45])
    assert found.words[-1] == (
        "A and B are redundant: neither is needed, and neither is alone in knowing"
    )


def test_the_one_set_that_knows():
    table = scores(all=0.95, without_A=0.55, only_A=0.94, without_B=0.95, only_B=0.5)
    found = set_side_by_side(table, [A, B])
    assert found.table[["needed", "enough"]].to_numpy().tolist() == [["yes", "yes"], ["no", "no"]]
    assert len(found.words) == 2
    assert "A, 5 animals: leaving it out costs 0.400 [" in found.words[0]
    assert "auc: it is needed; alone it reads 0.440 [" in found.words[0]
    assert found.words[0].endswith("98% of what all regions do: it is enough alone")


def test_sets_that_add_up():
    table = scores(all=0.95, without_A=0.75, only_A=0.75, without_B=0.75, only_B=0.75)
    assert "add to each other: each is needed" in set_side_by_side(table, [A, B]).words[-1]


def test_one_animal_settles_nothing():
    table = scores(all=0.95, without_A=0.55, only_A=0.94)
    found = set_side_by_side(table[table["animal"] == "m1"], [A])
    assert found.table[["needed", "enough"]].iloc[0].tolist() == ["not settled"] * 2
    assert found.table["n_animals"].tolist() == [1]
    assert "not settled whether it is needed" in found.words[0]


def test_values_start_from_0():
    table = scores("r2", all=0.6, without_A=0.2, only_A=0.5)
    found = set_side_by_side(table, [A]).table.iloc[0]
    assert found["sufficiency"] == pytest.approx(0.5)
    assert found["share_kept"] == pytest.approx(0.5 / 0.6)


def test_decoders_that_read_nothing_settle_nothing():
    table = scores(all=0.49, without_A=0.5, only_A=0.5)
    found = set_side_by_side(table, [A]).table.iloc[0]
    assert np.isnan(found["share_kept"])
    assert found["enough"] == "not settled"
    assert "above chance, and all regions read nothing: not settled" in found["words"]


@given(st.lists(st.tuples(*[st.floats(0.3, 1.0)] * 3), min_size=2, max_size=6))
def test_intervals_are_those_of_the_animals_differences(rows):
    animals = [f"m{k}" for k in range(len(rows))]
    parts = [
        pd.DataFrame({"condition": name, "metric": "auc", "animal": animals, "value": values})
        for name, values in zip(
            ("all", "without A", "only A"), zip(*rows, strict=True), strict=True
        )
    ]
    found = set_side_by_side(pd.concat(parts).sample(frac=1, random_state=0), [A]).table.iloc[0]
    wanted = interval([row[0] - row[1] for row in rows])
    assert found["necessity"] == pytest.approx(wanted.mean, abs=1e-12)
    assert found["necessity_low"] == pytest.approx(wanted.low, abs=1e-9, nan_ok=True)
    assert found["sufficiency"] == pytest.approx(interval([row[2] - 0.5 for row in rows]).mean)


def test_animals_without_all_three_are_left_out():
    table = scores(all=0.95, without_A=0.55, only_A=0.94)
    table.loc[(table["animal"] == "m1") & (table["condition"] == "only A"), "value"] = np.nan
    assert set_side_by_side(table, [A]).table["n_animals"].tolist() == [4]


def test_bad_input_says_the_way_out():
    table = scores(all=0.95, without_A=0.55, only_A=0.94)
    with pytest.raises(StudyError, match="give three different ones"):
        SetConditions("A", "all", "all", "only A")
    with pytest.raises(DataError, match="set 'B' needs condition 'without B', which has no animal"):
        set_side_by_side(table, [B])
    with pytest.raises(StudyError, match="sets are A, A; give one or more, each once"):
        set_side_by_side(table, [A, A])
    with pytest.raises(StudyError, match="near_zero is 0 and enough_share"):
        set_side_by_side(table, [A], near_zero=0)
    mixed = pd.concat([table[table["condition"] != "all"], scores("r2", all=0.3)])
    with pytest.raises(DataError, match="have auc and r2; take conditions that decode the same"):
        set_side_by_side(mixed, [A])
    apart = table.assign(animal=table["animal"] + table["condition"])
    with pytest.raises(DataError, match="no animal has a value under all three conditions"):
        set_side_by_side(apart, [A])
    with pytest.raises(DataError, match="have no column value"):
        set_side_by_side(table.drop(columns="value"), [A])
