"""What holds for every test: where it is asked for, a tool that is missing is a failure and not a skip."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator
from itertools import chain, groupby

import pytest
from hypothesis import HealthCheck, settings

# How long examples take says more of the machine than of the code.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# For `make test-unit`, which is run again and again.
settings.register_profile("few", settings.get_profile("usual"), max_examples=30)
settings.load_profile("usual")


def pytest_configure() -> None:
    """Let Ctrl-C be one for the tests and all that they start, also where a script began them in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the files, deal those that mostly wait among those that compute."""
    if not hasattr(config, "workerinput"):
        return
    files = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
    waiting = [file for file in files if file[0].path.parent.name == "e2e"]
    computing = [file for file in files if file[0].path.parent.name != "e2e"]
    between = len(computing) // (len(waiting) + 1)
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
