import numpy as np
import pytest

from corticode.data.preprocessing.blood import BloodFit, correct_blood, filter_channels, fit_blood
from corticode.data.preprocessing.components import (
    ComponentFit,
    Components,
    project,
    rebuild,
    slopes_of_components,
)
from corticode.errors import DataError, StudyError

RNG = np.random.default_rng(0)


def movie(n_frames=900, n_pixels=60, n_signals=4, noise=0.1):
    images = np.linalg.qr(RNG.normal(size=(n_pixels, n_signals)))[0]
    courses = np.cumsum(RNG.normal(size=(n_frames, n_signals)), axis=0) * [2.0, 1.5, 1.0, 0.7]
    return courses @ images.T, courses @ images.T + noise * RNG.normal(size=(n_frames, n_pixels))


def fitted(frames, n_components, **how):
    fit = ComponentFit(n_components, **how)
    fit.add(frames)
    return fit.components()


def test_are_those_of_numpys_svd_of_the_bins():
    _, frames = movie()
    bins = frames.reshape(60, 15, 60).mean(axis=1)
    _, strength, right = np.linalg.svd(bins, full_matrices=False)
    found = fitted(frames, 4)
    np.testing.assert_allclose(found.strength, strength[:4])
    np.testing.assert_allclose(np.abs((right[:4] * found.images.T).sum(axis=1)), 1, atol=1e-6)
    np.testing.assert_allclose(found.variance_kept, (strength[:4] ** 2).sum() / (strength**2).sum())
    assert found.n_bins == 60


def test_blocks_are_merged_to_the_same(monkeypatch):
    _, frames = movie()
    whole = fitted(frames, 3)
    monkeypatch.setattr("corticode.data.preprocessing.components.BLOCK_BINS", 10)
    monkeypatch.setattr("corticode.data.preprocessing.components.SPARE", 10)
    fit = ComponentFit(3)
    for first in range(0, 900, 150):
        fit.add(frames[first : first + 150])
    merged = fit.components()
    np.testing.assert_allclose(merged.strength, whole.strength, rtol=1e-4)
    np.testing.assert_allclose(np.abs((merged.images * whole.images).sum(axis=0)), 1, atol=1e-4)


def test_projection_denoises():
    clean, frames = movie(noise=1.0)
    found = fitted(frames, 4)
    denoised = rebuild(project(frames, found), found)
    assert ((denoised - clean) ** 2).mean() < 0.1 * ((frames - clean) ** 2).mean()


def test_pixels_without_a_value_stay_so_and_missing_samples_are_their_baseline():
    _, frames = movie()
    frames[:, 7] = np.nan
    found = fitted(frames, 4)
    assert np.isnan(found.images[7]).all() and np.isfinite(np.delete(found.images, 7, 0)).all()
    holed = frames[:3].copy()
    holed[1, 2] = np.nan
    filled = np.where(np.isnan(holed), 0, holed)
    np.testing.assert_array_equal(project(holed, found), project(filled, found))
    assert np.isnan(rebuild(project(holed, found), found)[:, 7]).all()


def test_blood_is_taken_out_of_components_as_out_of_pixels():
    slope = RNG.uniform(0.5, 1.5, 12)
    v = RNG.normal(size=(400, 12)) / 100
    b = slope * v + RNG.normal(size=v.shape) / 100
    everything = np.linalg.qr(RNG.normal(size=(12, 12)))[0].astype(np.float32)
    components = Components(everything, np.ones(12), 1.0, 400)
    found = fit_blood("wfield", b, v, frame_rate_hz=30.0)
    by_pixel = correct_blood(BloodFit("wfield", found, "session", 30.0), b, v)
    channels = [project(x, components) for x in (b, v)]
    calcium, reference = filter_channels("wfield", *channels, frame_rate_hz=30.0)
    calcium, reference = calcium - calcium.mean(axis=0), reference - reference.mean(axis=0)
    corrected = calcium - reference @ slopes_of_components(components, found[0]).T
    np.testing.assert_allclose(rebuild(corrected, components), by_pixel, atol=1e-6)


def test_what_cannot_be_is_refused():
    with pytest.raises(StudyError, match="components is 0"):
        ComponentFit(0)
    with pytest.raises(StudyError, match=r"bin_frames is 1\.5"):
        ComponentFit(3, bin_frames=1.5)
    with pytest.raises(DataError, match="5 components were asked of 4 bins of 15 frames"):
        fitted(RNG.normal(size=(60, 9)), 5)
    with pytest.raises(DataError, match=r"5 components .* 3 pixels"):
        fitted(RNG.normal(size=(600, 3)), 5)
    with pytest.raises(DataError, match="0 bins"):
        ComponentFit(1).components()
    fit = ComponentFit(1)
    fit.add(RNG.normal(size=(60, 9)))
    with pytest.raises(DataError, match="same pixels in every block"):
        fit.add(RNG.normal(size=(60, 8)))
    with pytest.raises(DataError, match=r"\(8,\) pixels, components of 9"):
        project(RNG.normal(size=(2, 8)), fit.components())
