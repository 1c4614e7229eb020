"""The label-permuted control: targets that no longer belong to their frames."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.errors import DataError, StudyError

HOW = ("sessions", "segments", "blocks", "frames")


def permute_labels(
    targets: Sequence[NDArray[np.float32]],
    animals: Sequence[str],
    how: str,
    seed: int,
    *,
    segments: Sequence[NDArray[Any]] | None = None,
    n_blocks: int = 10,
    names: Sequence[str] | None = None,
) -> list[NDArray[np.float32]]:
    """Target traces of the label-permuted control, one a session.

    Whole traces keep their own time course, so that only their tie to the cortex is cut; nothing
    that is exchanged stays in its own place, and every such order is equally likely. Where a piece
    comes to a longer place, the rest has no target; to a shorter one, it is cut. This is the
    control for training; p-values need all permutations, not these.

    Parameters
    ----------
    targets
        One (frame,) trace a session; never changed.
    animals
        The animal of each session.
    how
        ``"sessions"``: traces are exchanged among the sessions of an animal. ``"segments"``: the
        stretches between gaps in time are exchanged within a session. ``"blocks"``: so are
        `n_blocks` equal stretches. ``"frames"``: all frames with a target are shuffled within a
        session, which also destroys the time course.
    seed
        Random numbers depend on it, on the animal and on the session's position within the animal,
        and on nothing else: leaving other animals out changes nothing.
    segments
        For ``"segments"``: one (frame,) array a session; a change of its value marks a gap.
    n_blocks
        For ``"blocks"``: how many.
    names
        Names of the sessions, for messages; ``None``: their numbers, from 0.

    Returns
    -------
    list
        One (frame,) trace a session, each as long as the session's own.

    Raises
    ------
    StudyError
        An unknown `how`, or fewer than two pieces to exchange.
    DataError
        Lists of different lengths.

    Examples
    --------
    >>> traces = [np.zeros(2, np.float32), np.ones(3, np.float32)]
    >>> [trace.tolist() for trace in permute_labels(traces, ["m1", "m1"], "sessions", seed=0)]
    [[1.0, 1.0], [0.0, 0.0, nan]]
    """
    names = [str(k) for k in range(len(targets))] if names is None else names
    _check_request(targets, animals, how, segments, names)
    permuted = list(targets)
    for animal in dict.fromkeys(animals):
        sessions = [k for k, owner in enumerate(animals) if owner == animal]
        if how == "sessions":
            _check_pieces(len(sessions), f"animal {animal!r}", how)
            own = [targets[k] for k in sessions]
            exchanged = _exchange(own, _random(seed, animal))
            for k, trace in zip(sessions, exchanged, strict=True):
                permuted[k] = trace
            continue
        for position, k in enumerate(sessions):
            rng = _random(seed, animal, position)
            if how == "frames":
                permuted[k] = _shuffle(targets[k], rng)
                continue
            bounds = _gaps(segments[k]) if segments and how == "segments" else None
            pieces = _cut(targets[k], n_blocks, bounds)
            _check_pieces(len(pieces), f"session {names[k]!r} of animal {animal!r}", how)
            permuted[k] = np.concatenate(_exchange(pieces, rng))
    return permuted


def _check_request(
    targets: Sequence[NDArray[np.float32]],
    animals: Sequence[str],
    how: str,
    segments: Sequence[NDArray[Any]] | None,
    names: Sequence[str],
) -> None:
    if how not in HOW:
        raise StudyError(f"permute_labels is {how!r}; it must be one of {', '.join(HOW)}")
    if how == "segments" and segments is None:
        raise StudyError(
            "permute_labels = 'segments' needs gaps in time; name the catalogue's `segment` "
            "column, or take 'blocks'"
        )
    for noun, listed in (("animals", animals), ("names", names), ("segments", segments)):
        if listed is not None and len(listed) != len(targets):
            raise DataError(
                f"{len(targets)} target traces came with {len(listed)} {noun}; "
                "give one for each session"
            )
    if how == "segments" and segments is not None:
        for target, segment, name in zip(targets, segments, names, strict=True):
            if len(segment) != len(target):
                raise DataError(
                    f"session {name!r} has {len(target)} frames and {len(segment)} values of "
                    "segment; give one for each frame"
                )


def _check_pieces(n_pieces: int, whose: str, how: str) -> None:
    if n_pieces > 1:
        return
    ways_out = {
        "sessions": "permute_labels = 'segments' or 'blocks'",
        "segments": "permute_labels = 'sessions' or 'blocks'",
        "blocks": "n_blocks of 2 or more, and a session of at least two frames",
    }
    raise StudyError(
        f"{whose} has {n_pieces} of the two or more {how} that permuting labels needs; "
        f"choose {ways_out[how]}"
    )


def _random(seed: int, animal: str, *position: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(animal.encode()), *position])


def _gaps(segment: NDArray[Any]) -> NDArray[np.intp]:
    return np.flatnonzero(segment[1:] != segment[:-1]) + 1


def _cut(
    target: NDArray[np.float32], n_blocks: int, bounds: NDArray[np.intp] | None
) -> list[NDArray[np.float32]]:
    if bounds is None:
        n_blocks = max(1, min(n_blocks, len(target)))
        bounds = np.arange(1, n_blocks) * len(target) // n_blocks
    return np.split(target, bounds)


def _derangement(n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """An order without a fixed point; about one draw in e is one, whatever `n`."""
    while True:
        order = rng.permutation(n)
        if not np.any(order == np.arange(n)):
            return order


def _exchange(
    pieces: Sequence[NDArray[np.float32]], rng: np.random.Generator
) -> list[NDArray[np.float32]]:
    exchanged = []
    for place, source in zip(pieces, _derangement(len(pieces), rng), strict=True):
        moved = np.full(len(place), np.nan, np.float32)
        shared = min(len(place), len(pieces[source]))
        moved[:shared] = pieces[source][:shared]
        exchanged.append(moved)
    return exchanged


def _shuffle(target: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    shuffled = np.array(target, np.float32)
    known = np.isfinite(shuffled)
    shuffled[known] = rng.permutation(shuffled[known])
    return shuffled
