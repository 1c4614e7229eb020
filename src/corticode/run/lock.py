"""One run at a time in a folder, and nothing left over from one that was killed."""

import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from corticode.data.files import write_text
from corticode.errors import RunError

LOCK, HOLDER = "run.lock", "running.json"
# A file system that knows no locks: the run goes on unguarded.
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


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
        Another process holds it, which is named, or it cannot be written.

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
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise RunError(
            f"{folder} is in use by {_holder(folder)}; wait for its end, stop it, or give another "
            "folder with --out"
        ) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise RunError(
                f"cannot write in {folder}: {error.strerror or error}; choose another folder"
            ) from error
    try:
        remove_unfinished(folder)
        write_text(folder / HOLDER, json.dumps(_self()))
        yield
    finally:
        # A disk that cannot be written any more: what is being raised says so better.
        with suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)
        lock.release()
        _remove_if_unused(folder)


def remove_unfinished(folder: Path) -> None:
    """Remove files that were being written when their process was killed."""
    for path in folder.rglob(".*.part"):
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


def _holder(folder: Path) -> str:
    """Who holds a folder, in words; it may not have said so yet."""
    try:
        told = json.loads((folder / HOLDER).read_text("utf-8"))
        return f"process {told['process']} on {told['host']}, since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"
