"""In-place corrections of recordings: how many are noticed, of 1, 30 and 300 frames anywhere.

A recording lies there long enough for its hash to be remembered; some frames of it are corrected in
place, by one of three ways in turn; then its hash is asked for again. As ``known by samples`` the
same is counted for the 16 pieces of 64 KiB that versions up to 60f4e28 looked at.

Run as ``python benchmarks/stale.py [PLACES]``.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from results_file import write_result

from corticode.data.files import SETTLED_NS, fingerprint, fingerprint_of_samples

N_FRAMES = 18_000
LENGTHS = (1, 30, 300)
PLACES = 200


def traces(path: Path, rng: np.random.Generator) -> None:
    """50 regions in 32-bit floats: 3.6 MB."""
    np.save(path, rng.normal(size=(N_FRAMES, 50)).astype(np.float32))


def behavior(path: Path, rng: np.random.Generator) -> None:
    """Rows of equal length, so that a correction moves nothing: 1.4 MB."""
    rows = rng.integers(10**6, 10**7, (N_FRAMES, 10))
    np.savetxt(path, rows, fmt="%d", delimiter=",")


def movie(path: Path, rng: np.random.Generator) -> None:
    """32 x 32 pixels of 16 bits: 37 MB."""
    np.save(path, rng.integers(0, 2**16, (N_FRAMES, 32, 32)).astype(np.uint16))


RECORDINGS: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "traces": traces,
    "behaviour": behavior,
    "movie": movie,
}


def corrections(path: Path, rng: np.random.Generator, n_frames: int) -> Iterator[None]:
    """Correct a stretch of frames, and at the next turn put back what was there."""
    size = path.stat().st_size
    head = size % N_FRAMES if path.suffix == ".npy" else 0
    frame = (size - head) // N_FRAMES
    at = head + frame * int(rng.integers(0, N_FRAMES - n_frames + 1))
    with path.open("rb") as file:
        file.seek(at)
        was = file.read(frame * n_frames)
    # A digit stays a digit, a line's end a line's end.
    now = bytes(b ^ 1 if chr(b).isdigit() or path.suffix == ".npy" else b for b in was)
    for content in (now, was):
        with path.open("r+b") as file:
            file.seek(at)
            file.write(content)
        yield


def count_noticed(name: str, n_frames: int, n_places: int, seed: int = 0) -> tuple[int, int]:
    """How many corrections change a file's hash, and how many that of samples."""
    rng = np.random.default_rng([seed, n_frames])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("session.csv" if name == "behaviour" else "session.npy")
        RECORDINGS[name](path, rng)
        noticed, by_samples = 0, 0
        for k in range(n_places):
            while time.time_ns() - path.stat().st_ctime_ns <= SETTLED_NS:
                time.sleep(0.01)
            before, samples, then = fingerprint(path), fingerprint_of_samples(path), path.stat()
            turns = corrections(path, rng, n_frames)
            next(turns)
            if k % 2:  # whoever corrected it set its time back
                os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))
            noticed += fingerprint(path) != before
            by_samples += fingerprint_of_samples(path) != samples
            next(turns)
    return noticed, by_samples


def main() -> None:
    """Count, print and keep the table."""
    n_places = int(sys.argv[1]) if len(sys.argv) > 1 else PLACES
    with tempfile.TemporaryDirectory() as cache:
        os.environ["CORTICODE_CACHE"] = cache
        rows = [
            (name, n_frames, n_places, *count_noticed(name, n_frames, n_places))
            for name in RECORDINGS
            for n_frames in LENGTHS
        ]
    heads = ("recording", "frames corrected", "places", "noticed", "known by samples: noticed")
    write_result("stale_simulated", heads, rows)


if __name__ == "__main__":
    main()
