# SPDX-License-Identifier: GPL-2.0-only
"""The names of gfp_t's bits, which are macros and so not in BTF: from the kernel's header."""

from __future__ import annotations

import re
from pathlib import Path

DEFINE = re.compile(r"^#define\s+(_*GFP_\w+)\s+((?:\\\n|[^\n])+)", re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
# Since 6.9 the bits are numbered by an enum; those of options that few have stand last in it
ENUM = re.compile(r"enum\s*\{([^}]*___GFP_\w+_BIT[^}]*)\}")
OPTIONAL = re.compile(r"^#ifdef.*?^#endif", re.MULTILINE | re.DOTALL)
NUMBERS_ONLY = re.compile(r"[0-9a-fx|&~() ]+")


def gfp_flags(header: Path) -> dict[str, int]:
    """name -> mask of GFP_KERNEL and its kin in ``include/linux/gfp_types.h``, those with more bits first.

    A bit that depends on an option is defined twice there; the first definition is that of the option set.
    """
    defined: dict[str, str] = {}
    source = COMMENT.sub(" ", header.read_text())
    for found in ENUM.findall(source):
        for bit, name in enumerate(re.findall(r"___GFP_\w+_BIT", OPTIONAL.sub("", found))):
            source = re.sub(rf"BIT\({name}\)", f"{1 << bit:#x}", source)
    for name, text in DEFINE.findall(source):
        plain = text.replace("\\\n", " ").replace("(__force gfp_t)", "")
        defined.setdefault(name, re.sub(r"\b(0x[0-9a-f]+)u\b", r"\1", plain).strip())
    masks = {name: _mask(name, defined) for name in defined if re.match(r"(GFP|__GFP)_", name)}
    wanted = {name: mask for name, mask in masks.items() if 0 < mask < 1 << 28 and "ZONE" not in name}
    return dict(sorted(wanted.items(), key=lambda item: (-item[1].bit_count(), item[0])))


def _mask(name: str, defined: dict[str, str]) -> int:
    """A macro of other macros and numbers joined by ``|`` and ``& ~``; 0 for one that is something else."""
    text = defined.get(name, "")
    while (found := re.search(r"\b_*GFP_\w+", text)) and len(text) < 10_000:
        text = text.replace(found[0], f"({defined.get(found[0], '0')})", 1)
    return int(eval(text)) if NUMBERS_ONLY.fullmatch(text) else 0
