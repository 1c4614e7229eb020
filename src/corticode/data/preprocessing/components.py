"""Movies denoised by few spatial components, fitted on stated frames.

Components are the leading left singular vectors of binned dF/F, as wfield and Musall's tools have
them: a movie projected on them loses most of the noise of photons. They say nothing of labels, but
those of a whole session have seen the frames that a decoder is tested on: for a strict claim they
are fitted on training sessions in the same space. Blocks of bins are merged one after the other, so
that neither a movie nor all its bins are ever held.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.errors import DataError, StudyError

Array = NDArray[np.float64]

BIN_FRAMES = 15
SPARE = 50  # components kept beyond those asked for while blocks are merged
BLOCK_BINS = 256
MOST_BINS = 2000


@dataclass(frozen=True)
class Components:
    """Spatial components of a movie.

    Parameters
    ----------
    images
        (pixel, component), orthonormal columns, the strongest first; NaN in pixels that have no
        value.
    strength
        (component,): singular values of the binned frames.
    variance_kept
        The fraction of the binned frames' sum of squares that the components hold.
    n_bins
        How many bins they were fitted on.
    """

    images: NDArray[np.float32]
    strength: Array
    variance_kept: float
    n_bins: int


class ComponentFit:
    """Fits spatial components to frames that are added block by block.

    Frames are averaged in bins; every 256 bins are merged with what was found before, which is cut
    to the components asked for and 50 more. So the result is that of all bins at once as far as
    those 50 hold what is cut.

    Parameters
    ----------
    n_components
        How many.
    bin_frames
        Frames averaged before the fit.

    Raises
    ------
    StudyError
        Either is not a whole number above 0.

    References
    ----------
    Merging: Ross et al. (2008), doi:10.1007/s11263-007-0075-7. Components of 15-frame bins: Couto
    et al. (2021), doi:10.1038/s41596-021-00527-z.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> frames = np.outer(rng.normal(size=60), [3.0, 4.0]) + 0.001 * rng.normal(size=(60, 2))
    >>> fit = ComponentFit(1, bin_frames=2)
    >>> fit.add(frames)
    >>> np.abs(fit.components().images.ravel()).round(2).tolist()
    [0.6000000238418579, 0.800000011920929]
    """

    def __init__(self, n_components: int, *, bin_frames: int = BIN_FRAMES) -> None:
        for name, number in (("components", n_components), ("bin_frames", bin_frames)):
            if int(number) != number or number < 1:
                raise StudyError(f"{name} is {number!r}; it must be a whole number above 0")
        self.n_components, self.bin_frames = n_components, bin_frames
        self._seen: NDArray[np.bool_] | None = None
        self._waiting: list[Array] = []
        self._found: Array | None = None  # (component, seen pixel), rows scaled by their strength
        self._squares, self._n_bins = 0.0, 0

    def add(self, frames: NDArray[Any]) -> None:
        """Add consecutive frames; those beyond the last whole bin are left out.

        Parameters
        ----------
        frames
            (frame, pixel), dF/F. Pixels that are finite in no frame of the first block are left
            out of all. Other samples that are missing are left out of their bin's mean; a pixel
            without a value in a bin is 0 there.

        Raises
        ------
        DataError
            Another number of pixels than before, or none with a value.
        """
        n_bins = len(frames) // self.bin_frames
        if not n_bins:
            return
        if self._seen is None:
            self._seen = np.isfinite(frames).any(axis=0)
        if self._seen.shape != frames.shape[1:] or not self._seen.any():
            raise DataError(
                f"frames of {frames.shape[1:]} pixels after a first block of {self._seen.size}, "
                f"{int(self._seen.sum())} with a value; components need the same pixels in every "
                "block, and values in some"
            )
        used = frames[: n_bins * self.bin_frames, self._seen]
        values = np.asarray(used, np.float64).reshape(n_bins, self.bin_frames, -1)
        known = np.isfinite(values)
        total = np.where(known, values, 0).sum(axis=1)
        self._waiting.append(total / np.maximum(known.sum(axis=1), 1))
        self._n_bins += n_bins
        if sum(map(len, self._waiting)) >= BLOCK_BINS:
            self._merge()

    def components(self) -> Components:
        """The components of what was added.

        Raises
        ------
        DataError
            Fewer bins or pixels than components.
        """
        self._merge()
        n_most = 0 if self._found is None or self._seen is None else int(self._seen.sum())
        if (
            self._found is None
            or self._seen is None
            or min(self._n_bins, n_most) < (self.n_components)
        ):
            raise DataError(
                f"{self.n_components} components were asked of {self._n_bins} bins of "
                f"{self.bin_frames} frames and {n_most} pixels; there must be as many of either: "
                "ask for fewer components, or give more frames"
            )
        found = self._found[: self.n_components]
        strength = np.sqrt((found**2).sum(axis=1))
        scale = np.divide(1.0, strength, out=np.zeros(strength.size), where=strength > 0)
        images = np.full((self._seen.size, self.n_components), np.nan, np.float32)
        images[self._seen] = (found * scale[:, None]).T
        kept = float((strength**2).sum() / self._squares) if self._squares else 1.0
        return Components(images, strength, kept, self._n_bins)

    def _merge(self) -> None:
        """Bins that wait become part of what was found: leading right vectors of both together."""
        if not self._waiting:
            return
        new = np.concatenate(self._waiting)
        self._waiting = []
        self._squares += float((new**2).sum())
        both = new if self._found is None else np.concatenate([self._found, new])
        power, mixed = np.linalg.eigh(both @ both.T)
        n_kept = min(self.n_components + SPARE, int((power > 0).sum()))
        largest = mixed[:, ::-1][:, :n_kept]
        # Rows stay orthogonal, each as long as its singular value.
        self._found = largest.T @ both


def components_of_bands(
    bands: Callable[[], Iterable[NDArray[Any]]],
    n_components: int,
    *,
    fit: NDArray[np.bool_],
    bin_frames: int = BIN_FRAMES,
) -> tuple[Components, NDArray[np.float32]]:
    """Components of a movie that comes as bands of pixels, each with its whole course.

    Parameters
    ----------
    bands
        Gives the bands, (frame, pixel) each, dF/F; called twice.
    n_components
        How many.
    fit
        (frame,): frames that are finite in all pixels, on which components are fitted.
    bin_frames
        Frames averaged before the fit; more where there would be over 2,000 bins.

    Returns
    -------
    components
        Of the bands' pixels, one band behind the other.
    strengths
        (frame, component); NaN where a frame has no value.

    Raises
    ------
    DataError
        Fewer bins or pixels than components.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> frames = np.outer(rng.normal(size=60), [3.0, 4.0])
    >>> found, strengths = components_of_bands(
    ...     lambda: [frames[:, :1], frames[:, 1:]], 1, fit=np.ones(60, bool), bin_frames=2)
    >>> np.abs(found.images.ravel()).round(2).tolist(), strengths.shape
    ([0.6000000238418579, 0.800000011920929], (60, 1))
    """
    chosen = np.flatnonzero(fit)
    bin_frames = max(bin_frames, -(-chosen.size // MOST_BINS))
    n_bins = chosen.size // bin_frames

    def binned(band: NDArray[Any]) -> Array:
        used = np.asarray(band[chosen[: n_bins * bin_frames]], np.float64)
        return np.asarray(used.reshape(n_bins, bin_frames, -1).mean(axis=1))

    products, n_pixels = np.zeros((n_bins, n_bins)), 0
    for band in bands():
        course = binned(band)
        products += course @ course.T
        n_pixels += band.shape[1]
    if min(n_bins, n_pixels) < n_components:
        raise DataError(
            f"{n_components} components were asked of {n_bins} bins of {bin_frames} frames and "
            f"{n_pixels} pixels; there must be as many of either: ask for fewer components, or "
            "give more frames"
        )
    power, mixed = np.linalg.eigh(products)
    power, mixed = power[::-1][:n_components].clip(0), mixed[:, ::-1][:, :n_components]
    strength = np.sqrt(power)
    scale = np.divide(1.0, strength, out=np.zeros(n_components), where=strength > 0)
    images, projected = [], np.zeros((fit.size, n_components), np.float32)
    for band in bands():
        own = ((binned(band).T @ mixed) * scale).astype(np.float32)
        images.append(own)
        projected += np.asarray(band, np.float32) @ own
    total = float(np.trace(products))
    kept = float(power.sum() / total) if total else 1.0
    return Components(np.concatenate(images), strength, kept, n_bins), projected


def project(frames: NDArray[Any], components: Components) -> NDArray[np.float32]:
    """How strongly each component shows in each frame.

    Parameters
    ----------
    frames
        (frame, pixel), dF/F. Missing samples count as 0, their baseline.
    components
        Of the same pixels.

    Returns
    -------
    NDArray
        (frame, component), float32.

    Raises
    ------
    DataError
        Other pixels than the components'.

    Examples
    --------
    >>> images = np.array([[0.6], [0.8]], np.float32)
    >>> project(np.array([[3.0, 4.0]]), Components(images, np.ones(1), 1.0, 1)).round(3).tolist()
    [[5.0]]
    """
    images = components.images
    if frames.shape[1:] != images.shape[:1]:
        raise DataError(
            f"frames of {frames.shape[1:]} pixels, components of {images.shape[0]}; both must be "
            "of the same pixels (binned and masked alike)"
        )
    filled = np.nan_to_num(np.asarray(frames, np.float32), posinf=0, neginf=0)
    return np.asarray(filled @ np.nan_to_num(images))


def rebuild(strengths: NDArray[Any], components: Components) -> NDArray[np.float32]:
    """Frames made of components: a denoised movie, or a band of its pixels.

    Parameters
    ----------
    strengths
        (frame, component), as `project` gives them.
    components
        Those that they are of.

    Returns
    -------
    NDArray
        (frame, pixel), float32; NaN in pixels that have no value.

    Examples
    --------
    >>> images = np.array([[0.6], [0.8]], np.float32)
    >>> rebuild(np.array([[5.0]]), Components(images, np.ones(1), 1.0, 1)).round(3).tolist()
    [[3.0, 4.0]]
    """
    return np.asarray(np.asarray(strengths, np.float32) @ components.images.T)


def slopes_of_components(components: Components, slope: NDArray[Any]) -> Array:
    """What a map of slopes does to components: pinv(U) diag(slope) U, as wfield applies its slopes.

    Filters in time and components in space do not touch each other, so that blood is taken out of
    components as ``b - v @ slopes_of_components(...).T``, with `b` and `v` projections of both
    channels on the same components.

    Parameters
    ----------
    components
        Orthonormal, (pixel, component) images.
    slope
        (pixel,): by pixel, fitted on `rebuild`'s pixels, a band at a time; NaN counts as 0.

    Returns
    -------
    NDArray
        (component, component).

    References
    ----------
    Couto et al. (2021), doi:10.1038/s41596-021-00527-z.

    Examples
    --------
    >>> components = Components(np.eye(2, dtype=np.float32), np.ones(2), 1.0, 2)
    >>> slopes_of_components(components, np.array([1.5, 0.5])).tolist()
    [[1.5, 0.0], [0.0, 0.5]]
    """
    images = np.nan_to_num(components.images).astype(np.float64)
    return np.asarray(images.T @ (np.nan_to_num(slope)[:, None] * images))
