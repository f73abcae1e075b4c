"""The option ``--cpu-durations``: which tests are slow, in CPU time, so that a busy machine tells the same."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

PHASE = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cpu-durations",
        type=float,
        metavar="SECONDS",
        help="list each set-up and test, not marked slow, that takes more than SECONDS of CPU time",
    )


def cpu_seconds() -> float:
    """User and system time of this process and of the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.stash[PHASE] = cpu_seconds()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    item.stash[PHASE] = cpu_seconds()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[pytest.TestReport]:
    report: pytest.TestReport = yield
    if call.when != "teardown" and PHASE in item.stash:
        report.user_properties = [*report.user_properties, ("cpu_seconds", cpu_seconds() - item.stash[PHASE])]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    limit = config.getoption("--cpu-durations")
    if limit is None:
        return
    reports = [report for kind in ("passed", "failed", "") for report in terminalreporter.stats.get(kind, [])]
    found = sorted(
        (
            (dict(report.user_properties)["cpu_seconds"], report.when, report.nodeid)
            for report in reports
            if "slow" not in report.keywords and "cpu_seconds" in dict(report.user_properties)
        ),
        reverse=True,
    )
    terminalreporter.section(f"not marked slow, and more than {limit:g} s of CPU time")
    for seconds, when, name in found:
        if seconds > limit:
            terminalreporter.line(f"{seconds:7.2f} s {when:<5} {name}")
