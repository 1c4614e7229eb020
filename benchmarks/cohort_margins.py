"""How close the simulated cohort comes to the study's published margins.

The cohort (`simulate --size study`, traces only) is matched to published margins, then frozen. What
binds are margins of the signals themselves, of a ridge with a fixed penalty and of the decoder that
knows each mouse (`corticode.simulate.ideal`). What networks find is reported with --networks and
binds nothing: the gru of the preset `code`, fitted in three epochs where thirty were published,
one fold a test mouse where there are four; decoders of some regions are tested on two mice. An AUC
is pooled over a mouse's sessions, as published. The first argument is the cohort's seed. Give
--keep to go on where networks were stopped: what was decoded is kept in that file.
Results on simulated mice prove the pipeline, not the biology.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from results_file import write_result
from scipy.ndimage import uniform_filter1d

from corticode.data.folds import leave_animals_out, split_windows
from corticode.data.layouts.study2024 import read_published_regions
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.decode.settings import Training
from corticode.evaluate.metrics import binary_scores
from corticode.simulate.cortex import LIMB_REGIONS
from corticode.simulate.dials import SIZES, resolve_dials
from corticode.simulate.ideal import area_under_curve, ceiling, ideal_decoder, inner_frames
from corticode.simulate.session import FRAME_RATE_HZ, Mouse, simulate_mouse, simulate_session

FOLDS = tuple(f"test-m{k}_valid-m{k % 5 + 1}" for k in range(1, 6))
EVERY_MOUSE, SOME_MICE = (1, 2, 3, 4, 5), (1, 3)
EPOCHS, TOP = 3, 8
PENALTY, EVERY, LAG_STEP = 10.0, 9, 5
RHYTHMS_HZ = (2.0, 2.5, 3.0, 3.5, 4.0)
HALF = 15
SMOOTHING = 30  # frames, of speed, as published
GRU = "gru"
# Networks. Condition: kind, frames of the detrending mean, regions, published.
CONDITIONS: dict[str, tuple[str, int, Sequence[int | str] | None, tuple[float, float] | None]] = {
    "gru, all regions": (GRU, 1000, None, (0.96, 0.985)),
    "gru, raw": (GRU, 0, None, (0.87, 0.95)),
    # Published as 0.966.
    "gru, limb regions alone": (GRU, 1000, ["FLa&HLa"], None),
    "gru, the other 46": (GRU, 1000, ["not", "FLa&HLa"], (0.91, 0.96)),
    "gru, M2&M1": (GRU, 1000, ["M2&M1"], (0.83, 0.91)),
    "gru, PT&RS": (GRU, 1000, ["PT&RS"], (0.72, 0.86)),
    "gru, V1&Vm": (GRU, 1000, ["V1&Vm"], (0.72, 0.86)),
    "gru, Vl&A1": (GRU, 1000, ["Vl&A1"], (0.72, 0.86)),
}
SD_BETWEEN = (0.008, 0.02)


@cache
def simulate(size: str, seed: int) -> list[Session]:
    """Every session of a cohort, without files."""
    extent, sessions = SIZES[size], []
    for number, n_sessions in enumerate(extent.n_sessions, start=1):
        mouse = simulate_mouse(number, n_sessions, seed, resolve_dials(None))
        for k in range(n_sessions):
            made = simulate_session(mouse, k, extent.n_frames, extent.n_pixels, seed)
            running = made.behavior.is_running.astype(np.int8)
            names = tuple(str(region + 1) for region in range(made.traces.shape[1]))
            segment = np.zeros(len(made.traces), np.int32)
            sessions.append(
                Session(
                    f"m{number}",
                    str(k),
                    made.traces,
                    names,
                    {
                        "run": running,
                        "speed": made.behavior.speed_cm_per_s,
                        "smoothed": uniform_filter1d(made.behavior.speed_cm_per_s, SMOOTHING),
                        "grooming": made.is_grooming,
                    },
                    segment,
                    FRAME_RATE_HZ,
                )
            )
    return sessions


def score(size: str, seed: int, mouse: int, name: str) -> float:
    """Pooled AUC of a condition in the fold that tests a mouse."""
    torch.set_num_threads(1)
    sessions = simulate(size, seed)
    folds = {one.name: one for one in leave_animals_out([s.animal for s in sessions])}
    kind, detrend_frames, regions, _ = CONDITIONS[name]
    windows = cut_windows(
        sessions,
        Target("run"),
        WindowShape(15, 15),
        preprocessing=Preprocessing(detrend_frames or None),
        regions=regions,
        table=read_published_regions(),
    )
    split = split_windows(windows, folds[FOLDS[mouse - 1]])
    decoder = fit(split.train, split.valid, kind, Training(epochs=EPOCHS))
    test = predict(decoder, split.test)
    return binary_scores(test.target, test.score)["auc"]


def score_all(size: str, seed: int, n_workers: int, path: Path) -> dict[str, dict[str, float]]:
    """AUC by condition and mouse; what stands in the file is taken from there, the rest added."""
    found: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}
    with ProcessPoolExecutor(n_workers, get_context("spawn")) as pool:
        waiting = {
            pool.submit(score, size, seed, mouse, name): (name, f"m{mouse}")
            for name, (_, _, regions, _) in CONDITIONS.items()
            for mouse in (SOME_MICE if regions else EVERY_MOUSE)
            if f"m{mouse}" not in found.get(name, {})
        }
        for one in as_completed(waiting):
            name, mouse = waiting[one]
            found.setdefault(name, {})[mouse] = one.result()
            path.write_text(json.dumps(found))
            print(f"{name}, {mouse}: {one.result():.3f}", flush=True)
    return found


def mice_of(size: str, seed: int) -> list[Mouse]:
    """The mice of a cohort."""
    return [
        simulate_mouse(number, n_sessions, seed, resolve_dials(None))
        for number, n_sessions in enumerate(SIZES[size].n_sessions, start=1)
    ]


def ridge_features(session: Session, kind: str, places: Sequence[int]) -> NDArray[np.float64]:
    """What a ridge sees of each ninth window, in units of each region's SD: regions at `places`.

    One frame; seven lags of the window; or these and the amplitude of the rhythms of strides.
    """
    traces = session.traces[:, places].astype(np.float64)
    traces -= uniform_filter1d(traces, 1000, axis=0)
    traces /= np.maximum(traces.std(axis=0), 1e-12)
    windows = sliding_window_view(traces, 2 * HALF + 1, axis=0)[::EVERY]
    if kind == "frame":
        return np.column_stack([windows[:, :, HALF], np.ones(len(windows))])
    found = [windows[:, :, ::LAG_STEP].reshape(len(windows), -1), np.ones((len(windows), 1))]
    if kind == "rhythms":
        seconds = np.arange(2 * HALF + 1) / FRAME_RATE_HZ
        waves = np.exp(2j * np.pi * np.outer(seconds, RHYTHMS_HZ)) * np.hanning(31)[:, None]
        amplitudes = np.abs(windows @ (waves - waves.mean(axis=0)))
        found.append(amplitudes.reshape(len(windows), -1))
    return np.concatenate(found, axis=1)


def ridge(size: str, seed: int, kind: str, places: Sequence[int]) -> tuple[float, float, float]:
    """AUC of running, R2 and mean error of speed, pooled over each mouse's sessions, mean of mice.

    Each mouse is read by the ridge of the other four; the penalty is fixed.
    """
    sessions = simulate(size, seed)
    animals = np.array([session.animal for session in sessions])
    features = [ridge_features(session, kind, places) for session in sessions]
    asked = [
        np.column_stack([inner_frames(s.behavior[name])[::EVERY] for name in ("run", "smoothed")])
        for s in sessions
    ]
    products = [(x.T @ x, x.T @ y) for x, y in zip(features, asked, strict=True)]
    found = []
    for animal in np.unique(animals):
        gram, moment = (
            sum(p[k] for p, a in zip(products, animals, strict=True) if a != animal)
            for k in range(2)
        )
        weights = np.linalg.solve(gram + PENALTY * np.eye(len(gram)), moment)
        own = np.flatnonzero(animals == animal)
        target = np.concatenate([asked[k] for k in own])
        read = np.concatenate([features[k] @ weights for k in own])
        found.append((area_under_curve(target[:, 0] > 0, read[:, 0]), *of_speed(target, read)))
    return tuple(np.mean(found, axis=0).tolist())


def of_speed(target: NDArray[np.float64], read: NDArray[np.float64]) -> tuple[float, float]:
    """R2 and mean absolute error of the last column."""
    error = target[:, -1] - read[:, -1]
    return float(1 - np.mean(error**2) / target[:, -1].var()), float(np.abs(error).mean())


def ridge_rows(size: str, seed: int) -> list[list[str]]:
    """Rows of the ridge: one frame, limb regions against all, speed."""
    every = np.arange(50)
    is_limb = np.isin(every + 1, LIMB_REGIONS)
    frame, window = (ridge(size, seed, kind, every) for kind in ("frame", "window"))
    all_regions, limb, others = (
        ridge(size, seed, "rhythms", places)[0]
        for places in (every, every[is_limb], every[~is_limb])
    )
    told = f"all {all_regions:.3f}, limb {limb:.3f}, the other 46 {others:.3f}"
    return [
        row("ridge on one frame, AUC", (0.75, 0.85), frame[0]),
        # Published of the gru: 0.974, 0.966, 0.938.
        row("ridge on rhythms and lags: all - limb regions alone", (0.0, 0.03), all_regions - limb),
        row("the same: all - the other 46", (0.0, 0.1), all_regions - others, told),
        row("ridge on the window, R2 of speed (-0.21, SD 0.59)", (-0.8, 0.38), window[1]),
        row("the same, error in cm/s (17.4, SD 1.12)", (16.28, 18.52), window[2]),
    ]


def ideal_rows(size: str, seed: int) -> list[list[str]]:
    """Rows of the decoder that knows each mouse: speed, and the ceiling of running."""
    n_pixels, speeds, ceilings = SIZES[size].n_pixels, [], []
    for mouse in mice_of(size, seed):
        readers = [ideal_decoder(mouse, seed, n_pixels, speed=speed) for speed in (False, True)]
        own = [s for s in simulate(size, seed) if s.animal == f"m{mouse.number}"]
        targets, read = [], []
        for session in own:
            run, speed, grooming = (
                inner_frames(session.behavior[name]) for name in ("run", "smoothed", "grooming")
            )
            ceilings.append(ceiling(run > 0, grooming, readers[0](session.traces)))
            targets.append(speed)
            read.append(readers[1](session.traces))
        speeds.append(of_speed(np.concatenate(targets)[:, None], np.concatenate(read)[:, None]))
    r2, error = np.mean(speeds, axis=0).tolist()
    return [
        row("ideal decoder, R2 of speed (gru: 0.44, SD 0.12)", (0.32, 0.56), r2),
        row("the same, error in cm/s (gru: 10.4, SD 2.95)", (7.45, 13.35), error),
        row("ceiling of running (ideal_auc)", None, float(np.mean(ceilings))),
    ]


def describe(size: str, seed: int) -> list[list[str]]:
    """Rows of what is true of traces and running as such."""
    sessions = simulate(size, seed)
    correlations, components, between = [], [], []
    for session in sessions:
        traces, running = session.traces, session.behavior["run"]
        detrended = traces - uniform_filter1d(traces, 1000, axis=0)
        correlations.append(np.corrcoef(np.column_stack([running, detrended]).T)[0, 1:])
        covariance = np.cov(traces.T)
        components.append(np.linalg.eigvalsh(covariance)[-1] / np.trace(covariance))
        sd = np.sqrt(np.diag(covariance))
        between.append(np.median((covariance / np.outer(sd, sd))[np.triu_indices(len(sd), 1)]))
    r = np.mean(correlations, axis=0)
    limb = np.isin(np.arange(1, r.size + 1), LIMB_REGIONS)
    best = 1 + np.argsort(-np.abs(r))[:TOP]
    fractions = [
        np.array([s.behavior["run"].mean() for s in sessions if s.animal == f"m{number}"])
        for number in range(1, 6)
    ]
    trends = [np.corrcoef(np.arange(f.size), f)[0, 1] for f in fractions]
    limb_among = int(np.isin(best, LIMB_REGIONS).sum())
    speed = np.concatenate([s.behavior["speed"] for s in sessions])
    running = np.concatenate([s.behavior["run"] for s in sessions]) > 0
    first, median = float(np.mean(components)), float(np.median(between))
    return [
        span("correlation with running, all", r, (0.07, 0.39)),
        span("the same, limb regions", r[limb], (0.15, 0.27)),
        [
            f"limb among the top eight (top: {' '.join(map(str, best))})",
            "0",
            str(limb_among),
            "",
            "met" if limb_among == 0 else "missed",
        ],
        row("first component, share", (0.4, 0.7), first),
        row("correlation between regions", (0.6, 0.9), median),
        row("median speed in running, cm/s", (10, 20), float(np.median(speed[running]))),
        row("95 % of speeds are below", (35, 45), float(np.percentile(speed, 95))),
        ["run fraction", "0.36 0.66 0.65 0.58 0.80", "", words([f.mean() for f in fractions]), ""],
        ["its correlation with day", "-0.66 0.14 -0.91 0.58 -0.70", "", words(trends), ""],
    ]


def span(what: str, values: NDArray[np.float64], asked: tuple[float, float]) -> list[str]:
    """A row of a range that has to lie within another."""
    low, high = float(values.min()), float(values.max())
    inside = asked[0] <= low and high <= asked[1]
    verdict = "met" if inside else "missed"
    return [what, f"{asked[0]}-{asked[1]}", f"{low:.2f}-{high:.2f}", "", verdict]


def row(
    what: str, asked: tuple[float, float] | None, value: float, by_mouse: str = ""
) -> list[str]:
    """A row of a number, and whether it lies within what is asked, if a range is."""
    if asked is None:
        return [what, "", f"{value:.4f}", by_mouse, ""]
    verdict = "met" if asked[0] <= value <= asked[1] else "missed"
    return [what, f"{asked[0]}-{asked[1]}", f"{value:.4f}", by_mouse, verdict]


def words(values: Sequence[float]) -> str:
    """Numbers side by side."""
    return " ".join(f"{value:.2f}" for value in values)


def decoding_rows(found: dict[str, dict[str, float]]) -> list[list[str]]:
    """A row a condition, and one of how mice differ."""
    rows = []
    for name, (_, _, _, asked) in CONDITIONS.items():
        by_mouse = dict(sorted(found[name].items()))
        told = " ".join(f"{mouse} {auc:.3f}" for mouse, auc in by_mouse.items())
        auc = np.array([*by_mouse.values()])
        rows.append(row(name, asked, float(auc.mean()), told))
        if name == "gru, all regions":
            rows.append(row("SD between animals of it", SD_BETWEEN, float(auc.std(ddof=1))))
    return [[*one[:-1], "reported"] for one in rows]


def main() -> None:
    """Simulate, decode, write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--size", choices=list(SIZES), default="study")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--networks", action="store_true", help="report them too: a night")
    parser.add_argument("--keep", type=Path, help="a file; default a temporary one")
    options = parser.parse_args()
    size, seed = options.size, options.seed
    rows = describe(size, seed) + ridge_rows(size, seed) + ideal_rows(size, seed)
    if options.networks:
        keep = options.keep or Path(tempfile.mkdtemp()) / "scores.json"
        rows += decoding_rows(score_all(size, seed, options.workers, keep))
    heads = ["simulated mice", "published or asked for", "found", "by test mouse", "verdict"]
    write_result("cohort_margins", heads, rows)


if __name__ == "__main__":
    main()
