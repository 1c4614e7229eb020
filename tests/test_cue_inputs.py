"""Cues that are not cortex, from movies on disk to scores."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import read_catalogue
from corticode.data.cues import INPUTS
from corticode.decode.decoder import load_decoder
from corticode.decode.predictions import Predictions
from corticode.errors import CorticodeWarning, StudyError
from corticode.evaluate.artefacts import control_names
from corticode.run.check import check_study
from corticode.run.fits import predict_recordings
from corticode.run.folder import Run
from corticode.study.study import read_study, write_resolved

N_FRAMES = 1600
CUES = [name for name in INPUTS if name not in ("traces", "movie", "cues", "traces+cues")]
HEAD = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m1"]
"""
CONDITION = """
[[condition]]
name = "{name}"
input = "{name}"
preprocess = {{ detrend_frames = 0 }}
window = {{ before = 1, after = 1 }}
network = {{ kind = "linear-window" }}
"""


def film(rng, run):
    """Interleaved calcium and reference frames: the borders follow running, their sum does not."""
    row, column = np.mgrid[:24, :24] - 11.5
    image = np.where(np.hypot(row, column) < 7, 3000.0, 200.0) * (1 + 0.2 * rng.random((24, 24)))
    balance = np.zeros((24, 24))
    balance[:2] += 1
    balance[:, :2] += 1
    balance[-2:] -= 1
    balance[:, -2:] -= 1
    movie = image + rng.normal(size=(2 * len(run), 24, 24)) * 5
    movie[::2] += 10 * run[:, None, None] * balance
    return movie.round().astype(np.uint16)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filmed")
    rows = []
    for animal in ("m1", "m2", "m3"):
        rng = np.random.default_rng([0, *animal.encode()])
        run = (np.arange(N_FRAMES) + rng.integers(40)) // 20 % 2
        np.save(folder / f"{animal}.npy", film(rng, run))
        pd.DataFrame({"run": run}).to_csv(folder / f"{animal}.csv", index=False)
        rows.append([animal, "a", f"{animal}.npy", f"{animal}.csv", 30, "calcium,reference"])
    columns = ["animal", "session", "movie", "behavior", "frame_rate_hz", "channels"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "sessions.csv", index=False)
    text = HEAD + "".join(CONDITION.format(name=cue) for cue in CUES)
    (folder / "study.toml").write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(filmed, run_inline, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    run_inline(filmed, out)
    return Run(out)


def test_the_border_is_named_and_nothing_else(finished):
    scores = pd.read_csv(finished.table_path("scores")).set_index("condition")
    auc = scores.groupby("condition")["auc"].mean()
    assert sorted(auc.index) == sorted(CUES)
    assert auc["border"] > 0.99
    np.testing.assert_allclose(auc.drop("border"), 0.5, atol=0.1)
    look_ahead = scores.groupby("condition")["look_ahead_s"].first()
    whole_session = ["brain-motion", "frame-number", "outside-mask"]
    assert np.isinf(look_ahead[whole_session]).all()
    # Cues are no regions.
    assert not finished.table_path("region_correlations").exists()


def test_a_decoder_of_a_cue_finds_the_cue_again(finished, filmed, command_line, tmp_path):
    folder = finished.fit_folder("border", "test-m1_valid-m2", 0)
    assert load_decoder(folder).recipe.input == "border"
    assert json.loads((folder / "decoder.json").read_text())["recipe"]["input"] == "border"
    out = tmp_path / "again.npz"
    command_line("predict", folder, filmed / "sessions.csv", "--out", out)
    again, fitted = Predictions.load(out), Predictions.load(folder / "predictions.npz")
    both = again.to_frame().merge(
        fitted.to_frame(), on=["animal", "session", "frame"], suffixes=("", "_fitted")
    )
    assert len(both) == fitted.n_windows > 0
    np.testing.assert_array_equal(both["score"], both["score_fitted"])


def test_a_second_run_prepares_and_fits_nothing(finished, filmed, run_inline):
    summary, fitted = run_inline(filmed, finished.folder)
    assert fitted == []
    assert summary.n_kept == 3 * len(CUES)


def test_check_reads_no_movie(filmed, monkeypatch):
    def refuse(*_):
        raise AssertionError("a movie was read")

    monkeypatch.setattr("corticode.data.cues.means_over_pixels", refuse)
    monkeypatch.setattr("corticode.data.cues.measure_motion", refuse)
    report = check_study(read_study(filmed / "study.toml"))
    assert report.faults == []
    assert "border: 3 folds" in report.facts


ARTEFACTS = (
    HEAD
    + """
[[condition]]
name = "line"
preprocess = { detrend_frames = 0 }
window = { before = 1, after = 1 }
network = { kind = "linear-window" }
[[artefacts]]
condition = "line"
"""
)


# (row, column): well outside the brain of `film`.
SURROUND = np.hypot(*(np.mgrid[:24, :24] - 11.5)) > 9


def write_traces(folder, cortex, moved):
    """Two regions: `cortex` of running of their own, `moved` of the light around the brain."""
    table = pd.read_csv(folder / "sessions.csv")
    for animal in table["animal"]:
        run = pd.read_csv(folder / f"{animal}.csv")["run"].to_numpy()
        rng = np.random.default_rng([7, *animal.encode()])
        movie = film(rng, 0 * run)
        movie[::2, SURROUND] += (10 * moved * run[:, None]).astype(np.uint16)
        np.save(folder / f"{animal}.npy", movie)
        light = movie[::2, SURROUND].mean(axis=1) / 10
        traces = rng.normal(size=(run.size, 2)) * 0.5
        traces[:, 0] += 2 * moved * (light - light.mean())
        # Of cortex: fast, and at times that what is around the brain knows nothing of.
        traces[:, 1] += 2 * cortex * run * rng.choice([0.5, 1.5], run.size)
        np.save(folder / f"{animal}_traces.npy", traces.astype(np.float32))
    table["traces"] = [f"{animal}_traces.npy" for animal in table["animal"]]
    table.to_csv(folder / "sessions.csv", index=False)
    (folder / "study.toml").write_text(ARTEFACTS, "utf-8")


class TestArtefacts:
    def test_an_artefact_alone_is_explained_by_cues(self, filmed, run_inline, tmp_path):
        folder = shutil.copytree(filmed, tmp_path / "moved")
        write_traces(folder, cortex=0, moved=1)
        summary, _ = run_inline(folder, folder / "run")
        table = Run(folder / "run").read_table("artefacts").set_index("input")
        assert table["verdict"].unique().tolist() == ["explained by cues"], table
        assert table.loc["cues only", "mean"] > 0.95
        assert table.loc["neural", "mean"] > 0.9
        assert table.loc["neural, cues regressed out", "mean"] < 0.6
        names = summary.animal_scores["condition"].unique().tolist()
        assert names == ["line", *control_names("line")]
        fit = Run(folder / "run").fit_folder("line: cues regressed out", "test-m1_valid-m2", 0)
        decoder = load_decoder(fit)
        assert decoder.recipe.preprocessing.regress_out == "cues"
        with pytest.warns(CorticodeWarning, match="says nothing of new animals"):
            again = predict_recordings(decoder, read_catalogue(folder / "sessions.csv"))
        fitted = Predictions.load(fit / "predictions.npz").to_frame()
        both = fitted.merge(again.to_frame(), on=["animal", "session", "frame"])
        np.testing.assert_array_equal(both["score_x"], both["score_y"])

    def test_cortex_alone_is_above_cues(self, own_film, run_inline):
        write_traces(own_film, cortex=1, moved=0)
        run_inline(own_film, own_film / "run")
        table = Run(own_film / "run").read_table("artefacts").set_index("input")
        assert table["verdict"].unique().tolist() == ["above cues"], table
        assert table.loc["neural, cues regressed out", "mean"] > 0.8

    def test_the_resolved_study_is_the_same_study(self, own_film, run_inline):
        write_traces(own_film, cortex=1, moved=1)
        study = read_study(own_film / "study.toml")
        (own_film / "again.toml").write_text(write_resolved(study, own_film), "utf-8")
        again = read_study(own_film / "again.toml")
        assert (again.conditions, again.artefacts) == (study.conditions, ("line",))

    def test_sessions_without_movies_are_named(self, own_cohort):
        (own_cohort / "study.toml").write_text(ARTEFACTS, "utf-8")
        report = check_study(read_study(own_cohort / "study.toml"))
        assert any("'cues' needs a movie; sessions m1/s1, m1/s2" in line for line in report.faults)
        assert any("'traces+cues' needs traces and a movie" in line for line in report.faults)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('[[artefacts]]\ncondition = "lime"\n', "which is no condition; did you mean 'line'?"),
            (
                '[[condition]]\nname = "b"\nlike = "line"\nregions = [1]\n'
                '[[artefacts]]\ncondition = "b"\n',
                "which sees some regions; give one of all",
            ),
            (
                '[[condition]]\nname = "b"\nlike = "line"\ninput = "border"\n'
                'preprocess = { regress_out = "cues" }\n',
                "regresses cues out, which is for input = 'traces', not 'border'",
            ),
        ],
    )
    def test_faults(self, tmp_path, text, message):
        (tmp_path / "study.toml").write_text(ARTEFACTS + text, "utf-8")
        with pytest.raises(StudyError) as caught:
            read_study(tmp_path / "study.toml")
        assert message in str(caught.value)


@pytest.fixture
def own_film(filmed, tmp_path):
    return shutil.copytree(filmed, tmp_path / "film")


class TestRefusals:
    def test_regions_of_a_cue(self, tmp_path):
        path = tmp_path / "study.toml"
        path.write_text(HEAD + CONDITION.format(name="border") + "regions = [6, 8]\n", "utf-8")
        with pytest.raises(StudyError, match="'border' gives regions, but input = 'border' has no"):
            read_study(path)

    def test_unknown_input(self, tmp_path):
        path = tmp_path / "study.toml"
        path.write_text(
            HEAD + CONDITION.format(name="border").replace('t = "border', 't = "borders')
        )
        with pytest.raises(StudyError, match="did you mean 'border'"):
            read_study(path)

    def test_traces_alone(self, own_cohort, tmp_path, command_line):
        (own_cohort / "study.toml").write_text(HEAD + CONDITION.format(name="border"), "utf-8")
        for verb in (["check"], ["run", "--out", tmp_path / "run"]):
            code, _, err = command_line(verb[0], own_cohort / "study.toml", *verb[1:])
            assert code == 2
            assert "input = 'border' needs a movie; sessions m1/s1, m1/s2, m1/s3 and 9 more" in err
