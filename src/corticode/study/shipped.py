"""Studies that ship with the package: the 2024 study whole, and what to ask first."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from corticode.data.readers.lookup import is_file
from corticode.errors import MissingDataError, StudyError
from corticode.study.study import Study, read_study, study_of

# Files that a study is put together from, and the preset of what they leave open.
SHIPPED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "paper-text": (("traces2024", "movies2024"), "text"),
    "paper-code": (("traces2024", "movies2024"), "code"),
    "recommended": (("first",), "recommended"),
}
LISTS = ("condition", "map", "comparison")
# What the article has otherwise than its code: an unnamed GRU, labels permuted at random (in the
# code, whole traces of sessions), 10,000 test windows explained (there, the background).
OWN_KEYS: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "paper-text": {
        "condition": {
            "gru": {"network": {"kind": "gru", "units": 32}},
            "gru, PyTorch cell": {"name": "gru-keras", "network": {"kind": "gru-keras"}},
            "gru, permuted labels": {"permute_labels": "frames"},
        },
        "map": {"gru": {"n_windows": 10000, "background": 100}},
    }
}
# Figure 4D shows training windows too; of all other conditions they would fill the disk.
KEPT_TRAIN = "gru"


def open_study(
    given: Study | Path | str | Mapping[str, Any], catalogue: Path | str | None = None
) -> Study:
    """A study from its file or keys, or one that ships, on the recordings of a catalogue.

    Parameters
    ----------
    given
        A study file, one of `SHIPPED`, or what a study file holds, its paths from the working
        folder; a study that has been read comes back as it is.
    catalogue
        Of the recordings, for a study that ships; regions.csv beside it is its region table.

    Raises
    ------
    MissingDataError
        There is no such file, and no study of that name ships.
    StudyError
        A study that ships without a catalogue, or a study file with one.

    Examples
    --------
    >>> study = open_study("paper-code", Path("sessions.csv"))
    >>> len(study.conditions), study.conditions[0].name
    (52, 'gru')
    """
    if isinstance(given, Study):
        return given
    if isinstance(given, Mapping):
        return study_of(given, Path("study.toml"))
    name, catalogue = str(given), None if catalogue is None else Path(catalogue)
    if is_file(Path(name)) or name not in SHIPPED:
        if catalogue is not None:
            raise StudyError(
                f"{name} names its own catalogue; leave --catalogue out, or take one of "
                f"{', '.join(SHIPPED)}"
            )
        if not is_file(Path(name)):
            raise MissingDataError(
                f"study file {name} does not exist; give the path of a TOML file, or one of "
                f"{', '.join(SHIPPED)} with --catalogue"
            )
        return read_study(Path(name))
    if catalogue is None:
        raise StudyError(f"{name} ships with corticode: say on which recordings with --catalogue")
    raw = shipped(name)
    raw["data"]["catalogue"] = catalogue.name
    if (catalogue.parent / "regions.csv").is_file():
        raw["data"]["regions"] = "regions.csv"
    return study_of(raw, catalogue.parent / f"{name}.toml")


def shipped(name: str) -> dict[str, Any]:
    """The keys of a study that ships, as of one file."""
    parts, preset = SHIPPED[name]
    read = [
        tomllib.loads((files("corticode.study.presets") / f"{part}.toml").read_text("utf-8"))
        for part in parts
    ]
    raw = {k: v for k, v in read[0].items() if k not in LISTS} | {"preset": preset}
    for key in LISTS:
        raw[key] = [table for part in read for table in part.get(key, [])]
    own = OWN_KEYS.get(name, {})
    for key, named in (("condition", "name"), ("map", "condition")):
        changes = own.get(key, {})
        raw[key] = [one | changes.get(one[named], {}) for one in raw[key]]
    for one in raw["condition"]:
        if KEPT_TRAIN in (one["name"], one.get("like")):
            keeps = {"keep_train": one["name"] == KEPT_TRAIN}
            one["training"] = one.get("training", {}) | keeps
    return raw
