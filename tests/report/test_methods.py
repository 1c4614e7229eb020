from corticode.report.methods import methods_text
from corticode.report.page_values import RunValues


def test_settings_are_told(make_values):
    values = make_values(
        provenance={"seeds": [0, 1], "versions": {"corticode": "1"}, "commit": "abc"}
    )
    values.study["condition"][0] |= {
        "window": {"before": 15, "after_s": 0.5, "shift": 30},
        "preprocess": {"scale": "min-max"},
        "training": {"epochs": 30},
        "regions": [6, 8],
    }
    text = methods_text(values)
    for words in (
        "- **gru**: a GRU of traces; window 15 frames before and 0.5 s after",
        "target shifted by 30 frames",
        "preprocessing: scale min-max",
        "epochs 30",
        "regions [6, 8]",
        "labels permuted between sessions (control)",
        "(3 folds, 2 seeds)",
        "corticode 1; commit abc.",
    ):
        assert words in text


def test_nothing_done_is_still_a_text():
    assert "No session has been scored yet." in methods_text(RunValues("run"))


def test_simulated(make_values):
    assert "simulated" in methods_text(make_values(provenance={"simulated": True}))
