from collections.abc import Iterator

import numpy as np
import pytest
import torch

from corticode.data.session import Session


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tests share few cores with other work: more threads than one make them slower."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def simulate():
    """A maker of sessions in which the first region follows the behaviour and others are noise."""

    def make(animal="m1", session="a", *, n_frames=300, n_regions=3, seed=0, noise=0.3):
        rng = np.random.default_rng([seed, *animal.encode(), *session.encode()])
        state = np.cumsum(rng.random(n_frames) < 0.08) % 3
        run = (state > 0).astype(np.float64)
        speed = np.convolve(rng.normal(size=n_frames + 9), np.ones(10) / 10, "valid") * 10 + 20
        traces = rng.normal(size=(n_frames, n_regions)) * noise
        traces[:, 0] += run
        traces[:, 1] += state == 1
        traces[:, 2] += (speed - 20) / 3
        act = np.array(["rest", "groom", "walk"])[state]
        return Session(
            animal,
            session,
            traces.astype(np.float32),
            tuple(str(k + 1) for k in range(n_regions)),
            {"run": run, "act": act, "speed": speed},
            np.zeros(n_frames, np.int32),
            30.0,
        )

    return make
