import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.settings import Training
from corticode.decode.trace_batches import (
    TraceBatches,
    iterate_batches,
    order_of_epoch,
    random_start,
)


@pytest.fixture
def windows(simulate):
    sessions = [simulate("m1", "a", n_frames=40), simulate("m2", "a", n_frames=30)]
    return cut_windows(
        sessions, Target("run"), WindowShape(2, 3), preprocessing=Preprocessing(scale="none")
    )


def test_random_numbers_start_anew_with_each_seed_and_epoch():
    starts = [random_start(seed=seed, epoch=epoch) for seed in range(20) for epoch in range(1, 31)]
    assert len(set(starts)) == 600
    assert all(0 <= start < 2**64 for start in starts)
    np.random.seed(0)  # noqa: NPY002  the state that must not matter
    assert starts[0] == random_start(seed=0, epoch=1)


class TestOrder:
    def test_depends_on_seed_and_epoch_alone(self):
        once = order_of_epoch(50, seed=3, epoch=2)
        np.random.seed(0)  # noqa: NPY002  the state that must not matter
        torch.manual_seed(0)
        assert order_of_epoch(50, seed=3, epoch=2).tolist() == once.tolist()

    def test_differs_by_seed_and_by_epoch(self):
        orders = {
            tuple(order_of_epoch(50, seed=seed, epoch=epoch).tolist())
            for seed in range(3)
            for epoch in (1, 2, 3)
        }
        assert len(orders) == 9

    @given(st.integers(0, 200), st.integers(0, 10**6), st.integers(1, 1000))
    def test_visits_each_window_once(self, n_windows, seed, epoch):
        order = order_of_epoch(n_windows, seed=seed, epoch=epoch)
        assert sorted(order.tolist()) == list(range(n_windows))


def test_batches_by_hand(windows):
    order = np.array([5, 0, 3, 1, 4])
    five = windows.where(np.arange(5) * 10)
    batches = list(iterate_batches(five.where(order % 5), 2))
    assert [inputs.shape for inputs, _ in batches] == [(2, 6, 3), (2, 6, 3), (1, 6, 3)]
    frames = windows.start[[0, 0, 30, 10, 40]]
    for k, (inputs, _) in enumerate(batches):
        for j, window in enumerate(inputs):
            first = frames[2 * k + j]
            assert window.tolist() == windows.traces[first : first + 6].tolist()


@settings(max_examples=20)
@given(st.integers(1, 80), st.booleans())
def test_batches_hold_the_windows_values(batch_size, in_order):
    rng = np.random.default_rng(0)
    from_session = _plain_windows(rng)
    n_windows = from_session.n_windows
    used = np.arange(n_windows) if in_order else rng.permutation(n_windows)
    batches = list(iterate_batches(from_session.where(used), batch_size))
    inputs = torch.cat([inputs for inputs, _ in batches])
    assert inputs.dtype == torch.float32
    np.testing.assert_array_equal(inputs.numpy(), from_session.values(used))
    targets = torch.cat([targets for _, targets in batches])
    np.testing.assert_array_equal(targets.numpy(), from_session.target[used])


def _plain_windows(rng):
    session = Session(
        "m1",
        "a",
        rng.normal(size=(60, 4)),
        ("1", "2", "3", "4"),
        {"run": np.arange(60) % 2.0},
        np.repeat([0, 1], 30).astype(np.int32),
    )
    return cut_windows(
        [session], Target("run"), WindowShape(2, 1), preprocessing=Preprocessing(scale="none")
    )


def test_an_epoch_goes_on_at_a_batch(windows):
    batches = TraceBatches(windows, Training(batch_size=7), seed=0, device="cpu")
    whole, rest = (list(batches.of_epoch(1, first, batches.n_batches(1))) for first in (0, 4))
    assert len(rest) == len(whole) - 4
    for ((inputs,), targets), ((again,), targets_again) in zip(whole[4:], rest, strict=True):
        assert torch.equal(inputs, again)
        assert torch.equal(targets, targets_again)


@pytest.mark.parametrize(("batch_size", "n_batches"), [(10, 6), (7, 8), (60, 1), (500, 1)])
def test_a_last_batch_that_is_not_full_may_be_left_out(windows, batch_size, n_batches):
    assert windows.n_windows == 60
    training = Training(batch_size=batch_size, drop_last=True)
    batches = TraceBatches(windows, training, seed=0, device="cpu")
    assert batches.n_batches(1) == n_batches
    sizes = [len(targets) for _, targets in batches.of_epoch(1, 0, n_batches)]
    assert sizes == [min(batch_size, 60)] * n_batches


def test_batches_do_not_share_memory_with_the_traces(windows):
    before = windows.traces.copy()
    for inputs, targets in iterate_batches(windows, 16):
        inputs += 1
        assert targets.shape == inputs.shape[:1]
    np.testing.assert_array_equal(windows.traces, before)
