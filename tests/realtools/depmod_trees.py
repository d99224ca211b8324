# SPDX-License-Identifier: GPL-2.0-only
"""The small trees and command lines on which depmod is compared: ``CASES``."""

from __future__ import annotations

import lzma
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kmodsim.corpus import RELEASE, SAMPLES

from .tiny import tiny

Make = Callable[[Path], None]
BASE = ("-b", "@", RELEASE)
LISTS = {"modules.order": b"", "modules.builtin": b"", "modules.builtin.modinfo": b""}


class Case(NamedTuple):
    """``live``: decided by the order in which a file system lists names, so that it is not recorded."""

    make: Make
    words: tuple[str, ...]
    live: bool = False


def tree(files: Mapping[str, bytes], **lists: bytes) -> Make:
    """Files below the folder of modules; ``order``, ``builtin`` and ``modinfo`` are the kernel's lists."""
    given = {"order": "modules.order", "builtin": "modules.builtin", "modinfo": "modules.builtin.modinfo"}

    def make(folder: Path) -> None:
        for name, data in {**LISTS, **{given[word]: data for word, data in lists.items()}, **files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    return make


def graph(needs: Mapping[str, str]) -> Make:
    """Modules of one letter; each exports ``sym_X`` and takes those of the letters it needs."""
    files = {
        f"k/{name}.ko": tiny([f"sym_{name}"], [f"sym_{other}" for other in others], [f"alias=al-{name}"])
        for name, others in needs.items()
    }
    return tree(files, order="".join(f"k/{name}.ko\n" for name in needs).encode())


def both(*makes: Make) -> Make:
    def make(folder: Path) -> None:
        for one in makes:
            one(folder)

    return make


# -- all samples

BUILTIN = b"kernel/a-b.ko\nkernel/x/c.ko\n1bad\n\nkernel/q\nkernel/q.ko\n"
MODINFO = b"\0".join(
    (b"a.alias=b-c[d-e]", b"a.license=GPL", b"b.alias=x]", b"c.alias=b-c[d-e]", b"nodot", b".x=3", b"k.y",
     b"z.alias=lost", b"e.alias=", b"f.alias=noend")
)  # fmt: skip


def bare_samples(folder: Path) -> None:
    (folder / "kernel").mkdir()
    for path in sorted(SAMPLES.glob("*.ko")):
        shutil.copyfile(path, folder / "kernel" / path.name)


def samples(folder: Path) -> None:
    order = "".join(f"kernel/{path.name}\n" for path in sorted(SAMPLES.glob("*.ko"), reverse=True))
    both(bare_samples, tree({}, order=order.encode(), builtin=BUILTIN, modinfo=MODINFO))(folder)


WORDS: tuple[tuple[str, ...], ...] = (
    BASE, ("-n", *BASE), ("-v", *BASE), ("-vv", "-n", *BASE), ("-a", *BASE, "/x"), ("-w", "-n", *BASE),
    ("-e", *BASE), ("-e", "-F", "/nonexistent", *BASE), ("-E", "/nonexistent/x", *BASE),
    ("-e", "-E", "%", *BASE), ("-e", "-F", "%", *BASE), ("-A", *BASE), ("-A", "-n", *BASE), ("-b", "@", "6"),
    ("-b", "@", "x.y"), ("-b", "@", ""), ("-b", "@", "6.2"), ("-b", ".", RELEASE), ("-b", "nope", RELEASE),
    ("-Z",), ("-o", "/tmp", *BASE), ("--outdir=/tmp", *BASE), ("--warn=1",), ("-b",), ("--ver",),
    ("--bogus",), ("-P", "ab"), ("-P", ""), ("-P", "_", "-n", *BASE), ("-C", "/nonexistent", *BASE),
    ("-C", "/dev/null", *BASE), (*BASE, "rel.ko"), (*BASE, "/nonexistent.ko"), ("-h",), ("-V",),
    ("-qurm", *BASE), ("--unresolved", "--ma", *BASE),
    ("-n", *BASE, "%/kernel/hello.ko", "%/kernel/hello.ko"),
    ("-n", *BASE, "%/kernel/hello.ko"), ("-n", *BASE, "%/kernel/chain_b.ko", "%/kernel/chain_a.ko"),
    ("-n", *BASE, "%/kernel/hello.ko", "%/kernel/../kernel/hello.ko"), ("-n", *BASE, "%/kernel"),
    ("-n", *BASE, "%//kernel/hello.ko"), (*BASE, "%/kernel/hello.ko"), ("-n", *BASE, "/etc/passwd"),
)  # fmt: skip

# -- circles

GRAPHS = {
    "diamond": {"a": "bc", "b": "cd", "c": "d", "d": ""},
    "two": {"a": "b", "b": "a"},
    "itself": {"a": "a"},
    "three and more": {"a": "b", "b": "c", "c": "a", "d": "a", "e": ""},
    "two circles": {"a": "b", "b": "a", "c": "d", "d": "c", "e": "ac"},
    "below a circle": {"a": "bx", "b": "a", "x": "y", "y": "z", "z": ""},
    "overfull": {"a": "bc", "b": "ac", "c": "ab"},
    "overfull after one": {"a": "a", "b": "e", "c": "b", "d": "abc", "e": "be"},
    "the ring turns": {"a": "ab", "b": "de", "c": "bc", "d": "", "e": "d"},
}

# -- depmod.d

TWICE = {
    "kernel/a.ko": tiny(["s"], info=["alias=kern"]), "updates/a.ko": tiny(["s"], info=["alias=upd"]),
    "kernel/b.ko": tiny([], ["s"]), "weak/c/b.ko": tiny(info=["alias=w"]),
}  # fmt: skip
THRICE = {**TWICE, "extra/a.ko": tiny(["s"], info=["alias=ext"]), "updates2/a.ko": tiny(info=["alias=u2"])}
CONFIGS = (
    "search updates built-in weak", "search weak built-in updates", "search built-in",
    "search external built-in weak\nexternal * @/ext",
    "search external updates built-in weak\nexternal 6.1 @/ext\nexternal 7 @/no\nexternal * @/missing",
    "override a 6.* updates\noverride b * weak/c", "override a * kernel\noverride b [0-9]+\\.1 weak/c",
    "override a ^6\\.1\\.0-56-amd64$ kernel\nsearch weak built-in",
    "override a (6|7)\\.[[:digit:]]{1} kernel\nsearch weak built-in",
    "override a *6 kernel\nsearch weak built-in", "override a (6 kernel\nsearch weak built-in",
    "override a \\.1\\. kernel\nsearch weak built-in", "override a [z-a] kernel\nsearch weak built-in",
    "override a 6.1.0(-[0-9]+)+-amd kernel\nsearch weak built-in", "override a 6.1\nsearch weak built-in",
    "bogus line\nsearch weak built-in", "exclude kernel weak", "external *\nsearch weak built-in",
    "include x\nmake_map_files no\n# c\n\n  \n\\\nsearch we\\\nak built-in", "  search\tweak   built-in  ",
    "search weak built-in\n" + "x" * 5000,
)  # fmt: skip


def configured(text: str, files: Mapping[str, bytes] = TWICE) -> Make:
    def make(folder: Path) -> None:
        tree(files)(folder)
        root = folder.parents[2]
        (root / "ext").mkdir()
        (root / "ext" / "a.ko").write_bytes(tiny(["s"], info=["alias=external"]))
        (root / "ext" / "only.ko").write_bytes(tiny())
        (root / "c.conf").write_text(text.replace("@", str(root)))

    return make


def config_folders(folder: Path) -> None:
    tree(TWICE)(folder)
    for name, search in (("d1", "weak updates built-in"), ("d2", "built-in")):
        place = folder.parents[2] / name
        (place / "sub.conf").mkdir(parents=True)
        texts = {"a.conf": f"search {search}\n", "b.conf": f"oops {name}", "notes.txt": "x", "x.con": "",
                 ".hidden.conf": "search updates"}  # fmt: skip
        for file, text in texts.items():
            (place / file).write_text(text)


# -- single files

SAMPLE = (SAMPLES / "hello.ko").read_bytes()
HEADER = b"\x7fELF\2\1"
GARBAGE = {
    "empty": b"", "five": b"12345", "six": HEADER, "text": b"hello world, I am text" * 9,
    "zeros32": b"\x7fELF" + bytes(200), "zeros64": HEADER + bytes(200),
    "names0": SAMPLE[:62] + b"\0\0" + SAMPLE[64:], "names999": SAMPLE[:62] + b"\xe7\x03" + SAMPLE[64:],
    "entry": SAMPLE[:58] + b"\x41" + SAMPLE[59:], "far": SAMPLE[:40] + b"\xff" * 8 + SAMPLE[48:],
} | {
    f"cut{at}": SAMPLE[:at] for at in (64, 65, 500, len(SAMPLE) // 2, len(SAMPLE) - 70, len(SAMPLE) - 1)
}  # fmt: skip
XZ = lzma.compress(SAMPLE, check=lzma.CHECK_CRC32)
PACKED = {
    "k/hello.ko.xz": XZ, "k/named.ko": XZ, "k/plain.ko.xz": SAMPLE, "k/cut.ko.xz": XZ[: len(XZ) // 2],
    "k/short.ko.xz": XZ[:10], "k/head.ko.xz": XZ[:6] + b"\xff\xff" + XZ[8:],
    "k/damaged.ko.xz": XZ[:200] + b"XXXX" + XZ[204:],
}  # fmt: skip
DOTS = {
    "a.ko": tiny(["x", ".dot", "$d"], ["z", ".z", ".x"], ["alias=q"], [(7, "q"), (8, "z"), (9, "z")]),
    "q.ko": tiny(["q"]), "z.ko": tiny(["z", "q"], ["dot", ".dot"]),
}  # fmt: skip
INFOS: dict[str, list[str | bytes]] = {
    "brackets": ["alias=a-[b-c]-d", "alias=a]", "alias=[b", "alias=[]]", "alias=x-[-]-[", "alias="],
    "twice": ["alias=p", "alias=p", "alias=q-r", "alias=q_r"],
    "bare": ["alias", "softdep", "softdep=", "alias = z", "aliasx=1", "softdep=pre: a", "softdep=pre: b"],
    "softdeps in a circle": ["softdep=pre: m_1 n post: n", "softdep=pre: m-1"],
    "device": ["alias=devname:x/y", "alias=char-major-10-200"],
    "device after numbers": ["alias=char-major-1-2", "alias=block-major-3-4", "alias=devname:q",
                             "alias=char-major-9-9"],
    "device without numbers": ["alias=devname:only"],
    "two devices": ["alias=devname:a", "alias=devname:b", "alias=block-major- 7-+8x"],
    "device's large numbers": ["alias=char-major-4294967297--1", "alias=devname:w"],
    "device's star": ["alias=char-major-10-*", "alias=devname:m"],
    "long": ["alias=" + "l" * 3000],
    "longer than a path": ["alias=" + "-" * 6000, "softdep=" + "pre: x " * 3000],
    "new line": [b"alias=a\nb"], "blanks": ["alias=a b  c"], "nothing": [], "zeros": [b"\0\0alias=z\0\0\0"],
    "not ASCII inside": [b"alias=x\xc3\xa9", b"softdep=pre: \xc3\xa9"],
}  # fmt: skip
LETTERS = {f"d/{name}.ko": tiny([name]) for name in ("zz", "a", "m-n", "q_r")}
ORDERS = (
    b"d/q_r.ko\nd/zz.ko\nnothing.ko\nd/zz.ko\n", b"d/q_r.ko\nd/zz.ko", b"d/q_r.ko\0x\nd/zz.ko\n",
    b"\0\nd/zz.ko\n",
    b"x" * 5000 + b"\nd/zz.ko\n", b"d/zz.ko\r\nd/a.ko\n", b"\n\nd/zz.ko\n", b"",
)  # fmt: skip
BUILTINS = (
    b"kernel/a.ko", b"kernel/a.ko\nkernel/b/\nkernel/c.ko\n", b"\xc3\xa9.ko\n", b"a" * 5000 + b"\nb.ko\n",
    b"k/a.ko\nk/a.ko\nk/b\n", b"k/a.b.c\nA-B.ko\n",
)  # fmt: skip
MODINFOS = (
    b"a.alias=" + b"x" * 5000 + b"\0b.alias=k\0", b"m" * 5000 + b".alias=z\0b.alias=k\0",
    b"a.alias=1\0a.alias=2\0b.alias=1\0c.alias=1\0", b"....\0", b"a.=x\0b.alias=\0=.", b"a.alias=x", MODINFO,
)  # fmt: skip

# -- symbols of the kernel

SYMVERS = (
    b"0x12\tz\tvmlinux\tEXPORT_SYMBOL\n0xzz\tbad\tvmlinux\tE\n0x1 two\n0x3\tw\tother\tE\n"
    b"0x00000007 k vmlinux\n"
    b"0x8\tv\tvmlinux E\n-0x5 m vmlinux E\n"
)
SYSTEM_MAP = (
    b"c0 R __ksymtab_z\nffff T __ksymtab_v\nbad\nc0 R\n\nc1 r _z\nc2 R ___ksymtab_k\nc3 R __ksymtab_gone"
)
USERS = {
    "a.ko": tiny(["x"], ["z", "v", "k"], (), [(0x12, "z"), (9, "v"), (5, "module_layout"), (0, "z")]),
    "b.ko": tiny([], ["x", "gone"], (), [(1, "x")], weak=["z", "maybe"]),
    "c.ko": tiny([], ["x"], (), [(120 * 0x01010101, "x")]), "sv": SYMVERS, "sm": SYSTEM_MAP,
}  # fmt: skip
SYMBOL_WORDS = (
    ("-e", "-E", "%/sv"), ("-E", "%/sv"), ("-e", "-F", "%/sm"), ("-e", "-E", "%/sv", "-F", "%/sm"),
    ("-eP", "_", "-F", "%/sm"), ("-ve", "-E", "%/sv"),
)  # fmt: skip

# -- odd folders


def odd_entries(folder: Path) -> None:
    tree({f"k/{name}.ko": SAMPLE for name in ("", ".hid", "a.b", "x")})(folder)
    (folder / "k" / "dangle.ko").symlink_to("nowhere")
    (folder / "k" / "loop.ko").symlink_to("loop.ko")
    (folder / "k" / "null.ko").symlink_to("/dev/null")
    os.mkfifo(folder / "k" / "pipe.ko")
    (folder / "k" / "dir.ko").mkdir()


def links(folder: Path) -> None:
    tree({"k/x/a.ko": tiny(["s"]), "build/c.ko": tiny(), "j/d.ko": tiny([], ["s"])})(folder)
    (folder / "source").symlink_to("k")
    (folder / "k" / "b.ko").symlink_to("x/a.ko")
    (folder / "up").symlink_to("k/x/nope")
    (folder / "l").symlink_to("build")


def in_itself(folder: Path) -> None:
    (folder / "k").mkdir()
    (folder / "k" / "self").symlink_to(".")
    tree({})(folder)


def folders_for_lists(folder: Path) -> None:
    (folder / "modules.order").mkdir()
    (folder / "modules.builtin").mkdir()
    (folder / "modules.builtin.modinfo").symlink_to("/dev/null")


def not_written(name: str) -> Make:
    def make(folder: Path) -> None:
        tree({"a.ko": tiny(["s"])})(folder)
        (folder / name).mkdir()
        (folder / name / "x").touch()

    return make


def aged(seconds: float, more: Make | None = None) -> Make:
    """Modules of that age; modules.dep is from second 1000."""

    def make(folder: Path) -> None:
        tree({"k/a.ko": tiny(["s"]), "k/z/b.ko": tiny(), "modules.dep": b"old"})(folder)
        os.utime(folder / "modules.dep", (1000, 1000.5))
        for path in folder.rglob("*.ko"):
            os.utime(path, (seconds, seconds))
        if more is not None:
            more(folder)

    return make


def odd_for_quick(folder: Path) -> None:
    (folder / "k" / "d.ko").symlink_to("no")
    os.mkfifo(folder / "p")
    (folder / "m.ko").mkdir()


def _in_itself_for_quick(folder: Path) -> None:
    (folder / "k" / "self").symlink_to(".")


ODD: dict[str, Case] = {
    "odd entries": Case(odd_entries, BASE), "links": Case(links, BASE), "in itself": Case(in_itself, BASE),
    "folders for lists": Case(folders_for_lists, BASE),
    "modules.dep is a folder": Case(not_written("modules.dep"), BASE),
    "modules.alias.bin is a folder": Case(not_written("modules.alias.bin"), BASE),
    "no tree": Case(lambda folder: folder.rmdir(), BASE),
    "the tree is a file": Case(lambda folder: both(Path.rmdir, Path.touch)(folder), BASE),
    "quick: odd": Case(aged(9, odd_for_quick), ("-A", *BASE), live=True),
    "quick: in itself": Case(aged(9, _in_itself_for_quick), ("-A", *BASE), live=True),
    "quick: with a file": Case(aged(9), ("-A", *BASE, "/nofile")),
    "quick: with a younger file": Case(aged(2000), ("-A", *BASE, "%/k/a.ko")),
    "a dangling configuration": Case(
        both(config_folders, lambda folder: (folder.parents[2] / "d2" / "e.conf").symlink_to("no")),
        ("-C", "@/d2", *BASE), live=True,
    ),
}  # fmt: skip


def _elf_cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for word in (32, 64):
        for order in "<>":
            for crcs in (True, False):
                files = {
                    "a.ko": tiny(["x", "y"], ["z"], ["alias=q"], [(7, "z"), (9, "module_layout")],
                                 word=word, order=order, crcs=crcs),
                    "b.ko": tiny(["z"], ["w"], weak=["x"], word=word, order=order, crcs=crcs),
                }  # fmt: skip
                found[f"{word} bits {order} {crcs}"] = Case(tree(files), ("-v", *BASE))
    for name in (".modinfo", ".symtab", ".strtab", "__versions", "__kcrctab", "__ksymtab_strings"):
        files = {"a.ko": tiny(["x", "y"], ["z"], ["alias=q"], [(7, "z")], drop=[name]), "b.ko": tiny(["z"])}
        found[f"without {name}"] = Case(tree(files), BASE)
    return found


def _cases() -> dict[str, Case]:
    found = {"bare samples": Case(bare_samples, BASE)}
    found |= {f"samples: {' '.join(words)}": Case(samples, words) for words in WORDS}
    found |= {f"circle: {name}": Case(graph(needs), ("-v", *BASE)) for name, needs in GRAPHS.items()}
    for number, text in enumerate(CONFIGS):
        found[f"config {number}"] = Case(configured(text), ("-vv", "-C", "@/c.conf", *BASE))
        found[f"config {number}, all"] = Case(configured(text, THRICE), ("-C", "@/c.conf", *BASE), live=True)
    found["config folders"] = Case(config_folders, ("-C", "@/d1", "-C", "@/d2", *BASE))
    found["config folders, loud"] = Case(
        config_folders, ("-vv", "-C", "@/d2", "-C", "@/d1/a.conf", "-C", "@/none", *BASE)
    )
    found |= {
        f"garbage: {name}": Case(tree({"k/bad.ko": data, "k/hello.ko": SAMPLE}), BASE)
        for name, data in GARBAGE.items()
    }
    found["packed"] = Case(tree(PACKED), BASE)
    found |= _elf_cases()
    found |= {
        "dots": Case(tree(DOTS), ("-v", *BASE)),
        "a letter before": Case(tree(DOTS), ("-P", "$", *BASE)),
    }
    found |= {
        f"modinfo: {name}": Case(tree({"m-1.ko": tiny(info=info), "n.ko": tiny(info=info)}), ("-w", *BASE))
        for name, info in INFOS.items()
    }
    found |= {f"order {n}": Case(tree(LETTERS, order=text), BASE) for n, text in enumerate(ORDERS)}
    found |= {f"builtin {n}": Case(tree({}, builtin=text), BASE) for n, text in enumerate(BUILTINS)}
    found |= {f"builtin modinfo {n}": Case(tree({}, modinfo=text), BASE) for n, text in enumerate(MODINFOS)}
    found |= {f"symbols: {' '.join(w)}": Case(tree(USERS), (*w, *BASE)) for w in SYMBOL_WORDS}
    found |= {f"quick: {age}": Case(aged(age), ("-A", *BASE)) for age in (999, 1000, 1000.9, 1001)}
    return found | ODD


CASES: Mapping[str, Case] = _cases()
__all__: Sequence[str] = ["CASES", "Case"]
