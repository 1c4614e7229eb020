"""What can be wrong with a catalogue, each fault in words."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.catalogue import COLUMNS
from corticode.data.catalogue_rules import (
    faults_between_rows,
    header_faults,
    row_faults,
    split_names,
)

GOOD = {"animal": "m1", "session": "a", "traces": "m1.npy"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "m1.npy").touch()
    (tmp_path / "notes.txt").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("header", "faults"),
    [
        (["animal", "session", "traces"], []),
        (
            ["animal", "session", "behaviour"],
            ["row 1: column 'behaviour' is unknown; did you mean 'behavior'?"],
        ),
        (["session"], ["row 1: column 'animal' is missing; add it, with a name in each row"]),
        (
            ["animal", "session", "", "animal"],
            [
                "row 1: column 3 has no name; name or delete it",
                "row 1: column 'animal' is there twice; delete one",
            ],
        ),
        (["animal;session"], ["row 1 is separated by semicolons; save it with commas"]),
        (
            ["animal\tsession"],
            ["row 1 is separated by tabs; save it with commas, or name it .tsv"],
        ),
        (["animal", "session", "note", "note_weight"], []),
    ],
)
def test_header(header: list[str], faults: list[str]) -> None:
    assert list(header_faults(header, COLUMNS)) == faults


def test_an_unlike_column_lists_those_there_are() -> None:
    (fault,) = header_faults(["animal", "session", "zzz"], COLUMNS)
    assert "column 'zzz' is unknown; columns are animal, session, behavior, " in fault
    assert fault.endswith("; call one of your own 'note_zzz'")


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ({"frame_rate_hz": "30"}, None),
        ({"frame_rate_hz": "0"}, "column 'frame_rate_hz': '0' is not a positive number of Hz"),
        ({"frame_rate_hz": "nan"}, "'nan' is not a positive number"),
        ({"frame_rate_hz": "30 Hz"}, "'30 Hz' is not a positive number"),
        ({"movie_axes": "row, column, time"}, None),
        ({"movie_axes": "x,y,t"}, "'x,y,t' is not an order of time,row,column; name each once"),
        ({"traces_axes": "region,time"}, None),
        ({"traces_axes": "time,time"}, "'time,time' is not an order of time,region"),
        ({"channels": "reference,calcium"}, None),
        ({"channels": "calcium"}, None),
        ({"channels": "470,405"}, "'470,405' is not 'calcium,reference' or 'reference,calcium'"),
        ({"channels": "reference"}, "leave it blank for a movie of one wavelength"),
        ({"date": "2024-02-29"}, None),
        ({"date": "2023-02-29"}, "column 'date': '2023-02-29' is not an ISO date"),
        ({"date": "20240229"}, "is not an ISO date, as in 2024-05-31"),
        ({"movie_reference": "m1.npy"}, "'movie_reference': is given without 'movie'"),
        (
            {"movie": "m1.npy", "movie_reference": "m1.npy", "channels": "calcium,reference"},
            "and 'channels' names a reference too; leave one out",
        ),
        ({"frame_times": "m1.npy"}, "'frame_times': is given without 'behavior_times'"),
        ({"behavior_times": "m1.npy"}, "'behavior_times': is given without 'frame_times'"),
        ({"behavior": "gone.mat"}, "gone.mat does not exist; paths are relative to the catalogue"),
        ({"behavior": "a\\b.mat"}, "does not exist; .*and folders are parted by /"),
        ({"behavior": "."}, "has the suffix ''; files read are"),
        ({"behavior": "notes.txt"}, "has the suffix '.txt'; files read are .csv, "),
        ({"behavior": "m1.npy::"}, "'m1.npy::' is not a location; write file or file::dataset"),
        ({"regions": "notes.txt"}, None),
        ({"regions": "gone.txt"}, "column 'regions': .*gone.txt does not exist"),
    ],
)
def test_row(folder: Path, cells: dict[str, str], fault: str | None) -> None:
    faults = list(row_faults(7, GOOD | cells, folder))
    assert len(faults) == (fault is not None)
    if fault is not None:
        assert faults[0].startswith("row 7, column ")
        assert re.search(fault, faults[0])


def test_a_folder_is_not_a_file(folder: Path) -> None:
    (folder / "m2.npy").mkdir()
    (fault,) = row_faults(2, GOOD | {"movie": "m2.npy"}, folder)
    assert "m2.npy is a folder, not a file" in fault


def test_blank_rows_lack_three_things(folder: Path) -> None:
    assert list(row_faults(3, {}, folder)) == [
        "row 3, column 'animal': is blank; name the animal",
        "row 3, column 'session': is blank; name the session",
        "row 3, column 'traces': is blank, and so is 'movie'; name a movie, traces or both",
    ]


def test_between_rows() -> None:
    rows = [
        (2, {"animal": "m1", "session": "a"}),
        (3, {"animal": "m2", "session": "a"}),
        (4, {"animal": "m1", "session": "b", "date": "2024-05-31"}),
        (6, {"animal": "m1", "session": "a"}),
    ]
    assert list(faults_between_rows(rows)) == [
        "row 6, column 'session': animal 'm1', session 'a' stands in row 2 too; "
        "give each session of an animal its own name",
        "row 2, column 'date': is blank, but animal 'm1' has a date in row 4; "
        "date all of an animal's sessions or none",
    ]


@pytest.mark.parametrize("column", ["traces", "movie"])
def test_two_sessions_of_one_animal_that_name_the_same_file(column: str) -> None:
    rows = [
        (2, {"animal": "m1", "session": "a", column: "x/1.mat::dff"}),
        (3, {"animal": "m1", "session": "b", column: "./x/1.mat :: dff"}),
        (4, {"animal": "m1", "session": "c", column: "x/1.mat::raw"}),
        (5, {"animal": "m2", "session": "a", column: "x/1.mat::dff"}),
        (6, {"animal": "m2", "session": "b"}),
        (7, {"animal": "m2", "session": "c"}),
    ]
    assert list(faults_between_rows(rows)) == [
        f"row 3, column '{column}': sessions 'a' and 'b' of animal 'm1' name the same {column} "
        "(x/1.mat::dff, also in row 2); give each its own file"
    ]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), max_size=8))
def test_every_row_that_repeats_is_told(pairs: list[tuple[str, str]]) -> None:
    rows = [(k, {"animal": a, "session": s}) for k, (a, s) in enumerate(pairs, start=2)]
    assert len(list(faults_between_rows(rows))) == len(pairs) - len(set(pairs))


def test_split_names() -> None:
    assert split_names(" time, row ,column") == ("time", "row", "column")
    assert split_names(None) == split_names("") == ()
