"""What the camera recorded: region traces, movie, reference movie, in one order of axes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from corticode.data.catalogue import Recording
from corticode.data.catalogue_rules import MOVIE_AXES, TRACES_AXES
from corticode.data.readers.arrays import ArrayLocation, read_array
from corticode.errors import DataError, Finding, MissingDataError


def read_imaging(
    recording: Recording,
) -> tuple[dict[str, NDArray[np.generic]], list[Finding]]:
    """Traces, movie and reference movie of a recording, whichever there are, time first.

    A movie that interleaves two wavelengths becomes two, every other frame each, as views of the
    same memory-mapped file. A last frame whose pair is missing is cut off.

    Parameters
    ----------
    recording
        One row of a catalogue.

    Returns
    -------
    arrays
        ``"traces"``, shape (frame, region), ``"movie"`` and ``"reference"``, shape
        (frame, row, column).
    findings
        The frame that was cut off.

    Raises
    ------
    MissingDataError
        There are neither traces nor a movie, or a file is not there.
    DataError
        An array does not hold numbers or has other axes than the catalogue says, or the two
        wavelengths' frames differ in size.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "movie.npy"
    >>> np.save(path, np.arange(5)[:, None, None] * np.ones((5, 2, 2)))
    >>> recording = Recording(
    ...     "m1", "a", movie=ArrayLocation(path), channels=("calcium", "reference"))
    >>> arrays, findings = read_imaging(recording)
    >>> arrays["movie"][:, 0, 0].tolist(), arrays["reference"][:, 0, 0].tolist()
    ([0.0, 2.0], [1.0, 3.0])
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    findings: list[Finding] = []
    if recording.traces is not None:
        arrays["traces"] = _read_ordered(
            recording, "traces", recording.traces, recording.traces_axes, TRACES_AXES
        )
    if recording.movie is not None:
        arrays["movie"] = _read_ordered(
            recording, "movie", recording.movie, recording.movie_axes, MOVIE_AXES
        )
    if not arrays:
        raise MissingDataError(
            f"session {recording.name} has neither traces nor a movie; name one in the "
            "catalogue's column 'traces' or 'movie'"
        )
    if recording.movie_reference is not None and recording.movie is not None:
        reference = _read_ordered(
            recording, "reference", recording.movie_reference, recording.movie_axes, MOVIE_AXES
        )
        if reference.shape[1:] != arrays["movie"].shape[1:]:
            raise DataError(
                f"session {recording.name}: {recording.movie_reference} has frames of "
                f"{reference.shape[1:]} pixels, its movie of {arrays['movie'].shape[1:]}; a "
                "reference movie needs the same rows and columns"
            )
        arrays["reference"] = reference
    elif len(recording.channels) > 1 and recording.movie is not None:
        parted, findings = _part_channels(recording, arrays["movie"])
        arrays |= parted
    return arrays, findings


def _read_ordered(
    recording: Recording,
    name: str,
    location: ArrayLocation,
    axes: Sequence[str],
    wanted: Sequence[str],
) -> NDArray[np.generic]:
    """An array of numbers with its axes in the order that is wanted."""
    array = read_array(location)
    if array.ndim != len(wanted):
        raise DataError(
            f"session {recording.name}: {location} has shape {array.shape}; {name} must "
            f"have {len(wanted)} axes, {', '.join(wanted)}"
        )
    if array.dtype.kind not in "iuf":
        raise DataError(
            f"session {recording.name}: {location} holds {array.dtype} values; "
            f"{name} must be numbers"
        )
    return array.transpose([axes.index(axis) for axis in wanted])


def _part_channels(
    recording: Recording, movie: NDArray[np.generic]
) -> tuple[dict[str, NDArray[np.generic]], list[Finding]]:
    """The two wavelengths of an interleaved movie, as views; a last frame without a pair is cut."""
    n_frames, n_channels = movie.shape[0] // 2 * 2, len(recording.channels)
    names = {"calcium": "movie", "reference": "reference"}
    parted = {
        names[channel]: movie[k:n_frames:n_channels] for k, channel in enumerate(recording.channels)
    }
    if n_frames == movie.shape[0]:
        return parted, []
    reason = (
        f"1 frame was cut from the tail of the movie: its {movie.shape[0]} frames hold "
        f"{' and '.join(recording.channels)} in turn, and the last has no pair"
    )
    return parted, [Finding("frames", reason, recording.animal, recording.session)]
