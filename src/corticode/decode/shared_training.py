"""One training for several fits that differ in their validation windows alone.

Twenty splits of five mice hold ten training sets: the splits that swap their validation and test
animal train on the same. Training never looks at validation windows unless patience ends it, so
that its weights at every validation can be kept, and each fit chooses among them by windows of
its own, with the result of having trained itself.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from corticode.data.files import write_bytes
from corticode.decode.decoder import state_bytes
from corticode.decode.settings import LINEAR, Network, Training

Leg = tuple[dict[str, Tensor], dict[str, float]]


def can_share(network: Network, training: Training) -> bool:
    """Whether a training is the same whatever the validation windows are.

    Examples
    --------
    >>> can_share(Network("gru"), Training()), can_share(Network("gru"), Training(patience=2))
    (True, False)
    """
    return network.kind not in LINEAR and training.patience is None


def keep_leg(
    folder: Path, number: int, weights: Mapping[str, Tensor], told: Mapping[str, float]
) -> None:
    """Keep the weights at a validation (from 1) and what training told of them."""
    tensors = dict(weights)
    text = json.dumps(dict(told)).encode("utf-8")
    tensors["told"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    write_bytes(_path(folder, number), state_bytes(tensors))


def has_legs(folder: Path, training: Training) -> bool:
    """Whether the weights of every validation are kept."""
    n_legs = training.epochs * training.validations
    return all(_path(folder, number).is_file() for number in range(1, n_legs + 1))


def read_leg(folder: Path, number: int) -> Leg | None:
    """What `keep_leg` kept; None where it is gone or damaged."""
    try:
        tensors = safetensors.torch.load(_path(folder, number).read_bytes())
        told = json.loads(bytes(tensors.pop("told").numpy()))
    except (OSError, SafetensorError, ValueError, KeyError):
        return None
    return tensors, told


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.safetensors"
