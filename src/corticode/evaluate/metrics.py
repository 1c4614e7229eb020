"""How well scores fit targets: numbers from two arrays.

All of it comes from one sort of the scores and counts in whole numbers, so ties are exact and
nothing heavy is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from corticode.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

PRIMARY = {"binary": "auc", "classes": "auc", "value": "r2"}
ROC_POINTS = 200
BINS = 10


def primary(kind: str) -> str:
    """Name of the score that stands for a decoder: ``"auc"``, or ``"r2"`` for values.

    Raises
    ------
    DataError
        There is no such kind.

    Examples
    --------
    >>> primary("binary")
    'auc'
    """
    if kind not in PRIMARY:
        raise DataError(f"there is no kind {kind!r}; give one of {', '.join(PRIMARY)}")
    return PRIMARY[kind]


def score_windows(
    target: NDArray[Any], score: NDArray[Any], kind: str, *, threshold: float | None = None
) -> dict[str, float]:
    """The scores that belong to a kind of target, by name.

    Parameters
    ----------
    target
        Class index or value, shape (window,); windows where it is NaN are left out.
    score
        Probability or value, shape (window,) or (window, class).
    kind
        ``"binary"``, ``"classes"`` or ``"value"``.
    threshold
        For binary targets: see `binary_scores`; the other kinds pass over it.

    Raises
    ------
    DataError
        An unknown kind, or what the kind's own function refuses.

    Examples
    --------
    >>> score_windows(np.array([0, 0, 1]), np.array([0.1, 0.6, 0.4]), "binary")["auc"]
    0.5
    """
    primary(kind)
    if kind == "binary":
        return binary_scores(target, score, threshold=threshold)
    return class_scores(target, score) if kind == "classes" else value_scores(target, score)


def binary_scores(
    target: NDArray[Any], score: NDArray[Any], *, threshold: float | None = None
) -> dict[str, float]:
    """How well probabilities tell class 1 from class 0.

    Parameters
    ----------
    target
        0 or 1, shape (window,); windows where it is NaN are left out.
    score
        Probability of class 1, shape (window,).
    threshold
        Found on validation windows (`best_threshold`): 1 is said above it. ``None``: the two
        carried scores are not given. NaN: they are NaN.

    Returns
    -------
    dict
        ``auc``: area under the ROC curve, a tie counting one half. ``average_precision``:
        precision at each distinct score, weighted by the recall it adds. ``balanced_accuracy``
        and ``accuracy``: 1 is said above 0.5; the first is the mean over the two classes.
        ``brier``: mean squared difference of probability and outcome. With `threshold`,
        ``balanced_accuracy_carried`` and ``accuracy_carried``. Where one class is absent, auc,
        average precision and balanced accuracy are NaN; where there is no window, all are.

    Raises
    ------
    DataError
        Lengths that disagree, targets other than 0 and 1, or scores that are not finite.

    References
    ----------
    Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010 (ties in the ROC curve).

    Examples
    --------
    >>> target, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8])
    >>> binary_scores(target, score)["auc"]
    0.875
    """
    true, score = _known_binary(target, score)
    _, n_true, n_false = _roc_counts(true, score)
    found = {
        "auc": auc_of_counts(n_true, n_false),
        "average_precision": _average_precision(n_true, n_false),
        **_hits(true, score, 0.5, ""),
        "brier": float(np.mean((score - true) ** 2)) if true.size else np.nan,
    }
    return found if threshold is None else found | _hits(true, score, threshold, "_carried")


def class_scores(target: NDArray[Any], score: NDArray[Any]) -> dict[str, float]:
    """How well probabilities tell several classes apart.

    Parameters
    ----------
    target
        Index of the class, shape (window,); windows where it is NaN are left out.
    score
        Probabilities, shape (window, class).

    Returns
    -------
    dict
        ``auc``: each class against the rest, the mean over the classes present.
        ``balanced_accuracy``: share said right (the most probable class; the first of equals),
        the mean over the classes present. ``accuracy``. With fewer than two classes present the
        first two are NaN.

    Raises
    ------
    DataError
        Lengths that disagree, targets that are no class, or scores that are not finite.

    Examples
    --------
    >>> class_scores(np.array([0, 1, 2]), np.eye(3))
    {'auc': 1.0, 'balanced_accuracy': 1.0, 'accuracy': 1.0}
    """
    target, score = _known(target, score, 2)
    n_classes = score.shape[1]
    if not np.isin(target, np.arange(n_classes)).all():
        raise DataError(
            f"targets run from {target.min():g} to {target.max():g}; they are whole numbers, the "
            f"indices of the {n_classes} columns of score"
        )
    present = np.unique(target).astype(int)
    right = np.argmax(score, axis=1) == target
    several = present.size > 1
    recalls = [right[target == k].mean() for k in present]
    aucs = [auc_of_counts(*_roc_counts(target == k, score[:, k])[1:]) for k in present]
    return {
        "auc": float(np.mean(aucs)) if several else np.nan,
        "balanced_accuracy": float(np.mean(recalls)) if several else np.nan,
        "accuracy": float(right.mean()) if target.size else np.nan,
    }


def value_scores(target: NDArray[Any], score: NDArray[Any]) -> dict[str, float]:
    """How well values are met.

    Parameters
    ----------
    target
        Values, shape (window,); windows where it is NaN are left out.
    score
        What was said, in the same unit, shape (window,).

    Returns
    -------
    dict
        ``r2``: 1 - sum of squared errors / sum of squares about the targets' mean, below 0 where
        that mean would have done better. ``mae``: mean absolute error, in the target's unit.
        ``pearson_r``. Where the target is constant r2 and pearson_r are NaN; where the score is
        constant, pearson_r is.

    Raises
    ------
    DataError
        Lengths that disagree, or scores that are not finite.

    Examples
    --------
    >>> value_scores(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0]))["r2"]
    0.5
    """
    target, score = _known(target, score, 1)
    if target.size == 0:
        return {"r2": np.nan, "mae": np.nan, "pearson_r": np.nan}
    error = score - target
    about_target, target_squares = _about_mean(target)
    about_score, score_squares = _about_mean(score)
    r2 = pearson_r = np.nan
    if target_squares > 0:
        r2 = 1 - np.sum(error**2) / target_squares
    if target_squares > 0 and score_squares > 0:
        pearson_r = np.sum(about_target * about_score) / np.sqrt(target_squares * score_squares)
    return {"r2": float(r2), "mae": float(np.mean(np.abs(error))), "pearson_r": float(pearson_r)}


def best_threshold(target: NDArray[Any], score: NDArray[Any]) -> float:
    """The threshold with the highest balanced accuracy, 1 being said above it.

    It lies half way between two neighbouring scores. Of several that are equally good the middle
    one is taken (of an even number the higher of the two in the middle). It is meant for
    validation windows, to be carried to test windows.

    Parameters
    ----------
    target
        0 or 1, shape (window,); windows where it is NaN are left out.
    score
        Probability of class 1, shape (window,).

    Returns
    -------
    float
        The threshold; NaN where one class is absent.

    Raises
    ------
    DataError
        Lengths that disagree, targets other than 0 and 1, or scores that are not finite.

    Examples
    --------
    >>> best_threshold(np.array([0, 0, 1, 1]), np.array([0.25, 0.5, 0.75, 1.0]))
    0.625
    """
    true, score = _known_binary(target, score)
    distinct, n_true, n_false = _roc_counts(true, score)
    n_positive, n_negative = int(np.count_nonzero(true)), int(np.count_nonzero(~true))
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    # The cuts from "none is 1" (at the highest score) down to "all are 1" (just below the lowest).
    between = distinct[1:] + (distinct[:-1] - distinct[1:]) / 2
    cuts = np.concatenate([distinct[:1], between, np.nextafter(distinct[-1:], -np.inf)])
    # Balanced accuracy times twice the product of the class sizes, in whole numbers: ties exact.
    gain = np.concatenate([[0], n_true * n_negative - n_false * n_positive])
    best = np.flatnonzero(gain == gain.max())
    return float(cuts[best[(best.size - 1) // 2]])


def _known(
    target: NDArray[Any], score: NDArray[Any], n_axes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Targets and scores of the windows whose target is known, in float64."""
    target, score = np.asarray(target, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if target.ndim != 1 or score.ndim != n_axes or len(target) != len(score):
        needed = "(window,)" if n_axes == 1 else "(window, class)"
        raise DataError(
            f"target has shape {target.shape} and score {score.shape}; give (window,) and "
            f"{needed} for the same windows"
        )
    known = ~np.isnan(target)
    n_bad = int(np.count_nonzero(~np.isfinite(score[known])))
    if n_bad:
        # NaN sorts above every number: it would count as the surest of all.
        raise DataError(
            f"{n_bad} of the {score[known].size} scores of windows with a target are not finite; "
            "leave those windows out (target NaN), or correct what predicted them"
        )
    return target[known], score[known]


def _known_binary(
    target: NDArray[Any], score: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    target, score = _known(target, score, 1)
    if not np.isin(target, (0, 1)).all():
        raise DataError(
            f"targets run from {target.min():g} to {target.max():g}; binary scores need 0 and 1: "
            "make the target binary, or score it as kind 'classes' or 'value'"
        )
    return target == 1, score


def _about_mean(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Values less their mean, and the sum of their squares: exactly 0 where all are equal."""
    # The mean of equal values may be off by rounding, and would leave a spread of about 1e-17.
    about = values - values.mean() if np.ptp(values) > 0 else np.zeros_like(values)
    return about, float(np.sum(about**2))


def _roc_counts(
    true: NDArray[np.bool_], score: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """The distinct scores from high to low, and how many of each class are at or above each."""
    order = np.argsort(score)[::-1]
    ordered = score[order]
    last_of_score = np.append(ordered[1:] != ordered[:-1], [True] * (ordered.size > 0))
    last = np.flatnonzero(last_of_score)
    n_true = np.cumsum(true[order], dtype=np.int64)[last]
    return ordered[last], n_true, last + 1 - n_true


def auc_of_counts(n_true: NDArray[np.int64], n_false: NDArray[np.int64]) -> float:
    """Share of pairs (one of each class) in the right order, ties counting one half.

    Parameters
    ----------
    n_true, n_false
        How many of each class are at or above each score, from the highest to the lowest.
    """
    if n_true.size == 0 or n_true[-1] == 0 or n_false[-1] == 0:
        return float("nan")
    added_false = np.diff(n_false, prepend=0)
    before = np.append(0, n_true[:-1])
    twice_area = int(np.sum(added_false * (n_true + before)))
    return twice_area / (2 * int(n_true[-1]) * int(n_false[-1]))


def _average_precision(n_true: NDArray[np.int64], n_false: NDArray[np.int64]) -> float:
    if n_true.size == 0 or n_true[-1] == 0 or n_false[-1] == 0:
        return float("nan")
    precision = n_true / (n_true + n_false)
    return float(np.sum(np.diff(n_true, prepend=0) * precision) / n_true[-1])


def _hits(
    true: NDArray[np.bool_], score: NDArray[np.float64], threshold: float, suffix: str
) -> dict[str, float]:
    """Share of windows said right, 1 being said above the threshold."""
    names = (f"balanced_accuracy{suffix}", f"accuracy{suffix}")
    if true.size == 0 or np.isnan(threshold):
        return dict.fromkeys(names, float("nan"))
    right = (score > threshold) == true
    balanced = np.nan
    if true.any() and not true.all():
        balanced = (right[true].mean() + right[~true].mean()) / 2
    return {names[0]: float(balanced), names[1]: float(right.mean())}


def roc_curve(target: NDArray[np.floating], score: NDArray[np.floating]) -> pd.DataFrame:
    """The ROC curve at so many points as a figure can show.

    Parameters
    ----------
    target
        0 or 1, NaN where it is not known, shape (window,).
    score
        Probability of 1, shape (window,).

    Returns
    -------
    DataFrame
        false_share and true_share (of rest and of running that is called running), both rising
        from 0 to 1; no row where one class alone is there.

    Examples
    --------
    >>> roc_curve(np.array([0, 1, 1.0]), np.array([0.2, 0.1, 0.9])).true_share.tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    import pandas as pd

    target, score = _known(target, score, 1)
    true, order = target == 1, np.argsort(-score, kind="stable")
    if not 0 < np.count_nonzero(true) < true.size:
        return pd.DataFrame({"false_share": [], "true_share": []}, dtype=np.float64)
    ordered = score[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), ordered.size - 1)
    shares = {
        "false_share": np.append(0, np.cumsum(~true[order])[last] / np.count_nonzero(~true)),
        "true_share": np.append(0, np.cumsum(true[order])[last] / np.count_nonzero(true)),
    }
    # Points at even steps along the curve, not of the score: none is lost where it is steep.
    along = (shares["false_share"] + shares["true_share"]) / 2
    steps = np.linspace(0, 1, ROC_POINTS)
    kept = np.unique(np.searchsorted(along, steps).clip(0, along.size - 1))
    return pd.DataFrame({name: values[kept] for name, values in shares.items()})


def reliability(target: NDArray[np.floating], score: NDArray[np.floating]) -> pd.DataFrame:
    """How often it was 1 where a probability was said, by bins of equal width.

    Parameters
    ----------
    target, score
        As for `roc_curve`.

    Returns
    -------
    DataFrame
        One row a bin that holds a window: score (mean of what was said), share (of 1 among
        them), n_windows.

    Examples
    --------
    >>> reliability(np.array([0, 1, 1.0]), np.array([0.1, 0.9, 0.9])).share.tolist()
    [0.0, 1.0]
    """
    import pandas as pd

    target, score = _known(target, score, 1)
    bins = np.minimum((score * BINS).astype(np.int64), BINS - 1)
    table = pd.DataFrame({"bin": bins, "score": score, "share": target})
    grouped = table.groupby("bin")
    found = grouped[["score", "share"]].mean()
    return found.assign(n_windows=grouped.size()).reset_index(drop=True)
