"""The decoders as a scikit-learn estimator on windows at hand."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from corticode.data.preprocess import Preprocessing
from corticode.data.targets import Target
from corticode.data.windows import Recipe, Windows, WindowShape
from corticode.decode.decoder import Network, Training
from corticode.decode.fit import fit, predict
from corticode.errors import StudyError

Mask = NDArray[np.bool_]


class RegionDecoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """A decoder of windows as a scikit-learn classifier: the same networks, the same loop.

    Each region is brought to mean 0 and SD 1 by the training windows. Whole groups validate, so
    that the kept epoch is one that holds in an animal which did not train.

    Parameters
    ----------
    network
        ``rnn``, ``lstm``, ``gru``, ``bi-...``, ``linear-frame`` or ``linear-window``.
    units, epochs, batch_size, learning_rate, label_smoothing, penalty
        As in `corticode.Network` and `corticode.Training`.
    validation
        Share of the windows that choose the epoch (the penalty): whole groups where `groups` are
        given, at least one; else the last windows in their order, as neighbours are alike. Where
        that would leave no class to train or to choose by, training windows choose.
    seed
        The same seed gives the same weights.
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
        Regions, or values a window where windows are given flat.

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
        penalty: Sequence[float] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
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
        """Fit to windows.

        Parameters
        ----------
        X
            Shape (window, frame, region), or (window, region) for windows of one frame.
        y
            Labels, shape (window,).
        groups
            The animal (or session) of each window, shape (window,).
        """
        values, labels = validate_data(self, X, y, allow_nd=True, dtype=np.float32)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise StudyError(f"y holds one class, '{self.classes_[0]}'; at least 2 are needed")
        if not 0 < self.validation < 1:
            raise StudyError(f"validation = {self.validation}; it must lie between 0 and 1")
        windows = self._windows(values, codes.astype(np.float32))
        self.is_validation_ = self._choose_validation(codes, groups)
        train = windows.where(~self.is_validation_)
        valid = windows.where(self.is_validation_) if self.is_validation_.any() else train
        training = Training(
            self.epochs,
            self.batch_size,
            self.learning_rate,
            self.label_smoothing,
            tuple(self.penalty),
        )
        settings = Network(self.network, self.units)
        self.decoder_ = fit(train, valid, settings, training, seed=self.seed, device=self.device)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Probability of each class, shape (window, class)."""
        check_is_fitted(self)
        values = validate_data(self, X, allow_nd=True, dtype=np.float32, reset=False)
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
            order.astype(np.int32),
            ("all",),
            ("all",),
            recipe,
        )

    def _choose_validation(self, codes: NDArray[np.intp], groups: ArrayLike | None) -> Mask:
        """Windows that choose the epoch; none where the rest could not train without them."""
        n_windows = codes.size
        chosen = np.zeros(n_windows, dtype=np.bool_)
        wanted = max(1, round(self.validation * n_windows))
        if groups is None:
            chosen[n_windows - wanted :] = True
        else:
            of_window = np.asarray(groups)
            check_consistent_length(codes, of_window)
            # Random numbers of the seed choose, so that the groups' names decide nothing.
            names = np.random.default_rng(self.seed).permutation(np.unique(of_window))
            for name in names[: len(names) - 1]:
                if chosen.sum() >= wanted:
                    break
                chosen |= of_window == name
        if set(codes[~chosen]) != set(codes):
            return np.zeros(n_windows, dtype=np.bool_)
        return chosen
