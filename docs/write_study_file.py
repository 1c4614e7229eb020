"""Write docs/study-file.md: every key of a study file, from the model that reads it."""

import inspect
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from corticode.study import keys, steps
from corticode.study import study as config

HEAD = """# The study file

A study is one TOML file. It is read strictly: an unknown key is an error that guesses the intended
one, and all faults are told at once. Paths are relative to the file. A condition is made from the
preset's defaults, the study's `[target]`, the condition it is `like`, and its own keys, the later
winning; `preprocess`, `steps`, `window`, `training` and `target` merge key by key, `network` and
`regions` are replaced whole. Any length in frames may be given in seconds instead; then the
catalogue needs `frame_rate_hz`. Conditions with `input = "movie"` take the preset's defaults for
movies, which the tables give after `movies:` and, where they differ, for windows of images and for
EfficientNets; they must state `preprocess = { correction = ... }`, but in a study with
`[preprocess]`.
`regions = "all"` and `permute_labels = "none"` undo what `like` brought.

This page is written by `make docs` from the model that reads the file; do not edit it.

```toml
preset = "recommended"

[data]
catalogue = "sessions.csv"

[target]
signal = "speed"
above = 0.5

[[condition]]
name = "gru"

[[condition]]
name = "gru, permuted"
like = "gru"
permute_labels = "sessions"

[[condition]]
name = "cnn-gru"
input = "movie"
preprocess = { correction = "none" }

[[map]]
condition = "gru"
kind = "deep-shap"

[[map]]
condition = "cnn-gru"
kind = "occlusion"
every_n_frames = 10

[[confounds]]
condition = "gru"

[[region_set]]
name = "limbs"
condition = "gru"
regions = [6, 8, 31, 33]

[[comparison]]
name = "figure 4"
conditions = ["gru", "gru, permuted"]
```
"""
UNITS = {
    "bad_frames": "",
    "_frames": "frames",
    "_pixels": "pixels",
    "_s": "s",
    "_hz": "Hz",
    "before": "frames",
    "after": "frames",
    "shift": "frames",
    "above": "the signal's",
    "hysteresis": "the signal's",
    "batch_size": "windows",
}
# Tables of a preset: for traces, for movies, for windows of their images, for EfficientNets.
TABLES = {
    "condition": "",
    "movie": "movies",
    "movie-recurrent": "windows of images",
    "movie-efficientnet": "EfficientNets",
    "movie-efficientnet-recurrent": "windows for EfficientNets",
}
SECTIONS: list[tuple[str, str, type[BaseModel], str | None]] = [
    ("Top level", "", keys.StudyKeys, None),
    ("`[data]`", "data", keys.DataKeys, "data"),
    ("`[preprocess]`", "preprocess", steps.PreprocessedKeys, None),
    ("`[target]`, also in a condition", "target", keys.TargetKeys, "target"),
    ("`exclude` in a `[target]`", "exclude", keys.ExcludeKeys, None),
    ("`[trials]`", "trials", keys.TrialKeys, None),
    ("`[folds]`", "folds", keys.FoldKeys, None),
    ("`[[condition]]`", "condition", keys.ConditionKeys, "condition"),
    (
        "`preprocess` in a condition",
        "preprocess",
        keys.PreprocessKeys,
        "condition.preprocess",
    ),
    ("`window` in a condition", "window", keys.WindowKeys, "condition.window"),
    ("`network` in a condition", "network", keys.NetworkKeys, "condition.network"),
    ("`training` in a condition", "training", keys.TrainingKeys, "condition.training"),
    ("`augment` in a condition's `training`", "augment", keys.AugmentKeys, None),
    ("`regions` in a condition, chosen by a map", "regions", keys.SelectionKeys, None),
    ("`[[map]]`", "map", keys.MapKeys, None),
    ("`[[confounds]]`", "confounds", keys.ConfoundKeys, None),
    ("`[[trial_time]]`", "trial_time", keys.TrialTimeKeys, None),
    ("`[[region_set]]`", "region_set", keys.RegionSetKeys, None),
    ("`[[learning_curve]]`", "learning_curve", keys.LearningCurveKeys, None),
    ("`[[generalisation]]`", "generalisation", keys.GeneralisationKeys, None),
    ("`[[cross_temporal]]`", "cross_temporal", keys.CrossTemporalKeys, None),
    ("`[[permutation_test]]`", "permutation_test", keys.PermutationTestKeys, None),
    ("`[[comparison]]`", "comparison", keys.ComparisonKeys, None),
]
STEPS: list[tuple[str, str, type[BaseModel], str | None]] = [
    ("`[preprocess]`", "preprocess", steps.StepKeys, None),
    ("`motion`", "motion", steps.MotionKeys, None),
    ("`bin`", "bin", steps.BinKeys, None),
    ("`dff`", "dff", steps.DffKeys, None),
    ("`denoise`", "denoise", steps.DenoiseKeys, None),
    ("`blood`", "blood", steps.BloodKeys, None),
    ("`atlas`", "atlas", steps.AtlasKeys, None),
]
BEGINS = "<!-- The tables below are written by docs/write_study_file.py. -->"


def main() -> None:
    """Write the page."""
    path = Path(__file__).with_name("study-file.md")
    path.write_text(page(), encoding="utf-8")
    of_steps = Path(__file__).with_name("preprocess.md")
    of_steps.write_text(steps_page(of_steps.read_text("utf-8")), encoding="utf-8")


def page() -> str:
    """The page as text."""
    presets = {name: config.read_preset(name) for name in config.PRESETS}
    return "\n".join([HEAD, *_sections(SECTIONS, presets)])


def steps_page(text: str) -> str:
    """The page of preprocessing with its tables of keys made anew."""
    return "\n".join([text.partition(BEGINS)[0] + BEGINS + "\n", *_sections(STEPS, {})])


def _sections(
    sections: list[tuple[str, str, type[BaseModel], str | None]], presets: dict[str, dict[str, Any]]
) -> list[str]:
    parts = []
    for title, _, model, place in sections:
        parts.append(f"## {title}\n\n{(inspect.getdoc(model) or '').strip()}\n")
        heads = ["key", "type", "unit", "meaning"]
        heads += list(presets) if place else ["default"]
        parts.append(_row(heads) + _row(["---"] * len(heads)) + _rows(model, place, presets))
    return parts


def _rows(model: type[BaseModel], place: str | None, presets: dict[str, dict[str, Any]]) -> str:
    rows = ""
    for own_name, field in model.model_fields.items():
        name = field.alias or own_name
        meaning = field.description
        if meaning is None:
            continue
        cells = [f"`{name}`", _type(field), _unit(name), meaning]
        if place:
            cells += [_preset_default(preset, place, name, field) for preset in presets.values()]
        else:
            cells.append(_shown(None if field.is_required() else field.default, field))
        rows += _row(cells)
    return rows


def _preset_default(preset: dict[str, Any], place: str, name: str, field: FieldInfo) -> str:
    """A preset's value, and where they have others those of movies."""
    shown = _shown(field.default, field)
    for start, table in TABLES.items():
        group: Any = preset
        for key in place.replace("condition", start, 1).split("."):
            group = group.get(key, {})
        if name in group and _shown(group[name], None) != shown:
            value = _shown(group[name], None)
            shown = f"{shown}; {table}: {value}".removeprefix("; ") if table else value
    return shown


def _shown(value: Any, field: FieldInfo | None) -> str:
    if field is not None and field.is_required():
        return "required"
    return "" if value is None or isinstance(value, BaseModel) else f"`{str(value).lower()}`"


def _type(field: FieldInfo) -> str:
    return _in_words(field.annotation)


def _in_words(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{a}`" for a in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_in_words(a) for a in arguments if a is not type(None))
    if origin is list:
        return f"list of {_in_words(arguments[0])}"
    names = {str: "text", int: "whole number", float: "number", bool: "true / false"}
    return names.get(annotation, "table")


def _unit(name: str) -> str:
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), "")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    main()
