"""The report of a run: written from its folder alone, without torch."""

from collections.abc import Sequence
from pathlib import Path

from corticode.data.files import write_text
from corticode.errors import StudyError
from corticode.report.canvas import FORMATS, save_figure
from corticode.report.page import render_page
from corticode.report.page_figures import page_figures
from corticode.run_texts import write_texts
from corticode.run_values import read_run


def write_report(folder: Path, formats: Sequence[str] = ()) -> Path:
    """Write ``report.html`` and the texts into a run folder, and its figures where asked.

    Parameters
    ----------
    folder
        The run folder, finished or not.
    formats
        Files of each figure in ``figures/``: ``"png"`` (300 dpi), ``"svg"``, ``"pdf"``; none: the
        page alone, which holds its figures itself.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    MissingDataError
        It is no run folder.
    StudyError
        A format is unknown.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise StudyError(f"figures as {', '.join(unknown)} are unknown; give {', '.join(FORMATS)}")
    values = read_run(Path(folder))
    figures = page_figures(values)
    for one in figures:
        for name in formats:
            save_figure(one.figure, Path(folder) / "figures" / f"{one.name}.{name}")
    write_texts(Path(folder), values)
    page = Path(folder) / "report.html"
    write_text(page, render_page(values, figures))
    return page
