# SPDX-License-Identifier: GPL-2.0-only
"""Bytes that were guessed: read from what was typed, held against what came, a usual mistake named."""

from __future__ import annotations

from collections.abc import Mapping


def bytes_of(guess: str, size: int) -> bytes:
    """A guess as ``size`` bytes: "e8 fc ff", or a number with a sign or 0x before it, stored little-endian.

    ValueError, with what is wrong, for anything else.
    """
    words = guess.strip().lower()
    number = words.lstrip("+-")
    if words[:1] in ("+", "-") or words.startswith("0x"):
        try:
            value = int(number, 16 if number.startswith("0x") else 10)
        except ValueError:
            raise ValueError(f"{guess!r} is no number") from None
        return ((-value if words[0] == "-" else value) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    try:
        return bytes.fromhex(words.replace(",", " "))
    except ValueError:
        words = f"{guess!r} are no bytes: write two hex digits for each, or 0x… for a number"
        raise ValueError(words) from None


def judge_bytes(guess: str, came: bytes, mistakes: Mapping[bytes, str]) -> str:
    """One line about guessed bytes: right, a known mistake, or which byte is the first that differs."""
    guessed = bytes_of(guess, len(came))
    if guessed == came:
        return f"✓ Right: {came.hex(' ') or 'nothing is stored'}"
    if guessed in mistakes:
        return f"✗ {guessed.hex(' ')}: {mistakes[guessed]}"
    if len(guessed) != len(came):
        return f"✗ The field has {len(came)} bytes, you wrote {len(guessed)}"
    first = next(i for i, (one, other) in enumerate(zip(guessed, came, strict=True)) if one != other)
    return f"✗ {guessed.hex(' ')}: byte {first} of {len(came)} is the first that differs"
