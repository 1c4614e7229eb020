import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.preprocess import moving_mean
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.region_traces import (
    extract_traces,
    pixels_of_discs,
    pixels_of_labels,
    read_label_image,
)
from corticode.data.regions import RegionTable
from corticode.errors import DataError, StudyError

LABELS = np.array([[0, 4, 4], [2, 2, 4]])


def a_movie(n_frames=50, dtype="<u2"):
    return np.random.default_rng(0).integers(900, 1100, (n_frames, 2, 3)).astype(dtype)


def test_by_hand():
    movie = np.full((2, 2, 3), 10, np.uint8)
    movie[1, 1, :2] = 20
    traces, findings = extract_traces(movie, *pixels_of_labels(LABELS))
    np.testing.assert_allclose(traces, [[-100 / 3, 0], [100 / 3, 0]], rtol=1e-6)
    assert (traces.dtype, findings) == (np.float32, [])


@given(seed=st.integers(0, 99), dtype=st.sampled_from(["u1", "<u2", ">u2", "<f4"]))
def test_are_the_means_of_each_mask(seed, dtype):
    rng = np.random.default_rng(seed)
    movie = rng.integers(1, 255, (30, 6, 5)).astype(dtype)
    labels = rng.integers(0, 4, (6, 5))
    labels[0, 0] = 1
    regions, names = pixels_of_labels(labels)
    traces, _ = extract_traces(movie[::2], regions, names)
    for k, name in enumerate(names):
        bright = movie[::2][:, labels == int(name)].mean(axis=1, dtype=np.float64)
        expected = 100 * (bright / bright.mean() - 1)
        np.testing.assert_allclose(traces[:, k], expected, atol=1e-4)


class TestBaseline:
    def test_percentile(self):
        movie = a_movie()
        traces, _ = extract_traces(movie, *pixels_of_labels(LABELS), baseline="percentile")
        bright = movie[:, LABELS == 2].mean(axis=1)
        low = np.percentile(bright, 10)
        np.testing.assert_allclose(traces[:, 0], 100 * (bright - low) / low, atol=1e-4)

    @pytest.mark.parametrize("causal", [False, True])
    def test_running(self, causal):
        movie = a_movie()
        regions, names = pixels_of_labels(LABELS)
        options = {"baseline": "running", "baseline_frames": 8, "causal": causal}
        traces, _ = extract_traces(movie, regions, names, **options)
        bright = movie[:, LABELS == 2].mean(axis=1)
        level = moving_mean(bright, 8, causal=causal)
        np.testing.assert_allclose(traces[:, 0], 100 * (bright - level) / level, atol=1e-4)
        later = movie.copy()
        later[30:] = 500
        changed, _ = extract_traces(later, regions, names, **options)
        assert np.array_equal(changed[:30], traces[:30]) == causal

    def test_of_0(self):
        movie = a_movie().astype(np.float32) - 1000
        movie[:, LABELS == 4] -= 50
        movie[:, LABELS == 2] += 500
        with pytest.raises(DataError, match=r"region '4' has a baseline of -.* counts as recorded"):
            extract_traces(movie, *pixels_of_labels(LABELS))

    def test_unknown_or_not_causal(self):
        regions, names = pixels_of_labels(LABELS)
        with pytest.raises(StudyError, match=r"baseline is 'median'; it must be one of mean"):
            extract_traces(a_movie(), regions, names, baseline="median")
        with pytest.raises(StudyError, match=r"'mean' needs the whole session and is not causal"):
            extract_traces(a_movie(), regions, names, causal=True)
        with pytest.raises(StudyError, match=r"percentile is 101; it must be between 0 and 100"):
            extract_traces(a_movie(), regions, names, baseline="percentile", percentile=101)


def test_frames_without_a_value():
    movie = a_movie(dtype="<f4")
    movie[7, 0, 1], movie[9, 0, 0] = np.nan, np.nan
    traces, findings = extract_traces(movie, *pixels_of_labels(LABELS))
    assert np.argwhere(~np.isfinite(traces)).tolist() == [[7, 1]]
    assert str(findings[0]).startswith("1 of 50 frames have a region with a pixel without")
    movie[:, 0, 1] = np.nan
    with pytest.raises(DataError, match=r"in every frame, region '4' has a pixel without"):
        extract_traces(movie, *pixels_of_labels(LABELS))


class TestRegions:
    def test_discs_overlap_and_are_cut_off_at_the_edge(self):
        table = RegionTable(("a", "b"), rows=(0.0, 1.0), columns=(0.0, 1.0))
        regions, names = pixels_of_discs(table, (3, 4), 1.0)
        assert [pixels.tolist() for pixels in regions] == [[0, 1, 4], [1, 4, 5, 6, 9]]
        traces, _ = extract_traces(np.random.default_rng(0).random((9, 3, 4)), regions, names)
        assert traces.shape == (9, 2)

    @pytest.mark.parametrize(
        ("row", "column", "radius", "text"),
        [
            (4.0, 1.0, 2.0, r"centre of region 'a' is row 4, column 1, outside .* 3 x 4 pixels"),
            (1.0, -0.6, 2.0, r"row 1, column -0.6, outside"),
            (float("nan"), 1.0, 2.0, r"row nan, column 1, outside"),
            (0.5, 0.5, 0.2, r"region 'a' has no pixel within 0.2 pixels .* a larger radius"),
        ],
    )
    def test_discs_without_pixels(self, row, column, radius, text):
        with pytest.raises(DataError, match=text):
            pixels_of_discs(RegionTable(("a",), rows=(row,), columns=(column,)), (3, 4), radius)

    def test_a_table_without_centres(self):
        with pytest.raises(DataError, match=r"the region table has no centres"):
            pixels_of_discs(RegionTable(("a",)), (3, 4))

    def test_label_images(self, tmp_path):
        np.save(tmp_path / "labels.npy", LABELS[None].astype(np.float64))
        image = read_label_image(ArrayLocation(tmp_path / "labels.npy"))
        regions, names = pixels_of_labels(image, (2, 3))
        assert names == ("2", "4")
        assert [pixels.tolist() for pixels in regions] == [[3, 4], [1, 2, 5]]

    @pytest.mark.parametrize(
        ("image", "text"),
        [
            (LABELS + 0.5, r"holds float64 values .* one whole number a pixel"),
            (np.full((2, 3), np.nan), r"one whole number a pixel"),
            (LABELS.T, r"shape \(3, 2\); it needs one whole number a pixel, the frames' shape"),
            (0 * LABELS, r"is 0 everywhere"),
        ],
    )
    def test_bad_label_images(self, image, text):
        with pytest.raises(DataError, match=text):
            pixels_of_labels(image, (2, 3))

    def test_what_is_no_image(self, tmp_path):
        np.save(tmp_path / "labels.npy", np.zeros((2, 3, 4), int))
        with pytest.raises(DataError, match=r"a label image has rows and columns"):
            read_label_image(ArrayLocation(tmp_path / "labels.npy"))

    def test_a_region_without_pixels(self):
        with pytest.raises(DataError, match=r"region 'b' has no pixel"):
            extract_traces(a_movie(), [np.array([0]), np.array([], int)], ("a", "b"))
