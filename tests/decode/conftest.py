from dataclasses import replace

import numpy as np
import pytest

from corticode.data.movies.normalise import NormalisedMovie, PixelPreprocessing
from corticode.data.prepared import NO_PREPROCESSING, lay_end_to_end
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, session_targets, windows_of

SIDE = 32


def plain_movie(frames, **more):
    """A movie that is normalised by one offset and one gain a pixel."""
    rng = np.random.default_rng(1)
    shape = (1, *frames.shape[1:])
    return NormalisedMovie(
        frames,
        offset=rng.normal(120, 5, shape).astype(np.float32),
        gain=rng.uniform(0.01, 0.02, shape).astype(np.float32),
        valid=np.ones(len(frames), np.bool_),
        **more,
    )


@pytest.fixture
def movie_windows():
    """A maker of windows of movies in which running makes the picture brighter."""

    def make(lengths=(60, 50), *, before=2, after=2, shift=0, gaps=(), target=None, seed=0):
        rng = np.random.default_rng(seed)
        sessions, movies = [], []
        for k, n_frames in enumerate(lengths):
            run = (np.arange(n_frames) // 10 % 2).astype(float)
            frames = rng.normal(100, 20, (n_frames, SIDE, SIDE)) + 60 * run[:, None, None]
            movies.append(plain_movie(frames.clip(0, 65535).astype(np.uint16)))
            segment = np.isin(np.arange(n_frames), gaps).cumsum().astype(np.int32)
            behavior = {"run": run, "speed": rng.normal(20, 5, n_frames) + 30 * run}
            sessions.append(Session(f"m{k + 1}", "a", None, (), behavior, segment, 30.0))
        n_frames = sum(lengths)
        empty = np.zeros((n_frames, 0), np.float32)
        prepared = lay_end_to_end(
            empty, np.ones(n_frames, bool), sessions, (), NO_PREPROCESSING, []
        )
        prepared = replace(
            prepared,
            movies=tuple(movies),
            pixels=PixelPreprocessing(),
            image_shape=(SIDE, SIDE),
        )
        target_row = target or Target("run")
        window = WindowShape(before, after, shift)
        targets = session_targets(prepared, target_row)
        return windows_of(prepared, target_row, targets, window, np.zeros(0, bool), input="movie")

    return make
