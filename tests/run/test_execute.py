"""Runs: what they write, what they keep, and what they survive."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from tests.conftest import MAP_STUDY, InlineExecutor

from corticode.data.catalogue import read_catalogue
from corticode.data.preprocess import moving_mean
from corticode.decode import training as training_loop
from corticode.decode.predictions import Predictions
from corticode.errors import MachineError, RunError, StudyError
from corticode.evaluate.references import compare_with_references
from corticode.run import fits
from corticode.run.execute import deal_out, execute_study
from corticode.run.folder import FitResult, Run, hold_folder, hold_part, read_result
from corticode.run.tasks import lay_out
from corticode.study.study import read_study

SCORES = [
    *("condition", "fold", "test_animal", "valid_animal", "seed", "n_windows", "base_rate"),
    *("auc", "average_precision", "balanced_accuracy", "accuracy", "brier"),
    *("balanced_accuracy_carried", "accuracy_carried", "threshold_carried"),
    *("auc_session_mean", "look_ahead_s"),
]
# Far above what is needed: what is tested is that it ends, on a busy machine too.
LONG_S = 300
FIT_FILES = {"decoder.safetensors", "decoder.json", "history.csv", "predictions.npz", "done.json"}


def decoders(folder):
    """Bytes of every decoder of a run, by fit."""
    paths = sorted((folder / "fits").rglob("decoder.safetensors"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def command(folder, out, *options):
    arguments = ["run", folder / "study.toml", "--out", out, "--device", "cpu", *options]
    return [sys.executable, "-m", "corticode", *map(str, arguments)]


def wait_for(condition, seconds=600.0):
    """Wait until something is so; whether it became so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        # A folder may go while it is looked through.
        with suppress(FileNotFoundError):
            if condition():
                return True
        time.sleep(0.02)
    return False


def workers_of(process_id):
    """Worker processes below a process; one may end while it is looked at."""
    found = []
    for process in psutil.Process(process_id).children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if any("spawn_main" in part for part in process.cmdline()):
                found.append(process)
    return found


class TestRunFolder:
    def test_files(self, finished_run):
        folder = finished_run.folder
        assert {path.name for path in folder.iterdir()} == {
            *("study.toml", "provenance.json", "fits", "prepared"),
            *("scores.csv", "session_scores.csv", "animal_scores.csv", "excluded.csv"),
            *("region_correlations.csv", "nulls.csv", "day_trends.csv"),
            *("condition_scores.csv", "published_splits.csv"),
            *("detection.csv", "calibration.csv"),
            "variance_shares.csv",
            *("methods.md", "published.csv", "run.lock"),
        }
        fits = [path.parent for path in folder.rglob("done.json")]
        assert len(fits) == 8
        assert all({path.name for path in fit.iterdir()} == FIT_FILES for fit in fits)
        assert not list(folder.rglob("*.part"))

    def test_columns(self, finished_run):
        assert list(finished_run.read_table("scores").columns) == SCORES
        assert list(finished_run.read_table("session_scores").columns) == [
            *("condition", "fold", "seed", "test_animal", "valid_animal", "animal", "session"),
            *("first_frame", "last_frame", "n_windows", "base_rate"),
            *("auc", "average_precision", "balanced_accuracy", "accuracy", "brier"),
            *("balanced_accuracy_carried", "accuracy_carried"),
            *("n_bouts_0", "n_bouts_1", "blank_because", "look_ahead_s"),
        ]
        assert list(finished_run.read_table("animal_scores").columns) == [
            *("condition", "animal", "metric", "value", "sd_decoders"),
            *("n_decoders", "n_sessions", "n_bouts"),
        ]
        assert list(finished_run.read_table("excluded").columns) == [
            *("what", "animal", "session", "item", "count", "reason"),
        ]

    def test_rows(self, finished_run):
        scores = finished_run.read_table("scores")
        assert scores.groupby("condition", sort=False).size().to_dict() == {"gru": 4, "linear": 4}
        assert list(scores["fold"][:2]) == ["test-m1_valid-m2", "test-m2_valid-m3"]
        assert (scores["look_ahead_s"] == np.inf).all()  # min-max over the session
        assert len(finished_run.read_table("session_scores")) == 24
        animals = finished_run.read_table("animal_scores").set_index(["condition", "animal"])
        sessions = finished_run.read_table("session_scores")
        expected = sessions.groupby(["condition", "animal"])["auc"].mean()
        np.testing.assert_allclose(animals["value"], expected.reindex(animals.index), atol=1e-12)
        assert animals["sd_decoders"].isna().all()  # one decoder an animal
        assert (animals["n_sessions"] == 3).all()

    def test_history(self, finished_run):
        fit = finished_run.fit_folder("gru", "test-m1_valid-m2", 0)
        history = pd.read_csv(fit / "history.csv")
        assert list(history["epoch"]) == [1, 2]
        assert read_result(fit, FitResult).best_epoch == 1 + int(history["valid_loss"].argmin())

    def test_provenance(self, finished_run, cohort):
        told = json.loads(finished_run.provenance_path.read_text("utf-8"))
        assert {"python", "corticode", "torch", "numpy"} <= set(told["versions"])
        assert {"system", "processor", "n_cores", "device"} == set(told["machine"])
        assert told["seeds"] == [0]
        names = [recording.name for recording in read_catalogue(cohort / "sessions.csv")]
        assert list(told["recordings"]) == names
        assert len(set(told["recordings"].values())) == 12
        assert "commit" in told
        if told["commit"] is not None:
            assert len(told["commit"]) == 40

    def test_resolved_study_is_the_same_study(self, finished_run, run_inline):
        before = decoders(finished_run.folder)
        summary, fitted = run_inline(finished_run.folder, finished_run.folder)
        assert fitted == []
        assert (summary.n_fits, summary.n_kept, summary.n_changed) == (8, 8, 0)
        assert decoders(finished_run.folder) == before


class TestGoingOn:
    def test_second_call_fits_nothing(self, linear_cohort, run_inline, tmp_path):
        first, fitted = run_inline(linear_cohort, tmp_path / "run")
        assert len(fitted) == 12
        paths = sorted((tmp_path / "run" / "fits").rglob("*.*"))
        times = [path.stat().st_mtime_ns for path in paths]
        tables = [Run(tmp_path / "run").table_path("scores").read_bytes()]
        second, fitted = run_inline(linear_cohort, tmp_path / "run")
        assert fitted == []
        assert (first.n_kept, second.n_kept) == (0, 12)
        assert [path.stat().st_mtime_ns for path in paths] == times
        assert [Run(tmp_path / "run").table_path("scores").read_bytes()] == tables
        pd.testing.assert_frame_equal(first.animal_scores, second.animal_scores)

    def test_one_missing_fit_is_done_again(self, linear_cohort, run_inline, tmp_path):
        run_inline(linear_cohort, tmp_path / "run")
        before = decoders(tmp_path / "run")
        fold = "test-m2_valid-m4"
        (Run(tmp_path / "run").fit_folder("linear", fold, 0) / "done.json").unlink()
        summary, fitted = run_inline(linear_cohort, tmp_path / "run")
        assert [task.fold.name for task in fitted] == [fold]
        assert (summary.n_kept, summary.n_changed) == (11, 0)
        assert decoders(tmp_path / "run") == before

    def test_changed_setting_redoes_its_condition_alone(self, cohort, run_inline, tmp_path):
        folder = tmp_path / "study"
        folder.mkdir()
        text = (cohort / "study.toml").read_text("utf-8").replace("epochs = 2", "epochs = 1")
        text = text.replace('"sessions.csv"', f"'{cohort / 'sessions.csv'}'")
        (folder / "study.toml").write_text(text, "utf-8")
        run_inline(folder, tmp_path / "run")
        (folder / "study.toml").write_text(text.replace("[0.01]", "[0.02]"), "utf-8")
        told = []
        summary, fitted = run_inline(
            folder, tmp_path / "run", on_plan=lambda _, kept, changed: told.append((kept, changed))
        )
        assert {task.condition.name for task in fitted} == {"linear"}
        assert told == [(4, 4)]
        assert (summary.n_fits, summary.n_kept, summary.n_changed) == (8, 4, 4)

    def test_one_changed_byte_redoes_all_that_saw_it(self, linear_cohort, run_inline, tmp_path):
        study = (linear_cohort / "study.toml").read_text("utf-8")
        (linear_cohort / "study.toml").write_text(study.replace('"animal"', '"session"'), "utf-8")
        run_inline(linear_cohort, tmp_path / "run")
        path = linear_cohort / "m2_s1.npy"
        content = bytearray(path.read_bytes())
        content[-2] ^= 1
        path.write_bytes(content)
        summary, fitted = run_inline(linear_cohort, tmp_path / "run")
        assert {task.fold.animals for task in fitted} == {("m2",)}
        assert (len(fitted), summary.n_changed, summary.n_kept) == (3, 3, 9)

    def test_moved_recordings_are_the_same(self, linear_cohort, run_inline, tmp_path):
        run_inline(linear_cohort, tmp_path / "run")
        moved = linear_cohort.rename(tmp_path / "elsewhere")
        for path in moved.glob("m*_s*"):
            path.rename(path.with_name(f"new_{path.name}"))
            os.utime(path.with_name(f"new_{path.name}"))
        catalogue = pd.read_csv(moved / "sessions.csv", dtype=str)
        for name in ("traces", "behavior"):
            catalogue[name] = "new_" + catalogue[name]
        catalogue["group"] = "wild type"
        catalogue.to_csv(moved / "sessions.csv", index=False)
        summary, fitted = run_inline(moved, tmp_path / "run")
        assert fitted == []
        assert summary.n_kept == 12

    def test_removed_condition_leaves_the_tables(self, linear_cohort, run_inline, tmp_path):
        study = linear_cohort / "study.toml"
        text = study.read_text("utf-8")
        more = '[[condition]]\nname = "one frame"\nlike = "linear"\n'
        study.write_text(text + more + 'network = { kind = "linear-frame" }\n', "utf-8")
        run_inline(linear_cohort, tmp_path / "run")
        run = Run(tmp_path / "run")
        assert set(run.read_table("scores")["condition"]) == {"linear", "one frame"}
        study.write_text(text, "utf-8")
        _, fitted = run_inline(linear_cohort, tmp_path / "run")
        assert fitted == []
        for name in ("scores", "session_scores", "animal_scores"):
            assert set(run.read_table(name)["condition"]) == {"linear"}
        assert read_result(run.fit_folder("one frame", "test-m1_valid-m2", 0), FitResult)

    def test_files_about_to_change_are_vouched_for_by_nothing(
        self, linear_cohort, run_inline, tmp_path, monkeypatch
    ):
        """A run with other settings dies between two files; the first settings come back."""
        run_inline(linear_cohort, tmp_path / "run")
        before = decoders(tmp_path / "run")
        study = linear_cohort / "study.toml"
        text = study.read_text("utf-8")
        study.write_text(text.replace("[0.01]", "[0.5]"), "utf-8")

        def die(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("corticode.run.fits.write_rows", die)
            with pytest.raises(KeyboardInterrupt):
                run_inline(linear_cohort, tmp_path / "run")
        assert decoders(tmp_path / "run") != before
        study.write_text(text, "utf-8")
        _, fitted = run_inline(linear_cohort, tmp_path / "run")
        assert len(fitted) == 1
        assert decoders(tmp_path / "run") == before

    def test_damaged_done(self, linear_cohort, run_inline, tmp_path):
        run_inline(linear_cohort, tmp_path / "run")
        fit = Run(tmp_path / "run").fit_folder("linear", "test-m1_valid-m2", 0)
        done = (fit / "done.json").read_text("utf-8")
        (fit / "done.json").write_text(done[:50], "utf-8")
        summary, fitted = run_inline(linear_cohort, tmp_path / "run")
        assert [task.folder for task in fitted] == [fit]
        assert "done.json is damaged" in summary.findings[0].reason
        again = json.loads((fit / "done.json").read_text("utf-8"))
        assert again | {"seconds": 0} == json.loads(done) | {"seconds": 0}

    @pytest.mark.parametrize("name", ["decoder.safetensors", "decoder.json", "predictions.npz"])
    @pytest.mark.parametrize("how", ["swapped", "cut short", "gone"])
    def test_files_that_are_not_what_a_fit_left(
        self, linear_cohort, run_inline, tmp_path, name, how
    ):
        run_inline(linear_cohort, tmp_path / "run")
        run = Run(tmp_path / "run")
        fit, other = (run.fit_folder("linear", f"test-m1_valid-m{k}", 0) / name for k in (2, 3))
        before = fit.read_bytes()
        if how == "gone":
            fit.unlink()
        else:
            fit.write_bytes(other.read_bytes() if how == "swapped" else before[:-1])
        summary, fitted = run_inline(linear_cohort, tmp_path / "run")
        assert [task.folder for task in fitted] == [fit.parent]
        assert str(summary.findings[0]) == (
            "fit 'linear, test-m1_valid-m2': is done again, as it is damaged: "
            f"{name}: missing, or not as written"
        )
        assert fit.read_bytes() == before
        assert "damaged" not in run.table_path("excluded").read_text("utf-8")


class TestWhatThisMachineLacks:
    """It is never stored as a result: the next call tries again."""

    ERRORS = (
        MemoryError("Unable to allocate 4 GiB"),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        PermissionError(13, "Permission denied", "traces.npy"),
        MachineError("the device's memory does not hold half a batch of 32 windows"),
    )

    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error)[:20])
    def test_a_fit_is_left_undone_and_done_by_the_next_call(
        self, linear_cohort, run_inline, tmp_path, monkeypatch, error
    ):
        fitted = fits.fit

        def fit(train, *arguments, **options):
            if "m4" not in {train.animal_names[k] for k in train.animal}:
                raise error
            return fitted(train, *arguments, **options)

        monkeypatch.setattr(fits, "fit", fit)
        with pytest.raises(RunError) as caught:
            run_inline(linear_cohort, tmp_path / "run")
        told = str(caught.value)
        assert told.startswith("6 of 12 fits and maps could not be done on this machine; the oth")
        assert "\n  1. 'linear, test-m1_valid-m4', 'linear, test-m" in told
        assert told.count("\n") == 1
        assert len(list((tmp_path / "run").glob("fits/*/*/*/done.json"))) == 6
        assert not (tmp_path / "run" / "scores.csv").exists()
        monkeypatch.setattr(fits, "fit", fitted)
        summary, tasks = run_inline(linear_cohort, tmp_path / "run")
        assert (summary.n_fits, summary.n_kept, len(tasks)) == (12, 6, 6)

    def test_what_needs_it_waits(self, mapped, run_inline, tmp_path, monkeypatch):
        def fit(*_, **__):
            raise MemoryError

        monkeypatch.setattr(fits, "fit", fit)
        with pytest.raises(RunError, match=r"done on this machine, and \d+ that need"):
            run_inline(mapped[0], tmp_path / "run")
        assert not list((tmp_path / "run").rglob("done.json"))

    def test_several_workers_where_there_is_no_shared_memory(
        self, linear_cohort, tmp_path, monkeypatch
    ):
        def refuse(*_, **__):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

        monkeypatch.setattr("corticode.run.worker.ProcessPoolExecutor", refuse)
        study = read_study(linear_cohort / "study.toml")
        with pytest.raises(RunError, match=r"as /dev/shm is missing or full\); run .* --workers 1"):
            execute_study(study, tmp_path / "run", n_workers=2)
        assert execute_study(study, tmp_path / "run").n_fits == 12

    def test_other_errors_are_not_hidden(self, linear_cohort, run_inline, tmp_path, monkeypatch):
        def fit(*_, **__):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

        monkeypatch.setattr(fits, "fit", fit)
        with pytest.raises(RuntimeError, match="mat1 and mat2"):
            run_inline(linear_cohort, tmp_path / "run")


class TestRecordingsThatChangeMeanwhile:
    def test_what_was_made_of_both_is_not_kept(
        self, linear_cohort, run_inline, tmp_path, monkeypatch
    ):
        fitted = fits.fit
        path = linear_cohort / "m1_s1.npy"
        whole = path.read_bytes()

        def fit(*arguments, **options):
            path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
            return fitted(*arguments, **options)

        monkeypatch.setattr(fits, "fit", fit)
        with pytest.raises(
            RunError, match=r"m1_s1\.npy changed while the run was going on, so tha"
        ):
            run_inline(linear_cohort, tmp_path / "run")
        assert not list((tmp_path / "run").glob("fits/*/*/*/done.json"))
        monkeypatch.undo()
        _, tasks = run_inline(linear_cohort, tmp_path / "run")
        assert len(tasks) == 12


class TestSeeds:
    def test_two_seeds(self, linear_cohort, run_inline, tmp_path):
        study = linear_cohort / "study.toml"
        text = study.read_text("utf-8").replace('by = "animal"', 'only = ["test-m1_valid-m2"]')
        text = text.replace('kind = "linear-window" ', 'kind = "gru", units = 4 ')
        study.write_text(text.replace("penalty = [0.01]", "epochs = 1, batch_size = 64"), "utf-8")
        run_inline(linear_cohort, tmp_path / "run", n_seeds=2)
        run = Run(tmp_path / "run")
        fits = [run.fit_folder("linear", "test-m1_valid-m2", seed) for seed in (0, 1)]
        assert [fit.name for fit in fits] == ["seed-0", "seed-1"]
        zero, one = (fit / "decoder.safetensors" for fit in fits)
        assert zero.read_bytes() != one.read_bytes()
        assert list(run.read_table("scores")["seed"]) == [0, 1]
        assert run.read_table("animal_scores")["n_decoders"].item() == 2
        assert json.loads(run.provenance_path.read_text("utf-8"))["seeds"] == [0, 1]
        # With fewer seeds the others leave the tables, and nothing is fitted again.
        _, fitted = run_inline(linear_cohort, tmp_path / "run", n_seeds=1)
        assert fitted == []
        assert list(run.read_table("scores")["seed"]) == [0]


class TestSharedTraining:
    @pytest.fixture
    def folder(self, linear_cohort):
        study = linear_cohort / "study.toml"
        text = study.read_text("utf-8")
        text = text.replace('kind = "linear-window" ', 'kind = "gru", units = 4 ')
        study.write_text(text.replace("penalty = [0.01]", "epochs = 2, batch_size = 64"), "utf-8")
        return linear_cohort

    def test_trained_once_and_chosen_twice_is_trained_twice(
        self, folder, run_inline, tmp_path, monkeypatch
    ):
        checkpoints = []
        real = training_loop._train_to_validation
        monkeypatch.setattr(
            training_loop, "_train_to_validation", lambda *a: checkpoints.append(real(*a))
        )
        run_inline(folder, tmp_path / "shared")
        assert len(checkpoints) == 6 * 2  # of twelve folds, six train
        with monkeypatch.context() as patch:
            patch.setattr("corticode.run.tasks.can_share", lambda *_: False)
            run_inline(folder, tmp_path / "apart")
        assert len(checkpoints) == 12 + 12 * 2
        assert decoders(tmp_path / "shared") == decoders(tmp_path / "apart")
        tables = [Run(tmp_path / name).read_table("scores") for name in ("shared", "apart")]
        pd.testing.assert_frame_equal(*tables)
        assert not list((tmp_path / "shared").rglob("checkpoints-*"))

    def test_a_fit_whose_like_is_gone_trains_itself(self, folder, run_inline, tmp_path):
        run_inline(folder, tmp_path / "run")
        before = decoders(tmp_path / "run")
        shutil.rmtree(Run(tmp_path / "run").fit_folder("linear", "test-m2_valid-m1", 0))
        _, fitted = run_inline(folder, tmp_path / "run")
        assert len(fitted) == 1
        assert decoders(tmp_path / "run") == before


class TestBadFolds:
    def one_class(self, folder, animal):
        for path in folder.glob(f"{animal}_*.csv"):
            table = pd.read_csv(path)
            table["run"] = 1
            table.to_csv(path, index=False)

    def test_one_animal_of_one_class(self, linear_cohort, run_inline, tmp_path):
        self.one_class(linear_cohort, "m1")
        told = []
        summary, _ = run_inline(
            linear_cohort, tmp_path / "run", on_plan=lambda plan, *_: told.extend(plan.findings)
        )
        run = Run(tmp_path / "run")
        scores = run.read_table("scores").set_index("fold")
        assert len(scores) == 12
        is_test = scores["test_animal"] == "m1"
        assert scores["auc"].isna().to_numpy().tolist() == is_test.tolist()
        assert scores.loc[is_test, "accuracy"].notna().all()
        assert scores.loc[is_test, "brier"].notna().all()
        selected = {
            read_result(run.fit_folder("linear", fold, 0), FitResult).selected_by
            for fold in scores.index[scores["valid_animal"] == "m1"]
        }
        assert selected == {"training loss"}
        animals = run.read_table("animal_scores").set_index("animal")
        assert np.isnan(animals.loc["m1", "value"])
        assert (animals.loc[["m2", "m3", "m4"], "value"] > 0.9).all()
        excluded = run.read_table("excluded")
        assert set(excluded["what"]) == {"fold", "session"}
        reasons = excluded.groupby("reason")["item"].agg(list).to_dict()
        valid = "its validation part has one class; the epoch is chosen by training loss"
        test = "its test part has one class; AUC is empty"
        assert sorted(reasons[valid]) == [f"test-m{k}_valid-m1" for k in (2, 3, 4)]
        assert sorted(reasons[test]) == [f"test-m1_valid-m{k}" for k in (2, 3, 4)]
        # Of folds all was told before anything was fitted, in the same words.
        assert tuple(told) == tuple(f for f in summary.findings if f.what == "fold")

    def test_training_parts_of_one_class_are_left_out(self, linear_cohort, run_inline, tmp_path):
        for animal in ("m1", "m2"):
            self.one_class(linear_cohort, animal)
        summary, _ = run_inline(linear_cohort, tmp_path / "run")
        run = Run(tmp_path / "run")
        assert summary.n_fits == 10
        assert len(run.read_table("scores")) == 10
        excluded = run.read_table("excluded")
        left_out = excluded[excluded["reason"].str.startswith("left out")]
        assert sorted(left_out["item"]) == ["test-m3_valid-m4", "test-m4_valid-m3"]
        assert left_out["reason"].iloc[0] == (
            "left out of 'linear': its training part has one class; there is nothing to tell apart"
        )
        again, fitted = run_inline(linear_cohort, tmp_path / "run")
        assert fitted == []
        assert again.n_fits == 10

    def test_no_fold_left(self, linear_cohort, run_inline, tmp_path):
        for k in range(1, 5):
            self.one_class(linear_cohort, f"m{k}")
        message = (
            "no fold is left to decode: left out of 'linear': its training part has one class; "
            r"there is nothing to tell apart \(12 folds, the first 'test-m1_valid-m2'\)$"
        )
        with pytest.raises(StudyError, match=message):
            run_inline(linear_cohort, tmp_path / "run")
        assert not list((tmp_path / "run").glob("*.csv"))

    def test_a_fit_that_fails_leaves_the_others(
        self, linear_cohort, run_inline, tmp_path, monkeypatch
    ):
        from corticode.run import fits as experiment

        fit = experiment.fit

        def diverge(train, *arguments, **named):
            if "m1" not in {train.animal_names[k] for k in np.unique(train.animal)}:
                raise StudyError("the loss of epoch 1 is nan; lower the learning rate")
            return fit(train, *arguments, **named)

        monkeypatch.setattr(experiment, "fit", diverge)
        summary, _ = run_inline(linear_cohort, tmp_path / "run")
        assert summary.n_fits == 6
        reasons = Run(tmp_path / "run").read_table("excluded")["reason"]
        assert set(reasons) == {
            "left out of 'linear': the loss of epoch 1 is nan; lower the learning rate"
        }


class TestIndependence:
    def test_of_other_folds_and_conditions(self, finished_run, cohort, run_inline, tmp_path):
        text = (cohort / "study.toml").read_text("utf-8")
        text = text.replace('"test-m1_valid-m2", ', "").replace(', "test-m4_valid-m1"', "")
        text = text.replace('"sessions.csv"', f"'{cohort / 'sessions.csv'}'")
        start = text.index('[[condition]]\nname = "linear"')
        (tmp_path / "study.toml").write_text(text[:start], "utf-8")
        run_inline(tmp_path, tmp_path / "run")
        alone, together = decoders(tmp_path / "run"), decoders(finished_run.folder)
        assert len(alone) == 2
        assert all(together[name] == content for name, content in alone.items())


LONG_STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2"]
[[condition]]
name = "linear"
preprocess = { detrend_frames = 0 }
window = { before = 5, after = 5 }
network = { kind = "linear-window" }
training = { penalty = [0.01] }
[[condition]]
name = "gru"
like = "linear"
network = { kind = "gru", units = 8 }
training = { epochs = 12, batch_size = 32, learning_rate = 0.01 }
"""


class InThisProcess:
    def submit(self, function, *arguments):
        future = Future()
        try:
            future.set_result(function(*arguments))
        except RunError as error:
            future.set_exception(error)
        return future


class BrokenExecutor:
    def submit(self, *_):
        future = Future()
        future.set_exception(BrokenProcessPool("ended"))
        return future


def test_workers_that_always_die(linear_cohort, tmp_path):
    study = read_study(linear_cohort / "study.toml")
    message = "worker processes ended 4 times .* run the same command again with fewer --workers"
    with pytest.raises(RunError, match=message):
        execute_study(study, tmp_path / "run", executor=BrokenExecutor())
    assert not Run(tmp_path / "run").table_path("scores").exists()


class TestKilled:
    """Whatever ends a run in the middle of a fit: it goes on, and to the same bytes."""

    @pytest.fixture(scope="class")
    @staticmethod
    def long_cohort(cohort, tmp_path_factory):
        """A study of one fit done at once, and of one that takes seconds and keeps its state."""
        folder = tmp_path_factory.mktemp("long")
        text = LONG_STUDY.replace('"sessions.csv"', f"'{cohort / 'sessions.csv'}'")
        (folder / "study.toml").write_text(text, "utf-8")
        return folder

    @staticmethod
    def start(long_cohort, out):
        return subprocess.Popen(
            command(long_cohort, out, "--workers", 2),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            # Whoever runs tests in the background of a shell hands on that Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    @staticmethod
    def cut_fit(out):
        """The state of the one fit that is half done, by when it was written; the other is done."""
        (state,) = (out / "fits").rglob("*-state.safetensors")
        (done,) = (out / "fits").rglob("done.json")
        assert done.parent != state.parent
        return state.stat().st_mtime_ns

    def is_within_a_fit(self, out, before=None):
        """Whether one fit is done and the other half done, later than at a time before."""
        with suppress(ValueError, FileNotFoundError):
            return self.cut_fit(out) != before
        return False

    @pytest.mark.study
    def test_worker_parent_and_ctrl_c(self, long_cohort, run_inline, tmp_path):
        out = tmp_path / "run"

        # Its workers are killed within a fit: others take their place, and the run goes on.
        parent = self.start(long_cohort, out)
        assert wait_for(lambda: self.is_within_a_fit(out))
        first = workers_of(parent.pid)
        assert len(first) == 2
        for process in first:
            # A pool that lost one worker ends the other itself.
            with suppress(psutil.NoSuchProcess):
                process.kill()
        assert psutil.wait_procs(first, timeout=LONG_S)[1] == []
        cut = self.cut_fit(out)
        assert wait_for(lambda: self.is_within_a_fit(out, cut))
        assert parent.poll() is None

        # The run itself is killed: its workers end by themselves.
        workers = workers_of(parent.pid)
        assert workers
        parent.kill()
        parent.communicate()
        assert psutil.wait_procs(workers, timeout=LONG_S)[1] == []
        cut = self.cut_fit(out)

        # The same command goes on, until Ctrl-C: one message, and no worker is left.
        parent = self.start(long_cohort, out)
        assert wait_for(lambda: self.is_within_a_fit(out, cut))
        workers = psutil.Process(parent.pid).children(recursive=True)
        assert workers
        os.killpg(parent.pid, signal.SIGINT)
        _, errors = parent.communicate(timeout=LONG_S)
        assert parent.returncode == 130
        lines = errors.splitlines()
        assert lines[0] == "2 fits, 1 of them finished before"
        assert lines[-1] == "stopped; run the same command again to go on"
        assert "Traceback" not in errors
        assert psutil.wait_procs(workers, timeout=LONG_S)[1] == []
        assert self.is_within_a_fit(out)

        # Once more, and what was cut three times is what was never cut.
        summary, fitted = run_inline(long_cohort, out)
        assert (summary.n_fits, summary.n_kept, len(fitted)) == (2, 1, 1)
        assert not list((out / "fits").rglob("*-state.safetensors"))
        assert not list(out.rglob("*.part"))
        run_inline(long_cohort, tmp_path / "whole")
        assert len(decoders(out)) == 2
        assert decoders(out) == decoders(tmp_path / "whole")


class Disk:
    """A folder on a disk that can fill up and become read-only.

    Where this user may mount one it is a real disk of 64 MB; elsewhere system calls on the folder
    fail as they do on one.
    """

    def __init__(self, folder, monkeypatch):
        self.folder, self._patch = folder, monkeypatch
        folder.mkdir()
        self._is_real = self._mount("size=64m")

    def _mount(self, options):
        if shutil.which("mount") is None:
            return False
        called = ["mount", "-t", "tmpfs", "-o", options, "none", str(self.folder)]
        return subprocess.run(called, check=False, capture_output=True).returncode == 0

    def fill(self):
        if not self._is_real:

            def full(_):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            self._patch.setattr(os, "fsync", full)
            return
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))

    def empty(self):
        self._patch.undo()
        (self.folder / "filler").unlink(missing_ok=True)

    def lock(self):
        if self._is_real:
            assert self._mount("remount,size=64m,ro")
            return
        system_open = os.open

        def refuse(path, flags, *more, **named):
            if flags & (os.O_WRONLY | os.O_RDWR) and self.folder in Path(path).parents:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return system_open(path, flags, *more, **named)

        self._patch.setattr(os, "open", refuse)

    def unlock(self):
        self._patch.undo()
        if self._is_real:
            assert self._mount("remount,size=64m,rw")

    def close(self):
        if self._is_real:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


class TestDisk:
    @pytest.fixture
    def disk(self, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            disk = Disk(tmp_path / "disk", patch)
            yield disk
            disk.close()

    @staticmethod
    def run_until(folder, out, n_tasks, happens):
        """A run in which something happens to the disk after so many fits."""
        handed = []

        class Disturbed(InThisProcess):
            def submit(self, function, task):
                handed.append(task)
                if len(handed) == n_tasks + 1:
                    happens()
                return super().submit(function, task)

        return execute_study(read_study(folder / "study.toml"), out, executor=Disturbed())

    def goes_on(self, linear_cohort, run_inline, out, n_kept):
        summary, fitted = run_inline(linear_cohort, out)
        assert (summary.n_kept, len(fitted)) == (n_kept, 12 - n_kept)
        assert not list(out.rglob("*.part"))
        run_inline(linear_cohort, linear_cohort / "whole")
        for name in ("scores", "session_scores", "animal_scores"):
            whole = Run(linear_cohort / "whole").table_path(name).read_bytes()
            assert Run(out).table_path(name).read_bytes() == whole

    def test_that_fills_up(self, disk, linear_cohort, run_inline):
        out = disk.folder / "run"
        with pytest.raises(RunError, match=r"cannot write .*No space left on device; free some"):
            self.run_until(linear_cohort, out, 3, disk.fill)
        assert not list(out.rglob("*.part"))
        disk.empty()
        self.goes_on(linear_cohort, run_inline, out, 3)

    def test_that_is_read_only(self, disk, linear_cohort, run_inline):
        out = disk.folder / "run"

        def stop():
            raise RunError("stopped")

        with pytest.raises(RunError, match="stopped"):
            self.run_until(linear_cohort, out, 3, stop)
        disk.lock()
        with pytest.raises(RunError, match=r"cannot write in .*Read-only file system"):
            run_inline(linear_cohort, out)
        disk.unlock()
        self.goes_on(linear_cohort, run_inline, out, 3)


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_that_was_set_changes_nothing(linear_cohort, run_inline, tmp_path, years):
    run_inline(linear_cohort, tmp_path / "run")
    before = Run(tmp_path / "run").table_path("scores").read_bytes()
    seconds = time.time() + years * 365 * 86_400
    for path in [*linear_cohort.rglob("*"), *(tmp_path / "run").rglob("*")]:
        os.utime(path, (seconds, seconds))
    _, fitted = run_inline(linear_cohort, tmp_path / "run")
    assert fitted == []
    assert Run(tmp_path / "run").table_path("scores").read_bytes() == before


def test_progress_counts_to_the_end(linear_cohort, run_inline, tmp_path):
    seen = []
    run_inline(linear_cohort, tmp_path / "run", on_progress=seen.append)
    assert [progress.n_done for progress in seen] == list(range(1, 13))
    assert {progress.n_total for progress in seen} == {12}
    assert seen[-1].seconds_left == 0
    assert seen[0].last.startswith("linear, test-m")
    (Run(tmp_path / "run").fit_folder("linear", "test-m1_valid-m2", 0) / "done.json").unlink()
    seen.clear()
    run_inline(linear_cohort, tmp_path / "run", on_progress=seen.append)
    assert [progress.n_done for progress in seen] == [12]


def test_prepared_sessions_may_be_deleted(linear_cohort, run_inline, tmp_path):
    run_inline(linear_cohort, tmp_path / "run")
    before = decoders(tmp_path / "run")
    for path in sorted((tmp_path / "run" / "prepared").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for path in Path(tmp_path / "run").rglob("done.json"):
        path.unlink()
    run_inline(linear_cohort, tmp_path / "run")
    assert decoders(tmp_path / "run") == before


SHIFTS = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m3"]
[[condition]]
name = "now"
preprocess = { detrend_frames = 20 }
window = { before = 2, after = 2 }
network = { kind = "linear-window" }
training = { penalty = [0.01] }
[[condition]]
name = "later"
like = "now"
window = { shift = 4 }
[[condition]]
name = "later, without its like"
like = "now"
window = { before = 3, shift = 4 }
[[condition]]
name = "speed"
like = "now"
target = { signal = "speed", kind = "value" }
[[condition]]
name = "speed later"
like = "speed"
window = { shift = 4 }
"""


class TestTablesBesideTheScores:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, cohort, run_inline, tmp_path_factory):
        folder = tmp_path_factory.mktemp("shifts")
        study = SHIFTS.replace('"sessions.csv"', f"'{cohort / 'sessions.csv'}'")
        (folder / "study.toml").write_text(study, "utf-8")
        run_inline(folder, folder / "run", n_seeds=2)
        return Run(folder / "run")

    def test_each_shifted_decoder_stands_beside_its_reference_lines(self, run):
        table = run.read_table("shift_references")
        assert table.columns.tolist() == [
            "condition",
            "fold",
            "seed",
            "animal",
            "shift",
            "auc",
            "persistence_auc",
            "unshifted_auc",
            "above_both",
        ]
        assert table[["condition", "fold", "seed", "animal", "shift"]].to_numpy().tolist() == [
            ["later", "test-m1_valid-m2", 0, "m1", 4],
            ["later", "test-m1_valid-m2", 1, "m1", 4],
            ["later", "test-m2_valid-m3", 0, "m2", 4],
            ["later", "test-m2_valid-m3", 1, "m2", 4],
        ]
        scores = run.read_table("scores").set_index(["condition", "fold", "seed"])
        for row in table.itertuples():
            auc = scores.loc[("later", row.fold, row.seed), "auc_session_mean"]
            assert row.auc == pytest.approx(auc, abs=1e-12)
            assert row.above_both == (row.auc > max(row.persistence_auc, row.unshifted_auc))

    def test_the_lines_are_those_of_its_like(self, run):
        table = run.read_table("shift_references")
        for row in table.itertuples():
            now, later = (
                Predictions.load(run.fit_folder(name, row.fold, row.seed) / "predictions.npz")
                for name in ("now", "later")
            )
            lines = compare_with_references(now, later, 4)
            assert lines["unshifted_auc"].item() == pytest.approx(row.unshifted_auc, abs=1e-12)
            assert lines["persistence_auc"].item() == pytest.approx(row.persistence_auc, abs=1e-12)

    def test_regions_are_correlated_with_the_first_target(self, run, cohort):
        table = run.read_table("region_correlations")
        assert table.columns.tolist() == ["animal", "session", "region", "pearson_r"]
        assert len(table) == 4 * 3 * 6
        assert table["region"].tolist() == ["1", "2", "3", "4", "5", "6"] * 12
        rows = table[(table["animal"] == "m3") & (table["session"] == "s2")]
        traces = np.load(cohort / "m3_s2.npy").astype(np.float64)
        label = pd.read_csv(cohort / "m3_s2.csv")["run"]
        detrended = traces - moving_mean(traces, 20)
        expected = [np.corrcoef(region, label)[0, 1] for region in detrended.T]
        np.testing.assert_allclose(rows["pearson_r"], expected, rtol=0, atol=1e-5)

    def test_go_when_the_study_has_no_use_for_them(self, linear_cohort, run_inline, tmp_path):
        study = linear_cohort / "study.toml"
        study.write_text(SHIFTS.replace("m2_valid-m3", "m3_valid-m2"), "utf-8")
        run_inline(linear_cohort, tmp_path / "run")
        run = Run(tmp_path / "run")
        assert run.table_path("shift_references").is_file()
        text = SHIFTS[: SHIFTS.index('[[condition]]\nname = "later"')]
        text = text.replace('signal = "run"', 'signal = "act"\nkind = "classes"')
        study.write_text(text, "utf-8")
        run_inline(linear_cohort, tmp_path / "run")
        assert not run.table_path("shift_references").exists()
        assert not run.table_path("region_correlations").exists()

    def test_predictions_that_are_gone(self, linear_cohort, run_inline, tmp_path):
        (linear_cohort / "study.toml").write_text(SHIFTS, "utf-8")
        run_inline(linear_cohort, tmp_path / "run")
        run = Run(tmp_path / "run")
        before = run.table_path("shift_references").read_bytes()
        folder = run.fit_folder("now", "test-m1_valid-m2", 0)
        (folder / "predictions.npz").write_bytes(b"PK")
        _, fitted = run_inline(linear_cohort, tmp_path / "run")
        assert [task.folder for task in fitted] == [folder]
        assert run.table_path("shift_references").read_bytes() == before


class TestParts:
    """A run that several processes do in one folder, each its part."""

    @pytest.mark.study
    def test_are_as_the_whole(self, write_cohort, run_inline, tmp_path):
        folder = write_cohort(tmp_path / "cohort", study=MAP_STUDY)
        run_inline(folder, tmp_path / "whole")
        study, out = read_study(folder / "study.toml"), tmp_path / "parts"
        done = [InlineExecutor() for _ in range(3)]
        for k in (1, 0):
            summary = execute_study(study, out, executor=done[k], part=(k + 1, 3))
            assert summary.animal_scores is None
            assert not (out / "scores.csv").exists()
        assert summary.n_missing == len(_tasks_of(folder, out)) - sum(
            len(one.tasks) for one in done
        )
        last = execute_study(study, out, executor=done[2], part=(3, 3))
        assert last.n_missing == 0
        assert last.animal_scores is not None
        folders = [task.folder for one in done for task in one.tasks]
        assert len(folders) == len(set(folders))
        assert decoders(out) == decoders(tmp_path / "whole")
        for path in (tmp_path / "whole").glob("*.csv"):
            if path.name != "published.csv":  # the report's
                assert (out / path.name).read_bytes() == path.read_bytes()
        # The whole command finds nothing left to do.
        again = InlineExecutor()
        execute_study(study, out, executor=again)
        assert again.tasks == []

    def test_hold_what_belongs_together(self, linear_cohort, tmp_path):
        more = '[[map]]\ncondition = "linear"\nkind = "occlusion"\nfill = "zero"\n'
        path = linear_cohort / "study.toml"
        path.write_text(path.read_text("utf-8") + more, "utf-8")
        plan = lay_out(read_study(path), Run(tmp_path / "run"), n_seeds=3)
        tasks = [*plan.tasks, *plan.maps]
        parts = deal_out(tasks, 4)
        assert list(map(len, parts)) == [18] * 4  # twelve folds of three seeds, with a map each
        assert deal_out(tasks, 4) == parts
        for part in parts:
            there = {task.folder for task in part}
            assert all(there.issuperset(task.needs) for task in part)
        assert [len(one) for one in deal_out(tasks, 40)].count(0) == 4
        # A fit may start from one that this study does not ask for.
        alone = replace(plan.tasks[0], start_folder=tmp_path / "elsewhere")
        assert deal_out([alone], 1) == [[alone]]

    def test_no_other_may_do_the_whole_meanwhile(self, linear_cohort, tmp_path):
        study, out = read_study(linear_cohort / "study.toml"), tmp_path / "run"
        with hold_part(out, (2, 3)):
            with pytest.raises(RunError, match="part 2 of 3 of its run is being done by another"):
                execute_study(study, out, executor=InlineExecutor())
            with pytest.raises(RunError, match=r"is in use by .*; wait for its end"):
                execute_study(study, out, executor=InlineExecutor(), part=(2, 3))
            with pytest.raises(RunError, match="cannot be dealt out by 4 at the same time"):
                execute_study(study, out, executor=InlineExecutor(), part=(1, 4))
            assert execute_study(study, out, executor=InlineExecutor(), part=(1, 3)).n_missing > 0
        with hold_folder(out), pytest.raises(RunError, match="is in use by process"):
            execute_study(study, out, executor=InlineExecutor(), part=(1, 3))

    @pytest.mark.study
    def test_of_processes_at_the_same_time(self, linear_cohort, tmp_path):
        parts = [
            subprocess.Popen(command(linear_cohort, tmp_path / "run", "--part", f"{k}/2"))
            for k in (1, 2)
        ]
        assert [one.wait(LONG_S) for one in parts] == [0, 0]
        assert len(Run(tmp_path / "run").read_table("scores")) == 12

    @pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"])
    def test_that_cannot_be(self, linear_cohort, tmp_path, command_line, text):
        arguments = ["run", str(linear_cohort / "study.toml"), "--out", str(tmp_path / "run")]
        code, _, told = command_line(*arguments, "--part", text)
        assert code == 2
        assert f"--part {text}: give K/N, as in 1/8" in told


def _tasks_of(folder, out):
    """All fits and maps of a folder's study."""
    plan = lay_out(read_study(folder / "study.toml"), Run(out))
    return [*plan.tasks, *plan.maps]
