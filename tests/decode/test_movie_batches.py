"""Tests."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.movies.normalise import moving_part, states_of
from corticode.decode.decoder import build_network
from corticode.decode.movie_batches import (
    VALIDATION_WINDOWS,
    MovieBatches,
    MovieFrames,
    contiguous_blocks,
    images_of,
    images_of_windows,
    make_batch,
    plan_epoch,
    plan_validation,
    read_ahead,
)
from corticode.decode.settings import Network, Training
from corticode.decode.training import loss_of

PLAIN = Network("cnn-gru", backbone="efficientnet-lite0", weights="none", drop_connect=0.0)


def normalised_frames(movie, rows):
    """Some frames of a movie, normalised in numpy."""
    state = states_of(movie, np.arange(rows.start, rows.stop))
    values = movie.frames[rows].astype(np.float32) - movie.offset[state]
    moving = moving_part(movie, rows)
    if moving is not None:
        values -= moving
    gain = movie.gain[state]
    # Pixels that are left out, those without values too, are 0.
    return np.where(gain == 0, 0, values * gain)


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


@pytest.mark.parametrize("kind", ["shared", "independent"])
def test_batches_leave_out_what_a_network_does_not_read(movie_windows, kind):
    windows = movie_windows((60, 50), before=5, after=4)
    training = Training(batch_size=16, windows=kind, run_windows=2)
    settings = Network("cnn-gru", backbone="small", temporal_stride=4, bins=8)
    torch.manual_seed(0)
    network = build_network(settings, windows.recipe.window, n_regions=0, n_outputs=1).eval()
    # Of images 0 to 9 around the centre, 5: those at 1, 5 and 9.
    assert network.inner.places(10) == [1, 5, 9]
    all_of_them = MovieBatches(windows, training, seed=0, device="cpu")
    needed = MovieBatches(windows, training, seed=0, device="cpu", network=network.inner)
    n_batches = needed.n_batches(1)
    for ((images, index), _), ((few, small), _) in zip(
        all_of_them.of_epoch(1, 0, n_batches), needed.of_epoch(1, 0, n_batches), strict=True
    ):
        assert small.shape == (len(index), 3)
        assert few.shape[2:] == (8, 8)
        torch.testing.assert_close(
            network(few, small), network(images, index[:, [1, 5, 9]]), rtol=0, atol=1e-5
        )
        assert len(few) == (3 * len(index) if kind == "independent" else len(few)) < len(images)


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
            loss = loss_of(network, inputs, targets, windows, training).loss * len(targets)
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


def test_windows_of_movies_span_a_frame_more_on_each_side(movie_windows):
    windows = movie_windows((20,), before=2, after=3, shift=1)
    assert windows.recipe.n_frames == 8
    # The first window's images are centred on frames 1 to 6, its own centre is frame 3.
    assert windows.centre[0] == 3
    assert windows.frame[0] == 4
    assert windows.start[0] == 0
    assert windows.target_row.tolist() == windows.frame.tolist()
    assert windows.n_windows == 20 - 8 + 1


def test_stretches_end_at_gaps_and_at_sessions(movie_windows):
    windows = movie_windows((30, 25), gaps=(12,))
    found = [(int(windows.start[s[0]]), len(s)) for s in contiguous_blocks(windows)]
    # 12 + 18 and 12 + 13 frames, windows of 5 images and 7 frames.
    assert found == [(0, 6), (12, 12), (30, 6), (42, 7)]
    assert contiguous_blocks(windows.where(np.zeros(0, np.int64))) == []


@given(st.sets(st.integers(0, 49), min_size=1))
def test_images_of_windows_are_those_they_begin_with(movie_windows_once, chosen):
    windows = movie_windows_once.where(np.array(sorted(chosen)))
    image_rows, first_image = images_of_windows(windows)
    for start, first in zip(windows.start, first_image, strict=True):
        assert image_rows[first : first + 5].tolist() == list(range(start, start + 5))
    assert image_rows.size == sum(len(stretch) + 4 for stretch in contiguous_blocks(windows))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), min_size=1, max_size=6))
def test_batches_give_each_window_its_frames(movie_windows_once, given_runs):
    windows = movie_windows_once
    runs = [np.arange(first, first + n) for first, n in given_runs]
    batch = make_batch(windows, runs)
    assert batch.chosen.tolist() == [k for run in runs for k in run]
    for k, images in zip(batch.chosen, batch.index, strict=True):
        rows = batch.rows[batch.images[images]]
        expected = windows.start[k] + np.arange(5)[:, None] + np.arange(3)
        assert rows.tolist() == expected.tolist()
    # Within a run each image is there once.
    assert len(batch.images) == sum(len(run) + 4 for run in runs)
    assert len(batch.rows) == sum(len(run) + 6 for run in runs)
    assert batch.lengths.tolist() == [len(run) + 6 for run in runs]
    ends = make_batch(windows, runs, [0, 4])
    for k, images in zip(ends.chosen, ends.index, strict=True):
        rows = ends.rows[ends.images[images]]
        expected = windows.start[k] + np.array([[0], [4]]) + np.arange(3)
        assert rows.tolist() == expected.tolist()
    assert ends.lengths.sum() == len(ends.rows) <= len(batch.rows)
    assert set(ends.images.ravel()) == set(range(len(ends.rows)))


@pytest.fixture(scope="module")
def movie_windows_once(request):
    from dataclasses import replace

    from corticode.data.prepared import NO_PREPROCESSING, lay_end_to_end
    from corticode.data.session import Session
    from corticode.data.targets import Target
    from corticode.data.windows import WindowShape, session_targets, windows_of

    run = (np.arange(60) // 10 % 2).astype(float)
    session = Session("m1", "a", None, (), {"run": run}, np.zeros(60, np.int32))
    empty = np.zeros((60, 0), np.float32)
    prepared = lay_end_to_end(empty, np.ones(60, bool), [session], (), NO_PREPROCESSING, [])
    prepared = replace(prepared, image_shape=(8, 8))
    target = Target("run")
    targets = session_targets(prepared, target)
    return windows_of(
        prepared, target, targets, WindowShape(2, 2), np.zeros(0, bool), input="movie"
    )


class TestEpoch:
    @pytest.mark.parametrize("kind", ["shared", "independent"])
    def test_visits_each_window_once(self, movie_windows, kind):
        windows = movie_windows((70, 55, 90), gaps=(33,))
        training = Training(batch_size=32, windows=kind)
        plan = plan_epoch(windows, training, seed=0, epoch=1)
        visited = np.concatenate([run for batch in plan for run in batch])
        assert sorted(visited.tolist()) == list(range(windows.n_windows))

    @pytest.mark.parametrize("batch_size", [9, 16])
    def test_may_leave_out_a_last_batch_that_is_not_full(self, movie_windows, batch_size):
        windows = movie_windows((47, 38)).where(slice(0, 73))  # 73 = 8 x 9 + 1 = 4 x 16 + 9
        training = Training(batch_size=batch_size, windows="independent", drop_last=True)
        plan = plan_epoch(windows, training, seed=0, epoch=1)
        assert [len(runs) for runs in plan] == [batch_size] * (73 // batch_size)
        # What an epoch leaves out, another visits.
        seen = [
            {int(run[0]) for runs in plan_epoch(windows, training, seed=0, epoch=k) for run in runs}
            for k in (1, 2, 3)
        ]
        assert len(set.union(*seen)) == 73
        alone = replace(training, batch_size=500)
        assert [len(runs) for runs in plan_epoch(windows, alone, seed=0, epoch=1)] == [73]

    def test_depends_on_seed_and_epoch(self, movie_windows):
        windows, training = movie_windows((70, 55)), Training(batch_size=32)

        def runs(seed, epoch):
            plan = plan_epoch(windows, training, seed=seed, epoch=epoch)
            return [[run.tolist() for run in batch] for batch in plan]

        assert runs(0, 1) == runs(0, 1)
        assert runs(0, 1) != runs(0, 2)
        assert runs(0, 1) != runs(1, 1)

    def test_runs_of_a_batch_are_of_different_sessions(self, movie_windows):
        windows = movie_windows((200, 200, 200))
        plan = plan_epoch(windows, Training(batch_size=32), seed=0, epoch=1)
        together = [len({int(windows.session[run[0]]) for run in batch}) for batch in plan]
        full = [n for n, batch in zip(together, plan, strict=True) if len(batch) > 1]
        # At the end only runs of one session may be left.
        assert np.mean(np.array(full) > 1) > 0.8

    def test_shared_windows_need_few_images(self, movie_windows):
        windows = movie_windows((900, 900), before=5, after=5)
        plan = plan_epoch(windows, Training(batch_size=32), seed=0, epoch=1)
        n_images = sum(len(make_batch(windows, batch).images) for batch in plan)
        assert n_images / windows.n_windows < 2.0
        alone = plan_epoch(windows, Training(batch_size=32, windows="independent"), seed=0, epoch=1)
        n_images = sum(len(make_batch(windows, batch).images) for batch in alone)
        assert n_images == 11 * windows.n_windows

    @pytest.mark.parametrize("kind", ["shared", "independent"])
    def test_share_visits_some_windows_and_others_the_next_time(self, movie_windows, kind):
        windows = movie_windows((400, 400))
        training = Training(batch_size=32, windows=kind, share=0.25)
        first, second = (
            {
                int(k)
                for batch in plan_epoch(windows, training, seed=0, epoch=e)
                for r in batch
                for k in r
            }
            for e in (1, 2)
        )
        for visited in (first, second):
            assert 0.15 < len(visited) / windows.n_windows < 0.35
        assert first != second


def test_validation_is_always_the_same_and_evenly_spread(movie_windows):
    windows = movie_windows((400, 400))
    whole = plan_validation(windows, Training())
    assert np.concatenate([r for b in whole for r in b]).tolist() == list(range(windows.n_windows))
    some = plan_validation(windows, Training(share=0.3))
    assert len(some) == round(0.3 * len(whole))
    assert all(len(run) <= VALIDATION_WINDOWS for batch in some for run in batch)
    assert {int(windows.session[batch[0][0]]) for batch in some} == {0, 1}
