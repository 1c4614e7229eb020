"""Movies in TIFF files: pages are frames, memory-mapped where they lie uncompressed in the file.

What metadata says of other files (OME, Micro-Manager) is never followed.
"""

import json
import re
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from corticode.data.readers.lookup import find_name, unreadable
from corticode.data.readers.tiff_pages import Page, read_pages
from corticode.errors import DataError

_LIBRARY_ERRORS = (
    ArithmeticError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class _Movie:
    """What a file holds, found without reading pixels."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any] | None
    starts: NDArray[np.int64] | None


def list_arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """The movie's shape, (time, row, column), under the name ``""``.

    Raises
    ------
    DataError
        As for `read_array`, except for pixels that only reading would find spoilt.
    """
    return {"": _find_movie(path).shape}


def read_array(path: Path, name: str | None) -> NDArray[Any]:
    """The movie in a TIFF, BigTIFF, ImageJ or single-file OME-TIFF.

    Parameters
    ----------
    path
        The file.
    name
        None: a TIFF file is one array.

    Returns
    -------
    NDArray, shape (time, row, column)
        Integers and byte order as recorded. Uncompressed pages at equal distances in the file
        (as nearly all software writes them) are memory-mapped and read-only; compressed, tiled or
        scattered pages are read whole, so such a movie needs its full size in memory.

    Raises
    ------
    DataError
        The file is cut short, in colour, has pages that differ or more axes than three, is one of
        several OME files, or is packed in a way that cannot be read here.
    """
    movie = _find_movie(path)
    find_name(path, name, {"": movie.shape})
    if movie.starts is not None and movie.dtype is not None:
        step = int(movie.starts[1] - movie.starts[0]) if len(movie.starts) > 1 else 0
        row_bytes = movie.shape[2] * movie.dtype.itemsize
        return np.ndarray(
            movie.shape,
            movie.dtype,
            buffer=np.memmap(path, np.uint8, mode="r"),
            offset=int(movie.starts[0]),
            strides=(step, row_bytes, movie.dtype.itemsize),
        ).view(np.memmap)
    try:
        # The flag keeps tifffile from OME's list of other files.
        with tifffile.TiffFile(path, is_ome=False) as file:
            frames: NDArray[Any] = file.asarray(key=slice(None))
    except _LIBRARY_ERRORS as error:
        raise unreadable(path, "TIFF", error) from error
    return frames.reshape(movie.shape)


def _find_movie(path: Path) -> _Movie:
    """Check a file's page headers and metadata, and say what it holds."""
    pages, is_whole = read_pages(path)
    description = pages[0].description if pages else b""
    _refuse_other_files(path, description)
    if not pages or not is_whole:
        n_needed = _promised_pages(description) if pages else None
        needed = n_needed if n_needed and n_needed > len(pages) else f"at least {len(pages) + 1}"
        raise _cut_short(path, len(pages), needed)
    if any(page.looks != pages[0].looks for page in pages):
        raise DataError(
            f"{path} holds pages of different sizes or kinds; a movie's pages are alike, "
            "so export the movie alone, without thumbnails"
        )
    try:
        with tifffile.TiffFile(path, is_ome=False) as file:
            first = file.pages.first
            looks = (tuple(first.shape), first.dtype, bool(first.is_final), file.byteorder)
    except _LIBRARY_ERRORS as error:
        raise unreadable(path, "TIFF", error) from error
    return _lay_out(path, pages, *looks)


def _lay_out(
    path: Path,
    pages: list[Page],
    page_shape: tuple[int, ...],
    dtype: np.dtype[Any] | None,
    is_plain: bool,
    byte_order: str,
) -> _Movie:
    """Where each frame starts, once a page is known to be one plain frame."""
    if len(page_shape) != 2:
        raise DataError(
            f"{path} has pages of shape {' x '.join(map(str, page_shape))}; a frame is row x "
            "column of one value, so save one channel, without colour or depth"
        )
    n_promised = _promised_pages(pages[0].description, prod(page_shape))
    starts = np.array([page.start for page in pages])
    stored = None if dtype is None else np.dtype(byte_order + dtype.char)
    page_bytes = 0 if stored is None else prod(page_shape) * stored.itemsize
    if len(pages) == 1 and n_promised and n_promised > 1 and is_plain:
        # ImageJ above 4 GB, and others: one header, the other frames follow without any.
        n_found = (path.stat().st_size - int(starts[0])) // page_bytes
        if n_found < n_promised:
            raise _cut_short(path, n_found, n_promised)
        starts = starts[0] + page_bytes * np.arange(n_promised)
    elif n_promised and n_promised > len(pages):
        raise _cut_short(path, len(pages), n_promised)
    elif is_plain and starts.max() + page_bytes > path.stat().st_size:
        raise _cut_short(path, len(pages) - 1, len(pages))
    steps = np.diff(starts)
    is_even = bool((steps == steps[:1]).all() and (steps >= page_bytes).all())
    can_map = is_plain and is_even and page_bytes > 0 and bool((starts >= 0).all())
    shape = (len(starts), page_shape[0], page_shape[1])
    return _Movie(shape, stored, starts if can_map else None)


def _cut_short(path: Path, n_found: int, needed: int | str) -> DataError:
    return DataError(
        f"{path} is cut short: {n_found} whole pages found, {needed} needed; "
        "copy or export it again"
    )


def _refuse_other_files(path: Path, description: bytes) -> None:
    """Raise where OME metadata spreads the movie over several files."""
    if b"OME" not in description or b"<" not in description:
        return
    text = description.decode("utf-8", "replace")
    uuids = set(re.findall(r"urn:uuid:[0-9a-fA-F-]+", text))
    others = set(re.findall(r'(?:FileName|MetadataFile)="([^"]+)"', text))
    if (others and len(uuids) > 1) or "BinaryOnly" in text:
        named = ", ".join(sorted(others - {path.name})[:3]) or "another file"
        raise DataError(
            f"{path} is one of several OME-TIFF files and points to {named}; files named inside "
            "data files are never opened, so export the movie as one file"
        )
    sizes = {axis: int(n) for axis, n in re.findall(r'\bSize([TZC])="(\d+)"', text)}
    if sum(n > 1 for n in sizes.values()) > 1:
        raise DataError(
            f"{path} has more axes than time, row and column ("
            f"{', '.join(f'{axis} {n}' for axis, n in sizes.items())}); "
            "export one channel and one plane"
        )


def _promised_pages(description: bytes, page_size: int | None = None) -> int | None:
    """How many pages the first page's description promises; None where it says nothing."""
    text = description.decode("utf-8", "replace")
    if text.startswith("ImageJ="):
        found = re.search(r"^images=(\d+)", text, re.MULTILINE)
        return int(found[1]) if found else None
    if text.startswith('{"shape":'):
        try:
            shape = json.loads(text.strip("\0 \n"))["shape"]
            n_values = prod(int(length) for length in shape)
        except (ValueError, TypeError):
            return None
        return n_values // (page_size or prod(shape[-2:]) or 1)
    if "<OME" in text:
        return prod(int(n) for n in re.findall(r'\bSize[TZC]="(\d+)"', text)[:3])
    return None
