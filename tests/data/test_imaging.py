from dataclasses import replace

import numpy as np
import pytest

from corticode.data.catalogue import Recording
from corticode.data.imaging import read_imaging
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.session import read_session
from corticode.errors import DataError, MissingDataError

COUNTS = np.arange(7 * 2 * 3, dtype=np.uint16).reshape(7, 2, 3)


@pytest.fixture
def recording(tmp_path):
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
def test_interleaved_wavelengths_are_parted_in_their_order(recording, order):
    session = read_session(replace(recording, channels=order))
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


def test_parted_movies_are_views_of_the_file(recording):
    np.save(recording.movie.path, COUNTS[:6])
    session = read_session(recording)
    assert session.findings == ()
    for movie in (session.movie, session.reference):
        assert isinstance(movie, np.memmap)
        assert movie.strides[0] == 2 * COUNTS.strides[0]
        assert not movie.flags.owndata


def test_axes_are_turned_before_wavelengths_are_parted(recording):
    np.save(recording.movie.path, COUNTS[:6].transpose(1, 2, 0))
    session = read_session(replace(recording, movie_axes=("row", "column", "time")))
    np.testing.assert_array_equal(session.reference, COUNTS[1:6:2])


def test_one_wavelength_is_not_parted(recording):
    arrays, findings = read_imaging(replace(recording, channels=("calcium",)))
    assert arrays.keys() == {"movie"}
    assert arrays["movie"].shape == (7, 2, 3)
    assert findings == []


class TestSeparateReference:
    @pytest.fixture
    def two_files(self, recording, tmp_path):
        np.save(recording.movie.path, COUNTS[:3])
        location = ArrayLocation(tmp_path / "reference.npy")
        np.save(location.path, COUNTS[4:])
        return replace(recording, channels=(), movie_reference=location)

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


def test_refusals(recording):
    with pytest.raises(MissingDataError, match="m1/a has neither traces nor a movie; name one in"):
        read_imaging(replace(recording, movie=None))
    np.save(recording.movie.path, np.zeros((6, 4)))
    with pytest.raises(DataError, match=r"shape \(6, 4\); movie must have 3 axes, time, row, col"):
        read_imaging(recording)
    np.save(recording.movie.path, np.full((6, 2, 2), "x"))
    with pytest.raises(DataError, match="holds <U1 values; movie must be numbers"):
        read_imaging(recording)
