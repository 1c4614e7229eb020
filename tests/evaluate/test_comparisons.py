"""Tests."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from corticode.errors import DataError, StudyError
from corticode.evaluate.comparisons import (
    AS_PUBLISHED,
    PAIRED_T,
    SIGN_FLIP,
    Comparison,
    cannot_reach,
    check_columns,
    compare_groups,
    compare_pair,
    variance_shares,
    with_families,
)
from corticode.evaluate.intervals import group_permutation_test, smallest_sign_flip_p

# AUC of the published splits (doi:10.1371/journal.pcbi.1011074), a row of four splits an animal:
# test animal 1 with validation animals 2, 3, 4, 5, then test animal 2, and so on.
# fmt: off
AUC = {
    "gru": [
        0.9581, 0.9551, 0.9601, 0.9589,
        0.9865, 0.9859, 0.9810, 0.9826,
        0.9837, 0.9836, 0.9814, 0.9846,
        0.9875, 0.9873, 0.9837, 0.9853,
        0.9611, 0.9550, 0.9577, 0.9564,
    ],
    "lstm": [
        0.9527, 0.9544, 0.9432, 0.9571,
        0.9771, 0.9849, 0.9798, 0.9816,
        0.9750, 0.9808, 0.9782, 0.9785,
        0.9819, 0.9742, 0.9828, 0.9796,
        0.9626, 0.9547, 0.9570, 0.9546,
    ],
    "rnn": [
        0.9346, 0.9366, 0.9407, 0.9555,
        0.8663, 0.9764, 0.9807, 0.8653,
        0.9784, 0.9791, 0.9750, 0.9778,
        0.9803, 0.9851, 0.9735, 0.9807,
        0.9474, 0.9241, 0.9486, 0.9539,
    ],
    "bi-lstm": [
        0.9246, 0.9361, 0.9484, 0.9187,
        0.9521, 0.9840, 0.9782, 0.9766,
        0.9805, 0.9752, 0.9668, 0.9804,
        0.9746, 0.9856, 0.9375, 0.9782,
        0.9530, 0.9579, 0.9475, 0.9537,
    ],
    "bi-gru": [
        0.9569, 0.9646, 0.9631, 0.9693,
        0.9852, 0.9849, 0.9805, 0.9808,
        0.9840, 0.9834, 0.9810, 0.9849,
        0.9828, 0.9845, 0.9824, 0.9840,
        0.9581, 0.9591, 0.9538, 0.9532,
    ],
    "bi-rnn": [
        0.9536, 0.9377, 0.9393, 0.9419,
        0.9834, 0.9780, 0.9798, 0.9826,
        0.9738, 0.9809, 0.9690, 0.9778,
        0.9844, 0.9841, 0.9746, 0.9834,
        0.9596, 0.9543, 0.9507, 0.9538,
    ],
    "gru, raw dF/F": [
        0.9128, 0.8793, 0.8776, 0.7937,
        0.9784, 0.9783, 0.8803, 0.8867,
        0.9658, 0.9727, 0.9634, 0.8427,
        0.9791, 0.9109, 0.9732, 0.9610,
        0.8685, 0.8414, 0.8488, 0.9120,
    ],
    "gru, length 5": [
        0.9044, 0.8692, 0.8851, 0.9166,
        0.9620, 0.9590, 0.9603, 0.9599,
        0.9638, 0.9614, 0.9665, 0.9715,
        0.9760, 0.9786, 0.9750, 0.9726,
        0.9553, 0.9513, 0.9502, 0.9463,
    ],
    "gru, FLa&HLa only": [
        0.9081, 0.9179, 0.9304, 0.9148,
        0.9815, 0.9834, 0.9839, 0.9830,
        0.9846, 0.9836, 0.9810, 0.9840,
        0.9865, 0.9859, 0.9809, 0.9858,
        0.9658, 0.9617, 0.9624, 0.9592,
    ],
    "gru, all but FLa&HLa": [
        0.9307, 0.9404, 0.9296, 0.9399,
        0.9330, 0.9490, 0.9144, 0.9407,
        0.9241, 0.9313, 0.9248, 0.9446,
        0.9523, 0.9563, 0.9475, 0.9605,
        0.9377, 0.9392, 0.9378, 0.9342,
    ],
    "gru, M2&M1 only": [
        0.9076, 0.9108, 0.9040, 0.9124,
        0.8867, 0.8845, 0.8625, 0.8710,
        0.8163, 0.8153, 0.8048, 0.8444,
        0.9001, 0.9097, 0.9032, 0.8858,
        0.8599, 0.8119, 0.8605, 0.8275,
    ],
    "gru, FL&HL only": [
        0.8857, 0.9142, 0.9144, 0.9342,
        0.9837, 0.9839, 0.9839, 0.9822,
        0.9854, 0.9840, 0.9823, 0.9855,
        0.9870, 0.9874, 0.9820, 0.9866,
        0.9714, 0.9595, 0.9650, 0.9626,
    ],
    "cnn": [
        0.8180, 0.7680, 0.8610, 0.6710,
        0.8910, 0.8790, 0.8860, 0.9180,
        0.9260, 0.9260, 0.9450, 0.9480,
        0.9590, 0.9300, 0.9500, 0.9440,
        0.9230, 0.9380, 0.9240, 0.9200,
    ],
    "cnn-gru, length 5": [
        0.9260, 0.8800, 0.9010, 0.8750,
        0.9680, 0.9810, 0.9830, 0.9750,
        0.9680, 0.9700, 0.9770, 0.9770,
        0.9820, 0.9820, 0.9780, 0.9760,
        0.9500, 0.9560, 0.9520, 0.9530,
    ],
}
# fmt: on
NETWORKS = ("gru", "lstm", "rnn", "bi-lstm", "bi-gru", "bi-rnn")


def compare(animal_scores, families, split_scores=None):
    """All pairs of some families, as a run compares them."""
    pairs = [(one.name, pair) for one in families for pair in one.pairs]
    tables = [compare_pair(animal_scores, *pair, split_scores=split_scores) for pair in pairs]
    return with_families(pd.concat(tables, ignore_index=True))


def published():
    """Scores by split, as a run keeps them."""
    rows = [
        [condition, str(k // 4 + 1), value]
        for condition, values in AUC.items()
        for k, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["condition", "test_animal", "auc"])


@pytest.fixture(scope="module")
def table():
    families = [
        Comparison("Fig. 4F", NETWORKS),
        Comparison("Fig. 4E", ("gru", "gru, raw dF/F")),
        Comparison("Fig. 6D", ("gru", "gru, FLa&HLa only", "gru, all but FLa&HLa")),
        Comparison("Fig. 6F", ("gru, FL&HL only", "gru, M2&M1 only")),
        Comparison("Fig. 2E", ("cnn-gru, length 5", "cnn")),
        Comparison("lengths", ("gru", "gru, length 5")),
    ]
    splits = published()
    means = splits.groupby(["condition", "test_animal"])["auc"].mean().rename("value")
    means = means.reset_index().rename(columns={"test_animal": "animal"}).assign(metric="auc")
    return compare(means, families, split_scores=splits)


def one(table, a, b, method):
    chosen = (table["condition_a"] == a) & (table["condition_b"] == b)
    found = table[chosen & (table["method"] == method)]
    assert len(found) == 1
    return found.iloc[0]


@pytest.mark.parametrize(
    ("a", "b", "effect", "p"),
    [
        ("gru", "gru, raw dF/F", 0.0624, 0.0071),
        ("gru", "rnn", 0.0208, 0.118),
        ("gru", "lstm", 0.0042, 0.020),
        ("gru", "gru, FLa&HLa only", 0.0076, 0.41),
        ("gru", "gru, all but FLa&HLa", 0.0354, 0.0060),
        ("gru, FL&HL only", "gru, M2&M1 only", 0.097, 0.022),
        ("cnn-gru, length 5", "cnn", 0.059, 0.027),
        ("gru", "gru, length 5", 0.0245, 0.077),
    ],
)
def test_published_pairs_over_animals(table, a, b, effect, p):
    row = one(table, a, b, PAIRED_T)
    decimals = len(str(effect)) - 2
    assert round(row["effect"], decimals) == effect
    assert round(row["p"], len(str(p)) - 2) == p
    assert (row["n"], row["unit"]) == (5, "animal")


@pytest.mark.parametrize(
    ("b", "low", "high"), [("gru, raw dF/F", 0.028, 0.097), ("rnn", -0.008, 0.050)]
)
def test_published_intervals(table, b, low, high):
    row = one(table, "gru", b, PAIRED_T)
    assert (round(row["low"], 3), round(row["high"], 3)) == (low, high)
    flips = one(table, "gru", b, SIGN_FLIP)
    assert (flips["p"], flips["smallest_p"], flips["same_direction"]) == (
        0.0625,
        0.0625,
        "5 of 5 animals",
    )
    assert "cannot reach 0.05: with 5 animals" in flips["note"]


def test_as_published(table):
    rnn, lstm = (one(table, "gru", name, AS_PUBLISHED) for name in ("rnn", "lstm"))
    assert (round(rnn["p"], 5), round(rnn["p_holm"], 4)) == (0.0028, 0.0419)
    assert (round(lstm["p"], 4), round(lstm["p_holm"], 3)) == (0.0411, 0.411)
    assert (rnn["unit"], rnn["n"]) == ("split", 20)
    assert one(table, "gru", "gru, raw dF/F", AS_PUBLISHED)["p"] == pytest.approx(2e-4, abs=5e-5)


def test_families_are_adjusted_alone(table):
    networks = table[(table["comparison"] == "Fig. 4F") & (table["method"] == PAIRED_T)]
    assert len(networks) == 15
    smallest = networks.loc[networks["p"].idxmin()]
    assert smallest["p_holm"] == pytest.approx(15 * smallest["p"])
    alone = one(table, "gru", "gru, raw dF/F", PAIRED_T)
    assert alone["p"] == alone["p_holm"]


def test_disagreements_are_flagged(table):
    # Published as different, animals do not tell; published as alike, animals do; both agree.
    assert one(table, "gru", "rnn", PAIRED_T)["disagrees"]
    assert one(table, "gru", "rnn", AS_PUBLISHED)["disagrees"]
    assert one(table, "gru", "lstm", PAIRED_T)["disagrees"]
    assert not one(table, "gru", "gru, raw dF/F", PAIRED_T)["disagrees"]


def test_columns_and_p_are_complete(table):
    first = ["comparison", "condition_a", "condition_b", "metric", "method", "unit", "n"]
    assert table.columns[:12].tolist() == [*first, "effect", "low", "high", "p", "p_holm"]
    assert not (table["p"] <= 0).any()
    beside = table["method"].str.startswith("bootstrap")
    assert beside.sum() * 4 == len(table)
    assert table.loc[~beside, "p"].notna().all()
    assert table.loc[beside, "p"].isna().all()


def animals(a, b, metric="auc"):
    """Animal scores of two conditions."""
    names = [f"m{k}" for k in range(len(a))]
    parts = [
        pd.DataFrame({"condition": name, "animal": names, "metric": metric, "value": values})
        for name, values in (("a", a), ("b", b))
    ]
    return pd.concat(parts, ignore_index=True)


def test_only_animals_with_both_count():
    scores = animals([0.9, 0.8, 0.7, 0.6], [0.7, np.nan, 0.6, 0.5]).iloc[:-1]
    found = compare(scores, [Comparison("x", ("a", "b"))])
    row = one(found, "a", "b", PAIRED_T)
    assert (row["n"], row["same_direction"]) == (2, "2 of 2 animals")
    assert row["effect"] == pytest.approx(0.15)
    assert not found["disagrees"].any()


def test_one_animal_and_equal_differences_say_so():
    alone = compare(animals([0.9], [0.8]), [Comparison("x", ("a", "b"))])
    assert "1 animal has both conditions" in one(alone, "a", "b", PAIRED_T)["note"]
    equal = compare(animals([0.9, 0.8], [0.8, 0.7]), [Comparison("x", ("a", "b"))])
    row = one(equal, "a", "b", PAIRED_T)
    assert "no spread" in row["note"]
    assert np.isnan(row["p"])
    nothing = compare(animals([np.nan], [np.nan]), [Comparison("x", ("a", "b"))])
    assert nothing["n"].tolist() == [0, 0, 0]
    assert nothing["p"].isna().all()


def test_swapping_conditions_turns_the_effect():
    scores = animals([0.9, 0.8, 0.75], [0.7, 0.75, 0.6])
    ab, ba = (
        one(compare(scores, [Comparison("x", pair)]), *pair, PAIRED_T)
        for pair in (("a", "b"), ("b", "a"))
    )
    assert (ab["effect"], ab["low"], ab["p"]) == pytest.approx(
        (-ba["effect"], -ba["high"], ba["p"])
    )


def test_words_where_a_design_cannot():
    assert cannot_reach(1 / 32, "6 animals") == ""
    assert cannot_reach(float("nan"), "0 animals") == ""


@pytest.mark.parametrize("conditions", [(), ("a",), ("a", "a")])
def test_comparison_needs_two_conditions(conditions):
    with pytest.raises(StudyError, match="give two or more conditions, each once"):
        Comparison("x", conditions)


def test_errors():
    scores = animals([0.9, 0.8], [0.7, 0.75])
    with pytest.raises(DataError, match=r"'c' is compared but has no animal scores; .* 'a', 'b'"):
        compare(scores, [Comparison("x", ("a", "c"))])
    scores.loc[scores["condition"] == "b", "metric"] = "r2"
    with pytest.raises(DataError, match="which has auc, against 'b', which has r2"):
        compare(scores, [Comparison("x", ("a", "b"))])
    with pytest.raises(DataError, match="have no column value"):
        check_columns(scores.drop(columns="value"), ("value",), "animal scores")
    with pytest.raises(DataError, match="scores by split have no column auc"):
        compare(
            animals([1.0], [0.5]),
            [Comparison("x", ("a", "b"))],
            split_scores=pd.DataFrame({"condition": ["a"]}),
        )
    with pytest.raises(DataError, match="'b' is compared but has no scores by split"):
        compare(
            animals([1.0], [0.5]),
            [Comparison("x", ("a", "b"))],
            split_scores=pd.DataFrame({"condition": ["a"], "auc": [0.5]}),
        )


def splits(values, n_seeds=1):
    """Scores (animal, fold, seed) of one condition."""
    rows = [
        ["gru", f"test-m{a}_{f}", f"m{a}", s, values[a, f, s]]
        for a, f, s in np.ndindex(values.shape)
        if s < n_seeds
    ]
    return pd.DataFrame(rows, columns=["condition", "fold", "test_animal", "seed", "auc"])


def shares(table):
    row = variance_shares(table, "auc").iloc[0]
    return row["test_animal"], row["training_set"], row["seed"]


def test_planted_shares_are_found():
    rng = np.random.default_rng(0)
    n = 60
    animal, fold, seed = (
        rng.normal(size=(n, 1, 1)),
        rng.normal(size=(n, 8, 1)),
        rng.normal(size=(n, 8, 6)),
    )
    found = shares(splits(3 * animal + 2 * fold + 1 * seed, 6))
    assert found == pytest.approx((9 / 14, 4 / 14, 1 / 14), abs=0.1)
    assert sum(found) == pytest.approx(1)


def test_nothing_but_one_source():
    shape = np.ones((3, 4, 2))
    animal = shares(splits(shape * np.arange(3)[:, None, None], 2))
    assert animal == pytest.approx((1, 0, 0))
    # Seeds alone: neither folds nor animals differ more than seeds make them.
    seed = shares(splits(shape * np.array([-1.0, 1.0]), 2))
    assert seed == pytest.approx((0, 0, 1))


def test_one_seed_is_not_told_from_the_training_set():
    row = variance_shares(splits(np.random.default_rng(0).normal(size=(5, 4, 1))), "auc").iloc[0]
    assert (row["n_animals"], row["n_splits"], row["n_seeds"]) == (5, 20, 1)
    assert np.isnan(row["seed"])
    assert row["test_animal"] + row["training_set"] == pytest.approx(1)


def test_designs_that_tell_nothing():
    one_animal = splits(np.random.default_rng(0).normal(size=(1, 4, 2)), 2)
    assert np.isnan(shares(one_animal)).all()
    one_fold = splits(np.random.default_rng(0).normal(size=(4, 1, 1)))
    assert np.isnan(shares(one_fold)).all()
    assert np.isnan(shares(splits(np.full((3, 2, 1), 0.5)))).all()
    assert variance_shares(one_fold.iloc[:0], "auc").empty


def test_missing_column():
    with pytest.raises(DataError, match="no column fold"):
        variance_shares(splits(np.ones((2, 2, 1))).drop(columns="fold"), "auc")


def sessions_of(values, condition="gru"):
    """A table of sessions by animal and session; one fold."""
    rows = [[condition, "f", 0, animal, session, 0, 99, 4, 4, value]
            for (animal, session), value in values.items()]  # fmt: skip
    columns = ["condition", "fold", "seed", "animal", "session", "first_frame", "last_frame"]
    return pd.DataFrame(rows, columns=[*columns, "n_bouts_0", "n_bouts_1", "auc"])


class TestGroups:
    def test_of_different_animals(self):
        values = {(f"m{k}", "s"): v for k, v in enumerate([0.9, 0.85, 0.8, 0.95, 0.7, 0.75, 0.72])}
        groups = {name: "wt" if k < 4 else "ko" for k, name in enumerate(values)}
        table = compare_groups(sessions_of(values), groups).set_index(["group", "against"])
        wt, ko = [0.9, 0.85, 0.8, 0.95], [0.7, 0.75, 0.72]
        assert table.loc[("wt", ""), "value"] == pytest.approx(np.mean(wt))
        pair = table.loc[("wt", "ko")]
        welch = stats.ttest_ind(wt, ko, equal_var=False)
        assert (pair["low"], pair["high"]) == pytest.approx(tuple(welch.confidence_interval(0.95)))
        # Of 35 ways the four lowest against the three highest differ by more; no other does.
        assert pair["p"] == pytest.approx(2 / 35)
        assert (pair["n"], pair["n_against"], pair["smallest_p"]) == (4, 3, 1 / 35)

    def test_of_the_same_animals_on_other_days(self):
        animals = [f"m{k}" for k in range(6)]
        values = {(a, d): 0.8 + 0.02 * k * (d == "drug") + 0.1 * (d == "drug")
                  for k, a in enumerate(animals) for d in ("drug", "saline")}  # fmt: skip
        table = compare_groups(sessions_of(values), {name: name[1] for name in values})
        pair = table[table["against"] != ""].iloc[0]
        assert pair["value"] == pytest.approx(0.15)
        assert pair["p"] == smallest_sign_flip_p(6)
        assert pair["method"].startswith(PAIRED_T)

    def test_of_some_animals_in_both_is_not_compared(self):
        values = {("a", "1"): 0.8, ("a", "2"): 0.9, ("b", "1"): 0.7}
        groups = {("a", "1"): "x", ("a", "2"): "y", ("b", "1"): "x"}
        pair = compare_groups(sessions_of(values), groups).iloc[-1]
        assert np.isnan(pair["p"])
        assert pair["note"] == "not compared: 1 of the animals are in both, the others in one"

    def test_of_one_animal(self):
        values = {("a", "1"): 0.8, ("b", "1"): 0.7, ("c", "1"): 0.75}
        groups = {("a", "1"): "x", ("b", "1"): "y", ("c", "1"): "y"}
        table = compare_groups(sessions_of(values), groups)
        assert table["note"].iloc[0] == "one animal: how much animals differ is not known"
        pair = table.iloc[-1]
        assert np.isnan(pair["low"])
        assert pair["note"].startswith("a group of one animal: no interval; cannot reach 0.05")

    def test_without_a_difference_p_is_uniform(self):
        rng = np.random.default_rng(5)
        p = [group_permutation_test(rng.normal(size=5), rng.normal(size=4))[0] for _ in range(400)]
        assert stats.kstest(p, "uniform").pvalue > 0.01
        assert np.mean(np.array(p) <= 0.05) <= 0.09

    def test_many_animals_are_drawn(self):
        rng = np.random.default_rng(6)
        a, b = rng.normal(0.5, 1, 15), rng.normal(0, 1, 15)
        p, smallest = group_permutation_test(a, b)
        assert smallest == 1e-5
        assert p == pytest.approx(stats.ttest_ind(a, b).pvalue, abs=0.02)
