from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.prepared import prepare_sessions
from corticode.data.preprocess import Preprocessing, moving_mean
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.errors import DataError
from corticode.evaluate.references import correlate_regions


def session_of(traces, run, animal="m1", session="a", **behavior):
    traces = np.asarray(traces, np.float64)
    names = tuple(f"r{k + 1}" for k in range(traces.shape[1]))
    segment = np.zeros(len(traces), np.int32)
    return Session(animal, session, traces, names, {"run": np.asarray(run), **behavior}, segment)


def test_by_hand():
    run = [0, 0, 0, 1]
    # About their means: (-1, -1, -1, 3) / 4 and (-1.5, -0.5, 0.5, 1.5).
    traces = np.stack([[1, 2, 3, 4], [4, 3, 2, 1], [5, 5, 5, 9]], axis=1)
    found = correlate_regions(prepare_sessions([session_of(traces, run)]), Target("run"))
    r = (1.5 + 0.5 - 0.5 + 4.5) / 4 / (5 * 0.75) ** 0.5
    assert found.columns.tolist() == ["animal", "session", "region", "pearson_r"]
    assert found["region"].tolist() == ["r1", "r2", "r3"]
    np.testing.assert_allclose(found["pearson_r"], [r, -r, 1], rtol=1e-12)


def test_detrended_sessions_of_several_animals():
    rng = np.random.default_rng(0)
    sessions = [
        session_of(np.cumsum(rng.normal(size=(90, 4)), axis=0), rng.random(90) > 0.5, animal, name)
        for animal, name in [("m1", "a"), ("m1", "b"), ("m2", "a")]
    ]
    prepared = prepare_sessions(sessions, Preprocessing(detrend_frames=20))
    found = correlate_regions(prepared, Target("run"))
    assert len(found) == 12
    for k, session in enumerate(sessions):
        rows = found.iloc[4 * k : 4 * k + 4]
        assert set(rows["animal"]) == {session.animal}
        assert set(rows["session"]) == {session.session}
        detrended = session.traces - moving_mean(session.traces, 20)
        run = session.behavior["run"].astype(float)
        expected = [np.corrcoef(region, run)[0, 1] for region in detrended.T]
        np.testing.assert_allclose(rows["pearson_r"], expected, rtol=0, atol=1e-5)


@given(st.integers(0, 2**31), st.floats(0.01, 100), st.floats(-1000, 1000))
def test_size_and_offset_of_a_trace_do_not_matter(seed, gain, offset):
    rng = np.random.default_rng(seed)
    traces, speed = rng.normal(size=(40, 2)), rng.normal(size=40)
    target = Target("run", kind="value")
    one, other = (
        correlate_regions(prepare_sessions([session_of(t, speed)]), target)["pearson_r"]
        for t in (traces, gain * traces + offset)
    )
    np.testing.assert_allclose(other, one, rtol=0, atol=1e-2 if abs(offset) > gain else 1e-4)
    assert one.abs().max() <= 1


def test_frames_without_a_value_are_left_out():
    rng = np.random.default_rng(1)
    traces, run = rng.normal(size=(60, 3)), rng.random(60)
    traces[5:9, 0] = np.nan
    traces[20:, 1] = np.nan
    run[30:35] = np.nan
    prepared = prepare_sessions([session_of(traces, run)], Preprocessing(scale="none"))
    found = correlate_regions(prepared, Target("run", above=0.5))["pearson_r"]
    label = np.where(np.isfinite(run), run > 0.5, np.nan)
    for k in range(3):
        known = np.isfinite(traces[:, k]) & np.isfinite(label)
        expected = np.corrcoef(traces[known, k], label[known])[0, 1]
        assert found[k] == pytest.approx(expected, abs=1e-6)


def test_what_is_constant_has_no_correlation():
    traces = np.stack([np.full(40, 0.1), np.arange(40.0), np.full(40, np.nan)], axis=1)
    run = np.arange(40) > 19
    prepared = prepare_sessions([session_of(traces, run)], Preprocessing(scale="none"))
    found = correlate_regions(prepared, Target("run"))["pearson_r"]
    assert np.isnan(found[0])
    assert found[1] > 0.8
    assert np.isnan(found[2])
    constant = replace(prepared, behavior={"run": np.ones(40)})
    assert correlate_regions(constant, Target("run"))["pearson_r"].isna().all()


def test_errors():
    names = np.array(["rest", "walk"] * 20)
    traces = np.random.default_rng(2).normal(size=(40, 2))
    prepared = prepare_sessions([session_of(traces, np.arange(40) % 2, act=names)])
    with pytest.raises(DataError, match=r"target 'act' has several classes, .* of kind 'binary'"):
        correlate_regions(prepared, Target("act", kind="classes"))
    with pytest.raises(DataError, match="target signal 'speed' is not in the behaviour"):
        correlate_regions(prepared, Target("speed", kind="value"))
