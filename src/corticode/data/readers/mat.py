"""Arrays in MATLAB's MAT files: v5 to v7 and v7.3 (HDF5), alike in values and axes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from corticode.data.readers import hdf5
from corticode.data.readers.lookup import describe_contents, find_name, reading
from corticode.data.readers.mat5 import NotRead, find_variables, read_variable
from corticode.data.readers.unpacked import kept, unpacked
from corticode.errors import DataError

# MATLAB has no more axes than these; an empty array is stored as its size.
_MOST_AXES, _DEEPEST = 32, 32


def list_arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and MATLAB sizes of the variables; a struct's fields are ``struct.field``.

    Raises
    ------
    DataError
        The file is corrupt, or not a MAT file.
    """
    with reading(path, "MAT"):
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return dict(_list_new(path, file, "", 0))
        listed: dict[str, tuple[int, ...]] = {}
        for variable in find_variables(path):
            value = read_variable(path, variable) if variable.is_struct else None
            fields = _list_fields(variable.name, value) if isinstance(value, dict) else ()
            listed |= dict(fields or [(variable.name, variable.shape)])
        return listed


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
    >>> import tempfile, scipy.io
    >>> path = Path(tempfile.mkdtemp()) / "session.mat"
    >>> scipy.io.savemat(path, {"dat_roi": np.zeros((50, 100))})
    >>> read_array(path, "dat_roi").shape
    (50, 100)
    """
    with reading(path, "MAT"):
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
    >>> import tempfile, scipy.io
    >>> path = Path(tempfile.mkdtemp()) / "signal_5mice.mat"
    >>> cell = np.empty((1, 2), dtype=object)
    >>> cell[0, 0], cell[0, 1] = np.zeros((50, 30)), np.zeros((50, 20))
    >>> scipy.io.savemat(path, {"signal1": cell})
    >>> [array.shape for array in read_cells(path, "signal1")]
    [(50, 30), (50, 20)]
    """
    with reading(path, "MAT"):
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
    if not h5py.is_hdf5(path):
        return _find_old(path, wanted)
    with h5py.File(path, "r") as file:
        if wanted is not None:
            # First, so that a link out of the file is told as such.
            hdf5.find_inside(path, file, wanted.replace(".", "/"))
        shapes = list_arrays(path)
        if not shapes:
            hdf5.refuse_links(path, file)
        found = find_name(path, wanted, shapes)
        return found, _load_new(path, file, file[found.replace(".", "/")], 0)


def _find_old(path: Path, wanted: str | None) -> tuple[str, Any]:
    """The same in files before v7.3: nothing but the variable itself is read."""
    variables = {variable.name: variable for variable in find_variables(path)}
    name, *fields = wanted.split(".") if wanted is not None else ("",)
    if wanted is None or name not in variables or variables[name].is_struct:
        found = find_name(path, wanted, list_arrays(path))
        name, *fields = found.split(".")
    elif fields:
        find_name(path, wanted, list_arrays(path))
    is_movie = len(variables[name].shape) > 2 and variables[name].is_compressed and not fields
    if is_movie and (movie := kept(path, name)) is not None:
        return name, movie.T
    value = read_variable(path, variables[name])
    if is_movie and isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        turned = value.T
        return name, unpacked(path, name, turned.shape, turned.dtype, lambda: [turned]).T
    for field in fields:
        value = value[field]
    return ".".join([name, *fields]), value


def _as_array(path: Path, name: str, value: Any) -> NDArray[Any]:
    """`value` if it is numbers or text; a cell of text as an array of text."""
    ways_out = {
        "sparse": f"sparse; save full({name}) in MATLAB",
        "struct array": "a struct array; save its fields as variables",
        "object": "a MATLAB object (string, table, datetime); save it in MATLAB as numbers or char",
    }
    kind = value.kind if isinstance(value, NotRead) else "struct array"
    if not isinstance(value, np.ndarray):
        raise DataError(f"{path}::{name} is {ways_out[kind]}")
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


def _list_fields(name: str, value: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Fields of a 1 x 1 struct, those of inner structs too; anything else as it is."""
    if not isinstance(value, dict):
        yield name, value.shape
        return
    for field, inner in value.items():
        yield from _list_fields(f"{name}.{field}", inner)


def _class_of(item: Any) -> str:
    kind = item.attrs.get("MATLAB_class", b"")
    return kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)


def _list_new(
    path: Path, group: Any, prefix: str, depth: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Variables, or fields, in a group of a v7.3 file; links are left out."""
    if depth > _DEEPEST:
        raise DataError(
            f"{path} holds groups within groups more than {_DEEPEST} deep, as where a group holds "
            "itself; copy or export it again"
        )
    for key in group:
        # MATLAB keeps the values of cells in #refs#, and of objects in #subsystem#.
        if key.startswith("#") or not isinstance(group.get(key, getlink=True), h5py.HardLink):
            continue
        item = group[key]
        if isinstance(item, h5py.Dataset):
            yield prefix + key, _size_of(item)
        elif "MATLAB_sparse" in item.attrs:
            yield prefix + key, (int(item.attrs["MATLAB_sparse"]), 0)
        elif isinstance(item, h5py.Group):
            yield from _list_new(path, item, f"{prefix}{key}.", depth + 1)


def _size_of(item: Any) -> tuple[int, ...]:
    """MATLAB's size of a dataset: an empty array is stored as its size."""
    if not item.attrs.get("MATLAB_empty"):
        return tuple(reversed(item.shape or ()))
    if item.size is None or not 1 <= item.size <= _MOST_AXES or item.dtype.kind not in "iuf":
        raise ValueError(f"{item.name} says that it is empty and holds {item.size} values")
    size = tuple(int(length) for length in item[()].reshape(-1))
    if 0 not in size or min(size) < 0:
        raise ValueError(f"{item.name} says that it is empty, of {' x '.join(map(str, size))}")
    return size


def _load_new(path: Path, file: h5py.File, item: Any, depth: int) -> Any:
    """An array of a v7.3 file with MATLAB's axes; a cell as an object array of arrays."""
    if not isinstance(item, h5py.Dataset):
        kind = "sparse; save full()" if "MATLAB_sparse" in item.attrs else "a struct; name a field"
        raise DataError(f"{path}::{(item.name or '').lstrip('/')} is {kind}")
    hdf5.refuse_elsewhere(path, item)
    kind = _class_of(item)
    if "MATLAB_object_decode" in item.attrs:
        return NotRead("object")
    if item.attrs.get("MATLAB_empty"):
        types = {"cell": object, "char": np.str_, "logical": np.bool_, "single": np.float32}
        return np.empty(_size_of(item), dtype=types.get(kind, np.float64))
    if item.dtype == h5py.ref_dtype:
        return _load_cell(path, file, item, depth)
    values = hdf5.read_dataset(path, item).T
    if kind == "char":
        rows = ["".join(map(chr, row)).rstrip() for row in values.tolist()]
        return np.array(rows, dtype=np.str_)
    if kind == "logical":
        return values.astype(np.bool_)
    return values


def _load_cell(path: Path, file: h5py.File, item: Any, depth: int) -> NDArray[Any]:
    if depth > _DEEPEST:
        raise ValueError(f"cells are nested more than {_DEEPEST} deep")
    hdf5.check_size(path, item)
    references = item[()].T
    cell = np.empty(references.shape, dtype=object)
    for index in np.ndindex(*references.shape):
        cell[index] = _load_new(path, file, file[references[index]], depth + 1)
    return cell
