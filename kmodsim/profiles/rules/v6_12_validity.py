# SPDX-License-Identifier: GPL-2.0-only
"""Linux 6.12 looks at all special sections while it walks the section headers, and refuses doubles.

Models ``kernel/module/main.c:elf_validity_cache_copy``, which since 6.4 has taken in setup_load_info, and
what load_module asks before anything is allocated (``early_mod_check``).
"""

from __future__ import annotations

from ...errors import ENOEXEC, MODULE_INIT_IGNORE_MODVERSIONS, KernelError
from ...loader import load_info, unformed, validity
from ...loader.load import Load, SectionHeader
from ...loader.modinfo import check_vermagic, taint_by_modinfo
from ...records import SHF_ALLOC, SHN_UNDEF, SHT_NOBITS, SHT_NULL, SHT_SYMTAB

THIS_MODULE = ".gnu.linkonce.this_module"
ONLY_ONE_MODINFO = "Only one .modinfo section must exist."
NO_SYMBOLS = "{name}: module has no symbols (stripped?)"
# in the order of the checks; the type NOBITS cannot be met, as such sections are not counted
ONLY_ONE = f"module {{name}}: Only one {THIS_MODULE} section must exist."
NOT_ALLOC = f"module {{name}}: {THIS_MODULE} must occupy memory during process execution"
OTHER_SIZE = (
    f"module {{name}}: {THIS_MODULE} section size must match the kernel's built struct module size at run "
    "time"
)


def elf_validity_cache_copy(load: Load) -> None:
    """As elf_validity_check and setup_load_info; a second .symtab, .modinfo or this_module is ENOEXEC."""
    sections, name_offsets, names = validity.read_sections(load)
    _compare_names(load, sections, name_offsets, names)
    validity.take_sections(load, sections, name_offsets, names)
    counted = [s for s in load.sections[1:] if s.type not in (SHT_NULL, SHT_NOBITS)]
    infos = [s for s in counted if s.name == ".modinfo"]
    _refuse_if(load, len(infos) > 1, 3, ONLY_ONE_MODINFO)
    if infos:
        load.index.info = infos[0].index
        load.modinfo = load_info.read_modinfo(load)
    symtabs = [s for s in counted if s.type == SHT_SYMTAB]
    _refuse_if(load, len(symtabs) != 1, 4, NO_SYMBOLS)
    load.index.sym, load.index.str = symtabs[0].index, symtabs[0].link
    _cache_this_module(load, [s for s in counted if s.name == THIS_MODULE])
    name = load.get_modinfo("name")
    load.name = name if name is not None else load_info.early_name(load)
    ignored = load.flags & MODULE_INIT_IGNORE_MODVERSIONS
    load.index.vers = 0 if ignored else load.find_sec("__versions")
    load.index.pcpu = load.find_sec(".data..percpu")


def _compare_names(
    load: Load, sections: list[SectionHeader], name_offsets: list[int], names: SectionHeader
) -> None:
    """strcmp on every name before sh_name is checked: a page fault where it lies far behind the table."""
    for s in sections[1:]:
        bad_link = s.type == SHT_SYMTAB and (s.link == SHN_UNDEF or s.link >= len(sections))
        if s.type in (SHT_NULL, SHT_NOBITS):
            continue
        if bad_link or not validity.validate_section_offset(s.offset, s.size, load.length):
            return  # refused before its name, and those of the following, are looked at
        if name_offsets[s.index] >= names.size:
            load.name_at(names.offset, name_offsets[s.index])


def _cache_this_module(load: Load, found: list[SectionHeader]) -> None:
    _refuse_if(load, len(found) != 1, 3, ONLY_ONE)
    section = found[0]
    _refuse_if(load, not section.flags & SHF_ALLOC, 3, NOT_ALLOC)
    _refuse_if(load, section.size != load.profile.struct_module.size, 3, OTHER_SIZE)
    load.index.mod = section.index


def _refuse_if(load: Load, wrong: bool, level: int, text: str) -> None:
    if wrong:
        name = load.get_modinfo("name")
        load.kernel.printk(level, text.format(name=name if name is not None else load_info.MISSING))
        raise KernelError(ENOEXEC)


def check_modinfo(load: Load) -> None:
    """Only the vermagic is left in check_modinfo: nothing taints yet."""
    check_vermagic(load)


def module_patient_check_exists(load: Load) -> None:
    """A name that is taken is refused before anything is allocated; add_unformed_module asks once more."""
    unformed.patient_check_exists(load, load_info.early_name(load))


def module_augment_kernel_taints(load: Load) -> None:
    """All that taints, once the module is on the list: a load that fails before leaves no taint."""
    assert load.module is not None
    before = load.kernel.test_taint("P")
    taint_by_modinfo(load, load.module.name)
    unformed.taint_unsigned_module(load)
    unformed.taint_by_name(load, before)
