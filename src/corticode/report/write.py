"""The report of a run, or of two: written from their folders alone, without torch."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from corticode.data.files import write_text
from corticode.errors import RunError, StudyError
from corticode.evaluate.published import (
    READING,
    DataIdentity,
    differing_settings,
    identify_data,
    set_beside_published,
    set_splits_beside_published,
)
from corticode.report.canvas import FORMATS, save_figure
from corticode.report.compare_runs import pair_runs
from corticode.report.comparison_page import render_comparison
from corticode.report.methods import methods_text
from corticode.report.page import render_page
from corticode.report.page_figures import page_figures
from corticode.report.paper import TRACES, TRAINED, PaperFigure, PaperRun, draw_panels, render_paper
from corticode.report.read_run import ClipRequest, read_history, read_run
from corticode.report.values import RunValues
from corticode.run.folder import Run, slug, write_table
from corticode.study.shipped import open_study

# Where the text goes if methods.md was edited; and how its last line begins, which tells.
EDITED = "methods.new.md"
SIGNED = "<!-- corticode: this text as it was written has the hash "
# In the head of each page.
MARK, MOST_READ = b"<title>corticode", 4096
# Files of each published figure, where no others are asked for.
PAPER_FORMATS = ("png", "svg")


def write_texts(folder: Path, values: RunValues | None = None) -> None:
    """Write ``methods.md`` into a run folder, and the published values beside its own.

    ``published.csv`` and ``published_splits.csv`` are there where conditions have published names.

    Parameters
    ----------
    folder
        The run folder, finished or not.
    values
        What there is of it, where that has been read already.

    Raises
    ------
    MissingDataError
        It is no run folder.
    """
    run = Run(Path(folder))
    values = read_run(run.folder, single_predictions=False) if values is None else values
    _write_methods(run.folder, methods_text(values))
    splits = set_splits_beside_published(values.table("scores"), _identity(values))
    tables = {"published": beside_published(values), "published_splits": splits}
    for name, table in tables.items():
        if table.empty:
            run.table_path(name).unlink(missing_ok=True)
        else:
            write_table(run.table_path(name), table)


def _write_methods(folder: Path, text: str) -> None:
    """Write ``methods.md``; where somebody edited it, it stays, and the text goes beside it."""
    path, beside = folder / "methods.md", folder / EDITED
    signed = f"{text}\n{SIGNED}{_digest(text)} -->\n"
    try:
        body, _, signature = path.read_text("utf-8").rpartition(f"\n{SIGNED}")
        is_edited = signature.strip() != f"{_digest(body)} -->"
    except FileNotFoundError:
        is_edited = False
    except (OSError, ValueError):
        is_edited = True
    if is_edited:
        write_text(beside, signed)
        return
    write_text(path, signed)
    beside.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _check_page(out: Path) -> None:
    """Refuse to write a page where something else lies.

    Raises
    ------
    StudyError
        It is no name of a page, or a folder or somebody's own file has it.
    """
    if out.is_dir():
        raise StudyError(f"--out {out} is a folder; give the name of a file")
    if out.suffix.lower() not in (".html", ".htm"):
        raise StudyError(f"--out {out} is a page; give a name that ends in .html")
    if out.exists() and MARK not in out.read_bytes()[:MOST_READ]:
        raise StudyError(
            f"--out {out} exists and is no page of corticode; nothing was written: give the name "
            "of a new file"
        )


def _check_formats(formats: Sequence[str]) -> None:
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise StudyError(f"figures as {', '.join(unknown)} are unknown; give {', '.join(FORMATS)}")


@contextmanager
def _way_out(out: Path | None) -> Iterator[None]:
    """Say how a page of a run is had whose folder cannot be written."""
    try:
        yield
    except RunError as error:
        if out is not None:
            raise
        raise RunError(f"{error}; or have the page elsewhere with --out FILE.html") from error


def beside_published(values: RunValues) -> pd.DataFrame:
    """The table of ``published.csv``; no row where no condition is called as a published one.

    Examples
    --------
    >>> len(beside_published(RunValues("run")))
    0
    """
    identity = _identity(values)
    known = published_conditions()
    own = {str(one["name"]): one for one in values.conditions if len(one) > 1}
    differing = {
        name: differing_settings(one, known[name]) for name, one in own.items() if name in known
    }
    return set_beside_published(values.table("scores"), identity, differing)


def _identity(values: RunValues) -> DataIdentity:
    """Whether a run's recordings are the published ones."""
    return identify_data(
        values.table("session_scores"), values.conditions, is_simulated=values.is_simulated
    )


@cache
def published_conditions() -> Mapping[str, Mapping[str, Any]]:
    """The settings of each published condition as `paper-code` has them, by its name.

    Examples
    --------
    >>> published_conditions()["gru"]["window"]
    {'before': 15, 'after': 15, 'shift': 0}
    """
    found: dict[str, Mapping[str, Any]] = {}
    for keys in open_study(READING, Path("sessions.csv")).conditions:
        found[keys.name] = keys.model_dump(exclude_none=True, by_alias=True)
    return found


def write_report(
    folder: Path,
    formats: Sequence[str] = (),
    *,
    movie: str | None = None,
    minute: int | None = None,
    out: Path | None = None,
) -> Path:
    """Write ``report.html`` and the texts into a run folder, and its figures where asked.

    Parameters
    ----------
    folder
        The run folder, finished or not.
    formats
        Files of each figure in ``figures/``: ``"png"`` (300 dpi), ``"svg"``, ``"pdf"``; none: the
        page alone, which holds its figures itself.
    movie
        ``animal/session`` whose movie is shown; None: the median session.
    minute
        Which minute of it, from 0; None: that about the stretch in which the decoder is most
        wrong.
    out
        Where the page goes instead, of a run that is not to be written in, with figures in the
        folder ``figures`` beside it and without texts.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    MissingDataError
        It is no run folder.
    StudyError
        A format is unknown, or there is no such session or minute.
    DataError
        A movie was asked for and cannot be read.
    """
    _check_formats(formats)
    page = Path(folder) / "report.html" if out is None else Path(out)
    if out is not None:
        _check_page(page)
    values = read_run(Path(folder), clip=ClipRequest(movie, minute))
    figures = page_figures(values)
    with _way_out(out):
        for one in figures:
            for name in formats:
                save_figure(one.figure, page.parent / "figures" / f"{one.name}.{name}")
        if out is None:
            write_texts(Path(folder), values)
        write_text(page, render_page(values, figures))
    return page


def write_paper(
    folder: Path, formats: Sequence[str] = (), out: Path | None = None
) -> tuple[Path, list[PaperFigure]]:
    """Write the figures of the 2024 study from a run, and one page that holds all of them.

    Parameters
    ----------
    folder
        The run folder, finished or not.
    formats
        Files of each figure in ``figures/paper/``; none: ``"png"`` (300 dpi) and ``"svg"``.
    out
        The page; None: ``paper.html`` in the run folder. Figures go beside it.

    Returns
    -------
    Path, list of PaperFigure
        The page, and what came of each panel: those that this run cannot fill say why.

    Raises
    ------
    MissingDataError
        It is no run folder.
    StudyError
        A format is unknown, or `out` cannot be a page.
    """
    _check_formats(formats)
    page = Path(folder) / "paper.html" if out is None else Path(out)
    if out is not None:
        _check_page(page)
    run = Run(Path(folder))
    values = read_run(run.folder, about=TRACES)
    histories = {name: read_history(run, values, name) for name in TRAINED}
    given = PaperRun(
        values,
        beside_published(values),
        {name: table for name, table in histories.items() if not table.empty},
    )
    panels = draw_panels(given)
    with _way_out(out):
        for one in panels:
            if one.drawn is None:
                continue
            stem = page.parent / "figures" / "paper" / one.panel.stem
            if one.drawn.figure is not None:
                for form in formats or PAPER_FORMATS:
                    save_figure(one.drawn.figure, stem.with_name(f"{stem.name}.{form}"))
            if not one.drawn.numbers.empty:
                write_table(stem.with_name(f"{stem.name}.csv"), one.drawn.numbers)
        write_text(page, render_paper(given, panels))
    return page, panels


def write_comparison(folder_a: Path, folder_b: Path, out: Path | None = None) -> Path:
    """Write one page that sets two runs against each other, and refuses to pair what differs.

    Parameters
    ----------
    folder_a, folder_b
        Two run folders, finished or not; differences are those of the first less the second.
    out
        The page; None: ``against-<name of the second>.html`` in the first.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    MissingDataError
        One of them is no run folder.
    StudyError
        Both are the same folder, or they have no condition in common.
    """
    paths = Path(folder_a), Path(folder_b)
    if paths[0].resolve() == paths[1].resolve():
        raise StudyError(f"both runs are {folder_a}; give two run folders")
    if out is not None:
        _check_page(Path(out))
    a, b = (
        replace(read_run(path, single_predictions=False), name=name)
        for path, name in zip(paths, _names_apart(*paths), strict=True)
    )
    page = paths[0] / f"against-{slug(b.name)}.html" if out is None else out
    with _way_out(out):
        write_text(page, render_comparison(a, b, pair_runs(a, b)))
    return page


def _names_apart(a: Path, b: Path) -> tuple[str, str]:
    """What two folders are called: as many of the last parts of their paths as tell them apart.

    Examples
    --------
    >>> _names_apart(Path("/x/one/run"), Path("/x/two/run"))
    ('one/run', 'two/run')
    """
    parts_a, parts_b = (path.resolve().parts for path in (a, b))
    n = 1
    while parts_a[-n:] == parts_b[-n:]:
        n += 1
    return "/".join(parts_a[-n:]), "/".join(parts_b[-n:])
