"""Arrays saved by numpy: NPY files, memory-mapped, and the members of NPZ files."""

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from corticode.data.readers.lookup import find_name, unreadable
from corticode.errors import DataError

_LIBRARY_ERRORS = (
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def list_arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays: an NPY file's under ``""``, an NPZ file's under their names.

    Raises
    ------
    DataError
        The file is corrupt, or holds Python objects.
    """
    if path.suffix.lower() != ".npz":
        return {"": read_array(path, None).shape}
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                member.removesuffix(".npy"): _read_shape(path, archive, member)
                for member in archive.namelist()
            }
    except _LIBRARY_ERRORS as error:
        raise _explain(path, error) from error


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
    if not _starts_as_npy(path):
        raise DataError(
            f"{path} has no NPY header: it holds Python objects, never loaded, or is of another "
            "format; save the array with numpy.save"
        )
    try:
        array: NDArray[Any] = npy_format.open_memmap(path, mode="r")
    except _LIBRARY_ERRORS as error:
        raise _explain(path, error) from error
    find_name(path, name, {"": array.shape})
    return array


def _starts_as_npy(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(npy_format.MAGIC_PREFIX)) == npy_format.MAGIC_PREFIX


def _read_member(path: Path, name: str) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            array = archive[name]
    except _LIBRARY_ERRORS as error:
        raise _explain(path, error) from error
    return np.asarray(array)


def _read_shape(path: Path, archive: zipfile.ZipFile, member: str) -> tuple[int, ...]:
    """Shape in the header of one member, without reading its values."""
    with archive.open(member) as file:
        if file.read(len(npy_format.MAGIC_PREFIX)) != npy_format.MAGIC_PREFIX:
            raise DataError(
                f"{path} has the member {member!r}, which is not an NPY array; "
                "save the arrays with numpy.savez"
            )
    with archive.open(member) as file:
        version = npy_format.read_magic(file)
        read_header = (
            npy_format.read_array_header_1_0
            if version == (1, 0)
            else npy_format.read_array_header_2_0
        )
        shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise _holds_objects(path, member.removesuffix(".npy"))
    return tuple(shape)


def _holds_objects(path: Path, name: str = "") -> DataError:
    inside = f"{path}::{name}" if name else f"{path}"
    return DataError(
        f"{inside} holds Python objects, never loaded; save it as an array of numbers or text"
    )


def _explain(path: Path, error: BaseException) -> DataError:
    if isinstance(error, DataError):
        return error
    if "object" in str(error).lower() or "pickle" in str(error).lower():
        return _holds_objects(path)
    return unreadable(path, "NPZ" if path.suffix.lower() == ".npz" else "NPY", error)
