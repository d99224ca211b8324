# SPDX-License-Identifier: GPL-2.0-only
"""The default profile says what the real kernel, its packages and tools say; and it can be made again."""

from __future__ import annotations

import hashlib
import lzma
import os
import subprocess
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kmodsim.profile import PROFILES, KernelProfile
from kmodsim.profilebuild.boot import BuildError, boot, busybox
from kmodsim.profilebuild.btf import Btf
from kmodsim.profilebuild.cli import CPUS, main
from kmodsim.profilebuild.guest import symbols, vmalloc_areas
from kmodsim.profilebuild.initramfs import pack
from kmodsim.profilebuild.vmlinux import extract_vmlinux
from kmodsim.profiles.columns import read_columns, write_columns

RELEASE = "6.1.0-56-amd64"
NAME = "debian-6.1-amd64"

# sha256sum /proc/kallsyms as root: this kernel booted with nokaslr in QEMU, no module loaded; 94,266 lines
KALLSYMS_SHA256 = "be0f4f0229995db4ab8ba4e844998e761867270292a171382c5ae9fffe61673c"

# the callers' column of /proc/vmallocinfo in the same boot: the kernel's own %pS, symbol+offset/size
NAMED_BY_THE_KERNEL = (  # noqa: SIM905
    "bpf_prog_pack_alloc+0x292/0x3b0 irq_init_percpu_irqstack+0xf0/0x120 acpi_os_map_iomem+0x1b6/0x1d0 "
    "hpet_enable+0xef/0x46d gen_pool_add_owner+0x3a/0xc0 kernel_clone+0xbf/0x430 memremap+0x159/0x210 "
    "pcpu_get_vm_areas+0x0/0x1080 n_tty_open+0x14/0xa0 crypto_scomp_init_tfm+0x93/0xe0"
).split()

# pahole -C module on the decompressed vmlinux: field -> offset, size
MODULE_FIELDS = {
    "state": (0, 4), "list": (8, 16), "name": (24, 56), "init": (0x138, 8), "num_static_call_sites": (788, 4),
    "static_call_sites": (792, 8), "klp": (800, 1), "source_list": (816, 16), "target_list": (832, 16),
    "exit": (0x350, 8), "refcnt": (856, 4), "its_num_pages": (860, 4), "its_page_array": (864, 8),
}  # fmt: skip

# lines of the package's Module.symvers: CRC, name, GPL-only, namespace
SYMVERS = (
    (0x4C9D28B0, "phys_base", False, None),
    (0x815F2897, "empty_zero_page", False, None),
    (0x039823DE, "init_uts_ns", True, None),
)
# how many of vmlinux's lines there name each namespace (cut -f3,5 | sort | uniq -c)
NAMESPACES = {
    "HWMON_THERMAL": 1, "CXL": 67, "FIRMWARE_LOADER_PRIVATE": 3, "CRYPTO_INTERNAL": 3, "ACPI": 1,
    "TEST_FIRMWARE": 3, "EFIVAR": 8, "DMA_BUF": 20,
}  # fmt: skip

# "flags" of /proc/cpuinfo in that boot whose names in cpufeatures.h are the same in capitals
CPUINFO_FLAGS = (  # noqa: SIM905
    "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr syscall nx lm "
    "rep_good nopl cpuid extd_apicid cx16 hypervisor lahf_lm svm 3dnowprefetch vmmcall"
).split()
NOT_IN_CPUINFO_FLAGS = ("smap", "smep", "erms", "avx", "xsave", "fsgsbase", "invpcid", "pti", "rdrand")


@pytest.fixture(scope="module")
def profile() -> KernelProfile:
    return KernelProfile.load(NAME)


@pytest.mark.core
def test_names(profile: KernelProfile) -> None:
    assert NAME in KernelProfile.names()
    assert KernelProfile.load() is profile, "the default, read once"
    with pytest.raises(ValueError, match=NAME):
        KernelProfile.load("no-such-kernel")


@pytest.mark.core
def test_texts_of_the_kernel(profile: KernelProfile) -> None:
    """uname -r, uname -v; modinfo -F vermagic of any module of the package (it ends in a blank)."""
    assert profile.release == RELEASE
    assert profile.uname_version == "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)"
    assert profile.vermagic == f"{RELEASE} SMP preempt mod_unload modversions "


@pytest.mark.core
def test_config_as_in_the_package(profile: KernelProfile) -> None:
    """boot/config-6.1.0-56-amd64."""
    said = {name: profile.config.get(f"CONFIG_{name}") for name in (
        "MODULE_SIG", "MODULE_SIG_HASH", "MODVERSIONS", "MODULE_FORCE_LOAD", "KALLSYMS_ALL", "NR_CPUS",
        "RETHUNK", "MODULE_SIG_FORCE", "MODULE_UNLOAD_TAINT_TRACKING", "X86_KERNEL_IBT", "TRIM_UNUSED_KSYMS",
    )}  # fmt: skip
    assert said == {
        "MODULE_SIG": "y", "MODULE_SIG_HASH": "sha256", "MODVERSIONS": "y", "MODULE_FORCE_LOAD": "y",
        "KALLSYMS_ALL": "y", "NR_CPUS": "8192", "RETHUNK": "y", "MODULE_SIG_FORCE": None,
        "MODULE_UNLOAD_TAINT_TRACKING": None, "X86_KERNEL_IBT": None, "TRIM_UNUSED_KSYMS": None,
    }  # fmt: skip


@pytest.mark.core
def test_kallsyms_is_the_booted_kernels_file(profile: KernelProfile) -> None:
    """Written out in /proc/kallsyms' form, the profile's symbols have the checksum of the real file."""
    table = profile.kallsyms
    rows = zip(table.addresses.tolist(), table.types, table.names, strict=True)
    text = "".join(f"{address:016x} {kind} {name}\n" for address, kind, name in rows)
    assert hashlib.sha256(text.encode()).hexdigest() == KALLSYMS_SHA256


@pytest.mark.core
@pytest.mark.parametrize("place", NAMED_BY_THE_KERNEL)
def test_addresses_are_named_as_the_kernel_names_them(profile: KernelProfile, place: str) -> None:
    name, rest = place.split("+")
    offset, size = (int(number, 16) for number in rest.split("/"))
    start = profile.kallsyms.address_of(name)
    assert start is not None
    assert profile.kallsyms.at(start + offset) == (name, offset, size)


@pytest.mark.core
def test_addresses_outside_the_kernel_have_no_name(profile: KernelProfile) -> None:
    """include/asm-generic/sections.h:__is_kernel: per-CPU offsets, user and module addresses are outside."""
    for address in (0, 0x1000, profile.text[0] - 1, profile.module_area[0], (1 << 64) - 1):
        assert profile.kallsyms.at(address) is None
    assert profile.kallsyms.address_of("no_such_symbol") is None


@pytest.mark.core
def test_exports_as_module_symvers_states_them(profile: KernelProfile) -> None:
    exports = profile.exports
    assert len(exports) == 10_503
    assert Counter(export.gpl for export in exports.values()) == {False: 4977, True: 5526}
    found = Counter(export.namespace for export in exports.values() if export.namespace is not None)
    assert found == NAMESPACES
    for crc, name, gpl, namespace in SYMVERS:
        assert (exports[name].crc, exports[name].gpl, exports[name].namespace) == (crc, gpl, namespace)


@pytest.mark.core
def test_exports_lie_where_kallsyms_has_a_symbol_of_that_name(profile: KernelProfile) -> None:
    """Two sources: __ksymtab in the image, /proc/kallsyms of the booted kernel. Data and per-CPU too."""
    pairs = set(zip(profile.kallsyms.names, profile.kallsyms.addresses.tolist(), strict=True))
    assert [name for name, export in profile.exports.items() if (name, export.address) not in pairs] == []
    assert profile.exports["_printk"].address in range(*profile.text)
    assert profile.exports["this_cpu_off"].address < profile.percpu_reserved[0], "an offset"


@pytest.mark.core
def test_public_values_are_plain(profile: KernelProfile) -> None:
    """No numpy scalar leaves the profile, and asking for what is not exported is not an error."""
    export = profile.exports["init_uts_ns"]
    assert [type(value) for value in export] == [str, int, int, bool, type(None), type(None)]
    assert type(profile.kallsyms.address_of("_stext")) is int
    assert [type(value) for value in profile.kallsyms.at(profile.text[0]) or ()] == [str, int, int]
    assert profile.exports.get("no_such_symbol") is None and "no_such_symbol" not in profile.exports


@pytest.mark.core
def test_struct_module_as_pahole_prints_it(profile: KernelProfile) -> None:
    layout = profile.struct_module
    assert layout.size == 0x380
    assert {name: layout.fields[name] for name in MODULE_FIELDS} == MODULE_FIELDS


@pytest.mark.core
def test_nested_fields_lie_inside_their_struct(profile: KernelProfile) -> None:
    """core_layout.base, list.next, …: include/linux/module.h names the outer and inner structs."""
    fields = profile.struct_module.fields
    assert fields["list.prev"][0] == fields["list"][0] + 8
    for inner in ("core_layout.base", "init_layout.size", "mkobj.kobj", "list.next", "arch.num_orcs"):
        outer = inner.partition(".")[0]
        assert fields[outer][0] <= fields[inner][0] < fields[outer][0] + fields[outer][1], inner


@pytest.mark.core
def test_module_area(profile: KernelProfile) -> None:
    """/proc/vmallocinfo has one bpf_prog_pack at its start; the first module loaded then was at …201000."""
    assert profile.module_area == (0xFFFFFFFFC0000000, 0xFFFFFFFFFF000000)
    assert profile.occupied == ((0xFFFFFFFFC0000000, 0x201000, "bpf_prog_pack_alloc"),)
    start, size, _ = profile.occupied[-1]
    assert start + size == 0xFFFFFFFFC0201000


@pytest.mark.core
def test_percpu_reserve(profile: KernelProfile) -> None:
    """PERCPU_MODULE_RESERVE (include/linux/percpu.h) behind the kernel's own per-CPU data.

    Modules really land there: test_first_modules_of_a_boot_land_where_the_profile_says.
    """
    assert profile.percpu_reserved == (0x35000, 0x35000 + (8 << 10))
    assert profile.percpu_reserved[0] == profile.kallsyms.address_of("__per_cpu_end")


@pytest.mark.core
def test_builtin_modules(profile: KernelProfile) -> None:
    """ls /sys/module | wc -l after boot, and some of the names; loadable ones are not among them."""
    assert len(profile.builtin_modules) == 64
    assert {"8250", "ipv6", "kernel", "module", "tcp_cubic", "workqueue", "zswap"} <= profile.builtin_modules
    assert not {"ext4", "dummy", "virtio_pci"} & profile.builtin_modules


@pytest.mark.core
def test_cpu_features_as_in_proc_cpuinfo(profile: KernelProfile) -> None:
    """boot_cpu_data's bits against the flags that the same kernel printed for qemu64."""
    number = {name: number for number, name in profile.cpu_feature_names.items()}
    cpu = profile.cpu_models["qemu64"]
    assert [flag for flag in CPUINFO_FLAGS if not cpu.has(number[f"X86_FEATURE_{flag.upper()}"])] == []
    assert [flag for flag in NOT_IN_CPUINFO_FLAGS if cpu.has(number[f"X86_FEATURE_{flag.upper()}"])] == []
    assert number["X86_FEATURE_SMAP"] == 9 * 32 + 20  # arch/x86/include/asm/cpufeatures.h
    assert cpu.has(number["X86_BUG_SPECTRE_V1"]) and not cpu.has(number["X86_BUG_CPU_MELTDOWN"])
    assert cpu.return_thunk == "__x86_return_thunk"
    assert profile.cpu_models["Skylake-Client"].return_thunk == "its_return_thunk"


@pytest.mark.core
def test_keyring_is_the_kernels_build_key(profile: KernelProfile) -> None:
    """openssl x509 -fingerprint -sha256 on the certificate in the kernel image."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    (certificate,) = [x509.load_der_x509_certificate(data) for data in profile.keyring]
    assert certificate.subject.rfc4514_string() == "CN=Build time autogenerated kernel key"
    assert certificate.fingerprint(hashes.SHA256()).hex() == (
        "e10cdfe6ca9402f53845865d09305a63eef0fdfeb3d92a28cafca181326008ed"
    )


@pytest.mark.core
def test_large_data_are_read_on_first_use_only(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or real(path))
    fresh = KernelProfile(PROFILES / NAME)
    assert read == []
    assert "_printk" in fresh.exports and "kfree" in fresh.exports
    assert read == ["exports.zlib"]
    assert fresh.kallsyms.address_of("_stext") and fresh.kallsyms.address_of("_etext")
    assert fresh.keyring and fresh.keyring
    assert read == ["exports.zlib", "kallsyms.xz", "keyring.der"]


@pytest.mark.core
def test_package_data_are_small() -> None:
    """A kernel takes less than 1 MB; all together have to stay under 4 MB (tests/test_project.py)."""
    for name in KernelProfile.names():
        assert 0 < sum(path.stat().st_size for path in (PROFILES / name).iterdir()) < 1_000_000, name


@pytest.mark.core
@pytest.mark.parametrize("quick", [False, True])
def test_columns_come_back(quick: bool) -> None:
    """Also addresses that jump down and wrap, and one row."""
    addresses = [0, 0, 0x35000, 0xFFFFFFFF81000000, 0xFFFFFFFF81000000, 0x10, (1 << 64) - 1]
    columns = {"a": ("address", addresses), "n": ("text", ["x", "ü"]), "t": ("letters", "TtA")}
    data = write_columns({**columns, "c": ("u4", [7, 1 << 31])}, quick)
    back = read_columns(data)
    assert back["a"].tolist() == addresses and back["a"].dtype == np.uint64
    assert (back["n"], back["t"], back["c"].tolist()) == (["x", "ü"], "TtA", [7, 1 << 31])


@pytest.mark.core
def test_hidden_addresses_are_refused() -> None:
    """An unprivileged reader of /proc/kallsyms sees zeros: no profile may be made of them."""
    with pytest.raises(BuildError, match="hides"):
        symbols(b"0000000000000000 T _stext\n0000000000000000 T _etext\n")


@pytest.mark.core
def test_vmallocinfo_lines() -> None:
    """Two lines as this kernel printed them; the guard page is part of the size (mm/vmalloc.c:s_show)."""
    text = (
        b"0xffffc900005a5000-0xffffc900005a9000   16384 unpurged vm_area\n"
        b"0xffffffffc0000000-0xffffffffc0201000 2101248 bpf_prog_pack_alloc+0x292/0x3b0 pages=512 vmalloc\n"
    )
    areas = vmalloc_areas(text, 0xFFFFFFFFC0000000, 0xFFFFFFFFFF000000)
    assert areas == [(0xFFFFFFFFC0000000, 2101248, "bpf_prog_pack_alloc")]


@pytest.mark.core
def test_builder_says_in_one_line_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--image-dir", str(tmp_path), "--headers-dir", str(tmp_path), "-o", str(tmp_path / "out")]
    assert main(["build", "--release", "1.2.3", "--name", "x", *where]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(BuildError, match="bzImage"):
        extract_vmlinux(b"\x7fELF")
    with pytest.raises(BuildError, match="BTF"):
        Btf(bytes(64))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("kmodsim.profilebuild.boot.BUSYBOX", ("busybox",))
    with pytest.raises(BuildError, match="busybox-static"):
        busybox()


@pytest.mark.core
def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert NAME in capsys.readouterr().out
    assert main(["show"]) == 0
    assert "0x35000-0x37000" in capsys.readouterr().out
    assert main(["show", "no-such-kernel"]) == 1
    assert NAME in capsys.readouterr().err


@pytest.fixture(scope="module")
def packages() -> Path:
    """The unpacked linux-image and linux-headers packages of the default profile's kernel."""
    root = os.environ.get("KMODSIM_PACKAGE_ROOT")
    if not root or not (Path(root) / "boot" / f"vmlinuz-{RELEASE}").is_file():
        pytest.skip(f"needs KMODSIM_PACKAGE_ROOT: linux-image-{RELEASE} and its headers, unpacked")
    return Path(root)


@pytest.mark.tool
def test_cpio_reads_the_initramfs(tmp_path: Path, needs: Callable[[str], str]) -> None:
    files = {"script": b"echo", "a/b/c.ko": bytes(range(256)), "empty": b""}
    command = [needs("cpio"), "-idm", "--no-absolute-filenames", "--nonmatching", "dev/console"]
    subprocess.run(command, input=pack(files), cwd=tmp_path, check=True, capture_output=True)
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {str(path.relative_to(tmp_path)): path.read_bytes() for path in found} == files


@pytest.mark.tool
def test_rebuilding_gives_the_same_files(packages: Path, tmp_path: Path, needs: Callable[[str], str]) -> None:
    """Boots the real kernel. Compressed files are compared unpacked: another zlib may pack differently."""
    needs("qemu-system-x86_64")
    needs("busybox")
    where = ["--image-dir", str(packages), "--headers-dir", str(packages), "-o", str(tmp_path)]
    cpus = [word for cpu in CPUS for word in ("--cpu", cpu)]
    assert main(["build", "--release", RELEASE, "--name", NAME, *cpus, *where]) == 0
    unpack: dict[str, Callable[[bytes], bytes]] = {".xz": lzma.decompress, ".zlib": zlib.decompress}
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (PROFILES / NAME).iterdir()}
    for path in tmp_path.iterdir():
        opened = unpack.get(path.suffix, bytes)
        assert opened(path.read_bytes()) == opened((PROFILES / NAME / path.name).read_bytes()), path.name


@pytest.mark.tool
def test_first_modules_of_a_boot_land_where_the_profile_says(
    profile: KernelProfile, packages: Path, needs: Callable[[str], str]
) -> None:
    """A real boot's first loads: image at the first free address, per-CPU data first fit in the reserve."""
    needs("qemu-system-x86_64")
    needs("busybox")
    modules = packages / "lib" / "modules" / RELEASE / "kernel"
    paths = ("drivers/cpufreq/cpufreq_userspace.ko", "mm/zsmalloc.ko", "drivers/nvdimm/libnvdimm.ko")
    files = {f"m/{number}.ko": (modules / path).read_bytes() for number, path in enumerate(paths)}
    script = b"for n in 0 1 2; do insmod /m/$n.ko; done; cat /proc/modules > /out/modules; "
    script += rb"grep '\[' /proc/kallsyms > /out/symbols"
    answer = boot(packages / "boot" / f"vmlinuz-{RELEASE}", {**files, "script": script})
    rows = [line.split() for line in answer.files["symbols"].decode().splitlines()]
    found = {name: int(address, 16) for address, _, name, _ in rows}
    start, end = profile.percpu_reserved
    variables = [found[name] - start for name in ("cpu_is_managed", "zs_map_area", "flush_idx")]
    assert variables == [0, 16, 4], "4 bytes; 24 aligned to 16; 4 bytes, in the hole"
    assert start + 16 + 24 < end
    base, size, _ = profile.occupied[-1]
    assert int(answer.files["modules"].decode().splitlines()[-1].split()[-1], 16) == base + size


@pytest.mark.tool
def test_a_boot_that_dies_and_one_that_hangs(packages: Path, needs: Callable[[str], str]) -> None:
    """A panic leaves the console's text and no status; a hang ends at the time limit with one line."""
    needs("qemu-system-x86_64")
    needs("busybox")
    kernel = packages / "boot" / f"vmlinuz-{RELEASE}"
    dead = boot(kernel, {"script": b"echo c > /proc/sysrq-trigger\n"})
    assert dead.status is None and not dead.files
    assert "Kernel panic" in dead.console
    with pytest.raises(BuildError, match="within 5 s"):
        boot(kernel, {"script": b"sleep 1000\n"}, timeout=5)
