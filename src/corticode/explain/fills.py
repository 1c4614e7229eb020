"""What stands in the place of covered input, and the few windows that may stand for all."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from corticode.data.windows import Windows
from corticode.errors import DataError, StudyError

FILLS = ("zero", "other-session", "shuffled", "neighbours")
TRACE_FILLS = FILLS[:3]
# A seam between two blocks lies in one window of ten at most.
BLOCK_WINDOWS = 10
# Four pixels around a mask on images of 128.
RING_SHARE = 1 / 32


def check_fill(fill: str, *, sees_movies: bool) -> None:
    """Refuse, with a `StudyError`, a fill that is not there for movies, or for traces."""
    known = FILLS if sees_movies else TRACE_FILLS
    if fill not in known:
        kind = "movies" if sees_movies else "traces"
        raise StudyError(f"fill {fill!r} is none of those for {kind}: {', '.join(known)}")


def donor_rows(windows: Windows, fill: str, *, seed: int) -> NDArray[np.int64]:
    """For each recorded frame, the frame whose values stand in for it where it is covered.

    What is put in is thus the patch's own activity at another time, which looks as it always does
    but does not belong to the behaviour. Only frames that some window sees are lent or borrowed.

    Parameters
    ----------
    windows
        All windows of the sessions.
    fill
        ``"other-session"``: frames of another session of the same animal, in their order from a
        random one on (at its end it begins anew); each session lends to one other.
        ``"shuffled"``: blocks of ten windows' length change places within the session, and none
        keeps its own.
    seed
        Which session lends to which, and where blocks go.

    Returns
    -------
    NDArray
        Shape (frame,); rows that no window sees stand for themselves.

    Raises
    ------
    DataError
        An animal with one session has no other, or a session is too short to be shuffled.
    """
    rng = np.random.default_rng(seed)
    donor = np.arange(windows.traces.shape[0])
    seen = {
        int(k): np.flatnonzero(windows.where(windows.session == k).covered())
        for k in np.unique(windows.session)
    }
    animal_of = {k: int(windows.animal[windows.session == k][0]) for k in seen}
    if fill == "shuffled":
        for k, rows in seen.items():
            donor[rows] = _shuffled(rows, BLOCK_WINDOWS * windows.recipe.n_frames, rng, windows, k)
        return donor
    for animal in sorted(set(animal_of.values())):
        own = [k for k in seen if animal_of[k] == animal]
        if len(own) < 2:
            raise DataError(
                f"animal {windows.animal_names[animal]!r} has one session, so no other can fill "
                "what is covered; take fill = 'shuffled'"
            )
        order = rng.permutation(own)
        for k, lender in zip(order, np.roll(order, 1), strict=True):
            lent = seen[int(lender)]
            # From a random place on: behaviour may follow the same schedule in all sessions.
            lent = np.roll(lent, rng.integers(lent.size))
            donor[seen[int(k)]] = np.resize(lent, seen[int(k)].size)
    return donor


def _shuffled(
    rows: NDArray[np.int64],
    block_frames: int,
    rng: np.random.Generator,
    windows: Windows,
    session: int,
) -> NDArray[np.int64]:
    """Rows of a session with its blocks exchanged along one random cycle: none stays."""
    n_blocks = max(2, rows.size // block_frames)
    if rows.size < n_blocks:
        raise DataError(
            f"session {windows.session_names[session]!r} has {rows.size} frame to shuffle; leave "
            "the session out or take fill = 'zero'"
        )
    blocks = np.array_split(rows, n_blocks)
    order = rng.permutation(n_blocks)
    lender = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    return np.concatenate(
        [np.resize(blocks[lender[k]], block.size) for k, block in enumerate(blocks)]
    )


def rings(covered: NDArray[np.bool_]) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """The connected parts of a mask, and the uncovered pixels around each.

    Parameters
    ----------
    covered
        Shape (row, column).

    Returns
    -------
    list
        Of each part: its pixels, and those that lie up to a 32nd of the image's shorter side (one
        pixel at least) around it and are not covered; both of shape (row, column).

    Examples
    --------
    >>> covered = np.zeros((5, 5), bool)
    >>> covered[0, 0] = covered[3, 3] = True
    >>> [(int(part.sum()), int(ring.sum())) for part, ring in rings(covered)]
    [(1, 2), (1, 4)]
    """
    width = max(1, round(RING_SHARE * min(covered.shape)))
    labels, n_parts = ndimage.label(covered)
    found = []
    for k in range(1, n_parts + 1):
        part = np.asarray(labels == k)
        grown = ndimage.binary_dilation(part, iterations=width)
        found.append((part, np.asarray(grown & ~covered)))
    return found


def thin_windows(windows: Windows, every_n_frames: int, *, seed: int) -> Windows:
    """Few windows that stand for all, chosen so that one image in n passes a CNN.

    Windows come in short runs at regular steps. A run has as many windows as a window has images,
    so that most images serve several windows; runs of one window would cost half a run's images
    for a fraction of its windows, long runs would see few bouts. Each window is as likely to be
    chosen as any other, as each session's first run begins at a random place; windows of one
    image, or of traces, are simply every n-th.

    Parameters
    ----------
    windows
        All windows.
    every_n_frames
        1 keeps all.
    seed
        Where runs begin.

    Raises
    ------
    StudyError
        Not a whole number above 0.
    DataError
        No window is left.
    """
    n = every_n_frames
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise StudyError(f"every_n_frames is {n!r}; it must be a whole number above 0")
    if n == 1:
        return windows
    n_images = windows.recipe.window.n_frames if windows.movies else 1
    step = n * (2 * n_images - 1)
    first = np.random.default_rng([seed, 1]).integers(step, size=len(windows.session_names))
    kept = (windows.start - first[windows.session]) % step < n_images
    if not kept.any():
        raise DataError(
            f"every_n_frames = {n} leaves no window of {windows.n_windows}; take a smaller number"
        )
    return windows.where(kept)
