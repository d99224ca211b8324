# SPDX-License-Identifier: GPL-2.0-only
"""Writes the layouts of the structures that modules and the kernel functions in Python have in common."""

from __future__ import annotations

import re

from kmodsim.profilebuild.boot import BuildError
from kmodsim.profilebuild.btf import Btf
from kmodsim.profiles.columns import write_columns

DEPTH = 3  # names in a dotted field
# what a release does not have is left out
STRUCTS = re.findall(r"\w+", """
list_head hlist_head hlist_node rb_node rb_root xarray ida idr callback_head kref refcount_struct module
module_kobject kernel_param kernel_param_ops kparam_array kparam_string notifier_block
blocking_notifier_head atomic_notifier_head raw_notifier_head srcu_notifier_head va_format task_struct
thread_info mm_struct cred pid user_namespace mutex spinlock raw_spinlock rwlock_t rw_semaphore
semaphore completion swait_queue_head wait_queue_head wait_queue_entry srcu_struct percpu_counter
percpu_ref timer_list hrtimer hrtimer_cpu_base hrtimer_clock_base debugfs_blob_wrapper debugfs_u32_array
work_struct delayed_work workqueue_struct kthread_worker kthread_work rtc_time tm timespec64 kmem_cache
page folio kobject kobj_type kset attribute attribute_group kobj_attribute bin_attribute sysfs_ops
device device_attribute device_driver driver_attribute class class_attribute bus_type device_type
dev_pm_ops miscdevice cdev file file_operations inode dentry qstr path super_block file_system_type
address_space proc_ops proc_dir_entry seq_file seq_operations kiocb iov_iter iattr kstat
poll_table_struct vm_area_struct ctl_table ctl_table_header resource pci_dev pci_driver pci_device_id
usb_driver usb_device_driver usb_device usb_interface usb_class_driver i2c_driver i2c_client i2c_adapter
spi_driver spi_device platform_device platform_driver hid_driver hid_device acpi_driver acpi_device
pnp_driver serio_driver ps2dev parport_driver sdio_driver mdio_driver phy_driver virtio_driver
xenbus_driver hv_driver amba_driver pcmcia_driver scsi_driver scsi_host_template rc_map_list input_dev
input_handler led_classdev led_trigger hwmon_chip_info watchdog_device net net_device net_device_ops
sk_buff socket proto proto_ops net_proto_family pernet_operations packet_type nf_hook_ops xt_match
xt_target nft_expr_type nft_chain_type ebt_table tcp_congestion_ops tc_action_ops tcf_proto_ops
Qdisc_ops rtnl_link_ops genl_family inet_protosw net_protocol inet6_protocol phylink_pcs crypto_alg
shash_alg skcipher_alg aead_alg ahash_alg akcipher_alg rng_alg crypto_template gendisk request_queue
block_device bio blk_mq_ops target_type md_personality elevator_type tty_driver tty_ldisc_ops console
uart_driver snd_card snd_pcm_ops snd_soc_component_driver drm_driver drm_device fb_info backlight_device
regmap_config regulator_desc firmware clk_hw gpio_chip iio_dev nvmem_device rtc_device sysrq_key_op
binfmt linux_binfmt nls_table key_type security_hook_list kretprobe kprobe tracepoint static_key
jump_entry bug_entry alt_instr cpuhp_step cpumask of_device_id x86_cpu_id dmi_system_id
""")  # fmt: skip


def structs_file(btf: Btf) -> bytes:
    """The file: one row a structure, in the order of STRUCTS."""
    found = [(name, *layout) for name in dict.fromkeys(STRUCTS) if (layout := _layout(btf, name))]
    fields = [(field, *place) for _, _, each in found for field, place in each.items()]
    return write_columns({
        "names": ("text", [name for name, _, _ in found]),
        "sizes": ("u4", [size for _, size, _ in found]),
        "counts": ("u2", [len(each) for _, _, each in found]),
        "fields": ("text", [field for field, _, _ in fields]),
        "offsets": ("u4", [offset for _, offset, _ in fields]),
        "field_sizes": ("u4", [size for _, _, size in fields]),
    })  # fmt: skip


def _layout(btf: Btf, name: str) -> tuple[int, dict[str, tuple[int, int]]] | None:
    try:
        return btf.layout(name, depth=DEPTH)
    except BuildError:
        return None


def missing(btf: Btf) -> list[str]:
    """What this release has not, for the builder to say."""
    return [name for name in dict.fromkeys(STRUCTS) if _layout(btf, name) is None]
