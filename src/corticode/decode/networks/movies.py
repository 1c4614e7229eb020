"""Decoders of movies: a backbone for each image, and what reads its features."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from corticode.decode.networks.binned import bin_images

HEADS = ("cnn", "cnn-gru", "cnn-lstm", "cnn-conv")
CELLS: dict[str, type[nn.LSTM | nn.GRU]] = {"cnn-gru": nn.GRU, "cnn-lstm": nn.LSTM}
DROPOUT = 0.2
N_TAPS = 3
DILATIONS = (1, 2)


class MovieNetwork(nn.Module):
    """A CNN, which sees each image once, and a head, which reads its features window by window.

    The head ``"cnn"`` is dropout (0.2) and a dense layer on the features of one image;
    ``"cnn-gru"`` and ``"cnn-lstm"`` are two recurrent layers with dropout (0.2) between them, over
    the features of consecutive images, and a dense layer on the last output; ``"cnn-conv"`` is two
    convolutions over time of 3 images each, the second of every other image, with ReLU after each
    and dropout between them, and a dense layer on their mean over the window.

    Parameters
    ----------
    cnn
        Images of shape (image, 3, row, column) -> features of shape (image, feature).
    head
        ``"cnn"``, ``"cnn-gru"``, ``"cnn-lstm"`` or ``"cnn-conv"``.
    n_features, n_units, n_outputs
        Sizes: what the CNN gives, units of each layer that reads a window, outputs.
    freeze_batch_norm
        Training uses the running statistics of batch normalisation and leaves them as they are
        (its weights are trained on). The attribute of that name may be changed; the next call of
        `train` heeds it.
    read
        Which images of a window are read, by their places in it; None: all. Who makes an index for
        `forward` heeds it.

    References
    ----------
    Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074.

    Examples
    --------
    Two windows of three images each, of which they share two:

    >>> from corticode.decode.networks.efficientnet import EfficientNet
    >>> network = MovieNetwork(EfficientNet("efficientnet-b0"), "cnn-gru").eval()
    >>> images = torch.zeros(4, 3, 32, 32)
    >>> network(images, torch.tensor([[0, 1, 2], [1, 2, 3]])).shape
    torch.Size([2, 1])
    >>> sum(p.numel() for p in network.parameters())
    4648189
    """

    def __init__(
        self,
        cnn: nn.Module,
        head: str,
        *,
        n_features: int = 1280,
        n_units: int = 128,
        n_outputs: int = 1,
        freeze_batch_norm: bool = False,
        read: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"there is no head {head!r}; take one of {HEADS}")
        self.head = head
        self.freeze_batch_norm = freeze_batch_norm
        self.read = None if read is None else tuple(read)
        self.cnn = cnn
        self.recurrent = nn.ModuleList()
        n_read = n_features
        if head in CELLS:
            for n_in in (n_features, n_units):
                self.recurrent.append(CELLS[head](n_in, n_units, batch_first=True))
            n_read = n_units
        self.over_time = nn.ModuleList()
        if head == "cnn-conv":
            for n_in, dilation in zip((n_features, n_units), DILATIONS, strict=True):
                self.over_time.append(
                    nn.Conv1d(n_in, n_units, N_TAPS, padding="same", dilation=dilation)
                )
            n_read = n_units
        self.dense = nn.Linear(n_read, n_outputs)
        self.train()

    def forward(self, images: Tensor, index: Tensor) -> Tensor:
        """Logits of windows of images.

        Parameters
        ----------
        images
            (image, 3, row, column); each passes the CNN once, however many windows it is in.
        index
            (window, image of window), int64: which of the images each window consists of (of
            those that are read), the first first. The head ``"cnn"`` takes one image a window.

        Returns
        -------
        Tensor
            (window, output).
        """
        return self.decide(self.features(images), index)

    def places(self, n_images: int) -> list[int]:
        """Places of the images that are read of a window of so many."""
        return list(range(n_images)) if self.read is None else list(self.read)

    def shrink(self, frames: Tensor) -> Tensor:
        """Frames, shape (frame, row, column), as small as the backbone makes them in any case.

        It bins each of an image's channels by itself, and a frame is in up to three images: so each
        frame is binned once, and what is read is the same.
        """
        bins = getattr(self.cnn, "bins", None)
        return frames if bins is None else bin_images(frames, bins)

    def features(self, images: Tensor) -> Tensor:
        """Features, shape (image, feature), of images of shape (image, 3, row, column)."""
        features: Tensor = self.cnn(images)
        return features

    def decide(self, features: Tensor, index: Tensor) -> Tensor:
        """Logits, shape (window, output), from features of shape (image, feature).

        `index`, shape (window, image of window), is that of `forward`.
        """
        if self.over_time:
            early, late = self.over_time
            courses = early(features[index].transpose(1, 2)).relu()
            read = late(self._drop(courses)).relu().mean(dim=2)
        elif not self.recurrent:
            if index.shape[1] != 1:
                raise ValueError(
                    f"the head 'cnn' reads one image a window, and was given {index.shape[1]}; "
                    "give an index of one column, or take another head"
                )
            read = self._drop(features[index[:, 0]])
        else:
            first, second = self.recurrent
            sequences, _ = first(features[index])
            sequences, _ = second(self._drop(sequences))
            read = sequences[:, -1]
        logits: Tensor = self.dense(read)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Set training (or evaluation) mode, but for batch normalisation that is frozen."""
        super().train(mode)
        if mode and self.freeze_batch_norm:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def _drop(self, values: Tensor) -> Tensor:
        """Values of which, in training, a share is set to 0.

        What is left out is drawn on the CPU (a fused pair of recurrent layers would draw on the
        device): the same on every device, from the one random state that is kept when training is
        interrupted.
        """
        if not self.training:
            return values
        kept = torch.rand(values.shape) >= DROPOUT
        return values * (kept.to(values) / (1 - DROPOUT))
