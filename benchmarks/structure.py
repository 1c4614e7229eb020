"""How the source is built: modules, lines, layers, who imports whom, what a worker imports.

``python benchmarks/structure.py [SOURCE]`` measures this work tree's package, or another version's
(the folder ``corticode`` of its source), which is told, not kept. Code lines are those that are
neither blank nor part of a docstring. Modules whose place is a table of alternatives (readers,
layouts, networks, kinds of maps) are imported by that table alone, as they should be, and are not
counted among those imported by exactly one other; the package root, which hands names on, counts
as one that imports.
"""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from results_file import REPOSITORY, write_result

SOURCE = REPOSITORY / "src" / "corticode"
# Folders whose modules are alternatives, each named in one table.
ALTERNATIVES = ("data/readers", "data/layouts", "decode/networks", "explain/deepshap")
WORKER = "corticode.run.fits, corticode.run.worker"
# Modules are compiled once and kept, as where the package is used.
COMPILED = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"


def main() -> None:
    """Measure and write down; of another version, only print."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE
    modules = sorted(p for p in source.rglob("*.py") if p.name != "__init__.py")
    entries = [path for path in source.iterdir() if path.name != "__pycache__"]
    importers = who_imports(source, modules)
    lonely = sorted(
        name for name, by in importers.items() if len(by) == 1 and not name.startswith(ALTERNATIVES)
    )
    rows = [
        ["modules without `__init__`", len(modules), "<= 120"],
        ["entries at the package root", len(entries), "<= 15"],
        ["code lines without docstrings and blank lines", code_lines(source), "<= 21,756"],
        ["modules imported by exactly one other", len(lonely), "<= 20"],
        ["these", ", ".join(lonely), ""],
    ]
    if source != SOURCE:
        print(*rows, sep="\n")
        return
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]
    layers = contracts["importlinter"]["contracts"][0]["layers"]
    held = subprocess.run([LINT_IMPORTS], cwd=REPOSITORY, capture_output=True, check=False)
    rows += [
        ["layers", len(layers), "10"],
        ["imports upwards, cycles", "none" if not held.returncode else "see lint-imports", "none"],
        [f"CPU seconds of importing {WORKER} (torch alone)", import_seconds(), "<= 2.6"],
    ]
    write_result("structure", ["what", "measured", "bar"], rows)


def who_imports(source: Path, modules: list[Path]) -> dict[str, set[str]]:
    """The modules that import each module, by its path without ``.py``."""
    names = {path.relative_to(source).with_suffix("").as_posix() for path in modules}
    importers: dict[str, set[str]] = {name: set() for name in names}
    for path in [*modules, source / "__init__.pyi"]:
        own = path.relative_to(source).with_suffix("").as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            place = node.module.removeprefix("corticode").lstrip(".").replace(".", "/")
            for found in (place, *(f"{place}/{alias.name}".lstrip("/") for alias in node.names)):
                if found in names:
                    importers[found].add(own)
    return importers


def code_lines(source: Path) -> int:
    """Lines of all modules that are neither blank nor part of a docstring."""
    total = 0
    for path in source.rglob("*.py"):
        text = path.read_text("utf-8")
        told: set[int] = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
                first = node.body[0]
                told |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
        lines = enumerate(text.split("\n"), 1)
        total += sum(bool(line.strip()) and number not in told for number, line in lines)
    return total


def import_seconds(repeats: int = 3) -> str:
    """CPU seconds of a fresh interpreter that imports what a worker imports, and torch alone."""
    best = {}
    for what in (WORKER, "torch"):
        code = f"import {what}, resource; u = resource.getrusage(resource.RUSAGE_SELF);"
        code += "print(u.ru_utime + u.ru_stime)"
        taken = [
            float(subprocess.check_output([sys.executable, "-c", code], env=COMPILED))
            for _ in range(repeats + 1)
        ]
        best[what] = min(taken)
    return f"{best[WORKER]:.2f} ({best['torch']:.2f})"


if __name__ == "__main__":
    main()
