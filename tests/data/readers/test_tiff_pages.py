"""The chain of page headers."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.readers.tiff_pages import read_pages
from corticode.errors import DataError

MOVIE = np.arange(5 * 8 * 6, dtype=np.uint16).reshape(5, 8, 6)


def _by_hand(next_at: int = 0) -> bytes:
    """A TIFF of one page, 1 x 2 pixels of 8 bits, written entry by entry."""
    entries = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 1, 8), (273, 4, 1, 8), (279, 4, 1, 2)]
    header = struct.pack("<2sHI", b"II", 42, 10)
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return header + b"\x07\x09" + struct.pack("<H", 5) + body + struct.pack("<I", next_at)


def test_one_page_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "hand.tif"
    path.write_bytes(_by_hand())
    (page,), is_whole = read_pages(path)
    assert (page.start, page.next_at, page.description, is_whole) == (8, 0, b"", True)
    assert page.looks == (256, 2, 257, 1, 258, 8)


def test_a_chain_that_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "broken.tif"
    path.write_bytes(_by_hand(next_at=5000))
    pages, is_whole = read_pages(path)
    assert (len(pages), is_whole) == (1, False)


def test_a_chain_in_a_circle(tmp_path: Path) -> None:
    path = tmp_path / "circle.tif"
    path.write_bytes(_by_hand(next_at=10))
    with pytest.raises(DataError, match="its pages run in a circle"):
        read_pages(path)


def test_a_page_without_pixels(tmp_path: Path) -> None:
    path = tmp_path / "none.tif"
    path.write_bytes(_by_hand().replace(struct.pack("<H", 273), struct.pack("<H", 272)))
    with pytest.raises(DataError, match="says nowhere where its pixels are"):
        read_pages(path)


def test_a_page_of_more_entries_than_there_can_be(tmp_path: Path) -> None:
    path = tmp_path / "big.tif"
    tifffile.imwrite(path, np.zeros((1024, 1024), np.uint16), bigtiff=True)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack("<Q", 70_000)
    path.write_bytes(content)
    with pytest.raises(DataError, match="a page claims 70000 entries"):
        read_pages(path)


def test_another_format(tmp_path: Path) -> None:
    path = tmp_path / "png.tif"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    with pytest.raises(DataError, match=r"png.tif cannot be read as TIFF: it does not start as"):
        read_pages(path)


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_pages_as_tifffile_sees_them(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE, **options)
    pages, is_whole = read_pages(path)
    with tifffile.TiffFile(path) as file:
        assert [page.start for page in pages] == [page.dataoffsets[0] for page in file.pages]
    assert is_whole
    assert b"shape" in pages[0].description


@settings(deadline=None, max_examples=60)
@given(st.integers(min_value=17, max_value=900), st.integers(min_value=0, max_value=2**32 - 1))
def test_a_spoilt_file_gives_pages_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("spoilt") / "movie.tif"
    tifffile.imwrite(path, MOVIE, metadata=None)
    content = bytearray(path.read_bytes())
    content[-at : len(content) - at + 4] = struct.pack("<I", value)
    path.write_bytes(content)
    try:
        pages, _ = read_pages(path)
    except DataError:
        return
    assert len(pages) <= 5
