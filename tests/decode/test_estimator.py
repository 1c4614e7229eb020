import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from corticode.decode.estimator import RegionDecoder
from corticode.errors import DataError, DecoderError, StudyError


@pytest.fixture
def planted():
    rng = np.random.default_rng(0)
    run = np.repeat(rng.permutation([0, 1] * 20), 10)
    windows = rng.normal(size=(400, 5, 3))
    windows[:, :, 0] += run[:, None]
    return windows, run, np.repeat(["m1", "m2", "m3", "m4"], 100)


@pytest.mark.parametrize(
    "estimator",
    [
        RegionDecoder("linear-window"),
        pytest.param(
            RegionDecoder("gru", units=8, epochs=20, batch_size=16, learning_rate=0.01),
            marks=pytest.mark.study,
        ),
    ],
    ids=["linear-window", "gru"],
)
def test_scikit_learn_accepts_it(estimator):
    results = check_estimator(estimator, on_skip=None, on_fail="raise")
    assert len(results) > 40
    left_out = {row["check_name"] for row in results if row["status"] != "passed"}
    # It runs only where the environment variable SCIPY_ARRAY_API is set.
    assert left_out <= {"check_array_api_input"}


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


@pytest.mark.parametrize("network", ["linear-window", "gru"])
def test_whole_groups_validate_and_do_not_train(planted, network):
    windows, run, animal = planted
    # One epoch or one penalty: there is nothing to choose, so weights tell who trained.
    estimator = RegionDecoder(network, penalty=(0.1,), epochs=1, validation=0.5)
    fitted = clone(estimator).fit(windows, run, groups=animal)
    held_out = set(animal[fitted.is_validation_])
    assert len(held_out) == 2
    assert fitted.is_validation_.tolist() == np.isin(animal, list(held_out)).tolist()
    assert set(fitted.decoder_.train_animals) == set(animal) - held_out
    assert fitted.decoder_.selected_by == "validation loss"
    changed = windows.copy()
    changed[fitted.is_validation_] *= 100
    again = clone(estimator).fit(changed, run, groups=animal)
    weights = again.decoder_.network.state_dict()
    for name, weight in fitted.decoder_.network.state_dict().items():
        assert np.array_equal(weight, weights[name])


def test_the_smallest_group_validates_where_each_is_too_large():
    group = np.repeat(["a", "b", "c"], [40, 50, 60])
    run = np.arange(150) % 2
    fitted = RegionDecoder("linear-frame", validation=0.1)
    fitted.fit(np.random.default_rng(0).normal(size=(150, 2)), run, groups=group)
    assert set(group[fitted.is_validation_]) == {"a"}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=40),
    st.booleans(),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_training_holds_every_class_and_no_validating_group(rows, grouped, share, seed):
    rows = [*rows, (0, 0), (1, 1)]
    group, label = np.array(rows).T
    values = np.random.default_rng(0).normal(size=(len(rows), 3, 2))
    decoder = RegionDecoder("linear-frame", penalty=(1.0,), validation=share, seed=seed)
    fitted = decoder.fit(values, label, groups=group if grouped else None)
    chosen = fitted.is_validation_
    assert set(label[~chosen]) == set(label)
    assert not chosen.any() or len(set(label[chosen])) > 1
    if grouped:
        assert not set(group[chosen]) & set(group[~chosen])
    told = "validation loss" if chosen.any() else "training loss"
    assert fitted.decoder_.selected_by == told


def test_without_groups_the_last_windows_validate(planted):
    windows, run, _ = planted
    fitted = RegionDecoder("linear-frame").fit(windows, run)
    assert np.flatnonzero(fitted.is_validation_).tolist() == list(range(320, 400))


def test_the_last_of_each_class_validate_where_one_would_be_missing():
    y = np.repeat([0, 1, 2], 20)
    fitted = RegionDecoder("linear-frame", validation=0.2).fit(
        np.eye(3)[y] + 0.01 * np.arange(60)[:, None], y
    )
    assert np.flatnonzero(fitted.is_validation_).tolist() == [
        *range(16, 20),
        *range(36, 40),
        *range(56, 60),
    ]
    assert fitted.predict_proba(np.eye(3)).shape == (3, 3)
    logs = fitted.decision_function(np.eye(3))
    assert np.allclose(np.exp(logs).sum(axis=1), 1, atol=1e-6)


def test_all_windows_train_and_choose_where_a_class_is_in_one_group_alone():
    y = np.repeat([0, 1], 20)
    fitted = RegionDecoder("linear-frame").fit(np.eye(2)[y] + 0.0, y, groups=y)
    assert not fitted.is_validation_.any()
    assert fitted.decoder_.train_animals == ("0", "1")
    assert fitted.decoder_.selected_by == "training loss"


def test_decision_function_is_the_log_odds(planted):
    windows, run, animal = planted
    fitted = RegionDecoder("linear-window").fit(windows, run, groups=animal)
    run_probability = fitted.predict_proba(windows)[:, 1].astype(float)
    odds = run_probability / (1 - run_probability)
    assert np.allclose(fitted.decision_function(windows), np.log(odds), atol=1e-5)
    assert fitted.n_iter_ == 6
    assert RegionDecoder("gru", epochs=2).fit(windows, run).n_iter_ == 2


def test_flat_windows_are_one_frame_of_many_regions(planted):
    windows, run, _ = planted
    flat = windows.reshape(400, -1)
    linear = RegionDecoder("linear-window", penalty=(1e-4,))
    whole, laid_out = clone(linear).fit(windows, run), clone(linear).fit(flat, run)
    # The same weights to be found; only the scale of each value differs.
    agree = whole.predict(windows) == laid_out.predict(flat)
    assert agree.mean() > 0.98
    assert (whole.n_features_in_, laid_out.n_features_in_) == (5, 15)
    assert laid_out.decoder_.recipe.window.n_frames == 1
    # A decoder of one frame sees the centre frame alone, or, laid out flat, all of them.
    changed = windows.copy()
    changed[:, [0, 1, 3, 4]] = 0
    frame = RegionDecoder("linear-frame").fit(windows, run)
    assert np.array_equal(frame.predict_proba(windows), frame.predict_proba(changed))
    frame = RegionDecoder("linear-frame").fit(flat, run)
    assert not np.array_equal(
        frame.predict_proba(flat), frame.predict_proba(changed.reshape(400, -1))
    )


def test_groups_reach_splitter_and_fit(planted):
    windows, run, animal = planted
    arguments = {"cv": LeaveOneGroupOut(), "groups": animal, "params": {"groups": animal}}
    for values in (windows, windows.mean(axis=1)):
        estimator = RegionDecoder("linear-window", validation=0.3)
        auc = cross_val_score(estimator, values, run, scoring="roc_auc", **arguments)
        assert len(auc) == 4
        assert auc.min() > 0.7
    got = cross_val_predict(estimator, windows, run, method="decision_function", **arguments)
    trains = animal != "m3"
    alone = clone(estimator).fit(windows[trains], run[trains], groups=animal[trains])
    assert np.array_equal(got[~trains], alone.decision_function(windows[~trains]))
    assert len(alone.decoder_.train_animals) == 2


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
    with pytest.raises(DataError, match=r"X has the shape \(400, 1, 5, 3\); \(window, frame, reg"):
        RegionDecoder().fit(windows[:, None], run)
    fitted = RegionDecoder("linear-frame").fit(windows, run)
    with pytest.raises(DecoderError, match="another regions than the decoder was fitted with"):
        fitted.predict(windows[:, :, :2])
    with pytest.raises(ValueError, match="X has 4 features, but RegionDecoder is expecting 5"):
        fitted.predict(windows[:, :4])
