"""Trials from files to tables and page: planted choices are found when they are there."""

import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import read_catalogue
from corticode.decode.predictions import Predictions
from corticode.errors import StudyError
from corticode.evaluate.nulls import COHORT
from corticode.report.read_run import read_run
from corticode.report.write import write_report
from corticode.run.check import check_study
from corticode.run.fits import predict_recordings
from corticode.run.folder import Run
from corticode.run.tasks import recording_key
from corticode.study.study import lags_of, read_study, study_of, write_resolved

STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
[trials]
events = "cue_on"
before = 0
after = 10
[target]
signal = "choice"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m1"]
[[condition]]
name = "linear"
preprocess = { detrend_frames = 0 }
network = { kind = "linear-window" }
training = { penalty = [0.1] }
"""
WHOLE = (
    STUDY
    + """
[[condition]]
name = "linear, permuted"
like = "linear"
permute_labels = "trials"
[[condition]]
name = "short"
like = "linear"
window = { before = 1, after = 1 }
[[trial_time]]
condition = "short"
first_s = -0.5
last_s = 0.5
step_s = 1.0
"""
)
N_TRIALS, PERIOD = 30, 30
BLOCKS = 'only = ["m1_s1_test-0_valid-1", "m1_s1_test-1_valid-2", "m1_s1_test-2_valid-0"]'


def write_trials(folder, *, table=False, animals=3, sessions=2, signal=1.5, n_trials=N_TRIALS):
    """Cues 3 s apart; for 1 s after, the first region tells the choice and the second the cue."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for a in range(1, animals + 1):
        for s in range(1, sessions + 1):
            rng = np.random.default_rng([a, s])
            n = n_trials * PERIOD + 20
            cue = 10 + PERIOD * np.arange(n_trials) + rng.integers(0, 5, n_trials)
            choice = rng.permutation(np.arange(n_trials) % 2)
            traces = rng.normal(size=(n, 4))
            signals = np.zeros((n, 2))
            for frame, chosen in zip(cue, choice, strict=True):
                traces[frame + 1 : frame + 11, :2] += signal * np.array([2 * chosen - 1, 1])
                signals[frame : frame + 3, 0] = 1
                signals[frame : frame + 24, 1] = chosen
            name = f"m{a}_s{s}"
            np.save(folder / f"{name}.npy", traces.astype(np.float32))
            columns = {"cue_on": signals[:, 0], "choice": signals[:, 1]}
            if table:
                columns = {"cue_on": (cue + 0.5) / 10, "choice": choice}
                columns["side"] = np.array(["left", "right"])[choice]
                columns["reaction_time_s"] = 0.3 + 0.2 * choice + 0.05 * rng.random(n_trials)
            pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)
            rows.append([f"m{a}", f"s{s}", f"{name}.npy", f"{name}.csv", 10])
    where = "trials" if table else "behavior"
    columns = ["animal", "session", "traces", where, "frame_rate_hz"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "sessions.csv", index=False)
    return folder


def with_study(folder, text):
    (folder / "study.toml").write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(run_inline, tmp_path_factory):
    folder = with_study(write_trials(tmp_path_factory.mktemp("trials") / "cohort"), WHOLE)
    run_inline(folder, folder / "run")
    return Run(folder / "run")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A cohort whose trials stand in tables."""
    return write_trials(tmp_path_factory.mktemp("tables") / "cohort", table=True)


class TestPlanted:
    def test_a_choice_is_found_and_not_once_labels_are_permuted(self, finished):
        by = finished.read_table("animal_scores").set_index("condition")
        assert (by.loc["linear", "value"] > 0.95).all()
        assert by.loc["linear, permuted", "value"].mean() == pytest.approx(0.5, abs=0.15)
        assert (by.loc["linear", "n_trials"] == 2 * N_TRIALS).all()
        sessions = finished.read_table("session_scores")
        assert (sessions[["n_trials_0", "n_trials_1"]] == N_TRIALS / 2).all(axis=None)

    def test_each_window_is_a_trial_known_by_its_event(self, finished):
        fold = finished.fit_folder("linear", "test-m1_valid-m2", 0)
        said = Predictions.load(fold / "predictions.npz")
        assert said.of_trials and said.of_part("test").n_windows == 2 * N_TRIALS
        cue = pd.read_csv(finished.folder.parent / "m1_s1.csv")["cue_on"].to_numpy()
        first = said.of_part("test").where(said.of_part("test").session == 0)
        assert first.frame.tolist() == np.flatnonzero(np.diff(cue, prepend=0) == 1).tolist()

    def test_a_time_course_rises_after_the_event_and_not_before(self, finished):
        table = finished.read_table("trial_time")
        together = table[table["animal"] == COHORT].set_index("lag_s")
        assert list(together.index) == [-0.5, 0.5]
        assert together.loc[-0.5, "low"] < 0.5 < together.loc[-0.5, "high"]
        assert together.loc[0.5, "value"] > 0.95
        assert (together["n_trials"] == 6 * N_TRIALS).all()
        row = table[(table["animal"] == "m2") & (table["lag_frames"] == 5)].iloc[0]
        assert (row["first_s"], row["last_s"]) == (0.4, 0.6)
        scores = finished.read_table("animal_scores").set_index(["condition", "animal"])
        assert row["value"] == scores.loc[("short at +0.5 s", "m2"), "value"]
        # The smallest p of two lags, times two.
        assert (row["p"], row["p_holm"]) == (0.001, 0.002)

    def test_p_is_by_permuting_trials_within_sessions(self, finished):
        nulls = finished.read_table("nulls")
        assert set(nulls["exchanged"]) == {"trials within sessions"}
        assert set(nulls["condition"]) == {"linear", "short"}
        own = nulls[nulls["condition"] == "linear"]
        assert list(own["animal"]) == ["m1", "m2", "m3", COHORT]
        assert (own["p"] == 0.001).all()
        assert "are taken as exchangeable" in own.iloc[3]["note"]
        assert not finished.table_path("region_correlations").exists()
        assert not finished.table_path("shift_references").exists()

    @pytest.mark.study
    def test_the_page_speaks_of_trials(self, finished):
        page = write_report(finished.folder).read_text("utf-8")
        assert "Sessions, labels, trials" in page and "labels of trials within each session" in page
        assert "When can trials be decoded? “short” around “cue_on”" in page
        assert "along the shift" not in page
        (trace, *_) = read_run(finished.folder).traces
        assert (trace.unit, trace.score.size) == ("trials", N_TRIALS)
        methods = (finished.folder / "methods.md").read_text("utf-8")
        assert "below 5 trials of either class" in methods
        assert "at the event “cue\\_on”" in methods

    def test_a_decoder_of_trials_predicts_others(self, finished):
        from corticode.decode.decoder import load_decoder

        decoder = load_decoder(finished.fit_folder("linear", "test-m1_valid-m2", 0))
        recordings = read_catalogue(finished.folder.parent / "sessions.csv")
        said = predict_recordings(decoder, [one for one in recordings if one.animal == "m1"])
        kept = Predictions.load(
            finished.fit_folder("linear", "test-m1_valid-m2", 0) / "predictions.npz"
        ).of_part("test")
        np.testing.assert_allclose(said.score, kept.score, atol=1e-6)
        assert said.of_trials


class TestKindsAndFolds:
    @pytest.mark.parametrize(
        ("target", "folds", "least", "n_trials"),
        [
            ('signal = "side"\nkind = "classes"', 'only = ["test-m1_valid-m2"]', 0.95, 60),
            ('signal = "reaction_time_s"\nkind = "value"', 'only = ["test-m1_valid-m2"]', 0.6, 60),
            ('signal = "choice"', f'by = "block"\nblocks = 3\n{BLOCKS}', 0.95, 30),
        ],
    )
    def test_of_a_table(self, tables, run_inline, tmp_path, target, folds, least, n_trials):
        text = STUDY.replace('signal = "choice"', target)
        text = text.replace(text[text.index("only =") : text.index("[[cond")], folds + "\n")
        with_study(tables, text)
        run_inline(tables, tmp_path / "run")
        run = Run(tmp_path / "run")
        assert (run.read_table("animal_scores")["value"] > least).all()
        tested = run.read_table("session_scores").groupby("animal")["n_windows"].sum()
        # Whole trials: those at the borders of blocks are left out, or none.
        assert tested.loc["m1"] == n_trials
        p = run.read_table("nulls").set_index("animal").loc["m1", "p"]
        assert p == 0.001

    @pytest.mark.study
    def test_by_session_and_through_a_gru(self, run_inline, tmp_path):
        folder = write_trials(tmp_path / "cohort", sessions=3, animals=2)
        more = (
            '[[condition]]\nname = "gru"\nlike = "linear"\nnetwork = { kind = "gru", units = 8 }\n'
        )
        more += "training = { epochs = 40, batch_size = 16, learning_rate = 0.01 }\n"
        text = STUDY.replace(
            STUDY[STUDY.index("only =") : STUDY.index("[[cond")], 'by = "session"\n'
        )
        run_inline(with_study(folder, text + more), tmp_path / "run")
        assert (Run(tmp_path / "run").read_table("animal_scores")["value"] > 0.9).all()

    def test_of_movies(self, tmp_path, run_inline):
        folder = write_trials(tmp_path / "cohort", sessions=1, signal=3)
        table = pd.read_csv(folder / "sessions.csv")
        for name in table["traces"]:
            traces = np.load(folder / name)
            movie = np.random.default_rng(0).normal(500, 5, (len(traces), 32, 32))
            movie[:, :16] += 10 * traces[:, :1, None]
            np.save(folder / f"movie_{name}", movie.astype(np.uint16))
        table.assign(movie="movie_" + table["traces"]).to_csv(folder / "sessions.csv", index=False)
        more = """
[[condition]]
name = "images"
input = "movie"
preprocess = { correction = "none" }
window = { before = 0, after = 0, shift = -5 }
network = { kind = "cnn", backbone = "grid" }
training = { epochs = 6, batch_size = 10, learning_rate = 0.02, windows = "independent" }
"""
        text = STUDY.replace(', "test-m2_valid-m3", "test-m3_valid-m1"', "")
        run_inline(with_study(folder, text + more), tmp_path / "run")
        run = Run(tmp_path / "run")
        scores = run.read_table("animal_scores").set_index("condition")
        assert scores.loc["images", "n_trials"] == N_TRIALS
        assert scores.loc["images", "value"] > 0.9
        frames = [
            Predictions.load(run.fit_folder(name, "test-m1_valid-m2", 0) / "predictions.npz").frame
            for name in ("linear", "images")
        ]
        # The same trials, by the same events.
        assert np.array_equal(*frames)


class TestLeaks:
    def test_trials_of_the_test_animal_change_no_byte_of_training(self, run_inline, tmp_path):
        weights = []
        for k in range(2):
            folder = write_trials(tmp_path / f"{k}", table=True, sessions=1)
            if k:
                rng = np.random.default_rng(9)
                path = folder / "m1_s1.csv"
                table = pd.read_csv(path)
                table["choice"] = rng.integers(0, 2, len(table))
                table["cue_on"] += rng.random(len(table))
                table.iloc[3:].to_csv(path, index=False)
                np.save(folder / "m1_s1.npy", rng.normal(size=(900, 4)).astype(np.float32))
            text = STUDY.replace(', "test-m2_valid-m3", "test-m3_valid-m1"', "")
            run_inline(with_study(folder, text), folder / "run")
            fit = Run(folder / "run").fit_folder("linear", "test-m1_valid-m2", 0)
            weights.append((fit / "decoder.safetensors").read_bytes())
        assert weights[0] == weights[1]

    def test_only_trials_that_are_decoded_enter_a_key(self, tables, run_inline, tmp_path):
        (recording, *_) = read_catalogue(tables / "sessions.csv")
        assert "trials" not in recording_key(recording)
        text = STUDY.replace(', "test-m2_valid-m3", "test-m3_valid-m1"', "")
        run_inline(with_study(tables, text), tmp_path / "run")
        path = tables / "m3_s1.csv"
        before = path.read_bytes()
        path.write_bytes(before.replace(b"left", b"Left", 1))
        try:
            summary, _ = run_inline(tables, tmp_path / "run")
        finally:
            path.write_bytes(before)
        assert summary.n_changed == 1


class TestStudies:
    def raw(self, **changes):
        condition = {"name": "linear", "network": {"kind": "linear-window"}}
        keys = {"data": {"catalogue": "sessions.csv"}, "target": {"signal": "choice"}}
        return keys | {"trials": {"events": "cue_on"}, "condition": [condition]} | changes

    def test_read_again_is_the_same(self, finished):
        study = read_study(finished.folder / "study.toml")
        assert study.trials.events == "cue_on"
        assert study.signals == ("choice", "cue_on")
        text = write_resolved(study, finished.folder)
        assert text == (finished.folder / "study.toml").read_text("utf-8")
        assert [c.name for c in study.conditions][3:] == list(
            lags_of(study.trial_times[0]).values()
        )

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"trials": None, "trial_time": [{"condition": "linear", "first_s": 0.0}]},
             "give [trials] events"),
            ({"trial_time": [{"condition": "linar", "first_s": 0.0}]}, "did you mean 'linear'?"),
            ({"trial_time": [{"condition": "linear", "first_s": 0.0, "last_s": 1.0}]},
             "needs first_s, last_s and step_s, or first_frames"),
            ({"trial_time": [{"condition": "linear", "first_frames": 9, "last_frames": 1,
                              "step_frames": 1}]}, "asks for 0 lags from 9 to 1 frames"),
            ({"confounds": [{"condition": "linear"}]}, "leave [trials] out"),
            ({"condition": [{"name": "a", "permute_labels": "sessions"}]},
             "has permute_labels = 'sessions'; labels of trials change places among the trials"),
            ({"trials": None, "condition": [{"name": "a", "permute_labels": "trials"}]},
             "permutes the labels of trials, and there are none"),
            ({"condition": [{"name": "a", "target": {"events": "lick"}}]},
             "has target events = 'lick', and [trials] has 'cue_on'"),
            ({"trials": None, "target": {"signal": "x", "events": "lick"}}, "[trials] events"),
            ({"target": {"signal": "x", "minimum_bout_frames": 3, "above": 1.0}},
             "minimum_bout_frames is set beside the trials of 'cue_on'"),
            ({"trials": {"before": 1, "before_s": 0.1}}, "before_s and before say the same thing"),
        ],
    )  # fmt: skip
    def test_errors(self, tmp_path, changes, told):
        raw = {k: v for k, v in self.raw(**changes).items() if v is not None}
        with pytest.raises(StudyError) as error:
            study_of(raw, tmp_path / "study.toml")
        assert told in str(error.value)

    def test_what_is_wrong_with_trials_is_found_before_training(self, tmp_path):
        folder = write_trials(tmp_path, n_trials=12)
        raw = self.raw(data={"catalogue": str(folder / "sessions.csv")})
        table = pd.read_csv(folder / "m1_s1.csv")
        table["cue_on"] = 0
        table.to_csv(folder / "m1_s1.csv", index=False)
        report = check_study(raw)
        words = [str(finding) for finding in report.findings]
        assert any("'cue_on' begins no trial in m1/s1" in one for one in words)
        for path in folder.glob("m*.csv"):
            pd.read_csv(path).assign(choice=np.nan).to_csv(path, index=False)
        report = check_study(raw)
        assert "none of 6 sessions has a trial with a label" in report.faults[0]
