"""All fits and maps of a study over worker processes: resumable, restarted where one dies."""

import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from corticode.data.files import write_text
from corticode.data.prepared import load_sessions
from corticode.decode.predictions import Predictions
from corticode.errors import (
    DataError,
    DecoderError,
    Finding,
    MissingDataError,
    RunError,
    StudyError,
)
from corticode.evaluate.artefacts import artefact_rows, set_against_cues
from corticode.evaluate.correlations import correlate_regions
from corticode.evaluate.references import compare_with_references
from corticode.evaluate.scores import blank_findings, score_animals
from corticode.run.fits import FitTask, left_out, run_fit
from corticode.run.folder import Run, check_format, hold_folder, provenance, read_done, write_table
from corticode.run.map_tables import write_map_tables
from corticode.run.maps import MapTask, map_findings, run_map
from corticode.run.score_tables import (
    comparison_table,
    null_tables,
    region_set_tables,
    variance_tables,
)
from corticode.run.tasks import Plan, lay_out
from corticode.study.study import Condition, Study, write_resolved

MOST_RESTARTS = 3
PARENT_CHECK_S = 2.0
SHOWN_REASONS = 3

Task = FitTask | MapTask


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
        One row a condition and animal.
    findings
        What was left out or looks odd.
    n_fits, n_kept, n_changed
        Fits in the tables; fits and maps taken from an earlier call; those redone as settings or
        data changed.
    n_maps
        Maps made.
    """

    animal_scores: pd.DataFrame
    findings: tuple[Finding, ...]
    n_fits: int
    n_kept: int
    n_changed: int
    n_maps: int = 0


def run_study(
    study: Study,
    folder: Path,
    *,
    n_workers: int = 1,
    n_seeds: int = 1,
    device: str = "cpu",
    executor: Executor | None = None,
    on_plan: Callable[[Plan, int, int], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunSummary:
    """Every fit and map of a study, and the run folder's tables.

    A second call goes on where the first stopped: finished fits and maps whose settings and data
    are the same are kept.

    Parameters
    ----------
    study
        What to do.
    folder
        The run folder.
    n_workers
        Worker processes, one thread each.
    n_seeds
        Seeds 0 .. n_seeds - 1.
    device
        ``"cpu"`` or ``"cuda"``.
    executor
        Where fits run; None starts worker processes of its own.
    on_plan
        Told the plan, and how many fits and maps are kept and redone, before the first.
    on_progress
        Told after each fit or map.

    Raises
    ------
    CorticodeError
        Bad input, no fold left, a damaged run folder, a full disk.
    """
    run = Run(folder)
    check_format(run)
    with hold_folder(folder):
        plan = lay_out(study, run, n_seeds=n_seeds, device=device)
        tasks: list[Task] = [*plan.tasks, *plan.maps]
        done = {k: read_task(task) for k, task in enumerate(tasks)}
        kept = [k for k, d in done.items() if d is not None and d["key"] == tasks[k].key]
        n_changed = sum(d is not None for d in done.values()) - len(kept)
        if on_plan is not None:
            on_plan(plan, len(kept), n_changed)
        write_text(run.study_path, write_resolved(study, folder))
        content = provenance(
            plan.recording_keys, range(n_seeds), device, is_simulated=plan.is_simulated
        )
        write_text(run.provenance_path, json.dumps(content, indent=1))
        results = {k: d for k in kept if (d := done[k]) is not None}
        waiting = [k for k in range(len(tasks)) if k not in results]
        for k, found in _run_tasks(tasks, waiting, n_workers, executor, len(kept), on_progress):
            results[k] = found
        for legs in {task.legs for task in plan.tasks if task.legs is not None}:
            shutil.rmtree(legs, ignore_errors=True)
        n_fits = len(plan.tasks)
        summary = _tabulate(
            run,
            plan,
            [results[k] for k in range(n_fits)],
            [results[k] for k in range(n_fits, len(tasks))],
            len(kept),
            n_changed,
        )
        return summary


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
        As of `run_study`; `folder` is that of a run.

    Raises
    ------
    CorticodeError
        The study has no map, or a decoder is missing or of other settings or data.
    """
    run = Run(folder)
    check_format(run)
    with hold_folder(folder):
        plan = lay_out(study, run, n_seeds=n_seeds, device=device)
        if not plan.maps:
            raise StudyError(
                "the study asks for no map; add a table [[map]] with condition and kind"
            )
        for name in dict.fromkeys(task.fit_folder for task in plan.maps):
            fit = next(task for task in plan.tasks if task.folder == name)
            done = read_done(name)
            if done is None or done["key"] != fit.key:
                raise RunError(
                    f"the decoder {fit.label} is not fitted in {folder}, or with other settings or "
                    "data; run 'corticode run' first"
                )
        for task in plan.maps:
            (task.folder / "done.json").unlink(missing_ok=True)
        waiting = range(len(plan.maps))
        made = dict(_run_tasks(plan.maps, waiting, n_workers, executor, 0, on_progress))
        results = [made[k] for k in waiting]
        write_map_tables(run, plan.maps, results)
        return map_findings(results)


def read_task(task: Task) -> dict[str, Any] | None:
    """What a finished task left in its folder; None where it is not finished."""
    return read_done(task.folder, "fit" if isinstance(task, FitTask) else "map")


def run_task(task: Task) -> dict[str, Any]:
    """One fit or map; returns what is in its done.json."""
    return run_fit(task) if isinstance(task, FitTask) else run_map(task)


def _run_tasks(
    tasks: Sequence[Task],
    waiting: Sequence[int],
    n_workers: int,
    executor: Executor | None,
    n_kept: int,
    on_progress: Callable[[Progress], None] | None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Results as they come; a pool that a dying worker broke is rebuilt."""
    began, left, restarts = time.monotonic(), list(waiting), 0
    n_finished = 0
    while left:
        try:
            with _pool(n_workers, executor) as pool:
                for k, result in _in_turn(tasks, left, pool):
                    yield k, result
                    left.remove(k)
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
        except BrokenProcessPool as error:
            restarts += 1
            if restarts > MOST_RESTARTS:
                raise RunError(
                    f"worker processes ended {restarts} times without a message, most likely for "
                    "want of memory; finished fits are kept: run the same command again with "
                    "fewer --workers"
                ) from error


def _in_turn(
    tasks: Sequence[Task], left: Sequence[int], pool: Executor
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Results as they come; a task that needs others is handed in once those are there."""
    # The longest first: no worker is then left alone with a CNN at the end.
    waiting = sorted(left, key=lambda k: not tasks[k].movies)
    unfinished = {tasks[k].folder for k in left}
    futures: dict[Future[dict[str, Any]], int] = {}
    while waiting or futures:
        ready = [k for k in waiting if unfinished.isdisjoint(tasks[k].needs)]
        waiting = [k for k in waiting if k not in ready]
        futures |= {pool.submit(run_task, tasks[k]): k for k in ready}
        finished, _ = wait(futures, return_when=FIRST_COMPLETED)
        for future in finished:
            k = futures.pop(future)
            unfinished.discard(tasks[k].folder)
            yield k, future.result()


@contextmanager
def _pool(n_workers: int, executor: Executor | None) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        n_workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=start_worker,
        initargs=(os.getpid(),),
    )
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    else:
        pool.shutdown()


def start_worker(parent: int) -> None:
    """Give a worker one thread, and end it when its parent is gone."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    # Ctrl-C reaches every process of a terminal; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _tabulate(
    run: Run,
    plan: Plan,
    results: Sequence[dict[str, Any]],
    map_results: Sequence[dict[str, Any]],
    n_kept: int,
    n_changed: int,
) -> RunSummary:
    """Write every table of the run folder."""
    findings = list(plan.findings)
    scored = []
    for content in results:
        findings += [Finding(**finding) for finding in content.get("findings", [])]
        if "left_out" in content:
            fit = content["fit"]
            findings.append(left_out(fit["condition"], fit["fold"], content["left_out"]))
        else:
            scored.append(content)
    findings = list(dict.fromkeys(findings))
    if not scored:
        raise StudyError(_no_fold(findings))
    scores = pd.DataFrame(
        [
            content["fit"] | content["scores"] | {"look_ahead_s": content["look_ahead_s"]}
            for content in scored
        ]
    )
    session_scores = pd.DataFrame(
        [
            content["fit"] | row | {"look_ahead_s": content["look_ahead_s"]}
            for content in scored
            for row in content["session_scores"]
        ]
    )
    animal_scores = score_animals(session_scores)
    findings += blank_findings(animal_scores, session_scores) + map_findings(map_results)
    compared, not_compared = comparison_table(plan.comparisons, scores, session_scores)
    fitted = [t for t, d in zip(plan.tasks, results, strict=True) if "left_out" not in d]
    nulls = null_tables(run, fitted, _read_predictions)
    against, not_set = _against_cues(animal_scores, plan.artefacts)
    sets, not_asked = region_set_tables(plan.region_sets, plan.tasks, animal_scores)
    findings += [*not_set, *not_asked, *not_compared, *nulls.findings]
    excluded = pd.DataFrame(
        [[f.what, f.animal, f.session, f.item, f.count, f.reason] for f in findings],
        columns=["what", "animal", "session", "item", "count", "reason"],
    )
    first = ["condition", "fold", "test_animal", "valid_animal", "seed", "n_windows", "base_rate"]
    last = [f"{metric}_session_mean" for metric in ("auc", "r2")]
    last = [*(name for name in last if name in scores), "look_ahead_s"]
    middle = [name for name in scores.columns if name not in first + last]
    scores = scores.reindex(columns=[*first, *middle, *last])
    for name, table in (
        ("scores", scores),
        ("session_scores", session_scores),
        ("animal_scores", animal_scores),
        ("excluded", excluded),
    ):
        write_table(run.table_path(name), table)
    _write_where_there_is(run, "shift_references", _shift_references(fitted))
    _write_where_there_is(run, "region_correlations", _region_correlations(fitted))
    _write_where_there_is(run, "comparisons", compared)
    _write_where_there_is(run, "variance_shares", variance_tables(scores))
    _write_where_there_is(run, "nulls", nulls.by_animal)
    _write_where_there_is(run, "day_trends", nulls.trends)
    _write_where_there_is(run, "artefacts", against)
    _write_where_there_is(run, "region_sets", sets)
    write_map_tables(run, plan.maps, map_results)
    n_maps = sum("left_out" not in content for content in map_results)
    return RunSummary(animal_scores, tuple(findings), len(scored), n_kept, n_changed, n_maps)


def _against_cues(
    animal_scores: pd.DataFrame, conditions: Sequence[str]
) -> tuple[list[pd.DataFrame], list[Finding]]:
    """The table of each condition that is set against cues, and why another has none."""
    tables, findings = [], []
    for name in conditions:
        try:
            tables.append(artefact_rows(set_against_cues(animal_scores, name), name))
        except DataError as error:
            findings.append(Finding("fold", f"{name!r} is not set against cues: {error}"))
    return tables, findings


def _write_where_there_is(run: Run, name: str, tables: Sequence[pd.DataFrame]) -> None:
    """One table of several; without any, none that an earlier study left is kept."""
    if tables:
        write_table(run.table_path(name), pd.concat(tables, ignore_index=True))
    else:
        run.table_path(name).unlink(missing_ok=True)


def _shift_references(fitted: Sequence[FitTask]) -> list[pd.DataFrame]:
    """Decoders with a shift beside the reference lines from their like without one."""
    unshifted = {
        (_without_shift(task.condition), task.fold.name, task.seed): task.folder
        for task in fitted
        if task.condition.window.shift == 0
    }
    tables = []
    for task in fitted:
        shift = task.condition.window.shift
        like = unshifted.get((_without_shift(task.condition), task.fold.name, task.seed))
        if shift == 0 or like is None or task.condition.target.kind != "binary":
            continue
        now, shifted = _read_predictions(like), _read_predictions(task.folder)
        try:
            table = compare_with_references(now, shifted, shift)
        except DataError:
            # Blocks may be shorter than the shift: no frame of one part has its like in the other.
            continue
        named = {"condition": task.condition.name, "fold": task.fold.name, "seed": task.seed}
        tables.append(pd.DataFrame({**named, **table}))
    return tables


def _without_shift(condition: Condition) -> Condition:
    """What a condition shares with its like without a shift."""
    return replace(condition, name="", window=replace(condition.window, shift=0))


def _read_predictions(folder: Path) -> Predictions:
    try:
        return Predictions.load(folder / "predictions.npz")
    except (MissingDataError, DecoderError) as error:
        raise RunError(
            f"{folder / 'predictions.npz'} is missing or damaged; delete the folder {folder} and "
            "run the same command again: only this fit is redone"
        ) from error


def _region_correlations(fitted: Sequence[FitTask]) -> list[pd.DataFrame]:
    """The first traces condition's traces and target, region by region."""
    first = next((t.condition for t in fitted if t.condition.input == "traces"), None)
    if first is None or first.target.kind == "classes":
        return []
    folders = dict.fromkeys(t.prepared for t in fitted if t.condition == first)
    return [correlate_regions(load_sessions(folder), first.target) for folder in folders]


def _no_fold(findings: Sequence[Finding]) -> str:
    """Why nothing can be decoded, each reason once."""
    folds: dict[str, list[str]] = {}
    for finding in findings:
        if finding.what == "fold":
            folds.setdefault(finding.reason, []).append(finding.item)
    reasons = [
        f"{reason} ({len(names)} folds, the first {names[0]!r})"
        for reason, names in list(folds.items())[:SHOWN_REASONS]
    ]
    more = len(folds) - len(reasons)
    return "no fold is left to decode: " + "; ".join(reasons) + f"; and {more} more" * (more > 0)
