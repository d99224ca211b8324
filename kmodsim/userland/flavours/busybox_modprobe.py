# SPDX-License-Identifier: GPL-2.0-only
"""modprobe of busybox (``modutils/modprobe.c``), as far as modules.dep, aliases and boot parameters go.

Aliases and symbols come from depmod's indexes; the real one reads the texts beside them and cuts a pattern at
55 letters or a dot. As for kmod's the modelled machine has no /etc/modprobe.d.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from ...errors import EEXIST, ENOENT, O_EXCL, O_NONBLOCK, KernelError
from .. import ToolResult
from ..modprobe import modules_folder
from ..modprobe.cmdline import parameters
from ..modprobe.log import Log
from ..modprobe.lookup import Context
from . import busybox, modules_dep
from .modules_dep import Dependency

# modprobe.c:MODPROBE_COMPLEMENTARY, which options exclude each other
EXCLUDE = ({"l", "a"}, {"l", "r"}, {"l", "D"}, {"r", "a"}, {"r", "D"})


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The applet: each module of the command line with what it needs; a failure does not stop the others."""
    words: list[str] = []
    found = busybox.options(argv, "qsvalrDb", words, {"show-depends": "D"})
    if isinstance(found, ToolResult):
        return found
    letters = {letter for letter, _ in found}
    if any(pair <= letters for pair in EXCLUDE):
        return busybox.usage("modprobe")
    try:
        return _Run(kernel, letters, words, uid).result()
    except busybox.Died as death:
        return ToolResult(stderr=f"modprobe: {death}\n", status=1, error=death.error)


class _Run:
    """One run after its command line was read."""

    def __init__(self, kernel: Any, letters: set[str], words: list[str], uid: int | None) -> None:
        self.kernel, self.letters, self.words, self.uid = kernel, letters, words, uid
        self.folder = modules_folder(kernel, None, None)
        self.out: list[str] = []
        self.err: list[str] = []
        self.error: KernelError | None = None
        self.loaded: set[str] = set()
        self.context = Context(self.folder, (), "", Log("modprobe"))

    def result(self) -> ToolResult:
        if "l" in self.letters:
            return self._list()
        if not self.words:
            return self._autoclean() if "r" in self.letters else ToolResult()
        self.loaded = {line.split()[0] for line in self.kernel.read("/proc/modules").splitlines()}
        self.context.open_indexes()
        several = bool(self.letters & {"a", "r"})
        params = None if several else busybox.arguments(self.words[1:], quote=True)
        words = self.words if several else self.words[:1]
        words = [word for word in words if not self._present(busybox.modname(word))]
        lines = {line.name: line for line in self._lines()} if words else {}
        failed = [self._probe(word, params, lines) for word in words]
        err = "" if "s" in self.letters else "".join(self.err)
        return ToolResult("".join(self.out), err, int(any(failed)), self.error)

    def _lines(self) -> list[Dependency]:
        try:
            return modules_dep.read(self.folder)
        except KernelError as error:
            raise busybox.Died(f"can't open 'modules.dep': {error.strerror}", error) from None

    def _list(self) -> ToolResult:
        patterns = [word.replace("-", "_") for word in self.words]
        lines = self._lines()
        if not patterns:
            return ToolResult("".join(f"{line.path}\n" for line in lines))
        fits = [line.path for line in lines for pattern in patterns if fnmatchcase(line.name, pattern)]
        return ToolResult("".join(f"{path}\n" for path in fits))

    def _autoclean(self) -> ToolResult:
        """A null pointer instead of a name: old kernels then removed all that is unused."""
        try:
            self.kernel.delete_module(0, flags=O_NONBLOCK | O_EXCL, uid=self.uid)
        except KernelError as error:
            return ToolResult(stderr=f"modprobe: {error.strerror}\n", status=1, error=error)
        return ToolResult()

    def _present(self, name: str) -> bool:
        """What is in the kernel already is not looked up at all."""
        if self.letters & {"r", "D"}:
            return False
        return name in self.loaded or self.context._line("builtin", name) is not None

    def _probe(self, word: str, params: str | None, lines: dict[str, Dependency]) -> bool:
        name = busybox.modname(word)
        if name in lines:
            blacklisted = "b" in self.letters and name in self._blacklist()
            return not blacklisted and self._take(lines[name], word, params, lines)
        index = "symbols" if word.startswith("symbol:") else "alias"
        real = [value for value, _ in self.context._values(index, word.replace("-", "_"))]
        if not real:
            return self._not_found(name, word)
        real = [value for value in reversed(real) if value not in self._blacklist()]
        results = [self._take(lines[value], value, params, lines) for value in real if value in lines]
        return any(results)

    def _not_found(self, name: str, word: str) -> bool:
        builtin = self.context._line("builtin", name) is not None
        text = f"module {word} is builtin" if builtin else f"module {word} not found in modules.dep"
        if "q" not in self.letters:
            self.err.append(f"modprobe: {text}\n")
        self.error = KernelError(ENOENT, stage="modprobe", why=text)
        return True

    def _blacklist(self) -> set[str]:
        found = (value for module, value in self._cmdline() if module == "modprobe")
        lists = [value.partition("=")[2] for value in found if value.startswith("blacklist=")]
        return {name.replace("-", "_") for text in lists for name in text.split(",")}

    def _cmdline(self) -> list[tuple[str, str]]:
        return list(parameters(" ".join(f"{name}={value}" for name, value in self.kernel.cmdline.items())))

    def _options(self, name: str) -> list[str]:
        return [value for module, value in self._cmdline() if module == name and "=" in value]

    def _take(self, line: Dependency, word: str, params: str | None, lines: dict[str, Dependency]) -> bool:
        """One module and what it needs: the list of modules.dep from its end to load, from its beginning to
        unload (``do_modprobe``)."""
        paths = [line.path, *line.needs]
        if "r" in self.letters:
            return self._remove(paths, word)
        for path in reversed(paths):
            name = Dependency(path, ()).name
            options = " ".join(
                self._options(name) + ([params] if path == line.path and params is not None else [])
            )
            if "D" in self.letters:
                self._show(path, options, path == line.path and params is not None)
            elif name not in self.loaded and not self._insert(
                path, name, options, word if path == line.path else name
            ):
                return True
        return False

    def _show(self, path: str, options: str, asked: bool) -> None:
        release = self.kernel.profile.release
        behind = f" {options}" if options or asked else ""
        self.out.append(f"insmod /lib/modules/{release}/{path}{behind}\n")

    def _insert(self, path: str, name: str, options: str, shown: str) -> bool:
        whole = path if path.startswith("/") else f"{self.folder}/{path}"
        code, error, _ = busybox.init_module(
            self.kernel, whole, options, "modprobe", self.err, self.uid, shown=path
        )
        if code and code != EEXIST:
            self.err.append(f"modprobe: can't load module {shown} ({path}): {busybox.moderror(code)}\n")
            self.error = error
            return False
        self.loaded.add(name)
        return True

    def _remove(self, paths: list[str], word: str) -> bool:
        """Only the module that was asked for has to go; what it needed goes if nobody else needs it."""
        for at, path in enumerate(paths):
            name = Dependency(path, ()).name
            if name not in self.loaded:
                continue
            try:
                self.kernel.delete_module(name, flags=O_EXCL, uid=self.uid)
            except KernelError as error:
                if error.errno is None:
                    raise
                if at == 0:
                    self.err.append(f"modprobe: can't unload module '{word}': {error.strerror}\n")
                    self.error = error
                    return True
            else:
                self.loaded.discard(name)
        return False
