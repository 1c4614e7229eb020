import numpy as np
import pandas as pd

from corticode.explain.importance_map import ImportanceMap
from corticode.report.page_maps import images_and_maps


def names(values):
    return [one.name for one in images_and_maps(values, "gru")]


def test_nothing_to_show(make_values):
    assert names(make_values()) == []


def test_maps_of_controls_are_lines_not_figures(make_values):
    found = ImportanceMap(
        "deep-shap",
        "share",
        ("frame", "region"),
        np.ones((1, 2)) / 2,
        names=("1", "2"),
        frames=(0,),
    )
    rows = [
        {"condition": c, "map": "deep-shap", "test_animal": "m1", "region": r, "share": 0.5}
        for c in ("gru", "permuted")
        for r in "12"
    ]
    values = make_values(
        maps={("gru", "deep-shap"): found, ("permuted", "deep-shap"): found},
        tables={"map_shares": pd.DataFrame(rows)},
    )
    assert names(values) == ["map-1", "regions-1"]
    assert "Lines: decoders of permuted labels." in list(images_and_maps(values, "gru"))[-1].caption


def test_squares(make_values):
    found = ImportanceMap("occlusion", "AUC", ("row", "column"), np.eye(8), signed=np.eye(8))
    values = make_values(
        maps={("gru", "occlusion"): found}, mean_images={"m1/a": np.ones((16, 16))}
    )
    assert names(values)[-2:] == ["images", "squares-1"]
