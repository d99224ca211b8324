# SPDX-License-Identifier: GPL-2.0-only
"""05: symbol resolution: who may use which export, CRCs, namespaces, and the letters of kallsyms."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from ... import symbols
from ...errors import EINVAL
from ...kernel import Kernel
from ..plain import Record
from ..real import image
from ..task import Case, Claim, Task, drawn, fixed

MAIN = "kernel/module/main.c"
NAMES = ("_printk", "kmalloc_trace", "crc16", "usb_register_driver", "dma_buf_get", "chain_a_function")


def find_symbol(
    name: str, gplok: bool, tables: list[dict[str, Any]], trimmed: tuple[str, ...] = ()
) -> int | None:
    first = {key: export for key, export in tables[0].items() if key not in trimmed}
    for table in (first, *tables[1:]):
        export = symbols.find_symbol(name, gplok, table, {})
        if export is not None:
            return int(export.address)
    return None


@cache
def _kernel_exports() -> dict[str, Record]:
    """A few of the real kernel's exports, with their addresses, CRCs and licences."""
    vmlinux = Kernel(cpu=None).vmlinux
    names = [name for i, name in enumerate(sorted(vmlinux)) if i % 220 == 0] + ["_printk", "kmalloc_trace"]
    return {name: Record(address=vmlinux[name].address, gpl=vmlinux[name].gpl) for name in names}


def _tables(random: Random) -> Case:
    kernels = _kernel_exports()
    names = random.sample(sorted(kernels), 6)
    modules = {
        name: Record(address=0xFFFFFFFFC0000000 + 16 * i, gpl=random.random() < 0.5)
        for i, name in enumerate([*names[:2], "course_a", "course_b"])
    }
    name = random.choice([*names, "course_a", "course_b", "nobody_has_it"])
    return name, random.random() < 0.5, [{n: kernels[n] for n in names}, modules]


def _gpl_first(random: Random) -> Case:
    """The kernel's is GPL-only, a module has another one for all."""
    name = random.choice(NAMES)
    one, other = Record(address=0xFFFFFFFF81000010, gpl=True), Record(address=0xFFFFFFFFC0000010, gpl=False)
    return name, random.random() < 0.5, [{name: one}, {name: other}]


def _trimmed(random: Random) -> Case:
    name, gplok, tables = _tables(random)
    return name, gplok, tables, tuple(random.sample(sorted(tables[0]), 4))


def check_version(
    name: str, crc: int | None, versions: dict[str, int] | None, lenient: bool = False
) -> tuple[bool, bool]:
    if lenient and crc is not None and versions is not None and name not in versions:
        return True, False
    importer = symbols.Importer("mine", False, False, versions, (), "mine")
    ok, _, forced = symbols.check_version(name, crc, importer)
    return ok, forced


def _versions(random: Random) -> Case:
    name = random.choice(NAMES)
    crc = random.choice((None, random.randrange(1 << 32)))
    listed = {other: random.randrange(1 << 32) for other in NAMES if random.random() < 0.5 and other != name}
    versions = random.choice((None, listed, {**listed, name: crc or 0}, {**listed, name: 7}, {}))
    return name, crc, versions


def namespace_check(
    namespace: str | None, imports: list[str], allow_missing: bool = False
) -> tuple[int, bool]:
    missing = bool(namespace) and namespace not in imports
    return (EINVAL if missing and not allow_missing else 0), missing


def _spaces(random: Random) -> Case:
    names = ["DMA_BUF", "USB_STORAGE", "CRYPTO_INTERNAL", "COURSE"]
    return random.choice([None, "", *names]), random.sample(names, random.randrange(4))


def resolve_symbol(
    name: str,
    importer: Any,
    vmlinux: dict[str, Any],
    modules: dict[str, Any],
    allow_missing: bool = False,
    lenient: bool = False,
) -> tuple[int | None, int, bool]:
    if lenient and importer.versions is not None:
        known = {n: e.crc for table in (modules, vmlinux) for n, e in table.items()}
        found = symbols.find_symbol(name, not importer.proprietary, vmlinux, modules)
        known[name] = found.crc if found else None
        importer = importer._replace(versions={**known, **importer.versions})
    if allow_missing:
        spaces = [e.namespace for t in (vmlinux, modules) for e in t.values() if e.namespace]
        importer = importer._replace(namespaces=spaces)
    result = symbols.resolve_symbol(name, importer, vmlinux, modules)
    return (result.export.address if result.export else None), result.errno, result.inherit_taint


def _import(random: Random) -> Case:
    owner = random.choice((None, Record(name="nv", taints="PO"), Record(name="free", taints="")))
    name, crc = random.choice(NAMES), random.randrange(1 << 32)
    export = Record(
        name=name,
        address=0xFFFFFFFF81000000 + 16 * random.randrange(1 << 16),
        crc=crc,
        gpl=random.random() < 0.3,
        namespace=random.choice((None, None, "COURSE")),
        owner=owner,
    )
    versions = random.choice(({name: crc}, {name: crc}, {name: crc}, {name: crc ^ 1}, {}, None))
    importer = Record(
        name="mine",
        proprietary=random.random() < 0.3,
        using_gplonly_symbols=random.random() < 0.2,
        versions=versions,
        namespaces=random.choice(([], ["COURSE"])),
        info_name="mine",
    )
    inside, outside = ({name: export}, {}) if owner is None else ({}, {name: export})
    return name, importer, inside, outside


def _good(**changes: Any) -> Case:
    export = Record(name="f", address=0xFFFFFFFF81000040, crc=7, gpl=False, namespace=None, owner=None)
    importer = Record(
        name="mine",
        proprietary=False,
        using_gplonly_symbols=False,
        versions={"f": 7},
        namespaces=[],
        info_name="mine",
    )
    export = export._replace(**{k: v for k, v in changes.items() if k in vars(export)})
    importer = importer._replace(**{k: v for k, v in changes.items() if k in vars(importer)})
    return ("f", importer, {"f": export}, {}) if export.owner is None else ("f", importer, {}, {"f": export})


def _lenient(random: Random) -> Case:
    return *_import(random), random.random() < 0.5, random.random() < 0.8


NV = Record(name="nv", taints="P")


def elf_type(
    bind: int, type_: int, shndx: int, sections: list[Any], percpu: int, thread_local: bool = False
) -> str:
    if thread_local and type_ == 6 and bind != 2 and 0 < shndx < len(sections):
        return "T"
    return symbols.elf_type(bind, type_, shndx, sections, percpu)


@cache
def _symbols(name: str) -> tuple[Case, ...]:
    """Every symbol of a real file as elf_type meets it."""
    from io import BytesIO

    from elftools.elf.elffile import ELFFile

    from .elf import sections_of

    rows = sections_of(image(name))
    percpu = next((r.index for r in rows if r.name == ".data..percpu"), 0)
    infos = {"SHN_UNDEF": 0, "SHN_ABS": 0xFFF1, "SHN_COMMON": 0xFFF2}
    table: Any = ELFFile(BytesIO(image(name))).get_section_by_name(".symtab")
    found = {}
    for symbol in table.iter_symbols():
        info = symbol.entry.st_info
        bind = {"STB_LOCAL": 0, "STB_GLOBAL": 1, "STB_WEAK": 2}[info.bind]
        kind = {"STT_NOTYPE": 0, "STT_OBJECT": 1, "STT_FUNC": 2, "STT_SECTION": 3, "STT_FILE": 4}[info.type]
        shndx = infos.get(symbol.entry.st_shndx, symbol.entry.st_shndx)
        found[bind, kind, shndx] = (bind, kind, shndx, rows, percpu)
    return tuple(found.values())


def _not_loaded(random: Random) -> Case:
    """A symbol of a section without SHF_ALLOC, some of them debugging information."""
    rows = list(_symbols("loop")[0][3])
    number = random.randrange(1, len(rows))
    name = random.choice((".debug_info", ".debug_str", ".comment", ".gnu.lto"))
    flags, kind = random.choice(((0, 1), (0, 7), (1, 1), (0, 8), (2, 8), (3, 1)))
    rows[number] = rows[number]._replace(name=name, flags=flags, type=kind)
    return random.choice((0, 1)), 0, number, rows, 0


def _thread_local(random: Random) -> Case:
    bind, kind, shndx, rows, percpu = random.choice(_symbols("tables"))
    return bind, random.choice((6, 6, kind)), shndx, rows, percpu, True


TASKS = (
    Task(
        "find_symbol",
        f"{MAIN}:find_symbol",
        find_symbol,
        (
            Claim(
                "one of the kernel's, and one that nobody has",
                1,
                "public",
                lambda random: [
                    ("_printk", True, [_kernel_exports(), {}]),
                    ("nobody_has_it", True, [_kernel_exports(), {}]),
                ],
            ),
            Claim("the kernel first, then the modules", 1, "hidden", drawn(80, _tables)),
            Claim(
                "a GPL-only export is as if it were not there, and the search goes on",
                1,
                "hidden",
                drawn(24, _gpl_first),
            ),
            Claim("variant: a kernel whose unused exports were trimmed", 2, "variant", drawn(80, _trimmed)),
        ),
        "for table in tables: look, judge, return; None at the very end.",
    ),
    Task(
        "check_version",
        "kernel/module/version.c:check_version",
        check_version,
        (
            Claim("the CRC fits, or not", 1, "public", fixed(("f", 7, {"f": 7}), ("f", 7, {"f": 8}))),
            Claim(
                "no CRC to compare with: fine. No __versions at all: forced",
                1,
                "hidden",
                fixed(("f", None, {"f": 8}), ("f", None, None), ("f", 7, None)),
            ),
            Claim("a name without an entry is refused", 1, "hidden", fixed(("f", 7, {}), ("f", 0, {"g": 7}))),
            Claim(
                "variant: Linux 5.10 lets a name without an entry pass",
                2,
                "variant",
                lambda random: [(*_versions(random), True) for _ in range(80)],
            ),
        ),
        "Four questions in order: crc is None? versions is None? is there an entry? is it equal?",
    ),
    Task(
        "namespace_check",
        f"{MAIN}:verify_namespace_is_imported",
        namespace_check,
        (
            Claim("imported, and not", 1, "public", fixed(("COURSE", ["COURSE"]), ("COURSE", []))),
            Claim("no namespace, or an empty one, needs no import", 1, "hidden", drawn(64, _spaces)),
            Claim(
                "variant: CONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS only warns",
                2,
                "variant",
                lambda random: [(*_spaces(random), True) for _ in range(64)],
            ),
        ),
        "Two things are returned: the errno (0 or 22), and whether the kernel says something.",
    ),
    Task(
        "resolve_symbol",
        f"{MAIN}:resolve_symbol",
        resolve_symbol,
        (
            Claim("found; not found", 1, "public", fixed(_good(), ("g", *_good()[1:]))),
            Claim(
                "a proprietary module and a GPL-only symbol: not found",
                1,
                "hidden",
                fixed(_good(gpl=True, proprietary=True), _good(gpl=True), _good(proprietary=True)),
            ),
            Claim(
                "a symbol of a proprietary module: the taint is inherited, GPL users are refused",
                1,
                "hidden",
                fixed(
                    _good(owner=NV),
                    _good(owner=NV, using_gplonly_symbols=True),
                    _good(owner=NV, proprietary=True),
                    _good(owner=NV, gpl=True),
                ),
            ),
            Claim(
                "wrong CRC before missing namespace, both EINVAL",
                1,
                "hidden",
                fixed(
                    _good(versions={"f": 8}),
                    _good(namespace="COURSE"),
                    _good(namespace="COURSE", namespaces=["COURSE"]),
                    _good(owner=NV, versions={"f": 8}),
                    _good(versions=None),
                ),
            ),
            Claim("all together", 1, "hidden", drawn(120, _import)),
            Claim(
                "variant: missing imports and missing CRCs are let through",
                3,
                "variant",
                drawn(160, _lenient),
            ),
        ),
        "Order: find_symbol; a proprietary owner; check_version; the namespace. The taint is "
        "inherited even when the CRC "
        "is wrong afterwards.",
    ),
    Task(
        "elf_type",
        "kernel/module/kallsyms.c:elf_type",
        elf_type,
        (
            Claim("symbols of hello", 1, "public", lambda random: _symbols("hello")),
            Claim(
                "symbols of the distribution's modules",
                1,
                "hidden",
                lambda random: [
                    case
                    for name in ("loop", "dummy", "tables", "weak_symbol", "percpu")
                    for case in _symbols(name)
                ],
            ),
            Claim(
                "sections that are not loaded: n for debugging information, else ?",
                1,
                "hidden",
                drawn(40, _not_loaded),
            ),
            Claim(
                "variant: letter T for thread-local symbols (type 6) of a section",
                2,
                "variant",
                drawn(80, _thread_local),
            ),
        ),
        "Weak first, then undefined, absolute or per-CPU, then the section's flags: executable "
        "before all others.",
        "elf_type",
    ),
)
