"""Figures below each other on one page."""

from collections.abc import Mapping

from corticode.report.canvas import Figure
from corticode.report.page import data_address, render


def render_gallery(figures: Mapping[str, Figure]) -> str:
    """A page of figures of published data, each below its title.

    Parameters
    ----------
    figures
        By their titles.

    Returns
    -------
    str
        HTML that needs no other file.

    Examples
    --------
    >>> "<h1>" in render_gallery({})
    True
    """
    shown = [{"title": title, "source": data_address(figure)} for title, figure in figures.items()]
    return render("gallery.html", figures=shown)
