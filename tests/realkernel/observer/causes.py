# SPDX-License-Identifier: GPL-2.0-only
"""Where the kernel writes into a newcomer's data before COMING what kmodsim does not know or not model.

Each cause names the function of the kernel that writes, and finds the places from the module's own tables, so
that all other bytes have to be equal: ``masked`` gives the data without them. Offsets: Debian's 6.1, x86-64.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from .image import SYMBOL, THIS_MODULE, Image

Range = tuple[int, int]  # address, bytes
Written = tuple[str, int, int]  # cause, address, bytes


class Cause(NamedTuple):
    """``function`` is the kernel's, with its file; ``what`` is written there; ``find`` says where;
    ``by_chance``: addresses on the heap or the time, which no two boots have in common."""

    function: str
    what: str
    find: Callable[[Image], Iterator[Range]]
    by_chance: bool = False


def _field(function: str, what: str, *names: str, by_chance: bool = False) -> Cause:
    """A cause that writes into fields of struct module."""

    def find(image: Image) -> Iterator[Range]:
        this = image.place(THIS_MODULE)
        if this is not None:
            fields = image.profile.struct_module.fields
            yield from ((this.address + fields[name][0], fields[name][1]) for name in names if name in fields)

    return Cause(function, what, find, by_chance)


def _rows(image: Image, section: str, layout: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Address and fields of each entry of a table; nothing when the module does not have it."""
    place = image.place(section)
    if place is not None:
        row = struct.Struct(layout)
        data = image.read(place.address, place.size)
        for at in range(0, len(data) - row.size + 1, row.size):
            yield place.address + at, row.unpack_from(data, at)


def _pointer(image: Image, address: int) -> int:
    return int.from_bytes(image.read(address, 8), "little")


def _sizes(image: Image) -> dict[int, int]:
    """Address to size of all symbols that have one."""
    rows = _rows(image, ".symtab", SYMBOL.format)
    return {row[4]: row[5] for _, row in rows if row[5]}


def _static_keys(image: Image) -> Iterator[Range]:
    for at, (_, _, key) in _rows(image, "__jump_table", "<iiq"):
        yield at + 8 + (key & ~3) + 8, 8  # struct static_key: enabled, then entries or next


def _static_call_keys(image: Image) -> Iterator[Range]:
    for at, (_, key) in _rows(image, ".static_call_sites", "<ii"):
        yield ((at + 4 + key) & ~3) + 8, 8  # struct static_call_key: func, then mods or sites


def _event_calls(image: Image) -> list[int]:
    return [call for _, (call,) in _rows(image, "_ftrace_events", "<Q")]


class EventCall(NamedTuple):
    """struct trace_event_call: where in it ``event.node`` to ``event.type`` end, and fields; ``flags``: 0
    where nobody writes to it."""

    event_end: int
    funcs: int
    print_fmt: int
    module: int
    flags: int = 0


EVENT_CALL = EventCall(68, 72, 80, 96)
EVENT_CALLS = {"6.12": EventCall(52, 56, 64, 72, 88)}  # by the rules' name; event.list is gone since 6.3
FIELDS_ARRAY, FIELD_BYTES, NEEDS_TEST = 32, 40, 24  # class->fields_array; struct trace_event_fields of 6.12


def _event_call(image: Image) -> EventCall:
    return EVENT_CALLS.get(image.profile.rules.name, EVENT_CALL)


def _events(image: Image) -> Iterator[Range]:
    layout = _event_call(image)
    for call in _event_calls(image):
        yield call, 16  # list
        yield call + 32, layout.event_end - 32
        yield call + layout.module, 8


def _event_tests(image: Image) -> Iterator[Range]:
    flags = _event_call(image).flags
    for call in _event_calls(image) if flags else ():
        yield call + flags, 4
        try:
            field = _pointer(image, _pointer(image, call + 16) + FIELDS_ARRAY)
            while _pointer(image, field):
                yield field + NEEDS_TEST, 1
                field += FIELD_BYTES
        except KeyError:
            continue  # a class of the kernel or of another module


def _event_fields(image: Image) -> Iterator[Range]:
    for call in _event_calls(image):
        yield _pointer(image, call + 16) + 48, 16  # class->fields


def _event_functions(image: Image) -> Iterator[Range]:
    for call in _event_calls(image):
        yield _pointer(image, call + _event_call(image).funcs) + 8, 24  # event.funcs->raw, hex, binary


def _event_formats(image: Image) -> Iterator[Range]:
    sizes = _sizes(image) if image.place("_ftrace_eval_map") else {}
    for call in _event_calls(image):
        text = _pointer(image, call + _event_call(image).print_fmt)
        yield text, sizes.get(text, 0)


def _srcu(image: Image) -> Iterator[Range]:
    sizes = _sizes(image) if image.place("___srcu_struct_ptrs") else {}
    for _, (one,) in _rows(image, "___srcu_struct_ptrs", "<Q"):
        yield one, sizes[one]


def _debug_classes(image: Image) -> Iterator[Range]:
    for at, _ in _rows(image, "__dyndbg_classes", "<7Q"):
        yield at, 16  # struct ddebug_class_map: link


CAUSES: dict[str, Cause] = {
    "static keys": Cause(
        "kernel/jump_label.c:jump_label_add_module", "the key's first jump_table entry", _static_keys
    ),
    "static call keys": Cause(
        "kernel/static_call_inline.c:__static_call_init", "who calls, on the heap", _static_call_keys, True
    ),
    "trace events": Cause(
        "kernel/trace/trace_events.c:trace_module_add_events", "lists, number, owner", _events
    ),
    "trace event fields": Cause(
        "kernel/trace/trace_events.c:event_define_fields", "a list, on the heap", _event_fields, True
    ),
    "trace event functions": Cause(
        "kernel/trace/trace_output.c:register_trace_event", "trace_nop_print for none", _event_functions
    ),
    "trace event formats": Cause(
        "kernel/trace/trace_events.c:trace_event_eval_update", "numbers instead of enum names", _event_formats
    ),
    "trace event tests": Cause(
        "kernel/trace/trace_events.c:test_event_printk", "TRACE_EVENT_FL_TEST_STR, needs_test", _event_tests
    ),
    "SRCU": Cause("kernel/rcu/srcutree.c:srcu_module_coming", "locks, lists, the time", _srcu, True),
    "debug classes": Cause(
        "lib/dynamic_debug.c:ddebug_attach_module_classes", "a list, on the heap", _debug_classes, True
    ),
    "module tree": _field(
        "kernel/module/tree_lookup.c:mod_tree_insert", "a red-black tree over all modules",
        "core_layout.mtn.node", "init_layout.mtn.node", *(f"mem.{number}.mtn.node" for number in range(7)),
    ),
    "module strings": _field(
        "kernel/module/main.c:load_module, setup_modinfo_version", "copies on the heap",
        "args", "version", "srcversion", by_chance=True,
    ),
    "module uses": _field(
        "kernel/module/main.c:add_module_usage", "a list, on the heap", "target_list", by_chance=True
    ),
    "type data": _field(
        "kernel/module/main.c:find_module_sections", "in the copy of the file", "btf_data", "btf_base_data",
        by_chance=True,
    ),
    "size of type data": _field(
        "kernel/module/main.c:find_module_sections", "as in the copy of the file", "btf_data_size",
        "btf_base_data_size",
    ),
}  # fmt: skip


def ranges(image: Image, by_chance: bool = False) -> list[Written]:
    """All places in this module's data where a cause may have written; ``by_chance``: only those causes."""
    return [
        (name, *place)
        for name, cause in CAUSES.items()
        if cause.by_chance or not by_chance
        for place in cause.find(image)
    ]


def masked(image: Image, by_chance: bool = False) -> Iterator[bytes]:
    """Every data section, struct module among them, with zeros where a cause may have written."""
    found = ranges(image, by_chance)
    for place in image.data:
        data = bytearray(image.bytes_of(place))
        for _, address, size in found:
            low, high = max(0, address - place.address), min(len(data), address - place.address + size)
            if low < high:
                data[low:high] = bytes(high - low)
        yield bytes(data)


def cause_at(found: Sequence[Written], address: int, size: int) -> str | None:
    """Which cause of ``ranges`` wrote into ``size`` bytes at ``address``; None: no cause is known."""
    for name, start, length in found:
        if start < address + size and address < start + length:
            return name
    return None
