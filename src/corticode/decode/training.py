"""The training loop: parts of an epoch, each closed by a validation; resumable at any batch.

Twenty splits of five mice hold ten training sets: the splits that swap their validation and test
animal train on the same. Training never looks at validation windows unless patience ends it, so
that its weights at every validation can be kept, and each fit chooses among them by windows of
its own, with the result of having trained itself.
"""

import json
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from corticode.data.files import write_bytes
from corticode.data.windows import Windows
from corticode.decode.augment import augment_traces
from corticode.decode.decoder import ScaledNetwork, state_bytes
from corticode.decode.movie_batches import MovieBatches
from corticode.decode.networks.movies import MovieNetwork
from corticode.decode.settings import LINEAR, Augment, Network, Training
from corticode.decode.trace_batches import TraceBatches, random_start
from corticode.errors import CorticodeWarning, MachineError, RunError, StudyError

NUMBERS = (
    "fit",
    "epoch",
    "batch",
    "loss_sum",
    "n_right",
    "n_seen",
    "n_parts",
    "seconds",
    "history",
    "best_loss",
    "best_epoch",
)
WARM_UP = 0.25
FIRST_SHARE, LAST_SHARE = 1 / 25, 1e-5
FASTAI_BETAS = (0.95, 0.85)
FASTAI_DECAY = 0.01
STATE_EVERY_S = 600.0


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
    n_right: float = 0.0
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
        # States of older versions do not count windows that were right.
        numbers.setdefault("n_right", math.nan)
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


Checkpoint = tuple[dict[str, Tensor], dict[str, float]]


def can_share(network: Network, training: Training) -> bool:
    """Whether a training is the same whatever the validation windows are.

    Examples
    --------
    >>> can_share(Network("gru"), Training()), can_share(Network("gru"), Training(patience=2))
    (True, False)
    """
    return network.kind not in LINEAR and training.patience is None


def keep_checkpoint(
    folder: Path, number: int, weights: Mapping[str, Tensor], told: Mapping[str, float]
) -> None:
    """Keep the weights at a validation (from 1) and what training told of them."""
    tensors = dict(weights)
    text = json.dumps(dict(told)).encode("utf-8")
    tensors["told"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    write_bytes(_path(folder, number), state_bytes(tensors))


def has_checkpoints(folder: Path, training: Training) -> bool:
    """Whether the weights of every validation are kept."""
    n_legs = training.epochs * training.validations
    return all(_path(folder, number).is_file() for number in range(1, n_legs + 1))


def read_checkpoint(folder: Path, number: int) -> Checkpoint | None:
    """What `keep_checkpoint` kept; None where it is gone or damaged."""
    try:
        tensors = safetensors.torch.load(_path(folder, number).read_bytes())
        told = json.loads(bytes(tensors.pop("told").numpy()))
    except (OSError, SafetensorError, ValueError, KeyError):
        return None
    return tensors, told


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.safetensors"


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


Report = Callable[[int, Mapping[str, float]], None]


Inputs = tuple[Tensor, ...]


class Judged(NamedTuple):
    """The mean loss over some windows, and how many of them are decoded right (at 0.5)."""

    loss: Tensor
    n_right: Tensor


def train_network(
    state: TrainingState,
    train: Windows,
    valid: Windows,
    training: Training,
    seed: int,
    state_path: Path | None = None,
    report: Report | None = None,
    checkpoints: Path | None = None,
) -> TrainingState:
    """Train until the last epoch, or until patience ends; the best weights are in the state.

    With `checkpoints`, a folder, the weights at every validation are kept there for other fits;
    where all are there already they are taken, and nothing is trained.

    Raises
    ------
    StudyError
        The loss is no longer a number.
    MachineError
        The device's memory does not hold half a batch.
    RunError
        The state of training is damaged, or another fit left it.
    """
    batches = _batches_for(state.network, train, training, seed)
    checks = _batches_for(state.network, valid, training, seed)
    if (
        checkpoints is not None
        and has_checkpoints(checkpoints, training)
        and _choose(state, checks, training, checkpoints)
    ):
        return state
    if state_path is not None and state_path.is_file():
        load_state(state, state_path)
    while state.epoch <= training.epochs and not _is_out_of_patience(state, training):
        n_batches = batches.n_batches(state.epoch)
        n_legs = training.validations
        ends = [round(n_batches * k / n_legs) for k in range(1, n_legs + 1)]
        stop = next(end for end in ends if end > state.batch)
        _train_to_validation(state, batches, training, seed, stop, state_path)
        told = {
            "epoch": float((state.epoch - 1) + stop / n_batches),
            "train_loss": state.loss_sum / state.n_seen,
            "train_accuracy": state.n_right / state.n_seen,
            "train_s": state.seconds,
            "train_windows": float(state.n_seen),
        }
        row = _validate(state, checks, training, told)
        if checkpoints is not None:
            own = state.network.state_dict()
            keep_checkpoint(
                checkpoints, len(state.history), own, told | {"n_parts": float(state.n_parts)}
            )
        if report is not None:
            report(len(state.history), row)
        if stop == n_batches:
            state.epoch, state.batch = state.epoch + 1, 0
        state.loss_sum, state.n_right, state.n_seen, state.seconds = 0.0, 0.0, 0, 0.0
        if state_path is not None:
            save_state(state, state_path)
    return state


def _batches_for(
    network: ScaledNetwork, windows: Windows, training: Training, seed: int
) -> TraceBatches | MovieBatches:
    device = network.input_gain.device.type
    inner = network.inner
    if isinstance(inner, MovieNetwork):
        return MovieBatches(windows, training, seed=seed, device=device, network=inner)
    return TraceBatches(windows, training, seed=seed, device=device)


def _choose(
    state: TrainingState, checks: TraceBatches | MovieBatches, training: Training, checkpoints: Path
) -> bool:
    """Choose among the weights that another fit's training kept; whether all could be read."""
    start = {name: t.detach().clone() for name, t in state.network.state_dict().items()}
    for number in range(1, training.epochs * training.validations + 1):
        kept = read_checkpoint(checkpoints, number)
        if kept is None:
            state.network.load_state_dict(start)
            state.history, state.best, state.n_parts = [], {}, 1
            state.best_loss, state.best_epoch = float("inf"), 0
            return False
        weights, told = kept
        state.n_parts = int(told.pop("n_parts"))
        state.network.load_state_dict(weights)
        _validate(state, checks, training, told)
    return True


def can_choose(valid: Windows) -> bool:
    """Whether validation windows can choose an epoch: they hold more than one class."""
    return valid.recipe.target.kind == "value" or np.unique(valid.target).size > 1


def _is_out_of_patience(state: TrainingState, training: Training) -> bool:
    if training.patience is None:
        return False
    return len(state.history) - state.best_epoch >= training.patience


def _train_to_validation(
    state: TrainingState,
    batches: TraceBatches | MovieBatches,
    training: Training,
    seed: int,
    stop: int,
    state_path: Path | None,
) -> None:
    """Batches up to the next validation, or what is left of them."""
    device, n_batches = batches.device, batches.n_batches(state.epoch)
    if state.batch == 0:
        # Where training goes on within an epoch, the state it was left in was put back instead.
        seed_device(device, random_start(seed=seed, epoch=state.epoch))
    began = saved = time.monotonic()
    if isinstance(state.network.inner, MovieNetwork):
        state.network.inner.freeze_batch_norm = training.freeze_batch_norm
    state.network.train()
    total = torch.zeros((), device=device)
    n_right = torch.zeros((), device=device)
    for inputs, targets in batches.of_epoch(state.epoch, state.batch, stop):
        progress = (state.epoch - 1 + state.batch / n_batches) / training.epochs
        set_step(state.optimiser, training, progress)
        inputs = _augmented(inputs, state, training, seed)
        judged = _step(state, inputs, targets, batches.windows, training)
        total += judged.loss * targets.shape[0]
        n_right += judged.n_right
        state.n_seen += targets.shape[0]
        state.batch += 1
        if state_path is not None and time.monotonic() - saved > STATE_EVERY_S:
            saved = time.monotonic()
            state.loss_sum += float(total)
            state.n_right += float(n_right)
            total.zero_()
            n_right.zero_()
            state.seconds += saved - began
            began = saved
            save_state(state, state_path)
    state.loss_sum += float(total)
    state.n_right += float(n_right)
    state.seconds += time.monotonic() - began


def _augmented(inputs: Inputs, state: TrainingState, training: Training, seed: int) -> Inputs:
    """A training batch as its augmentation varies it; frames of movies were, before images."""
    if training.augment == Augment() or len(inputs) > 1:
        return inputs
    network = state.network
    windows = augment_traces(
        inputs[0],
        training.augment,
        network.input_offset,
        network.input_gain,
        seed=seed,
        epoch=state.epoch,
        batch=state.batch,
    )
    return (windows,)


def seed_device(device: str, seed: int) -> None:
    """Seed torch's generator, and a GPU's where the fit runs on one."""
    torch.default_generator.manual_seed(seed)
    if device == "cuda":
        torch.cuda.manual_seed(seed)


def _step(
    state: TrainingState, inputs: Inputs, targets: Tensor, windows: Windows, training: Training
) -> Judged:
    """One step; where the device's memory does not hold the batch, its two halves in turn."""
    try:
        return _step_in_parts(state, inputs, targets, windows, training)
    except torch.OutOfMemoryError as error:
        state.optimiser.zero_grad(set_to_none=True)
        if state.n_parts > 1:
            raise _too_large(targets) from error
    state.n_parts = 2
    warnings.warn(
        f"the device's memory does not hold a batch of {targets.shape[0]} windows; from here on "
        "each batch is taken in two halves",
        CorticodeWarning,
        stacklevel=2,
    )
    try:
        return _step_in_parts(state, inputs, targets, windows, training)
    except torch.OutOfMemoryError as error:
        raise _too_large(targets) from error


def _too_large(targets: Tensor) -> MachineError:
    return MachineError(
        f"the device's memory does not hold half a batch of {targets.shape[0]} windows; lower "
        "training batch_size, or the window's length"
    )


def _step_in_parts(
    state: TrainingState, inputs: Inputs, targets: Tensor, windows: Windows, training: Training
) -> Judged:
    state.optimiser.zero_grad(set_to_none=True)
    total = torch.zeros((), device=targets.device)
    n_right = torch.zeros((), device=targets.device)
    for some, their_targets in _parts(inputs, targets, state.n_parts):
        share = their_targets.shape[0] / targets.shape[0]
        judged = loss_of(state.network, some, their_targets, windows, training)
        loss = judged.loss * share
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        total += loss.detach()
        n_right += judged.n_right
    state.optimiser.step()
    return Judged(total, n_right)


def _parts(inputs: Inputs, targets: Tensor, n_parts: int) -> Iterator[tuple[Inputs, Tensor]]:
    """A batch in parts of consecutive windows; images that no window of a part holds are left."""
    if n_parts == 1:
        yield inputs, targets
        return
    edges = np.linspace(0, targets.shape[0], n_parts + 1).round().astype(int)
    for first, stop in pairwise(edges):
        if first == stop:
            continue
        if len(inputs) == 1:
            some: Inputs = (inputs[0][first:stop],)
        else:
            images, index = inputs[0], inputs[1][first:stop]
            low, high = int(index.min()), int(index.max())
            some = (images[low : high + 1], index - low)
        yield some, targets[first:stop]


def _validate(
    state: TrainingState,
    checks: TraceBatches | MovieBatches,
    training: Training,
    told: Mapping[str, float],
) -> dict[str, float]:
    """Close a kept: its losses, and its weights kept where they are the best so far."""
    began = time.monotonic()
    state.network.eval()
    total, n_right, n_windows = 0.0, 0.0, 0
    with torch.inference_mode():
        for inputs, targets in checks.in_order():
            judged = loss_of(state.network, inputs, targets, checks.windows, training)
            total += float(judged.loss) * targets.shape[0]
            n_right += float(judged.n_right)
            n_windows += targets.shape[0]
    row = {
        "epoch": told["epoch"],
        "train_loss": told["train_loss"],
        "valid_loss": total / n_windows,
        "train_s": told["train_s"],
        "valid_s": time.monotonic() - began,
        "train_windows": told["train_windows"],
    }
    if checks.windows.recipe.target.kind != "value":
        # Weights that an older version kept come without.
        row["train_accuracy"] = told.get("train_accuracy", math.nan)
        row["valid_accuracy"] = n_right / n_windows
    state.history.append(row)
    chosen = row["valid_loss"] if can_choose(checks.windows) else row["train_loss"]
    if not np.isfinite(chosen):
        raise StudyError(
            f"the loss of epoch {told['epoch']:g} is {chosen}; lower the learning rate "
            f"({training.learning_rate:g}) or look for extreme values in the recordings"
        )
    if chosen < state.best_loss:
        state.best_loss, state.best_epoch = chosen, len(state.history)
        state.best = {name: t.detach().clone() for name, t in state.network.state_dict().items()}
    return row


def loss_of(
    network: ScaledNetwork, inputs: Inputs, targets: Tensor, windows: Windows, training: Training
) -> Judged:
    """What training makes small: cross-entropy of classes, squared error of values (in SD).

    With it comes how many windows are right: of values, none.
    """
    device = targets.device.type
    mixed = training.mixed_precision and device == "cuda"
    with torch.autocast(device, dtype=torch.bfloat16, enabled=mixed):
        outputs = network(*inputs)
    outputs = outputs.float()
    kind, smoothing = windows.recipe.target.kind, training.label_smoothing
    if kind == "binary":
        softened = targets * (1 - smoothing) + 0.5 * smoothing
        loss = functional.binary_cross_entropy_with_logits(outputs[:, 0], softened)
        return Judged(loss, ((outputs[:, 0] > 0) == (targets > 0.5)).sum())
    if kind == "classes":
        loss = functional.cross_entropy(outputs, targets.long(), label_smoothing=smoothing)
        return Judged(loss, (outputs.argmax(dim=1) == targets.long()).sum())
    scaled = ((targets - network.output_offset) / network.output_gain).float()
    return Judged(functional.mse_loss(outputs[:, 0], scaled), torch.zeros((), device=device))
