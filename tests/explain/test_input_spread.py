"""Contributions divided by how much the input varies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.fit import fit
from corticode.decode.settings import Network, Training
from corticode.errors import DataError, DecoderError
from corticode.explain.contributions import draw_background
from corticode.explain.deepshap import deep_shap
from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.explain.input_spread import divide_by_spread, input_spread, tabulate_spread
from corticode.explain.random_decoders import random_weight_maps

SPREAD = np.array([0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0])


def windows_of(scale="none", regions=None, over="session"):
    rng = np.random.default_rng(0)
    run = np.arange(600) // 20 % 2
    traces = rng.normal(size=(600, 8)) * SPREAD
    names = tuple(str(k + 1) for k in range(8))
    session = Session("m1", "a", traces, names, {"run": run}, np.zeros(600, int))
    return cut_windows(
        [session],
        Target("run"),
        WindowShape(1, 1),
        preprocessing=Preprocessing(scale=scale, scale_over=over),
        regions=regions,
    )


def decoder_of(windows):
    return fit(windows, windows, Network("gru", units=8), Training(epochs=1, batch_size=64))


def test_maps_that_learnt_nothing_follow_the_spread_until_it_is_divided_out():
    windows = windows_of()
    decoder = decoder_of(windows)
    spread = input_spread(decoder, windows)
    assert spread == pytest.approx(SPREAD, rel=0.1)
    maps = random_weight_maps(decoder, windows, draw_background(windows, 20), range(3))
    mean = np.mean([found.absolute for found in maps], axis=0)
    found = ImportanceMap(
        "deep-shap",
        "logit",
        ("frame", "region"),
        mean,
        names=windows.recipe.regions,
        frames=(-1, 0, 1),
    )
    table, words = tabulate_spread(found, spread)
    before, after = (
        np.corrcoef(table[name], table["input_sd"])[0, 1] for name in ("share", "share_per_sd")
    )
    assert before > 0.7
    assert abs(after) < before / 2
    assert words.startswith("a region's share correlates by ")
    assert sorted(table["rank"]) == list(range(1, 9))


def test_the_decoders_own_scale_counts():
    windows = windows_of("z-score", over="training")
    assert input_spread(decoder_of(windows), windows) == pytest.approx(np.ones(8), rel=0.05)


def test_regions_that_are_left_out_have_none():
    windows = windows_of(regions=["not", 1])
    decoder = decoder_of(windows)
    spread = input_spread(decoder, windows)
    assert spread[0] == 0
    found = deep_shap(decoder, windows, draw_background(windows, 10))
    assert divide_by_spread(found, spread).by_region()[0] == 0
    assert "1" not in tabulate_spread(found, spread)[0]["region"].tolist()


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=3), st.floats(0.1, 10))
def test_parts_are_divided_as_the_whole(spread, factor):
    values = np.array([[1.0, 2, 3], [4, 5, 6]])
    found = ImportanceMap(
        "deep-shap",
        "logit",
        ("frame", "region"),
        values,
        -values,
        names=("1", "2", "3"),
        frames=(0, 1),
        by_animal=(MapPart("m1", 3, None, values * factor),),
    )
    divided = divide_by_spread(found, np.array(spread))
    assert divided.absolute == pytest.approx(values / spread)
    assert divided.signed == pytest.approx(-divided.absolute)
    assert divided.by_animal[0].absolute == pytest.approx(divided.absolute * factor)
    assert divided.by_animal[0].signed is None


def test_bad_input_says_the_way_out():
    found = ImportanceMap("occlusion", "AUC", ("row", "column"), np.ones((2, 2)))
    with pytest.raises(DataError, match="a map over row, column cannot be divided"):
        divide_by_spread(found, np.ones(2))
    windows = windows_of()
    decoder = decoder_of(windows)
    made = deep_shap(decoder, windows, draw_background(windows, 10))
    with pytest.raises(DataError, match=r"the spread has shape \(3,\), the map 8 regions"):
        divide_by_spread(made, np.ones(3))
    other = replace(windows, recipe=replace(windows.recipe, window=WindowShape(2, 0)))
    with pytest.raises(DecoderError, match="another window"):
        input_spread(decoder, other)
