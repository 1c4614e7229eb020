"""Which lines of the source no test reaches: two reports of coverage.py side by side.

Measure each version first, in its own tree, with ``branch = true``, ``parallel = true``,
``source_pkgs = corticode`` and ``patch = subprocess`` in the file RC, then ``coverage combine``::

    COVERAGE_RCFILE=RC coverage run -m pytest
    COVERAGE_RCFILE=RC coverage json -o AFTER.json

``python benchmarks/coverage_compared.py BEFORE.json AFTER.json`` keeps the totals as a table.
"""

import json
import sys
from pathlib import Path

from results_file import write_result

TOTALS = {
    "statements": "num_statements",
    "lines not covered": "missing_lines",
    "branches": "num_branches",
    "branches not covered": "missing_branches",
}


def main() -> None:
    """Read two reports and keep their totals."""
    reports = [json.loads(Path(name).read_text("utf-8")) for name in sys.argv[1:3]]
    rows = [[what, *(report["totals"][key] for report in reports)] for what, key in TOTALS.items()]
    when = [f"measured {report['meta']['timestamp'][:16]}" for report in reports]
    write_result("coverage", ["", *when], rows)


if __name__ == "__main__":
    main()
