"""What shifts and means have to do with behaviour, worked out by hand."""

import numpy as np
import pytest

from corticode.data.preprocessing.chain import slow_kept
from corticode.data.preprocessing.quality import Quality, with_behavior
from corticode.data.preprocessing.steps import Baseline, Blood, Steps

N, RATE_HZ = 1800, 30.0
RUNNING = (np.arange(N) // 300 % 2).astype(np.float64)  # bouts of 10 s
COURSE = np.tile(np.arange(300.0), 6)


def quality(**courses):
    return Quality({"n_frames": N}, {}, courses)


def told(behavior, n_per_bin=1, rate_hz=RATE_HZ, keeps=lambda course: course, **courses):
    return with_behavior(quality(**courses), behavior, n_per_bin, rate_hz, keeps)


class TestShift:
    def test_pixels_that_go_with_behaviour(self):
        rng = np.random.default_rng(0)
        shift = np.stack([0.3 * RUNNING, 0.4 * RUNNING], axis=1)
        numbers = told({"run": RUNNING, "noise": rng.normal(size=N)}, shift=shift).numbers
        # Half the time at 0 and half at 0.5 px: an SD of 0.25.
        assert numbers["shift_locked_run"] == pytest.approx(0.25)
        assert numbers["shift_with_run"] == 1
        assert abs(numbers["shift_with_noise"]) < 0.1 > numbers["shift_locked_noise"]

    def test_missing_shifts_and_samples_are_left_out(self):
        shift = np.stack([RUNNING, 0 * RUNNING], axis=1)
        shift[5], run = np.nan, RUNNING.copy()
        run[7] = np.nan
        assert told({"run": run}, shift=shift).numbers["shift_with_run"] == 1

    def test_texts_and_signals_of_other_lengths_are_passed_over(self):
        behavior = {"word": np.array(["a"] * N), "short": RUNNING[:9], "pair": np.ones((N, 2))}
        found = told(behavior, shift=np.ones((N, 2)), corrected=COURSE)
        assert found.numbers == {"n_frames": N} and not found.state

    def test_without_motion_there_is_no_number(self):
        assert not [name for name in told({"run": RUNNING}).numbers if name.startswith("shift")]


class TestOnsets:
    RUN = (np.arange(N) % 200 >= 150).astype(np.float64)  # 9 onsets, the last too near the end

    def test_means_around_onsets_after_a_second_of_rest(self):
        onsets = np.arange(150, N, 200)[:-1]
        found = told({"run": self.RUN}, corrected=np.arange(N) + 0.0)
        assert (found.numbers["n_onsets"], found.numbers["onset_before"]) == (8, 30)
        assert found.courses["onset_corrected"].tolist() == [
            onsets.mean() + k for k in range(-30, 90)
        ]
        assert found.state == "run"

    def test_onsets_without_rest_before_them_do_not_count(self):
        run = (np.arange(N) % 20 >= 10).astype(np.float64)
        found = told({"run": run}, corrected=COURSE)
        assert "onset_corrected" not in found.courses

    def test_onsets_follow_bins_of_frames(self):
        found = told({"run": self.RUN}, n_per_bin=3, corrected=np.arange(N // 3) + 0.0)
        assert found.numbers["onset_before"] == 10
        onsets = np.arange(150, N, 200)[:-1] // 3
        assert found.courses["onset_corrected"][10] == onsets.mean()

    def test_without_a_rate_or_a_signal_of_two_states_there_are_none(self):
        assert not told({"run": self.RUN}, rate_hz=None, corrected=COURSE).state
        assert not told({"speed": COURSE}, corrected=COURSE).state


class TestSustained:
    def kept(self, steps, **courses):
        courses = {"corrected": COURSE, **courses}
        found = told({"run": RUNNING}, keeps=lambda x: slow_kept(x, steps, RATE_HZ), **courses)
        return found.numbers["sustained_kept"]

    def test_without_filters_all_is_kept_whatever_blood_does_to_calcium(self):
        """Blood that cancels calcium in running once made this -37."""
        calcium = 0.01 * np.random.default_rng(0).normal(size=N)
        assert self.kept(Steps(), calcium=calcium, corrected=calcium + RUNNING) == 1

    @pytest.mark.parametrize(
        "steps",
        [Steps(blood=Blood("wfield")), Steps(baseline=Baseline("running", length_s=12))],
        ids=["a high-pass", "a running baseline"],
    )
    def test_what_a_filter_takes(self, steps):
        assert self.kept(steps) < 0.5

    def test_a_long_running_baseline_takes_little(self):
        assert self.kept(Steps(baseline=Baseline("running", length_s=600))) > 0.9
