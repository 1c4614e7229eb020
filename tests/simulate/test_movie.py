import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter1d

from corticode.data.movies.motion import measure_motion
from corticode.data.readers.tiff import read_array
from corticode.simulate.dials import resolve_dials
from corticode.simulate.movie import bad_pixels, movie_blocks, write_movie
from corticode.simulate.session import simulate_mouse, simulate_session

N_FRAMES, N_PIXELS = 1200, 64
NONE_BAD = (np.zeros(0, np.int64), np.zeros(0, np.int64))


def record(*, reference_channel=False, **dials):
    """One session, and its movie without bad pixels."""
    values = resolve_dials(dials)
    session = simulate_session(simulate_mouse(1, 3, 0, values), 0, N_FRAMES, N_PIXELS, 0)
    blocks = movie_blocks(
        np.random.default_rng(0),
        session.physiology,
        session.scene,
        values,
        bad=NONE_BAD,
        reference_channel=reference_channel,
    )
    return session, np.concatenate(list(blocks))


def region_means(session, movie):
    """dF/F in percent of each region, from the movie."""
    counts = movie.reshape(len(movie), -1).astype(np.float64) - 100
    weights = session.scene.rois > 0
    means = counts @ (weights / weights.sum(axis=1, keepdims=True)).T
    return 100 * (means / means.mean(axis=0) - 1)


def test_region_means_of_the_movie_are_the_traces():
    session, movie = record()
    assert movie.dtype == np.uint16
    found = region_means(session, movie)
    correlation = [np.corrcoef(found[:, k], session.traces[:, k])[0, 1] for k in range(50)]
    assert min(correlation) > 0.9
    assert np.mean(correlation) > 0.97
    scale = found.std(axis=0) / session.traces.std(axis=0)
    assert 0.85 < scale.min() < scale.max() < 1.15


def test_motion_planted_is_motion_measured():
    dials = {"motion": 4, "jitter": 0, "jumps": 0, "shot_noise": 0.3}
    session, movie = record(**dials)
    # The phase correlation is judged on the slow course, in pixels of this movie.
    measured = uniform_filter1d(measure_motion(movie), 9, axis=0)[:, 0]
    planted = uniform_filter1d(session.physiology.movement.shift[:, 0] / 2, 9)
    assert np.corrcoef(measured, planted)[0, 1] > 0.9


def test_the_reference_channel_takes_turns():
    session, movie = record(reference_channel=True, haemodynamics=2)
    assert movie.shape == (2 * N_FRAMES, N_PIXELS, N_PIXELS)
    calcium, reference = movie[::2], movie[1::2]
    np.testing.assert_allclose((reference.mean() - 100) / (calcium.mean() - 100), 0.6, atol=0.05)
    blood = session.physiology.blood.locomotion + session.physiology.blood.vasomotion
    seen = region_means(session, reference).mean(axis=1)
    light = session.physiology.light[:, 1]
    assert np.corrcoef(seen - light, blood)[0, 1] > 0.6


def test_bad_pixels_stay_bad_and_blocks_do_not_depend_on_each_other(monkeypatch):
    values = resolve_dials(None)
    session = simulate_session(simulate_mouse(2, 3, 0, values), 1, 1000, 32, 0)
    bad = bad_pixels(np.random.default_rng(0), 32, 10.0)
    assert len(bad[0]) == len(bad[1]) == 2

    def film():
        rng = np.random.default_rng(0)
        return np.concatenate(
            list(movie_blocks(rng, session.physiology, session.scene, values, bad=bad))
        )

    whole = film()
    flat = whole.reshape(len(whole), -1)
    assert np.all(flat[:, bad[0]] == 65_535)
    assert not flat[:, bad[1]].any()
    monkeypatch.setattr("corticode.simulate.movie.BLOCK_PIXELS", 100 * 32**2)
    assert np.mean(np.abs(film().astype(int) - whole) <= 1) > 0.999


@settings(max_examples=5)
@given(n_frames=st.integers(1, 30), seed=st.integers(0, 100))
def test_what_is_written_is_read_page_by_page(tmp_path_factory, n_frames, seed):
    movie = np.random.default_rng(seed).integers(0, 65_536, (n_frames, 8, 8), dtype=np.uint16)
    path = tmp_path_factory.mktemp("movie") / "data_of_image" / "a.tif"
    write_movie(path, [movie[:10], movie[10:]], movie.shape)
    np.testing.assert_array_equal(read_array(path, None), movie)
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff
        assert len(file.pages) == n_frames


def test_a_movie_of_another_length_than_said_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"."):
        write_movie(tmp_path / "a.tif", [np.zeros((2, 8, 8), np.uint16)], (3, 8, 8))
