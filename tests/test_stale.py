"""A correction in place is noticed wherever it is: benchmarks/stale.py, in small."""

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def stale():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return runpy.run_path(str(BENCHMARKS / "stale.py"))
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize("n_frames", [1, 30, 300])
@pytest.mark.parametrize("name", ["traces", "behaviour", "movie"])
def test_every_correction_is_noticed(stale, name, n_frames):
    noticed, by_samples = stale["count_noticed"](name, n_frames, 4, seed=1)
    assert noticed == 4
    assert by_samples <= 4
