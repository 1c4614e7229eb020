"""Studies that ship: the published one whole, and what to ask first."""

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from tests.conftest import InlineExecutor

from corticode.errors import MissingDataError, StudyError
from corticode.run.execute import execute_study
from corticode.run.folder import Run
from corticode.study.shipped import SHIPPED, open_study, shipped
from corticode.study.study import read_study, resolve, study_of


@pytest.fixture
def catalogue(tmp_path):
    return tmp_path / "sessions.csv"


def published():
    with (files("corticode") / "published" / "published_by_split.csv").open() as file:
        return set(pd.read_csv(file)["condition"])


@pytest.mark.parametrize("name", SHIPPED)
def test_every_condition_resolves(name, catalogue):
    study = open_study(name, catalogue)
    assert study.catalogue_path == catalogue
    for keys in study.conditions:
        assert resolve(keys, 30.0).window.n_frames >= 1


@pytest.mark.parametrize("name", ["paper-text", "paper-code"])
def test_each_published_condition_is_there(name, catalogue):
    known = {keys.name for keys in open_study(name, catalogue).conditions}
    # Length 15 is the gru itself.
    assert published() - known == {"gru, length 15"}


def test_the_article_and_its_code_differ_where_they_do(catalogue):
    text, code = (
        {keys.name: keys for keys in open_study(name, catalogue).conditions}
        for name in ("paper-text", "paper-code")
    )
    assert text.keys() == code.keys()
    assert text["gru"].training.label_smoothing == 0.01
    assert code["gru"].training.label_smoothing == 0.001
    assert text["gru, permuted labels"].permute_labels == "frames"
    assert code["gru, permuted labels"].permute_labels == "sessions"
    assert text["cnn"].preprocess.pixel_scale == "variance"
    assert code["cnn"].preprocess.pixel_scale == "sd"


def test_the_region_table_beside_the_catalogue_is_taken(catalogue):
    assert open_study("recommended", catalogue).regions_path is None
    (catalogue.parent / "regions.csv").write_text("")
    assert open_study("recommended", catalogue).regions_path == catalogue.parent / "regions.csv"


def test_a_study_file_is_read_as_ever(linear_cohort):
    path = linear_cohort / "study.toml"
    assert open_study(path) == read_study(path)
    with pytest.raises(StudyError, match="names its own catalogue; leave --catalogue out"):
        open_study(path, linear_cohort / "sessions.csv")


def test_what_is_missing_is_said():
    with pytest.raises(StudyError, match="say on which recordings with --catalogue"):
        open_study("paper-code")
    with pytest.raises(MissingDataError, match="or one of paper-text, paper-code, recommended"):
        open_study("paper-cod")


def test_a_figure_of_the_shipped_study_runs(linear_cohort):
    raw = shipped("paper-code")
    figure = next(one for one in raw["comparison"] if one["name"] == "Fig. 4E")
    raw["condition"] = [one for one in raw["condition"] if one["name"] in figure["conditions"]]
    raw["condition"][0]["training"] = {"epochs": 1}
    raw |= {"map": [], "comparison": [figure], "target": {"signal": "run"}}
    raw["data"] = {"catalogue": "sessions.csv"}
    study = study_of(raw, linear_cohort / "paper.toml")
    execute_study(study, linear_cohort / "run", executor=InlineExecutor())
    table = Run(linear_cohort / "run").read_table("comparisons")
    assert table["comparison"].unique().tolist() == ["Fig. 4E"]
    assert table.groupby(["condition_a", "condition_b"]).ngroups == 3
    assert np.isfinite(table["effect"]).all()
