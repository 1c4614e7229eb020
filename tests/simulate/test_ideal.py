"""Tests."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from corticode.data.layouts.study2024 import import_study2024
from corticode.run.folder import Run
from corticode.simulate.cohort import simulate_cohort
from corticode.simulate.cortex import LIMB_REGIONS
from corticode.simulate.dials import resolve_dials
from corticode.simulate.ideal import (
    RHYTHMS_HZ,
    area_under_curve,
    ceiling,
    fit_least_squares,
    ideal_decoder,
    inner_frames,
    known_patterns,
    matched_filters,
    region_weights,
    window_features,
)
from corticode.simulate.session import simulate_mouse, simulate_session

TWO_FOLDS = """
preset = "code"
[data]
catalogue = "sessions.csv"
regions = "regions.csv"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m1"]
[[condition]]
name = "decoder"
"""
RIDGE = 'network = { kind = "linear-window" }\ntraining = { penalty = [0.01] }\n'
GRU = """regions = ["FLa&HLa"]
network = { kind = "gru", units = 16 }
training = { epochs = 4, batch_size = 64, learning_rate = 0.01 }
"""


def test_windows_hold_eleven_lags_of_each_pattern_and_of_the_product():
    rng = np.random.default_rng(0)
    traces = rng.normal(size=(2000, 50)).astype(np.float32)
    known = np.zeros((2, 50))
    known[0, 3], known[1, 5] = 1.0, 2.0
    features = window_features(traces, known, known)
    assert features.shape == (1970, 3 * 11 + 4 * 2 * len(RHYTHMS_HZ))
    # Far from the ends, the sixth lag of the first pattern is the mean of three frames about the
    # centre, less that of a thousand.
    frame = 1000
    expected = traces[frame - 1 : frame + 2, 3].mean() - traces[500:1500, 3].mean()
    assert features[frame - 15, 5] == pytest.approx(expected, abs=0.01)
    np.testing.assert_array_equal(window_features(traces, known, known, 7), features[::7])


def test_a_rhythm_is_found_at_its_pace_in_its_pattern_whatever_its_phase():
    seconds = np.arange(300) / 30
    pattern = np.eye(2, 50, 4)
    heights = []
    for phase in (0.0, 1.0, 2.0):
        traces = np.outer(np.cos(2 * np.pi * 3 * seconds + phase), pattern[0]).astype(np.float32)
        found = window_features(traces, pattern, pattern)[100, 33 : 33 + 2 * len(RHYTHMS_HZ)]
        first, second = found.reshape(2, -1)
        assert RHYTHMS_HZ[first.argmax()] == 3
        assert second.max() == pytest.approx(0, abs=1e-5)
        heights.append(first.max())
    assert max(heights) / min(heights) < 1.1


@given(st.integers(0, 1000))
def test_the_score_is_the_area_under_the_roc_curve(seed):
    rng = np.random.default_rng(seed)
    is_running = rng.random(200) < 0.5
    scores = rng.integers(0, 20, 200).astype(float)
    expected = roc_auc_score(is_running, scores)
    assert area_under_curve(is_running, scores) == pytest.approx(expected)
    assert np.isnan(area_under_curve(np.ones(3, bool), np.arange(3.0)))


def test_least_squares_weigh_what_differs_by_what_scatters():
    rng = np.random.default_rng(0)
    is_running = rng.random(20_000) < 0.5
    features = rng.normal(size=(20_000, 3)) * [1.0, 2.0, 0.0] + np.outer(is_running, [1, 2, 0])
    weights = fit_least_squares(features.astype(np.float32), is_running.astype(float))
    np.testing.assert_allclose(weights / weights[0], [1.0, 0.5, 0.0], atol=0.05)


def test_a_matched_filter_leaves_out_what_scatters_along_with_its_pattern():
    rng = np.random.default_rng(0)
    # The second region shares the first one's noise, and none of its signal.
    noise = rng.normal(size=20_000)
    traces = np.column_stack([noise, noise + 0.01 * rng.normal(size=20_000), np.zeros(20_000)])
    known = np.array([[1.0, 0.0, 0.0]])
    (weights,) = matched_filters(traces.astype(np.float32), np.zeros(20_000, bool), known)
    assert weights[0] == pytest.approx(-weights[1], rel=0.01)
    assert weights[2] == 0


@pytest.mark.parametrize(
    ("dials", "low", "high"),
    [({}, 0.95, 1.0), ({"nonlinear": 2}, 0.8, 1.0), ({"signal": 0}, 0.3, 0.7)],
)
def test_a_score_is_as_high_as_what_was_planted(dials, low, high, long_draw_frames, monkeypatch):
    monkeypatch.setattr("corticode.simulate.ideal.LONG_DRAW_FRAMES", long_draw_frames)
    mouse = simulate_mouse(1, 3, 0, resolve_dials(dials))
    decoder = ideal_decoder(mouse, 0, 32)
    session = simulate_session(mouse, 0, 3000, 32, 0)
    label = inner_frames(session.behavior.is_running)
    score = decoder(session.traces)
    assert low < area_under_curve(label, score) <= high
    told = ceiling(label, inner_frames(session.is_grooming), score)
    assert area_under_curve(label, score) <= told <= 1


def test_fewer_regions_tell_less_and_unseen_ones_nothing():
    mouse = simulate_mouse(1, 3, 0, resolve_dials(None))
    session = simulate_session(mouse, 0, 3000, 32, 0)
    decoder = ideal_decoder(mouse, 0, 32, regions=[1, 26])
    changed = session.traces.copy()
    changed[:, np.array(LIMB_REGIONS) - 1] = 7
    np.testing.assert_array_equal(decoder(session.traces), decoder(changed))
    label = inner_frames(session.behavior.is_running)
    every = ideal_decoder(mouse, 0, 32)
    few, all_regions = (area_under_curve(label, d(session.traces)) for d in (decoder, every))
    assert few < all_regions


def test_speed_is_read_in_cm_per_s_and_hardly_within_running():
    mouse = simulate_mouse(1, 3, 0, resolve_dials(None))
    decoder = ideal_decoder(mouse, 0, 32, speed=True)
    session = simulate_session(mouse, 0, 9000, 32, 0)
    speed, is_running = map(
        inner_frames, (session.behavior.speed_cm_per_s, session.behavior.is_running)
    )
    read = decoder(session.traces)
    explained = 1 - np.mean((speed - read) ** 2) / speed.var()
    assert 0.2 < explained < 0.7
    assert np.corrcoef(read[is_running], speed[is_running])[0, 1] < 0.75


def test_traces_carry_the_weights_of_their_region_and_a_little_of_its_neighbours():
    mouse = simulate_mouse(1, 3, 0, resolve_dials(None))
    scene = simulate_session(mouse, 0, 1000, 64, 0).scene
    mixed = region_weights(mouse, scene)
    correlation = [np.corrcoef(mixed[k], mouse.weights[k])[0, 1] for k in range(8)]
    assert min(correlation) > 0.9
    known = known_patterns(mouse, scene)
    assert known.shape[1] == 50
    assert known.any(axis=1).all()


@pytest.mark.parametrize(
    "keys", [pytest.param(RIDGE, id="ridge"), pytest.param(GRU, id="gru", marks=pytest.mark.study)]
)
def test_no_decoder_reads_a_mouse_above_its_ceiling(keys, tmp_path, run_inline):
    simulate_cohort(tmp_path / "cohort", seed=4)
    truth = json.loads((tmp_path / "cohort" / "truth.json").read_text("utf-8"))
    import_study2024(tmp_path / "cohort", tmp_path)
    (tmp_path / "study.toml").write_text(TWO_FOLDS + keys, "utf-8")
    run_inline(tmp_path, tmp_path / "run")
    scores = Run(tmp_path / "run").read_table("animal_scores")
    assert sorted(scores["animal"]) == ["m1", "m2"]
    for row in scores.itertuples():
        assert 0.6 < row.value <= truth["animals"][row.animal]["ideal_auc"] < 1
