"""Tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.on_frames import (
    Placed,
    amounts_on_frames,
    categories_on_frames,
    lost_bouts,
    lower_rate,
    place,
    resample_amounts,
    resample_categories,
    resample_largest,
    rule_of,
    sample_on_frames,
    spans_change,
)
from corticode.data.signals import ON_FRAMES
from corticode.data.targets import Target
from corticode.errors import StudyError

NAN = np.nan


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
            sample_on_frames(signal, sample_times, frame_times, 1.0, "middle"), [NAN, 1, 0, NAN]
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


@given(st.data(), st.sampled_from([*ON_FRAMES, "text"]))
def test_no_later_sample_is_ever_used(data, kind):
    steps = data.draw(st.lists(st.floats(0.01, 0.5), min_size=2, max_size=30))
    sample_times = np.cumsum(steps)
    frame_steps = data.draw(st.lists(st.floats(0.1, 0.6), min_size=2, max_size=10))
    frame_times = np.cumsum(frame_steps)
    values = np.array(data.draw(st.lists(st.floats(-5, 5), min_size=len(steps), max_size=30)))
    values = np.resize(values, len(steps))
    frame = data.draw(st.integers(0, len(frame_times) - 1))
    rule = None if kind == "text" else kind
    if kind == "text":
        values = values.astype("U8")
    changed = values.copy()
    changed[sample_times >= frame_times[frame] + 0.11] = 777
    before, after = (
        sample_on_frames(signal, sample_times, frame_times, 0.1, rule)[: frame + 1]
        for signal in (values, changed)
    )
    np.testing.assert_array_equal(before, after)


def licks():
    """120 contacts of 10 ms, at 6 Hz for two seconds of every five; 1 kHz, frames at 10 Hz."""
    rng = np.random.default_rng(0)
    sample_times, frame_times = np.arange(60_000) / 1000, np.arange(600) / 10
    lick, has_contact = np.zeros(60_000, int), np.zeros(600, bool)
    for start_s in np.arange(5, 55, 5.0):
        for contact_s in np.arange(start_s, start_s + 2, 1 / 6) + rng.uniform(0, 0.02):
            during = (sample_times >= contact_s) & (sample_times < contact_s + 0.01)
            lick[during] = 1
            has_contact[np.unique((sample_times[during] * 10 + 1e-9).astype(int))] = True
    return lick, sample_times, frame_times, has_contact


class TestEvents:
    def test_any_sample_of_an_exposure_is_an_event_of_its_frame(self):
        lick, sample_times, frame_times, has_contact = licks()
        found, placed = place(lick, sample_times, frame_times, 0.1, "any")
        np.testing.assert_array_equal(found, has_contact)
        assert (placed.rule, placed.holds_events, placed.as_before) == ("any", True, False)
        assert placed.peaks.tolist() == [1.0] * 120
        assert lost_bouts([{"lick": placed}], Target("lick")) is None
        # What the middle of frames would have lost is known all the same.
        assert placed.n_between == 120 - np.sum(lick[50::100][:600])

    def test_what_the_middle_loses_is_counted(self):
        lick, sample_times, frame_times, _ = licks()
        found, placed = place(lick, sample_times, frame_times, 0.1, "middle")
        assert placed.as_before
        n_lost = int((placed.peaks == 0).sum())
        assert n_lost == placed.n_between == 120 - int(found.sum())
        finding = lost_bouts([{"lick": placed}] * 2, Target("lick", on_frames="middle"))
        assert finding.count == 2 * n_lost > 100
        assert finding.reason == (
            f"{2 * n_lost} of 240 bouts of 'lick' fall between the middles of frames and are lost; "
            "on_frames = 'any' keeps them"
        )

    def test_a_mean_loses_what_stays_below_the_threshold(self):
        lick, sample_times, frame_times, has_contact = licks()
        found, placed = place(lick, sample_times, frame_times, 0.1, "mean")
        assert placed.peaks.max() == pytest.approx(0.1)
        np.testing.assert_array_equal(found > 0, has_contact)
        finding = lost_bouts([{"lick": placed}], Target("lick", above=0.5))
        assert finding.reason.startswith(
            "120 of 120 bouts of 'lick' stay at or below 0.5 once averaged over a frame's exposure"
        )
        assert lost_bouts([{"lick": placed}], Target("lick", above=0.02)) is None
        assert lost_bouts([{"lick": placed}], Target("lick", "value")) is None

    def test_counts_add_up(self):
        ticks = np.random.default_rng(0).poisson(0.3, 60_000)
        sample_times, frame_times = np.arange(60_000) / 1000, np.arange(600) / 10
        found = sample_on_frames(ticks, sample_times, frame_times, 0.1, "count")
        np.testing.assert_array_equal(found, ticks.reshape(600, 100).sum(axis=1))

    def test_a_sum_lacks_no_sample_and_outlasts_no_signal(self):
        sample_times = np.array([0.0, 1.0, 2.0, 3.0])
        found = sample_on_frames(
            np.array([1.0, NAN, 2.0, 3.0]), sample_times, np.arange(-1.0, 6, 0.5), 0.5, "count"
        )
        np.testing.assert_array_equal(found, [NAN, NAN, 1, 0, NAN, NAN, 2, 0, 3, 0, 0, 0, NAN, NAN])

    def test_the_largest_sample_that_there_is(self):
        found = sample_on_frames(
            np.array([-3.0, NAN, -1.0, NAN, NAN, 4.0]),
            np.arange(6.0),
            np.arange(0, 8, 2.0),
            2.0,
            "any",
        )
        np.testing.assert_array_equal(found, [-3, -1, 4, 4])


def test_no_value_of_one_session_decides_what_a_signal_is():
    # Wheel ticks, few whole numbers; one session has a glitch, another is of another type.
    rng = np.random.default_rng(0)
    ticks = rng.poisson(0.3, 4000)
    glitch = np.where(np.arange(4000) < 40, np.arange(4000), ticks)
    times, frames = np.arange(4000) / 100, np.arange(400) / 10
    for values in (ticks, glitch, ticks.astype(float), ticks.astype(np.uint8)):
        found, placed = place(values, times, frames, 0.1)
        np.testing.assert_allclose(found, values.reshape(400, 10).mean(axis=1))
        assert placed.rule == "mean"
    assert place(ticks, times, frames, 0.1)[1].as_before is False
    assert place(glitch, times, frames, 0.1)[1].as_before is True


@given(st.sampled_from(ON_FRAMES), st.integers(2, 40))
def test_on_the_frames_own_clock_every_rule_gives_the_samples(rule, n_frames):
    run = np.random.default_rng(n_frames).integers(0, 2, n_frames)
    times = 0.3 + np.arange(n_frames) / 30
    found, placed = place(run, times, times, 1 / 30, rule)
    np.testing.assert_array_equal(found, run)
    assert placed.as_before


@pytest.mark.parametrize("rule", ON_FRAMES)
def test_a_clock_that_jitters_gives_no_sample_to_two_frames(rule):
    # Rounded to milliseconds at 30 Hz, steps are 33 and 34 ms, and the period 33.33.
    rng = np.random.default_rng(0)
    times = np.round(np.arange(300) / 30, 3)
    run = rng.integers(0, 2, 300)
    np.testing.assert_array_equal(sample_on_frames(run, times, times, 1 / 30, rule), run)
    jittered = np.arange(300) / 30 + rng.uniform(-1, 1, 300) * 1e-3
    np.testing.assert_array_equal(sample_on_frames(run, jittered, jittered, 1 / 30, rule), run)


def test_every_sample_is_counted_once():
    frame_times = np.round(np.arange(300) / 30, 3)
    ticks = np.random.default_rng(0).poisson(0.3, 10_000)
    found = sample_on_frames(ticks, np.arange(10_000) / 1000, frame_times, 1 / 30, "count")
    assert found.sum() == ticks.sum()


def test_rules_by_name():
    acts = np.array(["rest", "walk"])
    assert [rule_of(acts), rule_of(acts, "any"), rule_of(acts, "middle")] == ["middle"] * 3
    assert rule_of(np.array([True])) == rule_of(np.array([3])) == rule_of(np.array([0.5])) == "mean"
    assert rule_of(np.array([3]), "count") == "count"
    with pytest.raises(StudyError, match="on_frames is 'sum'; it must be one of mean, any, count"):
        rule_of(np.array([3]), "sum")


def test_short_classes_are_reported():
    acts = np.array(["rest"] * 10 + ["rear"] + ["rest"] * 9)
    _, placed = place(acts, np.arange(20) * 0.05, np.arange(10) * 0.1, 0.1)
    finding = lost_bouts([{"act": placed}], Target("act", "classes"))
    assert finding.reason.startswith("1 of 3 bouts of 'act' fall between the middles of frames")
    assert "a signal of 0 and 1 of its own, with on_frames = 'any'" in finding.reason
    assert lost_bouts([{}], Target("act", "classes")) is None


def test_frames_in_two_segments():
    trial = np.array([1, 1, 1, 2, 2, 2.0])
    times = np.arange(6) * 0.5
    # The trial ends at 1.5 s: inside the second frame, or at its edge.
    assert spans_change(trial, times, np.array([0.0, 1.0, 2.0]), 1.0).tolist() == [0, 1, 0]
    assert spans_change(trial, times, np.array([0.5, 1.5]), 1.0).tolist() == [0, 0]
    assert spans_change(trial, times, np.array([0.55, 1.55]), 1.0).tolist() == [0, 0]


class TestLowerRate:
    def test_each_rule_by_hand(self):
        lick = np.array([0, 1, 0, 0, 1, 1])
        expected = {
            "mean": [1 / 3, 2 / 3],
            "any": [1, 1],
            "count": [1, 2],
            "middle": [1, 1],
        }
        for rule, wanted in expected.items():
            found, placed = lower_rate(lick, 3.0, 2, rule)
            np.testing.assert_allclose(found, wanted)
            assert placed.rule == rule
        found, placed = lower_rate(np.array([1, 0, 0, 0, 0, 1]), 3.0, 2, "middle")
        assert (found.tolist(), placed.n_between, placed.peaks.tolist()) == ([0, 0], 2, [0, 0])

    def test_any_of_frames_that_are_touched(self):
        assert resample_largest(np.array([0, 1, 0, 0, 0, 0.0]), 1.5, 4).tolist() == [1, 1, 0, 0]
        np.testing.assert_array_equal(
            resample_largest(np.array([0, 1, 0, NAN, 0, 0]), 1.5, 4), [1, 1, NAN, 0]
        )

    def test_whole_numbers_are_averaged_and_text_is_not(self):
        found, placed = lower_rate(np.array([0, 1, 2, 1]), 2.0, 2)
        assert (found.tolist(), placed.rule, placed.as_before) == ([0.5, 1.5], "mean", False)
        found, placed = lower_rate(np.array(["a", "a", "b", "b"]), 2.0, 2)
        assert (found.tolist(), placed.as_before) == (["a", "b"], True)


def test_a_few_lost_bouts_are_not_worth_a_word():
    peaks = np.ones(1000)
    peaks[0] = 0
    placed = Placed("middle", peaks=peaks)
    assert lost_bouts([{"act": placed}], Target("act", "classes")) is None


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
