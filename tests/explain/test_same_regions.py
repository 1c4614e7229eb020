"""The trained map's regions, looked up in maps of decoders that learnt nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.fit import fit
from corticode.decode.settings import Network, Training
from corticode.errors import DataError, StudyError
from corticode.explain.contributions import draw_background
from corticode.explain.deepshap import deep_shap
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.random_decoders import random_weight_maps
from corticode.explain.same_regions import check_same_regions, share_of_regions


def map_of(shares, names=None):
    return ImportanceMap(
        "deep-shap",
        "logit",
        ("frame", "region"),
        np.array([shares], dtype=np.float64),
        names=names or tuple(str(k + 1) for k in range(len(shares))),
        frames=(0,),
    )


def test_a_planted_region_is_not_that_of_random_decoders():
    run = np.arange(600) // 20 % 2
    traces = np.random.default_rng(0).normal(size=(600, 12))
    traces[:, 3] += 5 * run
    names = tuple(str(k + 1) for k in range(12))
    session = Session("m1", "a", traces, names, {"run": run}, np.zeros(600, int))
    windows = cut_windows([session], Target("run"), WindowShape(2, 2))
    training = Training(epochs=4, batch_size=32, learning_rate=0.02)
    decoder = fit(windows, windows, Network("gru", units=8), training)
    background = draw_background(windows, 20)
    trained = deep_shap(decoder, windows, background)
    others = list(random_weight_maps(decoder, windows, background, range(20)))
    found = check_same_regions([trained], others, "random weights", 1)
    assert found.passed
    assert found.limit < 0.4 < found.trained
    assert found.words.startswith("4: the first 1 regions hold 0.")


def test_regions_are_the_first_of_the_mean():
    trained = [map_of([5, 4, 1, 0]), map_of([5, 0, 4, 1])]
    # The others are as peaked, but elsewhere.
    others = [map_of([0, 1, 1, 8])] * 20
    found = check_same_regions(trained, others, "permuted labels", 2)
    assert found.trained == pytest.approx((0.6 + 0.9) / 2)
    assert found.limit == pytest.approx(0.1)
    assert found.words.startswith("1, 3: the first 2 regions hold 0.75 of the total; with permuted")


def test_few_others_say_nothing():
    found = check_same_regions([map_of([1, 2])], [map_of([2, 1])] * 19, "random weights", 1)
    assert found.passed is None
    assert "too few to say; 20 are needed" in found.words


@given(st.lists(st.floats(0.01, 10), min_size=3, max_size=8), st.integers(1, 3))
def test_own_first_regions_are_the_top_share(shares, n_regions):
    found = map_of(shares)
    names = list(found.ranking()["region"][:n_regions])
    assert share_of_regions(found, names) == pytest.approx(found.top_share(n_regions))


def test_bad_input_says_the_way_out():
    with pytest.raises(StudyError, match="the map has no region 9; it has 1, 2"):
        share_of_regions(map_of([1, 2]), ["1", "9"])
    with pytest.raises(DataError, match="0 trained maps"):
        check_same_regions([], [], "random weights")
    with pytest.raises(DataError, match="2 trained maps, over 2 lists of regions; give one map"):
        check_same_regions([map_of([1, 2]), map_of([1, 2], ("a", "b"))], [], "random weights")
