# SPDX-License-Identifier: GPL-2.0-only
"""Does on kmodsim what was done on the real kernel, step by step, and says what each step answered.

The modules' code runs as well; calls in the middle of another one happen while its module's code sleeps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import kmodsim
from kmodsim.errors import O_PATH, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, errno_name
from tests.faults.current import DEFAULT
from tests.faults.files import make

from .truth import COPY, TRUTH, digest, split_log

Step = Mapping[str, Any]
PAGE = 4096
SOON = 1_000_000  # nanoseconds
IMAGE_AT, PARAMS_AT, NAME_AT = 0x10000000, 0x30000000, 0x38000000  # probe.c
SYS_MODULE = 1 << 16
DEVICES = {"/dev/chardev": "chardev"}


@cache
def truth(name: str) -> dict[str, Any]:
    """A truth file; its inputs are the files of today (re-record when not)."""
    found: dict[str, Any] = json.loads((TRUTH / name).read_text())
    return found


def case_ids(name: str) -> list[tuple[str, str]]:
    """(boot, case id) of every recorded case, in the order of recording."""
    return [(boot, case["id"]) for boot, content in truth(name)["boots"].items() for case in content["cases"]]


def recorded(name: str, boot: str, case_id: str) -> dict[str, Any]:
    return next(case for case in truth(name)["boots"][boot]["cases"] if case["id"] == case_id)


@cache
def replayed(name: str, boot: str) -> dict[str, list[dict[str, Any]]]:
    """All cases of one boot on one fresh kernel: the answers of each case's steps."""
    content = truth(name)["boots"][boot]
    with TemporaryDirectory() as folder:
        replay = Replay(content["cmdline"], Path(folder), kernel_of(name))
        return {case["id"]: replay.recorded_case(case["steps"]) for case in content["cases"]}


def stale(name: str) -> list[str]:
    """Input files that are not those of the recording."""
    files, kernel = truth(name)["files"], kernel_of(name)
    return [file for file, wanted in files.items() if digest(make(file, kernel)) != wanted]


def kernel_of(name: str) -> str:
    """The kernel in the name of a truth file: "errno-table-6.12.json"."""
    return name.removesuffix(".json").rpartition("-")[2]


class Replay:
    """One boot of kmodsim."""

    def __init__(self, cmdline: str, folder: Path, release: str = DEFAULT) -> None:
        self.folder, self.release = folder, release
        self.kernel = kmodsim.Kernel(f"debian-{release}-amd64", cmdline=cmdline, cpu="strict")
        self.slots: dict[int, str] = {}

    # -- a case is a list of steps, some of which happen while another call is under way ---

    def recorded_case(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """One case; what the real kernel did not keep loaded is gone before the next, whatever went wrong."""
        answers = self.case([step["call"] for step in steps])
        wanted = {line.split()[0] for line in steps[-1]["answer"].get("modules", [])}
        for name in [name for name in self.kernel.modules if name not in wanted]:
            with suppress(kmodsim.KernelError):
                self.kernel.delete_module(name, flags=O_TRUNC)
        return answers

    def case(self, calls: list[Step]) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        at = 0
        while at < len(calls):
            if "background" in calls[at] and calls[at]["op"] != "join":
                end = next(i for i in range(at, len(calls)) if calls[i]["op"] == "join")
                answers += self._overlapping(calls[at], calls[at + 1 : end])
                at = end + 1
            else:
                answers.append(self.step(calls[at]))
                at += 1
        return answers

    def _overlapping(self, call: Step, inner: list[Step]) -> list[dict[str, Any]]:
        """A call whose module function sleeps, what others do meanwhile, and how it ends."""
        start, done, over = len(self.kernel.dmesg), [], False

        def others() -> None:
            if over:
                return
            done.append(self._state({"started": True}, start))
            done.extend(self.step(one) for one in inner)
            nonlocal end
            end = len(self.kernel.dmesg)

        end = start
        tasks = self.kernel.cpu.tasks
        tasks.at(tasks.now + SOON, others)
        last = self.step(call)
        over = True
        if not done:
            done = [{"never": "the module's function did not sleep"}] * (1 + len(inner))
        answer = {
            key: last[key] for key in ("errno", "result", "signal", "changed", "unexpected") if key in last
        }
        return [*done, self._state(answer, end)]

    def step(self, call: Step) -> dict[str, Any]:
        """One operation: its answer in the form of the recording."""
        start, before = len(self.kernel.dmesg), picture(self.kernel)
        answer: dict[str, Any] = {"errno": None, "result": 0}
        try:
            try:
                answer |= getattr(self, f"_do_{call['op']}")(call) or {}
            finally:
                self.kernel.capabilities = None
        except kmodsim.KernelOops:
            answer["signal"] = 9
        except kmodsim.KernelError as error:
            answer |= {"errno": errno_name(error.errno) if error.errno else None, "result": -1}
            if call["op"] in ("finit", "init", "delete"):
                answer["changed"] = [k for k, v in picture(self.kernel).items() if v != before[k]]
        except Exception as error:
            answer["unexpected"] = f"{type(error).__name__}: {error}"
        return self._state(answer, start)

    def _state(self, answer: dict[str, Any], start: int) -> dict[str, Any]:
        lines = self.kernel.read("/proc/modules").splitlines()
        log = split_log(self.kernel.dmesg[start:])
        found = {"log": log.get("log", []), "printed": log.get("printed", []), "modules": lines}
        return answer | found | {"tainted": int(self.kernel.read("/proc/sys/kernel/tainted"))}

    # -- the operations ---

    def _as(self, call: Step) -> int | None:
        """The uid to pass; capabilities are set on the kernel."""
        caps = call.get("caps")
        names = None if caps is None else frozenset({"CAP_SYS_MODULE"} if caps & SYS_MODULE else ())
        self.kernel.capabilities = names
        return None if caps is not None else call.get("uid")

    def _place(self, call: Step, at: int, data: bytes) -> None:
        user = self.kernel.user_memory()
        user.unmap(at, 1 << 27)
        user.map(at, data + bytes(-len(data) % PAGE or (0 if data else PAGE)))

    def _unmap(self, call: Step) -> None:
        if "unmap" in call:
            at, length = call["unmap"].split(":")
            self.kernel.user_memory().unmap(int(at, 0), int(length, 0))

    def _params(self, call: Step) -> bytes | int:
        text = (call.get("params") or "").encode("latin-1")
        if "params_at" not in call and "unmap" not in call:
            return text
        self._place(call, PARAMS_AT, text + b"\0")
        return int(call.get("params_at", PARAMS_AT))

    def _do_finit(self, call: Step) -> None:
        params = self._params(call)
        self._unmap(call)
        flags = call.get("flags", 0)
        file = self._opened(call) if "open" in call else make(call["file"], self.release)
        self.kernel.finit_module(file, params, flags=flags, uid=self._as(call))

    def _opened(self, call: Step) -> int:
        """A descriptor, opened the way the case says."""
        path = self.folder / call["file"]
        path.write_bytes(make(call["file"], self.release))
        ways: dict[str, Callable[[], int]] = {
            "closed": lambda: 999,
            "pipe": lambda: 0,
            "directory": lambda: self.kernel.openat(self.folder, O_RDONLY),
            "wronly": lambda: self.kernel.openat(path, O_WRONLY),
            "rdwr": lambda: self.kernel.openat(path, O_RDWR),
            "path": lambda: self.kernel.openat(path, O_PATH),
            "written": lambda: self._written(path),
        }
        return ways[call["open"]]()

    def _written(self, path: Path) -> int:
        self.kernel.openat(path, O_WRONLY)
        return self.kernel.openat(path, O_RDONLY)

    def _do_init(self, call: Step) -> None:
        image = make(call["file"], self.release)
        params = self._params(call)
        special = {"length", "image_at", "unmap"} & set(call)
        if special:
            self._place(call, IMAGE_AT, image)
        self._unmap(call)
        length = call.get("length", len(image) if special else None)
        at: bytes | int = call.get("image_at", IMAGE_AT) if special else image
        self.kernel.init_module(at, params, length=length, uid=self._as(call))

    def _do_delete(self, call: Step) -> None:
        name: bytes | int = call["name"].encode("latin-1")
        if "name_at" in call or "unmap" in call:
            self._place(call, NAME_AT, call["name"].encode("latin-1") + b"\0")
            name = call.get("name_at", NAME_AT)
        self._unmap(call)
        flags = {"flags": call["flags"]} if "flags" in call else {}
        self.kernel.delete_module(name, **flags, uid=self._as(call))

    def _do_read(self, call: Step) -> dict[str, Any]:
        raw = self.kernel.read(call["path"]).encode("utf-8", "surrogateescape")
        return {"result": len(raw), "files": {call["path"]: raw.decode("latin-1")}}

    def _do_write(self, call: Step) -> dict[str, Any]:
        self.kernel.write(call["path"], call["data"])
        return {"result": len(call["data"])}

    def _do_hold(self, call: Step) -> None:
        self.kernel.hold(DEVICES[call["path"]])
        self.slots[call["slot"]] = DEVICES[call["path"]]

    def _do_release(self, call: Step) -> None:
        if call["slot"] in self.slots:  # not when there was no device to open
            self.kernel.release(self.slots.pop(call["slot"]))

    def _do_snapshot(self, call: Step) -> dict[str, Any]:
        name = call["module"]
        base = f"/sys/module/{name}"
        lines = self.kernel.read("/proc/kallsyms").splitlines()
        symbols = [COPY.sub("(the copy)", line) for line in lines if line.endswith(f"\t[{name}]")]
        files, folders = {}, []
        for path, is_folder in walk(self.kernel, base) if name in self.kernel.modules else ():
            if is_folder:
                folders.append(path)
            else:
                files[path] = _read_or_errno(self.kernel, path)
        paths = sorted([*folders, *files])
        readable = {p: text for p, text in files.items() if "/notes/" not in p and "/holders/" not in p}
        return {"symbols": symbols, "files": readable, "paths": paths}


def _read_or_errno(kernel: Any, path: str) -> str | dict[str, str]:
    try:
        return str(kernel.read(path))
    except kmodsim.KernelError as error:
        return {"errno": errno_name(error.errno)}


def walk(kernel: Any, path: str) -> Iterator[tuple[str, bool]]:
    """Every path below ``path`` and whether it is a folder, in order of names."""
    try:
        names = sorted(kernel.listdir(path))
    except kmodsim.KernelError:
        yield path, False
        return
    yield path, True
    for name in names:
        yield from walk(kernel, f"{path}/{name}")


def picture(kernel: Any) -> dict[str, Any]:
    """What must be the same before and after a call that failed."""
    modules = [(m.name, m.state, m.refcount, m.holders, m.base, m.taints) for m in kernel.modules.values()]
    files = [
        path for name in kernel.modules for path in walk(kernel, f"/sys/module/{name.replace('/', '!')}")
    ]
    return {
        "regions": list(kernel.memory.regions),
        "modules": modules,
        "files": files,
        "folders": sorted(kernel.listdir("/sys/module")),
        "exports": sorted(kernel.exports),
    }


def case_params(name: str) -> list[Any]:
    """(boot, case) of a recording for pytest."""
    return [pytest.param(boot, case, id=case) for boot, case in case_ids(name)]
