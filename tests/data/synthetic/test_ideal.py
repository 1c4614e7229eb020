import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from corticode.data.synthetic.activity import Mouse
from corticode.data.synthetic.ideal import fit_ideal_filter, score_ideal_filter, source_windows

ONE = Mouse(np.array([[1.0, 2.0]]), 1.0, 0.0)


def test_windows_hold_eleven_lags_of_each_source():
    ramp = np.arange(60, dtype=np.float32)
    windows = source_windows(np.column_stack([ramp, 0 * ramp]), ONE)
    assert windows.shape == (30, 11)
    # Away from the ends a three-frame mean of a ramp is the ramp; its session mean is 29.5.
    np.testing.assert_allclose(windows[5], np.arange(5, 36, 3) - 29.5, atol=1e-6)


@given(st.integers(0, 1000))
def test_the_score_is_the_area_under_the_roc_curve(seed):
    rng = np.random.default_rng(seed)
    is_running = rng.random(200) < 0.5
    traces = rng.standard_normal((200, 2)).astype(np.float32) + 0.3 * is_running[:, None]
    traces = traces.astype(np.float32)
    weights = rng.standard_normal(11)
    expected = roc_auc_score(is_running[15:-15], source_windows(traces, ONE) @ weights)
    assert score_ideal_filter(weights, traces, is_running, ONE) == pytest.approx(expected)


def test_a_planted_signal_is_found_and_ties_score_half():
    rng = np.random.default_rng(0)
    is_running = np.repeat(rng.random(60) < 0.5, 50)
    traces = (is_running[:, None] * [1.0, 2.0] + rng.standard_normal((3000, 2))).astype(np.float32)
    weights = fit_ideal_filter(traces, is_running, ONE)
    assert score_ideal_filter(weights, traces, is_running, ONE) > 0.97
    silent = np.zeros((3000, 2), dtype=np.float32)
    nothing = fit_ideal_filter(silent, is_running, ONE)
    assert score_ideal_filter(nothing, silent, is_running, ONE) == 0.5
