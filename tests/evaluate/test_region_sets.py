"""Sets of regions through a linear decoder of the window, beside others of their size."""

from dataclasses import replace
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from corticode.data.regions import RegionTable
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.errors import DataError, StudyError
from corticode.evaluate.intervals import interval
from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.refits import PENALTY
from corticode.evaluate.region_sets import (
    SetConditions,
    SetsBeside,
    compare_region_sets,
    draw_beside,
    draw_sets,
    judge_set,
    mirror_pairs,
    rank_set,
    set_key,
    set_side_by_side,
)

NAMES = tuple("abcdefgh")
MIRRORS = RegionTable(NAMES, mirrors=tuple("efghabcd"))
PLANTED = np.array([0, 1.5, 0, 0, 0, 1.5, 0, 0])
ANIMALS = ("m1", "m2", "m3", "m4", "m5")
NOISE = np.array([0.0, 0.01, -0.01, 0.005, -0.005])
A = SetConditions("A", "all", "without A", "only A")
B = SetConditions("B", "all", "without B", "only B")


def windows_of(design=(1, 1, 1), *, signal=PLANTED, n_frames=300, seed=0, target="run", reach=3):
    """Sessions of animals in which regions b and f follow the behaviour."""
    rng = np.random.default_rng(seed)
    sessions = []
    for animal, n_sessions in enumerate(design):
        for k in range(n_sessions):
            run = np.repeat(rng.random(n_frames // 10) > 0.5, 10)
            traces = rng.normal(size=(n_frames, len(NAMES))) + run[:, None] * signal
            behavior = {"run": run, "speed": run * 1.5}
            segment = np.zeros(n_frames, np.int32)
            sessions.append(Session(f"m{animal}", f"s{k}", traces, NAMES, behavior, segment))
    kind = Target("run") if target == "run" else Target("speed", kind="value")
    return cut_windows(sessions, kind, WindowShape(reach, reach))


def test_the_planted_set_leads_the_others():
    found = compare_region_sets(windows_of(), ["b", "f"], MIRRORS)
    assert found.regions == ("b", "f")
    # 15 pairs of the six other regions; 3 mirrored pairs of them.
    assert (found.rank.random.size, found.rank.symmetric.size) == (15, 3)
    assert found.rank.percentile == found.rank.percentile_symmetric == 100
    assert np.isnan(found.rank.p)
    assert found.value > 0.9
    assert found.value_of_all > 0.9
    assert np.mean(list(found.by_animal.values())) == pytest.approx(found.value)
    assert "linear decoder: these 2 of 8 regions alone reach auc 0.9" in found.words
    assert "0 of 15 random disjoint sets of the same size reach as much" in found.words
    assert "0 of 3 mirror-symmetric disjoint sets" in found.words
    assert found.words.endswith("a p needs at least 99 disjoint sets")


def test_the_others_lack_it():
    found = compare_region_sets(windows_of(), ["not", "b", "f"], MIRRORS)
    assert found.rank.percentile == 0
    assert found.value < 0.65
    # Two other regions make up no set of six: 28 of the eight, the given one not among them.
    assert (found.rank.random.size, np.isnan(found.rank.p)) == (27, True)
    assert "those drawn may share regions with it" in found.words


def test_a_random_set_is_one_of_many():
    windows = windows_of(signal=0 * PLANTED)
    places = [
        compare_region_sets(windows, pair).rank.percentile
        for pair in (["a", "b"], ["c", "d"], "gh")
    ]
    assert 0 < np.mean(places) < 100
    assert "no mirror-symmetric set was drawn" in compare_region_sets(windows, ["a"], None).words


# Windows of one block, of whole ones, and with a shorter last one.
@pytest.mark.parametrize("reach", [1, 2, 3, 4])
def test_each_set_is_a_ridge_regression(reach):
    windows = windows_of((1, 2), n_frames=200, reach=reach)
    found = compare_region_sets(windows, "bc", every=2)
    chosen = windows.where(windows.frame % 2 == 0)
    inputs, labels = [], []
    for k in range(3):
        own = chosen.where(chosen.session == k)
        values = own.values()[:, :, [1, 2]]
        edges = range(0, 2 * reach + 1, 3)
        means = np.concatenate([values[:, e : e + 3].mean(axis=1) for e in edges], axis=1)
        inputs.append((means - means.mean(axis=0)) / means.std(axis=0))
        labels.append(own.target)
    aucs = []
    for test, train in ((0, [1, 2]), (1, [0]), (2, [0])):
        x = np.concatenate([inputs[k] for k in train])
        model = Ridge(alpha=PENALTY * np.sum(x**2) / x.shape[1], fit_intercept=False)
        model.fit(x, np.concatenate([labels[k] - labels[k].mean() for k in train]))
        aucs.append(binary_scores(labels[test], model.predict(inputs[test]))["auc"])
    assert found.by_animal["m0"] == pytest.approx(aucs[0], abs=2e-3)
    assert found.by_animal["m1"] == pytest.approx(np.mean(aucs[1:]), abs=2e-3)


def test_a_test_animals_labels_change_no_other_animals_value():
    windows = windows_of((2, 2))
    turned = replace(
        windows, target=np.where(windows.animal == 0, 1 - windows.target, windows.target)
    )
    before, after = (compare_region_sets(given, "bf").by_animal for given in (windows, turned))
    assert after["m0"] == pytest.approx(1 - before["m0"])


def test_one_animal_leaves_sessions_out():
    found = compare_region_sets(windows_of((3,)), "bf")
    assert found.held_out == "session"
    assert found.rank.percentile == 100


def test_flat_regions_and_blank_sessions_are_no_obstacle():
    windows = windows_of((2, 2))
    windows.traces[:, 7] = 0.3
    rest = replace(windows, target=np.where(windows.session == 0, 0, windows.target))
    found = compare_region_sets(rest, "bf")
    assert [f.session for f in found.findings] == ["s0"]
    assert "region sets" in str(found.findings[0])
    assert found.rank.percentile == 100


def test_what_cannot_be():
    windows = windows_of()
    with pytest.raises(StudyError, match="the set holds all 8 regions, so there is no other"):
        compare_region_sets(windows, NAMES)
    with pytest.raises(StudyError, match="n_sets is 200 and every 0; give"):
        compare_region_sets(windows, "bf", every=0)
    kept = (*(True,) * 4, *(False,) * 4)
    few = replace(windows, recipe=replace(windows.recipe, kept_regions=kept))
    with pytest.raises(StudyError, match="holds f, which the windows do not keep; take some of a"):
        compare_region_sets(few, "bf")
    with pytest.raises(
        DataError, match="a target of kind 'value'; comparing sets of regions needs"
    ):
        compare_region_sets(windows_of(target="speed"), "bf")
    with pytest.raises(DataError, match="one session can be scored, and a decoder"):
        compare_region_sets(windows_of((1,)), "bf")


@given(st.integers(2, 60), st.data())
def test_sets_are_different_and_of_the_size(n_regions, data):
    size = data.draw(st.integers(1, n_regions - 1))
    seed = data.draw(st.integers(0, 9))
    given_set = tuple(range(size))
    units = [(k,) for k in range(n_regions)]
    found = draw_sets(units, size, 50, np.random.default_rng(seed), without=given_set)
    assert len(found) == min(50, comb(n_regions, size) - 1)
    assert len(set(found)) == len(found)
    assert given_set not in found
    assert all(len(set(one)) == size and tuple(sorted(one)) == one for one in found)
    again = draw_sets(units, size, 50, np.random.default_rng(seed), without=given_set)
    assert again == found


def test_every_region_is_drawn_as_often():
    units = [(k,) for k in range(50)]
    drawn = np.array(draw_sets(units, 4, 2000, np.random.default_rng(0)))
    share = np.bincount(drawn.ravel(), minlength=50) / 2000
    assert abs(share - 4 / 50).max() < 0.03


def test_pairs_stay_together():
    pairs = [(k, k + 25) for k in range(25)]
    for one in draw_sets(pairs, 4, 200, np.random.default_rng(0)):
        assert {k % 25 + 25 for k in one} == {k for k in one if k >= 25}


def test_no_set_where_units_do_not_make_one_up():
    assert draw_sets([(0, 1), (2, 3)], 3, 5, np.random.default_rng(0)) == []
    assert draw_sets([], 2, 5, np.random.default_rng(0)) == []


def test_mirrors_are_pairs_of_kept_regions():
    names = ("a", "b", "c", "d", "e")
    table = RegionTable(names, mirrors=("b", "a", "d", "c", ""))
    assert mirror_pairs(names, np.arange(5), table) == [(0, 1), (2, 3)]
    assert mirror_pairs(names, np.array([0, 2, 3]), table) == [(2, 3)]
    assert mirror_pairs(names, np.arange(5), None) == []
    assert mirror_pairs(names, np.arange(5), RegionTable(names)) == []


class TestBeside:
    regions = tuple(str(k) for k in range(1, 51))
    table = RegionTable(regions, mirrors=tuple(str((k + 25) % 50 + 1) for k in range(50)))

    def drawn(self, chosen, n_sets=99):
        return draw_beside(chosen, self.regions, np.arange(50), self.table, n_sets)

    def test_others_share_no_region_with_the_set(self):
        found = self.drawn([6, 8, 31, 33])
        assert found.chosen == (5, 7, 30, 32)
        assert not found.may_overlap
        for others in (found.random, found.symmetric):
            assert len(set(others)) == 99
            assert all(len(one) == 4 and not {5, 7, 30, 32} & set(one) for one in others)
        assert all({(k + 25) % 50 for k in one} == set(one) for one in found.symmetric)

    @given(st.integers(1, 24))
    def test_of_any_size(self, size):
        found = self.drawn(list(range(1, size + 1)), n_sets=20)
        assert len(found.random) == 20
        assert not found.may_overlap
        assert min(k for one in found.random for k in one) >= size

    @pytest.mark.parametrize("size", [25, 46])
    def test_where_there_is_no_other_room_they_may_share_some(self, size):
        found = self.drawn(list(range(1, size + 1)))
        assert found.may_overlap
        assert len(found.random) == 99
        assert found.chosen not in found.random

    def test_the_same_each_time(self):
        assert self.drawn([1, 2]) == self.drawn([1, 2])


def test_p_counts_those_that_reach_as_much():
    others = np.linspace(0.5, 0.7, 199)
    # 0.7 and 0.699 reach 0.6985: (1 + 2) / (1 + 199).
    found = rank_set(0.6985, others, others[:98])
    assert (found.p, found.percentile) == (pytest.approx(0.015), pytest.approx(100 * 197 / 199))
    assert np.isnan(found.p_symmetric)
    assert found.percentile_symmetric == 100
    assert rank_set(0.7, others).p == pytest.approx(0.01)  # the highest is as high
    assert np.isnan(rank_set(0.6985, others, may_overlap=True).p)


def test_a_set_is_judged_by_animals_not_decoders():
    # Animal a: two decoders, two sessions; animal b: one of each.
    sets = SetsBeside((0, 1), ((2, 3), (4, 5)), ((2, 4),))
    keys = [set_key(one) for one in (sets.chosen, *sets.random, *sets.symmetric)]

    def table(animal, *sessions):
        rows = [
            {"mask": key, "animal": animal, "auc": 0.9, "auc_covered": value}
            for values in sessions
            for key, value in zip(keys, values, strict=True)
        ]
        return pd.DataFrame(rows)

    tables = [
        table("a", (0.9, 0.5, 0.6, 0.5), (0.7, 0.5, 0.6, 0.5)),
        table("a", (0.6, 0.5, 0.8, 0.5)),
        table("b", (0.5, 0.5, 0.7, 0.9)),
    ]
    found = judge_set(sets, tables, "auc", "gru", 6)
    # a: (0.8 + 0.6) / 2 = 0.7; b: 0.5.
    assert found.value == pytest.approx(0.6)
    assert found.value_of_all == pytest.approx(0.9)
    assert found.rank.random.tolist() == pytest.approx([0.5, 0.7])
    assert found.rank.symmetric.tolist() == pytest.approx([0.7])
    assert found.rank.percentile == 50
    assert "1 of 2 random disjoint sets of the same size reach as much" in found.words
    # A set that one decoder could not be given is left out.
    short = [tables[0], tables[1], tables[2][tables[2]["mask"] != "4 5"]]
    assert judge_set(sets, short, "auc", "gru", 6).rank.random.tolist() == pytest.approx([0.5])


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
    assert found.table["necessary"].tolist() == ["no", "no"]
    assert found.table["sufficient"].tolist() == ["yes", "yes"]
    assert found.table["necessity"].tolist() == pytest.approx([0.01, 0.005])
    assert found.table["share_kept"].tolist() == pytest.approx([0.43 / 0.45, 0.42 / 0.45])
    assert found.words[-1] == (
        "A and B are redundant: neither is necessary, and each is sufficient"
    )


def test_the_one_set_that_knows():
    table = scores(all=0.95, without_A=0.55, only_A=0.94, without_B=0.95, only_B=0.5)
    found = set_side_by_side(table, [A, B])
    assert found.table[["necessary", "sufficient"]].to_numpy().tolist() == [
        ["yes", "yes"],
        ["no", "no"],
    ]
    assert len(found.words) == 2
    assert "A, 5 animals: leaving it out costs 0.400 [" in found.words[0]
    assert "auc: necessary; alone it decodes 0.440 [" in found.words[0]
    # 0.44 - 0.75 * 0.45
    assert "98% of what all regions do (+0.102 [" in found.words[0]
    assert found.words[0].endswith("beside 75% of it): sufficient alone")


def test_sets_that_add_up():
    table = scores(all=0.95, without_A=0.75, only_A=0.75, without_B=0.75, only_B=0.75)
    assert "add to each other: each is necessary" in set_side_by_side(table, [A, B]).words[-1]


def test_one_animal_settles_nothing():
    table = scores(all=0.95, without_A=0.55, only_A=0.94)
    found = set_side_by_side(table[table["animal"] == "m1"], [A])
    assert found.table[["necessary", "sufficient"]].iloc[0].tolist() == ["not settled"] * 2
    assert found.table["n_animals"].tolist() == [1]
    assert "not settled whether it is necessary" in found.words[0]


def test_what_the_interval_leaves_open_is_not_settled():
    # About 75 % of 0.45 above chance: 0.8375.
    table = scores(all=0.95, without_A=0.9, only_A=0.84)
    found = set_side_by_side(table, [A]).table.iloc[0]
    assert found["margin_low"] < 0 < found["margin"] < found["margin_high"]
    assert found["sufficient"] == "not settled"
    assert "not settled whether it is sufficient" in found["words"]


def test_values_start_from_0():
    table = scores("r2", all=0.6, without_A=0.2, only_A=0.5)
    found = set_side_by_side(table, [A]).table.iloc[0]
    assert found["sufficiency"] == pytest.approx(0.5)
    assert found["share_kept"] == pytest.approx(0.5 / 0.6)


def test_decoders_that_read_nothing_settle_nothing():
    table = scores(all=0.49, without_A=0.5, only_A=0.5)
    found = set_side_by_side(table, [A]).table.iloc[0]
    assert np.isnan(found["share_kept"])
    assert found["sufficient"] == "not settled"
    assert "above chance, and all regions decode nothing: not settled" in found["words"]


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
    mixed = pd.concat([table[table["condition"] != "all"], scores("r2", all=0.3)])
    with pytest.raises(DataError, match="have auc and r2; take conditions that decode the same"):
        set_side_by_side(mixed, [A])
    apart = table.assign(animal=table["animal"] + table["condition"])
    with pytest.raises(DataError, match="no animal has a value under all three conditions"):
        set_side_by_side(apart, [A])
    with pytest.raises(DataError, match="have no column value"):
        set_side_by_side(table.drop(columns="value"), [A])
