"""The tree is the path: rules import-linter does not know, and documents that must stay true."""

import ast
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "corticode"
MODULES = sorted(
    path for path in SOURCE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")
)


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCE.rglob("__init__.py") if path.parent != SOURCE],
    ids=lambda path: path.parent.name,
)
def test_sub_packages_hand_nothing_on(path):
    body = ast.parse(path.read_text("utf-8")).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)
    assert isinstance(body[0].value, ast.Constant)


def test_no_module_with_a_name_that_says_nothing():
    empty = {"utils", "util", "helpers", "helper", "misc", "common", "base"}
    assert not [path for path in MODULES if path.stem in empty or path.parent.name in empty]


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("torch", "numpy", "pandas", "scipy", "sklearn", "h5py", "pydantic", "typer")
    code = f"import sys, corticode; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_data_layer_and_tables_load_no_torch():
    code = (
        "import sys, corticode.data.windows, corticode.data.layouts.study2024;"
        "import corticode.simulate.cohort, corticode.evaluate.scores;"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_worker_imports_what_it_fits_with():
    heavy = "pandas matplotlib pydantic h5py tifffile scipy.optimize scipy.ndimage jinja2 rich"
    code = (
        "import sys, corticode.run.fits, corticode.run.worker;"
        f"print([m for m in {heavy.split()} if m in sys.modules]"
        " + [m for m in sys.modules if m.startswith(('corticode.report', 'corticode.simulate'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_all_load():
    import corticode

    assert all(getattr(corticode, name) is not None for name in corticode.__all__)


def test_study_file_page_is_what_the_model_says():
    page = runpy.run_path(str(ROOT / "docs" / "write_study_file.py"))["page"]()
    assert (ROOT / "docs" / "study-file.md").read_text("utf-8") == page, "run: make docs"


def test_page_of_preprocessing_steps_is_what_their_model_says():
    steps_page = runpy.run_path(str(ROOT / "docs" / "write_study_file.py"))["steps_page"]
    text = (ROOT / "docs" / "preprocess.md").read_text("utf-8")
    assert steps_page(text) == text, "run: make docs"


def test_python_example_of_the_readme_runs(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = []
    for animal in ("m1", "m2", "m3"):
        speed = np.repeat(rng.random(40) > 0.5, 20) * 10.0
        traces = rng.normal(size=(800, 5)) + 0.3 * speed[:, None]
        np.save(tmp_path / f"{animal}.npy", traces.astype(np.float32))
        pd.DataFrame({"speed": speed}).to_csv(tmp_path / f"{animal}.csv", index=False)
        rows.append([animal, "a", f"{animal}.npy", f"{animal}.csv", 30])
    columns = ["animal", "session", "traces", "behavior", "frame_rate_hz"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "sessions.csv", index=False)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text("utf-8")
    example = text.split("```python\n")[1].split("```")[0].replace('"gru"', '"linear-window"')
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["scores"].shape[0] == 1
    assert names["scores"]["auc"].iloc[0] > 0.8


def test_shipped_study_of_the_readme_is_read(tmp_path):
    from corticode.study.study import read_study

    text = (ROOT / "README.md").read_text("utf-8")
    study = text.split("```toml\n")[1].split("```")[0]
    path = tmp_path / "study.toml"
    path.write_text("\n".join(line.removeprefix("   ") for line in study.splitlines()), "utf-8")
    names = [condition.name for condition in read_study(path).conditions]
    assert names == ["gru", "linear-window", "gru, permuted"]


ONE_SYSTEM_ALONE = {
    "fcntl", "grp", "msvcrt", "posix", "pwd", "resource", "termios", "winreg",
    "fork", "forkpty", "geteuid", "getgid", "getuid", "killpg", "mkfifo", "nice", "setsid",
    "statvfs", "sysconf", "SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1",
}  # fmt: skip


def of_one_system(path):
    """What a module uses that Linux, macOS or Windows lacks, but for what is behind a branch."""
    tree = ast.parse(path.read_text("utf-8"))
    behind = set()
    for node in ast.walk(tree):
        asks = isinstance(node, ast.If) and "platform" in ast.unparse(node.test)
        if asks or isinstance(node, ast.Try):
            behind |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(one, ast.If) and "platform" in ast.unparse(one.test) for one in node.body
        ):
            behind |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in behind:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in ONE_SYSTEM_ALONE)
        elif isinstance(node, ast.Attribute) and node.attr in ONE_SYSTEM_ALONE:
            yield node.attr
        elif isinstance(node, ast.Call) and "get_context" in ast.unparse(node.func):
            yield from (a.value for a in node.args if getattr(a, "value", "spawn") != "spawn")


def test_nothing_is_used_that_one_system_alone_has(tmp_path):
    found = {path.name: used for path in MODULES if (used := [*of_one_system(path)])}
    assert found == {}
    (tmp_path / "bad.py").write_text("import resource\nimport os\nos.fork()\n", "utf-8")
    assert [*of_one_system(tmp_path / "bad.py")] == ["resource", "fork"]
