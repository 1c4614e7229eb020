"""Folders as others publish them, brought into a catalogue: the 2024 study's layout."""

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from corticode.data.catalogue import Recording, write_catalogue
from corticode.data.files import write_text, write_with
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.regions import RegionTable
from corticode.data.study_files import (
    StudyFiles,
    array_shapes,
    count_frames,
    count_traces,
    find_study_files,
    list_faults,
    read_session_cells,
    the_only,
)
from corticode.errors import CorticodeError, DataError, RunError

FRAME_RATE_HZ = 30.0
DETRENDED = "detrended-1000"
LIMB_GROUP = "FLa&HLa"


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
        Files are missing, disagree or have the wrong shape; all faults are told at once.
    RunError
        The destination cannot be written.

    Examples
    --------
    >>> from corticode.simulate.cohort import simulate_cohort
    >>> folder = Path(tempfile.mkdtemp())
    >>> summary = import_study2024(simulate_cohort(folder / "cohort"), folder / "study")
    >>> summary.n_animals, summary.n_sessions, summary.catalogue.name
    (5, 15, 'sessions.csv')
    """
    files = find_study_files(source.absolute())
    try:
        destination.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=destination) as staging:
            recordings = _gather(files, Path(staging), destination.absolute())
            for path in sorted(path for path in Path(staging).rglob("*") if path.is_file()):
                target = destination / path.relative_to(staging)
                target.parent.mkdir(exist_ok=True)
                path.replace(target)
    except CorticodeError:
        if not any(destination.iterdir()):
            destination.rmdir()
        raise
    except OSError as error:
        raise RunError(
            f"cannot write {destination}: {error.strerror or error}; choose another folder"
        ) from error
    catalogue = destination / "sessions.csv"
    write_catalogue(catalogue, recordings)
    return ImportSummary(
        catalogue, len(set(files.animals.values())), len(files.animals), tuple(files.notes)
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
