import numpy as np
import pandas as pd

from corticode.report.headline import SHOWN_FINDINGS, SIMULATED, headline, warnings_of
from corticode.report.values import RunValues


def test_by_hand(make_values):
    assert headline(make_values()) == (
        "In 3 of 3 mice never seen in training, run/rest was read out by “gru” above chance level "
        "(0.5, not tested), with mean within-session AUC 0.910 (mice 0.900 to 0.920; t interval "
        "0.885 to 0.935, 3 mice); artefact cues alone: not done; a linear model with the same "
        "window 0.860."
    )


def test_mice_are_counted_by_their_own_p(make_values):
    table = pd.DataFrame(
        {
            "condition": "gru",
            "animal": ["m1", "m2", "m3", "cohort"],
            "p": [0.01, 0.2, 1 / 6, 0.001],
            "smallest_p": [0.001, 0.001, 1 / 6, 0.001],
        }
    )
    words = headline(make_values(tables={"nulls": table}))
    assert "In 1 of 3 mice never seen" in words
    assert (
        "above chance (p < 0.05 each, labels of its sessions exchanged; 1 have too few sessions"
    ) in words


def test_mice_without_a_p_are_counted_too(make_values):
    table = pd.DataFrame(
        {"condition": "gru", "animal": ["m1", "m2"], "p": [0.01, np.nan], "smallest_p": 0.001}
    )
    words = headline(make_values(tables={"nulls": table}))
    assert "In 1 of 3 mice never seen" in words
    assert "exchanged; 2 not tested)" in words


def test_simulated_mice_are_called_that(make_values):
    values = make_values(provenance={"simulated": True})
    assert "3 of 3 simulated mice" in headline(values)
    assert warnings_of(values)[0] == SIMULATED


def test_one_mouse_has_no_interval(make_values):
    words = headline(make_values(animals=("m1",)))
    assert "In 1 of 1 mouse" in words
    assert "no interval: 1 mouse" in words


def test_cues(make_values):
    table = pd.DataFrame(
        {
            "condition": "gru",
            "input": ["cues only", "neural, cues regressed out"],
            "mean": [0.8, 0.7],
        }
    )
    words = headline(make_values(tables={"artefacts": table}))
    assert "artefact cues alone reach 0.800; after removing them 0.700 is left" in words


def test_cues_asked_of_the_linear_twin_alone_are_told_of_it(make_values):
    table = pd.DataFrame(
        {
            "condition": "linear",
            "input": ["cues only", "neural, cues regressed out"],
            "mean": [0.8, np.nan],
        }
    )
    words = headline(make_values(tables={"artefacts": table}))
    assert (
        "artefact cues alone reach 0.800; after removing them no score is left (both by “linear”)"
    ) in words


def test_folds_by_session_do_not_claim_new_mice(make_values):
    values = make_values()
    values.study["folds"]["by"] = "session"
    assert "never seen in training (the mouse itself was)" in headline(values)


def test_never_significant(make_values):
    assert "significant" not in headline(make_values())


def finding(k=0, what="frames"):
    return {
        "what": what,
        "animal": "m1",
        "session": f"s{k}",
        "item": "",
        "reason": "are NaN",
        "count": 1,
    }


def test_findings_alike_are_one_line_and_leaks_come_first(make_values):
    rows = [finding(0), finding(1), finding(2, "leak") | {"reason": "leaks"}]
    found = warnings_of(make_values(tables={"excluded": pd.DataFrame(rows)}))
    assert found == [
        "animal m1, session s2: leaks",
        "animal m1, session s0: are NaN (and 1 others alike)",
    ]


def test_many_findings_are_cut(make_values):
    rows = [finding(k) | {"reason": f"reason {k}"} for k in range(SHOWN_FINDINGS + 5)]
    found = warnings_of(make_values(tables={"excluded": pd.DataFrame(rows)}))
    assert found[-1] == "and 5 more kinds of finding, all in excluded.csv"


def test_no_score_at_all(make_values):
    values = make_values()
    values.tables["animal_scores"] = values.tables["animal_scores"].assign(value=np.nan)
    assert headline(values) == "No score yet: nothing can be said."


def test_mice_that_were_tested_and_have_no_score_are_counted(make_values):
    values = make_values()
    scores = values.tables["animal_scores"]
    values.tables["animal_scores"] = scores.assign(
        value=scores["value"].where(scores["animal"] != "m2")
    )
    assert "2 mice; 1 more tested mouse has no score)" in headline(values)


def test_without_a_study_file_no_mouse_is_called_unseen(make_values):
    values = RunValues("r", tables=make_values().tables)
    assert "never seen" not in headline(values)
    assert "folds that are not known (study.toml is missing)" in headline(values)
