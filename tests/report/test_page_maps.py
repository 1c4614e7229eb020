import numpy as np
import pandas as pd

from corticode.explain.importance_map import ImportanceMap
from corticode.report.page_maps import MOST_MAPS, images_and_maps


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


def layer(**fields):
    return pd.DataFrame(
        {"name": ["a", "b"], "group": ["M", "none"], "row": [5.0, 9.0], "column": [6.0, 10.0]}
        | fields
    )


def captions(values):
    return {one.name: one.caption for one in images_and_maps(values, "gru")}


def test_captions_say_where_outlines_come_from(make_values):
    images = {"m1/a": np.eye(16)}
    circles = captions(make_values(regions=layer(), mean_images=images))
    assert circles["layout"].endswith("their true shapes are not known.")
    assert circles["images"].endswith("their true shapes are not known.")
    known = make_values(regions=layer(), region_labels=np.eye(16, dtype=int), mean_images=images)
    assert captions(known)["images"].endswith("as in the label image of the study.")
    elsewhere = captions(make_values(regions=layer(row=99.0), mean_images=images))
    assert "no region is drawn" in elsewhere["images"]
    assert "give [data] regions" in captions(make_values(mean_images=images))["images"]


def test_occlusion_session_by_session_and_of_masks(make_values):
    found = ImportanceMap("occlusion", "AUC", ("row", "column"), np.eye(8), signed=np.eye(8))
    costs = pd.DataFrame(
        {"condition": "gru", "map": ["squares", "limbs"], "mask": ["cell 1-1", "limbs"],
         "metric": "auc", "score": 0.1, "low": 0.0, "high": 0.2}
    )  # fmt: skip
    values = make_values(
        maps={("gru", "squares"): found},
        session_maps={("gru", "squares"): {"m1/a": np.eye(8), "m2/a": np.eye(8)}},
        tables={"occlusion": costs},
    )
    assert names(values) == ["squares-1", "squares-1-sessions", "masks-1"]
    assert captions(values)["masks-1"].endswith("t interval.")


def test_many_maps_are_cut_and_counted(make_values):
    found = ImportanceMap(
        "deep-shap", "share", ("frame", "region"), np.eye(2), names=("a", "b"), frames=(0, 1)
    )
    values = make_values(maps={("gru", f"{k}"): found for k in range(MOST_MAPS + 3)})
    assert names(values) == [f"map-{k + 1}" for k in range(MOST_MAPS)]
    assert captions(values)[f"map-{MOST_MAPS}"].endswith(
        "3 more maps of this kind are not drawn; their tables are below."
    )
