"""The run folder: every path a run writes, what stands in it, and one run at a time."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import platform
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock, Timeout

from corticode.data.files import altered, hashes_of, holds_files, write_text, write_with
from corticode.errors import Finding, MissingDataError, RunError
from corticode.run.tables import TEXT_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

# Of run folders; counted up where an older corticode could not read what is written.
FORMAT = 1
LONGEST_SLUG = 60
LONGEST_PATH = 259 if sys.platform == "win32" else None
PACKAGES = ("corticode", "torch", "numpy", "scipy", "scikit-learn", "pandas", "h5py", "tifffile")
SCORED = {"scores", "session_scores", "look_ahead_s"}
# Of what done.json holds: what is not written where it is None, and all that is left of a result
# that stands for something left out.
OPTIONAL = {"left_out", "regions", "prepared", "input_sd", "random_shares", "deletion"}
OPTIONAL |= {"backgrounds"}
OF_LEFT_OUT = {"key", "fit", "map", "left_out", "regions", "prepared", "movie_statistics"}
OF_LEFT_OUT |= {"seconds"}
# What the values in done.json are; and what names a fit and a map there.
_TEXT, _LIST, _TABLE = (str, type(None)), (list, type(None)), (dict, type(None))
SHAPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("key", "left_out", "selected_by", "prepared"), _TEXT),
    **dict.fromkeys(("regions", "input_sd", "random_shares", "backgrounds"), _LIST),
    **dict.fromkeys(("session_scores", "findings"), (list,)),
    **dict.fromkeys(("fit", "map", "deletion"), _TABLE),
    **dict.fromkeys(("scores", "movie_statistics", "files", "details"), (dict,)),
    "best_epoch": (int, type(None)),
    "n_windows": (int,),
    "seconds": (int, float),
    "look_ahead_s": (int, float, str, type(None)),
}
NAMED = {
    "fit": ("condition", "fold", "seed", "test_animal", "valid_animal"),
    "map": ("condition", "map", "kind", "fold", "seed"),
}
NO_RUN = (
    "{folder} is no run folder: it holds neither provenance.json nor fits of a run; give the "
    "folder that 'corticode run STUDY --out RUN' made"
)
OWN_FOLDERS = ("fits", "maps", "prepared", "figures")
# What `writing` calls a file until it is whole.
UNFINISHED = re.compile(
    r"\.[^.].*\.(csv|html|json|md|npy|npz|pdf|png|safetensors|svg|toml)\.[a-z0-9_]{8}\.part"
)
# How a cell begins that a spreadsheet takes for a formula, shielded or not; and a plain number.
FORMULA = re.compile(r"'*[=+\-@\t\r]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
LOCK, HOLDER = "run.lock", "running.json"
# Locks of the parts of a run that several processes do, and how long one waits for the others.
PARTS = "parts"
LONGEST_WAIT_S = 3600.0
# A file system that knows no locks: the run goes on unguarded.
IN_USE = (
    "{folder} is in use by {holder}; wait for its end, stop it, or give another folder with --out"
)
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


def slug(name: str) -> str:
    """A folder's name for any text: what is legible of it and eight digits of its hash.

    Examples
    --------
    >>> slug("gru, FLa&HLa only")
    'gru-fla-hla-only-236c4815'
    """
    digits = hashlib.sha256(name.encode()).hexdigest()[:8]
    legible = re.sub(r"[^a-z0-9_.]+", "-", name.lower())[:LONGEST_SLUG].strip("-.")
    return f"{legible}-{digits}" if legible else digits


def check_lengths(folders: Iterable[Path], longest: int | None = LONGEST_PATH) -> None:
    """Refuse folders whose files this system cannot name, before anything is written.

    Raises
    ------
    RunError
        A path is too long.
    """
    paths = [str((folder / "occlusion_sessions.csv").absolute()) for folder in folders]
    found = max(paths, key=len, default="")
    if longest is not None and len(found) > longest:
        raise RunError(
            f"{found} has {len(found)} characters, and Windows takes {longest} of a path unless "
            "long paths are enabled; put the run folder nearer to its drive, or give conditions "
            "and maps shorter names"
        )


def hash_of(content: Mapping[str, Any]) -> str:
    """A hash of plain values, the same wherever and whenever it is made."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What a fit left in ``done.json``: its scores, or why its fold was left out.

    Parameters
    ----------
    key
        Of the settings and data it was fitted with.
    fit
        What it is: condition, fold, seed, test_animal, valid_animal.
    left_out
        Why there are no scores; None where there are.
    regions
        Those that maps chose for it, where they did.
    best_epoch, selected_by, look_ahead_s
        Of its decoder; ``"inf"`` where it looks at whole sessions, None without a frame rate.
    scores
        Pooled over the test part, by name.
    session_scores
        The same of each session, a row each.
    findings
        What was odd.
    prepared
        The key of the prepared sessions it was fitted on; None in runs of older versions.
    movie_statistics
        File of each recording's movie statistics, by the recording's name.
    files
        Hash of each file that it left, by its name; empty in runs of older versions.
    seconds
        How long it took.
    """

    key: str
    fit: Mapping[str, Any]
    left_out: str | None = None
    regions: Sequence[str | int] | None = None
    best_epoch: int | None = None
    selected_by: str | None = None
    look_ahead_s: float | str | None = None
    scores: Mapping[str, Any] = field(default_factory=dict)
    session_scores: Sequence[Mapping[str, Any]] = ()
    findings: tuple[Finding, ...] = ()
    prepared: str | None = None
    movie_statistics: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MapResult:
    """What a map left in ``done.json``, or why it could not be made.

    Parameters
    ----------
    key
        Of the fit and the settings it was made with.
    map
        What it is: condition, map, kind, fold, seed, test_animal, is_control.
    left_out
        Why there is none; None where there is.
    n_windows, details
        How many windows it explains, and how it was made.
    input_sd, random_shares
        Of attributions: SD of each region's input; shares of decoders with random weights.
    deletion, backgrounds
        What curves of taking parts away come to, and maps against growing backgrounds, where
        they were made.
    findings
        What was odd.
    files
        Hash of each file that it left, by its name; empty in runs of older versions.
    seconds
        How long it took.
    """

    key: str
    map: Mapping[str, Any]
    left_out: str | None = None
    n_windows: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    input_sd: Sequence[float] | None = None
    random_shares: Sequence[Sequence[float]] | None = None
    deletion: Mapping[str, float] | None = None
    backgrounds: Sequence[Mapping[str, Any]] | None = None
    findings: tuple[Finding, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


Result = TypeVar("Result", FitResult, MapResult)


def read_result(folder: Path, form: type[Result]) -> Result | None:
    """What a finished fit or map left in ``done.json``; None where it is not finished.

    Raises
    ------
    RunError
        The file is damaged.
    """
    path = folder / "done.json"
    if not path.is_file():
        return None
    what = "fit" if form is FitResult else "map"
    try:
        return _result_of(json.loads(path.read_text("utf-8")), form)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(
            f"{path} is damaged ({error}); delete the folder {folder} and run the same command "
            f"again: only this {what} is redone"
        ) from error


def read_whole(folder: Path, form: type[Result]) -> Result | None:
    """What a finished fit or map left; None where it, or one of its files, is gone or damaged."""
    return None if why_redone(folder, form) else read_result(folder, form)


def why_redone(folder: Path, form: type[Result]) -> str:
    """What of a finished fit or map is gone or damaged, in words; nothing where all is whole."""
    try:
        result = read_result(folder, form)
        names = [] if result is None else altered(folder, result.files)
    except RunError as error:
        return f"done.json is damaged ({error.__cause__ or error})"
    except MissingDataError as error:
        return str(error)
    return f"{', '.join(names)}: missing, or not as written" if names else ""


def _result_of(content: Mapping[str, Any], form: type[Result]) -> Result:
    what = "fit" if form is FitResult else "map"
    for name, value in content.items():
        if name in SHAPES and not isinstance(value, SHAPES[name]):
            raise TypeError(f"{name!r} is of the wrong type")
    for name in ("key", what):
        if content[name] is None:
            raise TypeError(f"{name!r} is of the wrong type")
    for name in NAMED[what]:
        if not isinstance(content[what][name], int if name == "seed" else str):
            raise TypeError(f"{name!r} is of the wrong type")
    rows: list[Any] = [content.get("scores", {}), *content.get("session_scores", ())]
    for row in [*rows, content.get("deletion") or {}]:
        _check_cells(row)
    for numbers in (content.get("input_sd") or [], *(content.get("random_shares") or ())):
        _check_cells(dict(enumerate(numbers)))
    if what == "fit" and "left_out" not in content and SCORED - set(content):
        raise ValueError("neither scores nor why the fold was left out")
    known = {one.name for one in fields(form)}
    values = {name: value for name, value in content.items() if name in known}
    found = tuple(Finding(**one) for one in content.get("findings", ()))
    return form(**values | {"findings": found})


def _check_cells(row: Mapping[Any, Any]) -> None:
    """Refuse what a table cannot take: text in a column of numbers, lists, tables."""
    for name, value in row.items():
        is_number = isinstance(value, int | float) or value in (None, "inf")
        if not (isinstance(value, str) if name in TEXT_COLUMNS else is_number):
            raise TypeError(f"{name!r} is of the wrong type")


def write_result(folder: Path, result: FitResult | MapResult) -> None:
    """Mark a fit or map as finished; the last thing that is written of it."""
    content = {
        name: value
        for name, value in asdict(result).items()
        if (value is not None or name not in OPTIONAL)
        and (result.left_out is None or name in OF_LEFT_OUT)
    }
    write_text(folder / "done.json", json.dumps(content, indent=1))


def run_once(
    folder: Path, key: str, form: type[Result], work: Callable[[], Result], files: Sequence[str]
) -> Result:
    """What a finished fit or map with this key left, or what `work` makes now, written.

    Parameters
    ----------
    folder
        Its folder.
    key
        Of its settings and data.
    form
        Of what it leaves.
    work
        Does it.
    files
        Names of the files that it may leave beside ``done.json``, whose hashes are recorded there.
    """
    done = read_whole(folder, form)
    if done is not None and done.key == key:
        return done
    began = time.monotonic()
    made = work()
    seconds = round(time.monotonic() - began, 3)
    result = replace(made, seconds=seconds, files=hashes_of(folder, files))
    write_result(folder, result)
    return result


@dataclass(frozen=True)
class Run:
    """A run folder; its paths, nothing read or written.

    Examples
    --------
    >>> Run(Path("run")).fit_folder("gru", "test-m1_valid-m2", 0).parts[1:3]
    ('fits', 'gru-004bd70f')
    """

    folder: Path

    @property
    def study_path(self) -> Path:
        """The study as resolved."""
        return self.folder / "study.toml"

    @property
    def provenance_path(self) -> Path:
        """Versions, machine, fingerprints, seeds."""
        return self.folder / "provenance.json"

    def table_path(self, name: str) -> Path:
        """One of `TABLES`."""
        return self.folder / f"{name}.csv"

    def prepared_folder(self, key: str) -> Path:
        """Prepared sessions; may be deleted at any time, they are made again."""
        return self.folder / "prepared" / key

    def movie_statistics_path(self, name: str) -> Path:
        """Statistics of a movie; may be deleted at any time, they are taken again."""
        return self.folder / "prepared" / "movies" / f"{slug(name)}.npz"

    def fit_results(self) -> Iterator[FitResult]:
        """What each fit that lies here left, those of earlier studies too; damaged ones are not.

        A file that cannot be read is passed over: whoever needs that fit says so.
        """
        for path in sorted(self.folder.glob("fits/*/*/*/done.json")):
            with suppress(RunError):
                if (result := read_result(path.parent, FitResult)) is not None:
                    yield result

    def fit_folder(self, condition: str, fold: str, seed: int) -> Path:
        """One fit: decoder, history, predictions, done.json."""
        return self.condition_folder(condition) / slug(fold) / f"seed-{seed}"

    def condition_folder(self, condition: str) -> Path:
        """The fits of a condition."""
        return self.folder / "fits" / slug(condition)

    def map_folder(self, condition: str, name: str, fold: str, seed: int) -> Path:
        """One map of one decoder: map.npz or tables of occlusion, done.json."""
        return self.maps_folder(condition, name) / slug(fold) / f"seed-{seed}"

    def maps_folder(self, condition: str, name: str) -> Path:
        """The maps of one name of a condition's decoders, and map.npz, all of them as one."""
        return self.folder / "maps" / slug(condition) / slug(name)

    def read_table(self, name: str) -> pd.DataFrame:
        """A table of the run; names stay text, though an animal be called 7 or NA.

        Raises
        ------
        MissingDataError
            The run has not been finished.
        """
        path = self.table_path(name)
        if not path.is_file():
            raise MissingDataError(f"{path} does not exist; finish the run with 'corticode run'")
        return read_csv(path)


def is_run(folder: Path) -> bool:
    """Whether `corticode run` made a folder: its lock, its provenance or a fit lies in it."""
    lock = folder / LOCK
    for path in (lock, *folder.glob(f"{PARTS}/part * of *.lock")):
        if path.is_file() and path.stat().st_size == 0:
            return True
    if next(folder.glob("fits/*/*/seed-*/"), None) is not None:
        return True
    try:
        return "versions" in json.loads((folder / "provenance.json").read_text("utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something and is no run, before anything is written there.

    Raises
    ------
    RunError
        Somebody's files lie in it.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"cannot write in {folder}: it is a file; choose another folder")
    if holds_files(folder) and not is_run(folder):
        raise RunError(
            f"{folder} holds files and is no run folder; nothing was written: give a new folder, "
            f"as in --out {folder / 'run'}"
        )


def check_format(run: Run) -> None:
    """Refuse a run folder that a newer corticode wrote.

    Raises
    ------
    RunError
        Its format is newer than `FORMAT`.
    """
    try:
        told = json.loads(run.provenance_path.read_text("utf-8"))
        written, by = int(told.get("format", 1)), told["versions"]["corticode"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return  # none yet, or damaged: what is made of it says so
    if written > FORMAT:
        raise RunError(
            f"{run.folder} was written by corticode {by} in format {written}, and this one, "
            f"{version('corticode')}, knows formats up to {FORMAT}; update corticode, or give "
            "another folder"
        )


def read_seeds(run: Run) -> list[int]:
    """The seeds that a run's decoders were fitted with.

    Raises
    ------
    MissingDataError
        It is no run folder.
    RunError
        Its provenance is gone or damaged.
    """
    if not is_run(run.folder):
        raise MissingDataError(NO_RUN.format(folder=run.folder))
    try:
        seeds = json.loads(run.provenance_path.read_text("utf-8"))["seeds"]
        if not (isinstance(seeds, list) and seeds and all(type(one) is int for one in seeds)):
            raise ValueError("its seeds are not a list of whole numbers")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(
            f"{run.provenance_path} is missing or damaged ({error}); 'corticode run' with the same "
            "study and folder writes it again, and keeps what is fitted"
        ) from error
    return seeds


def known_by_samples(run: Run) -> dict[str, str] | None:
    """What `provenance.json` holds as ``known_by_samples``; None in runs of older versions."""
    try:
        told = json.loads(run.provenance_path.read_text("utf-8"))["known_by_samples"]
        return {str(whole): str(samples) for whole, samples in told.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def older_fits(run: Run) -> Iterator[Path]:
    """``done.json`` of each fit that was scored by a version that recorded no hashes of files."""
    for path in sorted(run.folder.glob("fits/*/*/*/done.json")):
        with suppress(RunError):
            result = read_result(path.parent, FitResult)
            if result is not None and result.left_out is None and not result.files:
                yield path


def other_fits(run: Run, folders: Iterable[Path]) -> list[Path]:
    """Folders of a run's finished fits that are none of these: those of an earlier study, say."""
    known = set(folders)
    finished = (path.parent for path in run.folder.glob("fits/*/*/*/done.json"))
    return sorted(folder for folder in finished if folder not in known)


def shielded(text: str) -> str:
    """A cell of text that spreadsheets do not run: one that begins a formula has a ``'`` before it.

    Examples
    --------
    >>> [shielded(text) for text in ("=1+1", "-0.5", "-a", "'=1", "m1")]
    ["'=1+1", '-0.5', "'-a", "''=1", 'm1']
    """
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def _unshielded(text: Any) -> Any:
    shield = isinstance(text, str) and text.startswith("'") and FORMULA.match(text)
    return text[1:] if shield else text


def read_csv(path: Path) -> pd.DataFrame:
    """A table as `write_table` wrote it; names stay text, though an animal be called 7 or NA."""
    import pandas as pd

    text = dict.fromkeys(TEXT_COLUMNS, str)
    table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])
    named = [name for name in TEXT_COLUMNS if name in table]
    for name in table.columns.difference(named):
        if table[name].dtype.kind == "O" and any(isinstance(cell, str) for cell in table[name]):
            raise ValueError(f"column {name!r} holds text where numbers are")
    table = table.fillna(dict.fromkeys(named, ""))
    for name in named:
        if table[name].str.startswith("'").any():
            table[name] = table[name].map(_unshielded)
    return table


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all; no cell of it is a formula."""
    write_with(path, lambda file: without_formulas(table).to_csv(file, index=False))


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose cells of text are `shielded`."""
    found = table.copy(deep=False)
    for k, name in enumerate(table):
        if table.dtypes.iloc[k].kind != "O" and name not in TEXT_COLUMNS:
            continue
        column = table.iloc[:, k]
        # Few names, in many rows.
        cells = {one: shielded(one) for one in column.unique() if isinstance(one, str)}
        if any(one != cell for one, cell in cells.items()):
            named = [cells.get(one, one) if isinstance(one, str) else one for one in column]
            found.isetitem(k, named)
    return found


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows with the same names as CSV, as `write_table` does, without pandas."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    write_text(path, text.getvalue())


def _cell(value: object) -> object:
    if value is None or value != value:
        return ""
    return shielded(value) if isinstance(value, str) else value


def provenance(
    recordings: Mapping[str, str],
    seeds: Iterable[int],
    device: str,
    *,
    by_samples: Mapping[str, str] | None = None,
    known_by_samples: Mapping[str, str] | None = None,
    keys: Mapping[str, str] | None = None,
    is_simulated: bool = False,
    histories: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """What a run was made with: versions, commit, machine, seeds and what the recordings held.

    Parameters
    ----------
    recordings
        The hash of each recording's content, by its name.
    seeds, device
        What was asked for.
    by_samples
        The hash of each recording as versions up to 60f4e28 made it.
    known_by_samples
        What those versions knew the content of files by that are the same since.
    keys
        Of each fit that is asked for, by its folder: what else lies in the run is of other calls.
    is_simulated
        Whether recordings are simulated: every page that shows their results says so.
    histories
        What the catalogue says was done to recordings before, and of how many it says so.
    """
    return {
        "format": FORMAT,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "n_cores": os.cpu_count(),
            "device": device,
        },
        "seeds": list(seeds),
        "simulated": is_simulated,
        "recordings": dict(recordings),
        "histories": dict(histories or {}),
        "recordings_by_samples": dict(by_samples or {}),
        "known_by_samples": dict(known_by_samples or {}),
        "keys": dict(keys or {}),
    }


def _commit() -> str | None:
    """The commit of the checkout that the package runs from; None where it is installed."""
    folder = Path(__file__).parents[3]
    if not (folder / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keep a run folder to oneself while the block lasts.

    The operating system gives the folder free when the process that holds it ends, however it
    ends. Files that a killed process had half-written are removed first.

    Parameters
    ----------
    folder
        The run folder; it is made.

    Raises
    ------
    RunError
        Another process holds it, which is named, or does a part of its run, or it cannot be
        written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with hold_folder(folder), hold_folder(folder):
    ...     pass
    Traceback (most recent call last):
        ...
    corticode.errors.RunError: ...
    """
    check_folder(folder)
    with _locked(folder / LOCK, folder):
        held = [path.stem for path in sorted(folder.glob(f"{PARTS}/*.lock")) if _is_held(path)]
        if held:
            raise RunError(
                f"{folder}: {', '.join(held)} of its run is being done by another process; wait "
                "for its end, or stop it"
            )
        remove_unfinished(folder)
        with _signed(folder):
            yield


@contextmanager
def hold_part(folder: Path, part: tuple[int, int]) -> Iterator[None]:
    """Keep one part of a run to oneself, beside processes that do the other parts.

    Parameters
    ----------
    folder
        The run folder; it is made.
    part
        Which, from 1, and of how many.

    Raises
    ------
    RunError
        Another process does this part, or parts of another number, or the whole; or the folder
        cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with hold_part(folder, (1, 2)), hold_part(folder, (2, 2)), hold_folder(folder):
    ...     pass
    Traceback (most recent call last):
        ...
    corticode.errors.RunError: ...: part 1 of 2, part 2 of 2 of its run is being done by another ...
    """
    if not 1 <= part[0] <= part[1]:
        raise RunError(f"part {part[0]} of {part[1]}: parts are counted from 1 to {part[1]}")
    check_folder(folder)
    own = folder / PARTS / f"part {part[0]} of {part[1]}.lock"
    with _locked(own, folder):
        others = [
            path.stem
            for path in sorted(folder.glob(f"{PARTS}/*.lock"))
            if not path.stem.endswith(f" of {part[1]}") and _is_held(path)
        ]
        if others:
            raise RunError(
                f"{folder}: {others[0]} of its run is being done, and the work cannot be dealt out "
                f"by {part[1]} at the same time; give every process the same number, or wait"
            )
        yield


@contextmanager
def hold_between_parts(folder: Path) -> Iterator[None]:
    """Keep what all parts of a run write to oneself; the other parts wait for their turn.

    Raises
    ------
    RunError
        A process that does the whole run holds the folder, or others take more than an hour.
    """
    if _is_held(folder / LOCK) and not _is_of_part(folder):
        raise RunError(IN_USE.format(folder=folder, holder=_holder(folder)))
    with _locked(folder / LOCK, folder, LONGEST_WAIT_S), _signed(folder, is_part=True):
        yield


@contextmanager
def _locked(path: Path, folder: Path, wait_s: float = 0) -> Iterator[None]:
    lock = FileLock(path, timeout=wait_s)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise RunError(IN_USE.format(folder=folder, holder=_holder(folder))) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise RunError(
                f"cannot write in {folder}: {error.strerror or error}; choose another folder"
            ) from error
    try:
        yield
    finally:
        lock.release()
        _remove_if_unused(folder)


def _is_held(path: Path) -> bool:
    """Whether some process holds a lock."""
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


@contextmanager
def _signed(folder: Path, *, is_part: bool = False) -> Iterator[None]:
    """Leave word of who holds a folder while the block lasts."""
    write_text(folder / HOLDER, json.dumps(_self() | ({"part": True} if is_part else {})))
    try:
        yield
    finally:
        # A disk that cannot be written any more: what is being raised says so better.
        with suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove files of a run that were being written when their process was killed."""
    own = [folder.glob(".*.part"), *((folder / name).rglob(".*.part") for name in OWN_FOLDERS)]
    for path in chain.from_iterable(own):
        if path.is_file() and UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _remove_if_unused(folder: Path) -> None:
    """Remove a folder in which nothing came to be, as where a study was refused."""
    if [path.name for path in folder.iterdir()] == [LOCK]:
        with suppress(OSError):
            (folder / LOCK).unlink()
            folder.rmdir()


def _self() -> dict[str, str | int]:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return {"process": os.getpid(), "host": socket.gethostname(), "since": since}


def _is_of_part(folder: Path) -> bool:
    """Whether who holds a folder does a part of its run."""
    try:
        return "part" in json.loads((folder / HOLDER).read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return True  # it has not said so yet, or is gone: the lock is asked


def _holder(folder: Path) -> str:
    """Who holds a folder, in words; it may not have said so yet."""
    try:
        told = json.loads((folder / HOLDER).read_text("utf-8"))
        return f"process {told['process']} on {told['host']}, since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"
