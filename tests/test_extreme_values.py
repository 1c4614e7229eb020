"""From Python too, values that no recording or setting can have end in one of our errors."""

import numpy as np
import pytest

import corticode as cc
from corticode.errors import CorticodeError, DataError, StudyError

HUGE = (10**30, 2**63)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e300, 1e39])
def test_of_an_estimator(bad):
    windows = np.random.default_rng(0).normal(size=(40, 3, 2))
    decoder = cc.RegionDecoder("linear-window").fit(windows, np.tile([0, 1], 20))
    windows[3, 1, 1] = bad
    with pytest.raises(DataError, match="contains"):
        decoder.predict_proba(windows)
    with pytest.raises(DataError, match="contains"):
        cc.RegionDecoder("linear-window").fit(windows, np.tile([0, 1], 20))


@pytest.mark.parametrize("huge", HUGE)
def test_of_lengths_and_seeds(huge, simulate):
    for make in (
        lambda: cc.WindowShape(huge, 0),
        lambda: cc.WindowShape(0, 0, -huge),
        lambda: cc.Preprocessing(detrend_frames=huge),
        lambda: cc.Preprocessing(smooth_frames=huge),
        lambda: cc.Target("run", kind="value", smooth_frames=huge),
        lambda: cc.Target("run", exclude_transition_frames=huge),
        lambda: cc.Network("gru", units=huge),
    ):
        with pytest.raises(StudyError, match=r"no session has more than|at most 10,000"):
            make()
    windows = cc.cut_windows([simulate()], cc.Target("run"), cc.WindowShape(1, 1))
    for seed in (huge, -1):
        with pytest.raises(StudyError, match="seed is"):
            cc.fit(windows, windows, "linear-window", seed=seed)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_of_settings(bad):
    for given in (
        {"learning_rate": bad},
        {"epochs": bad},
        {"penalty": (bad,)},
        {"batch_size": 2.5},
    ):
        with pytest.raises(StudyError, match="training"):
            cc.Training(**given)
    with pytest.raises(StudyError, match="above is"):
        cc.Target("speed", above=bad)
    with pytest.raises(StudyError, match="units"):
        cc.Network("gru", units=bad)


@pytest.mark.parametrize("dtype", [object, complex, str])
def test_of_arrays(dtype):
    traces = np.full((50, 2), 1).astype(dtype)
    with pytest.raises(CorticodeError, match=r"numbers .* are needed"):
        cc.Session("m1", "a", traces, ("1", "2"), {}, np.zeros(50, np.int32))
