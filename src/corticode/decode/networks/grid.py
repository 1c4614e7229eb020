"""Images in, means over a grid of cells out: what a CNN is to be compared with."""

from torch import Tensor, nn
from torch.nn import functional

N_CELLS = 16  # along each side
N_GRID_FEATURES = 3 * N_CELLS**2


class GridMeans(nn.Module):
    """Means of an image's channels over 16 x 16 cells; nothing is learned.

    Examples
    --------
    >>> import torch
    >>> GridMeans()(torch.ones(4, 3, 64, 64)).shape
    torch.Size([4, 768])
    """

    def forward(self, images: Tensor) -> Tensor:
        """Means, shape (image, 768), of images of shape (image, 3, row, column)."""
        return functional.adaptive_avg_pool2d(images, N_CELLS).flatten(1)
