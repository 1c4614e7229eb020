"""The maps of several decoders as one, in which animals weigh alike."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.explain.masks import SquareGrid
from corticode.explain.occlusion_summary import OcclusionSummary


def join_maps(maps: Sequence[tuple[str, str, ImportanceMap]]) -> ImportanceMap:
    """One map over decoders: of each test animal the mean of its decoders, then over animals.

    How strongly outputs swing differs between decoders, so that each is first divided by the sum
    of its own |contributions|: values are shares, which may be compared between animals.

    Parameters
    ----------
    maps
        The name of each decoder, its test animal, and its map.

    Returns
    -------
    ImportanceMap
        Its unit is ``"share"``; `by_animal` and `by_decoder` hold the parts.

    Raises
    ------
    DataError
        No map, or maps of different kinds, axes or regions.

    Examples
    --------
    >>> one = ImportanceMap("deep-shap", "logit", ("frame", "region"), np.array([[3.0, 1.0]]),
    ...     names=("1", "2"), frames=(0,))
    >>> other = replace(one, absolute=np.array([[10.0, 30.0]]))
    >>> join_maps([("a", "m1", one), ("b", "m1", one), ("c", "m2", other)]).absolute
    array([[0.5, 0.5]])
    """
    if not maps:
        raise DataError("there is no map to join; give one at least")
    first = maps[0][2]
    kinds = {(m.kind, m.unit, m.axes, m.names, m.frames, m.absolute.shape) for _, _, m in maps}
    if len(kinds) != 1:
        raise DataError("maps of different kinds, units, axes or regions cannot be joined to one")
    parts = [(animal, _share_part(name, found)) for name, animal, found in maps]
    animals = tuple(dict.fromkeys(animal for animal, _ in parts))
    by_animal = [mean_part(animal, [p for a, p in parts if a == animal]) for animal in animals]
    classes = [_class_parts(found) for _, _, found in maps]
    whole = mean_part("", by_animal)
    rate = {found.frame_rate_hz for _, _, found in maps}
    return replace(
        first,
        unit="share",
        absolute=whole.absolute,
        signed=whole.signed,
        baseline=None,
        n_windows=sum(found.n_windows for _, _, found in maps),
        frame_rate_hz=rate.pop() if len(rate) == 1 else None,
        by_class=tuple(
            mean_part(name, [part for of in classes for part in of if part.name == name])
            for name in dict.fromkeys(part.name for of in classes for part in of)
        ),
        by_animal=tuple(by_animal),
        by_decoder=tuple(part for _, part in parts),
        details={"n_decoders": len(maps), "unit_of_decoders": first.unit},
        findings=tuple(dict.fromkeys(line for _, _, found in maps for line in found.findings)),
    )


def mean_part(name: str, parts: Sequence[MapPart]) -> MapPart:
    """The mean of parts, each weighing alike; its sign is known where that of all is."""
    signed = [part.signed for part in parts if part.signed is not None]
    return MapPart(
        name,
        sum(part.n_windows for part in parts),
        np.mean(signed, axis=0) if len(signed) == len(parts) else None,
        np.mean([part.absolute for part in parts], axis=0),
    )


def _share_part(name: str, found: ImportanceMap) -> MapPart:
    total = found.absolute.sum() or 1.0
    signed = None if found.signed is None else found.signed / total
    return MapPart(name, found.n_windows, signed, found.absolute / total)


def _class_parts(found: ImportanceMap) -> list[MapPart]:
    """Parts by class, as shares of the whole map's total."""
    total = found.absolute.sum() or 1.0
    return [
        MapPart(
            part.name,
            part.n_windows,
            None if part.signed is None else part.signed / total,
            part.absolute / total,
        )
        for part in found.by_class
    ]


def map_of_occlusion(
    summary: OcclusionSummary, *, metric: str, names: Sequence[str] = (), grid: SquareGrid | None
) -> ImportanceMap:
    """What covering costs as a map: over the cells of squares, or over masks of traces.

    Parameters
    ----------
    summary
        Over animals.
    metric
        What is lost: ``"auc"`` or ``"r2"``.
    names
        Of the masks, where there is no grid.
    grid
        The squares; None for masks.
    """
    axes = ("row", "column") if grid is not None else ("region",)

    def part(name: str, values: NDArray[np.float64]) -> MapPart:
        return MapPart(name, 0, values, np.abs(values))

    return ImportanceMap(
        "occlusion",
        metric.upper(),
        axes,
        np.abs(summary.mean),
        summary.mean,
        float(summary.baseline.mean()),
        names=tuple(names) if grid is None else (),
        by_animal=tuple(
            part(animal, values)
            for animal, values in zip(summary.animals, summary.values, strict=True)
        ),
        details={"note": summary.note, "smallest_p": summary.smallest_p},
    )
