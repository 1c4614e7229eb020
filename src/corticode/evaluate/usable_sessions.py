"""Which sessions take part when labels change places, and on which day they were."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from corticode.data.windows import Windows
from corticode.decode.predictions import Predictions
from corticode.errors import DataError, Finding
from corticode.evaluate.tables import score_sessions

SHORTEST_SHARE = 0.6
SHORT = f"under {SHORTEST_SHARE:.0%} of the median of its animal"

Name = tuple[str, str]
Days = Mapping[Name, float]


def usable_sessions(predictions: Sequence[Predictions]) -> tuple[list[Name], list[Finding]]:
    """Names of the test sessions that take part, animal by animal, and why others do not.

    Parameters
    ----------
    predictions
        Each with a test part.

    Returns
    -------
    list, list
        (animal, session) in the order of the name tables; a finding for each session that is
        under 60 % of its animal's median length or blank for every decoder.
    """
    tables = pd.concat([score_sessions(said) for said in predictions])
    rows = {
        (str(animal), str(session)): own
        for (animal, session), own in tables.groupby(["animal", "session"], sort=False)
    }
    places = _places(predictions)
    ordered = sorted(rows, key=lambda name: places[name])
    findings = short_findings({name: int(rows[name]["n_windows"].max()) for name in ordered})
    left_out = {(finding.animal, finding.session) for finding in findings}
    for name in ordered:
        reasons = rows[name]["blank_because"]
        # Blank for one decoder only: the others still test it.
        if (reasons != "").all() and name not in left_out:
            left_out.add(name)
            reason = f"has {reasons.iloc[0]}: left out of the permutations"
            findings.append(Finding("session", reason, name[0], name[1]))
    return [name for name in ordered if name not in left_out], findings


def short_sessions(lengths: Mapping[Name, int]) -> list[Name]:
    """Sessions under 60 % of the median length of their animal's sessions.

    Parameters
    ----------
    lengths
        Windows or frames of each (animal, session).

    Examples
    --------
    >>> short_sessions({("m1", "a"): 100, ("m1", "b"): 90, ("m1", "c"): 50})
    [('m1', 'c')]
    """
    series = pd.Series([*lengths.values()], dtype=np.float64)
    median = series.groupby([animal for animal, _ in lengths]).transform("median")
    short = (series < SHORTEST_SHARE * median).to_numpy()
    return [name for name, is_short in zip(lengths, short, strict=True) if is_short]


def short_findings(lengths: Mapping[Name, int]) -> list[Finding]:
    """A finding for each of `short_sessions`."""
    return [
        Finding(
            "session",
            f"has {lengths[animal, session]} windows, {SHORT}: left out of the permutations",
            animal,
            session,
        )
        for animal, session in short_sessions(lengths)
    ]


def is_session(table: Predictions | Windows, name: Name) -> NDArray[np.bool_]:
    """Which windows are of a session, shape (window,).

    Parameters
    ----------
    table
        Predictions or windows. Their name table may hold a session's name once an animal.
    name
        Animal and session.
    """
    animals = [k for k, animal in enumerate(table.animal_names) if animal == name[0]]
    sessions = [k for k, session in enumerate(table.session_names) if session == name[1]]
    return np.isin(table.animal, animals) & np.isin(table.session, sessions)


def day_of(name: Name, place: int, days: Days | None) -> float:
    """The day of a session, or its place where no days are known.

    Raises
    ------
    DataError
        There are days, but none of this session.
    """
    if days is None:
        return float(place)
    if name not in days:
        raise DataError(f"session {name[1]!r} of animal {name[0]!r} has no day; give one for each")
    return float(days[name])


def slope_over_frames(frame: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """Least-squares slope of values over frames; NaN with fewer than two frames."""
    about = frame - frame.mean()
    squares = float(about @ about)
    return float(about @ values) / squares if squares else float("nan")


def mean_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean along the last axis over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    n_known = known.sum(axis=-1)
    total = np.where(known, values, 0).sum(axis=-1)
    mean: NDArray[np.float64] = np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan)
    return mean


def _places(predictions: Sequence[Predictions]) -> dict[Name, tuple[int, int]]:
    """Where the name tables put each session, animal by animal."""
    places: dict[Name, tuple[int, int]] = {}
    for said in predictions:
        test = said.of_part("test")
        for animal, session in np.unique(np.stack([test.animal, test.session]), axis=1).T:
            name = said.animal_names[animal], said.session_names[session]
            places.setdefault(name, (int(animal), int(session)))
    return places
