"""Cells of a movie go in the order of a map, and in that of the same map put elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.explain.test_occlusion import PLANTED, SIDE, movie_decoder, movie_windows, trace_windows

from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.errors import DataError, DecoderError, StudyError
from corticode.evaluate.metrics import binary_scores
from corticode.explain.deletion import score_within_sessions
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.masks import SquareGrid, cells_of_squares, square_masks
from corticode.explain.occlusion import occlude
from corticode.explain.square_deletion import delete_squares, moved_maps

# The cell that `movie_decoder` reads, of 8 x 8.
AT = (2, 5)


def planted_map(at=AT):
    values = np.zeros((8, 8))
    values[at] = 1.0
    return values


@pytest.fixture(scope="module")
def windows():
    return movie_windows()


@pytest.mark.parametrize("fill", ["shuffled", "other-session", "zero"])
def test_the_score_falls_at_once_along_a_true_map(windows, fill):
    decoder = movie_decoder(windows)
    found = delete_squares(decoder, windows, planted_map(), fill=fill)
    assert found.counts.tolist() == [0, 1, 2, 5, 12, 28, 64]
    assert found.order[0] == "cell 3-6"
    assert found.deletion[1] < found.deletion[0] - 0.25
    assert found.insertion[1] > 0.85
    assert abs(found.deletion[-1] - 0.5) < 0.1
    assert found.area_deletion > 0.1
    assert found.area_insertion > 0.1
    assert max(found.p_deletion, found.p_insertion) == 1 / 21
    assert found.words.startswith("with cells taken away in the map's order auc lies 0.")


def test_a_map_that_is_elsewhere_is_told(windows):
    found = delete_squares(movie_decoder(windows), windows, planted_map((6, 1)))
    assert found.area_deletion < 0.05
    assert min(found.p_deletion, found.p_insertion) > 0.05
    assert "the map's order is not shown to be that of what the decoder uses" in found.words


def test_a_cut_out_map_of_one_session_holds_in_the_other(windows):
    decoder = movie_decoder(windows)
    grid = SquareGrid((SIDE, SIDE))
    first, second = (windows.where(windows.session == k) for k in (0, 1))
    score = occlude(decoder, first, square_masks(grid)).sessions["score"].to_numpy()
    cells = cells_of_squares(score, grid)
    order = ImportanceMap("occlusion", "AUC", ("row", "column"), np.abs(cells), cells)
    found = delete_squares(decoder, second, order)
    # The square's own four cells come first, the planted one among them.
    assert "cell 3-6" in found.order[:4]
    assert found.p_insertion < 0.1


def test_points_are_predictions_of_movies_covered_by_hand(windows):
    decoder = movie_decoder(windows)
    found = delete_squares(decoder, windows, planted_map(), fill="zero", n_random=1)
    planted = np.zeros((SIDE, SIDE), bool)
    planted[PLANTED] = True

    def by_hand(covered):
        movies = [
            replace(movie, frames=np.where(covered, np.uint16(100), movie.frames))
            for movie in windows.movies
        ]
        said = predict(decoder, replace(windows, movies=tuple(movies))).score
        return score_within_sessions(windows, said, "binary")

    # A pixel more or less in a rounded sum may turn a pair round.
    assert found.deletion[1] == pytest.approx(by_hand(planted), abs=1e-3)
    assert found.insertion[1] == pytest.approx(by_hand(~planted), abs=1e-3)
    assert found.deletion[0] == found.insertion[-1]
    assert found.deletion[0] == pytest.approx(by_hand(np.zeros_like(planted)), abs=1e-3)
    assert found.deletion[-1] == found.insertion[0] == 0.5


def test_each_set_of_cells_passes_a_frame_once(windows):
    decoder = movie_decoder(windows)
    delete_squares(decoder, windows, planted_map(), n_random=3, every_n_frames=4)
    n_images = np.isin(windows.start % 4, 0).sum()
    passes = decoder.network.inner.cnn.n_images / n_images
    # As they are, all gone, and ten sets an order.
    assert passes == pytest.approx(2 + 4 * 10, rel=0.02)


def test_table(windows):
    found = delete_squares(movie_decoder(windows), windows, planted_map(), n_random=2)
    table = found.table()
    assert table.columns[0] == "n_parts"
    assert (table["deletion_random_low"] <= table["deletion_random_high"]).all()


def test_score_within_sessions_is_the_mean_of_theirs():
    windows = movie_windows(animals=("m1", "m2"))
    score = np.random.default_rng(0).random(windows.n_windows).astype(np.float32)
    each = [
        binary_scores(windows.target[windows.session == k], score[windows.session == k])["auc"]
        for k in range(4)
    ]
    assert score_within_sessions(windows, score, "binary") == pytest.approx(np.mean(each))


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
def test_bad_input_says_the_way_out(windows, values, more, message):
    with pytest.raises(StudyError, match=message):
        delete_squares(movie_decoder(windows), windows, values, **more)


def test_what_cannot_be_decoded_is_refused(windows):
    decoder = movie_decoder(windows)
    with pytest.raises(DecoderError, match="another window"):
        delete_squares(decoder, movie_windows(1, reach=1), planted_map())
    with pytest.raises(DataError, match="'m1' has one session, so no other can fill"):
        alone = windows.where(windows.session == 1)
        delete_squares(decoder, alone, planted_map(), fill="other-session")


def test_decoders_of_traces_are_sent_elsewhere():
    traces = trace_windows()
    with pytest.raises(StudyError, match="take regions away with delete_regions"):
        delete_squares(fit(traces, traces, "linear-window"), traces, planted_map())
