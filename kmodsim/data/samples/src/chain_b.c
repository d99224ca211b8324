// SPDX-License-Identifier: GPL-2.0-only
/*
 * Middle link: uses chain_a, is used by chain_c.
 *
 * chain_a_add is an undefined symbol of this file (SHN_UNDEF). The loader looks it up, takes a reference on chain_a,
 * and enters us as its user; so rmmod of chain_a fails while we are loaded. The build notes depends=chain_a.
 */
#include <linux/init.h>
#include <linux/module.h>
#include "shared.h"

int chain_b_add(int x)
{
	return chain_a_add(x) + 10;
}
EXPORT_SYMBOL(chain_b_add);

static int __init chain_b_init(void)
{
	pr_info("chain_b: 1 becomes %d\n", chain_b_add(1));
	return 0;
}

static void __exit chain_b_exit(void)
{
	pr_info("chain_b: gone\n");
}

module_init(chain_b_init);
module_exit(chain_b_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Middle link of a chain: uses chain_a and exports");
