"""What docs/catalogue.md and docs/run-folder.md tell is what is read and written."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import COLUMNS
from corticode.data.readers.arrays import SUFFIXES
from corticode.data.regions import read_regions
from corticode.decode.predictions import Predictions
from corticode.evaluate.confounds import analyse_confounds, confound_rows
from corticode.run.tables import TABLES

DOCS = Path(__file__).parent.parent / "docs"
STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2"]
[[condition]]
name = "linear"
preprocess = { detrend_frames = 0 }
window = { before = 5, after = 5 }
network = { kind = "linear-window" }
training = { penalty = [0.01] }
[[condition]]
name = "later"
like = "linear"
window = { shift = 5 }
[[condition]]
name = "speed"
like = "linear"
target = { signal = "speed", kind = "value" }
[[condition]]
name = "act"
like = "linear"
target = { signal = "act", kind = "classes" }
[[learning_curve]]
condition = "linear"
minutes = [0.5]
[[generalisation]]
condition = "linear"
across = ["sessions", "animals"]
[[cross_temporal]]
name = "lags"
conditions = ["linear", "later"]
"""


TRIALS = """
preset = "code"
[data]
catalogue = "sessions.csv"
[trials]
events = "run"
[target]
signal = "speed"
kind = "value"
[folds]
only = ["test-m1_valid-m2"]
[[condition]]
name = "linear"
preprocess = { detrend_frames = 0 }
window = { before = 1, after = 1 }
network = { kind = "linear-window" }
training = { penalty = [0.01] }
[[condition]]
name = "act"
like = "linear"
target = { signal = "act", kind = "classes", label_after_frames = 15 }
[[trial_time]]
condition = "act"
first_frames = 2
last_frames = 2
step_frames = 1
"""


def told(document, heading):
    """The names in the first column of the tables below a heading."""
    text = (DOCS / document).read_text("utf-8")
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    [found] = [part for part in section if part.startswith(heading + "\n")]
    cells = [line.split("|")[1] for line in found.splitlines() if line.startswith("| `")]
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert len(names) == len(set(names))
    return set(names)


def written(folders, name):
    """The columns that tables of a name have in several folders, classes by one name."""
    columns = {
        column
        for folder in folders
        for path in folder.rglob(f"{name}.csv")
        for column in pd.read_csv(path, nrows=0)
    }
    return {re.sub(r"^n_(bouts|trials)_.+", r"n_\1_<class>", column) for column in columns}


def keys_of(folders, name):
    """The keys that JSON files of a name have in several folders."""
    paths = [path for folder in folders for path in folder.glob(name)]
    return {key for path in paths for key in json.loads(path.read_text("utf-8"))}


@pytest.fixture(scope="module")
def runs(finished_run, mapped, write_cohort, run_inline, tmp_path_factory):
    """Folders of runs with each kind of target, a shift, trials, a network beside linear ones."""
    folder = tmp_path_factory.mktemp("documented") / "cohort"
    write_cohort(folder, animals=3, study=STUDY)
    catalogue = pd.read_csv(folder / "sessions.csv")
    catalogue["group"] = ["wt"] * 6 + ["ko"] * 3
    catalogue.to_csv(folder / "sessions.csv", index=False)
    run_inline(folder, folder / "run")
    (folder / "study.toml").write_text(TRIALS, "utf-8")
    run_inline(folder, folder / "trials")
    return [finished_run.folder, folder / "run", folder / "trials", mapped[1].folder]


def test_each_column_of_a_catalogue_is_told_and_no_other():
    assert told("catalogue.md", "Columns") == set(COLUMNS)


def test_each_suffix_that_is_read_is_told_and_no_other():
    assert told("catalogue.md", "File formats") == set(SUFFIXES)


def test_the_region_table_has_the_columns_told(tmp_path):
    path = tmp_path / "regions.csv"
    columns = told("catalogue.md", "The region table, `regions.csv`")
    example = {
        "name": "a",
        "side": "left",
        "mirror": "a",
        "group": "b",
        "row": 1,
        "column": 2,
        "pixels": 3,
    }
    assert columns == set(example)
    pd.DataFrame([example]).to_csv(path, index=False)
    assert read_regions(path).names == ("a",)


# These runs hold no movies, in which confounds could be measured.
WITHOUT_MOVIES = [table for table in TABLES if table != "confounds"]


def test_each_column_of_the_confound_table_is_told_and_no_other():
    scores = pd.DataFrame([["gru", "m1", "auc", 0.9]],
                          columns=["condition", "animal", "metric", "value"])  # fmt: skip
    row = {"animal": "m1", "fold": "f", "seed": 0, "confounds": 0.7, "cortex": 0.9, "stack": 0.9}
    described = [pd.DataFrame([row | {"strata": 0.6}])]
    rows = confound_rows(analyse_confounds(described, scores, "gru", 0.5), "gru")
    assert set(rows) == told("run-folder.md", "`confounds.csv`")


@pytest.mark.parametrize("table", [*WITHOUT_MOVIES, "history"])
def test_each_column_of_a_table_is_told_and_no_other(runs, table):
    assert written(runs, table) == told("run-folder.md", f"`{table}.csv`")


def test_each_array_of_predictions_is_told_and_no_other(runs):
    arrays = set()
    for path in (path for folder in runs for path in folder.rglob("predictions.npz")):
        with np.load(path, allow_pickle=False) as stored:
            arrays |= set(stored.files)
    assert arrays == told("run-folder.md", "`predictions.npz`")


def test_each_column_of_predictions_as_a_table_is_told(runs):
    text = (DOCS / "run-folder.md").read_text("utf-8")
    for path in (path for folder in runs for path in folder.rglob("predictions.npz")):
        columns = Predictions.load(path).to_frame().columns
        named = {re.sub(r"^score_.+", "score_<class>", column) for column in columns}
        assert all(f"`{name}`" in text for name in named)


@pytest.mark.parametrize("name", ["done.json", "decoder.json"])
def test_each_key_of_a_fit_is_told_and_no_other(runs, name):
    # No fold of these runs was left out.
    assert keys_of(runs, f"fits/*/*/*/{name}") == told("run-folder.md", f"`{name}`") - {"left_out"}


def test_each_key_of_a_map_is_told_and_no_other(runs):
    assert keys_of(runs, "maps/*/*/*/*/done.json") == told("run-folder.md", "`done.json` of a map")


def test_each_key_of_a_run_is_told_and_no_other(runs):
    told_keys = told("run-folder.md", "`study.toml` and `provenance.json`")
    assert keys_of(runs, "provenance.json") == told_keys


def test_each_file_of_a_run_is_told(runs):
    text = (DOCS / "run-folder.md").read_text("utf-8")
    names = {path.name for folder in runs for path in folder.rglob("*") if path.is_file()}
    numbered = {re.sub(r"^behavior-\d+", "behavior-0", name) for name in names}
    assert not [name for name in numbered if name not in text]
    assert {f"{name}.csv" for name in WITHOUT_MOVIES} <= names
    assert "confounds.csv" in text
