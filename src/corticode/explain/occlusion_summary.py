"""What covering costs over animals: means, intervals, and p by the largest of a map."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.errors import DataError
from corticode.evaluate.intervals import FLIPS, MOST_FLIPPED, ROUNDING, interval
from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.explain.masks import SquareGrid, cells_of_squares

FLIPS_AT_ONCE = 4096


@dataclass(frozen=True)
class OcclusionSummary:
    """What covering costs, over animals: sessions, then decoders averaged within each.

    Parameters
    ----------
    items
        Names of the masks, or of the map's cells in the order of their values laid flat.
    animals
        Names of the animals.
    baseline
        The uncovered score of each animal, shape (animal,).
    values
        Uncovered less covered score, shape (animal, mask) or (animal, cell down, cell across).
    mean, low, high
        Mean over animals and its 95 % t interval; NaN ends with one animal. Shape as one animal's.
    p
        How often the largest of all items is at least as large when animals' signs are flipped:
        see `max_sign_flip_test`. Shape as one animal's.
    smallest_p
        The smallest p that so many animals can give.
    note
        The test in words.
    thinning_se
        Standard error of the mean that comes of decoding a share of the windows only, at most: the
        errors of squares over one cell, and of decoders of one animal, may go together. 0 where
        all were decoded; NaN where it is not known. Shape as one animal's.
    outside_brain
        True where no pixel lies in the brain: a control. Shape as one animal's.
    """

    items: tuple[str, ...]
    animals: tuple[str, ...]
    baseline: NDArray[np.float64]
    values: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p: NDArray[np.float64]
    smallest_p: float
    note: str
    thinning_se: NDArray[np.float64]
    outside_brain: NDArray[np.bool_]


def summarise_masks(tables: Sequence[pd.DataFrame]) -> OcclusionSummary:
    """What covering each mask costs, over animals.

    Parameters
    ----------
    tables
        The `sessions` of each decoder's `Occlusion`, one a fold and seed, all under the same
        masks. Sessions weigh alike within a decoder, decoders within an animal.

    Raises
    ------
    DataError
        No table, or tables of different masks.

    Examples
    --------
    >>> def decoder(animal, scores):
    ...     return pd.DataFrame({"mask": ["limb", "other"], "animal": animal, "session": "a",
    ...         "auc": 0.9, "auc_covered": 0.9 - np.array(scores), "score": scores,
    ...         "thinning_se": 0.0, "outside_brain": False})
    >>> found = summarise_masks([decoder("m1", [0.2, 0.0]), decoder("m2", [0.1, 0.0])])
    >>> found.mean.round(3).tolist(), found.p.tolist(), found.smallest_p
    ([0.15, 0.0], [0.25, 1.0], 0.25)
    """
    found = _by_animal(tables)
    return _summary(found, found.masks, found.values, found.errors, found.outside)


def summarise_squares(tables: Sequence[pd.DataFrame], grid: SquareGrid) -> OcclusionSummary:
    """The map of squares, over animals: each cell is the mean of the squares that cover it.

    Parameters
    ----------
    tables
        As for `summarise_masks`, under `corticode.explain.masks.square_masks` of the grid.
    grid
        The squares.

    Raises
    ------
    DataError
        No table, or tables of different masks.
    StudyError
        Not as many masks as squares.
    """
    found = _by_animal(tables)
    values, errors = (cells_of_squares(part, grid) for part in (found.values, found.errors))
    # All squares that cover the cell lie outside.
    outside = cells_of_squares(found.outside.astype(np.float64), grid) == 1
    down, across = grid.shape
    names = tuple(f"cell {i + 1}-{j + 1}" for i in range(down) for j in range(across))
    return _summary(found, names, values, errors, outside)


@dataclass(frozen=True)
class _ByAnimal:
    """Uncovered scores (animal,), what covering cost and its error (animal, mask), controls."""

    masks: tuple[str, ...]
    animals: tuple[str, ...]
    baseline: NDArray[np.float64]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    outside: NDArray[np.bool_]


def _by_animal(tables: Sequence[pd.DataFrame]) -> _ByAnimal:
    if not tables:
        raise DataError("there is no table to summarise; give one a decoder")
    masks = tuple(dict.fromkeys(tables[0]["mask"]))
    baselines: dict[str, list[float]] = {}
    costs: dict[str, list[NDArray[np.float64]]] = {}
    errors: dict[str, list[NDArray[np.float64]]] = {}
    for table in tables:
        if tuple(dict.fromkeys(table["mask"])) != masks:
            raise DataError(
                "the tables are of different masks, or of the same in another order; summarise "
                "those of one list of masks"
            )
        metric = "auc" if "auc" in table else "r2"
        for animal, rows in table.groupby("animal", sort=False):
            by_mask = rows.groupby("mask", sort=False)[[metric, "score"]].mean().loc[list(masks)]
            baselines.setdefault(str(animal), []).append(float(by_mask[metric].iloc[0]))
            costs.setdefault(str(animal), []).append(by_mask["score"].to_numpy(np.float64))
            errors.setdefault(str(animal), []).append(_thinning_errors(rows, masks))
    animals = tuple(costs)
    first = tables[0].drop_duplicates("mask")
    return _ByAnimal(
        masks,
        animals,
        np.array([np.mean(baselines[animal]) for animal in animals]),
        np.array([np.mean(costs[animal], axis=0) for animal in animals]),
        np.array([np.mean(errors[animal], axis=0) for animal in animals]),
        first["outside_brain"].to_numpy(np.bool_),
    )


def _thinning_errors(rows: pd.DataFrame, masks: Sequence[str]) -> NDArray[np.float64]:
    """Of the mean over one decoder's sessions, which were thinned apart; shape (mask,)."""
    # A session whose error is not known leaves that of the mean unknown.
    of_mask = {
        mask: float(np.linalg.norm(errors) / errors.size)
        for mask, errors in rows.groupby("mask", sort=False)["thinning_se"]
    }
    return np.array([of_mask[mask] for mask in masks])


def _summary(
    found: _ByAnimal,
    items: tuple[str, ...],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    outside: NDArray[np.bool_],
) -> OcclusionSummary:
    animals, shape = found.animals, values.shape[1:]
    flat = values.reshape(len(animals), -1)
    ends = [interval(of_item) for of_item in flat.T]
    smallest = smallest_max_p(len(animals))
    note = (
        f"one-sided sign-flip over {len(animals)} animals of the largest of {flat.shape[1]}; the "
        f"smallest p that so many animals can give is {smallest:.2g}"
    ) + ", so that 0.05 cannot be reached" * (smallest > 0.05)
    return OcclusionSummary(
        items,
        animals,
        found.baseline,
        values,
        values.mean(axis=0),
        np.array([end.low for end in ends]).reshape(shape),
        np.array([end.high for end in ends]).reshape(shape),
        max_sign_flip_test(flat).reshape(shape),
        smallest,
        note,
        np.sqrt(np.sum(errors**2, axis=0)) / len(animals),
        outside,
    )


def max_sign_flip_test(values: NDArray[np.floating], *, seed: int = 0) -> NDArray[np.float64]:
    """One-sided p of each item of a map, corrected for all by the largest of them.

    Were nothing needed, an animal's whole map would be as likely with the other sign. Every choice
    of signs of the animals (above 16 animals, 99,999 drawn ones and the observed) gives a mean map
    and its largest item; p is the share of choices in which that is at least as large as the item.

    Parameters
    ----------
    values
        Shape (animal, item); above 0 where an item is needed.
    seed
        Of the draws, where there are any.

    Returns
    -------
    NDArray
        Shape (item,); never below `smallest_max_p`.

    References
    ----------
    Nichols and Holmes (2002), doi:10.1002/hbm.1058 (the maximum over a map).

    Examples
    --------
    >>> max_sign_flip_test(np.array([[0.3, 0.0], [0.2, 0.1], [0.3, -0.1]])).tolist()
    [0.125, 0.875]
    """
    n_animals = len(values)
    n_flips = 2**n_animals if n_animals <= MOST_FLIPPED else FLIPS + 1
    rng = np.random.default_rng(seed)
    largest = []
    for first in range(0, n_flips, FLIPS_AT_ONCE):
        choice = np.arange(first, min(first + FLIPS_AT_ONCE, n_flips))
        if n_animals <= MOST_FLIPPED:
            flipped = choice[:, None] >> np.arange(n_animals) & 1
        else:
            flipped = rng.integers(2, size=(choice.size, n_animals))
            flipped[choice == 0] = 0
        largest.append(((1 - 2 * flipped) @ values / n_animals).max(axis=1))
    ordered = np.sort(np.concatenate(largest))
    # The means of one set of values in another order differ by rounding.
    least = values.mean(axis=0) - ROUNDING * np.abs(values).max()
    return np.asarray((n_flips - np.searchsorted(ordered, least, side="left")) / n_flips)


def smallest_max_p(n_animals: int) -> float:
    """The smallest p that `max_sign_flip_test` can give with so many animals.

    Examples
    --------
    >>> smallest_max_p(5)
    0.03125
    """
    return 1 / 2**n_animals if n_animals <= MOST_FLIPPED else 1 / (FLIPS + 1)


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
    by_animal = [_mean_part(animal, [p for a, p in parts if a == animal]) for animal in animals]
    classes = [_class_parts(found) for _, _, found in maps]
    whole = _mean_part("", by_animal)
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
            _mean_part(name, [part for of in classes for part in of if part.name == name])
            for name in dict.fromkeys(part.name for of in classes for part in of)
        ),
        by_animal=tuple(by_animal),
        by_decoder=tuple(part for _, part in parts),
        details={"n_decoders": len(maps), "unit_of_decoders": first.unit},
        findings=tuple(dict.fromkeys(line for _, _, found in maps for line in found.findings)),
    )


def _mean_part(name: str, parts: Sequence[MapPart]) -> MapPart:
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
