"""Which windows a decoder's outputs are set against: the background of an explanation."""

import numpy as np
from numpy.typing import NDArray

from corticode.data.windows import Windows
from corticode.errors import DataError

N_BACKGROUND = 100


def draw_background(
    windows: Windows, n_windows: int = N_BACKGROUND, *, balanced: bool = True, seed: int = 0
) -> Windows:
    """Windows drawn at random, by default as many of each class and of each animal.

    Give the windows that the decoder was trained on: half rest and half run, equal numbers an
    animal. As published: test windows and ``balanced=False``.

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
