"""``methods.md`` and ``published.csv`` of a run, from its folder alone."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from corticode.data.files import write_text
from corticode.evaluate.published import differing_settings, identify_data, set_beside_published
from corticode.report.methods import methods_text
from corticode.report.page_values import RunValues
from corticode.report.read_run import read_run
from corticode.run.folder import Run, write_table
from corticode.study.shipped import open_study

# The study that holds the published conditions under their published names.
PUBLISHED_STUDY = "paper-code"


def write_texts(folder: Path, values: RunValues | None = None) -> None:
    """Write ``methods.md`` into a run folder, and ``published.csv`` where names are published ones.

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
    write_text(run.folder / "methods.md", methods_text(values))
    table = beside_published(values)
    if table.empty:
        run.table_path("published").unlink(missing_ok=True)
    else:
        write_table(run.table_path("published"), table)


def beside_published(values: RunValues) -> pd.DataFrame:
    """The table of ``published.csv``; no row where no condition is called as a published one.

    Examples
    --------
    >>> len(beside_published(RunValues("run")))
    0
    """
    identity = identify_data(
        values.table("session_scores"), values.conditions, is_simulated=values.is_simulated
    )
    known = published_conditions()
    own = {str(one["name"]): one for one in values.conditions if len(one) > 1}
    differing = {
        name: differing_settings(one, known[name]) for name, one in own.items() if name in known
    }
    return set_beside_published(values.table("scores"), identity, differing)


@cache
def published_conditions() -> Mapping[str, Mapping[str, Any]]:
    """The resolved settings of each published condition, by its name.

    Examples
    --------
    >>> published_conditions()["gru"]["window"]
    {'before': 15, 'after': 15, 'shift': 0}
    """
    found: dict[str, Mapping[str, Any]] = {}
    for keys in open_study(PUBLISHED_STUDY, Path("sessions.csv")).conditions:
        found[keys.name] = keys.model_dump(exclude_none=True, by_alias=True)
    return found
