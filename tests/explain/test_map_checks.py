"""Decoders that learnt nothing, beside those that did."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, spearmanr, ttest_rel
from tests.conftest import again

from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.fit import fit
from corticode.decode.settings import Network, Training
from corticode.errors import DataError, DecoderError, StudyError
from corticode.explain.contributions import draw_background
from corticode.explain.deepshap import deep_shap
from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.explain.map_checks import (
    check_same_regions,
    check_share,
    compare_backgrounds,
    compare_with_permuted,
    divide_by_spread,
    draw_backgrounds,
    input_spread,
    random_decoder,
    random_weight_maps,
    share_of_regions,
)

SPREAD = np.array([0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0])


@pytest.fixture(scope="module")
def windows():
    run = np.arange(600) // 20 % 2
    traces = np.random.default_rng(0).normal(size=(600, 12))
    traces[:, 3] += 5 * run
    names = tuple(str(k + 1) for k in range(12))
    session = Session("m1", "a", traces, names, {"run": run}, np.zeros(600, int))
    return cut_windows([session], Target("run"), WindowShape(2, 2))


@pytest.fixture(scope="module", params=["gru", "linear-window"])
def decoder(request, windows):
    training = Training(epochs=4, batch_size=32, learning_rate=0.02)
    return fit(windows, again(windows), Network(request.param, units=8), training)


def map_over(values):
    """A map over two frames, between which each region's value is split."""
    absolute = np.stack([0.25 * np.array(values), 0.75 * np.array(values)])
    names = tuple(str(k + 1) for k in range(len(values)))
    return ImportanceMap(
        "deep-shap", "probability", ("frame", "region"), absolute, names=names, frames=(0, 1)
    )


class TestAgainstPermutedLabels:
    """Fig. 6B: the published test over decoders, and the paired one over animals."""

    @pytest.fixture
    def maps(self):
        rng = np.random.default_rng(0)
        animals = [f"m{k % 5 + 1}" for k in range(20)]
        planted = np.array([2.0, 0.0, 0.0, 1.0, 0.0, 0.0])
        trained, permuted = (
            [(animal, map_over(rng.uniform(0.5, 1.0, 6) + gain * planted)) for animal in animals]
            for gain in (1.0, 0.0)
        )
        return trained, permuted

    def test_are_scipy_s(self, maps):
        trained, permuted = maps
        table = compare_with_permuted(trained, permuted).set_index("region")
        here, there = (np.array([m.absolute.sum(axis=0) for _, m in part]) for part in maps)
        animal = np.array([name for name, _ in trained])
        means = [
            np.array([part[animal == f"m{k}"].mean(axis=0) for k in range(1, 6)])
            for part in (here, there)
        ]
        for k, region in enumerate("123456"):
            row = table.loc[region]
            p = mannwhitneyu(here[:, k], there[:, k], method="asymptotic").pvalue
            assert row["p_splits"] == pytest.approx(p)
            assert row["p"] == pytest.approx(ttest_rel(means[0][:, k], means[1][:, k]).pvalue)
            assert row["value"] == pytest.approx(here[:, k].mean())
            assert row["permuted_value"] == pytest.approx(there[:, k].mean())
            assert row["difference"] == pytest.approx((means[0] - means[1])[:, k].mean())
        assert (table["n_decoders"] == 20).all()
        assert (table["n_animals"] == 5).all()

    def test_planted_regions_alone_differ_once_adjusted(self, maps):
        table = compare_with_permuted(*maps).set_index("region")
        for column in ("p_splits_holm", "p_holm"):
            assert (table[column] < 0.05).to_dict() == {r: r in "14" for r in "123456"}
        smallest = table["p_splits"].min()
        assert table["p_splits_holm"].min() == pytest.approx(6 * smallest)

    def test_an_animal_without_permuted_decoders_has_no_difference(self, maps):
        trained, permuted = maps
        table = compare_with_permuted(trained, [one for one in permuted if one[0] != "m3"])
        assert (table["n_animals"] == 4).all()
        assert (table["n_permuted"] == 16).all()

    def test_without_maps(self, maps):
        with pytest.raises(DataError, match="20 maps and 0 of permuted labels"):
            compare_with_permuted(maps[0], [])


def test_a_trained_map_is_above_random_ones(decoder, windows):
    background = draw_background(windows, 20)
    trained = deep_shap(decoder, windows, background)
    assert trained.ranking()["region"][0] == "4"
    maps = list(random_weight_maps(decoder, windows, background, range(20)))
    shares = [found.top_share(1) for found in maps]
    assert max(shares) < 1
    found = check_share([trained.top_share(1)], shares, "random weights", 1)
    assert found.passed
    assert found.n_control == 20


def test_the_seed_alone_fixes_the_weights(decoder):
    before = torch.get_rng_state()
    first, again, other = (random_decoder(decoder, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    states = [one.network.state_dict() for one in (first, again, other)]
    weights = [name for name in states[0] if name.startswith("inner")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in weights)
    assert any(not torch.equal(states[0][name], states[2][name]) for name in weights)
    assert any(
        not torch.equal(states[0][name], decoder.network.state_dict()[name]) for name in weights
    )


@given(st.lists(st.floats(0, 1), min_size=20, max_size=40), st.floats(0, 1))
def test_passed_means_above_the_percentile(others, share):
    found = check_share([share], others, "permuted labels")
    assert found.passed == (share > np.percentile(others, 95))
    assert ("no more than its decoder's form" in found.words) == (not found.passed)


def test_too_few_say_nothing():
    found = check_share([0.9], [0.1] * 19, "random weights")
    assert found.passed is None
    assert "of 19 decoders: too few to say; 20 are needed" in found.words
    none = check_share([0.9], [], "permuted labels")
    assert none.passed is None
    assert none.words.endswith("no decoder with permuted labels stands beside")


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
    decoder = fit(windows, again(windows), Network("gru", units=8), training)
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


def convergence_windows(regions=None):
    run = np.arange(900) // 15 % 2
    traces = np.random.default_rng(0).normal(size=(900, 8))
    traces[:, 3] += 3 * run
    names = tuple(str(k + 1) for k in range(8))
    session = Session("m1", "a", traces, names, {"run": run}, np.zeros(900, int))
    return cut_windows([session], Target("run"), WindowShape(2, 2), regions=regions)


WINDOWS = convergence_windows()


@pytest.fixture(scope="module")
def convergence_decoder():
    training = Training(epochs=4, batch_size=32, learning_rate=0.02)
    return fit(WINDOWS, again(WINDOWS), Network("gru", units=8), training)


@pytest.fixture(scope="module")
def explained():
    return WINDOWS.where(np.arange(0, WINDOWS.n_windows, 9))


def test_larger_backgrounds_come_nearer(convergence_decoder, explained):
    backgrounds = draw_backgrounds(WINDOWS, (2, 50, 200))
    found = compare_backgrounds(convergence_decoder, explained, backgrounds)
    table = found.table
    assert table["n_background"].tolist() == [2, 50, 200]
    assert table["largest_change"][0] > table["largest_change"][1] > table["largest_change"][2] == 0
    assert table["rank_correlation"].iloc[-1] == pytest.approx(1)
    assert table["region"].iloc[-1] == ""
    assert found.maps[-1].ranking()["region"][0] == "4"
    assert found.words.startswith("from 50 to 200 background windows no region's share changes by")


def test_each_row_is_its_own_map(convergence_decoder, explained):
    backgrounds = draw_backgrounds(WINDOWS, (20, 40))
    found = compare_backgrounds(convergence_decoder, explained, backgrounds)
    few, many = (deep_shap(convergence_decoder, explained, one).by_region() for one in backgrounds)
    row = found.table.iloc[0]
    assert row["largest_change"] == pytest.approx(np.abs(few - many).max())
    assert row["region"] == str(1 + np.argmax(np.abs(few - many)))
    assert row["rank_correlation"] == pytest.approx(spearmanr(few, many).statistic)
    assert row["top_share"] == pytest.approx(np.sort(few)[-4:].sum())


def test_regions_that_are_left_out_have_no_rank():
    windows = convergence_windows(regions=["not", 1, 2])
    convergence_decoder = fit(windows, again(windows), "linear-window", Training(penalty=(0.01,)))
    backgrounds = draw_backgrounds(windows, (10, 20))
    found = compare_backgrounds(
        convergence_decoder, windows.where(windows.frame % 30 == 0), backgrounds
    )
    few, many = (one.by_region()[2:] for one in found.maps)
    assert found.table["rank_correlation"][0] == pytest.approx(spearmanr(few, many).statistic)


@given(st.integers(0, 50))
def test_backgrounds_are_drawn_apart(seed):
    few, many = draw_backgrounds(WINDOWS, (10, 20), seed=seed)
    assert many.start.tolist() == draw_background(WINDOWS, 20, seed=seed).start.tolist()
    assert few.start.tolist() != draw_background(WINDOWS, 10, seed=seed).start.tolist()


def test_bad_backgrounds_say_the_way_out(convergence_decoder, explained):
    with pytest.raises(StudyError, match="backgrounds of 50, 20 windows do not show whether"):
        draw_backgrounds(WINDOWS, (50, 20))
    with pytest.raises(DataError, match="background windows need"):
        draw_backgrounds(WINDOWS, (50, 5000))
    with pytest.raises(StudyError, match="1 background shows no convergence"):
        compare_backgrounds(convergence_decoder, explained, draw_backgrounds(WINDOWS, (10, 20))[:1])


def spread_windows(scale="none", regions=None, over="session"):
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
    return fit(windows, again(windows), Network("gru", units=8), Training(epochs=1, batch_size=64))


def test_maps_that_learnt_nothing_follow_the_spread_until_it_is_divided_out():
    windows = spread_windows()
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
    shares = found.by_region(), divide_by_spread(found, spread).by_region()
    before, after = (np.corrcoef(share, spread)[0, 1] for share in shares)
    assert before > 0.7
    assert abs(after) < before / 2


def test_the_decoders_own_scale_counts():
    windows = spread_windows("z-score", over="training")
    assert input_spread(decoder_of(windows), windows) == pytest.approx(np.ones(8), rel=0.05)


def test_regions_that_are_left_out_have_none():
    windows = spread_windows(regions=["not", 1])
    decoder = decoder_of(windows)
    spread = input_spread(decoder, windows)
    assert spread[0] == 0
    found = deep_shap(decoder, windows, draw_background(windows, 10))
    assert divide_by_spread(found, spread).by_region()[0] == 0


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


def test_bad_spreads_say_the_way_out():
    found = ImportanceMap("occlusion", "AUC", ("row", "column"), np.ones((2, 2)))
    with pytest.raises(DataError, match="a map over row, column cannot be divided"):
        divide_by_spread(found, np.ones(2))
    windows = spread_windows()
    decoder = decoder_of(windows)
    made = deep_shap(decoder, windows, draw_background(windows, 10))
    with pytest.raises(DataError, match=r"the spread has shape \(3,\), the map 8 regions"):
        divide_by_spread(made, np.ones(3))
    other = replace(windows, recipe=replace(windows.recipe, window=WindowShape(2, 0)))
    with pytest.raises(DecoderError, match="another window"):
        input_spread(decoder, other)
