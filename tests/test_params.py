# SPDX-License-Identifier: GPL-2.0-only
"""Module parameters are cut, parsed, stored, shown and refused as by kernel/params.c of Linux 6.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmodsim.errors import EINVAL, ENOENT, ENOSPC, EPERM, ERANGE, EROFS, KernelError
from kmodsim.params import (
    ARRAY_OPS,
    KERNEL_PARAM_FL_HWPARAM,
    KERNEL_PARAM_FL_UNSAFE,
    PARAM_TYPES,
    ArraySpec,
    CharP,
    Outcome,
    ParamSpec,
    Stored,
    format_array,
    format_parameter,
    kstrto,
    kstrtobool,
    parameq,
    parse_args,
    parse_parameter,
    parse_parameters,
    printk_cut,
    write_parameter,
)

pytestmark = pytest.mark.core

# include/linux/moduleparam.h "Standard types", and the limits of the C types on x86-64
LIMITS = {
    "byte": (1, 0, 255), "short": (2, -32768, 32767), "ushort": (2, 0, 65535),
    "int": (4, -2147483648, 2147483647), "uint": (4, 0, 4294967295), "hexint": (4, 0, 4294967295),
    "long": (8, -9223372036854775808, 9223372036854775807), "ulong": (8, 0, 18446744073709551615),
    "ullong": (8, 0, 18446744073709551615),
}


def spec(kind: str, **more: object) -> ParamSpec:
    return ParamSpec(name="p", ops=f"param_ops_{kind}", **more)  # type: ignore[arg-type]


def array(kind: str, room: int, size: int) -> ParamSpec:
    return ParamSpec(name="p", ops=ARRAY_OPS, array=ArraySpec(room, size, f"param_ops_{kind}"))


def ints(*values: int) -> tuple[bytes, ...]:
    return tuple(value.to_bytes(4, "little", signed=True) for value in values)


# --- cutting the text: lib/cmdline.c:next_arg, kernel/params.c:parse_args ---

WORDS = [
    # (text, names and values, what follows "--")
    (b"", [], None),
    (b"  a=1\t b ", [(b"a", b"1"), (b"b", None)], None),
    (b"a= b=", [(b"a", b""), (b"b", b"")], None),
    (b"a=1=2", [(b"a", b"1=2")], None),
    (b"=1 =a=2", [(b"=1", None), (b"=a", b"2")], None),  # a word never starts with its separator
    (b'a="two words" b=1', [(b"a", b"two words"), (b"b", b"1")], None),
    (b'"a=two words" b=1', [(b"a", b"two words"), (b"b", b"1")], None),
    (b'a="never closed b=1', [(b"a", b"never closed b=1")], None),
    (b'a=x"y z"w', [(b"a", b'x"y z"w')], None),  # only quotes at the value's ends are taken away
    (b'a="x"y', [(b"a", b'x"y')], None),
    (b'a=""', [(b"a", b"")], None),
    (b'a="', [(b"a", b"")], None),
    (b'"', [(b"", None)], None),
    (b"a='two words'", [(b"a", b"'two"), (b"words'", None)], None),
    (b"a=1\xa0b=2", [(b"a", b"1"), (b"b", b"2")], None),  # lib/ctype.c: 160 is a space
    (b"a=1 -- b=2 c", [(b"a", b"1")], b"b=2 c"),
    (b'"--" x', [], b"x"),
    (b"a --", [(b"a", None)], b""),
    (b"--=1 ---", [(b"--", b"1"), (b"---", None)], None),
    (b"a=1\0b=2", [(b"a", b"1")], None),
]


@pytest.mark.parametrize(("text", "pairs", "after"), WORDS)
def test_words(text: bytes, pairs: list[tuple[bytes, bytes | None]], after: bytes | None) -> None:
    assert parse_args(text) == (pairs, after)


_SPECIAL = set(b'\0\t\n\v\f\r \xa0"=-')
_plain = st.binary(min_size=1, max_size=8).filter(lambda word: not set(word) & _SPECIAL)


_pairs = st.lists(st.tuples(_plain, st.none() | _plain), max_size=6)


@given(_pairs, st.sampled_from([b" ", b"\t \n", b"\xa0"]))
def test_plain_words_come_back(pairs: list[tuple[bytes, bytes | None]], gap: bytes) -> None:
    text = gap.join(name if value is None else name + b"=" + value for name, value in pairs)
    assert parse_args(text).pairs == pairs


@given(_plain, st.binary(max_size=12).filter(lambda value: not set(value) & set(b'\0"')))
def test_quotes_keep_anything(name: bytes, value: bytes) -> None:
    assert parse_args(name + b'="' + value + b'" z') == ([(name, value), (b"z", None)], None)
    assert parse_args(b'"' + name + b"=" + value + b'" z') == ([(name, value), (b"z", None)], None)


@given(st.binary(max_size=60))
def test_any_bytes_parse(text: bytes) -> None:
    result = parse_parameters("m", text, [spec("int"), spec("charp"), array("short", 2, 2)])
    assert result.errno in (0, EINVAL, ERANGE)
    assert all("\0" not in line for line in result.log)


def test_hyphen_and_underscore_are_the_same_in_names() -> None:
    """kernel/params.c:dash2underscore"""
    assert parameq(b"dead-beef", b"dead_beef")
    assert not parameq(b"a", b"ab")
    assert parse_parameters("m", b"a-b=1", [ParamSpec("a_b", "param_ops_int")]).assignments


# --- numbers: lib/kstrtox.c ---

NUMBERS = [
    # (text, value or errno) for int
    (b"0", 0), (b"7", 7), (b"+7", 7), (b"-7", -7), (b"7\n", 7), (b"0x10", 16), (b"0X1f", 31), (b"-0x1", -1),
    (b"010", 8), (b"-0", 0), (b"00", 0), (b"2147483647", 2147483647), (b"-2147483648", -2147483648),
    (b"2147483648", "ERANGE"), (b"-2147483649", "ERANGE"), (b"18446744073709551616", "ERANGE"),
    (b"9" * 5000, "ERANGE"), (b"0" * 5000 + b"9" * 3, "EINVAL"),  # 08 and 09 are no octal digits
    (b"99999999999999999999x", "ERANGE"),  # the overflow is seen before the garbage
    (b"08", "EINVAL"), (b"", "EINVAL"), (b"\n", "EINVAL"), (b"7\n\n", "EINVAL"), (b" 7", "EINVAL"),
    (b"7 ", "EINVAL"), (b"--7", "EINVAL"), (b"-+7", "EINVAL"), (b"++7", "EINVAL"), (b"0x", "EINVAL"),
    (b"0xg", "EINVAL"), (b"1e3", "EINVAL"), (b"1_000", "EINVAL"), (b"\xb2", "EINVAL"), (b"abc", "EINVAL"),
]


@pytest.mark.parametrize(("text", "expected"), NUMBERS)
def test_int(text: bytes, expected: int | str) -> None:
    outcome = parse_parameter(spec("int"), text)
    if isinstance(expected, str):
        assert (outcome.errno, outcome.stored) == ({"EINVAL": EINVAL, "ERANGE": ERANGE}[expected], None)
    else:
        assert outcome.stored == Stored((expected.to_bytes(4, "little", signed=True),))


@pytest.mark.parametrize("kind", LIMITS)
def test_limits(kind: str) -> None:
    size, low, high = LIMITS[kind]
    for value in (low, high):
        stored = parse_parameter(spec(kind), str(value).encode()).stored
        assert stored == Stored((value.to_bytes(size, "little", signed=low < 0),))
    assert parse_parameter(spec(kind), str(high + 1).encode()).errno == ERANGE
    # a minus sign is malformed for an unsigned type, and a number too small for a signed one
    assert parse_parameter(spec(kind), str(low - 1).encode()).errno == (ERANGE if low else EINVAL)


@given(
    st.integers(-(1 << 66), 1 << 66),
    st.sampled_from(["d", "#x", "#X", "o"]),
    st.sampled_from(sorted(LIMITS)),
)
def test_numbers_like_pythons(value: int, base: str, kind: str) -> None:
    text = format(abs(value), base) if base != "o" else "0" + format(abs(value), "o")
    size, low, high = LIMITS[kind]
    sign = "-" if value < 0 else ""
    outcome = parse_parameter(spec(kind), (sign + text).encode())
    if sign and not low:
        assert outcome.errno == EINVAL
    elif not low <= value <= high:
        assert outcome.errno == ERANGE
    else:
        assert outcome.stored == Stored((value.to_bytes(size, "little", signed=low < 0),))


@given(st.text(alphabet="0123456789abcdefx+-\n _", max_size=30))
def test_kstrto_never_reads_more_than_a_number(text: str) -> None:
    integer = PARAM_TYPES["param_ops_long"].integer
    assert integer
    try:
        value = kstrto(integer, text.encode())
    except KernelError:
        return
    digits = text.removesuffix("\n").lstrip("+-")
    octal = digits.startswith("0") and not digits.lower().startswith("0x")
    assert abs(value) == int(digits, 8 if octal else 0)


# --- truth values: lib/kstrtox.c:kstrtobool ---

@pytest.mark.parametrize("text", [b"y", b"Y", b"t", b"T", b"1", b"on", b"oN", b"ON", b"yesno", b"10"])
def test_true(text: bytes) -> None:
    assert kstrtobool(text) is True


@pytest.mark.parametrize("text", [b"n", b"N", b"f", b"F", b"0", b"of", b"off", b"OFF", b"no", b"0x1"])
def test_false(text: bytes) -> None:
    assert kstrtobool(text) is False


@pytest.mark.parametrize("text", [b"", b"o", b"ox", b"2", b"-1", b" 1", b"\n", None])
def test_neither(text: bytes | None) -> None:
    with pytest.raises(KernelError) as caught:
        kstrtobool(text)
    assert caught.value.errno == EINVAL


# --- every type: what is stored, what is shown ---

TYPES = [
    # (type, text, bytes in memory, what the file in sysfs shows), kernel/params.c
    ("byte", b"200", b"\xc8", b"200\n"),
    ("short", b"-2", b"\xfe\xff", b"-2\n"),
    ("ushort", b"65535", b"\xff\xff", b"65535\n"),
    ("int", b"-1", b"\xff" * 4, b"-1\n"),
    ("uint", b"0xffffffff", b"\xff" * 4, b"4294967295\n"),
    ("long", b"-1", b"\xff" * 8, b"-1\n"),
    ("ulong", b"1", b"\1" + bytes(7), b"1\n"),
    ("ullong", b"18446744073709551615", b"\xff" * 8, b"18446744073709551615\n"),
    ("hexint", b"0xbeef", b"\xef\xbe\0\0", b"0x00beef\n"),  # %#08x: eight characters with the 0x
    ("hexint", b"0", bytes(4), b"0x000000\n"),
    ("hexint", b"0xdeadbeef", b"\xef\xbe\xad\xde", b"0xdeadbeef\n"),
    ("bool", b"y", b"\1", b"Y\n"),
    ("bool", b"off", b"\0", b"N\n"),
    ("bool", None, b"\1", b"Y\n"),
    ("bool_enable_only", b"1", b"\1", b"Y\n"),
    ("invbool", b"y", b"\0", b"Y\n"),
    ("invbool", b"n", b"\1", b"N\n"),
    ("bint", b"yes", b"\1\0\0\0", b"1\n"),
    ("bint", None, b"\1\0\0\0", b"1\n"),
    ("charp", b"two words", CharP(b"two words"), b"two words\n"),
    ("charp", b"", CharP(b""), b"\n"),
    ("charp", b"a\n", CharP(b"a\n"), b"a\n\n"),
    ("string", b"abc", b"abc\0", b"abc\n"),
]


@pytest.mark.parametrize(("kind", "text", "value", "shown"), TYPES)
def test_store_and_show(kind: str, text: bytes | None, value: bytes | CharP, shown: bytes) -> None:
    assert parse_parameter(spec(kind, maxlen=4), text).stored == Stored((value,))
    assert format_parameter(f"param_ops_{kind}", value) == shown


def test_every_type_of_the_table_is_tested() -> None:
    assert {f"param_ops_{row[0]}" for row in TYPES} == set(PARAM_TYPES)


def test_a_null_pointer_has_a_name_and_a_page_has_an_end() -> None:
    """lib/vsprintf.c:check_pointer_msg; kernel/params.c:param_get_charp prints into one page."""
    assert format_parameter("param_ops_charp", CharP(None)) == b"(null)\n"
    assert format_parameter("param_ops_charp", CharP(b"x" * 5000)) == b"x" * 4095


def test_bool_enable_only_stays_set() -> None:
    """kernel/params.c:param_set_bool_enable_only"""
    assert parse_parameter(spec("bool_enable_only", current=b"\1"), b"n").errno == EROFS
    assert parse_parameter(spec("bool_enable_only", current=b"\1"), b"y").errno == 0
    result = parse_parameters("m", b"p p=0", [spec("bool_enable_only")])
    assert (result.errno, len(result.assignments)) == (EROFS, 1)


def test_charp_is_1024_bytes_at_most() -> None:
    assert parse_parameter(spec("charp"), b"x" * 1024).errno == 0
    result = parse_parameters("m", b"p=" + b"x" * 1025, [spec("charp")])
    assert (result.errno, result.assignments) == (ENOSPC, [])
    assert result.log[0] == "<3>p: string parameter too long"
    # The next record is longer than LOG_LINE_MAX (kernel/printk/printk.c): 992 bytes with level and NUL.
    assert result.log[1] == "<3>m: `" + "x" * (992 - 1 - 2 - len("m: `"))


def test_string_must_fit_with_its_end() -> None:
    """kernel/params.c:param_set_copystring"""
    result = parse_parameters("m", b"p=abcd", [spec("string", maxlen=4)])
    assert result.errno == ENOSPC
    assert result.log == ["<3>p: string doesn't fit in 3 chars.", "<3>m: `abcd' too large for parameter `p'"]


# --- arrays: kernel/params.c:param_array ---

def test_array() -> None:
    outcome = parse_parameter(array("int", 3, 4), b"1,-2,0x10\n")
    assert outcome.stored == Stored(ints(1, -2, 16), 3)
    texts = (CharP(b"a"), CharP(b""), CharP(b"b"))
    assert parse_parameter(array("charp", 3, 8), b"a,,b").stored == Stored(texts, 3)


@pytest.mark.parametrize(
    ("text", "errno", "values", "num", "log"),
    [
        (b"1,2,x", EINVAL, (1, 2), 2, ["<3>m: `1' invalid for parameter `p'"]),
        (b"1,9999999999,3", ERANGE, (1,), 1, ["<3>m: `1' invalid for parameter `p'"]),
        (b"x", EINVAL, (), 0, ["<3>m: `x' invalid for parameter `p'"]),
        (b"", EINVAL, (), 0, ["<3>m: `' invalid for parameter `p'"]),
        (b"1,", EINVAL, (1,), 1, ["<3>m: `1' invalid for parameter `p'"]),
        (b"1,2,3,4", EINVAL, (1, 2, 3), 3,
         ["<3>p: can only take 3 arguments", "<3>m: `1' invalid for parameter `p'"]),
    ],
)
def test_array_keeps_what_came_before_the_error(
    text: bytes, errno: int, values: tuple[int, ...], num: int, log: list[str],
) -> None:
    result = parse_parameters("m", b"p=" + text, [array("int", 3, 4)])
    assert (result.errno, result.log) == (errno, log)
    assert result.assignments == [(0, Stored(ints(*values), num))]


def test_array_shows_commas() -> None:
    """kernel/params.c:param_array_get"""
    assert format_array("param_ops_int", ints(1, -2)) == b"1,-2\n"
    assert format_array("param_ops_charp", [CharP(b"a"), CharP(None)]) == b"a,(null)\n"
    assert format_array("param_ops_int", []) == b""


# --- the whole text: kernel/params.c:parse_args, kernel/module/main.c ---

NO_VALUE = {"bool", "bool_enable_only", "bint"}  # the ops with KERNEL_PARAM_OPS_FL_NOARG


@pytest.mark.parametrize("kind", [row.removeprefix("param_ops_") for row in PARAM_TYPES])
def test_no_value(kind: str) -> None:
    result = parse_parameters("m", b"p", [spec(kind, maxlen=9)])
    if kind in NO_VALUE:
        assert (result.errno, result.log, len(result.assignments)) == (0, [], 1)
    else:
        assert (result.errno, result.log) == (EINVAL, ["<3>m: `' invalid for parameter `p'"])


@pytest.mark.parametrize("kind", [row.removeprefix("param_ops_") for row in PARAM_TYPES])
def test_empty_value(kind: str) -> None:
    result = parse_parameters("m", b"p=", [spec(kind, maxlen=9)])
    assert result.errno == (0 if kind in ("charp", "string") else EINVAL)


def test_all_are_tried_and_the_last_error_counts() -> None:
    kinds = {"a": "int", "b": "byte", "c": "uint"}
    params = [ParamSpec(name, f"param_ops_{kind}") for name, kind in kinds.items()]
    result = parse_parameters("m", b"a=x b=256 c=1 d=4", params)
    assert result.errno == ERANGE
    assert result.log == [
        "<3>m: `x' invalid for parameter `a'",
        "<3>m: `256' invalid for parameter `b'",
        "<4>m: unknown parameter 'd' ignored",
    ]
    assert result.assignments == [(2, Stored(ints(1)))]


def test_after_the_dashes() -> None:
    result = parse_parameters("m", b"p=1 -- rest of it", [spec("int")])
    assert (result.errno, result.after) == (0, b"rest of it")
    assert result.log == ["<4>m: parameters 'rest of it' after `--' ignored"]
    # an empty rest is still an address, so load_module prints it; an error takes its place
    assert parse_parameters("m", b"--", []).log == ["<4>m: parameters '' after `--' ignored"]
    assert parse_parameters("m", b"p=x -- rest", [spec("int")]).log == ["<3>m: `x' invalid for parameter `p'"]


def test_dangerous_options_taint_even_when_the_value_is_bad() -> None:
    """kernel/params.c:param_check_unsafe comes before set(), the missing value is refused before both."""
    unsafe = spec("int", flags=KERNEL_PARAM_FL_UNSAFE)
    danger = "<5>Setting dangerous option p - tainting kernel"
    good, bad = parse_parameters("m", b"p=1", [unsafe]), parse_parameters("m", b"p=x", [unsafe])
    assert (good.log, good.tainted) == ([danger], True)
    assert (bad.log, bad.tainted) == ([danger, "<3>m: `x' invalid for parameter `p'"], True)
    assert parse_parameters("m", b"p", [unsafe]).tainted is False


def test_hardware_parameters_under_lockdown() -> None:
    """security/lockdown/lockdown.c:lockdown_is_locked_down; the refusal comes before the taint."""
    hardware = spec("int", flags=KERNEL_PARAM_FL_HWPARAM | KERNEL_PARAM_FL_UNSAFE)
    result = parse_parameters("m", b"p=1", [hardware], lockdown="insmod")
    assert (result.errno, result.tainted, result.assignments) == (EPERM, False, [])
    assert result.log == [
        "<5>Lockdown: insmod: unsafe module parameters is restricted; see man kernel_lockdown.7",
        "<3>m: `1' invalid for parameter `p'",
    ]
    assert parse_parameters("m", b"p=1", [hardware]).errno == 0


def test_names_the_module_core_knows() -> None:
    """kernel/module/main.c:unknown_module_param_cb, lib/dynamic_debug.c:ddebug_dyndbg_param_cb"""
    assert parse_parameters("m", b"async_probe", []).async_probe is True
    assert parse_parameters("m", b"async_probe=0", []).async_probe is False
    assert parse_parameters("m", b"async_probe=maybe", []).async_probe is True
    assert parse_parameters("m", b"dyndbg", []).dyndbg == [(b"m", b"+p")]
    assert parse_parameters("m", b'foo.dyndbg="func x +p"', []).dyndbg == [(b"foo", b"func x +p")]
    assert parse_parameters("m", b"dyndbg=+p", []).log == []
    # the search for a dot cuts the name before it is printed
    assert parse_parameters("m", b"foo.bar=1", []).log == ["<4>m: unknown parameter 'foo' ignored"]


def test_foreign_operations() -> None:
    foreign = [ParamSpec("p", "my_ops"), ParamSpec("q", "my_ops", noarg=True)]
    result = parse_parameters("m", b"p=1", foreign)
    assert (result.errno, result.assignments, result.not_modelled) == (0, [], ["p"])
    errnos = {b"1": 0, b"2": ENOENT, b"3": ENOSPC, b"4": EROFS, None: 0}
    seen: list[bytes | None] = []

    def custom(ops: str, which: ParamSpec, text: bytes | None, offset: int) -> Outcome:
        seen.append(text)
        return Outcome(errnos[text])

    result = parse_parameters("m", b"p=1 p=2 p=3 p=4 p q", foreign, custom=custom)
    assert seen == [b"1", b"2", b"3", b"4", None]
    assert (result.errno, result.not_modelled) == (EINVAL, [])
    assert result.log == [
        "<3>m: Unknown parameter `p'",
        "<3>m: `3' too large for parameter `p'",
        "<3>m: `4' invalid for parameter `p'",
        "<3>m: `' invalid for parameter `p'",
    ]


def test_values_are_stored_in_order_before_the_next_is_parsed() -> None:
    happened: list[object] = []

    def custom(ops: str, which: ParamSpec, text: bytes | None, offset: int) -> Outcome:
        happened.append(text)
        return Outcome()

    def store(index: int, stored: Stored) -> None:
        happened.append((index, stored))

    params = [ParamSpec("p", "param_ops_int"), ParamSpec("q", "my_ops")]
    parse_parameters("m", b"p=1 q=x p=2", params, custom=custom, store=store)
    assert happened == [(0, Stored(ints(1))), b"x", (0, Stored(ints(2)))]


# --- writes in sysfs: kernel/params.c:param_attr_store, fs/sysfs/file.c ---

def test_write() -> None:
    written = write_parameter(spec("int"), b"5\n")
    assert (written.errno, written.taken, written.stored) == (0, 2, Stored(ints(5)))
    assert write_parameter(spec("charp"), b"a\n").stored == Stored((CharP(b"a\n"),))
    assert write_parameter(spec("bool"), b"\n").errno == EINVAL
    bad = write_parameter(spec("int", flags=KERNEL_PARAM_FL_UNSAFE), b"x\n")
    assert (bad.errno, bad.taken, bad.tainted) == (EINVAL, 0, True)
    assert bad.log == ("<5>Setting dangerous option p - tainting kernel",)
    assert write_parameter(spec("int"), b"").taken == 0
    assert write_parameter(spec("int"), b"5\0x").taken == 3
    assert write_parameter(array("int", 2, 4), b"1,2,3\n").log == ("<3>p: can only take 2 arguments",)


def test_records_are_cut() -> None:
    """kernel/printk/printk.c:vprintk_store: level, text, newline and NUL in at most LOG_LINE_MAX bytes."""
    assert printk_cut(b"x" * 988) == b"x" * 988
    assert printk_cut(b"x" * 989) == b"x" * 989
    assert printk_cut(b"x" * 990) == b"x" * 989
    assert printk_cut(b"x" * 70000) == b"x" * 989
    assert printk_cut(b"x" * 65600) == b"x" * (65604 - 65536 - 3)  # the size wraps in 16 bits
