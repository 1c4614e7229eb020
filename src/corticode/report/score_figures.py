"""Figures of scores: by split and animal, over a sweep, over days and run fraction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from corticode.evaluate.comparisons import check_columns
from corticode.report.canvas import (
    COLUMN_MM,
    GREY,
    PAGE_MM,
    Axes,
    Figure,
    colour_of,
    in_order,
    marker_of,
    new_figure,
    rows_by_animal,
    shortened,
    styled,
)

MOST_DRAWN = 16
METRIC_NAMES = {"auc": "AUC", "r2": "R²"}
CHANCE = {"auc": 0.5, "r2": 0.0}
# Chance is drawn where scores come so near to it; else it would press them into a corner.
NEAR_CHANCE = 0.2


@dataclass(frozen=True)
class Verdict:
    """What two tests say of two conditions, for the bracket above them.

    Parameters
    ----------
    condition_a, condition_b
        Which.
    as_published
        Words on the rank sum over splits, such as ``"splits: p = 0.003"``.
    over_animals
        Words on the interval over animals, such as ``"5 mice: +0.02 [-0.01, 0.05]"``.
    """

    condition_a: str
    condition_b: str
    as_published: str
    over_animals: str


@styled
def draw_points_by_split(
    scores: pd.DataFrame, metric: str = "auc", verdicts: Sequence[Verdict] = ()
) -> Figure:
    """Every split as a point in its test animal's colour; box, mean and SD; both verdicts.

    Parameters
    ----------
    scores
        One row a decoder: condition, test_animal, value. NaN is left out. The first 16
        conditions are drawn.
    metric
        ``"auc"`` or ``"r2"``: the axis and the line of chance.
    verdicts
        Brackets above pairs of conditions.

    Returns
    -------
    Figure
        Boxes hold the middle half of the splits, whiskers their ends; the bar beside is the mean
        +- SD over splits. The legend names the animals.

    Raises
    ------
    DataError
        A column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"condition": "gru", "test_animal": ["m1", "m2"], "value": [0.9, 0.8]})
    >>> len(draw_points_by_split(table).axes)
    1
    """
    check_columns(scores, ("condition", "test_animal", "value"), "scores by split")
    conditions = list(dict.fromkeys(scores["condition"]))[:MOST_DRAWN]
    animals = in_order(scores["test_animal"])
    longest = max((len(shortened(name)) for name in conditions), default=1)
    width = min(PAGE_MM, max(COLUMN_MM, 34 + 15 * len(conditions)))
    figure, axes = new_figure(width, 58 + 0.55 * longest + 8 * len(verdicts))
    drawn: Axes = axes[0, 0]
    for place, condition in enumerate(conditions):
        own = scores[scores["condition"] == condition].dropna(subset=["value"])
        _draw_box(drawn, place, own["value"].to_numpy(np.float64))
        for k, animal in enumerate(animals):
            values = own.loc[own["test_animal"] == animal, "value"].to_numpy()
            across = place - 0.12 + 0.24 * (k + 0.5) / len(animals) + np.zeros(values.size)
            drawn.plot(across, values, marker_of(k), color=colour_of(k), ms=3, mew=0, alpha=0.85)
    _draw_chance(drawn, metric, scores["value"].min())
    drawn.set_xticks(range(len(conditions)), [shortened(name) for name in conditions])
    drawn.tick_params(axis="x", labelrotation=35 if longest > 8 else 0, length=0)
    if longest > 8:
        for label in drawn.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    drawn.set_xlim(-0.6, len(conditions) - 0.4)
    drawn.set_ylabel(f"{METRIC_NAMES.get(metric, metric)} of each decoder on its test animal")
    _name_animals(drawn, animals)
    _draw_verdicts(drawn, conditions, scores["value"].max(), verdicts)
    return figure


@styled
def draw_sweep(
    scores: pd.DataFrame,
    along: str,
    metric: str = "auc",
    lines: Mapping[str, pd.Series] | None = None,
) -> Figure:
    """Scores of animals along a setting: window, shift or filter length, with reference lines.

    Parameters
    ----------
    scores
        Columns setting (a number, or text for one that is none), animal, value.
    along
        Name of the setting and its unit, for the axis.
    metric
        ``"auc"`` or ``"r2"``.
    lines
        Reference lines by name, each a series over the setting.

    Returns
    -------
    Figure
        One line an animal and their mean, black.

    Examples
    --------
    >>> table = pd.DataFrame({"setting": [0, 10], "animal": "m1", "value": [0.9, 0.8]})
    >>> draw_sweep(table, "shift (frames)").axes[0].get_xlabel()
    'shift (frames)'
    """
    check_columns(scores, ("setting", "animal", "value"), "scores along a setting")
    figure, axes = new_figure(COLUMN_MM, 60)
    drawn: Axes = axes[0, 0]
    settings = list(dict.fromkeys(scores["setting"]))
    numeric = all(isinstance(one, int | float | np.number) for one in settings)
    # Uneven steps (100, 300, 1000, ..., none) stand side by side, even ones to scale.
    place = (
        {one: one for one in sorted(settings)}
        if numeric
        else dict(zip(settings, range(len(settings)), strict=True))
    )
    for k, animal, own in rows_by_animal(scores):
        by_setting = own.groupby("setting", sort=False)["value"].mean().reindex(list(place))
        drawn.plot(
            list(place.values()),
            by_setting,
            marker=marker_of(k),
            color=colour_of(k),
            ms=2.5,
            lw=0.7,
            label=shortened(animal, 14),
        )
    by_animal = scores.groupby(["setting", "animal"])["value"].mean()
    mean = by_animal.groupby("setting").mean().reindex(list(place))
    drawn.plot(list(place.values()), mean, color="black", lw=1.6, label="mean of animals")
    for (name, line), dash in zip((lines or {}).items(), ("--", ":", "-."), strict=False):
        drawn.plot(line.index, line, color=GREY, ls=dash, label=name)
    _draw_chance(drawn, metric, scores["value"].min())
    drawn.set_xticks(list(place.values()), [f"{one}" for one in place])
    drawn.set(xlabel=along, ylabel=f"{METRIC_NAMES.get(metric, metric)} within sessions")
    drawn.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def draw_session_scores(sessions: pd.DataFrame, metric: str = "auc") -> Figure:
    """Scores of sessions against their share of class 1, and over days.

    Parameters
    ----------
    sessions
        One row a session: animal, day (its place among the animal's sessions), base_rate, value.

    Returns
    -------
    Figure
        Two panels that share the score's axis; one colour an animal.

    Examples
    --------
    >>> table = pd.DataFrame({"animal": "m1", "day": [1, 2], "base_rate": [0.4, 0.6],
    ...     "value": [0.9, 0.8]})
    >>> len(draw_session_scores(table).axes)
    2
    """
    check_columns(sessions, ("animal", "day", "base_rate", "value"), "scores by session")
    figure, axes = new_figure(PAGE_MM * 0.8, 58, columns=2, sharey=True)
    for k, animal, own in rows_by_animal(sessions):
        style: dict[str, Any] = {"marker": marker_of(k), "color": colour_of(k), "ms": 3, "mew": 0}
        axes[0, 0].plot(own["base_rate"], own["value"], ls="none", **style)
        ordered = own.sort_values("day")
        axes[0, 1].plot(
            ordered["day"], ordered["value"], lw=0.6, label=shortened(animal, 14), **style
        )
    for drawn in axes[0]:
        _draw_chance(drawn, metric, sessions["value"].min())
    axes[0, 0].set(
        xlabel="share of frames of class 1 (or the commonest)",
        ylabel=f"{METRIC_NAMES.get(metric, metric)} of the session",
        xlim=(0, 1),
    )
    axes[0, 1].set_xlabel("session of the animal, in order")
    axes[0, 1].xaxis.get_major_locator().set_params(integer=True)
    axes[0, 1].legend(loc="center left", bbox_to_anchor=(1, 0.5), title="animal")
    return figure


def _draw_box(
    drawn: Axes, place: int, values: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> None:
    """Box and whiskers, and beside them mean +- SD."""
    if values.size == 0:
        return
    thin = {"color": GREY, "lw": 0.6}
    drawn.boxplot(
        values,
        positions=[place],
        widths=0.42,
        whis=(0, 100),
        manage_ticks=False,
        medianprops={"color": "black", "lw": 0.8},
        boxprops=thin,
        whiskerprops=thin,
        capprops=thin,
    )
    sd = values.std(ddof=1) if values.size > 1 else 0.0
    drawn.errorbar(place + 0.34, values.mean(), sd, fmt="_", color="black", ms=5, lw=0.8)


def _name_animals(drawn: Axes, animals: Sequence[str]) -> None:
    for k, animal in enumerate(animals[:MOST_DRAWN]):
        drawn.plot([], [], marker_of(k), color=colour_of(k), ms=3, label=shortened(animal, 14))
    drawn.legend(title="test animal", loc="center left", bbox_to_anchor=(1, 0.5))


def _draw_verdicts(
    drawn: Axes, conditions: Sequence[str], highest: float, verdicts: Sequence[Verdict]
) -> None:
    """Brackets, the shortest lowest, each with its two verdicts."""
    shown = [one for one in verdicts if {one.condition_a, one.condition_b} <= set(conditions)]
    if not shown:
        return
    low, high = drawn.get_ylim()
    # The scores keep their scale, and no tick stands where no score can be.
    drawn.set_yticks([tick for tick in drawn.get_yticks() if low <= tick <= high])
    drawn.spines["left"].set_bounds(low, high)
    step = 0.2 * (high - low)
    level = max(highest, high) + 0.1 * step
    for one in shown:
        left, right = sorted(map(conditions.index, (one.condition_a, one.condition_b)))
        drawn.plot(
            [left, left, right, right],
            [level, level + 0.12 * step, level + 0.12 * step, level],
            color="black",
            lw=0.6,
        )
        words = f"{one.as_published}\n{one.over_animals}"
        drawn.text(
            (left + right) / 2, level + 0.18 * step, words, ha="center", va="bottom", fontsize=5.5
        )
        level += step
    drawn.set_ylim(low, level + 0.1 * step)


def _draw_chance(drawn: Axes, metric: str, lowest: float) -> None:
    chance = CHANCE.get(metric, 0.0)
    if not lowest > chance + NEAR_CHANCE:
        drawn.axhline(chance, color=GREY, lw=0.6, ls="--", zorder=0)
