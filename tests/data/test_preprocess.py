"""Tests."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corticode.data.preprocess import (
    CHUNK_FRAMES,
    ROBUST_FRAMES,
    Preprocessing,
    fit_scale,
    look_ahead_frames,
    moving_mean,
    preprocess_traces,
    running_scale,
    scale_session,
)
from corticode.errors import DataError, StudyError

NUMBERS = st.floats(-1e3, 1e3, width=32)
TRACES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 25), st.integers(1, 3)),
    elements=NUMBERS | st.sampled_from([np.nan, np.inf, -np.inf]),
)


def moving_mean_by_loop(values, n_frames, causal):
    result = np.full(values.shape, np.nan)
    before = n_frames - 1 if causal else n_frames // 2
    after = 0 if causal else (n_frames - 1) // 2
    for t in range(len(values)):
        for region in range(values.shape[1]):
            window = values[max(t - before, 0) : t + after + 1, region]
            window = window[np.isfinite(window)]
            if window.size:
                result[t, region] = window.mean()
    return result


@pytest.mark.parametrize(
    ("n_frames", "expected"),
    [
        (1, [1, 2, 3, 4, 5]),
        (2, [1, 1.5, 2.5, 3.5, 4.5]),
        (3, [1.5, 2, 3, 4, 4.5]),
        (4, [1.5, 2, 2.5, 3.5, 4]),
        (100, [3, 3, 3, 3, 3]),
    ],
)
def test_moving_mean_is_matlabs(n_frames, expected):
    np.testing.assert_allclose(moving_mean(np.arange(1, 6), n_frames), expected, rtol=1e-15)


def test_causal_moving_mean_by_hand():
    assert moving_mean(np.array([1, 2, 3, 4, 5]), 3, causal=True).tolist() == [1, 1.5, 2, 3, 4]


def test_moving_mean_skips_missing_frames():
    values = np.array([1.0, np.nan, 3.0, np.inf, np.inf, np.inf, 7.0])
    np.testing.assert_allclose(moving_mean(values, 3), [1, 2, 3, 3, np.nan, 7, 7])


@given(TRACES, st.integers(1, 30), st.booleans())
def test_moving_mean_agrees_with_a_loop(values, n_frames, causal):
    np.testing.assert_allclose(
        moving_mean(values, n_frames, causal=causal),
        moving_mean_by_loop(values, n_frames, causal),
        rtol=1e-12,
        atol=1e-10,
    )


def test_moving_mean_keeps_small_fluctuations_on_large_counts():
    fluctuation = 1e-3 * np.random.default_rng(0).standard_normal((18_000, 2))
    deviation = moving_mean(1e4 + fluctuation, 1000) - 1e4
    # 1e4 + x itself rounds x at 1e-12.
    np.testing.assert_allclose(deviation, moving_mean(fluctuation, 1000), atol=1e-6 * 1e-3 * 5)


def test_moving_mean_keeps_further_axes_and_empty_sessions():
    movie = np.arange(24, dtype=np.uint16).reshape(4, 2, 3)
    assert moving_mean(movie, 3).shape == (4, 2, 3)
    assert moving_mean(movie, 3)[1, 1, 2] == movie[:3, 1, 2].mean()
    assert moving_mean(np.zeros((0, 5)), 3).shape == (0, 5)


@pytest.mark.parametrize("n_frames", [0, -3, 2.5, True, "5"])
def test_moving_mean_refuses_a_length(n_frames):
    with pytest.raises(StudyError, match=r"n_frames is .*; it must be a whole number of frames"):
        moving_mean(np.zeros(3), n_frames)


def test_30_frames_are_15_before_and_14_after():
    speed = np.zeros(100)
    speed[50] = 30
    smooth = moving_mean(speed, 30)
    assert np.flatnonzero(smooth > 0.5).tolist() == list(range(36, 66))
    np.testing.assert_allclose(smooth[36:66], 1)


def test_preprocess_traces_by_hand():
    traces = np.array([[1.0], [2.0], [3.0], [4.0], [9.0]], np.float32)
    traces.flags.writeable = False
    # Moving mean 1.5 2 3 16/3 6.5: detrended -0.5 0 0 -4/3 2.5, range 23/6.
    scaled, flat = preprocess_traces(traces, Preprocessing(detrend_frames=3))
    assert scaled.dtype == np.float32
    assert flat.tolist() == [False]
    np.testing.assert_allclose(
        scaled[:, 0], (np.array([-0.5, 0, 0, -4 / 3, 2.5]) + 4 / 3) / (23 / 6), rtol=1e-6
    )
    smooth, _ = preprocess_traces(traces, Preprocessing(smooth_frames=3, scale="none"))
    np.testing.assert_allclose(smooth[:, 0], [1.5, 2, 3, 16 / 3, 6.5], rtol=1e-6)


@pytest.mark.parametrize("scale_over", ["session", "causal", "training"])
@pytest.mark.parametrize("causal", [False, True])
def test_rounding_of_a_constant_trace_is_never_blown_up(scale_over, causal):
    traces = np.full((500, 2), 12345.678)
    traces[::2, 1] += 1e-3
    preprocessing = Preprocessing(
        detrend_frames=101, causal=causal, scale="z-score", scale_over=scale_over
    )
    scaled, flat = preprocess_traces(traces, preprocessing)
    assert flat.tolist() == [True, True]
    assert (scaled == 0).all()
    assert fit_scale([scaled], "z-score")[1].tolist() == [0, 0]


@given(TRACES, st.booleans(), st.sampled_from(["session", "training", "causal"]))
def test_missing_frames_stay_missing_and_spread_nowhere(values, causal, scale_over):
    preprocessing = Preprocessing(4, causal, 3, "min-max", scale_over)
    before = values.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled, _ = preprocess_traces(values, preprocessing)
    assert (np.isfinite(scaled) == np.isfinite(values)).all()
    np.testing.assert_array_equal(values, before)


@given(TRACES, st.data())
def test_no_frame_beyond_the_look_ahead_matters(values, data):
    preprocessing = Preprocessing(
        detrend_frames=data.draw(st.none() | st.integers(1, 9)),
        causal=data.draw(st.booleans()),
        smooth_frames=data.draw(st.none() | st.integers(1, 9)),
        scale=data.draw(st.sampled_from(["min-max", "z-score", "none"])),
        scale_over=data.draw(st.sampled_from(["training", "causal"])),
    )
    last = data.draw(st.integers(0, len(values) - 1))
    stop = last + int(look_ahead_frames(preprocessing)) + 1
    changed = values.copy()
    changed[stop:] = 777
    compare = (
        np.testing.assert_array_equal
        if preprocessing.causal
        else lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    )
    if preprocessing.scale_over == "causal" and not preprocessing.causal:
        # Centred means round differently, and scaling may magnify that without bound.
        preprocessing = Preprocessing(
            preprocessing.detrend_frames, False, preprocessing.smooth_frames, "none", "causal"
        )
    first, _ = preprocess_traces(values, preprocessing)
    second, _ = preprocess_traces(changed, preprocessing)
    compare(first[: last + 1], second[: last + 1])


def test_look_ahead_adds_up():
    look_ahead = [
        look_ahead_frames(Preprocessing(1000, False, 5, "z-score", "training")),
        look_ahead_frames(Preprocessing(1001, scale="none")),
        look_ahead_frames(Preprocessing(1000, True, 5, "z-score", "causal")),
        look_ahead_frames(Preprocessing(1000, True)),
    ]
    assert look_ahead == [499 + 2, 500, 0, math.inf]


@pytest.mark.parametrize(
    ("settings_given", "message"),
    [
        ({"detrend_frames": 0}, "detrend_frames is 0; it must be a whole number"),
        ({"smooth_frames": 2.0}, "smooth_frames is 2.0; it must be a whole number"),
        ({"scale": "minmax"}, "scale is 'minmax'; it must be one of min-max, z-score, robust"),
        ({"scale_over": "all"}, "scale_over is 'all'; it must be one of session, training, causal"),
        ({"scale": "robust", "scale_over": "causal"}, "no causal form; take scale = 'z-score'"),
    ],
)
def test_preprocessing_refuses(settings_given, message):
    with pytest.raises(StudyError, match=message):
        Preprocessing(**settings_given)


def test_traces_need_two_axes():
    with pytest.raises(DataError, match=r"traces have 1 axes; two are needed, \(frame, region\)"):
        preprocess_traces(np.zeros(3), Preprocessing())


def test_flat_is_judged_against_the_size_given():
    values = np.array([[0.0, 0.0], [1e-3, 1e-3]])
    largest = np.array([1e4, 1.0])
    assert scale_session(values, "min-max", largest=largest)[1].tolist() == [True, False]
    so_far = np.broadcast_to(largest, values.shape)
    assert running_scale(values, "min-max", largest=so_far)[1].tolist() == [True, False]


def test_unknown_scales_are_refused():
    with pytest.raises(StudyError, match="'robust' has no causal form; take scale = 'z-score'"):
        running_scale(np.zeros((3, 1)), "robust")
    with pytest.raises(StudyError, match="scale is 'max'; it must be one of min-max, z-score"):
        scale_session(np.zeros((3, 1)), "max")


def test_scale_session_by_hand():
    values = np.array([[1.0], [2.0], [np.nan], [3.0], [10.0]])
    smallest_to_largest, _ = scale_session(values, "min-max")
    np.testing.assert_allclose(smallest_to_largest[:, 0], [0, 1 / 9, np.nan, 2 / 9, 1], rtol=1e-6)
    z, _ = scale_session(values, "z-score")
    np.testing.assert_allclose(z[:, 0], (values[:, 0] - 4) / math.sqrt(12.5), rtol=1e-6)
    robust, _ = scale_session(values, "robust")  # median 2.5; deviations 1.5 0.5 0.5 7.5
    np.testing.assert_allclose(robust[:, 0], (values[:, 0] - 2.5) / 1.4826, rtol=1e-6)


def test_robust_scale_falls_back_where_most_frames_agree():
    half = np.array([0.0] * 6 + [1.349] * 4)[:, None]  # MAD 0, interquartile range 1.349
    np.testing.assert_allclose(scale_session(half, "robust")[0].max(), 1.349, rtol=1e-6)
    tiny = np.array([[0.0], [1.0], [1e-45]])  # a deviation of rounding counts as 0
    np.testing.assert_allclose(scale_session(tiny, "robust")[0].max(), 2 * 1.349, rtol=1e-6)
    rare = np.array([0.0] * 99 + [1.0])[:, None]  # only the SD is not 0
    np.testing.assert_allclose(
        scale_session(rare, "robust")[0].max(), 1 / math.sqrt(0.01 * 0.99), rtol=1e-6
    )


def test_flat_regions_are_zero_and_told():
    values = np.array([[5e3, 0.0, np.nan, 1e-3], [5e3 + 1e-3, 0.0, np.nan, 2e-3], [5e3, 0, 0, 0]])
    values[:, 2] = np.nan
    for kind in ("min-max", "z-score", "robust"):
        for scale in (scale_session, running_scale):
            if kind == "robust" and scale is running_scale:
                continue
            scaled, flat = scale(values, kind)
            assert flat.tolist() == [True, True, False, False]
            assert (scaled[:, :2] == 0).all()
            assert np.isnan(scaled[:, 2]).all()
            assert np.ptp(scaled[:, 3]) > 0


@given(TRACES, st.sampled_from(["min-max", "z-score", "robust"]))
def test_scaled_sessions_stay_in_bounds(values, kind):
    scaled, flat = scale_session(values, kind)
    assert scaled.dtype == np.float32
    assert (np.isfinite(scaled) == np.isfinite(values)).all()
    for region in np.flatnonzero(~flat & np.isfinite(values).any(axis=0)):
        column = scaled[np.isfinite(scaled[:, region]), region].astype(float)
        if kind == "min-max":
            assert (column.min(), column.max()) == (0, 1)
        if kind == "z-score":
            assert abs(column.mean()) < 1e-4
            assert abs(column.std() - 1) < 1e-4


def test_running_scale_by_hand():
    scaled, flat = running_scale(np.array([[2.0], [4.0], [np.nan], [6.0]]), "z-score")
    np.testing.assert_allclose(scaled[:, 0], [0, 1, np.nan, 2 / math.sqrt(8 / 3)], rtol=1e-6)
    assert flat.tolist() == [False]


@given(TRACES, st.sampled_from(["min-max", "z-score"]))
def test_running_scale_ends_as_the_session_does(values, kind):
    running, _ = running_scale(values, kind)
    whole, _ = scale_session(values, kind)
    np.testing.assert_allclose(running[-1], whole[-1], rtol=1e-4, atol=1e-4)


def test_fit_scale_by_hand():
    arrays = [np.array([[1.0, 7.0, np.nan], [2.0, 7.0, np.nan]]), np.array([[6.0, 7.0, np.nan]])]
    offset, gain = fit_scale(arrays, "min-max")
    assert offset.tolist() == [1, 7, 0]
    np.testing.assert_allclose(gain, [0.2, 0, 0])
    offset, gain = fit_scale(arrays, "z-score")
    np.testing.assert_allclose([offset[0], gain[0], gain[1]], [3, 1 / math.sqrt(14 / 3), 0])
    offset, gain = fit_scale(arrays, "robust")
    np.testing.assert_allclose([offset[0], gain[0], gain[1]], [2, 1 / 1.4826, 0], rtol=1e-6)
    offset, gain = fit_scale(arrays, "none")
    assert (offset.tolist(), gain.tolist()) == ([0, 0, 0], [1, 1, 1])


@pytest.mark.parametrize("kind", ["min-max", "z-score", "robust"])
def test_fit_scale_reads_long_files_in_stretches(tmp_path, kind):
    rng = np.random.default_rng(1)
    values = (1e4 + rng.standard_normal((2 * CHUNK_FRAMES + 7, 2))).astype(np.float32)
    values[5, 0] = np.nan
    np.save(tmp_path / "traces.npy", values)
    mapped = np.load(tmp_path / "traces.npy", mmap_mode="r")
    offset, gain = fit_scale([mapped, values[:100]], kind)
    scaled, _ = scale_session(np.concatenate([values, values[:100]]), kind)
    np.testing.assert_allclose((values - offset) * gain, scaled[: len(values)], atol=1e-3)


def test_robust_fit_takes_evenly_spaced_frames():
    ramp = np.arange(3.0 * ROBUST_FRAMES)[:, None]
    offset, gain = fit_scale([ramp], "robust")
    np.testing.assert_allclose(offset, [1.5 * ROBUST_FRAMES], rtol=1e-3)
    np.testing.assert_allclose(1 / gain, [1.4826 * 0.75 * ROBUST_FRAMES], rtol=1e-3)


@given(st.lists(TRACES.filter(lambda values: values.shape[1] == 1), min_size=1, max_size=3))
def test_fit_scale_pools_as_if_sessions_were_one(arrays):
    together = np.concatenate(arrays)
    for kind in ("min-max", "z-score", "robust"):
        offset, gain = fit_scale(arrays, kind)
        scaled, flat = scale_session(together, kind)
        if not flat[0] and np.isfinite(together).any() and gain[0] < 1e3:
            finite = np.isfinite(together)
            np.testing.assert_allclose(
                ((together - offset) * gain)[finite], scaled[finite], rtol=1e-3, atol=1e-2
            )


def test_fit_scale_refuses_unequal_regions():
    with pytest.raises(DataError, match=r"given \(2,\), \(3,\) .* with the same regions in each"):
        fit_scale([np.zeros((4, 2)), np.zeros((4, 3))], "z-score")
    with pytest.raises(DataError, match="given no sessions"):
        fit_scale([], "z-score")


TRIALS = np.repeat([0, 1, 2, 3], 50)


def test_smoothing_stops_at_gaps_and_detrending_goes_on():
    """Trials of another level each: no mean may mix two of them."""
    level = np.repeat([10.0, 0.0, 10.0, 0.0], 50)
    np.testing.assert_array_equal(moving_mean(level, 20, segment=TRIALS), level)
    np.testing.assert_array_equal(moving_mean(level, 20, segment=TRIALS, causal=True), level)
    assert moving_mean(level, 20)[50] == 5
    traces = np.stack([level, np.arange(200.0)], axis=1)
    smooth, _ = preprocess_traces(
        traces, Preprocessing(smooth_frames=11, scale="none"), segment=TRIALS
    )
    np.testing.assert_array_equal(smooth[:, 0], level)
    slow = Preprocessing(detrend_frames=100, scale="none")
    for segment in (TRIALS, None):
        detrended, _ = preprocess_traces(traces, slow, segment=segment)
        np.testing.assert_allclose(detrended, traces - moving_mean(traces, 100), atol=1e-5)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(1, 15), st.booleans())
def test_a_stretch_is_smoothed_as_if_it_were_alone(lengths, n_frames, causal):
    segment = np.repeat(np.arange(len(lengths)), lengths)
    values = np.random.default_rng(len(segment)).normal(size=len(segment))
    whole = moving_mean(values, n_frames, causal=causal, segment=segment)
    alone = [
        moving_mean(values[segment == k], n_frames, causal=causal) for k in range(len(lengths))
    ]
    np.testing.assert_allclose(whole, np.concatenate(alone), atol=1e-12)
