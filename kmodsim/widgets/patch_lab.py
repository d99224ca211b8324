# SPDX-License-Identifier: GPL-2.0-only
"""Widget 11: which bytes the kernel rewrites, and why."""

from __future__ import annotations

from typing import Any

import ipywidgets

from ..corpus import PROFILE
from ..kernel import Kernel
from ..modulefile import ModuleFile
from ..profile import KernelProfile
from .chosen import file_of
from .columns import known_profiles
from .guessing import NOT_YET, SHOW, Guessing, guess_control, judged
from .lab import Lab, told, wide
from .pages import Page
from .patch_sites import BECOMES, KINDS, Rewritten, Situation, becomes, kinds_table, rewritten, sites_table

MODULES = ("tables", "hello", "chardev", "chain_b", "e1000", "ext4")
ALONE = "no other kernel"
PROCESSORS = {"one processor": 1, "two processors": 2}


class PatchLab(Guessing, Lab):
    """``PatchLab("tables")``: each place that is rewritten, before and after; a second kernel beside it.

    module: a sample's name, or what ``file_of`` takes; it stands first in the list. ``lab.kernel`` is the
    kernel that holds it, ``lab.shown`` the load as data. Models ``arch/x86/kernel/module.c:module_finalize``
    and what ftrace, jump labels and static calls do afterwards.
    """

    shown: Rewritten
    looks = ("beside",)

    def __init__(self, module: Any = "tables", *, ask: bool = True) -> None:
        given = module if isinstance(module, str) and module in MODULES else file_of(module)
        name = given if isinstance(given, str) else given.name
        self._files: dict[str, str | ModuleFile] = {name: given, **{n: n for n in MODULES if n != name}}
        choose = ipywidgets.Dropdown
        kernels, models = known_profiles(), list(KernelProfile.load(PROFILE).cpu_models)
        controls = {
            "module": wide(choose(options=list(self._files), description="Module")),
            "kernel": wide(choose(options=kernels, description="Kernel")),
            "cpu": wide(choose(options=models, description="Processor")),
            "cpus": wide(choose(options=list(PROCESSORS), description="How many")),
            "site": wide(ipywidgets.IntSlider(min=1, max=len(KINDS) * 3, description="Place")),
            "guess": guess_control(BECOMES, "What stands there then?", ask=ask),
            "beside": wide(choose(options=[ALONE, *kernels], description="Beside it")),
        }
        buttons = {"Back": lambda: self._move(-1), "Next": lambda: self._move(1)}
        about = "The file is not the last word: these bytes change after relocation."
        super().__init__("Self-patching.", controls, about, buttons)

    @property
    def kernel(self) -> Kernel:
        return self.shown.kernel

    @property
    def number(self) -> int:
        """The place that is shown, from 0."""
        return min(self.controls["site"].value, max(len(self.shown.sites), 1)) - 1

    def _move(self, step: int) -> None:
        slider = self.controls["site"]
        slider.value = min(max(self.number + 1 + step, 1), max(len(self.shown.sites), 1))

    def _situation(self, profile: str) -> Situation:
        value = {name: control.value for name, control in self.controls.items()}
        return Situation(self._files[value["module"]], profile, value["cpu"], PROCESSORS[value["cpus"]])

    def answer(self) -> tuple[str, str]:
        return self._answer(self.controls["guess"].value)

    def _answer(self, guess: str) -> tuple[str, str]:
        profile, beside = self.controls["kernel"].value, self.controls["beside"].value
        self.shown = shown = rewritten(self._situation(profile))
        last = max(len(shown.sites), 1)
        if self.controls["site"].max != last:
            self.controls["site"].max = last
        other = rewritten(self._situation(beside)) if beside != ALONE else None
        page = Page()
        if shown.load.error is not None:
            page.headline(f"✗ {self.controls['module'].value} under {profile}: {shown.outcome}")
        elif not shown.sites:
            page.headline(f"{shown.load.name}: no code of it is rewritten")
        else:
            self._one(page, guess)
        if guess != NOT_YET or not shown.sites:
            page.view(kinds_table(shown, other, (_short(profile), _short(beside))))
            if other is not None and other.load.error is not None:
                page.words(f"Under {beside}: {other.outcome}.")
        if guess != NOT_YET and shown.sites:
            page.folded(sites_table(shown, self.number))
        sources = [KINDS[shown.sites[self.number].kind].source] if shown.sites else []
        return page.models("arch/x86/kernel/module.c:module_finalize", *sources).answer()

    def _one(self, page: Page, guess: str) -> None:
        shown, number = self.shown, self.number
        site = shown.sites[number]
        kind = KINDS[site.kind]
        place = f"Place {number + 1} of {len(shown.sites)}: {site.kind}, {site.name}"
        if guess == NOT_YET:
            page.headline(place)
            page.words(f"{kind.table} names this place. What will the kernel make of it? Choose above.")
            page.terminal(shown.words(site, after=False))
            return
        page.headline(f"{place}: {becomes(site.after)}")
        page.words(judged(guess, becomes(site.after)))
        page.words(f"Named in {kind.table}. Why: {kind.why}.")
        page.terminal(shown.words(site)).view(shown.around(site))

    def static(self) -> str:
        """With nobody there to guess, the answer is shown."""
        return self._static_of(told(lambda: self._answer(SHOW))[0])


def _short(profile: str) -> str:
    return profile.removeprefix("debian-").removesuffix("-amd64")
