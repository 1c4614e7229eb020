"""Figures of maps: over regions and frames, of images, and where regions lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.extraction import RADIUS_PIXELS
from corticode.data.layouts.study2024 import read_published_regions
from corticode.errors import DataError
from corticode.evaluate.comparisons import LEVEL, check_columns
from corticode.explain.importance_map import ImportanceMap
from corticode.report.canvas import (
    COLUMN_MM,
    DIVERGING,
    GREY,
    PAGE_MM,
    SEQUENTIAL,
    Axes,
    AxesImage,
    Figure,
    colour_of,
    in_order,
    marker_of,
    new_figure,
    shortened,
    styled,
)
from corticode.report.score_figures import METRIC_NAMES, STAR, p_in_words

PUBLISHED_SIDE = 128
CORNERS = 24
FROM_PIXELS = "Outlines: the pixels of each region, as in the label image of the study."
FROM_CENTRES = (
    "Circles: {radius:g} pixels about the centre of each region; their true shapes are not known."
)
FROM_PUBLISHED = (
    "Circles: {radius:g} pixels (of 128) about the published centre of each region, read off a "
    "picture to ±1.3 pixels and not registered to these animals; no shapes were published."
)
MOST_LABELS = 60
UNIT_WORDS = {"share": "fraction of the total"}
UNGROUPED, UNGROUPED_COLOUR = ("", "none"), "#bdbdbd"
MOST_IMAGES, FEWEST_IMAGES, MOST_MASKS = 6, 4, 40
MOST_IN_A_ROW = 8
# Seen on dark and bright cortex alike, and on both colours of the maps.
OUTLINE = "#00c8ff"


Line = NDArray[np.float64]


@dataclass(frozen=True)
class RegionOutlines:
    """Closed lines around regions, and in whose pixels they are.

    Parameters
    ----------
    lines
        By region: closed lines, shape (point, 2) each: row, column; pixel k reaches from k - 0.5
        to k + 0.5.
    shape
        Rows and columns of the image they were drawn on; None where that is not known, and the
        lines then lie only on images that hold them all.
    words
        Where they come from, for a caption.
    """

    lines: Mapping[str, tuple[Line, ...]]
    shape: tuple[int, int] | None
    words: str

    def on(self, shape: tuple[int, ...]) -> dict[str, tuple[Line, ...]]:
        """The lines in the pixels of an image of that shape; none where that is not known."""
        if self.shape is None:
            return dict(self.lines) if self._lie_within(shape) else {}
        scale = np.divide(shape, self.shape)
        return {
            name: tuple((line + 0.5) * scale - 0.5 for line in lines)
            for name, lines in self.lines.items()
        }

    def _lie_within(self, shape: tuple[int, ...]) -> bool:
        # A circle may reach over the edge; its centre may not.
        centres = np.array([line.mean(axis=0) for lines in self.lines.values() for line in lines])
        return bool(((centres >= -0.5) & (centres <= np.array(shape) - 0.5)).all())


def outlines_of(
    regions: pd.DataFrame,
    labels: NDArray[np.int64] | None = None,
) -> RegionOutlines | None:
    """The outline of each region, or None where nothing is known of where they lie.

    Parameters
    ----------
    regions
        One row a region: name, row, column (of its centre, pixels; blank where not known). May be
        empty beside a label image.
    labels
        Shape (row, column): the number of the region that each pixel belongs to, 0: none. Numbers
        are names where all of them are, else places in the table, from 1.

    Examples
    --------
    >>> table = pd.DataFrame({"name": ["a"], "row": [5.0], "column": [9.0]})
    >>> found = outlines_of(table)
    >>> found.lines["a"][0].mean(axis=0).round(6).tolist(), found.on((8, 16)).keys()
    ([5.0, 9.0], dict_keys(['a']))
    >>> found.on((8, 8))
    {}
    """
    if labels is not None and labels.any():
        lines = {name: tuple(outline(labels == number)) for name, number in _named(regions, labels)}
        return RegionOutlines(lines, (labels.shape[0], labels.shape[1]), FROM_PIXELS)
    if regions.empty or regions[["row", "column"]].isna().any(axis=None):
        return None
    centres = regions[["row", "column"]].to_numpy(np.float64)
    is_published = _is_published(centres)
    words = FROM_PUBLISHED if is_published else FROM_CENTRES
    # Published centres count pixels from 1.
    circles = [circle(centre - is_published, RADIUS_PIXELS) for centre in centres]
    return RegionOutlines(
        {str(name): (one,) for name, one in zip(regions["name"], circles, strict=True)},
        (PUBLISHED_SIDE, PUBLISHED_SIDE) if is_published else None,
        words.format(radius=RADIUS_PIXELS),
    )


def circle(centre: NDArray[np.float64], radius: float) -> Line:
    """A circle as a closed line, shape (25, 2)."""
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    return np.asarray(centre + radius * np.stack([np.sin(angles), np.cos(angles)], axis=1))


def outline(mask: NDArray[np.bool_]) -> list[Line]:
    """The closed lines along the edges of a mask's pixels, holes included.

    Examples
    --------
    >>> outline(np.array([[False, True, True]]))[0].tolist()
    [[-0.5, 0.5], [-0.5, 2.5], [0.5, 2.5], [0.5, 0.5]]
    """
    follows = _edges(np.pad(mask, 1))
    found = []
    while follows:
        start = min(follows)
        corners, at, came = [start], start, (0, 0)
        while True:
            steps = follows[at]
            # Where two pixels touch by a corner the line turns, so that it never crosses itself.
            onward = max(steps, key=lambda to: _turn(came, (to[0] - at[0], to[1] - at[1])))
            steps.remove(onward)
            if not steps:
                del follows[at]
            came, at = (onward[0] - at[0], onward[1] - at[1]), onward
            if at == start:
                break
            corners.append(at)
        found.append(_without_middles(np.array(corners, np.float64)) - 1.5)
    return found


def _edges(padded: NDArray[np.bool_]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """From each corner the next, the mask always to the right hand."""
    follows: dict[tuple[int, int], list[tuple[int, int]]] = {}
    sides = (
        (-1, 0, (0, 0), (0, 1)),
        (0, 1, (0, 1), (1, 1)),
        (1, 0, (1, 1), (1, 0)),
        (0, -1, (1, 0), (0, 0)),
    )
    for down, across, begin, end in sides:
        is_edge = padded & ~np.roll(padded, (-down, -across), axis=(0, 1))
        for row, column in np.argwhere(is_edge).tolist():
            first = (row + begin[0], column + begin[1])
            follows.setdefault(first, []).append((row + end[0], column + end[1]))
    return follows


def _turn(came: tuple[int, int], goes: tuple[int, int]) -> int:
    """Above 0 for a turn to the right."""
    return came[1] * goes[0] - came[0] * goes[1]


def _without_middles(corners: Line) -> Line:
    """Corners of a closed line at which it turns."""
    before, after = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    return np.asarray(corners[(before != after).any(axis=1)])


def _named(regions: pd.DataFrame, labels: NDArray[np.int64]) -> list[tuple[str, int]]:
    """The name of each number in a label image."""
    numbers = [int(text) for text in in_order(np.unique(labels[labels > 0]))]
    names = [] if regions.empty else [str(name) for name in regions["name"]]
    if {str(number) for number in numbers} <= set(names) or max(numbers) > len(names):
        return [(str(number), number) for number in numbers]
    return [(names[number - 1], number) for number in numbers]


def _is_published(centres: Sequence[Sequence[float]] | NDArray[np.float64]) -> bool:
    known = read_published_regions()
    published = np.stack([known.rows, known.columns], axis=1)
    return np.shape(centres) == published.shape and np.allclose(centres, published)


@styled
def draw_heat_map(found: ImportanceMap, beside: ImportanceMap | None = None) -> Figure:
    """Mean |contribution| by region and frame of the window.

    Parameters
    ----------
    found
        A map over frames and regions.
    beside
        The published one of the same regions, drawn beside it in a scale of its own; None: none.

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
    shown = [found] if beside is None else [found, beside]
    height = min(150, 24 + 2.3 * len(found.names))
    figure, axes = new_figure(COLUMN_MM * len(shown), height, columns=len(shown))
    for drawn, one in zip(axes[0], shown, strict=True):
        bar = figure.colorbar(_draw_heat(drawn, one), ax=drawn, shrink=0.5, pad=0.02)
        bar.set_label(f"mean |contribution| ({UNIT_WORDS.get(one.unit, one.unit)})")
        bar.outline.set_visible(False)
    if beside is not None:
        axes[0, 0].set_title("this run")
        axes[0, 1].set_title("published (2024)")
    return figure


def _draw_heat(drawn: Axes, found: ImportanceMap) -> AxesImage:
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
    return image


@styled
def draw_region_bars(
    shares: pd.DataFrame,
    control: pd.DataFrame | None = None,
    groups: Mapping[str, str] | None = None,
    control_name: str = "permuted labels",
    published: Mapping[str, float] | None = None,
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
    published
        The published share of each region; None: none.

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
    _draw_published(drawn, regions, published)
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
def draw_correlations(table: pd.DataFrame, published: Mapping[str, float] | None = None) -> Figure:
    """How each region's trace goes with behaviour: mean over sessions of each animal.

    Parameters
    ----------
    table
        One row a session and region: animal, session, region, pearson_r.
    published
        The published correlation of each region; None: none.

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
    _draw_published(drawn, regions, published)
    drawn.axhline(0, color="black", lw=0.6)
    _label_regions(drawn.set_xticks, regions)
    drawn.tick_params(axis="x", labelsize=5, length=0, labelrotation=90)
    drawn.set(xlabel="region", ylabel="correlation with behaviour (r)")
    drawn.set_xlim(-0.7, len(regions) - 0.3)
    drawn.legend(title="animal (bar: mean)", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _draw_published(
    drawn: Axes, regions: Sequence[str], published: Mapping[str, float] | None
) -> None:
    """Open diamonds at the published values of regions."""
    if published:
        places = [k for k, region in enumerate(regions) if region in published]
        known = [published[regions[k]] for k in places]
        drawn.plot(
            places, known, "D", color=GREY, mfc="none", ms=2.6, mew=0.6, label="published (2024)"
        )


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


@styled
def draw_square_map(
    values: NDArray[np.floating],
    unit: str = "AUC",
    mean_image: NDArray[np.floating] | None = None,
    outlines: RegionOutlines | None = None,
) -> Figure:
    """What covering each cell of the image costs, and laid over the mean image.

    Parameters
    ----------
    values
        Score uncovered less covered, shape (row, column), such as (8, 8).
    unit
        Of the values.
    mean_image
        The mean image of a session, shape (row, column) of pixels; None: no overlay.
    outlines
        Of regions, drawn over the mean image; None: none.

    Examples
    --------
    >>> len(draw_square_map(np.eye(8)).axes)
    2
    """
    columns = 1 if mean_image is None else 2
    figure, axes = new_figure(20 + 62 * columns, 62, columns=columns)
    reach = _reach(values)
    image = _draw_cells(axes[0, 0], values, reach)
    axes[0, 0].set(title=f"loss of {unit}", xlabel="column of cells", ylabel="row of cells")
    _number_cells(axes[0, 0], values.shape)
    if mean_image is not None:
        _draw_over(axes[0, 1], values, reach, mean_image)
        if outlines is not None:
            _draw_outlines(axes[0, 1], outlines, mean_image.shape)
        axes[0, 1].set(title="over the mean image", xticks=[], yticks=[])
    bar = figure.colorbar(image, ax=axes[0, -1], shrink=0.8, pad=0.03)
    bar.set_label(f"uncovered minus covered ({unit})")
    bar.outline.set_visible(False)
    return figure


@styled
def draw_square_overlay(
    values: NDArray[np.floating],
    mean_image: NDArray[np.floating],
    unit: str = "AUC",
    outlines: RegionOutlines | None = None,
) -> Figure:
    """What covering each cell costs, laid over a mean image alone.

    Parameters
    ----------
    values, mean_image, unit, outlines
        As in `draw_square_map`.

    Examples
    --------
    >>> len(draw_square_overlay(np.eye(8), np.eye(16)).axes)
    2
    """
    figure, axes = new_figure(COLUMN_MM, 68)
    image = _draw_over(axes[0, 0], values, _reach(values), mean_image)
    if outlines is not None:
        _draw_outlines(axes[0, 0], outlines, mean_image.shape)
    axes[0, 0].set(xticks=[], yticks=[])
    bar = figure.colorbar(image, ax=axes[0, 0], shrink=0.8, pad=0.03)
    bar.set_label(f"uncovered minus covered ({unit})")
    bar.outline.set_visible(False)
    return figure


@styled
def draw_session_maps(
    maps: Mapping[str, NDArray[np.floating]],
    unit: str = "AUC",
    images: Mapping[str, NDArray[np.floating]] | None = None,
    *,
    all_sessions: bool = False,
) -> Figure:
    """What covering each cell costs in each session, all in one scale, a row an animal.

    Parameters
    ----------
    maps
        By ``animal/session``, shape (row, column) each.
    unit
        Of the values.
    images
        The mean image of each session, over which its map is laid; None: none.
    all_sessions
        Whether every session is drawn, eight a row, and not the first six of an animal.

    Examples
    --------
    >>> len(draw_session_maps({"m1/a": np.eye(8), "m1/b": np.eye(8), "m2/a": np.eye(8)}).axes)
    5
    """
    figure, panels = _panels(maps, all_sessions=all_sessions)
    reach = _reach(np.stack(list(maps.values())))
    for drawn, name in panels:
        if name in (images or {}):
            image = _draw_over(drawn, maps[name], reach, (images or {})[name])
        else:
            image = _draw_cells(drawn, maps[name], reach)
    bar = figure.colorbar(image, ax=figure.axes, shrink=0.8, pad=0.02, aspect=30)
    bar.set_label(f"uncovered minus covered ({unit})")
    bar.outline.set_visible(False)
    return figure


@styled
def draw_mask_costs(table: pd.DataFrame) -> Figure:
    """What covering each of some masks costs: mean over animals and its interval.

    Parameters
    ----------
    table
        One row a mask: mask, metric, score (uncovered less covered), low, high (blank where
        there is no interval).

    Examples
    --------
    >>> table = pd.DataFrame({"mask": ["limbs", "control"], "metric": "auc", "score": [0.1, 0.0],
    ...     "low": [0.05, -0.01], "high": [0.15, 0.01]})
    >>> draw_mask_costs(table).axes[0].get_xlabel()
    'loss of AUC where it is covered'
    """
    check_columns(table, ("mask", "metric", "score", "low", "high"), "costs of masks")
    shown = table.head(MOST_MASKS)
    figure, axes = new_figure(COLUMN_MM, 16 + 5 * len(shown))
    drawn: Axes = axes[0, 0]
    places = np.arange(len(shown))
    drawn.hlines(places, shown["low"], shown["high"], color=colour_of(0), lw=1.2)
    drawn.plot(shown["score"], places, "o", color=colour_of(0), ms=4)
    drawn.axvline(0, color=GREY, lw=0.6, ls="--", zorder=0)
    drawn.set_yticks(places, [shortened(name, 24) for name in shown["mask"]])
    metric = METRIC_NAMES.get(str(shown["metric"].iloc[0]), str(shown["metric"].iloc[0]))
    drawn.set(xlabel=f"loss of {metric} where it is covered", ylim=(len(shown) - 0.5, -0.5))
    return figure


@styled
def draw_region_test(
    table: pd.DataFrame,
    unit: str,
    groups: Mapping[str, str] | None = None,
    published: Mapping[str, float] | None = None,
) -> Figure:
    """Mean |contribution| by region beside permuted labels, and the differences of the animals.

    Parameters
    ----------
    table
        As ``map_permuted.csv`` of one map: region, value, permuted_value, p_splits_holm,
        difference, low, high.
    unit
        Of the values.
    groups
        Group of each region, which colours its bar; None: one colour.
    published
        The published value of each region; None: none.

    Returns
    -------
    Figure
        Above, bars with a line at the decoders of permuted labels, and a star where the rank sum
        over splits tells them apart (Holm). Below, the animals' difference with its 95 % interval,
        filled where that leaves 0 out.

    Examples
    --------
    >>> table = pd.DataFrame({"region": ["a"], "value": [0.2], "permuted_value": [0.1],
    ...     "p_splits_holm": [0.01], "difference": [0.1], "low": [0.05], "high": [0.15]})
    >>> [text.get_text() for text in draw_region_test(table, "probability").axes[0].texts]
    ['*']
    """
    needed = ("region", "value", "permuted_value", "p_splits_holm", "difference", "low", "high")
    check_columns(table, needed, "regions beside permuted labels")
    regions = [str(name) for name in table["region"]]
    places = np.arange(len(regions))
    figure, axes = new_figure(PAGE_MM, 96, rows=2, sharex=True, height_ratios=(3, 2))
    above, below = axes[:, 0]
    named = list(dict.fromkeys((groups or {}).values()))
    colours = [
        group_colour(named, groups[one]) if groups and one in groups else colour_of(0)
        for one in regions
    ]
    above.bar(places, table["value"], color=colours, width=0.72, alpha=0.75)
    above.plot(
        places, table["permuted_value"], "_", color="black", ms=5, mew=0.9, label="permuted labels"
    )
    _draw_published(above, regions, published)
    tops = table[["value", "permuted_value"]].to_numpy().max(axis=1)
    for place in places[(table["p_splits_holm"] < LEVEL).to_numpy()]:
        above.text(place, tops[place], STAR, ha="center", va="bottom", fontsize=7)
    for name in named:
        above.bar([0], [0], color=group_colour(named, name), alpha=0.75, label=_group_words(name))
    above.legend(loc="upper left", ncols=4, bbox_to_anchor=(0, 1.3), borderaxespad=0)
    above.set_ylabel(f"mean |contribution|\n({unit})")
    above.margins(y=0.12)
    outside = ((table["low"] > 0) | (table["high"] < 0)).to_numpy()
    below.vlines(places, table["low"], table["high"], color="black", lw=0.8)
    for is_outside, face in ((True, "black"), (False, "white")):
        own = outside == is_outside
        below.plot(
            places[own], table["difference"][own], "o", color="black", mfc=face, ms=2.6, mew=0.7
        )
    below.axhline(0, color=GREY, lw=0.6, ls="--", zorder=0)
    _label_regions(below.set_xticks, regions)
    below.tick_params(axis="x", labelsize=5, length=0, labelrotation=90)
    below.set(xlabel="region", ylabel="minus permuted,\nby animal", xlim=(-0.7, len(regions) - 0.3))
    return figure


@styled
def draw_covered(
    row: pd.Series, covered: NDArray[np.bool_], image: NDArray[np.floating] | None = None
) -> Figure:
    """Scores with nothing and with one mask covered, what that costs animals, and the mask.

    Parameters
    ----------
    row
        A mask's row of ``occlusion.csv``: metric, pooled_whole, sd_whole, pooled_covered,
        sd_covered, p_splits, score, low, high.
    covered
        The mask, shape (row, column).
    image
        A mean image of that shape, over which it is drawn; None: none.

    Examples
    --------
    >>> row = pd.Series({"metric": "auc", "pooled_whole": 0.95, "sd_whole": 0.03,
    ...     "pooled_covered": 0.9, "sd_covered": 0.05, "p_splits": 0.01, "score": 0.05,
    ...     "low": 0.02, "high": 0.08})
    >>> len(draw_covered(row, np.eye(8) > 0).axes)
    3
    """
    figure, axes = new_figure(PAGE_MM * 0.85, 58, columns=3, width_ratios=(3, 2, 4))
    pooled, cost, mask = axes[0]
    metric = METRIC_NAMES.get(str(row["metric"]), str(row["metric"]))
    values = [row["pooled_whole"], row["pooled_covered"]]
    spread = [row["sd_whole"], row["sd_covered"]]
    pooled.errorbar([0, 1], values, np.nan_to_num(spread), fmt="o", color=colour_of(0), ms=4)
    star = f" {STAR}" if row["p_splits"] < LEVEL else ""
    pooled.set_title(f"splits, as published:\n{p_in_words(row['p_splits'])}{star}")
    pooled.set_xticks([0, 1], ["whole", "covered"])
    pooled.set(xlim=(-0.5, 1.5), ylabel=f"{metric}, all windows of a split (± SD)")
    outside = bool(row["low"] > 0 or row["high"] < 0)
    cost.vlines(0, row["low"], row["high"], color="black", lw=1)
    cost.plot(0, row["score"], "o", color="black", mfc="black" if outside else "white", ms=4)
    cost.axhline(0, color=GREY, lw=0.6, ls="--", zorder=0)
    cost.set_title("animals:\nwhole minus covered")
    cost.set(xlim=(-0.5, 0.5), xticks=[], ylabel=f"{metric} within sessions (95 % interval)")
    _draw_grey(mask, covered.astype(float) if image is None else image)
    clear = np.where(covered, 1.0, np.nan)
    mask.imshow(clear, cmap=SEQUENTIAL, vmin=0, vmax=1, alpha=0.6, interpolation="nearest")
    mask.set_title("what is covered")
    mask.set(xticks=[], yticks=[])
    return figure


@styled
def draw_mean_images(
    images: Mapping[str, NDArray[np.floating]], outlines: RegionOutlines | None = None
) -> Figure:
    """Mean images of sessions, a row an animal, with the outlines of regions on them.

    Parameters
    ----------
    images
        By ``animal/session``, shape (row, column) each; the first six of an animal are drawn.
    outlines
        Of regions; None: none. They are left out of images in whose pixels they are not known.

    Examples
    --------
    >>> len(draw_mean_images({"m1/a": np.eye(4), "m1/b": np.eye(4), "m2/a": np.eye(4)}).axes)
    4
    """
    figure, panels = _panels(images)
    for drawn, name in panels:
        _draw_grey(drawn, images[name])
        if outlines is not None:
            _draw_outlines(drawn, outlines, images[name].shape, width=0.35)
    return figure


def _draw_outlines(
    drawn: Axes, outlines: RegionOutlines, shape: tuple[int, ...], width: float = 0.6
) -> None:
    """Outlines of regions as thin lines over an image of a shape, none beyond its edge."""
    rows, columns = shape
    for lines in outlines.on(shape).values():
        for line in lines:
            closed = np.vstack([line, line[:1]])
            drawn.plot(closed[:, 1], closed[:, 0], color=OUTLINE, lw=width)
    drawn.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))


def _panels(
    images: Mapping[str, Any], *, all_sessions: bool = False
) -> tuple[Figure, list[tuple[Axes, str]]]:
    """A small panel for each of the first six sessions of an animal, or for all, and its name."""
    animals: dict[str, list[str]] = {}
    for name in images:
        animals.setdefault(name.partition("/")[0], []).append(name)
    most = MOST_IN_A_ROW if all_sessions else MOST_IMAGES
    columns = min(most, max(map(len, animals.values())))
    size = PAGE_MM / max(columns, FEWEST_IMAGES)
    lines = [
        (animal, animals[animal][first : first + columns])
        for animal in in_order(animals)
        for first in range(0, len(animals[animal]) if all_sessions else 1, columns)
    ]
    figure, axes = new_figure(size * columns, size * 1.2 * len(lines), len(lines), columns)
    for drawn in axes.ravel():
        drawn.set_axis_off()
    panels = []
    for row, (animal, names) in zip(axes, lines, strict=True):
        for drawn, name in zip(row, names, strict=False):
            # Two short lines: ids of sessions are long, and panels stand side by side.
            session = shortened(name.partition("/")[2], 22)
            drawn.set_title(f"{shortened(animal, 20)}\n{session}", fontsize=5)
            panels.append((drawn, name))
    return figure, panels


def _draw_over(
    drawn: Axes,
    values: NDArray[np.floating],
    reach: float,
    image: NDArray[np.floating],
) -> AxesImage:
    """Cells over an image in its own pixels; those that cost nothing are clear."""
    rows, width = image.shape
    extent = (-0.5, width - 0.5, rows - 0.5, -0.5)
    _draw_grey(drawn, image, extent=extent)
    strength = 0.75 * np.clip(np.abs(values) / reach, 0, 1)
    return _draw_cells(drawn, values, reach, extent=extent, alpha=strength)


def _draw_cells(
    drawn: Axes, values: NDArray[np.floating], reach: float, **settings: Any
) -> AxesImage:
    return drawn.imshow(
        values, cmap=DIVERGING, vmin=-reach, vmax=reach, interpolation="nearest", **settings
    )


def _reach(values: NDArray[np.floating]) -> float:
    return float(np.nanmax(np.abs(values))) or 1.0


def _number_cells(drawn: Axes, shape: tuple[int, ...]) -> None:
    """Cells from 1, as tables name them."""
    rows, columns = (range(0, n, -(-n // 8)) for n in shape)
    drawn.set_yticks(rows, [str(k + 1) for k in rows])
    drawn.set_xticks(columns, [str(k + 1) for k in columns])


def _draw_grey(drawn: Axes, image: NDArray[np.floating], **settings: Any) -> None:
    """An image whose contrast a few hot or dead pixels do not take."""
    low, high = np.nanpercentile(image, (1, 99.5))
    drawn.imshow(image, cmap="gray", vmin=low, vmax=high, **settings)
