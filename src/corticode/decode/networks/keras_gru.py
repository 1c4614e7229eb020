"""The GRU of the study's released code: Keras' old cell, which is another than PyTorch's."""

import torch
from torch import Tensor, nn


class KerasGRUNetwork(nn.Module):
    """One layer of Keras' old GRU cell over a window, its last state, then one dense layer.

    Gates are hard sigmoids, clip(0.2 x + 0.5, 0, 1); the reset gate weighs the state before the
    recurrent product, not after it; there is one bias. `torch.nn.GRU` differs in all three.

    Parameters
    ----------
    n_regions, n_units, n_outputs
        Sizes.

    References
    ----------
    Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074. The cell is that of Cho et al. (2014),
    doi:10.3115/v1/D14-1179.

    Examples
    --------
    >>> network = KerasGRUNetwork(n_regions=50, n_units=32, n_outputs=1)
    >>> network(torch.zeros(4, 31, 50)).shape
    torch.Size([4, 1])
    >>> sum(p.numel() for p in network.parameters())
    8001
    """

    def __init__(self, *, n_regions: int, n_units: int = 32, n_outputs: int = 1) -> None:
        super().__init__()
        self.n_units = n_units
        # Rows: update gate, reset gate, candidate state.
        self.input_weight = nn.Parameter(torch.empty(3 * n_units, n_regions))
        self.state_weight = nn.Parameter(torch.empty(3 * n_units, n_units))
        self.bias = nn.Parameter(torch.zeros(3 * n_units))
        self.dense = nn.Linear(n_units, n_outputs)
        nn.init.xavier_uniform_(self.input_weight)
        # Keras draws the recurrent weights of all gates as one matrix with orthonormal columns.
        nn.init.orthogonal_(self.state_weight)
        nn.init.xavier_uniform_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, windows: Tensor) -> Tensor:
        """Logits, shape (window, output), of windows of shape (window, frame, region)."""
        n_units = self.n_units
        # One product serves all frames; frames come first so that each is a contiguous block.
        frames = windows.transpose(0, 1)
        products = nn.functional.linear(frames, self.input_weight, self.bias)
        for_gates = 0.2 * products[..., : 2 * n_units] + 0.5
        for_candidate = products[..., 2 * n_units :]
        to_gates = self.state_weight[: 2 * n_units].t()
        to_candidate = self.state_weight[2 * n_units :].t()
        state = windows.new_zeros(windows.shape[0], n_units)
        for gate_input, candidate_input in zip(
            for_gates.unbind(0), for_candidate.unbind(0), strict=True
        ):
            gates = torch.addmm(gate_input, state, to_gates, alpha=0.2).clamp(0, 1)
            update, reset = gates.chunk(2, dim=1)
            candidate = torch.addmm(candidate_input, reset * state, to_candidate).tanh()
            state = torch.lerp(candidate, state, update)
        logits: Tensor = self.dense(state)
        return logits
