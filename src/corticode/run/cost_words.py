"""What a study costs and can show, in words for a terminal of 80 columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import fill

from corticode.evaluate.nulls import LEVEL

WIDTH = 80


@dataclass(frozen=True)
class KindCost:
    """What the fits of one kind cost.

    Parameters
    ----------
    network, window_frames, conditions
        The kind, and the conditions that are of it.
    n_fits
        Over all folds and seeds.
    windows_per_s
        Training windows a second, as measured.
    hours
        Of all its fits in one worker, if none ends early.
    """

    network: str
    window_frames: int
    conditions: tuple[str, ...]
    n_fits: int
    windows_per_s: float
    hours: float


@dataclass(frozen=True)
class StudyCost:
    """What a study will cost and what it can show.

    Parameters
    ----------
    n_conditions, n_sessions, n_animals
        What takes part; of animals, those that are tested.
    n_fits, n_distinct
        Fits, and those that differ in settings, training set, start weights, regions or seed.
    n_maps
        Maps of fitted decoders.
    kinds
        Cost by kind of fit, the longest first.
    n_workers, hours
        Of all fits in so many workers.
    disk_gb, memory_gb
        Of the run folder before compression; the most that the process that measured has held,
        None where the system does not tell.
    smallest_p
        Of a comparison over animals, None with one animal.
    smallest_p_families
        The same after Holm's adjustment over each family of comparisons.
    smallest_p_animals, smallest_p_cohort
        Of each animal, and of all, against its own labels in other orders.
    sd, detectable
        SD of the animals' differences, and the mean difference that 80 % of such studies find.
    notes
        What was assumed.
    """

    n_conditions: int
    n_sessions: int
    n_animals: int
    n_fits: int
    n_distinct: int
    n_maps: int
    kinds: tuple[KindCost, ...]
    n_workers: int
    hours: float
    disk_gb: float
    memory_gb: float | None
    smallest_p: float | None
    smallest_p_families: Mapping[str, float]
    smallest_p_animals: Mapping[str, float]
    smallest_p_cohort: float
    sd: float
    detectable: float | None
    notes: tuple[str, ...]


def cost_text(cost: StudyCost) -> str:
    """The plan in lines of at most 80 characters."""
    head = (
        f"{'network':<14}{'window':>7}{'conditions':>12}{'fits':>8}{'windows/s':>12}{'hours':>10}"
    )
    rows = [
        f"{one.network:<14}{one.window_frames:>7}{len(one.conditions):>12}{one.n_fits:>8,}"
        f"{one.windows_per_s:>12,.0f}{one.hours:>10,.2f}"
        for one in cost.kinds
    ]
    memory = "unknown" if cost.memory_gb is None else f"{cost.memory_gb:.1f} GB"
    lines = [
        f"conditions  {cost.n_conditions}",
        f"recordings  {cost.n_sessions} sessions; {cost.n_animals} animals are tested",
        f"fits        {cost.n_fits:,}, {cost.n_distinct:,} of them distinct; {cost.n_maps:,} maps",
        f"time        {cost.hours:,.2f} hours at most, workers: {cost.n_workers}",
        f"disk        {cost.disk_gb:,.2f} GB",
        f"memory      {memory} a worker",
        "",
        head,
        *rows,
        "",
        *(fill(line, WIDTH, subsequent_indent="  ") for line in _what_it_can_show(cost)),
        "",
        *(fill(note, WIDTH) for note in cost.notes),
    ]
    return "\n".join(lines)


def _what_it_can_show(cost: StudyCost) -> Iterator[str]:
    yield "smallest p that this design can reach:"
    if cost.smallest_p is None:
        yield "- a comparison over animals: none, one animal is tested"
    else:
        yield f"- a comparison over {cost.n_animals} animals: {_in_words(cost.smallest_p)}"
    for name, p in cost.smallest_p_families.items():
        yield f"- adjusted over the family {name!r}: {_in_words(p)}"
    for p in sorted(set(cost.smallest_p_animals.values())):
        names = [name for name, own in cost.smallest_p_animals.items() if own == p]
        yield f"- against its own labels in other orders, {', '.join(names)}: {_in_words(p)}"
    yield f"- the same of all animals together: {_in_words(cost.smallest_p_cohort)}"
    if cost.detectable is not None:
        yield (
            f"detectable difference: {cost.detectable:.4f} (power 80 %, SD of the animals' "
            f"differences {cost.sd:.4f})"
        )


def _in_words(p: float) -> str:
    return f"{p:.3g}" + ", cannot reach 0.05" * (p >= LEVEL)
