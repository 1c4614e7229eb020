from dataclasses import replace

import numpy as np
import pytest

from corticode.data.movies.normalised_movie import (
    NormalisedMovie,
    lowpassed_reference,
    moving_part,
    normalised_frames,
    states_of,
)
from corticode.errors import DataError

N_FRAMES, SIDE = 12, 3


def image(value, n=1):
    return np.full((n, SIDE, SIDE), value, np.float32)


@pytest.fixture
def movie():
    """Frame t holds 10 t everywhere."""
    frames = np.repeat(10 * np.arange(N_FRAMES, dtype=np.uint16), SIDE**2)
    frames = frames.reshape(N_FRAMES, SIDE, SIDE)
    return NormalisedMovie(frames, image(5), image(2), np.ones(N_FRAMES, bool))


def course(values):
    """Of pictures that are the same everywhere."""
    assert (values == values[:, :1, :1]).all()
    return values[:, 0, 0].tolist()


def test_offset_then_gain(movie):
    assert course(normalised_frames(movie, slice(3, 5))) == [50, 70]
    assert moving_part(movie, slice(3, 5)) is None


def test_blood_and_drift_are_taken_off_before_the_gain(movie):
    # The moving mean of three of a line is the line, but at its ends.
    blood = replace(movie, reference=movie.frames, slope=image(0.5), lowpass_frames=3)
    assert course(moving_part(blood, slice(3, 5))) == [15, 20]
    drift = np.concatenate([image(0), image(8), image(4), image(4)])
    drifting = replace(movie, drift=drift, knot_frames=4)
    assert course(moving_part(drifting, slice(2, 7))) == [4, 6, 8, 7, 6]
    both = replace(blood, drift=drift, knot_frames=4)
    assert course(moving_part(both, slice(3, 5))) == [21, 28]
    assert course(normalised_frames(both, slice(3, 5))) == [2 * (30 - 5 - 21), 2 * (40 - 5 - 28)]


def test_pixels_that_are_left_out_are_0(movie):
    cut = movie.frames.astype(np.float32)
    cut[:, 0, 0] = np.nan
    gain = image(2)
    gain[:, 0, 0] = 0
    found = normalised_frames(replace(movie, frames=cut, gain=gain), slice(3, 5))
    assert found[:, 0, 0].tolist() == [0, 0]
    assert found[:, 1, 1].tolist() == [50, 70]


def test_states_are_those_of_checkpoints_before(movie):
    frame = np.arange(N_FRAMES)
    assert not states_of(movie, frame).any()
    causal = replace(movie, checkpoint_frames=4)
    assert states_of(causal, frame).tolist() == [0] * 8 + [1] * 4


def test_no_reference(movie):
    with pytest.raises(DataError, match=r"the movie has no reference"):
        lowpassed_reference(movie, slice(0, 3))
