# SPDX-License-Identifier: GPL-2.0-only
"""A JupyterLab of our own and a Chromium that looks at it, for the tests in this folder."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# no GPU, no updates, no calls home; a root user (as in a container) has no sandbox
CHROMIUM_ARGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-sandbox",
)  # fmt: skip

SETTINGS = {
    # folder/file: all cells in the page at once, not only those in sight
    "notebook-extension/tracker": {"windowingMode": "none"},
    # no question about news over the picture
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}


def chromium() -> str:
    """The browser's path, or skips the test."""
    path = os.environ.get("KMODSIM_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path or not Path(path).is_file():
        pytest.skip("needs chromium")
    return path


@dataclass
class Lab:
    """A running JupyterLab: its address, its token, and the folder it shows."""

    url: str
    token: str
    folder: Path

    def page_of(self, notebook: str) -> str:
        return f"{self.url}/lab/tree/{notebook}?token={self.token}&reset"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on copies of the notebooks, with settings of its own."""
    chromium()
    with running_lab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@contextmanager
def running_lab(home: Path) -> Iterator[Lab]:
    """The same for the bench, in a folder of its own."""
    folder = home / "course" / "notebooks"
    shutil.copytree(ROOT / "notebooks", folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name, setting in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(setting), encoding="utf-8")
    token, port = secrets.token_hex(8), _free_port()
    process = _start(home, folder, token, port)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/api?token={token}", process, home / "lab.log")
        yield Lab(url, token, folder)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(home: Path, folder: Path, token: str, port: int) -> subprocess.Popen[bytes]:
    found = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    places = {
        name: str(home / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    arguments = (
        "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True", f"--LabApp.user_settings_dir={home / 'settings'}",
        f"--LabApp.workspaces_dir={home / 'workspaces'}", "--LabApp.news_url=None",
    )  # fmt: skip
    with (home / "lab.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *arguments],
            stdout=log,
            stderr=log,
            env={**os.environ, **places, "PYTHONPATH": found},
        )


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.3)
    pytest.fail("JupyterLab does not answer:\n" + log.read_text(encoding="utf-8", errors="replace")[-3000:])


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = chromium()
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=list(CHROMIUM_ARGS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: KMODSIM_ARTIFACTS, or pytest's own temporary folder."""
    named = os.environ.get("KMODSIM_ARTIFACTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest, browser: Any, lab: Lab) -> Iterator[Any]:
    """A page with the widget that a module of tests names in WIDGET, alone."""
    from .cells import open_cells

    widget = request.module.WIDGET
    cell = f"from kmodsim.widgets import {widget.partition('(')[0]}\n{widget}"
    opened = open_cells(browser, lab, request.module.__name__.rpartition(".")[2], cell)
    opened.wait_for_selector(".kms-lab .kms-answer :is(svg, p, pre)", timeout=30_000)
    yield opened
    opened.close()


@pytest.fixture
def first_values(request: pytest.FixtureRequest, page: Any) -> None:
    """The widget as it began: its answer says FIRST."""
    from .driving import settled, wait_for

    settled(page)
    page.locator(".kms-reset").click()
    wait_for(page, request.module.FIRST)


def run_all(page: Any, lab: Lab, notebook: str) -> None:
    """Open a notebook, wait until its kernel answers, run all cells, wait until the last one is done."""
    page.goto(lab.page_of(notebook))
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.evaluate(
        """async () => {
            const panel = jupyterapp.shell.currentWidget;
            await panel.context.ready;
            await panel.sessionContext.ready;
            await panel.sessionContext.session.kernel.info;
            await jupyterapp.commands.execute('notebook:run-all-cells');
        }"""
    )
    page.wait_for_function(
        """() => jupyterapp.shell.currentWidget.content.widgets.every(
            cell => cell.model.type !== 'code' || cell.model.executionCount)""",
        timeout=120_000,
    )
