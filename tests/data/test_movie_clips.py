import subprocess
import sys

import numpy as np
import pytest

from corticode.data.movie_clips import MOST_VALUES, cut_clip
from corticode.errors import DataError


def test_pictures_are_means_of_frames_and_of_squares_of_pixels():
    rng = np.random.default_rng(0)
    movie = rng.integers(100, 200, (70, 200, 130)).astype(np.uint16)
    clip = cut_clip(movie, 5, 60, 30.0)
    assert (clip.frames_a_picture, clip.pixels_a_side, clip.rate_hz) == (3, 3, 10.0)
    assert clip.changes.shape == (20, 67, 44)
    first = movie[5:8, :3, :3].mean()
    back = (1 + clip.changes[0, 0, 0] / 100) * clip.mean[0, 0]
    assert back == pytest.approx(first, rel=1e-5)
    # The last column is of one pixel alone: 130 = 43 x 3 + 1.
    corner = (1 + clip.changes[-1, -1, -1] / 100) * clip.mean[-1, -1]
    assert corner == pytest.approx(movie[62:65, 198:, 129:].mean(), rel=1e-5)


def test_a_minute_of_large_frames_has_room():
    movie = np.broadcast_to(np.ones((1, 192, 192), np.uint8), (5000, 192, 192))
    clip = cut_clip(movie, 0, 1800, 30.0)
    assert clip.changes.size <= MOST_VALUES
    assert clip.changes.shape[1:] == (96, 96)
    assert clip.rate_hz == 5.0


def test_pixels_without_a_finite_value_stay_so():
    movie = np.ones((10, 2, 2))
    movie[:, 0, 0] = np.nan
    movie[3, 1, 1] = np.nan
    clip = cut_clip(movie, 0, 10)
    assert np.isnan(clip.changes[:, 0, 0]).all()
    assert np.isnan(clip.changes[:, 1, 1]).sum() == 1
    assert clip.rate_hz is None


def test_the_end_of_the_movie_is_the_end_of_the_clip():
    assert cut_clip(np.ones((10, 2, 2)), 8, 100).changes.shape == (2, 2, 2)
    with pytest.raises(DataError, match="a movie of 10 frames has no frames from 10 on"):
        cut_clip(np.ones((10, 2, 2)), 10, 5)


def test_only_the_clip_is_read(tmp_path):
    np.save(tmp_path / "movie.npy", np.ones((500, 8, 8), np.uint8))
    code = (
        "import sys, numpy as np; from corticode.data.movie_clips import cut_clip;"
        f"movie = np.load({str(tmp_path / 'movie.npy')!r}, mmap_mode='r');"
        "print(cut_clip(movie, 0, 60, 10.0).changes.shape, 'torch' in sys.modules, "
        "'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(60, 8, 8) False False"
