"""Keys that the file gives and that do nothing are named; what presets give is not."""

from pathlib import Path

import pytest

from corticode.study.shipped import SHIPPED, open_study
from corticode.study.study import study_of


def unused(target="", conditions=({},), folds=None, maps=(), preset="recommended"):
    """The findings of a study with these tables, as text."""
    raw = {
        "preset": preset,
        "data": {"catalogue": "sessions.csv"},
        "target": {"signal": "s"} | (target or {}),
        "folds": folds or {},
        "condition": [{"name": f"c{k}"} | dict(one) for k, one in enumerate(conditions)],
        "map": list(maps),
    }
    return [str(one) for one in study_of(raw, Path("study.toml")).unused]


LINEAR = {"network": {"kind": "linear-window"}}
DROPOUT = {"training": {"augment": {"region_dropout": 0.5}}}
MOVIE = {"input": "movie", "preprocess": {"correction": "none"}}


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (
            {"target": {"kind": "value", "above": 0.5, "hysteresis": 0.1, "minimum_bout_s": 1.0}},
            ["target.above", "target.hysteresis", "target.minimum_bout_s"],
        ),
        ({"target": {"kind": "value", "above": 0.0}}, ["target.above"]),
        (
            {"target": {"kind": "classes", "minimum_gap_frames": 3, "smooth_s": 0.5}},
            ["target.minimum_gap_frames", "target.smooth_s"],
        ),
        (
            {
                "conditions": [
                    {
                        "network": {"kind": "linear-window", "units": 128},
                        "training": {"epochs": 100, "learning_rate": 0.1, "patience": 2},
                    }
                ]
            },
            ["network.units", "training.epochs", "training.learning_rate", "training.patience"],
        ),
        ({"conditions": [{"training": {"penalty": [1.0]}}]}, ["training.penalty"]),
        (
            {"target": {"kind": "value"}, "conditions": [{"training": {"label_smoothing": 0.3}}]},
            ["training.label_smoothing"],
        ),
        ({"conditions": [{"training": {"share": 0.5}}]}, ["training.share"]),
        ({"conditions": [LINEAR | DROPOUT]}, ["training.augment"]),
        ({"conditions": [MOVIE | DROPOUT]}, ["training.augment.region_dropout"]),
        (
            {"conditions": [{"training": {"augment": {"shift_pixels": 2, "gain": 0.1}}}]},
            ["training.augment.shift_pixels"],
        ),
        (
            {"conditions": [MOVIE | {"network": {"kind": "cnn", "temporal_stride": 3}}]},
            ["network.temporal_stride"],
        ),
        (
            {"conditions": [MOVIE | {"network": {"backbone": "grid", "bins": 16}}]},
            ["network.bins"],
        ),
        (
            {"conditions": [MOVIE | {"network": {"backbone": "small", "components": 16}}]},
            ["network.components"],
        ),
        ({"conditions": [{"network": {"kind": "gru", "weights": "none"}}]}, ["network.weights"]),
        (
            {"conditions": [{"preprocess": {"scale": "none", "scale_over": "training"}}]},
            ["preprocess.scale_over"],
        ),
        (
            {"conditions": [{"preprocess": {"detrend_s": 0, "causal": True}}]},
            ["preprocess.causal"],
        ),
        (
            {"conditions": [MOVIE | {"preprocess": {"correction": "none", "lowpass_s": 0.2}}]},
            ["preprocess.lowpass_s"],
        ),
        ({"folds": {"blocks": 7, "gap_frames": 50}}, ["folds.blocks", "folds.gap_frames"]),
        ({"folds": {"by": "session", "validate": "session"}}, ["folds.validate"]),
        (
            {"maps": [{"condition": "c0", "kind": "deep-shap", "fill": "zero", "n_draws": 5}]},
            ["map.fill", "map.n_draws"],
        ),
        (
            {"maps": [{"condition": "c0", "kind": "occlusion", "background": 5}]},
            ["map.background"],
        ),
    ],
)
def test_named(given, keys):
    told = unused(**given)
    named = [key for line in told for key in line.split("'")[1].split(", ")]
    assert sorted(named) == sorted(keys)
    assert all(" no effect" in line and line.endswith(" out") for line in told)


def test_in_words():
    assert unused(conditions=[LINEAR | {"training": {"epochs": 3}}]) == [
        "key 'training.epochs': has no effect in 'c0': a 'linear-window' is fitted in one go, "
        "without epochs; leave it out"
    ]
    many = [LINEAR | {"training": {"epochs": 3, "batch_size": 8}}] * 5
    assert unused(conditions=many) == [
        "key 'training.epochs, training.batch_size': have no effect in 'c0', 'c1', 'c2' and 2 "
        "more: a 'linear-window' is fitted in one go, without epochs; leave them out"
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"conditions": [LINEAR]},
        {"conditions": [DROPOUT]},
        {"conditions": [MOVIE]},
        {"target": {"kind": "value", "smooth_s": 0.5, "absolute": True}},
        {"target": {"kind": "classes", "exclude_transition_s": 0.5}},
        # A step that is left out is no step that does nothing.
        {"target": {"kind": "value", "hysteresis": 0.0, "minimum_bout_frames": 0}},
        {"conditions": [{"training": {"epochs": 3}}, {"like": "c0"} | LINEAR]},
        # Some condition uses what all share.
        {"target": {"above": 0.5}, "conditions": [{}, {"target": {"kind": "value"}}]},
        {"folds": {"by": "block", "blocks": 7, "gap_frames": 50}},
        {"maps": [{"condition": "c0", "kind": "expected-gradients", "n_draws": 5}]},
    ],
)
@pytest.mark.parametrize("preset", ["recommended", "online", "text", "code"])
def test_nothing_to_name(given, preset):
    assert unused(preset=preset, **given) == []


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_studies_that_ship_use_all_their_keys(name):
    assert open_study(name, Path("sessions.csv")).unused == ()


def test_a_run_folders_own_study_is_no_file_of_the_users(finished_run):
    assert open_study(finished_run.study_path).unused == ()
