"""What a study's files hold: recordings as they are, or as its preprocessing steps make them.

Each condition decodes one view of the recordings. Without `[preprocess]` all share the catalogue's
own. With it, movies are decoded as corrected, traces are means of regions over corrected movies,
and confounds are measured in the raw ones, beside these traces.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path, PurePath

import numpy as np

from corticode.data.catalogue import Recording, read_catalogue
from corticode.data.checks import read_all
from corticode.data.extraction import pixels_of_labels, read_label_image
from corticode.data.leaks import Twice, same_recordings
from corticode.data.preprocessing.steps import Steps
from corticode.data.regions import RegionTable, read_regions
from corticode.data.session import Session
from corticode.errors import DataError, Finding, StudyError, some
from corticode.run.folder import hash_of
from corticode.run.preprocess import Wanted, preprocess_catalogue, steps_for
from corticode.study.keys import ConditionKeys, PreprocessKeys
from corticode.study.steps import PreprocessedKeys, StepKeys, steps_of
from corticode.study.study import Study, reads_movies

SHOWN_CONDITIONS = 3


@dataclass(frozen=True)
class StudyFiles:
    """What a study's files hold, as some of its conditions see them.

    Parameters
    ----------
    recordings, sessions
        The catalogue's rows and what they name, in the same order.
    table
        The study's region table, if it names one.
    view
        Tells views of the same recordings apart; empty where there is one.
    """

    recordings: list[Recording]
    sessions: list[Session]
    table: RegionTable | None
    view: str = ""

    @property
    def frame_rate_hz(self) -> float | None:
        """The frame rate of all sessions."""
        return self.sessions[0].frame_rate_hz

    @cached_property
    def recorded_twice(self) -> tuple[Twice, ...]:
        """Pairs of sessions that are one recording, found once."""
        return tuple(same_recordings(self.sessions))


@dataclass(frozen=True)
class StudyContent:
    """What a study's files hold, by condition.

    Parameters
    ----------
    study
        The study, with what could not be settled before its recordings were known.
    by_condition
        What each condition sees, by its name.
    findings
        What looked odd while recordings were preprocessed.
    made
        Folders of preprocessed recordings, each with a catalogue.
    """

    study: Study
    by_condition: Mapping[str, StudyFiles]
    findings: tuple[Finding, ...] = ()
    made: tuple[Path, ...] = ()

    @property
    def views(self) -> list[StudyFiles]:
        """Each view once, that of the first condition first."""
        return list({files.view: files for files in self.by_condition.values()}.values())

    @property
    def main(self) -> StudyFiles:
        """The view of the first condition."""
        return self.views[0]


def read_content(
    study: Study,
    *,
    examine: bool = True,
    n_workers: int = 1,
    on_preprocessed: Callable[[str], None] = lambda _: None,
) -> StudyContent:
    """Everything that a study's conditions see, read and checked; preprocessed where asked.

    Parameters
    ----------
    study
        The study.
    examine
        As of `read_files`, for studies without `[preprocess]`.
    n_workers
        Processes that preprocess.
    on_preprocessed
        Told each session that was preprocessed now.

    Raises
    ------
    CorticodeError
        As of `read_files` and `corticode.run.preprocess.preprocess_catalogue`.
    """
    if study.preprocess is None:
        files = read_files(study, examine=examine)
        return StudyContent(study, {keys.name: files for keys in study.conditions})
    raw = read_catalogue(study.catalogue_path)
    # What is wrong with behaviour and clocks is said before movies are preprocessed.
    without = [one if one.movie is None else replace(one, traces=None) for one in raw]
    _read(study, without, examine=True)
    by_condition: dict[str, StudyFiles] = {}
    findings: list[Finding] = []
    made: list[Path] = []
    settled: dict[str, ConditionKeys] = {}
    for step_keys, conditions in _by_steps(study.conditions).items():
        steps = steps_for(partial(_steps_with, step_keys), raw)
        _refuse_slower_traces(steps, conditions)
        wanted = _wanted(study, study.preprocess, steps, conditions)
        findings += _given_traces(steps, wanted, conditions, raw)
        folder = _folder_of(study, steps, wanted)
        summary = preprocess_catalogue(
            raw,
            folder,
            steps,
            wanted,
            resynchronise=study.data.resynchronise,
            bad_frames=study.data.bad_frames or "report",
            n_workers=n_workers,
            on_session=on_preprocessed,
        )
        findings += summary.findings
        made.append(folder)
        rows = read_catalogue(summary.catalogue)
        for kind, own in _by_kind(conditions).items():
            files = _read(
                study,
                _view(kind, raw, rows),
                examine=kind != "traces",
                view=f"{folder.name} {kind}",
            )
            by_condition |= {keys.name: files for keys in own}
        settled |= {keys.name: _with_correction(keys, steps) for keys in conditions}
    study = replace(study, conditions=tuple(settled[keys.name] for keys in study.conditions))
    ordered = {keys.name: by_condition[keys.name] for keys in study.conditions}
    return StudyContent(study, ordered, tuple(dict.fromkeys(findings)), tuple(made))


def read_files(study: Study, *, examine: bool = True) -> StudyFiles:
    """Everything that a study's catalogue names, read and checked, all faults at once.

    Parameters
    ----------
    study
        The study; its `[preprocess]` is passed over.
    examine
        Whether movies are read, and every frame of them looked at, see
        `corticode.data.checks.read_all`; else those of recordings with traces are not opened.

    Raises
    ------
    MissingDataError, DataError
        The catalogue or sessions cannot be used as they are.
    """
    return _read(study, read_catalogue(study.catalogue_path), examine=examine)


def _read(
    study: Study, recordings: list[Recording], *, examine: bool, view: str = ""
) -> StudyFiles:
    table = None if study.regions_path is None else read_regions(study.regions_path)
    if study.region_image is not None and study.preprocess is None:
        pixels_of_labels(read_label_image(study.region_image))
    sessions = read_all(
        recordings if examine else [_traces_alone(recording) for recording in recordings],
        signals=study.all_signals,
        trim_frames=study.data.trim_frames,
        resample_hz=study.data.resample_hz,
        regions=None if table is None else table.names,
        on_frames=study.on_frames,
        examine=examine,
        resynchronise=study.data.resynchronise,
        bad_frames=study.data.bad_frames or "report",
        trials=study.events,
    )
    return StudyFiles(recordings, sessions, table, view)


def _traces_alone(recording: Recording) -> Recording:
    """A recording without its movies, where it has traces."""
    if recording.traces is None:
        return recording
    return replace(recording, movie=None, movie_reference=None, channels=())


def _by_steps(conditions: Iterable[ConditionKeys]) -> dict[StepKeys, list[ConditionKeys]]:
    """Conditions by the steps that come before them."""
    found: dict[StepKeys, list[ConditionKeys]] = {}
    for keys in conditions:
        found.setdefault(keys.steps or StepKeys(), []).append(keys)
    return found


def _by_kind(conditions: Iterable[ConditionKeys]) -> dict[str, list[ConditionKeys]]:
    """Conditions by what they see: corrected movies, traces, or traces beside raw movies."""
    found: dict[str, list[ConditionKeys]] = {}
    for keys in conditions:
        kind = "movies" if keys.input == "movie" else "raw" if reads_movies(keys) else "traces"
        found.setdefault(kind, []).append(keys)
    if "raw" in found:
        # One reading of the traces is enough.
        found["raw"] += found.pop("traces", [])
    return found


def _view(kind: str, raw: Sequence[Recording], made: Sequence[Recording]) -> list[Recording]:
    """The rows that conditions of a kind see."""
    if kind == "movies":
        return [replace(row, traces=None, regions=None) for row in made]
    return [
        own
        if row.traces is None
        else row
        if kind == "traces"
        else replace(
            own,
            traces=row.traces,
            traces_axes=row.traces_axes,
            regions=row.regions,
            history=row.history,
        )
        for own, row in zip(raw, made, strict=True)
    ]


def _wanted(
    study: Study, keys: PreprocessedKeys, steps: Steps, conditions: Sequence[ConditionKeys]
) -> Wanted:
    """What is to come out of the raw movies for these conditions."""
    decodes_movies = any(one.input == "movie" for one in conditions)
    movies = keys.movies if decodes_movies else "none"
    table = None if study.regions_path is None else read_regions(study.regions_path)
    has_regions = study.region_image is not None or bool(table and np.isfinite(table.rows).any())
    if steps.atlas is not None or not has_regions or not _of_traces(conditions):
        return Wanted(movies)
    return Wanted(movies, study.region_image, table, keys.radius_pixels)


def _of_traces(conditions: Sequence[ConditionKeys]) -> list[str]:
    """The conditions that decode traces of regions."""
    return [repr(c.name) for c in conditions if c.input in (None, "traces", "traces+cues")]


def _given_traces(
    steps: Steps, wanted: Wanted, conditions: Sequence[ConditionKeys], raw: Sequence[Recording]
) -> list[Finding]:
    """That traces are decoded as the catalogue names them, where no regions are named.

    Raises
    ------
    DataError
        Recordings have none.
    StudyError
        Nothing at all would be preprocessed.
    """
    names = _of_traces(conditions)
    is_made = steps.atlas is not None or wanted.labels is not None or wanted.table is not None
    if not names or is_made:
        return []
    some_names = some(names, SHOWN_CONDITIONS)
    way_out = (
        "give [data] region_image, a table [data] regions with columns row and column, or "
        "[preprocess] atlas"
    )
    if any(one.traces is None for one in raw):
        raise DataError(
            f"{some_names}: traces are decoded, and no regions are named of which [preprocess] "
            f"could take them; {way_out}"
        )
    if wanted.movies == "none":
        raise StudyError(
            f"{some_names}: the traces of the catalogue are decoded, and no regions are named of "
            f"which [preprocess] could take others, so that it would do nothing; {way_out}, or "
            "leave it out"
        )
    reason = (
        f"[preprocess] has no part in the traces that {some_names} decode: they are the "
        f"catalogue's own, as no regions are named; {way_out} to take them of corrected movies"
    )
    return [Finding("condition", reason)]


def _folder_of(study: Study, steps: Steps, wanted: Wanted) -> Path:
    """Where recordings are kept that these steps make: a folder for each way.

    The same wherever the study lies and however it is named: what files hold is looked at when it
    is known whether a session is done.
    """
    image = study.data.region_image
    content = asdict(wanted) | {"labels": None if image is None else PurePath(image).name}
    key = hash_of({"steps": asdict(steps), "wanted": content})
    return (study.preprocessed_folder or Path()) / f"{steps.blood.method}-{key[:8]}"


def _steps_with(keys: StepKeys, has_reference: bool) -> Steps:
    return steps_of(keys, has_reference=has_reference)


def _refuse_slower_traces(steps: Steps, conditions: Sequence[ConditionKeys]) -> None:
    """Refuse confounds that are measured in frames beside traces of several frames each.

    Raises
    ------
    StudyError
        Frames are binned in time, and a condition measures confounds in raw movies.
    """
    measuring = [repr(c.name) for c in conditions if c.input != "movie" and reads_movies(c)]
    if steps.bins.frames > 1 and measuring:
        raise StudyError(
            f"{some(measuring, SHOWN_CONDITIONS)}: confounds are measured in each frame of the raw "
            f"movie, and [preprocess] makes one of {steps.bins.frames} frames; leave bin frames "
            "out, or these conditions"
        )


def _with_correction(keys: ConditionKeys, steps: Steps) -> ConditionKeys:
    """A condition of movies that says what was done about blood before."""
    if keys.input != "movie" or (keys.preprocess and keys.preprocess.correction):
        return keys
    done = "none" if steps.blood.method == "none" else "done-elsewhere"
    preprocess = (keys.preprocess or PreprocessKeys()).model_copy(update={"correction": done})
    return keys.model_copy(update={"preprocess": preprocess})
