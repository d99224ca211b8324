# SPDX-License-Identifier: GPL-2.0-only
"""What time it is, and one unit of time in another.

The clock is virtual: it starts five seconds after boot, and on 1 January 2026, so that every run sees the
same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..abi import ptr, s32, s64, u32, u64
from ..calendar import broken_down
from ..table import kernel_function
from ..tasks import NSEC_PER_SEC

if TYPE_CHECKING:
    from ..cpu import Cpu

KEEPING, TIME, TIMER = "kernel/time/timekeeping.c", "kernel/time/time.c", "kernel/time/timer.c"
BOOTED = 1_767_225_600 * NSEC_PER_SEC  # 2026-01-01 00:00:00 UTC
MAX_JIFFY_OFFSET = (1 << 62) - 2  # include/linux/jiffies.h: ((LONG_MAX >> 1) - 1)


@kernel_function(KEEPING, "ktime_get_raw", "ktime_get_mono_fast_ns", "ktime_get_raw_fast_ns",
                 "ktime_get_boot_fast_ns", "ktime_get_coarse_with_offset")  # fmt: skip
def ktime_get(cpu: Cpu) -> s64:
    return cpu.tasks.now


@kernel_function(KEEPING)
def ktime_get_with_offset(cpu: Cpu, offset: u32) -> s64:
    """``offset``: enum tk_offsets, 0 the wall clock, 1 boot time, 2 TAI."""
    return cpu.tasks.now + (BOOTED if offset in (0, 2) else 0)


@kernel_function(KEEPING)
def ktime_get_real_fast_ns(cpu: Cpu) -> u64:
    return cpu.tasks.now + BOOTED


@kernel_function(KEEPING)
def ktime_get_seconds(cpu: Cpu) -> s64:
    return cpu.tasks.now // NSEC_PER_SEC


@kernel_function(KEEPING)
def ktime_get_real_seconds(cpu: Cpu) -> s64:
    return (cpu.tasks.now + BOOTED) // NSEC_PER_SEC


def _store_timespec(cpu: Cpu, address: int, nanoseconds: int) -> None:
    """struct timespec64 {s64 tv_sec; long tv_nsec;}"""
    seconds, rest = divmod(nanoseconds, NSEC_PER_SEC)
    cpu.space.store(address, seconds, 8)
    cpu.space.store(address + 8, rest, 8)


@kernel_function(KEEPING, "ktime_get_raw_ts64", "ktime_get_coarse_ts64")
def ktime_get_ts64(cpu: Cpu, ts: ptr) -> None:
    _store_timespec(cpu, ts, cpu.tasks.now)


@kernel_function(KEEPING, "ktime_get_coarse_real_ts64")
def ktime_get_real_ts64(cpu: Cpu, ts: ptr) -> None:
    _store_timespec(cpu, ts, cpu.tasks.now + BOOTED)


# --- units


@kernel_function(TIME)
def jiffies_to_msecs(cpu: Cpu, jiffies: u64) -> u32:
    return jiffies * 1000 // cpu.tasks.hz


@kernel_function(TIME)
def jiffies_to_usecs(cpu: Cpu, jiffies: u64) -> u32:
    return jiffies * 1_000_000 // cpu.tasks.hz


@kernel_function(TIME)
def __msecs_to_jiffies(cpu: Cpu, msecs: u32) -> u64:
    """Rounded up; a negative int means for ever."""
    return MAX_JIFFY_OFFSET if msecs >> 31 else -(-msecs * cpu.tasks.hz // 1000)


@kernel_function(TIME)
def __usecs_to_jiffies(cpu: Cpu, usecs: u32) -> u64:
    return -(-usecs * cpu.tasks.hz // 1_000_000)


@kernel_function(TIME)
def nsecs_to_jiffies64(cpu: Cpu, nsecs: u64) -> u64:
    return nsecs * cpu.tasks.hz // NSEC_PER_SEC


@kernel_function(TIME)
def nsecs_to_jiffies(cpu: Cpu, nsecs: u64) -> u64:
    return nsecs * cpu.tasks.hz // NSEC_PER_SEC


@kernel_function(TIME)
def jiffies64_to_nsecs(cpu: Cpu, jiffies: u64) -> u64:
    return jiffies * NSEC_PER_SEC // cpu.tasks.hz


@kernel_function(TIME)
def jiffies64_to_msecs(cpu: Cpu, jiffies: u64) -> u64:
    return jiffies * 1000 // cpu.tasks.hz


@kernel_function(TIME)
def jiffies_to_timespec64(cpu: Cpu, jiffies: u64, ts: ptr) -> None:
    _store_timespec(cpu, ts, jiffies * NSEC_PER_SEC // cpu.tasks.hz)


@kernel_function(TIME)
def get_jiffies_64(cpu: Cpu) -> u64:
    return cpu.tasks.jiffies


@kernel_function(TIMER, "__round_jiffies", "__round_jiffies_up", "round_jiffies_up")
def round_jiffies(cpu: Cpu, jiffies: u64) -> u64:
    """The next full second (``kernel/time/timer.c:round_jiffies_common`` on processor 0, rounding up)."""
    hz = cpu.tasks.hz
    return -(-jiffies // hz) * hz


@kernel_function(
    TIMER, "__round_jiffies_relative", "__round_jiffies_up_relative", "round_jiffies_up_relative"
)
def round_jiffies_relative(cpu: Cpu, delta: u64) -> u64:
    now, hz = cpu.tasks.jiffies, cpu.tasks.hz
    return -(-(delta + now) // hz) * hz - now


@kernel_function(TIME)
def mktime64(cpu: Cpu, year: u32, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> s64:
    """Seconds since 1970 of a date in the Gregorian calendar."""
    month -= 2
    if month <= 0:
        month, year = month + 12, year - 1
    days = year // 4 - year // 100 + year // 400 + 367 * month // 12 + day + year * 365 - 719499
    return ((days * 24 + hour) * 60 + minute) * 60 + second


@kernel_function("kernel/time/timeconv.c")
def time64_to_tm(cpu: Cpu, seconds: s64, offset: s32, tm: ptr) -> None:
    """struct tm {int sec, min, hour, mday, mon; long year; int wday, yday;}"""
    then = broken_down(seconds + offset)
    values = (then.sec, then.min, then.hour, then.mday, then.mon, then.wday, then.yday)
    for place, value in zip((0, 4, 8, 12, 16, 32, 36), values, strict=True):
        cpu.space.store(tm + place, value, 4)
    cpu.space.store(tm + 24, then.year, 8)
