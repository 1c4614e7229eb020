import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.decode import linear
from corticode.decode.linear import LinearProblem, _root_of, fit_linear

TARGETS = {
    "binary": Target("run"),
    "classes": Target("act", kind="classes"),
    "value": Target("speed", kind="value"),
}


def problem_of(sessions, kind, *, window=WindowShape(2, 2), offset=0.0, gain=1.0, scale=(0.0, 1.0)):  # noqa: B008  a frozen value
    windows = cut_windows(
        sessions, TARGETS[kind], window, preprocessing=Preprocessing(scale="none")
    )
    n_regions = windows.traces.shape[1]
    return windows, LinearProblem.of(
        windows,
        np.full(n_regions, offset, np.float32),
        np.full(n_regions, gain, np.float32),
        0,
        window.n_frames,
        scale,
    )


def strength_of(windows, kind, penalty):
    """The penalty as a number: a share of the loss's mean curvature over the inputs."""
    seen = windows.traces[windows.covered()].astype(np.float64)
    return penalty * seen.var(axis=0).mean() * (1 if kind == "value" else 0.25)


def correlated_session(rng, name, n_frames=900, n_regions=6):
    """Slow traces that share most of their signal, as regions of cortex do."""
    shared = np.cumsum(rng.normal(size=(n_frames, 1)), axis=0) * 0.3
    own = np.cumsum(rng.normal(size=(n_frames, n_regions)), axis=0) * 0.05
    speed = np.maximum(shared[:, 0] + rng.normal(size=n_frames), 0)
    run = (np.arange(n_frames) // 60 % 2).astype(float)
    traces = shared + own + 0.5 * run[:, None] * rng.normal(size=n_regions)
    behavior = {"run": run, "speed": speed}
    return Session(
        "m1", name, traces, tuple("abcdef"[:n_regions]), behavior, np.zeros(n_frames, np.int32)
    )


@pytest.fixture
def sessions(simulate):
    return [simulate("m1", s, n_frames=250, noise=1.0) for s in ("a", "b")]


class TestAgainstScikitLearn:
    """Windows laid out and fitted in float64 by another solver give the same weights."""

    @pytest.mark.parametrize("penalty", [1.0, 1e-2])
    def test_logistic_regression_of_two_classes(self, sessions, penalty):
        windows, problem = problem_of(sessions, "binary")
        found = fit_linear(problem, None, [penalty])
        c = 1 / (windows.n_windows * strength_of(windows, "binary", penalty))
        laid_out = windows.values().reshape(windows.n_windows, -1)
        model = LogisticRegression(C=c, tol=1e-8, max_iter=2000).fit(laid_out, windows.target)
        np.testing.assert_allclose(found.weight.ravel(), model.coef_[0], atol=1e-3, rtol=1e-3)
        np.testing.assert_allclose(found.bias, model.intercept_, atol=1e-3, rtol=1e-3)
        np.testing.assert_allclose(
            laid_out @ found.weight.ravel() + found.bias[0],
            model.decision_function(laid_out),
            rtol=1e-3,
            atol=1e-3,
        )

    def test_logistic_regression_of_several_classes(self, sessions):
        windows, problem = problem_of(sessions, "classes")
        found = fit_linear(problem, None, [1e-2])
        c = 1 / (windows.n_windows * strength_of(windows, "classes", 1e-2))
        laid_out = windows.values().reshape(windows.n_windows, -1)
        model = LogisticRegression(C=c, tol=1e-8, max_iter=2000).fit(laid_out, windows.target)
        weight = found.weight.reshape(3, -1)
        np.testing.assert_allclose(weight, model.coef_, atol=1e-3, rtol=1e-3)
        centred = found.bias - found.bias.mean()  # a common shift says nothing
        expected = model.intercept_ - model.intercept_.mean()
        np.testing.assert_allclose(centred, expected, atol=1e-3, rtol=1e-3)

    def test_ridge_regression(self, sessions):
        windows, problem = problem_of(sessions, "value", scale=(20.0, 3.0))
        found = fit_linear(problem, None, [1e-2])
        alpha = windows.n_windows * strength_of(windows, "value", 1e-2)
        laid_out = windows.values().astype(np.float64).reshape(windows.n_windows, -1)
        model = Ridge(alpha=alpha).fit(laid_out, (windows.target - 20.0) / 3.0)
        np.testing.assert_allclose(found.weight.ravel(), model.coef_, atol=1e-3, rtol=1e-3)
        np.testing.assert_allclose(found.bias[0], model.intercept_, atol=1e-3, rtol=1e-3)

    @pytest.mark.parametrize("n_before", [0, 2])
    @pytest.mark.parametrize("kind", ["binary", "value"])
    def test_its_own_defaults(self, n_before, kind):
        """On a small cohort, prepared as the study does: all coefficients, and what is said."""
        rng = np.random.default_rng(1)
        sessions = [correlated_session(rng, name) for name in ("a", "b", "c")]
        windows = cut_windows(
            sessions,
            TARGETS[kind],
            WindowShape(n_before, 0),
            preprocessing=Preprocessing(100, scale="min-max"),
        )
        scale = (float(windows.target.mean()), float(windows.target.std()))
        scale = scale if kind == "value" else (0.0, 1.0)
        n_regions = windows.traces.shape[1]
        as_read = np.zeros(n_regions, np.float32), np.ones(n_regions, np.float32)
        train, other = (
            LinearProblem.of(windows.where(rows), *as_read, 0, n_before + 1, scale)
            for rows in (windows.session < 2, windows.session == 2)
        )
        found = fit_linear(train, other, "scikit-learn")
        # What validates has no say.
        alone = fit_linear(train, None, "scikit-learn")
        np.testing.assert_array_equal(found.weight, alone.weight)
        chosen = windows.where(windows.session < 2)
        laid_out = chosen.values().reshape(chosen.n_windows, -1).astype(np.float64)
        target = (chosen.target - scale[0]) / scale[1]
        # The penalty, C = 1, is the default; the search goes on until it is settled.
        model = (
            LinearRegression()
            if kind == "value"
            else LogisticRegression(tol=1e-10, max_iter=10_000)
        )
        model.fit(laid_out, target)
        ours = laid_out @ found.weight.ravel().astype(np.float64) + found.bias[0]
        theirs = model.predict(laid_out) if kind == "value" else model.decision_function(laid_out)
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max())
        largest = np.abs(model.coef_).max()
        np.testing.assert_allclose(found.weight.ravel(), model.coef_.ravel(), atol=1e-3 * largest)

    def test_windows_chosen_twice_count_twice(self, sessions):
        windows, problem = problem_of(sessions, "value")
        again = np.sort(np.random.default_rng(0).integers(0, windows.n_windows, 400))
        twice = LinearProblem.of(
            windows.where(again), problem.offset, problem.gain, 0, 5, (0.0, 1.0)
        )
        found = fit_linear(twice, None, [1e-2])
        alpha = again.size * strength_of(windows.where(again), "value", 1e-2)
        laid_out = windows.values(again).astype(np.float64).reshape(again.size, -1)
        model = Ridge(alpha=alpha).fit(laid_out, windows.target[again])
        np.testing.assert_allclose(found.weight.ravel(), model.coef_, atol=1e-3, rtol=1e-3)


class TestLoss:
    @pytest.mark.parametrize("kind", sorted(TARGETS))
    def test_slope_is_that_of_finite_differences(self, sessions, kind):
        _, problem = problem_of(sessions, kind)
        rng = np.random.default_rng(0)
        n_outputs = problem.target.shape[1]
        weight, bias = rng.normal(size=(n_outputs, 5, 3)) * 0.3, rng.normal(size=n_outputs)
        mean = rng.normal(size=3)
        _, slope, bias_slope = linear._loss_and_slope(problem, weight, bias, mean)
        step = 1e-2
        for _ in range(10):
            direction, along = rng.normal(size=weight.shape), rng.normal(size=n_outputs)
            ends = [
                linear._loss_and_slope(problem, weight + h * direction, bias + h * along, mean)[0]
                for h in (-step, step)
            ]
            expected = (slope * direction).sum() + bias_slope @ along
            assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(expected, rel=5e-3, abs=1e-3)

    @pytest.mark.parametrize("kind", sorted(TARGETS))
    def test_by_hand(self, kind):
        session = Session(
            "m1",
            "a",
            np.array([[0.0], [1.0], [2.0], [3.0]]),
            ("1",),
            {
                "run": np.array([0.0, 0, 1, 1]),
                "act": np.array(["x", "y", "y", "x"]),
                "speed": np.array([0.0, 1, 2, 3]),
            },
            np.zeros(4, np.int32),
        )
        _, problem = problem_of([session], kind, window=WindowShape(1, 0), offset=1.0, gain=2.0)
        # Windows of scaled frames: (-2, 0), (0, 2), (2, 4).
        n_outputs = 2 if kind == "classes" else 1
        weight = np.array([[[1.0], [-1.0]]] * n_outputs)
        loss = linear._loss_of(problem, weight, np.zeros(n_outputs), np.zeros(1))
        expected = {
            # outputs are -2 everywhere; targets are 0, 1, 1
            "binary": (np.log1p(np.exp(-2)) + 2 * np.log1p(np.exp(2))) / 3,
            "classes": np.log(2),
            "value": (3**2 + 4**2 + 5**2) / 6,
        }
        assert loss == pytest.approx(expected[kind], rel=1e-6)

    def test_large_outputs_do_not_overflow(self):
        outputs = np.array([[-2000.0], [2000.0]])
        loss, residual = linear._point_loss(outputs, np.array([[1.0], [1.0]]), "binary")
        assert loss == 2000
        assert residual.ravel().tolist() == [-1, 0]


class TestStretches:
    """How windows are walked through must not matter."""

    @pytest.mark.parametrize("kind", sorted(TARGETS))
    def test_chunks_change_nothing(self, sessions, kind, monkeypatch):
        train = problem_of(sessions[:1], kind)[1]
        valid = problem_of(sessions[1:], kind)[1]
        whole = fit_linear(train, valid, [1.0, 1e-2])
        monkeypatch.setattr(linear, "CHUNK_ROWS", 17)
        assert len(list(train.chunks())) > 10
        parts = fit_linear(train, valid, [1.0, 1e-2])
        np.testing.assert_allclose(parts.weight, whole.weight, atol=1e-3, rtol=1e-3)
        np.testing.assert_allclose(parts.bias, whole.bias, atol=1e-3, rtol=1e-3)
        for one, other in zip(parts.history, whole.history, strict=True):
            assert one["valid_loss"] == pytest.approx(other["valid_loss"], rel=1e-3)

    @given(st.integers(1, 12), st.integers(1, 60), st.data())
    def test_chunks_hold_every_window_once(self, n_frames, chunk_rows, data):
        starts = sorted(data.draw(st.lists(st.integers(0, 100), min_size=1, max_size=30)))
        traces = np.arange(120.0, dtype=np.float32)[:, None]
        problem = LinearProblem(
            traces,
            np.zeros(1, np.float32),
            np.ones(1, np.float32),
            np.asarray(starts),
            n_frames,
            np.zeros((len(starts), 1), np.float32),
            "binary",
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(linear, "CHUNK_ROWS", chunk_rows)
            found = [
                (k, rows[s : s + n_frames, 0].tolist())
                for rows, own, chosen in problem.chunks()
                for k, s in zip(range(chosen.start, chosen.stop), own, strict=True)
            ]
            mean, variance, _ = linear._moments(problem)
        assert found == [(k, list(range(s, s + n_frames))) for k, s in enumerate(starts)]
        seen = np.unique([s + k for s in starts for k in range(n_frames)])
        assert mean[0] == pytest.approx(seen.mean(), rel=1e-6)
        assert variance == pytest.approx(seen.var(), rel=1e-5, abs=1e-6)

    def test_missing_rows_between_windows_do_not_matter(self, simulate):
        session = simulate(n_frames=300)
        windows, _ = problem_of([session], "binary")
        fits = []
        for value in (5.0, np.nan, np.inf):
            traces = windows.traces.copy()
            chosen = windows.where((windows.start < 120) | (windows.start > 150))
            traces[124:151] = value
            problem = LinearProblem(
                traces,
                np.zeros(3, np.float32),
                np.ones(3, np.float32),
                chosen.start,
                5,
                chosen.target[:, None],
                "binary",
            )
            fits.append(fit_linear(problem, None, [1e-2]))
        for other in fits[1:]:
            np.testing.assert_allclose(other.weight, fits[0].weight, atol=1e-5)
            np.testing.assert_allclose(other.bias, fits[0].bias, atol=1e-5)

    def test_order_of_windows_does_not_matter(self, sessions):
        windows, problem = problem_of(sessions, "binary")
        turned = windows.where(np.arange(windows.n_windows)[::-1])
        again = LinearProblem.of(turned, problem.offset, problem.gain, 0, 5, (0.0, 1.0))
        np.testing.assert_array_equal(again.start, problem.start)
        np.testing.assert_array_equal(again.target, problem.target)


class TestPenalty:
    def test_is_chosen_by_validation_loss(self, sessions):
        train, valid = problem_of(sessions[:1], "binary")[1], problem_of(sessions[1:], "binary")[1]
        found = fit_linear(train, valid, [1e-4, 10.0, 1e-1])
        assert [row["penalty"] for row in found.history] == [10.0, 1e-1, 1e-4]
        assert [row["epoch"] for row in found.history] == [1, 2, 3]
        losses = [row["valid_loss"] for row in found.history]
        assert found.best == 1 + int(np.argmin(losses))
        weight = found.weight.astype(np.float64)
        kept = linear._loss_of(valid, weight, found.bias.astype(np.float64), np.zeros(3))
        assert kept == pytest.approx(min(losses), rel=1e-4)

    def test_is_chosen_by_training_loss_without_validation(self, sessions):
        found = fit_linear(problem_of(sessions, "binary")[1], None, [1e-4, 10.0])
        assert found.best == 2
        assert all(np.isnan(row["valid_loss"]) for row in found.history)

    def test_shrinks_the_weights(self, sessions):
        problem = problem_of(sessions, "value")[1]
        sizes = [np.abs(fit_linear(problem, None, [p]).weight).sum() for p in (1e-4, 1.0, 100.0)]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[2] < 0.1 * sizes[0]

    def test_of_nothing_where_classes_come_apart(self):
        # Regions that repeat each other, a separable target: the hardest case for the solver.
        run = np.repeat([0.0, 1.0, 0.0, 1.0], 40)
        session = Session(
            "m1",
            "a",
            np.repeat(run[:, None], 20, axis=1),
            tuple(map(str, range(20))),
            {"run": run},
            np.zeros(160, np.int32),
        )
        found = fit_linear(problem_of([session], "binary")[1], None, [1e-5, 0.0])
        assert np.isfinite(found.weight).all()
        assert found.history[-1]["train_loss"] < 0.01


def test_a_curvature_with_directions_below_0_ends_in_a_root():
    curvature = np.diag([2.0, 1e-9, -1e-3])
    root = _root_of(curvature, 1e-7)
    left = root @ root.T - curvature
    np.testing.assert_allclose(left, left[0, 0] * np.eye(3), atol=1e-12)
    assert 1e-3 < left[0, 0] < 2e-2
    # Where it has none, nothing is added.
    plain = _root_of(np.eye(2), 0.5)
    np.testing.assert_array_equal(plain, np.sqrt(1.5) * np.eye(2))
