"""Tests."""

import csv
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from scipy.io import loadmat
from scipy.ndimage import uniform_filter1d
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from corticode.data.catalogue import Recording, read_catalogue
from corticode.data.layouts.study2024 import import_study2024
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.session import open_session, read_session
from corticode.errors import DataError, StudyError
from corticode.simulate.cohort import (
    TIMED,
    describe_cohort,
    describe_session,
    is_simulated,
    simulate_cohort,
    simulate_sessions,
)
from corticode.simulate.dials import SIZES, CohortSize, resolve_dials
from corticode.simulate.session import simulate_mouse, simulate_session

EXTENT = CohortSize((3,), 1000, 32, has_movies=False)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return simulate_cohort(tmp_path_factory.mktemp("simulated") / "cohort")


@pytest.fixture
def little(monkeypatch):
    """A size of its own that is over in a second, with movies."""
    size = CohortSize((3, 3), 1000, 32, has_movies=True)
    monkeypatch.setattr("corticode.simulate.cohort.SIZES", {**SIZES, "little": size})


def test_the_files_are_the_study_s(cohort):
    assert sorted(path.name for path in cohort.iterdir()) == [
        "data_15_5mice.csv",
        "data_of_behavior_15_5mice",
        "data_of_traces_15_5mice",
        "truth.json",
    ]
    with (cohort / "data_15_5mice.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["Mouse_#"] for row in rows].count("5") == 3
    by_mouse = {row["Data_ID"]: row["Mouse_#"] for row in rows}
    assert by_mouse["20180125_Emx1G6_LR_1"] == "1"
    assert {by_mouse[name] for name in by_mouse if "_non_" in name} == {"2", "5"}
    for name in by_mouse:
        behavior = loadmat(cohort / "data_of_behavior_15_5mice" / f"{name}_behavior.mat")
        assert behavior["runrest"].shape == behavior["speed_rs"].shape == (1, 3000)
        assert set(np.unique(behavior["runrest"])) == {0, 1}
        traces = loadmat(cohort / "data_of_traces_15_5mice" / f"{name}.mat")["dat_roi"]
        assert traces.shape == (50, 3000)
        assert traces.dtype == np.float32


def test_the_truth_is_told(cohort):
    truth = json.loads((cohort / "truth.json").read_text())
    assert truth["data"] == "simulated"
    assert truth["limb_regions"] == [6, 8, 31, 33]
    assert truth["dials"]["limb"] == 1
    assert 0.9 < truth["ideal_auc"] < 1
    first = truth["sessions"][0]
    behavior = loadmat(cohort / "data_of_behavior_15_5mice" / f"{first['session']}_behavior.mat")
    assert first["run_fraction"] == pytest.approx(behavior["runrest"].mean())


def test_limb_regions_alone_can_be_decoded_in_a_mouse_never_seen(cohort, tmp_path):
    """By the amplitude of strides, which no single frame and no linear window shows."""
    import_study2024(cohort, tmp_path)
    windows, labels, mice = [], [], []
    length, seconds = 31, np.arange(31) / 30
    waves = np.exp(2j * np.pi * np.outer(seconds, [2, 3, 4])) * np.hanning(length)[:, None]
    for recording in read_catalogue(tmp_path / "sessions.csv"):
        session = read_session(recording)
        traces = session.traces[:, [5, 7, 30, 32]].astype(np.float64)
        traces -= uniform_filter1d(traces, 1000, axis=0)
        view = sliding_window_view(traces, length, axis=0)[::5]
        windows.append(np.abs(view @ (waves - waves.mean(axis=0))).reshape(len(view), -1))
        labels.append(session.behavior["runrest"][15:-15:5] > 0)
        mice.append(np.full(len(view), int(recording.animal[1:])))
    windows, labels, mice = (np.concatenate(part) for part in (windows, labels, mice))
    scores = []
    for mouse in range(1, 6):
        decoder = Ridge().fit(windows[mice != mouse], labels[mice != mouse])
        scores.append(roc_auc_score(labels[mice == mouse], decoder.predict(windows[mice == mouse])))
    assert np.mean(scores) > 0.88


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000))
def test_the_same_seed_gives_the_same_bytes_and_another_others(tmp_path_factory, little, seed):
    folder = tmp_path_factory.mktemp("seeds")
    options = {"size": "little", "traces_only": True}
    first, again = (simulate_cohort(folder / k, seed=seed, **options) for k in "ab")
    other = simulate_cohort(folder / "c", seed=seed + 1, **options)
    for path in sorted(path for path in first.rglob("*") if path.is_file()):
        inside = path.relative_to(first)
        assert (again / inside).read_bytes() == path.read_bytes()
        assert path.suffix == ".csv" or (other / inside).read_bytes() != path.read_bytes()


def test_movies_lie_beside_traces_that_they_do_not_change(little, tmp_path):
    with_movies = simulate_cohort(tmp_path / "movies", size="little")
    without = simulate_cohort(tmp_path / "traces", size="little", traces_only=True)
    assert not (without / "data_of_image_6_2mice").exists()
    for path in without.rglob("*.mat"):
        assert path.read_bytes() == (with_movies / path.relative_to(without)).read_bytes()
    import_study2024(with_movies, tmp_path / "study")
    session = read_session(read_catalogue(tmp_path / "study" / "sessions.csv")[0])
    assert session.movie.shape == (1000, 32, 32)
    assert session.movie.dtype == np.uint16


def test_a_reference_channel_and_odd_clocks_come_with_their_catalogue(little, tmp_path):
    folder = simulate_cohort(
        tmp_path / "cohort",
        size="little",
        dials={"dropped_frames": 5, "missing_end": 1, "clock_drift": 1},
        reference_channel=True,
    )
    recordings = read_catalogue(folder / "sessions.csv")
    assert [recording.animal for recording in recordings] == ["m1"] * 3 + ["m2"] * 3
    session = read_session(recordings[0], signals=["runrest"])
    assert session.movie.shape == session.reference.shape == (session.n_frames, 32, 32)
    assert session.n_frames < 1000
    assert session.segment.max() >= 1


def test_what_cannot_be_simulated_is_refused(tmp_path):
    with pytest.raises(StudyError, match="no size 'huge'; sizes are tiny, small, study, grid"):
        simulate_cohort(tmp_path / "a", size="huge")
    with pytest.raises(StudyError, match="seed is -1"):
        simulate_cohort(tmp_path / "a", seed=-1)
    with pytest.raises(StudyError, match="no simulation parameter 'limbs'"):
        simulate_cohort(tmp_path / "a", dials={"limbs": 0})
    with pytest.raises(StudyError, match="reference channel is part of a movie"):
        simulate_cohort(tmp_path / "a", traces_only=True, reference_channel=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(little, tmp_path):
    kept = tmp_path / "results.txt"
    kept.write_text("mine")
    for destination in (tmp_path, kept):
        with pytest.raises(DataError, match="is not an empty folder; name a folder"):
            simulate_cohort(destination)
    assert kept.read_text() == "mine"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (simulate_cohort(empty, size="little") / "truth.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "results.txt"]


@pytest.fixture(scope="module")
def mouse():
    return simulate_mouse(1, 3, 0, resolve_dials({"lag_s": 0.3, "unplugged_wheel": 1}))


@settings(max_examples=3)
@given(number=st.integers(0, 2))
def test_a_session_is_told_with_its_run_fraction_and_ceiling(mouse, number):
    session = simulate_session(mouse, number, 1000, 32, 0)

    def perfect(traces):
        return session.behavior.is_running[15:-15].astype(float)

    told = describe_session("a", mouse, session, perfect)
    assert told["animal"] == "m1"
    assert told["run_fraction"] == session.behavior.is_running.mean()
    assert told["ideal_auc"] == 1


def test_a_session_without_running_has_no_ceiling():
    third = simulate_mouse(3, 3, 0, resolve_dials({"unplugged_wheel": 1}))
    session = simulate_session(third, 1, 1000, 32, 0)
    told = describe_session("b", third, session, lambda traces: traces[30:, 0])
    assert told["ideal_auc"] is None


def test_a_cohort_is_told_as_json(mouse):
    sessions = [
        {"session": "a", "animal": "m1", "ideal_auc": 0.9},
        {"session": "b", "animal": "m1", "ideal_auc": None},
        {"session": "c", "animal": "m1", "ideal_auc": 0.8},
    ]
    truth = json.loads(
        json.dumps(describe_cohort("tiny", EXTENT, 0, mouse.dials, [mouse], sessions))
    )
    assert truth["data"] == "simulated"
    assert truth["ideal_auc"] == pytest.approx(0.85)
    assert truth["lag_s"] == 0.3
    animal = truth["animals"]["m1"]
    assert np.shape(animal["footprints"]["centres"]) == (50, 2)
    assert animal["footprints"]["radius"] == 1
    assert np.shape(animal["weights"]["limb, left"]) == (50,)
    assert truth["n_frames"] == 1000


@pytest.mark.parametrize("place", ["truth.json", "traces/truth.json"])
def test_a_recording_is_known_as_simulated_by_the_truth_beside_it(tmp_path, place):
    (tmp_path / "traces").mkdir()
    recording = Recording("m1", "a", traces=ArrayLocation(tmp_path / "traces" / "a.npy"))
    assert not is_simulated(recording)
    (tmp_path / place).write_text("{}", "utf-8")
    assert is_simulated(recording)


def test_they_are_the_mice_that_are_written_to_files(tmp_path):
    simulate_cohort(tmp_path / "cohort", size="grid", seed=3, dials={"limb": 2.0})
    import_study2024(tmp_path / "cohort", tmp_path)
    written = [open_session(one) for one in read_catalogue(tmp_path / "sessions.csv")]
    written.sort(key=lambda session: (session.animal, session.session))
    made = simulate_sessions(1000, seed=3, dials={"limb": 2.0})
    assert [one.animal for one in made] == [one.animal for one in written]
    for one in made:
        same = [
            w for w in written if w.animal == one.animal and np.array_equal(w.traces, one.traces)
        ]
        assert len(same) == 1
        for name in ("runrest", "speed_rs"):
            np.testing.assert_array_equal(same[0].behavior[name], one.behavior[name])
        assert (one.regions, one.frame_rate_hz) == (same[0].regions, 30.0)


def test_fewer_mice_are_the_first_ones():
    three, two = simulate_sessions(1000, n_mice=3), simulate_sessions(1000, n_mice=2)
    assert [one.name for one in three[::3]] == ["m1/day 1", "m2/day 1", "m3/day 1"]
    np.testing.assert_array_equal(three[5].traces, two[5].traces)


@pytest.mark.parametrize("n_mice", [0, 6])
def test_as_many_mice_as_there_are(n_mice):
    with pytest.raises(StudyError, match=f"{n_mice} mice; 1 to 5 can be simulated"):
        simulate_sessions(200, n_mice=n_mice)


@pytest.mark.parametrize("name", TIMED)
def test_what_only_files_tell_is_refused(name):
    with pytest.raises(StudyError, match=f"parameter '{name}' needs files.*use simulate_cohort"):
        simulate_sessions(200, dials={name: 1.0})


def test_fewer_days_than_a_trend_takes():
    with pytest.raises(StudyError, match="2 sessions a mouse; at least 3 are needed"):
        simulate_sessions(200, 2)
