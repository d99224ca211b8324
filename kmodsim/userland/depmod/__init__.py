# SPDX-License-Identifier: GPL-2.0-only
"""depmod: from a folder of modules to the files that modprobe searches (kmod 30 ``tools/depmod.c``).

    run(None, ["depmod", "-b", root])    the tool: what it prints, writes and returns
    read_tree(folder)                    what it finds out, as data: modules, symbols, dependencies
    write_files(tree, folder)            the files, into any folder

The machine that is modelled has an empty /etc/depmod.d: without -C no configuration is read, whatever the
host has.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...errors import ERRNO, KernelError
from .. import ToolResult, ended
from ..elf import host_error
from ..modprobe.log import CRIT, ERR, INFO, WARNING, Fatal, Log, decode, encode
from . import options
from .config import read_config
from .dependencies import Cyclic, Symbols, all_needs, complain, direct, exported
from .kernel_symbols import from_symvers, from_system_map
from .objectfile import ENOENT, Facts, read_module
from .options import Failed, Wish
from .output import FILES, TEXTS, Tree
from .search import Module, Search, SearchFailed, in_order, module_name
from .uptodate import up_to_date

RELEASE = "6.1.0-56-amd64"  # corpus.RELEASE, which would take as long to import as all of this
FLAGS = os.O_CREAT | os.O_EXCL | os.O_WRONLY
NOT_WRITTEN = (
    "kmodsim: depmod writes files only with -b DIR, and none of the host's from a modelled kernel's shell; "
    "-n shows them\n"
)
ENOSPC = ERRNO["ENOSPC"][0]
POINTER = "0x0"  # an address of the tool's own


def run(
    kernel: Any, argv: Sequence[str], uid: int | None = None, config_paths: Sequence[str] = ()
) -> ToolResult:
    """The tool. ``kernel`` says what uname(2) does, no more; with None it is the default profile's release.
    ``value`` of the result is the ``Tree``, if it came so far.

    Files are written only below what -b names, and only without a kernel: a shell on one never writes to the
    host. Without -b, -n looks at the distribution's tree, or at the modules that come along.
    """
    release = RELEASE if kernel is None else kernel.profile.release
    run = _Run(list(argv), release, tuple(config_paths), may_write=kernel is None)
    with _no_collection():
        return run.result()


def read_tree(
    dirname: str | os.PathLike[str], config_paths: Sequence[str] = (), release: str = RELEASE
) -> Tree:
    """What depmod finds out about a folder of modules; the complaints are in ``tree.log.lines``.

    Raises ``KernelError`` when the folder cannot be read, or modules need each other in a circle.
    """
    log = Log("depmod")
    with _no_collection():
        try:
            run = _Run(["depmod"], release, tuple(config_paths))
            return run.tree(os.fsencode(dirname), Wish(all=True), log)
        except (Failed, Fatal, SearchFailed, Cyclic):
            raise KernelError(None, stage="depmod", why="".join(log.lines).strip()) from None


def write_files(tree: Tree, folder: str | os.PathLike[str]) -> None:
    """All files of ``FILES`` into ``folder``."""
    for name, make in FILES.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(make(tree))


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Hundreds of thousands of small objects and no circles among them: looking for some takes a third of
    the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Run:
    def __init__(
        self, argv: list[str], release: str, config_paths: tuple[str, ...], may_write: bool = False
    ) -> None:
        self.argv, self.release, self.config_paths = argv, release, config_paths
        self.may_write = may_write
        self.log = Log(os.path.basename(argv[0]))
        self.log.set_up(WARNING)
        self.out: list[str] = []
        self.made: Tree | None = None

    def result(self) -> ToolResult:
        try:
            status = self._main()
        except (Failed, Fatal, SearchFailed, Cyclic):
            status = 1
        except KernelError as error:  # the tool was killed, or the model ends here
            result = ended(self.log.program, error)
            said = "".join(self.log.lines) + result.stderr
            return ToolResult("".join(self.out), said, result.status, error, self.made)
        return ToolResult("".join(self.out), "".join(self.log.lines), status, None, self.made)

    def _main(self) -> int:
        wish = options.parse(self.argv, self.log)
        if wish.help:
            self.out.append(options.HELP.format(os.path.basename(self.argv[0])))
            return 0
        if wish.version:
            from ..insmod import VERSION

            self.out.append(VERSION)
            return 0
        if not wish.show and (wish.base is None or not self.may_write):
            self.log.lines.append(NOT_WRITTEN)
            return 1
        dirname = self._dirname(wish)
        if wish.quick and (wish.show or up_to_date(dirname, self.log)):
            return 0
        wish.all = wish.all or wish.quick
        try:
            self.made = self.tree(dirname, wish, self.log)
            if wish.show:
                self.out += [decode(FILES[name](self.made)) for name in TEXTS]
            else:
                self._write(self.made)
            status = 0
        except (Cyclic, Failed):
            status = 1
        self.log.library("libkmod.c:334", "kmod_unref", f"context {POINTER} released", INFO)
        return status

    def _dirname(self, wish: Wish) -> bytes:
        if wish.base is None and wish.release in (None, RELEASE):
            from ... import corpus

            return os.fsencode(corpus.tree() or corpus.DATA)
        base = wish.base or ""
        if wish.base is not None and not base.startswith("/"):
            base = f"{os.getcwd()}/{base}"
        return encode(f"{base}/lib/modules/{wish.release or self.release}")

    # -- finding out

    def tree(self, dirname: bytes, wish: Wish, log: Log) -> Tree:
        """``Failed``, ``Fatal``, ``SearchFailed`` or ``Cyclic`` where the tool ends; the log says why."""
        log.set_up(wish.level)
        log.library("libkmod.c:367", "kmod_set_log_fn", f"custom logging function {POINTER} registered", INFO)
        prefix = encode(wish.prefix)
        kernel = self._kernel_symbols(wish, prefix, dirname, log)
        modules = in_order(self._modules(dirname, wish, log), dirname, log)
        checked = wish.unknown and bool(wish.symvers or wish.system_map)
        facts = [_facts(module, checked, log) for module in modules]
        symbols = exported(facts, kernel, prefix)
        if checked:
            complain(modules, facts, symbols, prefix, wish.symvers is not None, log)
        needs = direct(facts, symbols, prefix, self._shows(modules) if wish.level > WARNING else None)
        return Tree(dirname, modules, facts, symbols, all_needs(modules, needs, log), log, wish.duplicates)

    def _shows(self, modules: list[Module]) -> Callable[[int, bytes, int], None]:
        def show(number: int, name: bytes, owner: int) -> None:
            user, used = decode(modules[number].path), decode(modules[owner].path)
            self.out.append(f'{user} needs "{decode(name)}": {used}\n')

        return show

    def _kernel_symbols(self, wish: Wish, prefix: bytes, dirname: bytes, log: Log) -> Symbols:
        if wish.symvers is not None:
            return from_symvers(wish.symvers, prefix, log, dirname)
        if wish.system_map is not None:
            return from_system_map(wish.system_map, prefix, log)
        if wish.unknown:
            log.tool(WARNING, "-e needs -E or -F")
        return {}

    def _modules(self, dirname: bytes, wish: Wish, log: Log) -> dict[bytes, Module]:
        if not wish.all:
            return _named(wish.files, dirname, log)
        config = read_config(wish.config or self.config_paths, wish.release or self.release, log)
        try:
            return Search(dirname, config, log).all()
        except SearchFailed as error:
            log.tool(CRIT, f"could not search modules: {error}")
            raise

    # -- writing

    def _write(self, tree: Tree) -> None:
        folder = tree.dirname
        try:
            os.scandir(folder).close()
        except (OSError, ValueError) as error:
            self.log.tool(CRIT, f"could not open directory {decode(folder)}: {host_error(error).strerror}")
        for name, make in FILES.items():
            temporary = f"{name}.{os.getpid()}.{os.urandom(4).hex()}"
            path = os.path.join(folder, encode(temporary))
            try:
                descriptor = os.open(path, FLAGS | getattr(os, "O_BINARY", 0), 0o644)
            except OSError as error:
                where = f"{decode(folder)}, {temporary}, {0o301:o}, {0o644:o}"
                self.log.tool(ERR, f"openat({where}): {host_error(error).strerror}")
                continue
            full = self._fill(descriptor, path, make)
            self._rename(path, os.path.join(folder, encode(name)), name)
            if full:
                text = f"Could not create index '{name}'. Output is truncated: {full}"
                self.log.tool(ERR, text)
                raise Failed

    def _fill(self, descriptor: int, path: bytes, make: Callable[[Tree], bytes]) -> str:
        """Write one file; what hindered it, if something did. kmod takes any failure for a full disk."""
        assert self.made is not None
        try:
            data = make(self.made)
        except KernelError:  # the model ends here and leaves nothing half done
            os.close(descriptor)
            os.unlink(path)
            raise
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except OSError:
            return KernelError(ENOSPC).strerror
        return ""

    def _rename(self, path: bytes, target: bytes, name: str) -> None:
        try:
            os.replace(path, target)
        except OSError as error:
            folder, temporary = (decode(part) for part in os.path.split(path))
            where = f"{folder}, {temporary}, {folder}, {name}"
            self.log.tool(CRIT, f"renameat({where}): {host_error(error).strerror}")


def _facts(module: Module, checked: bool, log: Log) -> Facts:
    """One module's facts; depmod complains of what it could not read, and goes on."""
    facts = read_module(module.path, checked)
    if facts.error and facts.error != ENOENT:
        why = KernelError(facts.error).strerror
        log.tool(ERR, f"failed to load symbols from {decode(module.path)}: {why}")
    return facts


def _named(files: Sequence[str], dirname: bytes, log: Log) -> dict[bytes, Module]:
    """The modules that the command line names (``do_depmod``)."""
    found: dict[bytes, Module] = {}
    for word in files:
        if not word.startswith("/"):
            log.tool(CRIT, f"{word}: not absolute path.")
        path = encode(word)
        try:
            os.stat(path)
        except (OSError, ValueError) as error:
            log.tool(CRIT, f"could not create module {word}: {host_error(error).strerror}")
        module = Search(dirname, read_config((), "", log), log).module(path)
        _no_second(found.get(module.name), module, word, log)
        found[module.name] = module
    return found


def _no_second(old: Module | None, module: Module, word: str, log: Log) -> None:
    if old is None:
        return
    name, exists = decode(module.name), "File exists"
    if old.path == module.path:
        log.tool(ERR, f"hash_add_unique {name}: {exists}")
        log.tool(CRIT, f"could not add module {word}: {exists}")
    paths = f"new-path='{decode(module.path)}' old-path='{decode(old.path)}'"
    text = f"kmod_module '{name}' already exists with different path: {paths}"
    log.library("libkmod-module.c:428", "kmod_module_new_from_path", text, ERR)
    log.tool(CRIT, f"could not create module {word}: {exists}")


def main(argv: Sequence[str]) -> int:
    """``kmodsim depmod …``."""
    from ...cli import show_result

    result = run(None, ["depmod", *argv])
    show_result(result)
    return result.status


__all__ = ["FILES", "Tree", "main", "module_name", "read_tree", "run", "write_files"]
