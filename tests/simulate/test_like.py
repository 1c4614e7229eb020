import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.catalogue import read_catalogue
from corticode.data.session import Session, read_session
from corticode.errors import DataError, StudyError
from corticode.simulate.like import adapt_study, simulate_like, simulate_noise_traces


def session_of(name="a", n_frames=600, *, gap=False, traces=True):
    running = np.repeat([0.0, 1.0, np.nan], n_frames // 3)
    signals = np.outer(np.nan_to_num(running), [1.0, 2.0, 3.0])
    return Session(
        "m,1",
        name,
        signals if traces else None,
        ("M1", "V1", "A1") if traces else (),
        {"run": running, "act": np.repeat(["rest", "walk", "groom"], n_frames // 3)},
        (np.arange(n_frames) >= n_frames // 2).astype(np.int32) * gap,
        25.0,
    )


def test_everything_but_the_traces_is_the_user_s(tmp_path):
    given_sessions = [session_of(), session_of("b", 900, gap=True)]
    path = simulate_like(given_sessions, tmp_path / "like")
    found = [read_session(recording) for recording in read_catalogue(path)]
    for mine, theirs in zip(given_sessions, found, strict=True):
        assert (theirs.animal, theirs.session) == (mine.animal, mine.session)
        assert (theirs.regions, theirs.frame_rate_hz) == (mine.regions, 25)
        np.testing.assert_array_equal(theirs.behavior["run"], mine.behavior["run"])
        np.testing.assert_array_equal(theirs.behavior["act"], mine.behavior["act"])
        np.testing.assert_array_equal(theirs.segment, mine.segment)
        assert theirs.traces.shape == mine.traces.shape
    assert not np.allclose(found[0].traces[:600], found[1].traces[:600])
    again = simulate_like(given_sessions, tmp_path / "again")
    other = simulate_like(given_sessions, tmp_path / "other", seed=1)
    same, new = (read_session(read_catalogue(p)[0]).traces for p in (again, other))
    np.testing.assert_array_equal(same, found[0].traces)
    assert not np.array_equal(new, same)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_traces_are_slow_and_shared_and_of_the_scale_of_cortex(seed):
    traces = simulate_noise_traces(np.random.default_rng(seed), 6000, 20, 30.0)
    assert traces.dtype == np.float32
    centred = traces - traces.mean(axis=0)
    following = (centred[1:] * centred[:-1]).mean(axis=0) / centred.var(axis=0)
    assert np.median(following) > 0.5
    assert 0.5 < np.median(traces.std(axis=0)) < 5
    between = np.corrcoef(traces.T)[np.triu_indices(20, 1)]
    assert np.median(between) > 0.2


def test_running_cannot_be_told_from_them():
    label = np.repeat(np.arange(60) % 2, 100)
    r = [
        np.corrcoef(simulate_noise_traces(np.random.default_rng(k), 6000, 5, 30.0)[:, 0], label)
        for k in range(30)
    ]
    assert abs(np.mean([table[0, 1] for table in r])) < 0.05


def test_a_study_file_is_pointed_to_the_new_catalogue():
    study = {"preset": "code", "data": {"catalogue": "x.csv", "regions": "r.csv", "resample_hz": 9}}
    assert adapt_study(study) == {"preset": "code", "data": {"catalogue": "sessions.csv"}}
    assert adapt_study(study, "regions.csv")["data"]["regions"] == "regions.csv"
    assert study["data"]["catalogue"] == "x.csv"


def test_what_cannot_be_done_is_refused(tmp_path):
    with pytest.raises(StudyError, match="seed is -1"):
        simulate_like([session_of()], tmp_path / "a", seed=-1)
    with pytest.raises(DataError, match="no sessions to simulate the like of"):
        simulate_like([], tmp_path / "a")
    with pytest.raises(DataError, match="m,1/a has no region traces"):
        simulate_like([session_of(traces=False)], tmp_path / "a")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="is not an empty folder"):
        simulate_like([session_of()], tmp_path)


STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
regions = "areas.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m4", "test-m4_valid-m1"]
[[condition]]
name = "linear"
regions = ["front"]
preprocess = { detrend_frames = 0 }
window = { before = 5, after = 5 }
network = { kind = "linear-window" }
"""


class TestCommandLine:
    def test_a_study_of_its_own_is_written_that_runs_at_chance(
        self, own_cohort, command_line, tmp_path
    ):
        table = "name,group\n" + "".join(f"area {k},front\n" for k in range(6))
        (own_cohort / "areas.csv").write_text(table, "utf-8")
        (own_cohort / "study.toml").write_text(STUDY, "utf-8")
        like = tmp_path / "like"
        code, out, err = command_line("simulate", like, "--like", own_cohort / "study.toml")
        assert (code, err) == (0, "")
        assert "must find chance" in out
        assert sorted(path.name for path in like.iterdir()) == [
            *(
                "areas.csv",
                "behavior",
                "regions",
                "sessions.csv",
                "study.toml",
                "traces",
                "truth.json",
            )
        ]
        code, _, err = command_line("run", like / "study.toml", "--out", tmp_path / "run")
        assert code == 0, err
        scores = pd.read_csv(tmp_path / "run" / "scores.csv")
        assert scores["auc"].mean() == pytest.approx(0.5, abs=0.1)

    def test_what_the_study_decides_cannot_be_given(self, own_cohort, command_line, tmp_path):
        code, _, err = command_line(
            *("simulate", tmp_path / "a", "--like", own_cohort / "study.toml", "--size", "grid")
        )
        assert code == 2
        assert "--like takes everything but the seed from the study" in err

    def test_dials_reach_the_cohort(self, command_line, tmp_path):
        code, _, err = command_line(
            *("simulate", tmp_path / "a", "--size", "grid", "--dial", "lag_s=-0.3")
        )
        assert (code, err) == (0, "")
        assert '"lag_s": -0.3' in (tmp_path / "a" / "truth.json").read_text("utf-8")
