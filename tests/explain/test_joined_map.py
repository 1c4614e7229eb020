"""Maps of several decoders as one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.explain.joined_map import join_maps, map_of_occlusion
from corticode.explain.masks import SquareGrid, square_masks
from corticode.explain.occlusion_summary import summarise_masks, summarise_squares


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
