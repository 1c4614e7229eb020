"""Landmarks of skull and cortex that somebody marked in an image: their files and their names."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corticode.data.readers.lookup import check_file, reading
from corticode.errors import DataError, StudyError

# What others call the landmarks of the dorsal map: wfield, mesoscopy, MesoNet and mesoscaler.
ALIASES: Mapping[str, str] = {
    "ob-left": "front-left",
    "ob-center": "front",
    "ob-right": "front-right",
    "rsp-base": "back",
    "lpb": "side-left",
    "lfp": "front-left",
    "lprsp": "back-left",
    "cfp": "front",
    "aipb": "lambda",
    "rpb": "side-right",
    "rfp": "front-right",
    "rprsp": "back-right",
    "l1": "side-left",
    "l2": "front-left",
    "l3": "back-left",
    "m4": "front",
    "m5": "bregma",
    "m6": "lambda",
    "r7": "side-right",
    "r8": "front-right",
    "r9": "back-right",
    "left": "side-left",
    "top-left": "front-left",
    "bottom-left": "back-left",
    "top-center": "front",
    "right": "side-right",
    "top-right": "front-right",
    "bottom-right": "back-right",
}
NAME_COLUMNS = ("landmark", "name", "label")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_GIVEN = re.compile(rf"([^\s=,;]+)\s*=\s*({_NUMBER})\s*,\s*({_NUMBER})")
_WORLD_POINT = re.compile(r"<pointworld\b([^>]*)>")
_ATTRIBUTE = re.compile(r'(\w+)\s*=\s*"([^"]*)"')
_TEXT_POINT = re.compile(rf'"([^"]+)"\s*:\s*\[\s*({_NUMBER})\s*,\s*({_NUMBER})')


@dataclass(frozen=True)
class Landmarks:
    """Named points of an image, and what a file says of how an atlas lies on it.

    Parameters
    ----------
    names
        As they were given.
    points
        (landmark, 2): x (column) and y (row) in pixels of the image, from 0 at the middle of the
        first pixel.
    from_mm
        3 x 3: millimetres from bregma (x to the right, y to the back, 1) to pixels of the image
        (x, y, 1); None where the file holds no transform.
    """

    names: tuple[str, ...]
    points: NDArray[np.float64]
    from_mm: NDArray[np.float64] | None = None


def read_landmarks(given: str, names: Sequence[str] = ()) -> Landmarks:
    """Landmarks from a file, or as they were typed.

    Read are wfield's ``dorsal_cortex_landmarks.json``; CSV with columns ``landmark, x, y`` (as
    mesoscopy writes it) or ``axis-0, axis-1`` (a points layer of napari: **row, column**); and
    Fiji's ``.points`` of named landmarks.

    Parameters
    ----------
    given
        A file, or ``name=x,y name=x,y ...``: x is the column, y the row, in pixels from 0.
    names
        Of the points, in the file's order, where the file holds none.

    Raises
    ------
    MissingDataError
        There is no such file.
    DataError
        The file holds no landmarks, or not as they are read here.
    StudyError
        What was typed is no list of landmarks, one is given twice, or names are missing.

    Examples
    --------
    >>> read_landmarks("front=120,40 back=121.5,210").points.tolist()
    [[120.0, 40.0], [121.5, 210.0]]
    """
    if "=" in given and not Path(given).is_file():
        found = _typed(given)
    else:
        path = Path(given)
        check_file(path)
        readers = {".json": _read_wfield, ".csv": _read_csv, ".points": _read_points}
        read = readers.get(path.suffix.lower())
        if read is None:
            raise DataError(
                f"{path} has the suffix {path.suffix!r}; landmarks are read from "
                f"{', '.join(readers)} files, or typed as 'front=120,40 back=121,210' (x is the "
                "column, y the row)"
            )
        with reading(path, "a file of landmarks"):
            found = read(path)
    if not all(found.names) or names:
        found = _with_names(found, names, given)
    repeated = sorted({name for name in found.names if found.names.count(name) > 1})
    if repeated:
        raise StudyError(f"{given} gives {', '.join(repeated)} more than once; keep one point each")
    if not np.isfinite(found.points).all():
        raise DataError(f"{given} holds a landmark without a number; give x and y in pixels")
    return found


def canonical_names(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Landmarks under the names that the atlas has for them.

    Parameters
    ----------
    names
        Any case; ``_`` and blanks are as good as ``-``. The names of wfield, mesoscopy and MesoNet
        are known.
    known
        The atlas's names.

    Raises
    ------
    StudyError
        A name is unknown, with the likely one; or two names mean the same landmark.

    Examples
    --------
    >>> canonical_names(["OB_left", "cFP", "Bregma"], ["front-left", "front", "bregma"])
    ('front-left', 'front', 'bregma')
    """
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[\s_]+", "-", name.strip().lower())
        meant = plain if plain in known else ALIASES.get(plain, "")
        if meant not in known:
            near = get_close_matches(plain, [*known, *ALIASES], n=1)
            likely = f"did you mean {near[0]!r}? " if near else ""
            raise StudyError(
                f"{name!r} is no landmark of this atlas; {likely}Its landmarks are "
                f"{', '.join(known)}"
            )
        if meant in found:
            raise StudyError(
                f"{names[found.index(meant)]!r} and {name!r} are the same landmark, {meant!r}; "
                "keep one point"
            )
        found.append(meant)
    return tuple(found)


def _typed(text: str) -> Landmarks:
    found = _GIVEN.findall(text)
    rest = _GIVEN.sub(" ", text).strip(" ,;\n\t")
    if not found or rest:
        raise StudyError(
            f"landmarks hold {rest or text!r}, which is no name=x,y; write them as "
            "'front=120,40 back=121,210' (x is the column, y the row, in pixels from 0)"
        )
    return _landmarks((name, x, y) for name, x, y in found)


def _landmarks(rows: Iterator[tuple[str, Any, Any]] | Sequence[tuple[str, Any, Any]]) -> Landmarks:
    rows = list(rows)
    points = np.array([[float(x), float(y)] for _, x, y in rows]).reshape(-1, 2)
    return Landmarks(tuple(name for name, _, _ in rows), points)


def _with_names(found: Landmarks, names: Sequence[str], given: str) -> Landmarks:
    if len(names) != len(found.names):
        raise StudyError(
            f"{given} holds {len(found.names)} points without names, and {len(names)} names were "
            "given; name them in the file's order (--landmark-names 'front-left front ...')"
        )
    return Landmarks(tuple(names), found.points, found.from_mm)


def _read_wfield(path: Path) -> Landmarks:
    """Points as clicked, and the transform as it is; its inverse is not trusted."""
    held = json.loads(path.read_text("utf-8"))
    if not isinstance(held, dict) or "landmarks_match" not in held:
        raise ValueError("it has no 'landmarks_match' (the points that were clicked in the image)")
    clicked = held["landmarks_match"]
    found = _landmarks(list(zip(clicked["name"], clicked["x"], clicked["y"], strict=True)))
    if "transform" not in held:
        return found
    transform = np.asarray(held["transform"], np.float64)
    if transform.shape != (3, 3) or not np.allclose(transform[2], [0, 0, 1]):
        raise ValueError(f"its transform of shape {transform.shape} is no 3 x 3 affine matrix")
    resolution = float(held["resolution"])  # millimetres a pixel of wfield's atlas
    x, y = held["bregma_offset"]
    to_atlas = np.array([[1 / resolution, 0, x], [0, 1 / resolution, y], [0, 0, 1]])
    return Landmarks(found.names, found.points, transform @ to_atlas)


def _read_csv(path: Path) -> Landmarks:
    """Columns x and y; or axis-0, axis-1 (row, column), of a stack the last two axes."""
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig")), skipinitialspace=True))
    heads = [head.strip() for head in (rows[0] if rows else []) if head]
    rows = [{(key or "").strip(): value for key, value in row.items()} for row in rows]
    name = next((head for head in heads if head.lower() in NAME_COLUMNS), None)
    axes = sorted(head for head in heads if head.startswith("axis-"))
    plain = {head.lower(): head for head in heads}
    if "x" in plain and "y" in plain:
        x, y = plain["x"], plain["y"]
    elif len(axes) >= 2:
        y, x = axes[-2:]
    else:
        raise ValueError(
            f"its columns are {', '.join(heads) or 'none'}; needed are landmark, x, y, or axis-0 "
            "and axis-1 (row, column)"
        )
    return _landmarks([((row[name] if name else "").strip(), row[x], row[y]) for row in rows])


def _read_points(path: Path) -> Landmarks:
    """Fiji's named landmarks, in XML or as text; the third coordinate is the plane."""
    text = path.read_text("utf-8-sig")
    rows: list[tuple[str, Any, Any]] = []
    for attributes in _WORLD_POINT.findall(text):
        held = dict(_ATTRIBUTE.findall(attributes))
        if held.get("set", "true") == "true":
            rows.append((held["name"], held["x"], held["y"]))
    rows = rows or _TEXT_POINT.findall(text)
    if not rows:
        raise ValueError("it holds no point")
    return _landmarks(rows)
