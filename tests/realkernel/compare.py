# SPDX-License-Identifier: GPL-2.0-only
"""A recorded answer beside a replayed one: what differs, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NEVER_BACK = -1
RECORD_CHARACTERS = 900  # a longer printk record was cut by the real kernel (LOG_LINE_MAX and its prefix)


def differences(wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each thing that is not as recorded; empty when all is equal."""
    if len(wanted) != len(found):
        return [f"{len(found)} steps instead of {len(wanted)}"]
    return [
        f"step {number} {_name(step['call'])}: {line}"
        for number, (step, answer) in enumerate(zip(wanted, found, strict=True))
        for line in _step(step["answer"], answer)
    ]


def _name(call: Mapping[str, Any]) -> str:
    return " ".join(
        str(call[key])[:40] for key in ("op", "file", "name", "path", "module", "params") if key in call
    )


def _step(real: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    lines = [f"{key}: {model[key]}" for key in ("unexpected", "never") if key in model]
    lines += [f"a failed call changed {', '.join(model['changed'])}"] if model.get("changed") else []
    if "started" not in real:
        lines += _outcome(real, model)
    lines += _logs(real.get("log", []), model.get("log", []))
    lines += _unequal("printed", real.get("printed", []), model.get("printed", []))
    if "blocked" not in real:  # somebody died with module_mutex held: nobody can read the list any more
        lines += _unequal("/proc/modules", real.get("modules", []), model.get("modules"))
    lines += _unequal("tainted", real["tainted"], model.get("tainted"))
    lines += (
        _tables("", real.get("files", {}), model.get("files", {}))
        if "errno" not in real or not real["errno"]
        else []
    )
    lines += _unequal_lists("path", real.get("paths", []), model.get("paths", []))
    lines += _unequal_lists("symbol", real.get("symbols", []), model.get("symbols", []))
    return lines


def _outcome(real: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    """errno, and whether the caller died. A caller that never came back (-1) waits for a lock that died."""
    if real.get("signal") == NEVER_BACK:
        return []
    killed = _unequal("caller killed", "signal" in real, "signal" in model)
    return killed + _unequal("errno", real["errno"], model.get("errno"))


def _unequal(what: str, real: object, model: object) -> list[str]:
    return [] if real == model else [f"{what}: real {real!r}, model {model!r}"]


def _logs(real: list[str], model: list[str]) -> list[str]:
    """Equal line by line; where the real kernel cut a record, its beginning counts."""
    cut = [m[: len(r)] if len(r) > RECORD_CHARACTERS else m for r, m in zip(real, model, strict=False)]
    return _unequal("log", real, cut + model[len(real) :])


def _tables(what: str, real: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    lines = [f"{path}: missing in the model" for path in real if path not in model]
    lines += [f"{path}: not on the real kernel" for path in model if path not in real]
    return lines + [
        line for path in real if path in model for line in _unequal(path, real[path], model[path])
    ]


def _unequal_lists(what: str, real: list[str], model: list[str]) -> list[str]:
    missing = [f"{what} missing: {line}" for line in real if line not in model]
    extra = [f"{what} not on the real kernel: {line}" for line in model if line not in real]
    if missing or extra:
        return [*missing[:5], *extra[:5]]
    return [] if real == model else [f"{what}s in another order"]
