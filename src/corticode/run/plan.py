"""What a study will cost and what it can show, before anything is trained to the end; in words."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from corticode.data.cues import stand_ins
from corticode.data.folds import Fold, split_windows
from corticode.data.prepared import (
    PreparedSessions,
    prepare_movies,
    prepare_sessions,
    stand_in_movies,
)
from corticode.data.readers.unpacked import room_taken, unpacked_folder
from corticode.data.regions import RegionTable
from corticode.data.session import Session
from corticode.data.windows import Windows
from corticode.decode.fit import fit
from corticode.decode.predictions import COLUMNS
from corticode.decode.settings import LINEAR, Network, Training
from corticode.errors import FoldError, StudyError
from corticode.evaluate.comparisons import Comparison
from corticode.evaluate.intervals import FORMULA, detectable_difference, smallest_sign_flip_p
from corticode.evaluate.nulls import LEVEL, N_DRAWS, smallest_p
from corticode.run.fits import condition_windows, has_one_class
from corticode.run.maps import judged_every
from corticode.run.study_files import StudyFiles, read_content
from corticode.run.tasks import ask_all, judged_sets, wanted_maps, with_weights
from corticode.study.conditions import Condition
from corticode.study.study import Study

# Windows that are tried: of networks on traces in batches, of linear decoders, of movies by an
# EfficientNet; by what is quicker, a batch.
TRIED_BATCHES, TRIED_LINEAR, TRIED_MOVIE = 10, 20_000, 8
WIDTH = 80
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Speed:
    """What a fit takes by window.

    Parameters
    ----------
    train_s, valid_s
        Seconds of a training window in an epoch, and of one that is only predicted.
    n_weights
        Numbers that the decoder keeps.
    """

    train_s: float
    valid_s: float
    n_weights: int

    def seconds(
        self, network: Network, training: Training, n_train: int, n_valid: int, n_test: int
    ) -> float:
        """Of a fit that does not end early, its predictions included.

        Examples
        --------
        >>> speed = Speed(0.002, 0.001, 8097)
        >>> speed.seconds(Network("gru"), Training(epochs=2), 1000, 100, 300)
        4.6
        """
        if network.kind in LINEAR:
            return n_train * self.train_s
        epochs = training.epochs * training.share
        checked = epochs * training.validations * n_valid
        return epochs * n_train * self.train_s + (checked + n_valid + n_test) * self.valid_s


def kind_of(condition: Condition) -> tuple[object, ...]:
    """What conditions have in common whose windows take the same time."""
    training = condition.training
    return (
        condition.network,
        condition.window.n_frames,
        training.batch_size,
        training.windows,
        training.optimiser,
        training.augment,
        condition.input,
    )


def measure_speed(
    sessions: Sequence[Session],
    prepared: PreparedSessions,
    condition: Condition,
    *,
    table: RegionTable | None = None,
    device: str = "cpu",
) -> Speed:
    """The speed of a condition's fits, from a short one; of movies, the first one is read.

    Parameters
    ----------
    sessions, prepared
        The recordings, and the same laid end to end: stand-ins, where movies are decoded.
    condition
        What is fitted, labels as they are.
    table
        Where groups and sides of regions are looked up.
    device
        Where it is fitted.
    """
    if condition.pixels is not None:
        prepared = prepare_movies(sessions[:1], condition.pixels)
    some = _few(condition_windows(prepared, condition, table=table), condition)
    # The first epoch also warms up; start weights and early ends change no time a window.
    training = replace(
        condition.training,
        epochs=2,
        validations=1,
        patience=None,
        share=1.0,
        batch_size=min(condition.training.batch_size, some.n_windows),
    )
    network = condition.network
    if network.sees_movies:
        network = replace(network, weights="none")
    began = time.perf_counter()
    # Under other names, as the same frames may not train and validate.
    others = replace(some, animal_names=tuple(f"{name}, again" for name in some.animal_names))
    decoder = fit(some, others, network, training, device=device)
    spent = time.perf_counter() - began
    n_weights = sum(weights.numel() for weights in decoder.network.state_dict().values())
    if network.kind in LINEAR:
        return Speed(spent / some.n_windows, 0.0, n_weights)
    last = decoder.history[-1]
    return Speed(
        last["train_s"] / last["train_windows"], last["valid_s"] / some.n_windows, n_weights
    )


def _few(windows: Windows, condition: Condition) -> Windows:
    """The first windows, as many as tell the time; of one class, labelled by turns."""
    training = condition.training
    if condition.pixels is not None:
        one_by_one = training.windows == "independent" or condition.window.n_frames == 1
        if not condition.network.starts_from_weights:
            n = training.batch_size
        else:
            n = TRIED_MOVIE if one_by_one else min(training.batch_size, 4 * TRIED_MOVIE)
    elif condition.network.kind in LINEAR:
        n = TRIED_LINEAR
    else:
        n = TRIED_BATCHES * training.batch_size
    some = windows.where(np.arange(min(n, windows.n_windows)))
    if not has_one_class(some):
        return some
    return replace(some, target=np.arange(some.n_windows, dtype=np.float32) % 2)


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


@dataclass(frozen=True)
class _Counted:
    """One fold of a condition, and the windows of its parts."""

    condition: Condition
    fold: Fold
    n_train: int
    n_valid: int
    n_test: int


@dataclass(frozen=True)
class _Tried:
    """What is fitted for a moment to see how long a kind takes."""

    sessions: Sequence[Session]
    prepared: PreparedSessions
    condition: Condition


@dataclass
class _Found:
    """What is gathered while conditions are gone through."""

    counted: list[_Counted] = field(default_factory=list)
    tried: dict[tuple[object, ...], _Tried] = field(default_factory=dict)
    speeds: dict[tuple[object, ...], Speed] = field(default_factory=dict)
    prepared: dict[tuple[object, ...], PreparedSessions] = field(default_factory=dict)
    prepared_bytes: dict[tuple[object, ...], int] = field(default_factory=dict)


def plan_study(
    study: Study,
    *,
    n_seeds: int = 1,
    n_workers: int = 1,
    device: str = "cpu",
    sd: float | None = None,
) -> StudyCost:
    """What a study will cost on this machine, and what it can show; nothing is written.

    Each kind of fit is tried on a few batches and projected by windows and epochs.

    Parameters
    ----------
    study
        What is to be done.
    n_seeds, n_workers, device
        As of a run.
    sd
        SD of the animals' differences between two conditions; None: the median of those of the
        published conditions from the published gru.

    Raises
    ------
    CorticodeError
        Recordings, folds or conditions cannot be used, or no fold can be fitted.
    """
    content = read_content(with_weights(study))
    study, main = content.study, content.main
    found = _Found()
    for asked in ask_all(content):
        view = content.by_condition[asked.condition.name]
        for members, own_folds in asked.groups:
            own = [view.sessions[k] for k in members]
            _gather(found, asked.condition, own, own_folds, view)
    if not found.counted:
        raise StudyError("no fold can be fitted; 'corticode check' says why")
    # Once all conditions are known to be possible: this takes the longest.
    for kind, one in found.tried.items():
        found.speeds[kind] = measure_speed(
            one.sessions, one.prepared, one.condition, table=main.table, device=device
        )
    kinds = tuple(_cost_by_kind(found, n_seeds))
    # Region sets have a note of their own.
    wanted = {
        name: [settings for settings, _ in maps if not settings.region_sets]
        for name, maps in wanted_maps(study).items()
    }
    return StudyCost(
        n_conditions=len(study.conditions),
        n_sessions=len(main.sessions),
        n_fits=len(found.counted) * n_seeds,
        n_distinct=len({_training_of(one) for one in found.counted}) * n_seeds,
        n_maps=sum(len(wanted.get(one.condition.name, [])) for one in found.counted) * n_seeds,
        kinds=kinds,
        n_workers=n_workers,
        hours=sum(one.hours for one in kinds) / n_workers,
        disk_gb=_disk_bytes(found, n_seeds) / 1e9,
        memory_gb=_peak_gb(),
        notes=(
            *(f"{str(one)[:1].upper()}{str(one)[1:]}." for one in study.left_out),
            *_unpacked_note(main.sessions),
            *_notes(found.counted, is_sd_given=sd is not None),
            *_judging_notes(study, found, n_seeds),
        ),
        **_power(study, found.counted, main.sessions, sd),
    )


def _gather(
    found: _Found,
    named: Condition,
    own: Sequence[Session],
    folds: Sequence[Fold],
    view: StudyFiles,
) -> None:
    """Count the windows of a condition's folds, and keep what its kind can be tried on."""
    # Labels in another order, or values after preprocessing, change no count and no time.
    condition = replace(named, permute_labels=None)
    names = tuple(session.name for session in own)
    group = (view.view, condition.input, condition.behavior, condition.pixels, names)
    if group not in found.prepared:
        found.prepared[group] = (
            prepare_sessions(stand_ins(own, condition.input, condition.behavior))
            if condition.pixels is None
            else stand_in_movies(own, condition.pixels)
        )
    prepared = found.prepared[group]
    windows = condition_windows(prepared, condition, table=view.table)
    n_before = len(found.counted)
    for fold in folds:
        try:
            split = split_windows(windows, fold)
        except FoldError:
            continue
        sizes = split.train.n_windows, split.valid.n_windows, split.test.n_windows
        found.counted.append(_Counted(named, fold, *sizes))
    if len(found.counted) > n_before:
        found.tried.setdefault(kind_of(condition), _Tried(own, prepared, condition))
    arrays = (prepared.traces, prepared.segment, prepared.valid, *prepared.behavior.values())
    found.prepared_bytes[*group, condition.preprocessing] = sum(a.nbytes for a in arrays)


def _cost_by_kind(found: _Found, n_seeds: int) -> Iterator[KindCost]:
    """The longest first."""
    costs = []
    for kind, speed in found.speeds.items():
        own = [one for one in found.counted if kind_of(one.condition) == kind]
        seconds = sum(
            speed.seconds(
                one.condition.network,
                one.condition.training,
                one.n_train,
                one.n_valid,
                one.n_test,
            )
            for one in own
        )
        first = own[0].condition
        costs.append(
            KindCost(
                first.network.kind,
                first.window.n_frames,
                tuple(dict.fromkeys(one.condition.name for one in own)),
                len(own) * n_seeds,
                1 / speed.train_s,
                n_seeds * seconds / 3600,
            )
        )
    yield from sorted(costs, key=lambda one: -one.hours)


def _training_of(one: _Counted) -> tuple[object, ...]:
    """The same for two fits that differ only in who chooses the epoch, and who is tested."""
    condition = one.condition
    # What a fold starts with, or whose maps choose regions, was itself chosen in that fold.
    is_of_fold = condition.start_from is not None or condition.selection is not None
    settings = replace(condition, name="", folds=None)
    return settings, frozenset(one.fold.train), one.fold.name if is_of_fold else ""


def _disk_bytes(found: _Found, n_seeds: int) -> float:
    """Predictions and weights of all fits, and the prepared traces."""
    a_window = sum(np.dtype(dtype).itemsize for dtype in COLUMNS.values())
    total = 0
    for one in found.counted:
        n_told = one.n_valid + one.n_test + one.n_train * one.condition.keep_train
        n_weights = found.speeds[kind_of(one.condition)].n_weights
        total += n_told * a_window + n_weights * FLOAT_BYTES
    return n_seeds * total + sum(found.prepared_bytes.values())


def _power(
    study: Study, counted: Sequence[_Counted], sessions: Sequence[Session], sd: float | None
) -> dict[str, Any]:
    """What this many animals and sessions can show."""
    tested = list(dict.fromkeys(part.animal for one in counted for part in one.fold.test))
    n_sessions = Counter(session.animal for session in sessions)
    known_sd = published_sd() if sd is None else sd
    p = smallest_sign_flip_p(len(tested)) if len(tested) > 1 else None
    pairs: dict[str, set[frozenset[str]]] = {}
    for keys in study.comparisons:
        own = Comparison(keys.name, tuple(keys.conditions), keys.against).pairs
        pairs.setdefault(keys.name, set()).update(map(frozenset, own))
    return {
        "n_animals": len(tested),
        "smallest_p": p,
        "smallest_p_families": {}
        if p is None
        else {name: min(1.0, len(own) * p) for name, own in pairs.items()},
        "smallest_p_animals": {
            name: smallest_p([name] * n_sessions[name], N_DRAWS) for name in tested
        },
        "smallest_p_cohort": smallest_p(
            [session.animal for session in sessions if session.animal in tested], N_DRAWS
        ),
        "sd": known_sd,
        "detectable": None if p is None else detectable_difference(len(tested), known_sd),
    }


def published_sd() -> float:
    """Median over the published conditions of the SD over mice of the difference from the gru.

    Of the AUC; each mouse's value is the mean over its splits.
    """
    with (files("corticode.published") / "published_by_split.csv").open() as file:
        table = pd.read_csv(file)
    table = table[table["metric"] == "auc"]
    means = table.groupby(["test_animal", "condition"])["value"].mean().unstack("condition")
    return float(means.drop(columns="gru").sub(means["gru"], axis=0).std().median())


def _peak_gb() -> float | None:
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on a Mac, kilobytes elsewhere.
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


def _unpacked_note(sessions: Sequence[Session]) -> Iterator[str]:
    """What compressed movies cost: room on the disk, once."""
    movies = [movie for session in sessions for movie in (session.movie, session.reference)]
    n_files, n_bytes = room_taken(movies)
    if n_files:
        yield (
            f"{n_files} compressed {'movie was' if n_files == 1 else 'movies were'} unpacked, "
            f"{n_bytes / 1e9:,.2f} GB, to {unpacked_folder()}, once: fits read them there. The "
            "folder may be deleted when the study is done."
        )


def _judging_notes(study: Study, found: _Found, n_seeds: int) -> Iterator[str]:
    """What it costs to give decoders with region dropout each set of regions alone."""
    for settings in judged_sets(study):
        n_sets = sum(1 + 2 * n for _, _, n in settings.region_sets)
        seconds = sum(
            one.n_test / _judged_every(one) * found.speeds[kind_of(one.condition)].valid_s
            for one in found.counted
            if one.condition.name == settings.condition
        )
        yield (
            f"Sets of regions are judged by the decoders of {settings.condition!r}, whose fits are "
            f"counted above, each given at most {n_sets:,} sets alone: "
            f"{n_seeds * n_sets * seconds / 3600:,.2f} hours more at most."
        )


def _judged_every(one: _Counted) -> int:
    return judged_every(one.n_test, of_trials=one.condition.target.events is not None)


def _notes(counted: Sequence[_Counted], *, is_sd_given: bool) -> Iterator[str]:
    """What was assumed, for who reads the numbers."""
    yield (
        "Time is projected from a few batches of each kind, on this machine as busy as it is now, "
        "by windows and epochs: a limit from above where training stops early. Reading, maps, "
        "nulls and tables come on top."
    )
    if any(one.condition.network.kind in LINEAR for one in counted):
        yield "Linear decoders are projected in proportion to their windows."
    yield (
        "Fits that are not distinct repeat a training, with another animal choosing the epoch. "
        "Disk is before compression. Memory is the most that the process that measured has held, "
        "all recordings read."
    )
    if not is_sd_given:
        yield (
            "The SD is the median over the published conditions of the SD over five mice of the "
            "difference from the published gru (AUC); give your own with --sd."
        )
    yield FORMULA
