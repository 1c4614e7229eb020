import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.synthetic.activity import (
    DIALS,
    LIMB_REGIONS,
    SOURCES,
    make_mouse,
    resolve_dials,
    simulate_sources,
    simulate_traces,
    typical_weights,
)
from corticode.data.synthetic.behavior import SimulatedBehavior, simulate_behavior
from corticode.errors import StudyError


def one_bout(start=600, end=780, n_frames=1200):
    """One run of 6 s, without strides."""
    running = np.zeros(n_frames, dtype=bool)
    running[start:end] = True
    # cos is 0 there, so that the limb sources hold running and its onset alone.
    return SimulatedBehavior(running, 10.0 * running, np.full(n_frames, np.pi / 2))


def mouse(seed=0, **dials):
    return make_mouse(np.random.default_rng(seed), resolve_dials(dials))


def test_limbs_follow_running_fast_and_arousal_leads_it():
    sources = simulate_sources(np.random.default_rng(0), one_bout(), 30.0)
    limb = sources[:, SOURCES.index("limb, left")]
    assert np.all(limb[:600] == 0)
    # After t = 0.6 s the indicator (rise 0.1 s, decay 0.4 s) shows of running
    # 1 - (0.4 exp(-t/0.4) - 0.1 exp(-t/0.1)) / 0.3 = 0.70 and of its onset, 2 exp(-t/0.5),
    # 2 [(exp(-2t) - exp(-2.5t)) / 0.5 - (exp(-2t) - exp(-10t)) / 8] / 0.3 = 0.79.
    assert limb[618] == pytest.approx(1.49, abs=0.03)
    assert limb[750] == pytest.approx(1.0, abs=0.01)
    assert limb[780 + 45] < 0.05
    quiet = one_bout()
    rng = np.random.default_rng(4)
    arousal = [
        simulate_sources(rng, quiet, 30.0)[:, SOURCES.index("arousal, motor")] for _ in range(20)
    ]
    middle = np.median(arousal, axis=0)
    assert middle[599] > middle[550] + 0.1
    assert middle[780] > 0.5
    assert middle[840] > 0.2


def test_left_and_right_limbs_stride_in_turn():
    behavior = simulate_behavior(np.random.default_rng(5), 6000, 30.0, 0.8)
    sources = simulate_sources(np.random.default_rng(5), behavior, 30.0)
    difference = sources[:, 0] - sources[:, 1]
    assert abs(difference.mean()) < 0.02
    assert difference[behavior.is_running].std() > 0.01


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_traces_are_the_sum_of_sources_and_noise(seed):
    behavior = simulate_behavior(np.random.default_rng(seed), 1000, 30.0, 0.5)
    sources = simulate_sources(np.random.default_rng(seed), behavior, 30.0)
    cortex = mouse(seed, noise=0, drift=0)
    traces = simulate_traces(np.random.default_rng(seed), cortex, sources, 30.0)
    assert traces.dtype == np.float32
    np.testing.assert_allclose(traces, sources @ cortex.weights, rtol=1e-5, atol=1e-5)


def test_limb_weights_are_small_alike_and_in_the_limb_regions_alone():
    weights = typical_weights()
    limbs = weights[0] + weights[1]
    arousal = weights[2:5].sum(axis=0)
    strongest = 1 + np.argsort(-limbs)[:4]
    assert set(strongest.tolist()) == set(LIMB_REGIONS)
    assert limbs.max() < 2 < arousal.max()
    first, second = (mouse(seed).weights[:2] for seed in (1, 2))
    held = first > 0.5
    assert np.abs(np.log(first[held] / second[held])).max() < 0.3


def test_the_gain_of_arousal_differs_between_mice_unless_switched_off():
    gains = [mouse(seed).weights[2, 0] for seed in range(8)]
    alike = [mouse(seed, mouse_gain=0).weights[2, 0] for seed in range(8)]
    assert max(gains) / min(gains) > 1.5
    assert len(set(alike)) == 1


@pytest.mark.parametrize("dial", sorted(DIALS))
def test_each_dial_switches_its_part_off(dial):
    cortex = mouse(**{dial: 0})
    kinds = {source: source.split(",")[0] for source in SOURCES}
    off = {"signal": ("limb", "arousal"), "drift": ("bleaching",)}.get(dial, (dial,))
    for k, source in enumerate(SOURCES):
        assert cortex.weights[k].any() == (kinds[source] not in off)
    assert (cortex.noise == 0) == (dial == "noise")
    assert (cortex.drift == 0) == (dial == "drift")


def test_dials_that_cannot_be_turned_are_refused():
    with pytest.raises(StudyError, match=r"no dial 'limbs'; dials are signal, limb.*'limb'\?"):
        resolve_dials({"limbs": 1})
    with pytest.raises(StudyError, match="dial 'noise' is -1; it must be 0"):
        resolve_dials({"noise": -1})
    with pytest.raises(StudyError, match="dial 'noise' is nan"):
        resolve_dials({"noise": float("nan")})
