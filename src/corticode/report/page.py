"""The one page of a run: everything a reader asks, in the order in which it should be read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from corticode.report.headline import SIMULATED, headline, warnings_of
from corticode.report.map_viewer import pack_maps
from corticode.report.methods import DRAFT, methods_passages
from corticode.report.movie_player import pack_clip
from corticode.report.page_figure import PageFigure
from corticode.report.page_room import (
    GIVING_WAY,
    LARGEST_PAGE,
    Fitted,
    Heavy,
    fit_to_page,
)
from corticode.report.page_tables import (
    EVIDENCE,
    SHOWN_TABLES,
    condition_rows,
    long_tables,
    overview,
    slots_of,
)
from corticode.report.page_values import RunValues, headline_condition
from corticode.report.questions import answer_questions
from corticode.report.templating import data_address, render


def render_page(values: RunValues, figures: Sequence[PageFigure]) -> str:
    """The report of a run as one HTML file that needs no other.

    Parameters
    ----------
    values
        What there is of the run.
    figures
        As from `corticode.report.page_figures.page_figures`.

    Returns
    -------
    str
        HTML; all text of the user is escaped, and nothing is fetched from anywhere.

    Examples
    --------
    >>> "not done" in render_page(RunValues("run"), [])
    True
    """
    packed_maps, n_maps_left_out = pack_maps(values)
    heavy = Heavy(
        [_shown(one) for one in figures],
        long_tables(values),
        packed_maps,
        None if values.clip is None else pack_clip(values.clip),
    )
    page = ""
    for n_left_out in range(len(GIVING_WAY) + 1):
        fitted = fit_to_page(values, heavy, n_left_out)
        page = _render(values, fitted, n_maps_left_out)
        if len(page.encode()) <= LARGEST_PAGE:
            break
    return page


def _render(values: RunValues, fitted: Fitted, n_maps_left_out: int) -> str:
    slots = slots_of(values)
    heavy = fitted.heavy
    # That mice are simulated stands above everything already.
    warnings = [one for one in warnings_of(values) if one != SIMULATED]
    return render(
        "report.html",
        name=values.name,
        simulated=SIMULATED if values.is_simulated else "",
        warnings=[*warnings, *fitted.words],
        headline=headline(values),
        headline_condition=headline_condition(values),
        answers=answer_questions(values),
        overview=overview(values),
        conditions=condition_rows(values),
        tables=heavy.tables,
        figures={
            section: [one for one in heavy.figures if one["section"] == section]
            for section in ("scores", "sessions", "maps")
        },
        evidence=[slots[name] for name in EVIDENCE],
        maps=[slots[name] for name in SHOWN_TABLES if name not in EVIDENCE],
        maps_packed=heavy.maps,
        n_maps_left_out=n_maps_left_out,
        traces=fitted.traces,
        n_without_room=fitted.n_without_room,
        clip=heavy.clip,
        clip_missing=values.clip_missing,
        draft=DRAFT,
        methods=methods_passages(values),
        provenance=list(_provenance(values.provenance)),
    )


def _shown(one: PageFigure) -> dict[str, str]:
    return {
        "section": one.section,
        "title": one.title,
        "caption": one.caption,
        "alt": one.alt,
        "source": data_address(one.figure),
    }


def _provenance(content: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for key, value in content.items():
        if key == "recordings":
            yield "recordings", f"{len(value)} (their hashes are in provenance.json)"
        elif isinstance(value, Mapping):
            yield key, ", ".join(f"{name} {one}" for name, one in value.items())
        else:
            yield key, str(value)
