import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

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
from corticode.errors import DataError, MissingDataError


def write_table(folder, *rows, name="data_2_2mice.csv", header="Data_ID,Mouse_#"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join([header, *rows]) + "\n")


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def names(paths):
    return [path.name for path in paths]


def test_files_are_found_by_id_at_any_depth(tmp_path):
    write_table(tmp_path, "LR_1,1", "LR_10,1", "LR_1_b,2")
    for name in (
        "data_of_behavior_3_2mice/LR_1_behavior.mat",
        "data_of_image_3_2mice/LR_10.tif",
        "data_of_image_3_2mice/LR_2.tif",
        "averages/LR_1.tif",
        "traces/LR_1.mat",
        "traces/LR_10_roi_50.mat",
        "traces/LR_1_b_roi.mat",
        "traces/LR_1_c.mat",
        "traces/._LR_1.mat",
        "LR_10_behavior.mat",
        "signal_2mice_raw.mat",
        "runrest_2mice.mat",
    ):
        touch(tmp_path / name)
    files = find_study_files(tmp_path)
    assert files.animals == {"LR_1": 1, "LR_10": 1, "LR_1_b": 2}
    assert names(files.behavior["LR_1"]) == ["LR_1_behavior.mat"]
    assert {session: names(paths) for session, paths in files.movies.items()} == {
        "LR_10": ["LR_10.tif"]
    }
    assert {session: names(paths) for session, paths in files.traces.items()} == {
        "LR_1": ["LR_1.mat", "LR_1_c.mat"],
        "LR_10": ["LR_10_roi_50.mat"],
        "LR_1_b": ["LR_1_b_roi.mat"],
    }
    assert sorted(files.cells) == ["runrest", "signal_raw"]
    assert files.notes == [
        "files that belong to no session of data_2_2mice.csv were not used: "
        "LR_10_behavior.mat, averages/LR_1.tif, data_of_image_3_2mice/LR_2.tif"
    ]
    assert files.faults == []


@given(st.lists(st.integers(1, 200), min_size=1, max_size=20, unique=True))
def test_a_file_never_goes_to_a_session_whose_number_starts_alike(tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("study")
    write_table(folder, *(f"LR_{number},1" for number in numbers))
    for number in numbers:
        touch(folder / f"LR_{number}_roi.mat")
    files = find_study_files(folder)
    assert {session: names(paths) for session, paths in files.traces.items()} == {
        f"LR_{number}": [f"LR_{number}_roi.mat"] for number in numbers
    }


def test_the_table_is_read_with_either_column_and_extra_ones(tmp_path):
    write_table(tmp_path, "0,a_1,2.0", "1,a_2,1", header="\ufeff,Data_ID,mouse_No.")
    assert find_study_files(tmp_path).animals == {"a_1": 2, "a_2": 1}


def test_two_tables_must_agree(tmp_path):
    write_table(tmp_path, "a,1")
    write_table(tmp_path / "copy", "a,1", header="Data_ID,mouse_No.")
    assert find_study_files(tmp_path).table.name == "data_2_2mice.csv"
    write_table(tmp_path / "old", "a,2")
    with pytest.raises(DataError, match=r"old.data_2_2mice\.csv and .* disagree; keep the right"):
        find_study_files(tmp_path)


def test_every_fault_of_the_table_is_told_at_once(tmp_path):
    write_table(tmp_path, "a,1", "a,2", "b,Tom", "../c,1", ",1", "d")
    with pytest.raises(DataError) as caught:
        find_study_files(tmp_path)
    message = str(caught.value)
    for part in (
        "row 3: Data_ID 'a' comes twice",
        "row 4: Mouse_# is 'Tom'; it must be the mouse's number",
        "row 5: Data_ID is '../c'; it must be a plain name",
        "row 6: Data_ID is ''",
        "row 7: Mouse_# is ''",
    ):
        assert part in message


def test_a_missing_or_odd_table_is_refused(tmp_path):
    with pytest.raises(MissingDataError, match="is no folder"):
        find_study_files(tmp_path / "nowhere")
    with pytest.raises(MissingDataError, match=r"holds no data_<n>_<n>mice\.csv"):
        find_study_files(tmp_path)
    write_table(tmp_path, "a,1", header="session,animal")
    with pytest.raises(DataError, match="has columns session, animal; it needs Data_ID and"):
        find_study_files(tmp_path)
    write_table(tmp_path)
    with pytest.raises(DataError, match="names no session"):
        find_study_files(tmp_path)


def test_cells_go_to_the_sessions_of_their_mouse_in_order(tmp_path):
    cells = np.empty((1, 2), dtype=object)
    cells[0, 0], cells[0, 1] = np.full((2, 5), 1.0), np.full((2, 5), 2.0)
    path = tmp_path / "signal_5mice.mat"
    savemat(path, {"signal1": cells, "signal2": cells})
    animals = {"a": 1, "x": 2, "b": 1, "y": 2, "z": 2}
    files = StudyFiles(tmp_path, tmp_path / "t.csv", animals, cells={"signal": path})
    read = {name: cell[0, 0] for name, cell in read_session_cells(files, "signal", ["b", "x"])}
    assert read == {"b": 2.0}
    assert files.faults == [
        f"{path}::signal2 has 2 cells, t.csv has 3 sessions of mouse 2; each session needs its cell"
    ]
    files.animals["w"] = 7
    assert list(read_session_cells(files, "signal", ["w"])) == []
    assert "signal7" in files.faults[1]


def test_faults_are_noted_one_by_one(tmp_path):
    files = StudyFiles(tmp_path, tmp_path / "t.csv", {"a": 1})
    assert the_only(files, "a", [], "movies") is None
    assert the_only(files, "a", [tmp_path / "p"], "movies") == tmp_path / "p"
    the_only(files, "a", [tmp_path / "p", tmp_path / "q"], "movies")
    assert count_frames(files, (1, 9), "runrest") == count_frames(files, (9, 1), "runrest") == 9
    assert count_frames(files, (3, 9), "runrest") == count_frames(files, None, "speed") == 0
    assert count_traces(files, (3, 9), "a") == (3, 9)
    assert count_traces(files, (9, 3), "a") == (0, 0)
    (tmp_path / "a.mat").write_bytes(b"not a MAT file at all")
    assert array_shapes(files, tmp_path / "a.mat") == {}
    message = list_faults(tmp_path, files.faults)
    for part in (
        "1. session 'a' has 2 movies (",
        "2. runrest is 3 x 9; it must be 1 x frames",
        "3. speed is missing; it must be 1 x frames",
        "4. traces of session 'a' are 9 x 3; they must be regions x frames",
        "a.mat cannot be read as MAT",
    ):
        assert part in message
