# SPDX-License-Identifier: GPL-2.0-only
"""What the real depmod does with small trees: ``python -m tests.realtools.depmod`` records ``depmod.json``.

Each case is a folder of modules, made anew for each tool, and a command line. The streams are recorded as
they are, the files by their digests. Needs depmod (Debian's package kmod), nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kmodsim.corpus import RELEASE

from .depmod_trees import CASES

OUTPUT = Path(__file__).with_suffix(".json")
TEMPORARY = re.compile(r"(modules\.[a-z.]+)\.[0-9]+\.[0-9a-f]+(\.[0-9]+)?\b")
POINTER = re.compile(r"0x[0-9a-f]+ (registered|released)")
LONG = 1000  # characters of a stream; of more there is a digest
OPEN_FILES = 1024  # what the model takes for the limit


class Seen(NamedTuple):
    """``files``: name below the tree's root -> bytes, of all that is called modules.*."""

    status: int
    stdout: str
    stderr: str
    files: dict[str, bytes]

    def digest(self) -> dict[str, Any]:
        """As it is recorded: lines of standard error sorted, for some come in the file system's order."""
        out = self.stdout if len(self.stdout) < LONG else short_digest(self.stdout.encode(errors="replace"))
        digests = {
            name.removeprefix(f"lib/modules/{RELEASE}/"): short_digest(data)
            for name, data in self.files.items()
            if b"@" not in data or not name.endswith(".bin")  # a path inside shifts all offsets
        }
        err = sorted(self.stderr.splitlines())
        if len(self.stderr) > LONG:
            err = [short_digest("\n".join(err).encode(errors="replace"))]
        return {"status": self.status, "stdout": out, "stderr": err, "files": digests}


def short_digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:8]


Tool = Callable[[list[str], Path], tuple[int, str, str]]


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def real_tool(path: str) -> Tool:
    import resource  # not on Windows

    def run(argv: list[str], folder: Path) -> tuple[int, str, str]:
        limit = (OPEN_FILES, OPEN_FILES)
        done = subprocess.run(
            argv, executable=path, capture_output=True, timeout=60, cwd=folder,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit),
        )  # fmt: skip
        status = done.returncode if done.returncode >= 0 else 128 - done.returncode
        out, err = (data.decode("utf-8", "surrogateescape") for data in (done.stdout, done.stderr))
        return status, out, err + ("Aborted\n" if status == 134 else "")

    return run


def model(argv: list[str], folder: Path) -> tuple[int, str, str]:
    from kmodsim.userland.depmod import run

    with working_in(folder):
        result = run(None, argv)
    return result.status, result.stdout, result.stderr


def observe(name: str, tool: Tool) -> Seen:
    """Make the tree of one case and run a tool on it. In words ``@`` is the root, ``%`` the folder of
    modules; in what is seen the root is ``@`` again."""
    case = CASES[name]
    with tempfile.TemporaryDirectory(prefix="kmodsim-depmod-") as place:
        root = Path(place, "root")
        folder = root / "lib" / "modules" / RELEASE
        folder.mkdir(parents=True)
        case.make(folder)
        words = [word.replace("@", str(root)).replace("%", str(folder)) for word in case.words]
        status, out, err = tool(["depmod", *words], root)
        files = {
            path.relative_to(root).as_posix(): path.read_bytes().replace(os.fsencode(root), b"@")
            for path in sorted(root.rglob("modules.*"))
            if path.is_file() and not TEMPORARY.fullmatch(path.name)
        }
        out, err = (
            POINTER.sub(r"POINTER \1", TEMPORARY.sub(r"\1.TMP", text)).replace(str(root), "@")
            for text in (out, err)
        )
        return Seen(status, out, err, files)


def main() -> None:
    path = shutil.which("depmod", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if path is None:
        sys.exit("needs depmod")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    recorded = {
        name: observe(name, real_tool(path)).digest() for name, case in CASES.items() if not case.live
    }
    cases = ",\n".join(f"{json.dumps(name)}: {json.dumps(case)}" for name, case in recorded.items())
    text = f'{{"tool": {json.dumps(version.splitlines())}, "cases": {{\n{cases}\n}}}}\n'
    OUTPUT.write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
