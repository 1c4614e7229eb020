"""Pictures of a run: label images, maps by session, traces of regions, a minute of a movie."""

import json
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomli_w

from corticode.data.prepared import load_sessions, store_sessions
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.decode.predictions import Predictions
from corticode.errors import DataError, MissingDataError, StudyError
from corticode.report.read_run import (
    ClipRequest,
    read_clip,
    read_mean_images,
    read_region_labels,
    read_region_traces,
    read_run,
    read_session_maps,
)
from corticode.report.values import SessionTrace, choose_by_rule
from corticode.run.folder import FitResult, MapResult, Run, write_result

STUDY = {"data": {"catalogue": "../sessions.csv", "region_image": "../atlas.npy"}}

FIT = {
    "condition": "gru", "fold": "f", "seed": 0, "test_animal": "m1", "valid_animal": "m2",
}  # fmt: skip
MAP = {"condition": "cnn", "map": "occlusion", "kind": "occlusion", "fold": "f", "seed": 0}


@pytest.fixture
def own_run(finished_run, tmp_path):
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished_run.folder, tmp_path / "run"))


class TestFinished:
    def test_everything_is_there(self, finished_run):
        values = read_run(finished_run.folder)
        assert values.missing == ()
        assert values.conditions[0]["name"] == "gru"
        assert {"scores", "session_scores", "animal_scores", "excluded"} <= set(values.tables)
        assert not values.is_simulated
        assert len(values.curves.roc["decoder"].unique()) == 4
        assert {trace.condition for trace in values.traces} == {"gru", "linear"}

    def test_traces_are_what_was_predicted(self, finished_run):
        trace = read_run(finished_run.folder).traces[0]
        found = [
            Predictions.load(path).of_part("test")
            for path in sorted(finished_run.folder.glob("fits/gru-*/*/*/predictions.npz"))
        ]
        own = next(one for one in found if one.animal_names[one.animal[0]] == trace.animal)
        rows = np.array(own.session_names)[own.session] == trace.session
        known = ~np.isnan(trace.score)
        assert trace.score[known] == pytest.approx(own.score[rows])

    def test_the_tested_epoch_is_marked(self, finished_run):
        history = read_run(finished_run.folder).curves.history
        assert history.groupby("decoder")["is_best"].sum().tolist() == [1] * 4


class TestNotFinished:
    def test_of_the_fits_that_are(self, own_run):
        for name in ("scores", "session_scores", "animal_scores", "excluded"):
            (own_run / f"{name}.csv").unlink()
        done = sorted(own_run.glob("fits/gru-*/*/*/done.json"))
        done[0].unlink()
        values = read_run(own_run)
        assert values.missing[0].startswith("the run is not finished: 7 fits are scored, 1 begun")
        assert len(values.table("scores")) == 7
        assert values.table("animal_scores")["condition"].unique().tolist() == ["gru", "linear"]

    def test_nothing_done(self, own_run):
        for path in own_run.iterdir():
            if path.name not in ("study.toml", "run.lock"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        values = read_run(own_run)
        assert "0 fits are scored, 0 begun" in values.missing[-1]
        assert values.traces == ()

    def test_folds_that_were_left_out_are_told_with_their_reason(self, own_run):
        for name in ("scores", "session_scores", "animal_scores", "excluded"):
            (own_run / f"{name}.csv").unlink()
        done = sorted(own_run.glob("fits/gru-*/*/*/done.json"))[0]
        content = json.loads(done.read_text("utf-8"))
        del content["scores"]
        done.write_text(json.dumps(content | {"left_out": "its training part has one class"}))
        assert (
            "7 fits are scored, 0 begun and not scored, 1 left out (the first: its training part "
            "has one class)" in read_run(own_run).missing[0]
        )

    def test_no_run_folder(self, tmp_path):
        with pytest.raises(MissingDataError, match="is no run folder: it holds neither prov"):
            read_run(tmp_path)


class TestBehind:
    """Some fits of the last call are not done yet, and tables are those of an earlier one."""

    def test_the_page_is_of_what_is_done(self, own_run):
        told = json.loads((own_run / "provenance.json").read_text("utf-8"))
        before = read_run(own_run, single_predictions=False)
        assert len(before.table("scores")) == len(told["keys"]) == 8
        first = next(iter(told["keys"]))
        told["keys"][first] = "another"
        (own_run / "provenance.json").write_text(json.dumps(told), "utf-8")
        values = read_run(own_run, single_predictions=False)
        assert len(values.table("scores")) == 7
        assert "comparisons" not in values.tables
        assert "the tables of the run are those of an earlier call: 1 of its" in values.missing[-2]
        assert "7 fits are scored, 0 begun" in values.missing[-1]

    def test_fits_of_other_studies_are_not_shown(self, own_run):
        """Of a run that is not finished, those of the last call alone."""
        told = json.loads((own_run / "provenance.json").read_text("utf-8"))
        told["keys"] = {k: v for k, v in told["keys"].items() if "linear" in k} | {"new": "x"}
        (own_run / "provenance.json").write_text(json.dumps(told), "utf-8")
        values = read_run(own_run, single_predictions=False)
        assert set(values.table("scores")["condition"]) == {"linear"}


class TestDamaged:
    @pytest.mark.parametrize(
        "change",
        [
            {"versions": []},
            {"versions": {"python": []}},
            {"machine": 3},
            {"seeds": "0"},
            {"seeds": [[]]},
            {"recordings": ["m1"]},
            {"recordings": {"m1": {}}},
            {"keys": None},
            {"commit": 3},
        ],
    )
    def test_provenance_of_another_shape(self, own_run, change):
        told = json.loads((own_run / "provenance.json").read_text("utf-8"))
        (own_run / "provenance.json").write_text(json.dumps(told | change), "utf-8")
        values = read_run(own_run, single_predictions=False)
        name = next(iter(change))
        assert f"provenance.json is damaged ({name} is of the wrong type)" in values.missing[0]
        assert values.provenance == {}

    @pytest.mark.parametrize("content", ["null", "3", "[]", "[" * 100_000, '"x"', "{"])
    def test_provenance_that_is_none(self, own_run, content):
        (own_run / "provenance.json").write_text(content, "utf-8")
        values = read_run(own_run, single_predictions=False)
        assert values.missing[0].startswith("provenance.json is damaged (")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("before = 5", 'before = "x"'),
            ('name = "gru"', "name = 3"),
            ("[data]", "[[data]]"),
            ('by = "animal"', "by = []"),
        ],
    )
    def test_study_of_another_shape(self, own_run, old, new):
        text = (own_run / "study.toml").read_text("utf-8")
        assert old in text
        (own_run / "study.toml").write_text(text.replace(old, new), "utf-8")
        values = read_run(own_run, single_predictions=False)
        assert values.missing[0].startswith("study.toml is damaged (")
        assert values.study == {}

    def test_text_where_numbers_are(self, own_run):
        table = pd.read_csv(own_run / "session_scores.csv", dtype=str)
        table.loc[0, "auc"] = "x"
        table.to_csv(own_run / "session_scores.csv", index=False)
        values = read_run(own_run, single_predictions=False)
        assert "session_scores" not in values.tables
        assert "column 'auc' holds text where numbers are" in values.missing[0]

    def test_files_are_left_out_and_told(self, own_run):
        (own_run / "provenance.json").write_text("{", "utf-8")
        (own_run / "study.toml").write_text("[", "utf-8")
        sorted(own_run.glob("fits/gru-*/*/*/predictions.npz"))[0].write_bytes(b"x")
        values = read_run(own_run)
        told = "\n".join(values.missing)
        assert "provenance.json is damaged" in told
        assert "study.toml is damaged" in told
        assert "predictions.npz is damaged" in told
        assert len(values.curves.roc["decoder"].unique()) == 3

    def test_no_folder_of_the_machine_is_told(self, own_run):
        """The page is sent to others."""
        table = pd.DataFrame({"condition": ["gru"], "map": ["where"], "region": ["1"]})
        table.to_csv(own_run / "map_regions.csv", index=False)
        path = Run(own_run).maps_folder("gru", "where") / "map.npz"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        sorted(own_run.glob("fits/gru-*/*/*/predictions.npz"))[0].write_bytes(b"x")
        told = "\n".join(read_run(own_run).missing)
        assert "map.npz" in told
        assert "predictions.npz" in told
        assert str(own_run.parent) not in told

    def test_a_table_that_every_run_has(self, own_run):
        (own_run / "excluded.csv").unlink()
        (own_run / "session_scores.csv").unlink()
        told = read_run(own_run, single_predictions=False).missing
        assert [one.split(":")[0] for one in told] == [
            "session_scores.csv is missing",
            "excluded.csv is missing",
        ]

    def test_done_of_an_unfinished_run(self, own_run):
        (own_run / "scores.csv").unlink()
        next(own_run.glob("fits/*/*/*/done.json")).write_text("{", "utf-8")
        assert any("done.json is damaged" in one for one in read_run(own_run).missing)


def test_speed_stands_beside(own_run):
    prepared = next(own_run.glob("prepared/*/prepared.json"))
    described = json.loads(prepared.read_text("utf-8"))
    described["signals"] = ["wheel speed", *described["signals"][1:]]
    prepared.write_text(json.dumps(described), "utf-8")
    for trace in read_run(own_run).traces:
        known = ~np.isnan(trace.target)
        assert trace.speed is not None
        assert np.array_equal(trace.speed[known], trace.target[known])


def test_loads_neither_torch_nor_scikit_learn():
    code = (
        "import sys, corticode.report.write;"
        "print([m for m in ('torch', 'sklearn', 'scipy.stats') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestMovie:
    @pytest.fixture
    def with_movies(self, own_run, tmp_path):
        """The run, whose catalogue has movies now and whose first condition decodes them."""
        rows = []
        for animal in ("m1", "m2", "m3", "m4"):
            for session in ("s1", "s2", "s3"):
                np.save(tmp_path / f"{animal}_{session}.npy", np.ones((400, 8, 8), np.uint8))
                rows.append([animal, session, f"{animal}_{session}.npy", 10])
        columns = ["animal", "session", "movie", "frame_rate_hz"]
        pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "sessions.csv", index=False)
        path = own_run / "study.toml"
        study = tomllib.loads(path.read_text("utf-8"))
        study["data"]["catalogue"] = "../sessions.csv"
        study["condition"][0]["input"] = "movie"
        path.write_text(tomli_w.dumps(study), "utf-8")
        return own_run

    def test_of_the_median_session_by_rule(self, with_movies):
        values = read_run(with_movies)
        own = [one for one in values.traces if one.condition == "gru"]
        assert values.clip.trace is choose_by_rule(own)[0]
        assert values.clip_missing == ""

    def test_one_that_is_asked_for(self, with_movies):
        values = read_run(with_movies, clip=ClipRequest("m2/s3", 0))
        assert (values.clip.trace.animal, values.clip.trace.session) == ("m2", "s3")
        with pytest.raises(StudyError, match="has minutes 0 to 0"):
            read_run(with_movies, clip=ClipRequest("m2/s3", 1))

    def test_one_that_is_gone_is_told_unless_it_was_asked_for(self, with_movies, tmp_path):
        (tmp_path / "sessions.csv").unlink()
        values = read_run(with_movies)
        assert values.clip is None
        assert values.clip_missing.startswith("there is no catalogue at")
        with pytest.raises(MissingDataError, match="there is no catalogue"):
            read_run(with_movies, clip=ClipRequest(minute=0))

    def test_a_study_of_traces_shows_none(self, finished_run):
        values = read_run(finished_run.folder)
        assert (values.clip, values.clip_missing) == (None, "")

    def test_an_image_of_regions_that_is_gone_is_told(self, with_movies):
        path = with_movies / "study.toml"
        text = path.read_text("utf-8").replace("[data]", '[data]\nregion_image = "a.npy"')
        path.write_text(text, "utf-8")
        told = "\n".join(read_run(with_movies).missing)
        assert "regions have no outlines" in told


@pytest.fixture
def run(tmp_path):
    """An empty run folder beside recordings: two sessions of 90 s at 10 Hz, 32 x 20 pixels."""
    rows = []
    for session in ("a", "b"):
        movie = np.full((900, 32, 20), 1000, np.uint16)
        movie += np.arange(900, dtype=np.uint16)[:, None, None]
        np.save(tmp_path / f"{session}.npy", movie)
        rows.append(["m1", session, f"{session}.npy"])
    rows.append(["m2", "a", ""])
    np.save(tmp_path / "m2.npy", np.zeros((900, 3), np.float32))
    table = pd.DataFrame(rows, columns=["animal", "session", "movie"])
    table["traces"] = ["", "", "m2.npy"]
    table.to_csv(tmp_path / "sessions.csv", index=False)
    np.save(tmp_path / "atlas.npy", np.array([[0, 1], [2, 1]], np.uint8))
    (tmp_path / "run").mkdir()
    return Run(tmp_path / "run")


def trace(animal="m1", session="a", *, auc=0.9, worst=600, n_frames=880):
    target = np.zeros(n_frames, np.float32)
    score = target.copy()
    score[worst : worst + 100] = 0.9
    return SessionTrace("cnn", animal, session, 10, score, target, "binary", 10.0, auc)


class TestClip:
    def test_by_rule_it_is_about_the_worst_stretch_of_the_median_session(self, run):
        traces = [trace(auc=0.9), trace(session="b", auc=0.8), trace("m2", "a", auc=np.nan)]
        shown = read_clip(run.folder, STUDY, traces, ClipRequest())
        # Of an even number the lower of the middle two: m1/b. The worst ten seconds are frames 610
        # to 709; a minute about them would end at 960, beyond the movie's end.
        assert shown.trace.session == "b"
        assert shown.clip.first_frame == 300
        assert shown.clip.n_frames == 600
        assert "most wrong, of the median session" in shown.why
        early = read_clip(run.folder, STUDY, [trace(worst=300)], ClipRequest())
        assert early.clip.first_frame == 10 + 350 - 300

    def test_a_minute_that_was_asked_for(self, run):
        shown = read_clip(run.folder, STUDY, [trace()], ClipRequest("m1/a", 1))
        # The second minute holds half a minute of movie.
        assert (shown.clip.first_frame, shown.clip.n_frames) == (600, 300)
        middle = shown.clip.mean.mean()
        assert middle == pytest.approx(1000 + np.arange(600, 900).mean())
        assert shown.why == "minute 1, as was asked for"

    def test_what_is_not_there_is_told_with_what_is(self, run):
        with pytest.raises(StudyError, match="frames has minutes 0 to 1"):
            read_clip(run.folder, STUDY, [trace()], ClipRequest("m1/a", 2))
        with pytest.raises(StudyError, match=r"no session 'm1/c' was tested.*did you mean 'm1/a'"):
            read_clip(run.folder, STUDY, [trace()], ClipRequest("m1/c"))
        with pytest.raises(DataError, match="session m2/a has no movie"):
            read_clip(run.folder, STUDY, [trace("m2")], ClipRequest())
        with pytest.raises(MissingDataError, match="no session has a score"):
            read_clip(run.folder, STUDY, [], ClipRequest())
        with pytest.raises(MissingDataError, match="m3/a is not in the catalogue"):
            read_clip(run.folder, STUDY, [trace("m3")], ClipRequest())
        with pytest.raises(MissingDataError, match=r"study\.toml, which names"):
            read_clip(run.folder, {}, [trace()], ClipRequest())
        binned = STUDY | {"condition": [{"name": "cnn", "steps": {"bin": {"frames": 2}}}]}
        with pytest.raises(MissingDataError, match="averaged frames in time"):
            read_clip(run.folder, binned, [trace()], ClipRequest())

    def test_a_movie_that_became_shorter_is_another(self, run):
        with pytest.raises(DataError, match="has 900 frames now, and frame 1009 of it was decoded"):
            read_clip(run.folder, STUDY, [trace(n_frames=1000)], ClipRequest())

    def test_without_a_frame_rate_a_minute_is_1800_frames(self, run):
        shown = read_clip(
            run.folder, STUDY, [replace(trace(), frame_rate_hz=None)], ClipRequest("m1/a", 0)
        )
        assert shown.clip.n_frames == 900
        assert shown.clip.rate_hz is None


def test_labels_are_found_from_the_run_folder(run):
    assert read_region_labels(run.folder, STUDY).tolist() == [[0, 1], [2, 1]]
    assert read_region_labels(run.folder, {"data": {}}) is None


def test_maps_by_session_are_means_over_decoders(run):
    names = [f"square {i + 1}-{j + 1}" for i in range(8) for j in range(8)]
    for seed, score in ((0, 0.1), (1, 0.3)):
        folder = run.map_folder("cnn", "occlusion", "f", seed)
        folder.mkdir(parents=True)
        result = MapResult(key="k", map=MAP, details={"image_shape": [32, 32]})
        write_result(folder, result)
        table = pd.DataFrame({"mask": names, "animal": "7", "session": "01", "score": score})
        table.to_csv(folder / "occlusion_sessions.csv", index=False)
    found = read_session_maps(run, "cnn", "occlusion")
    assert list(found) == ["7/01"]
    assert found["7/01"] == pytest.approx(np.full((8, 8), 0.2))
    assert read_session_maps(run, "cnn", "other") == {}


def test_traces_of_regions_are_those_that_were_decoded(finished_run):
    values = read_run(finished_run.folder)
    kept = values.region_traces
    assert kept.names == ("1", "2", "3", "4", "5", "6")
    assert kept.values.shape == (400, 6)
    own = [one for one in values.traces if one.condition == "gru"]
    other = {"preprocess": {"detrend_frames": 7}}
    assert read_region_traces(finished_run, other, own, set(kept.names)) is None
    assert read_region_traces(finished_run, {}, own, {"border"}) is None


MEAN_IMAGES = {"m1/s1": 1.0, "m1/s1-2": 2.0, "M1 s/1": 3.0, "m1/s1 2": 4.0}


@pytest.mark.parametrize("is_told", [False, True])
def test_a_mean_image_is_that_of_its_recording(run, is_told):
    """Names that begin alike, or differ in punctuation alone; in older runs no fit says whose."""
    for name, level in MEAN_IMAGES.items():
        path = run.movie_statistics_path(f"{name} reference-regression-9-causal-detrend-1000")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, mean=np.full((1, 2, 2), level))
        if is_told:
            result = FitResult(key="k", fit=FIT, left_out="x", movie_statistics={name: path.name})
            write_result(run.fit_folder("cnn", name, 0), result)
    found = read_mean_images(run, {"recordings": dict.fromkeys([*MEAN_IMAGES, "m1/s"], "hash")})
    assert {name: float(image[0, 0]) for name, image in found.items()} == MEAN_IMAGES


@pytest.mark.parametrize("is_told", [False, True])
def test_traces_of_regions_are_of_the_condition_s_own_preprocessing(run, is_told):
    """Two conditions of one recording; the other's sessions come first by name."""
    rng = np.random.default_rng(0)
    ramp = (np.arange(400.0)[:, None] + rng.normal(size=(400, 2))).astype(np.float32)
    session = Session(
        "m1", "s1", ramp, ("1", "2"), {"run": np.arange(400) % 2}, np.zeros(400, np.int32), 3.0
    )
    raw, own = Preprocessing(scale="robust"), Preprocessing(detrend_frames=100, scale="robust")
    for key, preprocessing in (("a", raw), ("b", own)):
        store_sessions(run.prepared_folder(key), [session], preprocessing, key)
    keys = {"detrend_s": 33.3, "causal": False, "scale": "robust", "scale_over": "session"}
    gru = {"name": "gru", "input": "traces", "preprocess": keys}
    if is_told:
        gru["preprocess"] = {}  # the fit knows better than any settings
        result = FitResult(key="k", fit=FIT, left_out="x", prepared="b")
        write_result(run.fit_folder("gru", "f", 0), result)
    trace = SessionTrace("gru", "m1", "s1", 0, np.zeros(400, "f4"), np.zeros(400, "f4"), auc=0.9)
    found = read_region_traces(run, gru, [trace], {"1", "2"})
    np.testing.assert_array_equal(found.values, load_sessions(run.prepared_folder("b")).traces)
    # A ramp that is detrended is none: what is left is at both ends.
    assert abs(np.corrcoef(found.values[50:350, 0], np.arange(50, 350))[0, 1]) < 0.2
