from dataclasses import replace

from corticode.report.page_values import RunValues
from corticode.report.run_differences import (
    Difference,
    condition_differences,
    condition_settings,
    differences,
    recordings_of,
    shared_recordings,
    study_differences,
    version_differences,
)


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
