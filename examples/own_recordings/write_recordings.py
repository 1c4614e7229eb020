"""Small made-up recordings in five layouts, to follow docs/your-recordings.md with.

    python examples/own_recordings/write_recordings.py FOLDER

Three mice of two sessions, 40 s at 10 frames/s: a bright disc of cortex is brighter in running. The
same sessions are written as TIFF movies with CSV files on two clocks, as MAT files, as HDF5 files,
and as movies of two wavelengths in turn; and, with a task of their own, as NWB files with trials.
FOLDER must not exist.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.io
import tifffile
from numpy.typing import NDArray

SIDE, N_FRAMES, FRAME_RATE_HZ, WHEEL_RATE_HZ = 32, 400, 10, 50
CENTRES = {"M2": (8, 12), "HL": (14, 8), "RS": (20, 16), "V1": (26, 10)}
RADIUS = 3
ACTIVE = "HL"


@dataclass(frozen=True)
class Made:
    """One made-up session: running by frame, and the movie of two wavelengths."""

    name: str
    run: NDArray[np.int64]
    speed: NDArray[np.float64]
    calcium: NDArray[np.uint16]
    reference: NDArray[np.uint16]


def make_session(mouse: int, day: int) -> Made:
    """A session whose region `ACTIVE` is 2 % brighter in running."""
    rng = np.random.default_rng([mouse, day])
    run = np.cumsum(rng.random(N_FRAMES) < 0.06) % 2
    speed = run * rng.normal(8, 2, N_FRAMES).clip(2) + rng.random(N_FRAMES) * 0.1
    row, column = CENTRES[ACTIVE]
    rows, columns = np.mgrid[:SIDE, :SIDE]
    active = (rows - row) ** 2 + (columns - column) ** 2 <= RADIUS**2
    brain = (rows - 16) ** 2 + (columns - 16) ** 2 <= 15**2
    blood = np.cumsum(rng.normal(0, 0.002, N_FRAMES))
    clean = (200 + 2000 * brain) * (1 + blood[:, None, None])
    noise = rng.normal(0, 20, (2, N_FRAMES, SIDE, SIDE))
    calcium = clean * (1 + 0.02 * run[:, None, None] * active) + noise[0]
    return Made(
        f"m{mouse}_day{day}",
        run,
        speed,
        calcium.astype(np.uint16),
        (0.8 * clean + noise[1]).astype(np.uint16),
    )


def region_traces(made: Made) -> NDArray[np.float32]:
    """Mean of each region's disc, dF/F in percent, shape (frame, region)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    traces = []
    for row, column in CENTRES.values():
        disc = (rows - row) ** 2 + (columns - column) ** 2 <= RADIUS**2
        trace = made.calcium[:, disc].mean(axis=1)
        traces.append(100 * (trace / trace.mean() - 1))
    return np.stack(traces, axis=1).astype(np.float32)


def write_tiff(folder: Path, made: Made) -> None:
    """A movie that lost three frames, when each frame began, and the wheel on its own clock."""
    kept = np.delete(np.arange(N_FRAMES), slice(200, 203)) if "m1_day1" in made.name else None
    frames = np.arange(N_FRAMES) if kept is None else kept
    tifffile.imwrite(folder / f"{made.name}.tif", made.calcium[frames], photometric="minisblack")
    times = pd.DataFrame({"frame": np.arange(frames.size), "time_s": frames / FRAME_RATE_HZ})
    times.to_csv(folder / f"{made.name}_camera.csv", index=False)
    # The wheel is sampled more often than the camera, and begins a little earlier.
    time_s = np.arange(-10, N_FRAMES * WHEEL_RATE_HZ // FRAME_RATE_HZ) / WHEEL_RATE_HZ
    of_frame = np.clip(np.floor(time_s * FRAME_RATE_HZ).astype(int), 0, N_FRAMES - 1)
    wheel = pd.DataFrame({"time_s": time_s + 0.004, "speed_cm_s": made.speed[of_frame].round(3)})
    wheel.to_csv(folder / f"{made.name}_wheel.csv", index=False)


def write_mat(folder: Path, made: Made) -> None:
    """Traces as MATLAB has them, (region, time), and running, in one file."""
    content = {"dff": region_traces(made).T, "beh": {"running": made.run.astype(float)}}
    scipy.io.savemat(folder / f"{made.name}.mat", content)


def write_hdf5(folder: Path, made: Made) -> None:
    """Traces and behaviour in groups of one file."""
    with h5py.File(folder / f"{made.name}.h5", "w") as file:
        file["processing/dff"] = region_traces(made)
        file["behavior/speed_cm_s"] = made.speed


def write_interleaved(folder: Path, made: Made) -> None:
    """Frames at 470 and 405 nm in turn in one movie, and a value of behaviour for each pair."""
    pairs = np.stack([made.calcium, made.reference], axis=1).reshape(-1, SIDE, SIDE)
    tifffile.imwrite(folder / f"{made.name}.tif", pairs, photometric="minisblack")
    table = pd.DataFrame({"running": made.run})
    table.to_csv(folder / f"{made.name}_behavior.csv", index=False)


def write_trials(folder: Path, made: Made) -> None:
    """Traces and 19 trials of a task as an NWB file has them: a cue every 2 s, and choices."""
    rng = np.random.default_rng([len(made.name), *made.name.encode()])
    cue = 12 + 20 * np.arange(19) + rng.integers(0, 4, 19)
    went_right = rng.permutation(np.arange(19) % 2)
    dff = rng.normal(0, 0.5, (N_FRAMES, len(CENTRES)))
    for frame, right in zip(cue, went_right, strict=True):
        dff[frame + 3 : frame + 13, list(CENTRES).index(ACTIVE)] += 0.25 if right else -0.25
    text = h5py.string_dtype()
    with h5py.File(folder / f"{made.name}.nwb", "w") as file:
        file["processing/ophys/dff"] = dff
        trials = file.create_group("intervals/trials")
        trials["id"] = np.arange(19)
        trials["start_time"] = cue / FRAME_RATE_HZ + 0.05
        trials["stop_time"] = cue / FRAME_RATE_HZ + 1.5
        choice = ["right" if right else "left" for right in went_right]
        trials.create_dataset("choice", data=choice, dtype=text)
        trials["went_right"] = went_right.astype(bool)


WRITERS = {
    "tiff": write_tiff,
    "mat": write_mat,
    "hdf5": write_hdf5,
    "interleaved": write_interleaved,
    "trials": write_trials,
}


def main(folder: Path) -> None:
    """Write every layout into a folder of its own."""
    for name in WRITERS:
        (folder / name).mkdir(parents=True)
    for mouse in (1, 2, 3):
        for day in (1, 2):
            made = make_session(mouse, day)
            for name, write in WRITERS.items():
                write(folder / name, made)
    rows = [(name, row, column) for name, (row, column) in CENTRES.items()]
    table = pd.DataFrame(rows, columns=["name", "row", "column"])
    for name in WRITERS:
        table.to_csv(folder / name / "regions.csv", index=False)
    print(f"recordings written to {folder}: {', '.join(WRITERS)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
