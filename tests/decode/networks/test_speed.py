import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.decode.networks.speed import SpeedNetwork


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SpeedNetwork(n_regions=5)


def test_has_the_layers_of_the_study(network):
    n_trained = sum(p.numel() for p in SpeedNetwork(n_regions=50).parameters())
    # GRU cells: 3 gates x (inputs + states + 2 biases); dense layers; 2 a normalised value.
    cells = 3 * 64 * (50 + 64 + 2) + 3 * 32 * (64 + 32 + 2)
    dense = 33 * 16 + 17 * 8 + 9
    assert n_trained == cells + dense + 2 * (32 + 16 + 8)
    assert [layer.hidden_size for layer in network.recurrent] == [64, 32]
    assert [layer.share for layer in network.dropout] == [0.3, 0.2, 0.1]
    assert [(layer.eps, layer.momentum) for layer in network.norm] == [(1e-3, 0.01)] * 3


def test_as_by_hand(network):
    windows = torch.randn(4, 7, 5)
    for norm in network.norm:
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    network.eval()
    values = network.recurrent[1](network.recurrent[0](windows)[0])[0][:, -1].detach().numpy()
    for k in range(3):
        norm, dense = network.norm[k], network.dense[k]
        mean, variance = norm.running_mean.numpy(), norm.running_var.numpy()
        values = (values - mean) / np.sqrt(variance + 1e-3)
        values = values * norm.weight.detach().numpy() + norm.bias.detach().numpy()
        values = values @ dense.weight.detach().numpy().T + dense.bias.detach().numpy()
        if k < 2:
            values = np.maximum(values, 0)
    np.testing.assert_allclose(network(windows).detach().numpy(), values, rtol=1e-4, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5))
def test_windows_know_nothing_of_each_other(n_regions, n_frames, n_windows):
    network = SpeedNetwork(n_regions=n_regions).eval()
    windows = torch.randn(n_windows, n_frames, n_regions)
    said = network(windows)
    assert said.shape == (n_windows, 1)
    torch.testing.assert_close(network(windows[:1]), said[:1], rtol=1e-4, atol=1e-5)


def test_dropout_leaves_out_its_share_and_keeps_the_mean(network):
    values = torch.ones(2000, 50)
    for layer, share in zip(network.dropout, (0.3, 0.2, 0.1), strict=True):
        kept = layer(values)
        assert float((kept == 0).float().mean()) == pytest.approx(share, abs=0.01)
        assert kept.max() == pytest.approx(1 / (1 - share))
        assert torch.equal(layer.eval()(values), values)


def test_dropout_follows_the_random_state(network):
    windows = torch.randn(8, 3, 5)
    said = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        said.append(network(windows))
    assert torch.equal(said[0], said[1])
    assert not torch.equal(said[0], said[2])


def test_a_batch_of_one_window_trains(network):
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network(torch.randn(1, 3, 5)).sum().backward()
    assert network.dense[2].bias.grad is not None
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


def test_batches_move_the_running_statistics(network):
    network(torch.randn(16, 3, 5))
    assert all((norm.running_mean != 0).any() for norm in network.norm)


def test_start_weights_are_those_of_keras(network):
    for name, parameter in network.named_parameters():
        weight = parameter.detach()
        if "norm" in name:
            assert (weight == float("weight" in name)).all()
        elif "bias" in name:
            assert (weight == 0).all()
        elif "weight_hh" in name:
            torch.testing.assert_close(
                weight.T @ weight, torch.eye(weight.shape[1]), rtol=0, atol=1e-5
            )
        else:
            assert weight.abs().max() <= (6 / sum(weight.shape)) ** 0.5
