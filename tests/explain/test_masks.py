import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.regions import RegionTable
from corticode.errors import StudyError
from corticode.explain.masks import (
    Mask,
    SquareGrid,
    cells_of_squares,
    check_shapes,
    circle_masks,
    limb_squares,
    region_masks,
    share_in_brain,
    square_masks,
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

    @given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
    def test_cover_each_pixel_equally_often(self, ratio, step, more):
        n_pixels = step * (ratio + more)
        grid = SquareGrid((n_pixels, n_pixels), (ratio * step,) * 2, (step, step))
        times = np.sum([mask.covered for mask in square_masks(grid)], axis=0)
        assert (times == ratio**2).all()

    @pytest.mark.parametrize(
        "grid", [((60, 128), None, None), ((128, 128), (24, 24), (16, 16)), ((4, 4), None, None)]
    )
    def test_that_do_not_tile_are_refused(self, grid):
        with pytest.raises(StudyError, match="do not tile an image of"):
            SquareGrid(*grid)


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
        grid = SquareGrid((16, 24), (6, 9), (2, 3))
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
