"""Tests."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from corticode.decode.networks.traces import (
    CELLS,
    KerasGRUNetwork,
    LinearNetwork,
    RecurrentNetwork,
    SpeedNetwork,
)


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("cell", "bidirectional", "n_parameters"),
    [
        # gates x (32 x 50 inputs + 32 x 32 states + 2 x 32 biases) + 32 weights and a bias
        ("rnn", False, 2721),
        ("gru", False, 8097),
        ("lstm", False, 10785),
        ("rnn", True, 5441),
        ("gru", True, 16193),
        ("lstm", True, 21569),
    ],
)
def test_parameters_of_the_study_s_sizes(cell, bidirectional, n_parameters):
    network = RecurrentNetwork(cell, n_regions=50, n_units=32, bidirectional=bidirectional)
    assert count(network) == n_parameters


@given(
    st.sampled_from(sorted(CELLS)),
    st.booleans(),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 6),
)
def test_outputs_have_a_row_a_window(cell, bidirectional, n_regions, n_units, n_outputs, n_frames):
    network = RecurrentNetwork(
        cell,
        n_regions=n_regions,
        n_units=n_units,
        n_outputs=n_outputs,
        bidirectional=bidirectional,
    )
    windows = torch.randn(3, n_frames, n_regions)
    logits = network(windows)
    assert logits.shape == (3, n_outputs)
    # Windows know nothing of each other.
    torch.testing.assert_close(network(windows[1:2]), logits[1:2], rtol=1e-4, atol=1e-5)


def by_hand(cell_of, x, weights):
    """The last hidden state of a cell that reads the frames of x in order."""
    w_ih, w_hh, b_ih, b_hh = weights
    h = torch.zeros(x.shape[0], w_hh.shape[1])
    c = torch.zeros_like(h)
    for frame in x.unbind(1):
        one, other = frame @ w_ih.T + b_ih, h @ w_hh.T + b_hh
        if cell_of == "rnn":
            h = torch.tanh(one + other)
        elif cell_of == "gru":
            (r1, z1, n1), (r2, z2, n2) = one.chunk(3, 1), other.chunk(3, 1)
            r, z = torch.sigmoid(r1 + r2), torch.sigmoid(z1 + z2)
            h = (1 - z) * torch.tanh(n1 + r * n2) + z * h
        else:
            i, f, g, o = (one + other).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
    return h


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("bidirectional", [False, True])
def test_reads_the_last_output_or_the_final_state_of_each_direction(cell, bidirectional):
    network = RecurrentNetwork(
        cell, n_regions=3, n_units=4, n_outputs=2, bidirectional=bidirectional
    )
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    windows = torch.randn(5, 7, 3)
    weights = dict(network.recurrent.named_parameters())
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    state = by_hand(cell, windows, [weights[name] for name in names])
    if bidirectional:
        back = [weights[f"{name}_reverse"] for name in names]
        state = torch.cat([state, by_hand(cell, windows.flip(1), back)], dim=1)
    expected = state @ network.dense.weight.T + network.dense.bias
    torch.testing.assert_close(network(windows), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_start_weights_are_those_of_keras(bidirectional):
    network = RecurrentNetwork("lstm", n_regions=50, n_units=32, bidirectional=bidirectional)
    bound = (6 / (50 + 4 * 32)) ** 0.5
    for name, weight in network.recurrent.named_parameters():
        if "weight_ih" in name:
            assert weight.abs().max() <= bound
            assert float(weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.05)
        elif "weight_hh" in name:
            for gate in weight.split(32):
                torch.testing.assert_close(gate @ gate.T, torch.eye(32), rtol=0, atol=1e-5)
        else:
            expected = torch.zeros(128)
            if "bias_ih" in name:
                expected[32:64] = 1  # the forget gate
            assert torch.equal(weight.data, expected)
    assert (network.dense.bias == 0).all()


def keras_by_hand(windows, network):
    """Keras' GRU with reset_after=False, gate by gate and frame by frame, in float64."""
    state_dict = {k: v.detach().numpy().astype(np.float64) for k, v in network.state_dict().items()}
    of_input = np.split(state_dict["input_weight"], 3)
    of_state = np.split(state_dict["state_weight"], 3)
    bias = np.split(state_dict["bias"], 3)
    said = []
    for window in windows.numpy().astype(np.float64):
        h = np.zeros(network.n_units)
        for x in window:
            z = np.clip(0.2 * (of_input[0] @ x + of_state[0] @ h + bias[0]) + 0.5, 0, 1)
            r = np.clip(0.2 * (of_input[1] @ x + of_state[1] @ h + bias[1]) + 0.5, 0, 1)
            candidate = np.tanh(of_input[2] @ x + of_state[2] @ (r * h) + bias[2])
            h = z * h + (1 - z) * candidate
        said.append(state_dict["dense.weight"] @ h + state_dict["dense.bias"])
    return np.array(said)


def random_network(n_regions, n_units, n_outputs=1, *, seed=0, sd=1.0):
    network = KerasGRUNetwork(n_regions=n_regions, n_units=n_units, n_outputs=n_outputs)
    draw = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=sd, generator=draw)
    return network


def test_one_unit_one_frame_by_hand():
    network = KerasGRUNetwork(n_regions=1, n_units=1)
    with torch.no_grad():
        network.input_weight.copy_(torch.tensor([[1.0], [7.0], [0.5]]))
        network.bias.copy_(torch.tensor([0.5, 0.0, 0.25]))
        network.dense.weight.fill_(2.0)
        network.dense.bias.fill_(0.1)
    # z = 0.2 (1 + 0.5) + 0.5 = 0.8; the state is (1 - 0.8) tanh(0.5 + 0.25).
    expected = 2 * 0.2 * np.tanh(0.75) + 0.1
    assert float(network(torch.ones(1, 1, 1)).detach()) == pytest.approx(expected, abs=1e-6)


def test_has_the_parameters_of_the_study():
    network = KerasGRUNetwork(n_regions=50, n_units=32, n_outputs=1)
    # 3 gates x (32 x 50 inputs + 32 x 32 states + 32 biases) + 32 weights and a bias
    assert sum(p.numel() for p in network.parameters()) == 8001


@pytest.mark.parametrize("sd", [None, 0.1, 1.0, 5.0])
def test_a_window_of_the_study_as_by_hand(sd):
    torch.manual_seed(0)
    if sd is None:
        network = KerasGRUNetwork(n_regions=50)
    else:
        network = random_network(50, 32, sd=sd)
        with torch.no_grad():
            # Gates from open to shut, and a dense layer that does not blow rounding up.
            network.state_weight.div_(max(1.0, 6 * sd))
            network.dense.weight.div_(32**0.5 * sd)
    windows = torch.rand(4, 31, 50, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(
        network(windows).detach().numpy(), keras_by_hand(windows, network), rtol=0, atol=1e-5
    )


@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(0, 2**31),
)
def test_any_size_as_by_hand(n_regions, n_units, n_outputs, n_frames, seed):
    network = random_network(n_regions, n_units, n_outputs, seed=seed)
    windows = torch.randn(3, n_frames, n_regions, generator=torch.Generator().manual_seed(seed))
    logits = network(windows)
    assert logits.shape == (3, n_outputs)
    np.testing.assert_allclose(
        logits.detach().numpy(), keras_by_hand(windows, network), rtol=1e-5, atol=1e-5
    )


def test_is_not_the_gru_of_pytorch():
    network, windows = random_network(3, 4), torch.randn(5, 7, 3)
    other = nn.GRU(3, 4, batch_first=True)
    update, reset, candidate = range(3)
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            ours = {"weight_ih": network.input_weight, "weight_hh": network.state_weight}
            given_here = ours.get(name[:9], network.bias if "bias_ih" in name else None)
            if given_here is None:
                getattr(other, name).zero_()
            else:
                gates = given_here.split(4)
                getattr(other, name).copy_(
                    torch.cat([gates[reset], gates[update], gates[candidate]])
                )
    said = network.dense(other(windows)[0][:, -1])
    assert float((said - network(windows)).abs().max().detach()) > 1e-2


def test_learns_through_all_its_weights():
    network = random_network(3, 4, sd=0.3)
    network(torch.randn(6, 5, 3)).square().sum().backward()
    assert all(bool((p.grad != 0).any()) for p in network.parameters())


def test_start_weights_of_the_keras_gru():
    network = KerasGRUNetwork(n_regions=50, n_units=32)
    for weight, bound in (
        (network.input_weight, (6 / (50 + 96)) ** 0.5),
        (network.dense.weight, (6 / 33) ** 0.5),
    ):
        assert float(weight.abs().max().detach()) <= bound
    spread = float(network.input_weight.detach().std())
    assert spread == pytest.approx((6 / 146) ** 0.5 / 3**0.5, rel=0.05)
    state = network.state_weight.detach()
    torch.testing.assert_close(state.T @ state, torch.eye(32), rtol=0, atol=1e-5)
    assert (network.bias == 0).all()
    assert (network.dense.bias == 0).all()


def test_weighted_sum_by_hand():
    network = LinearNetwork(2, n_regions=2)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
        network.bias.fill_(0.5)
    assert network(torch.tensor([[[1.0, 1.0], [0.0, 10.0]]])).tolist() == [[43.5]]


def test_starts_from_nothing():
    network = LinearNetwork(31, n_regions=50, n_outputs=3)
    assert network(torch.randn(4, 31, 50)).tolist() == [[0.0] * 3] * 4
    assert sum(p.numel() for p in network.parameters()) == 3 * (31 * 50 + 1)


@given(st.integers(0, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_frames_that_are_not_weighed_change_nothing(first, n_frames, n_regions, n_outputs):
    network = LinearNetwork(n_frames, first_frame=first, n_regions=n_regions, n_outputs=n_outputs)
    torch.nn.init.normal_(network.weight)
    windows = torch.randn(5, first + n_frames + 2, n_regions)
    logits = network(windows)
    expected = torch.einsum("wfr,ofr->wo", windows[:, first : first + n_frames], network.weight)
    torch.testing.assert_close(logits, expected + network.bias)
    windows[:, :first] = 7
    windows[:, first + n_frames :] = -7
    assert torch.equal(network(windows), logits)


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


@settings(max_examples=20)
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


def test_start_weights_of_the_speed_network(network):
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
