"""What every reader asks: is the file there, can it hold what it claims, which array is meant.

What libraries raise on damaged files becomes one error here, so that no reader lists their kinds.
"""

import csv
import difflib
import errno
import lzma
import os
import re
import stat
import struct
import tokenize
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

from corticode.errors import CorticodeError, DataError, MissingDataError, some

# Whatever a library raises on a file that is not what it expects. MemoryError, OverflowError and
# RecursionError are among them: a few wrong bytes claim sizes and depths without end.
LIBRARY_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    csv.Error,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
# Deflate makes at most 1,032 bytes of one; of what is small, headers are most.
MOST_UNPACKED = 1100
SMALL_BYTES = 2**20
FOLDER_WAY_OUT = "name one file in it; images of a movie go into one file, a stack"
_LONGEST_PATH, _LONGEST_REASON = 300, 300


def is_file(path: Path) -> bool:
    """Whether a file stands at `path`; False too where no file can, as the name is too long.

    Examples
    --------
    >>> is_file(Path("x" * 5000))
    False
    """
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder stands at `path`, as `is_file` asks."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def check_file(path: Path) -> None:
    """Return quietly where `path` is a file with something in it.

    Raises
    ------
    MissingDataError
        Nothing is at `path`.
    DataError
        `path` is a folder, a device, a link in a circle, a file of no bytes, or no path at all.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        way_out = missing_hint(path) or "paths in a catalogue are relative to the catalogue file"
        raise MissingDataError(f"{path} does not exist; {way_out}") from error
    except (OSError, ValueError) as error:
        raise _cannot_be_opened(path, error) from error
    if stat.S_ISDIR(found.st_mode):
        raise DataError(f"{path} is a folder, not a file; {FOLDER_WAY_OUT}")
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{path} is no ordinary file (a device, or a pipe); name a file of data")
    if found.st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); copy or export it again")


def missing_hint(path: Path) -> str:
    """Why no file stands at a path, where its name tells; empty where it does not.

    Examples
    --------
    >>> missing_hint(Path("run_*.tif"))
    'a movie is one file, and no pattern or list of files: write its parts into one'
    """
    if any(mark in path.name for mark in "*?;"):
        return "a movie is one file, and no pattern or list of files: write its parts into one"
    wanted = unicodedata.normalize("NFC", path.name).casefold()
    with suppress(OSError, ValueError):
        for other in path.parent.iterdir():
            if unicodedata.normalize("NFC", other.name).casefold() == wanted:
                return (
                    f"{other.name!r} stands there, whose letters are others to the computer "
                    "(capitals, or accents as macOS writes them): rename the file"
                )
    return ""


def _cannot_be_opened(path: Path, error: Exception) -> DataError:
    """Why the system does not open `path`, and what to do about it."""
    shown = repr(str(path)[:_LONGEST_PATH])
    if isinstance(error, PermissionError):
        return DataError(f"{path} may not be read by you; ask for the permission, or copy it")
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        longest = max(map(len, path.parts), default=0)
        return DataError(
            f"{shown}... has {len(str(path)):,} characters, its longest name {longest:,}; no file "
            "can be called so: correct the path"
        )
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return DataError(f"{path} is a link that leads back to itself; name the file it was for")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return DataError(f"{shown} cannot be opened: {reason}; correct the path")


def next_part(path: Path) -> Path | None:
    """The file beside `path` that by its name goes on where it ends; None: there is none.

    Cameras and microscopes begin a new file after some gigabytes: ``run_@0001.tif``,
    ``run_@0002.tif``; ``x_00001.tif``, ``x_00002.tif``; ``y.ome.tif``, ``y_1.ome.tif``.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("run_@0001.tif", "run_@0002.tif"):
    ...     (folder / name).touch()
    >>> next_part(folder / "run_@0001.tif").name
    'run_@0002.tif'
    """
    suffix = "".join(path.suffixes[-2:]) if ".ome" in path.suffixes else path.suffix
    stem = path.name.removesuffix(suffix)
    names = [f"{stem}{ending}{suffix}" for ending in ("_1", "@0001", "_X2")]
    number = re.search(r"(?:@|[_-](?=\d{3}))(\d+)$|_(?:X|(?<=\d_))(\d+)$", stem)
    if number is not None:
        digits = number[1] or number[2]
        following = str(int(digits[-18:]) + 1).zfill(len(digits))
        names = [f"{stem.removesuffix(digits)}{following}{suffix}"]
    return next((path.with_name(name) for name in names if is_file(path.with_name(name))), None)


def unreadable(path: Path, kind: str, error: BaseException) -> DataError:
    """An error that says in plain words why a library could not read `path` as a `kind` file."""
    if isinstance(error, PermissionError):
        return _cannot_be_opened(path, error)
    if isinstance(error, MemoryError):
        return DataError(
            f"{path} cannot be read as {kind}: there is not enough memory for what it claims to "
            "hold; close other programs, or copy or export it again if it is small"
        )
    if isinstance(error, RecursionError):
        error = ValueError("what it holds is nested without end")
    words = "".join(c if c.isprintable() else " " for c in str(error)).split()
    reason = " ".join(words)[:_LONGEST_REASON] or type(error).__name__
    return DataError(f"{path} cannot be read as {kind}: {reason}; copy or export it again")


def too_many_axes(path: object, found: str, way_out: str = "") -> DataError:
    """An error for what holds more than frames: the same words for every format.

    Examples
    --------
    >>> print(too_many_axes("a.tif", "T 60, Z 3"))
    a.tif has more axes than time, row and column (T 60, Z 3); export one channel and one plane
    """
    return DataError(
        f"{path} has more axes than time, row and column ({found}); {way_out}export one channel "
        "and one plane"
    )


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into one `DataError`.

    Parameters
    ----------
    path
        The file, for the message.
    kind
        What it is read as.

    Raises
    ------
    DataError
        Something went wrong inside; errors of corticode pass as they are.

    Examples
    --------
    >>> with reading(Path("a.mat"), "MAT"):
    ...     raise OverflowError("too large")
    Traceback (most recent call last):
    corticode.errors.DataError: a.mat cannot be read as MAT: too large; copy or export it again
    """
    try:
        yield
    except CorticodeError:
        raise
    except LIBRARY_ERRORS as error:
        raise unreadable(path, kind, error) from error


def check_claim(
    path: Path, what: str, n_bytes: int, n_stored: int, *, packed: bool = True, held: bool = True
) -> None:
    """Refuse an array that the bytes it is stored in cannot hold, before memory is asked for it.

    Parameters
    ----------
    path
        The file, for the message.
    what
        The array, for the message.
    n_bytes
        How large its header says it is.
    n_stored
        Bytes of the file that it is stored in.
    packed
        Whether they may be compressed, by 1,100 to 1 at most.
    held
        Whether it will be held in memory; what is mapped is not.

    Raises
    ------
    DataError
        They cannot hold so much, or there is less memory.

    Examples
    --------
    >>> check_claim(Path("a.mat"), "'x'", 800, 100)
    >>> check_claim(Path("a.mat"), "'x'", 8, 1, packed=False)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    corticode.errors.DataError: a.mat: 'x' claims 8 bytes, and 1 bytes of the file are there ...
    """
    most = max(n_stored * MOST_UNPACKED, SMALL_BYTES) if packed else n_stored
    if n_bytes < 0 or n_bytes > most:
        raise DataError(
            f"{path}: {what} claims {n_bytes:,} bytes, and {n_stored:,} bytes of the file "
            f"{'cannot be unpacked to so much' if packed else 'are there for it'}: it is damaged "
            "or cut short; copy or export it again"
        )
    if held:
        check_memory(path, what, n_bytes)


def check_memory(path: Path, what: str, n_bytes: int) -> None:
    """Refuse what does not fit into the memory that is free now.

    Raises
    ------
    DataError
        It does not.
    """
    free = free_memory()
    if free is not None and n_bytes > max(free, SMALL_BYTES):
        raise DataError(
            f"{path}: {what} takes {n_bytes / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are "
            "free; close other programs, or save it uncompressed (NPY, TIFF), which is read in "
            "place"
        )


def free_memory() -> int | None:
    """Bytes of memory that can be had without swapping; None where the system does not tell."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def shortened(text: str) -> str:
    """A message without words of hundreds of letters and without control characters.

    Examples
    --------
    >>> len(shortened("row 2: " + "9" * 5000))
    124
    """
    plain = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    return re.sub(r"\S{250,}", lambda word: f"{word[0][:57]}...{word[0][-57:]}", plain)


def guess(name: str, known: Iterable[str]) -> str:
    """The words "; did you mean 'x'?", or nothing where no known name is like `name`.

    Examples
    --------
    >>> guess("runest", ["speed_rs", "runrest"])
    "; did you mean 'runrest'?"
    """
    as_typed = {known_name.lower(): known_name for known_name in known}
    likely = difflib.get_close_matches(name.lower(), as_typed, n=1)
    return f"; did you mean {as_typed[likely[0]]!r}?" if likely else ""


def describe_contents(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """One line that lists arrays and their shapes.

    Examples
    --------
    >>> describe_contents({"dat_roi": (50, 18000), "speed": (18000,)})
    'dat_roi (50 x 18000), speed (18000)'
    """
    listed = [
        f"{name or 'one array without a name'} ({' x '.join(map(str, shape))})"
        for name, shape in shapes.items()
    ]
    return some(listed, 20) or "no arrays"


def find_name(path: Path, name: str | None, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The array of `path` that `name` means; with None, the only one there is.

    Raises
    ------
    MissingDataError
        The file holds no such array; the message lists what it holds and guesses.
    DataError
        No name was given and the file holds none or several.
    """
    if name is None:
        if len(shapes) != 1:
            raise DataError(
                f"{path} holds {describe_contents(shapes)}; name one, as in {path.name}::name"
            )
        return next(iter(shapes))
    if name not in shapes:
        raise MissingDataError(
            f"{path} has no array {name!r}; it holds {describe_contents(shapes)}"
            f"{guess(name, shapes)}"
        )
    return name


def spelling(name: str) -> str:
    """What is left of a name without case, blanks, ``_``, ``-`` and leading zeros.

    Two numbers stay apart, so that session ``1-12`` is not ``11-2``.

    Examples
    --------
    >>> {spelling(name) for name in ("Mouse_01", "mouse 1", "MOUSE-001")}
    {'mouse1'}
    >>> spelling("1-12") == spelling("11-2")
    False
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    parts = re.findall(r"\d+|[^\d\s_\-\u2010-\u2015\u2212]+", folded)
    plain = [part.lstrip("0") or "0" if part[0].isdigit() else part for part in parts]
    joined = plain[:1]
    for before, part in pairwise(plain):
        joined.append("-" * (before[0].isdigit() and part[0].isdigit()) + part)
    return "".join(joined)
