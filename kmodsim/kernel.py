# SPDX-License-Identifier: GPL-2.0-only
"""A booted kernel: its modules, symbols, log, taints and files. Nothing here is the host's; crash it at
will."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import files, syscalls
from .errors import EBUSY, EFAULT, ENOENT, KernelError, KernelOops
from .functions import with_overrides
from .linkedlist import LinkedList
from .loader.load import Load
from .loader.load_info import early_name, read_versions
from .memory import Heap, Memory, PerCpu, UserMemory
from .module import TAINT_BIT, Module, ModuleState
from .params import printk
from .params.kstrtox import kstrtobool
from .profile import DEFAULT, CpuModel, Export, KernelProfile
from .symbols import Importer

if TYPE_CHECKING:
    from .unloader import Unload

CAPABILITIES = frozenset(("CAP_SYS_MODULE", "CAP_SYS_ADMIN", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"))
Notifier = Callable[[str, Module], int | None]


class Kernel:
    """A freshly booted kernel.

    profile: name or KernelProfile. cmdline: boot parameters (module_blacklist=, module.sig_enforce=,
    lockdown=,
    nomodule). uid, capabilities: who calls by default; capabilities None: all for uid 0, none for others.
    cpus, cpu_model: what patching depends on. symbols: extra exports of the kernel {name: address}.
    functions: a module's function by symbol, run instead of its code. stages: a stage or its pure function
    replaced (ValueError for an unknown name). cpu: what modules' code meets in kernel functions that are not
    implemented: "strict", "typed", "zero", or "default" (``cpu/policy.py``). None, or the extra ``exec`` not
    installed: no code runs, init and exit count as returning 0.
    """

    def __init__(
        self, profile: str | KernelProfile = DEFAULT, *, cmdline: str = "", uid: int = 0,
        capabilities: Collection[str] | None = None, cpus: int = 1, cpu_model: str = "qemu64",
        symbols: Mapping[str, int] | None = None,
        functions: Mapping[str, Callable[[], int | None]] | None = None,
        stages: dict[str, Callable[..., Any]] | None = None, cpu: str | None = "default",
    ) -> None:  # fmt: skip
        self.profile: KernelProfile = (
            profile if isinstance(profile, KernelProfile) else KernelProfile.load(profile)
        )
        self.cmdline = parse_cmdline(cmdline)
        self.uid = uid
        self.capabilities = None if capabilities is None else frozenset(capabilities)
        self.cpus, self.cpu_model = cpus, cpu_model
        self._policy = cpu
        self.vfs: Any = None  # the files that running code makes
        self.functions = dict(functions or {})
        self.memory = Memory(*self.profile.module_area, self.profile.occupied)
        self.memory.lazy = [] if self.profile.rules.lazy_vfree else None
        self.percpu = PerCpu(*self.profile.percpu_reserved, self.memory.percpu)
        self.heap = Heap()
        self.dmesg: list[str] = []
        self.tainted: int = 0
        self.comm = "insmod"
        self.last_unloaded = ""  # name and taints, as the kernel's reports show it
        self.exports: dict[str, Export] = {}
        self.unloading: Unload | None = None
        self.modules_disabled: bool = _is_on(self.cmdline, "nomodule")
        self.sig_enforce: bool = _is_on(self.cmdline, "module.sig_enforce")
        level = self.cmdline.get("lockdown", "none")
        self.lockdown = level if level in files.LOCKDOWN_LEVELS else "none"
        self.linked_list = self._linked_list("list", "modules")
        self._bugs = self._linked_list("bug_list", "module_bug_list")
        self._once: set[str] = {"debug_locks"}
        self._notifiers: list[tuple[int, Notifier]] = []
        self._user = UserMemory()
        self.descriptors = syscalls.Descriptors()
        self.vmlinux = ExtraSymbols(self.profile.exports, symbols) if symbols else self.profile.exports
        self.replaced = frozenset(stages or ())
        rules, cpu_facts = self.profile.rules, self.cpu_facts
        self.functions_of_stages, self.stage_overrides = with_overrides(stages, rules, cpu_facts)
        self.memory.find = self.functions_of_stages["find_vmap_area"]

    # --- the system calls and the tools

    def finit_module(
        self, file: Any, params: str | bytes | int = "", *, flags: int = 0, uid: int | None = None
    ) -> Module:
        """finit_module(2). ``file``: path, bytes, or a descriptor of ``openat``. Returns the Module or
        raises KernelError."""
        call = syscalls.Call(self, params, flags)
        return _module_of(syscalls.finit_module(call, file, self.caller(uid)))

    def init_module(
        self,
        image: bytes | int,
        params: str | bytes | int = "",
        *,
        length: int | None = None,
        uid: int | None = None,
    ) -> Module:
        """init_module(2). ``image``: bytes, or a user address with ``length``."""
        call = syscalls.Call(self, params)
        return _module_of(syscalls.init_module(call, image, length, self.caller(uid)))

    def delete_module(
        self, name: str | bytes | int, *, flags: int = syscalls.O_NONBLOCK, uid: int | None = None
    ) -> None:
        """delete_module(2)."""
        syscalls.delete_module(self, name, flags, self.caller(uid))

    def load(self, file: Any, params: str | bytes | int = "", *, flags: int = 0, uid: int | None = None,
             trace: bool = True) -> Load:  # fmt: skip
        """As finit_module, but returns the Load: ``.trace``, ``.module`` or ``.error``."""
        call = syscalls.Call(self, params, flags, trace)
        try:
            return syscalls.finit_module(call, file, self.caller(uid))
        except KernelError as error:
            call.load.error, call.load.module = error, None
            return call.load

    def openat(self, path: str | Path, flags: int = 0) -> int:
        """A descriptor for a file of the host, for the errors that depend on how it was opened."""
        return self.descriptors.openat(path, flags)

    def close(self, fd: int) -> None:
        self.descriptors.close(fd)

    def user_memory(self) -> UserMemory:
        """The address space of the calling process."""
        return self._user

    def open(self, path: str, flags: int = 0) -> Any:
        """Open a file under /dev, /proc or /sys, as a process does: read, write, close; a module's own file
        also has ioctl and lseek. ENOENT: none."""
        if self.vfs is not None and self.vfs.has(path):
            return self.vfs.open(path, flags)
        return files.TextFile(self, path, flags)

    def advance(self, seconds: float) -> None:
        """Let time pass: timers fire, threads and work items run."""
        if self.vfs is not None:
            self.cpu.advance(seconds)

    @property
    def calls(self) -> Sequence[Any]:
        """What modules asked of the kernel, oldest first (``cpu.calls.KernelCall``)."""
        return self.cpu.calls if self.vfs is not None else ()

    def insmod(self, path: Any, params: str = "") -> Module:
        """What insmod does, with its messages: KernelError.tool_message holds the line it prints."""
        from .userland.insmod import insmod

        return insmod(self, path, params)

    def rmmod(self, name: str) -> None:
        """What rmmod does, with its messages."""
        from .userland.rmmod import rmmod

        rmmod(self, name)

    # --- what can be seen

    @property
    def modules(self) -> Mapping[str, Module]:
        """name -> Module, newest first, as /proc/modules: UNFORMED ones are on the list but not shown."""
        return {m.name: m for m in self.linked_list if m.raw_state != ModuleState.UNFORMED}

    @property
    def module_list(self) -> tuple[Module, ...]:
        """The doubly linked list itself, newest first, UNFORMED modules included."""
        return tuple(self.linked_list)

    @property
    def known_modules(self) -> tuple[Module, ...]:
        """Every module in memory, newest first, also one that is not on the list: what /sys/module and the
        tree of addresses (``__module_address``) go by."""
        return tuple(reversed(self.linked_list.known))

    def read(self, path: str) -> str:
        """The text of a file under /proc or /sys; KernelError as the kernel gives it."""
        return files.read(self, path)

    def write(self, path: str, text: str) -> None:
        """Write to a file under /proc or /sys; KernelError as the kernel gives it."""
        files.write(self, path, text)

    def listdir(self, path: str) -> list[str]:
        """The names in a folder under /proc or /sys."""
        return files.listdir(self, path)

    # --- references, notifiers

    def hold(self, name: str) -> None:
        """try_module_get, as an open device would; KernelError(ENOENT) when there is no such live module."""
        mod = self.find_module(name)
        if mod is None or not self.try_module_get(mod):
            raise KernelError(ENOENT, stage="try_module_get", why=f"{name} is not there to be held")

    def release(self, name: str) -> None:
        """module_put; KernelError(ENOENT) when there is no such module or nobody holds it."""
        mod = self.find_module(name)
        if mod is None or mod.refcount <= len(mod.users):
            raise KernelError(ENOENT, stage="module_put", why=f"nobody holds {name}")
        self.module_put(mod)

    def register_module_notifier(self, callback: Notifier, priority: int = 0) -> None:
        """``callback(state_name, module)`` joins the chain, higher priority first; a returned errno (19 or
        −19) refuses."""
        at = next((i for i, (p, _) in enumerate(self._notifiers) if p < priority), len(self._notifiers))
        self._notifiers.insert(at, (priority, callback))

    def unregister_module_notifier(self, callback: Notifier) -> None:
        self._notifiers = [(p, c) for p, c in self._notifiers if c is not callback]

    def notify(self, state: ModuleState, mod: Module) -> None:
        """blocking_notifier_call_chain: nobody hears an error, but the chain ends with it
        (``kernel/notifier.c:notifier_call_chain``: NOTIFY_STOP_MASK is part of every error)."""
        _call_chain([callback for _, callback in self._notifiers], state, mod)

    def notify_robust(self, up: ModuleState, down: ModuleState, mod: Module) -> int:
        """blocking_notifier_call_chain_robust: on an error those already called are told ``down``; returns
        errno."""
        chain = [callback for _, callback in self._notifiers]
        for called, callback in enumerate(chain):
            try:
                answer = callback(up.name, mod)
            except KernelOops:
                raise
            except BaseException:
                _call_chain(chain[:called], down, mod)
                raise
            if answer:
                _call_chain(chain[:called], down, mod)
                return abs(int(answer))
        return 0

    # --- below: for the loader and unloader

    def caller(self, uid: int | None) -> frozenset[str]:
        """The capabilities of the calling process."""
        if uid is None and self.capabilities is not None:
            return self.capabilities
        return CAPABILITIES if (self.uid if uid is None else uid) == 0 else frozenset()

    def printk(self, level: int, message: str) -> None:
        self.dmesg.append(printk(level, message))

    def print_records(self, records: Iterable[str]) -> None:
        self.dmesg.extend(records)

    def first_time(self, what: str) -> bool:
        """printk_once and its kin: True the first time only."""
        if what in self._once:
            return False
        self._once.add(what)
        return True

    def test_taint(self, letter: str) -> bool:
        return bool(self.tainted >> TAINT_BIT[letter] & 1)

    def add_taint(self, letter: str, unreliable: bool = False) -> int:
        """Set a taint; the first unreliable one ends lock debugging, aloud. Returns the bit as a mask."""
        if unreliable and "debug_locks" in self._once:
            self._once.discard("debug_locks")
            self.printk(4, "Disabling lock debugging due to kernel taint")
        self.tainted |= 1 << TAINT_BIT[letter]
        return 1 << TAINT_BIT[letter]

    def add_taint_module(self, mod: Module, letter: str, *, unreliable: bool = False) -> None:
        mod.taint_mask |= self.add_taint(letter, unreliable)
        self.set_field(mod, "taints", mod.taint_mask)

    def try_to_force_load(self, load: Load, reason: str) -> None:
        """CONFIG_MODULE_FORCE_LOAD: go on, at the price of taint F."""
        if not self.test_taint("F"):
            name = load.module.name if load.module is not None else early_name(load)
            self.printk(4, f"{name}: {reason}: kernel tainted.")
        mask = self.add_taint("F", unreliable=True)
        load.taint_mask |= mask
        if load.module is not None:
            load.module.taint_mask |= mask

    def importer(self, load: Load) -> Importer:
        """What the module brings along when it asks for symbols."""
        mod = load.module
        if load.versions is None:
            load.versions = read_versions(load) or {}
            load.namespaces = tuple(load.all_modinfo("import_ns"))
        state = (load.name, False, False)
        if mod is not None:
            state = (mod.name, bool(mod.taint_mask & 1), mod.using_gplonly_symbols)
        if load.importer is None or load.importer[:3] != state:
            versions = load.versions if load.index.vers else None
            load.importer = Importer(*state, versions, load.namespaces, load.name)
        return load.importer

    def find_module_all(self, name: str) -> Module | None:
        """The module on the list, UNFORMED or not."""
        alike = self.linked_list.called(name)
        return next((m for m in self.linked_list if m in alike), None) if alike else None

    def find_module(self, name: str) -> Module | None:
        """The module on the list, unless it is UNFORMED."""
        mod = self.find_module_all(name)
        return mod if mod is not None and mod.raw_state != ModuleState.UNFORMED else None

    def list_add(self, mod: Module) -> None:
        """On the list of modules, at its head; the name is taken from now on."""
        self.linked_list.add(mod)

    def list_del(self, mod: Module) -> None:
        if self.linked_list.knows(mod):
            self.linked_list.remove(mod)

    def bug_list_add(self, mod: Module) -> None:
        """``lib/bug.c:module_bug_finalize`` puts every module on the list, with bugs or without."""
        self._bugs.add(mod)

    def bug_list_del(self, mod: Module) -> None:
        if self._bugs.knows(mod):
            self._bugs.remove(mod)

    def _linked_list(self, field: str, head: str) -> LinkedList:
        offset = self.profile.struct_module.fields[f"{field}.next"][0]
        return LinkedList(offset, lambda: self.address_of(head), lambda: self.memory)

    def set_field(self, mod: Module, name: str, value: int) -> None:
        """Store into struct module in the module's memory; fields that this kernel does not have are
        skipped."""
        field = self.profile.struct_module.fields.get(name)
        if field and mod.address:
            self.memory.write(
                mod.address + field[0], (value & ((1 << 8 * field[1]) - 1)).to_bytes(field[1], "little")
            )

    def init_list_head(self, mod: Module, name: str) -> None:
        """INIT_LIST_HEAD: an empty list points to itself."""
        field = self.profile.struct_module.fields.get(f"{name}.next")
        if field:
            for link in ("next", "prev"):
                self.set_field(mod, f"{name}.{link}", mod.address + field[0])

    def set_state(self, mod: Module, state: ModuleState) -> None:
        mod.raw_state = state
        self.set_field(mod, "state", int(state))

    def set_refcount(self, mod: Module, count: int) -> None:
        mod.raw_refcount = count
        self.set_field(mod, "refcnt", count)

    def try_module_get(self, mod: Module) -> bool:
        if mod.raw_state == ModuleState.GOING or mod.raw_refcount <= 0:
            return False
        self.set_refcount(mod, mod.raw_refcount + 1)
        return True

    def module_put(self, mod: Module) -> None:
        """atomic_dec_if_positive: a put too many is a WARN in the kernel and changes nothing."""
        if mod.raw_refcount > 0:
            self.set_refcount(mod, mod.raw_refcount - 1)

    def ref_module(self, user: Module, provider: Module | None) -> int:
        """``user`` uses ``provider``: one reference however many symbols. EBUSY: still COMING; ENOENT:
        going."""
        if provider is None or user in provider.users:
            return 0
        if provider.raw_state == ModuleState.COMING:
            return EBUSY
        if not self.try_module_get(provider):
            return ENOENT
        provider.users.insert(0, user)
        user.uses.insert(0, provider)
        return 0

    def module_unload_free(self, mod: Module) -> None:
        """Give back the references that ``mod`` holds on its providers."""
        for provider in mod.uses:
            self.module_put(provider)
            provider.users.remove(mod)
        mod.uses.clear()

    def free_memories(self, mod: Module, *, init: bool) -> None:
        """Give back the module's memories of one sort (``module_memfree``, ``free_mod_mem``)."""
        for kind in mod.kinds:
            if kind.init == init:
                self.memory.vfree(mod.areas.pop(kind.name, None) if init else mod.areas.get(kind.name))

    @property
    def exports_seen(self) -> Mapping[str, Export]:
        """What ``find_symbol`` finds: it walks the list, so not the exports of a module off it."""
        listed = set(self.linked_list)
        if len(listed) == len(self.linked_list.known):
            return self.exports
        return {name: export for name, export in self.exports.items() if export.owner in listed}

    def offer_exports(self, mod: Module) -> None:
        for name, export in mod.exports.items():
            self.exports.setdefault(name, export)

    def withdraw_exports(self, mod: Module) -> None:
        for name in mod.exports:
            if self.exports.get(name) is not None and self.exports[name].owner is mod:
                del self.exports[name]

    def destroy_params(self, mod: Module) -> None:
        for address in mod.charp.values():
            self.heap.kfree(address)
        mod.charp.clear()

    def ops_name(self, address: int) -> str:
        """The kernel symbol of parameter operations at ``address``, "" for a module's own."""
        return _ops_names(self.profile).get(address, "")

    def string_at(self, address: int) -> bytes | None:
        """A C string that a parameter points to, on the heap or in a module; None for NULL."""
        if not address:
            return None
        kept = self.heap.string(address)
        if kept is not None:
            return kept
        try:
            return self.memory.string(address)
        except KernelError:
            raise KernelError(EFAULT, why=f"{address:#x} is not a string the model knows") from None

    def run(self, mod: Module, address: int) -> tuple[int, bool]:
        """Call a module's function: (what it returned as a C int, whether anything ran)."""
        names = mod.symbols.at(address) if mod.symbols is not None else []
        for name in names:
            if name in self.functions:
                return _c_int(self.functions[name]() or 0), True
        if self.cpu is None:
            return 0, False
        return _c_int(self.cpu.run(mod, address)), True

    def die(self, oops: KernelOops) -> None:
        """The calling task is killed; the kernel goes on, tainted D."""
        self.tainted |= 1 << TAINT_BIT["D"]
        oops.report = oops.report or "kernel oops"

    @cached_property
    def cpu(self) -> Any:
        """What runs modules' code, a ``cpu.Cpu``; None where none was wanted or the extra is not
        installed."""
        from .cpu import start_cpu

        return start_cpu(self, self._policy) if self._policy is not None else None

    @cached_property
    def cpu_facts(self) -> CpuModel:
        """The processor that code is patched for; an unknown model counts as the profile's first."""
        models = self.profile.cpu_models
        return models.get(self.cpu_model) or next(iter(models.values()))

    @cached_property
    def features(self) -> frozenset[int]:
        """Numbers of the features and bugs that alternatives ask for."""
        return self.cpu_facts.features | self.cpu_facts.bugs

    def has(self, feature: str) -> bool:
        """boot_cpu_has: ``feature`` by its name, "X86_FEATURE_SMAP"."""
        return self._feature_numbers.get(feature) in self.features

    @cached_property
    def _feature_numbers(self) -> dict[str, int]:
        return {name: number for number, name in self.profile.cpu_feature_names.items()}

    def address_of(self, symbol: str) -> int:
        """Address of a symbol of the kernel itself, 0 when there is none."""
        return self.profile.kallsyms.address_of(symbol) or 0

    def hashed_pointer(self, address: int) -> str:
        """What %p prints: 32 hashed bits in 16 digits. The kernel's key is random; this one is fixed.

        Booted with ``no_hash_pointers``: the address.
        """
        if "no_hash_pointers" in self.cmdline:
            return f"{address:016x}"
        return f"{(address * 0x9E3779B97F4A7C15 >> 16) & 0xFFFFFFFF:016x}"

    def has_sysfs_folder(self, name: str) -> bool:
        """Whether /sys/module/``name`` is there; only names with "!" may stand for more than one module."""
        alike = self.linked_list.known if "!" in name else self.linked_list.called(name)
        return name in self.profile.builtin_modules or any(
            m.sysfs and m.name.replace("/", "!") == name for m in alike
        )

    def sysfs_names(self) -> Collection[str]:
        """The folders of /sys/module."""
        mine = {m.name.replace("/", "!") for m in self.linked_list.known if m.sysfs}
        return self.profile.builtin_modules | mine


class ExtraSymbols(Mapping[str, Any]):
    """The kernel's exports with some added by hand: no CRC to compare, no licence, no namespace."""

    def __init__(self, base: Mapping[str, Any], extra: Mapping[str, int]) -> None:
        self._base = base
        self._extra = {name: Export(name, address, None, False, None) for name, address in extra.items()}

    def __getitem__(self, name: str) -> Any:
        return self._extra[name] if name in self._extra else self._base[name]

    def __iter__(self) -> Any:
        return iter({**self._extra, **dict.fromkeys(self._base)})

    def __len__(self) -> int:
        return len(self._base) + sum(name not in self._base for name in self._extra)


@cache
def _ops_names(profile: KernelProfile) -> dict[int, str]:
    return {profile.exports[name].address: name for name in profile.exports if name.startswith("param_")}


def parse_cmdline(cmdline: str) -> dict[str, str]:
    """Boot parameters by name; one without a value counts as "1". ``-`` and ``_`` are the same in names."""
    found: dict[str, str] = {}
    for word in cmdline.split():
        name, equals, value = word.partition("=")
        found[name.replace("-", "_")] = value if equals else "1"
    return found


def _is_on(cmdline: Mapping[str, str], name: str) -> bool:
    """A boot parameter of type bool; what cannot be read leaves it off."""
    try:
        return kstrtobool(cmdline.get(name, "0").encode())
    except KernelError:
        return False


def _call_chain(chain: Iterable[Notifier], state: ModuleState, mod: Module) -> None:
    for callback in chain:
        if callback(state.name, mod):
            return


def _c_int(value: int) -> int:
    return (int(value) + (1 << 31)) % (1 << 32) - (1 << 31)


def _module_of(load: Load) -> Module:
    if load.module is None:
        raise KernelError(None, why="a replaced stage left no module", strerror="no module")
    return load.module
