"""One session through all steps: each step's effect, worked out another way."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from corticode.data.preprocessing import chain
from corticode.data.preprocessing.blood import VARIANTS
from corticode.data.preprocessing.chain import (
    CALCIUM,
    REFERENCE,
    RawSession,
    Regions,
    bin_frames,
    bin_regions,
    preprocess_session,
)
from corticode.data.preprocessing.steps import Baseline, Bins, Blood, Motion, Steps, describe
from corticode.errors import DataError, StudyError

STILL = Motion("none")
PLAIN = Steps(motion=STILL, blood=Blood("none"))


def made_raw(n_frames=120, side=20, seed=0, rate_hz=30.0, **changes):
    rng = np.random.default_rng(seed)
    image = 1000 + 200 * ndimage.gaussian_filter(rng.normal(size=(side, side)), 1.5) / 0.2
    blood = np.sin(np.arange(n_frames) / 7)[:, None, None]
    calcium = image * (1 + 0.02 * rng.normal(size=(n_frames, 1, 1)) + 0.01 * blood)
    reference = 0.6 * image * (1 + 0.008 * blood)
    noisy = [rng.poisson(one).astype(np.uint16) for one in (calcium, reference)]
    channels = dict(zip((CALCIUM, REFERENCE), noisy, strict=True))
    return RawSession(
        **{"channels": channels, "left_out": np.zeros(n_frames, bool), "frame_rate_hz": rate_hz}
        | changes
    )


def movie_of(raw, steps, tmp_path, regions=None):
    made = {}

    def room(shape):
        made["movie"] = np.zeros(shape, np.float32)
        return made["movie"]

    traces, quality = preprocess_session(raw, steps, tmp_path, regions=regions, movie=room)
    return made["movie"], traces, quality


class TestSteps:
    def test_dff_is_the_change_against_the_mean(self, tmp_path):
        raw = made_raw()
        movie, _, _ = movie_of(raw, PLAIN, tmp_path)
        counts = raw.channels[CALCIUM].astype(float)
        wanted = 100 * (counts - counts.mean(axis=0)) / counts.mean(axis=0)
        np.testing.assert_allclose(movie, wanted, atol=1e-3)

    def test_regression_is_least_squares_in_each_pixel(self, tmp_path):
        raw = made_raw()
        steps = Steps(motion=STILL, blood=Blood("regression"))
        movie, _, quality = movie_of(raw, steps, tmp_path)
        b, v = (
            c / c.mean(axis=0) - 1
            for c in (raw.channels[n].astype(float) for n in (CALCIUM, REFERENCE))
        )
        design = np.stack([v[:, 3, 4], np.ones(len(v))], axis=1)
        coefficients = np.linalg.lstsq(design, b[:, 3, 4], rcond=None)[0]
        residual = b[:, 3, 4] - design @ coefficients
        np.testing.assert_allclose(movie[:, 3, 4], 100 * residual, atol=1e-3)
        assert quality.images["slope"][3, 4] == pytest.approx(coefficients[0], abs=1e-4)

    def test_every_method_goes_through(self, tmp_path):
        raw = made_raw()
        plain, _, _ = movie_of(raw, PLAIN, tmp_path)
        for method in set(VARIANTS) - {"none"}:
            movie, _, _ = movie_of(raw, Steps(motion=STILL, blood=Blood(method)), tmp_path)
            assert np.isfinite(movie).all(), method
            assert np.abs(movie - plain).mean() > 0.1, method

    @pytest.mark.parametrize("method", ["heartbeat", "mean-reference", "regression-ramp"])
    def test_bands_of_pixels_change_nothing(self, method, tmp_path, monkeypatch):
        raw, steps = made_raw(), Steps(motion=STILL, blood=Blood(method))
        whole, _, _ = movie_of(raw, steps, tmp_path)
        monkeypatch.setattr(chain, "BAND_VALUES", 120 * 7)
        monkeypatch.setattr(chain, "BLOCK_VALUES", 400 * 9)
        parts, _, _ = movie_of(raw, steps, tmp_path)
        np.testing.assert_allclose(parts, whole, atol=1e-4)

    def test_few_components_leave_the_noise_behind(self, tmp_path):
        """What all pixels share is kept, photons' noise is not; lost frames stay lost."""
        raw = made_raw(n_frames=600)
        raw.left_out[50] = True
        noisy, _, _ = movie_of(raw, PLAIN, tmp_path)
        movie, _, quality = movie_of(raw, replace(PLAIN, components=2), tmp_path)
        used = np.delete(np.arange(600), 50)
        shared = noisy[used].mean(axis=(1, 2), keepdims=True)
        noise = np.std(noisy[used] - shared)
        assert np.std(movie[used] - shared) < 0.3 * noise
        assert np.isnan(movie[50]).all() and np.isfinite(np.delete(movie, 50, axis=0)).all()
        assert quality.numbers["look_ahead_frames"] in (None, np.inf)

    def test_components_are_singular_vectors_whatever_the_bands(self, tmp_path, monkeypatch):
        raw = made_raw(n_frames=300)
        whole, _, _ = movie_of(raw, PLAIN, tmp_path)
        flat = whole.reshape(300, -1).astype(float)
        _, _, vectors = np.linalg.svd(flat.reshape(20, 15, -1).mean(axis=1), full_matrices=False)
        wanted = flat @ vectors[:3].T @ vectors[:3]
        for values in (2**21, 300 * 37):
            monkeypatch.setattr("corticode.data.preprocessing.chain.BAND_VALUES", values)
            movie, _, _ = movie_of(raw, replace(PLAIN, components=3), tmp_path)
            np.testing.assert_allclose(movie.reshape(300, -1), wanted, atol=2e-3)

    def test_blood_is_taken_out_of_components(self, tmp_path):
        raw = made_raw(n_frames=600)
        steps = replace(PLAIN, blood=Blood("regression"), components=2)
        blood = np.sin(np.arange(600) / 7)
        left, there = (
            abs(np.corrcoef(movie_of(raw, one, tmp_path)[0].mean(axis=(1, 2)), blood)[0, 1])
            for one in (steps, replace(steps, blood=Blood("none")))
        )
        assert left < 0.5 * there

    def test_more_components_than_there_can_be(self, tmp_path):
        with pytest.raises(DataError, match="9 components were asked of 8 bins of 15 frames"):
            movie_of(made_raw(), replace(PLAIN, components=9), tmp_path)
        with pytest.raises(StudyError, match="give a baseline"):
            replace(PLAIN, components=3, baseline=None)

    def test_dark_level_is_taken_off_before_f0(self, tmp_path):
        raw = made_raw(dark={CALCIUM: 100.0, REFERENCE: 100.0})
        movie, _, _ = movie_of(raw, PLAIN, tmp_path)
        counts = raw.channels[CALCIUM].astype(float) - 100
        np.testing.assert_allclose(movie, 100 * (counts / counts.mean(axis=0) - 1), atol=1e-3)

    def test_left_out_frames_are_nan_and_have_no_part_in_f0(self, tmp_path):
        left_out = np.zeros(120, bool)
        left_out[[5, 6]] = True
        raw = made_raw(left_out=left_out)
        raw.channels[CALCIUM][5] = 60_000
        movie, _, quality = movie_of(raw, PLAIN, tmp_path)
        counts = raw.channels[CALCIUM].astype(float)
        f0 = counts[~left_out].mean(axis=0)
        assert np.isnan(movie[left_out]).all()
        np.testing.assert_allclose(movie[~left_out], 100 * (counts[~left_out] / f0 - 1), atol=1e-3)
        assert quality.numbers["n_left_out"] == 2

    def test_motion_is_undone(self, tmp_path):
        rng = np.random.default_rng(1)
        image = 1000 + 300 * ndimage.gaussian_filter(rng.normal(size=(72, 72)), 1.5) / 0.2
        image -= image.min() - 100
        down = np.where(np.arange(100) % 10 < 3, 2, 0)
        frames = np.stack([image[4 - k : 68 - k, 4:68] for k in down]).astype(np.float32)
        raw = RawSession({CALCIUM: frames}, np.zeros(100, bool), 30.0)
        steps = Steps(blood=Blood("none"), baseline=None)
        movie, _, quality = movie_of(raw, steps, tmp_path)
        shift = quality.courses["shift"]
        assert shift[down == 2, 0].mean() - shift[down == 0, 0].mean() == pytest.approx(2, abs=0.05)
        inner = movie[:, 8:56, 8:56]
        assert inner.std(axis=0).mean() < 0.05 * frames[:, 8:56, 8:56].std(axis=0).mean()
        # Rows that some frame does not show are kept in none.
        assert np.isnan(movie[:, -2:]).all()

    def test_mask_keeps_its_pixels_alone(self, tmp_path):
        mask = np.zeros((20, 20), bool)
        mask[5:9, 5:9] = True
        raw = made_raw(mask=mask)
        movie, _, _ = movie_of(
            raw, Steps(motion=STILL, blood=Blood("none"), mask="image"), tmp_path
        )
        assert np.array_equal(np.isfinite(movie).all(axis=0), mask)

    def test_regions_are_means_of_the_corrected_pixels(self, tmp_path):
        raw = made_raw()
        regions = bin_regions([np.array([0, 1, 20]), np.array([399])], ["a", "b"], (20, 20), Bins())
        movie, traces, _ = movie_of(raw, PLAIN, tmp_path, regions)
        wanted = movie.reshape(120, -1)
        np.testing.assert_allclose(traces[:, 0], wanted[:, [0, 1, 20]].mean(axis=1), rtol=1e-4)
        np.testing.assert_allclose(traces[:, 1], wanted[:, 399], rtol=1e-4)

    def test_a_region_outside_the_mask_has_no_value(self, tmp_path):
        mask = np.zeros((20, 20), bool)
        mask[:2] = True
        regions = Regions(("a", "b"), np.eye(2, 400, 398, dtype=np.float32))
        raw = made_raw(mask=mask)
        steps = Steps(motion=STILL, blood=Blood("none"), mask="image")
        with pytest.raises(DataError, match="no pixel of any region"):
            movie_of(raw, steps, tmp_path, regions)
        regions.weights[1, 3] = 1
        _, traces, quality = movie_of(raw, steps, tmp_path, regions)
        assert np.isnan(traces).all(axis=0).tolist() == [True, False]
        assert "no pixel is kept of 'a' (1 of 2 regions)" in str(quality.findings[-1])

    def test_trials_without_time_before_them(self, tmp_path):
        raw = made_raw(events=np.array([5, 20]))
        steps = Steps(motion=STILL, baseline=Baseline("trial", before_s=2.0), blood=Blood("none"))
        with pytest.raises(DataError, match="no trial has 2 s before it"):
            movie_of(raw, steps, tmp_path)

    def test_running_baseline_follows_bleaching(self, tmp_path):
        raw = made_raw(n_frames=600)
        fading = raw.channels[CALCIUM] * np.linspace(1, 0.5, 600)[:, None, None]
        raw.channels[CALCIUM] = fading.astype(np.float32)
        steps = Steps(motion=STILL, blood=Blood("none"), baseline=Baseline("running", length_s=2.0))
        movie, _, _ = movie_of(raw, steps, tmp_path)
        assert abs(np.nanmean(movie[100:150]) - np.nanmean(movie[450:500])) < 1


class TestCausal:
    STEPS = Steps(causal=True, warm_up_s=2.0, blood=Blood("regression"))

    def test_later_frames_change_no_earlier_one(self, tmp_path):
        raw = made_raw(n_frames=150, side=32)
        before, _, _ = movie_of(raw, self.STEPS, tmp_path)
        for frames in raw.channels.values():
            frames[110:] = frames[110:] // 2
        after, _, _ = movie_of(raw, self.STEPS, tmp_path)
        np.testing.assert_array_equal(before[:110], after[:110])
        assert np.nanmax(np.abs(before[110:] - after[110:])) > 1

    def test_the_warm_up_is_left_out(self, tmp_path):
        movie, _, quality = movie_of(made_raw(n_frames=150, side=32), self.STEPS, tmp_path)
        assert np.isnan(movie[:60]).all()
        assert np.isfinite(movie[60:]).all(axis=(1, 2)).any() or np.isfinite(movie[60:]).any()
        assert quality.numbers["look_ahead_frames"] == 0

    def test_a_warm_up_as_long_as_the_session_is_refused(self, tmp_path):
        with pytest.raises(DataError, match="3,000 frames, and the session has 120"):
            movie_of(made_raw(), Steps(causal=True, warm_up_s=100.0), tmp_path)


class TestBins:
    def test_pixels_by_hand(self):
        frames = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
        assert bin_frames(frames, Bins(2)).tolist() == [[[2.5, 4.5], [10.5, 12.5]]]

    def test_frames_pass_over_those_without_a_value(self):
        frames = np.array([1, np.nan, 3, 5, 9], np.float32).reshape(5, 1, 1)
        assert bin_frames(frames, Bins(1, 2)).ravel().tolist() == [1.0, 4.0]

    def test_odd_sides_are_cut(self):
        assert bin_frames(np.ones((1, 5, 7), np.float32), Bins(2)).shape == (1, 2, 3)

    def test_binned_movie_is_the_bins_of_the_counts(self, tmp_path):
        raw, bins = made_raw(), Bins(2, 3)
        steps = Steps(motion=STILL, blood=Blood("none"), bins=bins)
        movie, _, _ = movie_of(raw, steps, tmp_path)
        counts = bin_frames(raw.channels[CALCIUM].astype(np.float32), bins).astype(float)
        np.testing.assert_allclose(movie, 100 * (counts / counts.mean(axis=0) - 1), atol=2e-3)

    def test_too_large_bins(self, tmp_path):
        with pytest.raises(StudyError, match="20 x 20"):
            movie_of(made_raw(), Steps(motion=STILL, bins=Bins(21)), tmp_path)


class TestBadInput:
    @pytest.mark.parametrize(
        ("changes", "steps", "words"),
        [
            ({"mask": np.ones((4, 4), bool)}, PLAIN, "4 x 4"),
            ({}, Steps(motion=STILL, mask="image"), "column 'mask'"),
            ({"dark": {CALCIUM: 5000.0}}, PLAIN, "dark level"),
            ({"rate_hz": None}, Steps(motion=STILL, blood=Blood("wfield")), "frame_rate_hz"),
            ({"rate_hz": None}, Steps(motion=STILL, causal=True), "frame_rate_hz"),
            ({"side": 12}, Steps(), "12 x 12"),
            ({"n_frames": 40}, Steps(motion=STILL, blood=Blood("wfield")), "50 frames"),
            ({"left_out": np.ones(120, bool)}, PLAIN, "no frame can be used"),
        ],
    )
    def test_is_refused(self, changes, steps, words, tmp_path):
        with pytest.raises((DataError, StudyError), match=words):
            movie_of(made_raw(**changes), steps, tmp_path)

    def test_a_calibration_segment_behind_the_end(self, tmp_path):
        steps = Steps(motion=STILL, blood=Blood("regression", (100.0, 200.0)))
        with pytest.raises(DataError, match="seconds 100 to 200"):
            movie_of(made_raw(), steps, tmp_path)

    def test_no_reference_for_a_method_that_needs_one(self, tmp_path):
        raw = made_raw()
        del raw.channels[REFERENCE]
        with pytest.raises(StudyError, match="needs a reference channel"):
            movie_of(raw, Steps(motion=STILL), tmp_path)

    def test_a_movie_of_dff(self, tmp_path):
        raw = made_raw()
        raw.channels[CALCIUM] = np.random.default_rng(0).normal(0, 0.02, (120, 20, 20))
        with pytest.raises(DataError, match=r'looks like dF/F.*baseline = "none"'):
            movie_of(raw, PLAIN, tmp_path)
        movie, _, _ = movie_of(
            raw, Steps(motion=STILL, blood=Blood("none"), baseline=None), tmp_path
        )
        np.testing.assert_allclose(movie, raw.channels[CALCIUM], atol=1e-6)


def test_infinite_counts_are_missing(tmp_path):
    raw = made_raw()
    raw.channels[CALCIUM] = raw.channels[CALCIUM].astype(np.float32)
    raw.channels[CALCIUM][5, 3, 4] = np.inf
    movie, _, _ = movie_of(raw, PLAIN, tmp_path)
    assert np.argwhere(np.isnan(movie[5])).tolist() == [[3, 4]]


def test_a_channel_without_outlines_is_named(tmp_path):
    raw = made_raw(side=40)
    raw.channels[REFERENCE][:] = 700
    with pytest.raises(DataError, match=r"on the reference channel .*channel = \"calcium\""):
        movie_of(raw, Steps(blood=Blood("none")), tmp_path)


def test_slopes_of_the_warm_up_and_of_a_part_exclude_each_other():
    with pytest.raises(StudyError, match=r"fit_s and preprocess\.causal"):
        Steps(causal=True, blood=Blood("heartbeat", (0.0, 10.0)))


def test_nothing_is_fitted_for_a_difference():
    assert "blood: difference" in describe(Steps(blood=Blood("difference")))
    assert not describe(Steps(blood=Blood("difference"))).endswith("(whole session)")
