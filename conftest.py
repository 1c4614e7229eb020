"""No test is skipped without a reason that a developer cannot remove, and none fails by chance."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, however slow the machine is: a busy one once took longer than
# hypothesis allows by default (0.2 s an example), which fails a test that is right. `make test`
# tries 25, `make test-slow` 200; a test whose examples are dear says itself how many.
settings.register_profile(
    "steady",
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("steady"), max_examples=200)
settings.load_profile("steady")

# Where files are handed to workers whole, these go first: none is left alone with one at the end.
LONGEST = (
    "tests/test_demo.py",
    "tests/run/test_execute.py",
    "tests/test_movie_studies.py",
    "tests/test_known_answers.py",
    "tests/test_pages.py",
    "tests/run/test_cluster.py",
    "tests/test_cli.py",
    "tests/decode/test_training.py",
    "tests/test_bad_input.py",
    "tests/test_fuzz.py",
    "tests/report/test_write.py",
    "tests/decode/test_fit.py",
    "tests/decode/test_estimator.py",
    "tests/test_examples.py",
    "tests/simulate/test_cohort.py",
    "tests/explain/test_occlusion.py",
    "tests/test_extending.py",
)
ALLOWED_SKIPS = ("no browser", "no GPU", "no ../shared")
_refused: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    place = {name: k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


@pytest.fixture(scope="session", autouse=True)
def long_draw_frames() -> Iterator[int]:
    """How long a draw of each simulated mouse tells its best decoder; a quarter of it in tests."""
    from corticode.simulate import ideal

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ideal, "LONG_DRAW_FRAMES", (whole := ideal.LONG_DRAW_FRAMES) // 4)
        yield whole


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember skips for other reasons."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _judge(report.nodeid, report.longrepr)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember modules skipped for other reasons."""
    if report.skipped:
        _judge(report.nodeid, report.longrepr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what may not be skipped."""
    for line in _refused:
        terminalreporter.write_line(f"skipped without an allowed reason: {line}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where a skip has no allowed reason."""
    if _refused and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _judge(nodeid: str, longrepr: object) -> None:
    reason = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr)
    if not any(allowed in reason for allowed in ALLOWED_SKIPS):
        _refused.append(f"{nodeid} ({reason})")
