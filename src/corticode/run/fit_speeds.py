"""How long a window takes in a fit on this machine: a few batches of each kind, tried."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from corticode.data.prepared import PreparedSessions, prepare_movies
from corticode.data.regions import RegionTable
from corticode.data.session import Session
from corticode.data.windows import Windows
from corticode.decode.fit import fit
from corticode.decode.settings import LINEAR, Network, Training
from corticode.run.fits import condition_windows, has_one_class
from corticode.study.study import Condition

# Windows that are tried: of networks on traces in batches, of linear decoders, of movies.
TRIED_BATCHES, TRIED_LINEAR, TRIED_MOVIE = 10, 20_000, 8


@dataclass(frozen=True)
class Speed:
    """What a fit takes by window.

    Parameters
    ----------
    train_s, valid_s
        Seconds of a training window in an epoch, and of one that is only predicted.
    n_weights
        Numbers that the decoder keeps.
    """

    train_s: float
    valid_s: float
    n_weights: int

    def seconds(
        self, network: Network, training: Training, n_train: int, n_valid: int, n_test: int
    ) -> float:
        """Of a fit that does not end early, its predictions included.

        Examples
        --------
        >>> speed = Speed(0.002, 0.001, 8097)
        >>> speed.seconds(Network("gru"), Training(epochs=2), 1000, 100, 300)
        4.6
        """
        if network.kind in LINEAR:
            return n_train * self.train_s
        epochs = training.epochs * training.share
        checked = epochs * training.validations * n_valid
        return epochs * n_train * self.train_s + (checked + n_valid + n_test) * self.valid_s


def kind_of(condition: Condition) -> tuple[object, ...]:
    """What conditions have in common whose windows take the same time."""
    training = condition.training
    return (
        condition.network,
        condition.window.n_frames,
        training.batch_size,
        training.windows,
        training.optimiser,
        condition.input,
    )


def measure_speed(
    sessions: Sequence[Session],
    prepared: PreparedSessions,
    condition: Condition,
    *,
    table: RegionTable | None = None,
    device: str = "cpu",
) -> Speed:
    """The speed of a condition's fits, from a short one; of movies, the first one is read.

    Parameters
    ----------
    sessions, prepared
        The recordings, and the same laid end to end: stand-ins, where movies are decoded.
    condition
        What is fitted, labels as they are.
    table
        Where groups and sides of regions are looked up.
    device
        Where it is fitted.
    """
    if condition.pixels is not None:
        prepared = prepare_movies(sessions[:1], condition.pixels)
    some = _few(condition_windows(prepared, condition, table=table), condition)
    # The first epoch also warms up; start weights and early ends change no time a window.
    training = replace(
        condition.training,
        epochs=2,
        validations=1,
        patience=None,
        share=1.0,
        batch_size=min(condition.training.batch_size, some.n_windows),
    )
    network = condition.network
    if network.sees_movies:
        network = replace(network, weights="none")
    began = time.perf_counter()
    decoder = fit(some, some, network, training, device=device)
    spent = time.perf_counter() - began
    n_weights = sum(weights.numel() for weights in decoder.network.state_dict().values())
    if network.kind in LINEAR:
        return Speed(spent / some.n_windows, 0.0, n_weights)
    last = decoder.history[-1]
    return Speed(
        last["train_s"] / last["train_windows"], last["valid_s"] / some.n_windows, n_weights
    )


def _few(windows: Windows, condition: Condition) -> Windows:
    """The first windows, as many as tell the time; of one class, labelled by turns."""
    training = condition.training
    if condition.pixels is not None:
        one_by_one = training.windows == "independent" or condition.window.n_frames == 1
        n = TRIED_MOVIE if one_by_one else min(training.batch_size, 4 * TRIED_MOVIE)
    elif condition.network.kind in LINEAR:
        n = TRIED_LINEAR
    else:
        n = TRIED_BATCHES * training.batch_size
    some = windows.where(np.arange(min(n, windows.n_windows)))
    if not has_one_class(some):
        return some
    return replace(some, target=np.arange(some.n_windows, dtype=np.float32) % 2)
