"""The door to every file format: an array is a file and, where it holds several, a name."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PureWindowsPath
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from corticode.data.readers.lookup import (
    check_file,
    describe_contents,
    guess,
    too_many_axes,
)
from corticode.errors import DataError, MissingDataError

# One row a format: its suffix, and the module beside this one that reads it, imported when the
# first such file is opened. A reader has `list_arrays(path)` and `read_array(path, name)`.
FORMATS: Mapping[str, str] = {
    ".csv": "table",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".mat": "mat",
    ".npy": "npy",
    ".npz": "npy",
    ".nwb": "hdf5",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".tsv": "table",
}
SUFFIXES = tuple(FORMATS)
MOVIE_NDIM = 3


@dataclass(frozen=True)
class ArrayLocation:
    """Where one array lies: a file and, where it holds several, the array's name.

    Parameters
    ----------
    path
        The file.
    dataset
        The array's name inside it, or a group (HDF5) or struct (MAT) of arrays; None where the
        file is one array or a table.

    Examples
    --------
    >>> str(ArrayLocation(Path("mouse_1.mat"), "dat_roi"))
    'mouse_1.mat::dat_roi'
    """

    path: Path
    dataset: str | None = None

    def __str__(self) -> str:
        return str(self.path) if self.dataset is None else f"{self.path}::{self.dataset}"


def parse_location(text: str, folder: Path) -> ArrayLocation:
    """The location that ``file`` or ``file::dataset`` means, seen from `folder`.

    Parameters
    ----------
    text
        A path, relative to `folder` or absolute, and after ``::`` the array's name.
    folder
        Where relative paths start.

    Raises
    ------
    DataError
        One side of ``::`` is blank, or all of it.

    Examples
    --------
    >>> parse_location("mice/m1.mat::dat_roi", Path("/data"))
    ArrayLocation(path=PosixPath('/data/mice/m1.mat'), dataset='dat_roi')
    """
    file, separator, dataset = (part.strip() for part in text.partition("::"))
    if not file or (separator and not dataset):
        raise DataError(f"{text!r} is not a location; write file or file::dataset")
    if "\0" in text:
        raise DataError(f"{text!r} is not a location; no path holds the character NUL")
    # A Windows path read elsewhere stays as it was written, so that its error shows it so.
    path = Path(file) if PureWindowsPath(file).drive else folder / file
    if ".." in path.parts:
        # Unlike Path.resolve, this leaves links that run in a circle as they are.
        path = Path(os.path.realpath(path.parent)) / path.name
    return ArrayLocation(path, dataset or None)


def check_suffix(path: Path) -> str:
    """The suffix of `path`, in lower case, if it is one that can be read.

    Raises
    ------
    DataError
        It is not; the message lists those that are.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(
            f"{path} has the suffix {path.suffix!r}; files read are {', '.join(SUFFIXES)}"
        )
    return suffix


class _Reader(Protocol):
    """What a module of a format has."""

    def list_arrays(self, path: Path, /) -> dict[str, tuple[int, ...]]: ...

    def read_array(self, path: Path, dataset: str | None, /) -> NDArray[Any]: ...


def _reader_of(path: Path) -> _Reader:
    module = import_module(f"corticode.data.readers.{FORMATS[check_suffix(path)]}")
    return cast(_Reader, module)


def list_arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays in a file, whatever its format.

    Parameters
    ----------
    path
        A TIFF, MAT, HDF5, NPY, NPZ, CSV or TSV file. A file that is one array gives it the name
        ``""``; a table gives one array a column.

    Raises
    ------
    MissingDataError
        The file does not exist.
    DataError
        It is a folder, empty, corrupt, or of a format that is not read.
    """
    check_file(path)
    return _reader_of(path).list_arrays(path)


def read_array(location: ArrayLocation) -> NDArray[Any]:
    """The array at `location`, memory-mapped and read-only where the format allows it.

    Parameters
    ----------
    location
        The file, and the array's name where the file holds several.

    Returns
    -------
    NDArray
        Axes, values and type as they are in the file; MAT arrays in MATLAB's order of axes.

    Raises
    ------
    MissingDataError
        The file, or the array in it, does not exist.
    DataError
        The file cannot be read, or holds several arrays and none is named.
    """
    check_file(location.path)
    return _reader_of(location.path).read_array(location.path, location.dataset)


def read_movie(
    location: ArrayLocation, n_channels: int = 1
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The movie at `location`, as `read_array` reads it, and what is odd about its file.

    Parameters
    ----------
    location
        The file, and the array's name where the file holds several.
    n_channels
        How many wavelengths the catalogue says it holds in turn.

    Returns
    -------
    movie
        Three axes, in the file's order.
    notes
        Clauses in words, as that a recording was stopped early.

    Raises
    ------
    MissingDataError, DataError
        As `read_array`; or it has more axes than time, row and column.
    """
    check_file(location.path)
    reader = _reader_of(location.path)
    read = getattr(reader, "read_movie", None)
    if read is not None:
        return cast(
            tuple[NDArray[Any], tuple[str, ...]],
            read(location.path, location.dataset, n_channels),
        )
    movie = reader.read_array(location.path, location.dataset)
    if movie.ndim > MOVIE_NDIM:
        way_out = "save each wavelength as an array of its own; or "
        raise too_many_axes(location, " x ".join(map(str, movie.shape)), way_out)
    return movie, ()


def _name_in(location: ArrayLocation, signal: str) -> str:
    """Name of `signal` in its file: below the group that `location` names, if it names one."""
    if location.dataset is None or location.dataset == signal:
        return signal
    return f"{location.dataset.rstrip('/')}/{signal}"


def read_signal(location: ArrayLocation, signal: str) -> NDArray[Any]:
    """One behavioural signal: a column of a table, or an array of a MAT, HDF5 or NPZ file.

    Parameters
    ----------
    location
        The file; with a dataset, the group (HDF5) or struct (MAT) that holds the signals.
    signal
        Name of the column or array.

    Returns
    -------
    NDArray, shape (time,)
        Numbers, or text; 1 x n and n x 1 arrays are made flat.

    Raises
    ------
    MissingDataError
        There is no such file or signal; the message lists the signals there are.
    DataError
        The array has more than one axis, or the file cannot be read.
    """
    name = _name_in(location, signal)
    try:
        values = read_array(ArrayLocation(location.path, name))
    except MissingDataError as error:
        signals = list_signals(location)
        raise MissingDataError(
            f"{location} has no signal {signal!r}; its signals are "
            f"{', '.join(signals) or 'none'}{guess(signal, signals)}"
        ) from error
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(-1)
    if values.ndim != 1:
        raise DataError(
            f"signal {signal!r} of {location} is {describe_contents({'an array': values.shape})}; "
            "a signal is one value a frame: n, 1 x n or n x 1"
        )
    return values


def list_signals(location: ArrayLocation) -> tuple[str, ...]:
    """Names of the arrays at `location` that hold one value a frame.

    Parameters
    ----------
    location
        The file; with a dataset, only the signals in that group or struct.

    Raises
    ------
    MissingDataError
        The file does not exist.
    DataError
        It cannot be read.
    """
    flat = {
        name.replace(".", "/") if location.path.suffix.lower() == ".mat" else name
        for name, shape in list_arrays(location.path).items()
        if len(shape) == 1 or (len(shape) == 2 and 1 in shape)
    }
    if location.dataset is None:
        return tuple(sorted(flat - {""}))
    group = location.dataset.strip("/").replace(".", "/") + "/"
    return tuple(sorted(name.removeprefix(group) for name in flat if name.startswith(group)))
