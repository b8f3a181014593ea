"""What holds for every test: where it is asked for, a tool that is missing is a failure and not a skip."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


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
