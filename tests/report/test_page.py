import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from corticode.explain.importance_map import ImportanceMap
from corticode.report import page as page_module
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

    def test_a_page_that_would_be_too_large_says_what_it_lacks(
        self, make_values, make_trace, monkeypatch
    ):
        values = make_values(traces=[make_trace()], extra=[f"condition {k}" for k in range(50)])
        whole = render_page(values, [])
        tables = len(json.dumps(data_of(whole, "long-tables")))
        monkeypatch.setattr(page_module, "LARGEST_PAGE", len(whole) - tables)
        page = render_page(values, [])
        assert len(page) < len(whole) - tables
        assert "would have passed 15 MB and lacks the viewer" in page
        assert "lacks the tables by animal and by session" in page
        assert "lacks all figures" not in page

    def test_nothing_done(self):
        page = render_page(RunValues("run", missing=["the run is not finished"]), [])
        assert "the run is not finished" in page
        assert page.count("Not done") > 5

    def test_half_done_shows_what_there_is_and_says_what_is_missing(self, make_values):
        values = make_values(missing=["the run is not finished: 3 fits are scored, 2 begun"])
        del values.tables["animal_scores"]
        page = render_page(values, page_figures(values))
        assert "3 fits are scored, 2 begun" in page
        assert "No score yet" in page

    @pytest.mark.parametrize("base_rate", [0.0, 1.0])
    def test_one_class_alone(self, make_values, make_trace, base_rate):
        trace = make_trace()
        one_class = replace(trace, target=np.full_like(trace.target, base_rate), auc=np.nan)
        values = make_values(traces=[one_class])
        for table in values.tables.values():
            table["base_rate"] = base_rate
        sessions = values.tables["session_scores"]
        sessions[["auc", "n_bouts_0"]] = np.nan, 0
        sessions["blank_because"] = "0 bouts of 0"
        values.tables["animal_scores"]["value"] = np.nan
        page = render_page(values, page_figures(values))
        assert "No score yet" in page
        assert "0 bouts of 0" in page

    def test_one_animal(self, make_values, make_trace):
        values = make_values(animals=("m1",), traces=[make_trace()])
        page = render_page(values, page_figures(values))
        assert "In 1 of 1 mouse" in page
        assert "no interval: 1 mouse" in page

    def test_names_of_regions_and_masks_are_escaped(self, make_values):
        found = ImportanceMap("deep-shap", "share", ("region",), np.ones(2) / 2, names=(NASTY, "b"))
        costs = {"condition": "gru", "map": NASTY, "mask": [NASTY], "metric": "auc", "score": 0.1,
                 "low": np.nan, "high": np.nan, "n_animals": 1, "note": NASTY}  # fmt: skip
        labels = np.array([[1, 1, 2]])
        regions = pd.DataFrame({"name": [NASTY, "b"], "group": [NASTY, "none"], "row": np.nan,
                                "column": np.nan})  # fmt: skip
        values = make_values(
            maps={("gru", NASTY): found}, regions=regions, region_labels=labels,
            tables={"occlusion": pd.DataFrame(costs)}, clip_missing=NASTY,
        )  # fmt: skip
        page = render_page(values, page_figures(values))
        assert "alert(1)</script>" not in page
        packed = data_of(page, "maps-data")
        assert packed["maps"][0]["items"][0][0] == NASTY
        assert packed["outlines"][NASTY] == "M-0.5 -0.5L1.5 -0.5L1.5 0.5L-0.5 0.5Z"

    def test_simulated_is_said_first(self, make_values):
        page = render_page(make_values(provenance={"simulated": True}), [])
        assert page.index("Simulated mice.") < page.index('<h2 id="warnings"')
