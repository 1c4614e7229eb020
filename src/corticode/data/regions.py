"""Regions of cortex: their table, and selections by number, name, group or side."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from corticode.data.files import write_text
from corticode.data.readers.lookup import is_file, reading, shortened
from corticode.errors import DataError, MissingDataError, StudyError, some

if TYPE_CHECKING:
    pass

SIDES = ("left", "right")
SHOWN = 5


@dataclass(frozen=True)
class RegionTable:
    """What is known of each region, in the order of the traces.

    Parameters
    ----------
    names
        Region names, one a column of the traces.
    groups
        The groups each region belongs to.
    sides
        ``"left"``, ``"right"`` or empty.
    mirrors
        Name of the partner on the other side, or empty.
    rows, columns
        Centre in pixels, or NaN.
    pixels
        How many pixels each region has in the label image beside the table, whose number k is the
        k-th region; empty where the table says nothing of that.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()
    sides: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    rows: tuple[float, ...] = ()
    columns: tuple[float, ...] = ()
    pixels: tuple[float, ...] = ()


def read_region_names(path: Path) -> tuple[str, ...]:
    """Region names from a text file, one a line.

    Raises
    ------
    MissingDataError
        The file is not there.
    DataError
        It is empty or names a region twice.
    """
    if not is_file(path):
        raise MissingDataError(
            f"region list {path} does not exist; paths are relative to the catalogue"
        )
    with reading(path, "a region list (UTF-8 text, one name a line)"):
        lines = path.read_text("utf-8-sig").splitlines()
    names = tuple(line.strip() for line in lines if line.strip())
    _check_names(names, path)
    return names


def read_regions(path: Path) -> RegionTable:
    """The table of regions that serves a whole study, from CSV.

    Column ``name`` is needed; ``side``, ``mirror``, ``group`` (several: separated by a
    semicolon), ``row``, ``column`` and ``pixels`` are used where given.

    Raises
    ------
    MissingDataError
        The file is not there.
    DataError
        It is no table, a column is unknown, a name is missing or repeated, a side is neither left
        nor right, a mirror is no region, or a centre is not a number.
    """
    import pandas as pd

    if not is_file(path):
        raise MissingDataError(
            f"region table {path} does not exist; paths are relative to the study file"
        )
    with reading(path, "a region table (CSV in UTF-8)"):
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    if not isinstance(table.index, pd.RangeIndex):
        # pandas takes the cells in excess for row labels and shifts the others.
        raise DataError(
            f"region table {path} has rows of more cells than its {len(table.columns)} columns; "
            "put values that hold a comma in double quotes"
        )
    table.columns = table.columns.str.strip()
    known = ("name", "side", "mirror", "group", "row", "column", "pixels")
    unknown = [column for column in table.columns if column not in known]
    if len(table.columns) == 1 and re.search(r"[;\t]", table.columns[0]):
        raise DataError(
            f"region table {path} is separated by semicolons or tabs; save it with commas "
            "(several groups of one region are parted by semicolons)"
        )
    if unknown or "name" not in table.columns:
        raise DataError(
            f"{path} has columns {shortened(some(list(table.columns), 20))}; a region table has "
            f"'name' and may have {', '.join(known[1:])}"
        )
    names = tuple(table["name"].str.strip())
    _check_names(names, path)

    def column(key: str) -> list[str]:
        return [text.strip() for text in table[key]] if key in table else [""] * len(names)

    def numbers(key: str) -> tuple[float, ...]:
        try:
            return tuple(float(text or "nan") for text in column(key))
        except ValueError as error:
            raise DataError(
                f"{path}, column {key!r}: {error}; give pixels or leave blank"
            ) from error

    _check_known(column("side"), SIDES, f"{path}, column 'side'")
    _check_mirrors(names, column("mirror"), path)
    return RegionTable(
        names,
        tuple(
            tuple(part.strip() for part in text.split(";") if part.strip())
            for text in column("group")
        ),
        tuple(column("side")),
        tuple(column("mirror")),
        numbers("row"),
        numbers("column"),
        numbers("pixels") if "pixels" in table else (),
    )


def regions_beside(labels_path: Path) -> Path | None:
    """The table that `corticode regions` wrote beside a label image; None: there is none.

    A table is taken for it only if it says how many pixels each region has.
    """
    path = labels_path.with_name("regions.csv")
    if not is_file(path):
        return None
    try:
        return path if read_regions(path).pixels else None
    except DataError:
        return None


def write_regions(path: Path, table: RegionTable) -> None:
    """Write a table of regions as `read_regions` reads it; what is not known stays blank.

    Raises
    ------
    RunError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "regions.csv"
    >>> write_regions(path, RegionTable(("a", "b"), (("x", "y"), ()), rows=(1.5, np.nan)))
    >>> print(path.read_text())
    name,group,row
    a,x;y,1.5
    b,,
    <BLANKLINE>
    """
    columns: dict[str, Sequence[object]] = {
        "name": table.names,
        "side": table.sides,
        "mirror": table.mirrors,
        "group": [";".join(groups) for groups in table.groups],
        "row": ["" if np.isnan(row) else f"{row:g}" for row in table.rows],
        "column": ["" if np.isnan(column) else f"{column:g}" for column in table.columns],
        "pixels": [f"{count:g}" for count in table.pixels],
    }
    held = {name: values for name, values in columns.items() if values}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(held)
    writer.writerows(zip(*held.values(), strict=True))
    write_text(path, text.getvalue())


def _check_known(entries: Sequence[str], known: Sequence[str], where: str) -> None:
    for entry in entries:
        if entry and entry not in known:
            near = get_close_matches(entry.lower(), known, n=1)
            way_out = f"did you mean {near[0]!r}?" if near else f"it holds {', '.join(known[:5])}"
            raise DataError(f"{where} holds {entry!r}; {way_out}")


def _check_mirrors(names: Sequence[str], mirrors: Sequence[str], path: Path) -> None:
    """Refuse partners that have no row of their own, all of them at once."""
    missing = [(mirror, name) for name, mirror in zip(names, mirrors, strict=True) if mirror]
    known = set(names)
    missing = [(mirror, name) for mirror, name in missing if mirror not in known]
    if not missing:
        return
    shown = some([f"{mirror!r} (mirror of {name!r})" for mirror, name in missing], SHOWN)
    raise DataError(
        f"{path}, column 'mirror', names what has no row among its {len(names)}: {shown}; add the "
        "row, or correct the mirror or leave it blank"
    )


def _check_names(names: Sequence[str], path: Path) -> None:
    if not names or "" in names:
        raise DataError(f"{path} must name every region; {len(names)} lines, some of them empty")
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        named = shortened(some(repeated, SHOWN))
        raise DataError(f"{path} names {named} more than once")


def select_regions(
    selection: Sequence[int | str] | None, names: Sequence[str], table: RegionTable | None = None
) -> NDArray[np.bool_]:
    """Which regions a selection keeps: True for each kept one.

    Parameters
    ----------
    selection
        Numbers (1-based, the place in the region list), names, groups, sides (``"left"``,
        ``"right"``). A leading ``"not"`` keeps all the others. None keeps all.
    names
        The regions of the traces, in order.
    table
        Where groups and sides are looked up.

    Returns
    -------
    NDArray
        bool, shape (region,).

    Raises
    ------
    StudyError
        An entry is unknown (with the likely one), or nothing is kept.

    Examples
    --------
    >>> select_regions([1, "c"], ["a", "b", "c"])
    array([ True, False,  True])
    >>> select_regions(["not", "b"], ["a", "b", "c"])
    array([ True, False,  True])
    """
    kept = np.zeros(len(names), dtype=np.bool_)
    if selection is None:
        return ~kept
    entries = list(selection)
    for entry in entries:
        if isinstance(entry, str) and entry.startswith("not ") and entry not in names:
            others = [e.removeprefix("not ").strip() if isinstance(e, str) else e for e in entries]
            apart = json.dumps(["not", *(e for e in others if e != "not")])
            raise StudyError(
                f"regions holds {entry!r}; 'not' is an entry of its own, the first: "
                f"regions = {apart} keeps all the others"
            )
    inverted = bool(entries) and entries[0] == "not"
    for entry in entries[1:] if inverted else entries:
        kept |= _find(entry, names, table)
    if inverted:
        kept = ~kept
    if not kept.any():
        raise StudyError(f"regions = {entries} keeps no region; name at least one")
    return kept


def _way_out(entry: str, known: Sequence[str], table: RegionTable | None) -> str:
    """The likely name, or some of those there are and where names come from."""
    near = get_close_matches(entry, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    shown = ", ".join(known[:SHOWN]) + ", ..." * (len(known) > SHOWN)
    if table is None:
        shown += "; names, groups and sides come from a table that [data] regions names"
    return f"; there are {shown}"


def _find(entry: int | str, names: Sequence[str], table: RegionTable | None) -> NDArray[np.bool_]:
    order = np.arange(len(names))
    if isinstance(entry, int):
        if str(entry) in names:
            return np.asarray(order == list(names).index(str(entry)))
        # The number is the place in the study's list, which a region left out does not shift.
        listed = table.names if table is not None else names
        if not 1 <= entry <= len(listed):
            raise StudyError(f"region number {entry} is not among 1 to {len(listed)}")
        return np.asarray([name == listed[entry - 1] for name in names])
    if entry in names:
        return np.asarray(order == list(names).index(entry))
    described = (
        {} if table is None else dict(zip(table.names, range(len(table.names)), strict=True))
    )
    hit = np.zeros(len(names), dtype=np.bool_)
    if table is not None:
        for k, name in enumerate(names):
            place = described.get(name)
            if place is not None:
                groups = table.groups[place] if table.groups else ()
                side = table.sides[place] if table.sides else ""
                hit[k] = entry in groups or bool(side and entry == side)
    if not hit.any():
        known = [*names]
        if table is not None:
            known += sorted({group for groups in table.groups for group in groups})
            known += sorted(set(table.sides) - {""})
        raise StudyError(
            f"regions holds {entry!r}, which is no region, group or side"
            f"{_way_out(str(entry), known, table)}"
        )
    return hit
