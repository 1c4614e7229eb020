"""Tables of text, CSV and TSV: each column is one array."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.readers.lookup import find_name, unreadable
from corticode.errors import DataError

NUMBER = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?")


def list_arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """The columns of a table, each with its number of rows.

    Raises
    ------
    DataError
        A column has no name or two have the same, the separator is another, or the file is not
        text in UTF-8.
    """
    header, text = _read_text(path)
    n_rows = len(_parse(path, header, text, header[0]))
    return dict.fromkeys(header, (n_rows,))


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
    header, text = _read_text(path)
    column = find_name(path, name, dict.fromkeys(header, (text.count("\n"),)))
    values = _parse(path, header, text, column)
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy()
    _refuse_decimal_commas(path, column, values)
    # Read again as it was written: "None" or "NA" may be the name of a category.
    values = _parse(path, header, text, column, dtype=str, keep_default_na=False)
    return values.to_numpy(dtype=object).astype(np.str_)


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


def _read_text(path: Path) -> tuple[list[str], str]:
    """Names of the columns, and the rows below them, without blank lines at the end."""
    try:
        content = path.read_text(encoding="utf-8-sig")
        lines = io.StringIO(content.rstrip() and content.rstrip("\r\n") + "\n")
        rows = csv.reader(lines, delimiter=_separator(path), strict=True)
        header = [name.strip() for name in next(rows, [])]
        text = lines.read()
        lengths = [len(row) for row in csv.reader(io.StringIO(text), rows.dialect, strict=True)]
    except (UnicodeDecodeError, OSError, csv.Error) as error:
        raise unreadable(path, "a table of UTF-8 text", error) from error
    _refuse_other_separators(path, header)
    if not any(header):
        raise DataError(f"{path} has no header; its first line must name the columns")
    unnamed = [str(k + 1) for k, name in enumerate(header) if not name]
    if unnamed:
        raise DataError(f"{path} has no name for column {', '.join(unnamed)}; name or delete it")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(
            f"{path} has more than one column {', '.join(map(repr, repeated))}; rename all but one"
        )
    for k, length in enumerate(lengths):
        if length not in (0, len(header)):
            raise DataError(
                f"{path} has {length} values in row {k + 2} for {len(header)} columns; "
                "give each row one value a column, decimals with a point, and quote text that "
                "holds the separator"
            )
    return header, text


def _parse(
    path: Path, header: list[str], text: str, column: str, **options: Any
) -> "pd.Series[Any]":
    # Blank lines are kept, as missing values: leaving them out would shift what follows.
    try:
        rows = pd.read_csv(
            io.StringIO(text),
            sep=_separator(path),
            header=None,
            names=range(len(header)),
            usecols=[header.index(column)],
            index_col=False,
            skip_blank_lines=False,
            low_memory=False,
            **options,
        )
    except (ValueError, OverflowError) as error:
        raise unreadable(path, "a table", error) from error
    values: pd.Series[Any] = rows[header.index(column)]
    return values
