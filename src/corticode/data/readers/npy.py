"""Arrays saved by numpy: NPY files, memory-mapped, and the members of NPZ files."""

import zipfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from corticode.data.readers.lookup import check_claim, find_name, reading
from corticode.data.readers.unpacked import BLOCK_BYTES, unpacked
from corticode.errors import DataError

_MAGIC = npy_format.MAGIC_PREFIX
_LONGEST_HEADER = 65_536


def list_arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays: an NPY file's under ``""``, an NPZ file's under their names.

    Raises
    ------
    DataError
        The file is corrupt, or holds Python objects.
    """
    if path.suffix.lower() != ".npz":
        return {"": read_array(path, None).shape}
    with reading(path, "NPZ"), zipfile.ZipFile(path) as archive:
        return {
            member.filename.removesuffix(".npy"): _read_header(path, archive, member)[0]
            for member in archive.infolist()
        }


def read_array(path: Path, name: str | None) -> NDArray[Any]:
    """The array of an NPY file, memory-mapped and read-only, or one member of an NPZ file.

    Parameters
    ----------
    path
        The file.
    name
        Name of an NPZ file's array, or None where it holds only one. It is looked up, never
        used as a path: nothing is unpacked to the disk.

    Raises
    ------
    MissingDataError
        The NPZ file has no such array.
    DataError
        The file is corrupt, or holds Python objects, which are never loaded.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "traces.npy"
    >>> np.save(path, np.zeros((100, 50)))
    >>> read_array(path, None).shape
    (100, 50)
    """
    if path.suffix.lower() == ".npz":
        return _read_member(path, find_name(path, name, list_arrays(path)))
    with reading(path, "NPY"):
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
        if start != _MAGIC:
            raise DataError(
                f"{path} has no NPY header: it holds Python objects, never loaded, or is of "
                "another format; save the array with numpy.save"
            )
        array = _map(path)
    find_name(path, name, {"": array.shape})
    return array


def _map(path: Path) -> NDArray[Any]:
    """The array of an NPY file, which is mapped and not read."""
    with path.open("rb") as file:
        shape, turned, dtype = _parse_header(path, "", file)
        start = file.tell()
        n_bytes, file_bytes = dtype.itemsize * prod(shape), path.stat().st_size
        check_claim(path, "its array", n_bytes, file_bytes - start, packed=False, held=False)
        if not n_bytes:
            return np.empty(shape, dtype)
    array: NDArray[Any] = np.memmap(
        path, dtype, mode="r", offset=start, shape=shape, order="F" if turned else "C"
    )
    return array


def _read_member(path: Path, name: str) -> NDArray[Any]:
    with reading(path, "NPZ"), zipfile.ZipFile(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        shape, turned, dtype = _read_header(path, archive, members[name])
        lies = shape[::-1] if turned else shape

        def blocks() -> Iterator[NDArray[Any]]:
            with archive.open(members[name]) as file:
                _parse_header(path, name, file)
                yield from _blocks_in(file, lies, dtype)

        if len(shape) >= 3:
            values = unpacked(path, name, lies, dtype, blocks)
        else:
            values = np.concatenate([np.empty((0, *lies[1:]), dtype), *blocks()]).reshape(lies)
        return values.T if turned else values


def _blocks_in(file: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """An open member's values, some of the first axis at a time; no more than its header claims."""
    n_row = prod(shape[1:]) * dtype.itemsize
    n_rows = shape[0] if shape else 1
    step = max(1, BLOCK_BYTES // max(1, n_row))
    for first in range(0, n_rows if n_row else 0, step):
        n_here = min(step, n_rows - first)
        content = file.read(n_here * n_row)
        yield np.frombuffer(content, dtype).reshape(n_here, *shape[1:])
    file.read(1)  # its check sum


def _read_header(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of one member, without reading its values."""
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise DataError(
                f"{path} has the member {member.filename!r}, which is not an NPY array; "
                "save the arrays with numpy.savez"
            )
    with archive.open(member) as file:
        shape, turned, dtype = _parse_header(path, name, file)
    n_stored = min(member.compress_size, path.stat().st_size)
    is_packed = member.compress_type != zipfile.ZIP_STORED
    n_bytes, is_held = dtype.itemsize * prod(shape), len(shape) < 3  # others go into a file
    check_claim(path, repr(name), n_bytes, n_stored, packed=is_packed, held=is_held)
    return shape, turned, dtype


def _parse_header(path: Path, name: str, file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether axes are turned (Fortran's order), and type, from an open NPY file."""
    version = npy_format.read_magic(file)
    read = npy_format.read_array_header_1_0
    if version != (1, 0):
        read = npy_format.read_array_header_2_0
    shape, turned, dtype = read(file, max_header_size=_LONGEST_HEADER)
    if dtype.hasobject:
        raise _holds_objects(path, name)
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    return tuple(map(int, shape)), bool(turned), dtype


def _holds_objects(path: Path, name: str = "") -> DataError:
    inside = f"{path}::{name}" if name else f"{path}"
    return DataError(
        f"{inside} holds Python objects, never loaded; save it as an array of numbers or text"
    )
