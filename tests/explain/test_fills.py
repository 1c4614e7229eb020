from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.errors import DataError, StudyError
from corticode.explain.fills import check_fill, donor_rows, rings, thin_windows


def windows_of(lengths=(90, 60, 75), animals=("m1", "m1", "m1"), window=(1, 1)):
    sessions = [
        Session(animal, str(k), np.random.default_rng(k).normal(size=(n, 2)), ("1", "2"),
                {"run": np.arange(n) % 2}, np.zeros(n, int))
        for k, (n, animal) in enumerate(zip(lengths, animals, strict=True))
    ]  # fmt: skip
    return cut_windows(sessions, Target("run"), WindowShape(*window))


def session_of(rows, lengths=(90, 60, 75)):
    return np.searchsorted(np.cumsum(lengths), rows, side="right")


class TestDonors:
    def test_of_another_session_each_lends_once_and_in_order(self):
        donor = donor_rows(windows_of(), "other-session", seed=0)
        lenders = []
        for k, (first, n) in enumerate(zip((0, 90, 150), (90, 60, 75), strict=True)):
            lent = donor[first : first + n]
            lender = np.unique(session_of(lent))
            assert lender.size == 1
            assert lender[0] != k
            lenders.append(lender[0])
            # In order but for where a session ends and begins anew.
            assert np.count_nonzero(np.diff(lent) != 1) <= 2
        assert sorted(lenders) == [0, 1, 2]

    def test_stay_within_the_animal(self):
        windows = windows_of((60,) * 4, ("m1", "m2", "m1", "m2"))
        donor = donor_rows(windows, "other-session", seed=1)
        assert [int(donor[60 * k] // 60) for k in range(4)] == [2, 3, 0, 1]

    def test_shuffled_are_blocks_of_the_session_of_which_none_stays(self):
        windows = windows_of((310, 95), ("m1", "m1"))
        donor = donor_rows(windows, "shuffled", seed=0)
        assert sorted(donor[:310]) == list(range(310))
        assert (donor != np.arange(405)).all()
        assert (session_of(donor, (310, 95)) == session_of(np.arange(405), (310, 95))).all()
        # Ten blocks of 31 frames.
        assert np.count_nonzero(np.diff(donor[:310]) != 1) <= 9

    @given(st.integers(3, 200), st.integers(0, 2**32))
    def test_shuffled_never_lend_to_themselves(self, n_frames, seed):
        donor = donor_rows(windows_of((n_frames,), ("m1",)), "shuffled", seed=seed)
        assert (donor != np.arange(n_frames)).all()
        assert np.isin(donor, np.arange(n_frames)).all()

    @pytest.mark.parametrize("fill", ["shuffled", "other-session"])
    def test_seed_fixes_them(self, fill):
        first, again, other = (donor_rows(windows_of((310,) * 3), fill, seed=s) for s in (0, 0, 1))
        assert (first == again).all()
        assert (first != other).any()

    def test_are_frames_that_windows_see(self):
        windows = windows_of()
        half = windows.where(windows.start % 30 < 10)
        for fill in ("shuffled", "other-session"):
            donor = donor_rows(half, fill, seed=0)
            assert half.covered()[donor[half.covered()]].all()

    def test_of_an_animal_with_one_session_are_refused(self):
        with pytest.raises(DataError, match="animal 'm2' has one session"):
            donor_rows(windows_of((60,) * 3, ("m1", "m2", "m1")), "other-session", seed=0)

    def test_of_one_frame_are_refused(self):
        windows = windows_of((60,), ("m1",), (0, 0))
        with pytest.raises(DataError, match="session '0' has 1 frame to shuffle"):
            donor_rows(windows.where(np.array([3])), "shuffled", seed=0)


def test_rings_are_of_each_part_by_itself():
    covered = np.zeros((64, 64), bool)
    covered[:8, :8] = covered[56:, 56:] = True
    (first, around), (second, _) = rings(covered)
    assert (first | second == covered).all()
    # Two pixels wide, without the corner of a diamond.
    assert around[8:10, :8].all() and around[:8, 8:10].all()
    assert around.sum() == 33
    assert not (around & covered).any()


class TestThinning:
    def test_takes_every_nth_window_of_traces(self):
        windows = windows_of()
        thinned = thin_windows(windows, 5, seed=3)
        for k in range(3):
            assert set(np.diff(thinned.start[thinned.session == k])) == {5}

    def test_takes_runs_of_movies_that_cost_one_image_in_n(self):
        windows = replace(windows_of((900,), ("m1",), (2, 2)), movies=("a movie",))
        start = thin_windows(windows, 3, seed=0).start
        steps = np.diff(start)
        # Five windows of five images see nine; 27 frames on, the next.
        assert set(steps) == {1, 27 - 4}
        assert np.count_nonzero(steps > 1) + 1 == pytest.approx(900 / 27, abs=1)

    def test_no_window_is_likelier_than_another(self):
        windows = windows_of((40,), ("m1",))
        chosen = np.zeros(40)
        for seed in range(600):
            chosen[thin_windows(windows, 4, seed=seed).start] += 1
        assert chosen[:38].min() > 100
        assert chosen.max() < 200

    def test_one_keeps_all(self):
        windows = windows_of()
        assert thin_windows(windows, 1, seed=0) is windows

    @pytest.mark.parametrize("n", [0, -1, 2.0, True])
    def test_needs_a_whole_number(self, n):
        with pytest.raises(StudyError, match="must be a whole number above 0"):
            thin_windows(windows_of(), n, seed=0)

    def test_of_all_windows_is_refused(self):
        windows = windows_of((20,), ("m1",))
        with pytest.raises(DataError, match="every_n_frames = 100000 leaves no window of 18"):
            thin_windows(windows, 100_000, seed=0)


def test_unknown_fills_are_refused():
    check_fill("neighbours", sees_movies=True)
    with pytest.raises(StudyError, match="for traces: zero, other-session, shuffled"):
        check_fill("neighbours", sees_movies=False)
