"""Tests."""

from dataclasses import replace

import numpy as np
import pytest

from corticode.errors import StudyError
from corticode.evaluate.comparisons import PAIRED_T, SIGN_FLIP
from corticode.report.compare_runs import (
    Difference,
    condition_differences,
    condition_settings,
    differences,
    pair_runs,
    reasons_apart,
    recordings_of,
    seeds_of,
    shared_recordings,
    study_differences,
    version_differences,
)
from corticode.report.values import RunValues

A = {"m1": 0.90, "m2": 0.80, "m3": 0.70, "m4": 0.60}
B = {"m1": 0.80, "m2": 0.75, "m3": 0.70, "m4": 0.55}


def test_numbers_by_hand(make_run):
    pairing = pair_runs(make_run(conditions={"gru": A}), make_run(conditions={"gru": B}))
    (found,) = pairing.paired
    assert (found.name, found.metric, found.settings) == ("gru", "auc", ())
    assert found.animals["animal"].tolist() == ["m1", "m2", "m3", "m4"]
    assert found.animals["difference"].tolist() == pytest.approx([0.10, 0.05, 0.0, 0.05])
    t, flip = (found.tests.set_index("method").loc[one] for one in (PAIRED_T, SIGN_FLIP))
    # Mean 0.05; SD sqrt(0.005 / 3), over sqrt(4); 97.5 % of t with 3 degrees of freedom: 3.18245.
    reach = 3.182446 * np.sqrt(0.005 / 3) / 2
    assert t["effect"] == pytest.approx(0.05)
    assert (t["low"], t["high"]) == pytest.approx((0.05 - reach, 0.05 + reach))
    # t = sqrt(6), 3 degrees of freedom.
    assert t["p"] == pytest.approx(0.09172, abs=1e-5)
    # Of the 8 signs of three differences, all + and all - reach the sum 0.2.
    assert flip["p"] == pytest.approx(0.25)
    assert flip["smallest_p"] == pytest.approx(0.125)
    assert t["n"] == 4


def test_p_values_are_adjusted_over_the_paired_conditions(make_run):
    a = make_run(conditions={"gru": A, "rnn": A, "lstm": A})
    b = make_run(conditions={"gru": B, "rnn": B})
    pairing = pair_runs(a, b)
    assert [one.name for one in pairing.paired] == ["gru", "rnn"]
    assert pairing.only_a == ("lstm",)
    tests = pairing.paired[1].tests
    assert tests["p_holm"].tolist() == pytest.approx((2 * tests["p"]).tolist())


def test_other_settings_are_paired_and_named(make_run):
    b = make_run(conditions={"gru": B}, settings={"training": {"epochs": 10}}, seeds=[0, 1])
    (found,) = pair_runs(make_run(conditions={"gru": A}), b).paired
    assert found.settings == (
        Difference("training.epochs", "30", "10"),
        Difference("seeds", "0", "0, 1"),
    )


def test_what_differs_stands_apart_with_both_values(make_run):
    b = make_run(conditions={"gru": B}, settings={"target": {"signal": "groom"}})
    pairing = pair_runs(make_run(conditions={"gru": A}), b)
    assert pairing.paired == ()
    (found,) = pairing.apart
    assert found.values_a == pytest.approx((0.9, 0.8, 0.7, 0.6))
    assert found.values_b == pytest.approx((0.8, 0.75, 0.7, 0.55))
    assert found.reasons[0].startswith("the target differs (target.signal run in A, groom in B")
    assert [one.key for one in found.settings] == ["target.signal", "target.kind"]


def test_an_animal_without_a_value_in_both_is_left_out(make_run):
    a = make_run(conditions={"gru": A | {"m4": np.nan}})
    b = make_run(conditions={"gru": B | {"m4": np.nan}})
    (found,) = pair_runs(a, b).paired
    assert found.animals["difference"].isna().tolist() == [False, False, False, True]
    assert set(found.tests["n"]) == {3}


def test_one_animal_has_no_interval(make_run):
    a, b = make_run(conditions={"gru": {"m1": 0.9}}), make_run(conditions={"gru": {"m1": 0.8}})
    (found,) = pair_runs(a, b).paired
    first = found.tests.iloc[0]
    assert first["effect"] == pytest.approx(0.1)
    assert np.isnan(first["low"])
    assert "an interval needs 2" in first["note"]


def test_nothing_in_common(make_run):
    a = make_run("first", {"gru": A})
    b = make_run("second", {"rnn": B, "lstm": B})
    with pytest.raises(StudyError) as told:
        pair_runs(a, b)
    assert str(told.value) == (
        "first and second have no condition in common: the first has scores of “gru”, the second "
        "of “rnn”, “lstm”; conditions are matched by name, so call those alike that are to be "
        "compared, or compare them within one study by [[comparison]]"
    )


def test_a_run_without_a_score(make_run):
    blank = make_run("blank", {"gru": {"m1": np.nan}})
    with pytest.raises(StudyError, match="blank has no score yet; let 'corticode run' finish"):
        pair_runs(make_run(), blank)


def test_a_run_against_itself_differs_by_nothing(make_run):
    (found,) = pair_runs(make_run(), make_run()).paired
    assert found.tests["effect"].tolist() == [0, 0]
    assert found.tests.iloc[0]["note"] == "all animals differ by the same: no spread to judge by"


def _with_sessions(values, change):
    tables = dict(values.tables)
    tables["session_scores"] = change(tables["session_scores"].copy())
    return replace(values, tables=tables)


def test_the_same_may_be_paired(make_run):
    assert reasons_apart(make_run(), make_run(), "gru") == ()


def test_decoders_training_and_versions_may_differ(make_run):
    other = make_run(settings={"network": {"kind": "rnn"}, "training": {"epochs": 3}})
    other.provenance["versions"]["numpy"] = "1.26"
    assert reasons_apart(make_run(), other, "gru") == ()


def test_other_seeds_may_be_paired(make_run):
    assert reasons_apart(make_run(), make_run(seeds=[0, 1, 2]), "gru") == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"settings": {"target": {"signal": "run", "kind": "binary", "above": 0.5}}},
            "the target differs (target.above not given in A, 0.5 in B); give both the same",
        ),
        (
            {"settings": {"target": {"signal": "groom", "kind": "binary"}}},
            "the target differs (target.signal run in A, groom in B); give both the same",
        ),
        (
            {"settings": {"permute_labels": "sessions"}},
            "the labels differ (permute_labels none in A, sessions in B); "
            "call a control by another name",
        ),
        (
            {"data": {"resample_hz": 10}},
            "the frames differ (data.resample_hz not given in A, 10 in B); give both the same",
        ),
        (
            {"recordings": {"m1/monday": "other"}},
            "the recordings differ (“m1/monday” of other content); run both studies on one "
            "catalogue",
        ),
        (
            {"recordings": {"m9/monday": "new"}},
            "the recordings differ (“m9/monday” in B alone); run both studies on one catalogue",
        ),
        (
            {"folds": {"by": "session"}},
            "the folds differ (folds.by animal in A, session in B); give both the same",
        ),
        (
            {"sessions": {"first_frame": 25, "n_windows": 890}},
            "other frames were scored (“m1/monday” and 7 more: 15 to 914 (900 windows) in A, "
            "25 to 914 (890 windows) in B); give both windows of one length and shift",
        ),
        (
            {"sessions": {"base_rate": 0.3}},
            "the same frames were labelled otherwise (“m1/monday” and 7 more); look at both "
            "targets",
        ),
        (
            {"sessions": {"n_bouts_1": 9}},
            "the same frames were labelled otherwise (“m1/monday” and 7 more); look at both "
            "targets",
        ),
    ],
)
def test_what_may_not_be_paired(make_run, changes, reason):
    assert reasons_apart(make_run(), make_run(**changes), "gru") == (reason,)


def test_every_reason_is_given(make_run):
    other = make_run(
        settings={"target": {"signal": "groom"}},
        recordings={"m1/monday": "x"},
        folds={"by": "block"},
    )
    starts = [one.split(" (")[0] for one in reasons_apart(make_run(), other, "gru")]
    assert starts == ["the target differs", "the recordings differ", "the folds differ"]


def test_a_fold_that_one_run_lacks(make_run):
    three = {"m1": 0.9, "m2": 0.8, "m3": 0.7}
    rest = {"m4/monday": "hash of m4", "m4/tuesday": "hash of m4"}
    unfinished = make_run(conditions={"gru": three}, recordings=rest)
    assert reasons_apart(make_run(), unfinished, "gru") == (
        "the folds differ (“test-m4” in A alone); finish the same in both runs",
    )
    assert reasons_apart(unfinished, make_run(), "gru") == (
        "the folds differ (“test-m4” in B alone); finish the same in both runs",
    )


def test_folds_with_seeds_of_their_own(make_run):
    values = make_run(seeds=[0, 1])
    scores = values.table("scores").iloc[:-1]
    uneven = replace(values, tables={**values.tables, "scores": scores})
    assert seeds_of(uneven, "gru")["test-m4"] == (0,)
    assert reasons_apart(make_run(), uneven, "gru") == (
        "not every fold of B has the same seeds; let it finish",
    )


def test_permuted_labels_are_those_of_their_seed(make_run):
    settings = {"permute_labels": "sessions"}
    a, b = make_run(settings=settings), make_run(settings=settings, seeds=[1])
    assert reasons_apart(a, b, "gru") == (
        "labels are permuted by seed, and the seeds differ; give both the same",
    )
    assert reasons_apart(a, make_run(settings=settings), "gru") == ()


def test_recordings_of_other_animals_do_not_matter_where_an_animal_is_decoded_alone(make_run):
    folds = {"by": "session"}
    a, b = make_run(folds=folds), make_run(folds=folds, recordings={"m9/monday": "new"})
    assert reasons_apart(a, b, "gru") == ()
    changed = make_run(folds=folds, recordings={"m1/friday": "new"})
    assert "“m1/friday” in B alone" in reasons_apart(a, changed, "gru")[0]


def test_a_session_that_one_run_did_not_score(make_run):
    less = _with_sessions(make_run(), lambda table: table.iloc[1:])
    assert reasons_apart(make_run(), less, "gru") == (
        "other sessions were scored (“m1/monday” in one run alone); excluded.csv of each run says "
        "what was left out",
    )


def test_a_session_that_is_blank_in_one_run(make_run):
    def blank(table):
        table.loc[2, "auc"] = np.nan
        return table

    found = reasons_apart(make_run(), _with_sessions(make_run(), blank), "gru")
    assert found == (
        "sessions have a score in one run alone (“m2/monday”: none in B); session_scores.csv of B "
        "says why",
    )


def test_what_is_not_known_is_not_paired(make_run):
    a = make_run()
    nothing = replace(a, study={}, provenance={}, tables={"animal_scores": a.tables["scores"]})
    starts = [one.split(";")[0] for one in reasons_apart(a, nothing, "gru")]
    assert starts == [
        "B decoded what is not known: study.toml is missing or damaged",
        "B was made of recordings that are not known: provenance.json is missing or damaged",
        "B scored frames that are not known: no row in scores.csv",
        "B scored frames that are not known: no row in session_scores.csv",
    ]


def test_keys_that_differ_with_both_values():
    a = {"training": {"epochs": 30, "penalty": [0.1, 1]}, "input": "traces"}
    b = {"training": {"epochs": 10, "penalty": [0.1, 1]}, "regions": [6, 8]}
    assert differences(a, b) == (
        Difference("training.epochs", "30", "10"),
        Difference("input", "traces", "not given"),
        Difference("regions", "not given", "6, 8"),
    )
    assert differences(a, a) == ()


def test_a_whole_number_is_no_other_setting_than_the_same_with_a_point():
    assert differences({"above": 1}, {"above": 1.0}) == ()


def test_names_and_folds_of_a_condition_are_no_settings(make_run):
    a, b = make_run(settings={"folds": ["one"], "like": "x"}), make_run()
    assert condition_differences(a, b, "gru") == ()


def _started(epochs):
    conditions = [
        {"name": "cnn", "training": {"epochs": epochs}},
        {"name": "cnn-gru", "start_from": "cnn", "network": {"kind": "cnn-gru"}},
        {"name": "top", "regions": {"top": 4, "from": "cnn", "by": "deep-shap"}},
    ]
    return RunValues("r", study={"condition": conditions})


def test_what_a_condition_starts_from_or_takes_regions_from_belongs_to_it():
    a, b = _started(30), _started(10)
    assert [str(one) for one in condition_differences(a, b, "cnn-gru")] == [
        "start_from “cnn”.training.epochs 30 in A, 10 in B"
    ]
    assert [str(one) for one in condition_differences(a, b, "top")] == [
        "regions.from “cnn”.training.epochs 30 in A, 10 in B"
    ]


def test_a_circle_ends():
    circle = [{"name": "a", "start_from": "b"}, {"name": "b", "start_from": "a"}]
    found = condition_settings(RunValues("r", study={"condition": circle}), "a")
    assert found == {"start_from": "b", "start_from “b”": {"start_from": "a"}}


def test_where_the_catalogue_lies_and_which_folds_were_asked_for_say_nothing(make_run):
    a = make_run()
    moved = make_run(data={"catalogue": "elsewhere/sessions.csv"}, folds={"only": ["test-m1"]})
    assert study_differences(a, moved) == ()
    other = make_run(data={"trim_frames": 2}, folds={"by": "block", "blocks": 4})
    assert [one.key for one in study_differences(a, other)] == [
        "data.trim_frames",
        "folds.by",
        "folds.blocks",
    ]


def test_versions_and_seeds_but_no_recordings(make_run):
    a, b = make_run(), make_run(seeds=[0, 1], recordings={"m1/monday": "other"})
    b.provenance["versions"]["numpy"] = "2.1"
    assert version_differences(a, b) == (
        Difference("versions.numpy", "2.0", "2.1"),
        Difference("seeds", "0", "0, 1"),
    )


def test_recordings_are_known_by_their_content(make_run):
    a = make_run(recordings={"m5/monday": "x"})
    b = make_run(recordings={"m1/monday": "changed", "m6/monday": "y"})
    shared = shared_recordings(a, b)
    assert len(shared.same) == 7
    assert (shared.changed, shared.only_a, shared.only_b) == (
        ("m1/monday",),
        ("m5/monday",),
        ("m6/monday",),
    )


def test_a_provenance_that_says_nothing_of_recordings(make_run):
    assert recordings_of(RunValues("r")) == {}
    assert recordings_of(replace(make_run(), provenance={"recordings": 12})) == {}
