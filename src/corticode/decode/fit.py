"""A decoder fitted to windows: start weights, scales, then the training loop or a closed form."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from corticode.data.folds import frames_seen, sees_some
from corticode.data.preprocess import fit_scale
from corticode.data.windows import Windows
from corticode.decode.decoder import (
    Decoder,
    ScaledNetwork,
    build_network,
    check_device,
    count_outputs,
)
from corticode.decode.linear import LinearProblem, fit_linear
from corticode.decode.movie_batches import MovieFrames
from corticode.decode.networks.binned import PrincipalComponents
from corticode.decode.networks.efficientnet import EfficientNet
from corticode.decode.networks.movies import MovieNetwork
from corticode.decode.networks.traces import LinearNetwork
from corticode.decode.settings import (
    LINEAR,
    NEWER_OF_NETWORK,
    Augment,
    Network,
    Training,
    check_network,
    plain_network,
)
from corticode.decode.training import (
    Report,
    TrainingState,
    can_choose,
    make_optimiser,
    seed_device,
    train_network,
)
from corticode.decode.weights import load_cnn_weights
from corticode.errors import DataError, DecoderError, FoldError, StudyError

LARGEST_SEED = 2**63
# From how many training frames principal components are taken, and how many are read at once.
MOST_FRAMES, FRAMES_BATCH = 8192, 256


def fit(  # noqa: PLR0913  what, how, and where it goes
    train: Windows,
    valid: Windows,
    network: Network | str = "gru",
    training: Training = Training(),  # noqa: B008  a frozen value
    *,
    seed: int = 0,
    device: str = "cpu",
    state_path: Path | None = None,
    report: Report | None = None,
    start_from: Decoder | None = None,
    checkpoints: Path | None = None,
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
        Called after each validation (each penalty, for linear decoders) with its number and its
        row of the history.
    start_from
        A decoder whose weights this one starts with: those of its CNN, where movies are decoded.
    checkpoints
        A folder in which fits of the same training windows, settings, start and seed keep the
        weights of every validation: the first trains, the others choose among them.

    Raises
    ------
    FoldError
        Training windows hold one class, or there are none to train or to validate.
    StudyError
        Windows have no target, training and validation windows were cut in different ways or see
        the same frames of a session, the network does not decode targets of their kind, the loss
        is no longer a number, or there is no such device here.
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
    check_device(device)
    if not 0 <= seed < LARGEST_SEED:
        raise StudyError(f"seed is {seed}; give a whole number from 0 to {LARGEST_SEED - 1}")
    _check_targets(train, valid)
    _check_apart(train, valid)
    trained_classes = _classes_in(train)
    valid = _of_trained_classes(train, valid)
    check_network(settings, train.recipe.target.kind, train.recipe.input)
    # `torch.manual_seed` would seed the caller's GPUs as well, now or when they are first used.
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        seed_device(device, seed)
        scaled = build_network(
            settings,
            train.recipe.window,
            n_regions=len(train.recipe.regions),
            n_outputs=count_outputs(train.recipe.target.kind, train.recipe.classes),
        )
        _fix_start(scaled, settings, start_from)
        if start_from is None:
            _learn_components(scaled, train)
        _fix_scaling(scaled, train)
        if settings.kind in LINEAR:
            state = _fit_linear(scaled, train, valid, training, report)
        else:
            optimiser = make_optimiser(scaled.to(device), training)
            varied = "" if training.augment == Augment() else f", {training.augment}"
            varied += _newer_words(settings)
            label = f"{settings}, {training}{varied}, seed {seed}, {train.n_windows} windows"
            state = TrainingState(scaled, optimiser, label)
            state = train_network(
                state, train, valid, training, seed, state_path, report, checkpoints
            )
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
        "validation loss" if can_choose(valid) else "training loss",
        tuple(train.animal_names[k] for k in np.unique(train.animal)),
        n_parts=state.n_parts,
        valid_animals=tuple(valid.animal_names[k] for k in np.unique(valid.animal)),
        roles={"train": frames_seen(train), "valid": frames_seen(valid)},
        trained_classes=trained_classes,
    )


def _newer_words(settings: Network) -> str:
    """Settings of a network that its own words leave out, where they are asked for."""
    plain = plain_network(settings)
    return "".join(f", {name} {plain[name]}" for name in NEWER_OF_NETWORK if name in plain)


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


def _check_apart(train: Windows, valid: Windows) -> None:
    """Refuse, with a `StudyError`, validation windows that see what trains."""
    shared = sees_some(valid, frames_seen(train))
    if not shared.any():
        return
    k = int(np.flatnonzero(shared)[0])
    name = f"{valid.animal_names[valid.animal[k]]}/{valid.session_names[valid.session[k]]}"
    recipe = train.recipe
    raise StudyError(
        f"{int(shared.sum())} of the {valid.n_windows} validation windows (the first in session "
        f"{name}, frame {valid.frame[k]}) see frames that training windows see: the epoch would be "
        "chosen by what trained; give windows of other animals, sessions or blocks (blocks at "
        f"least {recipe.n_frames + abs(recipe.window.shift)} frames apart)"
    )


def _classes_in(train: Windows) -> tuple[str, ...]:
    """The classes that training windows hold, of a target of several."""
    if train.recipe.target.kind != "classes":
        return ()
    return tuple(train.recipe.classes[int(k)] for k in np.unique(train.target))


def _of_trained_classes(train: Windows, valid: Windows) -> Windows:
    """The validation windows of classes that train: a loss over others would choose by chance.

    Raises
    ------
    FoldError
        There is none.
    """
    if train.recipe.target.kind != "classes":
        return valid
    known = np.isin(valid.target, np.unique(train.target))
    if not known.any():
        raise FoldError("no validation window is of a class that the training windows hold")
    return valid if known.all() else valid.where(known)


def _fix_start(network: ScaledNetwork, settings: Network, start_from: Decoder | None) -> None:
    """Weights that training starts with, where they are not drawn at random."""
    inner = network.inner
    if start_from is None:
        if isinstance(inner, MovieNetwork) and isinstance(inner.cnn, EfficientNet):
            load_cnn_weights(inner.cnn, settings.weights)
        return
    part = "inner.cnn." if isinstance(inner, MovieNetwork) else "inner."
    given = {k: v for k, v in start_from.network.state_dict().items() if k.startswith(part)}
    own: dict[str, Tensor] = {k: v for k, v in network.state_dict().items() if k.startswith(part)}
    if {k: v.shape for k, v in given.items()} != {k: v.shape for k, v in own.items()}:
        raise DecoderError(
            f"a {settings.kind!r} cannot start from a {start_from.settings.kind!r}: their "
            f"{'CNNs' if isinstance(inner, MovieNetwork) else 'networks'} differ; start from a "
            "condition with the same backbone, or leave start_from out"
        )
    network.load_state_dict(given, strict=False)


def _learn_components(network: ScaledNetwork, train: Windows) -> None:
    """The principal components of frames that training windows see, where a backbone takes them.

    Raises
    ------
    DataError
        There are fewer frames than components.
    """
    inner = network.inner
    if not isinstance(inner, MovieNetwork) or not isinstance(inner.cnn, PrincipalComponents):
        return
    seen = np.flatnonzero(train.covered())
    n_components = len(inner.cnn.patterns)
    if seen.size < n_components:
        raise DataError(
            f"{n_components} components cannot be found in {seen.size} training frames; give fewer "
            "components"
        )
    rows = seen[np.linspace(0, seen.size - 1, min(seen.size, MOST_FRAMES)).round().astype(int)]
    frames = MovieFrames(train.movies)
    parts = [
        inner.shrink(frames.normalise(some, frames.read(some)))
        for some in np.split(rows, range(FRAMES_BATCH, rows.size, FRAMES_BATCH))
    ]
    inner.cnn.learn(torch.cat(parts))


def _fix_scaling(network: ScaledNetwork, train: Windows) -> None:
    """Statistics of the training windows alone: input scale, kept regions, target's scale."""
    recipe = train.recipe
    if recipe.target.kind == "value":
        sd = float(train.target.std())
        network.set_output(float(train.target.mean()), sd if sd > 0 else 1.0)
    if train.movies:
        return
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
    result = fit_linear(problems[0], problems[1] if can_choose(valid) else None, training.penalty)
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
