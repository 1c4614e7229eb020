"""From files to scores: what was planted is found, what was cut is not, and nothing leaks."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from corticode.decode.decoder import load_decoder
from corticode.decode.predictions import Predictions
from corticode.evaluate.metrics import binary_scores
from corticode.run.folder import Run

HEAD = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "{signal}"
kind = "{kind}"
[folds]
{folds}
[[condition]]
name = "linear"
preprocess = {{ detrend_frames = 0 }}
window = {{ before = 5, after = 5 }}
network = {{ kind = "linear-window" }}
training = {{ penalty = [0.01] }}
"""


def study_of(signal="run", kind="binary", folds='by = "animal"', more=""):
    return HEAD.format(signal=signal, kind=kind, folds=folds) + more


class TestPlantedSignal:
    def test_is_found_in_animals_the_decoder_never_saw(self, finished_run):
        animals = finished_run.read_table("animal_scores")
        assert list(animals["animal"]) == ["m1", "m2", "m3", "m4"] * 2
        assert set(animals["condition"]) == {"gru", "linear"}
        assert (animals["value"] > 0.9).all()

    def test_is_not_found_once_labels_are_exchanged(self, write_cohort, run_inline, tmp_path):
        study = study_of(more='permute_labels = "sessions"\n')
        write_cohort(tmp_path / "cohort", study=study, n_frames=800)
        run_inline(tmp_path / "cohort", tmp_path / "run", n_seeds=3)
        animals = Run(tmp_path / "run").read_table("animal_scores")
        assert (animals["n_decoders"] == 9).all()
        assert animals["value"].mean() == pytest.approx(0.5, abs=0.1)

    def test_is_not_found_once_segments_are_exchanged(self, write_cohort, run_inline, tmp_path):
        study = study_of(folds='by = "block"', more='permute_labels = "segments"\n')
        write_cohort(tmp_path, study=study, sessions=1, segment="trial", n_frames=2000)
        run_inline(tmp_path, tmp_path / "run", n_seeds=3)
        animals = Run(tmp_path / "run").read_table("animal_scores")
        assert animals["value"].mean() == pytest.approx(0.5, abs=0.1)

    def test_in_several_classes(self, write_cohort, run_inline, tmp_path):
        write_cohort(tmp_path, study=study_of("act", "classes"), animals=3)
        run_inline(tmp_path, tmp_path / "run")
        run = Run(tmp_path / "run")
        assert (run.read_table("animal_scores")["value"] > 0.9).all()
        fold = run.fit_folder("linear", "test-m1_valid-m2", 0)
        assert Predictions.load(fold / "predictions.npz").classes == ("groom", "rest", "walk")
        assert "n_bouts_groom" in run.read_table("session_scores")

    def test_in_a_value(self, write_cohort, run_inline, tmp_path):
        write_cohort(tmp_path, study=study_of("speed", "value"), animals=3)
        run_inline(tmp_path, tmp_path / "run")
        run = Run(tmp_path / "run")
        animals = run.read_table("animal_scores")
        assert set(animals["metric"]) == {"r2"}
        assert (animals["value"] > 0.3).all()
        scores = run.read_table("scores")
        assert list(scores.columns)[-2:] == ["r2_session_mean", "look_ahead_s"]
        assert "auc_session_mean" not in scores

    def test_within_animals_by_session(self, write_cohort, run_inline, tmp_path):
        write_cohort(tmp_path, study=study_of(folds='by = "session"'), animals=2)
        run_inline(tmp_path, tmp_path / "run")
        scores = Run(tmp_path / "run").read_table("scores")
        assert list(scores["fold"])[:2] == ["m1_test-s1_valid-s2", "m1_test-s2_valid-s3"]
        assert (scores["test_animal"] == scores["valid_animal"]).all()
        assert (scores["auc"] > 0.9).all()

    def test_by_session_an_animal_with_two_is_left_out(self, write_cohort, run_inline, tmp_path):
        write_cohort(tmp_path, study=study_of(folds='by = "session"'), animals=2)
        lines = (tmp_path / "sessions.csv").read_text("utf-8").splitlines()
        (tmp_path / "sessions.csv").write_text("\n".join(lines[:-1]), "utf-8")
        run_inline(tmp_path, tmp_path / "run")
        run = Run(tmp_path / "run")
        assert set(run.read_table("scores")["test_animal"]) == {"m1"}
        left_out = run.read_table("excluded").set_index("animal").loc["m2"]
        assert (left_out["what"], left_out["count"]) == ("session", 2)
        assert left_out["reason"] == "left out: 2 sessions; folds by session need 3 of an animal"

    def test_within_sessions_whose_regions_differ(self, write_cohort, run_inline, tmp_path):
        write_cohort(tmp_path, study=study_of(folds='by = "block"'), animals=2, sessions=1)
        traces = np.load(tmp_path / "m2_s1.npy")
        np.save(tmp_path / "m2_s1.npy", np.concatenate([traces, traces[:, 3:]], axis=1))
        run_inline(tmp_path, tmp_path / "run")
        run = Run(tmp_path / "run")
        assert (run.read_table("scores")["auc"] > 0.9).all()
        for animal, n_regions in (("m1", 6), ("m2", 9)):
            folder = run.fit_folder("linear", f"{animal}_s1_test-0_valid-1", 0)
            assert len(load_decoder(folder).recipe.regions) == n_regions
        excluded = run.read_table("excluded")
        # Scaling over the session is told of. Blocks are short; together they have bouts enough.
        assert set(excluded["what"]) == {"leak"}
        assert run.read_table("animal_scores")["value"].notna().all()


def test_studies_of_both_kinds_of_score(write_cohort, run_inline, tmp_path):
    more = '[[condition]]\nname="speed"\nlike="linear"\ntarget={ signal="speed", kind="value" }\n'
    write_cohort(tmp_path, study=study_of(more=more), animals=3)
    summary, _ = run_inline(tmp_path, tmp_path / "run")
    assert dict(summary.animal_scores.groupby("condition")["metric"].first()) == {
        "linear": "auc",
        "speed": "r2",
    }
    scores = Run(tmp_path / "run").read_table("scores")
    assert list(scores.columns)[-3:] == ["auc_session_mean", "r2_session_mean", "look_ahead_s"]


LEAK_STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2"]
[[condition]]
name = "gru"
preprocess = { detrend_frames = 50 }
window = { before = 2, after = 2 }
network = { kind = "gru", units = 4 }
training = { epochs = 3, batch_size = 64, learning_rate = 0.01 }
[[condition]]
name = "gru, training scale"
like = "gru"
preprocess = { scale = "z-score", scale_over = "training" }
[[condition]]
name = "gru, permuted"
like = "gru"
permute_labels = "sessions"
[[condition]]
name = "linear"
like = "gru"
network = { kind = "linear-window" }
[[condition]]
name = "linear, training scale"
like = "gru, training scale"
network = { kind = "linear-window" }
[[condition]]
name = "linear, permuted"
like = "linear"
permute_labels = "sessions"
"""
LEAK_CONDITIONS = (
    *("gru", "gru, training scale", "gru, permuted"),
    *("linear", "linear, training scale", "linear, permuted"),
)


def trained(folder, run_inline):
    """What was trained in each condition: weights, the epoch kept, and all losses."""
    run_inline(folder, folder / "run")
    found = {}
    for name in LEAK_CONDITIONS:
        fit = Run(folder / "run").fit_folder(name, "test-m1_valid-m2", 0)
        decoder = load_decoder(fit)
        weights = (fit / "decoder.safetensors").read_bytes()
        losses = [{k: v for k, v in row.items() if "_s" not in k} for row in decoder.history]
        found[name] = (weights, decoder.best_epoch, str(losses))
    return found


def replace_by_noise(folder, animal):
    """Every file of the animal becomes noise, of another length."""
    rng = np.random.default_rng(99)
    for k in range(1, 4):
        n_frames = 500 + 10 * k
        noise = rng.normal(5, 30, size=(n_frames, 6)).astype(np.float32)
        np.save(folder / f"{animal}_s{k}.npy", noise)
        behavior = {"run": rng.integers(0, 2, n_frames), "speed": rng.normal(size=n_frames)}
        pd.DataFrame(behavior).to_csv(folder / f"{animal}_s{k}.csv", index=False)


@pytest.fixture(scope="module")
def as_recorded(write_cohort, run_inline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("leak") / "cohort"
    write_cohort(folder, study=LEAK_STUDY, n_frames=200)
    return trained(folder, run_inline)


class TestLeaks:
    """What the test animal's files hold changes nothing that was trained."""

    def test_noise_in_the_test_animal_changes_no_byte(
        self, as_recorded, write_cohort, run_inline, tmp_path
    ):
        write_cohort(tmp_path, study=LEAK_STUDY, n_frames=200)
        replace_by_noise(tmp_path, "m1")
        assert trained(tmp_path, run_inline) == as_recorded
        # The test parts did change: their scores are those of noise.
        aucs = Run(tmp_path / "run").read_table("scores")["auc"]
        assert (np.abs(aucs - 0.5) < 0.12).all()

    @pytest.mark.parametrize("animal", ["m2", "m3"])
    def test_noise_in_another_animal_does(
        self, as_recorded, write_cohort, run_inline, tmp_path, animal
    ):
        write_cohort(tmp_path, study=LEAK_STUDY, n_frames=200)
        replace_by_noise(tmp_path, animal)
        changed = trained(tmp_path, run_inline)
        # m3 trains: weights differ; m2 validates: losses do, and with them what may be kept.
        part = 0 if animal == "m3" else 2
        for name in LEAK_CONDITIONS:
            assert changed[name][part] != as_recorded[name][part]


def test_scores_can_be_recomputed_from_predictions(finished_run):
    scores = finished_run.read_table("scores")
    sessions = finished_run.read_table("session_scores")
    for row in scores.itertuples():
        folder = finished_run.fit_folder(row.condition, row.fold, row.seed)
        said = Predictions.load(folder / "predictions.npz")
        test = said.of_part("test").to_frame()
        assert set(test["animal"]) == {row.test_animal}
        assert set(said.of_part("valid").to_frame()["animal"]) == {row.valid_animal}
        again = binary_scores(test["target"].to_numpy(), test["score"].to_numpy())
        for name, value in again.items():
            assert value == getattr(row, name)
        assert row.n_windows == len(test)
        assert row.base_rate == test["target"].mean()
        own = sessions.query("condition == @row.condition and fold == @row.fold")
        for one in own.itertuples():
            part = test[test["session"] == one.session]
            assert one.auc == binary_scores(part["target"], part["score"])["auc"]
            assert one.n_windows == len(part)
        assert row.auc_session_mean == pytest.approx(own["auc"].mean(), abs=1e-15)


def test_probabilities_are_those_of_the_weights(finished_run, cohort):
    """The linear decoder's scores, from its file and the recordings by plain arithmetic."""
    folder = finished_run.fit_folder("linear", "test-m1_valid-m2", 0)
    decoder = load_decoder(folder)
    weight = decoder.network.inner.weight.detach().numpy()[0]
    bias = float(decoder.network.inner.bias.detach())
    traces = np.load(cohort / "m1_s1.npy").astype(np.float64)
    scaled = (traces - traces.min(axis=0)) / np.ptp(traces, axis=0)
    windows = np.stack([scaled[t - 5 : t + 6] for t in range(5, 395)])
    expected = (windows * weight.reshape(11, 6)).sum(axis=(1, 2)) + bias
    said = Predictions.load(folder / "predictions.npz").of_part("test").to_frame()
    said = said[said["session"] == "s1"]
    assert list(said["frame"]) == list(range(5, 395))
    np.testing.assert_allclose(said["score"], expit(expected), atol=1e-6)
