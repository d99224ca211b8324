# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim profile build | list | show | differences | match``: make one for another kernel, compare."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kmodsim.profile import DEFAULT, KernelProfile
from kmodsim.profilebuild.boot import BuildError

CPUS = ("qemu64", "Skylake-Client", "EPYC")


def main(argv: Sequence[str]) -> int:
    """Run ``kmodsim profile`` with these arguments; the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except (BuildError, OSError, ValueError) as error:
        print(f"kmodsim profile: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kmodsim profile", description="Kernels the model knows.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("list", help="the profiles in this package").set_defaults(run=_list)
    show = commands.add_parser("show", help="what a profile says")
    show.add_argument("name", nargs="?", default=DEFAULT, help="a name, or a folder written by build")
    show.set_defaults(run=_show)
    differ = commands.add_parser("differences", help="every difference between two kernels")
    differ.add_argument("names", nargs="*", help="two or more, each beside the one before (default: all)")
    differ.add_argument("--write", type=Path, metavar="FILE", help="write the page to a file")
    differ.set_defaults(run=_differences)
    match = commands.add_parser("match", help="which known rules a kernel fits, by what its image has")
    match.add_argument("name", nargs="?", default=DEFAULT, help="a name, or a folder written by build")
    match.set_defaults(run=_match)
    build = commands.add_parser("build", help="make a profile: boots the kernel in QEMU")
    build.add_argument("--release", required=True, help="as uname -r prints it: 6.1.0-56-amd64")
    build.add_argument("--image-dir", required=True, type=Path, help="unpacked linux-image package")
    build.add_argument("--headers-dir", required=True, type=Path, help="unpacked linux-headers packages")
    build.add_argument("--name", required=True, help="name of the profile: debian-6.1-amd64")
    build.add_argument("--cpu", action="append", help=f"QEMU's name, repeatable (default: {' '.join(CPUS)})")
    build.add_argument("-o", "--output", required=True, type=Path, help="folder to write")
    build.set_defaults(run=_build)
    types = commands.add_parser("types", help="only prototypes, structures, contents: boots nothing")
    types.add_argument("name", help="a profile that is there: debian-6.1-amd64, or a folder written by build")
    types.add_argument("--image-dir", required=True, type=Path, help="unpacked linux-image package")
    types.add_argument("--headers-dir", required=True, type=Path, help="unpacked linux-headers packages")
    types.add_argument("-o", "--output", required=True, type=Path, help="folder to write")
    types.set_defaults(run=_types)
    return parser


def _list(arguments: argparse.Namespace) -> int:
    for name in KernelProfile.names():
        print(f"{name:24} {KernelProfile.load(name).uname_version}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    profile = KernelProfile.load(arguments.name)
    start, end = profile.module_area
    gpl = sum(export.gpl for export in profile.exports.values())
    print(f"profile          {profile.name}")
    print(f"release          {profile.release}")
    print(f"version          {profile.uname_version}")
    print(f"vermagic         {profile.vermagic!r}")
    print(f"text             {profile.text[0]:#x}-{profile.text[1]:#x}")
    print(f"module area      {start:#x}-{end:#x}")
    for address, size, what in profile.occupied:
        print(f"  taken at boot  {address:#x}-{address + size:#x} {what}")
    print(f"per-CPU reserve  {profile.percpu_reserved[0]:#x}-{profile.percpu_reserved[1]:#x}")
    print(f"struct module    {profile.struct_module.size:#x} bytes")
    print(f"exports          {len(profile.exports)}, of them {gpl} GPL-only")
    print(f"kallsyms         {len(profile.kallsyms)} symbols")
    print(f"trusted keys     {len(profile.keyring)}")
    print(f"built in         {len(profile.builtin_modules)} names in /sys/module")
    for name, model in profile.cpu_models.items():
        print(f"cpu {name:12} {len(model.features)} features, {len(model.bugs)} bugs, {model.return_thunk}")
    return 0


def _differences(arguments: argparse.Namespace) -> int:
    from kmodsim.profilebuild.differences import page

    text = page(arguments.names) if arguments.names else page()
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


def _match(arguments: argparse.Namespace) -> int:
    """Status 0 when the rules that the profile names fit in every sign."""
    from kmodsim.profilebuild.differences import matches

    profile = KernelProfile.load(arguments.name)
    found = matches(profile)
    for name, (fit, unfit) in found.items():
        mine = " (named by the profile)" if name == profile.rules.name else ""
        print(f"{name:5} {len(fit)} of {len(fit) + len(unfit)} signs fit{mine}")
        for sign in unfit:
            print(f"      not: {sign}")
    return int(bool(found[profile.rules.name][1]))


def _build(arguments: argparse.Namespace) -> int:
    from kmodsim.profilebuild.write import Source, build

    source = Source(arguments.release, arguments.image_dir, arguments.headers_dir)
    return _write(arguments.output, build(source, arguments.name, tuple(arguments.cpu or CPUS)))


def _types(arguments: argparse.Namespace) -> int:
    from kmodsim.profilebuild.write import Source, types_again

    profile = KernelProfile.load(arguments.name)
    source = Source(profile.release, arguments.image_dir, arguments.headers_dir)
    return _write(arguments.output, types_again(source, profile))


def _write(folder: Path, files: dict[str, bytes]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
        print(f"{folder / name}: {len(data)} bytes")
    return 0
