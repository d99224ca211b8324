// SPDX-License-Identifier: GPL-2.0-only
/*
 * Top of the diamond: needs both sides, and both sides need the same bottom.
 *
 * A tool that loads what we need must load diamond_bottom once and first; on the way down it can be unloaded only
 * when both sides are gone.
 */
#include <linux/init.h>
#include <linux/module.h>
#include "shared.h"

static int __init diamond_top_init(void)
{
	pr_info("diamond_top: left %d, right %d\n", diamond_left_number(), diamond_right_number());
	return 0;
}

static void __exit diamond_top_exit(void)
{
	pr_info("diamond_top: gone\n");
}

module_init(diamond_top_init);
module_exit(diamond_top_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Top of a diamond: uses left and right");
