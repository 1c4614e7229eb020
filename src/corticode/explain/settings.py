"""What a study asks of its maps: plain settings, nothing computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.masks import PixelMask

OCCLUSION = "occlusion"


@dataclass(frozen=True)
class MapKind:
    """A row of `KINDS`: a kind of map, and what makes it.

    Parameters
    ----------
    made_by
        ``"module.function"`` in `corticode.explain`, called with decoder, windows explained and
        background, ``on``, ``of_class`` and ``device``.
    options
        Further parameters of that function, and the settings of a map that they take.
    of_movies
        Whether decoders of movies can be asked.
    is_checked
        Whether decoders with random weights and permuted labels, curves of deletion and other
        backgrounds stand beside it.
    """

    made_by: str
    options: Mapping[str, str] = field(default_factory=dict)
    of_movies: bool = True
    is_checked: bool = False


KINDS: Mapping[str, MapKind] = {
    "deep-shap": MapKind("deepshap.deep_shap", of_movies=False, is_checked=True),
    "expected-gradients": MapKind("gradients.expected_gradients", {"n_draws": "n_draws"}),
    "integrated-gradients": MapKind("gradients.integrated_gradients", {"n_steps": "n_draws"}),
    # What covering costs: no background, no output explained.
    OCCLUSION: MapKind("occlusion.occlude"),
}
ATTRIBUTIONS = tuple(name for name in KINDS if name != OCCLUSION)

OwnMask = tuple[str, tuple[int | str, ...] | PixelMask]


@dataclass(frozen=True)
class MapSettings:
    """How maps of a condition's decoders are made; `corticode.study.keys.MapKeys` says each.

    Parameters
    ----------
    name, condition, kind
        What it is called, whose decoders are asked, how.
    windows, n_windows
        The part of a fold that is explained, and at most how many windows of it.
    on, of_class
        The output that is explained.
    background, background_from
        How many windows those explained are set against, and where they are drawn.
    n_draws
        Of gradients.
    n_random
        Decoders with random weights beside those of all folds together.
    n_orders, convergence
        Random orders beside curves of deletion; whether backgrounds of several sizes are compared.
    masks, fill, every_n_frames
        Of occlusion; masks of a study's own as (name, regions, circle or image) pairs.
    region_sets
        Of occlusion, in the place of masks: sets of regions, as (name, regions, random sets beside
        it), each of which alone is left uncovered, and beside it random sets of its size.
    """

    name: str
    condition: str
    kind: str
    windows: str = "test"
    n_windows: int = 1000
    on: str = "logit"
    of_class: str | None = None
    background: int = 100
    background_from: str = "train"
    n_draws: int = 100
    n_random: int = 0
    n_orders: int = 0
    convergence: bool = False
    masks: str | tuple[OwnMask, ...] | None = None
    fill: str = "shuffled"
    every_n_frames: int = 1
    region_sets: tuple[tuple[str, tuple[int | str, ...], int], ...] = ()


@dataclass(frozen=True)
class Selection:
    """Regions that maps of a condition's decoders put first.

    Parameters
    ----------
    top
        How many.
    source
        The condition whose decoders are asked.
    by
        The kind of map.
    on
        ``"train"``: the map of the same fold and seed, of its training animals; ``"test"``: those
        of the test animals of all folds, which is circular.
    """

    top: int
    source: str
    by: str = "deep-shap"
    on: str = "train"

    @property
    def map_settings(self) -> MapSettings:
        """The map that is needed."""
        return MapSettings(f"{self.by}, {self.on}", self.source, self.by, windows=self.on)


def choose_regions(maps: Sequence[ImportanceMap], n_regions: int) -> tuple[str, ...]:
    """The regions with the largest shares, as a mean over maps, in their own order.

    Parameters
    ----------
    maps
        Over regions, all over the same.
    n_regions
        How many are wanted.

    Raises
    ------
    DataError
        No map, maps of different regions, or fewer regions than wanted.

    Examples
    --------
    >>> found = ImportanceMap(
    ...     "deep-shap", "logit", ("frame", "region"), np.array([[1.0, 0.0, 0.5]]),
    ...     names=("1", "2", "3"), frames=(0,))
    >>> choose_regions([found], 2)
    ('1', '3')
    """
    names = {found.names for found in maps}
    if len(names) != 1:
        raise DataError(f"regions are chosen by maps of one list of regions, not of {len(names)}")
    (regions,) = names
    shares = np.mean([found.by_region() for found in maps], axis=0)
    if np.count_nonzero(shares) < n_regions:
        raise DataError(
            f"{n_regions} regions are to be chosen, and the map gives a share to "
            f"{np.count_nonzero(shares)}; ask for fewer"
        )
    first = np.argsort(-shares, kind="stable")[:n_regions]
    return tuple(regions[k] for k in np.sort(first))
