# SPDX-License-Identifier: GPL-2.0-only
"""One try to load a module, and its answer as text and HTML: the first widget without its controls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape

from ..corpus import sample
from ..errors import KernelError
from ..kernel import Kernel
from ..loader.load import Load
from ..modulefile import ModuleFile
from ..userland.insmod import mod_strerror
from ..views import load_pipeline, memory_map
from ..views.of_kernel import outcome, steps_of
from ..views.pipeline import UNREACHED
from ..views.view import View
from .faults import BY_LABEL, FAULTS, Fault


@dataclass(frozen=True)
class Attempt:
    """A module file, its parameters, the kernel it was given to, and the Load that came of it."""

    name: str
    params: str
    kernel: Kernel
    load: Load

    @property
    def error(self) -> KernelError | None:
        return self.load.error

    @property
    def headline(self) -> str:
        """The result in one line, with a sign before it."""
        if self.error is None:
            assert self.load.module is not None
            return f"✓ {self.name} is loaded and {self.load.module.state}"
        return f"✗ {self.name} is not loaded: {outcome(self.error)}"

    @property
    def models(self) -> str:
        """The kernel's function that had the last word, with its file."""
        last = [step for step in steps_of(self.load) if step.state != UNREACHED][-1]
        # what comes before load_module is called by the system call itself
        return f"Modelled: {last.source if ':' in last.source else 'kernel/module/main.c:finit_module'}"

    @property
    def terminal(self) -> str:
        """What a root prompt would show: insmod's line, the log, /proc/modules, the parameters given."""
        lines = [f"# insmod {self.name}.ko {self.params}".rstrip()]
        if self.error is not None:
            words = "Killed" if self.error.errno is None else mod_strerror(self.error.errno)
            tool = f"insmod: ERROR: could not insert module {self.name}.ko: {words}"
            lines.append(tool if self.error.errno is not None else words)
        lines += ["# dmesg", *_messages(self.kernel.dmesg), "# cat /proc/modules"]
        lines += self.kernel.read("/proc/modules").splitlines() or ["(no module)"]
        for parameter in self._given():
            path = f"/sys/module/{self.load.name}/parameters/{parameter}"
            try:
                value = self.kernel.read(path).rstrip("\n")
            except KernelError:
                continue
            lines += [f"# cat {path}", value]
        return "\n".join(lines)

    def _given(self) -> list[str]:
        """Names of the parameters on the command line, each once."""
        if self.error is not None:
            return []
        words = (word.partition("=")[0].strip('"').replace("-", "_") for word in self.params.split())
        return [name for name in dict.fromkeys(words) if name.isidentifier()][:5]

    @cached_property
    def pictures(self) -> tuple[View, View]:
        """The pipeline and the memory: of the module, or of the whole area when it is not there."""
        pipeline = load_pipeline(self.load, f"insmod {self.name}.ko", short=True)
        thing = self.load.module if self.error is None else None
        return pipeline, memory_map(thing if thing is not None else self.kernel)

    @property
    def text(self) -> str:
        """The whole answer as text."""
        pictures = (view.text for view in self.pictures)
        return "\n\n".join([self.headline, self.models, self.terminal, *pictures])

    @property
    def html(self) -> str:
        """The whole answer for a notebook."""
        pipeline, memory = self.pictures
        why = f"<p>{escape(self.error.why)}</p>" if self.error is not None and self.error.why else ""
        prompt = "overflow-x:auto;line-height:1.35;border-left:3px solid;padding-left:.7em"
        return (
            f'<p style="font-size:115%;margin:.4em 0"><b>{escape(self.headline)}</b></p>{why}'
            f'<p style="margin:.2em 0;font-size:90%">{escape(self.models)}</p>'
            f'{pipeline._repr_html_()}<pre style="{prompt}">{escape(self.terminal)}</pre>'
            f"{memory._repr_html_()}"
        )


def _messages(log: list[str]) -> list[str]:
    return [record[3:] for record in log] or ["(nothing)"]


def attempt(name: str, params: str = "", fault: str = FAULTS[0].label, needs_first: bool = False) -> Attempt:
    """Load a sample into a fresh kernel where this goes wrong (``fault``: a label of ``FAULTS``).

    ``needs_first``: load the modules whose symbols it uses before it, as modprobe would.
    """
    file = ModuleFile(sample(name))
    wrong: Fault = BY_LABEL[fault]
    kernel = Kernel(**wrong.kernel(file))
    if needs_first:
        for provider in providers(file):
            kernel.load(sample(provider), trace=False)
    if wrong.twice:
        kernel.load(file.data, trace=False)
    return Attempt(name, params, kernel, kernel.load(wrong.edit(file), params, trace=False))


def providers(file: ModuleFile) -> list[str]:
    """The samples that ``file`` needs, in the order to load them (modinfo's ``depends``, followed down)."""
    out: list[str] = []
    for name in filter(None, (file.modinfo.get("depends") or "").split(",")):
        out += [n for n in [*providers(ModuleFile(sample(name))), name] if n not in out]
    return out
