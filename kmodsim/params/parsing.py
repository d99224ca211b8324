# SPDX-License-Identifier: GPL-2.0-only
"""A module's arguments: cut into words, matched to parameters, set one after the other.

Models ``lib/cmdline.c:next_arg``, ``kernel/params.c:parse_args`` and ``parse_one``, and what ``load_module``
makes of unknown parameters (``kernel/module/main.c:unknown_module_param_cb``). Pure: the caller stores the
values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from kmodsim.errors import EINVAL, ENOENT, ENOSPC, EPERM, KernelError
from kmodsim.params.kstrtox import kstrtobool
from kmodsim.params.printk import KERN_ERR, KERN_NOTICE, KERN_WARNING, encode, printk
from kmodsim.params.types import (
    KERNEL_PARAM_FL_HWPARAM,
    KERNEL_PARAM_FL_UNSAFE,
    PAGE_SIZE,
    Custom,
    Outcome,
    ParamSpec,
    Stored,
    name_bytes,
    parse_parameter,
    takes_no_value,
)

# lib/ctype.c: what isspace() accepts, the no-break space of Latin-1 included
SPACES = b"\t\n\v\f\r \xa0"
_IS_SPACE = frozenset(SPACES)
_QUOTE, _EQUALS = 0x22, 0x3D


class Parsed(NamedTuple):
    """``(name, value or None)`` of each word in order, and what follows ``--`` (None: there is none)."""

    pairs: list[tuple[bytes, bytes | None]]
    after: bytes | None


@dataclass
class ParsedParameters:
    """What ``parse_args`` did to a module.

    ``errno`` is 0 or that of the last bad parameter. ``assignments`` are ``(index, what was stored)`` in
    order, those of parameters that failed half-way included. ``log`` has the records in order. ``tainted``: a
    dangerous option was set (TAINT_USER). ``async_probe`` is None when not given. ``dyndbg`` holds ``(module,
    query)`` for dynamic debug, whose own messages are not modelled. ``not_modelled`` names parameters whose
    operations nobody could run.
    """

    errno: int = 0
    log: list[str] = field(default_factory=list)
    assignments: list[tuple[int, Stored]] = field(default_factory=list)
    after: bytes | None = None
    tainted: bool = False
    async_probe: bool | None = None
    dyndbg: list[tuple[bytes, bytes]] = field(default_factory=list)
    not_modelled: list[str] = field(default_factory=list)


class Written(NamedTuple):
    """What a write to ``/sys/module/M/parameters/P`` came to: ``taken`` bytes, or ``errno``."""

    errno: int
    taken: int
    stored: Stored | None
    log: tuple[str, ...]
    tainted: bool
    modelled: bool = True


def parse_args(text: bytes) -> Parsed:
    """Cut an argument text into parameters as ``parse_args`` and ``next_arg`` do; ends at the first NUL.

    Double quotes keep spaces, around a value or around the whole word; they cannot be escaped, and one that
    is never closed is accepted. A word starts its value at its first ``=`` that is not its first character.
    """
    rest = text.split(b"\0", 1)[0].lstrip(SPACES)
    position = 0
    pairs: list[tuple[bytes, bytes | None]] = []
    while position < len(rest):
        name, value, position = next_arg(rest, position)
        if value is None and name == b"--":
            return Parsed(pairs, rest[position:])
        pairs.append((name, value))
    return Parsed(pairs, None)


def next_arg(text: bytes, start: int) -> tuple[bytes, bytes | None, int]:
    """``lib/cmdline.c:next_arg``: the word at ``start`` as name and value, and where the next one begins."""
    quoted = text[start] == _QUOTE
    start += quoted
    end, equals = _word_end(text, start, quoted)
    word = text[start:end]
    if quoted and word.endswith(b'"'):
        unquoted = word[:-1]
    else:
        unquoted = word
    if not equals:
        name, value = unquoted, None
    elif word[equals + 1 : equals + 2] == b'"':
        name, value = word[:equals], word[equals + 2 :].removesuffix(b'"')
    else:
        name, value = word[:equals], unquoted[equals + 1 :]
    end += end < len(text)
    while end < len(text) and text[end] in _IS_SPACE:
        end += 1
    return name, value, end


def _word_end(text: bytes, start: int, in_quote: bool) -> tuple[int, int]:
    """Where the word ends, and the offset of its first ``=`` (0: none; one at offset 0 does not count)."""
    equals = 0
    for index in range(start, len(text)):
        char = text[index]
        if char in _IS_SPACE and not in_quote:
            return index, equals
        if char == _EQUALS and not equals:
            equals = index - start
        in_quote ^= char == _QUOTE
    return len(text), equals


def parameq(a: bytes, b: bytes) -> bool:
    """``kernel/params.c:parameq``: equal, with ``-`` and ``_`` being the same."""
    return a.replace(b"-", b"_") == b.replace(b"-", b"_")


def parse_parameters(
    name: str, text: bytes, params: Sequence[ParamSpec], *,
    store: Callable[[int, Stored], None] | None = None,
    custom: Custom | None = None,
    lockdown: str | None = None,
) -> ParsedParameters:
    """Parse a module's arguments, set its parameters, and collect what the kernel says about it.

    A bad parameter does not end the parsing. ``store`` is called with each assignment at once, so that
    ``custom`` (see ``parse_parameter``) finds memory as the real set function would. ``lockdown`` is the
    calling task's name when the kernel is locked down: then hardware parameters are refused.
    """
    result = ParsedParameters()
    now = list(params)
    index_of: dict[bytes, int] = {}
    for index, spec in enumerate(params):
        index_of.setdefault(name_bytes(spec).replace(b"-", b"_"), index)
    parsed = parse_args(text)
    for param, value in parsed.pairs:
        found = index_of.get(param.replace(b"-", b"_"))
        if found is None:
            _unknown(name, param, value, result)
            continue
        outcome = _set(now[found], value, custom, lockdown)
        _note(result, found, now, outcome, store)
        if outcome.errno:
            result.errno = outcome.errno
            result.log.append(_refusal(name, param, outcome))
    if parsed.after is not None and not result.errno:
        result.after = parsed.after
        line = b"%b: parameters '%b' after `--' ignored" % (encode(name), parsed.after)
        result.log.append(printk(KERN_WARNING, line))
    return result


def write_parameter(
    spec: ParamSpec, text: bytes, *, custom: Custom | None = None, lockdown: str | None = None,
) -> Written:
    """A write to the parameter's file in sysfs (``kernel/params.c:param_attr_store``).

    The same set function gets the text with whatever newline it has (a ``charp`` keeps it) up to a NUL; one
    write takes at most a page, an empty one calls nothing. Nothing is logged about a bad value. Whether the
    file may be opened for writing is not decided here.
    """
    page = text[:PAGE_SIZE]
    if not page:
        return Written(0, 0, None, (), False)
    outcome = _checked(spec, page.split(b"\0", 1)[0], custom, lockdown)
    taken = 0 if outcome.errno else len(page)
    return Written(outcome.errno, taken, outcome.stored, outcome.log, outcome.tainted, outcome.modelled)


def _set(spec: ParamSpec, value: bytes | None, custom: Custom | None, lockdown: str | None) -> Outcome:
    """``parse_one`` for a parameter that was found: a missing value is refused before anything else."""
    if value is None and not takes_no_value(spec):
        return Outcome(EINVAL)
    return _checked(spec, value, custom, lockdown)


def _checked(spec: ParamSpec, value: bytes | None, custom: Custom | None, lockdown: str | None) -> Outcome:
    """``param_check_unsafe``, then the set function. The taint comes first and stays if the value is bad."""
    if spec.flags & KERNEL_PARAM_FL_HWPARAM and lockdown is not None:
        line = f"Lockdown: {lockdown}: unsafe module parameters is restricted; see man kernel_lockdown.7"
        return Outcome(EPERM, None, (printk(KERN_NOTICE, line),), value)
    if not spec.flags & KERNEL_PARAM_FL_UNSAFE:
        return parse_parameter(spec, value, custom)
    danger = printk(KERN_NOTICE, f"Setting dangerous option {spec.name} - tainting kernel")
    outcome = parse_parameter(spec, value, custom)
    return outcome._replace(log=(danger, *outcome.log), tainted=True)


def _note(
    result: ParsedParameters, index: int, now: list[ParamSpec], outcome: Outcome,
    store: Callable[[int, Stored], None] | None,
) -> None:
    result.log += outcome.log
    result.tainted |= outcome.tainted
    if not outcome.modelled:
        result.not_modelled.append(now[index].name)
    if outcome.stored is None:
        return
    result.assignments.append((index, outcome.stored))
    if store:
        store(index, outcome.stored)
    value = outcome.stored.values[0] if outcome.stored.values else None
    if isinstance(value, bytes):
        # bool_enable_only looks at what is there, which an earlier word of the same text may have set
        now[index] = replace(now[index], current=value)


# kernel/params.c:parse_args: what it says about the errno of a set function; "invalid" for all others
_REFUSALS = {ENOENT: b"%(module)b: Unknown parameter `%(name)b'",
             ENOSPC: b"%(module)b: `%(value)b' too large for parameter `%(name)b'"}


def _refusal(module: str, param: bytes, outcome: Outcome) -> str:
    line = _REFUSALS.get(outcome.errno, b"%(module)b: `%(value)b' invalid for parameter `%(name)b'")
    words = {b"module": encode(module), b"name": param, b"value": outcome.left or b""}
    return printk(KERN_ERR, line % words)


def _unknown(module: str, param: bytes, value: bytes | None, result: ParsedParameters) -> None:
    """``unknown_module_param_cb``: async_probe and dyndbg are the core's own, the rest is ignored aloud."""
    if param == b"async_probe":
        try:
            result.async_probe = kstrtobool(value)
        except KernelError:
            result.async_probe = True
        return
    # lib/dynamic_debug.c:ddebug_dyndbg_param_cb cuts at the first dot, in the buffer printed afterwards
    head, dot, tail = param.partition(b".")
    if (tail if dot else head) == b"dyndbg":
        result.dyndbg.append((head if dot else encode(module), b"+p" if value is None else value))
        return
    result.log.append(printk(KERN_WARNING, b"%b: unknown parameter '%b' ignored" % (encode(module), head)))
