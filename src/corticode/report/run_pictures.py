"""What a report shows of movies and of where regions lie: pictures that a run or its files hold."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.catalogue import Recording, read_catalogue
from corticode.data.extraction import read_label_image
from corticode.data.movie_clips import cut_clip
from corticode.data.prepared import load_sessions
from corticode.data.readers.arrays import parse_location
from corticode.data.session import read_imaging
from corticode.errors import CorticodeError, DataError, MissingDataError, StudyError
from corticode.explain.masks import SquareGrid, cells_of_squares
from corticode.report.movie_player import ShownClip
from corticode.report.page_values import RegionTraces
from corticode.report.session_trace import SessionTrace, choose_by_rule, worst_stretch
from corticode.run.folder import Run

MINUTE_S, WORST_S = 60.0, 10.0
# Where no frame rate is known, a minute is as many frames as at this one.
ASSUMED_HZ = 30.0


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
    found = {}
    for name in provenance.get("recordings", {}):
        for path in run.movie_statistics_paths(name)[:1]:
            try:
                with np.load(path, allow_pickle=False) as stored:
                    found[name] = stored["mean"][-1]
            except (OSError, KeyError, ValueError):
                continue
    return found


def read_session_maps(run: Run, condition: str, name: str) -> dict[str, NDArray[np.float64]]:
    """What covering each cell costs in each session, decoders averaged; empty if not squares."""
    tables = []
    for path in sorted(run.maps_folder(condition, name).glob("*/*/done.json")):
        try:
            details = json.loads(path.read_text("utf-8"))["details"]
            table = pd.read_csv(
                path.parent / "occlusion_sessions.csv", dtype={"animal": str, "session": str}
            )
            grid = SquareGrid(tuple(details["image_shape"]))
        except (OSError, KeyError, ValueError, TypeError):
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
    wanted = condition.get("preprocess", {})
    if chosen is None or not regions:
        return None
    for path in sorted(run.folder.glob("prepared/*/prepared.json")):
        try:
            kept = load_sessions(path.parent)
        except CorticodeError:
            continue
        own = {
            # None in memory is 0 in a study file.
            "detrend_frames": kept.preprocessing.detrend_frames or 0,
            "scale": kept.preprocessing.scale,
        }
        names = list(zip(kept.animals, kept.sessions, strict=True))
        is_it = all(wanted.get(key, value) == value for key, value in own.items())
        if (
            is_it
            and set(kept.regions) <= regions
            and (chosen[0].animal, chosen[0].session) in names
        ):
            k = names.index((chosen[0].animal, chosen[0].session))
            values = np.array(kept.traces[kept.rows(k)])
            return RegionTraces(*names[k], kept.regions, values) if kept.regions else None
    return None


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
    for recording in read_catalogue(folder / named):
        if (recording.animal, recording.session) == (trace.animal, trace.session):
            return recording
    raise MissingDataError(
        f"{trace.animal}/{trace.session} is not in the catalogue {named} any more"
    )


def _movie_of(recording: Recording, trace: SessionTrace) -> NDArray[Any]:
    if recording.movie is None:
        raise DataError(f"session {recording.name} has no movie in the catalogue")
    imaging, _ = read_imaging(replace(recording, traces=None))
    movie = np.asarray(imaging["movie"])
    if len(movie) < trace.first_frame + trace.score.size:
        raise DataError(
            f"the movie of {recording.name} has {len(movie)} frames now, and frame "
            f"{trace.first_frame + trace.score.size - 1} of it was decoded: it is another movie"
        )
    return movie
