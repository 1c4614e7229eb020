"""The one page of a run: everything a reader asks, in order; its tables, and what fits on it."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from corticode.evaluate.intervals import score_interval
from corticode.evaluate.scores import SKILL
from corticode.report.canvas import Figure, in_order, picture
from corticode.report.headline import (
    CHANCE,
    METRICS,
    SIMULATED,
    animal_skills,
    conditions_in_order,
    headline,
    warnings_of,
)
from corticode.report.methods import DRAFT, methods_passages
from corticode.report.page_figures import PageFigure
from corticode.report.questions import answer_questions, detection_passages
from corticode.report.values import (
    RunValues,
    counted_by,
    headline_condition,
    is_permuted,
    sessions_tested,
)
from corticode.report.viewers import LARGEST as LARGEST_TRACES
from corticode.report.viewers import pack_clip, pack_maps, pack_traces
from corticode.run.tables import SHOWN

# Of each long table; the rest stands in the CSV file, and the page says so.
MOST_ROWS = 20_000
P_VALUES = ("p", "p_holm", "smallest_p", "p_splits_holm")
EVIDENCE = ("trial_time", "comparisons", "nulls", "variance_shares", "confounds")
LARGEST_PAGE = 15_000_000
# Pictures of figures, as text; and what is kept for words and tables.
LARGEST_FIGURES, OWN_TEXT = 6_000_000, 2_000_000
# What is left out in turn while a page is too large.
GIVING_WAY = ("traces", "clip", "tables", "figures")
LEFT_OUT = {
    "traces": "the viewer's sessions (they are in predictions.npz of each fit)",
    "clip": "the minute of the movie (it is in the recordings)",
    "tables": "the tables by animal and by session (they are in animal_scores.csv and "
    "session_scores.csv)",
    "figures": "all figures ('corticode report RUN --figures png' writes them)",
}


def overview(values: RunValues) -> list[dict[str, Any]]:
    """One row an animal: sessions, frames, labels, bouts.

    Examples
    --------
    >>> overview(RunValues("run"))
    []
    """
    table = values.table("session_scores")
    name = headline_condition(values)
    if table.empty or name is None:
        return []
    own = sessions_tested(table, name)
    counted = counted_by(own)
    bouts = [column for column in own if str(column).startswith(counted)]
    rows = []
    for animal, sessions in own.groupby("animal", sort=False):
        counts = sessions[bouts].dropna(axis="columns", how="all").sum()
        rows.append(
            {
                "animal": animal,
                "n_sessions": len(sessions),
                "n_windows": f"{int(sessions['n_windows'].sum()):,}",
                "base_rate": _number(sessions["base_rate"].mean(), 2),
                "bouts": ", ".join(
                    f"{str(column).removeprefix(counted)}: {int(n)}" for column, n in counts.items()
                ),
                "n_blank": int((sessions["blank_because"].fillna("") != "").sum()),
            }
        )
    return rows


def condition_rows(values: RunValues) -> list[dict[str, Any]]:
    """One row a condition, with a dot an animal."""
    scores = values.table("animal_scores")
    by_condition = dict(list(scores.groupby("condition", sort=False))) if len(scores) else {}
    rows = []
    colours = (
        {name: k % 8 for k, name in enumerate(in_order(scores["animal"]))} if len(scores) else {}
    )
    for condition in conditions_in_order(values):
        own = by_condition[condition["name"]]
        metric = str(own["metric"].iloc[0])
        known = own.dropna(subset=["value"])
        over = score_interval(known["value"].to_numpy(), metric)
        low = min(CHANCE.get(metric, 0.0) - 0.1, known["value"].min() if len(known) else 0.0)
        rows.append(
            {
                "name": condition["name"],
                "is_control": is_permuted(condition),
                "metric": METRICS.get(metric, metric),
                "mean": _number(over.mean),
                "low": _number(over.low),
                "high": _number(over.high),
                "n_animals": over.n,
                "skill": _number(animal_skills(values, str(condition["name"])).mean()),
                "chance": _place(CHANCE.get(metric, 0.0), low),
                "dots": [
                    {
                        "x": _place(value, low),
                        "k": colours[animal],
                        "title": f"{animal}: {value:.3f}",
                    }
                    for animal, value in zip(known["animal"], known["value"], strict=True)
                ],
            }
        )
    return rows


def _place(value: float, low: float) -> float:
    """Where a score stands on a line of 200 units from `low` to 1."""
    return round(float(4 + 192 * (value - low) / max(1 - low, 1e-9)), 1)


def long_tables(values: RunValues) -> list[dict[str, Any]]:
    """Tables that the page sorts and filters itself: animals and sessions."""
    animals = values.table("animal_scores")
    sessions = values.table("session_scores")
    found = []
    if not animals.empty:
        columns = ["condition", "animal", "metric", "value", "sd_decoders", "n_decoders"]
        found.append(
            _long(
                "animals",
                "By animal",
                animals,
                [*columns, "n_sessions", "n_bouts", "n_trials", SKILL],
            )
        )
    if not sessions.empty:
        keys = ["condition", "animal", "session"]
        numbers = ["base_rate", "auc", "average_precision", "balanced_accuracy", "brier", "r2"]
        numbers = [name for name in [*numbers, SKILL, "pearson_r"] if name in sessions]
        grouped = sessions.groupby(keys, sort=False)
        means = grouped[numbers].mean().dropna(axis="columns", how="all")
        means["blank_because"] = grouped["blank_because"].first()
        means = means.reset_index()
        found.append(_long("sessions", "By session (mean over decoders)", means, [*means.columns]))
    return found


def _long(name: str, title: str, table: pd.DataFrame, columns: list[str]) -> dict[str, Any]:
    kept = table[[column for column in columns if column in table]].head(MOST_ROWS)
    return {
        "name": name,
        "title": title,
        "columns": list(kept.columns),
        "rows": [[_plain(cell) for cell in row] for row in kept.itertuples(index=False)],
        "n_all": len(table),
    }


def _slots_of(values: RunValues) -> dict[str, dict[str, Any]]:
    """Tables that a study may or may not ask for, by name; without rows where it did not.

    Examples
    --------
    >>> _slots_of(RunValues("run"))["nulls"]["rows"]
    []
    """
    slots = {}
    for name, one in SHOWN.items():
        title, way, columns = one.title, one.way, one.shown.split()
        table = values.table(name)
        shown = [column for column in columns if column in table]
        shares = [column for column in shown if column.startswith("share_")]
        if shares:
            # With one decoder an animal there is nothing to divide.
            table = table.dropna(subset=shares, how="all")
        slots[name] = {
            "name": name,
            "title": title,
            "way": way,
            "columns": shown,
            "is_number": [table[one].dtype.kind in "if" for one in shown],
            "rows": []
            if table.empty
            else [
                [_cell(cell, column) for cell, column in zip(row, shown, strict=True)]
                for row in table[shown].head(200).to_numpy()
            ],
            "n_all": len(table),
        }
    return slots


def _cell(cell: Any, column: str) -> str:
    if isinstance(cell, bool | np.bool_ | str):
        return str(cell)
    if isinstance(cell, int | np.integer):
        return str(cell)
    # No p is 0, and none is shown as 0.
    if column in P_VALUES and float(cell) < 0.0001:
        return "< 0.0001"
    return _number(float(cell), 4)


def _plain(cell: Any) -> Any:
    """A cell as JSON holds it; None where it is not a number."""
    if isinstance(cell, str):
        return cell
    number = float(cell)
    return round(number, 4) if np.isfinite(number) else None


def _number(value: float, digits: int = 3) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.{digits}f}"


@dataclass(frozen=True)
class PageParts:
    """The parts of a page that take room.

    Parameters
    ----------
    figures
        Title, caption, alt, section and source (a data address) of each.
    tables
        Tables that the page sorts itself.
    maps
        As from `corticode.report.viewers.pack_maps`.
    clip
        As from `corticode.report.viewers.pack_clip`; None: none.
    """

    figures: Sequence[dict[str, str]]
    tables: Sequence[dict[str, Any]]
    maps: dict[str, Any]
    clip: dict[str, Any] | None


@dataclass(frozen=True)
class FittedPage:
    """The same, as much of it as has room, and what has none in words.

    Parameters
    ----------
    parts
        What is shown.
    traces
        Sessions of the viewer.
    n_without_room
        How many more there are.
    words
        What was left out of the page; empty where nothing was.
    """

    parts: PageParts
    traces: list[dict[str, Any]]
    n_without_room: int
    words: list[str]


def fit_page(values: RunValues, parts: PageParts, n_left_out: int = 0) -> FittedPage:
    """What has room on a page: figures first, then the movie, then as many sessions as fit.

    Parameters
    ----------
    values
        Whose sessions are shown.
    parts
        Everything else that takes room.
    n_left_out
        How many kinds of parts are left out altogether, the first of `GIVING_WAY` first, because
        the page was too large with them.
    """
    gone = GIVING_WAY[:n_left_out]
    words = [f"this page would have passed 15 MB and lacks {LEFT_OUT[name]}" for name in gone]
    figures = [] if "figures" in gone else list(_within(parts.figures))
    n_figures = len(parts.figures) - len(figures)
    if n_figures and "figures" not in gone:
        words.append(
            f"the last {n_figures} figures have no room on this page: 'corticode report RUN "
            "--figures png' writes them"
        )
    kept = PageParts(
        figures,
        [] if "tables" in gone else parts.tables,
        parts.maps,
        None if "clip" in gone else parts.clip,
    )
    taken = OWN_TEXT + sum(len(one["source"]) for one in figures)
    taken += sum(len(json.dumps(part)) for part in (kept.tables, kept.maps, kept.clip))
    room = 0 if "traces" in gone else min(LARGEST_TRACES, LARGEST_PAGE - taken)
    traces, n_without = pack_traces(values.traces, max(room, 0))
    return FittedPage(kept, traces, n_without, words)


def _within(figures: Sequence[dict[str, str]]) -> Sequence[dict[str, str]]:
    total = 0
    for k, one in enumerate(figures):
        total += len(one["source"])
        if total > LARGEST_FIGURES:
            return figures[:k]
    return figures


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("corticode.report"),
        # Always, not by file name: a template that is included is escaped like all others.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """A template filled with values, all of them escaped.

    Examples
    --------
    >>> "&lt;b&gt;" in render("figure.html", figure={"title": "<b>", "source": "", "alt": "",
    ...     "caption": ""})
    True
    """
    return _environment().get_template(template).render(**values)


def data_address(figure: Figure) -> str:
    """A figure as the address of an image that holds itself, for ``<img src>``."""
    return "data:image/png;base64," + base64.b64encode(picture(figure)).decode("ascii")


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
    parts = PageParts(
        [_shown(one) for one in figures],
        long_tables(values),
        packed_maps,
        None if values.clip is None else pack_clip(values.clip),
    )
    page = ""
    for n_left_out in range(len(GIVING_WAY) + 1):
        fitted = fit_page(values, parts, n_left_out)
        page = _render(values, fitted, n_maps_left_out)
        if len(page.encode()) <= LARGEST_PAGE:
            break
    return page


def _render(values: RunValues, fitted: FittedPage, n_maps_left_out: int) -> str:
    slots = _slots_of(values)
    parts = fitted.parts
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
        counted=counted_by(values.table("session_scores")).split("_")[1],
        conditions=condition_rows(values),
        detection=detection_passages(values),
        tables=parts.tables,
        figures={
            section: [one for one in parts.figures if one["section"] == section]
            for section in ("scores", "sessions", "detection", "evidence", "maps")
        },
        evidence=[slots[name] for name in EVIDENCE],
        maps=[slots[name] for name in SHOWN if name not in EVIDENCE],
        maps_packed=parts.maps,
        n_maps_left_out=n_maps_left_out,
        traces=fitted.traces,
        n_without_room=fitted.n_without_room,
        clip=parts.clip,
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
        elif key in ("recordings_by_samples", "keys", "histories"):
            continue
        elif key == "known_by_samples":
            if value:
                yield (
                    "older fits",
                    f"kept from a version that looked at samples of files: {len(value)} files were "
                    "not written to since",
                )
        elif isinstance(value, Mapping):
            yield key, ", ".join(f"{name} {one}" for name, one in value.items())
        else:
            yield key, str(value)
