# SPDX-License-Identifier: GPL-2.0-only
"""All modules of the distribution's tree once, in dependency order, by one reader: seconds and memory.

    python -m tests.bench.tree kmodsim|traced|signature|floor|LIEF|pyelftools clock|cpu < PATHS

The paths come on stdin. A process of its own for each reader, so that the peak of its memory is its own, and
the index of all modules is not in it. Reading the files is not counted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

from kmodsim import Kernel
from kmodsim.loader.signature_check import verify_signature

from . import floor
from .rivals import elftools_parse, lief_parse, without_signature


def peak_mebibytes() -> float:
    """The most memory this process ever had; 0 where there is no /proc (getrusage also counts its parent)."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def loading(traced: bool) -> Callable[[bytes], object]:
    """One kernel that ends up with all modules loaded; traces are dropped as they come."""
    kernel = Kernel(cpu=None)

    def load(data: bytes) -> None:
        if traced:
            error = kernel.load(data, trace=True).error
            if error is not None:
                raise error
        else:
            kernel.finit_module(data)

    return load


def placing() -> Callable[[bytes], object]:
    """The floor, with every symbol of every module before as possible provider."""
    provided = {name: export.address for name, export in Kernel(cpu=None).profile.exports.items()}
    return lambda data: floor.relocate(floor.place(data, provided))


def reader(name: str) -> Callable[[bytes], object]:
    """What is done with the bytes of each module."""
    if name == "signature":
        keyring = Kernel(cpu=None).profile.keyring
        return lambda data: verify_signature(data, keyring)
    parse = lief_parse() if name == "LIEF" else elftools_parse if name == "pyelftools" else None
    return parse or (placing() if name == "floor" else loading(name == "traced"))


def measure(name: str, files: list[Path], clock: Callable[[], float]) -> dict[str, float]:
    """Seconds spent in the reader, how many modules, peak of memory."""
    read, seconds = reader(name), 0.0
    for file in files:
        data = file.read_bytes()
        if name != "signature":
            data = without_signature(data)
        start = clock()
        read(data)
        seconds += clock() - start
    return {"seconds": seconds, "modules": len(files), "mebibytes": peak_mebibytes()}


if __name__ == "__main__":
    clock = process_time if sys.argv[2] == "cpu" else perf_counter
    print(json.dumps(measure(sys.argv[1], [Path(line) for line in sys.stdin.read().splitlines()], clock)))
