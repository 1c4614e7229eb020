"""The demonstration whole: the first command of the README, as anyone calls it."""

import re
import subprocess
import sys

import numpy as np
import pytest

from corticode.run.folder import Run

pytestmark = pytest.mark.study
CONDITIONS = [
    "gru",
    "linear-window",
    "linear-frame",
    "gru, permuted labels",
    "cnn-gru, movies",
    "linear-window: confounds only",
    "linear-window: confounds removed",
]


def demo(folder):
    command = [sys.executable, "-m", "corticode", "demo", "--out", str(folder), "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The demonstration's folder, and what it printed."""
    folder = tmp_path_factory.mktemp("shown") / "demo"
    return folder, demo(folder)


def test_running_is_read_from_simulated_mice_and_not_from_permuted_labels(shown):
    scores = Run(shown[0] / "run").read_table("animal_scores")
    assert list(dict.fromkeys(scores["condition"])) == CONDITIONS
    auc = scores.pivot(index="animal", columns="condition", values="value")
    assert (auc["gru"] > 0.7).all()
    assert (auc["gru"] > auc["gru, permuted labels"]).all()
    assert auc["gru, permuted labels"].mean() == pytest.approx(0.5, abs=0.1)
    assert auc["cnn-gru, movies"].count() == 1
    assert auc["cnn-gru, movies"].max() > 0.8


def test_each_table_and_the_page_are_there(shown):
    run = Run(shown[0] / "run")
    for table in ("scores", "comparisons", "confounds", "map_regions", "nulls", "excluded"):
        assert len(run.read_table(table)) > 0
    page = (run.folder / "report.html").read_text("utf-8")
    assert all(name in page for name in CONDITIONS)
    assert "simulated" in (run.folder / "methods.md").read_text("utf-8")


def test_what_it_prints_is_what_the_tables_hold(shown):
    folder, done = shown
    lines = done.stdout.splitlines()
    assert lines[-1] == str(folder / "run" / "report.html")
    scores = Run(folder / "run").read_table("animal_scores")
    gru = scores.loc[scores["condition"] == "gru", "value"]
    (sentence,) = [
        line
        for line in lines
        if line.startswith("Running was decoded from cortical fluorescence in animals")
    ]
    said = re.search(r"mean AUC (0\.\d+).*; animals (0\.\d+) to (0\.\d+);", sentence)
    numbers = [float(number) for number in said.groups()]
    np.testing.assert_allclose(numbers, [gru.mean(), gru.min(), gru.max()], atol=0.001)
    assert "These animals are simulated" in sentence


def test_again_it_fits_nothing(shown):
    done = demo(shown[0])
    assert "31 fits and 10 maps, 41 of them finished before" in done.stderr
    assert "1. corticode simulate" not in done.stdout
