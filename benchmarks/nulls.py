"""False positives of permutation tests with decoders in the loop, and coverage of intervals.

Sessions hold smooth random inputs and a label that has nothing to do with them; every p below
0.05 is a false positive. Drift is what real sessions have beside: a trend within sessions that is
the same in all ("shared drift") or another in each ("independent drift"), and a trend over days of
level or of slope, of inputs and labels alike. "sessions" permutes whole label traces as the package
does, "pairs" between neighbouring sessions only, "auto" where the labels' own trend asks for
it. The rest is how it should not be done. A bar that is missed is said to be missed.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from results_file import write_result
from scipy.special import ndtr

from corticode.evaluate.intervals import bootstrap_interval, interval
from corticode.evaluate.nulls import (
    day_trends,
    draw_orders,
    order_blocks,
    order_p,
    slope_over_frames,
)
from corticode.evaluate.refits import cohort_values, refit_aucs

LEVEL = 0.05
N_DRAWS = 39  # p is then exact at 0.05: one of 40 orders or two
N_FRAMES, N_INPUTS, SMOOTHNESS = 50, 4, 0.85
DRIFT = 2.0
DESIGNS = ((5, 12), (5, 4), (5, 3), (1, 8))
BAR = (0.02, 0.065)
PAIRED_BAR = (0.0, 0.10)
COVERAGE_BAR = (0.88, 0.98)
SPREAD, SEPARATION, N_SESSIONS = 0.7, 1.5, 4


@dataclass(frozen=True)
class Experiment:
    """Inputs (frame, input) and labels (frame,) of each session, its animal and its day."""

    inputs: list[NDArray[np.float64]]
    labels: NDArray[np.float64]
    animals: list[str]
    days: NDArray[np.int64]
    rng: np.random.Generator


def simulate(design: tuple[int, int], drift: str, rng: np.random.Generator) -> Experiment:
    """Sessions whose labels do not depend on their inputs, but for what `drift` gives to both."""
    n_animals, n_days = design
    n_sessions = n_animals * n_days
    days = np.tile(np.arange(n_days), n_animals)
    place = np.linspace(-1, 1, N_FRAMES)
    level = slope = np.zeros((n_sessions, N_INPUTS + 1))
    over_days = 2 * days / (n_days - 1) - 1
    if drift == "shared drift":
        slope = np.ones_like(level)
    elif drift == "independent drift":
        slope = rng.standard_normal(level.shape)
    elif drift == "day trend in level":
        level = np.repeat(over_days[:, None], N_INPUTS + 1, axis=1)
    elif drift == "day trend in slope":
        slope = np.repeat(over_days[:, None], N_INPUTS + 1, axis=1)
    noise = smooth(rng.standard_normal((N_FRAMES, n_sessions, N_INPUTS + 1)))
    traces = noise + DRIFT * (level + slope * place[:, None, None])
    animals = [f"m{k // n_days}" for k in range(n_sessions)]
    labels = (traces[..., -1] > 0).T.astype(np.float64)
    return Experiment(list(traces[..., :-1].swapaxes(0, 1)), labels, animals, days, rng)


def smooth(noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """First-order autoregressive noise of unit variance along the first axis."""
    for k in range(1, len(noise)):
        noise[k] = SMOOTHNESS * noise[k - 1] + np.sqrt(1 - SMOOTHNESS**2) * noise[k]
    return noise


def p_of_orders(experiment: Experiment, orders: NDArray[np.intp]) -> float:
    """The package's p of whole label traces in these orders."""
    drawn = np.stack([experiment.labels[own] for own in orders.T], axis=0)
    return p_of_labels(experiment, drawn)


def p_of_labels(experiment: Experiment, drawn: NDArray[np.float64]) -> float:
    """The package's p where each order has labels of its own, shape (session, order, frame)."""
    groups = held_out(experiment)
    orders = np.repeat(np.arange(drawn.shape[1])[:, None], len(groups), axis=1)
    labels = [own.T for own in drawn]
    aucs = refit_aucs(experiment.inputs.__getitem__, labels, groups, orders)
    return order_p(cohort_values(aucs, experiment.animals))


def held_out(experiment: Experiment) -> NDArray[np.int64]:
    """Animals; sessions where there is one animal."""
    codes = pd.factorize(np.array(experiment.animals))[0]
    return codes if codes.max() > 0 else np.arange(codes.size)


def sessions(experiment: Experiment, paired: Sequence[str] = ()) -> float:
    """Whole label traces in all orders, or within pairs for some animals."""
    blocks = order_blocks(experiment.animals, experiment.days, paired)
    return p_of_orders(experiment, draw_orders(blocks, N_DRAWS, seed=seed_of(experiment)))


def pairs(experiment: Experiment) -> float:
    """Whole label traces within pairs of neighbouring sessions."""
    return sessions(experiment, sorted(set(experiment.animals)))


def auto(experiment: Experiment) -> float:
    """Pairs for animals whose labels trend over days, all orders for the others."""
    frame = np.arange(N_FRAMES)
    table = pd.DataFrame(
        {
            "animal": experiment.animals,
            "session": experiment.days,
            "day": experiment.days,
            "run_fraction": experiment.labels.mean(axis=1),
            "label_slope": [slope_over_frames(frame, own) for own in experiment.labels],
        }
    )
    trends = day_trends(table, n_draws=199)
    return sessions(experiment, trends.loc[trends["trends"], "animal"].tolist())


def derangements(experiment: Experiment) -> float:
    """Orders in which no session keeps its own labels, beside the observed one."""
    observed = np.arange(len(experiment.animals))
    codes = pd.factorize(np.array(experiment.animals))[0]
    orders = np.tile(observed, (N_DRAWS + 1, 1))
    for own in (np.flatnonzero(codes == code) for code in range(codes.max() + 1)):
        for order in orders[1:]:
            while np.any(order[own] == own):
                order[own] = experiment.rng.permutation(own)
    return p_of_orders(experiment, orders)


def circular(experiment: Experiment) -> float:
    """Labels shifted in a circle within each session."""
    shift = experiment.rng.integers(N_FRAMES, size=(len(experiment.labels), N_DRAWS + 1, 1))
    shift[:, 0] = 0
    place = (np.arange(N_FRAMES) - shift) % N_FRAMES
    return p_of_labels(experiment, np.take_along_axis(experiment.labels[:, None], place, axis=2))


def frame_shuffle(experiment: Experiment) -> float:
    """Frames shuffled within each session."""
    drawn = np.repeat(experiment.labels[:, None], N_DRAWS + 1, axis=1)
    drawn[:, 1:] = experiment.rng.permuted(drawn[:, 1:], axis=2)
    return p_of_labels(experiment, drawn)


def pooled(experiment: Experiment) -> float:
    """Whole traces permuted, but the AUC is of all frames of an animal and not within sessions."""
    blocks = order_blocks(experiment.animals, experiment.days)
    orders = draw_orders(blocks, N_DRAWS, seed=seed_of(experiment))
    codes = held_out(experiment)
    n_animals = int(codes.max()) + 1
    own = [np.flatnonzero(codes == k) for k in range(n_animals)]
    inputs = [np.concatenate([experiment.inputs[k] for k in mine]) for mine in own]
    labels = [experiment.labels[orders[:, mine]].reshape(len(orders), -1).T for mine in own]
    same = np.repeat(np.arange(len(orders))[:, None], n_animals, axis=1)
    aucs = refit_aucs(inputs.__getitem__, labels, np.arange(n_animals), same)
    return order_p(aucs.mean(axis=1))


def seed_of(experiment: Experiment) -> int:
    """A seed for the orders of this experiment."""
    return int(experiment.rng.integers(2**31))


def false_positives(
    test: Callable[[Experiment], float], design: tuple[int, int], drift: str, n_experiments: int
) -> float:
    """Share of experiments with p at or below 0.05."""
    hits = 0
    for k in range(n_experiments):
        p = test(simulate(design, drift, np.random.default_rng([k, *design])))
        hits += p <= LEVEL + 1e-9
    return hits / n_experiments


def coverage(n_animals: int, ratio: float, n_runs: int) -> tuple[float, float]:
    """How often the t and the bootstrap interval over animals hold the true mean AUC.

    `ratio` is the SD of separability between animals over that between an animal's sessions.
    """
    of_sessions = SPREAD / np.sqrt(1 + ratio**2)
    spread = np.array([ratio * of_sessions, of_sessions])

    def animal_values(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        own = rng.standard_normal((n, 1)) * spread[0]
        separation = SEPARATION + own + rng.standard_normal((n, N_SESSIONS)) * spread[1]
        return np.asarray(ndtr(separation / np.sqrt(2)).mean(axis=1))

    true = animal_values(400_000, np.random.default_rng(0)).mean()
    held = np.zeros(2)
    for k in range(n_runs):
        values = animal_values(n_animals, np.random.default_rng([k, n_animals]))
        for i, found in enumerate((interval(values), bootstrap_interval(values, seed=k))):
            held[i] += found.low <= true <= found.high
    return float(held[0] / n_runs), float(held[1] / n_runs)


def verdict(value: float, bar: tuple[float, float]) -> str:
    """A bar and whether it was met."""
    low, high = bar
    return f"{low:g} to {high:g}: {'met' if low <= value <= high else 'missed'}"


def null_rows(n_experiments: int, n_wrong: int) -> list[list[object]]:
    """Rows of the permutation tests: the package's first, wrong ways after."""
    rows = []
    stable = ("no drift", "shared drift", "independent drift", "day trend in level")
    cases = [(sessions, drift, design, BAR) for drift in stable for design in DESIGNS]
    cases += [(pairs, "day trend in slope", design, PAIRED_BAR) for design in DESIGNS]
    cases += [(auto, "day trend in slope", design, PAIRED_BAR) for design in ((5, 12), (1, 8))]
    for test, drift, design, bar in cases:
        # The smaller designs take a fraction of the time.
        n_runs = n_experiments if design == DESIGNS[0] else 2 * n_experiments
        found = false_positives(test, design, drift, n_runs)
        rows.append(row(test, drift, design, n_runs, found, verdict(found, bar)))
    wrong = [(derangements, "no drift", design) for design in DESIGNS]
    wrong += [(circular, "shared drift", (5, 4)), (frame_shuffle, "shared drift", (5, 4))]
    wrong += [(frame_shuffle, "no drift", (5, 4)), (pooled, "day trend in level", (5, 12))]
    wrong += [(pooled, "day trend in level", (5, 4)), (sessions, "day trend in slope", (5, 12))]
    for test, drift, design in wrong:
        found = false_positives(test, design, drift, n_wrong)
        rows.append(row(test, drift, design, n_wrong, found, "wrong way, no bar"))
    return rows


def default_rows(n_experiments: int) -> list[list[object]]:
    """Rows of what the package does unless told otherwise, in every case and design.

    Below six sessions no trend can be seen, and all orders are taken.
    """
    bars = dict.fromkeys(("no drift", "shared drift", "independent drift"), BAR)
    bars |= {"day trend in level": BAR, "day trend in slope": PAIRED_BAR}
    rows = []
    for drift, bar in bars.items():
        for design in DESIGNS:
            found = false_positives(auto, design, drift, n_experiments)
            rows.append(row(auto, drift, design, n_experiments, found, verdict(found, bar)))
    return rows


def row(
    test: Callable[[Experiment], float],
    drift: str,
    design: tuple[int, int],
    n_experiments: int,
    found: float,
    said: str,
) -> list[object]:
    """One row of the table, printed as it comes."""
    name = test.__name__.replace("_", " ")
    print(f"{name}, {drift}, {design}: {found:.3f} ({time.process_time():.0f} s)", flush=True)
    return [name, drift, f"{design[0]} x {design[1]}", n_experiments, f"{found:.3f}", said]


def interval_rows(n_runs: int) -> list[list[object]]:
    """Rows of the intervals: t, with the bootstrap beside."""
    rows: list[list[object]] = []
    for n_animals in (3, 5, 10):
        for label, ratio in (("3", 3.0), ("1", 1.0), ("1/3", 1 / 3)):
            by_t, by_bootstrap = coverage(n_animals, ratio, n_runs)
            case = [f"SD ratio {label}", f"{n_animals} animals", n_runs]
            rows.append(["coverage, t", *case, f"{by_t:.3f}", verdict(by_t, COVERAGE_BAR)])
            beside = "beside, no bar"
            rows.append(["coverage, bootstrap", *case, f"{by_bootstrap:.3f}", beside])
    return rows


def main() -> None:
    """Run all of it and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--wrong", type=int, default=500, help="experiments of each wrong way")
    parser.add_argument("--runs", type=int, default=1000, help="runs of each interval")
    parser.add_argument("--default", action="store_true", help="only 'auto', in all cases")
    asked = parser.parse_args()
    heads = ["test", "case", "design", "runs", "false positives or coverage", "bar"]
    if asked.default:
        write_result("nulls_default", heads, default_rows(asked.experiments))
        return
    rows = null_rows(asked.experiments, asked.wrong) + interval_rows(asked.runs)
    write_result("nulls", heads, rows)


if __name__ == "__main__":
    main()
