"""What corticode says when something is wrong: errors that stop, findings that are told.

An error stops the work and names what was given, what was needed and the way out. A finding is a
fault that the work goes on with (frames left out, a flat region): a value that travels with the
data until it is printed, stored in ``excluded.csv`` and shown in the report.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import category

# Characters that turn the order of those after them, and of what is printed behind them.
REVERSING = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class CorticodeError(Exception):
    """Whatever corticode refuses, with the way out; the base of all its errors."""


class DataError(CorticodeError, ValueError):
    """A recording, catalogue or array is not what it has to be."""


class MissingDataError(CorticodeError, FileNotFoundError):
    """A file, or an array inside a file, is not there."""


class StudyError(CorticodeError, ValueError):
    """A study file or a setting asks for what cannot be done."""


class FoldError(StudyError):
    """One fold cannot be fitted or tested; the others can."""


class DecoderError(CorticodeError, ValueError):
    """A stored decoder cannot be read, or does not fit the data it is given."""


class RunError(CorticodeError, RuntimeError):
    """A run folder cannot be written, read or continued."""


class MachineError(RunError):
    """What this machine lacks for a piece of work just now: memory, a file that may be read.

    It says nothing of the study: the work is left undone, and another call tries again.
    """


class CorticodeWarning(UserWarning):
    """A fault that the work goes on with."""


# Codes of findings: a fold left out of a condition, a session too short to be permuted, an animal
# without a score, a map (or its curves) that could not be made, a class that does not train in a
# fold, frames that cannot be used.
LEFT_OUT, TOO_SHORT, NO_SCORE, NO_MAP = "left-out", "too-short", "no-score", "no-map"
UNKNOWN_CLASS = "unknown-class"
BAD = "bad-frames"


@dataclass(frozen=True)
class Finding:
    """One fault that the work goes on with: what was left out or looks odd, and why.

    Parameters
    ----------
    what
        The kind of thing it is about: ``"session"``, ``"frames"``, ``"region"``, ``"fold"``,
        ``"unit"``, ``"map"``, ``"trials"``, ``"leak"`` or ``"key"`` (of the study file).
    reason
        One clause in plain words, with the numbers in it.
    animal, session, item
        Where it was found; empty where it concerns more than one. ``item`` names the region or
        the fold.
    count
        How many of them (frames, say) are concerned.
    code
        What a program tells it by: one of `LEFT_OUT`, `TOO_SHORT`, `NO_SCORE`, `NO_MAP`,
        `UNKNOWN_CLASS`, `BAD`; empty where nothing hangs on it.

    Examples
    --------
    >>> print(Finding("region", "is flat and enters as 0", animal="m1", session="a", item="7"))
    animal 'm1', session 'a', region '7': is flat and enters as 0
    """

    what: str
    reason: str
    animal: str = ""
    session: str = ""
    item: str = ""
    count: int = 1
    code: str = ""

    def __str__(self) -> str:
        parts = [("animal", self.animal), ("session", self.session), (self.what, self.item)]
        where = ", ".join(f"{noun} {name!r}" for noun, name in parts if name)
        return f"{where}: {self.reason}" if where else self.reason


def legible(text: str) -> str:
    """Text whose control characters are shown, not obeyed: escape sequences, reversed writing.

    Examples
    --------
    >>> print(legible(f"{chr(27)}[2Jm1 [left]").lstrip(chr(92)))
    x1b[2Jm1 [left]
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t":
        return character
    if category(character) in ("Cc", "Cs") or character in REVERSING:
        return character.encode("unicode_escape").decode("ascii")
    return character


def warn_about(findings: Iterable[Finding]) -> None:
    """Hand findings to a caller who works in Python, one `CorticodeWarning` each."""
    for finding in findings:
        warnings.warn(str(finding), CorticodeWarning, stacklevel=3)


def numbered(faults: Iterable[str]) -> str:
    """Faults as lines of a message, counted from 1."""
    return "\n".join(f"  {k}. {fault}" for k, fault in enumerate(faults, start=1))


def some(names: Sequence[str], most: int) -> str:
    """The first few of many names, and how many more there are.

    Examples
    --------
    >>> some(["a", "b", "c", "d", "e"], 3)
    'a, b, c and 2 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
