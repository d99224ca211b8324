# SPDX-License-Identifier: GPL-2.0-only
"""docs/running.md, from a survey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from .run import Outcome, Survey

NOT_RETURNED = {
    "oops": "killed: the code followed a pointer that a stand-in left empty",
    "limit": "stopped: more instructions or calls than one run may have",
    "not modelled": "stopped: something is not modelled",
}
HEAD = """\
<!-- SPDX-License-Identifier: CC-BY-SA-4.0 -->
<!-- Made by make survey; do not edit. -->
# The init functions of the distribution's modules

{ran:,} of the {all:,} modules of Debian's 6.1.0-56-amd64 have an init function. Each was run in a fresh
kernel, with the modules it depends on loaded before. **{share:.1%} returned**, {zero:.1%} with 0. Kernel
functions that kmodsim does not have were answered by stand-ins (`Kernel(cpu="typed")`): {made_up:,} of
{called:,} calls.

**What "returned 0" means**: the module's own machine code ran from the first instruction of init to its
return, and touched nothing that is not mapped. It does not mean that the module would work: no device was
there, nothing that registered itself was ever called, and what a stand-in answered (0, an empty object, "not
found") is not what a kernel would have answered. A negative errno is often the right answer here: without the
hardware a driver has nothing to do (ENODEV).

{without} modules depend on one whose own init fails here; that one was loaded without running its init.

## How they ended

| init | modules |
|---|---:|
"""


def returned(survey: Survey) -> tuple[float, int]:
    """(share of the init functions that returned, how many ended in a Python exception)."""
    ends = Counter(outcome.end for outcome in survey.outcomes if outcome.end)
    strange = sum(n for end, n in ends.items() if end not in NOT_RETURNED and not _is_result(end))
    back = sum(n for end, n in ends.items() if _is_result(end))
    return back / max(1, ends.total()), strange


def _is_result(end: str) -> bool:
    return end == "0" or end.startswith(("E", "errno "))


def page(survey: Survey) -> str:
    return "".join(_page(survey))


def _page(survey: Survey) -> Iterator[str]:
    ran = [outcome for outcome in survey.outcomes if outcome.end]
    ends = Counter(outcome.end for outcome in ran)
    yield HEAD.format(
        ran=len(ran), all=len(survey.outcomes), share=returned(survey)[0], zero=ends["0"] / max(1, len(ran)),
        made_up=survey.made_up.total(), called=survey.called.total(),
        without=sum(bool(outcome.without) for outcome in ran),
    )  # fmt: skip
    for end, count in ends.most_common():
        said = NOT_RETURNED.get(end) or ("returned 0" if end == "0" else f"returned -{end}")
        yield f"| {said} | {count:,} |\n"
    yield from _exits(survey.outcomes)
    yield from _table("Registered most", "what", survey.registered, 20)
    yield from _table("Called most", "kernel function", survey.called, 25)
    stand_ins = Counter({name: count for name, count in survey.made_up.items() if count})
    yield from _table("Answered by stand-ins most", "kernel function", stand_ins, 40)
    yield from _not_returned(ran)


def _exits(outcomes: Iterable[Outcome]) -> Iterator[str]:
    ends = Counter(outcome.after for outcome in outcomes if outcome.after)
    yield "\nWhose init returned 0 was unloaded again, where it has an exit function:\n\n"
    yield "| exit | modules |\n|---|---:|\n"
    for end, count in ends.most_common():
        said = NOT_RETURNED.get(end) or ("returned" if end == "0" else f"refused: {end}")
        yield f"| {said} | {count:,} |\n"


def _table(title: str, what: str, counts: Counter[str], most: int) -> Iterator[str]:
    yield f"\n## {title}\n\n| {what} | times |\n|---|---:|\n"
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]:
        yield f"| `{name}` | {count:,} |\n" if "_" in name or name.islower() else f"| {name} | {count:,} |\n"


def _not_returned(ran: Iterable[Outcome]) -> Iterator[str]:
    yield "\n## Those that did not return\n\n| module | end |\n|---|---|\n"
    for outcome in ran:
        if not _is_result(outcome.end):
            yield f"| `{outcome.name}` | {outcome.end}: {outcome.why.removeprefix('RIP: 0010:')} |\n"
