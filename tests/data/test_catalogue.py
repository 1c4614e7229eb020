"""Which recordings exist."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.catalogue import (
    Recording,
    check_catalogue,
    read_catalogue,
    write_catalogue,
)
from corticode.data.readers.arrays import ArrayLocation
from corticode.errors import DataError, MissingDataError


def _write(folder: Path, text: str, name: str = "sessions.csv") -> Path:
    for file in ("m1.npy", "m1.mat", "m1.tif", "names.txt"):
        (folder / file).touch()
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_column(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        "\ufeffanimal, session,movie,traces,behavior,frame_rate_hz,frame_times,behavior_times,"
        "movie_axes,traces_axes,channels,regions,segment,group,date,history\n"
        "007,01 ,m1.tif,m1.mat::dat_roi,m1.mat,29.97,m1.mat::t,m1.mat::tb,"
        '"row,column,time","region, time","calcium,reference",names.txt,trial,ko,2024-05-31,'
        "detrended-1000\n\n",
    )
    assert check_catalogue(path) == []
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
    assert check_catalogue(path) == [
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
    with pytest.raises(
        DataError, match=r"sessions.csv has 7 faults:\n  1\. row 1: .*(\n.*)+  7\. "
    ):
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
    for use in (check_catalogue, read_catalogue):
        with pytest.raises(MissingDataError, match=r"there is no catalogue at .*sessions\.csv"):
            use(tmp_path / "sessions.csv")
    assert check_catalogue(tmp_path) == [
        "it cannot be read: Is a directory; save it as CSV (UTF-8)"
    ]


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


WORD = st.from_regex(r"[A-Za-z0-9µ;,\"' _-]{0,6}[a-z0-9]", fullmatch=True).map(str.strip)


@settings(deadline=None, max_examples=40)
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
