# SPDX-License-Identifier: GPL-2.0-only
"""The kernel of the machine this runs on, as far as its files tell: a profile and the state of a Kernel.

Each source that cannot be read leaves one line in ``unread``: what could not be checked. Nothing is loaded
or changed, and nothing needs root; root sees more.
"""

from __future__ import annotations

import gzip
import platform
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import ENOKEY, KernelError
from ..profile import Export, KernelProfile
from ..symbols import Resolution
from ..userland.elf import MODULE_ENDINGS, ToolElf, open_module

KSYMTAB = "__ksymtab_"
STEP = 16  # bytes between the stand-in addresses of exports whose real ones nobody may see
# Stages whose bytes depend on more of the kernel than these files tell; none of them refuses a sound module.
NOT_DONE = (
    "apply_paravirt", "apply_retpolines", "apply_returns", "apply_alternatives",
    "alternatives_smp_module_add", "unwind_module_init", "ftrace_module_init", "jump_label_add_module",
    "static_call_add_module",
)  # fmt: skip
LIMIT = 64 << 20  # bytes of a file under /proc or /boot


class Machine:
    """The facts under ``root``: "/" is this machine, tests give folders of their own."""

    def __init__(self, root: str | Path = "/") -> None:
        self.root = Path(root)
        self.unread: list[str] = []
        self.release = self._text("proc/sys/kernel/osrelease").strip()
        if not self.release and self.root == Path("/"):
            self.release = platform.release()
        if not self.release:
            raise KernelError(None, strerror="the running kernel's release cannot be read (osrelease)")
        self.cmdline = self._read("proc/cmdline", "boot parameters (module_blacklist=, nomodule)").strip()
        self.loaded = self._loaded()
        self.config = self._config()
        self.symvers = self._symvers()
        self.vermagic = self._vermagic()

    # --- reading

    def _bytes(self, path: str) -> bytes:
        try:
            with (self.root / path).open("rb") as file:
                return file.read(LIMIT)
        except (OSError, ValueError):
            return b""

    def _text(self, path: str) -> str:
        return self._bytes(path).decode("utf-8", "replace")

    def _read(self, path: str, what: str) -> str:
        """The file's text; where there is none, a line says that ``what`` was not checked."""
        text = self._text(path)
        if not text:
            self.unread.append(f"{what}: /{path} cannot be read")
        return text

    def _loaded(self) -> dict[str, str]:
        """name -> state of the loaded modules; an empty /proc/modules is an answer, a missing one is not."""
        if not (self.root / "proc/modules").exists():
            self.unread.append("modules loaded already: /proc/modules cannot be read")
        lines = [line.split() for line in self._text("proc/modules").splitlines()]
        return {words[0]: words[4] for words in lines if len(words) > 4}

    def _config(self) -> dict[str, str]:
        text = self._text(f"boot/config-{self.release}")
        if not text:
            try:
                text = gzip.decompress(self._bytes("proc/config.gz")).decode("utf-8", "replace")
            except (OSError, EOFError):
                text = ""
        if not text:
            self.unread.append(f"the kernel's configuration: neither /boot/config-{self.release} nor "
                               "/proc/config.gz can be read")  # fmt: skip
        return dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.MULTILINE))

    def _symvers(self) -> list[tuple[str, str, str, str, str]]:
        """(crc, symbol, module, export type, namespace) of each line of Module.symvers."""
        places = (f"lib/modules/{self.release}/build", f"usr/src/linux-headers-{self.release}",
                  f"usr/src/kernels/{self.release}")  # fmt: skip
        text = next(filter(None, (self._text(f"{place}/Module.symvers") for place in places)), "")
        if not text:
            self.unread.append("CRCs, licences and namespaces of symbols: no Module.symvers (install the "
                               f"headers of {self.release})")  # fmt: skip
        rows = [(line.split("\t") + [""] * 4)[:5] for line in text.splitlines()]
        return [(crc, name, module, kind, space) for crc, name, module, kind, space in rows if name]

    @cached_property
    def tree(self) -> Path | None:
        """lib/modules/RELEASE below the root."""
        places = (self.root / prefix / "lib/modules" / self.release for prefix in (".", "usr"))
        return next((place for place in places if (place / "kernel").is_dir()), None)

    @cached_property
    def files(self) -> dict[str, Path]:
        """The installed modules' files by name."""
        found: dict[str, Path] = {}
        for path in self._module_files():
            found.setdefault(path.name.partition(".")[0].replace("-", "_"), path)
        return found

    def _module_files(self) -> Iterator[Path]:
        if self.tree is not None:
            yield from (path for path in self.tree.rglob("*.ko*") if path.name.endswith(MODULE_ENDINGS))

    def _vermagic(self) -> str:
        """The vermagic of an installed module of the same kernel: the kernel itself does not show its own."""
        for path in islice(self._module_files(), 8):
            try:
                lines = ToolElf(open_module(path).data).modinfo()
            except KernelError:
                continue
            for line in lines:
                if line.startswith(b"vermagic=" + self.release.encode() + b" "):
                    return line[9:].decode("latin-1")
        self.unread.append(f"vermagic: no module under /lib/modules/{self.release} tells it")
        return ""

    # --- what follows

    @cached_property
    def exports(self) -> dict[str, Export]:
        """The kernel's own exports: from Module.symvers, else names alone from kallsyms."""
        lines = (line.split() for line in self._text("proc/kallsyms").splitlines())
        seen = {words[2]: int(words[0], 16) for words in lines if len(words) == 3}
        if seen and not any(seen.values()):
            self.unread.append("addresses of symbols: /proc/kallsyms shows zeros to all but root")
        rows = [row for row in self.symvers if row[2] == "vmlinux"]
        if not rows:
            rows = [("0", name.removeprefix(KSYMTAB), "vmlinux", "EXPORT_SYMBOL", "")
                    for name in seen if name.startswith(KSYMTAB)]  # fmt: skip
            if not rows:
                self.unread.append("which symbols are exported: neither Module.symvers nor kallsyms tells")
        start = KernelProfile.load().text[0]
        return {name: Export(name, start + STEP * number, _crc(crc), "GPL" in kind, space or None)
                for number, (crc, name, _, kind, space) in enumerate(rows)}  # fmt: skip

    @cached_property
    def _exporters(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for _, name, module, _, _ in self.symvers:
            if module != "vmlinux":
                found[name].append(module.rpartition("/")[2].replace("-", "_"))
        return found

    def exporters(self, symbol: str) -> Sequence[str]:
        """The modules that export ``symbol``."""
        return self._exporters.get(symbol, ())

    @cached_property
    def profile(self) -> KernelProfile:
        """A packaged profile of this very build, or the default one with this kernel's facts in it."""
        banner = self._text("proc/version")
        for name in KernelProfile.names():
            known = KernelProfile.load(name)
            if known.release == self.release and known.uname_version in banner:
                return known
        return MachineProfile(self)

    def kernel(self) -> Any:
        """A Kernel in this machine's state. What is unknown is passed over, and ``unread`` says so."""
        from .. import Kernel

        full = not isinstance(self.profile, MachineProfile)
        stages = {} if full else {**dict.fromkeys(NOT_DONE, lambda load: None), **self._lenient()}
        kernel = Kernel(self.profile, cmdline=self.cmdline, cpu=None, stages=stages)
        lockdown = self._read("sys/kernel/security/lockdown", "lockdown")
        chosen = re.search(r"\[(\w+)\]", lockdown)
        kernel.lockdown = chosen[1] if chosen else kernel.lockdown
        disabled = self._read("proc/sys/kernel/modules_disabled", "modules_disabled")
        kernel.modules_disabled = disabled.strip() == "1" or kernel.modules_disabled
        enforced = self._text("sys/module/module/parameters/sig_enforce").strip() == "Y"
        forced = self.config.get("CONFIG_MODULE_SIG_FORCE") == "y"
        kernel.sig_enforce = kernel.sig_enforce or enforced or forced
        if not full:
            self.unread.append("signatures: the kernel's keys are not known, any key counts as known")
            self.unread.append(f"{self.profile.name} has no profile: relocations are done with stand-in "
                               "addresses, patching of code is not done")  # fmt: skip
        return kernel

    def _lenient(self) -> dict[str, Callable[..., Any]]:
        """Functions that pass over what this machine does not tell."""
        from ..loader.signature import judge_signature

        found: dict[str, Callable[..., Any]] = {
            "judge_signature": lambda errno, *rest: judge_signature(0 if errno == ENOKEY else errno, *rest)
        }
        if not self.vermagic:
            found["same_magic"] = lambda *given: True
        if not self.exports:
            found["resolve_symbol"] = self._any_symbol
        return found

    def _any_symbol(self, name: str, importer: Any, vmlinux: Any, modules: Any) -> Resolution:
        """Every symbol is there, as far as anybody knows."""
        stand_in = Export(name, self.profile.text[0], None, False, None)
        return Resolution(vmlinux.get(name) or modules.get(name) or stand_in)

    def named(self) -> dict[str, Any]:
        """The arguments that ``why`` takes of a machine."""
        kernel = self.kernel()
        return {"kernel": kernel, "find": self.files.get, "exporters": self.exporters,
                "unchecked": self.unread, "taken": frozenset(self.loaded)}  # fmt: skip


class MachineProfile(KernelProfile):
    """The default profile with another kernel's release, vermagic, configuration and exports."""

    def __init__(self, machine: Machine) -> None:
        base = KernelProfile.load()
        self.__dict__.update(base.__dict__)
        self.name, self.release = "the running kernel", machine.release
        self.vermagic = machine.vermagic
        self.config = machine.config or base.config
        self.uname_version = ""
        self.builtin_modules = self._built_in(machine)
        known = base.exports.items()  # nothing is held against a symbol of which nothing is known
        exports = dict(machine.exports) or {
            name: export._replace(crc=None, gpl=False, namespace=None) for name, export in known
        }
        exports.setdefault("module_layout", Export("module_layout", base.text[0], None, False, None))
        self.__dict__["exports"], self.__dict__["keyring"] = exports, ()

    @staticmethod
    def _built_in(machine: Machine) -> frozenset[str]:
        try:
            names = {path.name for path in (machine.root / "sys/module").iterdir()}
        except OSError:
            machine.unread.append("names of built-in code: /sys/module cannot be read")
            return frozenset()
        return frozenset(names - set(machine.loaded))


def _crc(text: str) -> int | None:
    """A CRC of Module.symvers; 0 stands for a kernel without CONFIG_MODVERSIONS."""
    try:
        return int(text, 16) or None
    except ValueError:
        return None
