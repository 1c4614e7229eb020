"""A study file, read strictly: every fault at once, every key documented where it is read."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corticode.data.cues import Input
from corticode.data.pixels import PixelPreprocessing
from corticode.data.preprocess import Preprocessing
from corticode.data.targets import Target
from corticode.data.windows import WindowShape
from corticode.decode.settings import Network, Training, check_network
from corticode.errors import MissingDataError, StudyError
from corticode.study_faults import (
    listed,
    name_faults,
    schema_faults,
    start_faults,
    toml_fault,
    unit_faults,
)

PRESETS = ("recommended", "online", "text", "code")
MERGED = ("preprocess", "window", "training", "target")


class _Keys(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class DataKeys(_Keys):
    """Where the recordings are and how they are brought together."""

    catalogue: str = Field(description="Path of the catalogue, relative to the study file.")
    trim_frames: int = Field(
        0, ge=0, description="Up to this many frames are cut from the tail of whatever is longer."
    )
    resample_hz: float | None = Field(
        None, gt=0, description="Bring every session to this lower frame rate (Hz)."
    )
    regions: str | None = Field(
        None, description="Path of a region table (name, side, mirror, group, row, column)."
    )


class TargetKeys(_Keys):
    """What is decoded."""

    signal: str | None = Field(None, description="An array or column of the behaviour files.")
    kind: Literal["binary", "classes", "value"] | None = Field(
        None, description="Two states, several classes, or a continuous value."
    )
    above: float | None = Field(
        None, description="1 where the signal is above this; left out for signals of 0 and 1."
    )
    absolute: bool | None = Field(None, description="Take the absolute value first.")
    hysteresis: float | None = Field(
        None, ge=0, description="Once 1, stays 1 until the signal falls to above - hysteresis."
    )
    minimum_bout_frames: int | None = Field(
        None, ge=0, description="Shorter stretches of 1 become 0 (frames)."
    )
    minimum_bout_s: float | None = Field(None, ge=0, description="The same in seconds.")
    minimum_gap_frames: int | None = Field(
        None, ge=0, description="Shorter stretches of 0 between two of 1 become 1 (frames)."
    )
    minimum_gap_s: float | None = Field(None, ge=0, description="The same in seconds.")
    exclude_transition_frames: int | None = Field(
        None, ge=0, description="Frames on both sides of a change that get no target."
    )
    exclude_transition_s: float | None = Field(None, ge=0, description="The same in seconds.")
    smooth_frames: int | None = Field(
        None, ge=0, description="Length of a moving mean over the signal (frames)."
    )
    smooth_s: float | None = Field(None, ge=0, description="The same in seconds.")


class FoldKeys(_Keys):
    """Who trains, validates and tests."""

    by: Literal["animal", "session", "block"] = Field(
        "animal", description="Leave out animals, sessions of an animal, or blocks of a session."
    )
    only: list[str] | None = Field(None, description="Names of the folds to run; default all.")
    blocks: int = Field(5, ge=3, description="Contiguous blocks a session (by = 'block').")
    gap_frames: int | None = Field(
        None,
        ge=0,
        description="Frames left out between blocks of different roles; default: the window's "
        "length + |shift|.",
    )
    gap_s: float | None = Field(None, ge=0, description="The same in seconds.")


class PreprocessKeys(_Keys):
    """What is done to the traces."""

    detrend_frames: int | None = Field(
        None, ge=0, description="Length of the moving mean that is subtracted (frames); 0: none."
    )
    detrend_s: float | None = Field(None, ge=0, description="The same in seconds.")
    smooth_frames: int | None = Field(
        None, ge=0, description="Length of a moving mean over the traces (frames); 0: none."
    )
    smooth_s: float | None = Field(None, ge=0, description="The same in seconds.")
    causal: bool | None = Field(None, description="Moving means look back only.")
    scale: Literal["min-max", "z-score", "robust", "none"] | None = Field(
        None, description="How each region is scaled."
    )
    scale_over: Literal["session", "training", "causal"] | None = Field(
        None,
        description="Statistics of the whole session (future included), of the training animals, "
        "or of the past alone.",
    )
    correction: Literal["none", "reference-regression", "done-elsewhere"] | None = Field(
        None,
        description="Movies: what was or is done about blood; must be stated. The reference "
        "channel's low-passed signal is regressed out pixel by pixel, or not.",
    )
    pixel_scale: Literal["sd", "variance", "fluctuation", "none"] | None = Field(
        None,
        description="Movies: what frames, minus each pixel's mean, are divided by: SD or variance "
        "of all pixels and frames, or the SD over time within the brain.",
    )
    mask: Literal["none", "brain"] | None = Field(
        None, description="Movies: pixels outside the brain enter as 0."
    )
    lowpass_frames: int | None = Field(
        None, ge=1, description="Movies: length of the moving mean over the reference (frames)."
    )
    lowpass_s: float | None = Field(None, gt=0, description="The same in seconds.")


class WindowKeys(_Keys):
    """What the decoder sees."""

    before: int | None = Field(None, ge=0, description="Frames before the centre.")
    before_s: float | None = Field(None, ge=0, description="The same in seconds.")
    after: int | None = Field(None, ge=0, description="Frames after the centre.")
    after_s: float | None = Field(None, ge=0, description="The same in seconds.")
    shift: int | None = Field(
        None, description="The target is that of the centre + shift (frames); > 0 is the future."
    )
    shift_s: float | None = Field(None, description="The same in seconds.")


class NetworkKeys(_Keys):
    """Which decoder."""

    kind: Literal[
        "rnn",
        "lstm",
        "gru",
        "bi-rnn",
        "bi-lstm",
        "bi-gru",
        "gru-keras",
        "linear-frame",
        "linear-window",
        "speed",
        "cnn",
        "cnn-gru",
        "cnn-lstm",
    ] = Field(
        "gru",
        description="The decoder; gru-keras is the cell of the study's code, linear ones weigh the "
        "centre frame or the window, speed is the study's network for values; cnn reads one image "
        "of a movie, cnn-gru and cnn-lstm a window of them.",
    )
    units: int | None = Field(
        None,
        ge=1,
        description="Units of a recurrent layer; left out: 32, after a CNN 128. Linear ones and "
        "cnn pass over it, speed takes no other.",
    )
    backbone: Literal["efficientnet-b0", "efficientnet-lite0"] | None = Field(
        None, description="The CNN of movies."
    )
    flavour: Literal["torch", "tensorflow"] | None = Field(
        None, description="How the CNN pads and normalises; its weights must be of that flavour."
    )
    weights: str | None = Field(
        None,
        description="What the CNN starts from: 'imagenet', 'none', or the path of a state dict, "
        "relative to the study file.",
    )
    drop_connect: float | None = Field(
        None, ge=0, lt=1, description="Largest share of CNN blocks left out of a training sample."
    )


class TrainingKeys(_Keys):
    """How it is fitted."""

    epochs: int | None = Field(None, ge=1, description="Passes over the training windows.")
    batch_size: int | None = Field(None, ge=1, description="Windows a step.")
    learning_rate: float | None = Field(None, gt=0, description="Step size of Adam.")
    label_smoothing: float | None = Field(
        None, ge=0, lt=1, description="Share of each label that is spread over the classes."
    )
    penalty: list[float] | None = Field(
        None,
        min_length=1,
        description="L2 penalties among which linear decoders choose by validation loss, as a "
        "share of the inputs' mean variance.",
    )
    optimiser: Literal["adam", "fastai-adam"] | None = Field(
        None, description="Adam, or Adam as fastai sets it (decoupled weight decay 0.01)."
    )
    schedule: Literal["constant", "one-cycle"] | None = Field(
        None, description="How the step size goes: learning_rate is its largest value."
    )
    validations: int | None = Field(
        None, ge=1, description="How often in an epoch the validation loss is taken."
    )
    patience: int | None = Field(
        None, ge=1, description="Training ends after so many validations without a lower loss."
    )
    windows: Literal["shared", "independent"] | None = Field(
        None,
        description="Movies: batches of runs of consecutive windows, whose images pass the CNN "
        "once, or windows drawn one by one, as published.",
    )
    run_windows: int | None = Field(None, ge=1, description="Movies: windows a run.")
    share: float | None = Field(
        None, gt=0, le=1, description="Movies: share of the windows that an epoch visits."
    )
    freeze_batch_norm: bool | None = Field(
        None, description="Movies: batch-norm statistics stay as they were at the start."
    )
    mixed_precision: bool | None = Field(
        None, description="Movies, on a GPU: bfloat16 where that is safe."
    )
    keep_train: bool | None = Field(
        None, description="Keep the predictions of training windows as well."
    )


class ConditionKeys(_Keys):
    """One way of decoding; every condition is fitted in every fold."""

    name: str = Field(min_length=1, description="Its name in the tables; unique.")
    like: str | None = Field(
        None, description="Copy another condition, then change what is given here."
    )
    preset: Literal["recommended", "online", "text", "code"] | None = Field(
        None, description="Start from this preset instead of the study's."
    )
    input: Input | None = Field(
        None,
        description="What the decoder sees: the region traces, the movie, or a cue that is not "
        "cortex, as a control: the mean of all regions (or pixels), the pixels outside the brain, "
        "the image's four borders, the frame's number in its session, the brain's shift (rows, "
        "columns), the mean of the reference channel. All but the traces, the first mean and the "
        "number need a movie.",
    )
    preprocess: PreprocessKeys | None = None
    window: WindowKeys | None = None
    network: NetworkKeys | None = None
    training: TrainingKeys | None = None
    target: TargetKeys | None = None
    start_from: str | None = Field(
        None,
        description="Another condition, whose decoder of the same fold and seed gives the start "
        "weights (those of its CNN, for movies).",
    )
    regions: list[int | str] | Literal["all"] | None = Field(
        None,
        description="Regions the decoder may see: numbers, names, groups, sides; a leading 'not' "
        "keeps the others. The rest enters as 0.",
    )
    folds: list[str] | None = Field(
        None, min_length=1, description="Names of the folds of this condition; default the study's."
    )
    permute_labels: Literal["none", "sessions", "segments", "blocks", "frames"] | None = Field(
        None, description="Exchange label traces between these: the control at chance."
    )


class StudyKeys(_Keys):
    """A study file."""

    preset: Literal["recommended", "online", "text", "code"] = Field(
        "recommended", description="Where unnamed keys come from."
    )
    data: DataKeys = Field(description="The table that names the catalogue of recordings.")
    target: TargetKeys | None = Field(None, description="What every condition decodes.")
    folds: FoldKeys = Field(FoldKeys(), description="Who trains, validates and tests.")
    condition: list[ConditionKeys] = Field(
        min_length=1, description="At least one way of decoding, with a name."
    )


@dataclass(frozen=True)
class Condition:
    """A condition with every choice made, lengths in frames."""

    name: str
    preprocessing: Preprocessing
    window: WindowShape
    network: Network
    training: Training
    target: Target
    regions: tuple[int | str, ...] | None
    permute_labels: str | None
    keep_train: bool
    input: str = "traces"
    pixels: PixelPreprocessing | None = None
    start_from: str | None = None
    folds: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_network(self.network, self.target.kind, self.input)
        if self.network.kind == "cnn" and self.window.n_frames != 1:
            raise StudyError(
                f"network kind 'cnn' reads one image and the window holds {self.window.n_frames}; "
                "give window = { before = 0, after = 0 }, or kind = 'cnn-gru'"
            )


@dataclass(frozen=True)
class Study:
    """A study, read and resolved.

    Parameters
    ----------
    path
        The file it came from.
    data, folds
        Its keys.
    conditions
        Its conditions with `like` and presets worked in.
    """

    path: Path
    data: DataKeys
    folds: FoldKeys
    conditions: tuple[ConditionKeys, ...]

    @property
    def catalogue_path(self) -> Path:
        """The catalogue's path."""
        return self.path.parent / self.data.catalogue

    @property
    def regions_path(self) -> Path | None:
        """The region table's path, if one is named."""
        return None if self.data.regions is None else self.path.parent / self.data.regions

    @property
    def signals(self) -> tuple[str, ...]:
        """Every behaviour signal that some condition decodes."""
        return tuple(
            dict.fromkeys(str(c.target.signal) for c in self.conditions if c.target is not None)
        )


def read_study(path: Path | str) -> Study:
    """A study from its file, with presets and `like` worked in.

    Raises
    ------
    MissingDataError
        There is no such file.
    StudyError
        Lists every fault: unknown keys (with the likely one), wrong types, names that do not
        exist, circles.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "study.toml"
    >>> _ = path.write_text('''
    ... [data]
    ... catalogue = "sessions.csv"
    ... [target]
    ... signal = "speed"
    ... above = 0.5
    ... [[condition]]
    ... name = "gru"
    ... ''')
    >>> resolve(read_study(path).conditions[0], frame_rate_hz=30.0).window.n_frames
    31
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(f"study file {path} does not exist; give the path of a TOML file")
    try:
        text = path.read_text("utf-8")
        raw = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise StudyError(f"{path} is not valid TOML: {error}; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path} is not valid TOML: {toml_fault(text, error)}") from error
    faults = [*name_faults(raw), *unit_faults(raw, MERGED)]
    try:
        keys = StudyKeys.model_validate(raw)
    except ValidationError as error:
        raise StudyError(listed(path, schema_faults(error, raw, StudyKeys) + faults)) from error
    if faults:
        raise StudyError(listed(path, faults))
    conditions = _resolve_all(raw)
    faults = [fault for c in conditions if (fault := _setting_fault(c)) is not None]
    faults += start_faults(
        {c.name: c.start_from for c in conditions},
        {c.name: c.permute_labels or "none" for c in conditions},
    )
    if faults:
        raise StudyError(listed(path, faults))
    conditions = [_with_weights_path(c, path.parent) for c in conditions]
    return Study(path, keys.data, keys.folds, tuple(_starts_first(conditions)))


def _with_weights_path(keys: ConditionKeys, folder: Path) -> ConditionKeys:
    """A condition whose file of weights is named in full."""
    network = keys.network
    if network is None or network.weights in (None, "imagenet", "none"):
        return keys
    path = (folder / str(network.weights)).resolve()
    return keys.model_copy(update={"network": network.model_copy(update={"weights": str(path)})})


def _starts_first(conditions: Sequence[ConditionKeys]) -> list[ConditionKeys]:
    """Conditions in their order, but none before the one it starts from."""
    ordered: list[ConditionKeys] = []
    left = list(conditions)
    while left:
        done = {c.name for c in ordered}
        ready = next(c for c in left if c.start_from is None or c.start_from in done)
        ordered.append(ready)
        left.remove(ready)
    return ordered


def resolve(keys: ConditionKeys, frame_rate_hz: float | None) -> Condition:
    """A condition with its lengths in frames.

    Raises
    ------
    StudyError
        A length is in seconds and the frame rate is not known, or a value is not possible.
    """
    preprocess = keys.preprocess or PreprocessKeys()
    window, target = keys.window or WindowKeys(), keys.target or TargetKeys()
    training = keys.training or TrainingKeys()

    def frames(group: BaseModel, name: str, suffix: str = "_frames") -> int | None:
        seconds = getattr(group, f"{name}_s")
        if seconds is None:
            given: int | None = getattr(group, name + suffix)
            return given
        if frame_rate_hz is None:
            raise StudyError(
                f"condition {keys.name!r}: {name}_s is in seconds, but the catalogue has no "
                f"frame_rate_hz; add it, or give {name}{suffix}"
            )
        return round(float(seconds) * frame_rate_hz)

    lengths = ("minimum_bout", "minimum_gap", "exclude_transition", "smooth")
    return Condition(
        keys.name,
        Preprocessing(
            **_given(
                detrend_frames=frames(preprocess, "detrend") or None,
                smooth_frames=frames(preprocess, "smooth") or None,
                causal=preprocess.causal,
                scale=preprocess.scale,
                scale_over=preprocess.scale_over,
            )
        ),
        WindowShape(**_given(**{k: frames(window, k, "") for k in ("before", "after", "shift")})),
        Network(**_given(**(keys.network or NetworkKeys()).model_dump())),
        Training(
            **_given(
                **training.model_dump(exclude={"keep_train", "penalty"}),
                penalty=None if training.penalty is None else tuple(training.penalty),
            )
        ),
        Target(
            **_given(
                signal=target.signal,
                kind=target.kind,
                above=target.above,
                absolute=target.absolute,
                hysteresis=target.hysteresis,
                **{f"{name}_frames": frames(target, name) for name in lengths},
            )
        ),
        None if keys.regions in (None, "all") else tuple(keys.regions or ()),
        None if keys.permute_labels in (None, "none") else keys.permute_labels,
        bool(training.keep_train),
        keys.input or "traces",
        # Without a reference its filter has no length, and needs no frame rate.
        _pixels(
            keys,
            frames(preprocess, "lowpass")
            if preprocess.correction == "reference-regression"
            else None,
        )
        if keys.input == "movie"
        else None,
        keys.start_from,
        None if keys.folds is None else tuple(keys.folds),
    )


def _pixels(keys: ConditionKeys, lowpass_frames: int | None) -> PixelPreprocessing:
    """What is done to the movies of a condition.

    Raises
    ------
    StudyError
        It is not stated what is done about blood.
    """
    preprocess = keys.preprocess or PreprocessKeys()
    if preprocess.correction is None:
        raise StudyError(
            f"condition {keys.name!r} decodes movies: state what is done about blood, preprocess = "
            "{ correction = 'reference-regression' } where there is a reference channel, "
            "'done-elsewhere' or 'none'"
        )
    return PixelPreprocessing(
        **_given(
            scale=preprocess.pixel_scale,
            mask=preprocess.mask,
            correction=preprocess.correction,
            lowpass_frames=lowpass_frames,
            causal=preprocess.causal,
        )
    )


def gap_frames(
    study: Study, window: WindowShape, frame_rate_hz: float | None, *, margin: int = 0
) -> int:
    """Frames left out between blocks: as given, else the window's length + |shift|.

    A window of a movie has a `margin` of one frame on both sides.
    """
    folds = study.folds
    if folds.gap_s is not None:
        if frame_rate_hz is None:
            raise StudyError("[folds] gap_s needs frame_rate_hz in the catalogue; give gap_frames")
        return round(folds.gap_s * frame_rate_hz)
    if folds.gap_frames is not None:
        return folds.gap_frames
    return window.n_frames + 2 * margin + abs(window.shift)


def write_resolved(study: Study, folder: Path) -> str:
    """The study as TOML with presets and `like` worked in, its paths relative to a folder.

    Read from a file in that folder it is the same study.
    """
    data = study.data.model_dump(exclude_none=True)
    data["catalogue"] = _relative(study.catalogue_path, folder)
    if study.regions_path is not None:
        data["regions"] = _relative(study.regions_path, folder)
    content = {
        "data": data,
        "folds": study.folds.model_dump(exclude_none=True),
        "condition": [c.model_dump(exclude_none=True) for c in study.conditions],
    }
    return tomli_w.dumps(content)


def _relative(path: Path, folder: Path) -> str:
    """A path as seen from a folder; whole where they share no root (two Windows drives)."""
    path, folder = path.resolve(), folder.resolve()
    if path.anchor != folder.anchor:
        return path.as_posix()
    return Path(os.path.relpath(path, folder)).as_posix()


def read_preset(name: str) -> dict[str, Any]:
    """The keys of a preset that ships with the package."""
    return tomllib.loads((files("corticode.presets") / f"{name}.toml").read_text("utf-8"))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _resolve_all(raw: Mapping[str, Any]) -> list[ConditionKeys]:
    given = {condition["name"]: condition for condition in raw["condition"]}
    done: dict[str, dict[str, Any]] = {}

    def resolved(name: str) -> dict[str, Any]:
        if name not in done:
            own = {k: v for k, v in given[name].items() if k not in ("like", "preset")}
            if "like" in given[name]:
                base = resolved(given[name]["like"])
            else:
                preset = read_preset(given[name].get("preset", raw.get("preset", "recommended")))
                base = _preset_base(preset, own) | {
                    "target": _merge(preset.get("target", {}), raw.get("target", {}))
                }
            done[name] = {
                k: _merge(base.get(k, {}), own.get(k, {}))
                if k in MERGED
                else own.get(k, base.get(k))
                for k in base | own
            }
            if "like" not in given[name] and done[name].get("input") == "movie":
                done[name]["network"] = base["network"]
        return done[name]

    return [ConditionKeys.model_validate(resolved(name)) for name in given]


def _preset_base(preset: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What a preset says of a condition: of traces, of single images, or of windows of images."""
    base = dict(preset["condition"])
    if own.get("input", base["input"]) != "movie":
        return base
    base |= preset["movie"]
    network = own.get("network", {})
    kind = network.get("kind", base["network"]["kind"]) if isinstance(network, Mapping) else ""
    if kind in ("cnn-gru", "cnn-lstm"):
        recurrent = preset["movie-recurrent"]
        base |= {name: _merge(base[name], keys) for name, keys in recurrent.items()}
    if "network" in own:
        # A condition without `like` names what differs from the preset's CNN.
        base["network"] = _merge(base["network"], own["network"])
    return base


def _merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Own keys over the base's; a length in one unit takes the place of that in the other."""
    replaced = set(own)
    for name in own:
        stem = name.removesuffix("_s").removesuffix("_frames")
        replaced |= {stem, f"{stem}_s", f"{stem}_frames"}
    return {k: v for k, v in base.items() if k not in replaced} | dict(own)


def _setting_fault(keys: ConditionKeys) -> str | None:
    """What `resolve` would refuse whatever the frame rate is."""
    if keys.target is None or keys.target.signal is None:
        return f"condition {keys.name!r} decodes no signal; give [target] signal"
    unfit = _unfit_preprocessing(keys)
    if unfit:
        return unfit
    if keys.input not in (None, "traces") and keys.regions not in (None, "all"):
        return (
            f"condition {keys.name!r} gives regions, but input = {keys.input!r} has none; leave "
            "regions out, or give regions = 'all' to undo what like brought"
        )
    try:
        resolve(keys, frame_rate_hz=30.0)
    except StudyError as error:
        return f"condition {keys.name!r}: {error}"
    return None


def _unfit_preprocessing(keys: ConditionKeys) -> str | None:
    """A step of preprocessing that is there for traces and given for a movie, or the reverse."""
    given = (keys.preprocess or PreprocessKeys()).model_dump(exclude_none=True)
    of_movies = {"correction", "pixel_scale", "mask", "lowpass_frames", "lowpass_s"}
    if keys.input == "movie":
        wrong, other = set(given) - of_movies - {"causal"}, "region traces"
    else:
        wrong, other = set(given) & of_movies, "movies"
    if not wrong:
        return None
    return (
        f"condition {keys.name!r} has input = {keys.input or 'traces'!r}, but preprocess "
        f"{', '.join(sorted(wrong))} is for {other}; leave it out"
    )
