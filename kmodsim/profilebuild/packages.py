# SPDX-License-Identifier: GPL-2.0-only
"""Gets another Debian release's kernel packages, and unpacks them where ``kmodsim profile build`` finds them.

    python -m kmodsim.profilebuild.packages bullseye 5.10.0-32-amd64
    python -m kmodsim.profilebuild.packages --build-root bullseye 5.10.0-32-amd64

The second unpacks what a module for that kernel is built with: the headers, and that release's own compiler
and tools, as a root file system of its own that ``build_in`` enters. Nothing is
installed and the system's own lists stay as they are: apt gets a source list, lists and a cache of its own in
a temporary folder. The mirror is the one that this machine's apt already uses.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kmodsim.corpus import cache_directory
from kmodsim.profilebuild.boot import BuildError

SOURCES = Path("/etc/apt")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = re.compile(r"(?:^URIs:|^deb\s+(?:\[[^\]]*\]\s+)?)\s*(\S+/debian/?)(?:\s|$)", re.MULTILINE)
# What kbuild runs, besides what the headers depend on; base-files has the links of a merged /usr
TOOLS = (
    "make", "dash", "bash", "coreutils", "sed", "grep", "mawk", "findutils", "diffutils", "gzip", "xz-utils",
    "kmod", "perl-base", "base-files",
)  # fmt: skip
COMPANIONS = re.compile(r"\s+Depends: (linux-(?:headers|kbuild)-\S+)")


def mirror(sources: Path = SOURCES) -> str:
    """The first Debian archive in this machine's apt sources. BuildError: there is none."""
    files = [*sources.glob("sources.list.d/*.sources"), *sources.glob("*.list"), *sources.glob("*/*.list")]
    for file in sorted(files):
        found = MIRROR.search(file.read_text(encoding="utf-8"))
        if found:
            return found[1]
    raise BuildError(f"no Debian archive in the sources below {sources}")


class Apt:
    """apt with everything of its own below ``folder``."""

    def __init__(self, folder: Path, suite: str) -> None:
        for name in ("lists/partial", "cache/archives/partial", "packages"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        source = folder / "sources.list"
        source.write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n", encoding="utf-8")
        places = {
            "Dir::Etc::sourcelist": source, "Dir::Etc::sourceparts": "-",
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status", "Dir::Cache": folder / "cache",
            "APT::Sandbox::User": "root",
        }  # fmt: skip
        self.options = [word for name, value in places.items() for word in ("-o", f"{name}={value}")]
        self.packages = folder / "packages"

    def run(self, tool: str, *words: str) -> str:
        """The output of ``apt-get`` or ``apt-cache``. BuildError: it failed."""
        done = subprocess.run(
            [tool, *self.options, "-q", *words], cwd=self.packages, capture_output=True, text=True,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["failed"])[-1]
            raise BuildError(f"{tool} {' '.join(words)}: {reason}")
        return done.stdout


def needed(release: str, depends: str) -> list[str]:
    """Names of the packages: image, headers, and of what the headers depend on the common part and kbuild."""
    image, headers = f"linux-image-{release}", f"linux-headers-{release}"
    return [image, headers, *dict.fromkeys(COMPANIONS.findall(depends))]


def fetch(suite: str, release: str, cache: Path | None = None) -> Path:
    """Download and unpack; the folder ``linux-RELEASE-VERSION``, as it is if it is there. BuildError."""
    cache = cache or cache_directory()
    there = sorted(cache.glob(f"linux-{release}-[0-9]*"))
    if there:
        return there[-1]
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=cache) as name:
        folder = Path(name)
        apt = Apt(folder, suite)
        apt.run("apt-get", "update")
        depends = apt.run("apt-cache", "depends", f"linux-headers-{release}")
        apt.run("apt-get", "download", *needed(release, depends))
        for package in sorted(apt.packages.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "root")], check=True)
        (image,) = apt.packages.glob("linux-image-*.deb")
        target = cache / f"linux-{release}-{image.name.split('_')[1]}"
        (folder / "root").rename(target)
    return target


def fetch_build_root(suite: str, release: str, cache: Path | None = None) -> Path:
    """The folder ``build-RELEASE``: headers, compiler and tools of that Debian release. BuildError."""
    target = (cache or cache_directory()) / f"build-{release}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=target.parent) as name:
        folder = Path(name)
        apt = Apt(folder, suite)
        apt.run("apt-get", "update")
        install = ("install", "--yes", "--download-only", "--no-install-recommends")
        apt.run("apt-get", *install, f"linux-headers-{release}", *TOOLS)
        archives = sorted((folder / "cache" / "archives").glob("*.deb"))
        for package in sorted(archives, key=lambda path: not path.name.startswith("base-files")):
            if not package.name.startswith("linux-image-"):
                subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "root")], check=True)
        (folder / "root" / "mnt").mkdir(exist_ok=True)
        for shell in (folder / "root" / "bin" / "sh", folder / "root" / "usr" / "bin" / "awk"):
            shell.unlink(missing_ok=True)
            shell.symlink_to("dash" if shell.name == "sh" else "mawk")
        (folder / "root").rename(target)
    return target


def build_in(root: Path, work: Path, *command: str) -> None:
    """Run a command in a build root, ``work`` as /mnt. CalledProcessError: it failed; needs bubblewrap."""
    enter = ["bwrap", "--ro-bind", str(root), "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    enter += ["--bind", str(work), "/mnt", "--chdir", "/mnt", "--unshare-all", "--die-with-parent"]
    enter += ["--clearenv", "--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin", "--setenv", "LC_ALL", "C"]
    subprocess.run([*enter, *command], check=True)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: prints the folder."""
    parser = argparse.ArgumentParser(prog="python -m kmodsim.profilebuild.packages", description=__doc__)
    parser.add_argument("suite", help="Debian's name of the release: bullseye, trixie")
    parser.add_argument("release", help="as uname -r prints it: 5.10.0-32-amd64")
    parser.add_argument("--build-root", action="store_true", help="what modules are built with instead")
    options = parser.parse_args(argv)
    try:
        get = fetch_build_root if options.build_root else fetch
        print(get(options.suite, options.release))
    except (BuildError, OSError, subprocess.CalledProcessError) as error:
        print(f"packages: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
