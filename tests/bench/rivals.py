# SPDX-License-Identifier: GPL-2.0-only
"""What is timed, each as a function that does it once and says how many seconds it took."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

from kmodsim import Kernel, KernelError, Module, corpus
from kmodsim.loader.signature_check import verify_signature

from . import floor

Run = Callable[[], float]
clock: Callable[[], float] = perf_counter


def use_processor_time() -> None:
    """Count the processor's time, not the clock's: on a busy machine that is what repeats."""
    global clock
    clock = process_time


@dataclass
class Subject:
    """One module with all it needs loaded: ``signed`` as it is shipped, ``image`` without the signature."""

    name: str
    signed: bytes
    image: bytes
    kernel: Kernel
    provided: dict[str, int]
    relocations: int = 0


def without_signature(data: bytes) -> bytes:
    """The module's bytes before an appended signature (``include/linux/module_signature.h``)."""
    marker = b"~Module signature appended~\n"
    if not data.endswith(marker):
        return data
    whole = len(data) - len(marker)
    return data[: whole - 12 - int.from_bytes(data[whole - 4 : whole], "big")]


def prepare(name: str) -> Subject:
    """Load the dependencies; ValueError when the module is not at hand."""
    data = corpus.sample(name).read_bytes()
    kernel = Kernel(cpu=None)
    load_dependencies(kernel, name)
    provided = {e.name: e.address for e in (*kernel.profile.exports.values(), *kernel.exports.values())}
    subject = Subject(name, data, without_signature(data), kernel, provided)
    subject.relocations = sum(len(t) for _, t in floor.place(subject.image, provided).tables)
    return subject


def load_dependencies(kernel: Kernel, name: str) -> None:
    """Whatever the index says the module needs, each behind what it needs itself."""
    known = corpus.index().get(name.replace("-", "_"))
    for needed in reversed(known.depends if known else ()):
        if needed.replace("-", "_") not in kernel.modules:
            load_dependencies(kernel, needed)
            kernel.finit_module(without_signature(Path(corpus.sample(needed)).read_bytes()))


def to_coming(subject: Subject, *, trace: bool = False) -> Run:
    """From the bytes to the call of the notifiers; one of them looks at the clock and then refuses."""
    arrived = 0.0

    def notifier(state: str, module: Module) -> int:
        nonlocal arrived
        arrived = arrived or clock()
        return 16 if state == "COMING" else 0

    def run() -> float:
        nonlocal arrived
        arrived = 0.0
        subject.kernel.register_module_notifier(notifier)
        start = clock()
        try:
            if trace:
                subject.kernel.load(subject.image, trace=True)
            else:
                subject.kernel.finit_module(subject.image)
        except KernelError:
            pass
        finally:
            subject.kernel.unregister_module_notifier(notifier)
        if not arrived:
            raise RuntimeError(f"{subject.name} does not get as far as COMING: {subject.kernel.dmesg[-1:]}")
        return arrived - start

    return run


def timed(action: Callable[[], object]) -> Run:
    """An action that is timed as a whole."""

    def run() -> float:
        start = clock()
        action()
        return clock() - start

    return run


def elftools_parse(image: bytes) -> int:
    """Sections, symbols with names, and relocations, all walked."""
    from elftools.elf.elffile import ELFFile
    from elftools.elf.relocation import RelocationSection
    from elftools.elf.sections import SymbolTableSection

    seen = 0
    for section in ELFFile(io.BytesIO(image)).iter_sections():
        if isinstance(section, SymbolTableSection):
            seen += sum(len(symbol.name) for symbol in section.iter_symbols())
        elif isinstance(section, RelocationSection):
            seen += sum(1 for _ in section.iter_relocations())
    return seen


def lief_parse() -> Callable[[bytes], object] | None:
    """LIEF's parser, None where it is not installed."""
    try:
        import lief
    except ImportError:
        return None
    lief.logging.disable()
    return lambda image: lief.ELF.parse(io.BytesIO(image))


def cle_load() -> Callable[[bytes], object] | None:
    """CLE's loader with relocation, None where it is not installed.

    What it makes is not what the kernel makes: it leaves R_X86_64_PC64 alone and looks symbols up by name.
    """
    try:
        import cle
    except Exception:  # pyvex, under it, fails to import beside a bitstring that is too new
        return None
    logging.getLogger("cle").setLevel("CRITICAL")
    return lambda image: cle.Loader(io.BytesIO(image), auto_load_libs=False, perform_relocations=True)


def rivals(subject: Subject) -> dict[str, Run]:
    """Column title -> what to time for one module. The first is what all are compared with."""
    image, provided = subject.image, subject.provided
    kernel = subject.kernel
    loop = floor.place(image, provided)
    runs = {
        "floor": timed(lambda: floor.relocate(floor.place(image, provided))),
        "kmodsim": to_coming(subject),
        "traced": to_coming(subject, trace=True),
    }
    if len(subject.signed) > len(image):
        runs["signature"] = timed(lambda: verify_signature(subject.signed, kernel.profile.keyring))
    runs["scalar"] = timed(lambda: floor.relocate_one_by_one(loop))
    parse = lief_parse()
    if parse is not None:
        runs["LIEF"] = timed(lambda: parse(image))
    runs["pyelftools"] = timed(lambda: elftools_parse(image))
    load = cle_load()
    if load is not None:
        runs["CLE"] = timed(lambda: load(image))
    return runs
