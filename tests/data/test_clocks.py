"""Tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.clocks import (
    AlignmentError,
    Clocks,
    check_clocks,
    check_stated_rate,
    check_times,
    count_dropped,
    covered_frames,
    find_bounces,
    frame_period,
    is_same_rate,
)

NAN = np.nan
FRAMES, BEHAVIOR = np.arange(400) / 10, np.arange(2000) / 50


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.0], r"frame_times has shape \(1,\); it needs one time in seconds"),
        ([[0.0, 1.0]], r"has shape \(1, 2\)"),
        ([0.0, NAN, 1.0], "holds nan at sample 1; give each sample its time"),
        ([np.inf, 0.0], "holds inf at sample 0"),
    ],
)
def test_times_must_rise(times, message):
    with pytest.raises(AlignmentError, match=message):
        check_times(np.array(times), "frame_times")


def test_rising_times_pass():
    check_times(np.array([-1.0, 0.0, 10.0]), "frame_times")


def test_period_by_hand():
    assert frame_period(np.array([0.0, 1.0, 2.0, 5.0, 6.0])) == 1.0
    # Rounded to milliseconds, at 30 Hz, with two gaps.
    times = np.delete(np.round(np.arange(3000) / 30, 3), [5, 6, 900])
    assert abs(1 / frame_period(times) - 30) < 0.01


def test_dropped_frames_by_hand():
    after_gap, n_dropped = count_dropped(np.array([0.0, 1.0, 2.5, 4.1, 9.0]), 1.0)
    assert after_gap.tolist() == [False, False, False, True, True]
    assert n_dropped == 1 + 4


@given(st.sets(st.integers(1, 98)), st.floats(0.01, 1), st.floats(-100, 100))
def test_dropped_frames_are_counted(dropped, period_s, start_s):
    kept = np.array([k for k in range(100) if k not in dropped])
    after_gap, n_dropped = count_dropped(start_s + period_s * kept, period_s)
    assert n_dropped == len(dropped)
    assert np.flatnonzero(after_gap).tolist() == (np.flatnonzero(np.diff(kept) > 1) + 1).tolist()


@pytest.mark.parametrize(
    ("first_hz", "second_hz", "expected"),
    [(20, 20.01, True), (20, 20.1, False), (None, None, True), (None, 20, False)],
)
def test_rates_as_clocks_measure_them(first_hz, second_hz, expected):
    assert is_same_rate(first_hz, second_hz) is expected


def swapped(times, k):
    times = times.copy()
    times[[k, k + 1]] = times[[k + 1, k]]
    return times


EPOCH_S = 1.716e9
DAY_FRACTIONS = 739_000 + FRAMES / 86400


@pytest.mark.parametrize(
    ("times", "cause", "words"),
    [
        (swapped(BEHAVIOR, 100), "swap", "samples 100 and 101 are exchanged (2.02 s before 2 s);"),
        (swapped(swapped(BEHAVIOR, 100), 7), "swap", "and so at 1 other place; put the rows"),
        (swapped(FRAMES, 0), "swap", "samples 0 and 1 are exchanged"),
        (swapped(FRAMES, 398), "swap", "samples 398 and 399 are exchanged"),
        (np.insert(FRAMES, 7, 0.6), "repeated", "samples 6 and 7 are both at 0.6 s: rows written"),
        (np.repeat(FRAMES, 2), "rounded", "400 of 800 samples have the time of the one before"),
        (np.round(np.arange(8000) / 2000, 3), "rounded", "are rounded to 0.001 s; write them"),
        (np.zeros(9), "still", "all samples are at 0 s; give each sample its own time"),
        (np.full(9, 0.3), "still", "all samples are at 0.3 s"),
        (FRAMES[::-1], "backwards", "fall from sample to sample; turn the rows round"),
        (np.tile(FRAMES[:200], 2), "reset", "sample 200 is at 0 s, after 19.9 s: the clock was"),
        (np.tile(FRAMES[:50], 8), "reset", "and so at 6 other places: the clock was set back"),
        (np.r_[5 + FRAMES, 5 + FRAMES], "reset", "sample 400 is at 5 s, after 44.9 s"),
        (np.arange(1000) / 10 % 65.536, "wrap", "after 65.5 s: the clock ran over (a 16-bit count"),
        (np.arange(3000) / 20 % 65.536, "wrap", "and so at 1 other place: the clock ran over"),
        (np.arange(900.0) * 33 % 2**14, "reset", "the clock was set back there; make each part"),
        (np.arange(4000) / 30 % 128, "wrap", "(a FireWire camera's cycle of 128 s); add 128 s"),
        ((86390 + FRAMES) % 86400, "wrap", "(seconds of a day); add 86400 s to all later samples"),
        ((4290 + FRAMES) % (2**32 * 1e-6), "wrap", "(a 32-bit counter of microseconds); add 4294"),
        ((2**31 - 9e5 + 33e3 * np.arange(99)) % 2**31, "wrap", "a 31-bit counter of single steps"),
        (np.r_[0.0, EPOCH_S + FRAMES], "stray", "the first sample is at 0 s, the others run from"),
        (np.r_[3e9, EPOCH_S + FRAMES], "stray", "sample 0 is at 3000000000 s, the others run"),
        (np.r_[FRAMES, 86400.0], "stray", "the last sample is at 86400 s, the others run from 0"),
        (np.r_[FRAMES[:9], 999.0, FRAMES[9:]], "stray", "sample 9 is at 999 s, the others run"),
        (np.r_[FRAMES[:250], FRAMES[248:] + 0.05], "set back", "set back there, by up to 0.15 s;"),
        (
            np.r_[FRAMES[:250], FRAMES[100:]],
            "set back",
            "clock was set back there, by up to 15",
        ),
        (np.r_[FRAMES[200:], FRAMES[:200]], "unsorted", "two parts that were joined in"),
        (np.random.default_rng(0).permutation(FRAMES), "unsorted", "places in all; sort the rows"),
        ((EPOCH_S + FRAMES).astype(np.float32), "float32", "times of the Unix epoch in single pre"),
    ],
)
def test_each_slip_of_a_clock_has_its_own_cause(times, cause, words):
    with pytest.raises(AlignmentError) as caught:
        check_times(np.asarray(times, dtype=np.float64), "m1.csv::time_s")
    assert str(caught.value).startswith("m1.csv::time_s")
    assert words in str(caught.value)
    assert caught.value.cause == cause


@pytest.mark.parametrize(
    "times",
    [
        FRAMES.astype(np.float32),
        np.arange(100_000, dtype=np.float32) / 30,
        # Milliseconds as whole numbers, as single precision holds them exactly.
        np.arange(4000) * 33.0,
        np.r_[FRAMES, 60 + FRAMES],
        np.delete(np.arange(4000) / 30, np.random.default_rng(0).integers(0, 4000, 300)),
        np.round(np.arange(4000) / 30, 3),
        EPOCH_S + FRAMES,
        np.cumsum(np.random.default_rng(1).exponential(1 / 30, 4000)),
    ],
)
def test_clocks_that_only_look_odd_pass(times):
    check_times(np.asarray(times, dtype=np.float64), "frame_times")


class TestClocksOfASession:
    def told(self, frames=FRAMES, behavior=BEHAVIOR, **more):
        with pytest.raises(AlignmentError) as caught:
            check_clocks(Clocks("m1/a", frames, behavior, **more))
        assert str(caught.value).startswith("session m1/a: ")
        return str(caught.value)

    @pytest.mark.parametrize(
        ("unit", "scale"),
        [
            ("milliseconds", 1e3),
            ("microseconds", 1e6),
            ("nanoseconds", 1e9),
            ("hours", 1 / 3600),
            ("days", 1 / 86400),
        ],
    )
    def test_both_in_another_unit(self, unit, scale):
        message = self.told(FRAMES * scale, BEHAVIOR * scale)
        assert f"In {unit} they would be 10 Hz: bring frame_times and behavior_times" in message

    def test_one_in_another_unit(self):
        for scale, unit in ((1e3, "milliseconds"), (1e6, "microseconds")):
            message = self.told(FRAMES * scale)
            assert f"In {unit} they would be 10 Hz: bring frame_times alone to sec" in message
        for scale, unit in ((1e3, "milliseconds"), (1 / 60, "minutes"), (1 / 3600, "hours")):
            message = self.told(behavior=BEHAVIOR * scale)
            assert f"; behavior_times look like {unit}: bring them to seconds" in message
        message = self.told(np.arange(1200) / 30 / 60, BEHAVIOR)
        assert "In minutes they would be 30 Hz: bring frame_times alone" in message
        message = self.told(FRAMES / 60)
        assert "frame_times look like minutes: bring them to seconds (times 60)" in message

    def test_numbers_of_samples_of_a_board(self):
        # 30 kHz, frames at 30 Hz.
        frames, behavior = np.arange(400) * 1000.0, np.arange(40_000) * 10.0
        assert "f they are numbers of samples, divide frame_times and behavior_" in self.told(
            frames, behavior
        )
        message = self.told(frames, behavior / 30_000)
        assert "If they are numbers of samples, divide frame_times by the sampling rate (2.99" in (
            message
        )
        assert "In milliseconds" not in message
        message = self.told(frames, behavior, stated_hz=30.0)
        assert "times by the sampling rate (3e+04 Hz would fit)" in message

    def test_days_as_programs_count_them(self):
        excel, matlab = 45_000 + BEHAVIOR / 86400, 739_000 + BEHAVIOR / 86400
        assert "In days (MATLAB's datenum) they" in self.told(DAY_FRACTIONS, matlab)
        message = self.told(behavior=excel)
        assert "look like days (Excel): bring them to seconds (times 86,400), from the" in message

    def test_numbers_of_frames_and_samples(self):
        message = self.told(np.arange(400.0))
        assert "numbers of frames; divide them by the frame rate (at 9.98 Hz they" in message
        message = self.told(np.arange(1, 401.0), stated_hz=10)
        assert "divide them by frame_rate_hz = 10" in message
        assert "numbers of frames" in self.told(np.arange(400.0), np.arange(400.0))
        message = self.told(behavior=np.arange(2000.0))
        assert "look like numbers of samples: divide them by the sampling rate (50.1 Hz" in message
        # One frame a second, and it is said so.
        check_clocks(Clocks("m1/a", np.arange(400.0), np.arange(400.0), 1.0))
        check_clocks(Clocks("m1/a", FRAMES, np.arange(50.0)))

    def test_another_zero(self):
        message = self.told(behavior=BEHAVIOR + 30)
        assert "behaviour covers 100 of 400 frames; frame_times run from 0 to 39.9 s" in message
        assert (
            "begin 30 s later, from another zero: if both began together, subtract 30 s" in message
        )
        message = self.told(FRAMES + EPOCH_S)
        assert "begin 1716000000 s earlier, from another zero" in message

    def test_behavior_that_pauses(self):
        bursts = np.concatenate([np.arange(0, 5, 0.01), np.arange(30, 35, 0.01)])
        assert "pause for 25.01 s after sample 499" in self.told(behavior=bursts)

    def test_half_is_enough(self):
        check_clocks(Clocks("m1/a", FRAMES, BEHAVIOR[1000:]))
        check_clocks(Clocks("m1/a", FRAMES, np.arange(60_000) / 50))
        # An hour of behaviour, of which a minute was imaged at 30 Hz.
        check_clocks(Clocks("m1/a", np.arange(1800) / 30, np.arange(180_000) / 50))

    @pytest.mark.parametrize(
        ("stated_hz", "n_interleaved", "words"),
        [
            (
                30.0,
                1,
                "frame_rate_hz is 30 but frame_times step at 10 frames/s; frame_rate_hz is 3",
            ),
            (20.0, 1, "frame_rate_hz is 2 times as high (that of all 2 wavelengths or planes"),
            (5.0, 1, "they hold 2 times a frame (both ends of an exposure, 2 wavelengths"),
            (5.0, 2, "with 2 wavelengths in turn, both count one for each set of 2: keep the time"),
            (13.0, 1, "correct one of them (times are in seconds)"),
            (600.0, 1, "correct one of them"),
        ],
    )
    def test_a_stated_rate_that_contradicts(self, stated_hz, n_interleaved, words):
        assert words in self.told(stated_hz=stated_hz, n_interleaved=n_interleaved)

    def test_a_stated_rate_names_the_minute(self):
        message = self.told(FRAMES / 60, BEHAVIOR / 60, stated_hz=10.0)
        assert "frame_times look like minutes: bring them to seconds (times 60)" in message

    @given(st.floats(0.6, 900), st.floats(1, 2000), st.floats(-1e5, 1e9))
    def test_seconds_pass(self, frame_hz, behavior_hz, start_s):
        n_frames = 2000
        span_s = n_frames / frame_hz
        n_samples = int(np.clip(span_s * behavior_hz, 2, 20_000))
        behavior = np.arange(n_samples + 1) * span_s / n_samples
        steps = span_s / n_samples
        if steps >= 50 / frame_hz or abs(frame_hz - round(frame_hz)) < 1e-6:
            return
        check_clocks(Clocks("m1/a", start_s + np.arange(n_frames) / frame_hz, start_s + behavior))


def test_a_bounce_is_no_late_stamp():
    late = np.arange(50) / 10
    late[7] += 0.09
    assert find_bounces(late).size == 0
    assert find_bounces(np.insert(np.arange(50) / 10, 7, 0.602)).tolist() == [7]
    assert find_bounces(np.insert(np.arange(50) / 10, 1, 0.001)).tolist() == [1]


def test_ends_of_exposures_are_no_bounces():
    starts = np.arange(100) / 30
    assert find_bounces(np.sort(np.r_[starts, starts + 0.005])).size == 0


def test_covered_frames_by_hand():
    found = covered_frames(np.arange(5.0), np.array([1.0, 1.5, 2.0, 2.5]), 1.0)
    assert found.tolist() == [False, True, True, True, False]


def test_rates_of_cameras():
    for rate_hz in (None, 0.5, 30.0, 1000.0):
        check_stated_rate(rate_hz, "m1/a")
