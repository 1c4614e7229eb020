"""All fits and maps of a study, here or over workers: resumable, restarted where one dies."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from corticode.data.files import fingerprint, write_text
from corticode.decode.settings import LINEAR
from corticode.errors import (
    Finding,
    MachineError,
    MissingDataError,
    RunError,
    StudyError,
    numbered,
    some,
    warn_about,
)
from corticode.run.fits import FitTask, run_fit
from corticode.run.folder import (
    FitResult,
    MapResult,
    Result,
    Run,
    check_format,
    check_lengths,
    hold_between_parts,
    hold_folder,
    hold_part,
    provenance,
    read_result,
    read_whole,
    why_redone,
)
from corticode.run.map_tables import write_map_tables
from corticode.run.maps import MapTask, map_findings, run_map
from corticode.run.score_tables import write_tables
from corticode.run.tasks import Plan, lay_out, with_weights
from corticode.run.worker import one_thread, worker_pool
from corticode.study.shipped import open_study
from corticode.study.study import Study, write_resolved

MOST_RESTARTS = 3

SHOWN_UNDONE = 3

Task = FitTask | MapTask
Made = FitResult | MapResult | MachineError


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    n_done, n_total
        Fits and maps finished, those of an earlier call included, and all.
    seconds_left
        Estimate from those finished so far; None before the first.
    last
        What was finished last.
    """

    n_done: int
    n_total: int
    seconds_left: float | None
    last: str


@dataclass(frozen=True)
class RunSummary:
    """What a run found.

    Parameters
    ----------
    animal_scores
        One row a condition and animal; None where other parts of the run are not done.
    findings
        What was left out or looks odd.
    n_fits, n_kept, n_changed
        Fits in the tables; fits and maps taken from an earlier call; those redone as settings or
        data changed.
    n_maps
        Maps made.
    n_missing
        Fits and maps that other parts of the run have still to do.
    """

    animal_scores: pd.DataFrame | None
    findings: tuple[Finding, ...]
    n_fits: int
    n_kept: int
    n_changed: int
    n_maps: int = 0
    n_missing: int = 0


def run_study(
    study: Study | Path | str | Mapping[str, Any],
    out: Path | str,
    *,
    catalogue: Path | str | None = None,
    n_workers: int = 1,
    n_seeds: int = 1,
    device: str = "cpu",
    part: tuple[int, int] | None = None,
) -> Run:
    """Fit every condition of a study in every fold, predict what was left out, and score it.

    As ``corticode run``: a second call with the same folder goes on where the first stopped.
    `corticode.write_report` makes a page of the run.

    Parameters
    ----------
    study
        A study file, its keys as a dict (paths in it are then relative to the working folder), or
        the name of a study that ships (``"recommended"``, ``"paper-text"``, ``"paper-code"``).
    out
        The run folder.
    catalogue
        Of the recordings, for a study that ships.
    n_workers
        Worker processes of one thread each; 1: this process does it. A script that asks for more
        needs ``if __name__ == "__main__":`` about its call, as workers import it.
    n_seeds
        Seeds 0 .. n_seeds - 1.
    device
        ``"cpu"`` or ``"cuda"``.
    part
        Which part of the work to do, from 1, and of how many: of processes on several machines
        that share the folder, the one that ends last writes the tables. None: all of it.

    Returns
    -------
    Run
        Its tables by `Run.read_table`: ``"scores"``, ``"session_scores"``, ``"animal_scores"``.

    Raises
    ------
    CorticodeError
        Bad input, no fold left, a damaged run folder, a full disk.

    Warns
    -----
    CorticodeWarning
        For each finding: what was left out or looks odd.

    Examples
    --------
    >>> run_study("study.toml", "run")
    Traceback (most recent call last):
    corticode.errors.MissingDataError: study file study.toml does not exist; ...
    """
    summary = execute_study(
        open_study(study, catalogue),
        Path(out),
        n_workers=n_workers,
        n_seeds=n_seeds,
        device=device,
        part=part,
    )
    warn_about(summary.findings)
    return Run(Path(out))


def execute_study(  # noqa: PLR0913  where it runs, and who is told
    study: Study,
    folder: Path,
    *,
    n_workers: int = 1,
    n_seeds: int = 1,
    device: str = "cpu",
    executor: Executor | None = None,
    on_plan: Callable[[Plan, int, int], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_preprocessed: Callable[[str], None] = lambda _: None,
    part: tuple[int, int] | None = None,
) -> RunSummary:
    """Every fit and map of a study, and the run folder's tables.

    A second call goes on where the first stopped: finished fits and maps whose settings and data
    are the same are kept. Of a run in parts, whichever process finds that everything is done
    writes the tables.

    Parameters
    ----------
    study
        What to do.
    folder
        The run folder.
    n_workers
        Worker processes, one thread each; 1: this process itself does it.
    n_seeds
        Seeds 0 .. n_seeds - 1.
    device
        ``"cpu"`` or ``"cuda"``.
    executor
        Where fits run; None: worker processes of its own, or this process.
    on_plan
        Told the plan, and how many fits and maps are kept and redone, before the first.
    on_progress
        Told after each fit or map.
    on_preprocessed
        Told each session that was preprocessed, where the study starts from raw movies.
    part
        Which part of the fits and maps to do, from 1, and of how many; None: all of them.

    Raises
    ------
    CorticodeError
        Bad input, no fold left, a damaged run folder, a full disk.
    """
    run = Run(folder)
    check_format(run)
    # Parts take turns where all write; a whole run has the folder to itself throughout.
    held = hold_folder(folder) if part is None else hold_part(folder, part)
    turn = nullcontext if part is None else partial(hold_between_parts, folder)
    with held:
        with turn():
            plan = lay_out(
                with_weights(study),
                run,
                n_seeds=n_seeds,
                device=device,
                n_workers=n_workers,
                on_preprocessed=on_preprocessed,
            )
            work = _begin(study, plan, run, n_seeds, device, part, on_plan)
        for k, found in _run_tasks(
            work.tasks, work.waiting, n_workers, executor, len(work.results), on_progress
        ):
            work.results[k] = found
        _refuse_changed(work.plan.content.files, [work.tasks[k] for k in work.waiting])
        _refuse_undone(work.tasks, work.results)
        with turn():
            return _end(run, work)


@dataclass
class _Work:
    """What one call does of a run.

    Parameters
    ----------
    plan
        The whole of it.
    tasks
        What this call sees to: all fits and maps, or those of its part.
    results
        Of those that are finished, by their places in `tasks`.
    n_changed
        How many of them an earlier call had finished with other settings or data.
    is_part
        Whether others see to the rest.
    """

    plan: Plan
    tasks: list[Task]
    results: dict[int, Made]
    n_changed: int
    is_part: bool

    def __post_init__(self) -> None:
        self.n_kept = len(self.results)
        self.waiting = [k for k in range(len(self.tasks)) if k not in self.results]


def _begin(
    study: Study,
    plan: Plan,
    run: Run,
    n_seeds: int,
    device: str,
    part: tuple[int, int] | None,
    on_plan: Callable[[Plan, int, int], None] | None,
) -> _Work:
    """Say what was laid out, and write what it is made with."""
    tasks: list[Task] = [*plan.tasks, *plan.maps]
    check_lengths(task.folder for task in tasks)
    if part is not None:
        tasks = deal_out(tasks, part[1])[part[0] - 1]
    done = {k: read_task(task, plan.redone) for k, task in enumerate(tasks)}
    kept: dict[int, Made] = {
        k: d for k, d in done.items() if d is not None and d.key == tasks[k].key
    }
    n_changed = sum(d is not None for d in done.values()) - len(kept)
    work = _Work(plan, tasks, kept, n_changed, part is not None)
    if on_plan is not None:
        on_plan(plan if part is None else _part_of(plan, tasks), len(kept), n_changed)
    # With conditions that are left out here, since another machine may have their weights.
    settled = {keys.name: keys for keys in plan.conditions}
    study = replace(study, conditions=tuple(settled.get(c.name, c) for c in study.conditions))
    write_text(run.study_path, write_resolved(study, run.folder))
    content = provenance(
        plan.content.recordings,
        range(n_seeds),
        device,
        by_samples=plan.content.by_samples,
        known_by_samples=plan.content.as_before,
        keys={task.folder.relative_to(run.folder).as_posix(): task.key for task in plan.tasks},
        is_simulated=plan.is_simulated,
        histories=plan.content.histories,
    )
    write_text(run.provenance_path, json.dumps(content, indent=1))
    return work


def _part_of(plan: Plan, tasks: Sequence[Task]) -> Plan:
    """A plan with the fits and maps of one part alone."""
    return replace(
        plan,
        tasks=[task for task in tasks if isinstance(task, FitTask)],
        maps=[task for task in tasks if isinstance(task, MapTask)],
    )


def _end(run: Run, work: _Work) -> RunSummary:
    """Write the tables, where every part has done what is its own."""
    plan, results = work.plan, work.results
    own = [results[k] for k in range(len(work.tasks))]
    everything = own
    if work.is_part:
        by_folder = {task.folder: results[k] for k, task in enumerate(work.tasks)}
        tasks: list[Task] = [*plan.tasks, *plan.maps]
        there = [by_folder.get(task.folder) or read_task(task, []) for task in tasks]
        everything = [
            made
            for task, made in zip(tasks, there, strict=True)
            if made is not None and not isinstance(made, MachineError) and made.key == task.key
        ]
        n_missing = len(tasks) - len(everything)
        if n_missing:
            return RunSummary(
                None, tuple(plan.redone), len(own), work.n_kept, work.n_changed, 0, n_missing
            )
    fits = [one for one in everything if isinstance(one, FitResult)]
    maps = [one for one in everything if isinstance(one, MapResult)]
    for checkpoints in {task.checkpoints for task in plan.tasks if task.checkpoints is not None}:
        shutil.rmtree(checkpoints, ignore_errors=True)
    tables = write_tables(run, plan, fits, maps)
    return RunSummary(
        tables.animal_scores,
        (*plan.redone, *tables.findings),
        tables.n_fits,
        work.n_kept,
        work.n_changed,
        sum(
            result.left_out is None and not task.settings.region_sets
            for task, result in zip(plan.maps, maps, strict=True)
        ),
    )


def deal_out(tasks: Sequence[Task], n_parts: int) -> list[list[Task]]:
    """Fits and maps dealt out to parts, each with everything that it needs.

    What needs another, shares its training or starts from it, is in one part; the parts are as
    even as that allows, by a rough estimate of what a fit takes. Every process that lays the same
    study out deals it out alike.

    Parameters
    ----------
    tasks
        All of a study.
    n_parts
        Into how many.

    Returns
    -------
    list of list
        So many parts; some are empty where there is not enough to deal out.
    """
    first: dict[Path, Path] = {task.folder: task.folder for task in tasks}

    def root(folder: Path) -> Path:
        while first[folder] != folder:
            folder = first[folder]
        return folder

    for task in tasks:
        # What is needed may be no task of this study: a fold that the other condition lacks.
        for needed in first.keys() & {*task.needs}:
            first[root(needed)] = root(task.folder)
    together: dict[Path, list[int]] = {}
    for k, task in enumerate(tasks):
        together.setdefault(root(task.folder), []).append(k)
    cost = {folder: sum(_rough_cost(tasks[k]) for k in own) for folder, own in together.items()}
    parts: list[list[int]] = [[] for _ in range(n_parts)]
    load = [0.0] * n_parts
    for folder in sorted(together, key=lambda one: (-cost[one], together[one][0])):
        least = load.index(min(load))
        parts[least] += together[folder]
        load[least] += cost[folder]
    return [[tasks[k] for k in sorted(own)] for own in parts]


def _rough_cost(task: Task) -> float:
    """What a fit or map takes, roughly, in linear decoders."""
    fit = task.fit if isinstance(task, MapTask) else task
    if fit.movies:
        return 300.0
    is_quick = fit.condition.network.kind in LINEAR or fit.trained_by is not None
    return 1.0 if is_quick else 30.0


def make_maps(
    study: Study,
    folder: Path,
    *,
    n_workers: int = 1,
    n_seeds: int = 1,
    device: str = "cpu",
    executor: Executor | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[Finding]:
    """Every map of a study anew, of the decoders that are there; nothing is trained.

    Parameters
    ----------
    study, folder, n_workers, n_seeds, device, executor, on_progress
        As of `execute_study`; `folder` is that of a run.

    Raises
    ------
    CorticodeError
        The study has no map, or a decoder is missing or of other settings or data.
    """
    run = Run(folder)
    check_format(run)
    with hold_folder(folder):
        plan = lay_out(with_weights(study), run, n_seeds=n_seeds, device=device)
        plan.maps = [task for task in plan.maps if not task.settings.region_sets]
        if not plan.maps:
            raise StudyError(
                "the study asks for no map; add a table [[map]] with condition and kind"
            )
        for fit in {task.fit.folder: task.fit for task in plan.maps}.values():
            done = read_whole(fit.folder, FitResult)
            if done is None or done.key != fit.key:
                why = why_redone(fit.folder, FitResult)
                found = f"damaged ({why})" if why else "not fitted, or with other settings or data"
                raise RunError(
                    f"the decoder {fit.label} in {folder} is {found}; 'corticode run' with the "
                    "same study and folder fits it, then give this command again"
                )
        for task in plan.maps:
            (task.folder / "done.json").unlink(missing_ok=True)
        waiting = range(len(plan.maps))
        made = dict(_run_tasks(plan.maps, waiting, n_workers, executor, 0, on_progress))
        _refuse_changed(plan.content.files, plan.maps)
        _refuse_undone(plan.maps, made)
        results = [one for k in waiting if isinstance(one := made[k], MapResult)]
        write_map_tables(run, plan.maps, results)
        return map_findings(results)


def read_task(task: Task, damaged: list[Finding]) -> FitResult | MapResult | None:
    """What a finished task left in its folder; None where it is not finished, or damaged.

    What is damaged is added to `damaged`.
    """
    if isinstance(task, FitTask):
        return _read_task(task, FitResult, damaged)
    return _read_task(task, MapResult, damaged)


def _read_task(task: Task, form: type[Result], damaged: list[Finding]) -> Result | None:
    why = why_redone(task.folder, form)
    if not why:
        return read_result(task.folder, form)
    what = "fit" if form is FitResult else "map"
    damaged.append(Finding(what, f"is done again, as it is damaged: {why}", item=task.label))
    return None


def _refuse_changed(files: Mapping[Path, str], tasks: Sequence[Task]) -> None:
    """Refuse what was made while files changed of which it was made; it is not kept.

    Raises
    ------
    RunError
        Files are others than when the study was laid out.
    """
    changed = [str(path) for path, own in files.items() if _hash_or_none(path) != own]
    if not changed or not tasks:
        return
    for task in tasks:
        (task.folder / "done.json").unlink(missing_ok=True)
    raise RunError(
        f"{some(changed, SHOWN_UNDONE)} changed while the run was going on, so that what was done "
        "in it is of one content in part and of the other in part; it is not kept: run the same "
        "command again once nothing writes to the recordings"
    )


def _hash_or_none(path: Path) -> str | None:
    try:
        return fingerprint(path)
    except MissingDataError:
        return None


def _refuse_undone(tasks: Sequence[Task], made: Mapping[int, Made]) -> None:
    """Raise where this machine lacked something for a fit or map, each reason once.

    Raises
    ------
    RunError
        Fits or maps were left undone.
    """
    undone: dict[str, list[int]] = {}
    for k, found in sorted(made.items()):
        if isinstance(found, MachineError):
            undone.setdefault(str(found), []).append(k)
    if not undone:
        return
    n_waiting = len(tasks) - len(made)
    lines = [f"{_labels(tasks, which)}: {reason}" for reason, which in undone.items()]
    n_undone = sum(map(len, undone.values()))
    waiting = f", and {n_waiting} that need them" if n_waiting else ""
    raise RunError(
        f"{n_undone} of {len(tasks)} fits and maps could not be done on this machine{waiting}; the "
        f"others are kept, and the same command does the rest:\n{numbered(lines)}"
    )


def _run_tasks(
    tasks: Sequence[Task],
    waiting: Sequence[int],
    n_workers: int,
    executor: Executor | None,
    n_kept: int,
    on_progress: Callable[[Progress], None] | None,
) -> Iterator[tuple[int, Made]]:
    """Results as they come; a pool that a dying worker broke is rebuilt."""
    began, left, restarts = time.monotonic(), list(waiting), 0
    n_finished = 0
    undone: set[Path] = set()
    while left:
        try:
            with _pool(n_workers, executor) as pool:
                for k, result in _in_turn(tasks, left, undone, pool):
                    yield k, result
                    left.remove(k)
                    if isinstance(result, MachineError):
                        undone.add(tasks[k].folder)
                        continue
                    n_finished += 1
                    if on_progress is not None:
                        spent = time.monotonic() - began
                        on_progress(
                            Progress(
                                n_kept + n_finished,
                                len(tasks),
                                spent / n_finished * len(left),
                                tasks[k].label,
                            )
                        )
                return
        except BrokenProcessPool as error:
            restarts += 1
            if restarts > MOST_RESTARTS:
                raise RunError(
                    f"worker processes ended {restarts} times without a message, most likely for "
                    f"want of memory; not done: {_labels(tasks, left)}. Finished fits are kept: "
                    "run the same command again with fewer --workers (a Python script needs "
                    "if __name__ == '__main__' about its call, as workers import it; with one "
                    "worker it does not)"
                ) from error


def _in_turn(
    tasks: Sequence[Task], left: Sequence[int], undone: Set[Path], pool: Executor
) -> Iterator[tuple[int, Made]]:
    """Results as they come; a task that needs others is handed in once those are there.

    What needs a task that this machine could not do (`undone`: their folders) is not handed in.
    """
    # The longest first: no worker is then left alone with a CNN at the end.
    waiting = sorted(left, key=lambda k: not tasks[k].movies)
    unfinished = {tasks[k].folder for k in left} | undone
    futures: dict[Future[FitResult | MapResult], int] = {}
    while waiting or futures:
        ready = [k for k in waiting if unfinished.isdisjoint(tasks[k].needs)]
        if isinstance(pool, _InThisProcess):
            ready = ready[:1]
        waiting = [k for k in waiting if k not in ready]
        futures |= {_submit(pool, tasks[k]): k for k in ready}
        if not futures:
            return
        finished, _ = wait(futures, return_when=FIRST_COMPLETED)
        for future in finished:
            k = futures.pop(future)
            try:
                result = future.result()
            except MachineError as error:
                yield k, error
                continue
            unfinished.discard(tasks[k].folder)
            yield k, result


def _labels(tasks: Sequence[Task], which: Sequence[int]) -> str:
    return some([repr(tasks[k].label) for k in which], SHOWN_UNDONE)


def _submit(pool: Executor, task: Task) -> Future[FitResult | MapResult]:
    """Hand a task in; a worker imports what this kind of task needs, and no more."""
    if isinstance(task, FitTask):
        return pool.submit(run_fit, task)
    return pool.submit(run_map, task)


class _InThisProcess(Executor):
    """Does each task where it is handed in, in one thread: no other process, no semaphores."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with one_thread():
            try:
                future.set_result(function(*arguments, **named))
            except Exception as error:  # noqa: BLE001  as an executor does
                future.set_exception(error)
        return future


@contextmanager
def _pool(n_workers: int, executor: Executor | None) -> Iterator[Executor]:
    if executor is not None or n_workers == 1:
        yield executor or _InThisProcess()
        return
    with worker_pool(n_workers) as pool:
        yield pool
