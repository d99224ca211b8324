# SPDX-License-Identifier: GPL-2.0-only
"""What each stage of a load or unload did: one self-sufficient record a stage.

A record can be drawn without its neighbours. Changes hold only the ranges that changed, and large sets of
them (a
relocation table) stay in arrays until somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, overload

from .memory import Change


class Changes(Sequence[Change]):
    """An ordered list of ``Change``; parts that are arrays become Changes only when read."""

    def __init__(self, parts: Sequence[Any] = ()) -> None:
        self._parts = list(parts)

    def __len__(self) -> int:
        return sum(1 if isinstance(p, Change) else len(p) for p in self._parts)

    def __iter__(self) -> Iterator[Change]:
        for part in self._parts:
            if isinstance(part, Change):
                yield part
            else:
                yield from part

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> list[Change]: ...
    def __getitem__(self, index: int | slice) -> Change | list[Change]:
        if isinstance(index, slice):
            return list(self)[index]
        wanted = index + len(self) if index < 0 else index
        for part in self._parts:
            size = 1 if isinstance(part, Change) else len(part)
            if 0 <= wanted < size:
                return part if isinstance(part, Change) else part[wanted]
            wanted -= size
        raise IndexError(index)

    @property
    def size(self) -> int:
        """Bytes that were stored."""
        return sum(len(p.after) if isinstance(p, Change) else p.size for p in self._parts)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    def __repr__(self) -> str:
        return f"<{len(self)} changes, {self.size} bytes>"


@dataclass(frozen=True)
class Record:
    """One stage: what went in, what came out, which bytes changed, what it printed, and what it models."""

    stage: str
    function: str
    source: str
    since: str
    title: str
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    log: tuple[str, ...] = ()
    error: str | None = None
    note: str = ""  # e.g. "not modelled: …"

    def summary(self) -> str:
        """One short line of what came out."""
        if self.error:
            return self.error
        facts = ", ".join(_fact(name, value) for name, value in self.outputs.items())
        stored = f"{len(self.changes)} changes, {self.changes.size} bytes" if len(self.changes) else ""
        return "; ".join(part for part in (facts, stored, self.note) if part)


def _fact(name: str, value: Any) -> str:
    """``name=value`` for small things, "36 sections" for large ones."""
    if isinstance(value, (list, tuple, dict)) and len(value) > 4 and not hasattr(value, "_fields"):
        return f"{len(value)} {name}" if name.endswith("s") else f"{name} ({len(value)} entries)"
    return f"{name}={_short(value)}"


def _short(value: Any, width: int = 72) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 20:
        return f"{value:#x}"
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return ",".join(_short(v, 24) for v in value) or "none"
    line = "none" if value in (None, "") else repr(value) if isinstance(value, bytes) else str(value)
    return line if len(line) <= width else line[: width - 1] + "…"


class Trace(Sequence[Record]):
    """The records of one call in order; append-only. Renders as a table in a notebook and as text
    elsewhere."""

    def __init__(self) -> None:
        self._records: list[Record] = []

    def append(self, record: Record) -> None:
        self._records.append(record)

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        return self._records[index]

    def stage(self, name: str) -> Record:
        """The record of the stage ``name``; KeyError when the load never got there."""
        for record in self._records:
            if record.stage == name:
                return record
        raise KeyError(name)

    def __str__(self) -> str:
        rows = [(str(i), r.stage, r.source, r.summary()) for i, r in enumerate(self._records, 1)]
        rows.insert(0, ("#", "stage", "source", "what came out"))
        widths = [max(len(row[c]) for row in rows) for c in range(3)]
        return "\n".join(
            "  ".join(
                [row[0].rjust(widths[0]), row[1].ljust(widths[1]), row[2].ljust(widths[2]), row[3]]
            ).rstrip()
            for row in rows
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(
            f'<th scope="col" style="text-align:left">{h}</th>'
            for h in ("#", "stage", "source", "what came out")
        )
        body = "".join(
            f'<tr><td>{i}</td><th scope="row" style="text-align:left">{escape(r.stage)}</th>'
            f'<td><code>{escape(r.source)}</code></td>'
            f'<td style="text-align:left">{escape(r.summary())}</td></tr>'
            for i, r in enumerate(self._records, 1)
        )
        caption = "<caption>Stages, in the kernel's order</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
