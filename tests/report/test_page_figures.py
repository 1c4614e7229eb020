from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from corticode.report.page_figures import page_figures
from corticode.report.page_values import CurveTables, RegionTraces


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
