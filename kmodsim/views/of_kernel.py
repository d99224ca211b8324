# SPDX-License-Identifier: GPL-2.0-only
"""From the kernel's objects to the plain data that the views draw: the only file here that knows both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import KernelError, errno_name
from .dependencies import dependency_graph
from .memory_map import area_map, module_map
from .memory_rows import PAGE, Part, stretches
from .module_list import Entry, module_list
from .pipeline import DONE, FAILED, UNREACHED, Step, pipeline
from .tables import ParameterLine, SectionLine, parameter_table, section_table
from .timeline import Moment, timeline
from .view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..kernel import Kernel
    from ..loader.load import Load
    from ..module import Module
    from ..modulefile import ModuleFile

# what the stage leaves in mod->state (kernel/module/main.c); before the first there is no module on the list
STATE_AFTER = {"add_unformed_module": "UNFORMED", "complete_formation": "COMING", "do_init_module": "LIVE"}


def load_pipeline(load: Load, title: str | None = None) -> View:
    """The stages of one load: those done, the one that failed, those not reached. Needs no trace."""
    from ..loader import STAGES

    failed = load.error.stage if load.error else None
    steps, state = [], DONE
    for stage in STAGES:
        here = FAILED if failed and failed in (stage.name, stage.function) and state == DONE else state
        steps.append(Step(stage.title, stage.function, here))
        state = UNREACHED if here == FAILED else here
    if failed and state == DONE:  # refused before the first stage, e.g. an unknown flag
        steps = [step._replace(state=UNREACHED) for step in steps]
    return pipeline(steps, title or f"load_module for {load.name or 'this file'}", outcome(load.error))


def outcome(error: KernelError | None) -> str:
    """What came of a call in one line: ``ENOENT in simplify_symbols``."""
    if error is None:
        return "success"
    name = "oops" if error.errno is None else errno_name(error.errno)
    return f"{name} in {error.stage}" if error.stage else name


def trace_timeline(trace: Sequence[Any], title: str) -> View:
    """The time line of a traced load or unload (``load.trace``)."""
    moments, state = [], ""
    for record in trace:
        state = str(record.outputs.get("state") or STATE_AFTER.get(record.stage, state))
        if record.error:
            notes: tuple[str, ...] = (record.error,)
        else:
            facts = {key: value for key, value in record.outputs.items() if key != "state"}
            notes = tuple(f"{key} {_short(value)}" for key, value in facts.items())
        notes += (record.note,) if record.note else ()
        log = tuple(_plain(line) for line in record.log)
        size = int(getattr(record.changes, "size", 0))
        moments.append(
            Moment(record.title, record.function, record.source, state, size, notes, log, bool(record.error))
        )
    return timeline(moments, title)


def _plain(line: str) -> str:
    return line[3:] if line[:1] == "<" and line[2:3] == ">" else line


def _short(value: Any, width: int = 40) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:#x}" if value >= 1 << 20 else f"{value:,}"
    if isinstance(value, (list, tuple, dict, set)):
        words = ", ".join(_short(item, 16) for item in list(value)[:3])
        return words if len(value) <= 3 else f"{words}, … ({len(value)})"
    words = str(value)
    return words if len(words) <= width else words[: width - 1] + "…"


def parts_of(module: Module) -> list[Part]:
    """The allocations of a module with the permission of each page and the sections inside."""
    parts = []
    for kind, (base, size) in module.memories.items():
        pages = tuple(module.memory.permissions(base + offset) for offset in range(0, size, PAGE))
        sections = tuple(
            (section.name, section.address, section.size)
            for section in module.sections.all
            if section.size and base <= section.address < base + size
        )
        parts.append(Part(kind, base, pages, sections))
    return parts


def _note(module: Module) -> str:
    return "The init part has been freed." if module.state == "LIVE" and "init" not in module.memories else ""


def memory_map(thing: Kernel | Module) -> View:
    """The memory of a module page by page, or the whole module area of a kernel."""
    if hasattr(thing, "memories"):
        return module_map(thing.name, parts_of(thing), _note(thing))
    memory = thing.memory
    return area_map(stretches(memory.regions, memory.low, memory.high))


def memory_map_figure(thing: Kernel | Module) -> Figure:
    """As ``memory_map``, as a matplotlib ``Figure`` for print."""
    from .memory_figure import area_figure, module_figure

    if hasattr(thing, "memories"):
        return module_figure(thing.name, parts_of(thing), _note(thing))
    memory = thing.memory
    return area_figure(stretches(memory.regions, memory.low, memory.high))


def list_of_modules(kernel: Kernel) -> View:
    """The kernel's linked list of modules."""
    return module_list([Entry(m.name, m.state, m.refcount, m.holders) for m in kernel.modules.values()])


def who_uses_whom(kernel: Kernel, *, dot: bool = True) -> View:
    """The loaded modules with an arrow to each module they use."""
    uses = {m.name: [other.name for other in m.uses] for m in kernel.modules.values()}
    return dependency_graph(uses, {m.name: m.refcount for m in kernel.modules.values()}, dot=dot)


def sections_of(file: ModuleFile, module: Module | None = None) -> View:
    """The sections of a file and, given the loaded module, the address each one got."""
    places: dict[str, list[Any]] = {}
    for section in module.all_sections if module else ():
        places.setdefault(section.name, []).append(section)
    here = module.sections.all if module else []
    lines = []
    for s in file.sections:
        found = places[s.name].pop(0) if places.get(s.name) else None
        kind = found.kind if found else ""
        address = found.address if found in here else None
        lines.append(SectionLine(s.index, s.name, s.type_name, s.flags_text, s.offset, s.size, kind, address))
    return section_table(lines, f"Sections of {file.name}", loaded=module is not None)


def parameters_of(file: ModuleFile, kernel: Kernel | None = None) -> View:
    """The parameters of a file and, given a kernel in which it is loaded, their values as /sys shows them."""
    lines = [
        ParameterLine(p.name, p.type, p.description, _value(kernel, file.name, p.name)) for p in file.params
    ]
    return parameter_table(lines, f"Parameters of {file.name}")


def _value(kernel: Kernel | None, module: str, parameter: str) -> str | None:
    if kernel is None:
        return None
    try:
        return kernel.read(f"/sys/module/{module}/parameters/{parameter}").rstrip("\n")
    except KernelError:
        return None
