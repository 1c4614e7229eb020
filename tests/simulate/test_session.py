"""Tests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter1d

from corticode.simulate.behavior import simulate_behavior
from corticode.simulate.cortex import LIMB_REGIONS
from corticode.simulate.dials import SIZES, resolve_dials
from corticode.simulate.session import (
    RUN_FRACTIONS,
    interictal_events,
    light_leak,
    recorded_frames,
    sample_behavior,
    simulate_mouse,
    simulate_session,
    unplug_wheel,
    wheel_clock,
)

AROUSED_REGIONS = {1, 2, 13, 17, 26, 27, 38, 42}
# Of all frames, regions and sessions: mean size and SD of dF/F (%), the mean SD of a region within
# a session, its mean correlation with running, the fraction of time running, and mean speed (cm/s).
FROZEN = {
    "tiny": {
        "size": 3.6591,
        "sd": 4.6742,
        "session_sd": 4.2841,
        "correlation": 0.31469,
        "running": 0.61116,
        "speed": 12.739,
    },
    "grid": {
        "size": 2.1803,
        "sd": 3.1035,
        "session_sd": 2.6273,
        "correlation": 0.31465,
        "running": 0.6112,
        "speed": 12.797,
    },
}


def simulate_all(size="tiny", seed=0, **dials):
    extent, values = SIZES[size], resolve_dials(dials)
    sessions = []
    for number, n_sessions in enumerate(extent.n_sessions, start=1):
        mouse = simulate_mouse(number, n_sessions, seed, values)
        sessions += [
            simulate_session(mouse, k, extent.n_frames, extent.n_pixels, seed)
            for k in range(n_sessions)
        ]
    return sessions


@pytest.fixture(scope="module")
def sessions():
    return simulate_all()


def of_study_length(n_sessions=2):
    """The first sessions of each mouse of the cohort of size study."""
    extent, sessions = SIZES["study"], []
    for number, n_all in enumerate(extent.n_sessions, start=1):
        mouse = simulate_mouse(number, n_all, 0, resolve_dials(None))
        sessions += [
            simulate_session(mouse, k, extent.n_frames, extent.n_pixels, 0)
            for k in range(n_sessions)
        ]
    return sessions


def correlations(sessions):
    """Mean Pearson r of each region's detrended trace with running, over sessions."""
    by_session = [
        np.corrcoef(np.column_stack([s.behavior.is_running, detrended(s.traces)]).T)[0, 1:]
        for s in sessions
    ]
    return np.mean(by_session, axis=0)


def detrended(traces):
    return traces - uniform_filter1d(traces, 1000, axis=0)


def summarise(sessions):
    traces = np.concatenate([session.traces.astype(np.float64) for session in sessions])
    behaviors = [session.behavior for session in sessions]
    return {
        "size": np.abs(traces).mean(),
        "sd": traces.std(),
        "session_sd": np.mean([session.traces.std(axis=0).mean() for session in sessions]),
        "correlation": correlations(sessions).mean(),
        "running": np.mean([behavior.is_running for behavior in behaviors]),
        "speed": np.mean([behavior.speed_cm_per_s for behavior in behaviors]),
    }


@pytest.mark.parametrize("size", sorted(FROZEN))
def test_the_default_cohort_is_frozen(size):
    """A change here changes every figure made from simulated mice: say so in the changelog."""
    assert summarise(simulate_all(size)) == pytest.approx(FROZEN[size], rel=1e-3)


def test_mice_run_as_published(sessions):
    for mouse, published in enumerate(RUN_FRACTIONS):
        own = [s.behavior.is_running.mean() for s in sessions[3 * mouse : 3 * mouse + 3]]
        assert abs(np.mean(own) - published) < 0.08


def test_one_component_is_shared_by_all_regions():
    shares = []
    for session in of_study_length():
        covariance = np.cov(session.traces.T)
        shares.append(np.linalg.eigvalsh(covariance)[-1] / np.trace(covariance))
    assert 0.4 < np.mean(shares) < 0.7


def test_correlation_does_not_point_to_the_limbs():
    r = correlations(simulate_all("small", 3))
    best = set((1 + np.argsort(-np.abs(r))[:8]).tolist())
    assert not best & set(LIMB_REGIONS)
    assert len(best & AROUSED_REGIONS) >= 5
    limbs = r[np.array(LIMB_REGIONS) - 1]
    assert 0.1 < limbs.min() < limbs.max() < 0.4


def test_without_signal_traces_do_not_follow_behaviour():
    assert np.abs(correlations(simulate_all(signal=0))).max() < 0.2
    mouse = simulate_mouse(1, 3, 0, resolve_dials({"signal": 0}))
    still = simulate_session(mouse, 0, 1000, 32, 0).physiology
    assert not still.blood.locomotion.any()
    assert not still.movement.blur.any()
    assert not still.body.heart.any()


def test_dials_of_the_cortex_leave_behaviour_as_it_is(sessions):
    mouse = simulate_mouse(2, 3, 0, resolve_dials({"signal": 0, "noise": 2}))
    quiet = simulate_session(mouse, 1, 3000, 64, 0)
    np.testing.assert_array_equal(
        quiet.behavior.speed_cm_per_s, sessions[4].behavior.speed_cm_per_s
    )


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_the_same_seed_gives_the_same_session(seed):
    drawn = []
    for _ in range(2):
        mouse = simulate_mouse(3, 3, seed, resolve_dials(None))
        drawn.append(simulate_session(mouse, 2, 1000, 32, seed).traces)
    np.testing.assert_array_equal(*drawn)


def test_mishaps_happen_where_they_are_asked_for():
    dials = resolve_dials({"unplugged_wheel": 1, "light_leak": 1, "interictal": 1})
    third, second = (simulate_mouse(number, 3, 0, dials) for number in (3, 2))
    assert not simulate_session(third, 1, 1000, 32, 0).behavior.is_running.any()
    assert simulate_session(third, 0, 1000, 32, 0).behavior.is_running.any()
    leaking = simulate_session(second, 1, 1000, 32, 0)
    assert leaking.physiology.leak.any()
    assert not simulate_session(second, 0, 1000, 32, 0).physiology.leak.any()
    calm = simulate_session(simulate_mouse(2, 3, 0, resolve_dials(None)), 0, 3000, 32, 0)
    struck = simulate_session(second, 0, 3000, 32, 0)
    gap = struck.physiology.calcium.mean(axis=1) - calm.physiology.calcium.mean(axis=1)
    assert gap.max() > 2


def test_frames_that_are_lost_are_lost_from_everything():
    dials = resolve_dials({"dropped_frames": 20, "missing_end": 1})
    session = simulate_session(simulate_mouse(1, 3, 0, dials), 0, 1000, 32, 0)
    n_frames = session.frames.size
    assert n_frames < 997
    assert session.traces.shape[0] == session.physiology.calcium.shape[0] == n_frames
    assert session.behavior.is_running.size == session.behavior_times.size == 1000


@given(st.integers(0, 1000))
def test_frames_are_lost_at_random_and_at_the_end(seed):
    rng = np.random.default_rng(seed)
    frames = recorded_frames(rng, 20_000, resolve_dials({"dropped_frames": 1, "missing_end": 1}))
    assert 0 < 20_000 - frames.size < 60
    assert frames[0] == 0
    assert np.all(np.diff(frames) >= 1)
    rng = np.random.default_rng(seed)
    cut = recorded_frames(rng, 100, resolve_dials({"missing_end": 1}))
    assert 97 <= cut.size <= 99
    assert cut[-1] == cut.size - 1


def test_clocks_differ_by_10_to_100_ppm():
    off = wheel_clock(np.random.default_rng(0), 18_001, 30.0, resolve_dials({"clock_drift": 1}))
    assert 10e-6 <= abs(off[-1] / 600 - 1) <= 100e-6
    exact = wheel_clock(np.random.default_rng(0), 18_001, 30.0, resolve_dials(None))
    assert exact[-1] == 600


def test_behaviour_is_what_it_was_when_it_was_sampled():
    behavior = simulate_behavior(np.random.default_rng(0), 1000, 30.0, 0.5)
    later = sample_behavior(behavior, np.arange(1000) / 30 + 0.1, 30.0)
    np.testing.assert_array_equal(later.speed_cm_per_s[:-3], behavior.speed_cm_per_s[3:])
    unplugged = unplug_wheel(np.random.default_rng(0), behavior)
    assert not unplugged.is_running.any()
    assert unplugged.speed_cm_per_s.std() == pytest.approx(0.1, rel=0.1)
    np.testing.assert_array_equal(unplugged.stride_phase, behavior.stride_phase)


def test_leaking_light_goes_on_and_off_and_discharges_are_brief():
    leak = light_leak(np.random.default_rng(0), 18_000, 30.0)
    assert 0.2 < np.mean(leak > 0) < 0.8
    assert leak.max() < 200
    events = interictal_events(np.random.default_rng(0), 18_000, 30.0)
    n_events = np.count_nonzero(np.diff((events > 0).astype(int)) == 1)
    assert 8 < n_events < 35
    assert events.max() == pytest.approx(4)
