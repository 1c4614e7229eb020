"""Region traces for a whole catalogue of movies, so that one recording serves both decoders."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording, write_catalogue
from corticode.data.catalogue_rules import TRACES_AXES
from corticode.data.files import write_text, write_with
from corticode.data.imaging import read_imaging
from corticode.data.readers.arrays import ArrayLocation
from corticode.data.region_traces import (
    extract_traces,
    pixels_of_discs,
    pixels_of_labels,
    read_label_image,
)
from corticode.data.regions import RegionTable
from corticode.errors import CorticodeError, DataError, Finding, StudyError


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
    on_session: Callable[[str], None] = lambda _: None,
) -> tuple[Path, list[Finding]]:
    """A catalogue of the same recordings with region traces taken from their movies.

    Each movie is read once, from its first frame to its last; of a movie that interleaves two
    wavelengths the calcium frames alone. Traces are dF/F in percent, as recorded: nothing is done
    about blood.

    Parameters
    ----------
    recordings
        Recordings with movies.
    destination
        A folder without a ``sessions.csv``; traces are written below it.
    labels
        An image in which each region's pixels hold its number; or else
    table, radius_pixels
        a region table with centres, and the radius of the disc around each.
    baseline, percentile, baseline_frames
        What F0 is, see `corticode.data.region_traces.extract_traces`.
    on_session
        Told each session's name when it is done.

    Returns
    -------
    Path
        The new catalogue.
    list of Finding
        Frames without finite values.

    Raises
    ------
    DataError
        The destination holds a catalogue, a recording has no movie, or as `extract_traces`.
    StudyError
        Not one of labels and table is given, or the baseline is unknown.
    RunError
        The files cannot be written.
    """
    if (labels is None) == (table is None):
        raise StudyError(
            "say where regions lie: give a label image (--labels), or a table with centres "
            "(--regions), and not both"
        )
    path = destination / "sessions.csv"
    if path.exists():
        raise DataError(f"{path} exists; name another folder, or move it away")
    image = None if labels is None else read_label_image(labels)
    made, findings = [], []
    for k, recording in enumerate(recordings):
        try:
            movie = _movie_of(recording)
            pixels, names = _pixels(image, table, movie.shape[1:], radius_pixels)
            traces, found = extract_traces(
                movie,
                pixels,
                names,
                baseline=baseline,
                percentile=percentile,
                baseline_frames=baseline_frames,
            )
        except CorticodeError as error:
            raise type(error)(f"session {recording.name}: {error}") from error
        findings += [replace(f, animal=recording.animal, session=recording.session) for f in found]
        made.append(_written(recording, destination, k, traces, names, baseline))
        on_session(recording.name)
    write_catalogue(path, made)
    return path, findings


def _movie_of(recording: Recording) -> NDArray[Any]:
    if recording.movie is None:
        raise DataError("it has no movie; name one in the catalogue's column 'movie'")
    imaging, _ = read_imaging(replace(recording, traces=None))
    return np.asarray(imaging["movie"])


def _pixels(
    image: NDArray[Any] | None,
    table: RegionTable | None,
    shape: tuple[int, ...],
    radius_pixels: float,
) -> tuple[list[NDArray[np.intp]], tuple[str, ...]]:
    rows, columns = shape
    if image is not None:
        return pixels_of_labels(image, (rows, columns))
    if table is None:
        raise StudyError("neither a label image nor a table was given")
    return pixels_of_discs(table, (rows, columns), radius_pixels)


def _written(
    recording: Recording,
    destination: Path,
    number: int,
    traces: NDArray[np.float32],
    names: Sequence[str],
    baseline: str,
) -> Recording:
    """Write one session's traces and their names; its new row of the catalogue."""
    traces_path = destination / "traces" / f"{number + 1:03}.npy"
    write_with(traces_path, lambda file: np.save(file, traces))
    names_path = destination / "traces" / "regions.txt"
    if number == 0:
        write_text(names_path, "\n".join(names) + "\n")
    return replace(
        recording,
        traces=ArrayLocation(traces_path),
        traces_axes=TRACES_AXES,
        regions=names_path,
        history=f"dF/F of the movie, baseline: {baseline}",
    )
