"""What an alignment leaves on disk: the label image, the table of regions and the transform."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.atlas.alignment import Alignment, AlignmentChecks
from corticode.data.files import write_text, write_with
from corticode.data.movies.passes import mean_image
from corticode.data.readers.arrays import ArrayLocation, read_array, read_movie
from corticode.data.readers.lookup import check_file, reading
from corticode.data.regions import RegionTable, write_regions
from corticode.errors import DataError, Finding

LABELS, REGIONS, TRANSFORM = "labels.npy", "regions.csv", "transform.json"
DIRECTION = (
    "transform takes a pixel of the atlas (x, y, 1) to one of the image (x, y, 1), inverse the "
    "other way; x is the column, y the row, from 0 at the middle of the first pixel"
)
IMAGE_NDIM = 2


def read_mean_image(location: ArrayLocation) -> NDArray[np.float64]:
    """An image from any file that arrays are read from, or the mean image of a movie.

    Parameters
    ----------
    location
        Of two axes (row, column) or three (time, row, column).

    Raises
    ------
    MissingDataError
        The file, or the array in it, does not exist.
    DataError
        It cannot be read, holds other axes, or no numbers.
    """
    held = read_array(location)
    if held.ndim != IMAGE_NDIM:
        held, _ = read_movie(location)
    if held.ndim not in (IMAGE_NDIM, IMAGE_NDIM + 1) or held.dtype.kind not in "iufb":
        raise DataError(
            f"{location} holds {held.dtype} values of shape {held.shape}; needed is an image (row, "
            "column) or a movie (time, row, column)"
        )
    return held.astype(np.float64) if held.ndim == IMAGE_NDIM else mean_image(held)


def write_alignment(
    folder: Path,
    alignment: Alignment,
    labels: NDArray[np.int16],
    table: RegionTable,
    checks: AlignmentChecks,
    findings: Sequence[Finding] = (),
) -> None:
    """Write ``labels.npy``, ``regions.csv`` and ``transform.json`` into a folder.

    Number k of the label image is the k-th row of the table, as `corticode extract` and the report
    read it; rows of regions that were left out have no centre and 0 pixels.

    Raises
    ------
    RunError
        The files cannot be written.
    """
    write_with(folder / LABELS, lambda file: np.save(file, labels))
    write_regions(folder / REGIONS, table)
    rows, columns = alignment.shape
    held = {
        "atlas": alignment.atlas,
        "kind": alignment.kind,
        "direction": DIRECTION,
        "transform": alignment.transform.tolist(),
        "inverse": alignment.inverse.tolist(),
        "rows": rows,
        "columns": columns,
        "landmarks": {
            name: {"atlas": on_atlas, "image": on_image, "residual_px": away}
            for name, on_atlas, on_image, away in zip(
                alignment.names,
                alignment.atlas_points.tolist(),
                alignment.image_points.tolist(),
                alignment.residuals.tolist(),
                strict=True,
            )
        },
        "checks": asdict(checks),
        "warnings": [str(finding) for finding in findings],
    }
    write_text(folder / TRANSFORM, json.dumps(held, indent=1) + "\n")


def read_alignment(path: Path) -> Alignment:
    """An alignment from its ``transform.json``.

    Raises
    ------
    MissingDataError
        The file does not exist.
    DataError
        It is no file that `write_alignment` wrote.
    """
    check_file(path)
    with reading(path, "a transform.json of corticode regions"):
        held: dict[str, Any] = json.loads(path.read_text("utf-8"))
        transform = np.asarray(held["transform"], np.float64)
        if transform.shape != (3, 3) or not abs(np.linalg.det(transform)) > 0:
            raise ValueError(f"its transform of shape {transform.shape} cannot be inverted")
        points = held["landmarks"]
        on_atlas, on_image = (
            np.array([one[where] for one in points.values()], np.float64).reshape(-1, 2)
            for where in ("atlas", "image")
        )
        shape = int(held["rows"]), int(held["columns"])
        return Alignment(
            held["atlas"], held["kind"], transform, tuple(points), on_atlas, on_image, shape
        )
