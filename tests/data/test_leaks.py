import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.catalogue import Recording
from corticode.data.folds import leave_animals_out, leave_blocks_out, leave_sessions_out
from corticode.data.leaks import Twice, find_leaks
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.preprocess import Preprocessing
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.targets import Target
from corticode.data.windows import WindowShape
from corticode.errors import DataError

CLEAN = Preprocessing(scale_over="training")
FIVE = WindowShape(2, 2)


def blocks(gap_frames):
    return leave_blocks_out(["m1"], ["a"], [3000], gap_frames=gap_frames)


@pytest.mark.parametrize(("history", "n_leaks"), [("whole session", 1), ("first 60 s", 0)])
def test_preprocessing_of_whole_sessions_between_blocks(history, n_leaks):
    """F0 and slopes that saw the test blocks; those of a warm-up did not."""
    recordings = [Recording("m1", "a", history=f"dF/F, F0: mean ({history})")]
    found = find_leaks(CLEAN, FIVE, blocks(100), recordings)
    assert ["was fitted on whole sessions" in one.reason for one in found] == [True] * n_leaks
    assert not find_leaks(CLEAN, FIVE, leave_animals_out(["m1", "m2", "m3"]), recordings)


class TestSameData:
    @pytest.fixture
    def recording(self, tmp_path):
        def make(animal, session, content, dataset=None):
            path = tmp_path / f"{animal}-{session}.npy"
            np.save(path, np.full((4, 2), content))
            return Recording(animal, session, traces=ArrayLocation(path, dataset))

        return make

    def test_in_two_animals(self, recording):
        catalogue = [recording(f"m{k}", "a", k % 3) for k in (1, 2, 3, 4)]
        with pytest.raises(
            DataError,
            match=r"m1/a and m4/a hold the same data; fold 'test-m1_valid-m2' would have one in "
            r"its test part and the other in its train part: correct the catalogue",
        ):
            find_leaks(CLEAN, FIVE, leave_animals_out(["m1", "m2", "m3", "m4"]), catalogue)

    def test_in_validation_and_test(self, recording):
        catalogue = [recording("m1", "a", 7), recording("m2", "a", 7), recording("m3", "a", 8)]
        fold = [f for f in leave_animals_out(["m1", "m2", "m3"]) if f.train[0].animal == "m3"]
        with pytest.raises(
            DataError, match=r"m1/a and m2/a hold the same data.*'test-m1_valid-m2'"
        ):
            find_leaks(CLEAN, FIVE, fold, catalogue)

    def test_in_two_sessions_of_an_animal(self, recording):
        catalogue = [recording("m1", s, c) for s, c in (("a", 0), ("b", 1), ("c", 0))]
        folds = leave_sessions_out(["m1"] * 3, ["a", "b", "c"])
        with pytest.raises(DataError, match="recordings m1/a and m1/c hold the same data"):
            find_leaks(CLEAN, FIVE, folds, catalogue)
        [found] = find_leaks(CLEAN, FIVE, leave_animals_out(["m1", "m2", "m3"]), catalogue)
        assert found.reason == (
            "recordings m1/a and m1/c hold the same data, which counts twice; take one of their "
            "rows out of the catalogue"
        )

    def test_in_the_same_part_counts_twice(self, recording):
        catalogue = [recording(a, "a", c) for a, c in (("m1", 0), ("m2", 1), ("m3", 2), ("m4", 2))]
        fold = leave_animals_out(["m1", "m2", "m3", "m4"])[0]
        [found] = find_leaks(CLEAN, FIVE, [fold], catalogue)
        assert (found.what, "m3/a and m4/a hold the same data" in found.reason) == ("leak", True)

    def test_known_by_what_was_read(self, recording):
        """Files of other bytes may hold one recording (see `same_recordings`)."""
        catalogue = [recording(f"m{k}", "a", k) for k in (1, 2, 3)]
        with pytest.raises(DataError, match="m1/a and m3/a hold the same data; fold"):
            find_leaks(
                CLEAN, FIVE, leave_animals_out(["m1", "m2", "m3"]), catalogue, same=[Twice(0, 2)]
            )

    def test_of_one_file_under_two_names_of_arrays_is_not_the_same(self, recording):
        catalogue = [
            recording("m1", "a", 0, "first"),
            recording("m2", "a", 0, "second"),
            recording("m3", "a", 1),
        ]
        assert find_leaks(CLEAN, FIVE, leave_animals_out(["m1", "m2", "m3"]), catalogue) == []


class TestBetweenBlocks:
    def test_nothing_leaks_through_window_and_gap_alone(self):
        assert find_leaks(CLEAN, FIVE, blocks(5), []) == []

    def test_whole_animals_have_no_neighbours(self):
        folds = leave_animals_out(["m1", "m2", "m3"])
        preprocessing = Preprocessing(detrend_frames=1000, scale="min-max")
        assert find_leaks(preprocessing, FIVE, folds, []) == []

    @pytest.mark.parametrize(
        ("scale_over", "seen"), [("session", "the whole session"), ("causal", "all earlier frames")]
    )
    def test_scales_that_reach_beyond_the_training_blocks(self, scale_over, seen):
        preprocessing = Preprocessing(scale="z-score", scale_over=scale_over)
        (finding,) = find_leaks(preprocessing, FIVE, blocks(5), [])
        assert str(finding) == (
            f"z-score scaling uses {seen}, so training blocks know the level and spread of test "
            "blocks; scale_over = 'training' avoids it"
        )

    def test_filters_that_reach_across_the_gap(self):
        preprocessing = Preprocessing(detrend_frames=100, smooth_frames=3, scale="none")
        (finding,) = find_leaks(preprocessing, FIVE, blocks(5), [])
        # 4 frames of the window beside its centre, 99 and 2 of the filters beside theirs.
        assert str(finding) == (
            "detrending over 100 frames and smoothing over 3 frames and the window of 5 frames "
            "reach from training into test blocks across the gap of 5 frames; [folds] gap_frames "
            "= 105 keeps them apart"
        )
        assert find_leaks(preprocessing, FIVE, blocks(105), []) == []

    @given(
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(1, 12),
        st.booleans(),
        st.integers(0, 20),
    )
    def test_told_exactly_where_frames_are_shared(self, before, after, length, causal, gap):
        window = WindowShape(before, after)
        folds = leave_blocks_out(["m1"], ["a"], [150], blocks=3, gap_frames=gap)
        preprocessing = Preprocessing(smooth_frames=length, causal=causal, scale="none")
        back = before + (length - 1 if causal else length // 2)
        ahead = after + (0 if causal else (length - 1) // 2)

        def raw_frames(parts):
            centres = [t for p in parts for t in range(p.first_frame, p.stop_frame)]
            return {t + k for t in centres for k in range(-back, ahead + 1)}

        shares = any(
            raw_frames(one) & raw_frames(other)
            for fold in folds
            for one, other in (
                (fold.train, fold.valid),
                (fold.train, fold.test),
                (fold.valid, fold.test),
            )
        )
        assert bool(find_leaks(preprocessing, window, folds, [])) == shares


def test_smoothed_targets_reach_between_blocks():
    smoothed = Target("speed", "value", smooth_frames=30)
    (finding,) = find_leaks(CLEAN, FIVE, blocks(11), [], smoothed)
    assert "share behaviour across the gap of 11 frames; [folds] gap_frames = 29" in str(finding)
    assert find_leaks(CLEAN, FIVE, blocks(29), [], smoothed) == []


def test_the_way_out_fits_the_blocks():
    detrended = Preprocessing(detrend_frames=1000, scale_over="training")
    long = leave_blocks_out(["m1"], ["a"], [30_000], gap_frames=5)
    [finding] = find_leaks(detrended, FIVE, long, [])
    assert finding.reason.endswith("[folds] gap_frames = 1003 keeps them apart")
    [finding] = find_leaks(detrended, FIVE, blocks(5), [])
    assert "leave no room for a gap of 1003: take shorter filters" in finding.reason


def test_movies_know_the_whole_session():
    folds = blocks(7)
    for causal, seen in ((False, "the whole session"), (True, "all earlier frames")):
        pixels = PixelPreprocessing(causal=causal)
        [finding] = find_leaks(Preprocessing(), FIVE, folds, [], pixels=pixels)
        assert f"are those of {seen}" in finding.reason
    animals = leave_animals_out(["m1", "m2", "m3"])
    assert find_leaks(Preprocessing(), FIVE, animals, [], pixels=PixelPreprocessing()) == []
