"""Tests."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.alignment import (
    AlignedArrays,
    FileArrays,
    align,
    read_times,
    resample,
)
from corticode.data.catalogue import Recording
from corticode.data.clocks import AlignmentError
from corticode.data.on_frames import spans_gap
from corticode.data.readers.arrays import ArrayLocation
from corticode.errors import DataError, StudyError

NAN = np.nan


def files(n_frames=6, n_samples=6, *, times=None, recording=None, **behavior):
    """Files of a session; `times` are those of frames and samples."""
    traces = np.arange(2.0 * n_frames).reshape(n_frames, 2)
    behavior = behavior or {"speed": np.arange(n_samples) + 0.5}
    frame_times, behavior_times = times or (None, None)
    # Frames at whole seconds are numbers of frames, unless it is stated that they are not.
    own = Recording("m1", "a", frame_rate_hz=1.0 if times and frame_times[1] == 1 else None)
    return FileArrays(recording or own, {"traces": traces}, behavior, frame_times, behavior_times)


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
            recording=Recording("m1", "a", segment="trial", frame_rate_hz=1.0),
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


class TestUnequalLengths:
    def message(self, given_files, trim_frames=0):
        with pytest.raises(AlignmentError) as caught:
            align(given_files, trim_frames)
        return str(caught.value)

    def test_a_short_end_may_be_cut(self):
        assert self.message(files(601, 595), 5) == (
            "session m1/a has unequal numbers of frames: traces 601, behaviour 'speed' 595 "
            "([data] trim_frames = 5); if the ends are all that differs, [data] trim_frames = 6 "
            "cuts the longer; if frames are missing elsewhere, give frame_times and behavior_times"
        )
        assert "(no [data] trim_frames)" in self.message(files(601, 595))
        assert align(files(601, 595), 6).segment.size == 595

    @pytest.mark.parametrize(("n_frames", "n_samples"), [(6, 4), (600, 593), (5000, 4989)])
    def test_more_than_an_end_is_not_proposed(self, n_frames, n_samples):
        message = self.message(files(n_frames, n_samples))
        spread = n_frames - n_samples
        assert f"; {spread} frames are more than an end that was cut: give frame_times" in message
        assert "trim_frames =" not in message
        # Who insists may.
        assert align(files(n_frames, n_samples), spread).segment.size == n_samples

    def test_times_that_are_there_are_not_asked_for(self):
        for n_frames in (397, 360):
            times = (np.arange(400) / 10, np.arange(400) / 10)
            message = self.message(files(n_frames, 400, times=times))
            assert "give frame_times" not in message
            assert ("trim_frames = 3 cuts" in message) is (n_frames == 397)
            assert ("find out which images and which times belong" in message) is (n_frames == 360)

    def test_a_movie_that_goes_on_in_another_file(self, tmp_path):
        for name in ("run_@0001.tif", "run_@0002.tif"):
            (tmp_path / name).touch()
        recording = Recording("m1", "a", movie=ArrayLocation(tmp_path / "run_@0001.tif"))
        movie = {"movie": np.zeros((200, 1, 1), np.uint16)}
        message = self.message(FileArrays(recording, movie, {"run": np.zeros(400)}), 0)
        assert "run_@0001.tif seems to go on in run_@0002.tif beside it: write all its" in message
        # Sessions may be numbered in the same way: a frame too few is no second file.
        nearly = FileArrays(recording, movie, {"run": np.zeros(201)})
        assert len(align(nearly, 1).arrays["movie"]) == 200

    @pytest.mark.parametrize("trim_frames", [0, 1000])
    @pytest.mark.parametrize(
        ("n_images", "n_times", "channels", "words"),
        [
            (400, 800, ("calcium", "reference"), "one time for each exposure of 2 wavelengths"),
            (390, 800, ("calcium", "reference"), "one time for each exposure of 2 wavelengths"),
            (400, 799, ("calcium", "reference"), "keep the first time of each set (every second)"),
            (400, 800, (), "both ends of an exposure, or two wavelengths? Then keep one of 2"),
            (400, 1200, (), "3 planes or wavelengths? Then keep one of 3 (every third)"),
            (200, 400, (), "or is m1.npy the first of 2 files? Then join them"),
            (800, 400, (), 'give channels = "calcium,reference"'),
            (799, 400, (), 'give channels = "calcium,reference"'),
            (1200, 400, (), "movie has 3 frames for each of the others: 3 planes or wavelengths"),
        ],
    )
    def test_whole_ratios_are_named_and_never_cut(
        self, n_images, n_times, channels, words, trim_frames
    ):
        recording = Recording(
            "m1", "a", channels=channels, movie=ArrayLocation(Path("m1.npy")), segment=None
        )
        movie = {"movie": np.zeros((n_images, 1, 1), np.uint16)}
        times = np.arange(n_times) / 20
        given_files = FileArrays(recording, movie, {"run": np.zeros(900)}, times, np.arange(900.0))
        message = self.message(given_files, trim_frames)
        assert words in message
        assert "trim_frames" not in message

    def test_behavior_sampled_several_times_a_frame(self):
        message = self.message(files(400, 8000), 8000)
        assert "behaviour has 20 samples a frame: if it was sampled 20 times as fast" in message

    def test_bounces_of_pulses(self):
        times = np.insert(np.arange(400) / 10, [5, 200], [0.401, 19.9015])
        message = self.message(files(400, 9, times=(times, np.arange(9.0))), 2)
        assert "2 pulses within 0.0015 s of the one before (sample 5, 201, counted" in message

    def test_pulses_that_were_lost(self):
        times = np.delete(np.arange(400) / 10, [100, 101, 300])
        message = self.message(files(400, 9, times=(times, np.arange(9.0))), 3)
        assert "lack 3 pulses in 2 gaps (before sample 100, 298, counted from 0)" in message

    @pytest.mark.parametrize(
        ("before", "after", "words"),
        [
            ([-1.0], [], "the first time of frame_times lies 1 s from the next, the others 0.1 s"),
            ([], [40.3], "the last time of frame_times lies 0.4 s from the next"),
            ([-0.05], [40.3], "the first and the last time of frame_times lie 0.05 s from the"),
        ],
    )
    def test_pulses_that_start_and_end_a_recording(self, before, after, words):
        times = np.concatenate([before, np.arange(400) / 10, after])
        message = self.message(files(400, 9, times=(times, np.arange(9.0))), 10)
        assert words in message
        assert "no frame; take it out" in message

    def test_a_pulse_or_two_too_many_in_a_short_recording(self):
        times = np.arange(102) / 10
        message = self.message(files(100, 9, times=(times, np.arange(9.0))))
        assert "frame_times hold 2 more than there are frames: a pulse that starts or" in message

    def test_pulses_that_bounce_though_numbers_agree(self):
        times = np.delete(np.insert(np.arange(400) / 10, 5, 0.401), 300)
        (bounce, dropped) = align(files(400, 50, times=(times, np.arange(50.0)))).findings
        assert bounce.reason.startswith("1 time of frame_times follows another at once (first sam")
        assert dropped.reason.startswith("1 frame was dropped")


def test_frames_so_fast_for_so_short_may_be_in_minutes():
    times = np.arange(400) / 600
    (finding,) = align(files(400, 400, times=(times, times))).findings
    assert (finding.what, finding.reason) == (
        "unit",
        "frames come at 600 Hz for 0.665 s; were frame_times in minutes, it would be 10 Hz for "
        "39.9 s",
    )


@pytest.mark.parametrize(
    ("rate_hz", "words"),
    [
        (0.0333, "the time from frame to frame in seconds, give 30.03 Hz"),
        (33333.0, "in microseconds, give 30 Hz"),
        (5e12, "it must lie between 0.5 and 1,000: give the number of frames a second"),
        (0.1, "give 10 Hz"),
    ],
)
def test_stated_rates_that_no_camera_has(rate_hz, words):
    with pytest.raises(AlignmentError, match=words):
        align(files(recording=Recording("m1", "a", frame_rate_hz=rate_hz)))


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
    with pytest.raises(DataError, match=r"still.npy: all samples are at 0 s; give each"):
        read_times(ArrayLocation(tmp_path / "still.npy"))


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
