"""What a report is made of: a run's tables and texts as values, whichever of them there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.explain.importance_map import ImportanceMap
from corticode.report.movie_player import ShownClip
from corticode.report.session_trace import SessionTrace


@dataclass(frozen=True)
class CurveTables:
    """Curves of the headline condition's decoders, each empty where it cannot be drawn.

    Parameters
    ----------
    roc, history, reliability, onset
        As the figures of `corticode.report.curve_figures` take them.
    """

    roc: pd.DataFrame = field(default_factory=pd.DataFrame)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    reliability: pd.DataFrame = field(default_factory=pd.DataFrame)
    onset: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class RegionTraces:
    """What the regions of one session did, as they were decoded.

    Parameters
    ----------
    animal, session
        Whose.
    names
        Of the regions.
    values
        Shape (frame, region), from the session's first frame on.
    """

    animal: str
    session: str
    names: tuple[str, ...]
    values: NDArray[np.floating]


@dataclass(frozen=True)
class RunValues:
    """A run, as much of it as is there.

    Parameters
    ----------
    name
        Of the run, for the title.
    tables
        By name (``"scores"``, ``"animal_scores"``, ...); absent ones were not made.
    study
        The resolved study file; empty where it is missing.
    provenance
        Versions, machine, seeds, recordings; empty where it is missing.
    missing
        What is not there or not finished, in words, with the way out.
    traces
        Sessions for the viewer, those of the headline condition first.
    curves
        See `CurveTables`.
    maps
        Joined maps by condition and name.
    regions
        Where regions lie: name, group, row, column; empty where it is not known.
    region_labels
        Which region each pixel belongs to, shape (row, column), numbers from 1, 0: none; None where
        that is not known.
    region_traces
        What regions did in the median session, see `RegionTraces`; None where that is not kept.
    session_maps
        By condition and name of an occlusion: by ``animal/session`` what covering each cell cost.
    mean_images
        Mean image of each session whose movie was measured, shape (row, column), by
        ``animal/session``.
    clip
        A minute of a movie; None where none is to be shown, and `clip_missing` says why where one
        should have been.
    frame_rate_hz
        Of the recordings as decoded; None where it is not known.
    n_other_conditions
        Conditions whose fits lie in the run folder and are not in the study (any more).
    """

    name: str
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    study: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    missing: Sequence[str] = ()
    traces: Sequence[SessionTrace] = ()
    curves: CurveTables = field(default_factory=CurveTables)
    maps: Mapping[tuple[str, str], ImportanceMap] = field(default_factory=dict)
    regions: pd.DataFrame = field(default_factory=pd.DataFrame)
    region_labels: NDArray[np.int64] | None = None
    region_traces: RegionTraces | None = None
    session_maps: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    mean_images: Mapping[str, Any] = field(default_factory=dict)
    clip: ShownClip | None = None
    clip_missing: str = ""
    frame_rate_hz: float | None = None
    n_other_conditions: int = 0

    def table(self, name: str) -> pd.DataFrame:
        """A table; an empty one where it was not made."""
        return self.tables.get(name, pd.DataFrame())

    @property
    def is_simulated(self) -> bool:
        """Whether the recordings are known to be simulated."""
        return bool(self.provenance.get("simulated", False))

    @property
    def conditions(self) -> list[Mapping[str, Any]]:
        """The study's conditions, in its order; of those without a study file the names."""
        listed = self.study.get("condition")
        if listed:
            return list(listed)
        scores = self.table("animal_scores")
        return [] if scores.empty else [{"name": name} for name in scores["condition"].unique()]

    def condition(self, name: str) -> Mapping[str, Any]:
        """A condition by its name; empty where there is none."""
        return next((one for one in self.conditions if one["name"] == name), {})


def is_permuted(condition: Mapping[str, Any]) -> bool:
    """Whether a condition's labels are permuted: a control, at chance by design.

    Examples
    --------
    >>> is_permuted({"name": "a", "permute_labels": "sessions"}), is_permuted({"name": "a"})
    (True, False)
    """
    return condition.get("permute_labels", "none") not in (None, "none")


def headline_condition(values: RunValues) -> str | None:
    """The condition a report is about: the first of the study that has a score of an animal.

    Controls (permuted labels, inputs that are not cortex) are passed over unless there is
    nothing else.
    """
    scores = values.table("animal_scores")
    if scores.empty:
        return None
    scored = set(scores.dropna(subset=["value"])["condition"])
    known = [one for one in values.conditions if one["name"] in scored]
    cortex = [one for one in known if one.get("input", "traces") in ("traces", "movie")]
    plain = [one for one in cortex if not is_permuted(one)]
    for choice in (plain, cortex, known):
        if choice:
            return str(choice[0]["name"])
    return None


def alike_but(
    values: RunValues, name: str, key: str, wanted: Mapping[str, Any] | None = None
) -> list[Mapping[str, Any]]:
    """Conditions that are as a given one in everything but one key.

    Parameters
    ----------
    values
        The run.
    name
        The given condition.
    key
        Which key may differ, dots between levels: ``"network"``, ``"window.shift"``.
    wanted
        Values that the others must have at that key; None: any.

    Examples
    --------
    >>> values = RunValues("r", study={"condition": [{"name": "a", "network": {"kind": "gru"}},
    ...     {"name": "b", "network": {"kind": "rnn"}}]})
    >>> [one["name"] for one in alike_but(values, "a", "network", {"kind": "rnn"})]
    ['b']
    """
    own = without_key(values.condition(name), key)
    found = []
    for one in values.conditions:
        if one["name"] == name or without_key(one, key) != own:
            continue
        at_key = value_at(one, key)
        if wanted is None or (isinstance(at_key, Mapping) and wanted.items() <= at_key.items()):
            found.append(one)
    return found


def value_at(condition: Mapping[str, Any], key: str) -> Any:
    """What stands at a key, dots between levels; None where nothing does."""
    for part in key.split("."):
        condition = condition.get(part) if isinstance(condition, Mapping) else None  # type: ignore[assignment]
    return condition


def without_key(condition: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A condition less its name and a key; of linear decoders' penalties nothing is asked."""
    first, _, rest = key.partition(".")
    left = {k: v for k, v in condition.items() if k not in ("name", "like")}
    if first == "network":
        # Decoders of another kind are trained in another way.
        left.pop("training", None)
    if rest and isinstance(left.get(first), Mapping):
        left[first] = {k: v for k, v in left[first].items() if k != rest}
    else:
        left.pop(first, None)
    return left
