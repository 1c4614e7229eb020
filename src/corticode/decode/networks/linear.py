"""A linear decoder as a network, so that it predicts, saves and explains as the others do."""

import torch
from torch import Tensor, nn


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
