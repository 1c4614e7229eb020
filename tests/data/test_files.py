import errno
import hashlib
import os
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.files import (
    BLOCK_BYTES,
    check_output,
    filling,
    fingerprint,
    fingerprints,
    write_bytes,
    write_text,
    write_with,
    writing,
)
from corticode.errors import MissingDataError, RunError


def fail_with(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


def test_files_are_written_whole_and_replaced(tmp_path):
    path = tmp_path / "deep" / "note.txt"
    write_text(path, "Größe\n")
    assert path.read_bytes() == b"Gr\xc3\xb6\xc3\x9fe\n"
    write_bytes(path, b"\x00")
    write_with(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_seen_before_the_end(tmp_path):
    path = tmp_path / "note.txt"
    write_text(path, "old")
    with writing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("function", ["fsync", "mkdir"])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, function):
    path = tmp_path / "note.txt"
    write_text(path, "old")
    target = "os.fsync" if function == "fsync" else "pathlib.Path.mkdir"
    monkeypatch.setattr(target, fail_with(errno.ENOSPC))
    with pytest.raises(
        RunError, match=r"cannot write .*note\.txt: No space left on device; free some space"
    ):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_halfway(tmp_path):
    def write(file):
        file.write(b"half")
        # What numpy raises when tofile falls short: an OSError without a number.
        raise OSError("1000 requested and 10 written")

    with pytest.raises(RunError, match="1000 requested and 10 written; free some space"):
        write_with(tmp_path / "a.npy", write)
    assert list(tmp_path.iterdir()) == []


def test_other_errors_pass_through_and_leave_nothing(tmp_path):
    for error in (ValueError("no number"), MissingDataError("no session 'a'")):
        with pytest.raises(type(error), match=str(error)), writing(tmp_path / "a.txt") as file:
            file.write(b"half")
            raise error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_the_file(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(RunError, match=r"cannot write .*a\.txt: Is a directory"):
        write_text(tmp_path / "a.txt", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_fingerprint_knows_neither_path_nor_time(tmp_path):
    write_bytes(tmp_path / "a.npy", b"content")
    write_bytes(tmp_path / "b" / "c.npy", b"content")
    os.utime(tmp_path / "a.npy", (0, 0))
    assert fingerprint(tmp_path / "a.npy") == fingerprint(tmp_path / "b" / "c.npy")
    assert len(fingerprint(tmp_path / "a.npy")) == 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fingerprints")


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_fingerprint_tells_contents_apart(folder, first, second):
    (folder / "a").write_bytes(first)
    (folder / "b").write_bytes(second)
    assert (fingerprint(folder / "a") == fingerprint(folder / "b")) == (first == second)


def test_every_byte_of_a_long_file_counts(tmp_path):
    path = tmp_path / "movie.bin"
    size = 4 * BLOCK_BYTES + 7
    path.write_bytes(bytes(size))
    blank = fingerprint(path)
    seen = {blank}
    places = (0, BLOCK_BYTES - 1, BLOCK_BYTES, size // 2 + 3, size - 1)
    for place in places:
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"\x01")
        seen.add(fingerprint(path))
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"\x00")
        assert fingerprint(path) == blank
    path.write_bytes(bytes(size + 1))
    seen.add(fingerprint(path))
    assert len(seen) == len(places) + 2


def test_blocks_that_change_places_are_noticed(tmp_path):
    a, b = bytes(BLOCK_BYTES), b"\x01" * BLOCK_BYTES
    (tmp_path / "ab").write_bytes(a + b)
    (tmp_path / "ba").write_bytes(b + a)
    found = fingerprints([tmp_path / "ab", tmp_path / "ba", tmp_path / "ab"])
    assert list(found) == [tmp_path / "ab", tmp_path / "ba"]
    assert len(set(found.values())) == 2


def test_files_up_to_a_mib_keep_the_hash_they_had(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * BLOCK_BYTES)
    content = str(BLOCK_BYTES).encode() + b"x" * BLOCK_BYTES
    assert fingerprint(tmp_path / "a") == hashlib.sha256(content).hexdigest()[:32]


def test_fingerprint_of_nothing(tmp_path):
    with pytest.raises(MissingDataError, match=r"a\.npy does not exist"):
        fingerprint(tmp_path / "a.npy")


def test_a_killed_export_leaves_nothing_for_long(tmp_path):
    """What cannot clean up after itself is removed by the next that fills the same folder."""
    code = (
        "import sys, time; from pathlib import Path; from corticode.data.files import filling\n"
        f"with filling(Path({str(tmp_path / 'out')!r}), '') as folder:\n"
        "    (folder / 'half').write_text('half'); print('ready', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"ready\n"
    others = tmp_path / ".other.abcd1234.part"
    others.mkdir()
    with filling(tmp_path / "out", "") as folder:
        (folder / "whole").write_text("whole")
    in_use = [path for path in tmp_path.iterdir() if path.name.startswith(".out.")]
    assert len(in_use) == 2  # a folder and its lock: the other process lives
    child.kill()
    child.communicate()
    assert not (tmp_path / "out" / "half").exists()
    shutil.rmtree(tmp_path / "out")
    with filling(tmp_path / "out", "") as folder:
        (folder / "whole").write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [others.name, "out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole"]


def test_what_is_read_is_not_written(tmp_path):
    (tmp_path / "a").write_text("mine")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    (tmp_path / "d").write_text("mine")
    for name in ("a", "b", "c"):
        with pytest.raises(RunError, match=rf"--out .*{name} is the file .*a, which is read; "):
            check_output(tmp_path / name, [tmp_path / "none", tmp_path / "a"])
    for name in ("d", "new"):
        check_output(tmp_path / name, [tmp_path / "none", tmp_path / "a"])
