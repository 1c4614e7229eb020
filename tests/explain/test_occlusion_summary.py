"""Maps of several decoders as one."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from corticode.errors import DataError, StudyError
from corticode.evaluate.intervals import interval
from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.explain.masks import SquareGrid, cells_of_squares, square_masks
from corticode.explain.occlusion_summary import (
    join_maps,
    map_of_occlusion,
    max_sign_flip_test,
    smallest_max_p,
    summarise_masks,
    summarise_squares,
)


def table(animal, scores, sessions=("a",), auc=0.9, error=0.0, outside=()):
    """The sessions table of one decoder: `scores` is (session, mask)."""
    rows = [
        {
            "mask": f"mask {k}",
            "animal": animal,
            "session": session,
            "auc": auc,
            "score": value,
            "thinning_se": error,
            "outside_brain": k in outside,
        }
        for session, values in zip(sessions, np.atleast_2d(scores), strict=True)
        for k, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_sessions_then_decoders_then_animals():
    found = summarise_masks(
        [
            table("m1", [[0.1, 0.0], [0.3, 0.2]], ("a", "b"), auc=0.8),
            table("m1", [0.4, 0.1], auc=0.6),
            table("m2", [0.1, 0.3]),
        ]
    )
    assert found.items == ("mask 0", "mask 1")
    assert found.animals == ("m1", "m2")
    np.testing.assert_allclose(found.baseline, [0.7, 0.9])
    # (0.2 + 0.4) / 2, not the mean of three sessions.
    np.testing.assert_allclose(found.values, [[0.3, 0.1], [0.1, 0.3]])
    np.testing.assert_allclose(found.mean, [0.2, 0.2])
    expected = interval([0.3, 0.1])
    assert (found.low[0], found.high[0]) == pytest.approx((expected.low, expected.high))


def test_cells_are_those_of_each_animal():
    grid = SquareGrid((128, 128))
    rng = np.random.default_rng(0)
    scores = rng.normal(0.1, 0.1, (5, 64))
    found = summarise_squares([table(f"m{k}", row) for k, row in enumerate(scores)], grid)
    cells = cells_of_squares(scores, grid)
    np.testing.assert_allclose(found.values, cells)
    np.testing.assert_allclose(found.mean, cells.mean(axis=0))
    assert found.low.shape == found.high.shape == found.p.shape == (8, 8)
    assert found.low[3, 4] == pytest.approx(interval(cells[:, 3, 4]).low)
    assert found.items[10] == "cell 2-3"
    np.testing.assert_allclose(found.p.ravel(), max_sign_flip_test(cells.reshape(5, 64)))
    assert found.note == (
        "one-sided sign-flip over 5 animals of the largest of 64; the smallest p that so many "
        "animals can give is 0.031"
    )


def test_thinning_errors_are_those_of_means():
    found = summarise_masks(
        [
            table("m1", [[0.1, 0.0], [0.3, 0.2]], ("a", "b"), error=0.02),
            table("m1", [0.4, 0.1], error=0.04),
            table("m2", [0.1, 0.3], error=0.0),
        ]
    )
    # Of two sessions 0.02 / sqrt(2); with another decoder's at most the mean; over two animals.
    np.testing.assert_allclose(found.thinning_se, (0.02 / np.sqrt(2) + 0.04) / 2 / 2)
    unknown = summarise_masks([table("m1", [[0.1], [0.3]], ("a", "b"), error=np.nan)])
    assert np.isnan(unknown.thinning_se).all()


def test_cells_outside_the_brain_are_those_that_no_square_in_it_covers():
    grid = SquareGrid((128, 128))
    # The squares at the upper left corner and all that overlap its first cell but one.
    around = (0, 7, 56, 63)
    of = {
        n: summarise_squares([table("m1", np.ones(64), error=0.1, outside=around[:n])], grid)
        for n in (3, 4)
    }
    assert not of[3].outside_brain.any()
    assert np.argwhere(of[4].outside_brain).tolist() == [[0, 0]]
    np.testing.assert_allclose(of[4].thinning_se, 0.1)


def test_one_animal_has_no_interval():
    found = summarise_masks([table("m1", [0.1, 0.0])])
    assert np.isnan(found.low).all()
    assert found.smallest_p == 0.5
    assert found.note.endswith("is 0.5, so that 0.05 cannot be reached")


def test_tables_that_do_not_belong_together_are_refused():
    with pytest.raises(DataError, match="no table to summarise"):
        summarise_masks([])
    with pytest.raises(DataError, match="tables are of different masks"):
        summarise_masks([table("m1", [0.1, 0.0]), table("m2", [0.1])])
    with pytest.raises(StudyError, match="2 values do not belong to 64 squares"):
        summarise_squares([table("m1", [0.1, 0.0])], SquareGrid((128, 128)))


class TestMaxSignFlip:
    def test_is_the_share_of_all_choices_of_signs(self):
        values = np.random.default_rng(0).normal(0.5, 1, (4, 3))
        largest = [
            (np.array(signs)[:, None] * values).mean(axis=0).max()
            for signs in product([1, -1], repeat=4)
        ]
        expected = [np.mean(np.array(largest) >= item - 1e-12) for item in values.mean(axis=0)]
        np.testing.assert_array_equal(max_sign_flip_test(values), expected)

    def test_one_item_in_all_animals_has_the_smallest_p(self):
        values = np.zeros((5, 64))
        values[:, 7] = [0.1, 0.3, 0.2, 0.1, 0.5]
        p = max_sign_flip_test(values)
        assert p[7] == smallest_max_p(5) == 1 / 32
        assert p[8] > 0.9

    def test_many_animals_are_drawn_for(self):
        values = np.random.default_rng(0).normal(0, 1, (20, 4))
        values[:, 0] += 3
        p = max_sign_flip_test(values, seed=1)
        assert p[0] == smallest_max_p(20) == 1 / 100_000
        np.testing.assert_array_equal(p, max_sign_flip_test(values, seed=1))

    def test_under_no_effect_a_map_is_found_one_time_in_twenty(self):
        rng = np.random.default_rng(0)
        common = rng.normal(size=(400, 6, 1))
        maps = rng.normal(size=(400, 6, 16)) + common
        found = np.mean([max_sign_flip_test(values).min() <= 0.05 for values in maps])
        assert 0.02 < found < 0.08


def map_of(values, **more):
    values = np.array(values, dtype=float)
    return ImportanceMap(
        "deep-shap",
        "logit",
        ("frame", "region"),
        np.abs(values),
        values,
        1.0,
        10,
        names=("1", "2"),
        frames=(-1, 0),
        frame_rate_hz=30.0,
        **more,
    )


def test_animals_weigh_alike_whatever_their_decoders_number():
    a, b = map_of([[1, -1], [2, 0]]), map_of([[0, 0], [0, 30]])
    joined = join_maps([("a", "m1", a), ("b", "m1", a), ("c", "m2", b)])
    np.testing.assert_allclose(joined.absolute, [[0.125, 0.125], [0.25, 0.5]])
    np.testing.assert_allclose(joined.signed, [[0.125, -0.125], [0.25, 0.5]])
    assert joined.absolute.sum() == pytest.approx(1)
    assert [part.name for part in joined.by_animal] == ["m1", "m2"]
    assert [part.name for part in joined.by_decoder] == ["a", "b", "c"]
    assert (joined.unit, joined.n_windows, joined.baseline) == ("share", 30, None)
    assert joined.details["n_decoders"] == 3


def test_a_sign_that_one_lacks_is_not_made_up():
    a = map_of([[1, -1], [2, 0]])
    joined = join_maps([("a", "m1", a), ("b", "m2", replace(a, signed=None))])
    assert joined.signed is None
    assert joined.by_animal[0].signed is not None


def test_classes_are_shares_of_the_whole():
    whole = [[2, 0], [0, 2]]
    of_class = MapPart("run", 5, None, np.array([[4.0, 0], [0, 0]]))
    joined = join_maps([("a", "m1", map_of(whole, by_class=(of_class,)))])
    np.testing.assert_allclose(joined.by_class[0].absolute, [[1, 0], [0, 0]])


def test_what_differs_is_not_joined():
    a = map_of([[1, 1], [1, 1]])
    with pytest.raises(DataError, match="cannot be joined to one"):
        join_maps([("a", "m1", a), ("b", "m2", replace(a, names=("1", "3")))])
    with pytest.raises(DataError, match="give one at least"):
        join_maps([])


def session_table(masks, animal, scores):
    return pd.DataFrame(
        {
            "mask": masks,
            "animal": animal,
            "session": "a",
            "auc": 0.9,
            "auc_covered": 0.9 - np.array(scores),
            "score": scores,
            "thinning_se": 0.0,
            "outside_brain": False,
        }
    )


def test_occlusion_as_a_map_of_cells(tmp_path):
    grid = SquareGrid((16, 16))
    names = [mask.name for mask in square_masks(grid)]
    scores = np.zeros(64)
    scores[9] = 0.4
    summary = summarise_squares([session_table(names, "m1", scores)], grid)
    found = map_of_occlusion(summary, metric="auc", grid=grid)
    assert found.axes == ("row", "column")
    assert found.signed[1:3, 1:3] == pytest.approx(0.1)
    assert found.signed.sum() == pytest.approx(0.4)
    assert found.baseline == pytest.approx(0.9)
    found.save(tmp_path / "map.npz")
    again = ImportanceMap.load(tmp_path / "map.npz")
    np.testing.assert_array_equal(again.signed, found.signed)
    assert again.by_animal[0].name == "m1"


def test_occlusion_as_a_map_of_regions():
    tables = [session_table(["1", "2"], animal, [0.3, -0.1]) for animal in ("m1", "m2")]
    found = map_of_occlusion(summarise_masks(tables), metric="auc", names=("1", "2"), grid=None)
    assert found.axes == ("region",)
    np.testing.assert_allclose(found.signed, [0.3, -0.1])
    assert list(found.ranking()["region"]) == ["1", "2"]
