"""What the spread over decoders comes from: test animals, training sets, seeds."""

import numpy as np
import pandas as pd

from corticode.evaluate.comparisons import check_columns


def variance_shares(split_scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """What the spread of a condition's decoders comes from: test animal, training set or seed.

    Components of variance of a nested design (seeds within training sets within test animals),
    from unweighted means; a component that comes out below 0 counts as 0.

    Parameters
    ----------
    split_scores
        One row a decoder: condition, fold, test_animal, seed and a column of `metric`.
    metric
        Which column.

    Returns
    -------
    DataFrame
        One row a condition: condition, metric, n_animals, n_splits (folds), n_seeds (the most of
        one fold), test_animal, training_set and seed (shares, together 1; NaN where the design
        does not tell them). With one seed a fold, seed is NaN and training_set holds both.

    Raises
    ------
    DataError
        A column is missing.

    Examples
    --------
    >>> splits = pd.DataFrame({"condition": "gru", "fold": ["a", "b", "c", "d"], "seed": 0,
    ...     "test_animal": ["m1", "m1", "m2", "m2"], "auc": [0.91, 0.93, 0.71, 0.73]})
    >>> variance_shares(splits, "auc")[["test_animal", "training_set", "seed"]].round(2)
       test_animal  training_set  seed
    0         0.99          0.01   NaN
    """
    needed = ("condition", "fold", "test_animal", "seed", metric)
    check_columns(split_scores, needed, "scores by split")
    known = split_scores[split_scores[metric].notna()]
    rows = [
        {"condition": condition, "metric": metric} | _shares(own, metric)
        for condition, own in known.groupby("condition", sort=False)
    ]
    columns = ["condition", "metric", "n_animals", "n_splits", "n_seeds"]
    return pd.DataFrame(rows, columns=[*columns, "test_animal", "training_set", "seed"])


def _shares(own: pd.DataFrame, metric: str) -> dict[str, object]:
    """Counts and shares of one condition."""
    by_fold = own.groupby(["test_animal", "fold"])[metric].agg(["mean", "var", "count"])
    several = by_fold["count"] > 1
    seed = float(by_fold.loc[several, "var"].mean()) if several.any() else np.nan
    of_seeds = 0.0 if np.isnan(seed) else seed
    by_animal = by_fold.assign(noise=of_seeds / by_fold["count"]).groupby("test_animal")
    spread = by_animal["mean"].var()
    fold = float((spread - by_animal["noise"].mean()).mean())
    means = by_animal["mean"].mean()
    animal = float(means.var() - (spread / by_animal.size()).mean())
    parts = np.array([animal, fold, seed])
    parts = np.where(np.isnan(parts), np.nan, np.maximum(parts, 0))
    total = np.nansum(parts)
    # A missing upper level leaves nothing to divide by.
    known = total > 0 and not np.isnan(parts[:2]).any()
    shares = parts / total if known else np.full(3, np.nan)
    return {
        "n_animals": len(means),
        "n_splits": len(by_fold),
        "n_seeds": int(by_fold["count"].max()),
        **dict(zip(("test_animal", "training_set", "seed"), shares, strict=True)),
    }
