# SPDX-License-Identifier: GPL-2.0-only
"""The tools by other hands say what the real ones said on the real kernel (tests/realtools/flavours.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kmodsim import Kernel, corpus
from kmodsim.userland import elf, modinfo, rmmod
from kmodsim.userland.flavours import FLAVOURS, busybox_modinfo, mit_modinfo
from kmodsim.userland.shell import Shell
from tests.realtools.files import files
from tests.realtools.flavours import LIST

RECORDED = json.loads((Path(__file__).parent / "realtools" / "flavours.json").read_text(encoding="utf-8"))
SESSIONS: dict[str, dict[str, list[dict[str, Any]]]] = RECORDED["sessions"]
LIBRARY = f"/lib/modules/{corpus.RELEASE}"
TALKING = ("insmod", "rmmod", "modinfo", "modprobe")
# lines that the model does not take, each with the reason
OMITTED = {
    "kmod": {"modprobe -d / minimal": "names a folder of the machine it ran on"},
    "busybox": {},
    "module-init-tools": {
        "modprobe -d / minimal": "names a folder of the machine it ran on",
        "modprobe -c | wc -l": "not modelled",
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with the files of the sessions, and only those samples."""
    for name, data in files().items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(corpus, "tree", lambda: None)
    for module in (elf, modinfo, rmmod, busybox_modinfo, mit_modinfo):
        monkeypatch.setattr(module, "sample_path", lambda word: None)
    return tmp_path


def boot() -> Kernel:
    return Kernel(cpu=None, functions={"fail_init": lambda: -19})


def listing(kernel: Kernel) -> str:
    return "".join(
        " ".join(line.split(" ")[i] for i in (0, 2, 3)) + "\n"
        for line in kernel.read("/proc/modules").splitlines()
    )


def typed(kernel: Kernel, line: str, flavour: str, folder: Path) -> dict[str, Any]:
    """One line on the modelled kernel; ``cut`` is no word of the model's shell."""
    if line == LIST:
        return {"line": line, "status": 0, "stdout": listing(kernel), "stderr": ""}
    out: list[str] = []
    err: list[str] = []
    status = Shell(kernel, out.append, err.append, flavour).run(line)
    texts = ["".join(part).replace(str(folder), "/course") for part in (out, err)]
    texts = [text.replace(str(corpus.DATA), LIBRARY) for text in texts]
    return {"line": line, "status": status, "stdout": texts[0], "stderr": texts[1]}


@pytest.mark.core
@pytest.mark.parametrize("session", TALKING)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_session_reads_as_on_the_real_kernel(flavour: str, session: str, folder: Path) -> None:
    """The same lines, typed into each flavour's tools: the same output, errors and status."""
    kernel = boot()
    for recorded in SESSIONS[flavour][session]:
        line = recorded["line"]
        if line in OMITTED[flavour] or "cut -d ' ' -f 1-5" in line:
            continue
        assert typed(kernel, line, flavour, folder) == recorded
