"""Figures of images: what covering a part of them costs, and how sessions are aligned."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.evaluate.comparisons import check_columns
from corticode.report.canvas import (
    COLUMN_MM,
    DIVERGING,
    GREY,
    PAGE_MM,
    Axes,
    AxesImage,
    Figure,
    colour_of,
    in_order,
    new_figure,
    shortened,
    styled,
)
from corticode.report.region_outlines import RegionOutlines
from corticode.report.score_figures import METRIC_NAMES

MOST_IMAGES, FEWEST_IMAGES, MOST_MASKS = 6, 4, 40
# Seen on dark and bright cortex alike, and on both colours of the maps.
OUTLINE = "#00c8ff"


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
        rows, width = mean_image.shape
        extent = (-0.5, width - 0.5, rows - 0.5, -0.5)
        _draw_grey(axes[0, 1], mean_image, extent=extent)
        # Cells that cost nothing are clear: the cortex below them is seen.
        strength = 0.75 * np.clip(np.abs(values) / reach, 0, 1)
        _draw_cells(axes[0, 1], values, reach, extent=extent, alpha=strength)
        if outlines is not None:
            draw_outlines(axes[0, 1], outlines, mean_image.shape)
        axes[0, 1].set(title="over the mean image", xticks=[], yticks=[])
    bar = figure.colorbar(image, ax=axes[0, -1], shrink=0.8, pad=0.03)
    bar.set_label(f"uncovered less covered ({unit})")
    bar.outline.set_visible(False)
    return figure


@styled
def draw_session_maps(maps: Mapping[str, NDArray[np.floating]], unit: str = "AUC") -> Figure:
    """What covering each cell costs in each session, all in one scale, a row an animal.

    Parameters
    ----------
    maps
        By ``animal/session``, shape (row, column) each; the first six of an animal are drawn.
    unit
        Of the values.

    Examples
    --------
    >>> len(draw_session_maps({"m1/a": np.eye(8), "m1/b": np.eye(8), "m2/a": np.eye(8)}).axes)
    5
    """
    figure, panels = _panels(maps)
    reach = _reach(np.stack(list(maps.values())))
    for drawn, name in panels:
        image = _draw_cells(drawn, maps[name], reach)
    bar = figure.colorbar(image, ax=figure.axes, shrink=0.8, pad=0.02, aspect=30)
    bar.set_label(f"uncovered less covered ({unit})")
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
            draw_outlines(drawn, outlines, images[name].shape, width=0.35)
    return figure


def draw_outlines(
    drawn: Axes, outlines: RegionOutlines, shape: tuple[int, ...], width: float = 0.6
) -> None:
    """Outlines of regions as thin lines over an image of a shape, none beyond its edge."""
    rows, columns = shape
    for lines in outlines.on(shape).values():
        for line in lines:
            closed = np.vstack([line, line[:1]])
            drawn.plot(closed[:, 1], closed[:, 0], color=OUTLINE, lw=width)
    drawn.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))


def _panels(images: Mapping[str, Any]) -> tuple[Figure, list[tuple[Axes, str]]]:
    """A small panel for each of the first six sessions of an animal, and its name."""
    animals: dict[str, list[str]] = {}
    for name in images:
        animals.setdefault(name.partition("/")[0], []).append(name)
    columns = min(MOST_IMAGES, max(map(len, animals.values())))
    size = PAGE_MM / max(columns, FEWEST_IMAGES)
    figure, axes = new_figure(size * columns, size * 1.2 * len(animals), len(animals), columns)
    for drawn in axes.ravel():
        drawn.set_axis_off()
    panels = []
    for line, animal in zip(axes, in_order(animals), strict=True):
        for drawn, name in zip(line, animals[animal], strict=False):
            # Two short lines: ids of sessions are long, and panels stand side by side.
            session = shortened(name.partition("/")[2], 22)
            drawn.set_title(f"{shortened(animal, 20)}\n{session}", fontsize=5)
            panels.append((drawn, name))
    return figure, panels


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
