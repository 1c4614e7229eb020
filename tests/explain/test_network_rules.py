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
from corticode.explain.network_rules import rules_of

N_FRAMES, N_REGIONS = 9, 6
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
        seen, unseen = (rules.walk(x.transpose(0, 1)) for x in (windows, background))
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
