"""Questions whose answer was planted in simulated mice, from files to scores.

One small cohort a question and linear decoders of short windows, so margins are wide; the same
questions with longer recordings, and bars, are in benchmarks/known_answers.py.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat, savemat
from scipy.stats import t

from corticode.data.layouts.study2024 import import_study2024
from corticode.run.folder import Run
from corticode.simulate.cohort import simulate_cohort
from corticode.simulate.dials import BEHAVIOR_DRIVEN

ACROSS = """only = ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m4", "test-m4_valid-m5",
    "test-m5_valid-m1"]"""
WITHIN = 'by = "session"'
ONE_FOLD = 'only = ["test-m1_valid-m2"]'
HEAD = """
preset = "code"
[data]
catalogue = "sessions.csv"
regions = "regions.csv"
[folds]
{folds}
"""
CONDITION = """
[[condition]]
name = "{name}"
window = {{ before = 2, after = 2 }}
{keys}
"""
LINEAR = 'network = { kind = "linear-window" }\ntraining = { penalty = [0.01] }\n'
GRU = """network = { kind = "gru", units = 16 }
training = { epochs = 4, batch_size = 64, learning_rate = 0.01 }
"""


@pytest.fixture
def imported(tmp_path):
    """A maker of a simulated cohort, imported; gives the study's folder."""

    def make(dials, size="tiny", **more):
        simulate_cohort(tmp_path / "cohort", size=size, dials=dials, **more)
        import_study2024(tmp_path / "cohort", tmp_path / "study")
        return tmp_path / "study"

    return make


@pytest.fixture
def decode(run_inline, tmp_path):
    """Runs a study's conditions; gives the value of each animal, and pooled AUC by condition."""

    def run(folder, conditions, folds=ACROSS):
        parts = [CONDITION.format(name=name, keys=keys) for name, keys in conditions.items()]
        (folder / "study.toml").write_text(HEAD.format(folds=folds) + "".join(parts), "utf-8")
        out = tmp_path / f"run-{len(list(tmp_path.glob('run-*')))}"
        run_inline(folder, out)
        values = Run(out).read_table("animal_scores")
        pooled = Run(out).read_table("scores").groupby("condition")["auc"].mean()
        return values.pivot(index="condition", columns="animal", values="value"), pooled

    return run


def t_interval(values):
    """Student's 99 % interval of the mean over animals, whose decoders share training sessions."""
    half = t.ppf(0.995, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return np.mean(values) - half, np.mean(values) + half


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(LINEAR, id="linear"),
        pytest.param(
            GRU.replace("epochs = 4, batch_size = 64", "epochs = 1, batch_size = 256"),
            id="gru",
            marks=pytest.mark.study,
        ),
    ],
)
def test_without_a_signal_the_whole_pipeline_is_at_chance(imported, decode, keys):
    values, _ = decode(imported({"signal": 0}), {"decoder": keys})
    low, high = t_interval(values.loc["decoder"])
    assert low < 0.5 < high
    assert values.loc["decoder"].mean() == pytest.approx(0.5, abs=0.1)


class TestArtefactsOnly:
    @pytest.mark.study
    def test_motion_fools_a_decoder_of_traces_and_is_named(self, imported, decode):
        # Running shifts each brain its own way, so that only the mouse's own decoder reads it.
        folder = imported({"signal": 0, "motion": 3}, "grid", traces_only=False)
        inputs = ("traces", "brain-motion", "global-mean")
        values, _ = decode(folder, {i: f'{LINEAR}input = "{i}"' for i in inputs}, WITHIN)
        auc = values.mean(axis=1)
        assert auc["traces"] > 0.8
        assert auc.drop("traces").idxmax() == "brain-motion"
        assert auc["brain-motion"] > 0.8
        assert auc["global-mean"] < 0.65

    def test_blood_fools_a_decoder_of_traces_and_is_named(self, imported, decode):
        folder = imported({"signal": 0, "haemodynamics": 6})
        inputs = ("traces", "global-mean", "frame-number")
        values, _ = decode(folder, {i: f'{LINEAR}input = "{i}"' for i in inputs})
        assert t_interval(values.loc["traces"])[0] > 0.5
        cues = values.mean(axis=1).drop("traces")
        assert cues.idxmax() == "global-mean"
        assert t_interval(values.loc["global-mean"])[0] > 0.5


def test_a_signal_in_one_mouse_is_no_finding_of_the_cohort(imported, decode):
    folder = imported({"only_mouse": 2})
    across, _ = decode(folder, {"linear": LINEAR})
    low, high = t_interval(across.loc["linear"])
    assert low < 0.5 < high
    # The decoder of mice without a signal does not read the one that has it.
    assert across.loc["linear", "m2"] == pytest.approx(0.5, abs=0.15)
    within, _ = decode(folder, {"linear": LINEAR}, WITHIN)
    own = within.loc["linear"]
    assert own["m2"] > 0.7
    # Three sessions with a few bouts each: chance alone reaches 0.6.
    assert own.drop("m2").max() < 0.65


def test_a_one_sided_mouse_is_read_from_the_left_alone(imported, decode):
    folder = imported({"one_sided": 3, **dict.fromkeys(BEHAVIOR_DRIVEN, 0)})
    sides = {side: f'{LINEAR}regions = ["{side}"]' for side in ("left", "right")}
    values, _ = decode(folder, sides)
    others = values.drop(columns="m3")
    assert (others.mean(axis=1) > 0.7).all()
    assert (others > 0.6).all(axis=None)
    assert values.loc["left", "m3"] > others.loc["left"].min() - 0.05
    assert values.loc["right", "m3"] == pytest.approx(0.5, abs=0.12)


@pytest.mark.study
def test_a_gru_reads_a_product_of_regions_and_no_more_than_a_line_where_there_is_none(
    imported, decode
):
    folder = imported({"nonlinear": 1, "redundant": 1})
    planted = {"product": "[8, 33]", "alike": "[6, 31]"}
    conditions = {
        f"{kind}, {where}": f"{keys}regions = {regions}"
        for kind, keys in (("gru", GRU), ("linear", LINEAR))
        for where, regions in planted.items()
    }
    auc = decode(folder, conditions, ONE_FOLD)[0]["m1"]
    assert auc["gru, product"] > 0.75
    assert auc["linear, product"] == pytest.approx(0.5, abs=0.1)
    assert auc["linear, alike"] > 0.75
    assert auc["gru, alike"] - auc["linear, alike"] < 0.05


def raise_levels(cohort, percent):
    """Add to the first mouse's traces more and more from session to session."""
    table = pd.read_csv(next(cohort.glob("data_*.csv")))
    for k, name in enumerate(table.loc[table["Mouse_#"] == 1, "Data_ID"]):
        path = next(cohort.glob(f"data_of_traces_*/{name}.mat"))
        savemat(path, {"dat_roi": loadmat(path)["dat_roi"] + np.float32(percent * k)})


def test_a_level_that_drifts_over_days_lowers_the_pooled_auc_alone(imported, decode, tmp_path):
    """And it does so only where sessions are neither detrended nor scaled by themselves."""
    conditions = {
        "as measured": LINEAR + 'preprocess = { detrend_frames = 0, scale = "none" }',
        "detrended": LINEAR,
    }
    folder = imported({}, "grid")
    values, pooled = decode(folder, conditions, ONE_FOLD)
    raise_levels(tmp_path / "cohort", 6.0)
    drifted_values, drifted_pooled = decode(folder, conditions, ONE_FOLD)
    # The test animal alone has changed, hence no decoder; a level moves a session's scores alike.
    # (Were it higher by far, probabilities would round to 1 and within-session AUC fall as well.)
    np.testing.assert_allclose(drifted_values, values, atol=1e-3)
    assert drifted_pooled["as measured"] < pooled["as measured"] - 0.05
    assert drifted_pooled["detrended"] == pytest.approx(pooled["detrended"], abs=1e-3)
