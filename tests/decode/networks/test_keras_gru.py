import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from corticode.decode.networks.keras_gru import KerasGRUNetwork


def by_hand(windows, network):
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
        network(windows).detach().numpy(), by_hand(windows, network), rtol=0, atol=1e-5
    )


@settings(max_examples=40, deadline=None)
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
        logits.detach().numpy(), by_hand(windows, network), rtol=1e-5, atol=1e-5
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


def test_start_weights_are_those_of_keras():
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
