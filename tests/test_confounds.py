"""The confound analysis, from movies on disk to a verdict."""

import json

import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import read_catalogue
from corticode.decode.decoder import load_decoder
from corticode.decode.predictions import Predictions
from corticode.decode.settings import Training
from corticode.errors import DecoderError, StudyError
from corticode.evaluate.confounds import (
    CAVEAT,
    CLAIMED,
    NONE_BEYOND,
    NOT_SEPARABLE,
    ROWS,
    behavior_control,
    control_names,
)
from corticode.evaluate.nulls import COHORT
from corticode.report.headline import headline
from corticode.report.read_run import read_run
from corticode.run.check import check_study
from corticode.run.fits import predict_recordings
from corticode.run.folder import Run
from corticode.run.tasks import lay_out
from corticode.study.study import (
    of_input,
    read_study,
    resolve,
    without_conditions,
    write_resolved,
)

N_FRAMES, N_ROWS, N_COLUMNS = 2500, 24, 40
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


def write_cohort(folder, *, cortex, leak, noise=6.0, columns=N_COLUMNS, n_frames=N_FRAMES):
    """Light and motion follow running; they leak into region 1, cortex is in region 2."""
    rows = []
    for animal in ANIMALS:
        rng = np.random.default_rng([5, *animal.encode()])
        run = (np.cumsum(rng.random(n_frames) < 0.04) % 2).astype(float)
        light = run * rng.gamma(4, 0.25, n_frames) + 0.5 * rng.normal(size=n_frames)
        shift = (light + rng.normal(size=n_frames) > 1).astype(int)
        image = np.where(FROM_CENTRE < 8, 3000.0, 300.0) * (1 + 0.2 * rng.random(ROW.shape))
        moved = np.stack([np.roll(image, k, axis=0) for k in (0, 1)])
        movie = moved[shift] + noise * rng.normal(size=(n_frames, N_ROWS, N_COLUMNS))
        movie[:, FROM_CENTRE > 10] += 3 * light[:, None]
        traces = 0.5 * rng.normal(size=(n_frames, 2))
        traces[:, 0] += leak * (light + shift)
        traces[:, 1] += cortex * run * rng.choice([0.5, 1.5], n_frames)
        np.save(folder / f"{animal}.npy", movie[:, :, :columns].round().astype(np.uint16))
        np.save(folder / f"{animal}_traces.npy", traces.astype(np.float32))
        state = np.where(run > 0, "run", np.where(np.arange(n_frames) // 40 % 2, "groom", "rest"))
        table = {"run": run.astype(int), "speed": 5 * run, "state": state}
        pd.DataFrame(table).to_csv(folder / f"{animal}.csv", index=False)
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
    assert (again.conditions, again.confounds) == (study.conditions, study.confounds)
    # As older studies call it.
    (tmp_path / "older.toml").write_text(STUDY + ASKED.replace("confounds", "artefacts"), "utf-8")
    assert read_study(tmp_path / "older.toml").conditions == study.conditions


def test_without_movies_the_behaviour_columns_are_still_asked_about(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY + ASKED + 'behavior = ["whisk"]\n', "utf-8")
    study = read_study(tmp_path / "study.toml")
    left = of_input(study, "traces")
    assert [c.name for c in left.conditions] == ["line", behavior_control("line")]
    assert [(one.measured, one.behavior) for one in left.confounds] == [(False, ["whisk"])]
    gone, names = without_conditions(study, ["line"])
    assert (gone.conditions, gone.confounds) == ((), ())
    assert set(names) == {"line", *control_names("line"), behavior_control("line")}


def test_confounds_of_a_condition_with_cues_regressed_out_keep_their_own(tmp_path):
    text = STUDY.replace("detrend_frames = 0", 'detrend_frames = 0, regress_out = "cues"')
    (tmp_path / "study.toml").write_text(text + ASKED + 'behavior = ["whisk"]\n', "utf-8")
    found = {c.name: resolve(c, 30.0) for c in read_study(tmp_path / "study.toml").conditions}
    of_each = {name: one.preprocessing.regress_out for name, one in found.items()}
    alone, removed = control_names("line")
    assert of_each == {
        "line": "cues", alone: "none", removed: "confounds", behavior_control("line"): "none",
    }  # fmt: skip


def test_sessions_without_movies_are_named(own_cohort):
    (own_cohort / "study.toml").write_text(STUDY + ASKED, "utf-8")
    report = check_study(read_study(own_cohort / "study.toml"))
    assert any("'confounds' needs a movie; sessions m1/s1, m1/s2" in one for one in report.faults)


# One penalty, where decoders are not what is asked about.
QUICK = STUDY + "training = { penalty = [0.1] }\n"
KINDS = """
[[condition]]
name = "speed"
like = "line"
target = { signal = "speed", kind = "value" }
[[condition]]
name = "state"
like = "line"
target = { signal = "state", kind = "classes" }
"""


def asked_of(*conditions, measured=False, behavior=("whisk", "lick")):
    text = "measured = false\n" * (not measured) + f"behavior = {list(behavior)}\n"
    return "".join(f'[[confounds]]\ncondition = "{name}"\n{text}' for name in conditions)


def write_behavior(folder, *, n_frames=1500, movies=False):
    """Whisking follows running; region 1 holds running beside it; licks have a clock of their own.

    Behaviour comes at twice the frame rate, so that columns are brought onto frames.
    """
    rows = []
    for animal in ANIMALS:
        rng = np.random.default_rng([7, *animal.encode()])
        run = (np.cumsum(rng.random(n_frames) < 0.03) % 2).astype(float)
        state = np.where(run > 0, "run", np.where(np.arange(n_frames) // 40 % 2, "groom", "rest"))
        whisk = run + rng.normal(size=n_frames)
        traces = rng.normal(size=(n_frames, 2)) * 0.7
        traces[:, 0] += run
        traces[:, 1] += state == "groom"
        twice = {"run": run, "state": state, "speed": 5 * run, "whisk": whisk}
        table = pd.DataFrame({name: np.repeat(values, 2) for name, values in twice.items()})
        # One of the two samples in a frame's exposure: half a lick in it.
        table["lick"] = (np.arange(2 * n_frames) % 14 == 0).astype(int)
        table["time"] = np.arange(2 * n_frames) / 60
        table.to_csv(folder / f"{animal}.csv", index=False)
        np.save(folder / f"{animal}_traces.npy", traces.astype(np.float32))
        np.save(folder / f"{animal}_times.npy", np.arange(n_frames) / 30)
        rows.append([animal, "a", f"{animal}_traces.npy", f"{animal}.csv",
                     f"{animal}_times.npy", f"{animal}.csv::time"])  # fmt: skip
    heads = ["animal", "session", "traces", "behavior", "frame_times", "behavior_times"]
    pd.DataFrame(rows, columns=heads).to_csv(folder / "sessions.csv", index=False)


@pytest.fixture(scope="module")
def beside_behavior(tmp_path_factory, run_inline):
    folder = tmp_path_factory.mktemp("behavior")
    write_behavior(folder)
    (folder / "study.toml").write_text(QUICK + KINDS + asked_of("line", "speed", "state"), "utf-8")
    run_inline(folder, folder / "run")
    return folder


@pytest.mark.study
def test_behaviour_columns_are_a_block_of_confounds_of_any_target(beside_behavior):
    table = Run(beside_behavior / "run").read_table("confounds")
    assert table["confounds"].unique().tolist() == ["whisk, lick"]
    assert table["verdict"].unique().tolist() == [NOT_SEPARABLE]
    assert table.groupby("condition")["metric"].unique().str[0].to_dict() == {
        "line": "auc", "speed": "r2", "state": "auc",
    }  # fmt: skip
    cohort = table[table["animal"] == COHORT].set_index(["condition", "input"])["value"]
    for condition in ("line", "speed", "state"):
        means = {name: cohort[condition, words] for name, words in ROWS.items()}
        assert means["stack"] > means["confounds"] + 0.02
        assert means["gain"] == pytest.approx(means["stack"] - means["confounds"])
        # Each animal has one session, and whisking means the same in all of them.
        assert means["within"] == pytest.approx(means["confounds"], abs=0.06)
        assert np.isnan(means["cleaned"])
    assert 0.7 < cohort["line", ROWS["confounds"]] < 0.99
    assert np.isnan(cohort["speed", ROWS["strata"]])
    said = headline(read_run(beside_behavior / "run", single_predictions=False))
    assert "whisk and lick alone reach 0." in said
    assert "decoding is not separable from them" in said


@pytest.mark.study
def test_columns_come_onto_frames_as_means_and_change_no_other_fit(
    beside_behavior, tmp_path, run_inline
):
    run = Run(beside_behavior / "run")
    study = read_study(beside_behavior / "study.toml")
    assert study.columns == ("whisk", "lick")
    assert study.on_frames["lick"] == "mean"
    decoder = load_decoder(run.fit_folder(behavior_control("line"), "test-m1_valid-m2", 0))
    assert decoder.recipe.regions == ("whisk", "lick")
    # It predicts recordings by the same columns, as it was scored on them.
    recordings = read_catalogue(beside_behavior / "sessions.csv")
    again = predict_recordings(decoder, recordings[:1])
    folder = run.fit_folder(behavior_control("line"), "test-m1_valid-m2", 0)
    kept = Predictions.load(folder / "predictions.npz").of_part("test")
    np.testing.assert_allclose(again.score, kept.score, atol=1e-6)
    # The condition's own fits are those of a study that does not ask.
    (beside_behavior / "plain.toml").write_text(QUICK + KINDS, "utf-8")
    plain = {t.condition.name: t.key for t in lay_out(
        read_study(beside_behavior / "plain.toml"), Run(tmp_path / "plain")).tasks}  # fmt: skip
    asked = {t.condition.name: t.key for t in lay_out(study, Run(tmp_path / "asked")).tasks}
    assert {name: asked[name] for name in plain} == plain


def test_columns_that_cannot_be_confounds_are_refused_before_any_fit(tmp_path):
    write_behavior(tmp_path)
    (tmp_path / "study.toml").write_text(
        QUICK + asked_of("line", behavior=["speed", "state", "whisk"]), "utf-8")  # fmt: skip
    (fault,) = check_study(read_study(tmp_path / "study.toml")).faults
    assert "'speed' contains what is decoded (correlation 1.000" in fault
    assert "'state' holds text" in fault
    assert "whisk" not in fault
    (tmp_path / "study.toml").write_text(QUICK + asked_of("line", behavior=["wisk"]), "utf-8")
    (fault,) = check_study(read_study(tmp_path / "study.toml")).faults
    assert "no signal 'wisk'" in fault
    assert "did you mean 'whisk'" in fault


@pytest.mark.study
def test_values_and_classes_beside_measured_confounds(tmp_path, run_inline):
    write_cohort(tmp_path, cortex=2, leak=0, n_frames=2000)
    (tmp_path / "study.toml").write_text(
        QUICK + KINDS + asked_of("speed", "state", measured=True, behavior=[]), "utf-8"
    )
    run_inline(tmp_path, tmp_path / "run")
    table = Run(tmp_path / "run").read_table("confounds")
    found = table.drop_duplicates("condition").set_index("condition")
    assert found["metric"].to_dict() == {"speed": "r2", "state": "auc"}
    # Cortex holds what is decoded beside a confound that follows it and never touches the traces.
    assert found["verdict"].unique().tolist() == [CLAIMED]
    assert found["reliability"].min() > 0.3


def test_of_movies_nothing_is_claimed(tmp_path, run_inline):
    write_cohort(tmp_path, cortex=0, leak=0, n_frames=600)
    (tmp_path / "study.toml").write_text(QUICK + MOVIES, "utf-8")
    run_inline(tmp_path, tmp_path / "run")
    run = Run(tmp_path / "run")
    table = run.read_table("confounds")
    assert table["verdict"].unique().tolist() == [NOT_SEPARABLE]
    assert "that is done for region traces, not for movies" in table["words"].iloc[0]
    means = table[table["animal"] == COHORT].set_index("input")["value"]
    # Light and motion show in the pixels: both tell.
    assert means[ROWS["confounds"]] > 0.8
    assert means[ROWS["cortex"]] > 0.7
    assert np.isfinite(means[ROWS["stack"]])
    assert np.isfinite(means[ROWS["strata"]])
    assert np.isnan(means[ROWS["cleaned"]])
    assert run.read_table("animal_scores")["condition"].unique().tolist() == [
        "line", "pixels", control_names("pixels")[0],
    ]  # fmt: skip


MOVIES = """
[[condition]]
name = "pixels"
input = "movie"
preprocess = { correction = "none" }
window = { before = 0, after = 0 }
network = { kind = "cnn", backbone = "grid" }
training = { epochs = 3, learning_rate = 3e-2 }
[[condition]]
name = "pixels: confounds only"
like = "line"
input = "confounds"
[[confounds]]
condition = "pixels"
"""


def test_a_condition_of_movies_takes_the_presets_decoder_for_its_confounds(tmp_path):
    text = QUICK + MOVIES.replace('name = "pixels: confounds only"', 'name = "other"')
    text += '[[condition]]\nname = "later"\nlike = "pixels"\nwindow = { shift = 30 }\n'
    text += 'target = { minimum_bout_frames = 5 }\n[[confounds]]\ncondition = "later"\n'
    (tmp_path / "study.toml").write_text(text, "utf-8")
    found = {c.name: c for c in read_study(tmp_path / "study.toml").conditions}
    alone = resolve(found[control_names("later")[0]], 30.0)
    assert (alone.input, alone.network.kind, alone.pixels) == ("confounds", "gru", None)
    assert (alone.window.before, alone.window.shift) == (15, 30)
    assert alone.target == resolve(found["later"], 30.0).target
    assert alone.training == Training(epochs=30, label_smoothing=0.001)
    assert control_names("pixels")[1] not in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (asked_of("line", behavior=["run"]), "names 'run', which is what is decoded"),
        (asked_of("line", behavior=["a", "a"]), "behavior names a column twice"),
        (asked_of("line", behavior=[]), "without confounds (measured = false)"),
        (asked_of("line", behavior=["a"]), "more than once, each time otherwise; ask once"),
        (
            '[[condition]]\nname = "b"\nlike = "line"\ninput = "behavior"\n',
            "input = 'behavior' and behavior = [...], the columns that it takes, go together",
        ),
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
    (tmp_path / "study.toml").write_text(QUICK + ASKED + text, "utf-8")
    with pytest.raises(StudyError) as caught:
        read_study(tmp_path / "study.toml")
    assert message in str(caught.value)
