"""Compressed movies, unpacked once."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from corticode.data.readers import mat5, tiff, unpacked
from corticode.data.readers.arrays import ArrayLocation, read_array
from corticode.errors import DataError

MOVIE = np.random.default_rng(0).integers(0, 99, (60, 8, 6)).astype(np.uint16)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CORTICODE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(unpacked, "SMALLEST_BYTES", 100)
    for module in (unpacked, tiff):
        monkeypatch.setattr(module, "BLOCK_BYTES", 1000)
    return tmp_path / "cache" / "movies"


def _write(folder: Path, kind: str) -> ArrayLocation:
    path, name = folder / f"movie{kind.partition(' ')[0]}", None
    if path.suffix == ".tif":
        tifffile.imwrite(path, MOVIE, photometric="minisblack", compression=kind.split()[1])
    elif path.suffix == ".h5":
        name = "acquisition/movie"
        with h5py.File(path, "w") as file:
            file.create_dataset(name, data=MOVIE, chunks=(7, 8, 3), compression=kind.split()[1])
    elif path.suffix == ".npz":
        name = "m"
        save = np.savez_compressed if "packed" in kind else np.savez
        save(path, m=np.asfortranarray(MOVIE) if "turned" in kind else MOVIE)
    else:
        name = "m"
        if "v7.3" in kind:
            with h5py.File(path, "w") as file:
                file.create_dataset("m", data=MOVIE.T, chunks=(6, 4, 9), compression="gzip")
        else:
            scipy.io.savemat(path, {"m": MOVIE}, do_compression=True)
    return ArrayLocation(path, name)


KINDS = [
    ".tif zlib",
    ".tif lzw",
    ".tif zstd",
    ".tif lzma",
    ".tif packbits",
    ".h5 gzip",
    ".h5 lzf",
    ".npz packed",
    ".npz packed turned",
    ".npz stored",
    ".mat v5",
    ".mat v7.3",
]


@pytest.mark.parametrize("kind", KINDS)
def test_unpacked_once_and_mapped(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    location = _write(tmp_path, kind)
    first = read_array(location)
    np.testing.assert_array_equal(first, MOVIE)
    assert isinstance(first, np.memmap)
    assert not first.flags.writeable
    assert unpacked.room_taken([first, first[::2], None]) == (1, MOVIE.nbytes + 128)
    (place,) = cache.glob("*.npy")

    def none(*_: object) -> Any:
        raise AssertionError("unpacked again")

    monkeypatch.setattr(unpacked, "_fill", none)
    monkeypatch.setattr(mat5, "_unpack", none)
    again = read_array(location)
    np.testing.assert_array_equal(again, MOVIE)
    assert Path(str(again.filename)) == place  # type: ignore[attr-defined]


def test_a_changed_file_is_unpacked_anew(cache: Path, tmp_path: Path) -> None:
    location = _write(tmp_path, ".tif zlib")
    read_array(location)
    tifffile.imwrite(location.path, MOVIE[::-1], photometric="minisblack", compression="zlib")
    np.testing.assert_array_equal(read_array(location), MOVIE[::-1])
    assert len(list(cache.glob("*.npy"))) == 2


def test_a_spoilt_copy_is_made_again(cache: Path, tmp_path: Path) -> None:
    location = _write(tmp_path, ".h5 gzip")
    read_array(location)
    (place,) = cache.glob("*.npy")
    place.write_bytes(b"spoilt")
    np.testing.assert_array_equal(read_array(location), MOVIE)
    place.write_bytes(place.read_bytes()[:-50])
    np.testing.assert_array_equal(read_array(location), MOVIE)


def test_what_fails_midway_leaves_nothing(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"content")

    def blocks() -> Iterator[np.ndarray]:
        yield MOVIE[:10]
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        unpacked.unpacked(path, "m", MOVIE.shape, MOVIE.dtype, blocks)
    assert not list(cache.glob("*.npy"))
    assert not list(cache.glob("*.part"))


def test_a_disk_that_is_full(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = _write(tmp_path, ".tif zlib")
    monkeypatch.setattr(unpacked.shutil, "disk_usage", lambda _: SimpleNamespace(free=50))
    with pytest.raises(DataError, match=r"unpacked it takes 0.0 GB, .* variable CORTICODE_CACHE"):
        read_array(location)


def test_without_a_folder_it_is_held_in_memory(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CORTICODE_CACHE", str(tmp_path / "file"))
    for kind in (".tif zlib", ".h5 gzip", ".mat v5"):
        read = read_array(_write(tmp_path, kind))
        np.testing.assert_array_equal(read, MOVIE)
        assert unpacked.room_taken([read]) == (0, 0)


def test_a_folder_that_another_filled_is_used(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = _write(tmp_path, ".tif zlib")
    read_array(location)

    def none(*_: object) -> Any:
        raise PermissionError(13, "read only")

    monkeypatch.setattr(unpacked, "FileLock", none)
    monkeypatch.setattr(Path, "touch", none)
    assert isinstance(read_array(location), np.memmap)


def test_what_nobody_used_for_a_month_goes(cache: Path, tmp_path: Path) -> None:
    read_array(_write(tmp_path, ".tif zlib"))
    (place,) = cache.glob("*.npy")
    (cache / "mine.npy").write_bytes(b"not ours")
    past = time.time() - 40 * 86_400
    for path in (place, cache / "mine.npy"):
        os.utime(path, (past, past))
    read_array(_write(tmp_path, ".h5 gzip"))
    assert not place.exists()
    assert (cache / "mine.npy").exists()


def test_small_arrays_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTICODE_CACHE", str(tmp_path / "cache"))
    np.testing.assert_array_equal(read_array(_write(tmp_path, ".tif zlib")), MOVIE)
    assert not (tmp_path / "cache").exists()


def test_a_compression_that_needs_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = _write(tmp_path, ".tif lzw")

    class Lacking(dict[object, object]):
        def __missing__(self, key: object) -> object:
            raise KeyError(f"{key!r} requires the 'imagecodecs' package")

    lacking = SimpleNamespace(DECOMPRESSORS=Lacking(), UNPREDICTORS=Lacking())
    monkeypatch.setattr(tiff.tifffile, "TIFF", lacking)
    with pytest.raises(DataError, match=r"with LZW, which .* pip install 'corticode\[codecs\]'"):
        read_array(location)
