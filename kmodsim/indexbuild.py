# SPDX-License-Identifier: GPL-2.0-only
"""Makes the index of a kernel package's modules: ``python -m kmodsim.indexbuild TREE``.

TREE is an unpacked package (it has ``lib/modules/RELEASE``). What it holds of each module: see
``kmodsim.moduleindex.IndexedModule``. The file is columns of JSON under xz: one list per field over all
modules, symbols replaced by numbers into one sorted list of names.
"""

from __future__ import annotations

import argparse
import json
import lzma
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .moduleindex import INDEX_FILE
from .records import (
    EHDR,
    KERNEL_SYMBOL,
    RELA,
    SHDR,
    SHN_UNDEF,
    SHT_RELA,
    SHT_SYMTAB,
    SYM,
    Records,
    c_string,
    view,
)


class _Reader:
    """The few tables of a well-formed module that the index wants."""

    def __init__(self, image: bytes) -> None:
        self.bytes = np.frombuffer(image, np.uint8)
        header = view(self.bytes, 0, 1, EHDR)[0]
        self.sections = view(self.bytes, int(header["e_shoff"]), int(header["e_shnum"]), SHDR)
        names = self.sections[int(header["e_shstrndx"])]
        base = int(names["sh_offset"])
        self.names = [c_string(self.bytes, base + int(s["sh_name"])).decode() for s in self.sections]
        self.symtab_index = int(np.flatnonzero(self.sections["sh_type"] == SHT_SYMTAB)[0])
        self.symbols = self.table(self.symtab_index, SYM)
        self.strtab = self.data(int(self.sections[self.symtab_index]["sh_link"]))

    def data(self, index: int) -> bytes:
        section = self.sections[index]
        start = int(section["sh_offset"])
        return bytes(self.bytes[start : start + int(section["sh_size"])])

    def table(self, index: int, dtype: np.dtype[Any]) -> Records:
        section = self.sections[index]
        return view(self.bytes, int(section["sh_offset"]), int(section["sh_size"]) // dtype.itemsize, dtype)

    def symbol_name(self, index: int) -> str:
        return c_string(self.strtab, int(self.symbols[index]["st_name"])).decode()

    def modinfo(self) -> list[tuple[str, str]]:
        if ".modinfo" not in self.names:
            return []
        entries = self.data(self.names.index(".modinfo")).split(b"\0")
        pairs = (entry.decode("utf-8", "replace").partition("=") for entry in entries if entry)
        return [(key, value) for key, _, value in pairs]

    def imports(self) -> list[str]:
        undefined = np.flatnonzero(self.symbols["st_shndx"] == SHN_UNDEF)
        return sorted({self.symbol_name(int(i)) for i in undefined} - {""})

    def exports(self) -> list[tuple[str, bool, str]]:
        """(name, GPL only, namespace or ""): the relocations of __ksymtab* say what an entry means."""
        found = []
        for target, gpl in (("__ksymtab", False), ("__ksymtab_gpl", True)):
            if f".rela{target}" not in self.names:
                continue
            relocations = self.table(self.names.index(f".rela{target}"), RELA)
            by_offset = {int(r["r_offset"]): r for r in relocations}
            for entry in range(0, KERNEL_SYMBOL.itemsize * (len(relocations) // 3), KERNEL_SYMBOL.itemsize):
                found.append((self._string(by_offset[entry + 4]), gpl, self._string(by_offset[entry + 8])))
        return sorted(found)

    def _string(self, relocation: Any) -> str:
        symbol = self.symbols[int(relocation["r_sym"])]
        start = int(self.sections[int(symbol["st_shndx"])]["sh_offset"])
        return c_string(self.bytes, start + int(symbol["st_value"]) + int(relocation["r_addend"])).decode()

    def relocations(self) -> int:
        sizes = self.sections["sh_size"][self.sections["sh_type"] == SHT_RELA]
        return int(sizes.sum()) // RELA.itemsize

    def entry_points(self) -> set[str]:
        """``init_module`` and ``cleanup_module``, as far as struct module points to them."""
        target = ".rela.gnu.linkonce.this_module"
        if target not in self.names:
            return set()
        return {self.symbol_name(int(r["r_sym"])) for r in self.table(self.names.index(target), RELA)}

    def percpu(self) -> int:
        if ".data..percpu" not in self.names:
            return 0
        return int(self.sections[self.names.index(".data..percpu")]["sh_size"])


def describe(path: Path, root: Path) -> dict[str, Any]:
    """One module's row."""
    reader = _Reader(path.read_bytes())
    info, entry_points = reader.modinfo(), reader.entry_points()

    def every(key: str) -> list[str]:
        return [value for k, value in info if k == key]

    def first(key: str) -> str:
        return next(iter(every(key)), "")

    return {
        "name": first("name"), "path": path.relative_to(root).as_posix(), "size": path.stat().st_size,
        "license": first("license"), "description": first("description"), "version": first("version"),
        "depends": [name for name in first("depends").split(",") if name], "softdeps": every("softdep"),
        "aliases": every("alias"), "firmware": every("firmware"), "import_ns": every("import_ns"),
        "parameters": every("parmtype"), "staging": bool(every("staging")), "sections": len(reader.sections),
        "symbols": len(reader.symbols), "relocations": reader.relocations(), "percpu": reader.percpu(),
        "has_init": "init_module" in entry_points, "has_exit": "cleanup_module" in entry_points,
        "imports": reader.imports(), "exports": reader.exports(),
    }  # fmt: skip


def pack(rows: Sequence[dict[str, Any]], release: str) -> bytes:
    """The rows as columns, symbol names as numbers; deltas, because they compress to half of the size."""
    exported = {export[0] for row in rows for export in row["exports"]}
    names = sorted(exported.union(*(row["imports"] for row in rows)))
    number = {name: i for i, name in enumerate(names)}
    columns: dict[str, list[Any]] = {key: [row[key] for row in rows] for key in rows[0]}
    columns["imports"] = [_deltas(number[n] for n in row["imports"]) for row in rows]
    columns["exports"] = [_deltas(number[e[0]] for e in row["exports"]) for row in rows]
    columns["exports_gpl"] = ["".join("1" if e[1] else "0" for e in row["exports"]) for row in rows]
    columns["exports_namespace"] = [
        {str(i): e[2] for i, e in enumerate(row["exports"]) if e[2]} for row in rows
    ]
    text = json.dumps({"release": release, "names": names, "modules": columns}, separators=(",", ":"))
    return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)


def _deltas(numbers: Iterable[int]) -> list[int]:
    result, last = [], 0
    for n in numbers:
        result.append(n - last)
        last = n
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kmodsim.indexbuild", description=__doc__.split("\n")[0])
    parser.add_argument("tree", type=Path, help="an unpacked linux-image package")
    parser.add_argument("--to", type=Path, default=INDEX_FILE)
    options = parser.parse_args(argv)
    roots = sorted((options.tree / "lib" / "modules").glob("*/kernel"))
    if not roots:
        print(f"indexbuild: no lib/modules/RELEASE/kernel under {options.tree}", file=sys.stderr)
        return 2
    root = roots[0].parent
    rows = sorted((describe(p, root) for p in root.rglob("*.ko")), key=lambda row: str(row["name"]))
    options.to.parent.mkdir(parents=True, exist_ok=True)
    options.to.write_bytes(pack(rows, root.name))
    print(f"{len(rows)} modules of {root.name}, {options.to.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
