import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter1d

from corticode.simulate.activity import (
    SPREAD_SHARES,
    simulate_calcium,
    simulate_sources,
)
from corticode.simulate.behavior import SimulatedBehavior, simulate_behavior
from corticode.simulate.dials import resolve_dials
from corticode.simulate.weights import SOURCES, typical_weights


def one_bout(start=600, end=780, n_frames=1200):
    """One run of 6 s, without strides."""
    running = np.zeros(n_frames, dtype=bool)
    running[start:end] = True
    # cos is 0 there, so that the limb sources hold running and its onset alone.
    return SimulatedBehavior(running, 10.0 * running, np.full(n_frames, np.pi / 2))


def sources(behavior, seed=0, **dials):
    rng, values = np.random.default_rng(seed), resolve_dials(dials)
    return simulate_sources(rng, behavior, 30.0, values)


def test_limbs_follow_running_fast_and_arousal_leads_it():
    limb = sources(one_bout())[:, SOURCES.index("limb, left")]
    assert np.all(limb[:600] == 0)
    # After t = 0.6 s the indicator (rise 0.1 s, decay 0.4 s) shows of running
    # 1 - (0.4 exp(-t/0.4) - 0.1 exp(-t/0.1)) / 0.3 = 0.70 and of its onset, 2 exp(-t/0.5),
    # 2 [(exp(-2t) - exp(-2.5t)) / 0.5 - (exp(-2t) - exp(-10t)) / 8] / 0.3 = 0.79.
    assert limb[618] == pytest.approx(1.49, abs=0.03)
    assert limb[750] == pytest.approx(1.0, abs=0.01)
    assert limb[780 + 45] < 0.05
    motor = SOURCES.index("arousal, motor")
    middle = np.median([sources(one_bout(), seed)[:, motor] for seed in range(20)], axis=0)
    assert middle[599] > middle[550] + 0.1
    assert middle[780] > 0.45
    assert middle[820] > 0.1


@pytest.mark.parametrize("lag_s", [-0.3, 0.3])
def test_a_planted_lag_shifts_what_follows_behaviour(lag_s):
    limb = SOURCES.index("limb, left")
    at_once, later = sources(one_bout())[:, limb], sources(one_bout(), lag_s=lag_s)[:, limb]
    np.testing.assert_allclose(np.roll(at_once, round(30 * lag_s))[50:-50], later[50:-50])


def test_the_indicator_s_dial_scales_its_times():
    limb = SOURCES.index("limb, left")
    quick, slow = (sources(one_bout(), indicator=k)[:, limb] for k in (0, 2.5))
    assert quick[600] > 2
    assert slow[610] < sources(one_bout())[610, limb] < quick[610]


def test_left_and_right_limbs_stride_in_turn():
    behavior = simulate_behavior(np.random.default_rng(5), 6000, 30.0, 0.4)
    limbs = sources(behavior, 5)[:, :2]
    difference = limbs[:, 0] - limbs[:, 1]
    assert abs(difference.mean()) < 0.02
    moving = difference[behavior.is_running].std()
    assert moving > 0.3
    # The indicator shows a run for a while after its end.
    ran_lately = maximum_filter1d(behavior.is_running, 121)
    assert difference[~ran_lately].std() < 0.3 * moving


def test_strides_spread_in_stretches_that_each_group_has_for_itself():
    n_frames = 300_000
    phase = 2 * np.pi * 3 * np.arange(n_frames) / 30
    always = SimulatedBehavior(np.ones(n_frames, bool), np.full(n_frames, 10.0), phase)
    drive = sources(always)
    spread = [drive[:, SOURCES.index(name)] for name in SPREAD_SHARES]
    # Their SD over a stride of ten frames, against what it is within a stretch.
    sizes = [part.reshape(-1, 10).std(axis=1) for part in spread]
    spreads = np.array([size > 0.5 * np.quantile(size, 0.9) for size in sizes])
    np.testing.assert_allclose(spreads.mean(axis=1), [*SPREAD_SHARES.values()], atol=0.06)
    changes = np.abs(np.diff(spreads.astype(int), axis=1)).sum(axis=1)
    assert (changes < 2 * n_frames / 30 / 6).all()
    assert np.abs(np.corrcoef(spreads)[np.triu_indices(3, 1)]).max() < 0.15


def test_strides_do_not_spread_at_rest():
    still = one_bout(0, 0)
    assert not sources(still)[:, [SOURCES.index(name) for name in SPREAD_SHARES]].any()


def test_a_product_tells_running_though_neither_factor_does():
    behavior = simulate_behavior(np.random.default_rng(6), 60_000, 30.0, 0.5)
    first, second = sources(behavior, 6)[:, -2:].T
    label = behavior.is_running
    assert max(abs(np.corrcoef(part, label)[0, 1]) for part in (first, second)) < 0.1
    assert np.corrcoef(first * second, label)[0, 1] > 0.7


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_calcium_is_the_sum_of_sources_noise_and_drift(seed):
    behavior = simulate_behavior(np.random.default_rng(seed), 1000, 30.0, 0.5)
    drive, spread = sources(behavior, seed), typical_weights()
    rng = np.random.default_rng(seed)
    quiet = simulate_calcium(rng, drive, spread, 30.0, noise=0.0, drift=0.0)
    assert quiet.dtype == np.float32
    np.testing.assert_allclose(quiet, drive @ spread, rtol=1e-4, atol=1e-4)
