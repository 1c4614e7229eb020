"""What the page's viewers are given: sessions, maps and a movie, small enough to be sent."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap
from corticode.report.canvas import DIVERGING, SEQUENTIAL, colours_of_map
from corticode.report.map_figures import Line, outlines_of
from corticode.report.values import MovieClip, RunValues, SessionTrace, ShownClip, is_permuted

# Of text, all sessions together: more would leave no room for figures.
LARGEST = 8_000_000


MISSING, STEPS = 255, 254


MOST_MAPS = 24


LONGEST_SIDE = 96


# Pixels times pictures: a minute of 96 x 96 pixels at five a second has room.
MOST_VALUES = 3_000_000


FASTEST_HZ = 10.0


# Changes beyond this percentile of all are shown as it: one bright pixel may not take the contrast.
SHOWN_PERCENTILE = 99.0


def pack_traces(
    traces: Sequence[SessionTrace], largest: int = LARGEST
) -> tuple[list[dict[str, Any]], int]:
    """Traces as plain values for JSON, and how many had no room.

    Values are 8-bit: steps of 1/254 of their range, 255 where there is none.

    Parameters
    ----------
    traces
        Sessions; those of the first conditions come first.
    largest
        Bytes of text that they may take, all together.

    Returns
    -------
    list of dict
        condition, animal, session, first_frame, rate_hz, kind, auc and, under ``score``,
        ``target`` and (where known) ``speed``: low, high and base64 of the bytes.
    int
        Sessions left out because the text would have passed that.

    Examples
    --------
    >>> trace = SessionTrace("gru", "m1", "a", 15, np.zeros(3, "f4"), np.ones(3, "f4"))
    >>> packed, n_left_out = pack_traces([trace])
    >>> packed[0]["target"], n_left_out
    ({'low': 0.0, 'high': 1.0, 'bytes': '/v7+'}, 0)
    """
    packed: list[dict[str, Any]] = []
    size = 0
    for trace in traces:
        one = _pack(trace)
        size += sum(len(part["bytes"]) for part in one.values() if isinstance(part, dict))
        if size > largest:
            break
        packed.append(one)
    return packed, len(traces) - len(packed)


def _pack(trace: SessionTrace) -> dict[str, Any]:
    is_probability = trace.kind != "value"
    low, high = (0.0, 1.0) if is_probability else _ends_of(trace.score, trace.target)
    classes = (0.0, max(1.0, _ends_of(trace.target)[1]))
    found: dict[str, Any] = {
        "condition": trace.condition,
        "animal": trace.animal,
        "session": trace.session,
        "first_frame": trace.first_frame,
        "rate_hz": trace.frame_rate_hz,
        "kind": trace.kind,
        "auc": None if np.isnan(trace.auc) else round(trace.auc, 4),
        "score": _pack_values(trace.score, low, high),
        "target": _pack_values(trace.target, *(classes if is_probability else (low, high))),
    }
    if trace.of_trials:
        found["unit"] = trace.unit
    if trace.speed is not None:
        found["speed"] = _pack_values(trace.speed, *_ends_of(trace.speed))
    return found


def _ends_of(*several: NDArray[np.floating]) -> tuple[float, float]:
    """The least and the largest finite value; 0 and 1 without any.

    Examples
    --------
    >>> _ends_of(np.array([3.0, np.nan]), np.array([[-1.0]]))
    (-1.0, 3.0)
    """
    values = np.concatenate([one.ravel() for one in several])
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def _pack_values(values: NDArray[np.floating], low: float, high: float) -> dict[str, Any]:
    """Values as 8 bits each: low, high and base64 of the bytes, 255 where there is none.

    Parameters
    ----------
    values
        Shape (value,); those beyond the ends are shown as the ends.
    low, high
        What the bytes 0 and 254 stand for.

    Examples
    --------
    >>> _pack_values(np.array([0.0, 0.5, 1.0, np.nan]), 0.0, 1.0)["bytes"]
    'AH/+/w=='
    """
    scaled = (values.astype(np.float64) - low) / ((high - low) or 1.0) * STEPS
    rounded = np.where(np.isfinite(scaled), np.clip(np.round(scaled), 0, STEPS), MISSING)
    text = base64.b64encode(rounded.astype(np.uint8).tobytes()).decode("ascii")
    return {"low": low, "high": high, "bytes": text}


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
        "maps": [_pack_map(values, *key, found) for key, found in shown[:MOST_MAPS]],
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


def _pack_map(values: RunValues, condition: str, name: str, found: ImportanceMap) -> dict[str, Any]:
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
    low, high = (-reach, reach) if is_signed else (0.0, _ends_of(laid)[1] or 1.0)
    packed["grid"] = {"rows": laid.shape[0], "columns": laid.shape[1]}
    packed["grid"] |= _pack_values(laid.ravel(), low, high)
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


def cut_clip(
    movie: NDArray[Any], first_frame: int, n_frames: int, frame_rate_hz: float | None = None
) -> MovieClip:
    """A clip of at most 96 pixels a side, at most 10 pictures a second and 3 million values.

    Parameters
    ----------
    movie
        (frame, row, column), any unit; may be memory-mapped: only the clip's frames are read.
    first_frame, n_frames
        Which part of it; cut to what there is. Frames at the end that do not fill a picture are
        left out.
    frame_rate_hz
        Frames per second; None where it is not known.

    Raises
    ------
    DataError
        There is no such part.

    Examples
    --------
    >>> movie = np.full((40, 4, 6), 50, np.uint16)
    >>> movie[20:] = 150
    >>> clip = cut_clip(movie, 0, 40, 20.0)
    >>> clip.changes.shape, clip.changes[[0, -1], 0, 0].tolist(), clip.rate_hz
    ((20, 4, 6), [-50.0, 50.0], 10.0)
    """
    stop = min(first_frame + n_frames, len(movie))
    if not 0 <= first_frame < stop:
        raise DataError(
            f"a movie of {len(movie)} frames has no frames from {first_frame} on; give a place "
            "before its end"
        )
    side = -(-max(movie.shape[1:]) // LONGEST_SIDE)
    shape = [-(-n_pixels // side) for n_pixels in movie.shape[1:]]
    n = stop - first_frame
    step = max(1, -(-n * int(np.prod(shape)) // MOST_VALUES))
    step = min(n, max(step, int(np.ceil((frame_rate_hz or 0) / FASTEST_HZ))))
    pictures = np.stack(
        [
            _picture(movie[start : start + step], side)
            for start in range(first_frame, stop - step + 1, step)
        ]
    )
    known = np.isfinite(pictures)
    mean = np.where(known, pictures, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        changes = np.where(mean != 0, 100 * (pictures - mean) / np.abs(mean), np.nan)
    return MovieClip(
        changes.astype(np.float32),
        np.where(known.any(axis=0), mean, np.nan).astype(np.float32),
        first_frame,
        step,
        side,
        None if frame_rate_hz is None else frame_rate_hz / step,
    )


def _picture(frames: NDArray[Any], side: int) -> NDArray[np.float64]:
    """The mean of some frames over squares of pixels; those at the edges may be smaller."""
    values = frames.astype(np.float64)
    finite = np.isfinite(values)
    totals = np.where(finite, values, 0).sum(axis=0), finite.sum(axis=0).astype(np.float64)
    for axis in (0, 1):
        starts = np.arange(0, frames.shape[1 + axis], side)
        totals = (
            np.add.reduceat(totals[0], starts, axis=axis),
            np.add.reduceat(totals[1], starts, axis=axis),
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(totals[0] / totals[1])


def pack_clip(shown: ShownClip) -> dict[str, Any]:
    """A clip as plain values for JSON.

    Returns
    -------
    dict
        animal, session, condition, kind, why, rows, columns, first_frame, step (frames a picture),
        side (pixels a pixel), rate_hz (of frames), palette (256 colours of changes); ``changes``
        (picture by picture, row by row), ``mean`` and, a value a picture, ``score`` and
        ``target``: low, high and base64 of 8-bit values, 255 where there is none. `score` and
        `target` are means over a picture's frames.

    Examples
    --------
    >>> clip = MovieClip(np.zeros((2, 3, 4), "f4"), np.ones((3, 4), "f4"), 0, 5, 1, 2.0)
    >>> trace = SessionTrace("cnn", "m1", "a", 1, np.ones(9, "f4"), np.zeros(9, "f4"))
    >>> packed = pack_clip(ShownClip(clip, trace, "asked for"))
    >>> packed["rows"], packed["columns"], packed["score"]["bytes"], packed["target"]["bytes"]
    (3, 4, '/v4=', 'AAA=')
    """
    clip, trace = shown.clip, shown.trace
    _, rows, columns = clip.changes.shape
    known = np.abs(clip.changes[np.isfinite(clip.changes)])
    reach = float(np.percentile(known, SHOWN_PERCENTILE)) if known.size else 0.0
    darkest, brightest = _ends_of(clip.mean)
    said, was = (_by_picture(values, trace, clip) for values in (trace.score, trace.target))
    low, high = (0.0, 1.0) if trace.kind != "value" else _ends_of(said, was)
    top = max(1.0, _ends_of(was)[1]) if trace.kind == "classes" else high
    return {
        "animal": trace.animal,
        "session": trace.session,
        "condition": trace.condition,
        "kind": trace.kind,
        "why": shown.why,
        "rows": rows,
        "columns": columns,
        "first_frame": clip.first_frame,
        "step": clip.frames_a_picture,
        "side": clip.pixels_a_side,
        "rate_hz": trace.frame_rate_hz,
        "palette": colours_of_map(DIVERGING),
        "changes": _pack_values(clip.changes.ravel(), -(reach or 1.0), reach or 1.0),
        "mean": _pack_values(clip.mean.ravel(), darkest, brightest),
        "score": _pack_values(said, low, high),
        "target": _pack_values(was, low, top),
    }


def _by_picture(
    values: NDArray[np.float32], trace: SessionTrace, clip: MovieClip
) -> NDArray[np.float32]:
    """Means over the frames of each picture; NaN where none of them has a value."""
    laid = np.full(clip.n_frames, np.nan, np.float32)
    first = trace.first_frame - clip.first_frame
    rows = slice(max(first, 0), max(min(first + values.size, laid.size), 0))
    laid[rows] = values[rows.start - first : rows.stop - first]
    table = laid.reshape(-1, clip.frames_a_picture)
    n_known = np.isfinite(table).sum(axis=1)
    total = np.nansum(table, axis=1)
    if trace.kind == "classes":
        # A mean of classes is none: the picture's middle frame tells.
        return np.asarray(table[:, clip.frames_a_picture // 2])
    return np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan).astype(np.float32)
