from dataclasses import replace

import numpy as np
import pytest

from corticode.data.catalogue import Recording
from corticode.data.movie_sessions import (
    StoredStatistics,
    attach_movies,
    check_movies,
    prepare_movies,
    stand_in_movies,
)
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.movies.normalised_movie import normalised_frames
from corticode.data.movies.statistics import measure_movie, save_statistics
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.session import Session, read_session
from corticode.data.store import load_sessions, store_movies
from corticode.errors import DataError, RunError

PLAIN = PixelPreprocessing(scale="sd")


def session(animal="m1", *, n_frames=20, shape=(6, 5), seed=0, rate=10.0, **more):
    movie = np.random.default_rng(seed).integers(90, 200, (n_frames, *shape)).astype(np.uint16)
    run = (np.arange(n_frames) % 4 > 1).astype(float)
    return Session(
        animal, "a", None, (), {"run": run}, np.zeros(n_frames, np.int32), rate, movie, **more
    )


class TestPrepared:
    def test_frames_are_normalised_by_their_own_session(self):
        sessions = [session("m1"), session("m2", n_frames=15, seed=1)]
        prepared = prepare_movies(sessions, PLAIN)
        assert prepared.image_shape == (6, 5)
        assert prepared.traces.shape == (35, 0)
        assert prepared.first_frame.tolist() == [0, 20, 35]
        for movie, given in zip(prepared.movies, sessions, strict=True):
            raw = given.movie.astype(np.float64)
            expected = (raw - raw.mean(axis=0)) / raw.std()
            found = normalised_frames(movie, slice(0, given.n_frames))
            np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_frames_with_nan_are_not_valid(self):
        given = session()
        movie = given.movie.astype(np.float32)
        movie[7, 2, 2] = np.nan
        prepared = prepare_movies([replace(given, movie=movie)], PLAIN)
        assert np.flatnonzero(~prepared.valid).tolist() == [7]

    def test_a_stand_in_reads_no_movie(self):
        class Unread(np.ndarray):
            def __getitem__(self, _):
                raise AssertionError("read")

        given = session()
        unread = replace(given, movie=given.movie.view(Unread))
        assert stand_in_movies([unread], PLAIN).n_sessions == 1


class TestRefused:
    def test_no_sessions(self):
        with pytest.raises(DataError, match="no sessions"):
            check_movies([], PLAIN)

    def test_no_movie(self):
        with pytest.raises(DataError, match=r"m1/a has no movie; name it in the catalogue"):
            check_movies([replace(session(), movie=None)], PLAIN)

    def test_frames_of_two_sizes(self):
        with pytest.raises(DataError, match=r"different sizes \(m1/a 6 x 5, m2/a 6 x 4\)"):
            check_movies([session(), session("m2", shape=(6, 4))], PLAIN)

    def test_two_frame_rates(self):
        with pytest.raises(DataError, match="frame rates of movies differ"):
            check_movies([session(), session("m2", rate=20.0)], PLAIN)

    def test_no_reference(self):
        pixels = PixelPreprocessing(correction="reference-regression")
        with pytest.raises(DataError, match="m1/a has no reference channel; give channels"):
            check_movies([session()], pixels)

    def test_pixels_that_never_change(self):
        still = replace(session(), movie=np.full((20, 6, 5), 9, np.uint8))
        with pytest.raises(DataError, match=r"session m1/a: no pixel of the movie ever changes"):
            prepare_movies([still], PLAIN)


class TestStored:
    @pytest.fixture
    def recording(self, tmp_path):
        np.save(tmp_path / "movie.npy", session(n_frames=22).movie)
        (tmp_path / "run.csv").write_text("run\n" + "\n".join("0101" * 5) + "\n", "utf-8")
        return Recording(
            "m1",
            "a",
            behavior=ArrayLocation(tmp_path / "run.csv"),
            movie=ArrayLocation(tmp_path / "movie.npy"),
        )

    def test_movies_are_opened_again_as_they_were(self, recording, tmp_path):
        given = read_session(recording, trim_frames=2)
        stored = [StoredStatistics(recording, tmp_path / "movie.npz", "key")]
        before = prepare_movies([given], PLAIN, stored)
        store_movies(tmp_path / "prepared", before, "key")
        again = attach_movies(load_sessions(tmp_path / "prepared"), stored)
        assert again.pixels == PLAIN
        assert again.image_shape == (6, 5)
        rows = slice(0, 20)
        assert len(again.movies[0].frames) == 20
        np.testing.assert_array_equal(
            normalised_frames(again.movies[0], rows), normalised_frames(before.movies[0], rows)
        )

    def test_statistics_of_other_content_are_taken_again_and_said_so(self, recording, tmp_path):
        given = read_session(recording, trim_frames=2)
        path = tmp_path / "movie.npz"
        save_statistics(path, measure_movie(given.movie + 9), "old")
        stored = [StoredStatistics(recording, path, "new")]
        prepared = prepare_movies([given], PLAIN, stored)
        assert any("changed since" in finding.reason for finding in prepared.findings)
        again = prepare_movies([given], PLAIN, stored)
        assert not any("changed since" in finding.reason for finding in again.findings)
        np.testing.assert_array_equal(again.movies[0].offset, prepared.movies[0].offset)

    def test_statistics_that_are_gone_are_an_error(self, recording, tmp_path):
        given = read_session(recording, trim_frames=2)
        stored = [StoredStatistics(recording, tmp_path / "movie.npz", "key")]
        store_movies(tmp_path / "prepared", prepare_movies([given], PLAIN, stored), "key")
        stored[0].path.unlink()
        with pytest.raises(RunError, match="run the same command again"):
            attach_movies(load_sessions(tmp_path / "prepared"), stored)
