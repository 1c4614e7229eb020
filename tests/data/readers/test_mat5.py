"""MAT files of versions 4 and 5, against scipy's reader, and damaged ones."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corticode.data.readers import mat
from corticode.data.readers.mat5 import NotRead, find_variables, read_variable
from corticode.errors import DataError


def _read(path: Path) -> dict[str, Any]:
    return {one.name: read_variable(path, one) for one in find_variables(path)}


@given(
    hnp.arrays(
        st.sampled_from(["<f8", "<f4", "<i1", "<i2", "<i4", "<u1", "<u2", "<u4", "<c16", "|b1"]),
        hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=4),
    ),
    st.booleans(),
)
def test_numbers_as_scipy_reads_them(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, packed: bool
) -> None:
    path = tmp_path_factory.mktemp("mats") / "a.mat"
    scipy.io.savemat(path, {"x": array}, do_compression=packed)
    # With mat_dtype scipy drops imaginary parts.
    is_complex = array.dtype.kind == "c"
    read = _read(path)["x"]
    wanted = scipy.io.loadmat(path, mat_dtype=not is_complex)["x"]
    assert read.dtype == wanted.dtype
    np.testing.assert_array_equal(read, wanted)


@given(hnp.arrays(st.sampled_from(["<f8", "<f4"]), hnp.array_shapes(min_dims=2, max_dims=2)))
def test_version_4_as_scipy_reads_it(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("mats") / "a.mat"
    scipy.io.savemat(path, {"x": array, "state": "run"}, format="4")
    assert mat.list_arrays(path) == {"x": array.shape, "state": (1, 3)}
    wanted = scipy.io.loadmat(path, mat_dtype=True)["x"]
    np.testing.assert_array_equal(mat.read_array(path, "x"), wanted)
    assert mat.read_array(path, "state").tolist() == ["run"]


@pytest.mark.parametrize("text", ["run", "Läufe", "läuft 🐁 schnell", "", "a  b"])
@pytest.mark.parametrize("packed", [True, False])
def test_text_as_scipy_reads_it(tmp_path: Path, text: str, packed: bool) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": text}, do_compression=packed)
    assert _read(path)["x"].tolist() == ([text] if text else [])


def test_rows_of_text(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": np.array(["run", "groom"])})
    assert _read(path)["x"].tolist() == ["run", "groom"]


def test_cells_structs_and_kinds_that_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    cell = np.empty((2, 2), object)
    cell[:] = [[np.eye(2), "run"], [np.zeros((1, 0)), {"a": 1.0}]]
    many = np.zeros((1, 2), dtype=[("a", object)])
    sparse = scipy.sparse.csc_matrix(np.eye(3))
    scipy.io.savemat(path, {"c": cell, "s": {"v": np.ones((1, 3))}, "m": many, "z": sparse})
    read = _read(path)
    assert read["c"][0, 0].tolist() == [[1, 0], [0, 1]]
    assert read["c"][0, 1].tolist() == ["run"]
    assert (read["c"][1, 0].shape, read["c"][1, 1]["a"].item()) == ((1, 0), 1.0)
    assert read["s"]["v"].tolist() == [[1, 1, 1]]
    assert read["m"] == NotRead("struct array", (1, 2))
    assert read["z"] == NotRead("sparse", (3, 3))


def test_what_is_not_compressed_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": np.arange(6, dtype=np.uint16).reshape(2, 3)})
    read = _read(path)["x"]
    assert not read.flags.owndata
    assert not read.flags.writeable


def test_big_endian(tmp_path: Path) -> None:
    def element(kind: int, content: bytes) -> bytes:
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    values = element(9, struct.pack(">2d", 1.5, 2.5))
    parts = element(6, struct.pack(">II", 6, 0)), element(5, struct.pack(">ii", 1, 2))
    matrix = element(14, b"".join(parts) + element(1, b"x") + values)
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5.0".ljust(124) + struct.pack(">H", 0x0100) + b"MI" + matrix)
    assert mat.read_array(path, "x").tolist() == [[1.5, 2.5]]
    assert scipy.io.loadmat(path)["x"].tolist() == [[1.5, 2.5]]


def _spoilt(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


def test_claims_that_the_file_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": np.arange(6.0).reshape(2, 3)})
    whole = path.read_bytes()
    _spoilt(path, struct.pack("<ii", 2, 3), struct.pack("<ii", 2**30, 2**30))
    with pytest.raises(DataError, match="a variable of 1073741824 x 1073741824 holds 6 values"):
        mat.read_array(path, "x")
    path.write_bytes(whole)
    _spoilt(path, struct.pack("<ii", 2, 3), struct.pack("<ii", -2, -3))
    with pytest.raises(DataError, match="a variable has the size -2 x -3"):
        mat.read_array(path, "x")
    path.write_bytes(whole)
    _spoilt(path, struct.pack("<II", 9, 48), struct.pack("<II", 9, 2**31))
    with pytest.raises(DataError, match=r"an element claims 2,147,483,648 bytes where 48 are"):
        mat.read_array(path, "x")
    path.write_bytes(whole[:132] + struct.pack("<I", 2**31) + whole[136:])
    with pytest.raises(DataError, match=r"claims 2,147,483,648 bytes where \d+ are left"):
        mat.list_arrays(path)


def test_a_compressed_claim(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": np.arange(60.0).reshape(6, 10)}, do_compression=True)
    content = path.read_bytes()
    matrix = bytearray(zlib.decompress(content[136:]))
    matrix[4:8] = struct.pack("<I", 2**32 - 16)
    packed = zlib.compress(matrix)
    path.write_bytes(content[:128] + struct.pack("<II", 15, len(packed)) + packed)
    assert mat.list_arrays(path) == {"x": (6, 10)}
    with pytest.raises(DataError, match=r"'x' claims 4,294,967,280 bytes, and .* damaged or cut"):
        mat.read_array(path, "x")


def test_cells_within_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    inner: Any = np.ones((1, 1))
    for _ in range(40):
        outer = np.empty((1, 1), object)
        outer[0, 0] = inner
        inner = outer
    scipy.io.savemat(path, {"x": inner})
    with pytest.raises(DataError, match="cells and structs are nested more than 32 deep"):
        mat.read_array(path, "x")


@given(st.data())
def test_spoilt_files_give_values_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("mats") / "a.mat"
    cell = np.empty((1, 2), object)
    cell[:] = [["run", np.eye(3)]]
    packed = data.draw(st.booleans())
    variables = {"x": np.eye(4), "c": cell, "s": {"v": 1.0}, "t": "abc"}
    scipy.io.savemat(path, variables, do_compression=packed)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    for name in ("x", "c", "s.v", "t"):
        try:
            mat.read_array(path, name)
        except (DataError, FileNotFoundError):
            continue
