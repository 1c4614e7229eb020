"""Where training stands, kept on disk so that a killed run goes on where it was."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from corticode.data.files import write_bytes
from corticode.decode.decoder import ScaledNetwork, state_bytes
from corticode.errors import RunError

NUMBERS = (
    "fit",
    "epoch",
    "batch",
    "loss_sum",
    "n_seen",
    "n_parts",
    "seconds",
    "history",
    "best_loss",
    "best_epoch",
)


@dataclass
class TrainingState:
    """Where training stands; what a killed run needs to go on.

    `fit` says which fit it is in words, so that no other goes on from it. `n_parts` is 2 where the
    device's memory does not hold a whole batch.
    """

    network: ScaledNetwork
    optimiser: torch.optim.Adam
    fit: str = ""
    epoch: int = 1
    batch: int = 0
    loss_sum: float = 0.0
    n_seen: int = 0
    n_parts: int = 1
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_loss: float = float("inf")
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


def save_state(state: TrainingState, path: Path) -> None:
    """Write where training stands, whole or not at all."""
    tensors = {f"network.{k}": v for k, v in state.network.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in state.best.items()}
    for k, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{k}.{name}": value for name, value in moments.items()}
    numbers = {name: getattr(state, name) for name in NUMBERS}
    text = json.dumps(numbers).encode("utf-8")
    tensors["numbers"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    tensors["random"] = torch.get_rng_state()
    write_bytes(path, state_bytes(tensors))


def load_state(state: TrainingState, path: Path) -> None:
    """Bring a fresh training to where an interrupted one stood.

    Raises
    ------
    RunError
        The file is damaged, or another fit left it.
    """
    try:
        tensors = safetensors.torch.load(path.read_bytes())
        numbers = json.loads(bytes(tensors.pop("numbers").numpy()))
        found = numbers["fit"]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    if found != state.fit:
        raise RunError(
            f"the state of training in {path} was left by another fit ({found}; this one is "
            f"{state.fit}); delete the file, or give each fit its own"
        )
    try:
        torch.set_rng_state(tensors.pop("random"))
        state.network.load_state_dict(_under(tensors, "network."))
        state.best = _under(tensors, "best.")
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, "adam.").items():
            k, _, moment = name.partition(".")
            moments.setdefault(int(k), {})[moment] = value
        groups = state.optimiser.state_dict()["param_groups"]
        state.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        for name in NUMBERS:
            setattr(state, name, numbers[name])
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> RunError:
    reason = str(error).splitlines()[0]
    return RunError(
        f"the state of training in {path} is damaged ({reason}); delete the file, the fit then "
        "starts again"
    )


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
