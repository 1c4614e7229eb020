"""One thing in two places is found, whatever its form; what only resembles it is not."""

import numpy as np
import pytest

from corticode.data.catalogue import Recording
from corticode.data.leaks import (
    Twice,
    alike_classes,
    alike_names,
    same_behavior,
    same_recordings,
    target_among_regions,
)
from corticode.data.readers.lookup import spelling
from corticode.data.session import Session
from corticode.data.targets import Target, TargetTrace, make_target

N = 600


def session(name, traces=None, *, movie=None, **behavior):
    n_frames = len(next(one for one in (traces, movie, *behavior.values()) if one is not None))
    regions = () if traces is None else tuple(str(k + 1) for k in range(traces.shape[1]))
    segment = np.zeros(n_frames, np.int32)
    return Session("m1", name, traces, regions, behavior, segment, 10.0, movie)


def noise(seed, n_regions=5, smooth=1):
    white = np.random.default_rng(seed).normal(size=(N + smooth - 1, n_regions))
    kernel = np.ones(smooth) / smooth
    return np.stack([np.convolve(column, kernel, "valid") for column in white.T], axis=1)


def bouts(seed, n_frames=N):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(8, 40, size=n_frames)
    return np.resize(np.repeat(np.arange(n_frames) % 2, lengths), n_frames).astype(float)


SPIKE = noise(0)
SPIKE[300] += 500
COPIES = {
    "float32": noise(0).astype(np.float32),
    "text of four digits": np.round(noise(0), 4),
    "whole numbers": np.round(1000 * noise(0)).astype(np.int16),
    "other units": 3.5 * noise(0) + 100,
    "regions scaled apart": noise(0) * np.arange(1, 6) - np.arange(5),
    "regions in another order": noise(0)[:, [3, 0, 4, 2, 1]],
    "drift": noise(0) + np.linspace(0, 20, N)[:, None],
    "an artefact": SPIKE,
    "cut at the end": noise(0)[:-30],
    "cut at the start": noise(0)[25:],
    "cut at both ends": noise(0)[17:-40],
    "missing frames": np.where(np.arange(N)[:, None] % 100 == 7, np.nan, noise(0)),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("is_first", [True, False])
def test_one_recording_in_two_forms(copy, is_first):
    three = [session("a", noise(0)), session("b", noise(1)), session("c", copy)]
    found = same_recordings(three if is_first else three[::-1])
    assert found == [Twice(0, 2)]


@pytest.mark.parametrize("smooth", [1, 10, 60])
def test_days_are_told_apart(smooth):
    """Slow signals, and light that flickers alike on all days, make no two recordings one."""
    flicker = np.sin(np.arange(N) * 2.0)[:, None]
    for share in (0.0, 0.3, 3.0):
        days = [session(f"{k}", noise(k, smooth=smooth) + share * flicker) for k in range(8)]
        assert same_recordings(days) == []


def test_what_cannot_be_told_is_no_copy():
    flat, ramp = np.ones((N, 2)), np.arange(2.0 * N).reshape(N, 2)
    few = noise(0)[:20]
    assert same_recordings([session(f"{k}", one) for k, one in enumerate((flat, flat))]) == []
    assert same_recordings([session(f"{k}", one) for k, one in enumerate((ramp, ramp))]) == []
    assert same_recordings([session("a", few), session("b", few)]) == []


def test_movies_by_their_ends():
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 4000, (150, 8, 8)).astype(np.uint16) for _ in range(2))
    movies = [one, other, one.astype(np.float32), one[20:]]
    found = same_recordings([session(f"{k}", movie=movie) for k, movie in enumerate(movies)])
    assert found == [Twice(0, 2), Twice(0, 3), Twice(2, 3)]


SPEED = np.abs(np.convolve(np.random.default_rng(5).normal(size=N + 9), np.ones(10), "valid"))
BEHAVIOR = {
    "one file": (bouts(0), bouts(0)),
    "whole numbers": (bouts(0), bouts(0).astype(int)),
    "text": (np.where(bouts(0) > 0, "run", "rest"), np.where(bouts(0) > 0, "run", "rest")),
    "another unit": (SPEED, SPEED / 100),
    "float32": (SPEED, SPEED.astype(np.float32)),
    "cut": (SPEED, SPEED[15:]),
}


@pytest.mark.parametrize("pair", BEHAVIOR.values(), ids=BEHAVIOR)
def test_one_behavior_in_two_sessions(pair):
    one, other = pair
    others = SPEED[::-1] if one.dtype.kind == "f" and np.unique(one).size > 2 else None
    middle = session("b", x=bouts(3) if others is None else others)
    if one.dtype.kind == "U":
        middle = session("b", x=np.where(bouts(3) > 0, "run", "rest"))
    [found] = same_behavior([session("a", x=one), middle, session("c", x=other)], ["x"])
    assert found.what == "leak"
    assert found.count == 2
    assert found.reason.startswith("signal 'x' is the same, frame by frame, in m1/a, m1/c: ")


@pytest.mark.parametrize(
    "signal",
    [
        np.arange(N) % 40 > 19,
        np.arange(N) % 60 // 20,
        2.0 * np.arange(N),
        np.zeros(N),
        np.repeat([0, 1], N // 2),
    ],
    ids=["trials", "phases", "time", "nothing", "one change"],
)
def test_a_schedule_may_be_that_of_every_day(signal):
    assert same_behavior([session("a", x=signal), session("b", x=signal)], ["x"]) == []


def test_other_behavior_is_no_copy():
    days = [session(f"{k}", run=bouts(k), speed=np.roll(SPEED, 60 * k)) for k in range(3)]
    assert same_behavior(days, ["run"]) == []
    slow = [session(f"{k}", speed=np.sin(np.arange(N) / (20 + k))) for k in range(5)]
    assert same_behavior(slow, ["speed"]) == []


def test_a_recording_that_stands_twice_is_said_once():
    both = [session("a", noise(0), run=bouts(0)), session("b", noise(0), run=bouts(0))]
    assert same_behavior(both, ["run"], but_for=same_recordings(both)) == []


class TestNames:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("m1", "M1"),
            ("mouse 1", "mouse_01"),
            ("mouse-001", "Mouse1"),
            ("Jo\u0308rg", "J\u00f6rg"),
            ("S\u00a02", "s2"),
            ("2024-05-01", "2024-5-1"),
            ("2024_05_01", "2024 05 01"),
        ],
    )
    def test_alike(self, one, other):
        assert spelling(one) == spelling(other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [("m1", "m10"), ("1-12", "11-2"), ("m1", "n1"), ("wt+", "wt"), ("1.5", "15"), ("a", "")],
    )
    def test_not_alike(self, one, other):
        assert spelling(one) != spelling(other)

    def test_sessions_of_an_animal(self):
        names = [("m1", "day 1"), ("m1", "Day_01"), ("m1", "day 2"), ("m2", "day1")]
        [found] = alike_names([Recording(*name) for name in names])
        assert (found.what, found.animal) == ("leak", "m1")
        assert found.reason.startswith("sessions 'day 1', 'Day_01' differ in case, blanks, ")

    def test_classes(self):
        values = np.zeros(3, np.float32)
        traces = [TargetTrace(values, ("Left", "right")), TargetTrace(values, ("left", "right"))]
        [found] = alike_classes(traces, "choice")
        assert found.reason.startswith("classes 'Left' and 'left' of 'choice' differ in case")
        assert alike_classes([TargetTrace(values, ("-1", "0", "1"))], "choice") == []

    def test_days_before_and_after_are_two(self):
        assert alike_names([Recording("m1", "day-1"), Recording("m1", "day1")]) == []


class TestTargetAmongRegions:
    def found(self, make, target, signals):
        sessions = [session(f"{k}", make(k, one), s=one) for k, one in enumerate(signals)]
        targets = [make_target(one, target) for one in signals]
        return target_among_regions(sessions, targets, "s")

    @pytest.mark.parametrize(
        ("target", "column"),
        [
            (Target("s"), lambda run: 2 - run),
            (Target("s"), lambda run: run + 0.1 * noise(9)[:, 0]),
            (Target("s", kind="value"), lambda run: 3 * run + 1),
            (Target("s", kind="classes"), lambda run: run * 10),
        ],
    )
    def test_is_named_with_its_region(self, target, column):
        def make(k, run):
            traces = noise(k)
            traces[:, 3] = column(run)
            return traces

        [found] = self.found(make, target, [bouts(k) for k in range(3)])
        assert (found.what, found.count) == ("leak", 3)
        assert (
            "region '4' follows the target 's' in 3 of 3 sessions as no brain does" in found.reason
        )

    def test_the_signal_that_the_target_is_made_from(self):
        def make(k, speed):
            return np.column_stack([noise(k)[:, :2], speed])

        speeds = [np.abs(noise(50 + k, 1, smooth=8)[:, 0]) for k in range(2)]
        target = Target("s", above=0.3)
        [found] = self.found(make, target, speeds)
        assert "region '3'" in found.reason

    def test_what_follows_well_is_a_brain(self):
        """A region in which running shows in every frame: AUC 0.985."""

        def make(k, run):
            return noise(k) + 3.1 * run[:, None]

        assert self.found(make, Target("s"), [bouts(k) for k in range(3)]) == []

    def test_one_session_of_many_is_chance(self):
        def make(k, run):
            traces = noise(k)
            if k == 0:
                traces[:, 3] = run
            return traces

        assert self.found(make, Target("s"), [bouts(k) for k in range(3)]) == []

    def test_what_drifts_together_is_no_copy(self):
        """Bleaching, and a count that rises all day."""

        def make(k, count):
            return noise(k) * 0.01 - np.linspace(0, 5, N)[:, None] ** 1.5

        counts = [np.cumsum(np.random.default_rng(k).random(N) < 0.1) * 1.0 for k in range(3)]
        assert self.found(make, Target("s", kind="value"), counts) == []

    def test_equal_values_tell_nothing(self):
        """A region that is 0 nearly always, and a target that is one class, then the other."""

        def make(k, run):
            traces = np.zeros((N, 2))
            traces[np.random.default_rng(k).integers(0, N, 5)] = 1
            return traces

        halves = [np.repeat([0.0, 1.0], N // 2)] * 3
        assert self.found(make, Target("s"), halves) == []

    def test_without_traces_or_a_known_target_nothing_is_said(self):
        unknown = TargetTrace(np.full(N, np.nan, np.float32), ("0", "1"))
        assert target_among_regions([session("a", noise(0))], [unknown], "s") == []
        movie = session("a", movie=np.zeros((N, 4, 4), np.uint8))
        assert target_among_regions([movie], [unknown], "s") == []
