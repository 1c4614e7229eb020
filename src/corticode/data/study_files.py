"""Which files of a folder in the 2024 study's layout belong to which session."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from corticode.data.readers import mat
from corticode.errors import CorticodeError, DataError, MissingDataError

SESSION_COLUMN = "Data_ID"
MOUSE_COLUMNS = ("Mouse_#", "mouse_No.")
CELL_FILES = re.compile(r"(signal_\d+mice(_raw)?|runrest_\d+mice)")
LISTED_AT_MOST = 5


@dataclass
class StudyFiles:
    """The files of each session, by its id, and what is wrong or worth knowing.

    Parameters
    ----------
    source
        The folder.
    table
        The CSV that says whose each session is.
    animals
        Number of each session's mouse, in the CSV's order.
    behavior, movies, traces
        Files of each session; traces may also be other MAT files that bear the session's id.
    cells
        The file with the cells of every session, by kind: ``signal_raw``, ``signal``, ``runrest``.
    faults
        What makes the import impossible, a sentence each.
    notes
        What the user should know.
    """

    source: Path
    table: Path
    animals: dict[str, int]
    behavior: dict[str, list[Path]] = field(default_factory=dict)
    movies: dict[str, list[Path]] = field(default_factory=dict)
    traces: dict[str, list[Path]] = field(default_factory=dict)
    cells: dict[str, Path] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_study_files(source: Path) -> StudyFiles:
    r"""The files of each session that the study's CSV names, at any depth below `source`.

    Raises
    ------
    MissingDataError
        `source` is no folder or holds no CSV.
    DataError
        The CSV is faulty, or there are several that disagree.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "data_1_1mice.csv").write_text("Data_ID,Mouse_#\nLR_1,1\n")
    >>> for name in ("LR_1_roi.mat", "LR_10.mat"):
    ...     (folder / name).touch()
    >>> files = find_study_files(folder)
    >>> [path.name for path in files.traces["LR_1"]]
    ['LR_1_roi.mat']
    """
    files = StudyFiles(source, *_read_animals(source))
    unused = []
    for path in sorted(source.rglob("*")):
        # Names that start with a dot are copies that macOS leaves on other file systems.
        if path.name.startswith(".") or path.suffix.lower() not in (".mat", ".tif", ".tiff"):
            continue
        if CELL_FILES.fullmatch(path.stem):
            kind = re.sub(r"_\d+mice", "", path.stem)
            if files.cells.setdefault(kind, path) != path:
                files.faults.append(f"both {files.cells[kind]} and {path} hold cells; keep one")
            continue
        session, by_session = _belongs_to(path, files)
        if session in files.animals:
            by_session.setdefault(session, []).append(path)
        else:
            unused.append(path.relative_to(source).as_posix())
    if unused:
        more = len(unused) - LISTED_AT_MOST
        files.notes.append(
            f"files that belong to no session of {files.table.name} were not used: "
            f"{', '.join(unused[:LISTED_AT_MOST])}{f' and {more} more' if more > 0 else ''}"
        )
    return files


def list_faults(source: Path, faults: Sequence[str]) -> str:
    """One message that lists everything that makes an import impossible."""
    lines = "".join(f"\n  {k}. {fault}" for k, fault in enumerate(faults, start=1))
    return f"{source} cannot be imported as study2024:{lines}"


def the_only(files: StudyFiles, session: str, paths: Sequence[Path], what: str) -> Path | None:
    """The one file of a session, or None where there is none; several are a fault."""
    if len(paths) > 1:
        listed = ", ".join(str(path) for path in paths)
        files.faults.append(f"session {session!r} has {len(paths)} {what} ({listed}); keep one")
    return paths[0] if paths else None


def array_shapes(files: StudyFiles, path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays in a MAT file; one that cannot be read is a fault and has none."""
    try:
        return mat.list_arrays(path)
    except CorticodeError as error:
        files.faults.append(str(error))
        return {}


def count_frames(files: StudyFiles, shape: tuple[int, ...] | None, what: str) -> int:
    """The number of frames in an array of one value a frame; another shape is a fault."""
    if shape is None or len(shape) != 2 or 1 not in shape:
        found = "is missing" if shape is None else f"is {' x '.join(map(str, shape))}"
        files.faults.append(f"{what} {found}; it must be 1 x frames")
        return 0
    return max(shape)


def count_traces(files: StudyFiles, shape: tuple[int, ...], session: str) -> tuple[int, int]:
    """The numbers of regions and of frames in a session's traces; another shape is a fault."""
    if len(shape) != 2 or shape[0] > shape[1]:
        files.faults.append(
            f"traces of session {session!r} are {' x '.join(map(str, shape))}; "
            "they must be regions x frames"
        )
        return 0, 0
    return shape[0], shape[1]


def read_session_cells(
    files: StudyFiles, kind: str, sessions: Sequence[str]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Each of `sessions` with its cell of the file of that kind, one mouse in memory at a time.

    A mouse's cells are its sessions in the CSV's order. What does not fit is noted as a fault,
    and that mouse's sessions are left out.

    Parameters
    ----------
    files
        What was found; its faults are added to.
    kind
        ``"signal_raw"``, ``"signal"`` or ``"runrest"``.
    sessions
        The sessions wanted.
    """
    path = files.cells[kind]
    for animal in dict.fromkeys(files.animals[session] for session in sessions):
        own = [session for session, number in files.animals.items() if number == animal]
        variable = f"{kind.removesuffix('_raw')}{animal}"
        try:
            cells = mat.read_cells(path, variable)
        except CorticodeError as error:
            files.faults.append(str(error))
            continue
        if len(cells) != len(own):
            files.faults.append(
                f"{path}::{variable} has {len(cells)} cells, {files.table.name} has {len(own)} "
                f"sessions of mouse {animal}; each session needs its cell"
            )
            continue
        yield from ((name, cell) for name, cell in zip(own, cells, strict=True) if name in sessions)


def _read_animals(source: Path) -> tuple[Path, dict[str, int]]:
    if not source.is_dir():
        raise MissingDataError(f"{source} is no folder; name the one that holds the study's files")
    paths = sorted(path for path in source.rglob("data_*mice.csv") if path.is_file())
    if not paths:
        raise MissingDataError(
            f"{source} holds no data_<n>_<n>mice.csv, which says whose each session is; "
            f"add it, with columns {SESSION_COLUMN} and {MOUSE_COLUMNS[0]}"
        )
    faults: list[str] = []
    tables = [_read_table(path, faults) for path in paths]
    faults += [
        f"{path} and {paths[0]} disagree; keep the right one"
        for path, table in zip(paths, tables, strict=True)
        if table != tables[0]
    ]
    if faults:
        raise DataError(list_faults(source, faults))
    return paths[0], dict(tables[0])


def _read_table(path: Path, faults: list[str]) -> list[tuple[str, int]]:
    reader = csv.DictReader(path.read_text("utf-8-sig", errors="replace").splitlines())
    columns = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = columns
    mouse_column = next((name for name in MOUSE_COLUMNS if name in columns), None)
    if SESSION_COLUMN not in columns or mouse_column is None:
        faults.append(
            f"{path} has columns {', '.join(columns) or 'none'}; it needs {SESSION_COLUMN} and "
            f"{' or '.join(MOUSE_COLUMNS)}"
        )
        return []
    pairs: dict[str, int] = {}
    for row in reader:
        session, mouse = ((row[name] or "").strip() for name in (SESSION_COLUMN, mouse_column))
        where = f"{path}, row {reader.line_num}:"
        # Ids become names of files, so one that is a path would be written elsewhere.
        if not re.fullmatch(r"[^./\\:][^/\\:]*", session):
            faults.append(f"{where} {SESSION_COLUMN} is {session!r}; it must be a plain name")
        elif session in pairs:
            faults.append(f"{where} {SESSION_COLUMN} {session!r} comes twice; keep one row")
        elif not re.fullmatch(r"\d+(\.0)?", mouse):
            faults.append(f"{where} {mouse_column} is {mouse!r}; it must be the mouse's number")
        else:
            pairs[session] = int(float(mouse))
    if not pairs and not faults:
        faults.append(f"{path} names no session; it needs one row a session")
    return list(pairs.items())


def _belongs_to(path: Path, files: StudyFiles) -> tuple[str, dict[str, list[Path]]]:
    """The id that a file bears ("" for none), and where it is to be listed."""
    folders = path.relative_to(files.source).parts[:-1]
    if path.suffix.lower() != ".mat":
        inside = any(folder.startswith("data_of_image") for folder in folders)
        return path.stem * inside, files.movies
    if path.stem.endswith("_behavior"):
        inside = any(folder.startswith("data_of_behavior") for folder in folders)
        return path.stem.removesuffix("_behavior") * inside, files.behavior
    # The longest id that the name starts with before an underscore: LR_10 is no file of LR_1.
    parts = path.stem.split("_")
    starts = ("_".join(parts[:k]) for k in range(len(parts), 0, -1))
    return next((start for start in starts if start in files.animals), ""), files.traces
