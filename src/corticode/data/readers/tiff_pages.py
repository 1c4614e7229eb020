"""The chain of page headers in a TIFF or BigTIFF file, and whether it is all there."""

import mmap
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from corticode.data.readers.lookup import unreadable

_DESCRIPTION, _OFFSETS, _BYTE_COUNTS = 270, (273, 324), (279, 325)
# Width, length, bits, compression, samples a pixel, planar, sample format: alike in all pages.
_LOOKS = frozenset((256, 257, 258, 259, 277, 284, 339))
_BYTES_OF_TYPE = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)
# What a classic TIFF can count to; a BigTIFF that claims more is spoilt.
_MOST_ENTRIES = 65_535
_UINTS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


class _CutShortError(Exception):
    """The file ends before what it promises."""


@dataclass(frozen=True)
class _Format:
    """How a TIFF or BigTIFF file writes its numbers: codes of `struct`."""

    order: str
    first_at: int
    count: str
    offset: str

    @property
    def n_offset(self) -> int:
        """Bytes of an offset, and of a value that stands in its entry."""
        return 4 if self.offset == "I" else 8

    @property
    def n_entry(self) -> int:
        """Bytes of an entry: tag, type, count, and the value or where it is."""
        return 4 + 2 * self.n_offset


@dataclass(frozen=True)
class _Layout:
    """What a header's tags, types and counts say; nearly all pages of a movie share one."""

    largest_count: int
    n_bytes: tuple[int, ...]
    apart: tuple[int, ...]
    looks: tuple[tuple[int, int], ...]


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
    count, offset, at = ("H", "I", 4) if version == 42 else ("Q", "Q", 8)
    (first_at,) = struct.unpack_from(order + offset, content, at)
    return _Format(order, first_at, count, offset)


def _read_page(content: mmap.mmap, kind: _Format, position: int, *, is_first: bool) -> Page:
    """One page header; `_CutShortError` where it, or anything it points to, is not all there."""
    size = len(content)
    n_count = struct.calcsize(kind.order + kind.count)
    if position + n_count > size:
        raise _CutShortError
    (n_entries,) = struct.unpack_from(kind.order + kind.count, content, position)
    at = position + n_count
    end = at + n_entries * kind.n_entry
    if end + kind.n_offset > size:
        raise _CutShortError
    if n_entries > _MOST_ENTRIES:
        raise ValueError(f"a page claims {n_entries} entries")
    numbers = struct.unpack_from(kind.order + f"HH2{kind.offset}" * n_entries, content, at)
    tags, types, counts, values = (numbers[k::4] for k in range(4))
    layout = _layout_of(tags, types, counts, kind.n_offset)
    if layout.largest_count > size or any(
        values[k] + layout.n_bytes[k] > size for k in layout.apart
    ):
        raise _CutShortError

    def place_of(k: int) -> int:
        return values[k] if k in layout.apart else at + (k + 1) * kind.n_entry - kind.n_offset

    def values_of(wanted: tuple[int, ...]) -> tuple[int, ...]:
        k = next((tags.index(tag) for tag in wanted if tag in tags), -1)
        if k < 0 or types[k] not in _UINTS:
            raise ValueError("a page says nowhere where its pixels are")
        code = f"{kind.order}{counts[k]}{_UINTS[types[k]]}"
        return struct.unpack_from(code, content, place_of(k))

    starts, lengths = values_of(_OFFSETS), values_of(_BYTE_COUNTS)
    ends = [start + length for start, length in zip(starts, lengths, strict=False)]
    if len(starts) != len(lengths) or not ends or max(ends) > size:
        raise _CutShortError
    in_one_piece = list(starts[1:]) == ends[:-1]
    text = b""
    if is_first and _DESCRIPTION in tags:
        k = tags.index(_DESCRIPTION)
        text = content[place_of(k) : place_of(k) + layout.n_bytes[k]]
    (next_at,) = struct.unpack_from(kind.order + kind.offset, content, end)
    looks = tuple(number for k, tag in layout.looks for number in (tag, values[k] if k >= 0 else 0))
    return Page(starts[0] if in_one_piece else -1, next_at, looks, text)


@lru_cache(maxsize=16)
def _layout_of(
    tags: tuple[int, ...], types: tuple[int, ...], counts: tuple[int, ...], n_offset: int
) -> _Layout:
    """What pages of these tags, types and counts share, worked out once for all of them."""
    sizes = [_BYTES_OF_TYPE[one] if one < len(_BYTES_OF_TYPE) else 0 for one in types]
    n_bytes = tuple(size * count for size, count in zip(sizes, counts, strict=True))
    apart = tuple(k for k, n in enumerate(n_bytes) if n > n_offset)
    # Where a value lies apart (the bits of three colours), its place differs from page to page.
    looks = tuple((-1 if k in apart else k, tag) for k, tag in enumerate(tags) if tag in _LOOKS)
    return _Layout(max(counts, default=0), n_bytes, apart, looks)
