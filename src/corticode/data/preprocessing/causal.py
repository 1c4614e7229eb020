"""The causal form frame by frame: fitted on a warm-up, then one frame pair in, one frame out."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.preprocessing.blood import CausalBlood
from corticode.data.preprocessing.chain import (
    CALCIUM,
    REFERENCE,
    RawSession,
    bin_frames,
    dff_of,
    fit_session,
)
from corticode.data.preprocessing.components import project, rebuild
from corticode.data.preprocessing.dff import RunningF0, dff
from corticode.data.preprocessing.steps import Steps
from corticode.errors import DataError, StudyError


class CausalChain:
    """Preprocesses frames as they come, with what a warm-up taught; no later frame is waited for.

    It gives what `corticode.data.preprocessing.chain.preprocess_session` gives with the same steps
    behind the same warm-up, however frames are grouped.

    Parameters
    ----------
    warm_up
        The first frames of a session, as the camera gave them; all is fitted on them.
    steps
        What is asked for, with ``causal = True``.
    folder
        Where scratch files may lie; they are gone afterwards.

    Raises
    ------
    StudyError
        The steps are not causal, or a method has no causal form.
    DataError
        The warm-up cannot be used or is too short.

    Examples
    --------
    >>> import tempfile
    >>> from corticode.data.preprocessing.steps import Blood, Motion
    >>> rng = np.random.default_rng(0)
    >>> frames = rng.poisson(1000, (90, 8, 8))
    >>> raw = RawSession({"calcium": frames[:60]}, np.zeros(60, bool), 30.0)
    >>> steps = Steps(causal=True, motion=Motion("none"), blood=Blood("none"))
    >>> chain = CausalChain(raw, steps, Path(tempfile.mkdtemp()))
    >>> chain.take({"calcium": frames[60:61]}).shape
    (1, 8, 8)
    """

    def __init__(self, warm_up: RawSession, steps: Steps, folder: Path) -> None:
        if not steps.causal:
            raise StudyError(
                "frames can be preprocessed as they come with causal = true alone; set it in "
                "[preprocess]"
            )
        fitted = fit_session(warm_up, steps, folder)
        self.steps, self._raw, self._fitted = steps, warm_up, fitted
        kept = fitted.mask.ravel()
        self._kept = kept
        self._f0 = {name: image.ravel()[kept] for name, image in fitted.f0.items()}
        self._running: dict[str, RunningF0] = {}
        baseline = steps.baseline
        if baseline is not None and baseline.kind == "running":
            asked = dff_of(baseline, fitted.frame_rate_hz, causal=True)
            self._running = {name: RunningF0(asked.window_frames or 1) for name in fitted.f0}
        self._blood = None if fitted.blood is None else CausalBlood(fitted.blood)
        self._waiting: dict[str, NDArray[np.float32]] = {}
        # Filters and running means begin where the session does.
        for first in range(0, warm_up.n_frames, steps.bins.frames):
            rows = slice(first, first + steps.bins.frames)
            block = {name: movie[rows] for name, movie in warm_up.channels.items()}
            self.take(block, left_out=warm_up.left_out[rows])

    def take(
        self, frames: dict[str, NDArray[Any]], *, left_out: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """The next frames, preprocessed.

        Parameters
        ----------
        frames
            By channel, (frame, row, column), counts as recorded: the frames behind those given
            before.
        left_out
            (frame,): frames that cannot be used; None: none.

        Returns
        -------
        NDArray
            (frame, row, column), dF/F in percent (counts where no dF/F is made); NaN for pixels
            that are not kept and for frames that cannot be used. With bins of frames as many as
            are full.

        Raises
        ------
        DataError
            A channel is missing, or frames are of another size than the warm-up's.
        """
        moved = self._moved(frames, left_out)
        binned = self._binned(moved)
        n_frames = len(binned[CALCIUM])
        course = {
            name: block.reshape(n_frames, self._kept.size)[:, self._kept]
            for name, block in binned.items()
        }
        changed = {name: self._dff(name, course[name]) for name in self._f0}
        for name, few in self._fitted.components.items():
            lost = ~np.isfinite(changed[name]).all(axis=1)
            changed[name] = rebuild(project(changed[name], few), few)
            changed[name][lost] = np.nan
        values = changed[CALCIUM]
        if self._blood is not None:
            values = self._blood.correct(values, changed[REFERENCE])
        made = np.full((n_frames, self._kept.size), np.nan, np.float32)
        made[:, self._kept] = values * np.float32(100 if self.steps.baseline else 1)
        return made.reshape(n_frames, *self._fitted.mask.shape)

    def _moved(
        self, frames: dict[str, NDArray[Any]], left_out: NDArray[np.bool_] | None
    ) -> dict[str, NDArray[np.float32]]:
        """Counts above dark, put back; NaN for frames that cannot be used."""
        counts = {}
        for name, movie in self._raw.channels.items():
            if name not in frames or frames[name].shape[1:] != movie.shape[1:]:
                given = frames[name].shape[1:] if name in frames else "missing"
                raise DataError(
                    f"frames of the {name} channel are {given}; the warm-up's have "
                    f"{movie.shape[1]} x {movie.shape[2]} pixels: give every channel, as recorded"
                )
            counts[name] = frames[name].astype(np.float32)
            counts[name] -= np.float32(self._raw.dark.get(name, 0.0))
        shifts, lost = self._fitted.mover.shifts_of(counts)
        moved = self._fitted.mover.move(counts, shifts, lost)
        unusable = lost if left_out is None else lost | left_out
        for block in moved.values():
            block[unusable] = np.nan
        return {name: moved[name] for name in self._f0}

    def _binned(self, moved: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Bins that are full; the frames of one that is not wait for the next call."""
        n_per_bin = self.steps.bins.frames
        if n_per_bin > 1:
            if self._waiting:
                moved = {k: np.concatenate([self._waiting[k], moved[k]]) for k in moved}
            n_full = len(moved[CALCIUM]) // n_per_bin * n_per_bin
            self._waiting = {name: block[n_full:] for name, block in moved.items()}
            moved = {name: block[:n_full] for name, block in moved.items()}
        return {name: bin_frames(block, self.steps.bins) for name, block in moved.items()}

    def _dff(self, name: str, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.steps.baseline is None:
            return counts
        level = self._running[name].take(counts) if self._running else self._f0[name]
        return dff(counts, level)
