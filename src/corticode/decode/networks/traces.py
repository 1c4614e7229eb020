"""Decoders of region traces: recurrent, linear, and the study's network for running speed."""

from itertools import pairwise

import torch
from torch import Tensor, nn

CELLS: dict[str, type[nn.RNN | nn.LSTM | nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
UNITS = (64, 32)
DENSE_UNITS = (16, 8)
DROPOUT = (0.3, 0.2, 0.1)
# Keras' batch normalisation; its momentum of 0.99 is the share that stays, PyTorch's what goes.
NORM_EPS = 1e-3
NORM_MOMENTUM = 0.01


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


class LinearNetwork(nn.Module):
    """A weighted sum of the regions over some frames of a window.

    Parameters
    ----------
    n_frames
        Frames of the window that are weighed: all of it, or 1.
    first_frame
        The first of them in the window.
    n_regions, n_outputs
        Sizes.

    Examples
    --------
    >>> LinearNetwork(1, first_frame=15, n_regions=50)(torch.zeros(4, 31, 50)).shape
    torch.Size([4, 1])
    """

    def __init__(
        self, n_frames: int, *, first_frame: int = 0, n_regions: int, n_outputs: int = 1
    ) -> None:
        super().__init__()
        self.first_frame = first_frame
        self.n_frames = n_frames
        self.weight = nn.Parameter(torch.zeros(n_outputs, n_frames, n_regions))
        self.bias = nn.Parameter(torch.zeros(n_outputs))

    def forward(self, windows: Tensor) -> Tensor:
        """Logits, shape (window, output), of windows of shape (window, frame, region)."""
        seen = windows[:, self.first_frame : self.first_frame + self.n_frames]
        logits: Tensor = torch.nn.functional.linear(
            seen.flatten(1), self.weight.flatten(1), self.bias
        )
        return logits


class SpeedNetwork(nn.Module):
    """Two GRU layers over a window, then three dense layers down to one value.

    A GRU of 64 units hands its outputs on to one of 32, of which the last is read. Before each
    dense layer (16 and 8 units, ReLU; 1 unit, linear) come batch normalisation and dropout (0.3,
    0.2, 0.1). The cells are PyTorch's (`torch.nn.GRU`).

    Parameters
    ----------
    n_regions
        Regions of a window.

    References
    ----------
    Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074, S5 Fig.

    Examples
    --------
    >>> network = SpeedNetwork(n_regions=50).eval()
    >>> network(torch.zeros(4, 31, 50)).shape
    torch.Size([4, 1])
    """

    def __init__(self, *, n_regions: int) -> None:
        super().__init__()
        sizes = (n_regions, *UNITS)
        self.recurrent = nn.ModuleList(
            nn.GRU(n_in, n_out, batch_first=True) for n_in, n_out in pairwise(sizes)
        )
        dense_sizes = (UNITS[-1], *DENSE_UNITS, 1)
        self.norm = nn.ModuleList(_BatchNorm(n_in) for n_in in dense_sizes[:-1])
        self.dropout = nn.ModuleList(_Dropout(share) for share in DROPOUT)
        self.dense = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(dense_sizes))
        self._start_weights()

    def _start_weights(self) -> None:
        """Glorot for inputs, orthogonal for states, zero biases, as Keras starts."""
        for name, parameter in self.named_parameters():
            if "norm" in name:
                continue
            if "weight_hh" in name:
                nn.init.orthogonal_(parameter)
            elif "weight" in name:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)

    def forward(self, windows: Tensor) -> Tensor:
        """Values, shape (window, 1), of windows of shape (window, frame, region)."""
        for layer in self.recurrent:
            windows, _ = layer(windows)
        values = windows[:, -1]
        for k, (norm, dropout, dense) in enumerate(
            zip(self.norm, self.dropout, self.dense, strict=True)
        ):
            values = dense(dropout(norm(values)))
            if k < len(DENSE_UNITS):
                values = values.relu()
        return values


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes a batch of one window, as an epoch's last one may be.

    One window has no spread; it is brought to the running statistics, which it leaves as they are.
    """

    def __init__(self, n_values: int) -> None:
        super().__init__(n_values, eps=NORM_EPS, momentum=NORM_MOMENTUM)

    def forward(self, values: Tensor) -> Tensor:
        if self.training and values.shape[0] > 1:
            return super().forward(values)
        return nn.functional.batch_norm(
            values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class _Dropout(nn.Module):
    """Dropout whose masks are drawn on the CPU.

    The same values are left out on every device, and the one random state that is kept when
    training is interrupted is that of the CPU.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            return values
        mask = torch.rand(values.shape) >= self.share
        return values * mask.to(values.device) / (1 - self.share)


# What rows of `corticode.decode.settings.NETWORKS` name: all are called alike, with the kind's
# name, the frames of the window and those before its centre, and sizes.


def build_recurrent(
    kind: str, *, n_regions: int, n_units: int, n_outputs: int, **_: int
) -> nn.Module:
    """One recurrent layer, in one direction or (``bi-``) two."""
    return RecurrentNetwork(
        kind.removeprefix("bi-"),
        n_regions=n_regions,
        n_units=n_units,
        n_outputs=n_outputs,
        bidirectional=kind.startswith("bi-"),
    )


def build_keras_gru(
    kind: str, *, n_regions: int, n_units: int, n_outputs: int, **_: int
) -> nn.Module:
    """The GRU of the study's code."""
    return KerasGRUNetwork(n_regions=n_regions, n_units=n_units, n_outputs=n_outputs)


def build_linear_frame(
    kind: str, *, before: int, n_regions: int, n_outputs: int, **_: int
) -> nn.Module:
    """A linear decoder of the centre frame."""
    return LinearNetwork(1, first_frame=before, n_regions=n_regions, n_outputs=n_outputs)


def build_linear_window(
    kind: str, *, n_frames: int, n_regions: int, n_outputs: int, **_: int
) -> nn.Module:
    """A linear decoder of the whole window."""
    return LinearNetwork(n_frames, n_regions=n_regions, n_outputs=n_outputs)


def build_speed(kind: str, *, n_regions: int, **_: int) -> nn.Module:
    """The study's network for running speed."""
    return SpeedNetwork(n_regions=n_regions)
