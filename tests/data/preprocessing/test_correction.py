import numpy as np
import pytest

from corticode.data.preprocessing.blood import BloodFit, correct_blood, filter_channels
from corticode.data.preprocessing.correction import (
    ODD_SLOPES,
    CorrectionSums,
    check_correction,
    odd_slopes,
    sustained_running,
)
from corticode.errors import DataError

FIT = BloodFit("regression", np.array([[1.3, 1.3], [0.0, 0.0]]), "training")


def channels(n_frames=500):
    rng = np.random.default_rng(0)
    v = 0.01 * rng.normal(size=(n_frames, 2))
    return 1.3 * v + 0.02 * rng.normal(size=v.shape) + 0.1, v


def test_is_what_numpy_finds_on_the_whole():
    b, v = channels()
    b[3, 0] = np.nan
    corrected = correct_blood(FIT, b, v)
    sums = CorrectionSums()
    for first in range(0, 500, 130):
        rows = slice(first, first + 130)
        sums.add(b[rows], v[rows], corrected[rows])
    done = sums.summary(FIT)
    known = np.arange(500) != 3
    for column in (0, 1):
        x, y, z = (a[known | (column == 1), column] for a in (b, v, corrected))
        np.testing.assert_allclose(done.correlation_before[column], np.corrcoef(x, y)[0, 1])
        np.testing.assert_allclose(done.correlation_after[column], np.corrcoef(z, y)[0, 1])
        np.testing.assert_allclose(done.variance_taken[column], 1 - z.var() / x.var())
    np.testing.assert_array_equal(done.slope, [1.3, 1.3])
    assert (done.odd_slopes, done.fitted_on, done.is_transductive) == (0, "training", False)
    assert check_correction(done) == []


def test_a_flat_reference_and_a_masked_pixel_have_no_correlation():
    b, v = channels()
    v[:, 0], b[:, 1] = 0, np.nan
    sums = CorrectionSums()
    sums.add(b, v, b - v)
    done = sums.summary(BloodFit("ratio", np.zeros((0, 2)), "session"))
    assert np.isnan(done.correlation_before).all()
    np.testing.assert_allclose(done.variance_taken[0], 0, atol=1e-12)
    assert np.isnan(done.variance_taken[1])
    assert np.isnan(done.slope).all() and done.odd_slopes == 0


def test_slopes_outside_0_to_5_are_a_warning():
    slope = np.ones(100)
    slope[:5] = -1
    assert odd_slopes(slope) == 0.05
    b, v = np.random.default_rng(0).normal(size=(2, 20, 100))
    for n_odd, n_findings in ((5, 0), (6, 1)):
        slope[:n_odd] = 7
        sums = CorrectionSums()
        sums.add(b, v, b)
        done = sums.summary(BloodFit("regression", np.stack([slope, 0 * slope]), "session"))
        found = check_correction(done, "m1", "a")
        assert len(found) == n_findings
    assert (found[0].code, found[0].count, found[0].animal) == (ODD_SLOPES, 6, "m1")
    assert done.is_transductive


def test_nothing_to_summarise_is_refused():
    with pytest.raises(DataError, match="without a frame"):
        CorrectionSums().summary(FIT)


def test_a_high_pass_takes_sustained_running():
    running = np.tile(np.repeat([False, True], 600), 3)
    trace = running[:, None] * 0.02
    high, _ = filter_channels("wfield", trace, trace, frame_rate_hz=30.0)
    kept = sustained_running(trace[:, 0], high[:, 0], running, 30.0)
    assert kept.n_bouts == 3
    assert kept.difference_kept < 0.2 and kept.variance_kept < 0.3
    same, _ = filter_channels("regression", trace, trace)
    kept = sustained_running(trace[:, 0], same[:, 0], running, 30.0)
    assert (kept.difference_kept, kept.variance_kept) == (1, 1)


def test_without_long_bouts_or_rest_there_is_no_number():
    trace = np.random.default_rng(0).normal(size=200)
    brief = np.arange(200) % 100 < 50
    for running in (brief, np.ones(200, bool)):
        kept = sustained_running(trace, trace, running, 30.0)
        assert np.isnan(kept.difference_kept)
    assert sustained_running(trace, trace, brief, 30.0).n_bouts == 0
