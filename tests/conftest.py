# SPDX-License-Identifier: GPL-2.0-only
"""What all tests share: one marker each, skips that say what they need, a fresh kernel."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MARKERS = {"core", "tool", "tree", "browser", "notebook", "bench"}

# Debian keeps depmod and modinfo where an ordinary user's PATH does not look
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a test without exactly one marker: it would run in no `make` target, or in two."""
    wrong = []
    for item in items:
        found = sorted({mark.name for mark in item.iter_markers()} & MARKERS)
        if len(found) != 1:
            wrong.append(f"{item.nodeid}: {', '.join(found) or 'no marker'}")
        elif found != ["notebook"] and config.pluginmanager.hasplugin("xdist"):
            # a file's tests share its fixtures, so they stay with one worker; notebooks are spread
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
    if wrong:
        raise pytest.UsageError("\n  ".join([f"each test has one marker of {sorted(MARKERS)}, but", *wrong]))


def _forbid(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn "skipped: needs X" into a failure: where all is installed, nothing may be skipped unseen."""
    strict = os.environ.get("KMODSIM_REQUIRE_ALL", "0") not in ("", "0")
    if not strict or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if reason.startswith(("needs ", "could not import ")):
        report.outcome = "failed"
        report.longrepr = f"KMODSIM_REQUIRE_ALL is set, but this test {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: Any = yield
    _forbid(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report: Any = yield
    _forbid(report)
    return report


@pytest.fixture
def kernel() -> Any:
    """A freshly booted kernel of the default profile."""
    from kmodsim import Kernel

    return Kernel()


@pytest.fixture(scope="session")
def needs() -> Callable[[str], str]:
    """``needs("depmod")`` gives the tool's path, or skips the test with the reason "needs depmod"."""

    def find(tool: str) -> str:
        path = shutil.which(tool, path=SYSTEM_PATH)
        if path is None:
            pytest.skip(f"needs {tool}")
        return path

    return find


@pytest.fixture(scope="session")
def tree() -> Path:
    """The distribution kernel's modules: …/lib/modules/6.1.0-56-amd64, named by KMODSIM_TREE or fetched."""
    from kmodsim.corpus import tree as find

    found = find()
    if found is None:
        pytest.skip("needs KMODSIM_TREE, the directory lib/modules/6.1.0-56-amd64 of Debian's package")
    return found
