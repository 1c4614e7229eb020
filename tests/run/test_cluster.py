"""Runs on a Dask cluster; each worker is a process, as on any cluster."""

import gc
import importlib.metadata
import socket

import pytest

from corticode.cli import main
from corticode.errors import CorticodeError, StudyError
from corticode.run.execute import execute_study
from corticode.run.folder import Run
from corticode.study.study import read_study

distributed = pytest.importorskip(
    "distributed", reason="the extra 'cluster' (distributed) is not installed"
)
from corticode.run.cluster import check_workers, cluster_executor  # noqa: E402

# The scheduler's own life is not under test: warnings of its sockets and clocks are let be.
pytestmark = pytest.mark.filterwarnings("default")


class Told:
    """A client that tells of workers what a test wants."""

    def __init__(self, workers, versions=None):
        self.workers, self.versions = workers, versions or {}

    def scheduler_info(self, n_workers):
        assert n_workers == -1
        return {"workers": self.workers}

    def run(self, function, *arguments, on_error):
        return {name: self.versions.get(name, function(*arguments)) for name in self.workers}


def workers(n=1, nthreads=1, **resources):
    return {f"tcp://w{k}:1": {"nthreads": nthreads, "resources": resources} for k in range(n)}


@pytest.fixture(autouse=True)
def nothing_left():
    """Clear up what a test leaves, here and not later in another thread.

    A client that was never connected waits, when it is collected, for a lock that distributed
    holds while it starts a loop: collected by that loop's own thread, neither goes on.
    """
    yield
    gc.collect()


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as made:
        yield made.scheduler_address
    del made
    # What it leaves open is closed here, where warnings of it are let be, not in another test.
    gc.collect()


@pytest.mark.parametrize(
    ("told", "device", "said"),
    [
        (Told({}), "cpu", "the scheduler has no worker; start one with 'dask worker tcp://s:1"),
        (Told(workers(nthreads=4)), "cpu", r"one thread, and tcp://w0:1 \(4\).*--nthreads 1"),
        (Told(workers()), "cuda", "no worker has the resource GPU.*--resources GPU=1"),
        (Told(workers(), {"tcp://w0:1": "0.0.9"}), "cpu", r"on workers: tcp://w0:1 \(0\.0\.9\)"),
        (
            Told(workers(), {"tcp://w0:1": importlib.metadata.PackageNotFoundError("corticode")}),
            "cpu",
            r"tcp://w0:1 \(none\); install the same",
        ),
        (Told(workers(5, nthreads=2)), "cpu", "and 2 more have more"),
    ],
)
def test_what_is_refused(told, device, said):
    with pytest.raises(StudyError, match=said):
        check_workers(told, "tcp://s:1", device)


def test_what_is_taken():
    check_workers(Told(workers(3)), "tcp://s:1", "cpu")
    check_workers(Told(workers(3, GPU=1)), "tcp://s:1", "cuda")


def test_a_scheduler_that_does_not_answer():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(StudyError, match=r"no Dask scheduler answered within 0\.5 s"),
            cluster_executor(address, seconds=0.5),
        ):
            pass


def test_an_address_that_is_none():
    with pytest.raises(CorticodeError, match="no Dask scheduler"), cluster_executor("x:y:z"):
        pass


@pytest.mark.study
def test_scores_are_those_of_local_workers(cluster, linear_cohort, run_inline, tmp_path):
    run_inline(linear_cohort, tmp_path / "local")
    study = read_study(linear_cohort / "study.toml")
    with cluster_executor(cluster) as executor:
        execute_study(study, tmp_path / "dask", executor=executor)
    for table in ("scores", "session_scores", "animal_scores"):
        paths = [Run(tmp_path / name).table_path(table) for name in ("local", "dask")]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_a_task_says_reaches_the_user(cluster, tmp_path):
    with (
        pytest.raises(CorticodeError, match=r"nowhere\.toml"),
        cluster_executor(cluster) as executor,
    ):
        executor.submit(read_study, tmp_path / "nowhere.toml").result()


def test_from_the_command_line(cluster, linear_cohort, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(linear_cohort)
    arguments = ["run", "study.toml", "--out", str(tmp_path / "run"), "--scheduler", cluster]
    monkeypatch.setattr("sys.argv", ["corticode", *arguments, "--device", "cpu"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert Run(tmp_path / "run").table_path("scores").is_file()
    monkeypatch.setattr("sys.argv", ["corticode", *arguments, "--workers", "2"])
    with pytest.raises(SystemExit):
        main()
    assert "--workers counts processes of this machine" in capsys.readouterr().err
