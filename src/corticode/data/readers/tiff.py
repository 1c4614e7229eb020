"""Movies in TIFF files: pages are frames, memory-mapped where they lie uncompressed in the file.

What metadata says of axes is honoured, whoever wrote it: OME, ImageJ, tifffile, ScanImage,
Micro-Manager. What it says of other files is never followed.
"""

import json
import mmap
import re
import struct
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from corticode.data.files import remember
from corticode.data.readers.lookup import (
    check_claim,
    find_name,
    next_part,
    reading,
    too_many_axes,
    unreadable,
)
from corticode.data.readers.unpacked import BLOCK_BYTES, unpacked
from corticode.errors import CorticodeWarning, DataError

# What was learnt of a file is learnt anew whenever this changes.
LAYOUT = "tiff frames 1"
_DESCRIPTION, _SOFTWARE, _OFFSETS, _BYTE_COUNTS = 270, 305, (273, 324), (279, 325)
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
# MetaMorph writes one header for all planes, and in this tag a value for each.
_PLANES = 33629
# Micro-Manager's summary stands before the pages, after this number.
_SUMMARY_AT, _SUMMARY_MARK = 32, 2_355_492
# Width, length, bits, compression, samples a pixel, planar, sample format: alike in all pages.
_LOOKS = frozenset((256, 257, 258, 259, 277, 284, 339))
_BYTES_OF_TYPE = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)
# How TIFF and BigTIFF write the number of a page's entries, and offsets: codes of `struct`.
_NUMBERS = {42: "HI", 43: "QQ"}
# What a classic TIFF can count to; a BigTIFF that claims more is spoilt.
_MOST_ENTRIES = 65_535
_UINTS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


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
    software
        What wrote it, and how it was set, as far as the first page says.
    is_inverted
        Whether the largest values are the darkest, as far as the first page says.
    n_planes
        How many planes follow this header, as far as it says; otherwise 1.
    summary
        Micro-Manager's summary; empty where there is none.
    """

    start: int
    next_at: int
    looks: tuple[int, ...]
    description: bytes
    software: bytes = b""
    is_inverted: bool = False
    n_planes: int = 1
    summary: bytes = b""


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
        False where the chain breaks off: the file is cut short. A chain that would go on where
        the file ends was left so by a writer that was stopped.

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
        while position and position != len(content):
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
    in_one_piece = list(starts[1:]) == ends[:-1]
    (next_at,) = offset.unpack_from(content, end)
    page = Page(starts[0] if in_one_piece else -1, next_at, tuple(looks), b"")
    return _with_words(page, content, found, values_of) if is_first else page


def _with_words(
    page: Page,
    content: mmap.mmap,
    found: Mapping[int, tuple[int, int, int, int]],
    values_of: Callable[[tuple[int, ...]], tuple[int, ...]],
) -> Page:
    """The first page, with what it says of the others."""

    def text(tag: int) -> bytes:
        *_, place, n_bytes = found.get(tag, (0,) * 4)
        return content[place : place + n_bytes]

    summary = b""
    if len(content) > _SUMMARY_AT + 8:
        mark, length = struct.unpack_from("<II", content, _SUMMARY_AT)
        if mark == _SUMMARY_MARK:
            summary = content[_SUMMARY_AT + 8 : _SUMMARY_AT + 8 + length]
    return replace(
        page,
        description=text(_DESCRIPTION),
        software=text(_SOFTWARE),
        is_inverted=_PHOTOMETRIC in found and values_of((_PHOTOMETRIC,))[:1] == (_WHITE_IS_ZERO,),
        n_planes=max(1, found.get(_PLANES, (0, 1, 0, 0))[1]),
        summary=summary,
    )


@dataclass(frozen=True)
class _Movie:
    """What a file holds, found without reading pixels; in words, what is odd about it."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any] | None
    starts: NDArray[np.int64] | None
    notes: tuple[str, ...] = ()


def list_arrays(path: Path) -> dict[str, tuple[int, ...]]:
    """The movie's shape, (time, row, column), under the name ``""``.

    Raises
    ------
    DataError
        As for `read_array`, except for pixels that only reading would find spoilt.
    """
    return {"": _find_movie(path, 1).shape}


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
        scattered pages are unpacked once, see `corticode.data.readers.unpacked`.

    Raises
    ------
    DataError
        The file is cut short, in colour, inverted, has pages that differ or more axes than three,
        is one of several OME files, or is packed in a way that cannot be read here.

    Warns
    -----
    CorticodeWarning
        Fewer pages are there than the file says, all of them whole.
    """
    frames, notes = read_movie(path, name)
    for note in notes:
        warnings.warn(f"{path} {note}", CorticodeWarning, stacklevel=2)
    return frames


def read_movie(
    path: Path, name: str | None, n_channels: int = 1
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """What `read_array` returns, and what is odd about it.

    Parameters
    ----------
    path, name
        As of `read_array`.
    n_channels
        How many wavelengths the catalogue says are in turn: a file that itself speaks of so many
        channels, frame by frame, is read as it lies.

    Returns
    -------
    frames
        As of `read_array`; wavelengths in turn where there are several.
    notes
        Clauses in words, as that the recording was stopped early.
    """
    movie = _find_movie(path, n_channels)
    find_name(path, name, {"": movie.shape})
    if movie.starts is not None and movie.dtype is not None:
        step = int(movie.starts[1] - movie.starts[0]) if len(movie.starts) > 1 else 0
        row_bytes = movie.shape[2] * movie.dtype.itemsize
        mapped = np.ndarray(
            movie.shape,
            movie.dtype,
            buffer=np.memmap(path, np.uint8, mode="r"),
            offset=int(movie.starts[0]),
            strides=(step, row_bytes, movie.dtype.itemsize),
        )
        return mapped.view(np.memmap), movie.notes
    with reading(path, "TIFF"):
        if movie.dtype is None:
            raise ValueError("its values are of an unknown type")
        native = movie.dtype.newbyteorder("=")
        n_bytes = prod(movie.shape) * native.itemsize
        check_claim(path, "its movie", n_bytes, path.stat().st_size, held=False)
        unread = unpacked(path, "", movie.shape, native, lambda: _unpack(path, movie))
        return unread, movie.notes


def _unpack(path: Path, movie: _Movie) -> Iterator[NDArray[Any]]:
    """The frames of a compressed movie, some megabytes at a time."""
    n_frames, *page = movie.shape
    n_bytes = prod(page) * (movie.dtype.itemsize if movie.dtype else 1)
    step = max(1, BLOCK_BYTES // max(1, n_bytes))
    # The flag keeps tifffile from OME's list of other files.
    with tifffile.TiffFile(path, is_ome=False) as file:
        for first in range(0, n_frames, step):
            frames: NDArray[Any] = file.asarray(key=slice(first, first + step))
            yield frames.reshape(-1, *page)


def _check_codec(path: Path, page: Any) -> None:
    """Refuse a compression that what is installed cannot undo."""
    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
        tifffile.TIFF.UNPREDICTORS[page.predictor]
        # Its own way to undo Zstandard is Python's, from 3.14 on.
        is_zstd = "zstd" in str(page.compression).lower()
        if is_zstd and sys.version_info < (3, 14) and find_spec("imagecodecs") is None:
            raise KeyError("imagecodecs")
    except KeyError as error:
        if "imagecodecs" not in str(error):
            raise
        name = str(getattr(page.compression, "name", page.compression))
        raise DataError(
            f"{path} is compressed with {name}, which the package imagecodecs unpacks: "
            "pip install 'corticode[codecs]', or save it uncompressed or with deflate (zlib)"
        ) from error


def _find_movie(path: Path, n_channels: int) -> _Movie:
    """What a file holds; where its frames lie at equal distances that is learnt once.

    Headers stand before each frame, so that asking them reads the file from end to end.
    """
    asked: list[_Movie] = []

    def learn() -> dict[str, Any] | None:
        movie = _examined(path, n_channels)
        asked.append(movie)
        if movie.starts is None or movie.dtype is None or movie.notes:
            return None
        step = int(movie.starts[1] - movie.starts[0]) if movie.starts.size > 1 else 0
        first = int(movie.starts[0])
        return {"shape": movie.shape, "dtype": movie.dtype.str, "first": first, "step": step}

    with reading(path, "TIFF"):
        kept = remember(path, f"{LAYOUT} {n_channels}", learn)
    if asked:
        return asked[0]
    if kept is None:
        return _examined(path, n_channels)
    n_frames, n_rows, n_columns = kept["shape"]
    starts = kept["first"] + kept["step"] * np.arange(n_frames)
    return _Movie((n_frames, n_rows, n_columns), np.dtype(kept["dtype"]), starts)


def _examined(path: Path, n_channels: int) -> _Movie:
    """Check a file's page headers and metadata, and say what it holds."""
    with reading(path, "TIFF"):
        pages, is_whole = read_pages(path)
        first = pages[0] if pages else Page(0, 0, (), b"")
        _refuse_other_files(path, first.description)
        if not pages or not is_whole:
            n_needed = _promised_pages(first) if pages else None
            needed = (
                n_needed if n_needed and n_needed > len(pages) else f"at least {len(pages) + 1}"
            )
            raise _cut_short(path, len(pages), needed)
        if any(page.looks != first.looks for page in pages):
            raise DataError(
                f"{path} holds pages of different sizes or kinds; a movie's pages are alike, "
                "so export the movie alone, without thumbnails"
            )
        if first.is_inverted:
            raise DataError(
                f"{path} says that its smallest values are white (MinIsWhite): brightness is "
                "stored upside down; export it as MinIsBlack, inverted where bright pixels hold "
                "the smaller values"
            )
        with tifffile.TiffFile(path, is_ome=False) as file:
            page = file.pages.first
            _check_codec(path, page)
            looks = (tuple(page.shape), page.dtype, bool(page.is_final), file.byteorder)
        movie = _lay_out(path, pages, *looks)
        _refuse_axes(path, first, movie, n_channels)
        _refuse_order(path, first.description)
        return movie


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
        pages_of = f"pages of {' x '.join(map(str, page_shape))}"
        is_colour = page_shape[-1] in (3, 4) or page_shape[0] in (3, 4)
        in_colour = "if it is in colour, save brightness; " if is_colour else ""
        raise too_many_axes(path, pages_of, in_colour)
    n_promised = _promised_pages(pages[0], prod(page_shape)) or 1
    starts = np.array([page.start for page in pages])
    stored = None if dtype is None else np.dtype(byte_order + dtype.char)
    page_bytes = 0 if stored is None else prod(page_shape) * stored.itemsize
    file_bytes = path.stat().st_size
    if len(pages) == 1 and n_promised > 1 and is_plain and page_bytes:
        # ImageJ above 4 GB, and others: one header, the other frames follow without any.
        n_found, n_left = divmod(file_bytes - int(starts[0]), page_bytes)
        if n_found < n_promised and n_left:
            raise _cut_short(path, n_found, n_promised)
        starts = starts[0] + page_bytes * np.arange(min(n_found, n_promised))
    elif is_plain and starts.max() + page_bytes > file_bytes:
        raise _cut_short(path, len(pages) - 1, len(pages))
    steps = np.diff(starts)
    is_even = bool((steps == steps[:1]).all() and (steps >= page_bytes).all())
    can_map = is_plain and is_even and page_bytes > 0 and bool((starts >= 0).all())
    shape = (len(starts), page_shape[0], page_shape[1])
    if shape[0] < n_promised and (following := next_part(path)) is not None:
        raise DataError(
            f"{path} has {shape[0]:,} of {n_promised:,} pages, and seems to go on in "
            f"{following.name}: write all its parts into one file, in order"
        )
    return _Movie(shape, stored, starts if can_map else None, _ended_early(shape[0], n_promised))


def _ended_early(n_found: int, n_promised: int) -> tuple[str, ...]:
    if n_found >= n_promised:
        return ()
    return (
        f"says that it has {n_promised:,} pages and has {n_found:,}, all of them whole: it is read "
        "as a recording that was stopped early",
    )


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


def _refuse_order(path: Path, description: bytes) -> None:
    """Raise where OME metadata says that pages stand in another order than their frames."""
    text = description.decode("utf-8", "replace")
    if "<OME" not in text:
        return
    ((_, n_images), *sizes) = next(_ome_sizes(text))
    if n_images > 1:  # each image begins anew
        return
    places = []
    for told in re.findall(r"<(?:\w+:)?TiffData\b([^>]*)>", text):
        keys = dict(re.findall(r'\b(IFD|First[TZC])="(\d{1,9})"', told))
        if "IFD" in keys:
            place = 0
            for axis, n in sizes:
                place = place * n + int(keys.get(f"First{axis}", 0))
            places.append((int(keys["IFD"]), place))
    places.sort()
    for (_, before), (page, after) in pairwise(places):
        if after < before:
            raise DataError(
                f"{path} holds its frames in another order than in time: page {page + 1} comes "
                "before the one in front of it; export it again, in order"
            )


def _refuse_axes(path: Path, first: Page, movie: _Movie, n_channels: int) -> None:
    """Raise where a file speaks of more than time, unless it is of wavelengths in turn."""
    for sizes in _sizes(first, movie.shape[0], prod(movie.shape[1:])):
        longer = [(axis, n) for axis, n in sizes if n > 1]
        if len(longer) < 2:
            continue
        # Which pages follow each other: the last axis is the fastest.
        is_in_turn = len(longer) == 2 and longer[1] in (("C", 2), ("Q", 2))
        if is_in_turn and n_channels == 2:
            continue
        way_out = ""
        if is_in_turn:
            way_out = (
                "if they are two wavelengths, give channels = calcium,reference (or "
                "reference,calcium) in the catalogue; otherwise "
            )
        elif sorted(n for axis, n in longer if axis in "CQ")[:1] == [2] and len(longer) == 2:
            way_out = (
                "save two wavelengths as a file each and name them as movie and movie_reference in "
                "the catalogue; otherwise "
            )
        told = ", ".join(f"{axis} {n}" for axis, n in longer)
        raise too_many_axes(path, told.replace("Q", "?"), way_out)


_Sizes = list[tuple[str, int]]


def _sizes(first: Page, n_pages: int, page_size: int | None = None) -> Iterator[_Sizes]:
    """What each piece of metadata says: axes over pages, the slowest first, and how long they are.

    T is time, Z planes, C channels, S series, Q what is not named.
    """
    text = first.description.decode("utf-8", "replace")
    if text.startswith("ImageJ="):
        yield from _imagej_sizes(text)
    if text.startswith('{"shape":'):
        yield from _shaped_sizes(text, page_size)
    if "<OME" in text:
        yield from _ome_sizes(text)
    yield from _scanimage_sizes(f"{first.software.decode('utf-8', 'replace')}\n{text}", n_pages)
    yield from _micromanager_sizes(first.summary)


def _promised_pages(first: Page, page_size: int | None = None) -> int | None:
    """How many pages the first page's metadata promises; None where it says nothing."""
    if first.n_planes > 1:
        return first.n_planes
    text = first.description.decode("utf-8", "replace")
    if text.startswith("ImageJ=") and (found := re.search(r"^images=(\d{1,18})\b", text, re.M)):
        return int(found[1])
    # ScanImage's say nothing of how many frames were asked for.
    without = replace(first, software=b"")
    promised = [prod(n for _, n in sizes) for sizes in _sizes(without, 0, page_size)]
    return max(promised, default=None)


def _imagej_sizes(text: str) -> Iterator[_Sizes]:
    keys = dict(re.findall(r"^(frames|slices|channels)=(\d{1,18})\b", text, re.M))
    names = (("T", "frames"), ("Z", "slices"), ("C", "channels"))
    yield [(axis, int(keys.get(key, 1))) for axis, key in names]


def _shaped_sizes(text: str, page_size: int | None) -> Iterator[_Sizes]:
    """What tifffile writes: the array's shape, and where it was told, the names of its axes."""
    try:
        told = json.loads(text.strip("\0 \n"))
        shape = [int(length) for length in told["shape"]]
        names = str(told.get("axes", ""))
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return
    n_inner = 2
    if page_size is not None:
        n_inner = next((k for k in range(1, len(shape)) if prod(shape[-k:]) == page_size), 2)
    leading = shape[:-n_inner]
    if len(names) != len(shape):
        names = "Q" * len(shape)
    yield [(axis if axis in "TZCS" else "Q", n) for axis, n in zip(names, leading, strict=False)]


def _ome_sizes(text: str) -> Iterator[_Sizes]:
    sizes = dict(re.findall(r'\bSize([TZC])="(\d{1,18})"', text)[:3])
    order = re.search(r'\bDimensionOrder="XY([TZC]{3})"', text)
    axes = reversed(order[1]) if order else "TZC"
    n_images = len(re.findall(r"<(?:\w+:)?Image[\s>]", text))
    yield [("S", n_images), *((axis, int(sizes.get(axis, 1))) for axis in axes)]


def _scanimage_sizes(text: str, n_pages: int) -> Iterator[_Sizes]:
    """ScanImage 3 to 2023: channels saved in turn, and planes where a stack was taken."""
    saved = re.search(r"(?:hChannels\.channelSave|channelsSave) *= *\[?([\d;, ]*)", text)
    if saved:
        n_channels = len(re.findall(r"\d+", saved[1]))
    else:
        n_channels = len(set(re.findall(r"state\.acq\.savingChannel(\d) *= *1\b", text)))
    if not n_channels:
        return
    # What is switched off keeps its numbers.
    is_off = set(re.findall(r"(hStackManager|hFastZ)\.enable *= *(?:false|0)\b", text))
    found = re.findall(
        r"(?:(hStackManager)\.(?:actualNumSlices|numSlices)|(hFastZ)\.numFramesPerVolume|"
        r"stackNumSlices|state\.acq\.numberOfZSlices) *= *(\d{1,9})\b",
        text,
    )
    n_planes = max((int(n) for *of, n in found if not is_off.intersection(of)), default=1)
    yield [("T", n_pages // max(1, n_channels * n_planes)), ("Z", n_planes), ("C", n_channels)]


def _micromanager_sizes(summary: bytes) -> Iterator[_Sizes]:
    try:
        told = json.loads(summary)
        names = (("T", "Frames"), ("Z", "Slices"), ("C", "Channels"))
        yield [(axis, int(told.get(key, 1))) for axis, key in names]
    except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError):
        return
