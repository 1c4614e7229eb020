"""Do maps show what was planted? Simulated mice (`simulate --size small`), few epochs.

``where`` (the default): limb regions are small and fast, and absent from the eight regions that
correlate best with running; Deep SHAP of the gru has to put them first, and its first four have to
hold more than those of random-weight and label-permuted decoders. ``when``: all signals follow,
lead or go with behaviour by 0.3 s; the map of a gru, and that of a gru whose windows run backwards,
has to move with them. ``redundant``: all signal twice, in regions 6 and 31; neither may be needed
and each has to do. ``cutout``: movies of 64 x 64 pixels; the largest loss has to lie on a limb
square. ``artefacts``: what cues that are not cortex explain, with a 405 nm channel. Cohort seeds
come after, by default three that were not used while developing. Results on simulated mice prove
the pipeline, not the biology.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from results_file import write_result
from small_cohort import EPOCHS, GRU, HEAD, LIKE_GRU

from corticode.config import read_study
from corticode.data.folds import leave_animals_out, split_windows
from corticode.data.layouts import import_study2024
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.synthetic.cohort import simulate_cohort
from corticode.data.synthetic.dials import resolve_dials
from corticode.data.synthetic.session import simulate_mouse, simulate_session
from corticode.data.synthetic.sizes import SIZES
from corticode.data.synthetic.weights import LIMB_REGIONS, REDUNDANT_REGIONS
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.fit import fit
from corticode.decode.settings import Training
from corticode.explain.deepshap import deep_shap
from corticode.explain.map_settings import MapSettings
from corticode.grid import RunSummary, run_study
from corticode.maps import explained_and_background
from corticode.runs import Run

UNSEEN = (111, 222, 333)
N_PERMUTED_SEEDS = 4
LIMB = {str(number) for number in LIMB_REGIONS}
MAP = '[[map]]\ncondition = "{name}"\nkind = "deep-shap"\nn_windows = 500\nn_random = {n_random}\n'
PERMUTED = LIKE_GRU.format(name="gru, permuted", change='permute_labels = "sessions"')
LAGS_S = (-0.3, 0.0, 0.3)
LAG_FOLDS = ("test-m1_valid-m2", "test-m3_valid-m4")
FRAME_RATE_HZ = 30.0
ONE, OTHER = REDUNDANT_REGIONS
SETS = {
    f"without {ONE}": f'regions = ["not", {ONE}]',
    f"without {OTHER}": f'regions = ["not", {OTHER}]',
    f"{ONE} alone": f"regions = [{ONE}]",
    f"{OTHER} alone": f"regions = [{OTHER}]",
}
# Cells of the 8 x 8 map, (row, column), that the two limb squares of the study cover.
LIMB_CELLS = {(row, column) for row in (3, 4) for column in (1, 6)}
MOVIES = """
[[condition]]
name = "cnn"
preset = "recommended"
input = "movie"
target = { signal = "runrest" }
preprocess = { correction = "none" }
training = { epochs = 1, share = 0.15, freeze_batch_norm = true }
[[map]]
condition = "cnn"
kind = "occlusion"
every_n_frames = 10
fill = "shuffled"
"""
DIALS: Mapping[str, Mapping[str, float]] = {
    "artefact only": {"signal": 0.0, "motion": 3.0, "haemodynamics": 3.0},
    "both": {},
    "neural only": {"motion": 0.0, "haemodynamics": 0.0, "defocus": 0.0, "heart": 0.0},
}
EXPECTED = {
    "artefact only": ("explained by cues",),
    "both": ("not separable", "above cues"),
    "neural only": ("above cues",),
}
LINE = """
[[condition]]
name = "line"
network = { kind = "linear-window" }
[[artefacts]]
condition = "line"
"""

Rows = list[list[object]]


def study(
    seed: int,
    text: str,
    *,
    movies: bool = False,
    reference: bool = False,
    n_seeds: int = 1,
    **dials,
) -> tuple[Run, RunSummary]:
    """A finished run of a study on a cohort of its own; its folder has to be removed."""
    folder = Path(tempfile.mkdtemp())
    cohort = simulate_cohort(
        folder / "cohort",
        size="small",
        seed=seed,
        dials=dials,
        traces_only=not movies,
        reference_channel=reference,
    )
    import_study2024(cohort, folder / "study")
    path = folder / "study" / "study.toml"
    path.write_text(text, encoding="utf-8")
    summary = run_study(read_study(path), folder / "run", n_workers=2, n_seeds=n_seeds)
    return Run(folder / "run"), summary


def done(run: Run) -> None:
    """Remove what a study wrote."""
    shutil.rmtree(run.folder.parent)


def where(seed: int) -> Rows:
    """Limb regions lead the map and not the correlations; the share check."""
    text = HEAD + GRU + PERMUTED + MAP.format(name="gru", n_random=20)
    run, _ = study(seed, text, n_seeds=N_PERMUTED_SEEDS)
    regions = run.read_table("map_regions")
    own = regions[(regions["condition"] == "gru") & (regions["rank"] <= 4)]
    found = LIMB & set(own["region"])
    correlations = run.read_table("region_correlations")
    by_region = correlations.groupby("region")["pearson_r"].mean().abs()
    best = set(by_region.nlargest(8).index)
    checks = run.read_table("map_checks").set_index("control")
    rows: Rows = [
        [
            f"limb regions among the first four of Deep SHAP ({' '.join(own['region'])})",
            len(found),
            "4",
            len(found) == 4,
        ],
        [
            "limb regions among the eight best by correlation",
            len(LIMB & best),
            "0",
            not LIMB & best,
        ],
    ]
    for control, check in checks.iterrows():
        rows.append(
            [
                f"share of the first four; 95th percentile of {check['n_control']}, {control}",
                f"{check['trained']:.2f}; {check['limit']:.2f}",
                "above",
                check["passed"] is True or str(check["passed"]) == "True",
            ]
        )
    done(run)
    return rows


def sessions_of(seed: int, lag_s: float, *, backwards: bool) -> list[Session]:
    """The cohort's sessions, or the same as if time ran backwards."""
    step, extent = (-1 if backwards else 1), SIZES["small"]
    found = []
    for number, n_sessions in enumerate(extent.n_sessions, start=1):
        mouse = simulate_mouse(number, n_sessions, seed, resolve_dials({"lag_s": lag_s}))
        for k in range(n_sessions):
            made = simulate_session(mouse, k, extent.n_frames, extent.n_pixels, seed)
            traces = np.ascontiguousarray(made.traces[::step])
            run = made.behavior.is_running[::step].astype(int)
            names = tuple(str(n + 1) for n in range(traces.shape[1]))
            segment = np.zeros(len(traces), np.int32)
            found.append(
                Session(f"m{number}", str(k), traces, names, {"run": run}, segment, FRAME_RATE_HZ)
            )
    return found


def mean_frame(seed: int, lag_s: float, *, backwards: bool) -> float:
    """The mean frame of the window in real time, weighed by its share in the gru's map."""
    sessions = sessions_of(seed, lag_s, backwards=backwards)
    windows = cut_windows(
        sessions, Target("run"), WindowShape(15, 15), preprocessing=Preprocessing(1000)
    )
    folds = {fold.name: fold for fold in leave_animals_out([s.animal for s in sessions])}
    frames = []
    for name in LAG_FOLDS:
        split = split_windows(windows, folds[name])
        decoder = fit(split.train, split.valid, "gru", Training(epochs=EPOCHS))
        explained, background = explained_and_background(split, MapSettings("", "", "deep-shap"))
        found = deep_shap(decoder, explained, background)
        frames.append(float(np.dot(found.frames, found.by_frame())))
    return float(np.mean(frames)) * (-1 if backwards else 1)


def when(seed: int) -> Rows:
    """How far maps move with planted lags, forwards and backwards."""
    rows: Rows = []
    for name, backwards in (("gru", False), ("gru, windows backwards", True)):
        frames = {lag: mean_frame(seed, lag, backwards=backwards) for lag in LAGS_S}
        for lag in (LAGS_S[0], LAGS_S[2]):
            error = frames[lag] - frames[0.0] - lag * FRAME_RATE_HZ
            what = (
                f"{name}: lag {lag:+.1f} s moves the map by {frames[lag] - frames[0.0]:+.1f}, off"
            )
            rows.append([what, f"{error:+.1f} frames", "2", abs(error) <= 2])
    return rows


def redundant(seed: int) -> Rows:
    """Two regions that know the same: neither is needed, each will do."""
    likes = "".join(LIKE_GRU.format(name=n, change=c) for n, c in SETS.items())
    run, summary = study(seed, HEAD + GRU + likes, redundant=1.0)
    auc = summary.animal_scores.groupby("condition")["value"].mean()
    rows: Rows = []
    for name in SETS:
        lost = auc["gru"] - auc[name]
        rows.append([f"gru {auc['gru']:.3f}; {name}: lost", f"{lost:.3f}", "<= 0.03", lost <= 0.03])
    done(run)
    return rows


def cutout(seed: int) -> Rows:
    """Which cell of the cut-out map costs most, fold by fold, and what it took."""
    run, summary = study(seed, HEAD + MOVIES, movies=True)
    largest = []
    for path in sorted(run.maps_folder("cnn", "occlusion").glob("*/seed-0/occlusion_sessions.csv")):
        table = pd.read_csv(path)
        scores = table.groupby("mask", sort=False)["score"].mean().to_numpy().reshape(8, 8)
        covering = [np.roll(scores, (i, j), axis=(0, 1)) for i in (0, 1) for j in (0, 1)]
        cells = np.mean(covering, axis=0)
        largest.append(divmod(int(cells.argmax()), 8))
    n_limb = sum(cell in LIMB_CELLS for cell in largest)
    auc = summary.animal_scores["value"].mean()
    shown = " ".join(f"{row + 1}-{column + 1}" for row, column in largest)
    rows: Rows = [
        [
            f"folds whose largest cell is on a limb square (cells {shown}; cnn {auc:.3f})",
            n_limb,
            ">= 4 of 5",
            n_limb >= 4,
        ]
    ]
    done(run)
    return rows


def artefacts(seed: int) -> Rows:
    """The verdicts where artefacts, cortex or both carry running."""
    rows: Rows = []
    for name, dials in DIALS.items():
        run, _ = study(seed, HEAD + LINE, movies=True, reference=True, **dials)
        table = run.read_table("artefacts")
        verdict = str(table["verdict"].iloc[0])
        means = ", ".join(f"{row['input']} {row['mean']:.3f}" for _, row in table.iterrows())
        bar = " or ".join(EXPECTED[name])
        rows.append([f"{name}: {means}", verdict, bar, verdict in EXPECTED[name]])
        done(run)
    return rows


PARTS: Mapping[str, Callable[[int], Rows]] = {
    "where": where,
    "when": when,
    "redundant": redundant,
    "cutout": cutout,
    "artefacts": artefacts,
}


def main() -> None:
    """Measure one part on each seed, and write its table."""
    part, *seeds = sys.argv[1:] or ["where"]
    rows = []
    for seed in [int(s) for s in seeds] or UNSEEN:
        for what, measured, bar, met in PARTS[part](seed):
            rows.append([str(seed), str(what), str(measured), bar, "met" if met else "missed"])
            print(rows[-1], flush=True)
    write_result(
        f"maps_{part}_simulated",
        ["cohort seed", "simulated mice", "measured", "bar", "verdict"],
        rows,
    )


if __name__ == "__main__":
    main()
