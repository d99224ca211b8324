# SPDX-License-Identifier: GPL-2.0-only
"""The graded tasks, one file for each assignment: name -> Task in the order of the course."""

from importlib import import_module

from ..task import Task

# assignment -> the module here that has its tasks; also the names of the folders under solutions/ and
# exercises/
ASSIGNMENTS: dict[str, str] = {
    "01-elf-layout": "elf",
    "02-insmod-to-kernel": "entry",
    "03-sanity-checks": "sanity",
    "04-memory-layout": "memory",
    "05-symbol-resolution": "symbols",
    "06-relocation": "relocation",
    "07-parameters-states-init": "parameters",
    "08-module-list": "modulelist",
    "09-unloading": "unloading",
    "10-dependencies": "dependencies",
    "11-kernel-rewrites-itself": "rewriting",
    "12-capstone": "capstone",
}


def tasks_of(assignment: str) -> tuple[Task, ...]:
    """The tasks of one assignment in the notebook's order; KeyError for an unknown name."""
    tasks: tuple[Task, ...] = import_module(f".{ASSIGNMENTS[assignment]}", __name__).TASKS
    return tasks


TASKS: dict[str, Task] = {task.name: task for name in ASSIGNMENTS for task in tasks_of(name)}
