"""Which sessions can be scored, known before anything is predicted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.predictions import Predictions, join
from corticode.errors import DataError
from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.scores import (
    as_empty_predictions,
    blank_findings,
    scorable_windows,
    score,
    score_animals,
    score_fold,
    score_sessions,
)

ALTERNATING = [0, 1, 0, 1, 0, 1]
BOUTS = np.repeat([0, 1] * 4, 10)
REST = np.zeros(80)


def said(target, score, *, frame=None, part="test", animal="m1", session="a", **changes):
    """Predictions of one session."""
    target = np.asarray(target, np.float32)
    n_windows = target.size
    frame = np.arange(n_windows) if frame is None else frame
    columns = {
        "part": np.full(n_windows, ("train", "valid", "test").index(part), np.int8),
        "animal": np.zeros(n_windows, np.int16),
        "session": np.zeros(n_windows, np.int16),
        "frame": np.asarray(frame, np.int32),
        "target": target,
        "score": np.asarray(score, np.float32),
        "kind": "binary",
        "animal_names": (animal,),
        "session_names": (session,),
    }
    return Predictions(**(columns | changes))


def only(table):
    """The one row of a table."""
    assert len(table) == 1
    return table.iloc[0]


class TestSessions:
    def test_by_hand(self):
        row = only(score_sessions(said(ALTERNATING, [0.1, 0.9, 0.6, 0.6, 0.2, 0.3])))
        assert list(row.index) == [
            "animal",
            "session",
            "first_frame",
            "last_frame",
            "n_windows",
            "base_rate",
            "auc",
            "average_precision",
            "balanced_accuracy",
            "accuracy",
            "brier",
            "n_bouts_0",
            "n_bouts_1",
            "blank_because",
        ]
        assert (row["animal"], row["session"], row["n_windows"]) == ("m1", "a", 6)
        assert (row["first_frame"], row["last_frame"]) == (0, 5)
        assert row["base_rate"] == 0.5
        # Of nine pairs, 0.9 wins three, 0.6 two and a tie, 0.3 two.
        assert row["auc"] == 7.5 / 9
        assert (row["n_bouts_0"], row["n_bouts_1"], row["blank_because"]) == (3, 3, "")

    def test_one_row_a_session_in_the_order_of_names(self):
        parts = [
            said(ALTERNATING, ALTERNATING, animal="m2", session="a"),
            said(ALTERNATING, np.zeros(6), animal="m1", session="b"),
            said(ALTERNATING, 1 - np.array(ALTERNATING), animal="m1", session="a"),
            said(ALTERNATING, ALTERNATING, animal="m1", session="c", part="valid"),
        ]
        table = score_sessions(join(parts))
        assert list(zip(table["animal"], table["session"], strict=True)) == [
            ("m2", "a"),
            ("m1", "a"),
            ("m1", "b"),
        ]
        assert table["auc"].tolist() == [1.0, 0.0, 0.5]
        assert only(score_sessions(join(parts), part="valid"))["session"] == "c"

    def test_carried_threshold(self):
        row = only(score_sessions(said(ALTERNATING, np.array(ALTERNATING) / 4), threshold=0.2))
        assert row["balanced_accuracy"] == 0.5
        assert row["balanced_accuracy_carried"] == 1.0

    def test_rows_need_not_be_in_order(self):
        order = np.random.default_rng(0).permutation(60)
        target = np.repeat(ALTERNATING, 10)
        shuffled = said(target[order], target[order], frame=order)
        assert only(score_sessions(shuffled))[["n_bouts_0", "n_bouts_1"]].tolist() == [3, 3]

    def test_no_window_of_the_part(self):
        with pytest.raises(DataError, match="hold no 'valid' window, only test; predict that part"):
            score_sessions(said(ALTERNATING, ALTERNATING), part="valid")


class TestBouts:
    def test_a_jump_of_frames_ends_a_bout(self):
        row = only(score_sessions(said([1, 1, 1, 1, 0], np.zeros(5), frame=[0, 1, 3, 4, 5])))
        assert (row["n_bouts_1"], row["n_bouts_0"]) == (2, 1)

    def test_an_unknown_target_ends_a_bout(self):
        row = only(score_sessions(said([1, np.nan, 1, 0], np.zeros(4))))
        assert (row["n_bouts_1"], row["n_bouts_0"], row["n_windows"]) == (2, 1, 3)

    def test_a_frame_twice_is_one_frame(self):
        target = np.repeat(ALTERNATING, 10)
        twice = join([said(target, target, frame_rate_hz=10.0)] * 2)
        row = only(score_sessions(twice))
        assert (row["n_bouts_0"], row["n_bouts_1"]) == (3, 3)
        assert row["blank_because"] == "3.0 s of 0; 3.0 s of 1"

    @given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, np.nan]), st.booleans()), min_size=1))
    def test_counted_as_by_walking_along(self, steps):
        target = [value for value, _ in steps]
        frame = np.cumsum([1 + skips for _, skips in steps])
        n_bouts = {0.0: 0, 1.0: 0}
        previous, previous_frame = None, None
        for value, at in zip(target, frame, strict=True):
            if value in n_bouts and not (value == previous and at == previous_frame + 1):
                n_bouts[value] += 1
            previous, previous_frame = value, at
        row = only(score_sessions(said(target, np.zeros(len(target)), frame=frame)))
        assert [row["n_bouts_0"], row["n_bouts_1"]] == list(n_bouts.values())


class TestBlanks:
    def test_three_bouts_are_kept_and_two_are_not(self):
        kept = only(score_sessions(said(ALTERNATING, ALTERNATING)))
        assert (kept["auc"], kept["blank_because"]) == (1.0, "")
        blank = only(score_sessions(said(ALTERNATING[:5], ALTERNATING[:5])))
        assert np.isnan(blank[["auc", "average_precision"]].astype(float)).all()
        assert blank["blank_because"] == "2 bouts of 1"
        assert blank["balanced_accuracy"] == 1.0

    @pytest.mark.parametrize("rate_hz", [10.0, 20.0, 30.2, 29.97])
    def test_five_seconds_are_kept_and_a_frame_less_is_not(self, rate_hz):
        n_frames = int(np.ceil(5 * rate_hz - 1e-9))
        lengths = [n_frames // 3, n_frames // 3, n_frames - 2 * (n_frames // 3)]
        target = np.concatenate([[0.0] * 2 * n + [1.0] * n for n in lengths])
        kept = only(score_sessions(said(target, target, frame_rate_hz=rate_hz)))
        assert (kept["auc"], kept["blank_because"]) == (1.0, "")
        less = only(score_sessions(said(target[:-1], target[:-1], frame_rate_hz=rate_hz)))
        assert np.isnan(less["auc"])
        assert less["blank_because"] == "4.9 s of 1"

    def test_without_a_frame_rate_only_bouts_count(self):
        assert only(score_sessions(said(ALTERNATING, ALTERNATING)))["blank_because"] == ""

    def test_all_reasons_are_given(self):
        row = only(score_sessions(said(np.repeat([0, 1], 31), np.zeros(62), frame_rate_hz=10.0)))
        assert row["blank_because"] == "1 bout of 0; 3.1 s of 0; 1 bout of 1; 3.1 s of 1"

    def test_no_known_target(self):
        row = only(score_sessions(said([np.nan] * 3, np.zeros(3))))
        assert row["n_windows"] == 0
        assert np.isnan([row["base_rate"], row["auc"], row["accuracy"]]).all()
        assert row["blank_because"] == "0 bouts of 0; 0 bouts of 1"

    def test_several_classes(self):
        target = np.array([0, 1, 0, 1, 0, 1, 0])
        three = {"kind": "classes", "classes": ("rest", "groom", "run")}
        row = only(score_sessions(said(target, np.eye(3)[target], **three)))
        assert (row["auc"], row["base_rate"], row["blank_because"]) == (1.0, 4 / 7, "")
        assert row[["n_bouts_rest", "n_bouts_groom", "n_bouts_run"]].tolist() == [4, 3, 0]
        target[-1] = 2
        row = only(score_sessions(said(target, np.eye(3)[target], **three)))
        assert np.isnan(row["auc"])
        assert row["blank_because"] == "1 bout of run"
        row = only(score_sessions(said(np.zeros(3), np.eye(3)[[0, 0, 0]], **three)))
        assert row["blank_because"] == "1 bout of rest; fewer than two classes"

    def test_values_are_blank_where_hardly_anything_varies(self):
        """R2 has no floor: a still session would weigh more than all others of the animal."""
        target = np.array([0, 2, 4, 2.0])
        one = {"kind": "value", "frame_rate_hz": 10.0}
        row = only(score_sessions(said(target, target, **one)))
        assert (row["r2"], row["blank_because"]) == (1.0, "")
        # SD 1.41, a tenth of which is the training windows' largest that lets it through.
        row = only(score_sessions(said(target, target, train_sd=14.1, **one)))
        assert (row["r2"], row["blank_because"]) == (1.0, "")
        still = only(score_sessions(said(target, target + 9, train_sd=14.2, **one)))
        assert np.isnan(still["r2"])
        assert still["mae"] == 9
        assert still["blank_because"] == (
            "its target hardly varies: SD 1.41, below 10% of the training windows' 14.2"
        )
        found = score_fold(said(target, target + 9, train_sd=14.2, **one))
        assert np.isnan(found["r2_session_mean"])

    def test_skill_is_against_the_training_mean_over_all_windows_of_an_animal(self):
        trained = {"kind": "value", "train_mean": 1.0, "train_sd": 14.2}
        # Squared errors 0.25 each; of the training mean 1, 1, 9, 1.
        moving = said([0, 2, 4, 2], [0.5, 2.5, 4.5, 2.5], **trained)
        # Errors 9 each; of the training mean 4 each; of its own mean none: R2 is blank.
        still = said([3, 3], [6, 0], session="b", **trained)
        by_hand = [1 - 1 / 12, 1 - 18 / 8]
        rows = score_sessions(join([moving, still])).assign(condition="speed", fold="f", seed=0)
        assert rows["skill"].tolist() == pytest.approx(by_hand)
        assert rows["training_mean_mse"].tolist() == [3.0, 4.0]
        over_all = 1 - 19 / 20
        assert score_fold(join([moving, still]))["skill"] == pytest.approx(over_all)
        animal = only(score_animals(rows))
        assert (animal["metric"], animal["skill"]) == ("r2", pytest.approx(over_all))
        twice = pd.concat([rows, rows.assign(seed=1, skill=rows["skill"] - 0.5)])
        found = only(score_animals(twice, "skill"))
        assert found["value"] == pytest.approx(over_all - 0.25)
        assert found["sd_decoders"] == pytest.approx(0.5 / np.sqrt(2))

    def test_predictions_of_older_versions_have_no_skill(self):
        rows = score_sessions(said([0, 2, 4, 2], [0, 2, 4, 2], kind="value"))
        assert np.isnan(only(rows)["skill"])
        rows = rows.assign(condition="speed", fold="f", seed=0)
        assert np.isnan(only(score_animals(rows))["skill"])
        assert "skill" not in score_animals(rows.drop(columns=["skill", "training_mean_mse"]))

    def test_an_animal_of_still_sessions_has_no_score_and_a_reason(self):
        target = np.array([0, 2, 4, 2.0])
        rows = score_sessions(said(target, target, kind="value", train_sd=99.0))
        rows = rows.assign(condition="speed", fold="f", seed=0)
        [finding] = blank_findings(score_animals(rows), rows)
        assert finding.reason == (
            "no r2 in 'speed': its target hardly varies: SD 1.41, below 10% of the training "
            "windows' 99"
        )

    def test_pooled_scores_stand_beside_the_mean_over_sessions(self):
        low = said(ALTERNATING, np.array(ALTERNATING) / 10, session="a")
        high = said(ALTERNATING, 0.9 + np.array(ALTERNATING) / 10, session="b")
        blank = said([0, 1], [0.9, 0.1], session="c")
        found = score_fold(join([low, high, blank]))
        pooled = join([low, high, blank])
        assert found["n_windows"] == 14
        assert found["base_rate"] == 0.5
        assert found["auc"] == binary_scores(pooled.target, pooled.score)["auc"] < 1
        assert found["auc_session_mean"] == 1.0
        assert "accuracy_carried" not in found
        assert "threshold_carried" not in found

    def test_the_threshold_comes_from_validation(self):
        valid = said([0, 1], [0.1, 0.3], part="valid", session="v")
        test = said(ALTERNATING, np.array(ALTERNATING) / 4, session="t")
        found = score_fold(join([valid, test]))
        assert (found["balanced_accuracy"], found["balanced_accuracy_carried"]) == (0.5, 1.0)
        assert found["threshold_carried"] == pytest.approx(0.2, abs=1e-7)
        row = only(score(join([valid, test])))
        assert (row["session"], row["accuracy_carried"]) == ("t", 1.0)

    def test_validation_of_one_class_carries_nothing(self):
        valid = said([1, 1], [0.1, 0.3], part="valid", session="v")
        found = score_fold(join([valid, said(ALTERNATING, ALTERNATING)]))
        assert np.isnan([found["accuracy_carried"], found["threshold_carried"]]).all()

    def test_values(self):
        found = score_fold(said([0, 2, 4], [1, 2, 3], kind="value"))
        assert (found["r2"], found["r2_session_mean"]) == (0.75, 0.75)
        assert np.isnan(found["base_rate"])

    def test_every_session_blank(self):
        found = score_fold(said([0, 1], [0.2, 0.8]))
        assert found["auc"] == 1.0
        assert np.isnan(found["auc_session_mean"])

    def test_no_test_window(self):
        with pytest.raises(DataError, match="no 'test' window, only valid"):
            score_fold(said([0, 1], [0, 1], part="valid"))


def rows_of(fold, seed, sessions, aucs, *, animal="m1", stretch=(0, 99), bouts=(4, 3)):
    return pd.DataFrame(
        {
            "condition": "gru",
            "fold": fold,
            "seed": seed,
            "animal": animal,
            "session": sessions,
            "first_frame": stretch[0],
            "last_frame": stretch[1],
            "n_bouts_0": bouts[0],
            "n_bouts_1": bouts[1],
            "auc": aucs,
        }
    )


class TestAnimals:
    def test_sessions_first_then_decoders(self):
        table = pd.concat(
            [
                rows_of("f1", 0, ["a", "b"], [0.5, 0.75]),
                rows_of("f1", 1, ["a", "b"], [0.75, 0.75]),
                rows_of("f2", 0, ["a", "b"], [np.nan, 1.0]),
                rows_of("f2", 1, ["a", "b"], [np.nan, np.nan]),
                rows_of("f3", 0, ["c"], [0.25], animal="m2"),
            ]
        )
        first, second = score_animals(table).to_dict("records")
        decoders = [0.625, 0.75, 1.0]
        assert first["value"] == pytest.approx(np.mean(decoders), abs=1e-15)
        assert first["sd_decoders"] == pytest.approx(np.std(decoders, ddof=1), abs=1e-15)
        assert (first["animal"], first["metric"], first["n_decoders"]) == ("m1", "auc", 3)
        # Two sessions of 7 bouts, however many folds and seeds test them.
        assert (first["n_sessions"], first["n_bouts"]) == (2, 14)
        assert (second["animal"], second["value"], second["n_bouts"]) == ("m2", 0.25, 7)
        assert np.isnan(second["sd_decoders"])

    def test_blocks_of_a_session_add_their_bouts(self):
        blocks = [
            rows_of(f"block-{k}", seed, ["a"], [0.5], stretch=(100 * k, 100 * k + 80))
            for k in range(3)
            for seed in range(2)
        ]
        row = only(score_animals(pd.concat(blocks)))
        assert (row["n_sessions"], row["n_bouts"], row["n_decoders"]) == (1, 21, 6)

    def test_labels_permuted_by_seed_count_once(self):
        table = pd.concat(
            [
                rows_of("f1", 0, ["a"], [0.5], stretch=(0, 90), bouts=(4, 4)),
                rows_of("f1", 1, ["a"], [0.5], stretch=(0, 70), bouts=(9, 9)),
            ]
        )
        assert only(score_animals(table))["n_bouts"] == 8

    @pytest.mark.parametrize("blank", [np.nan, None])
    def test_nothing_but_blanks(self, blank):
        row = only(score_animals(rows_of("f1", 0, ["a", "b"], [blank, blank])))
        assert np.isnan(row["value"])
        assert np.isnan(row["sd_decoders"])
        assert (row["n_decoders"], row["n_sessions"]) == (0, 2)

    def test_conditions_of_two_kinds_in_one_table(self):
        binary = rows_of("f1", 0, ["a"], [0.75])
        value = binary.drop(columns=["auc", "n_bouts_0", "n_bouts_1"]).assign(
            condition="speed", r2=np.nan, mae=2.0
        )
        value = pd.concat([value, value.assign(session="b", r2=0.5)])
        first, second = score_animals(pd.concat([binary, value])).to_dict("records")
        assert (first["metric"], first["value"], first["n_bouts"]) == ("auc", 0.75, 7)
        assert (second["metric"], second["value"], second["n_sessions"]) == ("r2", 0.5, 2)
        assert np.isnan(second["n_bouts"])

    def test_from_predictions(self):
        target = np.repeat(ALTERNATING * 2, 5)
        fits = []
        for seed, flip in enumerate([0.0, 1.0]):
            table = score(said(target, np.abs(target - flip)))
            fits.append(table.assign(condition="gru", fold="f", seed=seed))
        row = only(score_animals(pd.concat(fits)))
        assert (row["value"], row["n_decoders"], row["n_bouts"]) == (0.5, 2, 12)
        assert row["sd_decoders"] == pytest.approx(np.sqrt(0.5), abs=1e-15)

    def test_no_rows(self):
        empty = score_animals(rows_of("f1", 0, ["a"], [0.5]).iloc[:0])
        assert empty.empty
        assert "n_bouts" in empty

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.randoms())
    def test_the_order_of_rows_does_not_matter(self, aucs, random):
        rows = [rows_of(f"f{k % 2}", k // 2, ["a"], [auc]) for k, auc in enumerate(aucs)]
        shuffled = random.sample(rows, len(rows))
        one, other = (only(score_animals(pd.concat(table))) for table in (rows, shuffled))
        assert one["value"] == pytest.approx(np.mean(aucs), abs=1e-12)
        assert other["value"] == pytest.approx(one["value"], abs=1e-12)
        assert one["n_bouts"] == other["n_bouts"]

    def test_missing_columns(self):
        table = score(said(ALTERNATING, ALTERNATING)).drop(columns="auc")
        with pytest.raises(DataError, match="no column condition, fold, seed, auc or r2; join"):
            score_animals(table)


def test_animals_without_a_score_are_told_with_the_reason():
    animals = pd.DataFrame(
        {"condition": "gru", "animal": ["m1", "m2"], "metric": "auc", "value": [0.8, np.nan]}
    )
    sessions = pd.DataFrame(
        {
            "condition": "gru",
            "animal": ["m1", "m2", "m2"],
            "blank_because": ["", "1 bouts of '1'", "1 bouts of '1'"],
        }
    )
    [finding] = blank_findings(animals, sessions)
    assert finding.animal == "m2"
    assert finding.reason == (
        "no auc in 'gru': 1 bouts of '1' (a score needs 3 bouts and 5 s of each class in a test "
        "part)"
    )
    assert finding.count == 2


def windows_of(*runs, target="run"):
    sessions = [
        Session(
            "m1",
            f"s{k}",
            np.random.default_rng(k).normal(size=(80, 2)),
            ("1", "2"),
            {"run": run, "act": np.where(run, "walk", "rest"), "speed": 2.0 * run + np.arange(80)},
            np.zeros(80, int),
        )
        for k, run in enumerate(runs)
    ]
    kind = {"run": "binary", "act": "classes", "speed": "value"}[target]
    return cut_windows(sessions, Target(target, kind=kind), WindowShape(1, 1))


def test_sessions_of_one_class_are_left_out_and_listed():
    kept, findings = scorable_windows(windows_of(BOUTS, REST), "the curves")
    assert np.unique(kept.session).tolist() == [0]
    assert [str(finding) for finding in findings] == [
        "animal 'm1', session 's1': left out of the curves: 1 bout of 0; 0 bouts of 1"
    ]


def test_unknown_behaviour_is_told():
    windows = windows_of(BOUTS, BOUTS)
    unknown = replace(windows, target=np.where(windows.session == 1, np.nan, windows.target))
    kept, findings = scorable_windows(unknown, "the curves")
    assert kept.n_windows == 78
    assert "its behaviour is not known" in str(findings[0])


@pytest.mark.parametrize("target", ["run", "act", "speed"])
def test_every_kind_of_target(target):
    kept, findings = scorable_windows(windows_of(BOUTS, BOUTS, target=target), "the curves")
    assert (kept.n_windows, findings) == (156, [])


def test_none_is_an_error():
    with pytest.raises(DataError, match="no session can be scored, so none is left for the curves"):
        scorable_windows(windows_of(REST), "the curves")


@settings(max_examples=20)
@given(st.lists(st.sampled_from([2, 5, 10, 40, 80]), min_size=1, max_size=3))
def test_kept_are_those_that_are_not_blank(lengths):
    windows = windows_of(BOUTS, *(np.arange(80) // n % 2 for n in lengths))
    kept, findings = scorable_windows(windows, "the curves")
    table = score_sessions(as_empty_predictions(windows))
    wanted = table.loc[table["blank_because"] == "", "session"].tolist()
    assert [windows.session_names[k] for k in np.unique(kept.session)] == wanted
    assert len(findings) == len(table) - len(wanted)


class TestTrials:
    def test_are_counted_by_class_and_need_five_of_each(self):
        target = [0] * 5 + [1] * 4
        one = said(target, np.linspace(0, 1, 9), frame=50 * np.arange(9), of_trials=True,
                   frame_rate_hz=30.0)  # fmt: skip
        (row,) = score_sessions(one).to_dict("records")
        assert (row["n_trials_0"], row["n_trials_1"]) == (5, 4)
        assert (row["blank_because"], np.isnan(row["auc"])) == ("4 trials of 1", True)
        # Five of each last less than 5 s, which counts for frames alone.
        ten = said([0, 1] * 5, [0.2, 0.8] * 5, frame=50 * np.arange(10), of_trials=True,
                   frame_rate_hz=30.0)  # fmt: skip
        (row,) = score_sessions(ten).to_dict("records")
        assert (row["auc"], row["blank_because"]) == (1.0, "")
        assert not [name for name in row if name.startswith("n_bouts")]

    def test_of_values_need_ten(self):
        values = said(np.arange(9), np.arange(9), kind="value", of_trials=True)
        (row,) = score_sessions(values).to_dict("records")
        assert (row["n_trials"], row["blank_because"]) == (9, "9 trials, fewer than 10")
        assert np.isnan(row["r2"]) and row["pearson_r"] == pytest.approx(1)

    def test_of_an_animal_are_summed_over_sessions_once(self):
        tables = [
            score_sessions(said([0, 1] * 6, [0.2, 0.8] * 6, session=session, of_trials=True))
            .assign(condition="gru", fold=fold, seed=0)
            for session in ("a", "b") for fold in ("f", "g")
        ]  # fmt: skip
        (row,) = score_animals(pd.concat(tables)).to_dict("records")
        assert (row["value"], row["n_trials"]) == (1.0, 24) and np.isnan(row["n_bouts"])
