"""The figures of a page that show images, maps and regions."""

from collections.abc import Iterator

import numpy as np

from corticode.report.headline import permuted_twins
from corticode.report.image_figures import (
    draw_mask_costs,
    draw_mean_images,
    draw_session_maps,
    draw_square_map,
)
from corticode.report.map_figures import (
    draw_correlations,
    draw_group_layout,
    draw_heat_map,
    draw_region_bars,
)
from corticode.report.page_figure import PageFigure
from corticode.report.page_values import RunValues, is_permuted
from corticode.report.region_outlines import RegionOutlines, outlines_of

# Of the same kind; the others stand in the tables, and each with its figure where one asks for it.
MOST_MAPS = 8


def images_and_maps(values: RunValues, name: str) -> Iterator[PageFigure]:
    """Mean images, maps over regions and over squares, correlations: those that there are.

    Parameters
    ----------
    values
        The run.
    name
        The condition the page is about.
    """
    outlines = outlines_of(values.regions, values.region_labels)
    yield from _of_images(values, outlines)
    yield from _of_layout(values, outlines)
    yield from _of_maps(values)
    yield from _of_shares(values)
    yield from _of_squares(values, outlines)
    yield from _of_masks(values)
    yield from _of_correlations(values)


def _of_images(values: RunValues, outlines: RegionOutlines | None) -> Iterator[PageFigure]:
    if not values.mean_images:
        return
    yield PageFigure(
        "images",
        "sessions",
        "Are sessions and animals aligned?",
        "Mean image of each session (the first six of an animal). Vessels and borders should lie "
        f"in the same place. {_outline_words(values, outlines)}",
        f"Mean images of {len(values.mean_images)} sessions.",
        draw_mean_images(values.mean_images, outlines),
    )


def _outline_words(values: RunValues, outlines: RegionOutlines | None) -> str:
    """Where the outlines over mean images come from, or why there are none."""
    if outlines is None:
        return (
            "Where regions lie is not known: give [data] regions (with centres) or region_image "
            "for outlines."
        )
    if any(outlines.on(image.shape) for image in values.mean_images.values()):
        return outlines.words
    return "Some centres lie outside these images, so that no region is drawn: they are of others."


def _of_layout(values: RunValues, outlines: RegionOutlines | None) -> Iterator[PageFigure]:
    if outlines is None or values.regions.empty:
        return
    n_groups = values.regions["group"].nunique()
    yield PageFigure(
        "layout",
        "maps",
        "Where the regions lie",
        f"Regions in the colour of their group. {outlines.words}",
        f"{len(values.regions)} regions in {n_groups} groups.",
        draw_group_layout(values.regions, outlines=outlines),
    )


def _of_maps(values: RunValues) -> Iterator[PageFigure]:
    # Maps of controls stand beside those of what they control, as lines.
    shown = [
        (key, found)
        for key, found in values.maps.items()
        if found.axes == ("frame", "region") and not is_permuted(values.condition(key[0]))
    ]
    for k, ((condition, kind), found) in enumerate(shown[:MOST_MAPS]):
        yield PageFigure(
            f"map-{k + 1}",
            "maps",
            f"Map “{kind}” of “{condition}”: regions over time",
            "Share of the map's total that each region holds at each frame of the window, mean "
            "over animals." + _others(len(shown), k),
            "Heat map of regions by frames of the window; the shares stand in map_regions.csv.",
            draw_heat_map(found),
        )


def _others(n_maps: int, k: int) -> str:
    """A word at the last figure that is shown on those that are not."""
    if k + 1 < MOST_MAPS or n_maps <= MOST_MAPS:
        return ""
    return f" {n_maps - MOST_MAPS} more maps of this kind are not drawn; their tables are below."


def _of_shares(values: RunValues) -> Iterator[PageFigure]:
    shares = values.table("map_shares")
    if shares.empty:
        return
    groups = {}
    if not values.regions.empty:
        groups = dict(zip(values.regions["name"], values.regions["group"], strict=True))
    by_map = [
        (str(whose), str(what), own)
        for (whose, what), own in shares.groupby(["condition", "map"], sort=False)
        if not is_permuted(values.condition(str(whose)))
    ]
    for k, (condition, kind, own) in enumerate(by_map[:MOST_MAPS]):
        twins = permuted_twins(values, condition)
        control = shares[shares["condition"].isin(twins) & (shares["map"] == kind)]
        yield PageFigure(
            f"regions-{k + 1}",
            "maps",
            f"Map “{kind}” of “{condition}”: share of each region",
            "Bars: mean over animals, dots: animals."
            + _others(len(by_map), k)
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


def _of_squares(values: RunValues, outlines: RegionOutlines | None) -> Iterator[PageFigure]:
    shown = [(key, found) for key, found in values.maps.items() if found.axes == ("row", "column")]
    for k, ((condition, kind), found) in enumerate(shown[:MOST_MAPS]):
        signed = found.absolute if found.signed is None else found.signed
        whose, image = next(iter(values.mean_images.items()), ("", None))
        over = f" Over the mean image of {whose}. {_outline_words(values, outlines)}"
        yield PageFigure(
            f"squares-{k + 1}",
            "maps",
            f"Map “{kind}” of “{condition}”: what covering costs",
            "Score of the whole image less that with squares covered; each cell is the mean "
            "of the squares that cover it. Borders that cost as much as cortex are a warning."
            + (over if image is not None else "")
            + _others(len(shown), k),
            f"{signed.shape[0]} by {signed.shape[1]} cells, the largest {np.max(signed):.3f}.",
            draw_square_map(signed, found.unit, image, outlines),
        )
        by_session = values.session_maps.get((condition, kind), {})
        if len(by_session) > 1:
            yield PageFigure(
                f"squares-{k + 1}-sessions",
                "maps",
                f"Map “{kind}” of “{condition}”: session by session",
                "The same in each session (the first six of an animal), decoders averaged, in one "
                "scale. What is cortex should come again in most of them.",
                f"Maps of {len(by_session)} sessions.",
                draw_session_maps(by_session, found.unit),
            )


def _of_masks(values: RunValues) -> Iterator[PageFigure]:
    """Costs of masks that are no squares: limb squares, circles, regions, images of one's own."""
    table = values.table("occlusion")
    if table.empty:
        return
    own = table[~table["mask"].str.fullmatch(r"cell \d+-\d+")]
    for k, ((condition, kind), rows) in enumerate(own.groupby(["condition", "map"], sort=False)):
        if k == MOST_MAPS:
            break
        yield PageFigure(
            f"masks-{k + 1}",
            "maps",
            f"Map “{kind}” of “{condition}”: what covering each part costs",
            "Score of the whole input less that with a part covered: mean over animals and its t "
            "interval" + (", the first 40 parts." if len(rows) > 40 else "."),
            f"Costs of {len(rows)} parts; the numbers stand in occlusion.csv.",
            draw_mask_costs(rows),
        )


def _of_correlations(values: RunValues) -> Iterator[PageFigure]:
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
