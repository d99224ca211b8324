// SPDX-License-Identifier: GPL-2.0-only
/*
 * A GPL module that would carry a GPL-only symbol over to a proprietary module, or the other way round: refused.
 *
 * Whichever of the two symbols the loader meets first, the other one is then unknown.
 */
#include <linux/init.h>
#include <linux/module.h>
#include "shared.h"

static int __init proprietary_bridge_init(void)
{
	pr_info("proprietary_bridge: %d\n", proprietary_answer() + gpl_only_answer());
	return 0;
}

static void __exit proprietary_bridge_exit(void)
{
}

module_init(proprietary_bridge_init);
module_exit(proprietary_bridge_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Uses a GPL-only symbol and one of a proprietary module: refused");
