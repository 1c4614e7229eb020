"""Tests."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from corticode.errors import MissingDataError, StudyError
from corticode.evaluate.published import published_means
from corticode.report.read_run import read_run
from corticode.report.write import (
    beside_published,
    published_conditions,
    write_comparison,
    write_report,
    write_texts,
)


@pytest.fixture
def own_run(finished_run, tmp_path):
    return Path(shutil.copytree(finished_run.folder, tmp_path / "run"))


def test_page_methods_and_figures(own_run):
    page = write_report(own_run, ["svg"])
    assert page == own_run / "report.html"
    text = page.read_text("utf-8")
    assert "was decoded from cortical fluorescence in animals the decoder had never seen" in text
    assert len(text) < 15_000_000
    assert (own_run / "methods.md").read_text("utf-8").startswith("# Methods")
    names = {path.stem for path in (own_run / "figures").glob("*.svg")}
    assert {"splits", "roc", "learning", "reliability", "traces", "sessions"} <= names


def test_the_same_page_twice(own_run):
    first = write_report(own_run).read_bytes()
    assert write_report(own_run).read_bytes() == first


def test_a_run_that_has_only_begun(own_run):
    for path in own_run.iterdir():
        if path.name not in ("study.toml", "run.lock"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "No score yet" in write_report(own_run).read_text("utf-8")


def test_an_unknown_format_is_refused_before_anything_is_written(own_run):
    with pytest.raises(StudyError, match="figures as bmp are unknown; give png, svg, pdf"):
        write_report(own_run, ["bmp"])
    assert not (own_run / "report.html").exists()


def _change(folder, before, after):
    path = folder / "study.toml"
    path.write_text(path.read_text("utf-8").replace(before, after), "utf-8")


class TestComparison:
    def test_a_copy_differs_by_nothing(self, finished_run, own_run):
        page = write_comparison(own_run, finished_run.folder)
        assert page.parent == own_run
        assert page.name.startswith("against-runs")
        text = page.read_text("utf-8")
        assert "2 of 2 conditions that both runs have are paired" in text
        assert "No setting of them differs" in text
        assert "All the same in both runs" in text

    def test_runs_of_one_name_are_told_apart(self, finished_run, own_run, tmp_path):
        text = write_comparison(own_run, finished_run.folder, tmp_path / "page.html").read_text()
        assert f"<dd>{tmp_path.name}/run</dd>" in text
        assert str(tmp_path) not in text

    def test_settings_may_differ_and_targets_may_not(self, finished_run, own_run, tmp_path):
        _change(own_run, "epochs = 2", "epochs = 9")
        text = write_comparison(own_run, finished_run.folder, tmp_path / "page.html").read_text()
        assert "training.epochs" in text
        assert "2 of 2 conditions that both runs have are paired" in text
        _change(own_run, 'signal = "run"', 'signal = "act"')
        text = write_comparison(own_run, finished_run.folder, tmp_path / "page.html").read_text()
        assert "target.signal act in A, run in B" in text
        assert "No condition that both runs have can be paired" in text

    def test_a_run_that_is_half_done_is_not_paired(self, finished_run, own_run, tmp_path):
        for name in ("scores", "session_scores", "animal_scores"):
            (own_run / f"{name}.csv").unlink()
        next(own_run.glob("fits/gru-*/test-m1*/seed-0/done.json")).unlink()
        text = write_comparison(own_run, finished_run.folder, tmp_path / "page.html").read_text()
        assert "the run is not finished" in text
        assert "the folds differ (“test-m1_valid-m2” in B alone)" in text
        assert "1 of 2 conditions that both runs have is paired" in text

    def test_what_cannot_be_compared(self, finished_run, own_run, tmp_path):
        with pytest.raises(StudyError, match="; give two run folders"):
            write_comparison(own_run, own_run / ".." / "run")
        with pytest.raises(StudyError, match="is a folder; give the name of a file"):
            write_comparison(own_run, finished_run.folder, tmp_path)
        with pytest.raises(MissingDataError, match="is no run folder"):
            write_comparison(own_run, tmp_path)
        assert not list(tmp_path.rglob("against-*"))


def test_neither_page_loads_torch_or_scikit_learn(finished_run, own_run, tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from corticode.report.write import write_comparison, write_report\n"
        f"a, b = Path({str(own_run)!r}), Path({str(finished_run.folder)!r})\n"
        "write_report(a); write_comparison(a, b, a / 'page.html')\n"
        "print([name for name in ('torch', 'sklearn', 'scipy.stats') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_ends_with_its_texts(finished_run):
    text = (finished_run.folder / "methods.md").read_text("utf-8")
    assert "4 sessions" not in text
    assert "12 sessions of 4 animals were tested" in text
    assert "at 10 frames a second" in text
    table = finished_run.read_table("published")
    assert table["condition"].tolist() == ["gru"]
    assert table["data"].tolist() == ["other data"]
    assert table["difference"].isna().all()
    assert "network.units 8 (paper-code: 32)" in table["settings"].iloc[0]


def test_they_are_made_again_from_the_folder_alone(own_run):
    expected = [(own_run / name).read_bytes() for name in ("methods.md", "published.csv")]
    for name in ("methods.md", "published.csv"):
        (own_run / name).unlink()
    write_texts(own_run)
    found = [(own_run / name).read_bytes() for name in ("methods.md", "published.csv")]
    assert found == expected


def test_a_run_without_published_names_has_no_such_table(own_run):
    study = (own_run / "study.toml").read_text("utf-8")
    (own_run / "study.toml").write_text(study.replace('"gru"', '"mine"'), "utf-8")
    for name in ("scores", "session_scores", "animal_scores"):
        table = pd.read_csv(own_run / f"{name}.csv").replace({"condition": {"gru": "mine"}})
        table.to_csv(own_run / f"{name}.csv", index=False)
    write_texts(own_run)
    assert not (own_run / "published.csv").exists()


def test_texts_of_a_run_that_has_only_begun(own_run):
    for path in own_run.iterdir():
        if path.name not in ("study.toml", "run.lock"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_texts(own_run)
    assert "No session has been scored yet." in (own_run / "methods.md").read_text("utf-8")


def test_simulated_runs_are_marked(own_run):
    values = read_run(own_run, single_predictions=False)
    values.provenance["simulated"] = True
    assert beside_published(values)["data"].tolist() == ["simulated"]


def test_no_run_folder(tmp_path):
    with pytest.raises(MissingDataError, match="is no run folder"):
        write_texts(tmp_path)


def test_published_trace_conditions_have_their_settings():
    named = set(published_means()["condition"])
    assert {name for name in named if "cnn" not in name} <= set(published_conditions())
