import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.alignment import AlignedArrays
from corticode.data.resample import (
    resample,
    resample_amounts,
    resample_categories,
    spans_gap,
)
from corticode.errors import DataError, StudyError

NAN = np.nan


def aligned(n_frames=6, rate_hz=30.0, segment=None, **behavior):
    traces = np.arange(2 * n_frames, dtype=np.int16).reshape(n_frames, 2)
    segment = np.zeros(n_frames) if segment is None else np.array(segment)
    return AlignedArrays({"traces": traces}, behavior, segment.astype(np.int32), rate_hz)


def test_amounts_over_spans_that_are_not_whole():
    # 1.5 old frames a new one: (0 + 1/2)/1.5, (1/2 + 2)/1.5, (3 + 4/2)/1.5, (4/2 + 5)/1.5
    found = resample_amounts(np.arange(6.0), 1.5, 4)
    np.testing.assert_allclose(found, [1 / 3, 5 / 3, 10 / 3, 14 / 3], rtol=1e-12)


def test_missing_frames_reach_each_span_that_touches_them():
    values = np.array([[0.0, 1], [1, 1], [NAN, 1], [3, 1], [4, 1], [5, np.inf]])
    found = resample_amounts(values, 1.5, 4)
    np.testing.assert_allclose(found[:, 0], [1 / 3, NAN, 10 / 3, 14 / 3])
    np.testing.assert_allclose(found[:, 1], [1, 1, 1, NAN])


def test_categories_from_the_middle():
    acts = np.array(["a", "b", "c", "d", "e", "f"])
    assert resample_categories(acts, 3.0, 2).tolist() == ["b", "e"]
    assert resample_categories(acts, 1.5, 4).tolist() == ["a", "c", "d", "f"]


@given(
    st.integers(1, 60), st.floats(1, 8), st.lists(st.floats(-100, 100), min_size=60, max_size=60)
)
def test_resampling_keeps_the_sum(n_frames, ratio, values):
    amounts = np.array(values[:n_frames])
    n_new = int(n_frames / ratio)
    found = resample_amounts(amounts, ratio, n_new)
    edge = n_new * ratio
    whole = min(int(edge), n_frames)
    expected = amounts[:whole].sum() + (edge - whole) * amounts[min(whole, n_frames - 1)]
    np.testing.assert_allclose(found.sum() * ratio, expected, atol=1e-6)


def test_a_session_by_hand():
    speed = np.array([0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
    run = np.array([0, 0, 0, 1, 1, 1])
    found = resample(aligned(speed=speed, run=run), 15.0, "m1/a")
    assert found.arrays["traces"].tolist() == [[1, 2], [5, 6], [9, 10]]
    assert found.behavior["speed"].tolist() == [1, 3, 5]
    assert found.behavior["run"].tolist() == [0, 1, 1]
    assert (found.frame_rate_hz, found.segment.dtype) == (15.0, np.int32)


def test_new_frames_across_a_gap_hold_no_traces():
    found = resample(aligned(segment=[0, 0, 0, 1, 1, 2]), 15.0, "m1/a")
    assert np.isnan(found.arrays["traces"][:, 0]).tolist() == [False, True, True]
    assert found.segment.tolist() == [0, 1, 2]
    # A gap at the edge of two new frames is crossed by neither.
    assert not spans_gap(np.array([0, 0, 1, 1], np.int32), 2.0, 2).any()


def test_thirty_to_eleven_hz_ends_where_the_session_does():
    found = resample(aligned(3000), 11.0, "m1/a")
    assert found.segment.size == 1100
    assert not np.isnan(found.arrays["traces"]).any()


def test_the_own_rate_changes_nothing_but_the_number():
    session = aligned(rate_hz=19.9996)
    found = resample(session, 20.0, "m1/a")
    assert found.frame_rate_hz == 20.0
    assert found.arrays is session.arrays


@pytest.mark.parametrize(
    ("session", "rate_hz", "error", "message"),
    [
        (aligned(), 31.0, DataError, "m1/a has 30 frames/s; resample_hz = 31 would invent frames"),
        (aligned(rate_hz=None), 10.0, DataError, "has no frame_rate_hz, which resample_hz needs"),
        (aligned(), 0.0, StudyError, "resample_hz is 0; it must be above 0"),
        (aligned(), NAN, StudyError, "resample_hz is nan"),
        (aligned(), 1.0, DataError, "has 6 frames at 30 Hz, less than one at resample_hz = 1"),
        (
            AlignedArrays({"movie": np.zeros((4, 2, 2))}, {}, np.zeros(4, np.int32), 30.0),
            10.0,
            DataError,
            "m1/a holds a movie; resample_hz serves traces alone",
        ),
    ],
)
def test_refusals(session, rate_hz, error, message):
    with pytest.raises(error, match=message):
        resample(session, rate_hz, "m1/a")
