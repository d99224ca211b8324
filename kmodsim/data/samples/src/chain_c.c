// SPDX-License-Identifier: GPL-2.0-only
/*
 * Last link: uses chain_b, and through it chain_a, which it does not know.
 *
 * Only direct use counts: chain_a's user list shows chain_b, not us. Yet chain_a cannot go before us, because
 * chain_b cannot.
 */
#include <linux/init.h>
#include <linux/module.h>
#include "shared.h"

static int __init chain_c_init(void)
{
	pr_info("chain_c: 1 becomes %d\n", chain_b_add(1));
	return 0;
}

static void __exit chain_c_exit(void)
{
	pr_info("chain_c: gone\n");
}

module_init(chain_c_init);
module_exit(chain_c_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Last link of a chain: uses chain_b");
