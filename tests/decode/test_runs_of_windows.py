import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.decode.runs_of_windows import (
    VALIDATION_WINDOWS,
    images_of_windows,
    make_batch,
    plan_epoch,
    plan_validation,
    stretches,
)
from corticode.decode.settings import Training


def test_windows_of_movies_span_a_frame_more_on_each_side(movie_windows):
    windows = movie_windows((20,), before=2, after=3, shift=1)
    assert windows.recipe.n_frames == 8
    # The first window's images are centred on frames 1 to 6, its own centre is frame 3.
    assert windows.centre[0] == 3
    assert windows.frame[0] == 4
    assert windows.start[0] == 0
    assert windows.aim.tolist() == windows.frame.tolist()
    assert windows.n_windows == 20 - 8 + 1


def test_stretches_end_at_gaps_and_at_sessions(movie_windows):
    windows = movie_windows((30, 25), gaps=(12,))
    found = [(int(windows.start[s[0]]), len(s)) for s in stretches(windows)]
    # 12 + 18 and 12 + 13 frames, windows of 5 images and 7 frames.
    assert found == [(0, 6), (12, 12), (30, 6), (42, 7)]
    assert stretches(windows.where(np.zeros(0, np.int64))) == []


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 49), min_size=1))
def test_images_of_windows_are_those_they_begin_with(movie_windows_once, chosen):
    windows = movie_windows_once.where(np.array(sorted(chosen)))
    image_rows, first_image = images_of_windows(windows)
    for start, first in zip(windows.start, first_image, strict=True):
        assert image_rows[first : first + 5].tolist() == list(range(start, start + 5))
    assert image_rows.size == sum(len(stretch) + 4 for stretch in stretches(windows))


@settings(max_examples=30, deadline=None)
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


@pytest.fixture(scope="module")
def movie_windows_once(request):
    from dataclasses import replace

    from corticode.data.prepared import NO_PREPROCESSING, lay_out
    from corticode.data.session import Session
    from corticode.data.targets import Target
    from corticode.data.windows import WindowShape, session_targets, windows_of

    run = (np.arange(60) // 10 % 2).astype(float)
    session = Session("m1", "a", None, (), {"run": run}, np.zeros(60, np.int32))
    empty = np.zeros((60, 0), np.float32)
    prepared = lay_out(empty, np.ones(60, bool), [session], (), NO_PREPROCESSING, [])
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
