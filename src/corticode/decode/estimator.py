"""The decoders as a scikit-learn estimator on windows at hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from corticode.data.preprocess import Preprocessing
from corticode.data.targets import Target
from corticode.data.windows import Recipe, Windows, WindowShape
from corticode.decode.fit import fit
from corticode.decode.predict import predict
from corticode.decode.settings import Network, Training
from corticode.errors import DataError, StudyError

Mask = NDArray[np.bool_]


class RegionDecoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """A decoder of windows as a scikit-learn classifier: the same networks, the same loop.

    Each region is brought to mean 0 and SD 1 by the training windows. Some windows do not train:
    they validate, that is, they choose the epoch (for linear decoders the penalty) that is kept.
    Where `groups` are given, whole groups validate, so that the choice is one that holds in an
    animal which did not train.

    Parameters
    ----------
    network
        ``rnn``, ``lstm``, ``gru``, ``bi-...``, ``linear-frame`` or ``linear-window``.
    units, epochs, batch_size, learning_rate, label_smoothing, penalty
        As in `corticode.Network` and `corticode.Training`.
    validation
        Share of the windows that validate. With groups: groups in an order that the seed draws,
        each taken if that brings the share closer to this one; at least one validates and one
        trains. Without: the last windows in their order, as neighbours are alike; the last of
        each class where one would be missing otherwise. If a class would still be missing in
        training, or only one be left to choose by, all windows train and choose.
    seed
        Fixes the validating groups and all that training draws: the same seed, the same weights.
    device
        ``"cpu"`` or ``"cuda"``.

    Attributes
    ----------
    classes_
        The labels seen, sorted, shape (class,).
    decoder_
        The fitted `corticode.Decoder`.
    is_validation_
        Which windows chose the epoch, bool, shape (window,).
    n_features_in_
        Length of the second axis of X: frames of a window, or regions where X has two axes.
    n_iter_
        Epochs fitted; penalties tried, for linear decoders.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> run = np.repeat([0, 1] * 10, 10)
    >>> windows = rng.normal(size=(200, 11, 4)) + run[:, None, None]
    >>> animal = np.repeat(["m1", "m2", "m3", "m4"], 50)
    >>> decoder = RegionDecoder("linear-window").fit(windows, run, groups=animal)
    >>> decoder.predict_proba(windows).shape
    (200, 2)
    """

    def __init__(
        self,
        network: str = "gru",
        *,
        units: int = 32,
        epochs: int = 30,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        label_smoothing: float = 0.001,
        penalty: Sequence[float] | str = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        validation: float = 0.2,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.network = network
        self.units = units
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.label_smoothing = label_smoothing
        self.penalty = penalty
        self.validation = validation
        self.seed = seed
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """The decoder itself, fitted to windows.

        Parameters
        ----------
        X
            Shape (window, frame, region), or (window, region) for windows of one frame. Windows
            laid out flat, (window, frame times region), are taken as one frame of many regions:
            a recurrent network then sees no time, and each value is scaled by itself.
        y
            Labels of two or more classes, shape (window,).
        groups
            The animal (or session) of each window, shape (window,). In
            `sklearn.model_selection.cross_val_score` give them as ``params={"groups": groups}``
            as well: its own ``groups`` only reach the splitter.

        Raises
        ------
        DataError
            X has another number of axes, or no region varies.
        StudyError
            y holds one class, or a setting is not possible.
        """
        values, labels = self._checked(X, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise StudyError(f"y holds one class, '{self.classes_[0]}'; at least 2 are needed")
        if not 0 < self.validation < 1:
            raise StudyError(f"validation = {self.validation}; it must lie between 0 and 1")
        windows = self._windows(values, codes.astype(np.float32))
        group = None if groups is None else column_or_1d(groups)
        check_consistent_length(codes, group)
        chosen = _choose_validation(codes, group, self.validation, self.seed)
        train = windows.where(~chosen)
        # Under another name, as where none can be spared the same windows train and choose.
        valid = replace(windows.where(chosen) if chosen.any() else train, animal_names=("valid",))
        training = Training(
            self.epochs,
            self.batch_size,
            self.learning_rate,
            self.label_smoothing,
            self.penalty if isinstance(self.penalty, str) else tuple(self.penalty),
        )
        settings = Network(self.network, self.units)
        decoder = fit(train, valid, settings, training, seed=self.seed, device=self.device)
        self.decoder_ = replace(
            decoder,
            selected_by=decoder.selected_by if chosen.any() else "training loss",
            train_animals=() if group is None else tuple(map(str, np.unique(group[~chosen]))),
            valid_animals=() if group is None else tuple(map(str, np.unique(group[chosen]))),
            # Windows at hand have no session that could be met again.
            roles={},
        )
        self.is_validation_ = chosen
        self.n_iter_ = len(decoder.history)
        return self

    def _checked(self, *given: ArrayLike, **more: bool) -> Any:
        """X, and y where it is given, as scikit-learn checks them; its refusals are ours.

        Raises
        ------
        DataError
            Values that are not finite or beyond float32, and whatever else it refuses.
        """
        try:
            with np.errstate(over="ignore"):  # what overflows is refused as infinite
                return validate_data(self, *given, allow_nd=True, dtype=np.float32, **more)
        except DataError:
            raise
        except ValueError as error:
            raise DataError(str(error)) from error

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Probability of each class, shape (window, class)."""
        check_is_fitted(self)
        values = self._checked(X, reset=False)
        windows = self._windows(values, np.full(len(values), np.nan, dtype=np.float32))
        score = predict(self.decoder_, windows, device=self.device).score
        if score.ndim == 1:
            return np.stack([1 - score, score], axis=1)
        return score

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log odds of the second of two classes, (window,); of several, log probabilities."""
        # A probability of exactly 0 or 1 is one that float32 could not tell from it.
        tiny = float(np.finfo(np.float32).tiny)
        logs = np.log(np.maximum(self.predict_proba(X).astype(np.float64), tiny))
        return logs[:, 1] - logs[:, 0] if len(self.classes_) == 2 else logs

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class of each window, shape (window,)."""
        probability = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[probability.argmax(axis=1)]
        return labels

    def _windows(self, values: NDArray[np.float32], target: NDArray[np.float32]) -> Windows:
        """Windows at hand, laid end to end: each is its own stretch of the traces."""
        if values.ndim == 2:
            values = values[:, None]
        if values.ndim != 3 or values.size == 0:
            raise DataError(
                f"X has the shape {values.shape}; (window, frame, region) or (window, region) is "
                "needed, with one or more of each: bring its axes into this form"
            )
        n_windows, n_frames, n_regions = values.shape
        several = len(self.classes_) > 2
        before = n_frames // 2
        recipe = Recipe(
            tuple(str(k + 1) for k in range(n_regions)),
            (True,) * n_regions,
            Preprocessing(scale="z-score", scale_over="training"),
            WindowShape(before, n_frames - 1 - before),
            Target("y", "classes" if several else "binary"),
            tuple(str(label) for label in self.classes_) if several else ("0", "1"),
            None,
        )
        one = np.zeros(n_windows, dtype=np.int16)
        order = np.arange(n_windows)
        return Windows(
            np.ascontiguousarray(values).reshape(-1, n_regions),
            order * n_frames,
            target,
            one,
            one,
            # Each is a stretch of its own, so that none sees what another does.
            (order * n_frames + before).astype(np.int32),
            ("all",),
            ("all",),
            recipe,
        )


def _choose_validation(
    codes: NDArray[np.intp], group: NDArray[Any] | None, share: float, seed: int
) -> Mask:
    """Windows that choose the epoch; none where the rest could not train without them."""
    classes = set(codes)
    if group is None:
        chosen = _last_windows(np.zeros_like(codes), share)
        if set(codes[chosen]) != classes or set(codes[~chosen]) != classes:
            chosen = _last_windows(codes, share)
    else:
        chosen = _whole_groups(group, share, seed)
    if set(codes[~chosen]) != classes or len(set(codes[chosen])) < 2:
        return np.zeros(codes.size, dtype=np.bool_)
    return chosen


def _last_windows(kind: NDArray[np.intp], share: float) -> Mask:
    """The last windows of each kind; a kind keeps at least one to train."""
    chosen = np.zeros(kind.size, dtype=np.bool_)
    for each in np.unique(kind):
        members = np.flatnonzero(kind == each)
        n_chosen = min(max(1, round(share * members.size)), members.size - 1)
        chosen[members[members.size - n_chosen :]] = True
    return chosen


def _whole_groups(group: NDArray[Any], share: float, seed: int) -> Mask:
    """The windows of whole groups that hold about a share of all; one group at least is left."""
    names, of_window, sizes = np.unique(group, return_inverse=True, return_counts=True)
    wanted = share * group.size
    # Drawn rather than taken by name: names often tell the day or the cohort.
    drawn = np.random.default_rng(seed).permutation(names.size)
    taken: list[int] = []
    for k in drawn:
        held = sizes[taken].sum()
        if len(taken) < names.size - 1 and abs(held + sizes[k] - wanted) < abs(held - wanted):
            taken.append(k)
    if not taken and names.size > 1:
        taken = [drawn[sizes[drawn].argmin()]]
    return np.isin(of_window, taken)
