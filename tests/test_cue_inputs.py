"""Cues that are not cortex, from movies on disk to scores."""

import json

import numpy as np
import pandas as pd
import pytest

from corticode.data.cues import BEHAVIOR, INPUTS, TOGETHER
from corticode.decode.decoder import load_decoder
from corticode.decode.predictions import Predictions
from corticode.errors import StudyError
from corticode.run.check import check_study
from corticode.run.folder import Run
from corticode.study.study import read_study

N_FRAMES = 1600
CUES = [name for name in INPUTS if name not in ("traces", "movie", BEHAVIOR, *TOGETHER)]
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
    whole_session = ["brain-motion", "frame-number", "motion-terms", "outside-mask"]
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
