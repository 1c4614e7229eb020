import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corticode.study.faults import (
    guess,
    listed,
    name_faults,
    schema_faults,
    start_faults,
    toml_fault,
    unit_faults,
)
from corticode.study.keys import StudyKeys
from corticode.study.study import MERGED

WHOLE = {"data": {"catalogue": "x"}, "condition": [{"name": "a"}]}


def faults(**changes):
    raw = {k: v for k, v in (WHOLE | changes).items() if v is not None}
    try:
        StudyKeys.model_validate(raw)
    except ValidationError as error:
        return schema_faults(error, raw, StudyKeys)
    return []


def faults_in_condition(**keys):
    return [
        fault.removeprefix("condition 1 ('a')")
        for fault in faults(condition=[{"name": "a"} | keys])
    ]


def test_none():
    assert faults() == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": None}, "[data] is missing (the table that names the catalogue of recordings)"),
        ({"data": 3}, "data = 3: a table is needed, as in { key = value }"),
        (
            {"condition": None},
            "[[condition]] is missing (at least one way of decoding, with a name)",
        ),
        (
            {"condition": {"name": "a"}},
            "conditions are written [[condition]], in double brackets, each with a name",
        ),
        ({"condition": [3]}, "condition, entry 1, = 3: a table is needed, as in { key = value }"),
        ({"condition": []}, "condition = []: at least one is needed"),
        ({"condition": [{}]}, "condition 1: name is missing (its name in the tables; unique)"),
        ({"condition": [{"name": ""}]}, "condition 1 (''): name = \"\": it must not be empty"),
        (
            {"preset": "recomended"},
            "preset = \"recomended\": it must be 'recommended', 'online', 'text' or 'code'; "
            "did you mean 'recommended'?",
        ),
        (
            {"maps": [{}]},
            "unknown key 'maps'; did you mean 'map'? (known: preset, data, preprocess, target, "
            "trials, folds, condition, map, confounds, trial_time, region_set, learning_curve, "
            "generalisation, cross_temporal, permutation_test, comparison)",
        ),
        (
            {"data": {"catalogue": "x", "resample-hz": 3}},
            "[data]: unknown key 'resample-hz'; did you mean 'resample_hz'? (known: catalogue, "
            "trim_frames, resample_hz, resynchronise, bad_frames, regions, region_image)",
        ),
        (
            {"data": {"catalogue": "x", "resample_hz": 0}},
            "[data]: resample_hz = 0: it must be above 0",
        ),
        ({"target": {"signal": 3}}, "[target]: signal = 3: text in quotes is needed"),
        ({"target": {"above": float("nan")}}, "[target]: above = NaN: a finite number is needed"),
        ({"target": {"absolute": 1}}, "[target]: absolute = 1: true or false is needed"),
        ({"folds": {"only": "f"}}, '[folds]: only = "f": a list in [brackets] is needed'),
        (
            {"folds": {"only": ["f", 2]}},
            "[folds]: only, entry 2, = 2: text in quotes is needed",
        ),
    ],
)
def test_of_tables(changes, told):
    assert faults(**changes) == [told]


PENALTIES = (
    "this is not possible (penalties (L2) among which linear decoders choose by validation loss, "
    "as a fraction of the inputs' mean variance; or 'scikit-learn': its defaults (C = 1 for "
    "classes, none for values), without validation data)"
)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"window": {"before": 15.5}}, ", window: before = 15.5: a whole number is needed"),
        ({"window": {"before": 15.0}}, ", window: before = 15.0: a whole number is needed"),
        ({"window": {"before": True}}, ", window: before = true: a whole number is needed"),
        ({"window": {"before": -1}}, ", window: before = -1: it must be 0 or more"),
        (
            {"network": "lstm"},
            ': network = "lstm": a table is needed, as in network = { kind = "lstm" }',
        ),
        ({"network": 3}, ": network = 3: a table is needed, as in { key = value }"),
        (
            {"target": {"threshold": 3}},
            ", target: unknown key 'threshold'; did you mean 'above'? (known: signal, kind, above, "
            "absolute, hysteresis, minimum_bout_frames, minimum_bout_s, minimum_gap_frames, "
            "minimum_gap_s, exclude_transition_frames, exclude_transition_s, smooth_frames, "
            "smooth_s, on_frames, events, event_at, times_in, "
            "label_after_frames, label_after_s, match, exclude)",
        ),
        ({"training": {"epochs": "30"}}, ', training: epochs = "30": a whole number is needed'),
        (
            {"training": {"learning_rate": "1e-3"}},
            ', training: learning_rate = "1e-3": a number is needed',
        ),
        (
            {"training": {"label_smoothing": 1}},
            ", training: label_smoothing = 1: it must be below 1",
        ),
        ({"training": {"penalty": []}}, f", training: penalty = []: {PENALTIES}"),
        ({"training": {"penalty": [1.0, "x"]}}, f', training: penalty = [1.0, "x"]: {PENALTIES}'),
        ({"folds": []}, ": folds = []: at least one is needed"),
        (
            {"network": {"kind": "grru"}},
            ", network: kind = \"grru\": it must be 'rnn', 'lstm', 'gru', 'bi-rnn', 'bi-lstm', "
            "'bi-gru', 'gru-keras', 'linear-frame', 'linear-window', 'speed', 'cnn', "
            "'cnn-gru', 'cnn-lstm' or 'cnn-conv'; did you mean 'gru'?",
        ),
        (
            {"window": {"before-s": 1}},
            ", window: unknown key 'before-s'; did you mean 'before_s'? (known: before, before_s, "
            "after, after_s, shift, shift_s)",
        ),
    ],
)
def test_of_conditions(keys, told):
    assert faults_in_condition(**keys) == [told]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("above = 0,5", "; line 2 has a decimal comma: write 0.5"),
        ("target = { above = -1,25 }", "; line 2 has a decimal comma: write -1.25"),
        ("above = 5 5  # = 0,5", ""),
        ("penalty = [0,1", ""),
    ],
)
def test_decimal_commas_in_what_is_no_toml(line, hint):
    text = f"[target]\n{line}\n"
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    assert toml_fault(text, caught.value) == f"{caught.value}{hint}"


@pytest.mark.parametrize(
    ("regions", "shown"),
    [
        ({"top": 4}, '{"top": 4}'),
        ([1.5, True, "x"], '[1.5, true, "x"]'),
        ("every", '"every"'),
        ([*range(30), None], str([*range(30)])),
    ],
)
def test_of_unions_are_told_once(regions, shown):
    (told,) = faults_in_condition(regions=regions)
    assert told.startswith(f": regions = {shown[:60]}")
    assert told.endswith(
        ": this is not possible (regions the decoder may see: numbers, names, groups, sides; a "
        "leading 'not' keeps the others. The rest enters as 0. { top = 4, from = 'gru', by = "
        "'deep-shap' } takes those that a map puts first)"
    )


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "data", "window", "before", "regions", "like", "x-y", "int"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
TABLES = st.sampled_from([*StudyKeys.model_fields, "other"])


@given(st.dictionaries(TABLES, ANY, max_size=5), st.lists(ANY, max_size=3))
def test_any_content_is_put_into_words(raw, conditions):
    raw["condition"] = conditions
    listed(Path("study.toml"), [*name_faults(raw), *unit_faults(raw, MERGED)])
    try:
        StudyKeys.model_validate(raw)
    except ValidationError as error:
        told = schema_faults(error, raw, StudyKeys)
        assert told
        assert len(set(told)) == len(told)
        assert not any("pydantic" in fault or "Keys" in fault for fault in told)


def test_names():
    raw = {
        "condition": [
            {"name": "a"},
            {"name": "a", "like": "b", "preset": "text"},
            {"name": "c", "like": "d"},
            {"name": "d", "like": "c"},
            {"name": 3},
            "x",
        ]
    }
    assert list(name_faults(raw)) == [
        "2 conditions are named 'a'; names must differ",
        "condition 'a' gives like and preset; only one can be the start",
        "condition 'a' is like 'b', which is no condition",
        "condition 'c' is like 'd' is like 'c': a circle; one of them must stand alone",
    ]
    assert list(name_faults({"condition": 3})) == []


def test_starts():
    starts = {"a": "b", "b": "a", "c": "c", "d": "cnm", "cnn": None, "e": "cnn"}
    permuted = dict.fromkeys(starts, "none") | {"e": "sessions"}
    found = list(start_faults(starts, permuted))
    assert found == [
        "condition 'd' starts from 'cnm', which is no condition; did you mean 'cnn'?",
        "condition 'e' has permute_labels = 'sessions' and starts from 'cnn', which has 'none'; a "
        "decoder may not start from one that saw other labels: give both the same",
        "condition 'a' starts from 'b' starts from 'a': a circle; one of them must stand alone",
        "condition 'c' starts from 'c': a circle; one of them must stand alone",
    ]


def test_units():
    raw = {
        "target": {"smooth_s": 1, "smooth_frames": 3},
        "folds": {"gap_s": 1, "gap_frames": 3},
        "condition": [
            {"name": "a", "window": {"before": 1, "before_s": 1, "after_s": 1}, "preprocess": 3},
            {"name": "b", "preprocess": {"detrend_s": 1, "smooth_frames": 3}},
        ],
    }
    assert list(unit_faults(raw, MERGED)) == [
        "[target]: smooth_s and smooth_frames say the same thing; give one",
        "[folds]: gap_s and gap_frames say the same thing; give one",
        "condition 'a', window: before_s and before say the same thing; give one",
    ]


def test_one_fault_needs_no_list():
    assert listed(Path("study.toml"), ["one thing"]) == "study.toml: one thing"


def test_guess_of_nothing_near():
    assert guess("elephant", ["before", "after"]) == ""
