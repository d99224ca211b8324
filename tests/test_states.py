# SPDX-License-Identifier: GPL-2.0-only
"""UNFORMED, COMING, LIVE, GOING: who is told, what others see, what init or an oops leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kmodsim import Kernel, KernelError, KernelOops, Module, sample
from kmodsim.errors import EAGAIN, EBUSY, EEXIST, EINVAL, EIO, ENODEV, ENOENT, EPERM, WouldWait
from kmodsim.loader import STAGES, Load
from kmodsim.loader.init import judge_init
from kmodsim.loader.unformed import may_add

from .faults.files import make
from .heart import errno_of, snapshot

pytestmark = pytest.mark.core
ORIGINAL = {stage.name: stage.run for stage in STAGES}


def listen(kernel: Kernel, heard: list[Any], tag: str = "", answer: int | None = None, when: str = "COMING",
           priority: int = 0) -> None:  # fmt: skip
    """A notifier that writes down what it hears, and answers once ``when`` comes."""

    def notifier(state: str, module: Module) -> int | None:
        heard.append(f"{tag}{state}")
        return answer if state == when else None

    kernel.register_module_notifier(notifier, priority)


# --- notifiers ------------------------------------------------------------------------------------


def test_coming_live_going() -> None:
    kernel, heard = Kernel(cpu=None), []
    listen(kernel, heard)
    kernel.finit_module(sample("minimal"))
    kernel.delete_module("minimal")
    assert heard == ["COMING", "LIVE", "GOING"]


def test_higher_priority_first_and_equal_ones_in_order_of_registration() -> None:
    """kernel/notifier.c:notifier_chain_register: inserted before the first of *lower* priority."""
    kernel, heard = Kernel(cpu=None), []
    for tag, priority in (("a", 0), ("b", 5), ("c", 0), ("d", -1), ("e", 5)):
        listen(kernel, heard, tag, priority=priority)
    kernel.finit_module(sample("minimal"))
    assert heard[:5] == ["bCOMING", "eCOMING", "aCOMING", "cCOMING", "dCOMING"]


@pytest.mark.parametrize("answer", [ENODEV, -ENODEV])
def test_an_error_at_coming_fails_the_load_and_those_before_hear_going(answer: int) -> None:
    """kernel/notifier.c:notifier_call_chain_robust: nr - 1 are called again; the one that refused is not."""
    kernel, heard = Kernel(cpu=None), []
    listen(kernel, heard, "a")
    listen(kernel, heard, "b")
    listen(kernel, heard, "c", answer)
    listen(kernel, heard, "d")
    before = snapshot(kernel)
    with pytest.raises(KernelError) as caught:
        kernel.finit_module(sample("hello"))
    assert (caught.value.errno, caught.value.stage) == (ENODEV, "prepare_coming_module")
    assert heard == ["aCOMING", "bCOMING", "cCOMING", "aGOING", "bGOING"]
    assert snapshot(kernel) == before


@pytest.mark.parametrize("state", ["LIVE", "GOING"])
def test_an_error_at_live_or_going_is_heard_by_nobody_but_ends_the_chain(state: str) -> None:
    """notifier_from_errno() sets NOTIFY_STOP_MASK; blocking_notifier_call_chain's answer is not looked at."""
    kernel, heard = Kernel(cpu=None), []
    listen(kernel, heard, "a", EINVAL, state)
    listen(kernel, heard, "b")
    assert kernel.finit_module(sample("minimal")).state == "LIVE"
    kernel.delete_module("minimal")
    wanted = ["aCOMING", "bCOMING", "aLIVE", "bLIVE", "aGOING", "bGOING"]
    wanted.remove(f"b{state}")
    assert heard == wanted
    assert not kernel.modules


def test_a_notifier_can_leave_the_chain() -> None:
    kernel, heard = Kernel(cpu=None), []

    def notifier(state: str, module: Module) -> None:
        heard.append(state)
        kernel.unregister_module_notifier(notifier)

    kernel.register_module_notifier(notifier)
    kernel.finit_module(sample("minimal"))
    assert heard == ["COMING"]


class ForeignError(Exception):
    """A callback's own mistake."""


@pytest.mark.parametrize("state", ["COMING", "LIVE"])
@pytest.mark.parametrize("problem", [ForeignError("mine"), KernelError(EIO)])
def test_an_exception_of_a_notifier_comes_out_after_the_undo(state: str, problem: Exception) -> None:
    kernel, heard = Kernel(cpu=None), []
    kernel.finit_module(sample("chain_a"))
    listen(kernel, heard)

    def notifier(now: str, module: Module) -> None:
        if now == state:
            raise problem

    kernel.register_module_notifier(notifier)
    before = snapshot(kernel)
    with pytest.raises(type(problem)) as caught:
        kernel.finit_module(sample("chain_b"))
    assert caught.value is problem
    assert snapshot(kernel) == before
    assert heard == (["COMING", "GOING"] if state == "COMING" else ["COMING", "LIVE", "GOING"])


def test_an_exception_while_unloading_comes_out_when_the_module_is_gone() -> None:
    problem, heard = ForeignError("exit"), []

    def broken() -> int:
        raise problem

    kernel = Kernel(cpu=None, functions={"hello_exit": broken})
    empty = snapshot(kernel)
    kernel.finit_module(sample("hello"))
    listen(kernel, heard)
    with pytest.raises(ForeignError) as caught:
        kernel.delete_module("hello")
    assert caught.value is problem
    assert heard == ["GOING"]
    assert snapshot(kernel) == empty


# --- what others see ------------------------------------------------------------------------------


def seen_at(kernel: Kernel, state: str, look: Callable[[Module], Any], name: str = "hello") -> list[Any]:
    seen: list[Any] = []
    kernel.register_module_notifier(
        lambda now, module: seen.append(look(module)) if (now, module.name) == (state, name) else None
    )
    return seen


def test_proc_modules_while_loading() -> None:
    """kernel/module/procfs.c:m_show: size is core + init, one reference is held, ``+`` inside the taints."""
    kernel = Kernel(cpu=None)
    sizes = seen_at(kernel, "COMING", lambda m: m.core_size + m.init_size)
    lines = seen_at(kernel, "COMING", lambda m: kernel.read("/proc/modules"))
    kernel.finit_module(sample("hello"))
    assert lines == [f"hello {sizes[0]} 1 - Loading 0xffffffffc0201000 (OE+)\n"]


def test_proc_modules_in_the_live_notifier_still_counts_init() -> None:
    """do_init_module: the notifiers come before the first reference is dropped and init_layout is cleared."""
    kernel = Kernel(cpu=None)
    lines = seen_at(kernel, "LIVE", lambda m: kernel.read("/proc/modules").split()[1:5])
    sizes = seen_at(kernel, "COMING", lambda m: str(m.core_size + m.init_size))
    module = kernel.finit_module(sample("hello"))
    assert lines == [[sizes[0], "1", "-", "Live"]]
    assert kernel.read("/proc/modules").split()[1:5] == [str(module.core_size), "0", "-", "Live"]


def test_proc_modules_while_unloading() -> None:
    """The base reference is gone: 0 - MODULE_REF_BASE is -1."""
    kernel = Kernel(cpu=None)
    kernel.finit_module(sample("hello"))
    size = kernel.modules["hello"].core_size
    lines = seen_at(kernel, "GOING", lambda m: kernel.read("/proc/modules"))
    kernel.delete_module("hello")
    assert lines == [f"hello {size} -1 - Unloading 0xffffffffc0201000 (OE-)\n"]


def test_an_unformed_module_is_on_the_list_but_not_in_proc_modules() -> None:
    seen: list[Any] = []

    def look(load: Load) -> None:
        kernel = load.kernel
        seen.append(
            (kernel.read("/proc/modules"), [m.name for m in kernel.module_list], list(kernel.modules))
        )
        ORIGINAL["simplify_symbols"](load)

    Kernel(cpu=None, stages={"simplify_symbols": look}).finit_module(sample("hello"))
    assert seen == [("", ["hello"], [])]


def test_sysfs_appears_between_coming_and_init() -> None:
    """load_module: mod_sysfs_setup stands behind parse_args, before do_init_module."""
    names: list[Any] = []

    def init() -> int:
        names.append(kernel.read("/sys/module/hello/initstate"))
        return 0

    kernel = Kernel(cpu=None, functions={"hello_init": init})
    at_coming = seen_at(kernel, "COMING", lambda m: errno_of(kernel.read, "/sys/module/hello/initstate"))
    kernel.finit_module(sample("hello"))
    assert (at_coming, names) == ([ENOENT], ["coming\n"])


def test_parameters_are_not_yet_set_at_coming_and_set_in_init() -> None:
    seen: list[str] = []

    def init() -> int:
        seen.append(kernel.read("/sys/module/hello/parameters/howmany"))
        return 0

    kernel = Kernel(cpu=None, functions={"hello_init": init})
    kernel.finit_module(sample("hello"), "howmany=7")
    assert seen == ["7\n"]


def test_the_arguments_are_known_at_coming() -> None:
    kernel = Kernel(cpu=None)
    args = seen_at(kernel, "COMING", lambda m: m.args)
    kernel.finit_module(sample("hello"), "howmany=7")
    assert args == ["howmany=7"]


# --- calls into the kernel while a module is COMING -----------------------------------------------


def answer_of(call: Callable[[], object]) -> Any:
    try:
        return call()
    except KernelError as error:
        return type(error).__name__ if error.errno is None else error.errno


@pytest.mark.parametrize(("state", "name", "wanted"), [
    ("COMING", "hello", EBUSY), ("LIVE", "hello", EAGAIN), ("COMING", "nobody", ENOENT),
])  # fmt: skip
def test_unloading_from_a_notifier(state: str, name: str, wanted: int) -> None:
    """COMING: "doing init or already dying". LIVE: the loader still holds the first reference."""
    kernel = Kernel(cpu=None)
    answers = seen_at(kernel, state, lambda m: answer_of(lambda: kernel.delete_module(name)))
    kernel.finit_module(sample("hello"))
    assert answers == [wanted]
    assert kernel.modules["hello"].state == "LIVE"


def test_unloading_from_init_is_refused() -> None:
    answers: list[Any] = []

    def init() -> int:
        answers.append(answer_of(lambda: kernel.delete_module("hello")))
        return 0

    kernel = Kernel(cpu=None, functions={"hello_init": init})
    kernel.finit_module(sample("hello"))
    assert answers == [EBUSY]


def test_unloading_a_going_module_is_refused() -> None:
    kernel = Kernel(cpu=None)
    kernel.finit_module(sample("hello"))
    answers = seen_at(kernel, "GOING", lambda m: answer_of(lambda: kernel.delete_module("hello")))
    kernel.delete_module("hello")
    assert answers == [EBUSY]


@pytest.mark.parametrize(("state", "wanted"), [("COMING", "WouldWait"), ("LIVE", EEXIST)])
def test_loading_the_same_name_from_a_notifier(state: str, wanted: Any) -> None:
    """add_unformed_module sleeps until finished_loading(); who waits for himself waits for ever."""
    kernel = Kernel(cpu=None)
    answers = seen_at(kernel, state, lambda m: answer_of(lambda: kernel.finit_module(sample("hello"))))
    kernel.finit_module(sample("hello"))
    assert answers == [wanted]
    assert [m.name for m in kernel.module_list] == ["hello"]


def test_loading_the_same_name_while_it_goes_is_busy() -> None:
    kernel = Kernel(cpu=None)
    empty = snapshot(kernel)
    kernel.finit_module(sample("hello"))
    answers = seen_at(kernel, "GOING", lambda m: answer_of(lambda: kernel.finit_module(sample("hello"))))
    kernel.delete_module("hello")
    assert answers == [EBUSY]
    assert snapshot(kernel) == empty


# kernel/module/main.c:add_unformed_module, finished_loading
@pytest.mark.parametrize(("state", "answer"), [
    (None, 0), ("LIVE", EEXIST), ("GOING", EBUSY), ("COMING", -1), ("UNFORMED", -1),
])  # fmt: skip
def test_may_add(state: str | None, answer: int) -> None:
    assert may_add(state) == answer


def test_another_module_can_be_loaded_and_unloaded_from_a_notifier() -> None:
    kernel = Kernel(cpu=None)

    def other(_: Module) -> str:
        state = kernel.finit_module(sample("minimal")).state
        kernel.delete_module("minimal")
        return state

    states = seen_at(kernel, "COMING", other)
    kernel.finit_module(sample("hello"))
    assert states == ["LIVE"]
    assert list(kernel.modules) == ["hello"]


def test_a_module_loaded_from_init_stands_before_the_one_that_loads_it() -> None:
    """list_add_rcu puts the newest first; the outer one has been on the list since it was UNFORMED."""

    def init() -> int:
        kernel.finit_module(sample("minimal"))
        return 0

    kernel = Kernel(cpu=None, functions={"hello_init": init})
    kernel.finit_module(sample("hello"))
    assert list(kernel.modules) == ["minimal", "hello"]
    assert kernel.modules["minimal"].base > kernel.modules["hello"].base


def test_hold_and_release_while_coming() -> None:
    """try_module_get() succeeds for everything that is not GOING."""
    kernel = Kernel(cpu=None)
    counts = seen_at(kernel, "COMING", lambda m: (kernel.hold("hello"), m.refcount))
    kernel.finit_module(sample("hello"))
    assert counts == [(None, 2)]
    assert kernel.modules["hello"].refcount == 1
    kernel.release("hello")
    assert kernel.modules["hello"].refcount == 0


def test_a_going_module_cannot_be_held() -> None:
    kernel = Kernel(cpu=None)
    kernel.finit_module(sample("hello"))
    answers = seen_at(kernel, "GOING", lambda m: answer_of(lambda: kernel.hold("hello")))
    kernel.delete_module("hello")
    assert answers == [ENOENT]


# --- init's answer --------------------------------------------------------------------------------


def with_init(answer: Callable[[], int | None]) -> tuple[Kernel, list[str]]:
    heard: list[str] = []
    kernel = Kernel(cpu=None, functions={"hello_init": answer})
    listen(kernel, heard)
    return kernel, heard


@pytest.mark.parametrize("errno", [EPERM, ENODEV, 4095])
def test_a_negative_answer_is_the_errno_and_the_module_is_gone(errno: int) -> None:
    kernel, heard = with_init(lambda: -errno)
    before = snapshot(kernel)
    with pytest.raises(KernelError) as caught:
        kernel.finit_module(sample("hello"), "howmany=3 whom=you")
    assert (caught.value.errno, caught.value.stage) == (errno, "do_init_module")
    assert heard == ["COMING", "GOING"]
    assert snapshot(kernel) == before


def test_exit_is_not_called_after_a_failed_init() -> None:
    called: list[str] = []
    functions = {"hello_init": lambda: -5, "hello_exit": lambda: called.append("exit")}
    kernel = Kernel(cpu=None, functions=functions)
    assert errno_of(kernel.finit_module, sample("hello")) == 5
    assert called == []


@pytest.mark.parametrize("value", [-4096, -5000, -(1 << 31)])
def test_beyond_4095_the_c_library_sees_no_errno(value: int) -> None:
    kernel, _ = with_init(lambda: value)
    before = snapshot(kernel)
    with pytest.raises(KernelError) as caught:
        kernel.finit_module(sample("hello"))
    assert caught.value.errno is None
    assert str(value) in caught.value.strerror
    assert snapshot(kernel) == before


@pytest.mark.parametrize("value", [1, 19, 0x7FFFFFFF])
def test_a_positive_answer_looks_odd_and_loads(value: int) -> None:
    kernel, _ = with_init(lambda: value)
    assert kernel.finit_module(sample("hello")).state == "LIVE"
    said = f"<4>do_init_module: 'hello'->init suspiciously returned {value}, it should follow 0/-E convention"
    assert f"{said}\ndo_init_module: loading module anyway..." in kernel.dmesg


# init returns a C int
@pytest.mark.parametrize(("value", "loads"), [(1 << 32, True), ((1 << 32) - 5, False), (1 << 31, False)])
def test_the_answer_is_an_int_of_32_bits(value: int, loads: bool) -> None:
    kernel, _ = with_init(lambda: value)
    try:
        assert (kernel.finit_module(sample("hello")).state == "LIVE") == loads
    except KernelError:
        assert not loads


def test_none_counts_as_zero() -> None:
    kernel, _ = with_init(lambda: None)
    assert kernel.finit_module(sample("hello")).state == "LIVE"


def test_judge_init() -> None:
    assert judge_init("m", 0) == (True, ())
    assert judge_init("m", -1) == (False, ())
    assert judge_init("m", 1)[0] is True


def test_an_exception_of_init_comes_out_and_the_module_is_gone() -> None:
    problem = ForeignError("init")

    def broken() -> int:
        raise problem

    kernel, heard = with_init(broken)
    before = snapshot(kernel)
    with pytest.raises(ForeignError) as caught:
        kernel.finit_module(sample("hello"))
    assert caught.value is problem
    assert heard == ["COMING", "GOING"]
    assert snapshot(kernel) == before


def test_functions_are_found_by_any_of_their_names() -> None:
    """module_init() makes init_module an alias of hello_init: one address, two symbols."""
    called: list[int] = []
    kernel = Kernel(cpu=None, functions={"init_module": lambda: called.append(1)})
    kernel.finit_module(sample("hello"))
    assert called == [1]


def test_without_a_cpu_the_trace_says_that_nothing_ran() -> None:
    note = Kernel(cpu=None).load(sample("hello")).trace.stage("do_init_module").note
    assert "not run" in note


def test_a_module_without_init_just_becomes_live() -> None:
    load = Kernel(cpu=None).load(sample("no_init"))
    assert (load.module.state, load.trace.stage("do_init_module").note) == ("LIVE", "")


# --- an oops --------------------------------------------------------------------------------------

TAINT_D = 1 << 7


def oops(*_: Any) -> None:
    raise KernelOops("NULL pointer dereference")


def test_an_oops_kills_the_caller_and_leaves_everything_as_it_lies() -> None:
    kernel = Kernel(cpu=None)
    free = kernel.memory.regions
    with pytest.raises(KernelOops) as caught:
        kernel.finit_module(make("relocation_offset_outside"))
    assert (caught.value.errno, caught.value.signal, caught.value.stage) == (None, 9, "apply_relocations")
    assert kernel.tainted & TAINT_D
    assert [(m.name, m.state) for m in kernel.module_list] == [("hello", "UNFORMED")]
    assert len(kernel.memory.regions) == len(free) + 2
    assert kernel.read("/proc/modules") == ""


def test_the_name_of_a_module_stuck_unformed_stays_taken() -> None:
    kernel = Kernel(cpu=None)
    with pytest.raises(KernelOops):
        kernel.finit_module(make("relocation_offset_outside"))
    before = snapshot(kernel)
    with pytest.raises(WouldWait):
        kernel.finit_module(sample("hello"))
    assert snapshot(kernel) == before
    assert errno_of(kernel.delete_module, "hello") == ENOENT
    assert kernel.finit_module(sample("minimal")).state == "LIVE"


def test_an_oops_in_init_leaves_the_module_coming() -> None:
    kernel, heard = with_init(oops)
    with pytest.raises(KernelOops):
        kernel.finit_module(sample("hello"))
    assert heard == ["COMING"]
    assert " 1 - Loading " in kernel.read("/proc/modules")
    assert kernel.tainted & TAINT_D
    assert errno_of(kernel.delete_module, "hello") == EBUSY
    with pytest.raises(WouldWait):
        kernel.finit_module(sample("hello"))


def test_an_oops_in_exit_leaves_the_module_going() -> None:
    kernel = Kernel(cpu=None, functions={"hello_exit": oops})
    kernel.finit_module(sample("hello"))
    with pytest.raises(KernelOops):
        kernel.delete_module("hello")
    assert kernel.modules["hello"].state == "GOING"
    assert kernel.modules["hello"].refcount == -1
    assert kernel.tainted & TAINT_D
    assert errno_of(kernel.delete_module, "hello") == EBUSY
    assert errno_of(kernel.finit_module, sample("hello")) == EBUSY


def test_an_oops_in_a_notifier_tells_nobody() -> None:
    kernel, heard = Kernel(cpu=None), []
    listen(kernel, heard)
    kernel.register_module_notifier(oops)
    with pytest.raises(KernelOops):
        kernel.finit_module(sample("hello"))
    assert heard == ["COMING"]
    assert kernel.modules["hello"].state == "COMING"


def test_load_gives_the_oops_as_its_error() -> None:
    load = Kernel(cpu=None).load(make("relocation_offset_outside"))
    assert isinstance(load.error, KernelOops)
    assert load.module is None
    assert load.trace[-1].error.startswith("oops: ")
