"""Studies that ship: the published one whole, and what to ask first."""

import urllib.error
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
import torch
from tests.conftest import MAP_STUDY, InlineExecutor

from corticode.decode.predictions import Predictions
from corticode.errors import MissingDataError, StudyError
from corticode.report.values import without_key
from corticode.run.check import check_study
from corticode.run.execute import execute_study
from corticode.run.folder import Run
from corticode.run.score_tables import without_shift
from corticode.run.tasks import permuted_likes
from corticode.study.shipped import SHIPPED, open_study, shipped
from corticode.study.study import (
    of_input,
    read_study,
    reads_movies,
    resolve,
    study_of,
    without_conditions,
)


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
    assert text.keys() - code.keys() == {"gru-keras"}
    assert code.keys() - text.keys() == {"gru, PyTorch cell"}
    assert (text["gru"].network.kind, code["gru"].network.kind) == ("gru", "gru-keras")
    assert code["gru, PyTorch cell"].network.kind == "gru"
    assert code["gru, shift 10"].network.kind == code["gru, raw dF/F"].network.kind == "gru-keras"
    assert text["gru"].training.label_smoothing == 0.01
    assert code["gru"].training.label_smoothing == 0.001
    assert text["gru, permuted labels"].permute_labels == "frames"
    assert code["gru, permuted labels"].permute_labels == "sessions"
    assert text["cnn"].preprocess.pixel_scale == "variance"
    assert code["cnn"].preprocess.pixel_scale == "sd"
    assert (text["cnn"].training.drop_last, code["cnn"].training.drop_last) == (None, True)
    assert (text["cnn"].training.optimiser, code["cnn"].training.optimiser) == (
        "adam",
        "fastai-adam",
    )


@pytest.mark.parametrize(
    ("name", "n_windows", "background"), [("paper-text", 10000, 100), ("paper-code", 1000, 1000)]
)
def test_what_the_published_studies_share(name, n_windows, background, catalogue):
    study = open_study(name, catalogue)
    conditions = {keys.name: keys for keys in study.conditions}
    assert [c.name for c in study.conditions if c.training.keep_train] == ["gru"]
    for network in ("cnn", "cnn-gru, length 5", "cnn-lstm, length 5", "cnn-gru, length 15"):
        assert conditions[network].training.windows == "independent"
    for linear in ("logistic regression on one frame", "speed linear regression"):
        assert conditions[linear].training.penalty == "scikit-learn"
        assert resolve(conditions[linear], 30.0).training.penalty == "scikit-learn"
    assert conditions["logistic regression on the window"].training.penalty is None
    shap = next(one for one in study.maps if one.kind == "deep-shap")
    assert (shap.on, shap.background_from) == ("probability", "test")
    assert (shap.n_windows, shap.background) == (n_windows, background)
    families = {one.name: one for one in study.comparisons}
    shifts = families["Fig. 5C"]
    assert shifts.against == "gru"
    assert sorted(conditions[c].window.shift for c in shifts.conditions) == [
        shift for shift in range(-60, 70, 10) if shift
    ]
    groups = families["S5 Fig, D and E"].conditions
    assert {tuple(conditions[c].regions) for c in groups} == {
        (group,) for group in ("FL&HL", "M2&M1", "PT&RS", "V1&Vm", "Vl&A1")
    }
    assert {(conditions[c].network.kind, conditions[c].target.kind) for c in groups} == {
        ("speed", "value")
    }


def test_predictions_that_one_condition_keeps_make_it_no_other(catalogue):
    """Controls, and references of shifts, are found by what conditions differ in."""
    study = open_study("paper-code", catalogue)
    assert permuted_likes("gru", study.conditions) == ["gru, permuted labels"]
    conditions = {c.name: resolve(c, 30.0) for c in study.conditions}
    assert conditions["gru"].keep_train != conditions["gru, shift 10"].keep_train
    assert without_shift(conditions["gru"]) == without_shift(conditions["gru, shift 10"])
    own = {c.name: c.model_dump(exclude_none=True, by_alias=True) for c in study.conditions}
    assert without_key(own["gru"], "permute_labels") == without_key(
        own["gru, permuted labels"], "permute_labels"
    )


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


@pytest.mark.study
def test_shifts_controls_and_maps_of_the_shipped_study_find_each_other(linear_cohort):
    """The gru keeps training windows, and its like do not: controls and references are theirs."""
    raw = shipped("paper-code")
    asked = ("gru", "gru, permuted labels", "gru, shift -10", "gru, shift 10")
    raw["condition"] = [one for one in raw["condition"] if one["name"] in asked]
    raw["condition"][0] |= {"network": {"kind": "gru", "units": 4}}
    raw["condition"][0]["training"] |= {"epochs": 1}
    few = {"n_windows": 30, "background": 10, "n_random": 1, "n_orders": 0, "convergence": False}
    raw["map"] = [one | few for one in raw["map"] if one["condition"] == "gru"]
    shifts = next(one for one in raw["comparison"] if one["name"] == "Fig. 5C")
    raw["comparison"] = [shifts | {"conditions": list(asked[2:])}]
    raw |= {"target": {"signal": "run"}, "data": {"catalogue": "sessions.csv"}}
    raw["folds"] = {"only": ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m4"]}
    execute_study(
        study_of(raw, linear_cohort / "paper.toml"),
        linear_cohort / "run",
        executor=InlineExecutor(),
    )
    run = Run(linear_cohort / "run")
    against = run.read_table("comparisons")[["condition_a", "condition_b"]].drop_duplicates()
    assert against.to_numpy().tolist() == [[name, "gru"] for name in asked[2:]]
    assert set(run.read_table("shift_references")["condition"]) == set(asked[2:])
    beside = run.read_table("map_permuted")
    assert (beside["condition"] == "gru").all()
    assert beside[["n_decoders", "n_permuted"]].to_numpy().tolist() == [[3, 3]] * 6
    assert set(run.read_table("condition_scores")["condition"]) == set(asked)
    for name in asked:
        folder = run.fit_folder(name, "test-m1_valid-m2", 0)
        parts = set(Predictions.load(folder / "predictions.npz").part.tolist())
        assert parts == ({0, 1, 2} if name == "gru" else {1, 2})


def test_a_figure_of_the_shipped_study_runs(linear_cohort):
    raw = shipped("paper-code")
    figure = next(one for one in raw["comparison"] if one["name"] == "Fig. 4E")
    raw["condition"] = [one for one in raw["condition"] if one["name"] in figure["conditions"]]
    # One step of a small network does; the cell of the study is slow.
    raw["condition"][0] |= {"training": {"epochs": 1}, "network": {"kind": "gru", "units": 4}}
    raw |= {"map": [], "comparison": [figure], "target": {"signal": "run"}}
    raw["data"] = {"catalogue": "sessions.csv"}
    study = study_of(raw, linear_cohort / "paper.toml")
    execute_study(study, linear_cohort / "run", executor=InlineExecutor())
    table = Run(linear_cohort / "run").read_table("comparisons")
    assert table["comparison"].unique().tolist() == ["Fig. 4E"]
    assert table.groupby(["condition_a", "condition_b"]).ngroups == 3
    assert np.isfinite(table["effect"]).all()


def test_traces_and_movies_are_parts_of_it(catalogue):
    whole = open_study("paper-code", catalogue)
    traces, movies = of_input(whole, "traces"), of_input(whole, "movies")
    assert {c.name for c in movies.conditions} == {
        *("cnn", "cnn-gru, length 5", "cnn-lstm, length 5"),
        *(f"cnn-gru, length {n}" for n in (1, 2, 10, 15)),
    }
    assert not any(map(reads_movies, traces.conditions))
    assert len(traces.conditions) + len(movies.conditions) == len(whole.conditions)
    assert {one.kind for one in movies.maps} == {"occlusion"}
    assert [one.name for one in movies.comparisons] == ["Fig. 2E", "Fig. 2F"]
    together = [*traces.comparisons, *movies.comparisons]
    assert sorted(one.name for one in together) == sorted(one.name for one in whole.comparisons)
    with pytest.raises(StudyError, match="no condition decodes movies alone; leave --movies-only"):
        of_input(traces, "movies")


def test_what_needs_a_condition_goes_with_it(linear_cohort):
    (linear_cohort / "study.toml").write_text(MAP_STUDY, "utf-8")
    study = read_study(linear_cohort / "study.toml")
    left, gone = without_conditions(study, ["linear"])
    assert {name for name in gone if not name.startswith("linear: ")} == {
        *("linear", "linear, top", "linear, circular")
    }
    assert left.region_sets == left.confounds == ()
    assert [c.name for c in left.conditions] == ["linear, permuted"]
    assert {one.condition for one in left.maps} <= {"linear, permuted"}


def test_without_weights_the_rest_is_done(linear_cohort, monkeypatch, command_line):
    """ImageNet weights that cannot be downloaded here cost the conditions that need them."""

    def unreachable(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(linear_cohort / "hub"))
    path = linear_cohort / "study.toml"
    more = '[[condition]]\nname = "cnn"\ninput = "movie"\npreprocess = { correction = "none" }\n'
    more += '[[condition]]\nname = "cnn-gru"\nlike = "cnn"\nnetwork = { kind = "cnn-gru" }\n'
    more += 'start_from = "cnn"\nwindow = { before = 2, after = 2 }\n'
    path.write_text(path.read_text("utf-8") + more, "utf-8")
    study = read_study(path)
    report = check_study(study)
    assert report.faults == []
    assert [f.item for f in report.findings if f.what == "condition"] == ["cnn", "cnn-gru"]
    code, _, told = command_line("run", path, "--out", linear_cohort / "run")
    assert code == 0
    (line,) = (one for one in told.splitlines() if "conditions 'cnn', 'cnn-gru': left out" in one)
    assert "could not be downloaded" in line
    scores = Run(linear_cohort / "run").read_table("scores")
    assert set(scores["condition"]) == {"linear"}
    excluded = Run(linear_cohort / "run").read_table("excluded")
    assert set(excluded.loc[excluded["what"] == "condition", "item"]) == {"cnn", "cnn-gru"}
    # Nothing of it is kept as a result: with weights the same command asks for them again.
    assert len(read_study(linear_cohort / "run" / "study.toml").conditions) == 3
