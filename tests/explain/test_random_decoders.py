"""Decoders that learnt nothing, beside those that did."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.fit import fit
from corticode.decode.settings import Network, Training
from corticode.explain.contributions import draw_background
from corticode.explain.deepshap import deep_shap
from corticode.explain.random_decoders import check_share, random_decoder, random_weight_maps


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
    return fit(windows, windows, Network(request.param, units=8), training)


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
