// SPDX-License-Identifier: GPL-2.0-only
/*
 * A GPL-compatible module that uses a GPL-only symbol, as it may.
 */
#include <linux/init.h>
#include <linux/module.h>
#include "shared.h"

static int __init gpl_user_init(void)
{
	pr_info("gpl_user: the answer is %d\n", gpl_only_answer());
	return 0;
}

static void __exit gpl_user_exit(void)
{
	pr_info("gpl_user: gone\n");
}

module_init(gpl_user_init);
module_exit(gpl_user_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Uses a GPL-only symbol, with a fitting licence");
