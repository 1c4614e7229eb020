import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.ridge_orders import cohort_values, column_aucs, refit_aucs

N_FRAMES, N_INPUTS, N_SESSIONS = 40, 3, 4


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(N_FRAMES, N_INPUTS)) + 5 * k for k in range(N_SESSIONS)]
    labels = (rng.random((N_FRAMES, N_SESSIONS)) > 0.5).astype(np.float64)
    return inputs, labels, np.array([0, 0, 1, 1])


def by_hand(inputs, labels, groups, order, penalty):
    """AUC of each session, with scikit-learn, sessions centred."""
    centred = [x - x.mean(axis=0) for x in inputs]
    paired = [labels[:, j] - labels[:, j].mean() for j in order]
    aucs = []
    for k, group in enumerate(groups):
        train = np.flatnonzero(groups != group)
        x = np.concatenate([centred[i] for i in train])
        strength = penalty * np.sum(x**2) / x.shape[1]
        model = Ridge(alpha=strength, fit_intercept=False)
        model.fit(x, np.concatenate([paired[i] for i in train]))
        aucs.append(binary_scores(labels[:, order[k]], model.predict(centred[k]))["auc"])
    return aucs


@pytest.mark.parametrize("penalty", [1e-3, 1.0])
@pytest.mark.parametrize("grouped", [True, False])
def test_every_order_is_a_ridge_regression(data, penalty, grouped):
    inputs, labels, animals = data
    groups = animals if grouped else np.arange(N_SESSIONS)
    orders = np.array([[0, 1, 2, 3], [1, 0, 2, 3], [1, 0, 3, 2], [3, 2, 1, 0]])
    found = refit_aucs(inputs.__getitem__, [labels] * N_SESSIONS, groups, orders, penalty)
    wanted = [by_hand(inputs, labels, groups, order, penalty) for order in orders]
    assert found == pytest.approx(np.array(wanted), abs=2e-3)


def test_test_labels_change_no_weight(data):
    inputs, labels, animals = data
    orders = np.arange(N_SESSIONS)[None]
    other = labels.copy()
    other[:, 0] = 1 - other[:, 0]
    aucs = [
        refit_aucs(inputs.__getitem__, [own] * N_SESSIONS, animals, orders)[0]
        for own in (labels, other)
    ]
    # Session 0 is scored by a decoder of animal 1: only its labels turn round, and so its AUC.
    assert aucs[1][0] == pytest.approx(1 - aucs[0][0])
    assert aucs[1][1] == aucs[0][1]
    assert aucs[1][2] != aucs[0][2]


def test_windows_without_a_label_count_as_the_mean(data):
    inputs, labels, animals = data
    labels[::5, 0] = np.nan
    orders = np.array([[0, 1, 2, 3], [1, 0, 2, 3]])
    found = refit_aucs(inputs.__getitem__, [labels] * N_SESSIONS, animals, orders)
    assert np.isfinite(found).all()


def test_flat_inputs_tell_nothing():
    labels = np.tile([0.0, 1.0], 10)[:, None] * np.ones(2)
    found = refit_aucs(lambda k: np.ones((20, 2)), [labels] * 2, np.arange(2), np.array([[0, 1]]))
    assert found.tolist() == [[0.5, 0.5]]


def test_values_weigh_animals_alike():
    aucs = np.array([[0.9, 0.7, 0.5], [np.nan, 0.6, np.nan]])
    found = cohort_values(aucs, ["m1", "m1", "m2"])
    assert found == pytest.approx([0.65, 0.6])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0, np.nan])), min_size=1, max_size=15
    )
)
def test_column_aucs_are_the_tables(rows):
    score, label = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    found = column_aucs(np.stack([score, score[::-1]], 1), np.stack([label, label[::-1]], 1))
    wanted = binary_scores(label, score)["auc"]
    assert found.tolist() == pytest.approx([wanted, wanted], nan_ok=True)
