import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from corticode.decode.estimator import RegionDecoder
from corticode.errors import StudyError

# What scikit-learn asks and the decoders do not do, with the reason.
EXPECTED = {
    "check_methods_subset_invariance": "float32 sums in a batch of another size differ by 1e-6, "
    "the check allows 1e-7",
}


@pytest.fixture
def planted():
    rng = np.random.default_rng(0)
    run = np.repeat(rng.permutation([0, 1] * 20), 10)
    windows = rng.normal(size=(400, 5, 3))
    windows[:, :, 0] += run[:, None]
    return windows, run, np.repeat(["m1", "m2", "m3", "m4"], 100)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (RegionDecoder("linear-window"), {}),
        (RegionDecoder("gru", units=8, epochs=40, batch_size=16, learning_rate=0.01), EXPECTED),
    ],
    ids=["linear-window", "gru"],
)
def test_scikit_learn_accepts_it(estimator, expected):
    results = check_estimator(
        estimator, expected_failed_checks=expected, on_skip=None, on_fail="raise"
    )
    assert len(results) > 40
    failed = {row["check_name"] for row in results if row["status"] in ("failed", "xfail")}
    assert failed <= set(expected)


@pytest.mark.parametrize("network", ["linear-frame", "linear-window", "gru"])
def test_a_planted_signal_is_found_in_animals_left_out(planted, network):
    windows, run, animal = planted
    estimator = RegionDecoder(network, epochs=10, batch_size=16, learning_rate=0.01)
    auc = cross_val_score(
        estimator, windows, run, cv=LeaveOneGroupOut(), groups=animal, scoring="roc_auc"
    )
    assert auc.mean() > 0.7
    shuffled = np.random.default_rng(1).permutation(run)
    chance = cross_val_score(
        estimator, windows, shuffled, cv=LeaveOneGroupOut(), groups=animal, scoring="roc_auc"
    )
    assert abs(chance.mean() - 0.5) < 0.1


def test_whole_groups_validate_and_do_not_train(planted):
    windows, run, animal = planted
    estimator = RegionDecoder("linear-window", penalty=(0.1,), validation=0.3)
    fitted = clone(estimator).fit(windows, run, groups=animal)
    held_out = set(animal[fitted.is_validation_])
    assert len(held_out) == 2
    assert fitted.is_validation_.tolist() == np.isin(animal, list(held_out)).tolist()
    changed = windows.copy()
    changed[fitted.is_validation_] *= 100
    again = clone(estimator).fit(changed, run, groups=animal)
    weight = fitted.decoder_.network.inner.weight
    assert np.array_equal(weight.detach(), again.decoder_.network.inner.weight.detach())


def test_without_groups_the_last_windows_validate(planted):
    windows, run, _ = planted
    fitted = RegionDecoder("linear-frame").fit(windows, run)
    assert np.flatnonzero(fitted.is_validation_).tolist() == list(range(320, 400))


def test_a_class_that_only_validates_lets_training_windows_choose():
    y = np.repeat([0, 1, 2], 20)
    fitted = RegionDecoder("linear-frame", validation=0.4).fit(
        np.eye(3)[y] + 0.1 * np.arange(60)[:, None], y
    )
    assert not fitted.is_validation_.any()
    assert fitted.predict_proba(np.eye(3)).shape == (3, 3)


def test_text_labels_seed_and_pipeline(planted):
    windows, run, animal = planted
    names = np.array(["rest", "run"])[run]
    gru = RegionDecoder("gru", units=4, epochs=2)
    first = gru.fit(windows, names, groups=animal).predict_proba(windows)
    assert np.array_equal(
        first, clone(gru).fit(windows, names, groups=animal).predict_proba(windows)
    )
    other = clone(gru).set_params(seed=1).fit(windows, names, groups=animal)
    assert not np.array_equal(first, other.predict_proba(windows))
    assert set(other.predict(windows)) <= {"rest", "run"}
    pipeline = make_pipeline(FunctionTransformer(np.log1p), RegionDecoder("linear-window"))
    pipeline.fit(np.abs(windows), names, regiondecoder__groups=animal)
    assert pipeline.score(np.abs(windows), names) > 0.5


def test_errors(planted):
    windows, run, animal = planted
    with pytest.raises(StudyError, match="y holds one class, '0'"):
        RegionDecoder().fit(windows, np.zeros_like(run))
    with pytest.raises(StudyError, match="validation = 1; it must lie between 0 and 1"):
        RegionDecoder(validation=1).fit(windows, run)
    with pytest.raises(StudyError, match="network kind 'grue'"):
        RegionDecoder("grue").fit(windows, run)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        RegionDecoder().fit(windows, run, groups=animal[:-1])
