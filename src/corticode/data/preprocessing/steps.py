"""Which steps stand between the camera and a signal, in what order, and what each of them uses.

The order is fixed: dark frames, motion and atlas, mask, bins, dF/F, components, blood, then region
means or a movie. Each step is a row of `STEPS`: its words, how far it looks ahead, what it was
fitted on.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from corticode.data.trials import START
from corticode.errors import StudyError

MASKS = ("none", "brain", "image", "both")
CHANNELS = ("reference", "calcium", "none")
BASELINES = ("mean", "median", "percentile", "running", "trial")
MOVIES = ("float16", "float32", "tiff", "none")
# Ways of taking blood out of which nothing is fitted.
UNFITTED = ("none", "difference", "ratio")
WARM_UP_S = 60.0
SMALLEST_CANVAS = 16
# What a step was fitted on, in the column history of catalogues.
WHOLE_SESSION = "whole session"


@dataclass(frozen=True)
class Motion:
    """How brain motion is taken out.

    Parameters
    ----------
    channel
        The channel on which it is estimated: ``"reference"`` (the calcium channel where there is no
        other), since activity moves an estimate that is made on the calcium channel; ``"calcium"``;
        or ``"none"``: frames are taken as they lie.
    rotation
        Whether frames are turned too, about their middle, by a few degrees at most.
    """

    channel: str = "reference"
    rotation: bool = False

    def __post_init__(self) -> None:
        _check_choice("preprocess.motion channel", self.channel, CHANNELS)


@dataclass(frozen=True)
class Bins:
    """How many pixels along each side, and how many frames, become one: their mean.

    Pixels and frames at the end that do not fill a bin are left out.
    """

    pixels: int = 1
    frames: int = 1

    def __post_init__(self) -> None:
        for name in ("pixels", "frames"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise StudyError(
                    f"preprocess.bin {name} is {value!r}; it must be a whole number from 1 on"
                )


@dataclass(frozen=True)
class Baseline:
    """What F0 of dF/F is.

    Parameters
    ----------
    kind
        ``"mean"``, ``"median"`` or ``"percentile"`` of the frames that it is fitted on;
        ``"running"``, a moving mean; or ``"trial"``, the mean before the latest trial's event.
    percentile
        Which, for ``"percentile"``.
    length_s
        Of the moving mean, in seconds.
    before_s
        Of the mean before an event, in seconds.
    events
        The column of the recordings' tables of trials that holds their events' times (s).
    """

    kind: str = "mean"
    percentile: float = 10.0
    length_s: float = 60.0
    before_s: float = 1.0
    events: str = START

    def __post_init__(self) -> None:
        _check_choice("preprocess.dff baseline", self.kind, BASELINES)
        if not 0 <= self.percentile <= 100:
            raise StudyError(
                f"preprocess.dff percentile is {self.percentile}; it must be between 0 and 100"
            )
        if not (math.isfinite(self.length_s) and self.length_s > 0):
            raise StudyError(
                f"preprocess.dff baseline_s is {self.length_s}; it must be a number of seconds "
                "above 0"
            )
        if not (math.isfinite(self.before_s) and self.before_s > 0):
            raise StudyError(
                f"preprocess.dff before_s is {self.before_s}; it must be a number of seconds above "
                "0"
            )


@dataclass(frozen=True)
class Blood:
    """How the haemodynamic signal is taken out.

    Parameters
    ----------
    method
        A row of `corticode.data.preprocessing.blood.VARIANTS`, or ``"none"``.
    fit_s
        The seconds (first, last) of the session on which slopes are fitted, a calibration segment;
        None: the whole session.
    """

    method: str = "heartbeat"
    fit_s: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.fit_s is not None and not 0 <= self.fit_s[0] < self.fit_s[1]:
            raise StudyError(
                f"preprocess.blood fit_s is {list(self.fit_s)}; give the first and the last second "
                "of the part of the session on which slopes are fitted, as in [0, 120]"
            )


@dataclass(frozen=True)
class Steps:
    """Everything that is done between the camera and a signal.

    Parameters
    ----------
    dark
        Counts that the camera gives without light; a catalogue's column ``dark`` goes before it.
    motion, bins, baseline, blood
        See there. `baseline` None: no dF/F, and no blood correction either.
    mask
        Which pixels are kept: ``"none"`` (all), ``"brain"`` (found in the mean image), ``"image"``
        (the catalogue's column ``mask``) or ``"both"``. The others become NaN.
    components
        dF/F of each channel is kept as so many spatial components of its own, which leave most of
        the photons' noise behind; 0: as it is.
    atlas
        Rows and columns of the atlas canvas onto which frames are warped, so that a pixel means
        the same place in every animal; None: frames keep their place. Motion and atlas are one
        transform: an image is interpolated once.
    causal
        Nothing looks ahead: all that is fitted is fitted on the first `warm_up_s` seconds, whose
        frames are left out (NaN) of what is written.
    warm_up_s
        For `causal`.

    Examples
    --------
    >>> steps = Steps(blood=Blood("none"))
    >>> [row.name for row in STEPS.values() if row.is_used(steps)]
    ['motion', 'dff']
    >>> look_ahead_frames(steps, 30.0)
    inf
    """

    dark: float = 0.0
    motion: Motion = field(default_factory=Motion)
    mask: str = "none"
    bins: Bins = field(default_factory=Bins)
    baseline: Baseline | None = field(default_factory=Baseline)
    blood: Blood = field(default_factory=Blood)
    components: int = 0
    atlas: tuple[int, int] | None = None
    causal: bool = False
    warm_up_s: float = WARM_UP_S

    def __post_init__(self) -> None:
        _check_choice("preprocess.mask", self.mask, MASKS)
        if not (math.isfinite(self.dark) and self.dark >= 0):
            raise StudyError(
                f"preprocess.dark is {self.dark}; give the counts of a frame without light, from 0"
            )
        if not (math.isfinite(self.warm_up_s) and self.warm_up_s > 0):
            raise StudyError(
                f"preprocess.warm_up_s is {self.warm_up_s}; it must be a number of seconds above 0"
            )
        if self.atlas is not None and not min(self.atlas) >= SMALLEST_CANVAS:
            raise StudyError(
                f"preprocess.atlas size is {list(self.atlas)}; give rows and columns from "
                f"{SMALLEST_CANVAS} on, as in [128, 128]"
            )
        if self.components < 0 or (self.components and self.baseline is None):
            raise StudyError(
                f"preprocess.denoise components is {self.components}; it must be 0 (none) or more, "
                "and needs dF/F: give a baseline"
            )
        if self.causal and self.baseline is not None and self.baseline.kind == "trial":
            raise StudyError(
                "preprocess.dff baseline 'trial' has no causal form here, as frames come without "
                "their trials; take 'running', or leave causal out"
            )
        if self.causal and self.blood.fit_s is not None:
            raise StudyError(
                "preprocess.blood fit_s and preprocess.causal exclude each other: what is causal "
                "is fitted on the warm-up (warm_up_s); leave one of them out"
            )
        if self.baseline is None and self.blood.method != "none":
            raise StudyError(
                "preprocess.blood needs dF/F of both channels: give a baseline, or "
                'blood = { method = "none" }'
            )


@dataclass(frozen=True)
class Step:
    """One step: what it is called, in words, how far it looks and on what it is fitted.

    Parameters
    ----------
    name
        As in a study file.
    words
        What it does with these settings, as a clause.
    is_used
        Whether these settings use it.
    look_ahead
        How many frames later than a frame its result can depend on, at a frame rate.
    fitted_on
        Which frames its numbers come from: empty where it has none.
    """

    name: str
    words: Callable[[Steps], str]
    is_used: Callable[[Steps], bool]
    look_ahead: Callable[[Steps, float], float]
    fitted_on: Callable[[Steps], str] = lambda _: ""


def _span(steps: Steps) -> str:
    return f"first {steps.warm_up_s:g} s" if steps.causal else WHOLE_SESSION


def _of_fit(steps: Steps, _: float) -> float:
    return 0.0 if steps.causal else math.inf


def _follows(steps: Steps) -> bool:
    """Whether F0 follows the session."""
    return steps.baseline is not None and steps.baseline.kind in ("running", "trial")


def _dff_words(steps: Steps) -> str:
    if steps.baseline is None:
        return ""
    kind = steps.baseline.kind
    if kind == "trial":
        return f"dF/F, F0: mean of {steps.baseline.before_s:g} s before each trial"
    return f"dF/F, F0: {kind}" + f" of {steps.baseline.length_s:g} s" * (kind == "running")


def _dff_look_ahead(steps: Steps, rate_hz: float) -> float:
    if not _follows(steps) or steps.baseline is None:
        return _of_fit(steps, rate_hz)
    is_centred = steps.baseline.kind == "running" and not steps.causal
    return math.ceil(steps.baseline.length_s * rate_hz / 2) if is_centred else 0.0


def _blood_span(steps: Steps) -> str:
    if steps.blood.method in UNFITTED:
        return ""
    if steps.causal or steps.blood.fit_s is None:
        return _span(steps)
    return f"seconds {steps.blood.fit_s[0]:g} to {steps.blood.fit_s[1]:g}"


def _blood_words(steps: Steps) -> str:
    return f"blood: {steps.blood.method}"


STEPS: Mapping[str, Step] = {
    row.name: row
    for row in (
        Step(
            "dark",
            lambda steps: f"dark level {steps.dark:g} counts, or the recording's own dark frames",
            lambda steps: steps.dark > 0,
            lambda _, __: 0.0,
        ),
        Step(
            "motion",
            lambda steps: (
                f"brain motion estimated on the {steps.motion.channel} channel"
                + (", with rotation" if steps.motion.rotation else "")
            ),
            lambda steps: steps.motion.channel != "none",
            _of_fit,
            _span,
        ),
        Step(
            "atlas",
            lambda steps: (
                "warped onto the atlas"
                + ("" if steps.atlas is None else f" ({steps.atlas[0]} x {steps.atlas[1]} pixels)")
            ),
            lambda steps: steps.atlas is not None,
            lambda _, __: 0.0,
        ),
        Step(
            "mask",
            lambda steps: f"mask: {steps.mask}",
            lambda steps: steps.mask != "none",
            _of_fit,
            _span,
        ),
        Step(
            "bin",
            lambda steps: (
                f"bins of {steps.bins.pixels} x {steps.bins.pixels} pixels and "
                f"{steps.bins.frames} frames"
            ),
            lambda steps: steps.bins != Bins(),
            lambda steps, _: float(steps.bins.frames - 1),
        ),
        Step(
            "dff",
            _dff_words,
            lambda steps: steps.baseline is not None,
            _dff_look_ahead,
            lambda steps: "" if _follows(steps) else _span(steps),
        ),
        Step(
            "denoise",
            lambda steps: f"{steps.components} spatial components",
            lambda steps: steps.components > 0,
            _of_fit,
            _span,
        ),
        Step(
            "blood",
            _blood_words,
            lambda steps: steps.blood.method != "none",
            _of_fit,
            _blood_span,
        ),
    )
}


def look_ahead_frames(steps: Steps, frame_rate_hz: float) -> float:
    """How many frames later than a frame its preprocessed value can depend on."""
    return sum(row.look_ahead(steps, frame_rate_hz) for row in STEPS.values() if row.is_used(steps))


def describe(steps: Steps) -> str:
    """The steps as a clause, for a catalogue's column ``history``.

    Examples
    --------
    >>> describe(Steps(blood=Blood("none"), motion=Motion("none")))
    'dF/F, F0: mean (whole session)'
    """
    parts = []
    for row in STEPS.values():
        if row.is_used(steps):
            where = row.fitted_on(steps)
            parts.append(row.words(steps) + (f" ({where})" if where else ""))
    return "; ".join(parts) or "as recorded"


def _check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise StudyError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
