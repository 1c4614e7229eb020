"""Tests."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.report.canvas import new_figure
from corticode.report.page_figures import (
    MOST_MAPS,
    PageFigure,
    images_and_maps,
    moment_words,
    page_figures,
)
from corticode.report.values import CurveTables, RegionTraces


def names(values):
    return [one.name for one in page_figures(values)]


def test_of_scores_alone(make_values):
    assert names(make_values()) == ["splits", "sessions", "shares"]


def test_each_has_words(make_values):
    for one in page_figures(make_values()):
        assert one.title
        assert one.caption.endswith(".")
        assert one.alt


def test_curves_and_traces(make_values, make_trace):
    curves = CurveTables(
        roc=pd.DataFrame({"part": "test", "decoder": "a", "animal": "m1", "auc": 1.0,
                          "false_share": [0, 1], "true_share": [0, 1]}),
        reliability=pd.DataFrame({"animal": "m1", "score": [0.5], "share": [0.5],
                                  "n_windows": [4]}),
        onset=pd.DataFrame({"animal": "m1", "lag_s": [0.0, 1.0], "auc": [0.5, 0.9]}),
    )  # fmt: skip
    values = make_values(curves=curves, traces=[make_trace()])
    shown = ["splits", "roc", "reliability", "traces", "sessions", "onset", "shares"]
    assert names(values) == shown


def test_traces_of_regions_are_the_first_of_each_group(make_values, make_trace):
    trace = make_trace()
    n_frames = trace.first_frame + trace.score.size
    values = np.arange(n_frames)[:, None] * np.ones(4)
    kept = RegionTraces(trace.animal, trace.session, ("a", "b", "c", "d"), values)
    regions = pd.DataFrame({"name": list("abcd"), "group": ["none", "M", "M", "V"], "row": np.nan,
                            "column": np.nan})  # fmt: skip
    made = make_values(traces=[trace], region_traces=kept, regions=regions)
    found = next(one for one in page_figures(made) if one.name == "region-traces")
    drawn = found.figure.axes[0]
    assert [text.get_text() for text in drawn.get_yticklabels()] == ["b", "d"]
    # Frame 15 of the session is the first that was decoded.
    assert drawn.get_xlim()[0] == pytest.approx(15 / 30)
    assert drawn.lines[0].get_xdata().size == 600


def test_shares_of_class_1_are_of_two_classes_alone(make_values):
    values = make_values()
    values.study["condition"][0]["target"]["kind"] = "classes"
    assert "shares" not in names(values)


def test_a_sweep_over_shifts_has_its_reference_lines(make_values):
    values = make_values()
    for condition, shift in zip(values.study["condition"][:2], (0, 30), strict=True):
        condition |= {"network": {"kind": "gru"}, "window": {"shift": shift}}
    values.tables["shift_references"] = pd.DataFrame(
        {
            "condition": "linear",
            "shift": 30,
            "animal": ["m1"],
            "persistence_auc": 0.7,
            "unshifted_auc": 0.6,
        }
    )
    sweep = next(one for one in page_figures(values) if one.name.startswith("sweep"))
    assert "Only above both" in sweep.caption


@pytest.mark.parametrize("value", [np.nan, 0.5])
def test_one_animal_and_no_score(make_values, value):
    values = make_values(animals=("m1",))
    for table in values.tables.values():
        for column in ("value", "auc", "auc_session_mean"):
            if column in table:
                table[column] = value
    assert isinstance(names(values), list)


def test_traces_of_values_are_not_told_as_classes(make_values, make_trace):
    told = {}
    for kind in ("binary", "value"):
        trace = replace(make_trace(), kind=kind)
        made = page_figures(make_values(traces=[trace]))
        told[kind] = next(one for one in made if one.name == "traces")
    assert "share of class 1" in told["binary"].caption
    assert "class 1" not in told["value"].caption + told["value"].alt
    assert "the value varies most" in told["value"].caption


def map_names(values):
    return [one.name for one in images_and_maps(values, "gru")]


def test_nothing_to_show(make_values):
    assert map_names(make_values()) == []


def peaked(*places, frame_rate_hz=10.0):
    """A map over 31 frames, the decoded one in the middle, with a peak of each animal."""
    frames = np.arange(31)
    parts = tuple(
        MapPart(f"m{k}", 9, None, np.exp(-(((frames - place) / 3) ** 2))[:, None])
        for k, place in enumerate(places)
    )
    return ImportanceMap(
        "deep-shap",
        "share",
        ("frame", "region"),
        parts[0].absolute,
        names=("1",),
        frames=tuple(range(-15, 16)),
        frame_rate_hz=frame_rate_hz,
        by_animal=parts,
    )


def test_when_in_the_window_is_said_with_its_interval_or_not_at_all(make_values):
    [first] = images_and_maps(make_values(maps={("gru", "shap"): peaked(19, 20, 21 - 0.5)}), "gru")
    assert "The peak is centred at +0.48 s from the decoded frame (95 % CI +0." in first.caption
    assert "3 animals)." in moment_words(peaked(19, 20, 20.5))
    assert "frames from the decoded frame" in moment_words(peaked(5, 5.5, 6, frame_rate_hz=None))
    assert moment_words(peaked(5, 15, 25)).startswith("When in the window: not determined (centre")
    assert "as 2 of 2 animals have a map with a peak" in moment_words(peaked(5, 5))


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
    assert map_names(values) == ["map-1", "regions-1"]
    assert "Lines: decoders of permuted labels." in list(images_and_maps(values, "gru"))[-1].caption


def test_squares(make_values):
    found = ImportanceMap("occlusion", "AUC", ("row", "column"), np.eye(8), signed=np.eye(8))
    values = make_values(
        maps={("gru", "occlusion"): found}, mean_images={"m1/a": np.ones((16, 16))}
    )
    assert map_names(values)[-2:] == ["images", "squares-1"]


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
    assert map_names(values) == ["squares-1", "squares-1-sessions", "masks-1"]
    assert captions(values)["masks-1"].endswith("t interval.")


def test_a_mask_is_drawn_whatever_it_is_called(make_values):
    table = pd.DataFrame(
        {"condition": "gru", "map": "own", "mask": ["cell 1-1", "square 2"], "metric": "auc",
         "score": 0.1, "low": 0.0, "high": 0.2, "p": 0.1}
    )  # fmt: skip
    values = make_values(tables={"occlusion": table})
    assert map_names(values) == ["masks-1"]


def test_many_maps_are_cut_and_counted(make_values):
    found = ImportanceMap(
        "deep-shap", "share", ("frame", "region"), np.eye(2), names=("a", "b"), frames=(0, 1)
    )
    values = make_values(maps={("gru", f"{k}"): found for k in range(MOST_MAPS + 3)})
    assert map_names(values) == [f"map-{k + 1}" for k in range(MOST_MAPS)]
    assert captions(values)[f"map-{MOST_MAPS}"].endswith(
        "3 more maps of this kind are not drawn; their tables are below."
    )


def test_is_a_value():
    one = PageFigure("a", "scores", "A", "A.", "a", new_figure(20, 20)[0])
    with pytest.raises(FrozenInstanceError):
        one.name = "b"


def test_confounds_of_each_condition_are_drawn(make_values):
    row = {"input": "cortex", "animal": "m1", "metric": "auc", "value": 0.8, "low": np.nan,
           "high": np.nan, "words": "Decoding is not separable."}  # fmt: skip
    # Of runs before behaviour could be named.
    table = pd.DataFrame([{"condition": name} | row for name in ("gru", "linear")])
    found = [one for one in page_figures(make_values(tables={"confounds": table}))
             if one.section == "evidence"]  # fmt: skip
    assert [one.title for one in found] == [
        "“gru” beside its confounds", "“linear” beside its confounds",
    ]  # fmt: skip
    assert found[0].alt.startswith("Decoding is not separable.")
