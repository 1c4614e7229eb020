"""Tests."""

from dataclasses import replace

import numpy as np
import pytest

from corticode.data.movies.passes import smoothed_frames
from corticode.data.movies.statistics import (
    DriftSums,
    MovieSums,
    drift_at,
    first_valid_frame,
    frame_blocks,
    knot_distance,
    load_statistics,
    measure_movie,
    odd_statistics,
    save_statistics,
    seen_pixels,
    valid_frames,
)
from corticode.data.preprocess import moving_mean
from corticode.errors import DataError

RNG = np.random.default_rng(0)


def a_movie(dtype: str, n_frames: int = 600, low: float = 0, high: float = 255) -> np.ndarray:
    movie = RNG.integers(low, high, (n_frames, 7, 5))
    movie[:, 3, 2] = high
    return movie.astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("u1", 0, 255),
        ("<u2", 65_500, 65_535),
        (">u2", 65_500, 65_535),
        ("<i2", -300, 300),
        (">f4", 1e5, 1.001e5),
    ],
)
@pytest.mark.parametrize("step", [1, 2])
def test_are_those_of_numpy(dtype: str, low: float, high: float, step: int) -> None:
    movie = a_movie(dtype, 600 * step, low, high)[step - 1 :: step]
    found = measure_movie(movie)
    wide = movie.astype(np.float64)
    np.testing.assert_allclose(found.mean[0], wide.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.variance[0], wide.var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.overall_sd, wide.std(), rtol=1e-6)
    assert found.constant.sum() == 1
    assert found.constant[3, 2]
    assert (found.n_frames, found.n_counted.tolist(), found.checkpoint_frames) == (600, [600], 0)


def test_frames_without_a_value_are_left_out() -> None:
    movie = a_movie("<f4")
    movie[10, 0, 0], movie[300, 1, 1] = np.nan, np.inf
    movie[:, 6] = np.nan
    found = measure_movie(movie)
    kept = np.delete(movie[:, :6].astype(np.float64), [10, 300], axis=0)
    assert np.flatnonzero(~found.valid).tolist() == [10, 300]
    np.testing.assert_allclose(found.mean[0, :6], kept.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.variance[0, :6], kept.var(axis=0), rtol=1e-6)
    assert not found.mean[0, 6].any()
    reasons = [str(finding) for finding in odd_statistics(found)]
    assert reasons[0] == "6 of 35 pixels never change and enter as 0"
    assert reasons[1].startswith("2 of 600 frames of the movie have a pixel without a finite")


@pytest.mark.parametrize("causal", [False, True])
def test_with_a_reference(causal: bool) -> None:
    movie, reference = a_movie("<u2", 800, 50, 99), a_movie("<u2", 800, 50, 99)
    found = measure_movie(movie, reference, lowpass_frames=4, causal=causal)
    stop = 768 if causal else 800
    smooth = smoothed_frames(reference, slice(0, stop), 4, causal=causal)
    corrected = movie[:stop] - found.slope[-1] * smooth
    np.testing.assert_allclose(found.reference_mean[-1], smooth.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(
        found.corrected_variance[-1], corrected.var(axis=0), rtol=1e-4, atol=1e-9
    )
    assert found.slope[-1, 3, 2] == 0
    # Independent channels have no heart beat in common.
    assert found.coherence[-1] < 0.5
    assert "the ratio of both channels' brightness" in str(odd_statistics(found)[-1])


def test_causal_states_are_those_of_the_frames_before() -> None:
    movie, reference = a_movie("<u2", 770, 50, 99), a_movie("<u2", 770, 50, 99)
    found = measure_movie(movie, reference, lowpass_frames=4, causal=True)
    assert found.mean.shape == (3, 7, 5)
    assert found.n_counted.tolist() == [256, 512, 768]
    np.testing.assert_allclose(found.mean[1], movie[:512].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.overall_sd[1], movie[:512].std(), rtol=1e-6)
    # No later frame reaches an earlier state.
    other, other_reference = movie.copy(), reference.copy()
    other[600:] += 40
    other_reference[512:] += 40
    changed = measure_movie(other, other_reference, lowpass_frames=4, causal=True)
    for name in ("mean", "variance", "reference_mean", "slope", "corrected_variance", "coherence"):
        before, after = getattr(found, name), getattr(changed, name)
        np.testing.assert_array_equal(before[:2], after[:2])
        assert (before[2] != after[2]).any()


def test_a_short_last_stretch_is_in_no_causal_state() -> None:
    movie = a_movie("u1", 600)
    found = measure_movie(movie, causal=True)
    np.testing.assert_allclose(found.mean[1], movie[:512].mean(axis=0), rtol=1e-6)
    assert measure_movie(movie[:512], causal=True).mean.shape[0] == 1


class TestStored:
    def test_comes_back(self, tmp_path) -> None:
        movie = a_movie("u1") + np.uint8(1)
        for causal, length in ((False, None), (True, None), (False, 40)):
            for reference in (None, movie[::-1]):
                found = measure_movie(
                    movie, reference, lowpass_frames=3, causal=causal, detrend_frames=length
                )
                assert (found.drift is None) is (length is None)
                save_statistics(tmp_path / "m.npz", found, "key")
                back = load_statistics(tmp_path / "m.npz", "key")
                for name, value in vars(found).items():
                    np.testing.assert_array_equal(getattr(back, name), value)
                    assert getattr(getattr(back, name), "dtype", 0) == getattr(value, "dtype", 0)

    def test_is_not_taken_for_another(self, tmp_path) -> None:
        path = tmp_path / "m.npz"
        assert load_statistics(path, "key") is None
        save_statistics(path, measure_movie(a_movie("u1")), "key")
        assert load_statistics(path, "other") is None
        whole = path.read_bytes()
        for content in (whole[:-30], whole[:100], b"", b"no zip"):
            path.write_bytes(content)
            assert load_statistics(path, "key") is None

    def test_of_before_movies_were_detrended(self, tmp_path) -> None:
        path = tmp_path / "m.npz"
        save_statistics(path, measure_movie(a_movie("u1")), "key")
        with np.load(path) as stored:
            kept = {name: stored[name] for name in stored if name != "knot_frames"}
        np.savez(path, **kept)
        back = load_statistics(path, "key")
        assert back is not None
        assert back.knot_frames == 0

    def test_is_small(self, tmp_path) -> None:
        small = measure_movie(a_movie("u1", 300), a_movie("u1", 300), causal=True)
        n_states, shape = 17_999 // 256, (128, 128)

        def grow(statistics):
            images = {
                name: np.zeros((n_states, *shape), value.dtype)
                for name, value in vars(statistics).items()
                if getattr(value, "ndim", 0) == 3
            }
            return replace(statistics, **images, valid=np.ones(18_000, bool))

        n_bytes = 18_000 * 128 * 128 * 2
        save_statistics(tmp_path / "pair.npz", grow(small), "key")
        assert (tmp_path / "pair.npz").stat().st_size <= 0.02 * 2 * n_bytes
        alone = measure_movie(a_movie("u1", 300), causal=True)
        save_statistics(tmp_path / "one.npz", grow(alone), "key")
        assert (tmp_path / "one.npz").stat().st_size <= 0.02 * n_bytes


class TestRefused:
    def test_a_movie_that_never_changes(self) -> None:
        with pytest.raises(DataError, match=r"no pixel of the movie ever changes in its 9 frames"):
            measure_movie(np.full((9, 2, 2), 7, np.uint16))

    def test_one_frame(self) -> None:
        with pytest.raises(DataError, match=r"has 1 frames; statistics need at least 2"):
            measure_movie(np.zeros((1, 2, 2)))

    def test_too_short_for_a_checkpoint(self) -> None:
        with pytest.raises(DataError, match=r"has 256 frames; causal .* at least 257"):
            measure_movie(a_movie("u1", 256), causal=True)

    def test_a_reference_of_another_shape(self) -> None:
        movie = a_movie("u1", 30)
        with pytest.raises(DataError, match=r"a reference of shape \(29, 7, 5\)"):
            measure_movie(movie, movie[1:])


def test_sums_so_far():
    movie = np.array([[[1, 7]], [[3, 7]], [[8, 7]]], np.uint8)
    sums = MovieSums(movie, None, np.ones((1, 2), bool), 0, 1, False)
    assert sums.add(slice(0, 2), 0.2).tolist() == [True, True]
    assert sums.images()["mean"].tolist() == [[2, 7]]
    sums.add(slice(2, 3), 0.2)
    assert sums.images()["mean"].tolist() == [[4, 7]]
    np.testing.assert_allclose(sums.images()["variance"], [[26 / 3, 0]])


def test_stretches_are_whole():
    assert sum(rows.stop - rows.start for rows in frame_blocks(1000)) == 1000


def test_a_cut_out_brain_and_a_bad_frame():
    movie = np.ones((40, 2, 2), np.float32)
    movie[:, 0, 0], movie[0, 1, 1], movie[7, 1, 0] = np.nan, np.inf, np.nan
    seen = seen_pixels(movie)
    assert seen.tolist() == [[False, True], [True, True]]
    assert np.flatnonzero(~valid_frames(movie, seen)).tolist() == [0, 7]
    assert first_valid_frame(movie, None, seen) == 1
    reference = np.ones_like(movie)
    reference[1, 1, 1] = np.nan
    assert first_valid_frame(movie, reference, seen) == 2


def test_no_valid_frame():
    movie = np.full((3, 2, 2), np.nan)
    with pytest.raises(DataError, match=r"none of 3 frames of the movie has finite values"):
        first_valid_frame(movie, None, seen_pixels(movie))


def means_of(values, knot_frames, valid=None, cuts=()):
    valid = np.ones(len(values), bool) if valid is None else valid
    sums = DriftSums(len(values), values.shape[1:], knot_frames)
    for rows in np.split(np.arange(len(values)), cuts):
        sums.count(rows[0], valid[rows])
        for band in (slice(0, 1), slice(1, 3)):
            sums.add(rows[0], valid[rows], values[rows][valid[rows], band], band)
    return sums.means()


@pytest.fixture
def values():
    return np.cumsum(np.random.default_rng(0).normal(size=(230, 3, 2)), axis=0)


def test_knots_are_those_of_a_moving_mean(values):
    means = means_of(values, 10)
    flat = values.reshape(230, -1)
    exact = np.column_stack([moving_mean(trace, 40) for trace in flat.T])
    # A centred mean of even length holds one frame more before than after.
    np.testing.assert_allclose(means.reshape(24, -1)[:-1], exact[::10], atol=1e-12)


def test_however_frames_come(values):
    expected = means_of(values, 10)
    for cuts in ([1], [7, 64, 65, 200], [229]):
        np.testing.assert_allclose(means_of(values, 10, cuts=cuts), expected, atol=1e-12)


def test_frames_that_are_not_valid_are_left_out(values):
    valid = np.ones(230, bool)
    valid[3:8] = valid[100:190] = False
    spoilt = values.copy()
    spoilt[~valid] = 1e9
    means = means_of(spoilt, 10, valid, cuts=[64])
    np.testing.assert_allclose(means[0], values[[0, 1, 2, *range(8, 20)]].mean(axis=0))
    # No frame within two blocks: the mean of all that are valid.
    np.testing.assert_allclose(means[14], values[valid].mean(axis=0))


def test_between_knots_is_a_line():
    means = np.array([[1.0], [3.0], [-1.0]], np.float32)
    found = drift_at(means, np.array([0, 3, 4, 7]), 4).ravel()
    np.testing.assert_allclose(found, [1.0, 2.5, 3.0, 0.0])


def test_knots_are_never_nearer_than_a_frame():
    assert [knot_distance(n) for n in (1, 4, 999, 1001)] == [1, 1, 250, 250]


class TestLeftOut:
    """Frames that are not to count: whatever they hold changes nothing."""

    @pytest.mark.parametrize("causal", [False, True])
    @pytest.mark.parametrize("with_reference", [False, True])
    def test_they_change_no_number(self, causal, with_reference):
        movie, reference = a_movie("u2"), a_movie("u2")
        left_out = np.zeros(600, bool)
        left_out[[0, 100, 101, 399, 599]] = True
        others = movie.copy(), reference.copy()
        for one in others:
            one[left_out] = 60_000

        def measured(a, b):
            return measure_movie(
                a,
                b if with_reference else None,
                lowpass_frames=4,
                causal=causal,
                detrend_frames=None if causal else 100,
                left_out=left_out,
            )

        wanted, found = measured(movie, reference), measured(*others)
        for name in ("valid", "n_counted", "mean", "variance", "slope", "drift"):
            value = getattr(wanted, name)
            if value is None:
                continue
            # The first frame's counts are where sums begin, and are taken off exactly.
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-9, err_msg=name)
        assert not found.valid[left_out].any()
        assert [str(f) for f in odd_statistics(found) if "finite" in str(f)] == []

    def test_the_low_passed_reference_holds_none(self):
        movie, reference = a_movie("u2", 300), a_movie("u2", 300)
        left_out = np.zeros(300, bool)
        left_out[100] = True
        found = measure_movie(movie, reference, lowpass_frames=9, left_out=left_out)
        assert np.flatnonzero(~found.valid).tolist() == list(range(96, 105))
        alone = measure_movie(movie, left_out=left_out)
        assert np.flatnonzero(~alone.valid).tolist() == [100]

    def test_they_are_kept(self, tmp_path):
        left_out = np.zeros(300, bool)
        left_out[3] = True
        found = measure_movie(a_movie("u1", 300), left_out=left_out)
        save_statistics(tmp_path / "a.npz", found, "k")
        assert load_statistics(tmp_path / "a.npz", "k").left_out.tolist() == left_out.tolist()
