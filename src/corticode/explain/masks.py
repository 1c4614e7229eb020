"""What is covered of a decoder's input, what stands there instead, which windows stand for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from corticode.data.readers.lookup import is_file, reading
from corticode.data.regions import RegionTable, select_regions
from corticode.data.windows import Windows
from corticode.errors import DataError, MissingDataError, StudyError

# Squares of 32 pixels, 16 apart, on images of 128: a quarter of the side, and an eighth.
SQUARES_A_SIDE = 8
SUFFIXES = (".npy", ".tif", ".tiff")
FILLS = ("zero", "other-session", "shuffled", "neighbours")
TRACE_FILLS = FILLS[:3]
# A seam between two blocks lies in one window of ten at most.
BLOCK_WINDOWS = 10
# Four pixels around a mask on images of 128.
RING_SHARE = 1 / 32


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

    Raises
    ------
    StudyError
        Squares do not tile the image.

    Examples
    --------
    >>> SquareGrid((128, 128)).sides, SquareGrid((128, 128)).shape
    ((32, 32), (8, 8))
    """

    image_shape: tuple[int, int]

    def __post_init__(self) -> None:
        for n_pixels, side, step in zip(self.image_shape, self.sides, self.steps, strict=True):
            if step < 1 or n_pixels % step or side >= n_pixels:
                raise StudyError(
                    f"squares of {self.sides} pixels, {self.steps} apart, do not tile an image of "
                    f"{self.image_shape}; the stride has to divide both, as 16 does 32 and 128: "
                    "give another side and stride, or bin or crop the movie"
                )

    @property
    def sides(self) -> tuple[int, int]:
        """Rows and columns of a square: a quarter of the image's, as a rule."""
        return 2 * self.steps[0], 2 * self.steps[1]

    @property
    def steps(self) -> tuple[int, int]:
        """Rows and columns between squares, which are those of a cell of the map: an eighth."""
        return self.image_shape[0] // SQUARES_A_SIDE, self.image_shape[1] // SQUARES_A_SIDE

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
    import tifffile

    if not is_file(path):
        raise MissingDataError(f"mask {path} does not exist; give the path of a {_listed()} image")
    if path.suffix.lower() not in SUFFIXES:
        raise StudyError(f"mask {path} is no {_listed()} image; save it as one of these")
    try:
        with reading(path, "a mask"):
            is_npy = path.suffix == ".npy"
            read = np.load(path, allow_pickle=False) if is_npy else tifffile.imread(path)
    except DataError as error:
        raise StudyError(str(error)) from error
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


def check_fill(fill: str, *, sees_movies: bool) -> None:
    """Refuse, with a `StudyError`, a fill that is not there for movies, or for traces."""
    known = FILLS if sees_movies else TRACE_FILLS
    if fill not in known:
        kind = "movies" if sees_movies else "traces"
        raise StudyError(f"fill {fill!r} is none of those for {kind}: {', '.join(known)}")


def donor_rows(windows: Windows, fill: str, *, seed: int) -> NDArray[np.int64]:
    """For each recorded frame, the frame whose values stand in for it where it is covered.

    What is put in is thus the patch's own activity at another time, which looks as it always does
    but does not belong to the behaviour. Only frames that some window sees are lent or borrowed.

    Parameters
    ----------
    windows
        All windows of the sessions.
    fill
        ``"other-session"``: frames of another session of the same animal, in their order from a
        random one on (at its end it begins anew); each session lends to one other.
        ``"shuffled"``: blocks of ten windows' length change places within the session, and none
        keeps its own.
    seed
        Which session lends to which, and where blocks go.

    Returns
    -------
    NDArray
        Shape (frame,); rows that no window sees stand for themselves.

    Raises
    ------
    DataError
        An animal with one session has no other, or a session is too short to be shuffled.
    """
    rng = np.random.default_rng(seed)
    donor = np.arange(windows.traces.shape[0])
    seen = {
        int(k): np.flatnonzero(windows.where(windows.session == k).covered())
        for k in np.unique(windows.session)
    }
    animal_of = {k: int(windows.animal[windows.session == k][0]) for k in seen}
    if fill == "shuffled":
        for k, rows in seen.items():
            donor[rows] = _shuffled(rows, BLOCK_WINDOWS * windows.recipe.n_frames, rng, windows, k)
        return donor
    for animal in sorted(set(animal_of.values())):
        own = [k for k in seen if animal_of[k] == animal]
        if len(own) < 2:
            raise DataError(
                f"animal {windows.animal_names[animal]!r} has one session, so no other can fill "
                "what is covered; take fill = 'shuffled'"
            )
        order = rng.permutation(own)
        for k, lender in zip(order, np.roll(order, 1), strict=True):
            lent = seen[int(lender)]
            # From a random place on: behaviour may follow the same schedule in all sessions.
            lent = np.roll(lent, rng.integers(lent.size))
            donor[seen[int(k)]] = np.resize(lent, seen[int(k)].size)
    return donor


def _shuffled(
    rows: NDArray[np.int64],
    block_frames: int,
    rng: np.random.Generator,
    windows: Windows,
    session: int,
) -> NDArray[np.int64]:
    """Rows of a session with its blocks exchanged along one random cycle: none stays."""
    n_blocks = max(2, rows.size // block_frames)
    if rows.size < n_blocks:
        raise DataError(
            f"session {windows.session_names[session]!r} has {rows.size} frame to shuffle; leave "
            "the session out or take fill = 'zero'"
        )
    blocks = np.array_split(rows, n_blocks)
    order = rng.permutation(n_blocks)
    lender = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    return np.concatenate(
        [np.resize(blocks[lender[k]], block.size) for k, block in enumerate(blocks)]
    )


def rings(covered: NDArray[np.bool_]) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """The connected parts of a mask, and the uncovered pixels around each.

    Parameters
    ----------
    covered
        Shape (row, column).

    Returns
    -------
    list
        Of each part: its pixels, and those that lie up to a 32nd of the image's shorter side (one
        pixel at least) around it and are not covered; both of shape (row, column).

    Examples
    --------
    >>> covered = np.zeros((5, 5), bool)
    >>> covered[0, 0] = covered[3, 3] = True
    >>> [(int(part.sum()), int(ring.sum())) for part, ring in rings(covered)]
    [(1, 2), (1, 4)]
    """
    width = max(1, round(RING_SHARE * min(covered.shape)))
    labels, n_parts = scipy.ndimage.label(covered)
    found = []
    for k in range(1, n_parts + 1):
        part = np.asarray(labels == k)
        grown = scipy.ndimage.binary_dilation(part, iterations=width)
        found.append((part, np.asarray(grown & ~covered)))
    return found


def thin_windows(windows: Windows, every_n_frames: int, *, seed: int) -> Windows:
    """Few windows that stand for all, chosen so that one image in n passes a CNN.

    Windows come in short runs at regular steps. A run has as many windows as a window has images,
    so that most images serve several windows; runs of one window would cost half a run's images
    for a fraction of its windows, long runs would see few bouts. Each window is as likely to be
    chosen as any other, as each session's first run begins at a random place; windows of one
    image, or of traces, are simply every n-th.

    Parameters
    ----------
    windows
        All windows.
    every_n_frames
        1 keeps all.
    seed
        Where runs begin.

    Raises
    ------
    StudyError
        Not a whole number above 0.
    DataError
        No window is left.
    """
    n = every_n_frames
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise StudyError(f"every_n_frames is {n!r}; it must be a whole number above 0")
    if n == 1:
        return windows
    n_images = windows.recipe.window.n_frames if windows.movies else 1
    step = n * (2 * n_images - 1)
    first = np.random.default_rng([seed, 1]).integers(step, size=len(windows.session_names))
    kept = (windows.start - first[windows.session]) % step < n_images
    if not kept.any():
        raise DataError(
            f"every_n_frames = {n} leaves no window of {windows.n_windows}; take a smaller number"
        )
    return windows.where(kept)
