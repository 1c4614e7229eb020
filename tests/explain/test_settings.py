"""Regions chosen by maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.settings import Selection, choose_regions


def map_of(shares, names=("1", "2", "3", "4")):
    values = np.array([shares], dtype=float)
    return ImportanceMap(
        "deep-shap", "logit", ("frame", "region"), values, names=names, frames=(0,)
    )


def test_shares_and_not_sizes_are_averaged():
    # By size the first map alone would say 1 and 2; as shares 2 leads, then 4.
    maps = [map_of([40, 40, 10, 10]), map_of([0, 0.5, 0, 0.5])]
    assert choose_regions(maps, 2) == ("2", "4")


@given(st.permutations(range(4)), st.integers(1, 4))
def test_the_first_of_one_map_come_in_their_own_order(order, n_regions):
    shares = np.array(order) + 1.0
    chosen = choose_regions([map_of(shares)], n_regions)
    assert set(chosen) == {str(k + 1) for k in np.argsort(-shares)[:n_regions]}
    assert list(chosen) == sorted(chosen)


def test_the_map_that_is_needed():
    settings = Selection(4, "gru", "deep-shap", "test").map_settings
    assert (settings.condition, settings.windows, settings.kind) == ("gru", "test", "deep-shap")


def test_errors():
    with pytest.raises(DataError, match="maps of one list of regions, not of 0"):
        choose_regions([], 1)
    with pytest.raises(DataError, match="maps of one list of regions, not of 2"):
        choose_regions([map_of([1, 2, 3, 4]), map_of([1, 2, 3, 4], ("a", "b", "c", "d"))], 1)
    with pytest.raises(DataError, match="3 regions are to be chosen, and the map gives a share to"):
        choose_regions([map_of([1, 2, 0, 0])], 3)
