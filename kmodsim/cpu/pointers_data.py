# SPDX-License-Identifier: GPL-2.0-only
"""%p letters that show data behind a pointer: addresses of networks, UUIDs, times, bitmaps, resources, names.

Each function gets a pointer that has passed ``check_pointer``; the functions of the kernel have the same
names (``lib/vsprintf.c``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from .format import Spec, bad_pointer, cut, error_string, number

if TYPE_CHECKING:
    from .cpu import Cpu

Show = Callable[["Cpu", str, Spec, int], bytes]
AF_INET, AF_INET6 = 2, 10
GUID_ORDER = (3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15)  # lib/uuid.c:guid_index
# include/linux/ioport.h
IO, MEM, IRQ, DMA, BUS = 0x100, 0x200, 0x400, 0x800, 0x1000
UNSET = 0x20000000
TYPES = (
    (IO, "io  ", "#06x"),
    (MEM, "mem ", "#010x"),
    (IRQ, "irq ", "d"),
    (DMA, "dma ", "d"),
    (BUS, "bus ", "02x"),
)
MARKS = ((0x100000, " 64bit"), (0x2000, " pref"), (0x200000, " window"), (0x10000000, " disabled"))


def special_hex_number(value: int, size: int) -> bytes:
    return f"{value:#0{2 + 2 * size}x}".encode()


def mac_address_string(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%pM with colons, %pMF with dashes, %pMR backwards; %pm without anything between."""
    data = cpu.space.read(value, 6)
    data = data[::-1] if letters[1:2] == "R" else data
    return cut(
        (data.hex("-" if letters[1:2] == "F" else ":") if letters[0] == "M" else data.hex()).encode(), spec
    )


def ip4_string(data: bytes, letters: str) -> str:
    """``letters``: "I" or "i" (leading zeros), and the byte order h, l, n or b behind the 4."""
    numbers = data[::-1] if letters[2:3] in ("h", "l") else data
    return ".".join(f"{n:03d}" if letters[0] == "i" else str(n) for n in numbers)


def ip6_string(data: bytes, compressed: bool, letters: str) -> str:
    if letters[0] == "i":
        return data.hex()
    return ip6_compressed(data) if compressed else data.hex(":", 2)


def ip6_compressed(data: bytes) -> str:
    """As RFC 5952; the last four bytes as IPv4 where they are one (mapped, or ISATAP)."""
    mapped = data[:12] == bytes(10) + b"\xff\xff"
    isatap = (int.from_bytes(data[8:12], "big") | 0x02000000) == 0x02005EFE
    if not mapped and not isatap:
        return _shortened([data[i : i + 2] for i in range(0, 16, 2)])
    head = _shortened([data[i : i + 2] for i in range(0, 12, 2)])
    return head + ("" if head.endswith("::") else ":") + ip4_string(data[12:], "I4")


def _shortened(words: list[bytes]) -> str:
    """The longest run of zero words, the first one of equals, becomes "::"."""
    text = ":".join(f"{int.from_bytes(word, 'big'):x}" for word in words)
    runs = sorted(re.finditer(r"(?:^|(?<=:))0(?::0)+(?![0-9a-f])", text), key=lambda run: -len(run[0]))
    if not runs:
        return text
    run = runs[0]
    return f"{text[: run.start()].removesuffix(':')}::{text[run.end() :].removeprefix(':')}"


def ip_addr_string(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%pI4, %pI6, %pI6c, %pIS (a sockaddr with p: port, s: scope, f: flow, c: compressed); %pi likewise."""
    family = letters[1:2]
    if family == "4":
        return cut(ip4_string(cpu.space.read(value, 4), letters).encode(), spec)
    if family == "6":
        return cut(ip6_string(cpu.space.read(value, 16), letters[2:3] == "c", letters).encode(), spec)
    if family == "S":
        return _socket_address(cpu, letters, spec, value)
    return error_string(f"(%p{letters[0]}?)".encode(), spec)


def _socket_address(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    family, more = cpu.space.number(value, 2), letters[2:]
    port = int.from_bytes(cpu.space.read(value + 2, 2), "big")
    if family == AF_INET:
        order = next((letter for letter in reversed(more) if letter in "hlnb"), "")
        text = ip4_string(cpu.space.read(value + 4, 4), f"{letters[0]}4{order}")
        return cut((text + (f":{port}" if "p" in more else "")).encode(), spec)
    if family != AF_INET6:
        return error_string(b"(einval)", spec)
    text = ip6_string(cpu.space.read(value + 8, 16), letters[0] == "I" and "c" in more, letters)
    text = f"[{text}]" if set("psf") & set(more) else text
    flow = int.from_bytes(cpu.space.read(value + 4, 4), "big") & 0x0FFFFFFF
    scope = cpu.space.number(value + 24, 4)
    for letter, shown in (("p", f":{port}"), ("f", f"/{flow}"), ("s", f"%{scope}")):
        text += shown if letter in more else ""
    return cut(text.encode(), spec)


def uuid_string(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%pUb and %pUB big endian, %pUl and %pUL little endian (a GUID); capitals for capitals."""
    data = cpu.space.read(value, 16)
    if letters[1:2] in ("l", "L"):
        data = bytes(data[i] for i in GUID_ORDER)
    text = "-".join((data[:4].hex(), data[4:6].hex(), data[6:8].hex(), data[8:10].hex(), data[10:].hex()))
    return cut((text.upper() if letters[1:2] in ("B", "L") else text).encode(), spec)


def address_val(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%pap, %pad: a physical or DMA address, given by reference."""
    return special_hex_number(cpu.space.number(value, 8), 8)


def netdev_bits(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    if letters[1:2] != "F":
        return error_string(b"(%pN?)", spec)
    return special_hex_number(cpu.space.number(value, 8), 8)


def bitmap_string(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%*pb: as many bits as the width says, in words of 32; %*pbl: as a list of ranges."""
    bits = spec.width or 0
    bitmap = cpu.space.number(value, -(-bits // 64) * 8) & ((1 << bits) - 1) if bits else 0
    if letters[1:2] == "l":
        runs = re.finditer("1+", format(bitmap, "b")[::-1])
        ranges = ((run.start(), run.end() - 1) for run in runs)
        return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in ranges).encode()
    words = [bitmap >> at & 0xFFFFFFFF for at in range(0, bits, 32)][::-1]
    first = -(-(bits % 32 or 32) // 4)
    return ",".join(f"{word:0{8 if i else first}x}" for i, word in enumerate(words)).encode()


def time_and_date(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%ptR: a struct rtc_time, %ptT: seconds since 1970. d: date, t: time, r: as stored, s: blank between."""
    if letters[1:2] == "R":
        names = ("year", "mon", "mday", "hour", "min", "sec")
        fields = [cpu.structs.get(value, f"rtc_time.tm_{name}", signed=True) for name in names]
    elif letters[1:2] == "T":
        moment = _moment(cpu.space.number(value, 8, signed=True))
        fields = [moment[0] - 1900, moment[1] - 1, *moment[2:]]
    else:
        return error_string(b"(%pt?)", spec)
    which, rest = (letters[2:3], letters[3:]) if letters[2:3] in ("d", "t") else ("", letters[2:])
    found = re.match("[rs]*", rest)
    said = found[0] if found else ""
    if "r" not in said:
        fields[0], fields[1] = fields[0] + 1900, fields[1] + 1
    others = [number(n, "d", Spec("0", 2)).decode() for n in fields[1:]]
    date = f"{number(fields[0], 'd', Spec('0', 4)).decode()}-{others[0]}-{others[1]}"
    clock = ":".join(others[2:])
    between = " " if "s" in said else "T"
    return {"d": date, "t": clock, "": f"{date}{between}{clock}"}[which].encode()


def _moment(seconds: int) -> tuple[int, ...]:
    """time64_to_tm: year, month, day, hour, minute, second; years repeat after 400, so any number will do."""
    cycle = 146_097 * 86_400  # seconds in 400 years
    cycles, rest = divmod(seconds, cycle)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=rest)
    return (moment.year + 400 * cycles, *moment.timetuple()[1:6])


def fourcc_string(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%p4cc: four characters, the byte order, the number."""
    if letters[1:3] != "cc":
        return error_string(b"(%p4?)", spec)
    code = cpu.space.number(value, 4)
    characters = (code & 0x7FFFFFFF).to_bytes(4, "little")
    text = "".join(chr(c) if 32 <= c < 127 else "." for c in characters)
    order = "big" if code >> 31 else "little"
    return cut(f"{text} {order}-endian ({code:#010x})".encode(), spec)


def dentry_name(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%pd, %pd2 … %pd4: the last names of a path; %pD: of an open file."""
    if letters[0] == "D":
        value = cpu.structs.get(value, "file.f_path.dentry")
    depth = int(letters[1:2]) if letters[1:2] in ("2", "3", "4") else 1
    names: list[bytes] = []
    for i in range(depth):
        if word := bad_pointer(value):
            return error_string(word, spec)
        parent = cpu.structs.get(value, "dentry.d_parent")
        root = parent == value
        names.append(b"" if root and i else cpu.space.string(cpu.structs.get(value, "dentry.d_name.name")))
        if root:
            break
        value = parent
    return cut(b"/".join(reversed(names)), spec)


def resource_string(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%pR: kind, range and marks of a struct resource; %pr: its flags as a number."""
    start, end, flags = (cpu.structs.get(value, f"resource.{name}") for name in ("start", "end", "flags"))
    word, shown = next(((word, shown) for bit, word, shown in TYPES if flags & bit), ("??? ", "#010x"))
    decoded = letters[0] == "R" and word != "??? "
    if decoded and flags & UNSET:
        text = f"size {format((end - start + 1) & (1 << 64) - 1, shown)}"
    else:
        text = format(start, shown) + (f"-{format(end, shown)}" if start != end else "")
    marks = "".join(mark for bit, mark in MARKS if flags & bit) if decoded else f" flags {flags:#x}"
    return cut(f"[{word}{text}{marks}]".encode(), spec)


DATA: dict[str, Show] = {
    "M": mac_address_string, "m": mac_address_string, "I": ip_addr_string, "i": ip_addr_string,
    "U": uuid_string, "a": address_val, "N": netdev_bits, "b": bitmap_string, "t": time_and_date,
    "4": fourcc_string, "d": dentry_name, "D": dentry_name, "R": resource_string, "r": resource_string,
}  # fmt: skip
