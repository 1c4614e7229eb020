"""Decoders tested at other times than those they were trained for."""

import tomllib

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from tests.conftest import LINEAR_STUDY, MAP_FOLDS

from corticode.decode.predictions import Predictions
from corticode.errors import DataError, StudyError
from corticode.evaluate.references import score_across_lags
from corticode.report.write import write_report
from corticode.run.folder import Run
from corticode.run.transfer_tables import cross_temporal_table
from corticode.study.keys import CrossTemporalKeys
from corticode.study.study import read_study, study_of, write_resolved

LAGS = (0, 4, 8)
SWEEP = "".join(
    f'[[condition]]\nname = "later {k}"\nlike = "linear"\nwindow = {{ shift = {k} }}\n'
    for k in LAGS[1:]
)
CROSS = SWEEP + '[[cross_temporal]]\nname = "lags"\nconditions = ["linear", "later 4", "later 8"]\n'


def predictions(label, score, frame, **more):
    n = len(label)
    return Predictions(
        part=np.full(n, 2, np.int8),
        animal=np.zeros(n, np.int16),
        session=np.zeros(n, np.int16),
        frame=np.asarray(frame, np.int32),
        target=np.asarray(label, np.float32),
        score=np.asarray(score, np.float32),
        kind="binary",
        animal_names=("m1",),
        session_names=("a",),
        **more,
    )


class TestScoresAcrossLags:
    def test_each_cell_is_the_score_of_one_lag_on_the_label_of_the_other(self):
        rng = np.random.default_rng(0)
        label = rng.integers(0, 2, 300).astype(float)
        told = {}
        for shift in (-3, 2):
            # Windows around t = 5 ... 289 at most; one of the later decoder is missing.
            t = np.setdiff1d(np.arange(5, 290), [20] if shift == 2 else [])
            score = np.clip(0.5 * label[t + shift] + 0.5 * rng.random(t.size), 0, 1)
            order = rng.permutation(t.size)
            told[shift] = predictions(label[t + shift], score, t + shift).where(order)
        found = score_across_lags(told).set_index(["trained_frames", "tested_frames"])
        shared = np.setdiff1d(np.arange(5, 290), [20])
        for trained, of in told.items():
            by_window = pd.Series(of.score, index=of.frame - trained)[shared]
            for tested in told:
                row = found.loc[(trained, tested)]
                assert row["n_windows"] == shared.size
                assert row["auc"] == pytest.approx(roc_auc_score(label[shared + tested], by_window))

    def test_what_cannot_be(self):
        one = predictions([0, 1], [0, 1], [0, 1])
        with pytest.raises(DataError, match="1 lag is given"):
            score_across_lags({0: one})
        with pytest.raises(DataError, match="no window has its target at every lag"):
            score_across_lags({0: one, 5: one})
        trials = predictions([0, 1], [0, 1], [0, 1], of_trials=True)
        with pytest.raises(DataError, match="a trial has one label"):
            score_across_lags({0: trials, 1: trials})


def planted(folder, *, lag, n_frames=1500):
    """Sessions whose first region holds the label `lag` frames later (None: nothing does)."""
    for path in sorted(folder.glob("*.npy")):
        rng = np.random.default_rng(int(path.stem[1]) * 10 + int(path.stem[-1]))
        run = np.repeat(rng.integers(0, 2, n_frames // 2), 2)  # nothing lasts
        traces = rng.normal(size=(n_frames, 4))
        if lag is not None:
            traces[: n_frames - lag, 0] += 2 * run[lag:]
            traces[:, 1] += 2 * run
        np.save(path, traces.astype(np.float32))
        pd.DataFrame({"run": run}).to_csv(path.with_suffix(".csv"), index=False)


@pytest.mark.study
class TestCrossTemporal:
    @pytest.mark.parametrize("lag", [8, None])
    def test_a_signal_of_one_lag_is_found_there_alone(
        self, write_cohort, run_inline, tmp_path, lag
    ):
        study = LINEAR_STUDY.replace("before = 5, after = 5", "before = 0, after = 0")
        study = study.replace('by = "animal"', MAP_FOLDS) + CROSS
        folder = write_cohort(tmp_path / "cohort", study=study)
        planted(folder, lag=lag)
        _, fitted = run_inline(folder, tmp_path / "run")
        assert len(fitted) == 9  # the sweep's own
        run = Run(tmp_path / "run")
        table = run.read_table("cross_temporal")
        assert len(table) == 9 * 4
        means = table[table["animal"] == ""].set_index(["trained_frames", "tested_frames"])
        found = means["value"]
        assert (means["low"] <= found).all()
        assert (means["n_animals"] == 3).all()
        # A decoder that learnt nothing has weights of a random sign, which another lag may show.
        signal = [(0, 0), (8, 8), (4, 0), (4, 8)]
        others = [pair for pair in found.index if lag is None or pair not in signal]
        assert (found[others] - 0.5).abs().max() < 0.05
        if lag is not None:
            assert found[8, 8] > 0.8
            assert found[0, 0] > 0.8
        assert means.loc[(8, 0), "trained_s"].item() == pytest.approx(0.8)
        # The diagonal is what the sweep itself scores, but for windows that other lags lack.
        own = run.read_table("animal_scores").groupby("condition")["value"].mean()
        assert found[8, 8] == pytest.approx(own["later 8"], abs=0.01)
        write_report(run.folder)
        assert "Trained at one lag, tested at another" in (run.folder / "report.html").read_text()


def test_sweeps_that_cannot_be(linear_cohort):
    path = linear_cohort / "study.toml"
    for conditions, match in (
        ('["linear", "later"]', "names 'later', which is no condition; did you mean"),
        ('["linear", "linear"]', "names 'linear' more than once"),
        ('["linear"]', "names one condition; give two"),
        ('["linear", "wide"]', "'linear' and 'wide' differ in more than their shift"),
    ):
        wide = '[[condition]]\nname = "wide"\nlike = "linear"\nwindow = { before = 9 }\n'
        more = f'[[cross_temporal]]\nname = "lags"\nconditions = {conditions}\n'
        path.write_text(LINEAR_STUDY + SWEEP + wide + more, "utf-8")
        with pytest.raises(StudyError, match=match):
            read_study(path)
    trials = LINEAR_STUDY.replace("[target]", '[trials]\nevents = "run"\n[target]') + CROSS
    path.write_text(trials, "utf-8")
    with pytest.raises(StudyError, match="a trial has one label at every lag"):
        read_study(path)


def test_what_a_study_asks_of_conditions_is_kept_with_it(linear_cohort):
    """A run folder's own study asks what its study asked."""
    path = linear_cohort / "study.toml"
    further = '[[learning_curve]]\ncondition = "linear"\nanimals = [1]\n'
    further += '[[generalisation]]\ncondition = "linear"\n'
    path.write_text(LINEAR_STUDY + CROSS + further, "utf-8")
    study = read_study(path)
    again = study_of(tomllib.loads(write_resolved(study, linear_cohort)), path)
    for name in ("curves", "generalisation", "cross_temporal", "conditions"):
        assert getattr(again, name) == getattr(study, name)


def test_two_of_one_shift_are_named():
    class Task:
        def __init__(self, name):
            class Window:
                shift = 0

            class Condition:
                window = Window

            self.condition = Condition()
            self.condition.name = name

            class Fold:
                name = "f"

            self.fold, self.seed = Fold, 0

    with pytest.raises(DataError, match="'a' and 'b' both have a shift of 0 frames"):
        cross_temporal_table(
            CrossTemporalKeys(name="s", conditions=["a", "b"]), [Task("a"), Task("b")]
        )
