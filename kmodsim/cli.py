# SPDX-License-Identifier: GPL-2.0-only
"""The command ``kmodsim``: one table of commands, each loaded only when it is called.

Errors go to standard error like the real tools', one line each, and the exit status tells. Lines that the
real tools would not print begin with "kmodsim:" and go to standard output; ``--quiet`` leaves them out.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .userland import ToolResult

INTERRUPTED = 128 + 2  # ended by SIGINT, as a shell counts it
DEFAULT_PROFILE = "debian-6.1-amd64"


class Invocation(NamedTuple):
    """What stands before and after the command's name."""

    profile: str
    cmdline: str
    uid: int
    quiet: bool
    command: str
    arguments: list[str]
    flavour: str = "kmod"

    def kernel(self) -> Any:
        """A freshly booted kernel."""
        from . import Kernel

        return Kernel(profile=self.profile, cmdline=self.cmdline, uid=self.uid)


class CommandLineError(Exception):
    """Something to say in one line; exit status 1."""


def _tool(call: Invocation) -> int:
    from .userland import run

    call, telling = _own_options(call)
    if telling:
        return _story(call)
    # modinfo never asks the kernel
    kernel = None if call.command == "modinfo" and call.flavour == "kmod" else call.kernel()
    result = run(kernel, [call.command, *call.arguments], flavour=call.flavour)
    show_result(result)
    if kernel is not None and not call.quiet:
        from .userland.notes import notes

        _print(notes(kernel, [call.command, *call.arguments], result))
    return result.status


def _own_options(call: Invocation) -> tuple[Invocation, bool]:
    """The two options of ours that may stand right behind a tool's name: --flavour NAME and --story."""
    words, flavour, telling = list(call.arguments), call.flavour, False
    while words:
        if words[0] == "--story" and call.command == "insmod":
            del words[0]
            telling = True
        elif words[0].startswith("--flavour="):
            flavour = words.pop(0).partition("=")[2]
        elif words[0] == "--flavour" and len(words) > 1:
            flavour = words[1]
            del words[:2]
        else:
            break
    return call._replace(arguments=words, flavour=flavour), telling


def _story(call: Invocation) -> int:
    from .userland.story import story

    told = story(call.kernel(), [call.command, *call.arguments], call.flavour)
    _print(str(told))
    show_result(told.result)
    return told.result.status


def show_result(result: ToolResult) -> None:
    _print(result.stdout)
    sys.stdout.flush()
    _print(result.stderr, sys.stderr)


def _print(text: str, stream: Any = None) -> None:
    """Write text in which bytes that are no text (a module's author in Latin-1) are kept as they are."""
    stream = sys.stdout if stream is None else stream
    try:
        stream.write(text)
    except UnicodeEncodeError:
        stream.flush()
        getattr(stream, "buffer", stream).write(_encoded(text, stream.encoding or "utf-8"))


def _encoded(text: str, encoding: str) -> bytes:
    """In a terminal's poorer alphabet a foreign letter becomes its number."""
    for errors in ("surrogateescape", "backslashreplace"):
        try:
            return text.encode(encoding, errors)
        except UnicodeEncodeError:
            continue
    return text.encode("ascii", "backslashreplace")


def _shell(call: Invocation) -> int:
    parser = argparse.ArgumentParser(
        prog="kmodsim shell", description="A root prompt on the modelled kernel."
    )
    parser.add_argument("-c", metavar="COMMANDS", help="run these and leave")
    parser.add_argument("script", nargs="?", help="run this file instead of what is typed or piped in")
    options = parser.parse_args(call.arguments)
    from .userland.prompt import run_script, run_stream

    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")  # any bytes may be piped in
    kernel = call.kernel()
    if options.c is not None:
        return run_script(kernel, options.c, _print, call.flavour)
    if options.script is None:
        return run_stream(kernel, sys.stdin, _print, call.flavour)
    try:
        with open(options.script, encoding="utf-8", errors="surrogateescape") as stream:
            return run_stream(kernel, stream, _print, call.flavour)
    except OSError as error:
        raise CommandLineError(f"shell: can't open '{options.script}': {error.strerror}") from None


def _explain(call: Invocation) -> int:
    parser = argparse.ArgumentParser(
        prog="kmodsim explain",
        usage="%(prog)s [--json] [--after FILE]... FILE [PARAM=VALUE]...",
        description="Load a module and show every stage, and where it fails.",
    )
    parser.add_argument("--json", action="store_true", help="plain data instead of text")
    parser.add_argument("--after", metavar="FILE", action="append", default=[], help="insmod this first")
    parser.add_argument("file", help="a .ko file or the name of a sample")
    parser.add_argument("params", nargs=argparse.REMAINDER, help="PARAM=VALUE ...")
    options = parser.parse_args(call.arguments)
    from .errors import KernelError
    from .userland import run
    from .userland.explain import explain

    kernel = call.kernel()
    for filename in options.after:
        result = run(kernel, ["insmod", "--", filename])
        if result.status:
            show_result(result)
            return result.status
    try:
        explanation = explain(kernel, options.file, " ".join(options.params))
    except KernelError as error:
        raise CommandLineError(f"explain: {options.file}: {error.strerror}") from None
    if options.json:
        import json

        _print(json.dumps(explanation.to_dict(), indent=2) + "\n")
    else:
        _print(str(explanation))
    return 0 if explanation.loaded else 1


def _disassemble(call: Invocation) -> int:
    from . import Kernel
    from .userland.disassemble import disassemble_file, parser

    options = parser().parse_args(call.arguments)
    kernel = Kernel(profile=call.profile, cmdline=call.cmdline, uid=call.uid, cpu=None)
    result = disassemble_file(kernel, options)
    if result.status:
        show_result(result)
    else:
        _print("" if call.quiet else result.stderr)
        _print(result.stdout)
    return result.status


def _explore(call: Invocation) -> int:
    from . import Kernel
    from .userland.explore import explore_file, parser

    options = parser().parse_args(call.arguments)
    kernel = Kernel(profile=call.profile, cmdline=call.cmdline, uid=call.uid, cpu=None)
    result = explore_file(kernel, options)
    show_result(result)
    return result.status


def _why(call: Invocation) -> int:
    from .why.cli import main as ask

    return ask(call.arguments, call.profile, call.cmdline, call.uid, _print)


def _samples(call: Invocation) -> int:
    from . import corpus

    for table in (corpus.samples(), corpus.distribution()):
        width = max(map(len, table), default=0)
        _print("".join(f"{name:<{width}}  {line}\n" for name, line in table.items()) + "\n")
    return 0


def _elsewhere(module: str) -> Callable[[Invocation], int]:
    """A command that another part of the package reads the arguments of: ``main(argv) -> status``."""

    def run(call: Invocation) -> int:
        return int(import_module(module, __package__).main(call.arguments) or 0)

    return run


class CommandEntry(NamedTuple):
    run: Callable[[Invocation], int]
    usage: str
    help: str


COMMANDS: dict[str, CommandEntry] = {
    "insmod": CommandEntry(_tool, "insmod FILE [PARAM=VALUE]...", "load one module into a fresh kernel"),
    "rmmod": CommandEntry(_tool, "rmmod MODULE...", "unload (a fresh kernel has nothing loaded)"),
    "lsmod": CommandEntry(_tool, "lsmod", "what is loaded (in a fresh kernel: nothing)"),
    "modinfo": CommandEntry(_tool, "modinfo FILE...", "what a module file says of itself"),
    "modprobe": CommandEntry(
        _tool, "modprobe [OPTION]... NAME...", "load by name, with dependencies; -D only shows the plan"
    ),
    "depmod": CommandEntry(
        _elsewhere(".userland.depmod"), "depmod -b DIR [RELEASE]", "write modules.dep and indexes for a tree"
    ),
    "dmesg": CommandEntry(_tool, "dmesg", "the kernel's log"),
    "shell": CommandEntry(
        _shell, "shell [-c COMMANDS]", "a root prompt: state lives through several commands"
    ),
    "explain": CommandEntry(
        _explain, "explain FILE [PARAM=VALUE]...", "every stage of a load, and where it fails"
    ),
    "disassemble": CommandEntry(
        _disassemble, "disassemble FILE [FUNCTION]...", "its code, relocated and patched, with notes"
    ),
    "explore": CommandEntry(
        _explore, "explore FILE [-o FILE.html]", "all of it linked together, as one HTML page"
    ),
    "why": CommandEntry(_why, "why FILE [PARAM=VALUE]...", "will it load, and if not: every reason"),
    "samples": CommandEntry(_samples, "samples", "the modules that come along: their names do for FILE"),
    "fetch": CommandEntry(
        _elsewhere(".fetching"), "fetch ...", "all 4,023 modules of the distribution's kernel"
    ),
    "profile": CommandEntry(_elsewhere(".profilebuild.cli"), "profile build ...", "describe another kernel"),
    "lab": CommandEntry(_elsewhere(".lab"), "lab", "open the course in JupyterLab"),
    "progress": CommandEntry(
        _elsewhere(".progress"), "progress [DIR]", "what is done of the course, what is next"
    ),
    "doctor": CommandEntry(
        _elsewhere(".course.doctor"), "doctor NOTEBOOK|FOLDER...", "what to put right before handing in"
    ),
    "course": CommandEntry(
        _elsewhere(".course.new"), "course new DIR --secret FILE", "an edition of the course for teaching"
    ),
    "grade": CommandEntry(
        _elsewhere(".course.grading.command"), "grade [ASSIGNMENT]...", "grade what was handed in, safely"
    ),
}


def parser() -> argparse.ArgumentParser:
    """The options before the command; everything behind the command's name is the command's."""
    lines = "".join(f"  {entry.usage:<32}{entry.help}\n" for entry in COMMANDS.values())
    result = argparse.ArgumentParser(
        prog="kmodsim", formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="kmodsim [--kernel PROFILE] [--cmdline WORDS] [--uid N] [--flavour NAME] [-q] COMMAND ...",
        description="A Linux kernel that only loads modules. FILE: a .ko or a sample's name.\n\n"
        "commands:\n" + lines,
        epilog="try: kmodsim shell -c 'insmod hello howmany=2; lsmod; rmmod hello; dmesg'",
    )  # fmt: skip
    result.add_argument(
        "--kernel", metavar="PROFILE", default=DEFAULT_PROFILE, help="which kernel (%(default)s)"
    )
    result.add_argument(
        "--cmdline", metavar="WORDS", default="", help="boot parameters: 'module_blacklist=hello'"
    )
    result.add_argument("--uid", type=int, default=0, help="who calls (0: root)")
    result.add_argument(
        "--flavour", metavar="NAME", default="kmod", help="whose tools: kmod, busybox, module-init-tools"
    )
    result.add_argument("-q", "--quiet", action="store_true", help="only what the real tool would print")
    result.add_argument("--version", action="store_true", help="print the version")
    result.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    result.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return result


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status. No exception of a modelled error leaves it."""
    try:
        status = _dispatch(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return status
    except SystemExit as end:  # argparse: --help, or a wrong option
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader has had enough; keep the interpreter's last flush quiet
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except CommandLineError as error:
        return _fail(str(error))
    except Exception as error:
        from .errors import KernelError

        if not isinstance(error, KernelError):
            raise
        return _fail(f"{error.strerror}: {error.why}" if error.why else error.strerror)


def _fail(text: str) -> int:
    print(f"kmodsim: {text}", file=sys.stderr)
    return 1


def _dispatch(argv: list[str]) -> int:
    top = parser()
    options = top.parse_args(argv)
    if options.version:
        from . import __version__

        print(f"kmodsim {__version__}")
        return 0
    if options.command is None:
        top.print_help()
        return 0
    if options.command not in COMMANDS:
        raise CommandLineError(f"no command '{options.command}'; kmodsim --help lists them")
    call = Invocation(
        options.kernel, options.cmdline, options.uid, options.quiet, options.command, options.arguments,
        options.flavour,
    )  # fmt: skip
    try:
        return COMMANDS[call.command].run(call)
    except ModuleNotFoundError as error:
        raise CommandLineError(f"{call.command}: {error.name} is not installed here") from None
    except ValueError as error:  # an unknown profile or boot parameter
        if call.command in ("fetch", "profile", "lab", "progress"):
            raise
        raise CommandLineError(str(error)) from None
