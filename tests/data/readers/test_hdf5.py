"""Arrays in HDF5 files."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corticode.data.readers import hdf5, mat
from corticode.errors import DataError, MissingDataError

MOVIE = np.arange(24, dtype=">i2").reshape(2, 3, 4)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(5.0)
    return tmp_path / "secret.h5"


def test_names_and_values(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["group/dff"] = np.arange(6.0).reshape(3, 2)
        file["state"] = ["run", "rest"]
        file["is_lit"] = [True, False]
        file["alias"] = h5py.SoftLink("/group/dff")
        file["group/near"] = h5py.SoftLink("dff")
    assert hdf5.list_arrays(path) == {"group/dff": (3, 2), "is_lit": (2,), "state": (2,)}
    for name in ("group/dff", "/group/dff", "alias", "group/near"):
        assert hdf5.read_array(path, name).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert hdf5.read_array(path, "state").tolist() == ["run", "rest"]
    assert hdf5.read_array(path, "is_lit").tolist() == [True, False]
    with pytest.raises(
        MissingDataError, match=r"no array 'group/dfff'; .* did you mean 'group/dff"
    ):
        hdf5.read_array(path, "group/dfff")
    with pytest.raises(MissingDataError, match="no array 'group'"):
        hdf5.read_array(path, "group")
    with pytest.raises(DataError, match=r"name one, as in a\.h5::name"):
        hdf5.read_array(path, None)


@pytest.mark.parametrize("userblock_size", [0, 512])
def test_movies_are_mapped_where_they_lie_plain(tmp_path: Path, userblock_size: int) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=userblock_size) as file:
        file["plain"] = MOVIE
        file.create_dataset("packed", data=MOVIE, compression="gzip")
    plain, packed = hdf5.read_array(path, "plain"), hdf5.read_array(path, "packed")
    assert isinstance(plain, np.memmap)
    assert not isinstance(packed, np.memmap)
    for movie in (plain, packed):
        assert movie.dtype == MOVIE.dtype
        np.testing.assert_array_equal(movie, MOVIE)


@given(hnp.arrays(st.sampled_from(["<f4", ">i2", "<u2"]), hnp.array_shapes(max_dims=4)))
def test_what_is_stored_is_read(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("arrays") / "a.h5"
    with h5py.File(path, "w") as file:
        file["group/x"] = array
    read = hdf5.read_array(path, None)
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def _external_link(file: h5py.File, other: Path) -> None:
    file["x"] = h5py.ExternalLink(other, "/x")


def _soft_link_out(file: h5py.File, other: Path) -> None:
    file["door"] = h5py.ExternalLink(other, "/")
    file["x"] = h5py.SoftLink("/door/x")


def _virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((5,), float)
    layout[:] = h5py.VirtualSource(other, "x", (5,))
    file.create_virtual_dataset("x", layout)


def _external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("x", (5,), "u1", external=[(str(other), 0, 5)])


@pytest.mark.parametrize("link", [_external_link, _soft_link_out, _virtual, _external_storage])
@pytest.mark.parametrize("reader", [hdf5, mat])
@pytest.mark.parametrize("name", ["x", None])
def test_what_lies_elsewhere_is_refused(
    tmp_path: Path, other: Path, link: object, reader: object, name: str | None
) -> None:
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        link(file, other)
    with pytest.raises(DataError, match=r"secret.h5.* what a data file points to is never opened"):
        reader.read_array(path, name)
    assert "x" not in hdf5.list_arrays(path)


def test_a_cell_that_lies_elsewhere_is_refused(tmp_path: Path, other: Path) -> None:
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        _virtual(file, other)
        file["#refs#/a"] = 0
        cell = file.create_dataset("cell", (1, 1), h5py.ref_dtype)
        cell[0, 0] = file["x"].ref
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
    with pytest.raises(DataError, match=r"virtual dataset made of .*secret.h5"):
        mat.read_cells(path, "cell")


def test_beside_a_link_out_a_named_array_is_read(tmp_path: Path, other: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["mine"] = [1, 2]
        _external_link(file, other)
    assert hdf5.read_array(path, "mine").tolist() == [1, 2]
    assert hdf5.list_arrays(path) == {"mine": (2,)}


def test_links_in_a_circle(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = h5py.SoftLink("/b")
        file["b"] = h5py.SoftLink("/a")
    with pytest.raises(DataError, match="links that run in a circle at 'a'"):
        hdf5.read_array(tmp_path / "a.h5", "a")


def test_other_types(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["pair"] = np.zeros(3, dtype=[("a", float), ("b", int)])
    with pytest.raises(DataError, match="only numbers and text are read"):
        hdf5.read_array(tmp_path / "a.h5", "pair")


def test_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(1000.0)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"a.h5 cannot be read as HDF5: .*truncated"):
        hdf5.read_array(path, "x")


def test_a_claim_that_the_file_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10**6, 10**6), "f8", chunks=(1000, 1000), compression="gzip")
        file.create_dataset("y", (100, 10), "f8", maxshape=(None, 10), fillvalue=np.nan)
        file["y"][:50] = 1.0  # a recording that ended early
        file.create_dataset("none", data=h5py.Empty("f8"))
    with pytest.raises(DataError, match=r"'/x' claims 8,000,000,000,000 bytes, and 0 bytes of th"):
        hdf5.read_array(path, "x")
    assert np.isfinite(hdf5.read_array(path, "y")).sum() == 500
    with pytest.raises(DataError, match="::/none is empty; name an array with values"):
        hdf5.read_array(path, "none")


def test_a_compression_that_h5py_does_not_undo(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((4,))
        settings.set_filter(32_999, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((8,))
        h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_INT16, space, settings)
        file["x"][:] = 1
    with pytest.raises(DataError, match=r"a.h5::x is compressed with filter 32999, .* hdf5plugin"):
        hdf5.read_array(path, "x")


def test_a_group_that_holds_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        group = file.create_group("a")
        group["itself"] = group
        group["speed"] = np.zeros((5, 1))
    assert hdf5.list_arrays(path) == {"a/speed": (5, 1)}
    assert hdf5.read_array(path, "a/itself/speed").shape == (5, 1)
    with pytest.raises(DataError, match="groups within groups more than 32 deep, as where a gr"):
        mat.list_arrays(path)


def test_a_file_that_says_empty_and_claims_a_size(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file["x"] = np.array([10**9, 10**9], np.uint64)
        file["x"].attrs["MATLAB_empty"] = np.uint8(1)
        file.create_dataset("y", (10**9,), "u8").attrs["MATLAB_empty"] = np.uint8(1)
    with pytest.raises(DataError, match="/x says that it is empty, of 1000000000 x 1000000000"):
        mat.read_array(path, "x")
    with h5py.File(path, "a") as file:
        del file["x"]
    with pytest.raises(DataError, match="/y says that it is empty and holds 1000000000 values"):
        mat.read_array(path, "y")
