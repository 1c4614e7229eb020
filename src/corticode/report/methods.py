"""What was done, for a paper's methods: every choice, count and version, to be edited and cited.

One source for the page, which shows the passages, and for ``methods.md``, which holds them as
Markdown with a reviewer's questions, a checklist and every setting behind them.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from corticode.errors import some
from corticode.evaluate.intervals import FORMULA, detectable_difference
from corticode.evaluate.scores import FEWEST_TRIALS, FEWEST_VALUES
from corticode.report.headline import SIMULATED, headline
from corticode.report.questions import answer_questions, checklist, history_words
from corticode.report.values import (
    RunValues,
    counted_by,
    decodes_trials,
    headline_condition,
    sessions_tested,
)
from corticode.report.words import (
    CORRECTIONS,
    Passage,
    escaped,
    every_setting,
    label_rule,
    shared_and_own,
    to_markdown,
)

MOST_ROWS = 100
DRAFT = "A draft made from the run's own settings and counts; edit it, and check it."
PUBLISHED = (
    "Decoders, folds, published values",
    "Ajioka T, Nakai N, Yamashita O, Takumi T (2024), PLoS Comput Biol 20(3): e1011074, "
    "https://doi.org/10.1371/journal.pcbi.1011074",
)
DEEP_SHAP = (
    "Deep SHAP",
    "Lundberg SM, Lee S-I (2017), Advances in Neural Information Processing Systems 30: 4765-4774",
)
HOLM = ("Adjusted p-values", "Holm S (1979), Scandinavian Journal of Statistics 6: 65-70")
EFFICIENTNET = (
    "CNN of movies",
    "Tan M, Le QV (2019), Proceedings of Machine Learning Research 97: 6105-6114",
)


def methods_text(values: RunValues) -> str:
    """All passages in Markdown, as ``methods.md`` holds them.

    Examples
    --------
    >>> methods_text(RunValues("run")).splitlines()[0]
    '# Methods: run'
    """
    parts = [f"# Methods: {escaped(values.name)}", DRAFT]
    if values.is_simulated:
        parts.append(f"**{SIMULATED}**")
    passages = [
        Passage("Result in a sentence", (headline(values), *values.missing)),
        *methods_passages(values),
        _questions(values),
        _settings(values),
    ]
    return "\n\n".join([*parts, to_markdown(passages)]) + "\n"


def methods_passages(values: RunValues) -> list[Passage]:
    """What was done, as passages: recordings to software, and the reporting checklist.

    Examples
    --------
    >>> [passage.title for passage in methods_passages(RunValues("run"))][:2]
    ['Recordings', 'Left out']
    """
    return [
        _recordings(values),
        _left_out(values),
        _labels(values),
        _decoders(values),
        _testing(values),
        _statistics(values),
        *_controls(values),
        _software(values),
        _references(values),
        checklist(values),
    ]


def _recordings(values: RunValues) -> Passage:
    scores = values.table("session_scores")
    if scores.empty:
        return Passage("Recordings", ("No session has been scored yet.",))
    name = headline_condition(values) or str(scores["condition"].iloc[0])
    own = sessions_tested(scores, name)
    rate = values.frame_rate_hz
    n_windows = int(own["n_windows"].sum())
    of_trials = decodes_trials(values.condition(name))
    words = (
        f"{len(own)} sessions of {own['animal'].nunique()} animals were tested, {n_windows:,} "
        f"{'trials' if of_trials else 'windows'} by condition “{name}”"
    )
    if rate and of_trials:
        words += f", at {rate:g} frames a second"
    elif rate:
        words += f", at {rate:g} frames a second ({n_windows / rate / 3600:.2f} h of labelled time)"
    data = values.study.get("data", {})
    treated = [history_words(values)] if history_words(values) else []
    if data.get("resample_hz"):
        treated.append(f"Recordings were resampled to {data['resample_hz']:g} Hz.")
    if data.get("trim_frames"):
        treated.append(
            f"Recordings whose lengths differed were cut by up to {data['trim_frames']} frames."
        )
    rows = tuple(_animal_row(animal, rows) for animal, rows in own.groupby("animal", sort=False))
    counted = "trials" if of_trials else "bouts"
    heads = ("animal", "sessions", "windows", "share of class 1", counted, "sessions without AUC")
    return Passage("Recordings", (f"{words}.", " ".join(treated)), heads=heads, rows=rows)


def _animal_row(animal: object, rows: pd.DataFrame) -> tuple[str, ...]:
    counted = counted_by(rows)
    columns = [column for column in rows if str(column).startswith(counted)]
    bouts = rows[columns].dropna(axis="columns", how="all").sum()
    rate = rows["base_rate"].mean()
    return (
        str(animal),
        str(len(rows)),
        f"{int(rows['n_windows'].sum()):,}",
        "" if pd.isna(rate) else f"{rate:.3f}",
        ", ".join(f"{str(c).removeprefix(counted)}: {int(n)}" for c, n in bouts.items()),
        str(int((rows["blank_because"].fillna("") != "").sum())),
    )


def _left_out(values: RunValues) -> Passage:
    table = values.table("excluded")
    if table.empty:
        return Passage("Left out", ("Nothing was left out and nothing looked odd.",))
    grouped = table.groupby(["what", "reason"], sort=False, dropna=False).size()
    named = grouped.rename("n").reset_index()
    rows = [(str(one.what), str(one.n), str(one.reason)) for one in named.itertuples()]
    words = f"{len(table)} findings about what was left out or looked odd, by reason."
    if len(rows) > MOST_ROWS:
        words += f" The first {MOST_ROWS} of {len(rows)} reasons; all are in excluded.csv."
    heads = ("what", "how many", "why")
    return Passage("Left out", (words,), heads=heads, rows=tuple(rows[:MOST_ROWS]))


def _labels(values: RunValues) -> Passage:
    rules: dict[str, list[str]] = {}
    for one in values.conditions:
        rules.setdefault(label_rule(one.get("target") or {}), []).append(str(one["name"]))
    if len(rules) == 1:
        return Passage("Labels", (f"{next(iter(rules))}.",))
    items = tuple((some(names, 8), f"{rule}.") for rule, names in rules.items())
    return Passage("Labels", () if items else ("The study file is missing.",), items)


def _decoders(values: RunValues) -> Passage:
    if not values.conditions:
        return Passage("Decoders", ("The study file is missing.",))
    shared, own = shared_and_own(values.conditions)
    n = len(own)
    words = f"{n} condition{'s' if n > 1 else ''}; unless said otherwise: {'; '.join(shared)}."
    corrected = {
        one.get("preprocess", {}).get("correction")
        for one in values.conditions
        if one.get("input") == "movie"
    }
    blood = [f"Movies: {CORRECTIONS[one]}." for one in CORRECTIONS if one in corrected]
    return Passage("Decoders", (words, *blood), tuple(own) if n > 1 else ())


def _testing(values: RunValues) -> Passage:
    by = values.study.get("folds", {}).get("by", "animal")
    scores = values.table("scores")
    n_folds = 0 if scores.empty else scores["fold"].nunique()
    seeds = values.provenance.get("seeds", [])
    n_seeds = len(seeds) or 1
    way = {
        "animal": "The tested animal and the one that chose the epoch or penalty were kept out of "
        "training",
        "day": "Of each animal, the sessions of one day were tested and those of one chose the "
        "epoch or penalty",
        "session": "Of each animal, one session was tested and one chose the epoch or penalty",
        "block": "Of each session, one block of time was tested and one chose the epoch or "
        "penalty, with a gap between blocks",
    }
    only = values.study.get("folds", {}).get("only")
    some = " Not all folds were run, but those that the study names." if only else ""
    return Passage(
        "Testing",
        (
            f"{way.get(str(by), 'Folds are unknown')} ({n_folds} folds, {n_seeds} "
            f"{'seed' if n_seeds == 1 else 'seeds'}, {len(scores)} fits in all).{some}",
        ),
    )


def _statistics(values: RunValues) -> Passage:
    of_trials = any(map(decodes_trials, values.conditions))
    fewest = (
        f"{FEWEST_TRIALS} trials of either class ({FEWEST_VALUES} of values)"
        if of_trials
        else "3 bouts or 5 s of either class"
    )
    words = [
        f"A session's score is left blank below {fewest}. An animal's value "
        "is the mean over its sessions, then over decoders and seeds; the animal is the unit of "
        "inference. Intervals are Student's t over animals (95 %), of an AUC on the logit scale "
        "below seven animals. Scores pooled over sessions are listed and carry no p-value."
    ]
    table = values.table("comparisons")
    if {"comparison", "method"} <= set(table):
        methods = ", ".join(dict.fromkeys(table["method"].astype(str)))
        n_families = table["comparison"].nunique()
        were = "families of comparisons were" if n_families > 1 else "family of comparisons was"
        words.append(
            f"{n_families} {were} made ({methods}); p-values are adjusted by Holm's rule "
            "within a family and method."
        )
    if not values.table("nulls").empty and of_trials:
        words.append(
            "Each animal was tested against its own labels with decoders as they were: labels of "
            "trials change places within each session, 999 drawn orders and the observed one. The "
            "p of the cohort is from linear decoders refitted in every order (nulls.csv). Where "
            "labels and cortex both change slowly over a session, trials are not exchangeable, and "
            "p is too small."
        )
    elif not values.table("nulls").empty:
        words.append(
            "Each animal was tested against its own labels with decoders as they were: label "
            "traces of whole sessions change places within the animal, in all orders or drawn "
            "ones, the observed one counted; within pairs of neighbouring sessions where something "
            "trends over days. Of an animal with one session, blocks of it change places that last "
            "five times the longer autocorrelation time of label and score; with fewer than 20 "
            "blocks, or a drift, there is no valid p. The p of the cohort is from linear "
            "decoders refitted in every order (nulls.csv, day_trends.csv); below ten sessions "
            "of an animal a trend over days could not be seen, and p may be too small."
        )
    scores = values.table("animal_scores")
    n = 0 if scores.empty else scores.dropna(subset=["value"])["animal"].nunique()
    if n > 1:
        words.append(
            f"Detectable difference: with {n} animals a paired t test (two-sided, level 0.05) "
            f"finds a mean difference of {detectable_difference(n):.2f} SD of the animals' "
            f"differences in 80 of 100 such experiments; {FORMULA}."
        )
    return Passage("Statistics", tuple(words))


def _controls(values: RunValues) -> list[Passage]:
    """Maps, sets of regions, confounds and comparisons, as the study asked for them."""
    asked = (
        ("map", "Maps", "condition"),
        ("region_set", "Sets of regions", "name"),
        ("confounds", "Conditions set against measured confounds", "condition"),
        ("comparison", "Comparisons", "name"),
    )
    found = []
    for key, title, lead in asked:
        items = tuple(_asked(one, lead) for one in values.study.get(key, []))
        if items:
            words = _set_words(values) if key == "region_set" else ()
            found.append(Passage(title, words, items=items))
    return found


def _set_words(values: RunValues) -> tuple[str, ...]:
    """How sets of regions were ranked, where networks ranked them."""
    table = values.table("region_sets")
    judges = [] if table.empty or "judged_by" not in table else sorted(set(table["judged_by"]))
    if not any("region dropout" in str(one) for one in judges):
        return ()
    return (
        "Each set was ranked among random sets of its size that share no region with it (where the "
        "other regions make up fewer than two, sets that may share some, without a p), p = (1 + "
        "those that reach as much) / (1 + sets), by decoders of the same kind that were trained "
        "with region dropout: a part of the training windows showed a random set of the regions, "
        "of a size drawn evenly on a logarithmic scale. They were given each set alone, all other "
        "regions entering as 0. Linear decoders, refitted to each set, stand beside.",
    )


def _asked(one: Mapping[str, Any], lead: str) -> tuple[str, str]:
    """What is asked for, with its settings."""
    told = every_setting({"": {key: value for key, value in one.items() if key != lead}})
    words = "; ".join(f"{key.removeprefix('.')} {value}" for key, value, _ in told)
    return str(one.get(lead, "")), words or "with every setting as by default"


def _software(values: RunValues) -> Passage:
    versions = values.provenance.get("versions", {})
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    commit = values.provenance.get("commit")
    words = f"{told or 'Versions are unknown'}{f'; commit {commit}' if commit else ''}."
    machine = values.provenance.get("machine", {})
    on = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in machine.items())
    seeds = ", ".join(map(str, values.provenance.get("seeds", [])))
    more = (f"Machine: {on}." if on else "", f"Seeds: {seeds}." if seeds else "")
    recordings = values.provenance.get("recordings", {})
    hashes = f"Hashes of {len(recordings)} recordings are in provenance.json." if recordings else ""
    return Passage("Software", (words, *more, hashes))


def _references(values: RunValues) -> Passage:
    """Where the methods that the study used come from."""
    maps = {one.get("kind") for one in values.study.get("map", [])}
    backbones = [
        one.get("network", {}).get("backbone") or ""
        for one in values.conditions
        if one.get("input") == "movie"
    ]
    used = (
        (PUBLISHED, True),
        (DEEP_SHAP, "deep-shap" in maps),
        (HOLM, not values.table("comparisons").empty),
        (EFFICIENTNET, any(one.startswith("efficientnet") for one in backbones)),
    )
    return Passage("References", items=tuple(one for one, is_used in used if is_used))


def _questions(values: RunValues) -> Passage:
    name = headline_condition(values)
    about = f"Answers are about the condition “{name}”, the first of the study that has a score."
    rows = tuple((one.question, one.answer) for one in answer_questions(values))
    return Passage(
        "A reviewer's questions",
        (about,) if name is not None else (),
        heads=("question", "answer"),
        rows=rows,
    )


def _settings(values: RunValues) -> Passage:
    rows = tuple(every_setting(values.study))
    words = (
        "As resolved: presets and what one condition takes from another are worked in. Keys that "
        "are not here are at their default."
        if rows
        else "The study file is missing."
    )
    heads = ("key", "value", "of which") if rows else ()
    return Passage("Every setting", (words,), heads=heads, rows=rows)
