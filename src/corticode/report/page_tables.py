"""The tables of a page: by condition, animal and session, and those that a study may ask for."""

from typing import Any

import numpy as np
import pandas as pd

from corticode.evaluate.intervals import interval
from corticode.report.canvas import in_order
from corticode.report.headline import CHANCE, METRICS, conditions_in_order
from corticode.report.page_values import RunValues, headline_condition, is_permuted

# Of each long table; the rest stands in the CSV file, and the page says so.
MOST_ROWS = 20_000
P_VALUES = ("p", "p_holm", "smallest_p")
EVIDENCE = ("comparisons", "nulls", "variance_shares", "artefacts")
SHOWN_TABLES = {
    "comparisons": (
        "Comparisons",
        "no conditions are set against each other",
        "comparison condition_a condition_b method unit n effect low high p p_holm "
        "same_direction disagrees note",
    ),
    "artefacts": (
        "Is it cortex?",
        "name conditions under [[artefacts]] of the study file",
        "condition input metric mean low high n_animals verdict",
    ),
    "nulls": (
        "Each animal against its own labels in other orders",
        "it takes a target of two classes",
        "condition animal value chance n_sessions exchanged n_orders p smallest_p note",
    ),
    "variance_shares": (
        "What the spread over decoders comes from",
        "it takes several folds or seeds that test each animal",
        "condition metric n_animals n_splits n_seeds share_test_animal share_training_set "
        "share_seed",
    ),
    "region_sets": (
        "Needed, and enough?",
        "name sets of regions under [[region_set]] of the study file",
        "condition set value_all value_without value_only needed enough percentile words "
        "linear_words",
    ),
    "map_regions": (
        "Regions of the maps",
        "ask for maps with [[map]] in the study file",
        "condition map rank region share low high n_animals",
    ),
    "map_checks": (
        "Checks of the maps",
        "they come with maps by Deep SHAP",
        "condition map control regions trained limit passed words",
    ),
    "map_backgrounds": (
        "How the maps settle with their background",
        "it comes with maps by Deep SHAP",
        "condition map n_background largest_change region top_share rank_correlation words",
    ),
    "map_stability": (
        "Agreement of the maps",
        "it comes with maps of several decoders",
        "condition map differs n_pairs rank_correlation shared_top words",
    ),
    "occlusion": (
        "What covering costs",
        "ask for maps of kind occlusion with [[map]] in the study file",
        "condition map mask metric score low high p n_animals",
    ),
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
    own = table[table["condition"] == name].drop_duplicates(["animal", "session"])
    bouts = [column for column in own if str(column).startswith("n_bouts_")]
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
                    f"{str(column).removeprefix('n_bouts_')}: {int(n)}"
                    for column, n in counts.items()
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
        over = interval(known["value"].to_numpy())
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
        found.append(_long("animals", "By animal", animals, [*columns, "n_sessions", "n_bouts"]))
    if not sessions.empty:
        keys = ["condition", "animal", "session"]
        numbers = ["base_rate", "auc", "average_precision", "balanced_accuracy", "brier", "r2"]
        numbers = [name for name in [*numbers, "pearson_r"] if name in sessions]
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


def slots_of(values: RunValues) -> dict[str, dict[str, Any]]:
    """Tables that a study may or may not ask for, by name; without rows where it did not.

    Examples
    --------
    >>> slots_of(RunValues("run"))["nulls"]["rows"]
    []
    """
    slots = {}
    for name, (title, way, columns) in SHOWN_TABLES.items():
        table = values.table(name)
        shown = [column for column in columns.split() if column in table]
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
