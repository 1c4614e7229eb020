"""The same fits by two Dask workers of one thread and by two local worker processes.

Scores have to be equal to the last digit, and the time within 15 %. Workers of both kinds are timed
from the moment a run is begun, so that the local ones start and import within it; the same is asked
of the Dask workers, whose cluster is started within the time too. The two take turns, as other work
on the machine slows both.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from distributed import LocalCluster
from kill_runs import make_study
from results_file import write_result

from corticode.run.cluster import cluster_executor
from corticode.run.execute import execute_study
from corticode.run.folder import Run
from corticode.study.study import Study, read_study

N_WORKERS, N_TURNS = 2, 3
TABLES = ("scores", "session_scores", "animal_scores")


def run_locally(study: Study, out: Path) -> None:
    """By worker processes of its own."""
    execute_study(study, out, n_workers=N_WORKERS)


def run_on_dask(study: Study, out: Path) -> None:
    """By a cluster on this machine."""
    with (
        LocalCluster(
            n_workers=N_WORKERS, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        cluster_executor(cluster.scheduler_address) as executor,
    ):
        execute_study(study, out, executor=executor)


def main() -> None:
    """Time both in turns and compare their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=N_TURNS)
    options = parser.parse_args()
    spent: dict[str, list[float]] = {"local pool": [], "Dask": []}
    tables = set()
    n_fits = 0
    with tempfile.TemporaryDirectory() as name:
        study = read_study(make_study(Path(name)))
        for turn in range(options.turns):
            for how, run in (("local pool", run_locally), ("Dask", run_on_dask)):
                out = Path(name) / f"{how} {turn}"
                began = time.monotonic()
                run(study, out)
                spent[how].append(time.monotonic() - began)
                print(how, f"{spent[how][-1]:.1f} s", flush=True)
                tables.add(tuple(Run(out).table_path(table).read_bytes() for table in TABLES))
                n_fits = len(Run(out).read_table("scores"))
    local, dask = (statistics.median(seconds) for seconds in spent.values())
    rows = [
        (
            how,
            N_WORKERS,
            n_fits,
            ", ".join(f"{one:.1f}" for one in seconds),
            f"{statistics.median(seconds):.1f}",
        )
        for how, seconds in spent.items()
    ]
    same = "equal to the last digit" if len(tables) == 1 else f"{len(tables)} kinds of tables"
    rows.append(("Dask / local pool", "", "", same, f"{dask / local:.2f}"))
    write_result("dask_workers", ("workers", "n", "fits", "s by turn", "median, s"), rows)


if __name__ == "__main__":
    main()
