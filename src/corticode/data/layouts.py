"""Folders as others publish them, brought into a catalogue: the 2024 study's layout."""

import io
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import pandas as pd

from corticode.data.regions import RegionTable

FRAME_RATE_HZ = 30.0
DETRENDED = "detrended-1000"
SESSION_COLUMN = "Data_ID"
MOUSE_COLUMNS = ("Mouse_#", "mouse_No.")
FOREPAW_AND_HINDPAW = "FLa&HLa"


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
        tuple(name for name in (group, FOREPAW_AND_HINDPAW * (limb == "1")) if name)
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

    Whose session is whose comes from ``data_<n>_5mice.csv`` alone (never from an id's suffix).
    Behaviour is ``{id}_behavior.mat``, else the cells of ``runrest_5mice.mat``; movies are
    ``{id}.tif``; traces are the array ``dat_roi`` of ``{id}.mat`` or ``{id}_*.mat``, else the
    cells of ``signal_5mice_raw.mat``, else those of ``signal_5mice.mat``, which were detrended:
    the catalogue's column ``history`` says so. Files of one session are referred to in place;
    cells are written once below `destination`.

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
    >>> source, folder = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    >>> write_text(source / "data_1_1mice.csv", "Data_ID,Mouse_#\\na_1,1\\n")
    >>> scipy.io.savemat(source / "a_1.mat", {"dat_roi": np.zeros((3, 20))})
    >>> runrest = source / "data_of_behavior_1_1mice" / "a_1_behavior.mat"
    >>> runrest.parent.mkdir()
    >>> scipy.io.savemat(runrest, {"runrest": np.ones((1, 20))})
    >>> summary = import_study2024(source, folder)
    >>> summary.n_sessions, summary.catalogue.name
    (1, 'sessions.csv')
    """
