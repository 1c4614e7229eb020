"""Where nothing can be decoded, how often is it said to be? Headlines of cohorts without signal.

``python benchmarks/no_signal.py [N]``: N simulated cohorts (40) of traces that know nothing of
behaviour, decoded by the linear decoder of windows, each animal left out in turn; what the page's
headline says, and whether the p-values of the cohorts' permutation tests are uniform
(Kolmogorov-Smirnov). At most 2 of 40 headlines may claim decoding.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from results_file import write_result
from scipy.stats import kstest

from corticode.data.layouts.study2024 import import_study2024
from corticode.evaluate.intervals import score_interval
from corticode.evaluate.nulls import COHORT
from corticode.report.headline import headline
from corticode.report.read_run import read_run
from corticode.run.execute import execute_study
from corticode.run.folder import Run
from corticode.simulate.cohort import simulate_cohort
from corticode.study.study import read_study

FIRST_SEED = 90_000
STUDY = """
preset = "code"
[data]
catalogue = "sessions.csv"
regions = "regions.csv"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m3", "test-m3_valid-m4", "test-m4_valid-m5",
    "test-m5_valid-m1"]
[[condition]]
name = "linear"
network = { kind = "linear-window" }
"""
SAID = ("was decoded", "was not distinguished from chance", "was below chance")


def main() -> None:
    """Every cohort, and the table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    said, p, means, holds = Counter(), [], [], 0
    for seed in range(FIRST_SEED, FIRST_SEED + n):
        with tempfile.TemporaryDirectory() as folder:
            cohort, study, out = (Path(folder) / name for name in ("cohort", "study", "run"))
            simulate_cohort(cohort, size="grid", seed=seed, dials={"signal": 0}, traces_only=True)
            import_study2024(cohort, study)
            (study / "study.toml").write_text(STUDY, "utf-8")
            scores = execute_study(read_study(study / "study.toml"), out, n_workers=1).animal_scores
            words = headline(read_run(out, single_predictions=False))
            nulls = Run(out).read_table("nulls")
        said[next((one for one in SAID if one in words), "no claim")] += 1
        p.append(float(nulls.loc[nulls["animal"] == COHORT, "p"].iloc[0]))
        ends = score_interval(scores["value"].to_numpy())
        means.append(ends.mean)
        holds += bool(ends.low <= 0.5 <= ends.high)
        print(seed, f"{ends.mean:.3f}", f"{p[-1]:.3f}", words.split(" (")[0], flush=True)
    uniform = float(kstest(p, "uniform").pvalue)
    rows = [
        [f"cohorts of which the headline says: {what}", f"{count} of {n}", bar]
        for what, count in said.most_common()
        for bar in (["at most 2 of 40"] if what == SAID[0] else [""])
    ]
    if not said[SAID[0]]:
        rows.insert(0, [f"cohorts of which the headline says: {SAID[0]}", f"0 of {n}",
                        "at most 2 of 40"])  # fmt: skip
    rows += [
        ["cohort p below 0.05", f"{int((np.array(p) < 0.05).sum())} of {n}", ""],
        ["cohort p uniform, Kolmogorov-Smirnov p", f"{uniform:.3f}", "above 0.01"],
        ["AUC, mean over cohorts", f"{np.mean(means):.3f}", ""],
        ["95 % intervals that hold 0.5", f"{holds} of {n}", ""],
    ]
    write_result("no_signal_simulated", ["what", "found", "bar"], rows)


if __name__ == "__main__":
    main()
