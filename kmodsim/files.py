# SPDX-License-Identifier: GPL-2.0-only
"""The files through which the kernel shows its modules: /proc/modules, /proc/kallsyms, /sys/module/….

Models ``kernel/module/procfs.c``, ``kernel/module/sysfs.c``, ``kernel/kallsyms.c`` and ``kernel/params.c``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .errors import (
    EACCES,
    EBADF,
    EINVAL,
    EIO,
    EISDIR,
    ENOENT,
    ENOTDIR,
    EPERM,
    EROFS,
    O_ACCMODE,
    O_RDONLY,
    O_WRONLY,
    KernelError,
)
from .loader import arguments
from .module import TAINTS, KernelParam, Module, ModuleState, taint_letters
from .params import write_parameter
from .params.kstrtox import kstrtobool, kstrtoull

if TYPE_CHECKING:
    from .kernel import Kernel

STATE_NAMES = {ModuleState.LIVE: "Live", ModuleState.COMING: "Loading", ModuleState.GOING: "Unloading"}
LOCKDOWN_LEVELS = ("none", "integrity", "confidentiality")
Reader = Callable[["Kernel"], str]


def shown_address(kernel: Kernel, address: int) -> int:
    """0 for callers without CAP_SYSLOG (``kernel/kallsyms.c:kallsyms_show_value`` with kptr_restrict 0)."""
    return address if "CAP_SYSLOG" in kernel.caller(None) else 0


def module_flags(mod: Module) -> str:
    """``(OE)``-like text; a ``-`` while unloading and a ``+`` while loading, "" without taints."""
    if not mod.taint_mask:
        return ""
    sign = {ModuleState.GOING: "-", ModuleState.COMING: "+"}.get(mod.raw_state, "")
    return f"({mod.taints}{sign})"


def proc_modules_line(kernel: Kernel, mod: Module) -> str:
    """One line of /proc/modules (``kernel/module/procfs.c:m_show``)."""
    users = "".join(f"{name}," for name in mod.holders) + ("[permanent]," if mod.permanent else "")
    address = shown_address(kernel, mod.base)
    flags = module_flags(mod)
    line = (
        f"{mod.name} {mod.size} {mod.refcount} {users or '-'} {STATE_NAMES[mod.raw_state]} 0x{address:016x}"
    )
    return f"{line} {flags}" if flags else line


def proc_modules(kernel: Kernel) -> str:
    return "".join(proc_modules_line(kernel, mod) + "\n" for mod in kernel.modules.values())


def proc_kallsyms(kernel: Kernel) -> str:
    """The kernel's symbols, then the modules', newest module first."""
    table = kernel.profile.kallsyms
    lines = [
        f"{shown_address(kernel, a):016x} {t} {n}"
        for a, t, n in zip(table.addresses.tolist(), table.types, table.names, strict=True)
    ]
    for mod in kernel.modules.values():
        lines += module_kallsyms(kernel, mod)
    return "\n".join(lines) + "\n"


def module_kallsyms(kernel: Kernel, mod: Module) -> list[str]:
    """The lines of /proc/kallsyms that end in ``[NAME]``."""
    if mod.symbols is None:
        return []
    exported = {e.name: e.address for e in mod.exports.values() if not e.gpl}
    rows = mod.symbols.rows(exported)
    return [f"{shown_address(kernel, a):016x} {t} {n}\t[{mod.name}]" for a, t, n in rows]


def _lockdown(kernel: Kernel) -> str:
    return " ".join(f"[{level}]" if level == kernel.lockdown else level for level in LOCKDOWN_LEVELS) + "\n"


PROC: dict[str, Reader] = {
    "/proc/modules": proc_modules,
    "/proc/kallsyms": proc_kallsyms,
    "/proc/sys/kernel/tainted": lambda k: f"{k.tainted}\n",
    "/proc/sys/kernel/modules_disabled": lambda k: f"{int(k.modules_disabled)}\n",
    "/proc/sys/kernel/osrelease": lambda k: f"{k.profile.release}\n",
    "/sys/kernel/security/lockdown": _lockdown,
    "/sys/module/module/parameters/sig_enforce": lambda k: "Y\n" if k.sig_enforce else "N\n",
}
# kernel/module/main.c:modinfo_attrs; a None means that the file is not there
ATTRIBUTES: dict[str, Callable[[Module], str | None]] = {
    "version": lambda m: m.version,
    "srcversion": lambda m: m.srcversion,
    "initstate": lambda m: {"LIVE": "live", "COMING": "coming", "GOING": "going"}.get(m.state, "unknown"),
    "coresize": lambda m: str(m.core_size),
    "initsize": lambda m: str(m.init_size),
    "taint": lambda m: taint_letters(m.taint_mask),
    "refcnt": lambda m: str(m.refcount),
}
WRITE_ONLY = frozenset(("uevent",))


def read(kernel: Kernel, path: str) -> str:
    """The file's text; ENOENT, EISDIR, EACCES (may not be opened)."""
    if path in PROC:
        return PROC[path](kernel)
    if path in kernel.profile.rules.files:
        return kernel.profile.rules.files[path]
    if kernel.vfs is not None and kernel.vfs.has(path):
        return str(kernel.vfs.read(path))
    mod, rest = _module_path(kernel, path)
    if mod is None or not rest:
        raise KernelError(EISDIR if _is_folder(kernel, path) else ENOENT, stage="read", why=path)
    if len(rest) == 1 and rest[0] in ATTRIBUTES:
        value = ATTRIBUTES[rest[0]](mod)
        if value is not None:
            return value + "\n"
    if len(rest) == 1 and rest[0] in WRITE_ONLY:
        raise KernelError(EACCES, stage="read", why=f"{path} can only be written")
    if len(rest) == 2 and rest[0] == "parameters":
        return _read_parameter(kernel, mod, rest[1])
    if len(rest) == 2 and rest[0] == "sections":
        return _read_section(kernel, mod, rest[1])
    raise KernelError(EISDIR if _is_folder(kernel, path) else ENOENT, stage="read", why=path)


def _read_section(kernel: Kernel, mod: Module, name: str) -> str:
    address = dict(reversed(mod.sysfs_sections)).get(name)
    if address is None:
        raise KernelError(ENOENT, stage="read", why=f"{mod.name} has no section {name}")
    if not _is_root(kernel):
        raise KernelError(EACCES, stage="read", why="sections are readable by root only")
    return f"0x{shown_address(kernel, address):016x}\n"


def _is_root(kernel: Kernel) -> bool:
    return "CAP_DAC_OVERRIDE" in kernel.caller(None) or kernel.uid == 0


def _parameter(mod: Module, name: str) -> KernelParam:
    for param in mod.params:
        if param.name == name and param.perm:
            return param
    raise KernelError(ENOENT, why=f"{mod.name} shows no parameter {name}")


def _read_parameter(kernel: Kernel, mod: Module, name: str) -> str:
    param = _parameter(mod, name)
    if not param.perm & (0o444 if _is_root(kernel) else 0o004):
        raise KernelError(EACCES, stage="open", why=f"mode {param.perm:04o}")
    return arguments.show_parameter(kernel, mod, param)


def write(kernel: Kernel, path: str, text: str) -> None:
    """Write a text; EACCES where the mode forbids it (sysfs asks at open, root too), EINVAL and so on from
    the value."""
    mod, rest = _module_path(kernel, path)
    if mod is not None and len(rest) == 2 and rest[0] == "parameters":
        _write_parameter(kernel, mod, rest[1], text)
    elif kernel.vfs is not None and kernel.vfs.has(path):
        kernel.vfs.write(path, text)
    elif path in WRITERS:
        WRITERS[path](kernel, text)
    else:
        raise KernelError(_why_not_writable(kernel, path), stage="open", why=f"{path} is not writable here")


def _why_not_writable(kernel: Kernel, path: str) -> int:
    folder, _, name = path.rpartition("/")
    if _is_folder(kernel, path):
        return EISDIR
    if path in ("/proc/modules", "/proc/kallsyms") and _is_root(kernel):
        return EIO  # opened all the same, but there is nothing to write with (fs/proc/inode.c:proc_reg_write)
    return EACCES if path in PROC or name in (_entries(kernel, folder) or ()) else ENOENT


def _write_parameter(kernel: Kernel, mod: Module, name: str, text: str) -> None:
    param = _parameter(mod, name)
    if not param.perm & (0o222 if _is_root(kernel) else 0o002):
        raise KernelError(EACCES, stage="open", why=f"mode {param.perm:04o}")
    comm = kernel.comm if kernel.lockdown != "none" else None
    raw = text.encode("utf-8", "surrogateescape")
    custom = arguments.own_operations(kernel, mod)
    result = write_parameter(arguments.spec_of(kernel, param), raw, custom=custom, lockdown=comm)
    kernel.print_records(result.log)
    if result.tainted:
        kernel.add_taint("U")
    if result.stored is not None:
        arguments.store(kernel, mod, param, result.stored)
    if result.errno:
        raise KernelError(result.errno, stage="param_attr_store")


def _disable_modules(kernel: Kernel, text: str) -> None:
    """A switch that only goes one way (``kernel/module/main.c``: proc_dointvec_minmax between 1 and 1)."""
    if not _is_root(kernel):
        raise KernelError(EACCES, stage="open")
    if text.strip() != "1":
        raise KernelError(
            EINVAL, stage="write", why="only 1 is accepted: loading cannot be switched on again"
        )
    kernel.modules_disabled = True


def _enforce_signatures(kernel: Kernel, text: str) -> None:
    """bool_enable_only: once on, it stays on (``kernel/params.c:param_set_bool_enable_only``)."""
    if not _is_root(kernel):
        raise KernelError(EACCES, stage="open")
    wanted = kstrtobool(text.encode())
    if kernel.sig_enforce and not wanted:
        raise KernelError(EROFS, stage="param_attr_store")
    kernel.sig_enforce = wanted


def _taint(kernel: Kernel, text: str) -> None:
    """A number whose bits are added; none can be taken away (``kernel/sysctl.c:proc_taint``)."""
    if not _is_root(kernel):
        raise KernelError(EACCES, stage="open")
    bits = kstrtoull(text.strip().encode())
    for flag in TAINTS:
        if bits >> flag.bit & 1:
            kernel.add_taint(flag.letter)


def _lock_down(kernel: Kernel, text: str) -> None:
    """Only upwards (``security/lockdown/lockdown.c:lockdown_write``)."""
    if not _is_root(kernel):
        raise KernelError(EACCES, stage="open")
    level = text.removesuffix("\n")
    if level not in LOCKDOWN_LEVELS:
        raise KernelError(EINVAL, stage="lockdown_write")
    if LOCKDOWN_LEVELS.index(level) <= LOCKDOWN_LEVELS.index(kernel.lockdown):
        raise KernelError(EPERM, stage="lock_kernel_down")
    kernel.lockdown = level
    kernel.printk(5, "Kernel is locked down from securityfs; see man kernel_lockdown.7")


WRITERS: dict[str, Callable[[Kernel, str], None]] = {
    "/proc/sys/kernel/modules_disabled": _disable_modules,
    "/proc/sys/kernel/tainted": _taint,
    "/sys/kernel/security/lockdown": _lock_down,
    "/sys/module/module/parameters/sig_enforce": _enforce_signatures,
}


class TextFile:
    """One of these files, opened by a process: its text is that of the moment it was opened."""

    def __init__(self, kernel: Kernel, path: str, flags: int) -> None:
        self._kernel, self.path, self.flags, self._position = kernel, path, flags, 0
        self._text = b"" if flags & O_ACCMODE == O_WRONLY else read(kernel, path).encode()

    def read(self, length: int = 4096) -> bytes:
        """read(2): b"" at the end."""
        if self.flags & O_ACCMODE == O_WRONLY:
            raise KernelError(EBADF, stage="read", why=self.path)
        piece = self._text[self._position : self._position + length]
        self._position += len(piece)
        return piece

    def write(self, data: bytes | str) -> int:
        """write(2): how many bytes were taken."""
        if self.flags & O_ACCMODE == O_RDONLY:
            raise KernelError(EBADF, stage="write", why=self.path)
        text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
        write(self._kernel, self.path, text)
        return len(data)

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> TextFile:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def listdir(kernel: Kernel, path: str) -> list[str]:
    """Sorted names of a folder; ENOENT, ENOTDIR."""
    path = path.rstrip("/") or "/"
    entries = _entries(kernel, path)
    if entries is None:
        try:
            read(kernel, path)
        except KernelError as error:
            if error.errno == ENOENT:
                raise KernelError(ENOENT, stage="openat", why=path) from None
        raise KernelError(ENOTDIR, stage="openat", why=path)
    return sorted(entries)


def _entries(kernel: Kernel, path: str) -> list[str] | None:
    if path == "/sys/module":
        return list(kernel.sysfs_names())
    mod, rest = _module_path(kernel, path)
    if mod is None:
        more = kernel.vfs.listdir(path) if kernel.vfs is not None else None
        inside = {
            p[len(path) :].lstrip("/").split("/")[0] for p in PROC if p.startswith(path.rstrip("/") + "/")
        }
        return [*inside, *(more or ())] if inside or more is not None else None
    shown = [p.name for p in mod.params if p.perm]
    folders = {
        "holders": mod.holder_links, "sections": [name for name, _ in mod.sysfs_sections],
        "notes": list(mod.note_sections), "parameters": shown,
    }  # fmt: skip
    if not rest:
        present = [name for name, items in folders.items() if items or name in ("holders", "sections")]
        return [*(n for n, get in ATTRIBUTES.items() if get(mod) is not None), "uevent", *present]
    found = folders.get(rest[0]) if len(rest) == 1 else None
    return list(dict.fromkeys(found)) if found is not None and (found or rest[0] == "holders") else None


def _is_folder(kernel: Kernel, path: str) -> bool:
    return path.startswith("/") and _entries(kernel, path.rstrip("/") or "/") is not None


def _module_path(kernel: Kernel, path: str) -> tuple[Module | None, list[str]]:
    """(module, parts behind it) of /sys/module/NAME/…; sysfs writes ``/`` in a name as ``!``."""
    parts = path.split("/")
    if parts[:3] != ["", "sys", "module"] or len(parts) < 4:
        return None, []
    mod = next((m for m in kernel.known_modules if m.sysfs and m.name.replace("/", "!") == parts[3]), None)
    return mod, [p for p in parts[4:] if p]


__all__ = ["listdir", "module_kallsyms", "proc_modules_line", "read", "write"]
