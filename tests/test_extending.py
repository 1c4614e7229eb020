"""The diffs of docs/extending.md apply to the package as it is, and what they add works."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
DIFFS = re.findall(
    r"^```diff\n(.*?)^```$",
    (ROOT / "docs" / "extending.md").read_text("utf-8"),
    re.DOTALL | re.MULTILINE,
)
NAMES = ("reader", "confound", "network", "map", "table")
STUDY = '''
def test_a_study_takes_network_and_map(write_cohort, run_inline, tmp_path):
    import pandas as pd

    study = """
preset = "code"
[data]
catalogue = "sessions.csv"
[target]
signal = "run"
[folds]
only = ["test-m1_valid-m2", "test-m2_valid-m3"]
[[condition]]
name = "convolution"
preprocess = { detrend_frames = 0 }
window = { before = 5, after = 5 }
network = { kind = "convolution", units = 8 }
training = { epochs = 2, batch_size = 32, learning_rate = 0.01 }
[[map]]
condition = "convolution"
kind = "saliency"
"""
    folder = write_cohort(tmp_path / "cohort", animals=3, study=study)
    summary, _ = run_inline(folder, folder / "run")
    assert summary.animal_scores["value"].mean() > 0.8
    assert pd.read_csv(folder / "run" / "map_regions.csv")["region"].iloc[0] == 1
'''


def changed_files(diff):
    """Path and hunks of each file of a diff; a hunk is the text before and after."""
    for part in re.split(r"^--- .*\n", diff, flags=re.MULTILINE)[1:]:
        head, *hunks = part.split("@@\n")
        lines = [hunk.splitlines(keepends=True) for hunk in hunks]
        before = ["".join(line[1:] for line in hunk if line[0] in " -") for hunk in lines]
        after = ["".join(line[1:] for line in hunk if line[0] in " +") for hunk in lines]
        yield head.strip().removeprefix("+++ b/"), list(zip(before, after, strict=True))


def apply_diff(diff, folder):
    """Apply a diff to a copy of the package; each place has to be there once."""
    for name, hunks in changed_files(diff):
        path = folder / name
        if hunks[0][0] == "":
            assert not path.exists(), f"{name} is there already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(hunks[0][1], "utf-8")
            continue
        text = path.read_text("utf-8")
        for before, after in hunks:
            assert text.count(before) == 1, f"{name} holds {text.count(before)} times:\n{before}"
            text = text.replace(before, after)
        path.write_text(text, "utf-8")


@pytest.fixture
def copy(tmp_path):
    """A copy of the package and of what its tests need."""
    for folder in ("src", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "tests").mkdir()
    for name in ("pyproject.toml", "conftest.py", "tests/conftest.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_each_extension_is_a_diff_with_its_test_at_the_mirrored_place():
    assert len(DIFFS) == len(NAMES)
    for diff in DIFFS:
        files = [name for name, hunks in changed_files(diff) if hunks[0][0] == ""]
        module, test = files
        place = Path(module).relative_to("src/corticode")
        assert test == f"tests/{place.parent.as_posix()}/test_{place.name}"


@pytest.mark.parametrize("diff", DIFFS, ids=NAMES)
def test_each_applies_alone(diff, copy):
    apply_diff(diff, copy)


class Outcomes:
    """What became of each test of a second pytest in this process."""

    def __init__(self):
        self.passed, self.failed = [], []

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.append(f"{report.nodeid}\n{report.longrepr}")
        elif report.when == "call":
            self.passed.append(report.nodeid.partition("::")[2])

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed.append(f"{report.nodeid}\n{report.longrepr}")


@pytest.fixture
def other_package(copy, monkeypatch):
    """The copy is what `import corticode` finds, until the test ends."""

    def own(name):
        return name.partition(".")[0] in ("corticode", "conftest", "tests")

    profile = settings.get_current_profile_name()
    before = {name: module for name, module in sys.modules.items() if own(name)}
    for name in before:
        del sys.modules[name]
    monkeypatch.syspath_prepend(copy / "src")
    monkeypatch.chdir(copy)
    yield copy
    for name in [name for name in sys.modules if own(name)]:
        del sys.modules[name]
    sys.modules.update(before)
    settings.load_profile(profile)


@pytest.mark.study
def test_what_they_add_works(other_package):
    for diff in DIFFS:
        apply_diff(diff, other_package)
    (other_package / "tests" / "test_extended.py").write_text(STUDY, "utf-8")
    found = Outcomes()
    pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests"], plugins=[found])
    assert not found.failed, "\n".join(found.failed)
    assert len(found.passed) == 7
    assert sys.modules["corticode"].__file__.startswith(str(other_package))
