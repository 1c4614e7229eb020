"""Traces of the published study's size, in a store: 64 sessions of 18,000 frames, 50 regions."""

from pathlib import Path

import numpy as np

from corticode.data.folds import Split, leave_animals_out, split_windows
from corticode.data.prepared import is_stored, load_sessions, store_sessions
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows

N_SESSIONS = (11, 12, 14, 15, 12)
N_FRAMES = 18_000
N_REGIONS = 50


def store_study(folder: Path) -> None:
    """Write the store, unless it is there: smooth noise and a label of random bouts."""
    if is_stored(folder, "benchmark"):
        return
    rng = np.random.default_rng(0)
    names = tuple(str(k + 1) for k in range(N_REGIONS))
    sessions = []
    for animal, n_sessions in enumerate(N_SESSIONS, start=1):
        for k in range(n_sessions):
            run = np.repeat(rng.random(N_FRAMES // 90) > 0.4, 90).astype(np.float64)
            traces = rng.standard_normal((N_FRAMES, N_REGIONS), dtype=np.float32)
            traces[:, :4] += 0.3 * run[:, None].astype(np.float32)
            sessions.append(
                Session(
                    f"m{animal}",
                    f"s{k}",
                    traces,
                    names,
                    {"run": run},
                    np.zeros(N_FRAMES, np.int32),
                    30.0,
                )
            )
    store_sessions(folder, sessions, Preprocessing(detrend_frames=1000), "benchmark")


def open_fold(folder: Path) -> Split:
    """The study's first fold, from the store: windows of 31 frames."""
    prepared = load_sessions(folder)
    windows = cut_windows(prepared, Target("run"), WindowShape(15, 15))
    return split_windows(windows, leave_animals_out(prepared.animals)[0])
