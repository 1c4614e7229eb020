"""Tests."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.conftest import again
from torch import nn

from corticode.data.movies.normalise import NormalisedMovie, PixelPreprocessing
from corticode.data.prepared import NO_PREPROCESSING, lay_end_to_end
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows, session_targets, windows_of
from corticode.decode import predict as predict_module
from corticode.decode.decoder import Decoder, ScaledNetwork
from corticode.decode.fit import fit
from corticode.decode.movie_batches import MovieFrames
from corticode.decode.networks.movies import MovieNetwork
from corticode.decode.predict import predict
from corticode.decode.settings import Network, Training
from corticode.errors import DataError, DecoderError, StudyError
from corticode.evaluate.metrics import binary_scores
from corticode.explain.masks import Mask, SquareGrid, region_masks, square_masks
from corticode.explain.occlusion import count_passes, covered_versions, occlude, tables_of_scores
from corticode.explain.occlusion_summary import summarise_squares

SIDE = 32
GRID = SquareGrid((SIDE, SIDE))
SQUARES = square_masks(GRID)
RUN = Target("run")
# Of the cells of 4 x 4 pixels: row 2, column 5.
PLANTED = np.s_[8:12, 20:24]
MASKS = [Mask("one", np.array([True, False])), Mask("two", np.array([False, True]))]
OUTSIDE = np.array([False, True])


class Cells(nn.Module):
    """A CNN by hand: the mean of each cell of 4 x 4 pixels in the middle frame; counts images."""

    def __init__(self):
        super().__init__()
        self.n_images = 0

    def forward(self, images):
        self.n_images += len(images)
        return nn.functional.avg_pool2d(images[:, 1:2], 4).flatten(1)


def running(n_frames, rng):
    """Bouts of rest and running of 5 to 14 frames."""
    return (np.repeat(np.arange(n_frames), rng.integers(5, 15, n_frames))[:n_frames]) % 2


def movie_windows(n_sessions=2, *, n_frames=240, reach=0, animals=("m1",), one_class=(), seed=0):
    """Windows of noise in which one cell grows brighter when the animal runs."""
    rng = np.random.default_rng(seed)
    sessions, movies = [], []
    for animal in animals:
        for k in range(n_sessions):
            run = running(n_frames, rng) * (k not in one_class)
            frames = rng.normal(100, 10, (n_frames, SIDE, SIDE))
            frames[:, *PLANTED] += 5 * run[:, None, None]
            zero, one = np.full((2, 1, SIDE, SIDE), [[[[100]]], [[[0.1]]]], np.float32)
            valid = np.ones(n_frames, bool)
            movies.append(NormalisedMovie(frames.astype(np.uint16), zero, one, valid))
            names = animal, f"{animal}{k}"
            segment = np.zeros(n_frames, np.int32)
            sessions.append(Session(*names, None, (), {"run": run.astype(float)}, segment))
    n_rows = n_frames * len(sessions)
    empty = np.zeros((n_rows, 0), np.float32)
    prepared = lay_end_to_end(empty, np.ones(n_rows, bool), sessions, (), NO_PREPROCESSING, [])
    prepared = replace(
        prepared, movies=tuple(movies), pixels=PixelPreprocessing(), image_shape=(SIDE, SIDE)
    )
    targets = session_targets(prepared, Target("run"))
    shape = WindowShape(reach, reach)
    return windows_of(prepared, Target("run"), targets, shape, np.zeros(0, bool), input="movie")


def movie_decoder(windows, head="cnn"):
    """A decoder that reads the planted cell, and is pushed a little by all the others."""
    torch.manual_seed(0)
    inner = MovieNetwork(Cells(), head, n_features=64, n_units=4)
    if head == "cnn":
        weight = 0.02 * torch.randn(1, 64)
        weight[0, 2 * 8 + 5] = 1.0
        inner.dense.weight.data = weight
    network = ScaledNetwork(inner, 0).eval()
    settings = Network(head, backbone="efficientnet-lite0", weights="none")
    return Decoder(
        network, settings, Training(), 0, windows.recipe, "binary", (), 1, "validation loss", ("x",)
    )


def trace_windows(sessions=("a", "b"), *, regions=None, target=RUN):
    """Windows of traces whose second region follows the running."""
    rng = np.random.default_rng(0)
    made = []
    for name in sessions:
        run = running(400, rng)
        traces = rng.normal(size=(400, 4))
        traces[:, 1] += 4 * run
        names = ("M2", "HL", "V1", "A1")
        made.append(Session("m1", name, traces, names, {"run": run}, np.zeros(400, int)))
    return cut_windows(made, target, WindowShape(1, 1), regions=regions)


class TestMovies:
    def test_finds_the_square_with_the_information(self):
        windows = movie_windows(animals=("m1", "m2", "m3"))
        found = occlude(movie_decoder(windows), windows, SQUARES)
        score = found.sessions.groupby("mask", sort=False)["score"].mean()
        over = [mask.name for mask in SQUARES if mask.covered[PLANTED].all()]
        assert len(over) == 4
        assert set(score.nlargest(4).index) == set(over)
        assert score[over].min() > 0.3
        assert score.drop(over).abs().max() < 0.02
        cells = summarise_squares([found.sessions], GRID)
        assert np.unravel_index(cells.mean.argmax(), cells.mean.shape) == (2, 5)
        assert cells.p[2, 5] == 1 / 8

    @pytest.mark.parametrize(
        ("head", "reach"), [("cnn", 0), pytest.param("cnn-gru", 2, marks=pytest.mark.study)]
    )
    def test_finds_it_with_a_decoder_that_had_to_learn_it(self, head, reach):
        train, test = (
            movie_windows(2, n_frames=1200, reach=reach, animals=animals, seed=len(animals))
            for animals in (("m1", "m2"), ("m3",))
        )
        settings = Network(head, 8, backbone="grid")
        training = Training(epochs=3, batch_size=32, learning_rate=5e-3)
        decoder = fit(train, test, settings, training)
        found = occlude(decoder, test, SQUARES)
        assert found.sessions["auc"].mean() > 0.9
        cells = summarise_squares([found.sessions], GRID)
        assert np.unravel_index(cells.mean.argmax(), cells.mean.shape) == (2, 5)

    @pytest.mark.parametrize("backbone", ["small", "grid", "components"])
    def test_each_image_passes_every_backbone_once_a_mask(self, backbone):
        windows = movie_windows(n_frames=122, reach=4, animals=("m1", "m2"))
        train, valid = (windows.where(windows.animal == k) for k in range(2))
        settings = Network("cnn-gru", 4, backbone=backbone, temporal_stride=3)
        decoder = fit(train, valid, settings, Training(epochs=1, batch_size=64))
        passed = []
        hook = decoder.network.inner.cnn.register_forward_hook(
            lambda _, inputs, __: passed.append(len(inputs[0]))
        )
        found = occlude(decoder, valid, SQUARES[:5])
        hook.remove()
        n_sessions = np.unique(valid.session).size
        assert sum(passed) == found.cnn_passes == 120 * n_sessions * (1 + 5)

    @pytest.mark.parametrize(("head", "reach"), [("cnn", 0), ("cnn-gru", 2)])
    def test_base_is_what_predict_says_and_each_image_passes_once_a_mask(
        self, monkeypatch, head, reach
    ):
        # Small batches, so that stretches end within, at and after them.
        monkeypatch.setattr(predict_module, "IMAGES_BATCH", 16)
        monkeypatch.setattr(predict_module, "MOVIE_WINDOWS_BATCH", 7)
        windows = movie_windows(n_frames=122, reach=reach)
        decoder = movie_decoder(windows, head)
        found = occlude(decoder, windows, SQUARES)
        n_images = decoder.network.inner.cnn.n_images
        # The first and the last frame of a session are no image of their own.
        assert n_images == found.cnn_passes == (64 + 1) * 2 * 120
        said = predict(decoder, windows)
        for k, row in enumerate(found.sessions.drop_duplicates("session").itertuples()):
            chosen = windows.session == k
            expected = binary_scores(said.target[chosen], said.score[chosen])["auc"]
            assert row.auc == expected
        assert found.pooled["auc"].iloc[0] == binary_scores(said.target, said.score)["auc"]

    def test_is_prediction_of_a_movie_covered_by_hand(self):
        windows = movie_windows(reach=1)
        decoder = movie_decoder(windows, "cnn-gru")
        mask = SQUARES[2 * 8 + 5]
        covered = [
            replace(movie, frames=np.where(mask.covered, np.uint16(100), movie.frames))
            for movie in windows.movies
        ]
        by_hand = predict(decoder, replace(windows, movies=tuple(covered)))
        row = occlude(decoder, windows, [mask]).pooled.iloc[0]
        assert row["auc_covered"] == binary_scores(by_hand.target, by_hand.score)["auc"]
        assert row["score"] == row["auc"] - row["auc_covered"]

    def test_other_fills_find_it_too(self):
        windows = movie_windows()
        decoder = movie_decoder(windows)
        masks = [SQUARES[2 * 8 + 5], SQUARES[50]]
        for fill in ("other-session", "shuffled", "neighbours"):
            found = occlude(decoder, windows, masks, fill=fill)
            needed, unneeded = found.pooled["score"]
            assert needed > 0.25, fill
            assert abs(unneeded) < 0.02, fill

    def test_thinned_costs_a_share_and_says_what_it_does_not_know(self):
        windows = movie_windows(n_frames=600, reach=2)
        decoder = movie_decoder(windows, "cnn-gru")
        whole = occlude(decoder, windows, SQUARES[:2])
        thinned = occlude(decoder, windows, SQUARES[:2], every_n_frames=4)
        assert thinned.cnn_passes / whole.cnn_passes == pytest.approx(1 / 4, rel=0.05)
        # What is told is what passed, also of frames that lie apart.
        n_images = decoder.network.inner.cnn.n_images
        assert n_images == whole.cnn_passes + thinned.cnn_passes
        assert (whole.sessions["thinning_se"] == 0).all()
        assert (thinned.sessions["thinning_se"] > 0).all()
        # Runs of 5 windows, 4 times 9 images apart.
        assert thinned.sessions["n_windows"].iloc[0] == pytest.approx(5 * 600 / 36, abs=5)

    def test_sessions_of_one_class_are_left_out_and_listed(self):
        windows = movie_windows(3, one_class=(1,))
        found = occlude(movie_decoder(windows), windows, SQUARES[:1])
        assert found.sessions["session"].tolist() == ["m10", "m12"]
        assert [str(finding) for finding in found.findings] == [
            "animal 'm1', session 'm11': left out of the occlusion: 1 bout of 0; 0 bouts of 1"
        ]
        with pytest.raises(DataError, match="no session can be scored"):
            alone = windows.where(windows.session == 1)
            occlude(movie_decoder(windows), alone, SQUARES[:1])

    def test_animals_of_the_fit_are_told(self):
        windows = movie_windows(1, animals=("x", "y"))
        found = occlude(movie_decoder(windows), windows, SQUARES[:1])
        assert [str(finding) for finding in found.findings] == [
            "animal 'x': was a train animal of this decoder: its map says nothing of new animals"
        ]

    def test_squares_outside_the_brain_are_marked(self):
        windows = movie_windows(1)
        brain = np.zeros((SIDE, SIDE), bool)
        brain[8:24, 8:24] = True
        found = occlude(movie_decoder(windows), windows, SQUARES, brain=brain)
        expected = [not (mask.covered & brain).any() for mask in SQUARES]
        assert found.sessions["outside_brain"].tolist() == expected
        assert 0 < sum(expected) < 64

    @pytest.mark.parametrize(
        ("mask", "more", "message"),
        [
            (np.eye(16, dtype=bool), {}, r"shape \(16, 16\), the decoder's images \(32, 32\)"),
            (np.arange(4) < 1, {}, r"shape \(4,\), the decoder's images"),
            (SQUARES[0].covered, {"fill": "mean"}, "fill 'mean' is none of those for movies"),
            (SQUARES[0].covered, {"every_n_frames": 0}, "must be a whole number above 0"),
            (SQUARES[0].covered, {"brain": np.ones((8, 8), bool)}, r"the brain mask \(8, 8\)"),
        ],
    )
    def test_bad_input_is_refused(self, mask, more, message):
        windows = movie_windows(1)
        with pytest.raises(StudyError, match=message):
            occlude(movie_decoder(windows), windows, [Mask("mine", mask)], **more)

    def test_windows_of_another_recipe_are_refused(self):
        windows = movie_windows(1)
        with pytest.raises(DecoderError, match="another window"):
            occlude(movie_decoder(windows), movie_windows(1, reach=1), SQUARES)


class TestVersions:
    MASK = Mask("two", np.isin(np.arange(25).reshape(5, 5), (0, 18)))
    FRAMES = torch.arange(75, dtype=torch.float32).reshape(3, 5, 5)

    def made(self, fill, donors=None, movies=()):
        recorded = MovieFrames(movies) if movies else None
        versions = covered_versions([self.MASK.covered], fill, donors)
        base, covered = versions(self.FRAMES, np.arange(3), recorded)
        assert base is self.FRAMES
        kept = torch.from_numpy(~self.MASK.covered)
        assert torch.equal(covered[:, kept], self.FRAMES[:, kept])
        return covered[:, 0, 0].tolist(), covered[:, 3, 3].tolist()

    def test_zero(self):
        assert self.made("zero") == ([0, 0, 0], [0, 0, 0])

    def test_neighbours(self):
        # Pixels 1 and 5 around the first, 13, 17, 19 and 23 around the second; 25 a frame.
        assert self.made("neighbours") == ([3, 28, 53], [18, 43, 68])

    def test_donors(self):
        frames = np.arange(150, dtype=np.uint16).reshape(6, 5, 5)
        offset, gain = np.zeros((1, 5, 5), np.float32), np.full((1, 5, 5), 2, np.float32)
        movie = NormalisedMovie(frames, offset, gain, np.ones(6, bool))
        lent = np.array([5, 3, 3, 0, 0, 0])
        assert self.made("shuffled", lent, [movie]) == ([250, 150, 150], [286, 186, 186])


class TestTraces:
    def test_finds_the_region_with_the_information(self):
        windows = trace_windows()
        decoder = fit(windows, again(windows), "linear-window")
        masks = region_masks(
            {name: [name] for name in windows.recipe.regions}, ("M2", "HL", "V1", "A1")
        )
        for fill in ("zero", "other-session", "shuffled"):
            found = occlude(decoder, windows, masks, fill=fill)
            score = found.pooled.set_index("mask")["score"]
            assert score["HL"] > 0.2, fill
            assert score.drop("HL").abs().max() < 0.03, fill
        assert found.cnn_passes == 0

    @pytest.mark.parametrize(("kind", "metric"), [("classes", "auc"), ("value", "r2")])
    def test_classes_and_values(self, kind, metric):
        windows = trace_windows(target=Target("run", kind=kind))
        decoder = fit(windows, again(windows), "linear-window")
        masks = region_masks({"HL": ["HL"], "M2": ["M2"]}, windows.recipe.regions)
        found = occlude(decoder, windows, masks)
        assert found.metric == metric
        needed, unneeded = found.pooled["score"]
        assert needed > 0.2 > 0.05 > abs(unneeded)

    def test_zero_is_what_regions_left_out_enter_as(self):
        windows = trace_windows()
        decoder = fit(windows, again(windows), "linear-window")
        # A decoder that scales its own input: what is 0 behind that scaling.
        decoder.network.set_input(np.full(4, 0.3, np.float32), np.full(4, 2.0, np.float32))
        row = occlude(decoder, windows, region_masks({"x": ["HL"]}, windows.recipe.regions))
        decoder.network.set_input(
            np.full(4, 0.3, np.float32), np.array([2.0, 0.0, 2.0, 2.0], np.float32)
        )
        said = predict(decoder, windows, part=None)
        assert row.pooled["auc_covered"][0] == binary_scores(said.target, said.score)["auc"]

    def test_seed_fixes_the_shuffles(self):
        windows = trace_windows()
        decoder = fit(windows, again(windows), "linear-window")
        masks = region_masks({"x": ["HL"]}, windows.recipe.regions)
        score = [
            occlude(decoder, windows, masks, fill="shuffled", seed=seed).pooled["score"][0]
            for seed in (0, 0, 1)
        ]
        assert score[0] == score[1] != score[2]

    def test_leaves_traces_as_they_are(self):
        windows = trace_windows()
        before = windows.traces.copy()
        decoder = fit(windows, again(windows), "linear-window")
        occlude(decoder, windows, region_masks({"x": ["HL"]}, windows.recipe.regions))
        np.testing.assert_array_equal(windows.traces, before)

    @pytest.mark.parametrize(
        ("selection", "more", "message"),
        [
            (["A1"], {}, "covers A1, which the decoder does not see; cover some of M2, HL"),
            (["M2", "HL"], {}, r"covers all that the decoder sees \(M2, HL\)"),
            (["M2"], {"fill": "neighbours"}, "none of those for traces: zero, other-session"),
            (["M2"], {"brain": np.ones((4, 4), bool)}, "a brain mask is for movies"),
        ],
    )
    def test_bad_input_is_refused(self, selection, more, message):
        windows = trace_windows(regions=["M2", "HL"])
        decoder = fit(windows, again(windows), "linear-window")
        masks = region_masks({"x": selection}, windows.recipe.regions)
        with pytest.raises(StudyError, match=message):
            occlude(decoder, windows, masks, **more)

    def test_one_session_has_no_other(self):
        windows = trace_windows(("a",))
        decoder = fit(windows, again(windows), "linear-window")
        masks = region_masks({"x": ["HL"]}, windows.recipe.regions)
        with pytest.raises(DataError, match="'m1' has one session, so no other can fill"):
            occlude(decoder, windows, masks, fill="other-session")


def test_passes_are_counted_over_stretches():
    windows = movie_windows(1, n_frames=100, reach=2)
    assert count_passes(windows, 64) == 65 * 98
    # Two stretches of 3 windows: 7 images each.
    assert count_passes(windows.where(np.r_[0:3, 50:53]), 1) == 2 * 14


def table_windows(*runs, kind="binary"):
    rng = np.random.default_rng(0)
    sessions = [
        Session("m1" if k < 2 else "m2", "abc"[k], rng.normal(size=(len(run), 2)), ("1", "2"),
                {"run": np.asarray(run, float)}, np.zeros(len(run), int))
        for k, run in enumerate(runs)
    ]  # fmt: skip
    return cut_windows(sessions, Target("run", kind=kind), WindowShape(0, 0))


def test_by_hand():
    windows = table_windows([0, 0, 1, 1], [0, 1, 0, 1])
    scores = np.array(
        [[1, 2, 3, 4, 1, 2, 1, 2], [1, 2, 1, 2, 1, 2, 1, 2], [1, 2, 3, 4, 2, 1, 2, 1]]
    ).astype(np.float32)
    sessions, pooled, findings = tables_of_scores(windows, scores, MASKS, outside=OUTSIDE)
    assert sessions[["mask", "session"]].to_numpy().tolist() == [
        ["one", "a"], ["two", "a"], ["one", "b"], ["two", "b"]
    ]  # fmt: skip
    assert sessions["auc"].tolist() == [1, 1, 1, 1]
    assert sessions["auc_covered"].tolist() == [0.5, 1, 1, 0]
    assert sessions["score"].tolist() == [0.5, 0, 0, 1]
    assert sessions["thinning_se"].tolist() == [0, 0, 0, 0]
    assert sessions["outside_brain"].tolist() == [False, True, False, True]
    assert findings == []
    target = windows.target
    for k, row in enumerate(pooled.itertuples()):
        assert row.n_windows == 8
        assert row.auc_covered == binary_scores(target, scores[1 + k])["auc"]


def test_values_are_scored_by_r2():
    windows = table_windows([1, 2, 3], kind="value")
    scores = np.array([[1, 2, 3], [2, 2, 2], [1, 2, 2]], np.float32)
    sessions, _, _ = tables_of_scores(windows, scores, MASKS, outside=OUTSIDE)
    assert sessions[["r2", "r2_covered", "score"]].to_numpy().tolist() == [
        [1, 0, 1], [1, 0.5, 0.5]
    ]  # fmt: skip


def test_sessions_without_a_score_are_listed():
    windows = table_windows([0, 0, 0], [0, 1, 0])
    scores = np.zeros((3, 6), np.float32)
    sessions, pooled, findings = tables_of_scores(windows, scores, MASKS, outside=OUTSIDE)
    assert set(sessions["session"]) == {"b"}
    assert pooled["n_windows"].tolist() == [3, 3]
    assert str(findings[0]) == (
        "animal 'm1', session 'a': left out of the occlusion: no auc over its 3 windows decoded"
    )
    with pytest.raises(DataError, match="lower every_n_frames"):
        only = windows.where(windows.session == 0)
        tables_of_scores(only, scores[:, :3], MASKS, outside=OUTSIDE)


class TestThinningError:
    def test_is_about_the_spread_over_other_choices(self):
        rng = np.random.default_rng(0)
        errors, found = [], []
        for _ in range(40):
            run = rng.random(200) < 0.5
            windows = table_windows(run)
            base = run + rng.normal(size=200)
            scores = np.stack([base, base + rng.normal(size=200), base]).astype(np.float32)
            table, _, _ = tables_of_scores(
                windows, scores, MASKS, outside=OUTSIDE, share_decoded=1e-6
            )
            errors.append(table["thinning_se"][0])
            found.append(table["score"][0])
            assert table["thinning_se"][1] == 0
        assert np.mean(errors) == pytest.approx(np.std(found), rel=0.35)

    def test_shrinks_with_the_share_decoded(self):
        run = np.arange(100) // 3 % 2
        noise = np.random.default_rng(0).normal(size=(3, 100))
        scores = (run + noise).astype(np.float32)
        of = {
            share: tables_of_scores(
                table_windows(run), scores, MASKS, outside=OUTSIDE, share_decoded=share
            )[0]["thinning_se"][0]
            for share in (0.25, 0.75)
        }
        assert of[0.25] / of[0.75] == pytest.approx(np.sqrt(3))

    def test_of_few_windows_is_not_known(self):
        scores = np.zeros((3, 4), np.float32)
        table, _, _ = tables_of_scores(
            table_windows([0, 1, 0, 1]), scores, MASKS, outside=OUTSIDE, share_decoded=0.5
        )
        assert table["thinning_se"].isna().all()
