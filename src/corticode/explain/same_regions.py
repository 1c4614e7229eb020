"""A map's first regions, looked up in maps of decoders that learnt nothing.

`corticode.explain.random_decoders.check_share` sets the first regions of a trained map against
the first regions of each other map, whichever they are: a test of how peaked a map is. Here the
trained map's own regions are looked up in the other maps.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from corticode.errors import DataError, StudyError
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.random_decoders import ShareCheck, check_share
from corticode.explain.stability import TOP_REGIONS


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
