"""The page of a preprocessed cohort: a row a session, red where a limit is passed, and pictures."""

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from corticode.data.files import write_text
from corticode.data.preprocessing.quality import PAGE, WHOLE_SESSION
from corticode.data.preprocessing.steps import STEPS
from corticode.errors import DataError
from corticode.report.canvas import (
    PAGE_MM,
    Axes,
    Figure,
    colour_of,
    new_figure,
    picture,
    styled,
)
from corticode.report.page import render

OPEN_SESSIONS = 2
SHOWN_S = 60.0
ONSET_BEFORE_S = 1.0

# What a pixel or a session may have before a cell is red. Motion: half a pixel moves the edge of a
# vessel by as much light as strong activity; what is left should be little of that. Behaviour: a
# shift that explains a tenth of its variance can be read instead of cortex, if it is large enough
# to be seen: where light changes by 20 to 30 % a pixel, as at the edges of vessels (the sharpest
# tenth of simulated images), 0.05 px change it by 1 to 1.5 %, as weak activity does.
MOST_SHIFT_PX, MOST_LEFT_PX = 2.0, 0.1
MOST_WITH_BEHAVIOR, LEAST_LOCKED_PX = 0.3, 0.05
# Frames that were put back vary less: interpolation takes noise as well. 1 % is for rounding.
MOST_SPREAD = 1.01
MOST_LEFT_OUT, LEAST_KEPT, MOST_ODD = 0.01, 0.2, 0.05
MOST_WITH_REFERENCE, LEAST_SUSTAINED = 0.5, 0.5
SLOPES = (0.0, 5.0)
# Variance that taking blood out adds, of what there was. In 33 simulated sessions -0.3 to 0.7; with
# wavelengths exchanged 0.6 to 17, of which 28 are above 1.
MOST_ADDED = 1.0


@dataclass(frozen=True)
class Session:
    """What preprocessing kept of one session.

    Parameters
    ----------
    name
        Animal and session.
    numbers, images, courses
        As `corticode.data.preprocessing.quality.Quality` has them.
    findings
        What looked odd, in words.
    state
        The signal whose onsets are shown; empty: none.
    """

    name: str
    numbers: Mapping[str, float | None]
    images: Mapping[str, NDArray[Any]]
    courses: Mapping[str, NDArray[Any]]
    findings: tuple[str, ...] = ()
    state: str = ""


@dataclass(frozen=True)
class Column:
    """A column of the table: what it shows, when it is red, and what that means.

    Parameters
    ----------
    title
        Its head.
    shown
        What a session's cell says; empty where there is nothing to say.
    is_bad
        Whether a session's cell is red.
    means
        What a red cell means and what to do; empty: it has no limit.
    """

    title: str
    shown: Callable[[Session], str]
    is_bad: Callable[[Session], bool] = lambda _: False
    means: str = ""


def _known(session: Session, *names: str) -> list[float]:
    """These numbers of a session; none where one of them is not known."""
    found = [session.numbers.get(name) for name in names]
    known = [value for value in found if value is not None and not np.isnan(value)]
    return known if len(known) == len(names) else []


def _text(form: str, *names: str) -> Callable[[Session], str]:
    """What a cell says of some numbers, with a true minus; an arrow stands between two."""

    def shown(session: Session) -> str:
        return " → ".join(_written(form, value) for value in _known(session, *names))

    return shown


def _written(form: str, value: float) -> str:
    text = form.format(value)
    if not text.strip("-0.%"):
        text = text.removeprefix("-")  # what rounds to nothing has no sign
    return text.replace("-", "−")


def _beyond(name: str, is_bad: Callable[[float], bool]) -> Callable[[Session], bool]:
    return lambda session: any(is_bad(value) for value in _known(session, name))


def _fraction_left_out(session: Session) -> float:
    known = _known(session, "n_frames", "n_left_out")
    return known[1] / known[0] if known and known[0] else 0.0


def _has_moved_again(session: Session) -> bool:
    """Whether a movie moves that was said to be corrected for motion."""
    known = _known(session, "shift_rms", "was_corrected")
    return bool(known) and known[0] > MOST_LEFT_PX


def _is_left(session: Session) -> bool:
    left, rms = (_known(session, name) for name in ("shift_left", "shift_rms"))
    is_worse = bool(left and rms) and left[0] > max(rms[0], LEAST_LOCKED_PX)
    return bool(left) and (left[0] > MOST_LEFT_PX or is_worse)


def _is_spread(session: Session) -> bool:
    known = _known(session, "sd_over_mean_before", "sd_over_mean_after")
    return bool(known) and known[1] > MOST_SPREAD * known[0]


def _locked(session: Session) -> tuple[float, float, str] | None:
    """Of the behaviour with which most of the shift goes: pixels, r, and its name."""
    found = []
    for key in session.numbers:
        if key.startswith(R_WITH):
            name = key.removeprefix(R_WITH)
            if known := _known(session, LOCKED_WITH + name, key):
                found.append((known[0], known[1], name))
    return max(found, default=None)


def _shown_locked(session: Session) -> str:
    locked = _locked(session)
    if locked is None:
        return ""
    px, r, name = locked
    return f"{px:.2f} ({_written('{:.2f}', r)}, {name})"


def _is_locked(session: Session) -> bool:
    locked = _locked(session)
    return (
        locked is not None and locked[0] > LEAST_LOCKED_PX and abs(locked[1]) > MOST_WITH_BEHAVIOR
    )


def _shown_look_ahead(session: Session) -> str:
    found = _known(session, "look_ahead_frames")
    if not found or np.isinf(found[0]):
        return WHOLE_SESSION if found else ""
    return "none" if not found[0] else f"{found[0]:,.0f} frames"


R_WITH, LOCKED_WITH = "shift_with_", "shift_locked_"

COLUMNS = (
    Column(
        "frames",
        _text("{:,.0f}", "n_frames"),
        _beyond("n_frames", lambda n: n < 2),
        "There is no recording.",
    ),
    Column(
        "left out",
        lambda session: _written("{:.1%}", _fraction_left_out(session)),
        lambda session: _fraction_left_out(session) > MOST_LEFT_OUT,
        "More than 1 % of frames are dark, saturated, frozen, corrupt or could not be registered. "
        "Look at the warnings of the session for which, and at the camera.",
    ),
    Column(
        "shift, rms (px)",
        _text("{:.2f}", "shift_rms"),
        _has_moved_again,
        "The catalogue (column history) says that motion was corrected before, and frames still "
        "lie more than 0.1 pixel (root mean square) from their mean image. Shifts applied in the "
        "wrong direction double the motion. Give the movie as the camera wrote it.",
    ),
    Column(
        "shift, largest (px)",
        _text("{:.2f}", "shift_most"),
        _beyond("shift_most", lambda px: px > MOST_SHIFT_PX),
        "The brain moved by more than 2 pixels. The frames were put back; the image's border is "
        "lost by as much. Look at the head fixation.",
    ),
    Column(
        "left after (px)",
        _text("{:.3f}", "shift_left"),
        _is_left,
        "Frames still lie more than 0.1 pixel (root mean square) from the mean image, or further "
        "from it than before: motion was not taken out, or it is motion within a frame, rotation, "
        "or there are too few vessels to see it by. Add brain motion to the confounds of the "
        "study.",
    ),
    Column(
        "SD/mean, before → after motion",
        _text("{:.4f}", "sd_over_mean_before", "sd_over_mean_after"),
        _is_spread,
        "Pixels vary more once frames were put back: the correction made motion worse. Estimate "
        'motion on the other channel, or leave it, with motion = { channel = "none" }.',
    ),
    Column(
        "shift with behaviour, px (r)",
        _shown_locked,
        _is_locked,
        "The brain moves with behaviour, by more than 0.05 pixel (root mean square; r above 0.3). "
        "What is left of motion could be read instead of cortex: analyse it as a confound "
        "([[confounds]] in the study).",
    ),
    Column(
        "pixels kept",
        _text("{:.0%}", "kept_pixels"),
        _beyond("kept_pixels", lambda part: part < LEAST_KEPT),
        "Less than a fifth of the image is kept. Look at the mask and at the shift.",
    ),
    Column(
        "blood slope, median",
        _text("{:.2f}", "slope"),
        _beyond("slope", lambda slope: not SLOPES[0] <= slope <= SLOPES[1]),
        "The reference is added instead of subtracted, or subtracted several times over. Are the "
        "wavelengths in the right order? Regression can do this where blood follows neurons: "
        "take the method heartbeat.",
    ),
    Column(
        "slopes outside 0 to 5",
        _text("{:.0%}", "odd_slopes"),
        _beyond("odd_slopes", lambda part: part > MOST_ODD),
        "In more than 5 % of pixels the slope of blood is not plausible. Look at the slope map.",
    ),
    Column(
        "variance taken",
        _text("{:.0%}", "variance_taken"),
        _beyond("variance_taken", lambda part: part < -MOST_ADDED),
        "What comes out varies more than twice as much as the calcium channel did. Most likely the "
        "wavelengths are in the wrong order, so that calcium is subtracted; or the reference is "
        "noise or nearly dark. It is right only where blood hides most of the calcium: look at the "
        "traces, and at which channel follows behaviour at once.",
    ),
    Column(
        "r with reference, before → after",
        _text("{:.2f}", "correlation_before", "correlation_after"),
        # Below 0 it has no limit: calcium rises where blood darkens the image.
        _beyond("correlation_after", lambda r: r > MOST_WITH_REFERENCE),
        "What comes out still goes with the reference channel: too little blood was taken out, or "
        "light and bleaching that both channels share are left. Look at slopes and traces.",
    ),
    Column(
        "sustained running kept",
        _text("{:.0%}", "sustained_kept"),
        _beyond("sustained_kept", lambda part: part < LEAST_SUSTAINED),
        "Of a signal that lasts as long as running does, less than half is left after 5 s: "
        "a filter takes slow signals, neural ones too. Take a method without filters and a "
        "baseline that does not run, or do not decode running from this.",
    ),
    Column("look-ahead", _shown_look_ahead),
)


def write_quality(folder: Path) -> tuple[Path, str]:
    """The page of what `corticode preprocess` wrote into a folder.

    Parameters
    ----------
    folder
        As `corticode.run.preprocess.preprocess_catalogue` made it.

    Returns
    -------
    path
        ``quality.html`` in it: one file that needs no other.
    headline
        How many sessions are beyond a limit, in a sentence.

    Raises
    ------
    DataError
        The folder holds nothing of the kind.
    """
    sessions = read_sessions(folder)
    if not sessions:
        raise DataError(
            f"{folder} holds no session that corticode preprocess made; give the folder that it "
            "wrote to"
        )
    path = folder / PAGE
    write_text(path, render_quality(folder.name, sessions, _steps_of(folder)))
    return path, _headline(sessions)


def read_sessions(folder: Path) -> list[Session]:
    """What is kept of each session, in the order of the catalogue."""
    found = []
    for path in _states_of(folder):
        state = json.loads(path.read_text("utf-8"))
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            parts: dict[str, dict[str, NDArray[Any]]] = {"image": {}, "course": {}}
            for name in arrays.files:
                kind, _, own = name.partition("_")
                parts[kind][own] = arrays[name]
        odd = tuple(str(one["reason"]) for one in state["findings"])
        name = f"{state['animal']}/{state['session']}"
        found.append(
            Session(
                name,
                {key: np.inf if x == WHOLE_SESSION else x for key, x in state["numbers"].items()},
                parts["image"],
                parts["course"],
                odd,
                state.get("state", ""),
            )
        )
    return found


def _states_of(folder: Path) -> list[Path]:
    """What was written of the sessions of the last call; others of the folder are older."""
    kept = folder / "quality"
    path = folder / "preprocess.json"
    told = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if "sessions" not in told:
        return sorted(kept.glob("*.json"))
    return [one for name in told["sessions"] if (one := kept / f"{name}.json").is_file()]


def render_quality(name: str, sessions: list[Session], steps: list[tuple[str, str]]) -> str:
    """The page as HTML; all text of the user is escaped, and nothing is fetched from anywhere.

    Parameters
    ----------
    name
        Of the folder.
    sessions
        A row each.
    steps
        What was done, and on what it was fitted.

    Examples
    --------
    >>> page = render_quality("made", [Session("m1/<a>", {"n_frames": 9}, {}, {})], [])
    >>> "m1/&lt;a&gt;" in page
    True
    """
    columns = [one for one in COLUMNS if any(one.shown(session) for session in sessions)]
    rows: list[dict[str, Any]] = [
        {
            "name": one.name,
            "cells": [
                {"shown": column.shown(one), "is_bad": column.is_bad(one)} for column in columns
            ],
        }
        for one in sessions
    ]
    red: list[dict[str, Any]] = [
        {"title": column.title, "means": column.means, "sessions": names}
        for k, column in enumerate(columns)
        if (names := [str(row["name"]) for row in rows if row["cells"][k]["is_bad"]])
    ]
    return render(
        "quality.html",
        name=name,
        n_sessions=len(sessions),
        steps=steps,
        titles=[column.title for column in columns],
        rows=rows,
        red=red,
        headline=_headline(sessions),
        is_transductive=any("whole session" in on for _, on in steps),
        sessions=[
            {
                "name": one.name,
                "findings": one.findings,
                "pictures": _pictures(one),
                "is_open": k < OPEN_SESSIONS,
            }
            for k, one in enumerate(sessions)
        ],
    )


def _headline(sessions: list[Session]) -> str:
    n_sessions = "1 session" if len(sessions) == 1 else f"{len(sessions)} sessions"
    n_red = sum(any(column.is_bad(one) for column in COLUMNS) for one in sessions)
    if not n_red:
        return f"{n_sessions}: nothing is beyond a limit. Look at the pictures all the same."
    return (
        f"{n_red} of {n_sessions} {'is' if n_red == 1 else 'are'} beyond a limit. "
        "What each red cell means, and what to do, stands below the table."
    )


def _steps_of(folder: Path) -> list[tuple[str, str]]:
    """What was done to the sessions, and on what it was fitted."""
    path = folder / "preprocess.json"
    if not path.is_file():
        return []
    told = json.loads(path.read_text("utf-8")).get("words", [])
    return [(str(words), str(on)) for name, words, on in told if name in STEPS]


def _pictures(session: Session) -> list[dict[str, str]]:
    pictures = []
    if images := _shown_images(session):
        pictures.append(
            {
                "address": _address(draw_images(images)),
                "alt": f"{session.name}: " + ", ".join(title for title, _, _ in images),
                "caption": "Each image on its own scale. SD: over time, in percent dF/F. Blank: "
                "pixels that are not kept.",
            }
        )
    if session.courses:
        pictures.append(
            {
                "address": _address(draw_courses(session)),
                "alt": f"{session.name}: shift and mean traces over time, and around onsets",
                "caption": "Means over all kept pixels, before (calcium, reference) and after "
                "blood is taken out. " + (f"Onsets of {session.state!r}." if session.state else ""),
            }
        )
    return pictures


def _address(figure: Figure) -> str:
    """A figure as the address of an image that holds itself, in 256 colours: a third of the size.

    A page holds two of them a session.
    """
    with Image.open(io.BytesIO(picture(figure))) as whole:
        few = whole.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    few.save(buffer, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _shown_images(session: Session) -> list[tuple[str, NDArray[Any], str]]:
    wanted = (
        ("mean", "mean (counts)", "gray"),
        ("regions", "regions", "gray"),
        ("mask", "kept pixels", "gray"),
        ("before", "SD before blood", "viridis"),
        ("after", "SD after", "viridis"),
        ("slope", "slope of blood", "viridis"),
        ("correlation_after", "r with reference, after", "coolwarm"),
    )
    images = dict(session.images)
    if "regions" in images and "mean" in images:
        images["regions"] = _outlined(images["mean"], images["regions"])
    return [(title, images[name], colours) for name, title, colours in wanted if name in images]


def _outlined(mean: NDArray[Any], regions: NDArray[Any]) -> NDArray[np.float64]:
    """A mean image as (row, column, colour) on which the edges of regions are drawn."""
    known = mean[np.isfinite(mean)]
    low, high = np.percentile(known, [1, 99]) if known.size else (0.0, 1.0)
    gray = np.clip((np.nan_to_num(mean, nan=low) - low) / max(high - low, 1e-9), 0, 1)
    image = np.repeat(gray[..., None], 3, axis=2)
    edge = np.zeros(regions.shape, np.bool_)
    edge[:-1] |= regions[:-1] != regions[1:]
    edge[:, :-1] |= regions[:, :-1] != regions[:, 1:]
    image[edge] = to_rgb(colour_of(1))
    return image


@styled
def draw_images(images: list[tuple[str, NDArray[Any], str]]) -> Figure:
    """Images beside each other, each with its scale.

    Parameters
    ----------
    images
        Title, (row, column) or (row, column, colour), and colour map of each.

    Examples
    --------
    >>> len(draw_images([("mean", np.eye(4), "gray")]).axes)
    2
    """
    figure, axes = new_figure(PAGE_MM, 34, columns=len(images))
    for drawn, (title, image, colours) in zip(axes[0], images, strict=True):
        values = np.asarray(image, np.float64)
        is_plain = image.dtype == np.bool_ or values.ndim == 3  # such need no scale
        known = values[np.isfinite(values)]
        low, high = np.percentile(known, [1, 99]) if known.size else (0.0, 1.0)
        if image.dtype == np.bool_:
            low, high = 0.0, 1.0
        if colours == "coolwarm":
            high = max(abs(low), abs(high))
            low = -high
        shown = drawn.imshow(values, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
        drawn.set_title(title, fontsize=6)
        drawn.set_axis_off()
        bar = figure.colorbar(shown, ax=drawn, orientation="horizontal", pad=0.02, aspect=14)
        bar.ax.tick_params(labelsize=5)
        bar.ax.locator_params(nbins=3)
        bar.ax.set_visible(not is_plain)  # the room that it takes keeps all images as large
    return figure


@styled
def draw_courses(session: Session) -> Figure:
    """The shift, a minute of mean traces, and their average around onsets.

    Examples
    --------
    >>> courses = {"corrected": np.zeros(90), "calcium": np.zeros(90)}
    >>> len(draw_courses(Session("m1/a", {}, {}, courses)).axes)
    1
    """
    courses, rate_hz = session.courses, session.numbers.get("frame_rate_hz")
    panels: list[Callable[[Axes], None]] = []
    if "shift" in courses:
        panels.append(lambda drawn: _draw_shift(drawn, courses["shift"], rate_hz))
    panels.append(lambda drawn: _draw_minute(drawn, session, rate_hz))
    if "onset_corrected" in courses:
        panels.append(lambda drawn: _draw_onsets(drawn, session, rate_hz))
    figure, axes = new_figure(PAGE_MM, 42, columns=len(panels))
    for drawn, draw in zip(axes[0], panels, strict=True):
        draw(drawn)
    return figure


STAGES = {"reference": 1, "calcium": 2, "corrected": 0}


def _draw_shift(drawn: Axes, shift: NDArray[Any], rate_hz: float | None) -> None:
    times = np.arange(len(shift)) / (60 * rate_hz if rate_hz else 1)
    step = max(1, len(shift) // 4000)
    for axis, name in enumerate(("rows", "columns")):
        course = shift[::step, axis]
        drawn.plot(times[::step], course, color=colour_of(axis), lw=0.5, label=name)
    drawn.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=5, borderaxespad=0)
    drawn.set(xlabel="time (min)" if rate_hz else "frame", ylabel="shift (px)")


def _draw_minute(drawn: Axes, session: Session, rate_hz: float | None) -> None:
    """The middle minute of the mean traces, or the middle 1,800 frames."""
    n_all = len(session.courses["corrected"])
    # Courses are binned: as many as they are fewer than the shift's frames.
    bins = max(1, round((session.numbers.get("n_frames") or n_all) / n_all))
    per_s = rate_hz / bins if rate_hz else None
    n_shown = min(n_all, round(SHOWN_S * per_s) if per_s else 1800)
    first = (n_all - n_shown) // 2
    times = (first + np.arange(n_shown)) / (per_s or 1)
    for name, colour in STAGES.items():
        if name in session.courses and not (name == "reference" and "slope" not in session.images):
            course = session.courses[name][first : first + n_shown]
            drawn.plot(times, course, color=colour_of(colour), lw=0.7, label=name)
    drawn.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=5, borderaxespad=0)
    drawn.set(xlabel="time (s)" if per_s else "frame", ylabel="mean dF/F (%)")


def _draw_onsets(drawn: Axes, session: Session, rate_hz: float | None) -> None:
    before = session.numbers.get("onset_before") or 0
    n_frames = len(session.courses["onset_corrected"])
    per_s = before / ONSET_BEFORE_S if before else (rate_hz or 1)
    times = (np.arange(n_frames) - before) / per_s
    for name, colour in STAGES.items():
        if f"onset_{name}" in session.courses:
            course = session.courses[f"onset_{name}"]
            drawn.plot(times, course, color=colour_of(colour), lw=1, label=name)
    drawn.axvline(0, color="#6b6b6b", lw=0.6, ls="--")
    n_onsets = session.numbers.get("n_onsets") or 0
    drawn.set(xlabel=f"time from onset (s), mean of {n_onsets:.0f}", ylabel="mean dF/F (%)")
