# SPDX-License-Identifier: GPL-2.0-only
"""Does on kmodsim what was done on the real kernel, and compares step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import kmodsim
from kmodsim.errors import errno_name
from kmodsim.profile import DEFAULT
from tests.realkernel.replay import walk

from .causes import Written, cause_at, ranges
from .image import Image, Place, modelled_image
from .recording import CMDLINE
from .truth import Found, digests

PRIORITY = -(2**31)  # INT_MIN, as the observer
SHOWN = 4
BY_DIGEST = "one of the causes, told by the digest"
OWN_GET = "parameter shown by the module's own function"


class Difference(NamedTuple):
    """``kind``: a section, "errno", "sysfs", …; ``cause``: None when nobody knows one."""

    module: str
    kind: str
    text: str
    cause: str | None = None

    def __str__(self) -> str:
        return f"{self.module}: {self.kind}: {self.text}" + (f" [{self.cause}]" if self.cause else "")


class Replay:
    """One boot of kmodsim, with a notifier in the place of the observer's."""

    def __init__(self, file_of: Callable[[str], bytes], profile: str = DEFAULT) -> None:
        self.kernel = kmodsim.Kernel(profile, cmdline=CMDLINE, cpu=None)
        self.file_of = file_of
        self.file = b""
        self.image: Image | None = None

    def run(self, steps: Sequence[Found]) -> Iterator[Difference]:
        """Every difference, in the order of the steps; the first of these loads the observer."""
        for number, step in enumerate(steps):
            if number == 1:
                self.kernel.register_module_notifier(self._coming, PRIORITY)
            yield from self._step(step)

    def _coming(self, state: str, module: kmodsim.Module) -> None:
        if state == "COMING":
            self.image = modelled_image(module, self.file, self.kernel.profile)
            self.kernel.set_field(module, "init", 0)
            self.kernel.set_field(module, "exit", 0)

    def _step(self, step: Found) -> Iterator[Difference]:
        name = step.get("load") or step["unload"]
        log, errno = len(self.kernel.dmesg), None
        self.image = None
        try:
            if "load" in step:
                self.file = self.file_of(name)
                self.kernel.finit_module(self.file, step.get("params", ""))
            else:
                self.kernel.delete_module(name)
        except kmodsim.KernelError as error:
            errno = errno_name(error.errno) if error.errno else "killed"
        yield from unequal(name, "errno", step.get("errno"), errno)
        yield from unequal(name, "log", step.get("log", []), self.kernel.dmesg[log:])
        if "digests" in step and self.image is not None:
            yield from compare(step, self.image)
            module = self.kernel.modules[name]
            yield from unequal(name, "percpu", step.get("percpu"), module.percpu)
            if "sysfs" in step:
                for difference in unequal_tables(name, "sysfs", step["sysfs"], sysfs(self.kernel, name)):
                    yield difference._replace(cause=_own_get(module, difference.text))


def _own_get(module: kmodsim.Module, text: str) -> str | None:
    """The cause of a parameter that is shown by a function of the module: its code is not run."""
    for param in module.params:
        inside = module.holds(param.ops, init=False)
        if inside and text.startswith(f"parameters/{param.name}: "):
            get = int.from_bytes(module.memory.read(param.ops + 16, 8), "little")  # kernel_param_ops.get
            if module.holds(get, init=False):
                return OWN_GET
    return None


def unequal(module: str, kind: str, real: object, model: object) -> Iterator[Difference]:
    if real != model:
        yield Difference(module, kind, f"real {real!r}, model {model!r}")


def unequal_tables(module: str, kind: str, real: Found, model: Found) -> Iterator[Difference]:
    """The keys whose values differ or that one side lacks."""
    missing = "not there"
    for key in {**real, **model}:
        text = f"{key}: real {real.get(key, missing)!r}, model {model.get(key, missing)!r}"
        if real.get(key, missing) != model.get(key, missing):
            yield Difference(module, kind, text)


def sysfs(kernel: kmodsim.Kernel, name: str) -> dict[str, Any]:
    """As ``truth.sysfs_of``."""
    base = f"/sys/module/{name}/"
    found: dict[str, Any] = {}
    for path, is_folder in walk(kernel, base[:-1]):
        inner = path.removeprefix(base)
        if path != base[:-1]:
            found[inner] = None if is_folder or inner.startswith("holders/") else _text(kernel, path)
    return dict(sorted(found.items()))


def _text(kernel: kmodsim.Kernel, path: str) -> str | dict[str, str]:
    if "/notes/" in path:
        return ""
    try:
        return kernel.read(path)
    except kmodsim.KernelError as error:
        return {"errno": errno_name(error.errno) if error.errno else "killed"}


def compare(step: Found, image: Image) -> Iterator[Difference]:
    """A recorded load and the model's image."""
    name = step["load"]
    for kind, (base, data) in image.memories.items():
        yield from unequal(name, kind, step.get(kind), [base, len(data)])
    if "sections" in step:
        yield from unequal_tables(
            name, "sections", step["sections"], {p.name: p.address for p in image.places}
        )
    found = digests(image)
    wrong = [key for key, value in step["digests"].items() if found.get(key) != value]
    if "memory" in step:
        yield from compare_bytes(step, image)
    else:
        for key in wrong:
            cause = BY_DIGEST if key == "data but for chance" else None
            yield Difference(name, key, "other bytes (by the digest)", cause)


def compare_bytes(step: Found, image: Image) -> Iterator[Difference]:
    """Whole memory against whole memory: for each section how much differs and where it begins, by cause."""
    memories = {kind: (step[kind][0], bytes.fromhex(step["memory"][kind])) for kind in image.memories}
    real = image._replace(memories=memories)
    found = ranges(image)
    for place in image.places:
        yield from _compare_place(place, real, image, found)
    for (kind, mine), (_, theirs) in zip(image.rest(), real.rest(), strict=True):
        different = [i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b]
        if different or len(mine) != len(theirs):
            text = f"{len(different)} bytes, the first at {different[:SHOWN]}"
            yield Difference(image.name, f"rest of {kind}", text)


def _compare_place(place: Place, real: Image, model: Image, known: Sequence[Written]) -> Iterator[Difference]:
    """Eight bytes at a time, as most of it are pointers; one Difference for each cause."""
    try:
        wanted, found = real.bytes_of(place), model.bytes_of(place)
    except KeyError:
        yield Difference(model.name, place.name, "lies elsewhere")
        return
    by_cause: dict[str | None, list[int]] = {}
    for at in range(0, place.size if wanted != found else 0, 8):
        if wanted[at : at + 8] != found[at : at + 8]:
            cause = cause_at(known, place.address + at, 8) if place.writable else None
            by_cause.setdefault(cause, []).append(at)
    for cause, places in by_cause.items():
        shown = ", ".join(
            f"+{at:#x} real {wanted[at : at + 8].hex()} model {found[at : at + 8].hex()}"
            for at in places[:SHOWN]
        )
        yield Difference(model.name, place.name, f"{len(places)} words: {shown}", cause)
