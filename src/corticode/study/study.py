"""A study file, read strictly: every fault at once, every key documented where it is read."""

import os
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from pydantic import BaseModel, ValidationError

from corticode.data.clocks import HIGHEST_HZ
from corticode.data.cues import BEHAVIOR
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.preprocess import Preprocessing
from corticode.data.readers.arrays import ArrayLocation, parse_location
from corticode.data.readers.lookup import is_file
from corticode.data.targets import Exclude, Target
from corticode.data.trials import TrialTimes
from corticode.data.windows import WindowShape
from corticode.decode.settings import LINEAR, MOVIE, Augment, Network, Training
from corticode.errors import Finding, MissingDataError, StudyError
from corticode.evaluate.confounds import behavior_control, control_names
from corticode.evaluate.region_sets import dropout_name, set_names
from corticode.explain.masks import Circle, PixelMask, read_drawn_mask
from corticode.explain.settings import KINDS, OCCLUSION, MapSettings, OwnMask, Selection
from corticode.study.conditions import Condition
from corticode.study.faults import (
    guess,
    listed,
    map_faults,
    name_faults,
    number_faults,
    schema_faults,
    start_faults,
    toml_fault,
    unit_faults,
)
from corticode.study.keys import (
    CircleKeys,
    ComparisonKeys,
    ConditionKeys,
    ConfoundKeys,
    CrossTemporalKeys,
    DataKeys,
    FoldKeys,
    GeneralisationKeys,
    LearningCurveKeys,
    MapKeys,
    NetworkKeys,
    PermutationTestKeys,
    PreprocessKeys,
    RegionSetKeys,
    SelectionKeys,
    StudyKeys,
    TargetKeys,
    TrainingKeys,
    TrialKeys,
    TrialTimeKeys,
    WindowKeys,
    unused_keys,
)
from corticode.study.steps import PreprocessedKeys, StepKeys, steps_of

# Of `[[generalisation]]`: what is left out, the folds that do so, and in words; nearest first.
WHERE_TESTED: Mapping[str, tuple[str, str]] = {
    "blocks": ("block", "within sessions"),
    "sessions": ("session", "across sessions"),
    "days": ("day", "across days"),
    "animals": ("animal", "across animals"),
}
PRESETS = ("recommended", "online", "text", "code")


# Of decoders that judge sets of regions: what needs whole windows to be found is learned from half
# of them (with all of them dropped, a gru took several times the epochs to find it).
REGION_DROPOUT = 0.5
MERGED = ("preprocess", "steps", "window", "training", "target")
# A length in one unit takes the place of that in another.
UNITS = ("_s", "_frames", "_pixels", "_fraction")
# Networks of movies that read windows of images.
RECURRENT = tuple(kind for kind in MOVIE if kind != "cnn")
# At which trials are decoded, for one condition.
MOST_LAGS = 200


@dataclass(frozen=True)
class Study:
    """A study, read and resolved.

    Parameters
    ----------
    path
        The file it came from.
    data, folds
        Its keys.
    conditions
        Its conditions with `like` and presets worked in.
    maps
        The maps that it asks for.
    confounds
        Conditions that are set against confounds, and which.
    region_sets
        Sets of regions that are asked about.
    comparisons
        Conditions that are set against each other.
    curves
        Conditions that are trained on less, too.
    generalisation
        Conditions that are tested nearer and farther, too.
    cross_temporal
        Conditions of several lags that are tested at each other's.
    unused
        Keys that the file itself gives and that do nothing.
    left_out
        Conditions of the file that are not among these, and why.
    trials
        Where trials begin, in a study that decodes trials.
    trial_times
        Conditions that are fitted at one lag after another from the events of trials.
    permutation_tests
        Conditions that are trained again with permuted labels.
    preprocess
        What is done to raw movies first, and where that is kept; None: nothing.
    """

    path: Path
    data: DataKeys
    folds: FoldKeys
    conditions: tuple[ConditionKeys, ...]
    maps: tuple[MapKeys, ...] = ()
    confounds: tuple[ConfoundKeys, ...] = ()
    region_sets: tuple[RegionSetKeys, ...] = ()
    comparisons: tuple[ComparisonKeys, ...] = ()
    curves: tuple[LearningCurveKeys, ...] = ()
    generalisation: tuple[GeneralisationKeys, ...] = ()
    cross_temporal: tuple[CrossTemporalKeys, ...] = ()
    unused: tuple[Finding, ...] = field(default=(), compare=False)
    left_out: tuple[Finding, ...] = field(default=(), compare=False)
    trials: TrialKeys | None = None
    trial_times: tuple[TrialTimeKeys, ...] = ()
    permutation_tests: tuple[PermutationTestKeys, ...] = ()
    preprocess: PreprocessedKeys | None = None

    @property
    def preprocessed_folder(self) -> Path | None:
        """Where preprocessed recordings are kept, if the study starts from raw movies."""
        return None if self.preprocess is None else self.path.parent / self.preprocess.folder

    @property
    def catalogue_path(self) -> Path:
        """The catalogue's path."""
        return self.path.parent / self.data.catalogue

    @property
    def regions_path(self) -> Path | None:
        """The region table's path, if one is named."""
        return None if self.data.regions is None else self.path.parent / self.data.regions

    @property
    def region_image(self) -> ArrayLocation | None:
        """Where the label image of regions lies, if one is named."""
        if self.data.region_image is None:
            return None
        return parse_location(self.data.region_image, self.path.parent)

    @property
    def signals(self) -> tuple[str, ...]:
        """Every behaviour signal that some condition decodes, and that at which trials begin."""
        decoded = [str(c.target.signal) for c in self.conditions if c.target is not None]
        return tuple(dict.fromkeys(decoded + ([] if self.trials is None else [self.trials.events])))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every behaviour signal that some condition is decoded from, or chooses frames by."""
        return tuple(
            dict.fromkeys(
                name for c in self.conditions for name in (*(c.behavior or ()), *_chosen_by(c))
            )
        )

    @property
    def all_signals(self) -> tuple[str, ...]:
        """Every behaviour signal that is read: what is decoded, and what is decoded from."""
        return tuple(dict.fromkeys((*self.signals, *self.columns)))

    @property
    def on_frames(self) -> dict[str, str]:
        """The rule by which each signal comes onto frames, in every session.

        What is decoded comes as its target asks, what is decoded from as the mean.
        """
        # Of what excludes frames a short event must not fall between two of them.
        excluding = [
            c.target.exclude.signal for c in self.conditions if c.target and c.target.exclude
        ]
        rules = (
            dict.fromkeys(self.columns, "mean")
            | dict.fromkeys(excluding, "any")
            | {
                str(c.target.signal): rule
                for c in self.conditions
                if c.target is not None and (rule := _rule_of(c.target)) is not None
            }
        )
        if self.trials is not None:
            # A short event must not fall between two frames.
            rule = "any" if self.trials.event_at == "rise" else "middle"
            rules.setdefault(self.trials.events, rule)
        return rules

    @property
    def events(self) -> TrialTimes | None:
        """Which column of tables of trials is their event; None where frames are decoded."""
        if self.trials is None:
            return None
        return TrialTimes(self.trials.events, self.trials.times_in)


def read_study(path: Path | str) -> Study:
    """A study from its file, with presets and `like` worked in.

    Raises
    ------
    MissingDataError
        There is no such file.
    StudyError
        Lists every fault: unknown keys (with the likely one), wrong types, names that do not
        exist, circles.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "study.toml"
    >>> _ = path.write_text('''
    ... [data]
    ... catalogue = "sessions.csv"
    ... [target]
    ... signal = "speed"
    ... above = 0.5
    ... [[condition]]
    ... name = "gru"
    ... ''')
    >>> resolve(read_study(path).conditions[0], frame_rate_hz=30.0).window.n_frames
    31
    """
    path = Path(path)
    if not is_file(path):
        raise MissingDataError(f"study file {path} does not exist; give the path of a TOML file")
    if path.suffix.lower() in (".csv", ".tsv"):
        raise StudyError(
            f"{path} is a table, not a study file; give a TOML file that names it under [data], as "
            f'in catalogue = "{path.name}"'
        )
    try:
        text = path.read_text("utf-8")
        raw = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise StudyError(f"{path} is not valid TOML: {error}; save it as UTF-8") from error
    except RecursionError as error:
        raise StudyError(
            f"{path} is not valid TOML: its brackets are nested without end; close them"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path} is not valid TOML: {toml_fault(text, error)}") from error
    except ValueError as error:
        raise StudyError(
            f"{path} holds a whole number of more than 4,300 digits; write a smaller one"
        ) from error
    except (OSError, MemoryError) as error:
        raise StudyError(f"{path} cannot be read: {error or 'it is too large'}") from error
    return study_of(raw, path)


def study_of(raw: Mapping[str, Any], path: Path) -> Study:
    """A study from its keys as they stand in a file, with presets and `like` worked in.

    Parameters
    ----------
    raw
        What a study file holds.
    path
        Where that file is, or would be: the paths in it are relative to its folder.

    Raises
    ------
    MissingDataError
        An image of a mask does not exist.
    StudyError
        Keys or values are wrong; the message lists every fault.
    """
    if too_large := list(number_faults(raw)):
        raise StudyError(listed(path, too_large))
    raw = with_controls(with_new_names(raw))
    faults = [*name_faults(raw), *unit_faults(raw, MERGED)]
    try:
        keys = StudyKeys.model_validate(raw)
    except ValidationError as error:
        raise StudyError(listed(path, schema_faults(error, raw, StudyKeys) + faults)) from error
    if faults:
        raise StudyError(listed(path, faults))
    conditions, faults = with_one_rule(_resolve_all(raw))
    faults += [fault for c in conditions if (fault := _setting_fault(c)) is not None]
    faults += start_faults(
        {c.name: c.start_from for c in conditions},
        {c.name: c.permute_labels or "none" for c in conditions},
    )
    asked_maps = tuple(_with_mask_paths(one, path.parent) for one in keys.map)
    maps = [settings_of_map(one) for one in asked_maps]
    faults += map_faults(
        [(one.name, one.condition) for one in maps],
        {c.name: c.regions.source for c in conditions if isinstance(c.regions, SelectionKeys)},
        {c.name: c.input or "traces" for c in conditions},
    )
    faults += confound_faults(keys.confounds, {c.name: c for c in conditions})
    faults += set_faults(keys.region_set, {c.name: c for c in conditions})
    faults += curve_faults(keys.learning_curve, {c.name: c for c in conditions})
    faults += further_faults(keys.generalisation, {c.name: c for c in conditions})
    faults += lag_faults(keys, {c.name: c for c in conditions})
    faults += comparison_faults(keys.comparison, {c.name: c for c in conditions})
    faults += trial_faults(keys, conditions)
    faults += step_faults(keys, conditions)
    faults += permutation_faults(keys.permutation_test, {c.name: c for c in conditions})
    faults += [f for one in maps for c in conditions if (f := _map_fault(one, c)) is not None]
    if faults:
        raise StudyError(listed(path, faults))
    conditions = [_with_weights_path(c, path.parent) for c in conditions]
    ordered = _needed_first(conditions)
    asked = tuple({one.condition: one for one in keys.confounds}.values())
    sets, compared = tuple(keys.region_set), tuple(keys.comparison)
    curves, further = tuple(keys.learning_curve), tuple(keys.generalisation)
    # A run folder's own study names every key, those of presets too.
    is_resolved = (path.parent / "provenance.json").is_file()
    unused = () if is_resolved else tuple(unused_keys(raw, conditions, keys.folds, keys.map))
    data = keys.data if is_resolved else _with_preset(keys)
    return Study(
        path,
        data,
        keys.folds,
        tuple(ordered),
        asked_maps,
        asked,
        sets,
        compared,
        curves,
        further,
        tuple(keys.cross_temporal),
        unused,
        trials=keys.trials,
        trial_times=tuple(keys.trial_time),
        permutation_tests=tuple(keys.permutation_test),
        preprocess=keys.preprocess,
    )


def _chosen_by(keys: ConditionKeys) -> Iterator[str]:
    """The signals by which a condition's frames are chosen."""
    target = keys.target or TargetKeys()
    if target.match is not None:
        yield target.match
    if target.exclude is not None:
        yield target.exclude.signal


def _with_preset(keys: StudyKeys) -> DataKeys:
    """What stands under [data], with what the study's preset says of it."""
    preset = {"bad_frames": "report"} | read_preset(keys.preset).get("data", {})
    unsaid = {k: v for k, v in preset.items() if getattr(keys.data, k) is None}
    return keys.data.model_copy(update=unsaid)


def reads_movies(keys: ConditionKeys) -> bool:
    """Whether a condition is made from movies: decoded, or for the confounds that are in them."""
    of_traces = keys.input in (None, "traces", "frame-number", BEHAVIOR)
    removed = None if keys.preprocess is None else keys.preprocess.regress_out
    return not of_traces or removed not in (None, "none")


def of_input(study: Study, which: str) -> Study:
    """The part of a study that decodes traces and opens no movie, or that decodes movies.

    Parameters
    ----------
    study
        The study.
    which
        ``"traces"`` or ``"movies"``.

    Raises
    ------
    StudyError
        There is no such condition.
    """
    others = [
        c.name
        for c in study.conditions
        if (reads_movies(c) if which == "traces" else c.input != "movie")
    ]
    found, _ = without_conditions(study, others)
    if not found.conditions:
        raise StudyError(
            f"{study.path}: no condition decodes {which} alone; leave --{which}-only out"
        )
    return found


def _still_asked(asked: ConfoundKeys, gone: Collection[str]) -> ConfoundKeys | None:
    """What can still be asked of a condition's confounds without some conditions; None: nothing."""
    measured = asked.measured and not {*control_names(asked.condition)} & {*gone}
    behavior = [] if behavior_control(asked.condition) in gone else asked.behavior
    if asked.condition in gone or not (measured or behavior):
        return None
    return asked.model_copy(update={"measured": measured, "behavior": behavior})


def without_conditions(study: Study, names: Collection[str]) -> tuple[Study, tuple[str, ...]]:
    """A study without some conditions, and without what is asked of them.

    Maps, confounds and sets of regions of a condition go with it, and conditions that start from
    it, or take regions from it. A comparison loses a condition, and goes where it has no pair left.

    Parameters
    ----------
    study
        The study.
    names
        The conditions to leave out.

    Returns
    -------
    Study
        What is left; it may have no condition.
    tuple of str
        The conditions that are left out, in the order of the study.
    """
    gone = {*names}
    # What a study adds beside a condition is of no use without it.
    for lost in gone & {one.condition for one in study.confounds}:
        gone |= {*control_names(lost), behavior_control(lost)}
    for asked in study.region_sets:
        if asked.condition in gone:
            gone |= {*set_names(asked.condition, asked.name)}
    gone |= {name for curve in study.curves if curve.condition in gone for name in names_of(curve)}
    gone |= {
        n for one in study.permutation_tests if one.condition in gone for n in permutations_of(one)
    }
    for keys in study.conditions:
        # Whatever a condition needs stands before it.
        source = keys.regions.source if isinstance(keys.regions, SelectionKeys) else None
        if gone & {keys.start_from, source}:
            gone.add(keys.name)
    compared = []
    for one in study.comparisons:
        kept = [name for name in one.conditions if name not in gone]
        if one.against not in gone and len({*kept, one.against} - {None}) > 1:
            compared.append(one.model_copy(update={"conditions": kept}))
    lags = []
    for sweep in study.cross_temporal:
        kept = [name for name in sweep.conditions if name not in gone]
        if len(kept) > 1:
            lags.append(sweep.model_copy(update={"conditions": kept}))
    confounds = [left for one in study.confounds if (left := _still_asked(one, gone)) is not None]
    sets = tuple(
        keys
        for keys in study.region_sets
        if not gone & {keys.condition, *set_names(keys.condition, keys.name)}
    )
    found = replace(
        study,
        conditions=tuple(c for c in study.conditions if c.name not in gone),
        maps=tuple(one for one in study.maps if one.condition not in gone),
        confounds=tuple(confounds),
        region_sets=sets,
        comparisons=tuple(compared),
        curves=tuple(one for one in study.curves if one.condition not in gone),
        generalisation=tuple(c for c in study.generalisation if c.condition not in gone),
        cross_temporal=tuple(lags),
        permutation_tests=tuple(c for c in study.permutation_tests if c.condition not in gone),
    )
    return found, tuple(c.name for c in study.conditions if c.name in gone)


def with_one_rule(
    conditions: Sequence[ConditionKeys],
) -> tuple[list[ConditionKeys], list[str]]:
    """Conditions that decode one signal given one rule by which it comes onto frames, and faults.

    What one of them states holds for all. Where none does and they differ, classes ask for the
    category in the middle, and a signal of 0 and 1 stays one.
    """
    rules: dict[str, list[tuple[str, str | None, str]]] = {}
    for c in conditions:
        if c.target is not None and c.target.signal is not None:
            rule = _rule_of(c.target)
            if rule is not None:
                rules.setdefault(c.target.signal, []).append((c.name, c.target.on_frames, rule))
    faults, settled = [], {}
    for signal, asked in rules.items():
        stated = {rule: name for name, rule, _ in asked if rule is not None}
        if len(stated) > 1:
            said = " and ".join(f"{rule!r} in {name!r}" for rule, name in stated.items())
            faults.append(
                f"target on_frames of signal {signal!r} is {said}; a signal comes onto frames by "
                "one rule in all conditions: state one"
            )
        found = {rule for *_, rule in asked}
        if stated:
            settled[signal] = next(iter(stated))
        elif len(found) > 1:
            settled[signal] = "middle" if "middle" in found else "any"
    if faults:
        return list(conditions), faults
    return [_with_rule(c, settled) for c in conditions], []


def _with_rule(keys: ConditionKeys, settled: Mapping[str, str]) -> ConditionKeys:
    if keys.target is None or keys.target.signal not in settled:
        return keys
    target = keys.target.model_copy(update={"on_frames": settled[str(keys.target.signal)]})
    return keys.model_copy(update={"target": target})


def _rule_of(keys: TargetKeys) -> str | None:
    """The rule by which a target's signal comes onto frames; None where the target cannot be."""
    try:
        return Target(
            str(keys.signal), keys.kind or "binary", keys.above, on_frames=keys.on_frames
        ).frame_rule
    except StudyError:
        return None


def _with_weights_path(keys: ConditionKeys, folder: Path) -> ConditionKeys:
    """A condition whose file of weights is named in full."""
    network = keys.network
    if network is None or network.weights in (None, "imagenet", "none"):
        return keys
    path = _in_full(folder, str(network.weights))
    return keys.model_copy(update={"network": network.model_copy(update={"weights": str(path)})})


def _in_full(folder: Path, name: str) -> str:
    """A path without links; one that can be none, for the character NUL in it, as it is."""
    whole = folder / name
    return str(whole) if "\0" in name else os.path.realpath(whole)


def _with_mask_paths(keys: MapKeys, folder: Path) -> MapKeys:
    """A map whose drawn masks are named in full."""
    if not isinstance(keys.masks, dict):
        return keys
    masks = {
        name: _in_full(folder, one) if isinstance(one, str) else one
        for name, one in keys.masks.items()
    }
    return keys.model_copy(update={"masks": masks})


def _needed_first(conditions: Sequence[ConditionKeys]) -> list[ConditionKeys]:
    """Conditions in their order, but none before those that it starts or takes regions from.

    Raises
    ------
    StudyError
        They need each other.
    """
    ordered: list[ConditionKeys] = []
    left = list(conditions)
    while left:
        done = {c.name for c in ordered}
        ready = next((c for c in left if needed_conditions(c) <= done), None)
        if ready is None:
            names = ", ".join(repr(c.name) for c in left)
            raise StudyError(
                f"conditions {names} start or take regions from each other in a circle; one of "
                "them must stand alone"
            )
        ordered.append(ready)
        left.remove(ready)
    return ordered


def needed_conditions(keys: ConditionKeys) -> set[str]:
    """The conditions whose decoders must be there before a condition can be fitted."""
    needed = set() if keys.start_from is None else {keys.start_from}
    return needed | ({keys.regions.source} if isinstance(keys.regions, SelectionKeys) else set())


def with_controls(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A study's content with the conditions that its other tables ask for beside one."""
    conditions = raw.get("condition")
    if not isinstance(conditions, list):
        return dict(raw)
    names = [c.get("name") for c in conditions if isinstance(c, Mapping)]
    added: dict[str, dict[str, Any]] = {}
    asked_for = (
        *_confound_controls(raw),
        *_set_controls(raw),
        *_curve_conditions(raw),
        *_further_folds(raw),
        *_lag_conditions(raw),
        *_permutation_conditions(raw),
    )
    for name, asked, keys in asked_for:
        if asked in names and name not in names:
            added.setdefault(name, {"name": name, "like": asked} | keys)
    return {**raw, "condition": [*conditions, *added.values()]}


def _tables_of(raw: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The tables of one name that name a condition, as far as they can be read."""
    given = raw.get(key)
    tables = given if isinstance(given, list) else []
    return [t for t in tables if isinstance(t, Mapping) and isinstance(t.get("condition"), str)]


def _confound_controls(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, condition that it is like, and own keys of each condition that confounds need."""
    for table in _tables_of(raw, "confounds"):
        asked, columns = table["condition"], table.get("behavior")
        alone, removed = control_names(asked)
        # What is taken out of traces is not taken out of confounds.
        plain = {"regress_out": "none"}
        if table.get("measured", True):
            yield alone, asked, {"input": "confounds", "regions": "all", "preprocess": plain}
            # Pixels are not cleaned: of movies nothing is refitted, and nothing claimed.
            if not _sees_movies(raw, asked):
                yield removed, asked, {"preprocess": {"regress_out": "confounds"}}
        if isinstance(columns, list) and columns:
            # Licks, mostly 0, have no median deviation to be scaled by.
            scaled = plain | {"scale": "z-score"}
            own = {"input": BEHAVIOR, "behavior": columns, "regions": "all", "preprocess": scaled}
            yield behavior_control(asked), asked, own


def _sees_movies(raw: Mapping[str, Any], name: str) -> bool:
    """Whether a condition decodes movies, itself or by what it is like; read before it is checked.

    A condition is like another until one says what it sees, or a circle closes.
    """
    given = {str(c.get("name")): c for c in raw["condition"] if isinstance(c, Mapping)}
    seen: set[str] = set()
    while name in given and name not in seen and "input" not in given[name]:
        seen.add(name)
        name = str(given[name].get("like"))
    return name in given and given[name].get("input") == "movie"


def with_new_names(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """What older studies call `[[artefacts]]` is `[[confounds]]`."""
    old = raw.get("artefacts")
    if not isinstance(old, list) or "confounds" in raw:
        return raw
    return {k: v for k, v in raw.items() if k != "artefacts"} | {"confounds": old}


def _set_controls(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The same of each condition that a set of regions needs."""
    for table in _tables_of(raw, "region_set"):
        regions, name = table.get("regions"), table.get("name")
        if isinstance(regions, list) and regions and isinstance(name, str):
            without, only = set_names(table["condition"], name)
            yield without, table["condition"], {"regions": ["not", *regions]}
            yield only, table["condition"], {"regions": regions}
            # A linear decoder is refitted to each set, and needs no such training.
            if table.get("n_sets") != 0 and _network_kind(raw, table["condition"]) not in LINEAR:
                augment = {"augment": {"region_dropout": REGION_DROPOUT}}
                yield dropout_name(table["condition"]), table["condition"], {"training": augment}


def _network_kind(raw: Mapping[str, Any], name: str) -> str:
    """The kind of a condition's network, as far as the file's own keys tell."""
    given = {c["name"]: c for c in _named_tables(raw)}
    seen: set[str] = set()
    while name in given and name not in seen:
        seen.add(name)
        network = given[name].get("network")
        if isinstance(network, Mapping):
            return str(network.get("kind", ""))
        name = str(given[name].get("like", ""))
    return ""


def _named_tables(raw: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The conditions of a file that have a name."""
    given = raw.get("condition")
    tables = given if isinstance(given, list) else []
    return [t for t in tables if isinstance(t, Mapping) and isinstance(t.get("name"), str)]


def _curve_conditions(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The same of each point of a learning curve."""
    for table in _tables_of(raw, "learning_curve"):
        for key, own in (("animals", "train_animals"), ("minutes", "train_minutes")):
            given = table.get(key)
            for amount in given if isinstance(given, list) else ():
                if isinstance(amount, int | float) and not isinstance(amount, bool):
                    name = curve_name(table["condition"], key, amount)
                    yield name, table["condition"], {own: amount}


def _further_folds(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The same of each kind of fold that a condition is asked to carry over."""
    folds = raw.get("folds")
    by = folds.get("by", "animal") if isinstance(folds, Mapping) else "animal"
    given = raw.get("condition")
    own = {c.get("name"): c for c in given if isinstance(c, Mapping)} if given else {}
    for table in _tables_of(raw, "generalisation"):
        itself = own.get(table["condition"], {}).get("folds_by", by)
        across = table.get("across", ["blocks", "sessions", "animals"])
        for what in across if isinstance(across, list) else ():
            if what in WHERE_TESTED and WHERE_TESTED[what][0] != itself:
                own_by, words = WHERE_TESTED[what]
                name = f"{table['condition']}: {words}"
                yield name, table["condition"], {"folds_by": own_by}


def tested_of(keys: GeneralisationKeys, study: Study) -> dict[str, str]:
    """The conditions of a question of generalisation, by where each is tested, nearest first.

    Examples
    --------
    >>> list(WHERE_TESTED.values())[-1]
    ('animal', 'across animals')
    """
    own = next(c for c in study.conditions if c.name == keys.condition)
    itself = own.folds_by or study.folds.by
    return {
        words: keys.condition if by == itself else f"{keys.condition}: {words}"
        for what, (by, words) in WHERE_TESTED.items()
        if what in keys.across
    }


def further_faults(
    asked: Sequence[GeneralisationKeys], conditions: Mapping[str, ConditionKeys]
) -> Iterator[str]:
    """Questions of generalisation that cannot be asked, and why."""
    for one in asked:
        where = f"[[generalisation]] of {one.condition!r}"
        if one.condition not in conditions:
            yield f"{where}: that is no condition{guess(one.condition, list(conditions))}"
        elif conditions[one.condition].folds is not None:
            yield f"{where}: it names its own folds, which others do not have; leave folds out"
        if len(set(one.across)) < 2:
            yield f"{where} names one kind of fold; give two, as across = ['sessions', 'animals']"


def lag_faults(keys: StudyKeys, conditions: Mapping[str, ConditionKeys]) -> Iterator[str]:
    """Sweeps of lags that cannot be tested at each other's, and why."""
    for one in keys.cross_temporal:
        where = f"[[cross_temporal]] {one.name!r}"
        if keys.trials is not None:
            yield f"{where}: a trial has one label at every lag; leave [trials] or this table out"
        if len(one.conditions) < 2:
            yield f"{where} names one condition; give two, of different shifts"
        for name in dict.fromkeys(one.conditions):
            if name not in conditions:
                near = guess(name, list(conditions))
                yield f"{where} names {name!r}, which is no condition{near}"
            elif one.conditions.count(name) > 1:
                yield f"{where} names {name!r} more than once; give each condition once"
        known = [conditions[name] for name in one.conditions if name in conditions]
        for other in known[1:]:
            if _without_shift(other) != _without_shift(known[0]):
                yield (
                    f"{where}: {known[0].name!r} and {other.name!r} differ in more than their "
                    "shift; give conditions that are alike but for window.shift"
                )


def _without_shift(keys: ConditionKeys) -> dict[str, Any]:
    """What conditions of one sweep of shifts have in common."""
    plain = keys.model_dump(exclude={"name": True, "training": {"keep_train"}})
    of_shift = ("shift", "shift_s")
    window = {k: v for k, v in (plain["window"] or {}).items() if k not in of_shift}
    return plain | {"window": window}


def names_of(curve: LearningCurveKeys) -> dict[str, tuple[str, float]]:
    """The conditions of a learning curve: what each varies, and the amount."""
    return {
        curve_name(curve.condition, varied, amount): (varied, amount)
        for varied, amounts in (("animals", curve.animals), ("minutes", curve.minutes))
        for amount in amounts
    }


def curve_name(condition: str, varied: str, amount: float) -> str:
    """The condition that is trained on less.

    Examples
    --------
    >>> curve_name("gru", "animals", 1), curve_name("gru", "minutes", 2.5)
    ('gru: 1 training animal', 'gru: 2.5 min an animal')
    """
    if varied == "minutes":
        return f"{condition}: {amount:g} min an animal"
    return f"{condition}: {amount:g} training animal{'s' * (amount != 1)}"


def curve_faults(
    curves: Sequence[LearningCurveKeys], conditions: Mapping[str, ConditionKeys]
) -> Iterator[str]:
    """Learning curves that cannot be drawn, and why."""
    for one in curves:
        where = f"[[learning_curve]] of {one.condition!r}"
        if one.condition not in conditions:
            yield f"{where}: that is no condition{guess(one.condition, list(conditions))}"
        elif conditions[one.condition].train_animals or conditions[one.condition].train_minutes:
            yield f"{where}: it is itself trained on a part; take one that is trained on everything"
        if not one.animals and not one.minutes:
            yield f"{where} varies nothing; give animals = [1, 2] or minutes = [2, 5, 10]"


def _lag_conditions(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The same of each lag at which trials are decoded."""
    for table in _tables_of(raw, "trial_time"):
        with suppress(ValidationError, StudyError):  # which is said of the whole file
            keys = TrialTimeKeys.model_validate(table)
            for lag, name in lags_of(keys).items():
                # The target's frame is that of the event: a window behind it looks ahead.
                shift = "shift" if keys.first_s is None else "shift_s"
                yield name, keys.condition, {"window": {shift: -lag or 0}}


def _permutation_conditions(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The same of each permutation of labels with which a condition is trained again."""
    how = "trials" if "trials" in raw else "any-session"
    for table in _tables_of(raw, "permutation_test"):
        with suppress(ValidationError):  # which is said of the whole file
            keys = PermutationTestKeys.model_validate(table)
            for k, name in enumerate(permutations_of(keys), start=1):
                yield name, keys.condition, {"permute_labels": how, "permutation": k}


def permutations_of(keys: PermutationTestKeys) -> list[str]:
    """What the conditions of a permutation test are called.

    Examples
    --------
    >>> permutations_of(PermutationTestKeys(condition="gru", n_permutations=2))
    ['gru: permutation 1', 'gru: permutation 2']
    """
    return [f"{keys.condition}: permutation {k}" for k in range(1, keys.n_permutations + 1)]


def permutation_faults(
    asked: Sequence[PermutationTestKeys], conditions: Mapping[str, ConditionKeys]
) -> Iterator[str]:
    """Permutation tests that cannot be made, and why."""
    for one in asked:
        where = f"[[permutation_test]] of {one.condition!r}"
        keys = conditions.get(one.condition)
        if keys is None:
            yield f"{where}: that is no condition{guess(one.condition, list(conditions))}"
        elif keys.permute_labels not in (None, "none"):
            yield f"{where}: its labels are permuted already; give a condition of true labels"
        elif keys.start_from is not None or isinstance(keys.regions, SelectionKeys):
            yield (
                f"{where}: it starts, or takes regions, from a condition that has seen the true "
                "labels; give one that stands alone"
            )
        if sum(other.condition == one.condition for other in asked) > 1:
            yield f"{where} stands twice; ask once"


def lags_of(keys: TrialTimeKeys) -> dict[float, str]:
    """The lags at which trials are decoded, and what the condition of each is called.

    Raises
    ------
    StudyError
        They are not given in seconds or in frames, or are too many.

    Examples
    --------
    >>> lags_of(TrialTimeKeys(condition="gru", first_s=-0.5, last_s=0.5, step_s=0.5))
    {-0.5: 'gru at -0.5 s', 0.0: 'gru at +0 s', 0.5: 'gru at +0.5 s'}
    """
    where = f"[[trial_time]] of {keys.condition!r}"
    in_s = (keys.first_s, keys.last_s, keys.step_s)
    in_frames = (keys.first_frames, keys.last_frames, keys.step_frames)
    given, unit = (in_s, "s") if keys.first_s is not None else (in_frames, "frames")
    others = in_frames if unit == "s" else in_s
    if None in given or any(one is not None for one in others):
        raise StudyError(
            f"{where} needs first_s, last_s and step_s, or first_frames, last_frames and "
            "step_frames; give the three of one unit"
        )
    first, last, step = (float(one or 0) for one in given)
    n_lags = int(np.floor((last - first) / step + 1e-6)) + 1
    if not 1 <= n_lags <= MOST_LAGS:
        raise StudyError(
            f"{where} asks for {max(n_lags, 0)} lags from {first:g} to {last:g} {unit}; between 1 "
            f"and {MOST_LAGS} are possible: change the step or the ends"
        )
    lags = [round(first + k * step, 6) for k in range(n_lags)]
    lags = lags if unit == "s" else [int(lag) for lag in lags]
    return {lag: f"{keys.condition} at {lag or 0:+g} {unit}" for lag in lags}


def trial_faults(keys: StudyKeys, conditions: Sequence[ConditionKeys]) -> Iterator[str]:
    """What trials cannot be asked, and what cannot be asked without them."""
    named = {c.name: c for c in conditions}
    for one in keys.trial_time:
        if one.condition not in named:
            near = guess(one.condition, list(named))
            yield f"[[trial_time]] asks about {one.condition!r}, which is no condition{near}"
        elif keys.trials is None:
            yield "[[trial_time]] asks when trials can be decoded; give [trials] events"
        else:
            try:
                lags_of(one)
            except StudyError as error:
                yield str(error)
    if keys.trials is not None and keys.confounds:
        yield "[[confounds]] are removed from what frames are labelled with; leave [trials] out"
    for c in conditions:
        fault = _trial_fault(c, keys.trials)
        if fault is not None:
            yield f"condition {c.name!r} {fault}"


def step_faults(keys: StudyKeys, conditions: Sequence[ConditionKeys]) -> Iterator[str]:
    """Steps of preprocessing that cannot be, or that come before what does not fit them."""
    for c in conditions:
        if keys.preprocess is None and c.steps is not None:
            yield (
                f"condition {c.name!r} has steps, and the study has no [preprocess] that they "
                "could change; add that table"
            )
        elif c.steps is not None:
            try:
                # Whether there is a reference channel is known with the recordings.
                steps_of(c.steps, has_reference=True)
            except StudyError as error:
                yield f"condition {c.name!r}: {error}"
        correction = None if c.preprocess is None else c.preprocess.correction
        if c.steps is not None and correction == "reference-regression":
            yield (
                f"condition {c.name!r} takes blood out of corrected movies, which have no "
                "reference channel any more; leave correction = 'reference-regression' out: blood "
                "is taken out by [preprocess] blood"
            )


def _trial_fault(keys: ConditionKeys, trials: TrialKeys | None) -> str | None:
    """What a condition says of trials that its study does not, or cannot be of trials."""
    events, permuted = (keys.target or TargetKeys()).events, keys.permute_labels
    if trials is None and events is not None:
        return "decodes trials; say where they begin: [trials] events"
    if trials is None and permuted == "trials":
        return (
            "permutes the labels of trials, and there are none; give [trials] events, or another "
            "permute_labels"
        )
    if trials is None:
        return None
    if events != trials.events:
        return (
            f"has target events = {events!r}, and [trials] has {trials.events!r}; a study has one "
            "event, so make a study of the other"
        )
    if permuted not in (None, "none", "trials"):
        return (
            f"has permute_labels = {permuted!r}; labels of trials change places among the trials "
            "of a session: give 'trials'"
        )
    return None


def settings_of_map(keys: MapKeys) -> MapSettings:
    """A map's settings, its name filled in."""
    given = keys.model_dump()
    masks = keys.masks
    if isinstance(masks, dict):
        given["masks"] = tuple((name, _mask_of(one)) for name, one in masks.items())
    return MapSettings(**given | {"name": keys.name or keys.kind})


def _mask_of(keys: list[int | str] | CircleKeys | str) -> tuple[int | str, ...] | PixelMask:
    """A mask of a study's own: regions, a circle, or an image that is read here."""
    if isinstance(keys, list):
        return tuple(keys)
    if isinstance(keys, CircleKeys):
        return Circle(keys.row, keys.column, keys.radius)
    return read_drawn_mask(Path(keys))


def confound_faults(
    asked: Sequence[ConfoundKeys], conditions: Mapping[str, ConditionKeys]
) -> Iterator[str]:
    """Conditions whose confounds cannot be analysed, and why."""
    for one in asked:
        name, where = one.condition, f"[[confounds]] asks about {one.condition!r}"
        keys = conditions.get(name)
        if keys is None:
            yield f"{where}, which is no condition{guess(name, list(conditions))}"
            continue
        if keys.input not in (None, "traces", "movie") or keys.permute_labels not in (None, "none"):
            yield f"{where}; give a condition of traces or movies, and of true labels"
        elif keys.regions not in (None, "all"):
            yield f"{where}, which sees some regions; give one of all"
        if any(other.condition == name and other != one for other in asked):
            yield f"{where} more than once, each time otherwise; ask once"
        if not one.measured and not one.behavior:
            yield f"{where} without confounds (measured = false); name columns as behavior"
        if len(set(one.behavior)) < len(one.behavior):
            yield f"{where}, and behavior names a column twice; name each once"
        if keys.target is not None and keys.target.signal in one.behavior:
            yield (
                f"{where}, and behavior names {keys.target.signal!r}, which is what is decoded; "
                "leave it out"
            )


def set_faults(
    sets: Sequence[RegionSetKeys], conditions: Mapping[str, ConditionKeys]
) -> Iterator[str]:
    """Sets of regions that cannot be asked about, and why."""
    named = [(one.condition, one.name) for one in sets]
    for condition, name in dict.fromkeys(pair for pair in named if named.count(pair) > 1):
        yield f"several region sets of {condition!r} are named {name!r}; give each its own name"
    for one in sets:
        where = f"region set {one.name!r}"
        keys = conditions.get(one.condition)
        if keys is None:
            near = guess(one.condition, list(conditions))
            yield f"{where} is of {one.condition!r}, which is no condition{near}"
        elif keys.input not in (None, "traces") or keys.regions not in (None, "all"):
            yield f"{where} is of {one.condition!r}; give one of traces that sees all regions"
        elif one.regions[0] == "not":
            yield f"{where} begins with 'not'; name the regions that are in it"
        judge = conditions.get(dropout_name(one.condition))
        if one.n_sets and judge is not None and not _drops_regions(judge):
            yield (
                f"{where} is judged by condition {judge.name!r}, which drops no regions; give it "
                "training = { augment = { region_dropout = 0.5 } }, or another name"
            )


def _drops_regions(keys: ConditionKeys) -> bool:
    augment = keys.training and keys.training.augment
    return bool(augment and augment.region_dropout)


def comparison_faults(
    comparisons: Sequence[ComparisonKeys], conditions: Mapping[str, ConditionKeys]
) -> Iterator[str]:
    """Conditions that cannot be set against each other, and why."""
    for one in comparisons:
        where = f"comparison {one.name!r}"
        named = [*one.conditions, *([] if one.against is None else [one.against])]
        known = [conditions[name] for name in named if name in conditions]
        if len(named) < 2:
            yield f"{where} names one condition; give two, or name another as 'against'"
        for name in dict.fromkeys(named):
            if name not in conditions:
                near = guess(name, list(conditions))
                yield f"{where} names {name!r}, which is no condition{near}"
            elif named.count(name) > 1:
                yield f"{where} names {name!r} more than once; give each condition once"
        kinds = {(c.target or TargetKeys()).kind == "value" for c in known}
        if len(kinds) > 1:
            yield f"{where}: classes and values have no score in common; compare conditions of one"
        elif (other := next((c for c in known if c.target != known[0].target), None)) is not None:
            yield (
                f"{where}: {known[0].name!r} and {other.name!r} decode other labels "
                f"({_target_difference(known[0], other)}); compare conditions of one target"
            )


def _target_difference(a: ConditionKeys, b: ConditionKeys) -> str:
    """What two targets say otherwise, in words."""
    of_a, of_b = ((one.target or TargetKeys()).model_dump() for one in (a, b))
    keys = [key for key in of_a if of_a[key] != of_b[key]]
    return ", ".join(f"target.{key} {of_a[key]!r} and {of_b[key]!r}" for key in keys)


def _map_fault(asked: MapSettings, keys: ConditionKeys) -> str | None:
    """Why a map of a condition cannot be made; None where it can, or is of another condition."""
    if asked.condition != keys.name:
        return None
    sees_movies = keys.input == "movie"
    where = f"map {asked.name!r} of {keys.name!r}"
    if sees_movies and not KINDS[asked.kind].of_movies:
        return (
            f"{where}: Deep SHAP has no rule for CNNs; take kind = 'expected-gradients' or "
            "'occlusion'"
        )
    target = keys.target or TargetKeys()
    if target.kind == "classes" and asked.kind != OCCLUSION and asked.of_class is None:
        return f"{where}: the target has several classes; say which with of_class"
    of_pixels = asked.masks in ("squares", "limb-squares") or asked.fill == "neighbours"
    if asked.kind == OCCLUSION and of_pixels and not sees_movies:
        return f"{where}: squares and the fill 'neighbours' are for movies; take masks = 'regions'"
    if asked.kind == OCCLUSION and sees_movies and asked.masks == "regions":
        return f"{where}: regions are for traces; take masks = 'squares' or 'limb-squares'"
    if asked.kind == OCCLUSION and isinstance(asked.masks, tuple):
        return _own_mask_fault(where, asked.masks, sees_movies=sees_movies)
    return None


def _own_mask_fault(where: str, masks: Sequence[OwnMask], *, sees_movies: bool) -> str | None:
    """Why masks of a study's own do not suit a decoder's input; None where they do."""
    if not masks:
        return f"{where}: there is no mask to cover with; give one at least"
    if sees_movies and any(isinstance(one, tuple) for _, one in masks):
        return f"{where}: sets of regions are for traces; take squares, circles or images"
    if not sees_movies and not all(isinstance(one, tuple) for _, one in masks):
        return f"{where}: circles and images are for movies; take sets of regions"
    return None


def resolve(keys: ConditionKeys, frame_rate_hz: float | None) -> Condition:
    """A condition with its lengths in frames.

    Raises
    ------
    StudyError
        A length is in seconds and the frame rate is not known, or is less than half a frame, or a
        value is not possible.
    """
    lost = list(_lengths_of_no_frame(keys, frame_rate_hz))
    if lost:
        raise StudyError(f"condition {keys.name!r}: {'; '.join(lost)}")
    return _resolved(keys, frame_rate_hz)


def network_of(keys: ConditionKeys) -> Network:
    """The network of a condition."""
    return Network(**_given(**(keys.network or NetworkKeys()).model_dump()))


def _resolved(keys: ConditionKeys, frame_rate_hz: float | None) -> Condition:
    """What `resolve` returns, whatever lengths in seconds come to."""
    preprocess = keys.preprocess or PreprocessKeys()
    window, target = keys.window or WindowKeys(), keys.target or TargetKeys()
    training = keys.training or TrainingKeys()

    def frames(group: BaseModel, name: str, suffix: str = "_frames") -> int | None:
        return _in_frames(keys.name, group, name, frame_rate_hz, suffix)

    lengths = ("minimum_bout", "minimum_gap", "exclude_transition", "smooth", "label_after")
    return Condition(
        keys.name,
        preprocessing_of(preprocess, frame_rate_hz, keys.name),
        WindowShape(**_given(**{k: frames(window, k, "") for k in ("before", "after", "shift")})),
        network_of(keys),
        Training(
            **_given(
                **training.model_dump(exclude={"keep_train", "penalty", "augment"}),
                penalty=tuple(training.penalty)
                if isinstance(training.penalty, list)
                else training.penalty,
                augment=None
                if training.augment is None
                else Augment(**_given(**training.augment.model_dump())),
            )
        ),
        Target(
            **_given(
                signal=target.signal,
                kind=target.kind,
                above=target.above,
                absolute=target.absolute,
                hysteresis=target.hysteresis,
                on_frames=target.on_frames,
                events=target.events,
                event_at=target.event_at,
                times_in=target.times_in,
                match=target.match,
                exclude=None
                if target.exclude is None
                else Exclude(
                    **_given(
                        **target.exclude.model_dump(include={"signal", "above", "at"}),
                        within_frames=frames(target.exclude, "within"),
                    )
                ),
                **{f"{name}_frames": frames(target, name) for name in lengths},
            )
        ),
        tuple(keys.regions) if isinstance(keys.regions, list) else None,
        None if keys.permute_labels in (None, "none") else keys.permute_labels,
        bool(training.keep_train),
        keys.input or "traces",
        # Without a reference its filter has no length, and needs no frame rate.
        _pixels(
            keys,
            frames(preprocess, "lowpass")
            if preprocess.correction == "reference-regression"
            else None,
            frames(preprocess, "detrend") or None,
        )
        if keys.input == "movie"
        else None,
        keys.start_from,
        None if keys.folds is None else tuple(keys.folds),
        Selection(**keys.regions.model_dump()) if isinstance(keys.regions, SelectionKeys) else None,
        tuple(keys.behavior or ()),
        keys.train_animals,
        _frames_of_minutes(keys, frame_rate_hz),
        folds_by=keys.folds_by,
        train_groups=None if keys.train_groups is None else tuple(keys.train_groups),
        test_groups=None if keys.test_groups is None else tuple(keys.test_groups),
        permutation=keys.permutation,
    )


def _frames_of_minutes(keys: ConditionKeys, frame_rate_hz: float | None) -> int | None:
    """`train_minutes` in frames.

    Raises
    ------
    StudyError
        The frame rate is not known.
    """
    if keys.train_minutes is None:
        return None
    if frame_rate_hz is None:
        raise StudyError(
            f"condition {keys.name!r}: train_minutes = {keys.train_minutes:g} needs the frame "
            "rate; give frame_rate_hz in the catalogue"
        )
    return round(60 * keys.train_minutes * frame_rate_hz)


def _lengths_of_no_frame(keys: ConditionKeys, frame_rate_hz: float | None) -> Iterator[str]:
    """Lengths in seconds that would be no frame at all, although they are not 0."""
    if frame_rate_hz is None:
        return
    for group, suffix in (
        (keys.window, ""),
        (keys.target, "_frames"),
        (keys.preprocess, "_frames"),
        (keys.target and keys.target.exclude, "_frames"),
    ):
        for name, seconds in {} if group is None else group.model_dump(exclude_none=True).items():
            if name.endswith("_s") and seconds and not round(seconds * frame_rate_hz):
                yield _no_frame(name, seconds, frame_rate_hz) + (
                    f", or {name.removesuffix('_s')}{suffix} = 0 if none is meant"
                )
    detrend = keys.preprocess and _in_frames(keys.name, keys.preprocess, "detrend", frame_rate_hz)
    if detrend == 1:
        yield (
            "detrending is over 1 frame, and a frame minus its own mean is 0; "
            "give more frames, or detrend_frames = 0: not at all"
        )


def _no_frame(name: str, seconds: float, frame_rate_hz: float) -> str:
    return (
        f"{name} = {seconds:g} is less than half a frame at {frame_rate_hz:.4g} Hz; give at least "
        f"{1 / frame_rate_hz:.3g} s, one frame"
    )


def preprocessing_of(
    preprocess: PreprocessKeys, frame_rate_hz: float | None, condition: str = ""
) -> Preprocessing:
    """What is done to the traces of a condition, lengths in frames.

    Raises
    ------
    StudyError
        A length is in seconds and the frame rate is not known.
    """
    return Preprocessing(
        **_given(
            detrend_frames=_in_frames(condition, preprocess, "detrend", frame_rate_hz) or None,
            smooth_frames=_in_frames(condition, preprocess, "smooth", frame_rate_hz) or None,
            causal=preprocess.causal,
            scale=preprocess.scale,
            scale_over=preprocess.scale_over,
            regress_out=preprocess.regress_out,
        )
    )


def _in_frames(
    condition: str,
    group: BaseModel,
    name: str,
    frame_rate_hz: float | None,
    suffix: str = "_frames",
) -> int | None:
    """A length in frames, given so or in seconds."""
    seconds = getattr(group, f"{name}_s")
    if seconds is None:
        given: int | None = getattr(group, name + suffix)
        return given
    if frame_rate_hz is None:
        raise StudyError(
            f"condition {condition!r}: {name}_s is in seconds, but the catalogue has no "
            f"frame_rate_hz; add it, or give {name}{suffix}"
        )
    return round(float(seconds) * frame_rate_hz)


def _pixels(
    keys: ConditionKeys, lowpass_frames: int | None, detrend_frames: int | None
) -> PixelPreprocessing:
    """What is done to the movies of a condition.

    Raises
    ------
    StudyError
        It is not stated what is done about blood.
    """
    preprocess = keys.preprocess or PreprocessKeys()
    correction = preprocess.correction or (None if keys.steps is None else "done-elsewhere")
    if correction is None:
        raise StudyError(
            "it decodes movies, so state what is done about blood: preprocess = { correction = "
            "'reference-regression' } where there is a reference channel, 'done-elsewhere' or "
            "'none'"
        )
    return PixelPreprocessing(
        **_given(
            scale=preprocess.pixel_scale,
            mask=preprocess.mask,
            correction=correction,
            lowpass_frames=lowpass_frames,
            causal=preprocess.causal,
            detrend_frames=detrend_frames,
        )
    )


def gap_frames(
    study: Study, window: WindowShape, frame_rate_hz: float | None, *, margin: int = 0
) -> int:
    """Frames left out between blocks: as given, else the window's length + |shift|.

    A window of a movie has a `margin` of one frame on both sides.
    """
    folds = study.folds
    if folds.gap_s is not None:
        if frame_rate_hz is None:
            raise StudyError("[folds] gap_s needs frame_rate_hz in the catalogue; give gap_frames")
        if folds.gap_s and not round(folds.gap_s * frame_rate_hz):
            raise StudyError(_no_frame("[folds] gap_s", folds.gap_s, frame_rate_hz))
        return round(folds.gap_s * frame_rate_hz)
    if folds.gap_frames is not None:
        return folds.gap_frames
    return window.n_frames + 2 * margin + abs(window.shift)


def write_resolved(study: Study, folder: Path) -> str:
    """The study as TOML with presets and `like` worked in, its paths relative to a folder.

    Read from a file in that folder it is the same study.
    """
    data = study.data.model_dump(exclude_none=True)
    data["catalogue"] = _relative(study.catalogue_path, folder)
    if study.regions_path is not None:
        data["regions"] = _relative(study.regions_path, folder)
    image = study.region_image
    if image is not None:
        dataset = "" if image.dataset is None else f"::{image.dataset}"
        data["region_image"] = _relative(image.path, folder) + dataset
    content = {
        "data": data,
        "folds": study.folds.model_dump(exclude_none=True, by_alias=True),
        "condition": [c.model_dump(exclude_none=True, by_alias=True) for c in study.conditions],
        "map": [one.model_dump(exclude_none=True) for one in study.maps],
        "confounds": [one.model_dump(exclude_defaults=True) for one in study.confounds],
        "region_set": [one.model_dump() for one in study.region_sets],
        "learning_curve": [one.model_dump() for one in study.curves],
        "generalisation": [one.model_dump() for one in study.generalisation],
        "cross_temporal": [one.model_dump() for one in study.cross_temporal],
        "permutation_test": [one.model_dump() for one in study.permutation_tests],
        "comparison": [one.model_dump(exclude_none=True) for one in study.comparisons],
    }
    if study.preprocess is not None and study.preprocessed_folder is not None:
        own = study.preprocess.model_dump(exclude_none=True)
        content["preprocess"] = own | {"folder": _relative(study.preprocessed_folder, folder)}
    if study.trials is not None:
        content["trials"] = study.trials.model_dump(exclude_none=True)
        content["trial_time"] = [one.model_dump(exclude_none=True) for one in study.trial_times]
    return tomli_w.dumps(content)


def _relative(path: Path, folder: Path) -> str:
    """A path as seen from a folder; whole where they share no root (two Windows drives)."""
    path, folder = path.resolve(), folder.resolve()
    if path.anchor != folder.anchor:
        return path.as_posix()
    return Path(os.path.relpath(path, folder)).as_posix()


def read_preset(name: str) -> dict[str, Any]:
    """The keys of a preset that ships with the package."""
    return tomllib.loads((files("corticode.study.presets") / f"{name}.toml").read_text("utf-8"))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _resolve_all(raw: Mapping[str, Any]) -> list[ConditionKeys]:
    given = {condition["name"]: condition for condition in raw["condition"]}
    done: dict[str, dict[str, Any]] = {}

    def preset_of(name: str) -> str:
        if "like" in given[name]:
            return preset_of(given[name]["like"])
        return str(given[name].get("preset", raw.get("preset", "recommended")))

    def resolved(name: str) -> dict[str, Any]:
        if name not in done:
            own = {k: v for k, v in given[name].items() if k not in ("like", "preset")}
            if "like" in given[name]:
                base = resolved(given[name]["like"])
                if base.get("input") == "movie" != own.get("input", "movie"):
                    base = _beside_movies(base, read_preset(preset_of(name)))
            else:
                preset = read_preset(preset_of(name))
                base = _preset_base(preset, own) | {
                    "target": _merge(preset.get("target", {}), raw.get("target", {}))
                }
                if "preprocess" in raw:
                    base |= {"steps": _steps_alone(raw["preprocess"])}
                if "trials" in raw:
                    base |= _of_trials(TrialKeys.model_validate(raw["trials"]), base)
            done[name] = {
                k: _merge(base.get(k, {}), own.get(k, {}))
                if k in MERGED
                else own.get(k, base.get(k))
                for k in base | own
            }
            if "like" not in given[name] and done[name].get("input") == "movie":
                done[name]["network"] = base["network"]
        return done[name]

    return [ConditionKeys.model_validate(resolved(name)) for name in given]


def _steps_alone(table: Mapping[str, Any]) -> dict[str, Any]:
    """What `[preprocess]` says of steps, without where and how what comes out is kept."""
    return {key: value for key, value in table.items() if key in StepKeys.model_fields}


def _beside_movies(movies: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, Any]:
    """What a condition of another input takes from one of movies: what is decoded, and where."""
    taken = ("target", "folds", "steps")
    base = dict(preset["condition"]) | {k: movies[k] for k in taken if k in movies}
    shift = {k: v for k, v in movies.get("window", {}).items() if k.startswith("shift")}
    return base | {"window": _merge(base.get("window", {}), shift)}


def _of_trials(keys: TrialKeys, base: Mapping[str, Any]) -> dict[str, Any]:
    """What `[trials]` says of a condition: its target's events, and its window around them."""
    given = keys.model_dump(exclude_none=True)
    of_target = ("events", "event_at", "times_in", "label_after_frames", "label_after_s")
    of_window = ("before", "before_s", "after", "after_s")
    target = {name: given[name] for name in of_target if name in given}
    window = {name: given[name] for name in of_window if name in given}
    if base["network"].get("kind") == "cnn":
        window = {}  # which reads one image
    return {
        "target": _merge(base["target"], target),
        "window": _merge(base["window"], window),
    }


def _preset_base(preset: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What a preset says of a condition: of traces, of single images, or of windows of images.

    What it says of EfficientNets, where it does, goes before what it says of any backbone.
    """
    base = dict(preset["condition"])
    if own.get("input", base["input"]) != "movie":
        return base
    base |= preset["movie"]
    network = own.get("network", {})
    named = network if isinstance(network, Mapping) else {}
    kind, backbone = (named.get(key, base["network"][key]) for key in ("kind", "backbone"))
    tables = ["movie-recurrent"] if kind in RECURRENT else []
    if str(backbone).startswith("efficientnet"):
        tables += ["movie-efficientnet"]
        tables += ["movie-efficientnet-recurrent"] if kind in RECURRENT else []
    for table in tables:
        base |= {name: _merge(base[name], keys) for name, keys in preset.get(table, {}).items()}
    if "network" in own:
        # A condition without `like` names what differs from the preset's CNN.
        base["network"] = _merge(base["network"], own["network"])
    return base


def _merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Own keys over the base's; a length in one unit takes the place of that in another."""
    replaced = set(own)
    for name in own:
        stem = name
        for unit in UNITS:
            stem = stem.removesuffix(unit)
        replaced |= {stem, *(f"{stem}{unit}" for unit in UNITS)}
    # A table within, how windows are varied say, is merged key by key too.
    within = {
        k: _merge(base[k], v)
        for k, v in own.items()
        if isinstance(v, Mapping) and isinstance(base.get(k), Mapping)
    }
    return {k: v for k, v in base.items() if k not in replaced} | dict(own) | within


def _setting_fault(keys: ConditionKeys) -> str | None:
    """What `resolve` would refuse whatever the frame rate is."""
    if keys.target is None or keys.target.signal is None:
        return f"condition {keys.name!r} decodes no signal; give [target] signal"
    unfit = _unfit_preprocessing(keys)
    if unfit:
        return unfit
    if keys.input not in (None, "traces") and _given(
        regress_out=(keys.preprocess or PreprocessKeys()).regress_out
    ) not in ({}, {"regress_out": "none"}):
        return (
            f"condition {keys.name!r} regresses cues out, which is for input = 'traces', not "
            f"{keys.input!r}; leave regress_out out"
        )
    if (keys.input == BEHAVIOR) != bool(keys.behavior):
        return (
            f"condition {keys.name!r}: input = 'behavior' and behavior = [...], the columns that "
            "it takes, go together; give both or neither"
        )
    if keys.input not in (None, "traces") and keys.regions not in (None, "all"):
        return (
            f"condition {keys.name!r} gives regions, but input = {keys.input!r} has none; leave "
            "regions out, or give regions = 'all' to undo what like brought"
        )
    try:
        _resolved(keys, frame_rate_hz=HIGHEST_HZ)
    except StudyError as error:
        return f"condition {keys.name!r}: {error}"
    return None


def _unfit_preprocessing(keys: ConditionKeys) -> str | None:
    """A step of preprocessing that is there for traces and given for a movie, or the reverse."""
    given = (keys.preprocess or PreprocessKeys()).model_dump(exclude_none=True)
    of_movies = {"correction", "pixel_scale", "mask", "lowpass_frames", "lowpass_s"}
    if keys.input == "movie":
        of_both = {"causal", "detrend_frames", "detrend_s"}
        wrong, other = set(given) - of_movies - of_both, "region traces"
    else:
        wrong, other = set(given) & of_movies, "movies"
    if not wrong:
        return None
    return (
        f"condition {keys.name!r} has input = {keys.input or 'traces'!r}, but preprocess "
        f"{', '.join(sorted(wrong))} is for {other}; leave it out"
    )
