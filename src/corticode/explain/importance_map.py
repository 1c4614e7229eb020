"""Where, and when in the window, a decoder's output comes from: one map, saved and ranked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from corticode.data.files import check_recorded, write_with
from corticode.data.readers.lookup import LIBRARY_ERRORS
from corticode.errors import CorticodeError, DataError, MissingDataError

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
AXES = (("frame", "region"), ("region",), ("row", "column"), ("frame", "row", "column"))
PARTS = ("by_class", "by_animal", "by_decoder")
# A profile over the window says nothing of when where its frames hold less than this fraction of
# the whole above an even share.
FLAT = 0.15


@dataclass(frozen=True)
class MapPart:
    """The map of some of the windows.

    Parameters
    ----------
    name
        Which: a class, an animal, a decoder.
    n_windows
        How many windows it is the mean of.
    signed, absolute
        Means of the contributions and of their absolute values, in the shape of the whole map;
        `signed` is None where only absolute values are known.
    """

    name: str
    n_windows: int
    signed: NDArray[np.float64] | None
    absolute: NDArray[np.float64]


@dataclass(frozen=True)
class ImportanceMap:
    """What each region or pixel, at each frame of the window, adds to a decoder's output.

    Parameters
    ----------
    kind
        How it was found: ``"deep-shap"``, ``"expected-gradients"``, ``"integrated-gradients"``,
        ``"occlusion"``, ...
    unit
        Of the values: ``"logit"``, ``"probability"``, ``"value"`` (the target's own), ``"share"``
        (of a decoder's total) or ``"AUC"``.
    axes
        ``("frame", "region")``, ``("region",)``, ``("row", "column")`` or ``("frame", "row",
        "column")``.
    absolute
        Mean over windows of the absolute contributions, in the shape of the axes.
    signed
        Mean over windows of the contributions; None where it is not known.
    baseline
        What the contributions start from: the mean output over the background, or the score of
        the decoder before anything is covered.
    n_windows
        Windows that were explained.
    names
        Of the regions, where they are an axis.
    frames
        Frames of the window as offsets from its centre, where they are an axis.
    frame_rate_hz
        Frames per second; None where it is not known.
    by_class, by_animal, by_decoder
        The same map apart for each class (run and rest), animal or decoder; empty where it is
        not known.
    details
        What else is needed to say how it was made: additivity error, background, decoder.
    findings
        What was left out or looks odd, in words.

    Raises
    ------
    DataError
        Arrays that do not fit the axes, their names or each other; values that are not finite.

    Examples
    --------
    >>> found = ImportanceMap(
    ...     "deep-shap", "logit", ("frame", "region"), np.array([[1.0, 0.0, 0.5], [2.0, 0.5, 0.0]]),
    ...     names=("1", "2", "3"), frames=(0, 1), frame_rate_hz=10.0)
    >>> found.ranking()
      region  share  cumulative
    0      1  0.750       0.750
    1      2  0.125       0.875
    2      3  0.125       1.000
    >>> found.top_share(1), found.peak_frame, found.peak_s
    (0.75, 1, 0.1)
    """

    kind: str
    unit: str
    axes: tuple[str, ...]
    absolute: NDArray[np.float64]
    signed: NDArray[np.float64] | None = None
    baseline: float | None = None
    n_windows: int = 0
    names: tuple[str, ...] = ()
    frames: tuple[int, ...] = ()
    frame_rate_hz: float | None = None
    by_class: tuple[MapPart, ...] = ()
    by_animal: tuple[MapPart, ...] = ()
    by_decoder: tuple[MapPart, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_axes(self)
        for name, part in _arrays_of(self).items():
            if part.shape != self.absolute.shape:
                raise DataError(
                    f"{name} of the map has shape {part.shape}, its absolute values "
                    f"{self.absolute.shape}; give arrays of one shape"
                )
            if not np.isfinite(part).all():
                raise DataError(
                    f"{name} of the map holds {np.count_nonzero(~np.isfinite(part))} values that "
                    "are not finite; the decoder or its input holds NaN: check the recording"
                )

    def by_region(self) -> NDArray[np.float64]:
        """Share of the total of |contribution| of each region, shape (region,).

        Raises
        ------
        DataError
            The map is not over regions.
        """
        return self._share_along("region")

    def by_frame(self) -> NDArray[np.float64]:
        """Share of the total of |contribution| of each frame of the window, shape (frame,).

        Raises
        ------
        DataError
            The map is not over frames.
        """
        return self._share_along("frame")

    def ranking(self) -> pd.DataFrame:
        """Regions in falling order of their share: columns region, share, cumulative."""
        import pandas as pd

        shares = self.by_region()
        # Equal shares keep the order of the regions.
        order = np.argsort(-shares, kind="stable")
        return pd.DataFrame(
            {
                "region": [self.names[k] for k in order],
                "share": shares[order],
                "cumulative": np.cumsum(shares[order]),
            }
        )

    def top_share(self, n_regions: int = 4) -> float:
        """Share of the total that the first regions of the ranking have together."""
        return float(np.sort(self.by_region())[::-1][:n_regions].sum())

    @property
    def peak_frame(self) -> int:
        """Offset from the window's centre of the frame with the largest share."""
        return self.frames[int(np.argmax(self.by_frame()))]

    @property
    def peak_s(self) -> float | None:
        """`peak_frame` in seconds; None where the frame rate is not known."""
        return None if self.frame_rate_hz is None else self.peak_frame / self.frame_rate_hz

    def save(self, path: Path) -> None:
        """Write the map as a compressed NPZ file of plain arrays, whole or not at all."""
        arrays = _arrays_of(self) | {"description": np.array(json.dumps(_description_of(self)))}
        write_with(path, lambda file: np.savez_compressed(file, **arrays))

    @classmethod
    def load(cls, path: Path) -> ImportanceMap:
        """The map that `save` wrote.

        Raises
        ------
        MissingDataError
            There is no such file.
        DataError
            The file is damaged or holds something else.
        """
        arrays = _read_arrays(path, "importance map; make it again with `corticode explain`")
        try:
            described = json.loads(str(arrays.pop("description")))
            found = _from_arrays(described, arrays)
            check_recorded(path)
            return found
        except (CorticodeError, *LIBRARY_ERRORS) as error:
            raise DataError(
                f"{path} is damaged or holds no importance map ({error}); delete it and make the "
                "map again"
            ) from error

    def _share_along(self, axis: str) -> NDArray[np.float64]:
        if axis not in self.axes:
            raise DataError(
                f"a map over {', '.join(self.axes)} has no shares by {axis}; take one over {axis}s"
            )
        others = tuple(k for k, name in enumerate(self.axes) if name != axis)
        total = self.absolute.sum()
        shares = self.absolute.sum(axis=others)
        return np.asarray(shares / total if total > 0 else np.zeros_like(shares))


def centre_of_frames(shares: NDArray[np.floating]) -> float:
    """The middle of a map over the frames of a window, in frames from its first.

    It is the centre of mass of what the frames of one stretch hold above an even share; of several
    stretches that of the largest, as filters leave smaller ones beside it. The highest frame itself
    moves by several with the noise of a flat top.

    Parameters
    ----------
    shares
        As from `ImportanceMap.by_frame`, shape (frame,).

    Returns
    -------
    float
        NaN where the map is flat: where less than 0.15 of it lies above an even share.

    Examples
    --------
    >>> round(centre_of_frames(np.array([0.2, 0, 0, 0, 0.2, 0.4, 0.2, 0])), 6)
    5.0
    """
    total = float(shares.sum())
    if not total > 0:
        return float("nan")
    above = np.maximum(shares / total - 1 / shares.size, 0)
    if above.sum() < FLAT:
        return float("nan")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (above > 0).astype(np.int8), [0]])))
    first, stop = max(
        zip(edges[::2], edges[1::2], strict=True), key=lambda ends: above[ends[0] : ends[1]].sum()
    )
    held = above[first:stop]
    return float(np.arange(first, stop) @ held / held.sum())


def _check_axes(given: ImportanceMap) -> None:
    if given.axes not in AXES:
        raise DataError(
            f"a map over {given.axes} is not known; give one of {', '.join(map(str, AXES))}"
        )
    if given.absolute.ndim != len(given.axes):
        raise DataError(
            f"the map has shape {given.absolute.shape}, its axes are {', '.join(given.axes)}; give "
            "one size an axis"
        )
    for axis, labels in (("region", given.names), ("frame", given.frames)):
        size = given.absolute.shape[given.axes.index(axis)] if axis in given.axes else 0
        if len(labels) != size:
            raise DataError(
                f"the map has {size} {axis}s and {len(labels)} labels; give one a {axis}"
            )


def _arrays_of(given: ImportanceMap) -> dict[str, NDArray[np.float64]]:
    """Every array of a map by a name that is known again."""
    found = {"absolute": given.absolute}
    if given.signed is not None:
        found["signed"] = given.signed
    for group in PARTS:
        for k, part in enumerate(getattr(given, group)):
            found[f"{group}/{k}/absolute"] = part.absolute
            if part.signed is not None:
                found[f"{group}/{k}/signed"] = part.signed
    return found


def _description_of(given: ImportanceMap) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": given.kind,
        "unit": given.unit,
        "axes": given.axes,
        "baseline": given.baseline,
        "n_windows": given.n_windows,
        "names": given.names,
        "frames": given.frames,
        "frame_rate_hz": given.frame_rate_hz,
        "details": dict(given.details),
        "findings": given.findings,
    } | {group: [(p.name, p.n_windows) for p in getattr(given, group)] for group in PARTS}


def _from_arrays(
    described: dict[str, Any], arrays: Mapping[str, NDArray[np.float64]]
) -> ImportanceMap:
    if described.pop("format") != FORMAT:
        raise DataError("it was written by another corticode")
    for name in ("axes", "names", "frames", "findings"):
        described[name] = tuple(described[name])
    for group in PARTS:
        described[group] = tuple(
            MapPart(
                name,
                n_windows,
                arrays.get(f"{group}/{k}/signed"),
                arrays[f"{group}/{k}/absolute"],
            )
            for k, (name, n_windows) in enumerate(described[group])
        )
    return ImportanceMap(absolute=arrays["absolute"], signed=arrays.get("signed"), **described)


def _read_arrays(path: Path, needed: str) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ file by name; that of an NPY file has the empty name."""
    try:
        with Path(path).open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, NpzFile):
                return {"": archive}
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise MissingDataError(f"there is no file {path} with an {needed}") from error
    except LIBRARY_ERRORS as error:
        raise DataError(f"{path} is damaged or holds no {needed} ({error})") from error
