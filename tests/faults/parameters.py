# SPDX-License-Identifier: GPL-2.0-only
"""Parameter lines for the sample hello, which has a parameter of every standard type."""

from __future__ import annotations

from .case import Case, Operation, load, parameter, read, unload, write

BOOT = "parameters"

# (parameter line, the parameters to read back)
LINES: list[tuple[str, str]] = [
    (
        "",
        "howmany whom a_byte a_short a_ushort an_int a_uint a_long a_ulong a_ullong a_hexint a_charp a_bool "
        "an_invbool a_bint a_string numbers coordinates outer_name hidden risky port",
    ),
    ("howmany=3", "howmany"),
    ("howmany=0x10", "howmany"),
    ("howmany=010", "howmany"),
    ("howmany=08", "howmany"),
    ("howmany=-1", "howmany"),
    ("an_int=+7", "an_int"),
    ("an_int=7\n", "an_int"),
    ("an_int=7\n\n", "an_int"),
    ("an_int=", "an_int"),
    ("an_int", "an_int"),
    ("an_int=7x", "an_int"),
    ("an_int=--7", "an_int"),
    ("an_int=-", "an_int"),
    ("an_int=0x", "an_int"),
    ("an_int=2147483647", "an_int"),
    ("an_int=2147483648", "an_int"),
    ("an_int=-2147483648", "an_int"),
    ("an_int=-2147483649", "an_int"),
    ("an_int=99999999999999999999", "an_int"),
    ("a_byte=255", "a_byte"),
    ("a_byte=256", "a_byte"),
    ("a_byte=-1", "a_byte"),
    ("a_byte=x", "a_byte"),
    ("a_short=32767", "a_short"),
    ("a_short=32768", "a_short"),
    ("a_short=-32768", "a_short"),
    ("a_short=-32769", "a_short"),
    ("a_ushort=65535", "a_ushort"),
    ("a_ushort=65536", "a_ushort"),
    ("a_ushort=-1", "a_ushort"),
    ("a_uint=4294967295", "a_uint"),
    ("a_uint=4294967296", "a_uint"),
    ("a_uint=-1", "a_uint"),
    ("a_long=-9223372036854775808", "a_long"),
    ("a_long=9223372036854775808", "a_long"),
    ("a_long=1.5", "a_long"),
    ("a_ulong=18446744073709551615", "a_ulong"),
    ("a_ulong=18446744073709551616", "a_ulong"),
    ("a_ulong=-1", "a_ulong"),
    ("a_ullong=0xffffffffffffffff", "a_ullong"),
    ("a_ullong=18446744073709551616", "a_ullong"),
    ("a_hexint=255", "a_hexint"),
    ("a_hexint=0xbeef", "a_hexint"),
    ("a_hexint=beef", "a_hexint"),
    ("a_hexint=0", "a_hexint"),
    ("a_bool", "a_bool"),
    ("a_bool=", "a_bool"),
    ("a_bool=y", "a_bool"),
    ("a_bool=N", "a_bool"),
    ("a_bool=1", "a_bool"),
    ("a_bool=on", "a_bool"),
    ("a_bool=oF", "a_bool"),
    ("a_bool=o", "a_bool"),
    ("a_bool=yesno", "a_bool"),
    ("a_bool=2", "a_bool"),
    ("a_bool=true", "a_bool"),
    ("a_bool=ox", "a_bool"),
    ("an_invbool", "an_invbool"),
    ("an_invbool=y", "an_invbool"),
    ("an_invbool=0", "an_invbool"),
    ("an_invbool=x", "an_invbool"),
    ("a_bint", "a_bint"),
    ("a_bint=0", "a_bint"),
    ("a_bint=off", "a_bint"),
    ("a_bint=7", "a_bint"),
    ("a_bint=", "a_bint"),
    ("a_charp=", "a_charp"),
    ("a_charp", "a_charp"),
    ("a_charp=word", "a_charp"),
    ('a_charp="two words"', "a_charp"),
    ('"a_charp=two words"', "a_charp"),
    ('a_charp="never closed', "a_charp"),
    ("a_charp='two words'", "a_charp"),
    ('a_charp=in"side out"side', "a_charp"),
    ("a_charp=x=y", "a_charp"),
    ("a_charp=" + "x" * 1024, "a_charp"),
    ("a_charp=" + "x" * 1025, "a_charp"),
    ('a_charp=""', "a_charp"),
    ("a_string=fifteen-letters", "a_string"),
    ("a_string=sixteen-letters!", "a_string"),
    ("a_string=", "a_string"),
    ("a_string", "a_string"),
    ("numbers=5", "numbers"),
    ("numbers=5,6,7,8", "numbers"),
    ("numbers=1,2,3,4,5", "numbers"),
    ("numbers=", "numbers"),
    ("numbers", "numbers"),
    ("numbers=1,x,3", "numbers"),
    ("numbers=1,,3", "numbers"),
    ("numbers=1,2,", "numbers"),
    ("numbers=99999999999,1", "numbers"),
    ("coordinates=5", "coordinates"),
    ("coordinates=1,2,3", "coordinates"),
    ("coordinates=1,2,3,4", "coordinates"),
    ("numbers=0x10,-3", "numbers"),
    ("outer_name=9", "outer_name"),
    ("inner_name=9", "outer_name"),
    ("hidden=5", "hidden"),
    ("port=0x3f8", "port"),
    ("risky=1", "risky"),
    ("risky=2", "risky"),
    ("an-int=12", "an_int"),
    ("an_int=1 an_int=2", "an_int"),
    ("  an_int=1\t\n howmany=2  ", "an_int howmany"),
    ("nobody=1", "howmany"),
    ("nobody", "howmany"),
    ("hello.howmany=2", "howmany"),
    ("=3", "howmany"),
    ("howmany =3", "howmany"),
    ("howmany=x nobody=1 a_byte=999", "howmany"),
    ("a_byte=999 howmany=x", "howmany"),
    ("howmany=x an_int=5 ", "an_int"),
    ("howmany=2 -- an_int=9 rest", "howmany an_int"),
    ("--", "howmany"),
    ("-- ", "howmany"),
    ("howmany=2 -- ", "howmany"),
    ("dyndbg=+p", "howmany"),
    ("async_probe", "howmany"),
    ("async_probe=0", "howmany"),
    ("hello.dyndbg", "howmany"),
    ("a_charp=\xc3\xa4\x01\x7f", "a_charp"),
]


def _label(number: int, line: str) -> str:
    words = "".join(
        c if c.isalnum() or c in "=-_+.," else "." for c in line.encode("latin-1").decode("ascii", "replace")
    )
    return f"parameters/{number:03d}-{words[:40]}"


def _line_case(number: int, line: str, names: str) -> Case:
    reads = tuple(read(parameter(name)) for name in names.split())
    return Case(_label(number, line), "parameters", (load("hello", line), *reads, unload()), BOOT)


def _write_steps() -> list[Operation]:
    values = [
        ("howmany", "5"),
        ("howmany", "6\n"),
        ("howmany", "x"),
        ("howmany", "99999999999"),
        ("howmany", ""),
        ("whom", "you"),
        ("a_charp", "hi there\n"),
        ("a_charp", "x" * 1025),
        ("a_bool", "n"),
        ("a_bool", "q"),
        ("a_string", "long enough, more than sixteen"),
        ("a_string", "words\n"),
        ("numbers", "9,8"),
        ("numbers", "1,2,3,4,5"),
        ("coordinates", "7"),
        ("hidden", "1"),
        ("outer_name", "1"),
        ("port", "1"),
        ("risky", "3"),
        ("a_hexint", "17"),
    ]
    steps: list[Operation] = []
    for name, text in values:
        steps += [write(parameter(name), text), read(parameter(name))]
    return steps


CASES = [
    *[_line_case(number, line, names) for number, (line, names) in enumerate(LINES)],
    Case("parameters-sysfs/write", "parameters-sysfs", (load("hello"), *_write_steps(), unload()), BOOT),
    Case(
        "parameters-sysfs/nobody",
        "parameters-sysfs",
        (
            load("hello"),
            write(parameter("nobody"), "1"),
            read("/sys/module/hello/nothing"),
            read("/sys/module/nobody/refcnt"),
            write("/sys/module/hello/refcnt", "5"),
            unload(),
            read(parameter("howmany")),
        ),
        BOOT,
    ),
    Case(
        "parameters/callback",
        "parameters",
        (
            load("param_callback", "percent=70 verbose verbose"),
            read(parameter("percent", "param_callback")),
            read(parameter("verbose", "param_callback")),
            unload("param_callback"),
        ),
        BOOT,
    ),
    Case(
        "parameters/callback-flag",
        "parameters",
        (load("param_callback", "verbose verbose"), unload("param_callback")),
        BOOT,
    ),
    Case("parameters/callback-range", "parameters", (load("param_callback", "percent=101"),), BOOT),
    Case("parameters/callback-no-value", "parameters", (load("param_callback", "percent"),), BOOT),
]
