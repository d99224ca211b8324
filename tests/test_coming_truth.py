# SPDX-License-Identifier: GPL-2.0-only
"""Every module's memory at COMING is the real kernel's: addresses, code, constants and tables, byte for byte.

The expectation is in truth/coming-*-6.1.json.xz (``python -m tests.realkernel.coming record all|chosen``). In
data sections and struct module what differs is where a cause of ``realkernel/observer/causes.py`` wrote.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .realkernel.coming import FILES
from .realkernel.observer import build, sequences
from .realkernel.observer.causes import CAUSES
from .realkernel.observer.replay import BY_DIGEST, OWN_GET, Difference, Replay
from .realkernel.observer.truth import load, module_file, observer_file

NOT_MODELLED: dict[tuple[str, str], str] = {}


@cache
def truth(what: str) -> dict[str, Any]:
    return load(FILES[what])


def kinds(step: dict[str, Any]) -> set[str]:
    """Under which names a difference from this step would be reported."""
    return {*step.get("digests", ()), *step.get("sections", ()), *(["sysfs"] if "sysfs" in step else [])}


def unexplained(steps: list[dict[str, Any]], tree: Path | None = None) -> list[Difference]:
    """Differences that are neither known nor caused by what CAUSES lists; known ones that are gone."""
    found = [d for d in Replay(lambda name: module_file(name, tree)).run(steps) if d.cause is None]
    recorded = {(step["load"], kind) for step in steps if "load" in step for kind in kinds(step)}
    known = NOT_MODELLED.keys() & recorded
    new = [d for d in found if (d.module, d.kind) not in known]
    gone = known - {(d.module, d.kind) for d in found}
    return new + [Difference(*place, "equal now: take it off NOT_MODELLED") for place in sorted(gone)]


@pytest.mark.core
def test_what_comes_with_kmodsim() -> None:
    assert unexplained(truth("chosen")["boots"]["shipped"]) == []


@pytest.mark.tree
def test_chosen_modules(tree: Path) -> None:
    assert unexplained(truth("chosen")["boots"]["modules"], tree) == []


@pytest.mark.tree
@pytest.mark.parametrize("part", [f"part {number}" for number in range(1, sequences.BOOTS + 1)])
def test_all_modules(part: str, tree: Path) -> None:
    assert unexplained(truth("all")["boots"][part], tree) == []


@pytest.mark.core
def test_every_module_of_the_package_came() -> None:
    """Sequences are not shortened unseen: the recording holds each module of the index, with digests."""
    from kmodsim import corpus

    steps = [step for steps in truth("all")["boots"].values() for step in steps[1:]]
    full = {step["load"] for step in steps if "load" in step and len(step["digests"]) > 5}
    assert full == set(corpus.index())
    assert not [step for step in steps if "errno" in step]


def flip(memory: dict[str, str], kind: str, at: int) -> None:
    """Another value in byte ``at`` of a recorded memory."""
    changed = bytearray.fromhex(memory[kind])
    changed[at] ^= 1
    memory[kind] = changed.hex()


@pytest.mark.core
def test_comparison_sees_what_differs() -> None:
    """Spoil a recording in twelve places: each is reported under its name, and nothing else."""
    steps = copy.deepcopy(truth("chosen")["boots"]["shipped"])
    tables, minimal = (next(s for s in steps if s.get("load") == name) for name in ("tables", "minimal"))
    for section in (".text", "__jump_table", ".data", ".orc_unwind"):
        flip(tables["memory"], "core", tables["sections"][section] - tables["core"][0])
    flip(tables["memory"], "init", tables["sections"][".init.text"] - tables["init"][0])
    flip(tables["memory"], "core", -1)
    tables["sections"][".bss"] += 8
    tables["sysfs"]["refcnt"] = "7\n"
    tables |= {"errno": "ENOEXEC", "log": ["<4>tables: something"], "percpu": 8}
    minimal["core"][1] += 4096
    found = [d for d in unexplained(steps) if d.module in ("tables", "minimal")]
    assert {d.kind for d in found if d.module == "minimal"} == {"core"}
    assert {d.kind for d in found if d.module == "tables"} == {
        ".text", "__jump_table", ".data", ".orc_unwind", ".init.text", "rest of core",
        "sections", "sysfs", "errno", "log", "percpu",
    }  # fmt: skip


@pytest.mark.core
def test_causes_are_the_kernels() -> None:
    """Each names a function and its file, and no difference is excused by a name that is not listed."""
    for name, cause in CAUSES.items():
        assert ".c:" in cause.function and cause.what, name
    steps = truth("chosen")["boots"]["shipped"]
    used = {d.cause for d in Replay(module_file).run(steps)} - {None}
    assert used <= {*CAUSES, OWN_GET, BY_DIGEST}


@pytest.mark.core
def test_observer_is_the_recordings() -> None:
    wanted = hashlib.sha256(observer_file().read_bytes()).hexdigest()
    assert {truth(what)["observer"] for what in FILES} == {wanted}


@pytest.mark.tool
def test_observer_is_built_from_its_source(needs: Callable[[str], str]) -> None:
    needs("gcc-12")
    if not Path("/usr/src/linux-headers-6.1.0-56-amd64/Makefile").exists():
        pytest.skip("needs linux-headers-6.1.0-56-amd64")
    assert build("6.1.0-56-amd64") == observer_file().read_bytes()
