"""How long `corticode report` takes, how large its page is, and whether a browser opens it.

Run folders are written as a run of the 2024 study's size would leave them: 5 mice, 64 sessions of
18,000 frames, 20 splits, with invented scores (nothing is fitted). Of 10 conditions every table,
four maps, and the predictions of the two conditions that a report reads singly; beside them a movie
of 128 x 128 pixels. Of 1,000 conditions the same. Time is that of the whole command in a fresh
process. It has one thread, so that on a core of its own the clock shows its processor time, which
is what is held to the bar; where other work shares the cores (see the load), the clock shows more.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from results_file import write_result

from corticode.data.layouts.study2024 import read_published_regions
from corticode.decode.predictions import Predictions
from corticode.evaluate.scores import score_animals
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.occlusion_summary import join_maps
from corticode.run.folder import Run, provenance, write_table
from corticode.simulate.dials import published_sessions
from corticode.study.study import resolve, study_of, write_resolved

RATE_HZ, MARGIN = 30.0, 15
BAR_S, BAR_MB = 20.0, 15.0
BROWSER = shutil.which("chromium-headless-shell") or shutil.which("chromium")


def write_run(folder: Path, options: argparse.Namespace, n_conditions: int) -> Run:
    """A run folder as a finished run leaves it."""
    folder.mkdir(parents=True)
    run = Run(folder)
    names = ["gru", "linear-window", *(f"gru {k}" for k in range(n_conditions - 3)), "cnn"]
    write_study(run, names)
    labels = {
        (f"m{mouse}", session): bouts(np.random.default_rng([mouse, k]), options.frames)
        for mouse, sessions in published_sessions().items()
        for k, session in enumerate(sessions)
    }
    write_scores(run, names, labels)
    kept = folder.parent / "fits"
    if not kept.is_dir():
        for name in names[:2]:
            for fold, test, valid in folds():
                write_predictions(run, name, fold, {test: "test", valid: "valid"}, labels)
        shutil.move(folder / "fits", kept)
    # The same files serve both runs.
    shutil.copytree(kept, folder / "fits", copy_function=os.link)
    for name in names[: min(4, n_conditions)]:
        write_map(run, name)
    write_map_tables(run, names[:4])
    return run


def folds() -> Iterator[tuple[str, str, str]]:
    """Name, test and validation animal of each of the 20 splits."""
    for test, valid in permutations((f"m{mouse}" for mouse in published_sessions()), 2):
        yield f"test-{test}_valid-{valid}", test, valid


def bouts(rng: np.random.Generator, n_frames: int) -> np.ndarray:
    """Labels that change every few seconds."""
    return (np.cumsum(rng.random(n_frames) < 1 / (4 * RATE_HZ)) % 2).astype(np.float32)


def write_study(run: Run, names: list[str]) -> None:
    """The resolved study, its regions and where it came from; one session has a movie."""
    known = read_published_regions()
    pd.DataFrame(
        {
            "name": known.names,
            "side": known.sides,
            "mirror": known.mirrors,
            "group": [";".join(groups) for groups in known.groups],
            "row": known.rows,
            "column": known.columns,
        }
    ).to_csv(run.folder.parent / "regions.csv", index=False)
    first = {"name": names[0], "network": {"kind": "gru"}, "target": {"signal": "runrest"}}
    rest = [
        {
            "name": name,
            "like": names[0],
            "network": {"kind": "linear-window" if name == names[1] else "gru", "units": 32},
        }
        for name in names[1:-1]
    ]
    rest[0]["network"].pop("units")
    # Conditions differ, as they do in studies.
    for k, one in enumerate(rest[1:]):
        one["window"] = {"before": 5 + k % 40, "after": 5 + k % 41, "shift": k // 40}
    movie = {
        "name": names[-1],
        "input": "movie",
        "preprocess": {"correction": "none"},
        "target": {"signal": "runrest"},
    }
    raw = {
        "preset": "code",
        "data": {"catalogue": "sessions.csv", "regions": "regions.csv"},
        "condition": [first, *rest, movie],
    }
    study = study_of(raw, run.folder.parent / "study.toml")
    assert resolve(study.conditions[0], RATE_HZ).network.kind == "gru"
    run.study_path.write_text(write_resolved(study, run.folder), "utf-8")
    sessions = [f"m{m}/{s}" for m, every in published_sessions().items() for s in every]
    told = provenance(dict.fromkeys(sessions, "0"), [0], "cpu", is_simulated=True)
    run.provenance_path.write_text(json.dumps(told), "utf-8")


def write_movies(folder: Path, options: argparse.Namespace) -> None:
    """A movie of the study's size, which all sessions of the catalogue share."""
    rng = np.random.default_rng(0)
    shape = (options.frames, 128, 128)
    movie = np.lib.format.open_memmap(folder / "movie.npy", "w+", np.uint16, shape)
    for start in range(0, options.frames, 500):
        part = movie[start : start + 500]
        part[:] = 6000 + rng.normal(0, 60, part.shape)
    rows = [
        [f"m{mouse}", session, "movie.npy", RATE_HZ]
        for mouse, sessions in published_sessions().items()
        for session in sessions
    ]
    for k, row in enumerate(rows):
        # Sessions may not share a file: each has a link of its own.
        (folder / f"movie_{k}.npy").hardlink_to(folder / "movie.npy")
        row[2] = f"movie_{k}.npy"
    columns = ["animal", "session", "movie", "frame_rate_hz"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "sessions.csv", index=False)


def write_scores(run: Run, names: list[str], labels: dict[tuple[str, str], np.ndarray]) -> None:
    """The tables of scores, with invented numbers."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        [
            (fold, 0, test, valid, animal, session, MARGIN, label.size - MARGIN - 1, label.mean())
            for fold, test, valid in folds()
            for (animal, session), label in labels.items()
            if animal == test
        ],
        columns=[
            "fold",
            "seed",
            "test_animal",
            "valid_animal",
            "animal",
            "session",
            "first_frame",
            "last_frame",
            "base_rate",
        ],
    )
    parts = [
        rows.assign(condition=name, auc=rng.normal(0.9 - 0.1 * rng.random(), 0.03, len(rows)))
        for name in names
    ]
    table = pd.concat(parts, ignore_index=True)
    table["auc"] = table["auc"].clip(0, 1)
    table = table.assign(n_windows=table["last_frame"] - MARGIN + 1, average_precision=table["auc"])
    table = table.assign(balanced_accuracy=0.8, brier=0.1, n_bouts_0=70, n_bouts_1=70)
    table = table.assign(blank_because="", look_ahead_s=np.inf)
    write_table(run.table_path("session_scores"), table)
    by_fit = ["condition", "fold", "seed", "test_animal", "valid_animal"]
    scores = table.groupby(by_fit, sort=False)[["auc", "base_rate", "brier"]].mean().reset_index()
    scores = scores.assign(auc_session_mean=scores["auc"], look_ahead_s=np.inf)
    write_table(run.table_path("scores"), scores)
    write_table(run.table_path("animal_scores"), score_animals(table))
    empty = pd.DataFrame(columns=["what", "animal", "session", "item", "count", "reason"])
    write_table(run.table_path("excluded"), empty)


def write_predictions(
    run: Run,
    condition: str,
    fold: str,
    parts: dict[str, str],
    labels: dict[tuple[str, str], np.ndarray],
) -> None:
    """What one decoder said of all sessions of its test and validation animal."""
    rng = np.random.default_rng([len(condition), *fold.encode()])
    names = tuple(dict.fromkeys(session for _, session in labels))
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("part", "animal", "session", "frame", "target", "score")
    }
    animals = tuple(parts)
    for (animal, session), label in labels.items():
        if animal not in parts:
            continue
        target = label[MARGIN:-MARGIN]
        n = target.size
        noise = np.convolve(rng.normal(0, 1, n + 14), np.ones(15) / 15, "valid")
        said = 1 / (1 + np.exp(-(4 * target - 2 + 5 * noise)))
        columns["part"].append(np.full(n, 2 if parts[animal] == "test" else 1, np.int8))
        columns["animal"].append(np.full(n, animals.index(animal), np.int16))
        columns["session"].append(np.full(n, names.index(session), np.int16))
        columns["frame"].append(np.arange(MARGIN, MARGIN + n, dtype=np.int32))
        columns["target"].append(target)
        columns["score"].append(said.astype(np.float32))
    joined = {name: np.concatenate(part) for name, part in columns.items()}
    folder = run.fit_folder(condition, fold, 0)
    folder.mkdir(parents=True)
    Predictions(
        **joined, kind="binary", animal_names=animals, session_names=names, frame_rate_hz=RATE_HZ
    ).save(folder / "predictions.npz")
    history = pd.DataFrame({"epoch": np.arange(1, 31)})
    history["train_loss"] = np.exp(-history["epoch"] / 10) + 0.1
    history["valid_loss"] = history["train_loss"] + rng.normal(0.1, 0.02, 30)
    write_table(folder / "history.csv", history)
    (folder / "done.json").write_text(json.dumps({"key": "", "fit": {}, "best_epoch": 20}), "utf-8")


def write_map(run: Run, condition: str) -> None:
    """A joined map of 20 decoders."""
    rng = np.random.default_rng(len(condition))
    maps = [
        (
            fold,
            test,
            ImportanceMap(
                "deep-shap",
                "logit",
                ("frame", "region"),
                rng.gamma(1, 1, (31, 50)),
                names=read_published_regions().names,
                frames=tuple(range(-15, 16)),
                frame_rate_hz=RATE_HZ,
            ),
        )
        for fold, test, _ in folds()
    ]
    path = run.maps_folder(condition, "deep-shap") / "map.npz"
    path.parent.mkdir(parents=True)
    join_maps(maps).save(path)


def write_map_tables(run: Run, names: list[str]) -> None:
    """Shares of regions by decoder and over animals, invented."""
    regions = read_published_regions().names
    shares = [
        {"condition": name, "map": "deep-shap", "fold": fold, "test_animal": test, "seed": 0}
        | {"region": region, "share": (1 + k % 7) / 200}
        for name in names
        for fold, test, _ in folds()
        for k, region in enumerate(regions)
    ]
    table = pd.DataFrame(shares)
    write_table(run.table_path("map_shares"), table)
    mean = table.groupby(["condition", "map", "region"], sort=False)["share"].mean().reset_index()
    mean = mean.assign(rank=1, low=mean["share"] - 0.01, high=mean["share"] + 0.01, n_animals=5)
    write_table(run.table_path("map_regions"), mean)


def measure(run: Run) -> tuple[float, float, Path]:
    """Seconds by the clock and of the processor, and the page."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "corticode", "report", str(run.folder)], check=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(getattr(after, name) - getattr(before, name) for name in ("ru_utime", "ru_stime"))
    return wall, cpu, run.folder / "report.html"


def open_page(page: Path, profile: Path) -> tuple[float, bool]:
    """Seconds until a headless browser has laid the page out, and whether its scripts ran."""
    began = time.perf_counter()
    done = subprocess.run(
        [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         f"--user-data-dir={profile}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return time.perf_counter() - began, "rows shown" in done.stdout


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=18_000, help="of each session")
    parser.add_argument("--many", type=int, default=1000, help="conditions of the second run")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_movies(folder, options)
        for n_conditions in (10, options.many):
            run = write_run(folder / f"run-{n_conditions}", options, n_conditions)
            wall, cpu, page = measure(run)
            what = f"{n_conditions:,} conditions x 20 splits"
            size = page.stat().st_size / 1e6
            rows += [
                [f"{what}: of the processor", f"{cpu:.1f} s", f"< {BAR_S:g} s"],
                [f"{what}: by the clock, load {os.getloadavg()[0]:.1f}", f"{wall:.1f} s", ""],
                [f"{what}: size of the page", f"{size:.1f} MB", f"< {BAR_MB:g} MB"],
            ]
            if BROWSER:
                seconds, works = open_page(page, folder / "profile")
                rows.append(
                    [f"{what}: opened by a browser, tables filled: {works}", f"{seconds:.1f} s", ""]
                )
            shutil.rmtree(run.folder)
    is_whole = options.frames == 18_000 and options.many == 1000
    suffix = "" if is_whole else "_thinned"
    write_result("report_page_simulated" + suffix, ["what", "found", "bar"], rows)


if __name__ == "__main__":
    main()
