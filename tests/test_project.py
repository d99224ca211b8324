# SPDX-License-Identifier: GPL-2.0-only
"""The repository keeps its own rules: licences, who imports whom, sizes, locks, no machine's traces."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.core

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "kmodsim"

# The heart and what it stands on. Packages count with all their files.
HEART = (
    "errors", "records", "memory", "trace", "module", "symbols", "kernel", "loader", "unloader", "syscalls",
    "sysfs", "profile", "arch", "files", "linkedlist", "functions",
)  # fmt: skip
OUTER = ("views", "widgets", "course", "cpu", "userland", "cli", "why", "magic")
FACES = (
    "matplotlib", "ipywidgets", "IPython", "anywidget", "graphviz", "unicorn", "capstone", "lief", "elftools",
)  # fmt: skip


def tracked(*patterns: str) -> list[Path]:
    """The repository's files, as git knows them: a learner's own files are none of our business."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone")
    names = subprocess.run(
        [git, "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, check=True, timeout=60
    ).stdout
    return [ROOT / name for name in names.decode().split("\0") if name and (ROOT / name).is_file()]


def committed(path: Path) -> bytes:
    """A file's bytes as git has them, whatever was done to the copy in the work tree."""
    name = path.relative_to(ROOT).as_posix()
    done = subprocess.run(["git", "show", f":{name}"], cwd=ROOT, capture_output=True, check=True, timeout=60)
    return done.stdout


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def wanted(*extras: str) -> set[str]:
    """The names of the packages that the core and these extras need, kmodsim's own extras followed."""
    table = project()
    names: set[str] = set()
    of_extras = (line for extra in extras for line in table["optional-dependencies"][extra])
    for line in (*table["dependencies"], *of_extras):
        name, of_ours = re.match(r"([\w.-]+)(?:\[([\w, ]+)\])?", line).groups()  # type: ignore[union-attr]
        if name == "kmodsim":
            names |= wanted(*(extra.strip() for extra in of_ours.split(",")))
        else:
            names.add(name.lower())
    return names


# --- installing ---------------------------------------------------------------------------------------------

# PyPI's name -> conda-forge's, where they differ
CONDA_NAME = {"graphviz": "python-graphviz", "lief": "py-lief", "playwright": "playwright-python"}


EXTRAS = ("zstd", "views", "exec", "lab", "test")


def conda_lines() -> list[str]:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    return re.findall(r"^ *- (.+?)(?: +#.*)?$", text, re.MULTILINE)


def test_conda_environment_is_in_step_with_pyproject() -> None:
    """environment.yml has what lab and tests need, under conda-forge's names, with pyproject's bounds."""
    lines = {re.split(r"[ =<>]", line)[0]: line for line in conda_lines()}
    for name in wanted("lab", "test"):
        assert CONDA_NAME.get(name, name) in lines
    assert "graphviz" in lines, "the tool dot itself, which pip cannot give"
    assert lines["python"] == f"python {project()['requires-python']}"
    assert lines["-e"] == "-e ."
    bounds = dict(
        re.match(r"([\w.-]+)(.*)", line).groups()  # type: ignore[union-attr]
        for extra in ([], *(project()["optional-dependencies"][e] for e in EXTRAS))
        for line in (extra or project()["dependencies"])
        if not line.startswith("kmodsim[")
    )
    for name, bound in bounds.items():
        conda = CONDA_NAME.get(name, name)
        assert lines[conda] == f"{conda} {bound}".strip()


ALL = ("lab", "test", "browser", "bench", "dev", "grading", "cluster")


@pytest.mark.parametrize("extras", [("lab",), ("lab", "test"), ALL])
def test_locks_hold_every_dependency_with_a_hash(extras: tuple[str, ...]) -> None:
    name = {1: "lab", 2: "test"}.get(len(extras), "all")
    lock = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE))
    assert wanted(*extras) <= pinned
    assert "kmodsim" not in pinned
    for entry in re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in entry


def test_larger_locks_have_the_versions_of_the_smaller() -> None:
    """`make test` after `make lab` must not move what the lab runs on."""

    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        # the version alone: a larger set may want a package on more systems
        return {line.split()[0] for line in text.splitlines() if "==" in line and not line.startswith(" ")}

    assert pins("lab") <= pins("test") <= pins("all")


def test_what_only_tests_need_stays_out_of_the_lab() -> None:
    lab = (ROOT / "requirements" / "lab.txt").read_text(encoding="utf-8")
    for name in ("pytest", "playwright", "lief", "hypothesis", "ruff", "mypy"):
        assert not re.search(rf"^{name}==", lab, re.MULTILINE)


# --- what is in the files -----------------------------------------------------------------------------------

SOURCES = (
    "*.py", "*.sh", "*.c", "*.h", "*.S", "*.js", "*.css", "*.toml", "*.yml", "*.in", "*.svg", "*Kbuild",
    "Makefile", "*/Makefile", ".ci/run",
)  # fmt: skip


def test_every_source_file_names_its_licence() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in tracked(*SOURCES)
        if path.stat().st_size and b"SPDX-License-Identifier: " not in path.read_bytes()[:600]
    ]
    assert silent == []


def test_every_named_licence_has_its_text() -> None:
    line = re.compile(r"^\W*SPDX-License-Identifier: ([\w.-]+)", re.MULTILINE)
    named = set()
    for path in tracked(*SOURCES, "*.ipynb", "*.md"):
        named |= set(line.findall(path.read_text(encoding="utf-8")))
    assert "GPL-2.0-only" in named
    for licence in named:
        assert (ROOT / "LICENSES" / f"{licence}.txt").is_file()
    assert (ROOT / "LICENSE").read_bytes() == (ROOT / "LICENSES" / "GPL-2.0-only.txt").read_bytes()


# Written in two halves, so that this file passes its own test
LOCAL = tuple(
    (a + b).encode()
    for a, b in (
        ("pypi", ".org"), ("files.python", "hosted.org"), ("registry.npm", "js.org"), ("deb.deb", "ian.org"),
        ("security.deb", "ian.org"), ("ftp.deb", "ian.org"), ("anaconda", ".org"), ("/opt/", "pypi"),
        ("/opt/", "wheels"), ("/wo", "rk/"), ("/ro", "ot/.pyenv"), ("/ro", "ot/.cache"),
        ("/tmp/", "w/"), ("/ho", "me/"),
        ("--index", "-url"), ("--extra-index", "-url"), ("--find", "-links"),
    )
)  # fmt: skip


def test_nothing_of_one_machine_is_in_the_repository() -> None:
    """No home directories, no registry's or mirror's address: each machine has its own. Binaries too."""
    found = []
    for path in tracked():
        data = path.read_bytes()
        found += [f"{path.relative_to(ROOT).as_posix()}: {word.decode()}" for word in LOCAL if word in data]
    assert found == []


def test_notebooks_are_kept_without_outputs() -> None:
    for path in tracked("*.ipynb"):
        for cell in json.loads(committed(path))["cells"]:
            assert not cell.get("outputs"), path.name
            assert cell.get("execution_count") is None, path.name


def test_notebooks_name_their_licence() -> None:
    for path in tracked("notebooks/*.ipynb"):
        assert b"CC-BY-SA-4.0" in committed(path), path.name


# --- the shape of the code ----------------------------------------------------------------------------------


def files_of(rooms: tuple[str, ...]) -> Iterator[Path]:
    for room in rooms:
        if (PACKAGE / f"{room}.py").is_file():
            yield PACKAGE / f"{room}.py"
        yield from sorted((PACKAGE / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Full names of all that a file imports, inside functions too; not what only a type checker reads."""
    here = path.relative_to(ROOT).with_suffix("").parts
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
            continue
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                base = [*here[: len(here) - node.level], *base]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def crossing(rooms: tuple[str, ...], forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT).as_posix()} imports {name}"
        for path in files_of(rooms)
        for name in imports(path)
        if any(name == word or name.startswith(f"{word}.") for word in forbidden)
    ]


# kernel.insmod(…) and kernel.rmmod(…) are the tools themselves, kernel.cpu runs code: one-line doors
DOORS = (
    "kmodsim/kernel.py imports kmodsim.cpu.start_cpu",
    "kmodsim/kernel.py imports kmodsim.userland.insmod.insmod",
    "kmodsim/kernel.py imports kmodsim.userland.rmmod.rmmod",
)


def test_the_heart_never_imports_the_outer_rings() -> None:
    found = crossing(HEART, tuple(f"kmodsim.{room}" for room in OUTER))
    assert [line for line in found if line not in DOORS] == []


def test_the_heart_imports_no_faces_and_no_second_elf_reader() -> None:
    """Pictures are drawn elsewhere; and the loader reads files the kernel's way, not pyelftools'."""
    assert crossing(HEART, FACES) == []


def test_views_compute_pictures_without_widgets() -> None:
    assert crossing(("views",), ("ipywidgets", "IPython", "anywidget", "kmodsim.widgets")) == []


HOST = ("fcntl", "resource", "signal", "pwd", "grp", "termios", "posix", "mmap", "errno")


def test_the_core_asks_the_host_for_nothing_that_windows_lacks() -> None:
    """Nor for its errno, whose numbers differ; the tools translate it, by name, where they open files."""
    assert crossing((*HEART, "modulefile", "decompress", "params", "corpus", "views"), HOST) == []
    # the tools map depmod's indexes: Windows has that too
    tools = tuple(name for name in HOST if name not in ("errno", "mmap"))
    assert crossing(("userland", "cli", "why"), tools) == []


def test_the_heart_stays_small() -> None:
    """About 4,000 lines in these rooms, comments included, empty lines not: readable in an evening."""
    rooms = ("loader", "unloader", "kernel", "memory", "records", "arch", "profile")
    counts = {
        path.relative_to(PACKAGE).as_posix(): len(re.findall(r".*\S", path.read_text(encoding="utf-8")))
        for path in files_of(rooms)
    }
    assert len(counts) > len(rooms)
    assert sum(counts.values()) <= 4050, sorted(counts.items(), key=lambda item: -item[1])


def test_profile_data_stay_small() -> None:
    """Three kernels in under 4 MB in all; each is read only when it is used."""
    sizes = [path.stat().st_size for path in (PACKAGE / "profiles").rglob("*") if path.is_file()]
    assert 0 < sum(sizes) < 4_000_000


def test_real_distribution_modules_stay_small() -> None:
    """4 MB at most, with their licence and source pointer; with samples and index under 5 MB."""
    assert 0 < sum(path.stat().st_size for path in tracked("kmodsim/data/distribution")) <= 4_000_000
    assert 0 < sum(path.stat().st_size for path in tracked("kmodsim/data")) <= 5_000_000


def test_the_package_takes_all_its_files_along() -> None:
    """What in kmodsim/ is no Python has a pattern in pyproject.toml, or an installed kmodsim lacks it."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    taken = {path for pattern in tool["package-data"]["kmodsim"] for path in PACKAGE.glob(pattern)}
    assert [path for path in tracked("kmodsim") if path.suffix != ".py" and path not in taken] == []


# --- the rules of the tests themselves ----------------------------------------------------------------------


def run_pytest(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the tests lying in the folder under this project's conftest.py."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    marks = "\n".join(f"    {name}: x" for name in ("core", "tool", "tree", "browser", "notebook", "bench"))
    (folder / "pytest.ini").write_text(f"[pytest]\nmarkers =\n{marks}\n")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "KMODSIM_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--continue-on-collection-errors", "."],
        cwd=folder, env={**clean, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_a_test_without_exactly_one_marker_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_none(): pass\n"
        "@pytest.mark.core\ndef test_one(): pass\n"
        "@pytest.mark.core\n@pytest.mark.tool\ndef test_two(): pass\n"
    )
    done = run_pytest(tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "test_it.py::test_none: no marker" in done.stderr
    assert "test_it.py::test_two: core, tool" in done.stderr
    assert "test_one" not in done.stderr


# the ways in which a test may say that it misses something
SKIPS = {
    "fixture": '@pytest.mark.tool\ndef test_it(needs): needs("no-such-tool")',
    "call": '@pytest.mark.tool\ndef test_it(): pytest.skip("needs no-such-tool")',
    "mark": '@pytest.mark.tool\n@pytest.mark.skipif(True, reason="needs no-such-tool")\ndef test_it(): pass',
    "module": 'pytest.skip("needs no-such-tool", allow_module_level=True)',
    "import": 'pytest.importorskip("no_such_module")',
}


def test_where_all_is_required_whatever_is_missing_fails(tmp_path: Path) -> None:
    for name, test in SKIPS.items():
        (tmp_path / f"test_{name}.py").write_text(f"import pytest\n{test}\n")
    (tmp_path / "test_other.py").write_text(
        'import pytest\n@pytest.mark.core\ndef test_it(): pytest.skip("not on this release")\n'
    )
    assert f"{len(SKIPS) + 1} skipped" in run_pytest(tmp_path).stdout
    done = run_pytest(tmp_path, KMODSIM_REQUIRE_ALL="1")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "2 failed, 1 skipped, 3 errors" in done.stdout  # an error: before the test's own body
    assert done.stdout.count("KMODSIM_REQUIRE_ALL is set") >= len(SKIPS)
