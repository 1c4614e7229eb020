"""Tables of decoders that are tested at other times than those they were trained for."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pandas as pd

from corticode.decode.predictions import Predictions
from corticode.errors import DataError, Finding
from corticode.evaluate.intervals import score_interval
from corticode.evaluate.references import score_across_lags
from corticode.evaluate.scores import score_animals
from corticode.run.fits import FitTask
from corticode.run.score_tables import Made, Scored
from corticode.study.keys import CrossTemporalKeys


def make_cross_temporal(made: Scored) -> Made:
    """``cross_temporal.csv``."""
    tables, findings = [], []
    for keys in made.plan.cross_temporal:
        try:
            tables.append(cross_temporal_table(keys, made.fitted))
        except DataError as error:
            reason = f"has no row in cross_temporal.csv: {error}"
            findings.append(Finding("fold", reason, item=keys.name))
    return tables, findings


def cross_temporal_table(keys: CrossTemporalKeys, fits: Iterable[FitTask]) -> pd.DataFrame:
    """Scores of decoders of one lag on the targets of every other: a row an animal, and their mean.

    Parameters
    ----------
    keys
        The conditions that are alike but for their shift.
    fits
        Every fit of the run; folds and seeds that all conditions have are used.

    Returns
    -------
    DataFrame
        sweep, condition (trained), trained_frames, tested_frames, trained_s, tested_s (NaN without
        a frame rate), animal (empty: their mean), metric, value, low, high (95 % over animals),
        n_animals.

    Raises
    ------
    DataError
        Two conditions have one shift, no fold is there at every lag, or no window is.
    """
    by_fold: dict[tuple[str, int], dict[int, FitTask]] = {}
    named: dict[int, str] = {}
    for task in fits:
        if task.condition.name in keys.conditions:
            shift = task.condition.window.shift
            if named.setdefault(shift, task.condition.name) != task.condition.name:
                raise DataError(
                    f"{named[shift]!r} and {task.condition.name!r} both have a shift of {shift} "
                    "frames; name one of them"
                )
            by_fold.setdefault((task.fold.name, task.seed), {})[shift] = task
    shifts = sorted(named)
    tables, rate_hz = [], None
    for (fold, seed), found in by_fold.items():
        if len(found) == len(keys.conditions):
            told = {k: Predictions.load(found[k].folder / "predictions.npz") for k in shifts}
            rate_hz = told[shifts[0]].frame_rate_hz
            tables.append(score_across_lags(told).assign(fold=fold, seed=seed, condition=""))
    if not tables:
        raise DataError("no fold has scores at every lag")
    rows = []
    scored = pd.concat(tables)
    for trained, tested in product(shifts, repeat=2):
        own = scored[(scored["trained_frames"] == trained) & (scored["tested_frames"] == tested)]
        place: dict[str, Any] = {"sweep": keys.name, "condition": named[trained]}
        place |= {"trained_frames": trained, "tested_frames": tested}
        for name, lag in (("trained_s", trained), ("tested_s", tested)):
            place[name] = lag / rate_hz if rate_hz else float("nan")
        rows += _of_animals(place, score_animals(own))
    return pd.DataFrame(rows)


def _of_animals(place: dict[str, Any], scores: pd.DataFrame) -> list[dict[str, Any]]:
    """A row an animal, and one of their mean."""
    metric = str(scores["metric"].iloc[0])
    none = {"low": float("nan"), "high": float("nan"), "n_animals": 1}
    rows = [
        place | {"animal": animal, "metric": metric, "value": value} | none
        for animal, value in zip(scores["animal"], scores["value"], strict=True)
    ]
    over = score_interval(scores["value"].dropna().to_numpy(float), metric)
    mean = {"animal": "", "metric": metric, "value": over.mean}
    return [*rows, place | mean | {"low": over.low, "high": over.high, "n_animals": over.n}]
