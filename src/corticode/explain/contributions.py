"""What every attribution shares: the background, the number that is explained, and averages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from corticode.data.windows import Recipe, Windows
from corticode.decode.decoder import Decoder, count_outputs
from corticode.decode.predict import check_recipe
from corticode.errors import DataError, DecoderError, StudyError
from corticode.explain.importance_map import ImportanceMap, MapPart

N_BACKGROUND = 100
SCALES = ("logit", "probability")


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


def draw_background(
    windows: Windows, n_windows: int = N_BACKGROUND, *, balanced: bool = True, seed: int = 0
) -> Windows:
    """Windows drawn at random, by default as many of each class and of each animal.

    Give the windows that the decoder was trained on: half rest and half run, equal numbers an
    animal. The code of the 2024 study: test windows and ``balanced=False``.

    Parameters
    ----------
    windows
        What to draw from.
    n_windows
        How many, without replacement.
    balanced
        Whether each class, and within it each animal, gives the same number; where that does not
        come out even, one more or less. Of a target that is a value: each animal.
    seed
        Fixes the draw.

    Returns
    -------
    Windows
        In the order in which they were recorded.

    Raises
    ------
    DataError
        There are fewer windows, of all or of an animal and class, than asked.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> session = Session(
    ...     "m1", "a", np.random.default_rng(0).normal(size=(100, 4)), ("1", "2", "3", "4"),
    ...     {"run": np.arange(100) % 20 > 13}, np.zeros(100, np.int32))
    >>> windows = cut_windows([session], Target("run"), WindowShape(5, 5))
    >>> drawn = draw_background(windows, 20)
    >>> drawn.n_windows, float(drawn.target.mean())
    (20, 0.5)
    """
    if n_windows < 1:
        raise DataError(f"{n_windows} background windows are asked for; ask for at least one")
    rng = np.random.default_rng(seed)
    everyone = ("", np.arange(windows.n_windows), n_windows)
    groups = _balanced_groups(windows, n_windows) if balanced else [everyone]
    drawn = []
    for name, rows, count in groups:
        if rows.size < count:
            raise DataError(
                f"{n_windows} background windows need {count}{name}, and there are {rows.size}; "
                "ask for fewer, or give more sessions"
            )
        drawn.append(rng.choice(rows, size=count, replace=False))
    return windows.where(np.sort(np.concatenate(drawn)))


def _balanced_groups(windows: Windows, n_windows: int) -> list[tuple[str, NDArray[np.int64], int]]:
    """Name, windows and number to draw of each class and animal."""
    classes: list[float | None] = [None]
    if windows.recipe.target.kind != "value":
        classes = [float(k) for k in np.unique(windows.target)]
    animals = np.unique(windows.animal)
    found, turn = [], 0
    for k, share in enumerate(_even_shares(n_windows, len(classes))):
        chosen = np.ones(windows.n_windows, dtype=np.bool_)
        of_class = ""
        if classes[k] is not None:
            chosen = windows.target == classes[k]
            of_class = f" of class {_class_name(windows, classes[k])}"
        # Whoever gives one more is another animal in each class.
        shares = np.roll(_even_shares(share, animals.size), turn)
        turn += share
        for animal, count in zip(animals, shares, strict=True):
            rows = np.flatnonzero(chosen & (windows.animal == animal))
            name = f"{of_class} of animal {windows.animal_names[animal]!r}"
            found.append((name, rows, int(count)))
    return found


def _even_shares(n_windows: int, n_shares: int) -> list[int]:
    """A number dealt out as evenly as it goes, the larger shares first."""
    return [n_windows // n_shares + (k < n_windows % n_shares) for k in range(n_shares)]


def _class_name(windows: Windows, value: float | None) -> str:
    classes = windows.recipe.classes
    return repr(classes[int(value)]) if value is not None and classes else repr(value)


@dataclass(frozen=True)
class ExplainedOutput:
    """One number a window of a network's outputs.

    Parameters
    ----------
    kind
        That of the decoder: ``binary``, ``classes`` or ``value``.
    on
        ``"logit"`` or ``"probability"``; a value is what it is.
    index
        Which of the network's outputs: 0, or that of a class.
    n_outputs
        How many there are.
    gain, offset
        From the network's scale to the target's unit; 1 and 0 for classes.
    """

    kind: str
    on: str
    index: int
    n_outputs: int
    gain: float
    offset: float

    @property
    def unit(self) -> str:
        """``"logit"``, ``"probability"`` or ``"value"``."""
        return "value" if self.kind == "value" else self.on

    def of(self, outputs: Tensor) -> Tensor:
        """The number, shape (window,), of outputs of shape (window, output)."""
        if self.kind == "value":
            return outputs[:, 0] * self.gain + self.offset
        if self.on == "logit":
            return outputs[:, self.index]
        if self.kind == "classes":
            return torch.softmax(outputs, dim=1)[:, self.index]
        return torch.sigmoid(outputs[:, 0])


def explained_output(decoder: Decoder, on: str, of_class: str | None) -> ExplainedOutput:
    """The number of a decoder that is to be explained.

    Parameters
    ----------
    decoder
        A fitted decoder.
    on
        ``"logit"`` or ``"probability"``.
    of_class
        Which class, of a decoder of several.

    Raises
    ------
    StudyError
        There is no such scale or class, or a class is needed and not named.
    """
    if on not in SCALES:
        raise StudyError(f"on = {on!r}; contributions are to one of {', '.join(SCALES)}")
    classes = decoder.recipe.classes
    index = 0
    if decoder.kind == "classes":
        if of_class not in classes:
            raise StudyError(
                f"of_class = {of_class!r}; this decoder has several outputs, name the class to "
                f"explain: {', '.join(classes)}"
            )
        index = classes.index(of_class)
    elif of_class is not None:
        raise StudyError(
            f"of_class = {of_class!r}, and this decoder has one output; leave of_class out"
        )
    is_value = decoder.kind == "value"
    return ExplainedOutput(
        decoder.kind,
        on,
        index,
        count_outputs(decoder.kind, classes),
        float(decoder.network.output_gain) if is_value else 1.0,
        float(decoder.network.output_offset) if is_value else 0.0,
    )


def check_windows(decoder: Decoder, explained: Windows, background: Windows) -> None:
    """Refuse windows that are not the decoder's, or none.

    Raises
    ------
    DataError
        There is nothing to explain, or nothing to set it against.
    DecoderError
        The windows were not cut with the decoder's recipe.
    """
    for name, windows in (("to explain", explained), ("in the background", background)):
        if windows.n_windows == 0:
            raise DataError(f"there are no windows {name}; give at least one")
        check_recipe(decoder, windows)
        if windows.traces.shape[1] != len(decoder.recipe.regions):
            raise DecoderError(
                f"the windows {name} have {windows.traces.shape[1]} regions, the decoder "
                f"{len(decoder.recipe.regions)}; cut them with the decoder's recipe"
            )


def describe_explanation(
    decoder: Decoder, background: Windows, on: str, of_class: str | None
) -> dict[str, Any]:
    """What a map keeps of how it was made: plain values only."""
    return {
        "on": on,
        "of_class": of_class,
        "n_background": background.n_windows,
        "background_animals": sorted({background.animal_names[k] for k in background.animal}),
        "network": decoder.settings.kind,
        "seed": decoder.seed,
        "train_animals": list(decoder.train_animals),
    }
