"""What the page's viewer of maps is given: values, intervals and outlines, read out one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from corticode.explain.importance_map import ImportanceMap
from corticode.report.canvas import DIVERGING, SEQUENTIAL, colours_of_map
from corticode.report.page_values import RunValues, is_permuted
from corticode.report.region_outlines import Line, outlines_of
from corticode.report.viewer import ends_of, pack_values

MOST_MAPS = 24


def pack_maps(values: RunValues) -> tuple[dict[str, Any], int]:
    """Every map of a run as plain values for JSON, and how many had no room.

    Returns
    -------
    dict
        ``maps``: title, unit, kind (``"regions"`` or ``"cells"``), items (name, value, low, high,
        group, each in the order of the map; value and ends None where there are none), n_animals,
        is_signed and, where the map is over frames, ``frames`` (label of each), and ``grid``: rows,
        columns, low, high and base64 of 8-bit values, row by row (regions down, frames across).
        ``outlines``: by region an SVG path. ``box``: its view box. ``palettes``: 256 colours each,
        of maps without and with a sign. ``words``: where outlines come from. Empty without maps.
    int
        Maps left out: the page shows the first 24 that are not of controls.

    Examples
    --------
    >>> pack_maps(RunValues("run"))
    ({}, 0)
    """
    shown = [
        (key, found)
        for key, found in values.maps.items()
        if found.axes != ("frame", "row", "column") and not is_permuted(values.condition(key[0]))
    ]
    if not shown:
        return {}, 0
    outlines = outlines_of(values.regions, values.region_labels)
    lines = {} if outlines is None else dict(outlines.lines)
    return {
        "maps": [_pack(values, *key, found) for key, found in shown[:MOST_MAPS]],
        "outlines": {name: svg_path(own) for name, own in lines.items()},
        "box": _view_box(lines),
        "palettes": [colours_of_map(SEQUENTIAL), colours_of_map(DIVERGING)],
        "words": "" if outlines is None else outlines.words,
    }, len(shown) - len(shown[:MOST_MAPS])


def svg_path(lines: Sequence[Line]) -> str:
    """Closed lines as the path of an SVG, to a tenth of a pixel.

    Examples
    --------
    >>> svg_path([np.array([[0.0, 1.0], [0.0, 2.0], [3.0, 2.0]])])
    'M1 0L2 0L2 3Z'
    """
    return "".join(
        "M" + "L".join(f"{column:.4g} {row:.4g}" for row, column in line.round(1) + 0.0) + "Z"
        for line in lines
    )


def _view_box(lines: Mapping[str, Sequence[Line]]) -> str:
    if not lines:
        return ""
    every = np.concatenate([line for own in lines.values() for line in own])
    (top, left), (bottom, right) = every.min(axis=0) - 2, every.max(axis=0) + 2
    return f"{left:.4g} {top:.4g} {right - left:.4g} {bottom - top:.4g}"


def _pack(values: RunValues, condition: str, name: str, found: ImportanceMap) -> dict[str, Any]:
    is_cells = found.axes == ("row", "column")
    is_signed = found.kind == "occlusion"
    grid = found.signed if is_signed and found.signed is not None else found.absolute
    names = _cell_names(grid.shape) if is_cells else list(found.names)
    table = _told(values, condition, name, names)
    groups = (
        dict(zip(values.regions["name"].astype(str), values.regions["group"], strict=True))
        if not values.regions.empty and not is_cells
        else {}
    )
    packed: dict[str, Any] = {
        "title": f"{name} of {condition}",
        "unit": "share of the map" if found.unit == "share" else f"loss of {found.unit}",
        "kind": "cells" if is_cells else "regions",
        "is_signed": is_signed,
        "items": [
            [
                one,
                *(_plain(table.loc[one, key]) for key in ("value", "low", "high")),
                _group(groups, one),
            ]
            for one in names
        ],
        "n_animals": int(table["n_animals"].max()) if table["n_animals"].notna().any() else None,
    }
    if len(found.axes) == 1:
        return packed
    laid = grid if is_cells else grid.T
    reach = float(np.abs(laid).max()) or 1.0
    low, high = (-reach, reach) if is_signed else (0.0, ends_of(laid)[1] or 1.0)
    packed["grid"] = {"rows": laid.shape[0], "columns": laid.shape[1]}
    packed["grid"] |= pack_values(laid.ravel(), low, high)
    if not is_cells:
        rate = found.frame_rate_hz
        packed["frames"] = [
            f"{k:+d}" + (f" ({k / rate:+.2f} s)" if rate else "") for k in found.frames
        ]
    return packed


def _told(values: RunValues, condition: str, name: str, items: Sequence[str]) -> pd.DataFrame:
    """Value, ends of the interval and animals of each item, from the run's own tables."""
    for source, item, value in (("map_regions", "region", "share"), ("occlusion", "mask", "score")):
        table = values.table(source)
        if table.empty:
            continue
        own = table[(table["condition"] == condition) & (table["map"] == name)]
        if len(own):
            renamed = own.rename(columns={item: "item", value: "value"})
            renamed["item"] = renamed["item"].astype(str)
            kept = renamed.drop_duplicates("item").set_index("item")
            return kept.reindex(list(items), columns=["value", "low", "high", "n_animals"])
    return pd.DataFrame(np.nan, list(items), ["value", "low", "high", "n_animals"])


def _cell_names(shape: tuple[int, ...]) -> list[str]:
    return [f"cell {i + 1}-{j + 1}" for i in range(shape[0]) for j in range(shape[1])]


def _group(groups: Mapping[str, str], name: str) -> str:
    group = str(groups.get(name, ""))
    return "" if group == "none" else group


def _plain(value: Any) -> float | None:
    number = float(value)
    return float(f"{number:.4g}") if np.isfinite(number) else None
