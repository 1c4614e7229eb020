"""A run as files for MATLAB or R: predictions, scores, tables and maps as CSV or MAT."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.io import savemat

from corticode.data.files import filling, holds_files, write_bytes, write_with
from corticode.decode.predictions import PART_NAMES, Predictions, join
from corticode.errors import CorticodeError, DataError, MissingDataError, RunError, StudyError
from corticode.explain.importance_map import PARTS, ImportanceMap
from corticode.report.read_run import read_run
from corticode.report.values import RunValues
from corticode.run.folder import Run, slug, without_formulas, write_table

LONGEST_NAME = 63
# A variable of a MAT file of version 5 must be smaller than this.
MOST_BYTES = 2**31
# What a cell of a cell array takes beside its characters: tags, flags, sizes, name.
CELL_BYTES = 56
# What the file is written with: two bytes a character are stored at most, three in UTF-8.
CHARACTER_BYTES = 3
# `iskeyword` of MATLAB; a field may not be called so.
KEYWORDS = re.compile(
    r"break|case|catch|classdef|continue|else|elseif|end|for|function|global|if|otherwise|parfor|"
    r"persistent|return|spmd|switch|try|while"
)
FORMATS = ("csv", "mat")
AS_THEY_ARE = ("study.toml", "provenance.json", "methods.md")
DIGITS = "%.9g"


def matlab_names(names: Iterable[str]) -> dict[str, str]:
    """A name that MATLAB accepts for each name: letters first, 63 characters, no two alike.

    Examples
    --------
    >>> matlab_names(["auc", "n_bouts_näch st", "2nd", "end", "a b", "a_b"])
    {'auc': 'auc', 'n_bouts_näch st': 'n_bouts_n_ch_st', '2nd': 'x2nd', 'end': 'x_end', \
'a b': 'a_b_1', 'a_b': 'a_b'}
    """
    names = list(dict.fromkeys(names))
    legible = {name: _legible(name) for name in names}
    # Names that are accepted as they are keep theirs, whatever stands before them.
    taken = {name for name in names if legible[name] == name}
    found = {}
    for name in names:
        found[name] = name if name in taken else _unlike(legible[name], taken)
        taken.add(found[name])
    return found


def _legible(name: str) -> str:
    found = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not re.match(r"[A-Za-z]", found):
        found = f"x{found}"
    if KEYWORDS.fullmatch(found):
        found = f"x_{found}"
    return found[:LONGEST_NAME]


def _unlike(name: str, taken: set[str]) -> str:
    """A name like this one that is not taken; its number lies within the 63 characters."""
    number, found = 0, name
    while found in taken:
        number += 1
        end = f"_{number}"
        found = name[: LONGEST_NAME - len(end)] + end
    return found


def matlab_struct(table: pd.DataFrame) -> dict[str, Any]:
    """A table as a struct of columns: numbers (n x 1, NaN where there is none), or cells of text.

    Columns whose names MATLAB does not take are renamed; the field ``column_names`` holds all of
    them as they were, in the order of the fields.

    Examples
    --------
    >>> found = matlab_struct(pd.DataFrame({"animal": ["m1", "m2"], "auc": [0.9, None]}))
    >>> found["auc"].shape, found["animal"][1, 0], list(found)
    ((2, 1), 'm2', ['animal', 'auc', 'column_names'])
    """
    names = matlab_names(map(str, table.columns))
    columns = {names[str(name)]: _matlab_column(table[name]) for name in table.columns}
    last = _unlike("column_names", set(columns))
    return columns | {last: matlab_cells(map(str, table.columns))}


def _matlab_column(values: pd.Series) -> NDArray[Any]:
    """One column, shape (n, 1): logical, double (NaN where there is no value) or cells of text."""
    if pd.api.types.is_bool_dtype(values.dtype) and not values.isna().any():
        return values.to_numpy(dtype=bool)[:, None]
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)[:, None]
    return matlab_cells("" if pd.isna(value) else str(value) for value in values)


def matlab_cells(texts: Iterable[str]) -> NDArray[np.object_]:
    """Texts as a column of cells (cellstr), shape (n, 1)."""
    found = list(texts)
    cells = np.empty((len(found), 1), dtype=object)
    cells[:, 0] = found
    return cells


def write_mat(path: Path, variables: Mapping[str, Any]) -> None:
    """Write variables as a MAT file of version 5, compressed, whole or not at all.

    Parameters
    ----------
    path
        The file.
    variables
        By name: arrays, texts, cells, and structs of them as mappings.

    Raises
    ------
    DataError
        A name that MATLAB does not take, or a variable of 2 GB or more.
    RunError
        It cannot be written.
    """
    _check_names(path, variables)
    for name, value in variables.items():
        n_bytes = size_bytes(value)
        if n_bytes >= MOST_BYTES:
            raise DataError(
                f"variable {name!r} of {path.name} takes {n_bytes / 1e9:.1f} GB, and a MAT file of "
                "version 5 takes less than 2.1 GB a variable; export as csv instead"
            )
    # One column stays one: vectors of one axis would else become rows.
    content = dict(variables)
    write_with(
        path,
        lambda file: savemat(
            file, content, do_compression=True, long_field_names=True, oned_as="column"
        ),
    )


def _check_names(path: Path, variables: Mapping[str, Any]) -> None:
    for name, value in variables.items():
        if matlab_names([name])[name] != name:
            raise DataError(f"{path.name}: MATLAB takes no variable or field called {name!r}")
        if isinstance(value, Mapping):
            _check_names(path, value)


def size_bytes(value: Any) -> int:
    """How much a variable takes in a MAT file before compression; of cells rather too much.

    Examples
    --------
    >>> size_bytes({"auc": np.zeros((10, 1))}), size_bytes("text")
    (80, 12)
    """
    if isinstance(value, Mapping):
        return sum(map(size_bytes, value.values()))
    if isinstance(value, str):
        return CHARACTER_BYTES * len(value)
    array = np.asarray(value)
    if array.dtype != object:
        return int(array.nbytes)
    return sum(CELL_BYTES + size_bytes(cell) for cell in array.ravel())


Read = tuple[str, int, Predictions]


@dataclass
class Export:
    """What has been written, file by file.

    Parameters
    ----------
    folder
        Where.
    rows
        file, holds, condition and map of each, for ``index.csv``.
    left_out
        What could not be read, in words.
    """

    folder: Path
    rows: list[dict[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, name: str, holds: str, condition: str = "", importance: str = "") -> Path:
        """A file's path, once it is in the index."""
        self.rows.append({"file": name, "holds": holds, "condition": condition, "map": importance})
        return self.folder / name


def export_run(folder: Path, form: str, to: Path | None = None) -> Export:
    """Write a run's predictions, tables and maps as files that MATLAB and R read.

    Parameters
    ----------
    folder
        The run folder; of one that is not finished, what is there.
    form
        ``"csv"``: one tidy table a file; ``"mat"``: MAT files of version 5.
    to
        A folder that does not exist or is empty; None: beside the run, ``RUN-csv`` or ``RUN-mat``.

    Returns
    -------
    Export
        What was written; ``index.csv`` in the folder holds the same.

    Raises
    ------
    StudyError
        The form is unknown.
    MissingDataError
        It is no run folder, or none of its fits is finished.
    RunError
        The folder to write holds something, or cannot be written.
    DataError
        A variable is too large for a MAT file of version 5.
    """
    if form not in FORMATS:
        raise StudyError(f"format {form!r} is unknown; give {' or '.join(FORMATS)}")
    source = Path(folder)
    values = read_run(source, single_predictions=False)
    if values.table("scores").empty:
        raise MissingDataError(
            f"no fit of {source} is finished: there is nothing to export; run 'corticode run' first"
        )
    target = source.resolve().with_name(f"{source.resolve().name}-{form}") if to is None else to
    if holds_files(target):
        raise RunError(f"{target} exists and is not an empty folder; name another one with --to")
    with filling(target, "free some space or choose another folder with --to") as staging:
        found = _write(source, values, form, staging)
    return replace(found, folder=target)


def _write(source: Path, values: RunValues, form: str, folder: Path) -> Export:
    """Every file, into a folder that nobody looks at yet."""
    found = Export(folder, left_out=list(values.missing))
    (_write_csv if form == "csv" else _write_mat)(Run(source), values, found)
    for name in AS_THEY_ARE:
        if (source / name).is_file():
            write_bytes(found.add(name, "as in the run folder"), (source / name).read_bytes())
    write_table(folder / "index.csv", pd.DataFrame(found.rows))
    return found


def _write_csv(run: Run, values: RunValues, found: Export) -> None:
    for name, table in values.tables.items():
        write_table(found.add(f"{name}.csv", "table"), table)
    for condition in _conditions(values):
        path = found.add(f"predictions_{slug(condition)}.csv", "predictions", condition)
        write_with(path, partial(_append, read=_read(run, values, condition, found)))
    for condition, name, one in _maps(run, values, found):
        path = found.add(f"map_{slug(condition)}_{slug(name)}.csv", "map", condition, name)
        write_table(path, map_table(one))


def _append(file: Any, read: Iterator[Read]) -> None:
    """Decoder below decoder: the predictions of a study need not fit in memory."""
    for k, (fold, seed, said) in enumerate(read):
        table = said.to_frame()
        table.insert(0, "fold", fold)
        table.insert(1, "seed", seed)
        without_formulas(table).to_csv(file, index=False, header=k == 0, float_format=DIGITS)


def _write_mat(run: Run, values: RunValues, found: Export) -> None:
    tables = {name: matlab_struct(table) for name, table in values.tables.items()}
    write_mat(found.add("tables.mat", "tables, a struct each"), tables)
    for condition in _conditions(values):
        read = list(_read(run, values, condition, found))
        if read:
            path = found.add(f"predictions_{slug(condition)}.mat", "predictions", condition)
            write_mat(path, _prediction_variables(condition, read))
    for condition, name, one in _maps(run, values, found):
        path = found.add(f"map_{slug(condition)}_{slug(name)}.mat", "map", condition, name)
        write_mat(path, map_variables(condition, name, one))


def _conditions(values: RunValues) -> Sequence[str]:
    return [str(name) for name in values.table("scores")["condition"].unique()]


def _read(run: Run, values: RunValues, condition: str, found: Export) -> Iterator[Read]:
    """Fold, seed and predictions of each decoder of a condition."""
    scores = values.table("scores")
    own = scores[scores["condition"] == condition]
    for fold, seed in zip(own["fold"].astype(str), own["seed"].astype(int), strict=True):
        try:
            said = Predictions.load(run.fit_folder(condition, fold, seed) / "predictions.npz")
        except CorticodeError as error:
            found.left_out.append(str(error))
            continue
        yield fold, seed, said


def _prediction_variables(condition: str, read: Sequence[Read]) -> dict[str, Any]:
    """Columns as variables; what repeats as numbers from 1 beside their table of names."""
    joined = join([said for _, _, said in read])
    n_windows = [said.n_windows for _, _, said in read]
    seeds = np.repeat([seed for _, seed, _ in read], n_windows)
    fold_names = list(dict.fromkeys(fold for fold, _, _ in read))
    folds = np.repeat([fold_names.index(fold) + 1 for fold, _, _ in read], n_windows)
    score = joined.score if joined.score.ndim == 2 else joined.score[:, None]
    return {
        "condition": condition,
        "kind": joined.kind,
        "frame_rate_hz": np.nan if joined.frame_rate_hz is None else joined.frame_rate_hz,
        "fold": folds[:, None].astype(np.uint16),
        "fold_names": matlab_cells(fold_names),
        "seed": seeds[:, None].astype(np.uint16),
        "part": joined.part[:, None].astype(np.uint8) + np.uint8(1),
        "part_names": matlab_cells(PART_NAMES),
        "animal": joined.animal[:, None].astype(np.uint16) + np.uint16(1),
        "animal_names": matlab_cells(joined.animal_names),
        "session": joined.session[:, None].astype(np.uint16) + np.uint16(1),
        "session_names": matlab_cells(joined.session_names),
        "frame": joined.frame[:, None],
        "target": joined.target[:, None],
        "score": score,
        "class_names": matlab_cells(joined.classes),
    }


def _maps(run: Run, values: RunValues, found: Export) -> Iterator[tuple[str, str, ImportanceMap]]:
    """The joined maps that the tables speak of."""
    named = [values.table(name) for name in ("map_regions", "occlusion")]
    pairs = [
        pair for table in named if len(table)
        for pair in zip(table["condition"], table["map"], strict=True)
    ]  # fmt: skip
    for condition, name in dict.fromkeys(pairs):
        path = run.maps_folder(condition, name) / "map.npz"
        if not path.is_file():
            continue
        try:
            yield condition, name, ImportanceMap.load(path)
        except CorticodeError as error:
            found.left_out.append(str(error))


def map_table(one: ImportanceMap) -> pd.DataFrame:
    """A map as a tidy table: a row a place and part, with absolute and, where known, signed values.

    Parameters
    ----------
    one
        The map.

    Returns
    -------
    DataFrame
        part (``all``, ``by_class``, ``by_animal``, ``by_decoder``), name (of the class, animal or
        decoder), a column an axis of the map, absolute and signed (NaN where it is not known).

    Examples
    --------
    >>> found = ImportanceMap("deep-shap", "logit", ("region",), np.array([1.0, 2.0]),
    ...     names=("a", "b"))
    >>> map_table(found)
      part name region  absolute  signed
    0  all           a       1.0     NaN
    1  all           b       2.0     NaN
    """
    labels: dict[str, list[Any]] = {"frame": list(one.frames), "region": list(one.names)}
    places: pd.DataFrame = pd.MultiIndex.from_product(
        [
            labels.get(axis, list(range(size)))
            for axis, size in zip(one.axes, one.absolute.shape, strict=True)
        ],
        names=list(one.axes),
    ).to_frame(index=False)
    tables = []
    wholes = [("all", "", one.absolute, one.signed)]
    wholes += [
        (group, part.name, part.absolute, part.signed)
        for group in PARTS
        for part in getattr(one, group)
    ]
    for part, name, absolute, signed in wholes:
        table = places.copy()
        table.insert(0, "part", part)
        table.insert(1, "name", name)
        table["absolute"] = absolute.ravel()
        table["signed"] = np.nan if signed is None else signed.ravel()
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def map_variables(condition: str, name: str, one: ImportanceMap) -> dict[str, Any]:
    """A map as variables: arrays with the map's axes, parts along a last one.

    Examples
    --------
    >>> found = map_variables("gru", "m", ImportanceMap("deep-shap", "logit", ("region",),
    ...     np.array([1.0, 2.0]), names=("a", "b")))
    >>> found["absolute"].shape, np.isnan(found["signed"]).all()
    ((2, 1), np.True_)
    """

    def column(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return values[:, None] if values.ndim == 1 else values

    nothing = np.full_like(one.absolute, np.nan)
    found: dict[str, Any] = {
        "condition": condition,
        "map": name,
        "kind": one.kind,
        "unit": one.unit,
        "axes": matlab_cells(one.axes),
        "region_names": matlab_cells(one.names),
        "frames": np.array(one.frames, dtype=np.float64)[:, None],
        "frame_rate_hz": np.nan if one.frame_rate_hz is None else one.frame_rate_hz,
        "baseline": np.nan if one.baseline is None else one.baseline,
        "n_windows": float(one.n_windows),
        "absolute": column(one.absolute),
        "signed": column(nothing if one.signed is None else one.signed),
    }
    for group in PARTS:
        parts = getattr(one, group)
        if parts:
            found[group] = {
                "names": matlab_cells(part.name for part in parts),
                "absolute": np.stack([part.absolute for part in parts], axis=-1),
                "signed": np.stack(
                    [nothing if part.signed is None else part.signed for part in parts], axis=-1
                ),
            }
    return found
