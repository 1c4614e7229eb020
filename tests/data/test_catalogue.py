"""Which recordings exist."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.catalogue import (
    COLUMNS,
    Recording,
    faults_between_rows,
    header_faults,
    read_catalogue,
    row_faults,
    split_names,
    write_catalogue,
)
from corticode.data.readers.arrays import ArrayLocation
from corticode.errors import DataError, MissingDataError

WORD = st.from_regex(r"[A-Za-z0-9µ;,\"' _-]{0,6}[a-z0-9]", fullmatch=True).map(str.strip)
GOOD = {"animal": "m1", "session": "a", "traces": "m1.npy"}


def _write(folder: Path, text: str, name: str = "sessions.csv") -> Path:
    for file in ("m1.npy", "m1.mat", "m1.tif", "names.txt"):
        (folder / file).touch()
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_cells_without_end_are_shortened(tmp_path):
    path = tmp_path / "sessions.csv"
    (tmp_path / "t.npy").touch()
    path.write_text(f"animal,session,traces,frame_rate_hz\nm1,a,t.npy,{'9' * 5000}x\x1b[31m\n")
    with pytest.raises(DataError, match=r"9\.\.\.9+x\\x1b\[31m' is not a positive") as found:
        read_catalogue(path)
    assert len(str(found.value)) < 500


def test_a_table_of_data_is_no_catalogue(tmp_path):
    names = [f"c{k}" for k in range(20_000)]
    path = tmp_path / "wide.csv"
    path.write_text(f"{','.join(names)}\n" + f"{','.join(['0'] * len(names))}\n" * 3)
    began = time.process_time()
    with pytest.raises(DataError, match=r"20,000 columns are unknown \('c0', .* and 19995 more"):
        read_catalogue(path)
    assert time.process_time() - began < 5


def test_equal_faults_of_several_rows_are_listed_once(tmp_path):
    rows = [f'm{k},a,t{k}.npy,"10,0"' for k in range(9)]
    for k in range(9):
        (tmp_path / f"t{k}.npy").touch()
    path = tmp_path / "sessions.csv"
    path.write_text("\n".join(["animal,session,traces,frame_rate_hz", *rows]) + "\n")
    with pytest.raises(DataError) as found:
        read_catalogue(path)
    assert "has a fault:\n  1. row 2, column 'frame_rate_hz': '10,0' is not" in str(found.value)
    assert str(found.value).endswith("as in 30 (the same in row 3, 4, 5, 6, 7 and 3 more)")


def test_every_column(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        "\ufeffanimal, session,movie,traces,behavior,frame_rate_hz,frame_times,behavior_times,"
        "movie_axes,traces_axes,channels,regions,segment,group,date,history\n"
        "007,01 ,m1.tif,m1.mat::dat_roi,m1.mat,29.97,m1.mat::t,m1.mat::tb,"
        '"row,column,time","region, time","calcium,reference",names.txt,trial,ko,2024-05-31,'
        "detrended-1000\n\n",
    )
    mat = tmp_path / "m1.mat"
    assert read_catalogue(str(path)) == [
        Recording(
            "007",
            "01",
            behavior=ArrayLocation(mat),
            traces=ArrayLocation(mat, "dat_roi"),
            movie=ArrayLocation(tmp_path / "m1.tif"),
            frame_rate_hz=29.97,
            frame_times=ArrayLocation(mat, "t"),
            behavior_times=ArrayLocation(mat, "tb"),
            movie_axes=("row", "column", "time"),
            traces_axes=("region", "time"),
            channels=("calcium", "reference"),
            regions=tmp_path / "names.txt",
            segment="trial",
            group="ko",
            date="2024-05-31",
            history="detrended-1000",
        )
    ]


def test_blank_cells_are_defaults(tmp_path: Path) -> None:
    path = _write(
        tmp_path, "animal,session,traces,behavior,frame_rate_hz,movie_axes\nm1,a,m1.npy,,,\n"
    )
    assert read_catalogue(path) == [Recording("m1", "a", traces=ArrayLocation(tmp_path / "m1.npy"))]


def test_order_is_of_first_appearance_then_of_dates(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        "animal,session,traces,date\n"
        "m2,late,m1.mat::c,2024-02-01\n"
        "m1,z,m1.mat::b,\n"
        "m2,early,m1.mat::d,2024-01-31\n"
        "m1,a,m1.mat::a,\n",
    )
    names = [recording.name for recording in read_catalogue(path)]
    assert names == ["m2/early", "m2/late", "m1/z", "m1/a"]


def test_all_faults_at_once(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        "animal,session,trace,movie,frame_rate_hz\n"
        "m1,a,m1.npy,,\n"
        "\n"
        ",b,,gone.tif,-1\n"
        "m1,a,,m1.tif,30,9\n",
    )
    faults = [
        "row 1: column 'trace' is unknown; did you mean 'traces'?",
        "row 5 has 6 cells for 5 columns; put values that hold a comma in double quotes",
        "row 2, column 'traces': is blank, and so is 'movie'; name a movie, traces or both",
        "row 4, column 'animal': is blank; name the animal",
        f"row 4, column 'movie': {tmp_path / 'gone.tif'} does not exist; "
        "paths are relative to the catalogue",
        "row 4, column 'frame_rate_hz': '-1' is not a positive number of Hz, as in 30",
        "row 5, column 'session': animal 'm1', session 'a' stands in row 2 too; "
        "give each session of an animal its own name",
    ]
    listed = "\n".join(f"  {k}. {fault}" for k, fault in enumerate(faults, start=1))
    with pytest.raises(DataError, match=re.escape(f"sessions.csv has 7 faults:\n{listed}") + "$"):
        read_catalogue(path)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it is empty; write a header"),
        ("\n,,\n", "it is empty; write a header"),
        ("animal,session,traces\n", "it has no rows; write one row a session below the header"),
        ('animal,session\nm1,"a\n', "it cannot be read: .*save it as CSV"),
    ],
)
def test_nothing_in_it(tmp_path: Path, text: str, fault: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(DataError, match=f"sessions.csv has a fault:\n  1. {fault}"):
        read_catalogue(path)


def test_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"there is no catalogue at .*sessions\.csv"):
        read_catalogue(tmp_path / "sessions.csv")
    with pytest.raises(DataError, match="it cannot be read: Is a directory; save it as CSV"):
        read_catalogue(tmp_path)


def test_a_study_file_is_no_catalogue(tmp_path: Path) -> None:
    path = _write(tmp_path, "[data]\n", "study.toml")
    with pytest.raises(DataError, match=r"has a fault:\n  1. it is a study file; give the table"):
        read_catalogue(path)


def test_paths_are_seen_from_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, "animal,session,traces\nm1,a,m1.npy\n")
    monkeypatch.chdir(tmp_path)
    (recording,) = read_catalogue("sessions.csv")
    assert recording.traces == ArrayLocation(tmp_path / "m1.npy")


def test_written_paths(tmp_path: Path) -> None:
    study, beside = tmp_path / "lab" / "study", tmp_path / "lab" / "data"
    far = tmp_path / "far"
    for folder in (study, beside, far):
        folder.mkdir(parents=True)
        (folder / "m1.npy").touch()
    write_catalogue(
        study / "sessions.csv",
        [
            Recording("m1", "below", traces=ArrayLocation(study / "m1.npy")),
            Recording("m1", "beside", traces=ArrayLocation(beside / "m1.npy")),
            Recording("m1", "far", traces=ArrayLocation(far / "m1.npy", "x"), frame_rate_hz=30),
        ],
    )
    assert (study / "sessions.csv").read_text() == (
        "animal,session,traces,frame_rate_hz\n"
        "m1,below,m1.npy,\n"
        "m1,beside,../data/m1.npy,\n"
        f"m1,far,{far}/m1.npy::x,30\n"
    )
    assert [recording.traces for recording in read_catalogue(study / "sessions.csv")] == [
        ArrayLocation(study / "m1.npy"),
        ArrayLocation(beside / "m1.npy"),
        ArrayLocation(far / "m1.npy", "x"),
    ]


@given(
    st.lists(
        st.builds(
            Recording,
            animal=WORD,
            session=WORD,
            behavior=st.none() | st.just(ArrayLocation(Path("m1.mat"), "data/run")),
            frame_rate_hz=st.none() | st.floats(min_value=1e-3, max_value=1e4),
            traces_axes=st.permutations(["time", "region"]).map(tuple),
            segment=st.none() | WORD,
            group=st.just("") | WORD,
            history=st.just("") | WORD,
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda recording: recording.name,
    ),
    st.sampled_from(["sessions.csv", "sessions.tsv"]),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, recordings: list[Recording], name: str
) -> None:
    folder = tmp_path_factory.mktemp("study")
    path = _write(folder, "", name)

    def in_folder(location: ArrayLocation | None) -> ArrayLocation | None:
        return location and ArrayLocation(folder / location.path, location.dataset)

    # Sessions of one animal may not share an array.
    moved = [
        Recording(
            **{
                **vars(recording),
                "behavior": in_folder(recording.behavior),
                "traces": ArrayLocation(folder / "m1.mat", f"trial{k}"),
            }
        )
        for k, recording in enumerate(recordings)
    ]
    write_catalogue(path, moved)
    animals = [recording.animal for recording in moved]
    assert read_catalogue(path) == sorted(moved, key=lambda one: animals.index(one.animal))


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


def test_one_animal_in_two_spellings(tmp_path):
    """It would train and be tested as two animals."""
    rows = ["animal,session,traces"]
    for k, animal in enumerate(("m1", "m2", "M1", "m 01", "m10")):
        (tmp_path / f"{k}.npy").write_bytes(b"...")
        rows.append(f"{animal},a,{k}.npy")
    (tmp_path / "sessions.csv").write_text("\n".join(rows), "utf-8")
    with pytest.raises(DataError, match="has 2 faults") as told:
        read_catalogue(tmp_path / "sessions.csv")
    lines = str(told.value).splitlines()
    assert "row 4, column 'animal': 'M1' and 'm1' (row 2) differ in case, blanks" in lines[1]
    assert "row 5, column 'animal': 'm 01' and 'm1' (row 2)" in lines[2]
