"""Time to `corticode --help` and to `import corticode`: the median of 15 fresh processes."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from results_file import write_result


def median_s(command: list[str]) -> float:
    """Median wall time of a command, s."""
    seconds = []
    for _ in range(15):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def main() -> None:
    """Measure and write the table."""
    program = str(Path(sys.executable).with_name("corticode"))
    nothing = median_s([sys.executable, "-c", "pass"])
    write_result(
        "start_up",
        ["what", "seconds", "bar"],
        [
            ["`python -c pass`", f"{nothing:.3f}", ""],
            [
                "`python -c 'import corticode'`",
                f"{median_s([sys.executable, '-c', 'import corticode']):.3f}",
                "< 0.3",
            ],
            ["`corticode --help`", f"{median_s([program, '--help']):.3f}", "< 0.5"],
            ["`corticode run --help`", f"{median_s([program, 'run', '--help']):.3f}", "< 0.5"],
        ],
    )


if __name__ == "__main__":
    main()
