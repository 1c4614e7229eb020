"""Tests."""

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from tifffile import imwrite

from corticode.data.catalogue import read_catalogue
from corticode.data.layouts.study2024 import (
    StudyFiles,
    array_shapes,
    count_frames,
    count_traces,
    find_study_files,
    import_study2024,
    list_faults,
    read_published_regions,
    read_session_cells,
    the_only,
)
from corticode.data.readers.arrays import read_array, read_signal
from corticode.data.regions import read_regions, select_regions
from corticode.errors import DataError, MissingDataError, RunError
from corticode.simulate.cohort import simulate_cohort

SESSIONS = {"0125_LR_1": 1, "0125_non_1": 2, "0126_LR_10": 1, "0321_non_1": 3}
N_FRAMES = 40


def traces_of(session, n_regions=6):
    """Values that tell session, region and frame apart."""
    k = list(SESSIONS).index(session)
    return 1000.0 * k + 100.0 * np.arange(n_regions)[:, None] + np.arange(N_FRAMES)


def runrest_of(session):
    k = list(SESSIONS).index(session)
    return (np.arange(N_FRAMES) % (k + 2) == 0).astype(float)[None]


def write_mat(path, arrays, version=5):
    path.parent.mkdir(parents=True, exist_ok=True)
    if version == 5:
        savemat(path, {name: as_cell(value) for name, value in arrays.items()})
        return
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in arrays.items():
            if isinstance(value, list):
                references = np.empty((len(value), 1), dtype=h5py.ref_dtype)
                for k, array in enumerate(value):
                    references[k, 0] = write_matrix(file, f"#refs#/{name}{k}", array).ref
                cell = file.create_dataset(name, data=references, dtype=h5py.ref_dtype)
                cell.attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                write_matrix(file, name, value)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def write_matrix(file, name, array):
    dataset = file.create_dataset(name, data=np.asarray(array).T)
    dataset.attrs["MATLAB_class"] = np.bytes_("double")
    return dataset


def as_cell(value):
    if not isinstance(value, list):
        return value
    cell = np.empty((1, len(value)), dtype=object)
    for k, array in enumerate(value):
        cell[0, k] = array
    return cell


def write_table(folder, sessions=SESSIONS):
    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{session},{mouse}\n" for session, mouse in sessions.items())
    (folder / "data_4_3mice.csv").write_text("Data_ID,Mouse_#\n" + rows)


def write_behavior(folder, sessions=SESSIONS, version=5):
    for session in sessions:
        path = folder / "data_of_behavior_4_3mice" / f"{session}_behavior.mat"
        write_mat(path, {"runrest": runrest_of(session)}, version)


def write_session_traces(folder, sessions=SESSIONS, version=5, n_regions=6):
    for session in sessions:
        write_mat(
            folder / "roi" / f"{session}_roi.mat",
            {"dat_roi": traces_of(session, n_regions)},
            version,
        )


def write_cells(folder, name, variable, of, version=5):
    cells = {}
    for session, mouse in SESSIONS.items():
        cells.setdefault(f"{variable}{mouse}", []).append(of(session))
    write_mat(folder / name, cells, version)


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    write_table(folder)
    return folder


def faults_of(study, destination):
    with pytest.raises(DataError) as caught:
        import_study2024(study, destination)
    assert not destination.exists()
    return str(caught.value)


def check_arrays(recordings):
    """Each session has its own traces and behaviour, whoever's suffix it shares."""
    assert {r.session: int(r.animal[1:]) for r in recordings} == SESSIONS
    for recording in recordings:
        traces = np.asarray(read_array(recording.traces))
        if recording.traces_axes == ("time", "region"):
            traces = traces.T
        np.testing.assert_array_equal(traces, traces_of(recording.session))
        runrest = read_signal(recording.behavior, "runrest")
        np.testing.assert_array_equal(runrest, runrest_of(recording.session)[0])


@pytest.mark.parametrize("version", [5, 7.3])
def test_files_of_each_session_are_referred_to_in_place(study, tmp_path, version):
    write_behavior(study, version=version)
    write_session_traces(study, version=version)
    summary = import_study2024(study, tmp_path / "out")
    assert (summary.n_animals, summary.n_sessions, summary.notes) == (3, 4, ())
    recordings = read_catalogue(summary.catalogue)
    check_arrays(recordings)
    assert recordings[0].traces.path.samefile(study / "roi" / "0125_LR_1_roi.mat")
    assert recordings[0].traces_axes == ("region", "time")
    assert recordings[0].frame_rate_hz == 30
    assert recordings[0].history == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["sessions.csv"]


@pytest.mark.parametrize("version", [5, 7.3])
def test_cells_are_written_once_session_by_session(study, tmp_path, version):
    write_cells(study, "signal_5mice_raw.mat", "signal", traces_of, version)
    write_cells(study, "signal_5mice.mat", "signal", lambda session: 0 * traces_of(session))
    write_cells(study, "runrest_5mice.mat", "runrest", runrest_of, version)
    out = tmp_path / "out"
    summary = import_study2024(study, out)
    recordings = read_catalogue(summary.catalogue)
    check_arrays(recordings)
    assert summary.notes == (
        "behaviour of 4 of 4 sessions: runrest_5mice.mat",
        "traces of 4 of 4 sessions: signal_5mice_raw.mat",
    )
    assert recordings[0].traces_axes == ("time", "region")
    assert {recording.history for recording in recordings} == {""}
    written = np.load(out / "traces" / "0125_LR_1.npy")
    assert (written.dtype, written.shape) == (np.float32, (N_FRAMES, 6))
    folders = sorted(path.name for path in out.iterdir())
    assert folders == ["behavior", "sessions.csv", "traces"]


def test_detrended_cells_say_so(study, tmp_path):
    write_behavior(study)
    write_cells(study, "signal_5mice.mat", "signal", traces_of)
    summary = import_study2024(study, tmp_path / "out")
    recordings = read_catalogue(summary.catalogue)
    assert {recording.history for recording in recordings} == {"detrended-1000"}
    assert summary.notes == ("already detrended traces of 4 of 4 sessions: signal_5mice.mat",)
    check_arrays(recordings)


def test_files_of_a_session_go_before_cells(study, tmp_path):
    write_behavior(study, list(SESSIONS)[:1])
    write_session_traces(study, list(SESSIONS)[:1])
    write_cells(study, "signal_5mice.mat", "signal", traces_of)
    write_cells(study, "runrest_5mice.mat", "runrest", runrest_of)
    summary = import_study2024(study, tmp_path / "out")
    recordings = read_catalogue(summary.catalogue)
    check_arrays(recordings)
    assert [recording.history for recording in recordings] == ["", *["detrended-1000"] * 3]
    assert any("of 3 of 4 sessions: signal_5mice.mat" in note for note in summary.notes)


def test_movies_alone_are_enough_and_strangers_are_noted(study, tmp_path):
    write_behavior(study)
    images = study / "data_of_image_4_3mice"
    images.mkdir()
    for session in [*SESSIONS, "0101_R_1"]:
        imwrite(images / f"{session}.tif", np.zeros((3, 4, 5), np.uint16), photometric="minisblack")
    summary = import_study2024(study, tmp_path / "out")
    first = read_catalogue(summary.catalogue)[0]
    assert first.traces is None
    assert first.movie.path.samefile(images / "0125_LR_1.tif")
    assert summary.notes == (
        "files that belong to no session of data_4_3mice.csv were not used: "
        "data_of_image_4_3mice/0101_R_1.tif",
    )


def test_lengths_that_differ_are_noted(study, tmp_path):
    write_behavior(study)
    write_session_traces(study)
    path = study / "data_of_behavior_4_3mice" / "0126_LR_10_behavior.mat"
    write_mat(path, {"runrest": np.ones((1, N_FRAMES - 1))})
    summary = import_study2024(study, tmp_path / "out")
    assert summary.notes == (
        "session '0126_LR_10' has 40 frames of traces and 39 of behaviour; "
        "[data] trim_frames can cut the longer one",
    )


def test_all_faults_are_told_at_once_and_nothing_is_left(study, tmp_path):
    write_behavior(study, list(SESSIONS)[:3])
    write_mat(
        study / "data_of_behavior_4_3mice" / "0125_LR_1_behavior.mat", {"speed_rs": np.ones((1, 9))}
    )
    write_mat(
        study / "data_of_behavior_copy" / "0125_non_1_behavior.mat", {"runrest": np.ones((1, 40))}
    )
    write_session_traces(study, ["0125_LR_1"])
    write_session_traces(study, ["0126_LR_10"], n_regions=5)
    write_mat(study / "roi" / "0125_non_1.mat", {"dat_roi": np.zeros((40, 6))})
    message = faults_of(study, tmp_path / "out")
    for part in (
        "session '0125_non_1' has 2 behaviour files (",
        "0125_LR_1_behavior.mat is missing; it must be 1 x frames",
        "session '0321_non_1' has no 0321_non_1_behavior.mat",
        "traces of session '0125_non_1' are 40 x 6; they must be regions x frames",
        "session '0321_non_1' has neither a movie",
        "sessions differ in their number of regions: 5 in '0126_LR_10', 6 in '0125_LR_1'",
    ):
        assert part in message


def test_cells_must_be_as_many_as_the_sessions_of_the_mouse(study, tmp_path):
    write_behavior(study)
    write_mat(
        study / "signal_5mice.mat",
        {
            "signal1": [traces_of("0125_LR_1")],
            "signal2": [traces_of("0125_non_1").T],
            "signal3": [traces_of("0321_non_1")],
        },
    )
    message = faults_of(study, tmp_path / "out")
    assert "signal1 has 1 cells, data_4_3mice.csv has 2 sessions of mouse 1" in message
    assert "traces of session '0125_non_1' are 40 x 6" in message
    assert "neither a movie" not in message


def test_an_earlier_import_stays_where_a_later_one_fails(study, tmp_path):
    write_behavior(study)
    write_cells(study, "signal_5mice.mat", "signal", traces_of)
    catalogue = import_study2024(study, tmp_path / "out").catalogue
    before = catalogue.read_bytes()
    (study / "data_of_behavior_4_3mice" / "0125_LR_1_behavior.mat").unlink()
    with pytest.raises(DataError, match="has no 0125_LR_1_behavior"):
        import_study2024(study, tmp_path / "out")
    assert catalogue.read_bytes() == before
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["sessions.csv", "traces"]


def test_a_folder_without_a_table_or_a_place_to_write_is_refused(study, tmp_path):
    with pytest.raises(MissingDataError, match="is no folder"):
        import_study2024(tmp_path / "nowhere", tmp_path / "out")
    write_behavior(study)
    write_session_traces(study)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="choose another folder"):
        import_study2024(study, tmp_path / "file")


def test_a_simulated_cohort_is_imported_with_its_regions(tmp_path):
    cohort = simulate_cohort(tmp_path / "cohort")
    summary = import_study2024(cohort, tmp_path / "out")
    assert (summary.n_animals, summary.n_sessions, summary.notes) == (5, 15, ())
    recordings = read_catalogue(summary.catalogue)
    shared = [r.animal for r in recordings if "_non_" in r.session]
    assert set(shared) == {"m2", "m5"}
    table = read_regions(tmp_path / "out" / "regions.csv")
    assert table == read_published_regions()
    limbs = select_regions(["FLa&HLa"], table.names, table)
    assert (1 + np.flatnonzero(limbs)).tolist() == [6, 8, 31, 33]
    assert select_regions(["FL&HL"], table.names, table).sum() == 8


def test_published_regions_are_mirrored():
    regions = read_published_regions()
    assert regions.names == tuple(str(k) for k in range(1, 51))
    for k, mirror in enumerate(regions.mirrors):
        partner = regions.names.index(mirror)
        assert regions.mirrors[partner] == regions.names[k]
        assert regions.groups[partner] == regions.groups[k]
        assert regions.sides[partner] != regions.sides[k]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(list(SESSIONS)), st.lists(st.integers(1, 9), min_size=4, max_size=4))
def test_animals_and_order_are_the_table_s(tmp_path_factory, order, mice):
    folder = tmp_path_factory.mktemp("any")
    write_table(folder, dict(zip(order, mice, strict=True)))
    write_behavior(folder)
    write_session_traces(folder)
    import_study2024(folder, folder / "out")
    written = pd.read_csv(folder / "out" / "sessions.csv", dtype=str)
    assert written["session"].tolist() == order
    assert written["animal"].tolist() == [f"m{mouse}" for mouse in mice]


def write_names(folder, *rows, name="data_2_2mice.csv", header="Data_ID,Mouse_#"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join([header, *rows]) + "\n")


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def names(paths):
    return [path.name for path in paths]


def test_files_are_found_by_id_at_any_depth(tmp_path):
    write_names(tmp_path, "LR_1,1", "LR_10,1", "LR_1_b,2")
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
    write_names(folder, *(f"LR_{number},1" for number in numbers))
    for number in numbers:
        touch(folder / f"LR_{number}_roi.mat")
    files = find_study_files(folder)
    assert {session: names(paths) for session, paths in files.traces.items()} == {
        f"LR_{number}": [f"LR_{number}_roi.mat"] for number in numbers
    }


def test_the_table_is_read_with_either_column_and_extra_ones(tmp_path):
    write_names(tmp_path, "0,a_1,2.0", "1,a_2,1", header="\ufeff,Data_ID,mouse_No.")
    assert find_study_files(tmp_path).animals == {"a_1": 2, "a_2": 1}


def test_two_tables_must_agree(tmp_path):
    write_names(tmp_path, "a,1")
    write_names(tmp_path / "copy", "a,1", header="Data_ID,mouse_No.")
    assert find_study_files(tmp_path).table.name == "data_2_2mice.csv"
    write_names(tmp_path / "old", "a,2")
    with pytest.raises(DataError, match=r"old.data_2_2mice\.csv and .* disagree; keep the right"):
        find_study_files(tmp_path)


def test_every_fault_of_the_table_is_told_at_once(tmp_path):
    write_names(tmp_path, "a,1", "a,2", "b,Tom", "../c,1", ",1", "d")
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
    write_names(tmp_path, "a,1", header="session,animal")
    with pytest.raises(DataError, match="has columns session, animal; it needs Data_ID and"):
        find_study_files(tmp_path)
    write_names(tmp_path)
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


def test_files_of_the_destination_are_not_replaced(tmp_path):
    """A second import writes the same again; what somebody edited, or had there before, stays."""
    write_table(tmp_path)
    write_behavior(tmp_path)
    for name in SESSIONS:
        write_mat(tmp_path / f"{name}.mat", {"dat_roi": traces_of(name)})
    catalogue = import_study2024(tmp_path, tmp_path / "imported").catalogue
    written = catalogue.read_bytes()
    import_study2024(tmp_path, tmp_path / "imported")
    assert catalogue.read_bytes() == written
    catalogue.write_bytes(written + b"\n")
    with pytest.raises(DataError, match=r"sessions\.csv exists and would be replaced by something"):
        import_study2024(tmp_path, tmp_path / "imported")
    assert catalogue.read_bytes() == written + b"\n"
    assert [path.name for path in catalogue.parent.iterdir()] == ["sessions.csv"]
