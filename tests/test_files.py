# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's files: /proc/modules, /sys/module, who sees addresses, what can be written."""

from __future__ import annotations

from typing import Any

import pytest

from kmodsim import Kernel, KernelError, sample
from kmodsim.errors import (
    EACCES,
    EINVAL,
    EIO,
    EISDIR,
    EKEYREJECTED,
    ENOENT,
    ENOTDIR,
    EPERM,
    ERANGE,
    EROFS,
)
from kmodsim.module import TAINTS, taint_letters

from .faults.editor import Image
from .heart import errno_of

pytestmark = pytest.mark.core
SIG_ENFORCE = "/sys/module/module/parameters/sig_enforce"
LOCKDOWN = "/sys/kernel/security/lockdown"
DISABLED, TAINTED = "/proc/sys/kernel/modules_disabled", "/proc/sys/kernel/tainted"


def kernel_with(*names: str, **more: Any) -> Kernel:
    kernel = Kernel(**more)
    for name in names:
        kernel.finit_module(sample(name))
    return kernel


# --- /proc/modules: kernel/module/procfs.c --------------------------------------------------------


def test_no_modules_is_an_empty_file() -> None:
    assert Kernel().read("/proc/modules") == ""


def test_fields_of_a_line() -> None:
    """Name, size, references, users or ``-``, state, address; taints in brackets when there are any."""
    kernel = kernel_with("chain_a", "chain_b", "crc16")
    lines = [line.split(" ") for line in kernel.read("/proc/modules").splitlines()]
    assert [line[0] for line in lines] == ["crc16", "chain_b", "chain_a"]
    assert [line[2:5] for line in lines] == [
        ["0", "-", "Live"],
        ["0", "-", "Live"],
        ["1", "chain_b,", "Live"],
    ]
    assert [line[6:] for line in lines] == [[], ["(OE)"], ["(OE)"]]  # crc16 is Debian's own, and signed
    assert [int(line[1]) for line in lines] == [m.core_size for m in kernel.modules.values()]
    assert [line[5] for line in lines] == [f"0x{m.base:016x}" for m in kernel.modules.values()]


def test_users_and_permanent() -> None:
    """print_unload_info: the users, then [permanent], each with a comma behind it."""
    kernel = kernel_with("diamond_bottom", "diamond_left", "diamond_right", "no_exit")
    fields = {line.split()[0]: line.split()[3] for line in kernel.read("/proc/modules").splitlines()}
    assert fields["diamond_bottom"] == "diamond_right,diamond_left,"
    assert fields["no_exit"] == "[permanent],"


@pytest.mark.parametrize("caller", [{"uid": 1000}, {"capabilities": ("CAP_SYS_MODULE",)}])
def test_who_lacks_cap_syslog_sees_zeroes(caller: dict[str, Any]) -> None:
    """kernel/ksyms_common.c:kallsyms_show_value with kptr_restrict 0: CAP_SYSLOG, or nothing but zeroes."""
    kernel = kernel_with("minimal")
    kernel.uid, kernel.capabilities = caller.get("uid", 0), caller.get("capabilities")
    assert kernel.read("/proc/modules").split()[5] == "0x0000000000000000"
    lines = kernel.read("/proc/kallsyms").splitlines()
    assert {line.split()[0] for line in lines} == {"0" * 16}
    assert any(line.endswith("\t[minimal]") for line in lines)


def test_kallsyms_has_the_kernel_first_then_the_newest_module() -> None:
    kernel = kernel_with("minimal", "hello")
    owners = [line.partition("\t")[2] for line in kernel.read("/proc/kallsyms").splitlines()]
    assert list(dict.fromkeys(owners)) == ["", "[hello]", "[minimal]"]


# kernel/panic.c:taint_flags: letters of bits 0 … 18; a module carries those marked true there
def test_taint_letters() -> None:
    assert "".join(flag.letter for flag in TAINTS) == "PFSRMBUDAWCIOELKXTN"
    assert {flag.letter for flag in TAINTS if flag.module} == set("PFCOEKXTN")
    assert taint_letters(1 | 1 << 12 | 1 << 13) == "POE"
    assert taint_letters(1 << 3 | 1 << 12) == "O"
    assert taint_letters(1 << 3 | 1 << 12, module=False) == "RO"


# --- /sys/module ----------------------------------------------------------------------------------


def test_attributes() -> None:
    kernel = kernel_with("hello", "e1000")
    module = kernel.modules["hello"]
    read = {name: kernel.read(f"/sys/module/hello/{name}") for name in
            ("coresize", "initsize", "initstate", "refcnt", "taint")}  # fmt: skip
    assert read == {"coresize": f"{module.core_size}\n", "initsize": "0\n", "initstate": "live\n",
        "refcnt": "0\n",
                    "taint": "OE\n"}  # fmt: skip
    assert kernel.read("/sys/module/e1000/taint") == "\n"


def test_version_and_srcversion_are_there_only_when_modinfo_has_them() -> None:
    image = (
        Image(sample("minimal").read_bytes()).set_modinfo("version", "1.2").set_modinfo("srcversion", None)
    )
    kernel = Kernel()
    kernel.finit_module(bytes(image))
    assert kernel.read("/sys/module/minimal/version") == "1.2\n"
    assert errno_of(kernel.read, "/sys/module/minimal/srcversion") == ENOENT
    assert "srcversion" not in kernel.listdir("/sys/module/minimal")


@pytest.mark.parametrize(("path", "errno"), [
    ("/sys/module/nobody/refcnt", ENOENT), ("/sys/module/hello/nothing", ENOENT),
    ("/sys/module/hello", EISDIR),
    ("/sys/module", EISDIR), ("/sys/module/hello/parameters", EISDIR), ("/sys/module/hello/holders", EISDIR),
    ("/sys/module/hello/parameters/nobody", ENOENT), ("/sys/module/hello/parameters/hidden", ENOENT),
    ("/sys/module/hello/sections/.nothing", ENOENT), ("/sys/module/hello/uevent", EACCES),
    ("/proc/nothing", ENOENT),
    ("", ENOENT), ("relative", ENOENT),
])  # fmt: skip
def test_reading_what_cannot_be_read(path: str, errno: int) -> None:
    assert errno_of(kernel_with("hello").read, path) == errno


@pytest.mark.parametrize(("path", "errno"), [
    ("/sys/module/nobody", ENOENT), ("/sys/module/hello/refcnt", ENOTDIR), ("/proc/modules", ENOTDIR),
    ("/sys/module/minimal/parameters", ENOENT), ("/nothing", ENOENT),
])  # fmt: skip
def test_listing_what_cannot_be_listed(path: str, errno: int) -> None:
    assert errno_of(kernel_with("hello", "minimal").listdir, path) == errno


def test_a_parameter_of_permission_zero_has_no_file() -> None:
    """include/linux/moduleparam.h: perm 0 keeps it out of sysfs."""
    kernel = kernel_with("hello")
    assert "hidden" not in kernel.listdir("/sys/module/hello/parameters")
    assert "howmany" in kernel.listdir("/sys/module/hello/parameters")


def test_sections_are_roots_alone() -> None:
    """kernel/module/sysfs.c: mode 0400; .symtab and .strtab have their files, too; addresses of init stay
    shown."""
    kernel = kernel_with("hello")
    names = kernel.listdir("/sys/module/hello/sections")
    assert {".symtab", ".strtab", ".init.text", ".gnu.linkonce.this_module"} <= set(names)
    assert ".modinfo" not in names
    assert kernel.read("/sys/module/hello/sections/.gnu.linkonce.this_module") == (
        f"0x{kernel.modules['hello'].address:016x}\n"
    )
    assert int(kernel.read("/sys/module/hello/sections/.init.text"), 16) > kernel.modules["hello"].base
    kernel.uid = 1000
    assert errno_of(kernel.read, "/sys/module/hello/sections/.init.text") == EACCES


def test_a_slash_in_a_name_becomes_an_exclamation_mark() -> None:
    """lib/kobject.c:kobject_set_name_vargs."""
    from .faults.files import make

    kernel = Kernel()
    kernel.finit_module(make("name_slash"))
    assert "a!b" in kernel.listdir("/sys/module")
    assert kernel.read("/sys/module/a!b/initstate") == "live\n"
    assert kernel.read("/proc/modules").startswith("a/b ")


# --- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "errno"), [
    # fs/proc/inode.c:proc_reg_write: opened, but no write function
    ("/proc/modules", EIO), ("/proc/kallsyms", EIO),
    ("/sys/module/hello/refcnt", EACCES), ("/sys/module/hello/sections/.init.text", EACCES),
    ("/sys/module/hello", EISDIR), ("/sys/module", EISDIR), ("/sys/module/hello/nothing", ENOENT),
    ("/sys/module/nobody/refcnt", ENOENT), ("/nothing", ENOENT), ("/proc/sys/kernel/osrelease", EACCES),
    ("/sys/module/hello/parameters/whom", EACCES),  # 0444: sysfs asks at open, root too
    ("/sys/module/hello/parameters/hidden", ENOENT),
])  # fmt: skip
def test_writing_what_cannot_be_written(path: str, errno: int) -> None:
    assert errno_of(kernel_with("hello").write, path, "1") == errno


def test_parameters_are_written_and_read_back() -> None:
    kernel = kernel_with("hello")
    kernel.write("/sys/module/hello/parameters/howmany", "0x10\n")
    assert kernel.read("/sys/module/hello/parameters/howmany") == "16\n"
    assert errno_of(kernel.write, "/sys/module/hello/parameters/howmany", "x") == EINVAL
    assert errno_of(kernel.write, "/sys/module/hello/parameters/howmany", "99999999999") == ERANGE
    assert kernel.read("/sys/module/hello/parameters/howmany") == "16\n"


def test_others_may_read_parameters_and_not_write_them() -> None:
    kernel = kernel_with("hello")
    kernel.uid = 1000
    assert kernel.read("/sys/module/hello/parameters/whom") == "world\n"
    assert errno_of(kernel.write, "/sys/module/hello/parameters/howmany", "1") == EACCES


# --- switches that go one way ---------------------------------------------------------------------


def test_modules_disabled_is_for_ever() -> None:
    """kernel/module/main.c: modules_disabled is bound between 1 and 1."""
    kernel = kernel_with("minimal")
    assert kernel.read(DISABLED) == "0\n"
    assert errno_of(kernel.write, DISABLED, "0") == EINVAL
    assert errno_of(kernel.write, DISABLED, "2") == EINVAL
    kernel.write(DISABLED, "1\n")
    assert kernel.read(DISABLED) == "1\n"
    assert errno_of(kernel.write, DISABLED, "0") == EINVAL
    assert errno_of(kernel.finit_module, sample("hello")) == EPERM
    assert errno_of(kernel.delete_module, "minimal") == EPERM


# kernel/params.c:param_set_bool_enable_only; lib/kstrtox.c:kstrtobool
@pytest.mark.parametrize("text", ["1", "y\n", "Y", "on", "ON", "oNly", "t", "1garbage"])
def test_sig_enforce_switches_on(text: str) -> None:
    kernel = Kernel()
    kernel.write(SIG_ENFORCE, text)
    assert kernel.read(SIG_ENFORCE) == "Y\n"
    assert errno_of(kernel.write, SIG_ENFORCE, "0") == EROFS
    assert errno_of(kernel.finit_module, sample("hello")) == EKEYREJECTED
    assert kernel.finit_module(sample("crc16")).state == "LIVE"


@pytest.mark.parametrize(("text", "errno"), [("x", EINVAL), ("o", EINVAL), ("2", EINVAL)])
def test_sig_enforce_takes_no_garbage(text: str, errno: int) -> None:
    kernel = Kernel()
    assert errno_of(kernel.write, SIG_ENFORCE, text) == errno
    kernel.write(SIG_ENFORCE, "N")
    assert kernel.read(SIG_ENFORCE) == "N\n"


def test_lockdown_goes_upwards_only() -> None:
    """security/lockdown/lockdown.c:lock_kernel_down: ``kernel_locked_down >= level`` is EPERM."""
    kernel = Kernel()
    assert kernel.read(LOCKDOWN) == "[none] integrity confidentiality\n"
    assert errno_of(kernel.write, LOCKDOWN, "none") == EPERM
    assert errno_of(kernel.write, LOCKDOWN, "total") == EINVAL
    kernel.write(LOCKDOWN, "integrity\n")
    assert kernel.read(LOCKDOWN) == "none [integrity] confidentiality\n"
    assert kernel.dmesg == ["<5>Kernel is locked down from securityfs; see man kernel_lockdown.7"]
    assert errno_of(kernel.write, LOCKDOWN, "integrity") == EPERM
    kernel.write(LOCKDOWN, "confidentiality")
    assert errno_of(kernel.write, LOCKDOWN, "integrity") == EPERM
    assert errno_of(kernel.finit_module, sample("hello")) == EPERM


def test_boot_parameters() -> None:
    def booted(cmdline: str) -> tuple[str, str, str]:
        kernel = Kernel(cmdline=cmdline)
        return kernel.read(LOCKDOWN).strip(), kernel.read(SIG_ENFORCE).strip(), kernel.read(DISABLED).strip()

    assert booted("") == ("[none] integrity confidentiality", "N", "0")
    assert booted("lockdown=integrity") == ("none [integrity] confidentiality", "N", "0")
    assert booted("lockdown=nonsense module.sig_enforce=on") == ("[none] integrity confidentiality", "Y", "0")
    assert booted("quiet nomodule module.sig_enforce") == ("[none] integrity confidentiality", "Y", "1")


def test_taints_are_added_and_never_taken_away() -> None:
    """kernel/sysctl.c:proc_taint: an atomic or."""
    kernel = Kernel()
    assert kernel.read(TAINTED) == "0\n"
    kernel.write(TAINTED, "65\n")
    kernel.write(TAINTED, "0")
    assert kernel.read(TAINTED) == "65\n"
    kernel.uid = 1000
    assert errno_of(kernel.write, TAINTED, "2") == EACCES
    assert kernel.read(TAINTED) == "65\n"


@pytest.mark.parametrize("path", [DISABLED, TAINTED, LOCKDOWN, SIG_ENFORCE])
def test_the_switches_are_roots_alone(path: str) -> None:
    assert errno_of(Kernel(uid=1000).write, path, "1") == EACCES


def test_errors_say_where() -> None:
    with pytest.raises(KernelError) as caught:
        Kernel().read("/sys/module/nobody/refcnt")
    assert (caught.value.strerror, caught.value.stage) == ("No such file or directory", "read")
