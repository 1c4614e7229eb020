"""What studies of trials can be asked: sets of regions, learning curves, generalisation."""

import numpy as np
import pandas as pd
import pytest
from tests.conftest import MAP_FOLDS

from corticode.run.folder import Run

STUDY = f"""
preset = "code"
[data]
catalogue = "sessions.csv"
[trials]
events = "cue"
[target]
signal = "run"
[folds]
{MAP_FOLDS}
[[condition]]
name = "linear"
preprocess = {{ detrend_frames = 0 }}
window = {{ before = 1, after = 1 }}
network = {{ kind = "linear-window" }}
training = {{ penalty = [0.01] }}
[[region_set]]
name = "planted"
condition = "linear"
regions = [1, 2]
n_sets = 20
[[learning_curve]]
condition = "linear"
animals = [1]
minutes = [0.5]
[[generalisation]]
condition = "linear"
"""


@pytest.mark.study
def test_trials_answer_what_frames_answer(write_cohort, run_inline, tmp_path):
    folder = write_cohort(tmp_path / "cohort", study=STUDY, n_frames=1200)
    for path in folder.glob("m*_s*.csv"):
        table = pd.read_csv(path)
        table.assign(cue=(np.arange(1200) % 20 == 10).astype(int)).to_csv(path, index=False)
    run_inline(folder, tmp_path / "run")
    run = Run(tmp_path / "run")
    (of_set,) = run.read_table("region_sets").to_dict("records")
    assert of_set["value_only"] > 0.9 > 0.6 > of_set["value_without"]
    curve = run.read_table("learning_curve")
    means = curve[curve["animal"] == ""].set_index(["varied", "amount"])
    assert set(means.index) == {("animals", 1), ("animals", 2), ("minutes", 0.5), ("minutes", 6)}
    assert (means["value"] > 0.9).all()
    further = run.read_table("generalisation")
    found = further[(further["against"] == "") & (further["animal"] == "")]
    assert found["tested"].tolist() == ["within sessions", "across sessions", "across animals"]
    assert (found["value"] > 0.9).all()
    assert (found["n_animals"] == 3).all()
