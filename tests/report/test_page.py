"""Tests."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from jinja2 import UndefinedError

from corticode.explain.importance_map import ImportanceMap
from corticode.report import page as page_module
from corticode.report.canvas import new_figure
from corticode.report.page import (
    GIVING_WAY,
    LARGEST_PAGE,
    PageParts,
    condition_rows,
    data_address,
    fit_page,
    long_tables,
    overview,
    render,
    render_page,
)
from corticode.report.page_figures import page_figures
from corticode.report.values import RunValues

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
        assert "No claim with 1 animal" in page
        assert "no interval, n = 1 animal" in page

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
        "confounds",
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
                          "n_orders": [9], "exchanged": ["all"], "verdict": ["x"]})  # fmt: skip
    page = render_page(make_values(tables={name: table}), [])
    assert "passed <b>" not in page
    assert page.count("Not done") == render_page(make_values(), []).count("Not done") - 1


def test_animals_and_their_bouts(make_values):
    first = overview(make_values())[0]
    assert (first["animal"], first["n_sessions"], first["n_windows"]) == ("m1", 2, "1,800")
    assert first["bouts"] == "0: 10, 1: 8"


def test_a_session_in_blocks_is_one_and_has_the_bouts_of_all(make_values):
    sessions = make_values(animals=("m1",)).tables["session_scores"]
    first = sessions[sessions["session"] == "monday"]
    later = first.assign(fold="block 2", first_frame=1000, last_frame=1899, base_rate=0.6)
    values = make_values(
        animals=("m1",), tables={"session_scores": pd.concat([first, later, later.assign(seed=1)])}
    )
    [row] = overview(values)
    assert (row["n_sessions"], row["n_windows"], row["base_rate"]) == (1, "1,800", "0.50")
    assert row["bouts"] == "0: 10, 1: 8"


def test_controls_are_marked(make_values):
    assert [row["is_control"] for row in condition_rows(make_values())] == [False, False, True]


def test_long_tables_are_cut_and_counted(make_values, monkeypatch):
    monkeypatch.setattr("corticode.report.page.MOST_ROWS", 4)
    found = long_tables(make_values())
    assert [(len(one["rows"]), one["n_all"]) for one in found] == [(4, 9), (4, 18)]


@pytest.fixture
def parts():
    figures = [{"title": f"{k}", "source": "x" * 2_500_000} for k in range(4)]
    return PageParts(figures, [{"rows": [[1]]}], {}, {"bytes": "x" * 4_000_000})


def test_figures_that_have_no_room_are_counted(make_values, parts):
    fitted = fit_page(make_values(), parts)
    assert [one["title"] for one in fitted.parts.figures] == ["0", "1"]
    assert fitted.words[0].startswith("the last 2 figures have no room")


def test_sessions_take_what_is_left(make_values, make_trace, parts):
    traces = [make_trace(session=f"{k}", n_frames=300_000) for k in range(8)]
    fitted = fit_page(make_values(traces=traces), parts)
    # 15 MB less 5 of figures, 4 of the movie and 2 of words: five sessions of 0.8 MB.
    assert (len(fitted.traces), fitted.n_without_room) == (4, 4)
    assert len(str(fitted.traces)) < LARGEST_PAGE - 11_000_000


def test_parts_give_way_in_turn(make_values, make_trace, parts):
    values = make_values(traces=[make_trace()])
    found = [fit_page(values, parts, n) for n in range(len(GIVING_WAY) + 1)]
    assert [bool(one.traces) for one in found] == [True, False, False, False, False]
    assert [one.parts.clip is not None for one in found] == [True, True, False, False, False]
    assert [bool(one.parts.tables) for one in found] == [True, True, True, False, False]
    assert [bool(one.parts.figures) for one in found] == [True, True, True, True, False]
    assert len(found[-1].words) == 4
    assert found[1].n_without_room == 1


def test_nothing_is_said_where_all_has_room(make_values, make_trace):
    fitted = fit_page(make_values(traces=[make_trace()]), PageParts([], [], {}, None))
    assert (fitted.words, fitted.n_without_room) == ([], 0)


def test_text_is_escaped():
    figure = {"title": "<script>\"&'", "source": "", "alt": '"><img>', "caption": ""}
    page = render("figure.html", figure=figure)
    assert "<script>" not in page
    assert "&lt;script&gt;&#34;&amp;&#39;" in page
    assert 'alt="&#34;&gt;&lt;img&gt;"' in page


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError):
        render("figure.html")


def test_a_figure_holds_itself():
    figure, _ = new_figure(20, 20)
    assert data_address(figure).startswith("data:image/png;base64,iVBOR")
