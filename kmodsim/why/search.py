# SPDX-License-Identifier: GPL-2.0-only
"""Load, note why it is refused, put that right, load again: until it loads or nothing can be put right.

The kernel model itself is asked each time, so stage, errno and log are those of a real insmod, and the
causes come in the kernel's order. A failed load leaves the kernel as it was, which makes this possible.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from string import Formatter
from typing import Any

from ..errors import EEXIST, O_NONBLOCK, KernelError, KernelOops
from ..loader.load_info import early_name
from ..userland.elf import ToolElf, ToolFile, open_module, sample_path
from .causes import BROKEN_PACKING, SYMBOL_ROWS, Mend, Row, find_row
from .facts import facts, hints
from .report import Cause, Needed, Report
from .symbols import passing, symbol_troubles

ROUNDS = 40  # more than there are stages that can refuse
Finder = Callable[[str], "str | os.PathLike[str] | None"]
Exporters = Callable[[str], Sequence[str]]


def why(source: str | os.PathLike[str] | bytes, params: str | bytes = "", *, kernel: Any = None,
        filename: str = "", flags: int = 0, uid: int | None = None, alone: bool = False,
        find: Finder | None = None, exporters: Exporters | None = None,
        unchecked: Sequence[str] = (), taken: frozenset[str] = frozenset()) -> Report:  # fmt: skip
    """Will ``source`` (a path, or the file's bytes) load with ``params``, and if not, why: every cause.

    kernel: the Kernel to ask, default a freshly booted one; it is used up. alone: as a plain insmod; default:
    what it depends on is loaded first. find: path of a module by name; exporters: names of modules by the
    symbol that they export; unchecked: lines about what is not known of that kernel; taken: names of modules
    that are loaded there. KernelError only when there is no such file.
    """
    from .. import Kernel

    kernel = Kernel(cpu=None) if kernel is None else kernel
    name = filename or (os.fspath(source) if not isinstance(source, bytes) else "module.ko")
    search = _Search(kernel, name, uid, find or _beside(source), exporters or _indexed, taken)
    try:
        file = ToolFile(source, True) if isinstance(source, bytes) else open_module(source)
    except KernelError as error:
        if error.strerror and not Path(os.fspath(source)).is_file():  # type: ignore[arg-type]
            raise
        cause = _cause(BROKEN_PACKING, error, "insmod", name, {"why": error.why or error.strerror}, [])
        return Report(name, kernel, b"", error, [cause], [], [], list(unchecked), False)
    first = [] if alone else search.load_first(file.data)
    start = len(kernel.dmesg)
    causes, complete = search.causes(file.data, params, flags)
    dmesg = [] if causes else kernel.dmesg[start:]
    return Report(name, kernel, file.data, search.answer, causes, first, dmesg, list(unchecked), complete)


def _beside(source: str | os.PathLike[str] | bytes) -> Finder:
    """Modules in the same folder, then the samples and the distribution's."""

    def find(name: str) -> str | os.PathLike[str] | None:
        if not isinstance(source, bytes) and "/" not in name:
            for spelling in (name, name.replace("_", "-")):
                path = Path(os.fspath(source)).parent / f"{spelling}.ko"
                with suppress(OSError, ValueError):
                    if path.is_file():
                        return path
        return sample_path(name)

    return find


def _indexed(symbol: str) -> Sequence[str]:
    """The distribution's modules that export ``symbol``."""
    from ..moduleindex import load_index

    return load_index().exporters.get(symbol, ())


def depends_of(data: bytes) -> list[str]:
    """The names that .modinfo's ``depends=`` lists; none when that cannot be read."""
    names = _modinfo(data, b"depends=").split(",")
    return [name.replace("-", "_") for name in names if name]


def name_of(data: bytes) -> str:
    """The ``name=`` of .modinfo, which modpost makes the same as struct module's."""
    return _modinfo(data, b"name=")


def _modinfo(data: bytes, key: bytes) -> str:
    with suppress(KernelError):
        for line in ToolElf(data).modinfo():
            if line.startswith(key):
                return line[len(key) :].decode("latin-1")
    return ""


class _Search:
    """One question to one kernel."""

    def __init__(self, kernel: Any, filename: str, uid: int | None, find: Finder, exporters: Exporters,
                 taken: frozenset[str]) -> None:  # fmt: skip
        self.kernel, self.filename, self.uid = kernel, filename, uid
        self.find, self.exporters, self.taken = find, exporters, taken
        self.depends: list[str] = []
        self.asked = ""
        self.answer: KernelError | None = None  # of the first try, with nothing put right

    def load_first(self, data: bytes) -> list[Needed]:
        """Load what ``data`` depends on, deepest first; names that are loaded already are left out."""
        needed: list[Needed] = []
        seen: set[str] = set()

        def visit(image: bytes, depth: int = 0) -> None:
            for name in depends_of(image):
                if name in seen or name in self.kernel.modules or depth > 64:
                    continue
                seen.add(name)
                needed_file = self._open(name)
                if needed_file is None:
                    needed.append(Needed(name, "", None))
                    continue
                path, content = needed_file
                visit(content, depth + 1)
                refused = self._insert_anyway(content)
                if name not in self.taken:
                    needed.append(Needed(name, path, refused))

        visit(data)
        return needed

    def _open(self, name: str) -> tuple[str, bytes] | None:
        path = self.find(name)
        if path is None:
            return None
        try:
            return os.fspath(path), open_module(path).data
        except KernelError:
            return None

    def _insert_anyway(self, data: bytes) -> KernelError | None:
        """Load a module that others need; what refuses it is passed over and given back."""
        with self._mending() as mend:
            first: KernelError | None = None
            for _ in range(ROUNDS):
                load = self.kernel.load(data, "", uid=self.uid, trace=False)
                if load.error is None:
                    return first
                first = first or load.error
                row, _ = find_row(load.error, [*(r[3:] for r in load.error.dmesg), *hints(load)])
                if row.mend is None:
                    return first
                mend(row.mend)
            return first

    def causes(self, data: bytes, params: str | bytes, flags: int) -> tuple[list[Cause], bool]:
        """All causes in the kernel's order; False beside them: behind the last one there may be more."""
        self.depends, self.asked = depends_of(data), name_of(data)
        causes: list[Cause] = []
        last: list[Cause] = []
        invented = False  # a symbol got an address that nothing is at
        with self._mending() as mend:
            if self.taken:
                mend(Mend("may_add", self._may_add))
            for _ in range(ROUNDS):
                load = self.kernel.load(data, params, flags=flags, uid=self.uid, trace=False)
                error = load.error
                self.answer = self.answer or error
                if error is None:
                    return causes, True
                if invented and isinstance(error, KernelOops):
                    return causes, False
                found, mends = self._explain(load, error, data)
                causes += found
                invented = invented or any(cause.key == "symbol-missing" for cause in found)
                if mends is None or found == last:  # nothing helps
                    return causes, False
                last = found
                mend(mends)
        return causes, False

    def _explain(self, load: Any, error: KernelError, data: bytes) -> tuple[list[Cause], Mend | None]:
        """The causes of one failed load, and what would put them right."""
        if error.stage == "simplify_symbols" and not isinstance(error, KernelOops):
            return self._symbols(load, error)
        row, found = find_row(error, [*(record[3:] for record in error.dmesg), *hints(load)])
        known = facts(load, row.key, found, error.why, data)
        causes = [_cause(row, error, error.stage, self.filename, known, error.dmesg)]
        if row.key == "parameter":
            causes = self._parameters(row, load, error, data)
        if row.key == "loaded-already" and self._unload(self._struct_name(load)):
            return causes, Mend("may_add", lambda real: real)
        return causes, row.mend

    def _parameters(self, row: Row, load: Any, error: KernelError, data: bytes) -> list[Cause]:
        """The kernel goes on after a bad parameter: one cause for each line."""
        causes = []
        for number, record in enumerate(error.dmesg):
            one, found = find_row(error, [record[3:]])
            if one.key == row.key:
                about = f"{found['parameter']}: "  # what the set function itself said
                said = [line for line in error.dmesg[:number] if line[3:].startswith(about)]
                known = facts(load, row.key, found, error.why, data)
                causes.append(_cause(row, error, error.stage, self.filename, known, [*said, record]))
        return causes

    def _may_add(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Names that are loaded on that machine are not free; the module's own name is what counts."""
        return lambda state: EEXIST if self.asked in self.taken else real(state)

    def _struct_name(self, load: Any) -> str:
        """The name that counts: struct module's."""
        try:
            return early_name(load)
        except KernelError:
            return self.asked

    def _unload(self, name: str) -> bool:
        if name in self.taken:
            self.taken -= {name}
            return True
        with suppress(KernelError):
            self.kernel.delete_module(name, flags=O_NONBLOCK)
            return True
        return False

    def _symbols(self, load: Any, error: KernelError) -> tuple[list[Cause], Mend | None]:
        causes, refused = [], set()
        for key, errno, log, known in symbol_troubles(load, error.dmesg, self._exporters):
            row = SYMBOL_ROWS[key]
            causes.append(_cause(row, KernelError(errno), error.stage, self.filename, known, log))
            refused.add(known.get("symbol", ""))
        if any(cause.key in ("symbol-common", "symbol-index") for cause in causes):
            return causes, None
        return causes, Mend("resolve_symbol", passing(refused, load.profile.text[0]))

    def _exporters(self, symbol: str) -> Sequence[str]:
        """Modules that export ``symbol``: first among those the file says it depends on."""
        from ..modulefile import ModuleFile

        for name in self.depends:
            found = self._open(name)
            if found and any(export.name == symbol for export in ModuleFile(found[1]).exports):
                return [name]
        return self.exporters(symbol)

    @contextmanager
    def _mending(self) -> Iterator[Callable[[Mend], None]]:
        """Functions of the loader answer otherwise for a while."""
        kernel, functions, replaced = self.kernel, self.kernel.functions_of_stages, self.kernel.replaced
        kernel.functions_of_stages = dict(functions)

        def mend(change: Mend) -> None:
            real = kernel.functions_of_stages[change.name]
            kernel.functions_of_stages[change.name] = change.make(real)
            kernel.replaced |= {change.name}

        try:
            yield mend
        finally:
            kernel.functions_of_stages, kernel.replaced = functions, replaced


def _cause(row: Row, error: KernelError, stage: str, filename: str, known: dict[str, str],
           log: Sequence[str]) -> Cause:  # fmt: skip
    from ..userland.explain import tool_line

    words = {"means": row.means.format_map(known), "todo": row.todo.format_map(known)}
    names = {name for _, name, _, _ in Formatter().parse(row.means + row.todo) if name}
    values = {name: known[name] for name in sorted({"symbol", "modules"} & set(known) | names - {"remedy"})}
    return Cause(row.key, stage, error, tool_line(filename, error), tuple(log), **words, facts=values)
