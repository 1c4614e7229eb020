"""Passages of text that a page and a Markdown file both show: plain words, marked up at the end."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Whatever Markdown, its tables or HTML within it could read as markup, wherever it stands.
MARKUP = re.compile(r"([\\`*_\[\]<>|&~$^#])")
# What makes a list, a heading, a quotation or a rule of a line that begins with it.
LINE_START = re.compile(r"^(\d*)([.)+=:-])")


@dataclass(frozen=True)
class Passage:
    """A stretch of text below a heading; plain words without any markup.

    Parameters
    ----------
    title
        Its heading.
    paragraphs
        One after the other.
    items
        A list below them: what each is about, and what is said of it.
    heads
        Of the columns of a table below both; none: there is no table.
    rows
        Its rows, a cell a column.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[tuple[str, str], ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def to_markdown(passages: Iterable[Passage]) -> str:
    r"""Passages as Markdown: headings of level 2, pipe tables, everything else as it is written.

    Examples
    --------
    >>> print(to_markdown([Passage("Labels", ("`speed_rs` > 0.5",), heads=("a", "b|c"))]))
    ## Labels
    <BLANKLINE>
    \`speed\_rs\` \> 0.5
    <BLANKLINE>
    | a | b\|c |
    | --- | --- |
    """
    return "\n\n".join(block for passage in passages for block in _blocks(passage))


def _blocks(passage: Passage) -> Iterable[str]:
    yield f"## {escaped(passage.title)}"
    yield from (_paragraph(text) for text in passage.paragraphs if text.strip())
    if passage.items:
        lines = [f"- **{escaped(lead)}**: {escaped(text)}" for lead, text in passage.items]
        yield "\n".join(lines)
    if passage.heads:
        rule = ["---"] * len(passage.heads)
        shown = [list(map(escaped, row)) for row in (passage.heads, *passage.rows)]
        yield "\n".join(map(_row, [shown[0], rule, *shown[1:]]))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _paragraph(text: str) -> str:
    return LINE_START.sub(r"\1\\\2", escaped(text))


def escaped(text: str) -> str:
    r"""Words as Markdown that reads as these words within a line: one line, no markup in it.

    Examples
    --------
    >>> print(escaped("a_b | <b>"))
    a\_b \| \<b\>
    """
    return MARKUP.sub(r"\\\1", " ".join(text.split()))
