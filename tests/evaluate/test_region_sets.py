"""Sets of regions through a linear decoder of the window, beside others of their size."""

from dataclasses import replace
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from corticode.data.regions import RegionTable
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.errors import DataError, StudyError
from corticode.evaluate.intervals import interval
from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.region_sets import (
    SetConditions,
    compare_region_sets,
    draw_sets,
    mirror_pairs,
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
    # 28 pairs of eight regions, the given one not among them; 4 mirrored pairs.
    assert (found.random.size, found.symmetric.size) == (27, 3)
    assert found.percentile == found.percentile_symmetric == 100
    assert found.symmetric_sets == (("a", "e"), ("c", "g"), ("d", "h"))
    assert found.value > 0.9
    assert found.value_of_all > 0.9
    assert np.mean(list(found.by_animal.values())) == pytest.approx(found.value)
    assert "27 of 27 random sets of the same size read less" in found.words
    assert "3 of 3 mirror-symmetric sets" in found.words


def test_the_others_lack_it():
    found = compare_region_sets(windows_of(), ["not", "b", "f"], MIRRORS)
    assert found.percentile == 0
    assert found.value < 0.65


def test_a_random_set_is_one_of_many():
    windows = windows_of(signal=0 * PLANTED)
    places = [
        compare_region_sets(windows, pair).percentile for pair in (["a", "b"], ["c", "d"], "gh")
    ]
    assert 0 < np.mean(places) < 100
    assert "no mirror-symmetric set was drawn" in compare_region_sets(windows, ["a"], None).words


@settings(max_examples=5)
@given(st.sampled_from([1, 2, 3, 7, 9]), st.sampled_from([0.01, 1.0]))
def test_each_set_is_a_ridge_regression(block, penalty):
    windows = windows_of((1, 2), n_frames=200)
    found = compare_region_sets(windows, "bc", every=2, block_frames=block, penalty=penalty)
    chosen = windows.where(windows.frame % 2 == 0)
    inputs, labels = [], []
    for k in range(3):
        own = chosen.where(chosen.session == k)
        values = own.values()[:, :, [1, 2]]
        edges = range(0, 7, block)
        means = np.concatenate([values[:, e : e + block].mean(axis=1) for e in edges], axis=1)
        inputs.append((means - means.mean(axis=0)) / means.std(axis=0))
        labels.append(own.target)
    aucs = []
    for test, train in ((0, [1, 2]), (1, [0]), (2, [0])):
        x = np.concatenate([inputs[k] for k in train])
        model = Ridge(alpha=penalty * np.sum(x**2) / x.shape[1], fit_intercept=False)
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
    assert found.percentile == 100


def test_flat_regions_and_blank_sessions_are_no_obstacle():
    windows = windows_of((2, 2))
    windows.traces[:, 7] = 0.3
    rest = replace(windows, target=np.where(windows.session == 0, 0, windows.target))
    found = compare_region_sets(rest, "bf")
    assert [f.session for f in found.findings] == ["s0"]
    assert "region sets" in str(found.findings[0])
    assert found.percentile == 100


def test_what_cannot_be():
    windows = windows_of()
    with pytest.raises(StudyError, match="the set holds all 8 regions, so there is no other"):
        compare_region_sets(windows, NAMES)
    with pytest.raises(StudyError, match="every 0, block_frames 3"):
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
