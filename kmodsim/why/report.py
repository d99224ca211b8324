# SPDX-License-Identifier: GPL-2.0-only
"""The answer to "will it load?": verdict, causes in the kernel's order, what to load first. Text and JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..errors import ENOKEY, KernelError, errno_name
from ..loader.signature import judge_signature
from ..loader.signature_check import ENODATA, MARKER, verify_signature
from ..userland.dmesg import text_of
from ..userland.explain import errno_words, tool_line

WIDTH, LABEL = 100, 11
VERDICTS = {
    0: "verified: the kernel has the key", ENODATA: "none", ENOKEY: "by a key the kernel does not have",
    65: "of a kind the kernel cannot check", 129: "does not fit the file", 74: "damaged",
}  # fmt: skip


@dataclass(frozen=True)
class Cause:
    """One reason for a refusal.

    key: its row in ``causes.CAUSES`` or ``SYMBOL_ROWS``; stage: the kernel function that refuses; insmod: the
    line that insmod prints; dmesg: the kernel's records; means, todo: in plain words; facts: the values in
    these words (symbol, mine, kernels, …).
    """

    key: str
    stage: str
    error: KernelError = field(repr=False, compare=False)
    insmod: str
    dmesg: tuple[str, ...]
    means: str
    todo: str
    facts: dict[str, str]

    @property
    def errno(self) -> int | None:
        return self.error.errno

    def to_dict(self) -> dict[str, Any]:
        return {"cause": self.key, "stage": self.stage, "errno": self.errno,
                "errno_name": _name(self.error),
                "insmod": self.insmod, "dmesg": list(self.dmesg), "means": self.means,
                "do": self.todo, "facts": self.facts}  # fmt: skip


@dataclass(frozen=True)
class Needed:
    """A module to be loaded first: path "" when there is no such file here; refused: what refuses it."""

    name: str
    path: str
    refused: KernelError | None

    def __str__(self) -> str:
        if not self.path:
            return f"{self.name} (not found here)"
        said = self.refused and (text_of(self.refused.dmesg[-1]) if self.refused.dmesg else "")
        if self.refused is None:
            return self.name
        return f"{self.name} (refused itself: {errno_words(self.refused)}{', ' + said if said else ''})"


@dataclass
class Report:
    """Will it load, and why not. ``str()`` is text, ``to_dict()`` plain data.

    error: what insmod is answered now, None when it loads; first: modules that were loaded before it;
    dmesg: the records of a load that succeeds; unchecked: what is not known of that kernel; complete False:
    behind the last cause there may be more.
    """

    filename: str
    kernel: Any
    data: bytes = field(repr=False)
    error: KernelError | None
    causes: list[Cause]
    first: list[Needed]
    dmesg: list[str]
    unchecked: list[str]
    complete: bool

    @property
    def loads(self) -> bool:
        return not self.causes and not any(needed.refused for needed in self.first)

    @cached_property
    def signature(self) -> dict[str, Any]:
        """Signer, key, whether the kernel verifies it, and what enforcing kernels would answer."""
        from ..modulefile import ModuleFile

        errno = ENODATA
        if self.data.endswith(MARKER):
            known, ecdsa = self.kernel.profile, "CONFIG_CRYPTO_ECDSA" in self.kernel.profile.config
            errno = verify_signature(self.data, known.keyring, (), ecdsa, known.rules.oids).errno
        signature = ModuleFile(self.data).signature if errno != ENODATA else None
        details = signature.details() if signature else None
        state = VERDICTS.get(errno, errno_name(errno))
        if errno == ENOKEY and not self.kernel.profile.keyring:
            state = "by a key that could not be looked up; the answers below are for an unknown key"
        return {
            "state": state, "verified": errno == 0,
            "signer": details.signer if details else None, "key": details.key if details else None,
            "hash": details.hash if details else None,
            "sig_enforce": _answer(judge_signature(errno, True, False)),
            "lockdown": _answer(judge_signature(errno, False, True)),
        }  # fmt: skip

    def verdict(self) -> str:
        kernel = self.kernel.profile
        where = f"on {kernel.name} ({kernel.release})"
        if self.loads:
            return f"{self.filename} loads {where}{', as far as could be checked' if self.unchecked else ''}."
        if not self.causes:
            return f"{self.filename} does not load {where}: what it needs is refused."
        count = f"{len(self.causes)} cause" + "s" * (len(self.causes) > 1)
        return f"{self.filename} does not load {where}: {count}."

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = WIDTH) -> str:
        """Verdict, what to load first, the causes, the signature; lines of at most ``width`` columns where
        words allow it."""
        lines = [self.verdict()]
        lines += _row("first", ", ".join(map(str, self.first)), width)
        if len(self.causes) > 1 and self.error is not None:  # several symbols: one answer, the last one's
            lines += _row("now", f"{errno_words(self.error)}, in {self.error.stage}", width)
        for number, cause in enumerate(self.causes, 1):
            lines += ["", f"{number}. {cause.key}, in {cause.stage}", *_lines(cause, width)]
        if self.causes and not self.complete:
            lines += ["", "Nothing behind the last cause could be looked at."]
        lines += ["", *self._rest(width)]
        return "\n".join(lines) + "\n"

    def _rest(self, width: int) -> Iterator[str]:
        for record in self.dmesg:
            yield from _row("dmesg", text_of(record), width)
        signature = self.signature
        who = f", {signature['hash']}, by {signature['signer'] or 'no name'}, key {signature['key']}"
        yield from _row("signature", signature["state"] + (who if signature["key"] else ""), width)
        for label, key in (("", "module.sig_enforce=1"), ("", "lockdown=integrity")):
            yield from _row(label, f"{key}: {signature[key.split('=')[0].removeprefix('module.')]}", width)
        for line in self.unchecked:
            yield from _row("unchecked", line, width)
        if self.loads:
            yield from _row("note", "Its init function was not run: what it answers is its own.", width)

    def to_dict(self) -> dict[str, Any]:
        """Fields as docs/why.md lists them."""
        error = self.error
        answer = None if error is None else {
            "stage": error.stage, "errno": error.errno, "errno_name": _name(error),
            "insmod": tool_line(self.filename, error), "dmesg": list(error.dmesg),
        }  # fmt: skip
        return {
            "file": self.filename, "kernel": self.kernel.profile.name,
            "release": self.kernel.profile.release, "loads": self.loads, "verdict": self.verdict(),
            "answer": answer, "causes": [cause.to_dict() for cause in self.causes], "complete": self.complete,
            "first": [{"name": n.name, "path": n.path or None,
                       "refused": None if n.refused is None else errno_words(n.refused)} for n in self.first],
            "dmesg": self.dmesg, "signature": self.signature, "unchecked": self.unchecked,
        }  # fmt: skip


def _name(error: KernelError) -> str | None:
    return None if error.errno is None else errno_name(error.errno)


def _answer(judged: tuple[int, str]) -> str:
    errno, record = judged
    if not errno:
        return "loads"
    said = f" ({text_of(record.format(comm='insmod'))})" if record else ""
    return f"{errno_name(errno)}{said}"


def _lines(cause: Cause, width: int) -> Iterator[str]:
    yield from _row("errno", errno_words(cause.error), width)
    yield from _row("insmod", cause.insmod, width)
    for record in cause.dmesg or ("<6>(nothing)",):
        yield from _row("dmesg", text_of(record), width)
    yield from _row("means", cause.means, width)
    yield from _row("do", cause.todo, width)


def _row(label: str, text: str, width: int) -> list[str]:
    if not text:
        return []
    return textwrap.wrap(
        text, max(40, width), initial_indent=f"   {label:<{LABEL - 3}} ", subsequent_indent=" " * (LABEL + 1),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
