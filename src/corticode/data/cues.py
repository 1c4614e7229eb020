"""What is not cortex, as traces to decode: light, borders, motion, time, the reference channel.

Whatever can be decoded from these, a decoder may as well have taken from them when it was given
cortex: they are the controls beside every result.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.movies.brain import LEAST_SEPARATION, find_brain
from corticode.data.movies.motion import measure_motion
from corticode.data.movies.passes import mean_image, means_over_pixels
from corticode.data.session import Session
from corticode.errors import DataError, Finding, MissingDataError, StudyError, some

# Seconds by which cortex follows a cue: motion shows in the same frame (which, with its neighbours,
# is a lag of its own), blood for seconds. Between these the response is a straight line.
KNOTS_S = (
    *(-0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 0.75, 1.0),
    *(1.25, 1.5, 1.75, 2.0, 2.5, 3.0),
)
RIDGE = 1e-6
# With fewer frames, chance alone takes a tenth and more of what is not the cues' doing.
FRAMES_A_COLUMN = 10
BORDER_PIXELS = 2
SHOWN_SESSIONS = 3

Brain = NDArray[np.bool_] | None
Measured = tuple[NDArray[np.float64], list[Finding]]


def regress_out(
    traces: NDArray[np.floating],
    cues: NDArray[np.floating],
    frame_rate_hz: float,
    segment: NDArray[Any] | None = None,
) -> NDArray[np.float32]:
    """Traces less their least-squares fit on cues at lags of -0.5 to 3 s.

    Each trace is fitted by every cue's past (to 3 s) and near future (0.5 s), the response being
    straight between seventeen lags that lie closest around 0, where single frames count. Frames
    that hold NaN in a trace or a cue are left out of the fit. The trace's mean stays; nothing is
    known of labels.

    Parameters
    ----------
    traces
        (frame, region).
    cues
        (frame, cue).
    frame_rate_hz
        Frames per second.
    segment
        (frame,): a change of its value marks a gap in time, across which no lag reaches; ``None``:
        there are no gaps.

    Returns
    -------
    NDArray
        float32, (frame, region).

    Raises
    ------
    DataError
        Too few frames for so many cues.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> cue = rng.normal(size=(3000, 1))
    >>> traces = cue + 0.1 * rng.normal(size=(3000, 2))
    >>> left = regress_out(traces, cue, 30.0)
    >>> bool(left.std() < 0.11), bool(traces.std() > 0.9)
    (True, True)
    """
    design = lagged(cues, frame_rate_hz, segment)
    known = np.isfinite(traces).all(axis=1) & np.isfinite(cues).all(axis=1)
    needed = FRAMES_A_COLUMN * design.shape[1]
    if np.count_nonzero(known) < needed:
        raise DataError(
            f"{np.count_nonzero(known)} frames are too few to regress {cues.shape[1]} cues out at "
            f"{design.shape[1] // cues.shape[1]} lags; {needed} are needed: leave regress_out out, "
            "or the session"
        )
    inputs = design[known] - design[known].mean(axis=0)
    # Unit SD, so that the ridge is as strong on counts as on pixels; a flat cue stays 0.
    spread = inputs.std(axis=0)
    spread[spread == 0] = 1.0
    inputs /= spread
    outputs = np.asarray(traces, dtype=np.float64)
    centred = outputs[known] - outputs[known].mean(axis=0)
    gram = inputs.T @ inputs
    gram[np.diag_indices_from(gram)] += RIDGE * len(inputs)
    weights = np.linalg.solve(gram, inputs.T @ centred)
    fitted = ((design - design[known].mean(axis=0)) / spread) @ weights
    return np.asarray(outputs - fitted, dtype=np.float32)


def lagged(
    cues: NDArray[np.floating],
    frame_rate_hz: float,
    segment: NDArray[Any] | None = None,
    knots_s: Sequence[float] = KNOTS_S,
) -> NDArray[np.float64]:
    """Cues at every lag of `knots_s`, and one frame around 0, joined by straight lines.

    The shape is (frame, lag x cue). Ends, of a session and of its stretches without a gap in time,
    are held; NaN counts as the cue's mean.
    """
    values = np.array(cues, dtype=np.float64)
    gaps = ~np.isfinite(values)
    if gaps.any():
        means = np.nanmean(np.where(gaps, np.nan, values), axis=0) if not gaps.all() else 0.0
        values = np.where(gaps, means, values)
    changes = () if segment is None else np.flatnonzero(segment[1:] != segment[:-1]) + 1
    knots = np.unique([*(np.array(knots_s) * frame_rate_hz), -1.0, 1.0])
    return np.concatenate([_lagged_stretch(part, knots) for part in np.split(values, changes)])


def _lagged_stretch(values: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """`lagged` of frames without a gap, the knots in frames."""
    first, last = int(np.floor(knots[0])), int(np.ceil(knots[-1]))
    lags = np.arange(first, last + 1)
    held = np.pad(values, ((last, -first), (0, 0)), mode="edge")
    columns = []
    for k in range(len(knots)):
        weights = np.interp(lags, knots, np.eye(len(knots))[k])
        used = np.flatnonzero(weights)
        if not used.size:
            continue
        # Frame t takes the cue of t - lag.
        column = sum(weights[j] * held[last - lags[j] : last - lags[j] + len(values)] for j in used)
        columns.append(column)
    return np.concatenate(columns, axis=1)


def cue_session(
    session: Session,
    input: str,
    *,
    brain: NDArray[np.bool_] | None = None,
    columns: Sequence[str] = (),
) -> Session:
    """The session with cues that are not cortex in the place of its traces.

    Parameters
    ----------
    session
        Its movie may be memory-mapped and is never held whole.
    input
        ``"global-mean"``: mean over regions, or over pixels where there are no traces.
        ``"outside-mask"``: mean over the pixels around the brain.
        ``"border"``: mean of the outermost two pixels at the top, bottom, left and right.
        ``"frame-number"``: the frame's number in the session, scaled to 0..1.
        ``"brain-motion"``: shift against the mean image, down and to the right, in pixels.
        ``"reference"``: mean over the pixels of the reference channel.
        ``"cues"``: outside-mask, brain-motion and, where there is one, reference.
        ``"confounds"``: as ``"cues"``, with the shift unsigned, squared and its speed besides.
        ``"traces+cues"``: the region traces and the cues.
        ``"behavior"``: the behaviour's `columns`, as they came onto frames.
        ``"traces"`` returns the session as it is.
    brain
        (row, column), True where the brain is, for ``"outside-mask"``; None finds it in the mean
        image, see `corticode.data.movies.brain.find_brain`.
    columns
        Names of behaviour signals, for ``"behavior"``.

    Returns
    -------
    Session
        Without movies; `traces` have shape (frame, cue), `regions` are the names of the cues.

    Raises
    ------
    MissingDataError
        The session lacks the movie, reference channel or traces that the input is made from.
    StudyError
        There is no such input.
    DataError
        The image is too small, shows no brain or nothing around it.

    Examples
    --------
    >>> traces, segment = np.array([[1.0, 3.0], [2.0, 6.0], [0.0, 4.0]]), np.zeros(3, np.int32)
    >>> session = Session("m1", "a", traces, ("1", "2"), {}, segment)
    >>> cue_session(session, "global-mean").traces.tolist()
    [[2.0], [4.0], [2.0]]
    >>> cue_session(session, "frame-number").traces.tolist()
    [[0.0], [0.5], [1.0]]
    """
    check_input([session], input)
    if input == "traces":
        return session
    if input == BEHAVIOR:
        return _of_behavior(session, columns)
    if input in TOGETHER:
        return _together(session, input, brain)
    try:
        values, findings = CUES[input].measure(session, brain)
    except DataError as error:
        raise DataError(f"session {session.name}, input = {input!r}: {error}") from error
    return _in_place_of_traces(session, input, values, findings)


def _of_behavior(session: Session, columns: Sequence[str]) -> Session:
    """Behaviour signals side by side."""
    missing = [name for name in columns if name not in session.behavior]
    if missing or not columns:
        raise MissingDataError(
            f"session {session.name} has no behaviour signal {some(missing, SHOWN_SESSIONS)!r}; "
            f"its signals are {', '.join(session.behavior) or 'none'}"
        )
    signals = {name: np.asarray(session.behavior[name]) for name in columns}
    of_text = [name for name, signal in signals.items() if signal.dtype.kind not in "biuf"]
    if of_text:
        raise DataError(
            f"session {session.name}: behaviour signal {some(of_text, SHOWN_SESSIONS)!r} holds "
            "text, and confounds are numbers; give a column of 0 and 1 for each state"
        )
    values = np.column_stack([signal.astype(np.float64) for signal in signals.values()])
    return _in_place_of_traces(session, BEHAVIOR, values, names=tuple(columns))


def _together(session: Session, input: str, brain: NDArray[np.bool_] | None) -> Session:
    """Several cues side by side, after the traces where those are wanted too."""
    parts = [cue_session(session, name, brain=brain) for name in _parts_of(session, input)]
    findings = [f for part in parts for f in part.findings if f not in session.findings]
    values = np.concatenate([np.asarray(part.traces) for part in parts], axis=1)
    names = tuple(name for part in parts for name in part.regions)
    if input == "traces+cues":
        values = np.concatenate([np.asarray(session.traces), values], axis=1)
        names = session.regions + names
    return _in_place_of_traces(session, input, values, list(dict.fromkeys(findings)), names)


def _parts_of(session: Session, input: str) -> tuple[str, ...]:
    """The cues that one of `TOGETHER` holds of a session."""
    parts = ("outside-mask", "brain-motion" if input != "confounds" else "motion-terms")
    return (*parts, "reference") if session.reference is not None else parts


def without_cues(session: Session) -> Session:
    """The session with its cues regressed out of its traces.

    Raises
    ------
    MissingDataError
        It has no movie to take cues from.
    DataError
        It has no frame rate, or too few frames.
    """
    check_input([session], "traces+cues")
    if session.frame_rate_hz is None:
        raise DataError(
            f"session {session.name} has no frame rate, and cues are regressed out at lags in "
            "seconds; give frame_rate_hz in the catalogue"
        )
    cues = cue_session(session, "cues")
    try:
        values = regress_out(
            np.asarray(session.traces),
            np.asarray(cues.traces),
            session.frame_rate_hz,
            session.segment,
        )
    except DataError as error:
        raise DataError(f"session {session.name}: {error}") from error
    return replace(session, traces=values, movie=None, reference=None, findings=cues.findings)


def cue_sessions(
    sessions: Sequence[Session], input: str, columns: Sequence[str] = ()
) -> list[Session]:
    """`cue_session` of each, once it is known that all have the data for it."""
    check_input(sessions, input)
    return [cue_session(session, input, columns=columns) for session in sessions]


def stand_ins(
    sessions: Sequence[Session], input: str, columns: Sequence[str] = ()
) -> list[Session]:
    """Sessions as from `cue_sessions`, but for the cues' values: no movie is read.

    Each cue is the frame's number. What can go wrong before a run is looked for in these.
    """
    check_input(sessions, input)
    if input in ("traces", BEHAVIOR):
        return cue_sessions(sessions, input, columns)
    return [_stand_in(session, input) for session in sessions]


def _stand_in(session: Session, input: str) -> Session:
    parts = _parts_of(session, input) if input in TOGETHER else (input,)
    names = tuple(name for part in parts for name in _names_of(part))
    values = np.tile(_frame_numbers(session), len(names))
    if input == "traces+cues":
        values = np.concatenate([np.asarray(session.traces), values], axis=1)
        names = session.regions + names
    return _in_place_of_traces(session, input, values, names=names)


def check_input(sessions: Sequence[Session], input: str) -> None:
    """Refuse an input that some session has no data for; nothing is read.

    Raises
    ------
    MissingDataError
        Names the sessions and what they lack.
    StudyError
        There is no such input.
    """
    if input not in INPUTS:
        raise StudyError(f"input is {input!r}; it must be one of {', '.join(INPUTS)}")
    cue = CUES.get("brain-motion" if input in TOGETHER else input)
    if cue is None or not cue.needs:
        return
    lacking = [s.name for s in sessions if all(getattr(s, name) is None for name in cue.needs)]
    if input == "traces+cues":
        cue = TRACES_AND_CUES
        lacking += [s.name for s in sessions if s.traces is None]
    if lacking:
        raise MissingDataError(
            f"input = {input!r} needs {cue.needed}; {_who_has(lacking)} {cue.otherwise}: "
            f"{cue.way_out}, or take the conditions with this input out of the study"
        )


def _who_has(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"session {names[0]} has"
    return f"sessions {some(names, SHOWN_SESSIONS)} have"


def _in_place_of_traces(
    session: Session,
    input: str,
    values: NDArray[np.float64],
    findings: Sequence[Finding] = (),
    names: tuple[str, ...] = (),
) -> Session:
    if session.left_out is not None and session.left_out.any() and session.movie is not None:
        values = np.where(session.left_out[:, None], np.nan, values)
    # What was done to the traces is still in them and in their mean, and in no other cue.
    is_of_traces = input in ("global-mean", "traces+cues") and session.traces is not None
    return replace(
        session,
        traces=values,
        regions=names or _names_of(input),
        movie=None,
        reference=None,
        findings=(*session.findings, *findings),
        history=session.history if is_of_traces else "",
    )


def _names_of(input: str) -> tuple[str, ...]:
    return CUES[input].traces or (input,)


def _frame_numbers(session: Session) -> NDArray[np.float64]:
    return np.linspace(0, 1, session.n_frames)[:, None]


def _number(session: Session, brain: Brain) -> Measured:
    return _frame_numbers(session), []


def _global_mean(session: Session, brain: Brain) -> Measured:
    if session.traces is None:
        return _mean_over(session.movie), []
    with np.errstate(invalid="ignore"):  # infinite values of both signs have no mean
        return session.traces.mean(axis=1, dtype=np.float64, keepdims=True), []


def _reference(session: Session, brain: Brain) -> Measured:
    return _mean_over(session.reference), []


def _mean_over(frames: NDArray[Any] | None) -> NDArray[np.float64]:
    movie = np.asarray(frames)
    return means_over_pixels(movie, [seen_pixels(movie)])


def _motion(session: Session, brain: Brain) -> Measured:
    return measure_motion(np.asarray(session.movie)), []


def _motion_terms(session: Session, brain: Brain) -> Measured:
    return shift_terms(measure_motion(np.asarray(session.movie))), []


def shift_terms(shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """A shift's deviation from its median, this unsigned and squared, and its change a frame.

    Parameters
    ----------
    shift
        Shape (frame, direction), pixels.

    Returns
    -------
    NDArray
        Shape (frame, 4 x direction), in the order of `MOTION_TERMS`.
    """
    about = shift - np.nanmedian(shift, axis=0)
    speed = np.abs(np.diff(about, axis=0, prepend=about[:1]))
    return np.concatenate([about, np.abs(about), about**2, speed], axis=1)


def _border(session: Session, brain: Brain) -> Measured:
    movie = np.asarray(session.movie)
    return means_over_pixels(movie, _borders(movie.shape[1], movie.shape[2])), []


def _outside_mask(session: Session, brain: Brain) -> Measured:
    movie = np.asarray(session.movie)
    outside, findings = outside_brain(session, movie, brain)
    return means_over_pixels(movie, [outside]), findings


def _borders(n_rows: int, n_columns: int) -> list[NDArray[np.bool_]]:
    """(row, column) masks of the four borders, which share their corners."""
    if min(n_rows, n_columns) <= 2 * BORDER_PIXELS:
        raise DataError(
            f"frames have {n_rows} x {n_columns} pixels; four borders of {BORDER_PIXELS} pixels "
            f"need more than {2 * BORDER_PIXELS} each way"
        )
    row, column = np.indices((n_rows, n_columns))
    return [
        row < BORDER_PIXELS,
        row >= n_rows - BORDER_PIXELS,
        column < BORDER_PIXELS,
        column >= n_columns - BORDER_PIXELS,
    ]


def outside_brain(
    session: Session, movie: NDArray[Any], brain: NDArray[np.bool_] | None
) -> tuple[NDArray[np.bool_], list[Finding]]:
    """(row, column): the pixels around the brain, and what is odd about them."""
    mean, findings = mean_image(movie), []
    if brain is None:
        brain, separation = find_brain(mean)
        if separation < LEAST_SEPARATION:
            reason = (
                "brain and surround are hardly told apart in the mean image (separation "
                f"{separation:.3f}, below {LEAST_SEPARATION:g}); the pixels of input "
                "'outside-mask' may show brain"
            )
            findings.append(Finding("session", reason, session.animal, session.session))
    elif brain.shape != mean.shape or brain.dtype != np.bool_:
        raise DataError(
            f"the brain mask holds {brain.dtype} values of shape {brain.shape}; it needs True and "
            f"False for each of the frames' {mean.shape} pixels"
        )
    outside = ~brain & np.isfinite(mean)
    if not outside.any():
        raise DataError("no pixel outside the brain has values; use input = 'border'")
    return outside, findings


def seen_pixels(movie: NDArray[Any]) -> NDArray[np.bool_]:
    """(row, column): False where no frame has a value, as around a brain cut out by NaN."""
    if movie.dtype.kind != "f":
        return np.ones(movie.shape[1:], np.bool_)
    seen: NDArray[np.bool_] = np.isfinite(mean_image(movie))
    if not seen.any():
        raise DataError("no pixel has a finite value in any frame; check the movie's file")
    return seen


@dataclass(frozen=True)
class Cue:
    """A row of `CUES`: what an input that is not cortex is made from, and how.

    Parameters
    ----------
    measure
        From a session and, where it is given, the brain's mask (row, column): the values, shape
        (frame, trace), and what looks odd.
    needs
        What it is made from, of a session's ``traces``, ``movie`` and ``reference``; one is enough.
    needed, otherwise, way_out
        The same in words, what a session has that lacks it, and what to do then.
    traces
        Names of its traces; empty: one, of its own name.
    whole_session
        Whether it needs the session's length or mean image before the first frame has a value.
    """

    measure: Callable[[Session, Brain], Measured]
    needs: tuple[str, ...] = ("movie",)
    needed: str = "a movie"
    otherwise: str = "traces only"
    way_out: str = "name one in the catalogue's column 'movie'"
    traces: tuple[str, ...] = ()
    whole_session: bool = False


MOTION_TERMS = tuple(
    f"motion {axis}{shape}"
    for shape in ("", " unsigned", " squared", " speed")
    for axis in ("rows", "columns")
)
CUES: Mapping[str, Cue] = {
    "global-mean": Cue(_global_mean, ("traces", "movie"), "traces or a movie", "neither"),
    "outside-mask": Cue(_outside_mask, whole_session=True),
    "border": Cue(_border, traces=("border-top", "border-bottom", "border-left", "border-right")),
    "frame-number": Cue(_number, needs=(), whole_session=True),
    "brain-motion": Cue(
        _motion, traces=("brain-motion-rows", "brain-motion-columns"), whole_session=True
    ),
    "motion-terms": Cue(_motion_terms, traces=MOTION_TERMS, whole_session=True),
    "reference": Cue(
        _reference,
        ("reference",),
        "a reference channel",
        "none",
        "name its movie in the catalogue's column 'movie_reference', or give channels = "
        "'calcium,reference' where one movie holds both",
    ),
}
TRACES_AND_CUES = Cue(
    _motion,
    needed="traces and a movie",
    otherwise="one of them",
    way_out="name both in the catalogue ('corticode extract' takes traces from movies)",
)
# What moves with the animal and is not cortex. The global mean is cortex for the most part, so is
# the border where the brain reaches the image's edge, and the frame's number knows of days and
# nothing of movement: none of these may be taken out of cortex.
# Several cues side by side, alone or behind the traces.
TOGETHER = ("cues", "confounds", "traces+cues")
# Columns of the behaviour files that a study names: no movie is needed for them.
BEHAVIOR = "behavior"
INPUTS = ("traces", "movie", *CUES, *TOGETHER, BEHAVIOR)
# They need the session's length or its mean image before the first frame has a value.
WHOLE_SESSION_INPUTS = (*(name for name, cue in CUES.items() if cue.whole_session), *TOGETHER)
