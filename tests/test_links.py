"""Links of texts in the repository lead to what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "examples/*/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)


def anchors_of(path):
    """Names of a text's headings, as links give them."""
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings]
    return {re.sub(r"\s", "-", heading.strip()) for heading in plain}


def broken_links(path):
    """Links within the repository that lead nowhere."""
    broken = []
    for link in LINK.findall(CODE.sub("", path.read_text("utf-8"))):
        if re.match(r"https?:", link):
            continue
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        if not there.exists() or (anchor and anchor not in anchors_of(there)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("text", TEXTS)
def test_links_lead_to_what_is_there(text):
    assert broken_links(ROOT / text) == []


def test_broken_links_are_found(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("# The end\n[b](b.md) [c](a.md#the-end) [d](#no) `[e](e)`\n", "utf-8")
    assert broken_links(path) == ["b.md", "#no"]
