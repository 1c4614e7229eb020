"""Arrays in MATLAB's MAT files: v5 to v7 and v7.3 (HDF5), alike in values and axes."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import scipy.io.matlab
import scipy.sparse
from numpy.typing import NDArray

from corticode.data.readers import hdf5
from corticode.data.readers.lookup import describe_contents, find_name, unreadable
from corticode.errors import CorticodeError, DataError

_LIBRARY_ERRORS = (
    *hdf5.LIBRARY_ERRORS,
    EOFError,
    IndexError,
    NotImplementedError,
    scipy.io.matlab.MatReadError,
    struct.error,
    zlib.error,
)


def list_arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and MATLAB sizes of the variables; a struct's fields are ``struct.field``.

    Raises
    ------
    DataError
        The file is corrupt, or not a MAT file.
    """
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return dict(_list_new(path, file, ""))
        listed: dict[str, tuple[int, ...]] = {}
        for name, shape, kind in scipy.io.whosmat(str(path)):
            if kind == "struct":
                listed.update(_list_fields(name, _load_old(path, name)))
            else:
                listed[name] = tuple(shape)
        return listed
    except CorticodeError:
        raise
    except _LIBRARY_ERRORS as error:
        raise unreadable(path, "MAT", error) from error


def read_array(path: Path, name: str | None) -> NDArray[Any]:
    """One variable of a MAT file; nothing else in the file is read.

    Parameters
    ----------
    path
        The file.
    name
        The variable, or ``struct.field`` (``struct/field`` is the same); None where the file
        holds only one array.

    Returns
    -------
    NDArray
        Axes in MATLAB's order, in every version of the format: what MATLAB calls 50 x 18000 has
        the shape (50, 18000). Logical becomes bool; char and cells of char become text.

    Raises
    ------
    MissingDataError
        The file has no such variable; the message lists what it has, with sizes.
    DataError
        The file is corrupt, or the variable is a cell of arrays, a struct, sparse or an object.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "session.mat"
    >>> scipy.io.savemat(path, {"dat_roi": np.zeros((50, 100))})
    >>> read_array(path, "dat_roi").shape
    (50, 100)
    """
    return _as_array(path, *_find(path, name))


def read_cells(path: Path, name: str) -> list[NDArray[Any]]:
    """The arrays in a 1 x n cell, in order.

    Parameters
    ----------
    path
        The file.
    name
        The cell, or ``struct.field``.

    Returns
    -------
    list of NDArray
        As `read_array` gives each.

    Raises
    ------
    MissingDataError
        The file has no such variable.
    DataError
        It is not a cell, or a cell of more than one row and column.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "signal_5mice.mat"
    >>> cell = np.empty((1, 2), dtype=object)
    >>> cell[0, 0], cell[0, 1] = np.zeros((50, 30)), np.zeros((50, 20))
    >>> scipy.io.savemat(path, {"signal1": cell})
    >>> [array.shape for array in read_cells(path, "signal1")]
    [(50, 30), (50, 20)]
    """
    found, value = _find(path, name)
    if not isinstance(value, np.ndarray) or value.dtype != object:
        raise DataError(f"{path}::{found} is not a cell array; read it as an array")
    if value.ndim != 2 or 1 not in value.shape:
        raise DataError(
            f"{path}::{found} is a cell of {' x '.join(map(str, value.shape))}; "
            "cells are read from 1 x n"
        )
    return [
        _as_array(path, f"{found}{{{k + 1}}}", item) for k, item in enumerate(value.reshape(-1))
    ]


def _find(path: Path, name: str | None) -> tuple[str, Any]:
    """A variable's full name and its value: an array, or an object array for a cell."""
    wanted = None if name is None else name.strip("/").replace("/", ".")
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                if wanted is not None:
                    # First, so that a link out of the file is told as such.
                    hdf5.find_inside(path, file, wanted.replace(".", "/"))
                shapes = list_arrays(path)
                if not shapes:
                    hdf5.refuse_links(path, file)
                found = find_name(path, wanted, shapes)
                return found, _load_new(path, file, file[found.replace(".", "/")])
        found = find_name(path, wanted, list_arrays(path))
        variable, *fields = found.split(".")
        value = _load_old(path, variable)
        for field in fields:
            value = value[field].item()
        return found, value
    except CorticodeError:
        raise
    except _LIBRARY_ERRORS as error:
        raise unreadable(path, "MAT", error) from error


def _as_array(path: Path, name: str, value: Any) -> NDArray[Any]:
    """`value` if it is numbers or text; a cell of text as an array of text."""
    if scipy.sparse.issparse(value):
        raise DataError(f"{path}::{name} is sparse; save full({name}) in MATLAB")
    if not isinstance(value, np.ndarray) or isinstance(value, scipy.io.matlab.MatlabOpaque):
        raise DataError(
            f"{path}::{name} is a MATLAB object (string, table, datetime); "
            "save it in MATLAB as numbers or char"
        )
    if value.dtype.names is not None:
        raise DataError(f"{path}::{name} is a struct array; save its fields as variables")
    if value.dtype != object:
        return value
    items = value.reshape(-1).tolist()
    if items and all(_is_text(item) for item in items):
        texts = [str(item[0]) if item.size else "" for item in items]
        return np.array(texts, dtype=np.str_).reshape(value.shape)
    raise DataError(
        f"{path}::{name} is a cell array ({describe_contents({'cell': value.shape})}); "
        "save each of its arrays as a variable of its own"
    )


def _is_text(item: Any) -> bool:
    is_array = isinstance(item, np.ndarray)
    return is_array and (item.size == 0 or (item.dtype.kind == "U" and item.size == 1))


def _load_old(path: Path, name: str) -> Any:
    # mat_dtype: doubles that were stored as small integers are doubles again, logicals bool.
    # MATLAB's own objects are not given under their names.
    return scipy.io.loadmat(str(path), variable_names=[name], mat_dtype=True).get(name)


def _list_fields(name: str, value: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Fields of a loaded 1 x 1 struct, those of inner structs too; anything else as it is."""
    if value.dtype.names is None or value.size != 1:
        yield name, value.shape
        return
    for field in value.dtype.names:
        yield from _list_fields(f"{name}.{field}", value[field].item())


def _class_of(item: Any) -> str:
    kind = item.attrs.get("MATLAB_class", b"")
    return kind.decode() if isinstance(kind, bytes) else str(kind)


def _list_new(path: Path, group: Any, prefix: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Variables, or fields, in a group of a v7.3 file; links are left out."""
    for key in group:
        # MATLAB keeps the values of cells in #refs#, and of objects in #subsystem#.
        if key.startswith("#") or not isinstance(group.get(key, getlink=True), h5py.HardLink):
            continue
        item = group[key]
        if isinstance(item, h5py.Dataset):
            yield prefix + key, _size_of(item)
        elif "MATLAB_sparse" in item.attrs:
            yield prefix + key, (int(item.attrs["MATLAB_sparse"]), 0)
        else:
            yield from _list_new(path, item, f"{prefix}{key}.")


def _size_of(item: Any) -> tuple[int, ...]:
    """MATLAB's size of a dataset: an empty array is stored as its size."""
    if item.attrs.get("MATLAB_empty"):
        return tuple(int(length) for length in item[()].reshape(-1))
    return tuple(reversed(item.shape))


def _load_new(path: Path, file: h5py.File, item: Any) -> Any:
    """An array of a v7.3 file with MATLAB's axes; a cell as an object array of arrays."""
    if not isinstance(item, h5py.Dataset):
        kind = "sparse; save full()" if "MATLAB_sparse" in item.attrs else "a struct; name a field"
        raise DataError(f"{path}::{(item.name or '').lstrip('/')} is {kind}")
    hdf5.refuse_elsewhere(path, item)
    kind = _class_of(item)
    if "MATLAB_object_decode" in item.attrs:
        return None
    if item.attrs.get("MATLAB_empty"):
        types = {"cell": object, "char": np.str_, "logical": np.bool_, "single": np.float32}
        return np.empty(_size_of(item), dtype=types.get(kind, np.float64))
    if item.dtype == h5py.ref_dtype:
        return _load_cell(path, file, item)
    values = hdf5.read_dataset(path, item).T
    if kind == "char":
        rows = ["".join(map(chr, row)).rstrip() for row in values.tolist()]
        return np.array(rows, dtype=np.str_)
    if kind == "logical":
        return values.astype(np.bool_)
    if values.dtype.names == ("real", "imag"):
        return values["real"] + 1j * values["imag"]
    return values


def _load_cell(path: Path, file: h5py.File, item: Any) -> NDArray[Any]:
    references = item[()].T
    cell = np.empty(references.shape, dtype=object)
    for index in np.ndindex(*references.shape):
        cell[index] = _load_new(path, file, file[references[index]])
    return cell
