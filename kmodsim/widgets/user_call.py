# SPDX-License-Identifier: GPL-2.0-only
"""How a module gets into the kernel: init_module from the caller's pages, finit_module from a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .. import syscalls
from ..errors import O_RDONLY, O_RDWR, O_WRONLY, KernelError
from ..kernel import Kernel
from ..loader.copying import TOTAL_RAM, copy_chunks
from ..loader.load import Load
from ..memory import PAGE_SIZE, UserMemory
from ..modulefile import ModuleFile
from ..records import EHDR
from ..views import load_pipeline
from ..views.user_copy import Chunk, user_copy
from ..views.view import View
from .guessing import SHOW, judged
from .pages import Page, dmesg_lines, outcome_of, place_of, verdict

BASE = 0x7F0000000000  # of the caller's first page with the image
CALLS = ("init_module", "finit_module")
GUESSES = ("loaded", "EPERM", "EFAULT", "ENOEXEC", "ENOMEM", "EBADF", "ETXTBSY", "another errno")
OPENED = ("read-only", "write-only", "closed again", "somebody writes to it")
DRAWN = 40  # of the chunks that are never reached no more need be looked at
MOST_PAGES = 1 << 18  # TOTAL_RAM


def parse_pages(text: str) -> tuple[tuple[int, int], ...]:
    """``"3, 5-7"`` → ((3, 3), (5, 7)). ValueError says what is wrong."""
    out = []
    for word in text.replace(",", " ").split():
        first, _, last = word.partition("-")
        try:
            pair = int(first, 0), int(last or first, 0)
        except ValueError:
            raise ValueError(f"{word[:40]!r} is no page: write 3 or 5-7, with blanks between") from None
        if not 0 <= pair[0] <= pair[1] < MOST_PAGES:
            raise ValueError(f"{word[:40]!r}: pages count from 0 to {MOST_PAGES - 1:,}, the lower one first")
        out.append(pair)
    return tuple(out)


@dataclass(frozen=True)
class UserCall:
    """One system call: ``holes`` are page ranges not mapped, ``length`` None for the file's, ``offset`` where
    in its first page the image begins, ``opened`` one of OPENED."""

    file: ModuleFile
    call: str = "init_module"
    capable: bool = True
    holes: tuple[tuple[int, int], ...] = ()
    length: int | None = None
    offset: int = 0
    opened: str = OPENED[0]

    @property
    def address(self) -> int:
        return BASE + self.offset

    @property
    def size(self) -> int:
        """The length the kernel sees: an unsigned long."""
        return (len(self.file.data) if self.length is None else self.length) % (1 << 64)

    @cached_property
    def load(self) -> Load:
        """The call, done in a fresh kernel; the error is in ``load.error``."""
        kernel = Kernel(cpu=None, capabilities=None if self.capable else ())
        call = syscalls.Call(kernel, "", 0, True)
        try:
            if self.call == "init_module":
                self._map(kernel.user_memory())
                syscalls.init_module(call, self.address, self.size, kernel.caller(None))
            else:
                syscalls.finit_module(call, self._descriptor(kernel), kernel.caller(None))
        except KernelError as error:
            call.load.error = error
        return call.load

    @property
    def kernel(self) -> Kernel:
        return self.load.kernel

    def _map(self, user: UserMemory) -> None:
        """Whole pages with the image in them; what the file does not fill is zero."""
        data = bytes(self.offset) + self.file.data
        user.map(BASE, data + bytes(-len(data) % PAGE_SIZE))
        for first, last in self.holes:
            user.unmap(BASE + first * PAGE_SIZE, (last - first + 1) * PAGE_SIZE)

    def _descriptor(self, kernel: Kernel) -> Any:
        """A descriptor of the file; its bytes where the file is not on disk and is simply read."""
        path = self.file.path
        if path is None or self.file.compression:
            if self.opened != OPENED[0]:
                raise ValueError("this file is not on disk: it cannot be opened otherwise")
            return self.file.data
        fd = kernel.openat(path, O_WRONLY if self.opened == "write-only" else O_RDONLY)
        if self.opened == "closed again":
            kernel.close(fd)
        if self.opened == "somebody writes to it":
            kernel.openat(path, O_RDWR)
        return fd

    @property
    def chunks(self) -> list[Chunk]:
        """What copy_chunked_from_user does; empty when the call never gets there."""
        if not self.capable or not EHDR.itemsize <= self.size <= TOTAL_RAM:
            return []
        user, out, state = UserMemory(), [], "copied"
        self._map(user)
        for number, (offset, size) in enumerate(copy_chunks(self.size)):
            if state == "not reached" and number >= DRAWN:
                break
            there = len(user.readable(self.address + offset, size)) if state == "copied" else 0
            if state == "copied" and there < size:
                state = "failed"
            elif state == "failed":
                state = "not reached"
            first, last = (self.offset + offset) // PAGE_SIZE, (self.offset + offset + size - 1) // PAGE_SIZE
            pages = tuple((page, self._mapped(page)) for page in range(first, last + 1))
            out.append(Chunk(number, offset, size, state, there, pages))
        return out

    def _mapped(self, page: int) -> bool:
        end = self.offset + len(self.file.data)
        return page * PAGE_SIZE < end and not any(first <= page <= last for first, last in self.holes)

    def picture(self, *, done: bool = True) -> View:
        """The caller's pages for init_module, ``done`` or yet to be copied; for finit_module, which takes no
        memory of the caller's, the stages."""
        if self.call != "init_module":
            return load_pipeline(self.load, f"finit_module of {self.file.name}.ko", short=True)
        chunks = self.chunks
        if not done:
            chunks = [chunk._replace(state="not reached", copied=0) for chunk in chunks]
        total = len(copy_chunks(self.size)) if chunks else 0
        return user_copy(chunks, self.address, self.size, f"The caller's pages with {self.file.name}", total)

    @property
    def prompt(self) -> str:
        """The call as strace would write it."""
        if self.call == "init_module":
            return f'init_module({self.address:#x}, {self.size}, "")'
        return 'finit_module(3, "", 0)'

    def page(self, guess: str = SHOW, guessed: bool = True) -> Page:
        page = Page()
        error = self.load.error
        if not guessed:
            page.headline("What will the call return? Choose what you expect.").terminal([self.prompt])
            page.words(_AT_STAKE[self.call])
            if self.call == "init_module":
                page.view(self.picture(done=False))
            return page.models(*_PLACES[self.call])
        result = f"-1 {outcome_of(error)} ({error.strerror})" if error is not None and error.errno else "0"
        page.headline(verdict(self.file.name, error)).words(judged(guess, guess_of(error)))
        page.terminal([f"{self.prompt} = {result}", *dmesg_lines(self.kernel.dmesg)])
        page.words(error.why if error is not None else "").words(_AT_STAKE[self.call])
        page.view(self.picture())
        places = list(_PLACES[self.call])
        if error is not None:
            places.insert(0, place_of(error.stage))
        return page.models(*dict.fromkeys(places))


_AT_STAKE = {
    "init_module": (
        "The kernel asks in this order: may the caller (EPERM), are there 64 bytes for an ELF header "
        "(ENOEXEC), is there memory for a copy (ENOMEM); then it copies 16 pages at a time, counted from the "
        "image's first byte. A hole makes the whole call fail with EFAULT."
    ),
    "finit_module": (
        "The caller hands over a descriptor and no memory: the kernel reads the file itself, so holes and "
        "length do not matter. EBADF: not open for reading; ETXTBSY: somebody has it open for writing."
    ),
}
_PLACES = {
    "init_module": (place_of("may_init_module"), place_of("copy_module_from_user")),
    "finit_module": (place_of("may_init_module"), place_of("kernel_read_file_from_fd")),
}


def guess_of(error: KernelError | None) -> str:
    """The outcome as one of GUESSES."""
    outcome = outcome_of(error)
    return outcome if outcome in GUESSES else "another errno"
