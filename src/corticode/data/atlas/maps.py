"""Maps of regions seen from above, and which region of one lies under each pixel of an image.

Regions are looked up: each pixel of the image asks, through the inverse of the transform, which
region of the map it shows. Outlines that are warped and filled agree with that less and less the
fewer pixels a region has.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from corticode.data.regions import RegionTable
from corticode.errors import DataError, Finding, StudyError

# Packaged maps: where their files begin, and millimetres a pixel. That of allen-44 follows from
# landmarks that wfield gives in millimetres: from the root of the olfactory bulbs to bregma 3.45 mm
# and to the base of the retrosplenial cortex 6.65 mm, 168 and 322 pixels here. Across, the bulbs'
# edges (3.90 mm, 180 pixels) would give 0.0217, so that it is good to about 5 %.
ATLASES: Mapping[str, tuple[str, float]] = {"allen-44": ("allen_44", 0.0206)}
LEAST_PIXELS = 12


@dataclass(frozen=True)
class Atlas:
    """A map of regions seen from above, and its landmarks.

    Parameters
    ----------
    name
        As users name it.
    labels
        (row, column): the number of the region that each pixel belongs to, 0: none.
    regions
        What number k is called, its side, mirror and groups, in the k-th place.
    landmarks
        (x, y) of each, by name.
    mm_per_pixel
        Of the map, about.
    """

    name: str
    labels: NDArray[np.uint8]
    regions: RegionTable
    landmarks: Mapping[str, tuple[float, float]]
    mm_per_pixel: float

    @property
    def to_mm(self) -> NDArray[np.float64]:
        """3 x 3: pixels of the map (x, y, 1) to millimetres from bregma (right, back, 1)."""
        x, y = self.landmarks["bregma"]
        size = self.mm_per_pixel
        return np.array([[size, 0, -size * x], [0, size, -size * y], [0, 0, 1]])


def read_atlas(name: str = "allen-44") -> Atlas:
    """A map that comes with the package.

    Parameters
    ----------
    name
        ``"allen-44"``: 22 areas of the dorsal cortex and olfactory bulb on each side, 512 x 512
        pixels of about 0.0206 mm, regions parted by unlabelled pixels along their borders.

    Raises
    ------
    StudyError
        There is no such map.

    References
    ----------
    Areas: Wang et al. (2020), doi:10.1016/j.cell.2020.04.007, (c) Allen Institute for Brain
    Science. Landmarks: Xiao et al. (2021), doi:10.1038/s41467-021-26255-2. Where the files come
    from stands in `corticode/published/NOTICE.md`.

    Examples
    --------
    >>> atlas = read_atlas()
    >>> atlas.labels.shape, atlas.regions.names[34], atlas.landmarks["bregma"]
    ((512, 512), 'VISp_left', (256.0, 256.0))
    """
    if name not in ATLASES:
        raise StudyError(f"there is no atlas {name!r}; there is {', '.join(ATLASES)}")
    start, mm_per_pixel = ATLASES[name]
    folder = resources.files("corticode.published")
    with (folder / f"{start}_labels.npz").open("rb") as file, np.load(file) as held:
        labels = held["labels"]
    rows = _rows((folder / f"{start}_regions.csv").read_text("utf-8"))
    points = _rows((folder / f"{start}_landmarks.csv").read_text("utf-8"))
    regions = RegionTable(
        tuple(row["name"] for row in rows),
        tuple(tuple(row["group"].split(";")) for row in rows),
        tuple(row["side"] for row in rows),
        tuple(row["mirror"] for row in rows),
    )
    landmarks = {row["name"]: (float(row["x"]), float(row["y"])) for row in points}
    return Atlas(name, labels, regions, landmarks, mm_per_pixel)


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def find_regions(
    atlas: Atlas, transform: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[NDArray[np.int16], RegionTable, list[Finding]]:
    """Which region each pixel of an image belongs to, and the regions' table.

    Parameters
    ----------
    atlas, transform
        3 x 3, atlas (x, y, 1) to image (x, y, 1).
    shape
        Rows and columns of the image.

    Returns
    -------
    labels
        (row, column): the region's number in the atlas, 0: none.
    table
        All regions of the atlas with the centre and number of their pixels; regions of fewer
        than 12 pixels have none.
    findings
        Those that were left out.

    Raises
    ------
    DataError
        No region is left.

    Examples
    --------
    >>> labels, table, _ = find_regions(read_atlas(), np.diag([0.25, 0.25, 1]), (128, 128))
    >>> labels.shape, table.names[35], table.pixels[35], round(table.columns[35])
    ((128, 128), 'VISp_right', 582, 96)
    """
    labels = label_pixels(atlas, transform, shape)
    n_regions = len(atlas.regions.names)
    counts = np.bincount(labels.ravel(), minlength=n_regions + 1)[1:]
    is_small = counts < LEAST_PIXELS
    if is_small.all():
        raise DataError(
            f"no region of the atlas has {LEAST_PIXELS} pixels or more in the image of {shape[0]} "
            f"x {shape[1]} pixels; look at the landmarks, or use an image of more pixels"
        )
    labels[np.isin(labels, 1 + np.flatnonzero(is_small))] = 0
    counts[is_small] = 0
    rows, columns = (_centres(labels, axis, counts) for axis in np.indices(shape))
    table = replace(
        atlas.regions,
        rows=tuple(rows.tolist()),
        columns=tuple(columns.tolist()),
        pixels=tuple(counts.tolist()),
    )
    if not is_small.any():
        return labels, table, []
    names = [name for name, small in zip(table.names, is_small, strict=True) if small]
    reason = (
        f"of {n_regions} regions {len(names)} with fewer than {LEAST_PIXELS} pixels in the image "
        f"left out: {', '.join(names)}"
    )
    return labels, table, [Finding("region", reason, count=len(names))]


def _centres(
    labels: NDArray[np.int16], places: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean place of each region's pixels, to a hundredth; NaN without pixels."""
    sums = np.bincount(labels.ravel(), places.ravel(), minlength=counts.size + 1)[1:]
    means = np.divide(sums, counts, out=np.full(counts.size, np.nan), where=counts > 0)
    return np.asarray(means.round(2))


def label_pixels(
    atlas: Atlas, transform: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.int16]:
    """The number of the region under each pixel's middle, (row, column), small regions too."""
    n_rows, n_columns = shape
    inverse = np.linalg.inv(transform)
    x, y = np.arange(n_columns)[None, :], np.arange(n_rows)[:, None]
    columns, rows = (
        np.floor(line[0] * x + line[1] * y + line[2] + 0.5).astype(np.int64) for line in inverse[:2]
    )
    inside = (rows >= 0) & (rows < atlas.labels.shape[0])
    inside &= (columns >= 0) & (columns < atlas.labels.shape[1])
    labels: NDArray[np.int16] = np.zeros(shape, np.int16)
    labels[inside] = atlas.labels[rows[inside], columns[inside]]
    return labels


def to_atlas_transform(
    transform: NDArray[np.float64], atlas: Atlas, size: tuple[int, int]
) -> NDArray[np.float64]:
    """The 3 x 3 that takes pixels of an atlas canvas (x, y, 1) to pixels of the image (x, y, 1).

    Movies that are resampled with it show the same place in the same pixel for every animal.

    Parameters
    ----------
    transform
        3 x 3, atlas to image, of this animal.
    size
        Rows and columns of the canvas, onto which the whole map is scaled.

    Examples
    --------
    >>> to_atlas_transform(np.eye(3), read_atlas(), (128, 128)).tolist()
    [[4.0, 0.0, 1.5], [0.0, 4.0, 1.5], [0.0, 0.0, 1.0]]
    """
    return np.asarray(transform @ canvas_transform(atlas, size))


def canvas_transform(atlas: Atlas, size: tuple[int, int]) -> NDArray[np.float64]:
    """The 3 x 3 that takes pixels of an atlas canvas (x, y, 1) to pixels of the map (x, y, 1).

    Its inverse, given to `find_regions`, finds the regions on the canvas.

    Parameters
    ----------
    size
        Rows and columns of the canvas, onto which the whole map is scaled.

    Examples
    --------
    >>> atlas = read_atlas()
    >>> labels, _, _ = find_regions(
    ...     atlas, np.linalg.inv(canvas_transform(atlas, (64, 64))), (64, 64))
    >>> labels.shape, int(labels.max())
    ((64, 64), 44)
    """
    y, x = (whole / part for whole, part in zip(atlas.labels.shape, size, strict=True))
    # The middle of the first pixel of the canvas is not that of the first pixel of the map.
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
