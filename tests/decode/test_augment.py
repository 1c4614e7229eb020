"""Tests of augmentation by its effect."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from corticode.data.movies.normalise import NormalisedMovie, PixelPreprocessing
from corticode.data.prepared import NO_PREPROCESSING, lay_end_to_end
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, session_targets, windows_of
from corticode.decode import training as loop
from corticode.decode.augment import (
    Variation,
    augment_traces,
    draw_region_sets,
    draw_variation,
    shift_frames,
    turn_frames,
)
from corticode.decode.decoder import load_decoder
from corticode.decode.fit import fit
from corticode.decode.movie_batches import MovieBatches
from corticode.decode.predict import predict
from corticode.decode.settings import Augment, Network, Training
from corticode.errors import StudyError
from corticode.evaluate.metrics import binary_scores

SIDE = 32
SMALL = Network("cnn", backbone="small")
SHORT = Training(epochs=4, batch_size=32, learning_rate=3e-3, windows="independent")

ALL = Augment(
    shift_pixels=3, gain=0.2, rotation_deg=5, mirror=0.5, pixel_dropout=0.1, jitter_frames=2
)


class TestRegionSets:
    def test_sizes_are_even_on_a_logarithmic_scale(self):
        shown = draw_region_sets(6000, 7, 1.0, seed=0, epoch=1, batch=0)
        sizes = shown.sum(axis=1)
        # ln 2 / ln 8, ln (4 / 2) / ln 8 and ln (8 / 4) / ln 8 of them: a third each.
        counts = [np.sum((low <= sizes) & (sizes < high)) for low, high in ((1, 2), (2, 4), (4, 8))]
        assert np.abs(np.array(counts) / 6000 - 1 / 3).max() < 0.02
        assert np.ptp(shown.mean(axis=0)) < 0.04

    def test_the_others_show_all(self):
        shown = draw_region_sets(4000, 50, 0.25, seed=0, epoch=1, batch=0)
        # Of those drawn, ln (51 / 50) / ln 51 happen to show all too.
        assert np.mean(~shown.all(axis=1)) == pytest.approx(0.25, abs=0.02)

    def test_depend_on_seed_epoch_and_batch_alone(self):
        def drawn(seed=1, epoch=2, batch=3):
            return draw_region_sets(20, 10, 1.0, seed=seed, epoch=epoch, batch=batch).tobytes()

        once = drawn()
        np.random.seed(0)  # noqa: NPY002  the state that must not matter
        assert drawn() == once
        assert len({once, drawn(seed=2), drawn(epoch=1), drawn(batch=0)}) == 4


class TestVariation:
    def test_depends_on_seed_epoch_and_batch(self):
        def drawn(seed, epoch, batch):
            found = draw_variation(ALL, 20, (32, 32), seed=seed, epoch=epoch, batch=batch)
            return b"".join(getattr(found, one.name).tobytes() for one in fields(found))

        assert drawn(0, 1, 2) == drawn(0, 1, 2)
        assert len({drawn(*key) for key in [(0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3)]}) == 4

    def test_gain_leaves_the_shifts_as_they_are(self):
        one = draw_variation(Augment(shift_pixels=3), 9, (32, 32), seed=0, epoch=1, batch=0)
        two = draw_variation(
            Augment(shift_pixels=3, gain=0.5), 9, (32, 32), seed=0, epoch=1, batch=0
        )
        assert one.shifts.tolist() == two.shifts.tolist()

    def test_all_shifts_are_as_likely(self):
        found = draw_variation(Augment(shift_pixels=2), 5000, (32, 32), seed=0, epoch=1, batch=0)
        for along in found.shifts.T:
            counts = np.bincount(along + 2, minlength=5)
            np.testing.assert_allclose(counts / 5000, 0.2, atol=0.02)

    def test_gains_have_their_sd_around_one(self):
        found = draw_variation(Augment(gain=0.2), 5000, (32, 32), seed=0, epoch=1, batch=0)
        assert found.gains.mean() == pytest.approx(1, abs=0.01)
        assert found.gains.std() == pytest.approx(0.2, abs=0.01)
        assert found.shifts is None

    def test_a_run_by_hand(self):
        frames = torch.arange(1.0, 19.0).reshape(2, 3, 3)
        varied = Variation(
            shifts=np.array([[0, 0], [-1, 2]]), gains=np.array([1.0, 2.0], np.float32)
        )
        assert torch.equal(varied.of_run(frames, 0), frames)
        found = varied.of_run(frames, 1)
        assert found[0].tolist() == [[0, 0, 8], [0, 0, 14], [0, 0, 0]]
        assert found[1].tolist() == [[0, 0, 26], [0, 0, 32], [0, 0, 0]]

    def test_turned_by_hand_about_the_centre_of_any_image(self):
        frames = torch.zeros(1, 9, 13)
        frames[0, 4, 9] = 1.0  # three pixels to the right of the centre
        for degrees, place in ((90, (1, 6)), (-90, (7, 6)), (180, (4, 3))):
            turned = turn_frames(frames, degrees)[0]
            assert float(turned[place]) == pytest.approx(1, abs=1e-5)
            assert float(turned.sum()) == pytest.approx(1, abs=1e-4)

    def test_mirrored_are_as_many_as_asked_for_and_columns_change_places(self):
        drawn = draw_variation(Augment(mirror=0.3), 4000, (8, 8), seed=0, epoch=1, batch=0)
        assert drawn.mirrored.mean() == pytest.approx(0.3, abs=0.03)
        frames = torch.arange(6.0).reshape(1, 2, 3)
        varied = Variation(mirrored=np.array([True, False]))
        assert varied.of_run(frames, 0).tolist() == [[[2, 1, 0], [5, 4, 3]]]
        assert torch.equal(varied.of_run(frames, 1), frames)

    def test_dropped_pixels_are_a_runs_own_and_the_same_in_each_frame(self):
        drawn = draw_variation(Augment(pixel_dropout=0.25), 40, (20, 20), seed=0, epoch=1, batch=0)
        frames = torch.ones(3, 20, 20)
        shown = [drawn.of_run(frames, k) for k in range(40)]
        assert all(torch.equal(one[0], one[2]) for one in shown)
        assert float(torch.stack(shown).mean()) == pytest.approx(0.75, abs=0.02)
        assert not torch.equal(shown[0], shown[1])

    def test_there_and_back_leaves_the_middle(self):
        frames = torch.randn(4, 20, 16)
        back = shift_frames(shift_frames(frames, 3, -2), -3, 2)
        assert torch.equal(back[:, :17, 2:], frames[:, :17, 2:])
        assert back[:, 17:].abs().max() == 0


def test_gains_of_traces_are_a_windows_own_and_a_regions_own():
    windows, offset = 3 + torch.rand(500, 4, 3), torch.ones(3)
    found = augment_traces(
        windows, Augment(gain=0.1), offset, torch.ones(3), seed=0, epoch=1, batch=0
    )
    factors = (found - offset) / (windows - offset)
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    assert float(factors[:, 0].std(0).min()) == pytest.approx(0.1, abs=0.02)
    assert abs(np.corrcoef(factors[:, 0].T)[0, 1]) < 0.15


def test_noise_of_traces_has_its_sd_in_what_the_network_reads():
    windows, gain = torch.zeros(300, 8, 3), torch.tensor([2.0, 0.0, 0.1])
    found = augment_traces(
        windows, Augment(noise=0.5), torch.zeros(3), gain, seed=0, epoch=1, batch=0
    )
    read = found * gain
    assert read[..., 0].std().item() == pytest.approx(0.5, rel=0.05)
    assert read[..., 2].std().item() == pytest.approx(0.5, rel=0.05)
    assert found[..., 1].abs().max() == 0


@pytest.mark.parametrize("kind", ["shared", "independent"])
def test_jitter_reads_windows_a_little_earlier_or_later_than_their_target(movie_windows, kind):
    windows = movie_windows((60, 50), gaps=(20,))
    training = Training(
        batch_size=16, windows=kind, run_windows=4, augment=Augment(jitter_frames=3)
    )
    batches = MovieBatches(windows, training, seed=0, device="cpu")
    as_is = MovieBatches(windows, replace(training, augment=Augment()), seed=0, device="cpu")
    frames = batches.frames.normalise(np.arange(110), batches.frames.read(np.arange(110)))
    n_batches, moved, begins = batches.n_batches(1), [], set(windows.start.tolist())
    for ((images, index), _), ((plain, places), _) in zip(
        batches.of_epoch(1, 0, n_batches), as_is.of_epoch(1, 0, n_batches), strict=True
    ):
        for one, other in zip(images[index[:, 0], 0], plain[places[:, 0], 0], strict=True):
            start, own = ((frames == frame).all(dim=(1, 2)).nonzero() for frame in (one, other))
            assert int(start) in begins
            moved.append(int(start) - int(own))
    assert {-3, 3} <= set(moved) <= set(range(-3, 4))
    # At the ends of a stretch a window stays where it is.
    assert np.mean(np.array(moved) == 0) < 0.5


def test_a_mirrored_signal_is_read_with_mirrored_windows_and_not_without():
    train, valid = spot_windows((14, 4), "m1", 1), spot_windows((14, 4), "m2", 2)
    other_side = spot_windows((14, SIDE - 8), "m3", 3)
    plain = fit(train, valid, SMALL, SHORT)
    varied = fit(train, valid, SMALL, replace(SHORT, augment=Augment(mirror=0.5)))
    assert auc(plain, other_side) < 0.75
    assert auc(varied, other_side) > 0.95


def spot_windows(place, animal, seed, n_frames=300):
    """Windows of single images: a bright spot at a place in running, the reverse around it."""
    rng = np.random.default_rng(seed)
    run = (np.arange(n_frames) // 5 % 2).astype(float)
    frames = rng.normal(0, 1, (n_frames, SIDE, SIDE)).astype(np.float32)
    row, column = place
    frames[:, row : row + 4, column : column + 4] += 3 * (run - 0.5)[:, None, None]
    shape = (1, SIDE, SIDE)
    movie = NormalisedMovie(
        frames, np.zeros(shape, np.float32), np.ones(shape, np.float32), np.ones(n_frames, bool)
    )
    segment = np.zeros(n_frames, np.int32)
    session = Session(animal, "a", None, (), {"run": run}, segment, 30.0)
    empty = np.zeros((n_frames, 0), np.float32)
    prepared = lay_end_to_end(empty, np.ones(n_frames, bool), [session], (), NO_PREPROCESSING, [])
    prepared = replace(
        prepared, movies=(movie,), pixels=PixelPreprocessing(), image_shape=(SIDE, SIDE)
    )
    target = Target("run")
    targets = session_targets(prepared, target)
    return windows_of(
        prepared, target, targets, WindowShape(0, 0), np.zeros(0, bool), input="movie"
    )


def auc(decoder, windows):
    found = predict(decoder, windows)
    return binary_scores(found.target, found.score)["auc"]


def test_a_signal_at_another_pixel_is_read_with_shifts_and_not_without():
    train, valid = spot_windows((14, 14), "m1", 1), spot_windows((14, 14), "m2", 2)
    moved = spot_windows((18, 10), "m3", 3)
    plain = fit(train, valid, SMALL, SHORT)
    varied = fit(train, valid, SMALL, replace(SHORT, augment=Augment(shift_pixels=5)))
    assert auc(plain, spot_windows((14, 14), "m4", 4)) > 0.95
    assert auc(plain, moved) < 0.75
    assert auc(varied, moved) > 0.95


class TestFits:
    def test_do_not_depend_on_how_often_they_were_stopped(
        self, movie_windows, tmp_path, monkeypatch
    ):
        windows = movie_windows((70, 60), before=4, after=4)
        train, valid = (windows.where(windows.animal == k) for k in range(2))
        network = Network("cnn-gru", backbone="small", temporal_stride=2)
        training = Training(
            epochs=2,
            batch_size=8,
            windows="independent",
            augment=Augment(shift_pixels=3, gain=0.2),
        )
        whole = fit(train, valid, network, training)
        monkeypatch.setattr(loop, "STATE_EVERY_S", -1.0)
        step, n_steps = loop.loss_of, 0

        def stopping(network, *rest):
            nonlocal n_steps
            n_steps += network.training
            if n_steps > 9:
                raise KeyboardInterrupt
            return step(network, *rest)

        monkeypatch.setattr(loop, "loss_of", stopping)
        with pytest.raises(KeyboardInterrupt):
            fit(train, valid, network, training, state_path=tmp_path / "state")
        monkeypatch.setattr(loop, "loss_of", step)
        gone_on = fit(train, valid, network, training, state_path=tmp_path / "state")
        for name, tensor in whole.network.state_dict().items():
            assert torch.equal(tensor, gone_on.network.state_dict()[name])

    def test_come_back_from_their_files(self, movie_windows, tmp_path):
        windows = movie_windows((70, 60), before=4, after=4)
        train, valid = (windows.where(windows.animal == k) for k in range(2))
        network = Network("cnn-gru", backbone="small", temporal_stride=3, bins=16)
        training = Training(epochs=1, batch_size=16, augment=Augment(shift_fraction=0.1))
        decoder = fit(train, valid, network, training)
        decoder.save(tmp_path)
        again = load_decoder(tmp_path)
        assert (again.settings, again.training) == (network, training)
        before, after = (predict(one, valid, part="valid") for one in (decoder, again))
        assert before.score.tolist() == after.score.tolist()
        assert "weights" not in (tmp_path / "decoder.json").read_text("utf-8")

    def test_of_shifts_larger_than_the_image_are_refused(self, movie_windows):
        windows = movie_windows()
        train, valid = (windows.where(windows.animal == k) for k in range(2))
        training = replace(SHORT, augment=Augment(shift_pixels=40))
        with pytest.raises(StudyError, match=r"up to 40 pixels, and the images have 32 x 32"):
            fit(train, valid, Network("cnn-gru", backbone="small"), training)


@pytest.mark.parametrize("kind", ["shared", "independent"])
def test_training_frames_alone_are_varied_and_all_of_a_window_alike(movie_windows, kind):
    windows = movie_windows((60, 50))
    training = Training(batch_size=16, windows=kind, run_windows=4)
    varied = replace(training, augment=Augment(gain=0.5))
    as_is, changed = (
        MovieBatches(windows, one, seed=0, device="cpu") for one in (training, varied)
    )
    for (a, _), (b, _) in zip(as_is.in_order(), changed.in_order(), strict=True):
        assert torch.equal(a[0], b[0])
    n_batches, factors = as_is.n_batches(1), set()
    for (a, _), (b, _) in zip(
        as_is.of_epoch(1, 0, n_batches), changed.of_epoch(1, 0, n_batches), strict=True
    ):
        for window in a[1]:
            factor = b[0][window] / a[0][window]
            assert float(factor.std()) < 1e-3
            factors.add(round(float(factor.mean()), 4))
    assert len(factors) > windows.n_windows / (8 if kind == "shared" else 2)
