"""The page of a preprocessed cohort: a row a session, red where a limit is passed, and pictures."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.files import write_text
from corticode.data.preprocessing.steps import STEPS
from corticode.errors import DataError
from corticode.report.canvas import PAGE_MM, Axes, Figure, colour_of, new_figure, styled
from corticode.report.page import data_address, render

PAGE = "quality.html"
OPEN_SESSIONS = 2
SHOWN_S = 60.0
ONSET_BEFORE_S = 1.0

# What a pixel or a session may have before a cell is red. Motion: half a pixel moves the edge of a
# vessel by as much light as strong activity; what is left should be little of that. Behaviour: a
# shift that explains a tenth of its variance can be read instead of cortex.
MOST_SHIFT_PX, MOST_LEFT_PX, MOST_WITH_BEHAVIOR = 2.0, 0.1, 0.3
MOST_LEFT_OUT, LEAST_KEPT, MOST_ODD = 0.01, 0.2, 0.05
MOST_WITH_REFERENCE, LEAST_SUSTAINED = 0.5, 0.5


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
    value
        The number of a session; None where there is none.
    shown
        How it is written.
    is_bad
        Whether the cell is red.
    means
        What a red cell means and what to do, as a sentence.
    """

    title: str
    value: Callable[[Session], float | None]
    shown: str
    is_bad: Callable[[float], bool]
    means: str


def _number(name: str) -> Callable[[Session], float | None]:
    return lambda session: session.numbers.get(name)


def _share_left_out(session: Session) -> float | None:
    n_frames, n_left_out = (session.numbers.get(name) for name in ("n_frames", "n_left_out"))
    return None if not n_frames or n_left_out is None else n_left_out / n_frames


def _with_behavior(session: Session) -> float | None:
    found = [
        value
        for name, value in session.numbers.items()
        if name.startswith("shift_with_") and value is not None
    ]
    return max(found, key=abs, default=None)


COLUMNS = (
    Column("frames", _number("n_frames"), "{:,.0f}", lambda n: n < 2, "There is no recording."),
    Column(
        "left out",
        _share_left_out,
        "{:.1%}",
        lambda share: share > MOST_LEFT_OUT,
        "More than 1 % of frames are dark, saturated, frozen, corrupt or could not be registered. "
        "Look at the warnings of the session for which, and at the camera.",
    ),
    Column(
        "shift, largest (px)",
        _number("shift_most"),
        "{:.2f}",
        lambda px: px > MOST_SHIFT_PX,
        "The brain moved by more than 2 pixels. The frames were put back; the image's border is "
        "lost by as much. Look at the head fixation.",
    ),
    Column(
        "left after (px)",
        _number("shift_left"),
        "{:.3f}",
        lambda px: px > MOST_LEFT_PX,
        "Put back, frames still lie more than 0.1 pixel (root mean square) from the mean image: "
        "motion within a frame, rotation, or too few vessels to see it by. Add brain motion to "
        "the confounds of the study.",
    ),
    Column(
        "shift with behaviour (r)",
        _with_behavior,
        "{:.2f}",
        lambda r: abs(r) > MOST_WITH_BEHAVIOR,
        "The brain moves with what is decoded. What is left of motion could be read instead of "
        "cortex: analyse it as a confound ([[confounds]] in the study).",
    ),
    Column(
        "pixels kept",
        _number("kept_pixels"),
        "{:.0%}",
        lambda share: share < LEAST_KEPT,
        "Less than a fifth of the image is kept. Look at the mask and at the shift.",
    ),
    Column(
        "blood slope, median",
        _number("slope"),
        "{:.2f}",
        lambda slope: not 0 <= slope <= 5,
        "The reference is added instead of subtracted, or subtracted several times over. Are the "
        "wavelengths in the right order? Regression can do this where blood follows neurons: "
        "take the method heartbeat.",
    ),
    Column(
        "slopes outside 0 to 5",
        _number("odd_slopes"),
        "{:.0%}",
        lambda share: share > MOST_ODD,
        "In more than 5 % of pixels the slope of blood is not plausible. Look at the slope map.",
    ),
    Column(
        "r with reference before",
        _number("correlation_before"),
        "{:.2f}",
        lambda _: False,
        "",
    ),
    Column(
        "r with reference after",
        _number("correlation_after"),
        "{:.2f}",
        lambda r: abs(r) > MOST_WITH_REFERENCE,
        "What comes out still follows the reference channel, or its mirror image: too little or "
        "too much was taken out, or noise of single pixels was put in.",
    ),
    Column(
        "sustained running kept",
        _number("sustained_kept"),
        "{:.0%}",
        lambda share: share < LEAST_SUSTAINED,
        "Of the difference between running that lasts over 5 s and rest, less than half is left: "
        "a filter takes slow signals, neural ones too. Take a method without filters, or do not "
        "decode running from this.",
    ),
)


def write_quality(folder: Path) -> Path:
    """The page of what `corticode preprocess` wrote into a folder.

    Parameters
    ----------
    folder
        As `corticode.run.preprocess.preprocess_catalogue` made it.

    Returns
    -------
    Path
        ``quality.html`` in it: one file that needs no other.

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
    return path


def read_sessions(folder: Path) -> list[Session]:
    """What is kept of each session, in order of their names."""
    found = []
    for path in sorted((folder / "quality").glob("*.json")):
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
                state["numbers"],
                parts["image"],
                parts["course"],
                odd,
                state.get("state", ""),
            )
        )
    return found


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
    columns = [
        one for one in COLUMNS if any(one.value(session) is not None for session in sessions)
    ]
    rows: list[dict[str, Any]] = [
        {"name": one.name, "cells": [_cell(one, column) for column in columns]} for one in sessions
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
        headline=_headline(len(sessions), red),
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


def _headline(n_sessions: int, red: list[dict[str, Any]]) -> str:
    sessions = "1 session" if n_sessions == 1 else f"{n_sessions} sessions"
    if not red:
        return f"{sessions}: nothing is beyond a limit. Look at the pictures all the same."
    concerned = {name for one in red for name in one["sessions"]}
    return (
        f"{len(concerned)} of {sessions} {'is' if len(concerned) == 1 else 'are'} beyond a limit. "
        "What each red cell means, and what to do, stands below the table."
    )


def _cell(session: Session, column: Column) -> dict[str, Any]:
    value = column.value(session)
    if value is None or not np.isfinite(value):
        return {"shown": "", "is_bad": False}
    shown = column.shown.format(value)
    if not shown.strip("-0.%"):
        shown = shown.removeprefix("-")  # what rounds to nothing has no sign
    return {"shown": shown.replace("-", "−"), "is_bad": column.is_bad(value)}


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
                "address": data_address(draw_images(images)),
                "alt": f"{session.name}: " + ", ".join(title for title, _, _ in images),
                "caption": "Each image on its own scale. SD: over time, in percent dF/F. Blank: "
                "pixels that are not kept.",
            }
        )
    if session.courses:
        pictures.append(
            {
                "address": data_address(draw_courses(session)),
                "alt": f"{session.name}: shift and mean traces over time, and around onsets",
                "caption": "Means over all kept pixels, before (calcium, reference) and after "
                "blood is taken out. " + (f"Onsets of {session.state!r}." if session.state else ""),
            }
        )
    return pictures


def _shown_images(session: Session) -> list[tuple[str, NDArray[Any], str]]:
    wanted = (
        ("mean", "mean (counts)", "gray"),
        ("mask", "kept pixels", "gray"),
        ("before", "SD before blood", "viridis"),
        ("after", "SD after", "viridis"),
        ("slope", "slope of blood", "viridis"),
        ("correlation_after", "r with reference, after", "coolwarm"),
    )
    return [
        (title, session.images[name], colours)
        for name, title, colours in wanted
        if name in session.images
    ]


@styled
def draw_images(images: list[tuple[str, NDArray[Any], str]]) -> Figure:
    """Images beside each other, each with its scale.

    Parameters
    ----------
    images
        Title, (row, column) and colour map of each.

    Examples
    --------
    >>> len(draw_images([("mean", np.eye(4), "gray")]).axes)
    2
    """
    figure, axes = new_figure(PAGE_MM, 34, columns=len(images))
    for drawn, (title, image, colours) in zip(axes[0], images, strict=True):
        values = np.asarray(image, np.float64)
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
        if image.dtype == np.bool_:
            continue  # yes or no needs no scale
        bar = figure.colorbar(shown, ax=drawn, orientation="horizontal", pad=0.02, aspect=14)
        bar.ax.tick_params(labelsize=5)
        bar.ax.locator_params(nbins=3)
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
