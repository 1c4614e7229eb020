"""Tests."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
import torch
from torch import nn

from corticode.decode.networks.traces import (
    CELLS,
    KerasGRUNetwork,
    LinearNetwork,
    RecurrentNetwork,
    SpeedNetwork,
)
from corticode.errors import DecoderError
from corticode.explain.deepshap_rules import rules_of, slope_between

N_FRAMES, N_REGIONS = 9, 6


class Rescaled(torch.autograd.Function):
    """A nonlinearity whose backward pass, for rows (window, background), is Rescale."""

    @staticmethod
    def forward(ctx, entering, leaving):
        ctx.save_for_backward(entering, leaving)
        return leaving.clone()

    @staticmethod
    def backward(ctx, multiplier):
        entering, leaving = ctx.saved_tensors
        slope = (leaving[0] - leaving[1]) / (entering[0] - entering[1])
        return multiplier * slope, None


class Product(torch.autograd.Function):
    """A product whose backward pass, for rows (window, background), is the mean of both orders."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, multiplier):
        a, b = ctx.saved_tensors
        return multiplier * b.mean(0), multiplier * a.mean(0)


def nonlinear(function, entering):
    return Rescaled.apply(entering, function(entering).detach())


def sigmoid(entering):
    return nonlinear(torch.sigmoid, entering)


def tanh(entering):
    return nonlinear(torch.tanh, entering)


def unrolled(network, both):
    """The logits of rows (window, background), written out; another way to the same rules."""
    layer, times = network.recurrent, Product.apply
    state = memory = torch.zeros(2, layer.hidden_size, dtype=both.dtype)
    for frame in both.unbind(1):
        seen = frame @ layer.weight_ih_l0.t() + layer.bias_ih_l0
        recalled = state @ layer.weight_hh_l0.t() + layer.bias_hh_l0
        if isinstance(layer, nn.GRU):
            (r, z, n), (hr, hz, hn) = seen.chunk(3, 1), recalled.chunk(3, 1)
            n_out = tanh(n + times(sigmoid(r + hr), hn))
            state = n_out + times(sigmoid(z + hz), state - n_out)
        elif isinstance(layer, nn.LSTM):
            i, f, g, o = (seen + recalled).chunk(4, 1)
            memory = times(sigmoid(f), memory) + times(sigmoid(i), tanh(g))
            state = times(sigmoid(o), tanh(memory))
        else:
            state = tanh(seen + recalled)
    return network.dense(state)


def contributions(network, window, background, n_frames):
    rules = rules_of(network, n_frames)
    seen, unseen = (rules.forward_pass(x.transpose(0, 1)) for x in (window, background))
    ones = torch.ones(window.shape[0], background.shape[0], 1, dtype=window.dtype)
    return rules.contributions(seen, unseen, ones) / background.shape[0]


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_multipliers_are_those_of_an_unrolled_cell(cell):
    torch.manual_seed(0)
    network = RecurrentNetwork(cell, n_regions=4, n_units=5).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.8)
    both = torch.randn(2, 6, 4, dtype=torch.float64, requires_grad=True)
    (multipliers,) = torch.autograd.grad(unrolled(network, both)[0].sum(), both)
    # The gradient reaches the window's row; the background's has none of its own.
    expected = multipliers[0] * (both[0] - both[1])
    found = contributions(network, both[:1].detach(), both[1:].detach(), 6)[0]
    torch.testing.assert_close(found, expected.detach(), rtol=1e-9, atol=1e-12)


def shapley(function, window, background):
    """Shapley values over all coalitions of the regions of one window and one background."""
    n_regions = window.shape[-1]
    values = torch.zeros(n_regions, dtype=window.dtype)
    for region in range(n_regions):
        others = [k for k in range(n_regions) if k != region]
        for size in range(n_regions):
            weight = factorial(size) * factorial(n_regions - size - 1) / factorial(n_regions)
            for chosen in combinations(others, size):
                without = background.clone()
                without[..., list(chosen)] = window[..., list(chosen)]
                whole = without.clone()
                whole[..., region] = window[..., region]
                values[region] += weight * (function(whole) - function(without)).item()
    return values


def sparse_(network, n_units, gates):
    """Let each gate of each unit read one region of its own; no bias within the reset gate."""
    weight = network.recurrent.weight_ih_l0.data
    kept = torch.zeros_like(weight)
    for gate in range(gates):
        for unit in range(n_units):
            kept[gate * n_units + unit, (gate + unit) % weight.shape[1]] = 2.0 + unit
    weight.copy_(kept)
    nn.init.zeros_(network.recurrent.bias_hh_l0)


@pytest.mark.parametrize(("cell", "gates"), [("gru", 3), ("rnn", 1)])
def test_shapley_values_by_brute_force_where_the_rule_is_exact(cell, gates):
    # In the first frame the new state is n - z n, a product of two quantities of one region each.
    torch.manual_seed(1)
    network = RecurrentNetwork(cell, n_regions=5, n_units=3).double()
    sparse_(network, 3, gates)
    window, background = torch.randn(2, 1, 1, 5, dtype=torch.float64)
    expected = shapley(network, window, background)
    assert (expected.abs() > 1e-3).sum() >= 3
    found = contributions(network, window, background, 1)[0, 0]
    with torch.no_grad():
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_shapley_values_of_the_hard_sigmoid_cell():
    torch.manual_seed(2)
    network = KerasGRUNetwork(n_regions=4, n_units=2).double()
    kept = torch.zeros(6, 4)
    for row, region in enumerate((0, 1, 3, 3, 2, 3)):
        kept[row, region] = 1.5
    network.input_weight.data.copy_(kept)
    # Values beyond the hard sigmoid's kinks among them.
    window, background = 3 * torch.randn(2, 1, 1, 4, dtype=torch.float64)
    expected = shapley(network, window, background)
    found = contributions(network, window, background, 1)[0, 0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_small_differences_take_the_derivative():
    entering, background = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 3.0]])
    slopes = slope_between(
        (entering, entering**2), (background, background**2), torch.tensor([[2.0, 2.0]])
    )
    np.testing.assert_allclose(slopes.numpy(), [[[2.0, 4.0]]])


FORMS = [(cell, n, both) for cell in CELLS for n in (1, 2) for both in (False, True)]


class Stacked(RecurrentNetwork):
    """The recurrent network with more than one layer."""

    def __init__(self, cell, n_layers, bidirectional):
        super().__init__(cell, n_regions=N_REGIONS, n_units=8, bidirectional=bidirectional)
        self.recurrent = CELLS[cell](
            N_REGIONS, 8, n_layers, batch_first=True, bidirectional=bidirectional
        )

    def forward(self, windows):
        _, state = self.recurrent(windows)
        hidden = state[0] if isinstance(state, tuple) else state
        last = hidden[-2:] if self.recurrent.bidirectional else hidden[-1:]
        return self.dense(torch.cat(list(last), dim=1))


def spread(network):
    """Weights large enough that gates leave their linear range."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean)
    return network.eval()


def networks():
    torch.manual_seed(0)
    found = {f"{'bi-' * both}{cell}-{n}": Stacked(cell, n, both) for cell, n, both in FORMS}
    found["speed"] = SpeedNetwork(n_regions=N_REGIONS)
    found["gru-keras"] = KerasGRUNetwork(n_regions=N_REGIONS, n_units=8)
    found["linear-frame"] = LinearNetwork(1, first_frame=4, n_regions=N_REGIONS)
    found["linear-window"] = LinearNetwork(N_FRAMES, n_regions=N_REGIONS)
    found["relu"] = Stacked("rnn", 1, False)
    found["relu"].recurrent = nn.RNN(N_REGIONS, 8, batch_first=True, nonlinearity="relu")
    found["no-bias"] = Stacked("gru", 1, False)
    found["no-bias"].recurrent = nn.GRU(N_REGIONS, 8, batch_first=True, bias=False)
    return {name: spread(network) for name, network in found.items()}


NETWORKS = networks()


def explained(network, windows, background):
    """Contributions, and what they have to add up to."""
    with torch.no_grad():
        rules = rules_of(network, N_FRAMES)
        seen, unseen = (rules.forward_pass(x.transpose(0, 1)) for x in (windows, background))
        torch.testing.assert_close(seen.outputs, network(windows))
        ones = windows.new_ones(windows.shape[0], background.shape[0], 1)
        values = rules.contributions(seen, unseen, ones) / background.shape[0]
        return values, (network(windows) - network(background).mean(0))[:, 0]


@pytest.mark.parametrize("name", NETWORKS)
def test_contributions_add_up_and_are_those_of_double_precision(name):
    network = NETWORKS[name]
    torch.manual_seed(1)
    windows, background = torch.randn(7, N_FRAMES, N_REGIONS), torch.randn(5, N_FRAMES, N_REGIONS)
    values, differences = explained(network, windows, background)
    error = (values.sum((1, 2)) - differences).abs().max() / differences.abs().max()
    assert error < 1e-5
    network.double()
    try:
        reference, differences = explained(network, windows.double(), background.double())
    finally:
        network.float()
    error = (reference.sum((1, 2)) - differences).abs().max() / differences.abs().max()
    # Where a difference is small the derivative is taken, which is a little off.
    assert error < 1e-7
    torch.testing.assert_close(values.double(), reference, rtol=1e-3, atol=1e-4)


def test_linear_networks_contribute_weight_times_difference():
    network = NETWORKS["linear-frame"]
    windows, background = torch.randn(3, N_FRAMES, N_REGIONS), torch.randn(4, N_FRAMES, N_REGIONS)
    values, _ = explained(network, windows, background)
    expected = torch.zeros_like(windows)
    expected[:, 4] = network.weight[0, 0].detach() * (windows - background.mean(0))[:, 4]
    torch.testing.assert_close(values, expected)


def test_forms_without_a_rule_are_named_with_the_alternatives():
    with pytest.raises(DecoderError, match=r"no rule for a Conv1d; it has for .* gru-keras"):
        rules_of(nn.Conv1d(1, 1, 1), N_FRAMES)
    projected = Stacked("lstm", 1, False)
    projected.recurrent = nn.LSTM(N_REGIONS, 8, batch_first=True, proj_size=2)
    with pytest.raises(DecoderError, match=r"recurrent layer LSTM\(.*Take expected_gradients"):
        rules_of(projected, N_FRAMES)
