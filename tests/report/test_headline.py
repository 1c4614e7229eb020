import numpy as np
import pandas as pd
import pytest

from corticode.report.headline import (
    SHOWN_FINDINGS,
    SIMULATED,
    animal_differences,
    difference_in_words,
    headline,
    warnings_of,
)
from corticode.report.values import RunValues


def test_by_hand(make_values):
    # Logits of 0.90, 0.91, 0.92: 2.1972, 2.3136, 2.4423; mean 2.3177, SD 0.1226, t(2) = 4.3027.
    assert headline(make_values()) == (
        "Running was decoded from cortical fluorescence in animals the decoder had never seen "
        "(“gru”: mean AUC 0.910, 95 % CI 0.882 to 0.932, t over animals on the logit scale, "
        "n = 3 animals; animals 0.900 to 0.920; trained on permuted labels: 0.510). Confounds: not "
        "analysed. A linear decoder of the same window: 0.860."
    )


def with_values(values, found, name="gru"):
    """A run whose condition has these values, one an animal."""
    rows = pd.DataFrame(
        {
            "condition": name,
            "animal": [f"m{k}" for k in range(len(found))],
            "metric": "auc",
            "value": found,
        }
    )
    others = values.tables["animal_scores"]
    values.tables["animal_scores"] = pd.concat([rows, others[others["condition"] != name]])
    return values


def nulls(condition, p, decoder="the condition's own, as trained", smallest_p=0.001, note=""):
    animals = ["cohort"] if isinstance(p, float) else [f"m{k}" for k in range(len(p))]
    return pd.DataFrame(
        {
            "condition": condition,
            "animal": animals,
            "p": p,
            "smallest_p": smallest_p,
            "decoder": decoder,
            "note": note,
        }
    )


@pytest.mark.parametrize(
    ("found", "begins"),
    [
        (
            [0.51, 0.48, 0.52, 0.49, 0.505],
            "Decoding of running from cortical fluorescence in animals the",
        ),
        (
            [0.99, 0.50, 0.51, 0.49, 0.50],
            "Decoding of running from cortical fluorescence in animals the",
        ),
        (
            [0.41, 0.38, 0.42, 0.39, 0.405],
            "Decoding of running from cortical fluorescence in animals the",
        ),
        ([0.99, 0.97, 0.90], "Running was decoded"),
        ([0.9, 0.8], "No claim with 2 animals"),
        ([0.9], "No claim with 1 animal:"),
        ([0.9] * 5, "No claim, as all animals score alike"),
    ],
)
def test_words_follow_the_interval(make_values, found, begins):
    words = headline(with_values(make_values(), found))
    assert words.startswith(begins)
    assert ("was decoded" in words) == begins.endswith("was decoded")
    assert ("was below chance" in words) == (max(found) < 0.5)


def test_the_cohorts_test_may_take_a_claim_back(make_values):
    values = make_values()
    values.study["condition"].pop(0)
    values.tables["nulls"] = nulls("linear", 0.4, "linear decoders refitted", note="a caveat")
    words = headline(values)
    assert words.startswith("Decoding of running from cortical fluorescence in animals the")
    assert "; permuted labels reach it with p = 0.4." in words
    assert "All animals together, linear decoders refitted: p = 0.4; a caveat." in words
    # Of another decoder the same p is told, and decides nothing.
    values = make_values(tables={"nulls": nulls("gru", 0.4, "linear decoders refitted")})
    assert headline(values).startswith("Running was decoded")
    assert "linear decoders refitted: p = 0.4." in headline(values)


def test_sessions_too_few_for_a_p_take_no_claim_back(make_values):
    values = make_values()
    values.study["condition"].pop(0)
    one = nulls("linear", [1.0, 1.0, 1.0], smallest_p=1.0)
    cohort = nulls("linear", 1.0, "linear decoders refitted", smallest_p=1.0)
    values.tables["nulls"] = pd.concat([one, cohort], ignore_index=True)
    words = headline(values)
    assert words.startswith("Running was decoded from cortical fluorescence in animals the")
    assert (
        "No animal has enough sessions for a p below 0.05 by permuting their labels. Nor have all "
        "animals together enough sessions for one." in words
    )
    assert "p = 1" not in words


def test_one_session_is_told_by_its_blocks(make_values):
    row = nulls("gru", [0.002]).assign(
        n_blocks=25, p_shift=0.01, exchanged="blocks of 120 frames within the session"
    )
    values = with_values(make_values(), [0.9])
    words = headline(make_values(tables={**values.tables, "nulls": row}))
    assert words.startswith("No claim with 1 animal: ")
    assert (
        "Permuting blocks of 120 frames within the session (25 blocks): p = 0.002 (the smallest "
        "possible 0.001; circular shifts, too liberal under drift: p = 0.01)."
    ) in words
    assert "of 1 animals" not in words
    why = "no valid p: the score drifts over the session; p_shift is of circular shifts"
    words = headline(make_values(tables={**values.tables, "nulls": row.assign(p=np.nan, note=why)}))
    assert "No valid p: the score drifts over the session (circular shifts, too" in words
    # Of several animals with a session each, animals are counted.
    several = pd.concat([row, row.assign(animal="m2")])
    assert "in 2 of 2 animals" in headline(make_values(tables={"nulls": several}))


def test_the_cohorts_p_stands_with_the_linear_decoder_that_it_is_of(make_values):
    values = make_values(tables={"nulls": nulls("linear", 0.9, "linear decoders refitted")})
    words = headline(values)
    # It takes nothing back from another decoder.
    assert words.startswith("Running was decoded")
    assert "All animals together (“linear”), linear decoders refitted: p = 0.9." in words


def test_animals_are_counted_by_their_own_p_beside_what_chance_gives(make_values):
    table = nulls("gru", [0.01, 0.2, 1 / 6], smallest_p=[0.001, 0.001, 1 / 6])
    words = headline(make_values(tables={"nulls": table}))
    assert (
        "Permuting the labels of whole sessions: p < 0.05 in 1 of 2 animals (expected without any "
        "decoding: 0.1; 1 have too few sessions for it)."
    ) in words
    none = headline(make_values(tables={"nulls": nulls("gru", [1 / 6] * 3, smallest_p=1 / 6)}))
    assert "No animal has enough sessions for a p below 0.05 by permuting their labels." in none


def test_animals_without_a_p_are_counted_too(make_values):
    words = headline(make_values(tables={"nulls": nulls("gru", [0.01, np.nan])}))
    assert "1 of 1 animals (expected without any decoding: 0.05; 2 have too few" in words


def test_simulated_animals_are_called_that(make_values):
    values = make_values(provenance={"simulated": True})
    assert "n = 3 simulated animals" in headline(values)
    assert warnings_of(values)[0] == SIMULATED


def test_an_r2_far_below_nothing_says_why(make_values):
    values = make_values()
    scores = values.tables["animal_scores"]
    values.tables["animal_scores"] = scores.assign(metric="r2", value=[-1358, 0.5, 0.6] * 3)
    words = headline(values)
    assert words.startswith("Decoding of running from cortical fluorescence in animals the")
    assert "an R² below −1 means that predictions missed by more than the target varied" in words
    assert "skill" not in words

    # One animal alone, and animals all of which are below chance, say it too.
    for value in ([-1358, np.nan, np.nan], [-3, -4, -3.5]):
        low = scores.assign(metric="r2", value=value * 3)
        words = headline(make_values(tables={"animal_scores": low}))
        assert "an R² below −1 means" in words


def test_the_skill_against_the_training_mean_stands_beside_r2(make_values):
    scores = make_values().tables["animal_scores"]
    values = make_values(
        tables={"animal_scores": scores.assign(metric="r2", value=0.4, skill=[0.5, 0.6, 0.7] * 3)}
    )
    words = headline(values)
    assert "skill against the training mean 0.600, animals 0.500 to 0.700" in words
    assert "below −1" not in words


def confounds(condition, verdict, alone=0.8):
    return pd.DataFrame(
        {
            "condition": condition,
            "animal": ["cohort", "m1"],
            "input": "confounds only",
            "value": [alone, 0.1],
            "verdict": verdict,
        }
    )


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("exceeds the measured confounds", "decoding exceeds the measured confounds."),
        (
            "no evidence beyond the measured confounds",
            "decoding shows no evidence beyond the measured confounds.",
        ),
        (
            "not separable from the measured confounds",
            "decoding is not separable from the measured confounds.",
        ),
    ],
)
def test_confounds(make_values, verdict, said):
    words = headline(make_values(tables={"confounds": confounds("gru", verdict)}))
    assert f"Confounds alone reach 0.800; {said}" in words


def test_confounds_asked_of_the_linear_twin_alone_are_told_of_it(make_values):
    verdict = "not separable from the measured confounds"
    words = headline(make_values(tables={"confounds": confounds("linear", verdict, np.nan)}))
    assert f"Confounds alone reach no score; decoding is {verdict} (of “linear”)." in words


def test_folds_by_session_do_not_claim_new_animals(make_values):
    values = make_values()
    values.study["folds"]["by"] = "session"
    assert "in sessions the decoder had never seen, of animals it was trained on" in headline(
        values
    )


def test_a_difference_is_of_the_sessions_that_both_have(make_values):
    values = make_values()
    sessions = values.tables["session_scores"]
    # One session of m1 has no score under the control, and a high one under the condition.
    first = (sessions["animal"] == "m1") & (sessions["session"] == "monday")
    sessions.loc[first & (sessions["condition"] == "permuted"), "auc"] = np.nan
    sessions.loc[first & (sessions["condition"] == "gru"), "auc"] = 1.0
    found = animal_differences(values, "gru", "permuted")
    assert found.round(12).to_dict() == {"m1": 0.4, "m2": 0.4, "m3": 0.4}
    assert difference_in_words(values, "gru", "permuted").startswith("+0.400 (no interval; 3 of 3")


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
    assert headline(values).startswith("No claim with 2 animals: decoding of running from")
    assert "n = 2 animals; animals 0.900 to 0.920; 1 more tested animal has no score" in headline(
        values
    )


def test_without_a_study_file_no_mouse_is_called_unseen(make_values):
    values = RunValues("r", tables=make_values().tables)
    assert "never seen" not in headline(values)
    assert "in folds that are not known (study.toml is missing)" in headline(values)
