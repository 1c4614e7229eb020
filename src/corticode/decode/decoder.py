"""A fitted decoder: network, what went before it, how it came about; saved, loaded, described."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from corticode.data.files import check_recorded, write_bytes, write_text
from corticode.data.folds import Part
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.preprocess import Preprocessing
from corticode.data.readers.lookup import LIBRARY_ERRORS
from corticode.data.targets import Exclude, Target, is_lost_in_float32, without_trials
from corticode.data.windows import Recipe, WindowShape
from corticode.decode.networks.movies import MovieNetwork
from corticode.decode.settings import (
    BACKBONES,
    NETWORKS,
    Augment,
    Network,
    Training,
    plain_network,
    plain_training,
)
from corticode.errors import DecoderError, MissingDataError, StudyError

FORMAT = 1
FILES = ("decoder.safetensors", "decoder.json")
AGAIN = "fit the decoder again: 'corticode run' with the study and folder of its run does so"


class ScaledNetwork(nn.Module):
    """A network between the statistics of its training data.

    Inputs become (x - offset) * gain by region, which is 0 for regions that are left out; values
    (not classes) are brought from the network's unit scale to the target's.
    """

    input_offset: Tensor
    input_gain: Tensor
    output_offset: Tensor
    output_gain: Tensor

    def __init__(self, inner: nn.Module, n_regions: int) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("input_offset", torch.zeros(n_regions))
        self.register_buffer("input_gain", torch.ones(n_regions))
        self.register_buffer("output_offset", torch.zeros(()))
        self.register_buffer("output_gain", torch.ones(()))
        self.scales_input = False

    def set_input(self, offset: NDArray[np.float32], gain: NDArray[np.float32]) -> None:
        """Fix what is subtracted from each region and what it is multiplied by."""
        self.input_offset.copy_(torch.from_numpy(offset))
        self.input_gain.copy_(torch.from_numpy(gain))
        self.note_scaling()

    def set_output(self, offset: float, gain: float) -> None:
        """Fix the target's mean and SD."""
        if is_lost_in_float32(offset, gain):
            self.output_offset = self.output_offset.double()
        self.output_offset.fill_(offset)
        self.output_gain.fill_(gain)

    @property
    def says_float64(self) -> bool:
        """Whether its values vary so little beside their size that float32 would lose them."""
        return is_lost_in_float32(float(self.output_offset), float(self.output_gain))

    def note_scaling(self) -> None:
        """Remember whether inputs need any arithmetic at all: most need none."""
        self.scales_input = bool((self.input_offset != 0).any() or (self.input_gain != 1).any())

    def forward(self, windows: Tensor, *index: Tensor) -> Tensor:
        """Logits or scaled values, shape (window, output).

        Parameters
        ----------
        windows
            (window, frame, region), or, of movies, images, (image, 3, row, column).
        index
            Of movies: which images each window consists of, (window, image of window).
        """
        if self.scales_input:
            windows = (windows - self.input_offset) * self.input_gain
        outputs: Tensor = self.inner(windows, *index)
        return outputs


@dataclass(frozen=True)
class Decoder:
    """A fitted decoder and its whole recipe.

    Parameters
    ----------
    network
        The fitted network, in evaluation mode.
    settings, training, seed
        What it is and how it was fitted.
    recipe
        How recorded frames become its windows.
    kind
        ``binary``, ``classes`` or ``value``.
    history
        One row an epoch (a penalty, for linear decoders).
    best_epoch
        The kept row of the history, counted from 1.
    selected_by
        What the kept epoch was chosen by: ``validation loss`` or ``training loss``.
    train_animals
        Who it was fitted on.
    n_parts
        Parts in which each batch was taken: 2 where the device's memory did not hold one.
    valid_animals
        Who chose the epoch (or penalty).
    roles
        The stretches of frames that were ``"train"`` and ``"valid"`` when it was fitted, and in a
        run ``"test"``, session by session. Empty for decoders of version 60f4e28 and before.
    trained_classes
        For several classes: those that training windows held. Of others it knows nothing.
    """

    network: ScaledNetwork
    settings: Network
    training: Training
    seed: int
    recipe: Recipe
    kind: str
    history: tuple[Mapping[str, float], ...]
    best_epoch: int
    selected_by: str
    train_animals: tuple[str, ...]
    n_parts: int = 1
    valid_animals: tuple[str, ...] = ()
    roles: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    trained_classes: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write ``decoder.safetensors`` and ``decoder.json`` into a folder."""
        write_bytes(folder / "decoder.safetensors", state_bytes(self.network.state_dict()))
        text = json.dumps(describe(self), indent=1, default=np.generic.item)
        write_text(folder / "decoder.json", text)


def state_bytes(state: Mapping[str, Tensor]) -> bytes:
    """Tensors as safetensors bytes; equal tensors give equal bytes."""
    ordered = {name: state[name].detach().cpu().contiguous().clone() for name in sorted(state)}
    return safetensors.torch.save(ordered)


def describe(decoder: Decoder) -> dict[str, Any]:
    """What ``decoder.json`` holds: plain values only."""
    return {
        "format": FORMAT,
        "network": _described_network(decoder.settings),
        "training": plain_training(decoder.training),
        "seed": decoder.seed,
        "recipe": _described_recipe(decoder.recipe),
        "kind": decoder.kind,
        "history": [dict(row) for row in decoder.history],
        "best_epoch": decoder.best_epoch,
        "selected_by": decoder.selected_by,
        "train_animals": decoder.train_animals,
        "valid_animals": decoder.valid_animals,
        "roles": {role: [astuple(part) for part in parts] for role, parts in decoder.roles.items()},
        "trained_classes": decoder.trained_classes,
    }


def roles_of_animals(decoder: Decoder) -> dict[str, str]:
    """What each animal was to a fit, ``"train"`` or ``"valid"``.

    Empty where animals were both, as in folds within animals, which give roles to sessions or
    blocks; but where other animals are tested while sessions of those that train validate, all of
    them trained.
    """
    if set(decoder.train_animals) & set(decoder.valid_animals):
        tested = {part.animal for part in decoder.roles.get("test", ())}
        trained = {*decoder.train_animals, *decoder.valid_animals}
        return {} if not tested or tested & trained else dict.fromkeys(sorted(trained), "train")
    return dict.fromkeys(decoder.train_animals, "train") | dict.fromkeys(
        decoder.valid_animals, "valid"
    )


def _described_network(settings: Network) -> dict[str, Any]:
    """The settings that the network has: those of a CNN for decoders of movies alone."""
    described = plain_network(settings)
    if not settings.sees_movies:
        return {k: described[k] for k in ("kind", "units")}
    if settings.starts_from_weights:
        return described
    return {k: v for k, v in described.items() if k not in ("flavour", "weights", "drop_connect")}


def _described_recipe(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON has it; a rule that nobody stated, or trials, are not in it."""
    described = asdict(recipe)
    if recipe.target.on_frames is None:
        del described["target"]["on_frames"]
    described["target"] = without_trials(described["target"])
    return described


def build_network(
    settings: Network, window: WindowShape, *, n_regions: int, n_outputs: int
) -> ScaledNetwork:
    """A network with fresh weights from torch's random state."""
    if settings.sees_movies:
        inner = _build_movie_network(settings, window, n_outputs)
    else:
        inner = _made(NETWORKS[settings.kind].build)(
            settings.kind,
            before=window.before,
            n_frames=window.n_frames,
            n_regions=n_regions,
            n_units=settings.n_units,
            n_outputs=n_outputs,
        )
    return ScaledNetwork(inner, n_regions)


def _build_movie_network(settings: Network, window: WindowShape, n_outputs: int) -> nn.Module:
    backbone = _made(BACKBONES[settings.backbone].build)(
        settings.backbone,
        flavour=settings.flavour,
        drop_connect=settings.drop_connect,
        bins=settings.bins,
        components=settings.components,
    )
    stride = settings.temporal_stride
    return MovieNetwork(
        backbone,
        settings.kind,
        n_features=backbone.n_features,
        n_units=settings.n_units,
        n_outputs=n_outputs,
        # The centre is one of those that are read.
        read=None if stride == 1 else range(window.before % stride, window.n_frames, stride),
    )


def _made(name: str) -> Callable[..., Any]:
    """The function of a module of networks that a row of settings names."""
    module, _, function = name.partition(".")
    made: Callable[..., Any] = getattr(
        import_module(f"corticode.decode.networks.{module}"), function
    )
    return made


def check_device(device: str) -> None:
    """Refuse, with a `StudyError`, a device that is none, or that is not there.

    Examples
    --------
    >>> check_device("gpu")
    Traceback (most recent call last):
    corticode.errors.StudyError: device is 'gpu'; give 'cpu' or 'cuda'
    """
    if device not in ("cpu", "cuda"):
        raise StudyError(f"device is {device!r}; give 'cpu' or 'cuda'")
    if device == "cuda" and not torch.cuda.is_available():
        raise StudyError("device is 'cuda', and torch finds no GPU here; give 'cpu'")


def count_outputs(kind: str, classes: Sequence[str]) -> int:
    """Outputs a network needs: one a class where there are several."""
    return len(classes) if kind == "classes" else 1


def load_decoder(folder: Path | str) -> Decoder:
    """A decoder from its folder.

    Raises
    ------
    MissingDataError
        The folder holds no decoder.
    DecoderError
        A file is damaged, of another format, holds Python objects, or is not the one that the
        ``done.json`` beside it records.
    """
    folder = Path(folder)
    described = _read_description(folder)
    try:
        recipe = _recipe(described["recipe"])
        if described["kind"] != recipe.target.kind:
            raise ValueError(f"kind {described['kind']!r} is not that of its target")
        settings = Network(**described["network"])
        network = build_network(
            settings,
            recipe.window,
            n_regions=len(recipe.regions),
            n_outputs=count_outputs(described["kind"], recipe.classes),
        )
        training = dict(described["training"])
        if not isinstance(training["penalty"], str):
            training["penalty"] = tuple(training["penalty"])
        training["augment"] = Augment(**training.get("augment", {}))
        decoder = Decoder(
            network,
            settings,
            Training(**training),
            int(described["seed"]),
            recipe,
            described["kind"],
            tuple(described["history"]),
            int(described["best_epoch"]),
            described["selected_by"],
            tuple(described["train_animals"]),
            valid_animals=tuple(described.get("valid_animals", ())),
            roles={
                role: tuple(Part(*part) for part in parts)
                for role, parts in described.get("roles", {}).items()
            },
            trained_classes=tuple(described.get("trained_classes", recipe.classes)),
        )
    except LIBRARY_ERRORS as error:
        raise DecoderError(
            f"{folder / 'decoder.json'} is not a decoder's description ({error}); {AGAIN}"
        ) from error
    _load_weights(network, folder / "decoder.safetensors")
    for name in FILES:
        try:
            check_recorded(folder / name)
        except ValueError as error:
            raise DecoderError(f"{folder / name} is damaged ({error}); {AGAIN}") from error
    return decoder


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / "decoder.json"
    if not path.is_file():
        raise MissingDataError(
            f"{folder} holds no decoder.json; give the folder of one fit, "
            "RUN/fits/<condition>/<fold>/seed-<n>"
        )
    try:
        described = json.loads(path.read_text("utf-8"))
        found = described["format"]
    except LIBRARY_ERRORS as error:
        raise DecoderError(f"{path} is damaged ({error}); {AGAIN}") from error
    if found != FORMAT:
        raise DecoderError(f"{path} has format {found}; this corticode reads {FORMAT}: {AGAIN}")
    return dict(described)


def _recipe(described: Mapping[str, Any]) -> Recipe:
    pixels, shape = described.get("pixels"), described.get("image_shape")
    return Recipe(
        tuple(described["regions"]),
        tuple(described["kept_regions"]),
        Preprocessing(**described["preprocessing"]),
        WindowShape(**described["window"]),
        _target(described["target"]),
        tuple(described["classes"]),
        described["frame_rate_hz"],
        described.get("input", "traces"),
        tuple(described.get("left_out_regions", ())),
        PixelPreprocessing(**pixels) if pixels else None,
        (int(shape[0]), int(shape[1])) if shape else None,
    )


def _target(described: Mapping[str, Any]) -> Target:
    exclude = described.get("exclude")
    return Target(**{**described, "exclude": None if exclude is None else Exclude(**exclude)})


def _load_weights(network: ScaledNetwork, path: Path) -> None:
    if not path.is_file():
        raise MissingDataError(f"{path} does not exist; {AGAIN}")
    try:
        state = safetensors.torch.load(path.read_bytes())
        network.output_offset = network.output_offset.to(state["output_offset"].dtype)
        network.load_state_dict(state)
    except (SafetensorError, RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise DecoderError(
            f"{path} holds no weights of this decoder ({reason}); nothing in it was run; {AGAIN}"
        ) from error
    network.note_scaling()
    network.eval()
