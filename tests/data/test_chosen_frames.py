"""Frames that are excluded for other behaviour, and classes matched in another signal."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from tests.conftest import LINEAR_STUDY, MAP_FOLDS

from corticode.data.chosen_frames import choose_frames, excluded_frames, matched_frames
from corticode.data.prepared import prepare_sessions
from corticode.data.session import Session
from corticode.data.targets import Exclude, Target, TargetTrace
from corticode.data.windows import WindowShape, cut_windows, session_targets, targets_of
from corticode.decode.decoder import load_decoder
from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.errors import DataError, StudyError
from corticode.report.words import label_rule
from corticode.run.folder import Run
from corticode.study.study import read_study


class TestExcluded:
    @pytest.mark.parametrize(
        ("exclude", "expected"),
        [
            (Exclude("x"), "0011100011"),
            (Exclude("x", within_frames=1), "0111110111"),
            (Exclude("x", at="onset", within_frames=2), "1111000110"[:6] + "1111"),
            (Exclude("x", at="offset", within_frames=1), "0000110000"),
            (Exclude("x", at="steady", within_frames=2), "0000100000"),
        ],
    )
    def test_by_hand(self, exclude, expected):
        on = np.array([0, 0, 1, 1, 1, 0, 0, 0, 1, 1], float)
        found = excluded_frames(on, exclude)
        assert "".join(str(int(one)) for one in found) == expected

    def test_nothing_reaches_over_a_gap_and_what_is_not_known_is_left_out(self):
        on = np.array([0, 0, 1, 0, 0, 1, np.nan, 0])
        segment = np.array([0, 0, 0, 1, 1, 1, 1, 1])
        found = excluded_frames(on, Exclude("x", within_frames=2), segment)
        # Frames 3 and 4 lie within 2 of the 1 at 5, not for that at 2, behind the gap.
        assert found.tolist() == [True, True, True, True, True, True, True, True]
        alone = excluded_frames(on[:5], Exclude("x", within_frames=2), segment[:5])
        assert alone.tolist() == [True, True, True, False, False]

    def test_an_onset_that_was_not_seen_is_none(self):
        on = np.array([1, 1, 0, 1])
        gone = excluded_frames(on, Exclude("x", at="onset", within_frames=1))
        assert gone.tolist() == [False, False, True, True]
        steady = excluded_frames(on, Exclude("x", at="steady", within_frames=1))
        assert steady.tolist() == [True, True, False, False]

    def test_what_cannot_be(self):
        with pytest.raises(StudyError, match="must be one of on, onset, offset, steady"):
            Exclude("x", at="rise")
        with pytest.raises(StudyError, match="leaves nothing out without a length"):
            Exclude("x", at="onset")
        with pytest.raises(DataError, match="holds text"):
            excluded_frames(np.array(["a"]), Exclude("x"))


class TestMatched:
    def test_classes_have_the_same_distribution(self):
        rng = np.random.default_rng(0)
        label = rng.integers(0, 3, 6000).astype(float)
        label[:100] = np.nan
        speed = rng.normal(size=6000) + 0.7 * np.nan_to_num(label)
        kept = matched_frames(speed, label, rng)
        assert not kept[:100].any()
        groups = [speed[kept & (label == k)] for k in range(3)]
        assert len({len(one) for one in groups}) == 1
        assert len(groups[0]) > 500
        means = [one.mean() for one in groups]
        assert max(means) - min(means) < 0.06  # it was 1.4
        assert roc_auc_score(label[kept] == 2, speed[kept]) == pytest.approx(0.5, abs=0.03)

    def test_of_one_class_nothing_is_left(self):
        assert not matched_frames(np.arange(9.0), np.ones(9), np.random.default_rng(0)).any()

    def test_what_cannot_be(self):
        with pytest.raises(StudyError, match="kind 'value' has none"):
            Target("x", "value", match="speed")
        with pytest.raises(StudyError, match="which is what is decoded"):
            Target("speed", above=1.0, match="speed")
        trace = TargetTrace(np.array([0, 0, 1, 1], np.float32), ("0", "1"))
        target, segment = Target("run", match="speed"), [np.zeros(4)]
        with pytest.raises(DataError, match=r"'speed', by which frames.*signals there: run"):
            choose_frames([trace], target, [{"run": trace.values}], segment, ["m/a"])
        apart = {"speed": np.array([0.0, 0, 9, 9])}
        with pytest.raises(DataError, match=r"no frame with a target is left.*match speed"):
            choose_frames([trace], target, [apart], segment, ["m/a"])


def speed_and_choice(seed, *, signal):
    """A session whose classes differ in speed, and whose trace holds speed or the class."""
    rng = np.random.default_rng(seed)
    state = np.repeat(rng.integers(0, 2, 150), 8).astype(float)
    speed = rng.normal(size=1200) + 1.5 * state
    read = speed if signal == "speed" else 1.5 * state
    traces = read[:, None] + rng.normal(size=(1200, 3)) * [0.5, 3, 3]
    behavior = {"groom": state, "speed": speed}
    return Session(
        f"m{seed}", "a", traces, ("1", "2", "3"), behavior, np.zeros(1200, np.int32), 10.0
    )


@pytest.mark.parametrize("signal", ["speed", "class"])
def test_what_reads_speed_alone_falls_to_chance_and_the_class_stays(signal):
    sessions = [speed_and_choice(k, signal=signal) for k in range(3)]
    auc = {}
    for match in (None, "speed"):
        windows = cut_windows(sessions, Target("groom", match=match), WindowShape(0, 0))
        train, valid, test = (windows.where(windows.session == k) for k in range(3))
        decoder = fit(train, valid, "linear-window")
        told = predict(decoder, test).score
        auc[match] = roc_auc_score(test.target, told)
    assert auc[None] > 0.8
    if signal == "speed":
        assert abs(auc["speed"] - 0.5) < 0.06
    else:
        assert auc["speed"] > 0.9


def test_the_same_frames_are_drawn_whatever_stands_beside(tmp_path):
    one, other = (speed_and_choice(k, signal="class") for k in range(2))
    target = Target("groom", match="speed", exclude=Exclude("speed", above=2.5, within_frames=1))
    alone = targets_of([one], target)[0].values
    both = session_targets(prepare_sessions([other, one]), target)[1].values
    np.testing.assert_array_equal(alone, both)
    assert np.isnan(alone[one.behavior["speed"] > 2.5]).all()
    # A decoder keeps how its frames were chosen, and predicts all frames of a new recording.
    windows = cut_windows([one, other], target, WindowShape(1, 1))
    own, rest = (windows.where(windows.session == k) for k in range(2))
    fit(own, rest, "linear-window").save(tmp_path / "d")
    decoder = load_decoder(tmp_path / "d")
    assert decoder.recipe.target == target
    new = {"traces": one.traces, "behavior": {"groom": one.behavior["groom"]}}
    whole = Session(
        "m9", "a", new["traces"], one.regions, new["behavior"], np.zeros(1200, np.int32), 10.0
    )
    assert cut_windows([whole], recipe=decoder.recipe).n_windows == 1198


STUDY = (
    LINEAR_STUDY.replace('by = "animal"', MAP_FOLDS)
    + """
[[condition]]
name = "matched"
like = "linear"
target = { match = "pupil" }
[[condition]]
name = "steady"
like = "linear"
target = { exclude = { signal = "pupil", above = 2.5, at = "onset", within_s = 0.2 } }
"""
)


class TestInAStudy:
    @pytest.mark.study
    def test_frames_are_chosen_and_other_fits_keep_their_keys(
        self, write_cohort, run_inline, tmp_path
    ):
        folder = write_cohort(tmp_path / "cohort", study=LINEAR_STUDY.replace(
            'by = "animal"', MAP_FOLDS))  # fmt: skip
        for path in folder.glob("m*_s*.csv"):
            table = pd.read_csv(path)
            pupil = np.random.default_rng(0).normal(size=len(table)).round(3)
            table.assign(pupil=pupil).to_csv(path, index=False)
        run_inline(folder, tmp_path / "run")
        (folder / "study.toml").write_text(STUDY, "utf-8")
        _, fitted = run_inline(folder, tmp_path / "run")
        assert {task.condition.name for task in fitted} == {"matched", "steady"}
        scores = Run(tmp_path / "run").read_table("animal_scores")
        assert (scores["value"] > 0.8).all()
        windows = Run(tmp_path / "run").read_table("scores").groupby("condition")["n_windows"].sum()
        assert windows["matched"] < windows["linear"]
        assert windows["steady"] < windows["linear"]
        rates = Run(tmp_path / "run").read_table("session_scores").set_index("condition")
        assert rates.loc["matched", "base_rate"].to_numpy() == pytest.approx(
            0.5, abs=0.05
        )  # windows at ends are lost

    def test_what_cannot_be(self, linear_cohort):
        path = linear_cohort / "study.toml"
        for keys, match in (
            ('match = "run"', "which is what is decoded"),
            ('exclude = { signal = "x", at = "onset" }', "leaves nothing out without a length"),
            ('exclude = { signal = "x", at = "rise" }', "it must be"),
            ('exclude = { signal = "x", within_s = 1, within_frames = 2 }', "say the same thing"),
            ('exclude = { signal = "x", within = 1 }', "unknown key 'within'"),
            ("exclude = { above = 1.0 }", "signal is missing"),
        ):
            path.write_text(
                LINEAR_STUDY.replace('signal = "run"', f'signal = "run"\n{keys}'), "utf-8"
            )
            with pytest.raises(StudyError, match=match):
                read_study(path)

    def test_methods_say_so(self):
        target = {"signal": "run", "match": "speed"}
        target["exclude"] = {"signal": "licks", "at": "onset", "within_s": 1.0}
        said = label_rule(target)
        assert "frames within 1 s of an onset of “licks” above 0.5 have no label" in said
        assert "same distribution of “speed”" in said
