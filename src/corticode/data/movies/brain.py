"""Which pixels show the brain, from a session's mean image."""

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from corticode.errors import DataError

SMOOTHING_PIXELS = 1.0
DARKEST = 0.01  # of the range: what is added before the logarithm
N_BINS = 256
LEAST_SEPARATION = 0.8  # an even ramp has 0.75, a normal distribution 0.64


def find_brain(image: NDArray[Any]) -> tuple[NDArray[np.bool_], float]:
    """Which pixels show the brain, and how clearly it stands out from what is around it.

    Otsu's threshold on the logarithm of the smoothed image, so that the dim rim of a vignetted
    brain still counts as brain; then the largest connected area, its holes (vessels) filled.

    Parameters
    ----------
    image
        (row, column): a mean image, brain brighter than surround. Pixels that are NaN are outside.

    Returns
    -------
    mask
        (row, column), True in the brain.
    separation
        The share of the image's variance that lies between brain and surround, as the threshold
        parts them, 0 to 1. Where it is below 0.8 there may be no surround in view at all.

    Raises
    ------
    DataError
        All pixels are alike.

    References
    ----------
    Otsu (1979), doi:10.1109/TSMC.1979.4310076.

    Examples
    --------
    >>> rows, columns = np.mgrid[:32, :32] - 16
    >>> mask, separation = find_brain(100.0 + 3000 * (np.hypot(rows, columns) < 10))
    >>> mask[16, 16], mask[0, 0], separation > 0.8
    (np.True_, np.False_, True)
    """
    seen = np.isfinite(image)
    if not seen.any() or np.ptp(image[seen]) == 0:
        raise DataError(
            f"the mean image of {image.shape[0]} x {image.shape[1]} pixels is the same everywhere; "
            "no brain can be told from its surround"
        )
    lowest = image[seen].min()
    smooth = scipy.ndimage.gaussian_filter(np.where(seen, image, lowest), SMOOTHING_PIXELS)
    values = np.log(smooth - lowest + DARKEST * np.ptp(image[seen]))
    threshold, separation = otsu_threshold(values[seen])
    labels, _ = scipy.ndimage.label(seen & (values > threshold))
    areas = np.bincount(labels.ravel())[1:]
    mask = scipy.ndimage.binary_fill_holes(labels == 1 + areas.argmax())
    return np.asarray(mask & seen), separation


def otsu_threshold(values: NDArray[np.float64]) -> tuple[float, float]:
    """The threshold that parts values into the two most compact groups, and their separation.

    Parameters
    ----------
    values
        Finite values, not all the same; taken in 256 bins.

    Returns
    -------
    threshold
        Values above it are the upper group.
    separation
        The share of all variance that lies between the groups, 0 to 1.

    Examples
    --------
    >>> threshold, separation = otsu_threshold(np.array([0.0, 1.0, 1.0, 9.0, 10.0]))
    >>> 1 < threshold < 9, round(separation, 2)
    (True, 0.99)
    """
    counts, edges = np.histogram(values, N_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1] / counts.sum()
    total = float(np.average(centres, weights=counts))
    mean_below = np.cumsum(counts * centres)[:-1] / counts.sum()
    between = (total * below - mean_below) ** 2 / (below * (1 - below))
    variance = float(np.average((centres - total) ** 2, weights=counts))
    # Where no value lies between two groups, every threshold between them is as good.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    return float(edges[1:][best].mean()), float(between.max() / variance)
