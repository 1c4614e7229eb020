import pytest
import torch

from corticode.explain.outputs import ExplainedOutput


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
