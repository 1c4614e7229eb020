import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corticode.data.scaling import (
    CHUNK_FRAMES,
    ROBUST_FRAMES,
    fit_scale,
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
@settings(max_examples=50)
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
