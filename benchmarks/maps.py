"""Do maps show what was planted? Simulated mice (`simulate --size small`), few epochs.

``where`` (the default): limb regions are small and fast, and absent from the eight regions that
correlate best with running; Deep SHAP of the gru has to put them first, and its first four have to
hold more than those of random-weight and label-permuted decoders. ``when``: all signal in regions 6
and 31 follows, leads or goes with behaviour by 0.3 s; the map of a gru of these two, without the
fluctuation that all regions share, has to move with it, and so has that of a gru whose windows run
backwards. How far is the difference of the two centres of the peak, fold by fold, with its t
interval over the five folds; where that is wider than 0.15 of the window (0.3 s) it is "not
determined", by the rule of the page (`corticode.explain.stability.moment_of`). The rule was
set on seed 12. ``redundant``: all
signal twice, in regions 6 and 31, three times as strong as the dial has it and without what all
regions share, as the mean of two copies is better than one where there is noise; neither may be
needed and each has to do, and the run's own words have to say so. ``cutout``: movies of 64 x 64
pixels, a 405 nm channel taken out, windows of eleven images, every tenth of the test windows
covered; the largest loss has to lie on a limb square, of a decoder that is above chance.
``artefacts``: what cues that are not cortex explain, with a 405 nm channel. ``sets``: the limb
regions against 99 random sets of their size, disjoint from them, through gru decoders trained with
region dropout; p has to be 0.05 or less, and the linear decoder stands beside. ``ranks``: whether
such decoders, given one of twelve sets alone, rank them as refits to each do: the planted set, two
sets each that share three, two and one regions with it, and five that share none, on a cohort that
was seen while developing. Cohort seeds come
after, by default three that were not used while developing, but that 111 was seen twice before, and
missed: ``redundant`` with the dial at 1, decoded linearly, and ``artefacts`` with a tenth of the
blood, where nothing was decoded; both were made stronger on other seeds. ``cutout`` ran on 111
before, with these settings and the same outcome. Results on simulated mice prove the pipeline, not
the biology.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from results_file import write_result
from small_cohort import HEAD, LIKE_GRU

from corticode.data.folds import leave_animals_out, split_windows
from corticode.data.layouts.study2024 import import_study2024
from corticode.data.prepared import attach_movies, load_sessions
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.decoder import load_decoder
from corticode.decode.fit import fit
from corticode.decode.movie_batches import images_of_windows
from corticode.decode.networks.movies import MovieNetwork
from corticode.decode.settings import Training
from corticode.evaluate.confounds import CLAIMED, NONE_BEYOND
from corticode.evaluate.intervals import interval
from corticode.evaluate.nulls import COHORT
from corticode.explain.deepshap import deep_shap
from corticode.explain.importance_map import centre_of_frames
from corticode.explain.masks import SquareGrid, cells_of_squares, thin_windows
from corticode.explain.occlusion import occlude
from corticode.explain.settings import MapSettings
from corticode.explain.stability import moment_of
from corticode.run.execute import RunSummary, execute_study
from corticode.run.fits import condition_windows
from corticode.run.folder import Run
from corticode.run.maps import explained_and_background, masks_of
from corticode.run.tasks import lay_out
from corticode.simulate.cohort import simulate_cohort
from corticode.simulate.cortex import LIMB_REGIONS, REDUNDANT_REGIONS
from corticode.simulate.dials import SIZES, resolve_dials
from corticode.simulate.session import simulate_mouse, simulate_session
from corticode.study.study import REGION_DROPOUT, read_study

UNSEEN = (111, 222, 333)
# Of `sets`, fresh ones; `ranks` compares two ways of judging, on one that need not be.
SEEDS = {"sets": (4101, 4202, 4303), "ranks": (7,)}
# A map needs a decoder that has learned, not one that took long: few epochs, in large steps.
EPOCHS, BATCH_SIZE, LEARNING_RATE = 2, 64, 3e-3
GRU = f"""
[[condition]]
name = "gru"
training = {{ epochs = {EPOCHS}, batch_size = {BATCH_SIZE}, learning_rate = {LEARNING_RATE} }}
"""
N_PERMUTED_SEEDS, N_WORKERS = 4, 2
LIMB = {str(number) for number in LIMB_REGIONS}
# Curves and other backgrounds are not asked about here, and would take most of the time.
MAP = """
[[map]]
condition = "gru"
kind = "deep-shap"
n_windows = 500
n_random = 20
n_orders = 0
convergence = false
"""
PERMUTED = LIKE_GRU.format(name="gru, permuted", change='permute_labels = "sessions"')
LAGS_S = (-0.3, 0.0, 0.3)
# Each animal is tested once.
LAG_FOLDS = tuple(f"test-m{k}_valid-m{k % 5 + 1}" for k in range(1, 6))
# A decoder of calcium, which is late and slow, looks half a second ahead, and little at the last
# frames of a window: with another 0.3 s that has to lie well within. Only the two regions are
# decoded, without the fluctuation that all share, and in larger steps: what else there is, and a
# gru that has learned little, smear maps over the window. Neighbouring windows are alike, so every
# other one trains. Twelve epochs are no better: on seed 444 two of four were determined, one of
# them 6 frames off.
LAG_WINDOW, LAG_WINDOW_BACKWARDS, TRAIN_EVERY = WindowShape(25, 35), WindowShape(35, 25), 2
LAG_TRAINING = Training(epochs=4, batch_size=256, learning_rate=1e-2)
FRAME_RATE_HZ = 30.0
# What is planted in the sets, and what cues tell, a linear decoder of the window reads as well.
LINE = """
[[condition]]
name = "line"
network = { kind = "linear-window" }
"""
SETS = "".join(
    f'[[region_set]]\nname = "region {k}"\ncondition = "line"\nregions = [{k}]\nn_sets = 0\n'
    for k in REDUNDANT_REGIONS
)
# Cells of the 8 x 8 map, (row, column), that the two limb squares of the study cover.
LIMB_CELLS = {(row, column) for row in (3, 4) for column in (1, 6)}
# Limbs differ from the rest of cortex in how fast they are, which one image cannot show: windows of
# eleven. A grid of means stands where a CNN is asked for, which two cores train too slowly.
# Running shifts each mouse's brain its own way; without the 405 nm channel, in which that shows as
# well, a decoder learns the shifts of the mice it trains on and reads others at chance.
MOVIES = """
[[condition]]
name = "movies"
preset = "recommended"
input = "movie"
target = { signal = "runrest" }
network = { kind = "cnn-gru", backbone = "grid", units = 32 }
preprocess = { correction = "reference-regression" }
[condition.training]
epochs = 1
batch_size = 256
learning_rate = 3e-3
optimiser = "adam"
schedule = "constant"
validations = 2
run_windows = 8
[[map]]
condition = "movies"
kind = "occlusion"
every_n_frames = 10
fill = "shuffled"
n_orders = 0
"""
# A decoder that has to do with any regions takes longer to learn.
DROPOUT = f"""
[[condition]]
name = "gru: region dropout"
like = "gru"
training = {{ epochs = 3, augment = {{ region_dropout = {REGION_DROPOUT} }} }}
"""
LIMBS = f"""
[[region_set]]
name = "limbs"
condition = "gru"
regions = {list(LIMB_REGIONS)}
n_sets = 99
"""
# How many of the four planted regions each of the sets beside them holds.
N_PLANTED = (3, 3, 2, 2, 1, 1, 0, 0, 0, 0, 0)
# Folds that swap their validation and test mouse share a training.
RANK_FOLDS = '"test-m1_valid-m2", "test-m2_valid-m1"'
SET_FOLDS = f'{RANK_FOLDS}, "test-m3_valid-m4", "test-m4_valid-m3"'
DIALS: Mapping[str, Mapping[str, float]] = {
    # So much blood that traces carry running in every mouse: else there is nothing to explain.
    "artefact only": {"signal": 0.0, "motion": 2.0, "haemodynamics": 30.0},
    "both": {},
    "neural only": {"motion": 0.0, "haemodynamics": 0.0, "defocus": 0.0, "heart": 0.0},
}
# What must not be said of each.
FALSE = {"artefact only": CLAIMED, "both": NONE_BEYOND, "neural only": NONE_BEYOND}
ARTEFACTS = """
[[confounds]]
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
    place = cohort
    if reference:
        # Such a cohort brings its own catalogue, without a region table.
        text = text.replace('regions = "regions.csv"\n', "")
    else:
        place = folder / "study"
        import_study2024(cohort, place)
    path = place / "study.toml"
    path.write_text(text, encoding="utf-8")
    summary = execute_study(read_study(path), folder / "run", n_workers=N_WORKERS, n_seeds=n_seeds)
    return Run(folder / "run"), summary


def done(run: Run) -> None:
    """Remove what a study wrote."""
    shutil.rmtree(run.folder.parent)


def where(seed: int) -> Rows:
    """Limb regions lead the map and not the correlations; the share check."""
    run, _ = study(seed, HEAD + GRU + PERMUTED + MAP, n_seeds=N_PERMUTED_SEEDS)
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
                f"share of {check['regions']} four; 95th percentile of {check['n_control']}, "
                f"{control}",
                f"{check['trained']:.2f}; {check['limit']:.2f}",
                "above",
                str(check["passed"]) == "True",
            ]
        )
    done(run)
    return rows


def sessions_of(seed: int, lag_s: float, *, backwards: bool) -> list[Session]:
    """The two planted regions of a cohort's sessions, or the same as if time ran backwards."""
    step, extent = (-1 if backwards else 1), SIZES["small"]
    dials = resolve_dials({"lag_s": lag_s, "redundant": 1.0, "shared": 0.0})
    names = tuple(str(k) for k in REDUNDANT_REGIONS)
    planted = np.array(REDUNDANT_REGIONS) - 1
    found = []
    for number, n_sessions in enumerate(extent.n_sessions, start=1):
        mouse = simulate_mouse(number, n_sessions, seed, dials)
        for k in range(n_sessions):
            made = simulate_session(mouse, k, extent.n_frames, extent.n_pixels, seed)
            traces = np.ascontiguousarray(made.traces[::step, planted])
            run = made.behavior.is_running[::step].astype(int)
            segment = np.zeros(len(traces), np.int32)
            found.append(
                Session(f"m{number}", str(k), traces, names, {"run": run}, segment, FRAME_RATE_HZ)
            )
    return found


def map_centres(seed: int, lag_s: float, backwards: bool) -> NDArray[np.float64]:
    """Where the peak of each fold's map lies in the window, frames in real time."""
    torch.set_num_threads(1)
    sessions = sessions_of(seed, lag_s, backwards=backwards)
    shape = LAG_WINDOW_BACKWARDS if backwards else LAG_WINDOW
    windows = cut_windows(sessions, Target("run"), shape, preprocessing=Preprocessing(1000))
    folds = {fold.name: fold for fold in leave_animals_out([s.animal for s in sessions])}
    centres = []
    for name in LAG_FOLDS:
        split = split_windows(windows, folds[name])
        train, valid = (
            part.where(np.arange(0, part.n_windows, TRAIN_EVERY))
            for part in (split.train, split.valid)
        )
        decoder = fit(train, valid, "gru", LAG_TRAINING)
        explained, background = explained_and_background(split, MapSettings("", "", "deep-shap"))
        profile = deep_shap(decoder, explained, background).by_frame()
        centres.append(centre_of_frames(profile[::-1] if backwards else profile))
    return np.array(centres)


def when(seed: int) -> Rows:
    """How far maps move with planted lags, forwards and backwards."""
    rows: Rows = []
    asked = list(product((False, True), LAGS_S))
    with ProcessPoolExecutor(N_WORKERS, mp_context=get_context("spawn")) as executor:
        made = executor.map(map_centres, *zip(*[(seed, lag, b) for b, lag in asked], strict=True))
        centres = dict(zip(asked, made, strict=True))
    for name, backwards in (("gru", False), ("gru, windows backwards", True)):
        for lag in (LAGS_S[0], LAGS_S[2]):
            moved = centres[backwards, lag] - centres[backwards, 0.0]
            moment = moment_of(moved, LAG_WINDOW.n_frames)
            found, error = moment.found, moment.found.mean - lag * FRAME_RATE_HZ
            what = (
                f"{name}: lag {lag:+.1f} s moves the map's peak by {found.mean:+.1f} frames "
                f"[{found.low:+.1f}, {found.high:+.1f}], {found.n} folds, off"
            )
            said = f"{error:+.1f} frames" if moment.is_determined else "not determined"
            met = not moment.is_determined or abs(error) <= 2
            rows.append([what, said, "2, or not determined", met])
    n_told = sum(row[1] != "not determined" for row in rows)
    rows.append(
        [f"determined (of {len(rows)}; of three cohorts 9 of 12 are needed)", n_told, "", ""]
    )
    return rows


def redundant(seed: int) -> Rows:
    """Two regions that know the same: neither is needed, each will do, in the run's own words."""
    run, _ = study(seed, HEAD + LINE + SETS, redundant=3.0, shared=0.0)
    table = run.read_table("region_sets")
    done(run)
    sets, together = table[table["set"] != "together"], table[table["set"] == "together"]
    rows: Rows = []
    for _, row in sets.iterrows():
        ends = ", ".join(
            f"{name} {row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
            for name in ("necessity", "sufficiency")
        )
        rows.append(
            [
                f"{row['set']} (all regions {row['value_all']:.3f}): {row['words']}",
                ends,
                "not necessary, and sufficient",
                (row["necessary"], row["sufficient"]) == ("no", "yes"),
            ]
        )
    said = " ".join(together["words"].astype(str))
    rows.append(["both together, in words", said, "are redundant", "are redundant" in said])
    return rows


def largest_cell(path: Path) -> tuple[int, int]:
    """Where one decoder's map is largest, (row, column)."""
    scores = pd.read_csv(path).groupby("mask", sort=False)["score"].mean().to_numpy()
    cells = cells_of_squares(scores, SquareGrid((64, 64)))
    return divmod(int(cells.argmax()), cells.shape[1])


def cutout(seed: int) -> Rows:
    """Which cell of the cut-out map costs most, fold by fold, and what it took."""
    run, summary = study(seed, HEAD + MOVIES, movies=True, reference=True)
    folders = sorted(run.maps_folder("movies", "occlusion").glob("*/seed-0"))
    largest = [largest_cell(folder / "occlusion_sessions.csv") for folder in folders]
    n_limb = sum(cell in LIMB_CELLS for cell in largest)
    shown = " ".join(f"{row + 1}-{column + 1}" for row, column in largest)
    auc = interval(summary.animal_scores["value"])
    table = run.read_table("occlusion")
    first = table.loc[table["score"].idxmax()]
    n_images, told, counted = images_passed(run, folders[0])
    done(run)
    return [
        [
            "AUC, mean over animals and its 95 % interval",
            f"{auc.mean:.3f} [{auc.low:.3f}, {auc.high:.3f}]",
            "above 0.5",
            auc.low > 0.5,
        ],
        [f"folds whose largest cell is on a limb square ({shown})", n_limb, ">= 4", n_limb >= 4],
        [
            f"largest of the mean map: {first['mask']}, p by the maximum over cells (smallest "
            f"possible {first['smallest_p']:.3f})",
            f"{first['score']:.3f} [{first['low']:.3f}, {first['high']:.3f}], p {first['p']:.3f}, "
            f"thinning +- {first['thinning_se']:.3f}",
            "",
            "",
        ],
        [
            "images that pass the network a covered image (64 squares, and as it is): told by one "
            f"fold of {n_images} images; counted while its first session is covered again",
            f"{told:g}; {counted:g}",
            "65",
            told == counted == 65,
        ],
    ]


def images_passed(run: Run, folder: Path) -> tuple[int, float, float]:
    """How many images one map covered, and images passed for each: as told, and as counted."""
    plan = lay_out(read_study(run.folder.parent / "cohort" / "study.toml"), run)
    task = next(task for task in plan.maps if task.folder == folder)
    prepared = attach_movies(load_sessions(task.prepared), task.movies)
    windows = condition_windows(prepared, task.condition, seed=task.seed, table=task.table)
    tested = split_windows(windows, task.fold).test
    chosen = thin_windows(tested, task.settings.every_n_frames, seed=task.seed)
    n_images = images_of_windows(chosen)[0].size
    details = json.loads((folder / "done.json").read_text("utf-8"))["details"]
    decoder = load_decoder(task.fit_folder)
    cnn, passed = cast(MovieNetwork, decoder.network.inner).cnn, []
    cnn.register_forward_hook(lambda _, images, __: passed.append(len(images[0])))
    session = tested.where(tested.session == tested.session[0])
    few = thin_windows(session, task.settings.every_n_frames, seed=task.seed)
    masks = masks_of(task.settings, decoder, task.table)
    occlude(
        decoder,
        session,
        masks,
        fill=task.settings.fill,
        every_n_frames=task.settings.every_n_frames,
        seed=task.seed,
    )
    n_few = images_of_windows(few)[0].size
    return n_images, details["cnn_passes"] / n_images, sum(passed) / n_few


def artefacts(seed: int) -> Rows:
    """The verdicts where artefacts, cortex or both carry running."""
    rows: Rows = []
    for name, dials in DIALS.items():
        run, _ = study(seed, HEAD + LINE + ARTEFACTS, movies=True, reference=True, **dials)
        table = run.read_table("confounds")
        verdict = str(table["verdict"].iloc[0])
        cohort = table[table["animal"] == COHORT]
        means = ", ".join(f"{row['input']} {row['value']:.3f}" for _, row in cohort.iterrows())
        means += f"; reliability {table['reliability'].iloc[0]:.2f}"
        rows.append([f"{name}: {means}", verdict, f"not: {FALSE[name]}", verdict != FALSE[name]])
        done(run)
    return rows


def of_folds(names: str) -> str:
    """The head of a study of some folds."""
    return f"{HEAD[: HEAD.index('only = [')]}only = [{names}]\n"


def sets(seed: int) -> Rows:
    """The limb regions among random sets, through the network and through the linear decoder."""
    run, _ = study(seed, of_folds(SET_FOLDS) + GRU + DROPOUT + LIMBS)
    row = run.read_table("region_sets").iloc[0]
    done(run)
    return [
        [
            str(row["rank_words"]),
            f"p {row['p']:.3f}, percentile {row['percentile']:.0f}, {row['n_random']:.0f} sets",
            "p <= 0.05",
            row["n_random"] >= 99 and row["p"] <= 0.05,
        ],
        [f"{row['linear_words']}", f"percentile {row['linear_percentile']:.0f}", "", ""],
        [str(row["words"]), f"{row['necessary']}, {row['sufficient']}", "", ""],
    ]


def twelve_sets() -> list[list[int]]:
    """The planted set, and sets of its size that hold some of its regions and others."""
    rng = np.random.default_rng(0)
    others = np.setdiff1d(np.arange(1, 51), LIMB_REGIONS)
    drawn = [
        [*rng.choice(LIMB_REGIONS, n, replace=False), *rng.choice(others, 4 - n, replace=False)]
        for n in N_PLANTED
    ]
    return [list(LIMB_REGIONS), *(sorted(int(k) for k in one) for one in drawn)]


def ranks(seed: int) -> Rows:
    """What twelve sets decode alone: decoders with region dropout beside refits to each."""
    chosen = twelve_sets()
    refits = "".join(
        LIKE_GRU.format(name=f"set {k}", change=f"regions = {one}") for k, one in enumerate(chosen)
    )
    masks = ", ".join(f'"set {k}" = {json.dumps(["not", *one])}' for k, one in enumerate(chosen))
    alone = '[[map]]\ncondition = "gru: region dropout"\nkind = "occlusion"\nfill = "zero"\n'
    alone += f"every_n_frames = 5\nmasks = {{ {masks} }}\n"
    run, summary = study(seed, of_folds(RANK_FOLDS) + GRU + DROPOUT + refits + alone)
    refitted = summary.animal_scores.groupby("condition")["value"].mean()
    paths = run.maps_folder("gru: region dropout", "occlusion").glob("*/*/occlusion_sessions.csv")
    sessions = pd.concat([pd.read_csv(path) for path in paths])
    given = sessions.groupby(["mask", "animal"])["auc_covered"].mean().groupby("mask").mean()
    names = [f"set {k}" for k in range(len(chosen))]
    table = pd.DataFrame({"refitted": refitted[names], "given alone": given[names]})
    done(run)
    rho = float(table.rank().corr().iloc[0, 1])
    pairs = "; ".join(
        f"{' '.join(map(str, one))}: {a:.3f}, {b:.3f}"
        for one, (a, b) in zip(chosen, table.to_numpy(), strict=True)
    )
    return [
        [
            f"AUC of a gru refitted to each set, and of one with region dropout given it: {pairs}",
            f"Spearman's rho {rho:.3f}",
            ">= 0.8",
            rho >= 0.8,
        ]
    ]


PARTS: Mapping[str, Callable[[int], Rows]] = {
    "where": where,
    "when": when,
    "redundant": redundant,
    "cutout": cutout,
    "artefacts": artefacts,
    "sets": sets,
    "ranks": ranks,
}


def main() -> None:
    """Measure one part on each seed, and write its table."""
    part, *seeds = sys.argv[1:] or ["where"]
    rows = []
    for seed in [int(s) for s in seeds] or SEEDS.get(part, UNSEEN):
        for what, measured, bar, met in PARTS[part](seed):
            verdict = "" if met == "" else "met" if met else "missed"
            rows.append([str(seed), str(what), str(measured), bar, verdict])
            print(rows[-1], flush=True)
        # Written after each cohort: a run that is stopped leaves those that are done.
        heads = ["cohort seed", "simulated mice", "measured", "bar", "verdict"]
        write_result(f"maps_{part}_simulated", heads, rows)


if __name__ == "__main__":
    main()
