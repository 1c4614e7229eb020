"""Movies in TIFF files."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corticode.data.readers import tiff
from corticode.errors import DataError, MissingDataError

SHARED = Path(__file__).parents[4] / "shared" / "data" / "s1_movie" / "movie.tif"
MOVIE = np.arange(12 * 8 * 6, dtype=np.uint16).reshape(12, 8, 6)


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


@settings(deadline=None, max_examples=25)
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


def test_fewer_pages_than_promised(tmp_path: Path) -> None:
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE, metadata=None, description="ImageJ=1.53\nimages=20\n")
    with pytest.raises(DataError, match="12 whole pages found, 20 needed"):
        tiff.read_array(path, None)


def test_pages_that_differ(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "movie.tif") as writer:
        writer.write(MOVIE[0], metadata=None)
        writer.write(MOVIE[0, :4], metadata=None)
    with pytest.raises(DataError, match=r"pages of different sizes or kinds"):
        tiff.read_array(tmp_path / "movie.tif", None)


def test_colour_is_refused(tmp_path: Path) -> None:
    colour = np.zeros((4, 8, 6, 3), np.uint8)
    tifffile.imwrite(tmp_path / "movie.tif", colour, photometric="rgb")
    with pytest.raises(DataError, match=r"pages of shape 8 x 6 x 3; .* save one channel"):
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
