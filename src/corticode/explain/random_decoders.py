"""Maps of decoders that learnt nothing: what the form of a decoder puts into any map."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder, build_network, count_outputs
from corticode.explain.deepshap import deep_shap
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.stability import TOP_REGIONS

ENOUGH = 20
PERCENTILE = 95.0


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
