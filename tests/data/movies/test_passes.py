import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.movies import passes as movie_means
from corticode.data.movies.passes import (
    frame_blocks,
    mean_image,
    means_over_pixels,
    row_bands,
    smoothed_frames,
)
from corticode.data.preprocess import moving_mean
from corticode.errors import DataError

NAN = np.nan


def test_by_hand():
    movie = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], np.uint8)
    assert mean_image(movie).tolist() == [[3, 4], [5, 6]]
    masks = [np.ones((2, 2), bool), np.array([[True, False], [False, False]])]
    assert means_over_pixels(movie, masks).tolist() == [[2.5, 1], [6.5, 5]]


def test_values_that_are_not_finite():
    movie = np.array([[[1.0, NAN, NAN]], [[3.0, 5.0, NAN]], [[np.inf, 7.0, NAN]]])
    np.testing.assert_array_equal(mean_image(movie), [[2.0, 6.0, NAN]])
    seen = np.array([[True, True, False]])
    np.testing.assert_array_equal(means_over_pixels(movie, [seen]), [[NAN], [4.0], [np.inf]])


@given(
    n_frames=st.integers(1, 40),
    values_a_block=st.integers(1, 200),
    dtype=st.sampled_from(["u1", "<u2", ">u2", "f4"]),
    seed=st.integers(0, 99),
)
def test_blocks_change_nothing(n_frames, values_a_block, dtype, seed):
    rng = np.random.default_rng(seed)
    movie = rng.integers(0, 256, (n_frames, 4, 5)).astype(dtype)
    mask = rng.random((4, 5)) < 0.5
    mask[0, 0] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(movie_means, "BLOCK_VALUES", values_a_block)
        blocks = list(frame_blocks(movie))
        image, means = mean_image(movie), means_over_pixels(movie, [mask])
    assert np.concatenate([np.arange(b.start, b.stop) for b in blocks]).tolist() == list(
        range(n_frames)
    )
    np.testing.assert_allclose(image, movie.astype(np.float64).mean(axis=0), rtol=1e-12)
    expected = movie.astype(np.float64)[:, mask].mean(axis=1)
    np.testing.assert_allclose(means[:, 0], expected, rtol=1e-12)


def test_refusals():
    movie = np.zeros((3, 2, 2))
    with pytest.raises(DataError, match=r"a mask of shape \(2, 2\) with 0 pixels and frames of"):
        means_over_pixels(movie, [np.zeros((2, 2), bool)])
    with pytest.raises(DataError, match=r"a mask of shape \(2, 3\) with 6 pixels and frames of"):
        means_over_pixels(movie, [np.ones((2, 3), bool)])


def test_bands_cover_every_row_once():
    movie = np.empty((256, 100, 100), np.uint8)
    assert np.concatenate([np.arange(100)[rows] for rows in row_bands(movie)]).tolist() == list(
        range(100)
    )


class TestSmoothedFrames:
    @given(
        n_frames=st.integers(1, 12),
        causal=st.booleans(),
        start=st.integers(0, 19),
        length=st.integers(0, 20),
        holes=st.booleans(),
    )
    def test_are_those_of_the_moving_mean(self, n_frames, causal, start, length, holes):
        movie = np.random.default_rng(0).normal(100, 5, (20, 2, 3))
        if holes:
            movie[5:9, 0, 1], movie[12, 1] = NAN, np.inf
        rows = slice(start, min(start + length, 20))
        found = smoothed_frames(movie, rows, n_frames, causal=causal)
        expected = moving_mean(movie, n_frames, causal=causal)[rows]
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_come_out_the_same_whichever_frames_are_read(self):
        movie = np.random.default_rng(0).integers(0, 65_536, (300, 2, 2), np.uint16)
        whole = smoothed_frames(movie, slice(0, 300), 9)
        parts = [smoothed_frames(movie, slice(k, k + 30), 9) for k in range(0, 300, 30)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
