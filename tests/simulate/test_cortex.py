"""Tests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter1d

from corticode.data.layouts.study2024 import read_published_regions
from corticode.simulate.behavior import SimulatedBehavior, simulate_behavior
from corticode.simulate.cortex import (
    LIMB_REGIONS,
    SOURCES,
    SPREAD_SHARES,
    grooming_rate,
    make_weights,
    private_noise,
    simulate_calcium,
    simulate_sources,
    typical_weights,
)
from corticode.simulate.dials import resolve_dials

TYPICAL = resolve_dials(None)
# Sources of limbs, of strides that spread and of arousal; then what all regions share.
SIGNAL, SHARES = slice(0, 8), slice(8, 11)
MOTOR = SOURCES.index("arousal, motor")


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
    # Pauses cut strides short, here and there.
    assert abs(difference.mean()) < 0.1 * difference.std()
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


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_calcium_is_the_sum_of_sources_noise_and_drift(seed):
    behavior = simulate_behavior(np.random.default_rng(seed), 1000, 30.0, 0.5)
    drive, spread = sources(behavior, seed), typical_weights()
    rng = np.random.default_rng(seed)
    quiet = simulate_calcium(rng, drive, spread, 30.0, noise=0.0, drift=0.0)
    assert quiet.dtype == np.float32
    np.testing.assert_allclose(quiet, drive @ spread, rtol=1e-4, atol=1e-4)


def weights(seed=0, *, one_sided=False, **dials):
    rng = np.random.default_rng(seed)
    return make_weights(rng, resolve_dials(dials), one_sided=one_sided)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.01, 5))
def test_the_signal_s_dial_scales_all_that_follows_behaviour(seed, amount):
    np.testing.assert_allclose(weights(seed, signal=amount)[SIGNAL], amount * weights(seed)[SIGNAL])
    np.testing.assert_array_equal(weights(seed, signal=amount)[SHARES], weights(seed)[SHARES])


def test_limb_weights_are_small_alike_and_strongest_in_the_limb_regions():
    typical = typical_weights()
    limbs, arousal = typical[:2].sum(axis=0), typical[5:8].sum(axis=0)
    strongest = 1 + np.argsort(-limbs)[:4]
    assert set(strongest.tolist()) == set(LIMB_REGIONS)
    assert limbs.max() < 2 < arousal.max()
    first, second = (weights(seed)[:2] for seed in (1, 2))
    held = first > 0.5
    assert np.abs(np.log(first[held] / second[held])).max() < 0.3


def test_strides_spread_to_all_regions_but_the_limbs_each_in_one_group():
    spread = typical_weights()[2:5]
    limb = np.isin(np.arange(1, 51), LIMB_REGIONS)
    np.testing.assert_array_equal((spread != 0).sum(axis=0), np.where(limb, 0, 1))
    left = np.array(read_published_regions().sides) == "left"
    assert (spread[:, left & ~limb].sum(axis=0) > 0).all()
    assert (spread[:, ~left & ~limb].sum(axis=0) < 0).all()


def test_the_gain_of_arousal_and_noise_differ_between_mice_unless_switched_off():
    gains = [weights(seed)[MOTOR, 0] for seed in range(8)]
    assert max(gains) / min(gains) > 1.5
    assert len({weights(seed, mouse_gain=0)[MOTOR, 0] for seed in range(8)}) == 1
    rates = {grooming_rate(np.random.default_rng(seed), TYPICAL) for seed in range(8)}
    assert 0.5 < min(rates) < max(rates) < 8
    assert grooming_rate(np.random.default_rng(0), resolve_dials({"grooming": 0})) == 0
    noises = {private_noise(np.random.default_rng(seed), TYPICAL) for seed in range(8)}
    assert 0.6 < min(noises) < max(noises) < 1.7
    assert private_noise(np.random.default_rng(0), resolve_dials({"mouse_gain": 0})) == 1


@pytest.mark.parametrize(
    ("dials", "kinds"),
    [
        ({}, {"limb", "spread", "arousal", "shared"}),
        ({"signal": 0}, {"shared"}),
        ({"limb": 0}, {"arousal", "shared"}),
        ({"spread": 0}, {"limb", "arousal", "shared"}),
        ({"arousal": 0}, {"limb", "spread", "shared"}),
        ({"shared": 0}, {"limb", "spread", "arousal"}),
        ({"redundant": 1}, {"shared", "redundant"}),
        ({"nonlinear": 1}, {"shared", "product"}),
    ],
)
def test_each_dial_leaves_its_sources(dials, kinds):
    spread = weights(**dials)
    left = {source.split(",")[0] for k, source in enumerate(SOURCES) if spread[k].any()}
    assert left == kinds


def test_a_one_sided_mouse_has_no_signal_on_the_right():
    spread = weights(one_sided=True)
    right = np.array(read_published_regions().sides) == "right"
    assert not spread[SIGNAL, right].any()
    assert spread[SIGNAL, ~right].any()
    assert spread[SHARES.start, right].all()
