import numpy as np
import pandas as pd
import pytest

from corticode.errors import DataError
from corticode.evaluate.variance import variance_shares


def splits(values, n_seeds=1):
    """Scores (animal, fold, seed) of one condition."""
    rows = [
        ["gru", f"test-m{a}_{f}", f"m{a}", s, values[a, f, s]]
        for a, f, s in np.ndindex(values.shape)
        if s < n_seeds
    ]
    return pd.DataFrame(rows, columns=["condition", "fold", "test_animal", "seed", "auc"])


def shares(table):
    row = variance_shares(table, "auc").iloc[0]
    return row["test_animal"], row["training_set"], row["seed"]


def test_planted_shares_are_found():
    rng = np.random.default_rng(0)
    n = 60
    animal, fold, seed = (
        rng.normal(size=(n, 1, 1)),
        rng.normal(size=(n, 8, 1)),
        rng.normal(size=(n, 8, 6)),
    )
    found = shares(splits(3 * animal + 2 * fold + 1 * seed, 6))
    assert found == pytest.approx((9 / 14, 4 / 14, 1 / 14), abs=0.1)
    assert sum(found) == pytest.approx(1)


def test_nothing_but_one_source():
    shape = np.ones((3, 4, 2))
    animal = shares(splits(shape * np.arange(3)[:, None, None], 2))
    assert animal == pytest.approx((1, 0, 0))
    # Seeds alone: neither folds nor animals differ more than seeds make them.
    seed = shares(splits(shape * np.array([-1.0, 1.0]), 2))
    assert seed == pytest.approx((0, 0, 1))


def test_one_seed_is_not_told_from_the_training_set():
    row = variance_shares(splits(np.random.default_rng(0).normal(size=(5, 4, 1))), "auc").iloc[0]
    assert (row["n_animals"], row["n_splits"], row["n_seeds"]) == (5, 20, 1)
    assert np.isnan(row["seed"])
    assert row["test_animal"] + row["training_set"] == pytest.approx(1)


def test_designs_that_tell_nothing():
    one_animal = splits(np.random.default_rng(0).normal(size=(1, 4, 2)), 2)
    assert np.isnan(shares(one_animal)).all()
    one_fold = splits(np.random.default_rng(0).normal(size=(4, 1, 1)))
    assert np.isnan(shares(one_fold)).all()
    assert np.isnan(shares(splits(np.full((3, 2, 1), 0.5)))).all()
    assert variance_shares(one_fold.iloc[:0], "auc").empty


def test_missing_column():
    with pytest.raises(DataError, match="no column fold"):
        variance_shares(splits(np.ones((2, 2, 1))).drop(columns="fold"), "auc")
