import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.errors import DataError
from corticode.evaluate.curves import ROC_POINTS, auc_around_onset, reliability, roc_curve
from corticode.evaluate.metrics import binary_scores


class TestRocCurve:
    def test_by_hand(self):
        curve = roc_curve(np.array([0, 0, 1, 1.0]), np.array([0.1, 0.4, 0.4, 0.8]))
        assert curve["false_share"].tolist() == [0, 0, 0.5, 1]
        assert curve["true_share"].tolist() == [0, 0.5, 1, 1]

    @settings(max_examples=40)
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=60))
    def test_the_area_below_is_the_auc(self, pairs):
        target, score = np.array(pairs, dtype=np.float64).T
        curve = roc_curve(target, score / 10)
        if curve.empty:
            assert len(set(target)) < 2
        else:
            area = np.trapezoid(curve["true_share"], curve["false_share"])
            assert area == pytest.approx(binary_scores(target, score / 10)["auc"])

    def test_few_points_of_many_windows(self):
        rng = np.random.default_rng(0)
        target = (rng.random(5000) < 0.3).astype(float)
        curve = roc_curve(target, np.clip(target * 0.2 + rng.random(5000) * 0.8, 0, 1))
        assert len(curve) <= ROC_POINTS

    def test_one_class(self):
        assert roc_curve(np.array([1.0, np.nan]), np.array([0.5, 0.1])).empty


class TestReliability:
    def test_by_hand(self):
        found = reliability(np.array([0, 1, 1, np.nan]), np.array([0.12, 0.14, 1.0, 0.5]))
        assert found["share"].tolist() == [0.5, 1]
        assert found["score"].tolist() == pytest.approx([0.13, 1.0])
        assert found["n_windows"].tolist() == [2, 1]


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
