"""The chain of page headers in a TIFF or BigTIFF file, and whether it is all there."""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.readers.lookup import unreadable

_DESCRIPTION, _OFFSETS, _BYTE_COUNTS = 270, (273, 324), (279, 325)
# Width, length, bits, compression, samples a pixel, planar, sample format: alike in all pages.
_IS_LOOK = np.zeros(65_536, dtype=np.bool_)
_IS_LOOK[[256, 257, 258, 259, 277, 284, 339]] = True
_BYTES_OF_TYPE = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8])
_UINTS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}


class _CutShortError(Exception):
    """The file ends before what it promises."""


@dataclass(frozen=True)
class _Format:
    """How a TIFF or BigTIFF file writes its numbers."""

    order: str
    first_at: int
    count: str
    offset: str
    entry: np.dtype[np.void]


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
        The entries that say how pixels are written, to compare pages by.
    description
        The first page's text; empty in others.
    """

    start: int
    next_at: int
    looks: bytes
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
    >>> import tempfile, tifffile
    >>> path = Path(tempfile.mkdtemp()) / "movie.tif"
    >>> tifffile.imwrite(path, np.zeros((5, 64, 64), np.uint16))
    >>> pages, is_whole = read_pages(path)
    >>> len(pages), is_whole
    (5, True)
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        kind = _read_format(path, content)
        pages: list[Page] = []
        seen: set[int] = set()
        position = kind.first_at
        while position:
            if position in seen:
                raise unreadable(path, "TIFF", ValueError("its pages run in a circle"))
            seen.add(position)
            try:
                page = _read_page(content, kind, position, is_first=not pages)
            except _CutShortError:
                return pages, False
            except ValueError as error:
                raise unreadable(path, "TIFF", error) from error
            pages.append(page)
            position = page.next_at
        return pages, True


def _read_format(path: Path, content: mmap.mmap) -> _Format:
    order = {b"II": "<", b"MM": ">"}.get(content[:2], "")
    version = struct.unpack(order + "H", content[2:4])[0] if order and len(content) >= 16 else 0
    if version not in (42, 43):
        raise unreadable(path, "TIFF", ValueError("it does not start as one"))
    if version == 42:
        (first_at,) = struct.unpack(order + "I", content[4:8])
        entry = [("tag", order + "u2"), ("type", order + "u2"), ("count", order + "u4")]
        return _Format(order, first_at, "H", "I", np.dtype([*entry, ("value", order + "u4")]))
    (first_at,) = struct.unpack(order + "Q", content[8:16])
    entry = [("tag", order + "u2"), ("type", order + "u2"), ("count", order + "u8")]
    return _Format(order, first_at, "Q", "Q", np.dtype([*entry, ("value", order + "u8")]))


def _read_page(content: mmap.mmap, kind: _Format, position: int, *, is_first: bool) -> Page:
    """One page header; `_CutShortError` where it, or anything it points to, is not all there."""
    size = len(content)
    n_count, n_offset = struct.calcsize(kind.count), struct.calcsize(kind.offset)
    if position + n_count > size:
        raise _CutShortError
    (n_entries,) = struct.unpack_from(kind.order + kind.count, content, position)
    at = position + n_count
    end = at + n_entries * kind.entry.itemsize
    if end + n_offset > size:
        raise _CutShortError
    entries = np.frombuffer(content[at:end], kind.entry)
    types = np.where(entries["type"] < len(_BYTES_OF_TYPE), entries["type"], 0)
    n_bytes = _BYTES_OF_TYPE[types] * entries["count"].astype(np.int64)
    inline_at = at + kind.entry.itemsize * np.arange(1, n_entries + 1) - n_offset
    value_at = np.where(n_bytes <= n_offset, inline_at, entries["value"].astype(np.int64))
    # Counts first: a spoilt one, multiplied, could overflow.
    if (entries["count"] > size).any() or _leaves(value_at, n_bytes, size):
        raise _CutShortError
    tags = entries["tag"].tolist()

    def values_of(wanted: tuple[int, ...]) -> NDArray[Any]:
        k = next((tags.index(tag) for tag in wanted if tag in tags), -1)
        if k < 0 or int(types[k]) not in _UINTS:
            raise ValueError("a page says nowhere where its pixels are")
        code = kind.order + _UINTS[int(types[k])]
        found = np.frombuffer(content[value_at[k] : value_at[k] + n_bytes[k]], code)
        return found.astype(np.int64)

    starts, counts = values_of(_OFFSETS), values_of(_BYTE_COUNTS)
    if len(starts) != len(counts) or not len(starts) or _leaves(starts, counts, size):
        raise _CutShortError
    in_one_piece = bool((starts[1:] == starts[:-1] + counts[:-1]).all())
    text = b""
    if is_first and _DESCRIPTION in tags:
        k = tags.index(_DESCRIPTION)
        text = content[value_at[k] : value_at[k] + n_bytes[k]]
    (next_at,) = struct.unpack_from(kind.order + kind.offset, content, end)
    # Where a value lies apart (the bits of three colours), its place differs from page to page.
    looks = np.where(n_bytes <= n_offset, entries["value"], 0)
    looks = np.column_stack([entries["tag"], looks])[_IS_LOOK[entries["tag"]]]
    start = int(starts[0]) if in_one_piece else -1
    return Page(start, int(next_at), looks.tobytes(), text)


def _leaves(starts: NDArray[Any], lengths: NDArray[Any], size: int) -> bool:
    """Whether any stretch of bytes reaches out of a file of `size` bytes."""
    return bool(((starts < 0) | (starts > size) | (lengths > size - starts)).any())
