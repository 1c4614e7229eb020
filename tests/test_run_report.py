import shutil
from pathlib import Path

import pytest

from corticode.errors import StudyError
from corticode.run_report import write_report


@pytest.fixture
def own_run(finished_run, tmp_path):
    return Path(shutil.copytree(finished_run.folder, tmp_path / "run"))


def test_page_methods_and_figures(own_run):
    page = write_report(own_run, ["svg"])
    assert page == own_run / "report.html"
    text = page.read_text("utf-8")
    assert "In 4 of 4 mice never seen in training" in text
    assert len(text) < 15_000_000
    assert (own_run / "methods.md").read_text("utf-8").startswith("# Methods")
    names = {path.stem for path in (own_run / "figures").glob("*.svg")}
    assert {"splits", "roc", "learning", "reliability", "traces", "sessions"} <= names


def test_the_same_page_twice(own_run):
    first = write_report(own_run).read_bytes()
    assert write_report(own_run).read_bytes() == first


def test_a_run_that_has_only_begun(own_run):
    for path in own_run.iterdir():
        if path.name != "study.toml":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "No score yet" in write_report(own_run).read_text("utf-8")


def test_an_unknown_format_is_refused_before_anything_is_written(own_run):
    with pytest.raises(StudyError, match="figures as bmp are unknown; give png, svg, pdf"):
        write_report(own_run, ["bmp"])
    assert not (own_run / "report.html").exists()
