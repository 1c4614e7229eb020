"""Running, read out in mice that the decoder never saw, by a gru and by linear decoders.

Each of some simulated mice is tested once, by decoders that three of the others trained and one
chose. Sessions are short and epochs few, so that it takes seconds.

    python examples/across_mice.py FOLDER
"""

import sys
import tempfile
from itertools import combinations
from pathlib import Path

import pandas as pd

import corticode as cc
from corticode.evaluate.comparisons import compare_pair, with_families
from corticode.report.canvas import save_figure
from corticode.report.score_figures import draw_points_by_split, verdicts_of
from corticode.simulate.cohort import simulate_sessions

FAMILY = "decoders"


def score_by_animal(windows: cc.Windows, kind: str, training: cc.Training) -> pd.DataFrame:
    """Each mouse's mean within-session AUC, by a decoder that never saw it."""
    animals = list(windows.animal_names)
    folds = [fold for fold in cc.leave_animals_out(animals) if _is_next(fold, animals)]
    tables = []
    for fold in folds:
        split = cc.split_windows(windows, fold)
        decoder = cc.fit(split.train, split.valid, kind, training)
        tables.append(cc.score(cc.predict(decoder, split.test)))
    value = pd.concat(tables).groupby("animal")["auc"].mean().rename("value").reset_index()
    return value.assign(condition=kind, metric="auc")


def _is_next(fold: cc.Fold, animals: list[str]) -> bool:
    """Whether the mouse after the tested one validates: one fold a mouse, of the twenty."""
    test, valid = fold.test[0].animal, fold.valid[0].animal
    return animals.index(valid) == (animals.index(test) + 1) % len(animals)


def main(folder: Path, n_frames: int = 1000, epochs: int = 3, n_mice: int = 5) -> None:
    """Decode, compare over mice, draw."""
    windows = cc.cut_windows(simulate_sessions(n_frames, n_mice=n_mice), cc.Target("runrest"))
    training = cc.Training(epochs=epochs, batch_size=64, learning_rate=0.003, penalty=(0.1,))
    kinds = ["gru", "linear-window", "linear-frame"]
    scores = pd.concat([score_by_animal(windows, kind, training) for kind in kinds])
    pairs = [compare_pair(scores, FAMILY, pair) for pair in combinations(kinds, 2)]
    compared = with_families(pd.concat(pairs, ignore_index=True))
    points = scores.rename(columns={"animal": "test_animal"})
    shown = compared[compared["condition_a"] == "gru"]
    figure = draw_points_by_split(points, verdicts=verdicts_of(shown, FAMILY))
    save_figure(figure, folder / "across_mice.svg")
    means = scores.groupby("condition", sort=False)["value"].mean()
    words = ", ".join(f"{kind} {value:.3f}" for kind, value in means.items())
    print(f"mean within-session AUC of {n_mice} simulated mice: {words}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))
