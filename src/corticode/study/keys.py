"""The keys of a study file: what each means, its type and its limits, and which do nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from corticode.data.cues import INPUTS
from corticode.data.signals import ON_FRAMES
from corticode.data.trials import START
from corticode.decode.settings import BACKBONES, LEAST_BINS, LINEAR, MOST_DEGREES, MOVIE, NETWORKS
from corticode.errors import Finding, some
from corticode.explain.settings import ATTRIBUTIONS, KINDS, OCCLUSION
from corticode.study.steps import PreprocessedKeys, StepKeys

# Each is what its table has rows of: a key takes a new one by itself.
if TYPE_CHECKING:
    Input = str
    NetworkName = str
    BackboneName = str
    MapName = str
    AttributionName = str
    FrameRule = str
else:
    FrameRule = Literal[ON_FRAMES]
    Input, NetworkName = Literal[INPUTS], Literal[tuple(NETWORKS)]
    BackboneName = Literal[tuple(BACKBONES)]
    MapName, AttributionName = Literal[tuple(KINDS)], Literal[ATTRIBUTIONS]

# Of `unused_keys`: how many conditions it names, and keys that do nothing together.
SHOWN_CONDITIONS = 3
TWO_STATES = (
    "above",
    "hysteresis",
    "minimum_bout_frames",
    "minimum_bout_s",
    "minimum_gap_frames",
    "minimum_gap_s",
)
TRANSITIONS = ("exclude_transition_frames", "exclude_transition_s")
OF_NUMBERS = ("absolute", "smooth_frames", "smooth_s")
OF_EPOCHS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "label_smoothing",
    "optimiser",
    "schedule",
    "validations",
    "patience",
    "drop_last",
    "augment",
)
OF_MOVIES = ("windows", "run_windows", "share", "freeze_batch_norm", "mixed_precision")
OF_WEIGHTS = ("flavour", "weights", "drop_connect")
OF_CNN = ("backbone", *OF_WEIGHTS, "temporal_stride", "bins", "components")
AUGMENT_OF_TRACES = ("region_dropout", "noise")
AUGMENT_OF_MOVIES = (
    "shift_pixels",
    "shift_fraction",
    "rotation_deg",
    "mirror",
    "pixel_dropout",
    "jitter_frames",
)
OF_BLOCKS = ("blocks", "gap_frames", "gap_s")
# Of maps: what each kind passes over.
OF_OCCLUSION = ("masks", "fill", "every_n_frames")
OF_ATTRIBUTION = ("n_windows", "on", "of_class", "background", "background_from")
OF_DEEP_SHAP = ("n_random", "convergence")

# Keys and why they do nothing.
_Unused = Iterator[tuple[Sequence[str], str]]


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
    resynchronise: bool = Field(
        False,
        description="Where the camera lost a frame of a movie of two wavelengths in turn: leave "
        "the broken pair out and put those after it in order again. False: that is an error.",
    )
    bad_frames: Literal["exclude", "report"] | None = Field(
        None,
        description="Frames of movies that are dark, saturated, frozen, corrupt or jump in "
        "brightness, and single extreme values of traces: leave them out (no window holds one, no "
        "statistics count it), or report them. Left out: as the study's preset says.",
    )
    regions: str | None = Field(
        None, description="Path of a region table (name, side, mirror, group, row, column)."
    )
    region_image: str | None = Field(
        None,
        description="Path of an image (`file` or `file::array`) in which each pixel holds the "
        "number of its region, 0 none: outlines in the report, and with `[preprocess]` the regions "
        "whose traces are taken.",
    )


class ExcludeKeys(_Keys):
    """Frames that get no target for what another signal of the behaviour files does there."""

    signal: str = Field(description="An array or column of numbers of the behaviour files.")
    above: float = Field(0.5, description="It is on where it is above this.")
    at: Literal["on", "onset", "offset", "steady"] = Field(
        "on",
        description="Frames that are left out: where it is on and those around, those before and "
        "after it goes on (or off), or those where it is on for longer: onsets are left.",
    )
    within_frames: int | None = Field(None, ge=0, description="How far around (frames).")
    within_s: float | None = Field(None, ge=0, description="The same in seconds.")


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
        None,
        ge=0,
        description="Length of a moving mean over the signal, between gaps in time (frames).",
    )
    smooth_s: float | None = Field(None, ge=0, description="The same in seconds.")
    on_frames: FrameRule | None = Field(
        None,
        description="How a signal on its own clock, or under `resample_hz`, comes onto frames: "
        "its mean over a frame's exposure, any (its largest sample there), count (their sum) or "
        "the sample that holds in the middle. One rule for all sessions and conditions; left out: "
        "middle for classes, any for a signal of 0 and 1, mean with `above` and for values.",
    )
    events: str | None = Field(
        None, description="Decode trials, one label each: as `[trials]` says for all conditions."
    )
    event_at: Literal["rise", "change"] | None = Field(None, description="As under `[trials]`.")
    times_in: Literal["seconds", "frames"] | None = Field(None, description="As under `[trials]`.")
    label_after_frames: int | None = Field(None, description="As under `[trials]`.")
    label_after_s: float | None = Field(None, description="The same in seconds.")
    match: str | None = Field(
        None,
        description="Another signal of the behaviour files, `speed` say: frames are drawn so that "
        "within each session every class has the same distribution of it (20 bins at its "
        "quantiles); the others get no target.",
    )
    exclude: ExcludeKeys | None = Field(
        None,
        description="Frames that get no target, as `{ signal = 'licks', above = 0.5, within_s = 1 "
        "}`; before `match`.",
    )


class TrialKeys(_Keys):
    """Decode trials: windows lie around an event, and each trial has one label.

    A condition's `window` is then one around the event: `before` and `after` count from it, and a
    `shift` of -10 centres the window 10 frames after it. Labels are permuted among the trials of a
    session (`permute_labels = "trials"`, and every p-value).
    """

    events: str = Field(
        START,
        description="What trials are aligned to: a column of the catalogue's table of trials that "
        "holds times or frames, or a signal of the behaviour file.",
    )
    event_at: Literal["rise", "change"] = Field(
        "rise",
        description="Of a behaviour signal: a trial begins where it rises from 0 to 1, or where "
        "it changes to another trial's number or name (0, NaN and empty are none).",
    )
    times_in: Literal["seconds", "frames"] = Field(
        "seconds",
        description="Of a table's column: seconds on the clock of the frames (from the first "
        "frame on, without frame_times), or frames counted from 0.",
    )
    label_after_frames: int | None = Field(
        None,
        description="The label is what the signal holds so many frames after the event; default "
        "0. Columns of a table hold their trial's value at the event.",
    )
    label_after_s: float | None = Field(None, description="The same in seconds.")
    before: int | None = Field(
        None, ge=0, description="Frames before the event, for conditions without a `window` of own."
    )
    before_s: float | None = Field(None, ge=0, description="The same in seconds.")
    after: int | None = Field(None, ge=0, description="Frames after the event, likewise.")
    after_s: float | None = Field(None, ge=0, description="The same in seconds.")


class TrialTimeKeys(_Keys):
    """When around the event can trials be decoded? The same decoder at one lag after another.

    For each lag a condition `NAME at LAG` is fitted whose window is centred so long after the
    event (before it where negative), with the `before` and `after` of the condition itself: give
    it a short window.
    """

    condition: str = Field(description="The condition of trials that is asked about.")
    first_s: float | None = Field(None, description="The first lag (s).")
    last_s: float | None = Field(None, description="The last lag (s).")
    step_s: float | None = Field(None, gt=0, description="From lag to lag (s).")
    first_frames: int | None = Field(None, description="The first lag in frames.")
    last_frames: int | None = Field(None, description="The last lag in frames.")
    step_frames: int | None = Field(None, gt=0, description="From lag to lag in frames.")


class FoldKeys(_Keys):
    """Who trains, validates and tests."""

    by: Literal["animal", "day", "session", "block"] = Field(
        "animal",
        description="Leave out animals, days (the catalogue's column `date`) or sessions of an "
        "animal, or blocks of a session.",
    )
    validate_by: Literal["animal", "session"] = Field(
        "animal",
        alias="validate",
        description="What chooses the epoch where animals are left out: another animal, or the "
        "last session of each training animal (then two animals are enough).",
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
    """What is done to the traces, or to movies."""

    detrend_frames: int | None = Field(
        None,
        ge=0,
        description="Length of the moving mean that is subtracted (frames); 0: none. Movies: taken "
        "at every quarter of that length and on lines in between.",
    )
    detrend_s: float | None = Field(None, ge=0, description="The same in seconds.")
    smooth_frames: int | None = Field(
        None,
        ge=0,
        description="Length of a moving mean over the traces, between gaps in time (frames); 0: "
        "none.",
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
    regress_out: Literal["none", "cues", "confounds"] | None = Field(
        None,
        description="What moves with the animal and is not cortex (the input 'cues') is regressed "
        "out of each trace, session by session, at lags of -0.5 to 3 s, without labels. "
        "'confounds': for the confound analysis alone, as if they had been measured without error, "
        "animal by animal, with what is decoded as covariate.",
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

    kind: NetworkName = Field(
        "gru",
        description="The decoder; gru-keras is the cell of the study's code, linear ones weigh the "
        "centre frame or the window, speed is the study's network for values; cnn reads one image "
        "of a movie; cnn-gru, cnn-lstm and cnn-conv (convolutions over time) a window of them.",
    )
    units: int | None = Field(
        None,
        ge=1,
        description="Units of a recurrent layer; left out: 32, after an EfficientNet or grid 128. "
        "Of cnn-conv those of its convolutions. Linear ones and cnn pass over it, speed takes no "
        "other.",
    )
    backbone: BackboneName | None = Field(
        None,
        description="The CNN of movies: an EfficientNet, or small, three convolutional layers on "
        "images binned to `bins` x `bins`; or none at all, to tell whether a CNN adds anything: "
        "grid, means of each image over 16 x 16 cells; components, how strongly principal "
        "components of the training animals' binned frames are in it.",
    )
    temporal_stride: int | None = Field(
        None,
        ge=1,
        description="Movies: of a window's images every so many are read, the centre's among them. "
        "An image shows three frames: at 3 each frame is in one image.",
    )
    bins: int | None = Field(
        None,
        ge=LEAST_BINS,
        description="Backbones small and components: images are read as means over so many bins "
        "along each side.",
    )
    components: int | None = Field(None, ge=1, description="Backbone components: how many.")
    flavour: Literal["torch", "tensorflow"] | None = Field(
        None,
        description="How an EfficientNet pads and normalises; its weights must be of that flavour.",
    )
    weights: str | None = Field(
        None,
        description="What an EfficientNet starts from: 'imagenet', 'none', or the path of a state "
        "dict, relative to the study file.",
    )
    drop_connect: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Largest fraction of an EfficientNet's blocks left out of a training sample.",
    )


class AugmentKeys(_Keys):
    """How training windows are varied each time they are seen, in a condition's `training`."""

    region_dropout: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Traces: fraction of training windows that show a random set of the regions, "
        "of a size drawn evenly on a logarithmic scale from one region to all; the rest enters as "
        "0. Sets of regions can be judged by decoders so trained.",
    )
    shift_pixels: int | None = Field(
        None,
        ge=0,
        description="Movies: each training window is shifted by up to so many pixels, along rows "
        "and along columns, all its frames alike; what comes in from outside is 0.",
    )
    shift_fraction: float | None = Field(
        None, ge=0, lt=1, description="The same as a fraction of the image's shorter side."
    )
    gain: float | None = Field(
        None,
        ge=0,
        description="Each training window is multiplied by 1 plus a normal number of this SD; of "
        "traces, each of its regions by its own.",
    )
    noise: float | None = Field(
        None, ge=0, description="Traces: normal numbers of this SD are added to scaled values."
    )
    rotation_deg: float | None = Field(
        None,
        ge=0,
        le=MOST_DEGREES,
        description="Movies: each training window is turned about the image's centre by up to so "
        "many degrees.",
    )
    mirror: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Movies: fraction of training windows that are mirrored across the image's "
        "middle column, where the brain's midline is to lie; for targets without a side.",
    )
    pixel_dropout: float | None = Field(
        None, ge=0, lt=1, description="Movies: fraction of pixels that each window shows as 0."
    )
    jitter_frames: int | None = Field(
        None,
        ge=0,
        description="Movies: each training window is taken up to so many frames earlier or later "
        "than its target.",
    )


class TrainingKeys(_Keys):
    """How it is fitted."""

    epochs: int | None = Field(None, ge=1, description="Passes over the training windows.")
    batch_size: int | None = Field(None, ge=1, description="Windows a step.")
    learning_rate: float | None = Field(None, gt=0, description="Step size of Adam.")
    label_smoothing: float | None = Field(
        None, ge=0, lt=1, description="Share of each label that is spread over the classes."
    )
    penalty: Annotated[list[float], Field(min_length=1)] | Literal["scikit-learn"] | None = Field(
        None,
        description="Penalties (L2) among which linear decoders choose by validation loss, as a "
        "fraction of the inputs' mean variance; or 'scikit-learn': its defaults (C = 1 for "
        "classes, none for values), without validation data.",
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
    drop_last: bool | None = Field(
        None, description="An epoch's last batch is left out where it is not full."
    )
    augment: AugmentKeys | None = Field(
        None, description="How training windows are varied, as `{ shift_pixels = 4 }`."
    )
    keep_train: bool | None = Field(
        None, description="Keep the predictions of training windows as well."
    )


class SelectionKeys(_Keys):
    """Regions that a map of another condition's decoders puts first, in place of a list.

    By default the map is made on the training animals of the same fold; regions chosen by maps of
    test animals, as in the 2024 study, score too well there, and the run says so.
    """

    top: int = Field(ge=1, description="So many regions, those with the largest shares.")
    source: str = Field(alias="from", description="The condition whose decoders are asked.")
    by: AttributionName = Field("deep-shap", description="The kind of map.")
    on: Literal["train", "test"] = Field(
        "train",
        description="Windows that the map explains: the training animals of the same fold and "
        "seed, or the test animals of all folds (circular, as in the 2024 study).",
    )


class ConditionKeys(_Keys):
    """One way of decoding; every condition is fitted in every fold."""

    name: str = Field(min_length=1, description="Its name in the tables; unique.")
    like: str | None = Field(
        None,
        description="Copy another condition, then change what is given here. Of a condition of "
        "movies another input takes the target, shift and folds alone, and the preset's decoder.",
    )
    preset: Literal["recommended", "online", "text", "code"] | None = Field(
        None, description="Start from this preset instead of the study's."
    )
    input: Input | None = Field(
        None,
        description="What the decoder sees: the region traces, the movie, or a cue that is not "
        "cortex, as a control: the mean of all regions (or pixels), the pixels outside the brain, "
        "the image's four borders, the frame's number in its session, the brain's shift (rows, "
        "columns), the mean of the reference channel; 'cues' is outside-mask, brain-motion and, "
        "where there is one, reference; 'motion-terms' is the shift's deviation from its median, "
        "this unsigned and squared, and its speed; 'confounds' is outside-mask, motion-terms and "
        "reference; 'traces+cues' the cues beside the traces; 'behavior' is columns of the "
        "behaviour files. All but the traces, the first mean, the number and the behaviour need a "
        "movie.",
    )
    behavior: list[str] | None = Field(
        None,
        min_length=1,
        description="Columns of the behaviour files that input = 'behavior' takes: numbers, "
        "averaged over a frame's exposure.",
    )
    preprocess: PreprocessKeys | None = None
    steps: StepKeys | None = Field(
        None,
        description="Keys of the study's `[preprocess]` that are otherwise for this condition, as "
        "`{ blood = { method = 'none' } }`: the same decoder before and after a correction.",
    )
    window: WindowKeys | None = None
    network: NetworkKeys | None = None
    training: TrainingKeys | None = None
    target: TargetKeys | None = None
    start_from: str | None = Field(
        None,
        description="Another condition, whose decoder of the same fold and seed gives the start "
        "weights (those of its CNN, for movies).",
    )
    regions: list[int | str] | Literal["all"] | SelectionKeys | None = Field(
        None,
        description="Regions the decoder may see: numbers, names, groups, sides; a leading 'not' "
        "keeps the others. The rest enters as 0. { top = 4, from = 'gru', by = 'deep-shap' } "
        "takes those that a map puts first.",
    )
    folds: list[str] | None = Field(
        None, min_length=1, description="Names of the folds of this condition; default the study's."
    )
    folds_by: Literal["animal", "day", "session", "block"] | None = Field(
        None, description="As `by` of `[folds]`, for this condition; default the study's."
    )
    permute_labels: (
        Literal["none", "sessions", "segments", "blocks", "frames", "trials", "any-session"] | None
    ) = Field(
        None,
        description="Exchange label traces between these: the control at chance. 'any-session': "
        "drawn from all permutations of sessions, for `[[permutation_test]]`.",
    )
    permutation: int | None = Field(
        None,
        ge=1,
        description="Which permutation of labels, the same for all seeds: the number that "
        "`[[permutation_test]]` gives it.",
    )
    train_groups: list[str] | None = Field(
        None,
        min_length=1,
        description="Train and validate on animals of these groups alone (the catalogue's column "
        "`group`); folds by animal.",
    )
    test_groups: list[str] | None = Field(
        None, min_length=1, description="Test animals of these groups alone."
    )
    train_animals: int | None = Field(
        None,
        ge=1,
        description="Train on so many of a fold's training animals: those that follow the test "
        "animal in the catalogue, the first after the last, so that each trains about as often.",
    )
    train_minutes: float | None = Field(
        None,
        gt=0,
        description="Train on the first so many minutes of each training animal's recordings.",
    )


class CircleKeys(_Keys):
    """A disc of pixels that occlusion covers, in the images that the decoder sees."""

    row: float = Field(description="Of its centre, pixels from 0.")
    column: float = Field(description="Of its centre, pixels from 0.")
    radius: float = Field(gt=0, description="Pixels.")


class MapKeys(_Keys):
    """Which cortex, and when in the window, a condition's decoders read: a map of each."""

    condition: str = Field(description="The condition whose decoders are asked.")
    kind: MapName = Field(
        description="Exact Deep SHAP of decoders of traces; gradients of any decoder, by sampling; "
        "or what covering parts of the input costs."
    )
    name: str | None = Field(
        None, min_length=1, description="Its name in the tables; left out, its kind."
    )
    windows: Literal["test", "train"] = Field(
        "test", description="The part of each fold that is explained."
    )
    n_windows: int = Field(
        1000, ge=1, description="At most so many windows of it, taken evenly; not for occlusion."
    )
    on: Literal["logit", "probability"] = Field(
        "logit", description="The output that is explained (as published: probability)."
    )
    of_class: str | None = Field(None, description="Which class, of a target of several.")
    background: int = Field(
        100, ge=1, description="Windows that those explained are set against; not for occlusion."
    )
    background_from: Literal["train", "test"] = Field(
        "train",
        description="Where they are drawn: training windows, as many of each class and animal, or "
        "test windows as they come, as in the code of the 2024 study.",
    )
    n_draws: int = Field(
        100, ge=1, description="Gradients: backgrounds, or points of the line, a window."
    )
    n_random: int = Field(
        20, ge=0, description="Deep SHAP: decoders with random weights beside, over all folds."
    )
    n_orders: int = Field(
        20,
        ge=0,
        description="Deep SHAP, and occlusion by squares: random orders beside the curves of "
        "taking regions, or cells of the map, away; 0 draws no curves.",
    )
    convergence: bool = Field(
        True, description="Deep SHAP: maps of one decoder against 20, 50 and 100 backgrounds."
    )
    masks: (
        Literal["squares", "limb-squares", "regions"]
        | dict[str, list[int | str] | CircleKeys | str]
        | None
    ) = Field(
        None,
        description="Occlusion: what is covered. Squares of a quarter of the image's side, the two "
        "limb squares, each region; or your own by name: of traces sets of regions, of movies "
        "circles (`{ row, column, radius }` in pixels of the decoder's images) and images (a path "
        "to `.npy` or TIFF, 0 where input is left). Left out: squares, of traces each region.",
    )
    fill: Literal["shuffled", "other-session", "zero", "neighbours"] = Field(
        "shuffled",
        description="Occlusion: what stands there instead: the patch's own activity at other times "
        "or in another session of the animal, 0 after normalisation (as published), or the mean "
        "of the pixels around.",
    )
    every_n_frames: int = Field(
        1, ge=1, description="Occlusion: one image in so many is covered; its error is told."
    )


class ConfoundKeys(_Keys):
    """Does decoding exceed the measured confounds? Conditions beside one of traces or movies.

    A decoder is trained on brain motion, light around the brain and the reference channel alone
    (`NAME: confounds only`), and of traces the same decoder again on traces from which these were
    removed as if measured without error (`NAME: confounds removed`). Recordings need movies. With
    `behavior`, a decoder is trained on those columns alone (`NAME: behaviour confounds only`).
    """

    condition: str = Field(description="The condition of traces or movies that is asked about.")
    behavior: list[str] = Field(
        [],
        description="Columns of the behaviour files (whisking, pupil) that are confounds too. They "
        "are described as a block of their own, and measured once: nothing is claimed from them.",
    )
    measured: bool = Field(
        True,
        description="Whether confounds are measured in movies. false: the behaviour columns stand "
        "alone, for recordings without movies.",
    )


class LearningCurveKeys(_Keys):
    """How much does more training data help? One condition beside one for each amount.

    `NAME: 2 training animals` and `NAME: 5 min an animal` are trained on that much, with the same
    validation and test animals and as many epochs, so that less data also means fewer steps.
    """

    condition: str = Field(description="The condition that is trained on everything.")
    animals: list[int] = Field(
        [], description="Numbers of training animals, below that of the folds."
    )
    minutes: list[float] = Field(
        [], description="Minutes of each training animal's recordings, the first ones."
    )


class GeneralisationKeys(_Keys):
    """Conditions tested within sessions, in other sessions, on other days, in other animals.

    The same decoder is trained and tested within sessions (`NAME: within sessions`), across the
    sessions of an animal (`NAME: across sessions`), across its days where these are asked for
    (`NAME: across days`; the catalogue's column `date`) and across animals (`NAME: across
    animals`), as far as the condition itself does not; all are scored on the same windows.
    """

    condition: str = Field(description="The condition that is asked about.")
    across: list[Literal["blocks", "sessions", "days", "animals"]] = Field(
        ["blocks", "sessions", "animals"],
        min_length=2,
        description="What is left out: blocks of a session, sessions or days of an animal, "
        "animals.",
    )


class CrossTemporalKeys(_Keys):
    """Is what a decoder learns at one lag there at another? Decoders of lags, on each other's.

    Conditions that are alike but for `window.shift`: the decoder of each is scored on the targets
    of every other, on the windows that all of them have. Nothing more is fitted.
    """

    name: str = Field(min_length=1, description="What the sweep is called.")
    conditions: list[str] = Field(
        min_length=1, description="The conditions, alike but for `window.shift` (or `shift_s`)."
    )


class PermutationTestKeys(_Keys):
    """A p-value of the cohort by the condition's own decoder, trained again with permuted labels.

    One condition more for each permutation, `NAME: permutation 1` and so on: whole label traces
    are permuted among the sessions of each animal (of trials: labels within each session), in all
    animals at once, and everything is trained again. p = (1 + permutations that reach the cohort's
    mean score) / (1 + permutations). `corticode plan` reports the cost; linear decoders have a p
    without being asked.
    """

    condition: str = Field(description="The condition that is tested, of true labels.")
    n_permutations: int = Field(
        19, ge=1, le=9999, description="Permutations drawn; below 19 p is above 0.05."
    )


class RegionSetKeys(_Keys):
    """Is a set of regions necessary, and is it sufficient? Conditions beside one, and random sets.

    The same decoder is trained without the set and on the set alone: `NAME: without SET` and
    `NAME: SET only`. The set is also ranked among random and mirror-symmetric sets of its size
    that share no region with it, p = (1 + those that reach as much) / (1 + sets), by the
    condition's own kind of network: one more condition, `NAME: region dropout`, is trained to
    decode from whatever regions it is given (`training.augment.region_dropout = 0.5`), and given
    each set alone; beside it stand linear decoders refitted to each set. A linear condition is
    ranked by the linear decoders alone.
    """

    name: str = Field(min_length=1, description="What the set is called.")
    condition: str = Field(description="The condition of traces that sees all regions.")
    regions: list[int | str] = Field(
        min_length=1, description="The set: numbers, names, groups, sides."
    )
    n_sets: int = Field(
        200,
        ge=0,
        description="Random sets of its size; below 99 there is a rank and no p; 0 draws none, and "
        "no decoder with region dropout is trained.",
    )


class ComparisonKeys(_Keys):
    """Conditions set against each other, two by two, over animals; and over splits as published.

    Of values both R2 and the mean absolute error are compared.
    """

    name: str = Field(
        min_length=1,
        description="The family, a figure for instance: p-values are adjusted over all its pairs.",
    )
    conditions: list[str] = Field(
        min_length=1, description="Names; an effect is the earlier one minus the later one."
    )
    against: str | None = Field(
        None,
        description="Compare each with this condition alone (an effect is the condition minus this "
        "one): p-values are adjusted over these pairs.",
    )
    equivalent_within: float | None = Field(
        None,
        gt=0,
        description="A difference in AUC (or R2) that is too small to matter, as 0.02: two "
        "one-sided tests over animals say whether conditions differ by less.",
    )


class StudyKeys(_Keys):
    """A study file."""

    preset: Literal["recommended", "online", "text", "code"] = Field(
        "recommended", description="Where unnamed keys come from."
    )
    data: DataKeys = Field(description="The table that names the catalogue of recordings.")
    preprocess: PreprocessedKeys | None = Field(
        None, description="Start from raw movies: what is done before anything is decoded."
    )
    target: TargetKeys | None = Field(None, description="What every condition decodes.")
    trials: TrialKeys | None = Field(
        None, description="Decode trials, one label each, instead of frames."
    )
    folds: FoldKeys = Field(FoldKeys(), description="Who trains, validates and tests.")
    condition: list[ConditionKeys] = Field(
        min_length=1, description="At least one way of decoding, with a name."
    )
    map: list[MapKeys] = Field([], description="Maps of conditions' decoders.")
    confounds: list[ConfoundKeys] = Field(
        [], description="Conditions that are set against the measured confounds."
    )
    trial_time: list[TrialTimeKeys] = Field(
        [], description="Conditions of trials that are fitted at one lag after another."
    )
    region_set: list[RegionSetKeys] = Field([], description="Sets of regions that are asked about.")
    learning_curve: list[LearningCurveKeys] = Field(
        [], description="Conditions that are trained on less, too."
    )
    generalisation: list[GeneralisationKeys] = Field(
        [],
        description="Conditions tested within sessions, across sessions, days and animals.",
    )
    cross_temporal: list[CrossTemporalKeys] = Field(
        [], description="Sweeps of lags whose decoders are scored at each other's lag."
    )
    permutation_test: list[PermutationTestKeys] = Field(
        [], description="Conditions that are trained again with permuted labels."
    )
    comparison: list[ComparisonKeys] = Field(
        [], description="Conditions that are set against each other."
    )


def unused_keys(
    raw: Mapping[str, Any],
    conditions: Sequence[ConditionKeys],
    folds: FoldKeys,
    maps: Sequence[MapKeys],
) -> list[Finding]:
    """Keys that the file gives and that do nothing, each with the reason.

    What a preset gives, or comes through `like`, is no word of the file's own and is passed over,
    as is a 0 or false, which says that a step is left out. A key of ``[target]`` counts where no
    condition that takes it uses it.

    Parameters
    ----------
    raw
        The file's content.
    conditions
        Its conditions with presets and `like` worked in.
    folds, maps
        Its folds and maps.
    """
    found: dict[tuple[str, str], list[str]] = {}
    given = {one["name"]: one for one in raw["condition"]}
    for keys in conditions:
        for table, rule in _RULES.items():
            own = _given(_table_of(given[keys.name], table))
            for unused, reason in rule(keys):
                for key in (key for key in own if key in unused):
                    found.setdefault((f"{table}.{key}", reason), []).append(keys.name)
    for key in _given(raw.get("target")):
        reasons = [_reason_against(keys, key) for keys in conditions]
        if reasons[0] is not None and None not in reasons:
            found.setdefault((f"target.{key}", reasons[0]), [])
    alike: dict[tuple[str, str], list[str]] = {}
    for (key, reason), names in found.items():
        alike.setdefault((_in_conditions(names), reason), []).append(key)
    for key, reason in _of_folds(_given(raw.get("folds")), folds, conditions):
        alike.setdefault(("", reason), []).append(f"folds.{key}")
    for key, where in _of_maps(maps):
        alike.setdefault((where, ""), []).append(key)
    return [
        _finding(keys, f"{where}{': ' * bool(reason)}{reason}")
        for (where, reason), keys in alike.items()
    ]


def _finding(keys: Sequence[str], where_and_why: str) -> Finding:
    several = len(keys) > 1
    words = f"{'have' if several else 'has'} no effect{where_and_why}; leave "
    return Finding("key", f"{words}{'them' if several else 'it'} out", item=", ".join(keys))


def _given(table: object) -> list[str]:
    """The keys of a table that ask for something: a 0 or false says that a step is left out."""
    if not isinstance(table, Mapping):
        return []
    # A threshold of 0 is one.
    return [k for k, v in table.items() if k == "above" or (v is not False and v != 0)]


def _table_of(condition: Mapping[str, Any], path: str) -> object:
    """A condition's table, or one within another; None where it is not given."""
    found: object = condition
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _in_conditions(names: Sequence[str]) -> str:
    shown = [repr(name) for name in names]
    return f" in {some(shown, SHOWN_CONDITIONS)}" if names else ""


def _reason_against(keys: ConditionKeys, key: str) -> str | None:
    """Why a key of the target does nothing in a condition; None where it does something."""
    return next((reason for unused, reason in _of_target(keys) if key in unused), None)


def _of_target(keys: ConditionKeys) -> _Unused:
    target = keys.target or TargetKeys()
    if target.kind == "value":
        yield (*TWO_STATES, *TRANSITIONS), "a target of kind 'value' has no states"
    elif target.kind == "classes":
        reason = "classes are taken as the signal names them"
        yield (*TWO_STATES, *OF_NUMBERS), reason


def _of_preprocess(keys: ConditionKeys) -> _Unused:
    if keys.preprocess is None:
        return
    preprocess = keys.preprocess
    if keys.input == "movie":
        if preprocess.correction != "reference-regression":
            yield (
                ("lowpass_frames", "lowpass_s"),
                "it smooths the reference channel, which correction = 'reference-regression' takes",
            )
        return
    if preprocess.scale == "none":
        yield ("scale_over",), "scale = 'none' takes no statistics"
    lengths = (
        preprocess.detrend_frames,
        preprocess.detrend_s,
        preprocess.smooth_frames,
        preprocess.smooth_s,
    )
    if not any(lengths):
        yield ("causal",), "there is no moving mean (detrend, smooth) that could look ahead"


def _of_network(keys: ConditionKeys) -> _Unused:
    network = keys.network or NetworkKeys()
    if network.kind in LINEAR or network.kind == "cnn":
        yield ("units",), f"a {network.kind!r} has no recurrent layer"
    if network.kind not in MOVIE:
        yield OF_CNN, f"a {network.kind!r} has no CNN"
        return
    if network.kind == "cnn":
        yield ("temporal_stride",), "a 'cnn' reads one image"
    if network.backbone is not None and not BACKBONES[network.backbone].is_binned:
        yield ("bins",), f"backbone {network.backbone!r} takes images as they are"
    if network.backbone != "components":
        yield ("components",), "backbone 'components' alone takes them"
    if network.backbone is not None and not BACKBONES[network.backbone].has_weights:
        yield OF_WEIGHTS, f"backbone {network.backbone!r} has no trained weights"
    elif keys.start_from is not None:
        yield ("weights",), "start_from gives the CNN's start weights"


def _of_training(keys: ConditionKeys) -> _Unused:
    network, target = keys.network or NetworkKeys(), keys.target or TargetKeys()
    if network.kind in LINEAR:
        yield OF_EPOCHS, f"a {network.kind!r} is fitted in one go, without epochs"
    else:
        yield ("penalty",), "linear decoders alone choose a penalty"
        if target.kind == "value":
            yield ("label_smoothing",), "a target of kind 'value' has no labels"
    if network.kind not in MOVIE:
        yield OF_MOVIES, f"a {network.kind!r} decodes traces, not movies"
        return
    if keys.training is not None and keys.training.windows == "independent":
        yield ("run_windows",), "windows = 'independent' are drawn one by one"
    if network.backbone is not None and not BACKBONES[network.backbone].has_weights:
        yield ("freeze_batch_norm",), f"backbone {network.backbone!r} has no batch norm"


def _of_augment(keys: ConditionKeys) -> _Unused:
    network = keys.network or NetworkKeys()
    if network.kind in MOVIE:
        yield AUGMENT_OF_TRACES, "movies have no regions"
    elif network.kind not in LINEAR:
        yield AUGMENT_OF_MOVIES, "traces have no pixels"


_RULES = {
    "target": _of_target,
    "preprocess": _of_preprocess,
    "network": _of_network,
    "training": _of_training,
    "training.augment": _of_augment,
}


def _of_folds(
    given: Sequence[str], folds: FoldKeys, conditions: Sequence[ConditionKeys]
) -> Iterator[tuple[str, str]]:
    """Keys of ``[folds]``, and why each does nothing."""
    used = {keys.folds_by or folds.by for keys in conditions}
    if "block" not in used:
        reason = f"folds are by {folds.by!r}, not by 'block'"
        yield from ((key, reason) for key in OF_BLOCKS if key in given)
    if "animal" not in used and "validate" in given:
        yield "validate", f"folds are by {folds.by!r}, not by 'animal'"


def _of_maps(maps: Sequence[MapKeys]) -> Iterator[tuple[str, str]]:
    """Keys of maps that the map's kind passes over, and in which."""
    for keys in maps:
        kind = KINDS[keys.kind]
        unused = {*(OF_ATTRIBUTION if keys.kind == OCCLUSION else OF_OCCLUSION)}
        unused |= {*(() if kind.is_checked else OF_DEEP_SHAP)}
        unused |= {*(() if kind.options else ("n_draws",))}
        unused |= {*(() if kind.is_checked or keys.kind == OCCLUSION else ("n_orders",))}
        where = f" in the map {keys.name or keys.kind!r}, of kind {keys.kind!r}"
        for key in sorted(unused & keys.model_fields_set):
            if getattr(keys, key):
                yield f"map.{key}", where
