"""Region traces for a whole catalogue of movies, so that one recording serves both decoders."""

import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import TRACES_AXES, Recording, write_catalogue
from corticode.data.checks import Examined, check_choice, examine_all, with_bad_frames
from corticode.data.files import holds_files, write_text, write_with
from corticode.data.movies.frames import LEAST_LEVEL_SDS, MOST_BELOW
from corticode.data.movies.passes import frame_blocks
from corticode.data.preprocess import moving_mean
from corticode.data.readers.arrays import ArrayLocation, read_array
from corticode.data.readers.lookup import check_file, shortened
from corticode.data.regions import RegionTable, read_regions, regions_beside
from corticode.data.session import Session, read_imaging
from corticode.errors import CorticodeError, DataError, Finding, StudyError, some

BASELINES = ("mean", "percentile", "running", "none")
# Of a movie's fluctuation over time, in its own SDs: counts lie tens of SDs above 0.
LEAST_FRAMES = 30
UNFINISHED = ".unfinished"
RATIO_LEVEL = 0.05
RADIUS_PIXELS = 4.0


def extract_traces(
    movie: NDArray[Any],
    regions: Sequence[NDArray[np.intp]],
    names: Sequence[str],
    *,
    baseline: str = "mean",
    percentile: float = 10.0,
    baseline_frames: int = 1800,
    left_out: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float32], list[Finding]]:
    """dF/F of each region in percent: 100 (F - F0) / F0, F the mean of its pixels; one pass.

    Parameters
    ----------
    movie
        (frame, row, column), counts; may be memory-mapped and is never held whole.
    regions
        The pixels of each region, numbered along rows, see `pixels_of_labels`, `pixels_of_discs`.
    names
        What each region is called.
    baseline
        F0: ``"mean"`` or ``"percentile"`` of F over the session, or ``"running"``, the mean of F
        over `baseline_frames` frames, see `corticode.data.preprocess.moving_mean`; ``"none"`` for
        movies that hold dF/F already: the traces are F, as it is.
    percentile
        Which, 0 to 100, for ``"percentile"``.
    baseline_frames
        For ``"running"``: 1800, a minute at 30 Hz, keeps bouts of behaviour and takes bleaching.
    left_out
        Frames that cannot be used, shape (frame,): they have no part in F0 and become NaN. None:
        none.

    Returns
    -------
    traces
        (frame, region), percent; NaN where one of the region's pixels is not finite.
    findings
        Frames with a region without a finite value.

    Raises
    ------
    StudyError
        The baseline is unknown.
    DataError
        A region has no pixel, or none with a finite value, or a baseline of 0 or less; or the
        movie holds dF/F and not counts.

    Examples
    --------
    >>> movie = np.array([[[1, 3], [5, 5]], [[3, 5], [5, 5]]], np.uint8)
    >>> regions, names = pixels_of_labels(np.array([[7, 7], [0, 2]]))
    >>> traces, findings = extract_traces(movie, regions, names)
    >>> names, traces.round(1).tolist()
    (('2', '7'), [[0.0, -33.29999923706055], [0.0, 33.29999923706055]])
    """
    _check_baseline(baseline, percentile)
    brightness = _brightness(movie, regions, names)
    if left_out is not None:
        brightness[left_out] = np.nan
    finite = np.isfinite(brightness)
    never = np.flatnonzero(~finite.any(axis=0))
    if never.size:
        raise DataError(
            f"in every frame, region {names[never[0]]!r} has a pixel without a finite value; leave "
            "those pixels out of the region"
        )
    if baseline == "none":
        return brightness.astype(np.float32), _invalid(finite, left_out)
    refuse_ratios(brightness, whole=holds_whole_numbers(movie))
    level = _level(brightness, baseline, percentile, baseline_frames)
    low = ~(level > 0) & np.isfinite(level)
    if low.any():
        region = int(low.any(axis=0).argmax())
        raise DataError(
            f"region {names[region]!r} has a baseline of {level[low[:, region], region][0]:g}; "
            "dF/F needs brightness above 0: give the movie in counts as recorded, not as dF/F"
        )
    traces = 100 * (brightness - level) / level
    findings = [*_ratios(brightness), *_invalid(finite, left_out)]
    return traces.astype(np.float32), findings


def pixels_of_labels(
    image: NDArray[Any], shape: tuple[int, int] | None = None
) -> tuple[list[NDArray[np.intp]], tuple[str, ...]]:
    """The pixels of each region of a label image, and the regions' names.

    Parameters
    ----------
    image
        (row, column), whole numbers: which region each pixel belongs to; 0: none.
    shape
        Rows and columns of the movie's frames, if it is to be checked.

    Returns
    -------
    regions
        Numbers of pixels along rows, one array a region, in the order of the labels.
    names
        The labels, as text.

    Raises
    ------
    DataError
        The image is of another shape, or holds no region or values that are not whole.

    Examples
    --------
    >>> pixels_of_labels(np.array([[0, 1], [3, 1]]))
    ([array([1, 3]), array([2])], ('1', '3'))
    """
    whole = image.dtype.kind in "iub" or bool(np.all(np.mod(image, 1) == 0))
    if image.ndim != 2 or not whole or (shape is not None and image.shape != shape):
        wanted = "rows and columns" if shape is None else f"the frames' shape {shape}"
        raise DataError(
            f"the label image holds {image.dtype} values of shape {image.shape}; it needs one "
            f"whole number a pixel, {wanted}"
        )
    labels = image.astype(np.int64).ravel()
    corners = image[[0, 0, -1, -1], [0, -1, 0, -1]]
    if (corners < 0).all():
        raise DataError(
            f"the label image holds {corners[0]:g} in its corners, which would be a region; pixels "
            "of no region are 0"
        )
    names = [int(label) for label in np.unique(labels) if label != 0]
    if not names:
        raise DataError("the label image is 0 everywhere; number each region's pixels from 1")
    return [np.flatnonzero(labels == label) for label in names], tuple(map(str, names))


def pixels_of_discs(
    table: RegionTable, shape: tuple[int, int], radius_pixels: float = RADIUS_PIXELS
) -> tuple[list[NDArray[np.intp]], tuple[str, ...]]:
    """The pixels within a radius of each region's centre, and the regions' names.

    Parameters
    ----------
    table
        Its rows and columns are centres in pixels of the movie, from 0.
    shape
        Rows and columns of the movie's frames. A disc may be cut off by the image's edge.
    radius_pixels
        Of each disc.

    Raises
    ------
    DataError
        A region has no centre, one outside the image, or no pixel within the radius.

    Examples
    --------
    >>> table = RegionTable(("a",), rows=(1.0,), columns=(0.0,))
    >>> pixels_of_discs(table, (3, 3), 1.0)
    ([array([0, 3, 4, 6])], ('a',))
    """
    if not radius_pixels > 0:
        raise DataError(f"the radius of regions is {radius_pixels:g} pixels; it must be above 0")
    rows, columns = np.indices(shape)
    if not table.rows or not table.columns:
        raise DataError("the region table has no centres; give its columns 'row' and 'column'")
    regions = []
    for name, row, column in zip(table.names, table.rows, table.columns, strict=True):
        inside = -0.5 <= row <= shape[0] - 0.5 and -0.5 <= column <= shape[1] - 0.5
        if not inside:
            raise DataError(
                f"the centre of region {name!r} is row {row:g}, column {column:g}, outside the "
                f"frames of {shape[0]} x {shape[1]} pixels; count pixels from 0, or leave it out"
            )
        near = np.flatnonzero((rows - row) ** 2 + (columns - column) ** 2 <= radius_pixels**2)
        if not near.size:
            raise DataError(
                f"region {name!r} has no pixel within {radius_pixels:g} pixels of its centre; give "
                "a larger radius"
            )
        regions.append(near)
    return regions, table.names


def labels_of(recording: Recording, labels: ArrayLocation) -> ArrayLocation:
    """Where the label image of a recording lies: ``{animal}`` and ``{session}`` are put in.

    Raises
    ------
    DataError
        The path holds braces around something else.

    Examples
    --------
    >>> location = ArrayLocation(Path("atlas/{animal}/labels.npy"))
    >>> str(labels_of(Recording("m1", "a"), location))
    'atlas/m1/labels.npy'
    """
    if "{" not in str(labels.path):
        return labels
    try:
        path = str(labels.path).format(animal=recording.animal, session=recording.session)
    except (LookupError, ValueError) as error:
        raise DataError(
            f"{labels} has braces around what is neither animal nor session; write "
            "{animal}/labels.npy, or {animal}_{session}.npy"
        ) from error
    return replace(labels, path=Path(path))


def find_region_pixels(
    recording: Recording,
    shape: tuple[int, int],
    *,
    labels: ArrayLocation | None = None,
    table: RegionTable | None = None,
    radius_pixels: float = RADIUS_PIXELS,
) -> tuple[list[NDArray[np.intp]], tuple[str, ...]]:
    """The pixels of each region of a recording's frames, and what the regions are called.

    Parameters
    ----------
    recording
        Whose movie it is.
    shape
        Rows and columns of its frames.
    labels, table, radius_pixels
        As `extract_catalogue` takes them.

    Raises
    ------
    MissingDataError, DataError
        There is no label image, or it does not fit; see `pixels_of_labels`, `pixels_of_discs`.
    StudyError
        Neither a label image nor a table was given.
    """
    if labels is None:
        if table is None:
            raise StudyError("neither a label image nor a table was given")
        return pixels_of_discs(table, shape, radius_pixels)
    own = labels_of(recording, labels)
    pixels, names = pixels_of_labels(read_label_image(own), shape)
    beside = regions_beside(own.path) if table is None else None
    if beside is not None:
        return pixels, name_labels(names, read_regions(beside), beside)
    return pixels, names if table is None else name_labels(names, table)


def name_labels(
    regions: Sequence[str], table: RegionTable, source: object = "the region table"
) -> tuple[str, ...]:
    """What the numbers of a label image are called: number k is the k-th row of the table.

    Parameters
    ----------
    regions
        Numbers as text, as `pixels_of_labels` returns them.

    Raises
    ------
    DataError
        A number has no row.

    Examples
    --------
    >>> name_labels(("1", "3"), RegionTable(("VISp_left", "VISp_right", "MOs_left")))
    ('VISp_left', 'MOs_left')
    """
    without = [label for label in regions if not 1 <= int(label) <= len(table.names)]
    if without:
        raise DataError(
            f"the label image holds {shortened(some(without, 5))}, and {source} has "
            f"{len(table.names)} rows; number k is the region of row k"
        )
    return tuple(table.names[int(label) - 1] for label in regions)


def read_label_image(location: ArrayLocation) -> NDArray[Any]:
    """A label image from any file that arrays are read from, (row, column).

    Raises
    ------
    MissingDataError
        The file, or the array in it, does not exist.
    DataError
        It cannot be read, or is no image.
    """
    image = read_array(location)
    if image.ndim == 3 and image.shape[0] == 1:
        image = image[0]
    if image.ndim != 2 or image.dtype.kind not in "iufb":
        raise DataError(
            f"{location} holds {image.dtype} values of shape {image.shape}; a label image has rows "
            "and columns, and a whole number a pixel"
        )
    return image


def _check_baseline(baseline: str, percentile: float) -> None:
    if baseline not in BASELINES:
        raise StudyError(f"baseline is {baseline!r}; it must be one of {', '.join(BASELINES)}")
    if not 0 <= percentile <= 100:
        raise StudyError(f"percentile is {percentile}; it must be between 0 and 100")


def _brightness(
    movie: NDArray[Any], regions: Sequence[NDArray[np.intp]], names: Sequence[str]
) -> NDArray[np.float64]:
    """Mean over the pixels of each region, (frame, region)."""
    for name, pixels in zip(names, regions, strict=True):
        if not pixels.size:
            raise DataError(f"region {name!r} has no pixel; leave it out, or give it some")
    sizes = np.array([pixels.size for pixels in regions])
    # One gathering and one sum serve regions that overlap as well as those that do not.
    gathered = np.concatenate(regions)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    means = np.empty((len(movie), len(regions)))
    for rows in frame_blocks(movie):
        pixels = movie[rows].reshape(rows.stop - rows.start, -1)[:, gathered]
        with np.errstate(invalid="ignore"):  # infinite values of both signs have no mean
            np.add.reduceat(pixels, first, axis=1, dtype=np.float64, out=means[rows])
    means /= sizes
    return means


def _level(
    brightness: NDArray[np.float64], baseline: str, percentile: float, baseline_frames: int
) -> NDArray[np.float64]:
    """F0, (frame, region)."""
    if baseline == "running":
        return moving_mean(brightness, baseline_frames)
    known = np.where(np.isfinite(brightness), brightness, np.nan)
    if baseline == "mean":
        level = np.nanmean(known, axis=0)
    else:
        level = np.nanpercentile(known, percentile, axis=0)
    return np.broadcast_to(level, brightness.shape)


def holds_whole_numbers(movie: NDArray[Any]) -> bool:
    """Whether values are counts by their type, or by what the middle frame holds."""
    if movie.dtype.kind != "f":
        return True
    frame = movie[len(movie) // 2]
    known = frame[np.isfinite(frame)]
    return bool((known == np.round(known)).all())


WITHOUT_F0 = (
    "take the regions' means as they are, with baseline none (corticode extract --baseline none)"
)


def refuse_ratios(
    brightness: NDArray[np.float64], *, whole: bool, way_out: str = WITHOUT_F0
) -> None:
    """Refuse a movie of dF/F: its regions lie around 0, where counts lie far above their changes.

    Parameters
    ----------
    brightness
        (frame, region): means over pixels.
    whole
        Whether the movie holds whole numbers.
    way_out
        What to do with such a movie.

    Raises
    ------
    DataError
        The movie holds dF/F, or the like.
    """
    if len(brightness) < LEAST_FRAMES:
        return
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        level = np.nanmedian(brightness, axis=0)
        spread = 1.4826 * np.nanmedian(np.abs(brightness - level), axis=0)
        below = np.nanmean(np.where(np.isfinite(brightness), brightness < 0, np.nan), axis=0)
        # Of nearly all regions: one that is dark does not speak for the others.
        negative = float(np.nanpercentile(below, 10, method="lower"))
        low = float(np.nanmedian(level / np.maximum(spread, 1e-300)))
    if negative <= MOST_BELOW and (whole or low >= LEAST_LEVEL_SDS):
        return
    raise DataError(
        f"the movie looks like dF/F, not counts: its regions lie around {np.nanmedian(level):.2g}, "
        f"change by {np.nanmedian(spread):.2g} (SD), and are below 0 in {100 * negative:.0f} % of "
        f"frames, so that there is no F0 to divide by. Give the movie as recorded; or {way_out}"
    )


def _ratios(brightness: NDArray[np.float64]) -> list[Finding]:
    """That a movie holds F / F0: every region lies around 1; its traces come out the same."""
    level = np.nanmedian(brightness, axis=0)
    if (np.abs(level - 1) > RATIO_LEVEL).any():
        return []
    reason = (
        "the movie looks like F / F0: every region lies around 1; traces are changes against that"
    )
    return [Finding("session", reason)]


def _invalid(finite: NDArray[np.bool_], left_out: NDArray[np.bool_] | None = None) -> list[Finding]:
    if left_out is not None:
        finite = finite | left_out[:, None]
    n_invalid = int((~finite.all(axis=1)).sum())
    if not n_invalid:
        return []
    reason = (
        f"{n_invalid} of {len(finite)} frames have a region with a pixel without a finite value; "
        "windows avoid them"
    )
    return [Finding("frames", reason, count=n_invalid)]


def extract_catalogue(  # noqa: PLR0913  where regions lie and what a baseline is
    recordings: Sequence[Recording],
    destination: Path,
    *,
    labels: ArrayLocation | None = None,
    table: RegionTable | None = None,
    radius_pixels: float = 4.0,
    baseline: str = "mean",
    percentile: float = 10.0,
    baseline_frames: int = 1800,
    resynchronise: bool = False,
    bad_frames: str = "exclude",
    on_session: Callable[[str], None] = lambda _: None,
) -> tuple[Path, list[Finding]]:
    """A catalogue of the same recordings with region traces taken from their movies.

    All movies are looked at first, frame by frame (`corticode.data.checks.examine_movie`); of a
    movie that interleaves two wavelengths the calcium frames alone give traces. Traces are dF/F in
    percent, as recorded: nothing is done about blood.

    Parameters
    ----------
    recordings
        Recordings with movies.
    destination
        A folder without a ``sessions.csv``; traces are written to ``traces`` below it, which
        must not hold anything.
    labels
        An image in which each region's pixels hold its number; ``{animal}`` and ``{session}`` in
        its path stand for those of each recording.
    table, radius_pixels
        Without labels: a region table with centres, and the radius of the disc around each. With
        labels: what they are called, number k by the k-th row; None: by the ``regions.csv`` that
        `corticode regions` wrote beside them, or else by their numbers.
    baseline, percentile, baseline_frames
        What F0 is, see `corticode.data.extraction.extract_traces`.
    resynchronise
        Where a movie of two wavelengths lost a frame: put the others in order again.
    bad_frames
        ``"exclude"``: frames that are dark, saturated, frozen, corrupt or jump in brightness have
        no part in F0 and become NaN, which windows avoid; ``"report"`` takes them as they are.
    on_session
        Told each session's name when it is done.

    Returns
    -------
    Path
        The new catalogue.
    list of Finding
        Frames without finite values, and those that cannot be used.

    Raises
    ------
    DataError
        A movie's frames are not of the wavelengths that the catalogue says, the destination holds
        a catalogue, a recording has no movie, or as `extract_traces`.
    StudyError
        Neither labels nor a table is given, or the baseline is unknown.
    RunError
        The files cannot be written.
    """
    if labels is None and table is None:
        raise StudyError(
            "say where regions lie: give a label image (--labels), or a table with centres "
            "(--regions)"
        )
    path = destination / "sessions.csv"
    folder = destination / "traces"
    for there in (path, folder):
        if there.is_file() or holds_files(there):
            raise DataError(f"{there} exists; name another folder, or move it away")
    check_choice(bad_frames)
    if labels is not None:
        for recording in recordings:
            check_file(labels_of(recording, labels).path)
    made: list[Recording] = []
    findings: list[Finding] = []
    named: dict[tuple[str, ...], Path] = {}
    looked = examine_all(recordings, resynchronise=resynchronise)
    # What a call that was killed left is begun anew.
    unfinished = destination / UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    for k, recording in enumerate(recordings):
        try:
            movie, left_out, odd = _movie_of(recording, looked[recording.name], bad_frames)
            rows, columns = movie.shape[1:]
            pixels, names = find_region_pixels(
                recording,
                (rows, columns),
                labels=labels,
                table=table,
                radius_pixels=radius_pixels,
            )
            traces, found = extract_traces(
                movie,
                pixels,
                names,
                baseline=baseline,
                percentile=percentile,
                baseline_frames=baseline_frames,
                left_out=left_out,
            )
        except CorticodeError as error:
            raise type(error)(f"session {recording.name}: {error}") from error
        findings += odd
        findings += [replace(f, animal=recording.animal, session=recording.session) for f in found]
        names_path = _named(names, unfinished, named)
        made.append(_written(recording, unfinished, k, traces, names_path, baseline))
        on_session(recording.name)
    made = [_moved(recording, unfinished, destination) for recording in made]
    for child in unfinished.iterdir():
        child.replace(destination / child.name)
    unfinished.rmdir()
    write_catalogue(path, made)
    return path, findings


def _moved(recording: Recording, before: Path, after: Path) -> Recording:
    """A recording whose traces and region list were written in one folder and come to another."""
    traces, names = recording.traces, recording.regions
    if traces is None or names is None:
        return recording
    return replace(
        recording,
        traces=ArrayLocation(after / traces.path.relative_to(before), traces.dataset),
        regions=after / names.relative_to(before),
    )


def _movie_of(
    recording: Recording, found: Examined, bad_frames: str
) -> tuple[NDArray[Any], NDArray[np.bool_] | None, list[Finding]]:
    """The movie of the calcium channel, its frames that are left out, and a word on those."""
    if recording.movie is None:
        raise DataError("it has no movie; name one in the catalogue's column 'movie'")
    imaging, cut = read_imaging(replace(recording, traces=None), flips=found.flips)
    movie = np.asarray(imaging["movie"])
    whole = imaging.get("whole")
    session = Session(
        recording.animal,
        recording.session,
        None,
        (),
        {},
        np.zeros(len(movie), np.int32),
        movie=movie,
        left_out=None if whole is None else ~np.asarray(whole, np.bool_),
        findings=tuple(cut),
    )
    session = with_bad_frames(session, found, bad_frames)
    return movie, session.left_out, list(session.findings)


def _named(names: tuple[str, ...], destination: Path, written: dict[tuple[str, ...], Path]) -> Path:
    """The list of these names, written once; label images of animals may hold other regions."""
    if names not in written:
        number = f"_{len(written) + 1}" if written else ""
        path = destination / "traces" / f"regions{number}.txt"
        write_text(path, "\n".join(names) + "\n")
        written[names] = path
    return written[names]


def _written(
    recording: Recording,
    destination: Path,
    number: int,
    traces: NDArray[np.float32],
    names_path: Path,
    baseline: str,
) -> Recording:
    """Write one session's traces; its new row of the catalogue."""
    traces_path = destination / "traces" / f"{number + 1:03}.npy"
    write_with(traces_path, lambda file: np.save(file, traces))
    return replace(
        recording,
        traces=ArrayLocation(traces_path),
        traces_axes=TRACES_AXES,
        regions=names_path,
        history="means of the movie's pixels"
        if baseline == "none"
        else f"dF/F of the movie, baseline: {baseline}",
    )
