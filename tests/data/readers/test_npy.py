"""Arrays saved by numpy."""

import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corticode.data.readers import npy
from corticode.errors import DataError, MissingDataError


class _Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.target),)


def test_npy_is_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(3, 2))
    array = npy.read_array(tmp_path / "a.npy", None)
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable
    assert array.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert npy.list_arrays(tmp_path / "a.npy") == {"": (3, 2)}
    with pytest.raises(MissingDataError, match="no array 'x'"):
        npy.read_array(tmp_path / "a.npy", "x")


def test_npz_members(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, runrest=np.array([0, 1]), speed=np.zeros((3, 2), order="F"))
    assert npy.list_arrays(path) == {"runrest": (2,), "speed": (3, 2)}
    assert npy.read_array(path, "runrest").tolist() == [0, 1]
    with pytest.raises(DataError, match=r"holds runrest \(2\), speed \(3 x 2\); name one"):
        npy.read_array(path, None)
    with pytest.raises(MissingDataError, match="did you mean 'speed'"):
        npy.read_array(path, "sped")


@given(hnp.arrays(st.sampled_from(["<f4", ">i2", "|b1", "<U3"]), hnp.array_shapes(min_side=0)))
def test_what_is_saved_is_read(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    np.savez(folder / "a.npz", array)
    np.testing.assert_array_equal(npy.read_array(folder / "a.npz", None), array)
    np.save(folder / "a.npy", array)
    read = npy.read_array(folder / "a.npy", None)
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_not_loaded(tmp_path: Path, protocol: int) -> None:
    made = tmp_path / "made"
    (tmp_path / "a.npy").write_bytes(pickle.dumps(_Trap(made), protocol))
    for read in (npy.list_arrays, lambda path: npy.read_array(path, None)):
        with pytest.raises(DataError, match="holds Python objects, never loaded"):
            read(tmp_path / "a.npy")
    assert not made.exists()


def test_arrays_of_objects_are_not_loaded(tmp_path: Path) -> None:
    made = tmp_path / "made"
    trap = np.array([_Trap(made)], dtype=object)
    np.save(tmp_path / "a.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "a.npz", trap=trap)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("trap", pickle.dumps(_Trap(made)))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError, match="holds Python objects, never loaded"):
            npy.read_array(tmp_path / name, None)
    with pytest.raises(DataError, match="member 'trap', which is not an NPY array"):
        npy.read_array(tmp_path / "b.npz", "trap")
    assert not made.exists()


def test_nothing_is_unpacked(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    folder = tmp_path / "inner"
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        archive.write(tmp_path / "a.npy", "../escaped.npy")
    assert npy.list_arrays(folder / "a.npz") == {"../escaped": (3,)}
    assert npy.read_array(folder / "a.npz", "../escaped").tolist() == [0, 1, 2]
    assert sorted(file.name for file in tmp_path.rglob("*.np*")) == ["a.npy", "a.npz"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.npy", "claims 800 bytes, and 770 bytes of the file are there"),
        ("a.npz", "cannot be rea"),
    ],
)
def test_cut_short(tmp_path: Path, name: str, words: str) -> None:
    path = tmp_path / name
    (np.save if name == "a.npy" else np.savez)(path, np.arange(100.0))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=words):
        npy.read_array(path, None)


def test_a_claim_that_the_member_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000), }"
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"
    for packing in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(path, "w", packing) as archive:
            archive.writestr("x.npy", member + bytes(80))
        with pytest.raises(DataError, match=r"'x' claims 8,000,000,000,000 bytes, and .* damaged"):
            npy.read_array(path, "x")
    (tmp_path / "a.npy").write_bytes(member + bytes(80))
    with pytest.raises(DataError, match="its array claims 8,000,000,000,000 bytes, and 80 bytes"):
        npy.read_array(tmp_path / "a.npy", None)


def test_a_member_in_fortrans_order(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(6).reshape(2, 3))
    np.savez(tmp_path / "a.npz", array)
    np.save(tmp_path / "a.npy", array)
    for name in ("a.npz", "a.npy"):
        np.testing.assert_array_equal(npy.read_array(tmp_path / name, None), array)
