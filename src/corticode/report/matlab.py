"""Tables and arrays as MATLAB takes them: names it accepts, columns, characters, one size limit."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.io import savemat

from corticode.data.files import write_with
from corticode.errors import DataError

LONGEST_NAME = 63
# A variable of a MAT file of version 5 must be smaller than this.
MOST_BYTES = 2**31
# What a cell of a cell array takes beside its characters: tags, flags, sizes, name.
CELL_BYTES = 56
# What the file is written with: two bytes a character are stored at most, three in UTF-8.
CHARACTER_BYTES = 3
# `iskeyword` of MATLAB; a field may not be called so.
KEYWORDS = re.compile(
    r"break|case|catch|classdef|continue|else|elseif|end|for|function|global|if|otherwise|parfor|"
    r"persistent|return|spmd|switch|try|while"
)


def matlab_names(names: Iterable[str]) -> dict[str, str]:
    """A name that MATLAB accepts for each name: letters first, 63 characters, no two alike.

    Examples
    --------
    >>> matlab_names(["auc", "n_bouts_näch st", "2nd", "end", "a b", "a_b"])
    {'auc': 'auc', 'n_bouts_näch st': 'n_bouts_n_ch_st', '2nd': 'x2nd', 'end': 'x_end', \
'a b': 'a_b_1', 'a_b': 'a_b'}
    """
    names = list(dict.fromkeys(names))
    legible = {name: _legible(name) for name in names}
    # Names that are accepted as they are keep theirs, whatever stands before them.
    taken = {name for name in names if legible[name] == name}
    found = {}
    for name in names:
        found[name] = name if name in taken else _unlike(legible[name], taken)
        taken.add(found[name])
    return found


def _legible(name: str) -> str:
    found = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not re.match(r"[A-Za-z]", found):
        found = f"x{found}"
    if KEYWORDS.fullmatch(found):
        found = f"x_{found}"
    return found[:LONGEST_NAME]


def _unlike(name: str, taken: set[str]) -> str:
    """A name like this one that is not taken; its number lies within the 63 characters."""
    number, found = 0, name
    while found in taken:
        number += 1
        end = f"_{number}"
        found = name[: LONGEST_NAME - len(end)] + end
    return found


def matlab_struct(table: pd.DataFrame) -> dict[str, Any]:
    """A table as a struct of columns: numbers (n x 1, NaN where there is none), or cells of text.

    Columns whose names MATLAB does not take are renamed; the field ``column_names`` holds all of
    them as they were, in the order of the fields.

    Examples
    --------
    >>> found = matlab_struct(pd.DataFrame({"animal": ["m1", "m2"], "auc": [0.9, None]}))
    >>> found["auc"].shape, found["animal"][1, 0], list(found)
    ((2, 1), 'm2', ['animal', 'auc', 'column_names'])
    """
    names = matlab_names(map(str, table.columns))
    columns = {names[str(name)]: matlab_column(table[name]) for name in table.columns}
    last = _unlike("column_names", set(columns))
    return columns | {last: matlab_cells(map(str, table.columns))}


def matlab_column(values: pd.Series) -> NDArray[Any]:
    """One column, shape (n, 1): logical, double (NaN where there is no value) or cells of text."""
    if pd.api.types.is_bool_dtype(values.dtype) and not values.isna().any():
        return values.to_numpy(dtype=bool)[:, None]
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)[:, None]
    return matlab_cells("" if pd.isna(value) else str(value) for value in values)


def matlab_cells(texts: Iterable[str]) -> NDArray[np.object_]:
    """Texts as a column of cells (cellstr), shape (n, 1)."""
    found = list(texts)
    cells = np.empty((len(found), 1), dtype=object)
    cells[:, 0] = found
    return cells


def write_mat(path: Path, variables: Mapping[str, Any]) -> None:
    """Write variables as a MAT file of version 5, compressed, whole or not at all.

    Parameters
    ----------
    path
        The file.
    variables
        By name: arrays, texts, cells, and structs of them as mappings.

    Raises
    ------
    DataError
        A name that MATLAB does not take, or a variable of 2 GB or more.
    RunError
        It cannot be written.
    """
    _check_names(path, variables)
    for name, value in variables.items():
        n_bytes = size_bytes(value)
        if n_bytes >= MOST_BYTES:
            raise DataError(
                f"variable {name!r} of {path.name} takes {n_bytes / 1e9:.1f} GB, and a MAT file of "
                "version 5 takes less than 2.1 GB a variable; export as csv instead"
            )
    # One column stays one: vectors of one axis would else become rows.
    content = dict(variables)
    write_with(
        path,
        lambda file: savemat(
            file, content, do_compression=True, long_field_names=True, oned_as="column"
        ),
    )


def _check_names(path: Path, variables: Mapping[str, Any]) -> None:
    for name, value in variables.items():
        if matlab_names([name])[name] != name:
            raise DataError(f"{path.name}: MATLAB takes no variable or field called {name!r}")
        if isinstance(value, Mapping):
            _check_names(path, value)


def size_bytes(value: Any) -> int:
    """How much a variable takes in a MAT file before compression; of cells rather too much.

    Examples
    --------
    >>> size_bytes({"auc": np.zeros((10, 1))}), size_bytes("text")
    (80, 12)
    """
    if isinstance(value, Mapping):
        return sum(map(size_bytes, value.values()))
    if isinstance(value, str):
        return CHARACTER_BYTES * len(value)
    array = np.asarray(value)
    if array.dtype != object:
        return int(array.nbytes)
    return sum(CELL_BYTES + size_bytes(cell) for cell in array.ravel())
