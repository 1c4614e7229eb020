"""Tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.alignment import (
    AlignedArrays,
    FileArrays,
    align,
    check_clocks,
    check_times,
    count_dropped,
    frame_period,
    is_same_rate,
    read_times,
    resample,
)
from corticode.data.catalogue import Recording
from corticode.data.on_frames import spans_gap
from corticode.data.readers.arrays import ArrayLocation
from corticode.errors import DataError, StudyError

NAN = np.nan


def files(n_frames=6, n_samples=6, *, times=None, recording=None, **behavior):
    """Files of a session; `times` are those of frames and samples."""
    traces = np.arange(2.0 * n_frames).reshape(n_frames, 2)
    behavior = behavior or {"speed": np.arange(n_samples) + 0.5}
    frame_times, behavior_times = times or (None, None)
    return FileArrays(
        recording or Recording("m1", "a"), {"traces": traces}, behavior, frame_times, behavior_times
    )


def test_one_sample_a_frame():
    aligned = align(files(recording=Recording("m1", "a", frame_rate_hz=20.0)))
    assert aligned.behavior["speed"].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert aligned.segment.tolist() == [0] * 6
    assert (aligned.segment.dtype, aligned.frame_rate_hz, aligned.findings) == (np.int32, 20.0, ())


def test_behavior_on_its_own_clock():
    frame_times = np.array([0.0, 1.0, 2.0])
    sample_times = 0.5 * np.arange(6)
    acts = np.array(["rest", "walk", "walk", "groom", "walk", "rest"])
    aligned = align(files(3, times=(frame_times, sample_times), speed=np.arange(6) + 0.5, act=acts))
    assert aligned.behavior["speed"].tolist() == [1, 3, 5]
    assert aligned.behavior["act"].tolist() == ["walk", "groom", "rest"]
    assert aligned.frame_rate_hz == 1.0
    assert aligned.findings == ()


@given(st.integers(0, 8), st.data())
def test_samples_after_a_frames_exposure_never_reach_it(frame, data):
    frame_times = 0.2 + 0.1 * np.arange(9)
    n_samples = data.draw(st.integers(8, 80))
    sample_times = np.linspace(0, 1.2, n_samples) + data.draw(st.floats(0, 0.05))
    rng = np.random.default_rng(n_samples)
    behavior = {
        "speed": rng.random(n_samples),
        "run": rng.integers(0, 2, n_samples),
        "trial": np.arange(n_samples),
    }
    recording = Recording("m1", "a", segment="trial")
    is_later = sample_times >= frame_times[frame] + 0.1 - 1e-9
    changed = {name: np.where(is_later, 99, values) for name, values in behavior.items()}
    first, second = (
        align(files(9, times=(frame_times, sample_times), recording=recording, **signals))
        for signals in (behavior, changed)
    )
    np.testing.assert_array_equal(first.segment[: frame + 1], second.segment[: frame + 1])
    for name in ("speed", "run", "trial"):
        np.testing.assert_array_equal(
            first.behavior[name][: frame + 1].astype(float),
            second.behavior[name][: frame + 1].astype(float),
        )


def test_dropped_frames_are_gaps():
    times = np.array([0.0, 1, 2, 5, 6, 8])
    aligned = align(files(times=(times, np.arange(10.0)), speed=np.arange(10) + 0.5))
    assert aligned.segment.tolist() == [0, 0, 0, 1, 1, 2]
    assert aligned.behavior["speed"].tolist() == [0.5, 1.5, 2.5, 5.5, 6.5, 8.5]
    (finding,) = aligned.findings
    assert str(finding) == (
        "animal 'm1', session 'a': 3 frames were dropped in 2 places; no window crosses a gap"
    )
    assert (finding.what, finding.count) == ("frames", 3)


def test_a_segment_column_marks_gaps():
    recording = Recording("m1", "a", segment="trial")
    for trial in (
        np.array([7, 7, 2, 2, 9, 9]),
        np.array([NAN, NAN, 2, 2, NAN, NAN]),
        np.array(["", "", "x", "x", "y", "y"]),
    ):
        aligned = align(files(recording=recording, trial=trial))
        assert aligned.segment.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_segment_column_on_its_own_clock_is_never_averaged():
    # Forty trials are more than the few numbers that pass for categories.
    trial = np.repeat(np.arange(40), 5)
    frame_times = np.arange(0, 100, 1.0)
    frame_times = np.delete(frame_times, [11, 50])
    aligned = align(
        files(
            98,
            times=(frame_times, 0.5 * np.arange(200)),
            recording=Recording("m1", "a", segment="trial"),
            trial=trial,
        )
    )
    middle = ((frame_times + 0.5) / 0.5).astype(int)
    assert aligned.behavior["trial"].tolist() == trial[middle].tolist()
    # Every second trial ends in the middle of a frame, which then belongs to neither.
    is_in_two = np.isin(frame_times, 2 + 5 * np.arange(20))
    assert aligned.findings[1].reason == (
        "20 frames lie in two segments of 'trial'; no window holds such a frame"
    )
    is_new = (np.diff(trial[middle]) != 0) | (np.diff(frame_times) > 1)
    is_new |= is_in_two[1:] | is_in_two[:-1]
    assert aligned.segment.tolist() == [0, *np.cumsum(is_new)]


def test_a_frame_in_two_segments_has_no_behavior():
    trial, act = np.repeat([1, 2], 3), np.array(["rest"] * 3 + ["walk"] * 3)
    aligned = align(
        files(
            3,
            times=(np.arange(3) * 2 / 3, np.arange(6) / 3),
            recording=Recording("m1", "a", segment="trial"),
            trial=trial,
            act=act,
            speed=np.arange(6.0),
        )
    )
    assert aligned.behavior["act"].tolist() == ["rest", "", "walk"]
    np.testing.assert_array_equal(aligned.behavior["speed"], [0.5, NAN, 4.5])
    assert aligned.segment.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("on_frames", "expected"),
    [
        (None, {"lick": [0, 0.5, 0], "act": ["a", "b", "a"]}),
        ("any", {"lick": [0, 1, 0], "act": ["a", "b", "a"]}),
        ({"lick": "count"}, {"lick": [0, 1, 0], "act": ["a", "b", "a"]}),
        ({"lick": "middle", "other": "any"}, {"lick": [0, 0, 0], "act": ["a", "b", "a"]}),
    ],
)
def test_rules_that_are_stated(on_frames, expected):
    given_files = files(
        3,
        times=(np.arange(3) / 10, np.arange(6) / 20),
        lick=np.array([0, 0, 1, 0, 0, 0]),
        act=np.array(["a", "a", "b", "b", "a", "a"]),
    )
    aligned = align(given_files, on_frames=on_frames)
    assert {name: values.tolist() for name, values in aligned.behavior.items()} == expected
    stated = on_frames if isinstance(on_frames, str) else (on_frames or {}).get("lick")
    assert aligned.placed["lick"].rule == (stated or "mean")
    assert aligned.placed["lick"].is_stated is (stated is not None)


def test_longer_tails_are_cut_within_what_is_allowed():
    aligned = align(files(6, 4), 2)
    assert aligned.arrays["traces"].shape == (4, 2)
    (finding,) = aligned.findings
    assert finding.reason == "2 frames were cut from the tail of traces"
    assert finding.count == 2
    aligned = align(files(4, 6), 2)
    assert aligned.behavior["speed"].tolist() == [0.5, 1.5, 2.5, 3.5]
    assert "1 frame was cut from the tail of frame_times" in str(
        align(files(3, 4, times=(np.arange(4.0), np.arange(4.0))), 1).findings[0]
    )


def test_traces_cut_to_fit_keep_behavior_on_its_own_clock_whole():
    aligned = align(files(5, 9, times=(np.arange(4.0), np.arange(9.0))), 1)
    assert aligned.behavior["speed"].tolist() == [0.5, 1.5, 2.5, 3.5]


def test_unequal_lengths_are_refused():
    with pytest.raises(DataError) as caught:
        align(files(6, 4), 1)
    assert str(caught.value) == (
        "session m1/a has unequal numbers of frames: traces 6, behaviour 'speed' 4 "
        "([data] trim_frames = 1); give frame_times and behavior_times, or allow the longer to be "
        "cut with [data] trim_frames = 2 if the ends are all that differs"
    )
    with pytest.raises(DataError, match=r"\(no \[data\] trim_frames\)"):
        align(files(6, 4))


def test_a_movie_of_two_channels_that_names_none_is_told_apart_from_a_longer_one():
    def two_to_one(n_frames, channels=()):
        movie = {"movie": np.zeros((n_frames, 2, 2), np.uint16)}
        return FileArrays(Recording("m1", "a", channels=channels), movie, {"run": np.zeros(20)})

    for n_frames in (40, 41):
        with pytest.raises(
            DataError, match=r'give channels = "calcium,reference" .*the catalogue$'
        ):
            align(two_to_one(n_frames))
    with pytest.raises(DataError, match="trim_frames = 19"):
        align(two_to_one(39))
    with pytest.raises(DataError, match="trim_frames = 20"):
        align(two_to_one(40, ("calcium",)))


@pytest.mark.parametrize(("n_samples", "trim_frames"), [(50, 0), (51, 1)])
def test_turned_traces_are_named(n_samples, trim_frames):
    turned = FileArrays(
        Recording("m1", "a"), {"traces": np.zeros((3, 50))}, {"run": np.zeros(n_samples)}
    )
    with pytest.raises(
        DataError, match="the traces look turned: give traces_axes = 'region,time' in the catalogue"
    ):
        align(turned, trim_frames)


def test_the_frame_rate_against_the_times():
    times = (0.05 * np.arange(6), 0.05 * np.arange(6))
    stated = Recording("m1", "a", frame_rate_hz=19.5)
    assert align(files(times=times, recording=stated)).frame_rate_hz == 19.5
    measured = align(files(times=times)).frame_rate_hz
    assert measured == pytest.approx(20)
    wrong = Recording("m1", "a", frame_rate_hz=30.0)
    with pytest.raises(
        DataError, match="frame_rate_hz is 30 but frame_times step at 20 frames/s; correct one"
    ):
        align(files(times=times, recording=wrong))


def test_clocks_that_share_little():
    frame_times = np.arange(6.0)
    aligned = align(files(6, 3, times=(frame_times, np.array([2.0, 3.0, 4.0]))))
    np.testing.assert_array_equal(aligned.behavior["speed"], [NAN, NAN, 0.5, 1.5, 2.5, 2.5])
    assert [str(f.reason) for f in aligned.findings] == [
        "2 of 6 frames have no sample in behavior_times"
    ]
    with pytest.raises(
        DataError,
        match=r"no behaviour sample falls into a frame; frame_times run from 0 to 5 s, "
        r"behavior_times from 1000 to 1100 s: give both in seconds",
    ):
        align(files(6, 3, times=(frame_times, np.array([1000.0, 1050.0, 1100.0]))))


def test_other_refusals():
    times = np.arange(6.0)
    with pytest.raises(DataError, match="has one of frame_times and behavior_times; give both"):
        align(files(times=(times, None)))
    with pytest.raises(DataError, match="behaviour 'speed' has 5 samples, behavior_times 6"):
        align(files(6, 5, times=(times, times)))
    with pytest.raises(DataError, match="m1/a has 0 frames; at least 2 are needed"):
        align(files(0, 0))


def test_times_from_a_file(tmp_path):
    assert read_times(None) is None
    np.save(tmp_path / "times.npy", np.arange(4)[:, None])
    found = read_times(ArrayLocation(tmp_path / "times.npy"))
    assert (found.dtype, found.tolist()) == (np.float64, [0, 1, 2, 3])
    np.save(tmp_path / "text.npy", np.array(["a", "b"]))
    with pytest.raises(DataError, match=r"text.npy holds <U1 values; times must be numbers"):
        read_times(ArrayLocation(tmp_path / "text.npy"))
    np.save(tmp_path / "still.npy", np.zeros(4))
    with pytest.raises(DataError, match=r"still.npy must rise from sample to sample; sample 1"):
        read_times(ArrayLocation(tmp_path / "still.npy"))


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


def aligned(n_frames=6, rate_hz=30.0, segment=None, **behavior):
    traces = np.arange(2 * n_frames, dtype=np.int16).reshape(n_frames, 2)
    segment = np.zeros(n_frames) if segment is None else np.array(segment)
    return AlignedArrays({"traces": traces}, behavior, segment.astype(np.int32), rate_hz)


def test_a_session_by_hand():
    speed = np.array([0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
    run = np.array([0, 0, 0, 1, 1, 1])
    found = resample(aligned(speed=speed, run=run), 15.0, "m1/a")
    assert found.arrays["traces"].tolist() == [[1, 2], [5, 6], [9, 10]]
    assert found.behavior["speed"].tolist() == [1, 3, 5]
    assert found.behavior["run"].tolist() == [0, 0.5, 1]
    rules = {"run": "any", "speed": "middle"}
    by_rules = resample(aligned(speed=speed, run=run), 15.0, "m1/a", rules).behavior
    assert (by_rules["run"].tolist(), by_rules["speed"].tolist()) == ([0, 1, 1], [1.5, 3.5, 5.5])
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
