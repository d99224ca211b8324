# SPDX-License-Identifier: GPL-2.0-only
"""Random sequences of load, unload, hold and release: laws hold after each step, and nothing stays behind.

What a module exports and needs is read from the files by pyelftools; the answers are those of
``kernel/module/main.c`` (delete_module, add_unformed_module, resolve_symbol, verify_exported_symbols).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kmodsim import Kernel, KernelError, sample
from kmodsim.errors import EAGAIN, EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, ENOEXEC, O_NONBLOCK, O_TRUNC

from .heart import snapshot

pytestmark = pytest.mark.core

NAMES = (
    "chain_a",
    "chain_b",
    "chain_c",
    "diamond_bottom",
    "diamond_left",
    "diamond_right",
    "diamond_top",
    "duplicate_export",
    "fail_init",
    "gpl_only",
    "gpl_user",
    "hello",
    "minimal",
    "missing_symbol",
    "namespace_provider",
    "namespace_thief",
    "namespace_user",
    "no_exit",
    "no_init",
    "percpu",
    "tables",
    "weak_symbol",
)
WITH_PROVIDERS = (
    "chain_b",
    "chain_c",
    "diamond_left",
    "diamond_right",
    "diamond_top",
    "gpl_user",
    "namespace_user",
)
RIVALS = ("duplicate_export",)  # sells what chain_a sells
PERMANENT = "no_exit"  # has an init and no exit function
THIEF = "namespace_thief"  # lacks MODULE_IMPORT_NS
PAGE = 4096
GUARD = PAGE  # mm/vmalloc.c: one unmapped page behind every allocation


class Facts(NamedTuple):
    """What the symbol table of a sample says: exported names, undefined ones that are not weak, weak ones."""

    exports: frozenset[str]
    needs: tuple[str, ...]
    weak: tuple[str, ...]


@cache
def facts(name: str) -> Facts:
    with sample(name).open("rb") as file:
        symbols = list(ELFFile(file).get_section_by_name(".symtab").iter_symbols())
    exports = frozenset(s.name.removeprefix("__ksymtab_") for s in symbols if s.name.startswith("__ksymtab_"))
    undefined = [s for s in symbols if s["st_shndx"] == "SHN_UNDEF" and s.name]
    weak = tuple(s.name for s in undefined if s["st_info"]["bind"] == "STB_WEAK")
    return Facts(exports, tuple(s.name for s in undefined if s.name not in weak), weak)


def needed(name: str) -> list[str]:
    """The modules that have to be in before, in order."""
    sellers = [
        other for other in NAMES if facts(other).exports & {*facts(name).needs} and other not in RIVALS
    ]
    return list(dict.fromkeys(o for seller in sellers for o in (*needed(seller), seller)))


class Loaded:
    """What the model knows of a module that is in: references by hand, users and providers, newest first."""

    def __init__(self, name: str, providers: list[str]) -> None:
        self.name, self.providers = name, providers
        self.users: list[str] = []
        self.held = 0


class Modules(RuleBasedStateMachine):
    """The kernel beside a model that keeps nothing but lists of names."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = 0
        self.kernel = Kernel(cpu=None, functions={"fail_init": lambda: self.answer})
        self.boot = snapshot(self.kernel)
        self.order: list[str] = []  # newest first
        self.loaded: dict[str, Loaded] = {}

    # --- what may be done ------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), call=st.sampled_from(("finit_module", "init_module", "load")),
          answer=st.sampled_from((0, 0, -ENODEV, 7)))  # fmt: skip
    def load(self, name: str, call: str, answer: int) -> None:
        self.answer = answer
        wanted, providers = self._expected_load(name)
        before = snapshot(self.kernel)
        got = self._load(name, call)
        assert got == wanted, f"loading {name} with {self.order} in"
        if got:
            assert snapshot(self.kernel) == before, "a load that failed left something behind"
            return
        self.order.insert(0, name)
        self.loaded[name] = Loaded(name, providers)
        for provider in providers:
            self.loaded[provider].users.insert(0, name)

    @rule(name=st.sampled_from(WITH_PROVIDERS), call=st.sampled_from(("finit_module", "load")))
    def load_with_what_it_needs(self, name: str, call: str) -> None:
        """As modprobe does; sequences of single loads seldom get as far as diamond_top."""
        for other in (*needed(name), name):
            self.load(other, call, 0)

    @rule(name=st.sampled_from(NAMES), flags=st.sampled_from((0, O_NONBLOCK, O_NONBLOCK | O_TRUNC)))
    def unload(self, name: str, flags: int) -> None:
        self._unload(name, flags)

    @precondition(lambda self: self.loaded)
    @rule(data=st.data(), flags=st.sampled_from((O_NONBLOCK, O_TRUNC)))
    def unload_one_of_those_in(self, data: Any, flags: int) -> None:
        self._unload(data.draw(st.sampled_from(sorted(self.loaded))), flags)

    @rule(name=st.sampled_from(NAMES))
    def hold(self, name: str) -> None:
        assert self._errno(lambda: self.kernel.hold(name)) == (0 if name in self.loaded else ENOENT)
        if name in self.loaded:
            self.loaded[name].held += 1

    @rule(name=st.sampled_from(NAMES))
    def release(self, name: str) -> None:
        held = name in self.loaded and self.loaded[name].held > 0
        assert self._errno(lambda: self.kernel.release(name)) == (0 if held else ENOENT)
        if held:
            self.loaded[name].held -= 1

    # --- what has to come of it ------------------------------------------------------------------------

    def _expected_load(self, name: str) -> tuple[int, list[str]]:
        """(errno or 0, providers in the order in which they are referenced last: newest first)."""
        if name in self.loaded:
            return EEXIST, []
        owner = {symbol: other for other in self.loaded for symbol in facts(other).exports}
        sold = {symbol for other in NAMES for symbol in facts(other).exports} | {"nobody_exports_this"}
        missing = [s for s in facts(name).needs if s in sold and s not in owner]
        if missing or name == "missing_symbol":
            return ENOENT, []
        if name == THIEF:
            return EINVAL, []
        if any(symbol in owner for symbol in facts(name).exports):
            return ENOEXEC, []
        if name == "fail_init" and self.answer < 0:
            return -self.answer, []
        wanted = [owner[s] for s in (*facts(name).needs, *facts(name).weak) if s in owner]
        return 0, list(dict.fromkeys(wanted))[::-1]

    def _expected_unload(self, name: str, flags: int) -> int:
        """The ladder of delete_module: users, then a missing exit, then the references."""
        if name not in self.loaded:
            return ENOENT
        module = self.loaded[name]
        if module.users:
            return EAGAIN
        if name == PERMANENT and not flags & O_TRUNC:
            return EBUSY
        return EAGAIN if module.held and not flags & O_TRUNC else 0

    def _load(self, name: str, call: str) -> int:
        if call == "load":
            error = self.kernel.load(sample(name)).error
            return 0 if error is None else error.errno or -1
        file = sample(name) if call == "finit_module" else sample(name).read_bytes()
        return self._errno(lambda: getattr(self.kernel, call)(file))

    def _unload(self, name: str, flags: int) -> None:
        wanted, before = self._expected_unload(name, flags), snapshot(self.kernel)
        assert self._errno(lambda: self.kernel.delete_module(name, flags=flags)) == wanted
        if wanted:
            assert snapshot(self.kernel) == before, "an unload that was refused changed something"
            return
        for provider in self.loaded.pop(name).providers:
            self.loaded[provider].users.remove(name)
        self.order.remove(name)

    @staticmethod
    def _errno(call: Any) -> int:
        try:
            call()
        except KernelError as error:
            return error.errno or -1
        return 0

    # --- the laws ------------------------------------------------------------------------------------------

    @invariant()
    def references_are_users_and_holds(self) -> None:
        for name, module in self.kernel.modules.items():
            known = self.loaded[name]
            assert module.refcount == len(known.users) + known.held
            assert self._word(module, "refcnt") == module.refcount + 1, "MODULE_REF_BASE is 1"

    @invariant()
    def holders_stand_newest_first(self) -> None:
        for name, module in self.kernel.modules.items():
            assert list(module.holders) == self.loaded[name].users
            assert self.kernel.listdir(f"/sys/module/{name}/holders") == sorted(self.loaded[name].users)

    @invariant()
    def proc_modules_is_in_reverse_order_of_loading(self) -> None:
        lines = [line.split() for line in self.kernel.read("/proc/modules").splitlines()]
        assert [line[0] for line in lines] == self.order
        for name, size, count, users, state, address, *_ in lines:
            known, module = self.loaded[name], self.kernel.modules[name]
            shown = [*known.users, *(["[permanent]"] if name == PERMANENT else [])]
            assert users == ("".join(f"{user}," for user in shown) or "-")
            assert (int(count), state) == (len(known.users) + known.held, "Live")
            assert int(address, 16) == module.base
            assert int(size) == module.core_size, "init is gone"

    @invariant()
    def providers_of_what_is_loaded_are_loaded(self) -> None:
        for name, module in self.kernel.modules.items():
            uses = [provider.name for provider in module.uses]
            assert uses == self.loaded[name].providers
            assert all(self.kernel.modules[provider.name] is provider for provider in module.uses)
            assert all(name in self.loaded[provider].users for provider in uses)

    @invariant()
    def memory_is_disjoint_aligned_and_guarded(self) -> None:
        memory = self.kernel.memory
        mine = [r for r in memory.regions if r.kind != "percpu"]
        assert {r.owner for r in mine if r.owner} == set(self.loaded)
        for region in mine:
            assert memory.low <= region.start
            assert region.start + region.size + (GUARD if region.owner else 0) <= memory.high
            assert not region.owner or region.start % PAGE == region.size % PAGE == 0
        for low, high in pairwise(mine):
            assert low.start + low.size + (GUARD if low.owner else 0) <= high.start
        percpu = [r for r in memory.regions if r.kind == "percpu"]
        assert [r.owner for r in percpu] == (["percpu"] if "percpu" in self.loaded else [])

    @invariant()
    def sections_lie_inside_their_module(self) -> None:
        for module in self.kernel.modules.values():
            spans = sorted((s.address, s.address + s.size) for s in module.sections.all if s.size)
            assert all(module.base <= start and end <= module.base + module.core_size for start, end in spans)
            assert all(low[1] <= high[0] for low, high in pairwise(spans))

    @invariant()
    def exports_are_those_of_the_live_modules(self) -> None:
        wanted = {symbol: name for name in self.loaded for symbol in facts(name).exports}
        assert {symbol: export.owner.name for symbol, export in self.kernel.exports.items()} == wanted
        for export in self.kernel.exports.values():
            module = self.kernel.modules[wanted[export.name]]
            assert module.base <= export.address < module.base + module.core_size

    @invariant()
    def the_lists_in_memory_form_the_same_ring(self) -> None:
        fields = self.kernel.profile.struct_module.fields
        for field, head in (("list", "modules"), ("bug_list", "module_bug_list")):
            entries = [m.address + fields[f"{field}.next"][0] for m in self.kernel.module_list]
            ring = [self.kernel.address_of(head), *entries, self.kernel.address_of(head)]
            for place, module in enumerate(self.kernel.module_list, 1):
                assert self._word(module, f"{field}.next") == ring[place + 1]
                assert self._word(module, f"{field}.prev") == ring[place - 1]
            assert ring[0], f"{head} is a symbol of the kernel"

    @invariant()
    def every_string_on_the_heap_belongs_to_a_module(self) -> None:
        owned = [m.args_address for m in self.kernel.modules.values()]
        owned += [pointer for m in self.kernel.modules.values() for pointer in m.charp.values() if pointer]
        assert sorted(self.kernel.heap.blocks) == sorted(owned)

    def _word(self, module: Any, name: str) -> int:
        offset, size = self.kernel.profile.struct_module.fields[name]
        return int.from_bytes(self.kernel.memory.read(module.address + offset, size), "little")

    def teardown(self) -> None:
        """Unloading everything, newest first, leads back to the state after boot."""
        for name in list(self.order):
            for _ in range(self.loaded[name].held):
                self.release(name)
            self._unload(name, O_TRUNC)
        after = snapshot(self.kernel)
        assert {part: after[part] for part in self.boot if after[part] != self.boot[part]} == {}


def test_the_samples_say_what_the_model_needs() -> None:
    """The facts the laws rest on, as the sources in kmodsim/data/samples/src have them."""
    known: Mapping[str, frozenset[str]] = {name: facts(name).exports for name in NAMES}
    assert known["chain_a"] == {"chain_a_add", "chain_a_calls"}
    assert known["duplicate_export"] & known["chain_a"]
    assert "chain_a_add" in facts("chain_b").needs
    assert facts("weak_symbol").weak
    assert not known["hello"]


TestModules = Modules.TestCase
TestModules.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
