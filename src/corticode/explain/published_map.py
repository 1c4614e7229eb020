"""The map of the 2024 study, from the array that it released."""

from itertools import permutations
from pathlib import Path

import numpy as np

from corticode.errors import DataError
from corticode.explain.importance_map import ImportanceMap, MapPart, read_arrays

PUBLISHED_ANIMALS = ("1", "2", "3", "4", "5")
PUBLISHED_RATE_HZ = 30.0


def from_published(path: Path) -> ImportanceMap:
    """The map that the 2024 study released, from its array over splits, frames and regions.

    Only absolute values were released. Splits are the ordered pairs (validation animal, test
    animal) of five; parts by animal are means over the four splits that it tests.

    Parameters
    ----------
    path
        An NPZ file with ``mean_abs_shap``, shape (20, 31, 50), or an NPY file with that array.

    Raises
    ------
    MissingDataError
        There is no such file.
    DataError
        It holds something else.

    References
    ----------
    Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074, Fig. 6.
    """
    arrays = read_arrays(path, "array of the study; give the file with 'mean_abs_shap'")
    splits = list(permutations(PUBLISHED_ANIMALS, 2))
    values = arrays.get("mean_abs_shap", arrays.get(""))
    if values is None or values.ndim != 3 or values.shape[0] != len(splits):
        found = "no such array" if values is None else f"shape {values.shape}"
        raise DataError(
            f"{path} holds {found}; needed is 'mean_abs_shap' of shape (split, frame, region) with "
            f"{len(splits)} splits"
        )
    values = values.astype(np.float64)
    _, n_frames, n_regions = values.shape
    tested = np.array([test for _, test in splits])
    return ImportanceMap(
        kind="deep-shap",
        unit="probability",
        axes=("frame", "region"),
        absolute=values.mean(axis=0),
        names=tuple(str(k + 1) for k in range(n_regions)),
        frames=tuple(range(-(n_frames // 2), n_frames - n_frames // 2)),
        frame_rate_hz=PUBLISHED_RATE_HZ,
        by_animal=tuple(
            MapPart(animal, 0, None, values[tested == animal].mean(axis=0))
            for animal in PUBLISHED_ANIMALS
        ),
        by_decoder=tuple(
            MapPart(f"test-{test}_valid-{valid}", 0, None, part)
            for (valid, test), part in zip(splits, values, strict=True)
        ),
        details={"doi": "10.1371/journal.pcbi.1011074", "background": "10,000 test windows"},
    )
