import numpy as np
import pytest

from corticode.data.preprocessing.dff import (
    Baseline,
    MeanSums,
    RunningF0,
    check_dark,
    dff,
    f0_course,
    fit_f0,
    without_dark,
)
from corticode.errors import DataError, StudyError

COUNTS = np.random.default_rng(0).integers(900, 1100, (60, 3, 4)).astype(np.float64)


@pytest.mark.parametrize(
    ("baseline", "right"),
    [
        (Baseline("mean"), 4.0),
        (Baseline("median"), 3.0),
        (Baseline("percentile", percentile=25), 2.0),
    ],
)
def test_f0_by_hand(baseline, right):
    values = np.array([1.0, 2.0, 3.0, 5.0, 9.0])
    holed = np.append(values, np.nan)
    assert fit_f0(values[:, None], baseline).tolist() == [right]
    assert fit_f0(holed[:, None], baseline).tolist() == [right]
    # Of given frames alone.
    more = np.append(values, 1e6)[:, None]
    assert fit_f0(more, baseline, frames=np.arange(6) < 5).tolist() == [right]


def test_f0_of_blocks_is_that_of_the_whole():
    sums = MeanSums()
    holed = COUNTS.copy()
    holed[7, 1, 2] = np.nan
    for first in range(0, 60, 25):
        sums.add(holed[first : first + 25])
    np.testing.assert_allclose(sums.mean(), np.nanmean(holed, axis=0))
    with pytest.raises(DataError, match="no frame"):
        MeanSums().mean()


def test_a_band_at_a_time_gives_the_same(monkeypatch):
    whole = fit_f0(COUNTS, Baseline("median"))
    monkeypatch.setattr("corticode.data.preprocessing.dff.BAND_VALUES", 150)
    np.testing.assert_array_equal(fit_f0(COUNTS, Baseline("median")), whole)


def test_running_f0_frame_by_frame_is_that_of_the_batch():
    baseline = Baseline("running", window_frames=7, causal=True)
    counts = COUNTS.copy()
    counts[20, 0, 0] = np.nan
    batch, stream = f0_course(counts, baseline), RunningF0(7)
    by_frame = np.concatenate([stream.take(counts[k : k + 1]) for k in range(60)])
    np.testing.assert_allclose(by_frame, batch, rtol=1e-12)
    blocks = RunningF0(7)
    by_block = np.concatenate([blocks.take(counts[k : k + 13]) for k in range(0, 60, 13)])
    np.testing.assert_allclose(by_block, batch, rtol=1e-12)
    np.testing.assert_allclose(batch[30], counts[24:31].mean(axis=0))


def test_centred_running_f0():
    course = f0_course(COUNTS, Baseline("running", window_frames=5))
    np.testing.assert_allclose(course[30], COUNTS[28:33].mean(axis=0))


def test_trial_f0_is_of_the_frames_before_the_latest_event():
    course = f0_course(COUNTS, Baseline("trial", before_frames=4), events=np.array([2, 10, 40]))
    assert np.isnan(course[:10]).all()  # the first event has too few frames before it
    np.testing.assert_allclose(course[10], COUNTS[6:10].mean(axis=0))
    np.testing.assert_array_equal(course[39], course[10])
    np.testing.assert_allclose(course[59], COUNTS[36:40].mean(axis=0))


def test_f0_of_0_or_less_is_masked():
    values = np.array([[2.0, 0.0, -3.0], [4.0, 0.0, 1.0]])
    f0 = fit_f0(values, Baseline("mean"))
    np.testing.assert_array_equal(f0, [3.0, np.nan, np.nan])
    change = dff(values, f0)
    np.testing.assert_allclose(change[:, 0], [-1 / 3, 1 / 3], rtol=1e-6)
    assert np.isnan(change[:, 1:]).all()
    assert np.isnan(f0_course(values, Baseline("running", window_frames=1))[:, 1]).all()


def test_dff_of_a_course_and_of_missing_samples():
    values = np.array([[110.0, np.nan], [220.0, 100.0]])
    change = dff(values, np.array([[100.0, 100.0], [200.0, 50.0]]))
    np.testing.assert_allclose(change, [[0.1, np.nan], [0.1, 1.0]], rtol=1e-6)
    assert change.dtype == np.float32


def test_dark_and_saturated_samples():
    frames = np.array([[[100, 65_535]], [[90, 4000]]], np.uint16)
    dark = np.array([[95.0, 100.0]])
    above = without_dark(frames, dark, saturated_at=65_535)
    np.testing.assert_array_equal(above, [[[5, np.nan]], [[-5, 3900]]])
    assert frames[0, 0, 1] == 65_535


@pytest.mark.parametrize(
    ("dark", "words"),
    [
        (1200.0, r"median 1200\) is not below the movie \(median 1000\)"),
        (np.full((2, 2), 1200.0), "median 1200"),
        (np.zeros((3, 2)), r"\(3, 2\) and the movie's frames \(2, 2\)"),
        (-1.0, "below 0"),
        (np.nan, "not finite"),
    ],
)
def test_a_dark_level_that_cannot_be_one_is_refused(dark, words):
    with pytest.raises(DataError, match=words):
        check_dark(dark, np.full((2, 2), 1000.0))


def test_a_few_pixels_darker_than_dark_are_no_error():
    check_dark(100.0, np.array([[90.0, 1000.0, 1000.0]]))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "mode"}, "'mode'.*mean, median"),
        ({"kind": "percentile", "percentile": 120.0}, "120"),
        ({"kind": "running"}, "needs window_frames"),
        ({"kind": "trial", "before_frames": 0}, "needs before_frames.*it is 0"),
    ],
)
def test_a_baseline_that_cannot_be_is_refused(settings, words):
    with pytest.raises(StudyError, match=words):
        Baseline(**settings)


def test_what_was_not_given_is_refused():
    trial = Baseline("trial", before_frames=10)
    with pytest.raises(StudyError, match="needs events"):
        f0_course(COUNTS, trial)
    with pytest.raises(DataError, match=r"no event has 10 frames before it .*frame 9"):
        f0_course(COUNTS, trial, events=np.array([3, 9]))
    with pytest.raises(DataError, match=r"from frame 30 to 60.*60 frames"):
        f0_course(COUNTS, trial, events=np.array([30, 60]))
    with pytest.raises(DataError, match="no frame"):
        fit_f0(COUNTS, Baseline(), frames=np.zeros(60, bool))
    with pytest.raises(StudyError, match="ask f0_course"):
        fit_f0(COUNTS, trial)
    with pytest.raises(StudyError, match="ask fit_f0"):
        f0_course(COUNTS, Baseline("median"))


def test_how_far_ahead_f0_looks():
    assert Baseline("mean").look_ahead_frames("session") == np.inf
    assert Baseline("median").look_ahead_frames("warm-up") == 0
    assert Baseline("running", window_frames=7).look_ahead_frames("session") == 3
    assert Baseline("running", window_frames=7, causal=True).look_ahead_frames("session") == 0
    assert Baseline("trial", before_frames=7).look_ahead_frames("session") == 0
