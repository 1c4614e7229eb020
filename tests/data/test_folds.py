from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.folds import (
    Fold,
    Part,
    between_groups,
    leave_animals_out,
    leave_blocks_out,
    leave_sessions_out,
    split_windows,
    with_less_training,
)
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.errors import FoldError, StudyError

FIVE = WindowShape(2, 2)


def session(animal, name, n_frames=20, segment=None):
    return Session(
        animal,
        name,
        np.arange(2.0 * n_frames).reshape(n_frames, 2),
        ("1", "2"),
        {"run": np.arange(n_frames) % 2.0},
        np.zeros(n_frames, np.int32) if segment is None else np.asarray(segment, np.int32),
    )


def windows_in(sessions, window=FIVE):
    return cut_windows(sessions, Target("run"), window, preprocessing=Preprocessing(scale="none"))


def frames_used(windows):
    """Rows of the traces, or of their target, that some window uses."""
    shape = windows.recipe.window
    seen = {int(s) + k for s in windows.start for k in range(shape.n_frames)}
    return seen | {int(s) + shape.before + shape.shift for s in windows.start}


class TestAnimals:
    def test_all_ordered_pairs_of_five(self):
        folds = leave_animals_out(["m1", "m1", "m2", "m3", "m4", "m5", "m5"])
        assert len(folds) == len({fold.name for fold in folds}) == 20
        assert folds[0] == Fold(
            "test-m1_valid-m2",
            (Part("m3"), Part("m4"), Part("m5")),
            (Part("m2"),),
            (Part("m1"),),
        )
        assert folds[-1].name == "test-m5_valid-m4"
        assert all(set(fold.animals) == {"m1", "m2", "m3", "m4", "m5"} for fold in folds)

    def test_fewer_than_three(self):
        with pytest.raises(StudyError, match=r"got 2; with two, \[folds\] validate = 'session'"):
            leave_animals_out(["m1", "m2", "m1"])
        with pytest.raises(StudyError, match=r"at least 3 animals .*, got 1; use \[folds\] by"):
            leave_animals_out(["m1", "m1"])

    def test_sessions_of_training_animals_validate(self):
        """With two animals each tests once, decoded by the other one alone."""
        one, other = leave_animals_out(
            ["m1", "m1", "m2", "m2", "m2"], list("ababc"), validate="session"
        )
        assert one == Fold(
            "test-m1_valid-sessions",
            (Part("m2", "a"), Part("m2", "b")),
            (Part("m2", "c"),),
            (Part("m1"),),
        )
        assert (other.train, other.valid) == ((Part("m1", "a"),), (Part("m1", "b"),))

    def test_an_animal_with_one_session_only_trains(self):
        folds = leave_animals_out(["m1", "m2", "m3", "m3"], list("aaab"), validate="session")
        assert folds[0].train == (Part("m2", "a"), Part("m3", "a"))
        assert folds[0].valid == (Part("m3", "b"),)
        assert [fold.name for fold in folds] == ["test-m1_valid-sessions", "test-m2_valid-sessions"]

    def test_no_session_that_could_validate(self):
        with pytest.raises(StudyError, match=r"with two sessions, one to train .* by = 'block'"):
            leave_animals_out(["m1", "m2"], list("aa"), validate="session")
        with pytest.raises(StudyError, match="need at least 2 animals, got 1"):
            leave_animals_out(["m1", "m1"], list("ab"), validate="session")
        with pytest.raises(StudyError, match="with the name of each session"):
            leave_animals_out(["m1", "m2"], validate="session")

    def test_windows_by_animal(self):
        sessions = [session(a, s) for a in ("m1", "m2", "m3") for s in ("a", "b")]
        windows = windows_in(sessions)
        split = split_windows(windows, leave_animals_out(["m1", "m2", "m3"])[5])
        names = [
            {windows.animal_names[k] for k in part.animal}
            for part in (split.train, split.valid, split.test)
        ]
        assert names == [{"m1"}, {"m2"}, {"m3"}]
        assert [p.n_windows for p in (split.train, split.valid, split.test)] == [32, 32, 32]


class TestSessions:
    def test_the_next_session_validates(self):
        folds = leave_sessions_out(["m1"] * 3 + ["m2"] * 4, ["a", "b", "c", "a", "b", "c", "d"])
        assert [fold.name for fold in folds] == [
            "m1_test-a_valid-b",
            "m1_test-b_valid-c",
            "m1_test-c_valid-a",
            "m2_test-a_valid-b",
            "m2_test-b_valid-c",
            "m2_test-c_valid-d",
            "m2_test-d_valid-a",
        ]
        assert folds[3].train == (Part("m2", "c"), Part("m2", "d"))
        assert folds[3].animals == ("m2",)

    def test_sessions_of_one_name_are_told_apart_by_animal(self):
        sessions = [session(a, s) for a in ("m1", "m2") for s in ("a", "b", "c")]
        fold = leave_sessions_out([s.animal for s in sessions], [s.session for s in sessions])[3]
        split = split_windows(windows_in(sessions), fold)
        assert set(split.test.session.tolist()) == {3}
        assert set(split.valid.session.tolist()) == {4}
        assert set(split.train.session.tolist()) == {5}

    def test_fewer_than_three(self):
        folds = leave_sessions_out(["m1"] * 3 + ["m2"] * 2, ["a", "b", "c", "a", "b"])
        assert {fold.animals for fold in folds} == {("m1",)}
        with pytest.raises(StudyError, match=r"no animal has as many: use \[folds\] by = 'block'"):
            leave_sessions_out(["m1"] * 2 + ["m2"] * 2, ["a", "b", "a", "b"])

    def test_of_trials_hold_whole_ones_and_as_many_each(self):
        trials = np.array([10, 12, 40, 90, 91, 150, 190])
        folds = leave_blocks_out(["m1"], ["a"], [200], blocks=3, gap_frames=0, trials=[trials])
        # Blocks of 2, 2 and 3 trials end midway between two: (12 + 40) / 2 and (90 + 91) / 2.
        assert [fold.test[0] for fold in folds] == [
            Part("m1", "a", 0, 26), Part("m1", "a", 26, 91), Part("m1", "a", 91, 200)
        ]  # fmt: skip
        gapped = leave_blocks_out(["m1"], ["a"], [200], blocks=3, gap_frames=4, trials=[trials])
        assert gapped[0].test[0] == Part("m1", "a", 0, 24)
        with pytest.raises(StudyError, match=r"m1/a has 2 trials; .* one for each of 3 blocks"):
            leave_blocks_out(["m1"], ["a"], [200], blocks=3, gap_frames=0, trials=[trials[:2]])

    def test_folds_of_one_name(self):
        with pytest.raises(
            StudyError, match=r"folds of m1/b_test-c and of m1_test-b/c would both be named"
        ):
            leave_sessions_out(
                ["m1"] * 3 + ["m1_test-b"] * 3, ["b_test-c", "v", "w", "c", "v", "w"]
            )


class TestBlocks:
    def test_by_hand(self):
        folds = leave_blocks_out(["m1"], ["a"], [100], gap_frames=5)
        assert [fold.name for fold in folds] == [
            f"m1_a_test-{k}_valid-{(k + 1) % 5}" for k in range(5)
        ]
        # Blocks of 20; 3 frames are left out after an edge between roles and 2 before it.
        assert folds[1] == Fold(
            "m1_a_test-1_valid-2",
            (Part("m1", "a", 0, 18), Part("m1", "a", 63, 80), Part("m1", "a", 80, 100)),
            (Part("m1", "a", 43, 58),),
            (Part("m1", "a", 23, 38),),
        )
        assert folds[4].valid == (Part("m1", "a", 0, 18),)

    def test_of_each_session(self):
        folds = leave_blocks_out(["m1", "m2"], ["a", "b"], [60, 90], blocks=3, gap_frames=5)
        assert [fold.name for fold in folds[::3]] == ["m1_a_test-0_valid-1", "m2_b_test-0_valid-1"]

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ({"blocks": 2, "gap_frames": 5}, r"\[folds\] blocks = 2; train, valid and test need"),
            ({"gap_frames": 20}, r"m1/a: 5 blocks of 20 frames leave nothing .* use fewer blocks"),
        ],
    )
    def test_errors(self, keys, message):
        with pytest.raises(StudyError, match=message):
            leave_blocks_out(["m1"], ["a"], [100], **keys)

    def test_folds_of_one_name(self):
        with pytest.raises(StudyError, match=r"m_1/2 and of m/1_2 would both .* rename an animal"):
            leave_blocks_out(["m_1", "m"], ["2", "1_2"], [60, 60], gap_frames=5)

    @given(
        st.integers(3, 5),
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(-4, 4),
        st.integers(0, 4),
        st.integers(0, 30),
    )
    def test_no_frame_serves_two_roles(self, blocks, before, after, shift, more, extra):
        window = WindowShape(before, after, shift)
        gap = window.n_frames + abs(shift) + more
        # Blocks just long enough to hold a window at the ends of the session.
        n_frames = blocks * (gap + before + after + abs(shift) + 2) + extra
        windows = windows_in([session("m1", "a", n_frames)], window)
        for fold in leave_blocks_out(["m1"], ["a"], [n_frames], blocks=blocks, gap_frames=gap):
            split = split_windows(windows, fold)
            train, valid, test = map(frames_used, (split.train, split.valid, split.test))
            assert not train & test
            assert not valid & test
            assert not train & valid

    @given(st.integers(1, 3), st.integers(1, 3), st.integers(-4, 4), st.integers(0, 6))
    def test_shared_frames_are_refused(self, before, after, shift, gap):
        window = WindowShape(before, after, shift)
        windows = windows_in([session("m1", "a", 120)], window)
        (fold, *_) = leave_blocks_out(["m1"], ["a"], [120], blocks=4, gap_frames=gap)
        used = [
            frames_used(
                windows.where(
                    np.logical_or.reduce(
                        [
                            (windows.centre >= p.first_frame) & (windows.centre < p.stop_frame)
                            for p in parts
                        ]
                    )
                )
            )
            for parts in (fold.train, fold.valid, fold.test)
        ]
        if used[0] & used[2] or used[1] & used[2] or used[0] & used[1]:
            needed = window.n_frames + abs(shift)
            with pytest.raises(StudyError, match=f"gap_frames of at least {needed} "):
                split_windows(windows, fold)
        else:
            split_windows(windows, fold)


class TestFold:
    def test_has_every_role(self):
        with pytest.raises(StudyError, match="fold 'f' has nothing to validate"):
            Fold("f", (Part("m1"),), (), (Part("m2"),))

    def test_gives_a_part_one_role(self):
        with pytest.raises(StudyError, match="fold 'f' gives animal 'm1', session 'a' two roles"):
            Fold("f", (Part("m1", "a"),), (Part("m2"),), (Part("m1", "a"), Part("m3")))

    def test_a_session_within_an_animal_of_another_role(self):
        windows = windows_in([session("m1", "a"), session("m1", "b"), session("m2", "a")])
        fold = Fold("f", (Part("m1"),), (Part("m2"),), (Part("m1", "b"),))
        with pytest.raises(StudyError, match=r"fold 'f': train and test share 20 frames"):
            split_windows(windows, fold)

    def test_without_windows_for_a_role(self):
        windows = windows_in([session("m1", "a"), session("m2", "a")])
        fold = Fold("f", (Part("m1"),), (Part("m2"),), (Part("m3"),))
        with pytest.raises(FoldError, match="fold 'f' has no window to test"):
            split_windows(windows, fold)


def test_blocks_are_stretches_of_the_windows_centres():
    windows = windows_in([session("m1", "a", 60)], WindowShape(1, 1, shift=3))
    fold = leave_blocks_out(["m1"], ["a"], [60], blocks=3, gap_frames=6)[0]
    split = split_windows(windows, fold)
    assert split.test.centre.tolist() == list(range(1, 17))
    assert split.test.frame.tolist() == list(range(4, 20))
    assert split.valid.centre.tolist() == list(range(23, 37))
    assert split.train.centre.tolist() == list(range(43, 57))


class TestGroups:
    GROUPS: ClassVar = {"m1": "wt", "m2": "wt", "m3": "ko", "m4": "ko", "m5": ""}

    def test_from_one_to_the_other_and_within_one(self):
        folds = leave_animals_out(list(self.GROUPS))
        found = between_groups(folds, self.GROUPS, train=["wt"], test=["ko"])
        assert [one.name for one in found] == [
            f"test-{test}_valid-{valid}" for test in ("m3", "m4") for valid in ("m1", "m2")
        ]
        assert all({p.animal for p in (*one.train, *one.valid)} == {"m1", "m2"} for one in found)
        anyone = between_groups(folds, self.GROUPS, test=["ko"])
        assert {one.test[0].animal for one in anyone} == {"m3", "m4"}
        assert all(len(one.train) == 3 for one in anyone)

    def test_what_cannot_be(self):
        folds = leave_animals_out(list(self.GROUPS))
        with pytest.raises(StudyError, match=r"no animal is of group 'WT'; .* 'ko', 'wt'"):
            between_groups(folds, self.GROUPS, train=["WT"])
        # Two animals of a group: one tests, one validates, and none is left to train.
        with pytest.raises(StudyError, match="no fold is left"):
            between_groups(folds, self.GROUPS, train=["wt"], test=["wt"])


class TestLessTraining:
    SESSIONS = tuple((f"m{a}", f"s{s}", 100) for a in (1, 2, 3, 4, 5) for s in (1, 2))

    def test_each_animal_trains_about_as_often(self):
        folds = leave_animals_out([animal for animal, _, _ in self.SESSIONS])
        for n in (1, 2, 3):
            less = with_less_training(folds, self.SESSIONS, n_animals=n)
            assert [one.name for one in less] == [one.name for one in folds]
            assert all(
                (a.valid, a.test) == (b.valid, b.test) for a, b in zip(less, folds, strict=True)
            )
            assert all(set(a.train) <= set(b.train) for a, b in zip(less, folds, strict=True))
            counts = Counter(part.animal for one in less for part in one.train)
            assert set(counts.values()) == {4 * n}
        assert with_less_training(folds, self.SESSIONS, n_animals=3) == folds

    def test_the_first_frames_of_each(self):
        (fold, *_) = leave_animals_out(["m1", "m2", "m3", "m4"])
        (less,) = with_less_training([fold], self.SESSIONS, n_frames=130)
        assert less.train == tuple(
            part
            for name in ("m3", "m4")
            for part in (Part(name, "s1", 0, 100), Part(name, "s2", 0, 30))
        )

    def test_of_blocks(self):
        fold = leave_blocks_out(["m1"], ["s1"], [100], blocks=5, gap_frames=2)[0]
        (less,) = with_less_training([fold], self.SESSIONS, n_frames=25)
        n_frames = sum(part.stop_frame - part.first_frame for part in less.train)
        assert n_frames == 25
        assert less.train[0] == fold.train[0]

    @pytest.mark.parametrize(
        ("asked", "match"),
        [
            (
                {"n_animals": 4},
                "4 training animals are asked for, and fold 'test-m1_valid-m2' has 3",
            ),
            (
                {"n_frames": 201},
                "201 frames .*, and animal 'm3' of fold .* trains with 200; ask for l",
            ),
        ],
    )
    def test_more_than_there_is(self, asked, match):
        folds = leave_animals_out([animal for animal, _, _ in self.SESSIONS])
        with pytest.raises(StudyError, match=match):
            with_less_training(folds, self.SESSIONS, **asked)
