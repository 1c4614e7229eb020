"""The maps of a run in tables, and all maps of one name as one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from corticode.errors import DataError, MissingDataError, RunError
from corticode.evaluate.intervals import interval
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.joined_map import join_maps, map_of_occlusion
from corticode.explain.masks import SquareGrid
from corticode.explain.occlusion_summary import summarise_masks, summarise_squares
from corticode.explain.random_decoders import TOP_REGIONS, check_share
from corticode.maps import MapTask
from corticode.runs import Run, write_table

MAP_TABLES = ("map_shares", "map_regions", "map_frames", "map_checks", "occlusion")

Results = list[tuple[MapTask, Mapping[str, Any]]]


def write_map_tables(
    run: Run, tasks: Sequence[MapTask], results: Sequence[Mapping[str, Any]]
) -> None:
    """Join the maps of each condition and name, and write what they say as tables.

    Parameters
    ----------
    run
        Where they are.
    tasks, results
        Every map of the study, and what is in its done.json.
    """
    groups: dict[tuple[str, str], Results] = {}
    for task, content in zip(tasks, results, strict=True):
        if "left_out" not in content:
            key = task.condition.name, task.settings.name
            groups.setdefault(key, []).append((task, content))
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in MAP_TABLES}
    for (condition, name), made in groups.items():
        first = {"condition": condition, "map": name, "kind": made[0][0].settings.kind}
        path = run.maps_folder(condition, name) / "map.npz"
        if made[0][0].settings.kind == "occlusion":
            tables["occlusion"].append(_occlusion(first, made, path))
            continue
        maps = [(task, load_map(task.folder)) for task, _ in made]
        joined = join_maps([(_name_of(task), task.fold.test[0].animal, m) for task, m in maps])
        joined.save(path)
        if "region" in joined.axes:
            tables["map_shares"].append(pd.DataFrame(list(_shares(first, maps))))
            tables["map_regions"].append(_by_item(first, joined, "region"))
            tables["map_frames"].append(_by_item(first, joined, "frame"))
            checks = _checks(maps, made, tasks)
            if checks:
                tables["map_checks"].append(pd.DataFrame([first | check for check in checks]))
    for name, parts in tables.items():
        if parts:
            write_table(run.table_path(name), pd.concat(parts, ignore_index=True))
        else:
            run.table_path(name).unlink(missing_ok=True)


def _checks(
    maps: Sequence[tuple[MapTask, ImportanceMap]], made: Results, tasks: Sequence[MapTask]
) -> list[dict[str, object]]:
    """The share of the first regions beside decoders that learnt nothing, a row a control."""
    own = made[0][0]
    if not own.settings.n_random or own.settings.kind != "deep-shap":
        return []
    trained = [found.top_share(TOP_REGIONS) for _, found in maps]
    drawn = [share for _, content in made for share in content["random_shares"]]
    plain = replace(own.condition, name="", permute_labels=None)
    permuted = [
        load_map(task.folder).top_share(TOP_REGIONS)
        for task in tasks
        if task.is_control
        and task.settings.name == own.settings.name
        and replace(task.condition, name="", permute_labels=None) == plain
        and (task.folder / "map.npz").exists()
    ]
    controls = {"random weights": drawn, "permuted labels": permuted}
    return [asdict(check_share(trained, others, name)) for name, others in controls.items()]


def load_map(folder: Path) -> ImportanceMap:
    """The map in a finished task's folder.

    Raises
    ------
    RunError
        It is gone or damaged.
    """
    try:
        return ImportanceMap.load(folder / "map.npz")
    except (MissingDataError, DataError) as error:
        raise RunError(
            f"{folder / 'map.npz'} is missing or damaged; delete the folder {folder} and run the "
            "same command again: only this map is made again"
        ) from error


def _name_of(task: MapTask) -> str:
    return f"{task.fold.name}, seed {task.seed}"


def _shares(
    first: Mapping[str, str], maps: Sequence[tuple[MapTask, ImportanceMap]]
) -> Iterator[dict[str, object]]:
    """A row a decoder and region: its share of the total."""
    for task, found in maps:
        named = {
            **first,
            "fold": task.fold.name,
            "test_animal": task.fold.test[0].animal,
            "seed": task.seed,
        }
        for region, share in zip(found.names, found.by_region(), strict=True):
            yield named | {"region": region, "share": share}


def _by_item(first: Mapping[str, str], joined: ImportanceMap, axis: str) -> pd.DataFrame:
    """Shares of regions or frames over animals, with the t interval, the largest first."""
    others = tuple(k for k, name in enumerate(joined.axes) if name != axis)
    shares = np.array([part.absolute.sum(axis=others) for part in joined.by_animal])
    items: Sequence[object] = joined.names if axis == "region" else joined.frames
    rows: list[dict[str, object]] = []
    for item, values in zip(items, shares.T, strict=True):
        found = interval(values)
        row = {axis: item, "share": found.mean, "low": found.low, "high": found.high}
        if axis == "frame" and joined.frame_rate_hz:
            row["time_s"] = joined.frames[len(rows)] / joined.frame_rate_hz
        rows.append({**first, **row, "n_animals": len(values)})
    table = pd.DataFrame(rows)
    if axis == "frame":
        return table
    table = table.sort_values("share", ascending=False, kind="stable", ignore_index=True)
    table.insert(4, "rank", np.arange(1, len(table) + 1))
    return table


def _occlusion(first: Mapping[str, str], made: Results, path: Path) -> pd.DataFrame:
    """What covering costs over animals, a row a cell or mask; the map is saved."""
    sessions = [
        pd.read_csv(task.folder / "occlusion_sessions.csv", dtype={"animal": str, "session": str})
        for task, _ in made
    ]
    details = made[0][1]["details"]
    task = made[0][0]
    shape = details["image_shape"]
    over_squares = shape is not None and task.settings.masks in (None, "squares")
    grid = SquareGrid(tuple(shape)) if over_squares else None
    summary = summarise_masks(sessions) if grid is None else summarise_squares(sessions, grid)
    if grid is not None or shape is None:
        joined = map_of_occlusion(summary, metric=details["metric"], names=summary.items, grid=grid)
        joined.save(path)
    return pd.DataFrame(
        {
            **first,
            "mask": summary.items,
            "metric": details["metric"],
            "score": summary.mean.ravel(),
            "low": summary.low.ravel(),
            "high": summary.high.ravel(),
            "p": summary.p.ravel(),
            "smallest_p": summary.smallest_p,
            "n_animals": len(summary.animals),
            "note": summary.note,
        }
    )
