"""EfficientNet: images in, pooled features out."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv2d_input

N_FEATURES = 1280
N_STEM = 32
# Of each stage: expansion, kernel, stride, channels, blocks. B0 and Lite0 have the same.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
N_BLOCKS = sum(stage[-1] for stage in STAGES)
BACKBONES = ("efficientnet-b0", "efficientnet-lite0")
# Batch-norm eps and momentum; TensorFlow's momentum of 0.99 is the share that stays.
NORM = {"torch": (1e-5, 0.1), "tensorflow": (1e-3, 0.01)}
FEW_PIXELS = 64
"""Up to so many of a filtered image, the gradient of a filter of single channels is our own."""


class EfficientNet(nn.Module):
    """EfficientNet-B0 or -Lite0, without or with a classifier.

    Modules and parameters have the names that torchvision gives them (``features.0.0.weight`` to
    ``features.8.1.bias``). Lite0 is B0 without squeeze-excitation, and with ReLU6 for SiLU.

    Weights fit the flavour they were trained in and no other: the two see an image of even size
    shifted by a pixel at each stride of 2. torchvision's weights and those of timm's
    ``efficientnet_b0`` are of flavour ``"torch"``; those of `efficientnet_pytorch` (which the study
    used), of timm's ``tf_efficientnet_...`` and of Lite0's package are ``"tensorflow"``.

    Parameters
    ----------
    backbone
        ``"efficientnet-b0"`` or ``"efficientnet-lite0"``.
    flavour
        ``"torch"``: the same padding on both sides; batch-norm eps 1e-5, momentum 0.1.
        ``"tensorflow"``: "same" padding, found from the size of the images, which is uneven where
        a convolution of stride 2 meets an even size; eps 1e-3, momentum 0.01.
    drop_connect
        In training a block with a way around it is left out, image by image, with a probability
        that grows from 0 in the first block towards this.
    n_classes
        Outputs of a linear classifier on the features, after a dropout of 0.2; without it the
        features are the output.

    References
    ----------
    Tan & Le (2019), EfficientNet: rethinking model scaling for convolutional neural networks,
    arXiv:1905.11946. Stochastic depth: Huang et al. (2016), doi:10.1007/978-3-319-46493-0_39.

    Examples
    --------
    >>> cnn = EfficientNet("efficientnet-b0").eval()
    >>> cnn(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 1280])
    >>> sum(p.numel() for p in cnn.parameters())
    4007548
    """

    def __init__(
        self,
        backbone: str = "efficientnet-b0",
        *,
        flavour: str = "torch",
        drop_connect: float = 0.2,
        n_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.n_features = N_FEATURES if n_classes is None else n_classes
        if backbone not in BACKBONES:
            raise ValueError(f"there is no backbone {backbone!r}; take one of {BACKBONES}")
        if flavour not in NORM:
            raise ValueError(f"there is no flavour {flavour!r}; take one of {tuple(NORM)}")
        self.backbone = backbone
        self.flavour = flavour
        is_lite = backbone == "efficientnet-lite0"
        activation: type[nn.Module] = nn.ReLU6 if is_lite else nn.SiLU
        self.features = nn.Sequential(_unit(3, N_STEM, 3, stride=2, then=activation))
        n_in, n_before = N_STEM, 0
        for expansion, kernel, stride, n_out, n_blocks in STAGES:
            stage = nn.Sequential()
            for k in range(n_blocks):
                unit_stride = stride if k == 0 else 1
                layers = _layers(
                    n_in, n_out, expansion, kernel, unit_stride, activation, excites=not is_lite
                )
                share = drop_connect * (n_before + k) / N_BLOCKS
                stage.append(_Block(layers, unit_stride == 1 and n_in == n_out, share))
                n_in = n_out
            n_before += n_blocks
            self.features.append(stage)
        self.features.append(_unit(n_in, N_FEATURES, 1, then=activation))
        self.classifier = (
            None
            if n_classes is None
            else nn.Sequential(nn.Dropout(0.2), nn.Linear(N_FEATURES, n_classes))
        )
        self._take_flavour()
        self._start_weights()
        # Convolutions then work, and give images, with the channels of a pixel side by side:
        # on a CPU the same images pass in two thirds of the time.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _take_flavour(self) -> None:
        eps, momentum = NORM[self.flavour]
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps, module.momentum = eps, momentum
            elif isinstance(module, _Convolution):
                module.pads_as_tensorflow = self.flavour == "tensorflow"

    def _start_weights(self) -> None:
        """He's normal weights by fan-out, zero biases."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.weight[0, 0].numel() * module.out_channels / module.groups
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Features, shape (image, 1280), of images of shape (image, 3, row, column)."""
        features: Tensor = self.features(images).mean((2, 3))
        if self.classifier is not None:
            features = self.classifier(features)
        return features


def build(backbone: str, *, flavour: str, drop_connect: float, **_: object) -> nn.Module:
    """The EfficientNet of a row of `corticode.decode.settings.BACKBONES`."""
    return EfficientNet(backbone, flavour=flavour, drop_connect=drop_connect)


def _unit(
    n_in: int,
    n_out: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    then: type[nn.Module] | None = None,
) -> nn.Sequential:
    """A convolution, batch normalisation, and an activation where one is given."""
    layers: list[nn.Module] = [
        _Convolution(n_in, n_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(n_out),
    ]
    if then is not None:
        # Nothing before it needs its own output in the backward pass.
        layers.append(then(inplace=True))
    return nn.Sequential(*layers)


def _layers(
    n_in: int,
    n_out: int,
    expansion: int,
    kernel: int,
    stride: int,
    activation: type[nn.Module],
    *,
    excites: bool,
) -> nn.Sequential:
    """The layers of a block: widen, filter each channel by itself, weigh channels, narrow."""
    n_wide = n_in * expansion
    layers: list[nn.Module] = []
    if expansion > 1:
        layers.append(_unit(n_in, n_wide, 1, then=activation))
    layers.append(_unit(n_wide, n_wide, kernel, stride=stride, groups=n_wide, then=activation))
    if excites:
        layers.append(_SqueezeExcitation(n_wide, n_in // 4))
    layers.append(_unit(n_wide, n_out, 1))
    return nn.Sequential(*layers)


class _Convolution(nn.Conv2d):
    """A convolution that pads as PyTorch does or as TensorFlow does."""

    pads_as_tensorflow = False

    def forward(self, images: Tensor) -> Tensor:
        # Both pad kernel // 2 on each side, but for stride 2 and an even size: there TensorFlow
        # leaves the first row (column) away.
        less = [self.stride[0] == 2 and size % 2 == 0 for size in images.shape[2:]]
        is_few = self._has_few_pixels(images)
        if not is_few and not (self.pads_as_tensorflow and any(less)):
            return super().forward(images)
        after = self.kernel_size[0] // 2
        top, left = (after - (is_less and self.pads_as_tensorflow) for is_less in less)
        padded = functional.pad(images, (left, after, top, after))
        if is_few:
            filtered: Tensor = _FewPixels.apply(  # type: ignore[no-untyped-call]
                padded, self.weight, self.stride[0]
            )
            return filtered
        return functional.conv2d(padded, self.weight, stride=self.stride, groups=self.groups)

    def _has_few_pixels(self, images: Tensor) -> bool:
        """Whether each channel is filtered by itself, to a small image, in training on a CPU."""
        n_pixels = images.shape[2] * images.shape[3] / self.stride[0] ** 2
        return (
            self.groups == self.in_channels > 1
            and n_pixels <= FEW_PIXELS
            and images.device.type == "cpu"
            and torch.is_grad_enabled()
            and self.weight.requires_grad
            and not torch.is_autocast_enabled("cpu")
        )


class _FewPixels(torch.autograd.Function):
    """A convolution of each channel by itself, as ever, but for the gradient of its weights.

    On a CPU torch's own is slow for small images of many channels; `benchmarks/movie_training.py`
    measures what a training step gains.
    """

    @staticmethod
    def forward(context: Any, padded: Tensor, weight: Tensor, stride: int) -> Tensor:
        context.save_for_backward(padded, weight)
        context.stride = stride
        return functional.conv2d(padded, weight, stride=stride, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        padded, weight = context.saved_tensors
        stride, n_channels = context.stride, len(weight)
        of_images = conv2d_input(  # type: ignore[no-untyped-call]
            padded.shape, weight, gradient, stride=stride, groups=n_channels
        )
        reach = [stride * (size - 1) + 1 for size in gradient.shape[2:]]
        of_weights = torch.empty_like(weight)
        for row in range(weight.shape[2]):
            for column in range(weight.shape[3]):
                rows = slice(row, row + reach[0], stride)
                columns = slice(column, column + reach[1], stride)
                seen = padded[:, :, rows, columns]
                of_weights[:, 0, row, column] = (seen * gradient).sum((0, 2, 3))
        return of_images, of_weights, None


class _SqueezeExcitation(nn.Module):
    """Channels weighed by what their means over the image say."""

    def __init__(self, n_channels: int, n_squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(n_channels, n_squeezed, 1)
        self.fc2 = nn.Conv2d(n_squeezed, n_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean((2, 3), keepdim=True)
        weights: Tensor = self.fc2(functional.silu(self.fc1(means))).sigmoid()
        return images * weights


class _Block(nn.Module):
    """Layers and, where sizes allow, a way around them."""

    def __init__(self, layers: nn.Sequential, has_way_around: bool, share_dropped: float) -> None:
        super().__init__()
        self.block = layers
        self.has_way_around = has_way_around
        self.share_dropped = share_dropped

    def forward(self, images: Tensor) -> Tensor:
        changed: Tensor = self.block(images)
        if not self.has_way_around:
            return changed
        if self.training and self.share_dropped > 0:
            # Drawn on the CPU: the same on every device, from the one random state that is kept
            # when training is interrupted.
            kept = torch.rand(len(images), 1, 1, 1) >= self.share_dropped
            changed = changed * (kept.to(changed) / (1 - self.share_dropped))
        return changed.add_(images)
