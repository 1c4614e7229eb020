from html import unescape
from re import sub

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from corticode.report.passages import Passage, escaped, to_markdown

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs")), max_size=30
)


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


@settings(max_examples=150, deadline=None)
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
