"""Agreement of maps by the shares of their regions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.stability import (
    DecoderMap,
    DecoderValues,
    compare_maps,
    compare_values,
    moment_of,
    rank_correlations,
)

NAMES = tuple("abcdef")


def map_of(shares, fold="f1", animal="m1", seed=0):
    found = ImportanceMap(
        "deep-shap",
        "logit",
        ("frame", "region"),
        np.array([shares, shares], dtype=np.float64),
        names=NAMES[: len(shares)],
        frames=(0, 1),
    )
    return DecoderMap(fold, animal, seed, found)


MAPS = [
    map_of([6, 5, 4, 3, 2, 1]),
    map_of([6, 5, 4, 3, 1, 2], seed=1),
    map_of([1, 5, 4, 3, 2, 6], fold="f2"),
    map_of([1, 2, 3, 4, 5, 6], fold="f3", animal="m2"),
]


def test_pairs_are_told_apart_by_what_differs():
    found = compare_maps(MAPS)
    assert found.pairs["differs"].tolist() == ["seed", "fold", "animal", "fold", "animal", "animal"]
    assert found.table["differs"].tolist() == ["seed", "fold", "animal"]
    assert found.table["n_pairs"].tolist() == [1, 2, 3]
    assert found.pairs["shared_top"].tolist() == [4, 3, 2, 3, 2, 3]
    assert found.pairs["a"].iloc[0] == "f1, seed 0"
    wanted = spearmanr([6, 5, 4, 3, 2, 1], [1, 5, 4, 3, 2, 6]).statistic
    assert found.pairs["rank_correlation"].iloc[1] == pytest.approx(wanted)
    assert found.words.startswith(
        "shares of regions in 4 maps: where the seed alone differs ranks correlate by 0.94 (lowest "
        "0.94, 1 pair) and 4.0 of the first 4 regions are the same; where the training animals"
    )


@given(st.lists(st.lists(st.integers(0, 5), min_size=5, max_size=5), min_size=2, max_size=4))
def test_ranks_correlate_as_scipy_says(rows):
    values = np.array(rows, dtype=np.float64)
    found = rank_correlations(values)
    for i, row in enumerate(values):
        for j, other in enumerate(values):
            if np.ptp(row) == 0 or np.ptp(other) == 0:
                assert np.isnan(found[i, j])
            else:
                assert found[i, j] == pytest.approx(spearmanr(row, other).statistic)


@given(st.lists(st.floats(0.1, 1000), min_size=4, max_size=4))
def test_magnitudes_play_no_part(factors):
    scaled = [
        replace(one, map=replace(one.map, absolute=one.map.absolute * factor))
        for one, factor in zip(MAPS, factors, strict=True)
    ]
    columns = ["rank_correlation", "cosine", "shared_top"]
    found = compare_maps(scaled).pairs[columns].to_numpy()
    assert found == pytest.approx(compare_maps(MAPS).pairs[columns].to_numpy())


def test_regions_that_no_decoder_saw_do_not_count():
    padded = [map_of([1, 2, 0, 3, 0]), map_of([2, 1, 0, 3, 0], seed=1)]
    whole = [map_of([1, 2, 3]), map_of([2, 1, 3], seed=1)]
    columns = ["rank_correlation", "cosine"]
    found, wanted = (compare_maps(maps).pairs[columns].to_numpy() for maps in (padded, whole))
    assert found == pytest.approx(wanted)


def test_bad_input_says_the_way_out():
    with pytest.raises(DataError, match="between maps, and 1 is given; give two or more"):
        compare_maps(MAPS[:1])
    with pytest.raises(DataError, match="different kinds or regions; compare maps"):
        compare_maps([MAPS[0], map_of([1, 2], seed=1)])
    with pytest.raises(DataError, match="two maps are of fold 'f1', animal 'm1' and seed 0"):
        compare_maps([MAPS[0], MAPS[0]])


class TestCosts:
    @staticmethod
    def of(values, fold="f1", animal="m1", seed=0):
        return DecoderValues(fold, animal, seed, np.array(values, dtype=np.float64))

    def test_the_dearest_come_first_whatever_their_sign(self):
        costs = [self.of([0.3, 0.1, 0.0, -0.4]), self.of([0.6, 0.2, 0.1, -0.1], seed=1)]
        found = compare_values(costs, what="costs of covering cells", parts="cells", n_top=1)
        assert found.table["rank_correlation"].tolist() == pytest.approx([1.0])
        assert found.table["shared_top"].tolist() == [1]
        assert found.words == (
            "costs of covering cells in 2 maps: where the seed alone differs ranks correlate by "
            "1.00 (lowest 1.00, 1 pair) and 1.0 of the first 1 cells are the same"
        )

    def test_refused(self):
        with pytest.raises(DataError, match="between maps, and 1 is given; give two or more"):
            compare_values([self.of([1, 2])])
        with pytest.raises(DataError, match="maps of 2 and of 3 parts cannot be compared"):
            compare_values([self.of([1, 2]), self.of([1, 2, 3], seed=1)])
        with pytest.raises(DataError, match="two maps are of fold 'f1', animal 'm1' and seed 0"):
            compare_values([self.of([1, 2]), self.of([2, 1])])


@pytest.mark.parametrize(
    ("centres", "is_determined"),
    [
        # t(2) is 4.30: 2.48 times the SD to either side, of a window of 31 frames 4.65 in all.
        ([9.1, 10.0, 10.9], True),
        ([9.0, 10.0, 11.0], False),
        ([9.1, np.nan, 10.9], False),
        ([9.1, 10.0, np.nan, 10.9], True),
        ([10.0, 10.0, 10.0], True),
        ([np.nan] * 3, False),
    ],
)
def test_a_moment_needs_three_maps_that_agree(centres, is_determined):
    assert moment_of(np.array(centres), 31).is_determined == is_determined
