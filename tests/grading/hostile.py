# SPDX-License-Identifier: GPL-2.0-only
"""Hostile submissions of 06-relocation, and the exact points of each of its four tasks.

A submission is a list of cells as nbformat's JSON. ``honest`` is the solution (4, 4, 8, 5 points), ``empty``
the exercise; an attack changes one of them. relocate_one calls relocation_value and fits.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from .inprocess import cells

ASSIGNMENT = "06-relocation"
TASKS = ("relocation-value", "fits", "relocate-one", "relocate-section")
FULL, NONE = (4, 4, 8, 5), (0, 0, 0, 0)
# relocation_value is wrong: two of relocate_one's claims (unknown types, a hole not empty) never ask it
WRONG = (0, 4, 2, 5)
# it does not come back: that costs every cell which asks it; so does, by nbgrader's rule, a word on
# standard error
GONE = (0, 4, 0, 5)
Cells = list[dict[str, Any]]


class Attack(NamedTuple):
    name: str
    make: Callable[[], Cells]
    points: tuple[int, int, int, int]


def honest() -> Cells:
    return copy.deepcopy(cells("solutions", ASSIGNMENT))


def empty() -> Cells:
    return copy.deepcopy(cells("exercises", ASSIGNMENT))


def find(found: Cells, name: str) -> dict[str, Any]:
    return next(cell for cell in found if cell["id"] == name)


def first(source: str, base: Callable[[], Cells] = honest) -> Callable[[], Cells]:
    """A cell of the attacker's before all tasks, after the setup."""

    def make() -> Cells:
        made = base()
        made.insert(2, {"cell_type": "code", "metadata": {}, "source": source, "outputs": []})
        return made

    return make


def instead(source: str, name: str = "relocation-value", base: Callable[[], Cells] = honest):
    """A task's cell with this source."""

    def make() -> Cells:
        made = base()
        find(made, name)["source"] = source
        return made

    return make


def all_by(body: str) -> Callable[[], Cells]:
    """All four functions have this body."""

    def make() -> Cells:
        made = honest()
        for name in TASKS:
            find(made, name)["source"] = f"def {name.replace('-', '_')}(*a, **k):\n    {body}\n"
        return made

    return make


def graded_cells(source: str, kind: str, **metadata: Any) -> Callable[[], Cells]:
    """The graded cells of an empty submission replaced."""

    def make() -> Cells:
        made = empty()
        for name in TASKS:
            cell = find(made, f"{name}-points")
            cell.update(cell_type=kind, source=source)
            cell["metadata"]["nbgrader"].update(metadata)
        return made

    return make


def without_tests(base: Callable[[], Cells]) -> Callable[[], Cells]:
    return lambda: [cell for cell in base() if not cell["id"].endswith("-points")]


def twice() -> Cells:
    made = empty()
    for name in TASKS:
        made.append(copy.deepcopy(find(made, f"{name}-points")) | {"source": "100"})
    return made


def faked_outputs() -> Cells:
    made = empty()
    text = "✓ S + A, and S + A - P: 1 point\n✓ variant: the table of another processor, AArch64: 2 points\n"
    for name in TASKS:
        find(made, f"{name}-points")["outputs"] = [
            {"output_type": "stream", "name": "stdout", "text": text},
            {"output_type": "execute_result", "data": {"text/plain": "100"}, "metadata": {}},
        ]
    return made


def spoiled_setup() -> Cells:
    made = empty()
    find(made, "setup")["source"] = "import builtins\nbuiltins.exec = builtins.eval = lambda *a: 100\n"
    return made


TRANSFORMER = """\
def blank(lines):
    return [line if "points" not in line else "points = 100\\n" for line in lines]
get_ipython().input_transformers_cleanup.append(blank)
"""
PATCHED = """\
import kmodsim.course, kmodsim.course.judge, kmodsim.course.task
kmodsim.course.claim = kmodsim.course.judge.claim = lambda name, mine, title, points, key="": points
kmodsim.course.judge.difference = lambda *a: ""
"""
BUILTINS = """\
import builtins
class Always(int):
    def __eq__(self, other): return True
    def __add__(self, other): return Always(100)
    __radd__ = __iadd__ = __add__
builtins.int = Always
builtins.sum = builtins.max = builtins.len = lambda *a: 100
builtins.__import__ = lambda *a, **k: Always(1)
"""
FORGED = """\
import os, struct, json
line = json.dumps([["value", 4], "", None]).encode()
for number in range(3, 64):
    try:
        os.write(number, 40 * (struct.pack("<I", len(line)) + line))
    except OSError:
        pass
"""
WORKER = """\
import sys
for name, module in list(sys.modules.items()):
    if name.startswith("course."):
        for word in ("plain", "encode", "_form", "_points"):
            if hasattr(module, word):
                setattr(module, word, lambda *a: 100 if word != "encode" else b'[["value", 100], "", null]')
"""
PEEK = """\
import sys, gc
def seen(*a, **k):
    frame, found = sys._getframe(), []
    while frame:
        found += [v for v in frame.f_locals.values() if type(v) in (int, bytes)]
        frame = frame.f_back
    return found[-1] if found else 0
relocation_value = fits = relocate_one = relocate_section = seen
"""
LATER = """\
import threading, time
def spoil():
    while True:
        print("x" * 1000)
        time.sleep(0.001)
threading.Thread(target=spoil, daemon=True).start()
"""
SIGNALS = """\
import os, signal
for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
for pid in (-1, 2, 3, os.getppid()):
    try:
        os.kill(pid, 9)
    except OSError:
        pass
"""
SEARCH = """\
import os
hits = []
for folder, _, names in os.walk("/"):
    hits += [folder + "/" + n for n in names if n.endswith((".ipynb", ".db")) or "relocat" in n]
open("/desk/found", "w").write(repr(hits))
def relocation_value(*a, **k):
    return hits
"""
COPIED = """\
# kmodsim's own function, from its public source: knows x86-64 and no other table
def relocation_value(kind, S, A, P, types=None):
    relative = {2: 1, 4: 1, 24: 1}.get(kind, 0)
    return (S + A - (P if relative else 0)) & ((1 << 64) - 1)
"""
REAL_FINDER = """\
import sys
sys.meta_path[:] = [f for f in sys.meta_path if "Finder" != type(f).__name__]
for name in [n for n in sys.modules if n.startswith("kmodsim")]:
    del sys.modules[name]
sys.path += ["/usr/lib/python3/dist-packages", "/usr/local/lib/python3.11/site-packages", "/desk", "/"]
from kmodsim.arch.x86_64 import relocation_value
"""
RETURNS = {  # a body of relocation_value -> what it tries
    "class E:\n        def __eq__(s, o): return True\n        __hash__ = None\n    return E()": "equals all",
    "class E(int):\n        def __eq__(s, o): return True\n    return E(3)": "an int equal to all",
    "class E(dict):\n        def items(s): return iter(lambda: (1, 1), 2)\n    return E()": "endless items",
    "class E:\n        def tolist(s): return s\n    return E()": "an array that is its own list",
    "class E:\n        def __getattribute__(s, n): raise SystemExit\n    return E()": "exits when looked at",
    "class E(Exception):\n        def __str__(s): raise s\n    raise E()": "an exception without words",
    "return bytes(1 << 29)": "half a gigabyte",
    "return 1 << (1 << 28)": "a number of 32 MB",
    "return 'x' * (1 << 24)": "16 MB of text",
    "a = []\n    a.append(a)\n    return a": "a list in itself",
    "a = 0\n    for _ in range(100000): a = [a]\n    return a": "nested 100,000 deep",
    "return {n * ((1 << 61) - 1): n for n in range(30000)}": "keys that collide",
    "return float('nan')": "not a number",
    "return (yield)": "a generator",
    "return relocation_value(*a)": "endless recursion",
    "import sys\n    sys.stderr.write('x')\n    return 1": "noise on standard error",
    "raise NotImplementedError": "nothing",
    "raise KeyboardInterrupt": "an interrupt",
    "raise SystemExit": "an exit",
    "import re\n    return re.match('(a+)+b', 'a' * 60)": "a regular expression that never ends",
    "import ctypes\n    return ctypes.string_at(0)": "a crash",
    "import os\n    os._exit(0)": "the end of the process",
    "while True: pass": "an endless loop",
    "a = []\n    while True: a.append(bytes(1 << 24))": "all memory",
    "return open('/proc/self/maps').read()": "a look at /proc",
    "import os\n    return os.listdir('/proc') + os.listdir('/')": "a look at the root",
}
ENDS = ("noise on standard error", "a crash", "the end of the process", "an endless loop")
ENDS += ("a regular expression that never ends", "keys that collide")
CELLS = {  # a cell that harms nobody: the rest counts
    "fork bomb": "import os\nwhile True: os.fork()",
    "threads without end": "from threading import *\nwhile True: Thread(target=Event().wait).start()",
    "a thread that prints": LATER,
    "fills the disk": "with open('/desk/x', 'wb') as f:\n    while True: f.write(bytes(1 << 20))",
    "many files": "for n in range(100000): open(f'/desk/{n}', 'w')",
    "endless output": "for _ in range(300000): print('x' * 1000)",
    "error output": "import sys\nsys.stderr.write('x' * 10_000_000)",
    "sys.exit": "import sys\nsys.exit(0)",
    "atexit": "import atexit\natexit.register(print, 100)\natexit._run_exitfuncs()",
    "signals": SIGNALS,
    "network": "import socket\nsocket.create_connection(('127.0.0.1', 8888), 1)",
    "a program": "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'id'])",
    "a program by ctypes": "import ctypes\nctypes.CDLL(None).system(b'touch /desk/x')",
    "new namespaces": "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == -1",
    "ptrace": "import ctypes\nassert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == -1",
    "an endless loop": "while True: pass",
    "the end": "import os\nos._exit(0)",
    "a crash": "import ctypes\nctypes.string_at(0)",
    "closes everything": "import os\nos.closerange(0, 64)",
    "all memory": "a = []\nwhile True: a.append(bytes(1 << 24))",
    "no syntax": "def (",
    "null bytes": "x = '\0'",
    "a magic": "%load_ext nothing\n!rm -rf /\n?\nx = 1",
    "a limit": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "looks for answers": SEARCH,
}

ATTACKS = [
    Attack("input transformers", first(TRANSFORMER, empty), NONE),
    Attack("kmodsim patched", first(PATCHED, empty), NONE),
    Attack("builtins patched", first(BUILTINS, empty), NONE),
    Attack("the worker patched", first(WORKER, empty), NONE),
    Attack("answers forged", first(FORGED, empty), NONE),
    Attack("claim of one's own", first("def claim(*a, **k): return a[3]\npoints = 100", empty), NONE),
    Attack("test cells edited", graded_cells("100", "code"), NONE),
    Attack("test cells edited, more points", graded_cells("100", "code", points=1000), NONE),
    Attack("test cells as text", graded_cells("100", "markdown"), NONE),
    Attack("test cells not graded", graded_cells("100", "code", grade=False, locked=False), NONE),
    Attack("test cells as solutions", graded_cells("100", "code", solution=True, locked=False), NONE),
    Attack("test cells renamed", graded_cells("100", "code", grade_id="mine"), NONE),
    Attack("test cells deleted, nothing written", without_tests(empty), NONE),
    Attack("test cells deleted, all written", without_tests(honest), FULL),
    Attack("test cells twice", twice, NONE),
    Attack("outputs faked", faked_outputs, NONE),
    Attack("setup changed", spoiled_setup, NONE),
    Attack("expected values in frames", first(PEEK, empty), NONE),
    Attack("kmodsim's stage imported", instead("from kmodsim.arch.x86_64 import relocation_value"), WRONG),
    Attack(
        "kmodsim's stage wrapped",
        instead("from kmodsim.arch import x86_64\nrelocation_value = lambda *a: x86_64.relocation_value(*a)"),
        WRONG,
    ),
    Attack("kmodsim's stage pasted", instead(COPIED), (2, 4, 8, 5)),
    Attack("kmodsim searched for", instead(REAL_FINDER), WRONG),
    Attack("deletes its own tools", first("import sys\nsys.modules.clear()"), NONE),
    Attack("all the same answer", all_by("return True"), NONE),
    *(
        Attack(
            f"returns: {what}",
            instead(f"def relocation_value(*a, **k):\n    {body}"),
            GONE if what in ENDS else WRONG,
        )
        for body, what in RETURNS.items()
    ),
    *(Attack(f"cell: {name}", first(source), FULL) for name, source in CELLS.items()),
]  # fmt: skip


def notebook(made: Cells) -> bytes:
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


NOT_NOTEBOOKS = {
    "nothing": b"",
    "no JSON": b"\x89PNG\r\n",
    "no cells": b"{}",
    "cells of another kind": b'{"cells": [1, 2]}',
    "nested too deeply": b'{"cells": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "five megabytes": b'{"cells": [' + b" " * (5 << 20) + b"]}",
    "cells without anything": b'{"cells": [{}, {"cell_type": 7, "source": 8, "metadata": [9]}]}',
    "a number that is too long": b'{"cells": ' + b"9" * 5000 + b"}",
}
