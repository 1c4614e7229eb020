import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from corticode.decode.networks.recurrent import CELLS, RecurrentNetwork


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


@settings(max_examples=25, deadline=None)
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
