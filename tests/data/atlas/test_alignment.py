"""An atlas on an image: what is checked, what is warned of, what is refused."""

import json

import numpy as np
import pytest
from scipy import ndimage

from corticode.data.atlas.alignment import AS_GIVEN, align, check_alignment, checks_in_words
from corticode.data.atlas.files import read_alignment, read_mean_image, write_alignment
from corticode.data.atlas.landmarks import Landmarks
from corticode.data.atlas.maps import find_regions, label_pixels, read_atlas
from corticode.data.atlas.transforms import apply_transform
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.regions import read_regions
from corticode.errors import DataError, MissingDataError, StudyError

ATLAS = read_atlas()
SHAPE = (120, 130)
NAMES = ("front-left", "front", "front-right", "back")
PLAIN = np.array([[0.22, 0, 8.0], [0, 0.22, 3], [0, 0, 1]])


def marked(transform=PLAIN, names=NAMES, moved=0.0):
    points = np.array([ATLAS.landmarks[name] for name in names])
    return Landmarks(names, apply_transform(transform, points) + moved)


def brain_image(transform=PLAIN, shape=SHAPE):
    """A bright brain where the map lies, and the same bright spots on both sides."""
    labels = label_pixels(ATLAS, transform, shape)
    brain = ndimage.binary_closing(np.pad(labels > 0, 9), iterations=8)[9:-9, 9:-9]
    brain = ndimage.binary_fill_holes(brain)
    spots = 300.0 * ((labels + 1) // 2 % 5)
    return 100 + ndimage.gaussian_filter(2000.0 * brain + spots, 1)


def checked(landmarks, image=None, kind=None, mm_per_pixel=None):
    alignment = align(ATLAS, landmarks, SHAPE, kind)
    labels, _, _ = find_regions(ATLAS, alignment.transform, SHAPE)
    image = brain_image() if image is None else image
    return (alignment, *check_alignment(ATLAS, alignment, image, labels, mm_per_pixel))


def test_landmarks_without_noise():
    alignment, checks, findings = checked(marked())
    np.testing.assert_allclose(alignment.transform, PLAIN, atol=1e-9)
    assert alignment.kind == "similarity"
    assert alignment.residuals.max() < 1e-9
    assert checks.mm_per_pixel == pytest.approx(0.0206 / 0.22)
    assert checks.rotation_degrees == pytest.approx(0, abs=1e-9)
    assert checks.stretch == pytest.approx(1)
    assert checks.left_out_rms_px < 1e-9
    assert checks.in_view == pytest.approx(1)
    assert checks.in_brain > 0.97
    assert checks.mirrored_correlation > 0.8
    assert checks.n_regions == 44
    assert findings == []


def test_residuals_and_what_others_predict_by_hand():
    moved = np.zeros((4, 2))
    moved[3, 1] = 4
    alignment, checks, _ = checked(marked(moved=moved))
    # The three in front alone lie on one line, so that 'back' is predicted by none.
    assert 0 < checks.residual_rms_px < 4
    away = apply_transform(alignment.transform, alignment.atlas_points) - alignment.image_points
    assert checks.residual_rms_px == pytest.approx(np.sqrt((away**2).sum() / 4))
    assert checks.residual_rms_mm == pytest.approx(checks.residual_rms_px * checks.mm_per_pixel)
    assert checks.left_out_rms_px > checks.residual_rms_px
    _, checks, _ = checked(marked(moved=moved), mm_per_pixel=0.1)
    assert checks.residual_rms_mm == pytest.approx(checks.residual_rms_px * 0.1)


def test_a_landmark_far_off_is_named():
    moved = np.zeros((5, 2))
    moved[4] = [-14, 0]
    _, _, findings = checked(marked(names=(*NAMES, "bregma"), moved=moved))
    assert "landmarks miss the atlas by" in findings[0].reason
    assert "bregma by" in findings[0].reason


def test_another_size_of_pixels_is_warned_of():
    _, _, (finding,) = checked(marked(), mm_per_pixel=0.12)
    assert "a pixel has 0.0936 mm by the landmarks and 0.12 mm as stated" in finding.reason
    assert checked(marked(), mm_per_pixel=0.1)[2] == []


def test_a_turned_atlas_is_warned_of():
    a, b = 0.2 * np.cos(np.deg2rad(20)), 0.2 * np.sin(np.deg2rad(20))
    transform = np.array([[a, -b, 30.0], [b, a, -4], [0, 0, 1]])
    _, checks, findings = checked(marked(transform), brain_image(transform))
    assert checks.rotation_degrees == pytest.approx(20)
    assert ["turned by 20 degrees" in finding.reason for finding in findings] == [True]


def test_regions_beside_the_brain_are_warned_of():
    _, checks, findings = checked(marked(), np.roll(brain_image(), 15, axis=1))
    assert checks.in_brain < 0.9
    assert "of the pixels in regions show the brain, fewer than 90 %" in findings[0].reason
    # Where no surround is in view nothing can be said; an even image has no brain at all.
    even = 1000 + np.random.default_rng(0).normal(size=SHAPE)
    _, checks, (finding,) = checked(marked(), even)
    assert "does not stand out from its surround" in finding.reason
    _, checks, findings = checked(marked(), np.ones(SHAPE))
    assert (checks.in_brain, checks.mirrored_correlation, findings) == (None, None, [])


def test_a_midline_beside_the_true_one_lowers_the_mirrored_correlation():
    right = checked(marked())[1].mirrored_correlation
    beside = checked(marked(moved=np.array([3.0, 0])))[1].mirrored_correlation
    assert beside < right - 0.1


def test_an_affine_takes_a_stretched_brain():
    stretched = np.array([[0.24, 0, 4.0], [0, 0.2, 6], [0, 0, 1]])
    names = (*NAMES, "bregma")
    alignment, checks, _ = checked(marked(stretched, names), kind="affine")
    np.testing.assert_allclose(alignment.transform, stretched, atol=1e-9)
    assert checks.stretch == pytest.approx(1.2)
    assert checked(marked(stretched, names))[1].residual_rms_px > 0.5


def test_a_transform_that_came_with_the_landmarks_is_used_as_it_is():
    from_mm = np.array([[10.0, 0, 64], [0, 10, 55], [0, 0, 1]])
    landmarks = marked()
    given = Landmarks(landmarks.names, landmarks.points, from_mm)
    alignment = align(ATLAS, given, SHAPE)
    assert alignment.kind == AS_GIVEN
    # Bregma, 0 mm, is where the file has it; 206 pixels of the map are 4.244 mm.
    at = apply_transform(alignment.transform, np.array([[256.0, 256], [462, 256]]))
    np.testing.assert_allclose(at, [[64, 55], [106.436, 55]])
    np.testing.assert_allclose(align(ATLAS, given, SHAPE, "similarity").transform, PLAIN, atol=1e-9)
    mirrored = Landmarks(landmarks.names, landmarks.points, from_mm * [-1, 1, 1])
    with pytest.raises(
        DataError, match="the transform that came with the landmarks exchanges left"
    ):
        align(ATLAS, mirrored, SHAPE)


def test_a_landmark_outside_the_image_is_refused():
    landmarks = Landmarks(("front", "back"), np.array([[64.0, 20], [64, 120]]))
    with pytest.raises(
        DataError, match=r"outside the image of 120 rows x 130 columns: back \(x 64"
    ):
        align(ATLAS, landmarks, SHAPE)
    # Inside, were x the row.
    landmarks = Landmarks(("front", "back"), np.array([[20.0, 64], [64, 125]]))
    with pytest.raises(DataError, match=r"row and column seem to be exchanged\. x is the column"):
        align(ATLAS, landmarks, (120, 130))


def test_other_landmarks_that_will_not_do():
    with pytest.raises(
        StudyError, match="'frond' is no landmark of this atlas; did you mean 'front'"
    ):
        align(ATLAS, Landmarks(("frond",), np.ones((1, 2))), SHAPE)
    names = ("front", "bregma", "lambda")
    with pytest.raises(DataError, match="the 3 landmarks lie on one line in the atlas"):
        align(ATLAS, marked(names=names), SHAPE)
    exchanged = marked(names=("front-right", "front", "front-left", "back"))
    exchanged = Landmarks(NAMES, exchanged.points)
    with pytest.raises(DataError, match="left and right are exchanged, or the image is flipped"):
        align(ATLAS, exchanged, SHAPE)


def test_every_check_is_printed():
    alignment, checks, _ = checked(marked(), np.ones(SHAPE), mm_per_pixel=0.09)
    text = "\n".join(checks_in_words(checks, alignment))
    for part in (
        "similarity, from 4 landmarks", "front-left 0.00", "0.0936 mm by the landmarks",
        "0.09 as stated", "rotation: ", "in view: 1.00", "on the brain: not known", "r = not known",
        "regions: 44, the smallest of",
    ):  # fmt: skip
        assert part in text


def test_files_there_and_back(tmp_path):
    alignment, checks, findings = checked(marked(moved=np.array([[1.0, 0], *3 * [[0, 0]]])))
    labels, table, _ = find_regions(ATLAS, alignment.transform, SHAPE)
    write_alignment(tmp_path, alignment, labels, table, checks, findings)
    stored = np.load(tmp_path / "labels.npy")
    assert stored.dtype == np.int16
    assert np.array_equal(stored, labels)
    found = read_regions(tmp_path / "regions.csv")
    assert (found.names, found.sides, found.mirrors) == (table.names, table.sides, table.mirrors)
    assert found.groups == table.groups
    assert found.pixels == table.pixels
    np.testing.assert_allclose(found.rows, table.rows, atol=1e-3)
    k = found.names.index("VISp_left")
    row, column = np.argwhere(labels == k + 1).mean(axis=0)
    np.testing.assert_allclose([found.rows[k], found.columns[k]], [row, column], atol=0.01)
    held = json.loads((tmp_path / "transform.json").read_text())
    product = np.array(held["transform"]) @ held["inverse"]
    np.testing.assert_allclose(product, np.eye(3), atol=1e-9)
    assert held["landmarks"]["front"]["residual_px"] == pytest.approx(alignment.residuals[1])
    assert held["checks"]["n_regions"] == 44
    again = read_alignment(tmp_path / "transform.json")
    np.testing.assert_array_equal(again.transform, alignment.transform)
    np.testing.assert_array_equal(again.image_points, alignment.image_points)
    assert (again.names, again.shape, again.kind) == (NAMES, SHAPE, "similarity")


def test_files_that_are_no_alignment(tmp_path):
    path = tmp_path / "transform.json"
    with pytest.raises(MissingDataError):
        read_alignment(path)
    for text in ("{}", "[]", '{"transform": [[1, 0, 0], [0, 0, 0], [0, 0, 1]]}'):
        path.write_text(text)
        with pytest.raises(DataError, match=r"cannot be read as a transform\.json"):
            read_alignment(path)


def test_an_image_or_the_mean_of_a_movie(tmp_path):
    np.save(tmp_path / "image.npy", np.eye(4, dtype=np.uint8))
    assert np.array_equal(read_mean_image(ArrayLocation(tmp_path / "image.npy")), np.eye(4))
    np.save(tmp_path / "movie.npy", np.stack([np.eye(4), 3 * np.eye(4)]).astype(np.uint16))
    assert np.array_equal(read_mean_image(ArrayLocation(tmp_path / "movie.npy")), 2 * np.eye(4))
    np.save(tmp_path / "line.npy", np.ones(4))
    with pytest.raises(DataError, match=r"needed is an image \(row, column\) or a movie"):
        read_mean_image(ArrayLocation(tmp_path / "line.npy"))
