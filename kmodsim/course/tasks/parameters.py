# SPDX-License-Identifier: GPL-2.0-only
"""07: parameters, states, init: words, numbers, truth values, arrays, and what init's answer means."""

from __future__ import annotations

import re
from random import Random

from ... import params
from ...errors import EINVAL, ERANGE, KernelError
from ...loader.init import MAX_ERRNO
from ...loader.init import judge_init as core_judge
from ...params import ArraySpec, IntType, ParamSpec
from ..task import Case, Claim, Task, drawn, fixed

KSTRTOX = "lib/kstrtox.c"
OPS = {
    (1, False): "byte",
    (2, True): "short",
    (2, False): "ushort",
    (4, True): "int",
    (4, False): "uint",
    (8, True): "long",
    (8, False): "ulong",
}


def parse_args(text: bytes, quote: bytes = b'"') -> tuple[list[tuple[bytes, bytes | None]], bytes | None]:
    """With another quote: the two letters change places, and back in the result."""
    swap = bytes.maketrans(b'"' + quote, quote + b'"')
    pairs, after = params.parse_args(text.translate(swap))
    back = [(name.translate(swap), None if value is None else value.translate(swap)) for name, value in pairs]
    return back, None if after is None else after.translate(swap)


WORDS = (
    b"howmany=3",
    b'whom="you and me"',
    b"debug",
    b'"whom=a b"',
    b"a=b=c",
    b"empty=",
    b"=x",
    b'x="',
    b"list=1,2,3",
)


def _arguments(quote: bytes):  # type: ignore[no-untyped-def]
    def make(random: Random) -> Case:
        chosen = random.sample(WORDS, random.randrange(1, 5))
        if random.random() < 0.3:
            chosen.insert(random.randrange(len(chosen) + 1), b"--")
        text = b"".join(word + random.choice((b" ", b"  ", b"\t", b"\n ")) for word in chosen)
        return (text,) if quote == b'"' else (text.replace(b'"', quote), quote)

    return make


def kstrto(text: bytes, size: int, signed: bool, base: int = 0) -> tuple[int, int]:
    """(errno, value); other bases than 0 by the rule of ``_parse_integer_fixup_radix``."""
    try:
        if base == 0:
            return 0, params.kstrto(IntType("", size, signed), text)
        sign, digits = re.fullmatch(rb"([+-]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        if base == 16:
            digits = re.sub(rb"^0[xX]", b"", digits, count=1)
        good = re.fullmatch(
            rb"[0-9a-fA-F]+\n?" if base == 16 else rb"[0-%d]+\n?" % (base - 1 if base < 10 else 9), digits
        )
        if not good or (sign == b"-" and not signed):
            return EINVAL, 0
        value = int(digits, base) * (-1 if sign == b"-" else 1)
        low, high = IntType("", size, signed).limits
        return (0, value) if low <= value <= high else (ERANGE, 0)
    except KernelError as error:
        return error.errno or EINVAL, 0


def _number(random: Random) -> bytes:
    value = random.choice(
        (0, 7, 8, 255, 256, 32767, 32768, 65535, 65536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32)
    )
    return random.choice((b"%d", b"0x%x", b"0%o", b"-%d", b"+%d")) % value


def _kind(random: Random) -> tuple[int, bool]:
    return random.choice(tuple(OPS))


GARBAGE = (
    b"",
    b"-",
    b"+",
    b"x",
    b"0x",
    b"09",
    b"1 ",
    b" 1",
    b"1\n\n",
    b"--1",
    b"-+1",
    b"1e3",
    b"0b1",
    b"12a",
    b"1_000",
)


def _based(random: Random) -> Case:
    base = random.choice((8, 10, 16))
    value = random.choice((0, 7, 9, 10, 64, 255, 256, 4095, 65535, 65536))
    text = random.choice((b"%d", b"%x", b"0x%x", b"0%o", b"+%d", b"-%d")) % value
    return text, *random.choice(((1, False), (2, True), (4, True), (4, False))), base


def kstrtobool(text: bytes | None, letters: tuple[str, str] = ("yt1", "nf0")) -> int:
    """1, 0 or -EINVAL."""
    if letters == ("yt1", "nf0"):
        try:
            return int(params.kstrtobool(text))
        except KernelError:
            return -EINVAL
    word = (text or b"")[:2].lower().decode("latin-1")
    for value, which, second in ((1, letters[0], "n"), (0, letters[1], "f")):
        if word[:1] and (word[0] in which or word == "o" + second):
            return value
    return -EINVAL


BOOLS = (
    b"y",
    b"Y",
    b"yes",
    b"n",
    b"No",
    b"1",
    b"0",
    b"10",
    b"on",
    b"ON",
    b"off",
    b"of",
    b"o",
    b"ox",
    b"t",
    b"True",
    b"f",
    b"false",
    b"",
    b"2",
    b" y",
    b"j",
    b"ja",
)


def parse_array(
    text: bytes, size: int, signed: bool, maximum: int, comma: bytes = b","
) -> tuple[int, list[int]]:
    kind = OPS[size, signed]
    spec = ParamSpec("p", params.ARRAY_OPS, array=ArraySpec(maximum, size, f"param_ops_{kind}"))
    outcome = params.parse_array(spec, text.replace(comma, b","))
    values = outcome.stored.values if outcome.stored else ()
    return outcome.errno, [int.from_bytes(value, "little", signed=signed) for value in values]  # type: ignore[arg-type]


def _list(comma: bytes):  # type: ignore[no-untyped-def]
    def make(random: Random) -> Case:
        words = [
            random.choice((b"1", b"2", b"300", b"0x10", b"-1", b"70000", b"x", b""))
            for _ in range(random.randrange(1, 6))
        ]
        size, signed = random.choice(((1, False), (2, True), (4, True)))
        case = (comma.join(words), size, signed, random.randrange(1, 5))
        return case if comma == b"," else (*case, comma)

    return make


def judge_init(
    returned: int, limit: int = MAX_ERRNO, positive_fails: bool = False
) -> tuple[str, int | None, bool]:
    """(what becomes of the module, errno for the caller or None, whether the kernel warns)."""
    if positive_fails and returned > 0:
        return "GONE", EINVAL, False
    stays, log = core_judge("m", returned)
    if stays:
        return "LIVE", 0, bool(log)
    return "GONE", -returned if -returned <= limit else None, False


TASKS = (
    Task(
        "parse_args",
        "lib/cmdline.c:next_arg, kernel/params.c:parse_args",
        parse_args,
        (
            Claim("two words, one without a value", 1, "public", fixed((b"howmany=3 debug",), (b"",))),
            Claim(
                "quotes around a value, and around a whole word",
                1,
                "hidden",
                fixed(
                    (b'whom="you and me" x=1',),
                    (b'"whom=you and me" x',),
                    (b'a="b"c d',),
                    (b'a="never closed b=1',),
                ),
            ),
            Claim(
                "the first = divides; one at the start does not count",
                1,
                "hidden",
                fixed((b"a=b=c",), (b"=x y",), (b"a==",)),
            ),
            Claim(
                "-- ends it: the rest is for init",
                1,
                "hidden",
                fixed((b"a=1 -- b=2  c",), (b"--",), (b"a --",), (b"--=1 x",)),
            ),
            Claim("words of all kinds, spaces of all kinds", 1, "hidden", drawn(90, _arguments(b'"'))),
            Claim(
                "variant: another letter quotes",
                3,
                "variant",
                lambda random: [_arguments(random.choice((b"'", b"`", b"|")))(random) for _ in range(90)],
            ),
        ),
        "One pass over the letters with a flag in_quote that every quote turns; the word ends at a "
        "space outside quotes.",
    ),
    Task(
        "kstrto",
        f"{KSTRTOX}:kstrtoull, kstrtoll, kstrtoint",
        kstrto,
        (
            Claim(
                "decimal numbers", 1, "public", fixed((b"3", 4, True), (b"-3", 4, True), (b"300", 1, False))
            ),
            Claim(
                "0x is 16, a leading 0 is 8",
                1,
                "hidden",
                fixed(
                    (b"0x10", 4, True),
                    (b"010", 4, True),
                    (b"0X1f", 2, False),
                    (b"0", 1, False),
                    (b"00", 4, True),
                    (b"-0x8", 2, True),
                ),
            ),
            Claim(
                "a number that does not fit: ERANGE",
                1,
                "hidden",
                lambda random: [(_number(random), *_kind(random)) for _ in range(120)],
            ),
            Claim(
                "malformed: EINVAL. One newline at the end is fine",
                1,
                "hidden",
                fixed(*((text, 4, True) for text in GARBAGE), (b"1\n", 4, True), (b"-1", 4, False)),
            ),
            Claim("variant: a base that is given: 8, 10 or 16", 2, "variant", drawn(120, _based)),
        ),
        "Sign, then radix, then digits; no digits: EINVAL; too large: ERANGE; rest other than one "
        "newline: EINVAL.",
    ),
    Task(
        "kstrtobool",
        f"{KSTRTOX}:kstrtobool",
        kstrtobool,
        (
            Claim("y, n, 1, 0", 1, "public", fixed((b"y",), (b"n",), (b"1",), (b"0",))),
            Claim(
                "only the first letter counts, after o the second",
                1,
                "hidden",
                fixed(*((text,) for text in BOOLS)),
            ),
            Claim("nothing at all: EINVAL", 1, "hidden", fixed((None,), (b"",))),
            Claim(
                "variant: other letters (Linux 5.10 knows no t and f)",
                2,
                "variant",
                lambda random: [
                    (text, letters)
                    for letters in (("y1", "n0"), random.choice((("j1", "n0"), ("s1", "x0"))))
                    for text in BOOLS
                ],
            ),
        ),
        "Return 1, 0 or -22. text may be None.",
    ),
    Task(
        "parse_array",
        "kernel/params.c:param_array",
        parse_array,
        (
            Claim("three numbers", 1, "public", fixed((b"1,2,3", 4, True, 3))),
            Claim(
                "too many: EINVAL, but the first ones are stored",
                1,
                "hidden",
                fixed((b"1,2,3,4", 4, True, 3), (b"1,2", 1, False, 1)),
            ),
            Claim("the first bad element ends it with its errno", 1, "hidden", drawn(72, _list(b","))),
            Claim(
                "variant: another letter divides",
                2,
                "variant",
                lambda random: [_list(random.choice((b":", b";", b"/")))(random) for _ in range(72)],
            ),
        ),
        "Elements are numbers as in kstrto, with base 0. What was stored before an error stays.",
    ),
    Task(
        "judge_init",
        "kernel/module/main.c:do_init_module",
        judge_init,
        (
            Claim("0 and -ENODEV", 1, "public", fixed((0,), (-19,))),
            Claim("a positive number: LIVE, with a warning", 1, "hidden", fixed((1,), (19,), (1 << 30,))),
            Claim(
                "below -4095 the C library sees no error, yet the module is gone",
                1,
                "hidden",
                fixed((-4095,), (-4096,), (-1 << 31,)),
            ),
            Claim(
                "variant: another limit, or a kernel that refuses positive numbers",
                2,
                "variant",
                lambda random: [
                    (
                        random.choice((0, 1, -19, -600, -2000, -5000)),
                        random.choice((515, 1023, 4095)),
                        random.random() < 0.5,
                    )
                    for _ in range(24)
                ],
            ),
        ),
        "Three answers: negative, zero, positive. errno is -returned, None where it exceeds the limit.",
    ),
)
