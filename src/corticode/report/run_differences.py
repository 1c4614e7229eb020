"""What two runs do otherwise: settings key by key, versions, recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corticode.evaluate.published import NO_SETTINGS
from corticode.report.page_values import RunValues, value_at
from corticode.report.study_words import leaves

ABSENT = "not given"
# Where a file lies says nothing of what it holds; which folds were run is asked of the scores.
NO_STUDY_SETTINGS = ("data.catalogue", "folds.only")
# A condition that another takes its start weights or its regions from.
SOURCES = ("start_from", "regions.from")


@dataclass(frozen=True)
class Difference:
    """One key at which two runs differ.

    Parameters
    ----------
    key
        Dots between levels: ``"training.epochs"``.
    a, b
        What stands there in each run, in words.
    """

    key: str
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.key} {self.a} in A, {self.b} in B"


@dataclass(frozen=True)
class SharedRecordings:
    """Which recordings two runs share, by what their files held; ``animal/session`` each.

    Parameters
    ----------
    same
        Called alike, with the same content.
    changed
        Called alike, with other content.
    only_a, only_b
        In one run alone.
    """

    same: tuple[str, ...]
    changed: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Difference, ...]:
    """The keys of two tables whose values differ, those of the first table first.

    Examples
    --------
    >>> found = differences({"window": {"before": 5}}, {"window": {"before": 9}, "causal": True})
    >>> [str(one) for one in found]
    ['window.before 5 in A, 9 in B', 'causal not given in A, yes in B']
    """
    of_a, of_b = dict(leaves(a)), dict(leaves(b))
    return tuple(
        Difference(key, of_a.get(key, ABSENT), of_b.get(key, ABSENT))
        for key in dict.fromkeys([*of_a, *of_b])
        if of_a.get(key, ABSENT) != of_b.get(key, ABSENT)
    )


def condition_differences(a: RunValues, b: RunValues, name: str) -> tuple[Difference, ...]:
    """Settings of a condition that two runs give otherwise.

    Those of a condition that it starts from, or whose maps choose its regions, belong to it.
    """
    return differences(condition_settings(a, name), condition_settings(b, name))


def condition_settings(
    values: RunValues, name: str, seen: Sequence[str] = ()
) -> dict[str, Mapping[str, Any]]:
    """What a condition's decoders depend on, those it takes weights or regions from included."""
    own = values.condition(name)
    settings = {key: value for key, value in own.items() if key not in NO_SETTINGS}
    for key in SOURCES:
        source = value_at(own, key)
        if isinstance(source, str) and source not in (name, *seen):
            settings[f"{key} “{source}”"] = condition_settings(values, source, (*seen, name))
    return settings


def study_differences(a: RunValues, b: RunValues) -> tuple[Difference, ...]:
    """Settings of data and folds that two runs give otherwise."""
    of_a, of_b = (
        {key: values.study.get(key, {}) for key in ("data", "folds")} for values in (a, b)
    )
    return tuple(one for one in differences(of_a, of_b) if one.key not in NO_STUDY_SETTINGS)


def version_differences(a: RunValues, b: RunValues) -> tuple[Difference, ...]:
    """Versions, commit, machine and seeds that differ."""
    of_a, of_b = (
        {key: value for key, value in values.provenance.items() if key != "recordings"}
        for values in (a, b)
    )
    return differences(of_a, of_b)


def recordings_of(values: RunValues) -> Mapping[str, str]:
    """A hash of what each recording held, by ``animal/session``; empty where it is not known."""
    found = values.provenance.get("recordings")
    return found if isinstance(found, Mapping) else {}


def shared_recordings(a: RunValues, b: RunValues) -> SharedRecordings:
    """Which recordings two runs share.

    Examples
    --------
    >>> a, b = (RunValues("r", provenance={"recordings": {"m1/s1": one, "m1/s2": "x"}})
    ...     for one in ("x", "y"))
    >>> shared_recordings(a, b)
    SharedRecordings(same=('m1/s2',), changed=('m1/s1',), only_a=(), only_b=())
    """
    of_a, of_b = recordings_of(a), recordings_of(b)
    both = [name for name in of_a if name in of_b]
    return SharedRecordings(
        tuple(name for name in both if of_a[name] == of_b[name]),
        tuple(name for name in both if of_a[name] != of_b[name]),
        tuple(name for name in of_a if name not in of_b),
        tuple(name for name in of_b if name not in of_a),
    )
