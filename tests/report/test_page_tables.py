import numpy as np
import pandas as pd
import pytest

from corticode.report.page import render_page
from corticode.report.page_tables import condition_rows, long_tables, overview


def test_every_animal_is_a_dot(make_values):
    assert render_page(make_values(), []).count("<circle") == 9


def test_spread_that_cannot_be_divided_is_not_done(make_values):
    table = pd.DataFrame({"condition": ["gru"], "metric": ["auc"], "share_seed": [np.nan]})
    page = render_page(make_values(tables={"variance_shares": table}), [])
    assert page == render_page(make_values(), [])


def test_no_p_is_shown_as_0(make_values):
    table = pd.DataFrame({"comparison": ["a", "b", "c"], "p": [1e-7, np.nan, 0.0123]})
    page = render_page(make_values(tables={"comparisons": table}), [])
    assert '<td>a</td><td class="number">&lt; 0.0001</td>' in page
    assert '<td>b</td><td class="number"></td>' in page
    assert '<td>c</td><td class="number">0.0123</td>' in page


@pytest.mark.parametrize(
    "name",
    [
        "comparisons",
        "variance_shares",
        "nulls",
        "region_sets",
        "artefacts",
        "map_checks",
        "map_backgrounds",
        "occlusion",
    ],
)
def test_tables_fill_their_slots(make_values, name):
    table = pd.DataFrame({"condition": ["gru"], "words": ["passed <b>"], "mean": [0.5],
                          "note": ["a"], "mask": ["m"], "map": ["d"], "score": [0.1],
                          "input": ["x"], "animal": ["cohort"], "p": [0.01],
                          "smallest_p": [0.01], "value": [0.9], "chance": [0.5],
                          "n_orders": [9], "exchanged": ["all"]})  # fmt: skip
    page = render_page(make_values(tables={name: table}), [])
    assert "passed <b>" not in page
    assert page.count("Not done") == render_page(make_values(), []).count("Not done") - 1


def test_animals_and_their_bouts(make_values):
    first = overview(make_values())[0]
    assert (first["animal"], first["n_sessions"], first["n_windows"]) == ("m1", 2, "1,800")
    assert first["bouts"] == "0: 10, 1: 8"


def test_controls_are_marked(make_values):
    assert [row["is_control"] for row in condition_rows(make_values())] == [False, False, True]


def test_long_tables_are_cut_and_counted(make_values, monkeypatch):
    monkeypatch.setattr("corticode.report.page_tables.MOST_ROWS", 4)
    found = long_tables(make_values())
    assert [(len(one["rows"]), one["n_all"]) for one in found] == [(4, 9), (4, 18)]
