"""How the level of a movie's pixels drifts: its moving mean, kept at few of its frames."""

import numpy as np
from numpy.typing import NDArray

KNOTS_A_LENGTH = 4
_REACH = KNOTS_A_LENGTH // 2  # blocks on each side of a knot


def knot_distance(detrend_frames: int) -> int:
    """Frames between knots of a moving mean of a length: a quarter of it.

    Examples
    --------
    >>> knot_distance(1000), knot_distance(3)
    (250, 1)
    """
    return max(1, round(detrend_frames / KNOTS_A_LENGTH))


class DriftSums:
    """Sums over blocks of a movie's frames, from which its moving mean is made.

    A mean over a thousand frames changes little from one to the next: it is taken at every 250th,
    a knot, over the two blocks before and the two after, and lies on a line in between
    (`drift_at`). At both ends of the movie there are fewer blocks.

    Parameters
    ----------
    n_frames, shape
        The movie's frames, and the (row, column) of each.
    knot_frames
        Frames a block, see `knot_distance`.

    Examples
    --------
    >>> sums, valid = DriftSums(4, (1, 1), knot_frames=2), np.ones(4, bool)
    >>> sums.count(0, valid)
    >>> sums.add(0, valid, np.arange(0.0, 8, 2).reshape(4, 1, 1))
    >>> sums.means().ravel().tolist()
    [3.0, 3.0, 3.0]
    """

    def __init__(self, n_frames: int, shape: tuple[int, ...], knot_frames: int) -> None:
        n_blocks = -(-n_frames // knot_frames)
        self.knot_frames = knot_frames
        self.sums = np.zeros((n_blocks, *shape))
        self.counts = np.zeros(n_blocks, np.int64)

    def count(self, first: int, valid: NDArray[np.bool_]) -> None:
        """Count frames that follow each other, from the number `first` on."""
        blocks, counts = np.unique(self._blocks(first, valid), return_counts=True)
        self.counts[blocks] += counts

    def add(
        self,
        first: int,
        valid: NDArray[np.bool_],
        values: NDArray[np.float64],
        band: slice = slice(None),
    ) -> None:
        """Add some image rows of frames that follow each other.

        Parameters
        ----------
        first
            Number of the first frame.
        valid
            (frame,): those that count.
        values
            Of these, (valid frame, row, column).
        band
            Which rows of the image they are.
        """
        if valid.any():
            blocks, starts = np.unique(self._blocks(first, valid), return_index=True)
            self.sums[blocks, band] += np.add.reduceat(values, starts, axis=0)

    def _blocks(self, first: int, valid: NDArray[np.bool_]) -> NDArray[np.intp]:
        return (first + np.flatnonzero(valid)) // self.knot_frames

    def means(self) -> NDArray[np.float64]:
        """The moving mean at each knot, shape (knot, ...): one before each block, and one after.

        Where no frame near a knot is valid, the mean of all takes its place.
        """
        n_blocks = len(self.counts)
        means = np.empty((n_blocks + 1, *self.sums.shape[1:]))
        for knot in range(n_blocks + 1):
            near = slice(max(0, knot - _REACH), knot + _REACH)
            if not self.counts[near].any():
                near = slice(None)
            means[knot] = self.sums[near].sum(axis=0) / max(1, self.counts[near].sum())
        return means


def drift_at(
    means: NDArray[np.float32], frame: NDArray[np.intp], knot_frames: int
) -> NDArray[np.float32]:
    """A moving mean at some frames, on the lines between its knots; shape (frame, ...).

    Examples
    --------
    >>> drift_at(np.array([0, 10], np.float32), np.array([0, 1, 2]), 4).tolist()
    [0.0, 2.5, 5.0]
    """
    knot, past = np.divmod(frame, knot_frames)
    weight = (past / knot_frames).astype(np.float32).reshape(-1, *[1] * (means.ndim - 1))
    found: NDArray[np.float32] = means[knot] * (1 - weight)
    found += means[knot + 1] * weight
    return found
