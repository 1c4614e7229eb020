"""A p-value of the cohort by decoders that are trained again with permuted labels."""

import numpy as np
import pandas as pd
import pytest
from tests.conftest import LINEAR_STUDY

from corticode.data.targets import permute_labels
from corticode.errors import StudyError
from corticode.evaluate.nulls import COHORT
from corticode.run.folder import Run
from corticode.study.study import read_study

ASKED = '[[permutation_test]]\ncondition = "linear"\nn_permutations = {n}\n'


def cohort_row(run):
    table = run.read_table("nulls")
    (row,) = table[(table["condition"] == "linear") & (table["animal"] == COHORT)].to_dict(
        "records"
    )
    return row


class TestOrders:
    def test_every_order_is_drawn_as_often(self):
        traces = [np.full(3, float(k)) for k in range(3)]
        drawn = [
            tuple(int(t[0]) for t in permute_labels(traces, ["m1"] * 3, "any-session", seed))
            for seed in range(1, 601)
        ]
        counts = pd.Series(drawn).value_counts()
        assert len(counts) == 6 and counts.min() > 60 and (0, 1, 2) in counts.index

    def test_labels_of_a_single_session_stay(self):
        traces = [np.zeros(3), np.ones(3), np.full(3, 2.0)]
        left = permute_labels(traces, ["m1", "m2", "m2"], "any-session", 5)
        assert left[0].tolist() == [0, 0, 0]


class TestRun:
    def test_planted_signal_and_by_hand(self, linear_cohort, run_inline):
        path = linear_cohort / "study.toml"
        path.write_text(LINEAR_STUDY + ASKED.format(n=5), "utf-8")
        run_inline(linear_cohort, linear_cohort / "run")
        run = Run(linear_cohort / "run")
        scores = run.read_table("animal_scores").groupby("condition")["value"].mean()
        others = [scores[f"linear: permutation {k}"] for k in range(1, 6)]
        row = cohort_row(run)
        assert row["p"] == (1 + sum(one >= scores["linear"] for one in others)) / 6 == 1 / 6
        assert row["permuted_mean"] == pytest.approx(np.mean(others))
        assert 0.3 < row["permuted_mean"] < 0.7
        assert row["n_orders"] == 6 and row["smallest_p"] == 1 / 6
        assert row["decoder"] == "linear-window, trained again for each permutation"

    def test_no_signal_is_not_found(self, write_cohort, run_inline, tmp_path):
        study = LINEAR_STUDY + ASKED.format(n=9)
        write_cohort(tmp_path, study=study, n_frames=300)
        rng = np.random.default_rng(3)
        for path in tmp_path.glob("*.npy"):
            np.save(path, rng.normal(size=np.load(path).shape))
        run_inline(tmp_path, tmp_path / "run")
        assert cohort_row(Run(tmp_path / "run"))["p"] > 0.1

    def test_other_fits_keep_their_keys(self, linear_cohort, run_inline):
        _, plain = run_inline(linear_cohort, linear_cohort / "plain")
        path = linear_cohort / "study.toml"
        path.write_text(LINEAR_STUDY + ASKED.format(n=1), "utf-8")
        _, asked = run_inline(linear_cohort, linear_cohort / "asked")
        own = {task.fold.name: task.key for task in asked if task.condition.name == "linear"}
        assert own == {task.fold.name: task.key for task in plain}
        assert len(asked) == 2 * len(plain)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('condition = "x"', "that is no condition"),
        ('condition = "permuted"', "its labels are permuted already"),
        ('condition = "linear"\n[[permutation_test]]\ncondition = "linear"', "stands twice"),
        ('condition = "linear"\nn_permutations = 0', "it must be 1 or more"),
    ],
)
def test_what_cannot_be(linear_cohort, keys, words):
    path = linear_cohort / "study.toml"
    permuted = '[[condition]]\nname = "permuted"\nlike = "linear"\npermute_labels = "sessions"\n'
    path.write_text(f"{LINEAR_STUDY}{permuted}[[permutation_test]]\n{keys}\n", "utf-8")
    with pytest.raises(StudyError, match=words):
        read_study(path)
