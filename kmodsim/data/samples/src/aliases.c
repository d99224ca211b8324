// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the kernel finds the right module for a piece of hardware: by aliases.
 *
 * MODULE_DEVICE_TABLE() marks a table; the build turns each row into a pattern in .modinfo, such as
 * alias=pci:v00001234d000011E8sv*sd*bc*sc*i*. depmod collects them in modules.alias, a device announces its own
 * string, modprobe loads what matches. Soft dependencies say what to load as well, before or after.
 */
#include <linux/init.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/pci_ids.h>
#include <linux/pci.h>

static const struct pci_device_id aliases_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ PCI_DEVICE_CLASS(PCI_CLASS_BRIDGE_OTHER << 8, ~0) },
	{ }
};
MODULE_DEVICE_TABLE(pci, aliases_ids);
MODULE_ALIAS("course-example");
MODULE_SOFTDEP("pre: chain_a post: hello");

static int __init aliases_init(void)
{
	pr_info("aliases: %zu rows\n", ARRAY_SIZE(aliases_ids) - 1);
	return 0;
}

static void __exit aliases_exit(void)
{
}

module_init(aliases_init);
module_exit(aliases_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Aliases from a device table, and soft dependencies");
