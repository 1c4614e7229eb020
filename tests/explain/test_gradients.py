from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.conftest import again
from torch import nn

from corticode.data.movies.normalise import NormalisedMovie, PixelPreprocessing
from corticode.data.prepared import NO_PREPROCESSING, lay_end_to_end
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows, session_targets, windows_of
from corticode.decode.decoder import Decoder, ScaledNetwork
from corticode.decode.fit import fit
from corticode.decode.networks.movies import MovieNetwork
from corticode.decode.settings import Network, Training
from corticode.errors import StudyError
from corticode.explain.gradients import expected_gradients, integrated_gradients

SHORT = Training(epochs=3, batch_size=32, learning_rate=0.02, penalty=(0.01,))


@pytest.fixture
def fitted(simulate):
    def make(kind):
        windows = cut_windows(
            [simulate("m1", "a", n_frames=120)],
            Target("run"),
            WindowShape(2, 2),
            preprocessing=Preprocessing(),
        )
        return fit(windows, again(windows), Network(kind), SHORT), windows

    return make


@pytest.mark.parametrize("method", [expected_gradients, integrated_gradients])
def test_linear_decoders_are_explained_exactly(fitted, method):
    decoder, windows = fitted("linear-window")
    n_steps = {"n_draws": windows.n_windows} if method is expected_gradients else {"n_steps": 1}
    found = method(decoder, windows, windows, **n_steps)
    values = windows.values()
    weight = decoder.network.inner.weight[0].detach().numpy() * decoder.network.input_gain.numpy()
    expected = weight * (values - values.mean(axis=0))
    np.testing.assert_allclose(found.absolute, np.abs(expected).mean(axis=0), atol=1e-4)
    assert found.details["additivity_error"] < 1e-4


def test_integrated_gradients_come_near_the_outputs_with_more_steps(fitted):
    decoder, windows = fitted("gru")
    errors = [
        integrated_gradients(decoder, windows, windows, n_steps=n, on="probability").details[
            "additivity_error"
        ]
        for n in (1, 20)
    ]
    assert errors[1] < 1e-3 < errors[0]


def test_the_seed_fixes_the_draws(fitted):
    decoder, windows = fitted("gru")
    first, again, other = (
        expected_gradients(decoder, windows, windows, n_draws=5, seed=s).absolute for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert decoder.network.training is False
    with pytest.raises(StudyError, match="n_draws = 0; give at least 1"):
        expected_gradients(decoder, windows, windows, n_draws=0)


class Corner(nn.Module):
    """Two features of an image: the mean of its upper left corner, squared, and of the rest."""

    def forward(self, images):
        corner = images[:, :, :4, :4].mean(dim=(1, 2, 3))
        return torch.stack([corner, corner**2], dim=1)


@pytest.mark.parametrize(("head", "read"), [("cnn", None), ("cnn-gru", None), ("cnn-gru", (0, 4))])
def test_movies_are_explained_by_pixel(head, read):
    rng = np.random.default_rng(0)
    reach = 0 if head == "cnn" else 2
    shape = (20, 8, 8)
    movie = NormalisedMovie(
        rng.integers(0, 200, shape).astype(np.uint16),
        offset=np.full((1, 8, 8), 100, np.float32),
        gain=np.full((1, 8, 8), 0.02, np.float32),
        valid=np.ones(20, np.bool_),
    )
    session = Session(
        "m1", "a", None, (), {"run": np.arange(20) % 6 > 2}, np.zeros(20, np.int32), 30.0
    )
    prepared = lay_end_to_end(
        np.zeros((20, 0), np.float32), np.ones(20, bool), [session], (), NO_PREPROCESSING, []
    )
    prepared = replace(prepared, movies=(movie,), pixels=PixelPreprocessing(), image_shape=(8, 8))
    target = Target("run")
    windows = windows_of(
        prepared,
        target,
        session_targets(prepared, target),
        WindowShape(reach, reach),
        np.zeros(0, bool),
        input="movie",
    )
    torch.manual_seed(0)
    network = ScaledNetwork(MovieNetwork(Corner(), head, n_features=2, n_units=4, read=read), 0)
    network.eval()
    decoder = Decoder(
        network, Network(head), Training(), 0, windows.recipe, "binary", (), 1, "", ("m1",)
    )
    found = integrated_gradients(decoder, windows, windows, n_steps=30)
    n_frames = 2 * reach + 3
    assert found.axes == ("frame", "row", "column")
    assert found.absolute.shape == (n_frames, 8, 8)
    assert found.frames == tuple(range(-reach - 1, reach + 2))
    assert found.details["additivity_error"] < 1e-3
    # Of five images, the first and the last: the frame between them is in neither.
    seen = np.arange(n_frames) != (3 if read else n_frames)
    assert np.all(found.absolute[seen, :4, :4] > 0)
    assert np.all(found.absolute[~seen] == 0)
    assert found.absolute.sum() == pytest.approx(found.absolute[:, :4, :4].sum())
    sampled = expected_gradients(decoder, windows, windows, n_draws=18)
    assert np.all(sampled.absolute[:, 4:, 4:] == 0)
