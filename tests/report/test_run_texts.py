import shutil
from pathlib import Path

import pandas as pd
import pytest

from corticode.errors import MissingDataError
from corticode.evaluate.published import published_means
from corticode.report.read_run import read_run
from corticode.report.run_texts import beside_published, published_conditions, write_texts


@pytest.fixture
def own_run(finished_run, tmp_path):
    return Path(shutil.copytree(finished_run.folder, tmp_path / "run"))


def test_a_run_ends_with_its_texts(finished_run):
    text = (finished_run.folder / "methods.md").read_text("utf-8")
    assert "4 sessions" not in text
    assert "12 sessions of 4 animals were tested" in text
    assert "at 10 frames a second" in text
    table = finished_run.read_table("published")
    assert table["condition"].tolist() == ["gru"]
    assert table["data"].tolist() == ["other data"]
    assert table["difference"].isna().all()
    assert "network.units 8 (published: 32)" in table["settings"].iloc[0]


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


def test_a_run_that_has_only_begun(own_run):
    for path in own_run.iterdir():
        if path.name != "study.toml":
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
