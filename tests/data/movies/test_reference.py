from dataclasses import replace

import numpy as np
import pytest

from corticode.data.movies.brain import find_brain
from corticode.data.movies.passes import smoothed_frames
from corticode.data.movies.reference import (
    FastSums,
    add_stretch,
    fast_cycles,
    fast_part,
    reference_slope,
)
from corticode.data.movies.statistics import measure_movie
from corticode.errors import DataError
from corticode.simulate.dials import resolve_dials
from corticode.simulate.movie import bad_pixels, movie_blocks
from corticode.simulate.session import simulate_mouse, simulate_session, stream

SHAPE = (12, 16)
SEEN = np.ones(SHAPE, bool)


def two_channels(delay=0.0, heart=0.003, noise=10.0, n_frames=2048):
    """Channels whose blood shows 1.5 times as strongly in the movie as in the reference."""
    rng = np.random.default_rng(0)
    frame = np.arange(n_frames)
    slow = np.sin(2 * np.pi * 0.004 * frame)
    beat = heart * np.sin(2 * np.pi * 0.35 * np.stack([frame, frame + delay]))
    # Blood darkens the image where neurons, three times as strong, brighten it.
    movie = 4000 * (1 + 1.5 * (beat[0] - 0.01 * slow) + 0.045 * slow)
    reference = 2500 * (1 + beat[1] - 0.01 * slow)
    return [
        trace[:, None, None] + noise * rng.standard_normal((n_frames, *SHAPE))
        for trace in (movie, reference)
    ]


def sums_of(movie, reference, n_frames=256):
    sums = FastSums(np.zeros(SHAPE, complex), np.zeros(SHAPE))
    for first in range(0, len(movie), n_frames):
        rows = slice(first, first + n_frames)
        add_stretch(sums, movie[rows], reference[rows], SEEN, 0.2)
    return sums


def slope_of(movie, reference):
    return reference_slope(sums_of(movie, reference), movie.mean(axis=0), reference.mean(axis=0))


@pytest.mark.parametrize("delay", [0.0, 0.5, -0.5, 1.0])
def test_is_that_of_the_heart_beat_not_of_what_follows_neurons(delay):
    movie, reference = two_channels(delay)
    assert sums_of(movie, reference).coherence > 0.95
    # Drawn towards the ratio of 1.6 by a tenth or so, from 1.5 times it.
    np.testing.assert_allclose(slope_of(movie, reference) / 1.6, 1.45, atol=0.08)
    # The regression on the same frames has the wrong sign.
    x = reference.mean(axis=(1, 2)) - reference.mean()
    assert x @ movie.mean(axis=(1, 2)) / (x @ x) < 0


def test_without_a_heart_beat_it_is_the_ratio_of_brightness():
    movie, reference = two_channels(heart=0.0)
    assert sums_of(movie, reference).coherence < 0.5
    ratio = movie.mean(axis=0) / reference.mean(axis=0)
    np.testing.assert_array_equal(slope_of(movie, reference), ratio)


def test_dark_pixels_and_pixels_without_values():
    movie, reference = two_channels()
    movie[:, 0, 0] = 0
    reference[:, 1, 1] = 0
    slope = slope_of(movie, reference)
    assert (slope[0, 0], slope[1, 1]) == (0, 0)
    assert np.isfinite(slope).all()
    seen = SEEN.copy()
    seen[5, 5] = False
    movie[:, 5, 5] = np.nan
    sums = FastSums(np.zeros(SHAPE, complex), np.zeros(SHAPE))
    add_stretch(sums, movie[:256], reference[:256], seen, 0.2)
    assert np.isfinite(sums.movie).all()


def test_counts_are_needed():
    movie, reference = two_channels(n_frames=256)
    with pytest.raises(DataError, match=r"192 of 192 pixels have a mean of 0 or less"):
        slope_of(movie - 5000, reference)


def test_a_short_stretch_says_nothing():
    movie, reference = two_channels(n_frames=63)
    assert sums_of(movie, reference).n_frames == 0


def test_the_fast_part_leaves_out_what_is_slow():
    frame = np.arange(256)
    slow = 30 * np.sin(2 * np.pi * 0.02 * frame) + frame
    assert np.abs(fast_part(slow, 0.2)).max() < 0.01
    assert [fast_cycles(rate) for rate in (10.0, 30.0, 50.0)] == [0.2, 0.2, 0.12]


# What is planted in a simulated session, and what the subtraction leaves of it.


@pytest.fixture(scope="module")
def simulated():
    """A session as recorded, and with blood alone or calcium alone, calcium channel first."""
    n_frames, n_pixels, seed = 3000, 64, 3
    dials = resolve_dials(None)
    mouse = simulate_mouse(1, 4, seed, dials)
    session = simulate_session(mouse, 0, n_frames, n_pixels, seed)

    def show(physiology, own, bad):
        blocks = movie_blocks(
            stream(seed, 1, 10, 0),
            physiology,
            session.scene,
            dials | own,
            bad=bad_pixels(stream(seed, 1, 11), n_pixels, bad),
            reference_channel=True,
        )
        return np.concatenate(list(blocks))

    def none_of(part):
        return replace(part, **{name: 0 * value for name, value in vars(part).items()})

    whole = session.physiology
    still = replace(
        whole,
        body=none_of(whole.body),
        movement=none_of(whole.movement),
        light=0 * whole.light,
    )
    quiet = {"shot_noise": 0.0, "read_noise": 0.0}
    return {
        "recorded": show(whole, {}, 1.0),
        "blood": show(replace(still, calcium=0 * whole.calcium), quiet, 0),
        "calcium": show(replace(still, blood=none_of(whole.blood)), quiet, 0),
    }


def share_left(part, slope, brain, causal):
    movie, reference = part[::2], part[1::2]
    smooth = smoothed_frames(reference, slice(0, len(movie)), 9, causal=causal)
    after = movie - slope * smooth
    return float(after.var(axis=0)[brain].sum() / movie.var(axis=0)[brain].sum())


@pytest.mark.parametrize("causal", [False, True])
def test_blood_goes_and_calcium_stays_in_a_simulated_mouse(simulated, causal):
    movie, reference = simulated["recorded"][::2], simulated["recorded"][1::2]
    statistics = measure_movie(movie, reference, lowpass_frames=9, causal=causal)
    brain, _ = find_brain(movie.mean(axis=0))
    # A causal slope is that of the first 256 frames here.
    slope = statistics.slope[0]
    assert share_left(simulated["blood"], slope, brain, causal) < 1 / 5
    assert 0.8 < share_left(simulated["calcium"], slope, brain, causal) < 1.05
    # The plain regression makes blood worse.
    smooth = smoothed_frames(reference, slice(0, len(movie)), 9)
    smooth -= smooth.mean(axis=0)
    power = (smooth**2).sum(axis=0)
    plain = np.einsum("trc,trc->rc", smooth, movie.astype(np.float64)) / np.maximum(power, 1)
    assert share_left(simulated["blood"], plain, brain, causal) > 1
