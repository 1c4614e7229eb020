from dataclasses import replace

import numpy as np
import pytest

from corticode.report.pairing_reasons import reasons_apart, seeds_of, some


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


def test_few_names_are_all_told():
    assert some(["a", "b"]) == "“a”, “b”"
