"""One run at a time in a folder."""

import csv
import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import example, given
from hypothesis import strategies as st

from corticode.errors import Finding, MissingDataError, RunError
from corticode.run.folder import (
    FORMAT,
    HOLDER,
    LOCK,
    LONGEST_SLUG,
    FitResult,
    MapResult,
    Run,
    check_folder,
    check_format,
    check_lengths,
    hash_of,
    hold_folder,
    is_run,
    other_fits,
    provenance,
    read_csv,
    read_result,
    read_whole,
    remove_unfinished,
    run_once,
    slug,
    why_redone,
    write_result,
    write_rows,
    write_table,
)

FIT = {
    "condition": "gru", "fold": "f", "seed": 0, "test_animal": "m1", "valid_animal": "m2",
}  # fmt: skip
MAP = {"condition": "gru", "map": "deep-shap", "kind": "deep-shap", "fold": "f", "seed": 0}
LEFT_OUT = FitResult(key="abc", fit=FIT, left_out="one class", seconds=0.5)
SCORED = FitResult(
    key="abc",
    fit=FIT,
    best_epoch=None,
    look_ahead_s="inf",
    scores={"auc": 0.1 + 0.2, "sd": None},
    session_scores=[{"session": "a", "auc": None}],
    findings=(Finding("fold", "is odd", item="f", count=2),),
    prepared="0123",
    movie_statistics={"m1/a": "m1-a.npz"},
    files={"decoder.json": "0123"},
)
MAPPED = MapResult(
    key="abc", map=MAP, n_windows=3, details={"fill": "zero"}, input_sd=[0.5],
    deletion={"area_deletion": 0.25}, backgrounds=[],
)  # fmt: skip
HOLD = """
import sys
from pathlib import Path
from corticode.run.folder import hold_folder
with hold_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


class TestSlug:
    @pytest.mark.parametrize(
        ("name", "legible"),
        [
            ("gru", "gru"),
            ("gru, FLa&HLa only", "gru-fla-hla-only"),
            ("test-m1_valid-m2", "test-m1_valid-m2"),
            ("../../etc", "etc"),
            ("Größe 3.5", "gr-e-3.5"),
        ],
    )
    def test_keeps_what_is_legible(self, name, legible):
        assert re.fullmatch(re.escape(legible) + "-[0-9a-f]{8}", slug(name))

    def test_of_nothing_legible(self):
        assert re.fullmatch("[0-9a-f]{8}", slug("日本"))

    @given(st.text())
    @example("..")
    @example("-rf")
    @example("a/" * 100)
    @example("x" * 59 + "-y")
    def test_is_a_safe_folder_name(self, name):
        found = slug(name)
        assert re.fullmatch(r"[a-z0-9_][a-z0-9_.-]*[0-9a-f]", found)
        assert len(found) <= LONGEST_SLUG + 9
        assert Path("fits", found).parent == Path("fits")
        assert slug(name) == found

    @given(st.sets(st.text(), min_size=2, max_size=30))
    @example({"a", "A", "a ", "á", "a-", "a" * 100, "a" * 101})
    def test_differs_where_names_differ(self, names):
        assert len({slug(name) for name in names}) == len(names)


class TestRun:
    def test_paths(self):
        run = Run(Path("run"))
        assert run.study_path == Path("run/study.toml")
        assert run.provenance_path == Path("run/provenance.json")
        assert run.table_path("scores") == Path("run/scores.csv")
        assert run.prepared_folder("k") == Path("run/prepared/k")
        fit = run.fit_folder("gru", "f", 3)
        assert fit.parts == ("run", "fits", slug("gru"), slug("f"), "seed-3")

    def test_tables_come_back_as_they_were(self, tmp_path):
        run = Run(tmp_path)
        table = pd.DataFrame(
            {
                "condition": ["gru", "NA", "None"],
                "animal": ["007", "7", "nan"],
                "session": ["20240531", "1e5", ""],
                "seed": [0, 1, 2],
                "auc": [0.1 + 0.2, np.nan, 1.0],
                "look_ahead_s": [np.inf, 0.5, np.nan],
            }
        )
        write_table(run.table_path("session_scores"), table)
        pd.testing.assert_frame_equal(
            run.read_table("session_scores").astype(object), table.astype(object)
        )

    def test_tables_without_rows(self, tmp_path):
        run = Run(tmp_path)
        write_table(run.table_path("excluded"), pd.DataFrame(columns=["what", "count"]))
        assert run.read_table("excluded").shape == (0, 2)

    def test_tables_of_a_run_that_is_not_finished(self, tmp_path):
        with pytest.raises(MissingDataError, match=r"scores.csv does not exist; finish the run"):
            Run(tmp_path).read_table("scores")


def test_fits_of_an_earlier_study(tmp_path):
    run = Run(tmp_path)
    kept, other, unfinished = (run.fit_folder("gru", "f", seed) for seed in range(3))
    for folder in (kept, other):
        write_result(folder, LEFT_OUT)
    unfinished.mkdir(parents=True)
    assert other_fits(run, [kept]) == [other]
    assert other_fits(run, [kept, other]) == []
    assert other_fits(Run(tmp_path / "none"), [kept]) == []


class TestDone:
    @pytest.mark.parametrize("result", [LEFT_OUT, SCORED, MAPPED])
    def test_comes_back(self, tmp_path, result):
        write_result(tmp_path / "fit", result)
        assert read_result(tmp_path / "fit", type(result)) == result

    def test_says_nothing_of_what_was_not_made(self, tmp_path):
        write_result(tmp_path, LEFT_OUT)
        content = json.loads((tmp_path / "done.json").read_text("utf-8"))
        assert set(content) == {"key", "fit", "left_out", "movie_statistics", "seconds"}

    def test_of_an_older_version(self, tmp_path):
        """Neither which prepared sessions nor which statistics; and what nobody knows any more."""
        content = {"key": "k", "fit": FIT, "scores": {}, "session_scores": [], "look_ahead_s": None}
        (tmp_path / "done.json").write_text(json.dumps(content | {"unknown": 1}), "utf-8")
        assert read_result(tmp_path, FitResult) == FitResult(key="k", fit=FIT, session_scores=[])

    def test_is_made_once(self, tmp_path):
        made = []

        def work(key):
            made.append(key)
            return replace(LEFT_OUT, key=key)

        for key in ("a", "a", "b"):
            assert run_once(tmp_path, key, FitResult, lambda key=key: work(key), ()).key == key
        assert made == ["a", "b"]

    def test_records_and_checks_what_it_left(self, tmp_path):
        made = []

        def work():
            made.append(1)
            (tmp_path / "decoder.json").write_text(f"decoder {len(made)}", "utf-8")
            return replace(LEFT_OUT, left_out=None, scores={}, look_ahead_s=None)

        def run():
            return run_once(tmp_path, "abc", FitResult, work, ["decoder.json", "history.csv"])

        assert list(run().files) == ["decoder.json"]
        run()
        assert len(made) == 1
        for damage in (Path.unlink, lambda path: path.write_text("another", "utf-8")):
            damage(tmp_path / "decoder.json")
            told = why_redone(tmp_path, FitResult)
            assert told == "decoder.json: missing, or not as written"
            assert read_whole(tmp_path, FitResult) is None
            run()
            assert why_redone(tmp_path, FitResult) == ""
        assert len(made) == 3
        (tmp_path / "done.json").write_text("{", "utf-8")
        assert why_redone(tmp_path, FitResult).startswith("done.json is damaged (")
        run()
        assert len(made) == 4

    def test_of_a_fit_that_is_not_finished(self, tmp_path):
        assert read_result(tmp_path, FitResult) is None

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"\xff",
            b"[]",
            b"null",
            b'"key"',
            b"{}",
            b'{"key": "abc"}',
            b'{"key": 3, "fit": {}}',
            b'{"key": "abc", "fit": null}',
        ],
    )
    def test_damaged(self, tmp_path, content):
        self.refused(tmp_path, content)

    @pytest.mark.parametrize("result", [SCORED, MAPPED])
    @pytest.mark.parametrize("value", [3, [], "x", [[1]], {"a": {}}, None])
    def test_of_another_shape(self, tmp_path, result, value):
        """Whatever stands at a key, it is read as it was written or refused."""
        write_result(tmp_path, result)
        whole = json.loads((tmp_path / "done.json").read_text("utf-8"))
        n_refused = 0
        for name in whole:
            (tmp_path / "done.json").write_text(json.dumps(whole | {name: value}), "utf-8")
            try:
                read_result(tmp_path, type(result))
            except RunError:
                n_refused += 1
        assert n_refused > len(whole) // 3

    @pytest.mark.parametrize(
        "change",
        [
            {"session_scores": [{"session": "a", "auc": "x"}]},
            {"session_scores": [{"session": 3}]},
            {"session_scores": [[]]},
            {"scores": {"auc": [1]}},
            {"fit": FIT | {"seed": "0"}},
            {"fit": FIT | {"condition": None}},
            {"findings": [{"what": "fold", "reason": "x", "unknown": 1}]},
        ],
    )
    def test_cells_of_another_shape(self, tmp_path, change):
        write_result(tmp_path, SCORED)
        whole = json.loads((tmp_path / "done.json").read_text("utf-8"))
        self.refused(tmp_path, json.dumps(whole | change).encode())

    def refused(self, tmp_path, content):
        (tmp_path / "done.json").write_bytes(content)
        with pytest.raises(RunError, match=r"done.json is damaged") as caught:
            read_result(tmp_path, FitResult)
        assert f"delete the folder {tmp_path} and run the same command again" in str(caught.value)


class TestHash:
    @given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none()))
    def test_does_not_hang_on_order(self, content):
        assert hash_of(content) == hash_of(dict(reversed(content.items())))

    def test_differs_with_content(self):
        contents = [{"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": True}, {"a": [1]}, {"a": 1.5}]
        assert len({hash_of(content) for content in contents}) == len(contents)

    def test_takes_tuples_as_lists(self):
        assert hash_of({"a": 1, "b": (2, "x")}) == hash_of({"b": [2, "x"], "a": 1})

    def test_is_the_same_in_every_process(self):
        assert hash_of({"a": 1}) == hashlib.sha256(b'{"a": 1}').hexdigest()[:32]


class TestProvenance:
    def test_of_a_checkout(self):
        told = provenance({"m1/a": "abc"}, range(2), "cpu")
        assert told["recordings"] == {"m1/a": "abc"}
        assert told["seeds"] == [0, 1]
        assert told["simulated"] is False
        assert told["machine"]["device"] == "cpu"
        assert {"python", "corticode", "torch", "numpy"} <= set(told["versions"])
        assert json.loads(json.dumps(told)) == told

    def test_of_an_installed_package(self, tmp_path, monkeypatch):
        monkeypatch.setattr(
            "corticode.run.folder.__file__", str(tmp_path / "a" / "b" / "c" / "folder.py")
        )
        assert provenance({}, [0], "cpu")["commit"] is None

    def test_where_git_is_not_there(self, tmp_path, monkeypatch):
        (tmp_path / ".git").mkdir()
        monkeypatch.setattr(
            "corticode.run.folder.__file__", str(tmp_path / "a" / "b" / "c" / "folder.py")
        )
        monkeypatch.setenv("PATH", str(tmp_path))
        assert provenance({}, [0], "cpu")["commit"] is None


def test_a_run_of_a_newer_version_is_refused(tmp_path):
    run = Run(tmp_path)
    check_format(run)
    told = {"format": FORMAT + 1, "versions": {"corticode": "9.9"}}
    run.provenance_path.write_text(json.dumps(told), "utf-8")
    with pytest.raises(RunError, match=r"by corticode 9\.9 in format 2.*; update corticode"):
        check_format(run)
    run.provenance_path.write_text(json.dumps(told | {"format": FORMAT}), "utf-8")
    check_format(run)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        # It ends when these tests do, however they end.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_the_second_run_stops_and_names_the_first(holder, tmp_path):
    with pytest.raises(RunError) as caught, hold_folder(tmp_path):
        pass
    assert f"in use by process {holder.pid} on " in str(caught.value)
    assert "give another folder with --out" in str(caught.value)
    assert json.loads((tmp_path / HOLDER).read_text("utf-8"))["process"] == holder.pid


def test_a_killed_run_holds_nothing(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    (tmp_path / "fits").mkdir()
    (tmp_path / "fits" / ".done.json.abc_1234.part").write_text("half")
    with hold_folder(tmp_path):
        assert json.loads((tmp_path / HOLDER).read_text("utf-8"))["process"] == os.getpid()
        assert not list(tmp_path.rglob("*.part"))
    assert not (tmp_path / HOLDER).exists()


def test_it_is_free_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_folder(tmp_path):
        raise ZeroDivisionError
    with hold_folder(tmp_path):
        pass


def test_a_folder_that_came_to_nothing_is_gone(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_folder(tmp_path / "run"):
        raise ZeroDivisionError
    assert not (tmp_path / "run").exists()


def test_only_half_written_files_are_removed(tmp_path):
    (tmp_path / "my.part").write_text("mine")
    (tmp_path / ".x.csv.1.part").write_text("mine")
    (tmp_path / ".scores.csv.abcd_123.part").write_text("half")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".scores.csv.abcd_123.part").write_text("mine")
    (tmp_path / "fits" / "a").mkdir(parents=True)
    (tmp_path / "fits" / "a" / ".done.json.abcd_123.part").write_text("half")
    remove_unfinished(tmp_path)
    kept = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert kept == {"my.part", ".x.csv.1.part", ".scores.csv.abcd_123.part"}
    assert not list((tmp_path / "fits" / "a").iterdir())


@pytest.mark.parametrize("name", ["notes.txt", "study.toml", "fits/m31.fits", "run.lock"])
def test_a_folder_of_somebody_s_files_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match="holds files and is no run folder; nothing was written: g"):
        check_folder(tmp_path)
    with pytest.raises(RunError, match="is no run folder"), hold_folder(tmp_path):
        pass
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]


def test_a_run_is_known_by_any_of_what_it_leaves(tmp_path):
    for name in ("", "none", "lock", "provenance", "fit"):
        (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / "lock" / LOCK).touch()
    told = provenance({}, [0], "cpu")
    (tmp_path / "provenance" / "provenance.json").write_text(json.dumps(told), "utf-8")
    Run(tmp_path / "fit").fit_folder("gru", "f", 0).mkdir(parents=True)
    assert [is_run(tmp_path / name) for name in ("none", "lock", "provenance", "fit")] == [
        False, True, True, True,
    ]  # fmt: skip
    for name in ("none", "lock", "provenance", "fit", "new"):
        check_folder(tmp_path / name)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunError, match=r"cannot write in .*file: it is a"),
        hold_folder(tmp_path / "file"),
    ):
        pass


def test_a_file_system_without_locks_is_used_unguarded(tmp_path, monkeypatch):
    def refuse(self, **_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with hold_folder(tmp_path):
        assert (tmp_path / HOLDER).is_file()


def test_a_clock_that_is_set_back_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "fits" / "a" / "b" / "seed-0").mkdir(parents=True)
    with hold_folder(tmp_path):
        os.utime(tmp_path / LOCK, (time.time() + 1e6, time.time() + 1e6))
    with hold_folder(tmp_path):
        pass


# Names that Windows keeps for itself, whatever the case and the ending.
RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{k}" for port in ("com", "lpt") for k in range(10)),
}


@given(st.text() | st.sampled_from(sorted(RESERVED)))
def test_a_folder_s_name_is_one_on_every_system(name):
    found = slug(name)
    assert found.partition(".")[0] not in RESERVED
    assert not set(found) & set('<>:"/\\|?*') and found == found.strip(". ")
    assert found == found.lower()
    # Names that differ in case alone are two folders where case does not count, too.
    assert name.swapcase() == name or slug(name.swapcase()) != found


def test_paths_that_are_too_long_are_refused_at_once():
    run, long = Run(Path("/drive/run")), "x" * 300
    usual = run.map_folder("gru, FLa&HLa only", "expected-gradients", "test-m1_valid-m2", 0)
    check_lengths([usual], 259)
    check_lengths([], 259)
    folder = run.map_folder(long, long, long, 99)
    check_lengths([folder], None)
    with pytest.raises(RunError, match=r"has 25\d characters, and Windows takes 200"):
        check_lengths([usual, folder], 200)


NAMES = [
    "=1+1",
    "-a",
    "+x",
    "@sum",
    "'=1",
    "''-b",
    "-0.5",
    "m1",
    "'quoted'",
    "-",
    "NA",
    "[b]",
    "\t=1",
]


def test_no_cell_is_a_formula_and_names_come_back(tmp_path):
    run = Run(tmp_path)
    table = pd.DataFrame({"animal": NAMES, "value": -0.5, "reason": NAMES[::-1]})
    write_table(run.table_path("scores"), table)
    text = run.table_path("scores").read_text("utf-8")
    for cell in (cell for row in csv.reader(text.splitlines()) for cell in row):
        assert cell[:1] not in "=@" or not cell
        assert cell[:1] not in ("+", "-") or float(cell) == -0.5
    pd.testing.assert_frame_equal(run.read_table("scores").astype(object), table.astype(object))


@given(st.lists(st.text(alphabet="'=+-@ax1\t", max_size=6), min_size=1, max_size=20))
def test_any_name_comes_back(tmp_path_factory, names):
    path = tmp_path_factory.getbasetemp() / "names.csv"
    write_table(path, pd.DataFrame({"animal": names, "n": 1}))
    assert list(read_csv(path)["animal"]) == names


def test_rows_of_text_are_no_formulas_either(tmp_path):
    write_rows(tmp_path / "rows.csv", [{"animal": "=1", "loss": -1.0, "none": None}])
    assert (tmp_path / "rows.csv").read_text("utf-8") == "animal,loss,none\n'=1,-1.0,\n"
