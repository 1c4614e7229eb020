"""The training loop and the prediction loop."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from corticode.data.scaling import fit_scale
from corticode.data.windows import Windows
from corticode.decode.batches import iterate_batches, order_of_epoch, random_start
from corticode.decode.decoder import (
    LINEAR,
    Decoder,
    Network,
    ScaledNetwork,
    Training,
    build_network,
    check_network,
    count_outputs,
)
from corticode.decode.linear import LinearProblem, fit_linear
from corticode.decode.networks.linear import LinearNetwork
from corticode.decode.predictions import PART_NAMES, Predictions
from corticode.decode.training_state import TrainingState, load_state, save_state
from corticode.errors import DataError, DecoderError, FoldError, StudyError

PREDICT_BATCH = 2048
STATE_EVERY_S = 600.0

Report = Callable[[int, Mapping[str, float]], None]


def fit(
    train: Windows,
    valid: Windows,
    network: Network | str = "gru",
    training: Training = Training(),  # noqa: B008  a frozen value
    *,
    seed: int = 0,
    device: str = "cpu",
    state_path: Path | None = None,
    report: Report | None = None,
) -> Decoder:
    """A decoder fitted to training windows; validation windows choose the epoch that is kept.

    Parameters
    ----------
    train, valid
        Windows of the animals (sessions, stretches of time) that train and that validate.
    network
        Which network; a name stands for its usual size.
    training
        How it is fitted.
    seed
        Fixes start weights, the order of windows and what dropout leaves out: the same seed
        gives the same weights.
    device
        ``"cpu"`` or ``"cuda"``.
    state_path
        Where to keep the state of training; an interrupted fit goes on from it. Linear decoders
        are fitted in one go and keep none.
    report
        Called after each epoch (each penalty, for linear decoders) with its number and its row
        of the history.

    Raises
    ------
    FoldError
        Training windows hold one class, or there are none to train or to validate.
    StudyError
        Windows have no target, training and validation windows were cut in different ways, or
        the network does not decode targets of their kind, or the loss is no longer a number.
    DataError
        No kept region varies.
    RunError
        The state of training is damaged, or another fit left it.

    Notes
    -----
    Neither the caller's random state nor the number of threads is changed.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> rng = np.random.default_rng(0)
    >>> run = (np.arange(400) % 40 > 19).astype(float)
    >>> session = Session("m1", "a", run[:, None] + rng.normal(size=(400, 3)), ("1", "2", "3"),
    ...                   {"run": run}, np.zeros(400, np.int32))
    >>> windows = cut_windows([session], Target("run"), WindowShape(5, 5))
    >>> half = windows.n_windows // 2
    >>> decoder = fit(windows.where(slice(0, half)), windows.where(slice(half + 11, None)),
    ...               "linear-window")
    >>> decoder.settings.kind, len(decoder.history)
    ('linear-window', 6)
    """
    settings = Network(network) if isinstance(network, str) else network
    _check_targets(train, valid)
    check_network(settings, train.recipe.target.kind)
    with torch.random.fork_rng(devices=[]):
        # `torch.manual_seed` would seed the caller's GPUs as well, now or when they are first used.
        torch.default_generator.manual_seed(seed)
        scaled = build_network(
            settings,
            train.recipe.window,
            n_regions=len(train.recipe.regions),
            n_outputs=count_outputs(train.recipe.target.kind, train.recipe.classes),
        )
        _fix_scaling(scaled, train)
        if settings.kind in LINEAR:
            state = _fit_linear(scaled, train, valid, training, report)
        else:
            optimiser = torch.optim.Adam(scaled.to(device).parameters(), lr=training.learning_rate)
            label = f"{settings}, {training}, seed {seed}, {train.n_windows} windows"
            state = TrainingState(scaled, optimiser, label)
            state = _fit_network(state, train, valid, training, seed, state_path, report)
    scaled.load_state_dict(state.best)
    scaled.to("cpu").eval()
    return Decoder(
        scaled,
        settings,
        training,
        seed,
        train.recipe,
        train.recipe.target.kind,
        tuple(state.history),
        state.best_epoch,
        "validation loss" if _can_choose(valid) else "training loss",
        tuple(train.animal_names[k] for k in np.unique(train.animal)),
    )


def predict(
    decoder: Decoder, windows: Windows, *, part: str = "test", device: str = "cpu"
) -> Predictions:
    """What a decoder says of each window.

    Parameters
    ----------
    decoder
        A fitted decoder.
    windows
        Windows cut with the decoder's recipe.
    part
        The role of these windows: ``"train"``, ``"valid"`` or ``"test"``.
    device
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    Predictions
        One row a window: a probability, or a value in the target's unit.

    Raises
    ------
    DecoderError
        The windows were not cut with the decoder's recipe.
    DataError
        There is no part of that name.
    """
    _check_recipe(decoder, windows)
    if part not in PART_NAMES:
        raise DataError(f"part {part!r} is none of {', '.join(PART_NAMES)}; name one of these")
    network = decoder.network.to(device)
    n_outputs = count_outputs(decoder.kind, decoder.recipe.classes)
    # Matrix products round the rows of a shorter batch differently: all batches are full ones, so
    # that a window's score is the same whatever it is predicted with.
    n_batches = -(-windows.n_windows // PREDICT_BATCH)
    order = np.resize(np.arange(windows.n_windows), n_batches * PREDICT_BATCH)
    score = np.empty((order.size, n_outputs), dtype=np.float32)
    first = 0
    with torch.inference_mode():
        for inputs, _ in iterate_batches(windows.where(order), None, PREDICT_BATCH, device=device):
            stop = first + PREDICT_BATCH
            score[first:stop] = _scores(network, network(inputs), decoder.kind).cpu().numpy()
            first = stop
    network.to("cpu")
    score = score[: windows.n_windows]
    return Predictions(
        part=np.full(windows.n_windows, PART_NAMES.index(part), dtype=np.int8),
        animal=windows.animal,
        session=windows.session,
        frame=windows.frame,
        target=windows.target,
        score=score if decoder.kind == "classes" else score[:, 0],
        kind=decoder.kind,
        animal_names=windows.animal_names,
        session_names=windows.session_names,
        classes=decoder.recipe.classes,
        frame_rate_hz=windows.recipe.frame_rate_hz,
    )


def _scores(network: ScaledNetwork, outputs: Tensor, kind: str) -> Tensor:
    if kind == "binary":
        return torch.sigmoid(outputs)
    if kind == "classes":
        return torch.softmax(outputs, dim=1)
    return outputs * network.output_gain + network.output_offset


def _check_recipe(decoder: Decoder, windows: Windows) -> None:
    fitted, given = decoder.recipe, windows.recipe
    for name in ("input", "regions", "preprocessing", "window", "classes"):
        # Windows of unknown behaviour know of no classes.
        if getattr(given, name) != getattr(fitted, name) and getattr(given, name) != ():
            raise DecoderError(
                f"the windows have another {name} than the decoder was fitted with "
                f"({getattr(given, name)}, fitted with {getattr(fitted, name)}); "
                "cut them with the decoder's recipe"
            )


def _check_targets(train: Windows, valid: Windows) -> None:
    if train.recipe != valid.recipe:
        raise StudyError(
            "training and validation windows were cut in different ways; cut them together and "
            "choose among them, so that regions, preprocessing, window and target agree"
        )
    for role, windows in (("train", train), ("validate", valid)):
        if windows.n_windows == 0:
            raise FoldError(f"there is no window to {role}")
        if not np.isfinite(windows.target).all():
            raise StudyError(
                f"windows without a target cannot {role}; cut them from sessions with one"
            )
    if train.recipe.target.kind != "value" and np.unique(train.target).size < 2:
        raise FoldError(
            f"the {train.n_windows} training windows hold one class of "
            f"{train.recipe.target.signal!r} alone; there is nothing to tell apart"
        )


def _can_choose(valid: Windows) -> bool:
    """Whether validation windows can choose an epoch: they hold more than one class."""
    return valid.recipe.target.kind == "value" or np.unique(valid.target).size > 1


def _fix_scaling(network: ScaledNetwork, train: Windows) -> None:
    """Statistics of the training windows alone: input scale, kept regions, target's scale."""
    recipe = train.recipe
    offset = np.zeros(len(recipe.regions), dtype=np.float32)
    gain = np.ones(len(recipe.regions), dtype=np.float32)
    if recipe.preprocessing.scale_over == "training" and recipe.preprocessing.scale != "none":
        frames = np.flatnonzero(train.covered())
        offset, gain = fit_scale([train.traces[frames]], recipe.preprocessing.scale)
    kept = np.asarray(recipe.kept_regions)
    if not kept.all() or recipe.preprocessing.scale_over == "training":
        network.set_input(offset, gain * kept)
    if not _varies(train, kept & (gain != 0)):
        raise DataError(
            "no region that the decoder may see varies in the training windows; "
            "check the condition's regions"
        )
    if recipe.target.kind == "value":
        sd = float(train.target.std())
        network.set_output(float(train.target.mean()), sd if sd > 0 else 1.0)


def _varies(train: Windows, usable: np.ndarray) -> bool:
    some = train.traces[train.start[:: max(1, train.n_windows // 2000)]][:, usable]
    return bool(usable.any() and (some.max(axis=0) > some.min(axis=0)).any())


def _fit_linear(
    network: ScaledNetwork,
    train: Windows,
    valid: Windows,
    training: Training,
    report: Report | None,
) -> TrainingState:
    offset, gain = network.input_offset.numpy(), network.input_gain.numpy()
    inner = network.inner
    if not isinstance(inner, LinearNetwork):
        raise TypeError(f"{type(inner).__name__} is no linear network")
    value_scale = (float(network.output_offset), float(network.output_gain))
    problems = [
        LinearProblem.of(windows, offset, gain, inner.first_frame, inner.n_frames, value_scale)
        for windows in (train, valid)
    ]
    result = fit_linear(problems[0], problems[1] if _can_choose(valid) else None, training.penalty)
    state = TrainingState(network, torch.optim.Adam(network.parameters()))
    state.history = [dict(row) for row in result.history]
    state.best_epoch = result.best
    with torch.no_grad():
        inner.weight.copy_(torch.from_numpy(result.weight))
        inner.bias.copy_(torch.from_numpy(result.bias))
    state.best = network.state_dict()
    if report is not None:
        for row in state.history:
            report(int(row["epoch"]), row)
    return state


def _fit_network(
    state: TrainingState,
    train: Windows,
    valid: Windows,
    training: Training,
    seed: int,
    state_path: Path | None,
    report: Report | None,
) -> TrainingState:
    if state_path is not None and state_path.is_file():
        load_state(state, state_path)
    while state.epoch <= training.epochs:
        _train_epoch(state, train, training, seed, state_path)
        row = _validate(state, train, valid, training)
        if report is not None:
            report(state.epoch, row)
        state.epoch, state.batch, state.loss_sum, state.seconds = state.epoch + 1, 0, 0.0, 0.0
        if state_path is not None:
            save_state(state, state_path)
    return state


def _train_epoch(
    state: TrainingState, train: Windows, training: Training, seed: int, state_path: Path | None
) -> None:
    """One pass over the training windows, or what is left of it."""
    device = state.network.input_gain.device.type
    order = order_of_epoch(train.n_windows, seed=seed, epoch=state.epoch)
    if state.batch == 0:
        # Where training goes on within an epoch, the state it was left in was put back instead.
        torch.default_generator.manual_seed(random_start(seed=seed, epoch=state.epoch))
    began = saved = time.monotonic()
    state.network.train()
    total = torch.zeros((), device=device)
    for inputs, targets in iterate_batches(
        train, order, training.batch_size, first_batch=state.batch, device=device
    ):
        loss = _loss(state.network, inputs, targets, train, training)
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        state.optimiser.step()
        total += loss.detach() * targets.shape[0]
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


def _validate(
    state: TrainingState, train: Windows, valid: Windows, training: Training
) -> dict[str, float]:
    """Close an epoch: its losses, and its weights kept where they are the best so far."""
    began = time.monotonic()
    state.network.eval()
    device = state.network.input_gain.device.type
    total = 0.0
    with torch.inference_mode():
        for inputs, targets in iterate_batches(valid, None, PREDICT_BATCH, device=device):
            loss = _loss(state.network, inputs, targets, valid, training)
            total += float(loss) * targets.shape[0]
    row = {
        "epoch": float(state.epoch),
        "train_loss": state.loss_sum / train.n_windows,
        "valid_loss": total / valid.n_windows,
        "train_s": state.seconds,
        "valid_s": time.monotonic() - began,
    }
    state.history.append(row)
    chosen = row["valid_loss"] if _can_choose(valid) else row["train_loss"]
    if not np.isfinite(chosen):
        raise StudyError(
            f"the loss of epoch {state.epoch} is {chosen}; lower the learning rate "
            f"({training.learning_rate:g}) or look for extreme values in the traces"
        )
    if chosen < state.best_loss:
        state.best_loss, state.best_epoch = chosen, state.epoch
        state.best = {name: t.detach().clone() for name, t in state.network.state_dict().items()}
    return row


def _loss(
    network: ScaledNetwork, inputs: Tensor, targets: Tensor, windows: Windows, training: Training
) -> Tensor:
    outputs = network(inputs)
    kind, smoothing = windows.recipe.target.kind, training.label_smoothing
    if kind == "binary":
        softened = targets * (1 - smoothing) + 0.5 * smoothing
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], softened)
    if kind == "classes":
        return functional.cross_entropy(outputs, targets.long(), label_smoothing=smoothing)
    return functional.mse_loss(
        outputs[:, 0], (targets - network.output_offset) / network.output_gain
    )
