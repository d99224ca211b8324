# SPDX-License-Identifier: GPL-2.0-only
"""The confinement seen from outside: started by bubblewrap, tried before it is trusted, asked for lives.

bubblewrap being installed says little (inside containers it often cannot do its work), so ``trial`` starts
one and lets a life try what must not succeed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

from ..plain import NotPlainError
from .confined import wire

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1]  # kmodsim, with all its answers
START = "import sys; sys.path[:0] = sys.argv.pop().split(':'); "
START += "from course.grading.confined.zygote import main; sys.exit(main(sys.argv[1:]))"
SYSTEM = ("/lib", "/lib64", "/usr/lib64", "/usr/lib/{0}-linux-gnu", "/etc/ld.so.cache")
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "HOME": "/desk", "LANG": "C.UTF-8"}
MODES = ("bubblewrap", "container", "nothing")
TRIED = """\
import os
def tried():
    went = []
    def attempt(what, do):
        try:
            do()
        except (OSError, MemoryError):
            return
        went.append(what)
    def end(pid):
        if pid == 0:
            os._exit(0)
    def big():
        with open("/desk/big", "wb") as stream:
            for _ in range(4000):
                stream.write(bytes(1 << 20))
    def write(path):
        with open(path, "x"):
            os.unlink(path)
    attempt("start a process", lambda: end(os.fork()))
    attempt("open a socket", lambda: __import__("socket").socket())
    attempt("use gigabytes of memory", lambda: bytearray(64 << 30))
    attempt("fill the disk", big)
    attempt("become root", lambda: os.setuid(0))
    for path in PATHS:
        attempt("see " + path, lambda: os.stat(path))
    for path in ("/", "/tmp", "/usr", "/dev/shm", "/proc", os.path.dirname(os.__file__)):
        attempt("write to " + path, lambda: write(path + "/kmodsim-trial"))
    return went
"""


class ConfinementError(Exception):
    """There is no confinement here that holds; the message says what was tried."""


class Limits(NamedTuple):
    """MiB of memory, seconds of processor time, MiB of files of one life; seconds to wait for a cell and for
    a whole submission.
    """

    memory: int = 1024
    processor: int = 300
    files: int = 16
    cell: float = 60.0
    submission: float = 300.0


class Zygote:
    """A running fork server; ``life()`` gives a new connection. Ends with the process that made it."""

    def __init__(self, mode: str, limits: Limits) -> None:
        self.mode, self.limits = mode, limits
        numbers = [str(number) for number in limits[:3]]
        command = _command(mode, [{"bubblewrap": "namespaces"}.get(mode, mode), *numbers])
        self._judge, inside = socket.socketpair()
        self._process = subprocess.Popen(
            command, stdin=inside.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=ENVIRONMENT, close_fds=True,
        )  # fmt: skip
        inside.close()

    def life(self) -> socket.socket:
        """A socket to a new confined process. ConfinementError when the server is gone."""
        mine, inside = socket.socketpair()
        try:
            socket.send_fds(self._judge, [b"life"], [inside.fileno()])
        except OSError:
            mine.close()
            raise ConfinementError(self.last_words()) from None
        finally:
            inside.close()
        return mine

    def last_words(self) -> str:
        """What the server wrote before it ended."""
        self._process.kill()
        text = self._process.stderr.read() if self._process.stderr else b""
        return text.decode(errors="replace").strip()[-500:] or "it ended without a word"

    def close(self) -> None:
        """End it and every life."""
        self._judge.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()


def _command(mode: str, words: list[str]) -> list[str]:
    numpy = _numpy()
    if mode != "bubblewrap":
        # the package's folders under the names that they have inside
        paths = f"{_shadow()}:{numpy.parent}"
        return [sys.executable, "-I", "-S", "-B", "-c", START, *words, paths]
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise ConfinementError("bubblewrap is not installed (Debian: apt install bubblewrap)")
    return [bubblewrap, *_walls(numpy), _python(), "-I", "-S", "-B", "-c", START, *words, "/grader:/extra"]


def _python() -> str:
    return os.path.realpath(sys.executable)


def _numpy() -> Path:
    spec = importlib.util.find_spec("numpy")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def _shadow() -> str:
    """Without bubblewrap the confined part is copied: kmodsim itself must not be on the path."""
    import atexit
    import tempfile

    folder = tempfile.mkdtemp(prefix="kmodsim-grading-")
    atexit.register(shutil.rmtree, folder, True)
    os.chmod(folder, 0o755)
    for inside, path in _parts():
        target = Path(folder + inside.removeprefix("/grader"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return folder


def _parts() -> list[tuple[str, Path]]:
    """The files of kmodsim that are to be seen inside: where, and which."""
    empty = HERE / "__init__.py"  # a docstring
    files = [("/grader/course/__init__.py", empty), ("/grader/course/grading/__init__.py", empty)]
    files += [("/grader/course/plain.py", HERE.parent / "plain.py")]
    confined = sorted((HERE / "confined").glob("*.py"))
    return files + [(f"/grader/course/grading/confined/{path.name}", path) for path in confined]


def _walls(numpy: Path) -> list[str]:
    """bubblewrap's options: an empty root, in which stand Python, its library, numpy and the worker."""
    root = os.geteuid() == 0
    words = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    # root has more than one user to give away; others get theirs in a user namespace
    words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if root else ["--unshare-user"]
    for name, value in ENVIRONMENT.items():
        words += ["--setenv", name, value]
    for pattern in SYSTEM:
        path = pattern.format(os.uname().machine)
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path).lstrip("/"), path]
        elif os.path.exists(path):
            words += _shown(path)
    words += _interpreter() + _shown(numpy, "/extra/numpy")
    if (libraries := numpy.parent / "numpy.libs").is_dir():
        words += _shown(libraries, "/extra/numpy.libs")
    for inside, part in _parts():
        words += _shown(part, inside)
    return [*words, "--dev", "/dev", "--proc", "/proc", "--dir", "/desk", "--remount-ro", "/", "--chdir", "/"]


def _interpreter() -> list[str]:
    """Python itself and its library, without the packages installed beside it."""
    python, library = _python(), sysconfig.get_path("stdlib")
    words = _shown(python) + _shown(library)
    for packages in ("site-packages", "dist-packages"):
        if os.path.isdir(f"{library}/{packages}"):
            words += ["--tmpfs", f"{library}/{packages}"]
    for shared in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
        words += _shown(shared)
    return words


def _shown(path: str | Path, inside: str = "") -> list[str]:
    """Bind a path read-only; folders above it are made by name, else bubblewrap makes them for root only."""
    target = inside or str(path)
    words = [word for above in reversed(Path(target).parents[:-1]) for word in ("--dir", str(above))]
    return [*words, "--ro-bind", str(path), target]


def trial(mode: str, limits: Limits, unseen: list[str]) -> list[str]:
    """What a life could do that it must not, by trying: an empty list is a pass.

    ``unseen``: paths that must not be there. ConfinementError when no life starts at all.
    """
    zygote = Zygote(mode, limits)
    connection: socket.socket | None = None
    try:
        connection = zygote.life()
        connection.settimeout(60)
        wire.send(connection, ["run", f"PATHS = {unseen!r}\n{TRIED}"])
        _heard(connection)
        wire.send(connection, ["call", "tried", [], {}])
        return [str(what) for what in _heard(connection)]
    except (wire.BrokenError, NotPlainError, TimeoutError) as error:
        raise ConfinementError(f"{mode}: {error}; {zygote.last_words()}") from None
    finally:
        if connection is not None:
            connection.close()
        zygote.close()


def _heard(connection: socket.socket) -> Any:
    answer = wire.receive(connection)[0]
    if answer[0] != "value":
        raise ConfinementError(": ".join(map(str, answer)))
    return answer[1]


def choose(wanted: str | None, limits: Limits, unseen: list[str]) -> str:
    """The mode to grade in. ConfinementError, loudly, when bubblewrap does not hold and nothing else was
    asked for.
    """
    if wanted is not None and wanted not in MODES:
        raise ConfinementError(f"--confine={wanted}: there are {', '.join(MODES[:2])}")
    if wanted in ("container", "nothing"):
        return wanted  # what these cannot forbid is in docs/grading.md
    try:
        went = trial("bubblewrap", limits, unseen)
    except (ConfinementError, OSError) as error:
        went = [str(error)]
    if went:
        raise ConfinementError(
            "learners' code cannot be confined here, so nothing was graded. bubblewrap was tried: "
            f"{'; '.join(went)}.\n"
            "Inside a container made only for this grading: --confine=container. "
            "For code that you trust as your own: --unconfined."
        )
    return "bubblewrap"
