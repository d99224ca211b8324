# SPDX-License-Identifier: GPL-2.0-only
"""A case runs, and what must hold is checked: nothing but KernelError comes out, nothing stays behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kmodsim import Kernel, KernelError, KernelOops, ModuleFile
from kmodsim import userland as tools
from kmodsim.decompress import decompress
from kmodsim.errors import NotModelled, WouldWait
from kmodsim.files import module_kallsyms
from kmodsim.functions import FUNCTIONS
from kmodsim.loader import Load
from kmodsim.loader.pipeline import STAGES
from kmodsim.userland.explain import explain
from tests.test_modulefile_hostile import look_at_everything

from .case import Case

LIMIT = 1.0  # seconds of processor time for one call of the kernel
UNPACKED = 8 << 20
# From here on a broken module may write into another's memory, as in the kernel
WRITES = {s.name for s in STAGES[[s.name for s in STAGES].index("simplify_symbols") :]}
PLAIN = (int, str, bytes, bool, type(None), float)
SLOW = 3000  # elements of a list that are looked at one by one; of longer ones only the types


class Find(AssertionError):
    """An invariant that does not hold."""


def expect(holds: bool, *words: object) -> None:
    if not holds:
        raise Find(" ".join(str(word) for word in words))


# --- the kernel's state ---------------------------------------------------------------------------


def state(kernel: Kernel) -> dict[str, Any]:
    """All that a failed load, or a load and an unload, must leave as it was; ``memory`` has the bytes."""
    user = kernel.user_memory()
    return {
        "regions": kernel.memory.regions,
        "holes": list(kernel.memory.holes),
        "areas": sorted(kernel.memory.areas),
        "exports": dict(kernel.exports),
        "heap": dict(kernel.heap.blocks),
        "percpu": sorted(kernel.percpu.data),
        "folders": sorted(kernel.sysfs_names()),
        "journal": kernel.memory.journal,
        "user": dict(user._maps),
        "modules": [
            (
                m,
                m.raw_state,
                m.raw_refcount,
                tuple(m.users),
                tuple(m.uses),
                tuple(m.holder_links),
                m.taint_mask,
                dict(m.charp),
                m.init_base,
            )
            for m in kernel.module_list
        ],
        "bugs": list(kernel._bugs),
        "files": sorted(kernel.descriptors._open),
    }


def memory(kernel: Kernel) -> dict[str, tuple[bytes, bytes]]:
    return {m.name: (m.core.data.tobytes(), bytes(m.core.pages)) for m in kernel.module_list if m.core}


def equal_memory(one: Kernel, two: Kernel) -> bool:
    """As ``memory(one) == memory(two)``, without a copy: a module may have hundreds of megabytes."""
    areas = [[m.core for m in kernel.module_list if m.core] for kernel in (one, two)]
    return len(areas[0]) == len(areas[1]) and all(
        a.owner == b.owner and a.pages == b.pages and np.array_equal(a.data, b.data)
        for a, b in zip(*areas, strict=True)
    )


def same(before: dict[str, Any], after: dict[str, Any], when: str) -> None:
    for name, value in before.items():
        expect(value == after[name], f"{name} differs {when}:", _short(value), "->", _short(after[name]))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 300 else text[:300] + "…"


# --- the calls ------------------------------------------------------------------------------------


def load(kernel: Kernel, case: Case) -> Load | None:
    """The case's call; None where the way in gives no Load."""
    if case.way == "init":
        kernel.init_module(case.data, case.params, uid=case.uid)
    elif case.way == "user":
        user = kernel.user_memory()
        user.map(0x10000, case.data)
        user.map(0x8000000, case.params + b"\0")
        try:
            kernel.init_module(0x10000, 0x8000000, length=len(case.data), uid=case.uid)
        finally:
            user.unmap(0x10000, len(case.data))
            user.unmap(0x8000000, len(case.params) + 1)
    elif case.way == "traced":
        found = kernel.load(case.data, case.params, flags=case.flags, uid=case.uid)
        if found.error is not None:
            look_at_trace(found)
            raise found.error
        return found
    else:
        kernel.finit_module(case.data, case.params, flags=case.flags, uid=case.uid)
    return None


def timed(call: Callable[[], Any], what: str) -> Any:
    start = time.process_time()
    try:
        return call()
    finally:
        spent = time.process_time() - start
        expect(spent < LIMIT, f"{what} took {spent:.2f} s")


def outcome(kernel: Kernel, case: Case) -> KernelError | None:
    """Load; the error, or None. Whatever else is raised passes through."""
    start = len(kernel.dmesg)
    try:
        timed(lambda: load(kernel, case), "the load")
    except KernelError as error:
        expect(error.dmesg == kernel.dmesg[start:], "the error does not carry the log of its call")
        expect(bool(error.stage), "an error without a stage:", error)
        expect(type(error.errno) in (int, type(None)), "an errno that is no int", repr(error.errno))
        expect(error.errno is None or 0 < error.errno < 4096, "no errno:", error.errno)
        expect(isinstance(str(error), str) and isinstance(repr(error), str), "no text")
        return error
    finally:
        log = kernel.dmesg[start:]
        expect(all(type(line) is str for line in log), "a log record that is no str")
        expect(sum(map(len, log)) < 200_000 + 1000 * len(case.data), "the log grows beyond bounds")
        used = sum(len(area.data) for area in kernel.memory.areas.values())
        expect(used < kernel.memory.high - kernel.memory.low, "more memory than there is")
    return None


def run(case: Case) -> str:
    """Everything about one case; the word that says how it ended. Find, or what escaped, is raised."""
    look_at_file(case)
    if case.way == "audited":
        return audited(case)
    if case.way == "tools":
        return by_the_tools(case)
    kernel = case.kernel()
    before, bytes_before = state(kernel), memory(kernel)
    error = outcome(kernel, case)
    if isinstance(error, KernelOops):
        look_at_kernel(kernel)
        return "oops"
    if error is not None:
        same(before, state(kernel), f"after {error}")
        if error.stage not in WRITES:
            same(bytes_before, memory(kernel), f"after {error}")
        look_at_kernel(kernel)
        return word(error)
    look_at_kernel(kernel, newest=True)
    unload(kernel, case, before)
    return "loaded"


def word(error: KernelError) -> str:
    if isinstance(error, (WouldWait, NotModelled)):
        return type(error).__name__
    return f"{error.stage}: {error.errno}"


def unload(kernel: Kernel, case: Case, before: dict[str, Any]) -> None:
    """Take it out again, by the flags of the case first, then whatever it takes."""
    name = next(iter(kernel.module_list)).name
    module = kernel.find_module(name)
    kernel.cmdline, kernel.modules_disabled, kernel.uid = {}, False, 0
    raw = name.encode("utf-8", "surrogateescape") if "\\" not in name else None
    for flags in (case.delete_flags, 0o1000):
        try:
            timed(lambda flags=flags: kernel.delete_module(raw or name, flags=flags), "the unload")
        except KernelOops:
            return
        except KernelError as error:
            expect(bool(error.stage), "an error without a stage")
            continue
        finally:
            if kernel.unloading is not None:
                expect(isinstance(str(kernel.unloading.trace), str), "no text")
        break
    if kernel.find_module_all(name) is not module:
        same(before, state(kernel), "after the unload")


# --- looking around -------------------------------------------------------------------------------


def look_at_kernel(kernel: Kernel, newest: bool = False) -> None:
    """Every file under /sys/module/NAME, and the public face; ``newest``: its parameters are written."""
    timed(lambda: kernel.read("/proc/modules"), "reading /proc/modules")
    for module in kernel.module_list:
        mine = newest and module is kernel.module_list[0]
        timed(lambda m=module, w=mine: _look_at_module(kernel, m, w), f"looking at {module.name!r}")


def _look_at_module(kernel: Kernel, module: Any, write: bool) -> None:
    for line in module_kallsyms(kernel, module):
        expect(type(line) is str, "kallsyms")
    expect(isinstance(repr(module), str) and isinstance(module.to_dict(), dict), "no description")
    for value in (module.base, module.size, module.refcount, module.init, module.exit, module.address):
        expect(type(value) is int, "a number that is no int:", repr(value))
    for section in module.sections.all:
        expect(type(section.address) is int and type(section.size) is int, "a section's number")
        if section.size < 1 << 20:
            _try(lambda s=section: s.data)
    walk(kernel, "/sys/module/" + module.name.replace("/", "!"), write)


def walk(kernel: Kernel, path: str, write: bool) -> None:
    """Read and list; what is a folder is entered."""
    names = _try(lambda: kernel.listdir(path))
    if names is None:
        text = _try(lambda: kernel.read(path))
        expect(text is None or type(text) is str, f"{path} holds no text")
        if write and "/parameters/" in path:
            _try(lambda: kernel.write(path, text if text is not None else "1,2,3"))
        return
    for name in names:
        if name and "/" not in name:
            walk(kernel, f"{path}/{name}", write)


def _try(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except KernelError as error:
        str(error)
        return None


def look_at_trace(found: Load) -> None:
    """Every change can be read, and the trace can be shown."""
    for record in found.trace:
        total = sum(len(change.after) for change in record.changes)
        expect(total == record.changes.size, f"{record.stage} counts its bytes wrongly")
        expect(_is_plain(record.inputs) and _is_plain(record.outputs), f"{record.stage}: no plain data")
    expect(isinstance(str(found.trace), str) and isinstance(found.trace._repr_html_(), str), "no text")


def look_at_file(case: Case) -> None:
    """The descriptive view of the same bytes."""
    data = case.data
    if case.packed:
        try:
            data = timed(lambda: decompress(case.data, UNPACKED), "unpacking")
        except KernelError:
            return
        expect(len(data) <= UNPACKED, "more than the limit was unpacked")
    try:
        timed(lambda: look_at_everything(data), "ModuleFile")
        if case.packed:
            timed(lambda: ModuleFile(case.data).header, "ModuleFile")
    except KernelError:
        pass


def by_the_tools(case: Case) -> str:
    """modinfo, insmod, rmmod and the explanation of the same file: text, and an exit status."""
    params = case.params.decode("utf-8", "surrogateescape")
    with TemporaryDirectory() as folder:
        path = Path(folder, "m.ko")
        path.write_bytes(case.data)
        kernel = case.kernel()
        for argv in (["modinfo", str(path)], ["insmod", str(path), params], ["rmmod", "-f", str(path)]):
            told = timed(lambda argv=argv: tools.run(kernel, argv), argv[0])
            expect(type(told.stdout) is str and type(told.stderr) is str, f"{argv[0]} says no text")
            expect(told.status == 0 or told.stderr != "", argv[0], "fails without a word:", told.status)
        try:
            told = timed(lambda: explain(case.kernel(), str(path), params), "explaining")
        except KernelError:
            return "tools, no module"
        expect(type(told.text()) is str and type(json.dumps(told.to_dict())) is str, "no explanation")
    return "tools, " + ("loaded" if told.error is None else word(told.error))


# --- the pure functions ---------------------------------------------------------------------------


def audited(case: Case) -> str:
    """With every pure function replaced by itself, behind a look at its data: the same must come of it."""
    kernels = case.kernel(), case.kernel({name: _guarded(name) for name in FUNCTIONS})
    errors = [_first(kernel, case) for kernel in kernels]
    words = ["loaded" if error is None else word(error) for error in errors]
    expect(words[0] == words[1], "entry by entry another end:", *words)
    expect(kernels[0].dmesg == kernels[1].dmesg, "another log", kernels[0].dmesg[-3:], kernels[1].dmesg[-3:])
    if not isinstance(errors[0], KernelOops):
        one, two = (kernel.memory.regions for kernel in kernels)
        expect(one == two, "other regions")
        expect(equal_memory(*kernels), "other bytes in memory")
    return "audited, " + words[0]


def _first(kernel: Kernel, case: Case) -> KernelError | None:
    try:
        load(kernel, case)
    except KernelError as error:
        return error
    return None


def _guarded(name: str) -> Callable[..., Any]:
    function = FUNCTIONS[name].function

    def look(*given: Any, **named: Any) -> Any:
        for value in (*given, *named.values()):
            expect(callable(value) or _is_plain(value), f"{name} gets data that is not plain:", type(value))
        return function(*given, **named)

    return look


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind in PLAIN:
        return True
    if kind.__module__ == "numpy":
        return False
    if isinstance(value, (list, tuple, set, frozenset)):
        if len(value) > SLOW:
            return not any(t.__module__ == "numpy" for t in set(map(type, value)))
        return all(_is_plain(v) for v in value)
    if isinstance(value, dict):
        return all(_is_plain(k) for k in value) and (
            len(value) > SLOW or all(_is_plain(v) for v in value.values())
        )
    if is_dataclass(value):
        return kind.__name__ == "Module" or all(_is_plain(getattr(value, f.name)) for f in fields(value))
    return isinstance(value, (Mapping, int))
