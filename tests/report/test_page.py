import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from corticode.report.page import render_page
from corticode.report.page_figures import page_figures
from corticode.report.page_values import RunValues

NASTY = "<script>alert(1)</script>\"'&{{ 7*7 }}" + "皮質" + "long " * 60


class Reader(HTMLParser):
    """Tags and headings of a page; refuses what would leave it."""

    def __init__(self):
        super().__init__()
        self.headings, self.ids, self.images = [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(given)
        for key in ("src", "href"):
            assert given.get(key, "#").startswith(("#", "data:"))


def read(page):
    reader = Reader()
    reader.feed(page)
    return reader


def data_of(page, name):
    text = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)
    return json.loads(text.group(1))


class TestPage:
    def test_needs_nothing_else_and_can_be_walked_by_headings(self, make_values, make_trace):
        values = make_values(traces=[make_trace()])
        reader = read(render_page(values, page_figures(values)))
        assert reader.headings[0] == 1
        assert all(b - a <= 1 for a, b in zip(reader.headings, reader.headings[1:], strict=False))
        assert len(reader.ids) == len(set(reader.ids))
        assert reader.images
        assert all(image["alt"] for image in reader.images)

    def test_order_of_sections(self, make_values):
        page = render_page(make_values(), [])
        names = [
            "warnings",
            "headline",
            "questions",
            "data",
            "scores",
            "evidence",
            "maps",
            "viewer",
        ]
        places = [page.index(f'<h2 id="{name}"') for name in [*names, "methods", "provenance"]]
        assert places == sorted(places)

    def test_every_animal_is_a_dot(self, make_values):
        assert render_page(make_values(), []).count("<circle") == 9

    def test_names_are_escaped_wherever_they_stand(self, make_values, make_trace):
        values = make_values(animals=(NASTY, "m2"), name=NASTY,
                             traces=[make_trace(NASTY, NASTY, condition=NASTY)])  # fmt: skip
        page = render_page(values, page_figures(values))
        assert "<script>alert" not in page
        assert "alert(1)</script>" not in page
        assert data_of(page, "traces")[0]["animal"] == NASTY
        assert "49" not in page.partition("<h1>")[2].partition("</h1>")[0]

    def test_scores_that_are_missing_are_blank_and_json_holds(self, make_values):
        values = make_values()
        for table in values.tables.values():
            for column in ("value", "auc"):
                if column in table:
                    table[column] = np.nan
        page = render_page(values, page_figures(values))
        assert "No score yet" in page
        assert all(row[3] is None for row in data_of(page, "long-tables")[0]["rows"])

    def test_a_thousand_conditions(self, make_values):
        values = make_values(extra=[f"condition {k}" for k in range(1000)])
        page = render_page(values, page_figures(values))
        assert len(page) < 15_000_000
        assert page.count("<circle") == 3009

    def test_nothing_done(self):
        page = render_page(RunValues("run", missing=["the run is not finished"]), [])
        assert "the run is not finished" in page
        assert page.count("Not done") > 5

    def test_simulated_is_said_first(self, make_values):
        page = render_page(make_values(provenance={"simulated": True}), [])
        assert page.index("Simulated mice.") < page.index('<h2 id="warnings"')

    def test_no_p_is_shown_as_0(self, make_values):
        table = pd.DataFrame({"comparison": ["a", "b", "c"], "p": [1e-7, np.nan, 0.0123]})
        page = render_page(make_values(tables={"comparisons": table}), [])
        assert "<td>a</td><td>&lt; 0.0001</td>" in page
        assert "<td>b</td><td></td>" in page
        assert "<td>c</td><td>0.0123</td>" in page

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
    def test_tables_fill_their_slots(self, make_values, name):
        table = pd.DataFrame({"condition": ["gru"], "words": ["passed <b>"], "mean": [0.5],
                              "note": ["a"], "mask": ["m"], "map": ["d"], "score": [0.1],
                              "input": ["x"], "animal": ["cohort"], "p": [0.01],
                              "smallest_p": [0.01], "value": [0.9], "chance": [0.5],
                              "n_orders": [9], "exchanged": ["all"]})  # fmt: skip
        page = render_page(make_values(tables={name: table}), [])
        assert "passed <b>" not in page
        assert page.count("Not done") == render_page(make_values(), []).count("Not done") - 1
