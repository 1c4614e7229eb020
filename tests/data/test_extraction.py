"""Tests."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.catalogue import Recording, read_catalogue
from corticode.data.extraction import (
    extract_catalogue,
    extract_traces,
    labels_of,
    pixels_of_discs,
    pixels_of_labels,
    read_label_image,
)
from corticode.data.preprocess import moving_mean
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.regions import RegionTable
from corticode.data.session import read_session
from corticode.errors import DataError, MissingDataError, StudyError

LABELS = np.array([[0, 4, 4], [2, 2, 4]])


@pytest.fixture
def recordings(tmp_path):
    """Two sessions whose left column brightens by 10 % at the end; one interleaves wavelengths."""
    made = []
    for k, channels in enumerate([(), ("calcium", "reference")]):
        movie = np.full((8, 4, 4), 100, np.uint16)
        movie[4:, :, 0] = 110
        if channels:
            movie = np.stack([movie, np.full_like(movie, 50)], axis=1).reshape(16, 4, 4)
        np.save(tmp_path / f"movie{k}.npy", movie)
        rows = "run\n" + "\n".join("00001111") + "\n"
        (tmp_path / f"run{k}.csv").write_text(rows, "utf-8")
        made.append(
            Recording(
                "m1",
                f"s{k}",
                behavior=ArrayLocation(tmp_path / f"run{k}.csv"),
                movie=ArrayLocation(tmp_path / f"movie{k}.npy"),
                channels=channels,
            )
        )
    return made


def test_labels_and_both_decoders_read_the_same_catalogue(recordings, tmp_path):
    image = np.zeros((4, 4), np.uint8)
    image[:, 0], image[:, 2] = 3, 9
    np.save(tmp_path / "labels.npy", image)
    path, findings = extract_catalogue(
        recordings, tmp_path / "out", labels=ArrayLocation(tmp_path / "labels.npy")
    )
    assert findings == []
    for recording in read_catalogue(path):
        session = read_session(recording)
        assert session.regions == ("3", "9")
        assert session.movie.shape == (8, 4, 4)
        # 100 and 110, against their mean of 105; the other region never changes.
        expected = np.repeat([[-100 / 21, 0], [100 / 21, 0]], 4, axis=0)
        np.testing.assert_allclose(session.traces, expected, rtol=1e-5)
        assert session.history == "dF/F of the movie, baseline: mean"


def test_labels_are_named_by_the_rows_of_a_table(recordings, tmp_path):
    image = np.zeros((4, 4), np.uint8)
    image[:, 0], image[:, 2] = 3, 1
    np.save(tmp_path / "labels.npy", image)
    labels = ArrayLocation(tmp_path / "labels.npy")
    table = RegionTable(("a", "b", "c"))
    path, _ = extract_catalogue(recordings, tmp_path / "out", labels=labels, table=table)
    assert read_session(read_catalogue(path)[0]).regions == ("a", "c")
    with pytest.raises(DataError, match="the label image holds 3, and the region table has 2 rows"):
        extract_catalogue(
            recordings, tmp_path / "two", labels=labels, table=RegionTable(("a", "b"))
        )


def test_each_animal_may_have_a_label_image_of_its_own(recordings, tmp_path):
    for k, animal in enumerate(("m1", "m2")):
        image = np.zeros((4, 4), np.uint8)
        image[:, 0], image[:, 2] = 1, 2 + k
        (tmp_path / animal).mkdir()
        np.save(tmp_path / animal / "labels.npy", image)
        (tmp_path / animal / "regions.csv").write_text("name,pixels\na,4\nb,4\nc,4\n")
    labels = ArrayLocation(tmp_path / "{animal}" / "labels.npy")
    recordings[1] = replace(recordings[1], animal="m2")
    path, _ = extract_catalogue(recordings, tmp_path / "out", labels=labels)
    found = {one.animal: read_session(one).regions for one in read_catalogue(path)}
    assert found == {"m1": ("a", "b"), "m2": ("a", "c")}
    other = replace(recordings[1], animal="m3")
    with pytest.raises(MissingDataError, match=r"m3/labels\.npy does not exist"):
        extract_catalogue([other], tmp_path / "m3", labels=labels)
    with pytest.raises(DataError, match="braces around what is neither animal nor session"):
        labels_of(other, ArrayLocation(tmp_path / "{mouse}.npy"))


def test_what_a_killed_call_left_is_begun_anew(recordings, tmp_path):
    np.save(tmp_path / "labels.npy", np.eye(4, dtype=np.uint8))
    labels = ArrayLocation(tmp_path / "labels.npy")

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_catalogue(recordings, tmp_path / "out", labels=labels, on_session=stop)
    path, _ = extract_catalogue(recordings, tmp_path / "out", labels=labels)
    assert len(read_catalogue(path)) == len(recordings)
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["sessions.csv", "traces"]
    with pytest.raises(DataError, match="exists; name another folder"):
        extract_catalogue(recordings, tmp_path / "out", labels=labels)


def test_discs_around_centres(recordings, tmp_path):
    table = RegionTable(("left", "right"), rows=(1.0, 1.0), columns=(0.0, 3.0))
    path, _ = extract_catalogue(
        recordings, tmp_path / "out", table=table, radius_pixels=0.5, baseline="percentile"
    )
    session = read_session(read_catalogue(path)[0])
    assert session.regions == ("left", "right")
    np.testing.assert_allclose(session.traces[:, 0], [0] * 4 + [10] * 4, atol=1e-5)


class TestRefused:
    def test_neither_labels_nor_centres(self, recordings, tmp_path):
        with pytest.raises(
            StudyError, match=r"say where regions lie: .*\(--labels\), .*\(--regions\)"
        ):
            extract_catalogue(recordings, tmp_path / "out")

    def test_a_destination_with_a_catalogue(self, recordings, tmp_path):
        (tmp_path / "sessions.csv").write_text("mine", "utf-8")
        table = RegionTable(("left",), rows=(1.0,), columns=(0.0,))
        with pytest.raises(DataError, match=r"sessions\.csv exists"):
            extract_catalogue(recordings, tmp_path, table=table)
        assert (tmp_path / "sessions.csv").read_text("utf-8") == "mine"

    def test_a_session_without_movie(self, recordings, tmp_path):
        table = RegionTable(("left",), rows=(1.0,), columns=(0.0,))
        with pytest.raises(DataError, match="session m1/s0: it has no movie"):
            extract_catalogue([replace(recordings[0], movie=None)], tmp_path / "out", table=table)

    def test_a_centre_outside_the_image(self, recordings, tmp_path):
        table = RegionTable(("left",), rows=(9.0,), columns=(0.0,))
        with pytest.raises(DataError, match="session m1/s0: the centre of region 'left'"):
            extract_catalogue(recordings, tmp_path / "out", table=table)
        assert not (tmp_path / "out" / "sessions.csv").exists()


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

    def test_running(self):
        movie = a_movie()
        regions, names = pixels_of_labels(LABELS)
        options = {"baseline": "running", "baseline_frames": 8}
        traces, _ = extract_traces(movie, regions, names, **options)
        bright = movie[:, LABELS == 2].mean(axis=1)
        level = moving_mean(bright, 8)
        np.testing.assert_allclose(traces[:, 0], 100 * (bright - level) / level, atol=1e-4)

    def test_of_0(self):
        movie = a_movie().astype(np.float32) - 1000
        movie[:, LABELS == 4] -= 50
        movie[:, LABELS == 2] += 500
        with pytest.raises(DataError, match=r"region '4' has a baseline of -.* counts as recorded"):
            extract_traces(movie, *pixels_of_labels(LABELS))

    def test_unknown(self):
        regions, names = pixels_of_labels(LABELS)
        with pytest.raises(StudyError, match=r"baseline is 'median'; it must be one of mean"):
            extract_traces(a_movie(), regions, names, baseline="median")
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


class TestChanges:
    """Movies of dF/F, where counts are wanted."""

    @staticmethod
    def counts(n_frames=300):
        rng = np.random.default_rng(0)
        course = 1 + 0.01 * rng.normal(size=(n_frames, 1, 1))
        return 2000 * course + 3 * rng.normal(size=(n_frames, 6, 6))

    REGIONS = pixels_of_labels(np.repeat([[1, 1, 2, 2, 3, 3]], 6, axis=0))

    @pytest.mark.parametrize("scale", [1, 100])
    @pytest.mark.parametrize(
        "level",
        [
            lambda m: m.mean(axis=0),
            lambda m: np.percentile(m, 10, axis=0),
            lambda m: m.max(axis=0),
        ],
    )
    @pytest.mark.parametrize("baseline", ["mean", "percentile", "running"])
    def test_around_0_is_refused(self, level, scale, baseline):
        counts = self.counts()
        movie = (scale * (counts / level(counts) - 1)).astype(np.float32)
        with pytest.raises(DataError, match=r"the movie looks like dF/F, not counts: .* as record"):
            extract_traces(movie, *self.REGIONS, baseline=baseline)
        traces, _ = extract_traces(movie, *self.REGIONS, baseline="none")
        np.testing.assert_allclose(traces[:, 0], movie[:, :, :2].mean(axis=(1, 2)), rtol=1e-3)

    def test_around_1_gives_the_same_traces(self):
        counts = self.counts()
        ratio = (counts / counts.mean(axis=0)).astype(np.float32)
        traces, (finding,) = extract_traces(ratio, *self.REGIONS)
        assert "looks like F / F0" in str(finding)
        wanted, findings = extract_traces(counts, *self.REGIONS)
        assert findings == []
        np.testing.assert_allclose(traces, wanted, atol=0.05)

    @pytest.mark.parametrize("factor", [1.0, 1e-4, 1e4])
    def test_counts_in_any_unit_are_counts(self, factor):
        movie = self.counts() * factor
        movie *= np.linspace(1.5, 0.7, len(movie))[:, None, None]  # bleaching
        assert extract_traces(movie, *self.REGIONS)[1] == []


def interleaved(recordings, tmp_path, movie):
    np.save(tmp_path / "both.npy", movie)
    return replace(recordings[1], movie=ArrayLocation(tmp_path / "both.npy"))


class TestFrames:
    """Frames that are lost or cannot be used."""

    def film(self):
        movie = np.random.default_rng(0).poisson(1000, (400, 4, 4)).astype(np.uint16)
        movie[1::2] //= 2
        return movie

    @property
    def table(self):
        return RegionTable(("left", "right"), rows=(1.0, 1.0), columns=(0.0, 3.0))

    def test_a_lost_frame_is_an_error_or_put_right(self, recordings, tmp_path):
        lost = np.delete(self.film(), 201, axis=0)
        recording = interleaved(recordings, tmp_path, lost)
        with pytest.raises(
            DataError, match=r"at frame 201 of m1/s1, .*--resynchronise of corticode extract"
        ):
            extract_catalogue([recording], tmp_path / "out", table=self.table)
        assert not (tmp_path / "out").exists()
        path, findings = extract_catalogue(
            [recording], tmp_path / "out", table=self.table, resynchronise=True
        )
        assert [finding.session for finding in findings] == ["s1"]
        traces = np.load(read_catalogue(path)[0].traces.path)
        assert np.flatnonzero(np.isnan(traces).any(axis=1)).tolist() == [100]
        assert np.nanmax(np.abs(traces)) < 20

    def test_dark_frames_become_nan_and_have_no_part_in_the_baseline(self, recordings, tmp_path):
        movie = self.film()
        whole = extract_traces(movie[::2], *pixels_of_discs(self.table, (4, 4), 1.0))[0]
        movie[300:] = 20
        recording = interleaved(recordings, tmp_path, movie)
        path, (finding,) = extract_catalogue(
            [recording], tmp_path / "out", table=self.table, radius_pixels=1.0
        )
        assert finding.count == 50
        assert "50 frames of the movie are dark" in finding.reason
        traces = np.load(read_catalogue(path)[0].traces.path)
        assert np.isnan(traces[150:]).all()
        np.testing.assert_allclose(traces[:150], whole[:150], atol=1.5)
        _, (finding,) = extract_catalogue(
            [recording], tmp_path / "as_is", table=self.table, bad_frames="report"
        )
        traces = np.load(tmp_path / "as_is" / "traces" / "001.npy")
        assert np.isfinite(traces).all()

    def test_one_wavelength_behind_the_other(self, recordings, tmp_path):
        movie = self.film()
        recording = interleaved(recordings, tmp_path, np.concatenate([movie[::2], movie[1::2]]))
        with pytest.raises(
            DataError, match=r"session m1/s1: channels says .* the first 200 of its"
        ):
            extract_catalogue([recording], tmp_path / "out", table=self.table)


def test_a_background_below_0_is_no_region():
    labels = np.full((8, 8), -1)
    labels[2:4, 2:4] = 3
    with pytest.raises(DataError, match="-1 in its corners"):
        pixels_of_labels(labels)


def test_a_radius_below_0_is_none():
    table = RegionTable(("a",), rows=(1.0,), columns=(0.0,))
    with pytest.raises(DataError, match="above 0"):
        pixels_of_discs(table, (3, 3), -1.0)
