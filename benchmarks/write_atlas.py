"""Write the package's dorsal map of the Allen atlas anew, from the masks it was made of.

The masks are `mesoscaler`'s (BraiDyn-BC/python-ks-mesoscaler, MIT), an HDF5 file of 44 images of
512 x 512 pixels with attributes name, side, AllenID and description:

    python benchmarks/write_atlas.py reference_masks.h5

writes `src/corticode/published/allen_44_labels.npz` and `allen_44_regions.csv`. The landmarks
beside them (`allen_44_landmarks.csv`) are nine points of MesoNet's and one that is read off here:
where the retrosplenial areas of both sides end at the midline, printed for comparison.
"""

import csv
import io
import sys
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent.parent / "src" / "corticode" / "published"
GROUPS = {
    "OB": "olfactory bulb",
    "MO": "motor",
    "SS": "somatosensory",
    "VISa": "posterior parietal;visual",
    "VISrl": "posterior parietal;visual",
    "VIS": "visual",
    "AUD": "auditory",
    "RSP": "retrosplenial",
}
COLUMNS = ("label", "name", "side", "mirror", "group", "allen_id", "description")
# At the midline the retrosplenial areas of both sides lie this far apart, to the pixel.
GAP_PIXELS = 10


def read_masks(path: Path) -> tuple[NDArray[np.uint8], list[dict[str, str]]]:
    """The label image (row, column), and a row a mask; label k is the k-th mask."""
    rows = []
    with h5py.File(path) as file:
        masks = file["masks"]
        labels = np.zeros(masks["001"].shape, np.uint8)
        for number, key in enumerate(sorted(masks), start=1):
            mask = masks[key][()] > 0
            assert not labels[mask].any(), f"mask {key} overlaps with another"
            labels[mask] = number
            named = dict(masks[key].attrs)
            # Allen's acronyms have a hyphen where the masks have an underscore.
            area, side = str(named["name"]).replace("_", "-"), str(named["side"])
            other = "right" if side == "left" else "left"
            group = next(GROUPS[start] for start in GROUPS if area.startswith(start))
            values = (
                str(number),
                f"{area}_{side}",
                side,
                f"{area}_{other}",
                f"{group};{area}",
                str(named["AllenID"]),
                str(named["description"]),
            )
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return labels, rows


def end_of_retrosplenial(labels: NDArray[np.uint8], rows: list[dict[str, str]]) -> int:
    """The last row in which the retrosplenial areas of both sides still meet at the midline."""
    left, right = (
        int(next(row["label"] for row in rows if row["name"] == f"RSPd_{side}"))
        for side in ("left", "right")
    )
    last = 0
    for row, values in enumerate(labels):
        inner, outer = np.flatnonzero(values == left), np.flatnonzero(values == right)
        if inner.size and outer.size and outer[0] - inner[-1] <= GAP_PIXELS:
            last = row
    return last


def main() -> None:
    """Write both files, and print what the landmark at the back is read off."""
    labels, rows = read_masks(Path(sys.argv[1]))
    np.savez_compressed(FOLDER / "allen_44_labels.npz", labels=labels)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (FOLDER / "allen_44_regions.csv").write_text(text.getvalue(), "utf-8")
    print(f"{len(rows)} regions, {np.count_nonzero(labels):,} of {labels.size:,} pixels")
    print(f"retrosplenial areas end at the midline in row {end_of_retrosplenial(labels, rows)}")


if __name__ == "__main__":
    main()
