"""One fit and one prediction, start to end; and what a study's files hold before any fit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from corticode.data.catalogue import Recording
from corticode.data.checks import read_looked_at
from corticode.data.cues import BEHAVIOR
from corticode.data.folds import Fold, Split, frames_seen, split_windows
from corticode.data.prepared import (
    PreparedSessions,
    StoredStatistics,
    attach_movies,
    load_sessions,
)
from corticode.data.regions import RegionTable, select_regions
from corticode.data.session import read_session
from corticode.data.targets import Target, TargetTrace, permute_labels
from corticode.data.trials import TrialTimes, columns_of_trials
from corticode.data.windows import (
    Windows,
    cut_windows,
    look_ahead_s,
    session_targets,
    windows_of,
)
from corticode.decode.decoder import Decoder, load_decoder, roles_of_animals
from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.decode.predictions import Predictions, join
from corticode.errors import (
    LEFT_OUT,
    UNKNOWN_CLASS,
    DataError,
    DecoderError,
    Finding,
    FoldError,
    MissingDataError,
    RunError,
    StudyError,
    warn_about,
)
from corticode.evaluate.scores import score_fold, session_rows
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.settings import choose_regions
from corticode.run.folder import FitResult, MapResult, read_result, run_once, write_rows
from corticode.run.worker import machine_errors
from corticode.study.conditions import Condition

PARTS = {"train": "training", "valid": "validation", "test": "test"}
# Of a session's frames, what permuted labels may leave without a label and not be counted.
LEAST_LOST = 0.01
STATE_FILE = "state.safetensors"
FIT_FILES = ("done.json", "decoder.safetensors", "decoder.json", "history.csv", "predictions.npz")


@dataclass(frozen=True)
class FitTask:
    """One fit: where its data are, what to do, where it goes.

    Parameters
    ----------
    folder
        The fit's folder.
    prepared
        The folder of its prepared sessions.
    condition, fold, seed, table
        What is fitted.
    key
        Hash of settings and data: a finished fit with this key is not done again.
    device
        Where it runs.
    movies
        Where movies are decoded: the files and statistics of each session.
    start_folder
        The folder of the fit whose weights this one starts with.
    chosen_from
        Where regions are chosen by maps: the folders of those.
    checkpoints
        Where fits that share a training keep it; None where none does.
    trained_by
        The folder of the fit that trains for this one; None where it trains itself.
    """

    folder: Path
    prepared: Path
    condition: Condition
    fold: Fold
    seed: int
    key: str
    table: RegionTable | None = None
    device: str = "cpu"
    movies: tuple[StoredStatistics, ...] = ()
    start_folder: Path | None = None
    chosen_from: tuple[Path, ...] = ()
    checkpoints: Path | None = None
    trained_by: Path | None = None

    @property
    def needs(self) -> tuple[Path, ...]:
        """Folders of the tasks that come first."""
        first = (self.start_folder, self.trained_by)
        return self.chosen_from + tuple(folder for folder in first if folder is not None)

    @property
    def label(self) -> str:
        """What it is, in a line."""
        return f"{self.condition.name}, {self.fold.name}"


def run_fit(task: FitTask) -> FitResult:
    """One fit: decoder, history, predictions and scores written; returns what is in done.json.

    A fold that cannot be fitted is no error: the reason is returned as ``left_out``.
    """
    with machine_errors():
        result = run_once(task.folder, task.key, FitResult, lambda: _fitted(task), FIT_FILES[1:])
    _state_path(task).unlink(missing_ok=True)
    return result


def _fitted(task: FitTask) -> FitResult:
    result = FitResult(
        key=task.key,
        fit={
            "condition": task.condition.name,
            "fold": task.fold.name,
            "seed": task.seed,
            "test_animal": task.fold.test[0].animal,
            "valid_animal": task.fold.valid[0].animal,
        },
        prepared=task.prepared.name,
        movie_statistics={one.recording.name: one.path.name for one in task.movies},
    )
    # Outside of what follows: that a file cannot be read says nothing of the fold.
    prepared = attach_movies(load_sessions(task.prepared), task.movies)
    maps = [_read_map(folder) for folder in task.chosen_from]
    try:
        condition = _chosen_regions(task, maps)
        if condition.selection is not None:
            result = replace(result, regions=condition.regions)
        windows = condition_windows(prepared, condition, seed=task.seed, table=task.table)
        return _fit_and_score(task, windows, result)
    except (DataError, DecoderError, StudyError) as error:
        # Settings and recordings were found usable before; what fails now is this fold alone.
        _clear(task.folder, FIT_FILES)
        return replace(result, left_out=str(error))


def _state_path(task: FitTask) -> Path:
    return task.folder / f"{task.key[:8]}-{STATE_FILE}"


def _fit_and_score(task: FitTask, windows: Windows, result: FitResult) -> FitResult:
    """The result with its scores; all files but done.json are written."""
    condition = task.condition
    whole = split_fold(windows, task.fold)
    split = of_trained_classes(whole)
    decoder = fit(
        split.train,
        split.valid,
        condition.network,
        condition.training,
        seed=task.seed,
        device=task.device,
        state_path=_state_path(task),
        start_from=_start_of(task),
        checkpoints=task.checkpoints,
    )
    parts = ("train", "valid", "test") if condition.keep_train else ("valid", "test")
    predictions = join(
        [predict(decoder, getattr(split, part), part=part, device=task.device) for part in parts]
    )
    decoder = replace(decoder, roles={**decoder.roles, "test": frames_seen(split.test)})
    # An earlier fit's done.json must not vouch for files that are about to change.
    _clear(task.folder, FIT_FILES[:1])
    decoder.save(task.folder)
    write_rows(task.folder / "history.csv", decoder.history)
    predictions.save(task.folder / "predictions.npz")
    findings = split_findings(whole, task.fold) + training_findings(decoder, task.fold)
    return _scored(result, predictions, decoder, findings)


def _read_map(folder: Path) -> tuple[MapResult | None, ImportanceMap | None]:
    """What came of a map by which regions are chosen, and the map where it was made.

    Raises
    ------
    RunError
        It is damaged.
    """
    result = read_result(folder, MapResult)
    if result is None or result.left_out is not None:
        return result, None
    try:
        return result, ImportanceMap.load(folder / "map.npz")
    except (DataError, MissingDataError) as error:
        raise RunError(
            f"{error}; 'corticode run' with the same study and folder does so"
        ) from error


def _chosen_regions(
    task: FitTask, maps: Sequence[tuple[MapResult | None, ImportanceMap | None]]
) -> Condition:
    """The task's condition, its regions chosen where maps choose them.

    Raises
    ------
    FoldError
        A map was not made.
    """
    selection = task.condition.selection
    if selection is None:
        return task.condition
    for result, _ in maps:
        _check_made(result, "the map that its regions are taken from", "made")
    made = [one for _, one in maps if one is not None]
    return replace(task.condition, regions=choose_regions(made, selection.top))


def _start_of(task: FitTask) -> Decoder | None:
    """The decoder whose weights a fit starts with.

    Raises
    ------
    FoldError
        That fold was left out.
    RunError
        The decoder is gone or damaged.
    """
    if task.start_folder is None:
        return None
    found = read_result(task.start_folder, FitResult)
    _check_made(found, "the decoder that it starts from", "fitted")
    return stored_decoder(task.start_folder)


def stored_decoder(folder: Path) -> Decoder:
    """The decoder of a finished fit of this run.

    Raises
    ------
    RunError
        It is gone or damaged.
    """
    try:
        return load_decoder(folder)
    except (DecoderError, MissingDataError) as error:
        raise RunError(str(error)) from error


def _check_made(found: FitResult | MapResult | None, what: str, made: str) -> None:
    if found is None or found.left_out is not None:
        reason = "it is not there" if found is None else found.left_out
        raise FoldError(f"{what} was not {made}: {reason}")


def training_findings(decoder: Decoder, fold: Fold) -> list[Finding]:
    """What was odd about a training."""
    if decoder.n_parts == 1:
        return []
    reason = "the device's memory did not hold a batch; each was taken in two halves"
    return [Finding("fold", reason, item=fold.name)]


def _clear(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def split_fold(windows: Windows, fold: Fold) -> Split:
    """The windows of a fold by role, for a fold that can be fitted.

    Raises
    ------
    FoldError
        A role has no window, the training part has one class, or another part none of its classes.
    StudyError
        Parts of the fold share frames.
    """
    split = split_windows(windows, fold)
    if has_one_class(split.train):
        raise FoldError("its training part has one class; there is nothing to tell apart")
    for role in ("valid", "test"):
        part = getattr(split, role)
        if len(_unknown_in(split, role)) == np.unique(part.target).size:
            raise FoldError(
                f"its training part holds no class that its {PARTS[role]} part holds; nothing that "
                "was learned could be said there"
            )
    return split


def of_trained_classes(split: Split) -> Split:
    """A fold in which classes that do not train have no target and validate nothing.

    A decoder cannot say a class that it never saw: windows of it are predicted, and enter no score.
    """
    if split.train.recipe.target.kind != "classes":
        return split
    known = np.unique(split.train.target)
    valid = np.isin(split.valid.target, known)
    test = np.where(np.isin(split.test.target, known), split.test.target, np.nan)
    return replace(
        split,
        valid=split.valid if valid.all() else split.valid.where(valid),
        test=replace(split.test, target=test.astype(np.float32)),
    )


def _unknown_in(split: Split, role: str) -> dict[str, int]:
    """Classes of a part of a fold that do not train, and how many windows are of each."""
    part = getattr(split, role)
    if part.recipe.target.kind != "classes":
        return {}
    codes, counts = np.unique(part.target, return_counts=True)
    trained = np.unique(split.train.target)
    return {
        part.recipe.classes[int(k)]: int(n)
        for k, n in zip(codes, counts, strict=True)
        if k not in trained
    }


def has_one_class(windows: Windows) -> bool:
    """Whether there is nothing to tell apart among windows that have a target."""
    return windows.recipe.target.kind != "value" and bool(np.ptp(windows.target) == 0)


def fold_findings(windows: Windows, fold: Fold, condition: str) -> list[Finding]:
    """What is odd about a fold of a condition: that it will be left out, or a part of one class.

    Raises
    ------
    StudyError
        Parts of the fold share frames.
    """
    try:
        split = split_fold(windows, fold)
    except FoldError as error:
        return [left_out(condition, fold.name, str(error))]
    return split_findings(split, fold)


def left_out(condition: str, fold: str, reason: str) -> Finding:
    """That a fold was left out of a condition, and why."""
    return Finding("fold", f"left out of {condition!r}: {reason}", item=fold, code=LEFT_OUT)


def split_findings(split: Split, fold: Fold) -> list[Finding]:
    """What is odd about parts of a fold, as far as it can be fitted nonetheless.

    Parts that hold one class, and classes that no training animal shows: those enter no score.
    """
    found = []
    for role, what in (("test", "enter no score"), ("valid", "do not choose the epoch")):
        for name, n in _unknown_in(split, role).items():
            reason = (
                f"class {name!r} is not in its training part, and a decoder cannot say what it "
                f"never saw: {n} windows of its {PARTS[role]} part {what}"
            )
            found.append(Finding("fold", reason, item=fold.name, count=n, code=UNKNOWN_CLASS))
    told = (
        (split.valid, "its validation part has one class; the epoch is chosen by training loss"),
        (split.test, "its test part has one class; AUC is empty"),
    )
    return found + [
        Finding("fold", reason, item=fold.name) for part, reason in told if has_one_class(part)
    ]


def condition_windows(
    prepared: PreparedSessions,
    condition: Condition,
    *,
    seed: int = 0,
    table: RegionTable | None = None,
) -> Windows:
    """The windows of prepared sessions under a condition, its labels permuted if it says so."""
    targets = session_targets(prepared, condition.target)
    if condition.permute_labels is not None:
        order = condition.permutation or seed
        targets = _permuted(prepared, targets, condition.permute_labels, order)
    kept = select_regions(condition.regions, prepared.regions, table)
    return windows_of(
        prepared, condition.target, targets, condition.window, kept, input=condition.input
    )


def shortened_sessions(
    prepared: PreparedSessions, condition: Condition, n_seeds: int = 1
) -> list[Finding]:
    """Sessions that permuted labels leave fewer frames with a target than they have, counted.

    A trace that comes to a longer session leaves the rest of it without a target. One finding: how
    many sessions, how many of their frames, and the session that loses most, over all seeds.
    """
    if condition.permute_labels is None:
        return []
    targets = session_targets(prepared, condition.target)
    before = np.array([np.isfinite(trace.values).sum() for trace in targets])
    left = np.full(len(targets), np.iinfo(np.int64).max)
    orders = range(n_seeds) if condition.permutation is None else [condition.permutation]
    for seed in orders:
        permuted = _permuted(prepared, targets, condition.permute_labels, seed)
        left = np.minimum(left, [np.isfinite(trace.values).sum() for trace in permuted])
    lost = np.maximum(before - left, 0)
    concerned = np.flatnonzero(lost > LEAST_LOST * before)
    if not concerned.size:
        return []
    k = int(np.argmax(lost / np.maximum(before, 1)))
    reason = (
        f"permuted labels of {condition.name!r} leave {concerned.size} of {len(targets)} sessions "
        f"shorter: {int(lost[concerned].sum()):,} of their {int(before[concerned].sum()):,} frames "
        f"have no label (most in {prepared.animals[k]}/{prepared.sessions[k]}: {int(lost[k]):,} of "
        f"{int(before[k]):,}), as they got the labels of a shorter one"
    )
    return [Finding("session", reason, count=int(concerned.size))]


def _permuted(
    prepared: PreparedSessions, targets: Sequence[TargetTrace], how: str, seed: int
) -> list[TargetTrace]:
    exchanged = permute_labels(
        [trace.values for trace in targets],
        prepared.animals,
        how,
        seed,
        segments=[prepared.segment[prepared.rows(k)] for k in range(prepared.n_sessions)],
        names=prepared.sessions,
    )
    return [replace(trace, values=v) for trace, v in zip(targets, exchanged, strict=True)]


def _scored(
    result: FitResult, predictions: Predictions, decoder: Decoder, findings: Sequence[Finding]
) -> FitResult:
    pooled = score_fold(predictions)
    by_session = session_rows(predictions, threshold=_number(pooled.get("threshold_carried")))
    return replace(
        result,
        best_epoch=decoder.best_epoch,
        selected_by=decoder.selected_by,
        look_ahead_s=_plain(
            look_ahead_s(decoder.recipe, centre_alone=decoder.settings.kind == "linear-frame")
        ),
        scores={name: _plain(value) for name, value in pooled.items()},
        session_scores=[{name: _plain(value) for name, value in row.items()} for row in by_session],
        findings=tuple(findings),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _plain(value: Any) -> Any:
    """A value as JSON has it: NaN becomes null, infinity its name."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return "inf" if value == np.inf else None
    return value


def predict_recordings(
    decoder: Decoder, recordings: Sequence[Recording], *, device: str = "cpu"
) -> Predictions:
    """What a stored decoder says of new recordings, each treated by the decoder's own recipe.

    Statistics of a session come from the recording itself. Where a recording has no behaviour
    file the targets of all are NaN. Animals that trained or validated the decoder are marked so in
    the predictions' part. A decoder of trials predicts trials: where their events are known, with
    or without labels.

    Raises
    ------
    DecoderError
        The frame rate or the regions are not those the decoder was fitted on.
    DataError
        The recordings cannot be read.

    Warns
    -----
    CorticodeWarning
        For each finding: frames that are left out, a flat region, an odd unit.
    """
    recipe = decoder.recipe
    target = recipe.target
    columns = recipe.regions if recipe.input == BEHAVIOR else ()
    signals = _known_signals(recordings, target)
    signals = [*dict.fromkeys((*signals, *columns))] if signals else []
    rules = dict.fromkeys(columns, "mean") | {target.signal: target.frame_rule}
    trials = None
    if target.events is not None:
        trials = TrialTimes(target.events, target.times_in)
        rules.setdefault(target.events, "any" if target.event_at == "rise" else "middle")
    # What is decoded from movies is believed no more here than where the decoder was fitted.
    is_of_movies = recipe.input not in ("traces", "frame-number", BEHAVIOR)
    read = read_looked_at if is_of_movies else read_session
    sessions = [
        read(recording, signals=signals, on_frames=rules, trials=trials) for recording in recordings
    ]
    windows = cut_windows(sessions, recipe=recipe)
    warn_about(_seen_before(decoder, recordings))
    predictions = predict(decoder, windows, part=None, device=device)
    warn_about(_seen_sessions(decoder, predictions))
    return predictions


def _known_signals(recordings: Sequence[Recording], target: Target) -> list[str]:
    """What can be read of what a target needs; nothing where some recording knows of nothing."""
    if target.events is None:
        there = all(recording.behavior is not None for recording in recordings)
        return [target.signal] if there else []
    tables = [columns_of_trials(recording) for recording in recordings]
    if not all(
        columns or recording.behavior is not None
        for columns, recording in zip(tables, recordings, strict=True)
    ):
        return []
    has_labels = all(target.signal in columns for columns in tables if columns)
    return [target.events, target.signal] if has_labels else [target.events]


def _seen_sessions(decoder: Decoder, predictions: Predictions) -> list[Finding]:
    """Sessions that trained or validated a decoder of folds within animals, in whole or part."""
    if roles_of_animals(decoder):
        return []
    findings = []
    table = predictions.to_frame()
    for (animal, session), rows in table.groupby(["animal", "session"], sort=False):
        n_trained, n_chose = ((rows["part"] == part).sum() for part in ("train", "valid"))
        if n_trained or n_chose:
            reason = (
                f"{n_trained} of {len(rows)} windows trained this decoder and {n_chose} chose its "
                "epoch: how well they are predicted says nothing of new sessions"
            )
            findings.append(Finding("session", reason, str(animal), str(session)))
    return findings


def _seen_before(decoder: Decoder, recordings: Sequence[Recording]) -> list[Finding]:
    """Animals whose predictions say nothing of new animals."""
    findings = []
    roles = {"trained": decoder.train_animals, "validated": decoder.valid_animals}
    for animal in dict.fromkeys(recording.animal for recording in recordings):
        for did, animals in roles.items():
            if animal in animals:
                reason = f"{did} this decoder: how well it is predicted says nothing of new animals"
                findings.append(Finding("session", reason, animal))
                break
    return findings
