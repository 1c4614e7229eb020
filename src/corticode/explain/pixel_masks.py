"""Masks of pixels that a study asks for: circles, and images that somebody drew."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from corticode.errors import MissingDataError, StudyError
from corticode.explain.masks import Mask, check_shapes, circle_masks

SUFFIXES = (".npy", ".tif", ".tiff")


@dataclass(frozen=True)
class Circle:
    """A disc of pixels.

    Parameters
    ----------
    row, column
        Its centre, pixels from 0.
    radius
        Pixels; those as far away are covered.
    """

    row: float
    column: float
    radius: float


@dataclass(frozen=True)
class DrawnMask:
    """An image that says which pixels are covered, small enough to be part of settings.

    Parameters
    ----------
    n_rows, n_columns
        Of the image.
    bits
        Its pixels row by row, eight a byte, as hexadecimal digits.
    """

    n_rows: int
    n_columns: int
    bits: str

    @property
    def covered(self) -> NDArray[np.bool_]:
        """True where input is covered, shape (row, column)."""
        packed = np.frombuffer(bytes.fromhex(self.bits), np.uint8)
        n_pixels = self.n_rows * self.n_columns
        return np.unpackbits(packed, count=n_pixels).astype(bool).reshape(self.n_rows, -1)


PixelMask = Circle | DrawnMask


def read_drawn_mask(path: Path) -> DrawnMask:
    """A mask from a file: an image that is 0 where input is left, something else where it is not.

    Parameters
    ----------
    path
        A ``.npy`` array or a TIFF of shape (row, column).

    Raises
    ------
    MissingDataError
        There is no such file.
    StudyError
        It is no image of rows and columns.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "left.npy"
    >>> np.save(path, np.arange(16).reshape(4, 4) % 4 < 2)
    >>> read_drawn_mask(path).covered.sum()
    np.int64(8)
    """
    if not path.is_file():
        raise MissingDataError(f"mask {path} does not exist; give the path of a {_listed()} image")
    if path.suffix.lower() not in SUFFIXES:
        raise StudyError(f"mask {path} is no {_listed()} image; save it as one of these")
    try:
        read = np.load(path, allow_pickle=False) if path.suffix == ".npy" else tifffile.imread(path)
    except (ValueError, OSError, EOFError, tifffile.TiffFileError) as error:
        raise StudyError(f"mask {path} cannot be read: {error}; save it anew") from error
    image = np.asarray(read)
    if image.ndim != 2 or image.dtype.kind not in "buif" or np.isnan(image).any():
        raise StudyError(
            f"mask {path} holds {image.dtype} values of shape {image.shape}; it needs one number a "
            "pixel, (row, column), 0 where input is left"
        )
    covered = image != 0
    n_rows, n_columns = covered.shape
    return DrawnMask(n_rows, n_columns, np.packbits(covered).tobytes().hex())


def pixel_masks(
    wanted: Sequence[tuple[str, PixelMask]], image_shape: tuple[int, int]
) -> list[Mask]:
    """Masks of an image's pixels, as a study asks for them.

    Parameters
    ----------
    wanted
        Circles and drawn masks by name.
    image_shape
        Rows and columns of the decoder's images.

    Raises
    ------
    StudyError
        A mask has another shape than the images, or covers nothing or everything.

    Examples
    --------
    >>> pixel_masks([("HLa", Circle(2, 2, 1))], (5, 5))[0].covered.sum()
    np.int64(5)
    """
    masks = [
        circle_masks({name: (one.row, one.column)}, one.radius, image_shape)[0]
        if isinstance(one, Circle)
        else Mask(name, one.covered)
        for name, one in wanted
    ]
    check_shapes(masks, image_shape, "movie")
    return masks


def _listed() -> str:
    return " or ".join(SUFFIXES)
