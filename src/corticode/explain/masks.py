"""What is covered of a decoder's input: squares, circles, sets of regions, or any mask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corticode.data.regions import RegionTable, select_regions
from corticode.errors import StudyError

# Squares of 32 pixels, 16 apart, on images of 128: a quarter of the side, and an eighth.
SQUARES_A_SIDE = 8


@dataclass(frozen=True)
class Mask:
    """A part of the input that is covered, and its name.

    Parameters
    ----------
    name
        What it is called in tables.
    covered
        True where input is covered: pixels, shape (row, column), or regions, shape (region,).

    Raises
    ------
    StudyError
        It covers nothing or everything, or does not hold True and False over one or two axes.

    Examples
    --------
    >>> Mask("top", np.arange(4)[:, None].repeat(4, axis=1) < 1).covered.sum()
    np.int64(4)
    """

    name: str
    covered: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.covered.dtype != np.bool_ or self.covered.ndim not in (1, 2):
            raise StudyError(
                f"mask {self.name!r} holds {self.covered.dtype} values of shape "
                f"{self.covered.shape}; it needs True and False, (row, column) for movies or "
                "(region,) for traces"
            )
        if not self.covered.any():
            raise StudyError(f"mask {self.name!r} covers nothing; cover a part of the input")
        if self.covered.all():
            raise StudyError(
                f"mask {self.name!r} covers everything, so nothing is left to decode from; cover "
                "a part of the input"
            )


@dataclass(frozen=True)
class SquareGrid:
    """Squares at regular steps that wrap around the edges of an image.

    Parameters
    ----------
    image_shape
        Rows and columns of an image, pixels.
    side
        Rows and columns of a square, pixels; None: a quarter of the image's.
    stride
        Rows and columns between squares, pixels; None: an eighth of the image's.

    Raises
    ------
    StudyError
        The stride does not divide the image or the side of a square.

    Examples
    --------
    >>> SquareGrid((128, 128)).side, SquareGrid((128, 128)).shape
    ((32, 32), (8, 8))
    """

    image_shape: tuple[int, int]
    side: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        rows, columns = self.image_shape
        if self.stride is None:
            stride = (rows // SQUARES_A_SIDE, columns // SQUARES_A_SIDE)
            object.__setattr__(self, "stride", stride)
        if self.side is None:
            object.__setattr__(self, "side", (2 * self.steps[0], 2 * self.steps[1]))
        for n_pixels, side, step in zip(self.image_shape, self.sides, self.steps, strict=True):
            if step < 1 or n_pixels % step or side % step or not step <= side < n_pixels:
                raise StudyError(
                    f"squares of {self.sides} pixels, {self.steps} apart, do not tile an image of "
                    f"{self.image_shape}; the stride has to divide both, as 16 does 32 and 128: "
                    "give another side and stride, or bin or crop the movie"
                )

    @property
    def sides(self) -> tuple[int, int]:
        """Rows and columns of a square."""
        return self.side or (0, 0)

    @property
    def steps(self) -> tuple[int, int]:
        """Rows and columns between squares, which are those of a cell of the map."""
        return self.stride or (0, 0)

    @property
    def shape(self) -> tuple[int, int]:
        """Squares down and across, which are also the map's cells."""
        return self.image_shape[0] // self.steps[0], self.image_shape[1] // self.steps[1]


def square_masks(grid: SquareGrid) -> list[Mask]:
    """The squares of a grid, row by row; those at the lower and right edge wrap around.

    References
    ----------
    Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074: 64 squares of 32 x 32 pixels.

    Examples
    --------
    >>> masks = square_masks(SquareGrid((128, 128)))
    >>> len(masks), masks[9].name, np.flatnonzero(masks[7].covered[0]).tolist()[:17:16]
    (64, 'square 2-2', [0, 112])
    """
    rows, columns = (
        [(np.arange(n_pixels) - k * step) % n_pixels < side for k in range(n_pixels // step)]
        for n_pixels, side, step in zip(grid.image_shape, grid.sides, grid.steps, strict=True)
    )
    return [
        Mask(f"square {i + 1}-{j + 1}", row[:, None] & column)
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
    ]


def cells_of_squares(values: NDArray[np.floating], grid: SquareGrid) -> NDArray[np.float64]:
    """The map's cells: each takes the mean of the squares that cover it.

    Parameters
    ----------
    values
        One a square, in the order of `square_masks`, shape (..., square).
    grid
        The squares; of the study's, four cover each cell of 16 x 16 pixels.

    Returns
    -------
    NDArray
        Shape (..., cell down, cell across).

    Raises
    ------
    StudyError
        There are not as many values as squares.

    Examples
    --------
    Only the square with its upper left corner at cell 1, 1 matters, and it covers four cells:

    >>> values = np.zeros(64)
    >>> values[9] = 1.0
    >>> cells_of_squares(values, SquareGrid((128, 128)))[:4, :4].tolist()[1:3]
    [[0.0, 0.25, 0.25, 0.0], [0.0, 0.25, 0.25, 0.0]]
    """
    down, across = grid.shape
    if values.shape[-1] != down * across:
        raise StudyError(
            f"{values.shape[-1]} values do not belong to {down * across} squares; give one a "
            "square, in the order of square_masks"
        )
    squares = np.asarray(values, np.float64).reshape(*values.shape[:-1], down, across)
    n_down, n_across = (side // step for side, step in zip(grid.sides, grid.steps, strict=True))
    covering = [
        np.roll(squares, (i, j), axis=(-2, -1)) for i in range(n_down) for j in range(n_across)
    ]
    return np.asarray(np.mean(covering, axis=0))


def circle_masks(
    centres: Mapping[str, tuple[float, float]], radius: float, image_shape: tuple[int, int]
) -> list[Mask]:
    """Discs of pixels, cut off at the edges of the image.

    Parameters
    ----------
    centres
        Row and column of each centre by the mask's name, pixels from 0.
    radius
        Pixels; those as far away are covered.
    image_shape
        Rows and columns of an image.

    Examples
    --------
    >>> circle_masks({"HLa": (2, 2)}, 1, (5, 5))[0].covered.sum()
    np.int64(5)
    """
    row, column = np.indices(image_shape)
    return [
        Mask(name, (row - at[0]) ** 2 + (column - at[1]) ** 2 <= radius**2)
        for name, at in centres.items()
    ]


def limb_squares(image_shape: tuple[int, int] = (128, 128)) -> Mask:
    """The two squares over the limb areas of both sides that the study covered at once (S3 Fig).

    On its images of 128 x 128 pixels these are rows 49 to 80 with columns 17 to 32 and 97 to 112,
    counted from 1; on other sizes, the same parts of the image.

    Raises
    ------
    StudyError
        An image whose rows or columns cannot be cut into eighths.

    References
    ----------
    Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074, S3 Fig.

    Examples
    --------
    >>> mask = limb_squares()
    >>> np.flatnonzero(mask.covered.any(axis=1))[[0, -1]].tolist(), mask.covered.sum()
    ([48, 79], np.int64(1024))
    """
    row_step, column_step = SquareGrid(image_shape).steps
    row, column = np.indices(image_shape)
    row, column = row // row_step, column // column_step
    return Mask("limb squares", np.isin(row, (3, 4)) & np.isin(column, (1, 6)))


def region_masks(
    selections: Mapping[str, Sequence[int | str]],
    regions: Sequence[str],
    table: RegionTable | None = None,
) -> list[Mask]:
    """Sets of regions that are covered together.

    Parameters
    ----------
    selections
        Numbers, names, groups or sides of regions by the mask's name; see
        `corticode.data.regions.select_regions`.
    regions
        The regions of the traces, in order: those of the decoder's recipe.
    table
        Where groups and sides are looked up.

    Raises
    ------
    StudyError
        A selection holds what is no region of these, or covers all of them.

    Examples
    --------
    >>> region_masks({"limbs": ["FL", "HL"]}, ["M2", "FL", "HL", "V1"])[0].covered
    array([False,  True,  True, False])
    """
    return [
        Mask(name, select_regions(selection, regions, table))
        for name, selection in selections.items()
    ]


def share_in_brain(masks: Sequence[Mask], brain: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How much of each mask lies in the brain, 0 to 1, shape (mask,).

    Masks of which no pixel does are a control: covering them must cost nothing.

    Parameters
    ----------
    masks
        Masks of pixels.
    brain
        True in the brain, shape (row, column).

    Raises
    ------
    StudyError
        The brain mask has another shape than the masks.

    Examples
    --------
    >>> brain = np.indices((8, 8))[1] < 3
    >>> share_in_brain(square_masks(SquareGrid((8, 8)))[:4], brain).tolist()
    [1.0, 1.0, 0.5, 0.0]
    """
    check_shapes(masks, brain.shape, "brain mask")
    return np.array([float(brain[mask.covered].mean()) for mask in masks])


def check_shapes(masks: Sequence[Mask], shape: tuple[int, ...], of_what: str) -> None:
    """Refuse, with a `StudyError`, masks of another shape, of one name, or none at all."""
    if not masks:
        raise StudyError("there is no mask to cover with; give one at least")
    names = [mask.name for mask in masks]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise StudyError(f"several masks are called {', '.join(repeated)}; give each its own name")
    for mask in masks:
        if mask.covered.shape != tuple(shape):
            raise StudyError(
                f"mask {mask.name!r} has the shape {mask.covered.shape}, the {of_what} "
                f"{tuple(shape)}; make the mask for that shape"
            )
