from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.permutation import permute_labels
from corticode.errors import DataError, StudyError


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
