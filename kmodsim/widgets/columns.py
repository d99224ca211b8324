# SPDX-License-Identifier: GPL-2.0-only
"""What one load came to, in words: facts that can be set beside those of another kernel."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from .. import profiles
from ..corpus import PROFILE
from ..errors import KernelError, NotModelled
from ..kernel import Kernel
from ..loader.load import Load
from ..modulefile import ModuleFile
from ..trace import Record
from ..views.of_kernel import outcome
from ..views.view import plural
from .attempt import providers
from .chosen import module_for
from .pipeline_run import short

GROUPS = ("what a user sees", "memory", "all stages")
LISTED = 10  # changes of one stage
MODELS = "kernel/module/main.c:load_module"


def known_profiles() -> list[str]:
    """The kernels that the model knows; the default one first."""
    folder = Path(profiles.__file__).parent
    names = sorted(path.parent.name for path in folder.glob("*/facts.json"))
    return sorted(names, key=lambda name: name != PROFILE)


def unpacked(profile: str, name: str) -> bytes:
    """Its bytes; some releases' modules are compressed, and a tool has unpacked them."""
    return ModuleFile(module_for(profile, name)).data


@dataclass(frozen=True)
class Side:
    """One of the two: where the module is loaded, and with what."""

    profile: str = PROFILE
    module: str = "hello"
    params: str = ""
    cmdline: str = ""
    cpu_model: str = "qemu64"

    @property
    def facts(self) -> dict[str, dict[str, str]]:
        """Groups of facts: ``GROUPS``, then one for each stage. ValueError, KernelError: there is no such
        profile or module."""
        kernel = Kernel(profile=self.profile, cmdline=self.cmdline, cpu_model=self.cpu_model)
        file = module_for(self.profile, self.module)
        for provider in providers(ModuleFile(file)):
            kernel.load(unpacked(self.profile, provider), trace=False)
        load = kernel.load(unpacked(self.profile, self.module), self.params)
        groups = (_outside(kernel, load), _inside(load), _stages(load))
        one_by_one = {record.stage: _stage(record) for record in load.trace}
        return {**dict(zip(GROUPS, groups, strict=True)), **one_by_one}


def _outside(kernel: Kernel, load: Load) -> dict[str, str]:
    """What a user sees: result, log, /proc/modules, taints."""
    return {
        "kernel": kernel.profile.release,
        "command line": " ".join(f"{k}={v}" if v else k for k, v in kernel.cmdline.items()) or "-",
        "processor": kernel.cpu_model,
        "result": _result(load.error),
        "log": "\n".join(line[3:] for line in kernel.dmesg) or "(nothing)",
        "/proc/modules": kernel.read("/proc/modules").rstrip("\n") or "(no module)",
        "/proc/sys/kernel/tainted": kernel.read("/proc/sys/kernel/tainted").strip(),
    }


def _result(error: KernelError | None) -> str:
    if isinstance(error, NotModelled):
        return f"not modelled: {error.why}"
    return outcome(error)


def _inside(load: Load) -> dict[str, str]:
    module = load.module
    if module is None:
        return {}
    memories = {
        f"memory {kind}": f"{size:#x} bytes at {base:#x}" for kind, (base, size) in module.memories.items()
    }
    return memories | {
        f"section {name}": f"{section.size:#x} bytes at {section.address:#x}"
        for name in (".text", ".init.text", ".exit.text", ".rodata", ".data", ".bss")
        if (section := module.sections.get(name)) is not None and section.size
    }


def _stages(load: Load) -> dict[str, str]:
    """How each stage went, and how many bytes of memory it wrote."""
    facts = {}
    for record in load.trace:
        size = record.changes.size
        facts[record.stage] = record.error or (f"{plural(size, 'byte')} written" if size else "done")
    return facts


def _stage(record: Record) -> dict[str, str]:
    """One stage: what went in and out, the first bytes it wrote, what it printed."""
    facts = {f"in: {name}": short(name, value) for name, value in record.inputs.items()}
    facts |= {f"out: {name}": short(name, value) for name, value in record.outputs.items()}
    facts |= {
        f"written at {change.start:#x}": f"{change.before[:16].hex(' ')} → {change.after[:16].hex(' ')}"
        for change in islice(record.changes, LISTED)
    }
    facts["bytes written"] = f"{record.changes.size:,}"
    facts["log"] = "\n".join(line[3:] for line in record.log) or "(nothing)"
    facts["result"] = record.error or "done"
    return facts
