# SPDX-License-Identifier: GPL-2.0-only
"""Widget 8: the list of modules, hidden and found."""

from __future__ import annotations

from typing import Any

import ipywidgets

from ..kernel import Kernel
from .chosen import file_of
from .guessing import SHOW, Guessing, guess_control, judged
from .lab import Lab, told, wide
from .list_steps import ANSWERS, SHOWN_IN, VERBS, Scene, Step, parse, play
from .pages import Page

MODULES = ("hello", "chain_a", "chain_b", "minimal", "no_exit")
MODELLED = ("kernel/module/procfs.c:m_show", "kernel/module/sysfs.c:mod_sysfs_init",
            "kernel/module/tree_lookup.c:mod_tree_insert")  # fmt: skip


class ListLab(Guessing, Lab):
    """``ListLab("hello")``: load modules, take one off the list, hold it, look who still knows it.

    module: as ``file_of`` takes it; it is the one that is hidden first. The steps are text that can be
    edited: ``insmod NAME; list_del NAME; …``. ``lab.kernel`` is the kernel after them, ``lab.scene`` the
    answer as data. Models ``kernel/module/main.c:add_unformed_module``, ``find_module_all``,
    ``include/linux/list.h:list_del``.
    """

    scene: Scene
    guesses = ("shown", "unload")

    def __init__(self, module: Any = "hello") -> None:
        file = file_of(module)
        self._files = {file.name: file}
        names = list(dict.fromkeys((file.name, *MODULES)))
        choose = ipywidgets.Dropdown
        first = "; ".join(f"insmod {name}" for name in dict.fromkeys(("chain_a", "chain_b", file.name)))
        verbs = [(f"{verb}: {row.words}", verb) for verb, row in VERBS.items()]
        controls = {
            "steps": wide(ipywidgets.Textarea(value=f"{first}; list_del_init {file.name}",
                                              description="Steps", rows=2)),
            "shown": guess_control(list(SHOWN_IN.values()), "Where is it seen then?"),
            "unload": guess_control(ANSWERS, "delete_module would say"),
            "verb": wide(choose(options=verbs, value="kobject_del", description="One more step")),
            "module": wide(choose(options=names, description="with the module")),
        }  # fmt: skip
        buttons = {"Add step": self._add, "Undo step": self._undo}
        about = "Each change plays all steps in a fresh kernel; its pointers are read from memory."
        super().__init__("Hide a module, and find it.", controls, about, buttons)

    @property
    def kernel(self) -> Kernel:
        return self.scene.kernel

    def _changed(self, change: Any) -> None:
        """What is chosen for one more step says nothing before it is added."""
        if not any(change["owner"] is self.controls[name] for name in ("verb", "module")):
            super()._changed(change)

    def _pieces(self) -> list[str]:
        words = self.controls["steps"].value.replace("\n", ";").split(";")
        return [piece.strip() for piece in words if piece.strip()]

    def _add(self) -> None:
        step = f"{self.controls['verb'].value} {self.controls['module'].value}"
        self.controls["steps"].value = "; ".join([*self._pieces(), step])

    def _undo(self) -> None:
        self.controls["steps"].value = "; ".join(self._pieces()[:-1])

    def answer(self) -> tuple[str, str]:
        return self._answer(self.guessed, self.controls["shown"].value, self.controls["unload"].value)

    def _answer(self, guessed: bool, shown: str, unload: str) -> tuple[str, str]:
        steps = parse(self.controls["steps"].value)
        self.scene = scene = play(steps, self._files)
        last, verb = steps[-1], VERBS[steps[-1].verb]
        page = Page()
        if not guessed:
            page.headline(f"Now comes: {last} ({verb.words}).")
            page.words(f"Where is {last.name} seen afterwards, and what would delete_module answer? "
                       "Choose both above.")  # fmt: skip
            return page.view(scene.before).answer()
        answer = play([*steps, Step("rmmod", last.name)], self._files).results[-1].removeprefix("-1 ")
        page.headline(f"{last}: {scene.results[-1]}")
        page.words(judged(shown, scene.shown_in, f"seen in {scene.shown_in}"))
        page.words(judged(unload, answer, f"delete_module would answer {answer}"))
        if SHOW in (shown, unload):
            page.words(f"{last.name} is seen in {scene.shown_in}. delete_module would answer {answer}.")
        page.view(scene.picture).view(scene.who_knows).terminal(scene.terminal)
        return page.models(verb.source, *MODELLED).answer()

    def static(self) -> str:
        """With nobody there to guess, the answer is shown."""
        return self._static_of(told(lambda: self._answer(True, SHOW, SHOW))[0])
