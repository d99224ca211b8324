# SPDX-License-Identifier: GPL-2.0-only
"""Which modules are loaded in which order: lists of (operation, module) with "load" and "unload"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from kmodsim import corpus
from tests.realkernel.kernels import DEFAULT, KERNELS, Recorded
from tests.realkernel.samples import NEEDS

Step = tuple[str, str]

BOOTS = 8
LOADED_AT_ONCE = 200

# Of the distribution: file systems, block devices, network, crypto, graphics, virtual machines, the rest.
CHOSEN = (
    "ext4", "btrfs", "xfs", "f2fs", "vfat", "nfs", "nfsd", "cifs", "fuse", "overlay", "isofs", "udf",
    "squashfs", "ceph", "9p", "dm_mod", "dm_crypt", "raid456", "zram", "loop", "nbd", "e1000", "e1000e",
    "igb", "ixgbe", "vmxnet3", "virtio_net", "tun", "bridge", "bonding", "vxlan", "wireguard", "dummy",
    "nf_conntrack", "nf_tables", "ip_tables", "ip6_tables", "iptable_nat", "sctp", "tipc",
    "openvswitch", "mac80211", "cfg80211", "iwlwifi", "ath9k", "bluetooth", "rtllib_crypt_wep",
    "aesni_intel", "sha256_ssse3", "ghash_clmulni_intel", "chacha_x86_64", "crc32c_intel", "af_alg",
    "ccm", "libcrc32c", "crc16", "drm", "drm_kms_helper", "ttm", "i915", "nouveau", "amdgpu", "radeon",
    "vmwgfx", "bochs", "virtio_gpu", "kvm", "kvm_intel", "kvm_amd", "vhost_net", "nvme", "ahci",
    "libata", "scsi_mod", "sd_mod", "virtio_blk", "usbcore", "xhci_hcd", "usb_storage", "snd_hda_intel",
    "snd_usb_audio", "videodev", "uvcvideo", "pcspkr", "hid_generic", "i2c_i801", "acpi_cpufreq",
    "intel_rapl_msr", "msr", "cpuid", "binfmt_misc", "xen_blkfront", "xen_netfront", "hv_vmbus",
)  # fmt: skip


def shipped() -> list[Step]:
    """What comes with kmodsim: the samples, also those that are refused, and some of the distribution."""
    order: dict[str, None] = {}
    for name in corpus.samples():
        order.update(dict.fromkeys((*NEEDS.get(name, ()), name)))
    order.update(dict.fromkeys(KERNELS[DEFAULT].modules.with_dependencies(list(corpus.distribution()))))
    return [("load", name) for name in order]


def chosen(kernel: Recorded) -> dict[str, list[Step]]:
    """What comes with kmodsim, built for 6.1; and the chosen modules, as far as a kernel has them, with all
    that they need."""
    names = [name for name in CHOSEN if name in kernel.modules.paths]
    modules = [("load", name) for name in kernel.modules.with_dependencies(names)]
    return {**({"shipped": shipped()} if kernel.name == DEFAULT else {}), "modules": modules}


def everything(kernel: Recorded) -> dict[str, list[Step]]:
    """All modules in the order of their paths, some hundreds a boot."""
    names = sorted(kernel.modules.paths, key=lambda name: kernel.modules.paths[name])
    edges = [len(names) * boot // BOOTS for boot in range(BOOTS + 1)]
    parts = enumerate(pairwise(edges), 1)
    return {f"part {number}": list(in_batches(kernel, names[low:high])) for number, (low, high) in parts}


def in_batches(kernel: Recorded, names: Iterable[str]) -> Iterator[Step]:
    """Load each of ``names`` once with what it needs; when there are enough unload all, the last first.

    No two of the modules export the same symbol, and their per-CPU data fit together: the number is all that
    has to be heeded.
    """
    loaded: dict[str, None] = {}
    for name in names:
        wanted = [one for one in kernel.modules.with_dependencies([name]) if one not in loaded]
        if wanted and len(loaded) + len(wanted) > LOADED_AT_ONCE:
            yield from (("unload", one) for one in reversed(loaded))
            loaded.clear()
            wanted = kernel.modules.with_dependencies([name])
        yield from (("load", one) for one in wanted)
        loaded.update(dict.fromkeys(wanted))


BOOTS_OF = {"all": everything, "chosen": chosen}
