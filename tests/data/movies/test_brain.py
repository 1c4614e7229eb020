import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from corticode.data.movies.brain import LEAST_SEPARATION, find_brain, otsu_threshold
from corticode.errors import DataError

ROW, COLUMN = np.mgrid[:64, :64] - 31.5
DISC = np.hypot(ROW, COLUMN) < 22


def test_a_brain_with_a_hole_and_a_reflection():
    image = np.where(DISC, 3000.0, 100.0)
    image[30:33, 20:40] = 120.0  # a vessel
    image[2:6, 2:6] = 4000.0  # a reflection
    mask, separation = find_brain(image)
    assert mask[31, 30]
    assert not mask[4, 4]
    # Smoothing lets the outline grow by the pixels that the light reaches.
    assert not (mask & ~ndimage.binary_dilation(DISC, iterations=3)).any()
    assert (mask & DISC).sum() == DISC.sum()
    assert separation > LEAST_SEPARATION


@pytest.mark.parametrize("surround", [0.0, 100.0, 1000.0])
def test_the_dim_rim_of_a_vignetted_brain_is_brain(surround):
    light = 6000 * (1 - 0.5 * (np.hypot(ROW, COLUMN) / 22) ** 2)
    mask, separation = find_brain(np.where(DISC, light, surround))
    assert (mask & DISC).sum() == DISC.sum()
    assert mask.sum() < 1.35 * DISC.sum()
    assert separation > LEAST_SEPARATION


@given(
    row=st.integers(-8, 8),
    column=st.integers(-8, 8),
    radius=st.integers(10, 20),
    gain=st.sampled_from([0.01, 1.0, 100.0]),
)
def test_found_wherever_it_lies_in_whatever_unit(row, column, radius, gain):
    disc = np.hypot(ROW - row, COLUMN - column) < radius
    mask, _ = find_brain(gain * np.where(disc, 3000.0, 200.0))
    assert (mask & disc).sum() == disc.sum()
    assert not (mask & ~ndimage.binary_dilation(disc, iterations=4)).any()


def test_no_surround_in_view_is_noticed():
    cortex = 3000 + 300 * np.random.default_rng(0).normal(size=(64, 64))
    assert find_brain(cortex)[1] < LEAST_SEPARATION
    light = 6000 * (1 - 0.5 * (np.hypot(ROW, COLUMN) / 22) ** 2)
    mask, separation = find_brain(np.where(DISC, light, np.nan))
    assert separation < LEAST_SEPARATION
    assert not (mask & ~DISC).any()


def test_threshold_against_every_split():
    values = np.random.default_rng(0).normal(size=400) + 4 * (np.arange(400) < 150)
    threshold, separation = otsu_threshold(values)
    within = min(
        np.concatenate([part - part.mean() for part in np.split(np.sort(values), [k])]).var()
        for k in range(1, 400)
    )
    assert separation == pytest.approx(1 - within / values.var(), abs=0.01)
    assert 1 < threshold < 3


def test_refusals():
    for value in (1.0, np.nan):
        with pytest.raises(DataError, match="mean image of 8 x 9 pixels is the same everywhere"):
            find_brain(np.full((8, 9), value))
