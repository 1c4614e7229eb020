import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from corticode.cli import main
from corticode.data.session import Session
from corticode.report.write import write_texts
from corticode.run.execute import execute_study
from corticode.run.folder import Run
from corticode.study.study import read_study


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tests share few cores with other work: more threads than one make them slower."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory) -> None:
    """What is learnt of the tests' files is not kept in the home folder of whoever runs them."""
    os.environ["CORTICODE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


def again(windows):
    """The same windows as those of other animals, so that they may validate what they train."""
    return replace(windows, animal_names=tuple(f"{name}, again" for name in windows.animal_names))


@pytest.fixture
def simulate():
    """A maker of sessions in which the first region follows the behaviour and others are noise."""

    def make(animal="m1", session="a", *, n_frames=300, n_regions=3, seed=0, noise=0.3):
        rng = np.random.default_rng([seed, *animal.encode(), *session.encode()])
        state = np.cumsum(rng.random(n_frames) < 0.08) % 3
        run = (state > 0).astype(np.float64)
        speed = np.convolve(rng.normal(size=n_frames + 9), np.ones(10) / 10, "valid") * 10 + 20
        traces = rng.normal(size=(n_frames, n_regions)) * noise
        traces[:, 0] += run
        traces[:, 1] += state == 1
        traces[:, 2] += (speed - 20) / 3
        act = np.array(["rest", "groom", "walk"])[state]
        return Session(
            animal,
            session,
            traces.astype(np.float32),
            tuple(str(k + 1) for k in range(n_regions)),
            {"run": run, "act": act, "speed": speed},
            np.zeros(n_frames, np.int32),
            30.0,
        )

    return make


STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m4", "test-m4_valid-m1"]
[[condition]]
name = "gru"
preprocess = { detrend_frames = 0 }
window = { before = 5, after = 5 }
network = { kind = "gru", units = 8 }
training = { epochs = 2, batch_size = 32, learning_rate = 0.01 }
[[condition]]
name = "linear"
like = "gru"
network = { kind = "linear-window" }
training = { penalty = [0.01] }
"""
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
window = { before = 5, after = 5 }
network = { kind = "linear-window" }
training = { penalty = [0.01] }
"""


MAP_FOLDS = 'only = ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m4"]'
MAP_STUDY = (
    LINEAR_STUDY.replace('by = "animal"', MAP_FOLDS)
    + """
[[condition]]
name = "linear, permuted"
like = "linear"
permute_labels = "sessions"
[[condition]]
name = "linear, top"
like = "linear"
regions = { top = 2, from = "linear", by = "deep-shap" }
[[condition]]
name = "linear, circular"
like = "linear"
regions = { top = 2, from = "linear", by = "deep-shap", on = "test" }
[[map]]
condition = "linear"
kind = "deep-shap"
background = 40
n_windows = 200
[[map]]
condition = "linear"
kind = "occlusion"
name = "covered"
fill = "zero"
[[map]]
condition = "linear, top"
kind = "deep-shap"
background = 40
n_windows = 200
[[map]]
condition = "linear"
kind = "deep-shap"
name = "too much"
background = 100000
n_random = 0
[[region_set]]
name = "planted"
condition = "linear"
regions = [1, 2]
[[region_set]]
name = "idle"
condition = "linear"
regions = [5, 6]
n_sets = 0
[[comparison]]
name = "controls"
conditions = ["linear", "linear, permuted"]
[[comparison]]
name = "controls"
conditions = ["linear: idle only", "linear", "linear: without idle"]
"""
)


def write_session(folder, name, *, rng, n_frames=400, n_regions=6):
    """Traces as NPY and behaviour as CSV; running, acts and speed each show in one region."""
    state = np.cumsum(rng.random(n_frames) < 0.08) % 3
    run = (state > 0).astype(int)
    speed = np.convolve(rng.normal(size=n_frames + 9), np.ones(10) / 10, "valid") * 10 + 20
    traces = rng.normal(size=(n_frames, n_regions)) * 0.4
    traces[:, 0] += run
    traces[:, 1] += state == 1
    traces[:, 2] += (speed - 20) / 3
    np.save(folder / f"{name}.npy", traces.astype(np.float32))
    act = np.array(["rest", "groom", "walk"])[state]
    table = pd.DataFrame({"run": run, "act": act, "speed": speed.round(3)})
    table["trial"] = np.arange(n_frames) // (n_frames // 4)
    table.to_csv(folder / f"{name}.csv", index=False)


@pytest.fixture(scope="session")
def write_cohort():
    """A writer of small cohorts of recordings, with their catalogue and a study file."""

    def write(folder, *, animals=4, sessions=3, study=STUDY, seed=0, rate=10, segment="", **more):
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for a in range(1, animals + 1):
            for s in range(1, sessions + 1):
                write_session(folder, f"m{a}_s{s}", rng=np.random.default_rng([seed, a, s]), **more)
                row = [f"m{a}", f"s{s}", f"m{a}_s{s}.npy", f"m{a}_s{s}.csv", rate, segment]
                rows.append(row)
        columns = ["animal", "session", "traces", "behavior", "frame_rate_hz", "segment"]
        pd.DataFrame(rows, columns=columns).to_csv(folder / "sessions.csv", index=False)
        (folder / "study.toml").write_text(study, "utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def cohort(write_cohort, tmp_path_factory):
    """Four animals with three sessions each; not to be changed."""
    return write_cohort(tmp_path_factory.mktemp("shared") / "cohort")


@pytest.fixture
def own_cohort(cohort, tmp_path):
    """A copy of the cohort that a test may change."""
    return Path(shutil.copytree(cohort, tmp_path / "cohort"))


@pytest.fixture
def linear_cohort(own_cohort):
    """A copy of the cohort with one linear condition, whose fits take next to no time."""
    (own_cohort / "study.toml").write_text(LINEAR_STUDY, "utf-8")
    return own_cohort


@pytest.fixture(scope="session")
def mapped(write_cohort, run_inline, tmp_path_factory):
    """A finished run with maps: its study's folder, the run, its summary, the tasks done."""
    folder = write_cohort(tmp_path_factory.mktemp("mapped") / "cohort", study=MAP_STUDY)
    summary, tasks = run_inline(folder, folder / "run")
    return folder, Run(folder / "run"), summary, tasks


class InlineExecutor(Executor):
    """Does each task when it is handed in; keeps what it was handed."""

    def __init__(self):
        self.tasks = []

    def submit(self, function, /, *arguments, **named):
        self.tasks.append(arguments[0])
        future = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:  # noqa: BLE001  as an executor does
            future.set_exception(error)
        return future


@pytest.fixture(scope="session")
def run_inline():
    """Runs a folder's study in this process; gives the summary and the tasks that were fitted."""

    def run(folder, out, **options):
        executor = InlineExecutor()
        study = read_study(folder / "study.toml")
        summary = execute_study(study, out, executor=executor, **options)
        write_texts(out)  # as the verb does
        return summary, executor.tasks

    return run


@pytest.fixture(scope="session")
def finished_run(cohort, run_inline, tmp_path_factory):
    """The run folder of the cohort's study; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    run_inline(cohort, out)
    return Run(out)


@pytest.fixture
def in_this_process(monkeypatch):
    """Fits are made in this process, not by workers."""
    monkeypatch.setattr(
        "corticode.run.worker.ProcessPoolExecutor", lambda *_, **__: InlineExecutor()
    )


@pytest.fixture
def command_line(in_this_process, monkeypatch, capsys):
    """Runs the command line in this process; gives exit code, standard output and error."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["corticode", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call
