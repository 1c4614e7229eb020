"""Conditions that a study sets against each other, and animals against permuted labels."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score
from tests.conftest import LINEAR_STUDY, MAP_FOLDS

from corticode.data.folds import split_windows
from corticode.data.prepared import load_sessions
from corticode.decode.decoder import load_decoder
from corticode.decode.predict import predict
from corticode.decode.predictions import Predictions
from corticode.errors import StudyError
from corticode.evaluate.comparisons import AS_PUBLISHED, EQUIVALENCE, PAIRED_T, SIGN_FLIP
from corticode.evaluate.intervals import holm
from corticode.evaluate.scores import score_sessions
from corticode.explain.masks import thin_windows
from corticode.report.write import write_report
from corticode.run.check import check_study
from corticode.run.fits import FitTask, condition_windows
from corticode.run.folder import Run
from corticode.run.score_tables import (
    COHORT,
    Scored,
    comparison_table,
    make_generalisation,
    null_tables,
    variance_tables,
)
from corticode.run.tasks import Plan
from corticode.study.keys import ComparisonKeys
from corticode.study.study import read_study

ANIMALS = ("m1", "m2", "m3", "m4", "m5")


def tables_of(values, *, sessions=("a", "b"), metric="auc"):
    """Scores of conditions, one decoder an animal, the same in every session but for a trifle."""
    rows = []
    for condition, of_animal in values.items():
        for animal, value in zip(ANIMALS, of_animal, strict=False):
            for k, session in enumerate(sessions):
                names = {"condition": condition, "fold": f"test-{animal}", "test_animal": animal}
                names |= {"seed": 0, "animal": animal, "session": session}
                names |= {"first_frame": 0, "last_frame": 99, "n_bouts_0": 4, "n_bouts_1": 4}
                rows.append(names | {metric: value + 0.001 * k})
    session_scores = pd.DataFrame(rows)
    by_fold = ["condition", "fold", "test_animal", "seed"]
    scores = session_scores.groupby(by_fold, sort=False)[metric].mean().reset_index()
    return scores, session_scores


def asked(*conditions, name="family"):
    return [ComparisonKeys(name=name, conditions=list(conditions))]


class TestComparisons:
    def test_a_planted_difference_is_found_and_none_between_equals(self):
        rng = np.random.default_rng(0)
        good = 0.9 + 0.01 * rng.normal(size=5)
        poor = good - 0.1 + 0.01 * rng.normal(size=5)
        scores, sessions = tables_of({"good": good, "poor": poor, "same": good})
        (table,), findings = comparison_table(asked("good", "poor", "same"), scores, sessions)
        assert findings == []
        of = table.set_index(["condition_a", "condition_b", "method"])
        found = of.loc["good", "poor", PAIRED_T]
        assert found["effect"] == pytest.approx((good - poor).mean())
        assert found["low"] > 0.05
        assert found["p"] < found["p_holm"] < 0.01
        assert (found["n"], found["unit"]) == (5, "animal")
        assert of.loc["good", "poor", SIGN_FLIP]["p"] == 0.0625
        assert "cannot reach 0.05" in of.loc["good", "poor", SIGN_FLIP]["note"]
        assert of.loc["good", "poor", AS_PUBLISHED]["unit"] == "split"
        equal = of.loc["good", "same", PAIRED_T]
        assert equal["effect"] == 0
        assert not equal["p"] < 0.05

    def test_only_what_both_decoded_is_compared(self):
        scores, sessions = tables_of({"a": [0.9, 0.8, 0.7], "b": [0.8, 0.7, 0.6]})
        blank = (sessions["condition"] == "b") & (sessions["session"] == "b")
        sessions.loc[blank & (sessions["animal"] == "m1"), "auc"] = np.nan
        gone = (sessions["condition"] == "b") & (sessions["animal"] == "m3")
        (table,), _ = comparison_table(asked("a", "b"), scores, sessions[~gone])
        first = table.iloc[0]
        assert first["n"] == 2
        assert first["effect"] == pytest.approx(0.1)
        assert "a is scored on 1 more session" in first["note"]

    def test_each_against_one(self):
        scores, sessions = tables_of({"a": [0.9, 0.8, 0.7], "b": [0.8, 0.7, 0.5], "c": [0.6] * 3})
        keys = [ComparisonKeys(name="family", conditions=["b", "c"], against="a")]
        (table,), _ = comparison_table(keys, scores, sessions)
        primary = table[table["method"] == PAIRED_T]
        pairs = zip(primary["condition_a"], primary["condition_b"], strict=True)
        assert list(pairs) == [("b", "a"), ("c", "a")]
        assert primary["effect"].tolist() == pytest.approx([-0.4 / 3, -0.2])
        assert primary["p_holm"].tolist() == holm(primary["p"]).tolist()

    def test_that_two_are_the_same_but_for_what_does_not_matter(self):
        same = [0.9, 0.8, 0.7, 0.85, 0.75]
        scores, sessions = tables_of(
            {
                "a": same,
                "b": [x + d for x, d in zip(same, (1e-3, -2e-3, 0, 2e-3, -1e-3), strict=True)],
                "c": [x - 0.03 for x in same[:4]] + [0.74],
            }
        )
        keys = [
            ComparisonKeys(name="f", conditions=["b", "c"], against="a", equivalent_within=0.02)
        ]
        (table,), _ = comparison_table(keys, scores, sessions)
        found = table[table["method"] == EQUIVALENCE].set_index("condition_a")
        assert found.loc["b", "p_holm"] < 0.01
        assert -0.02 < found.loc["b", "low"] < found.loc["b", "high"] < 0.02
        assert found.loc["c", "p"] > 0.5
        assert found.loc["c", "low"] < -0.02
        assert "differ by 0.02 or more" in found.loc["b", "note"]
        with pytest.raises(ValidationError, match="greater than 0"):
            ComparisonKeys(name="f", conditions=["a", "b"], equivalent_within=0.0)

    def test_of_values_both_scores_are_compared(self):
        scores, sessions = tables_of({"a": [0.9, 0.8, 0.7], "b": [0.8, 0.7, 0.5]})
        scores, sessions = (
            one.rename(columns={"auc": "r2"}).assign(mae=lambda table: 2 - table["r2"])
            for one in (scores, sessions)
        )
        (table,), _ = comparison_table(asked("a", "b"), scores, sessions)
        primary = table[table["method"] == PAIRED_T].set_index("metric")
        assert primary.index.tolist() == ["r2", "mae"]
        assert primary.loc["mae", "effect"] == pytest.approx(-primary.loc["r2", "effect"])
        # Each score is a family of its own.
        assert primary.loc["mae", "p_holm"] == pytest.approx(primary.loc["mae", "p"])

    def test_skill_is_compared_over_sessions_that_have_no_r2_too(self):
        scores, sessions = tables_of({"a": [0.9, 0.8, 0.7], "b": [0.8, 0.7, 0.5]})
        scores, sessions = (
            one.rename(columns={"auc": "r2"}).assign(
                mae=1.0, skill=lambda table: table["r2"] / 2, training_mean_mse=1.0, n_windows=9
            )
            for one in (scores, sessions)
        )
        # A still session has no R2, and three times the squared error of the training mean.
        still = (sessions["animal"] == "m1") & (sessions["session"] == "b")
        sessions.loc[still, ["r2", "training_mean_mse"]] = np.nan, 3.0
        sessions.loc[still & (sessions["condition"] == "a"), "skill"] = -0.55
        (table,), _ = comparison_table(asked("a", "b"), scores, sessions)
        primary = table[table["method"] == PAIRED_T].set_index("metric")
        of_m1 = (0.45 - 3 * 0.55) / 4 - (0.4 + 3 * 0.4) / 4
        assert primary.loc["skill", "effect"] == pytest.approx((of_m1 + 0.15) / 3, abs=1e-3)
        assert primary.loc["r2", "effect"] == pytest.approx(0.4 / 3)

    def test_conditions_that_share_no_fold(self):
        scores, sessions = tables_of({"a": [0.9, 0.8], "b": [0.9, 0.8], "c": [0.7, 0.6]})
        for table in (scores, sessions):
            table.loc[table["condition"] == "b", "fold"] += "_valid-other"
        (table,), findings = comparison_table(asked("a", "b", "c"), scores, sessions)
        assert set(zip(table["condition_a"], table["condition_b"], strict=True)) == {("a", "c")}
        assert [str(finding) for finding in findings] == [
            f"fold 'family': '{x}' is not compared with '{y}': they share no fold; give both the "
            "same folds and recordings"
            for x, y in (("a", "b"), ("b", "c"))
        ]

    @pytest.mark.parametrize(
        ("blank", "why"),
        [
            (["b"], "they share no session with enough bouts of each class"),
            (["a", "b"], "no session of theirs has a score; give longer recordings"),
        ],
    )
    def test_conditions_without_a_score(self, blank, why):
        scores, sessions = tables_of({"a": [0.9, 0.8], "b": [0.9, 0.8]})
        sessions.loc[sessions["condition"].isin(blank), "auc"] = np.nan
        tables, (finding,) = comparison_table(asked("a", "b"), scores, sessions)
        assert tables == []
        assert why in str(finding)

    @settings(max_examples=20)
    @given(st.lists(st.floats(0.5, 1), min_size=10, max_size=10))
    def test_the_order_of_two_conditions_changes_the_sign_alone(self, auc):
        scores, sessions = tables_of({"a": auc[:5], "b": auc[5:]})
        (forth,), _ = comparison_table(asked("a", "b"), scores, sessions)
        (back,), _ = comparison_table(asked("b", "a"), scores, sessions)
        np.testing.assert_allclose(forth["effect"], -back["effect"], atol=1e-12)
        own = forth["method"].isin([PAIRED_T, SIGN_FLIP])
        np.testing.assert_allclose(forth[own]["p"], back[own]["p"], rtol=1e-6)
        assert not (forth["p"] <= 0).any()

    def test_families_are_adjusted_apart(self):
        rng = np.random.default_rng(1)
        scores, sessions = tables_of({name: 0.8 + 0.02 * rng.normal(size=5) for name in "abc"})
        twice = asked("a", "b", name="one") + asked("a", "c", name="one")
        (together,), _ = comparison_table(twice, scores, sessions)
        (alone,), _ = comparison_table(
            asked("a", "b", name="one") + asked("a", "c", name="two"), scores, sessions
        )
        own = together["method"] == PAIRED_T
        assert (together[own]["p_holm"] >= alone[own]["p_holm"]).all()
        assert (together[own]["p_holm"] > alone[own]["p_holm"]).any()


def test_the_spread_of_decoders_is_told_apart(mapped):
    _, run, _, _ = mapped
    table = run.read_table("variance_shares").set_index("condition")
    row = table.loc["linear"]
    assert (row["n_animals"], row["n_splits"], row["n_seeds"]) == (3, 3, 1)
    scores, _ = tables_of({"a": [0.9, 0.7, 0.5]})
    other = scores.assign(fold=scores["fold"] + "-b", auc=scores["auc"] + 0.01)
    (shares,) = variance_tables(pd.concat([scores, other]))
    assert shares["share_test_animal"].item() > 0.99


class TestInARun:
    def test_comparisons_are_written(self, mapped):
        folder, run, _, _ = mapped
        table = run.read_table("comparisons")
        assert set(table["comparison"]) == {"controls"}
        primary = table[table["method"] == PAIRED_T].set_index("condition_b")
        assert primary.loc["linear, permuted", "effect"] > 0.2
        assert (primary["n"] == 3).all()
        assert (
            read_study(run.study_path).comparisons == read_study(folder / "study.toml").comparisons
        )

    def test_labels_in_other_orders(self, mapped):
        _, run, _, _ = mapped
        table = run.read_table("nulls")
        assert "linear, permuted" not in set(table["condition"])
        own = table[table["condition"] == "linear"].set_index("animal")
        assert set(own.index) == {"m1", "m2", "m3", COHORT}
        assert (own["value"] > own["permuted_mean"] + 0.2).all()
        assert own.loc[COHORT, "decoder"].startswith("linear decoders refitted in each order")
        assert "exchangeability of days cannot be checked" in own.loc[COHORT, "note"]
        assert (own["p"] >= own["smallest_p"]).all()
        assert own["p"].min() > 0
        trends = run.read_table("day_trends")
        assert set(trends["quantity"]) >= {"run_fraction", "mean_score"}

    def test_detection_and_calibration_of_each_animal(self, mapped):
        _, run, _, _ = mapped
        found = run.read_table("detection")
        # Bouts of this cohort are short. Labels that were permuted detect nothing.
        own = found[found["condition"] == "linear"]
        assert own["animal"].tolist() == ["m1", "m2", "m3"]
        assert own["note"].iloc[0].startswith("no threshold: the validation part has no rest")
        assert not found["condition"].str.contains("permuted").any()
        calibration = run.read_table("calibration")
        own = calibration[calibration["condition"] == "linear"].set_index("animal")
        scores = run.read_table("scores")
        of_m1 = scores[(scores["condition"] == "linear") & (scores["test_animal"] == "m1")].iloc[0]
        assert own.loc["m1", "brier"] == pytest.approx(of_m1["brier"])
        assert own.loc["m1", "threshold_carried"] == pytest.approx(of_m1["threshold_carried"])
        reached = own.loc["m1", "balanced_accuracy_carried"]
        assert reached == pytest.approx(of_m1["balanced_accuracy_carried"])
        assert own.loc["m1", "brier_skill"] > 0

    def test_nulls_are_kept_while_their_fits_are_the_same(self, mapped, monkeypatch):
        _, run, _, tasks = mapped
        fits = [
            task for task in tasks if isinstance(task, FitTask) and task.condition.name == "linear"
        ]

        def unread(path):
            raise AssertionError(f"{path} was read again")

        monkeypatch.setattr(Predictions, "load", unread)
        again = null_tables(run, fits)
        assert len(again.by_animal[0]) == 4
        kept = json.loads((run.condition_folder("linear") / "null.json").read_text("utf-8"))
        assert len(kept["animals"]) == 4


ONE_SESSION = """
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
by = "block"
[[condition]]
name = "linear"
preprocess = { detrend_frames = 0 }
window = { before = 5, after = 5 }
network = { kind = "linear-window" }
training = { penalty = [0.01] }
"""


@pytest.mark.study
def test_one_session_from_file_to_page(write_cohort, run_inline, tmp_path):
    """Blocks of it are permuted, bouts are summed over folds, and animals are not spoken of."""
    size = {"animals": 1, "sessions": 1, "n_frames": 1500}
    folder = write_cohort(tmp_path / "cohort", study=ONE_SESSION, **size)
    run_inline(folder, folder / "run")
    run = Run(folder / "run")
    nulls = run.read_table("nulls")
    assert nulls["animal"].tolist() == ["m1"]
    row = nulls.iloc[0]
    assert row["n_blocks"] >= 20
    assert row["p"] == row["smallest_p"] == 0.001
    assert row["permuted_mean"] == pytest.approx(0.5, abs=0.1)
    animal = run.read_table("animal_scores").iloc[0]
    sessions = run.read_table("session_scores")
    bouts = sessions[["n_bouts_0", "n_bouts_1"]].to_numpy().sum()
    assert (animal["n_sessions"], animal["n_bouts"]) == (1, bouts)
    page = write_report(folder / "run").read_text("utf-8")
    assert "Permuting blocks of " in page
    assert "All animals together" not in page


@pytest.mark.study
def test_blocks_have_a_score_where_the_session_has_enough_bouts(write_cohort, run_inline, tmp_path):
    size = {"animals": 1, "sessions": 1, "n_frames": 400}
    folder = write_cohort(tmp_path / "cohort", study=ONE_SESSION, **size)
    run_inline(folder, folder / "run")
    sessions = Run(folder / "run").read_table("session_scores")
    few = (sessions[["n_bouts_0", "n_bouts_1"]] < 3).any(axis=1)
    assert few.any()
    assert (sessions["blank_because"] == "").all()
    scores = Run(folder / "run").read_table("scores").set_index("fold")
    assert sessions["auc"].tolist() == scores.loc[sessions["fold"], "auc"].tolist()
    assert scores["auc_session_mean"].tolist() == scores["auc"].tolist()


class TestFaults:
    @pytest.mark.parametrize(
        ("conditions", "message"),
        [
            (["linear", "liner"], "names 'liner', which is no condition; did you mean 'linear'?"),
            (["linear", "linear"], "names 'linear' more than once; give each condition once"),
            (["linear", "speed"], "classes and values have no score in common"),
            (
                ["linear", "fast"],
                "decode other labels (target.signal 'run' and 'speed', target.above",
            ),
            (["linear"], "names one condition; give two, or name another as 'against'"),
        ],
    )
    def test_of_names(self, linear_cohort, conditions, message):
        path = linear_cohort / "study.toml"
        speed = '[[condition]]\nname = "speed"\nlike = "linear"\n'
        speed += 'target = { signal = "speed", kind = "value" }\n'
        speed += '[[condition]]\nname = "fast"\nlike = "linear"\n'
        speed += 'target = { signal = "speed", kind = "binary", above = 2.0 }\n'
        added = f'[[comparison]]\nname = "a"\nconditions = {json.dumps(conditions)}\n'
        path.write_text(path.read_text("utf-8") + speed + added, "utf-8")
        with pytest.raises(StudyError) as caught:
            read_study(path)
        assert message in str(caught.value)


def test_a_planted_set_is_needed_and_enough(mapped):
    _, run, _, _ = mapped
    table = run.read_table("region_sets").set_index("set")
    planted, idle = table.loc["planted"], table.loc["idle"]
    assert (planted["necessary"], planted["sufficient"]) == ("yes", "yes")
    assert planted["n_animals"] == 3
    assert planted["judged_by"] == "linear decoder"
    assert planted["n_random"] == 6  # the pairs of the four other regions
    assert planted["percentile"] == 100
    assert (idle["necessary"], idle["sufficient"]) == ("no", "no")
    assert idle["linear_words"] == ""
    assert "planted" in planted["words"]


JUDGED = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2"]
[[condition]]
name = "gru"
preprocess = { detrend_frames = 0, scale = "z-score" }
window = { before = 2, after = 2 }
network = { kind = "gru", units = 4 }
training = { epochs = 3, batch_size = 32, learning_rate = 0.03 }
[[region_set]]
name = "planted"
condition = "gru"
regions = [1, 2]
n_sets = 9
[[region_set]]
name = "most"
condition = "gru"
regions = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
n_sets = 3
"""


def test_sets_are_judged_through_the_network(write_cohort, run_inline, tmp_path):
    folder = write_cohort(tmp_path / "cohort", study=JUDGED, animals=3, sessions=1, n_regions=18)
    summary, tasks = run_inline(folder, tmp_path / "run")
    run = Run(tmp_path / "run")
    table = run.read_table("region_sets").set_index("set")
    planted, most = table.loc["planted"], table.loc["most"]
    assert planted["judged_by"] == "gru trained with region dropout"
    assert (planted["n_random"], np.isnan(planted["p"]), planted["percentile"]) == (9, True, 100)
    assert planted["linear_words"].startswith("linear decoder: these 2 of 18 regions alone reach")
    assert (most["n_random"], np.isnan(most["p"])) == (3, True)
    assert "those drawn may share regions with it" in most["rank_words"]
    # The decoder with dropout, given the two regions of every third test window.
    task = next(t for t in tasks if getattr(t, "settings", None) is not None)
    assert task.fit.condition.name == "gru: region dropout"
    windows = condition_windows(load_sessions(task.fit.prepared), task.fit.condition)
    test = thin_windows(split_windows(windows, task.fit.fold).test, 3, seed=0)
    traces = np.where(np.arange(18) < 2, test.traces, 0).astype(np.float32)
    given = predict(load_decoder(task.fit.folder), replace(test, traces=traces))
    auc = roc_auc_score(given.target, given.score)
    assert planted["judged_value"] == pytest.approx(auc, abs=1e-6)
    # No map: it is in no table of maps, and a second call makes nothing.
    assert summary.n_fits == 6
    assert not run.table_path("occlusion").is_file()
    again, tasks = run_inline(folder, tmp_path / "run")
    assert (tasks, again.n_kept) == ([], 7)


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


CURVE = """
[[learning_curve]]
condition = "linear"
animals = [1]
minutes = [0.05, 0.15]
[[condition]]
name = "permuted"
like = "linear"
permute_labels = "frames"
[[learning_curve]]
condition = "permuted"
minutes = [0.05]
"""


@pytest.fixture(scope="module")
def curve(write_cohort, run_inline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("curve")
    write_cohort(folder, study=LINEAR_STUDY.replace('by = "animal"', MAP_FOLDS) + CURVE, sessions=2)
    _, tasks = run_inline(folder, folder / "run")
    return Run(folder / "run"), tasks


class TestLearningCurves:
    def test_more_data_help_what_can_be_decoded_and_nothing_else(self, curve):
        table = curve[0].read_table("learning_curve")
        mean = table[table["animal"] == ""].set_index(["condition", "varied", "amount"])["value"]
        real, none = mean["linear"]["minutes"], mean["permuted"]["minutes"]
        assert real.index.tolist() == pytest.approx([0.05, 0.15, 80 / 60])
        assert real.is_monotonic_increasing
        assert real.iloc[0] < real.iloc[-1] - 0.01
        assert real.iloc[-1] > 0.97
        assert none.between(0.4, 0.6).all()
        assert mean["linear"]["animals"].index.tolist() == [1, 2]
        assert table["n_animals"].dropna().eq(3).all()

    def test_values_are_those_of_its_conditions(self, curve):
        table = curve[0].read_table("learning_curve")
        scores = curve[0].read_table("animal_scores").set_index(["condition", "animal"])["value"]
        own = table[(table["varied"] == "animals") & (table["amount"] == 1)]
        for animal, value in own[own["animal"] != ""].set_index("animal")["value"].items():
            assert value == scores["linear: 1 training animal", animal]

    def test_training_sees_no_more_than_is_said(self, curve):
        own = [task for task in curve[1] if task.condition.name == "linear: 0.15 min an animal"]
        assert own
        for task in own:
            n_frames = Counter()
            for part in load_decoder(task.folder).roles["train"]:
                n_frames[part.animal] += part.stop_frame - part.first_frame
            # 0.15 min at 10 Hz are 90 centres; windows reach 5 frames to either side.
            assert {*n_frames.values()} == {95}

    @pytest.mark.parametrize(
        ("keys", "match"),
        [
            ('condition = "linea"\nanimals = [1]', "that is no condition; did you mean 'linear'?"),
            ('condition = "linear"', "varies nothing; give animals"),
            ('condition = "linear"\nanimals = [0]', "must be 1 or more"),
            ('condition = "linear"\nminutes = [0.0]', "must be above 0"),
        ],
    )
    def test_what_cannot_be(self, linear_cohort, keys, match):
        path = linear_cohort / "study.toml"
        path.write_text(LINEAR_STUDY + f"[[learning_curve]]\n{keys}\n", "utf-8")
        with pytest.raises(StudyError) as caught:
            read_study(path)
        assert match in str(caught.value)

    @pytest.mark.parametrize(
        ("keys", "match"),
        [
            (
                "animals = [3]",
                "3 training animals are asked for, and fold 'test-m1_va",
            ),
            ("minutes = [9]", "5400 frames of each training animal are asked for, and animal 'm3'"),
        ],
    )
    def test_more_than_there_is(self, linear_cohort, keys, match):
        path = linear_cohort / "study.toml"
        more = f'[[learning_curve]]\ncondition = "linear"\n{keys}\n'
        path.write_text(LINEAR_STUDY + more, "utf-8")
        faults = check_study(read_study(path)).faults
        assert any(match in fault for fault in faults)


FURTHER = """
[[generalisation]]
condition = "linear"
"""


@pytest.fixture(scope="module")
def further(write_cohort, run_inline, tmp_path_factory):
    """Four animals whose planted regions are others in one of them."""
    folder = tmp_path_factory.mktemp("further")
    study = LINEAR_STUDY.replace('by = "animal"', f"{MAP_FOLDS}\nblocks = 3") + FURTHER
    write_cohort(folder, study=study, n_frames=1200)
    # In one animal the regions lie elsewhere: within it all is as before, across animals not.
    for s in (1, 2, 3):
        path = folder / f"m1_s{s}.npy"
        np.save(path, np.roll(np.load(path), 3, axis=1))
    _, tasks = run_inline(folder, folder / "run")
    return Run(folder / "run"), tasks


class TestGeneralisation:
    @pytest.mark.study
    def test_what_carries_within_an_animal_need_not_carry_to_others(self, further):
        table = further[0].read_table("generalisation")
        of = table[table["against"] == ""].set_index(["tested", "animal"])["value"]
        assert set(of.index.get_level_values("animal")) == {"m1", "m2", "m3", ""}
        near, days, far = (of[f"{where}"] for where in
                           ("within sessions", "across sessions", "across animals"))  # fmt: skip
        assert min(near["m1"], days["m1"], near["m2"], days["m2"], far["m2"], far["m3"]) > 0.9
        assert far["m1"] < 0.75
        pairs = table[table["against"] != ""].set_index(["tested", "against"])
        difference = pairs.loc[("within sessions", "across animals")]
        assert difference["value"] == pytest.approx(near[""] - far[""])
        assert difference["n_animals"] == 3

    def test_what_cannot_be_compared_is_named(self):
        plan = Plan(generalisation=[("gru", {"within sessions": "gru: within sessions"})])
        nothing = pd.DataFrame()
        made = Scored(Run(Path("run")), plan, [], nothing, nothing, nothing)
        tables, [finding] = make_generalisation(made)
        assert tables == []
        assert (finding.item, finding.animal) == ("gru", "")
        assert "'gru: within sessions' has no fit with scores" in finding.reason

    @pytest.mark.study
    def test_all_are_scored_on_the_same_windows(self, further):
        """The mean over blocks of the across-animal decoder's AUC, by hand."""
        run, tasks = further
        blocks = [t for t in tasks if t.condition.name == "linear: within sessions"]
        whole = next(t for t in tasks if t.condition.name == "linear" and "test-m2" in t.fold.name)
        told = Predictions.load(whole.folder / "predictions.npz").of_part("test")
        sessions = np.array(told.session_names)[told.session]
        found = []
        for task in blocks:
            part = Predictions.load(task.folder / "predictions.npz").of_part("test")
            if part.animal_names[part.animal[0]] != "m2":
                continue
            same = (sessions == part.session_names[part.session[0]]) & np.isin(
                told.frame, part.frame
            )
            found.append(score_sessions(told.where(same))["auc"].iloc[0])
        table = run.read_table("generalisation")
        row = table[(table["tested"] == "across animals") & (table["animal"] == "m2")]
        assert row["value"].item() == pytest.approx(np.nanmean(found))

    def test_what_carries_over_sessions_of_a_day_need_not_to_other_days(
        self, write_cohort, run_inline, tmp_path
    ):
        """Two sessions a day; on one day of each animal the planted regions lie elsewhere."""
        study = LINEAR_STUDY.replace('by = "animal"', 'by = "session"')
        asked = '[[generalisation]]\ncondition = "linear"\nacross = ["sessions", "days"]\n'
        write_cohort(tmp_path, study=study + asked, sessions=6, animals=3)
        table = pd.read_csv(tmp_path / "sessions.csv")
        day = table.groupby("animal").cumcount() // 2
        table["date"] = [f"2024-05-0{k + 1}" for k in day]
        table.to_csv(tmp_path / "sessions.csv", index=False)
        for name in table.loc[day == 1, "traces"]:
            np.save(tmp_path / name, np.roll(np.load(tmp_path / name), 3, axis=1))
        _, tasks = run_inline(tmp_path, tmp_path / "run")
        of_days = [task.fold for task in tasks if task.condition.name == "linear: across days"]
        assert len(of_days) == 9
        assert all(len(fold.test) == len(fold.valid) == len(fold.train) == 2 for fold in of_days)
        found = Run(tmp_path / "run").read_table("generalisation")
        mean = found[(found["animal"] == "") & (found["against"] == "")].set_index("tested")[
            "value"
        ]
        assert mean["across sessions"] > mean["across days"] + 0.1

    def test_days_without_dates(self, linear_cohort):
        path = linear_cohort / "study.toml"
        path.write_text(LINEAR_STUDY.replace('by = "animal"', 'by = "day"'), "utf-8")
        (fault, *_) = check_study(read_study(path)).faults
        assert "fill the catalogue's column 'date'" in fault

    @pytest.mark.parametrize(
        ("keys", "match"),
        [
            ('condition = "x"', "that is no condition"),
            ('condition = "linear"\nacross = ["animals", "animals"]', "names one kind of fold"),
            ('condition = "linear"\nacross = ["animals"]', "at least"),
        ],
    )
    def test_what_cannot_be(self, linear_cohort, keys, match):
        path = linear_cohort / "study.toml"
        path.write_text(LINEAR_STUDY + f"[[generalisation]]\n{keys}\n", "utf-8")
        with pytest.raises(StudyError, match=match):
            read_study(path)
