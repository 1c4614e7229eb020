"""Tables of text, CSV and TSV: each column is one array."""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.readers.lookup import check_memory, find_name, reading
from corticode.errors import DataError, some

NUMBER = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?")
# A session asks a table for each of its signals, and for times: it is parsed once. A larger one is
# parsed for each column that is asked for, so that all of it is never in memory.
_KEPT_TABLES, _KEPT_BYTES = 2, 2**28
_SHOWN = 20
# Its text, its lines and its numbers, as parts of the file.
_MEMORY_OF_TEXT = 3


def list_arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """The columns of a table, each with its number of rows.

    Raises
    ------
    DataError
        A column has no name or two have the same, the separator is another, or the file is not
        text in UTF-8.
    """
    table = _table_at(path)
    return dict.fromkeys(table.header, (table.n_rows,))


def read_array(path: Path, name: str | None) -> NDArray[Any]:
    r"""One column of a CSV (comma) or TSV (tab) file.

    Parameters
    ----------
    path
        The file: UTF-8, its first line the names of the columns.
    name
        The column; None where there is only one.

    Returns
    -------
    NDArray, shape (row,)
        Numbers as they are, missing ones NaN; or text, where missing is ``""``.

    Raises
    ------
    MissingDataError
        There is no such column.
    DataError
        A column has no name or two have the same, a row is too long, the file is not UTF-8, or
        has another separator or decimal commas.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "behavior.csv"
    >>> _ = path.write_text("speed,state\n0.5,run\n,\n")
    >>> read_array(path, "speed"), read_array(path, "state")
    (array([0.5, nan]), array(['run', ''], dtype='<U3'))
    """
    table = _table_at(path)
    column = find_name(path, name, dict.fromkeys(table.header, (table.n_rows,)))
    with reading(path, "a table"):
        values = table.values(column)
        if pd.api.types.is_numeric_dtype(values):
            return np.array(values)  # what is kept is never handed out
        _refuse_decimal_commas(path, column, values)
        return table.texts(column).to_numpy(dtype=object).astype(np.str_)


@dataclass(frozen=True)
class _Table:
    """A table as it was read: its columns, and the text of the rows below their names."""

    path: Path
    header: list[str]
    text: str
    n_rows: int

    def values(self, column: str) -> "pd.Series[Any]":
        """A column, of numbers where all of it are."""
        place = self._places[column]
        return self._parsed[place] if self._is_kept else self._parse([place])[place]

    def texts(self, column: str) -> "pd.Series[Any]":
        """A column as it was written: "None" or "NA" may be the name of a category."""
        place = self._places[column]
        as_text = {"dtype": str, "keep_default_na": False}
        return self._texts[place] if self._is_kept else self._parse([place], **as_text)[place]

    @property
    def _is_kept(self) -> bool:
        return len(self.text) <= _KEPT_BYTES

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.header)}

    @cached_property
    def _parsed(self) -> pd.DataFrame:
        return self._parse(None)

    @cached_property
    def _texts(self) -> pd.DataFrame:
        return self._parse(None, dtype=str, keep_default_na=False)

    def _parse(self, places: list[int] | None, **options: Any) -> pd.DataFrame:
        # Blank lines are kept, as missing values: leaving them out would shift what follows.
        rows: pd.DataFrame = pd.read_csv(
            io.StringIO(self.text),
            sep=_separator(self.path),
            header=None,
            names=range(len(self.header)),
            usecols=places,
            index_col=False,
            skip_blank_lines=False,
            low_memory=False,
            **options,
        )
        return rows


def _table_at(path: Path) -> _Table:
    """The table in a file, read again only where the file is another than before."""
    with reading(path, "a table"):
        found = path.stat()
        return _read_table(path, (found.st_size, found.st_mtime_ns, found.st_ino))


@lru_cache(maxsize=_KEPT_TABLES)
def _read_table(path: Path, state: tuple[int, int, int]) -> _Table:
    header, text, n_rows = _read_text(path)
    return _Table(path, header, text, n_rows)


def _separator(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _refuse_other_separators(path: Path, header: list[str]) -> None:
    """Refuse a table whose columns are parted by what another kind of table is parted by."""
    if len(header) != 1:
        return
    others = {",": "commas", ";": "semicolons", "\t": "tabs"}
    needed = others.pop(_separator(path))
    for separator, name in others.items():
        if separator in header[0]:
            rename = ", or name the file .tsv" if name == "tabs" else ""
            raise DataError(
                f"{path} is separated by {name}; a {path.suffix} table needs {needed} between "
                f"values and a point in decimals (0.5): save it so{rename}"
            )


def _refuse_decimal_commas(path: Path, column: str, values: "pd.Series[Any]") -> None:
    """Refuse a column of numbers as 0,5: it would pass for text, and as classes be decoded."""
    filled = values.dropna().astype(str).str.strip()
    filled = filled[filled != ""]
    is_number = filled.str.fullmatch(NUMBER)
    if is_number.all() and filled.str.contains(",", regex=False).any():
        example = filled[filled.str.contains(",", regex=False)].iloc[0]
        raise DataError(
            f"{path}, column {column!r} has decimal commas ({example}); write decimals with a "
            f"point, as in {example.replace(',', '.')}"
        )


def _read_text(path: Path) -> tuple[list[str], str, int]:
    """Names of the columns, and the rows below them, without blank lines at the end."""
    with reading(path, "a table of UTF-8 text"):
        check_memory(path, "its table", _MEMORY_OF_TEXT * path.stat().st_size)
        content = path.read_text(encoding="utf-8-sig")
        lines = io.StringIO(content.rstrip() and content.rstrip("\r\n") + "\n")
        rows = csv.reader(lines, delimiter=_separator(path), strict=True)
        header = [name.strip() for name in next(rows, [])]
        text = lines.read()
        lengths = [len(row) for row in csv.reader(io.StringIO(text), rows.dialect, strict=True)]
    _refuse_other_separators(path, header)
    if not any(header):
        raise DataError(f"{path} has no header; its first line must name the columns")
    unnamed = [str(k + 1) for k, name in enumerate(header) if not name]
    if unnamed:
        raise DataError(f"{path} has no name for column {some(unnamed, _SHOWN)}; name or delete it")
    repeated = sorted(name for name, times in Counter(header).items() if times > 1)
    if repeated:
        raise DataError(
            f"{path} has more than one column {some([repr(name) for name in repeated], _SHOWN)}; "
            "rename all but one"
        )
    for k, length in enumerate(lengths):
        if length not in (0, len(header)):
            raise DataError(
                f"{path} has {length} values in row {k + 2} for {len(header)} columns; "
                "give each row one value a column, decimals with a point, and quote text that "
                "holds the separator"
            )
    return header, text, len(lengths)
