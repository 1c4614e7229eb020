"""Cortex set against cues that are not cortex."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.errors import DataError
from corticode.evaluate.artefacts import ROWS, artefact_rows, control_names, set_against_cues

SPREAD = np.array([-0.02, 0.0, 0.01, 0.02, -0.01])
# Of the 95 % t interval of the mean of SPREAD, with four degrees of freedom.
HALF_WIDTH = 2.7764451 * np.std(SPREAD, ddof=1) / np.sqrt(5)


def scores(neural, cues, left, both, spread=SPREAD, metric="auc"):
    """Five animals: means of neural, cues only, what is left, both; all but the cues scatter."""
    names = ("gru", *control_names("gru"))
    rows = [
        [name, f"m{k + 1}", metric, mean + (s if name != names[1] else 0)]
        for name, mean in zip(names, (neural, cues, left, both), strict=True)
        for k, s in enumerate(spread)
    ]
    return pd.DataFrame(rows, columns=["condition", "animal", "metric", "value"])


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ((0.95, 0.70, 0.90, 0.95), "above cues"),
        ((0.95, 0.95, 0.50, 0.95), "explained by cues"),
        ((0.95, 0.95, 0.80, 0.95), "not separable"),
        ((0.95, 0.70, 0.50, 0.90), "not separable"),
        # Something is left beyond doubt, little as it is.
        ((0.95, 0.95, 0.53, 0.95), "not separable"),
        # Nothing is left, and yet cortex adds beyond doubt.
        ((0.95, 0.95, 0.50, 0.99), "not separable"),
        # Cues know nothing, and cortex falls with none of them.
        ((0.51, 0.51, 0.51, 0.51), "nothing decoded"),
        ((0.50, 0.70, 0.50, 0.70), "nothing decoded"),
    ],
)
def test_verdicts(means, verdict):
    found = set_against_cues(scores(*means), "gru")
    assert found.verdict == verdict
    assert "5 animals" in found.words
    assert tuple(found.rows) == ROWS
    assert found.rows["gain over cues"].mean == pytest.approx(means[3] - means[1])
    assert found.rows["neural"].mean == pytest.approx(means[0])


# Of 0.3 above chance less than a third may be left, and cortex may add less than 0.05.
@pytest.mark.parametrize(("control", "limit"), [(1, 0.1), (2, 0.05)])
def test_what_was_not_found_is_not_absent(control, limit):
    def verdict(half_width):
        table = scores(0.8, 0.9, 0.5, 0.9)
        rows = table["condition"] == control_names("gru")[control]
        mean = table.loc[rows, "value"].mean()
        table.loc[rows, "value"] = mean + SPREAD * half_width / HALF_WIDTH
        return set_against_cues(table, "gru").verdict

    assert verdict(limit - 0.001) == "explained by cues"
    assert verdict(limit + 0.001) == "not separable"


def test_values_are_set_against_0():
    means = (0.3, 0.1, 0.2, 0.4)
    assert set_against_cues(scores(*means, metric="r2"), "gru").verdict == "above cues"
    assert set_against_cues(scores(*means), "gru").verdict == "nothing decoded"


def test_one_animal_has_no_verdict_above():
    found = set_against_cues(scores(0.9, 0.5, 0.9, 0.9, spread=[0.0]), "gru")
    assert found.verdict == "not separable"
    assert "one animal alone" in found.words


def test_animals_without_all_four_scores_are_left_out():
    table = scores(0.95, 0.7, 0.9, 0.95)
    table.loc[(table["animal"] == "m2") & (table["condition"] == "gru"), "value"] = np.nan
    found = set_against_cues(table, "gru")
    assert {row.n for row in found.rows.values()} == {4}


@given(st.lists(st.floats(0.3, 1), min_size=4, max_size=4))
def test_above_cues_needs_both(means):
    found = set_against_cues(scores(*means), "gru")
    if found.verdict == "above cues":
        assert found.rows["neural, cues regressed out"].low > 0.5
        assert found.rows["gain over cues"].low > 0


def test_table():
    table = artefact_rows(set_against_cues(scores(0.95, 0.7, 0.9, 0.95), "gru"), "gru")
    assert list(table["input"]) == list(ROWS)
    assert table["verdict"].unique().tolist() == ["above cues"]


def test_errors():
    table = scores(0.95, 0.7, 0.9, 0.95)
    some = table[table["condition"] != "gru: with cues"]
    with pytest.raises(DataError, match="there is no score of 'gru: with cues'; run them first"):
        set_against_cues(some, "gru")
    with pytest.raises(DataError, match="no animal has a score in all of 'gru'"):
        set_against_cues(table.assign(value=np.nan), "gru")
