# SPDX-License-Identifier: GPL-2.0-only
# ruff: noqa: E501  # a row a line
"""Registration functions: a module offers something to a subsystem that is not modelled.

They note who registered what under which name (``Cpu.registered``), return 0, and no device, packet or mount
ever comes: probe functions are not called. What was not taken back when the module goes is left behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..abi import ptr
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

# kind; the function that registers; the one that takes back; where the kernel has them; where the structure
# has its name ("-": nowhere). "@2": the structure is the second argument. "[]": an array, its length behind it
ROWS = """
PCI driver; __pci_register_driver; pci_unregister_driver; drivers/pci/pci-driver.c; pci_driver.name
I2C driver; i2c_register_driver@2; i2c_del_driver; drivers/i2c/i2c-core-base.c; i2c_driver.driver.name
SPI driver; __spi_register_driver@2; driver_unregister; drivers/spi/spi.c; spi_driver.driver.name
platform driver; __platform_driver_register; platform_driver_unregister; drivers/base/platform.c; platform_driver.driver.name
driver; driver_register; driver_unregister; drivers/base/driver.c; device_driver.name
bus; bus_register; bus_unregister; drivers/base/bus.c; bus_type.name
ACPI driver; acpi_bus_register_driver; acpi_bus_unregister_driver; drivers/acpi/bus.c; acpi_driver.name
ACPI bus type; register_acpi_bus_type; unregister_acpi_bus_type; drivers/acpi/glue.c; -
PNP driver; pnp_register_driver; pnp_unregister_driver; drivers/pnp/driver.c; pnp_driver.name
serio driver; __serio_register_driver; serio_unregister_driver; drivers/input/serio/serio.c; serio_driver.driver.name
serdev driver; __serdev_device_driver_register; driver_unregister; drivers/tty/serdev/core.c; -
auxiliary driver; __auxiliary_driver_register; auxiliary_driver_unregister; drivers/base/auxiliary.c; -
Xen front-end driver; __xenbus_register_frontend; xenbus_unregister_driver; drivers/xen/xenbus/xenbus_probe_frontend.c; xenbus_driver.name
Xen back-end driver; __xenbus_register_backend; xenbus_unregister_driver; drivers/xen/xenbus/xenbus_probe_backend.c; xenbus_driver.name
input device; input_register_device; input_unregister_device; drivers/input/input.c; input_dev.name
input handler; input_register_handler; input_unregister_handler; drivers/input/input.c; input_handler.name
input handle; input_register_handle; input_unregister_handle; drivers/input/input.c; -
LED trigger; led_trigger_register; led_trigger_unregister; drivers/leds/led-triggers.c; led_trigger.name
LED; led_classdev_register_ext@2; led_classdev_unregister; drivers/leds/led-class.c; led_classdev.name
terminal driver; tty_register_driver; tty_unregister_driver; drivers/tty/tty_io.c; tty_driver.name
line discipline; tty_register_ldisc; tty_unregister_ldisc; drivers/tty/tty_ldisc.c; tty_ldisc_ops.name
file system; register_filesystem; unregister_filesystem; fs/filesystems.c; file_system_type.name
character set; __register_nls; unregister_nls; fs/nls/nls_base.c; nls_table.charset
quota format; register_quota_format; unregister_quota_format; fs/quota/dquot.c; -
binary format; __register_binfmt; unregister_binfmt; fs/exec.c; -
key type; register_key_type; unregister_key_type; security/keys/key.c; key_type.name
shrinker; register_shrinker; unregister_shrinker; mm/vmscan.c; -
network device; register_netdev; unregister_netdev; net/core/dev.c; net_device.name
network device; register_netdevice; unregister_netdevice_queue; net/core/dev.c; net_device.name
network name space operations; register_pernet_subsys; unregister_pernet_subsys; net/core/net_namespace.c; -
network name space operations; register_pernet_device; unregister_pernet_device; net/core/net_namespace.c; -
netlink notifier; netlink_register_notifier; netlink_unregister_notifier; net/netlink/af_netlink.c; -
link kind; rtnl_link_register; rtnl_link_unregister; net/core/rtnetlink.c; rtnl_link_ops.kind
link kind; __rtnl_link_register; __rtnl_link_unregister; net/core/rtnetlink.c; rtnl_link_ops.kind
generic netlink family; genl_register_family; genl_unregister_family; net/netlink/genetlink.c; genl_family.name
socket family; sock_register; sock_unregister; net/socket.c; net_proto_family.family
protocol; proto_register; proto_unregister; net/core/sock.c; proto.name
packet type; dev_add_pack; dev_remove_pack; net/core/dev.c; packet_type.type
queueing discipline; register_qdisc; unregister_qdisc; net/sched/sch_api.c; Qdisc_ops.id
traffic action; tcf_register_action; tcf_unregister_action; net/sched/act_api.c; tc_action_ops.kind
traffic classifier; register_tcf_proto_ops; unregister_tcf_proto_ops; net/sched/cls_api.c; tcf_proto_ops.kind
extended match; tcf_em_register; tcf_em_unregister; net/sched/ematch.c; -
congestion control; tcp_register_congestion_control; tcp_unregister_congestion_control; net/ipv4/tcp_cong.c; tcp_congestion_ops.name
netfilter hooks; nf_register_net_hooks@2; nf_unregister_net_hooks@2; net/netfilter/core.c; -
netfilter hook; nf_register_net_hook@2; nf_unregister_net_hook@2; net/netfilter/core.c; -
netfilter socket options; nf_register_sockopt; nf_unregister_sockopt; net/netfilter/nf_sockopt.c; -
socket kind; inet_register_protosw; inet_unregister_protosw; net/ipv4/af_inet.c; inet_protosw.type
socket kind; inet6_register_protosw; inet6_unregister_protosw; net/ipv6/af_inet6.c; inet_protosw.type
transport protocol; inet_add_protocol; inet_del_protocol; net/ipv4/protocol.c; -
transport protocol; inet6_add_protocol; inet6_del_protocol; net/ipv6/protocol.c; -
IPsec transform; xfrm_register_type; xfrm_unregister_type; net/xfrm/xfrm_state.c; -
IPsec protocol; xfrm4_protocol_register; xfrm4_protocol_deregister; net/ipv4/xfrm4_protocol.c; -
IPsec protocol; xfrm6_protocol_register; xfrm6_protocol_deregister; net/ipv6/xfrm6_protocol.c; -
socket diagnosis; sock_diag_register; sock_diag_unregister; net/core/sock_diag.c; -
text search; textsearch_register; textsearch_unregister; lib/textsearch.c; -
cipher; crypto_register_alg; crypto_unregister_alg; crypto/algapi.c; crypto_alg.cra_driver_name
ciphers; crypto_register_algs[]; crypto_unregister_algs[]; crypto/algapi.c; crypto_alg.cra_driver_name
cipher template; crypto_register_template; crypto_unregister_template; crypto/algapi.c; crypto_template.name
cipher templates; crypto_register_templates[]; crypto_unregister_templates[]; crypto/algapi.c; crypto_template.name
hash; crypto_register_shash; crypto_unregister_shash; crypto/shash.c; shash_alg.base.cra_driver_name
hashes; crypto_register_shashes[]; crypto_unregister_shashes[]; crypto/shash.c; shash_alg.base.cra_driver_name
hash; crypto_register_ahash; crypto_unregister_ahash; crypto/ahash.c; ahash_alg.halg.base.cra_driver_name
hashes; crypto_register_ahashes[]; crypto_unregister_ahashes[]; crypto/ahash.c; ahash_alg.halg.base.cra_driver_name
cipher; crypto_register_skcipher; crypto_unregister_skcipher; crypto/skcipher.c; skcipher_alg.base.cra_driver_name
ciphers; crypto_register_skciphers[]; crypto_unregister_skciphers[]; crypto/skcipher.c; skcipher_alg.base.cra_driver_name
authenticated cipher; crypto_register_aead; crypto_unregister_aead; crypto/aead.c; aead_alg.base.cra_driver_name
authenticated ciphers; crypto_register_aeads[]; crypto_unregister_aeads[]; crypto/aead.c; aead_alg.base.cra_driver_name
public-key cipher; crypto_register_akcipher; crypto_unregister_akcipher; crypto/akcipher.c; akcipher_alg.base.cra_driver_name
key agreement; crypto_register_kpp; crypto_unregister_kpp; crypto/kpp.c; -
compression; crypto_register_scomp; crypto_unregister_scomp; crypto/scompress.c; -
random numbers; crypto_register_rng; crypto_unregister_rng; crypto/rng.c; rng_alg.base.cra_driver_name
random numbers; crypto_register_rngs[]; crypto_unregister_rngs[]; crypto/rng.c; rng_alg.base.cra_driver_name
hardware random numbers; hwrng_register; hwrng_unregister; drivers/char/hw_random/core.c; -
CPU frequency driver; cpufreq_register_driver; cpufreq_unregister_driver; drivers/cpufreq/cpufreq.c; -
CPU frequency governor; cpufreq_register_governor; cpufreq_unregister_governor; drivers/cpufreq/cpufreq.c; -
performance counters; perf_pmu_register; perf_pmu_unregister; kernel/events/core.c; -
transport class; transport_class_register; transport_class_unregister; drivers/base/transport_class.c; -
attribute container; attribute_container_register; attribute_container_unregister; drivers/base/attribute_container.c; -
class interface; class_interface_register; class_interface_unregister; drivers/base/class.c; -
frame buffer; register_framebuffer; unregister_framebuffer; drivers/video/fbdev/core/fbmem.c; -
machine check decoder; mce_register_decode_chain; mce_unregister_decode_chain; arch/x86/kernel/cpu/mce/core.c; -
console notifier; register_vt_notifier; unregister_vt_notifier; drivers/tty/vt/vt.c; -
memory notifier; register_memory_notifier; unregister_memory_notifier; drivers/base/memory.c; -
restart handler; register_restart_handler; unregister_restart_handler; kernel/reboot.c; -
system operations; register_syscore_ops; unregister_syscore_ops; drivers/base/syscore.c; -
persistent store; pstore_register; pstore_unregister; fs/pstore/platform.c; -
video client; vga_switcheroo_register_handler; vga_switcheroo_unregister_handler; drivers/gpu/vga/vga_switcheroo.c; -
I2C adapter; i2c_add_adapter; i2c_del_adapter; drivers/i2c/i2c-core-base.c; i2c_adapter.name
I2C adapter; i2c_add_numbered_adapter; i2c_del_adapter; drivers/i2c/i2c-core-base.c; i2c_adapter.name
GPIO chip; gpiochip_add_data_with_key; gpiochip_remove; drivers/gpio/gpiolib.c; -
console; register_console; unregister_console; kernel/printk/printk.c; console.name
""".strip().splitlines()


# what the kernel takes back by itself: the devices of a link kind (net/core/rtnetlink.c:__rtnl_kill_links)
GOES_ALONG = {"link kind": "network device"}


@dataclass(frozen=True)
class Registered:
    """Something a module has registered: what kind, under which name, its structure, and by which module."""

    kind: str
    name: str
    address: int
    module: str


class Row(NamedTuple):
    """One function of a row: its name, which argument is the structure (from 0), whether that is an array."""

    function: str
    argument: int
    array: bool

    @classmethod
    def parse(cls, text: str) -> Row:
        function, _, argument = text.removesuffix("[]").partition("@")
        return cls(function, int(argument or 1) - 1, text.endswith("[]"))


def name_of(cpu: Cpu, structure: int, path: str) -> str:
    """The name in the structure: text in place, text it points to, or a number; "" where none is known."""
    if path == "-" or not structure:
        return ""
    try:
        at, size = cpu.structs.at(structure, path), cpu.structs.field_size(path)
    except KeyError:  # not in this release
        return ""
    if size < 8:
        return str(cpu.space.number(at, size))
    pointer = cpu.space.number(at, 8)
    if size == 8:
        return cpu.space.string(pointer, 64).decode("utf-8", "replace") if pointer else ""
    return cpu.space.read(at, size).split(b"\0")[0].decode("utf-8", "replace")


def _register(kind: str, row: Row, path: str) -> Callable[..., int]:
    def register(cpu: Cpu, a: ptr, b: ptr, c: ptr) -> int:
        structure = (a, b, c)[row.argument]
        mod = cpu.calling_module(cpu.caller())
        name = name_of(cpu, structure, path)
        cpu.registered.append(Registered(kind, name, structure, mod.name if mod else ""))
        return 0

    return register


def _unregister(row: Row) -> Callable[..., int]:
    def unregister(cpu: Cpu, a: ptr, b: ptr, c: ptr) -> int:
        structure = (a, b, c)[row.argument]
        gone = [each for each in cpu.registered if each.address == structure]
        went = {(each.address, each.kind) for each in gone}
        with_it = {(each.module, GOES_ALONG.get(each.kind)) for each in gone}
        cpu.registered = [
            each
            for each in cpu.registered
            if (each.address, each.kind) not in went and (each.module, each.kind) not in with_it
        ]
        return 0

    return unregister


def _enter() -> None:
    known: set[str] = set()  # some kinds share the function that takes them back
    for line in ROWS:
        kind, register, unregister, source, path = (part.strip() for part in line.split(";"))
        for text, make in ((register, True), (unregister, False)):
            row = Row.parse(text)
            if row.function not in known:
                known.add(row.function)
                run = _register(kind, row, path) if make else _unregister(row)
                kernel_function(source, name=row.function, records=True)(run)


_enter()
