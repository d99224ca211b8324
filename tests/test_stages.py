# SPDX-License-Identifier: GPL-2.0-only
"""The stages are load_module's calls in its order; any may fail or be replaced, and nothing is left."""

from __future__ import annotations

from typing import Any

import pytest

from kmodsim import Kernel, KernelError, sample
from kmodsim.errors import EIO, ENODEV
from kmodsim.functions import FUNCTIONS
from kmodsim.loader import STAGES, Load

from .heart import snapshot

pytestmark = pytest.mark.core

# (caller, its calls in order) in Linux 6.1: kernel/module/main.c, and arch/x86/kernel/module.c for
# module_finalize. The unsigned taint is set in load_module itself; prepare_coming_module first calls the
# kernel's own notifiers; do_free_init is the work item of do_init_module.
CALLS = (
    ("load_module", ["module_sig_check", "elf_validity_check", "setup_load_info", "blacklisted",
                     "rewrite_section_headers", "check_modstruct_version"]),
    ("layout_and_allocate", ["check_modinfo", "module_enforce_rwx_sections", "layout_sections",
                             "layout_symtab", "move_module"]),
    ("load_module", ["add_unformed_module", "taint_unsigned_module", "percpu_modalloc", "module_unload_init",
                     "find_module_sections", "check_module_license_and_versions", "setup_modinfo",
                     "simplify_symbols", "apply_relocations"]),
    ("post_relocation", ["sort_extable", "percpu_modcopy", "add_kallsyms"]),
    ("module_finalize", ["apply_paravirt", "apply_retpolines", "apply_returns", "apply_alternatives",
                         "alternatives_smp_module_add", "unwind_module_init"]),
    ("load_module", ["strndup_user", "ftrace_module_init", "complete_formation"]),
    ("prepare_coming_module", ["jump_label_add_module", "static_call_add_module", "prepare_coming_module"]),
    ("load_module", ["parse_args", "mod_sysfs_setup", "free_copy", "do_init_module"]),
    ("do_init_module", ["do_free_init"]),
)  # fmt: skip
NAMES = [stage.name for stage in STAGES]


def test_the_stages_are_load_modules_calls_in_their_order() -> None:
    assert [name for _, calls in CALLS for name in calls] == NAMES


@pytest.mark.parametrize("stage", STAGES, ids=NAMES)
def test_every_stage_says_what_it_models(stage: Any) -> None:
    assert stage.function
    assert stage.title
    assert stage.source.endswith(".c")
    assert stage.source.split("/")[0] in ("kernel", "arch")
    assert stage.since[0] in "2345"


def test_no_name_means_a_stage_and_a_function_at_once() -> None:
    """Except where both are the same thing: then Kernel(cpu=None, stages=…) could not tell them apart."""
    assert set(NAMES) & set(FUNCTIONS) <= {"blacklisted"}


# --- failing --------------------------------------------------------------------------------------


class ForeignError(Exception):
    """What a student's function may raise."""


def two_in_a_chain(stage: str, problem: BaseException) -> tuple[Kernel, list[str]]:
    """A kernel with chain_a and chain_b loaded, whose ``stage`` then raises ``problem`` for whatever comes
    next."""
    states: list[str] = []
    armed: list[bool] = []
    original = next(s.run for s in STAGES if s.name == stage)

    def run(load: Load) -> None:
        if armed:
            raise problem
        original(load)

    kernel = Kernel(cpu=None, stages={stage: run})
    kernel.finit_module(sample("chain_a"))
    kernel.finit_module(sample("chain_b"))
    kernel.finit_module(sample("libcrc32c"))  # it has a bug table
    kernel.register_module_notifier(lambda state, module: states.append(f"{module.name} {state}"))
    armed.append(True)
    return kernel, states


# chain_c takes a reference; hello keeps strings; percpu has per-CPU data; tables has a bug table
@pytest.mark.parametrize(
    ("name", "params"), [("chain_c", ""), ("hello", "howmany=2 whom=you"), ("percpu", ""), ("tables", "")]
)
@pytest.mark.parametrize("stage", NAMES)
def test_a_failing_stage_leaves_the_kernel_as_it_was(stage: str, name: str, params: str) -> None:
    kernel, _ = two_in_a_chain(stage, KernelError(EIO))
    before = snapshot(kernel)
    with pytest.raises(KernelError) as caught:
        kernel.finit_module(sample(name), params)
    assert (caught.value.errno, caught.value.stage) == (EIO, stage)
    assert snapshot(kernel) == before


@pytest.mark.parametrize("stage", NAMES)
def test_a_foreign_exception_comes_out_unchanged_after_the_undo(stage: str) -> None:
    problem = ForeignError("mine")
    kernel, _ = two_in_a_chain(stage, problem)
    before = snapshot(kernel)
    with pytest.raises(ForeignError) as caught:
        kernel.finit_module(sample("chain_c"))
    assert caught.value is problem
    assert snapshot(kernel) == before


@pytest.mark.parametrize("stage", NAMES)
def test_after_a_failure_the_same_file_loads_at_the_same_place(stage: str) -> None:
    kernel, _ = two_in_a_chain(stage, KernelError(EIO))
    with pytest.raises(KernelError):
        kernel.finit_module(sample("chain_c"))
    kernel.stage_overrides.clear()
    other = Kernel(cpu=None)
    for name in ("chain_a", "chain_b", "libcrc32c"):
        other.finit_module(sample(name))
    assert kernel.finit_module(sample("chain_c")).base == other.finit_module(sample("chain_c")).base


# load_module's labels: from coming_cleanup on the notifiers hear GOING; before complete_formation nobody
# heard anything.
@pytest.mark.parametrize(("stage", "heard"), [
    ("complete_formation", []), ("prepare_coming_module", []),
    ("parse_args", ["chain_c COMING", "chain_c GOING"]), ("mod_sysfs_setup", ["chain_c COMING",
    "chain_c GOING"]),
    ("do_init_module", ["chain_c COMING", "chain_c GOING"]),
])  # fmt: skip
def test_who_heard_coming_hears_going(stage: str, heard: list[str]) -> None:
    kernel, states = two_in_a_chain(stage, KernelError(EIO))
    with pytest.raises(KernelError):
        kernel.finit_module(sample("chain_c"))
    assert states == heard


# not called by a load of ``tables``: for unloading; its static keys are all in their initial state;
# retpolines are on
NOT_CALLED = {"may_unload", "patch_jump_label", "patch_retpoline"}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_pure_function_that_raises_leaves_nothing_either(name: str) -> None:
    def broken(*_args: Any, **_more: Any) -> Any:
        raise ForeignError(name)

    kernel, image = Kernel(cpu=None, stages={name: broken}), sample("tables").read_bytes()
    before = snapshot(kernel)
    if name in NOT_CALLED:
        kernel.init_module(image)
        return
    with pytest.raises(ForeignError):
        kernel.init_module(image)
    assert snapshot(kernel) == before


# --- replaced -------------------------------------------------------------------------------------


def test_an_unknown_name_is_a_value_error_that_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"place_sektions.*place_sections"):
        Kernel(cpu=None, stages={"place_sektions": print})


def test_a_replaced_function_carries_a_real_module() -> None:
    from kmodsim.loader.layout import place_sections

    calls = []

    def mine(sections: Any) -> Any:
        calls.append(len(sections))
        return place_sections(sections)

    kernel = Kernel(cpu=None, stages={"place_sections": mine})
    assert kernel.finit_module(sample("minimal")).state == "LIVE"
    assert len(calls) == 1


def test_a_replaced_stage_is_called_with_the_load_and_recorded_like_the_kernels() -> None:
    def mine(load: Load) -> None:
        raise KernelError(ENODEV)

    load = Kernel(cpu=None, stages={"simplify_symbols": mine}).load(sample("minimal"))
    assert (load.error.errno, load.trace[-1].stage, load.trace[-1].error) == (
        ENODEV,
        "simplify_symbols",
        "-ENODEV",
    )


def test_kernels_do_not_share_replacements() -> None:
    Kernel(cpu=None, stages={"find_vmap_area": lambda holes, size: None})
    assert Kernel(cpu=None).finit_module(sample("minimal")).state == "LIVE"
