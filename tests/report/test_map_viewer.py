import base64
import json

import numpy as np
import pandas as pd
import pytest

from corticode.explain.importance_map import ImportanceMap
from corticode.report.map_viewer import MOST_MAPS, pack_maps, svg_path
from corticode.report.region_outlines import outline


@pytest.fixture
def regions():
    return pd.DataFrame(
        {"name": ["a", "b"], "group": ["M", "none"], "row": [5.0, 9.0], "column": [6.0, 20.0]}
    )


@pytest.fixture
def shap():
    values = np.array([[0.1, 0.2], [0.3, 0.4]])
    return ImportanceMap(
        "deep-shap", "share", ("frame", "region"), values, names=("a", "b"), frames=(-1, 0),
        frame_rate_hz=10.0,
    )  # fmt: skip


def test_values_come_from_the_tables(make_values, regions, shap):
    table = pd.DataFrame(
        {"condition": "gru", "map": "deep-shap", "rank": [1, 2], "region": ["b", "a"],
         "share": [0.6, 0.4], "low": [0.5, np.nan], "high": [0.7, np.nan], "n_animals": 3}
    )  # fmt: skip
    values = make_values(
        maps={("gru", "deep-shap"): shap}, regions=regions, tables={"map_regions": table}
    )
    packed, n_left_out = pack_maps(values)
    one = json.loads(json.dumps(packed, allow_nan=False))["maps"][0]
    assert n_left_out == 0
    # In the order of the map, not of ranks; of what is unknown nothing is said.
    assert one["items"] == [["a", 0.4, None, None, "M"], ["b", 0.6, 0.5, 0.7, ""]]
    assert one["n_animals"] == 3
    assert one["frames"] == ["-1 (-0.10 s)", "+0 (+0.00 s)"]
    laid = np.frombuffer(base64.b64decode(one["grid"]["bytes"]), np.uint8).reshape(2, 2)
    assert laid / 254 * one["grid"]["high"] == pytest.approx(shap.absolute.T, abs=0.4 / 254)
    assert "a" in packed["outlines"]
    assert packed["box"].split() == ["0", "-1", "26", "16"]


def test_cells_of_an_occlusion_keep_their_sign(make_values):
    found = ImportanceMap("occlusion", "AUC", ("row", "column"), np.eye(2), signed=-np.eye(2))
    table = pd.DataFrame(
        {"condition": "cnn", "map": "covered", "mask": ["cell 1-1", "cell 1-2"], "score": [-1, 0],
         "low": -2.0, "high": 0.5, "n_animals": 2}
    )  # fmt: skip
    values = make_values(maps={("cnn", "covered"): found}, tables={"occlusion": table})
    one = pack_maps(values)[0]["maps"][0]
    assert one["is_signed"]
    assert one["items"][0] == ["cell 1-1", -1, -2, 0.5, ""]
    assert one["items"][3] == ["cell 2-2", None, None, None, ""]
    assert (one["grid"]["low"], one["grid"]["high"]) == (-1, 1)


def test_controls_are_not_among_them_and_the_rest_is_counted(make_values, shap):
    maps = {("permuted", "deep-shap"): shap} | {("gru", f"{k}"): shap for k in range(MOST_MAPS + 2)}
    packed, n_left_out = pack_maps(make_values(maps=maps))
    assert [one["title"] for one in packed["maps"][:2]] == ["0 of gru", "1 of gru"]
    assert (len(packed["maps"]), n_left_out) == (MOST_MAPS, 2)
    assert packed["outlines"] == {}


def test_a_map_over_regions_alone_has_no_grid(make_values):
    found = ImportanceMap("occlusion", "AUC", ("region",), np.ones(2), names=("a", "b"))
    one = pack_maps(make_values(maps={("gru", "occlusion"): found}))[0]["maps"][0]
    assert "grid" not in one
    assert one["unit"] == "loss of AUC"


def test_a_hole_is_a_part_of_the_path():
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert svg_path(outline(ring)).count("M") == 2
