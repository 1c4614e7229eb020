import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corticode.data.bouts import (
    bouts,
    count_bouts,
    replace_short_runs,
    stretches,
    without_transitions,
)

NAN = np.nan


def test_stretches_by_hand():
    finite = np.array([True, True, False, True, True])
    assert stretches(finite).tolist() == [0, 0, 1, 2, 2]
    assert stretches(finite, np.array([1, 1, 1, 1, 2])).tolist() == [0, 0, 1, 2, 3]


def test_short_runs_by_hand():
    state = np.array([1.0, 0, 1, 1, 0, 0])
    stretch = np.zeros(6, int)
    assert replace_short_runs(state, stretch, 0, 2).tolist() == [1, 1, 1, 1, 0, 0]
    assert replace_short_runs(state, stretch, 1, 2).tolist() == [0, 0, 1, 1, 0, 0]
    assert replace_short_runs(state, stretch, 1, 1) is state


def test_transitions_by_hand():
    np.testing.assert_array_equal(
        without_transitions(np.array([0.0, 0, 0, 1, 1, 1]), 1), [0, 0, NAN, NAN, 1, 1]
    )


def test_bouts_by_hand():
    values = np.array([1, 1, 0, NAN, NAN, 0, 0, 1], np.float32)
    start, stop, value = bouts(values)
    assert (start.tolist(), stop.tolist()) == ([0, 2, 5, 7], [2, 3, 7, 8])
    assert value.tolist() == [1, 0, 0, 1]
    segment = np.array([1, 2, 2, 2, 2, 2, 3, 3])
    assert bouts(values, segment)[0].tolist() == [0, 1, 2, 5, 6, 7]
    assert (count_bouts(values, 1), count_bouts(values, 1, segment)) == (2, 3)
    assert count_bouts(np.zeros(0), 1) == 0


@given(hnp.arrays(np.float64, st.integers(0, 40), elements=st.sampled_from([0.0, 1.0, 2.0, NAN])))
def test_bouts_rebuild_the_trace(values):
    rebuilt = np.full(len(values), NAN)
    start, stop, value = bouts(values)
    for a, b, held in zip(start, stop, value, strict=True):
        rebuilt[a:b] = held
    np.testing.assert_array_equal(rebuilt, values)
