"""What was learnt of a file, remembered as long as the file is the same.

A recording is read whole once. What came of it (its hash, say) is kept in the user's cache folder
beside the file's size, inode and times of change, and is believed while these are the same.
"""

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

# Up to here a file is read again: that is as quick as asking for what was kept.
SMALL_BYTES = 2**20
# How old a change has to be before a later one is sure to have another time: clocks of file
# systems tick in milliseconds, those of FAT and HFS+ in whole seconds.
SETTLED_NS, SETTLED_SECONDS_NS = 100_000_000, 3_000_000_000
# For so long a page that a program has mapped into its memory may change without a new time.
MAPPED_NS = 60_000_000_000

_State = list[int]
_in_this_process: dict[tuple[str, str], tuple[_State, Any]] = {}


def remember(path: Path, what: str, learn: Callable[[], Any]) -> Any:
    """What `learn` finds in a file, or found before if the file is still the same.

    Parameters
    ----------
    path
        The file. What is learnt of files up to 1 MiB is not kept.
    what
        What is learnt, all settings that it depends on included; other words, other memory.
    learn
        Reads the file; what it returns is kept as JSON, and tuples come back as lists.

    Raises
    ------
    OSError
        The file is not there. What `learn` raises is handed on, and nothing is kept.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a"
    >>> _ = path.write_bytes(b"running")
    >>> remember(path, "n bytes", lambda: len(path.read_bytes()))
    7
    """
    before = path.stat()
    if before.st_size <= SMALL_BYTES:
        return _plain(learn())
    path, state = path.resolve(), _state(before)
    found = _kept(path, what, state)
    if found is not None:
        return found[0]
    changed = max(before.st_mtime_ns, before.st_ctime_ns)
    began = time.time_ns()
    if began - changed < MAPPED_NS:
        _write_back(path)
    value = _plain(learn())
    whole_seconds = before.st_mtime_ns % 1_000_000_000 == 0
    settled = began - changed > (SETTLED_SECONDS_NS if whole_seconds else SETTLED_NS)
    if settled and _state(path.stat()) == state:
        _keep(path, what, state, value)
    return value


def cache_folder() -> Path:
    """Where what was learnt of files is kept; it may be deleted at any time.

    The environment variable ``CORTICODE_CACHE`` names another.

    Raises
    ------
    RuntimeError
        The user has no home folder.
    """
    if named := os.environ.get("CORTICODE_CACHE"):
        return Path(named)
    home = Path.home()
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = home / "Library" / "Caches"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return folder / "corticode"


def _plain(value: Any) -> Any:
    """A value as it comes back from JSON, so that it is the same the first time."""
    return json.loads(json.dumps(value))


def _state(found: os.stat_result) -> _State:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _write_back(path: Path) -> None:
    """Have what was just written put on the disk: writing to it again then gives a new time."""
    with suppress(OSError), path.open("rb") as file:
        os.fsync(file.fileno())


def _place(path: Path, what: str) -> Path:
    name = hashlib.sha256(f"{what}\0{path}".encode("utf-8", "surrogateescape")).hexdigest()
    return cache_folder() / "files" / f"{name[:32]}.json"


def _kept(path: Path, what: str, state: _State) -> tuple[Any] | None:
    """What was kept of a file in this state; None where nothing was."""
    known = _in_this_process.get((str(path), what))
    if known is not None and known[0] == state:
        return (known[1],)
    try:
        told = json.loads(_place(path, what).read_text("utf-8"))
        if [told["path"], told["what"], told["state"]] != [str(path), what, state]:
            return None
        value = told["value"]
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None
    _in_this_process[str(path), what] = (state, value)
    return (value,)


def _keep(path: Path, what: str, state: _State, value: Any) -> None:
    _in_this_process[str(path), what] = (state, value)
    told = {"path": str(path), "what": what, "state": state, "value": value}
    # Without a folder that can be written a file is read again by the next process.
    with suppress(OSError, RuntimeError):
        place = _place(path, what)
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(told, file)
        Path(name).replace(place)
