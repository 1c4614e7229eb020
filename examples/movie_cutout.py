"""What covering each part of the image costs a CNN, in a mouse that it never saw.

Three made-up mice of whose image a patch is brighter in running: as small as movies may be, from
files to a map by way of a study file, as `corticode run` takes it.

    python examples/movie_cutout.py FOLDER
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from corticode.report.canvas import save_figure
from corticode.report.map_figures import draw_square_map
from corticode.run.execute import execute_study
from corticode.run.folder import Run
from corticode.study.study import read_study

SIDE = 32
STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2"]
[[condition]]
name = "cnn"
input = "movie"
preprocess = { correction = "none" }
network = { backbone = "efficientnet-lite0" }
training = { epochs = 2, batch_size = 32, freeze_batch_norm = true }
[[map]]
condition = "cnn"
kind = "occlusion"
fill = "zero"
every_n_frames = 10
"""


def write_mouse(folder: Path, animal: str, seed: int, n_frames: int) -> dict[str, object]:
    """A movie, behaviour, and their row of the catalogue."""
    rng = np.random.default_rng(seed)
    run = (np.arange(n_frames) // 15 % 2).astype(int)
    movie = rng.normal(200, 10, (n_frames, SIDE, SIDE))
    movie[:, 16:24, 8:16] += 25 * run[:, None, None]
    np.save(folder / f"{animal}.npy", movie.astype(np.uint16))
    pd.DataFrame({"run": run}).to_csv(folder / f"{animal}.csv", index=False)
    files = {"movie": f"{animal}.npy", "behavior": f"{animal}.csv"}
    return {"animal": animal, "session": "day 1", **files, "frame_rate_hz": 10}


def main(folder: Path, n_frames: int = 240) -> None:
    """Write recordings and a study, run it, draw its map."""
    made = Path(tempfile.mkdtemp())
    rows = [write_mouse(made, f"m{k}", k, n_frames) for k in (1, 2, 3)]
    pd.DataFrame(rows).to_csv(made / "sessions.csv", index=False)
    (made / "study.toml").write_text(STUDY, "utf-8")
    execute_study(read_study(made / "study.toml"), made / "run")
    run = Run(made / "run")
    table = run.read_table("occlusion")
    values = table["score"].to_numpy().reshape(8, 8)
    save_figure(draw_square_map(values), folder / "movie_cutout.svg")
    auc = run.read_table("animal_scores")["value"].mean()
    dearest = table["mask"].iloc[values.argmax()]
    print(f"AUC {auc:.3f}; most is lost where {dearest} of 8 x 8 is covered: {values.max():.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))
