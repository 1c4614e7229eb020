"""Tests."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    r2_score,
    roc_auc_score,
)

from corticode.errors import DataError
from corticode.evaluate.metrics import (
    ROC_POINTS,
    best_threshold,
    binary_scores,
    class_scores,
    primary,
    reliability,
    roc_curve,
    score_windows,
    value_scores,
)


def auc_by_pairs(target, score):
    pairs = list(product(score[target == 1], score[target == 0]))
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


def balanced(target, said):
    return (np.mean(said[target == 1] == 1) + np.mean(said[target == 0] == 0)) / 2


# Few different scores, so that ties are many.
tied = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.integers(0, 8).map(lambda k: k / 8)),
    min_size=2,
    max_size=40,
).map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))


both_classes = tied.filter(lambda pair: 0 < pair[0].mean() < 1)


class TestBinary:
    def test_by_hand(self):
        target = np.array([0, 1, 0, 1, 1], np.float32)
        score = np.array([0.1, 0.4, 0.4, 0.6, 0.9], np.float32)
        found = binary_scores(target, score)
        assert list(found) == [
            "auc",
            "average_precision",
            "balanced_accuracy",
            "accuracy",
            "brier",
        ]
        assert found["auc"] == 5.5 / 6
        # Recall 1/3 and 2/3 at precision 1, then 3/3 at precision 3/4.
        assert found["average_precision"] == pytest.approx(1 / 3 + 1 / 3 + 0.75 / 3, abs=1e-15)
        assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-15)
        assert found["accuracy"] == 0.8
        squares = 0.1**2 + 0.6**2 + 0.4**2 + 0.4**2 + 0.1**2
        assert found["brier"] == pytest.approx(squares / 5, abs=1e-7)

    def test_carried_threshold(self):
        found = binary_scores(np.array([0, 1, 1]), np.array([0.1, 0.3, 0.2]), threshold=0.15)
        assert (found["balanced_accuracy"], found["accuracy"]) == (0.5, 1 / 3)
        assert (found["balanced_accuracy_carried"], found["accuracy_carried"]) == (1.0, 1.0)

    def test_a_threshold_between_float32_scores_is_not_rounded_to_one(self):
        low = np.float32(0.7)
        score = np.array([low, np.nextafter(low, np.float32(1))])
        target = np.array([0, 1], np.float32)
        threshold = best_threshold(target, score)
        assert binary_scores(target, score, threshold=threshold)["accuracy_carried"] == 1.0

    def test_half_is_said_to_be_0(self):
        assert binary_scores(np.array([0, 1]), np.array([0.5, 0.51]))["accuracy"] == 1.0

    def test_no_threshold_known(self):
        found = binary_scores(np.array([0, 1]), np.array([0.2, 0.9]), threshold=np.nan)
        assert np.isnan([found["balanced_accuracy_carried"], found["accuracy_carried"]]).all()

    def test_one_class(self):
        found = binary_scores(np.ones(3), np.array([0.9, 0.2, 0.8]), threshold=0.1)
        blank = ["auc", "average_precision", "balanced_accuracy", "balanced_accuracy_carried"]
        assert np.isnan([found[name] for name in blank]).all()
        assert found["accuracy"] == 2 / 3
        assert found["accuracy_carried"] == 1.0
        assert found["brier"] == pytest.approx((0.01 + 0.64 + 0.04) / 3, abs=1e-15)

    def test_no_window(self):
        assert np.isnan(list(binary_scores(np.zeros(0), np.zeros(0)).values())).all()

    def test_unknown_targets_are_left_out(self):
        target = np.array([0, np.nan, 1, np.nan])
        score = np.array([0.4, 0.0, 0.6, 1.0])
        assert binary_scores(target, score) == binary_scores(target[::2], score[::2])

    @given(both_classes)
    def test_auc_is_that_of_all_pairs(self, pair):
        assert binary_scores(*pair)["auc"] == pytest.approx(auc_by_pairs(*pair), abs=1e-15)

    @given(both_classes)
    def test_auc_turns_with_the_score(self, pair):
        target, score = pair
        turned = binary_scores(target, 1 - score)["auc"]
        assert turned == pytest.approx(1 - binary_scores(target, score)["auc"], abs=1e-15)

    @given(both_classes)
    def test_agrees_with_scikit_learn(self, pair):
        target, score = pair
        found = binary_scores(target, score)
        assert found["auc"] == pytest.approx(roc_auc_score(target, score), abs=1e-12)
        precision = average_precision_score(target, score)
        assert found["average_precision"] == pytest.approx(precision, abs=1e-12)
        share = balanced_accuracy_score(target, score > 0.5)
        assert found["balanced_accuracy"] == pytest.approx(share, abs=1e-12)
        assert found["brier"] == pytest.approx(brier_score_loss(target, score), abs=1e-12)

    def test_many_windows_keep_whole_counts(self):
        # 4e10 pairs: more than 32-bit integers or float32 hold.
        rng = np.random.default_rng(0)
        target = np.repeat([0.0, 1.0], 200_000)
        score = rng.integers(0, 100, target.size) / 100
        assert binary_scores(target, score)["auc"] == pytest.approx(
            roc_auc_score(target, score), abs=1e-13
        )

    def test_targets_that_are_not_binary(self):
        with pytest.raises(DataError, match="targets run from 0 to 2; binary scores need 0 and 1"):
            binary_scores(np.array([0, 1, 2]), np.zeros(3))

    def test_lengths_that_disagree(self):
        with pytest.raises(DataError, match=r"shape \(3,\) and score \(2,\); give \(window,\)"):
            binary_scores(np.zeros(3), np.zeros(2))


class TestThreshold:
    def test_middle_of_the_gap(self):
        assert best_threshold(np.array([0, 1]), np.array([0.25, 0.75])) == 0.5

    def test_middle_of_ties(self):
        # Each of three cuts puts two of the six on the wrong side; no cut puts fewer.
        target = np.array([0, 1, 0, 1, 0, 1])
        score = np.array([0.0, 0.25, 0.375, 0.5, 0.75, 1.0])
        cuts = [0.125, 0.4375, 0.875]
        assert {balanced(target, score > cut) for cut in cuts} == {2 / 3}
        assert best_threshold(target, score) == 0.4375

    def test_one_class_has_none(self):
        assert np.isnan(best_threshold(np.ones(3), np.arange(3)))
        assert np.isnan(best_threshold(np.zeros(0), np.zeros(0)))

    def test_a_constant_score_gives_a_number(self):
        assert best_threshold(np.array([0, 1]), np.array([0.3, 0.3])) == 0.3

    @given(both_classes)
    def test_no_threshold_is_better(self, pair):
        target, score = pair
        found = balanced(target, score > best_threshold(target, score))
        tried = [balanced(target, score > cut) for cut in np.arange(-1, 17) / 16]
        assert found == pytest.approx(max(tried), abs=1e-12)


class TestClasses:
    def test_by_hand(self):
        target = np.array([0, 0, 1, 2])
        score = np.array([[0.6, 0.3, 0.1], [0.1, 0.6, 0.3], [0.2, 0.5, 0.3], [0.2, 0.2, 0.6]])
        found = class_scores(target, score)
        # Class 0: 0.6 above, 0.1 below 0.2 and 0.2: 2/4. Class 1: above 0.3, 0.2 but not 0.6: 2/3.
        assert found["auc"] == pytest.approx((2 / 4 + 2 / 3 + 1) / 3, abs=1e-15)
        assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 1 + 1) / 3, abs=1e-15)
        assert found["accuracy"] == 0.75

    def test_absent_classes_play_no_part(self):
        target = np.array([0, 0, 1, 1])
        score = np.array([[0.8, 0.1, 0.1], [0.5, 0.1, 0.4], [0.4, 0.5, 0.1], [0.6, 0.4, 0.0]])
        assert class_scores(target, score)["auc"] == (3 / 4 + 1) / 2

    def test_one_class_or_no_window(self):
        found = class_scores(np.array([1, 1]), np.array([[0.1, 0.9], [0.8, 0.2]]))
        assert np.isnan([found["auc"], found["balanced_accuracy"]]).all()
        assert found["accuracy"] == 0.5
        assert np.isnan(list(class_scores(np.zeros(0), np.zeros((0, 3))).values())).all()

    @given(both_classes)
    def test_two_classes_are_as_binary(self, pair):
        target, score = pair
        two = class_scores(target, np.stack([1 - score, score], axis=1))
        assert two["auc"] == pytest.approx(binary_scores(target, score)["auc"], abs=1e-12)

    def test_targets_without_a_column(self):
        with pytest.raises(DataError, match=r"targets run from 0 to 3; .* the 3 columns"):
            class_scores(np.array([0, 3]), np.zeros((2, 3)))

    def test_scores_of_one_axis(self):
        with pytest.raises(DataError, match=r"give \(window,\) and \(window, class\)"):
            class_scores(np.zeros(3), np.zeros(3))


class TestValues:
    def test_by_hand(self):
        found = value_scores(np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
        assert found == {"r2": 0.75, "mae": 2 / 3, "pearson_r": 1.0}

    def test_a_constant_target(self):
        found = value_scores(np.full(3, 0.1), np.array([0.1, 0.2, 0.3]))
        assert np.isnan([found["r2"], found["pearson_r"]]).all()
        assert found["mae"] == pytest.approx(0.1, abs=1e-15)

    def test_a_constant_score(self):
        found = value_scores(np.array([0.0, 2.0]), np.full(2, 1.0))
        assert found["r2"] == 0.0
        assert np.isnan(found["pearson_r"])

    def test_no_window(self):
        assert np.isnan(list(value_scores(np.full(2, np.nan), np.zeros(2)).values())).all()

    @given(st.integers(0, 1000), st.integers(2, 30))
    def test_agrees_with_scikit_learn_and_numpy(self, seed, n_windows):
        target, score = np.random.default_rng(seed).normal(size=(2, n_windows))
        found = value_scores(target, score)
        assert found["r2"] == pytest.approx(r2_score(target, score), rel=1e-9, abs=1e-9)
        assert found["pearson_r"] == pytest.approx(np.corrcoef(target, score)[0, 1], abs=1e-9)


class TestKinds:
    def test_each_kind_has_its_scores(self):
        target, score = np.array([0, 1]), np.array([0.2, 0.9])
        assert score_windows(target, score, "binary", threshold=0.3) == binary_scores(
            target, score, threshold=0.3
        )
        assert score_windows(target, score, "value") == value_scores(target, score)
        assert score_windows(target, np.eye(2), "classes")["auc"] == 1.0
        for kind in ("binary", "value"):
            assert primary(kind) in score_windows(target, score, kind)

    def test_an_unknown_kind(self):
        with pytest.raises(DataError, match="no kind 'ternary'; give one of binary, classes"):
            score_windows(np.zeros(2), np.zeros(2), "ternary")


class TestRocCurve:
    def test_by_hand(self):
        curve = roc_curve(np.array([0, 0, 1, 1.0]), np.array([0.1, 0.4, 0.4, 0.8]))
        assert curve["false_share"].tolist() == [0, 0, 0.5, 1]
        assert curve["true_share"].tolist() == [0, 0.5, 1, 1]

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


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_number_are_refused(bad):
    """NaN sorts above all numbers: four of them would make an AUC of 1."""
    target, score = np.array([0, 0, 1, 1.0]), np.array([0.1, 0.2, 0.3, bad])
    for measure in (binary_scores, value_scores, best_threshold, roc_curve, reliability):
        with pytest.raises(DataError, match="1 of the 4 scores of windows with a target are not"):
            measure(target, score)
    with pytest.raises(DataError, match="1 of the 4 scores"):
        class_scores(target[:2], np.array([[0.1, 0.9], [0.1, bad]]))
    # Where nothing is known, nothing is counted.
    assert binary_scores(np.array([0, 0, 1, np.nan]), score)["auc"] == 1.0
