"""Tests."""

import warnings
from dataclasses import replace

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from corticode.data.catalogue import Recording
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.session import Session, open_session, read_imaging, read_session
from corticode.errors import CorticodeWarning, DataError, MissingDataError

NAN = np.nan
COUNTS = np.arange(7 * 2 * 3, dtype=np.uint16).reshape(7, 2, 3)


@pytest.fixture
def recording(tmp_path):
    """A recording of 6 frames and 3 regions, its file of behaviour of every kind."""
    np.save(tmp_path / "traces.npy", np.arange(18.0).reshape(6, 3))
    np.savez(
        tmp_path / "behavior.npz",
        speed=np.linspace(0, 40, 6),
        run=np.array([[0, 0, 1, 1, 1, 0]]),
        act=np.array(["rest", "rest", "walk", "walk", "walk", "rest"]),
        trial=np.array([1, 1, 1, 2, 2, 2]),
        rate=np.array([[20.0]]),
    )
    return Recording(
        "m1",
        "a",
        behavior=ArrayLocation(tmp_path / "behavior.npz"),
        traces=ArrayLocation(tmp_path / "traces.npy"),
        frame_rate_hz=20.0,
    )


def save_traces(recording, traces):
    np.save(recording.traces.path, traces)
    return recording


def test_a_session_by_hand(recording):
    session = read_session(recording)
    assert session.name == "m1/a"
    assert session.n_frames == 6
    assert session.regions == ("1", "2", "3")
    # A number that stands alone is no signal.
    assert sorted(session.behavior) == ["act", "run", "speed", "trial"]
    assert session.behavior["run"].tolist() == [0, 0, 1, 1, 1, 0]
    assert session.segment.tolist() == [0] * 6
    assert session.frame_rate_hz == 20.0
    assert session.findings == ()
    np.testing.assert_array_equal(session.traces, np.arange(18.0).reshape(6, 3))


def test_only_the_signals_asked_for_are_read(recording):
    assert list(read_session(recording, signals=["run"]).behavior) == ["run"]
    assert read_session(recording, signals=[]).behavior == {}
    by_trial = replace(recording, segment="trial")
    assert list(read_session(by_trial, signals=["run", "run"]).behavior) == ["run", "trial"]
    assert read_session(by_trial, signals=[]).segment.tolist() == [0, 0, 0, 1, 1, 1]


def test_times_in_the_file_of_behavior_are_no_signals(recording, tmp_path):
    location = ArrayLocation(tmp_path / "all.npz")
    np.savez(
        location.path,
        speed=np.linspace(1, 40, 12),
        clock=0.05 * np.arange(12),
        frames=0.1 * np.arange(6),
    )
    session = read_session(
        replace(
            recording,
            behavior=location,
            frame_rate_hz=10.0,
            frame_times=replace(location, dataset="frames"),
            behavior_times=replace(location, dataset="clock"),
        )
    )
    assert list(session.behavior) == ["speed"]
    np.testing.assert_allclose(
        session.behavior["speed"], np.linspace(1, 40, 12).reshape(6, 2).mean(axis=1)
    )


def test_axes_are_turned_as_told(recording):
    save_traces(recording, np.arange(18.0).reshape(3, 6))
    with pytest.raises(DataError, match="give traces_axes = 'region,time' in the catalogue"):
        read_session(recording)
    session = read_session(replace(recording, traces_axes=("region", "time")))
    assert session.traces[:, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_movies_stay_memory_mapped(recording, tmp_path):
    np.save(tmp_path / "movie.npy", np.zeros((4, 5, 6), np.uint16))
    movie = replace(
        recording,
        traces=None,
        movie=ArrayLocation(tmp_path / "movie.npy"),
        movie_axes=("row", "column", "time"),
    )
    session = read_session(movie)
    assert session.movie.shape == (6, 4, 5)
    assert np.shares_memory(session.movie, session.movie.base)
    assert isinstance(session.movie, np.memmap)
    assert (session.traces, session.regions) == (None, ())


def test_frames_that_are_not_finite_are_invalid(recording):
    traces = np.arange(18.0).reshape(6, 3)
    traces[1, 2], traces[4, 0] = NAN, np.inf
    session = read_session(save_traces(recording, traces))
    (finding,) = session.findings
    assert str(finding) == (
        "animal 'm1', session 'a': 2 of 6 frames have a region without a finite value; "
        "windows avoid them"
    )
    assert (finding.what, finding.count) == ("frames", 2)


def test_regions_without_any_value_are_left_out(recording):
    traces = np.arange(18.0).reshape(6, 3)
    traces[:, 1] = NAN
    session = read_session(save_traces(recording, traces), regions=["a", "b", "c"])
    assert session.regions == ("a", "c")
    assert session.traces.shape == (6, 2)
    assert [str(f) for f in session.findings] == [
        "animal 'm1', session 'a', region 'b': has no finite value and is left out"
    ]
    with pytest.raises(DataError, match="m1/a has no finite value in any region; check the file"):
        read_session(save_traces(recording, np.full((6, 3), NAN)))


def test_region_names(recording, tmp_path):
    (tmp_path / "names.txt").write_text("x\ny\nz\n")
    named = replace(recording, regions=tmp_path / "names.txt")
    assert read_session(named, regions=["a", "b", "c"]).regions == ("x", "y", "z")
    assert read_session(recording, regions=["a", "b", "c"]).regions == ("a", "b", "c")
    with pytest.raises(
        DataError,
        match=r"\[data\] regions names 2 regions, its traces of shape \(6, 3\) hold 3; check",
    ):
        read_session(recording, regions=["a", "b"])
    with pytest.raises(DataError, match="2 different names; name each region once"):
        read_session(recording, regions=["a", "b", "a"])


def test_units_of_speed_are_found(recording, tmp_path):
    np.savez(tmp_path / "behavior.npz", speed=np.linspace(0, 0.4, 6), run=np.zeros(6))
    (finding,) = read_session(recording).findings
    assert (finding.what, finding.item) == ("unit", "speed")
    assert "between 3 and 120 is expected for cm/s" in finding.reason
    assert read_session(recording, signals=["run"]).findings == ()
    with pytest.warns(CorticodeWarning, match=r"unit 'speed': 99th percentile of \|speed\| is"):
        open_session(recording)


def test_no_finding_no_warning(recording):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_session(recording)


def test_resampled_and_trimmed(recording):
    np.save(recording.traces.path, np.arange(21.0).reshape(7, 3))
    session = read_session(
        replace(recording, segment="trial"), trim_frames=1, resample_hz=10.0, regions=list("abc")
    )
    assert session.traces[:, 0].tolist()[::2] == [1.5, 13.5]
    assert np.isnan(session.traces[1]).all()
    assert session.behavior["run"].tolist() == [0, 1, 0.5]
    assert session.frame_rate_hz == 10.0
    assert [f.reason for f in session.findings] == [
        "1 frame was cut from the tail of traces",
        "1 of 3 frames have a region without a finite value; windows avoid them",
    ]


def test_refusals(recording, tmp_path):
    with pytest.raises(MissingDataError, match=r"no signal 'runs'.*did you mean 'run'"):
        read_session(recording, signals=["runs"])
    alone = replace(recording, behavior=None)
    assert read_session(alone).behavior == {}
    with pytest.raises(MissingDataError, match="has no behaviour file, so 'run', 'trial' cannot"):
        read_session(replace(alone, segment="trial"), signals=["run"])
    with pytest.raises(MissingDataError, match="has neither traces nor a movie; name one"):
        read_session(replace(recording, traces=None))
    with pytest.raises(DataError, match=r"has shape \(6,\); traces must have 2 axes, time"):
        read_session(save_traces(recording, np.zeros(6)))
    with pytest.raises(DataError, match="holds <U1 values; traces must be numbers"):
        read_session(save_traces(recording, np.full((6, 3), "x")))
    with pytest.raises(MissingDataError, match=r"nowhere.npy does not exist"):
        read_session(replace(recording, traces=ArrayLocation(tmp_path / "nowhere.npy")))


def test_a_session_made_by_hand_is_checked():
    segment = np.zeros(4, np.int32)
    with pytest.raises(DataError, match=r"traces of shape \(2, 4\) and a segment column of 4"):
        Session("m1", "a", np.zeros((2, 4)), ("1", "2"), {}, segment)
    with pytest.raises(DataError, match=r"behaviour 'run' of shape \(3,\) and a segment column"):
        Session("m1", "a", None, (), {"run": np.zeros(3)}, segment)
    with pytest.raises(DataError, match="2 regions in its traces and 1 different names"):
        Session("m1", "a", np.zeros((4, 2)), ("1",), {}, segment)


def test_what_is_no_recording(tmp_path):
    for given in ("sessions.csv", tmp_path / "m1.npy", [Recording("m1", "a")]):
        with pytest.raises(DataError, match=r"which is no Recording; read them from a catalogue"):
            open_session(given)


@pytest.fixture
def imaging_recording(tmp_path):
    """Seven frames of 2 x 3 pixels, of two wavelengths in turn; running in three of them."""
    np.save(tmp_path / "movie.npy", COUNTS)
    (tmp_path / "behavior.csv").write_text("run\n0\n1\n1\n")
    return Recording(
        "m1",
        "a",
        movie=ArrayLocation(tmp_path / "movie.npy"),
        behavior=ArrayLocation(tmp_path / "behavior.csv"),
        channels=("calcium", "reference"),
    )


@pytest.mark.parametrize("order", [("calcium", "reference"), ("reference", "calcium")])
def test_interleaved_wavelengths_are_parted_in_their_order(imaging_recording, order):
    session = read_session(replace(imaging_recording, channels=order))
    first, second = COUNTS[0:6:2], COUNTS[1:6:2]
    calcium, reference = (first, second) if order[0] == "calcium" else (second, first)
    np.testing.assert_array_equal(session.movie, calcium)
    np.testing.assert_array_equal(session.reference, reference)
    # The calcium channel's frames are the session's.
    assert session.n_frames == 3
    assert str(session.findings[0]) == (
        "animal 'm1', session 'a': 1 frame was cut from the tail of the movie: its 7 frames hold "
        f"{order[0]} and {order[1]} in turn, and the last has no pair"
    )


def test_parted_movies_are_views_of_the_file(imaging_recording):
    np.save(imaging_recording.movie.path, COUNTS[:6])
    session = read_session(imaging_recording)
    assert session.findings == ()
    for movie in (session.movie, session.reference):
        assert isinstance(movie, np.memmap)
        assert movie.strides[0] == 2 * COUNTS.strides[0]
        assert not movie.flags.owndata


def test_axes_are_turned_before_wavelengths_are_parted(imaging_recording):
    np.save(imaging_recording.movie.path, COUNTS[:6].transpose(1, 2, 0))
    session = read_session(replace(imaging_recording, movie_axes=("row", "column", "time")))
    np.testing.assert_array_equal(session.reference, COUNTS[1:6:2])


def test_one_wavelength_is_not_parted(imaging_recording):
    arrays, findings = read_imaging(replace(imaging_recording, channels=("calcium",)))
    assert arrays.keys() == {"movie"}
    assert arrays["movie"].shape == (7, 2, 3)
    assert findings == []


class TestSeparateReference:
    @pytest.fixture
    def two_files(self, imaging_recording, tmp_path):
        np.save(imaging_recording.movie.path, COUNTS[:3])
        location = ArrayLocation(tmp_path / "reference.npy")
        np.save(location.path, COUNTS[4:])
        return replace(imaging_recording, channels=(), movie_reference=location)

    def test_read_as_the_movie_is(self, two_files):
        session = read_session(two_files)
        np.testing.assert_array_equal(session.movie, COUNTS[:3])
        np.testing.assert_array_equal(session.reference, COUNTS[4:])

    def test_another_image_size_is_refused(self, two_files):
        np.save(two_files.movie_reference.path, np.zeros((3, 2, 2)))
        with pytest.raises(DataError, match=r"frames of \(2, 2\) pixels, its movie of \(2, 3\); a"):
            read_session(two_files)

    def test_another_length_is_refused_or_trimmed(self, two_files):
        np.save(two_files.movie_reference.path, COUNTS[:5])
        with pytest.raises(DataError, match="movie 3, reference 5, behaviour 'run' 3"):
            read_session(two_files)
        session = read_session(two_files, trim_frames=2)
        assert session.reference.shape == (3, 2, 3)
        assert "2 frames were cut from the tail of reference" in str(session.findings[0])


def test_refusals_of_arrays(imaging_recording):
    with pytest.raises(MissingDataError, match="m1/a has neither traces nor a movie; name one in"):
        read_imaging(replace(imaging_recording, movie=None))
    np.save(imaging_recording.movie.path, np.zeros((6, 4)))
    with pytest.raises(DataError, match=r"shape \(6, 4\); movie must have 3 axes, time, row, col"):
        read_imaging(imaging_recording)
    np.save(imaging_recording.movie.path, np.full((6, 2, 2), "x"))
    with pytest.raises(DataError, match="holds <U1 values; movie must be numbers"):
        read_imaging(imaging_recording)


@pytest.mark.parametrize("suffix", [".npy", ".h5", ".mat"])
def test_four_axes_are_refused_in_the_same_words(imaging_recording, tmp_path, suffix):
    path, movie = tmp_path / f"four{suffix}", np.zeros((6, 2, 4, 3), np.uint16)
    if suffix == ".npy":
        np.save(path, movie)
    elif suffix == ".mat":
        scipy.io.savemat(path, {"m": movie})
    else:
        with h5py.File(path, "w") as file:
            file["m"] = movie
    location = ArrayLocation(path, None if suffix == ".npy" else "m")
    words = r"has more axes than time, row and column \(6 x 2 x 4 x 3\); .*export one channel and"
    with pytest.raises(DataError, match=words):
        read_imaging(replace(imaging_recording, movie=location))


def test_channels_of_a_hyperstack_are_wavelengths(imaging_recording, tmp_path):
    path = tmp_path / "movie.tif"
    counts = COUNTS[:6].astype(np.uint16)
    tifffile.imwrite(path, counts.reshape(3, 2, 2, 3), imagej=True, metadata={"axes": "TCYX"})
    recording = replace(imaging_recording, movie=ArrayLocation(path))
    arrays, findings = read_imaging(recording)
    np.testing.assert_array_equal(arrays["movie"], counts[0::2])
    np.testing.assert_array_equal(arrays["reference"], counts[1::2])
    assert findings == []
    for channels in ((), ("calcium",)):
        with pytest.raises(DataError, match=r"\(T 3, C 2\); if they are two wavelengths, give cha"):
            read_imaging(replace(recording, channels=channels))


def test_a_recording_that_was_stopped_early_is_read_and_told(imaging_recording, tmp_path):
    path = tmp_path / "movie.tif"
    counts = COUNTS[:3].astype(np.uint16)
    options = {"metadata": None, "photometric": "minisblack"}
    tifffile.imwrite(path, counts, description="ImageJ=1.53t\nimages=9\n", **options)
    recording = replace(imaging_recording, movie=ArrayLocation(path), channels=())
    _, (finding,) = read_imaging(recording)
    assert str(finding).startswith(
        "animal 'm1', session 'a': movie.tif says that it has 9 pages and has 3, all of them whole"
    )
