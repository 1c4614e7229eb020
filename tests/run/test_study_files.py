"""A study that starts from raw movies: what its conditions see, and what comes of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tomli_w
from scipy import ndimage

from corticode.errors import CorticodeError, DataError, StudyError
from corticode.run.check import check_study
from corticode.run.execute import run_study
from corticode.run.plan import plan_study
from corticode.run.study_files import read_content
from corticode.study.study import read_study, study_of

LINEAR = {"kind": "linear-window"}
PLAIN = {
    "preprocess": {"scale": "none", "detrend_frames": 0},
    "window": {"before": 1, "after": 1},
}
N_FRAMES = 300


@pytest.fixture(scope="module")
def raw_cohort(tmp_path_factory):
    """Three animals, two wavelengths in turn: one region glows while it runs, blood is everywhere.

    Blood dims both wavelengths alike, slowly and much more than calcium brightens one of them.
    """
    folder = tmp_path_factory.mktemp("raw")
    rows = []
    for k in range(3):
        rng = np.random.default_rng(k)
        image = 20_000 + 15_000 * ndimage.gaussian_filter(rng.normal(size=(24, 24)), 1.5)
        run = (np.arange(N_FRAMES) + 5 * k) // 15 % 2
        blood = 0.05 * np.sin(np.arange(2 * N_FRAMES) / (9 + 2 * k))
        blood += 0.02 * ndimage.gaussian_filter1d(rng.normal(size=2 * N_FRAMES), 3) * 4
        light = np.repeat(1 + blood[:, None, None], 24, axis=1) * np.ones((1, 1, 24))
        calcium = 0.01 * run + 0.006 * rng.normal(size=N_FRAMES)
        light[::2, 2:8, 2:8] *= 1 + calcium[:, None, None]
        light[1::2] *= 0.6
        np.save(folder / f"{k}.npy", rng.poisson(image * light).astype(np.uint16))
        pd.DataFrame({"run": run}).to_csv(folder / f"{k}.csv", index=False)
        rows.append(
            {
                "animal": f"m{k}",
                "session": "a",
                "movie": f"{k}.npy",
                "behavior": f"{k}.csv",
                "frame_rate_hz": 10,
                "channels": "calcium,reference",
            }
        )
    pd.DataFrame(rows).to_csv(folder / "sessions.csv", index=False)
    labels = np.zeros((24, 24), np.int16)
    labels[2:8, 2:8], labels[12:20, 3:9] = 1, 2
    np.save(folder / "labels.npy", labels)
    return folder


STEPS = {"motion": {"channel": "none"}, "blood": {"method": "regression"}}


def keys_of(steps=STEPS, **changes):
    return {
        "preset": "text",
        "data": {"catalogue": "sessions.csv", "region_image": "labels.npy"},
        "preprocess": steps,
        "target": {"signal": "run"},
        "condition": [
            {"name": "linear", "network": LINEAR, "regions": ["1"]} | PLAIN,
            {"name": "before", "like": "linear", "steps": {"blood": {"method": "none"}}},
        ],
    } | changes


def study(folder, steps=STEPS, **changes):
    return study_of(keys_of(steps, **changes), folder / "study.toml")


class TestContent:
    def test_traces_are_those_of_each_conditions_steps(self, raw_cohort):
        content = read_content(study(raw_cohort))
        after, before = (content.by_condition[name] for name in ("linear", "before"))
        assert [files.sessions[0].traces.shape for files in (after, before)] == [(300, 2)] * 2
        left, there = (np.std(files.sessions[0].traces[:, 1]) for files in (after, before))
        assert left < 0.1 * there
        assert "regression" in after.recordings[0].history
        assert "regression" not in before.recordings[0].history
        assert [(one / "sessions.csv").is_file() for one in content.made] == [True, True]

    def test_a_second_reading_makes_nothing(self, raw_cohort):
        told = []
        read_content(study(raw_cohort), on_preprocessed=told.append)
        told.clear()
        read_content(study(raw_cohort), on_preprocessed=told.append)
        assert told == []

    def test_however_the_study_is_named_its_folder_is_the_same(
        self, raw_cohort, tmp_path, monkeypatch
    ):
        """By a path, from its folder, and by the study that a run keeps: nothing is made again."""
        path = raw_cohort / "study.toml"
        path.write_text(tomli_w.dumps(keys_of()), "utf-8")
        run = run_study(path, tmp_path / "run")
        monkeypatch.chdir(raw_cohort)
        made = {
            tuple(one.name for one in read_content(read_study(named)).made)
            for named in (path, "study.toml", run.study_path)
        }
        assert len(made) == 1
        told = []
        read_content(read_study(run.study_path), on_preprocessed=told.append)
        assert told == []

    def test_movies_are_the_corrected_ones_and_say_so(self, raw_cohort):
        cnn = {
            "name": "cnn",
            "input": "movie",
            "network": {"kind": "cnn", "backbone": "grid"},
        }
        raw = cnn | {"name": "raw", "steps": {"blood": {"method": "none"}}}
        content = read_content(study(raw_cohort, condition=[cnn, raw]))
        movie = content.by_condition["cnn"].sessions[0].movie
        assert movie.shape == (300, 24, 24) and abs(float(np.nanmean(movie))) < 0.5
        assert content.by_condition["cnn"].sessions[0].reference is None
        done = [keys.preprocess.correction for keys in content.study.conditions]
        assert done == ["done-elsewhere", "none"]

    def test_confounds_are_measured_in_raw_movies(self, raw_cohort):
        linear = {"name": "linear", "network": LINEAR} | PLAIN
        asked = study(raw_cohort, condition=[linear], confounds=[{"condition": "linear"}])
        content = read_content(asked)
        alone = content.by_condition["linear: confounds only"].sessions[0]
        assert alone.reference is not None and alone.movie.dtype == np.uint16
        removed = content.by_condition["linear: confounds removed"].sessions[0]
        np.testing.assert_array_equal(
            removed.traces, content.by_condition["linear"].sessions[0].traces
        )

    def test_no_regions_are_named(self, raw_cohort):
        with pytest.raises(DataError, match=r"^'linear': traces .* region_image"):
            read_content(study(raw_cohort, data={"catalogue": "sessions.csv"}))

    def test_traces_of_the_catalogue_where_no_regions_are_named(self, raw_cohort, tmp_path):
        table = pd.read_csv(raw_cohort / "sessions.csv")
        for column in ("movie", "behavior"):
            table[column] = [str(raw_cohort / name) for name in table[column]]
        np.save(tmp_path / "traces.npy", np.random.default_rng(0).normal(size=(N_FRAMES, 2)))
        table["traces"] = "traces.npy"
        table.to_csv(tmp_path / "sessions.csv", index=False)
        data = {"catalogue": "sessions.csv"}
        linear = {"name": "linear", "network": LINEAR} | PLAIN
        with pytest.raises(StudyError, match="would do nothing"):
            read_content(study(tmp_path, data=data, condition=[linear]))
        cnn = {"name": "cnn", "input": "movie", "network": {"kind": "cnn", "backbone": "grid"}}
        content = read_content(study(tmp_path, data=data, condition=[linear, cnn]))
        given = content.by_condition["linear"].sessions[0].traces
        np.testing.assert_array_equal(given, np.load(tmp_path / "traces.npy"))
        (told,) = (one for one in content.findings if one.what == "condition")
        assert "the catalogue's own" in told.reason

    def test_frames_binned_in_time_beside_confounds(self, raw_cohort):
        steps = STEPS | {"bin": {"frames": 2}}
        assert read_content(study(raw_cohort, steps)).main.sessions[0].n_frames == 150
        asked = {"name": "shift", "input": "brain-motion", "network": LINEAR} | PLAIN
        with pytest.raises(StudyError, match=r"'shift': confounds .* leave bin frames out"):
            read_content(study(raw_cohort, steps, condition=[asked]))

    def test_a_reference_that_is_not_there(self, raw_cohort, tmp_path):
        table = pd.read_csv(raw_cohort / "sessions.csv")
        table["channels"] = ""
        for name in table["movie"]:
            np.save(tmp_path / name, np.load(raw_cohort / name)[::2])
        table["behavior"] = [str(raw_cohort / name) for name in table["behavior"]]
        table.to_csv(tmp_path / "sessions.csv", index=False)
        with pytest.raises(StudyError, match="needs a reference channel"):
            read_content(study(tmp_path))

    def test_wrong_behaviour_is_said_before_anything_is_made(self, raw_cohort, tmp_path):
        table = pd.read_csv(raw_cohort / "sessions.csv")
        table["movie"] = [str(raw_cohort / name) for name in table["movie"]]
        pd.DataFrame({"run": np.zeros(N_FRAMES // 3)}).to_csv(tmp_path / "0.csv", index=False)
        table["behavior"] = "0.csv"
        table.to_csv(tmp_path / "sessions.csv", index=False)
        with pytest.raises(DataError, match="100"):
            read_content(study(tmp_path, data={"catalogue": "sessions.csv"}))
        assert not (tmp_path / "preprocessed").exists()


class TestKeys:
    def test_steps_without_the_table(self, raw_cohort):
        keys = keys_of()
        del keys["preprocess"]
        with pytest.raises(StudyError, match=r"'before' has steps, and the study has no \[prepro"):
            study_of(keys, raw_cohort / "study.toml")

    def test_a_step_that_cannot_be(self, raw_cohort):
        with pytest.raises(StudyError, match=r"condition 'linear': preprocess\.blood fit_s"):
            study(raw_cohort, STEPS | {"blood": {"method": "regression", "fit_s": [9.0, 3.0]}})

    def test_a_correction_of_what_is_corrected(self, raw_cohort):
        cnn = {
            "name": "cnn",
            "input": "movie",
            "preprocess": {"correction": "reference-regression"},
        }
        with pytest.raises(StudyError, match="'cnn' takes blood out of corrected movies"):
            study(raw_cohort, condition=[cnn])

    def test_the_run_folders_study_is_the_same(self, raw_cohort, tmp_path):
        path = raw_cohort / "study.toml"
        path.write_text(tomli_w.dumps(keys_of()), "utf-8")
        run = run_study(path, tmp_path / "run")
        again = read_study(run.study_path)
        assert again.preprocess == replace(read_study(path)).preprocess.model_copy(
            update={"folder": again.preprocess.folder}
        )
        assert again.preprocessed_folder.resolve() == (raw_cohort / "preprocessed").resolve()
        steps = [one.steps for one in read_study(path).conditions]
        assert [one.steps for one in again.conditions] == steps


class TestRun:
    def test_a_decoder_before_and_after(self, raw_cohort, tmp_path):
        """Calcium that blood hides is decoded once blood is out, in animals never seen."""
        run = run_study(study(raw_cohort), tmp_path / "run")
        auc = run.read_table("animal_scores").groupby("condition")["value"].mean()
        assert auc["linear"] > 0.9
        assert auc["before"] < auc["linear"] - 0.1

    def test_check_and_plan_see_the_same(self, raw_cohort):
        report = check_study(study(raw_cohort))
        assert report.faults == []
        assert report.facts[0] == "3 sessions of 3 animals, 900 frames at 10 Hz"
        assert len(report.preprocessed) == 2
        assert plan_study(study(raw_cohort)).n_fits == 12

    def test_a_session_that_cannot_be_done_is_a_fault(self, raw_cohort):
        dark = STEPS | {"dark": 60_000.0}
        report = check_study(study(raw_cohort, dark))
        assert len(report.faults) == 1 and "m0/a" in report.faults[0]
        with pytest.raises(CorticodeError):
            read_content(study(raw_cohort, dark))

    def test_movies_of_a_grid(self, raw_cohort, tmp_path):
        """The corrected movie is decoded, and the page of the command line says where it is."""
        cnn = {
            "name": "cnn-gru",
            "input": "movie",
            "network": {"kind": "cnn-gru", "backbone": "grid"},
            "window": {"before": 1, "after": 1},
            "training": {"epochs": 1, "windows": "independent"},
        }
        run = run_study(study(raw_cohort, condition=[cnn]), tmp_path / "run")
        assert len(run.read_table("animal_scores")) == 3
        correction = read_study(run.study_path).conditions[0].preprocess.correction
        assert correction == "done-elsewhere"
