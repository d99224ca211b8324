# SPDX-License-Identifier: GPL-2.0-only
"""10: dependencies: who exports what, the order of loading, aliases, cycles. On the distribution's real
modules.
"""

from __future__ import annotations

from functools import cache
from random import Random

from ...moduleindex import load_index
from ...userland.fnmatch import fnmatch
from ..task import Case, Claim, Task, drawn, fixed

Graph = dict[str, list[str]]
ROOTS = (
    "vfat",
    "ext4",
    "btrfs",
    "e1000e",
    "snd_hda_intel",
    "iwlwifi",
    "nfs",
    "xfs",
    "i915",
    "usb_storage",
    "ip_tables",
    "kvm_intel",
)


def direct_dependencies(
    name: str, modules: dict[str, tuple[list[str], list[str]]], weak: tuple[str, ...] = ()
) -> list[str]:
    """Sorted names of the modules whose exports ``name`` imports. ``modules``: name -> (imports, exports)."""
    owner = {symbol: module for module, (_, exports) in modules.items() for symbol in exports}
    wanted = set(modules[name][0]) - set(weak)
    return sorted({owner[symbol] for symbol in wanted if symbol in owner} - {name})


@cache
def _around(root: str) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
    """A real module and all that it needs: name, imports (some of the kernel's among them), exports."""
    index = load_index()
    names = [*index.dependencies(root), index[root].name]
    needed = {symbol for name in names for symbol in index[name].imports}
    rows = []
    for name in names:
        ours = [s for s in index[name].imports if s in index.exporters or s.startswith("k")]
        rows.append((name, tuple(ours[:60]), tuple(e.name for e in index[name].exports if e.name in needed)))
    return tuple(rows)


def _real_modules(random: Random) -> Case:
    rows = _around(random.choice(ROOTS))
    return random.choice(rows)[0], {name: (list(imports), list(exports)) for name, imports, exports in rows}


def _weak(random: Random) -> Case:
    name, modules = _real_modules(random)
    imports = modules[name][0]
    return name, modules, tuple(random.sample(imports, min(len(imports), random.randrange(1, 30))))


def load_order(name: str, direct: Graph, loaded: tuple[str, ...] = (), pre: Graph | None = None) -> list[str]:
    """What modprobe inserts, in order: pre soft dependencies, then dependencies as listed, then the
    module.
    """
    order: list[str] = []

    def visit(module: str) -> None:
        if module in loaded or module in order:
            return
        for other in [*(pre or {}).get(module, []), *direct[module]]:
            visit(other)
        order.append(module)

    visit(name)
    return order


@cache
def _graph(root: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    index = load_index()
    names = [*index.dependencies(root), index[root].name]
    return tuple((name, tuple(index[other].name for other in index[name].depends)) for name in names)


def _order(random: Random) -> tuple[str, Graph]:
    root = random.choice(ROOTS)
    return root, {name: list(needs) for name, needs in _graph(root)}


def _loaded(random: Random) -> Case:
    root, graph = _order(random)
    seen: tuple[str, ...] = ()
    for name in random.sample(sorted(graph), random.randrange(len(graph))):
        seen = (*seen, *load_order(name, graph, seen)) if name != root else seen
    return root, graph, seen


def _softdeps(random: Random) -> Case:
    root, graph = _order(random)
    graph.update(crc32c_intel=[], sha256_ssse3=["sha256"], sha256=[])
    owners = random.sample(sorted(graph), min(2, len(graph)))
    soft = {
        o: [random.choice(("crc32c_intel", "sha256_ssse3"))]
        for o in owners
        if o not in ("crc32c_intel", "sha256_ssse3", "sha256")
    }
    return root, graph, (), soft


def fits_alias(pattern: str, text: str, dashes: bool = False) -> bool:
    if dashes:
        pattern, text = _underscores(pattern), text.replace("-", "_")
    return fnmatch(pattern.encode(), text.encode())


def _underscores(pattern: str) -> str:
    """``libkmod``: a dash outside brackets becomes an underscore."""
    out, inside = "", False
    for letter in pattern:
        inside = letter == "[" or (inside and letter != "]")
        out += "_" if letter == "-" and not inside else letter
    return out


@cache
def _aliases() -> tuple[str, ...]:
    index = load_index()
    return tuple(
        alias
        for name in ("e1000e", "usb_storage", "snd_hda_intel", "ip_tables", "btrfs", "psmouse")
        for alias in index[name].aliases
    )


def _alias(random: Random) -> Case:
    pattern = random.choice(_aliases())
    text = "".join(random.choice(("", "00", "8086")) if letter == "*" else letter for letter in pattern)
    if random.random() < 0.4:
        text = text[:-1] + random.choice("xyz")
    return pattern, text


TRICKY = (
    ("a?c", "abc"),
    ("a?c", "ac"),
    ("a[0-9]", "a5"),
    ("a[0-9]", "ax"),
    ("a*b*c", "a12b3c"),
    ("a*b*c", "a12c"),
    ("*", ""),
    ("", ""),
    ("", "a"),
    ("a[!0-9]", "ax"),
    ("a[!0-9]", "a5"),
    ("*a", "bba"),
    ("a*", "b"),
    ("[a-c]x", "bx"),
    ("?", ""),
)


def _dashed(random: Random) -> Case:
    name = random.choice(("snd-hda-codec-*", "nf_conntrack-*", "crypto-*-[a-c]", "fs-*", "net-pf-1[0-9]-x"))
    text = random.choice(
        (
            "snd_hda_codec_realtek",
            "nf-conntrack-2",
            "crypto_crc32c-b",
            "crypto-crc32c_-",
            "fs_ext4",
            "net_pf-15_x",
        )
    )
    return name, text, True


def modules_in_cycles(direct: Graph, above_too: bool = False) -> list[str]:
    """Sorted names of modules that need themselves at some distance; with ``above_too`` also who needs such
    ones.
    """

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        edge = list(direct[start])
        while edge:
            name = edge.pop()
            if name not in seen:
                seen.add(name)
                edge += direct[name]
        return seen

    reach = {name: reached(name) for name in direct}
    cyclic = {name for name in direct if name in reach[name]}
    return sorted(name for name in direct if name in cyclic or (above_too and reach[name] & cyclic))


def _tangled(random: Random) -> Case:
    _, graph = _order(random)
    for _ in range(random.randrange(3)):
        graph[random.choice(sorted(graph))].append(random.choice(sorted(graph)))
    return (graph,)


DIAMOND = {"top": ["left", "right"], "left": ["bottom"], "right": ["bottom"], "bottom": []}

TASKS = (
    Task(
        "direct_dependencies",
        "kmod's tools/depmod.c:depmod_module_deps; scripts/mod/modpost.c",
        direct_dependencies,
        (
            Claim(
                "a chain",
                1,
                "public",
                fixed(("c", {"a": ([], ["fa"]), "b": (["fa"], ["fb"]), "c": (["fb", "_printk"], [])})),
            ),
            Claim("real modules with their symbols", 1, "hidden", drawn(12, _real_modules)),
            Claim(
                "its own exports make no dependency",
                1,
                "hidden",
                fixed(("a", {"a": (["f"], ["f"]), "b": ([], ["g"])})),
            ),
            Claim("variant: weak imports do not count", 2, "variant", drawn(16, _weak)),
        ),
        "First a dict symbol -> module of all exports. A symbol that is in no module is the kernel's own.",
    ),
    Task(
        "load_order",
        "kmod's libkmod/libkmod-module.c:kmod_module_get_probe_list",
        load_order,
        (
            Claim("a diamond", 1, "public", fixed(("top", DIAMOND), ("bottom", DIAMOND))),
            Claim("real modules", 1, "hidden", drawn(20, _order)),
            Claim(
                "what is loaded already stays out, with all that it needs", 1, "hidden", drawn(32, _loaded)
            ),
            Claim("variant: soft dependencies (pre) come first", 2, "variant", drawn(32, _softdeps)),
        ),
        "Depth first: all that a module needs, in the order listed, then the module itself; each once.",
    ),
    Task(
        "fits_alias",
        "kmod's libkmod/libkmod-index.c (fnmatch); aliases from MODULE_DEVICE_TABLE",
        fits_alias,
        (
            Claim(
                "a star, and plain text",
                1,
                "public",
                fixed(("fs-*", "fs-ext4"), ("fs-*", "nls-utf8"), ("abc", "abc"), ("abc", "abcd")),
            ),
            Claim("aliases of real modules", 1, "hidden", drawn(60, _alias)),
            Claim("question marks, brackets, several stars", 1, "hidden", fixed(*TRICKY)),
            Claim("variant: - and _ are the same outside brackets", 2, "variant", drawn(60, _dashed)),
        ),
        "fnmatch.fnmatchcase of Python knows *, ? and [!a-z]. For the variant replace - by _ in "
        "both, but not inside [ ].",
    ),
    Task(
        "modules_in_cycles",
        "kmod's tools/depmod.c:depmod_report_cycles",
        modules_in_cycles,
        (
            Claim(
                "two that need each other, and one alone",
                1,
                "public",
                fixed(({"a": ["b"], "b": ["a"], "c": []},)),
            ),
            Claim(
                "one that needs itself; one that only needs a cycle is not in it",
                1,
                "hidden",
                fixed(({"a": ["a"], "b": ["a"]},), ({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]},)),
            ),
            Claim("real modules, tangled", 1, "hidden", drawn(24, _tangled)),
            Claim(
                "variant: also those that need a cycle",
                2,
                "variant",
                lambda random: [(*_tangled(random), True) for _ in range(24)],
            ),
        ),
        "A module is in a cycle when it can be reached from itself. Collect what is reached with a "
        "set, so that you end.",
    ),
)
