"""What covering costs over animals: means, intervals, and p by the largest of a map."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.errors import DataError
from corticode.evaluate.intervals import FLIPS, MOST_FLIPPED, ROUNDING, interval
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
    ...         "auc": 0.9, "auc_covered": 0.9 - np.array(scores), "score": scores})
    >>> found = summarise_masks([decoder("m1", [0.2, 0.0]), decoder("m2", [0.1, 0.0])])
    >>> found.mean.round(3).tolist(), found.p.tolist(), found.smallest_p
    ([0.15, 0.0], [0.25, 1.0], 0.25)
    """
    masks, animals, baseline, values = _by_animal(tables)
    return _summary(masks, animals, baseline, values)


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
    _, animals, baseline, values = _by_animal(tables)
    cells = cells_of_squares(values, grid)
    down, across = grid.shape
    names = tuple(f"cell {i + 1}-{j + 1}" for i in range(down) for j in range(across))
    return _summary(names, animals, baseline, cells)


def _by_animal(
    tables: Sequence[pd.DataFrame],
) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Masks, animals, their uncovered scores (animal,) and what covering cost (animal, mask)."""
    if not tables:
        raise DataError("there is no table to summarise; give one a decoder")
    masks = tuple(dict.fromkeys(tables[0]["mask"]))
    baselines: dict[str, list[float]] = {}
    costs: dict[str, list[NDArray[np.float64]]] = {}
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
    animals = tuple(costs)
    return (
        masks,
        animals,
        np.array([np.mean(baselines[animal]) for animal in animals]),
        np.array([np.mean(costs[animal], axis=0) for animal in animals]),
    )


def _summary(
    items: tuple[str, ...],
    animals: tuple[str, ...],
    baseline: NDArray[np.float64],
    values: NDArray[np.float64],
) -> OcclusionSummary:
    shape = values.shape[1:]
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
        baseline,
        values,
        values.mean(axis=0),
        np.array([end.low for end in ends]).reshape(shape),
        np.array([end.high for end in ends]).reshape(shape),
        max_sign_flip_test(flat).reshape(shape),
        smallest,
        note,
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
