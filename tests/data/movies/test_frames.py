"""What each frame looks like, and frames that cannot be used."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.movies.frames import (
    clipped_share,
    find_bad_frames,
    joined,
    listed_frames,
    look_at_frames,
    repeated_frames,
)


def film(n_frames=400, size=32, seed=0):
    """A brain with vessels, shot noise, and slow activity of a few percent."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size] - size / 2
    image = 200 + 3000 * (np.hypot(row, column) < 0.4 * size) * (1 + 0.3 * np.sin(row))
    activity = 1 + 0.05 * np.sin(np.arange(n_frames) / 9)[:, None, None]
    return rng.poisson(image * activity).astype(np.uint16)


def found_in(movie):
    looks = look_at_frames(movie)
    bad = find_bad_frames(looks, repeated_frames(movie, looks, 1))
    return {kind: frames.tolist() for kind, frames in bad.items()}


def test_a_clean_movie_holds_none():
    assert found_in(film()) == {}
    assert found_in(film(100, 7)) == {}
    assert found_in(film(3000, 16)) == {}


CHANGES = {
    "dark": {
        "without light": lambda m, at: np.random.default_rng(1).poisson(20, m[at].shape),
        "all 0": lambda m, at: 0 * m[at],
    },
    "saturated": {
        "whole": lambda m, at: np.full_like(m[at], 65_535),
        "in a corner": lambda m, at: np.where(np.arange(32) < 8, 65_535, m[at]),
    },
    "frozen": {"the one before": lambda m, at: m[[at.start - 1] * (at.stop - at.start)]},
    "corrupt": {
        "rows in another order": lambda m, at: m[at][:, np.random.default_rng(1).permutation(32)],
        "columns in another order": lambda m, at: m[at][
            :, :, np.random.default_rng(1).permutation(32)
        ],
        "0 in a part": lambda m, at: np.where(np.arange(32)[:, None] < 12, 0, m[at]),
        "random bytes": lambda m, at: np.random.default_rng(1).integers(0, 5000, m[at].shape),
        "shifted by half": lambda m, at: np.roll(m[at], 16, axis=1),
    },
    "jump": {
        "brighter": lambda m, at: np.rint(m[at] * 1.4),
        "darker": lambda m, at: np.rint(m[at] * 0.75),
    },
}


@pytest.mark.parametrize(
    ("kind", "how"), [(kind, how) for kind, ways in CHANGES.items() for how in ways]
)
@pytest.mark.parametrize("n_bad", [1, 3])
@pytest.mark.parametrize("where", [30, 250])
def test_bad_frames_are_found_and_no_others(kind, how, n_bad, where):
    movie = film()
    at = slice(where, where + n_bad)
    movie[at] = CHANGES[kind][how](movie, at)
    assert found_in(movie) == {kind: list(range(at.start, at.stop))}


@pytest.mark.parametrize("at", [slice(380, 400), slice(0, 30), slice(150, 320)])
def test_light_that_is_off_for_long(at):
    movie = film()
    movie[at] = np.random.default_rng(1).poisson(100, movie[at].shape)
    assert found_in(movie) == {"dark": list(range(at.start, at.stop))}


def test_light_that_changes_for_good_is_a_jump_of_one_frame():
    movie = film().astype(np.float32)
    movie[200:] *= 1.3
    assert found_in(movie) == {"jump": [200]}


def test_bleaching_is_no_fault():
    movie = film(2000) * (0.3 + 0.7 * np.exp(-np.arange(2000) / 400))[:, None, None]
    assert found_in(movie) == {}


def test_a_recording_that_is_so_throughout_is_not_told_frame_by_frame():
    flickering = film().astype(np.float32)
    flickering[::7] *= 1.5
    assert found_in(flickering) == {}
    still = np.repeat(film(8), 50, axis=0)  # noise-free: most frames are the one before
    assert "frozen" not in found_in(still)


@pytest.mark.parametrize("dtype", ["u2", ">u2", "f4", "f8", "i4"])
def test_any_type_and_any_order_of_axes(dtype):
    movie = film()
    movie[100] = 0
    turned = np.asarray(movie.transpose(1, 2, 0).astype(dtype), order="C").transpose(2, 0, 1)
    assert found_in(turned) == {"dark": [100]}
    assert found_in(movie[::2]) == {"dark": [50]}


def test_frames_without_values_are_told_elsewhere():
    movie = film().astype(np.float32)
    movie[:, :4] = np.nan  # a brain cut out
    movie[33, 20] = np.nan
    movie[50, 10:16] = 0
    assert found_in(movie) == {"corrupt": [50]}


def test_movies_of_changes_have_no_dark_frames():
    movie = film().astype(np.float32)
    change = movie / movie.mean(axis=0) - 1
    assert found_in(change) == {}


def test_a_camera_at_its_ceiling_all_the_time():
    movie = film()
    movie[:, :, :16] = 4095
    movie = np.minimum(movie, 4095)
    assert clipped_share(look_at_frames(movie)) == pytest.approx(0.5, abs=0.1)
    assert "saturated" not in found_in(movie)
    assert clipped_share(look_at_frames(film())) == 0


@given(n_rows=st.integers(1, 40), n_columns=st.integers(1, 40))
def test_images_of_any_size(n_rows, n_columns):
    rng = np.random.default_rng(0)
    movie = rng.poisson(1000, (60, n_rows, n_columns)).astype(np.uint16)
    looks = look_at_frames(movie)
    assert looks.brightness == pytest.approx(1000, rel=0.2)
    movie[30] = 0
    assert joined(find_bad_frames(look_at_frames(movie)), 60)[30]


def test_numbers_in_words():
    assert listed_frames(np.array([4])) == "4"
    assert listed_frames(np.array([0, 2, 3, 4, 9])) == "0, 2 to 4, 9"
    assert listed_frames(np.arange(0, 40, 2)) == "0, 2, 4, 6, 8, 10 and 14 more"


@pytest.mark.parametrize("level", [0.0, 1.5])
def test_frames_of_df_over_f_are_not_dark(level):
    """Around 0, or above a low percentile: half of them are less than half as bright as others."""
    rng = np.random.default_rng(0)
    slow = np.abs(level) + np.cumsum(rng.normal(size=(400, 1, 1)), axis=0) * 0.05
    movie = (slow + 0.9 * rng.normal(size=(400, 1, 1)) + rng.normal(size=(400, 16, 16))).astype(
        np.float32
    )
    movie[30] = np.nan
    assert find_bad_frames(look_at_frames(movie)) == {}
