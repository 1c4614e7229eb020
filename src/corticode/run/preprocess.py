"""A catalogue of raw movies through all steps: resumable by session, over workers."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from corticode.data.alignment import read_times
from corticode.data.atlas.files import read_alignment
from corticode.data.atlas.maps import (
    canvas_transform,
    find_regions,
    read_atlas,
    to_atlas_transform,
)
from corticode.data.catalogue import (
    MOVIE_AXES,
    TRACES_AXES,
    Recording,
    read_catalogue,
    write_catalogue,
)
from corticode.data.checks import Examined, check_choice, examine_all, with_bad_frames
from corticode.data.clocks import frame_period
from corticode.data.extraction import (
    find_region_pixels,
    labels_of,
    name_labels,
    pixels_of_labels,
    read_label_image,
)
from corticode.data.files import fingerprint, holds_files, new_mapped, write_text, write_with
from corticode.data.preprocessing.blood import VARIANTS
from corticode.data.preprocessing.chain import (
    CALCIUM,
    REFERENCE,
    SCRATCH,
    RawSession,
    Regions,
    bin_regions,
    blind_pixels,
    moved_shape,
    preprocess_session,
    slow_kept,
)
from corticode.data.preprocessing.quality import PAGE, WHOLE_SESSION, Quality, with_behavior
from corticode.data.preprocessing.steps import MOVIES, STEPS, Steps, describe
from corticode.data.readers.arrays import (
    ArrayLocation,
    list_signals,
    parse_location,
    read_array,
    read_signal,
)
from corticode.data.readers.lookup import check_file
from corticode.data.regions import RegionTable, read_regions, regions_beside
from corticode.data.session import Session, read_imaging, read_session
from corticode.data.trials import FrameClock, TrialTimes, trials_on_frames
from corticode.errors import (
    CorticodeError,
    DataError,
    Finding,
    RunError,
    StudyError,
    some,
)
from corticode.run.folder import hash_of, slug
from corticode.run.worker import machine_errors, worker_pool
from corticode.study.steps import read_steps

# Sessions are made anew whenever this changes.
FORMAT = 2
STATE, CATALOGUE = "preprocess.json", "sessions.csv"
# What a catalogue's column history has of a movie whose motion was corrected before.
MOTION = "motion"
# A camera's frame is not so much longer than high; a movie whose axes were taken for others is.
ODD_SIDES = 4
LOCK = ".preprocess.lock"
SHOWN_NAMES = 5
# Of the reference's frame behind its calcium frame, where they take turns, in frames of either.
DELAYS: dict[tuple[str, ...], float] = {(CALCIUM, REFERENCE): 0.5, (REFERENCE, CALCIUM): -0.5}


@dataclass(frozen=True)
class Wanted:
    """What is to come out of every session.

    Parameters
    ----------
    movies
        How movies are kept: ``"float16"`` or ``"float32"``, as NPY; ``"tiff"``, as BigTIFF of 32
        bits, which other programs read; ``"none"``: not at all.
    labels, table, radius_pixels
        Where regions lie in raw frames, as `corticode.data.extraction.extract_catalogue` takes
        them. Movies that are warped onto the atlas take its regions.
    """

    movies: str = "float16"
    labels: ArrayLocation | None = None
    table: RegionTable | None = None
    radius_pixels: float = 4.0

    def __post_init__(self) -> None:
        if self.movies not in MOVIES:
            raise StudyError(f"movies is {self.movies!r}; it must be one of {', '.join(MOVIES)}")


@dataclass(frozen=True)
class Summary:
    """What came of a catalogue.

    Parameters
    ----------
    catalogue
        The new sessions.csv.
    findings
        What looks odd.
    n_made, n_kept
        Sessions made now, and those that an earlier call had made of the same files and steps.
    steps
        What was done, in words.
    """

    catalogue: Path
    findings: tuple[Finding, ...]
    n_made: int
    n_kept: int
    steps: str


@dataclass(frozen=True)
class _Task:
    """One session: what is read, what is done, where it goes, and what it is known by."""

    recording: Recording
    found: Examined
    steps: Steps
    wanted: Wanted
    bad_frames: str
    folder: Path
    name: str
    key: str

    @property
    def state_path(self) -> Path:
        return self.folder / "quality" / f"{self.name}.json"


def preprocess(  # noqa: PLR0913  where regions lie, and what comes out
    catalogue: Path | str,
    destination: Path | str,
    *,
    steps: Steps | Path | str | None = None,
    labels: str | None = None,
    regions: Path | str | None = None,
    radius_pixels: float = 4.0,
    movies: str = "float16",
    resynchronise: bool = False,
    bad_frames: str = "exclude",
    n_workers: int = 1,
    on_session: Callable[[str], None] = lambda _: None,
) -> Summary:
    r"""Dark level, brain motion, F0 and blood taken out of the movies of a catalogue.

    Parameters
    ----------
    catalogue
        A sessions.csv.
    destination
        A new folder, or one that an earlier call made: that is gone on with.
    steps
        What is done, or a TOML file that says it; None: motion, mean F0, and blood by the heart
        beat where every recording has a reference channel.
    labels, regions, radius_pixels
        An image of numbered regions and a region table, as files: traces are written too.
    movies
        How movies are kept: ``"float16"``, ``"float32"``, ``"tiff"`` or ``"none"``, see `Wanted`.
    resynchronise, bad_frames, n_workers, on_session
        As in `preprocess_catalogue`.

    Returns
    -------
    Summary
        The new catalogue, what looks odd, and how many sessions were made.

    Raises
    ------
    DataError, StudyError, RunError
        As `preprocess_catalogue` and `corticode.study.steps.read_steps`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> image = 1000 + 300 * np.sin(np.arange(32) / 2)[:, None] * np.cos(np.arange(32) / 3)
    >>> np.save(folder / "m1.npy", np.random.default_rng(0).poisson(image, (60, 32, 32)))
    >>> _ = (folder / "sessions.csv").write_text("animal,session,movie\nm1,a,m1.npy\n")
    >>> preprocess(folder / "sessions.csv", folder / "made").n_made
    1
    """
    recordings = read_catalogue(catalogue)
    if not isinstance(steps, Steps):
        path = None if steps is None else Path(steps)
        steps = steps_for(lambda has: read_steps(path, has_reference=has), recordings)
    wanted = Wanted(
        movies,
        None if labels is None else parse_location(labels, Path()),
        None if regions is None else read_regions(Path(regions)),
        radius_pixels,
    )
    return preprocess_catalogue(
        recordings,
        Path(destination),
        steps,
        wanted,
        resynchronise=resynchronise,
        bad_frames=bad_frames,
        n_workers=n_workers,
        on_session=on_session,
    )


def steps_for(asked: Callable[[bool], Steps], recordings: Sequence[Recording]) -> Steps:
    """Steps for recordings with or without a reference channel.

    Parameters
    ----------
    asked
        The steps, told whether there is a reference channel.
    recordings
        What they are for.

    Raises
    ------
    StudyError
        Blood would be taken out of some of them alone.
    """
    without = [
        one.name
        for one in recordings
        if one.movie_reference is None and REFERENCE not in one.channels
    ]
    is_mixed = 0 < len(without) < len(recordings)
    steps = asked(is_mixed or not without)
    if is_mixed and VARIANTS[steps.blood.method].needs_reference:
        raise StudyError(
            f"{len(without)} of {len(recordings)} recordings have no reference channel "
            f"({some(without, SHOWN_NAMES)}), by which blood is taken out of the others: a decoder "
            "would be trained on both kinds. Take them out of the catalogue, or give "
            'blood = { method = "none" } in [preprocess]'
        )
    return steps


def preprocess_catalogue(
    recordings: Sequence[Recording],
    destination: Path,
    steps: Steps,
    wanted: Wanted,
    *,
    resynchronise: bool = False,
    bad_frames: str = "exclude",
    n_workers: int = 1,
    on_session: Callable[[str], None] = lambda _: None,
) -> Summary:
    """All steps on every recording; a catalogue of what comes out.

    A second call goes on where the first stopped; a session whose files, steps and regions are the
    same is kept.

    Parameters
    ----------
    recordings
        Recordings with movies.
    destination
        A new folder, or one that an earlier call made.
    steps, wanted
        What is done, and what is to come out.
    resynchronise, bad_frames
        As in `corticode.data.extraction.extract_catalogue`.
    n_workers
        Processes, of one thread each.
    on_session
        Told each session's name when it is done.

    Raises
    ------
    DataError
        Lists every recording that cannot be preprocessed; the others are done first.
    RunError
        The destination holds something else, or cannot be written.
    """
    check_choice(bad_frames)
    _check_wanted(steps, wanted)
    _check_destination(destination)
    looked = examine_all(recordings, resynchronise=resynchronise)
    with _held(destination):
        tasks = [
            _task(one, looked[one.name], steps, wanted, bad_frames, destination)
            for one in recordings
        ]
        words = [
            [row.name, row.words(steps), row.fitted_on(steps)]
            for row in STEPS.values()
            if row.is_used(steps)
        ]
        state = {
            "format": FORMAT,
            "steps": asdict(steps),
            "words": words,
            "sessions": [task.name for task in tasks],
        }
        write_text(destination / STATE, json.dumps(state, indent=1))
        waiting = [task for task in tasks if not _is_done(task)]
        if waiting:  # what an earlier call said of these is no longer so
            for name in (CATALOGUE, PAGE):
                (destination / name).unlink(missing_ok=True)
        faults = []
        for task, fault in _run(waiting, n_workers):
            if fault is not None:
                named = f"session {task.recording.name}"
                faults.append(fault if fault.startswith(named) else f"{named}: {fault}")
            else:
                on_session(task.recording.name)
        if faults:
            kept = (
                "\nwhat was made of the other sessions is kept" if len(tasks) > len(faults) else ""
            )
            raise DataError("\n".join(faults) + kept)
        rows, findings = zip(*(_row(task) for task in tasks), strict=True)
        path = destination / CATALOGUE
        write_catalogue(path, rows)
        told = tuple(finding for some in findings for finding in some)
        return Summary(path, told, len(waiting), len(tasks) - len(waiting), describe(steps))


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep the folder to oneself while the block lasts; what a killed call left is removed first.

    Raises
    ------
    RunError
        Another process writes into it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"cannot write {folder}: {error.strerror or error}; choose another folder"
        ) from error
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(
            f"{folder} is in use by another corticode preprocess; wait for its end, stop it, or "
            "name another folder"
        ) from error
    except (OSError, NotImplementedError):
        pass  # a file system that knows no locks
    try:
        if lock.is_locked:
            for left in folder.glob(f"{SCRATCH}*"):
                shutil.rmtree(left, ignore_errors=True)
            for left in (folder / "movies").glob(".*.part"):
                left.unlink(missing_ok=True)
        yield
    finally:
        if lock.is_locked:
            lock.release()
            (folder / LOCK).unlink(missing_ok=True)


def _check_wanted(steps: Steps, wanted: Wanted) -> None:
    """Refuse regions that do not fit the steps, and to make nothing."""
    has_regions = wanted.labels is not None or wanted.table is not None
    if steps.atlas is not None and has_regions:
        raise StudyError(
            "regions (--labels, --regions) lie in raw frames, and preprocess.atlas warps these "
            "onto the atlas, whose own regions are taken; leave one of them out"
        )
    if wanted.movies == "none" and not has_regions and steps.atlas is None:
        raise StudyError("nothing would come out: give regions (--labels or --regions), or movies")


def _check_destination(destination: Path) -> None:
    """Refuse a folder that holds anything but what this command made."""
    if holds_files(destination) and not (destination / STATE).is_file():
        raise DataError(
            f"{destination} holds files that corticode preprocess did not write; name another "
            "folder, or move them away"
        )


def _task(
    recording: Recording,
    found: Examined,
    steps: Steps,
    wanted: Wanted,
    bad_frames: str,
    destination: Path,
) -> _Task:
    if recording.movie is None:
        raise DataError(
            f"session {recording.name} has no movie; name one in the catalogue's column 'movie'"
        )
    files = [recording.movie, recording.movie_reference, recording.dark, recording.mask]
    if steps.baseline is not None and steps.baseline.kind == "trial":
        files.append(recording.trials)
    if recording.landmarks is not None and steps.atlas is not None:
        files.append(ArrayLocation(recording.landmarks))
    if wanted.labels is not None:
        own = labels_of(recording, wanted.labels)
        check_file(own.path)
        beside = regions_beside(own.path)
        files += [own] if beside is None else [own, ArrayLocation(beside)]
    content = {
        "format": FORMAT,
        "files": [None if one is None else [fingerprint(one.path), one.dataset] for one in files],
        "axes": recording.movie_axes,
        "channels": recording.channels,
        "rate": recording.frame_rate_hz,
        "times": None if recording.frame_times is None else fingerprint(recording.frame_times.path),
        "steps": asdict(steps),
        "movies": wanted.movies,
        "table": None if wanted.table is None else asdict(wanted.table),
        "radius": wanted.radius_pixels,
        "bad_frames": bad_frames,
        "flips": list(found.flips),
    }
    return _Task(
        recording,
        found,
        steps,
        wanted,
        bad_frames,
        destination,
        slug(recording.name),
        hash_of(content),
    )


def _is_done(task: _Task) -> bool:
    try:
        state = json.loads(task.state_path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    made = [task.folder / name for name in state.get("files", ())]
    made.append(task.state_path.with_suffix(".npz"))
    return bool(state.get("key") == task.key and all(path.is_file() for path in made))


def _run(tasks: Sequence[_Task], n_workers: int) -> Iterator[tuple[_Task, str | None]]:
    """Each task as it ends, and why it could not be done; None where it was."""
    if n_workers == 1 or len(tasks) < 2:
        for task in tasks:
            yield task, _attempt(task)
        return
    with worker_pool(n_workers) as pool:
        futures = {pool.submit(_attempt, task): task for task in tasks}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool as error:
                raise RunError(
                    "a worker process ended in the middle, as where the machine's memory is full; "
                    "run the same command again with fewer --workers: what is done is kept"
                ) from error


def _attempt(task: _Task) -> str | None:
    """Preprocess one session; why it cannot be, in words."""
    try:
        with machine_errors():
            _preprocess(task)
    except RunError:
        raise
    except CorticodeError as error:
        return str(error)
    return None


def _preprocess(task: _Task) -> None:
    recording, steps = task.recording, task.steps
    raw, clocks, findings = open_raw(recording, task.found, steps, task.bad_frames)
    regions = _regions_of(task, moved_shape(raw, steps))
    task.folder.mkdir(parents=True, exist_ok=True)
    files: list[str] = []
    with _movie_file(task) as (room, movie_name):
        traces, quality = preprocess_session(raw, steps, task.folder, regions=regions, movie=room)
    files += [movie_name] if movie_name else []
    if regions is not None:
        files.append(f"traces/{task.name}.npy")
        write_with(task.folder / files[-1], partial(_save, traces))
        files.append(f"regions/{task.name}.txt")
        write_text(task.folder / files[-1], "\n".join(regions.names) + "\n")
    for column, times in clocks.items():
        files.append(f"{column}/{task.name}.npy")
        write_with(task.folder / files[-1], partial(_save, times))
    if regions is not None:
        quality.images["regions"] = _region_image(regions, quality.images["mask"].shape)
    quality = replace(quality, findings=(*findings, *quality.findings))
    if MOTION in recording.history.lower():
        quality.numbers["was_corrected"] = 1.0
    quality = _with_behavior(task, quality, raw)
    before = _made_before(task)
    _write_quality(task, quality, files)
    for name in before - set(files):
        (task.folder / name).unlink(missing_ok=True)


def _made_before(task: _Task) -> set[str]:
    """Files that an earlier call made of the session, in its folder."""
    try:
        return set(json.loads(task.state_path.read_text("utf-8"))["files"])
    except (OSError, ValueError, LookupError):
        return set()


def _region_image(regions: Regions, shape: tuple[int, ...]) -> NDArray[np.int16]:
    """(row, column): the number of the region, from 1, that has most of a pixel; 0 for none."""
    numbers = np.where(regions.weights.any(axis=0), 1 + regions.weights.argmax(axis=0), 0)
    return numbers.reshape(shape).astype(np.int16)


def _with_behavior(task: _Task, quality: Quality, raw: RawSession) -> Quality:
    """What was found, with behaviour where it can be brought onto the frames."""
    if task.recording.behavior is None:
        return quality
    try:
        session = read_session(replace(task.recording, traces=None), flips=task.found.flips)
    except CorticodeError as error:
        reason = f"behaviour could not be set against motion and onsets: {error}"
        return replace(quality, findings=(*quality.findings, Finding("session", reason)))
    if session.n_frames != raw.n_frames:
        reason = (
            f"behaviour covers {session.n_frames:,} of {raw.n_frames:,} frames, so that it could "
            "not be set against motion and onsets"
        )
        return replace(quality, findings=(*quality.findings, Finding("session", reason)))
    n_per_bin, rate_hz = task.steps.bins.frames, raw.frame_rate_hz
    binned_hz = None if rate_hz is None else rate_hz / n_per_bin
    keeps = partial(slow_kept, steps=task.steps, frame_rate_hz=binned_hz)
    return with_behavior(quality, session.behavior, n_per_bin, rate_hz, keeps)


def _save(values: NDArray[Any], file: IO[bytes]) -> None:
    np.save(file, values)


def open_raw(
    recording: Recording, found: Examined, steps: Steps, bad_frames: str
) -> tuple[RawSession, dict[str, NDArray[np.float64]], list[Finding]]:
    """A recording as the camera gave it; times of frames where they change; what looks odd."""
    imaging, cut = read_imaging(replace(recording, traces=None), flips=found.flips)
    movie = np.asarray(imaging["movie"])
    whole = imaging.get("whole")
    times = read_times(recording.frame_times)
    clocks: dict[str, NDArray[np.float64]] = {}
    n_kept = _n_counted(recording, times) if found.flips else len(movie)
    # As corticode.data.session reads it: whoever counted pairs in the file has fewer of them.
    if 0 < len(movie) - n_kept <= len(found.flips):
        if times is not None:
            first = np.asarray(imaging["first"])[:n_kept]
            times = np.interp(first, 2 * np.arange(n_kept), times)
            clocks["frame_times"] = times
        imaging = {name: array[:n_kept] for name, array in imaging.items()}
        movie, whole = imaging["movie"], imaging.get("whole")
    lost = None if whole is None else ~np.asarray(whole, np.bool_)
    segment = np.zeros(len(movie), np.int32)
    session = Session(
        recording.animal,
        recording.session,
        None,
        (),
        {},
        segment,
        movie=movie,
        left_out=lost,
        findings=tuple(cut),
    )
    session = with_bad_frames(session, found, bad_frames)
    channels = {CALCIUM: movie}
    if "reference" in imaging:
        channels[REFERENCE] = np.asarray(imaging["reference"])
    if len({len(array) for array in channels.values()}) > 1:
        raise DataError(
            f"the movie has {len(movie):,} frames and its reference "
            f"{len(channels[REFERENCE]):,}; both need as many"
        )
    rate_hz = recording.frame_rate_hz
    if rate_hz is None and times is not None:
        rate_hz = 1 / frame_period(times)
    dark = _dark_of(recording, steps, movie.shape[1:])
    raw = RawSession(
        channels,
        np.zeros(len(movie), np.bool_) if session.left_out is None else session.left_out,
        rate_hz,
        dict.fromkeys(channels, dark),
        _mask_of(recording),
        _onto_atlas(recording, steps, movie.shape[1:]),
        DELAYS.get(recording.channels, 0.0),
        blind={
            name: pixels
            for name, array in channels.items()
            if (pixels := blind_pixels(array)).any()
        },
    )
    if steps.baseline is not None and steps.baseline.kind == "trial":
        clock = FrameClock(raw.n_frames, rate_hz, times)
        raw, odd = _with_trials(recording, raw, TrialTimes(steps.baseline.events), clock)
        session = replace(session, findings=(*session.findings, *odd))
    if steps.bins.frames > 1:
        clocks = _binned_clocks(recording, raw, times, steps.bins.frames)
    return raw, clocks, [*session.findings, *_odd_layout(recording, raw, steps)]


def _n_counted(recording: Recording, times: NDArray[np.float64] | None) -> int:
    """Frames of a recording as its times count them, or else its behaviour, of its own clock."""
    if times is not None:
        return times.size
    return min(_lengths_of(recording), default=0)


def _lengths_of(recording: Recording) -> set[int]:
    """Samples of the signals of behaviour; a number that stands alone is none."""
    location = recording.behavior
    if location is None:
        return set()
    return {len(read_signal(location, name)) for name in list_signals(location)} - {1}


def _odd_layout(recording: Recording, raw: RawSession, steps: Steps) -> list[Finding]:
    """What a catalogue may say otherwise than it was meant: the order of axes, frames of trials."""
    findings = []
    n_rows, n_columns = raw.channels[CALCIUM].shape[1:]
    if max(n_rows, n_columns) > ODD_SIDES * min(n_rows, n_columns):
        reason = (
            f"frames have {n_rows} x {n_columns} pixels; if time is not the movie's first axis, "
            "give the catalogue's column 'movie_axes', say row,column,time"
        )
        findings.append(Finding("session", reason))
    if steps.bins.frames > 1 and recording.trials is not None:
        reason = (
            f"its trials, if they are numbers of frames, count frames as recorded, of which "
            f"{steps.bins.frames} become one; give trials in seconds"
        )
        findings.append(Finding("trials", reason))
    return findings


def _with_trials(
    recording: Recording, raw: RawSession, times: TrialTimes, clock: FrameClock
) -> tuple[RawSession, list[Finding]]:
    """A recording with the frames at which its trials begin; trials that lie in none."""
    placed, lost = trials_on_frames(recording, times, clock, [])
    return replace(raw, events=np.flatnonzero(placed[times.column])), lost


def _dark_of(
    recording: Recording, steps: Steps, shape: tuple[int, ...]
) -> NDArray[np.float32] | float:
    """Counts without light: the mean of the recording's own dark frames, or the steps' number."""
    if recording.dark is None:
        return steps.dark
    frames = np.asarray(read_array(recording.dark), np.float32)
    if not frames.size:
        raise DataError(f"dark frames {recording.dark} hold no frame; give some, or leave them out")
    image = frames.mean(axis=0) if frames.ndim == 3 else frames
    if image.shape != shape:
        raise DataError(
            f"dark frames {recording.dark} have shape {frames.shape}, the movie's frames {shape}; "
            "record them with the same camera settings"
        )
    return np.asarray(image, np.float32)


def _mask_of(recording: Recording) -> NDArray[np.bool_] | None:
    if recording.mask is None:
        return None
    image = read_label_image(recording.mask)
    known = image[np.isfinite(image)]
    if (known % 1 != 0).any():
        raise DataError(
            f"the mask {recording.mask} holds parts of 1 ({known.min():g} to {known.max():g}), and "
            "any value but 0 would be kept; give 1 (or 255) where a pixel shows the brain, else 0"
        )
    return np.asarray(np.isfinite(image) & (image != 0))


def _onto_atlas(
    recording: Recording, steps: Steps, shape: tuple[int, ...]
) -> NDArray[np.float64] | None:
    if steps.atlas is None or recording.landmarks is None:
        return None
    alignment = read_alignment(recording.landmarks)
    if alignment.shape != shape:
        raise DataError(
            f"the landmarks {recording.landmarks} were marked in an image of {alignment.shape[0]} "
            f"x {alignment.shape[1]} pixels, and frames have {shape[0]} x {shape[1]}; mark them in "
            "a frame of this movie"
        )
    if np.linalg.det(alignment.transform) < 0:
        raise DataError(
            f"the landmarks {recording.landmarks} mirror the image: left and right would be "
            "exchanged; mark them again with corticode regions"
        )
    onto = to_atlas_transform(alignment.transform, read_atlas(alignment.atlas), steps.atlas)
    corners = np.array([[0, shape[1] - 1, 0, shape[1] - 1], [0, 0, shape[0] - 1, shape[0] - 1]])
    on_canvas = (np.linalg.inv(onto) @ np.vstack([corners, np.ones(4)]))[:2]
    if (on_canvas.max(axis=1) < 0).any() or (on_canvas.min(axis=1) > steps.atlas[::-1]).any():
        raise DataError(
            f"the landmarks {recording.landmarks} put the atlas beside the frames, not onto them; "
            "mark them again with corticode regions"
        )
    return onto


def _binned_clocks(
    recording: Recording, raw: RawSession, times: NDArray[np.float64] | None, n_frames: int
) -> dict[str, NDArray[np.float64]]:
    """When bins of frames began, and when behaviour was sampled if it was frame by frame.

    Behaviour is then brought onto the bins by the rules of its clock, as any is.
    """
    n_bins = raw.n_frames // n_frames
    if times is not None:
        return {"frame_times": times[: n_bins * n_frames : n_frames]}
    if recording.behavior is None:
        return {}
    if raw.frame_rate_hz is None:
        raise DataError(
            "bins of frames need the frame rate, so that behaviour can follow; fill the "
            "catalogue's column 'frame_rate_hz'"
        )
    lengths = _lengths_of(recording)
    if lengths and raw.n_frames not in lengths:
        found = some([str(n) for n in sorted(lengths)], SHOWN_NAMES)
        raise DataError(
            f"bins of frames need behaviour frame by frame, and {recording.behavior} has {found} "
            f"samples where the movie has {raw.n_frames:,} frames; give frame_times and "
            "behavior_times, or cut the longer"
        )
    return {
        "frame_times": np.arange(n_bins) * n_frames / raw.frame_rate_hz,
        "behavior_times": np.arange(raw.n_frames) / raw.frame_rate_hz,
    }


def _regions_of(task: _Task, shape: tuple[int, int]) -> Regions | None:
    """Regions of the binned frames: the atlas's where frames are warped onto it."""
    bins, wanted = task.steps.bins, task.wanted
    if task.steps.atlas is not None:
        atlas = read_atlas()
        onto_canvas = np.asarray(np.linalg.inv(canvas_transform(atlas, shape)), np.float64)
        labels, _, _ = find_regions(atlas, onto_canvas, shape)
        pixels, numbers = pixels_of_labels(labels, shape)
        return bin_regions(pixels, name_labels(numbers, atlas.regions), shape, bins)
    if wanted.labels is None and wanted.table is None:
        return None
    pixels, names = find_region_pixels(
        task.recording,
        shape,
        labels=wanted.labels,
        table=wanted.table,
        radius_pixels=wanted.radius_pixels,
    )
    return bin_regions(pixels, names, shape, bins)


@contextmanager
def _movie_file(
    task: _Task,
) -> Iterator[tuple[Callable[[tuple[int, ...]], NDArray[Any]] | None, str]]:
    """Room for a movie on the disk, and its name; it takes its place when the block ends well."""
    kind = task.wanted.movies
    if kind == "none":
        yield None, ""
        return
    name = f"movies/{task.name}.{'tif' if kind == 'tiff' else 'npy'}"
    path = task.folder / name
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Counts can lie above what half floats hold.
    dtype = "float32" if task.steps.baseline is None or kind == "tiff" else kind

    def room(shape: tuple[int, ...]) -> NDArray[Any]:
        return new_mapped(part, dtype, shape)

    try:
        yield room, name
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_quality(task: _Task, quality: Quality, files: Sequence[str]) -> None:
    """What was found on the way; written last, it says that the session is done."""
    arrays = {f"image_{name}": value for name, value in quality.images.items()}
    arrays |= {f"course_{name}": value for name, value in quality.courses.items()}
    place = task.state_path.with_suffix(".npz")
    write_with(place, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))
    state = {
        "key": task.key,
        "animal": task.recording.animal,
        "session": task.recording.session,
        "files": list(files),
        "numbers": {name: _strict(value) for name, value in quality.numbers.items()},
        "state": quality.state,
        "findings": [asdict(finding) for finding in quality.findings],
        "steps": ("dark frames of its own; " if task.recording.dark else "") + describe(task.steps),
    }
    text = json.dumps(state, indent=1, default=_plain, allow_nan=False)
    write_text(task.state_path, text)


def _strict(value: float | None) -> float | str | None:
    """A number as strict JSON has it, which knows no infinity and no NaN."""
    if value is None or np.isnan(value):
        return None
    return WHOLE_SESSION if np.isinf(value) else value


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _row(task: _Task) -> tuple[Recording, list[Finding]]:
    """A session's row of the new catalogue, and what looks odd about it."""
    state = json.loads(task.state_path.read_text("utf-8"))
    made = {Path(name).parts[0]: task.folder / name for name in state["files"]}
    own = task.recording
    row = replace(
        own,
        movie=ArrayLocation(made["movies"]) if "movies" in made else None,
        movie_reference=None,
        movie_axes=MOVIE_AXES,
        channels=(),
        traces=ArrayLocation(made["traces"]) if "traces" in made else None,
        traces_axes=TRACES_AXES,
        regions=made.get("regions"),
        history=state["steps"],
        dark=None,
        mask=None,
        landmarks=None if task.steps.atlas is not None else own.landmarks,
    )
    rate_hz = own.frame_rate_hz
    if rate_hz is not None:
        row = replace(row, frame_rate_hz=rate_hz / task.steps.bins.frames)
    if "frame_times" in made:
        row = replace(row, frame_times=ArrayLocation(made["frame_times"]))
    if "behavior_times" in made:
        row = replace(row, behavior_times=ArrayLocation(made["behavior_times"]))
    findings = [Finding(**one) for one in state["findings"]]
    return row, [replace(one, animal=own.animal, session=own.session) for one in findings]
