import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.clocks import (
    amounts_on_frames,
    categories_on_frames,
    check_clocks,
    check_times,
    count_dropped,
    frame_period,
    is_same_rate,
    sample_on_frames,
)
from corticode.errors import DataError

NAN = np.nan


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.0], r"frame_times has shape \(1,\); it needs one time in seconds"),
        ([[0.0, 1.0]], r"has shape \(1, 2\)"),
        ([0.0, 1.0, 1.0], "sample 2 is at 1 s, after 1 s: sort it or remove what is repeated"),
        ([0.0, 2.0, 1.0], "sample 2 is at 1 s, after 2 s"),
        ([0.0, NAN, 1.0], "holds nan at sample 1; give each sample its time"),
        ([np.inf, 0.0], "holds inf at sample 0"),
    ],
)
def test_times_must_rise(times, message):
    with pytest.raises(DataError, match=message):
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


def test_amounts_are_averaged_over_the_exposure():
    # 50 Hz behaviour, frames of 0.1 s at 0.10, 0.20 and 0.34 s.
    sample_times = np.arange(30) * 0.02
    speed = np.arange(30) + 0.5
    found = sample_on_frames(speed, sample_times, np.array([0.1, 0.2, 0.34]), 0.1)
    expected = [np.mean(speed[5:10]), np.mean(speed[10:15]), np.mean(speed[17:22])]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_slow_amounts_hold_for_one_and_a_half_periods():
    speed = np.array([1.5, 2.5, NAN, 3.5])
    sample_times = np.array([1.0, 2.0, 3.0, 4.0])
    frame_times = np.array([0.5, 1.0, 1.4, 2.1, 3.1, 4.1, 5.4, 5.6])
    np.testing.assert_array_equal(
        amounts_on_frames(speed, sample_times, frame_times, 0.1),
        [NAN, 1.5, 1.5, 2.5, NAN, 3.5, 3.5, NAN],
    )


def test_missing_samples_are_left_out_of_the_mean():
    speed = np.array([1.5, NAN, 2.5, NAN, NAN, NAN])
    found = amounts_on_frames(speed, np.arange(6) * 1.0, np.array([0.0, 3.0]), 3.0)
    np.testing.assert_array_equal(found, [2.0, NAN])


def test_categories_are_those_at_mid_exposure():
    sample_times = np.arange(5) * 0.5
    frame_times = np.array([-1.0, 0.0, 1.0, 4.0])
    acts = np.array(["rest", "walk", "groom", "rest", "walk"])
    assert sample_on_frames(acts, sample_times, frame_times, 1.0).tolist() == [
        "",
        "walk",
        "rest",
        "",
    ]
    runs = np.array([0, 1, 0, 0, 1])
    for signal in (runs, runs.astype(bool), runs.astype(float)):
        np.testing.assert_array_equal(
            sample_on_frames(signal, sample_times, frame_times, 1.0), [NAN, 1, 0, NAN]
        )
    numbers = categories_on_frames(100 * np.arange(5), sample_times, frame_times, 1.0)
    np.testing.assert_array_equal(numbers, [NAN, 100, 300, NAN])


def test_rounding_moves_no_sample():
    # 0.1 * 3 > 0.3: each frame still gets its own two samples, and its own category.
    sample_times = 0.05 * np.arange(2000)
    frame_times = np.cumsum(np.full(1000, 0.1)) - 0.1
    values = np.repeat(np.arange(1000) + 0.5, 2)
    np.testing.assert_allclose(
        amounts_on_frames(values, sample_times, frame_times, 0.1), np.arange(1000) + 0.5
    )
    np.testing.assert_array_equal(
        categories_on_frames(np.arange(2000), sample_times, frame_times, 0.1),
        np.arange(1, 2000, 2),
    )


@given(st.data(), st.sampled_from(["amounts", "categories", "text"]))
def test_no_later_sample_is_ever_used(data, kind):
    steps = data.draw(st.lists(st.floats(0.01, 0.5), min_size=2, max_size=30))
    sample_times = np.cumsum(steps)
    frame_steps = data.draw(st.lists(st.floats(0.1, 0.6), min_size=2, max_size=10))
    frame_times = np.cumsum(frame_steps)
    values = np.array(data.draw(st.lists(st.floats(-5, 5), min_size=len(steps), max_size=30)))
    values = np.resize(values, len(steps))
    frame = data.draw(st.integers(0, len(frame_times) - 1))
    place = amounts_on_frames if kind == "amounts" else categories_on_frames
    if kind == "text":
        values = values.astype("U8")
    changed = values.copy()
    changed[sample_times >= frame_times[frame] + 0.1] = 777
    before = place(values, sample_times, frame_times, 0.1)[: frame + 1]
    after = place(changed, sample_times, frame_times, 0.1)[: frame + 1]
    np.testing.assert_array_equal(before, after)


class TestClocksThatCannotBothBeSeconds:
    FRAMES = np.arange(600) / 30

    def test_seconds_and_seconds_pass(self):
        check_clocks(self.FRAMES, np.arange(20_000) / 1000, "m1/a")
        check_clocks(self.FRAMES, np.arange(20.0), "m1/a")
        # Behaviour that was recorded for longer than the camera ran.
        check_clocks(self.FRAMES, np.arange(1000.0), "m1/a")

    @pytest.mark.parametrize(
        "times", [np.arange(600) / 30 * 1000, np.arange(6) * 4.0, np.arange(600) / 30 / 1000]
    )
    def test_milliseconds_are_refused(self, times):
        with pytest.raises(DataError, match=r"m1/a: frame_times last 19.97 s .* both in seconds"):
            check_clocks(self.FRAMES, times, "m1/a")
