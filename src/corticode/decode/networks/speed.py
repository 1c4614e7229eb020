"""The network that decodes running speed, as the study has it."""

from itertools import pairwise

import torch
from torch import Tensor, nn

UNITS = (64, 32)
DENSE_UNITS = (16, 8)
DROPOUT = (0.3, 0.2, 0.1)
# Keras' batch normalisation; its momentum of 0.99 is the share that stays, PyTorch's what goes.
NORM_EPS = 1e-3
NORM_MOMENTUM = 0.01


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
