"""The script that measures a GPU runs to its end, so that it does where one is at hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "gpu.py"


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "error::UserWarning"},
    )


@pytest.mark.study
def test_on_the_cpu_both_sides_are_equal():
    done = run("--tiny", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines()]
    apart = [float(row[1]) for row in rows if "apart by" in row[0]]
    assert apart == [0.0] * 4
    rates = [row[1] for row in rows if row[0].endswith(("trained", "predicted"))]
    assert len(rates) == 5 and all(float(rate.replace(",", "")) > 0 for rate in rates)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here, and would be measured")
def test_without_a_gpu_it_says_so():
    done = run()
    assert done.returncode != 0 and "no GPU is here" in done.stderr
