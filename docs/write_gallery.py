"""Write docs/gallery.md and its figures: each script of examples/, run as it is."""

import ast
import contextlib
import io
import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent
SCRIPTS = ("across_mice", "which_regions", "detrending", "movie_cutout", "more_than_chance")
HEAD = """# Gallery

Scripts of a page each, to start one's own from. Each ends in a figure, written to the folder that
it is given, and in a line; each takes under half a minute on one core. Their mice are simulated or
made up: figures show what the package does, not what cortex does. `make gallery` runs all of them
and writes this page; tests run them with tiny settings.
"""
PUBLISHED = """
## The published results, drawn

Tables that the 2024 study published and its SHAP array are part of the package: real data.
[`examples/gallery.py`](../examples/gallery.py) draws them as the article does, and sets the verdict
over animals beside:

```sh
python examples/gallery.py FOLDER     # the last line is the path of a page with all figures
```
"""


def main() -> None:
    """Run every script and write the page."""
    folder = ROOT / "docs" / "assets" / "gallery"
    sections = [section(name, folder) for name in SCRIPTS]
    (ROOT / "docs" / "gallery.md").write_text(HEAD + "".join(sections) + PUBLISHED, "utf-8")


def section(name: str, folder: Path) -> str:
    """A script's words, its figure, what it printed, and itself."""
    path = ROOT / "examples" / f"{name}.py"
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    title, words = docstring.split("\n\n")[:2]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(path))["main"](folder)
    line = printed.getvalue().splitlines()[-1]
    return f"""
## {title.removesuffix(".")}

{words}

![{title}](assets/gallery/{name}.svg)

```text
{line}
```

[`examples/{name}.py`](../examples/{name}.py):

```python
--8<-- "examples/{name}.py"
```
"""


if __name__ == "__main__":
    main()
