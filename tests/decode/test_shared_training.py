"""Fits that differ in validation windows alone train once, with the result of training twice."""

import pytest
import torch

from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode import training_loop
from corticode.decode.fit import fit
from corticode.decode.settings import Network, Training
from corticode.decode.shared_training import can_share, has_legs, keep_leg, read_leg

TRAINING = Training(epochs=3, batch_size=32, learning_rate=0.01, validations=2)


@pytest.fixture
def parts(simulate):
    """Training windows of one animal, validation windows of two others."""
    windows = cut_windows(
        [simulate(animal) for animal in ("m1", "m2", "m3")], Target("run"), WindowShape(4, 4)
    )
    return [windows.where(windows.animal == k) for k in range(3)]


def same(a, b):
    assert a.best_epoch == b.best_epoch
    for name, tensor in a.network.state_dict().items():
        assert torch.equal(tensor, b.network.state_dict()[name])
    for one, other in zip(a.history, b.history, strict=True):
        keys = ("epoch", "train_loss", "valid_loss", "train_windows")
        assert [one[k] for k in keys] == [other[k] for k in keys]


@pytest.mark.parametrize("kind", ["gru", "bi-lstm", "gru-keras"])
def test_choosing_twice_equals_training_twice(parts, tmp_path, monkeypatch, kind):
    train, first, second = parts
    alone = [fit(train, valid, kind, TRAINING, seed=3) for valid in (first, second)]
    shared = [fit(train, first, kind, TRAINING, seed=3, legs=tmp_path)]
    assert has_legs(tmp_path, TRAINING)
    monkeypatch.setattr(training_loop, "_train_leg", None)  # nothing is trained any more
    shared.append(fit(train, second, kind, TRAINING, seed=3, legs=tmp_path))
    for a, b in zip(alone, shared, strict=True):
        same(a, b)
    assert alone[0].valid_animals != shared[1].valid_animals


def test_a_damaged_leg_costs_the_training_and_nothing_else(parts, tmp_path):
    train, first, second = parts
    alone = fit(train, second, "gru", TRAINING, seed=3)
    fit(train, first, "gru", TRAINING, seed=3, legs=tmp_path)
    sorted(tmp_path.iterdir())[3].write_bytes(b"half")
    same(alone, fit(train, second, "gru", TRAINING, seed=3, legs=tmp_path))


def test_what_is_kept_comes_back(tmp_path):
    weights = {"a": torch.arange(3.0)}
    keep_leg(tmp_path, 1, weights, {"train_loss": 0.1})
    read, told = read_leg(tmp_path, 1)
    assert torch.equal(read["a"], weights["a"])
    assert told == {"train_loss": 0.1}
    assert read_leg(tmp_path, 2) is None
    assert not has_legs(tmp_path, Training(epochs=2))


def test_patience_and_linear_decoders_share_nothing():
    assert can_share(Network("lstm"), Training())
    assert not can_share(Network("lstm"), Training(patience=3))
    assert not can_share(Network("linear-window"), Training())
