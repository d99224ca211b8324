// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says that it is proprietary, and uses plain exports only: it loads, and taints the kernel with P.
 *
 * (The file you read is free, of course. The loader believes what MODULE_LICENSE() says.)
 * It exports a symbol itself, and passes its taint on to whoever uses that: see proprietary_heir.
 */
#include <linux/init.h>
#include <linux/module.h>
#include "shared.h"

int proprietary_answer(void)
{
	return 13;
}
EXPORT_SYMBOL(proprietary_answer);

static int __init proprietary_init(void)
{
	pr_info("proprietary: loaded\n");
	return 0;
}

static void __exit proprietary_exit(void)
{
	pr_info("proprietary: gone, but the taint stays\n");
}

module_init(proprietary_init);
module_exit(proprietary_exit);

MODULE_LICENSE("Proprietary");
MODULE_DESCRIPTION("A proprietary licence and plain symbols: taints");
