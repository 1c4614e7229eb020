from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.prepared import prepare_sessions, shared_regions
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.errors import DataError

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


def test_sessions_end_to_end_by_hand():
    traces = np.arange(16.0).reshape(8, 2)
    traces[2, 1] = NAN
    first = make_session(regions="ab", traces=traces, segment=np.repeat([0, 1], 4).astype(np.int32))
    second = make_session("m2", "b", regions="ba", n_frames=3, traces=np.arange(6.0).reshape(3, 2))
    prepared = prepare_sessions([first, second])
    assert prepared.traces.dtype == np.float32
    np.testing.assert_array_equal(prepared.traces, np.vstack([traces, [[1, 0], [3, 2], [5, 4]]]))
    assert prepared.first_frame.tolist() == [0, 8, 11]
    assert prepared.run.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
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
    assert (np.diff(prepared.run) > 0).tolist() == expected


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
