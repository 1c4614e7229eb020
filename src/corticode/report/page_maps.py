"""The figures of a page that show images, maps and regions."""

from collections.abc import Iterator

import numpy as np

from corticode.report.headline import permuted_twins
from corticode.report.image_figures import draw_mean_images, draw_square_map
from corticode.report.map_figures import (
    draw_correlations,
    draw_group_layout,
    draw_heat_map,
    draw_region_bars,
)
from corticode.report.page_figure import PageFigure
from corticode.report.page_values import RunValues, is_permuted


def images_and_maps(values: RunValues, name: str) -> Iterator[PageFigure]:
    """Mean images, maps over regions and over squares, correlations: those that there are.

    Parameters
    ----------
    values
        The run.
    name
        The condition the page is about.
    """
    for make in (_of_images, _of_maps, _of_squares, _of_correlations):
        yield from make(values, name)


def _of_images(values: RunValues, name: str) -> Iterator[PageFigure]:
    if not values.mean_images:
        return
    yield PageFigure(
        "images",
        "sessions",
        "Are sessions and animals aligned?",
        "Mean image of each session (the first six of an animal), with the centres of the regions "
        "where they are known. Vessels and borders should lie in the same place.",
        f"Mean images of {len(values.mean_images)} sessions.",
        draw_mean_images(values.mean_images, values.regions),
    )


def _of_maps(values: RunValues, name: str) -> Iterator[PageFigure]:
    shares = values.table("map_shares")
    groups = {}
    if not values.regions.empty:
        groups = dict(zip(values.regions["name"], values.regions["group"], strict=True))
        if values.regions["row"].notna().all():
            yield PageFigure(
                "layout",
                "maps",
                "Where the regions lie",
                "Centres of the regions, in the colour of their group.",
                f"{len(values.regions)} regions in {len(set(groups.values()))} groups.",
                draw_group_layout(values.regions),
            )
    for k, ((condition, kind), found) in enumerate(values.maps.items()):
        # Maps of controls stand beside those of what they control, as lines.
        if found.axes == ("frame", "region") and not is_permuted(values.condition(condition)):
            yield PageFigure(
                f"map-{k + 1}",
                "maps",
                f"Map “{kind}” of “{condition}”: regions over time",
                "Share of the map's total that each region holds at each frame of the window, mean "
                "over animals.",
                "Heat map of regions by frames of the window; the shares stand in map_regions.csv.",
                draw_heat_map(found),
            )
    if shares.empty:
        return
    for k, ((whose, what), own) in enumerate(shares.groupby(["condition", "map"], sort=False)):
        condition, kind = str(whose), str(what)
        if is_permuted(values.condition(condition)):
            continue
        twins = permuted_twins(values, condition)
        control = shares[shares["condition"].isin(twins) & (shares["map"] == kind)]
        yield PageFigure(
            f"regions-{k + 1}",
            "maps",
            f"Map “{kind}” of “{condition}”: share of each region",
            "Bars: mean over animals, dots: animals."
            + (
                " Lines: decoders of permuted labels."
                if not control.empty
                else " A control of permuted labels with this map: not done."
            ),
            "Bars by region; the shares stand in map_regions.csv.",
            draw_region_bars(
                own.rename(columns={"test_animal": "animal"}),
                control.rename(columns={"test_animal": "animal"}),
                groups or None,
            ),
        )


def _of_squares(values: RunValues, name: str) -> Iterator[PageFigure]:
    for k, ((condition, kind), found) in enumerate(values.maps.items()):
        if found.axes == ("row", "column"):
            signed = found.absolute if found.signed is None else found.signed
            yield PageFigure(
                f"squares-{k + 1}",
                "maps",
                f"Map “{kind}” of “{condition}”: what covering costs",
                "Score of the whole image less that with squares covered; each cell is the mean "
                "of the squares that cover it. Borders that cost as much as cortex are a warning.",
                f"{signed.shape[0]} by {signed.shape[1]} cells, the largest {np.max(signed):.3f}.",
                draw_square_map(signed, found.unit, next(iter(values.mean_images.values()), None)),
            )


def _of_correlations(values: RunValues, name: str) -> Iterator[PageFigure]:
    table = values.table("region_correlations")
    if table.empty or table["pearson_r"].isna().all():
        return
    yield PageFigure(
        "correlations",
        "maps",
        "Correlation of each region with behaviour",
        "Frame by frame, without a decoder. A region that correlates need not be read, and one "
        "that is read need not correlate.",
        "Pearson correlations by region and animal; the numbers stand in region_correlations.csv.",
        draw_correlations(table),
    )
