"""Both verdicts on a comparison in words: as published over splits, and over animals."""

from math import isnan

import pandas as pd

from corticode.evaluate.comparisons import AS_PUBLISHED, PAIRED_T
from corticode.report.score_figures import Verdict

SMALLEST_SHOWN = 0.001


def verdicts_of(comparisons: pd.DataFrame, name: str | None = None) -> list[Verdict]:
    """What is written above pairs of conditions in a figure.

    Parameters
    ----------
    comparisons
        As from `corticode.evaluate.comparisons.compare`.
    name
        Of one comparison (a figure); None: all.

    Returns
    -------
    list of Verdict
        One a pair. Pairs without splits have no words on them.

    Examples
    --------
    >>> from corticode.evaluate.comparisons import Comparison, compare
    >>> scores = pd.DataFrame({"condition": ["gru"] * 3 + ["rnn"] * 3, "metric": "auc",
    ...     "animal": ["m1", "m2", "m3"] * 2, "value": [0.9, 0.8, 0.95, 0.8, 0.75, 0.9]})
    >>> verdicts_of(compare(scores, [Comparison("networks", ("gru", "rnn"))]))[0].over_animals
    '3 animals: +0.067 [-0.005, 0.138]'
    """
    own = comparisons if name is None else comparisons[comparisons["comparison"] == name]
    found = []
    for (_, a, b), rows in own.groupby(["comparison", "condition_a", "condition_b"], sort=False):
        published = rows[rows["method"] == AS_PUBLISHED]
        primary = rows[rows["method"] == PAIRED_T]
        words = ""
        if not published.empty:
            row = published.iloc[0]
            words = f"{int(row['n'])} splits, as published: {p_in_words(row['p_holm'])}"
        animals = ""
        if not primary.empty:
            row = primary.iloc[0]
            ends = "" if isnan(row["low"]) else f" [{row['low']:.3f}, {row['high']:.3f}]"
            animals = f"{int(row['n'])} animals: {round(row['effect'], 3) + 0.0:+.3f}{ends}"
        found.append(Verdict(str(a), str(b), words, animals))
    return found


def p_in_words(p: float) -> str:
    """A p-value as it is written.

    Examples
    --------
    >>> p_in_words(0.0123), p_in_words(1e-9), p_in_words(float("nan"))
    ('p = 0.012', 'p < 0.001', 'no p')
    """
    if isnan(p):
        return "no p"
    return f"p < {SMALLEST_SHOWN:g}" if p < SMALLEST_SHOWN else f"p = {p:.3f}"
