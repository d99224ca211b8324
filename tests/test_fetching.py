# SPDX-License-Identifier: GPL-2.0-only
"""`kmodsim fetch` unpacks a good package and writes nothing at all for a wrong, damaged or hostile one."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kmodsim import corpus, debpackage, fetching

MODULE = f"./lib/modules/{corpus.RELEASE}/kernel/lib/crc16.ko"
GOOD = {MODULE: b"module", "./boot/config": b"CONFIG_MODULES=y\n", "./etc/passwd": b"not wanted"}


def tar(files: dict[str, bytes], mode: str = "w:xz", links: tuple[tuple[str, str], ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, to in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, to
            archive.addfile(member)
    return buffer.getvalue()


def ar(*members: tuple[str, bytes]) -> bytes:
    """The format of ar(5): a text header of 60 bytes each, data padded to an even length."""
    parts = [b"!<arch>\n"]
    for name, data in members:
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode())
        parts.append(data + b"\n" * (len(data) % 2))
    return b"".join(parts)


def deb(data: bytes, name: str = "data.tar.xz") -> bytes:
    return ar(("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), (name, data))


def fetch(tmp_path: Path, package: bytes, sha256: str | None = None) -> Path:
    source = tmp_path / "some.deb"
    source.write_bytes(package)
    return fetching.fetch(
        str(source), tmp_path / "to" / "tree", sha256 or hashlib.sha256(package).hexdigest()
    )


def written(tmp_path: Path) -> list[str]:
    """All that exists below the test's directory beside the package and the empty parent of the target."""
    found = (path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    return sorted(name for name in found if name not in ("some.deb", "to"))


@pytest.mark.core
@pytest.mark.parametrize(
    ("mode", "name"), [("w:xz", "data.tar.xz"), ("w:gz", "data.tar.gz"), ("w", "data.tar/")]
)
def test_a_good_package_is_unpacked(tmp_path: Path, mode: str, name: str) -> None:
    links = ((f"./lib/modules/{corpus.RELEASE}/build", "/usr/src/linux-headers"),)
    target = fetch(tmp_path, deb(tar(GOOD, mode, links), name))
    files = {
        path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()
    }
    assert files == {MODULE[2:]: b"module", "boot/config": b"CONFIG_MODULES=y\n"}
    assert not any(path.is_symlink() for path in target.rglob("*"))


@pytest.mark.core
@pytest.mark.parametrize(
    "name",
    [
        "../evil", "./lib/modules/../../../evil", "/etc/evil", "lib/modules/..\\..\\evil",
        "lib/modules/C:evil", "boot/../../evil",
    ],
)  # fmt: skip
def test_a_package_that_wants_out_is_refused_as_a_whole(tmp_path: Path, name: str) -> None:
    with pytest.raises(fetching.FetchError, match="outside of its directory"):
        fetch(tmp_path, deb(tar({**GOOD, name: b"!"})))
    assert written(tmp_path) == []


@pytest.mark.core
def test_a_link_cannot_lead_a_file_out(tmp_path: Path) -> None:
    """The link is not made, so the file behind it lands in a plain directory below the target."""
    outside = tmp_path / "outside"
    outside.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        link = tarfile.TarInfo("boot/out")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        archive.addfile(link)
        member = tarfile.TarInfo("boot/out/evil")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"!"))
    target = fetch(tmp_path, deb(buffer.getvalue()))
    assert list(outside.iterdir()) == []
    assert (target / "boot" / "out" / "evil").read_bytes() == b"!"


@pytest.mark.core
@pytest.mark.parametrize(
    ("package", "why"),
    [
        (b"", "no Debian package"),
        (b"PK\3\4", "no Debian package"),
        (ar(), "holds no data"),
        (ar(("debian-binary", b"2.0\n")), "holds no data"),
        (b"!<arch>\n" + b"x" * 60, "archive is damaged"),
        (b"!<arch>\n" + b"x" * 30, "archive is damaged"),
        (deb(b"no tar", "data.tar"), "cannot be read"),
        (deb(b"no xz"), "cannot be read"),
        (deb(tar(GOOD), "data.tar.zst"), "compressed in a way"),
        (deb(tar({"./etc/passwd": b""})), "holds no modules"),
        (deb(tar({MODULE: b"1"}, "w") * 2, "data.tar"), ""),
    ],
)
def test_what_is_no_package_is_refused_in_one_line(tmp_path: Path, package: bytes, why: str) -> None:
    if not why:  # two archives in a row: tar stops at the end of the first
        assert len(list(fetch(tmp_path, package).rglob("*.ko"))) == 1
        return
    with pytest.raises(fetching.FetchError, match=why) as caught:
        fetch(tmp_path, package)
    assert "\n" not in str(caught.value)
    assert written(tmp_path) == []


@pytest.mark.core
@pytest.mark.parametrize(
    ("mode", "name"), [("w:xz", "data.tar.xz"), ("w:gz", "data.tar.gz"), ("w", "data.tar")]
)
def test_a_package_cut_anywhere_is_refused(tmp_path: Path, mode: str, name: str) -> None:
    # without padding at the end; random-looking data, so that compression leaves something to cut
    whole = deb(tar({MODULE: hashlib.sha512(b"x").digest() * 20}, mode), name).rstrip(b"\n")
    for length in {*range(0, len(whole) - 1, max(1, len(whole) // 60)), len(whole) - 1}:
        with pytest.raises(fetching.FetchError):
            fetch(tmp_path, whole[:length])
        assert written(tmp_path) == []


@pytest.mark.core
def test_a_file_that_comes_twice_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        for name in ("boot/a", "./boot/a"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(fetching.FetchError, match="twice"):
        fetch(tmp_path, deb(buffer.getvalue()))
    assert written(tmp_path) == []


@pytest.mark.core
def test_where_case_does_not_count_the_second_of_two_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows and macOS: net/netfilter has four such pairs."""
    wanted = debpackage._write
    monkeypatch.setattr(debpackage, "_write", lambda a, m, to: wanted(a, m, to.with_name(to.name.lower())))
    (tmp_path / "p").write_bytes(deb(tar({"boot/xt_HL.ko": b"1", "boot/xt_hl.ko": b"2"})))
    assert debpackage.unpack(tmp_path / "p", tmp_path / "t") == ["boot/xt_hl.ko"]
    assert (tmp_path / "t" / "boot" / "xt_hl.ko").read_bytes() == b"1"


@pytest.mark.core
@pytest.mark.parametrize(("limit", "value"), [("MEMBERS", 2), ("TOTAL", 10)])
def test_a_package_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(debpackage, limit, value)
    with pytest.raises(fetching.FetchError, match="larger than any kernel"):
        fetch(tmp_path, deb(tar(GOOD)))
    assert written(tmp_path) == []


@pytest.mark.core
def test_a_wrong_checksum_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    good = deb(tar(GOOD))
    for package in (good, good[:-1], b"nothing"):
        with pytest.raises(fetching.FetchError, match=hashlib.sha256(package).hexdigest()):
            fetch(tmp_path, package, fetching.PACKAGE.sha256)
    assert written(tmp_path) == []
    assert fetch(tmp_path, good, hashlib.sha256(good).hexdigest().upper()).is_dir()


@pytest.mark.core
def test_what_lies_in_the_target_stays(tmp_path: Path) -> None:
    target = tmp_path / "to" / "tree"
    target.mkdir(parents=True)
    (target / "mine").write_text("keep")
    with pytest.raises(fetching.FetchError, match="--to"):
        fetch(tmp_path, deb(tar(GOOD)))
    assert written(tmp_path) == ["to/tree", "to/tree/mine"]
    (target / "mine").unlink()
    assert fetch(tmp_path, deb(tar(GOOD))) == target
    # modules are there: nothing to do, whatever the argument
    assert fetching.fetch("no such file", target) == target


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    (tmp_path / "served").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.core
def test_a_package_comes_from_an_address(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    package = deb(tar(GOOD))
    (tmp_path / "served" / "some.deb").write_bytes(package)
    checksum, target = hashlib.sha256(package).hexdigest(), tmp_path / "to"
    assert fetching.main([f"{server}/some.deb", "--to", str(target), "--sha256", checksum]) == 0
    assert "1 modules are in" in capsys.readouterr().out
    assert (target / MODULE).read_bytes() == b"module"
    for address in (f"{server}/other.deb", "http://[", "http://127.0.0.1:1/x"):
        assert fetching.main([address, "--to", str(tmp_path / "again")]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr(fetching, "LARGEST", 10)
    assert fetching.main([f"{server}/some.deb", "--to", str(tmp_path / "again")]) == 1
    assert "larger than any package" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


@pytest.mark.core
def test_without_apt_it_says_what_to_do_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetching.shutil, "which", lambda tool: None)
    assert fetching.main(["--to", str(tmp_path / "t")]) == 1
    assert capsys.readouterr().err == (
        "kmodsim fetch: there is no apt-get here; get linux-image-6.1.0-56-amd64_6.1.192-2_amd64.deb "
        "from Debian and run `kmodsim fetch FILE`\n"
    )
    assert written(tmp_path) == []


@pytest.mark.core
@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for apt-get")
def test_apt_is_asked_for_the_very_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for apt-get: once it fails as apt does without such a package, once it brings one."""
    package = deb(tar(GOOD))
    (tmp_path / "the.deb").write_bytes(package)
    tool = tmp_path / "apt-get"
    monkeypatch.setattr(fetching.shutil, "which", lambda name: str(tool))
    tool.write_text("#!/bin/sh\necho 'W: first' >&2\necho 'E: Unable to locate package' >&2\nexit 100\n")
    tool.chmod(0o755)
    with pytest.raises(fetching.FetchError, match=r"\(E: Unable to locate package\); get linux-image"):
        fetching.fetch(None, tmp_path / "t")
    tool.write_text(
        '#!/bin/sh\n[ "$*" = "-q download linux-image-6.1.0-56-amd64=6.1.192-2" ] || exit 1\n'
        f"cp '{tmp_path}/the.deb' x.deb\n"
    )
    assert fetching.fetch(None, tmp_path / "t", hashlib.sha256(package).hexdigest()) == tmp_path / "t"


@pytest.mark.tool
@pytest.mark.parametrize("compression", ["xz", "gzip", "none"])
def test_a_package_made_by_dpkg_is_unpacked(
    tmp_path: Path, needs: Callable[[str], str], compression: str
) -> None:
    root = tmp_path / "root"
    (root / MODULE).parent.mkdir(parents=True)
    (root / MODULE).write_bytes(os.urandom(100_001))
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN" / "control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    package = tmp_path / "x.deb"
    command = [needs("dpkg-deb"), f"-Z{compression}", "--build", str(root), str(package)]
    subprocess.run(command, check=True, capture_output=True)
    debpackage.unpack(package, tmp_path / "out")
    assert (tmp_path / "out" / MODULE).read_bytes() == (root / MODULE).read_bytes()
