"""Maps against backgrounds of growing size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.fit import fit
from corticode.decode.settings import Network, Training
from corticode.errors import DataError, StudyError
from corticode.explain.background_convergence import compare_backgrounds, draw_backgrounds
from corticode.explain.contributions import draw_background
from corticode.explain.deepshap import deep_shap


def windows_of(regions=None):
    run = np.arange(900) // 15 % 2
    traces = np.random.default_rng(0).normal(size=(900, 8))
    traces[:, 3] += 3 * run
    names = tuple(str(k + 1) for k in range(8))
    session = Session("m1", "a", traces, names, {"run": run}, np.zeros(900, int))
    return cut_windows([session], Target("run"), WindowShape(2, 2), regions=regions)


WINDOWS = windows_of()


@pytest.fixture(scope="module")
def decoder():
    training = Training(epochs=4, batch_size=32, learning_rate=0.02)
    return fit(WINDOWS, WINDOWS, Network("gru", units=8), training)


@pytest.fixture(scope="module")
def explained():
    return WINDOWS.where(np.arange(0, WINDOWS.n_windows, 9))


def test_larger_backgrounds_come_nearer(decoder, explained):
    backgrounds = draw_backgrounds(WINDOWS, (2, 50, 200))
    found = compare_backgrounds(decoder, explained, backgrounds)
    table = found.table
    assert table["n_background"].tolist() == [2, 50, 200]
    assert table["largest_change"][0] > table["largest_change"][1] > table["largest_change"][2] == 0
    assert table["rank_correlation"].iloc[-1] == pytest.approx(1)
    assert table["region"].iloc[-1] == ""
    assert found.maps[-1].ranking()["region"][0] == "4"
    assert found.words.startswith("from 50 to 200 background windows no region's share changes by")


def test_each_row_is_its_own_map(decoder, explained):
    backgrounds = draw_backgrounds(WINDOWS, (20, 40))
    found = compare_backgrounds(decoder, explained, backgrounds)
    few, many = (deep_shap(decoder, explained, one).by_region() for one in backgrounds)
    row = found.table.iloc[0]
    assert row["largest_change"] == pytest.approx(np.abs(few - many).max())
    assert row["region"] == str(1 + np.argmax(np.abs(few - many)))
    assert row["rank_correlation"] == pytest.approx(spearmanr(few, many).statistic)
    assert row["top_share"] == pytest.approx(np.sort(few)[-4:].sum())


def test_regions_that_are_left_out_have_no_rank():
    windows = windows_of(regions=["not", 1, 2])
    decoder = fit(windows, windows, "linear-window", Training(penalty=(0.01,)))
    backgrounds = draw_backgrounds(windows, (10, 20))
    found = compare_backgrounds(decoder, windows.where(windows.frame % 30 == 0), backgrounds)
    few, many = (one.by_region()[2:] for one in found.maps)
    assert found.table["rank_correlation"][0] == pytest.approx(spearmanr(few, many).statistic)


@given(st.integers(0, 50))
def test_backgrounds_are_drawn_apart(seed):
    few, many = draw_backgrounds(WINDOWS, (10, 20), seed=seed)
    assert many.start.tolist() == draw_background(WINDOWS, 20, seed=seed).start.tolist()
    assert few.start.tolist() != draw_background(WINDOWS, 10, seed=seed).start.tolist()


def test_bad_input_says_the_way_out(decoder, explained):
    with pytest.raises(StudyError, match="backgrounds of 50, 20 windows do not show whether"):
        draw_backgrounds(WINDOWS, (50, 20))
    with pytest.raises(DataError, match="background windows need"):
        draw_backgrounds(WINDOWS, (50, 5000))
    with pytest.raises(StudyError, match="1 background shows no convergence"):
        compare_backgrounds(decoder, explained, draw_backgrounds(WINDOWS, (10, 20))[:1])
