"""Movies that are stored compressed, unpacked once into a file that is mapped from then on.

What is unpacked lies in the user's cache folder under the hash of the file it came from, so that
``check``, each worker and each fit map the same frames and none holds them in memory.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from corticode.data.files import cache_folder, fingerprint
from corticode.data.readers.lookup import check_memory
from corticode.errors import DataError, RunError

# Smaller arrays are unpacked into memory, as quickly as a file would be mapped.
SMALLEST_BYTES = 2**22
# As much of a movie is unpacked at a time, so long as its chunks allow it.
BLOCK_BYTES = 2**25
KEPT_DAYS = 30
DAY_S = 86_400


def unpacked(
    path: Path,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    blocks: Callable[[], Iterable[NDArray[Any]]],
) -> NDArray[Any]:
    """A compressed array, read-only: mapped from where it is unpacked, small ones in memory.

    Parameters
    ----------
    path
        The file that it is in.
    name
        Its name there; empty where the file is one array.
    shape, dtype
        What it will be. Arrays of fewer than three axes are never kept.
    blocks
        Gives its values, some of the first axis at a time, in order. Called only where it was not
        unpacked before.

    Raises
    ------
    DataError
        There is no room for it, on the disk of the cache folder or in memory.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.h5"
    >>> unpacked(path, "x", (2, 3), np.dtype("u1"), lambda: [np.ones((2, 3), "u1")]).tolist()
    [[1, 1, 1], [1, 1, 1]]
    """
    n_bytes = prod(shape) * dtype.itemsize
    if len(shape) < 3 or n_bytes < SMALLEST_BYTES:
        return _in_memory(path, name, shape, dtype, blocks)
    try:
        place = _place(path, name)
        # What is there was put there whole: only who fills it needs the lock.
        if (found := _mapped(place, shape, dtype)) is not None:
            return found
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock"):
            if (found := _mapped(place, shape, dtype)) is not None:
                return found
            _forget_old(place.parent)
            _check_room(path, place.parent, n_bytes)
            _fill(place, shape, dtype, blocks())
        made: NDArray[Any] = np.load(place, mmap_mode="r")
        return made
    except (OSError, RuntimeError) as error:
        if isinstance(error, RunError | DataError):
            raise
        # There is no folder that can be written in.
        return _in_memory(path, name, shape, dtype, blocks)


def kept(path: Path, name: str) -> NDArray[Any] | None:
    """An array that was unpacked before, mapped; None: it was not."""
    with suppress(OSError, RuntimeError):
        return _mapped(_place(path, name))
    return None


def room_taken(arrays: Iterable[object]) -> tuple[int, int]:
    """How many files of unpacked movies arrays are mapped from, and their bytes.

    Examples
    --------
    >>> room_taken([np.zeros(3), None])
    (0, 0)
    """
    with suppress(OSError, RuntimeError):
        found = {Path(name) for array in arrays if (name := getattr(array, "filename", None))}
        own = [path for path in found if path.parent == unpacked_folder().absolute()]
        return len(own), sum(path.stat().st_size for path in own)
    return 0, 0


def unpacked_folder() -> Path:
    """Where movies are unpacked to; it may be deleted while nothing runs."""
    return cache_folder() / "movies"


def blocks_of(dataset: Any) -> Iterable[NDArray[Any]]:
    """The values of an open HDF5 dataset, whole chunks at a time."""
    n_rows = max(1, BLOCK_BYTES // max(1, prod(dataset.shape[1:]) * dataset.dtype.itemsize))
    chunk = (dataset.chunks or (1,))[0]
    step = max(chunk, n_rows // chunk * chunk)
    for first in range(0, dataset.shape[0], step):
        yield dataset[first : first + step]


def _place(path: Path, name: str) -> Path:
    key = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return unpacked_folder().absolute() / f"{fingerprint(path)}-{key}.npy"


def _mapped(
    place: Path, shape: tuple[int, ...] | None = None, dtype: np.dtype[Any] | None = None
) -> NDArray[Any] | None:
    """What is kept at a place, marked as used; None where nothing is, or something else."""
    if not place.is_file():
        return None
    try:
        found: NDArray[Any] = np.load(place, mmap_mode="r")
    except (ValueError, EOFError):
        return None
    with suppress(OSError):  # a folder that others fill
        place.touch()
    is_it = shape is None or (found.shape, found.dtype) == (shape, dtype)
    return found if is_it else None


def _in_memory(
    path: Path,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    blocks: Callable[[], Iterable[NDArray[Any]]],
) -> NDArray[Any]:
    check_memory(path, repr(name) if name else "its array", prod(shape) * dtype.itemsize)
    values: NDArray[Any] = np.empty(shape, dtype)
    at = 0
    for block in blocks():
        values[at : at + len(block)] = block
        at += len(block)
    return values


def _fill(
    place: Path, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[NDArray[Any]]
) -> None:
    # Written and not mapped: a disk that is full ends a process that writes to what is mapped.
    part = place.with_suffix(".part")
    try:
        with part.open("wb") as file:
            header = {"descr": npy_format.dtype_to_descr(dtype), "fortran_order": False}
            npy_format.write_array_header_2_0(file, header | {"shape": shape})
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype).data)
        part.replace(place)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _check_room(path: Path, folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise DataError(
            f"{path} is compressed; unpacked it takes {n_bytes / 1e9:,.1f} GB, and the disk of "
            f"{folder} has {free / 1e9:,.1f} GB free: free some, name a folder on another disk in "
            "the environment variable CORTICODE_CACHE, or save the movie uncompressed"
        )


def _forget_old(folder: Path) -> None:
    """Delete what nobody has used for a month; of names that are not ours, nothing."""
    for place in folder.glob("*-*.npy"):
        with suppress(OSError):
            if time.time() - place.stat().st_mtime > KEPT_DAYS * DAY_S:
                place.unlink()
                place.with_name(f"{place.name}.lock").unlink(missing_ok=True)
