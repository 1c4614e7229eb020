"""The same results before and after a change that is meant to change none: two versions compared.

``python benchmarks/golden_run.py BEFORE [AFTER]`` runs a study of traces with its maps and
controls, and a small study of movies, with the source of two commits (AFTER left out: this work
tree), on one simulated cohort, and compares every file of both run folders: tables, predictions,
decoders and maps byte for byte, JSON and training histories but for their seconds and the fields
named by ``--ignore``. Nothing of a run is kept in the repository, as bytes differ between
processors.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from results_file import write_result

ROOT = Path(__file__).parent.parent
# What tells of the run itself: versions, commit, times.
OF_THE_RUN = ("provenance.json",)
SECONDS = ("seconds", "train_s", "valid_s")
WORKERS = ("--workers", "2", "--device", "cpu")

TRACES = """
preset = "code"
[data]
catalogue = "sessions.csv"
regions = "regions.csv"
[folds]
by = "animal"
only = ["test-m1_valid-m2", "test-m2_valid-m1", "test-m3_valid-m4", "test-m4_valid-m3"]
[[condition]]
name = "linear"
network = { kind = "linear-window" }
[[condition]]
name = "linear, permuted"
like = "linear"
permute_labels = "sessions"
[[condition]]
name = "linear, later"
like = "linear"
window = { shift = 10 }
[[condition]]
name = "gru"
network = { kind = "gru", units = 8 }
training = { epochs = 1, batch_size = 256 }
folds = ["test-m1_valid-m2", "test-m2_valid-m1"]
[[condition]]
name = "gru, its four"
like = "gru"
regions = { top = 4, from = "gru", by = "deep-shap" }
[[map]]
condition = "linear"
kind = "occlusion"
masks = "regions"
[[map]]
condition = "linear"
kind = "integrated-gradients"
n_windows = 20
[[map]]
condition = "gru"
kind = "deep-shap"
n_windows = 20
n_orders = 2
n_random = 2
[[region_set]]
name = "limbs"
condition = "linear"
regions = [6, 8, 31, 33]
n_sets = 5
[[artefacts]]
condition = "linear"
[[comparison]]
name = "decoders"
conditions = ["linear", "linear, permuted"]
"""
MOVIES = """
preset = "recommended"
[data]
catalogue = "sessions.csv"
[target]
signal = "runrest"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m1"]
[[condition]]
name = "grid"
input = "movie"
preprocess = { correction = "none" }
network = { kind = "cnn-gru", backbone = "grid", units = 8 }
window = { before = 3, after = 3 }
training = { epochs = 1, share = 0.1 }
[[condition]]
name = "cnn"
input = "movie"
preprocess = { correction = "none" }
network = { kind = "cnn", weights = "none" }
training = { epochs = 1, share = 0.01, validations = 1 }
folds = ["test-m1_valid-m2"]
[[map]]
condition = "grid"
kind = "occlusion"
every_n_frames = 50
n_orders = 1
"""


def main() -> None:
    """Run both, compare, keep the table; exit code 1 where something differs."""
    arguments = _arguments()
    ignored = (*SECONDS, *arguments.ignore)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        before = _source_of(arguments.before, place / "source-before")
        after = _source_of(arguments.after, place / "source-after")
        for source, cohort in ((before, "cohort"), (after, "again")):
            _corticode(source, place, "simulate", place / cohort, "--size", "grid", "--movies")
        rows.append(_compared("simulated cohort", place / "cohort", place / "again", ignored))
        for study, text in (("traces", TRACES), ("movies", MOVIES)):
            path = place / study / "study.toml"
            _corticode(before, place, "import", "study2024", place / "cohort", path.parent)
            path.write_text(text, "utf-8")
            for source, version in ((before, "before"), (after, "after")):
                _corticode(source, place, "run", path, "--out", place / version / study, *WORKERS)
            folders = [place / version / study for version in ("before", "after")]
            rows.append(_compared(f"study of {study}", *folders, ignored))
    write_result("golden_run", ["what", "files compared", "files that differ"], rows)
    sys.exit(any(row[2] != "0" for row in rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("before", help="a commit")
    parser.add_argument("after", nargs="?", help="another; left out: this work tree")
    parser.add_argument(
        "--ignore", nargs="*", default=[], help="fields of done.json that a change adds or renames"
    )
    return parser.parse_args()


def _source_of(revision: str | None, folder: Path) -> Path:
    if revision is None:
        return ROOT / "src"
    command = ["git", "archive", revision, "src"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder / "src"


def _corticode(source: Path, place: Path, *arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "corticode", *map(str, arguments)],
        cwd=place,
        env=os.environ
        | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"corticode {arguments[0]} of {source} failed:\n{done.stderr}")


def _compared(what: str, before: Path, after: Path, ignored: tuple[str, ...]) -> list[str]:
    """A row of the table: how many files there are, and how many (and which) are not the same."""
    names = {
        path.relative_to(folder).as_posix()
        for folder in (before, after)
        for path in folder.rglob("*")
        if path.is_file() and path.name not in OF_THE_RUN and path.suffix not in (".lock", ".mat")
    }
    found = [name for name in sorted(names) if not _is_same(before / name, after / name, ignored)]
    return [what, str(len(names)), ": ".join([str(len(found)), *filter(None, [", ".join(found)])])]


def _is_same(one: Path, other: Path, ignored: tuple[str, ...]) -> bool:
    if not (one.is_file() and other.is_file()):
        return False
    if one.suffix == ".json":
        contents = [_without(json.loads(path.read_text("utf-8")), ignored) for path in (one, other)]
    elif one.name == "history.csv":
        contents = [
            pd.read_csv(path).drop(columns=[*SECONDS], errors="ignore").to_csv()
            for path in (one, other)
        ]
    elif one.suffix == ".md":
        # A methods text names the commit that it was made with.
        contents = [re.sub(r"\b[0-9a-f]{7,40}\b", "", path.read_text()) for path in (one, other)]
    else:
        contents = [path.read_bytes() for path in (one, other)]
    return contents[0] == contents[1]


def _without(content: Any, ignored: tuple[str, ...]) -> Any:
    if isinstance(content, dict):
        return {k: _without(value, ignored) for k, value in content.items() if k not in ignored}
    return [_without(one, ignored) for one in content] if isinstance(content, list) else content


if __name__ == "__main__":
    main()
