"""Files on disk: written whole or not at all, and recognised by their content."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from corticode.errors import MissingDataError, RunError

SAMPLE_BYTES = 65_536
N_SAMPLES = 16


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


@contextmanager
def filling(folder: Path, way_out: str) -> Iterator[Path]:
    """A hidden folder that takes the place of `folder`, absent or empty, when the block ends well.

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
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            yield staging
            staging.chmod(0o755)
            if folder.exists():
                folder.rmdir()
            staging.rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise RunError(f"cannot write {folder}: {error.strerror or error}; {way_out}") from error


def holds_files(folder: Path) -> bool:
    """Whether something stands at `folder` that is not an empty folder."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def fingerprint(path: Path) -> str:
    """A hash of a file's size and sampled bytes: the same content gives it anywhere, at any time.

    Sixteen stretches of 64 KiB, spread evenly from the first byte to the last, are read, so that
    a movie of many gigabytes costs milliseconds. Neither the path nor any date enters. A change
    between the stretches that keeps the size is not noticed.

    Raises
    ------
    MissingDataError
        There is no such file.
    """
    if not path.is_file():
        raise MissingDataError(f"{path} does not exist, so its content cannot be told from another")
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= N_SAMPLES * SAMPLE_BYTES:
            digest.update(file.read())
        else:
            for k in range(N_SAMPLES):
                file.seek((size - SAMPLE_BYTES) * k // (N_SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()[:32]
