"""What the pages of docs/ show is what happens: their files, commands and what is printed.

Of a page that is followed, a block with a ``title`` is a file that the reader makes, and in a block
of kind ``console`` lines that start with ``$`` are commands and others what they print; ``...``
stands for anything.
"""

import contextlib
import io
import os
import re
import runpy
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from corticode.cli import main
from corticode.study.study import read_study

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SCORE = re.compile(r"\b\d\.\d{3}\b")
FENCE = re.compile(r"^( *)```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of a page: its kind, the file that it is, or None, and its text."""

    kind: str
    title: str | None
    text: str


def blocks_of(page):
    text = (DOCS / page).read_text("utf-8")
    found = []
    for indent, kind, title, content in FENCE.findall(text):
        lines = [line.removeprefix(indent) for line in content.splitlines(keepends=True)]
        found.append(Block(kind, title or None, "".join(lines)))
    return found


def commands_of(text):
    """Commands and what each prints."""
    commands = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return commands


def as_pattern(line):
    """A line of a page as a pattern in which each score is a group."""
    if line == "...":
        return r"(?:.*\n)*?"
    parts = [re.escape(part).replace(r"\.\.\.", ".*") for part in SCORE.split(line)]
    return r"(\d\.\d{3})".join(parts) + r"\n"


def is_as_told(printed, lines):
    """Whether what is printed is what a page has; machines may differ a little in scores."""
    plain = "".join(line.rstrip() + "\n" for line in printed.splitlines())
    found = re.fullmatch("".join(map(as_pattern, lines)), plain)
    told = [score for line in lines for score in SCORE.findall(line)]
    return found is not None and np.allclose(
        [float(score) for score in found.groups()], [float(score) for score in told], atol=0.02
    )


def call(command):
    """What a command prints, standard error and output as a terminal shows them."""
    words = shlex.split(command)
    if words[0] == "cd":
        os.chdir(words[1])
        return ""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        if words[0] == "corticode":
            sys.argv = words
            with contextlib.suppress(SystemExit):
                main()
        else:
            assert words[0] == "python"
            sys.argv = [str(ROOT / words[1]), *words[2:]]
            runpy.run_path(sys.argv[0], run_name="__main__")
    return shown.getvalue()


@pytest.fixture
def follow(in_this_process, monkeypatch, tmp_path):
    """Does what a page says, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("sys.argv", sys.argv)

    def do(page):
        for block in blocks_of(page):
            if block.title is not None:
                Path(block.title).write_text(block.text, "utf-8")
            elif block.kind == "console":
                for command, lines in commands_of(block.text):
                    printed = call(command)
                    told = f"docs/{page} says of '{command}' what is not so; it prints:\n{printed}"
                    assert is_as_told(printed, lines), told

    return do


@pytest.mark.parametrize(
    "page", [pytest.param("start.md", marks=pytest.mark.study), "your-recordings.md"]
)
def test_what_a_page_says_is_what_happens(follow, page):
    follow(page)


def test_a_page_that_is_not_so_is_found():
    assert is_as_told("AUC 0.903 of m1\nand more\nend\n", ["AUC 0.900 of ...", "...", "end"])
    assert not is_as_told("AUC 0.803 of m1\nend\n", ["AUC 0.900 of ...", "...", "end"])
    assert not is_as_told("AUC 0.903 of m1\n", ["AUC 0.900 of ...", "end"])


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_study_files_on_pages_are_read(page, tmp_path):
    (tmp_path / "sessions.csv").write_text("animal,session\n", "utf-8")
    for block in blocks_of(page):
        if block.kind == "toml" and "[data]" in block.text:
            path = tmp_path / "study.toml"
            path.write_text(block.text, "utf-8")
            assert read_study(path).conditions


def test_every_public_name_stands_on_the_python_page():
    import corticode

    text = (DOCS / "api.md").read_text("utf-8")
    named = re.findall(r"^::: ([\w.]+)\.(\w+)$", text, re.MULTILINE)
    public = {name for name in corticode.__all__ if not name.startswith("__")}
    assert {name for _, name in named} == public
    for module, name in named:
        assert getattr(corticode, name).__module__ == module


def test_every_page_has_a_place_on_the_site():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert not [path.name for path in DOCS.glob("*.md") if f"{path.name}\n" not in text]
