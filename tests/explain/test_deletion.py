"""Regions go in the order of a map, and in random orders."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import again
from tests.explain.test_occlusion import PLANTED, SIDE, movie_decoder, movie_windows, trace_windows

from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.decode.settings import Network, Training
from corticode.errors import DataError, DecoderError, StudyError
from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.scores import score_animals, score_sessions
from corticode.explain.contributions import draw_background
from corticode.explain.deepshap import deep_shap
from corticode.explain.deletion import (
    count_steps,
    delete_regions,
    delete_squares,
    moved_maps,
    score_within_sessions,
)
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.masks import SquareGrid, cells_of_squares, square_masks
from corticode.explain.occlusion import occlude

NAMES = tuple("abcdefghij")
# How strongly regions follow the behaviour: the true order is c, g, a, then any.
PLANTED_REGIONS = np.array([0.8, 0, 2.5, 0, 0, 0, 1.5, 0, 0, 0])
TRUE_ORDER = tuple("cgabdefhij")
# The cell that `movie_decoder` reads, of 8 x 8.
AT = (2, 5)


def windows_of(n_animals=2, *, n_frames=400, target="run", seed=0, blank=()):
    rng = np.random.default_rng(seed)
    sessions = []
    for animal in range(n_animals):
        for k in range(2):
            run = np.repeat(rng.random(n_frames // 10) > 0.5, 10) * (f"s{k}" not in blank)
            traces = rng.normal(size=(n_frames, len(NAMES))) + run[:, None] * PLANTED_REGIONS
            behavior = {"run": run, "act": np.where(run, "walk", "rest"), "speed": run * 9.0}
            segment = np.zeros(n_frames, np.int32)
            sessions.append(Session(f"m{animal}", f"s{k}", traces, NAMES, behavior, segment))
    kind = {"run": "binary", "act": "classes", "speed": "value"}[target]
    return cut_windows(sessions, Target(target, kind=kind), WindowShape(1, 1))


@pytest.fixture(scope="module")
def windows():
    return windows_of()


@pytest.fixture(scope="module")
def decoder():
    trained = windows_of(seed=1)
    training = Training(epochs=6, batch_size=32, learning_rate=0.02)
    return fit(trained, again(trained), Network("gru", units=8), training)


def test_the_score_falls_fastest_along_the_true_order(decoder, windows):
    found = delete_regions(decoder, windows, TRUE_ORDER)
    assert found.counts.tolist() == list(range(11))
    assert found.random_deletion.shape == found.random_insertion.shape == (20, 11)
    assert found.area_deletion > 0.1
    assert found.area_insertion > 0.1
    # One random order in a few hundred is the true one as far as it matters.
    assert max(found.p_deletion, found.p_insertion) < 0.1
    assert found.deletion[3] < 0.65 < found.random_deletion[:, 3].mean()
    assert found.words.startswith("with regions taken away in the map's order auc lies 0.")


def test_the_false_order_is_told(decoder, windows):
    found = delete_regions(decoder, windows, TRUE_ORDER[::-1])
    assert found.area_deletion < 0
    assert min(found.p_deletion, found.p_insertion) > 0.9
    assert "higher on average than in 20 random ones" in found.words
    assert "the map's order is not shown to be that of what the decoder uses" in found.words


def test_a_map_of_the_decoder_gives_the_order(decoder, windows):
    background = draw_background(windows, 20)
    made = deep_shap(decoder, windows.where(windows.frame % 4 == 0), background)
    found = delete_regions(decoder, windows, made, n_random=1, every_n_frames=2)
    assert found.order == tuple(made.ranking()["region"])
    assert found.order[:2] == ("c", "g")
    assert "too few random orders to say, 20 are needed" in found.words


def test_ends_are_the_decoder_as_it_is_and_chance(decoder, windows):
    found = delete_regions(decoder, windows, TRUE_ORDER, n_random=2)
    said = predict(decoder, windows, part="train")
    table = score_sessions(said, part="train").assign(condition="", fold="", seed=0)
    as_it_is = score_animals(table)["value"].mean()
    assert found.deletion[0] == found.insertion[-1] == pytest.approx(as_it_is)
    assert found.deletion[-1] == found.insertion[0] == 0.5
    assert (found.random_deletion[:, [0, -1]] == found.deletion[[0, -1]]).all()


def test_what_is_taken_away_enters_as_regions_that_were_left_out(decoder, windows):
    offset = decoder.network.input_offset.numpy()
    found = delete_regions(decoder, windows, TRUE_ORDER, n_random=1)
    traces = windows.traces.copy()
    traces[:, 2] = offset[2]
    said = predict(decoder, replace(windows, traces=traces), part="train")
    table = score_sessions(said, part="train").assign(condition="", fold="", seed=0)
    assert found.deletion[1] == pytest.approx(score_animals(table)["value"].mean())


def test_each_input_is_predicted_once(decoder, windows, monkeypatch):
    inputs = []

    def counted(decoder, windows, **more):
        inputs.append(windows.traces.tobytes())
        return predict(decoder, windows, **more)

    monkeypatch.setattr("corticode.explain.deletion.predict", counted)
    delete_regions(decoder, windows, TRUE_ORDER, n_random=3, n_steps=4)
    assert len(inputs) == len(set(inputs)) <= 2 + 2 * 4 * 3


@pytest.mark.parametrize("target", ["act", "speed"])
def test_other_targets(target):
    windows = windows_of(target=target)
    decoder = fit(windows, again(windows), "linear-window", Training(penalty=(0.01,)))
    found = delete_regions(decoder, windows, TRUE_ORDER)
    assert found.metric == ("auc" if target == "act" else "r2")
    assert found.p_deletion < 0.1


def test_table_and_findings(decoder):
    found = delete_regions(decoder, windows_of(blank=("s1",)), TRUE_ORDER, n_random=2)
    assert {finding.session for finding in found.findings} == {"s1"}
    table = found.table()
    assert list(table.columns[:5]) == [
        "n_parts",
        "deletion",
        "deletion_random",
        "deletion_random_low",
        "deletion_random_high",
    ]
    assert (table["deletion_random_low"] <= table["deletion_random_high"]).all()


@given(st.integers(1, 200), st.integers(2, 30))
def test_steps_go_from_none_to_all(n_regions, n_steps):
    counts = count_steps(n_regions, n_steps)
    assert counts[0] == 0
    assert counts[-1] == n_regions
    assert (np.diff(counts) > 0).all()
    assert counts.size <= n_steps + 1


def test_bad_input_says_the_way_out(decoder, windows):
    with pytest.raises(StudyError, match="the order lacks a, which the decoder sees"):
        delete_regions(decoder, windows, TRUE_ORDER[:2] + TRUE_ORDER[3:])
    with pytest.raises(StudyError, match="n_random is 0 and n_steps 12"):
        delete_regions(decoder, windows, TRUE_ORDER, n_random=0)
    other = replace(windows, recipe=replace(windows.recipe, window=WindowShape(2, 0)))
    with pytest.raises(DecoderError, match="another window"):
        delete_regions(decoder, other, TRUE_ORDER)
    with pytest.raises(DataError, match="no session can be scored, so none is left for the del"):
        delete_regions(decoder, windows_of(blank=("s0", "s1")), TRUE_ORDER)


def planted_map(at=AT):
    values = np.zeros((8, 8))
    values[at] = 1.0
    return values


@pytest.fixture(scope="module")
def square_windows():
    return movie_windows()


@pytest.mark.parametrize("fill", ["shuffled", "other-session", "zero"])
def test_the_score_falls_at_once_along_a_true_map(square_windows, fill):
    decoder = movie_decoder(square_windows)
    found = delete_squares(decoder, square_windows, planted_map(), fill=fill)
    assert found.counts.tolist() == [0, 1, 2, 5, 12, 28, 64]
    assert found.order[0] == "cell 3-6"
    assert found.deletion[1] < found.deletion[0] - 0.25
    assert found.insertion[1] > 0.85
    assert abs(found.deletion[-1] - 0.5) < 0.1
    assert found.area_deletion > 0.1
    assert found.area_insertion > 0.1
    assert max(found.p_deletion, found.p_insertion) == 1 / 21
    assert found.words.startswith("with cells taken away in the map's order auc lies 0.")


def test_a_map_that_is_elsewhere_is_told(square_windows):
    found = delete_squares(movie_decoder(square_windows), square_windows, planted_map((6, 1)))
    assert found.area_deletion < 0.05
    assert min(found.p_deletion, found.p_insertion) > 0.05
    assert "the map's order is not shown to be that of what the decoder uses" in found.words


def test_a_cut_out_map_of_one_session_holds_in_the_other(square_windows):
    decoder = movie_decoder(square_windows)
    grid = SquareGrid((SIDE, SIDE))
    first, second = (square_windows.where(square_windows.session == k) for k in (0, 1))
    score = occlude(decoder, first, square_masks(grid)).sessions["score"].to_numpy()
    cells = cells_of_squares(score, grid)
    order = ImportanceMap("occlusion", "AUC", ("row", "column"), np.abs(cells), cells)
    found = delete_squares(decoder, second, order)
    # The square's own four cells come first, the planted one among them.
    assert "cell 3-6" in found.order[:4]
    assert found.p_insertion < 0.1


def test_points_are_predictions_of_movies_covered_by_hand(square_windows):
    decoder = movie_decoder(square_windows)
    found = delete_squares(decoder, square_windows, planted_map(), fill="zero", n_random=1)
    planted = np.zeros((SIDE, SIDE), bool)
    planted[PLANTED] = True

    def by_hand(covered):
        movies = [
            replace(movie, frames=np.where(covered, np.uint16(100), movie.frames))
            for movie in square_windows.movies
        ]
        said = predict(decoder, replace(square_windows, movies=tuple(movies))).score
        return score_within_sessions(square_windows, said, "binary")

    # A pixel more or less in a rounded sum may turn a pair round.
    assert found.deletion[1] == pytest.approx(by_hand(planted), abs=1e-3)
    assert found.insertion[1] == pytest.approx(by_hand(~planted), abs=1e-3)
    assert found.deletion[0] == found.insertion[-1]
    assert found.deletion[0] == pytest.approx(by_hand(np.zeros_like(planted)), abs=1e-3)
    assert found.deletion[-1] == found.insertion[0] == 0.5


def test_each_set_of_cells_passes_a_frame_once(square_windows):
    decoder = movie_decoder(square_windows)
    delete_squares(decoder, square_windows, planted_map(), n_random=3, every_n_frames=4)
    n_images = np.isin(square_windows.start % 4, 0).sum()
    passes = decoder.network.inner.cnn.n_images / n_images
    # As they are, all gone, and ten sets an order.
    assert passes == pytest.approx(2 + 4 * 10, rel=0.02)


def test_table(square_windows):
    found = delete_squares(movie_decoder(square_windows), square_windows, planted_map(), n_random=2)
    table = found.table()
    assert table.columns[0] == "n_parts"
    assert (table["deletion_random_low"] <= table["deletion_random_high"]).all()


def test_score_within_sessions_is_the_mean_of_theirs():
    square_windows = movie_windows(animals=("m1", "m2"))
    score = np.random.default_rng(0).random(square_windows.n_windows).astype(np.float32)
    each = [
        binary_scores(
            square_windows.target[square_windows.session == k], score[square_windows.session == k]
        )["auc"]
        for k in range(4)
    ]
    assert score_within_sessions(square_windows, score, "binary") == pytest.approx(np.mean(each))


@given(st.integers(2, 5), st.integers(2, 5), st.integers(1, 30), st.integers(0, 99))
def test_moved_maps_hold_the_same_cells_elsewhere(down, across, n_maps, seed):
    values = np.random.default_rng(seed).random((down, across))
    moved = moved_maps(values, n_maps, seed=seed)
    assert len(moved) == n_maps
    for one in moved:
        assert not np.array_equal(one, values)
        assert sorted(one.ravel()) == sorted(values.ravel())
        # Neighbours stay neighbours, by the edges too.
        right = {
            frozenset(pair) for pair in zip(one.ravel(), np.roll(one, 1, 1).ravel(), strict=True)
        }
        assert right == {
            frozenset(pair)
            for pair in zip(values.ravel(), np.roll(values, 1, 1).ravel(), strict=True)
        }


@pytest.mark.parametrize(
    ("values", "more", "message"),
    [
        (planted_map(), {"fill": "neighbours"}, "cannot stand for a whole image; take one of shuf"),
        (planted_map(), {"n_random": 0}, "n_random is 0 and n_steps 6"),
        (np.zeros((8, 8)), {}, "the map has one value in all cells"),
        (np.arange(49.0).reshape(7, 7), {}, r"7 x 7 cells does not tile images of \(32, 32\)"),
        (np.zeros(64), {}, r"the order has shape \(64,\); give a map of squares"),
    ],
)
def test_bad_input_of_squares_says_the_way_out(square_windows, values, more, message):
    with pytest.raises(StudyError, match=message):
        delete_squares(movie_decoder(square_windows), square_windows, values, **more)


def test_what_cannot_be_decoded_is_refused(square_windows):
    decoder = movie_decoder(square_windows)
    with pytest.raises(DecoderError, match="another window"):
        delete_squares(decoder, movie_windows(1, reach=1), planted_map())
    with pytest.raises(DataError, match="'m1' has one session, so no other can fill"):
        alone = square_windows.where(square_windows.session == 1)
        delete_squares(decoder, alone, planted_map(), fill="other-session")


def test_decoders_of_traces_are_sent_elsewhere():
    traces = trace_windows()
    with pytest.raises(StudyError, match="take regions away with delete_regions"):
        delete_squares(fit(traces, again(traces), "linear-window"), traces, planted_map())
