# SPDX-License-Identifier: GPL-2.0-only
"""The trace tells everything: replayed, it gives the module at COMING; costs nothing when not asked."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from kmodsim import Kernel, KernelError, corpus, sample, samples
from kmodsim.loader import STAGES
from kmodsim.memory import Change
from kmodsim.trace import Changes, Trace

from .heart import at_coming, with_table

pytestmark = pytest.mark.core
BEFORE_LOAD_MODULE = ["may_init_module", "finit_module", "kernel_read_file_from_fd", "module_decompress"]
BEFORE: dict[str, list[str]] = {
    "chain_b": ["chain_a"], "chain_c": ["chain_a", "chain_b"], "diamond_top": ["diamond_bottom",
    "diamond_left",
                                                                              "diamond_right"],
    "diamond_left": ["diamond_bottom"], "diamond_right": ["diamond_bottom"], "gpl_user": ["gpl_only"],
    "namespace_user": ["namespace_provider"], "proprietary_heir": ["proprietary"], "vfat": ["fat"],
    "jbd2": [], "ext4": ["crc16", "mbcache", "jbd2"], "libcrc32c": [], "ip_tables": ["x_tables"],
    "rtllib_crypt_wep": ["libarc4", "lib80211"], "snd_intel_dspcfg": ["snd_intel_sdw_acpi"],
}  # fmt: skip
REFUSED = {"missing_symbol", "namespace_thief", "proprietary_gpl", "proprietary_bridge"}


def prepared(name: str) -> Kernel:
    kernel = Kernel(cpu=None)
    for other in BEFORE.get(name, []):
        kernel.finit_module(sample(other))
    return kernel


def replay(trace: Trace, regions: dict[int, bytearray], end: str) -> list[Change]:
    """Apply all changes before the stage ``end`` to ``regions``; returns those that start in none of them."""
    elsewhere = []
    for record in trace:
        if record.stage == end:
            break
        for change in record.changes:
            for start, data in regions.items():
                if start <= change.start < start + len(data):
                    at = change.start - start
                    assert data[at : at + len(change.before)] == change.before, (
                        record.stage,
                        hex(change.start),
                    )
                    data[at : at + len(change.after)] = change.after
                    break
            else:
                elsewhere.append(change)
    return elsewhere


@pytest.mark.parametrize("name", [n for n in [*samples(), *corpus.distribution()] if n not in REFUSED])
def test_the_changes_replayed_give_the_memory_at_coming(name: str) -> None:
    """Every ``before`` is what the changes before it left; the end is core and init as a notifier sees
    them."""
    kernel = prepared(name)
    others = {m.base: bytearray(m.core.data.tobytes()) for m in kernel.module_list if m.core}
    seen = at_coming(kernel, sample(name), trace=True)
    load = seen["load"]
    assert load.error is None
    mine = {seen[part][0]: bytearray(len(seen[part][1])) for part in ("core", "init")}
    elsewhere = replay(load.trace, mine | others, "parse_args")
    assert bytes(mine[seen["core"][0]]) == seen["core"][1]
    assert bytes(mine[seen["init"][0]]) == seen["init"][1]
    assert elsewhere == []


@pytest.mark.parametrize("name", ["chain_c", "percpu", "hello", "ext4"])
def test_to_the_end_it_gives_the_live_module_and_its_neighbours(name: str) -> None:
    kernel = prepared(name)
    regions = {m.base: bytearray(m.core.data.tobytes()) for m in kernel.module_list if m.core}
    load = kernel.load(sample(name), "howmany=3 whom=me" if name == "hello" else "")
    regions[load.module.base] = bytearray(len(load.module.core.data))
    replay_core(load.trace, regions)
    assert {m.base: m.core.data.tobytes() for m in kernel.module_list if m.core} == {
        start: bytes(data) for start, data in regions.items()
    }


def replay_core(trace: Trace, regions: dict[int, bytearray]) -> None:
    replay(trace, regions, "")


def test_a_load_inside_a_load_is_seen_by_both_traces() -> None:
    """A notifier loads chain_b while chain_c's neighbour comes: the list links in the outer module change."""
    kernel, inner = Kernel(cpu=None), []
    kernel.finit_module(sample("chain_a"))

    def nested(state: str, module: Any) -> None:
        if (state, module.name) == ("COMING", "hello"):
            inner.append(kernel.load(sample("chain_b")))

    kernel.register_module_notifier(nested)
    regions = {kernel.modules["chain_a"].base: bytearray(kernel.modules["chain_a"].core.data.tobytes())}
    load = kernel.load(sample("hello"))
    regions[load.module.base] = bytearray(len(load.module.core.data))
    regions[inner[0].module.base] = bytearray(len(inner[0].module.core.data))
    replay(load.trace, regions, "")
    for module in kernel.module_list:
        assert bytes(regions[module.base]) == module.core.data.tobytes(), module.name


# --- records --------------------------------------------------------------------------------------


def test_one_record_for_every_step_in_order() -> None:
    load = Kernel(cpu=None).load(sample("percpu"))
    assert [record.stage for record in load.trace] == [*BEFORE_LOAD_MODULE, *(stage.name for stage in STAGES)]


def test_every_record_is_filled() -> None:
    for record in Kernel(cpu=None).load(sample("percpu")).trace:
        assert all((record.stage, record.function, record.source, record.since, record.title))
        assert record.source.endswith(".c")
        assert record.error is None
        plain(record.inputs)
        plain(record.outputs)


def plain(value: Any) -> None:
    """Only Python's own types, no numpy scalar and nothing that changes later."""
    if isinstance(value, dict):
        for key, inner in value.items():
            assert type(key) is str
            plain(inner)
    elif isinstance(value, tuple):
        for inner in value:
            plain(inner)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            plain(getattr(value, name))
    else:
        assert value is None or type(value) in (int, str, bytes, bool, float), type(value)


def test_a_record_keeps_its_values_when_the_load_goes_on() -> None:
    load = Kernel(cpu=None).load(sample("hello"))
    assert load.trace.stage("add_unformed_module").outputs["state"] == "UNFORMED"
    assert load.trace.stage("complete_formation").outputs["state"] == "COMING"
    assert load.trace.stage("do_init_module").outputs["state"] == "LIVE"
    before = load.trace.stage("layout_sections").inputs["sections"]
    assert all(section["entsize"] != (1 << 64) - 1 for section in before[1:4])
    assert load.trace.stage("elf_validity_check").outputs["sections"][1]["addr"] == 0


def test_the_log_is_kept_with_the_stage_that_printed_it() -> None:
    kernel = Kernel(cpu=None)
    load = kernel.load(sample("hello"), "nobody=1")
    assert [line for record in load.trace for line in record.log] == kernel.dmesg
    assert load.trace.stage("parse_args").log == ("<4>hello: unknown parameter 'nobody' ignored",)


def test_a_failing_load_ends_with_the_stage_that_refused() -> None:
    load = Kernel(cpu=None).load(sample("missing_symbol"))
    assert (load.trace[-1].stage, load.trace[-1].error, load.module) == ("simplify_symbols", "-ENOENT", None)
    assert load.error.stage == "simplify_symbols"


def test_a_failing_stage_keeps_the_changes_it_made_before() -> None:
    load = Kernel(cpu=None).load(with_table([(0, 1, 0, 0), (8, 99, 0, 0)], [0x1234], bytes(64)))
    last = load.trace[-1]
    assert last.stage == "apply_relocations"
    assert (0x1234).to_bytes(8, "little") in [change.after for change in last.changes]


def test_a_refused_call_has_a_record_too() -> None:
    load = Kernel(cpu=None, uid=1000).load(sample("hello"))
    assert [(r.stage, bool(r.error)) for r in load.trace] == [("may_init_module", True)]


# --- cost -----------------------------------------------------------------------------------------


def test_nothing_is_recorded_when_nobody_asked() -> None:
    kernel = Kernel(cpu=None)
    load = kernel.load(sample("hello"), trace=False)
    assert len(load.trace) == 0
    assert kernel.memory.journal is None
    journals = []
    kernel.register_module_notifier(lambda *_: journals.append(kernel.memory.journal))
    kernel.finit_module(sample("minimal"))
    assert journals == [None, None]


def test_the_journal_is_closed_after_a_failure() -> None:
    kernel = Kernel(cpu=None)
    kernel.load(sample("missing_symbol"))
    assert kernel.memory.journal is None


def held(value: Any, seen: set[int]) -> int:
    """Bytes of everything reachable from ``value``; numpy views count their base."""
    if id(value) in seen or isinstance(value, (type, type(sys), Kernel)):
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return value.nbytes if value.base is None else held(value.base, seen)
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        return size + sum(held(k, seen) + held(v, seen) for k, v in value.items())
    if isinstance(value, (list, tuple, set)):
        return size + sum(held(v, seen) for v in value)
    slots = [getattr(value, name) for name in getattr(type(value), "__slots__", ()) if hasattr(value, name)]
    return size + held(getattr(value, "__dict__", None), seen) + sum(held(v, seen) for v in slots)


def test_the_trace_of_a_large_module_holds_at_most_three_times_its_bytes() -> None:
    kernel = prepared("ext4")
    load = kernel.load(sample("ext4"))
    assert load.error is None
    assert held(list(load.trace), set()) <= 3 * sample("ext4").stat().st_size


# --- Changes as a sequence ------------------------------------------------------------------------


class Several:
    """A part with many changes in it, as relocation tables are kept."""

    size = 3

    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> Change:
        if i >= 3:
            raise IndexError(i)
        return Change(100 + i, b"\0", bytes([i]))


def test_changes_are_one_sequence_whatever_their_parts() -> None:
    one = Change(1, b"a", b"b")
    changes = Changes([one, Several(), one])
    assert len(changes) == 5
    assert [c.start for c in changes] == [1, 100, 101, 102, 1]
    assert [changes[i].start for i in (0, 1, 3, 4, -1, -2)] == [1, 100, 102, 1, 1, 102]
    assert [c.start for c in changes[1:3]] == [100, 101]
    assert changes == list(changes)
    assert changes.size == 5
    with pytest.raises(IndexError):
        changes[5]
    with pytest.raises(IndexError):
        changes[-6]


def test_the_trace_is_a_table_as_text_and_as_html() -> None:
    load = Kernel(cpu=None).load(sample("minimal"))
    lines = str(load.trace).splitlines()
    assert len(lines) == len(load.trace) + 1
    html = load.trace._repr_html_()
    assert html.count("<tr>") == len(load.trace) + 1
    assert "<script" not in html


def test_a_hostile_name_is_escaped_in_html() -> None:
    from .faults.editor import Image

    image = Image(sample("minimal").read_bytes()).set_modinfo("version", "<script>alert(1)</script>")
    assert "<script" not in Kernel(cpu=None).load(bytes(image)).trace._repr_html_()


def test_stage_by_name() -> None:
    load = Kernel(cpu=None).load(sample("minimal"))
    assert load.trace.stage("move_module").function == "move_module"
    with pytest.raises(KeyError):
        load.trace.stage("nothing")
    assert isinstance(load.error, KernelError) is False
