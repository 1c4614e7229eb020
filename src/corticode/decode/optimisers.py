"""Optimisers and how their step size goes over a training."""

import math

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from corticode.decode.settings import Training

WARM_UP = 0.25
FIRST_SHARE, LAST_SHARE = 1 / 25, 1e-5
FASTAI_BETAS = (0.95, 0.85)
FASTAI_DECAY = 0.01


def make_optimiser(network: nn.Module, training: Training) -> torch.optim.Adam:
    """Adam as PyTorch has it, or with the settings that fastai gives it.

    `fastai-adam`: weight decay 0.01 apart from the gradient, on weights but not on biases and
    batch norms; second beta 0.99; epsilon 1e-5.

    References
    ----------
    Howard J, Gugger S (2020), Information 11(2): 108, https://doi.org/10.3390/info11020108;
    Loshchilov I, Hutter F (2019), Decoupled weight decay regularization, ICLR.
    """
    if training.optimiser == "adam":
        return torch.optim.Adam(network.parameters(), lr=training.learning_rate)
    groups = [
        {"params": parameters, "weight_decay": decay}
        for parameters, decay in zip(_by_decay(network), (FASTAI_DECAY, 0.0), strict=True)
    ]
    return torch.optim.AdamW(
        groups, lr=training.learning_rate, betas=(FASTAI_BETAS[0], 0.99), eps=1e-5
    )


def _by_decay(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters that decay, and those that do not."""
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            free = isinstance(module, _BatchNorm) or "bias" in name
            (others if free else decaying).append(parameter)
    return decaying, others


def set_step(optimiser: torch.optim.Adam, training: Training, progress: float) -> None:
    """Set the step size (and fastai's first beta) for where training stands.

    Parameters
    ----------
    progress
        Share of all steps that are done, 0 to 1.
    """
    if training.schedule == "constant":
        return
    rate = training.learning_rate * one_cycle(progress, FIRST_SHARE, 1.0, LAST_SHARE)
    for group in optimiser.param_groups:
        group["lr"] = rate
        if training.optimiser == "fastai-adam":
            high, low = FASTAI_BETAS
            group["betas"] = (one_cycle(progress, high, low, high), group["betas"][1])


def one_cycle(progress: float, first: float, middle: float, last: float) -> float:
    """A value that goes from first to middle over the first quarter, then to last, along cosines.

    References
    ----------
    Smith LN, Topin N (2019), Super-convergence, https://doi.org/10.1117/12.2520589.

    Examples
    --------
    >>> [one_cycle(p, 0.04, 1.0, 0.0) for p in (0.0, 0.25, 1.0)]
    [0.04, 1.0, 0.0]
    """
    if progress < WARM_UP:
        return _along_cosine(first, middle, progress / WARM_UP)
    return _along_cosine(middle, last, (progress - WARM_UP) / (1 - WARM_UP))


def _along_cosine(first: float, last: float, share: float) -> float:
    return first + (last - first) * (1 - math.cos(math.pi * share)) / 2
