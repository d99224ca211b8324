# SPDX-License-Identifier: GPL-2.0-only
"""The list lab: steps on the list of modules, who sees a module then, and how a hidden one is found.

Expected: which structure each place walks, as the kernel's source (6.1) has it, named at the tests.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from kmodsim import Kernel, views
from kmodsim.finding import in_memory, in_sysfs, on_the_list
from kmodsim.views.list_pointers import Node, list_pointers, walk
from kmodsim.views.of_kernel import links_in_memory
from kmodsim.widgets.list_steps import VERBS, Scene, Step, parse, play

from .pictures import assert_sound

pytestmark = pytest.mark.core

LOAD = "insmod chain_a; insmod chain_b; insmod hello"
POISON1, POISON2 = 0xDEAD000000000100, 0xDEAD000000000122  # include/linux/poison.h


def scene(words: str) -> Scene:
    return play(parse(words))


def shown(words: str) -> dict[str, bool | None]:
    return {place.where: place.shows for place in scene(words).places}


# who goes by the list of modules (procfs.c:m_start; main.c:find_module_all, find_symbol;
# kallsyms.c:module_get_kallsym), and who does not (sysfs.c; main.c:__module_address;
# procfs.c:print_unload_info)
BY_THE_LIST = ("/proc/modules, lsmod", "rmmod, insmod again", "/proc/kallsyms", "symbols for newcomers")
BY_OTHERS = ("/sys/module", "Used by, of others", "an address in a report", "the module area")


def test_a_loaded_module_is_seen_everywhere() -> None:
    assert shown("insmod chain_a; insmod chain_b") == dict.fromkeys((*BY_THE_LIST, *BY_OTHERS), True)


@pytest.mark.parametrize("how", ["list_del", "list_del_init"])
def test_off_the_list_it_is_seen_by_those_who_do_not_walk_it(how: str) -> None:
    seen = shown(f"{LOAD}; {how} chain_b")
    assert seen == {**dict.fromkeys(BY_THE_LIST, False), **dict.fromkeys(BY_OTHERS, True)}


def test_without_its_kobject_memory_and_the_tree_still_know_it() -> None:
    """lib/kobject.c:kobject_del takes the folder away, and nothing else."""
    after = scene(f"{LOAD}; list_del hello; kobject_del hello")
    assert {p.where: p.shows for p in after.places}["/sys/module"] is False
    assert after.shown_in == "neither of them"
    assert after.hidden == (set(), {"hello"}), "sysfs agrees with the list; memory does not"


def test_what_is_not_there_is_seen_nowhere() -> None:
    seen = shown("insmod hello; rmmod hello")
    assert not any(seen.values())


@pytest.mark.parametrize(
    ("steps", "where"),
    [
        ("insmod hello", "/proc/modules and /sys/module"),
        ("insmod hello; list_del hello", "/sys/module only"),
        ("insmod hello; kobject_del hello", "/proc/modules only"),
        ("insmod hello; list_del hello; list_add hello", "/proc/modules and /sys/module"),
        ("insmod hello; rmmod hello", "neither of them"),
    ],
)
def test_the_two_files_that_everybody_knows(steps: str, where: str) -> None:
    assert scene(steps).shown_in == where


@pytest.mark.parametrize(
    ("steps", "result"),
    [
        ("insmod hello; list_del hello; rmmod hello", "-1 ENOENT"),  # find_module walks the list
        ("insmod hello; list_del hello; list_add hello; rmmod hello", "success"),
        ("insmod hello; try_module_get hello; rmmod hello", "-1 EAGAIN"),  # try_stop_module: EWOULDBLOCK
        ("insmod hello; try_module_get hello; module_put hello; rmmod hello", "success"),
        ("insmod hello; list_del hello; insmod hello", "-1 EINVAL"),  # sysfs.c:mod_sysfs_init
        ("insmod hello; insmod hello", "-1 EEXIST"),  # add_unformed_module
        ("insmod chain_a; list_del chain_a; insmod chain_b", "-1 ENOENT"),  # find_symbol
        (f"{LOAD}; list_del chain_b; rmmod chain_a", "-1 EAGAIN"),  # source_list is not empty
        ("insmod hello; list_del hello; try_module_get hello", "success"),  # it takes a pointer, no name
        ("rmmod hello", "-1 ENOENT"),
    ],
)
def test_what_a_step_comes_to(steps: str, result: str) -> None:
    assert scene(steps).results[-1] == result


def test_the_refusal_at_sysfs_is_logged() -> None:
    """sysfs.c:mod_sysfs_init: pr_err("%s: module is already loaded")."""
    after = scene("insmod hello; list_del hello; insmod hello")
    assert after.log == ("hello: module is already loaded",)
    assert after.log[0] in "\n".join(after.terminal)


def test_a_second_list_del_is_an_oops() -> None:
    """lib/list_debug.c:__list_del_entry_valid, with CONFIG_BUG_ON_DATA_CORRUPTION."""
    after = scene("insmod hello; list_del hello; list_del hello")
    said = f"next is LIST_POISON1 ({POISON1:016x})"
    assert after.results[-1].startswith("oops: list_del corruption") and said in after.results[-1]
    assert scene("insmod hello; list_del_init hello; list_del_init hello").results[-1] == "success"


@pytest.mark.parametrize("verb", ["list_add", "kobject_del", "try_module_get", "module_put", "list_del"])
def test_a_step_with_nothing_to_work_on_says_so(verb: str) -> None:
    assert scene(f"{verb} hello").results == ("nothing is done: there is no such module in memory",)


def test_list_add_and_list_del_write_four_words() -> None:
    """list.h: __list_add writes new's two and one in each neighbour; list_del poisons two, joins two."""
    added, removed = scene(f"{LOAD}; insmod minimal"), scene(f"{LOAD}; list_del chain_b")
    assert len(added.changed) == len(removed.changed) == 4


@pytest.mark.parametrize("words", ["", ";;", "insmod", "hide hello", "insmod a b", "insmod hello; nothing x"])
def test_what_is_no_step_is_refused(words: str) -> None:
    with pytest.raises(ValueError):
        parse(words)


def test_too_many_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        parse("insmod hello;" * 100)


def test_steps_are_read_as_written() -> None:
    read = parse(" insmod hello.ko ;\nlist_del  hello;")
    assert read == [Step("insmod", "hello"), Step("list_del", "hello")]
    assert all(len(parse(f"{verb} hello")) == 1 for verb in VERBS)


# --- finding


def kernel_with(*names: str, profile: str = "debian-6.1-amd64") -> Kernel:
    from kmodsim.widgets.columns import unpacked

    kernel = Kernel(profile, cpu=None)
    for name in names:
        kernel.finit_module(unpacked(profile, name))
    return kernel


@pytest.mark.parametrize("profile", ["debian-5.10-amd64", "debian-6.1-amd64", "debian-6.12-amd64"])
def test_every_struct_module_is_found_in_memory(profile: str) -> None:
    """tree_lookup.c:mod_tree_insert stores mtn.mod; 5.10 has it in module.c, 6.12 for each memory."""
    kernel = kernel_with("hello", "chain_a", "minimal", profile=profile)
    hello = kernel.modules["hello"]
    kernel.linked_list.unlink(hello, "list_del")
    assert {one.name: one.address for one in in_memory(kernel)} == {
        mod.name: mod.address for mod in kernel.known_modules
    }
    assert in_sysfs(kernel) - on_the_list(kernel) == {"hello"}
    kernel.linked_list.add(hello)
    kernel.delete_module("hello")
    assert {one.name for one in in_memory(kernel)} == {"chain_a", "minimal"} == in_sysfs(kernel)


def test_what_is_built_in_is_no_suspect() -> None:
    kernel = kernel_with("hello")
    assert len(kernel.listdir("/sys/module")) > 50
    assert in_sysfs(kernel) == on_the_list(kernel) == {"hello"}


# --- the picture


def nodes() -> list[Node]:
    """Three entries: b was taken out with list_del, c by list_del_rcu while it led to a."""
    return [
        Node("modules", 0x1000, 0x2000, 0x2000), Node("a", 0x2000, 0x1000, 0x1000, "LIVE"),
        Node("b", 0x3000, POISON1, POISON2), Node("c", 0x4000, 0x2000, POISON2),
    ]  # fmt: skip


def test_the_walk_follows_next() -> None:
    assert [node.name for node in walk(nodes())] == ["modules", "a"]


def test_a_walk_into_a_circle_or_into_nothing_ends() -> None:
    circle = [Node("h", 1, 2, 3), Node("x", 2, 3, 1), Node("y", 3, 2, 2)]
    assert [node.name for node in walk(circle)] == ["h", "x", "y"]
    assert [node.name for node in walk([Node("h", 1, 99, 1)])] == ["h"]


def test_the_text_twin_says_what_the_picture_says() -> None:
    view = list_pointers(nodes(), "A list", {(0x1000, "next")})
    rows = {line.split()[0]: line for line in view.text.splitlines()[2:6]}
    assert "next was just written" in rows["modules"] and "LIVE" in rows["a"]
    assert "LIST_POISON1" in rows["b"] and "LIST_POISON2" in rows["b"] and "off the list" in rows["b"]
    assert "next->prev is not this entry but modules" in rows["c"]
    for words in ("LIST_POISON1", "0x0000000000003000", "✎", "off the list", "modules"):
        assert words in view.svg
    assert view.description == "From the head by next: modules → a → modules. Off the list: b, c."
    assert_sound(view)


def test_an_empty_list_leads_to_itself() -> None:
    view = list_pointers([Node("modules", 0x1000, 0x1000, 0x1000)])
    assert view.text.count("itself") == 2
    assert_sound(view)


@pytest.mark.parametrize("count", [8, 9, 30, 500])
def test_a_long_list_is_cut_in_the_picture_and_not_in_the_text(count: int) -> None:
    ring = [0x1000 * (i + 1) for i in range(count + 1)]
    entries = [Node(f"m{i}", at, ring[(i + 1) % len(ring)], ring[i - 1]) for i, at in enumerate(ring)]
    view = list_pointers([*entries, Node("lost", 0x999, POISON1, POISON2)])
    assert view.text.count("0x") >= 3 * count and "lost" in view.svg and f"m{count}" in view.svg
    height = float(ElementTree.fromstring(view.svg).attrib["height"])
    assert height < 1100
    assert_sound(view)


def test_the_pointers_are_those_in_memory() -> None:
    """Read again from the bytes, at struct module's offset of ``list`` (pahole: 8 in all three kernels)."""
    kernel = kernel_with("hello", "chain_a")
    for node in links_in_memory(kernel)[1:]:
        raw = kernel.memory.read(kernel.modules[node.name].address + 8, 16)
        assert raw == node.next.to_bytes(8, "little") + node.prev.to_bytes(8, "little")
    text = views.pointers_of_modules(kernel).text
    assert f"{kernel.address_of('modules'):#018x}" in text
    kernel.memory.write(kernel.modules["chain_a"].address + 8, bytes(8))
    assert "NULL" in views.pointers_of_modules(kernel).text


# --- the widget


def lab(**more: Any) -> Any:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import ListLab

    return ListLab(**more)


def test_nothing_is_shown_before_the_guess() -> None:
    asked = lab()
    assert "Now comes: list_del_init hello" in asked.text and "# lsmod" not in asked.text
    asked.controls["shown"].value = "neither of them"
    assert "# lsmod" not in asked.text, "two guesses"
    asked.controls["unload"].value = "ENOENT"
    assert "You expected neither of them; it is seen in /sys/module only." in asked.text
    assert "Right, as you expected: delete_module would answer ENOENT." in asked.text


def test_a_step_is_added_and_taken_back() -> None:
    asked = lab()
    before = asked.controls["steps"].value
    asked.controls["verb"].value, asked.controls["module"].value = "list_add", "hello"
    asked._add()
    assert asked.controls["steps"].value == f"{before}; list_add hello"
    asked._undo()
    assert asked.controls["steps"].value == before
    for _ in range(9):
        asked._undo()
    assert "there is no step yet" in asked.text


def test_what_is_chosen_for_a_next_step_keeps_the_answer() -> None:
    asked = lab()
    asked.controls["shown"].value = "no guess, show me"
    said = asked.text
    asked.controls["verb"].value = "rmmod"
    assert asked.text == said and "# lsmod" in said


def test_the_same_steps_give_the_same_answer() -> None:
    one, other = lab(), lab()
    assert one.static() == other.static() and "0xffffffff" in one.static()
