"""Brain motion: shifts found against a template, and frames put back."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from corticode.data.preprocessing.motion import (
    check_shifts,
    move_frames,
    odd_pixels,
    register_template,
    unregistered,
)
from corticode.errors import DataError

VECTOR = Path(__file__).parents[4] / "shared" / "formats" / "files" / "motion_vector.npz"


def vessels(side=96, seed=0):
    rng = np.random.default_rng(seed)
    fine = ndimage.gaussian_filter(rng.normal(size=(side, side)), 1.5)
    broad = ndimage.gaussian_filter(rng.normal(size=(side, side)), 10)
    return 2000 * (1 + 0.08 * fine / fine.std() + 0.15 * broad / broad.std())


def moved_by(image, walk, rng, *, side=64):
    """Frames of the middle of an image that moves down and right, with photon noise."""
    low = (len(image) - side) // 2
    frames = [
        ndimage.shift(image, step, order=3)[low : low + side, low : low + side] for step in walk
    ]
    return rng.poisson(np.maximum(frames, 0)).astype(np.float32)


def away(values):
    return values - values.mean(axis=0)


class TestShifts:
    def test_a_walk_is_found_to_less_than_a_tenth_of_a_pixel(self):
        rng = np.random.default_rng(3)
        walk = np.cumsum(rng.normal(size=(60, 2)) * 0.3, axis=0)
        frames = moved_by(vessels(), 2.5 * walk / np.abs(walk).max(), rng)
        found = register_template(frames[::3]).find(frames)
        wanted = 2.5 * walk / np.abs(walk).max()
        assert np.sqrt(np.mean((away(found) - away(wanted)) ** 2)) < 0.07

    def test_activity_is_no_motion(self):
        """A region that brightens by 5 % with running moves no frame."""
        rng = np.random.default_rng(4)
        running = np.arange(60) // 10 % 2
        image = vessels(seed=5)[:64, :64]
        rows, columns = np.mgrid[:64, :64]
        region = np.exp(-((rows - 20) ** 2 + (columns - 40) ** 2) / (2 * 6**2))
        frames = rng.poisson(image * (1 + 0.05 * running[:, None, None] * region))
        found = register_template(frames[::3]).find(frames.astype(np.float32))
        locked = found[running == 1].mean(axis=0) - found[running == 0].mean(axis=0)
        assert np.abs(locked).max() < 0.02

    @pytest.mark.skipif(not VECTOR.exists(), reason="needs the shared motion vector")
    def test_the_shared_vector(self):
        with np.load(VECTOR) as kept:
            frames, wanted = kept["frames"], kept["true_shift_rows_cols"]
        found = register_template(frames).find(frames)
        assert np.sqrt(np.mean((away(found) - away(wanted)) ** 2)) < 0.07

    def test_blank_and_far_frames_are_marked(self):
        shifts = np.array([[0.0, 1.0], [np.nan, np.nan], [7.0, 0.0]])
        assert unregistered(shifts, (64, 64)).tolist() == [False, True, True]

    def test_no_structure(self):
        with pytest.raises(DataError, match="no structure"):
            register_template(np.full((4, 32, 32), 7.0, np.float32))


class TestMoveFrames:
    def test_linear_interpolation_by_hand(self):
        frames = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
        moved = move_frames(frames, np.array([[0.5, 0.0]]))
        np.testing.assert_allclose(moved[0, :2], [[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]])
        assert np.isnan(moved[0, 2]).all()

    @pytest.mark.parametrize("shift", [(0.3, -1.7), (-2.2, 0.0), (0.0, 3.0), (-1.0, -0.5)])
    def test_equals_scipy(self, shift):
        frame = np.random.default_rng(0).normal(size=(20, 24)).astype(np.float32)
        rows, columns = np.mgrid[:20, :24].astype(float)
        wanted = ndimage.map_coordinates(
            frame, (rows + shift[0], columns + shift[1]), order=1, cval=np.nan
        )
        moved = move_frames(frame[None], np.array([shift]))[0]
        np.testing.assert_allclose(moved, wanted, atol=1e-5)
        by_transform = move_frames(frame[None], np.array([shift]), np.eye(3))[0]
        np.testing.assert_allclose(by_transform, wanted, atol=1e-5)

    def test_motion_and_transform_are_interpolated_once(self):
        """Half a pixel of motion that a transform takes back leaves the frame as it was."""
        frame = np.random.default_rng(1).normal(size=(12, 12)).astype(np.float32)
        back = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])
        moved = move_frames(frame[None], np.array([[0.5, 0.5]]), back, (12, 12))
        np.testing.assert_allclose(moved[0], frame, atol=1e-6)

    def test_wrong_direction_doubles_the_motion(self):
        """The fault of a widely used tool, and that ours lowers SD / mean over time."""
        rng = np.random.default_rng(7)
        walk = np.cumsum(rng.normal(size=(40, 2)) * 0.3, axis=0)
        frames = moved_by(vessels(seed=8), walk - walk.mean(axis=0), rng)
        shifts = register_template(frames[::2]).find(frames)
        spread = [
            np.nanmean((one.std(axis=0) / one.mean(axis=0))[10:-10, 10:-10])
            for one in (frames, move_frames(frames, shifts), move_frames(frames, -shifts))
        ]
        assert spread[1] < 0.7 * spread[0]
        assert spread[2] > 1.15 * spread[0]


class TestCheckShifts:
    def test_motion_over_a_tenth_of_the_frame_is_refused(self):
        shifts = np.zeros((100, 2))
        shifts[:20, 0] = 9
        with pytest.raises(DataError, match="20 of 100 frames"):
            check_shifts(shifts, np.zeros(100, bool), np.ones(100), (64, 64))

    def test_frames_of_two_places_are_not_taken_as_they_lie(self):
        """Their mean shows the brain twice, and a shift of 9 pixels was found as one of 0.1."""
        rng = np.random.default_rng(11)
        walk = np.zeros((60, 2))
        walk[np.arange(60) % 10 < 4] = (9, 4)
        frames = moved_by(vessels(seed=12), walk, rng)
        template = register_template(frames[::3])
        shifts = template.find(frames)
        with pytest.raises(DataError, match="moves too far to be put back"):
            check_shifts(shifts, np.zeros(60, bool), np.ones(60), (64, 64))

    def test_a_shift_that_follows_brightness_is_told(self):
        light = np.sin(np.arange(100) / 5)
        shifts = np.stack([0.3 * light, np.zeros(100)], axis=1)
        (finding,) = check_shifts(shifts, np.zeros(100, bool), 1000 + light, (64, 64))
        assert "rows follows the frame's brightness (r = 1.00)" in finding.reason

    def test_a_still_brain_is_nothing_to_tell(self):
        rng = np.random.default_rng(0)
        shifts = rng.normal(size=(100, 2)) * 0.05
        assert not check_shifts(shifts, np.zeros(100, bool), rng.normal(size=100), (64, 64))


class TestOddPixels:
    def test_what_stands_still_on_the_camera_has_no_say(self):
        """Saturated and dead pixels in a moving image: the image is followed, not they."""
        rng = np.random.default_rng(11)
        walk = np.cumsum(rng.normal(size=(40, 2)) * 0.2, axis=0)
        frames = moved_by(vessels(seed=12), walk - walk.mean(axis=0), rng)
        frames[:, [10, 30, 50], [40, 20, 9]] = 65_535
        frames[:, [22, 41], [33, 50]] = 0
        template = register_template(frames[::2])
        assert template.odd.size == 5
        assert np.sqrt(np.mean((away(template.find(frames)) - away(walk)) ** 2)) < 0.1

    @pytest.mark.parametrize("value", [0, 65_535, np.nan])
    @pytest.mark.parametrize("part", ["around a window", "a patch"])
    def test_the_edge_of_what_is_not_seen_has_no_say(self, value, part):
        """A masked movie, or saturated glue: of its motion a tenth, or nothing at all, was seen."""
        rng = np.random.default_rng(11)
        walk = np.cumsum(rng.normal(size=(60, 2)) * 0.2, axis=0)
        frames = moved_by(vessels(seed=12), walk - walk.mean(axis=0), rng)
        row, column = np.indices(frames.shape[1:]) - 32
        is_unseen = {
            "around a window": np.hypot(row, column) > 26,
            "a patch": np.maximum(abs(row), abs(column)) < 6,
        }
        frames[:, is_unseen[part]] = value
        found = register_template(frames[::2]).find(frames)
        slopes = [np.polyfit(away(walk)[:, k], away(found)[:, k], 1)[0] for k in range(2)]
        np.testing.assert_allclose(slopes, 1, atol=0.15)

    def test_pixels_that_some_frames_lack_do_not_hide_where_these_lie(self):
        """Some NaN in each frame once made every frame one that cannot be registered."""
        rng = np.random.default_rng(11)
        walk = np.cumsum(rng.normal(size=(40, 2)) * 0.2, axis=0)
        frames = moved_by(vessels(seed=12), walk - walk.mean(axis=0), rng)
        frames[np.arange(40), rng.integers(10, 50, 40), rng.integers(10, 50, 40)] = np.nan
        frames[7, :50] = np.nan
        found = register_template(frames[::2]).find(frames)
        assert np.flatnonzero(np.isnan(found).any(axis=1)).tolist() == [7]
        others = np.arange(40) != 7
        assert np.sqrt(np.mean((away(found[others]) - away(walk[others])) ** 2)) < 0.1

    def test_vessels_are_not_odd(self):
        assert not odd_pixels(vessels(seed=13))[0].size


class TestRotation:
    def test_turns_are_found_and_undone(self):
        rng = np.random.default_rng(5)
        image = vessels(128, seed=6)
        turns = np.radians(rng.uniform(-1, 1, 30))
        walk = rng.normal(size=(30, 2))
        # What puts a frame back, the other way round: the same motion seen from the image.
        frames = move_frames(
            np.repeat(image[None], 30, axis=0).astype(np.float32), np.c_[-walk, -turns]
        )[:, 20:108, 20:108]
        frames = rng.poisson(np.nan_to_num(frames, nan=1.0)).astype(np.float32)
        template = register_template(frames, rotation=True)
        found = template.turns(frames)
        # Of turns of up to a degree; the halves of 88 pixels are 44 apart.
        assert np.degrees(np.sqrt(np.mean((away(found) - away(turns)) ** 2))) < 0.12
        shifts = template.find(frames)
        spread = [
            np.nanmean(one.std(axis=0)[16:-16, 16:-16])
            for one in (move_frames(frames, shifts), move_frames(frames, np.c_[shifts, found]))
        ]
        assert spread[1] < 0.9 * spread[0]

    def test_a_turn_by_hand(self):
        """A quarter turn: what comes out at the right was at the bottom."""
        frame = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
        turned = move_frames(frame, np.array([[0, 0, np.pi / 2]]))
        np.testing.assert_allclose(turned[0, 1, 1:], [4, 7], atol=1e-5)

    def test_equal_without_a_turn(self):
        frame = np.random.default_rng(0).normal(size=(1, 20, 24)).astype(np.float32)
        plain = move_frames(frame, np.array([[0.3, -1.2]]))
        turned = move_frames(frame, np.array([[0.3, -1.2, 1e-9]]))
        np.testing.assert_allclose(turned, plain, atol=1e-5)
