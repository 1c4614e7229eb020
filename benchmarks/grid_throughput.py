"""A whole grid of fits against bare training loops of the same kinds, on simulated mice.

Every trace condition of the 2024 study in every fold, in so many worker processes. What it is set
against is the sum over all fits of a bare loop's time, divided by the number of workers: the same
network, as many steps and as many windows predicted, on one batch that is used again and again,
with nothing read, cut, gathered, scored or written. Of linear decoders it is the fit alone, its
windows cut before. Bare loops run in as many processes at once as the grid has workers, before
and after it, as machines are shared; the mean of all counts.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results_file import write_result

from corticode.data.folds import Split
from corticode.data.layouts.study2024 import import_study2024
from corticode.data.prepared import load_sessions
from corticode.decode.decoder import build_network, count_outputs
from corticode.decode.fit import fit
from corticode.decode.settings import LINEAR
from corticode.decode.trace_batches import iterate_batches
from corticode.decode.training import loss_of, make_optimiser
from corticode.run.execute import Progress, execute_study, start_worker
from corticode.run.fits import FitTask, condition_windows, split_fold
from corticode.run.folder import Run
from corticode.run.plan import kind_of
from corticode.run.tasks import Plan, lay_out
from corticode.simulate.cohort import simulate_cohort
from corticode.simulate.dials import SIZES
from corticode.study.shipped import shipped
from corticode.study.study import Study, resolve, study_of

BAR, STUDY_EPOCHS = 1.25, 30
# Windows of 31 frames of a published session.
STUDY_WINDOWS = 17_970


@dataclass
class Clock:
    """When the fits of a run began and ended."""

    began: float = 0.0
    ended: float = 0.0
    kept: int = 0

    def start(self, plan: Plan, n_kept: int, n_changed: int) -> None:
        """All is laid out; workers start."""
        del plan, n_changed
        self.kept, self.began = n_kept, time.perf_counter()

    def tell(self, progress: Progress) -> None:
        """A fit is done."""
        self.ended = time.perf_counter()
        if progress.n_done % 50 == 0 or progress.n_done == progress.n_total:
            print(f"{progress.n_done} of {progress.n_total}: {progress.last}", flush=True)


def trace_study(folder: Path, options: argparse.Namespace) -> Study:
    """Every trace condition of the study, with few epochs, without maps and comparisons."""
    raw: dict[str, Any] = shipped("paper-code")
    conditions = [one for one in raw["condition"] if not _is_movie(one, raw)]
    conditions[0] = conditions[0] | {"training": {"epochs": options.epochs}}
    raw |= {"map": [], "comparison": [], "condition": conditions[: options.conditions]}
    raw["data"] = {"catalogue": "sessions.csv", "regions": "regions.csv"}
    if options.folds:
        raw["folds"] = {"only": options.folds}
    study = study_of(raw, folder / "study.toml")
    for keys in study.conditions:
        assert resolve(keys, 30.0).training.epochs == options.epochs, keys.name
    return study


def _is_movie(condition: Mapping[str, Any], raw: Mapping[str, Any]) -> bool:
    """Whether a condition, or what it is like, decodes movies."""
    by_name = {one["name"]: one for one in raw["condition"]}
    while "like" in condition:
        condition = by_name[condition["like"]]
    return condition.get("input") == "movie"


def bare_seconds(task: FitTask) -> float:
    """A bare loop of one fit."""
    windows = condition_windows(
        load_sessions(task.prepared), task.condition, seed=task.seed, table=task.table
    )
    split = split_fold(windows, task.fold)
    if task.condition.network.kind in LINEAR:
        began = time.perf_counter()
        fit(split.train, split.valid, task.condition.network, task.condition.training)
        return time.perf_counter() - began
    return _bare_loop(task, split)


def _bare_loop(task: FitTask, split: Split) -> float:
    """As many steps and predicted windows as the fit has, on one batch."""
    condition, training = task.condition, task.condition.training
    recipe = split.train.recipe
    network = build_network(
        condition.network,
        recipe.window,
        n_regions=len(recipe.regions),
        n_outputs=count_outputs(recipe.target.kind, recipe.classes),
    )
    optimiser = make_optimiser(network, training)
    order = np.random.default_rng(0).permutation(split.train.n_windows)
    inputs, targets = next(iterate_batches(split.train.where(order), training.batch_size))

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss_of(network, (inputs,), targets, split.train, training).loss.backward()
        optimiser.step()

    def predict(n_windows: int) -> None:
        network.eval()
        with torch.inference_mode():
            for _ in range(-(-n_windows // training.batch_size)):
                network(inputs)
        network.train()

    for _ in range(3):
        step()
    began = time.perf_counter()
    for _ in range(training.epochs):
        for _ in range(-(-split.train.n_windows // training.batch_size)):
            step()
        predict(split.valid.n_windows)
    predict(split.valid.n_windows + split.test.n_windows)
    return time.perf_counter() - began


def bare_worker(tasks: Sequence[FitTask], barrier: Any, results: Any) -> None:
    """Every kind's bare loop, in one of several processes at once."""
    start_worker()
    barrier.wait()
    results.put([bare_seconds(task) for task in tasks])


def measure_bare(tasks: Sequence[FitTask], n_workers: int) -> list[list[float]]:
    """Seconds of each kind, one list a process."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(n_workers), context.Queue()
    processes = [
        context.Process(target=bare_worker, args=(tasks, barrier, results))
        for _ in range(n_workers)
    ]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return found


def main() -> None:
    """Measure and write the table."""
    options = read_options()
    folder = options.out or Path(tempfile.mkdtemp())
    cohort, study_folder = folder / "cohort", folder / "study"
    if not (cohort / "truth.json").is_file():
        simulate_cohort(cohort, size="grid", traces_only=True)
        import_study2024(cohort, study_folder)
    study = trace_study(study_folder, options)
    tasks = lay_out(study, Run(folder / "run")).tasks
    of_kind = {kind_of(task.condition): task for task in reversed(tasks)}
    n_fits = Counter(kind_of(task.condition) for task in tasks)
    bare = measure_bare(list(of_kind.values()), options.workers)
    clock, began = Clock(), time.perf_counter()
    summary = execute_study(
        study,
        folder / "run",
        n_workers=options.workers,
        on_plan=clock.start,
        on_progress=clock.tell,
    )
    whole = time.perf_counter() - began
    assert clock.kept == 0, "the run folder holds finished fits; give another --out"
    bare += measure_bare(list(of_kind.values()), options.workers)
    by_kind = dict(zip(of_kind, np.mean(bare, axis=0), strict=True))
    total = sum(seconds * n_fits[kind] for kind, seconds in by_kind.items())
    rows = table_rows(options, summary.n_fits, total, clock.ended - clock.began, whole)
    rows += [
        [
            f"bare loop of a {kind[0].kind}, {kind[1]} frames; fits: {n_fits[kind]}",
            f"{seconds:.2f} s",
            "",
        ]
        for kind, seconds in by_kind.items()
    ]
    write_result("grid_throughput_simulated" + options.suffix, ["what", "found", "bar"], rows)


def table_rows(
    options: argparse.Namespace, n_fits: int, bare: float, fits_s: float, whole_s: float
) -> list[list[str]]:
    """What was found, beside the bar."""
    grid, published = SIZES["grid"], SIZES["study"]
    windows_grid = np.mean(grid.n_sessions) * (grid.n_frames - 30)
    windows_study = np.mean(published.n_sessions) * STUDY_WINDOWS
    larger = windows_study / windows_grid * STUDY_EPOCHS / options.epochs
    ideal = bare / options.workers
    return [
        ["fits on simulated mice, size grid", f"{n_fits:,}", ""],
        ["epochs (published: 30) and workers", f"{options.epochs}, {options.workers}", ""],
        ["sum of bare loops / workers", f"{ideal:.1f} s", ""],
        ["wall time of the fits", f"{fits_s:.1f} s", ""],
        ["wall time over bare loops", f"{fits_s / ideal:.2f}", f"<= {BAR}"],
        ["the same, with laying out, tables and nulls", f"{whole_s / ideal:.2f}", ""],
        ["fits a minute", f"{60 * n_fits / fits_s:.1f}", ""],
        [
            f"projected to the study's size, {STUDY_EPOCHS} epochs, in proportion to windows and "
            "epochs",
            f"{fits_s * larger / 3600:.1f} hours for {n_fits:,} fits, "
            f"{3600 * n_fits / fits_s / larger:.1f} an hour",
            "",
        ],
    ]


def read_options() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folds", nargs="*", help="names of folds; default all 20")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--conditions", type=int, help="only the first so many")
    parser.add_argument("--out", type=Path, help="a new folder; default a temporary one")
    options = parser.parse_args()
    is_whole = not options.folds and options.conditions is None
    options.suffix = "" if is_whole else "_thinned"
    return options


if __name__ == "__main__":
    main()
