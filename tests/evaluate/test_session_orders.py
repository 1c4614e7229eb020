from math import factorial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.errors import DataError
from corticode.evaluate.session_orders import (
    day_trends,
    draw_orders,
    n_orders,
    order_blocks,
    order_p,
    smallest_p,
)

BLOCKS = st.lists(st.integers(0, 3), min_size=1, max_size=9)


def test_blocks_by_hand():
    animals = ["m1", "m2", "m1", "m1", "m2", "m1", "m1"]
    days = [5, 1, 1, 2, 2, 4, 3]
    # m1 by day: sessions 2, 3, 6, 5, 0; pairs (2, 3), (6, 5), and 0 stays.
    assert order_blocks(animals, days, ["m1"]).tolist() == [2, 3, 0, 0, 3, 1, 1]
    assert order_blocks(animals, days).tolist() == [0, 1, 0, 0, 1, 0, 0]


def test_a_day_is_missing():
    with pytest.raises(DataError, match="2 sessions came with days of shape"):
        order_blocks(["m1", "m1"], [1])


def test_all_orders_are_given_where_few():
    orders = draw_orders(["m1", "m2", "m1", "m1"], 999)
    assert orders[0].tolist() == [0, 1, 2, 3]
    assert len(orders) == 6
    assert len({tuple(order) for order in orders}) == 6
    assert (orders[:, 1] == 1).all()


@settings(max_examples=40, deadline=None)
@given(BLOCKS, st.integers(1, 60), st.integers(0, 5))
def test_orders_stay_in_their_blocks(blocks, n_draws, seed):
    orders = draw_orders(blocks, n_draws, seed=seed)
    codes = np.array(blocks)
    assert orders[0].tolist() == list(range(len(blocks)))
    assert (np.sort(orders, axis=1) == np.arange(len(blocks))).all()
    assert (codes[orders] == codes).all()
    assert len(orders) == min(n_orders(blocks), n_draws + 1)


def test_drawn_orders_are_all_as_likely_with_fixed_points():
    orders = draw_orders([0] * 4, 22, seed=1)
    assert len(orders) == 23
    many = np.concatenate([draw_orders([0] * 4, 22, seed=k)[1:] for k in range(300)])
    _, counts = np.unique(many, axis=0, return_counts=True)
    assert counts.size == 24
    assert counts.min() > 0.75 * many.shape[0] / 24
    assert (many == np.arange(4)).mean() == pytest.approx(0.25, abs=0.02)


def test_smallest_p_by_hand():
    assert smallest_p([0] * 3 + [1] * 2) == 1 / 12
    assert smallest_p([0] * 12) == 1 / factorial(12)
    assert smallest_p([0] * 12, 999) == 0.001
    assert smallest_p([0, 1, 2]) == 1


def test_p_counts_the_observed_order():
    assert order_p([3, 1, 2, 2]) == 0.25
    assert order_p([2, 3, 2 + 1e-15, 1]) == 0.75
    assert order_p([1]) == 1
    assert order_p([1, np.nan, 0, 0]) == 0.5
    assert np.isnan(order_p([np.nan, 1]))


def sessions(n, **quantities):
    return pd.DataFrame({"animal": "m1", "session": range(n), "day": range(n), **quantities})


def test_trends_are_tested_from_six_sessions_on():
    found = day_trends(sessions(5, run_fraction=[1, 2, 3, 4, 5.0])).iloc[0]
    assert found["pearson_r"] == pytest.approx(1)
    assert np.isnan(found["p"])
    assert not found["trends"]
    # Of 720 orders, the observed one and its mirror image are as large.
    found = day_trends(sessions(6, run_fraction=[6, 5, 4, 3, 2, 1.0])).iloc[0]
    assert found["pearson_r"] == pytest.approx(-1)
    assert found["p"] == 2 / 720
    assert found["trends"]


def test_trend_without_spread_or_values():
    found = day_trends(sessions(7, flat=1.0, gaps=[np.nan] * 2 + [1, 3, 2, 5, 4]))
    assert np.isnan(found["pearson_r"].iloc[0])
    assert not found["trends"].any()
    assert found["n_sessions"].tolist() == [7, 5]
    assert day_trends(sessions(0, flat=[])).empty


def test_trends_are_found_by_chance_as_often_as_said():
    rng = np.random.default_rng(0)
    tables = [sessions(8, x=rng.normal(size=8)).assign(animal=f"m{k}") for k in range(300)]
    found = day_trends(pd.concat(tables), n_draws=199)
    assert found["trends"].mean() == pytest.approx(0.05, abs=0.03)


def test_trends_need_a_day():
    with pytest.raises(DataError, match="no column day"):
        day_trends(sessions(6).drop(columns="day"))
