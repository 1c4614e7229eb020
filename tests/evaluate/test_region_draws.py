"""Random sets of regions, and those of mirrored pairs."""

from math import comb

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.regions import RegionTable
from corticode.evaluate.region_draws import draw_sets, mirror_pairs


@given(st.integers(2, 60), st.data())
def test_sets_are_different_and_of_the_size(n_regions, data):
    size = data.draw(st.integers(1, n_regions - 1))
    seed = data.draw(st.integers(0, 9))
    given_set = tuple(range(size))
    units = [(k,) for k in range(n_regions)]
    found = draw_sets(units, size, 50, np.random.default_rng(seed), without=given_set)
    assert len(found) == min(50, comb(n_regions, size) - 1)
    assert len(set(found)) == len(found)
    assert given_set not in found
    assert all(len(set(one)) == size and tuple(sorted(one)) == one for one in found)
    again = draw_sets(units, size, 50, np.random.default_rng(seed), without=given_set)
    assert again == found


def test_every_region_is_drawn_as_often():
    units = [(k,) for k in range(50)]
    drawn = np.array(draw_sets(units, 4, 2000, np.random.default_rng(0)))
    share = np.bincount(drawn.ravel(), minlength=50) / 2000
    assert abs(share - 4 / 50).max() < 0.03


def test_pairs_stay_together():
    pairs = [(k, k + 25) for k in range(25)]
    for one in draw_sets(pairs, 4, 200, np.random.default_rng(0)):
        assert {k % 25 + 25 for k in one} == {k for k in one if k >= 25}


def test_no_set_where_units_do_not_make_one_up():
    assert draw_sets([(0, 1), (2, 3)], 3, 5, np.random.default_rng(0)) == []
    assert draw_sets([], 2, 5, np.random.default_rng(0)) == []


def test_mirrors_are_pairs_of_kept_regions():
    names = ("a", "b", "c", "d", "e")
    table = RegionTable(names, mirrors=("b", "a", "d", "c", ""))
    assert mirror_pairs(names, np.arange(5), table) == [(0, 1), (2, 3)]
    assert mirror_pairs(names, np.array([0, 2, 3]), table) == [(2, 3)]
    assert mirror_pairs(names, np.arange(5), None) == []
    assert mirror_pairs(names, np.arange(5), RegionTable(names)) == []
