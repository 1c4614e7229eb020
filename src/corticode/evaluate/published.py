"""The published numbers beside a run's: a comparison only where the recordings are the published.

Whether they are is asked of the recordings, not of a name: a session is known by its id and by
how much the mouse ran in it, both of which were published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Published name of a metric, and the column of scores.csv that it is.
METRICS = {"auc": "auc", "r2": "r2", "mae_cm_per_s": "mae"}
PUBLISHED, SIMULATED, OTHER = "published", "simulated", "other data"
# Two decimals were published, and windows leave out the ends of a session; an SD may also have
# been taken with n or n - 1.
MEAN_WITHIN, SD_WITHIN = 0.008, 0.012
COLUMNS = (
    "figure",
    "condition",
    "metric",
    "published_mean",
    "published_sd",
    "published_n",
    "ours_mean",
    "ours_sd",
    "n_splits",
    "difference",
    "data",
    "settings",
    "note",
)
# The study that ships with which settings are compared: docs/study-2024.md tells what differs
# between it and what was published.
READING = "paper-code"
SPLIT_COLUMNS = (
    "condition",
    "metric",
    "fold",
    "test_mouse",
    "valid_mouse",
    "published",
    "ours",
    "difference",
    "data",
)
# The figure of the means that the article shows but does not tell: of the 20 splits.
LENGTHS = "5B"
# What neither the decoder nor its input depends on.
NO_SETTINGS = ("name", "like", "folds")


@dataclass(frozen=True)
class DataIdentity:
    """Whether the recordings of a run are those of the 2024 study.

    Parameters
    ----------
    data
        ``"published"``, ``"simulated"`` or ``"other data"``.
    why
        In words.
    mice
        The published number of each animal; empty unless the recordings are the published ones.
    """

    data: str
    why: str
    mice: Mapping[str, str] = field(default_factory=dict)


@cache
def published_means() -> pd.DataFrame:
    """Mean and SD over 20 splits of each published condition: figure to n, as in the text.

    References
    ----------
    Ajioka T, Nakai N, Yamashita O, Takumi T (2024), PLoS Comput Biol 20(3): e1011074,
    https://doi.org/10.1371/journal.pcbi.1011074

    Examples
    --------
    >>> table = published_means().set_index(["condition", "metric"])
    >>> float(table.loc[("gru", "auc"), "mean"])
    0.974
    """
    table = _read("published_summary.csv", {})
    told = table[table["metric"].isin(METRICS)]
    by_split = published_splits()
    by_split = by_split[~by_split["condition"].isin(told["condition"])]
    drawn = [
        (LENGTHS, condition, metric, values.mean(), values.std(ddof=1), values.size)
        for (condition, metric), values in by_split.groupby(["condition", "metric"], sort=False)[
            "value"
        ]
    ]
    return pd.concat([told, pd.DataFrame(drawn, columns=told.columns)], ignore_index=True)


@cache
def published_splits() -> pd.DataFrame:
    """The pooled score of each of the 20 published splits: condition to value; mice as numbers.

    References
    ----------
    Ajioka T, Nakai N, Yamashita O, Takumi T (2024), PLoS Comput Biol 20(3): e1011074,
    https://doi.org/10.1371/journal.pcbi.1011074

    Examples
    --------
    >>> table = published_splits()
    >>> round(float(table.loc[table["condition"] == "gru, length 5", "value"].mean()), 3)
    0.949
    """
    table = _read("published_by_split.csv", {"test_animal": str, "valid_animal": str})
    # Of length 15 the splits are those of the gru, which it is.
    known = table["metric"].isin(METRICS) & (table["condition"] != "gru, length 15")
    return table[known].reset_index(drop=True)


@cache
def published_attributions() -> NDArray[np.float64]:
    """Mean |SHAP value| of each published decoder, shape (split, frame, region).

    Splits are the ordered pairs (validation mouse, test mouse) of five, frames -15 to 15 of the
    window, regions 1 to 50; of the probability, against 10,000 test windows.

    References
    ----------
    Ajioka T, Nakai N, Yamashita O, Takumi T (2024), PLoS Comput Biol 20(3): e1011074,
    https://doi.org/10.1371/journal.pcbi.1011074

    Examples
    --------
    >>> published_attributions().shape
    (20, 31, 50)
    """
    file = resources.files("corticode.published").joinpath("shap_published.npz")
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
        return np.asarray(stored["mean_abs_shap"], dtype=np.float64)


@cache
def published_correlations() -> pd.Series:
    """Mean correlation of each region with run and rest over 64 sessions, by region.

    References
    ----------
    Ajioka T, Nakai N, Yamashita O, Takumi T (2024), PLoS Comput Biol 20(3): e1011074,
    https://doi.org/10.1371/journal.pcbi.1011074

    Examples
    --------
    >>> float(published_correlations()["27"])
    0.387
    """
    table = _read("region_behavior_correlation.csv", {"region": str})
    return table.set_index("region")["pearson_r_mean_of_64_sessions"]


@cache
def published_summary(figure: str) -> pd.DataFrame:
    """Means and SDs of one published figure: condition, metric, mean, sd, n.

    Examples
    --------
    >>> published_summary("1C")["mean"].tolist()
    [0.36, 0.66, 0.65, 0.58, 0.8]
    """
    table = _read("published_summary.csv", {})
    return table[table["figure"] == figure].drop(columns="figure").reset_index(drop=True)


def identify_data(
    session_scores: pd.DataFrame, conditions: Sequence[Mapping[str, Any]], *, is_simulated: bool
) -> DataIdentity:
    """Whether recordings are those of the 2024 study: by session ids, mice, and running.

    Parameters
    ----------
    session_scores
        As in ``session_scores.csv``.
    conditions
        As in a resolved study: those with a binary target and true labels tell how much each
        session's mouse ran.
    is_simulated
        Whether they are known to be simulated; simulated mice have the same session ids.

    Returns
    -------
    DataIdentity
        Published only where every animal has exactly the sessions of one published mouse, and
        its share of running is as published, mean and SD, to what the windows' ends can change.

    Examples
    --------
    >>> scores = pd.DataFrame({"condition": ["a"], "animal": ["x"], "session": ["monday"],
    ...     "base_rate": [0.4]})
    >>> identify_data(scores, [], is_simulated=False).why
    'sessions of x are not those of a published mouse'
    """
    if is_simulated:
        return DataIdentity(SIMULATED, "the recordings are simulated")
    if session_scores.empty:
        return DataIdentity(OTHER, "no session has been scored")
    mice = _mice_by_session(session_scores)
    if isinstance(mice, str):
        return DataIdentity(OTHER, mice)
    named = [str(one["name"]) for one in conditions if _tells_of_running(one)]
    asked = [name for name in named if (session_scores["condition"] == name).any()]
    if not asked:
        return DataIdentity(
            OTHER,
            "sessions are called as the published ones, but no condition decodes run and rest, so "
            "that it could not be checked that they are",
        )
    fault = _fault_of_running(session_scores[session_scores["condition"].isin(asked)], mice)
    if fault:
        return DataIdentity(OTHER, fault)
    return DataIdentity(PUBLISHED, "sessions, mice and running are the published ones", mice)


def set_beside_published(
    scores: pd.DataFrame, identity: DataIdentity, differing: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """The published mean and SD of each condition of that name, ours, and the difference.

    Parameters
    ----------
    scores
        As in ``scores.csv``: scores pooled over the windows of a split, as they were published.
    identity
        Of the recordings, as from `identify_data`.
    differing
        Which settings of a condition differ from those of `paper-code`, as from
        `differing_settings`; conditions that are not there were not compared.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, a row a published condition and metric that the run has; `difference`
        is ours less published, and NaN unless the recordings are the published ones and the
        splits are the same.

    Examples
    --------
    >>> scores = pd.DataFrame({"condition": ["gru"], "fold": ["test-a_valid-b"], "seed": [0],
    ...     "test_animal": ["a"], "valid_animal": ["b"], "auc": [0.9]})
    >>> table = set_beside_published(scores, DataIdentity("other data", "other mice"), {})
    >>> table[["condition", "published_mean", "ours_mean", "difference", "data"]]
      condition  published_mean  ours_mean  difference        data
    0       gru           0.974        0.9         NaN  other data
    """
    rows = []
    for _, published in published_means().iterrows():
        name, column = str(published["condition"]), METRICS[str(published["metric"])]
        if scores.empty or column not in scores:
            continue
        own = scores[(scores["condition"] == name) & scores[column].notna()]
        if own.empty:
            continue
        folds = ["fold", "test_animal", "valid_animal"]
        by_split = own.groupby(folds, sort=False)[column].mean().reset_index()
        ours = by_split[column]
        reference, note = _reference(published, by_split, identity)
        rows.append(
            {
                "figure": published["figure"],
                "condition": name,
                "metric": published["metric"],
                "published_mean": published["mean"],
                "published_sd": published["sd"],
                "published_n": published["n"],
                "ours_mean": ours.mean(),
                "ours_sd": ours.std(ddof=1) if ours.size > 1 else np.nan,
                "n_splits": ours.size,
                "difference": ours.mean() - reference,
                "data": identity.data,
                "settings": _settings_words(differing.get(name)),
                "note": note,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def set_splits_beside_published(scores: pd.DataFrame, identity: DataIdentity) -> pd.DataFrame:
    """The published score of each split and ours, one row a split.

    Parameters
    ----------
    scores
        As in ``scores.csv``.
    identity
        Of the recordings, as from `identify_data`: only of the published ones is it known which
        mouse is which. Of others our splits and the published ones stand in rows of their own.

    Returns
    -------
    DataFrame
        Columns `SPLIT_COLUMNS`, for every condition and metric that both have by split; `ours` is
        the mean over seeds, `difference` is ours minus published.

    Examples
    --------
    >>> scores = pd.DataFrame({"condition": ["gru"], "fold": ["test-a_valid-b"], "seed": [0],
    ...     "test_animal": ["a"], "valid_animal": ["b"], "auc": [0.9]})
    >>> mice = {"a": "1", "b": "2"}
    >>> table = set_splits_beside_published(scores, DataIdentity("published", "", mice))
    >>> table[["fold", "test_mouse", "valid_mouse", "published", "ours"]].head(1)
                 fold test_mouse valid_mouse  published  ours
    0  test-a_valid-b          1           2     0.9581   0.9
    >>> len(table)
    20
    """
    keys = ["test_mouse", "valid_mouse"]
    tables = []
    for (condition, metric), published in published_splits().groupby(
        ["condition", "metric"], sort=False
    ):
        column = METRICS[str(metric)]
        if scores.empty or column not in scores:
            continue
        own = scores[(scores["condition"] == condition) & scores[column].notna()]
        if own.empty:
            continue
        folds = ["fold", "test_animal", "valid_animal"]
        ours = own.groupby(folds, sort=False)[column].mean().rename("ours").reset_index()
        for key, animal in zip(keys, folds[1:], strict=True):
            ours[key] = ours[animal].astype(str).map(identity.mice)
        theirs = published.rename(
            columns={"test_animal": keys[0], "valid_animal": keys[1], "value": "published"}
        )[[*keys, "published"]]
        known = ours[keys].notna().all(axis=1)
        beside = ours[known].merge(theirs, on=keys, how="outer")
        tables.append(
            pd.concat([beside, ours[~known]]).assign(condition=str(condition), metric=str(metric))
        )
    if not tables:
        return pd.DataFrame(columns=list(SPLIT_COLUMNS))
    table = pd.concat(tables, ignore_index=True)
    table["difference"] = table["ours"] - table["published"]
    return table.assign(data=identity.data).reindex(columns=list(SPLIT_COLUMNS))


def differing_settings(condition: Mapping[str, Any], published: Mapping[str, Any]) -> list[str]:
    """Keys of two resolved conditions that differ, with both values; names and folds aside.

    Examples
    --------
    >>> differing_settings({"name": "a", "window": {"before": 5}}, {"window": {"before": 15}})
    ['window.before 5 (paper-code: 15)']
    """
    ours, theirs = (
        dict(_leaves({k: v for k, v in one.items() if k not in NO_SETTINGS}))
        for one in (condition, published)
    )
    for one in (ours, theirs):
        one.pop("training.keep_train", None)
    absent = "not given"
    return [
        f"{key} {ours.get(key, absent)} ({READING}: {theirs.get(key, absent)})"
        for key in dict.fromkeys([*theirs, *ours])
        if ours.get(key, absent) != theirs.get(key, absent)
    ]


def _leaves(table: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            found += _leaves(value, f"{before}{key}.")
        else:
            found.append((f"{before}{key}", value))
    return found


def _settings_words(differing: Sequence[str] | None) -> str:
    if differing is None:
        return "not compared"
    return "; ".join(differing) if differing else f"as in {READING}"


def _reference(
    published: pd.Series, by_split: pd.DataFrame, identity: DataIdentity
) -> tuple[float, str]:
    """What ours is less, and the note; NaN where nothing may be subtracted."""
    if identity.data != PUBLISHED:
        return np.nan, identity.why
    mouse = by_split[["test_animal", "valid_animal"]].apply(
        lambda column: column.map(identity.mice)
    )
    # Of folds by session or by block the same animal is tested and chooses.
    pairs = set(mouse.itertuples(index=False, name=None))
    if any(test == valid or pd.isna(test) or pd.isna(valid) for test, valid in pairs):
        return np.nan, "folds are not by animal, as the published ones are"
    if len(pairs) == published["n"] == len(by_split):
        return float(published["mean"]), "the same 20 splits"
    table = published_splits()
    own = table[
        (table["condition"] == published["condition"]) & (table["metric"] == published["metric"])
    ]
    same = [pair in pairs for pair in zip(own["test_animal"], own["valid_animal"], strict=True)]
    if sum(same) < len(pairs):
        return np.nan, f"{len(pairs)} of 20 splits; the published mean is over all of them"
    return float(own.loc[same, "value"].mean()), (
        f"difference over the same {len(pairs)} of 20 splits, whose published mean is "
        f"{own.loc[same, 'value'].mean():.4f}"
    )


def _tells_of_running(condition: Mapping[str, Any]) -> bool:
    target = condition.get("target") or {}
    return target.get("kind") == "binary" and condition.get("permute_labels", "none") == "none"


def _mice_by_session(session_scores: pd.DataFrame) -> dict[str, str] | str:
    """The published number of each animal, or why there is none."""
    table = _read("sessions_64.csv", {"animal": str})
    known = {frozenset(rows["session"]): str(number) for number, rows in table.groupby("animal")}
    found = {}
    for animal, rows in session_scores.groupby("animal", sort=False):
        number = known.get(frozenset(rows["session"].astype(str)))
        if number is None:
            return f"sessions of {animal} are not those of a published mouse"
        found[str(animal)] = number
    return found


def _fault_of_running(rows: pd.DataFrame, mice: Mapping[str, str]) -> str:
    """Why running is not as published; empty where it is."""
    published = _read("published_summary.csv", {})
    published = published[published["metric"] == "run_fraction"].set_index("condition")
    unchecked = [animal for animal in mice if animal not in set(rows["animal"].astype(str))]
    if unchecked:
        return f"it could not be checked how much {', '.join(unchecked)} ran"
    sessions = rows.groupby(["animal", "session"], sort=False)["base_rate"].mean()
    for animal, rates in sessions.groupby("animal", sort=False):
        told = published.loc[f"mouse {mice[str(animal)]}"]
        mean, sd = float(rates.mean()), float(rates.std(ddof=1))
        off = abs(mean - told["mean"]) > MEAN_WITHIN or not abs(sd - told["sd"]) <= SD_WITHIN
        if off:
            return (
                f"sessions are called as the published ones, but {animal} ran {mean:.3f} of the "
                f"time (SD {sd:.3f}), the published mouse {told['mean']:.2f} (SD {told['sd']:.2f})"
            )
    return ""


def _read(name: str, types: Mapping[str, Any]) -> pd.DataFrame:
    with resources.files("corticode.published").joinpath(name).open("rb") as file:
        return pd.read_csv(file, dtype=types)
