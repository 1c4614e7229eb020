"""Figures as journals print them: sizes, colours, type; the only module that imports matplotlib."""

import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import matplotlib.colors
import numpy as np
import pandas as pd
from matplotlib.axes import Axes as Axes
from matplotlib.figure import Figure as Figure
from matplotlib.image import AxesImage as AxesImage
from numpy.typing import NDArray

from corticode.data.files import write_bytes
from corticode.errors import StudyError

COLUMN_MM, PAGE_MM = 85.0, 174.0
MM_PER_INCH = 25.4
# Okabe and Ito's eight, told apart by every common kind of colour vision; yellow last, on white.
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
    "#F0E442",
)
MARKERS = "osD^vPX*"
GREY = "#6b6b6b"
SEQUENTIAL, DIVERGING = "viridis", "PuOr_r"
FORMATS = ("png", "svg", "pdf")
PAGE_DPI, PRINT_DPI = 144, 300
LONGEST_LABEL = 26
STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    # A name may hold a dollar sign; it is no formula.
    "text.parse_math": False,
    # Text in SVG and PDF stays text: it can be searched, and edited in a drawing program.
    "svg.fonttype": "none",
    "svg.hashsalt": "corticode",
    "pdf.fonttype": 42,
    "figure.constrained_layout.use": True,
}

Given = ParamSpec("Given")
Drawn = TypeVar("Drawn")


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # Names in scripts that the font lacks are drawn as boxes; the tables hold them in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def styled(draw: Callable[Given, Drawn]) -> Callable[Given, Drawn]:
    """A drawing function in the package's style; the caller's settings stay as they are."""

    @wraps(draw)
    def drawing(*args: Given.args, **kwargs: Given.kwargs) -> Drawn:
        with _style():
            return draw(*args, **kwargs)

    return drawing


def new_figure(
    width_mm: float, height_mm: float, rows: int = 1, columns: int = 1, **settings: Any
) -> tuple[Figure, NDArray[np.object_]]:
    """An empty figure and its axes, shape (row, column), without any global state of pyplot.

    Parameters
    ----------
    width_mm, height_mm
        Its size in print; a journal's column is 85 mm, its page 174 mm.
    rows, columns
        Panels.
    settings
        For `matplotlib.figure.Figure.subplots`.

    Examples
    --------
    >>> figure, axes = new_figure(85, 60, columns=2)
    >>> axes.shape
    (1, 2)
    """
    figure = Figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH))
    return figure, figure.subplots(rows, columns, squeeze=False, **settings)


def colour_of(k: int) -> str:
    """The colour of the k-th animal; from the ninth on colours come again, with other markers."""
    return COLOURS[k % len(COLOURS)]


def marker_of(k: int) -> str:
    """The marker of the k-th animal."""
    return MARKERS[k // len(COLOURS) % len(MARKERS)]


def colours_of_map(name: str) -> list[str]:
    """256 colours of a map of matplotlib's, from the least to the largest value.

    Examples
    --------
    >>> colours_of_map("gray")[::255]
    ['#000000', '#ffffff']
    """
    colours = mpl.colormaps[name](np.linspace(0, 1, 256))
    return [mpl.colors.to_hex(colour) for colour in colours]


def in_order(names: Iterable[object]) -> list[str]:
    """Names each once, numbers in them by size: so an animal has one colour in all figures.

    Examples
    --------
    >>> in_order(["m10", "m2", "m10", "m1"])
    ['m1', 'm2', 'm10']
    """

    def key(name: str) -> list[tuple[int, str]]:
        parts = re.split(r"(\d+)", name)
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]

    return sorted({str(name) for name in names}, key=key)


def rows_by_animal(table: pd.DataFrame) -> Iterator[tuple[int, str, pd.DataFrame]]:
    """Place in the order of colours, name and rows of each animal."""
    for k, name in enumerate(in_order(table["animal"])):
        yield k, name, table[table["animal"] == name]


def shortened(name: object, longest: int = LONGEST_LABEL) -> str:
    """A label that leaves room for the figure; the whole name stands in the tables.

    Examples
    --------
    >>> shortened("a name that goes on and on", 10)
    'a name th…'
    """
    text = " ".join(str(name).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def picture(figure: Figure, format: str = "png") -> bytes:
    """A figure as the bytes of a file, the same each time.

    Parameters
    ----------
    figure
        As any of the package's figures.
    format
        ``"png"`` (as a page shows it), ``"svg"`` or ``"pdf"``.

    Raises
    ------
    StudyError
        It is another format.
    """
    return _written(figure, format, PAGE_DPI)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all; its suffix says whether as PNG, SVG or PDF.

    Raises
    ------
    StudyError
        It is another suffix.
    """
    write_bytes(path, _written(figure, path.suffix.removeprefix("."), PRINT_DPI))


def _written(figure: Figure, format: str, dpi: int) -> bytes:
    if format not in FORMATS:
        raise StudyError(f"figures cannot be written as {format!r}; give {', '.join(FORMATS)}")
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format=format, dpi=dpi, metadata=dates[format])
    return buffer.getvalue()
