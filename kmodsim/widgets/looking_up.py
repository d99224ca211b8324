# SPDX-License-Identifier: GPL-2.0-only
"""One undefined symbol of a module looked up step by step, with licence, CRC and namespace as you like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..corpus import sample
from ..errors import KernelError, errno_name
from ..kernel import Kernel
from ..loader.load import Load
from ..loader.resolve import IGNORED_UNDEFINED
from ..modulefile import ModuleFile
from ..symbols import Importer, Resolution, resolve_symbol
from ..views.lookup import Question, lookup
from ..views.view import View
from .editor import Editor
from .guessing import SHOW, judged
from .lookup_steps import checks_of, search_of
from .pages import Page, dmesg_lines, insmod_lines, place_of, verdict

AS_IS = "as in the file"
LICENCES = (AS_IS, "GPL", "Proprietary")
CRCS = (AS_IS, "another one", "not in __versions", "no __versions at all")
NAMESPACES = (AS_IS, "imports none", "imports the symbol's")
GUESSES = ("an address", "stays 0", "ENOENT", "EINVAL")
MAIN, VERSION = "kernel/module/main.c", "kernel/module/version.c"


@dataclass(frozen=True)
class LookUp:
    """``symbol`` of ``file``, which is changed as LICENCES, CRCS and NAMESPACES say.

    ``provided``: the modules that it depends on are loaded first.
    """

    file: ModuleFile
    symbol: str
    licence: str = AS_IS
    crc: str = AS_IS
    namespace: str = AS_IS
    provided: bool = True

    @cached_property
    def data(self) -> bytes:
        """The changed file, without a signature, which would notice. ValueError: nothing to change."""
        editor = Editor(self.file.data).unsigned()
        try:
            self._change(editor)
        except KeyError as missing:
            raise ValueError(f"this file has no {missing.args[0]}") from None
        return bytes(editor)

    def _change(self, editor: Editor) -> None:
        if self.licence != AS_IS:
            editor.set_modinfo("license", self.licence)
        if self.namespace != AS_IS:
            wanted = self._namespace_of_symbol() if self.namespace == NAMESPACES[2] else None
            editor.set_modinfo("import_ns", *([wanted] if wanted else []))
        if self.crc == CRCS[3] and self.file.sections.get("__versions"):
            editor.rename_section("__versions", "__versionz")
        elif self.symbol in self.file.versions and self.crc == CRCS[1]:
            editor.set_crc(self.symbol, self.file.versions[self.symbol] ^ 1)
        elif self.symbol in self.file.versions and self.crc == CRCS[2]:
            editor.forget_crc(self.symbol)

    def _namespace_of_symbol(self) -> str | None:
        export = self._export
        return export.namespace if export else None

    @cached_property
    def _providers(self) -> Kernel:
        """A kernel with the modules that this one depends on; those that are not at hand are left out."""
        kernel = Kernel(cpu=None)
        for name in providers(self.file):
            kernel.load(sample(name), trace=False)
        return kernel

    @property
    def _export(self) -> Any:
        """The symbol as it is exported where everything is loaded."""
        kernel = self._providers
        return kernel.vmlinux.get(self.symbol) or kernel.exports.get(self.symbol)

    @cached_property
    def _done(self) -> tuple[Load, Importer | None, Resolution | None, tuple[tuple[str, str, Any], ...]]:
        """The load; who asked and what resolve_symbol said, None where it never came to that; the modules
        at that moment as (name, state, exports), in list order."""
        asked: list[tuple[Importer, Resolution]] = []

        def listen(name: str, importer: Importer, vmlinux: Any, modules: Any) -> Resolution:
            found = resolve_symbol(name, importer, vmlinux, modules)
            if name == self.symbol and not asked:
                asked.append((importer, found))
            return found

        kernel = Kernel(cpu=None, stages={"resolve_symbol": listen})
        if self.provided:
            for name in providers(self.file):
                kernel.load(sample(name), trace=False)
        modules = [(mod.name, mod.state, mod.exports) for mod in kernel.module_list]
        load = kernel.load(self.data, trace=False)
        importer, found = asked[0] if asked else (None, None)
        return load, importer, found, ((load.name, "UNFORMED", {}), *modules)

    @property
    def load(self) -> Load:
        return self._done[0]

    @property
    def kernel(self) -> Kernel:
        return self.load.kernel

    @property
    def weak(self) -> bool:
        return any(imported.weak for imported in self.file.imports if imported.name == self.symbol)

    @property
    def outcome(self) -> str:
        """One of GUESSES, or the errno with which the load ended before any symbol was looked up."""
        _, importer, found, _ = self._done
        if importer is None or found is None:
            error = self.load.error
            return errno_name(error.errno) if error is not None and error.errno else "not asked"
        if found.export is not None:
            return "an address"
        if not found.errno and (self.weak or self.symbol in IGNORED_UNDEFINED):
            return "stays 0"
        return errno_name(found.errno) if found.errno else "ENOENT"

    @property
    def questions(self) -> list[Question]:
        """Every question of find_symbol and resolve_symbol with its answer, in the kernel's order."""
        _, importer, found, modules = self._done
        if importer is None or found is None:
            return []
        search = list(search_of(self.symbol, importer, self.kernel.vmlinux, modules))
        export = next((export for _, export in search if export is not None), None)
        questions = [one for one, _ in search]
        questions += checks_of(self.symbol, importer, export)
        if export is None:
            weak = self.outcome == "stays 0"
            answer = "yes: it stays 0" if weak else "no: Unknown symbol, ENOENT"
            questions.append(
                Question("simplify_symbols", "is it weak?", answer, "yes" if weak else "refused")
            )
        return questions

    @property
    def picture(self) -> View:
        _, _, found, _ = self._done
        words = {"an address": "its address", "stays 0": "weak: it stays 0"}.get(self.outcome, self.outcome)
        if found is not None and found.export is not None:
            words = f"{self.symbol} = {found.export.address:#x}"
        return lookup(self.questions, f"resolve_symbol: {self.symbol} for {self.file.name}", words)

    @property
    def said(self) -> list[str]:
        """The records that name the symbol."""
        return [record for record in self.kernel.dmesg if f" {self.symbol} " in record + " "
                or f"({self.symbol})" in record or f" {self.symbol}," in record]  # fmt: skip

    def page(self, guess: str = SHOW, guessed: bool = True) -> Page:
        page, name, error = Page(), self.file.name, self.load.error
        places = (f"{MAIN}:find_symbol", f"{MAIN}:resolve_symbol", f"{VERSION}:check_version")
        if not guessed:
            page.headline(f"What will become of {self.symbol}? Choose what you expect.")
            return page.words(self._known()).models(*places)
        page.headline(f"{self.symbol}: {self.outcome}").words(judged(guess, self.outcome))
        page.words(self._known())
        if self.questions:
            page.view(self.picture)
        page.terminal([*insmod_lines(name, "", error), *dmesg_lines(self.said)])
        page.words(f"The load as a whole: {verdict(name, error)}.").words(self._others(error))
        return page.models(*places, *([place_of(error.stage)] if error is not None else []))

    def _known(self) -> str:
        """What can be known without asking the kernel: how the symbol is wanted, by whom."""
        crc = self.file.versions.get(self.symbol)
        words = f"{self.file.name} wants {self.symbol}" + (" (weak)" if self.weak else "")
        words += f", built with CRC {crc:#010x}" if crc is not None else ", without a CRC"
        needs = providers(self.file)
        return f"{words}; licence {self.file.modinfo.get('license') or 'none'}; depends on " + (
            ", ".join(needs) if needs else "no module"
        )

    def _others(self, error: KernelError | None) -> str:
        bad = [r for r in self.kernel.dmesg if "Unknown symbol" in r and f" {self.symbol} " not in r]
        return f"Other symbols failed too: {len(bad)}." if error is not None and bad else ""


def providers(file: ModuleFile) -> list[str]:
    """The modules that ``file`` needs and that are at hand, in the order to load them."""
    out: list[str] = []
    for name in filter(None, (file.modinfo.get("depends") or "").split(",")):
        try:
            needed = [*providers(ModuleFile(sample(name))), name]
        except ValueError:
            continue
        out += [n for n in needed if n not in out]
    return out
