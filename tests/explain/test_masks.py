"""Tests."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from corticode.data.regions import RegionTable
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.errors import DataError, MissingDataError, StudyError
from corticode.explain.masks import (
    Circle,
    Mask,
    SquareGrid,
    cells_of_squares,
    check_fill,
    check_shapes,
    circle_masks,
    donor_rows,
    limb_squares,
    pixel_masks,
    read_drawn_mask,
    region_masks,
    rings,
    share_in_brain,
    square_masks,
    thin_windows,
)


class TestSquares:
    def test_are_those_of_the_study(self):
        masks = square_masks(SquareGrid((128, 128)))
        assert len(masks) == 64
        assert {int(mask.covered.sum()) for mask in masks} == {32 * 32}
        covered = np.zeros((128, 128), bool)
        covered[16:48, 32:64] = True
        np.testing.assert_array_equal(masks[1 * 8 + 2].covered, covered)

    def test_wrap_around_the_edges(self):
        last = square_masks(SquareGrid((128, 128)))[-1].covered
        expected = np.zeros((128, 128), bool)
        edge = np.r_[112:128, 0:16]
        expected[np.ix_(edge, edge)] = True
        np.testing.assert_array_equal(last, expected)

    def test_are_a_quarter_of_other_images(self):
        grid = SquareGrid((64, 32))
        assert (grid.sides, grid.steps, grid.shape) == ((16, 8), (8, 4), (8, 8))

    @given(st.integers(1, 5), st.integers(1, 5))
    def test_cover_each_pixel_four_times(self, down, across):
        grid = SquareGrid((8 * down, 8 * across))
        times = np.sum([mask.covered for mask in square_masks(grid)], axis=0)
        assert (times == 4).all()

    @pytest.mark.parametrize("shape", [(60, 128), (4, 4)])
    def test_that_do_not_tile_are_refused(self, shape):
        with pytest.raises(StudyError, match="do not tile an image of"):
            SquareGrid(shape)


class TestCells:
    def test_are_the_mean_of_the_four_squares_over_them(self):
        grid = SquareGrid((128, 128))
        values = np.random.default_rng(0).normal(size=64)
        found = cells_of_squares(values, grid)
        masks = square_masks(grid)
        for i, j in [(0, 0), (3, 5), (7, 0)]:
            over = [v for v, m in zip(values, masks, strict=True) if m.covered[16 * i, 16 * j]]
            assert len(over) == 4
            assert found[i, j] == pytest.approx(np.mean(over))

    def test_keep_leading_axes_and_the_mean(self):
        grid = SquareGrid((16, 24))
        values = np.random.default_rng(0).normal(size=(3, 64))
        found = cells_of_squares(values, grid)
        assert found.shape == (3, 8, 8)
        np.testing.assert_allclose(found.mean(axis=(1, 2)), values.mean(axis=1))

    def test_of_another_number_of_squares_are_refused(self):
        with pytest.raises(StudyError, match="63 values do not belong to 64 squares"):
            cells_of_squares(np.zeros(63), SquareGrid((128, 128)))


def test_limb_squares_are_those_of_s3():
    expected = np.zeros((128, 128), bool)
    expected[48:80, 16:32] = True
    expected[48:80, 96:112] = True
    np.testing.assert_array_equal(limb_squares().covered, expected)
    np.testing.assert_array_equal(limb_squares((64, 64)).covered, expected[::2, ::2])


def test_circles_are_cut_off_at_the_edge():
    mask = circle_masks({"corner": (0, 0)}, 2, (6, 6))[0]
    assert np.argwhere(mask.covered).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [2, 0]]


def test_region_sets_are_looked_up_as_everywhere():
    table = RegionTable(("a", "b", "c"), (("x",), ("x",), ()))
    masks = region_masks({"x": ["x"], "third": [3]}, ("a", "b", "c"), table)
    assert [mask.covered.tolist() for mask in masks] == [[True, True, False], [False, False, True]]
    with pytest.raises(StudyError, match="did you mean 'FL'"):
        region_masks({"limbs": ["FLL"]}, ("FL", "HL"))


def test_share_in_brain():
    masks = square_masks(SquareGrid((8, 8)))
    brain = np.zeros((8, 8), bool)
    brain[1, 1] = True
    share = share_in_brain(masks, brain)
    assert np.flatnonzero(share).tolist() == [0, 1, 8, 9]
    assert share[0] == 1 / 4


class TestBadMasks:
    @pytest.mark.parametrize(
        ("covered", "message"),
        [
            (np.zeros((4, 4), bool), "mask 'mine' covers nothing"),
            (np.ones((4, 4), bool), "mask 'mine' covers everything"),
            (np.ones(4), r"holds float64 values of shape \(4,\)"),
            (np.ones((1, 2, 2), bool), r"shape \(1, 2, 2\); it needs True and False"),
        ],
    )
    def test_are_refused_when_made(self, covered, message):
        with pytest.raises(StudyError, match=message):
            Mask("mine", covered)

    def test_of_another_shape_are_refused(self):
        with pytest.raises(StudyError, match=r"shape \(128, 128\), the images \(64, 64\)"):
            check_shapes([limb_squares()], (64, 64), "images")

    def test_of_one_name_are_refused(self):
        with pytest.raises(StudyError, match="several masks are called limb squares"):
            check_shapes([limb_squares(), limb_squares()], (128, 128), "images")

    def test_none_is_refused(self):
        with pytest.raises(StudyError, match="there is no mask"):
            check_shapes([], (4, 4), "images")


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_a_drawn_mask_is_kept_to_the_pixel(tmp_path_factory, image):
    path = tmp_path_factory.getbasetemp() / "drawn.npy"
    np.save(path, image)
    np.testing.assert_array_equal(read_drawn_mask(path).covered, image)


def test_settings_follow_what_is_drawn_not_where_it_lies(tmp_path):
    image = np.zeros((6, 8), np.uint8)
    image[2:4, 5:] = 255
    tifffile.imwrite(tmp_path / "a.tif", image)
    np.save(tmp_path / "b.npy", image > 0)
    assert read_drawn_mask(tmp_path / "a.tif") == read_drawn_mask(tmp_path / "b.npy")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3, 3)), "it needs one number a pixel"),
        (np.full((3, 3), np.nan), "it needs one number a pixel"),
        (np.full((3, 3), "a"), "it needs one number a pixel"),
        (np.array([["a", None]], dtype=object), "cannot be read"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path, values, message):
    np.save(tmp_path / "mask.npy", values)
    with pytest.raises(StudyError, match=message):
        read_drawn_mask(tmp_path / "mask.npy")


def test_files_that_are_none(tmp_path):
    with pytest.raises(MissingDataError, match="does not exist; give the path"):
        read_drawn_mask(tmp_path / "mask.npy")
    for name in ("mask.png", "mask.tif", "mask.npy"):
        (tmp_path / name).write_bytes(b"no image")
        with pytest.raises(StudyError, match=r"is no \.npy or|cannot be read"):
            read_drawn_mask(tmp_path / name)


def test_masks_have_to_suit_the_movie(tmp_path):
    np.save(tmp_path / "left.npy", np.arange(20).reshape(4, 5) < 3)
    drawn = read_drawn_mask(tmp_path / "left.npy")
    both = pixel_masks([("left", drawn), ("spot", Circle(1, 1, 1))], (4, 5))
    assert [(mask.name, int(mask.covered.sum())) for mask in both] == [("left", 3), ("spot", 5)]
    with pytest.raises(StudyError, match="make the mask for that shape"):
        pixel_masks([("left", drawn)], (4, 6))
    with pytest.raises(StudyError, match="covers nothing"):
        pixel_masks([("off", Circle(-9, 0, 1))], (4, 5))
    with pytest.raises(StudyError, match="covers everything"):
        pixel_masks([("all", Circle(0, 0, 99))], (4, 5))


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
