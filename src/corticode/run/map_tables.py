"""The maps of a run in tables, and all maps of one name as one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.errors import DataError, MissingDataError, RunError
from corticode.evaluate.intervals import interval, rank_sum_test
from corticode.explain.importance_map import ImportanceMap
from corticode.explain.map_checks import (
    check_same_regions,
    check_share,
    compare_with_permuted,
    divide_by_spread,
)
from corticode.explain.masks import SquareGrid, cells_of_squares
from corticode.explain.occlusion_summary import (
    join_maps,
    map_of_occlusion,
    summarise_masks,
    summarise_squares,
)
from corticode.explain.settings import KINDS, OCCLUSION
from corticode.explain.stability import (
    TOP_REGIONS,
    DecoderMap,
    DecoderValues,
    Stability,
    compare_maps,
    compare_values,
)
from corticode.run.folder import MapResult, Run, read_csv, write_table
from corticode.run.maps import MapTask
from corticode.run.tables import TABLES

MAP_TABLES = tuple(name for name, table in TABLES.items() if table.is_of_maps)

Results = list[tuple[MapTask, MapResult]]


def write_map_tables(run: Run, tasks: Sequence[MapTask], results: Sequence[MapResult]) -> None:
    """Join the maps of each condition and name, and write what they say as tables.

    Parameters
    ----------
    run
        Where they are.
    tasks, results
        Every map of the study, and what is in its done.json.
    """
    groups: dict[tuple[str, str], Results] = {}
    for task, result in zip(tasks, results, strict=True):
        # What sets of regions decode alone is no map, and has a table of its own.
        if result.left_out is None and not task.settings.region_sets:
            key = task.fit.condition.name, task.settings.name
            groups.setdefault(key, []).append((task, result))
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in MAP_TABLES}
    for (condition, name), made in groups.items():
        first = {"condition": condition, "map": name, "kind": made[0][0].settings.kind}
        path = run.maps_folder(condition, name) / "map.npz"
        if made[0][0].settings.kind == OCCLUSION:
            sessions = [_sessions_of(task) for task, _ in made]
            grid = _grid_of(made)
            tables["occlusion"].append(_occlusion(first, made, sessions, grid, path))
            if len(made) > 1:
                tables["map_stability"].append(_stability_of_costs(first, made, sessions, grid))
            tables["map_deletion"] += [
                _deletion(first, task, found.deletion)
                for task, found in made
                if found.deletion is not None
            ]
            continue
        maps = [(task, load_map(task.folder)) for task, _ in made]
        joined = join_maps([(_name_of(task), task.fit.fold.test[0].animal, m) for task, m in maps])
        joined.save(path)
        if "region" in joined.axes:
            for table, found in _of_regions(first, joined, maps, made, tasks):
                tables[table].append(found)
    for name, parts in tables.items():
        if parts:
            write_table(run.table_path(name), pd.concat(parts, ignore_index=True))
        else:
            run.table_path(name).unlink(missing_ok=True)


def _of_regions(
    first: Mapping[str, str],
    joined: ImportanceMap,
    maps: Sequence[tuple[MapTask, ImportanceMap]],
    made: Results,
    tasks: Sequence[MapTask],
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every table of a map over regions, with its name."""
    yield "map_shares", pd.DataFrame(list(_shares(first, maps, made)))
    yield "map_regions", _by_item(first, joined, "region")
    yield "map_frames", _by_item(first, joined, "frame")
    permuted = _permuted_likes(made[0][0], tasks)
    checks = _checks(maps, made, [found for _, found in permuted])
    if permuted and not made[0][0].is_control:
        trained = [(task.fit.fold.test[0].animal, found) for task, found in maps]
        yield "map_permuted", pd.DataFrame({**first, **compare_with_permuted(trained, permuted)})
    if checks:
        yield "map_checks", pd.DataFrame([{**first, **check} for check in checks])
    if len(maps) > 1 and not made[0][0].is_control:
        yield "map_stability", _stability(first, maps)
    for task, result in made:
        if result.deletion is not None:
            yield "map_deletion", _deletion(first, task, result.deletion)
        if result.backgrounds:
            rows = [{**first, **row} for row in result.backgrounds]
            yield "map_backgrounds", pd.DataFrame(rows)


def _checks(
    maps: Sequence[tuple[MapTask, ImportanceMap]],
    made: Results,
    permuted: Sequence[ImportanceMap],
) -> list[dict[str, object]]:
    """First regions beside those of decoders that learnt nothing, two rows a control."""
    own = made[0][0]
    if not own.settings.n_random or not KINDS[own.settings.kind].is_checked:
        return []
    trained = [found for _, found in maps]
    drawn = [
        ImportanceMap("deep-shap", "share", ("region",), np.array(shares), names=trained[0].names)
        for _, result in made
        for shares in result.random_shares or ()
    ]
    rows: list[dict[str, object]] = []
    for control, others in (("random weights", drawn), ("permuted labels", permuted)):
        here, there = ([m.top_share(TOP_REGIONS) for m in one] for one in (trained, others))
        peaked = check_share(here, there, control)
        same = check_same_regions(trained, others, control)
        rows.append(asdict(peaked) | {"regions": "each decoder's own first"})
        rows.append(asdict(same) | {"regions": "the trained map's first"})
    return rows


def _permuted_likes(own: MapTask, tasks: Sequence[MapTask]) -> list[tuple[str, ImportanceMap]]:
    """Test animal and map of each decoder that differs from a map's in permuted labels alone."""
    plain = replace(own.fit.condition, name="", permute_labels=None, keep_train=False)
    return [
        (task.fit.fold.test[0].animal, load_map(task.folder))
        for task in tasks
        if task.is_control
        and task.settings.name == own.settings.name
        and replace(task.fit.condition, name="", permute_labels=None, keep_train=False) == plain
        and (task.folder / "map.npz").exists()
    ]


def _stability(
    first: Mapping[str, str], maps: Sequence[tuple[MapTask, ImportanceMap]]
) -> pd.DataFrame:
    """How far the maps of decoders agree, a row for what differs between them."""
    return _stability_rows(
        first,
        compare_maps(
            [
                DecoderMap(task.fit.fold.name, task.fit.fold.test[0].animal, task.fit.seed, one)
                for task, one in maps
            ]
        ),
    )


def _stability_of_costs(
    first: Mapping[str, str],
    made: Results,
    sessions: Sequence[pd.DataFrame],
    grid: SquareGrid | None,
) -> pd.DataFrame:
    """How far decoders agree in what covering costs them, cell by cell or mask by mask."""
    decoders = []
    for (task, _), table in zip(made, sessions, strict=True):
        costs = table.groupby("mask", sort=False)["score"].mean().to_numpy(np.float64)
        if grid is not None:
            costs = cells_of_squares(costs, grid).ravel()
        decoders.append(
            DecoderValues(task.fit.fold.name, task.fit.fold.test[0].animal, task.fit.seed, costs)
        )
    parts = "masks" if grid is None else "cells"
    return _stability_rows(
        first, compare_values(decoders, what=f"costs of covering {parts}", parts=parts)
    )


def _stability_rows(first: Mapping[str, str], found: Stability) -> pd.DataFrame:
    return pd.DataFrame(
        [{**first, **row, "words": found.words} for row in found.table.to_dict("records")]
    )


def _deletion(first: Mapping[str, str], task: MapTask, areas: Mapping[str, float]) -> pd.DataFrame:
    """The curves of one decoder."""
    table = pd.read_csv(task.folder / "deletion.csv")
    named = {
        **first,
        "fold": task.fit.fold.name,
        "test_animal": task.fit.fold.test[0].animal,
        "seed": task.fit.seed,
    }
    return pd.DataFrame({**named, **areas}, index=table.index).join(table)


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
    return f"{task.fit.fold.name}, seed {task.fit.seed}"


def _shares(
    first: Mapping[str, str], maps: Sequence[tuple[MapTask, ImportanceMap]], made: Results
) -> Iterator[dict[str, object]]:
    """A row a decoder and region: its share of the total, as it is and by its input's SD."""
    for (task, found), (_, result) in zip(maps, made, strict=True):
        spread = np.array(result.input_sd)
        by_spread = divide_by_spread(found, spread).by_region()
        named = {
            **first,
            "fold": task.fit.fold.name,
            "test_animal": task.fit.fold.test[0].animal,
            "seed": task.fit.seed,
        }
        columns = {"share": found.by_region(), "input_sd": spread, "share_per_sd": by_spread}
        for k, region in enumerate(found.names):
            yield named | {"region": region} | {name: part[k] for name, part in columns.items()}


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


def _sessions_of(task: MapTask) -> pd.DataFrame:
    """What covering costs in each session of a finished map."""
    return read_csv(task.folder / "occlusion_sessions.csv")


def _grid_of(made: Results) -> SquareGrid | None:
    """The squares that were covered; None where it was something else."""
    shape = made[0][1].details["image_shape"]
    is_over_squares = shape is not None and made[0][0].settings.masks in (None, "squares")
    return SquareGrid(tuple(shape)) if is_over_squares else None


def _occlusion(
    first: Mapping[str, str],
    made: Results,
    sessions: Sequence[pd.DataFrame],
    grid: SquareGrid | None,
    path: Path,
) -> pd.DataFrame:
    """What covering costs over animals, a row a cell or mask; the map is saved."""
    details = made[0][1].details
    summary = summarise_masks(sessions) if grid is None else summarise_squares(sessions, grid)
    if grid is not None or details["image_shape"] is None:
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
            "thinning_se": summary.thinning_se.ravel(),
            "outside_brain": summary.outside_brain.ravel(),
        }
        | ({} if grid is not None else _pooled(made, summary.items, details["metric"]))
    )


def _pooled(made: Results, masks: Sequence[str], metric: str) -> dict[str, object]:
    """Scores pooled over a split's windows, whole and with each mask covered, and their rank sum.

    S3 Fig. of the 2024 study tests both over splits, which share animals.
    """
    pooled = pd.concat([read_csv(task.folder / "occlusion_pooled.csv") for task, _ in made])
    by_mask = [pooled[pooled["mask"] == mask] for mask in masks]
    whole, covered = (
        [rows[name].to_numpy(np.float64) for rows in by_mask]
        for name in (metric, f"{metric}_covered")
    )
    return {
        "pooled_whole": [values.mean() for values in whole],
        "sd_whole": [_sd(values) for values in whole],
        "pooled_covered": [values.mean() for values in covered],
        "sd_covered": [_sd(values) for values in covered],
        "n_splits": [values.size for values in whole],
        "p_splits": [rank_sum_test(a, b) for a, b in zip(whole, covered, strict=True)],
    }


def _sd(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if values.size > 1 else float("nan")
