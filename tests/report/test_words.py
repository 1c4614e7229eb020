"""Tests."""

from html import unescape
from re import sub

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from corticode.report.words import (
    Passage,
    escaped,
    every_setting,
    label_rule,
    network_words,
    preprocess_words,
    region_words,
    shared_and_own,
    to_markdown,
    training_words,
    window_words,
)

NAMES = st.text("abc", min_size=1, max_size=2)
VALUES = st.one_of(st.integers(0, 9), st.sampled_from(["gru", "none"]), st.booleans())
CONDITIONS = st.lists(
    st.dictionaries(NAMES, st.one_of(VALUES, st.dictionaries(NAMES, VALUES)), max_size=4),
    min_size=1,
    max_size=5,
)
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs")), max_size=30
)


def test_every_part_of_a_label_rule():
    target = {
        "signal": "speed", "kind": "binary", "above": 0.5, "absolute": True, "hysteresis": 0.2,
        "smooth_frames": 30, "minimum_bout_s": 1.0, "minimum_gap_frames": 1,
        "exclude_transition_s": 0.5,
    }  # fmt: skip
    assert label_rule(target) == (
        "the absolute value of “speed”, a moving mean over 30 frames above 0.5 is class 1; 1 lasts "
        "until the signal falls to 0.3; stretches of 1 shorter than 1 s are 0; stretches of 0 "
        "between two of 1 shorter than 1 frame are 1; frames within 0.5 s of a change have no label"
    )


def test_kinds_of_labels():
    assert label_rule({"signal": "a", "kind": "value"}) == "“a” is decoded as a value"
    assert label_rule({"signal": "a", "kind": "classes"}) == "each value of “a” is a class"
    assert label_rule({"signal": "a", "kind": "binary"}).endswith("two classes as recorded")


def test_what_a_condition_is():
    condition = {
        "window": {"before": 15, "after_s": 0.5, "shift": -30},
        "preprocess": {"scale": "min-max", "causal": True},
        "network": {"kind": "linear-window"},
        "training": {"penalty": [0.01, 0.1]},
        "regions": {"top": 4, "from": "gru", "on": "test"},
    }
    assert window_words(condition).endswith("0.5 s after the decoded frame, target shifted by "
                                            "-30 frames (above 0: the future)")  # fmt: skip
    assert preprocess_words(condition) == "preprocessing: causal yes, scale min-max"
    assert network_words(condition) == "a linear decoder of the whole window of traces"
    assert training_words(condition) == "L2 penalty chosen by validation loss among 0.01, 0.1"
    assert "circular" in region_words(condition)


def test_what_most_have_is_said_once():
    conditions = [{"name": k, "network": {"kind": "gru"}} for k in "abc"]
    conditions[1]["permute_labels"] = "sessions"
    shared, own = shared_and_own(conditions)
    assert "a GRU of traces" in shared
    assert own == [
        ("a", "as said above"),
        ("b", "labels permuted between sessions (control)"),
        ("c", "as said above"),
    ]


def test_what_one_lacks_is_told():
    conditions = [{"name": k, "folds": ["x"]} for k in "ab"] + [{"name": "c"}]
    assert shared_and_own(conditions)[1][2] == ("c", "no such setting")


def test_long_lists_of_names_are_all_others():
    conditions = [{"name": f"c{k}", "epochs": 3} for k in range(12)]
    conditions[3]["epochs"] = 5
    assert every_setting({"condition": conditions}) == [
        ("condition.epochs", "3", "all others"),
        ("condition.epochs", "5", "“c3”"),
    ]


@given(CONDITIONS)
def test_no_setting_is_lost(conditions):
    study = {"condition": [one | {"name": f"n{k}"} for k, one in enumerate(conditions)]}
    rows = every_setting(study)
    for condition in study["condition"]:
        for key, value in condition.items():
            for inner, leaf in value.items() if isinstance(value, dict) else [("", value)]:
                name = f"condition.{key}.{inner}".rstrip(".")
                said = ("yes" if leaf else "no") if isinstance(leaf, bool) else str(leaf)
                assert key == "name" or any(
                    row[:2] == (name, said) and (condition["name"] in row[2] or "all" in row[2])
                    for row in rows
                )


def test_maps_are_known_by_what_they_are_of():
    study = {"map": [{"condition": "gru", "kind": "deep-shap", "n_windows": 5}], "confounds": []}
    assert every_setting(study)[-1] == ("map.n_windows", "5", "all")


def read_back(markdown):
    """The words that a reader of the rendered Markdown sees."""
    html = MarkdownIt("commonmark").enable("table").render(markdown)
    return " ".join(unescape(sub("<[^>]+>", " ", html)).split())


def test_by_hand():
    passage = Passage("T", ("1. one", "-2"), (("a*b", "x"),), ("h|1",), (("-0.5",), ("0.359",)))
    assert to_markdown([passage]).splitlines() == [
        "## T", "", "1\\. one", "", "\\-2", "", "- **a\\*b**: x", "",
        "| h\\|1 |", "| --- |", "| -0.5 |", "| 0.359 |",
    ]  # fmt: skip


@given(TEXT, TEXT, TEXT)
def test_words_read_as_they_were_written(paragraph, lead, cell):
    passage = Passage(
        "title", (paragraph,), (("x" + lead, cell),), ("a", "b"), (("y" + cell, "z"),)
    )
    words = [paragraph, f"x{lead}", f":{cell}", "a b", f"y{cell}", "z"]
    expected = "".join("".join(["title", *words]).split())
    assert "".join(read_back(to_markdown([passage])).split()) == expected


def test_html_stays_words():
    assert "<script" not in MarkdownIt("commonmark").render(escaped("<script>alert(1)</script>"))


def test_nothing_to_say():
    assert to_markdown([]) == ""
    assert to_markdown([Passage("a", ("",))]) == "## a"
