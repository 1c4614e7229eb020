"""Arrays in MAT files, old and new."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corticode.data.readers import mat
from corticode.errors import DataError, MissingDataError

CLASSES = {"f8": "double", "f4": "single", "u1": "uint8", "i2": "int16", "u2": "uint16"}


def _cell(*items: object) -> np.ndarray:
    cell = np.empty((1, len(items)), dtype=object)
    for k, item in enumerate(items):
        cell[0, k] = item
    return cell


def _put(file: h5py.File, parent: Any, name: str, value: Any) -> h5py.Dataset:
    """Store one variable as MATLAB does in v7.3: axes reversed, its class as an attribute."""
    if isinstance(value, dict):
        group = parent.create_group(name)
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        for field, inner in value.items():
            _put(file, group, field, inner)
        return group
    if isinstance(value, str):
        codes = np.array([[ord(letter)] for letter in value], dtype=np.uint16)
        dataset, kind = parent.create_dataset(name, data=codes), "char"
    elif value.dtype == object:
        references = np.empty(value.T.shape, dtype=h5py.ref_dtype)
        for index, item in np.ndenumerate(value.T):
            inside = file.require_group("#refs#")
            references[index] = _put(file, inside, f"r{len(inside)}", item).ref
        dataset, kind = parent.create_dataset(name, data=references), "cell"
    elif value.size == 0:
        dataset = parent.create_dataset(name, data=np.array(value.shape, np.uint64))
        dataset.attrs["MATLAB_empty"] = np.uint8(1)
        kind = "double"
    elif value.dtype == bool:
        dataset, kind = parent.create_dataset(name, data=value.T.astype(np.uint8)), "logical"
        dataset.attrs["MATLAB_int_decode"] = np.int32(1)
    else:
        dataset = parent.create_dataset(name, data=value.T)
        kind = CLASSES[value.dtype.str[1:]]
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    return dataset


def _write(path: Path, version: str, variables: Mapping[str, Any]) -> Path:
    if version == "v5":
        scipy.io.savemat(path, dict(variables), do_compression=True)
    else:
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, value in variables.items():
                _put(file, file, name, value)
        header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
        path.write_bytes(header.ljust(512, b"\0") + path.read_bytes()[512:])
    return path


VARIABLES = {
    "dat_roi": np.arange(6, dtype="<f4").reshape(2, 3),
    "movie": np.arange(24, dtype="<u2").reshape(2, 3, 4),
    "runrest": np.array([[True, False, True]]),
    "label": "run",
    "states": _cell("run", "", "rest"),
    "signal1": _cell(np.ones((2, 3)), np.zeros((2, 4))),
    "none": np.zeros((0, 0)),
    "data": {"speed": np.array([[1.5, 2.5]]), "inner": {"gain": np.array([[2.0]])}},
}


@pytest.fixture(params=["v5", "v7.3"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return _write(tmp_path / "a.mat", request.param, VARIABLES)


def test_both_versions_give_the_same_arrays(path: Path) -> None:
    roi = mat.read_array(path, "dat_roi")
    assert (roi.dtype, roi.tolist()) == (np.float32, [[0, 1, 2], [3, 4, 5]])
    movie = mat.read_array(path, "movie")
    np.testing.assert_array_equal(movie, VARIABLES["movie"])
    assert movie.dtype == np.uint16
    running = mat.read_array(path, "runrest")
    assert (running.dtype, running.tolist()) == (np.bool_, [[True, False, True]])
    assert mat.read_array(path, "label").tolist() == ["run"]
    states = mat.read_array(path, "states")
    assert (states.dtype.kind, states.tolist()) == ("U", [["run", "", "rest"]])
    assert mat.read_array(path, "none").shape == (0, 0)
    assert mat.read_array(path, "data.speed").tolist() == [[1.5, 2.5]]
    assert mat.read_array(path, "data/inner/gain").tolist() == [[2.0]]


def test_list_arrays(path: Path) -> None:
    shapes = mat.list_arrays(path)
    assert shapes["dat_roi"] == (2, 3)
    assert shapes["movie"] == (2, 3, 4)
    assert shapes["signal1"] == (1, 2)
    assert shapes["none"] == (0, 0)
    assert shapes["data.speed"] == (1, 2)
    assert shapes["data.inner.gain"] == (1, 1)
    assert set(shapes) == {*VARIABLES, "data.speed", "data.inner.gain"} - {"data"}


def test_cells(path: Path) -> None:
    first, second = mat.read_cells(path, "signal1")
    np.testing.assert_array_equal(first, np.ones((2, 3)))
    np.testing.assert_array_equal(second, np.zeros((2, 4)))
    with pytest.raises(DataError, match="::dat_roi is not a cell array"):
        mat.read_cells(path, "dat_roi")
    with pytest.raises(DataError, match=r"::signal1 is a cell array \(cell \(1 x 2\)\); save each"):
        mat.read_array(path, "signal1")
    with pytest.raises(MissingDataError, match="did you mean 'signal1'"):
        mat.read_cells(path, "signal_1")


def test_missing(path: Path) -> None:
    with pytest.raises(
        MissingDataError,
        match=r"no array 'dat_rio'; it holds .*\(2 x 3\).*; did you mean 'dat_roi'",
    ):
        mat.read_array(path, "dat_rio")
    with pytest.raises(MissingDataError, match=r"no array 'data'"):
        mat.read_array(path, "data")
    with pytest.raises(DataError, match=r"name one, as in a\.mat::name"):
        mat.read_array(path, None)


@pytest.mark.parametrize("version", ["v5", "v7.3"])
def test_the_only_variable_needs_no_name(tmp_path: Path, version: str) -> None:
    path = _write(tmp_path / "a.mat", version, {"x": np.array([[1.0, 2.0]])})
    assert mat.read_array(path, None).tolist() == [[1.0, 2.0]]


def test_doubles_stored_small_are_doubles(tmp_path: Path) -> None:
    # MATLAB stores a double array of small integers as bytes; scipy can only be made to read it.
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": np.array([[1.0, 2.0]])})
    content = path.read_bytes()
    at = content.index(np.array([1.0, 2.0]).tobytes()) - 8
    small = (2).to_bytes(4, "little") + (2).to_bytes(4, "little") + b"\1\2".ljust(8, b"\0")
    size = int.from_bytes(content[132:136], "little") - 8
    header = content[:132] + size.to_bytes(4, "little")
    path.write_bytes(header + content[136:at] + small)
    read = mat.read_array(path, "x")
    assert (read.dtype, read.tolist()) == (np.float64, [[1.0, 2.0]])


def test_a_cell_of_rows_and_columns(tmp_path: Path) -> None:
    cell = _cell(*map(np.atleast_2d, np.arange(4.0))).reshape(2, 2)
    path = _write(tmp_path / "a.mat", "v5", {"x": cell})
    with pytest.raises(DataError, match="cell of 2 x 2; cells are read from 1 x n"):
        mat.read_cells(path, "x")


def test_sparse_and_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": scipy.sparse.csc_matrix(np.eye(3))})
    with pytest.raises(DataError, match=r"::x is sparse; save full\(x\)"):
        mat.read_array(path, "x")
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros((1, 6), np.uint32)
        file["x"].attrs["MATLAB_object_decode"] = 3
        group = file.create_group("s")
        group.attrs["MATLAB_sparse"] = 3
    with pytest.raises(DataError, match="is a MATLAB object"):
        mat.read_array(path, "x")
    with pytest.raises(DataError, match="s is sparse"):
        mat.read_array(path, "s")


def test_struct_arrays_are_refused(tmp_path: Path) -> None:
    rows = np.zeros((1, 2), dtype=[("a", object)])
    scipy.io.savemat(tmp_path / "a.mat", {"x": rows})
    with pytest.raises(DataError, match="is a struct array"):
        mat.read_array(tmp_path / "a.mat", "x")


@pytest.mark.parametrize("version", ["v5", "v7.3"])
def test_cut_short(tmp_path: Path, version: str) -> None:
    path = _write(tmp_path / "a.mat", version, {"x": np.random.default_rng(0).random((40, 40))})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"a\.mat cannot be read as MAT"):
        mat.read_array(path, "x")


@settings(max_examples=15)
@given(
    hnp.arrays(
        st.sampled_from(["<f8", "<f4", "<i2", "|u1"]),
        hnp.array_shapes(min_dims=2, max_dims=4, max_side=4),
    )
)
def test_old_and_new_are_alike(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("mats")
    read = [
        mat.read_array(_write(folder / f"{version}.mat", version, {"x": array}), "x")
        for version in ("v5", "v7.3")
    ]
    # MATLAB drops trailing axes of one; scipy keeps those it wrote.
    for one in read:
        assert one.dtype == array.dtype
        np.testing.assert_array_equal(one, array)
