// SPDX-License-Identifier: GPL-2.0-only
/*
 * Uses a symbol of the namespace COURSE without importing it: EINVAL, and a line in the log that says why.
 */
#include <linux/init.h>
#include <linux/module.h>
#include "shared.h"

static int __init namespace_thief_init(void)
{
	pr_info("namespace_thief: %d\n", namespace_number());
	return 0;
}

static void __exit namespace_thief_exit(void)
{
}

module_init(namespace_thief_init);
module_exit(namespace_thief_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Uses a symbol of the namespace COURSE without importing it: refused");
