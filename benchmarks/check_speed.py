"""What `check` costs on eight sessions of the study's size: reading them once, and what more.

`python benchmarks/check_speed.py FOLDER` writes 4.7 GB of movies there, unless they are there, and
results/check_speed.md. A movie is 18,000 frames of 128 x 128 pixels, two wavelengths in turn,
simulated (1,000 pairs, again and again). Before each first call the system forgets what it has
read (posix_fadvise), and the package what it has learnt. Processes are started anew, their imports
not counted. `--before COMMIT` compares the second call with an earlier version's.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import results_file

from corticode.simulate.dials import resolve_dials
from corticode.simulate.movie import bad_pixels, movie_blocks
from corticode.simulate.session import simulate_mouse, simulate_session, stream

N_SESSIONS, N_PAIRS, N_PIXELS, N_SIMULATED = 8, 9000, 128, 1000
BLOCK_BYTES = 2**20
STUDY = """
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[[condition]]
name = "cnn"
input = "movie"
preprocess = { correction = "reference-regression" }
network = { backbone = "grid" }
"""
CHECK = """
import sys, time
from pathlib import Path
try:
    from corticode.run.check import check_study
    from corticode.study.study import read_study
except ImportError:  # up to 60f4e28
    from corticode.config import read_study
    from corticode.tasks import check_study
began, worked = time.perf_counter(), time.process_time()
report = check_study(read_study(Path(sys.argv[1])))
print(time.perf_counter() - began, time.process_time() - worked)
assert not report.faults, report.faults
"""


def write_sessions(folder: Path) -> list[Path]:
    """Write the recordings and a study of them; the movies' paths."""
    paths, rows = [], []
    for k in range(N_SESSIONS):
        animal, session = f"m{k // 2 + 1}", f"s{k % 2 + 1}"
        path = folder / f"{animal}_{session}.npy"
        paths.append(path)
        rows.append([animal, session, path.name, "run.csv", 30, "calcium,reference"])
        if not path.exists():
            _write_movie(path, k)
    columns = ["animal", "session", "movie", "behavior", "frame_rate_hz", "channels"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "sessions.csv", index=False)
    run = np.arange(N_PAIRS) // 90 % 2
    pd.DataFrame({"run": run}).to_csv(folder / "run.csv", index=False)
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return paths


def _write_movie(path: Path, seed: int) -> None:
    dials = resolve_dials(None)
    mouse = simulate_mouse(1 + seed // 2, 3, seed, dials)
    session = simulate_session(mouse, 1 + seed % 2, N_SIMULATED, N_PIXELS, seed)
    blocks = movie_blocks(
        stream(seed, 1, 10, 1),
        session.physiology,
        session.scene,
        dials,
        bad=bad_pixels(stream(seed, 1, 11), N_PIXELS, 1.0),
        reference_channel=True,
    )
    once = np.concatenate(list(blocks))
    shape = (2 * N_PAIRS, N_PIXELS, N_PIXELS)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<u2", "fortran_order": False, "shape": shape}
        )
        for _ in range(shape[0] // len(once)):
            # What repeats after a thousand pairs is a little brighter or darker each time.
            once[:, 0, 0] += 1
            file.write(once.tobytes())


def forget(paths: Sequence[Path]) -> None:
    """Have the system read files from the disk again."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_all(paths: Sequence[Path]) -> float:
    """Seconds of one sequential read."""
    block = bytearray(BLOCK_BYTES)
    began = time.perf_counter()
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(block):
                pass
    return time.perf_counter() - began


def check(study: Path, cache: Path, source: Path | None = None) -> tuple[float, float]:
    """Seconds and CPU seconds of `check` in a process of its own, imports not counted."""
    environment = os.environ | {"CORTICODE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    if source is not None:
        environment["PYTHONPATH"] = str(source)
    command = [sys.executable, "-c", CHECK, str(study)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    took, worked = done.stdout.split()
    return float(took), float(worked)


def source_of(commit: str, folder: Path) -> Path:
    """The source tree of a commit, unpacked."""
    archive = folder / "source.tar"
    command = ["git", "archive", "--output", str(archive), commit, "src"]
    subprocess.run(command, cwd=results_file.REPOSITORY, check=True)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "src"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--before", default="60f4e28")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    paths = write_sessions(given.folder)
    study = given.folder / "study.toml"
    took: dict[str, list[float]] = {"read": [], "first": [], "second": [], "before": []}
    worked = []
    with tempfile.TemporaryDirectory() as scratch:
        old = source_of(given.before, Path(scratch))
        for k in range(given.times):
            cache = Path(scratch) / f"cache{k}"
            forget(paths)
            took["read"].append(read_all(paths))
            forget(paths)
            seconds, of_cpu = check(study, cache)
            took["first"].append(seconds)
            worked.append(of_cpu)
            took["second"].append(check(study, cache)[0])
            took["before"].append(check(study, cache, old)[0])
    best = {name: min(values) for name, values in took.items()}
    n_bytes = sum(path.stat().st_size for path in paths)
    rows = [
        ["GB of movies, files", f"{n_bytes / 1e9:.2f}, {len(paths)}", ""],
        ["s of one sequential read, not in memory before", _shown(took["read"]), ""],
        ["s of `check`, first call, not in memory before", _shown(took["first"]), ""],
        ["CPU s of it, on several cores", _shown(worked), ""],
        ["first call / sequential read", f"{best['first'] / best['read']:.2f}", "<= 1.3"],
        ["s of `check`, second call", _shown(took["second"]), ""],
        [f"s of `check` of {given.before}", _shown(took["before"]), ""],
        [
            f"second call / that of {given.before}",
            f"{best['second'] / best['before']:.2f}",
            "<= 1.5",
        ],
    ]
    results_file.write_result("check_speed", ["what", "measured", "bar"], rows)
    print(json.dumps(took))


def _shown(values: Sequence[float]) -> str:
    return f"{min(values):.2f} (least of {len(values)}; {max(values):.2f} at most)"


if __name__ == "__main__":
    main()
