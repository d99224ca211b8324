# SPDX-License-Identifier: GPL-2.0-only
"""What modprobe prints when it only looks: help, -c, --show-modversions, --show-exports (kmod 30
``tools/modprobe.c``, ``libkmod/libkmod-elf.c``)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from ...errors import EINVAL, ENOENT, KernelError
from ..elf import Aborted, ToolElf, host_error, open_module
from .log import Log, decode
from .lookup import Context
from .options import Wish

KINDS = ("blacklist", "install", "remove", "alias", "options", "softdep")
HELP = """Usage:
\t{0} [options] [-i] [-b] modulename
\t{0} [options] -a [-i] [-b] modulename [modulename...]
\t{0} [options] -r [-i] modulename
\t{0} [options] -r -a [-i] modulename [modulename...]
\t{0} [options] -c
\t{0} [options] --dump-modversions filename
Management Options:
\t-a, --all                   Consider every non-argument to
\t                            be a module name to be inserted
\t                            or removed (-r)
\t-r, --remove                Remove modules instead of inserting
\t    --remove-dependencies   Deprecated: use --remove-holders
\t    --remove-holders        Also remove module holders (use together with -r)
\t-w, --wait <MSEC>           When removing a module, wait up to MSEC for
\t                            module's refcount to become 0 so it can be
\t                            removed (use together with -r)
\t    --first-time            Fail if module already inserted or removed
\t-i, --ignore-install        Ignore install commands
\t-i, --ignore-remove         Ignore remove commands
\t-b, --use-blacklist         Apply blacklist to resolved alias.
\t-f, --force                 Force module insertion or removal.
\t                            implies --force-modversions and
\t                            --force-vermagic
\t    --force-modversion      Ignore module's version
\t    --force-vermagic        Ignore module's version magic

Query Options:
\t-R, --resolve-alias         Only lookup and print alias and exit
\t-D, --show-depends          Only print module dependencies and exit
\t-c, --showconfig            Print out known configuration and exit
\t-c, --show-config           Same as --showconfig
\t    --show-modversions      Dump module symbol version and exit
\t    --dump-modversions      Same as --show-modversions
\t    --show-exports          Only print module exported symbol versions and exit

General Options:
\t-n, --dry-run               Do not execute operations, just print out
\t-n, --show                  Same as --dry-run
\t-C, --config=FILE           Use FILE instead of default search paths
\t-d, --dirname=DIR           Use DIR as filesystem root for /lib/modules
\t-S, --set-version=VERSION   Use VERSION instead of `uname -r`
\t-s, --syslog                print to syslog, not stderr
\t-q, --quiet                 disable messages
\t-v, --verbose               enables more messages
\t-V, --version               show version
\t-h, --help                  show this help
"""


def configuration(context: Context) -> Iterator[str]:
    """``-c``: the entries by kind, then the aliases and symbols of the indexes, in the indexes' order."""
    for kind in KINDS:
        for entry in getattr(context.config, kind):
            value = "" if kind == "blacklist" else f" {entry.value}"
            yield f"{kind} {entry.key}{value}\n"
    yield "\n# End of configuration files. Dumping indexes now:\n\n"
    for name in ("alias", "symbols"):
        if name in context.indexes:
            for key, target in context.indexes[name].items():
                yield f"alias {decode(key)} {decode(target)}\n"


def versions(path: str, wish: Wish, log: Log) -> tuple[str, int]:
    """(text, minus an errno) of ``--show-modversions FILE`` and ``--show-exports FILE``."""
    try:
        os.stat(path)
        if not path.rpartition("/")[2]:
            raise KernelError(ENOENT)
    except (OSError, ValueError) as error:
        log.tool(wish.severity, f"Module {path} not found.")
        return "", -(host_error(error).errno or ENOENT)
    exports = wish.show == "exports"
    kind = "symbols" if exports else "modversions"
    try:
        elf = ToolElf(open_module(path).data)
        rows = list(_exports(elf) if exports else _modversions(elf))
    except KernelError as error:
        if error.errno is None:  # aborted, or the file is a pipe
            raise
        log.tool(wish.severity, f"could not get {kind} of {path}: {error.strerror}")
        return "", -(error.errno or EINVAL)
    return "".join(f"0x{crc:08x}\t{decode(name)}\n" for crc, name in rows), 0


def _text(data: bytes, at: int) -> bytes:
    return data[at : data.find(b"\0", at)] if data.find(b"\0", at) >= 0 else data[at:]


def _modversions(elf: ToolElf) -> Iterator[tuple[int, bytes]]:
    """``__versions``: 64 bytes each, a CRC and a name (``kmod_elf_get_modversions``)."""
    section = elf.section(b"__versions")
    if section.size % 64:
        raise KernelError(EINVAL)
    width = 8 if elf.wide else 4
    for at in range(section.offset, section.offset + section.size, 64):
        (crc,) = struct.unpack_from(elf.order + ("Q" if elf.wide else "I"), elf.data, at)
        yield crc, _text(elf.data, at + width).removeprefix(b".")


def _exports(elf: ToolElf) -> Iterator[tuple[int, bytes]]:
    """The symbols ``__crc_NAME``; without any the names in ``__ksymtab_strings``, with CRC 0
    (``kmod_elf_get_symbols``)."""
    found = list(_crc_symbols(elf))
    if found:
        yield from found
        return
    section = elf.section(b"__ksymtab_strings")
    for name in elf.data[section.offset : section.offset + section.size].split(b"\0"):
        if name:
            yield 0, name


def _crc_symbols(elf: ToolElf) -> Iterator[tuple[int, bytes]]:
    try:
        strings, table = elf.section(b".strtab"), elf.section(b".symtab")
    except KernelError:
        return
    layout = struct.Struct(elf.order + ("IBBHQQ" if elf.wide else "IIIBBH"))
    if table.size % layout.size:
        return
    rows = []
    for at in range(table.offset + layout.size, table.offset + table.size, layout.size):
        entry = layout.unpack_from(elf.data, at)
        name, value, section = (entry[0], entry[4], entry[3]) if elf.wide else (entry[0], entry[1], entry[5])
        if name >= strings.size:
            return
        rows.append((name, value, section))
    for name, value, section in rows:
        text = _text(elf.data, strings.offset + name)
        if text.startswith(b"__crc_"):
            yield _crc(elf, value, section), text[6:]


def _crc(elf: ToolElf, value: int, section: int) -> int:
    """An absolute symbol is the CRC itself; else it lies in that section (``kmod_elf_resolve_crc``)."""
    if section in (0, 0xFFF1):
        return value
    offset, size = _section(elf, section)
    if offset + size > len(elf.data) or value > (size - 4) % (1 << 64) or offset + value + 4 > len(elf.data):
        return (1 << 64) - 1
    return int(struct.unpack_from(elf.order + "I", elf.data, offset + value)[0])


def _section(elf: ToolElf, index: int) -> tuple[int, int]:
    """(offset, size) of a section by its number."""
    table, count, entry, at, fields = (40, 60, 64, 24, "2Q") if elf.wide else (32, 48, 40, 16, "2I")
    (start,) = struct.unpack_from(elf.order + ("Q" if elf.wide else "I"), elf.data, table)
    if index >= struct.unpack_from(elf.order + "H", elf.data, count)[0]:
        raise Aborted("214: elf_get_section_header: Assertion `idx < elf->header.section.count'")
    offset, size = struct.unpack_from(elf.order + fields, elf.data, start + index * entry + at)
    return int(offset), int(size)
