"""Tables of trials become signals that hold something at the frames of events alone."""

import h5py
import numpy as np
import pandas as pd
import pytest

from corticode.data.catalogue import Recording, read_catalogue
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.session import open_session, read_session
from corticode.data.targets import Target
from corticode.data.trials import FrameClock, TrialTimes, frames_of_times, trials_on_frames
from corticode.data.windows import WindowShape, cut_windows
from corticode.errors import CorticodeWarning, DataError, MissingDataError, StudyError

CLOCK = FrameClock(10, 10.0)


@pytest.fixture
def table(tmp_path):
    """Writes a table of trials; gives a recording that names it."""

    def write(**columns):
        path = tmp_path / "trials.csv"
        pd.DataFrame(columns).to_csv(path, index=False)
        return Recording("m1", "a", trials=ArrayLocation(path))

    return write


class TestFramesOfTimes:
    def test_a_time_belongs_to_the_frame_whose_exposure_holds_it(self):
        clock = FrameClock(5, None, np.array([2.0, 2.1, 2.2, 2.5, 2.6]))
        times = np.array([2.0, 2.0999, 2.1, 2.35, 2.69, 2.71, 1.9, np.nan])
        frames, in_gap = frames_of_times(times, clock, "seconds")
        np.testing.assert_array_equal(frames, [0, 0, 1, np.nan, 4, np.nan, np.nan, np.nan])
        assert in_gap.tolist() == [False, False, False, True, False, False, False, False]

    def test_without_times_of_frames_seconds_count_from_the_first(self):
        frames, _ = frames_of_times(np.array([0.0, 0.3, 0.99, 1.0, -0.01]), CLOCK, "seconds")
        np.testing.assert_array_equal(frames, [0, 3, 9, np.nan, np.nan])

    def test_frames_joined_into_one(self):
        clock = FrameClock(5, 10.0, ratio=2.0)
        frames, _ = frames_of_times(np.array([0.0, 0.1, 0.2, 0.95]), clock, "seconds")
        assert frames.tolist() == [0, 0, 1, 4]
        assert frames_of_times(np.array([7.0]), clock, "frames")[0].tolist() == [3]

    def test_what_cannot_be_placed_is_refused(self):
        with pytest.raises(DataError, match=r"give one in the .* times_in = 'frames'"):
            frames_of_times(np.array([1.0]), FrameClock(5), "seconds")
        with pytest.raises(DataError, match=r"no whole numbers \(the first is 1\.5\)"):
            frames_of_times(np.array([1.0, 1.5]), CLOCK, "frames")
        with pytest.raises(StudyError, match="must be one of seconds, frames"):
            TrialTimes(times_in="ms")


class TestTrialsOnFrames:
    def test_labels_lie_at_the_frames_of_events_whatever_their_order(self, table):
        recording = table(go=[0.55, 0.15], choice=["left", "right"], rt=[0.4, 0.3], stim=[1, 0])
        placed, findings = trials_on_frames(recording, TrialTimes("go"), CLOCK)
        assert np.flatnonzero(placed["go"]).tolist() == [1, 5]
        assert placed["choice"].tolist() == ["", "right", "", "", "", "left", "", "", "", ""]
        assert np.flatnonzero(np.isfinite(placed["rt"])).tolist() == [1, 5]
        assert (placed["rt"][5], placed["stim"][1], findings) == (0.4, 0, [])

    def test_trials_that_are_lost_are_counted_by_reason(self, table):
        at = [0.05, 0.07, 0.25, 0.45, 9.0, -1.0, np.nan]
        recording = table(start_time=at, choice=range(7))
        times = np.append(np.arange(4) / 10, np.arange(5, 10) / 10)
        clock = FrameClock(9, None, times)
        placed, findings = trials_on_frames(recording, TrialTimes(), clock)
        assert placed["choice"][[0, 2]].tolist() == [0, 2]
        assert [(one.what, one.count, one.reason.partition(" trials ")[2]) for one in findings] == [
            ("trials", 1, "has no 'start_time' and is not decoded"),
            ("trials", 1, "begins in a gap between frames and is not decoded"),
            ("trials", 2, "lie outside the recording and are not decoded"),
            ("trials", 1, "begins in the frame of another, which is kept, and is not decoded"),
        ]

    def test_no_trial_within_the_recording_is_an_error(self, table):
        recording = table(start_time=[1500.0, 2500.0], choice=[0, 1])
        told = (
            r"m1/a: none of 2 trials lies within the recording: 'start_time' runs from 1500 to "
            r"2500 s, the frames from 0 to 0\.9 s; .* \(not milliseconds\)"
        )
        with pytest.raises(DataError, match=told):
            trials_on_frames(recording, TrialTimes(), CLOCK)

    def test_a_column_that_is_not_there_is_named(self, table):
        recording = table(start_time=[0.1], choice=[1])
        with pytest.raises(MissingDataError, match=r"no column 'choise'.*did you mean 'choice'"):
            trials_on_frames(recording, TrialTimes(), CLOCK, ["choise"])
        with pytest.raises(DataError, match="'choice' holds text; an event needs a time"):
            trials_on_frames(table(choice=["left"]), TrialTimes("choice"), CLOCK)


def write_nwb(path, start_time, **columns):
    with h5py.File(path, "w") as file:
        file["dff"] = np.random.default_rng(0).normal(size=(40, 3))
        trials = file.create_group("intervals/trials")
        trials["id"] = np.arange(len(start_time))
        trials["start_time"] = start_time
        for name, values in columns.items():
            trials[name] = values


def of_nwb(folder):
    traces, trials = ArrayLocation(folder / "a.nwb", "dff"), ArrayLocation(folder / "a.nwb")
    return Recording("m1", "a", traces=traces, trials=trials, frame_rate_hz=10)


class TestSessions:
    def test_trials_of_an_nwb_file(self, tmp_path):
        choice = np.array(["left", "right", "left"], dtype=h5py.string_dtype())
        hit = np.array([True, False, True])
        write_nwb(tmp_path / "a.nwb", [0.55, 1.55, 2.55], choice=choice, hit=hit)
        row = {"animal": "m1", "session": "a", "traces": "a.nwb::dff", "trials": "a.nwb"}
        pd.DataFrame([row | {"frame_rate_hz": 10}]).to_csv(tmp_path / "sessions.csv", index=False)
        (recording,) = read_catalogue(tmp_path / "sessions.csv")
        session = open_session(recording, trials=TrialTimes())
        target = Target("choice", "classes", events="start_time")
        windows = cut_windows([session], target, WindowShape(2, 3))
        assert windows.frame.tolist() == [5, 15, 25]
        assert windows.target.tolist() == [0, 1, 0]
        assert windows.recipe.classes == ("left", "right")
        assert windows.values().shape == (3, 6, 3)
        hits = cut_windows([session], Target("hit", events="start_time"), WindowShape(2, 3))
        assert hits.target.tolist() == [1, 0, 1]
        # A decoder's recipe cuts the trials of a session whose labels nobody knows.
        unknown = {"start_time": session.behavior["start_time"]}
        bare = type(session)(
            "m2", "b", session.traces, session.regions, unknown, session.segment, 10.0
        )
        again = cut_windows([bare], recipe=hits.recipe)
        assert again.frame.tolist() == [5, 15, 25] and np.isnan(again.target).all()

    def test_columns_of_another_length_are_refused(self, tmp_path):
        write_nwb(tmp_path / "a.nwb", [0.5, 1.5], choice=[0, 1, 1])
        recording = of_nwb(tmp_path)
        with pytest.raises(DataError, match=r"not equally long \('start_time' 2, 'choice' 3\)"):
            read_session(recording, signals=["choice", "start_time"], trials=TrialTimes())

    def test_times_of_frames_serve_trials_without_behaviour(self, tmp_path):
        write_nwb(tmp_path / "a.nwb", [100.55], choice=[1])
        np.save(tmp_path / "times.npy", 100 + np.arange(40) / 10)
        text = "animal,session,traces,trials,frame_times\nm1,a,a.nwb::dff,a.nwb,times.npy\n"
        (tmp_path / "sessions.csv").write_text(text, "utf-8")
        (recording,) = read_catalogue(tmp_path / "sessions.csv")
        session = read_session(recording, signals=["choice"], trials=TrialTimes())
        assert np.flatnonzero(session.behavior["start_time"]).tolist() == [5]
        assert session.frame_rate_hz == pytest.approx(10)

    def test_an_event_that_nothing_has_is_an_error(self, tmp_path):
        write_nwb(tmp_path / "a.nwb", [0.5], choice=[1])
        recording = of_nwb(tmp_path)
        with pytest.raises(MissingDataError, match=r"neither its trials .* 'start_tim'.* did you"):
            read_session(recording, signals=["choice"], trials=TrialTimes("start_tim"))


class TestWindowsOfTrials:
    def session(self, cue, choice, segment=None, traces=None):
        from corticode.data.session import Session

        n = len(cue)
        traces = np.random.default_rng(0).normal(size=(n, 2)) if traces is None else traces
        segment = np.zeros(n, np.int32) if segment is None else segment
        behavior = {"cue": np.asarray(cue, float), "choice": np.asarray(choice, float)}
        return Session("m1", "a", traces, ("1", "2"), behavior, segment)

    def test_one_window_a_trial_and_the_others_are_counted(self):
        cue = np.zeros(60)
        cue[[1, 2, 10, 20, 30, 40, 58]] = 1  # 1 and 2 are one event
        choice = np.full(60, np.nan)
        choice[[1, 10, 20, 40, 58]] = [0, 1, 0, 1, 1]
        traces = np.random.default_rng(0).normal(size=(60, 2))
        traces[21] = np.nan
        session = self.session(cue, choice, traces=traces)
        target = Target("choice", events="cue")
        with pytest.warns(CorticodeWarning) as told:
            windows = cut_windows([session], target, WindowShape(2, 2))
        assert windows.frame.tolist() == [10, 40] and windows.target.tolist() == [1, 1]
        words = " ".join(str(one.message) for one in told)
        assert "1 of 6 trials has no label in 'choice'" in words
        assert "3 of 6 trials have no window of 5 frames" in words

    def test_windows_that_overlap_are_counted(self):
        cue = np.zeros(60)
        cue[[5, 15, 35]] = 1
        with pytest.warns(CorticodeWarning, match="1 of 3 trials has a window that overlaps"):
            windows = cut_windows([self.session(cue, cue)], Target("choice", events="cue"),
                                  WindowShape(0, 10))  # fmt: skip
        assert windows.n_windows == 3

    def test_a_label_after_the_event_and_a_lag(self):
        cue, choice = np.zeros(40), np.zeros(40)
        cue[[10, 25]] = 1
        choice[[13, 28]] = [1, 0]
        target = Target("choice", events="cue", label_after_frames=3)
        windows = cut_windows([self.session(cue, choice)], target, WindowShape(1, 1, shift=-4))
        # The window is centred 4 frames after the event, and the trial is still known by it.
        assert windows.frame.tolist() == [10, 25] and windows.centre.tolist() == [14, 29]
        assert windows.target.tolist() == [1, 0]

    def test_no_trial_at_all_is_an_error(self):
        with pytest.raises(DataError, match="none of 1 sessions has a trial with a label"):
            cut_windows([self.session(np.zeros(40), np.zeros(40))],
                        Target("choice", events="cue"), WindowShape(1, 1))  # fmt: skip
