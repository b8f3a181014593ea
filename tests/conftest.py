"""What holds for every test: its marks are true, and where it is asked for a missing tool is a failure, not a skip."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator
from itertools import chain, groupby

import pytest
from hypothesis import HealthCheck, settings

# How long examples take says more of the machine than of the code.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# For `make test-unit`, which is run again and again.
settings.register_profile("few", settings.get_profile("usual"), max_examples=30)
settings.load_profile("usual")

# Who has one of these marks may have any of these; others are unit tests, and stay so only if somebody looks.
MARKS = ("integration", "e2e", "long", "web")
OUTSIDE = {"os.fork", "os.posix_spawn", "socket.bind", "socket.connect", "sqlite3.connect", "subprocess.Popen"}
_in_unit_test = False


def pytest_configure() -> None:
    """Let Ctrl-C be one for the tests and all that they start, also where a script began them in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.addaudithook(_keep_units_in)


def _keep_units_in(event: str, _arguments: tuple[object, ...]) -> None:
    if _in_unit_test and event in OUTSIDE:
        pytest.fail(f"A test without a mark came to {event}: it needs one of {', '.join(MARKS)} (CONTRIBUTING.md).")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Watch a unit test from here on."""
    global _in_unit_test
    _in_unit_test = not any(item.get_closest_marker(mark) for mark in MARKS)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Watch no more: what ends now may be what other tests shared."""
    global _in_unit_test
    _in_unit_test = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the files, deal those that mostly wait among those that compute."""
    if not hasattr(config, "workerinput"):
        return
    files = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
    waiting = [file for file in files if file[0].path.parent.name == "e2e"]
    computing = [file for file in files if file[0].path.parent.name != "e2e"]
    between = max(1, len(computing) // (len(waiting) + 1))
    dealt = []
    for place, file in enumerate(computing):
        if place % between == 0 and waiting:
            dealt.append(waiting.pop(0))
        dealt.append(file)
    items[:] = chain.from_iterable(dealt + waiting)


def pytest_collection_finish() -> None:
    """Keep the collector from looking at thousands of tests again and again."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With REQUIRE_TOOLS set, fail what would be skipped because it "needs" something."""
    report = yield
    if os.environ.get("REQUIRE_TOOLS") and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith("needs "):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} {reason}, and REQUIRE_TOOLS is set."
    return report
