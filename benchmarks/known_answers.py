"""Questions whose answer was planted in simulated mice: what is found, beside what must be.

Seeds of the cohorts on the command line, by default one that was not used while developing; --size
for other extents. Questions are numbered as those of the simulation's specification: nothing to
decode (1), artefacts alone (2), a signal in one mouse (7), a one-sided mouse (8), a product of
regions (9), a level that drifts over days (12). Values of animals are means of within-session AUC;
intervals are Student's over animals, which takes them to be independent. A bar that is missed is
said to be missed. Results on simulated mice prove the pipeline, not the biology.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from results_file import write_result
from scipy.io import loadmat, savemat
from scipy.stats import t

from corticode.data.layouts.study2024 import import_study2024
from corticode.run.execute import execute_study
from corticode.run.folder import Run
from corticode.simulate.cohort import simulate_cohort
from corticode.simulate.dials import BEHAVIOR_DRIVEN, SIZES
from corticode.study.study import read_study

UNSEEN = 404
EPOCHS = 4
SMALL, CONFIDENCE = 0.03, 0.95
WEAK, CLEAR = 0.6, 0.7
MOVIE_SIZE = "tiny"
LEVEL_PERCENT = 2.0  # from one session to the next; far more would round probabilities to 1
ACROSS = """only = ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m4", "test-m4_valid-m5",
    "test-m5_valid-m1"]"""
WITHIN = 'by = "session"'
HEAD = """
preset = "code"
[data]
catalogue = "sessions.csv"
[folds]
{folds}
"""
CONDITION = """
[[condition]]
name = "{name}"
{keys}
"""
GRU = f"training = {{ epochs = {EPOCHS} }}"
LINEAR = 'network = { kind = "linear-window" }'
BOTH = {"gru": GRU, "linear-window": LINEAR}
ARTEFACTS = {
    # Running shifts each brain its own way: motion is read within mice, blood across them.
    "motion": (("brain-motion",), WITHIN),
    "haemodynamics": (("global-mean", "reference"), ACROSS),
}
CUES = ("brain-motion", "global-mean", "reference", "border", "outside-mask", "frame-number")
RAW = {
    "raw, not scaled": LINEAR + '\npreprocess = { detrend_frames = 0, scale = "none" }',
    "raw": LINEAR + "\npreprocess = { detrend_frames = 0 }",
    "detrended": LINEAR,
}
NO_ARTEFACTS = dict.fromkeys(BEHAVIOR_DRIVEN, 0.0)

Row = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Cohort:
    """Which mice are simulated.

    Parameters
    ----------
    size, seed, dials
        As `simulate_cohort` takes them.
    has_movies
        Whether movies are written, with a reference channel.
    change
        Done to the cohort's folder before anything is read from it.
    """

    size: str
    seed: int
    dials: Mapping[str, float]
    has_movies: bool = False
    change: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class Found:
    """What was found: value of each animal and pooled AUC of each condition.

    Parameters
    ----------
    animals
        One row a condition, one column an animal.
    pooled
        AUC over all windows of a fold, mean over folds; one value a condition.
    """

    animals: pd.DataFrame
    pooled: "pd.Series[float]"

    def mean(self, condition: str) -> float:
        """Mean over animals."""
        return float(self.animals.loc[condition].mean())

    def interval(self, condition: str) -> tuple[float, float]:
        """Student's interval of that mean."""
        return t_interval(self.animals.loc[condition].to_numpy())


def t_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The interval of a mean, by Student's t."""
    n = len(values)
    half = t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
    return float(np.mean(values) - half), float(np.mean(values) + half)


def decode(cohort: Cohort, conditions: Mapping[str, str], folds: str = ACROSS) -> Found:
    """Every condition of a study of a cohort that is simulated for it and then deleted."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "cohort"
        simulate_cohort(
            folder,
            size=cohort.size,
            seed=cohort.seed,
            dials=cohort.dials,
            traces_only=not cohort.has_movies,
            reference_channel=cohort.has_movies,
        )
        if cohort.change is not None:
            cohort.change(folder)
        # With a reference channel the cohort brings its own catalogue, without a region table.
        head, study = HEAD.format(folds=folds), folder
        if not (folder / "sessions.csv").exists():
            study = Path(temporary) / "study"
            import_study2024(folder, study)
            head = head.replace('.csv"', '.csv"\nregions = "regions.csv"')
        parts = [CONDITION.format(name=name, keys=keys) for name, keys in conditions.items()]
        path = study / "study.toml"
        path.write_text(head + "".join(parts), encoding="utf-8")
        out = Path(temporary) / "run"
        values = execute_study(read_study(path), out, n_workers=1).animal_scores
        scores = Run(out).read_table("scores")
    return Found(
        values.pivot(index="condition", columns="animal", values="value"),
        scores.groupby("condition")["auc"].mean(),
    )


def nothing_rows(size: str, seed: int) -> list[Row]:
    """(1) No signal: chance, through the whole pipeline."""
    found = decode(Cohort(size, seed, {"signal": 0.0}), BOTH)
    return [
        (
            "1 no signal",
            "nothing (signal 0)",
            f"{name} {found.mean(name):.3f}",
            f"0.5 +- {SMALL}",
            verdict(abs(found.mean(name) - 0.5) <= SMALL),
        )
        for name in BOTH
    ]


def artefact_rows(_: str, seed: int) -> list[Row]:
    """(2) Artefact only: traces are decoded, and the cue that carries it is named."""
    rows = []
    for dial, (right, folds) in ARTEFACTS.items():
        cohort = Cohort(MOVIE_SIZE, seed, {"signal": 0.0, dial: 3.0}, has_movies=True)
        conditions = {cue: f'{LINEAR}\ninput = "{cue}"' for cue in ("traces", *CUES)}
        found = decode(cohort, conditions, folds)
        low, high = found.interval("traces")
        best = max(CUES, key=found.mean)
        others = ", ".join(f"{cue} {found.mean(cue):.3f}" for cue in CUES)
        what = f"signal 0, {dial} 3 (size {MOVIE_SIZE}, movies)"
        auc = f"{found.mean('traces'):.3f} ({low:.3f} to {high:.3f})"
        rows += [
            ("2 artefact only", what, f"traces {auc}", "interval above 0.5", verdict(low > 0.5)),
            (
                "2 artefact named",
                what,
                f"best cue {best}: {others}",
                "best: " + " or ".join(right),
                verdict(best in right),
            ),
        ]
    return rows


def one_mouse_rows(size: str, seed: int) -> list[Row]:
    """(7) A signal in the second mouse only: the cohort's interval includes chance."""
    cohort = Cohort(size, seed, {"only_mouse": 2.0})
    across = decode(cohort, {"linear-window": LINEAR})
    within = decode(cohort, {"linear-window": LINEAR}, WITHIN)
    low, high = across.interval("linear-window")
    alone = across.animals.loc["linear-window", "m2"]
    by_session = within.animals.loc["linear-window"]
    others = by_session.drop("m2")
    question, planted = "7 one mouse", "signal in m2 only"
    return [
        (
            f"{question}, across animals",
            planted,
            f"{across.mean('linear-window'):.3f} ({low:.3f} to {high:.3f})",
            "interval includes 0.5",
            verdict(low <= 0.5 <= high),
        ),
        (
            f"{question}, m2 by the other mice's decoder",
            planted,
            f"{alone:.3f}",
            f"{1 - WEAK:g} to {WEAK:g}",
            verdict(abs(alone - 0.5) <= WEAK - 0.5),
        ),
        (
            f"{question}, within animals",
            planted,
            f"m2 {by_session['m2']:.3f}, others {others.min():.3f} to {others.max():.3f}",
            f"m2 >= {CLEAR:g}, others < {WEAK:g}",
            verdict(by_session["m2"] >= CLEAR and others.max() < WEAK),
        ),
    ]


def one_sided_rows(size: str, seed: int) -> list[Row]:
    """(8) A mouse whose right hemisphere has no signal, without and with artefacts."""
    rows = []
    sides = {side: f'{LINEAR}\nregions = ["{side}"]' for side in ("left", "right")}
    for artefacts, told in ((NO_ARTEFACTS, ", no artefacts"), ({}, ", artefacts as usual")):
        found = decode(Cohort(size, seed, {"one_sided": 3.0, **artefacts}), sides).animals
        for side in sides:
            own, others = found.loc[side, "m3"], found.loc[side].drop("m3")
            bar, is_met = f"m3 >= lowest other - {SMALL}", own >= others.min() - SMALL
            if side == "right":
                bar, is_met = (
                    f"m3 {1 - WEAK:g} to {WEAK:g}, others >= {CLEAR:g}",
                    abs(own - 0.5) <= WEAK - 0.5 and others.min() >= CLEAR,
                )
            rows.append(
                (
                    f"8 one-sided mouse, {side} regions",
                    "m3: no signal on the right" + told,
                    f"m3 {own:.3f}, others {others.min():.3f} to {others.max():.3f}",
                    # Blood and motion follow running on both sides: the right may well be read.
                    bar if artefacts else "",
                    verdict(bool(is_met)) if artefacts else "",
                )
            )
    return rows


def product_rows(size: str, seed: int) -> list[Row]:
    """(9) What only a non-linear decoder reads, and what a linear one reads as well."""
    product = decode(Cohort(size, seed, {"nonlinear": 1.0}), BOTH)
    gru, linear = product.mean("gru"), product.mean("linear-window")
    plain = decode(Cohort(size, seed, {"redundant": 1.0}), BOTH)
    gain = plain.mean("gru") - plain.mean("linear-window")
    planted = "signal in the product of regions 8 and 33"
    return [
        ("9 product, gru", planted, f"{gru:.3f}", f">= {CLEAR:g}", verdict(gru >= CLEAR)),
        (
            "9 product, linear-window",
            planted,
            f"{linear:.3f}",
            f"0.5 +- {SMALL}",
            verdict(abs(linear - 0.5) <= SMALL),
        ),
        (
            "9 no false deep win",
            "signal in regions 6 and 31, alike",
            f"gru {plain.mean('gru'):.3f} - linear-window {plain.mean('linear-window'):.3f} "
            f"= {gain:.3f}",
            f"within {SMALL}",
            verdict(abs(gain) <= SMALL),
        ),
    ]


def drift_rows(size: str, seed: int) -> list[Row]:
    """(12) Drift: dials, and a level of the traces that rises from session to session in m1."""
    dials: Sequence[Mapping[str, float]] = ({}, {"drift": 3.0}, {"day_trend": 0.0})
    found = [decode(Cohort(size, seed, own), RAW) for own in dials]
    rows = []
    for own, one in zip(dials, found, strict=True):
        said = ", ".join(f"{name} {value:g}" for name, value in own.items()) or "as usual"
        told = (f"{c}: pooled {one.pooled[c]:.3f}, within {one.mean(c):.3f}" for c in RAW)
        rows.append(("12 drift within sessions", said, "; ".join(told), "", ""))
    fold = 'only = ["test-m1_valid-m2"]'
    before = decode(Cohort(size, seed, {}), RAW, fold)
    after = decode(Cohort(size, seed, {}, change=raise_levels), RAW, fold)
    planted = f"m1: level {LEVEL_PERCENT:g} % higher each session"
    for condition in RAW:
        fall = before.pooled[condition] - after.pooled[condition]
        moved = abs(before.mean(condition) - after.mean(condition))
        falls = condition == "raw, not scaled"
        rows.append(
            (
                f"12 drift over days, {condition}",
                planted,
                f"pooled {before.pooled[condition]:.3f} to {after.pooled[condition]:.3f}, "
                f"within sessions {before.mean(condition):.3f} to {after.mean(condition):.3f}",
                f"within: as before; pooled: {'falls by > 0.05' if falls else 'as before'}",
                verdict(moved <= 0.01 and (fall > 0.05 if falls else abs(fall) <= 0.01)),
            )
        )
    return rows


def raise_levels(cohort: Path) -> None:
    """Add to the first mouse's traces what differs from session to session."""
    table = pd.read_csv(next(cohort.glob("data_*.csv")))
    for k, name in enumerate(table.loc[table["Mouse_#"] == 1, "Data_ID"]):
        path = next(cohort.glob(f"data_of_traces_*/{name}.mat"))
        traces = loadmat(path)["dat_roi"]
        savemat(path, {"dat_roi": traces + np.float32(LEVEL_PERCENT * k)})


def verdict(is_met: bool) -> str:
    """Met or missed."""
    return "met" if is_met else "missed"


QUESTIONS = (
    nothing_rows,
    artefact_rows,
    one_mouse_rows,
    one_sided_rows,
    product_rows,
    drift_rows,
)


def main() -> None:
    """Ask every question of every cohort and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seeds", nargs="*", type=int, default=[UNSEEN])
    parser.add_argument("--size", choices=list(SIZES), default="small")
    options = parser.parse_args()
    rows: list[tuple[object, ...]] = []
    for seed in options.seeds:
        for ask in QUESTIONS:
            for row in ask(options.size, seed):
                rows.append((seed, *row))
                print(*row, sep=" | ", flush=True)
    name = "known_answers_simulated" + f"_{options.size}" * (options.size != "small")
    heads = ["cohort seed", f"simulated mice, size {options.size}; gru of {EPOCHS} epochs"]
    write_result(name, [*heads, "planted", "found (AUC)", "bar", "verdict"], rows)


if __name__ == "__main__":
    main()
