"""Tests."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.preprocess import Preprocessing
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.errors import DataError
from corticode.explain.contributions import (
    ExplainedOutput,
    _even_shares,
    additivity_error,
    average_contributions,
    draw_background,
)


def test_additivity_error_by_hand():
    assert additivity_error(np.array([1.0, -4.5]), np.array([1.0, -4.0])) == 0.125
    assert additivity_error(np.zeros(2), np.zeros(2)) == 0
    assert additivity_error(np.ones(2), np.zeros(2)) == np.inf


@pytest.mark.parametrize("kind", ["binary", "value"])
def test_averages_by_hand(simulate, kind):
    target = Target("run") if kind == "binary" else Target("speed", kind="value")
    windows = cut_windows(
        [simulate("m1", "a", n_frames=60), simulate("m2", "a", n_frames=40)],
        target,
        WindowShape(1, 0),
        preprocessing=Preprocessing(),
    )
    values = np.random.default_rng(0).normal(size=(windows.n_windows, 2, 3)).astype(np.float32)
    found = average_contributions(
        iter(np.array_split(values, 7)),
        windows,
        kind="deep-shap",
        unit="logit",
        baseline=0.5,
        details={"a": 1},
    )
    np.testing.assert_allclose(found.absolute, np.abs(values).mean(axis=0), rtol=1e-6)
    assert (found.frames, found.names, found.frame_rate_hz) == ((-1, 0), ("1", "2", "3"), 30.0)
    assert [(part.name, part.n_windows) for part in found.by_animal] == [("m1", 59), ("m2", 39)]
    assert [part.name for part in found.by_class] == ["run = 0", "run = 1"][
        : 2 * (kind == "binary")
    ]
    second = values[windows.animal == 1]
    np.testing.assert_allclose(found.by_animal[1].signed, second.mean(axis=0), rtol=1e-5)


@pytest.fixture
def windows(simulate):
    def make(target=None):
        return cut_windows(
            [simulate(name, "a") for name in ("m1", "m2", "m3")],
            target or Target("run"),
            WindowShape(3, 3),
            preprocessing=Preprocessing(),
        )

    return make


def test_half_rest_half_run_and_equal_numbers_an_animal(windows):
    drawn = draw_background(windows(), 24)
    cells = Counter(zip(drawn.animal.tolist(), drawn.target.tolist(), strict=True))
    assert set(cells.values()) == {4}
    assert len(cells) == 6
    assert len(set(drawn.start.tolist())) == 24


def test_what_does_not_come_out_even_differs_by_one(windows):
    drawn = draw_background(windows(), 20)
    assert Counter(drawn.target.tolist()) == {0: 10, 1: 10}
    assert sorted(Counter(drawn.animal.tolist()).values()) == [6, 7, 7]


def test_the_seed_fixes_the_draw(windows):
    made = windows()
    first, again, other = (draw_background(made, 20, seed=seed).start for seed in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_values_are_balanced_over_animals_classes_over_classes(windows):
    by_value = draw_background(windows(Target("speed", kind="value")), 9)
    assert Counter(by_value.animal.tolist()) == {0: 3, 1: 3, 2: 3}
    by_class = draw_background(windows(Target("act", kind="classes")), 9)
    assert Counter(by_class.target.tolist()) == {0: 3, 1: 3, 2: 3}


def test_unbalanced_draws_follow_the_windows(windows):
    made = windows()
    everything = draw_background(made, made.n_windows, balanced=False)
    np.testing.assert_array_equal(everything.start, made.start)


def test_fewer_windows_than_asked_are_told(windows):
    made = windows()
    with pytest.raises(DataError, match=r"2000 background windows need 334 of class '0' of animal"):
        draw_background(made, 2000)
    with pytest.raises(DataError, match=r"need 2000, and there are \d+; ask for fewer"):
        draw_background(made, 2000, balanced=False)
    running = made.where((made.target == 1) | (made.animal == 0))
    with pytest.raises(DataError, match="of class '0' of animal 'm2', and there are 0"):
        draw_background(running, 20)
    with pytest.raises(DataError, match="at least one"):
        draw_background(made, 0)


@given(st.integers(0, 1000), st.integers(1, 20))
def test_shares_are_even_and_whole(n_windows, n_shares):
    shares = _even_shares(n_windows, n_shares)
    assert sum(shares) == n_windows
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("kind", "on", "index", "expected", "unit"),
    [
        ("binary", "logit", 0, 2.0, "logit"),
        ("binary", "probability", 0, 0.8808, "probability"),
        ("value", "logit", 0, 9.0, "value"),
        ("classes", "logit", 1, 1.0, "logit"),
        ("classes", "probability", 1, 0.2689, "probability"),
    ],
)
def test_the_number_explained_by_hand(kind, on, index, expected, unit):
    output = ExplainedOutput(kind, on, index, 2, 3.0, 3.0)
    outputs = torch.tensor([[2.0, 1.0]])
    assert output.of(outputs).item() == pytest.approx(expected, abs=1e-4)
    assert output.unit == unit
