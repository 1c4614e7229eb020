"""Every published trace condition beside ours on simulated mice (`simulate --size study`).

Conditions and settings are those of the preset `traces2024`, but for what is thinned: one fold, or
those named on the command line, in the place of 20, and few epochs in the place of 30. So nothing
here can miss or meet a published mean; what can be compared is the order of conditions. AUC, R2 and
error are over all test windows of a fold pooled, as the published AUC is, then averaged over folds.
Give --out to go on with a run that was stopped: cohort, prepared traces and finished fits in it are
kept.
Results on simulated mice prove the pipeline, not the biology.
"""

import argparse
import csv
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import pandas as pd
import tomli_w
from results_file import RESULTS, write_result

from corticode.data.layouts.study2024 import import_study2024
from corticode.run.execute import Progress, execute_study
from corticode.run.folder import Run
from corticode.simulate.cohort import simulate_cohort
from corticode.simulate.dials import SIZES
from corticode.study.study import read_study

PRESET = "traces2024.toml"
FOLD = "test-m1_valid-m2"
EPOCHS, SEED, N_WORKERS = 2, 505, 2
# Published name of a metric, and the column of scores.csv.
COLUMNS = {"auc": "auc", "r2": "r2", "mae_cm_per_s": "mae"}


def published_means() -> dict[tuple[str, str], str]:
    """Mean and SD of the text, in words, by condition and metric."""
    file = resources.files("corticode.published").joinpath("published_summary.csv")
    rows = csv.DictReader(file.read_text("utf-8").splitlines())
    return {(row["condition"], row["metric"]): f"{row['mean']} ({row['sd']})" for row in rows}


def study_text(folds: Sequence[str], epochs: int) -> str:
    """The preset with some folds only, and few epochs."""
    raw = tomllib.loads(
        resources.files("corticode.study.presets").joinpath(PRESET).read_text("utf-8")
    )
    raw["folds"]["only"] = list(folds)
    raw |= {"map": [], "comparison": []}
    for condition in raw["condition"]:
        # Those that are like another take its epochs; linear decoders have none.
        if "like" not in condition:
            condition["training"] = {"epochs": epochs}
    return tomli_w.dumps(raw)


def run_conditions(folder: Path, options: argparse.Namespace) -> pd.DataFrame:
    """One row a fit, in a folder that keeps what is done."""
    if not (folder / "cohort").exists():
        simulate_cohort(folder / "cohort", size=options.size, seed=options.seed, traces_only=True)
    study = folder / "study"
    if not (study / "sessions.csv").exists():
        import_study2024(folder / "cohort", study)
    path = study / PRESET
    path.write_text(study_text(options.folds, options.epochs), encoding="utf-8")
    execute_study(read_study(path), folder / "run", n_workers=options.workers, on_progress=tell)
    return Run(folder / "run").read_table("scores")


def tell(progress: Progress) -> None:
    """How far the run is, a line a fit."""
    left = progress.seconds_left or 0.0
    print(f"{progress.n_done} of {progress.n_total}, {left:.0f} s left: {progress.last}")


def table_rows(
    scores: pd.DataFrame, published: Mapping[tuple[str, str], str]
) -> list[tuple[str, str, str, str]]:
    """Condition, metric, what was published and the mean over our folds."""
    rows = []
    for condition, of_condition in scores.groupby("condition", sort=False):
        for metric, column in COLUMNS.items():
            ours = of_condition[column].mean()
            if pd.notna(ours):
                said = published.get((str(condition), metric), "not given")
                rows.append((str(condition), metric, said, f"{ours:.3f}"))
    return rows


def size_gb(folder: Path) -> float:
    """What a folder takes on the disk."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def write_table(scores: pd.DataFrame, folder: Path, options: argparse.Namespace) -> None:
    """The table, and below it what was thinned."""
    n_folds = scores["fold"].nunique()
    few = f"{n_folds} {'fold' if n_folds == 1 else 'folds'}, {options.epochs} epochs"
    heads = ["condition", "metric", "published mean (SD), 20 folds", f"simulated mice, {few}"]
    name = "study_table_simulated" + f"_{options.size}" * (options.size != "study")
    write_result(name, heads, table_rows(scores, published_means()))
    note = (
        f"The published values are of five real mice, ours of five simulated mice (size "
        f"{options.size}, seed {options.seed}). Thinned: {n_folds} of 20 folds "
        f"({', '.join(scores['fold'].unique())}) and {options.epochs} epochs of the recurrent "
        "decoders where 30 were published; linear decoders, windows, regions and preprocessing "
        "are whole. AUC, R2 and MAE (cm/s) are over all test windows of a fold pooled, as "
        "the published AUC is, averaged over folds; 'not given': no mean in the text. Results on "
        "simulated mice prove the pipeline, not the biology. Run folder: "
        f"{size_gb(folder / 'run'):.2f} GB."
    )
    with (RESULTS / f"{name}.md").open("a", encoding="utf-8") as file:
        file.write(f"\n{note}\n")
    print(note)


def read_options() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folds", nargs="*", help=f"names of folds; default {FOLD}")
    parser.add_argument("--size", choices=list(SIZES), default="study")
    parser.add_argument("--seed", type=int, default=SEED, help="of the cohort")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--workers", type=int, default=N_WORKERS)
    parser.add_argument("--out", type=Path, help="kept between calls; default a temporary folder")
    options = parser.parse_args()
    options.folds = options.folds or [FOLD]
    return options


def main() -> None:
    """Run what is not done yet and write the table."""
    options = read_options()
    out = options.out or Path(tempfile.mkdtemp())
    folder = out.absolute() / f"{options.size}-{options.seed}"
    print(f"everything is kept in {folder}")
    write_table(run_conditions(folder, options), folder, options)


if __name__ == "__main__":
    main()
