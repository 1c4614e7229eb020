"""Figures of images: what covering a part of them costs, and how sessions are aligned."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.report.canvas import (
    DIVERGING,
    PAGE_MM,
    Axes,
    Figure,
    colour_of,
    in_order,
    new_figure,
    shortened,
    styled,
)

MOST_IMAGES = 6


@styled
def draw_square_map(
    values: NDArray[np.floating], unit: str = "AUC", mean_image: NDArray[np.floating] | None = None
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

    Examples
    --------
    >>> len(draw_square_map(np.eye(8)).axes)
    2
    """
    columns = 1 if mean_image is None else 2
    figure, axes = new_figure(20 + 55 * columns, 55, columns=columns)
    reach = float(np.nanmax(np.abs(values))) or 1.0
    settings: dict[str, Any] = {
        "cmap": DIVERGING,
        "vmin": -reach,
        "vmax": reach,
        "interpolation": "nearest",
    }
    image = axes[0, 0].imshow(values, **settings)
    axes[0, 0].set(title=f"loss of {unit}", xlabel="column of cells", ylabel="row of cells")
    if mean_image is not None:
        rows, width = mean_image.shape
        extent = (-0.5, width - 0.5, rows - 0.5, -0.5)
        _draw_grey(axes[0, 1], mean_image, extent=extent)
        # Cells that cost nothing are clear: the cortex below them is seen.
        strength = 0.75 * np.clip(np.abs(values) / reach, 0, 1)
        axes[0, 1].imshow(values, extent=extent, alpha=strength, **settings)
        axes[0, 1].set(title="over the mean image", xticks=[], yticks=[])
    bar = figure.colorbar(image, ax=axes[0, -1], shrink=0.8, pad=0.03)
    bar.set_label(f"uncovered less covered ({unit})")
    bar.outline.set_visible(False)
    return figure


@styled
def draw_mean_images(
    images: Mapping[str, NDArray[np.floating]], regions: pd.DataFrame | None = None
) -> Figure:
    """Mean images of sessions, a row an animal, with the centres of regions on them.

    Parameters
    ----------
    images
        By ``animal/session``, shape (row, column) each; the first six of an animal are drawn.
    regions
        One row a region, with row and column in pixels; None: no centres. They are left out where
        some lie outside the image: they are then those of another size of image.

    Examples
    --------
    >>> len(draw_mean_images({"m1/a": np.eye(4), "m1/b": np.eye(4), "m2/a": np.eye(4)}).axes)
    4
    """
    animals: dict[str, list[str]] = {}
    for name in images:
        animals.setdefault(name.partition("/")[0], []).append(name)
    columns = min(MOST_IMAGES, max(map(len, animals.values())))
    size = PAGE_MM / MOST_IMAGES
    figure, axes = new_figure(size * columns, size * 1.2 * len(animals), len(animals), columns)
    for drawn in axes.ravel():
        drawn.set_axis_off()
    for line, animal in zip(axes, in_order(animals), strict=True):
        for drawn, name in zip(line, animals[animal], strict=False):
            _draw_grey(drawn, images[name])
            drawn.set_title(shortened(name, 20), fontsize=5)
            if regions is not None and _lie_within(regions, images[name].shape):
                drawn.plot(regions["column"], regions["row"], ".", color=colour_of(1), ms=1.5)
    return figure


def _draw_grey(drawn: Axes, image: NDArray[np.floating], **settings: Any) -> None:
    """An image whose contrast a few hot or dead pixels do not take."""
    low, high = np.nanpercentile(image, (1, 99.5))
    drawn.imshow(image, cmap="gray", vmin=low, vmax=high, **settings)


def _lie_within(regions: pd.DataFrame, shape: tuple[int, ...]) -> bool:
    if regions.empty:
        return False
    centres = regions[["row", "column"]].to_numpy(np.float64)
    return bool(((centres >= 0) & (centres < np.array(shape))).all())
