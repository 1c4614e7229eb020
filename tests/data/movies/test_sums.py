import numpy as np
import pytest

from corticode.data.movies.sums import (
    MovieSums,
    first_valid_frame,
    seen_pixels,
    stretches,
    valid_frames,
)
from corticode.errors import DataError


def test_sums_so_far():
    movie = np.array([[[1, 7]], [[3, 7]], [[8, 7]]], np.uint8)
    sums = MovieSums(movie, None, np.ones((1, 2), bool), 0, 1, False)
    assert sums.add(slice(0, 2), 0.2).tolist() == [True, True]
    assert sums.images()["mean"].tolist() == [[2, 7]]
    sums.add(slice(2, 3), 0.2)
    assert sums.images()["mean"].tolist() == [[4, 7]]
    np.testing.assert_allclose(sums.images()["variance"], [[26 / 3, 0]])


def test_stretches_are_whole():
    assert sum(rows.stop - rows.start for rows in stretches(1000)) == 1000


def test_a_cut_out_brain_and_a_bad_frame():
    movie = np.ones((40, 2, 2), np.float32)
    movie[:, 0, 0], movie[0, 1, 1], movie[7, 1, 0] = np.nan, np.inf, np.nan
    seen = seen_pixels(movie)
    assert seen.tolist() == [[False, True], [True, True]]
    assert np.flatnonzero(~valid_frames(movie, seen)).tolist() == [0, 7]
    assert first_valid_frame(movie, None, seen) == 1
    reference = np.ones_like(movie)
    reference[1, 1, 1] = np.nan
    assert first_valid_frame(movie, reference, seen) == 2


def test_no_valid_frame():
    movie = np.full((3, 2, 2), np.nan)
    with pytest.raises(DataError, match=r"none of 3 frames of the movie has finite values"):
        first_valid_frame(movie, None, seen_pixels(movie))
