# SPDX-License-Identifier: GPL-2.0-only
"""The Gregorian calendar without a beginning or an end, as ``kernel/time/timeconv.c:time64_to_tm`` has it."""

from __future__ import annotations

import datetime
from typing import NamedTuple

DAY = 86400  # seconds
ERA_DAYS, ERA_YEARS = 146097, 400  # after which the calendar repeats; a whole number of weeks
EPOCH = datetime.date(1970, 1, 1).toordinal()


class Tm(NamedTuple):
    """``struct tm``: tm_year counts from 1900, tm_mon, tm_wday (from Sunday) and tm_yday from 0."""

    year: int
    mon: int
    mday: int
    hour: int
    min: int
    sec: int
    wday: int
    yday: int


def broken_down(seconds: int) -> Tm:
    """The date of ``seconds`` since 1970, any number."""
    days, rest = divmod(seconds, DAY)
    era, day = divmod(days, ERA_DAYS)
    date = datetime.date.fromordinal(EPOCH + day)
    yday = date.toordinal() - date.replace(month=1, day=1).toordinal()
    hour, rest = divmod(rest, 3600)
    year = date.year + ERA_YEARS * era - 1900
    return Tm(year, date.month - 1, date.day, hour, *divmod(rest, 60), date.isoweekday() % 7, yday)
