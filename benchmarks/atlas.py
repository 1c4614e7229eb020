"""How well an atlas is laid on an image by landmarks that were clicked with some noise.

Images have 128 x 128 pixels; the map lies on each by a random similarity (turned by up to 8
degrees, 0.09 to 0.11 mm a pixel, shifted by up to 4 pixels). Landmarks are the true points plus
0.4 pixels of noise (SD, each axis). The error of a region is the distance between its centre as
the fitted and as the true transform have it. Labels are compared with two computations by other
code: scikit-image's warp of the map (nearest pixel), and the commonest region among 8 x 8 points
of each pixel, which is another definition of the same thing. Of wfield's file in
`../shared/formats/files/atlas`, what its own code wrote is compared: the fit of the transform,
and where its map has the left primary visual cortex. (Its map is GPL and not ours.)
Results on simulated clicks prove the arithmetic, not that a landmark was recognised.
"""

import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from results_file import write_result
from skimage.transform import AffineTransform, warp

from corticode.data.atlas.alignment import align
from corticode.data.atlas.landmarks import Landmarks, read_landmarks
from corticode.data.atlas.maps import Atlas, find_regions, label_pixels, read_atlas
from corticode.data.atlas.transforms import apply_transform, fit_transform

N_IMAGES, SIDE, NOISE_PIXELS, N_LABELLED = 400, 128, 0.4, 25
FINE = 8  # points a pixel and axis
FOUR = ("front-left", "front", "front-right", "back")
SIX = (*FOUR, "side-left", "side-right")
SHARED = Path(__file__).parent.parent.parent / "shared" / "formats" / "files" / "atlas"


def random_transform(atlas: Atlas, rng: np.random.Generator) -> NDArray[np.float64]:
    """The map's middle near the image's, turned and scaled."""
    scale = atlas.mm_per_pixel / rng.uniform(0.09, 0.11)
    angle = np.deg2rad(rng.uniform(-8, 8))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = SIDE / 2 + rng.uniform(-4, 4, 2) - turn @ [256, 256]
    return np.vstack([np.column_stack([turn, shift]), [0, 0, 1]])


def centre_errors(
    atlas: Atlas, names: tuple[str, ...], kind: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(image, region), pixels of the image."""
    centres = np.array([np.argwhere(atlas.labels == k + 1).mean(axis=0)[::-1] for k in range(44)])
    errors = []
    for _ in range(N_IMAGES):
        true = random_transform(atlas, rng)
        points = apply_transform(true, np.array([atlas.landmarks[name] for name in names]))
        clicked = points + rng.normal(0, NOISE_PIXELS, points.shape)
        found = align(atlas, Landmarks(names, clicked), (SIDE, SIDE), kind).transform
        away = apply_transform(found, centres) - apply_transform(true, centres)
        errors.append(np.hypot(*away.T))
    return np.array(errors)


def by_warping(atlas: Atlas, transform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Labels by scikit-image."""
    warped = warp(
        atlas.labels.astype(np.float64), AffineTransform(transform).inverse, order=0,
        output_shape=(SIDE, SIDE),
    )  # fmt: skip
    return np.round(warped).astype(np.int64)


def by_majority(atlas: Atlas, transform: NDArray[np.float64]) -> NDArray[np.int64]:
    """The commonest label (or none) among points of each pixel."""
    finer = AffineTransform(
        np.array([[FINE, 0, (FINE - 1) / 2], [0, FINE, (FINE - 1) / 2], [0, 0, 1]]) @ transform
    )
    fine = warp(
        atlas.labels.astype(np.float64), finer.inverse, order=0,
        output_shape=(FINE * SIDE, FINE * SIDE),
    )  # fmt: skip
    parts = np.round(fine).astype(np.int64).reshape(SIDE, FINE, SIDE, FINE).swapaxes(1, 2)
    counts = np.stack([(parts == k).sum(axis=(2, 3)) for k in range(45)])
    return counts.argmax(axis=0)


def labels_compared(atlas: Atlas, rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """Rows of the table on look-up."""
    alike, majority, labelled, seconds, shifts = [], [], [], [], []
    for _ in range(N_LABELLED):
        transform = random_transform(atlas, rng)
        begun = time.perf_counter()
        found = label_pixels(atlas, transform, (SIDE, SIDE))
        seconds.append(time.perf_counter() - begun)
        other = by_majority(atlas, transform)
        alike.append((found == by_warping(atlas, transform)).mean())
        majority.append((found == other).mean())
        labelled.append((found == other)[(found > 0) | (other > 0)].mean())
        for k in np.unique(found[found > 0]):
            centre, there = (np.argwhere(one == k).mean(axis=0) for one in (found, other))
            shifts.append(np.hypot(*(centre - there)))
    return [
        ("labels equal to scikit-image's warp", f"{100 * np.mean(alike):.2f} %", ">= 99 %"),
        ("labels equal to the commonest of 64 points", f"{100 * np.mean(majority):.1f} %", ""),
        ("the same, of pixels that either labels", f"{100 * np.mean(labelled):.1f} %", ""),
        ("region centres, between these two definitions, 95th percentile",
         f"{np.percentile(shifts, 95):.2f} px", ""),
        ("look-up of an image", f"{1000 * np.median(seconds):.1f} ms", ""),
    ]  # fmt: skip


def against_wfield(atlas: Atlas) -> list[tuple[str, str, str]]:
    """Rows of the table on the file that wfield's code wrote."""
    path = SHARED / "dorsal_cortex_landmarks.json"
    if not path.is_file():
        return []
    right = json.loads((SHARED / "right.json").read_text("utf-8"))
    held = json.loads(path.read_text("utf-8"))
    on_atlas, on_image = (
        np.column_stack([held[key]["x"], held[key]["y"]])
        for key in ("landmarks_im", "landmarks_match")
    )
    found = fit_transform(on_atlas, on_image)
    away = apply_transform(found, on_atlas) - on_image
    rms = float(np.sqrt((away**2).sum(axis=1).mean()))
    dims = tuple(right["dims"])
    given = align(atlas, read_landmarks(str(path)), dims)
    fitted = align(atlas, read_landmarks(str(path)), dims, "similarity")
    rows = [
        ("wfield's file: largest difference of the fitted transform",
         f"{np.abs(found - right['transform']).max():.1e}", "<= 1e-6"),
        ("wfield's file: residual (rms)", f"{rms:.4f} px (wfield: {right['rms_px']:.4f})", "equal"),
    ]  # fmt: skip
    _, _, _, row, column, _ = right["VISp_left"]
    for words, one in (("its transform as it is", given), ("its points fitted anew", fitted)):
        _, table, _ = find_regions(atlas, one.transform, dims)
        k = table.names.index("VISp_left")
        distance = np.hypot(table.rows[k] - row, table.columns[k] - column)
        rows.append(
            (f"wfield's file, {words}: VISp_left, our centre from that of wfield's map",
             f"{distance:.1f} px ({distance * 0.0776 / 0.9326:.2f} mm)", "")
        )  # fmt: skip
    return rows


def main() -> None:
    """Measure, print and keep the table."""
    atlas, rng = read_atlas(), np.random.default_rng(20)
    rows = []
    for names, kind, bar in (
        (FOUR, "similarity", "<= 1 px"),
        (SIX, "similarity", "<= 1 px"),
        (tuple(atlas.landmarks), "similarity", "<= 1 px"),
        (SIX, "affine", ""),
        (tuple(atlas.landmarks), "affine", ""),
    ):
        errors = centre_errors(atlas, names, kind, rng)
        low, high = np.percentile(errors, [50, 95])
        rows.append(
            (f"{kind} by {len(names)} landmarks: error of region centres, median (95th percentile)",
             f"{low:.2f} ({high:.2f}) px", bar)
        )  # fmt: skip
    rows += [*labels_compared(atlas, rng), *against_wfield(atlas)]
    write_result("atlas_simulated", ("what", "found", "bar"), rows)


if __name__ == "__main__":
    main()
