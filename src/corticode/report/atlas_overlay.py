"""A mean image with the regions of an atlas drawn on it, so that an eye may judge the alignment."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.atlas.alignment import Alignment, align, check_alignment, checks_in_words
from corticode.data.atlas.files import write_alignment
from corticode.data.atlas.landmarks import read_landmarks
from corticode.data.atlas.maps import Atlas, find_regions, read_atlas
from corticode.data.atlas.sessions import check_sessions, register_sessions
from corticode.data.atlas.transforms import apply_transform
from corticode.data.files import holds_files
from corticode.data.regions import RegionTable
from corticode.errors import DataError, Finding
from corticode.report.canvas import COLOURS, PAGE_MM, Axes, Figure, new_figure, save_figure, styled
from corticode.report.map_figures import outlines_of

OVERLAY = "overlay.png"
BOTTOM, TOP = 1, 99.5  # percentiles of the image that are black and white


def write_atlas_regions(
    image: NDArray[np.float64],
    folder: Path,
    *,
    landmarks: str,
    names: Sequence[str] = (),
    atlas: str = "allen-44",
    kind: str | None = None,
    mm_per_pixel: float | None = None,
    others: Mapping[str, NDArray[np.float64]] | None = None,
) -> tuple[list[str], list[Finding]]:
    """Lay an atlas on an image and write what came of it: labels, table, transform, overlay.

    Parameters
    ----------
    image
        (row, column): a mean image.
    folder
        New, or empty.
    landmarks, names
        As `corticode.data.atlas.landmarks.read_landmarks` takes them.
    atlas
        Name of a packaged map.
    kind, mm_per_pixel
        As `align` and `check_alignment` take them.
    others
        Mean images of further sessions of the same animal, of the same size, by name: each is laid
        over the first by its vessels, and what came of it goes into a folder of that name.

    Returns
    -------
    lines
        What was checked, in words.
    findings
        Warnings, and regions that were left out.

    Raises
    ------
    DataError
        The folder holds files, landmarks do not do (see `align`), or images of sessions differ in
        size.
    StudyError
        The atlas, the kind or a landmark is unknown.
    RunError
        The files cannot be written.
    """
    if holds_files(folder):
        raise DataError(f"{folder} holds files; name another folder, or move it away")
    chosen = read_atlas(atlas)
    rows, columns = image.shape
    alignment = align(chosen, read_landmarks(landmarks, names), (rows, columns), kind)
    moved, moved_findings = _on_others(alignment, image, others or {})
    lines, findings = _write(folder, chosen, alignment, image, mm_per_pixel)
    for name, (own, words) in moved.items():
        found = _write(folder / name, chosen, own, (others or {})[name], mm_per_pixel)[1]
        findings += [replace(one, session=name) for one in found]
        lines.append(words)
    return lines, [*findings, *moved_findings]


def _write(
    folder: Path,
    atlas: Atlas,
    alignment: Alignment,
    image: NDArray[np.float64],
    mm_per_pixel: float | None,
) -> tuple[list[str], list[Finding]]:
    labels, table, left_out = find_regions(atlas, alignment.transform, alignment.shape)
    checks, findings = check_alignment(atlas, alignment, image, labels, mm_per_pixel)
    findings = [*findings, *left_out]
    write_alignment(folder, alignment, labels, table, checks, findings)
    save_figure(draw_overlay(image, labels, table, alignment), folder / OVERLAY)
    return checks_in_words(checks, alignment), findings


def _on_others(
    alignment: Alignment, image: NDArray[np.float64], others: Mapping[str, NDArray[np.float64]]
) -> tuple[dict[str, tuple[Alignment, str]], list[Finding]]:
    """The same atlas on further sessions, and a line on how each lies."""
    if not others:
        return {}, []
    found, findings = register_sessions([image, *others.values()])
    names = ["", *others]
    findings = [replace(one, session=names[int(one.item) - 1], item="") for one in findings]
    # Looked at once more when all are warped: what was missed lies apart.
    _, apart = check_sessions([image, *others.values()], [*found.transforms], names)
    findings += [replace(one, session=one.item, item="") for one in apart]
    moved = {}
    for k, name in enumerate(others, start=1):
        transform = found.transforms[k]
        points = apply_transform(transform, alignment.image_points)
        down, right = found.shifts[k]
        own = replace(alignment, transform=transform @ alignment.transform, image_points=points)
        words = (
            f"{name}: {down:+.1f} rows, {right:+.1f} columns, "
            f"{found.rotations_degrees[k]:+.1f} degrees from the first image; vessels and outlines "
            f"correlate by {found.correlations[k]:.2f}"
        )
        moved[name] = (own, words)
    return moved, findings


@styled
def draw_overlay(
    image: NDArray[np.float64],
    labels: NDArray[np.int16],
    table: RegionTable,
    alignment: Alignment,
) -> Figure:
    """The mean image alone, and with outlines, names, and how far each landmark misses.

    Parameters
    ----------
    image, labels
        (row, column).
    table
        Names and centres; number k of the labels is its k-th row.
    alignment
        Landmarks as marked (circles) and where the atlas has them (crosses).

    Examples
    --------
    >>> alignment = Alignment("a", "similarity", np.eye(3), ("front",), np.ones((1, 2)),
    ...     np.ones((1, 2)), (4, 4))
    >>> table = RegionTable(("V1_left",), sides=("left",), rows=(1.5,), columns=(1.5,))
    >>> figure = draw_overlay(np.eye(4), np.ones((4, 4), np.int16), table, alignment)
    >>> [axes.get_title() for axes in figure.axes]
    ['mean image', 'landmarks miss by 0.0 pixels (rms)']
    """
    rows, columns = image.shape
    height = min(PAGE_MM, max(40, 0.5 * PAGE_MM * rows / columns)) + 8
    figure, (axes,) = new_figure(PAGE_MM, height, columns=2)
    known = image[np.isfinite(image)]
    low, high = np.percentile(known, [BOTTOM, TOP]) if known.size else (0, 1)
    for drawn in axes:
        drawn.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        drawn.set_axis_off()
    axes[0].set_title("mean image")
    _draw_regions(axes[1], labels, table)
    _draw_landmarks(axes[1], alignment)
    rms = float(np.sqrt((alignment.residuals**2).mean()))
    axes[1].set_title(f"landmarks miss by {rms:.1f} pixels (rms)")
    return figure


def _draw_regions(axes: Axes, labels: NDArray[np.int16], table: RegionTable) -> None:
    regions = pd.DataFrame({"name": table.names, "row": table.rows, "column": table.columns})
    found = outlines_of(regions, labels.astype(np.int64))
    colour = {"left": COLOURS[5], "right": COLOURS[4]}
    sides = dict(zip(table.names, table.sides, strict=True))
    for name, lines in ({} if found is None else found.lines).items():
        for line in lines:
            closed = np.vstack([line, line[:1]])
            axes.plot(
                closed[:, 1], closed[:, 0], color=colour.get(sides.get(name, ""), "white"), lw=0.6
            )
    for name, row, column in zip(table.names, table.rows, table.columns, strict=True):
        if np.isfinite(row):
            short = name.rpartition("_")[0] or name
            axes.text(
                column, row, short, color="white", fontsize=3.2, ha="center", va="center",
                bbox={"facecolor": "black", "alpha": 0.35, "pad": 0.4, "lw": 0},
            )  # fmt: skip


def _draw_landmarks(axes: Axes, alignment: Alignment) -> None:
    fitted = apply_transform(alignment.transform, alignment.atlas_points)
    for name, marked, there in zip(alignment.names, alignment.image_points, fitted, strict=True):
        axes.plot(*np.stack([marked, there], axis=1), color=COLOURS[7], lw=0.8)
        axes.plot(*marked, "o", ms=4, mfc="none", mec=COLOURS[7], mew=0.7)
        axes.plot(*there, "x", ms=3, color=COLOURS[1], mew=0.7)
        axes.annotate(
            name, marked, xytext=(3, 3), textcoords="offset points", color=COLOURS[7], fontsize=4.5
        )
