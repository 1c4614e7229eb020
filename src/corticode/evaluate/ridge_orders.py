"""Ridge regression fitted anew for many orders of the sessions' label traces at once.

The products of a session's inputs with themselves do not depend on the labels and are taken
once; those with labels once for each pairing of a session with a label trace.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from corticode.evaluate.metrics import binary_scores
from corticode.evaluate.usable_sessions import mean_known

PENALTY = 0.1

Floats = NDArray[np.floating[Any]]


def refit_aucs(
    read_inputs: Callable[[int], Floats],
    labels: Sequence[Floats],
    held_out: NDArray[np.int64],
    orders: NDArray[np.intp],
    penalty: float = PENALTY,
) -> NDArray[np.float64]:
    """Within-session AUCs of ridge decoders that are fitted in every order without that group.

    Parameters
    ----------
    read_inputs
        Gives the inputs of a session, shape (window, input), by its number; called twice each,
        so that no more than one session's need be in memory.
    labels
        For each session, the label that its windows have from each session: 0, 1 or NaN, shape
        (window, session).
    held_out
        The group of each session that is left out together, whole numbers from 0.
    orders
        Which session's labels each session has, shape (order, session).
    penalty
        L2 penalty as a share of the inputs' mean sum of squares.

    Returns
    -------
    array
        Shape (order, session); NaN where a session has labels of one class.

    Examples
    --------
    >>> x = [np.array([[0.0], [1.0], [2.0], [3.0]])] * 2
    >>> y = [np.array([[0, 0], [0, 1], [1, 0], [1, 1]])] * 2
    >>> refit_aucs(lambda k: x[k], y, np.array([0, 1]), np.array([[0, 1], [1, 0]])).tolist()
    [[1.0, 0.75], [0.75, 1.0]]
    """
    weights = _fit_orders(read_inputs, labels, held_out, orders, penalty)
    aucs = np.empty(orders.shape)
    for k, own in enumerate(labels):
        scores = _centred(read_inputs(k)) @ weights[held_out[k]].astype(np.float32)
        aucs[:, k] = column_aucs(scores, np.asarray(own)[:, orders[:, k]])
    return aucs


def cohort_values(aucs: NDArray[np.float64], animals: Sequence[str]) -> NDArray[np.float64]:
    """The mean over animals of their mean over sessions, shape (order,).

    Parameters
    ----------
    aucs
        Shape (order, session); NaN is left out.
    animals
        The animal of each session.
    """
    codes, names = pd.factorize(np.array(animals))
    return mean_known(
        np.stack([mean_known(aucs[:, codes == k]) for k in range(len(names))], axis=1)
    )


def column_aucs(scores: Floats, labels: Floats) -> NDArray[np.float64]:
    """AUC of each column of scores for the same column of labels; ties count one half.

    Parameters
    ----------
    scores, labels
        Shape (window, order); windows whose label is NaN are left out.

    Returns
    -------
    array
        Shape (order,); NaN where one class is absent.

    Examples
    --------
    >>> column_aucs(np.array([[0.1, 1], [0.2, 1], [0.3, 1]]), np.array([[0, 0], [1, 1], [1, 1]]))
    array([1. , 0.5])
    """
    place = np.argsort(scores, axis=0)
    ordered = np.take_along_axis(scores, place, axis=0)
    label = np.take_along_axis(labels, place, axis=0)
    true, false = label == 1, label == 0
    n_pairs = true.sum(axis=0) * false.sum(axis=0)
    right = np.sum(np.cumsum(false, axis=0) * true, axis=0)
    aucs = np.full(scores.shape[1], np.nan)
    np.divide(right, n_pairs, out=aucs, where=n_pairs > 0)
    # Ties are rare among linear scores: only the columns that have some are counted exactly.
    tied = np.any(ordered[1:] == ordered[:-1], axis=0) & (n_pairs > 0)
    for k in np.flatnonzero(tied):
        aucs[k] = binary_scores(labels[:, k], scores[:, k])["auc"]
    return aucs


def _fit_orders(
    read_inputs: Callable[[int], Floats],
    labels: Sequence[Floats],
    held_out: NDArray[np.int64],
    orders: NDArray[np.intp],
    penalty: float,
) -> NDArray[np.float64]:
    """Weights without each group in each order, shape (group, input, order)."""
    n_groups = int(held_out.max()) + 1
    grams: list[Any] = [0.0] * n_groups
    moments: list[Any] = [0.0] * n_groups
    for k, own in enumerate(labels):
        inputs = _centred(read_inputs(k))
        grams[held_out[k]] = grams[held_out[k]] + (inputs.T @ inputs).astype(np.float64)
        used, place = np.unique(orders[:, k], return_inverse=True)
        # A window without a label counts as the mean label: the inputs' products stay the same.
        label = np.nan_to_num(_about_known_mean(np.asarray(own)[:, used]))
        products = inputs.T @ label.astype(np.float32)
        moments[held_out[k]] = moments[held_out[k]] + products[:, place].astype(np.float64)
    gram, moment = sum(grams), sum(moments)
    weights = []
    for k in range(n_groups):
        left = gram - grams[k]
        strength = penalty * np.trace(left) / len(left)
        # Flat inputs alone leave nothing to divide by; their weights are 0 then.
        left[np.diag_indices_from(left)] += strength if strength > 0 else 1.0
        weights.append(cho_solve(cho_factor(left), moment - moments[k]))
    return np.stack(weights)


def _centred(inputs: Floats) -> NDArray[np.float32]:
    """Inputs less their session's mean: levels of sessions play no part in within-session AUC."""
    return np.asarray(inputs - inputs.mean(axis=0), dtype=np.float32)


def _about_known_mean(labels: Floats) -> NDArray[np.float64]:
    return np.asarray(labels - mean_known(np.asarray(labels, np.float64).T), dtype=np.float64)
