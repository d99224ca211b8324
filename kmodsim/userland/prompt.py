# SPDX-License-Identifier: GPL-2.0-only
"""Where the shell's lines come from at the command line: a text, a pipe, or somebody typing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from .shell import Shell

Print = Callable[..., None]
HELLO = "Linux {release}, modelled by kmodsim; 'help' lists the words, 'exit' leaves.\n"


def run_script(kernel: Any, text: str, write: Print, flavour: str = "kmod") -> int:
    """Run the commands of one text, as ``sh -c``; the last status."""
    return _shell(kernel, write, flavour).run(text)


def run_stream(kernel: Any, stream: TextIO, write: Print, flavour: str = "kmod") -> int:
    """Run lines as they come. A prompt is shown only where both ends are a terminal."""
    shell = _shell(kernel, write, flavour)
    if not (stream.isatty() and sys.stdout.isatty()):
        return shell.run(stream)
    try:
        import readline  # noqa: F401  (line editing, where the host has it)
    except ImportError:
        pass
    write(HELLO.format(release=kernel.profile.release))
    for line in _typed(shell, write):
        shell.feed(line)
        if shell.finished:
            break
    return shell.status


def _typed(shell: Shell, write: Print) -> Iterator[str]:
    """Lines from the terminal; Ctrl-C drops the line, Ctrl-D leaves."""
    while True:
        try:
            sys.stdout.flush()
            yield input(shell.prompt)
        except KeyboardInterrupt:
            write("\n")
            shell.forget()
        except EOFError:
            write("\n")
            return


def _shell(kernel: Any, write: Print, flavour: str) -> Shell:
    def out(text: str) -> None:
        write(text)
        sys.stdout.flush()

    def err(text: str) -> None:
        write(text, sys.stderr)
        sys.stderr.flush()

    return Shell(kernel, out, err, flavour)
