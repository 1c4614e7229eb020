"""Cues regressed out of traces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.regression import KNOTS_S, lagged, regress_out
from corticode.errors import DataError

RATE = 30.0


def test_lags_by_hand():
    pulse = np.zeros((200, 1))
    pulse[100] = 1
    design = lagged(pulse, 10.0)
    # At 10 frames/s one frame is 0.1 s, which is a lag as it is.
    assert design.shape == (200, len(KNOTS_S))
    # The lag of 1 s is its own frame, and neighbours are reached by straight lines.
    at_1_s = design[:, KNOTS_S.index(1.0)]
    assert at_1_s[110] == 1
    assert at_1_s[109] == pytest.approx(0.6)
    assert at_1_s[[107, 113]].tolist() == [0, 0]
    assert np.flatnonzero(design.any(axis=1))[[0, -1]].tolist() == [95, 130]


@given(lag_s=st.floats(-0.4, 2.9), gain=st.floats(-5, 5))
@settings(max_examples=20)
def test_a_delayed_cue_is_gone_and_the_rest_is_left(lag_s, gain):
    rng = np.random.default_rng(0)
    # A cue as slow as blood; fast ones are resolved near lag 0 alone.
    whole = np.convolve(rng.normal(size=6200 + 88), np.hanning(89), "valid")[:, None]
    whole /= whole.std()
    cue, first = whole[100:6100], 100 - round(lag_s * RATE)
    own = rng.normal(size=(6000, 1))
    traces = 7 + own + gain * whole[first : first + 6000]
    left = regress_out(traces, cue, RATE)
    assert np.corrcoef(left[:, 0], own[:, 0])[0, 1] > 0.85
    assert left.mean() == pytest.approx(traces.mean(), abs=1e-3)


def test_a_fast_cue_at_lag_0_is_gone():
    rng = np.random.default_rng(0)
    cue, own = rng.normal(size=(6000, 2)), rng.normal(size=(6000, 3))
    left = regress_out(own + cue @ rng.normal(size=(2, 3)) * 3, cue, RATE)
    assert all(np.corrcoef(left[:, k], own[:, k])[0, 1] > 0.98 for k in range(3))


def test_what_no_cue_explains_is_left():
    rng = np.random.default_rng(0)
    own = rng.normal(size=(18_000, 2))
    left = regress_out(own, rng.normal(size=(18_000, 8)), RATE)
    # Chance takes about as many of 18,000 degrees of freedom as there are columns, 136.
    assert 0.99 < left.var() / own.var() < 1


def test_nan_and_flat_cues():
    rng = np.random.default_rng(0)
    traces, cues = rng.normal(size=(3000, 2)), rng.normal(size=(3000, 2))
    cues[:, 1] = 4.0
    traces[:, 0] += 3 * cues[:, 0]
    traces[50], cues[700] = np.nan, np.nan
    left = regress_out(traces, cues, RATE)
    assert np.flatnonzero(np.isnan(left).any(axis=1)).tolist() == [50]
    assert left[~np.isnan(left)].std() < 1.1


def test_too_few_frames():
    with pytest.raises(DataError, match="40 frames are too few to regress 2 cues out at"):
        regress_out(np.zeros((40, 3)), np.zeros((40, 2)), RATE)
