"""From a study to its fits and maps: sessions, folds, keys; what `check` finds before any fit."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording, files_of
from corticode.data.confounds import check_columns, without_confounds
from corticode.data.cues import cue_sessions, without_cues
from corticode.data.files import (
    SMALL_BYTES,
    fingerprint,
    fingerprint_of_samples,
    fingerprints,
    write_text,
)
from corticode.data.folds import (
    Fold,
    Part,
    between_groups,
    leave_animals_out,
    leave_blocks_out,
    leave_days_out,
    leave_sessions_out,
    with_less_training,
)
from corticode.data.leaks import (
    alike_classes,
    alike_names,
    find_leaks,
    same_behavior,
    target_among_regions,
)
from corticode.data.movies.motion import odd_pixels_of
from corticode.data.movies.statistics import load_statistics
from corticode.data.on_frames import lost_bouts
from corticode.data.prepared import (
    PreparedSessions,
    StoredStatistics,
    is_stored,
    load_sessions,
    prepare_movies,
    store_movies,
    store_sessions,
)
from corticode.data.preprocess import Preprocessing
from corticode.data.regions import RegionTable
from corticode.data.session import Session
from corticode.data.targets import Target, event_frames, is_wide, without_trials
from corticode.data.trials import TrialTimes
from corticode.data.windows import sessions_without_windows, targets_of, trial_findings
from corticode.decode.decoder import FORMAT
from corticode.decode.settings import Network, plain_network, plain_training
from corticode.decode.training import can_share
from corticode.decode.weights import check_weights
from corticode.errors import (
    UNKNOWN_CLASS,
    CorticodeError,
    DataError,
    Finding,
    MissingDataError,
    StudyError,
)
from corticode.evaluate.region_sets import dropout_name
from corticode.explain.settings import KINDS, OCCLUSION, MapSettings, Selection
from corticode.run.fits import FitTask, condition_windows, fold_findings, shortened_sessions
from corticode.run.folder import Run, hash_of, known_by_samples, older_fits
from corticode.run.maps import MapTask
from corticode.run.study_files import StudyContent, StudyFiles, read_content
from corticode.simulate.cohort import is_simulated
from corticode.study.conditions import Condition
from corticode.study.keys import (
    ComparisonKeys,
    ConditionKeys,
    ConfoundKeys,
    CrossTemporalKeys,
    LearningCurveKeys,
    PermutationTestKeys,
    RegionSetKeys,
    SelectionKeys,
    TrialTimeKeys,
)
from corticode.study.study import (
    Study,
    gap_frames,
    network_of,
    reads_movies,
    resolve,
    settings_of_map,
    tested_of,
    without_conditions,
)

# How well confounds were measured, beside prepared sessions from which they were removed.
RELIABILITY = "reliability.json"
# Of what is kept beside a map; maps with less are made again.
MAP_FORMAT = 2


# Columns of a catalogue that change no fit; the order that dates give is that of the rows here.
# Trials enter where a study decodes them (`trials_key`).
NOT_DECODED = ("mask", "dark", "landmarks", "group", "date", "trials")


# Of a condition: what it starts from enters a fit's key by that fit's own key, and what says who
# trains and tests by the fold.
OF_FOLDS = ("folds", "folds_by", "train_animals", "train_frames", "train_groups", "test_groups")
NOT_SETTINGS = ("name", "start_from", *OF_FOLDS)


def wanted_maps(study: Study) -> dict[str, list[tuple[MapSettings, bool]]]:
    """The maps of each condition by its name, and whether each is a control.

    Those that the study names; those that choose regions; and, as controls, those of conditions
    that differ from a map's own in nothing but permuted labels.
    """
    wanted: dict[str, list[tuple[MapSettings, bool]]] = {}

    def add(settings: MapSettings, is_control: bool = False) -> None:
        there = wanted.setdefault(settings.condition, [])
        if settings.name not in [one.name for one, _ in there]:
            there.append((settings, is_control))

    named = [settings_of_map(keys) for keys in study.maps]
    for settings in named:
        add(settings)
    for settings in named:
        if KINDS[settings.kind].is_checked and settings.n_random:
            for name in permuted_likes(settings.condition, study.conditions):
                control = replace(
                    settings, condition=name, n_random=0, n_orders=0, convergence=False
                )
                add(control, is_control=True)
    for condition in study.conditions:
        if isinstance(condition.regions, SelectionKeys):
            add(Selection(**condition.regions.model_dump()).map_settings)
    for settings in judged_sets(study):
        add(settings)
    return wanted


def judged_sets(study: Study) -> list[MapSettings]:
    """How decoders trained with region dropout are given sets of regions alone, by condition.

    They are done as maps are, and are none: they stand in no table of maps.
    """
    names = {condition.name for condition in study.conditions}
    asked: dict[str, list[RegionSetKeys]] = {}
    for keys in study.region_sets:
        name = dropout_name(keys.condition)
        if keys.n_sets and name in names:
            asked.setdefault(name, []).append(keys)
    return [
        MapSettings(
            "region sets",
            name,
            OCCLUSION,
            fill="zero",
            region_sets=tuple((one.name, tuple(one.regions), one.n_sets) for one in sets),
        )
        for name, sets in asked.items()
    ]


def permuted_likes(name: str, conditions: Sequence[ConditionKeys]) -> list[str]:
    """Conditions that differ from one in nothing but permuted labels."""
    own = next((c for c in conditions if c.name == name), None)
    if own is None or own.permute_labels not in (None, "none"):
        return []
    return [
        c.name
        for c in conditions
        if c.permute_labels not in (None, "none")
        and _without_kept(c.model_copy(update={"name": name, "permute_labels": own.permute_labels}))
        == _without_kept(own)
    ]


def _without_kept(keys: ConditionKeys) -> ConditionKeys:
    """A condition, whichever predictions it keeps."""
    if keys.training is None:
        return keys
    return keys.model_copy(
        update={"training": keys.training.model_copy(update={"keep_train": None})}
    )


def maps_of_fits(
    fits: Sequence[FitTask], wanted: Sequence[tuple[MapSettings, bool]], run: Run
) -> list[MapTask]:
    """The maps of a condition's decoders, one a decoder and settings."""
    tasks = []
    for settings, is_control in wanted:
        n_random = settings.n_random if KINDS[settings.kind].is_checked else 0
        for k, fit in enumerate(fits):
            # Dealt out: so many of all folds and seeds together.
            seeds = tuple(range(k, n_random, len(fits)))
            tasks.append(
                MapTask(
                    run.map_folder(fit.condition.name, settings.name, fit.fold.name, fit.seed),
                    fit,
                    settings,
                    map_key(fit, settings, seeds, k == 0 and not is_control),
                    is_control,
                    seeds,
                    k == 0,
                )
            )
    return tasks


def map_key(
    fit: FitTask, settings: MapSettings, random_seeds: Sequence[int], is_first: bool
) -> str:
    """The key of a map: that of its fit, how it is made, and what stands beside."""
    plain: dict[str, object] = {
        k: v for k, v in asdict(settings).items() if k not in ("name", "condition", "n_random")
    }
    if not settings.region_sets:
        # Maps of versions that knew no such sets keep their keys.
        del plain["region_sets"]
    content = {"fit": fit.key, "map": plain, "random": list(random_seeds), "first": is_first}
    return hash_of(content | {"format": MAP_FORMAT})


def maps_chosen_from(
    condition: Condition, fold: Fold, seed: int, maps: Sequence[MapTask]
) -> list[MapTask]:
    """The maps by which regions are chosen: of the same fold's training animals, or of all folds.

    Raises
    ------
    StudyError
        The condition that is asked is not decoded in this fold.
    """
    selection = condition.selection
    if selection is None:
        return []
    name = selection.map_settings.name
    found = [
        task
        for task in maps
        if (task.fit.condition.name, task.settings.name, task.fit.seed)
        == (selection.source, name, seed)
        and (selection.on == "test" or task.fit.fold.name == fold.name)
    ]
    if not found:
        raise StudyError(
            f"condition {condition.name!r} takes regions from {selection.source!r}, which has no "
            f"fold {fold.name!r}; give both the same folds"
        )
    return found


def selection_leaks(condition: Condition) -> list[Finding]:
    """That regions chosen on test animals make a circle."""
    if condition.selection is None or condition.selection.on != "test":
        return []
    reason = (
        "its regions are chosen by maps of the test animals: circular, as in the 2024 study; its "
        "scores say nothing of new animals"
    )
    return [Finding("leak", reason, item=condition.name)]


@dataclass(frozen=True)
class Asked:
    """What a study asks of one condition.

    Parameters
    ----------
    condition
        With its lengths in frames.
    folds
        All that it is fitted in.
    groups
        Sessions that are decoded together, by their places in the catalogue, and their folds.
    """

    condition: Condition
    folds: tuple[Fold, ...]
    groups: tuple[tuple[list[int], list[Fold]], ...]


@dataclass(frozen=True)
class KnownContent:
    """What the files of recordings held when a study was laid out.

    Parameters
    ----------
    files
        Hash of each file, of all its bytes.
    recordings
        Hash of each recording's row and files, by its name.
    by_samples
        The same as versions up to 60f4e28 made it, by which their runs are compared with.
    as_before
        Hash of a file's samples by that of its bytes, where an older version's fits are kept.
    histories
        What the catalogue says was done to recordings before, and of how many it says so.
    """

    files: Mapping[Path, str] = field(default_factory=dict)
    recordings: Mapping[str, str] = field(default_factory=dict)
    by_samples: Mapping[str, str] = field(default_factory=dict)
    as_before: Mapping[str, str] = field(default_factory=dict)
    histories: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Plan:
    """The fits and maps of a study and what was found while they were laid out.

    `conditions` say what recordings settled; `made` are folders of preprocessed
    recordings; `redone` says which finished fits and maps of an earlier call are damaged.
    """

    conditions: Sequence[ConditionKeys] = ()
    made: tuple[Path, ...] = ()
    tasks: list[FitTask] = field(default_factory=list)
    maps: list[MapTask] = field(default_factory=list)
    confounds: tuple[ConfoundKeys, ...] = ()
    region_sets: tuple[RegionSetKeys, ...] = ()
    comparisons: tuple[ComparisonKeys, ...] = ()
    curves: tuple[LearningCurveKeys, ...] = ()
    groups: Mapping[tuple[str, str], str] = field(default_factory=dict)
    generalisation: Sequence[tuple[str, Mapping[str, str]]] = ()
    cross_temporal: tuple[CrossTemporalKeys, ...] = ()
    permutation_tests: tuple[PermutationTestKeys, ...] = ()
    trial_times: tuple[TrialTimeKeys, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    redone: list[Finding] = field(default_factory=list)
    content: KnownContent = field(default_factory=KnownContent)
    is_simulated: bool = False


def with_weights(study: Study) -> Study:
    """A study without the conditions whose ImageNet weights cannot be had, named in `left_out`.

    Of a file of weights that the study names, it is an error that it is missing.

    Raises
    ------
    MissingDataError
        No condition would be left.
    """
    missing: dict[str, str] = {}
    why: dict[Network, str] = {}
    for keys in study.conditions:
        network = network_of(keys)
        if network.weights != "imagenet" or keys.start_from is not None:
            continue
        if network not in why:
            try:
                check_weights(network)
                why[network] = ""
            except MissingDataError as error:
                why[network] = str(error)
        if why[network]:
            missing[keys.name] = why[network]
    if not missing:
        return study
    found, gone = without_conditions(study, missing)
    reason = next(iter(missing.values()))
    if not found.conditions:
        raise MissingDataError(reason)
    left_out = [Finding("condition", f"left out: {reason}", item=name) for name in gone]
    return replace(found, left_out=(*study.left_out, *left_out))


def ask(study: Study, content: StudyFiles, keys: ConditionKeys) -> Asked:
    """What is asked of one condition: the step that check, plan and run take alike.

    Raises
    ------
    StudyError, DataError
        The condition, or its folds, cannot be.
    """
    condition = resolve(keys, content.frame_rate_hz)
    groups = {recording.animal: recording.group for recording in content.recordings}
    days = [recording.date for recording in content.recordings]
    folds = make_folds(study, content.sessions, condition, groups, days)
    by = condition.folds_by or study.folds.by
    return Asked(condition, tuple(folds), tuple(groups_of(content.sessions, folds, by)))


def odd_about(study: Study, content: StudyFiles, asked: Asked) -> list[Finding]:
    """What is odd about a condition before any window is cut: leaks, animals left out.

    Raises
    ------
    DataError
        Behaviour columns that it is decoded from are what is decoded, or no confounds.
    StudyError
        Training windows would be shifted by more pixels than images have.
    """
    condition = asked.condition
    try:
        check_columns(content.sessions, condition.behavior, condition.target)
    except DataError as error:
        raise DataError(f"condition {condition.name!r}: {error}") from error
    leaks = find_leaks(
        condition.preprocessing,
        condition.window,
        asked.folds,
        content.recordings,
        condition.target,
        condition.pixels,
        content.recorded_twice,
    )
    days = [recording.date for recording in content.recordings]
    lost = lost_bouts([session.placed for session in content.sessions], condition.target)
    return [
        *animals_without_folds(study, content.sessions, condition, days),
        *([] if lost is None else [lost]),
        *_rule_of_no_clock(study, content.sessions, condition.target),
        *selection_leaks(condition),
        *_odd_augmentation(content, condition),
        *_odd_correction(content, condition),
        *leaks,
    ]


def _odd_correction(content: StudyFiles, condition: Condition) -> list[Finding]:
    """That blood is said to be left in where the catalogue says that it was taken out."""
    if condition.pixels is None or condition.pixels.correction != "none":
        return []
    done = [row for row in content.recordings if "blood: " in row.history]
    if not done:
        return []
    reason = (
        f"{condition.name!r} says that nothing was or is done about blood, and the catalogue's "
        f"column history that it was taken out of {len(done)} recordings "
        f"({done[0].history.partition('blood: ')[2]}); give 'done-elsewhere', or the raw movies"
    )
    return [Finding("key", reason, item="preprocess.correction")]


def _odd_augmentation(content: StudyFiles, condition: Condition) -> list[Finding]:
    """Windows that are mirrored although regions lie on one side alone.

    Raises
    ------
    StudyError
        Windows are shifted by more pixels than images have.
    """
    augment, movie = condition.training.augment, content.sessions[0].movie
    if condition.pixels is None or movie is None:
        return []
    try:
        augment.pixels_of_shift(movie.shape[1:])
    except StudyError as error:
        raise StudyError(f"condition {condition.name!r}: {error}") from error
    sides = {side for side in (content.table.sides if content.table else ()) if side}
    if not augment.mirror or len(sides) != 1:
        return []
    reason = (
        f"{condition.name!r} mirrors training windows across the image's middle column, and the "
        f"region table holds regions of the {sides.pop()} side alone: what is mirrored may be no "
        "brain; leave augment.mirror out where one hemisphere is in view"
    )
    return [Finding("key", reason, item="training.augment.mirror")]


def _rule_of_no_clock(study: Study, sessions: Sequence[Session], target: Target) -> list[Finding]:
    """That a rule was stated for a signal whose samples are taken one for one."""
    own = [c.target for c in study.conditions if c.target and c.target.signal == target.signal]
    # Where kinds differ and nobody states a rule, one is chosen for all.
    is_stated = len({(keys.kind, keys.above is None) for keys in own}) == 1
    if target.on_frames is None or not is_stated:
        return []
    if any(target.signal in session.placed for session in sessions):
        return []
    reason = (
        f"has no effect: {target.signal!r} has no clock of its own, and its samples are taken one "
        "for one; leave it out"
    )
    return [Finding("key", reason, item="target.on_frames")]


def ask_all(content: StudyContent) -> list[Asked]:
    """What is asked of every condition of a study, see `ask`."""
    study = content.study
    return [ask(study, content.by_condition[keys.name], keys) for keys in study.conditions]


def mixed_up(content: StudyContent, asked: Sequence[Asked]) -> list[Finding]:
    """What looks like a slip of the catalogue: names, one behaviour twice, a target as region.

    Parameters
    ----------
    content
        A study and what its files hold.
    asked
        Its conditions; of those that decode traces, each target is looked for among the regions.
    """
    main = content.main
    findings = alike_names(main.recordings)
    findings += same_behavior(main.sessions, content.study.signals, but_for=main.recorded_twice)
    for target in dict.fromkeys(one.condition.target for one in asked):
        with suppress(CorticodeError):  # what is wrong with it is said where windows are cut
            if target.kind == "classes":
                findings += alike_classes(targets_of(main.sessions, target), target.signal)
    of_traces = [one for one in asked if one.condition.input in ("traces", "traces+cues")]
    for view in content.views:
        own = [one for one in of_traces if content.by_condition[one.condition.name] is view]
        for target in dict.fromkeys(one.condition.target for one in own):
            with suppress(CorticodeError):  # what is wrong with it is said where windows are cut
                traces = targets_of(view.sessions, target)
                findings += target_among_regions(view.sessions, traces, target.signal)
    return list(dict.fromkeys(findings))


def lay_out(
    study: Study,
    run: Run,
    *,
    n_seeds: int = 1,
    device: str = "cpu",
    n_workers: int = 1,
    on_preprocessed: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Read the recordings, prepare them where that is not done, and list the fits.

    Parameters
    ----------
    study, run, n_seeds, device
        What is fitted, where it goes, how often, and on what.
    n_workers, on_preprocessed
        As of `corticode.run.study_files.read_content`.

    Raises
    ------
    CorticodeError
        Whatever is wrong with recordings, folds or conditions, before anything is trained.
    """
    content = read_content(
        study,
        examine=any(map(reads_movies, study.conditions)),
        n_workers=n_workers,
        on_preprocessed=on_preprocessed,
    )
    study, main = content.study, content.main
    rows = [row for view in content.views for row in view.recordings]
    files = fingerprints(path for row in rows for path in files_of(row))
    known, changed = as_known_before(run, rows, files)
    views = {view.view: _identified(view, study, files, known) for view in content.views}
    rules_of = views[main.view].rules

    def hashes_by(known_by: Callable[[Path], str]) -> dict[str, str]:
        named = zip(main.recordings, rules_of, strict=True)
        return {one.name: hash_of(recording_key(one, known_by) | rules) for one, rules in named}

    plan = Plan(
        conditions=study.conditions,
        made=content.made,
        confounds=study.confounds,
        region_sets=study.region_sets,
        comparisons=study.comparisons,
        curves=study.curves,
        generalisation=[(one.condition, tested_of(one, study)) for one in study.generalisation],
        groups={(one.animal, one.session): one.group for one in main.recordings if one.group},
        cross_temporal=study.cross_temporal,
        permutation_tests=study.permutation_tests,
        trial_times=study.trial_times,
        content=KnownContent(
            files,
            hashes_by(files.__getitem__),
            hashes_by(fingerprint_of_samples),
            known,
            Counter(row.history for row in main.recordings if row.history),
        ),
        redone=changed,
        is_simulated=any(map(is_simulated, main.recordings)),
    )
    fit_keys: dict[tuple[str | None, str, int], str] = {}
    wanted = wanted_maps(study)
    asked = ask_all(content)
    check_start_weights([one.condition for one in asked])
    plan.findings += [*content.findings, *study.left_out, *mixed_up(content, asked), *study.unused]
    for one in asked:
        condition = one.condition
        view = views[content.by_condition[condition.name].view]
        plan.findings += odd_about(study, view.files, one)
        for members, own_folds in one.groups:
            group = _Group(view, tuple(members), tuple(own_folds))
            for fit in _fits_of(study, run, plan, condition, group, fit_keys, n_seeds, device):
                plan.tasks.append(fit)
                fit_keys[condition.name, fit.fold.name, fit.seed] = fit.key
        own_fits = [task for task in plan.tasks if task.condition == condition]
        plan.tasks = [task for task in plan.tasks if task.condition != condition]
        own_fits = share_trainings(own_fits)
        plan.tasks += own_fits
        plan.maps += maps_of_fits(own_fits, wanted.get(condition.name, []), run)
    plan.findings = list(dict.fromkeys(plan.findings))
    return plan


@dataclass(frozen=True)
class _Identified:
    """Recordings of one view, each with what identifies it.

    Parameters
    ----------
    files
        The recordings.
    bare, rules
        By recording: what its row and files hold, and what beside them changes what is decoded.
    """

    files: StudyFiles
    bare: list[dict[str, Any]]
    rules: list[dict[str, Any]]

    def keys(self, k: int) -> dict[str, Any]:
        """All that identifies a recording."""
        return self.bare[k] | self.rules[k]


@dataclass(frozen=True)
class _Group:
    """Recordings of a view that are decoded together, by their places, and their folds."""

    view: _Identified
    members: tuple[int, ...]
    folds: tuple[Fold, ...]


def _fits_of(
    study: Study,
    run: Run,
    plan: Plan,
    condition: Condition,
    group: _Group,
    fit_keys: Mapping[tuple[str | None, str, int], str],
    n_seeds: int,
    device: str,
) -> Iterator[FitTask]:
    """The fits of a condition in one group of recordings, prepared where they are not yet."""
    view, members = group.view, group.members
    sessions = [view.files.sessions[k] for k in members]
    own = [
        view.keys(k) | rules_key(session, (*study.signals, *condition.beside))
        for k, session in zip(members, sessions, strict=True)
    ]
    sessions = [_with_signals(one, (*study.signals, *condition.beside)) for one in sessions]
    stored = _stored_statistics(run, condition, view, members, sessions)
    folder = _prepare(run, study, condition, sessions, own, stored)
    rules = (
        *rules_at_gaps(condition.preprocessing, sessions),
        *rules_of_target(condition.target, sessions),
        *rules_of_motion(condition, sessions),
    )
    prepared, table = load_sessions(folder), view.files.table
    examined = examine_folds(prepared, condition, group.folds, table, n_seeds)
    plan.findings += [*prepared.findings, *examined]
    for fold in group.folds:
        for seed in range(n_seeds):
            chosen = maps_chosen_from(condition, fold, seed, plan.maps)
            start_key = fit_keys.get((condition.start_from, fold.name, seed))
            before = (start_key, *(task.key for task in chosen))
            own_rules = rules + unknown_rules(examined, fold)
            yield FitTask(
                run.fit_folder(condition.name, fold.name, seed),
                folder,
                condition,
                fold,
                seed,
                fit_key(study, own, condition, fold, seed, table, before, own_rules),
                table,
                device,
                stored,
                None
                if condition.start_from is None
                else run.fit_folder(condition.start_from, fold.name, seed),
                tuple(task.folder for task in chosen),
            )


def _identified(
    view: StudyFiles, study: Study, files: Mapping[Path, str], known: Mapping[str, str]
) -> _Identified:
    bare = [
        recording_key(recording, lambda path: known.get(files[path], files[path]))
        for recording in view.recordings
    ]
    rules = [
        rules_key(session, study.signals)
        | frames_key(session)
        | trials_key(recording, study.events, files)
        for session, recording in zip(view.sessions, view.recordings, strict=True)
    ]
    return _Identified(view, bare, rules)


def _with_signals(session: Session, names: Sequence[str]) -> Session:
    """A session with these behaviour signals alone, that what is prepared depends on no other."""
    return replace(session, behavior={k: v for k, v in session.behavior.items() if k in names})


def share_trainings(fits: Sequence[FitTask]) -> list[FitTask]:
    """The fits of a condition, those with one training set and seed sharing its training.

    The first of them trains, and the others choose among its weights by their own validation
    windows. Fits that start from others, or whose regions maps choose, train for themselves.
    """
    first: dict[tuple[Path, frozenset[Part], int], FitTask] = {}
    several = Counter(_training_of(task) for task in fits)
    shared = []
    for task in fits:
        own, condition = _training_of(task), task.condition
        if (
            several[own] == 1
            or task.start_folder is not None
            or condition.selection is not None
            or not can_share(condition.network, condition.training)
        ):
            shared.append(task)
            continue
        trains = first.setdefault(own, task)
        checkpoints = trains.folder / f"checkpoints-{trains.key[:8]}"
        trained_by = None if task is trains else trains.folder
        shared.append(replace(task, checkpoints=checkpoints, trained_by=trained_by))
    return shared


def _training_of(task: FitTask) -> tuple[Path, frozenset[Part], int]:
    return task.prepared, frozenset(task.fold.train), task.seed


def check_start_weights(conditions: Sequence[Condition]) -> None:
    """Load each kind of start weights once, so that none is missing in the middle of a run.

    Raises
    ------
    MissingDataError, DecoderError
        Weights cannot be had, or belong to another network.
    """
    for network in dict.fromkeys(c.network for c in conditions if c.start_from is None):
        check_weights(network)


def _stored_statistics(
    run: Run,
    condition: Condition,
    view: _Identified,
    members: Sequence[int],
    sessions: Sequence[Session],
) -> tuple[StoredStatistics, ...]:
    """Where statistics of a condition's movies are kept; nothing where it decodes no movies."""
    pixels = condition.pixels
    if pixels is None:
        return ()
    steps = f"{pixels.correction}-{pixels.lowpass_frames}{'-causal' * pixels.causal}"
    if pixels.detrend_frames is not None:
        steps += f"-detrend-{pixels.detrend_frames}"
    if view.files.view:
        steps += f" {view.files.view}"
    return tuple(
        StoredStatistics(
            view.files.recordings[k],
            run.movie_statistics_path(f"{view.files.recordings[k].name} {steps}"),
            hash_of({**view.bare[k], **frames_key(session)}),
            session.flips,
        )
        for k, session in zip(members, sessions, strict=True)
    )


def _prepare(
    run: Run,
    study: Study,
    condition: Condition,
    sessions: Sequence[Session],
    keys: Sequence[Mapping[str, Any]],
    stored: Sequence[StoredStatistics],
) -> Path:
    """The folder of prepared sessions, made where it is not there."""
    rules = (
        *rules_at_gaps(condition.preprocessing, sessions),
        *rules_of_motion(condition, sessions),
    )
    key = prepared_key(study, keys, condition, rules)
    folder = run.prepared_folder(key)
    if condition.pixels is not None:
        # Statistics may be gone, or taken of other files, though the folder is there.
        kept = [load_statistics(where.path, where.key) is not None for where in stored]
        if not (is_stored(folder, key) and all(kept)):
            store_movies(folder, prepare_movies(sessions, condition.pixels, stored), key)
    elif not is_stored(folder, key):
        if condition.preprocessing.regress_out == "cues":
            sessions = [without_cues(session) for session in sessions]
        elif condition.preprocessing.regress_out == "confounds":
            sessions, measured = without_confounds(sessions, condition.target)
            write_text(folder / RELIABILITY, json.dumps(measured, indent=1))
        decoded = cue_sessions(sessions, condition.input, condition.behavior)
        store_sessions(folder, decoded, condition.preprocessing, key)
    return folder


def examine_folds(
    prepared: PreparedSessions,
    condition: Condition,
    folds: Sequence[Fold],
    table: RegionTable | None = None,
    n_seeds: int = 1,
) -> list[Finding]:
    """What is odd about the folds of a condition, found without training.

    Raises
    ------
    DataError, StudyError
        The condition cannot be cut from these sessions: regions or a signal that do not exist, no
        window left, parts that share frames.
    """
    try:
        windows = condition_windows(prepared, condition, table=table)
        findings = [
            sessions_without_windows(prepared, windows),
            shortened_sessions(prepared, condition, n_seeds),
            trial_findings(prepared, windows),
        ]
        findings += [fold_findings(windows, fold, condition.name) for fold in folds]
    except (DataError, StudyError) as error:
        raise type(error)(f"condition {condition.name!r}: {error}") from error
    return [finding for found in findings for finding in found]


def make_folds(
    study: Study,
    sessions: Sequence[Session],
    condition: Condition,
    groups: Mapping[str, str] | None = None,
    days: Sequence[str] = (),
) -> list[Fold]:
    """The folds of a condition: those the study names, else all.

    Parameters
    ----------
    study, sessions, condition
        What is asked of which sessions.
    groups
        The group of each animal, where the condition trains or tests some groups alone.
    days
        The ISO date of each session; empty: not known.

    Raises
    ------
    StudyError
        Too few animals, sessions or frames, or `only` names a fold that does not exist.
    """
    animals = [session.animal for session in sessions]
    names = [session.session for session in sessions]
    by = condition.folds_by or study.folds.by
    if by == "animal":
        folds = leave_animals_out(animals, names, validate=study.folds.validate_by)
    elif by == "day":
        folds = leave_days_out(animals, names, days or [""] * len(names))
    elif by == "session":
        folds = leave_sessions_out(animals, names)
    else:
        folds = leave_blocks_out(
            animals,
            names,
            [session.n_frames for session in sessions],
            blocks=study.folds.blocks,
            gap_frames=_gap_of_chain(study, condition, sessions[0].frame_rate_hz),
            trials=_centres_of_trials(sessions, condition),
        )
    if by == study.folds.by:
        folds = _chosen_folds(folds, study.folds.only, "[folds] only")
    folds = _chosen_folds(folds, condition.folds, f"condition {condition.name!r}, folds,")
    try:
        if condition.train_groups is not None or condition.test_groups is not None:
            if by != "animal":
                raise StudyError("train_groups and test_groups need folds by animal")
            folds = between_groups(
                folds, groups or {}, train=condition.train_groups, test=condition.test_groups
            )
        if condition.train_animals is None and condition.train_frames is None:
            return folds
        return with_less_training(
            folds,
            [(one.animal, one.session, one.n_frames) for one in sessions],
            n_animals=condition.train_animals,
            n_frames=condition.train_frames,
        )
    except StudyError as error:
        raise StudyError(f"condition {condition.name!r}: {error}") from error


def _centres_of_trials(
    sessions: Sequence[Session], condition: Condition
) -> list[NDArray[np.integer]] | None:
    """The frames on which windows of each session's trials are centred; None where frames are."""
    target = condition.target
    if target.events is None:
        return None
    return [
        event_frames(session.behavior.get(target.events), target) - condition.window.shift
        for session in sessions
    ]


def _chosen_folds(folds: Sequence[Fold], names: Sequence[str] | None, where: str) -> list[Fold]:
    """The folds of these names; None: all."""
    if names is None:
        return list(folds)
    known = [fold.name for fold in folds]
    unknown = sorted(set(names) - set(known))
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        guess = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known[:3])}, ..."
        raise StudyError(f"{where} names {unknown[0]!r}, which is no fold; {guess}")
    return [fold for fold in folds if fold.name in names]


def _gap_of_chain(study: Study, condition: Condition, frame_rate_hz: float | None) -> int:
    """The gap between blocks: the same for a condition and what it starts from, the largest."""
    starts = {keys.name: keys.start_from or keys.name for keys in study.conditions}

    def origin(name: str) -> str:
        return name if starts[name] == name else origin(starts[name])

    chain = [
        resolve(keys, frame_rate_hz)
        for keys in study.conditions
        if origin(keys.name) == origin(condition.name)
    ]
    margins = [1 if one.input == "movie" else 0 for one in chain]
    return max(
        gap_frames(study, one.window, frame_rate_hz, margin=margin)
        for one, margin in zip(chain, margins, strict=True)
    )


def animals_without_folds(
    study: Study, sessions: Sequence[Session], condition: Condition, days: Sequence[str]
) -> list[Finding]:
    """Animals that are in no fold, or never tested, for want of sessions that could validate."""
    n_sessions = Counter(session.animal for session in sessions)
    by = condition.folds_by or study.folds.by
    if by == "animal" and study.folds.validate_by == "session":
        several = [animal for animal, n in n_sessions.items() if n > 1]
        reason = (
            "is never tested: no other animal has two sessions, one to train and one to validate"
        )
        return [
            Finding("session", reason, animal=animal)
            for animal in n_sessions
            if several in ([animal], [])
        ]
    if by not in ("session", "day"):
        return []
    n_days = Counter(
        animal for animal, _ in {(s.animal, d) for s, d in zip(sessions, days, strict=True)}
    )
    counts, unit = (n_sessions, "sessions") if by == "session" else (n_days, "days")
    return [
        Finding(
            "session",
            f"left out: {counts[animal]} {unit}; folds by {by} need 3 of an animal",
            animal=animal,
            count=n,
        )
        for animal, n in n_sessions.items()
        if counts[animal] < 3
    ]


def groups_of(
    sessions: Sequence[Session], folds: Sequence[Fold], by: str
) -> Iterator[tuple[list[int], list[Fold]]]:
    """Sessions that share their regions, with their folds: all, or those of one animal each."""
    if by == "animal":
        yield list(range(len(sessions))), list(folds)
        return
    for animal in dict.fromkeys(session.animal for session in sessions):
        own = [fold for fold in folds if fold.animals == (animal,)]
        if own:
            yield [k for k, session in enumerate(sessions) if session.animal == animal], own


def recording_key(
    recording: Recording, known_by: Callable[[Path], str] = fingerprint
) -> dict[str, Any]:
    """What identifies a recording: what its row says and what its files hold, never where."""
    content: dict[str, Any] = {}
    for name, value in asdict(recording).items():
        if name in NOT_DECODED:
            continue
        if isinstance(value, Mapping):
            content[name] = [known_by(Path(value["path"])), value["dataset"]]
        elif isinstance(value, Path):
            content[name] = known_by(value)
        else:
            content[name] = value
    return content


def as_known_before(
    run: Run, recordings: Sequence[Recording], files: Mapping[Path, str]
) -> tuple[dict[str, str], list[Finding]]:
    """By what an older version knew the content of files, where they are sure to be the same.

    Versions up to 60f4e28 knew a file above 1 MiB by samples of it. Its fits are found again if no
    such file was written after the first of them; what was, or may have been, is a finding, and
    what uses it is fitted again.

    Parameters
    ----------
    run
        The run that is gone on with.
    recordings, files
        Its recordings, and the hash of each of their files.

    Returns
    -------
    dict
        The hash of samples by that of all bytes; empty but in runs of older versions.
    list of Finding
        A recording each.
    """
    kept = known_by_samples(run)
    if kept is not None:
        return kept, []
    finished = [path.stat().st_mtime_ns for path in older_fits(run)]
    known: dict[str, str] = {}
    changed = []
    for recording in recordings if finished else ():
        for path in files_of(recording):
            found = path.stat()
            if found.st_size <= SMALL_BYTES:
                continue
            if max(found.st_mtime_ns, found.st_ctime_ns) < min(finished):
                known[files[path]] = fingerprint_of_samples(path)
            else:
                reason = (
                    f"what uses it is fitted again: {path.name} is newer than the first fit here, "
                    "made by an older version that looked at samples of a file only"
                )
                changed.append(Finding("session", reason, recording.animal, recording.session))
    return known, changed


def rules_key(session: Session, signals: Sequence[str]) -> dict[str, Any]:
    """By which rules signals came onto frames, where version 60f4e28 took them otherwise.

    Empty where it would have decoded the same, so that its fits keep their keys.
    """
    rules = {
        name: session.placed[name].rule
        for name in signals
        if name in session.placed and not session.placed[name].as_before
    }
    return {"on_frames": rules} if rules else {}


def rules_at_gaps(preprocessing: Preprocessing, sessions: Sequence[Session]) -> tuple[str, ...]:
    """Steps that stop at the sessions' gaps in time, where there are such steps and gaps.

    They went on across gaps up to version 60f4e28: they enter keys, so that what was made then is
    made again, and nothing else is.
    """
    if not any(np.any(np.diff(session.segment)) for session in sessions):
        return ()
    steps = {
        "traces are smoothed": (preprocessing.smooth_frames or 0) > 1,
        "cues are regressed out": preprocessing.regress_out != "none",
    }
    return tuple(f"{step} between gaps" for step, is_taken in steps.items() if is_taken)


def rules_of_target(target: Target, sessions: Sequence[Session]) -> tuple[str, ...]:
    """The same of how targets are made: smoothing stops at gaps, values keep their digits."""
    rules = []
    if target.smooth_frames > 1 and any(np.any(np.diff(one.segment)) for one in sessions):
        rules.append("targets are smoothed between gaps")
    signals = [one.behavior[target.signal] for one in sessions if target.signal in one.behavior]
    if target.kind == "value" and any(
        signal.dtype.kind in "iuf" and is_wide(signal) for signal in signals
    ):
        rules.append("values in float64")
    return tuple(rules)


def rules_of_motion(condition: Condition, sessions: Sequence[Session]) -> tuple[str, ...]:
    """The same of brain motion where a camera's own pixels had a say in it up to 60f4e28."""
    reads = condition.input in ("brain-motion", "cues", "confounds")
    if not reads and condition.preprocessing.regress_out == "none":
        return ()
    movies = [np.asarray(one.movie) for one in sessions if one.movie is not None]
    if any(odd_pixels_of(movie)[0].size for movie in movies):
        return ("brain motion without odd pixels",)
    return ()


def unknown_rules(findings: Sequence[Finding], fold: Fold) -> tuple[str, ...]:
    """The same of a fold some classes of which do not train: they enter no score."""
    is_concerned = any(f.code == UNKNOWN_CLASS and f.item == fold.name for f in findings)
    return ("classes that do not train are not scored",) * is_concerned


def trials_key(
    recording: Recording, events: TrialTimes | None, files: Mapping[Path, str]
) -> dict[str, Any]:
    """What identifies the trials of a recording, where they are decoded from a table."""
    if events is None or recording.trials is None:
        return {}
    table = [files[recording.trials.path], recording.trials.dataset]
    return {"trials": table, "times_in": events.times_in}


def frames_key(session: Session) -> dict[str, Any]:
    """What identifies a recording beside its files: frames that are left out, if any are."""
    key: dict[str, Any] = {}
    if session.left_out is not None and session.left_out.any():
        key["left_out"] = np.flatnonzero(session.left_out).tolist()
    if session.left_out_traces:
        key["left_out_traces"] = list(session.left_out_traces)
    if session.flips:
        key["flips"] = list(session.flips)
    return key


def prepared_key(
    study: Study,
    recordings: Sequence[Mapping[str, Any]],
    condition: Condition,
    rules: Sequence[str] = (),
) -> str:
    """The key of prepared sessions."""
    regions_path = study.regions_path
    newer: dict[str, Any] = {"rules": list(rules)} if rules else {}
    if condition.preprocessing.regress_out == "confounds":
        # What is decoded is a covariate of the cleaning.
        newer["target"] = without_trials(asdict(condition.target))
    if condition.beside:
        newer["behavior"] = list(condition.beside)
    return hash_of(
        {
            "recordings": list(recordings),
            "input": condition.input,
            "preprocessing": asdict(condition.preprocessing),
            "pixels": None if condition.pixels is None else asdict(condition.pixels),
            "data": study.data.model_dump(include={"trim_frames", "resample_hz"}),
            "regions": None if regions_path is None else fingerprint(regions_path),
            "signals": study.signals,
            "format": FORMAT,
        }
        | newer
    )


def fit_key(
    study: Study,
    recordings: Sequence[Mapping[str, Any]],
    condition: Condition,
    fold: Fold,
    seed: int,
    table: RegionTable | None,
    before: Sequence[str | None] = (),
    rules: Sequence[str] = (),
) -> str:
    """The key of a fit: all that its result depends on, what must be there before it included."""
    newer = {"rules": list(rules)} if rules else {}
    settings = {k: v for k, v in asdict(condition).items() if k not in NOT_SETTINGS}
    if not condition.behavior:
        del settings["behavior"]
    if condition.permutation is None:
        del settings["permutation"]
    settings["network"] = plain_network(condition.network)
    settings["training"] = plain_training(condition.training)
    # What it changed of the frames is in the recordings' keys.
    target = without_trials(settings["target"])
    settings["target"] = {k: v for k, v in target.items() if k != "on_frames"}
    if not condition.training.drop_last:
        # Newer than fits that are kept: known only where it changes them.
        settings["training"] = {k: v for k, v in settings["training"].items() if k != "drop_last"}
    weights = condition.network.weights
    if weights not in ("imagenet", "none") and condition.network.sees_movies:
        settings["network"] = settings["network"] | {"weights": fingerprint(Path(weights))}
    return hash_of(
        {
            "recordings": list(recordings),
            "data": study.data.model_dump(include={"trim_frames", "resample_hz"}),
            "condition": settings,
            "fold": {k: v for k, v in asdict(fold).items() if k != "name"},
            "seed": seed,
            "before": list(before),
            "table": None if table is None or condition.regions is None else asdict(table),
            "format": FORMAT,
        }
        | newer
    )
