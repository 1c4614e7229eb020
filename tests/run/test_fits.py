"""One fit and one prediction, start to end."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.conftest import LINEAR_STUDY

from corticode.data.catalogue import read_catalogue
from corticode.data.checks import read_all
from corticode.data.folds import Fold, Part
from corticode.data.prepared import prepare_sessions
from corticode.data.regions import RegionTable
from corticode.data.targets import Target
from corticode.decode.decoder import load_decoder, roles_of_animals
from corticode.decode.predictions import Predictions
from corticode.errors import (
    LEFT_OUT,
    UNKNOWN_CLASS,
    CorticodeWarning,
    DecoderError,
    Finding,
    FoldError,
    RunError,
    StudyError,
)
from corticode.evaluate.metrics import binary_scores
from corticode.run.check import check_study
from corticode.run.fits import (
    condition_windows,
    fold_findings,
    left_out,
    predict_recordings,
    run_fit,
    split_fold,
)
from corticode.run.folder import FitResult, Run, read_result
from corticode.run.tasks import lay_out
from corticode.study.study import read_study, resolve

FOLD = Fold("test-m1_valid-m2", (Part("m3"), Part("m4")), (Part("m2"),), (Part("m1"),))


@pytest.fixture
def tasks(linear_cohort, tmp_path):
    """The fits of a study with one linear condition."""
    return lay_out(read_study(linear_cohort / "study.toml"), Run(tmp_path / "run")).tasks


@pytest.fixture(scope="module")
def linear(cohort):
    """The linear condition of the cohort's study, resolved."""
    return resolve(read_study(cohort / "study.toml").conditions[1], 10.0)


@pytest.fixture
def prepared(simulate):
    """Four animals with two simulated sessions each."""
    pairs = [(f"m{k}", name) for k in range(1, 5) for name in "ab"]
    return prepare_sessions([simulate(animal, session) for animal, session in pairs])


class TestRunFit:
    def test_gives_what_stands_in_done(self, tasks):
        content = run_fit(tasks[0])
        assert content == read_result(tasks[0].folder, FitResult)
        assert content.key == tasks[0].key
        assert content.fit == {
            "condition": "linear",
            "fold": "test-m1_valid-m2",
            "seed": 0,
            "test_animal": "m1",
            "valid_animal": "m2",
        }
        assert content.scores["n_windows"] == 3 * 390
        assert content.look_ahead_s == "inf"
        assert [row["session"] for row in content.session_scores] == ["s1", "s2", "s3"]
        assert content.findings == ()

    def test_is_done_once(self, tasks):
        first = run_fit(tasks[0])
        stamp = (tasks[0].folder / "decoder.safetensors").stat().st_mtime_ns
        assert run_fit(tasks[0]) == first
        assert (tasks[0].folder / "decoder.safetensors").stat().st_mtime_ns == stamp

    def test_keeps_predictions_of_training_windows(self, tasks):
        run_fit(replace(tasks[0], condition=replace(tasks[0].condition, keep_train=True)))
        said = Predictions.load(tasks[0].folder / "predictions.npz")
        parts = said.to_frame().groupby("part")["animal"].unique()
        assert {part: set(animals) for part, animals in parts.items()} == {
            "train": {"m3", "m4"},
            "valid": {"m2"},
            "test": {"m1"},
        }

    def test_leaves_out_what_cannot_be_fitted(self, tasks):
        """A fold that was fitted and now cannot be leaves no decoder behind."""
        run_fit(tasks[0])
        nobody = replace(tasks[0].fold, train=(Part("m9"),))
        content = run_fit(replace(tasks[0], fold=nobody, key="another key"))
        assert content.left_out == "fold 'test-m1_valid-m2' has no window to train"
        assert not content.scores
        assert [path.name for path in tasks[0].folder.iterdir()] == ["done.json"]

    def test_a_full_disk_is_no_matter_of_a_fold(self, tasks, monkeypatch):
        def full(*_):
            raise RunError("cannot write: No space left on device")

        monkeypatch.setattr("corticode.run.fits.write_rows", full)
        with pytest.raises(RunError, match="No space left"):
            run_fit(tasks[0])
        assert read_result(tasks[0].folder, FitResult) is None


class TestConditionWindows:
    def test_permuted_targets_keep_the_frames(self, prepared, linear):
        true = condition_windows(prepared, linear)
        permuted = condition_windows(prepared, replace(linear, permute_labels="sessions"))
        np.testing.assert_array_equal(permuted.start, true.start)
        swapped = np.concatenate([true.target[true.session == k ^ 1] for k in range(8)])
        # Of two sessions each takes the other's trace.
        np.testing.assert_array_equal(permuted.target, swapped)

    def test_permuted_by_seed(self, prepared, linear):
        frames = replace(linear, permute_labels="frames")
        one, same, other = (condition_windows(prepared, frames, seed=k).target for k in (0, 0, 1))
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)

    def test_regions_of_a_table(self, prepared, linear):
        table = RegionTable(("1", "2", "3"), (("limb",), ("limb",), ("visual",)))
        windows = condition_windows(prepared, replace(linear, regions=("limb",)), table=table)
        assert windows.recipe.kept_regions == (True, True, False)

    def test_says_which_session_has_nothing_to_exchange(self, prepared, linear):
        with pytest.raises(StudyError, match=r"session 'a' of animal 'm1' has 1 of the two"):
            condition_windows(prepared, replace(linear, permute_labels="segments"))


class TestFolds:
    def change(self, windows, animal, value=1):
        mine = windows.animal == windows.animal_names.index(animal)
        return replace(windows, target=np.where(mine, np.float32(value), windows.target))

    def test_nothing_odd(self, prepared, linear):
        assert fold_findings(condition_windows(prepared, linear), FOLD, "linear") == []

    def test_parts_of_one_class(self, prepared, linear):
        windows = condition_windows(prepared, linear)
        windows = self.change(self.change(windows, "m1"), "m2", 0)
        assert [str(finding) for finding in fold_findings(windows, FOLD, "linear")] == [
            "fold 'test-m1_valid-m2': its validation part has one class; the epoch is chosen by "
            "training loss",
            "fold 'test-m1_valid-m2': its test part has one class; AUC is empty",
        ]

    def test_values_have_no_classes(self, prepared, linear):
        target = Target("speed", kind="value")
        windows = condition_windows(prepared, replace(linear, target=target))
        assert fold_findings(self.change(windows, "m1"), FOLD, "linear") == []

    def test_training_part_of_one_class(self, prepared, linear):
        windows = condition_windows(prepared, linear)
        windows = self.change(self.change(windows, "m3"), "m4")
        reason = "its training part has one class; there is nothing to tell apart"
        assert fold_findings(windows, FOLD, "linear") == [left_out("linear", FOLD.name, reason)]
        with pytest.raises(FoldError, match=reason):
            split_fold(windows, FOLD)

    def test_two_sessions_that_test_in_two_classes(self, prepared, linear):
        """What counts is the part, not each of its sessions."""
        windows = condition_windows(prepared, linear)
        session = windows.session[windows.animal == 0]
        target = windows.target.copy()
        target[windows.animal == 0] = session == session[0]
        assert fold_findings(replace(windows, target=target), FOLD, "linear") == []

    def test_finding_of_a_left_out_fold(self):
        assert left_out("gru", "f", "too short") == Finding(
            "fold", "left out of 'gru': too short", item="f", code=LEFT_OUT
        )


class TestPredictRecordings:
    @pytest.mark.parametrize("condition", ["gru", "linear"])
    def test_says_what_the_run_said(self, finished_run, cohort, condition):
        recordings = read_catalogue(cohort / "sessions.csv")
        folder = finished_run.fit_folder(condition, "test-m2_valid-m3", 0)
        with pytest.warns(CorticodeWarning) as told:
            again = predict_recordings(load_decoder(folder), recordings)
        # m2 was tested.
        assert [str(warning.message)[:26] for warning in told] == [
            "animal 'm1': trained this ",
            "animal 'm3': validated thi",
            "animal 'm4': trained this ",
        ]
        assert again.animal_names == ("m1", "m2", "m3", "m4")
        assert again.n_windows == 12 * 390
        parts = again.to_frame().groupby("animal")["part"].unique()
        assert parts.map(list).to_dict() == {
            "m1": ["train"],
            "m2": ["test"],
            "m3": ["valid"],
            "m4": ["train"],
        }
        keys = ["animal", "session", "frame"]
        again = again.to_frame().set_index(keys)
        said = Predictions.load(folder / "predictions.npz").to_frame().set_index(keys)
        for name in ("target", "score"):
            expected = said[name].to_numpy()
            np.testing.assert_array_equal(again.loc[said.index, name].to_numpy(), expected)

    def test_where_a_region_was_left_out(self, linear_cohort, run_inline, tmp_path):
        for k in (1, 2, 3):
            traces = np.load(linear_cohort / f"m2_s{k}.npy")
            traces[:, 4] = np.nan
            np.save(linear_cohort / f"m2_s{k}.npy", traces)
        run_inline(linear_cohort, tmp_path / "run")
        folder = Run(tmp_path / "run").fit_folder("linear", "test-m1_valid-m2", 0)
        decoder = load_decoder(folder)
        assert decoder.recipe.regions == ("1", "2", "3", "4", "6")
        assert decoder.recipe.left_out_regions == ("5",)
        said = Predictions.load(folder / "predictions.npz").of_part("test")
        recordings = read_catalogue(linear_cohort / "sessions.csv")
        again = predict_recordings(decoder, recordings[:3])
        np.testing.assert_array_equal(again.score, said.score)

    def test_without_behavior(self, finished_run, cohort):
        recordings = read_catalogue(cohort / "sessions.csv")[:1]
        decoder = load_decoder(finished_run.fit_folder("gru", "test-m1_valid-m2", 0))
        known = predict_recordings(decoder, recordings)
        unknown = predict_recordings(decoder, [replace(recordings[0], behavior=None)])
        np.testing.assert_array_equal(unknown.score, known.score)
        np.testing.assert_array_equal(unknown.frame, known.frame)
        assert np.isnan(unknown.target).all()

    def test_classes_of_which_some_do_not_occur(self, write_cohort, run_inline, tmp_path):
        study = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "act"
kind = "classes"
[folds]
only = ["test-m1_valid-m2"]
[[condition]]
name = "linear"
preprocess = { detrend_frames = 0 }
window = { before = 1, after = 1 }
network = { kind = "linear-window" }
"""
        write_cohort(tmp_path, study=study, animals=3, sessions=1)
        run_inline(tmp_path, tmp_path / "run")
        decoder = load_decoder(Run(tmp_path / "run").fit_folder("linear", "test-m1_valid-m2", 0))
        recordings = read_catalogue(tmp_path / "sessions.csv")[:1]
        table = pd.read_csv(tmp_path / "m1_s1.csv")
        was = predict_recordings(decoder, recordings)
        table["act"] = table["act"].replace({"groom": "walk"})
        table.to_csv(tmp_path / "m1_s1.csv", index=False)
        said = predict_recordings(decoder, recordings)
        assert said.classes == ("groom", "rest", "walk")
        assert set(said.target) == {1, 2}
        np.testing.assert_array_equal(said.score, was.score)
        table["act"] = table["act"].replace({"rest": "sleep"})
        table.to_csv(tmp_path / "m1_s1.csv", index=False)
        message = "windows are of 'sleep', and the decoder was trained on groom, rest, walk alone"
        with pytest.warns(CorticodeWarning, match=message):
            said = predict_recordings(decoder, recordings)
        np.testing.assert_array_equal(said.score, was.score)
        assert set(said.target[~np.isnan(said.target)]) == {2}


FOLDS = ("m1_valid-m2", "m2_valid-m1", "m3_valid-m1")
CLASSES = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "act"
kind = "classes"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m1", "test-m3_valid-m1"]
[[condition]]
name = "linear"
preprocess = { detrend_frames = 0 }
window = { before = 1, after = 1 }
network = { kind = "linear-window" }
"""


class TestAClassThatDoesNotTrain:
    """m1 alone grooms: where m1 is tested or validates, no decoder can say so."""

    @pytest.fixture(scope="class")
    @staticmethod
    def groomed(write_cohort, run_inline, tmp_path_factory):
        folder = write_cohort(
            tmp_path_factory.mktemp("classes") / "cohort", study=CLASSES, animals=3, sessions=2
        )
        for path in [*folder.glob("m2_s?.csv"), *folder.glob("m3_s?.csv")]:
            table = pd.read_csv(path)
            table["act"] = table["act"].replace({"groom": "walk"})
            table.to_csv(path, index=False)
        summary, _ = run_inline(folder, folder / "run")
        return folder, summary

    def test_is_named_before_training(self, groomed):
        folder, summary = groomed
        told = [f for f in check_study(folder / "study.toml").findings if f.code == UNKNOWN_CLASS]
        assert [f.item for f in told] == [
            "test-m1_valid-m2",
            "test-m2_valid-m1",
            "test-m3_valid-m1",
        ]
        assert "class 'groom' is not in its training part" in told[0].reason
        assert told[0].reason.endswith(" windows of its test part enter no score")
        assert told[1].reason.endswith(" windows of its validation part do not choose the epoch")
        assert set(told) <= set(summary.findings)

    def test_enters_no_score(self, groomed):
        folder, _ = groomed
        fit = Run(folder / "run").fit_folder("linear", "test-m1_valid-m2", 0)
        said = Predictions.load(fit / "predictions.npz").of_part("test")
        act = pd.concat([pd.read_csv(folder / f"m1_s{k}.csv")["act"][1:-1] for k in (1, 2)])
        np.testing.assert_array_equal(np.isnan(said.target), act == "groom")
        known = act.to_numpy() != "groom"
        result = read_result(fit, FitResult)
        # Of two classes the mean over both, each against the other.
        aucs = [
            binary_scores(act.to_numpy()[known] == name, said.score[known, k])["auc"]
            for k, name in ((1, "rest"), (2, "walk"))
        ]
        assert result.scores["auc"] == pytest.approx(np.mean(aucs))
        assert result.scores["n_windows"] == known.sum()
        assert load_decoder(fit).trained_classes == ("rest", "walk")

    def test_keys_of_such_folds_alone_differ(self, groomed, tmp_path, monkeypatch):
        folder, _ = groomed
        study = read_study(folder / "study.toml")
        now = [task.key for task in lay_out(study, Run(tmp_path / "run")).tasks]
        monkeypatch.setattr("corticode.run.tasks.unknown_rules", lambda *_: ())
        then = [task.key for task in lay_out(study, Run(tmp_path / "run")).tasks]
        assert [a == b for a, b in zip(now, then, strict=True)] == [False] * 3

    def test_a_part_that_holds_nothing_else(self, groomed, tmp_path):
        folder, _ = groomed
        prepared = prepare_sessions(read_all(read_catalogue(folder / "sessions.csv")))
        condition = resolve(read_study(folder / "study.toml").conditions[0], 10.0)
        windows = condition_windows(prepared, condition)
        fold = Fold("f", (Part("m2"),), (Part("m3"),), (Part("m1"),))
        m1 = windows.animal == windows.animal_names.index("m1")
        with pytest.raises(FoldError, match="no class that its test part holds"):
            split_fold(windows.where(~m1 | (windows.target == 0)), fold)


class TestRolesAreKept:
    def test_by_session(self, write_cohort, run_inline, tmp_path):
        """Folds within animals: of each session a decoder knows what it was."""
        study = LINEAR_STUDY.replace(
            'by = "animal"', 'by = "session"\nonly = ["m1_test-s1_valid-s2"]'
        )
        write_cohort(tmp_path, study=study, animals=1, sessions=4)
        run_inline(tmp_path, tmp_path / "run")
        decoder = load_decoder(Run(tmp_path / "run").fit_folder("linear", "m1_test-s1_valid-s2", 0))
        assert decoder.roles == {
            "train": (Part("m1", "s3", 0, 400), Part("m1", "s4", 0, 400)),
            "valid": (Part("m1", "s2", 0, 400),),
            "test": (Part("m1", "s1", 0, 400),),
        }
        recordings = read_catalogue(tmp_path / "sessions.csv")
        with pytest.warns(CorticodeWarning) as told:
            said = predict_recordings(decoder, recordings).to_frame()
        parts = said.groupby("session")["part"].unique()
        assert {name: list(part) for name, part in parts.items()} == {
            "s1": ["test"], "s2": ["valid"], "s3": ["train"], "s4": ["train"],
        }  # fmt: skip
        words = [str(one.message) for one in told]
        assert words[0].startswith("animal 'm1': trained this decoder")
        assert [line.split("'")[3] for line in words[1:]] == ["s2", "s3", "s4"]
        assert "390 of 390 windows trained this decoder and 0 chose its epoch" in words[2]

    def test_by_block(self, write_cohort, run_inline, tmp_path):
        study = LINEAR_STUDY.replace(
            'by = "animal"', 'by = "block"\nonly = ["m1_s1_test-0_valid-1"]'
        )
        write_cohort(tmp_path, study=study, animals=1, sessions=1)
        run_inline(tmp_path, tmp_path / "run")
        decoder = load_decoder(
            Run(tmp_path / "run").fit_folder("linear", "m1_s1_test-0_valid-1", 0)
        )
        with pytest.warns(CorticodeWarning) as told:
            said = predict_recordings(decoder, read_catalogue(tmp_path / "sessions.csv"))
        assert "windows trained this decoder and" in str(told[-1].message)
        kept = Predictions.load(
            Run(tmp_path / "run").fit_folder("linear", "m1_s1_test-0_valid-1", 0)
            / "predictions.npz"
        )
        for part in (1, 2):
            frames = kept.frame[kept.part == part]
            assert set(said.part[np.isin(said.frame, frames)]) == {part}

    def test_of_older_decoders_by_animal(self, finished_run):
        decoder = load_decoder(finished_run.fit_folder("linear", "test-m1_valid-m2", 0))
        older = replace(decoder, roles={})
        assert roles_of_animals(older) == roles_of_animals(decoder)
        assert roles_of_animals(decoder) == {"m2": "valid", "m3": "train", "m4": "train"}


class TestOtherRecordings:
    @pytest.fixture(scope="class")
    @staticmethod
    def decoder(finished_run):
        return load_decoder(finished_run.fit_folder("linear", "test-m1_valid-m2", 0))

    @pytest.fixture
    def recording(self, own_cohort):
        return read_catalogue(own_cohort / "sessions.csv")[0]

    def test_of_another_frame_rate(self, decoder, recording):
        message = "session m1/s1 has 30.0 frames/s; the decoder was fitted at 10.0: bring"
        with pytest.raises(DecoderError, match=message):
            predict_recordings(decoder, [replace(recording, frame_rate_hz=30.0)])
        message = "session m1/s1 has no known frames/s; the decoder was fitted at 10.0"
        with pytest.raises(DecoderError, match=message):
            predict_recordings(decoder, [replace(recording, frame_rate_hz=None)])

    @pytest.mark.parametrize(
        ("n_regions", "message"),
        [
            (7, "has 7 regions, the decoder 6: their order or number differs"),
            (4, "has 4 regions, the decoder 6: it lacks 5, 6"),
        ],
    )
    def test_of_another_number_of_regions(self, decoder, recording, n_regions, message):
        noise = np.random.default_rng(0).normal(size=(400, n_regions))
        np.save(recording.traces.path, noise)
        with pytest.raises(DecoderError, match=message):
            predict_recordings(decoder, [recording])

    def test_of_other_regions(self, decoder, recording, tmp_path):
        (tmp_path / "names.txt").write_text("1\n2\n3\n4\n5\nV1\n")
        with pytest.raises(DecoderError, match="has 6 regions, the decoder 6: it lacks 6"):
            predict_recordings(decoder, [replace(recording, regions=tmp_path / "names.txt")])

    def test_of_which_a_region_is_empty(self, decoder, recording):
        """A region without values goes; the next one must not take its place."""
        traces = np.load(recording.traces.path)
        wide = np.insert(traces, 2, np.nan, axis=1)
        np.save(recording.traces.path, wide)
        with pytest.raises(DecoderError, match="has 6 regions, the decoder 6: it lacks 3"):
            predict_recordings(decoder, [recording])

    def test_names_of_a_region_table_are_the_decoders(self, decoder, recording):
        names = tuple("abcdef")
        renamed = replace(decoder, recipe=replace(decoder.recipe, regions=names))
        said = predict_recordings(renamed, [recording])
        expected = predict_recordings(decoder, [recording])
        np.testing.assert_array_equal(said.score, expected.score)
