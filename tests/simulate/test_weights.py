import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.layouts.study2024 import read_published_regions
from corticode.simulate.dials import resolve_dials
from corticode.simulate.weights import (
    LIMB_REGIONS,
    SOURCES,
    grooming_rate,
    make_weights,
    private_noise,
    typical_weights,
)

TYPICAL = resolve_dials(None)
# Sources of limbs, of strides that spread and of arousal; then what all regions share.
SIGNAL, SHARES = slice(0, 8), slice(8, 11)
MOTOR = SOURCES.index("arousal, motor")


def weights(seed=0, *, one_sided=False, **dials):
    rng = np.random.default_rng(seed)
    return make_weights(rng, resolve_dials(dials), one_sided=one_sided)


@settings(max_examples=20, deadline=None)
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
