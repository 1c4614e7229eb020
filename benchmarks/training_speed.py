"""Training steps of `fit` against a bare loop, and two workers against one.

The bare loop is `nn.GRU` with Adam on one batch that is used again and again: no gathering, no
order, no bookkeeping. Both run in the same process in turns; a fit is set against the bare loops
before and after it, as machines are shared.
"""

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results_file import write_result
from study_size import open_fold, store_study
from torch import nn

from corticode.decode.fit import fit
from corticode.decode.settings import Training
from corticode.decode.trace_batches import iterate_batches

BATCH, BARE_STEPS, WORKER_WINDOWS, ROUNDS = 256, 200, 120_000, 5


class BareNetwork(nn.Module):
    """The published network without anything around it."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(50, 32, batch_first=True)
        self.dense = nn.Linear(32, 1)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.dense(self.gru(windows)[0][:, -1])[:, 0]


def bare_steps_per_s(inputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Steps a second of the bare loop."""
    network = BareNetwork()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    began = 0.0
    for step in range(BARE_STEPS + 20):
        if step == 20:
            began = time.perf_counter()
        loss = nn.functional.binary_cross_entropy_with_logits(network(inputs), targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return BARE_STEPS / (time.perf_counter() - began)


def worker(folder: str, barrier: Any, results: Any) -> None:
    """Fit one epoch of a part of the training windows; report its time after start-up."""
    torch.set_num_threads(1)
    split = open_fold(Path(folder))
    some = split.train.where(np.arange(0, split.train.n_windows, 5))
    few = split.valid.where(slice(0, 2560))
    fit(some.where(slice(0, 2560)), few, "gru", Training(epochs=1))
    part = some.where(slice(0, WORKER_WINDOWS))
    barrier.wait()
    began = time.perf_counter()
    fit(part, few, "gru", Training(epochs=1))
    results.put(time.perf_counter() - began)


def seconds_with(folder: str, n_workers: int) -> float:
    """Mean time of a worker's fit with so many of them at once."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(n_workers), context.Queue()
    processes = [
        context.Process(target=worker, args=(folder, barrier, results)) for _ in range(n_workers)
    ]
    for process in processes:
        process.start()
    seconds = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return float(np.mean(seconds))


def main() -> None:
    """Measure and write the table."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    sys.argv = sys.argv[:1]
    store_study(folder)
    split = open_fold(folder)
    order = np.random.default_rng(0).permutation(split.train.n_windows)
    inputs, targets = next(iterate_batches(split.train.where(order), BATCH))
    thinned = split.train.where(np.arange(0, split.train.n_windows, 8))
    few = split.valid.where(slice(0, 2560))
    bare, own = [bare_steps_per_s(inputs, targets)], []
    for _ in range(ROUNDS):
        history = fit(thinned, few, "gru", Training(epochs=1)).history[0]
        own.append(-(-thinned.n_windows // BATCH) / history["train_s"])
        bare.append(bare_steps_per_s(inputs, targets))
    ratios = [own[k] / ((bare[k] + bare[k + 1]) / 2) for k in range(ROUNDS)]
    whole = fit(split.train, split.valid, "gru", Training(epochs=1)).history[0]
    single, double = [], []
    for _ in range(ROUNDS):
        single.append(seconds_with(str(folder), 1))
        double.append(seconds_with(str(folder), 2))
    gains = [2 * one / two for one, two in zip(single, double, strict=True)]
    write_result(
        "training_speed",
        ["what", "median", "lowest to highest", "bar"],
        [
            ["training windows of the fold", f"{split.train.n_windows:,}", "", ""],
            _row("bare loop, steps/s", bare, ""),
            _row("`fit`, steps/s on every 8th window", own, ""),
            _row("`fit` over bare loop before and after it", ratios, ">= 0.85"),
            [
                "`fit`, whole epoch, windows/s",
                f"{split.train.n_windows / whole['train_s']:,.0f}",
                "",
                "",
            ],
            [
                "validation, s an epoch and share of it",
                f"{whole['valid_s']:.1f}, "
                f"{whole['valid_s'] / (whole['valid_s'] + whole['train_s']):.0%}",
                "",
                "",
            ],
            _row("one worker's fit, s", single, ""),
            _row("each of two workers' fits, s", double, ""),
            _row("two workers over one, fits a second", gains, ">= 1.8"),
        ],
    )


def _row(what: str, values: list[float], bar: str) -> list[str]:
    return [what, f"{np.median(values):.2f}", f"{min(values):.2f} to {max(values):.2f}", bar]


if __name__ == "__main__":
    main()
