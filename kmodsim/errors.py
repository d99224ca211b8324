# SPDX-License-Identifier: GPL-2.0-only
"""Linux's own numbers and the exceptions of the loader.

The host may be Windows or macOS, whose ``errno`` and ``os.O_*`` differ; a model of Linux uses Linux's
numbers everywhere (``include/uapi/asm-generic/errno-base.h``, ``errno.h``, ``fcntl.h``,
``uapi/linux/module.h``).
The texts are those of the C library's ``strerror``, which is what insmod prints.
"""

from __future__ import annotations

from collections.abc import Sequence

# name: (number, text of strerror in the GNU C library)
ERRNO: dict[str, tuple[int, str]] = {
    "EPERM": (1, "Operation not permitted"),
    "ENOENT": (2, "No such file or directory"),
    "ESRCH": (3, "No such process"),
    "EINTR": (4, "Interrupted system call"),
    "EIO": (5, "Input/output error"),
    "ENXIO": (6, "No such device or address"),
    "E2BIG": (7, "Argument list too long"),
    "ENOEXEC": (8, "Exec format error"),
    "EBADF": (9, "Bad file descriptor"),
    "ECHILD": (10, "No child processes"),
    "EAGAIN": (11, "Resource temporarily unavailable"),
    "ENOMEM": (12, "Cannot allocate memory"),
    "EACCES": (13, "Permission denied"),
    "EFAULT": (14, "Bad address"),
    "ENOTBLK": (15, "Block device required"),
    "EBUSY": (16, "Device or resource busy"),
    "EEXIST": (17, "File exists"),
    "EXDEV": (18, "Invalid cross-device link"),
    "ENODEV": (19, "No such device"),
    "ENOTDIR": (20, "Not a directory"),
    "EISDIR": (21, "Is a directory"),
    "EINVAL": (22, "Invalid argument"),
    "ENFILE": (23, "Too many open files in system"),
    "EMFILE": (24, "Too many open files"),
    "ENOTTY": (25, "Inappropriate ioctl for device"),
    "ETXTBSY": (26, "Text file busy"),
    "EFBIG": (27, "File too large"),
    "ENOSPC": (28, "No space left on device"),
    "ESPIPE": (29, "Illegal seek"),
    "EROFS": (30, "Read-only file system"),
    "EMLINK": (31, "Too many links"),
    "EPIPE": (32, "Broken pipe"),
    "EDOM": (33, "Numerical argument out of domain"),
    "ERANGE": (34, "Numerical result out of range"),
    "EDEADLK": (35, "Resource deadlock avoided"),
    "ENAMETOOLONG": (36, "File name too long"),
    "ENOLCK": (37, "No locks available"),
    "ENOSYS": (38, "Function not implemented"),
    "ENOTEMPTY": (39, "Directory not empty"),
    "ELOOP": (40, "Too many levels of symbolic links"),
    "ENOMSG": (42, "No message of desired type"),
    "EIDRM": (43, "Identifier removed"),
    "ECHRNG": (44, "Channel number out of range"),
    "EL2NSYNC": (45, "Level 2 not synchronized"),
    "EL3HLT": (46, "Level 3 halted"),
    "EL3RST": (47, "Level 3 reset"),
    "ELNRNG": (48, "Link number out of range"),
    "EUNATCH": (49, "Protocol driver not attached"),
    "ENOCSI": (50, "No CSI structure available"),
    "EL2HLT": (51, "Level 2 halted"),
    "EBADE": (52, "Invalid exchange"),
    "EBADR": (53, "Invalid request descriptor"),
    "EXFULL": (54, "Exchange full"),
    "ENOANO": (55, "No anode"),
    "EBADRQC": (56, "Invalid request code"),
    "EBADSLT": (57, "Invalid slot"),
    "EBFONT": (59, "Bad font file format"),
    "ENOSTR": (60, "Device not a stream"),
    "ENODATA": (61, "No data available"),
    "ETIME": (62, "Timer expired"),
    "ENOSR": (63, "Out of streams resources"),
    "ENONET": (64, "Machine is not on the network"),
    "ENOPKG": (65, "Package not installed"),
    "EREMOTE": (66, "Object is remote"),
    "ENOLINK": (67, "Link has been severed"),
    "EADV": (68, "Advertise error"),
    "ESRMNT": (69, "Srmount error"),
    "ECOMM": (70, "Communication error on send"),
    "EPROTO": (71, "Protocol error"),
    "EMULTIHOP": (72, "Multihop attempted"),
    "EDOTDOT": (73, "RFS specific error"),
    "EBADMSG": (74, "Bad message"),
    "EOVERFLOW": (75, "Value too large for defined data type"),
    "ENOTUNIQ": (76, "Name not unique on network"),
    "EBADFD": (77, "File descriptor in bad state"),
    "EREMCHG": (78, "Remote address changed"),
    "ELIBACC": (79, "Can not access a needed shared library"),
    "ELIBBAD": (80, "Accessing a corrupted shared library"),
    "ELIBSCN": (81, ".lib section in a.out corrupted"),
    "ELIBMAX": (82, "Attempting to link in too many shared libraries"),
    "ELIBEXEC": (83, "Cannot exec a shared library directly"),
    "EILSEQ": (84, "Invalid or incomplete multibyte or wide character"),
    "ERESTART": (85, "Interrupted system call should be restarted"),
    "ESTRPIPE": (86, "Streams pipe error"),
    "EUSERS": (87, "Too many users"),
    "ENOTSOCK": (88, "Socket operation on non-socket"),
    "EDESTADDRREQ": (89, "Destination address required"),
    "EMSGSIZE": (90, "Message too long"),
    "EPROTOTYPE": (91, "Protocol wrong type for socket"),
    "ENOPROTOOPT": (92, "Protocol not available"),
    "EPROTONOSUPPORT": (93, "Protocol not supported"),
    "ESOCKTNOSUPPORT": (94, "Socket type not supported"),
    "EOPNOTSUPP": (95, "Operation not supported"),
    "EPFNOSUPPORT": (96, "Protocol family not supported"),
    "EAFNOSUPPORT": (97, "Address family not supported by protocol"),
    "EADDRINUSE": (98, "Address already in use"),
    "EADDRNOTAVAIL": (99, "Cannot assign requested address"),
    "ENETDOWN": (100, "Network is down"),
    "ENETUNREACH": (101, "Network is unreachable"),
    "ENETRESET": (102, "Network dropped connection on reset"),
    "ECONNABORTED": (103, "Software caused connection abort"),
    "ECONNRESET": (104, "Connection reset by peer"),
    "ENOBUFS": (105, "No buffer space available"),
    "EISCONN": (106, "Transport endpoint is already connected"),
    "ENOTCONN": (107, "Transport endpoint is not connected"),
    "ESHUTDOWN": (108, "Cannot send after transport endpoint shutdown"),
    "ETOOMANYREFS": (109, "Too many references: cannot splice"),
    "ETIMEDOUT": (110, "Connection timed out"),
    "ECONNREFUSED": (111, "Connection refused"),
    "EHOSTDOWN": (112, "Host is down"),
    "EHOSTUNREACH": (113, "No route to host"),
    "EALREADY": (114, "Operation already in progress"),
    "EINPROGRESS": (115, "Operation now in progress"),
    "ESTALE": (116, "Stale file handle"),
    "EUCLEAN": (117, "Structure needs cleaning"),
    "ENOTNAM": (118, "Not a XENIX named type file"),
    "ENAVAIL": (119, "No XENIX semaphores available"),
    "EISNAM": (120, "Is a named type file"),
    "EREMOTEIO": (121, "Remote I/O error"),
    "EDQUOT": (122, "Disk quota exceeded"),
    "ENOMEDIUM": (123, "No medium found"),
    "EMEDIUMTYPE": (124, "Wrong medium type"),
    "ECANCELED": (125, "Operation canceled"),
    "ENOKEY": (126, "Required key not available"),
    "EKEYEXPIRED": (127, "Key has expired"),
    "EKEYREVOKED": (128, "Key has been revoked"),
    "EKEYREJECTED": (129, "Key was rejected by service"),
    "EOWNERDEAD": (130, "Owner died"),
    "ENOTRECOVERABLE": (131, "State not recoverable"),
    "ERFKILL": (132, "Operation not possible due to RF-kill"),
}

NAME_OF: dict[int, str] = {number: name for name, (number, _) in ERRNO.items()}

EPERM, ENOENT, ENOEXEC, EBADF, EAGAIN = 1, 2, 8, 9, 11
ENOMEM, EACCES, EFAULT, EBUSY, EEXIST, ENODEV, ENOTDIR, EISDIR, EINVAL = 12, 13, 14, 16, 17, 19, 20, 21, 22
EIO, ENXIO, EMFILE, ENOTTY, ETXTBSY, EFBIG, ENOSPC, ESPIPE, EROFS = 5, 6, 24, 25, 26, 27, 28, 29, 30
EINTR, E2BIG, ERANGE = 4, 7, 34
ENOPKG, EBADMSG, EOPNOTSUPP, ENOKEY, EKEYREJECTED = 65, 74, 95, 126, 129
EWOULDBLOCK = EAGAIN

# include/uapi/asm-generic/fcntl.h
O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE = 0o0, 0o1, 0o2, 0o3
O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NONBLOCK = 0o100, 0o200, 0o1000, 0o2000, 0o4000
O_DIRECTORY, O_CLOEXEC, O_PATH = 0o200000, 0o2000000, 0o10000000

# include/uapi/linux/module.h
MODULE_INIT_IGNORE_MODVERSIONS, MODULE_INIT_IGNORE_VERMAGIC, MODULE_INIT_COMPRESSED_FILE = 1, 2, 4


def errno_name(number: int | None) -> str:
    """``-ENOEXEC`` style name of a Linux errno without the sign: ``errno_name(8) == "ENOEXEC"``."""
    return NAME_OF.get(number or 0, f"errno {number}")


def strerror(number: int) -> str:
    """The GNU C library's text of a Linux errno; unknown numbers read ``Unknown error N`` as there."""
    name = NAME_OF.get(number)
    return ERRNO[name][1] if name else f"Unknown error {number}"


class KernelError(OSError):
    """A system call of the modelled kernel failed.

    ``errno`` and ``strerror`` are Linux's; ``stage`` names the kernel function that refused, ``dmesg``
    holds the
    log records ("<4>text") that the call added. Stage and dmesg are filled in by the system call on its way
    out.
    """

    def __init__(
        self, errno: int | None, *, stage: str = "", dmesg: Sequence[str] = (), why: str = "",
        strerror: str | None = None,
    ) -> None:
        text = strerror if strerror is not None else _text(errno)
        super().__init__(errno, text)
        self.errno: int | None = errno
        self.strerror: str = text
        self.stage = stage
        self.dmesg: list[str] = list(dmesg)
        self.why = why  # one teaching sentence for humans; never part of what the kernel says

    def __str__(self) -> str:
        where = f" in {self.stage}" if self.stage else ""
        log = f": {self.dmesg[-1][3:]}" if self.dmesg else f": {self.why}" if self.why else ""
        return f"[{errno_name(self.errno)}] {self.strerror}{where}{log}"

    def __reduce__(self) -> tuple[object, ...]:
        parts = (self.errno, self.strerror, self.stage, self.dmesg, self.why)
        return _rebuild, (type(self), *parts, self.__dict__)


def _text(errno: int | None) -> str:
    return "the caller was killed" if errno is None else strerror(errno)


def _rebuild(
    kind: type[KernelError], errno: int | None, text: str, stage: str, dmesg: list[str], why: str,
    state: dict[str, object],
) -> KernelError:
    error = kind.__new__(kind)
    KernelError.__init__(error, errno, stage=stage, dmesg=dmesg, why=why, strerror=text)
    error.__dict__.update(state)
    return error


class KernelOops(KernelError):
    """The real kernel would oops here: the calling task is killed (signal 9), the kernel goes on, tainted D.

    ``errno`` is None, ``report`` holds what the model knows of the report.
    """

    def __init__(self, report: str, *, stage: str = "", dmesg: Sequence[str] = ()) -> None:
        super().__init__(None, stage=stage, dmesg=dmesg, why=report)
        self.signal = 9
        self.report = report

    def __str__(self) -> str:
        return f"[oops] the caller was killed in {self.stage}: {self.report}"


class WouldWait(KernelError):
    """The real call would wait for ever. The model undoes it, as when a signal ends the wait."""

    def __init__(self, why: str, *, stage: str = "") -> None:
        super().__init__(None, stage=stage, why=why, strerror="the call would wait for ever")


class NotModelled(KernelError):
    """The model knowingly stops short here; the message says what the real kernel does."""

    def __str__(self) -> str:
        return f"[not modelled] in {self.stage}: {self.why}"

    def __init__(self, why: str, *, stage: str = "") -> None:
        super().__init__(None, stage=stage, why=why, strerror="not modelled")
