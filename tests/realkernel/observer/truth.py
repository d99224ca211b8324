# SPDX-License-Identifier: GPL-2.0-only
"""The truth files of modules at COMING: a sequence of loads and unloads for each boot, and what came of each.

A step is a dictionary: "load" or "unload" with the module's name, "errno" and "log" where there was any; a
load that came has "core" and "init" [base, size], or the seven memories of 6.12 instead, "percpu" where
there is one, and "digests" (``digests``). A boot that keeps memory has besides "sections" {name: address},
"sysfs" {path below /sys/module/NAME: text, or None for a folder}, and "memory" {"core": hex, "init": hex} (or
the seven) of modules up to ``WHOLE_BYTES``.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kmodsim import corpus
from kmodsim.profile import DEFAULT as DEFAULT_PROFILE
from kmodsim.profile import KernelProfile
from tests.realkernel.kernels import DEFAULT, Recorded
from tests.realkernel.machine import Target
from tests.realkernel.plan import Answer, Operation

from . import build
from .causes import masked
from .image import Image, digest, recorded_image
from .memory import Observed
from .recording import CMDLINE, Recording, observer_load, record
from .sequences import Step

TRUTH = Path(__file__).parents[2] / "truth"
WHOLE_BYTES = 256 << 10
WHOLE_BYTES_OF_OTHERS = 32 << 10  # of other kernels than 6.1: digests say the rest
Found = dict[str, Any]


def observer_file(kernel: str = DEFAULT) -> Path:
    """The observer as it was when that kernel was recorded."""
    return TRUTH / "inputs" / f"observer-{kernel}.ko"


def module_file(name: str, tree: Path | None = None) -> bytes:
    """A module's file: the observer, one that comes along, or one of the distribution's in ``tree``: 6.1."""
    if name == "observer":
        return observer_file().read_bytes()
    if tree is not None and name in corpus.index():
        return (tree / corpus.index()[name].path).read_bytes()
    return corpus.sample(name).read_bytes()


def digests(image: Image) -> dict[str, str]:
    """What of an image is to be equal, each as a digest: section addresses, code and read-only sections, data
    without the places of ``causes``, the rest. "data but for chance" leaves out only what no two boots have
    in common: the model could still learn the others."""
    addresses = "\n".join(f"{place.name} {place.address:x} {place.size:x}" for place in image.places)
    found = {"addresses": digest([addresses.encode()])}
    found |= {place.name: digest([image.bytes_of(place)]) for place in image.fixed}
    found["data but for causes"] = digest(masked(image))
    found["data but for chance"] = digest(masked(image, by_chance=True))
    return found | {f"rest of {kind}": digest([data]) for kind, data in image.rest()}


def operations(sequence: Sequence[Step], keep: bool) -> list[Operation]:
    """What the probe does: after each load it reads the section addresses, or with ``keep`` all of sysfs."""
    plan: list[Operation] = []
    for what, name in sequence:
        if what == "load":
            plan.append({"op": "finit", "file": name})
            plan.append({"op": "tree", "path": f"/sys/module/{name}" + ("" if keep else "/sections")})
        else:
            plan.append({"op": "delete", "name": name})
    return plan


def file_of(kernel: Recorded, name: str) -> bytes:
    """A module's file for a kernel: the observer, a sample (of 6.1), or one of the distribution's."""
    if name == "observer":
        return observer_file(kernel.name).read_bytes()
    if name in kernel.modules.paths:
        return kernel.module_file(name)
    return corpus.sample(name).read_bytes()


def record_boot(
    kernel: Recorded, target: Target, sequence: Sequence[Step], keep: bool
) -> tuple[Answer, list[Found]]:
    """One boot: the state after booting, and the steps."""
    files = {name: file_of(kernel, name) for name in {"observer", *(name for _, name in sequence)}}
    profile = KernelProfile.load(kernel.profile)
    kinds = tuple(kind.name for kind in profile.rules.memories.kinds)
    recording = record(target, operations(sequence, keep), files, kinds)
    return recording.start, list(steps_of(sequence, recording, files, keep, profile))


def steps_of(
    sequence: Sequence[Step], recording: Recording, files: Mapping[str, bytes], keep: bool,
    profile: KernelProfile,
) -> Iterator[Found]:
    """A recording as the steps of a truth file, the observer's load the first."""
    answers, observed = iter(recording.answers), iter(recording.observed)
    yield {**_outcome("load", "observer", next(answers)), "params": observer_load()["params"]}
    seen: set[str] = set()
    for what, name in sequence:
        step = _outcome(what, name, next(answers))
        if what == "load":
            tree = next(answers)
            if "errno" not in step:
                step |= _came(next(observed), tree, files[name], name in seen, keep, profile)
            seen.add(name)
        yield step
    if next(observed, None) is not None:
        raise RuntimeError("a module came that nobody loaded, or one came and was refused")


def _outcome(what: str, name: str, answer: Answer) -> Found:
    found: Found = {what: name}
    found |= {"errno": answer["errno"]} if answer["errno"] else {}
    return found | ({"log": answer["log"]} if answer["log"] else {})


def _came(
    observed: Observed, tree: Answer, file: bytes, again: bool, keep: bool, profile: KernelProfile
) -> Found:
    """What a load left; of one that was loaded before in this boot only the addresses."""
    base = f"/sys/module/{observed.name}/sections/"
    files = tree.get("files", {})
    texts = {path.removeprefix(base): text for path, text in files.items() if path.startswith(base)}
    addresses = {name: int(text, 16) for name, text in texts.items()}
    image = recorded_image(observed, addresses, file, profile)
    found: Found = {kind: [base, len(data)] for kind, (base, data) in image.memories.items()}
    found |= {"percpu": observed.percpu} if observed.percpu else {}
    all_digests = digests(image)
    found["digests"] = {"addresses": all_digests["addresses"]} if again else all_digests
    if keep:
        found |= {"sections": addresses, "sysfs": sysfs_of(observed.name, tree)}
        most = WHOLE_BYTES if profile.name == DEFAULT_PROFILE else WHOLE_BYTES_OF_OTHERS
        if sum(len(data) for _, data in image.memories.values()) <= most:
            found["memory"] = {kind: data.hex() for kind, (_, data) in image.memories.items()}
    return found


def sysfs_of(name: str, tree: Answer) -> dict[str, Any]:
    """Below /sys/module/NAME: texts of files (notes are binary: only that they are there), None: folders."""
    base = f"/sys/module/{name}/"
    files = {path: "" if "/notes/" in path else text for path, text in tree.get("files", {}).items()}
    names: dict[str, Any] = dict.fromkeys([*tree.get("folders", []), *tree.get("links", [])])
    found = {path.removeprefix(base): text for path, text in (files | names).items() if path.startswith(base)}
    return dict(sorted(found.items()))


def record_truth(
    kernel: Recorded, target: Target, made_by: str, boots: Mapping[str, tuple[Sequence[Step], bool]],
    jobs: int = 1,
) -> Found:
    """All boots: name -> (sequence, keep memory and sysfs)."""
    root = None if kernel.name == DEFAULT else kernel.build_root
    observer_file(kernel.name).write_bytes(build(target.release, root))
    with ThreadPoolExecutor(jobs) as pool:
        recorded = dict(zip(boots, pool.map(lambda b: record_boot(kernel, target, *b), boots.values()),
                            strict=True))  # fmt: skip
    start = next(start for start, _ in recorded.values())["files"]
    return {
        "made_by": made_by,
        "kernel": start["/proc/version"].strip(),
        "machine": f"qemu-system-x86_64 (TCG), -cpu {target.cpu} -smp {target.cpus}",
        "cmdline": CMDLINE,
        "observer": hashlib.sha256(observer_file(kernel.name).read_bytes()).hexdigest(),
        "boots": {name: steps for name, (_, steps) in recorded.items()},
    }


def dump(truth: Found, path: Path) -> None:
    """Compressed JSON, one line for each step."""
    head = json.dumps({key: value for key, value in truth.items() if key != "boots"}, indent=1)[:-2]
    boots = ",\n".join(
        f"  {json.dumps(name)}: [\n" + ",\n".join("   " + json.dumps(step) for step in steps) + "\n  ]"
        for name, steps in truth["boots"].items()
    )
    text = f'{head},\n "boots": {{\n{boots}\n }}\n}}\n'
    path.write_bytes(lzma.compress(text.encode(), preset=9))


def load(path: Path) -> Found:
    found: Found = json.loads(lzma.decompress(path.read_bytes()))
    return found


def loads(truth: Found) -> Iterator[Found]:
    """Every step that loads a module, of all boots, without the observer's."""
    for steps in truth["boots"].values():
        yield from (step for step in steps[1:] if "load" in step)
