"""What a study will cost and what it can show, before anything is trained to the end."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from textwrap import fill

import numpy as np
import pandas as pd

from corticode.config import Condition, Study, resolve
from corticode.data.cues import stand_ins
from corticode.data.folds import Fold, split_windows
from corticode.data.movies import prepare_movies, stand_in_movies
from corticode.data.prepared import PreparedSessions, prepare_sessions
from corticode.data.regions import RegionTable
from corticode.data.session import Session
from corticode.data.windows import Windows
from corticode.decode.fit import fit
from corticode.decode.predictions import COLUMNS
from corticode.decode.settings import LINEAR
from corticode.errors import FoldError, StudyError
from corticode.evaluate.detectable import FORMULA, detectable_difference
from corticode.evaluate.intervals import smallest_sign_flip_p
from corticode.evaluate.session_orders import N_DRAWS, order_blocks, smallest_p
from corticode.experiment import condition_windows
from corticode.map_tasks import wanted_maps
from corticode.tasks import groups_of, make_folds, read_files

# Windows of a short fit: of networks on traces in batches; of linear decoders; of movies.
TRIED_BATCHES, TRIED_LINEAR, TRIED_MOVIE = 10, 20_000, 8
WIDTH = 80


@dataclass(frozen=True)
class KindCost:
    """What fits of one kind cost.

    Parameters
    ----------
    kind, window_frames, conditions
        The network, the length of its window, and the conditions that are of this kind.
    n_fits
        Fits, all conditions, folds and seeds.
    windows_per_s
        Training windows a second, as measured.
    hours
        Of all its fits on one worker, if no training ends early.
    """

    kind: str
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
    n_conditions, n_animals, n_sessions
        What takes part; animals that are tested.
    n_fits, n_distinct
        Fits; those that differ in training set, start weights, regions or settings, so not only
        in which animal chooses the epoch.
    n_maps
        Maps that are made.
    kinds
        Cost of fits by kind.
    hours, n_workers
        Of all fits on so many workers; an upper limit where training may end early, and without
        maps.
    disk_gb, memory_gb
        Of the run folder, before compression; of a worker, the peak of the process that measured.
    smallest_p, smallest_p_animals
        The smallest p of a comparison over the animals; of each animal against its own labels in
        other orders.
    families
        Smallest p of each family of comparisons after Holm's correction.
    sd, detectable
        SD of the animals' differences, and the mean difference found in 80 % of such studies.
    notes
        What was assumed.
    """

    n_conditions: int
    n_animals: int
    n_sessions: int
    n_fits: int
    n_distinct: int
    n_maps: int
    kinds: tuple[KindCost, ...]
    hours: float
    n_workers: int
    disk_gb: float
    memory_gb: float | None
    smallest_p: float | None
    smallest_p_animals: Mapping[str, float]
    families: Mapping[str, float]
    sd: float
    detectable: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Laid:
    """One fold of one condition: the windows of its parts, and what tells its training apart."""

    condition: Condition
    fold: Fold
    n_train: int
    n_valid: int
    n_test: int
    n_regions: int


def plan_study(
    study: Study,
    *,
    n_seeds: int = 1,
    n_workers: int = 1,
    device: str = "cpu",
    sd: float | None = None,
) -> StudyCost:
    """What a study will cost here and what it can show; nothing is written.

    Each kind of fit is tried on a few batches and projected by windows and epochs. Of movies, one
    is read.

    Parameters
    ----------
    study
        What is to be done.
    n_seeds, n_workers, device
        As of a run.
    sd
        SD of the animals' differences between two conditions; None: the median SD of the
        published conditions against the published gru.

    Raises
    ------
    CorticodeError
        The recordings, folds or conditions cannot be used.
    """
    content = read_files(study)
    sessions = content.sessions
    laid: list[_Laid] = []
    speeds: dict[tuple[object, ...], tuple[float, float]] = {}
    prepared: dict[tuple[object, ...], PreparedSessions] = {}
    disk = 0.0
    stores: set[tuple[object, ...]] = set()
    for keys in study.conditions:
        condition = replace(resolve(keys, content.frame_rate_hz), permute_labels=None)
        named = resolve(keys, content.frame_rate_hz)
        folds = make_folds(study, sessions, condition)
        for members, own_folds in groups_of(study, sessions, folds):
            own = [sessions[k] for k in members]
            group = (condition.input, condition.pixels, tuple(members))
            if group not in prepared:
                prepared[group] = _stand_in(own, condition)
            rows = list(_parts(prepared[group], condition, own_folds, content.table))
            laid += [replace(row, condition=named) for row in rows]
            kind = _kind(condition)
            if kind not in speeds and rows:
                windows = _tried_windows(own, prepared[group], condition, content.table)
                speeds[kind] = _measure(windows, condition, device)
            store = (*group, condition.preprocessing)
            if store not in stores:
                stores.add(store)
                disk += 4.0 * prepared[group].run.size * (2 + rows[0].n_regions if rows else 2)
    if not laid:
        raise StudyError("no fold can be fitted; 'corticode check' says why")
    disk += n_seeds * sum(_predictions_bytes(one) for one in laid)
    tested = list(dict.fromkeys(p.animal for one in laid for p in one.fold.test))
    own_sd = _published_sd() if sd is None else sd
    kinds = tuple(_costs(laid, speeds, n_seeds))
    p = smallest_sign_flip_p(len(tested)) if len(tested) > 1 else None
    pairs: dict[str, int] = {}
    for one in study.comparisons:
        pairs[one.name] = (
            pairs.get(one.name, 0) + len(one.conditions) * (len(one.conditions) - 1) // 2
        )
    return StudyCost(
        n_conditions=len(study.conditions),
        n_animals=len(tested),
        n_sessions=len(sessions),
        n_fits=len(laid) * n_seeds,
        n_distinct=len({_training_of(one) for one in laid}) * n_seeds,
        n_maps=_n_maps(study, laid) * n_seeds,
        kinds=kinds,
        hours=sum(one.hours for one in kinds) / n_workers,
        n_workers=n_workers,
        disk_gb=disk / 1e9,
        memory_gb=_peak_gb(),
        smallest_p=p,
        smallest_p_animals={
            name: _smallest_p_of(sum(s.animal == name for s in sessions)) for name in tested
        },
        families={} if p is None else {name: min(1.0, n * p) for name, n in pairs.items()},
        sd=own_sd,
        detectable=detectable_difference(len(tested), own_sd) if len(tested) > 1 else None,
        notes=tuple(_notes(laid, given_sd=sd is not None)),
    )


def _stand_in(own: Sequence[Session], condition: Condition) -> PreparedSessions:
    """Sessions whose windows can be counted, as they are recorded."""
    if condition.pixels is not None:
        return stand_in_movies(own, condition.pixels)
    return prepare_sessions(stand_ins(own, condition.input))


def _parts(
    prepared: PreparedSessions,
    condition: Condition,
    folds: Sequence[Fold],
    table: RegionTable | None,
) -> Iterator[_Laid]:
    """Counts of windows of each fold that can be fitted."""
    windows = condition_windows(prepared, condition, table=table)
    for fold in folds:
        try:
            split = split_windows(windows, fold)
        except FoldError:
            continue
        counts = [getattr(split, part).n_windows for part in ("train", "valid", "test")]
        yield _Laid(condition, fold, *counts, n_regions=len(windows.recipe.regions))


def _kind(condition: Condition) -> tuple[object, ...]:
    """What fits have in common that take the same time a window."""
    training = condition.training
    return (
        condition.network,
        condition.window.n_frames,
        training.batch_size,
        training.windows,
        training.optimiser,
        condition.input,
    )


def _tried_windows(
    own: Sequence[Session],
    prepared: PreparedSessions,
    condition: Condition,
    table: RegionTable | None,
) -> Windows:
    """Few windows of a condition, of every class by turns: only the time they take matters."""
    if condition.pixels is not None:
        prepared = prepare_movies(own[:1], condition.pixels)
    windows = condition_windows(prepared, condition, table=table)
    training = condition.training
    if condition.pixels is not None:
        independent = training.windows == "independent" or condition.window.n_frames == 1
        n = TRIED_MOVIE if independent else min(training.batch_size, 4 * TRIED_MOVIE)
    elif condition.network.kind in LINEAR:
        n = TRIED_LINEAR
    else:
        n = TRIED_BATCHES * training.batch_size
    some = windows.where(slice(0, n))
    if condition.target.kind == "value":
        return some
    n_classes = max(2, len(windows.recipe.classes))
    turns = np.arange(some.n_windows, dtype=np.float32) % n_classes
    return replace(some, target=turns.astype(np.float32))


def _measure(some: Windows, condition: Condition, device: str) -> tuple[float, float]:
    """Seconds a training window and a validation window take."""
    training = replace(condition.training, epochs=2, validations=1, patience=None, share=1.0)
    if condition.pixels is not None:
        training = replace(training, batch_size=min(training.batch_size, some.n_windows))
    began = time.perf_counter()
    decoder = fit(some, some, condition.network, training, device=device)
    if condition.network.kind in LINEAR:
        return (time.perf_counter() - began) / some.n_windows, 0.0
    # The second epoch: the first also warms up.
    last = decoder.history[-1]
    return last["train_s"] / last["train_windows"], last["valid_s"] / some.n_windows


def _costs(
    laid: Sequence[_Laid], speeds: Mapping[tuple[object, ...], tuple[float, float]], n_seeds: int
) -> Iterator[KindCost]:
    """Hours by kind of fit, the longest first."""
    found = []
    for kind, (train_s, valid_s) in speeds.items():
        own = [one for one in laid if _kind(one.condition) == kind]
        seconds = 0.0
        for one in own:
            training = one.condition.training
            is_linear = one.condition.network.kind in LINEAR
            passes = 1.0 if is_linear else training.epochs * training.share
            checks = 0.0 if is_linear else passes * training.validations
            seconds += passes * one.n_train * train_s + checks * one.n_valid * valid_s
            seconds += (one.n_valid + one.n_test) * valid_s
        condition = own[0].condition
        found.append(
            KindCost(
                condition.network.kind,
                condition.window.n_frames,
                tuple(dict.fromkeys(one.condition.name for one in own)),
                len(own) * n_seeds,
                1 / train_s,
                n_seeds * seconds / 3600,
            )
        )
    yield from sorted(found, key=lambda one: -one.hours)


def _training_of(one: _Laid) -> tuple[object, ...]:
    """What two fits share that need training once: all but who chooses the epoch and who tests."""
    condition = one.condition
    chosen_in_fold = condition.start_from is not None or condition.selection is not None
    settings = replace(condition, name="", folds=None)
    return (str(settings), frozenset(one.fold.train), one.fold.name if chosen_in_fold else "")


def _predictions_bytes(one: _Laid) -> int:
    parts = one.n_valid + one.n_test + (one.n_train if one.condition.keep_train else 0)
    return parts * sum(np.dtype(dtype).itemsize for dtype in COLUMNS.values())


def _n_maps(study: Study, laid: Sequence[_Laid]) -> int:
    wanted = wanted_maps(study)
    return sum(len(wanted.get(one.condition.name, [])) for one in laid)


def _smallest_p_of(n_sessions: int) -> float:
    blocks = order_blocks(["animal"] * n_sessions, list(range(n_sessions)))
    return smallest_p(blocks, N_DRAWS)


def _published_sd() -> float:
    """Median over published conditions: SD over animals of the difference from the gru's AUC."""
    with (files("corticode") / "published" / "published_by_split.csv").open() as file:
        table = pd.read_csv(file)
    table = table[table["metric"] == "auc"]
    means = table.groupby(["condition", "test_animal"])["value"].mean().unstack("condition")
    others = means.drop(columns="gru")
    return float(others.sub(means["gru"], axis=0).std().median())


def _peak_gb() -> float | None:
    """The most memory that this process has held; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


def _notes(laid: Sequence[_Laid], *, given_sd: bool) -> Iterator[str]:
    yield "Hours are projected from a few batches of each kind, by windows and epochs."
    if any(one.condition.training.patience is not None for one in laid):
        yield "Training that stops early makes them an upper limit."
    yield "Reading, maps and tables come on top."
    if any(one.condition.network.kind in LINEAR for one in laid):
        yield "Linear decoders are tried on few windows and projected in proportion."
    yield "Disk is before compression. Memory is the peak of the process that measured."
    if not given_sd:
        yield (
            "SD: the median, over the published conditions, of the SD over five mice of the "
            "difference from the published gru (AUC); give your own with --sd."
        )
    yield FORMULA


def plan_text(cost: StudyCost) -> str:
    """The plan in lines of at most 80 characters."""
    lines = [
        f"{cost.n_conditions} conditions, {cost.n_sessions} sessions, {cost.n_animals} animals "
        "tested",
        f"{cost.n_fits} fits, {cost.n_distinct} of them distinct trainings; {cost.n_maps} maps",
        "",
        f"{'network':<14}{'frames':>7}{'conditions':>12}{'fits':>7}{'windows/s':>12}{'hours':>10}",
    ]
    for one in cost.kinds:
        lines.append(
            f"{one.kind:<14}{one.window_frames:>7}{len(one.conditions):>12}{one.n_fits:>7}"
            f"{one.windows_per_s:>12,.0f}{one.hours:>10.2f}"
        )
    workers = "1 worker" if cost.n_workers == 1 else f"{cost.n_workers} workers"
    memory = "unknown" if cost.memory_gb is None else f"{cost.memory_gb:.1f} GB"
    lines += [
        "",
        f"time    {cost.hours:.2f} hours on {workers}",
        f"disk    {cost.disk_gb:.2f} GB",
        f"memory  {memory} a worker",
        "",
        *_shown(cost),
        "",
    ]
    return "\n".join([*lines, *(fill(note, WIDTH) for note in cost.notes)])


def _shown(cost: StudyCost) -> Iterator[str]:
    """What the design can show, in lines."""
    if cost.smallest_p is None:
        yield "one animal is tested: nothing can be said of animals"
    else:
        yield fill(f"smallest p of a comparison over animals: {_p(cost.smallest_p)}", WIDTH)
    for name, p in cost.families.items():
        yield fill(f"  family {name!r}, after Holm: {_p(p)}", WIDTH)
    for name, p in cost.smallest_p_animals.items():
        yield fill(f"smallest p of {name} against its own labels: {_p(p)}", WIDTH)
    if cost.detectable is not None:
        yield fill(
            f"a difference of {cost.detectable:.4f} is found in 80 % of such studies, if the "
            f"animals' differences have an SD of {cost.sd:.4f}",
            WIDTH,
        )


def _p(p: float) -> str:
    return f"{p:.3g}" + (" (cannot reach 0.05)" if p >= 0.05 else "")


def plan_values(cost: StudyCost) -> dict[str, object]:
    """The plan as JSON has it."""
    return asdict(cost)
