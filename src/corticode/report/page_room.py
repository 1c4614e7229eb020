"""What fits on a page that is sent by mail: 15 MB, and what gives way first."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from corticode.report.page_values import RunValues
from corticode.report.viewer import LARGEST as LARGEST_TRACES
from corticode.report.viewer import pack_traces

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


@dataclass(frozen=True)
class Heavy:
    """The parts of a page that take room.

    Parameters
    ----------
    figures
        Title, caption, alt, section and source (a data address) of each.
    tables
        Tables that the page sorts itself.
    maps
        As from `corticode.report.map_viewer.pack_maps`.
    clip
        As from `corticode.report.movie_player.pack_clip`; None: none.
    """

    figures: Sequence[dict[str, str]]
    tables: Sequence[dict[str, Any]]
    maps: dict[str, Any]
    clip: dict[str, Any] | None


@dataclass(frozen=True)
class Fitted:
    """The same, as much of it as has room, and what has none in words.

    Parameters
    ----------
    heavy
        What is shown.
    traces
        Sessions of the viewer.
    n_without_room
        How many more there are.
    words
        What was left out of the page; empty where nothing was.
    """

    heavy: Heavy
    traces: list[dict[str, Any]]
    n_without_room: int
    words: list[str]


def fit_to_page(values: RunValues, heavy: Heavy, n_left_out: int = 0) -> Fitted:
    """What has room on a page: figures first, then the movie, then as many sessions as fit.

    Parameters
    ----------
    values
        Whose sessions are shown.
    heavy
        Everything else that takes room.
    n_left_out
        How many kinds of parts are left out altogether, the first of `GIVING_WAY` first, because
        the page was too large with them.
    """
    gone = GIVING_WAY[:n_left_out]
    words = [f"this page would have passed 15 MB and lacks {LEFT_OUT[name]}" for name in gone]
    figures = [] if "figures" in gone else list(_within(heavy.figures))
    n_figures = len(heavy.figures) - len(figures)
    if n_figures and "figures" not in gone:
        words.append(
            f"the last {n_figures} figures have no room on this page: 'corticode report RUN "
            "--figures png' writes them"
        )
    kept = Heavy(
        figures,
        [] if "tables" in gone else heavy.tables,
        heavy.maps,
        None if "clip" in gone else heavy.clip,
    )
    taken = OWN_TEXT + sum(len(one["source"]) for one in figures)
    taken += sum(len(json.dumps(part)) for part in (kept.tables, kept.maps, kept.clip))
    room = 0 if "traces" in gone else min(LARGEST_TRACES, LARGEST_PAGE - taken)
    traces, n_without = pack_traces(values.traces, max(room, 0))
    return Fitted(kept, traces, n_without, words)


def _within(figures: Sequence[dict[str, str]]) -> Sequence[dict[str, str]]:
    total = 0
    for k, one in enumerate(figures):
        total += len(one["source"])
        if total > LARGEST_FIGURES:
            return figures[:k]
    return figures
