# SPDX-License-Identifier: GPL-2.0-only
"""Brings all facts of a kernel together as the profile's files. Equal input gives equal bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmodsim.profile import Export, KernelProfile
from kmodsim.profilebuild import facts
from kmodsim.profilebuild.boot import Boot, BuildError
from kmodsim.profilebuild.btf import Btf
from kmodsim.profilebuild.contents import contents_file
from kmodsim.profilebuild.exports import check_against_symvers, read_exports
from kmodsim.profilebuild.gfp import gfp_flags
from kmodsim.profilebuild.guest import Symbols, ask, char_majors, misc_minors, symbols, vmalloc_areas
from kmodsim.profilebuild.patching import LiveData, patch_facts
from kmodsim.profilebuild.prototypes import prototypes_file
from kmodsim.profilebuild.structs import structs_file
from kmodsim.profilebuild.vmlinux import Vmlinux, extract_vmlinux
from kmodsim.profiles.columns import write_columns

STRUCTS = ("module",)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the unpacked packages lie; each folder is what ``dpkg -x`` makes of them."""

    release: str
    image: Path
    headers: Path

    @property
    def kernel(self) -> Path:
        return _existing(self.image / "boot" / f"vmlinuz-{self.release}")

    @property
    def config(self) -> Path:
        return _existing(self.image / "boot" / f"config-{self.release}")

    @property
    def modules(self) -> Path:
        """Below /usr since Debian 13, whose packages no longer use the link /lib."""
        below = Path("lib", "modules", self.release)
        merged = self.image / "usr" / below
        return merged if merged.is_dir() else _existing(self.image / below)

    @property
    def symvers(self) -> Path:
        return _existing(self.headers / "usr" / "src" / f"linux-headers-{self.release}" / "Module.symvers")

    @property
    def cpufeatures(self) -> Path:
        return self._header("arch/x86/include/asm/cpufeatures.h")

    @property
    def gfp_types(self) -> Path:
        """Where gfp_t's bits are; before 6.0 in gfp.h."""
        try:
            return self._header("include/linux/gfp_types.h")
        except BuildError:
            return self._header("include/linux/gfp.h")

    def _header(self, name: str) -> Path:
        common = self.release.rpartition("-")[0] + "-common"
        return _existing(self.headers / "usr" / "src" / f"linux-headers-{common}" / name)


def build(source: Source, name: str, cpus: Sequence[str]) -> dict[str, bytes]:
    """The profile's files: name -> bytes. Boots the kernel once on each of ``cpus``; the first one counts."""
    options = facts.config(source.config)
    image = Vmlinux(extract_vmlinux(source.kernel.read_bytes()))
    btf = Btf(image.section(".BTF")[1])
    exports = read_exports(image, "CONFIG_MODULE_REL_CRCS" in options)
    check_against_symvers(exports, source.symvers)
    wanted = {
        "boot_cpu_data": (btf.layout("cpuinfo_x86", depth=1)[0], 0),
        "x86_return_thunk": (8, 0),
        "ideal_nops": (8, 0),
        "pcpu_base_addr": (8, 0),
        "_sdata": (len(image.section(".data")[1]), 0),
        "__bss_start": (image.sections[".bss"][2], 0),
        "pcpu_reserved_chunk": (8, btf.layout("pcpu_chunk", depth=1)[0]),
    }
    boots = {cpu: ask(source.kernel, cpu, wanted) for cpu in cpus}
    first = boots[cpus[0]]
    table = symbols(first.files["kallsyms"])
    certificates = facts.keyring(image, table)
    namespaces = sorted({row.namespace for row in exports if row.namespace})
    document = {
        "name": name,
        "rules": facts.rules(source.release),
        **_texts(source, image, first),
        "namespaces": namespaces,
        "keyring_sizes": [len(each) for each in certificates],
        "cpu_feature_names": facts.cpu_feature_names(source.cpufeatures),
        "cpu_models": {cpu: _cpu(boot, btf, source.cpufeatures) for cpu, boot in boots.items()},
        "structs": {each: _struct(btf, each) for each in STRUCTS},
        "patching": _patching(first, image, table, btf, exports),
        **_areas(first, btf, table, options),
    }
    return {
        "facts.json": (_pretty(document) + "\n").encode(),
        "keyring.der": b"".join(certificates),
        "exports.zlib": _exports(exports, namespaces),
        "kallsyms.xz": _kallsyms(table),
        **types(source, image, btf, exports, table.addresses),
    }


def types(
    source: Source, image: Vmlinux, btf: Btf, exports: list[Export], addresses: Iterable[int]
) -> dict[str, bytes]:
    """What running code needs to know, all from the package: prototypes, structures, variables' contents."""
    flags = {"gfp_t": gfp_flags(source.gfp_types)}
    return {
        "prototypes.xz": prototypes_file(btf, [row.name for row in exports], flags),
        "structs.xz": structs_file(btf),
        "contents.xz": contents_file(image, exports, sorted(int(each) for each in addresses)),
    }


def types_again(source: Source, profile: KernelProfile) -> dict[str, bytes]:
    """The same files for a profile that is there, without booting its kernel."""
    image = Vmlinux(extract_vmlinux(source.kernel.read_bytes()))
    exports = read_exports(image, "CONFIG_MODULE_REL_CRCS" in facts.config(source.config))
    if [row.name for row in exports] != list(profile.exports):
        raise BuildError(
            f"{source.kernel} exports other symbols than {profile.name}: is it the same package?"
        )
    return types(source, image, Btf(image.section(".BTF")[1]), exports, profile.kallsyms.addresses.tolist())


def _texts(source: Source, image: Vmlinux, first: Boot) -> dict[str, Any]:
    release = first.files["release"].decode().strip()
    if release != source.release:
        raise BuildError(f"the booted kernel calls itself {release}, not {source.release}")
    return {
        "release": release,
        "uname_version": first.files["version"].decode().strip(),
        "vermagic": facts.vermagic(source.modules, image),
        "builtin_modules": sorted(first.files["modules"].decode().split()),
        "char_majors": char_majors(first.files["devices"]),
        "misc_minors": misc_minors(first.files["misc"]),
    }


def _areas(first: Boot, btf: Btf, table: Symbols, options: dict[str, str]) -> dict[str, Any]:
    area = facts.module_area(options)
    memory = _memory(first)
    return {
        "config": options,
        "module_area": _hex(*area),
        "occupied": [[hex(start), size, what] for start, size, what in
                     vmalloc_areas(first.files["vmallocinfo"], *area)],
        "percpu_reserved": _hex(*facts.percpu_reserved(memory, btf)),
        "text": _hex(table.address("_stext"), table.address("_etext")),
    }  # fmt: skip


def _patching(first: Boot, image: Vmlinux, table: Symbols, btf: Btf, exports: list[Export]) -> dict[str, Any]:
    live = LiveData({table.address(name): _memory(first)[name] for name in ("_sdata", "__bss_start")})
    return patch_facts(image, live, table, btf, {row.name: row.address for row in exports})


def _cpu(boot: Boot, btf: Btf, header: Path) -> dict[str, Any]:
    return facts.cpu_model(_memory(boot), btf, symbols(boot.files["kallsyms"]), header)


def _memory(boot: Boot) -> dict[str, bytes]:
    files = boot.files.items()
    return {name.removeprefix("memory/"): data for name, data in files if name.startswith("memory/")}


def _struct(btf: Btf, name: str) -> dict[str, Any]:
    size, fields = btf.layout(name)
    fields |= btf.elements(name)
    return {"size": size, "fields": {field: list(place) for field, place in fields.items()}}


def _exports(rows: list[Export], namespaces: list[str]) -> bytes:
    return write_columns({
        "names": ("text", [row.name for row in rows]),
        "gpl": ("u1", [row.gpl for row in rows]),
        "namespace": ("u1", [namespaces.index(row.namespace) + 1 if row.namespace else 0 for row in rows]),
        "addresses": ("address", [row.address for row in rows]),
        "crcs": ("u4", [row.crc or 0 for row in rows]),
    }, quick=True)  # fmt: skip


def _kallsyms(table: Symbols) -> bytes:
    return write_columns({
        "names": ("text", table.names),
        "types": ("letters", table.types),
        "addresses": ("address", table.addresses),
    })  # fmt: skip


def _hex(*numbers: int) -> list[str]:
    return [hex(number) for number in numbers]


def _pretty(document: dict[str, Any]) -> str:
    """JSON, one line per key at the first two levels: small, and two kernels' difference is readable."""
    lines = []
    for key, value in sorted(document.items()):
        if isinstance(value, dict):
            inner = [f"  {json.dumps(name)}: {json.dumps(each)}" for name, each in value.items()]
            lines.append(f"{json.dumps(key)}: {{\n" + ",\n".join(inner) + "\n}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}"


def _existing(path: Path) -> Path:
    if not path.exists():
        raise BuildError(f"{path} is missing: is it the unpacked package?")
    return path
