"""Fits and maps on a running Dask cluster in the place of local worker processes."""

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from distributed import Client, KilledWorker, get_worker

from corticode.errors import RunError, StudyError
from corticode.run.worker import one_thread

SECONDS_TO_ANSWER = 30.0
SHOWN_WORKERS = 3
INSTALL = "install the same on every worker and start the workers anew"
ONE_THREAD = "start them with 'dask worker ADDRESS --nthreads 1 --nworkers N'"


@contextmanager
def cluster_executor(
    address: str, device: str = "cpu", *, seconds: float = SECONDS_TO_ANSWER
) -> Iterator[Executor]:
    """An executor for `corticode.run.execute.execute_study` whose tasks run on a Dask cluster.

    Every worker must see the run folder and the recordings under the paths that they have here.
    A worker that is lost has its tasks given to another.

    Parameters
    ----------
    address
        Of the scheduler, ``tcp://HOST:PORT``.
    device
        With ``"cuda"`` each task takes one of a worker's resource ``GPU``.
    seconds
        How long the scheduler may take to answer.

    Raises
    ------
    StudyError
        The scheduler does not answer or has no worker, or workers have another version, several
        threads, or no GPU where one is needed.
    RunError
        The cluster was lost while it was used, or a task ended its workers.
    """
    try:
        client = Client(address, timeout=seconds, set_as_default=False)
    except (OSError, ValueError) as error:
        raise StudyError(
            f"--scheduler {address}: no Dask scheduler answered within {seconds:g} s; see that "
            "'dask scheduler' runs there and that its port can be reached from this machine"
        ) from error
    with client:
        check_workers(client, address, device)
        resources = {"GPU": 1} if device == "cuda" else {}
        executor = _ClusterExecutor(client.get_executor(pure=False, resources=resources))
        try:
            yield executor
        except (KilledWorker, CancelledError) as error:
            raise RunError(
                f"--scheduler {address}: the cluster or its workers were lost ({error}), the "
                "latter most likely for want of memory; finished fits are kept: run the same "
                "command again"
            ) from error
        finally:
            executor.shutdown(wait=False)


def check_workers(client: Client, address: str, device: str) -> None:
    """Refuse a cluster whose workers would compute something else, or nothing.

    Raises
    ------
    StudyError
        As of `cluster_executor`.
    """
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise StudyError(
            f"--scheduler {address}: the scheduler has no worker; start one with "
            f"'dask worker {address} --nthreads 1'"
        )
    threaded = {name: w["nthreads"] for name, w in workers.items() if w["nthreads"] != 1}
    if threaded:
        raise StudyError(
            f"--scheduler {address}: workers must have one thread, and {_named(threaded)} have "
            f"more; {ONE_THREAD}"
        )
    if device == "cuda" and not any(w["resources"].get("GPU") for w in workers.values()):
        raise StudyError(
            f"--scheduler {address}: no worker has the resource GPU; start workers on machines "
            "with one with 'dask worker ADDRESS --nthreads 1 --resources GPU=1', or give "
            "--device cpu"
        )
    here = version("corticode")
    # Of the standard library: a worker without corticode can answer too.
    found = client.run(version, "corticode", on_error="return")
    others = {
        name: "none" if isinstance(told, PackageNotFoundError) else told
        for name, told in found.items()
        if told != here
    }
    if others:
        raise StudyError(
            f"--scheduler {address}: corticode is {here} here and another on workers: "
            f"{_named(others)}; {INSTALL}"
        )


def run_in_one_thread(
    version_here: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> Any:
    """What a worker does with a task; those that joined late are checked here.

    Raises
    ------
    RunError
        The worker has another version or several threads.
    """
    worker = get_worker()
    if version("corticode") != version_here:
        raise RunError(
            f"worker {worker.address} joined with corticode {version('corticode')}, and the run "
            f"was started with {version_here}; {INSTALL}"
        )
    if worker.state.nthreads != 1:
        raise RunError(
            f"worker {worker.address} joined with {worker.state.nthreads} threads; {ONE_THREAD}"
        )
    with one_thread():
        return function(*arguments)


class _ClusterExecutor(Executor):
    """Dask's executor, whose tasks are checked and kept to one thread."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        if named:
            raise TypeError("tasks take arguments by place alone")
        future: Future[Any] = self._inner.submit(
            run_in_one_thread, version("corticode"), function, arguments
        )
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._inner.shutdown(wait=wait)


def _named(workers: dict[str, Any]) -> str:
    """Some workers, and what is wrong with each."""
    shown = [f"{name} ({what})" for name, what in list(workers.items())[:SHOWN_WORKERS]]
    more = len(workers) - len(shown)
    return ", ".join(shown) + f" and {more} more" * (more > 0)
