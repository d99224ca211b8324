# SPDX-License-Identifier: GPL-2.0-only
"""The dependency graph: what depmod and modprobe say, modinfo and nm; its drawings."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kmodsim.corpus import DATA, DISTRIBUTION, RELEASE, SAMPLES, index
from kmodsim.depgraph import DependencyGraph, from_folder, from_index
from kmodsim.sampleindex import FIRST
from kmodsim.userland.index_read import Index
from kmodsim.views.dependency_tree import neighbourhood, whole_tree

LADDER = DependencyGraph(
    {"a": ("b", "c"), "b": ("d",), "c": ("d", "e"), "d": ("f",), "e": ("f",), "f": (), "alone": ()},
    {"a": ("b1", "b2", "c1", "printk")},
    {"b1": ("b",), "b2": ("b", "other"), "c1": ("c",)},
)


def base(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")


# -- by hand


@pytest.mark.core
def test_what_a_graph_answers() -> None:
    assert LADDER.pulls_in("a")[0] == "f"
    assert set(LADDER.pulls_in("a")) == {"b", "c", "d", "e", "f"}
    assert LADDER.pulls_in("f") == ()
    assert LADDER.used_by("d") == ("b", "c")
    assert LADDER.used_by("d", everywhere=True) == ("a", "b", "c")
    assert LADDER.chain("a", "f") == ("a", "b", "d", "f")
    assert LADDER.chain("a", "e") == ("a", "c", "e")
    assert LADDER.chain("f", "a") == () == LADDER.chain("alone", "a")
    assert LADDER.chain("a", "a") == ("a",)
    assert LADDER.symbols("a", "b") == ("b1", "b2")
    assert LADDER.symbols("a", "d") == ()
    assert LADDER.depths == {"a": 3, "b": 2, "c": 2, "d": 1, "e": 1, "f": 0, "alone": 0}
    assert (len(LADDER), LADDER.edges) == (7, 7)


@pytest.mark.core
def test_what_is_needed_stands_before_who_needs_it() -> None:
    """For all 4,023 modules of the index."""
    graph = from_index()
    assert len(graph) == 4023
    for name in graph.direct:
        loaded: set[str] = set()
        for other in graph.pulls_in(name):
            assert loaded.issuperset(graph.direct[other])
            loaded.add(other)
        assert loaded.issuperset(graph.direct[name])
        assert loaded == set(index().dependencies(name))


@pytest.mark.core
def test_a_circle_is_no_end() -> None:
    graph = DependencyGraph({"a": ("b",), "b": ("a", "c"), "c": (), "d": ("a",)})
    assert graph.pulls_in("d") == ("c", "a", "b") or set(graph.pulls_in("d")) == {"a", "b", "c"}
    assert graph.chain("d", "c") == ("d", "a", "b", "c")
    assert graph.depths == {"a": -1, "b": -1, "c": 0, "d": -1}
    ElementTree.fromstring(whole_tree(graph).svg)
    ElementTree.fromstring(neighbourhood(graph, "a", dot=False).svg)


@pytest.mark.core
def test_unknown_names_are_key_errors_and_dashes_are_underscores() -> None:
    graph = from_index()
    assert graph.chain("snd-hda-intel", "soundcore")[0] == "snd_hda_intel"
    assert "snd-pcm" in graph
    for ask in (graph.pulls_in, graph.used_by, graph.around):
        with pytest.raises(KeyError, match="no module 'nosuch'"):
            ask("nosuch")


@pytest.mark.core
def test_the_order_is_that_of_the_real_depmods_index(tmp_path: Path) -> None:
    """modules.dep.bin of the modules that come along: modprobe loads a line's modules from its end."""
    paths = [*SAMPLES.glob("*.ko"), *DISTRIBUTION.glob("*.ko")]
    paths.sort(key=lambda path: (path.stem not in FIRST, path.relative_to(DATA).as_posix()))
    for path in paths:
        copy = tmp_path / path.relative_to(DATA)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    names = "".join(f"{path.relative_to(DATA).as_posix()}\n" for path in paths)
    (tmp_path / "modules.order").write_text(names)
    graph = from_folder(tmp_path)
    real = Index(str(DATA / "modules.dep.bin"))
    assert len(graph) > 40
    for name in graph.direct:
        line = real.search(name.encode())
        assert line is not None
        needed = line.decode().partition(":")[2].split()
        assert graph.pulls_in(name) == tuple(base(path) for path in reversed(needed))


# -- beside the real tools


@pytest.fixture(scope="module")
def graph(tree: Path) -> DependencyGraph:
    return from_folder(tree)


@pytest.mark.tree
def test_modprobe_loads_in_this_order(
    graph: DependencyGraph, tree: Path, needs: Callable[[str], str], tmp_path: Path
) -> None:
    folder = tmp_path / "lib" / "modules" / RELEASE
    folder.mkdir(parents=True)
    for name in ("kernel", "modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (folder / name).symlink_to(tree / name)
    subprocess.run([needs("depmod"), "-b", str(tmp_path), RELEASE], check=True)
    (folder / "modules.softdep").unlink()  # what modprobe would load beside
    for name in [*list(graph.direct)[::40], "btrfs", "amdgpu", "snd_hda_intel"]:
        out = subprocess.run(
            [needs("modprobe"), "-d", str(tmp_path), "-S", RELEASE, "-C", "/dev/null", "-D", name],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        loaded = [base(line.split()[1]) for line in out.splitlines()]
        assert (*graph.pulls_in(name), name) == tuple(loaded)


@pytest.mark.tree
def test_modinfo_names_the_same_modules(
    graph: DependencyGraph, tree: Path, needs: Callable[[str], str]
) -> None:
    """``depends=`` was written by modpost when the kernel was built; every 20th module."""
    paths = {base(path.name): path for path in tree.glob("kernel/**/*.ko")}
    for name in list(graph.direct)[::20]:
        out = subprocess.run(
            [needs("modinfo"), "-F", "depends", str(paths[name])], capture_output=True, text=True, check=True
        ).stdout
        assert set(graph.direct[name]) == {base(word) for word in re.split("[,\n]", out) if word}


@pytest.mark.tree
def test_index_and_tree_have_the_same_edges(graph: DependencyGraph) -> None:
    other = from_index()
    assert {name: set(needs) for name, needs in other.direct.items()} == {
        name: set(needs) for name, needs in graph.direct.items()
    }
    assert other.depths == graph.depths
    for user in list(graph.direct)[::50]:
        for owner in graph.direct[user]:
            assert other.symbols(user, owner) == graph.symbols(user, owner) != ()


@pytest.mark.tree
def test_the_symbols_of_an_edge_are_those_nm_shows(
    graph: DependencyGraph, tree: Path, needs: Callable[[str], str]
) -> None:
    paths = {base(path.name): path for path in tree.glob("kernel/**/*.ko")}

    def names(option: str, name: str) -> set[str]:
        out = subprocess.run([needs("nm"), option, str(paths[name])], capture_output=True, text=True).stdout
        return {line.split()[-1] for line in out.splitlines()}

    for user, owner in (("btrfs", "raid6_pq"), ("ext4", "jbd2"), ("snd_hda_intel", "snd_pcm")):
        exported = {s.removeprefix("__ksymtab_") for s in names("-a", owner) if s.startswith("__ksymtab_")}
        assert set(graph.symbols(user, owner)) == names("-u", user) & exported != set()


# -- drawings


@pytest.mark.core
def test_the_neighbourhood_names_each_edges_symbols() -> None:
    view = neighbourhood(from_index(), "ext4", dot=False)
    rows = [line.split() for line in view.text.splitlines()[2:]]
    assert [row[:3] for row in rows] == [
        [user, owner, str(len(from_index().symbols(user, owner)))]
        for user, owner in (("ext4", "jbd2"), ("ext4", "mbcache"), ("ext4", "crc16"))
    ]
    for name in ("ext4", "jbd2", "mbcache", "crc16"):
        assert f">{name}</text>" in view.svg


@pytest.mark.core
def test_all_modules_are_in_the_picture_of_the_whole_tree() -> None:
    """One square each, in a picture that a notebook can carry."""
    graph = from_index()
    view = whole_tree(graph, "snd_pcm")
    ElementTree.fromstring(view.svg)
    assert len(view.svg) < 150_000
    squares = re.findall(r'<path d="(M[^"]*h4v4h-4z)" class="(\S+)"/>', view.svg)
    assert sum(path.count("M") for path, css in squares if css != "thin") == 4023
    assert sum(path.count("M") for path, css in squares if css == "tip") == 1 + len(graph.pulls_in("snd_pcm"))
    framed = sum(path.count("M") for path, css in squares if css == "thin")
    assert framed == len(graph.used_by("snd_pcm", everywhere=True))
    rows = [line.split() for line in view.text.splitlines()[2:12]]
    assert sum(int(row[2].replace(",", "")) for row in rows) == 4023
    assert [int(row[1]) for row in rows] == list(range(9, -1, -1))
    assert "snd_pcm pulls in 3: soundcore, snd, snd_timer" in view.text
