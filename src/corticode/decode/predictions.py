"""What decoders said of windows: one row a window, with everything that scores need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from corticode.data.files import check_recorded, write_with
from corticode.data.readers.lookup import LIBRARY_ERRORS
from corticode.data.targets import KINDS
from corticode.errors import CorticodeError, DataError, DecoderError, MissingDataError

if TYPE_CHECKING:
    import pandas as pd

PART_NAMES = ("train", "valid", "test")
COLUMNS = {
    "part": np.int8,
    "animal": np.int16,
    "session": np.int16,
    "frame": np.int32,
    "target": np.float32,
    "score": np.float32,
}
# Numbers of the targets that trained a decoder of values.
TRAINED_ON = ("train_mean", "train_sd")
NAME_TABLES = ("animal_names", "session_names", "classes")
# A softmax in float32 may pass 1 by a few units in the last place.
PROBABILITY_TOLERANCE = 1e-4
MOST_HEADER = 1000


@dataclass(frozen=True)
class Predictions:
    """What a decoder said of each window, beside what was true; one row a window.

    Parameters
    ----------
    part
        Code into `PART_NAMES`, shape (window,).
    animal, session
        Codes into `animal_names` and `session_names`, shape (window,). A session is known by
        both: two animals may have sessions of one name.
    frame
        Frame of the target in its own session, 0-based, shape (window,).
    target
        Index of the class, or the value in the target's unit; NaN where it is not known. Shape
        (window,).
    score
        Probability of class 1, or the value, shape (window,); for several classes their
        probabilities, shape (window, class).
    kind
        ``"binary"``, ``"classes"`` or ``"value"``.
    animal_names, session_names
        The name tables.
    classes
        Names of the classes, in the order of their indices; may be empty for kind ``"binary"``,
        is empty for ``"value"``.
    frame_rate_hz
        Frames per second, or ``None`` where it is not known.
    seen
        What each window was to the decoder when it was fitted, where that is not its `part`: code
        into `PART_NAMES` (``"test"``: nothing), shape (window,). ``None``: it is its part.
    train_mean, train_sd
        Of values: mean and SD of the target over the decoder's training windows; ``None`` where
        they are not known.
    of_trials
        Whether each window is a trial, `frame` that of its event; else frames were decoded.

    Raises
    ------
    DataError
        Columns that disagree in length, codes outside their name tables, targets that are no
        class.
    DecoderError
        Scores that are not finite, or probabilities outside 0 to 1.

    Examples
    --------
    >>> said = Predictions(
    ...     part=np.array([1, 2, 2], np.int8),
    ...     animal=np.zeros(3, np.int16),
    ...     session=np.array([0, 1, 1], np.int16),
    ...     frame=np.array([15, 15, 16], np.int32),
    ...     target=np.array([0, 0, 1], np.float32),
    ...     score=np.array([0.1, 0.2, 0.9], np.float32),
    ...     kind="binary",
    ...     animal_names=("m1",),
    ...     session_names=("monday", "tuesday"),
    ... )
    >>> said.of_part("test").to_frame()
       part animal  session  frame  target  score
    0  test     m1  tuesday     15     0.0    0.2
    1  test     m1  tuesday     16     1.0    0.9
    """

    part: NDArray[np.int8]
    animal: NDArray[np.int16]
    session: NDArray[np.int16]
    frame: NDArray[np.int32]
    target: NDArray[np.floating[Any]]
    score: NDArray[np.floating[Any]]
    kind: str
    animal_names: tuple[str, ...]
    session_names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    frame_rate_hz: float | None = None
    seen: NDArray[np.int8] | None = None
    train_mean: float | None = None
    train_sd: float | None = None
    of_trials: bool = False

    def __post_init__(self) -> None:
        _check_description(self)
        _check_shapes(self)
        _check_codes(self)
        _check_targets(self)
        _check_scores(self)

    @property
    def n_windows(self) -> int:
        """Number of windows."""
        return int(self.frame.size)

    def where(self, chosen: NDArray[Any]) -> Predictions:
        """The rows that a mask or an index chooses; the name tables stay whole."""
        columns = {name: getattr(self, name)[chosen] for name in COLUMNS}
        return replace(self, seen=None if self.seen is None else self.seen[chosen], **columns)

    def of_part(self, part: str) -> Predictions:
        """The rows of ``"train"``, ``"valid"`` or ``"test"``; none where the part is absent.

        Raises
        ------
        DataError
            There is no part of that name.
        """
        if part not in PART_NAMES:
            raise DataError(f"part {part!r} is none of {', '.join(PART_NAMES)}; name one of these")
        return self.where(self.part == PART_NAMES.index(part))

    def save(self, path: Path) -> None:
        """Write the predictions as a compressed NPZ file of plain arrays, whole or not at all."""
        arrays: dict[str, NDArray[Any]] = {
            name: getattr(self, name).astype(dtype, copy=False)
            for name, dtype in self._dtypes().items()
        }
        arrays |= {name: np.array(getattr(self, name), dtype=np.str_) for name in NAME_TABLES}
        arrays["kind"] = np.array(self.kind)
        rate = np.nan if self.frame_rate_hz is None else self.frame_rate_hz
        arrays["frame_rate_hz"] = np.array(rate, dtype=np.float64)
        if self.seen is not None:
            arrays["seen"] = self.seen.astype(np.int8, copy=False)
        for name in TRAINED_ON:
            if getattr(self, name) is not None:
                arrays[name] = np.array(getattr(self, name), dtype=np.float64)
        if self.of_trials:
            arrays["of_trials"] = np.array(True)
        write_with(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]

    def _dtypes(self) -> dict[str, Any]:
        """Of each column in a file; values that need their digits keep them."""
        wide = [
            name
            for name in ("target", "score")
            if self.kind == "value" and getattr(self, name).dtype == np.float64
        ]
        return COLUMNS | dict.fromkeys(wide, np.float64)

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """The predictions that `save` wrote.

        Raises
        ------
        MissingDataError
            There is no such file.
        DecoderError
            The file is damaged, holds something else, or is not the one that the ``done.json``
            beside it records.
        """
        try:
            with path.open("rb") as file:
                found = _from_arrays(_read_arrays(file))
            check_recorded(path)
            return found
        except FileNotFoundError as error:
            raise MissingDataError(
                f"there is no predictions file {path}; run the fit or the prediction that writes it"
            ) from error
        except (CorticodeError, *LIBRARY_ERRORS) as error:
            raise DecoderError(
                f"{path} is damaged or holds no predictions ({error}); delete it and run the same "
                "command again ('corticode run', where it is part of a run)"
            ) from error

    def to_frame(self) -> pd.DataFrame:
        """A table with names in place of codes, one row a window.

        The columns are part, animal, session, frame, target (for several classes the index),
        and score, or one ``score_<class>`` for each of several classes.
        """
        import pandas as pd

        columns: dict[str, NDArray[Any]] = {
            "part": np.array(PART_NAMES, dtype=object)[self.part],
            "animal": np.array(self.animal_names, dtype=object)[self.animal],
            "session": np.array(self.session_names, dtype=object)[self.session],
            "frame": self.frame,
            "target": self.target,
        }
        if self.kind == "classes":
            columns |= {f"score_{name}": self.score[:, k] for k, name in enumerate(self.classes)}
        else:
            columns["score"] = self.score
        return pd.DataFrame(columns)


def holds_predictions(path: Path) -> bool:
    """Whether a file, CSV or NPZ, is of predictions; a file of anything else is somebody's own."""
    columns = ["part", "animal", "session", "frame", "target"]
    try:
        if path.suffix == ".npz":
            Predictions.load(path)
            return True
        with path.open(encoding="utf-8") as file:
            return file.readline(MOST_HEADER).split(",")[: len(columns)] == columns
    except (OSError, ValueError, CorticodeError):
        return False


def join(several: Sequence[Predictions]) -> Predictions:
    """All rows of several predictions, one after the other, under common name tables.

    Parameters
    ----------
    several
        Predictions of one kind, with the same classes and frame rate. Names are what counts:
        ``"m1"`` of one and ``"m1"`` of another is the same animal.

    Raises
    ------
    DataError
        There is none, or they differ in kind, classes or frame rate.

    Examples
    --------
    >>> def said_of(animal):
    ...     zero = np.zeros(2, np.int16)
    ...     return Predictions(
    ...         zero, zero, zero, np.arange(2), zero / 1, zero / 1, "value", (animal,), ("a",)
    ...     )
    >>> both = join([said_of("m1"), said_of("m2")])
    >>> both.animal_names, both.animal
    (('m1', 'm2'), array([0, 0, 1, 1], dtype=int16))
    """
    if not several:
        raise DataError("there are no predictions to join; give at least one")
    for name in ("kind", "classes", "frame_rate_hz", "of_trials"):
        found = list(dict.fromkeys(getattr(one, name) for one in several))
        if len(found) > 1:
            raise DataError(
                f"predictions with {name} {found[0]!r} and {found[1]!r} do not go into one table; "
                "join those that agree, and score the others apart"
            )
    animal_names, animal = _join_names([(one.animal_names, one.animal) for one in several])
    session_names, session = _join_names([(one.session_names, one.session) for one in several])
    stacked: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in several])
        for name in ("part", "frame", "target", "score")
    }
    known = {name: {getattr(one, name) for one in several} for name in TRAINED_ON}
    shared: dict[str, Any] = {
        name: found.pop() if len(found) == 1 else None for name, found in known.items()
    }
    return replace(
        several[0],
        seen=None
        if all(one.seen is None for one in several)
        else np.concatenate([one.part if one.seen is None else one.seen for one in several]),
        animal=animal,
        session=session,
        animal_names=animal_names,
        session_names=session_names,
        **shared,
        **stacked,
    )


def _join_names(
    tables: list[tuple[tuple[str, ...], NDArray[np.int16]]],
) -> tuple[tuple[str, ...], NDArray[np.int16]]:
    """One table of names, and all codes in it."""
    names = tuple(dict.fromkeys(name for table, _ in tables for name in table))
    code_of = {name: code for code, name in enumerate(names)}
    codes = [
        np.array([code_of[name] for name in table], dtype=np.int16)[old] for table, old in tables
    ]
    return names, np.concatenate(codes)


def _read_arrays(file: Any) -> dict[str, NDArray[Any]]:
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, NpzFile):
        raise DecoderError("a single array")
    return {name: archive[name] for name in archive.files}


def _from_arrays(arrays: dict[str, NDArray[Any]]) -> Predictions:
    rate = float(arrays["frame_rate_hz"])
    columns: dict[str, Any] = {name: arrays[name] for name in COLUMNS}
    tables: dict[str, Any] = {name: tuple(arrays[name].tolist()) for name in NAME_TABLES}
    trained_on: dict[str, Any] = {n: float(arrays[n]) for n in TRAINED_ON if n in arrays}
    return Predictions(
        **columns,
        **tables,
        kind=str(arrays["kind"]),
        frame_rate_hz=None if np.isnan(rate) else rate,
        seen=arrays.get("seen"),
        **trained_on,
        of_trials=bool(arrays.get("of_trials", False)),
    )


def _check_description(given: Predictions) -> None:
    if given.kind not in KINDS:
        raise DataError(f"predictions are of kind {given.kind!r}; give one of {', '.join(KINDS)}")
    n_classes = len(given.classes)
    fits = {"binary": n_classes in (0, 2), "classes": n_classes >= 2, "value": n_classes == 0}
    if not fits[given.kind]:
        raise DataError(
            f"predictions of kind {given.kind!r} come with {n_classes} class names; give 2 or none "
            "for 'binary', all of them for 'classes', none for 'value'"
        )
    rate = given.frame_rate_hz
    if rate is not None and not 0 < rate < np.inf:
        raise DataError(f"the frame rate is {rate} Hz; give a positive number, or None")


def _check_shapes(given: Predictions) -> None:
    n_windows = given.frame.size
    for name, dtype in COLUMNS.items():
        column = getattr(given, name)
        shape: tuple[int, ...] = (n_windows,)
        if name == "score" and given.kind == "classes":
            shape = (n_windows, len(given.classes))
        if column.shape != shape:
            raise DataError(
                f"{name} has shape {column.shape}, where the {n_windows} frames need {shape}; "
                "give one row a window"
            )
        wanted = np.integer if np.issubdtype(dtype, np.integer) else np.floating
        if not np.issubdtype(column.dtype, wanted):
            raise DataError(
                f"{name} is of type {column.dtype}; convert it to {np.dtype(dtype).name}"
            )


def _check_codes(given: Predictions) -> None:
    if given.n_windows == 0:
        return
    if given.frame.min() < 0:
        raise DataError(f"frame {given.frame.min()} is below 0; frames count from 0")
    if given.seen is not None and given.seen.shape != given.part.shape:
        raise DataError(
            f"seen has shape {given.seen.shape}, where the {given.n_windows} windows need "
            f"{given.part.shape}; give one code a window, or None"
        )
    for name, names in (
        ("part", PART_NAMES),
        ("animal", given.animal_names),
        ("session", given.session_names),
    ):
        codes = getattr(given, name)
        if codes.min() < 0 or codes.max() >= len(names):
            raise DataError(
                f"{name} codes run from {codes.min()} to {codes.max()}, but there are "
                f"{len(names)} names; codes begin at 0 and each needs its name"
            )


def _check_targets(given: Predictions) -> None:
    known = given.target[~np.isnan(given.target)]
    if given.kind == "value":
        fits = np.isfinite(known)
    else:
        n_classes = len(given.classes) or 2
        fits = (known >= 0) & (known < n_classes) & (known == np.floor(known))
    if not fits.all():
        needed = "a number" if given.kind == "value" else f"an index from 0 to {n_classes - 1}"
        raise DataError(
            f"{np.count_nonzero(~fits)} targets of kind {given.kind!r} (the first is "
            f"{known[~fits][0]:g}) are not possible; a target is {needed}, or NaN where not known"
        )


def _check_scores(given: Predictions) -> None:
    n_bad = int(np.count_nonzero(~np.isfinite(given.score)))
    if n_bad:
        raise DecoderError(
            f"{n_bad} of {given.score.size} scores are not finite; the decoder's training "
            "diverged or its input holds NaN: lower the learning rate, or check the recording"
        )
    if given.kind == "value" or given.score.size == 0:
        return
    low, high = float(given.score.min()), float(given.score.max())
    if low < -PROBABILITY_TOLERANCE or high > 1 + PROBABILITY_TOLERANCE:
        raise DecoderError(
            f"scores run from {low:.3g} to {high:.3g}, but those of kind {given.kind!r} are "
            "probabilities from 0 to 1; pass logits through a sigmoid or softmax first"
        )
