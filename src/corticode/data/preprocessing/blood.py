"""Blood taken out of the calcium channel by the reference channel, each published way by its name.

`b` and `v` are dF/F, as fractions, of the calcium channel (470 nm) and of the reference channel
(405 nm) at the same frames; columns are pixels, regions or SVD components alike. A variant is a
row of `VARIANTS`: its filters, how its coefficients are found, how they are applied, whether it has
a causal form. What is summed over frames to find coefficients adds up over blocks of frames,
stretches and sessions, so that slopes may be fitted on training sessions, on a calibration segment
or on a warm-up. Samples that are not finite are bridged by straight lines inside filters, left out
of sums and come back NaN: they cost no other sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from corticode.data.movies.reference import (
    LEAST_COHERENCE,
    LEAST_FRAMES,
    SMOOTHING_PIXELS,
    fast_cycles,
    fast_part,
    slope_of_shares,
)
from corticode.data.preprocessing.filters import (
    Filter,
    ForwardFilter,
    bridge_gaps,
    filter_both_ways,
)
from corticode.errors import DataError, StudyError

Array = NDArray[np.float64]

HIGH_PASS_HZ, HIGH_PASS_ORDER, HIGH_PASS_PAD = 0.1, 2, 50
LOW_PASS_HZ = 14.0
BAND_HZ, BAND_ORDER, BAND_PAD = (0.01, 10.0), 5, 33
WFIELD_FLOOR = 1e-10  # wfield adds it to the reference's sum of squares
FLAT_VARIANCE = 1e-16  # of dF/F: an SD of 1e-8, far below one count of 16 bits
STRETCH_FRAMES = 256
SHARED_HZ, SHARED_CYCLES = 3.0, 0.1  # a second; a frame, where no frame rate is given
RAMP_FRAMES = 10_000.0  # the unit of the ramp's coefficient; keeps sums of squares near 1
SLOPE_RANGE = (0.0, 5.0)
FITTED_ON = ("session", "training", "calibration", "warm-up")


HIGH_PASS = Filter(HIGH_PASS_ORDER, (HIGH_PASS_HZ,), "high", HIGH_PASS_PAD)
LOW_PASS = Filter(HIGH_PASS_ORDER, (LOW_PASS_HZ,), "low", HIGH_PASS_PAD)
BAND_PASS = Filter(BAND_ORDER, BAND_HZ, "band", BAND_PAD)


@dataclass(frozen=True)
class Variant:
    """One way of taking blood out.

    Parameters
    ----------
    says
        What is done, in one clause, and whose it is.
    fitted
        How the coefficients are found: ``"none"`` (there are none), ``"mean"`` (least squares with
        an intercept), ``"ramp"`` (with an intercept and a linear ramp), ``"origin"`` (least squares
        of what the filters left, without an intercept), ``"heart"`` (in the heart beat) or
        ``"shared"`` (by what the brain's mean reference has in common with both channels).
    terms
        Names of the coefficients, in their order; the slope is the first.
    calcium_filters, reference_filters
        Run over each channel, in this order, before anything else.
    half_frame
        The reference is the mean of its frame and the one before.
    blur_pixels
        SD of the Gaussian that the reference's frames are blurred with before they come here (see
        `blur_frame`).
    baseline
        The F0 of the publication: ``"mean"`` or ``"median"``.
    needs_reference
        Whether there is nothing to be done without a reference channel.
    has_causal
        Whether it has a form that uses no later frame, see `start_causal`.
    """

    says: str
    fitted: str = "mean"
    terms: tuple[str, ...] = ("slope", "intercept")
    calcium_filters: tuple[Filter, ...] = ()
    reference_filters: tuple[Filter, ...] = ()
    half_frame: bool = False
    blur_pixels: float = 0.0
    baseline: str = "mean"
    needs_reference: bool = True
    has_causal: bool = True


VARIANTS: Mapping[str, Variant] = {
    "none": Variant("left as it is", "none", (), needs_reference=False),
    "difference": Variant(
        "b - v, the difference of dF/F (as LabeoTech Umit's ratiometric mode and mesoscopy)",
        "none",
        ("slope",),
    ),
    "ratio": Variant(
        "(1 + b) / (1 + v) - 1, the ratio of both channels (Ma et al. 2016, "
        "doi:10.1098/rstb.2015.0360)",
        "none",
        (),
    ),
    "regression": Variant("least squares on the reference and an intercept, both taken out"),
    "regression-ramp": Variant(
        "least squares on an intercept, a linear ramp and the reference blurred by 1 pixel, all "
        "taken out (as LabeoTech Umit's HemoCorrection)",
        "ramp",
        ("slope", "intercept", "ramp"),
        blur_pixels=1.0,
        has_causal=False,
    ),
    "wfield": Variant(
        "both high-passed at 0.1 Hz, the reference low-passed at 14 Hz, least squares without an "
        "intercept (as wfield, Couto et al. 2021, doi:10.1038/s41596-021-00527-z); the result "
        "stays high-passed",
        "origin",
        ("slope",),
        calcium_filters=(HIGH_PASS,),
        reference_filters=(HIGH_PASS, LOW_PASS),
    ),
    "braidyn": Variant(
        "the reference moved by half a frame, both band-passed from 0.01 to 10 Hz, least squares "
        "with an intercept (as BraiDyn-BC's bdbc-nwb-packager); the result stays band-passed",
        calcium_filters=(BAND_PASS,),
        reference_filters=(BAND_PASS,),
        half_frame=True,
        baseline="median",
        has_causal=False,
    ),
    "heartbeat": Variant(
        "the slope is found in the heart beat, smoothed over the image and drawn towards 1 "
        "(corticode.data.movies.reference)",
        "heart",
        ("slope",),
    ),
    "mean-reference": Variant(
        "the slope is how strongly the fluctuations of the brain's mean reference above 3 Hz show "
        "in a pixel's calcium channel, over how strongly in its reference (an instrumental "
        "variable, Fuller 1987, doi:10.1002/9780470316665: a single pixel's noise does not lower "
        "the slope); nothing is filtered",
        "shared",
        ("slope",),
    ),
}


@dataclass(frozen=True)
class BloodFit:
    """What takes blood out: a variant and its coefficients.

    Parameters
    ----------
    variant
        A row of `VARIANTS`.
    coefficients
        (coefficient, column), in the order of the variant's `terms`; NaN for masked columns.
    fitted_on
        ``"session"`` (every frame of what it corrects, later ones too: transductive),
        ``"training"`` (other sessions or parts), ``"calibration"`` (a stated segment) or
        ``"warm-up"``.
    frame_rate_hz
        Frames per second; ``None`` where no filter needs it.
    causal
        Whether it is the variant's causal form.
    delay_frames
        How long after the calcium channel's frame the reference's is exposed, see
        `align_reference`: 0.5 where wavelengths take turns.

    Raises
    ------
    StudyError
        An unknown variant or `fitted_on`, or a causal form of a variant that has none.
    """

    variant: str
    coefficients: Array
    fitted_on: str = "session"
    frame_rate_hz: float | None = None
    causal: bool = False
    delay_frames: float = 0.0

    def __post_init__(self) -> None:
        _check_delay(self.delay_frames)
        if self.fitted_on not in FITTED_ON:
            raise StudyError(
                f"fitted_on is {self.fitted_on!r}; it must be one of {', '.join(FITTED_ON)}"
            )
        check_variant(self.variant, frame_rate_hz=self.frame_rate_hz, causal=self.causal)

    @property
    def is_transductive(self) -> bool:
        """Whether coefficients were fitted on the very frames that they correct."""
        return self.fitted_on == "session" and VARIANTS[self.variant].fitted != "none"

    @property
    def look_ahead_frames(self) -> float:
        """The latest frame used, minus the frame corrected; infinite for a whole session."""
        variant = VARIANTS[self.variant]
        if self.is_transductive or (variant.calcium_filters and not self.causal):
            return np.inf
        waits = self.delay_frames < 0 and not self.causal and variant.needs_reference
        return 1.0 if waits else 0.0


def check_variant(
    name: str,
    *,
    has_reference: bool = True,
    frame_rate_hz: float | None = None,
    causal: bool = False,
) -> None:
    """Refuse, with a `StudyError`, a variant that is unknown or cannot be had here.

    Parameters
    ----------
    name
        To be a row of `VARIANTS`.
    has_reference
        Whether there is a reference channel.
    frame_rate_hz
        Frames per second, if known.
    causal
        Whether its causal form is asked for.

    Raises
    ------
    StudyError
        The variant is unknown, needs a reference channel, a frame rate or a faster one, or has no
        causal form.

    Examples
    --------
    >>> check_variant("braidyn", frame_rate_hz=30.0, causal=True)
    Traceback (most recent call last):
    corticode.errors.StudyError: blood = 'braidyn' has no causal form; with one are none, \
difference, ratio, regression, wfield, heartbeat, mean-reference
    """
    if name not in VARIANTS:
        raise StudyError(f"blood is {name!r}; it must be one of {', '.join(VARIANTS)}")
    variant = VARIANTS[name]
    if variant.needs_reference and not has_reference:
        without = [other for other, row in VARIANTS.items() if not row.needs_reference]
        raise StudyError(
            f"blood = {name!r} needs a reference channel (405 nm, say), and there is none; state "
            "where it is (channels, or movie_reference in the catalogue), or take blood = "
            f"{', '.join(map(repr, without))}"
        )
    if causal and not variant.has_causal:
        with_one = [other for other, row in VARIANTS.items() if row.has_causal]
        raise StudyError(f"blood = {name!r} has no causal form; with one are {', '.join(with_one)}")
    for each in (*variant.calcium_filters, *variant.reference_filters):
        if frame_rate_hz is None:
            raise StudyError(
                f"blood = {name!r} filters in Hz and needs frame_rate_hz (in the catalogue); "
                f"without it: {', '.join(_without_filters())}"
            )
        if each.kind != "low" and 2 * each.edges_hz[0] >= frame_rate_hz:
            raise StudyError(
                f"blood = {name!r} filters above {each.edges_hz[0]:g} Hz; at {frame_rate_hz:g} "
                f"frames a second nothing is left. Without filters: {', '.join(_without_filters())}"
            )


def fit_blood(
    name: str,
    b: NDArray[Any],
    v: NDArray[Any],
    *,
    frame_rate_hz: float | None = None,
    frames: NDArray[np.bool_] | None = None,
    means: NDArray[Any] | None = None,
    causal: bool = False,
    delay_frames: float = 0.0,
) -> Array:
    """Coefficients of a variant for each column, before `finish_coefficients`.

    Parameters
    ----------
    name
        A row of `VARIANTS`.
    b, v
        dF/F of calcium and reference channel as fractions, (frame, column); not changed.
    frame_rate_hz
        Frames per second.
    frames
        (frame,), True for the frames to fit on; ``None``: all. Filters run over each unbroken
        stretch of them by itself, so that no other frame has a say.
    means, causal, delay_frames
        As in `sum_products`.

    Returns
    -------
    NDArray
        (coefficient, column). A column whose reference is flat has slope 0; one without a value is
        NaN.

    Raises
    ------
    DataError
        Arrays of different shapes, or no stretch of frames long enough for the filters.
    StudyError
        See `check_variant`.

    Examples
    --------
    >>> v = np.sin(np.arange(60.0))[:, None] / 100
    >>> fit_blood("regression", 1.3 * v + 0.01, v).round(4).ravel().tolist()
    [1.3, 0.01]
    """
    check_variant(name, frame_rate_hz=frame_rate_hz, causal=causal)
    _check_alike(b, v)
    total = np.zeros((1, 1))
    chosen = np.ones(len(b), np.bool_) if frames is None else frames
    for rows in _stretches(name, chosen, causal):
        total = total + sum_products(
            name,
            b[rows],
            v[rows],
            frame_rate_hz=frame_rate_hz,
            first_frame=rows.start,
            means=None if means is None else means[rows],
            causal=causal,
            delay_frames=delay_frames,
        )
    return solve_products(name, total)


def sum_products(
    name: str,
    b: NDArray[Any],
    v: NDArray[Any],
    *,
    frame_rate_hz: float | None = None,
    first_frame: int = 0,
    means: NDArray[Any] | None = None,
    causal: bool = False,
    delay_frames: float = 0.0,
) -> Array:
    """What coefficients are found from; sums of several stretches or sessions may be added.

    Blocks of frames may be added too where nothing is filtered; blocks of the variants "heartbeat"
    and "mean-reference" are best 256 frames long, or a multiple.

    Parameters
    ----------
    name, b, v, frame_rate_hz
        As in `fit_blood`; the frames are one unbroken stretch.
    first_frame
        The number of the first frame within its session (for a ramp).
    means
        (frame, 2): means of `b` and of `v` over the brain ("heartbeat" and "mean-reference" need
        them); ``None``: the means over the columns given, which is right for pixels and regions
        when all are given, never for SVD components.
    causal
        For the variant's causal form: its filters run forward only.
    delay_frames
        How long after the calcium channel's frame the reference's is exposed, see
        `align_reference`. Give `v` as it was recorded: straight lines between frames would lower a
        heart beat, so that slopes found in it would be too large.

    Returns
    -------
    NDArray
        (sum, column).

    Raises
    ------
    DataError, StudyError
        As in `fit_blood`.
    """
    check_variant(name, frame_rate_hz=frame_rate_hz, causal=causal)
    _check_delay(delay_frames)
    _check_alike(b, v)
    variant = VARIANTS[name]
    _stretches(name, np.ones(len(b), np.bool_), causal)
    if variant.fitted == "none":
        return np.zeros((0, b.shape[1]))
    if variant.fitted == "heart":
        return _sum_fast(b, v, means, fast_cycles(frame_rate_hz), delay_frames)
    if variant.fitted == "shared":
        slowest = SHARED_CYCLES if frame_rate_hz is None else SHARED_HZ / frame_rate_hz
        return _sum_fast(b, v, means, slowest, delay_frames)
    calcium, reference = filter_channels(
        name, b, v, frame_rate_hz=frame_rate_hz, causal=causal, delay_frames=delay_frames
    )
    if variant.fitted == "origin":
        calcium, reference = _without_mean(calcium), _without_mean(reference)
    frame = first_frame + np.arange(len(b))
    return _sum_regression(calcium, reference, frame / RAMP_FRAMES)


def solve_products(name: str, sums: Array) -> Array:
    """Coefficients from what `sum_products` gives.

    Parameters
    ----------
    name
        A row of `VARIANTS`.
    sums
        (sum, column), of one stretch of frames or added over several.

    Returns
    -------
    NDArray
        (coefficient, column).

    Raises
    ------
    DataError
        No stretch of frames was long enough.
    """
    variant, n_columns = VARIANTS[name], sums.shape[1]
    if variant.fitted == "none":
        return np.ones((len(variant.terms), n_columns))
    if variant.fitted in ("heart", "shared"):
        if n_columns and not sums[7].any():
            raise DataError(
                f"blood = {name!r} looks for fast fluctuations and needs {LEAST_FRAMES} frames in "
                "one piece; no stretch is so long. Give a longer session, segment or warm-up, or "
                "smaller bins of frames, or take 'difference' or 'ratio'"
            )
        return _solve_heart_beat(sums) if variant.fitted == "heart" else _solve_shared(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        if variant.fitted == "origin":
            slope = sums[SUMS.index("vb")] / (sums[SUMS.index("vv")] + WFIELD_FLOOR)
            return np.where(sums[0] > 0, slope, np.nan)[None]
        return _solve_regression(sums, has_ramp=variant.fitted == "ramp")


def filter_channels(
    name: str,
    b: NDArray[Any],
    v: NDArray[Any],
    *,
    frame_rate_hz: float | None = None,
    causal: bool = False,
    delay_frames: float = 0.0,
) -> tuple[Array, Array]:
    """Both channels as a variant compares them, after its filters and before its subtraction.

    Parameters
    ----------
    name
        A row of `VARIANTS`.
    b, v
        (frame, column): all frames of a stretch.
    frame_rate_hz
        Frames per second.
    causal, delay_frames
        As in `sum_products`.

    Returns
    -------
    tuple
        Calcium and reference channel, (frame, column) each; NaN where a value is missing.

    Examples
    --------
    >>> v = np.array([[1.0], [3.0]])
    >>> filter_channels("regression", v, v)[1].ravel().tolist()
    [1.0, 3.0]
    """
    variant = VARIANTS[name]
    delay = _delay(variant, delay_frames, causal)
    channels = [np.asarray(b, np.float64), align_reference(np.asarray(v, np.float64), delay)]
    filters = (variant.calcium_filters, variant.reference_filters)
    if causal:
        calcium, reference = (
            ForwardFilter(each, frame_rate_hz).take(x)
            for each, x in zip(filters, channels, strict=True)
        )
    else:
        calcium, reference = (
            filter_both_ways(x, each, frame_rate_hz)
            for each, x in zip(filters, channels, strict=True)
        )
    return calcium, reference


def align_reference(v: NDArray[Any], delay_frames: float) -> NDArray[Any]:
    """The reference channel at the times of the calcium channel, on straight lines between frames.

    Where wavelengths take turns the reference is exposed half a frame after (or before) the calcium
    channel, which is 60 degrees of a heart beat of 10 Hz at 30 frames a second.

    Parameters
    ----------
    v
        (frame, ...): dF/F or counts of the reference.
    delay_frames
        How long after the calcium channel's frame the reference's is exposed, -1 to 1. Where it
        comes before it (below 0), each frame needs the next one.

    Returns
    -------
    NDArray
        (frame, ...); a frame that has no other beside it (the first, or the last; one beside a
        missing sample) as it is.

    Raises
    ------
    StudyError
        A longer delay.

    References
    ----------
    wfield interpolates so: Couto et al. (2021), doi:10.1038/s41596-021-00527-z.

    Examples
    --------
    >>> align_reference(np.array([0.0, 1.0, 2.0]), 0.5).tolist()
    [0.0, 0.5, 1.5]
    """
    _check_delay(delay_frames)
    aligned = np.array(v, _kind_of(v))
    share = abs(delay_frames)
    if not share:
        return aligned
    here, beside = (slice(1, None), slice(None, -1))[:: 1 if delay_frames >= 0 else -1]
    other = np.where(np.isfinite(v[beside]), v[beside], v[here])
    aligned[here] = (1 - share) * v[here] + share * other
    return aligned


def _check_delay(delay_frames: float) -> None:
    """Refuse, with a `StudyError`, a delay that another frame would be nearer for."""
    if not -1 <= delay_frames <= 1:
        raise StudyError(
            f"the reference's delay is {delay_frames:g} frames; it must be -1 to 1: pair each "
            "frame with the nearest of the other channel first"
        )


def _delay(variant: Variant, delay_frames: float, causal: bool) -> float:
    """The delay that is evened out: a variant's own; none where each frame would need the next."""
    delay = 0.5 if variant.half_frame else delay_frames
    return max(delay, 0.0) if causal else delay


def blur_frames(
    frames: NDArray[Any], sd_pixels: float, *, mask: NDArray[np.bool_] | None = None
) -> Array:
    """Frames of the reference blurred by a Gaussian, as `Variant.blur_pixels` asks.

    Parameters
    ----------
    frames
        (frame, row, column), counts or dF/F.
    sd_pixels
        SD of the Gaussian; 0: nothing is done.
    mask
        (row, column): pixels outside, and values that are not finite, have no say in others;
        ``None``: all pixels count.

    Returns
    -------
    NDArray
        (frame, row, column); NaN where `frames` are or the mask is not.

    Examples
    --------
    >>> frame = np.array([[[0.0, 1.0, np.nan]]])
    >>> blur_frames(frame, 1.0).round(2).tolist()
    [[[0.32, 0.58, nan]]]
    """
    values = np.asarray(frames, np.float64)
    if not sd_pixels:
        return values.copy()
    sd = (0, sd_pixels, sd_pixels)
    known = np.isfinite(values)
    if mask is not None:
        known &= mask
    if known.all():
        return np.asarray(scipy.ndimage.gaussian_filter(values, sd))
    total = scipy.ndimage.gaussian_filter(np.where(known, values, 0), sd)
    weight = scipy.ndimage.gaussian_filter(known.astype(np.float64), sd)
    blurred = np.full(values.shape, np.nan)
    np.divide(total, weight, out=blurred, where=known)
    return blurred


def finish_coefficients(
    name: str, coefficients: Array, *, mask: NDArray[np.bool_] | None = None
) -> Array:
    """Coefficients as they are applied: those of the heart beat become one smooth map of slopes.

    Parameters
    ----------
    name
        A row of `VARIANTS`.
    coefficients
        As `fit_blood` or `solve_products` give them, all columns together: (coefficient, row,
        column) for pixels, which are smoothed over the image, or (coefficient, column).
    mask
        (row, column) or (column,): True for the brain; ``None``: every column with a value.

    Returns
    -------
    NDArray
        (coefficient, ...), in the order of the variant's `terms`; NaN outside the mask.

    Examples
    --------
    >>> finish_coefficients("difference", np.ones((1, 2)), mask=np.array([True, False])).tolist()
    [[1.0, nan]]
    """
    if not len(coefficients):
        return coefficients.copy()
    lit: NDArray[np.bool_] = np.asarray(np.isfinite(coefficients).all(axis=0))
    if mask is not None:
        if mask.shape != lit.shape:
            raise DataError(
                f"the mask has shape {mask.shape} and the coefficients {lit.shape}; they must be "
                "of the same pixels"
            )
        lit = lit & mask
    if VARIANTS[name].fitted == "heart":
        coefficients = _heart_beat_slope(coefficients, lit)[None]
    return np.where(lit, coefficients, np.nan)


def correct_blood(
    fit: BloodFit, b: NDArray[Any], v: NDArray[Any], *, first_frame: int = 0
) -> NDArray[Any]:
    """dF/F of the calcium channel without blood.

    Parameters
    ----------
    fit
        Finished coefficients, (coefficient, column).
    b, v
        dF/F of both channels as fractions, (frame, column). Where the variant filters in both
        directions, or the reference has a delay: the whole session; else any block of it.
    first_frame
        The number of the first frame within its session.

    Returns
    -------
    NDArray
        (frame, column), float32 where `b` is, else float64; NaN where either channel or the
        coefficients are.

    Raises
    ------
    DataError
        Arrays of different shapes, or a session too short for the filters.

    Examples
    --------
    >>> fit = BloodFit("regression", np.array([[1.3], [0.0]]), "training")
    >>> b, v = np.array([[0.03], [np.nan]]), np.array([[0.01], [0.01]])
    >>> correct_blood(fit, b, v).round(3).tolist()
    [[0.017], [nan]]
    """
    if fit.causal:
        return CausalBlood(fit).correct(b, v)
    _check_alike(b, v)
    variant = VARIANTS[fit.variant]
    if variant.calcium_filters:
        _stretches(fit.variant, np.ones(len(b), np.bool_), False)
    calcium, reference = filter_channels(
        fit.variant, b, v, frame_rate_hz=fit.frame_rate_hz, delay_frames=fit.delay_frames
    )
    if variant.fitted == "origin":
        calcium, reference = _without_mean(calcium), _without_mean(reference)
    return _subtracted(fit, calcium, reference, first_frame).astype(_kind_of(b))


class CausalBlood:
    """Takes blood out frame by frame, from frames up to the present one alone.

    Slopes are those of a warm-up or of other sessions. High-passes run forward only, on both
    channels alike, so that what they share stays shared; they start as if the first value had held
    for ever. Where a sample is missing the last one is held inside the filter. A reference that is
    exposed before the calcium channel is not brought onto its times.

    Parameters
    ----------
    fit
        Finished coefficients, (coefficient, column), of a causal form.

    Raises
    ------
    StudyError
        The variant has no causal form.

    Examples
    --------
    >>> blood = CausalBlood(BloodFit("difference", np.ones((1, 1)), "warm-up", causal=True))
    >>> blood.correct(np.array([[0.03]]), np.array([[0.01]])).round(3).tolist()
    [[0.02]]
    """

    def __init__(self, fit: BloodFit) -> None:
        check_variant(fit.variant, frame_rate_hz=fit.frame_rate_hz, causal=True)
        self.fit = fit
        variant = VARIANTS[fit.variant]
        self._delay = _delay(variant, fit.delay_frames, True)
        self._last: Array | None = None
        self._passes = [
            ForwardFilter(filters, fit.frame_rate_hz)
            for filters in (variant.calcium_filters, variant.reference_filters)
        ]

    def correct(self, b: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
        """The next frames without blood.

        Parameters
        ----------
        b, v
            dF/F of both channels, (frame, column): the frames after those given before.

        Returns
        -------
        NDArray
            (frame, column), as `correct_blood` gives.
        """
        _check_alike(b, v)
        channels = (np.asarray(b, np.float64), self._aligned(np.asarray(v, np.float64)))
        calcium, reference = (one.take(x) for one, x in zip(self._passes, channels, strict=True))
        return _subtracted(self.fit, calcium, reference, 0).astype(_kind_of(b))

    def _aligned(self, v: Array) -> Array:
        """The reference at the calcium channel's times, by the last frame of the call before."""
        if not self._delay or not len(v):
            return v
        before = v[:0] if self._last is None else self._last
        self._last = v[-1:].copy()
        return align_reference(np.concatenate([before, v]), self._delay)[len(before) :]


SUMS = ("n", "b", "v", "t", "vv", "vb", "tt", "tv", "tb")


def _sum_regression(b: Array, v: Array, t: Array) -> Array:
    """Sums of products over frames, of each column's frames that have both values."""
    known = np.isfinite(b) & np.isfinite(v)
    if not known.all():
        b, v = np.where(known, b, 0), np.where(known, v, 0)
    weight = known.astype(np.float64)
    by_time = np.stack([np.ones(len(t)), t])
    (n, sum_t), (sum_b, tb), (sum_v, tv) = (by_time @ x for x in (weight, b, v))
    vv, vb = np.einsum("tc,tc->c", v, v), np.einsum("tc,tc->c", v, b)
    return np.stack([n, sum_b, sum_v, sum_t, vv, vb, t**2 @ weight, tv, tb])


def _solve_regression(sums: Array, *, has_ramp: bool) -> Array:
    """(slope, intercept), or (slope, intercept, ramp); NaN for columns without a frame."""
    n = sums[0]
    b, v, t = sums[1:4] / n
    vv, vb, tt, tv, tb = sums[4:] / n - np.stack([v * v, v * b, t * t, t * v, t * b])
    is_flat = vv <= FLAT_VARIANCE
    if not has_ramp:
        slope = np.where(is_flat, 0, vb / vv)
        return np.where(n > 0, np.stack([slope, b - slope * v]), np.nan)
    # A reference that is a ramp itself is left to the ramp.
    own = vv - np.where(tt > 0, tv * tv / tt, 0)
    is_flat |= own <= np.maximum(FLAT_VARIANCE, 1e-9 * vv)
    slope = np.where(is_flat, 0, (vb - np.where(tt > 0, tv * tb / tt, 0)) / own)
    ramp = np.where(tt > 0, (tb - slope * tv) / tt, 0)
    return np.where(n > 0, np.stack([slope, b - slope * v - ramp * t, ramp]), np.nan)


def _sum_fast(
    b: NDArray[Any],
    v: NDArray[Any],
    means: NDArray[Any] | None,
    slowest: float,
    delay_frames: float,
) -> Array:
    """Products with the fast part of the reference's mean, powers of both means, frames used.

    Rows: the calcium channel's products with the mean at its own times (real, imaginary), the
    reference's with the mean as recorded, power of the mean reference and of the mean calcium
    channel, their product (real, imaginary), frames, values of the column.
    """
    total = np.zeros((9, b.shape[1]))
    for first in range(0, len(b) - LEAST_FRAMES + 1, STRETCH_FRAMES):
        rows = slice(first, min(first + STRETCH_FRAMES, len(b)))
        calcium, reference = (bridge_gaps(x[rows])[0] for x in (b, v))
        pair = np.stack([calcium.mean(axis=1), reference.mean(axis=1)], axis=1)
        if means is not None:
            pair = bridge_gaps(np.asarray(means[rows]))[0]
        own, other = (fast_part(trace, slowest) for trace in pair.T)
        cycles = np.fft.fftfreq(len(other))
        earlier = np.fft.ifft(np.fft.fft(other) * np.exp(-2j * np.pi * cycles * delay_frames))
        shared = complex((own * earlier.conj()).sum())
        powers = [(np.abs(other) ** 2).sum(), (np.abs(own) ** 2).sum(), shared.real, shared.imag]
        total[:2] += np.stack([earlier.real, -earlier.imag]) @ calcium
        total[2] += other.real @ reference
        total[3:8] += np.array([*powers, len(pair)])[:, None]
        total[8] += (np.isfinite(b[rows]) & np.isfinite(v[rows])).sum(axis=0)
    return total


def _solve_heart_beat(sums: Array) -> Array:
    """Both channels' products and how many frames tell of them: 0 where channels do not agree."""
    turned, is_coherent = _turned(sums)
    coefficients = np.stack([turned, sums[2], np.where(is_coherent, sums[7], 0)])
    coefficients[:, sums[8] == 0] = np.nan
    return coefficients


def _solve_shared(sums: Array) -> Array:
    """The ratio of both channels' products with the mean reference; (1, column)."""
    turned, is_coherent = _turned(sums)
    in_calcium = np.where(is_coherent, turned, sums[0])
    is_flat = sums[2] <= FLAT_VARIANCE * sums[7]
    slope = np.divide(in_calcium, sums[2], out=np.zeros(len(sums[0])), where=~is_flat)
    slope[sums[8] == 0] = np.nan
    return np.asarray(slope[None])


def _turned(sums: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Products of the calcium channel less its delay, and whether channels agree enough for one."""
    shared, power = sums[5] + 1j * sums[6], sums[3] * sums[4]
    size = np.abs(shared)
    turn = np.divide(np.conj(shared), size, out=np.zeros(shared.shape, complex), where=size > 0)
    is_coherent = (size**2 >= LEAST_COHERENCE * power) & (power > 0)
    return ((sums[0] + 1j * sums[1]) * turn).real, is_coherent


def _heart_beat_slope(coefficients: Array, lit: NDArray[np.bool_]) -> Array:
    """Slopes from the heart beat, smoothed if they are of an image."""
    in_movie, in_reference, frames = (np.where(lit, x, 0) for x in coefficients)
    even = np.ones(lit.shape)
    n_frames = float(frames.max(initial=0))
    if n_frames == 0:
        return even
    if lit.ndim == 2:
        in_movie, in_reference = (
            scipy.ndimage.gaussian_filter(x, SMOOTHING_PIXELS) for x in (in_movie, in_reference)
        )
    return slope_of_shares(in_movie, in_reference, even, lit, n_frames)


def _subtracted(fit: BloodFit, b: Array, v: Array, first_frame: int) -> Array:
    """The calcium channel minus what the coefficients make of the reference."""
    if fit.variant == "none":
        return np.where(np.isfinite(b), b, np.nan)
    if fit.variant == "ratio":
        v = np.where(np.isfinite(v) & (v > -1), v, np.nan)
        corrected = np.asarray((1 + b) / (1 + v) - 1)
    else:
        terms = dict(zip(VARIANTS[fit.variant].terms, fit.coefficients, strict=True))
        corrected = np.asarray(b - terms["slope"] * v)
        if "intercept" in terms:
            corrected -= terms["intercept"]
        if "ramp" in terms:
            frame = first_frame + np.arange(len(b))
            corrected -= np.outer(frame / RAMP_FRAMES, terms["ramp"])
    corrected[~np.isfinite(corrected)] = np.nan
    return corrected


def _without_mean(values: Array) -> Array:
    """Columns minus their means over the frames that have a value."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=0)
    return np.asarray(values - total / np.maximum(known.sum(axis=0), 1))


def _stretches(name: str, frames: NDArray[np.bool_], causal: bool) -> list[slice]:
    """Unbroken stretches of the frames to fit on that are long enough for the filters."""
    variant = VARIANTS[name]
    filters = () if causal else (*variant.calcium_filters, *variant.reference_filters)
    pad = max((each.pad_frames for each in filters), default=0)
    edges = np.flatnonzero(np.diff(frames.astype(np.int8), prepend=0, append=0))
    stretches = [slice(int(a), int(z)) for a, z in edges.reshape(-1, 2)]
    kept = [each for each in stretches if each.stop - each.start > pad]
    if not kept and variant.fitted != "none":
        longest = max((each.stop - each.start for each in stretches), default=0)
        raise DataError(
            f"blood = {name!r} needs more than {pad} frames in one piece (its filters mirror so "
            f"many at each end); there are {longest}. Give a longer session or segment, or take a "
            f"variant without filters: {', '.join(_without_filters())}"
        )
    return kept


def _without_filters() -> list[str]:
    return [name for name, row in VARIANTS.items() if not row.calcium_filters]


def _check_alike(b: NDArray[Any], v: NDArray[Any]) -> None:
    """Refuse, with a `DataError`, channels that are not of the same frames and columns."""
    if b.ndim != 2 or b.shape != v.shape:
        raise DataError(
            f"the calcium channel has shape {b.shape} and the reference {v.shape}; both must be "
            "(frame, column), of the same frames and columns"
        )


def _kind_of(values: NDArray[Any]) -> type[np.floating[Any]]:
    return np.float32 if values.dtype == np.float32 else np.float64
