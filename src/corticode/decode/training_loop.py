"""The training loop: legs of an epoch, each closed by a validation; resumable at any batch."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from corticode.data.windows import Windows
from corticode.decode.batches import TraceBatches, random_start
from corticode.decode.decoder import ScaledNetwork
from corticode.decode.movie_batches import MovieBatches
from corticode.decode.networks.movie import MovieNetwork
from corticode.decode.optimisers import set_step
from corticode.decode.settings import Training
from corticode.decode.shared_training import has_legs, keep_leg, read_leg
from corticode.decode.training_state import TrainingState, load_state, save_state
from corticode.errors import CorticodeWarning, DecoderError, StudyError

STATE_EVERY_S = 600.0

Report = Callable[[int, Mapping[str, float]], None]
Inputs = tuple[Tensor, ...]


def train_network(
    state: TrainingState,
    train: Windows,
    valid: Windows,
    training: Training,
    seed: int,
    state_path: Path | None = None,
    report: Report | None = None,
    legs: Path | None = None,
) -> TrainingState:
    """Train until the last epoch, or until patience ends; the best weights are in the state.

    With `legs`, a folder, the weights at every validation are kept there for other fits; where
    all are there already they are taken, and nothing is trained.

    Raises
    ------
    StudyError
        The loss is no longer a number.
    DecoderError
        The device's memory does not hold half a batch.
    RunError
        The state of training is damaged, or another fit left it.
    """
    device = state.network.input_gain.device.type
    kind = MovieBatches if train.movies else TraceBatches
    batches = kind(train, training, seed=seed, device=device)
    checks = kind(valid, training, seed=seed, device=device)
    if legs is not None and has_legs(legs, training) and _choose(state, checks, training, legs):
        return state
    if state_path is not None and state_path.is_file():
        load_state(state, state_path)
    while state.epoch <= training.epochs and not _is_out_of_patience(state, training):
        n_batches = batches.n_batches(state.epoch)
        ends = [round(n_batches * k / training.validations) for k in _legs(training)]
        stop = next(end for end in ends if end > state.batch)
        _train_leg(state, batches, training, seed, stop, state_path)
        told = {
            "epoch": float((state.epoch - 1) + stop / n_batches),
            "train_loss": state.loss_sum / state.n_seen,
            "train_s": state.seconds,
            "train_windows": float(state.n_seen),
        }
        row = _validate(state, checks, training, told)
        if legs is not None:
            own = state.network.state_dict()
            keep_leg(legs, len(state.history), own, told | {"n_parts": float(state.n_parts)})
        if report is not None:
            report(len(state.history), row)
        if stop == n_batches:
            state.epoch, state.batch = state.epoch + 1, 0
        state.loss_sum, state.n_seen, state.seconds = 0.0, 0, 0.0
        if state_path is not None:
            save_state(state, state_path)
    return state


def _choose(
    state: TrainingState, checks: TraceBatches | MovieBatches, training: Training, legs: Path
) -> bool:
    """Choose among the weights that another fit's training kept; whether all could be read."""
    start = {name: t.detach().clone() for name, t in state.network.state_dict().items()}
    for number in range(1, training.epochs * training.validations + 1):
        leg = read_leg(legs, number)
        if leg is None:
            state.network.load_state_dict(start)
            state.history, state.best, state.n_parts = [], {}, 1
            state.best_loss, state.best_epoch = float("inf"), 0
            return False
        weights, told = leg
        state.n_parts = int(told.pop("n_parts"))
        state.network.load_state_dict(weights)
        _validate(state, checks, training, told)
    return True


def can_choose(valid: Windows) -> bool:
    """Whether validation windows can choose an epoch: they hold more than one class."""
    return valid.recipe.target.kind == "value" or np.unique(valid.target).size > 1


def _legs(training: Training) -> range:
    return range(1, training.validations + 1)


def _is_out_of_patience(state: TrainingState, training: Training) -> bool:
    if training.patience is None:
        return False
    return len(state.history) - state.best_epoch >= training.patience


def _train_leg(
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
    for inputs, targets in batches.of_epoch(state.epoch, state.batch, stop):
        progress = (state.epoch - 1 + state.batch / n_batches) / training.epochs
        set_step(state.optimiser, training, progress)
        total += _step(state, inputs, targets, batches.windows, training) * targets.shape[0]
        state.n_seen += targets.shape[0]
        state.batch += 1
        if state_path is not None and time.monotonic() - saved > STATE_EVERY_S:
            saved = time.monotonic()
            state.loss_sum += float(total)
            total.zero_()
            state.seconds += saved - began
            began = saved
            save_state(state, state_path)
    state.loss_sum += float(total)
    state.seconds += time.monotonic() - began


def seed_device(device: str, seed: int) -> None:
    """Seed torch's generator, and a GPU's where the fit runs on one."""
    torch.default_generator.manual_seed(seed)
    if device == "cuda":
        torch.cuda.manual_seed(seed)


def _step(
    state: TrainingState, inputs: Inputs, targets: Tensor, windows: Windows, training: Training
) -> Tensor:
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


def _too_large(targets: Tensor) -> DecoderError:
    return DecoderError(
        f"the device's memory does not hold half a batch of {targets.shape[0]} windows; lower "
        "training batch_size, or the window's length"
    )


def _step_in_parts(
    state: TrainingState, inputs: Inputs, targets: Tensor, windows: Windows, training: Training
) -> Tensor:
    state.optimiser.zero_grad(set_to_none=True)
    total = torch.zeros((), device=targets.device)
    for some, their_targets in _parts(inputs, targets, state.n_parts):
        share = their_targets.shape[0] / targets.shape[0]
        loss = loss_of(state.network, some, their_targets, windows, training) * share
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        total += loss.detach()
    state.optimiser.step()
    return total


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
    """Close a leg: its losses, and its weights kept where they are the best so far."""
    began = time.monotonic()
    state.network.eval()
    total, n_windows = 0.0, 0
    with torch.inference_mode():
        for inputs, targets in checks.in_order():
            loss = loss_of(state.network, inputs, targets, checks.windows, training)
            total += float(loss) * targets.shape[0]
            n_windows += targets.shape[0]
    row = {
        "epoch": told["epoch"],
        "train_loss": told["train_loss"],
        "valid_loss": total / n_windows,
        "train_s": told["train_s"],
        "valid_s": time.monotonic() - began,
        "train_windows": told["train_windows"],
    }
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
) -> Tensor:
    """What training makes small: cross-entropy of classes, squared error of values (in SD)."""
    device = targets.device.type
    mixed = training.mixed_precision and device == "cuda"
    with torch.autocast(device, dtype=torch.bfloat16, enabled=mixed):
        outputs = network(*inputs)
    outputs = outputs.float()
    kind, smoothing = windows.recipe.target.kind, training.label_smoothing
    if kind == "binary":
        softened = targets * (1 - smoothing) + 0.5 * smoothing
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], softened)
    if kind == "classes":
        return functional.cross_entropy(outputs, targets.long(), label_smoothing=smoothing)
    return functional.mse_loss(
        outputs[:, 0], (targets - network.output_offset) / network.output_gain
    )
