"""The keys of a file of preprocessing steps, and the steps that they ask for."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corticode.data.preprocessing.blood import VARIANTS
from corticode.data.preprocessing.steps import (
    BASELINES,
    CHANNELS,
    MASKS,
    Baseline,
    Bins,
    Blood,
    Motion,
    Steps,
)
from corticode.data.readers.lookup import is_file
from corticode.data.trials import START
from corticode.errors import MissingDataError, StudyError
from corticode.study.faults import listed, schema_faults, toml_fault

# Regression on the reference takes neurons for the blood that follows them, see
# benchmarks/results/reference_correction.md.
DEFAULT = "heartbeat"

if TYPE_CHECKING:
    MaskName = str
    ChannelName = str
    BaselineName = str
    VariantName = str
else:
    MaskName, ChannelName = Literal[MASKS], Literal[CHANNELS]
    BaselineName, VariantName = Literal[(*BASELINES, "none")], Literal[tuple(VARIANTS)]


class _Keys(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class MotionKeys(_Keys):
    """How brain motion is taken out."""

    channel: ChannelName = Field(
        "reference",
        description="On which channel it is estimated (the calcium channel where there is no "
        "other); none: frames are taken as they lie.",
    )
    rotation: bool = Field(False, description="Frames are turned too, by small angles.")


class BinKeys(_Keys):
    """How many pixels and frames become one, their mean."""

    pixels: int = Field(1, ge=1, description="Along each side.")
    frames: int = Field(1, ge=1, description="In time; needs a frame rate.")


class DffKeys(_Keys):
    """What F0 of dF/F is, pixel by pixel."""

    baseline: BaselineName = Field(
        "mean",
        description="Mean, median or percentile over the session (or the warm-up), a running mean, "
        "or the mean before each trial; none: counts, not dF/F, and no blood correction.",
    )
    percentile: float = Field(10.0, ge=0, le=100, description="Which, for a percentile.")
    baseline_s: float = Field(60.0, gt=0, description="Length of a running mean.")
    before_s: float = Field(1.0, gt=0, description="Length of the mean before each trial's event.")
    events: str = Field(
        START,
        description="Of trials: the column of the catalogue's tables of trials that holds their "
        "events' times (s).",
    )


class DenoiseKeys(_Keys):
    """dF/F of each channel as few spatial components of the session, without photons' noise."""

    components: int = Field(
        0, ge=0, description="How many, as 200; fitted on means of 15 frames. 0: dF/F as it is."
    )


class BloodKeys(_Keys):
    """How the haemodynamic signal is taken out by the reference channel."""

    method: VariantName | None = Field(
        None, description="Without it: heartbeat where there is a reference channel, else none."
    )
    fit_s: list[float] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="First and last second of the part of the session on which slopes are fitted; "
        "without it the whole session, which the page calls transductive.",
    )


class AtlasKeys(_Keys):
    """Frames warped onto the atlas, by the transform in the catalogue's column landmarks."""

    size: list[int] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="Rows and columns of the canvas that all animals share; without it frames keep "
        "their place.",
    )


class StepKeys(_Keys):
    """What is done between the camera and a signal, in this order."""

    dark: float = Field(
        0.0, ge=0, description="Counts without light; a catalogue's column dark goes before it."
    )
    motion: MotionKeys = Field(MotionKeys(), description="Brain motion.")
    mask: MaskName = Field(
        "none",
        description="Pixels that are kept: the brain found in the mean image, the catalogue's "
        "column mask (image), or what lies in both.",
    )
    bin: BinKeys = Field(BinKeys(), description="Bins of pixels and frames.")
    dff: DffKeys = Field(DffKeys(), description="dF/F.")
    denoise: DenoiseKeys = Field(DenoiseKeys(), description="Few spatial components.")
    blood: BloodKeys = Field(BloodKeys(), description="The haemodynamic signal.")
    atlas: AtlasKeys = Field(AtlasKeys(), description="The space that animals share.")
    causal: bool = Field(
        False, description="Nothing looks ahead: all is fitted on the warm-up, which is left out."
    )
    warm_up_s: float = Field(60.0, gt=0, description="Length of the warm-up, where causal.")


class PreprocessedKeys(StepKeys):
    """Start from raw movies: these steps come before everything else, once, into files.

    Conditions of movies then decode the corrected movies, and those of traces the means of regions
    over them: of `[data] region_image`, of the discs of `[data] regions`, or of the atlas. Measured
    confounds are still those of the raw movies. `check`, `plan` and `run` make what is not there.
    """

    folder: str = Field(
        "preprocessed",
        min_length=1,
        description="Where what is made is kept, relative to the study file: a folder for each way "
        "of preprocessing, whose `quality.html` shows how good it is. Studies may share it.",
    )
    movies: Literal["float16", "float32", "tiff"] = Field(
        "float16",
        description="How corrected movies are kept, where a condition decodes movies: NPY of so "
        "many bits, or BigTIFF of 32.",
    )
    radius_pixels: float = Field(
        4.0, gt=0, description="Of the discs around the centres of a region table, raw pixels."
    )


class _File(_Keys):
    """A file with a table [preprocess]."""

    preprocess: StepKeys = Field(StepKeys(), description="The steps.")


def read_steps(path: Path | None, *, has_reference: bool) -> Steps:
    """The steps that a TOML file asks for in its table ``[preprocess]``.

    Parameters
    ----------
    path
        The file; None: what is done where nothing is asked for.
    has_reference
        Whether the recordings have a reference channel: blood is then taken out, with the slope
        of the heart beat, where no method is named; it is left in otherwise.

    Raises
    ------
    MissingDataError
        There is no such file.
    StudyError
        Lists every fault of it.

    Examples
    --------
    >>> read_steps(None, has_reference=True).blood.method
    'heartbeat'
    """
    raw = {} if path is None else _read(path)
    where = Path("preprocess") if path is None else path
    try:
        keys = _File.model_validate(raw).preprocess
    except ValidationError as error:
        raise StudyError(listed(where, schema_faults(error, raw, _File))) from error
    try:
        return steps_of(keys, has_reference=has_reference)
    except StudyError as error:
        raise StudyError(listed(where, [str(error)])) from error


def steps_of(keys: StepKeys, *, has_reference: bool) -> Steps:
    """The steps of a table of keys; see `read_steps`."""
    is_dff = keys.dff.baseline != "none"
    method = keys.blood.method or (DEFAULT if has_reference and is_dff else "none")
    if VARIANTS[method].needs_reference and not has_reference:
        others = [name for name, row in VARIANTS.items() if not row.needs_reference]
        raise StudyError(
            f"preprocess.blood method {method!r} needs a reference channel in every recording; "
            "fill the catalogue's column 'channels' or 'movie_reference', or give "
            f"method = {' or '.join(map(repr, others))}"
        )
    fit_s = keys.blood.fit_s
    return Steps(
        dark=keys.dark,
        motion=Motion(
            "calcium"
            if keys.motion.channel == "reference" and not has_reference
            else keys.motion.channel,
            keys.motion.rotation,
        ),
        mask=keys.mask,
        bins=Bins(keys.bin.pixels, keys.bin.frames),
        baseline=Baseline(
            keys.dff.baseline,
            keys.dff.percentile,
            keys.dff.baseline_s,
            keys.dff.before_s,
            keys.dff.events,
        )
        if is_dff
        else None,
        components=keys.denoise.components,
        blood=Blood(method, None if fit_s is None else (fit_s[0], fit_s[1])),
        atlas=None if keys.atlas.size is None else (keys.atlas.size[0], keys.atlas.size[1]),
        causal=keys.causal,
        warm_up_s=keys.warm_up_s,
    )


def _read(path: Path) -> Mapping[str, Any]:
    if not is_file(path):
        raise MissingDataError(f"{path} does not exist; give a TOML file with a table [preprocess]")
    try:
        text = path.read_text("utf-8")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise StudyError(f"{path} is not valid TOML: {error}; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path} is not valid TOML: {toml_fault(text, error)}") from error
