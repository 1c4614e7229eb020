"""Which recordings exist: a table with one row a session.

The rules look at cells as they were typed, blank ones left out, and never open the files named.
"""

import csv
import datetime
import io
import math
import os.path
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from corticode.data.files import write_text
from corticode.data.readers.arrays import ArrayLocation, check_suffix, parse_location
from corticode.data.readers.lookup import (
    FOLDER_WAY_OUT,
    guess,
    is_file,
    is_folder,
    missing_hint,
    shortened,
    spelling,
)
from corticode.errors import DataError, MissingDataError, numbered, some

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
    "trials",
    "mask",
    "dark",
)
PATH_COLUMNS = ("regions", "landmarks")
SHOWN_ROWS, MOST_UNKNOWN = 5, 20
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
    others = {name for name in header if name not in columns and not name.startswith(NOTE)}
    if len(others) > MOST_UNKNOWN:
        shown = some([repr(name) for name in header if name in others], SHOWN_ROWS)
        yield (
            f"row 1: {len(others):,} columns are unknown ({shown}); is it a table of data? Give "
            "the table that names recordings, or delete these columns"
        )
        others = set()
    seen: set[str] = set()
    for k, name in enumerate(header):
        is_new = name not in seen
        seen.add(name)
        if not name:
            yield f"row 1: column {k + 1} has no name; name or delete it"
        elif not is_new:
            yield f"row 1: column {name!r} is there twice; delete one"
        elif name in others:
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
    for name in (*LOCATION_COLUMNS, *PATH_COLUMNS):
        if name not in cells:
            continue
        try:
            path = parse_location(cells[name], folder).path
            if name not in PATH_COLUMNS:
                check_suffix(path)
        except DataError as error:
            yield name, str(error)
            continue
        if not is_file(path):
            if is_folder(path):
                yield name, f"{path} is a folder, not a file; {FOLDER_WAY_OUT}"
                continue
            way_out = missing_hint(path) or "paths are relative to the catalogue"
            if "\\" in cells[name]:
                way_out += ", and folders are parted by /"
            yield name, f"{path} does not exist; {way_out}"


def _source_faults(cells: dict[str, str], folder: Path) -> _Faults:
    if "movie" not in cells and "traces" not in cells:
        yield "traces", "is blank, and so is 'movie'; name a movie, traces or both"
    if "movie_reference" in cells and "movie" not in cells:
        yield "movie_reference", "is given without 'movie'; name the movie it belongs to"
    if "movie_reference" in cells and "reference" in split_names(cells.get("channels")):
        yield "movie_reference", "is given, and 'channels' names a reference too; leave one out"
    for name, other in (("frame_times", "behavior_times"), ("behavior_times", "frame_times")):
        if name in cells and other not in cells and not _times_of_frames_alone(name, cells):
            yield name, f"is given without {other!r}; give both or neither"


def _times_of_frames_alone(name: str, cells: dict[str, str]) -> bool:
    """Whether times of frames serve trials alone, as there is no file of behaviour."""
    return name == "frame_times" and "trials" in cells and "behavior" not in cells


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
    yield from _alike_animals(rows)
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


def _alike_animals(rows: Sequence[Row]) -> Iterator[str]:
    """Animals whose names differ in case, blanks, _, - or leading zeros alone."""
    first: dict[str, dict[str, int]] = {}
    for number, cells in rows:
        if "animal" in cells:
            first.setdefault(spelling(cells["animal"]), {}).setdefault(cells["animal"], number)
    for names in first.values():
        (name, number), *others = names.items()
        for other, row in others:
            yield (
                f"row {row}, column 'animal': {other!r} and {name!r} (row {number}) differ in "
                "case, blanks, '_', '-' or leading zeros alone; write an animal's name in one way, "
                "or give two animals names that differ in a letter or a number"
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


@dataclass(frozen=True)
class Recording:
    """The files of one session, and how to read them.

    Parameters
    ----------
    animal, session
        Who was recorded and when; the pair is unique in a catalogue.
    behavior
        The file of behavioural signals; None for a recording whose behaviour is to be predicted.
    traces
        Region traces, axes as in `traces_axes`.
    movie
        The movie, axes as in `movie_axes`.
    movie_reference
        A second movie, of the reference wavelength, with the same axes.
    frame_rate_hz
        Frames a second; None where it is not known.
    frame_times, behavior_times
        Times in seconds of each frame and of each behavioural sample; both or neither.
    movie_axes, traces_axes
        The order of axes in the file.
    channels
        Order of wavelengths in a movie that interleaves them; empty for one wavelength.
    regions
        A text file of region names, one a line; None for 1 to n.
    segment
        A behavioural signal whose change marks a gap in time.
    group
        Genotype or drug.
    date
        ISO date, as in ``2024-05-31``.
    history
        What was done to the traces before they came here: ``"detrended-1000"`` where a moving
        mean of 1000 frames was taken off; free text otherwise.
    trials
        A table of trials, one row a trial: a CSV or TSV file, a group or struct of arrays, or an
        NWB file.
    mask
        An image of the frames' size, not 0 where a pixel shows the brain; `corticode preprocess`
        reads it.
    dark
        Frames, or their mean, that the camera took without light; `corticode preprocess` subtracts
        them.
    landmarks
        A file of landmarks or of a transform, which places the frames in the atlas for
        `corticode preprocess`.

    Examples
    --------
    >>> Recording("m1", "day 3").name
    'm1/day 3'
    """

    animal: str
    session: str
    behavior: ArrayLocation | None = None
    traces: ArrayLocation | None = None
    movie: ArrayLocation | None = None
    movie_reference: ArrayLocation | None = None
    frame_rate_hz: float | None = None
    frame_times: ArrayLocation | None = None
    behavior_times: ArrayLocation | None = None
    movie_axes: tuple[str, ...] = MOVIE_AXES
    traces_axes: tuple[str, ...] = TRACES_AXES
    channels: tuple[str, ...] = ()
    regions: Path | None = None
    segment: str | None = None
    group: str = ""
    date: str = ""
    history: str = ""
    trials: ArrayLocation | None = None
    mask: ArrayLocation | None = None
    dark: ArrayLocation | None = None
    landmarks: Path | None = None

    @property
    def name(self) -> str:
        """Animal and session, for messages."""
        return f"{self.animal}/{self.session}"


COLUMNS = tuple(field.name for field in fields(Recording))


def read_catalogue(path: str | Path) -> list[Recording]:
    r"""The recordings a catalogue lists, animal by animal.

    Parameters
    ----------
    path
        A CSV file (or TSV), one row a session; file paths in it are relative to it. Everything
        is read as text: the animal ``007`` stays ``007``.

    Returns
    -------
    list of Recording
        Animals in the order in which they first appear; each one's sessions by date where dates
        are given, otherwise as in the file.

    Raises
    ------
    MissingDataError
        There is no such catalogue.
    DataError
        Something is wrong with it; the message lists every fault, by row and column.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "m1.npy").write_bytes(b"...")
    >>> write_text(folder / "sessions.csv", "animal,session,traces\n007,a,m1.npy\n")
    >>> [recording.name for recording in read_catalogue(folder / "sessions.csv")]
    ['007/a']
    """
    path = Path(path)
    rows, faults = _examine(path)
    if faults:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        listed = numbered(shortened(fault) for fault in faults)
        raise DataError(f"the catalogue {path} has {count}:\n{listed}")
    recordings = [_to_recording(cells, path.absolute().parent) for _, cells in rows]
    first_seen = {
        animal: k for k, animal in reversed(list(enumerate(r.animal for r in recordings)))
    }
    return sorted(recordings, key=lambda recording: (first_seen[recording.animal], recording.date))


def files_of(recording: Recording) -> list[Path]:
    """Every file that a recording names, each once.

    Examples
    --------
    >>> [path.name for path in files_of(Recording("m1", "a", traces=ArrayLocation(Path("m1.npy"))))]
    ['m1.npy']
    """
    named = (getattr(recording, one.name) for one in fields(recording))
    paths = (one.path if isinstance(one, ArrayLocation) else one for one in named)
    return list(dict.fromkeys(path for path in paths if isinstance(path, Path)))


def write_catalogue(path: Path, recordings: Sequence[Recording]) -> None:
    """Write recordings as a catalogue, whole or not at all, with the columns that are in use.

    Parameters
    ----------
    path
        The CSV file. Paths are written relative to it where they lie in its folder or beside
        that folder, otherwise in full.
    recordings
        One row each, in this order.

    Raises
    ------
    RunError
        The file cannot be written.
    """
    rows = [_to_cells(recording, path.absolute().parent.resolve()) for recording in recordings]
    blank = _to_cells(Recording("", ""), path.parent)
    used = [
        name
        for name in COLUMNS
        if name in ("animal", "session") or any(row[name] != blank[name] for row in rows)
    ]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(
        text, used, extrasaction="ignore", lineterminator="\n", delimiter=_separator(path)
    )
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _separator(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _to_cells(recording: Recording, folder: Path) -> dict[str, str]:
    cells: dict[str, str] = {}
    for name in COLUMNS:
        value = getattr(recording, name)
        if isinstance(value, ArrayLocation):
            dataset = "" if value.dataset is None else f"::{value.dataset}"
            cells[name] = _to_written_path(value.path, folder) + dataset
        elif isinstance(value, Path):
            cells[name] = _to_written_path(value, folder)
        elif isinstance(value, tuple):
            cells[name] = ",".join(value)
        elif isinstance(value, float | int):
            cells[name] = repr(float(value)).removesuffix(".0")
        else:
            cells[name] = value or ""
    return cells


def _to_written_path(path: Path, folder: Path) -> str:
    # Links in folders are resolved: '..' after a link would lead elsewhere.
    whole = path.absolute().parent.resolve() / path.name
    is_near = whole.is_relative_to(folder.parent)
    return Path(os.path.relpath(whole, folder)).as_posix() if is_near else whole.as_posix()


def _to_recording(cells: dict[str, str], folder: Path) -> Recording:
    locations = {
        name: parse_location(cells[name], folder) for name in LOCATION_COLUMNS if name in cells
    }
    rate = cells.get("frame_rate_hz")
    paths = {
        name: parse_location(cells[name], folder).path for name in PATH_COLUMNS if name in cells
    }
    return Recording(
        animal=cells["animal"],
        session=cells["session"],
        behavior=locations.get("behavior"),
        traces=locations.get("traces"),
        movie=locations.get("movie"),
        movie_reference=locations.get("movie_reference"),
        frame_rate_hz=None if rate is None else float(rate),
        frame_times=locations.get("frame_times"),
        behavior_times=locations.get("behavior_times"),
        movie_axes=split_names(cells.get("movie_axes")) or MOVIE_AXES,
        traces_axes=split_names(cells.get("traces_axes")) or TRACES_AXES,
        channels=split_names(cells.get("channels")),
        regions=paths.get("regions"),
        segment=cells.get("segment"),
        group=cells.get("group", ""),
        date=cells.get("date", ""),
        history=cells.get("history", ""),
        trials=locations.get("trials"),
        mask=locations.get("mask"),
        dark=locations.get("dark"),
        landmarks=paths.get("landmarks"),
    )


def _examine(path: Path) -> tuple[list[Row], list[str]]:
    """The rows of a catalogue and all its faults, in the order of rows."""
    if not is_file(path) and not is_folder(path):
        raise MissingDataError(f"there is no catalogue at {path}; give the path of a CSV file")
    if path.suffix.lower() == ".toml":
        return [], [
            "it is a study file; give the table of recordings that it names, a sessions.csv"
        ]
    try:
        content = path.read_text(encoding="utf-8-sig")
        text = io.StringIO(content, newline="")
        lines = list(csv.reader(text, delimiter=_separator(path), strict=True))
    except (OSError, MemoryError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return [], [f"it cannot be read: {reason}; save it as CSV (UTF-8)"]
    if not any(any(cell.strip() for cell in line) for line in lines):
        return [], ["it is empty; write a header (animal, session, ...) and one row a session"]
    header = [name.strip() for name in lines[0]]
    rows: list[Row] = []
    faults = list(header_faults(header, COLUMNS))
    for number, line in enumerate(lines[1:], start=2):
        cells = [cell.strip() for cell in line]
        if any(cells[len(header) :]):
            faults.append(
                f"row {number} has {len(cells)} cells for {len(header)} columns; "
                "put values that hold a comma in double quotes"
            )
        filled = {name: cell for name, cell in zip(header, cells, strict=False) if cell}
        if any(cells):
            rows.append((number, filled))
    if not rows:
        faults.append("it has no rows; write one row a session below the header")
    faults.extend(_faults_of_rows(rows, path.absolute().parent))
    return rows, [*faults, *faults_between_rows(rows)]


def _faults_of_rows(rows: Sequence[Row], folder: Path) -> Iterator[str]:
    """What is wrong with each row by itself; what is alike in several is listed once."""
    alike: dict[str, list[int]] = {}
    for number, filled in rows:
        for fault in row_faults(number, filled, folder):
            alike.setdefault(fault.partition(", ")[2], []).append(number)
    for what, (first, *others) in alike.items():
        also = some([str(number) for number in others], SHOWN_ROWS)
        yield f"row {first}, {what}" + (f" (the same in row {also})" if others else "")
