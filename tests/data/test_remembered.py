import json
import os
import time

import numpy as np
import pytest

from corticode.data import files
from corticode.data.files import SMALL_BYTES, cache_folder, fingerprint, remember


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own, and nothing known in this process."""
    monkeypatch.setenv("CORTICODE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "_in_this_process", {})
    return tmp_path / "cache"


@pytest.fixture
def recording(tmp_path):
    """A file of 3.6 MB, as of 18,000 frames of 50 regions, written a while ago."""
    path = tmp_path / "traces.npy"
    np.save(path, np.random.default_rng(0).normal(size=(18_000, 50)).astype(np.float32))
    settle(path)
    return path


def settle(path):
    """Wait until the last change is old enough to be told from the next."""
    while time.time_ns() - path.stat().st_ctime_ns <= files.SETTLED_NS:
        time.sleep(0.01)


class Learner:
    def __init__(self):
        self.n = 0

    def __call__(self):
        self.n += 1
        return {"found": self.n}


def test_a_file_is_read_once(cache, recording, monkeypatch):
    learn = Learner()
    for _ in range(3):
        assert remember(recording, "what", learn) == {"found": 1}
    monkeypatch.setattr(files, "_in_this_process", {})  # as in another process
    assert remember(recording, "what", learn) == {"found": 1}
    assert remember(recording, "something else", learn) == {"found": 2}
    assert len(list(cache.glob("files/*.json"))) == 2


def test_small_files_are_read_again(cache, tmp_path):
    (tmp_path / "a").write_bytes(bytes(SMALL_BYTES))
    settle(tmp_path / "a")
    learn = Learner()
    assert [remember(tmp_path / "a", "what", learn)["found"] for _ in range(2)] == [1, 2]
    assert not cache.exists()


def correct(path, frame=40):
    traces = np.load(path, mmap_mode="r+")
    traces[frame] = -1
    traces.flush()


def replace_by_a_copy(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.with_suffix(".new").write_bytes(content)
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("change", [correct, replace_by_a_copy])
def test_a_change_is_noticed_though_the_time_is_set_back(cache, recording, change):
    before, then = fingerprint(recording), recording.stat()
    assert fingerprint(recording) == before
    assert list(cache.glob("files/*.json"))
    change(recording)
    os.utime(recording, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert recording.stat().st_mtime_ns == then.st_mtime_ns
    assert fingerprint(recording) != before


def test_what_was_just_written_is_not_believed(cache, recording):
    content = recording.read_bytes()
    for k in range(20):  # within one tick of the clock of a file system, mostly
        recording.write_bytes(bytes([k]) + content[1:])
        assert remember(recording, "first byte", lambda: recording.read_bytes()[0]) == k


def test_what_changes_while_it_is_read_is_not_kept(cache, recording):
    def learn():
        correct(recording)
        return 1

    assert remember(recording, "what", learn) == 1
    assert not cache.exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "null", '{"path": 1}', "[" * 100_000, b"\xff\xfe"]
)
def test_a_damaged_cache_is_not_believed(cache, recording, monkeypatch, content):
    assert remember(recording, "what", lambda: 1) == 1
    (kept,) = cache.glob("files/*.json")
    kept.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setattr(files, "_in_this_process", {})
    assert remember(recording, "what", lambda: 2) == 2


def test_another_file_in_the_place_of_what_was_kept(cache, recording, monkeypatch):
    remember(recording, "what", lambda: 1)
    (kept,) = cache.glob("files/*.json")
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"path": "elsewhere"}))
    monkeypatch.setattr(files, "_in_this_process", {})
    assert remember(recording, "what", lambda: 2) == 2


def test_a_folder_that_cannot_be_written(recording, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CORTICODE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(files, "_in_this_process", {})
    learn = Learner()
    assert [remember(recording, "what", learn)["found"] for _ in range(2)] == [1, 1]


def test_the_same_the_first_time_as_later(cache, recording):
    assert [remember(recording, "pair", lambda: (1, 2)) for _ in range(2)] == [[1, 2], [1, 2]]


def test_where_it_is_kept(monkeypatch, tmp_path):
    monkeypatch.delenv("CORTICODE_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "corticode"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "corticode"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "corticode"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "corticode"
