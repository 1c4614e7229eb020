"""Contributions to single windows' outputs, and their averages over windows: a map."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.windows import Recipe, Windows
from corticode.explain.importance_map import ImportanceMap, MapPart


@dataclass(frozen=True)
class Contributions:
    """What each part of the input adds to the outputs of some windows.

    Parameters
    ----------
    values
        (window, frame, region), or, of movies, (window, frame, row, column).
    outputs
        The decoder's output for each window, (window,).
    baseline
        The mean output over the background, from which the contributions start.
    additivity_error
        Largest |sum of contributions - (output - baseline)| over the windows, as a share of the
        largest |output - baseline|.
    """

    values: NDArray[np.float32]
    outputs: NDArray[np.float64]
    baseline: float
    additivity_error: float


def additivity_error(sums: NDArray[np.float64], differences: NDArray[np.float64]) -> float:
    """Largest |sum - difference| as a share of the largest |difference|; 0 where both are 0.

    Parameters
    ----------
    sums
        Of the contributions to each window, (window,).
    differences
        Each window's output minus the mean output over the background, (window,).

    Examples
    --------
    >>> additivity_error(np.array([1.0, 2.5]), np.array([1.0, 2.0]))
    0.25
    """
    error = float(np.abs(sums - differences).max())
    scale = float(np.abs(differences).max())
    return 0.0 if error == 0 else error / scale if scale > 0 else float("inf")


class _Sums:
    """Running sums of contributions and of their absolute values."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.signed, self.absolute = np.zeros(shape), np.zeros(shape)
        self.n_windows = 0

    def add(self, values: NDArray[np.float32]) -> None:
        self.signed += values.sum(axis=0, dtype=np.float64)
        self.absolute += np.abs(values).sum(axis=0, dtype=np.float64)
        self.n_windows += values.shape[0]

    def part(self, name: str) -> MapPart:
        n_windows = self.n_windows
        return MapPart(name, n_windows, self.signed / n_windows, self.absolute / n_windows)


def average_contributions(
    blocks: Iterable[NDArray[np.float32]],
    explained: Windows,
    *,
    kind: str,
    unit: str,
    baseline: float,
    details: Mapping[str, Any],
) -> ImportanceMap:
    """The map that contributions to single windows average to.

    Parameters
    ----------
    blocks
        Contributions in the order of the windows, (window, frame, region) or (window, frame, row,
        column); one block at a time is held.
    explained
        The windows; class and animal of each say which parts of the map it belongs to.
    kind, unit, baseline, details
        As the map has them.

    Returns
    -------
    ImportanceMap
        Means over all windows, and apart for each class and animal.
    """
    recipe = explained.recipe
    classes = _class_names(recipe)
    sums: dict[tuple[str, str], _Sums] = {}
    first = 0
    for values in blocks:
        rows = slice(first, first + values.shape[0])
        first = rows.stop
        of_class, of_animal = explained.target[rows], explained.animal[rows]
        members = {("all", ""): np.ones(values.shape[0], dtype=np.bool_)}
        members |= {("class", name): of_class == k for k, name in enumerate(classes)}
        members |= {
            ("animal", name): of_animal == k for k, name in enumerate(explained.animal_names)
        }
        for key, chosen in members.items():
            if chosen.any():
                sums.setdefault(key, _Sums(values.shape[1:])).add(values[chosen])
    whole = sums["all", ""].part("")
    over_regions = whole.absolute.ndim == 2
    reach = recipe.window.before + recipe.margin
    return ImportanceMap(
        kind,
        unit,
        ("frame", "region") if over_regions else ("frame", "row", "column"),
        whole.absolute,
        whole.signed,
        baseline,
        whole.n_windows,
        names=recipe.regions if over_regions else (),
        frames=tuple(range(-reach, recipe.n_frames - reach)),
        frame_rate_hz=recipe.frame_rate_hz,
        by_class=_parts(sums, "class", classes),
        by_animal=_parts(sums, "animal", explained.animal_names),
        details=details,
    )


def _parts(
    sums: Mapping[tuple[str, str], _Sums], group: str, names: tuple[str, ...]
) -> tuple[MapPart, ...]:
    return tuple(sums[group, name].part(name) for name in names if (group, name) in sums)


def _class_names(recipe: Recipe) -> tuple[str, ...]:
    """Names of the classes of windows; of a binary target such as ``run = 1``."""
    if recipe.target.kind == "binary":
        return tuple(f"{recipe.target.signal} = {name}" for name in ("0", "1"))
    return recipe.classes
