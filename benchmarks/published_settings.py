"""Two settings of `paper-code` on simulated mice (`simulate --size tiny`), one fold.

The linear baselines of the study that ships, as it fits them, against scikit-learn's
`LogisticRegression()` and `LinearRegression()` on the same training frames: the largest difference
of what is predicted of the test mouse, and of a weight, relative to the largest. And what thinning
Deep SHAP costs: the released code sets every test window against 10,000; maps of a thousand windows
against 30 to 1,000, and a second draw of a thousand against a thousand, which tells what the draw
leaves to chance.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from results_file import write_result
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression, LogisticRegression

from corticode.data.folds import Split, split_windows
from corticode.data.layouts.study2024 import import_study2024
from corticode.data.prepared import load_sessions
from corticode.explain.contributions import draw_background
from corticode.explain.deepshap import deep_shap
from corticode.run.fits import FitTask, condition_windows, run_fit, stored_decoder
from corticode.run.folder import Run
from corticode.run.tasks import lay_out
from corticode.simulate.cohort import simulate_cohort
from corticode.study.shipped import shipped
from corticode.study.study import study_of

FOLD = "test-m1_valid-m2"
LINEAR = ("logistic regression on one frame", "speed linear regression")
GRU, N_WINDOWS = "gru", 1000
BACKGROUNDS = (30, 100, 300, 1000)
# A map needs a decoder that has learned, not one that took long.
TRAINING = {"epochs": 4, "batch_size": 64, "learning_rate": 3e-3}
Row = tuple[str, str, str]


def main() -> None:
    """Both, as a table."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 101
    with tempfile.TemporaryDirectory() as name:
        tasks = fitted(Path(name), seed)
        rows = [row for condition in LINEAR for row in against_scikit_learn(tasks[condition])]
        rows += thinned(tasks[GRU])
    write_result("published_settings_simulated", ("what", "found", "bar"), rows)


def fitted(folder: Path, seed: int) -> dict[str, FitTask]:
    """The fits of one fold, by condition, done."""
    raw_cohort = simulate_cohort(folder / "cohort", size="tiny", seed=seed, traces_only=True)
    import_study2024(raw_cohort, folder / "own")
    raw = shipped("paper-code")
    # "speed gru" is what its linear baseline is like; it is not fitted.
    asked = (*LINEAR, GRU, "speed gru")
    raw["condition"] = [one for one in raw["condition"] if one["name"] in asked]
    for one in raw["condition"]:
        if one["name"] == GRU:
            one["training"] = TRAINING
    raw |= {"map": [], "comparison": [], "folds": {"only": [FOLD]}}
    raw["data"] = {"catalogue": "sessions.csv", "regions": "regions.csv"}
    study = study_of(raw, folder / "own" / "study.toml")
    run = Run(folder / "run")
    tasks = {task.condition.name: task for task in lay_out(study, run).tasks}
    for condition in (*LINEAR, GRU):
        result = run_fit(tasks[condition])
        print(condition, {k: v for k, v in result.scores.items() if k in ("auc", "r2")}, flush=True)
    return tasks


def parts_of(task: FitTask) -> Split:
    """The windows of a fit by role."""
    windows = condition_windows(load_sessions(task.prepared), task.condition, table=task.table)
    return split_windows(windows, task.fold)


def against_scikit_learn(task: FitTask) -> list[Row]:
    """What differs from the same fit by scikit-learn, relative to the largest."""
    split, decoder = parts_of(task), stored_decoder(task.folder)
    before = task.condition.window.before

    def centres(part: str) -> NDArray[np.float64]:
        return getattr(split, part).values()[:, before].astype(np.float64)

    is_value = task.condition.target.kind == "value"
    # The penalty is the default; the search may go on until it is settled.
    model = LinearRegression() if is_value else LogisticRegression(tol=1e-9, max_iter=100_000)
    model.fit(centres("train"), split.train.target)
    network = decoder.network
    gain, offset = float(network.output_gain), float(network.output_offset)
    weight = network.inner.weight.detach().numpy().ravel().astype(np.float64) * gain
    bias = float(network.inner.bias.detach()) * gain + offset
    ours = centres("test") @ weight + bias
    theirs = centres("test") @ model.coef_.ravel() + float(np.ravel(model.intercept_)[0])
    found = {
        "predictions": np.abs(ours - theirs).max() / np.ptp(theirs),
        "weights": np.abs(weight - model.coef_.ravel()).max() / np.abs(model.coef_).max(),
    }
    return [
        (f"{task.condition.name}: {what}, from scikit-learn", f"{value:.1e}", "<= 1e-3")
        for what, value in found.items()
    ]


def thinned(task: FitTask) -> list[Row]:
    """What fewer windows and fewer backgrounds change of a map."""
    windows, decoder = parts_of(task).test, stored_decoder(task.folder)
    rng = np.random.default_rng(0)
    drawn = rng.permutation(windows.n_windows)[: 2 * N_WINDOWS].reshape(2, N_WINDOWS)

    def by_region(half: int, n_background: int) -> NDArray[np.float64]:
        background = draw_background(windows, n_background, balanced=False, seed=half)
        explained = windows.where(np.sort(drawn[half]))
        return deep_shap(decoder, explained, background, on="probability").absolute.sum(axis=0)

    began = time.perf_counter()
    maps = pd.DataFrame({n: by_region(0, n) for n in BACKGROUNDS})
    other = by_region(1, BACKGROUNDS[-1])
    took_s = time.perf_counter() - began
    pairs = N_WINDOWS * (sum(BACKGROUNDS) + BACKGROUNDS[-1])
    best = maps[BACKGROUNDS[-1]].to_numpy()
    rows: list[Row] = []
    for n in BACKGROUNDS[:-1]:
        found = maps[n].to_numpy()
        rows.append(
            (f"mean absolute SHAP, {n} backgrounds beside 1,000", compared(found, best), "")
        )
    rows.append(
        ("mean absolute SHAP, another 1,000 windows and backgrounds", compared(other, best), "")
    )
    rows.append(("pairs of a window and a background a second", f"{pairs / took_s:,.0f}", ""))
    return rows


def compared(found: NDArray[np.float64], best: NDArray[np.float64]) -> str:
    """Totals, shares, ranks and first four of two maps over regions."""
    shares = found / found.sum(), best / best.sum()
    first = [set(np.argsort(-one)[:4]) for one in shares]
    return (
        f"total {found.sum() / best.sum() - 1:+.2%}; largest change of a region's fraction "
        f"{np.abs(shares[0] - shares[1]).max():.4f}, ranks correlate by "
        f"{spearmanr(found, best).statistic:.3f}, {len(first[0] & first[1])} of the first 4 alike"
    )


if __name__ == "__main__":
    main()
