"""Checks of maps: decoders that learnt nothing, the same regions there, backgrounds, input spread.

`corticode.explain.map_checks.check_share` sets the first regions of a trained map against
the first regions of each other map, whichever they are: a test of how peaked a map is. Here the
trained map's own regions are looked up in the other maps.

A region's contributions grow with how far its trace swings, in decoders that learnt nothing too.
Divided by the input's standard deviation they tell how strongly a decoder answers to a region,
whatever that region does; neither of the two is the map.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder, build_network, count_outputs
from corticode.decode.predict import check_recipe
from corticode.errors import DataError, StudyError
from corticode.evaluate.intervals import holm, interval, rank_sum_test, t_test
from corticode.explain.contributions import draw_background
from corticode.explain.deepshap import deep_shap
from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.explain.stability import TOP_REGIONS, rank_correlations

ENOUGH = 20
PERCENTILE = 95.0
SIZES = (20, 50, 100)


def random_decoder(decoder: Decoder, seed: int) -> Decoder:
    """A decoder of the same form and recipe with fresh random weights; nothing is trained.

    The input is scaled as the fitted decoder's is. Weights of linear decoders, which start from 0,
    are normal ones.

    Parameters
    ----------
    decoder
        A fitted decoder of traces.
    seed
        Of the weights; the caller's random state is left as it was.
    """
    recipe = decoder.recipe
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(
            decoder.settings,
            recipe.window,
            n_regions=len(recipe.regions),
            n_outputs=count_outputs(decoder.kind, recipe.classes),
        )
        if decoder.settings.kind.startswith("linear"):
            for weight in network.inner.parameters():
                nn.init.normal_(weight)
    fitted = decoder.network
    network.set_input(fitted.input_offset.cpu().numpy(), fitted.input_gain.cpu().numpy())
    network.set_output(float(fitted.output_offset), float(fitted.output_gain))
    return replace(decoder, network=network.eval(), seed=seed)


def random_weight_maps(
    decoder: Decoder,
    explained: Windows,
    background: Windows,
    seeds: Sequence[int],
    *,
    on: str = "logit",
    of_class: str | None = None,
    device: str = "cpu",
) -> Iterator[ImportanceMap]:
    """Deep SHAP maps of decoders of the same form with random weights, one a seed.

    Parameters
    ----------
    decoder, explained, background, on, of_class, device
        As in `corticode.explain.deepshap.deep_shap`.
    seeds
        Of the weights.

    References
    ----------
    Adebayo et al. (2018), "Sanity checks for saliency maps", NeurIPS.
    """
    for seed in seeds:
        yield deep_shap(
            random_decoder(decoder, seed),
            explained,
            background,
            on=on,
            of_class=of_class,
            device=device,
        )


@dataclass(frozen=True)
class ShareCheck:
    """Whether a map's first regions hold more than those of decoders that learnt nothing.

    Parameters
    ----------
    control
        What the others are: ``"random weights"`` or ``"permuted labels"``.
    n_regions
        How many regions come first.
    trained
        Share of the total that they hold, as a mean over the trained decoders.
    limit
        95th percentile of the share that their own first regions hold in the others; NaN for none.
    n_trained, n_control
        Decoders of each.
    passed
        Whether `trained` is above `limit`; None where there are fewer than 20 others.
    words
        All of it as a sentence.
    """

    control: str
    n_regions: int
    trained: float
    limit: float
    n_trained: int
    n_control: int
    passed: bool | None
    words: str


def check_share(
    trained: Sequence[float], others: Sequence[float], control: str, n_regions: int = TOP_REGIONS
) -> ShareCheck:
    """Shares of the first regions in trained decoders against decoders that learnt nothing.

    Parameters
    ----------
    trained, others
        `ImportanceMap.top_share` of each decoder.
    control
        What the others are.
    n_regions
        How many regions came first.

    Examples
    --------
    >>> check_share([0.5, 0.6], [0.1] * 19 + [0.2], "random weights").words
    'the first 4 regions hold 0.55 of the total; with random weights 95 of 100 hold less than 0.11'
    """
    mean = float(np.mean(trained))
    limit = float(np.percentile(others, PERCENTILE)) if len(others) else float("nan")
    enough = len(others) >= ENOUGH
    words = f"the first {n_regions} regions hold {mean:.2f} of the total; "
    if len(others):
        words += f"with {control} 95 of 100 hold less than {limit:.2f}"
    else:
        words += f"no decoder with {control} stands beside"
    if len(others) and not enough:
        words += f" (of {len(others)} decoders: too few to say; {ENOUGH} are needed)"
    elif enough and mean <= limit:
        words += ": the map shows no more than its decoder's form does"
    passed = mean > limit if enough else None
    return ShareCheck(control, n_regions, mean, limit, len(trained), len(others), passed, words)


def share_of_regions(found: ImportanceMap, regions: Sequence[str]) -> float:
    """Share of the total of |contribution| that some regions of a map hold.

    Parameters
    ----------
    found
        A map over regions.
    regions
        Their names.

    Raises
    ------
    StudyError
        The map lacks one of them.
    DataError
        The map is not over regions.

    Examples
    --------
    >>> found = ImportanceMap("deep-shap", "logit", ("frame", "region"), np.array([[1.0, 2, 5]]),
    ...     names=("1", "2", "3"), frames=(0,))
    >>> share_of_regions(found, ["1", "2"])
    0.375
    """
    shares = dict(zip(found.names, found.by_region(), strict=True))
    absent = [name for name in regions if name not in shares]
    if absent:
        raise StudyError(
            f"the map has no region {', '.join(absent[:5])}; it has {', '.join(found.names[:8])}"
            f"{', ...' * (len(found.names) > 8)}"
        )
    return float(sum(shares[name] for name in dict.fromkeys(regions)))


def check_same_regions(
    trained: Sequence[ImportanceMap],
    others: Sequence[ImportanceMap],
    control: str,
    n_regions: int = TOP_REGIONS,
) -> ShareCheck:
    """Shares of trained maps' first regions, in them and in decoders that learnt nothing.

    The regions are the first of the mean share over the trained maps. That they were chosen by
    these maps favours them; `check_share` does not have that fault, and both should pass.

    Parameters
    ----------
    trained
        Maps of trained decoders, over the same regions.
    others
        Maps of decoders with random weights (`random_weight_maps`), or fitted to permuted labels.
    control
        Which: ``"random weights"`` or ``"permuted labels"``.
    n_regions
        How many regions come first.

    Returns
    -------
    ShareCheck
        Its words begin with the regions; `passed` is None with fewer than 20 others.

    Raises
    ------
    DataError
        There is no trained map, or trained maps are over different regions.
    StudyError
        Another map lacks one of the regions.

    References
    ----------
    Adebayo et al. (2018), "Sanity checks for saliency maps", NeurIPS.
    """
    if not trained or len({found.names for found in trained}) > 1:
        raise DataError(
            f"{len(trained)} trained maps, over {len({found.names for found in trained})} lists of "
            "regions; give one map or more, all over the same regions"
        )
    mean = np.mean([found.by_region() for found in trained], axis=0)
    first = [trained[0].names[k] for k in np.argsort(-mean, kind="stable")[:n_regions]]
    here, there = ([share_of_regions(found, first) for found in maps] for maps in (trained, others))
    check = check_share(here, there, control, len(first))
    return replace(check, words=f"{', '.join(first)}: {check.words}")


def compare_with_permuted(
    trained: Sequence[tuple[str, ImportanceMap]], permuted: Sequence[tuple[str, ImportanceMap]]
) -> pd.DataFrame:
    """Each region's mean |contribution| in decoders and in those fitted to permuted labels.

    Fig. 6B of the 2024 study tests each region by the rank sum over splits, which share animals
    (p_splits); beside it stands the paired t over animals.

    Parameters
    ----------
    trained, permuted
        The test animal of each decoder and its map, over frames and the same regions.

    Returns
    -------
    DataFrame
        One row a region: region, value and permuted_value (summed over the window's frames, mean
        over decoders), n_decoders, n_permuted, p_splits, difference (mean over animals), low, high,
        p and n_animals; p_splits_holm and p_holm are adjusted over the regions.

    Raises
    ------
    DataError
        No map of either, or maps of different regions.

    References
    ----------
    Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074.

    Examples
    --------
    >>> def found(first):
    ...     return ImportanceMap("deep-shap", "logit", ("frame", "region"),
    ...         np.array([[first, 1.0]]), names=("1", "2"), frames=(0,))
    >>> table = compare_with_permuted(
    ...     [("m1", found(3.0)), ("m2", found(4.0))], [("m1", found(1.0)), ("m2", found(1.0))])
    >>> table[["region", "value", "permuted_value", "difference", "n_animals"]].values.tolist()
    [['1', 3.5, 1.0, 2.5, 2], ['2', 1.0, 1.0, 0.0, 2]]
    """
    named = {found.names for _, found in (*trained, *permuted)}
    if not trained or not permuted or len(named) != 1:
        raise DataError(
            f"{len(trained)} maps and {len(permuted)} of permuted labels, over {len(named)} lists "
            "of regions; give one or more of each, all over the same regions"
        )
    here, there = (
        pd.DataFrame([m.absolute.sum(axis=m.axes.index("frame")) for _, m in maps])
        for maps in (trained, permuted)
    )
    by_animal = here.groupby([animal for animal, _ in trained], sort=False).mean()
    # Animals that have no permuted decoder are NaN, and left out.
    differences = by_animal - there.groupby([animal for animal, _ in permuted]).mean()
    rows: list[dict[str, object]] = []
    for k, region in enumerate(trained[0][1].names):
        known = differences[k].dropna().to_numpy(np.float64)
        over_animals = interval(known)
        rows.append(
            {
                "region": region,
                "value": here[k].mean(),
                "permuted_value": there[k].mean(),
                "n_decoders": len(here),
                "n_permuted": len(there),
                "p_splits": rank_sum_test(here[k], there[k]),
                "difference": over_animals.mean,
                "low": over_animals.low,
                "high": over_animals.high,
                "p": t_test(known),
                "n_animals": known.size,
            }
        )
    table = pd.DataFrame(rows)
    for column in ("p_splits", "p"):
        at = list(table.columns).index(column) + 1
        table.insert(at, f"{column}_holm", holm(table[column]))
    return table


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
) -> BackgroundConvergence:
    """Deep SHAP maps against several backgrounds, compared with that of the largest by shares.

    Parameters
    ----------
    decoder, explained, on, of_class, device
        As in `corticode.explain.deepshap.deep_shap`.
    backgrounds
        Such as `draw_backgrounds` gives; the last is what the others are compared with.

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
    first = np.argsort(-shares, axis=1, kind="stable")[:, :TOP_REGIONS]
    changes = np.abs(shares - shares[-1])
    rows = [
        {
            "n_background": background.n_windows,
            "largest_change": changes[k].max(),
            "region": found.names[int(np.argmax(changes[k]))],
            "top_share": found.top_share(TOP_REGIONS),
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


def input_spread(decoder: Decoder, windows: Windows) -> NDArray[np.float64]:
    """Standard deviation of what a decoder's network gets of each region, shape (region,).

    Parameters
    ----------
    decoder
        A fitted decoder of traces; the scale it fitted to its training data is applied.
    windows
        Windows cut with its recipe. Each frame that some window sees counts once; regions that
        the decoder does not see are 0.

    Raises
    ------
    DecoderError
        The windows were not cut with the decoder's recipe.
    """
    check_recipe(decoder, windows)
    seen = windows.traces[windows.covered()].astype(np.float64)
    kept = np.asarray(windows.recipe.kept_regions)
    spread = np.where(kept, seen.std(axis=0), 0.0)
    return np.asarray(spread * np.abs(decoder.network.input_gain.cpu().numpy()))


def divide_by_spread(found: ImportanceMap, spread: NDArray[np.float64]) -> ImportanceMap:
    """A map over regions with each region's contributions divided by its input's SD.

    Parameters
    ----------
    found
        The map.
    spread
        As from `input_spread`, shape (region,). Where it is 0 the quotient is 0.

    Returns
    -------
    ImportanceMap
        With the map's parts; its unit is that of the map ``"/SD"``.

    Raises
    ------
    DataError
        The map is not over regions, or the spread is not one value a region.

    Examples
    --------
    >>> found = ImportanceMap("deep-shap", "logit", ("frame", "region"), np.array([[1.0, 3.0]]),
    ...     names=("1", "2"), frames=(0,))
    >>> divided = divide_by_spread(found, np.array([0.5, 3.0]))
    >>> divided.absolute.tolist(), divided.unit
    ([[2.0, 1.0]], 'logit/SD')
    """
    _check(found, spread)
    # Regions are the last axis of every map that has them.
    factor = np.divide(1.0, spread, out=np.zeros(spread.shape), where=spread > 0)

    def part(given: MapPart) -> MapPart:
        signed = None if given.signed is None else given.signed * factor
        return replace(given, signed=signed, absolute=given.absolute * factor)

    whole = part(MapPart("", 0, found.signed, found.absolute))
    return replace(
        found,
        unit=f"{found.unit}/SD",
        absolute=whole.absolute,
        signed=whole.signed,
        by_class=tuple(map(part, found.by_class)),
        by_animal=tuple(map(part, found.by_animal)),
        by_decoder=tuple(map(part, found.by_decoder)),
    )


def _check(found: ImportanceMap, spread: NDArray[np.float64]) -> None:
    if "region" not in found.axes:
        raise DataError(
            f"a map over {', '.join(found.axes)} cannot be divided by the spread of regions; take "
            "one over regions"
        )
    if spread.shape != (len(found.names),) or not np.isfinite(spread).all() or spread.min() < 0:
        raise DataError(
            f"the spread has shape {spread.shape}, the map {len(found.names)} regions; give a "
            "finite value of 0 or more for each, as from input_spread"
        )
