"""What can be wrong with a catalogue's header and rows, each fault in words.

The rules look at cells as they were typed, blank ones left out, and never open the files named.
"""

import datetime
import math
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from corticode.data.readers.arrays import check_suffix, parse_location
from corticode.data.readers.lookup import guess
from corticode.errors import DataError

MOVIE_AXES = ("time", "row", "column")
TRACES_AXES = ("time", "region")
CHANNELS = ("calcium", "reference")
LOCATION_COLUMNS = (
    "behavior",
    "traces",
    "movie",
    "movie_reference",
    "frame_times",
    "behavior_times",
)

# Columns of one's own, which nothing reads.
NOTE = "note"

# A row: its number in a spreadsheet, where the header is row 1, and its filled cells by column.
Row = tuple[int, dict[str, str]]


def row_faults(number: int, cells: dict[str, str], folder: Path) -> Iterator[str]:
    """What is wrong with one row of a catalogue in `folder`, taken by itself.

    Examples
    --------
    >>> cells = {"animal": "m1", "session": "a", "movie_axes": "row,column"}
    >>> for fault in row_faults(2, cells, Path()):
    ...     print(fault)
    row 2, column 'traces': is blank, and so is 'movie'; name a movie, traces or both
    row 2, column 'movie_axes': 'row,column' is not an order of time,row,column; name each once
    """
    for rule in _RULES:
        for column, what in rule(cells, folder):
            yield f"row {number}, column {column!r}: {what}"


def split_names(text: str | None) -> tuple[str, ...]:
    """The names in a cell that lists them, parted by commas."""
    return tuple(part.strip() for part in text.split(",")) if text else ()


def header_faults(header: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """What is wrong with the names of columns, where those in `columns` and notes may be used."""
    if len(header) == 1 and ";" in header[0]:
        yield "row 1 is separated by semicolons; save it with commas"
        return
    if len(header) == 1 and "\t" in header[0]:
        yield "row 1 is separated by tabs; save it with commas, or name it .tsv"
        return
    for k, name in enumerate(header):
        if not name:
            yield f"row 1: column {k + 1} has no name; name or delete it"
        elif name in header[:k]:
            yield f"row 1: column {name!r} is there twice; delete one"
        elif name not in columns and not name.startswith(NOTE):
            known = guess(name, columns) or (
                f"; columns are {', '.join(columns)}; call one of your own '{NOTE}_{name}'"
            )
            yield f"row 1: column {name!r} is unknown{known}"
    for name in ("animal", "session"):
        if name not in header:
            yield f"row 1: column {name!r} is missing; add it, with a name in each row"


# A rule looks at one row and gives (column, fault) pairs.
_Faults = Iterator[tuple[str, str]]


def _identity_faults(cells: dict[str, str], folder: Path) -> _Faults:
    for name in ("animal", "session"):
        if name not in cells:
            yield name, f"is blank; name the {name}"


def _file_faults(cells: dict[str, str], folder: Path) -> _Faults:
    for name in (*LOCATION_COLUMNS, "regions"):
        if name not in cells:
            continue
        try:
            path = parse_location(cells[name], folder).path
            if name != "regions":
                check_suffix(path)
        except DataError as error:
            yield name, str(error)
            continue
        if not path.is_file():
            way_out = "paths are relative to the catalogue"
            if "\\" in cells[name]:
                way_out += ", and folders are parted by /"
            kind = "is a folder, not a file" if path.is_dir() else "does not exist"
            yield name, f"{path} {kind}; {way_out}"


def _source_faults(cells: dict[str, str], folder: Path) -> _Faults:
    if "movie" not in cells and "traces" not in cells:
        yield "traces", "is blank, and so is 'movie'; name a movie, traces or both"
    if "movie_reference" in cells and "movie" not in cells:
        yield "movie_reference", "is given without 'movie'; name the movie it belongs to"
    if "movie_reference" in cells and "reference" in split_names(cells.get("channels")):
        yield "movie_reference", "is given, and 'channels' names a reference too; leave one out"
    for name, other in (("frame_times", "behavior_times"), ("behavior_times", "frame_times")):
        if name in cells and other not in cells:
            yield name, f"is given without {other!r}; give both or neither"


def _value_faults(cells: dict[str, str], folder: Path) -> _Faults:
    if "frame_rate_hz" in cells and not _is_positive(cells["frame_rate_hz"]):
        yield (
            "frame_rate_hz",
            f"{cells['frame_rate_hz']!r} is not a positive number of Hz, as in 30",
        )
    for name, axes in (("movie_axes", MOVIE_AXES), ("traces_axes", TRACES_AXES)):
        if name in cells and sorted(split_names(cells[name])) != sorted(axes):
            yield name, f"{cells[name]!r} is not an order of {','.join(axes)}; name each once"
    channels = split_names(cells.get("channels"))
    if channels and channels != ("calcium",) and sorted(channels) != sorted(CHANNELS):
        yield (
            "channels",
            (
                f"{cells['channels']!r} is not 'calcium,reference' or 'reference,calcium'; "
                "leave it blank for a movie of one wavelength"
            ),
        )
    if "date" in cells and not _is_iso_date(cells["date"]):
        yield "date", f"{cells['date']!r} is not an ISO date, as in 2024-05-31"


_RULES = (_identity_faults, _source_faults, _file_faults, _value_faults)


def faults_between_rows(rows: Sequence[Row]) -> Iterator[str]:
    """Sessions or recorded data that stand in two rows, and animals dated in part."""
    seen: dict[tuple[str, str], int] = {}
    dated: dict[str, dict[bool, int]] = {}
    yield from _shared_data(rows)
    for number, cells in rows:
        animal, session = cells.get("animal"), cells.get("session")
        if animal is None:
            continue
        dated.setdefault(animal, {}).setdefault("date" in cells, number)
        if session is None:
            continue
        first = seen.setdefault((animal, session), number)
        if first != number:
            yield (
                f"row {number}, column 'session': animal {animal!r}, session {session!r} stands "
                f"in row {first} too; give each session of an animal its own name"
            )
    for animal, first_rows in dated.items():
        if len(first_rows) == 2:
            yield (
                f"row {first_rows[False]}, column 'date': is blank, but animal {animal!r} has a "
                f"date in row {first_rows[True]}; date all of an animal's sessions or none"
            )


def _shared_data(rows: Sequence[Row]) -> Iterator[str]:
    """Two sessions of one animal that name the same traces or the same movie."""
    # Other animals' rows are left to the search for leaks, which compares what files hold.
    seen: dict[tuple[str, str, str], Row] = {}
    for number, cells in rows:
        for column in ("traces", "movie"):
            file, separator, dataset = cells.get(column, "").partition("::")
            if not file:
                continue
            location = posixpath.normpath(file.strip()) + separator + dataset.strip()
            first, other = seen.setdefault(
                (cells.get("animal", ""), column, location), (number, cells)
            )
            if first != number and other.get("session") != cells.get("session"):
                yield (
                    f"row {number}, column {column!r}: sessions {other.get('session', '')!r} and "
                    f"{cells.get('session', '')!r} of animal {cells.get('animal', '')!r} name the "
                    f"same {column} ({location}, also in row {first}); give each its own file"
                )


def _is_positive(text: str) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return math.isfinite(value) and value > 0


def _is_iso_date(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
