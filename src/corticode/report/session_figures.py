"""Figures of sessions as recorded: how much each animal ran, and what its regions did meanwhile."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.errors import DataError
from corticode.evaluate.comparisons import check_columns
from corticode.report.canvas import (
    COLUMN_MM,
    GREY,
    PAGE_MM,
    Axes,
    Figure,
    colour_of,
    marker_of,
    new_figure,
    rows_by_animal,
    shortened,
    styled,
)

MOST_TRACES = 10
# Of a panel's height, so that neighbouring traces rarely meet.
STEP_SD = 5.0


@styled
def draw_class_shares(sessions: pd.DataFrame) -> Figure:
    """What share of the time each animal was in class 1: a point a session, a line their mean.

    Parameters
    ----------
    sessions
        One row a session: animal, base_rate (its share of frames of class 1).

    Examples
    --------
    >>> table = pd.DataFrame({"animal": ["m1", "m1", "m2"], "base_rate": [0.2, 0.4, 0.8]})
    >>> [text.get_text() for text in draw_class_shares(table).axes[0].get_xticklabels()]
    ['m1', 'm2']
    """
    check_columns(sessions, ("animal", "base_rate"), "sessions")
    n_animals = sessions["animal"].nunique()
    figure, axes = new_figure(min(PAGE_MM, max(COLUMN_MM * 0.8, 20 + 9 * n_animals)), 55)
    drawn: Axes = axes[0, 0]
    names = []
    for k, animal, own in rows_by_animal(sessions):
        shares = own["base_rate"].dropna().to_numpy()
        beside = k + 0.36 * (np.arange(shares.size) - (shares.size - 1) / 2) / max(shares.size, 1)
        drawn.plot(beside, shares, marker_of(k), color=colour_of(k), ms=3, mew=0, alpha=0.85)
        if shares.size:
            drawn.hlines(shares.mean(), k - 0.3, k + 0.3, color="black", lw=1.2)
        names.append(shortened(animal, 14))
    is_crowded = n_animals > 8 or max(map(len, names)) > 8
    drawn.set_xticks(range(n_animals), names, rotation=35 if is_crowded else 0)
    drawn.set(ylim=(0, 1), ylabel="share of class 1", xlabel="animal", xlim=(-0.6, n_animals - 0.4))
    return figure


@styled
def draw_region_traces(
    traces: NDArray[np.floating],
    names: Sequence[str],
    times_s: NDArray[np.floating],
    target: NDArray[np.floating] | None = None,
    *,
    unit: str = "s",
) -> Figure:
    """Traces of some regions below each other, each in SD of its own, over what the animal did.

    Parameters
    ----------
    traces
        Shape (frame, region); the first ten regions are drawn.
    names
        Of the regions.
    times_s
        Of the frames, shape (frame,).
    target
        1 where the time is shaded, shape (frame,); None: nothing is shaded.
    unit
        Of the times.

    Raises
    ------
    DataError
        The arrays differ in their number of frames or regions.

    Examples
    --------
    >>> figure = draw_region_traces(np.eye(4), ("a", "b", "c", "d"), np.arange(4), np.ones(4))
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['a', 'b', 'c', 'd']
    """
    n_targets = len(times_s) if target is None else len(target)
    if traces.shape != (len(times_s), len(names)) or n_targets != len(times_s):
        raise DataError(
            f"traces of shape {traces.shape}, {len(names)} names, {len(times_s)} times and "
            f"{n_targets} targets do not belong together; give one time and target a frame, and "
            "one name a region"
        )
    shown = traces[:, :MOST_TRACES]
    names = names[:MOST_TRACES]
    figure, axes = new_figure(PAGE_MM, 22 + 6.5 * len(names))
    drawn: Axes = axes[0, 0]
    sd = np.nanstd(shown, axis=0)
    scaled = (shown - np.nanmean(shown, axis=0)) / np.where(sd > 0, sd, 1.0)
    if target is not None:
        drawn.fill_between(
            times_s, 0, 1, where=target == 1, color="#e3e3e3", lw=0, step="mid",
            transform=drawn.get_xaxis_transform(), label="class 1",
        )  # fmt: skip
        drawn.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1)
    places = -STEP_SD * np.arange(len(names))
    drawn.plot(times_s, scaled + places, color=colour_of(0), lw=0.6)
    drawn.set_yticks(places, [shortened(name, 14) for name in names])
    drawn.tick_params(axis="y", length=0)
    # One bar of length says how large all of them are.
    right = times_s[-1] + 0.01 * (times_s[-1] - times_s[0])
    drawn.plot([right, right], [places[-1], places[-1] + 3], color=GREY, lw=1.5, clip_on=False)
    drawn.text(right, places[-1] + 1.5, " 3 SD", color=GREY, va="center", fontsize=6)
    drawn.set(
        xlabel=f"time in the session ({unit})", ylabel="region", xlim=(times_s[0], times_s[-1])
    )
    return figure
