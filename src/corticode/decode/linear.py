"""Linear decoders of a frame or of a whole window, without ever laying the windows out.

The window decoder weighs 50 regions in 31 frames: 1,550 numbers a window, 4 GB for a study. As
neighbouring windows share all but one frame, the weighted sums of all windows are sums along the
diagonals of one (frame, frame of the window) product, and the gradient is one more product. The
loss is convex and preconditioned by the traces' covariance over lags, so that a few dozen
evaluations of value and gradient (scipy's L-BFGS) settle it. The result is that of
scikit-learn's `LogisticRegression` or `Ridge` on the windows laid out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

from corticode.data.targets import covered_rows
from corticode.data.windows import Windows

CHUNK_ROWS = 8192
MAX_ITERATIONS = 200

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class LinearProblem:
    """Windows as rows of traces, with what is to be said of each.

    Parameters
    ----------
    traces
        Shape (frame, region).
    offset, gain
        Input becomes (x - offset) * gain, shape (region,).
    start
        Row of the first frame that is weighed, sorted, shape (window,).
    n_frames
        Frames that are weighed.
    target
        Shape (window, output): one column of 0 and 1 (binary), one a class, or values.
    kind
        ``binary``, ``classes`` or ``value``.
    """

    traces: NDArray[np.float32]
    offset: NDArray[np.float32]
    gain: NDArray[np.float32]
    start: NDArray[np.int64]
    n_frames: int
    target: NDArray[np.float32]
    kind: str

    @classmethod
    def of(
        cls,
        windows: Windows,
        offset: NDArray[np.float32],
        gain: NDArray[np.float32],
        first_frame: int,
        n_frames: int,
        value_scale: tuple[float, float],
    ) -> "LinearProblem":
        """The problem that windows pose; values are brought to the scale (offset, gain)."""
        kind = windows.recipe.target.kind
        order = np.argsort(windows.start, kind="stable")
        target = windows.target[order]
        if kind == "classes":
            codes = np.arange(len(windows.recipe.classes))
            columns = (target[:, None] == codes).astype(np.float32)
        elif kind == "value":
            columns = ((target - value_scale[0]) / value_scale[1])[:, None]
        else:
            columns = target[:, None]
        start = windows.start[order] + first_frame
        return cls(windows.traces, offset, gain, start, n_frames, columns.astype(np.float32), kind)

    def chunks(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64], slice]]:
        """Stretches of scaled traces, the windows' starts in them, and which windows these are."""
        first = 0
        while first < self.start.size:
            row = self.start[first]
            stop = int(np.searchsorted(self.start, row + CHUNK_ROWS))
            last_row = self.start[stop - 1] + self.n_frames
            rows = (np.asarray(self.traces[row:last_row]) - self.offset) * self.gain
            if not np.isfinite(rows.sum()):
                rows = np.where(np.isfinite(rows), rows, np.float32(0))
            yield rows, self.start[first:stop] - row, slice(first, stop)
            first = stop


@dataclass(frozen=True)
class LinearFit:
    """Weights of shape (output, frame, region), bias (output,), and how they were chosen."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    history: tuple[Mapping[str, float], ...]
    best: int


def fit_linear(
    train: LinearProblem, valid: LinearProblem | None, penalties: Sequence[float] | str
) -> LinearFit:
    """The penalised linear decoder with the lowest validation loss.

    Parameters
    ----------
    train
        Windows to fit.
    valid
        Windows that choose the penalty; None lets the training loss choose.
    penalties
        L2 penalties as a share of the inputs' mean variance, each tried, the largest first; or
        ``"scikit-learn"``: half the squared weights beside the sum of the losses of classes, and
        none of values, as `LogisticRegression` and `LinearRegression` have it.

    References
    ----------
    Liu & Nocedal (1989), doi:10.1007/BF01589116.
    """
    n_regions, n_outputs = train.traces.shape[1], train.target.shape[1]
    mean, variance, covariance = _moments(train)
    variance = max(variance, 1e-12)
    curvature = 1.0 if train.kind == "value" else 0.25
    weight: Floats = np.zeros((n_outputs, train.n_frames, n_regions))
    bias: Floats = np.zeros(n_outputs)
    history: list[dict[str, float]] = []
    best: tuple[float, int, Floats, Floats] = (np.inf, 0, weight, bias)
    if isinstance(penalties, str):
        penalties = (_penalty_of(train) / (variance * curvature),)
    for penalty in sorted(penalties, reverse=True):
        strength = penalty * variance * curvature
        weight, bias, train_loss, n_steps = _minimise(
            train, weight, bias, strength, mean, curvature * covariance, variance
        )
        valid_loss = np.nan if valid is None else _loss_of(valid, weight, bias, mean)
        history.append(
            {
                "epoch": float(len(history) + 1),
                "penalty": penalty,
                "train_loss": train_loss,
                "valid_loss": valid_loss,
                "n_evaluations": float(n_steps),
            }
        )
        chosen = train_loss if valid is None else valid_loss
        if chosen < best[0]:
            best = (chosen, len(history), weight, bias)
    _, k, weight, bias = best
    centred_bias = bias - (weight * mean).sum(axis=(1, 2))
    return LinearFit(weight.astype(np.float32), centred_bias.astype(np.float32), tuple(history), k)


def _penalty_of(problem: LinearProblem) -> float:
    """What scikit-learn adds by default to the mean loss, as a factor of |weight|^2 / 2."""
    return 0.0 if problem.kind == "value" else 1 / problem.start.size


def _minimise(
    problem: LinearProblem,
    weight: Floats,
    bias: Floats,
    strength: float,
    mean: Floats,
    curvature: Floats,
    variance: float,
) -> tuple[Floats, Floats, float, int]:
    """Weights and bias at the minimum of loss + strength / 2 |weight|^2, from a first guess."""
    n_outputs, n_features = weight.shape[0], weight[0].size
    root = _root_of(curvature, strength + 1e-7 * variance)

    def unpack(point: Floats) -> tuple[Floats, Floats]:
        white = point[:-n_outputs].reshape(n_outputs, n_features)
        flat = scipy.linalg.solve_triangular(root, white.T, lower=True, trans="T").T
        return flat.reshape(weight.shape), point[-n_outputs:]

    def objective(point: Floats) -> tuple[float, Floats]:
        weights, biases = unpack(point)
        loss, slope, bias_slope = _loss_and_slope(problem, weights, biases, mean)
        loss += 0.5 * strength * float((weights**2).sum())
        full = (slope + strength * weights).reshape(n_outputs, n_features)
        white = scipy.linalg.solve_triangular(root, full.T, lower=True).T
        return loss, np.concatenate([white.ravel(), bias_slope])

    begin = np.concatenate([(weight.reshape(n_outputs, -1) @ root).ravel(), bias])
    result = scipy.optimize.minimize(
        objective,
        begin,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_ITERATIONS, "ftol": 1e-10, "gtol": 1e-6},
    )
    weight, bias = unpack(result.x)
    loss = float(result.fun) - 0.5 * strength * float((weight**2).sum())
    return weight, bias, loss, int(result.nfev)


def _root_of(curvature: Floats, ridge: float) -> Floats:
    """The lower triangle whose square is curvature + ridge, the ridge as large as that needs.

    Of few frames beside many weights the curvature, an estimate by lags, may have directions below
    0. It only speeds the search, so that a larger ridge changes no minimum.
    """
    while True:
        try:
            return np.asarray(
                scipy.linalg.cholesky(curvature + ridge * np.eye(len(curvature)), lower=True)
            )
        except scipy.linalg.LinAlgError:
            ridge = 10 * max(ridge, 1e-9 * float(np.abs(np.diag(curvature)).max(initial=1e-9)))


def _moments(problem: LinearProblem) -> tuple[Floats, float, Floats]:
    """Mean by region, mean variance, and the covariance of whole windows from that over lags.

    Rows that no window sees count as the mean; so the matrix is a true autocovariance and
    positive semi-definite. It only speeds the search: at the edges of chunks it is not exact.
    """
    n_regions, n_frames = problem.traces.shape[1], problem.n_frames
    total, count = np.zeros(n_regions), 0
    for rows, _, fresh in _seen_rows(problem):
        total += rows[fresh].sum(axis=0, dtype=np.float64)
        count += int(fresh.sum())
    mean = total / max(count, 1)
    squares, by_lag = 0.0, np.zeros((n_frames, n_regions, n_regions))
    for rows, seen, fresh in _seen_rows(problem):
        centred = (rows - mean.astype(np.float32)) * seen[:, None]
        squares += float((centred[fresh].astype(np.float64) ** 2).sum())
        for lag in range(n_frames):
            by_lag[lag] += centred[: centred.shape[0] - lag].T @ centred[lag:]
    by_lag /= max(count, 1)
    covariance = np.empty((n_frames, n_regions, n_frames, n_regions))
    for first in range(n_frames):
        for second in range(n_frames):
            lag = second - first
            block = by_lag[lag] if lag >= 0 else by_lag[-lag].T
            covariance[first, :, second] = block
    n_features = n_frames * n_regions
    variance = squares / (max(count, 1) * n_regions)
    return mean, variance, covariance.reshape(n_features, n_features)


def _seen_rows(
    problem: LinearProblem,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]]:
    """Stretches of scaled traces, the rows that windows see, and those not in the one before."""
    done = 0
    for rows, starts, chosen in problem.chunks():
        first = int(problem.start[chosen.start])
        seen = covered_rows(starts, starts + problem.n_frames, rows.shape[0])
        fresh = seen & (np.arange(first, first + rows.shape[0]) >= done)
        done = first + rows.shape[0]
        yield rows, seen, fresh


def _sums(rows: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weighted sum of each stretch of `n_frames` rows, shape (start, output)."""
    n_outputs, n_frames, n_regions = weight.shape
    product = rows @ weight.reshape(-1, n_regions).T
    n_starts = rows.shape[0] - n_frames + 1
    step_row, step_column = product.strides
    diagonals = as_strided(
        product,
        (n_starts, n_outputs, n_frames),
        (step_row, n_frames * step_column, step_row + step_column),
        writeable=False,
    )
    return np.asarray(diagonals.sum(axis=2))


def _loss_and_slope(
    problem: LinearProblem, weight: Floats, bias: Floats, mean: Floats
) -> tuple[float, Floats, Floats]:
    """Mean loss over windows, its slope by weight and by bias."""
    n_outputs, n_frames, n_regions = weight.shape
    narrow = weight.astype(np.float32)
    centre = mean.astype(np.float32)
    loss, slope = 0.0, np.zeros((n_frames * n_outputs, n_regions))
    bias_slope = np.zeros(n_outputs)
    for rows, starts, chosen in problem.chunks():
        rows = rows - centre
        logits = _sums(rows, narrow)[starts] + bias
        part, residual = _point_loss(logits, problem.target[chosen], problem.kind)
        loss += part
        bias_slope += residual.sum(axis=0)
        n_steps = rows.shape[0] + n_frames - 1
        # A window that was chosen twice counts twice.
        at_start = [np.bincount(starts + n_frames - 1, one, n_steps) for one in residual.T]
        spread = np.asarray(at_start, dtype=np.float32)
        # Row j of the traces is frame k of the window that starts at j - k.
        by_frame = sliding_window_view(spread, rows.shape[0], axis=1)[:, ::-1]
        slope += by_frame.reshape(-1, rows.shape[0]) @ rows
    n = max(problem.start.size, 1)
    return loss / n, slope.reshape(weight.shape) / n, bias_slope / n


def _loss_of(problem: LinearProblem, weight: Floats, bias: Floats, mean: Floats) -> float:
    narrow, centre = weight.astype(np.float32), mean.astype(np.float32)
    total = sum(
        _point_loss(
            _sums(rows - centre, narrow)[starts] + bias, problem.target[chosen], problem.kind
        )[0]
        for rows, starts, chosen in problem.chunks()
    )
    return float(total) / problem.start.size


def _point_loss(outputs: Floats, target: NDArray[np.float32], kind: str) -> tuple[float, Floats]:
    """Summed loss of some windows and its slope by output."""
    if kind == "binary":
        loss = np.logaddexp(0, outputs) - target * outputs
        return float(loss.sum()), scipy.special.expit(outputs) - target
    if kind == "classes":
        loss = -(target * scipy.special.log_softmax(outputs, axis=1)).sum(axis=1)
        return float(loss.sum()), scipy.special.softmax(outputs, axis=1) - target
    error = outputs - target
    return float((0.5 * error**2).sum()), error
