"""Do the tests notice when a line of the source is wrong? Thirty lines changed, one at a time.

``python benchmarks/mutations.py BEFORE AFTER`` draws lines of the source of commit BEFORE with a
fixed seed, outside docstrings: a comparison, a sum, a product, an *and* or *or*, a number or a
truth value is changed. Each is made in the trees of both commits and the tests of its module are
run (those of its own file, then of its folder). A line is found again by module
(``docs/moved-modules.txt``), function and text, so that trees before and after modules were moved
can be compared. Tests that have not ended after half an hour say nothing.
"""

import argparse
import ast
import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from results_file import write_result

ROOT = Path(__file__).parent.parent
SEED, N_MUTATIONS, SECONDS = 20261130, 30, 1800
COMPARISONS = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
}
WRITTEN = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
SUMS = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*")}


class Mutation(NamedTuple):
    """One change: of which line of which function, and what it becomes."""

    module: str
    function: str
    line: str
    becomes: str


def main() -> None:
    """Draw, change, test, and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("before", help="a commit: lines are drawn from it")
    parser.add_argument("after", help="another")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before, after = (
            _tree_of(revision, Path(folder) / name / "tree")
            for name, revision in (("before", arguments.before), ("after", arguments.after))
        )
        found = list(_all_mutations(before / "src" / "corticode"))
        rows = []
        for one in random.Random(SEED).sample(found, N_MUTATIONS):
            verdicts = [_verdict(tree, one) for tree in (before, after)]
            rows.append([f"{one.module}.{one.function}", f"`{one.becomes}`", *verdicts])
            print(*rows[-1], sep=" | ", flush=True)
    n_caught = [sum(row[k].startswith("caught") for row in rows) for k in (2, 3)]
    heads = ["function", "the line becomes", arguments.before, arguments.after]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    write_result("mutations", heads, [*cells, ["caught", f"of {len(rows)}", *n_caught]])


def _tree_of(revision: str, folder: Path) -> Path:
    command = ["git", "archive", revision]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def _all_mutations(source: Path) -> Iterator[Mutation]:
    for path in sorted(source.rglob("*.py")):
        text = path.read_text("utf-8")
        lines = text.split("\n")
        module = path.relative_to(source).with_suffix("").as_posix().replace("/", ".")
        for function in ast.walk(ast.parse(text)):
            if not isinstance(function, ast.FunctionDef):
                continue
            body = function.body[1:] if ast.get_docstring(function) else function.body
            nodes = [node for statement in body for node in ast.walk(statement)]
            in_text = {id(n) for j in nodes if isinstance(j, ast.JoinedStr) for n in ast.walk(j)}
            raised = {id(n) for r in nodes if isinstance(r, ast.Raise) for n in ast.walk(r)}
            for node in nodes:
                if id(node) in in_text | raised or getattr(node, "lineno", 0) != getattr(
                    node, "end_lineno", -1
                ):
                    continue
                changed = _changed(node, lines[node.lineno - 1])
                if changed is not None and changed != lines[node.lineno - 1]:
                    yield Mutation(
                        module, function.name, lines[node.lineno - 1].strip(), changed.strip()
                    )


def _changed(node: ast.AST, line: str) -> str | None:
    """The line with this part of it changed; None where it holds nothing to change."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int):
        new = str(not node.value) if isinstance(node.value, bool) else str(node.value + 1)
        return _with(line, node.col_offset, node.end_col_offset, new)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        kind = type(node.ops[0])
        return _swap(line, node.left, node.comparators[0], WRITTEN[kind], COMPARISONS[kind])
    if isinstance(node, ast.BinOp) and type(node.op) in SUMS:
        return _swap(line, node.left, node.right, *SUMS[type(node.op)])
    if isinstance(node, ast.BoolOp):
        words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        return _swap(line, node.values[0], node.values[1], *words)
    return None


def _swap(line: str, left: ast.expr, right: ast.expr, old: str, new: str) -> str | None:
    start, end = left.end_col_offset, right.col_offset
    if left.end_lineno != right.lineno or line[start:end].count(old) != 1:
        return None
    return _with(line, start, end, line[start:end].replace(old, new))


def _with(line: str, start: int | None, end: int | None, new: str) -> str:
    raw = line.encode()
    return (raw[:start] + new.encode() + raw[end:]).decode()


def _verdict(tree: Path, one: Mutation) -> str:
    module = _place_of(tree, one.module)
    path = tree / "src" / "corticode" / f"{module.replace('.', '/')}.py"
    if not path.is_file():
        return "gone (the module is no more)"
    text = path.read_text("utf-8")
    at = _line_of(text, one)
    if at is None:
        return "gone (the line is no more)"
    lines = text.split("\n")
    lines[at] = lines[at].replace(one.line, one.becomes)
    path.write_text("\n".join(lines), "utf-8")
    try:
        for name, tests in _tests_of(tree, module, path):
            if tests and not _pass(tree, tests):
                return f"caught by {name}"
        return "not caught"
    except subprocess.TimeoutExpired:
        return "no answer in time"
    finally:
        path.write_text(text, "utf-8")


def _place_of(tree: Path, module: str) -> str:
    """Where a module is now: as it was called, or as the list of moves says, step by step."""
    moves = tree / "docs" / "moved-modules.txt"
    if moves.is_file():
        for line in moves.read_text("utf-8").splitlines():
            old, arrow, new = line.partition(" -> ")
            module = new if arrow and old == module else module
    return module


def _line_of(text: str, one: Mutation) -> int | None:
    """The line's place in the function of that name, private or not."""
    lines = text.split("\n")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name.strip("_") == one.function.strip("_"):
            for k in range(node.lineno - 1, node.end_lineno or node.lineno):
                if lines[k].strip() == one.line:
                    return k
    return next((k for k, line in enumerate(lines) if line.strip() == one.line), None)


def _tests_of(tree: Path, module: str, path: Path) -> Iterator[tuple[str, list[Path]]]:
    parts = module.split(".")
    own = tree.joinpath("tests", *parts[:-1], f"test_{parts[-1]}.py")
    yield "its own tests", [path, *([own] if own.is_file() else [])]
    folder = tree.joinpath("tests", *parts[:1])
    at_root = sorted((tree / "tests").glob("test_*.py"))
    slow = {"test_pages", "test_extending", "test_examples", "test_documents", "test_links"}
    whole = [one for one in at_root if one.stem not in slow]
    yield "its folder's", [folder] if len(parts) > 1 and folder.is_dir() else whole


def _pass(tree: Path, tests: list[Path]) -> bool:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        *map(str, tests),
    ]
    done = subprocess.run(
        command,
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode in (0, 5)


if __name__ == "__main__":
    main()
