"""How often does the confound analysis claim what is not so? Cohorts whose truth is planted.

``python benchmarks/confounds.py [N [WORKERS]]``: N cohorts a cell (100) of five animals and three
sessions, by so many processes (1). ``python benchmarks/confounds.py gru [N [WORKERS]]``: N cohorts
(6) in three cells, decoded by the package's gru, of whole windows and for few epochs.
In each the traces hold an artefact, neural activity, or both; a confound follows running sharply,
bluntly or not at all, is measured twice with errors of the size that a reliability asks for, and
acts linearly, by its square, or linearly with errors that share 30 % of their variance. Traces are
cleaned and judged by the package's own functions; decoders are ridge regressions (or the gru), each
animal left out in turn. Seeds are fresh: none was looked at while the method was made.
"""

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from results_file import write_result
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter
from scipy.stats import beta

from corticode.data.confounds import BEHAVIOR_S, reliability, remove_confounds
from corticode.data.cues import lagged, shift_terms
from corticode.data.preprocess import Preprocessing, preprocess_traces
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.decode.predictions import Predictions, join
from corticode.decode.settings import Training
from corticode.evaluate.confounds import (
    CLAIMED,
    NONE_BEYOND,
    analyse_confounds,
    control_names,
    describe_beside,
)
from corticode.evaluate.refits import ridge_weights

HZ, N_FRAMES, N_REGIONS, N_ANIMALS, N_SESSIONS = 30.0, 2400, 16, 5, 3
HALF, EVERY, STEP = 15, 3, 6
FIRST_SEED = 700_000
# Few windows, in small batches: as many steps as a larger cohort takes in an epoch.
GRU = Training(epochs=3, batch_size=64, learning_rate=3e-3)
TRUTHS = {"artefact only": (0.0, 1.0), "neural only": (1.0, 0.0), "both": (1.0, 1.0)}
FALSE = {"artefact only": CLAIMED, "neural only": NONE_BEYOND, "both": NONE_BEYOND}


class Cell(NamedTuple):
    """One situation."""

    truth: str
    follows: str
    acts: str
    reliability: float


class Recorded(NamedTuple):
    """One session: what was planted and measured; arrays (frame, ...)."""

    animal: str
    run: NDArray[np.float64]
    traces: NDArray[np.float64]
    twice: tuple[NDArray[np.float64], NDArray[np.float64]]


def main() -> None:
    """Every cell, and the totals."""
    kind, *given = sys.argv[1:] if sys.argv[1:2] == ["gru"] else ["ridge", *sys.argv[1:]]
    n = int(given[0]) if given else {"ridge": 100, "gru": 6}[kind]
    workers = int(given[1]) if len(given) > 1 else 1
    follows, acts = ("sharply", "bluntly", "not"), ("linearly", "by its square", "errors shared")
    wanted = (1.0, 0.8, 0.55, 0.35, 0.1)
    cells = [Cell("artefact only", f, a, r) for a in acts for f in follows for r in wanted]
    cells += [
        Cell(truth, f, "linearly", r)
        for truth in ("neural only", "both")
        for f in follows
        for r in (0.8, 0.35)
    ]
    first = FIRST_SEED
    if kind == "gru":
        # One of each truth, the confound where it is hardest and yet can be measured.
        cells = [
            Cell("artefact only", "sharply", "linearly", 0.8),
            Cell("neural only", "bluntly", "linearly", 0.8),
            Cell("both", "bluntly", "linearly", 0.8),
        ]
        first += 100_000
    rows, totals = [], dict.fromkeys(TRUTHS, (0, 0))
    with ProcessPoolExecutor(workers) as pool:
        for k, cell in enumerate(cells):
            seeds = range(first + 1000 * k, first + 1000 * k + n)
            found = Counter(pool.map(partial(verdict, cell, kind=kind), seeds))
            wrong = found[FALSE[cell.truth]]
            totals[cell.truth] = (totals[cell.truth][0] + wrong, totals[cell.truth][1] + n)
            rest = n - found[CLAIMED] - found[NONE_BEYOND]
            rows.append([*cell, found[CLAIMED], found[NONE_BEYOND], rest, wrong])
            print(*rows[-1], sep=" | ", flush=True)
    for truth, (wrong, of) in totals.items():
        upper = beta.ppf(0.95, wrong + 1, of - wrong)
        rows.append(
            [truth, "all", "all", "all", "", "", "", f"{wrong} of {of} (95 % upper {upper:.3f})"]
        )
    heads = ["truth", "confound follows running", "it acts", "reliability", "exceeds",
             "no evidence", "not separable", "false assertions"]  # fmt: skip
    write_result("confounds_simulated" + "_gru" * (kind == "gru"), heads, rows)


def verdict(cell: Cell, seed: int, *, kind: str = "ridge") -> str:
    """What is said of one cohort, by decoders of one kind."""
    decode = {"ridge": decode_linearly, "gru": decode_by_gru}[kind]
    cohort = simulate(cell, seed)
    terms = [tuple(shift_terms(side) for side in one.twice) for one in cohort]
    label = [one.run[:, None] for one in cohort]
    agree = [reliability(*one.twice, one.run[:, None], HZ) for one in cohort]
    cleaned: list[NDArray[np.floating]] = [one.traces for one in cohort]
    for animal in dict.fromkeys(one.animal for one in cohort):
        own = [k for k, one in enumerate(cohort) if one.animal == animal]
        left = remove_confounds(
            [cohort[k].traces for k in own],
            [terms[k][0] for k in own],
            [terms[k][1] for k in own],
            [label[k] for k in own],
            HZ,
        )
        for k, one in zip(own, left, strict=True):
            cleaned[k] = one
    cortex = decode(cohort, [one.traces for one in cohort])
    confounds = decode(cohort, [(a + b) / 2 for a, b in terms])
    described = [
        describe_beside(one, other).assign(fold=k, seed=0)
        for k, (one, other) in enumerate(zip(cortex, confounds, strict=True))
    ]
    scores = [scores_of(cohort, cortex, "x")]
    scores.append(scores_of(cohort, decode(cohort, cleaned), control_names("x")[1]))
    return analyse_confounds(described, pd.concat(scores), "x", float(np.mean(agree))).verdict


def simulate(cell: Cell, seed: int) -> list[Recorded]:
    """Five animals; regions 1 to 4 are neural, artefacts lie on all, differently in each animal."""
    rng = np.random.default_rng(seed)
    neural, leak = TRUTHS[cell.truth]
    weights = np.abs(rng.normal(size=N_REGIONS)) * (np.arange(N_REGIONS) < 4)
    cohort = []
    for animal in range(N_ANIMALS):
        leaks = np.abs(rng.normal(size=N_REGIONS))
        for _ in range(N_SESSIONS):
            run, amount = bouts(rng)
            own = 3 * gaussian_filter1d(rng.normal(size=N_FRAMES), 2)
            confound = {
                "sharply": gaussian_filter1d(run * amount, 3) + 0.3 * own,
                "bluntly": gaussian_filter1d(run * amount, 15) + 0.6 * own,
                "not": own,
            }[cell.follows]
            calcium = lfilter([1 - np.exp(-1 / 12)], [1, -np.exp(-1 / 12)],
                              run * (1 + 0.3 * rng.normal(size=N_FRAMES)))  # fmt: skip
            acting = confound
            if cell.acts == "by its square":
                acting = (confound - np.median(confound)) ** 2
            traces = (
                neural * calcium[:, None] * weights
                + 3 * gaussian_filter1d(rng.normal(size=N_FRAMES), 30)[:, None]
                + 0.8 * rng.normal(size=(N_FRAMES, N_REGIONS))
                + leak * acting[:, None] * leaks
            )
            cohort.append(Recorded(f"m{animal}", run, traces, measured(confound, run, cell, rng)))
    return cohort


def bouts(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Running (0 or 1) and how much the animal moves in each bout, shape (frame,)."""
    run, amount, at, on = np.zeros(N_FRAMES), np.zeros(N_FRAMES), 0, rng.random() < 0.5
    while at < N_FRAMES:
        stop = at + int(rng.exponential(90) + 15)
        run[at:stop], amount[at:stop] = on, rng.gamma(4, 0.25)
        at, on = stop, not on
    return run, amount


def measured(
    confound: NDArray[np.float64], run: NDArray[np.float64], cell: Cell, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two measurements whose partial correlation, given running, is the cell's reliability."""
    about = np.column_stack([lagged(run[:, None], HZ, BEHAVIOR_S), np.ones(N_FRAMES)])
    basis = np.linalg.qr(about)[0]
    size = (confound - basis @ (basis.T @ confound)).std() * np.sqrt(1 / cell.reliability - 1)
    shared = 0.3 if cell.acts == "errors shared" else 0.0
    common = rng.normal(size=N_FRAMES)
    first, second = (
        confound
        + (size + 1e-6)
        * (np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=N_FRAMES))
        for _ in range(2)
    )
    return first[:, None], second[:, None]


def decode_by_gru(cohort: list[Recorded], inputs: list[NDArray[np.floating]]) -> list[Predictions]:
    """One gru an animal, fitted to three others; its validation animal is the next one."""
    sessions = [
        Session(
            one.animal,
            f"s{k}",
            values,
            tuple(map(str, range(values.shape[1]))),
            {"run": one.run},
            np.zeros(N_FRAMES, np.int32),
            HZ,
        )
        for k, (one, values) in enumerate(zip(cohort, map(np.asarray, inputs), strict=True))
    ]
    windows = cut_windows(
        sessions,
        Target("run"),
        WindowShape(HALF, HALF),
        preprocessing=Preprocessing(detrend_frames=1000, scale="z-score"),
    )
    names = list(dict.fromkeys(one.animal for one in cohort))
    of_animal = [windows.where(windows.animal == k) for k in range(len(names))]
    found = []
    for k in range(len(names)):
        after = (k + 1) % len(names)
        train = windows.where(~np.isin(windows.animal, (k, after)))
        decoder = fit(train, of_animal[after], "gru", GRU)
        valid = predict(decoder, of_animal[after], part="valid")
        found.append(join([valid, predict(decoder, of_animal[k])]))
    return found


def decode_linearly(
    cohort: list[Recorded], inputs: list[NDArray[np.floating]]
) -> list[Predictions]:
    """One ridge regression an animal, fitted to the others; its validation animal is the next."""
    at = np.arange(HALF, N_FRAMES - HALF, STEP)
    rows = []
    for values in inputs:
        scaled, _ = preprocess_traces(
            np.asarray(values), Preprocessing(detrend_frames=1000, scale="z-score")
        )
        window = np.concatenate([scaled[at + lag] for lag in range(-HALF, HALF + 1, EVERY)], axis=1)
        rows.append((window - window.mean(axis=0)).astype(np.float64))
    animals = [one.animal for one in cohort]
    names = list(dict.fromkeys(animals))
    grams = {name: np.zeros((rows[0].shape[1],) * 2) for name in names}
    moments = {name: np.zeros(rows[0].shape[1]) for name in names}
    for row, one in zip(rows, cohort, strict=True):
        grams[one.animal] += row.T @ row
        moments[one.animal] += row.T @ (one.run[at] - one.run[at].mean())
    found = []
    for k, name in enumerate(names):
        valid = names[(k + 1) % len(names)]
        weights = ridge_weights(
            sum(grams.values()) - grams[name], sum(moments.values()) - moments[name], 0.1
        )
        used = [j for j, animal in enumerate(animals) if animal in (name, valid)]
        score = np.concatenate([rows[j] @ weights for j in used])
        found.append(
            Predictions(
                part=np.repeat([1 + (animals[j] == name) for j in used], at.size).astype(np.int8),
                animal=np.repeat([names.index(animals[j]) for j in used], at.size).astype(np.int16),
                session=np.repeat(used, at.size).astype(np.int16),
                frame=np.tile(at, len(used)).astype(np.int32),
                target=np.concatenate([cohort[j].run[at] for j in used]).astype(np.float32),
                score=(1 / (1 + np.exp(-4 * score / score.std()))).astype(np.float32),
                kind="binary",
                animal_names=tuple(names),
                session_names=tuple(f"s{j}" for j in range(len(cohort))),
            )
        )
    return found


def scores_of(cohort: list[Recorded], predicted: list[Predictions], condition: str) -> pd.DataFrame:
    """Each animal's mean within-session AUC."""
    from corticode.evaluate.scores import score_animals, score_sessions

    tables = [
        score_sessions(one).assign(condition=condition, fold=k, seed=0)
        for k, one in enumerate(predicted)
    ]
    return score_animals(pd.concat(tables))


if __name__ == "__main__":
    main()
