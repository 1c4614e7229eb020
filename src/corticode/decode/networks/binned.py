"""Backbones that read images made small: means of cells, principal components, a small CNN."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

N_CELLS = 16  # along each side
N_CHANNELS = 3
FILTERS = (16, 32, 8)
NORM_GROUPS = 4
N_SMALL_FEATURES = 64


def bin_images(images: Tensor, bins: int) -> Tensor:
    """Means over bins x bins equal parts of each image, pixels counted by how much lies in a part.

    Parameters
    ----------
    images
        (..., row, column).
    bins
        Along each side; an image with fewer pixels is shown as it is, pixels repeated.

    Returns
    -------
    Tensor
        (..., bins, bins); binned again, the same.

    Examples
    --------
    >>> bin_images(torch.arange(16.0).reshape(4, 4), 2).tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    n_rows, n_columns = images.shape[-2:]
    if n_rows == n_columns == bins:
        return images
    over_rows = _shares(n_rows, bins, images.device, images.dtype)
    over_columns = _shares(n_columns, bins, images.device, images.dtype)
    return over_rows @ (images @ over_columns.t())


@lru_cache(maxsize=8)
def _shares(n_pixels: int, bins: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """What each pixel along a side counts in the mean of each bin, (bin, pixel)."""
    # What is kept from inference could not be part of a gradient later.
    with torch.inference_mode(False):
        edges = torch.arange(bins + 1, dtype=torch.float64) * n_pixels / bins
        pixels = torch.arange(n_pixels, dtype=torch.float64)
        ends = torch.minimum(edges[1:, None], pixels + 1)
        within = (ends - torch.maximum(edges[:-1, None], pixels)).clamp(min=0)
        return (within * bins / n_pixels).to(device, dtype)


class GridMeans(nn.Module):
    """Means of an image's channels over 16 x 16 cells; nothing is learned.

    Examples
    --------
    >>> GridMeans()(torch.ones(4, 3, 64, 64)).shape
    torch.Size([4, 768])
    """

    n_features = N_CHANNELS * N_CELLS**2

    def forward(self, images: Tensor) -> Tensor:
        """Means, shape (image, 768), of images of shape (image, 3, row, column)."""
        return functional.adaptive_avg_pool2d(images, N_CELLS).flatten(1)


class SmallCNN(nn.Module):
    """A small CNN for images of neural activity: binned, two strided convolutions, few features.

    Images are binned to `bins` x `bins`; convolutions of 16 filters of 5 x 5 and 32 of 3 x 3, each
    of stride 2, are followed by group norm and SiLU; 8 filters of a pixel each and a dense layer
    give 64 features. What an image gives depends on no other image: there are no batch statistics.

    Parameters
    ----------
    bins
        Along each side of an image.

    References
    ----------
    Group norm: Wu & He (2018), doi:10.1007/978-3-030-01261-8_1.

    Examples
    --------
    >>> cnn = SmallCNN()
    >>> cnn(torch.zeros(4, 3, 128, 100)).shape
    torch.Size([4, 64])
    >>> sum(p.numel() for p in cnn.parameters())
    39048
    """

    n_features = N_SMALL_FEATURES

    def __init__(self, bins: int = 32) -> None:
        super().__init__()
        self.bins = bins
        first, second, third = FILTERS
        self.convolutions = nn.Sequential(
            nn.Conv2d(N_CHANNELS, first, 5, stride=2, padding=2),
            nn.GroupNorm(NORM_GROUPS, first),
            nn.SiLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.GroupNorm(NORM_GROUPS, second),
            nn.SiLU(),
            nn.Conv2d(second, third, 1),
        )
        # Each convolution of stride 2 halves a side, an odd one upwards.
        side = -(-bins // 4)
        self.dense = nn.Linear(third * side**2, N_SMALL_FEATURES)

    def forward(self, images: Tensor) -> Tensor:
        """Features, shape (image, 64), of images of shape (image, 3, row, column)."""
        seen = self.convolutions(bin_images(images, self.bins))
        features: Tensor = self.dense(seen.flatten(1))
        return features


class PrincipalComponents(nn.Module):
    """How strongly each of some patterns is in the channels of a binned image; nothing is trained.

    The patterns are those that frames given to `learn` vary most by; before that, 0.

    Parameters
    ----------
    n_components
        Patterns.
    bins
        Along each side of an image.

    Examples
    --------
    >>> components = PrincipalComponents(2, bins=4)
    >>> components.learn(torch.randn(100, 4, 4))
    >>> components(torch.zeros(5, 3, 16, 16)).shape
    torch.Size([5, 6])
    """

    patterns: Tensor

    def __init__(self, n_components: int, bins: int = 32) -> None:
        super().__init__()
        self.bins = bins
        self.n_features = N_CHANNELS * n_components
        self.register_buffer("patterns", torch.zeros(n_components, bins**2))

    def learn(self, frames: Tensor) -> None:
        """Take the patterns from frames, (frame, bins, bins), and their scale: SD 1 over all.

        Components of binned frames about 0, by the eigenvectors of their second moments.
        """
        seen = frames.flatten(1).double()
        strengths, vectors = torch.linalg.eigh(seen.t() @ seen / len(seen))
        n_components = len(self.patterns)
        patterns = vectors[:, -n_components:].flip(1).t()
        # Of a pattern and its negative, that whose largest value is above 0.
        largest = patterns.gather(1, patterns.abs().argmax(dim=1, keepdim=True))
        patterns = patterns * largest.sign()
        scale = strengths[-n_components:].clamp(min=0).mean().sqrt()
        self.patterns.copy_(patterns / scale if scale > 0 else patterns)

    def forward(self, images: Tensor) -> Tensor:
        """Strengths, (image, 3 x pattern), of images of shape (image, 3, row, column)."""
        return (bin_images(images, self.bins).flatten(2) @ self.patterns.t()).flatten(1)


# What rows of `corticode.decode.settings.BACKBONES` name: all are called alike, with the
# backbone's name and settings.


def build_grid(backbone: str, **_: object) -> nn.Module:
    """Means of cells."""
    return GridMeans()


def build_components(backbone: str, *, components: int, bins: int, **_: object) -> nn.Module:
    """Room for so many principal components."""
    return PrincipalComponents(components, bins)


def build_small(backbone: str, *, bins: int, **_: object) -> nn.Module:
    """The small CNN on so many bins."""
    return SmallCNN(bins)
