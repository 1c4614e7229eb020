from dataclasses import FrozenInstanceError

import pytest

from corticode.report.canvas import new_figure
from corticode.report.page_figure import PageFigure


def test_is_a_value():
    one = PageFigure("a", "scores", "A", "A.", "a", new_figure(20, 20)[0])
    with pytest.raises(FrozenInstanceError):
        one.name = "b"
