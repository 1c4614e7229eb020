"""Folders as others publish them, brought into a catalogue: the 2024 study's layout."""

import csv
import io
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.catalogue import Recording, write_catalogue
from corticode.data.files import fingerprint, write_text, write_with
from corticode.data.readers import mat
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.regions import RegionTable
from corticode.errors import CorticodeError, DataError, MissingDataError, RunError, numbered, some

SESSION_COLUMN = "Data_ID"
MOUSE_COLUMNS = ("Mouse_#", "mouse_No.")
CELL_FILES = re.compile(r"(signal_\d+mice(_raw)?|runrest_\d+mice)")
LISTED_AT_MOST = 5
FRAME_RATE_HZ = 30.0
DETRENDED = "detrended-1000"
LIMB_GROUP = "FLa&HLa"


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
        files.notes.append(
            f"files that belong to no session of {files.table.name} were not used: "
            f"{some(unused, LISTED_AT_MOST)}"
        )
    return files


def list_faults(source: Path, faults: Sequence[str]) -> str:
    """One message that lists everything that makes an import impossible."""
    return f"{source} cannot be imported as study2024:\n{numbered(faults)}"


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


@dataclass(frozen=True)
class ImportSummary:
    """What an import found and wrote.

    Parameters
    ----------
    catalogue
        The catalogue written.
    n_animals, n_sessions
        How many there are in it.
    notes
        What the user should know: files not used, sources chosen, lengths that differ.
    """

    catalogue: Path
    n_animals: int
    n_sessions: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Signal:
    """Where one session's traces or behaviour lie, and how much there is of it."""

    location: ArrayLocation
    n_frames: int
    n_regions: int = 0
    axes: tuple[str, ...] = ("time", "region")
    history: str = ""


@cache
def read_published_regions() -> RegionTable:
    """The 50 regions of the 2024 study: side, mirror partner, groups, centre on 128 x 128 pixels.

    References
    ----------
    Ajioka T, Nakai N, Yamashita O, Takumi T (2024), PLoS Comput Biol 20(3): e1011074,
    https://doi.org/10.1371/journal.pcbi.1011074

    Examples
    --------
    >>> regions = read_published_regions()
    >>> regions.names[5], regions.sides[5], regions.groups[5]
    ('6', 'left', ('FL&HL', 'FLa&HLa'))
    """
    text = resources.files("corticode.published").joinpath("regions_50.csv").read_text("utf-8")
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    groups = [
        tuple(name for name in (group, LIMB_GROUP if limb == "1" else "") if name)
        for group, limb in zip(table["group"], table["in_FLa_HLa"], strict=True)
    ]
    return RegionTable(
        tuple(table["region"]),
        tuple(groups),
        tuple(table["hemisphere"]),
        tuple(table["mirror"]),
        tuple(table["row_of_128"].astype(float)),
        tuple(table["column_of_128"].astype(float)),
    )


def import_study2024(source: Path, destination: Path) -> ImportSummary:
    """A catalogue of a folder in the 2024 study's layout, and what was found on the way.

    Whose session is whose comes from ``data_<n>_5mice.csv`` alone, never from an id's suffix.
    Behaviour is ``{id}_behavior.mat`` in a folder ``data_of_behavior...``, else the cells of
    ``runrest_5mice.mat``; movies are ``{id}.tif`` in a folder ``data_of_image...``; traces are
    the array ``dat_roi`` of ``{id}.mat`` or ``{id}_*.mat``, else the cells of
    ``signal_5mice_raw.mat``, else those of ``signal_5mice.mat``, which were detrended: the
    catalogue's column ``history`` says so. Files of one session are referred to in place; cells
    are written once below `destination`, as float32 of shape (time, region).

    Parameters
    ----------
    source
        The study's folder; files may lie at any depth in it.
    destination
        Where ``sessions.csv`` is written, last, and with 50 regions ``regions.csv``.

    Returns
    -------
    ImportSummary
        Animals are ``m1``, ``m2``, ... by the CSV's number; rows stand in the CSV's order.

    Raises
    ------
    MissingDataError
        `source` does not exist or holds no such CSV.
    DataError
        Files are missing, disagree or have the wrong shape; all faults are told at once. Or files
        in `destination` hold anything else than what would be written.
    RunError
        The destination cannot be written.

    Examples
    --------
    >>> import pandas as pd
    >>> from scipy.io import savemat
    >>> folder = Path(tempfile.mkdtemp())
    >>> table = pd.DataFrame({"Data_ID": ["0125_LR_1"], "Mouse_#": [1]})
    >>> table.to_csv(folder / "data_1_1mice.csv", index=False)
    >>> for name in ("data_of_behavior", "data_of_traces"):
    ...     (folder / name).mkdir()
    >>> running = {"runrest": np.repeat([[0.0, 1.0]], 45, axis=1)}
    >>> savemat(folder / "data_of_behavior" / "0125_LR_1_behavior.mat", running)
    >>> savemat(folder / "data_of_traces" / "0125_LR_1_roi.mat", {"dat_roi": np.ones((50, 90))})
    >>> summary = import_study2024(folder, folder / "imported")
    >>> summary.n_animals, summary.n_sessions, summary.catalogue.name
    (1, 1, 'sessions.csv')
    """
    files = find_study_files(source.absolute())
    try:
        destination.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=destination) as staging:
            recordings = _gather(files, Path(staging), destination.absolute())
            made = {
                path: destination / path.relative_to(staging)
                for path in sorted(Path(staging).rglob("*"))
                if path.is_file()
            }
            # Beside its place, since paths in it are relative.
            draft = destination / f"{Path(staging).name}.csv"
            write_catalogue(draft, recordings)
            made[draft] = destination / "sessions.csv"
            try:
                _refuse_others(made)
                for path, target in made.items():
                    target.parent.mkdir(exist_ok=True)
                    path.replace(target)
            finally:
                draft.unlink(missing_ok=True)
    except CorticodeError:
        if not any(destination.iterdir()):
            destination.rmdir()
        raise
    except OSError as error:
        raise RunError(
            f"cannot write {destination}: {error.strerror or error}; choose another folder"
        ) from error
    return ImportSummary(
        destination / "sessions.csv",
        len(set(files.animals.values())),
        len(files.animals),
        tuple(files.notes),
    )


def _refuse_others(made: Mapping[Path, Path]) -> None:
    """Refuse to replace what holds anything else than what is to be written there.

    Raises
    ------
    DataError
        Files of the destination are others, or were edited.
    """
    others = [
        str(target)
        for path, target in made.items()
        if target.exists() and (not target.is_file() or fingerprint(path) != fingerprint(target))
    ]
    if others:
        raise DataError(
            f"{some(others, LISTED_AT_MOST)} exist{'s' * (len(others) == 1)} and would be replaced "
            "by something else; nothing was written: name another folder, or move it away"
        )


def _gather(files: StudyFiles, staging: Path, destination: Path) -> list[Recording]:
    """One recording a session; cells and the region table are left in `staging`."""
    movies = {
        session: the_only(files, session, files.movies.get(session, []), "movies")
        for session in files.animals
    }
    behavior = _find_behavior(files, staging, destination)
    traces = _find_traces(files, staging, destination)
    _compare(files, behavior, traces, movies)
    if files.faults:
        raise DataError(list_faults(files.source, files.faults))
    if {signal.n_regions for signal in traces.values()} == {len(read_published_regions().names)}:
        _write_regions(staging / "regions.csv")
    recordings = []
    for session, animal in files.animals.items():
        movie = movies[session]
        signal = traces.get(session)
        recordings.append(
            Recording(
                f"m{animal}",
                session,
                behavior=behavior[session].location,
                traces=None if signal is None else signal.location,
                movie=None if movie is None else ArrayLocation(movie),
                frame_rate_hz=FRAME_RATE_HZ,
                traces_axes=("time", "region") if signal is None else signal.axes,
                history="" if signal is None else signal.history,
            )
        )
    return recordings


def _find_behavior(files: StudyFiles, staging: Path, destination: Path) -> dict[str, _Signal]:
    behavior: dict[str, _Signal] = {}
    for session in files.animals:
        path = the_only(files, session, files.behavior.get(session, []), "behaviour files")
        if path is None:
            continue
        shape = array_shapes(files, path).get("runrest")
        n_frames = count_frames(files, shape, f"runrest of {path}")
        behavior[session] = _Signal(ArrayLocation(path), n_frames)
    waiting = [session for session in files.animals if session not in behavior]
    if waiting and "runrest" not in files.cells:
        files.faults += [
            f"session {session!r} has no {session}_behavior.mat in a folder data_of_behavior..., "
            "and there is no runrest_5mice.mat; add one of them"
            for session in waiting
        ]
        return behavior
    if waiting:
        _note_cells(files, "runrest", "behaviour", waiting)
        for session, cell in read_session_cells(files, "runrest", waiting):
            n_frames = count_frames(files, cell.shape, f"the runrest cell of session {session!r}")
            name = Path("behavior", f"{session}.npz")
            write_with(staging / name, partial(np.savez, runrest=cell.reshape(-1)))
            behavior[session] = _Signal(ArrayLocation(destination / name), n_frames)
    return behavior


def _find_traces(files: StudyFiles, staging: Path, destination: Path) -> dict[str, _Signal]:
    traces: dict[str, _Signal] = {}
    for session in files.animals:
        shapes = {path: array_shapes(files, path) for path in files.traces.get(session, [])}
        holding = [path for path, arrays in shapes.items() if "dat_roi" in arrays]
        path = the_only(files, session, holding, "files with dat_roi")
        if path is not None:
            n_regions, n_frames = count_traces(files, shapes[path]["dat_roi"], session)
            location = ArrayLocation(path, "dat_roi")
            traces[session] = _Signal(location, n_frames, n_regions, ("region", "time"))
    waiting = [session for session in files.animals if session not in traces]
    kind = next((kind for kind in ("signal_raw", "signal") if kind in files.cells), None)
    if waiting and kind is not None:
        history = DETRENDED if kind == "signal" else ""
        what = "already detrended traces" if history else "traces"
        _note_cells(files, kind, what, waiting)
        for session, cell in read_session_cells(files, kind, waiting):
            n_regions, n_frames = count_traces(files, cell.shape, session)
            array = np.ascontiguousarray(cell.T, dtype=np.float32)
            name = Path("traces", f"{session}.npy")
            write_with(staging / name, partial(np.save, arr=array))
            traces[session] = _Signal(
                ArrayLocation(destination / name), n_frames, n_regions, history=history
            )
    return traces


def _note_cells(files: StudyFiles, kind: str, what: str, waiting: list[str]) -> None:
    files.notes.append(
        f"{what} of {len(waiting)} of {len(files.animals)} sessions: {files.cells[kind].name}"
    )


def _compare(
    files: StudyFiles,
    behavior: Mapping[str, _Signal],
    traces: Mapping[str, _Signal],
    movies: Mapping[str, Path | None],
) -> None:
    # Where cells could not be read at all, their fault is told and not repeated a session.
    has_cells = "signal" in files.cells or "signal_raw" in files.cells
    for session in files.animals:
        if movies[session] is None and session not in traces and not has_cells:
            files.faults.append(
                f"session {session!r} has neither a movie ({session}.tif in a folder "
                f"data_of_image...) nor traces ({session}.mat with dat_roi); add one of them"
            )
        n_traced = traces[session].n_frames if session in traces else 0
        n_behaved = behavior[session].n_frames if session in behavior else 0
        if n_traced and n_behaved and n_traced != n_behaved:
            files.notes.append(
                f"session {session!r} has {n_traced} frames of traces and {n_behaved} of "
                "behaviour; [data] trim_frames can cut the longer one"
            )
    counts = {signal.n_regions: session for session, signal in traces.items() if signal.n_regions}
    if len(counts) > 1:
        listed = ", ".join(f"{n} in {session!r}" for n, session in sorted(counts.items()))
        files.faults.append(f"sessions differ in their number of regions: {listed}")


def _write_regions(path: Path) -> None:
    regions = read_published_regions()
    table = pd.DataFrame(
        {
            "name": regions.names,
            "side": regions.sides,
            "mirror": regions.mirrors,
            "group": [";".join(groups) for groups in regions.groups],
            "row": regions.rows,
            "column": regions.columns,
        }
    )
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
