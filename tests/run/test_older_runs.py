"""A run that version 60f4e28 finished is read, reported, exported and gone on with."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from corticode.data.catalogue import read_catalogue
from corticode.data.files import fingerprint_of_samples as by_samples
from corticode.decode.decoder import load_decoder
from corticode.decode.predictions import Predictions
from corticode.report.compare_runs import shared_recordings, version_differences
from corticode.report.export import export_run
from corticode.report.read_run import read_run
from corticode.report.write import write_report
from corticode.run import execute, tasks
from corticode.run.execute import execute_study
from corticode.run.fits import predict_recordings
from corticode.run.folder import Run
from corticode.study.study import read_study

LINEAR_STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
by = "animal"
[[condition]]
name = "linear"
preprocess = { detrend_frames = 0 }
window = { before = 1, after = 1 }
network = { kind = "linear-frame" }
training = { penalty = [0.01] }
"""
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


@pytest.fixture
def long_recordings(tmp_path, write_cohort, run_inline, monkeypatch):
    """A run of recordings above 1 MiB as an older version left it, which knew them by samples."""
    folder = write_cohort(tmp_path / "cohort", study=LINEAR_STUDY, n_frames=4000, n_regions=80)
    run = Run(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "fingerprints", lambda paths: {p: by_samples(p) for p in paths})
        patch.setattr(execute, "fingerprint", by_samples)
        run_inline(folder, run.folder)
    for path in run.folder.rglob("done.json"):
        without(path, "files")
    for path in run.folder.rglob("prepared.json"):
        without(path, "files")
    without(run.provenance_path, "recordings_by_samples", "known_by_samples")
    return folder, run


def without(path, *names):
    told = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({k: v for k, v in told.items() if k not in names}), "utf-8")


def correct(path):
    """Change a few frames between the stretches that older versions looked at."""
    before = by_samples(path)
    traces = np.load(path, mmap_mode="r+")
    traces[460:490] = -1
    traces.flush()
    assert by_samples(path) == before


@pytest.mark.study
class TestLongRecordings:
    """Files above 1 MiB, of which older versions looked at samples."""

    def test_nothing_is_done_again(self, long_recordings, run_inline):
        folder, run = long_recordings
        for _ in range(2):
            summary, fitted = run_inline(folder, run.folder)
            assert (len(fitted), summary.n_kept, summary.n_changed) == (0, 12, 0)
            assert summary.findings == ()
        told = json.loads(run.provenance_path.read_text("utf-8"))
        assert len(told["known_by_samples"]) == 12
        correct(folder / "m1_s1.npy")
        summary, fitted = run_inline(folder, run.folder)
        assert (len(fitted), summary.n_changed) == (12, 12)

    def test_what_was_written_since_is_fitted_again_and_reported(self, long_recordings, run_inline):
        folder, run = long_recordings
        correct(folder / "m1_s1.npy")
        summary, fitted = run_inline(folder, run.folder)
        assert len(fitted) == 12
        assert str(summary.findings[0]) == (
            "animal 'm1', session 's1': what uses it is fitted again: m1_s1.npy is newer than the "
            "first fit here, made by an older version that looked at samples of a file only"
        )
        summary, fitted = run_inline(folder, run.folder)
        assert (len(fitted), summary.findings) == (0, ())

    def test_runs_of_two_versions_are_compared(self, long_recordings, run_inline, tmp_path):
        folder, run = long_recordings
        run_inline(folder, tmp_path / "new")
        for one, other in ((run.folder, tmp_path / "new"), (tmp_path / "new", run.folder)):
            pair = [read_run(path, single_predictions=False) for path in (one, other)]
            assert len(shared_recordings(*pair).same) == 12
            assert not [d for d in version_differences(*pair) if "samples" in d.key]
