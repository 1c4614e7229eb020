"""Runs killed with kill -9 at moments drawn over their length, and what is left of them.

`corticode run` processes with two workers are killed: a worker, the parent alone, or all of them,
in turn, each at a moment drawn uniformly over the length of an undisturbed run that was measured
just before. Five seconds later no process of it may live. The same command is then given again,
but where only a worker was killed: there the run itself has to go on. What comes out has to be the
undisturbed run's to the bit, but for seconds spent; and no file more.
"""

import argparse
import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from results_file import write_result

from corticode.data.layouts.study2024 import import_study2024
from corticode.simulate.cohort import simulate_cohort

KINDS = ("a worker", "the parent alone", "all")
GRACE_S, SEED, N_KILLS = 5.0, 606, 20
STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m3"]
[[condition]]
name = "gru"
preprocess = { detrend_frames = 0 }
window = { before = 5, after = 5 }
network = { kind = "gru", units = 8 }
training = { epochs = 3, batch_size = 32, learning_rate = 0.01 }
[[condition]]
name = "linear"
like = "gru"
network = { kind = "linear-window" }
training = { penalty = [0.01] }
"""
# Seconds that were spent, which no run has in common with another.
SPENT = re.compile(rb'("(?:train_s|valid_s|seconds)": )[0-9.e+-]+')


def make_study(folder: Path) -> Path:
    """A small study of simulated mice."""
    simulate_cohort(folder / "cohort", size="grid", seed=SEED, traces_only=True)
    import_study2024(folder / "cohort", folder / "study")
    path = folder / "study" / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def start(study: Path, out: Path) -> subprocess.Popen[bytes]:
    """The command as a user gives it, in a process group of its own."""
    arguments = ["run", str(study), "--out", str(out), "--workers", "2", "--device", "cpu"]
    return subprocess.Popen(
        [sys.executable, "-m", "corticode", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )


def content(folder: Path) -> dict[str, str]:
    """A hash of every file of a run, seconds spent and the folder's own name left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(without_times(path, folder)).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def without_times(path: Path, folder: Path) -> bytes:
    """A file's bytes; of histories all columns but those of seconds."""
    if path.name == "history.csv":
        table = pd.read_csv(path, dtype=str)
        kept = [name for name in table if not name.endswith("_s")]
        return table[kept].to_csv().encode()
    found = path.read_bytes()
    if path.suffix in (".json", ".md", ".toml"):
        found = SPENT.sub(rb"\1", found.replace(folder.name.encode(), b"RUN"))
    return found


def workers_of(family: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those of a run's child processes that fit decoders."""
    found = []
    for process in family:
        try:
            if any("spawn_main" in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill(kind: str, parent: subprocess.Popen[bytes], family: Sequence[psutil.Process]) -> str:
    """Kill -9; returns what was killed."""
    if parent.poll() is not None:
        return "nothing, it had ended"
    if kind == "a worker":
        workers = workers_of(family)
        if not workers:
            return "nothing, no worker yet"
        workers[0].kill()
        return kind
    if kind == "the parent alone":
        parent.kill()
    else:
        os.killpg(parent.pid, signal.SIGKILL)
    parent.wait()
    return kind


def disturb(study: Path, out: Path, kind: str, moment_s: float) -> tuple[str, int]:
    """Start a run, kill at a moment, bring it to its end; what was killed, and its orphans."""
    run = start(study, out)
    time.sleep(moment_s)
    try:
        family = psutil.Process(run.pid).children(recursive=True)
    except psutil.Error:
        family = []
    killed = kill(kind, run, family)
    n_orphans = 0
    if killed in KINDS[1:]:
        time.sleep(GRACE_S)
        n_orphans = sum(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family)
        run = start(study, out)
    if run.wait() != 0:
        raise SystemExit(f"the run killed at {moment_s:.1f} s ({kind}) did not come to its end")
    return killed, n_orphans


def main() -> None:
    """Measure a run, then kill others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=N_KILLS)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = make_study(folder)
        began = time.monotonic()
        if start(study, folder / "undisturbed").wait() != 0:
            raise SystemExit("the undisturbed run did not come to its end")
        length_s = time.monotonic() - began
        print(f"seed {options.seed}; an undisturbed run takes {length_s:.1f} s", flush=True)
        expected = content(folder / "undisturbed")
        rows: list[tuple[object, ...]] = []
        for k, moment_s in enumerate(
            np.random.default_rng(options.seed).uniform(0, length_s, options.kills)
        ):
            out = folder / f"run-{k}"
            killed, n_orphans = disturb(study, out, KINDS[k % len(KINDS)], moment_s)
            found = content(out)
            differ = [path for path in expected if found.get(path) != expected[path]]
            n_more = len(set(found) - set(expected))
            rows.append(
                (k + 1, f"{moment_s:.1f}", killed, n_orphans, n_more, len(differ), len(expected))
            )
            print(*rows[-1], *differ[:3], *sorted(set(found) - set(expected))[:3], flush=True)
            heads = (
                f"kill of {options.kills} (seed {options.seed})",
                f"at, s of {length_s:.1f}",
                "killed with kill -9",
                f"processes alive {GRACE_S:.0f} s later",
                "files more than undisturbed",
                "files that differ or lack",
                "files compared",
            )
            # Anew after each: what was found stays, should this itself be stopped.
            write_result("kill_runs", heads, rows)


if __name__ == "__main__":
    main()
