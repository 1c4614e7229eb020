"""Where regions lie, as closed lines: along their pixels, or circles about their centres."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.extraction import RADIUS_PIXELS
from corticode.data.layouts.study2024 import read_published_regions
from corticode.report.canvas import in_order

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
    radius_pixels: float = RADIUS_PIXELS,
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
    radius_pixels
        Of the circles that stand for regions of which only the centre is known.

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
    circles = [circle(centre - is_published, radius_pixels) for centre in centres]
    return RegionOutlines(
        {str(name): (one,) for name, one in zip(regions["name"], circles, strict=True)},
        (PUBLISHED_SIDE, PUBLISHED_SIDE) if is_published else None,
        words.format(radius=radius_pixels),
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
