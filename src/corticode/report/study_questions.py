"""What a reviewer asks about the choices behind a result, and about what it cannot show."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from corticode.evaluate.intervals import detectable_difference, smallest_sign_flip_p
from corticode.report.headline import animal_values, linear_twin, permuted_twins
from corticode.report.page_values import RunValues, is_permuted
from corticode.report.study_words import CORRECTIONS, label_rule

NOT_DONE = "not done"
BLOOD_INPUTS = ("reference", "cues")


def label_rule_words(values: RunValues, name: str) -> str:
    """How labels came about."""
    target = values.condition(name).get("target")
    if not target:
        return f"{NOT_DONE}: the study file is missing"
    n_rules = len({label_rule(one.get("target") or {}) for one in values.conditions})
    others = f"; the study has {n_rules} label rules in all" if n_rules > 1 else ""
    return f"{label_rule(target)}{others}"


def excluded_words(values: RunValues, name: str) -> str:
    """How much was left out, by what it is."""
    table = values.tables.get("excluded")
    if table is None:
        return f"{NOT_DONE}: excluded.csv is missing"
    if table.empty:
        return "nothing was left out"
    counts = table["what"].value_counts(sort=False)
    told = ", ".join(f"{what}: {n}" for what, n in counts.items())
    return f"findings by what they are about: {told}; each with its reason in excluded.csv"


def blood_words(values: RunValues, name: str) -> str:
    """What is known of wavelengths and of the correction for blood."""
    condition = values.condition(name)
    preprocess = condition.get("preprocess", {})
    cues = [str(one["name"]) for one in values.conditions if one.get("input") in BLOOD_INPUTS]
    beside = f"; conditions of the reference channel or of cues: {', '.join(cues)}" if cues else ""
    if preprocess.get("regress_out") == "cues":
        beside += "; cues were regressed out of each trace"
    if condition.get("input") == "movie":
        said = CORRECTIONS.get(str(preprocess.get("correction")), "not told")
        return f"movies: {said}{beside}"
    return (
        f"{NOT_DONE}: traces come as they were given, and no run can tell at which wavelengths or "
        f"how corrected; say so in the text{beside}"
    )


def tried_words(values: RunValues, name: str) -> str:
    """How many conditions were fitted, beside those in the tables."""
    shown = values.table("animal_scores")["condition"].nunique()
    n_controls = sum(map(is_permuted, values.conditions))
    asked = len(values.conditions)
    others = (
        f"; the run folder holds fits of {values.n_other_conditions} more conditions, which are in "
        "no table"
        if values.n_other_conditions
        else "; the run folder holds fits of no other"
    )
    return (
        f"{asked} in the study ({n_controls} with permuted labels), {shown} with scores, all in "
        f"the tables{others}; what was tried in other run folders is not known here. Answers are "
        "about the first condition of the study, not about the best"
    )


def saw_test_words(values: RunValues, name: str) -> str:
    """Which choices were made with test data at hand."""
    if not values.study:
        return f"{NOT_DONE}: the study file is missing"
    found = []
    circular = [
        str(one["name"])
        for one in values.conditions
        if isinstance(one.get("regions"), Mapping) and one["regions"].get("on") == "test"
    ]
    if circular:
        found.append(f"regions chosen by maps of test animals (circular): {', '.join(circular)}")
    whole = _whole_session(values.condition(name))
    if whole:
        found.append(f"without labels, statistics of the whole test session ({', '.join(whole)})")
    backgrounds = [
        one for one in values.study.get("map", []) if one.get("background_from") == "test"
    ]
    if backgrounds:
        found.append(f"backgrounds of {len(backgrounds)} maps drawn from test windows")
    seen = "; ".join(found) if found else "none that the study file holds"
    return (
        f"{seen}. Epoch, penalty and threshold were chosen on validation data. Whatever was set "
        "after looking at these scores (windows, filters, which condition is shown) has seen them "
        "too"
    )


def _whole_session(condition: Mapping[str, Any]) -> list[str]:
    preprocess = condition.get("preprocess", {})
    found = []
    filtered = any(preprocess.get(f"{key}{unit}") for key in ("detrend", "smooth")
                   for unit in ("_frames", "_s"))  # fmt: skip
    if filtered and not preprocess.get("causal", False):
        found.append("moving means that look ahead")
    if preprocess.get("scale", "none") != "none" and preprocess.get("scale_over") == "session":
        found.append("scaling")
    if preprocess.get("regress_out") == "cues":
        found.append("regression of cues")
    return found


def detectable_words(values: RunValues, name: str) -> str:
    """What so many animals could have shown."""
    own = animal_values(values, name)
    if own.size < 2:
        return f"{NOT_DONE}: it takes two animals or more, and there is {own.size}"
    words = (
        f"with {own.size} animals a paired t test finds {detectable_difference(own.size):.2f} SD "
        "of the animals' differences in 80 of 100 such experiments; the smallest p of an exact "
        f"sign-flip test is {smallest_sign_flip_p(own.size):.4g}"
    )
    for other in (linear_twin(values, name), *permuted_twins(values, name)):
        if other is None:
            continue
        both = (own - animal_values(values, other)).dropna()
        sd = float(both.std(ddof=1)) if both.size > 1 else np.nan
        if sd > 0:
            found = detectable_difference(both.size, sd)
            words += f". “{name}” less “{other}”: SD {sd:.3f}, detectable {found:.3f}"
    return words


def not_shown_words(values: RunValues, name: str) -> str:
    """What does not follow."""
    by = values.study.get("folds", {}).get("by", "animal")
    found = [
        "decoding tells of information, not of cause: what can be read from cortex need not be "
        "used by it",
        "nothing is said of other tasks, indicators, ages or strains",
    ]
    if values.is_simulated:
        found.insert(0, "the mice are simulated: nothing is shown of real ones")
    if by != "animal":
        found.append(f"folds are by {by}: nothing is said of an animal that the decoder never saw")
    artefacts = values.table("artefacts")
    if artefacts.empty or name not in set(artefacts["condition"]):
        found.append("blood, motion and light were not set against cortex")
    scores = values.table("scores")
    own = scores.loc[scores["condition"] == name, "look_ahead_s"].astype(float)
    if np.isinf(own).any():
        found.append("whole sessions enter: nothing is said of decoding while the animal runs")
    if not values.table("map_regions").empty or not values.table("occlusion").empty:
        found.append("a region that is not needed may still carry the same information")
    return "; ".join(found)
