"""Tests."""

import math
from dataclasses import replace

import numpy as np
import pytest

from corticode.data.movies.normalise import (
    NormalisedMovie,
    PixelPreprocessing,
    lowpassed_reference,
    moving_part,
    normalise_movie,
    pixel_look_ahead_frames,
    states_of,
)
from corticode.data.movies.passes import smoothed_frames
from corticode.data.movies.statistics import measure_movie
from corticode.decode.movie_batches import MovieFrames
from corticode.errors import DataError, StudyError

SIDE = 24
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] - SIDE // 2
DISC = np.hypot(ROWS, COLUMNS) < 8
N_FRAMES, MOVIE_SIDE = 12, 3


def normalised_frames(movie, rows):
    """Some frames of a movie as a decoder reads them."""
    frames, which = MovieFrames([movie]), np.arange(rows.start, rows.stop)
    return frames.normalise(which, frames.read(which)).numpy()


def a_pair(n_frames=700, dtype="<u2"):
    """A bright disc that fluctuates, and its reference; a pixel of each kind never changes."""
    rng = np.random.default_rng(0)
    bright = 200 + 3000 * DISC
    pair = []
    for brightness in (1.0, 0.6):
        course = 1 + 0.02 * np.cumsum(rng.standard_normal(n_frames)) / 10
        movie = brightness * bright * course[:, None, None]
        movie += 4 * rng.standard_normal(movie.shape)
        movie[:, 12, 12], movie[:, 0, 0] = 65_535, 0
        pair.append(np.clip(movie, 0, 65_535).astype(dtype))
    return pair


def normalised(preprocessing, movie, reference=None, brain=None):
    statistics = measure_movie(
        movie,
        reference if preprocessing.has_reference else None,
        lowpass_frames=preprocessing.lowpass_frames,
        causal=preprocessing.causal,
        detrend_frames=preprocessing.detrend_frames,
    )
    return normalise_movie(movie, reference, statistics, preprocessing, brain)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_scale_of_the_study(power):
    movie, _ = a_pair()
    scale = ("none", "sd", "variance")[power]
    found, findings = normalised(PixelPreprocessing(scale), movie)
    wide = movie.astype(np.float64)
    expected = (wide - wide.mean(axis=0)) / wide.std() ** power
    frames = normalised_frames(found, slice(0, 700))
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames, expected, rtol=1e-3, atol=1e-3 / wide.std() ** power)
    assert not frames[:, [12, 0], [12, 0]].any()
    assert [str(finding) for finding in findings] == ["2 of 576 pixels never change and enter as 0"]


def test_fluctuation_of_the_brain_is_1():
    movie, _ = a_pair()
    found, findings = normalised(PixelPreprocessing("fluctuation"), movie, brain=DISC)
    frames = normalised_frames(found, slice(0, 700))
    inside = frames.var(axis=0)[DISC & (found.gain[0] > 0)]
    assert abs(inside.mean() - 1) < 0.001
    found, findings = normalised(PixelPreprocessing("fluctuation", "brain"), movie)
    frames = normalised_frames(found, slice(0, 700))
    far = np.hypot(ROWS, COLUMNS) > 11
    assert not frames[:, far].any()
    assert len(findings) == 1
    given, _ = normalised(PixelPreprocessing("none", "brain"), movie, brain=DISC)
    np.testing.assert_array_equal(given.gain[0] > 0, DISC & (movie.var(axis=0) > 0))


def test_with_its_reference():
    movie, reference = a_pair()
    preprocessing = PixelPreprocessing("fluctuation", "none", "reference-regression", 4)
    statistics = measure_movie(movie, reference, lowpass_frames=4)
    found, _ = normalise_movie(movie, reference, statistics, preprocessing, DISC)
    smooth = smoothed_frames(reference, slice(0, 700), 4)
    expected = movie - statistics.slope[0] * smooth
    expected -= expected.mean(axis=0)
    frames = normalised_frames(found, slice(0, 700))
    shown = found.gain[0] > 0
    np.testing.assert_allclose(
        frames[:, shown] / found.gain[0][shown], expected[:, shown], atol=0.01
    )
    # The scale is that of what is left.
    brain = DISC & shown
    assert abs(frames.var(axis=0)[brain].mean() - 1) < 0.001
    np.testing.assert_array_equal(normalised_frames(found, slice(300, 310)), frames[300:310])
    np.testing.assert_array_equal(lowpassed_reference(found, slice(2, 9)), smooth[2:9].astype("f4"))


class TestDetrended:
    """A drift common to movie and reference in part, and what is fast beside it."""

    LENGTH = 80

    def pair(self):
        movie, reference = a_pair()
        course = np.arange(700) / 700
        drift = 400 * np.stack([course, 1 - course**2])[:, :, None, None] * DISC
        return [
            (one + more).astype("<u2") for one, more in zip((movie, reference), drift, strict=True)
        ]

    @pytest.mark.parametrize("correction", ["none", "reference-regression"])
    def test_follows_the_moving_mean(self, correction):
        movie, reference = self.pair()
        pixels = PixelPreprocessing(
            "fluctuation", correction=correction, lowpass_frames=4, detrend_frames=self.LENGTH
        )
        found, _ = normalised(pixels, movie, reference, DISC)
        left = movie.astype(np.float64)
        if found.slope is not None:
            left -= found.slope[0] * smoothed_frames(reference, slice(0, 700), 4)
        exact = left - smoothed_frames(left, slice(0, 700), self.LENGTH)
        shown = DISC & (found.gain[0] > 0)
        frames = normalised_frames(found, slice(0, 700))[:, shown] / found.gain[0][shown]
        exact = exact[:, shown]
        assert np.abs(frames - exact).mean() < 0.1 * np.abs(exact).mean()
        assert np.corrcoef(frames.ravel(), exact.ravel())[0, 1] > 0.99
        # At a knot the moving mean is what is subtracted, to the rounding of float32.
        knots = slice(self.LENGTH // 2, 700 - self.LENGTH, self.LENGTH // 4)
        np.testing.assert_allclose(frames[knots], exact[knots], atol=0.02)
        inside = frames * found.gain[0][shown]
        assert abs(inside.var(axis=0).mean() - 1) < 0.15
        some = normalised_frames(found, slice(333, 341))
        np.testing.assert_array_equal(some, normalised_frames(found, slice(0, 700))[333:341])

    def test_statistics_of_another_length(self):
        movie, _ = self.pair()
        statistics = measure_movie(movie, detrend_frames=100)
        with pytest.raises(DataError, match=r"with another detrend_frames than 80; take them"):
            normalise_movie(movie, None, statistics, PixelPreprocessing(detrend_frames=80))
        with pytest.raises(DataError, match=r"with another detrend_frames than None"):
            normalise_movie(movie, None, statistics, PixelPreprocessing())

    def test_longer_than_the_movie_is_the_mean_over_it(self):
        movie, _ = a_pair()
        whole, _ = normalised(PixelPreprocessing("none"), movie)
        longer, _ = normalised(PixelPreprocessing("none", detrend_frames=3000), movie)
        rows = slice(0, 700)
        np.testing.assert_allclose(
            normalised_frames(longer, rows), normalised_frames(whole, rows), atol=0.01
        )


class TestCausal:
    PREPROCESSING = PixelPreprocessing(
        "fluctuation", "brain", "reference-regression", 4, causal=True
    )

    def test_by_its_states(self):
        movie, _ = a_pair()
        found, _ = normalised(PixelPreprocessing("sd", causal=True), movie)
        assert np.flatnonzero(found.valid)[[0, -1]].tolist() == [256, 699]
        frames = normalised_frames(found, slice(500, 520))
        for k, stop in ((500, 256), (515, 512)):
            past = movie[:stop].astype(np.float64)
            expected = (movie[k] - past.mean(axis=0)) / past.std()
            changing = past.var(axis=0) > 0
            np.testing.assert_allclose(
                frames[k - 500][changing], expected[changing], rtol=1e-3, atol=1e-5
            )

    @pytest.mark.parametrize("detrend_frames", [None, 200, 1400])
    def test_no_later_frame_reaches_an_earlier_one(self, detrend_frames):
        preprocessing = replace(self.PREPROCESSING, detrend_frames=detrend_frames)
        movie, reference = a_pair()
        found, _ = normalised(preprocessing, movie, reference)
        before = normalised_frames(found, slice(0, 700))
        for later in (300, 512, 650):
            other, other_reference = movie.copy(), reference.copy()
            other[later:] //= 2
            other_reference[later:] //= 3
            changed, _ = normalised(preprocessing, other, other_reference)
            after = normalised_frames(changed, slice(0, 700))
            seen = np.flatnonzero(found.valid[:later])
            np.testing.assert_array_equal(before[seen], after[seen])
            assert (before[later:] != after[later:]).any()

    def test_a_level_is_that_of_the_blocks_before(self):
        """Four blocks before the knot, reached one block later on a line."""
        movie, _ = a_pair()
        found, _ = normalised(PixelPreprocessing("none", causal=True, detrend_frames=200), movie)
        frames = normalised_frames(found, slice(600, 650))
        flat = movie.astype(np.float64)
        # Frame 620, in block 12 of 50: from the mean of blocks 7 to 10 to that of 8 to 11.
        level = 0.6 * flat[350:550].mean(axis=0) + 0.4 * flat[400:600].mean(axis=0)
        changing = movie.var(axis=0) > 0
        np.testing.assert_allclose(frames[20][changing], (flat[620] - level)[changing], atol=0.05)

    @pytest.mark.parametrize("which", [0, 1])
    def test_drift_is_taken_out_of_movie_and_reference(self, which):
        """Whichever of both drifts: what is left is no slope over time."""
        rng = np.random.default_rng(0)
        drift = [np.ones(2000), np.ones(2000)]
        drift[which] = 1 + 0.3 * np.arange(2000) / 2000
        shared = 0.01 * rng.normal(size=(2000, 1, 1))
        pair = [
            ((200 + 3000 * DISC) * (course[:, None, None] + shared)).astype(np.float32)
            + rng.normal(0, 4, (2000, SIDE, SIDE)).astype(np.float32)
            for course in drift
        ]
        slopes = {}
        for length in (None, 400):
            preprocessing = PixelPreprocessing(
                "none", "brain", "reference-regression", 4, causal=True, detrend_frames=length
            )
            found, _ = normalised(preprocessing, *pair)
            course = normalised_frames(found, slice(800, 2000))[:, DISC].mean(axis=1)
            slopes[length] = abs(np.polyfit(np.arange(1200), course, 1)[0])
        assert slopes[400] < 0.1 * slopes[None]

    def test_without_a_first_block_there_is_no_level(self):
        movie, _ = a_pair()
        found, _ = normalised(PixelPreprocessing(causal=True, detrend_frames=1600), movie)
        assert np.flatnonzero(found.valid)[0] == 400

    def test_too_few_valid_frames_so_far(self):
        movie, _ = a_pair(dtype="<f4")
        movie[10:200, 3, 3] = np.nan
        found, _ = normalised(PixelPreprocessing(causal=True), movie)
        assert np.flatnonzero(found.valid)[0] == 512


def test_a_brain_cut_out_by_nan_enters_as_0_around():
    movie, _ = a_pair(dtype="<f4")
    movie[:, ~DISC] = np.nan
    found, _ = normalised(PixelPreprocessing(), movie)
    frames = normalised_frames(found, slice(0, 700))
    assert found.valid.all()
    assert not frames[:, ~DISC].any()


def test_a_brain_that_is_hardly_seen():
    rng = np.random.default_rng(0)
    movie = (1000 + rng.normal(0, 50, (SIDE, SIDE)) + rng.normal(0, 5, (40, SIDE, SIDE))).astype(
        np.uint16
    )
    _, findings = normalised(PixelPreprocessing(mask="brain"), movie)
    assert "brain and surround are hardly told apart" in str(findings[0])


def test_how_far_it_looks():
    assert pixel_look_ahead_frames(PixelPreprocessing()) == math.inf
    assert pixel_look_ahead_frames(PixelPreprocessing(causal=True)) == 0


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("scale", "z", r"scale of a movie is 'z'; it must be one of sd, variance"),
            ("mask", "disc", r"mask of a movie is 'disc'; it must be one of none, brain"),
            ("correction", "yes", r"correction of a movie is 'yes'"),
            ("lowpass_frames", 0, r"lowpass_frames is 0; it must be a whole number"),
            ("lowpass_frames", True, r"lowpass_frames is True"),
            ("lowpass_frames", 2.5, r"lowpass_frames is 2.5"),
            ("detrend_frames", 2.5, r"detrend_frames is 2.5"),
            ("detrend_frames", 0, r"detrend_frames is 0; it must be a whole number"),
        ],
    )
    def test_a_setting(self, name, value, text):
        with pytest.raises(StudyError, match=text):
            PixelPreprocessing(**{name: value})

    def test_statistics_of_something_else(self):
        movie, reference = a_pair(300)
        statistics = measure_movie(movie)
        corrected = PixelPreprocessing(correction="reference-regression")
        for other, preprocessing, text in [
            (movie[1:], PixelPreprocessing(), r"shape \(299, 24, 24\) and its statistics are"),
            (movie, PixelPreprocessing(causal=True), r"causal = True and statistics that are not"),
            (movie, corrected, r"were taken without its reference or with another"),
        ]:
            with pytest.raises(DataError, match=text):
                normalise_movie(other, reference, statistics, preprocessing)
        with pytest.raises(DataError, match=r"needs a reference channel of the movie's shape"):
            normalise_movie(movie, None, statistics, corrected)

    def test_a_brain_of_another_shape(self):
        movie, _ = a_pair(300)
        with pytest.raises(DataError, match=r"the brain mask holds bool values of shape \(2, 2\)"):
            normalised(PixelPreprocessing(mask="brain"), movie, brain=np.ones((2, 2), bool))


def image(value, n=1):
    return np.full((n, MOVIE_SIDE, MOVIE_SIDE), value, np.float32)


@pytest.fixture
def movie():
    """Frame t holds 10 t everywhere."""
    frames = np.repeat(10 * np.arange(N_FRAMES, dtype=np.uint16), MOVIE_SIDE**2)
    frames = frames.reshape(N_FRAMES, MOVIE_SIDE, MOVIE_SIDE)
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


@pytest.mark.parametrize("cut_out", [False, True])
def test_of_dff_all_pixels_with_values_are_the_brain(cut_out):
    rng = np.random.default_rng(0)
    movie = rng.normal(0, 2, (300, SIDE, SIDE)).astype(np.float32)
    if cut_out:
        movie[:, ~DISC] = np.nan
    found, findings = normalised(PixelPreprocessing("fluctuation", mask="brain"), movie)
    assert ((found.gain[0] > 0) == (DISC if cut_out else np.full_like(DISC, True))).all()
    said = [str(one) for one in findings if "changes around 0" in str(one)]
    assert len(said) == (0 if cut_out else 1)
