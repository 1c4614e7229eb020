"""Is the background large enough? Deep SHAP against backgrounds of growing size."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder
from corticode.errors import StudyError
from corticode.explain.contributions import draw_background
from corticode.explain.deepshap import deep_shap
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.stability import TOP_REGIONS, rank_correlations

SIZES = (20, 50, 100)


@dataclass(frozen=True)
class BackgroundConvergence:
    """How much a map changes from one background to the largest.

    Parameters
    ----------
    table
        One row a background, the largest last: n_background, largest_change (of any region's
        share of the total, against the largest background), region (whose it is), top_share (of
        the first four regions), rank_correlation (of the shares, with those of the largest) and
        shared_top (how many of the first four regions both have).
    maps
        The map of each.
    words
        How far the last but one is from the largest, as a sentence.
    """

    table: pd.DataFrame
    maps: tuple[ImportanceMap, ...]
    words: str


def draw_backgrounds(
    windows: Windows, sizes: Sequence[int] = SIZES, *, balanced: bool = True, seed: int = 0
) -> list[Windows]:
    """Backgrounds of growing size, each drawn apart from the others.

    Were the larger ones to hold the smaller, their maps would be alike for that alone.

    Parameters
    ----------
    windows, balanced
        As in `corticode.explain.contributions.draw_background`.
    sizes
        Windows of each background, rising.
    seed
        Of the draws; that of the largest is what `draw_background` gives with this seed.

    Raises
    ------
    StudyError
        Fewer than two sizes, or sizes that do not rise.
    DataError
        There are fewer windows than asked.

    Examples
    --------
    >>> from corticode.data.session import Session
    >>> from corticode.data.targets import Target
    >>> from corticode.data.windows import WindowShape, cut_windows
    >>> session = Session(
    ...     "m1", "a", np.random.default_rng(0).normal(size=(200, 4)), ("1", "2", "3", "4"),
    ...     {"run": np.arange(200) % 20 > 9}, np.zeros(200, np.int32))
    >>> windows = cut_windows([session], Target("run"), WindowShape(5, 5))
    >>> [drawn.n_windows for drawn in draw_backgrounds(windows, (10, 20))]
    [10, 20]
    """
    if len(sizes) < 2 or any(a >= b for a, b in pairwise(sizes)):
        raise StudyError(
            f"backgrounds of {', '.join(map(str, sizes)) or 'no'} windows do not show whether a "
            "map settles; give two or more sizes, each larger than the one before"
        )
    last = len(sizes) - 1
    return [
        draw_background(windows, size, balanced=balanced, seed=seed + last - k)
        for k, size in enumerate(sizes)
    ]


def compare_backgrounds(
    decoder: Decoder,
    explained: Windows,
    backgrounds: Sequence[Windows],
    *,
    on: str = "logit",
    of_class: str | None = None,
    device: str = "cpu",
    n_top: int = TOP_REGIONS,
) -> BackgroundConvergence:
    """Deep SHAP maps against several backgrounds, compared with that of the largest by shares.

    Parameters
    ----------
    decoder, explained, on, of_class, device
        As in `corticode.explain.deepshap.deep_shap`.
    backgrounds
        Such as `draw_backgrounds` gives; the last is what the others are compared with.
    n_top
        How many regions come first.

    Raises
    ------
    StudyError
        Fewer than two backgrounds, or what `deep_shap` refuses.
    DecoderError, DataError
        As in `deep_shap`.
    """
    if len(backgrounds) < 2:
        raise StudyError(
            f"{len(backgrounds)} background shows no convergence; give two or more, as from "
            "draw_backgrounds"
        )
    maps = tuple(
        deep_shap(decoder, explained, background, on=on, of_class=of_class, device=device)
        for background in backgrounds
    )
    shares = np.stack([found.by_region() for found in maps])
    # Regions that the decoder does not see have no share, and no rank.
    seen = np.flatnonzero(shares.any(axis=0))
    ranked = rank_correlations(shares[:, seen])[-1]
    first = np.argsort(-shares, axis=1, kind="stable")[:, :n_top]
    changes = np.abs(shares - shares[-1])
    rows = [
        {
            "n_background": background.n_windows,
            "largest_change": changes[k].max(),
            "region": found.names[int(np.argmax(changes[k]))],
            "top_share": found.top_share(n_top),
            "rank_correlation": ranked[k],
            "shared_top": np.intersect1d(first[k], first[-1]).size,
        }
        for k, (background, found) in enumerate(zip(backgrounds, maps, strict=True))
    ]
    table = pd.DataFrame(rows)
    # Nothing differs from itself.
    table["region"] = table["region"].where(table["largest_change"] > 0, "")
    before, largest = table.iloc[-2], table.iloc[-1]
    words = (
        f"from {before['n_background']} to {largest['n_background']} background windows no "
        f"region's share changes by more than {before['largest_change']:.3f}, ranks correlate by "
        f"{before['rank_correlation']:.3f}, and {before['shared_top']} of the first "
        f"{first.shape[1]} regions stay"
    )
    return BackgroundConvergence(table, maps, words)
