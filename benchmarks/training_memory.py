"""Peak memory and time to the first batch while training on study-size traces from the store.

Memory is RssAnon of /proc/self/status (mapped pages of the store do not count), above what it is
once the package is imported, sampled every 20 ms.
"""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch
from results_file import write_result
from study_size import open_fold, store_study

from corticode.decode.fit import fit
from corticode.decode.settings import Training
from corticode.decode.trace_batches import iterate_batches, order_of_epoch


def anonymous_mb() -> float:
    """RssAnon of this process, MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1e3
    raise SystemExit("RssAnon is not to be had on this system")


class Peak(threading.Thread):
    """Keeps the highest value until it is told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.highest, self.ended = anonymous_mb(), threading.Event()

    def run(self) -> None:
        """Sample."""
        while not self.ended.wait(0.02):
            self.highest = max(self.highest, anonymous_mb())


def main() -> None:
    """Measure and write the table; the store is made by another process."""
    if len(sys.argv) > 1:
        store_study(Path(sys.argv[1]))
        return
    folder = Path(tempfile.mkdtemp())
    subprocess.run([sys.executable, __file__, str(folder)], check=True)
    torch.set_num_threads(1)
    imported = anonymous_mb()
    peak = Peak()
    peak.start()
    began = time.perf_counter()
    split = open_fold(folder)
    order = order_of_epoch(split.train.n_windows, seed=0, epoch=1)
    next(iterate_batches(split.train.where(order), 256))
    first_batch_s = time.perf_counter() - began
    rows = []
    for kind in ("gru", "linear-window"):
        fit(split.train, split.valid, kind, Training(epochs=1, penalty=(1e-3,)))
        rows.append(
            [
                f"peak RssAnon over the imported package, {kind}, MB",
                f"{peak.highest - imported:.0f}",
                "< 600",
            ]
        )
    peak.ended.set()
    write_result(
        "training_memory",
        ["what", "measured", "bar"],
        [
            ["RssAnon once imported, MB", f"{imported:.0f}", ""],
            *rows,
            ["from the store to the first batch, s", f"{first_batch_s:.2f}", "< 5"],
        ],
    )


if __name__ == "__main__":
    main()
