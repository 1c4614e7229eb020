"""Files on disk: written whole or not at all, known by every byte, and remembered while the same.

A recording is read whole once. What came of it (its hash, say) is kept in the user's cache folder
beside the file's size, inode and times of change, and is believed while these are the same.
"""

import errno
import glob
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from corticode.errors import MissingDataError, RunError

BLOCK_BYTES = 2**20
# How the name of a folder ends that is being filled.
FILLED = ".part"
MOST_THREADS = 4
N_SAMPLES, SAMPLE_BYTES = 16, 2**16
# Up to here a file is read again: that is as quick as asking for what was kept.
SMALL_BYTES = 2**20
# How old a change has to be before a later one is sure to have another time: clocks of file
# systems tick in milliseconds, those of FAT and HFS+ in whole seconds.
SETTLED_NS, SETTLED_SECONDS_NS = 100_000_000, 3_000_000_000
# For so long a page that a program has mapped into its memory may change without a new time.
MAPPED_NS = 60_000_000_000

_State = list[int]
_in_this_process: dict[tuple[str, str], tuple[_State, Any]] = {}


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that appears at `path`, complete, when the block ends without an error.

    The bytes go to a temporary file beside `path`, are flushed to the disk and renamed. Where
    anything fails the temporary file is removed and whatever stood at `path` still stands there.

    Parameters
    ----------
    path
        Where the file is to be; its folder is made.

    Raises
    ------
    RunError
        The disk is full or cannot be written.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> with writing(folder / "note.txt") as file:
    ...     _ = file.write(b"whole")
    >>> (folder / "note.txt").read_bytes()
    b'whole'
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except MissingDataError:  # an OSError too, but not of this file
        raise
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}; "
            "free some space or choose another folder, then run the same command again"
        ) from error
    finally:
        if temporary is not None:
            # On a disk that became read-only it stays; the error above says why.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with writing(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_with(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Let `write` fill a binary file that then appears at `path`, whole or not at all."""
    with writing(path) as file:
        write(file)


def new_mapped(path: Path, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """A new NPY file, or a BigTIFF of frames, mapped, whose room on the disk is taken at once.

    Of a mapped file without room a full disk ends the process without a word.

    Parameters
    ----------
    path
        The file, a BigTIFF where its name says ``.tif``; its folder is there.
    dtype, shape
        Of the array; it holds 0. Of a TIFF (frame, row, column).

    Raises
    ------
    RunError
        The disk has no room for it, or cannot be written.

    Examples
    --------
    >>> array = new_mapped(Path(tempfile.mkdtemp()) / "a.npy", "float32", (2, 3))
    >>> array[0, 0] = 1
    >>> array.sum()
    np.float32(1.0)
    """
    try:
        made: NDArray[Any] = _create(path, np.dtype(dtype), shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file, _unless_full():
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        path.unlink(missing_ok=True)
        n_bytes = prod(shape) * np.dtype(dtype).itemsize
        raise RunError(
            f"cannot write {path}, which needs {n_bytes / 1e6:,.0f} MB: {error.strerror or error}; "
            "free some space or choose another folder, then run the same command again"
        ) from error
    return made


def _create(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if ".tif" not in path.suffixes:
        return np.lib.format.open_memmap(path, "w+", dtype, shape)
    import tifffile

    options: dict[str, Any] = {
        "bigtiff": True,
        "photometric": "minisblack",
        "metadata": {"axes": "TYX"},
    }
    return np.asarray(tifffile.memmap(path, shape=shape, dtype=dtype, **options))


@contextmanager
def _unless_full() -> Iterator[None]:
    """Pass over what a file system cannot do, but not that it is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None), errno.EFBIG):
            raise


@contextmanager
def filling(folder: Path, way_out: str) -> Iterator[Path]:
    """A hidden folder that takes the place of `folder`, absent or empty, when the block ends well.

    What a killed process left of the same folder is removed first.

    Parameters
    ----------
    folder
        Where it is to be; its parents are made.
    way_out
        What to do where it cannot be written, as the error says it.

    Raises
    ------
    RunError
        The disk is full or cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f".{glob.escape(folder.name)}.????????{FILLED}"):
            with _locked(left) as is_free:
                if is_free:
                    shutil.rmtree(left, ignore_errors=True)
        staging = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=FILLED, dir=folder.parent)
        )
        try:
            with _locked(staging):
                yield staging
            staging.chmod(0o755)
            if folder.exists():
                folder.rmdir()
            staging.rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise RunError(f"cannot write {folder}: {error.strerror or error}; {way_out}") from error


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Mark a folder as in use as long as this process lives; False where another uses it."""
    path = folder.with_name(f"{folder.name}.lock")
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except (Timeout, OSError, NotImplementedError):
        # The second: a file system that knows no locks. Nothing is known there, or removed.
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
        path.unlink(missing_ok=True)


def check_output(out: Path, inputs: Iterable[Path], option: str = "--out") -> None:
    """Refuse to write where a file lies that is read, whatever path or link leads to it.

    Raises
    ------
    RunError
        `out` is one of `inputs`.
    """
    if not out.exists():
        return
    for path in inputs:
        if path.exists() and path.samefile(out):
            raise RunError(
                f"{option} {out} is the file {path}, which is read; nothing was written: give the "
                "name of a new file"
            )


def holds_files(folder: Path) -> bool:
    """Whether something stands at `folder` that is not an empty folder."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def fingerprint(path: Path) -> str:
    """A hash of a file's bytes, all of them: the same content gives it anywhere, at any time.

    Up to 1 MiB it is SHA-256 of size and bytes; above, of size and the CRC-32 of each MiB, which
    is read as fast as disks give it: a change goes unnoticed once in 4,000,000,000 changes.
    Neither the path nor any date enters.

    Raises
    ------
    MissingDataError
        There is no such file, or it may not be read.

    Examples
    --------
    >>> path = Path(tempfile.mkdtemp()) / "a"
    >>> _ = path.write_bytes(b"running")
    >>> fingerprint(path)
    '4e10121ea2f4b4220622f0d6e0c491d7'
    """
    try:
        if not path.is_file():
            raise MissingDataError(
                f"{path} does not exist, so its content cannot be told from another"
            )
        return str(remember(path, "content", lambda: _hash_of_bytes(path)))
    except MissingDataError:
        raise
    except OSError as error:
        raise MissingDataError(
            f"{path} cannot be read: {error.strerror or error}; make it readable, or copy it again"
        ) from error


def fingerprints(paths: Iterable[Path]) -> dict[Path, str]:
    """The hash of each file, several read at a time.

    Raises
    ------
    MissingDataError
        As `fingerprint`.
    """
    known = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        return dict(zip(known, threads.map(fingerprint, known), strict=True))


def fingerprint_of_samples(path: Path) -> str:
    """The hash that versions up to 60f4e28 knew a file by, of its size and 16 stretches of 64 KiB.

    That of files up to 1 MiB is `fingerprint`. It finds the runs of these versions again, and is
    used for nothing else: most corrections of a few frames lie between the stretches.
    """
    size = path.stat().st_size
    if size <= N_SAMPLES * SAMPLE_BYTES:
        return fingerprint(path)
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for k in range(N_SAMPLES):
            file.seek((size - SAMPLE_BYTES) * k // (N_SAMPLES - 1))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()[:32]


def hashes_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The hash of each of these files that is in a folder."""
    return {name: fingerprint(folder / name) for name in names if (folder / name).is_file()}


def altered(folder: Path, recorded: Mapping[str, str]) -> list[str]:
    """Names of files that are gone from a folder, or hold anything else than was recorded."""
    found = hashes_of(folder, recorded)
    return [name for name, own in recorded.items() if found.get(name) != own]


def check_recorded(path: Path) -> None:
    """Return quietly unless ``done.json`` beside a file records another content of it.

    Raises
    ------
    ValueError
        It does, or cannot be read. Where it records nothing (a file that was copied alone, a run
        of an older version) nothing is known.
    """
    beside = path.parent / "done.json"
    try:
        recorded = dict(json.loads(beside.read_text("utf-8")).get("files", {})).get(path.name)
    except FileNotFoundError:
        return
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{beside.name} beside it, which records its hash, is damaged: {error}"
        ) from error
    if recorded is not None and path.is_file() and recorded != fingerprint(path):
        raise ValueError(
            f"it is not the file that {beside.name} beside it records: it was replaced or damaged "
            "after it was written"
        )


def _hash_of_bytes(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(str(size).encode())
        if size <= SMALL_BYTES:
            digest.update(file.read())
            return digest.hexdigest()[:32]
        # One block, read into again and again, stays in the processor's own memory.
        block = memoryview(bytearray(BLOCK_BYTES))
        while n_bytes := _fill(file, block):
            digest.update(zlib.crc32(block[:n_bytes]).to_bytes(4, "big"))
    return digest.hexdigest()[:32]


def _fill(file: Any, block: memoryview) -> int:
    """Read until the block is full or the file at its end: network disks give less at a time."""
    filled = 0
    while filled < len(block) and (n_bytes := file.readinto(block[filled:])):
        filled += n_bytes
    return filled


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
