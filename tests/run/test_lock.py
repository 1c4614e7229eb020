"""One run at a time in a folder."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from filelock import FileLock

from corticode.errors import RunError
from corticode.run.lock import HOLDER, LOCK, hold_folder, remove_unfinished

HOLD = """
import sys
from pathlib import Path
from corticode.run.lock import hold_folder
with hold_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


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
    (tmp_path / "fits" / ".done.json.abc.part").write_text("half")
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
    (tmp_path / ".x.csv.1.part").write_text("half")
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["my.part"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write in .*file"), hold_folder(tmp_path / "file"):
        pass


def test_a_file_system_without_locks_is_used_unguarded(tmp_path, monkeypatch):
    def refuse(self, **_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with hold_folder(tmp_path):
        assert (tmp_path / HOLDER).is_file()


def test_a_clock_that_is_set_back_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "kept").write_text("")
    with hold_folder(tmp_path):
        os.utime(tmp_path / LOCK, (time.time() + 1e6, time.time() + 1e6))
    with hold_folder(tmp_path):
        pass
