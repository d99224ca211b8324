# SPDX-License-Identifier: GPL-2.0-only
"""The tools by other hands say what the real ones said on the real kernel (tests/realtools/flavours.json)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kmodsim import Kernel, cli, corpus, userland
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
        monkeypatch.setattr(module, "sample_path", lambda word, kernel=None: None)
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


@pytest.mark.core
def test_the_shell_changes_tools(tmp_path: Path) -> None:
    """The word ``flavour``; each answer is that of the record for a module that is not there."""
    out: list[str] = []
    err: list[str] = []
    shell = Shell(boot(), out.append, err.append)
    for flavour in FLAVOURS:
        shell.run(f"flavour {flavour}; rmmod hello")
        wanted = next(step for step in SESSIONS[flavour]["rmmod"] if step["line"] == "rmmod hello")
        assert err.pop() == wanted["stderr"]
    assert shell.run("flavour toybox") == 1
    assert err.pop().startswith("flavour: no flavour 'toybox'")
    shell.run("flavour")
    assert out.pop() == "module-init-tools\n"
    with pytest.raises(ValueError, match="toybox"):
        Shell(boot(), out.append, flavour="toybox")


@pytest.mark.core
@pytest.mark.parametrize(
    "words", [["--flavour", "busybox", "-q", "rmmod"], ["-q", "rmmod", "--flavour=busybox"]]
)
def test_the_option_stands_before_or_behind_the_tool(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = next(step for step in SESSIONS["busybox"]["rmmod"] if step["line"] == "rmmod hello")
    assert cli.main([*words, "hello"]) == wanted["status"]
    assert capsys.readouterr() == (wanted["stdout"], wanted["stderr"])


@pytest.mark.tree
@pytest.mark.parametrize(("options", "step"), [((), 12), (("-F", "alias"), 1), (("-0", "-n", "-l"), 1)])
def test_busyboxs_modinfo_of_the_tree(
    options: tuple[str, ...], step: int, tree: Path, needs: Callable[[str], str]
) -> None:
    """busybox wants a modules.dep of this machine, so it gets an empty one of its own."""
    shell = 'mkdir -p /lib/modules/$(uname -r); : > /lib/modules/$(uname -r)/modules.dep; exec "$@"'
    alone = [
        needs("bwrap"),
        "--bind",
        "/",
        "/",
        "--tmpfs",
        "/lib/modules",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
    ]
    paths = [str(path) for path in sorted((tree / "kernel").glob("**/*.ko"))[::step]]
    assert len(paths) > 300
    for start in range(0, len(paths), 200):
        argv = ["modinfo", *options, *paths[start : start + 200]]
        done = subprocess.run([*alone, "sh", "-c", shell, "sh", needs("busybox"), *argv], capture_output=True)
        if done.stderr.startswith(b"bwrap:"):
            pytest.skip("needs bwrap that may make name spaces")
        mine = userland.run(None, argv, flavour="busybox")
        assert mine.stdout.encode("utf-8", "surrogateescape") == done.stdout
        assert (mine.stderr, mine.status) == (done.stderr.decode(), done.returncode)
