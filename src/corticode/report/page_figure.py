"""A figure of a page, with its words."""

from dataclasses import dataclass

from corticode.report.canvas import Figure


@dataclass(frozen=True)
class PageFigure:
    """A figure with its words.

    Parameters
    ----------
    name
        File name without suffix.
    section
        ``"scores"``, ``"sessions"`` or ``"maps"``.
    title, caption, alt
        Above it, below it, and in its place.
    figure
        The figure itself.
    """

    name: str
    section: str
    title: str
    caption: str
    alt: str
    figure: Figure
