"""More than chance or not: labels in other orders for each mouse, and refits for the cohort.

Two cohorts of simulated mice: as usual, and with all that follows behaviour switched off.

    python examples/more_than_chance.py FOLDER
"""

import sys
import tempfile
from pathlib import Path

import pandas as pd

import corticode as cc
from corticode.evaluate.nulls import permute_test_labels
from corticode.evaluate.refits import CohortNull, permute_and_refit
from corticode.report.canvas import GREY, Figure, new_figure, save_figure, styled
from corticode.simulate.cohort import simulate_sessions

COHORTS = {"signal": {}, "no signal": {"signal": 0.0}}


@styled
def draw_nulls(found: dict[str, CohortNull]) -> Figure:
    """The cohort's value among those of all other orders of the labels."""
    figure, axes = new_figure(174, 55, columns=len(found))
    for drawn, (name, null) in zip(axes[0], found.items(), strict=True):
        drawn.hist(null.values[1:], bins=20, color=GREY, label="other orders")
        drawn.axvline(null.value, color="black", label=f"observed, p = {null.p:.3f}")
        drawn.set(title=name, xlabel="mean within-session AUC", ylabel="orders")
        drawn.margins(y=0.4)
        drawn.legend(loc="upper left")
    return figure


def count_above(windows: cc.Windows) -> tuple[int, pd.DataFrame]:
    """How many mice are above chance by their own p, and each mouse's row."""
    said = []
    for fold in cc.leave_animals_out(windows.animal_names):
        split = cc.split_windows(windows, fold)
        decoder = cc.fit(split.train, split.valid, "linear-frame", cc.Training(penalty=(0.1,)))
        said.append(cc.predict(decoder, split.test))
    table = permute_test_labels(said).animals
    return int((table["p"] < 0.05).sum()), table


def main(folder: Path, n_frames: int = 1500, n_sessions: int = 4, n_draws: int = 200) -> None:
    """Decode both cohorts, permute, draw."""
    found, words = {}, []
    for name, dials in COHORTS.items():
        sessions = simulate_sessions(n_frames, n_sessions, n_mice=4, dials=dials)
        windows = cc.cut_windows(sessions, cc.Target("runrest"), cc.WindowShape(5, 5))
        n_above, table = count_above(windows)
        found[name] = permute_and_refit(windows, n_draws=n_draws)
        n_possible = int((table["smallest_p"] < 0.05).sum())
        words.append(
            f"{name}: p < 0.05 in {n_above} of the {n_possible} mice with sessions enough for it, "
            f"cohort p = {found[name].p:.3f}"
        )
    save_figure(draw_nulls(found), folder / "more_than_chance.svg")
    print("; ".join(words))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))
