"""The confound analysis, from movies on disk to a verdict."""

import json

import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import read_catalogue
from corticode.decode.decoder import load_decoder
from corticode.errors import DecoderError, StudyError
from corticode.evaluate.confounds import (
    CAVEAT,
    CLAIMED,
    NONE_BEYOND,
    NOT_SEPARABLE,
    ROWS,
    control_names,
)
from corticode.evaluate.nulls import COHORT
from corticode.report.headline import headline
from corticode.report.read_run import read_run
from corticode.run.check import check_study
from corticode.run.fits import predict_recordings
from corticode.run.folder import Run
from corticode.study.study import read_study, write_resolved

N_FRAMES, N_ROWS, N_COLUMNS = 5000, 24, 40
ANIMALS = ("m1", "m2", "m3", "m4")
ROW, COLUMN = np.mgrid[:N_ROWS, :N_COLUMNS]
FROM_CENTRE = np.hypot(ROW - 11.5, COLUMN - 19.5)
STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m4", "test-m4_valid-m1"]
[[condition]]
name = "line"
preprocess = { detrend_frames = 0 }
window = { before = 1, after = 1 }
network = { kind = "linear-window" }
"""
ASKED = '[[confounds]]\ncondition = "line"\n'


def write_cohort(folder, *, cortex, leak, noise=6.0, columns=N_COLUMNS):
    """Light and motion follow running; they leak into region 1, cortex is in region 2."""
    rows = []
    for animal in ANIMALS:
        rng = np.random.default_rng([5, *animal.encode()])
        run = (np.cumsum(rng.random(N_FRAMES) < 0.04) % 2).astype(float)
        light = run * rng.gamma(4, 0.25, N_FRAMES) + 0.5 * rng.normal(size=N_FRAMES)
        shift = (light + rng.normal(size=N_FRAMES) > 1).astype(int)
        image = np.where(FROM_CENTRE < 8, 3000.0, 300.0) * (1 + 0.2 * rng.random(ROW.shape))
        moved = np.stack([np.roll(image, k, axis=0) for k in (0, 1)])
        movie = moved[shift] + noise * rng.normal(size=(N_FRAMES, N_ROWS, N_COLUMNS))
        movie[:, FROM_CENTRE > 10] += 3 * light[:, None]
        traces = 0.5 * rng.normal(size=(N_FRAMES, 2))
        traces[:, 0] += leak * (light + shift)
        traces[:, 1] += cortex * run * rng.choice([0.5, 1.5], N_FRAMES)
        np.save(folder / f"{animal}.npy", movie[:, :, :columns].round().astype(np.uint16))
        np.save(folder / f"{animal}_traces.npy", traces.astype(np.float32))
        pd.DataFrame({"run": run.astype(int)}).to_csv(folder / f"{animal}.csv", index=False)
        rows.append([animal, "a", f"{animal}.npy", f"{animal}_traces.npy", f"{animal}.csv", 30])
    heads = ["animal", "session", "movie", "traces", "behavior", "frame_rate_hz"]
    pd.DataFrame(rows, columns=heads).to_csv(folder / "sessions.csv", index=False)
    (folder / "study.toml").write_text(STUDY + ASKED, "utf-8")


def analysed(folder, run_inline):
    run_inline(folder, folder / "run")
    table = Run(folder / "run").read_table("confounds")
    assert table["condition"].unique().tolist() == ["line"]
    (verdict,) = table["verdict"].unique()
    (words,) = table["words"].unique()
    assert words.endswith(CAVEAT)
    means = table[table["animal"] == COHORT].set_index("input")["value"]
    return verdict, {name: means[words] for name, words in ROWS.items()}, table


def test_what_leaks_in_alone_is_never_claimed(tmp_path, run_inline):
    write_cohort(tmp_path, cortex=0, leak=2)
    verdict, means, table = analysed(tmp_path, run_inline)
    assert verdict in (NONE_BEYOND, NOT_SEPARABLE)
    assert means["confounds"] > 0.8
    assert means["cortex"] > 0.8
    assert means["cleaned"] == pytest.approx(0.5, abs=0.05)
    # One row an animal and quantity, after those of the cohort.
    assert table.groupby("input").size().unique().tolist() == [1 + len(ANIMALS)]
    assert table["reliability"].iloc[0] > 0.3


def test_cortex_beside_a_confound_that_never_touches_it_is_claimed(tmp_path, run_inline):
    write_cohort(tmp_path, cortex=2, leak=0)
    verdict, means, _ = analysed(tmp_path, run_inline)
    assert verdict == CLAIMED
    # Nothing of the confound was in the traces, and nothing is taken out of them.
    assert means["cleaned"] == pytest.approx(means["cortex"], abs=0.03)
    assert means["gain"] > 0
    said = headline(read_run(tmp_path / "run", single_predictions=False))
    assert "decoding exceeds the measured confounds." in said
    run = Run(tmp_path / "run")
    scores = run.read_table("animal_scores")
    assert scores["condition"].unique().tolist() == ["line", *control_names("line")]
    # Decoders of cleaned traces know the behaviour of their recordings, and predict no others.
    decoder = load_decoder(run.fit_folder(control_names("line")[1], "test-m1_valid-m2", 0))
    with pytest.raises(DecoderError, match="take the condition's own decoder"):
        predict_recordings(decoder, read_catalogue(tmp_path / "sessions.csv"))
    measured = [json.loads(path.read_text()) for path in run.folder.rglob("reliability.json")]
    assert len(measured) == 1
    assert 0.3 < measured[0]["outside brain"] < 1
    assert 0.3 < measured[0]["motion rows"] < 1


def test_one_measurement_allows_no_claim(tmp_path, run_inline):
    # Half of the image is too narrow to measure motion in.
    write_cohort(tmp_path, cortex=2, leak=0, columns=30)
    verdict, means, table = analysed(tmp_path, run_inline)
    assert verdict == NOT_SEPARABLE
    assert np.isnan(table["reliability"]).all()
    assert "there is one measurement of motion" in table["words"].iloc[0]
    assert means["gain"] > 0


def test_the_resolved_study_is_the_same_study(tmp_path):
    write_cohort(tmp_path, cortex=1, leak=1)
    study = read_study(tmp_path / "study.toml")
    (tmp_path / "again.toml").write_text(write_resolved(study, tmp_path), "utf-8")
    again = read_study(tmp_path / "again.toml")
    assert (again.conditions, again.confounds) == (study.conditions, ("line",))
    # As older studies call it.
    (tmp_path / "older.toml").write_text(STUDY + ASKED.replace("confounds", "artefacts"), "utf-8")
    assert read_study(tmp_path / "older.toml").conditions == study.conditions


def test_sessions_without_movies_are_named(own_cohort):
    (own_cohort / "study.toml").write_text(STUDY + ASKED, "utf-8")
    report = check_study(read_study(own_cohort / "study.toml"))
    assert any("'confounds' needs a movie; sessions m1/s1, m1/s2" in one for one in report.faults)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[confounds]]\ncondition = "lime"\n', "which is no condition; did you mean 'line'?"),
        (
            '[[condition]]\nname = "b"\nlike = "line"\nregions = [1]\n'
            '[[confounds]]\ncondition = "b"\n',
            "which sees some regions; give one of all",
        ),
        (
            '[[condition]]\nname = "b"\nlike = "line"\ninput = "border"\n'
            'preprocess = { regress_out = "cues" }\n',
            "regresses cues out, which is for input = 'traces', not 'border'",
        ),
    ],
)
def test_faults(tmp_path, text, message):
    (tmp_path / "study.toml").write_text(STUDY + ASKED + text, "utf-8")
    with pytest.raises(StudyError) as caught:
        read_study(tmp_path / "study.toml")
    assert message in str(caught.value)
