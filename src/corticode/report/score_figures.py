"""Figures of scores and curves: by split, animal, sweep and day; ROC, learning, onsets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
import pandas as pd

from corticode.evaluate.comparisons import (
    AS_PUBLISHED,
    LEVEL,
    PAIRED_T,
    SIGN_FLIP,
    check_columns,
)
from corticode.evaluate.confounds import MEASURED, ROWS
from corticode.evaluate.detection import STEADY_S
from corticode.evaluate.nulls import COHORT
from corticode.report.canvas import (
    COLUMN_MM,
    GREY,
    PAGE_MM,
    SEQUENTIAL,
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
from corticode.report.values import SessionTrace, choose_stretch

MOST_DRAWN = 16
METRIC_NAMES = {"auc": "AUC", "r2": "R²", "mae": "mean absolute error"}
CHANCE = {"auc": 0.5, "r2": 0.0}
# Chance is drawn where scores come so near to it; else it would press them into a corner.
NEAR_CHANCE = 0.2
STRETCH_FRAMES = 1000  # 33 s at 30 Hz, as published
PARTS = {"train": "training animals", "valid": "validation animal", "test": "test animal"}
SMALLEST_SHOWN = 0.001
# Of the published figures: one star, since one level was published.
STAR = "*"
MOST_BRACKETS = 5
BRACKET_MM, ROW_MM = 3.2, 3.6
POINTS_PER_MM = 72 / 25.4
# In the order in which they are drawn, with their words below the axis.
CONFOUND_PLACES = {
    "confounds": "confounds\nalone",
    "within": "confounds,\nown animal",
    "cortex": "cortex",
    "stack": "both",
    "cleaned": "cortex,\nconfounds\nremoved",
    "strata": "cortex,\nin strata",
}


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
    _draw_splits(drawn, scores, conditions, animals)
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
def draw_confounds(table: pd.DataFrame, metric: str = "auc") -> Figure:
    """What confounds, cortex and both tell, and cortex without confounds: a dot an animal.

    Parameters
    ----------
    table
        Rows of one condition in ``confounds.csv``: confounds (a panel each, one below the other),
        input, animal, value, low, high. Of the animal ``"cohort"``: means with their interval.
    metric
        ``"auc"`` or ``"r2"``: the axis and the line of chance.

    Returns
    -------
    Figure
        Lines join an animal's dots; black: mean and 95 % interval over animals. Right of the rule
        stands cortex within strata of the confounds' score, a description that supports no claim.

    Raises
    ------
    DataError
        A column is missing.

    Examples
    --------
    >>> rows = [("measured", "cortex", animal, 0.8, 0.7, 0.9) for animal in ("cohort", "m1")]
    >>> heads = ["confounds", "input", "animal", "value", "low", "high"]
    >>> draw_confounds(pd.DataFrame(rows, columns=heads)).axes[0].get_title(loc="left")
    'measured confounds'
    """
    needed = ("confounds", "input", "animal", "value", "low", "high")
    check_columns(table, needed, "the confound analysis")
    blocks = list(dict.fromkeys(table["confounds"]))
    known = table.dropna(subset=["value"])
    names = [name for name in CONFOUND_PLACES if ROWS[name] in set(known["input"])]
    figure, axes = new_figure(
        34 + 14 * len(names), 6 + 52 * len(blocks), rows=len(blocks), sharey=True
    )
    for drawn, block in zip(axes[:, 0], blocks, strict=True):
        _draw_block(drawn, known[known["confounds"] == block], names)
        title = "measured confounds" if block == MEASURED else str(block)
        drawn.set_title(shortened(title, 40), loc="left")
        drawn.set_ylabel(f"{METRIC_NAMES.get(metric, metric)} of each animal")
        _draw_chance(drawn, metric, known["value"].min())
    animals = in_order(set(table["animal"]) - {COHORT})[:MOST_DRAWN]
    for k, animal in enumerate(animals):
        axes[0, 0].plot([], [], marker_of(k), color=colour_of(k), ms=3, label=shortened(animal, 14))
    axes[0, 0].legend(title="test animal", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _draw_block(drawn: Axes, table: pd.DataFrame, names: Sequence[str]) -> None:
    """The dots, lines, means and intervals of one block of confounds."""
    # Strata stand apart.
    place = {ROWS[name]: k + 0.6 * (name == "strata") for k, name in enumerate(names)}
    of_animals = table[(table["animal"] != COHORT) & table["input"].isin(place)]
    for k, _, own in rows_by_animal(of_animals):
        values = own.set_index("input")["value"].reindex(list(place)).to_numpy(np.float64)
        across = np.array([*place.values()]) - 0.12
        joined = [name != "strata" for name in names]
        drawn.plot(across[joined], values[joined], color=colour_of(k), lw=0.4, alpha=0.6)
        drawn.plot(across, values, marker_of(k), color=colour_of(k), ms=3, mew=0, alpha=0.85)
    means = table[(table["animal"] == COHORT) & table["input"].isin(place)]
    for which, *numbers in means[["input", "value", "low", "high"]].to_numpy().tolist():
        at, (mean, low, high) = place[which] + 0.16, map(float, numbers)
        drawn.plot(at, mean, "_", color="black", ms=6)
        drawn.vlines(at, low, high, color="black", lw=0.8)
    low, high = drawn.get_ylim()
    for name in names:
        if ROWS[name] not in set(of_animals["input"]):
            style: dict[str, Any] = {"rotation": 90, "color": GREY, "fontsize": 5.5}
            drawn.text(place[ROWS[name]], (low + high) / 2, "not done", ha="center", va="center",
                       **style)  # fmt: skip
    if "strata" in names:
        drawn.axvline(place[ROWS["strata"]] - 0.8, color=GREY, lw=0.4)
    drawn.set_xticks(list(place.values()), [CONFOUND_PLACES[name] for name in names])
    drawn.tick_params(axis="x", length=0, labelsize=5.5)
    drawn.set_xlim(-0.6, max(place.values(), default=0) + 0.6)


@styled
def draw_family(
    scores: pd.DataFrame,
    pairs: pd.DataFrame,
    labels: Mapping[str, str],
    metric: str = "auc",
    published: Mapping[str, tuple[float, float]] | None = None,
    along: str = "",
) -> Figure:
    """Pooled scores of splits with the published test, and beneath it the differences of animals.

    Parameters
    ----------
    scores
        One row a condition and split: condition, test_animal, value. NaN is left out.
    pairs
        As from `family_of`; without rows neither stars nor differences are drawn.
    labels
        Of the conditions, in the order in which they are drawn.
    metric
        ``"auc"``, ``"r2"`` or ``"mae"``.
    published
        Mean and SD of conditions as published; None: none.
    along
        What the labels are, for the axis.

    Returns
    -------
    Figure
        Above, boxes of the middle half of the splits with whiskers to their ends, a point a split
        in its test animal's colour, mean +- SD beside, and a star over pairs that the rank sum
        over splits tells apart (Holm). Below, a row a pair: the mean difference of the animals
        with its 95 % interval, filled where that leaves 0 out, and the exact sign-flip p.

    Raises
    ------
    DataError
        A column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"condition": ["a", "b"], "test_animal": "m1", "value": [0.9, 0.8]})
    >>> len(draw_family(table, pd.DataFrame(), {"a": "A", "b": "B"}).axes)
    1
    """
    check_columns(scores, ("condition", "test_animal", "value"), "scores by split")
    conditions = [name for name in labels if (scores["condition"] == name).any()]
    if not pairs.empty:
        among = pairs["condition_a"].isin(conditions) & pairs["condition_b"].isin(conditions)
        pairs = pairs[among].reset_index(drop=True)
    stars = _starred(pairs, conditions)
    n_levels = 1 + max((level for *_, level in stars), default=-1)
    above, below = 44 + BRACKET_MM * n_levels, 8 + ROW_MM * (len(pairs) + 2)
    heights = [above] if pairs.empty else [above, below]
    figure, axes = new_figure(
        PAGE_MM, sum(heights) + 10, len(heights), height_ratios=heights, gridspec_kw={"hspace": 0}
    )
    drawn: Axes = axes[0, 0]
    animals = in_order(scores["test_animal"])
    _draw_splits(drawn, scores, conditions, animals)
    for place, name in enumerate(conditions):
        if name in (published or {}):
            mean, sd = (published or {})[name]
            drawn.errorbar(place - 0.34, mean, sd, fmt="D", mfc="white", color=GREY, ms=3, lw=0.8)
    _draw_chance(drawn, metric, scores["value"].min())
    drawn.set_xticks(range(len(conditions)), [labels[name] for name in conditions])
    drawn.tick_params(axis="x", length=0)
    drawn.set_xlim(-0.6, len(conditions) - 0.4)
    drawn.set(xlabel=along, ylabel=f"{METRIC_NAMES.get(metric, metric)}, all windows of a split")
    _draw_stars(drawn, stars, above)
    if published:
        drawn.errorbar([], [], [], fmt="D", mfc="white", color=GREY, ms=3, label="published ± SD")
    drawn.errorbar([], [], [], fmt="_", color="black", label="this run ± SD")
    _name_animals(drawn, animals)
    if not pairs.empty:
        _draw_differences(axes[1, 0], pairs, labels, metric)
    return figure


def _starred(pairs: pd.DataFrame, conditions: Sequence[str]) -> list[tuple[int, int, int]]:
    """Pairs that the published test tells apart: two places and the height of their bracket.

    Where each condition is set against one alone, a star stands over that condition (both places
    are then its own).
    """
    if pairs.empty:
        return []
    told = pairs[pairs["p_splits"] < LEVEL]
    both = [
        sorted((conditions.index(row.condition_a), conditions.index(row.condition_b)))
        for row in told.itertuples()
    ]
    shared = set.intersection(*({row.condition_a, row.condition_b} for row in pairs.itertuples()))
    if len(shared) == 1 and len(pairs) > MOST_BRACKETS:
        other = conditions.index(shared.pop())
        return [(place, place, 0) for pair in both for place in pair if place != other]
    found: list[tuple[int, int, int]] = []
    for left, right in sorted(both, key=lambda pair: (pair[1] - pair[0], pair)):
        taken = {level for a, b, level in found if a < right and left < b}
        found.append((left, right, min(set(range(len(taken) + 1)) - taken)))
    return found


def _draw_stars(drawn: Axes, stars: Sequence[tuple[int, int, int]], height_mm: float) -> None:
    """Stars over the boxes, the scores' own scale kept below them."""
    if not stars:
        return
    low, high = drawn.get_ylim()
    n_levels = 1 + max(level for *_, level in stars)
    step = (high - low) * BRACKET_MM / (height_mm - BRACKET_MM * n_levels)
    drawn.set_yticks([tick for tick in drawn.get_yticks() if low <= tick <= high])
    drawn.spines["left"].set_bounds(low, high)
    for left, right, level in stars:
        at = high + step * (level + 0.25)
        if left != right:
            ends = [left + 0.06, left + 0.06, right - 0.06, right - 0.06]
            drawn.plot(ends, [at, at + 0.2 * step, at + 0.2 * step, at], color="black", lw=0.6)
        drawn.text((left + right) / 2, at - 0.1 * step, STAR, ha="center", va="bottom", fontsize=8)
    drawn.set_ylim(low, high + step * (n_levels + 0.4))


def _draw_differences(
    drawn: Axes, pairs: pd.DataFrame, labels: Mapping[str, str], metric: str
) -> None:
    """A row a pair: the animals' difference with its interval, and both tests in figures."""
    rows = np.arange(len(pairs))
    outside = ((pairs["low"] > 0) | (pairs["high"] < 0)).to_numpy()
    drawn.hlines(rows, pairs["low"], pairs["high"], color="black", lw=0.9)
    for is_outside, face in ((True, "black"), (False, "white")):
        chosen = outside == is_outside
        drawn.plot(
            pairs["effect"][chosen], rows[chosen], "o", color="black", mfc=face, ms=3.2, mew=0.8
        )
    drawn.axvline(0, color=GREY, lw=0.6, ls="--", zorder=0)
    named = pairs[["condition_a", "condition_b"]].map(lambda name: _in_a_line(labels[name]))
    drawn.set_yticks(rows, named["condition_a"] + " minus " + named["condition_b"], fontsize=5.5)
    drawn.tick_params(axis="y", length=0)
    drawn.set(ylim=(len(pairs) - 0.4, -2.2))
    drawn.locator_params(axis="x", nbins=4)
    drawn.spines["left"].set_visible(False)
    drawn.set_xlabel(
        f"difference in {METRIC_NAMES.get(metric, metric)} within sessions, paired by animal"
    )
    columns = (
        (3, "animals: difference\n[95 % interval]", _difference_words),
        (31, "sign-flip p\n(smallest)", _flip_words),
        (52, "same way", lambda row: str(row.same_direction)),
        (69, "as published: splits,\np (Holm)", _splits_words),
    )
    for across_mm, head, words_of in columns:
        cells = [words_of(row) for row in pairs.itertuples()]
        for row, words in zip((-1.2, *rows), (head, *cells), strict=True):
            drawn.annotate(
                words, (1, row), (across_mm * POINTS_PER_MM, 0), fontsize=5.5, va="center",
                xycoords=("axes fraction", "data"), textcoords="offset points",
                annotation_clip=False,
            )  # fmt: skip


def _in_a_line(label: str) -> str:
    return " ".join(label.split())


def _difference_words(row: Any) -> str:
    low, high = (round(end, 3) + 0.0 for end in (row.low, row.high))
    ends = "no interval" if isnan(row.low) else f"[{low:.3f}, {high:.3f}]"
    return f"{round(row.effect, 3) + 0.0:+.3f} {ends}".replace("-", "−")


def _flip_words(row: Any) -> str:
    return "none" if isnan(row.p_flip) else f"{row.p_flip:.3g} ({row.smallest_p:.3g})"


def _splits_words(row: Any) -> str:
    if isnan(row.p_splits):
        return "none"
    star = f" {STAR}" if row.p_splits < LEVEL else ""
    p = p_in_words(row.p_splits).removeprefix("p = ").removeprefix("p ")
    return f"{p}{star}{' †' if row.disagrees else ''}"


def family_of(comparisons: pd.DataFrame, name: str, metric: str = "auc") -> pd.DataFrame:
    """The pairs of one comparison, one row each, as `draw_family` takes them.

    Parameters
    ----------
    comparisons
        As in ``comparisons.csv``.
    name
        Of the comparison.
    metric
        Which score.

    Returns
    -------
    DataFrame
        condition_a, condition_b, n (animals), effect (a - b, mean over animals), low, high (95 %),
        same_direction, p_flip and smallest_p (exact sign-flip over animals), n_splits and p_splits
        (rank sum over splits, Holm), disagrees (the two verdicts). Empty without such pairs.

    Examples
    --------
    >>> from corticode.evaluate.comparisons import compare_pair, with_families
    >>> scores = pd.DataFrame({"condition": ["gru"] * 3 + ["rnn"] * 3, "metric": "auc",
    ...     "animal": ["m1", "m2", "m3"] * 2, "value": [0.9, 0.8, 0.95, 0.8, 0.75, 0.9]})
    >>> pairs = with_families(compare_pair(scores, "networks", ("gru", "rnn")))
    >>> family_of(pairs, "networks")[["condition_a", "condition_b", "n", "p_flip"]]
      condition_a condition_b  n  p_flip
    0         gru         rnn  3    0.25
    """
    if comparisons.empty:
        return pd.DataFrame()
    own = comparisons[(comparisons["comparison"] == name) & (comparisons["metric"] == metric)]
    rows = []
    for (a, b), pair in own.groupby(["condition_a", "condition_b"], sort=False):
        by_method = pair.drop_duplicates("method").set_index("method")
        if PAIRED_T not in by_method.index:
            continue
        primary, blank = by_method.loc[PAIRED_T], pd.Series(dtype=float)
        flips, splits = (
            by_method.loc[method] if method in by_method.index else blank
            for method in (SIGN_FLIP, AS_PUBLISHED)
        )
        rows.append(
            {
                "condition_a": a,
                "condition_b": b,
                **primary[["n", "effect", "low", "high", "same_direction"]],
                "p_flip": flips.get("p", np.nan),
                "smallest_p": flips.get("smallest_p", np.nan),
                "n_splits": splits.get("n", np.nan),
                "p_splits": splits.get("p_holm", np.nan),
                "disagrees": bool(primary["disagrees"]),
            }
        )
    return pd.DataFrame(rows)


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
def draw_lag_matrix(means: pd.DataFrame) -> Figure:
    """Scores of decoders trained at one lag (rows) and tested at another (columns).

    Parameters
    ----------
    means
        One row a pair of lags, as in ``cross_temporal.csv``: trained_frames, tested_frames,
        trained_s, tested_s, metric, value.

    Returns
    -------
    Figure
        A matrix, the earliest lag below on the left. The colours of AUC begin at chance.

    Examples
    --------
    >>> table = pd.DataFrame({"trained_frames": [0, 0, 9, 9], "tested_frames": [0, 9, 0, 9],
    ...     "trained_s": [0, 0, 0.3, 0.3], "tested_s": [0, 0.3, 0, 0.3], "metric": "auc",
    ...     "value": [0.9, 0.6, 0.6, 0.8]})
    >>> draw_lag_matrix(table).axes[0].get_xlabel()
    'lag tested (s)'
    """
    lags = [f"{role}_{unit}" for unit in ("frames", "s") for role in ("trained", "tested")]
    check_columns(means, (*lags, "metric", "value"), "scores across lags")
    matrix = means.pivot(index="trained_frames", columns="tested_frames", values="value")
    unit = "frames" if means["trained_s"].isna().any() else "s"
    by_frame = dict(zip(means["trained_frames"], means[f"trained_{unit}"], strict=True))
    metric = str(means["metric"].iloc[0])
    figure, axes = new_figure(COLUMN_MM, 70)
    drawn: Axes = axes[0, 0]
    image = drawn.imshow(
        matrix.to_numpy(float),
        origin="lower",
        cmap=SEQUENTIAL,
        # Below chance or 0 there is nothing to see.
        vmin=0.0 if metric == "r2" else 0.5,
        interpolation="nearest",
    )
    every = -(-len(matrix) // 7)
    ticks = list(range(0, len(matrix), every))
    named = [f"{by_frame[matrix.index[k]]:+.2g}" for k in ticks]
    drawn.set_xticks(ticks, named)
    drawn.set_yticks(ticks, named)
    drawn.set(xlabel=f"lag tested ({unit})", ylabel=f"lag trained ({unit})")
    bar = figure.colorbar(image, ax=drawn, shrink=0.8, pad=0.02)
    bar.set_label(f"{METRIC_NAMES.get(metric, metric)} within sessions")
    bar.outline.set_visible(False)
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


def _draw_splits(
    drawn: Axes, scores: pd.DataFrame, conditions: Sequence[str], animals: Sequence[str]
) -> None:
    """A box and the points of each condition, in the colours of the tested animals."""
    for place, condition in enumerate(conditions):
        own = scores[scores["condition"] == condition].dropna(subset=["value"])
        _draw_box(drawn, place, own["value"].to_numpy(np.float64))
        for k, animal in enumerate(animals):
            values = own.loc[own["test_animal"] == animal, "value"].to_numpy()
            across = place - 0.12 + 0.24 * (k + 0.5) / len(animals) + np.zeros(values.size)
            drawn.plot(across, values, marker_of(k), color=colour_of(k), ms=3, mew=0, alpha=0.85)


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


@styled
def draw_roc(curves: pd.DataFrame) -> Figure:
    """ROC curves of training, validation and test windows, one line a decoder.

    Parameters
    ----------
    curves
        Columns part (``"train"``, ``"valid"``, ``"test"``), decoder, animal (whose colour the
        line has), false_share, true_share, auc.

    Returns
    -------
    Figure
        A panel for each part that is there; its title gives the mean AUC +- SD over decoders.

    Examples
    --------
    >>> table = pd.DataFrame({"part": "test", "decoder": "a", "animal": "m1", "auc": 1.0,
    ...     "false_share": [0, 0, 1], "true_share": [0, 1, 1]})
    >>> len(draw_roc(table).axes)
    1
    """
    needed = ("part", "decoder", "animal", "false_share", "true_share", "auc")
    check_columns(curves, needed, "ROC curves")
    parts = [name for name in PARTS if (curves["part"] == name).any()] or ["test"]
    figure, axes = new_figure(20 + 48 * len(parts), 60, columns=len(parts), sharey=True)
    animals = {name: k for k, name in enumerate(in_order(curves["animal"]))}
    for drawn, part in zip(axes[0], parts, strict=True):
        own = curves[curves["part"] == part]
        for _, line in own.groupby("decoder", sort=False):
            colour = colour_of(animals[line["animal"].iloc[0]])
            drawn.plot(line["false_share"], line["true_share"], color=colour, lw=0.7, alpha=0.8)
        drawn.plot([0, 1], [0, 1], color=GREY, lw=0.6, ls="--")
        aucs = own.groupby("decoder")["auc"].first()
        spread = f" ± {aucs.std():.3f}" if aucs.size > 1 else ""
        drawn.set_title(f"{PARTS[part]}\nAUC {aucs.mean():.3f}{spread}")
        drawn.set(xlabel="false alarms (share of class 0)", aspect="equal", xlim=(0, 1))
    axes[0, 0].set(ylabel="hits (share of class 1)", ylim=(0, 1.01))
    for name, k in animals.items():
        axes[0, -1].plot([], [], color=colour_of(k), label=shortened(name, 14))
    axes[0, -1].legend(title="test animal", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def draw_learning_curves(history: pd.DataFrame) -> Figure:
    """Loss on training and validation windows as training goes on, one line a decoder.

    Parameters
    ----------
    history
        Columns decoder, epoch, train_loss, valid_loss, is_best (the epoch that was kept). Where
        train_accuracy and valid_accuracy are there too, they are drawn below; a column condition
        has a row of panels for each.

    Examples
    --------
    >>> table = pd.DataFrame({"decoder": "a", "epoch": [1, 2], "train_loss": [0.6, 0.5],
    ...     "valid_loss": [0.7, 0.6], "is_best": [False, True]})
    >>> len(draw_learning_curves(table).axes)
    2
    """
    needed = ("decoder", "epoch", "train_loss", "valid_loss", "is_best")
    check_columns(history, needed, "histories")
    conditions = history["condition"].unique() if "condition" in history else [""]
    measures = [
        measure
        for measure in ("loss", "accuracy")
        if f"train_{measure}" in history and history[f"valid_{measure}"].notna().any()
    ]
    lines = [(condition, measure) for condition in conditions for measure in measures]
    n = len(lines)
    figure, axes = new_figure(PAGE_MM * 0.75, 10 + 45 * n, rows=n, columns=2, sharey="row")
    for row, (condition, measure) in zip(axes, lines, strict=True):
        own = history[history["condition"] == condition] if condition else history
        _draw_learning(row, own, measure)
        row[0].set_ylabel(f"{measure} (black: mean of decoders)")
        if condition:
            row[0].set_title(f"{shortened(condition)}: training windows")
    return figure


def _draw_learning(row: Sequence[Axes], history: pd.DataFrame, measure: str) -> None:
    """One measure of training and of validation windows over epochs."""
    columns = (f"train_{measure}", "training windows"), (f"valid_{measure}", "validation windows")
    for drawn, (column, title) in zip(row, columns, strict=True):
        for _, line in history.groupby("decoder", sort=False):
            # A single epoch is no line.
            mark = "o" if len(line) == 1 else ""
            drawn.plot(
                line["epoch"], line[column], marker=mark, color=colour_of(0), ms=2, lw=0.6,
                alpha=0.5,
            )  # fmt: skip
        mean = history.groupby("epoch")[column].mean()
        drawn.plot(mean.index, mean, color="black", lw=1.5)
        drawn.set(title=title, xlabel="epoch", xlim=(0.5, history["epoch"].max() + 0.5))
        drawn.locator_params(axis="x", integer=True)
    best = history[history["is_best"]]
    row[1].plot(
        best["epoch"], best[columns[1][0]], "o", color=colour_of(1), ms=3, label="kept", zorder=3
    )
    row[1].legend()


@styled
def draw_reliability(table: pd.DataFrame) -> Figure:
    """How often it was 1 where a probability was said, one line an animal.

    Parameters
    ----------
    table
        Columns animal, score, share, n_windows, as from `corticode.evaluate.metrics.reliability`.

    Returns
    -------
    Figure
        Markers grow with the windows behind them; on the dashed line words are kept.

    Examples
    --------
    >>> table = pd.DataFrame({"animal": "m1", "score": [0.1, 0.9], "share": [0, 1],
    ...     "n_windows": [5, 5]})
    >>> draw_reliability(table).axes[0].get_xlabel()
    'probability said'
    """
    check_columns(table, ("animal", "score", "share", "n_windows"), "reliabilities")
    figure, axes = new_figure(COLUMN_MM, 62)
    drawn: Axes = axes[0, 0]
    for k, animal, own in rows_by_animal(table):
        drawn.plot(own["score"], own["share"], color=colour_of(k), lw=0.8)
        sizes = 3 + 40 * own["n_windows"] / max(table["n_windows"].max(), 1)
        drawn.scatter(
            own["score"],
            own["share"],
            s=sizes,
            color=colour_of(k),
            marker=marker_of(k),
            lw=0,
            label=shortened(animal, 14),
        )
    drawn.plot([0, 1], [0, 1], color=GREY, lw=0.6, ls="--", zorder=0)
    drawn.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    drawn.set(xlabel="probability said", ylabel="share that was class 1")
    legend = drawn.legend(title="test animal", loc="center left", bbox_to_anchor=(1, 0.5))
    for handle in legend.legend_handles:
        handle.set_sizes([14])  # type: ignore[union-attr]
    return figure


@styled
def draw_onset(table: pd.DataFrame, look_ahead_s: float | None = None) -> Figure:
    """How well frames around the onset of class 1 are told from class 0.

    Parameters
    ----------
    table
        Columns animal, lag_s, auc: means over an animal's sessions.
    look_ahead_s
        What of the future the decoder sees; above 0 the figure says so, since it may then tell an
        onset before it comes.

    Examples
    --------
    >>> table = pd.DataFrame({"animal": "m1", "lag_s": [-1, 0, 1], "auc": [0.5, 0.7, 0.9]})
    >>> print(draw_onset(table, 0.5).axes[0].get_title())
    the decoder sees 0.5 s ahead:
    it may tell an onset early
    """
    check_columns(table, ("animal", "lag_s", "auc"), "AUCs around the onset")
    figure, axes = new_figure(COLUMN_MM, 58)
    drawn: Axes = axes[0, 0]
    for k, animal, own in rows_by_animal(table):
        drawn.plot(
            own["lag_s"], own["auc"], color=colour_of(k), label=shortened(animal, 14), lw=0.8
        )
    mean = table.groupby("lag_s")["auc"].mean()
    drawn.plot(mean.index, mean, color="black", lw=1.6, label="mean of animals")
    drawn.axvline(0, color=GREY, lw=0.6)
    drawn.axhline(0.5, color=GREY, lw=0.6, ls="--")
    if look_ahead_s is not None and look_ahead_s > 0:
        ahead = "the whole session" if np.isinf(look_ahead_s) else f"{look_ahead_s:.2g} s ahead"
        drawn.set_title(f"the decoder sees {ahead}:\nit may tell an onset early")
    drawn.set(xlabel="time from the onset of class 1 (s)", ylabel="AUC against steady class 0")
    drawn.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def draw_detection(table: pd.DataFrame) -> Figure:
    """False alarms, onsets detected and latency, one dot an animal.

    Parameters
    ----------
    table
        Rows of `corticode.evaluate.detection.detect_by_animal`, one an animal.

    Examples
    --------
    >>> table = pd.DataFrame({"animal": ["m1"], "false_alarms_per_min": [0.0],
    ...     "upper_limit_per_min": [0.6], "detected": [0.9], "detected_by_chance": [0.2],
    ...     "median_latency_s": [np.inf]})
    >>> [axes.get_ylabel().partition(" (")[0] for axes in draw_detection(table).axes]
    ['false alarms a minute of rest', 'onsets detected within 2 s', 'median latency']
    """
    columns = ("false_alarms_per_min", "detected", "median_latency_s")
    check_columns(table, ("animal", *columns), "rows of detection")
    figure, axes = new_figure(PAGE_MM, 58, 1, 3)
    labels = ("false alarms a minute of rest", "onsets detected within 2 s", "median latency (s)")
    animals = [str(one) for one in table["animal"]]
    for drawn, column, label in zip(axes[0], columns, labels, strict=True):
        for k, (_, row) in enumerate(table.iterrows()):
            value, marker = float(row[column]), marker_of(k)
            limit = column == columns[0] and not isnan(row["upper_limit_per_min"])
            if limit or np.isinf(value):
                # An upper limit points down, what is later than can be seen points up.
                value = float(row["upper_limit_per_min"]) if limit else STEADY_S
                marker = "v" if limit else "^"
            open_face = {"mfc": "none", "mew": 1.0} if limit or marker == "^" else {"mew": 0}
            drawn.plot(k, value, marker, color=colour_of(k), ms=5, **open_face)
            if column == "detected":
                drawn.plot(k, row["detected_by_chance"], "x", color=GREY, ms=4, mew=0.8)
        drawn.set_xticks(range(len(animals)), [shortened(name, 10) for name in animals])
        drawn.tick_params(axis="x", labelrotation=35 if len(animals) > 5 else 0, length=0)
        drawn.set_xlim(-0.6, len(animals) - 0.4)
        drawn.set_ylabel(label)
    axes[0, 0].set_ylim(bottom=0)
    axes[0, 1].set_ylim(-0.03, 1.03)
    axes[0, 2].set_ylim(-0.05, STEADY_S + 0.15)
    return figure


@styled
def draw_trial_time(table: pd.DataFrame) -> Figure:
    """Scores of trials at one lag after another from their event: animals, mean and interval.

    Parameters
    ----------
    table
        Of one condition: animal (``"cohort"``: all of them), lag_s (or, without a frame rate,
        lag_frames), metric, value, low, high, and how far a window reaches: first_s, last_s.

    Returns
    -------
    Figure
        Thin lines: animals; thick: their mean; the band is its 95 % interval at each lag.

    Examples
    --------
    >>> rows = pd.DataFrame({"animal": ["m1", "cohort"] * 2, "lag_s": [0, 0, 1, 1],
    ...     "lag_frames": [0, 0, 10, 10], "metric": "auc", "value": [0.5, 0.5, 0.9, 0.9],
    ...     "low": np.nan, "high": np.nan, "first_s": 0, "last_s": 0})
    >>> draw_trial_time(rows).axes[0].get_xlabel()
    'lag of the window from the event (s)'
    """
    needed = ("animal", "lag_s", "lag_frames", "metric", "value", "low", "high")
    check_columns(table, needed, "scores over time from the event")
    metric, unit = str(table["metric"].iloc[0]), "s"
    along = "lag_s"
    if table["lag_s"].isna().any():
        along, unit = "lag_frames", "frames"
    figure, axes = new_figure(COLUMN_MM * 1.3, 60)
    drawn: Axes = axes[0, 0]
    animals = table[table["animal"] != COHORT]
    for k, animal, own in rows_by_animal(animals):
        ordered = own.sort_values(along)
        drawn.plot(
            ordered[along],
            ordered["value"],
            color=colour_of(k),
            marker=marker_of(k),
            ms=2,
            lw=0.6,
            alpha=0.8,
            label=shortened(animal, 14),
        )
    together = table[table["animal"] == COHORT].sort_values(along)
    drawn.fill_between(
        together[along], together["low"], together["high"], color=GREY, alpha=0.25, lw=0,
        label="95 % interval",
    )  # fmt: skip
    drawn.plot(together[along], together["value"], color="black", lw=1.6, label="mean of animals")
    drawn.axhline(CHANCE.get(metric, 0.0), color=GREY, lw=0.6, ls="--", label="chance")
    drawn.axvline(0, color=GREY, lw=0.6)
    drawn.set(
        xlabel=f"lag of the window from the event ({unit})",
        ylabel=f"{METRIC_NAMES.get(metric, metric)} within sessions",
    )
    drawn.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def draw_session_traces(traces: Sequence[SessionTrace], titles: Sequence[str]) -> Figure:
    """What was said over what was (and the speed), a stretch of each session chosen by rule.

    Parameters
    ----------
    traces
        Sessions, from top to bottom.
    titles
        One each: why it was chosen.

    Examples
    --------
    >>> half = np.repeat([0, 1], 50).astype(np.float32)
    >>> trace = SessionTrace("gru", "m1", "a", 0, half, half, frame_rate_hz=30.0)
    >>> len(draw_session_traces([trace], ["median"]).axes)
    1
    """
    figure, axes = new_figure(PAGE_MM, 14 + 38 * len(traces), rows=len(traces))
    for drawn, trace, title in zip(axes[:, 0], traces, titles, strict=True):
        _draw_stretch(drawn, trace, choose_stretch(trace, STRETCH_FRAMES))
        drawn.set_title(
            f"{title}: animal {shortened(trace.animal)}, session {shortened(trace.session, 40)}",
            loc="left",
        )
    first = traces[0]
    what = "trial of the session" if first.of_trials else f"time in the session ({first.unit})"
    axes[-1, 0].set_xlabel(what)
    return figure


def _draw_stretch(drawn: Axes, trace: SessionTrace, stretch: slice) -> None:
    times, target = trace.times_s[stretch], trace.target[stretch]
    if trace.kind == "value":
        drawn.plot(times, target, color=GREY, lw=0.8, label="what was")
        drawn.plot(times, trace.score[stretch], color=colour_of(0), label="decoded")
        drawn.set_ylabel("value")
    elif trace.of_trials:
        is_one = np.nan_to_num(target) == 1
        drawn.bar(times[is_one], 1.0, width=1.0, color="#d9d9d9", lw=0, label="class 1")
        drawn.plot(
            times, trace.score[stretch], "o", color=colour_of(0), ms=2.5, label="probability"
        )
        drawn.axhline(0.5, color=GREY, lw=0.5, ls=":")
        drawn.set(ylim=(0, 1.02), ylabel="probability")
    else:
        is_one = np.nan_to_num(target) == 1
        drawn.fill_between(
            times, 0, 1, where=is_one, color="#d9d9d9", lw=0, step="mid", label="class 1"
        )
        drawn.plot(times, trace.score[stretch], color=colour_of(0), label="probability said")
        drawn.axhline(0.5, color=GREY, lw=0.5, ls=":")
        drawn.set(ylim=(0, 1.02), ylabel="probability")
    if trace.speed is not None:
        beside = drawn.twinx()
        beside.plot(times, trace.speed[stretch], color=colour_of(1), lw=0.7)
        beside.set_ylabel("speed", color=colour_of(1))
        beside.spines["right"].set_visible(True)
    if times.size:
        half = 0.5 if trace.of_trials else 0.0
        drawn.set_xlim(times[0] - half, times[-1] + half)
    drawn.legend(loc="lower left", bbox_to_anchor=(0.55, 1.0), ncols=2, borderaxespad=0.1)


def verdicts_of(comparisons: pd.DataFrame, name: str | None = None) -> list[Verdict]:
    """What is written above pairs of conditions in a figure.

    Parameters
    ----------
    comparisons
        As from `corticode.evaluate.comparisons.with_families`.
    name
        Of one comparison (a figure); None: all.

    Returns
    -------
    list of Verdict
        One a pair. Pairs without splits have no words on them.

    Examples
    --------
    >>> from corticode.evaluate.comparisons import compare_pair, with_families
    >>> scores = pd.DataFrame({"condition": ["gru"] * 3 + ["rnn"] * 3, "metric": "auc",
    ...     "animal": ["m1", "m2", "m3"] * 2, "value": [0.9, 0.8, 0.95, 0.8, 0.75, 0.9]})
    >>> pairs = with_families(compare_pair(scores, "networks", ("gru", "rnn")))
    >>> verdicts_of(pairs)[0].over_animals
    '3 animals: +0.067 [-0.005, 0.138]'
    """
    own = comparisons if name is None else comparisons[comparisons["comparison"] == name]
    found = []
    for (_, a, b), rows in own.groupby(["comparison", "condition_a", "condition_b"], sort=False):
        published = rows[rows["method"] == AS_PUBLISHED]
        primary = rows[rows["method"] == PAIRED_T]
        words = ""
        if not published.empty:
            row = published.iloc[0]
            words = f"{int(row['n'])} splits, as published: {p_in_words(row['p_holm'])}"
        animals = ""
        if not primary.empty:
            row = primary.iloc[0]
            ends = "" if isnan(row["low"]) else f" [{row['low']:.3f}, {row['high']:.3f}]"
            animals = f"{int(row['n'])} animals: {round(row['effect'], 3) + 0.0:+.3f}{ends}"
        found.append(Verdict(str(a), str(b), words, animals))
    return found


def p_in_words(p: float) -> str:
    """A p-value as it is written.

    Examples
    --------
    >>> p_in_words(0.0123), p_in_words(1e-9), p_in_words(float("nan"))
    ('p = 0.012', 'p < 0.001', 'no p')
    """
    if isnan(p):
        return "no p"
    return f"p < {SMALLEST_SHOWN:g}" if p < SMALLEST_SHOWN else f"p = {p:.3f}"
