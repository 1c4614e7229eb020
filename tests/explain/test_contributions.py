import numpy as np
import pytest

from corticode.data.preprocess import Preprocessing
from corticode.data.targets import Target
from corticode.data.windows import WindowShape, cut_windows
from corticode.explain.contributions import additivity_error, average_contributions


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
