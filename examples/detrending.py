"""How long the moving mean may be that is subtracted from the traces.

Each simulated mouse is tested once by a linear decoder of the window, for several lengths and for
none. To choose the length by these scores would be circular: a study chooses on validation mice.

    python examples/detrending.py FOLDER
"""

import sys
import tempfile
from pathlib import Path

import pandas as pd

import corticode as cc
from corticode.report.canvas import save_figure
from corticode.report.score_figures import draw_sweep
from corticode.simulate.cohort import simulate_sessions

LENGTHS = (100, 300, 1000, 0)


def score_length(sessions: list[cc.Session], n_frames: int) -> pd.DataFrame:
    """Each mouse's mean within-session AUC with a filter of so many frames (0: none)."""
    windows = cc.cut_windows(
        sessions,
        cc.Target("runrest"),
        cc.WindowShape(5, 5),
        preprocessing=cc.Preprocessing(detrend_frames=n_frames or None),
    )
    values = {}
    for fold in cc.leave_animals_out(windows.animal_names):
        animal = fold.test[0].animal
        if animal not in values:  # the first of each mouse's folds will do here
            split = cc.split_windows(windows, fold)
            training = cc.Training(penalty=(0.1,))
            decoder = cc.fit(split.train, split.valid, "linear-window", training)
            values[animal] = cc.score(cc.predict(decoder, split.test))["auc"].mean()
    setting = str(n_frames) if n_frames else "none"
    return pd.DataFrame({"setting": setting, "animal": list(values), "value": values.values()})


def main(folder: Path, n_frames: int = 2000, drift: float = 3.0) -> None:
    """Decode with each length, draw."""
    sessions = simulate_sessions(n_frames, dials={"drift": drift})
    scores = pd.concat([score_length(sessions, length) for length in LENGTHS])
    figure = draw_sweep(scores, "moving mean that is subtracted (frames)")
    save_figure(figure, folder / "detrending.svg")
    means = scores.groupby("setting", sort=False)["value"].mean()
    words = ", ".join(f"{length} {value:.3f}" for length, value in means.items())
    print(f"mean within-session AUC by filter length in frames: {words}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))
