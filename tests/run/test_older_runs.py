"""A run that version 60f4e28 finished is read, reported, exported and gone on with."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from corticode.data.catalogue import read_catalogue
from corticode.decode.decoder import load_decoder
from corticode.decode.predictions import Predictions
from corticode.report.export import export_run
from corticode.report.read_run import read_run
from corticode.report.write import write_report
from corticode.run.execute import execute_study
from corticode.run.fits import predict_recordings
from corticode.run.folder import Run
from corticode.study.study import read_study

KEPT = Path(__file__).parent / "run_of_60f4e28.zip"
# Made from what fits left, so that no processor rounds them otherwise.
# (nulls.csv has columns that version did not have.)
TABLES = ("scores", "session_scores", "animal_scores", "comparisons", "excluded")


@pytest.fixture
def old(tmp_path):
    """The recordings and the run, in a folder of their own."""
    with zipfile.ZipFile(KEPT) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_nothing_is_done_again(old):
    before = {name: (old / "run" / f"{name}.csv").read_bytes() for name in TABLES}
    summary = execute_study(read_study(old / "recordings" / "study.toml"), old / "run")
    assert (summary.n_fits, summary.n_maps) == (9, 6)
    assert (summary.n_kept, summary.n_changed) == (15, 0)
    assert {name: (old / "run" / f"{name}.csv").read_bytes() for name in TABLES} == before


def test_it_has_a_page_and_is_exported(old):
    values = read_run(old / "run")
    assert values.missing == ()
    assert set(values.maps) == {
        ("linear", "occlusion"),
        ("linear", "integrated-gradients, train"),
    }
    scores = values.table("animal_scores")
    mean = scores.loc[scores["condition"] == "linear", "value"].mean()
    assert f"{mean:.3f}" in write_report(old / "run").read_text("utf-8")
    assert len(export_run(old / "run", "csv", old / "csv").rows) > 10


def test_its_decoders_predict(old):
    fit = Run(old / "run").fit_folder("linear", "test-m1_valid-m2", 0)
    recordings = read_catalogue(old / "recordings" / "sessions.csv")
    own = [recording for recording in recordings if recording.animal == "m1"]
    again = predict_recordings(load_decoder(fit), own)
    kept = Predictions.load(fit / "predictions.npz").of_part("test")
    np.testing.assert_allclose(again.score, kept.score, atol=1e-6)
