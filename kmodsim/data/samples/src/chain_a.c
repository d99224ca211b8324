// SPDX-License-Identifier: GPL-2.0-only
/*
 * First link of a chain: chain_c needs chain_b, chain_b needs chain_a.
 *
 * EXPORT_SYMBOL() puts an entry into __ksymtab: where the symbol is, what it is called, in which namespace. The name
 * goes to __ksymtab_strings, a checksum of the C prototype to __kcrctab. Nothing else makes a function visible to
 * other modules; `extern` alone does not.
 */
#include <linux/init.h>
#include <linux/module.h>
#include "shared.h"

/* Data can be exported too. */
int chain_a_calls;
EXPORT_SYMBOL(chain_a_calls);

int chain_a_add(int x)
{
	chain_a_calls++;
	return x + 1;
}
EXPORT_SYMBOL(chain_a_add);

static int __init chain_a_init(void)
{
	pr_info("chain_a: ready\n");
	return 0;
}

static void __exit chain_a_exit(void)
{
	pr_info("chain_a: called %d times\n", chain_a_calls);
}

module_init(chain_a_init);
module_exit(chain_a_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("First link of a chain: exports a function and a variable");
