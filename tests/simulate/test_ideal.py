import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from corticode.simulate.dials import resolve_dials
from corticode.simulate.ideal import (
    area_under_curve,
    fit_discriminant,
    ideal_decoder,
    inner_frames,
    known_patterns,
    region_weights,
    window_features,
)
from corticode.simulate.session import simulate_mouse, simulate_session


def test_windows_hold_eleven_lags_of_each_pattern_and_of_the_product():
    rng = np.random.default_rng(0)
    traces = rng.normal(size=(2000, 50)).astype(np.float32)
    known = np.zeros((2, 50))
    known[0, 3], known[1, 5] = 1.0, 2.0
    features = window_features(traces, known)
    assert features.shape == (1970, 3 * 11 + 5)
    # Far from the ends, the sixth lag of the first pattern is the mean of three frames about the
    # centre, less that of a thousand.
    frame = 1000
    expected = traces[frame - 1 : frame + 2, 3].mean() - traces[500:1500, 3].mean()
    assert features[frame - 15, 5] == pytest.approx(expected, abs=0.01)


@given(st.integers(0, 1000))
def test_the_score_is_the_area_under_the_roc_curve(seed):
    rng = np.random.default_rng(seed)
    is_running = rng.random(200) < 0.5
    scores = rng.integers(0, 20, 200).astype(float)
    expected = roc_auc_score(is_running, scores)
    assert area_under_curve(is_running, scores) == pytest.approx(expected)
    assert np.isnan(area_under_curve(np.ones(3, bool), np.arange(3.0)))


def test_a_discriminant_weighs_what_differs_by_what_scatters():
    rng = np.random.default_rng(0)
    is_running = rng.random(20_000) < 0.5
    features = rng.normal(size=(20_000, 3)) * [1.0, 2.0, 0.0] + np.outer(is_running, [1, 2, 0])
    weights = fit_discriminant(features, is_running)
    np.testing.assert_allclose(weights, [1.0, 0.5, 0.0], atol=0.05)


@pytest.mark.parametrize(
    ("dials", "low", "high"),
    [({}, 0.95, 1.0), ({"nonlinear": 2}, 0.8, 1.0), ({"signal": 0}, 0.3, 0.7)],
)
def test_the_ceiling_is_as_high_as_what_was_planted(dials, low, high):
    mouse = simulate_mouse(1, 3, 0, resolve_dials(dials))
    decoder = ideal_decoder(mouse, 0, 32)
    session = simulate_session(mouse, 0, 3000, 32, 0)
    label = inner_frames(session.behavior.is_running)
    assert low < area_under_curve(label, decoder(session.traces)) <= high


def test_traces_carry_the_weights_of_their_region_and_a_little_of_its_neighbours():
    mouse = simulate_mouse(1, 3, 0, resolve_dials(None))
    scene = simulate_session(mouse, 0, 1000, 64, 0).scene
    mixed = region_weights(mouse, scene)
    correlation = [np.corrcoef(mixed[k], mouse.weights[k])[0, 1] for k in range(8)]
    assert min(correlation) > 0.9
    known = known_patterns(mouse, scene)
    assert known.shape[1] == 50
    assert known.any(axis=1).all()
