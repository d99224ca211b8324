# SPDX-License-Identifier: GPL-2.0-only
"""Make ``.venv`` and install one locked set of packages and kmodsim itself into it.

``python3 requirements/install.py lab``; the Makefile does it for you.

The sets are the files beside this one: ``lab`` within ``test`` within ``all``. Versions and hashes are
fixed there; where the packages come from is left to the machine. A file ``.venv/.lab`` says that the set is
in place (the Makefile looks at its date).

The language stays that of Python 3.6, so that an old python3 can say what is wrong in one line.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

SETS = ("lab", "test", "all")  # each holds the one before it
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STALE = 900  # seconds after which nobody can still be at work in .venv


def give_up(line):
    sys.exit("kmodsim: " + line)


def check_python():
    if sys.version_info < (3, 11):
        has = ".".join(map(str, sys.version_info[:3]))
        give_up("needs Python 3.11 or newer, this is " + has + ": try `make lab PYTHON=python3.12`")
    try:
        from ensurepip import version  # Debian ships the module venv without what it needs
    except ImportError:
        give_up("this python3 lacks venv: `apt install python3-venv` (Debian, Ubuntu), then again")
    return version


def run(*command):
    """Whether the command succeeded. What it printed is shown only if it did not."""
    command = [str(word) for word in command]
    done = subprocess.run(command, cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.stdout.write(done.stdout.decode(errors="replace"))
    return done.returncode == 0


def make_venv():
    works = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    if PYTHON.exists() and not subprocess.call([str(PYTHON), "-c", works], stderr=subprocess.DEVNULL):
        return
    print("kmodsim: making .venv", flush=True)
    if not run(sys.executable, "-m", "venv", "--clear", VENV):
        give_up("python3 -m venv failed, see above (Debian and Ubuntu: `apt install python3-venv`)")


def install(name):
    """Install one set by uv, by pip where uv cannot be had or fails."""
    lock = ROOT / "requirements" / (name + ".txt")
    print("kmodsim: installing requirements/" + lock.name + " into .venv", flush=True)
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    uv = (PYTHON, "-m", "uv", "pip", "install", "--quiet", "--python", PYTHON)
    quick = run(*pip, "--only-binary", ":all:", "--require-hashes", "-r", ROOT / "requirements" / "uv.txt")
    if not (quick and run(*uv, "--require-hashes", "-r", lock)):
        print("kmodsim: no uv here, pip installs (slower)", flush=True)
        if not run(*pip, "--require-hashes", "-r", lock):
            give_up("pip could not install requirements/" + lock.name + ", see above")
    if not run(*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT):
        give_up("pip could not install kmodsim itself, see above")
    # matplotlib looks for fonts once and talks about it on stderr: not in somebody's first notebook
    run(PYTHON, "-c", "import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot")


def locked(work):
    """One at a time: two makes in one clone wait for each other."""
    lock = ROOT / ".venv.lock"
    waiting = False
    while True:
        try:
            lock.mkdir()
            break
        except FileExistsError:
            if time.time() - lock.stat().st_mtime > STALE:
                lock.rmdir()
            elif not waiting:
                waiting = True
                print("kmodsim: another installation is at work (none? `rmdir .venv.lock`)", flush=True)
            time.sleep(1)
    try:
        work()
    finally:
        lock.rmdir()


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in SETS:
        give_up("which set? one of " + ", ".join(SETS))
    name = sys.argv[1]
    check_python()

    def work():
        make_venv()
        install(name)
        for part in SETS[: SETS.index(name) + 1]:
            (VENV / ("." + part)).touch()

    locked(work)


if __name__ == "__main__":
    main()
