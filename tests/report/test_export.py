"""Tests."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

import corticode.report.export as matlab
from corticode.decode.predictions import Predictions
from corticode.errors import DataError, MissingDataError, RunError, StudyError
from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.report.export import (
    KEYWORDS,
    export_run,
    map_table,
    map_variables,
    matlab_cells,
    matlab_names,
    matlab_struct,
    size_bytes,
    write_mat,
)
from corticode.run.folder import Run


@pytest.fixture
def own_run(finished_run, tmp_path):
    return Path(shutil.copytree(finished_run.folder, tmp_path / "run"))


@pytest.fixture(scope="module")
def exported(mapped, tmp_path_factory):
    """A run with maps in both forms."""
    out = tmp_path_factory.mktemp("exported")
    for form in ("csv", "mat"):
        export_run(mapped[1].folder, form, out / form)
    return mapped[1], out / "csv", out / "mat"


def index(folder):
    return pd.read_csv(folder / "index.csv", keep_default_na=False)


def texts(cells):
    return [str(cell[0]) if cell.size else "" for cell in cells[:, 0]]


def test_each_file_is_in_the_index_and_no_other(exported):
    for folder in exported[1:]:
        table = index(folder)
        assert sorted([*table["file"], "index.csv"]) == sorted(p.name for p in folder.iterdir())
        assert {"linear", "linear, permuted"} <= set(table["condition"])
        assert {"deep-shap", "covered"} <= set(table["map"])


def test_every_prediction_is_there(exported):
    run, csv, mat = exported
    for row in index(csv).query("holds == 'predictions'").itertuples():
        table = pd.read_csv(csv / row.file, dtype={"animal": str, "session": str})
        own = index(mat).query("holds == 'predictions' and condition == @row.condition")
        found = scipy.io.loadmat(mat / own["file"].iloc[0])
        assert found["condition"][0] == row.condition
        scores = run.read_table("scores").query("condition == @row.condition")
        for fold in scores["fold"]:
            path = run.fit_folder(row.condition, fold, 0) / "predictions.npz"
            said = Predictions.load(path)
            in_table = table[table["fold"] == fold]
            np.testing.assert_array_equal(in_table["score"].astype(np.float32), said.score)
            number = texts(found["fold_names"]).index(fold) + 1
            rows = found["fold"][:, 0] == number
            np.testing.assert_array_equal(found["score"][rows, 0], said.score)
            np.testing.assert_array_equal(found["frame"][rows, 0], said.frame)
            parts = np.array(texts(found["part_names"]))[found["part"][rows, 0] - 1]
            assert parts.tolist() == in_table["part"].tolist()
            names = np.array(texts(found["animal_names"]))[found["animal"][rows, 0] - 1]
            assert names.tolist() == in_table["animal"].tolist()


def test_tables_come_back(exported):
    run, csv, mat = exported
    found = scipy.io.loadmat(mat / "tables.mat", struct_as_record=False)
    names = index(csv).query("holds == 'table'")["file"].str.removesuffix(".csv")
    assert set(names) == {name for name in found if not name.startswith("__")}
    for name in names:
        table, struct = run.read_table(name), found[name][0, 0]
        assert texts(struct.column_names) == list(table.columns)
        assert (csv / f"{name}.csv").is_file()
    scores, struct = run.read_table("scores"), found["scores"][0, 0]
    assert texts(struct.fold) == scores["fold"].tolist()
    np.testing.assert_array_equal(struct.auc[:, 0], scores["auc"])


def test_maps_come_back(exported):
    run, csv, mat = exported
    one = ImportanceMap.load(run.maps_folder("linear", "deep-shap") / "map.npz")
    chosen = "holds == 'map' and condition == 'linear' and map == 'deep-shap'"
    found = scipy.io.loadmat(mat / index(mat).query(chosen)["file"].iloc[0], struct_as_record=False)
    np.testing.assert_array_equal(found["absolute"], one.absolute)
    assert texts(found["region_names"]) == list(one.names)
    animals = found["by_animal"][0, 0]
    assert texts(animals.names) == [part.name for part in one.by_animal]
    np.testing.assert_array_equal(animals.absolute[..., 1], one.by_animal[1].absolute)
    table = pd.read_csv(csv / index(csv).query(chosen)["file"].iloc[0], dtype={"region": str})
    whole = table[table["part"] == "all"]
    np.testing.assert_allclose(
        whole["absolute"].to_numpy().reshape(one.absolute.shape), one.absolute
    )


def test_a_map_by_hand():
    part = MapPart("m1", 2, None, np.array([[1.0, 2.0]]))
    one = ImportanceMap("occlusion", "AUC", ("row", "column"), np.array([[1.0, 2.0]]),
                        np.array([[-1.0, 2.0]]), by_animal=(part,))  # fmt: skip
    assert map_table(one).to_csv(index=False).splitlines() == [
        "part,name,row,column,absolute,signed", "all,,0,0,1.0,-1.0", "all,,0,1,2.0,2.0",
        "by_animal,m1,0,0,1.0,", "by_animal,m1,0,1,2.0,",
    ]  # fmt: skip
    found = map_variables("gru", "covered", one)
    assert found["by_animal"]["absolute"].shape == (1, 2, 1)
    assert np.isnan(found["by_animal"]["signed"]).all()
    assert np.isnan(found["baseline"])


def test_beside_the_run_by_default(own_run):
    found = export_run(own_run, "csv")
    assert found.folder == own_run.with_name("run-csv")
    assert (found.folder / "index.csv").is_file()
    with pytest.raises(RunError, match=r"run-csv exists and is not an empty folder; name another"):
        export_run(own_run, "csv")


def test_a_file_in_its_place(own_run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="exists and is not an empty folder"):
        export_run(own_run, "mat", tmp_path / "file")


def test_nothing_done(own_run, tmp_path):
    for path in own_run.iterdir():
        if path.name not in ("study.toml", "run.lock"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(MissingDataError, match=r"no fit of .* is finished: there is nothing to"):
        export_run(own_run, "csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_half_done_and_damaged(own_run, tmp_path):
    for path in own_run.glob("*.csv"):
        path.unlink()
    first, second = sorted(own_run.glob("fits/linear*/*/*"))[:2]
    shutil.rmtree(first)
    (second / "predictions.npz").write_bytes(b"no archive")
    found = export_run(own_run, "mat", tmp_path / "out")
    assert any("the run is not finished" in one for one in found.left_out)
    assert any("is damaged or holds no predictions" in one for one in found.left_out)
    [name] = [row["file"] for row in found.rows if row["condition"] == "linear"]
    assert len(texts(scipy.io.loadmat(found.folder / name)["fold_names"])) == 2


def test_too_large_leaves_nothing_behind(own_run, tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "MOST_BYTES", 3000)
    with pytest.raises(DataError, match=r"of predictions_.*GB, and a MAT file|of tables.mat"):
        export_run(own_run, "mat", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_unknown_form(own_run):
    with pytest.raises(StudyError, match="format 'xls' is unknown; give csv or mat"):
        export_run(own_run, "xls")


def test_a_folder_that_cannot_be_written(own_run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot write .*; free some space or choose another"):
        export_run(own_run, "csv", tmp_path / "file" / "out")


def test_several_classes(write_cohort, run_inline, tmp_path):
    study = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "act"
kind = "classes"
[folds]
only = ["test-m1_valid-m2"]
[[condition]]
name = "act"
preprocess = { detrend_frames = 0 }
window = { before = 2, after = 2 }
network = { kind = "linear-window" }
training = { penalty = [0.01] }
"""
    folder = write_cohort(tmp_path / "cohort", animals=3, study=study)
    run_inline(folder, folder / "run")
    for form in ("csv", "mat"):
        export_run(folder / "run", form)
    [path] = (folder / "run-mat").glob("predictions_*.mat")
    found = scipy.io.loadmat(path)
    assert found["score"].shape[1] == len(found["class_names"]) == 3
    [path] = (folder / "run-csv").glob("predictions_*.csv")
    assert {f"score_{name}" for name in texts(found["class_names"])} <= set(pd.read_csv(path))


def test_a_run_folder_stays_as_it_was(finished_run, tmp_path):
    before = sorted(path.name for path in Run(finished_run.folder).folder.iterdir())
    export_run(finished_run.folder, "csv", tmp_path / "out")
    assert sorted(path.name for path in finished_run.folder.iterdir()) == before


def read(path):
    return scipy.io.loadmat(path, squeeze_me=False, struct_as_record=False)


def matlab_texts(cells):
    """Cells of text as they were; an empty one comes back as an empty array."""
    return [str(cell[0]) if cell.size else "" for cell in cells[:, 0]]


def test_names_by_hand():
    long = "a" * 70
    found = matlab_names(["auc", "2nd", "end", "a b", "a_b", "", "_x", "é", long, long + "b"])
    assert list(found.values()) == [
        "auc", "x2nd", "x_end", "a_b_1", "a_b", "x", "x_x", "x_", "a" * 63, "a" * 61 + "_1",
    ]  # fmt: skip


@given(st.lists(st.text(max_size=80), max_size=12))
def test_each_name_is_accepted_and_none_is_lost(names):
    found = matlab_names(names)
    assert set(found) == set(names)
    assert len(set(found.values())) == len(found)
    for name in found.values():
        assert re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,62}", name)
        assert not KEYWORDS.fullmatch(name)


def test_a_table_comes_back(tmp_path):
    table = pd.DataFrame(
        {
            "animal": ["m1", "", "マウス"],
            "n_bouts_groß & klein": [1, 2, 3],
            "a" * 70: [0.5, np.nan, np.inf],
            "a" * 71: [True, False, True],
            "column_names": ["x", None, "z"],
        }
    )
    write_mat(tmp_path / "t.mat", {"scores": matlab_struct(table)})
    found = read(tmp_path / "t.mat")["scores"][0, 0]
    fields = found._fieldnames
    assert len(fields) == 6
    assert fields[2:4] == ["a" * 63, "a" * 61 + "_1"]
    assert matlab_texts(found.animal) == ["m1", "", "マウス"]
    assert found.n_bouts_gro____klein[:, 0].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(getattr(found, "a" * 63)[:, 0], [0.5, np.nan, np.inf])
    assert matlab_texts(found.column_names) == ["x", "", "z"]
    assert matlab_texts(found.column_names_1) == list(table.columns)


def test_a_column_of_that_name_keeps_it():
    found = matlab_struct(pd.DataFrame({"column_names": ["x"]}))
    assert sorted(found) == ["column_names", "column_names_1"]
    assert found["column_names"][0, 0] == "x"


def test_an_empty_table_comes_back(tmp_path):
    table = pd.DataFrame({"what": pd.Series(dtype=str), "count": pd.Series(dtype=float)})
    write_mat(tmp_path / "t.mat", {"excluded": matlab_struct(table)})
    found = read(tmp_path / "t.mat")["excluded"][0, 0]
    assert matlab_texts(found.column_names) == ["what", "count"]
    assert found.count.shape == (0, 1)


@pytest.mark.parametrize("name", ["_x", "1a", "end", "a" * 64, "a b"])
def test_names_that_would_be_lost_are_refused(tmp_path, name):
    for variables in ({name: 1.0}, {"s": {name: 1.0}}):
        with pytest.raises(DataError, match="MATLAB takes no variable or field"):
            write_mat(tmp_path / "t.mat", variables)
    assert not list(tmp_path.iterdir())


def test_a_variable_that_is_too_large(tmp_path):
    # 2.4 GB that take no memory: one number, repeated.
    large = np.broadcast_to(np.float64(0), (300_000_000, 1))
    with pytest.raises(DataError, match=r"variable 'score' of t.mat takes 2.4 GB.*export as csv"):
        write_mat(tmp_path / "t.mat", {"score": large})
    assert not list(tmp_path.iterdir())


def test_sizes():
    assert size_bytes({"a": np.zeros(3, np.float32), "b": {"c": np.zeros(2)}}) == 28
    assert size_bytes(matlab_cells(["ab", ""])) == 2 * 56 + 6
