"""Movies in TIFF files: pages are frames, memory-mapped where they lie uncompressed in the file.

What metadata says of other files (OME, Micro-Manager) is never followed.
"""

import json
import mmap
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
from corticode.errors import DataError

_DESCRIPTION, _OFFSETS, _BYTE_COUNTS = 270, (273, 324), (279, 325)
# Width, length, bits, compression, samples a pixel, planar, sample format: alike in all pages.
_LOOKS = frozenset((256, 257, 258, 259, 277, 284, 339))
_BYTES_OF_TYPE = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)
# How TIFF and BigTIFF write the number of a page's entries, and offsets: codes of `struct`.
_NUMBERS = {42: "HI", 43: "QQ"}
# What a classic TIFF can count to; a BigTIFF that claims more is spoilt.
_MOST_ENTRIES = 65_535
_UINTS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
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


class _CutShortError(Exception):
    """The file ends before what it promises."""


@dataclass(frozen=True)
class Page:
    """One page header.

    Parameters
    ----------
    start
        The byte at which its pixels start; -1 where they are not in one piece.
    next_at
        The byte at which the next header starts; 0 after the last.
    looks
        Tags, each before its value, that say how pixels are written, to compare pages by.
    description
        The first page's text; empty in others.
    """

    start: int
    next_at: int
    looks: tuple[int, ...]
    description: bytes


def read_pages(path: Path) -> tuple[list[Page], bool]:
    """Headers of the pages that are whole, in order, and whether the chain ends as it should.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    pages
        One for each page whose header, and whatever that points to, lies within the file.
    is_whole
        False where the chain breaks off: the file is cut short.

    Raises
    ------
    DataError
        The file is no TIFF, or its pages run in a circle.

    Examples
    --------
    >>> import tempfile, numpy as np, tifffile
    >>> path = Path(tempfile.mkdtemp()) / "movie.tif"
    >>> tifffile.imwrite(path, np.zeros((5, 64, 64), np.uint16))
    >>> pages, is_whole = read_pages(path)
    >>> len(pages), is_whole
    (5, True)
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        order = {b"II": "<", b"MM": ">"}.get(content[:2], "")
        version = struct.unpack(order + "H", content[2:4])[0] if order and len(content) >= 16 else 0
        if version not in _NUMBERS:
            raise unreadable(path, "TIFF", ValueError("it does not start as one"))
        count, offset = (struct.Struct(order + code) for code in _NUMBERS[version])
        entry = struct.Struct(f"{order}HH2{offset.format[-1]}")
        pages: list[Page] = []
        seen: set[int] = set()
        # A BigTIFF says in between how long its offsets are.
        (position,) = offset.unpack_from(content, 4 if version == 42 else 8)
        while position:
            if position in seen:
                raise unreadable(path, "TIFF", ValueError("its pages run in a circle"))
            seen.add(position)
            try:
                page = _read_page(content, position, (count, offset, entry), is_first=not pages)
            except _CutShortError:
                return pages, False
            except ValueError as error:
                raise unreadable(path, "TIFF", error) from error
            pages.append(page)
            position = page.next_at
        return pages, True


def _read_page(
    content: mmap.mmap, position: int, numbers: tuple[struct.Struct, ...], *, is_first: bool
) -> Page:
    """One page header; `_CutShortError` where it, or anything it points to, is not all there."""
    size = len(content)
    count, offset, entry = numbers
    at = position + count.size
    if at > size:
        raise _CutShortError
    (n_entries,) = count.unpack_from(content, position)
    end = at + n_entries * entry.size
    if end + offset.size > size:
        raise _CutShortError
    if n_entries > _MOST_ENTRIES:
        raise ValueError(f"a page claims {n_entries} entries")
    # Of each tag: its type and count, where its values are, how many bytes they take.
    found: dict[int, tuple[int, int, int, int]] = {}
    looks: list[int] = []
    for tag, kind, n_values, value in entry.iter_unpack(content[at:end]):
        at += entry.size
        n_bytes = n_values * (_BYTES_OF_TYPE[kind] if kind < len(_BYTES_OF_TYPE) else 0)
        is_apart = n_bytes > offset.size
        if n_values > size or (is_apart and value + n_bytes > size):
            raise _CutShortError
        found.setdefault(tag, (kind, n_values, value if is_apart else at - offset.size, n_bytes))
        if tag in _LOOKS:
            # Where a value lies apart (the bits of three colours), its place differs.
            looks += (tag, 0 if is_apart else value)

    def values_of(wanted: tuple[int, ...]) -> tuple[int, ...]:
        kind, n_values, place, _ = next((found[tag] for tag in wanted if tag in found), (0,) * 4)
        if kind not in _UINTS:
            raise ValueError("a page says nowhere where its pixels are")
        return struct.unpack_from(f"{count.format[0]}{n_values}{_UINTS[kind]}", content, place)

    starts, lengths = values_of(_OFFSETS), values_of(_BYTE_COUNTS)
    ends = [start + length for start, length in zip(starts, lengths, strict=False)]
    if len(starts) != len(lengths) or not ends or max(ends) > size:
        raise _CutShortError
    *_, place, n_bytes = found.get(_DESCRIPTION, (0,) * 4) if is_first else (0,) * 4
    in_one_piece = list(starts[1:]) == ends[:-1]
    (next_at,) = offset.unpack_from(content, end)
    return Page(
        starts[0] if in_one_piece else -1, next_at, tuple(looks), content[place : place + n_bytes]
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
