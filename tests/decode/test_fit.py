from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.conftest import again

from corticode.data.folds import leave_animals_out, leave_sessions_out, split_windows
from corticode.data.preprocess import Preprocessing
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode import predict as predict_module
from corticode.decode import training as training_loop
from corticode.decode.decoder import load_decoder, state_bytes
from corticode.decode.fit import fit
from corticode.decode.movie_batches import MovieFrames
from corticode.decode.networks.binned import bin_images
from corticode.decode.predict import predict
from corticode.decode.predictions import Predictions
from corticode.decode.settings import TRACES, Augment, Network, Training
from corticode.errors import (
    CorticodeWarning,
    DataError,
    DecoderError,
    FoldError,
    RunError,
    StudyError,
)
from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.scores import score

SMALL = Network("gru", units=6)
ROBUST = Preprocessing(scale="robust")
SHORT = Training(epochs=2, batch_size=64, learning_rate=0.01)
TARGETS = {
    "binary": Target("run"),
    "classes": Target("act", kind="classes"),
    "value": Target("speed", kind="value"),
}


@pytest.fixture
def split(simulate):
    """Training, validation and test windows of three animals."""

    def make(target="binary", *, change=None, regions=None, window=WindowShape(3, 3), **scaling):  # noqa: B008  a frozen value
        sessions = [simulate(f"m{k}", "a") for k in range(3)]
        if change is not None:
            sessions = change(sessions)
        windows = cut_windows(
            sessions,
            TARGETS[target],
            window,
            preprocessing=Preprocessing(**{"scale": "z-score"} | scaling),
            regions=regions,
        )
        return [windows.where(windows.animal == k) for k in range(3)]

    return make


def weights(decoder):
    return state_bytes(decoder.network.state_dict())


def fitted(parts, network=SMALL, training=SHORT, **keys):
    return fit(parts[0], parts[1], network, training, **keys)


class TestSettings:
    """Each setting is known by its effect."""

    @pytest.fixture
    def usual(self, split):
        parts = split()
        return parts, fitted(parts)

    def test_the_same_seed_gives_the_same_bytes(self, usual, tmp_path):
        parts, decoder = usual
        torch.manual_seed(99)
        decoder.save(tmp_path / "one")
        fitted(parts).save(tmp_path / "other")
        one, other = ((tmp_path / n / "decoder.safetensors").read_bytes() for n in ("one", "other"))
        assert one == other

    def test_another_seed_gives_others(self, usual):
        parts, decoder = usual
        assert weights(fitted(parts, seed=1)) != weights(decoder)

    @pytest.mark.parametrize(
        "changed",
        [{"epochs": 3}, {"batch_size": 32}, {"learning_rate": 0.003}, {"label_smoothing": 0.1}],
    )
    def test_training(self, usual, changed):
        parts, decoder = usual
        other = fitted(parts, training=replace(SHORT, **changed))
        assert weights(other) != weights(decoder)
        assert len(other.history) == changed.get("epochs", 2)

    def test_units_and_kind(self, usual):
        parts, decoder = usual
        assert decoder.settings == SMALL
        assert decoder.network.inner.recurrent.hidden_size == 6
        assert fitted(parts, "gru").network.inner.recurrent.hidden_size == 32
        assert weights(fitted(parts, Network("lstm", 6))) != weights(decoder)

    def test_penalty(self, split):
        parts = split()
        weak, strong = (
            fitted(parts, "linear-window", Training(penalty=(p,))).network.inner.weight.abs().sum()
            for p in (1e-3, 10.0)
        )
        assert float(strong.detach()) < 0.5 * float(weak.detach())

    def test_label_smoothing_keeps_probabilities_from_the_ends(self, split):
        parts = split()
        long = Training(epochs=15, batch_size=32, learning_rate=0.03)
        decoders = [fitted(parts, SMALL, replace(long, label_smoothing=s)) for s in (0.0, 0.6)]
        ranges = [np.ptp(predict(d, parts[0], part="train").score) for d in decoders]
        assert ranges[1] < 0.85 * ranges[0]

    def test_kept_with_the_decoder(self, usual):
        _, decoder = usual
        assert (decoder.training, decoder.seed, decoder.kind) == (SHORT, 0, "binary")
        assert decoder.train_animals == ("m0",)


class TestRegionDropout:
    dropped = replace(SHORT, epochs=6, augment=Augment(region_dropout=1.0))

    def scaled(self, network, windows):
        return (windows - network.input_offset) * network.input_gain

    def test_a_part_of_the_regions_is_enough_to_decode(self, split):
        parts = split()
        auc = {}
        for name, training in (("usual", replace(SHORT, epochs=6)), ("dropped", self.dropped)):
            decoder = fitted(parts, training=training)
            # The first region alone knows, the last one does not.
            for region in (0, 2):
                traces = np.zeros_like(parts[2].traces)
                traces[:, region] = parts[2].traces[:, region]
                given = predict(decoder, replace(parts[2], traces=traces))
                auc[name, region] = binary_scores(given.target, given.score)["auc"]
        assert auc["dropped", 0] > 0.9
        assert auc["dropped", 0] > auc["dropped", 2] + 0.2

    @pytest.mark.parametrize("scaling", [{}, {"scale": "z-score", "scale_over": "training"}])
    def test_regions_enter_as_those_that_are_left_out_do(self, split, monkeypatch, scaling):
        parts = split(regions=["1", "3"], **scaling)
        seen = []
        monkeypatch.setattr(
            training_loop,
            "loss_of",
            lambda network, inputs, *rest, own=training_loop.loss_of: (
                seen.append((self.scaled(network, inputs[0]), network.training))
                or own(network, inputs, *rest)
            ),
        )
        fitted(parts, training=replace(self.dropped, epochs=1))
        trained = torch.cat([inputs for inputs, is_trained in seen if is_trained])
        shown = trained.abs().sum(dim=1) > 0
        assert not shown[:, 1].any()
        assert 0 < float(shown[:, 0].float().mean()) < 1
        # One region at least, as each window has one that it may see.
        assert shown.any(dim=1).all()
        validated = torch.cat([inputs for inputs, is_trained in seen if not is_trained])
        assert (validated.abs().sum(dim=1) > 0)[:, [0, 2]].all()

    def test_goes_on_where_it_stopped(self, split, tmp_path, monkeypatch):
        parts = split()
        whole = weights(fitted(parts, training=self.dropped))
        path = tmp_path / "state"
        monkeypatch.setattr(training_loop, "STATE_EVERY_S", 0.0)
        steps = []

        def killed(*arguments, own=training_loop._step):
            steps.append(1)
            if len(steps) == 7:
                raise KeyboardInterrupt
            return own(*arguments)

        monkeypatch.setattr(training_loop, "_step", killed)
        with pytest.raises(KeyboardInterrupt):
            fitted(parts, training=self.dropped, state_path=path)
        assert weights(fitted(parts, training=self.dropped, state_path=path)) == whole

    def test_is_kept_with_the_decoder_where_it_is_asked_for(self, split, tmp_path):
        parts = split()
        decoder = fitted(parts, training=replace(self.dropped, epochs=1))
        decoder.save(tmp_path)
        assert load_decoder(tmp_path).training.augment == Augment(region_dropout=1.0)
        fitted(parts).save(tmp_path)
        assert "augment" not in (tmp_path / "decoder.json").read_text("utf-8")
        assert load_decoder(tmp_path).training == SHORT


class TestBestEpoch:
    # A learning rate that is too high makes the loss go up and down.
    rough = Training(epochs=6, batch_size=16, learning_rate=0.15)

    @pytest.mark.parametrize("target", sorted(TARGETS))
    def test_is_that_of_the_lowest_validation_loss(self, split, target):
        parts = split(target)
        decoder = fitted(parts, training=self.rough)
        losses = [row["valid_loss"] for row in decoder.history]
        assert decoder.best_epoch == 1 + int(np.argmin(losses))
        assert decoder.best_epoch < 6  # else nothing is shown
        assert decoder.selected_by == "validation loss"
        assert loss_by_hand(decoder, parts[1]) == pytest.approx(min(losses), rel=1e-4)

    @pytest.mark.parametrize("network", [SMALL, Network("linear-window")])
    def test_is_chosen_by_training_loss_where_validation_holds_one_class(self, split, network):
        train, valid, _ = split()
        one_class = valid.where(valid.target == 1)
        decoder = fit(train, one_class, network, self.rough)
        assert decoder.selected_by == "training loss"
        losses = [row["train_loss"] for row in decoder.history]
        assert decoder.best_epoch == 1 + int(np.argmin(losses))


def loss_by_hand(decoder, windows):
    said, smoothing = predict(decoder, windows, part=None), decoder.training.label_smoothing
    target, score = windows.target.astype(np.float64), said.score.astype(np.float64)
    if decoder.kind == "value":
        scale = float(decoder.network.output_gain)
        return np.mean(((score - target) / scale) ** 2)
    if decoder.kind == "binary":
        target = target * (1 - smoothing) + smoothing / 2
        return -np.mean(target * np.log(score) + (1 - target) * np.log(1 - score))
    spread = np.eye(score.shape[1])[target.astype(int)] * (1 - smoothing)
    return -np.mean(((spread + smoothing / score.shape[1]) * np.log(score)).sum(axis=1))


class TestPlantedSignal:
    @pytest.mark.parametrize("network", [name for name in TRACES if name != "speed"])
    def test_of_two_classes_is_learned_by_every_network(self, split, network):
        parts = split()
        long = Training(epochs=8, batch_size=16, learning_rate=0.02)
        said = predict(fitted(parts, Network(network, 6), long), parts[2])
        assert np.mean((said.score > 0.5) == (parts[2].target == 1)) > 0.9

    @pytest.mark.parametrize("network", ["gru", "linear-window"])
    def test_of_several_classes(self, split, network):
        parts = split("classes")
        long = Training(epochs=8, batch_size=16, learning_rate=0.02)
        said = predict(fitted(parts, Network(network, 8), long), parts[2])
        assert said.classes == ("groom", "rest", "walk")
        np.testing.assert_allclose(said.score.sum(axis=1), 1, rtol=1e-5)
        assert np.mean(said.score.argmax(axis=1) == parts[2].target) > 0.85

    @pytest.mark.parametrize("network", ["gru", "linear-window", "linear-frame"])
    def test_of_a_value_in_its_own_unit(self, split, network):
        parts = split("value")
        long = Training(epochs=10, batch_size=16, learning_rate=0.02)
        said = predict(fitted(parts, Network(network, 8), long), parts[2])
        assert said.score.mean() == pytest.approx(20, abs=1)
        error = np.mean((said.score - parts[2].target) ** 2)
        assert error < 0.4 * parts[2].target.var()

    def test_of_a_value_by_the_speed_network(self, split):
        parts = split("value")
        long = Training(epochs=12, batch_size=16, learning_rate=0.01)
        said = predict(fitted(parts, "speed", long), parts[2])
        assert said.score.mean() == pytest.approx(20, abs=1)
        assert np.mean((said.score - parts[2].target) ** 2) < 0.6 * parts[2].target.var()


@pytest.mark.parametrize("network", ["linear-window", Network("gru", units=4)])
@pytest.mark.parametrize("offset", [1e7, 1.7e9])
def test_an_offset_of_a_value_takes_no_digits(simulate, tmp_path, network, offset):
    """Fitted on values with a large offset, a decoder says the same, offset and all."""
    said = []
    for added in (0.0, offset):
        sessions = [simulate(f"m{k}", "a") for k in range(3)]
        sessions = [
            replace(one, behavior={"speed": one.behavior["speed"] + added}) for one in sessions
        ]
        windows = cut_windows(
            sessions, Target("speed", kind="value"), WindowShape(2, 2), preprocessing=ROBUST
        )
        parts = split_windows(windows, leave_animals_out(["m0", "m1", "m2"])[0])
        decoder = fit(parts.train, parts.valid, network, Training(epochs=2, batch_size=64))
        decoder.save(tmp_path)
        found = predict(load_decoder(tmp_path), parts.test)
        found.save(tmp_path / "said.npz")
        kept = Predictions.load(tmp_path / "said.npz")
        np.testing.assert_array_equal(kept.score, found.score)
        np.testing.assert_array_equal(kept.target, found.target)
        said.append((kept.target - added, kept.score - added))
    np.testing.assert_allclose(said[1][0], said[0][0], atol=1e-5)
    np.testing.assert_allclose(said[1][1], said[0][1], atol=1e-3)


class TestSideEffects:
    def test_random_states_and_threads_stay_as_they_are(self, split):
        parts = split()
        n_threads, grad = torch.get_num_threads(), torch.is_grad_enabled()
        torch.manual_seed(7)
        np.random.seed(7)  # noqa: NPY002  the caller's state
        before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        for network in (SMALL, Network("linear-frame")):
            predict(fitted(parts, network), parts[2])
        assert torch.equal(torch.get_rng_state(), before[0])
        assert torch.initial_seed() == 7
        np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
        assert torch.get_num_threads() == n_threads
        assert torch.is_grad_enabled() == grad

    def test_gpus_are_not_seeded(self, split, monkeypatch):
        def refuse(seed):
            raise AssertionError(f"the caller's GPUs were seeded with {seed}")

        monkeypatch.setattr(torch.cuda, "manual_seed_all", refuse)
        fitted(split())

    def test_windows_stay_as_they_are(self, split):
        parts = split(scale_over="training")
        before = [part.traces.copy() for part in parts]
        predict(fitted(parts), parts[2])
        for part, traces in zip(parts, before, strict=True):
            np.testing.assert_array_equal(part.traces, traces)


class StoppedError(Exception):
    """A killed run."""


class TestDropout:
    """What it leaves out hangs on seed and epoch alone."""

    def test_the_same_seed_gives_the_same_bytes(self, split):
        parts = split("value")
        torch.manual_seed(99)
        one = weights(fitted(parts, "speed"))
        torch.rand(3)
        assert weights(fitted(parts, "speed")) == one
        assert weights(fitted(parts, "speed", seed=1)) != one

    def test_another_number_of_steps_before_changes_no_mask(self, split, monkeypatch):
        """The second epoch's masks are the same, however many windows the first one had."""
        parts = split("value")
        fewer = [parts[0].where(slice(0, 200)), *parts[1:]]
        starts = []
        for given in (parts, fewer):
            drawn = []
            rand = torch.rand

            def noted(shape, rand=rand, drawn=drawn):
                drawn.append(rand(shape))
                return drawn[-1]

            with monkeypatch.context() as patched:
                patched.setattr(torch, "rand", noted)
                fitted(given, "speed")
            per_step = 3
            n_steps = -(-given[0].n_windows // SHORT.batch_size)
            assert len(drawn) == per_step * n_steps * SHORT.epochs
            starts.append((drawn[0], drawn[per_step * n_steps]))
        assert torch.equal(starts[0][0], starts[1][0])
        assert torch.equal(starts[0][1], starts[1][1])
        assert not torch.equal(*starts[0])


@pytest.mark.parametrize(
    ("target", "network"), [("binary", SMALL), ("value", Network("speed"))], ids=["gru", "speed"]
)
class TestResumingGivesTheSameBytes:
    training = Training(epochs=4, batch_size=32, learning_rate=0.02)

    @pytest.mark.parametrize("stop_after", [1, 2, 4])
    def test_after_an_epoch(self, split, tmp_path, target, network, stop_after):
        parts, state_path = split(target), tmp_path / "state"
        whole = fitted(parts, network, self.training)

        def stop(epoch, row):
            if epoch == stop_after:
                raise StoppedError

        with pytest.raises(StoppedError):
            fitted(parts, network, self.training, state_path=state_path, report=stop)
        assert state_path.exists() == (stop_after > 1)
        reported = []
        again = fitted(
            parts,
            network,
            self.training,
            state_path=state_path,
            report=lambda epoch, row: reported.append(epoch),
        )
        assert reported == list(range(stop_after, 5))
        self.assert_same(again, whole)

    @pytest.mark.parametrize("stop_at_step", [1, 5, 12, 13, 29])
    def test_within_an_epoch(self, split, tmp_path, monkeypatch, target, network, stop_at_step):
        parts, state_path = split(target), tmp_path / "state"
        whole = fitted(parts, network, self.training)
        monkeypatch.setattr(training_loop, "STATE_EVERY_S", -1.0)
        n_steps, loss_of = 0, training_loop.loss_of

        def stop(network, *rest):
            nonlocal n_steps
            n_steps += network.training
            if n_steps > stop_at_step:
                raise StoppedError
            return loss_of(network, *rest)

        monkeypatch.setattr(training_loop, "loss_of", stop)
        with pytest.raises(StoppedError):
            fitted(parts, network, self.training, state_path=state_path)
        n_first, n_steps, stop_at_step = n_steps - 1, 0, 10**9
        again = fitted(parts, network, self.training, state_path=state_path)
        n_batches = -(-parts[0].n_windows // 32)
        assert n_first + n_steps == 4 * n_batches  # nothing was done twice
        self.assert_same(again, whole)

    def assert_same(self, again, whole):
        assert weights(again) == weights(whole)
        assert again.best_epoch == whole.best_epoch
        assert [row["epoch"] for row in again.history] == [1, 2, 3, 4]
        for one, other in zip(again.history, whole.history, strict=True):
            assert one["valid_loss"] == other["valid_loss"]
            assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-6)


class TestState:
    def test_a_finished_fit_is_not_done_again(self, split, tmp_path):
        parts, state_path = split(), tmp_path / "state"
        once = fitted(parts, state_path=state_path)
        reported = []
        again = fitted(parts, state_path=state_path, report=lambda *row: reported.append(row))
        assert reported == []
        assert weights(again) == weights(once)

    def test_damaged_state(self, split, tmp_path):
        (tmp_path / "state").write_bytes(b"{}")
        with pytest.raises(RunError, match=r"state is damaged .*; delete the file"):
            fitted(split(), state_path=tmp_path / "state")

    @pytest.mark.parametrize(
        "changed", [{"seed": 1}, {"training": replace(SHORT, batch_size=8)}, {"network": "gru"}]
    )
    def test_state_of_another_fit(self, split, tmp_path, changed):
        parts = split()
        fitted(parts, state_path=tmp_path / "state")
        with pytest.raises(RunError, match="was left by another fit"):
            fitted(parts, state_path=tmp_path / "state", **changed)


class TestNothingLeaks:
    """What does not train changes no trained number."""

    @pytest.mark.parametrize("network", [SMALL, Network("linear-window")])
    @pytest.mark.parametrize("scale", ["min-max", "z-score", "robust"])
    def test_scales_come_from_training_windows(self, split, network, scale):
        def louder(sessions):
            # Validation windows stay: they may choose the epoch.
            return [*sessions[:2], replace(sessions[2], traces=sessions[2].traces * 50 + 3)]

        usual = split(scale_over="training", scale=scale)
        changed = split(scale_over="training", scale=scale, change=louder)
        decoder = fitted(usual, network)
        assert weights(fitted(changed, network)) == weights(decoder)
        assert not torch.equal(decoder.network.input_offset, torch.zeros(3))

    @pytest.mark.parametrize("target", sorted(TARGETS))
    def test_validation_only_chooses(self, split, target):
        def louder(sessions):
            return [
                sessions[0],
                *(replace(s, traces=s.traces * 50 + 3) for s in sessions[1:]),
            ]

        one_epoch = replace(SHORT, epochs=1)
        parts = split(target, scale_over="training")
        changed = split(target, scale_over="training", change=louder)
        assert weights(fitted(changed, training=one_epoch)) == weights(
            fitted(parts, training=one_epoch)
        )

    def test_scale_by_hand(self, split):
        train, valid, _ = split(scale_over="training", scale="min-max")
        some = train.where(train.start < 100)
        network = fit(some, valid, SMALL, SHORT).network
        seen = some.traces[some.covered()]
        np.testing.assert_allclose(network.input_offset, seen.min(axis=0), rtol=1e-6)
        np.testing.assert_allclose(network.input_gain, 1 / np.ptp(seen, axis=0), rtol=1e-5)

    @pytest.mark.parametrize("network", [SMALL, Network("linear-window"), Network("bi-lstm", 4)])
    @pytest.mark.parametrize("scale_over", ["session", "training"])
    def test_regions_that_are_left_out(self, split, network, scale_over):
        def other(sessions):
            changed = []
            for session in sessions:
                traces = session.traces.copy()
                traces[:, 1] = np.random.default_rng(1).normal(5, 9, size=traces.shape[0])
                changed.append(replace(session, traces=traces))
            return changed

        parts = split(regions=[1, 3], scale_over=scale_over)
        changed = split(regions=[1, 3], scale_over=scale_over, change=other)
        decoder, twin = fitted(parts, network), fitted(changed, network)
        offset = twin.network.input_offset.clone()
        offset[1] = decoder.network.input_offset[1]  # subtracted before it is multiplied by 0
        twin.network.input_offset.copy_(offset)
        assert weights(twin) == weights(decoder)
        np.testing.assert_array_equal(
            predict(twin, changed[2]).score, predict(decoder, parts[2]).score
        )
        assert decoder.network.input_gain[1] == 0


class TestPredictions:
    def test_are_one_row_a_window(self, split):
        parts = split()
        said = predict(fitted(parts), parts[2], part="valid")
        assert said.n_windows == parts[2].n_windows
        assert set(said.part.tolist()) == {1}
        for name in ("animal", "session", "frame", "target"):
            np.testing.assert_array_equal(getattr(said, name), getattr(parts[2], name))
        assert said.animal_names == ("m0", "m1", "m2")
        assert said.frame_rate_hz == 30

    def test_do_not_hang_on_batches(self, split, monkeypatch):
        parts = split()
        decoder = fitted(parts)
        whole = predict(decoder, parts[2]).score
        monkeypatch.setattr(predict_module, "PREDICT_BATCH", 7)
        np.testing.assert_allclose(predict(decoder, parts[2]).score, whole, rtol=1e-5)

    def test_of_windows_cut_otherwise(self, split):
        decoder = fitted(split())
        with pytest.raises(DecoderError, match=r"the windows have another window than the decoder"):
            predict(decoder, split(window=WindowShape(4, 3))[2])
        with pytest.raises(DecoderError, match=r"another preprocessing .*; cut them with the"):
            predict(decoder, split(scale="min-max")[2])

    def test_of_other_classes(self, split, simulate):
        """Classes go by name; one that the decoder never saw is predicted and has no target."""
        decoder = fitted(split("classes"))
        session = simulate("m9")
        cut = {}
        for name, act in (("rest", "rest"), ("groom", "freeze")):
            behavior = {"act": np.where(session.behavior["act"] == "walk", "walk", act)}
            cut[name] = cut_windows(
                [replace(session, behavior=behavior)],
                TARGETS["classes"],
                WindowShape(3, 3),
                preprocessing=Preprocessing(scale="z-score"),
            )
        assert cut["rest"].recipe.classes == ("rest", "walk")
        said = predict(decoder, cut["rest"])
        assert said.classes == ("groom", "rest", "walk")
        np.testing.assert_array_equal(said.target, cut["rest"].target + 1)
        message = r"windows are of 'freeze', and the decoder was trained on groom, rest, walk alone"
        with pytest.warns(CorticodeWarning, match=message):
            other = predict(decoder, cut["groom"])
        np.testing.assert_array_equal(other.score, said.score)
        is_walk = cut["groom"].target == 1
        np.testing.assert_array_equal(other.target, np.where(is_walk, 2, np.nan))

    def test_of_animals_that_the_decoder_knows(self, split):
        train, valid, test = parts = split()
        decoder = fitted(parts, "linear-frame")
        message = r"^m0 trained or validated this decoder: how well it predicts them says nothing"
        with pytest.warns(CorticodeWarning, match=message):
            assert set(predict(decoder, train).part) == {2}
        with pytest.warns(CorticodeWarning, match=r"^m1 trained or validated"):
            predict(decoder, valid)
        # No warning: an animal that is new, or a part that is named.
        assert set(predict(decoder, test).part) == {2}
        assert set(predict(decoder, train, part="train").part) == {0}
        found = [set(predict(decoder, part, part=None).part) for part in parts]
        assert found == [{0}, {1}, {2}]

    def test_of_an_animal_whose_own_blocks_trained_and_validated(self, split, tmp_path):
        """Within an animal, each window is what its frames were to the decoder."""
        windows, _, _ = split()
        n = windows.n_windows
        blocks = [windows.where(slice(a, b)) for a, b in ((0, 100), (110, 200), (210, n))]
        decoder = fit(blocks[0], blocks[1], Network("linear-frame"))
        decoder.save(tmp_path)
        decoder = load_decoder(tmp_path)
        part = predict(decoder, windows, part=None).part
        # A window of 7 frames that reaches into a block has seen it.
        first = windows.frame - 3
        role = np.full(n, 2)
        role[(first < 206) & (first + 7 > 110)] = 1
        role[first < 106] = 0
        np.testing.assert_array_equal(part, role)
        assert set(predict(decoder, blocks[2]).part) == {2}
        message = f"106 of {n} windows trained this decoder and .* chose its epoch .m0/a.: how well"
        with pytest.warns(CorticodeWarning, match=message):
            said = predict(decoder, windows)
        np.testing.assert_array_equal(said.seen, role)
        said.save(tmp_path / "said.npz")
        with pytest.warns(CorticodeWarning, match=r"1 of 1 sessions \(m0/a\) hold windows that"):
            table = score(Predictions.load(tmp_path / "said.npz"))
        assert table["scored_on"].tolist() == ["training, validation"]
        assert "scored_on" not in score(predict(decoder, blocks[2]))

    def test_of_sessions_that_trained_and_validated(self, simulate):
        """Two animals may have sessions of one name: a session goes by both names."""
        sessions = [
            simulate(*pair) for pair in (("m1", "a"), ("m1", "b"), ("m1", "c"), ("m2", "a"))
        ]
        windows = cut_windows(
            sessions, Target("run"), WindowShape(3, 3), preprocessing=Preprocessing(scale="z-score")
        )
        fold = leave_sessions_out(["m1"] * 3, list("abc"))[0]
        parts = split_windows(windows, fold)
        decoder = fit(parts.train, parts.valid, "linear-window")
        found = predict(decoder, windows, part=None).part
        by_session = [set(found[windows.session == k]) for k in range(4)]
        assert by_session == [{2}, {1}, {0}, {2}]
        assert set(predict(decoder, parts.test).part) == {2}

    def test_of_a_part_that_is_none(self, split):
        parts = split()
        with pytest.raises(DataError, match="part 'tset' is none of train, valid, test"):
            predict(fitted(parts, "linear-frame"), parts[2], part="tset")


def test_linear_decoders_report_each_penalty(split):
    reported = []
    training = Training(penalty=(1.0, 0.1))
    fitted(split(), "linear-frame", training, report=lambda k, row: reported.append((k, row)))
    assert [(k, row["penalty"]) for k, row in reported] == [(1, 1.0), (2, 0.1)]


class TestErrors:
    def test_validation_that_sees_what_trains(self, split):
        train, _, _ = split()
        message = r"294 of the 294 validation windows .* see frames that training windows see"
        with pytest.raises(StudyError, match=message):
            fit(train, train, "linear-window")
        n = train.n_windows
        with pytest.raises(
            StudyError, match=r"6 of the 94 validation windows .*session m0/a, frame 203"
        ):
            fit(train.where(slice(0, 200)), train.where(slice(200, n)), "linear-window")
        fit(train.where(slice(0, 200)), train.where(slice(206, n)), "linear-window")

    def test_a_device_that_is_not_there(self, split):
        parts = split()
        decoder = fitted(parts, "linear-window")
        for device, message in (("cuda", "torch finds no GPU here"), ("gpu", "give 'cpu' or")):
            if device == "cuda" and torch.cuda.is_available():
                continue
            with pytest.raises(StudyError, match=message):
                fitted(parts, device=device)
            with pytest.raises(StudyError, match=message):
                predict(decoder, parts[2], device=device)

    def test_one_class_in_training(self, split):
        train, valid, _ = split()
        with pytest.raises(FoldError, match=r"training windows hold one class of 'run' alone"):
            fit(train.where(train.target == 1), valid)

    def test_no_window(self, split):
        train, valid, _ = split()
        none = np.zeros(0, np.int64)
        with pytest.raises(FoldError, match="there is no window to train"):
            fit(train.where(none), valid)
        with pytest.raises(FoldError, match="there is no window to validate"):
            fit(train, valid.where(none))

    @pytest.mark.parametrize("role", [0, 1])
    def test_unknown_targets(self, split, role):
        parts = split()
        parts[role] = replace(parts[role], target=np.full_like(parts[role].target, np.nan))
        with pytest.raises(StudyError, match="windows without a target cannot"):
            fitted(parts)

    def test_windows_cut_in_two_ways(self, split):
        with pytest.raises(StudyError, match="training and validation windows were cut in differ"):
            fit(split()[0], split(window=WindowShape(3, 4))[1])

    def test_no_region_that_varies(self, split):
        parts = split()
        flat = [replace(part, traces=np.zeros_like(part.traces)) for part in parts]
        with pytest.raises(DataError, match="no region that the decoder may see varies"):
            fitted(flat)

    def test_a_loss_that_is_no_number(self, split):
        rough = Training(epochs=3, learning_rate=1e30)
        with pytest.raises(StudyError, match=r"the loss of epoch \d is nan; lower the learning"):
            fitted(split("value"), "rnn", rough)

    @pytest.mark.parametrize("target", ["binary", "classes"])
    def test_speed_of_what_is_no_value(self, split, target):
        with pytest.raises(
            StudyError,
            match=f"network kind 'speed' decodes values, and the target is of kind '{target}'; "
            "give target kind = 'value', or another network",
        ):
            fitted(split(target), "speed")

    def test_an_unknown_network(self, split):
        parts = split()
        with pytest.raises(StudyError, match=r"'grru' is none of rnn, lstm, gru, bi-rnn"):
            fit(parts[0], parts[1], "grru")


class TestComponents:
    NETWORK = Network("cnn-gru", 4, backbone="components", bins=8, components=6)

    def test_are_those_of_training_frames_alone(self, movie_windows):
        train, valid, test = (movie_windows((70,), seed=k) for k in range(3))
        valid, test = again(valid), again(test)
        decoder = fit(train, valid, self.NETWORK, Training(epochs=1, batch_size=32))
        other = fit(train, test, self.NETWORK, Training(epochs=1, batch_size=32))
        found = decoder.network.inner.cnn.patterns
        assert torch.equal(found, other.network.inner.cnn.patterns)
        frames = MovieFrames(train.movies)
        rows = np.arange(70)
        binned = bin_images(frames.normalise(rows, frames.read(rows)), 8).flatten(1).double()
        _, _, right = torch.linalg.svd(binned, full_matrices=False)
        overlap = torch.nn.functional.normalize(found.double()) @ right[:6].t()
        torch.testing.assert_close(overlap.abs(), torch.eye(6).double(), rtol=0, atol=1e-3)

    def test_more_than_frames(self, movie_windows):
        train, valid = movie_windows((40,)), again(movie_windows((40,), seed=1))
        with pytest.raises(DataError, match="60 components cannot be found in 40 training frames"):
            fit(train, valid, replace(self.NETWORK, components=60))
