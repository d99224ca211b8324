// SPDX-License-Identifier: GPL-2.0-only
/*
 * A GPL module that uses a symbol of a proprietary one: it loads, and inherits the taint P.
 */
#include <linux/init.h>
#include <linux/module.h>
#include "shared.h"

static int __init proprietary_heir_init(void)
{
	pr_info("proprietary_heir: %d\n", proprietary_answer());
	return 0;
}

static void __exit proprietary_heir_exit(void)
{
}

module_init(proprietary_heir_init);
module_exit(proprietary_heir_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Free, but uses a symbol of a proprietary module: inherits its taint");
