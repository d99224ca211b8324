# SPDX-License-Identifier: GPL-2.0-only
"""/proc/kallsyms of every module file here against nm's reading of the file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from kmodsim import Kernel, corpus, sample, samples

from .test_symbols import kallsyms

# refused; and a live patch keeps all its symbols (kernel/module/kallsyms.c:layout_symtab)
LOADABLE = [n for n in [*samples(), *corpus.distribution()] if n not in ("missing_symbol", "proprietary_gpl",
            "proprietary_bridge", "namespace_thief", "tag_livepatch")]  # fmt: skip
BEFORE = {"chain_b": "chain_a", "chain_c": "chain_a chain_b", "gpl_user": "gpl_only", "vfat": "fat",
          "diamond_left": "diamond_bottom", "diamond_right": "diamond_bottom",
          "proprietary_heir": "proprietary",
          "diamond_top": "diamond_bottom diamond_left diamond_right", "namespace_user": "namespace_provider",
          "ext4": "crc16 mbcache jbd2", "ip_tables": "x_tables", "rtllib_crypt_wep": "libarc4 lib80211",
          "snd_intel_dspcfg": "snd_intel_sdw_acpi"}  # fmt: skip


@pytest.mark.tool
@pytest.mark.parametrize("name", LOADABLE)
def test_letters_and_addresses_as_nm_tells(name: str, needs: Callable[[str], str]) -> None:
    """Every named symbol of a section that stays: nm's letter (the kernel says a for per-CPU), section +
    nm's value."""
    kernel = Kernel(cpu=None)
    for other in BEFORE.get(name, "").split():
        kernel.finit_module(sample(other))
    module = kernel.finit_module(sample(name))
    wanted = []
    for row in subprocess.check_output([needs("nm"), "-f", "sysv", sample(name)], text=True).splitlines():
        fields = [field.strip() for field in row.split("|")]
        if len(fields) != 7 or fields[0] == "Name":
            continue
        place = fields[6]
        if place == ".data..percpu":
            wanted.append(((module.percpu or 0) + int(fields[1], 16), "a", fields[0]))
        elif place in module.sections:
            wanted.append((module.sections[place].address + int(fields[1], 16), fields[2].lower(), fields[0]))
    found = [(address, letter.lower(), symbol) for address, letter, symbol in kallsyms(kernel, name)]
    assert sorted(found) == sorted(wanted)
    assert wanted
