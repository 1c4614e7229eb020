import numpy as np
import pytest

from corticode.data.movies.drift import DriftSums, drift_at, knot_distance
from corticode.data.preprocess import moving_mean


def means_of(values, knot_frames, valid=None, cuts=()):
    valid = np.ones(len(values), bool) if valid is None else valid
    sums = DriftSums(len(values), values.shape[1:], knot_frames)
    for rows in np.split(np.arange(len(values)), cuts):
        sums.count(rows[0], valid[rows])
        for band in (slice(0, 1), slice(1, 3)):
            sums.add(rows[0], valid[rows], values[rows][valid[rows], band], band)
    return sums.means()


@pytest.fixture
def values():
    return np.cumsum(np.random.default_rng(0).normal(size=(230, 3, 2)), axis=0)


def test_knots_are_those_of_a_moving_mean(values):
    means = means_of(values, 10)
    flat = values.reshape(230, -1)
    exact = np.column_stack([moving_mean(trace, 40) for trace in flat.T])
    # A centred mean of even length holds one frame more before than after.
    np.testing.assert_allclose(means.reshape(24, -1)[:-1], exact[::10], atol=1e-12)


def test_however_frames_come(values):
    expected = means_of(values, 10)
    for cuts in ([1], [7, 64, 65, 200], [229]):
        np.testing.assert_allclose(means_of(values, 10, cuts=cuts), expected, atol=1e-12)


def test_frames_that_are_not_valid_are_left_out(values):
    valid = np.ones(230, bool)
    valid[3:8] = valid[100:190] = False
    spoilt = values.copy()
    spoilt[~valid] = 1e9
    means = means_of(spoilt, 10, valid, cuts=[64])
    np.testing.assert_allclose(means[0], values[[0, 1, 2, *range(8, 20)]].mean(axis=0))
    # No frame within two blocks: the mean of all that are valid.
    np.testing.assert_allclose(means[14], values[valid].mean(axis=0))


def test_between_knots_is_a_line():
    means = np.array([[1.0], [3.0], [-1.0]], np.float32)
    found = drift_at(means, np.array([0, 3, 4, 7]), 4).ravel()
    np.testing.assert_allclose(found, [1.0, 2.5, 3.0, 0.0])


def test_knots_are_never_nearer_than_a_frame():
    assert [knot_distance(n) for n in (1, 4, 999, 1001)] == [1, 1, 250, 250]
