"""Fits that differ in validation windows alone train once, with the result of training twice."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import again
from torch import nn

from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode import training as training_loop
from corticode.decode.decoder import build_network, state_bytes
from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.decode.settings import Network, Training
from corticode.decode.training import (
    NUMBERS,
    TrainingState,
    can_share,
    has_checkpoints,
    keep_checkpoint,
    load_state,
    make_optimiser,
    one_cycle,
    read_checkpoint,
    save_state,
    set_step,
)
from corticode.errors import CorticodeWarning, DecoderError, MachineError, RunError

LITE = {"backbone": "efficientnet-lite0", "weights": "none"}
GRU = Network("cnn-gru", units=8, **LITE)
SHORT = Training(epochs=2, batch_size=16, learning_rate=1e-3, schedule="one-cycle")
TRAINING = Training(epochs=3, batch_size=32, learning_rate=0.01, validations=2)


def weights(decoder):
    return state_bytes(decoder.network.state_dict())


class TestMovies:
    def test_the_same_seed_gives_the_same_weights(self, movie_windows):
        windows = movie_windows((40, 36))
        one, two = (fit(windows, again(windows), GRU, SHORT, seed=3) for _ in range(2))
        assert weights(one) == weights(two)
        assert weights(one) != weights(fit(windows, again(windows), GRU, SHORT, seed=4))

    def test_what_shows_in_the_movie_is_learned(self, movie_windows):
        windows = movie_windows((120, 120))
        train, valid = windows.where(windows.session == 0), windows.where(windows.session == 1)
        network = Network("cnn-gru", backbone="efficientnet-lite0", flavour="tensorflow")
        training = Training(epochs=3, batch_size=16, learning_rate=3e-4, freeze_batch_norm=True)
        decoder = fit(train, valid, network, training)
        losses = [row["valid_loss"] for row in decoder.history]
        assert min(losses) < 0.3, losses

    def test_killed_within_an_epoch_it_goes_on_to_the_same_weights(
        self, movie_windows, tmp_path, monkeypatch
    ):
        windows, path = movie_windows((60, 50)), tmp_path / "state"
        whole = fit(windows, again(windows), GRU, SHORT)
        monkeypatch.setattr(training_loop, "STATE_EVERY_S", -1.0)
        n_steps, step = 0, training_loop._step

        def stop(*arguments):
            nonlocal n_steps
            n_steps += 1
            if n_steps == 6:
                raise KeyboardInterrupt
            return step(*arguments)

        monkeypatch.setattr(training_loop, "_step", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(windows, again(windows), GRU, SHORT, state_path=path)
        monkeypatch.setattr(training_loop, "_step", step)
        assert weights(fit(windows, again(windows), GRU, SHORT, state_path=path)) == weights(whole)

    def test_frozen_batch_norm_keeps_its_statistics(self, movie_windows):
        windows = movie_windows((40, 36))
        found = {}
        for frozen in (True, False):
            training = Training(epochs=1, batch_size=16, freeze_batch_norm=frozen)
            state = fit(windows, again(windows), GRU, training).network.state_dict()
            means = [v for name, v in state.items() if name.endswith("running_mean")]
            found[frozen] = sum(float(mean.abs().sum()) for mean in means)
        assert found[True] == 0
        assert found[False] > 0

    def test_starts_from_another_decoders_cnn(self, movie_windows):
        images = movie_windows((40, 36), before=0, after=0)
        cnn = fit(images, again(images), Network("cnn", **LITE), SHORT)
        windows = movie_windows((40, 36))
        training = Training(epochs=1, batch_size=16, learning_rate=1e-12, freeze_batch_norm=True)
        decoder = fit(windows, again(windows), GRU, training, start_from=cnn)
        start, own = cnn.network.state_dict(), decoder.network.state_dict()
        names = [name for name in own if name.startswith("inner.cnn.")]
        assert names
        for name in names:
            torch.testing.assert_close(own[name], start[name])

    def test_does_not_start_from_another_backbone(self, movie_windows):
        images = movie_windows((40,), before=0, after=0)
        cnn = fit(images, again(images), Network("cnn", **LITE), SHORT)
        windows = movie_windows((40,))
        other = Network("cnn-gru", backbone="efficientnet-b0", weights="none")
        with pytest.raises(DecoderError, match="their CNNs differ"):
            fit(windows, again(windows), other, SHORT, start_from=cnn)


class TestValidations:
    def test_several_in_an_epoch(self, movie_windows):
        windows = movie_windows((60, 50))
        training = Training(epochs=2, batch_size=16, validations=3)
        decoder = fit(windows, again(windows), GRU, training)
        epochs = [row["epoch"] for row in decoder.history]
        assert epochs == sorted(epochs)
        assert len(epochs) == 6
        assert epochs[2] == 1.0
        assert epochs[5] == 2.0
        assert sum(row["train_windows"] for row in decoder.history) == 2 * windows.n_windows
        best = min(decoder.history, key=lambda row: row["valid_loss"])
        assert decoder.history[decoder.best_epoch - 1] == best

    def test_more_than_there_are_batches(self, movie_windows):
        windows = movie_windows((30,))
        training = Training(epochs=1, batch_size=16, validations=50)
        assert fit(windows, again(windows), GRU, training).history[-1]["epoch"] == 1.0

    def test_training_ends_when_patience_does(self, movie_windows):
        windows = movie_windows((40, 36))
        # Steps this large never come back to a lower loss for long.
        training = Training(epochs=30, batch_size=16, learning_rate=0.3, patience=2)
        decoder = fit(windows, again(windows), GRU, training)
        assert len(decoder.history) == decoder.best_epoch + 2 < 30


class TestMemory:
    def test_a_batch_that_does_not_fit_is_taken_in_halves(self, movie_windows, monkeypatch):
        windows = movie_windows((40, 36))
        step, most = training_loop.loss_of, []

        def small_device(network, inputs, targets, *rest):
            if len(targets) > 12 and torch.is_grad_enabled() and network.training:
                raise torch.OutOfMemoryError("no room")
            most.append(len(targets))
            return step(network, inputs, targets, *rest)

        training = Training(epochs=1, batch_size=16, freeze_batch_norm=True)
        monkeypatch.setattr(training_loop, "loss_of", small_device)
        with pytest.warns(CorticodeWarning, match="taken in two halves"):
            halved = fit(windows, again(windows), GRU, training)
        assert halved.n_parts == 2
        assert np.isfinite(halved.history[0]["train_loss"])

    def test_halves_give_the_gradient_of_the_whole(self, movie_windows):
        windows = movie_windows((40, 36), before=1, after=1)
        training = Training(batch_size=16)
        torch.manual_seed(0)
        network = training_loop_network(windows)
        batches = training_loop.MovieBatches(windows, training, seed=0, device="cpu")
        inputs, targets = next(iter(batches.of_epoch(1, 0, 1)))
        found = []
        for n_parts in (1, 2):
            network.zero_grad()
            for some, theirs in training_loop._parts(inputs, targets, n_parts):
                loss = training_loop.loss_of(network, some, theirs, windows, training).loss
                (loss * len(theirs) / len(targets)).backward()
            found.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
        assert (found[0] - found[1]).abs().max() < 1e-4 * found[0].abs().max()

    def test_where_half_a_batch_does_not_fit_it_is_an_error(self, movie_windows, monkeypatch):
        def no_room(*_):
            raise torch.OutOfMemoryError("no room")

        windows = movie_windows((40, 36))
        monkeypatch.setattr(training_loop, "loss_of", no_room)
        with (
            pytest.warns(CorticodeWarning, match="two halves"),
            pytest.raises(MachineError, match="lower training batch_size"),
        ):
            fit(windows, again(windows), GRU, SHORT)


def training_loop_network(windows):
    from corticode.decode.decoder import build_network

    network = build_network(GRU, windows.recipe.window, n_regions=0, n_outputs=1)
    return network.eval()


def fresh(fit="this fit", units=3):
    network = build_network(Network("gru", units), WindowShape(1, 1), n_regions=2, n_outputs=1)
    return TrainingState(network, torch.optim.Adam(network.parameters(), lr=0.01), fit)


def step(state):
    loss = state.network(torch.randn(8, 3, 2)).square().sum()
    state.optimiser.zero_grad()
    loss.backward()
    state.optimiser.step()


@pytest.fixture
def trained():
    with torch.random.fork_rng(devices=[]):
        state = fresh()
        step(state)
        state.best = {k: t.detach().clone() for k, t in state.network.state_dict().items()}
        step(state)
        state.epoch, state.batch, state.loss_sum, state.seconds = 3, 7, 1.25, 0.5
        state.history = [{"epoch": 1.0, "valid_loss": 0.1 + 0.2}, {"epoch": 2.0, "valid_loss": 1.0}]
        state.best_loss, state.best_epoch = 0.1 + 0.2, 1
    return state


def test_a_state_comes_back_as_it_was(trained, tmp_path):
    save_state(trained, tmp_path / "state")
    with torch.random.fork_rng(devices=[]):
        again = fresh()
        load_state(again, tmp_path / "state")
    for name in NUMBERS:
        assert getattr(again, name) == getattr(trained, name), name
    for one, other in (
        (again.network.state_dict(), trained.network.state_dict()),
        (again.best, trained.best),
    ):
        assert state_bytes(one) == state_bytes(other)
    # Adam goes on with the same moments: the next step is the same step.
    for state in (again, trained):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(1)
            step(state)
    assert state_bytes(again.network.state_dict()) == state_bytes(trained.network.state_dict())


def test_the_random_state_comes_back(trained, tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        save_state(trained, tmp_path / "state")
        expected = torch.rand(4)
        load_state(fresh(), tmp_path / "state")
        assert torch.equal(torch.rand(4), expected)


def test_before_the_first_epoch_ends_there_is_no_best(tmp_path):
    state = fresh()
    step(state)
    save_state(state, tmp_path / "state")
    again = fresh()
    load_state(again, tmp_path / "state")
    assert again.best == {}
    assert again.best_loss == float("inf")


def test_another_fit_does_not_go_on_from_it(trained, tmp_path):
    save_state(trained, tmp_path / "state")
    other = fresh("that fit")
    before = state_bytes(other.network.state_dict())
    with pytest.raises(
        RunError, match=r"was left by another fit \(this fit; this one is that fit\); delete"
    ):
        load_state(other, tmp_path / "state")
    assert state_bytes(other.network.state_dict()) == before


def test_another_size_of_network_is_told(trained, tmp_path):
    save_state(trained, tmp_path / "state")
    with (
        torch.random.fork_rng(devices=[]),
        pytest.raises(RunError, match=r"state is damaged .*; delete the file, the fit then starts"),
    ):
        load_state(fresh(units=4), tmp_path / "state")


@given(data=st.data())
def test_what_is_cut_off_or_overwritten_is_told_or_harmless(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "damaged-state"
    save_state(fresh(), path)
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        with pytest.raises(RunError, match=r"damaged-state is damaged"):
            load_state(fresh(), path)
        return
    # The head names the tensors; a byte changed in it must not pass in silence.
    at = data.draw(st.integers(0, int.from_bytes(whole[:8], "little") + 7))
    path.write_bytes(
        whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    )
    state = fresh()
    with torch.random.fork_rng(devices=[]):
        try:
            load_state(state, path)
        except RunError:
            return
    assert all(np.isfinite(t.numpy()).all() for t in state.network.state_dict().values())


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
        keys += ("train_accuracy", "valid_accuracy")
        assert [one[k] for k in keys] == [other[k] for k in keys]


class TestAccuracy:
    """Fig. 4B: the fraction of windows that are right, while they train and that validate."""

    def test_of_validation_is_that_of_the_decoder(self, parts):
        train, valid, _ = parts
        decoder = fit(train, valid, "gru", TRAINING, seed=3)
        found = predict(decoder, valid, part="valid")
        right = ((found.score > 0.5) == (valid.target > 0.5)).mean()
        assert decoder.history[decoder.best_epoch - 1]["valid_accuracy"] == pytest.approx(right)

    def test_of_training_counts_each_window_once(self, parts):
        train, valid, _ = parts
        # A step of nothing: the network stays what it was.
        training = replace(TRAINING, epochs=1, validations=1, learning_rate=1e-30)
        decoder = fit(train, valid, "gru", training, seed=3)
        score = predict(decoder, train, part="train").score
        right = ((score > 0.5) == (train.target > 0.5)).mean()
        assert decoder.history[0]["train_accuracy"] == pytest.approx(right)

    def test_goes_on_where_training_was_stopped(self, parts, tmp_path, monkeypatch):
        train, valid, _ = parts
        whole = fit(train, valid, "gru", TRAINING, seed=3)
        monkeypatch.setattr(training_loop, "STATE_EVERY_S", -1.0)
        step, n_steps = training_loop.loss_of, 0

        def stopping(network, *rest):
            nonlocal n_steps
            n_steps += network.training
            if n_steps > 2:
                raise KeyboardInterrupt
            return step(network, *rest)

        monkeypatch.setattr(training_loop, "loss_of", stopping)
        state = tmp_path / "state"
        with pytest.raises(KeyboardInterrupt):
            fit(train, valid, "gru", TRAINING, seed=3, state_path=state)
        monkeypatch.setattr(training_loop, "loss_of", step)
        assert_same_accuracy(fit(train, valid, "gru", TRAINING, seed=3, state_path=state), whole)

    def test_values_have_none(self, simulate):
        windows = cut_windows(
            [simulate(animal) for animal in ("m1", "m2")],
            Target("speed", kind="value"),
            WindowShape(4, 4),
        )
        train, valid = (windows.where(windows.animal == k) for k in range(2))
        decoder = fit(train, valid, "gru", replace(TRAINING, epochs=1))
        assert not {"train_accuracy", "valid_accuracy"} & set(decoder.history[0])


def assert_same_accuracy(found, expected):
    for one, other in zip(found.history, expected.history, strict=True):
        for part in ("train_accuracy", "valid_accuracy"):
            assert one[part] == pytest.approx(other[part], abs=1e-6)


@pytest.mark.parametrize("kind", ["gru", "bi-lstm", "gru-keras"])
def test_choosing_twice_equals_training_twice(parts, tmp_path, monkeypatch, kind):
    train, first, second = parts
    alone = [fit(train, valid, kind, TRAINING, seed=3) for valid in (first, second)]
    shared = [fit(train, first, kind, TRAINING, seed=3, checkpoints=tmp_path)]
    assert has_checkpoints(tmp_path, TRAINING)
    monkeypatch.setattr(training_loop, "_train_to_validation", None)  # nothing is trained any more
    shared.append(fit(train, second, kind, TRAINING, seed=3, checkpoints=tmp_path))
    for a, b in zip(alone, shared, strict=True):
        same(a, b)
    assert alone[0].valid_animals != shared[1].valid_animals


def test_a_damaged_leg_costs_the_training_and_nothing_else(parts, tmp_path):
    train, first, second = parts
    alone = fit(train, second, "gru", TRAINING, seed=3)
    fit(train, first, "gru", TRAINING, seed=3, checkpoints=tmp_path)
    sorted(tmp_path.iterdir())[3].write_bytes(b"half")
    same(alone, fit(train, second, "gru", TRAINING, seed=3, checkpoints=tmp_path))


def test_what_is_kept_comes_back(tmp_path):
    weights = {"a": torch.arange(3.0)}
    keep_checkpoint(tmp_path, 1, weights, {"train_loss": 0.1})
    read, told = read_checkpoint(tmp_path, 1)
    assert torch.equal(read["a"], weights["a"])
    assert told == {"train_loss": 0.1}
    assert read_checkpoint(tmp_path, 2) is None
    assert not has_checkpoints(tmp_path, Training(epochs=2))


def test_patience_and_linear_decoders_share_nothing():
    assert can_share(Network("lstm"), Training())
    assert not can_share(Network("lstm"), Training(patience=3))
    assert not can_share(Network("linear-window"), Training())


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def test_one_cycle_by_hand():
    # A quarter up, three quarters down, along half cosines.
    assert one_cycle(0.125, 0.0, 2.0, 1.0) == pytest.approx(1.0)
    assert one_cycle(0.625, 0.0, 2.0, 1.0) == pytest.approx(1.5)
    assert one_cycle(0.25 + 0.75 / 3, 0.0, 1.0, 0.0) == pytest.approx(0.75)


class TestStep:
    def test_fastai_moves_rate_and_beta(self):
        training = Training(learning_rate=1e-3, optimiser="fastai-adam", schedule="one-cycle")
        optimiser = make_optimiser(network(), training)
        found = []
        for progress in (0.0, 0.25, 1.0):
            set_step(optimiser, training, progress)
            found += [(group["lr"], *group["betas"]) for group in optimiser.param_groups]
        expected = [(4e-5, 0.95, 0.99), (1e-3, 0.85, 0.99), (1e-8, 0.95, 0.99)]
        for value, wanted in zip(found, [e for e in expected for _ in range(2)], strict=True):
            assert value == pytest.approx(wanted)
        assert optimiser.defaults["eps"] == 1e-5

    def test_adam_keeps_its_betas(self):
        training = Training(schedule="one-cycle")
        optimiser = make_optimiser(network(), training)
        set_step(optimiser, training, 0.0)
        assert optimiser.param_groups[0]["lr"] == pytest.approx(training.learning_rate / 25)
        assert optimiser.param_groups[0]["betas"] == (0.9, 0.999)

    def test_constant_changes_nothing(self):
        training = Training()
        optimiser = make_optimiser(network(), training)
        set_step(optimiser, training, 0.9)
        assert optimiser.param_groups[0]["lr"] == training.learning_rate


def test_weights_decay_and_biases_and_batch_norms_do_not():
    net = network()
    optimiser = make_optimiser(net, Training(optimiser="fastai-adam", learning_rate=0.1))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, parameter in net.named_parameters():
        factor = 1 - 0.1 * 0.01 if name in ("0.weight", "2.weight") else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * factor)


def test_biases_of_recurrent_layers_do_not_decay():
    net = nn.GRU(3, 2, num_layers=2)
    optimiser = make_optimiser(net, Training(optimiser="fastai-adam"))
    decaying, others = ({id(p) for p in group["params"]} for group in optimiser.param_groups)
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.01, 0.0]
    for name, parameter in net.named_parameters():
        assert id(parameter) in (others if "bias" in name else decaying)


def test_two_steps_of_fastai_adam_by_hand():
    """The released code's optimiser: decoupled decay, then debiased moments, epsilon outside."""
    weight = nn.Parameter(torch.tensor([[2.0]]))
    net = nn.Linear(1, 1, bias=False)
    net.weight = weight
    training = Training(optimiser="fastai-adam", schedule="one-cycle", learning_rate=0.1, epochs=1)
    optimiser = make_optimiser(net, training)
    value, mean, square = 2.0, 0.0, 0.0
    for step, (progress, gradient) in enumerate([(0.0, 0.5), (0.5, -1.5)], start=1):
        set_step(optimiser, training, progress)
        weight.grad = torch.tensor([[gradient]])
        optimiser.step()
        rate = 0.1 * one_cycle(progress, 1 / 25, 1.0, 1e-5)
        beta = one_cycle(progress, 0.95, 0.85, 0.95)
        value *= 1 - rate * 0.01
        mean = beta * mean + (1 - beta) * gradient
        square = 0.99 * square + 0.01 * gradient**2
        debiased = math.sqrt(square / (1 - 0.99**step)) + 1e-5
        value -= rate * mean / (1 - beta**step) / debiased
    assert weight.item() == pytest.approx(value, rel=1e-6)
