import numpy as np
import pytest
import torch

from corticode.decode import training_loop
from corticode.decode.decoder import state_bytes
from corticode.decode.fit import fit
from corticode.decode.settings import Network, Training
from corticode.errors import CorticodeWarning, DecoderError

LITE = {"backbone": "efficientnet-lite0", "weights": "none"}
GRU = Network("cnn-gru", units=8, **LITE)
SHORT = Training(epochs=2, batch_size=16, learning_rate=1e-3, schedule="one-cycle")


def weights(decoder):
    return state_bytes(decoder.network.state_dict())


class TestMovies:
    def test_the_same_seed_gives_the_same_weights(self, movie_windows):
        windows = movie_windows((40, 36))
        one, two = (fit(windows, windows, GRU, SHORT, seed=3) for _ in range(2))
        assert weights(one) == weights(two)
        assert weights(one) != weights(fit(windows, windows, GRU, SHORT, seed=4))

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
        whole = fit(windows, windows, GRU, SHORT)
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
            fit(windows, windows, GRU, SHORT, state_path=path)
        monkeypatch.setattr(training_loop, "_step", step)
        assert weights(fit(windows, windows, GRU, SHORT, state_path=path)) == weights(whole)

    def test_frozen_batch_norm_keeps_its_statistics(self, movie_windows):
        windows = movie_windows((40, 36))
        found = {}
        for frozen in (True, False):
            training = Training(epochs=1, batch_size=16, freeze_batch_norm=frozen)
            state = fit(windows, windows, GRU, training).network.state_dict()
            means = [v for name, v in state.items() if name.endswith("running_mean")]
            found[frozen] = sum(float(mean.abs().sum()) for mean in means)
        assert found[True] == 0
        assert found[False] > 0

    def test_starts_from_another_decoders_cnn(self, movie_windows):
        images = movie_windows((40, 36), before=0, after=0)
        cnn = fit(images, images, Network("cnn", **LITE), SHORT)
        windows = movie_windows((40, 36))
        training = Training(epochs=1, batch_size=16, learning_rate=1e-12, freeze_batch_norm=True)
        decoder = fit(windows, windows, GRU, training, start_from=cnn)
        start, own = cnn.network.state_dict(), decoder.network.state_dict()
        names = [name for name in own if name.startswith("inner.cnn.")]
        assert names
        for name in names:
            torch.testing.assert_close(own[name], start[name])

    def test_does_not_start_from_another_backbone(self, movie_windows):
        images = movie_windows((40,), before=0, after=0)
        cnn = fit(images, images, Network("cnn", **LITE), SHORT)
        windows = movie_windows((40,))
        other = Network("cnn-gru", backbone="efficientnet-b0", weights="none")
        with pytest.raises(DecoderError, match="their CNNs differ"):
            fit(windows, windows, other, SHORT, start_from=cnn)


class TestValidations:
    def test_several_in_an_epoch(self, movie_windows):
        windows = movie_windows((60, 50))
        training = Training(epochs=2, batch_size=16, validations=3)
        decoder = fit(windows, windows, GRU, training)
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
        assert fit(windows, windows, GRU, training).history[-1]["epoch"] == 1.0

    def test_training_ends_when_patience_does(self, movie_windows):
        windows = movie_windows((40, 36))
        # Steps this large never come back to a lower loss for long.
        training = Training(epochs=30, batch_size=16, learning_rate=0.3, patience=2)
        decoder = fit(windows, windows, GRU, training)
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
            halved = fit(windows, windows, GRU, training)
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
                loss = training_loop.loss_of(network, some, theirs, windows, training)
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
            pytest.raises(DecoderError, match="lower training batch_size"),
        ):
            fit(windows, windows, GRU, SHORT)


def training_loop_network(windows):
    from corticode.decode.decoder import build_network

    network = build_network(GRU, windows.recipe.window, n_regions=0, n_outputs=1)
    return network.eval()
