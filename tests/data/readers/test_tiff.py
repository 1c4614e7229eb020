"""Movies in TIFF files."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corticode.data.readers import tiff
from corticode.data.readers.tiff import read_array, read_pages
from corticode.errors import CorticodeWarning, DataError, MissingDataError

MOVIE = np.arange(12 * 8 * 6, dtype=np.uint16).reshape(12, 8, 6)
SMALL_MOVIE = np.arange(5 * 8 * 6, dtype=np.uint16).reshape(5, 8, 6)


SHARED = Path(__file__).parents[4] / "shared" / "data" / "s1_movie" / "movie.tif"


def _write_by_page(path: Path, movie: np.ndarray = MOVIE) -> None:
    with tifffile.TiffWriter(path) as writer:
        for frame in movie:
            writer.write(frame, contiguous=False)


def _cut(path: Path, n_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:-n_bytes])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"imagej": True},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"metadata": None, "rowsperstrip": 2},
        {"truncate": True},
    ],
)
def test_uncompressed_movies_are_mapped(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE, **options)
    movie = tiff.read_array(path, None)
    assert isinstance(movie, np.memmap)
    assert movie.dtype.newbyteorder("=") == np.uint16
    assert (movie.dtype.byteorder == ">") == (options.get("byteorder") == ">")
    np.testing.assert_array_equal(movie, MOVIE)
    assert not movie.flags.writeable
    assert tiff.list_arrays(path) == {"": (12, 8, 6)}


def test_pages_with_headers_between_them_are_mapped(tmp_path: Path) -> None:
    _write_by_page(tmp_path / "movie.tif")
    movie = tiff.read_array(tmp_path / "movie.tif", None)
    assert isinstance(movie, np.memmap)
    np.testing.assert_array_equal(movie, MOVIE)


@pytest.mark.parametrize("options", [{"compression": "zlib"}, {"tile": (16, 16)}])
def test_packed_movies_are_read(tmp_path: Path, options: dict[str, object]) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", MOVIE, **options)
    np.testing.assert_array_equal(tiff.read_array(tmp_path / "movie.tif", None), MOVIE)


@given(
    hnp.arrays(
        st.sampled_from(["<i2", "<u2", ">i2", ">u2", "|u1", "|i1", "<f4", ">f4"]),
        hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5),
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, movie: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("movies") / "movie.tif"
    options = {"metadata": None, "photometric": "minisblack"}
    tifffile.imwrite(path, movie, byteorder=">" if movie.dtype.str[0] == ">" else "<", **options)
    read = tiff.read_array(path, None)
    assert read.dtype == movie.dtype
    np.testing.assert_array_equal(read, movie)


@pytest.mark.parametrize("n_bytes", [17, 200, 1500])
def test_cut_short_in_one_piece(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE)
    _cut(path, n_bytes)
    with pytest.raises(DataError, match=r"movie.tif is cut short: \d+ whole pages found, 12 need"):
        tiff.read_array(path, None)


@pytest.mark.parametrize("n_bytes", [1, 90])
def test_cut_short_page_by_page(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "movie.tif"
    _write_by_page(path)
    _cut(path, n_bytes)
    with pytest.raises(DataError, match="cut short: 11 whole pages found, at least 12 needed"):
        tiff.read_array(path, None)


@pytest.mark.parametrize("options", [{"imagej": True}, {"imagej": True, "truncate": True}])
def test_cut_short_imagej(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE, **options)
    _cut(path, 40)
    with pytest.raises(DataError, match="cut short: 11 whole pages found, 12 needed"):
        tiff.read_array(path, None)


OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="6" '
    'SizeY="8" SizeC="1" SizeZ="1" SizeT="20"><TiffData/></Pixels></Image></OME>'
)


@pytest.mark.parametrize(
    "description",
    ["ImageJ=1.53\nimages=20\n", "ImageJ=1.53\nframes=20\n", OME, '{"shape": [20, 8, 6]}'],
)
@pytest.mark.parametrize("kind", ["plain", "one header", "packed"])
def test_a_recording_that_was_stopped_early(tmp_path: Path, description: str, kind: str) -> None:
    path = tmp_path / "movie.tif"
    frames = MOVIE[:1] if kind == "one header" else MOVIE
    compression = "zlib" if kind == "packed" else None
    tifffile.imwrite(path, frames, metadata=None, description=description, compression=compression)
    if kind == "one header":
        with path.open("ab") as file:
            file.write(MOVIE[1:].tobytes())
    movie, (note,) = tiff.read_movie(path, None)
    np.testing.assert_array_equal(movie, MOVIE)
    assert note.startswith("says that it has 20 pages and has 12, all of them whole")
    with pytest.warns(CorticodeWarning, match=r"movie.tif says that it has 20 pages and has 12"):
        tiff.read_array(path, None)


def test_the_next_page_was_to_be_where_the_file_ends(tmp_path: Path) -> None:
    path = tmp_path / "crashed.tif"
    path.write_bytes(_by_hand(next_at=len(_by_hand())))
    assert tiff.read_array(path, None).tolist() == [[[7, 9]]]


def test_a_part_that_is_followed_by_another(tmp_path: Path) -> None:
    for name, frames in (("run_@0001.tif", MOVIE[:5]), ("run_@0002.tif", MOVIE[5:])):
        tifffile.imwrite(
            tmp_path / name, frames, metadata=None, description="ImageJ=1.53\nimages=12\n"
        )
    with pytest.raises(DataError, match=r"has 5 of 12 pages, and seems to go on in run_@0002.tif"):
        tiff.read_array(tmp_path / "run_@0001.tif", None)


PLAIN = {"photometric": "minisblack"}
SCANIMAGE = "SI.VERSION_MAJOR = 2023\nSI.hChannels.channelSave = {}\nSI.hStackManager.{}"
BY_TWO, BY_THREE = MOVIE.reshape(6, 2, 8, 6), MOVIE.reshape(4, 3, 8, 6)


def _scanimage(channels: str, stack: str) -> dict[str, object]:
    return PLAIN | {"metadata": None, "software": SCANIMAGE.format(channels, stack)}


OLD_SCANIMAGE = (
    "state.acq.savingChannel1=1\rstate.acq.savingChannel2=1\rstate.acq.savingChannel3=0\r"
    "state.acq.numberOfZSlices=1\r"
)
IN_TURN = {
    "ImageJ": (BY_TWO, {"imagej": True, "metadata": {"axes": "TCYX"}}),
    "tifffile, no names": (BY_TWO, PLAIN),
    "tifffile": (BY_TWO, PLAIN | {"metadata": {"axes": "TCYX"}}),
    "OME": (BY_TWO, PLAIN | {"ome": True, "metadata": {"axes": "TCYX"}}),
    "ScanImage": (MOVIE, _scanimage("[1;2]", "numSlices = 1")),
    "ScanImage, off": (
        MOVIE,
        _scanimage("[1 3]", "enable = false\nSI.hStackManager.numSlices = 9"),
    ),
    "ScanImage 4": (
        MOVIE,
        PLAIN | {"metadata": None, "description": "scanimage.SI4.channelsSave = [1;2]\n"},
    ),
    "ScanImage 3": (MOVIE, PLAIN | {"metadata": None, "description": OLD_SCANIMAGE}),
}
MORE = {
    "ImageJ": (BY_THREE, {"imagej": True, "metadata": {"axes": "TZYX"}}, "T 4, Z 3"),
    "ImageJ, all": (
        MOVIE.reshape(3, 2, 2, 8, 6),
        {"imagej": True, "metadata": {"axes": "TZCYX"}},
        "T 3, Z 2, C 2",
    ),
    "tifffile": (BY_THREE, PLAIN | {"metadata": {"axes": "TZYX"}}, "T 4, Z 3"),
    "OME": (BY_THREE, PLAIN | {"ome": True, "metadata": {"axes": "TZYX"}}, "T 4, Z 3"),
    "ScanImage": (MOVIE, _scanimage("1", "numSlices = 3"), "T 4, Z 3"),
    "ScanImage, three": (MOVIE, _scanimage("[1;2;4]", "numSlices = 1"), "T 4, C 3"),
    "ScanImage, fast": (
        MOVIE,
        _scanimage("1", "numSlices = 1\nSI.hFastZ.numFramesPerVolume = 4"),
        "T 3, Z 4",
    ),
}


@pytest.mark.parametrize("writer", IN_TURN)
def test_two_channels_in_turn_are_two_wavelengths_if_the_catalogue_says_so(
    tmp_path: Path, writer: str
) -> None:
    frames, options = IN_TURN[writer]
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, **options)
    with pytest.raises(
        DataError, match=r"row and column \(. 6, . 2\); if they are two .* give channels = calcium"
    ):
        tiff.read_array(path, None)
    movie, notes = tiff.read_movie(path, None, n_channels=2)
    np.testing.assert_array_equal(movie, MOVIE)
    assert isinstance(movie, np.memmap)
    assert notes == ()


@pytest.mark.parametrize("writer", MORE)
@pytest.mark.parametrize("n_channels", [1, 2])
def test_more_than_time_is_refused(tmp_path: Path, writer: str, n_channels: int) -> None:
    frames, options, found = MORE[writer]
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, **options)
    words = rf"more axes than time, row and column \({found}\); export one channel and one plane"
    with pytest.raises(DataError, match=words):
        tiff.read_movie(path, None, n_channels)


@pytest.mark.parametrize("options", [{"ome": True}, {}])
def test_channels_one_after_the_other(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "movie.tif"
    frames = MOVIE.reshape(2, 6, 8, 6)
    tifffile.imwrite(path, frames, metadata={"axes": "CTYX"}, **PLAIN, **options)
    with pytest.raises(DataError, match=r"\(C 2, T 6\); save two wavelengths as a file each"):
        tiff.read_movie(path, None, n_channels=2)


@pytest.mark.parametrize("is_turned", [False, True])
def test_ome_that_stands_in_another_order(tmp_path: Path, is_turned: bool) -> None:
    path = tmp_path / "movie.ome.tif"
    times = range(11, -1, -1) if is_turned else range(12)
    planes = "".join(f'<TiffData FirstT="{t}" IFD="{k}"/>' for k, t in enumerate(times))
    told = OME.replace("<TiffData/>", planes).replace('SizeT="20"', 'SizeT="12"')
    tifffile.imwrite(path, MOVIE, metadata=None, description=told)
    if not is_turned:
        np.testing.assert_array_equal(tiff.read_array(path, None), MOVIE)
        return
    with pytest.raises(DataError, match=r"holds its frames in another order than in time: page 2"):
        tiff.read_array(path, None)


@pytest.mark.parametrize(("n_channels", "n_slices"), [(2, 1), (1, 3), (1, 1)])
def test_micromanager(tmp_path: Path, n_channels: int, n_slices: int) -> None:
    path = tmp_path / "stack.tif"
    n_frames = 12 // n_channels // n_slices
    summary = json.dumps({"Channels": n_channels, "Slices": n_slices, "Frames": n_frames})
    mark = struct.pack("<II", 2_355_492, len(summary)) + summary.encode()
    entries = [(256, 3, 1, 6), (257, 3, 1, 8), (258, 3, 1, 16), (262, 3, 1, 1)]
    pages, at = b"", 200
    for k, frame in enumerate(MOVIE):
        own = [*entries, (273, 4, 1, at), (277, 3, 1, 1), (279, 4, 1, 96)]
        head = struct.pack("<H", 7) + b"".join(struct.pack("<HHII", *one) for one in own)
        next_at = at + 96 + 90 + 96 if k < 11 else 0
        pages += frame.tobytes() + head + struct.pack("<I", next_at)
        at += 96 + 90
    content = (struct.pack("<2sHI", b"II", 42, 296).ljust(32, b"\0") + mark).ljust(200, b"\0")
    path.write_bytes(content + pages)
    if n_channels * n_slices == 1:
        np.testing.assert_array_equal(tiff.read_array(path, None), MOVIE)
        return
    with pytest.raises(DataError, match=r"more axes than time, row and column \(T \d, [CZ] \d\)"):
        tiff.read_array(path, None)


def test_metamorph_has_one_header_for_all_planes(tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    planes = (33629, 5, 12, (0, 1) * 12, True)
    tifffile.imwrite(path, MOVIE[:1], metadata=None, extratags=[planes])
    with path.open("ab") as file:
        file.write(MOVIE[1:].tobytes())
    np.testing.assert_array_equal(tiff.read_array(path, None), MOVIE)


def test_brightness_upside_down_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", MOVIE, photometric="miniswhite")
    with pytest.raises(DataError, match=r"smallest values are white .* export it as MinIsBlack"):
        tiff.read_array(tmp_path / "movie.tif", None)


def test_a_claim_that_the_file_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE[:1], metadata=None, compression="zlib")
    content = path.read_bytes()
    for tag, length in ((256, 6), (257, 8)):
        old, new = (struct.pack("<HHII", tag, 4, 1, n) for n in (length, 60_000))
        assert old in content
        content = content.replace(old, new)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"its movie claims 7,200,000,000 bytes, and .* damaged"):
        tiff.read_array(path, None)


@pytest.mark.parametrize("shape", [(8, 6), (1, 8, 6), (12, 1, 8, 6)])
def test_axes_of_one_are_none(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "movie.tif"
    frames = np.arange(int(np.prod(shape)), dtype=np.uint16).reshape(shape)
    tifffile.imwrite(path, frames, photometric="minisblack")
    np.testing.assert_array_equal(tiff.read_array(path, None), frames.reshape(-1, 8, 6))


@pytest.mark.parametrize(
    "description",
    [
        "ImageJ=1.53\nimages=" + "9" * 5000,
        '{"shape": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"shape": [1e400, null]}',
        '{"shape": []}',
        '<OME SizeT="' + "9" * 5000 + '">',
        "state.acq.numberOfZSlices=" + "9" * 5000,
    ],
)
def test_words_without_end(tmp_path: Path, description: str) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE, metadata=None, description=description)
    np.testing.assert_array_equal(tiff.read_array(path, None), MOVIE)


def test_pages_that_differ(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "movie.tif") as writer:
        writer.write(MOVIE[0], metadata=None)
        writer.write(MOVIE[0, :4], metadata=None)
    with pytest.raises(DataError, match=r"pages of different sizes or kinds"):
        tiff.read_array(tmp_path / "movie.tif", None)


def test_colour_is_refused(tmp_path: Path) -> None:
    colour = np.zeros((4, 8, 6, 3), np.uint8)
    tifffile.imwrite(tmp_path / "movie.tif", colour, photometric="rgb")
    with pytest.raises(DataError, match=r"\(pages of 8 x 6 x 3\); if it is in colour, save bri"):
        tiff.read_array(tmp_path / "movie.tif", None)


def test_ome_that_points_to_other_files(tmp_path: Path) -> None:
    mine, other = (f"urn:uuid:0000000{k}-0000-0000-0000-000000000000" for k in (1, 2))
    planes = "".join(
        f'<TiffData FirstT="{t}" IFD="0"><UUID FileName="{name}">{uuid}</UUID></TiffData>'
        for t, (name, uuid) in enumerate([("movie.ome.tif", mine), ("../secret.tif", other)])
    )
    ome = (
        f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="{mine}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
        f'Type="uint16" SizeX="6" SizeY="8" SizeZ="1" SizeC="1" SizeT="2">{planes}</Pixels>'
        "</Image></OME>"
    )
    path = tmp_path / "movie.ome.tif"
    tifffile.imwrite(path, MOVIE[0], metadata=None, description=ome)
    with pytest.raises(DataError, match=r"one of several OME-TIFF files and points to ../secret"):
        tiff.read_array(path, None)


def test_ome_of_two_channels(tmp_path: Path) -> None:
    path = tmp_path / "movie.ome.tif"
    tifffile.imwrite(path, MOVIE.reshape(6, 2, 8, 6), ome=True, metadata={"axes": "TCYX"})
    with pytest.raises(
        DataError, match=r"more axes than time, row and column .*export one channel"
    ):
        tiff.read_array(path, None)


def test_a_name_is_not_needed(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", MOVIE)
    with pytest.raises(MissingDataError, match="no array 'x'; it holds one array without a name"):
        tiff.read_array(tmp_path / "movie.tif", "x")


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared")
def test_a_real_movie() -> None:
    movie = tiff.read_array(SHARED, None)
    assert (movie.shape, movie.dtype, movie.min(), movie.max()) == ((500, 64, 64), np.int16, 0, 909)
    assert isinstance(movie, np.memmap)


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
    tifffile.imwrite(path, SMALL_MOVIE, **options)
    pages, is_whole = read_pages(path)
    with tifffile.TiffFile(path) as file:
        assert [page.start for page in pages] == [page.dataoffsets[0] for page in file.pages]
    assert is_whole
    assert b"shape" in pages[0].description


@given(st.integers(min_value=17, max_value=900), st.integers(min_value=0, max_value=2**32 - 1))
def test_a_spoilt_file_gives_pages_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("spoilt") / "movie.tif"
    tifffile.imwrite(path, SMALL_MOVIE, metadata=None)
    content = bytearray(path.read_bytes())
    content[-at : len(content) - at + 4] = struct.pack("<I", value)
    path.write_bytes(content)
    try:
        pages, _ = read_pages(path)
    except DataError:
        return
    assert len(pages) <= 5


class TestLearntOnce:
    """Headers of a large file are asked once, as long as it is the same."""

    def test_headers_are_not_read_again(self, tmp_path, monkeypatch):
        path = tmp_path / "movie.tif"
        movie = np.random.default_rng(0).integers(0, 1000, (80, 96, 96)).astype(np.uint16)
        tifffile.imwrite(path, movie, photometric="minisblack", contiguous=False)
        os.utime(path, ns=(1_700_000_000_000_000_001,) * 2)
        monkeypatch.setattr("corticode.data.files.SETTLED_NS", -1)
        first = read_array(path, None)
        asked = []
        real = tiff.read_pages
        monkeypatch.setattr(tiff, "read_pages", lambda p: asked.append(p) or real(p))
        again = read_array(path, None)
        assert asked == []
        np.testing.assert_array_equal(again, movie)
        assert (again.dtype, again.strides) == (first.dtype, first.strides)

    def test_another_file_of_that_name_is_read_anew(self, tmp_path, monkeypatch):
        path = tmp_path / "movie.tif"
        monkeypatch.setattr("corticode.data.files.SETTLED_NS", -1)
        for shape in ((80, 96, 96), (90, 96, 96)):
            movie = np.full(shape, shape[0], np.uint16)
            tifffile.imwrite(path, movie, photometric="minisblack")
            np.testing.assert_array_equal(read_array(path, None), movie)

    def test_what_is_cut_short_is_refused_each_time(self, tmp_path, monkeypatch):
        path = tmp_path / "movie.tif"
        monkeypatch.setattr("corticode.data.files.SETTLED_NS", -1)
        tifffile.imwrite(path, np.ones((80, 96, 96), np.uint16), photometric="minisblack")
        path.write_bytes(path.read_bytes()[:-5000])
        for _ in range(2):
            with pytest.raises(DataError, match="cut short"):
                read_array(path, None)
