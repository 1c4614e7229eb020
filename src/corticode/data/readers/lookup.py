"""What every reader asks first: whether the file is there, and which of its arrays is meant."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

from corticode.errors import DataError, MissingDataError, some


def check_file(path: Path) -> None:
    """Return quietly where `path` is a file with something in it.

    Raises
    ------
    MissingDataError
        Nothing is at `path`.
    DataError
        `path` is a folder, or a file of no bytes.
    """
    if not path.exists():
        raise MissingDataError(
            f"{path} does not exist; paths in a catalogue are relative to the catalogue file"
        )
    if not path.is_file():
        raise DataError(f"{path} is a folder, not a file; name one file in it")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); copy or export it again")


def unreadable(path: Path, kind: str, error: BaseException) -> DataError:
    """An error that says in plain words why a library could not read `path` as a `kind` file."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(f"{path} cannot be read as {kind}: {reason}; copy or export it again")


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
