"""The door to every file format."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.readers.arrays import (
    ArrayLocation,
    list_arrays,
    list_signals,
    parse_location,
    read_array,
    read_signal,
)
from corticode.errors import DataError, MissingDataError

PART = st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "path", "dataset"),
    [
        ("m1.tif", "/d/m1.tif", None),
        ("mice/m1.mat::dat_roi", "/d/mice/m1.mat", "dat_roi"),
        (" m1.h5 :: group/dff ", "/d/m1.h5", "group/dff"),
        ("/abs/m1.npy", "/abs/m1.npy", None),
        ("C:/mice/m1.mat::dat_roi", "C:/mice/m1.mat", "dat_roi"),
        ("C:\\mice\\m1.mat::dat_roi", "C:\\mice\\m1.mat", "dat_roi"),
        ("../m1.npy", "/m1.npy", None),
    ],
)
def test_parse_location(text: str, path: str, dataset: str | None) -> None:
    assert parse_location(text, Path("/d")) == ArrayLocation(Path(path), dataset)


@pytest.mark.parametrize("text", ["", "  ", "::x", "m1.mat::", "::"])
def test_parse_location_needs_both_sides(text: str) -> None:
    with pytest.raises(DataError, match="is not a location; write file or file::dataset"):
        parse_location(text, Path())


@given(PART, st.none() | PART)
def test_a_location_written_is_the_location_read(file: str, dataset: str | None) -> None:
    location = ArrayLocation(Path("/data") / file, dataset)
    assert parse_location(str(location), Path("/elsewhere")) == location


def test_suffix_decides_in_any_case(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    (tmp_path / "a.npy").rename(tmp_path / "A.NPY")
    assert read_array(ArrayLocation(tmp_path / "A.NPY")).tolist() == [0, 1, 2]
    assert list_arrays(tmp_path / "A.NPY") == {"": (3,)}
    (tmp_path / "a.xls").write_bytes(b"x")
    with pytest.raises(DataError, match=r"suffix '.xls'; files read are .csv, .h5, .hdf5, .mat"):
        read_array(ArrayLocation(tmp_path / "a.xls"))
    with pytest.raises(MissingDataError, match="does not exist"):
        list_arrays(tmp_path / "b.xls")


@pytest.mark.parametrize("suffix", [".csv", ".h5", ".mat", ".npy", ".npz", ".tif", ".tsv"])
def test_a_corrupt_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"spoilt{suffix}"
    path.write_bytes(bytes(range(128, 256)) * 8)
    with pytest.raises(DataError, match=f"spoilt{suffix} "):
        read_array(ArrayLocation(path))
    with pytest.raises(DataError, match=f"spoilt{suffix} "):
        list_arrays(path)


def test_signals_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("speed,state\n0.5,run\n1,rest\n")
    location = ArrayLocation(tmp_path / "b.csv")
    assert list_signals(location) == ("speed", "state")
    assert read_signal(location, "speed").tolist() == [0.5, 1.0]
    assert read_signal(location, "state").tolist() == ["run", "rest"]
    with pytest.raises(
        MissingDataError, match="no signal 'sped'; its signals are speed, state; did you mean 's"
    ):
        read_signal(location, "sped")


def test_signals_of_a_mat_file_are_made_flat(tmp_path: Path) -> None:
    path = tmp_path / "b.mat"
    content = {"runrest": [[1, 0, 1]], "column": [[1], [2]], "wide": np.ones((2, 3)), "one": 3.0}
    scipy.io.savemat(path, {**content, "data": {"speed": [[4.0, 5.0]]}})
    location = ArrayLocation(path)
    assert list_signals(location) == ("column", "data/speed", "one", "runrest")
    assert read_signal(location, "runrest").tolist() == [1, 0, 1]
    assert read_signal(location, "column").tolist() == [1, 2]
    assert read_signal(location, "one").tolist() == [3.0]
    assert read_signal(ArrayLocation(path, "runrest"), "runrest").shape == (3,)
    assert read_signal(ArrayLocation(path, "data"), "speed").tolist() == [4.0, 5.0]
    assert list_signals(ArrayLocation(path, "data")) == ("speed",)
    with pytest.raises(DataError, match=r"'wide' .* \(2 x 3\); a signal is one value a frame"):
        read_signal(location, "wide")


def test_signals_of_a_group(tmp_path: Path) -> None:
    path = tmp_path / "b.h5"
    with h5py.File(path, "w") as file:
        file["behavior/speed"] = [1.0, 2.0]
        file["behavior/session"] = 7
        file["dff"] = np.zeros((4, 4))
    location = ArrayLocation(path, "behavior")
    assert list_signals(location) == ("speed",)
    assert read_signal(location, "speed").tolist() == [1.0, 2.0]
    with pytest.raises(DataError, match="one value a frame"):
        read_signal(location, "session")
    with pytest.raises(MissingDataError, match="its signals are speed"):
        read_signal(location, "dff")


def test_an_npy_file_has_no_signals(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", np.arange(3))
    with pytest.raises(MissingDataError, match="its signals are none"):
        read_signal(ArrayLocation(tmp_path / "b.npy"), "speed")


def test_paths_that_can_be_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no path holds the character NUL"):
        parse_location("a\0.npy", tmp_path)
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    location = parse_location("a/../x.npy", tmp_path)
    with pytest.raises((DataError, MissingDataError), match=r"x.npy"):
        read_array(location)
    with pytest.raises(DataError, match="no file can be called so: correct the path"):
        read_array(parse_location("y" * 5000 + ".npy", tmp_path))
