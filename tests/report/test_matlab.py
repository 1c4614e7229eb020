import re

import numpy as np
import pandas as pd
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.errors import DataError
from corticode.report.matlab import (
    KEYWORDS,
    matlab_cells,
    matlab_names,
    matlab_struct,
    size_bytes,
    write_mat,
)


def read(path):
    return scipy.io.loadmat(path, squeeze_me=False, struct_as_record=False)


def texts(cells):
    """Cells of text as they were; an empty one comes back as an empty array."""
    return [str(cell[0]) if cell.size else "" for cell in cells[:, 0]]


def test_names_by_hand():
    long = "a" * 70
    found = matlab_names(["auc", "2nd", "end", "a b", "a_b", "", "_x", "é", long, long + "b"])
    assert list(found.values()) == [
        "auc", "x2nd", "x_end", "a_b_1", "a_b", "x", "x_x", "x_", "a" * 63, "a" * 61 + "_1",
    ]  # fmt: skip


@settings(max_examples=100, deadline=None)
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
    assert texts(found.animal) == ["m1", "", "マウス"]
    assert found.n_bouts_gro____klein[:, 0].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(getattr(found, "a" * 63)[:, 0], [0.5, np.nan, np.inf])
    assert texts(found.column_names) == ["x", "", "z"]
    assert texts(found.column_names_1) == list(table.columns)


def test_a_column_of_that_name_keeps_it():
    found = matlab_struct(pd.DataFrame({"column_names": ["x"]}))
    assert sorted(found) == ["column_names", "column_names_1"]
    assert found["column_names"][0, 0] == "x"


def test_an_empty_table_comes_back(tmp_path):
    table = pd.DataFrame({"what": pd.Series(dtype=str), "count": pd.Series(dtype=float)})
    write_mat(tmp_path / "t.mat", {"excluded": matlab_struct(table)})
    found = read(tmp_path / "t.mat")["excluded"][0, 0]
    assert texts(found.column_names) == ["what", "count"]
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
