"""What the site takes from outside docs/: measured results, worked examples, the change log.

Pages keep the links that are right in the repository; here they become links within the site.
"""

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
RESULTS = "benchmarks/results"
RESULTS_PAGE = f"{RESULTS}/index.md"
# Their pages, and the small files that pages link to.
CARRIED = (
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "constraints.txt",
    "benchmarks/*.py",
    f"{RESULTS}/*.md",
    "examples/*.py",
    "examples/*/*",
)
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=[)#])")
FROM_ELSEWHERE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"(https?:[^\"]*)")
RESULTS_HEAD = """# Measured

Each page is what a script in `benchmarks/` printed, on the machine that it names, shortfalls
included. Names that end in `simulated` are of simulated mice: they test the pipeline, not the
biology.

"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Carry pages and files from outside docs/ at their place in the repository."""
    for pattern in CARRIED:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file():
                place = path.relative_to(ROOT).as_posix()
                files.append(File.generated(config, place, abs_src_path=str(path)))
    results = [PurePosixPath(uri) for uri in files.src_uris if uri.startswith(f"{RESULTS}/")]
    rows = [f"- [{path.stem}]({path.name})\n" for path in sorted(results)]
    files.append(File.generated(config, RESULTS_PAGE, content=RESULTS_HEAD + "".join(rows)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with links to where the site has what they lead to in the repository."""
    here = page.file.src_uri
    is_carried = page.file.abs_src_path is not None and (ROOT / here).is_file()
    folder = PurePosixPath(here if is_carried else f"docs/{here}").parent

    def moved(link: re.Match[str]) -> str:
        if re.match(r"[a-z]+:", link[1]):
            return link[1]
        target = os.path.normpath(folder / link[1]).replace(os.sep, "/")
        target = RESULTS_PAGE if target == RESULTS else target.removeprefix("docs/")
        return os.path.relpath(target, PurePosixPath(here).parent).replace(os.sep, "/")

    return LINK.sub(moved, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse what pages would fetch from elsewhere; write the search index as a script too.

    A page that is read from the disk may not read a JSON file, but it may load a script.
    """
    site = Path(config.site_dir)
    for path in site.rglob("*.html"):
        fetched = FROM_ELSEWHERE.findall(path.read_text("utf-8"))
        if fetched:
            raise PluginError(
                f"{path.name} would fetch {fetched[0]}; put the file into docs/assets"
            )
    index = (site / "search" / "search_index.json").read_text("utf-8")
    (site / "search" / "search_index.js").write_text(f"var __index = {index}\n", "utf-8")
