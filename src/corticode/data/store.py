"""Prepared sessions on disk, memory-mapped by every fit."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from corticode.data.files import write_text, write_with, writing
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.prepared import (
    PreparedSessions,
    check_together,
    first_frames,
    lay_out,
    prepare_each,
)
from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.errors import Finding, RunError


def store_sessions(
    folder: Path, sessions: Sequence[Session], preprocessing: Preprocessing, key: str
) -> None:
    """Write prepared sessions to a folder, ``prepared.json`` last: it is whole or absent.

    Raises
    ------
    DataError
        As `prepare_sessions`.
    RunError
        The disk is full or cannot be written.
    """
    regions, findings = check_together(sessions, preprocessing)
    n_frames = int(first_frames(sessions)[-1])
    with writing(folder / "traces.npy") as file:
        # Written, not memory-mapped: on a full disk a mapped page kills the process.
        _write_header(file, (n_frames, len(regions)))
        valid, found = prepare_each(
            sessions,
            regions,
            preprocessing,
            lambda _, traces: file.write(np.ascontiguousarray(traces).data),
        )
        # What described the old arrays must not stand beside the new ones.
        (folder / "prepared.json").unlink(missing_ok=True)
    traces = np.load(folder / "traces.npy", mmap_mode="r", allow_pickle=False)
    prepared = lay_out(traces, valid, sessions, regions, preprocessing, findings + found)
    _store_frames(folder, prepared, key)


def store_movies(folder: Path, prepared: PreparedSessions, key: str) -> None:
    """Write what `prepare_movies` gave, but for the movies themselves.

    Raises
    ------
    RunError
        The disk is full or cannot be written.
    """
    with writing(folder / "traces.npy") as file:
        _write_header(file, prepared.traces.shape)
        (folder / "prepared.json").unlink(missing_ok=True)
    _store_frames(folder, prepared, key)


def _store_frames(folder: Path, prepared: PreparedSessions, key: str) -> None:
    """Write all that there is beside the traces, the description last."""
    signals = sorted(prepared.behavior)
    arrays: dict[str, NDArray[np.generic]] = {
        f"behavior-{k}": prepared.behavior[signal] for k, signal in enumerate(signals)
    }
    arrays |= {name: getattr(prepared, name) for name in ("first_frame", "run", "valid")}
    for name, array in arrays.items():
        write_with(folder / f"{name}.npy", partial(np.save, arr=array, allow_pickle=False))
    description = {
        "key": key,
        "animals": prepared.animals,
        "sessions": prepared.sessions,
        "regions": prepared.regions,
        "left_out_regions": prepared.left_out_regions,
        "signals": signals,
        "preprocessing": asdict(prepared.preprocessing),
        "pixels": None if prepared.pixels is None else asdict(prepared.pixels),
        "image_shape": prepared.image_shape,
        "frame_rate_hz": prepared.frame_rate_hz,
        "findings": [asdict(finding) for finding in prepared.findings],
    }
    write_text(folder / "prepared.json", json.dumps(description, indent=1))


def is_stored(folder: Path, key: str) -> bool:
    """Whether `folder` holds prepared sessions made from the same files in the same way."""
    try:
        return bool(json.loads((folder / "prepared.json").read_text("utf-8"))["key"] == key)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def load_sessions(folder: Path) -> PreparedSessions:
    """Prepared sessions from disk, their arrays memory-mapped.

    Raises
    ------
    RunError
        The folder is damaged; the message says what to delete.
    """
    try:
        described = json.loads((folder / "prepared.json").read_text("utf-8"))
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ("traces", "first_frame", "run", "valid")
        }
        behavior = {
            signal: np.load(folder / f"behavior-{k}.npy", mmap_mode="r", allow_pickle=False)
            for k, signal in enumerate(described["signals"])
        }
        pixels, shape = described["pixels"], described["image_shape"]
        prepared = PreparedSessions(
            animals=tuple(described["animals"]),
            sessions=tuple(described["sessions"]),
            regions=tuple(described["regions"]),
            left_out_regions=tuple(described["left_out_regions"]),
            behavior=behavior,
            preprocessing=Preprocessing(**described["preprocessing"]),
            frame_rate_hz=described["frame_rate_hz"],
            findings=tuple(Finding(**finding) for finding in described["findings"]),
            pixels=None if pixels is None else PixelPreprocessing(**pixels),
            image_shape=None if shape is None else (int(shape[0]), int(shape[1])),
            **arrays,
        )
        _check_sizes(prepared)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"prepared sessions in {folder} cannot be read ({error}); delete the folder and run "
            "the same command again"
        ) from error
    return prepared


def _check_sizes(prepared: PreparedSessions) -> None:
    n_frames, n_regions = int(prepared.first_frame[-1]), len(prepared.regions)
    frames = [prepared.run, prepared.valid, *prepared.behavior.values()]
    if prepared.traces.shape != (n_frames, n_regions) or any(
        array.shape != (n_frames,) for array in frames
    ):
        raise ValueError(f"its arrays do not all hold {n_frames} frames and {n_regions} regions")
    if not len(prepared.animals) == prepared.n_sessions == prepared.first_frame.size - 1:
        raise ValueError(f"it does not hold {prepared.n_sessions} sessions")


def _write_header(file: IO[bytes], shape: tuple[int, int]) -> None:
    descr = dtype_to_descr(np.dtype(np.float32))
    write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
