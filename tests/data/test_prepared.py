"""Tests."""

import errno
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.catalogue import Recording
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.movies.statistics import measure_movie, save_statistics
from corticode.data.prepared import (
    PreparedSessions,
    StoredStatistics,
    attach_movies,
    check_movies,
    is_stored,
    load_sessions,
    prepare_movies,
    prepare_sessions,
    shared_regions,
    stand_in_movies,
    store_movies,
    store_sessions,
)
from corticode.data.preprocess import Preprocessing
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.session import Session, read_session
from corticode.decode.movie_batches import MovieFrames
from corticode.errors import DataError, Finding, RunError

NAN = np.nan
Z_SCORE = Preprocessing(detrend_frames=5, scale="z-score")
PLAIN = PixelPreprocessing(scale="sd")


def normalised_frames(movie, rows):
    """Some frames of a movie as a decoder reads them."""
    frames, which = MovieFrames([movie]), np.arange(rows.start, rows.stop)
    return frames.normalise(which, frames.read(which)).numpy()


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


def test_sessions_end_to_end_by_hand():
    traces = np.arange(16.0).reshape(8, 2)
    traces[2, 1] = NAN
    first = make_session(regions="ab", traces=traces, segment=np.repeat([0, 1], 4).astype(np.int32))
    second = make_session("m2", "b", regions="ba", n_frames=3, traces=np.arange(6.0).reshape(3, 2))
    prepared = prepare_sessions([first, second])
    assert prepared.traces.dtype == np.float32
    np.testing.assert_array_equal(prepared.traces, np.vstack([traces, [[1, 0], [3, 2], [5, 4]]]))
    assert prepared.first_frame.tolist() == [0, 8, 11]
    assert prepared.segment.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert prepared.valid.tolist() == [True, True, False, *[True] * 8]
    assert prepared.behavior["run"].tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert (prepared.animals, prepared.sessions) == (("m1", "m2"), ("a", "b"))
    assert (prepared.regions, prepared.n_sessions, prepared.rows(1)) == (
        ("a", "b"),
        2,
        slice(8, 11),
    )


def test_only_shared_regions_decide_which_frames_are_valid():
    traces = np.random.default_rng(0).random((8, 3))
    traces[4, 2] = NAN
    prepared = prepare_sessions([make_session(traces=traces), make_session("m2", "b", "ab")])
    assert prepared.valid.all()


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=4))
def test_runs_change_at_each_gap_and_session(changes):
    sessions = [
        make_session(
            session=chr(97 + k), n_frames=len(steps), segment=np.cumsum(steps).astype(np.int32)
        )
        for k, steps in enumerate(changes)
    ]
    try:
        prepared = prepare_sessions(sessions)
    except DataError:  # one frame each: nothing varies
        assert all(len(steps) == 1 for steps in changes)
        return
    expected = [step > 0 or k == 0 for steps in changes for k, step in enumerate(steps)][1:]
    assert (np.diff(prepared.segment) > 0).tolist() == expected


def test_regions_missing_in_an_animal_are_left_out():
    sessions = [make_session(), make_session("m2", "b", "ca"), make_session("m2", "c", "ad")]
    regions, findings = shared_regions(sessions)
    assert regions == ("a",)
    assert [(f.item, f.animal, f.count) for f in findings] == [
        ("b", "m2", 2),
        ("c", "m2", 1),
        ("d", "", 2),
    ]
    assert findings[0].reason == (
        "is missing in 2 of 3 sessions (m2) and left out of all that are decoded together"
    )
    with pytest.raises(DataError, match=r"no region is common to all 2 sessions \(m1/a: 3, m2/b"):
        shared_regions([make_session(), make_session("m2", "b", "xy")])


def test_flat_regions_enter_as_zero():
    traces = np.random.default_rng(0).random((8, 3))
    traces[:, 1] = 7
    prepared = prepare_sessions([make_session(traces=traces), make_session("m2", "b")], Z_SCORE)
    assert (prepared.traces[:8, 1] == 0).all()
    assert [str(f) for f in prepared.findings] == [
        "animal 'm1', session 'a', region 'b': is flat and enters as 0"
    ]
    flat = make_session(traces=np.full((8, 3), 7))
    with pytest.raises(DataError, match="no region varies in any of the 2 sessions; check that"):
        prepare_sessions([flat, replace(flat, session="b")])


def test_what_does_not_go_together_is_refused():
    detrended = make_session(history="detrended-1000")
    with pytest.raises(DataError, match=r"m1/a was detrended before it was read \(detrended-1000"):
        prepare_sessions([detrended], Z_SCORE)
    assert prepare_sessions([detrended], Preprocessing()).n_sessions == 1
    for rate_hz in (30.0, None):
        with pytest.raises(DataError, match=r"frame rates differ \(m1/a 20.0, m2/b .*resample_hz"):
            prepare_sessions([make_session(), make_session("m2", "b", frame_rate_hz=rate_hz)])
    # As measured by two clocks.
    both = [make_session(), make_session("m2", "b", frame_rate_hz=20.0003)]
    assert prepare_sessions(both).frame_rate_hz == 20.0
    with pytest.raises(DataError, match=r"m1/a has no traces; .*'corticode extract', or .*'movie'"):
        prepare_sessions([make_session(traces=None, regions=())])
    with pytest.raises(DataError, match="no sessions were given"):
        prepare_sessions([])
    text = make_session("m2", "b", behavior={"run": np.array(["no"] * 8)})
    with pytest.raises(DataError, match=r"'run' holds numbers in session m1/a and text in .*m2/b"):
        prepare_sessions([make_session(), text])


SESSIONS = [
    make_session("m1", "a", segment=np.array([0, 0, 0, 1, 1, 3, 3, 3], np.int32)),
    make_session("m1", "b", n_frames=5, findings=(Finding("frames", "odd", "m1", "b"),)),
    make_session("m2", "c"),
]


def assert_same(first: PreparedSessions, second: PreparedSessions):
    for name in ("traces", "first_frame", "segment", "valid"):
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
    for array in (loaded.traces, loaded.segment, loaded.valid, *loaded.behavior.values()):
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

    monkeypatch.setattr("corticode.data.prepared.write_with", killed)
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
    with pytest.raises(RunError, match=r"missing, or not as written: run\.npy"):
        load_sessions(tmp_path)
    assert not is_stored(tmp_path, "key")
    described = json.loads((tmp_path / "prepared.json").read_text())
    del described["files"]  # as older versions left it
    (tmp_path / "prepared.json").write_text(json.dumps(described))
    with pytest.raises(RunError, match="its arrays do not all hold 21 frames and 3 regions"):
        load_sessions(tmp_path)
    store_sessions(tmp_path, SESSIONS, Z_SCORE, "key")
    assert is_stored(tmp_path, "key")
    assert not is_stored(tmp_path, "another")
    described = json.loads((tmp_path / "prepared.json").read_text())
    described["sessions"] = described["sessions"][:2]
    (tmp_path / "prepared.json").write_text(json.dumps(described))
    with pytest.raises(RunError, match="it does not hold 2 sessions"):
        load_sessions(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"[", b"{" * 100_000, b"\x93NUMPY\x01\x00\x08\x00{'a': (\n"]
)
@pytest.mark.parametrize("name", ["prepared.json", "run.npy", "traces.npy"])
def test_whatever_a_file_holds_it_is_one_error(tmp_path, name, content):
    store_sessions(tmp_path, SESSIONS, Z_SCORE, "key")
    described = json.loads((tmp_path / "prepared.json").read_text())
    del described["files"]  # as older versions left it
    (tmp_path / "prepared.json").write_text(json.dumps(described))
    (tmp_path / name).write_bytes(content)
    assert not is_stored(tmp_path, "key")
    with pytest.raises(RunError, match="delete the folder and run the same command again"):
        load_sessions(tmp_path)


def session(animal="m1", *, n_frames=20, shape=(6, 5), seed=0, rate=10.0, **more):
    movie = np.random.default_rng(seed).integers(90, 200, (n_frames, *shape)).astype(np.uint16)
    run = (np.arange(n_frames) % 4 > 1).astype(float)
    return Session(
        animal, "a", None, (), {"run": run}, np.zeros(n_frames, np.int32), rate, movie, **more
    )


class TestPrepared:
    def test_frames_are_normalised_by_their_own_session(self):
        sessions = [session("m1"), session("m2", n_frames=15, seed=1)]
        prepared = prepare_movies(sessions, PLAIN)
        assert prepared.image_shape == (6, 5)
        assert prepared.traces.shape == (35, 0)
        assert prepared.first_frame.tolist() == [0, 20, 35]
        for movie, own in zip(prepared.movies, sessions, strict=True):
            raw = own.movie.astype(np.float64)
            expected = (raw - raw.mean(axis=0)) / raw.std()
            found = normalised_frames(movie, slice(0, own.n_frames))
            np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_frames_with_nan_are_not_valid(self):
        given = session()
        movie = given.movie.astype(np.float32)
        movie[7, 2, 2] = np.nan
        prepared = prepare_movies([replace(given, movie=movie)], PLAIN)
        assert np.flatnonzero(~prepared.valid).tolist() == [7]

    def test_a_stand_in_reads_no_movie(self):
        class Unread(np.ndarray):
            def __getitem__(self, _):
                raise AssertionError("read")

        given = session()
        unread = replace(given, movie=given.movie.view(Unread))
        assert stand_in_movies([unread], PLAIN).n_sessions == 1


class TestRefused:
    def test_no_sessions(self):
        with pytest.raises(DataError, match="no sessions"):
            check_movies([], PLAIN)

    def test_no_movie(self):
        with pytest.raises(DataError, match=r"m1/a has no movie; name it in the catalogue"):
            check_movies([replace(session(), movie=None)], PLAIN)

    def test_frames_of_two_sizes(self):
        with pytest.raises(DataError, match=r"different sizes \(m1/a 6 x 5, m2/a 6 x 4\)"):
            check_movies([session(), session("m2", shape=(6, 4))], PLAIN)

    def test_two_frame_rates(self):
        with pytest.raises(DataError, match="frame rates of movies differ"):
            check_movies([session(), session("m2", rate=20.0)], PLAIN)

    def test_no_reference(self):
        pixels = PixelPreprocessing(correction="reference-regression")
        with pytest.raises(DataError, match="m1/a has no reference channel; give channels"):
            check_movies([session()], pixels)

    def test_pixels_that_never_change(self):
        still = replace(session(), movie=np.full((20, 6, 5), 9, np.uint8))
        with pytest.raises(DataError, match=r"session m1/a: no pixel of the movie ever changes"):
            prepare_movies([still], PLAIN)


class TestStored:
    @pytest.fixture
    def recording(self, tmp_path):
        np.save(tmp_path / "movie.npy", session(n_frames=22).movie)
        (tmp_path / "run.csv").write_text("run\n" + "\n".join("0101" * 5) + "\n", "utf-8")
        return Recording(
            "m1",
            "a",
            behavior=ArrayLocation(tmp_path / "run.csv"),
            movie=ArrayLocation(tmp_path / "movie.npy"),
        )

    def test_movies_are_opened_again_as_they_were(self, recording, tmp_path):
        given = read_session(recording, trim_frames=2)
        stored = [StoredStatistics(recording, tmp_path / "movie.npz", "key")]
        before = prepare_movies([given], PLAIN, stored)
        store_movies(tmp_path / "prepared", before, "key")
        again = attach_movies(load_sessions(tmp_path / "prepared"), stored)
        assert again.pixels == PLAIN
        assert again.image_shape == (6, 5)
        rows = slice(0, 20)
        assert len(again.movies[0].frames) == 20
        np.testing.assert_array_equal(
            normalised_frames(again.movies[0], rows), normalised_frames(before.movies[0], rows)
        )

    def test_statistics_of_other_content_are_taken_again_and_said_so(self, recording, tmp_path):
        given = read_session(recording, trim_frames=2)
        path = tmp_path / "movie.npz"
        save_statistics(path, measure_movie(given.movie + 9), "old")
        stored = [StoredStatistics(recording, path, "new")]
        prepared = prepare_movies([given], PLAIN, stored)
        assert any("changed since" in finding.reason for finding in prepared.findings)
        again = prepare_movies([given], PLAIN, stored)
        assert not any("changed since" in finding.reason for finding in again.findings)
        np.testing.assert_array_equal(again.movies[0].offset, prepared.movies[0].offset)

    def test_statistics_that_are_gone_are_an_error(self, recording, tmp_path):
        given = read_session(recording, trim_frames=2)
        stored = [StoredStatistics(recording, tmp_path / "movie.npz", "key")]
        store_movies(tmp_path / "prepared", prepare_movies([given], PLAIN, stored), "key")
        stored[0].path.unlink()
        with pytest.raises(RunError, match="run the same command again"):
            attach_movies(load_sessions(tmp_path / "prepared"), stored)


def test_one_region_in_two_spellings_is_refused(simulate):
    """It would be left out of all sessions, under both names."""
    one, other = simulate("m1"), simulate("m2")
    named = [
        replace(one, regions=("V1", "FLa", "M2")),
        replace(other, regions=("V1", "fl a", "M2")),
    ]
    with pytest.raises(DataError, match=r"region 'FLa' of session m1/a is 'fl a' in session m2/a"):
        shared_regions(named)
    # Two regions of one session may be called so.
    both = [replace(one, regions=("V1", "S1", "s1")), replace(other, regions=("V1", "S1", "M1"))]
    assert shared_regions(both)[0] == ("V1", "S1")
