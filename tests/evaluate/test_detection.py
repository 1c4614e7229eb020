"""Tests."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.decode.predictions import Predictions
from corticode.errors import DataError
from corticode.evaluate.detection import (
    auc_around_onset,
    calibrate,
    calibrate_by_animal,
    detect_by_animal,
    first_crossings,
    onsets_after_rest,
    rest_threshold,
    steady_rest,
)
from corticode.evaluate.metrics import best_threshold, binary_scores

RATE = 10.0


def said(valid, test, *, animal="m1", frames=None, **changes):
    """Predictions of one validation and one test session: pairs of target and score."""
    target, score = (np.concatenate([valid[k], test[k]]).astype(np.float32) for k in (0, 1))
    sizes = [len(valid[0]), len(test[0])]
    frame = [np.arange(n) for n in sizes] if frames is None else frames
    columns = {
        "part": np.repeat([1, 2], sizes).astype(np.int8),
        "animal": np.repeat([1, 0], sizes).astype(np.int16),
        "session": np.zeros(sum(sizes), np.int16),
        "frame": np.concatenate(frame).astype(np.int32),
        "target": target,
        "score": score,
        "kind": "binary",
        "animal_names": (animal, "valid"),
        "session_names": ("a",),
        "frame_rate_hz": RATE,
    }
    return Predictions(**(columns | changes))


def bouts_of(*lengths):
    """Rest and running in turn, so many frames each."""
    return np.concatenate([np.full(n, k % 2, np.float64) for k, n in enumerate(lengths)])


@pytest.fixture
def valid():
    """100 frames of steady rest (20 are near a change) whose scores are 0.00, 0.01, ..."""
    target = bouts_of(120, 30)
    score = np.concatenate([np.arange(100) / 100, np.ones(50)])
    return target, score


class TestThreshold:
    def test_at_most_five_of_a_hundred_frames_of_rest_lie_above(self, valid):
        # Steady rest are frames 20 to 99: 80 frames, of which 4 may lie above.
        threshold = rest_threshold(said(valid, valid).of_part("valid"))
        assert threshold == pytest.approx(0.95)
        above = valid[1][steady_rest(valid[0], 20)] > threshold + 1e-6
        assert above.sum() == 4

    def test_ties_let_fewer_pass(self, valid):
        score = np.where(valid[1] > 0.5, 1.0, 0.0)
        assert rest_threshold(said((valid[0], score), valid).of_part("valid")) == 1.0

    def test_no_rest(self, valid):
        running = (np.ones(60), np.ones(60))
        assert np.isnan(rest_threshold(said(running, valid).of_part("valid")))
        row = detect_by_animal([said(running, valid)]).iloc[0]
        assert (row["n_decoders"], row["rest_min"]) == (0, 0)
        assert row["note"].startswith("no threshold: the validation part has no rest")

    def test_what_it_needs(self, valid):
        with pytest.raises(DataError, match="no frame rate is known"):
            detect_by_animal([said(valid, valid, frame_rate_hz=None)])
        with pytest.raises(DataError, match="target is of kind 'value'"):
            detect_by_animal([said(valid, valid, kind="value")])
        with pytest.raises(DataError, match="no predictions were given"):
            detect_by_animal([])


class TestDetection:
    def test_by_hand(self, valid):
        # Rest 100, running 40, rest 100, running 40: onsets at 100 and 240, the bouts are long.
        target = bouts_of(100, 40, 100, 40, 5)
        score = np.zeros(target.size)
        # Two alarms of 3 and 1 frames in the 60 + 60 frames of steady rest.
        score[[30, 31, 32, 50]] = 1
        # The first onset is found after 7 frames, the second never.
        score[107:120] = 1
        # After the two seconds nothing counts.
        score[265:] = 1
        row = detect_by_animal([said(valid, (target, score))]).iloc[0]
        assert row["rest_min"] == pytest.approx(120 / RATE / 60)
        assert row["false_alarms_per_min"] == pytest.approx(2 / (120 / RATE / 60))
        assert np.isnan(row["upper_limit_per_min"])
        assert row["rest_above"] == pytest.approx(4 / 120)
        assert (row["n_onsets"], row["detected"]) == (2, 0.5)
        # Half are missed, so that the middle lies between 0.7 s and later than 2 s.
        assert row["median_latency_s"] == np.inf
        # Six stretches of 20 frames; alarms are in the first (30 to 32) and the second (50).
        assert row["detected_by_chance"] == pytest.approx(2 / 6)
        assert row["above_at_onset"] == 0

    def test_misses_are_later_than_all_that_are_found(self, valid):
        target = np.tile(bouts_of(50, 30), 3)
        score = np.zeros(target.size)
        for onset, late in ((50, 4), (130, 0)):
            score[onset + late : onset + 30] = 1
        row = detect_by_animal([said(valid, (target, score))]).iloc[0]
        assert row["n_onsets"] == 3
        assert row["detected"] == pytest.approx(2 / 3)
        assert row["median_latency_s"] == pytest.approx(0.4)
        assert row["above_at_onset"] == pytest.approx(1 / 3)

    def test_without_an_alarm_there_is_an_upper_limit(self, valid):
        target = bouts_of(640, 30)
        row = detect_by_animal([said(valid, (target, np.zeros(670)))]).iloc[0]
        assert row["false_alarms_per_min"] == 0
        assert row["rest_min"] == pytest.approx(1.0)
        assert row["upper_limit_per_min"] == pytest.approx(3.0)

    def test_decoders_of_the_same_windows_are_averaged_and_counted_once(self, valid):
        target = bouts_of(640, 30)
        loud = np.where(np.arange(670) % 100 == 50, 1.0, 0.0)
        both = [said(valid, (target, score)) for score in (loud, np.zeros(670))]
        row = detect_by_animal(both).iloc[0]
        # Alarms at 50, 150, ..., 550: six in the one minute of one decoder, none in the other's.
        assert row["false_alarms_per_min"] == pytest.approx(3.0)
        assert (row["rest_min"], row["n_onsets"], row["n_decoders"]) == (1.0, 1, 2)
        assert np.isnan(row["upper_limit_per_min"])

    def test_parts_of_one_session_are_added(self, valid):
        target = np.tile(bouts_of(100, 30), 4)
        parts = [np.arange(0, 260), np.arange(260, 520)]
        several = [
            said(valid, (target[part], np.zeros(260)), frames=[np.arange(150), part])
            for part in parts
        ]
        found = detect_by_animal(several, new_animals=False)
        row = found.iloc[0]
        assert len(found) == 1
        assert row["n_onsets"] == 4
        assert row["rest_min"] == pytest.approx(4 * 60 / RATE / 60)

    def test_the_worst_of_the_animals_bounds_a_new_one(self, valid):
        target = bouts_of(640, 30)
        loud = np.where(np.arange(670) % 100 == 50, 1.0, 0.0)
        found_late = np.concatenate([np.zeros(645), np.ones(25)])
        several = [
            said(valid, (target, score), animal=animal)
            for animal, score in (("m1", loud), ("m2", found_late), ("m3", np.zeros(670)))
        ]
        worst = detect_by_animal(several, window_ahead_s=0.5).iloc[-1]
        assert worst["animal"] == "cohort"
        assert worst["false_alarms_per_min"] == pytest.approx(6.0)
        assert (worst["detected"], worst["median_latency_s"]) == (0, np.inf)
        assert worst["note"] == (
            "the worst of 3 animals; with 3 exchangeable animals it bounds a new one with "
            "probability 3/4"
        )
        assert worst["window_ahead_s"] == 0.5
        silent = detect_by_animal([several[1], several[2]]).iloc[-1]
        assert silent["upper_limit_per_min"] == pytest.approx(3.0)
        assert len(detect_by_animal(several, new_animals=False)) == 3

    def test_a_bound_by_five_holds_in_five_of_six(self):
        rng = np.random.default_rng(0)
        rates = rng.lognormal(size=(4000, 6))
        held = (rates[:, 5] <= rates[:, :5].max(axis=1)).mean()
        assert held == pytest.approx(5 / 6, abs=0.02)

    def test_a_gap_in_time_ends_rest(self):
        target = bouts_of(100, 30)
        target[50] = np.nan
        assert steady_rest(target, 20).nonzero()[0].tolist() == [*range(20, 30), *range(71, 80)]
        target[99] = np.nan
        assert onsets_after_rest(target, 20).size == 0

    def test_frames_without_a_window_are_no_crossing(self):
        score = np.array([0, np.nan, 1.0])
        assert first_crossings(score, np.array([0]), 0.5, 2).tolist() == [np.inf]


class TestCalibration:
    def test_what_was_planted_is_found(self):
        rng = np.random.default_rng(1)
        z = rng.normal(size=40_000)
        target = (rng.random(40_000) < 1 / (1 + np.exp(-(0.5 + 0.5 * z)))).astype(float)
        # Said twice as extreme as it is.
        slope = calibrate(target, 1 / (1 + np.exp(-z)))[1]
        assert slope == pytest.approx(0.5, abs=0.05)
        target = (rng.random(40_000) < 1 / (1 + np.exp(-(z - 1)))).astype(float)
        intercept, slope = calibrate(target, 1 / (1 + np.exp(-z)))
        assert (intercept, slope) == (pytest.approx(-1, abs=0.05), pytest.approx(1, abs=0.05))

    def test_as_scikit_learn_has_it(self):
        linear_model = pytest.importorskip("sklearn.linear_model")
        rng = np.random.default_rng(2)
        score = rng.random(500)
        target = (rng.random(500) < score**2).astype(float)
        logit = np.log(score / (1 - score))[:, None]
        fitted = linear_model.LogisticRegression(C=np.inf, tol=1e-8).fit(logit, target)
        assert calibrate(target, score)[1] == pytest.approx(fitted.coef_[0, 0], rel=1e-3)

    @settings(max_examples=30)
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 10)), min_size=2, max_size=30))
    def test_whatever_is_given_ends(self, pairs):
        target, score = np.array(pairs, np.float64).T
        intercept, slope = calibrate(target, score / 10)
        if len(set(target)) < 2:
            assert np.isnan([intercept, slope]).all()
        else:
            p = np.clip(score / 10, 1e-6, 1 - 1e-6)
            z = np.log(p / (1 - p)) + intercept
            # With the intercept as many are said as there are.
            assert np.mean(1 / (1 + np.exp(-z))) == pytest.approx(target.mean(), abs=1e-3)

    def test_no_slope_separates_perfectly(self):
        target = np.array([0, 0, 1, 1.0])
        assert np.isnan(calibrate(target, np.array([0.1, 0.2, 0.8, 0.9]))[1])
        assert np.isnan(calibrate(target, np.full(4, 0.5))[1])
        assert np.isnan(calibrate(np.full(4, np.nan), target)).all()

    def test_by_animal_by_hand(self):
        valid = (np.array([0, 0, 1, 1.0]), np.array([0.1, 0.2, 0.3, 0.4]))
        test = (np.array([0, 0, 1, 1, 1.0]), np.array([0.1, 0.3, 0.35, 0.9, 0.2]))
        row = calibrate_by_animal([[said(valid, test)]]).iloc[0]
        assert row["base_rate"] == 0.6
        assert row["brier"] == pytest.approx(np.mean((test[1] - test[0]) ** 2))
        assert row["brier_skill"] == pytest.approx(1 - row["brier"] / 0.24)
        # 0.25 on the validation part: 1 of 2 and 2 of 3 right; the best is above 0.3: 2/2, 2/3.
        assert row["threshold_carried"] == pytest.approx(0.25)
        assert row["balanced_accuracy_carried"] == pytest.approx((1 / 2 + 2 / 3) / 2)
        assert row["balanced_accuracy_best"] == pytest.approx((1 + 2 / 3) / 2)
        assert row["lost"] == pytest.approx(1 / 4)

    def test_parts_of_one_animal_are_one_decoder(self):
        rng = np.random.default_rng(3)
        parts = []
        for _ in range(2):
            target = np.tile([0.0, 1.0], 50)
            pair = (target, np.clip(0.3 + 0.2 * target + 0.1 * rng.normal(size=100), 0, 1))
            parts.append(said(pair, pair))
        row = calibrate_by_animal([parts]).iloc[0]
        pooled = [np.concatenate([getattr(p.of_part("test"), k) for p in parts])
                  for k in ("target", "score")]  # fmt: skip
        assert row["n_decoders"] == 1
        assert row["slope"] == pytest.approx(calibrate(*pooled)[1])
        assert row["brier"] == pytest.approx(binary_scores(*pooled)["brier"])
        assert row["threshold_carried"] == pytest.approx(
            np.mean([best_threshold(p.of_part("test").target, p.of_part("test").score)
                     for p in parts])
        )  # fmt: skip
        each = calibrate_by_animal([[one] for one in parts]).iloc[0]
        assert each["n_decoders"] == 2
        assert each["slope"] == pytest.approx(
            np.mean([calibrate_by_animal([[one]]).iloc[0]["slope"] for one in parts])
        )

    def test_other_targets(self):
        pair = (np.array([0, 1.0]), np.array([0, 1.0]))
        with pytest.raises(DataError, match="kind 'value'"):
            calibrate_by_animal([[said(pair, pair, kind="value")]])
        # Validation of one class carries no threshold.
        row = calibrate_by_animal([[said((pair[0] * 0, pair[1]), pair)]]).iloc[0]
        assert pd.isna(row["lost"])


class TestAroundOnset:
    def trace(self, rest=50, run=50, n=3):
        return np.tile(np.repeat([0.0, 1.0], [rest, run]), n)

    def test_told_after_and_not_before(self):
        target = self.trace()
        found = auc_around_onset(target, target, 10.0, np.array([-1.0, 0.0, 1.0]))
        assert found["auc"].tolist() == [0.5, 1, 1]
        assert found["n_onsets"].tolist() == [3, 3, 3]

    def test_short_bouts_and_short_rest_do_not_count(self):
        for target in (self.trace(run=10), self.trace(rest=10)):
            found = auc_around_onset(target, target, 10.0, np.array([0.0]))
            assert found["n_onsets"].tolist() == [0]
            assert np.isnan(found["auc"][0])

    def test_a_gap_before_a_bout_is_no_onset(self):
        target = self.trace(n=1)
        target[49] = np.nan
        assert auc_around_onset(target, target, 10.0, np.array([0.0]))["n_onsets"][0] == 0

    def test_lengths_that_differ(self):
        with pytest.raises(DataError, match=r"target has shape \(3,\), score \(2,\)"):
            auc_around_onset(np.zeros(3), np.zeros(2), 10.0, np.array([0.0]))
