import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from corticode.data.movies.normalise import normalised_frames
from corticode.decode.decoder import build_network
from corticode.decode.movie_batches import MovieBatches, MovieFrames, images_of, read_ahead
from corticode.decode.settings import Network, Training
from corticode.decode.training_loop import loss_of

PLAIN = Network("cnn-gru", backbone="efficientnet-lite0", weights="none", drop_connect=0.0)


class TestFrames:
    @pytest.mark.parametrize("dtype", ["<u2", ">u2", "u1", "<i2", "<f4", "<f8"])
    def test_are_those_of_the_numpy_form(self, movie_windows, dtype):
        movies = [
            replace(movie, frames=movie.frames.astype(dtype)) for movie in movie_windows().movies
        ]
        frames = MovieFrames(movies)
        rows = np.array([3, 4, 5, 58, 59, 60, 61, 7])
        found = frames.normalise(rows, frames.read(rows))
        whole = np.concatenate([normalised_frames(m, slice(0, len(m.frames))) for m in movies])
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.numpy(), whole[rows], rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("causal", [False, True])
    def test_with_blood_and_drift(self, movie_windows, causal):
        rng = np.random.default_rng(0)
        movies = []
        for movie in movie_windows().movies:
            shape = movie.frames.shape[1:]
            slope = rng.uniform(0.2, 0.9, (1, *shape)).astype(np.float32)
            drift = rng.normal(0, 30, (len(movie.frames) // 8 + 2, *shape)).astype(np.float32)
            movies.append(
                replace(
                    movie,
                    reference=movie.frames[::-1],
                    slope=slope,
                    lowpass_frames=3,
                    causal=causal,
                    drift=None if causal else drift,
                    knot_frames=0 if causal else 8,
                )
            )
        frames = MovieFrames(movies)
        rows = np.array([3, 4, 5, 58, 59, 60, 61, 7])
        found = frames.normalise(rows, frames.read(rows))
        whole = np.concatenate([normalised_frames(m, slice(0, len(m.frames))) for m in movies])
        np.testing.assert_allclose(found.numpy(), whole[rows], rtol=1e-5, atol=1e-5)

    def test_bright_pixels_of_16_bit_keep_their_sign(self, movie_windows):
        movie = movie_windows((40,)).movies[0]
        bright = replace(movie, frames=np.full_like(movie.frames, 65_000))
        frames = MovieFrames([bright])
        found = frames.normalise(np.arange(3), frames.read(np.arange(3)))
        expected = (65_000 - bright.offset) * bright.gain
        np.testing.assert_allclose(found.numpy(), np.repeat(expected, 3, axis=0), rtol=1e-5)

    def test_are_the_same_where_movies_are_resident(self, movie_windows):
        movies = movie_windows().movies
        read, resident = MovieFrames(movies), MovieFrames(movies)
        whole = np.concatenate([movie.frames for movie in movies])
        # As `_make_resident` leaves them on a GPU.
        resident.resident = torch.from_numpy(whole.view(np.int16))
        rows = np.array([3, 4, 5, 58, 59, 60, 61, 7])
        expected = read.normalise(rows, read.read(rows))
        assert torch.equal(resident.normalise(rows, resident.read(rows)), expected)

    def test_leave_the_recording_as_it_is(self, movie_windows):
        movie = movie_windows((40,)).movies[0]
        before = movie.frames.copy()
        frames = MovieFrames([movie])
        frames.normalise(np.arange(5), frames.read(np.arange(5)))
        assert (movie.frames == before).all()


def test_images_hold_the_frame_before_and_the_frame_after():
    frames = torch.arange(5.0)[:, None, None].expand(5, 2, 2)
    images = images_of(frames, torch.tensor([[0, 1, 2], [2, 3, 4]]))
    assert images[:, :, 0, 0].tolist() == [[0, 1, 2], [2, 3, 4]]
    assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["shared", "independent"])
def test_batches_hold_each_windows_images(movie_windows, kind):
    windows = movie_windows()
    training = Training(batch_size=16, windows=kind)
    batches = MovieBatches(windows, training, seed=0, device="cpu")
    whole = np.concatenate([normalised_frames(m, slice(0, len(m.frames))) for m in windows.movies])
    n_seen = 0
    n_batches = batches.n_batches(1)
    for (images, index), targets in batches.of_epoch(1, 0, n_batches):
        seen = images[index].numpy()
        n_seen += len(targets)
        assert seen.shape[1:] == (5, 3, *windows.recipe.image_shape)
        for window, target in zip(seen, targets, strict=True):
            # The window is found again by its first frame, and its target by its place.
            error = np.abs(whole - window[0, 0]).max(axis=(1, 2))
            start = int(error.argmin())
            rows = start + np.arange(5)[:, None] + np.arange(3)
            np.testing.assert_allclose(window, whole[rows], atol=1e-5)
            assert windows.target[windows.start.tolist().index(start)] == target
    assert n_seen == windows.n_windows


def test_batches_go_on_within_an_epoch(movie_windows):
    batches = MovieBatches(movie_windows(), Training(batch_size=16), seed=0, device="cpu")
    n_batches = batches.n_batches(3)
    whole = list(batches.of_epoch(3, 0, n_batches))
    rest = list(batches.of_epoch(3, 2, n_batches))
    assert len(rest) == n_batches - 2
    for ((images, _), targets), ((again, _), targets_again) in zip(whole[2:], rest, strict=True):
        assert torch.equal(images, again)
        assert torch.equal(targets, targets_again)


def test_gradients_of_shared_and_independent_windows_agree(movie_windows):
    windows = movie_windows((40, 36))
    torch.manual_seed(0)
    network = build_network(PLAIN, windows.recipe.window, n_regions=0, n_outputs=1)
    # Batch norm and dropout depend on what stands in a batch: off.
    network.eval()
    gradients = {}
    chosen = np.r_[2:10, 35:43]
    for kind in ("shared", "independent"):
        training = Training(batch_size=16, windows=kind, label_smoothing=0.0)
        batches = MovieBatches(windows.where(chosen), training, seed=0, device="cpu")
        network.zero_grad()
        for inputs, targets in batches.of_epoch(1, 0, batches.n_batches(1)):
            loss = loss_of(network, inputs, targets, windows, training) * len(targets)
            loss.backward()
        gradients[kind] = torch.cat([p.grad.flatten() for p in network.parameters()])
    largest = gradients["independent"].abs().max()
    difference = (gradients["shared"] - gradients["independent"]).abs().max()
    assert largest > 0
    assert difference < 1e-4 * largest


class TestReadAhead:
    def test_keeps_the_order(self):
        assert list(read_ahead(iter(range(50)), lambda k: k * k)) == [k * k for k in range(50)]

    def test_raises_what_the_work_raised_in_its_place(self):
        def work(k):
            if k == 3:
                raise OSError("the disk is gone")
            return k

        made = read_ahead(iter(range(10)), work)
        assert [next(made) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(OSError, match="the disk is gone"):
            next(made)

    def test_ends_its_thread_when_nobody_wants_more(self):
        before = set(threading.enumerate())
        made = read_ahead(iter(range(10**9)), lambda k: k)
        next(made)
        assert set(threading.enumerate()) - before
        made.close()
        assert not set(threading.enumerate()) - before

    def test_runs_a_little_ahead_only(self):
        done = []
        made = read_ahead(iter(range(100)), done.append)
        next(made)
        threading.Event().wait(0.3)
        assert len(done) <= 5
        made.close()
