"""A run folder read for its report: whatever of it is there, finished or not, without torch."""

import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from corticode.data.catalogue import Recording, read_catalogue
from corticode.data.checks import examine_movie
from corticode.data.extraction import read_label_image
from corticode.data.prepared import PreparedSessions, load_sessions
from corticode.data.readers.arrays import parse_location
from corticode.data.readers.lookup import LIBRARY_ERRORS
from corticode.data.regions import read_regions
from corticode.data.session import read_imaging
from corticode.decode.predictions import Predictions
from corticode.errors import CorticodeError, DataError, MissingDataError, RunError, StudyError
from corticode.evaluate.detection import auc_around_onset
from corticode.evaluate.metrics import binary_scores, reliability, roc_curve
from corticode.evaluate.scores import score_animals
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.masks import SquareGrid, cells_of_squares
from corticode.report.headline import linear_twin
from corticode.report.values import (
    CurveTables,
    RegionTraces,
    RunValues,
    SessionTrace,
    ShownClip,
    choose_by_rule,
    headline_condition,
    trace_sessions,
    worst_stretch,
)
from corticode.report.viewers import cut_clip
from corticode.run.folder import (
    NO_RUN,
    FitResult,
    MapResult,
    Run,
    check_format,
    is_run,
    read_csv,
    read_result,
    slug,
)
from corticode.run.tables import TABLES
from corticode.study.keys import PreprocessKeys, StudyKeys
from corticode.study.study import preprocessing_of, with_new_names

MINUTE_S, WORST_S = 60.0, 10.0
# Where no frame rate is known, a minute is as many frames as at this one.
ASSUMED_HZ = 30.0
# Read only for the condition a report is about, and what stands beside it in the viewer: single
# predictions of a whole study take minutes.
MOST_VIEWED = 2
LAGS_S = np.arange(-2, 3.01, 0.25)
CELLS = ("row", "column")
# What provenance.json holds, and of what; a page that reads it takes it as it is.
_NAMED = (dict, str | int | float | None)
PROVENANCE: Mapping[str, tuple[type, Any]] = {
    **dict.fromkeys(("versions", "machine"), _NAMED),
    **dict.fromkeys(
        ("recordings", "recordings_by_samples", "known_by_samples", "keys"), (dict, str)
    ),
    "histories": (dict, int),
    "seeds": (list, int),
}
DAMAGED = "{path} is damaged ({error}); it is left out of this page"
# What a page says where a finished run lacks a table that every run has.
MISSING_TABLE = {
    "session_scores": "session_scores.csv is missing: scores by session are not shown",
    "excluded": "excluded.csv is missing: what was left out, and whether leaks were found, is not "
    "known here",
}


@dataclass(frozen=True)
class ClipRequest:
    """Which minute of which movie is to be shown.

    Parameters
    ----------
    session
        ``animal/session``; None: the median session.
    minute
        From this minute to the next, counted from 0; None: the minute about the worst stretch.
    """

    session: str | None = None
    minute: int | None = None

    @property
    def is_explicit(self) -> bool:
        """Whether somebody asked for it."""
        return self.session is not None or self.minute is not None


def read_region_labels(folder: Path, study: Mapping[str, Any]) -> NDArray[np.int64] | None:
    """The label image that a study names; None where it names none.

    Raises
    ------
    CorticodeError
        It cannot be read (any more).
    """
    named = study.get("data", {}).get("region_image")
    if not isinstance(named, str):
        return None
    return np.asarray(read_label_image(parse_location(named, folder))).astype(np.int64)


def read_mean_images(run: Run, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The mean image of each movie whose statistics are kept."""
    kept = sorted(run.movie_statistics_path("any").parent.glob("*.npz"))
    if not kept:
        return {}
    told: dict[str, str] = {}
    for result in run.fit_results():
        told |= result.movie_statistics
    found = {}
    for name in provenance.get("recordings", {}):
        for path in kept:
            if path.name != told.get(name) and (name in told or not _is_of(path, name)):
                continue
            try:
                with np.load(path, allow_pickle=False) as stored:
                    found[name] = stored["mean"][-1]
                break
            except LIBRARY_ERRORS:
                continue
    return found


def _is_of(path: Path, name: str) -> bool:
    """Whether statistics are of a recording, in runs whose fits do not say which they used.

    A file is called by the slug of the recording's name and of what was subtracted; what is
    legible of the latter, put behind the name, has to give the file's own hash.
    """
    legible = path.stem.rpartition("-")[0]
    subtracted = legible[len(slug(name).rpartition("-")[0]) + 1 :]
    return slug(f"{name} {subtracted}") == path.stem


def read_session_maps(run: Run, condition: str, name: str) -> dict[str, NDArray[np.float64]]:
    """What covering each cell costs in each session, decoders averaged; empty if not squares."""
    tables = []
    for path in sorted(run.maps_folder(condition, name).glob("*/*/done.json")):
        try:
            result = read_result(path.parent, MapResult)
            table = read_csv(path.parent / "occlusion_sessions.csv")
            grid = SquareGrid(tuple(result.details["image_shape"] if result is not None else ()))
        except LIBRARY_ERRORS:
            continue
        if table["mask"].str.startswith("square ").all():
            tables.append(table)
    if not tables:
        return {}
    mean = pd.concat(tables).groupby(["animal", "session", "mask"], sort=False)["score"].mean()
    return {
        f"{animal}/{session}": cells_of_squares(scores.to_numpy(), grid)
        for (animal, session), scores in mean.groupby(["animal", "session"], sort=False)
    }


def read_region_traces(
    run: Run, condition: Mapping[str, Any], traces: Sequence[SessionTrace], regions: set[str]
) -> RegionTraces | None:
    """What regions did in the median session, where the sessions of a condition are kept.

    Parameters
    ----------
    run
        The run.
    condition
        Whose preprocessing they have.
    traces
        Sessions to choose from.
    regions
        Names of regions: what is prepared of cues or movies has others.
    """
    chosen = choose_by_rule(traces)
    if chosen is None or not regions:
        return None
    name = (chosen[0].animal, chosen[0].session)
    for kept in _prepared_of(run, condition):
        names = list(zip(kept.animals, kept.sessions, strict=True))
        if kept.regions and set(kept.regions) <= regions and name in names:
            values = np.array(kept.traces[kept.rows(names.index(name))])
            return RegionTraces(*name, kept.regions, values)
    return None


def _prepared_of(run: Run, condition: Mapping[str, Any]) -> Iterator[PreparedSessions]:
    """The sessions that a condition's fits were made from; of older runs, those prepared alike."""
    name = condition.get("name")
    keys = {one.prepared for one in run.fit_results() if one.fit.get("condition") == name}
    told = sorted(key for key in keys if key is not None)
    folders = [run.prepared_folder(key) for key in told]
    for folder in folders or sorted(run.prepared_folder("any").parent.glob("*/")):
        try:
            kept = load_sessions(folder)
            wanted = PreprocessKeys.model_validate(condition.get("preprocess", {}))
            alike = kept.preprocessing == preprocessing_of(wanted, kept.frame_rate_hz)
        except (CorticodeError, ValueError):
            continue
        if folders or alike:
            yield kept


def read_clip(
    folder: Path, study: Mapping[str, Any], traces: Sequence[SessionTrace], asked: ClipRequest
) -> ShownClip:
    """The clip of a movie that a page shows, in step with what was said of it.

    Parameters
    ----------
    folder
        The run folder, from which the study's paths start.
    study
        The resolved study.
    traces
        Sessions of the condition a page is about.
    asked
        Which; by default the minute about the worst ten seconds of the median session.

    Raises
    ------
    StudyError
        No such session was tested, or it has no such minute.
    DataError, MissingDataError
        The catalogue or the movie cannot be read (any more), or there is none.
    """
    trace = _choose_trace(traces, asked.session)
    if trace.of_trials:
        raise StudyError(
            "a minute of the movie is shown beside what was decoded frame by frame, and this run "
            "decodes trials; leave the clip out"
        )
    rate_hz = trace.frame_rate_hz or ASSUMED_HZ
    n_frames = round(MINUTE_S * rate_hz)
    movie = _movie_of(_recording(folder, study, trace), trace)
    if asked.minute is None:
        worst = worst_stretch(trace, round(WORST_S * rate_hz))
        middle = trace.first_frame + (worst.start + min(worst.stop, trace.score.size)) // 2
        first = max(0, min(middle - n_frames // 2, len(movie) - n_frames))
        why = "the minute about the ten seconds in which the decoder is most wrong"
    else:
        first = asked.minute * n_frames
        why = f"minute {asked.minute}, as was asked for"
    if not 0 <= first < len(movie):
        raise StudyError(
            f"minute {asked.minute} of {trace.animal}/{trace.session}: its movie of {len(movie)} "
            f"frames has minutes 0 to {(len(movie) - 1) // n_frames}"
        )
    if asked.session is None:
        why += ", of the median session (by the score of the averaged decoders)"
    return ShownClip(cut_clip(movie, first, n_frames, trace.frame_rate_hz), trace, why)


def _choose_trace(traces: Sequence[SessionTrace], name: str | None) -> SessionTrace:
    known = {f"{one.animal}/{one.session}": one for one in traces}
    if name is None:
        chosen = choose_by_rule(traces)
        if chosen is None:
            raise MissingDataError("no session has a score by which the median could be chosen")
        return chosen[0]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join([*known][:5])}"
        raise StudyError(f"no session {name!r} was tested; give animal/session: {hint}")
    return known[name]


def _recording(folder: Path, study: Mapping[str, Any], trace: SessionTrace) -> Recording:
    named = study.get("data", {}).get("catalogue")
    if not isinstance(named, str):
        raise MissingDataError("study.toml, which names the catalogue of movies, is missing")
    steps = [one.get("steps", {}) for one in study.get("condition", [])]
    if any(one.get("bin", {}).get("frames", 1) > 1 for one in steps):
        raise MissingDataError(
            "[preprocess] averaged frames in time, so that the raw movie has other frames than "
            "those that were decoded; leave the clip out"
        )
    for recording in read_catalogue(folder / named):
        if (recording.animal, recording.session) == (trace.animal, trace.session):
            return recording
    raise MissingDataError(
        f"{trace.animal}/{trace.session} is not in the catalogue {named} any more"
    )


def _movie_of(recording: Recording, trace: SessionTrace) -> NDArray[Any]:
    if recording.movie is None:
        raise DataError(f"session {recording.name} has no movie in the catalogue")
    # Only put in order could a movie be decoded that lost a frame.
    flips = examine_movie(recording).flips if len(recording.channels) > 1 else ()
    imaging, _ = read_imaging(replace(recording, traces=None), flips=flips)
    movie = np.asarray(imaging["movie"])
    if len(movie) < trace.first_frame + trace.score.size:
        raise DataError(
            f"the movie of {recording.name} has {len(movie)} frames now, and frame "
            f"{trace.first_frame + trace.score.size - 1} of it was decoded: it is another movie"
        )
    return movie


def read_run(
    folder: Path,
    *,
    single_predictions: bool = True,
    clip: ClipRequest | None = None,
    about: str | None = None,
) -> RunValues:
    """Everything of a run that its report shows.

    Parameters
    ----------
    folder
        The run folder; it may be half done, or have nothing done yet.
    single_predictions
        Whether curves, traces, maps and images are read too, which take time.
    clip
        Which minute of which movie; None: one by rule, where a condition decodes movies.
    about
        The condition whose single predictions are read, without a movie; None: the one that a
        report is about, and its linear baseline.

    Raises
    ------
    MissingDataError
        It is no run folder.
    RunError
        A newer corticode wrote it.
    CorticodeError
        A minute of a movie was asked for and cannot be shown.
    """
    run = Run(folder)
    if not is_run(folder):
        raise MissingDataError(NO_RUN.format(folder=folder))
    check_format(run)
    missing: list[str] = []
    study = _read(run.study_path, _study_of, missing)
    provenance = _read(run.provenance_path, _provenance_of, missing)
    conditions = [one["name"] for one in study.get("condition", [])]
    tables = _read_tables(run, conditions, provenance.get("keys"), missing)
    name = folder.resolve().name
    values = RunValues(name, tables, study, provenance, tuple(missing))
    values = replace(
        values,
        frame_rate_hz=_frame_rate_hz(run),
        n_other_conditions=_n_other_conditions(run, values),
    )
    if not single_predictions:
        return values
    regions = _read_regions(folder, study)
    maps = _read_maps(run, tables, missing)
    values = replace(
        values,
        regions=regions,
        region_labels=_read_labels(folder, study, missing),
        maps=maps,
        session_maps={
            key: read_session_maps(run, *key) for key, one in maps.items() if one.axes == CELLS
        },
        mean_images=read_mean_images(run, provenance),
    )
    if about is not None:
        return _with_predictions(run, values, [about], missing)
    shown = headline_condition(values)
    if shown is not None:
        values = _with_predictions(run, values, _viewed(values, shown), missing)
    return _with_clip(run, replace(values, missing=tuple(missing)), clip or ClipRequest())


def _read(path: Path, parse: Any, missing: list[str]) -> dict[str, Any]:
    """A text file as plain values; empty where it is missing or damaged, which is told."""
    try:
        return dict(parse(path.read_text("utf-8")))
    except FileNotFoundError:
        missing.append(f"{path.name} is missing: what it holds is unknown here")
    except (ValueError, TypeError, OSError, RecursionError) as error:
        missing.append(DAMAGED.format(path=path.name, error=error))
    return {}


def _study_of(text: str) -> dict[str, Any]:
    """A resolved study as it stands in its file, its keys of the types that they have to be.

    Raises
    ------
    ValueError
        They are not.
    """
    raw = tomllib.loads(text)
    try:
        StudyKeys.model_validate(with_new_names(raw))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg']}") from error
    return raw


def _provenance_of(text: str) -> dict[str, Any]:
    """What ``provenance.json`` holds, its keys of the types that they have to be.

    Raises
    ------
    ValueError
        They are not.
    """
    told = json.loads(text)
    if not isinstance(told, dict):
        raise ValueError("it holds no table")
    for name, (kind, of) in PROVENANCE.items():
        value = told.get(name, kind())
        cells = value.values() if isinstance(value, dict) else value
        if not isinstance(value, kind) or not all(isinstance(cell, of) for cell in cells):
            raise ValueError(f"{name} is of the wrong type")
    if not isinstance(told.get("commit"), str | None):
        raise ValueError("commit is of the wrong type")
    return told


def _read_tables(
    run: Run, conditions: Sequence[str], keys: Mapping[str, str] | None, missing: list[str]
) -> dict[str, pd.DataFrame]:
    """The tables that were written; of a run that is not finished, those of the fits that are.

    Parameters
    ----------
    run, conditions
        Which, and the order of its conditions.
    keys
        Of each fit that the run's last call asked for, by its folder; None in older versions.
    missing
        What is not there, added to.
    """
    tables = {}
    for name in TABLES:
        if run.table_path(name).is_file():
            try:
                tables[name] = run.read_table(name)
            except (ValueError, CorticodeError) as error:
                missing.append(DAMAGED.format(path=f"{name}.csv", error=error))
    finished = list(_finished(run, missing))
    current = [one for one in finished if keys is None or one.key in set(keys.values())]
    is_behind = keys is not None and len(current) < len(keys)
    if "scores" in tables and "animal_scores" in tables and not is_behind:
        missing += [MISSING_TABLE[name] for name in MISSING_TABLE if name not in tables]
        return tables
    if is_behind and "scores" in tables:
        # They are of an earlier call, with other settings or data.
        tables = {}
        missing.append(
            f"the tables of the run are those of an earlier call: {len(keys or ()) - len(current)} "
            "of its fits have other settings or data since and are not done again yet"
        )
    done = [one for one in current if one.left_out is None]
    left_out = [one.left_out for one in current if one.left_out is not None]
    begun = len(list(run.folder.glob("fits/*/*/*"))) - len(finished)
    missing.append(
        f"the run is not finished: {len(done)} fits are scored, {begun} begun and not "
        f"scored{_left_out(left_out)}; the page is made of those that are scored. 'corticode run' "
        "with the same study and folder goes on, then 'corticode report' makes this page again"
    )
    place = {name: k for k, name in enumerate(conditions)}
    done.sort(key=lambda one: place.get(one.fit["condition"], len(place)))
    return tables | _tables_of(done)


def _left_out(reasons: Sequence[str]) -> str:
    """How many folds could not be fitted, and why the first of them."""
    if not reasons:
        return ""
    return f", {len(reasons)} left out (the first: {reasons[0]})"


def _finished(run: Run, missing: list[str]) -> Iterator[FitResult]:
    for path in sorted(run.folder.glob("fits/*/*/*/done.json")):
        try:
            result = read_result(path.parent, FitResult)
        except RunError as error:
            why = error.__cause__ or error
            missing.append(DAMAGED.format(path=path.relative_to(run.folder), error=why))
            continue
        if result is not None:
            yield result


def _tables_of(done: Sequence[FitResult]) -> dict[str, pd.DataFrame]:
    """The three tables of scores from what finished fits left."""
    if not done:
        return {}
    scores = [
        {**one.fit, **one.scores, "look_ahead_s": float(one.look_ahead_s or "nan")} for one in done
    ]
    table = pd.DataFrame([{**one.fit, **row} for one in done for row in one.session_scores])
    return {
        "scores": pd.DataFrame(scores),
        "session_scores": table,
        "animal_scores": score_animals(table),
    }


def _frame_rate_hz(run: Run) -> float | None:
    """Of the recordings as decoded, from the first fit that tells it."""
    for path in sorted(run.folder.glob("fits/*/*/*/predictions.npz")):
        try:
            with np.load(path, allow_pickle=False) as stored:
                rate = float(stored["frame_rate_hz"])
        except LIBRARY_ERRORS:
            continue
        return None if np.isnan(rate) else rate
    return None


def _n_other_conditions(run: Run, values: RunValues) -> int:
    """Conditions of an earlier study whose finished fits lie here still."""
    known = {slug(str(one["name"])) for one in values.conditions}
    found = {path.parents[2].name for path in run.folder.glob("fits/*/*/*/done.json")}
    return len(found - known)


def _read_regions(folder: Path, study: Mapping[str, Any]) -> pd.DataFrame:
    """Where regions lie; empty where the study names no table or it is not there any more."""
    path = study.get("data", {}).get("regions")
    if not isinstance(path, str) or not (folder / path).is_file():
        return pd.DataFrame()
    try:
        table = read_regions(folder / path)
    except CorticodeError:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            "name": table.names,
            # Of several groups the first: a region has one colour.
            "group": [groups[0] if groups else "none" for groups in table.groups],
            "row": table.rows,
            "column": table.columns,
        }
    )


def _read_labels(
    folder: Path, study: Mapping[str, Any], missing: list[str]
) -> NDArray[np.int64] | None:
    try:
        return read_region_labels(folder, study)
    except CorticodeError as error:
        missing.append(f"regions have no outlines: {error}")
        return None


def _with_clip(run: Run, values: RunValues, asked: ClipRequest) -> RunValues:
    """A minute of a movie; where nobody asked for one, why there is none is told on the page."""
    decodes_movies = any(one.get("input") == "movie" for one in values.conditions)
    name = headline_condition(values)
    if not asked.is_explicit and (name is None or not decodes_movies):
        return values
    own = [trace for trace in values.traces if trace.condition == name]
    if any(trace.of_trials for trace in own) and not asked.is_explicit:
        return values  # of which no minute is the median's worst
    try:
        return replace(values, clip=read_clip(run.folder, values.study, own, asked))
    except CorticodeError as error:
        if asked.is_explicit:
            raise
        return replace(values, clip_missing=_in_a_line(error))


def _in_a_line(error: CorticodeError) -> str:
    """What went wrong, of many faults the first."""
    first, *faults = (line.strip() for line in str(error).splitlines())
    return " ".join([first, *faults[:1]]).rstrip(".")


def _read_maps(
    run: Run, tables: Mapping[str, pd.DataFrame], missing: list[str]
) -> dict[tuple[str, str], ImportanceMap]:
    """The joined maps that the tables speak of."""
    named = [tables[name] for name in ("map_regions", "occlusion") if name in tables]
    pairs = [pair for table in named for pair in zip(table["condition"], table["map"], strict=True)]
    found = {}
    for condition, name in dict.fromkeys(pairs):
        path = run.maps_folder(condition, name) / "map.npz"
        if path.is_file():
            try:
                found[condition, name] = ImportanceMap.load(path)
            except CorticodeError as error:
                missing.append(_within(run, error))
    return found


def _within(run: Run, error: CorticodeError) -> str:
    """What went wrong, with paths from the run folder: a page is sent to others."""
    return str(error).replace(f"{run.folder}{os.sep}", "")


def _viewed(values: RunValues, name: str) -> list[str]:
    """The condition that a report is about, and what stands beside it in the viewer."""
    twin = linear_twin(values, name)
    others = [str(one["name"]) for one in values.conditions]
    viewed = dict.fromkeys([name, *([twin] if twin else []), *others])
    scored = set(values.table("scores")["condition"])
    return [one for one in viewed if one in scored][:MOST_VIEWED]


def _with_predictions(
    run: Run, values: RunValues, viewed: Sequence[str], missing: list[str]
) -> RunValues:
    """What only single predictions tell of some conditions: traces, and curves of the first."""
    name = viewed[0]
    speeds = _speeds(run.folder)
    traces: list[SessionTrace] = []
    curves = CurveTables()
    for condition in viewed:
        read = list(_read_predictions(run, values, condition, missing))
        own = trace_sessions(condition, [said for _, _, said in read])
        traces += [_with_speed(one, speeds) for one in own]
        if condition == name:
            curves = _curves(run, values, condition, read, own)
    own = [trace for trace in traces if trace.condition == name]
    regions = set(values.table("region_correlations").get("region", ()))
    return replace(
        values,
        traces=tuple(traces),
        curves=curves,
        region_traces=read_region_traces(run, values.condition(name), own, regions),
        missing=tuple(missing),
    )


Read = tuple[str, str, Predictions]


def _read_predictions(
    run: Run, values: RunValues, condition: str, missing: list[str]
) -> Iterator[Read]:
    """Of each decoder of a condition: its name, its test animal, what it said."""
    for row in _fits(values, condition):
        folder = run.fit_folder(condition, row.fold, int(row.seed))
        try:
            said = Predictions.load(folder / "predictions.npz")
        except CorticodeError as error:
            missing.append(_within(run, error))
            continue
        yield f"{row.fold}, seed {row.seed}", str(row.test_animal), said


def _fits(values: RunValues, condition: str) -> Iterable[Any]:
    table = values.table("scores")
    if table.empty:
        return ()
    return table[table["condition"] == condition].itertuples()


def _curves(
    run: Run, values: RunValues, condition: str, read: Sequence[Read], own: Sequence[SessionTrace]
) -> CurveTables:
    history = read_history(run, values, condition)
    if not read or read[0][2].kind != "binary":
        return CurveTables(history=history)
    rocs, bins, onsets = [], [], []
    for decoder, animal, said in read:
        for part in ("train", "valid", "test"):
            chosen = said.of_part(part)
            curve = roc_curve(chosen.target, chosen.score)
            if not curve.empty:
                auc = binary_scores(chosen.target, chosen.score)["auc"]
                named = {"part": part, "decoder": decoder, "animal": animal, "auc": auc}
                rocs.append(curve.assign(**named))
    for animal in dict.fromkeys(animal for _, animal, _ in read):
        tested = [said.of_part("test") for _, whose, said in read if whose == animal]
        target, score = (
            np.concatenate([getattr(t, k) for t in tested]) for k in ("target", "score")
        )
        bins.append(reliability(target, score).assign(animal=animal))
    for trace in own:
        if trace.frame_rate_hz:
            found = auc_around_onset(trace.target, trace.score, trace.frame_rate_hz, LAGS_S)
            onsets.append(found.assign(animal=trace.animal))
    onset = pd.concat(onsets) if onsets else pd.DataFrame(columns=["animal", "lag_s", "auc"])
    return CurveTables(
        pd.concat(rocs) if rocs else pd.DataFrame(),
        history,
        pd.concat(bins),
        onset.groupby(["animal", "lag_s"], sort=False)["auc"].mean().reset_index(),
    )


def read_history(run: Run, values: RunValues, condition: str) -> pd.DataFrame:
    """How training of a condition's decoders went; empty of linear ones, whose rows are penalties.

    Parameters
    ----------
    run
        The run.
    values
        What there is of it: its scored fits are read.
    condition
        Which.

    Returns
    -------
    DataFrame
        The rows of each ``history.csv``, with decoder and is_best (the row that was kept).
    """
    tables = []
    for row in _fits(values, condition):
        folder = run.fit_folder(condition, row.fold, int(row.seed))
        try:
            table = pd.read_csv(folder / "history.csv")
            result = read_result(folder, FitResult)
        except (OSError, ValueError, RunError):
            continue
        if "penalty" in table or not {"train_loss", "valid_loss"} <= set(table):
            continue
        best = None if result is None else result.best_epoch
        is_best = np.arange(1, len(table) + 1) == best
        tables.append(table.assign(decoder=f"{row.fold}, seed {row.seed}", is_best=is_best))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _speeds(folder: Path) -> dict[tuple[str, str], Any]:
    """The speed of each session, where prepared sessions are kept and hold one."""
    found: dict[tuple[str, str], Any] = {}
    for path in sorted(folder.glob("prepared/*/prepared.json")):
        try:
            prepared = load_sessions(path.parent)
        except CorticodeError:
            continue
        named = [signal for signal in prepared.behavior if "speed" in signal.lower()]
        if not named:
            continue
        for k, session in enumerate(zip(prepared.animals, prepared.sessions, strict=True)):
            found.setdefault(session, prepared.behavior[named[0]][prepared.rows(k)])
    return found


def _with_speed(trace: SessionTrace, speeds: Mapping[tuple[str, str], Any]) -> SessionTrace:
    speed = None if trace.of_trials else speeds.get((trace.animal, trace.session))
    last = trace.first_frame + trace.score.size
    if speed is None or speed.size < last or not np.issubdtype(speed.dtype, np.number):
        return trace
    return replace(trace, speed=np.asarray(speed[trace.first_frame : last], dtype=np.float32))
