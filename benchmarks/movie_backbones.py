"""What decodes movies in an animal never seen: shifts, motion correction, backbones, CPU seconds.

Simulated mice (`simulate --size small`, 64 x 64 pixels, the development seed 777), two folds (m1
tested and m2 validating, m3 and m4), each way trained once: a lead, not a result. Movies are
decoded as recorded, and as `corticode preprocess` writes them (brain motion taken out, dF/F, NaN
around the brain); settings are those of the `recommended` preset but for what a row names. The AUC
is the mean within the sessions of the animal; CPU seconds are those of the process, in training and
validation, a fold. Results on simulated mice prove the pipeline, not the biology; they hold no
answer to blood, which an image of one wavelength shows with the neurons.

    python benchmarks/movie_backbones.py FOLDER    (recordings are kept there, and taken again)
"""

import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results_file import write_result

import corticode as cc
from corticode.data.catalogue import read_catalogue
from corticode.data.folds import Fold, Part, Split, split_windows
from corticode.data.layouts.study2024 import import_study2024
from corticode.data.prepared import prepare_movies, prepare_sessions
from corticode.data.session import Session, read_session
from corticode.data.windows import Windows
from corticode.decode.decoder import Decoder
from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.errors import CorticodeWarning
from corticode.evaluate.metrics import binary_scores
from corticode.run.fits import condition_windows
from corticode.simulate.cohort import simulate_cohort
from corticode.study.conditions import Condition
from corticode.study.study import resolve, study_of

SEED, FRAME_RATE_HZ = 777, 30.0
FOLDS = (("m1", "m2"), ("m3", "m4"))
NO_SHIFTS: dict[str, Any] = {"augment": {"shift_fraction": 0.0}}
GAIN: dict[str, Any] = {"augment": {"gain": 0.2}}
RECORDED, CORRECTED, TRACES = "as recorded", "motion corrected", "region traces"
# What is decoded, how, and what differs from the preset.
ROWS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (TRACES, "gru", {"training": {"epochs": 3}}),
    (RECORDED, "small, shifts", {}),
    (RECORDED, "small, no shifts", {"training": NO_SHIFTS}),
    (CORRECTED, "small, shifts", {}),
    (CORRECTED, "small, no shifts", {"training": NO_SHIFTS}),
    (RECORDED, "small, shifts, single images", {"network": {"kind": "cnn"}}),
    (RECORDED, "grid, shifts", {"network": {"kind": "cnn-gru", "backbone": "grid"}}),
    (RECORDED, "small, shifts and gain", {"training": GAIN}),
)


def read_cohorts(folder: Path) -> dict[str, list[Session]]:
    """The same recordings as they are, and preprocessed."""
    if not (folder / "study" / "sessions.csv").is_file():
        cohort = simulate_cohort(folder / "cohort", size="small", seed=SEED)
        import_study2024(cohort, folder / "study")
    catalogues = {RECORDED: folder / "study", CORRECTED: folder / "corrected"}
    (folder / "steps.toml").write_text('[preprocess]\nmask = "brain"\n', "utf-8")
    cc.preprocess(
        catalogues[RECORDED] / "sessions.csv", catalogues[CORRECTED], steps=folder / "steps.toml"
    )
    cohorts = {
        name: [
            read_session(one, signals=["runrest"]) for one in read_catalogue(path / "sessions.csv")
        ]
        for name, path in catalogues.items()
    }
    return cohorts | {TRACES: cohorts[RECORDED]}


def resolved(what: str, changed: dict[str, Any]) -> Condition:
    """A condition of the preset, with what a row changes."""
    own: dict[str, Any] = {"name": what, **changed}
    if what != TRACES:
        own |= {"input": "movie", "preprocess": {"correction": "none"}}
    keys = {
        "data": {"catalogue": "sessions.csv"},
        "target": {"signal": "runrest"},
        "condition": [own],
    }
    return resolve(study_of(keys, Path("study.toml")).conditions[0], FRAME_RATE_HZ)


def cut(sessions: list[Session], condition: Condition) -> Windows:
    """The windows of a condition."""
    if condition.pixels is None:
        return condition_windows(prepare_sessions(sessions, condition.preprocessing), condition)
    return condition_windows(prepare_movies(sessions, condition.pixels), condition)


def split(windows: Windows, test: str, valid: str) -> Split:
    """The windows of a fold by role."""
    parts: dict[str, list[Part]] = {"train": [], "valid": [], "test": []}
    for k in np.unique(windows.session):
        animal = windows.animal_names[windows.animal[windows.session == k][0]]
        role = {test: "test", valid: "valid"}.get(animal, "train")
        parts[role].append(Part(animal, windows.session_names[k]))
    roles = (tuple(parts[role]) for role in ("train", "valid", "test"))
    return split_windows(windows, Fold(f"test-{test}_valid-{valid}", *roles))


def auc_within_sessions(decoder: Decoder, windows: Windows) -> float:
    """Mean over the sessions of an animal."""
    said = predict(decoder, windows, part=None)
    each = [
        binary_scores(said.target[said.session == k], said.score[said.session == k])["auc"]
        for k in np.unique(said.session)
    ]
    return float(np.nanmean(each))


def measured(windows: Windows, condition: Condition) -> Iterator[tuple[float, float, float]]:
    """AUC of the test and of the validation animal, and CPU seconds, fold by fold."""
    for test, valid in FOLDS:
        parts = split(windows, test, valid)
        began = time.process_time()
        decoder = fit(parts.train, parts.valid, condition.network, condition.training)
        spent = time.process_time() - began
        yield (
            auc_within_sessions(decoder, parts.test),
            auc_within_sessions(decoder, parts.valid),
            spent,
        )


def main(folder: Path) -> None:
    """Measure row by row; the table is written after each."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", CorticodeWarning)
    cohorts = read_cohorts(folder)
    rows: list[list[object]] = []
    for what, how, changed in ROWS:
        condition = resolved(what, changed)
        found = list(measured(cut(cohorts[what], condition), condition))
        test, valid, _ = (" / ".join(f"{v:.3f}" for v in one) for one in zip(*found, strict=True))
        seconds = " / ".join(f"{one[2]:.0f}" for one in found)
        rows.append([what, how, test, valid, seconds])
        heads = ["simulated mice", "decoder", "test AUC m1 / m3", "validation AUC m2 / m4", "CPU s"]
        write_result("movie_backbones_simulated", heads, rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
