"""Figures of maps over regions: over frames, as shares, by group, beside correlations."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from corticode.errors import DataError
from corticode.evaluate.comparisons import check_columns
from corticode.explain.importance_map import ImportanceMap
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
    shortened,
    styled,
)
from corticode.report.region_outlines import RegionOutlines

MOST_LABELS = 60
UNGROUPED, UNGROUPED_COLOUR = ("", "none"), "#bdbdbd"


@styled
def draw_heat_map(found: ImportanceMap) -> Figure:
    """Mean |contribution| by region and frame of the window.

    Parameters
    ----------
    found
        A map over frames and regions.

    Raises
    ------
    DataError
        It is over something else.

    Examples
    --------
    >>> found = ImportanceMap("deep-shap", "share", ("frame", "region"), np.eye(3) / 3,
    ...     names=("a", "b", "c"), frames=(-1, 0, 1), frame_rate_hz=30.0)
    >>> draw_heat_map(found).axes[0].get_xlabel()
    'time from the decoded frame (s)'
    """
    if found.axes != ("frame", "region"):
        raise DataError(
            f"a map over {', '.join(found.axes)} is no heat map of regions over frames; draw one "
            "over ('frame', 'region')"
        )
    figure, axes = new_figure(COLUMN_MM, min(150, 24 + 2.3 * len(found.names)))
    drawn: Axes = axes[0, 0]
    rate = found.frame_rate_hz or 1.0
    half = 0.5 / rate
    extent = (found.frames[0] / rate - half, found.frames[-1] / rate + half)
    image = drawn.imshow(
        found.absolute.T,
        aspect="auto",
        cmap=SEQUENTIAL,
        vmin=0,
        interpolation="nearest",
        extent=(*extent, len(found.names) - 0.5, -0.5),
    )
    _label_regions(drawn.set_yticks, found.names)
    drawn.tick_params(axis="y", labelsize=4.5 if len(found.names) > 25 else 6.5, length=0)
    unit = "s" if found.frame_rate_hz else "frames"
    drawn.set(xlabel=f"time from the decoded frame ({unit})", ylabel="region")
    drawn.axvline(0, color="white", lw=0.5, ls=":")
    bar = figure.colorbar(image, ax=drawn, shrink=0.5, pad=0.02)
    bar.set_label(f"mean |contribution| ({found.unit})")
    bar.outline.set_visible(False)
    return figure


@styled
def draw_region_bars(
    shares: pd.DataFrame,
    control: pd.DataFrame | None = None,
    groups: Mapping[str, str] | None = None,
    control_name: str = "permuted labels",
) -> Figure:
    """What share of a map each region holds, beside that in decoders that learnt nothing.

    Parameters
    ----------
    shares
        One row an animal and region: animal, region, share.
    control
        The same of the control; None: there is none.
    groups
        Group of each region, which colours its bar; None: one colour.
    control_name
        What the control is, for the legend.

    Returns
    -------
    Figure
        Bars are means over animals, points the animals; the control's mean is a black line, the
        range of its animals grey. The dotted line is an even share.

    Examples
    --------
    >>> table = pd.DataFrame({"animal": "m1", "region": ["a", "b"], "share": [0.75, 0.25]})
    >>> len(draw_region_bars(table).axes)
    1
    """
    check_columns(shares, ("animal", "region", "share"), "shares")
    regions = list(dict.fromkeys(shares["region"]))
    by_animal = shares.groupby(["region", "animal"], sort=False)["share"].mean()
    mean = by_animal.groupby("region").mean().reindex(regions)
    named = list(dict.fromkeys((groups or {}).values()))
    colours = [
        group_colour(named, groups[one]) if groups and one in groups else colour_of(0)
        for one in regions
    ]
    figure, axes = new_figure(PAGE_MM if len(regions) > 16 else COLUMN_MM, 62)
    drawn: Axes = axes[0, 0]
    places = np.arange(len(regions))
    drawn.bar(places, mean, color=colours, width=0.72, alpha=0.75)
    for place, region in enumerate(regions):
        values = by_animal[region].to_numpy()
        drawn.plot(np.full(values.size, place), values, ".", color="black", ms=2, mew=0)
    if control is not None and not control.empty:
        _draw_control(drawn, regions, control, control_name)
    drawn.axhline(1 / len(regions), color=GREY, lw=0.6, ls=":", label="even share")
    for name in named:
        colour = group_colour(named, name)
        drawn.bar([0], [0], color=colour, alpha=0.75, label=_group_words(name))
    _label_regions(drawn.set_xticks, regions)
    drawn.tick_params(axis="x", labelsize=5, length=0, labelrotation=90)
    drawn.set(xlabel="region", ylabel="share of the map (dots: animals)", xlim=(-0.7, None))
    drawn.set_xlim(-0.7, len(regions) - 0.3)
    drawn.legend(loc="upper left", ncols=4, bbox_to_anchor=(0, 1.22), borderaxespad=0)
    return figure


@styled
def draw_group_layout(
    regions: pd.DataFrame,
    values: Mapping[str, float] | None = None,
    unit: str = "AUC",
    outlines: RegionOutlines | None = None,
) -> Figure:
    """Where regions lie and which group each is of; with values, how well each group does.

    Parameters
    ----------
    regions
        One row a region: name, group, row, column (its centre in pixels).
    values
        A number a group; None: the layout alone.
    unit
        Of the values.
    outlines
        Of the regions, filled in the colour of their group; None: a mark at each centre.

    Examples
    --------
    >>> table = pd.DataFrame({"name": ["a", "b"], "group": ["M", "V"], "row": [5, 90],
    ...     "column": [30, 60]})
    >>> len(draw_group_layout(table, {"M": 0.8, "V": 0.9}).axes)
    2
    """
    check_columns(regions, ("name", "group", "row", "column"), "regions")
    columns = 1 if values is None else 2
    figure, axes = new_figure(18 + 60 * columns, 62, columns=columns)
    drawn: Axes = axes[0, 0]
    groups = list(dict.fromkeys(regions["group"]))
    for k, group in enumerate(groups):
        own = regions[regions["group"] == group]
        colour = group_colour(groups, group)
        if outlines is None:
            drawn.scatter(
                own["column"], own["row"], color=colour, marker=marker_of(k), s=42, lw=0,
                label=_group_words(group),
            )  # fmt: skip
        else:
            drawn.fill([], [], color=colour, label=_group_words(group))
        ink = "white" if colour in (colour_of(0), colour_of(6)) else "black"
        for name, *centre in own[["name", "row", "column"]].itertuples(index=False):
            lines = () if outlines is None else outlines.lines.get(str(name), ())
            for line in lines:
                drawn.fill(line[:, 1], line[:, 0], facecolor=colour, edgecolor="white", lw=0.3)
            row, column = lines[0].mean(axis=0) if lines else centre
            drawn.text(
                column, row, shortened(name, 6), ha="center", va="center", fontsize=4.5, color=ink
            )
    drawn.set(aspect="equal", xticks=[], yticks=[])
    drawn.invert_yaxis()
    drawn.set_frame_on(False)
    for x, words in ((0.25, "left"), (0.75, "right")):
        drawn.text(x, 1.02, words, ha="center", transform=drawn.transAxes)
    drawn.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, handletextpad=0.2)
    if values is not None:
        named = [group for group in groups if group in values]
        beside: Axes = axes[0, 1]
        beside.bar(
            range(len(named)),
            [values[one] for one in named],
            color=[group_colour(groups, one) for one in named],
            alpha=0.8,
        )
        beside.set_xticks(range(len(named)), [shortened(one, 12) for one in named], rotation=35)
        beside.set(ylabel=unit)
    return figure


@styled
def draw_correlations(table: pd.DataFrame) -> Figure:
    """How each region's trace goes with behaviour: mean over sessions of each animal.

    Parameters
    ----------
    table
        One row a session and region: animal, session, region, pearson_r.

    Examples
    --------
    >>> table = pd.DataFrame({"animal": "m1", "session": "s", "region": ["a", "b"],
    ...     "pearson_r": [0.3, 0.1]})
    >>> len(draw_correlations(table).axes)
    1
    """
    check_columns(table, ("animal", "session", "region", "pearson_r"), "correlations")
    regions = list(dict.fromkeys(table["region"]))
    figure, axes = new_figure(PAGE_MM if len(regions) > 16 else COLUMN_MM, 58)
    drawn: Axes = axes[0, 0]
    by_animal = table.groupby(["animal", "region"], sort=False)["pearson_r"].mean().unstack()
    places = np.arange(len(regions))
    drawn.bar(places, by_animal.mean().reindex(regions), color="#c8c8c8", width=0.72)
    for k, animal in enumerate(in_order(by_animal.index)):
        drawn.plot(
            places + 0.1 * (k - (len(by_animal) - 1) / 2),
            by_animal.loc[animal].reindex(regions),
            marker_of(k),
            color=colour_of(k),
            ms=2.2,
            mew=0,
            label=shortened(animal, 14),
        )
    drawn.axhline(0, color="black", lw=0.6)
    _label_regions(drawn.set_xticks, regions)
    drawn.tick_params(axis="x", labelsize=5, length=0, labelrotation=90)
    drawn.set(xlabel="region", ylabel="correlation with behaviour (r)")
    drawn.set_xlim(-0.7, len(regions) - 0.3)
    drawn.legend(title="animal (bar: mean)", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def group_colour(groups: Sequence[str], group: str) -> str:
    """The colour of a group of regions; grey of those that are in none."""
    named = [one for one in groups if one not in UNGROUPED]
    return UNGROUPED_COLOUR if group in UNGROUPED else colour_of(named.index(group))


def _group_words(group: str) -> str:
    return "in no group" if group in UNGROUPED else shortened(group, 14)


def _draw_control(drawn: Axes, regions: list[str], control: pd.DataFrame, name: str) -> None:
    check_columns(control, ("animal", "region", "share"), "shares of the control")
    by_animal = control.groupby(["region", "animal"], sort=False)["share"].mean()
    grouped = by_animal.groupby("region")
    low, high, mean = (grouped.agg(how).reindex(regions) for how in ("min", "max", "mean"))
    places = np.arange(len(regions))
    drawn.vlines(places, low, high, color=GREY, lw=1.6, alpha=0.7)
    drawn.plot(places, mean, "_", color="black", ms=5, mew=0.9, label=name)


def _label_regions(set_ticks: object, names: object) -> None:
    """Every region by name where there is room, else every so many."""
    labels = [shortened(name, 10) for name in names]  # type: ignore[attr-defined]
    step = -(-len(labels) // MOST_LABELS) or 1
    set_ticks(range(0, len(labels), step), labels[::step])  # type: ignore[operator]
