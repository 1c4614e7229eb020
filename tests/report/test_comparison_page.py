import re

import numpy as np
import pytest

from corticode.report.compare_runs import pair_runs
from corticode.report.comparison_page import comparison_headline, render_comparison

A = {"m1": 0.90, "m2": 0.80, "m3": 0.70, "m4": 0.60}
B = {"m1": 0.80, "m2": 0.75, "m3": 0.70, "m4": 0.55}


def _page(a, b):
    return render_comparison(a, b, pair_runs(a, b))


def _words(page):
    return " ".join(re.sub("<[^>]+>", " ", page[page.index("<body>") :]).split())


def test_headline_by_hand(make_run):
    a = make_run(conditions={"gru": A, "rnn": A})
    b = make_run(conditions={"gru": B, "lstm": B})
    assert comparison_headline(a, pair_runs(a, b)) == (
        "1 of 1 condition that both runs have is paired, animal by animal. “gru”: mean "
        "within-session AUC 0.750 in A and 0.700 in B, A − B +0.050 (paired t interval −0.015 to "
        "+0.115, 4 animals; 3 of 4 animals higher in A). No setting of them differs."
    )


def test_headline_of_one_animal(make_run):
    a, b = make_run(conditions={"gru": {"m1": 0.8}}), make_run(conditions={"gru": {"m1": 0.9}})
    assert "A − B −0.100 (no interval: 1 animal; 1 of 1 animal higher in B)" in comparison_headline(
        a, pair_runs(a, b)
    )


def test_each_animal_stands_with_both_values(make_run):
    text = _words(_page(make_run(conditions={"gru": A}), make_run(conditions={"gru": B})))
    for row in ("m1 0.900 0.800 +0.100", "m2 0.800 0.750 +0.050", "m3 0.700 0.700 0.000"):
        assert row in text
    assert "gru AUC 4 0.750 0.700 +0.050 −0.015 to +0.115 p = 0.092 p = 0.092 p = 0.250" in text
    assert "cannot reach 0.05: with 4 animals the smallest p is 0.125." in text
    assert "Every condition that both runs have is paired." in text
    assert "the same content in both 8" in text
    assert "All the same in both runs." in text


def test_settings_stand_once_with_their_conditions(make_run):
    conditions = {"gru": A, "rnn": A}
    b = make_run(conditions=conditions, settings={"training": {"epochs": 10}})
    b.study["condition"][1]["network"] = {"kind": "rnn"}
    text = _words(_page(make_run(conditions=conditions), b))
    assert "training.epochs 30 10 all that both runs have" in text
    assert "network.kind gru rnn “rnn”" in text


def test_what_is_apart_has_its_reason_and_no_difference(make_run):
    a = make_run(conditions={"gru": A})
    b = make_run(conditions={"gru": B}, sessions={"first_frame": 25, "n_windows": 890})
    page = _page(a, b)
    text = _words(page)
    assert "No condition that both runs have can be paired" in text
    assert "AUC 0.750 [0.495, 0.920], 4 animals" in text
    assert "other frames were scored" in text
    assert "+0.050" not in text
    assert "<details" not in page


def test_simulated_mice_and_warnings_come_first(make_run):
    a, b = make_run(simulated=True), make_run(simulated=True)
    text = _words(_page(a, b))
    assert text.index("These animals are simulated") < text.index("Headline")
    mixed = _words(_page(a, make_run()))
    assert "The mice of A are simulated, those of the other run are not." in mixed


def test_all_text_of_a_user_is_escaped_and_nothing_is_asked_of_a_network(make_run):
    bad = '<script>alert("x")</script>'
    a = make_run(bad, {bad: {bad: 0.9, "m2": 0.8}, "c": A})
    b = make_run(bad, {bad: {bad: 0.8, "m2": 0.7}, "c": B}, settings={"note": bad})
    page = _page(a, b)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.findall(r"(?:src|href)=[\"']?https?:", page)


def test_values_below_chance_and_blank_ones_have_their_place(make_run):
    a = make_run(conditions={"gru": {"m1": 0.3, "m2": 0.6, "m3": np.nan}})
    b = make_run(conditions={"gru": {"m1": 0.4, "m2": 0.5, "m3": np.nan}})
    page = _page(a, b)
    places = [float(x) for x in re.findall(r'cx="([-\d.]+)"', page)]
    assert len(places) == 4
    assert all(0 <= x <= 260 for x in places)
    assert "m3 no score no score" in _words(page)


@pytest.mark.parametrize("word", ["significan", "better", "worse"])
def test_no_word_that_judges(make_run, word):
    assert word not in _page(make_run(conditions={"gru": A}), make_run(conditions={"gru": B}))


def test_of_many_conditions_the_animals_of_the_first_are_shown(make_run, monkeypatch):
    monkeypatch.setattr("corticode.report.comparison_page.MOST_SHOWN", 3)
    names = [f"condition {k}" for k in range(5)]
    page = _page(
        make_run(conditions=dict.fromkeys(names, A)), make_run(conditions=dict.fromkeys(names, B))
    )
    assert page.count("<details") == 3
    assert "Animals of the first 3 of 5 conditions" in page
    assert "condition 4" in page
