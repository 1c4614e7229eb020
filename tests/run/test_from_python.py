"""A study from Python: one call, in the process itself."""

import subprocess
import sys

import pytest

import corticode as cc
from corticode.errors import StudyError

STUDY = {
    "preset": "code",
    "data": {"catalogue": "sessions.csv"},
    "target": {"signal": "run"},
    "folds": {"only": ["test-m1_valid-m2"]},
    "condition": [
        {
            "name": "linear",
            "preprocess": {"detrend_frames": 0},
            "window": {"before": 2, "after": 2},
            "network": {"kind": "linear-window"},
        }
    ],
}
# As a notebook's cell: no file, no guard. Semaphores cannot be had, as without /dev/shm.
CELL = f"""
import multiprocessing.synchronize, random

def refuse(*_, **__):
    raise OSError("no semaphores here")

multiprocessing.synchronize.SemLock.__init__ = refuse
import numpy, torch
import corticode as cc
torch.set_num_threads(2)
before = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
run = cc.run_study({STUDY!r}, "run")
after = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
score = run.read_table("animal_scores")["value"].min()
print(score > 0.8, torch.get_num_threads(), after == before)
"""


@pytest.fixture
def cohort_here(write_cohort, tmp_path, monkeypatch):
    """The working folder holds a catalogue of three animals."""
    write_cohort(tmp_path, animals=3, study="")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_in_the_process_itself_without_a_guard(cohort_here):
    done = subprocess.run([sys.executable, "-c", CELL], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "2", "True"]


def test_a_path_and_a_dict_are_one_study(cohort_here):
    import tomli_w

    (cohort_here / "study.toml").write_text(tomli_w.dumps(STUDY), "utf-8")
    by_path = cc.run_study("study.toml", "by-path")
    by_dict = cc.run_study(STUDY, cohort_here / "by-dict")
    for name in ("scores", "session_scores", "animal_scores"):
        assert by_path.table_path(name).read_bytes() == by_dict.table_path(name).read_bytes()
    assert "m1" in cc.write_report("by-dict").read_text("utf-8")


def test_what_is_wrong_is_said_before(cohort_here):
    report = cc.check_study(STUDY)
    assert report.faults == []
    assert report.facts == ["9 sessions of 3 animals, 3,600 frames at 10 Hz", "linear: 1 fold"]
    wrong = cc.check_study(STUDY | {"target": {"signal": "runs"}})
    assert "'runs'" in wrong.faults[0]
    with pytest.raises(StudyError, match="did you mean 'target'"):
        cc.check_study(STUDY | {"targets": {}})
