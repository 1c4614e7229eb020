from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.conftest import again

from corticode.data.targets import Target
from corticode.decode import predict as predict_module
from corticode.decode.decoder import load_decoder
from corticode.decode.fit import fit
from corticode.decode.movie_batches import MovieFrames, images_of, make_batch
from corticode.decode.predict import predict
from corticode.decode.settings import Network, Training
from corticode.errors import DecoderError, StudyError

LITE = {"backbone": "efficientnet-lite0", "weights": "none"}
SHORT = Training(epochs=1, batch_size=16, learning_rate=1e-3)


def alone(decoder, windows):
    """The output of each window, its images passed through the network by themselves."""
    frames = MovieFrames(windows.movies)
    scores = []
    with torch.inference_mode():
        for k in range(windows.n_windows):
            batch = make_batch(windows, [np.array([k])], decoder.network.inner.read)
            normalised = frames.normalise(batch.rows, frames.read(batch.rows))
            images = images_of(normalised, torch.from_numpy(batch.images))
            scores.append(torch.sigmoid(decoder.network(images, torch.from_numpy(batch.index)))[0])
    return torch.cat(scores).numpy()


SMALL = {"backbone": "small", "temporal_stride": 2}
COMPONENTS = {"backbone": "components", "components": 5, "bins": 8}


@pytest.mark.parametrize(
    ("kind", "backbone"),
    [
        ("cnn", LITE),
        ("cnn-gru", LITE),
        ("cnn-lstm", LITE),
        ("cnn", SMALL),
        ("cnn-gru", SMALL),
        ("cnn-conv", SMALL),
        ("cnn-gru", COMPONENTS),
    ],
)
def test_each_windows_score_is_the_one_it_has_alone(movie_windows, monkeypatch, kind, backbone):
    # Small batches, so that stretches end within, at and after them.
    monkeypatch.setattr(predict_module, "IMAGES_BATCH", 16)
    monkeypatch.setattr(predict_module, "MOVIE_WINDOWS_BATCH", 7)
    reach = 0 if kind == "cnn" else 2
    windows = movie_windows((41, 36), before=reach, after=reach, gaps=(11, 14, 22))
    decoder = fit(windows, again(windows), Network(kind, units=8, **backbone), SHORT)
    said = predict(decoder, windows, part="train")
    np.testing.assert_allclose(said.score, alone(decoder, windows), atol=1e-4)
    assert said.frame.tolist() == windows.frame.tolist()
    assert len(np.unique(said.score)) > 10


@pytest.mark.parametrize("backbone", [LITE, SMALL, COMPONENTS, {"backbone": "grid"}])
def test_each_frame_passes_the_cnn_once(movie_windows, backbone):
    windows = movie_windows((300,), before=5, after=5)
    decoder = fit(
        windows.where(np.arange(20)),
        again(windows.where(np.arange(20))),
        Network("cnn-gru", **backbone),
        SHORT,
    )
    rows = []
    hook = decoder.network.inner.cnn.register_forward_hook(
        lambda _, inputs, __: rows.append(len(inputs[0]))
    )
    predict(decoder, windows, part=None)
    hook.remove()
    assert sum(rows) == 298
    assert sum(rows) / 300 <= 1.01


@pytest.mark.parametrize(("reach", "n_images"), [(0, 25), (2, 5 * 25)])
def test_windows_far_apart_share_full_batches(movie_windows, monkeypatch, reach, n_images):
    monkeypatch.setattr(predict_module, "IMAGES_BATCH", 16)
    windows = movie_windows((150, 120), before=reach, after=reach)
    few = windows.where(np.arange(0, windows.n_windows, 10)[:25])
    kind = "cnn-gru" if reach else "cnn"
    decoder = fit(few, again(few), Network(kind, units=8, **LITE), SHORT)
    passed = []
    hook = decoder.network.inner.cnn.register_forward_hook(
        lambda _, inputs, __: passed.append(len(inputs[0]))
    )
    said = predict(decoder, few, part="train")
    hook.remove()
    assert sum(passed) == n_images
    assert set(passed[:-1]) == {16}
    np.testing.assert_allclose(said.score, alone(decoder, few), atol=1e-4)


@pytest.mark.parametrize(
    "target", [Target("run"), Target("speed", kind="value")], ids=["binary", "value"]
)
def test_saved_and_loaded_says_the_same(movie_windows, tmp_path, target):
    windows = movie_windows(target=target)
    decoder = fit(windows, again(windows), Network("cnn-lstm", units=8, **LITE), SHORT)
    decoder.save(tmp_path)
    loaded = load_decoder(tmp_path)
    assert loaded.recipe == decoder.recipe
    assert loaded.settings == decoder.settings
    said, kept = (predict(one, windows, part="train").score for one in (decoder, loaded))
    np.testing.assert_array_equal(said, kept)


def test_other_pixels_are_refused(movie_windows):
    windows = movie_windows()
    decoder = fit(windows, again(windows), Network("cnn-gru", units=8, **LITE), SHORT)
    pixels = replace(windows.recipe.pixels, scale="none")
    other = replace(windows, recipe=replace(windows.recipe, pixels=pixels))
    with pytest.raises(DecoderError, match="another pixels than the decoder was fitted with"):
        predict(decoder, other)


def test_networks_of_traces_do_not_decode_movies(movie_windows):
    windows = movie_windows()
    with pytest.raises(StudyError, match=r"input = 'movie' needs a network of kind cnn, cnn-gru"):
        fit(windows, again(windows), "gru", SHORT)
