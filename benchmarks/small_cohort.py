"""What decoders find on simulated mice (`simulate --size small`), against what was planted.

Cohort seeds on the command line, by default three that were not used while developing. Five folds,
each mouse tested once (two pairs of folds share their training); few epochs, of small batches, as a
cohort of this size has few windows: as many steps as sixteen epochs of the published batch.
``artefacts`` as the first argument measures cohorts without any signal but what brain motion, or
blood, carries of running: each cue is decoded by `linear-window`, within mice (each session left
out once) and across mice. Running shifts each mouse's brain its own way.
Results on simulated mice prove the pipeline, not the biology.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from results_file import write_result

from corticode.data.layouts.study2024 import import_study2024
from corticode.run.execute import execute_study
from corticode.simulate.cohort import simulate_cohort
from corticode.study.study import read_study

UNSEEN = (101, 202, 303)
EPOCHS, BATCH_SIZE, N_DRAWS = 4, 64, 5
GROUPS = ("M2&M1", "PT&RS", "V1&Vm", "Vl&A1")
HEAD = """
preset = "code"
[data]
catalogue = "sessions.csv"
regions = "regions.csv"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m1", "test-m3_valid-m4", "test-m4_valid-m3",
        "test-m5_valid-m1"]
"""
BY_SESSION = HEAD[: HEAD.index("only = [")] + 'by = "session"\n'
GRU = f"""
[[condition]]
name = "gru"
training = {{ epochs = {EPOCHS}, batch_size = {BATCH_SIZE} }}
"""
LIKE_GRU = """
[[condition]]
name = "{name}"
like = "gru"
{change}
"""
CHANGES = {
    "linear-frame": 'network = { kind = "linear-frame" }',
    "linear-window": 'network = { kind = "linear-window" }',
    "raw": "preprocess = { detrend_frames = 0 }",
    "limb": 'regions = ["FLa&HLa"]',
    **{group: f'regions = ["{group}"]' for group in GROUPS},
}
ARTEFACTS = {
    "brain-motion": {"signal": 0.0, "motion": 3.0},
    "global-mean": {"signal": 0.0, "haemodynamics": 3.0},
}
CUES = ("brain-motion", "global-mean", "border", "outside-mask", "frame-number")
CUE = """
[[condition]]
name = "{cue}"
input = "{cue}"
network = {{ kind = "linear-window" }}
"""
PERMUTED = GRU + 'permute_labels = "sessions"\n'


def run(folder: Path, name: str, text: str, n_seeds: int = 1) -> "pd.Series[float]":
    """Mean over animals of each condition of a study in an imported cohort's folder."""
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    summary = execute_study(read_study(path), folder / name, n_workers=2, n_seeds=n_seeds)
    return summary.animal_scores.groupby("condition", sort=False)["value"].mean()


def auc_without_signal(folder: Path) -> float:
    """The gru's AUC on what ``simulate --like`` makes of a study."""
    source, like = folder / "like-source.toml", folder / "like"
    source.write_text(HEAD + GRU, encoding="utf-8")
    command = [sys.executable, "-m", "corticode", "simulate", str(like), "--like", str(source)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    study = next(like.glob("*.toml"))
    return float(run(like, "run", study.read_text("utf-8"))["gru"])


def artefact_rows(seed: int) -> list[list[object]]:
    """Two rows an artefact: AUC of each cue within and across mice, and whether it leads."""
    cues = "".join(CUE.format(cue=cue) for cue in CUES)
    studies = {"within mice": BY_SESSION + cues, "across mice": HEAD + cues}
    rows: list[list[object]] = []
    for right, dials in ARTEFACTS.items():
        folder = Path(tempfile.mkdtemp())
        cohort = simulate_cohort(folder / "cohort", size="small", seed=seed, dials=dials)
        import_study2024(cohort, folder / "study")
        dial = ", ".join(f"{name} {value:g}" for name, value in dials.items())
        for where, text in studies.items():
            auc = run(folder / "study", f"cues {where}", text)
            others = ", ".join(f"{cue} {auc[cue]:.3f}" for cue in CUES if cue != right)
            what = f"artefact only ({dial}), {where}: {right} (other cues: {others})"
            rows.append([what, f"{auc[right]:.3f}", "best cue", auc.idxmax() == right])
        shutil.rmtree(folder)
    return rows


def measure(seed: int) -> list[list[str]]:
    """The rows of one cohort."""
    folder = Path(tempfile.mkdtemp())
    cohort = simulate_cohort(folder / "cohort", size="small", seed=seed, traces_only=True)
    import_study2024(cohort, folder / "study")
    ideal = json.loads((cohort / "truth.json").read_text("utf-8"))["ideal_auc"]
    likes = "".join(LIKE_GRU.format(name=n, change=c) for n, c in CHANGES.items())
    auc = run(folder / "study", "main", HEAD + GRU + likes)
    permuted = run(folder / "study", "permuted", HEAD + PERMUTED, N_DRAWS)["gru"]
    like = auc_without_signal(folder / "study")
    reached = (auc["gru"] - 0.5) / (ideal - 0.5)
    others = ", ".join(f"{group} {auc[group]:.3f}" for group in GROUPS)
    above = min(auc["limb"] - auc[group] for group in GROUPS)
    rows = [
        [
            "gru (linear-window, ideal)",
            f"{auc['gru']:.3f} ({auc['linear-window']:.3f}, {ideal:.3f})",
            "",
            "",
        ],
        [
            "gru - linear-frame",
            f"{auc['gru'] - auc['linear-frame']:.3f}",
            ">= 0.05",
            auc["gru"] - auc["linear-frame"] >= 0.05,
        ],
        ["share of the way from 0.5 to ideal", f"{reached:.3f}", ">= 0.9", reached >= 0.9],
        [
            "limb regions alone - all",
            f"{auc['limb'] - auc['gru']:.3f}",
            "within 0.03",
            abs(auc["limb"] - auc["gru"]) <= 0.03,
        ],
        [
            f"limb regions {auc['limb']:.3f} - best other group ({others})",
            f"{above:.3f}",
            ">= 0.03",
            above >= 0.03,
        ],
        ["detrended - raw", f"{auc['gru'] - auc['raw']:.3f}", "> 0", auc["gru"] > auc["raw"]],
        ["permuted, five draws", f"{permuted:.3f}", "0.5 +- 0.03", abs(permuted - 0.5) <= 0.03],
        ["simulate --like", f"{like:.3f}", "0.5 +- 0.03", abs(like - 0.5) <= 0.03],
    ]
    shutil.rmtree(folder)
    return with_verdict(seed, rows)


def with_verdict(seed: int, rows: list[list[object]]) -> list[list[str]]:
    """Rows with the cohort's seed first and a verdict in words last."""
    words = {True: "met", False: "missed"}
    told = [
        [str(seed), *map(str, row[:3]), words.get(bool(row[3]), "") if row[3] != "" else ""]
        for row in rows
    ]
    for one in told:
        print(" | ".join(one), flush=True)
    return told


def main() -> None:
    """Measure every cohort and write the table."""
    if sys.argv[1:2] == ["artefacts"]:
        seeds = [int(text) for text in sys.argv[2:]] or list(UNSEEN)
        rows = [r for seed in seeds for r in with_verdict(seed, artefact_rows(seed))]
        heads = ["cohort seed", "simulated mice, linear-window", "AUC", "bar", "verdict"]
        write_result("small_cohort_artefacts_simulated", heads, rows)
        return
    rows: list[list[str]] = []
    for seed in [int(text) for text in sys.argv[1:]] or UNSEEN:
        rows += measure(seed)
        # Written after each cohort: a run that is stopped leaves those that are done.
        heads = ["cohort seed", f"simulated mice, {EPOCHS} epochs of batches of {BATCH_SIZE}"]
        write_result("small_cohort_simulated", [*heads, "AUC", "bar", "verdict"], rows)


if __name__ == "__main__":
    main()
