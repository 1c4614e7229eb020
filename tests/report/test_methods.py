import pandas as pd
from markdown_it import MarkdownIt

from corticode.report.methods import methods_passages, methods_text
from corticode.report.questions import QUESTIONS
from corticode.report.values import RunValues


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
        "window 15 frames before and 0.5 s after",
        "target shifted by 30 frames",
        "preprocessing: scale min-max",
        "epochs 30",
        "regions 6, 8",
        "labels permuted between sessions (control)",
        "(3 folds, 2 seeds, 9 fits in all)",
        "corticode 1; commit abc.",
        "| condition.training.epochs | 30 | “gru” |",
        "| m2 | 2 | 1,800 |",
        "3.26 SD",
    ):
        assert words in text, words


def test_every_question_and_checklist_is_in_the_file(make_values):
    text = methods_text(make_values())
    assert all(f"| {question}" in text for question, _ in QUESTIONS)
    assert "## Reporting checklist" in text


def test_what_the_study_asked_for(make_values):
    values = make_values()
    values.study["map"] = [{"condition": "gru", "kind": "deep-shap", "n_windows": 50}]
    values.study["confounds"] = [{"condition": "gru"}]
    text = methods_text(values)
    assert "- **gru**: kind deep-shap; n\\_windows 50" in text
    assert "- **gru**: with every setting as by default" in text
    assert "Lundberg" in text
    assert "Lundberg" not in methods_text(make_values())


def test_how_sets_of_regions_were_ranked(make_values):
    asked = [{"name": "limbs", "condition": "gru", "regions": [6, 8]}]
    for judge, is_told in (("gru trained with region dropout", True), ("linear decoder", False)):
        sets = pd.DataFrame({"condition": ["gru"], "set": ["limbs"], "judged_by": [judge]})
        values = make_values(tables={"region_sets": sets})
        values.study["region_set"] = asked
        text = methods_text(values)
        assert "- **limbs**: condition gru; regions 6, 8" in text
        assert ("trained with region dropout" in text) == is_told


def test_what_was_compared_and_tested(make_values):
    compared = pd.DataFrame({"comparison": ["F"] * 2, "method": ["paired t", "sign-flip"]})
    nulls = pd.DataFrame({"condition": ["gru"], "animal": ["m1"], "p": [0.1], "smallest_p": [0.1]})
    nulls = nulls.assign(n_orders=10, exchanged="all sessions", value=0.9, chance=0.5, note="")
    text = methods_text(make_values(tables={"comparisons": compared, "nulls": nulls}))
    assert "1 families of comparisons were made (paired t, sign-flip)" not in text
    assert "1 family of comparisons was made (paired t, sign-flip)" in text
    assert "label traces of whole sessions change places" in text
    assert "Holm S (1979)" in text


def test_names_are_no_markup(make_values):
    values = make_values(name="a|b *c* <b>")
    html = MarkdownIt("commonmark").enable("table").render(methods_text(values))
    assert "a|b *c* &lt;b&gt;" in html
    assert "<b>" not in html


def test_nothing_done_is_still_a_text():
    assert "No session has been scored yet." in methods_text(RunValues("run"))
    assert [one.title for one in methods_passages(RunValues("run"))][-1] == "Reporting checklist"


def test_simulated(make_values):
    assert "simulated" in methods_text(make_values(provenance={"simulated": True}))


def test_what_was_done_before_the_recordings_came_here(make_values):
    values = make_values(provenance={"histories": {"dF/F, F0: mean; blood: heartbeat": 3}})
    told = "Before they came here (the catalogue says): dF/F, F0: mean; blood: heartbeat (3"
    assert methods_text(values).count(told) >= 1
    assert "no run can tell at which wavelengths" not in methods_text(values)
