"""Tests."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.errors import DataError, StudyError
from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.refits import (
    cohort_values,
    column_aucs,
    column_correlations,
    permute_and_refit,
    permute_trials_and_refit,
    refit_aucs,
)

N_FRAMES, N_INPUTS, N_SESSIONS = 40, 3, 4


def bouts(n, rng):
    """A label that stays as it is for a while, with several bouts."""
    while True:
        run = np.repeat(rng.random(n // 10) > 0.5, 10)
        if np.count_nonzero(np.diff(run)) > 6:
            return run


def windows_of(design, rng, *, signal=1.0, n_frames=200, trend=0.0, target="binary"):
    """Windows of three animals' or one's sessions, whose regions follow the behaviour or not."""
    sessions = []
    for animal, n_sessions in enumerate(design):
        for day in range(n_sessions):
            run = bouts(n_frames, rng) if trend == 0 else rng.random(n_frames) < 0.2 + trend * day
            traces = rng.normal(size=(n_frames, 3)) + signal * run[:, None]
            behavior = {"run": run, "speed": run * 1.5}
            sessions.append(
                Session(
                    f"m{animal}",
                    f"s{day}",
                    traces,
                    ("1", "2", "3"),
                    behavior,
                    np.zeros(n_frames, np.int32),
                )
            )
    return cut_windows(
        sessions,
        Target("run", kind=target) if target != "value" else Target("speed", kind="value"),
        WindowShape(1, 1),
        preprocessing=Preprocessing(scale="none"),
    )


def test_a_planted_signal_is_found():
    found = permute_and_refit(windows_of((3, 3, 3), np.random.default_rng(0)), every=1)
    assert found.value > 0.9
    assert found.values.shape == (216,)
    assert found.p == found.smallest_p == 1 / 216
    assert found.held_out == "animal"
    assert found.exchanged == dict.fromkeys(("m0", "m1", "m2"), "all sessions")
    assert found.note.startswith("with 3 sessions, exchangeability of days cannot be checked")
    assert found.permuted_mean == pytest.approx(0.5, abs=0.1)


def test_one_animal_leaves_sessions_out():
    found = permute_and_refit(windows_of((5,), np.random.default_rng(1)), every=1)
    assert found.held_out == "session"
    assert found.values.size == 120
    assert found.p == 1 / 120


def test_nothing_is_found_where_nothing_is():
    rng = np.random.default_rng(2)
    p = [
        permute_and_refit(windows_of((3, 2), rng, signal=0), every=2, n_draws=19).p
        for _ in range(20)
    ]
    assert np.mean(p) == pytest.approx(0.5, abs=0.2)
    assert np.mean(np.array(p) <= 0.1) < 0.3


def test_each_order_is_as_if_labels_had_been_recorded_so():
    # The value of an order equals the observed value of windows whose labels were exchanged.
    windows = windows_of((2, 3), np.random.default_rng(3))
    found = permute_and_refit(windows, every=2)
    codes = dict.fromkeys(zip(windows.animal.tolist(), windows.session.tolist(), strict=True))
    own = [np.flatnonzero((windows.animal == a) & (windows.session == s)) for a, s in codes]
    orders = [
        [*first, *second]
        for first, second in product(permutations((0, 1)), permutations((2, 3, 4)))
    ]
    for value, order in zip(found.values, orders, strict=True):
        target = windows.target.copy()
        for place, source in zip(own, order, strict=True):
            target[place] = windows.target[own[source]]
        exchanged = type(windows)(**{**vars(windows), "target": target})
        again = permute_and_refit(exchanged, every=2, n_draws=1, seed=1)
        assert again.value == pytest.approx(value, abs=1e-9)


def test_sessions_are_cut_to_the_shortest_of_their_animal():
    windows = windows_of((3, 3), np.random.default_rng(4))
    short = ~((windows.animal == 0) & (windows.session == 1) & (windows.frame > 150))
    cut = ~((windows.animal == 0) & (windows.frame > 150))
    a, b = (permute_and_refit(windows.where(kept), every=2) for kept in (short, cut))
    assert a.values.tolist() == b.values.tolist()
    assert a.findings == ()


def test_short_sessions_are_left_out_and_listed():
    windows = windows_of((3, 3), np.random.default_rng(5))
    kept = ~((windows.animal == 0) & (windows.session == 1) & (windows.frame > 90))
    found = permute_and_refit(windows.where(kept), every=2)
    assert [(f.animal, f.session) for f in found.findings] == [("m0", "s1")]
    assert found.values.size == 12


def test_trends_keep_labels_between_neighbours():
    windows = windows_of((8,), np.random.default_rng(6), trend=0.08)
    found = permute_and_refit(windows, every=2, n_draws=99)
    assert found.exchanged == {"m0": "pairs of neighbouring sessions"}
    assert found.values.size == 16
    assert found.note == "cannot reach 0.05: with 8 sessions of 1 animal the smallest p is 0.0625"
    assert found.trends["quantity"].tolist() == ["run_fraction", "label_slope"]
    days = {("m0", f"s{k}"): k for k in range(8)}
    assert permute_and_refit(windows, every=2, n_draws=99, days=days).p == found.p


def test_flat_and_unkept_regions_are_no_obstacle():
    windows = windows_of((2, 2), np.random.default_rng(7))
    windows.traces[:, 2] = 1
    found = permute_and_refit(windows, every=2)
    assert found.value > 0.9


def test_values_are_tested_by_their_correlation():
    """Values that are twice the label correlate as the label does."""
    found = permute_and_refit(
        windows_of((3, 3, 3), np.random.default_rng(0), target="value"), every=1
    )
    assert found.p <= 2 / found.values.size
    assert found.value > 0.5
    assert found.permuted_mean == pytest.approx(0, abs=0.2)
    rng = np.random.default_rng(3)
    p = [
        permute_and_refit(windows_of((3, 2), rng, signal=0, target="value"), every=2, n_draws=19).p
        for _ in range(8)
    ]
    assert np.mean(p) > 0.2


def test_correlations_by_column():
    rng = np.random.default_rng(4)
    scores, labels = rng.normal(size=(2, 30, 3))
    labels[5:9, 1] = np.nan
    labels[:, 2] = 1.0
    found = column_correlations(scores, labels)
    assert found[0] == pytest.approx(np.corrcoef(scores[:, 0], labels[:, 0])[0, 1])
    kept = np.r_[0:5, 9:30]
    assert found[1] == pytest.approx(np.corrcoef(scores[kept, 1], labels[kept, 1])[0, 1])
    assert np.isnan(found[2])


def test_data_that_cannot_be():
    rng = np.random.default_rng(0)
    with pytest.raises(StudyError, match="every is 0; give 1 frame or more"):
        permute_and_refit(windows_of((2,), rng, n_frames=80), every=0)
    needed = "a target of kind 'classes'; refitting needs traces and kind 'binary' or 'value'"
    with pytest.raises(DataError, match=needed):
        permute_and_refit(windows_of((2,), rng, target="classes"))
    with pytest.raises(DataError, match="1 sessions can be used of the 2 or more"):
        permute_and_refit(windows_of((1,), rng))


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


@pytest.mark.parametrize("kind", ["binary", "value"])
def test_trials_are_permuted_within_sessions(kind):
    """A planted cohort has the smallest p; one whose traces know nothing has any."""
    found = {}
    for strength in (0.0, 1.0):
        sessions = []
        for k in range(4):
            rng = np.random.default_rng(k)
            cue, label = np.zeros(400), np.full(400, np.nan)
            traces = rng.normal(size=(400, 3))
            events = np.arange(10, 390, 10)
            drawn = rng.normal(size=events.size)
            cue[events], label[events] = 1, drawn > 0 if kind == "binary" else drawn
            # A level of the session's own is no decoding.
            traces[events + 1, 0] += strength * label[events] + k
            behavior = {"cue": cue, "choice": label}
            sessions.append(
                Session(f"m{k % 2}", f"s{k}", traces, ("1", "2", "3"), behavior, np.zeros(400, int))
            )
        target = Target("choice", kind, events="cue")
        windows = cut_windows(sessions, target, WindowShape(0, 2), preprocessing=Preprocessing())
        found[strength] = permute_trials_and_refit(windows, n_draws=99)
    assert (found[1.0].p, found[1.0].smallest_p) == (0.01, 0.01)
    assert found[0.0].p > 0.05
    assert found[1.0].exchanged == dict.fromkeys(["m0", "m1"], "trials within sessions")
    level = 0.5 if kind == "binary" else 0.0
    assert found[1.0].permuted_mean == pytest.approx(level, abs=0.06)
