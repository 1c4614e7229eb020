"""Frames a second that `simulate` makes on one core, and its peak memory.

One session of each size is simulated and written by a process of its own with one thread; memory is
RssAnon of /proc/self/status (mapped pages do not count), the whole process, sampled every 20 ms.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results_file import write_result

from corticode.simulate.dials import SIZES, resolve_dials
from corticode.simulate.movie import bad_pixels, movie_blocks, write_movie
from corticode.simulate.session import simulate_mouse, simulate_session, stream

CASES = (
    ("study", "traces"),
    ("study", "movie"),
    ("study", "movie with 405 nm"),
    ("small", "movie"),
)


def measure(size: str, what: str) -> None:
    """Simulate one session and print how long it took and what it held."""
    from training_memory import Peak

    extent, dials = SIZES[size], resolve_dials(None)
    peak = Peak()
    peak.start()
    began = time.perf_counter()
    mouse = simulate_mouse(1, extent.n_sessions[0], 0, dials)
    session = simulate_session(mouse, 0, extent.n_frames, extent.n_pixels, 0)
    if what != "traces":
        blocks = movie_blocks(
            stream(0),
            session.physiology,
            session.scene,
            dials,
            bad=bad_pixels(stream(1), extent.n_pixels, 1.0),
            reference_channel="405" in what,
        )
        n_pages = extent.n_frames * (2 if "405" in what else 1)
        with tempfile.TemporaryDirectory() as folder:
            shape = (n_pages, extent.n_pixels, extent.n_pixels)
            write_movie(Path(folder) / "movie.tif", blocks, shape)
    seconds = time.perf_counter() - began
    peak.ended.set()
    print(f"{extent.n_frames / seconds:.0f} {seconds:.1f} {peak.highest:.0f}")


def main() -> None:
    """Measure every case and write the table."""
    if len(sys.argv) > 1:
        measure(sys.argv[1], sys.argv[2])
        return
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    rows = []
    for size, what in CASES:
        done = subprocess.run(
            [sys.executable, __file__, size, what],
            env={**os.environ, **threads},
            capture_output=True,
            text=True,
            check=True,
        )
        rate, seconds, memory = done.stdout.split()
        rows.append([size, what, rate, seconds, memory, "< 1000"])
    write_result(
        "simulation_speed",
        ["size", "one session", "frames/s, one core", "s", "peak RssAnon, MB", "bar"],
        rows,
    )


if __name__ == "__main__":
    main()
