import errno
import json
import os
from dataclasses import replace

import numpy as np
import pytest

from corticode.data.prepared import PreparedSessions, prepare_sessions
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.store import is_stored, load_sessions, store_sessions
from corticode.errors import DataError, Finding, RunError

NAN = np.nan
Z_SCORE = Preprocessing(detrend_frames=5, scale="z-score")


def make_session(animal="m1", session="a", regions="abc", n_frames=8, **others):
    rng = np.random.default_rng(ord(session))
    contents = {
        "traces": rng.random((n_frames, len(regions))),
        "regions": tuple(regions),
        "behavior": {
            "run": np.arange(n_frames) % 2,
            "act": np.array(["rest", "walk"])[np.arange(n_frames) % 2],
        },
        "segment": np.zeros(n_frames, np.int32),
        "frame_rate_hz": 20.0,
    }
    return Session(animal, session, **{**contents, **others})


SESSIONS = [
    make_session("m1", "a", segment=np.array([0, 0, 0, 1, 1, 3, 3, 3], np.int32)),
    make_session("m1", "b", n_frames=5, findings=(Finding("frames", "odd", "m1", "b"),)),
    make_session("m2", "c"),
]


def assert_same(first: PreparedSessions, second: PreparedSessions):
    for name in ("traces", "first_frame", "run", "valid"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert getattr(first, name).dtype == getattr(second, name).dtype
    assert first.behavior.keys() == second.behavior.keys()
    for name, values in first.behavior.items():
        np.testing.assert_array_equal(values, second.behavior[name])
    for name in (
        "animals",
        "sessions",
        "regions",
        "preprocessing",
        "frame_rate_hz",
        "findings",
    ):
        assert getattr(first, name) == getattr(second, name)


@pytest.mark.parametrize("preprocessing", [Z_SCORE, Preprocessing(scale="none")])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_stored_is_what_is_prepared(tmp_path, preprocessing, order):
    sessions = [replace(s, traces=np.array(s.traces, order=order)) for s in SESSIONS]
    store_sessions(tmp_path / "deep" / "p", sessions, preprocessing, "key")
    loaded = load_sessions(tmp_path / "deep" / "p")
    assert_same(loaded, prepare_sessions(sessions, preprocessing))
    for array in (loaded.traces, loaded.run, loaded.valid, *loaded.behavior.values()):
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
    assert loaded.findings[0].reason == "odd"


def test_a_key_says_whether_it_is_stored(tmp_path):
    assert not is_stored(tmp_path, "key")
    store_sessions(tmp_path, SESSIONS, Z_SCORE, "key")
    assert is_stored(tmp_path, "key")
    assert not is_stored(tmp_path, "other")
    for text in ("{", "[]", "{}", "null"):
        (tmp_path / "prepared.json").write_text(text)
        assert not is_stored(tmp_path, "key")


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    store_sessions(tmp_path, SESSIONS, Z_SCORE, "old")
    before = snapshot(tmp_path)

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(RunError, match=r"traces.npy: No space left on device; free some space"):
            store_sessions(tmp_path, SESSIONS[:1], Preprocessing(), "new")
    after = snapshot(tmp_path)
    # Whatever else happened, no description stands beside arrays that are not its own.
    assert not is_stored(tmp_path, "new")
    assert {name: before[name] for name in after} == after
    store_sessions(tmp_path, SESSIONS[:1], Preprocessing(), "new")
    assert is_stored(tmp_path, "new")
    assert load_sessions(tmp_path).n_sessions == 1


def test_a_refusal_halfway_leaves_no_file(tmp_path):
    flat = make_session(traces=np.full((8, 3), 7))
    with pytest.raises(DataError, match="no region varies"):
        store_sessions(tmp_path / "p", [flat], Preprocessing(), "key")
    assert list((tmp_path / "p").iterdir()) == []


def test_a_killed_rewrite_is_not_taken_for_the_old(tmp_path, monkeypatch):
    store_sessions(tmp_path, SESSIONS, Z_SCORE, "old")

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("corticode.data.store.write_with", killed)
    with pytest.raises(KeyboardInterrupt):
        store_sessions(tmp_path, SESSIONS, Preprocessing(), "new")
    assert not is_stored(tmp_path, "old")
    assert not is_stored(tmp_path, "new")


@pytest.mark.parametrize("name", ["traces.npy", "run.npy", "behavior-0.npy", "prepared.json"])
@pytest.mark.parametrize("n_bytes", [0, 10, 150, None])
def test_damaged_folders(tmp_path, name, n_bytes):
    store_sessions(tmp_path, SESSIONS, Z_SCORE, "key")
    content = (tmp_path / name).read_bytes()
    if n_bytes is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content[:n_bytes])
    with pytest.raises(RunError, match=r"cannot be read .*; delete the folder and run the same"):
        load_sessions(tmp_path)


def test_arrays_that_do_not_belong_together(tmp_path):
    store_sessions(tmp_path, SESSIONS, Z_SCORE, "key")
    np.save(tmp_path / "run.npy", np.zeros(3, np.int32))
    with pytest.raises(RunError, match="its arrays do not all hold 21 frames and 3 regions"):
        load_sessions(tmp_path)
    store_sessions(tmp_path, SESSIONS, Z_SCORE, "key")
    described = json.loads((tmp_path / "prepared.json").read_text())
    described["sessions"] = described["sessions"][:2]
    (tmp_path / "prepared.json").write_text(json.dumps(described))
    with pytest.raises(RunError, match="it does not hold 2 sessions"):
        load_sessions(tmp_path)
