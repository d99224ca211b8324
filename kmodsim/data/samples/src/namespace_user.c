// SPDX-License-Identifier: GPL-2.0-only
/*
 * Uses a symbol of the namespace COURSE and says so: import_ns=COURSE in .modinfo.
 */
#include <linux/init.h>
#include <linux/module.h>
#include "shared.h"

static int __init namespace_user_init(void)
{
	pr_info("namespace_user: %d\n", namespace_number());
	return 0;
}

static void __exit namespace_user_exit(void)
{
	pr_info("namespace_user: gone\n");
}

module_init(namespace_user_init);
module_exit(namespace_user_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Uses a symbol of the namespace COURSE and imports it");
MODULE_IMPORT_NS(COURSE);
