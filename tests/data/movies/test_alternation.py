"""Two wavelengths in turn: told from one, and where a frame was lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.movies.alternation import find_turns, frame_pairs
from corticode.data.movies.frames import look_at_frames
from corticode.simulate.dials import resolve_dials
from corticode.simulate.movie import bad_pixels, movie_blocks
from corticode.simulate.session import simulate_mouse, simulate_session, stream

STRONG = {"motion": 3, "heart": 3, "flicker": 5, "bleaching": 5, "jumps": 3}
BRIGHTNESS = "corticode.simulate.movie.REFERENCE_BRIGHTNESS"


def simulate(number, seed, dials=None, *, both=True, n_frames=1000):
    """A movie of a simulated mouse, both wavelengths in turn, 32 x 32 pixels."""
    own = resolve_dials(dials)
    mouse = simulate_mouse(number, 3, seed, own)
    session = simulate_session(mouse, 1, n_frames, 32, seed)
    blocks = movie_blocks(
        stream(seed, number, 10, 1),
        session.physiology,
        session.scene,
        own,
        bad=bad_pixels(stream(seed, number, 11), 32, 1.0),
        reference_channel=both,
    )
    return np.concatenate(list(blocks))


def turns_of(movie):
    return find_turns(look_at_frames(movie).cells)


@pytest.mark.parametrize("brightness", [0.6, 0.9, 0.98, 1.0])
@pytest.mark.parametrize("dials", [None, STRONG])
def test_a_lost_frame_is_named_however_alike_both_wavelengths_are(brightness, dials, monkeypatch):
    monkeypatch.setattr(BRIGHTNESS, brightness)
    movie = simulate(1, 0, dials)
    whole = turns_of(movie)
    assert whole.are_clear
    assert whole.flips == ()
    for lost in (401, 700):
        found = turns_of(np.delete(movie, lost, axis=0))
        assert found.are_clear
        assert found.flips == (lost,)


@pytest.mark.parametrize("seed", range(3))
def test_two_percent_of_brightness_are_enough(seed):
    # One image at two brightnesses, activity in both: nothing else tells them apart.
    movie = simulate(1 + seed, seed, both=False, n_frames=1000)
    movie[1::2] = np.rint(0.98 * movie[1::2])
    assert turns_of(movie).flips == ()
    (flip,) = turns_of(np.delete(movie, 501, axis=0)).flips
    assert abs(flip - 501) <= 1
    several = turns_of(np.delete(movie, [200, 501, 802], axis=0))
    np.testing.assert_allclose(several.flips, (200, 500, 800), atol=1)


@pytest.mark.parametrize("seed", range(4))
def test_none_is_lost_in_clean_movies(seed):
    for dials in (None, STRONG):
        assert turns_of(simulate(1 + seed, 10 + seed, dials)).flips == ()
        single = turns_of(simulate(1 + seed, 10 + seed, dials, both=False))
        assert not single.are_clear
        assert single.are_alike or single.are_steady or single.split is None


def test_dark_frames_are_no_turns():
    movie = simulate(1, 3)
    movie[[100, 401]] = 100
    movie[800:820] = 100
    assert turns_of(movie).flips == ()
    assert turns_of(np.delete(movie, 601, axis=0)).flips == (601,)


def test_a_wavelength_that_does_not_move_is_told_by_that():
    rng = np.random.default_rng(0)
    cells = np.full((800, 16), 1000.0) + rng.normal(size=(800, 16))
    cells[::2] += 20 * rng.normal(size=(400, 1))
    found = find_turns(cells)
    assert found.are_clear
    assert abs(found.brightness) < 0.01
    assert found.activity > 1
    (flip,) = find_turns(np.delete(cells, 401, axis=0)).flips
    assert abs(flip - 401) <= 2


@pytest.mark.parametrize("brightness", [0.6, 0.98])
def test_one_wavelength_behind_the_other(brightness, monkeypatch):
    monkeypatch.setattr(BRIGHTNESS, brightness)
    movie = simulate(1, 5)
    found = turns_of(np.concatenate([movie[::2], movie[1::2]]))
    assert not found.are_clear
    assert found.split == 1000


@pytest.mark.parametrize("n_frames", [0, 1, 5, 39])
def test_few_frames_say_nothing(n_frames):
    found = find_turns(np.ones((n_frames, 4)))
    assert (found.are_clear, found.flips) == (False, ())


def test_frames_without_noise_are_alike():
    assert find_turns(np.ones((100, 4))).are_alike


@given(
    n_frames=st.integers(2, 40),
    flips=st.lists(st.integers(1, 38), max_size=4, unique=True),
)
def test_pairs_hold_each_wavelength_in_its_place(n_frames, flips):
    flips = sorted(flip for flip in flips if flip < n_frames)
    pairs, is_whole = frame_pairs(n_frames, flips)
    turn = (np.arange(n_frames) + np.searchsorted(flips, np.arange(n_frames), side="right")) % 2
    assert (turn[pairs[is_whole]] == [0, 1]).all()
    assert (np.diff(pairs[is_whole], axis=1) == 1).all()
    assert (np.diff(pairs[is_whole][:, 0]) > 0).all()
    # Each frame but a last one without pair stands in one place, or its pair is broken.
    n_shown = 2 * is_whole.sum() + (~is_whole).sum()
    assert n_frames - n_shown in (0, 1)


def test_a_frame_stored_twice_is_passed_over():
    pairs, is_whole = frame_pairs(7, [3], [3])
    assert pairs.tolist() == [[0, 1], [2, 4], [5, 6]]
    assert is_whole.all()


def test_thousands_of_frames_take_a_moment():
    cells = np.random.default_rng(0).normal(100, 1, (36_000, 64)).astype(np.float32)
    cells[1::2] *= 0.9
    assert find_turns(np.delete(cells, 20_001, axis=0)).flips == (20_001,)
