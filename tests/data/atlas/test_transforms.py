"""Transforms fitted to landmarks: against wfield's and scikit-image's, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from corticode.data.atlas.transforms import apply_transform, fit_transform
from corticode.errors import DataError, StudyError

ATLAS = np.array([[102.0, 148], [166, 88], [256, 88], [346, 88], [410, 148], [256, 428]])
# A file that wfield's own code wrote: pixels of its atlas, of the image, and its transform.
WFIELD_ATLAS = np.array(
    [[54.8711340206, 22.5412371134], [80, 22.5412371134],
     [105.1288659794, 22.5412371134], [80, 108.2371134021]]
)  # fmt: skip
WFIELD_IMAGE = np.array(
    [[61.9921650154, 22.9615654978], [85.4398648899, 20.6135534677],
     [108.2112509832, 18.2734174204], [94.0359180266, 100.2110013461]]
)  # fmt: skip
WFIELD = np.array(
    [[0.9270963442436, 0.1011381559837, 8.8055323082454],
     [-0.1011381559837, 0.9270963442436, 7.8459549831298], [0, 0, 1]]
)  # fmt: skip


def test_a_similarity_as_wfield_finds_it():
    found = fit_transform(WFIELD_ATLAS, WFIELD_IMAGE)
    np.testing.assert_allclose(found, WFIELD, atol=1e-8)
    away = apply_transform(found, WFIELD_ATLAS) - WFIELD_IMAGE
    assert np.sqrt((away**2).sum(axis=1).mean()) == pytest.approx(0.2541378406, abs=1e-8)


def test_least_squares_of_both_kinds():
    """Against the normal equations, and scikit-image's similarity."""
    points = ATLAS @ [[0.3, 0.05], [-0.02, 0.2]] + [3, 9]
    points += np.random.default_rng(0).normal(size=points.shape)
    known = np.column_stack([ATLAS, np.ones(len(ATLAS))])
    expected = np.linalg.solve(known.T @ known, known.T @ points).T
    np.testing.assert_allclose(fit_transform(ATLAS, points, "affine")[:2], expected, rtol=1e-9)
    expected = SimilarityTransform.from_estimate(ATLAS, points).params
    np.testing.assert_allclose(fit_transform(ATLAS, points), expected, rtol=1e-6)


@given(
    st.floats(-3.1, 3.1), st.floats(0.05, 20), st.floats(-500, 500), st.floats(-500, 500)
)  # fmt: skip
def test_what_was_applied_is_found_and_undone(angle, scale, x, y):
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    there = np.array([[a, -b, x], [b, a, y], [0, 0, 1]])
    points = apply_transform(there, ATLAS)
    for kind in ("similarity", "affine"):
        found = fit_transform(ATLAS, points, kind)
        np.testing.assert_allclose(found, there, atol=1e-6 * (1 + scale))
        np.testing.assert_allclose(apply_transform(np.linalg.inv(found), points), ATLAS, atol=1e-6)


@pytest.mark.parametrize("kind", ["similarity", "affine"])
def test_mirrored_landmarks_are_refused(kind):
    noise = np.random.default_rng(0).normal(size=ATLAS.shape)
    flipped = ATLAS * [-0.25, 0.25] + [128, 0] + noise
    with pytest.raises(DataError, match="fit the atlas's mirror image: left and right are exchang"):
        fit_transform(ATLAS, flipped, kind)


@pytest.mark.parametrize("kind", ["similarity", "affine"])
def test_landmarks_on_one_line_are_refused(kind):
    on_line = np.array([[256.0, 88], [256, 256], [256, 410], [256, 428]])
    with pytest.raises(DataError, match="the 4 landmarks lie on one line in the atlas"):
        fit_transform(on_line, on_line, kind)
    with pytest.raises(DataError, match="lie on one line in the image"):
        fit_transform(ATLAS[:4], ATLAS[:4] * [1, 0], kind)


def test_too_few_landmarks_are_refused():
    with pytest.raises(DataError, match=r"2 landmarks were given; .* 'similarity' needs 3 or more"):
        fit_transform(ATLAS[:2], ATLAS[:2])
    with pytest.raises(DataError, match=r"3 landmarks were given; .* 'affine' needs 4 or more"):
        fit_transform(ATLAS[:3], ATLAS[:3], "affine")
    with pytest.raises(StudyError, match="transform is 'rigid'; it must be one of similarity"):
        fit_transform(ATLAS, ATLAS, "rigid")
