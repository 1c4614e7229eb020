"""What a decoder is and how it is fitted: settings, checked when made; no torch."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral
from typing import Any

from corticode.errors import StudyError


@dataclass(frozen=True)
class NetworkKind:
    """A row of `NETWORKS`.

    Parameters
    ----------
    words
        What it is, in a sentence.
    build
        Of networks of traces: ``"module.function"`` in `corticode.decode.networks`, called with the
        kind's name, before, n_frames, n_regions, n_units and n_outputs. Those of movies are one
        network, which reads a row of `BACKBONES`.
    reads
        ``"traces"`` or ``"movie"``.
    is_linear
        Whether it is fitted by minimising a convex loss, not by epochs.
    """

    words: str
    build: str = "traces.build_recurrent"
    reads: str = "traces"
    is_linear: bool = False


NETWORKS: Mapping[str, NetworkKind] = {
    "rnn": NetworkKind("a simple recurrent network"),
    "lstm": NetworkKind("an LSTM"),
    "gru": NetworkKind("a GRU"),
    "bi-rnn": NetworkKind("a bidirectional simple recurrent network"),
    "bi-lstm": NetworkKind("a bidirectional LSTM"),
    "bi-gru": NetworkKind("a bidirectional GRU"),
    "gru-keras": NetworkKind("a GRU (Keras cell)", "traces.build_keras_gru"),
    "linear-frame": NetworkKind(
        "a linear decoder of the centre frame", "traces.build_linear_frame", is_linear=True
    ),
    "linear-window": NetworkKind(
        "a linear decoder of the whole window", "traces.build_linear_window", is_linear=True
    ),
    "speed": NetworkKind("a network of two GRU and three dense layers", "traces.build_speed"),
    "cnn": NetworkKind("a convolutional network of single three-frame images", "", "movie"),
    "cnn-gru": NetworkKind("a convolutional network followed by a GRU", "", "movie"),
    "cnn-lstm": NetworkKind("a convolutional network followed by an LSTM", "", "movie"),
    "cnn-conv": NetworkKind(
        "a convolutional network followed by convolutions over time", "", "movie"
    ),
}
LINEAR = tuple(name for name, kind in NETWORKS.items() if kind.is_linear)
MOVIE = tuple(name for name, kind in NETWORKS.items() if kind.reads == "movie")
TRACES = tuple(name for name in NETWORKS if name not in MOVIE)
FLAVOURS = ("torch", "tensorflow")
USUAL_UNITS = 32
MOST_UNITS = 10_000
LEAST_BINS = 4
MOST_DEGREES = 45


@dataclass(frozen=True)
class Backbone:
    """A row of `BACKBONES`: what turns each image of a movie into features.

    Parameters
    ----------
    words
        What it is, in a sentence.
    build
        ``"module.function"`` in `corticode.decode.networks`, called with backbone, flavour,
        drop_connect, bins and components; what it returns has an attribute ``n_features``.
    has_weights
        Whether there are trained weights that it can start from, and flavours of them.
    is_binned
        Whether it reads images as means over `bins` x `bins` parts.
    usual_units
        Of each layer after it that reads a window, where none are given.
    """

    words: str
    build: str
    has_weights: bool = False
    is_binned: bool = False
    usual_units: int = 128


BACKBONES: Mapping[str, Backbone] = {
    "efficientnet-b0": Backbone("EfficientNet-B0", "efficientnet.build", has_weights=True),
    "efficientnet-lite0": Backbone("EfficientNet-Lite0", "efficientnet.build", has_weights=True),
    "small": Backbone(
        "a CNN of three layers on binned images",
        "binned.build_small",
        is_binned=True,
        usual_units=32,
    ),
    "components": Backbone(
        "principal components of the training animals' binned frames",
        "binned.build_components",
        is_binned=True,
        usual_units=32,
    ),
    "grid": Backbone("means of each image over 16 x 16 cells", "binned.build_grid"),
}
OPTIMISERS = ("adam", "fastai-adam")
SCHEDULES = ("constant", "one-cycle")
WINDOWS = ("shared", "independent")
# The penalty of scikit-learn's `LogisticRegression()` and `LinearRegression()`.
SCIKIT_LEARN = "scikit-learn"


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _check_choice(table: str, name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise StudyError(f"{table} {name} = {value!r}; it must be one of {', '.join(allowed)}")


@dataclass(frozen=True)
class Network:
    """Which network, and its size.

    Parameters
    ----------
    kind
        Of region traces: ``rnn``, ``lstm``, ``gru``, ``bi-rnn``, ``bi-lstm``, ``bi-gru``,
        ``gru-keras``, ``linear-frame``, ``linear-window`` or ``speed`` (for values). Of movies:
        ``cnn``, ``cnn-gru``, ``cnn-lstm`` or ``cnn-conv``.
    units
        Units of each recurrent layer; None: 32, and 128 after an EfficientNet or ``grid``. Linear
        decoders and ``cnn`` pass over it; ``speed`` has its own sizes and takes no other.
    backbone
        The CNN: ``efficientnet-b0``, ``efficientnet-lite0``, or ``small``, three layers on images
        binned to `bins` x `bins`; or none at all: ``grid``, the means of each image over 16 x 16
        cells, and ``components``, how strongly the principal components of the training animals'
        frames are in it. What those read, a CNN need not be trained for.
    flavour
        How the CNN pads and normalises: ``torch`` (symmetric padding, as torchvision and timm) or
        ``tensorflow`` ("same" padding, as the study's code).
    weights
        What an EfficientNet starts from: ``imagenet``, ``none``, or the path of a state dict; other
        backbones have none and take no path.
    drop_connect
        Largest share of an EfficientNet's blocks that training leaves out of a sample.
    temporal_stride
        Of windows of images: every so many images are read, the centre's among them.
    bins
        Of ``small`` and ``components``: means over so many bins along each side of an image are
        what is read.
    components
        Of ``components``: how many.
    """

    kind: str = "gru"
    units: int | None = None
    backbone: str = "efficientnet-b0"
    flavour: str = "torch"
    weights: str = "imagenet"
    drop_connect: float = 0.2
    # Newer than states of training that wait to go on, and not in the words they are known by,
    # unless there is something to say.
    temporal_stride: int = field(default=1, repr=False)
    bins: int = field(default=32, repr=False)
    components: int = field(default=64, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in NETWORKS:
            raise StudyError(f"network kind {self.kind!r} is none of {', '.join(NETWORKS)}")
        _check_choice("network", "backbone", self.backbone, tuple(BACKBONES))
        _check_choice("network", "flavour", self.flavour, FLAVOURS)
        if self.units is None:
            # Said or left out, the usual size is the same network.
            usual = BACKBONES[self.backbone].usual_units if self.sees_movies else USUAL_UNITS
            object.__setattr__(self, "units", usual)
        if not _is_whole(self.units) or not 1 <= self.n_units <= MOST_UNITS:
            raise StudyError(
                f"network units = {self.units}; a whole number of at least 1 and at most "
                f"{MOST_UNITS:,} is needed"
            )
        if self.kind == "speed" and self.units != USUAL_UNITS:
            raise StudyError(
                f"network units = {self.units}, but kind 'speed' has the sizes of the study (64 "
                "and 32 units); leave out units"
            )
        if not BACKBONES[self.backbone].has_weights and self.weights not in ("imagenet", "none"):
            raise StudyError(
                f"network weights = {self.weights!r}, but backbone {self.backbone!r} has none; "
                "leave out weights, or take the backbone that they belong to"
            )
        if not 0 <= self.drop_connect < 1:
            raise StudyError(
                f"network drop_connect = {self.drop_connect}; it must be 0 or more and below 1"
            )
        for name, least in (("temporal_stride", 1), ("bins", LEAST_BINS), ("components", 1)):
            value = getattr(self, name)
            if not _is_whole(value) or value < least:
                raise StudyError(
                    f"network {name} = {value}; a whole number of at least {least} is needed"
                )
        if self.backbone == "components" and self.components > self.bins**2:
            raise StudyError(
                f"network components = {self.components}, but frames of {self.bins} x {self.bins} "
                f"bins have {self.bins**2}; give fewer, or more bins"
            )

    @property
    def sees_movies(self) -> bool:
        """Whether its input are movies, not traces."""
        return self.kind in MOVIE

    @property
    def n_units(self) -> int:
        """Units of each recurrent layer."""
        return USUAL_UNITS if self.units is None else self.units

    @property
    def starts_from_weights(self) -> bool:
        """Whether it reads movies through a CNN that others have trained."""
        return self.sees_movies and BACKBONES[self.backbone].has_weights


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value >= 0


def _is_sd(value: float) -> bool:
    return 0 <= value < math.inf


# Of each key of `Augment`: whether a value is possible, and what is needed.
_AUGMENT_LIMITS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "region_dropout": (
        lambda value: 0 <= value <= 1,
        "it is a fraction of the training windows: give 0 to 1",
    ),
    "shift_pixels": (_is_count, "give a whole number of pixels, 0 or more"),
    "shift_fraction": (
        lambda value: 0 <= value < 1,
        "it is a fraction of the image's side: give 0 or more, below 1",
    ),
    "gain": (_is_sd, "it is an SD: give 0 or more, and finite"),
    "noise": (_is_sd, "it is an SD: give 0 or more, and finite"),
    "rotation_deg": (
        lambda value: 0 <= value <= MOST_DEGREES,
        f"give 0 to {MOST_DEGREES} degrees",
    ),
    "mirror": (
        lambda value: 0 <= value <= 1,
        "it is a fraction of the training windows: give 0 to 1",
    ),
    "pixel_dropout": (
        lambda value: 0 <= value < 1,
        "it is a fraction of the pixels: give 0 or more, below 1",
    ),
    "jitter_frames": (_is_count, "give a whole number of frames, 0 or more"),
}


@dataclass(frozen=True)
class Augment:
    """How training windows are varied each time they are seen; by default not at all.

    Parameters
    ----------
    region_dropout
        Of traces: the fraction of training windows that show a random set of the regions, of a size
        drawn evenly on a logarithmic scale from one region to all; the others enter as 0. A decoder
        so trained decodes from whatever regions it is given, so that sets of regions can be judged
        by leaving the others out of its input.
    shift_pixels
        Of movies: each training window is shifted by up to so many pixels, along rows and along
        columns, all its frames alike (of windows that share frames, those of a run alike); what
        comes in from outside the image is 0. A decoder so trained cannot lean on what lies at one
        pixel.
    shift_fraction
        The same as a fraction of the image's shorter side, whatever its size.
    gain
        Each training window is multiplied by 1 plus a normal number of this SD; of traces, each of
        its regions by its own.
    noise
        Of traces: normal numbers of this SD are added to what the network reads.
    rotation_deg
        Of movies: each training window is turned about the image's centre by up to so many degrees.
    mirror
        Of movies: the fraction of training windows that are mirrored across the image's middle
        column, where the midline of the brain is taken to lie.
    pixel_dropout
        Of movies: the fraction of pixels that each training window shows as 0.
    jitter_frames
        Of movies: each training window is taken up to so many frames earlier or later than its
        target, where there are frames.
    """

    region_dropout: float = 0.0
    shift_pixels: int = 0
    shift_fraction: float = 0.0
    gain: float = 0.0
    noise: float = 0.0
    rotation_deg: float = 0.0
    mirror: float = 0.0
    pixel_dropout: float = 0.0
    jitter_frames: int = 0

    def __post_init__(self) -> None:
        if self.shift_pixels and self.shift_fraction:
            raise StudyError(
                "training augment gives shift_pixels and shift_fraction; give one of them"
            )
        for name, (is_possible, needed) in _AUGMENT_LIMITS.items():
            value = getattr(self, name)
            if not is_possible(value):
                raise StudyError(f"training augment.{name} = {value}; {needed}")

    def pixels_of_shift(self, image_shape: Sequence[int]) -> int:
        """How many pixels images of this shape (rows, columns) are shifted by at most.

        Raises
        ------
        StudyError
            As many as the image has, or more.

        Examples
        --------
        >>> Augment(shift_fraction=0.06).pixels_of_shift((128, 100))
        6
        """
        side = min(image_shape)
        n_pixels = self.shift_pixels or round(self.shift_fraction * side)
        if n_pixels >= side:
            raise StudyError(
                f"training augment shifts by up to {n_pixels} pixels, and the images have "
                f"{image_shape[0]} x {image_shape[1]}: nothing would be left; give fewer"
            )
        return n_pixels


@dataclass(frozen=True)
class Training:
    """How a decoder is fitted.

    Parameters
    ----------
    epochs, batch_size, learning_rate
        Passes over the training windows, windows a step, step size of Adam (the largest one of a
        schedule).
    label_smoothing
        Share of each label that is spread evenly over the classes.
    penalty
        Weights of the L2 penalty among which linear decoders choose by validation loss, as a
        share of the mean curvature of the loss; or ``"scikit-learn"``: its defaults, C = 1 for
        classes and none for values, whatever validation windows say.
    optimiser
        ``adam``, or ``fastai-adam``: weight decay 0.01 apart from the gradient and on weights
        alone, second beta 0.99, epsilon 1e-5, first beta going down and up with the schedule.
    schedule
        ``constant``, or ``one-cycle``: the step size rises over the first quarter of all steps
        from 1/25 of the largest and falls to 1/100,000 of it, along cosines.
    validations
        How often in an epoch the validation loss is taken, and the weights kept where it is the
        lowest so far.
    patience
        Training ends after so many validations without a lower loss; None: never.
    windows
        Of movies: ``shared``: a batch holds a few runs of consecutive windows, each run of another
        session where possible, so that a frame passes the CNN once for all windows of its run;
        ``independent``: windows are drawn one by one, as published.
    run_windows
        Consecutive windows a run.
    share
        Of movies: the share of the training windows that an epoch visits, drawn anew each epoch,
        and of the validation windows, always the same ones.
    freeze_batch_norm
        Of movies: the CNN's batch-norm statistics stay those it starts with.
    mixed_precision
        Of movies, on a GPU: half-precision (bfloat16) where that is safe.
    drop_last
        An epoch's last batch is left out where it is not full.
    augment
        How training windows are varied.
    """

    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1e-3
    label_smoothing: float = 0.001
    penalty: tuple[float, ...] | str = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    optimiser: str = "adam"
    schedule: str = "constant"
    validations: int = 1
    patience: int | None = None
    windows: str = "shared"
    run_windows: int = 16
    share: float = 1.0
    freeze_batch_norm: bool = False
    mixed_precision: bool = False
    # Not named where it is not asked for: states of training that wait to go on do not know it.
    drop_last: bool = field(default=False, repr=False)
    # Not in the words that a state of training is known by, unless there is something to say.
    augment: Augment = field(default=Augment(), repr=False)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "validations", "run_windows"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise StudyError(f"training {name} = {value}; it must be above 0 and finite")
            if name != "learning_rate" and not _is_whole(value):
                raise StudyError(f"training {name} = {value}; give a whole number")
        if not 0 <= self.label_smoothing < 1:
            raise StudyError(
                f"training label_smoothing = {self.label_smoothing}; "
                "it must be 0 or more and below 1"
            )
        self._check_penalty()
        if self.patience is not None and self.patience < 1:
            raise StudyError(
                f"training patience = {self.patience}; give at least 1, or leave it out"
            )
        if not 0 < self.share <= 1:
            raise StudyError(f"training share = {self.share}; it must be above 0 and at most 1")
        _check_choice("training", "optimiser", self.optimiser, OPTIMISERS)
        _check_choice("training", "schedule", self.schedule, SCHEDULES)
        _check_choice("training", "windows", self.windows, WINDOWS)

    def _check_penalty(self) -> None:
        if isinstance(self.penalty, str):
            _check_choice("training", "penalty", self.penalty, (SCIKIT_LEARN,))
        elif not self.penalty or not all(0 <= one < math.inf for one in self.penalty):
            raise StudyError(f"training penalty = {list(self.penalty)}; name one or more >= 0")


NEWER_OF_NETWORK = ("temporal_stride", "bins", "components")


def plain_network(network: Network) -> dict[str, Any]:
    """Settings of a network as plain values; of the newer ones, what is asked for alone.

    What is known by these values, and does not use a newer setting, thus stays what it was.

    Examples
    --------
    >>> list(plain_network(Network("cnn-gru", temporal_stride=3)))[-2:]
    ['drop_connect', 'temporal_stride']
    """
    usual = {one.name: one.default for one in fields(Network)}
    return {
        name: value
        for name, value in asdict(network).items()
        if name not in NEWER_OF_NETWORK or value != usual[name]
    }


def plain_training(training: Training) -> dict[str, Any]:
    """Settings of a training as plain values; of its augmentation, what is asked for alone.

    A key of `Augment` that is new thus changes nothing that is known by these values and does not
    use it.

    Examples
    --------
    >>> "augment" in plain_training(Training())
    False
    >>> plain_training(Training(augment=Augment(region_dropout=1.0)))["augment"]
    {'region_dropout': 1.0}
    """
    plain = asdict(training)
    usual = {one.name: one.default for one in fields(Augment)}
    asked = {name: value for name, value in plain.pop("augment").items() if value != usual[name]}
    return plain | ({"augment": asked} if asked else {})


def check_network(settings: Network, kind: str, input: str = "traces") -> None:
    """Refuse, with a `StudyError`, a network that does not decode such targets or inputs."""
    if settings.kind == "speed" and kind != "value":
        raise StudyError(
            f"network kind 'speed' decodes values, and the target is of kind {kind!r}; give "
            "target kind = 'value', or another network"
        )
    if settings.sees_movies and input != "movie":
        raise StudyError(
            f"network kind {settings.kind!r} decodes movies, and input is {input!r}; give "
            "input = 'movie', or another network"
        )
    if input == "movie" and not settings.sees_movies:
        raise StudyError(
            f"input = 'movie' needs a network of kind {', '.join(MOVIE)}; {settings.kind!r} "
            "decodes traces"
        )
