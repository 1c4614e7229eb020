"""Recurrent decoders of region traces."""

import torch
from torch import Tensor, nn

CELLS: dict[str, type[nn.RNN | nn.LSTM | nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentNetwork(nn.Module):
    """One recurrent layer over a window, then one dense layer.

    In one direction the last output is read; in two, the final state of each direction.

    Parameters
    ----------
    cell
        ``"rnn"`` (tanh), ``"lstm"`` or ``"gru"``.
    n_regions, n_units, n_outputs
        Sizes.
    bidirectional
        Whether a second cell reads the window backwards.

    References
    ----------
    Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074.

    Examples
    --------
    >>> network = RecurrentNetwork("gru", n_regions=50, n_units=32, n_outputs=1)
    >>> network(torch.zeros(4, 31, 50)).shape
    torch.Size([4, 1])
    >>> sum(p.numel() for p in network.parameters())
    8097
    """

    def __init__(
        self,
        cell: str,
        *,
        n_regions: int,
        n_units: int = 32,
        n_outputs: int = 1,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.recurrent = CELLS[cell](
            n_regions, n_units, batch_first=True, bidirectional=bidirectional
        )
        self.dense = nn.Linear(n_units * (2 if bidirectional else 1), n_outputs)
        self._start_weights(n_units)

    def _start_weights(self, n_units: int) -> None:
        """Glorot for inputs, orthogonal within a gate for states, zero biases, as Keras starts."""
        for name, weight in self.recurrent.named_parameters():
            for gate in torch.split(weight.data, n_units):
                if "weight_ih" in name:
                    # Keras draws all gates as one matrix: its fan-out counts every gate.
                    bound = (6 / (weight.shape[1] + weight.shape[0])) ** 0.5
                    nn.init.uniform_(gate, -bound, bound)
                elif "weight_hh" in name:
                    nn.init.orthogonal_(gate)
                else:
                    nn.init.zeros_(gate)
            if isinstance(self.recurrent, nn.LSTM) and "bias_ih" in name:
                nn.init.ones_(weight.data[n_units : 2 * n_units])
        nn.init.xavier_uniform_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, windows: Tensor) -> Tensor:
        """Logits, shape (window, output), of windows of shape (window, frame, region)."""
        outputs, state = self.recurrent(windows)
        if self.recurrent.bidirectional:
            hidden = state[0] if isinstance(state, tuple) else state
            last = torch.cat([hidden[0], hidden[1]], dim=1)
        else:
            last = outputs[:, -1]
        logits: Tensor = self.dense(last)
        return logits
