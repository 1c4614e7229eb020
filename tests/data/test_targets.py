"""Tests."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corticode.data.targets import (
    Target,
    bouts,
    collect_classes,
    event_frames,
    make_target,
    number_segments,
    permute_labels,
    replace_short_runs,
    without_transitions,
)
from corticode.errors import DataError, StudyError

NAN = np.nan
SPEEDS = hnp.arrays(
    np.float64, st.integers(0, 40), elements=st.sampled_from([0.0, 0.3, 0.5, 0.7, -2.0, NAN])
)


def check(signal, target, expected, segment=None):
    values = make_target(
        np.array(signal), target, segment=None if segment is None else np.array(segment)
    ).values
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.array(expected, np.float32))


def state_by_loop(speed, segment, target):
    state, on = np.full(len(speed), NAN), False
    for t, x in enumerate(speed):
        if not np.isfinite(x) or (t and segment[t] != segment[t - 1]):
            on = False
        on = x > target.above or (on and x > target.above - target.hysteresis)
        if np.isfinite(x):
            state[t] = on
    return state


def turn_short_runs_by_loop(state, segment, value, least):
    """Runs by `itertools.groupby`; zeros are turned over only between two ones."""
    runs, t = [], 0
    for (held, part), frames in itertools.groupby(zip(state, segment, strict=True)):
        length = len(list(frames))
        runs.append((held, part, t, t + length))
        t += length
    for k, (held, part, start, stop) in enumerate(runs):
        between = [run[:2] for run in runs[max(k - 1, 0) : k + 2]]
        is_enclosed = between == [(1 - value, part), (value, part), (1 - value, part)]
        if held == value and stop - start < least and (value == 1 or is_enclosed):
            state[start:stop] = 1 - value


def binary_by_loop(speed, segment, target):
    """The same steps, a frame and a run at a time."""
    state = state_by_loop(speed, segment, target)
    turn_short_runs_by_loop(state, segment, 0, target.minimum_gap_frames)
    turn_short_runs_by_loop(state, segment, 1, target.minimum_bout_frames)
    return state


def test_threshold_is_strict_and_missing_stays_missing():
    check([0.5, 0.6, NAN, np.inf, -3], Target("speed", above=0.5), [0, 1, NAN, NAN, 0])
    check([0.5, 0.6, -3], Target("speed", above=0.5, absolute=True), [0, 1, 1])


def test_signal_of_zero_and_one():
    check([0, 1, 1], Target("runrest"), [0, 1, 1])
    check([False, True], Target("runrest"), [0, 1])
    check([0.0, NAN, 1.0], Target("runrest"), [0, NAN, 1])
    assert make_target(np.array([0, 1]), Target("runrest")).classes == ("0", "1")


def test_hysteresis_by_hand():
    target = Target("speed", above=0.5, hysteresis=0.25)
    check([0.3, 0.6, 0.3, 0.25, 0.3, 0.6, NAN, 0.3], target, [0, 1, 1, 0, 0, 1, NAN, 0])
    check([0.6, 0.3, 0.3, 0.6], target, [1, 1, 0, 1], segment=[1, 1, 2, 2])


def test_gaps_then_bouts_by_hand():
    target = Target("run", minimum_gap_frames=2, minimum_bout_frames=3)
    check([0, 1, 0, 1, 0, 0, 1, 1, 0], target, [0, 1, 1, 1, 0, 0, 0, 0, 0])
    # A gap in time cuts both the pause and the bout.
    check([1, 1, 1, 0, 1, 1, 1], target, [1, 1, 1, 0, 1, 1, 1], segment=[1, 1, 1, 1, 2, 2, 2])
    check([1, 1, 1, 1, 1], target, [1, 1, 1, 0, 0], segment=[1, 1, 1, 2, 2])
    check([1, NAN, 0, 1, 1, 1], target, [0, NAN, 0, 1, 1, 1])


@given(SPEEDS, st.data())
def test_binary_targets_agree_with_a_loop(speed, data):
    segment = np.sort(
        data.draw(hnp.arrays(np.int64, len(speed), elements=st.integers(0, 3))), kind="stable"
    )
    target = Target(
        "speed",
        above=0.5,
        hysteresis=data.draw(st.sampled_from([0, 0.1, 0.3])),
        minimum_bout_frames=data.draw(st.integers(0, 5)),
        minimum_gap_frames=data.draw(st.integers(0, 5)),
    )
    found = make_target(speed, target, segment=segment).values
    np.testing.assert_array_equal(found, binary_by_loop(speed, segment, target))


def test_frames_around_a_change_are_left_out():
    target = Target("run", exclude_transition_frames=2)
    check([0, 0, 0, 1, 1, 1, 1], target, [0, NAN, NAN, NAN, NAN, 1, 1])
    # No change is seen across a gap in time, and none is excluded beyond it.
    check([0, 0, 1, 1, 1], target, [0, 0, 1, 1, 1], segment=[1, 1, 2, 2, 2])
    check([0, 0, 1, 1, 1], target, [0, NAN, NAN, 1, 1], segment=[1, 2, 2, 3, 3])
    # The change happened somewhere in the missing frames.
    check([0, 0, 0, NAN, 1, 1, 1], target, [0, NAN, NAN, NAN, NAN, NAN, 1])


@given(
    hnp.arrays(np.float64, st.integers(0, 30), elements=st.sampled_from([0.0, 1.0, NAN])),
    st.integers(0, 4),
)
def test_excluded_frames_are_those_near_a_change(signal, n_frames):
    found = make_target(signal, Target("run", exclude_transition_frames=n_frames)).values
    expected = signal.copy()
    for before, after in itertools.pairwise(np.flatnonzero(np.isfinite(signal))):
        if n_frames and signal[before] != signal[after]:
            expected[max(before - n_frames + 1, 0) : after + n_frames] = NAN
    np.testing.assert_array_equal(found, expected)


def test_values_are_smoothed_then_made_absolute():
    target = Target("turn", kind="value", absolute=True, smooth_frames=2)
    check([-1, -3, 5, NAN], target, [1, 2, 1, NAN])
    assert make_target(np.array([1.5]), Target("turn", kind="value")).classes == ()


def test_classes_by_hand():
    trace = make_target(np.array(["walk", " rest", "", "groom"]), Target("act", kind="classes"))
    assert trace.classes == ("groom", "rest", "walk")
    np.testing.assert_array_equal(trace.values, [2, 1, NAN, 0])
    named = np.array(["a", None, NAN, "b"], object)
    np.testing.assert_array_equal(
        make_target(named, Target("act", kind="classes"), classes=("b", "a")).values,
        [1, NAN, NAN, 0],
    )
    np.testing.assert_array_equal(
        make_target(np.array([3, 1, 10]), Target("odour", kind="classes")).values, [1, 0, 2]
    )
    excluded = Target("act", kind="classes", exclude_transition_frames=1)
    check(["a", "a", "b", "b"], excluded, [0, NAN, NAN, 1])


def test_classes_of_all_sessions_are_collected():
    assert collect_classes([np.array([10, 2]), np.array([1.5, NAN])]) == ("1.5", "2", "10")
    assert collect_classes([np.array(["b"]), np.array(["10", "9"])]) == ("10", "9", "b")
    assert collect_classes([np.array([b"b", b"a"])]) == ("a", "b")
    assert collect_classes([np.array([True, False])]) == ("0", "1")
    assert collect_classes([]) == ()


@given(st.lists(st.sampled_from(["rest", "walk", "groom"]), max_size=20))
def test_class_indices_lead_back_to_the_names(signal):
    trace = make_target(np.array(signal, np.str_), Target("act", kind="classes"))
    assert [trace.classes[int(k)] for k in trace.values] == signal


@pytest.mark.parametrize(
    ("signal", "target", "message"),
    [
        (
            np.array([0, 43.1, 2]),
            Target("speed"),
            "signal 'speed' holds 3 different values from 0 to 43.1; give `above`",
        ),
        (np.array(["a"]), Target("act"), "signal 'act' holds text; kind 'binary' needs numbers"),
        (
            np.array(["a"]),
            Target("act", kind="value"),
            "holds text; kind 'value' needs numbers: choose kind 'classes'",
        ),
        (np.zeros((3, 2)), Target("xy", kind="value"), r"shape \(3, 2\); one value a frame"),
        (np.arange(200), Target("t", kind="classes"), "holds 200 different values; .* up to 100"),
    ],
)
def test_make_target_refuses(signal, target, message):
    with pytest.raises(DataError, match=message):
        make_target(signal, target)


def test_other_refusals():
    with pytest.raises(DataError, match="holds the class 'b'; the classes are a, c: correct"):
        make_target(np.array(["a", "b"]), Target("act", kind="classes"), classes=("a", "c"))
    with pytest.raises(DataError, match=r"has 3 frames and its segment column has shape \(2,\)"):
        make_target(np.zeros(3), Target("run"), segment=np.zeros(2))
    with pytest.raises(DataError, match="numbers in one session and text in another"):
        collect_classes([np.array([1.0]), np.array(["a"])])


@pytest.mark.parametrize(
    ("settings_given", "message"),
    [
        ({"kind": "multi"}, "kind is 'multi'; it must be one of binary, classes, value"),
        ({"above": 1.0, "hysteresis": -1.0}, "hysteresis is -1.0; it must be 0 or more"),
        ({"minimum_bout_frames": -1}, "minimum_bout_frames is -1"),
        ({"hysteresis": 0.2}, "hysteresis is set for signal 'speed' without a threshold"),
        ({"smooth_frames": 30}, "smooth_frames is set for signal 'speed' without a threshold"),
        ({"absolute": True}, "give `above`, or leave out absolute"),
    ],
)
def test_target_refuses(settings_given, message):
    with pytest.raises(StudyError, match=message):
        Target("speed", **settings_given)


def test_stretches_by_hand():
    finite = np.array([True, True, False, True, True])
    assert number_segments(finite).tolist() == [0, 0, 1, 2, 2]
    assert number_segments(finite, np.array([1, 1, 1, 1, 2])).tolist() == [0, 0, 1, 2, 3]


def test_short_runs_by_hand():
    state = np.array([1.0, 0, 1, 1, 0, 0])
    stretch = np.zeros(6, int)
    assert replace_short_runs(state, stretch, 0, 2).tolist() == [1, 1, 1, 1, 0, 0]
    assert replace_short_runs(state, stretch, 1, 2).tolist() == [0, 0, 1, 1, 0, 0]
    assert replace_short_runs(state, stretch, 1, 1) is state


def test_transitions_by_hand():
    np.testing.assert_array_equal(
        without_transitions(np.array([0.0, 0, 0, 1, 1, 1]), 1), [0, 0, NAN, NAN, 1, 1]
    )


def test_bouts_by_hand():
    values = np.array([1, 1, 0, NAN, NAN, 0, 0, 1], np.float32)
    start, stop, value = bouts(values)
    assert (start.tolist(), stop.tolist()) == ([0, 2, 5, 7], [2, 3, 7, 8])
    assert value.tolist() == [1, 0, 0, 1]
    segment = np.array([1, 2, 2, 2, 2, 2, 3, 3])
    assert bouts(values, segment)[0].tolist() == [0, 1, 2, 5, 6, 7]
    assert [part.size for part in bouts(np.zeros(0))] == [0, 0, 0]


@given(hnp.arrays(np.float64, st.integers(0, 40), elements=st.sampled_from([0.0, 1.0, 2.0, NAN])))
def test_bouts_rebuild_the_trace(values):
    rebuilt = np.full(len(values), NAN)
    start, stop, value = bouts(values)
    for a, b, held in zip(start, stop, value, strict=True):
        rebuilt[a:b] = held
    np.testing.assert_array_equal(rebuilt, values)


def numbered(n_sessions, n_frames=6):
    """Traces no two values of which agree, so that each can be traced back."""
    return [(100 * k + np.arange(n_frames)).astype(np.float32) for k in range(1, n_sessions + 1)]


def test_two_sessions_change_places():
    first, second = numbered(2)
    permuted = permute_labels([first, second], ["m1", "m1"], "sessions", seed=3)
    np.testing.assert_array_equal(permuted, [second, first])


def test_unequal_sessions_are_cut_or_left_open():
    targets = [np.array([1, 2, 3], np.float32), np.array([4, 5], np.float32)]
    long, short = permute_labels(targets, ["m1", "m1"], "sessions", seed=0)
    np.testing.assert_array_equal(long, [4, 5, np.nan])
    np.testing.assert_array_equal(short, [1, 2])


def test_two_segments_change_places():
    target = np.array([1, 2, 3, 4, 5], np.float32)
    segment = np.array([7, 7, 7, 8, 8])
    (permuted,) = permute_labels([target], ["m1"], "segments", seed=0, segments=[segment])
    np.testing.assert_array_equal(permuted, [4, 5, np.nan, 1, 2])


def test_two_blocks_change_places():
    (permuted,) = permute_labels(numbered(1), ["m1"], "blocks", seed=0, n_blocks=2)
    assert permuted.tolist() == [103, 104, 105, 100, 101, 102]


def test_frames_without_a_target_stay_so():
    target = np.array([1, np.nan, 2, 3, 4, 5, 6, 7, 8], np.float32)
    before = target.copy()
    (permuted,) = permute_labels([target], ["m1"], "frames", seed=0)
    assert np.flatnonzero(np.isnan(permuted)).tolist() == [1]
    assert sorted(permuted[np.isfinite(permuted)]) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (permuted[2:] != target[2:]).any()
    np.testing.assert_array_equal(target, before)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.integers(0, 2**32))
def test_sessions_have_no_fixed_points_and_stay_with_their_animal(animals, seed):
    counts = Counter(animals)
    animals = [animal for animal in animals if counts[animal] > 1]
    targets = numbered(len(animals))
    permuted = permute_labels(targets, animals, "sessions", seed)
    for animal in counts:
        own = [k for k, owner in enumerate(animals) if owner == animal]
        sources = [int(permuted[k][0]) // 100 - 1 for k in own]
        assert sorted(sources) == own
        assert all(source != k for source, k in zip(sources, own, strict=True))


@given(
    st.integers(1, 4),
    st.integers(2, 10),
    st.integers(1, 4),
    st.sampled_from(["blocks", "segments"]),
)
def test_pieces_have_no_fixed_points(n_sessions, n_pieces, n_frames, how):
    targets = numbered(n_sessions, n_pieces * n_frames)
    segments = [np.repeat(np.arange(n_pieces), n_frames)] * n_sessions
    permuted = permute_labels(
        targets, ["m"] * n_sessions, how, 5, segments=segments, n_blocks=n_pieces
    )
    for target, found in zip(targets, permuted, strict=True):
        assert sorted(found) == sorted(target)
        assert (found != target).all()


@pytest.mark.parametrize("how", ["sessions", "segments", "blocks", "frames"])
def test_other_animals_change_nothing(how):
    targets = numbered(6, 20)
    animals = ["m1", "m2", "m1", "m2", "m2", "m1"]
    segments = [np.arange(20) // 4] * 6
    together = permute_labels(targets, animals, how, 8, segments=segments)
    alone = permute_labels(
        [targets[k] for k in (1, 3, 4)], ["m2"] * 3, how, 8, segments=segments[:3]
    )
    np.testing.assert_array_equal([together[k] for k in (1, 3, 4)], alone)
    other_seeds = [permute_labels(targets, animals, how, k, segments=segments) for k in range(9)]
    assert any(not np.array_equal(other, together) for other in other_seeds)


def test_all_derangements_are_equally_likely():
    targets = numbered(4, 1)
    drawn = Counter(
        tuple(int(trace[0]) for trace in permute_labels(targets, ["m"] * 4, "sessions", seed))
        for seed in range(1800)
    )
    assert len(drawn) == 9
    # 200 each expected; binomial SD 13.
    assert max(abs(count - 200) for count in drawn.values()) < 4 * 13.4


@pytest.mark.parametrize(
    ("how", "options", "message"),
    [
        ("days", {}, "permute_labels is 'days'; it must be one of sessions, segments, blocks"),
        ("sessions", {}, "animal 'm1' has 1 of the two or more sessions .* 'segments' or 'blocks'"),
        ("segments", {}, "needs gaps in time; name the catalogue's `segment` column"),
        (
            "segments",
            {"segments": [np.ones(6)], "names": ["day3"]},
            "session 'day3' of animal 'm1' has 1 of the two or more segments",
        ),
        ("blocks", {"n_blocks": 1}, "session '0' of animal 'm1' has 1 of the two or more blocks"),
    ],
)
def test_permute_labels_refuses_settings(how, options, message):
    with pytest.raises(StudyError, match=message):
        permute_labels(numbered(1), ["m1"], how, 0, **options)


def test_permute_labels_refuses_lists_that_disagree():
    with pytest.raises(DataError, match="1 target traces came with 2 animals"):
        permute_labels(numbered(1), ["m1", "m2"], "frames", 0)
    with pytest.raises(DataError, match="session '0' has 6 frames and 5 values of segment"):
        permute_labels(numbered(1), ["m1"], "segments", 0, segments=[np.ones(5)])


@pytest.mark.parametrize(
    "target",
    [
        Target("speed", kind="value", smooth_frames=20),
        Target("speed", kind="binary", above=5.0, smooth_frames=20),
    ],
)
def test_smoothing_stops_at_the_border_of_a_trial(target):
    """A mean over two trials would call frames at rest a run, and frames of running rest."""
    speed = np.repeat([10.0, 0.0, 10.0, 0.0], 50)
    trial = np.repeat(np.arange(4), 50)
    made = make_target(speed, target, segment=trial).values
    np.testing.assert_array_equal(made, speed if target.kind == "value" else speed > 5)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e7, 1.7e9, 1e12])
def test_values_keep_their_digits_beside_an_offset(offset):
    changes = np.random.default_rng(0).normal(size=500)
    made = make_target(offset + changes, Target("clock", kind="value")).values
    assert np.unique(made).size == 500 or offset == 1e12
    np.testing.assert_allclose(made - offset, changes, atol=1e-3)
    assert made.dtype == (np.float32 if abs(offset) < 1e3 else np.float64)


def test_permuted_values_keep_their_digits():
    traces = [1e9 + np.arange(3.0), 2e9 + np.arange(4.0)]
    one, other = permute_labels(traces, ["m1", "m1"], "sessions", 0)
    assert one.tolist() == traces[1][:3].tolist()
    assert other[:3].tolist() == traces[0].tolist()
    shuffled = permute_labels(traces, ["m1", "m1"], "frames", 0)
    assert sorted(shuffled[0]) == traces[0].tolist()


def test_values_beyond_what_can_be_computed_with():
    with pytest.raises(DataError, match=r"signal 'x' holds values up to 1e\+300; .* another unit"):
        make_target(np.array([0.0, 1e300]), Target("x", kind="value"))


class TestTrials:
    def test_begin_where_a_signal_rises(self):
        cue = np.array([1, 1, 0, np.nan, 1, 0, 1, 1])
        target = Target("choice", events="cue")
        assert event_frames(cue, target).tolist() == [0, 4, 6]
        with pytest.raises(DataError, match=r"more than 0 and 1; .* event_at = 'change'"):
            event_frames(np.array([0, 1, 2]), target)
        with pytest.raises(DataError, match="the signal 'cue', which begins trials, is not there"):
            event_frames(None, target)

    def test_begin_where_their_number_or_name_changes(self):
        target = Target("choice", events="trial", event_at="change")
        assert event_frames(np.array([0, 1, 1, 2, 0, 2, np.nan]), target).tolist() == [1, 3, 5]
        assert event_frames(np.array(["", "a", "a", "b"]), target).tolist() == [1, 3]

    def test_have_one_label_and_classes_are_those_of_trials(self):
        act = np.array(["idle", "left", "left", "idle", "right"])
        target = Target("act", "classes", events="cue")
        made = make_target(act, target, events=np.array([0, 1, 0, 0, 1]))
        assert made.classes == ("left", "right")
        np.testing.assert_array_equal(made.values, [np.nan, 0, np.nan, np.nan, 1])

    def test_take_no_label_across_a_gap(self):
        target = Target("choice", events="cue", label_after_frames=2)
        cue, segment = np.array([1, 0, 0, 1, 0, 0]), np.array([0, 0, 0, 0, 0, 1])
        made = make_target(np.arange(6) % 2, target, segment=segment, events=cue)
        np.testing.assert_array_equal(made.values, [0, *[np.nan] * 5])

    def test_thresholds_hold_and_stretches_of_frames_do_not(self):
        speed, cue = np.array([-9.0, 1, 2, -3]), np.array([1, 0, 1, 0])
        target = Target("speed", above=2.5, absolute=True, events="cue")
        np.testing.assert_array_equal(
            make_target(speed, target, events=cue).values, [1, np.nan, 0, np.nan]
        )
        with pytest.raises(StudyError, match="minimum_bout_frames is set beside the trials of"):
            Target("speed", above=1, minimum_bout_frames=3, events="cue")
        with pytest.raises(StudyError, match="event_at is 'fall'"):
            Target("choice", events="cue", event_at="fall")

    def test_change_labels_within_their_session(self):
        labels = np.full(50, np.nan, np.float32)
        labels[::5] = np.arange(10)
        (moved,) = permute_labels([labels], ["m1"], "trials", seed=1)
        assert np.flatnonzero(np.isfinite(moved)).tolist() == list(range(0, 50, 5))
        assert sorted(moved[::5]) == list(range(10)) and not np.array_equal(moved[::5], labels[::5])
