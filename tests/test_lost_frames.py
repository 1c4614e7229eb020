"""Frames that were lost, and frames that cannot be used, from files to scores."""

import warnings

import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import read_catalogue
from corticode.decode.decoder import load_decoder
from corticode.decode.predictions import Predictions
from corticode.errors import CorticodeWarning, DataError
from corticode.run.check import check_study
from corticode.run.fits import predict_recordings
from corticode.run.folder import Run
from corticode.study.study import read_study

N_FRAMES, SIDE, LOST = 360, 16, 301
DARK = slice(100, 104)
STUDY = """
[data]
catalogue = "sessions.csv"
{data}
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2"]
[[condition]]
name = "border"
input = "border"
window = {{ before = 1, after = 1 }}
preprocess = {{ detrend_frames = 0, scale = "z-score" }}
network = {{ kind = "linear-window" }}
[[condition]]
name = "cnn"
input = "movie"
preprocess = {{ correction = "reference-regression", detrend_frames = 0, mask = "none" }}
network = {{ backbone = "grid" }}
training = {{ epochs = 4, batch_size = 32, learning_rate = 1e-2 }}
"""


def movies(rng):
    """Two wavelengths in turn, 2 % apart; the left third of the first brightens in running."""
    run = np.repeat(rng.permutation(np.arange(N_FRAMES // 15) % 2), 15)
    both = np.empty((2 * N_FRAMES, SIDE, SIDE))
    both[::2], both[1::2] = 2000, 1960
    both[::2, :, :5] += 60 * run[:, None, None]
    both += rng.normal(0, 8, both.shape) + 4 * rng.normal(size=(2 * N_FRAMES, 1, 1))
    return both.astype(np.uint16), run


@pytest.fixture
def cohort(tmp_path):
    """Three animals; m1 lost a camera frame, and in m2 the light went off for four frames."""
    folder = tmp_path / "cohort"
    folder.mkdir()
    rows = []
    for animal in ("m1", "m2", "m3"):
        movie, run = movies(np.random.default_rng([0, *animal.encode()]))
        if animal == "m1":
            movie, run = np.delete(movie, LOST, axis=0), run[: N_FRAMES - 1]
        if animal == "m2":
            movie[2 * DARK.start : 2 * DARK.stop] = 100
        np.save(folder / f"{animal}.npy", movie)
        pd.DataFrame({"run": run}).to_csv(folder / f"{animal}.csv", index=False)
        rows.append([animal, "a", f"{animal}.npy", f"{animal}.csv", 10, "calcium,reference"])
    columns = ["animal", "session", "movie", "behavior", "frame_rate_hz", "channels"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "sessions.csv", index=False)
    write(folder)
    return folder


def write(folder, data=""):
    (folder / "study.toml").write_text(STUDY.format(data=data), "utf-8")


def test_a_lost_frame_ends_check_and_run_until_it_is_put_right(cohort, run_inline, tmp_path):
    report = check_study(read_study(cohort / "study.toml"))
    assert len(report.faults) == 1
    assert f"at frame {LOST} of m1/a" in report.faults[0]
    with pytest.raises(DataError, match=r"\[data\] resynchronise = true"):
        run_inline(cohort, tmp_path / "run")
    write(cohort, "resynchronise = true")
    assert check_study(read_study(cohort / "study.toml")).faults == []
    run_inline(cohort, tmp_path / "run")
    run = Run(tmp_path / "run")
    scores = run.read_table("scores").set_index("condition")
    assert scores.loc["border", "auc"] > 0.99
    assert scores.loc["cnn", "auc"] > 0.95
    told = run.read_table("excluded")
    assert told["reason"].str.contains("4 frames of the movie are dark").sum() == 1
    assert told["reason"].str.contains(f"missing in the movie's file, before frame {LOST}").any()
    self_predicted(run, cohort)


def self_predicted(run, cohort):
    """No window of the test animal holds the broken pair; those of the dark frames neither."""
    folder = run.fit_folder("cnn", "test-m1_valid-m2", 0)
    table = Predictions.load(folder / "predictions.npz").to_frame()
    seen = {one: set(rows["frame"]) for one, rows in table.groupby("animal")}
    broken = LOST // 2
    # An image holds the frames beside it, and the low-passed reference those around.
    assert seen["m1"].isdisjoint(range(broken - 1, broken + 2))
    assert {broken - 8, broken + 8} <= seen["m1"]
    assert seen["m2"].isdisjoint(range(DARK.start - 1, DARK.stop + 1))
    decoder = load_decoder(folder)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", CorticodeWarning)
        again = predict_recordings(decoder, read_catalogue(cohort / "sessions.csv")[:1])
    assert any("is missing in the movie's file" in str(one.message) for one in told)
    own = table[table["animal"] == "m1"].set_index("frame")["score"]
    score = again.to_frame().set_index("frame")["score"]
    np.testing.assert_allclose(score.loc[own.index], own, rtol=1e-5)


def test_what_is_reported_enters_and_changes_the_fit_alone_of_who_holds_it(
    cohort, run_inline, tmp_path
):
    write(cohort, 'resynchronise = true\nbad_frames = "report"')
    run_inline(cohort, tmp_path / "run")
    run = Run(tmp_path / "run")
    reasons = run.read_table("excluded")["reason"]
    assert reasons.str.contains('bad_frames = "exclude" leaves them out').any()
    folder = run.fit_folder("border", "test-m1_valid-m2", 0)
    table = Predictions.load(folder / "predictions.npz").to_frame()
    assert set(range(DARK.start, DARK.stop)) <= set(table.loc[table["animal"] == "m2", "frame"])
    write(cohort, 'resynchronise = true\nbad_frames = "exclude"')
    _, tasks = run_inline(cohort, tmp_path / "run")
    assert len(tasks) == 2
    _, tasks = run_inline(cohort, tmp_path / "run")
    assert tasks == []
