"""Which recordings exist: a table with one row a session."""

import csv
import io
import os.path
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from corticode.data.catalogue_rules import (
    LOCATION_COLUMNS,
    MOVIE_AXES,
    TRACES_AXES,
    Row,
    faults_between_rows,
    header_faults,
    row_faults,
    split_names,
)
from corticode.data.files import write_text
from corticode.data.readers.arrays import ArrayLocation, parse_location
from corticode.errors import DataError, MissingDataError


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
        listed = "\n".join(f"  {k}. {fault}" for k, fault in enumerate(faults, start=1))
        raise DataError(f"the catalogue {path} has {count}:\n{listed}")
    recordings = [_to_recording(cells, path.absolute().parent) for _, cells in rows]
    first_seen = {
        animal: k for k, animal in reversed(list(enumerate(r.animal for r in recordings)))
    }
    return sorted(recordings, key=lambda recording: (first_seen[recording.animal], recording.date))


def check_catalogue(path: str | Path) -> list[str]:
    """Every fault of a catalogue, each with its row and column and the way out.

    Parameters
    ----------
    path
        The catalogue. Files it names must exist; they are not opened.

    Returns
    -------
    list of str
        Empty where all is well.

    Raises
    ------
    MissingDataError
        There is no such catalogue.
    """
    return _examine(Path(path))[1]


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
    regions = cells.get("regions")
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
        regions=None if regions is None else parse_location(regions, folder).path,
        segment=cells.get("segment"),
        group=cells.get("group", ""),
        date=cells.get("date", ""),
        history=cells.get("history", ""),
    )


def _examine(path: Path) -> tuple[list[Row], list[str]]:
    """The rows of a catalogue and all its faults, in the order of rows."""
    if not path.exists():
        raise MissingDataError(f"there is no catalogue at {path}; give the path of a CSV file")
    if path.suffix.lower() == ".toml":
        return [], [
            "it is a study file; give the table of recordings that it names, a sessions.csv"
        ]
    try:
        content = path.read_text(encoding="utf-8-sig")
        text = io.StringIO(content, newline="")
        lines = list(csv.reader(text, delimiter=_separator(path), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
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
    for number, filled in rows:
        faults.extend(row_faults(number, filled, path.absolute().parent))
    return rows, [*faults, *faults_between_rows(rows)]
