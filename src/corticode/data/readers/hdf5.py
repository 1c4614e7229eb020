"""Arrays in HDF5 files; whatever points out of the file is refused.

External links, virtual datasets and external storage are paths inside a data file that lead
elsewhere. They are found before anything is opened through them.
"""

import posixpath
from contextlib import suppress
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from corticode.data.readers.lookup import check_claim, find_name, reading
from corticode.data.readers.unpacked import blocks_of, unpacked
from corticode.errors import DataError

_MOST_SOFT_LINKS = 16


def list_arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """Names (``group/name``) and shapes of the arrays that lie in the file itself.

    Links are not followed, so an array that a link leads to has its own name only.

    Raises
    ------
    DataError
        The file is corrupt.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and _elsewhere(item) is None and item.shape is not None:
            shapes[name] = item.shape

    with reading(path, "HDF5"), h5py.File(path, "r") as file:
        file.visititems(note)
    return shapes


def read_array(path: Path, name: str | None) -> NDArray[Any]:
    """One array of an HDF5 file.

    Parameters
    ----------
    path
        The file.
    name
        The array, as ``group/name``; None where the file holds only one.

    Returns
    -------
    NDArray
        As recorded. Arrays of three and more axes are memory-mapped and read-only: in place where
        they lie in one uncompressed piece, otherwise unpacked once, see
        `corticode.data.readers.unpacked`. Others are read whole.

    Raises
    ------
    MissingDataError
        The file has no such array.
    DataError
        The file is corrupt, or the array lies in another file, or is neither numbers nor text.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "session.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["traces/dff"] = np.zeros((100, 50))
    >>> read_array(path, "traces/dff").shape
    (100, 50)
    """
    with reading(path, "HDF5"), h5py.File(path, "r") as file:
        found = None if name is None else find_inside(path, file, name)
        if not isinstance(found, h5py.Dataset):
            shapes = list_arrays(path)
            if not shapes:
                refuse_links(path, file)
            found = file[find_name(path, name and name.strip("/"), shapes)]
        return read_dataset(path, found)


def find_inside(path: Path, file: h5py.File, name: str) -> Any:
    """What `name` leads to in an open file, or None; each step is looked at before it is taken.

    Raises
    ------
    DataError
        A step leads out of the file; the message names where to.
    """
    todo = [part for part in name.split("/") if part]
    at = "/"
    n_soft_links = 0
    while todo:
        part = todo.pop(0)
        group = file[at]
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise _refuse(path, f"{at}/{part}", f"a link to {link.filename}::{link.path}")
        if isinstance(link, h5py.SoftLink):
            n_soft_links += 1
            if n_soft_links > _MOST_SOFT_LINKS:
                raise DataError(f"{path} has links that run in a circle at {name!r}; mend the file")
            todo = [step for step in link.path.split("/") if step and step != "."] + todo
            at = "/" if link.path.startswith("/") else at
        else:
            at = posixpath.join(at, part)
    item = file[at]
    if isinstance(item, h5py.Dataset):
        refuse_elsewhere(path, item)
    return item


def refuse_links(path: Path, file: h5py.File) -> None:
    """Raise `DataError` where the top of an open file leads out of it.

    For a file in which nothing can be read: the link refused is the reason to tell.
    """
    for name in file:
        find_inside(path, file, name)


def refuse_elsewhere(path: Path, dataset: Any) -> None:
    """Raise `DataError` where the values of an open dataset lie in another file."""
    target = _elsewhere(dataset)
    if target is not None:
        raise _refuse(path, dataset.name or "a dataset", target)


def read_dataset(path: Path, dataset: Any) -> NDArray[Any]:
    """Values of an open dataset of `path`, memory-mapped where `read_array` says so."""
    refuse_elsewhere(path, dataset)
    check_size(path, dataset)
    _check_filters(path, dataset)
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.asarray(dataset.asstr()[()]).astype(np.str_)
    if dataset.dtype.kind not in "biufc":
        raise DataError(
            f"{path}::{dataset.name} is of type {dataset.dtype}; only numbers and text are read"
        )
    offset = dataset.id.get_offset()
    if dataset.ndim >= 3 and dataset.chunks is None and offset and dataset.dtype.kind in "iuf":
        return np.memmap(path, dataset.dtype, mode="r", offset=offset, shape=dataset.shape)
    if dataset.ndim >= 3 and dataset.chunks is not None:
        name = str(dataset.name)
        return unpacked(path, name, dataset.shape, dataset.dtype, lambda: blocks_of(dataset))
    return np.asarray(dataset[()])


def _check_filters(path: Path, dataset: Any) -> None:
    """Refuse a compression that what is installed cannot undo, by its name."""
    settings = dataset.id.get_create_plist()
    for k in range(settings.get_nfilters()):
        code, _, _, name = settings.get_filter(k)
        if not h5py.h5z.filter_avail(code):
            with suppress(ImportError):
                import_module("hdf5plugin")  # which makes its own known to h5py
        if not h5py.h5z.filter_avail(code):
            known = name.decode("ascii", "replace") or f"filter {code}"
            raise DataError(
                f"{path}::{(dataset.name or '').lstrip('/')} is compressed with {known}, which "
                "h5py does not unpack: pip install hdf5plugin, or save it with gzip"
            )


def check_size(path: Path, dataset: Any) -> None:
    """Refuse a dataset whose claim its file cannot hold, before memory is asked for it.

    Of a recording that ended early a part was never written, and takes no place in the file.

    Raises
    ------
    DataError
        It cannot, or there is less memory.
    """
    if dataset.shape is None:
        raise DataError(f"{path}::{dataset.name} is empty; name an array with values")
    n_bytes = dataset.dtype.itemsize * prod(dataset.shape)
    n_file, n_stored = path.stat().st_size, int(dataset.id.get_storage_size())
    is_plain = dataset.chunks is None and n_stored > 0
    n_there = n_file if is_plain else min(n_stored, n_file)
    is_held = dataset.ndim < 3  # others are mapped, or unpacked into a file
    name = repr(dataset.name)
    check_claim(path, name, n_bytes, n_there, packed=not is_plain, held=is_held)


def _elsewhere(dataset: Any) -> str | None:
    """Where the values lie if not in the dataset's own file: words for a message."""
    if dataset.is_virtual:
        sources = sorted({source.file_name for source in dataset.virtual_sources()})
        return f"a virtual dataset made of {', '.join(sources[:3]) or 'other datasets'}"
    if dataset.external:
        return f"stored in {', '.join(sorted({item[0] for item in dataset.external}))}"
    return None


def _refuse(path: Path, name: str, target: str) -> DataError:
    return DataError(
        f"{path}::{name.lstrip('/')} is {target}; what a data file points to is never opened, "
        "so name the file that holds the array itself, or copy the array into this one"
    )
