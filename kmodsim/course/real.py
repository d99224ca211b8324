# SPDX-License-Identifier: GPL-2.0-only
"""Inputs from real modules: what a stage's function is called with when the loader loads one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from .plain import as_record
from .task import Case


@cache
def image(name: str) -> bytes:
    """The bytes of a sample or of one of the distribution's modules that come along."""
    from ..corpus import sample

    return sample(name).read_bytes()


def arriving(function: str, *modules: str, params: str = "") -> list[Case]:
    """The arguments of every call of ``function`` (see kmodsim.functions) while these modules are loaded in
    turn.
    """
    return list(_arriving(function, modules, params))


@cache
def _arriving(function: str, modules: tuple[str, ...], params: str) -> tuple[Case, ...]:
    from ..functions import FUNCTIONS
    from ..kernel import Kernel

    real, calls = FUNCTIONS[function].function, []

    def listen(*arguments: Any, **more: Any) -> Any:
        calls.append(tuple(as_record(argument) for argument in arguments))
        return real(*arguments, **more)

    kernel = Kernel(cpu=None, stages={function: listen})
    for name in modules:
        kernel.load(image(name), params if name == modules[-1] else "")
    return tuple(calls)


def boot(**mine: Callable[..., Any]) -> Any:
    """A freshly booted kernel in which your functions do the work: ``boot(place_sections=place_sections)``.

    All stages before and after come solved: they are the kernel's own. Names as in ``kmodsim.functions``;
    ValueError for others. Code is not executed (``cpu=None``), so that only the loader's work counts.
    """
    from ..kernel import Kernel

    return Kernel(cpu=None, stages=mine)


def inputs(function: str, module: str, params: str = "") -> list[Case]:
    """What arrives at ``function`` when ``module`` is loaded, all earlier stages solved: arguments of each
    call.
    """
    return arriving(function, module, params=params)


def modules_at_hand() -> tuple[str, ...]:
    """Real modules of the distribution for hidden claims, small ones first."""
    return (
        "crc16",
        "libarc4",
        "libcrc32c",
        "nls_cp437",
        "lib80211",
        "mbcache",
        "dummy",
        "loop",
        "vfat",
        "fat",
    )
